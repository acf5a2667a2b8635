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

#include "core/compat.h"
#include "mmu/internal.h"

#define NOTIFIER_SPANS	16

static struct okvm_mmu_vm *notifier_mmu(struct mmu_notifier *mn)
{
	return container_of(mn, struct okvm_mmu_vm, notifier);
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
	spin_lock(&mmu->inv_lock);
	WRITE_ONCE(mmu->inv_seq, mmu->inv_seq + 1);
	/* Pairs with smp_rmb() in notifier_stale_unlocked(). */
	smp_wmb();
	if (!OKVM_BUG_ON(mmu->vm, !mmu->inv_active))
		WRITE_ONCE(mmu->inv_active, mmu->inv_active - 1);
	spin_unlock(&mmu->inv_lock);
}

static int notifier_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct okvm_mmu_vm *mmu = notifier_mmu(mn);
	bool may_block = mmu_notifier_range_blockable(range);
	const struct mmu_policy *policy;
	struct okvm_gfn_span spans[NOTIFIER_SPANS];
	struct okvm_hva_cursor cur = {};
	struct mmu_zap zap;
	int i, n;

	inv_begin(mmu, range->start, range->end);
	policy = READ_ONCE(mmu->policy);
	n = okvm_slots_hva_spans(mmu->vm, range->start, range->end, &cur, spans, NOTIFIER_SPANS);
	if (n <= 0)
		return 0;
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
	return 0;
}

static void notifier_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	inv_finish(notifier_mmu(mn));
}

static bool notifier_age(struct okvm_mmu_vm *mmu, hva_t start, hva_t end, bool clear)
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

static okvm_young_t notifier_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
					       unsigned long start, unsigned long end)
{
	struct okvm_mmu_vm *mmu = notifier_mmu(mn);
	bool young = notifier_age(mmu, start, end, true);

	if (young)
		okvm_mmu_flush_vm(mmu->vm);
	return young;
}

/*
 * Clear accessed bits without a flush, as the host expects of this callback. A page in use may then
 * look unused, because an access that hits in a TLB sets no accessed bit.
 */
static okvm_young_t notifier_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
					 unsigned long start, unsigned long end)
{
	return notifier_age(notifier_mmu(mn), start, end, true);
}

static okvm_young_t notifier_test_young(struct mmu_notifier *mn, struct mm_struct *mm,
					unsigned long address)
{
	return notifier_age(notifier_mmu(mn), address, address + 1, false);
}

/* Remove all mappings, and prevent new ones (mmu->dead): the VMM's address space or the VM ends. */
static void notifier_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct okvm_mmu_vm *mmu = notifier_mmu(mn);

	write_lock(&mmu->lock);
	mmu->dead = true;
	write_unlock(&mmu->lock);
	mmu->policy->free_all(mmu);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = notifier_start,
	.invalidate_range_end = notifier_end,
	.clear_flush_young = notifier_clear_flush_young,
	.clear_young = notifier_clear_young,
	.test_young = notifier_test_young,
	.release = notifier_release,
};

int okvm_notifier_register(struct okvm_mmu_vm *mmu)
{
	int ret;

	mmu->notifier.ops = &notifier_ops;
	ret = mmu_notifier_register(&mmu->notifier, mmu->vm->mm);
	mmu->registered = !ret;
	return ret;
}

void okvm_notifier_unregister(struct okvm_mmu_vm *mmu)
{
	if (!mmu->registered)
		return;
	mmu->registered = false;
	/*
	 * mmu_notifier_unregister() calls notifier_release() if the address space still exists, and
	 * waits for callbacks.
	 */
	mmu_notifier_unregister(&mmu->notifier, mmu->vm->mm);
}
