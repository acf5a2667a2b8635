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
 * Negative: errno for KVM_RUN (-EFAULT, -EHWPOISON, -ENOMEM).
 */
enum okvm_fault_verdict {
	OKVM_FAULT_FIXED = 0,
	OKVM_FAULT_MMIO,
	OKVM_FAULT_SIGNAL,
	OKVM_FAULT_LATER,
};

int okvm_mmu_init(void);		/* module load: caches, shrinker */
void okvm_mmu_exit(void);
int okvm_mmu_vm_create(struct okvm_vm *vm);	/* registers the MMU notifier */
void okvm_mmu_vm_release(struct okvm_vm *vm);	/* unregisters it, zaps all; no vCPU runs */
void okvm_mmu_vm_destroy(struct okvm_vm *vm);
int okvm_mmu_vcpu_create(struct okvm_vcpu *vcpu);
void okvm_mmu_vcpu_destroy(struct okvm_vcpu *vcpu);

/**
 * okvm_mmu_fault() - a guest-physical access failed in hardware
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

/* KVM_PRE_FAULT_MEMORY */
extern const struct okvm_ioctl okvm_mmu_ioctls[];

/** okvm_mmu_load() - give the backend the vCPU's root */
void okvm_mmu_load(struct okvm_vcpu *vcpu);

/** okvm_mmu_set_paging() - guest CR0, CR4, EFER or MAXPHYADDR changed: the walker's new mode */
void okvm_mmu_set_paging(struct okvm_vcpu *vcpu, const struct walk_mode *mode);

/**
 * okvm_mmu_gva_to_gpa() - walk the guest's page tables
 * @acc: WRITE, USER, FETCH, IMPLICIT as the access is
 * @fault: filled when the walk faults (error code for the guest's #PF)
 * Return: the guest-physical address or OKVM_INVALID_GPA. vm->srcu held; may sleep.
 */
gpa_t okvm_mmu_gva_to_gpa(struct okvm_vcpu *vcpu, gva_t gva, u32 acc, struct walk_fault *fault);

#define OKVM_NOTE_LEVELS	5

/**
 * struct okvm_note - a translation of the guest's, noted so that it can be seen to hold still
 * @gen, @mode_seq, @cr3: memory slots, paging mode and root under which it was made
 * @nr: entries that were read, 0 if it could not be noted
 * @at, @val: where they are for this process, and what they held
 * @hva: what the translation leads to
 */
struct okvm_note {
	u64 gen;
	u64 cr3;
	u32 mode_seq;
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
