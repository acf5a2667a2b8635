// SPDX-License-Identifier: GPL-2.0-only
/* Create and destroy the MMU of VMs and vCPUs, follow changes of memory slots, and flush TLBs. */
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/processor.h>

#include "core/compat.h"
#include "mmu/hw_ops.h"
#include "mmu/shadow.h"

int okvm_mmu_init(void)
{
	int ret = shadow_init();

	if (ret)
		return ret;
	ret = nx_init();
	if (ret)
		shadow_exit();
	return ret;
}

void okvm_mmu_exit(void)
{
	nx_exit();
	shadow_exit();
	/* Wait for RCU callbacks that free tables: they are functions of this module. */
	rcu_barrier();
	okvm_notifier_exit();
}

int okvm_mmu_vm_create(struct okvm_vm *vm)
{
	struct okvm_mmu_vm *mmu = kzalloc(sizeof(*mmu), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!mmu)
		return -ENOMEM;
	mmu->vm = vm;
	rwlock_init(&mmu->lock);
	spin_lock_init(&mmu->inv_lock);
	mmu->policy = vm->caps & OKVM_HW_TDP ? &mmu_policy_tdp : &mmu_policy_shadow;
	ret = mmu->policy->vm_create(mmu);
	if (ret)
		goto err_mmu;
	vm->mmu = mmu;
	ret = okvm_notifier_register(mmu);
	if (ret)
		goto err_policy;
	nx_vm_create(mmu);
	return 0;

err_policy:
	vm->mmu = NULL;
	mmu->policy->vm_destroy(mmu);
err_mmu:
	kfree(mmu);
	return ret;
}

void okvm_mmu_vm_release(struct okvm_vm *vm)
{
	if (!vm->mmu)
		return;
	nx_vm_release(vm->mmu);
	okvm_notifier_unregister(vm->mmu);
}

void okvm_mmu_vm_destroy(struct okvm_vm *vm)
{
	struct okvm_mmu_vm *mmu = vm->mmu;

	if (!mmu)
		return;
	nx_vm_release(mmu);
	okvm_notifier_unregister(mmu);
	vm->mmu = NULL;
	mmu_policy_tdp.vm_destroy(mmu);
	mmu_policy_shadow.vm_destroy(mmu);
	kfree(mmu);
}

int okvm_mmu_vcpu_create(struct okvm_vcpu *vcpu)
{
	vcpu->mmu = kzalloc(sizeof(*vcpu->mmu), GFP_KERNEL_ACCOUNT);
	return vcpu->mmu ? vcpu->vm->mmu->policy->vcpu_create(vcpu) : -ENOMEM;
}

void okvm_mmu_vcpu_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_mmu_vcpu *mv = vcpu->mmu;

	if (!mv)
		return;
	vcpu->vm->mmu->policy->vcpu_destroy(vcpu);
	vcpu->mmu = NULL;
	kfree(mv);
}

void okvm_mmu_flush_vm(struct okvm_vm *vm)
{
	atomic64_inc(&vm->stat[OKVM_VM_STAT_TLB_FLUSHES]);
	okvm_request_all(vm, OKVM_REQ_TLB_FLUSH, true);
}

void okvm_mmu_set_hole(struct okvm_vm *vm, enum okvm_hole hole, gfn_t gfn, u64 pfn)
{
	struct okvm_mmu_vm *mmu = vm->mmu;

	write_lock(&mmu->lock);
	mmu->hole[hole] = (struct mmu_hole){ .gfn = gfn, .pfn = pfn };
	write_unlock(&mmu->lock);
	mmu_zap(mmu, gfn, gfn + 1, false);
	/* mmu_zap() does not find MMIO entries of shadow tables: no reverse map contains them. */
	if (pfn && okvm_mmu_is_shadow(vm))
		mmu->policy->zap_mmio(mmu);
}

/*
 * If the new slot contains a frame of okvm_mmu_set_hole(), remove the mapping of okvm's own page.
 * First let the vCPUs leave guest mode and serve a request: a vCPU that uses the page as its page
 * directory must stop that before memory of the slot is mapped in the page's place.
 */
static void mmu_fill_holes(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot)
{
	const struct mmu_hole *hole;

	for (hole = mmu->hole; hole < mmu->hole + OKVM_NR_HOLES; hole++) {
		if (!READ_ONCE(hole->pfn) || hole->gfn - slot->base >= slot->npages)
			continue;
		okvm_request_all(mmu->vm, OKVM_REQ_MMU_RELOAD, true);
		mmu_zap(mmu, hole->gfn, hole->gfn + 1, false);
	}
}

void okvm_mmu_zap_all(struct okvm_vm *vm)
{
	mmu_zap(vm->mmu, 0, ~0ULL, true);
}

/*
 * Memory slots.
 */

bool mmu_reaches(const struct mmu_policy *policy, const struct okvm_mmu_vm *mmu,
		 const struct okvm_memslot *slot)
{
	return !((slot->base + slot->npages - 1) >> (policy->gpa_bits(mmu) - PAGE_SHIFT));
}

int okvm_mmu_slot_prepare(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change)
{
	if ((change == OKVM_SLOT_CREATE || change == OKVM_SLOT_MOVE) &&
	    !mmu_reaches(vm->mmu->policy, vm->mmu, new))
		return -EINVAL;
	return 0;
}

/*
 * Zap all MMIO entries before the generation numbers in them wrap. The generation is odd during the
 * zap, so no MMIO entry is made.
 */
void okvm_mmu_generation_changes(struct okvm_vm *vm, u64 next)
{
	if ((next >> 1 & SPTE_MMIO_GEN_MASK) == SPTE_MMIO_GEN_MASK)
		vm->mmu->policy->zap_mmio(vm->mmu);
}

void okvm_mmu_slot_commit(struct okvm_vm *vm, const struct okvm_memslot *new,
			  enum okvm_slot_change change)
{
	if (change == OKVM_SLOT_CREATE || change == OKVM_SLOT_MOVE)
		mmu_fill_holes(vm->mmu, new);
	if (change != OKVM_SLOT_FLAGS || new->flags & KVM_MEM_READONLY)
		return;
	if (!(new->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
		vm->mmu->policy->collapse(vm->mmu, new);
		return;
	}
	/*
	 * With KVM_DIRTY_LOG_INITIALLY_SET, do not write-protect the frames here: each frame is
	 * write-protected when userspace clears the frame's bit.
	 */
	if (rcu_dereference_protected(vm->memslots, lockdep_is_held(&vm->slots_lock))
	    ->dirty_manual & KVM_DIRTY_LOG_INITIALLY_SET)
		return;
	vm->mmu->policy->write_protect(vm->mmu, new->base, new->base + new->npages);
	okvm_mmu_flush_vm(vm);
}

void okvm_mmu_slot_flush(struct okvm_vm *vm, const struct okvm_memslot *slot)
{
	mmu_zap(vm->mmu, slot->base, slot->base + slot->npages, true);
}

void okvm_mmu_dirty_protect(struct okvm_vm *vm, gfn_t gfn, unsigned long mask)
{
	unsigned int first, last;

	/* Call write_protect() once for each run of consecutive bits that are 1. */
	while (mask) {
		first = __ffs(mask);
		last = ~(mask >> first) ? first + __ffs(~(mask >> first)) : BITS_PER_LONG;
		vm->mmu->policy->write_protect(vm->mmu, gfn + first, gfn + last);
		mask &= last < BITS_PER_LONG ? ~0UL << last : 0;
	}
	cond_resched();
}
