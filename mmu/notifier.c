// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MMU notifier: follow the host's changes of the memory that is mapped into guests.
 *
 * Guest memory is ordinary memory of the VMM: the host swaps, merges, migrates, write-protects and
 * unmaps it while the guest runs. Before the host changes its page tables, it calls
 * invalidate_range_start(). When this callback returns, no table of the VM and no TLB has a
 * translation of the range, and okvm makes none until invalidate_range_end(). See struct
 * okvm_mmu_vm for the protocol.
 *
 * Every invalidation is counted, even if its range is in no slot, so that each end matches a start.
 * Upstream counts only invalidations that concern a slot, and must delay slot updates while such an
 * invalidation is in progress.
 */
#include <linux/minmax.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "core/compat.h"
#include "mmu/internal.h"

#define NOTIFIER_SPANS	16

/**
 * struct notifier - a VM's registration with the host's MM
 * @mn: on the list of the VMM's address space
 * @mmu: the VM's MMU; valid while @users is not 0
 * @users: one for the VM, and one for each callback that is running
 *
 * A callback may begin until a grace period of SRCU after the registration ends. To wait for this
 * grace period takes milliseconds. Therefore a VM that is destroyed waits only for callbacks that
 * are running, later callbacks do nothing, and the host's MM frees this structure.
 */
struct notifier {
	struct mmu_notifier mn;
	struct okvm_mmu_vm *mmu;
	refcount_t users;
};

/* The registrations that are not freed yet. */
static atomic_t notifiers = ATOMIC_INIT(0);

static struct notifier *notifier_of(struct mmu_notifier *mn)
{
	return container_of(mn, struct notifier, mn);
}

/* A callback begins. Return: the MMU, until notifier_leave(); NULL if the VM is being destroyed */
static struct okvm_mmu_vm *notifier_enter(struct mmu_notifier *mn)
{
	struct notifier *n = notifier_of(mn);

	return refcount_inc_not_zero(&n->users) ? n->mmu : NULL;
}

static void notifier_leave(struct mmu_notifier *mn)
{
	struct notifier *n = notifier_of(mn);

	if (refcount_dec_and_test(&n->users))
		wake_up_var(&n->users);
}

static void inv_begin(struct okvm_mmu_vm *mmu, hva_t start, hva_t end)
{
	spin_lock(&mmu->inv_lock);
	if (!mmu->inv_active) {
		WRITE_ONCE(mmu->inv_start, start);
		WRITE_ONCE(mmu->inv_end, end);
	} else {
		/*
		 * [inv_start, inv_end) contains all active invalidations. While one is active, the
		 * range only grows.
		 */
		WRITE_ONCE(mmu->inv_start, min(mmu->inv_start, start));
		WRITE_ONCE(mmu->inv_end, max(mmu->inv_end, end));
	}
	WRITE_ONCE(mmu->inv_active, mmu->inv_active + 1);
	spin_unlock(&mmu->inv_lock);
}

static void inv_finish(struct okvm_mmu_vm *mmu)
{
	bool last;

	spin_lock(&mmu->inv_lock);
	WRITE_ONCE(mmu->inv_seq, mmu->inv_seq + 1);
	/* Pairs with smp_rmb() in notifier_stale_unlocked(). */
	smp_wmb();
	if (!OKVM_BUG_ON(mmu->vm, !mmu->inv_active))
		WRITE_ONCE(mmu->inv_active, mmu->inv_active - 1);
	last = !mmu->inv_active;
	spin_unlock(&mmu->inv_lock);
	if (!last)
		return;
	/* A thread in hostmem_settle() that wake_up_var() does not see finds the new inv_active. */
	smp_mb();
	wake_up_var(&mmu->inv_active);
}

static void inv_zap(struct okvm_mmu_vm *mmu, const struct mmu_notifier_range *range)
{
	bool may_block = mmu_notifier_range_blockable(range);
	const struct mmu_policy *policy;
	struct okvm_gfn_span spans[NOTIFIER_SPANS];
	struct okvm_hva_cursor cur = {};
	struct mmu_zap zap;
	int i, n;

	policy = READ_ONCE(mmu->policy);
	n = okvm_slots_hva_spans(mmu->vm, range->start, range->end, &cur, spans, NOTIFIER_SPANS);
	if (n <= 0)
		return;
	/*
	 * Thousands of slots may map the same host page: do not take mmu->lock and flush anew for
	 * each of them.
	 */
	policy->zap_begin(&zap, mmu, may_block);
	do {
		for (i = 0; i < n; i++)
			policy->zap_range(&zap, spans[i].start, spans[i].end);
		n = okvm_slots_hva_spans(mmu->vm, range->start, range->end, &cur, spans,
					 NOTIFIER_SPANS);
	} while (n > 0);
	policy->zap_end(&zap);
}

static int notifier_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct okvm_mmu_vm *mmu = notifier_enter(mn);

	if (!mmu)
		return 0;
	inv_begin(mmu, range->start, range->end);
	inv_zap(mmu, range);
	notifier_leave(mn);
	return 0;
}

static void notifier_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct okvm_mmu_vm *mmu = notifier_enter(mn);

	if (!mmu)
		return;
	inv_finish(mmu);
	notifier_leave(mn);
}

static bool mmu_age(struct okvm_mmu_vm *mmu, hva_t start, hva_t end, bool clear)
{
	struct okvm_gfn_span spans[NOTIFIER_SPANS];
	struct okvm_hva_cursor cur = {};
	bool young = false;
	int i, n;

	while ((n = okvm_slots_hva_spans(mmu->vm, start, end, &cur, spans, NOTIFIER_SPANS)) > 0) {
		for (i = 0; i < n; i++)
			young |= mmu->policy->age(mmu, spans[i].start, spans[i].end, clear);
		if (young && !clear)
			break;
	}
	return young;
}

static bool notifier_age(struct mmu_notifier *mn, hva_t start, hva_t end, bool clear, bool flush)
{
	struct okvm_mmu_vm *mmu = notifier_enter(mn);
	bool young;

	if (!mmu)
		return false;
	young = mmu_age(mmu, start, end, clear);
	if (young && flush)
		okvm_mmu_flush_vm(mmu->vm);
	notifier_leave(mn);
	return young;
}

static okvm_young_t notifier_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
					       unsigned long start, unsigned long end)
{
	return notifier_age(mn, start, end, true, true);
}

/*
 * Clear accessed bits without a flush, as the host expects of this callback. A page in use may then
 * look unused, because an access that hits in a TLB sets no accessed bit.
 */
static okvm_young_t notifier_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
					 unsigned long start, unsigned long end)
{
	return notifier_age(mn, start, end, true, false);
}

static okvm_young_t notifier_test_young(struct mmu_notifier *mn, struct mm_struct *mm,
					unsigned long address)
{
	return notifier_age(mn, address, address + 1, false, false);
}

static void mmu_end(struct okvm_mmu_vm *mmu)
{
	write_lock(&mmu->lock);
	mmu->dead = true;
	write_unlock(&mmu->lock);
}

/* Remove all mappings, and prevent new ones (mmu->dead): the VMM's address space ends. */
static void notifier_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct okvm_mmu_vm *mmu = notifier_enter(mn);

	if (!mmu)
		return;
	mmu_end(mmu);
	mmu->policy->free_all(mmu);
	notifier_leave(mn);
}

static void notifier_free(struct mmu_notifier *mn)
{
	kfree(notifier_of(mn));
	if (atomic_dec_and_test(&notifiers))
		wake_up_var(&notifiers);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = notifier_start,
	.invalidate_range_end = notifier_end,
	.clear_flush_young = notifier_clear_flush_young,
	.clear_young = notifier_clear_young,
	.test_young = notifier_test_young,
	.release = notifier_release,
	.free_notifier = notifier_free,
};

int okvm_notifier_register(struct okvm_mmu_vm *mmu)
{
	struct notifier *n = kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!n)
		return -ENOMEM;
	n->mn.ops = &notifier_ops;
	n->mmu = mmu;
	refcount_set(&n->users, 1);
	ret = mmu_notifier_register(&n->mn, mmu->vm->mm);
	if (ret) {
		kfree(n);
		return ret;
	}
	atomic_inc(&notifiers);
	mmu->notifier = n;
	return 0;
}

void okvm_notifier_unregister(struct okvm_mmu_vm *mmu)
{
	struct notifier *n = mmu->notifier;

	if (!n)
		return;
	mmu->notifier = NULL;
	/*
	 * No vCPU can run any more, so nothing uses the tables, and the VM need not follow later
	 * changes. policy->vm_destroy() frees the tables without waiting for RCU readers.
	 */
	mmu_end(mmu);
	if (okvm_mmu_is_shadow(mmu->vm))
		mmu->policy->free_all(mmu);
	if (!refcount_dec_and_test(&n->users))
		wait_var_event(&n->users, !refcount_read(&n->users));
	mmu_notifier_put(&n->mn);
}

void okvm_notifier_exit(void)
{
	/* mmu_notifier_synchronize() would wait for a grace period, but not for notifier_free(). */
	wait_var_event(&notifiers, !atomic_read(&notifiers));
	/* The host calls notifier_free() with BHs off: wait until the last call has returned. */
	synchronize_rcu();
}
