/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory-management unit, as x86/ and the backends see it: guest-physical
 * faults, the guest's own page tables, and what the host does to the memory
 * behind both.
 */
#ifndef OKVM_MMU_MMU_H
#define OKVM_MMU_MMU_H

#include <linux/types.h>

#include "core/ioctl.h"
#include "core/memslot.h"
#include "core/types.h"
#include "core/vcpu.h"
#include "mmu/walk.h"

/** enum okvm_access - why memory is accessed: bits of SDM "Page-Fault Exceptions" */
enum okvm_access {
	OKVM_ACC_PRESENT = 1 << 0,
	OKVM_ACC_WRITE	= 1 << 1,
	OKVM_ACC_USER	= 1 << 2,
	OKVM_ACC_FETCH	= 1 << 4,
	OKVM_ACC_IMPLICIT = 1 << 16,	/* by the CPU itself: SMAP ignores EFLAGS.AC */
	OKVM_ACC_TABLE	= 1 << 17,	/* (faults) of a guest's page-table entry, by its walk */
};

/**
 * enum okvm_fault_verdict - what became of a guest-physical fault
 * @OKVM_FAULT_FIXED: mapped, or somebody else did: enter the guest again
 * @OKVM_FAULT_MMIO: no memory there, or read-only memory written: emulate the instruction
 * @OKVM_FAULT_SIGNAL: a signal is pending: leave with -EINTR
 * @OKVM_FAULT_LATER: the page is being fetched, see mmu/needs.h; go on as if fixed
 * @OKVM_FAULT_GUEST: (shadow paging) the guest's own tables forbid it: the guest gets its #PF
 * @OKVM_FAULT_SLOW: (fast handlers) cannot be told here
 * Negative: errno for KVM_RUN (-EFAULT, -ENOMEM).
 */
enum okvm_fault_verdict {
	OKVM_FAULT_FIXED = 0,
	OKVM_FAULT_MMIO,
	OKVM_FAULT_SIGNAL,
	OKVM_FAULT_LATER,
	OKVM_FAULT_GUEST,
	OKVM_FAULT_SLOW,
};

/** enum okvm_mmu_kind - the two ways of translating guest memory */
enum okvm_mmu_kind {
	OKVM_MMU_KIND_TDP,	/* two-dimensional paging */
	OKVM_MMU_KIND_SHADOW,
};

int okvm_mmu_init(void);		/* module load: caches, shrinker */
void okvm_mmu_exit(void);
int okvm_mmu_vm_create(struct okvm_vm *vm);	/* registers the MMU notifier */
void okvm_mmu_vm_release(struct okvm_vm *vm);	/* unregisters it, zaps all; no vCPU runs */
void okvm_mmu_vm_destroy(struct okvm_vm *vm);
int okvm_mmu_vcpu_create(struct okvm_vcpu *vcpu);
void okvm_mmu_vcpu_destroy(struct okvm_vcpu *vcpu);

/**
 * okvm_mmu_choose() - the VM's way of translating: by default TDP if hardware has it
 *
 * Sets vm->caps. Under vm->lock, before the first vCPU. Return: 0, -EINVAL if hardware lacks it,
 * there is a vCPU, or memory slots are beyond its reach, -ENOMEM
 */
int okvm_mmu_choose(struct okvm_vm *vm, enum okvm_mmu_kind kind);

/** okvm_mmu_is_shadow() - the VM's tables follow the guest's own */
bool okvm_mmu_is_shadow(const struct okvm_vm *vm);

/**
 * okvm_mmu_fault() - two-dimensional paging: a guest-physical access failed in hardware
 * @acc: enum okvm_access; PRESENT if some permission was there
 * Return: verdict. Caller: vCPU thread, IRQs on, vm->srcu held. May sleep.
 */
int okvm_mmu_fault(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc);

/**
 * okvm_mmu_fault_fast() - has another vCPU, or an access bit, resolved this already?
 *
 * Lockless, for the IRQs-off path. Return: true if the guest can simply go on.
 */
bool okvm_mmu_fault_fast(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc);

/** okvm_mmu_mmio_cached() - a current MMIO entry (EPT misconfiguration) covers @gpa. Any context */
bool okvm_mmu_mmio_cached(struct okvm_vcpu *vcpu, gpa_t gpa);

/**
 * struct okvm_page_fault - shadow paging: a #PF that hardware raised for one of our tables
 * @gva: the linear address
 * @acc: enum okvm_access, which are the bits of hardware's error code; WRITE, USER and FETCH as the
 *	guest's CPL has it
 * @gpa: verdict MMIO: where the linear address leads, else undefined
 * @readonly: verdict MMIO: the guest's tables allow no write there, by this access's privilege
 * @device: verdict MMIO: no memory is there
 * @guest: verdict GUEST: the error code of the guest's own #PF
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
 * okvm_mmu_page_fault() - a linear access failed in hardware
 * Return: verdict, or a negative errno. Caller as of okvm_mmu_fault().
 */
int okvm_mmu_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);

/**
 * okvm_mmu_page_fault_fast() - the same with IRQs off
 * Return: FIXED, GUEST, MMIO (a current MMIO entry is there), or SLOW
 */
int okvm_mmu_page_fault_fast(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);

/** enum okvm_invalidation - by which the guest drops translations; 0..3 are INVPCID's types */
enum okvm_invalidation {
	OKVM_INVPCID_ADDRESS,		/* one address in one PCID, global ones aside */
	OKVM_INVPCID_SINGLE,		/* one PCID, global translations aside */
	OKVM_INVPCID_ALL,		/* all, global translations too */
	OKVM_INVPCID_NOT_GLOBAL,	/* all PCIDs, global translations aside */
	OKVM_INVLPG,			/* one address, in the present PCID and global */
};

/**
 * okvm_mmu_invalidate() - the guest drops translations that its own tables gave
 * @pcid, @gva: as @what needs them
 *
 * In the vCPU's thread, vCPU loaded, IRQs on, vm->srcu held.
 */
void okvm_mmu_invalidate(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid, gva_t gva);
/** okvm_mmu_invlpg_fast() - INVLPG, IRQs off. Return: false if it takes okvm_mmu_invalidate() */
bool okvm_mmu_invlpg_fast(struct okvm_vcpu *vcpu, gva_t gva);

/**
 * okvm_mmu_cr3_loaded() - the guest's CR3, or with PAE its PDPTEs, were loaded
 * @noflush: translations of the new PCID stay
 *
 * vcpu->arch has them already. Context as of okvm_mmu_invalidate().
 */
void okvm_mmu_cr3_loaded(struct okvm_vcpu *vcpu, bool noflush);

/**
 * okvm_mmu_cr3_fast() - the same with IRQs off, in long mode
 *
 * It flushes what the guest's tables gave, global translations too.
 * Return: false if nothing was done
 */
bool okvm_mmu_cr3_fast(struct okvm_vcpu *vcpu);

/** okvm_mmu_guest_wrote() - the emulator has written at @gpa, within one page; vm->srcu held */
void okvm_mmu_guest_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes);

/**
 * okvm_mmu_unprotect() - an instruction that writes to @gfn cannot be emulated
 * Return: true if the guest can run it now. Context as of okvm_mmu_invalidate().
 */
bool okvm_mmu_unprotect(struct okvm_vcpu *vcpu, gfn_t gfn);

/** okvm_mmu_set_limit() - KVM_SET_NR_MMU_PAGES: at most @pages tables, 0 none given */
void okvm_mmu_set_limit(struct okvm_vm *vm, unsigned long pages);

/** okvm_mmu_unload() - RESET, INIT or new CPUID: the vCPU's root goes, a reload is requested */
void okvm_mmu_unload(struct okvm_vcpu *vcpu);

/* KVM_PRE_FAULT_MEMORY */
extern const struct okvm_ioctl okvm_mmu_ioctls[];

/** okvm_mmu_load() - give the backend the vCPU's root. Return: 0 or a negative errno; may sleep */
int okvm_mmu_load(struct okvm_vcpu *vcpu);

/**
 * okvm_mmu_restored() - userspace has set a vCPU's control registers. May sleep
 *
 * It may have written a snapshot to guest memory before, tables of the guest's among it, which
 * shadow paging does not see.
 */
void okvm_mmu_restored(struct okvm_vcpu *vcpu);

/** okvm_mmu_set_paging() - guest CR0, CR4, EFER or MAXPHYADDR changed: the walker's new mode */
void okvm_mmu_set_paging(struct okvm_vcpu *vcpu, const struct walk_mode *mode);

/**
 * okvm_mmu_gva_to_gpa() - walk the guest's page tables
 * @acc: WRITE, USER, FETCH, IMPLICIT as the access is
 * @fault: filled when the walk faults (error code for the guest's #PF). Its member `again`: others
 *	change the tables all the time, and a signal or a request waits: there is no answer
 * Return: the guest-physical address or OKVM_INVALID_GPA. vm->srcu held; may sleep.
 */
gpa_t okvm_mmu_gva_to_gpa(struct okvm_vcpu *vcpu, gva_t gva, u32 acc, struct walk_fault *fault);

#define OKVM_NOTE_LEVELS	5

/**
 * struct okvm_note - a translation of the guest's, noted so that it can be seen to hold still
 * @gen, @mode, @cr3: memory slots, paging mode and root under which it was made
 * @nr: entries that were read, 0 if it could not be noted
 * @at, @val: where they are for this process, and what they held
 * @hva: what the translation leads to
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

/** okvm_mmu_gva_to_gpa_noted() - okvm_mmu_gva_to_gpa(), and fill @note */
gpa_t okvm_mmu_gva_to_gpa_noted(struct okvm_vcpu *vcpu, gva_t gva, u32 acc,
				struct walk_fault *fault, struct okvm_note *note);

/**
 * okvm_mmu_noted() - would the noted walk go the same way now? Then read 16 bytes at its end
 * @cr3: the vCPU's present CR3
 *
 * The same linear address and access are the caller's to see to, and that the 16 bytes lie in one
 * page. Return: false if anything differs or cannot be read. vm->srcu held; may sleep.
 */
bool okvm_mmu_noted(struct okvm_vcpu *vcpu, const struct okvm_note *note, u64 cr3, u64 bytes[2]);

/** okvm_mmu_load_pdptrs() - PAE: read the PDPTEs at CR3. Return: false if reserved bits are set */
bool okvm_mmu_load_pdptrs(struct okvm_vcpu *vcpu, unsigned long cr3, u64 pdptrs[4]);

/**
 * okvm_mmu_set_hole() - a page of the module's own, at a frame where no slot is
 * @gfn: the frame, the same in each call for a VM
 * @pfn: what to map there for as long as no slot covers it, or 0: from now on the frame is MMIO
 *
 * Old translations are gone and flushed when it returns. Nothing but hardware's special treatment
 * of the page must keep guests from its content (vmx/apic_page.c).
 * Context: process, IRQs on, the page stays the caller's until the VM has no vCPUs any more.
 */
void okvm_mmu_set_hole(struct okvm_vm *vm, gfn_t gfn, u64 pfn);

/**
 * okvm_mmu_exempt_nx() - KVM_CAP_VM_DISABLE_NX_HUGE_PAGES: huge pages may be executed
 * Return: 0, or -EINVAL after the first vCPU. Under vm->lock.
 */
int okvm_mmu_exempt_nx(struct okvm_vm *vm);

/** okvm_mmu_zap_all() - every mapping of the VM goes; vCPUs build new roots */
void okvm_mmu_zap_all(struct okvm_vm *vm);

#endif /* OKVM_MMU_MMU_H */
