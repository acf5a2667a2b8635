/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of mmu/ for x86/ and the backends: page faults and EPT violations, walks of the
 * guest's page tables, TLB flushes by the guest, and changes of the host's memory.
 */
#ifndef OKVM_MMU_MMU_H
#define OKVM_MMU_MMU_H

#include <linux/types.h>

#include "core/ioctl.h"
#include "core/memslot.h"
#include "core/types.h"
#include "core/vcpu.h"
#include "mmu/walk.h"

/** enum okvm_access - kind of a memory access: bits of the #PF error code, and three more */
enum okvm_access {
	OKVM_ACC_PRESENT = 1 << 0,
	OKVM_ACC_WRITE	= 1 << 1,
	OKVM_ACC_USER	= 1 << 2,
	OKVM_ACC_FETCH	= 1 << 4,
	OKVM_ACC_IMPLICIT = 1 << 16,	/* implicit supervisor access: SMAP ignores EFLAGS.AC */
	OKVM_ACC_TABLE	= 1 << 17,	/* faults only: the CPU accessed a guest page table */
	/* okvm_mmu_gva_to_gpa() only: no kick or signal ends a wait for the host's page */
	OKVM_ACC_PATIENT = 1 << 18,
};

/**
 * enum okvm_fault_verdict - result of handling a fault; negative values are errnos for KVM_RUN
 * @OKVM_FAULT_FIXED: enter the guest again: the page is mapped, or the access has to be repeated
 * @OKVM_FAULT_MMIO: emulate the instruction. Either there is no memory, or the access is a write to
 *	read-only memory, or it is a write that shadow paging cannot allow (such as to a page table)
 * @OKVM_FAULT_SIGNAL: a signal is pending: KVM_RUN returns -EINTR
 * @OKVM_FAULT_LATER: nothing is mapped: the host fetches the page in the background
 *	(okvm_arch_apf_start()), or is changing its tables there. The caller does the same as for
 *	OKVM_FAULT_FIXED
 * @OKVM_FAULT_GUEST: inject #PF, because the guest's tables deny the access (shadow paging only)
 * @OKVM_FAULT_SLOW: from okvm_mmu_page_fault_fast() only: call okvm_mmu_page_fault()
 */
enum okvm_fault_verdict {
	OKVM_FAULT_FIXED = 0,
	OKVM_FAULT_MMIO,
	OKVM_FAULT_SIGNAL,
	OKVM_FAULT_LATER,
	OKVM_FAULT_GUEST,
	OKVM_FAULT_SLOW,
};

/** enum okvm_mmu_kind - how hardware translates guest memory */
enum okvm_mmu_kind {
	OKVM_MMU_KIND_TDP,	/* two-dimensional paging: EPT, NPT */
	OKVM_MMU_KIND_SHADOW,
};

int okvm_mmu_init(void);		/* module load: registers shrinker, makes workqueue */
void okvm_mmu_exit(void);
int okvm_mmu_vm_create(struct okvm_vm *vm);	/* registers the MMU notifier */
void okvm_mmu_vm_release(struct okvm_vm *vm);	/* unregisters the notifier, zaps all mappings */
void okvm_mmu_vm_destroy(struct okvm_vm *vm);
int okvm_mmu_vcpu_create(struct okvm_vcpu *vcpu);
void okvm_mmu_vcpu_destroy(struct okvm_vcpu *vcpu);

/**
 * okvm_mmu_choose() - use TDP or shadow paging for a VM (default: TDP if hardware has it)
 *
 * Sets vm->caps. Under vm->lock. Return: 0, -ENOMEM, or -EINVAL if hardware lacks @kind, the VM has
 * a vCPU, or @kind cannot map all memory slots
 */
int okvm_mmu_choose(struct okvm_vm *vm, enum okvm_mmu_kind kind);

/** okvm_mmu_is_shadow() - return true if the VM uses shadow paging */
bool okvm_mmu_is_shadow(const struct okvm_vm *vm);

/**
 * okvm_mmu_fault() - handle an EPT violation or a nested page fault (NPT)
 * @acc: enum okvm_access; OKVM_ACC_PRESENT if the entry of the EPT or NPT tables gave any right
 * Return: enum okvm_fault_verdict or a negative errno. Context: the vCPU's thread, IRQs on,
 * vm->srcu held. May sleep.
 */
int okvm_mmu_fault(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc);

/**
 * okvm_mmu_fault_fast() - handle an EPT violation or nested page fault by changing only a leaf
 *
 * Called with IRQs off; takes no lock. Return: true if the guest can repeat the access; false if
 * okvm_mmu_fault() has to be called
 */
bool okvm_mmu_fault_fast(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc);

/**
 * okvm_mmu_mmio_cached() - return true if @gpa has an MMIO entry that is not out of date
 *
 * A change of the memory slots makes MMIO entries out of date. Context: any
 */
bool okvm_mmu_mmio_cached(struct okvm_vcpu *vcpu, gpa_t gpa);

/**
 * struct okvm_page_fault - an intercepted #PF of a guest under shadow paging, and its result
 * @gva: the guest-linear address
 * @acc: enum okvm_access: the hardware's error code, and OKVM_ACC_IMPLICIT
 * @gpa: output for OKVM_FAULT_MMIO: the guest-physical address
 * @readonly: output for OKVM_FAULT_MMIO: the guest's tables deny a write with the privilege of the
 *	access
 * @device: output for OKVM_FAULT_MMIO: an MMIO entry of the current generation of slots says that
 *	no memory slot contains @gpa
 * @guest: output for OKVM_FAULT_GUEST: the error code of the #PF to inject
 */
struct okvm_page_fault {
	gva_t gva;
	u32 acc;
	gpa_t gpa;
	bool readonly;
	bool device;
	struct walk_fault guest;
};

/**
 * okvm_mmu_page_fault() - handle an intercepted #PF
 * Return: enum okvm_fault_verdict or a negative errno. Context: as for okvm_mmu_fault()
 */
int okvm_mmu_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);

/**
 * okvm_mmu_page_fault_fast() - handle an intercepted #PF with IRQs off
 * Return: OKVM_FAULT_FIXED, _GUEST, or _SLOW if okvm_mmu_page_fault() has to be called
 */
int okvm_mmu_page_fault_fast(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);

/** enum okvm_invalidation - how the guest flushes translations; 0..3 are INVPCID's types */
enum okvm_invalidation {
	OKVM_INVPCID_ADDRESS,		/* one address in one PCID, except global translations */
	OKVM_INVPCID_SINGLE,		/* one PCID, except global translations */
	OKVM_INVPCID_ALL,		/* all PCIDs, and global translations */
	OKVM_INVPCID_NOT_GLOBAL,	/* all PCIDs, except global translations */
	OKVM_INVLPG,			/* one address: current PCID and global ones */
};

/**
 * okvm_mmu_invalidate() - flush translations of guest-linear addresses for the guest
 * @pcid, @gva: what to flush; each is ignored if @what does not need it
 *
 * Context: the vCPU's thread, vCPU loaded, IRQs on, vm->srcu held.
 */
void okvm_mmu_invalidate(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid, gva_t gva);
/**
 * okvm_mmu_invlpg_fast() - do INVLPG with IRQs off
 * Return: false if nothing was done and okvm_mmu_invalidate() has to be called
 */
bool okvm_mmu_invlpg_fast(struct okvm_vcpu *vcpu, gva_t gva);

/**
 * okvm_mmu_cr3_loaded() - make a new CR3 (with PAE: new PDPTEs) of the guest take effect
 * @noflush: TLBs may keep translations of the new PCID (bit 63 of the MOV CR3 operand)
 *
 * The new values are in vcpu->arch. Context: as for okvm_mmu_invalidate()
 */
void okvm_mmu_cr3_loaded(struct okvm_vcpu *vcpu, bool noflush);

/**
 * okvm_mmu_cr3_fast() - make the guest's new CR3 take effect with IRQs off, in long mode only
 *
 * Flushes all translations of guest-linear addresses, global ones included.
 * Return: false if nothing was done and okvm_mmu_cr3_loaded() has to be called
 */
bool okvm_mmu_cr3_fast(struct okvm_vcpu *vcpu);

/**
 * okvm_mmu_guest_wrote() - update shadow tables after the emulator has written to guest memory
 * @gpa, @bytes: the written bytes, which are in one page
 *
 * Under vm->srcu.
 * Return: true if this write has made okvm stop shadowing the page. The guest can then write to the
 *	page without emulation
 */
bool okvm_mmu_guest_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes);

/**
 * okvm_mmu_unprotect() - end the write protection of @gfn (a page table of the guest)
 *
 * Called for a write to @gfn by an instruction that the emulator cannot execute. Context: as for
 * okvm_mmu_invalidate(). Return: true if @gfn was shadowed: the guest can then execute the
 * instruction itself
 */
bool okvm_mmu_unprotect(struct okvm_vcpu *vcpu, gfn_t gfn);

/** okvm_mmu_set_limit() - allow at most @pages shadow tables (KVM_SET_NR_MMU_PAGES); 0: default */
void okvm_mmu_set_limit(struct okvm_vm *vm, unsigned long pages);

/** okvm_mmu_unload() - drop a vCPU's roots for RESET, INIT or new CPUID, and request a reload */
void okvm_mmu_unload(struct okvm_vcpu *vcpu);

/* KVM_PRE_FAULT_MEMORY */
extern const struct okvm_ioctl okvm_mmu_ioctls[];

/** okvm_mmu_load() - give the backend the vCPU's root. Return: 0 or a negative errno; may sleep */
int okvm_mmu_load(struct okvm_vcpu *vcpu);

/**
 * okvm_mmu_restored() - zap all shadow tables after userspace has set control registers. May sleep
 *
 * Userspace sets control registers when it restores a snapshot. It may have restored guest memory
 * before, and shadow paging does not notice when userspace changes the guest's page tables.
 */
void okvm_mmu_restored(struct okvm_vcpu *vcpu);

/** okvm_mmu_set_paging() - set a new paging mode: CR0, CR4, EFER or MAXPHYADDR has changed */
void okvm_mmu_set_paging(struct okvm_vcpu *vcpu, const struct walk_mode *mode);

/**
 * okvm_mmu_gva_to_gpa() - walk the guest's page tables
 * @acc: kind of the access: OKVM_ACC_WRITE, _USER, _FETCH, _IMPLICIT; _PATIENT outside KVM_RUN
 * @fault: output if the walk fails: the error code for #PF. If `gave_up` is true, no #PF is due.
 *	The walk was given up for a pending signal or request, while other CPUs kept changing the
 *	tables or the host had to fetch the page of a table
 * Return: the guest-physical address or OKVM_INVALID_GPA. Caller holds vm->srcu; may sleep.
 */
gpa_t okvm_mmu_gva_to_gpa(struct okvm_vcpu *vcpu, gva_t gva, u32 acc, struct walk_fault *fault);

#define OKVM_NOTE_LEVELS	5

/**
 * struct okvm_note - records a walk of the guest's tables, so that okvm_mmu_noted() can verify it
 * @gen, @mode, @cr3: generation of the memory slots, paging mode and CR3 at the time of the walk
 * @nr: number of page-table entries that the walk has read; 0 if the walk could not be recorded
 * @at, @val: address in the VMM and value of each of these entries
 * @hva: address in the VMM of the byte to which the walk leads
 */
struct okvm_note {
	u64 gen;
	u64 cr3;
	struct walk_mode mode;
	unsigned int nr;
	const u64 __user *at[OKVM_NOTE_LEVELS];
	u64 val[OKVM_NOTE_LEVELS];
	const u64 __user *hva;
};

/** okvm_mmu_gva_to_gpa_noted() - call okvm_mmu_gva_to_gpa() and record the walk in @note */
gpa_t okvm_mmu_gva_to_gpa_noted(struct okvm_vcpu *vcpu, gva_t gva, u32 acc,
				struct walk_fault *fault, struct okvm_note *note);

/**
 * okvm_mmu_noted() - check that a recorded walk is still valid, and read 16 bytes at its result
 * @cr3: the vCPU's current CR3
 * @bytes: output: the 16 bytes, which must be in one page
 *
 * The caller must use the record only for the linear address and the kind of access of the recorded
 * walk. The caller holds vm->srcu. The function does not wait for a page that is swapped out.
 * Return: false if a new walk might lead to another address, or if memory cannot be read
 */
bool okvm_mmu_noted(struct okvm_vcpu *vcpu, const struct okvm_note *note, u64 cr3, u64 bytes[2]);

/** okvm_mmu_load_pdptrs() - read the PDPTEs at CR3. Return: false if unreadable or invalid */
bool okvm_mmu_load_pdptrs(struct okvm_vcpu *vcpu, unsigned long cr3, u64 pdptrs[4]);

/** enum okvm_hole - okvm's own pages that a guest can have outside its slots (vmx/apic_page.c) */
enum okvm_hole {
	OKVM_HOLE_APIC,		/* hardware turns accesses to it into accesses to APIC registers */
	OKVM_HOLE_IDENTITY,	/* page directory for a guest without paging */
	OKVM_NR_HOLES,
};

/**
 * okvm_mmu_set_hole() - map a page of okvm's own at a frame that is in no memory slot
 * @gfn: the frame, the same in each call for a VM and a @hole, and another for each @hole
 * @pfn: host frame to map there while no slot contains @gfn, or 0 to make @gfn MMIO
 *
 * Removes old translations of @gfn and flushes TLBs. If a slot comes to contain @gfn, every vCPU
 * gets OKVM_REQ_MMU_RELOAD before the mapping is removed. Context: process, IRQs on; the caller
 * keeps the page until the VM has no vCPUs.
 */
void okvm_mmu_set_hole(struct okvm_vm *vm, enum okvm_hole hole, gfn_t gfn, u64 pfn);

/**
 * okvm_mmu_exempt_nx() - KVM_CAP_VM_DISABLE_NX_HUGE_PAGES: map huge pages executable in this VM
 * Return: 0, or -EINVAL if the VM already has a vCPU. Under vm->lock.
 */
int okvm_mmu_exempt_nx(struct okvm_vm *vm);

/**
 * okvm_mmu_honor_pat() - let RAM have the memory types that the guest's own PAT gives
 *
 * Called when userspace switches KVM_X86_QUIRK_IGNORE_GUEST_PAT off. Under vm->lock, for a VM with
 * OKVM_HW_GUEST_PAT. With EPT, it removes all mappings. May sleep.
 */
void okvm_mmu_honor_pat(struct okvm_vm *vm);

/** okvm_mmu_zap_all() - remove every mapping of the VM and flush; vCPUs load new roots */
void okvm_mmu_zap_all(struct okvm_vm *vm);

#endif /* OKVM_MMU_MMU_H */
