/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct mmu_policy: the common interface of two-dimensional paging and shadow paging.
 *
 * A VM has one policy from its first vCPU on. With two-dimensional paging (tdp.c), one set of
 * tables translates guest-physical addresses. With shadow paging, okvm builds tables for linear
 * addresses from the guest's own tables. vm.c, notifier.c, nx.c and the upper layers call the
 * policy's callbacks. EPT violations and nested page faults occur only with two-dimensional paging:
 * their handlers call fault.c directly, which saves an indirect call.
 *
 * No callback may be NULL: a policy that has nothing to do has a function that does nothing.
 */
#ifndef OKVM_MMU_POLICY_H
#define OKVM_MMU_POLICY_H

#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/types.h>

#include "core/types.h"

struct okvm_memslot;
struct okvm_mmu_vm;
struct okvm_page_fault;
struct okvm_vcpu;
struct okvm_vm;
enum okvm_invalidation;

/**
 * struct mmu_zap - state of a removal of mappings, under mmu->lock (write)
 * @tables: unlinked tables; freed after the flush that precedes every drop of the lock
 * @work: number of entries looked at since the lock was last taken
 * @flush: TLBs may still hold a removed translation
 * @yield: the lock may be dropped before the removal is complete
 * @frames_leave: true: the frames may cease to be guest memory, as when a slot is deleted. Shadow
 *	paging then also zaps the shadow tables of guest page tables in these frames. false: the
 *	frames stay guest memory, and only their mappings are removed
 */
struct mmu_zap {
	struct okvm_mmu_vm *mmu;
	struct list_head tables;
	unsigned int work;
	bool flush;
	bool yield;
	bool frames_leave;
};

/**
 * struct mmu_policy - callbacks of one kind of paging
 * @name: name of this kind of paging in messages
 */
struct mmu_policy {
	const char *name;

	/* ---- creation and destruction; destroying what was not created has no effect ---- */

	/*
	 * Prepare a VM for this policy and set mmu->fmt and mmu->max_level. May be called again:
	 * existing structures are kept. Return: 0 or -ENOMEM
	 */
	int (*vm_create)(struct okvm_mmu_vm *mmu);
	/* Free the VM's tables. The caller has made sure that no CPU walks them. */
	void (*vm_destroy)(struct okvm_mmu_vm *mmu);
	int (*vcpu_create)(struct okvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct okvm_vcpu *vcpu);

	/* ---- in the loaded vCPU's thread: IRQs on, vm->srcu held (*_fast: IRQs off) ---- */

	/*
	 * OKVM_REQ_MMU_RELOAD: choose, or build, the root for the vCPU's current CR3 and mode, and
	 * give the root to the backend (set_root). Return: 0, or a negative errno for KVM_RUN
	 */
	int (*load)(struct okvm_vcpu *vcpu);
	/* Drop the vCPU's roots, for RESET, INIT, new CPUID, destruction. load() makes new ones. */
	void (*unload)(struct okvm_vcpu *vcpu);
	/* Handle an intercepted #PF, see okvm_mmu_page_fault(). */
	int (*page_fault)(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);
	/*
	 * Handle an intercepted #PF with IRQs off, without waiting for mmu->lock.
	 * Return: enum okvm_fault_verdict; OKVM_FAULT_SLOW if page_fault() has to be called
	 */
	int (*page_fault_fast)(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);
	/* vcpu->arch has a new CR3 or, with PAE, new PDPTEs. See okvm_mmu_cr3_loaded(). */
	void (*cr3_loaded)(struct okvm_vcpu *vcpu, bool noflush);
	/*
	 * Make the new CR3 in vcpu->arch take effect, with IRQs off; in long mode only.
	 * Return: false if nothing was done and cr3_loaded() has to be called
	 */
	bool (*cr3_fast)(struct okvm_vcpu *vcpu);
	/* vcpu->mmu->mode has changed: request a load() before VM entry if needed. */
	void (*mode_changed)(struct okvm_vcpu *vcpu);
	/* Flush translations of linear addresses for the guest, see okvm_mmu_invalidate(). */
	void (*invalidate)(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid,
			   gva_t gva);
	/*
	 * Do INVLPG, with IRQs off.
	 * Return: false if nothing was done and invalidate() has to be called
	 */
	bool (*invlpg_fast)(struct okvm_vcpu *vcpu, gva_t gva);
	/*
	 * The emulator has written @bytes at @gpa: update the shadow tables of this page. Return:
	 * true if the write has made okvm stop shadowing the page
	 */
	bool (*guest_wrote)(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes);
	/* Zap the tables that shadow @gfn (okvm_mmu_unprotect()). Return: true if there were any */
	bool (*unprotect)(struct okvm_vm *vm, gfn_t gfn);
	/*
	 * KVM_PRE_FAULT_MEMORY: map the page of @gpa. Return: number of bytes from @gpa to the end
	 * of the page, or a negative errno
	 */
	long (*prefault)(struct okvm_vcpu *vcpu, gpa_t gpa);

	/* ---- called by any thread, for changes of memory slots and of the host's memory ---- */

	/*
	 * zap_begin() takes mmu->lock for writing. Each zap_range() removes the mappings of one
	 * range. zap_end() flushes the TLBs once and drops the lock.
	 */
	void (*zap_begin)(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield);
	void (*zap_range)(struct mmu_zap *z, gfn_t start, gfn_t end);
	void (*zap_end)(struct mmu_zap *z);
	/* Remove all MMIO entries, because the generations in them are going to wrap. */
	void (*zap_mmio)(struct okvm_mmu_vm *mmu);
	/* Return true if any frame was accessed. With @clear, clear this. The caller flushes. */
	bool (*age)(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear);
	/* Write-protect frames, so that the next write is logged. The caller flushes. */
	void (*write_protect)(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end);
	/* Dirty logging of @slot has ended: let page faults map huge pages again. */
	void (*collapse)(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot);
	/* Remove up to @max tables that replaced huge pages for fetches (see nx.c). */
	void (*recover_nx)(struct okvm_mmu_vm *mmu, u64 max);
	/* Remove all mappings: the VM or the VMM's address space ends, or the VM is restored. */
	void (*free_all)(struct okvm_mmu_vm *mmu);
	/* KVM_SET_NR_MMU_PAGES: allow @pages tables at most; 0: the policy's default */
	void (*set_limit)(struct okvm_mmu_vm *mmu, unsigned long pages);
	/* Width of the guest-physical addresses that the policy can map, in bits. */
	int (*gpa_bits)(const struct okvm_mmu_vm *mmu);
};

extern const struct mmu_policy mmu_policy_tdp;		/* tdp.c */
extern const struct mmu_policy mmu_policy_shadow;	/* shadow_policy.c */

#endif /* OKVM_MMU_POLICY_H */
