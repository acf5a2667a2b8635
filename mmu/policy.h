/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two ways of translating guest memory have in common, and where they part.
 *
 * A VM has one policy from its first vCPU to its end: tdp.c, where hardware translates
 * guest-physical addresses by one set of tables, or shadow paging, where hardware gets tables of
 * linear addresses that are made after the guest's own. The files that look after the host's side
 * (vm.c, notifier.c, nx.c) and the layers above go through this table. What only one of them can
 * meet calls it directly: an EPT violation is tdp.c's, which so costs no indirect call.
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
 * struct mmu_zap - a removal that is going on, under mmu->lock (write)
 * @tables: what was unlinked; waits here for the flush, without which the lock is never dropped
 * @work: entries looked at since the lock was taken or dropped last
 * @flush: TLBs may still hold something that was removed
 * @yield: the lock may be dropped in between
 * @gone: the frames stop being memory; else the host only moves what is behind them
 */
struct mmu_zap {
	struct okvm_mmu_vm *mmu;
	struct list_head tables;
	unsigned int work;
	bool flush;
	bool yield;
	bool gone;
};

/**
 * struct mmu_policy - one way of translating guest memory
 * @name: for messages
 */
struct mmu_policy {
	const char *name;

	/* ---- lives. Destructors accept what was never created, and come more than once ---- */

	/*
	 * The VM may get vCPUs with this policy: sets mmu->fmt and mmu->max_level. What an earlier
	 * call made stays. Return: 0 or -ENOMEM
	 */
	int (*vm_create)(struct okvm_mmu_vm *mmu);
	/* Nobody walks the tables any more. */
	void (*vm_destroy)(struct okvm_mmu_vm *mmu);
	int (*vcpu_create)(struct okvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct okvm_vcpu *vcpu);

	/* ---- in the vCPU's thread, vCPU loaded; IRQs on and vm->srcu held but for *_fast ---- */

	/*
	 * OKVM_REQ_MMU_RELOAD: choose, or build, the root for the vCPU's present CR3 and mode and
	 * give it to the backend (set_root). Return: 0, or a negative errno for KVM_RUN
	 */
	int (*load)(struct okvm_vcpu *vcpu);
	/* The vCPU's roots go: RESET, INIT, new CPUID, the vCPU's end. A load may follow. */
	void (*unload)(struct okvm_vcpu *vcpu);
	/* An intercepted #PF, see okvm_mmu_page_fault(). */
	int (*page_fault)(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);
	/* IRQs off: never sleeps, mmu->lock by trylock only. OKVM_FAULT_SLOW: no answer */
	int (*page_fault_fast)(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);
	/* CR3, or with PAE the PDPTEs, were loaded; vcpu->arch has the new values. */
	void (*cr3_loaded)(struct okvm_vcpu *vcpu, bool noflush);
	/* The same with IRQs off, not with PAE. Return: false if nothing was done */
	bool (*cr3_fast)(struct okvm_vcpu *vcpu);
	/* vcpu->mmu->mode has changed. A load follows before the next entry. */
	void (*mode_changed)(struct okvm_vcpu *vcpu);
	/* The guest invalidates translations of its own. */
	void (*invalidate)(struct okvm_vcpu *vcpu, enum okvm_invalidation what, u16 pcid,
			   gva_t gva);
	/* INVLPG, IRQs off as in page_fault_fast(). Return: false if nothing was done */
	bool (*invlpg_fast)(struct okvm_vcpu *vcpu, gva_t gva);
	/* The emulator has written @bytes of guest memory at @gpa, within one page. */
	void (*guest_wrote)(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes);
	/*
	 * An instruction that writes to @gfn cannot be emulated. Return: true if it can be run
	 * now, because the frame is not followed any more
	 */
	bool (*unprotect)(struct okvm_vm *vm, gfn_t gfn);
	/* KVM_PRE_FAULT_MEMORY: bytes to the end of the page that maps @gpa, or a negative errno */
	long (*prefault)(struct okvm_vcpu *vcpu, gpa_t gpa);

	/* ---- the host's side: any thread ---- */

	/*
	 * zap_begin() takes mmu->lock for writing; then any number of zap_range(); zap_end()
	 * flushes once for all that was removed and drops the lock.
	 */
	void (*zap_begin)(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield);
	void (*zap_range)(struct mmu_zap *z, gfn_t start, gfn_t end);
	void (*zap_end)(struct mmu_zap *z);
	/* All MMIO entries: their generations begin anew. */
	void (*zap_mmio)(struct okvm_mmu_vm *mmu);
	/* Was a frame accessed? @clear: as not accessed from now on. The caller flushes. */
	bool (*age)(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear);
	/* Frames get no write access, so that the next write is logged. The caller flushes. */
	void (*write_protect)(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end);
	/* Dirty logging of @slot has ended: huge pages may come back. */
	void (*collapse)(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot);
	/* Drop up to @max tables that were made for a fetch in place of a huge page. */
	void (*recover_nx)(struct okvm_mmu_vm *mmu, u64 max);
	/* The address space ends; mmu->dead is set. Nothing is mapped when it returns. */
	void (*free_all)(struct okvm_mmu_vm *mmu);
	/* KVM_SET_NR_MMU_PAGES: at most @pages tables, 0 as the policy likes */
	void (*set_limit)(struct okvm_mmu_vm *mmu, unsigned long pages);
	/* Bits of a guest-physical address that a slot may have. */
	int (*gpa_bits)(const struct okvm_mmu_vm *mmu);
};

extern const struct mmu_policy mmu_policy_tdp;		/* tdp.c */
extern const struct mmu_policy mmu_policy_shadow;	/* shadow_policy.c */

#endif /* OKVM_MMU_POLICY_H */
