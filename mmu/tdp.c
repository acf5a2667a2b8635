// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two-dimensional paging: the tables that translate guest-physical to host-physical addresses.
 *
 * A VM has one root table for its whole life. With mmu->lock held for reading, vCPUs handle faults
 * in parallel: they change entries by compare-and-exchange and add tables. With the lock held for
 * writing, tables are removed. A removed table is freed after a flush of the TLBs and an RCU grace
 * period, because fault.c walks the tables without the lock.
 *
 * Upstream has a header structure (struct kvm_mmu_page) for each table, as in shadow paging. In
 * okvm a table of two-dimensional paging is a page without a header. Software bits of the entry
 * that points to a table hold what has to be known about the table.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/vmstat.h>

#include "core/compat.h"
#include "mmu/internal.h"

static void tdp_count(struct okvm_mmu_vm *mmu, int what, long n)
{
	atomic64_add(n, &mmu->vm->stat[what]);
}

/* Add @n (1 or -1) tables to the statistics of memory cgroups and /proc/meminfo. */
static void tdp_account(u64 *table, int n)
{
	mod_lruvec_page_state(virt_to_page(table), NR_SECONDARY_PAGETABLE, n);
}

static void tdp_count_leaf(struct okvm_mmu_vm *mmu, int level, long n)
{
	tdp_count(mmu, OKVM_VM_STAT_PAGES_4K + level - 1, n);
}

u64 *tdp_leaf(struct okvm_mmu_vm *mmu, gfn_t gfn, u64 *val, int *level)
{
	u64 *table = mmu->root.table;
	u64 *entry;
	int at;

	if (gfn >= spte_pages(mmu->root.level + 1))
		return NULL;
	for (at = mmu->root.level; at > 0; at--) {
		entry = &table[spte_index(gfn, at)];
		*val = READ_ONCE(*entry);
		*level = at;
		if (!spte_is_table(*val, at))
			return entry;
		table = iter_table_of(*val);
	}
	return NULL;
}

/* Fill the new @table with 512 leaves that together map what the huge leaf @val maps. */
static void tdp_fill_split(struct okvm_mmu_vm *mmu, u64 *table, u64 val, int level)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		table[i] = spte_split(mmu->fmt, val, level, i, true);
}

/*
 * Make a table below @entry, whose value @old does not point to a table. If @old is a huge leaf,
 * the new table maps the same memory with smaller pages, so no flush is needed. Otherwise the new
 * table is empty. Return: the table now below @entry, which another CPU may have made; NULL if
 * another CPU has changed @entry to something else
 */
static u64 *tdp_make_table(struct okvm_fault *f, u64 *entry, u64 old, int level)
{
	struct okvm_mmu_vcpu *mv = f->vcpu->mmu;
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	bool split = spte_is_leaf(old, level);
	u64 *table, new;

	if (OKVM_BUG_ON(mmu->vm, !mv->nr_spare))
		return NULL;
	table = mv->spare[mv->nr_spare - 1];
	if (split)
		tdp_fill_split(mmu, table, old, level);
	new = spte_table(mmu->fmt, __pa(table));
	if (f->nx_level >= level)
		new |= SPTE_NX_SPLIT;
	if (!try_cmpxchg(entry, &old, new)) {
		if (split)
			clear_page(table);
		return spte_is_table(old, level) ? iter_table_of(old) : NULL;
	}
	mv->nr_spare--;
	tdp_count(mmu, OKVM_VM_STAT_TABLES, 1);
	tdp_account(table, 1);
	if (new & SPTE_NX_SPLIT)
		tdp_count(mmu, OKVM_VM_STAT_NX_SPLITS, 1);
	if (split) {
		tdp_count_leaf(mmu, level, -1);
		tdp_count_leaf(mmu, level - 1, 512);
	}
	return table;
}

/*
 * Return the table below @entry, whose value is @old. If there is none, make one. Return: the
 * table; NULL if another CPU has changed @entry. Inline, because the table usually exists
 */
static inline u64 *tdp_descend(struct okvm_fault *f, u64 *entry, u64 old, int level)
{
	return spte_is_table(old, level) ? iter_table_of(old) :
	       tdp_make_table(f, entry, old, level);
}

static u64 tdp_make_leaf(struct okvm_fault *f, int level)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	struct spte_leaf leaf = {
		.pfn = f->pfn & ~(spte_pages(level) - 1),
		.level = level,
		.access = SPTE_READ | SPTE_USER,
		.host_write = f->writable,
		.page = f->has_page,
		.uncached = f->uncached,
		.dirty = f->need & SPTE_WRITE,
	};

	if (f->writable)
		leaf.access |= SPTE_WRITE;
	if (level == 1 || !mmu->nx_huge)
		leaf.access |= SPTE_EXEC;
	return spte_leaf(mmu->fmt, &leaf);
}

/*
 * Replace @old, which is not a table, by a new leaf in @entry. If @entry is not @old any more, do
 * nothing: the guest repeats the access.
 */
static void tdp_install(struct okvm_fault *f, u64 *entry, u64 old, int level)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	u64 new = tdp_make_leaf(f, level);

	if (spte_valid(old) && spte_pfn(old) == spte_pfn(new) &&
	    spte_allows(mmu->fmt, old, f->need)) {
		f->vcpu->stat[OKVM_STAT_PF_SPURIOUS]++;
		return;
	}
	if (!try_cmpxchg(entry, &old, new))
		return;
	if (!spte_valid(old))
		tdp_count_leaf(mmu, level, 1);
	else if (spte_pfn(old) != spte_pfn(new))
		okvm_mmu_flush_vm(mmu->vm);
	f->vcpu->stat[OKVM_STAT_PF_FIXED]++;
	/*
	 * Mark the page dirty after the entry is set: a thread that clears the mark
	 * (KVM_GET_DIRTY_LOG) then finds the entry and write-protects it.
	 */
	if (f->writable && f->slot)
		okvm_mark_dirty(mmu->vm, f->slot, f->gfn);
}

void tdp_map(struct okvm_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	u64 *table = mmu->root.table;
	u64 *entry, old;
	int level;

	lockdep_assert_held_read(&mmu->lock);
	/*
	 * It is a bug if the frame is beyond what the tables can map. Its index in the root would
	 * wrap, so a zap of the frame would not find the leaf.
	 */
	if (OKVM_BUG_ON(mmu->vm, f->gfn >= spte_pages(mmu->root.level + 1)))
		return;
	for (level = mmu->root.level; table && level > 0; level--) {
		entry = &table[spte_index(f->gfn, level)];
		/*
		 * Read the entry once: all checks and the compare-and-exchange must use the same
		 * value.
		 */
		old = READ_ONCE(*entry);
		/* Keep an existing table of smaller pages instead of mapping a huge page. */
		if (level <= f->level && !spte_is_table(old, level)) {
			tdp_install(f, entry, old, level);
			break;
		}
		table = tdp_descend(f, entry, old, level);
	}
}

void tdp_map_mmio(struct okvm_fault *f)
{
	struct okvm_mmu_vm *mmu = f->vcpu->vm->mmu;
	u64 *table = mmu->root.table;
	u64 *entry = NULL;
	u64 old;
	int level;

	lockdep_assert_held_read(&mmu->lock);
	if (f->gfn >= spte_pages(mmu->root.level + 1))
		return;
	for (level = mmu->root.level; level > 0; level--) {
		entry = &table[spte_index(f->gfn, level)];
		old = READ_ONCE(*entry);
		/*
		 * Keep a leaf. The fault has found no slot for the frame, so a leaf means that the
		 * slots are changing. If the slot is being deleted, the deletion zaps the leaf. If
		 * the slot is new, the leaf is right.
		 */
		if (spte_is_leaf(old, level))
			return;
		if (level == 1)
			break;
		table = tdp_descend(f, entry, old, level);
		if (!table)
			return;
	}
	(void)try_cmpxchg(entry, &old, spte_mmio(f->gen >> 1));
}

/*
 * Removal, see struct mmu_zap.
 */

/* Yield mmu->lock to waiting threads only after this many entries were looked at. */
#define ZAP_TURN	512

static void zap_free_rcu(struct rcu_head *head)
{
	__free_page(container_of(head, struct page, rcu_head));
}

static void zap_finish(struct mmu_zap *z)
{
	struct page *page, *next;

	lockdep_assert_held_write(&z->mmu->lock);
	if (z->flush)
		okvm_mmu_flush_vm(z->mmu->vm);
	z->flush = false;
	z->work = 0;
	list_for_each_entry_safe(page, next, &z->tables, lru) {
		list_del(&page->lru);
		call_rcu(&page->rcu_head, zap_free_rcu);
	}
}

/*
 * Return true if mmu->lock should be yielded: if this thread has to reschedule, or if another
 * thread waits for the lock and ZAP_TURN entries were looked at. Do not yield for each entry: a
 * yield costs a flush, and lets all vCPUs that have faulted take the lock.
 */
static bool zap_should_yield(const struct mmu_zap *z)
{
	if (!z->yield)
		return false;
	return need_resched() || (z->work >= ZAP_TURN && rwlock_needbreak(&z->mmu->lock));
}

/* Flush what was removed so far, and yield mmu->lock. */
static void zap_flush_and_yield(struct mmu_zap *z)
{
	zap_finish(z);
	cond_resched_rwlock_write(&z->mmu->lock);
}

/* Yield mmu->lock between two entries if needed. The walk then restarts at the root. */
static void zap_yield(struct mmu_zap *z, struct iter *it)
{
	z->work++;
	if (!iter_moved(it) || !zap_should_yield(z))
		return;
	zap_flush_and_yield(z);
	iter_restart(it);
}

static void zap_entry(struct mmu_zap *z, u64 *entry, int level)
{
	struct okvm_mmu_vm *mmu = z->mmu;
	u64 old = xchg(entry, 0);

	if (!spte_valid(old))
		return;
	z->flush = true;
	tdp_count_leaf(mmu, level, -1);
	/*
	 * Pass the accessed bit on to the host's page. The page is not freed yet: the host waits
	 * for this zap before it unmaps the page.
	 */
	if (old & SPTE_PAGE && mmu->fmt->accessed && spte_was_accessed(mmu->fmt, old)) {
		struct folio *folio = page_folio(pfn_to_page(spte_pfn(old)));

		if (!folio_test_referenced(folio))
			folio_set_referenced(folio);
	}
}

static bool table_has_tables(u64 *table, int level)
{
	unsigned int i;

	if (level == 1)
		return false;
	for (i = 0; i < 512; i++) {
		if (spte_is_table(READ_ONCE(table[i]), level))
			return true;
	}
	return false;
}

/* Unlink the table below the entry at @it, unless the table points to other tables. */
static void zap_table(struct mmu_zap *z, struct iter *it)
{
	u64 *table = iter_table_of(it->val);
	unsigned int i;

	z->work += 512;
	if (table_has_tables(table, it->level - 1))
		return;
	xchg(it->entry, 0);
	for (i = 0; i < 512; i++) {
		if (READ_ONCE(table[i]))
			zap_entry(z, &table[i], it->level - 1);
	}
	/*
	 * Flush: paging-structure caches may hold the table's address, even if the table is empty.
	 */
	z->flush = true;
	list_add(&virt_to_page(table)->lru, &z->tables);
	tdp_count(z->mmu, OKVM_VM_STAT_TABLES, -1);
	tdp_account(table, -1);
	if (it->val & SPTE_NX_SPLIT)
		tdp_count(z->mmu, OKVM_VM_STAT_NX_SPLITS, -1);
	iter_reload(it);
}

/*
 * Zap the leaves of [@start, @end). Also zap each table below an entry at @level if the whole range
 * of the entry is inside [@start, @end).
 */
static void zap_pass(struct mmu_zap *z, gfn_t start, gfn_t end, int level)
{
	struct okvm_mmu_vm *mmu = z->mmu;
	struct iter it;

	iter_start(&it, mmu->root.table, mmu->root.level, level == 2 ? 1 : level, start, end);
	while (iter_valid(&it)) {
		zap_yield(z, &it);
		if (it.level == level && spte_is_table(it.val, level)) {
			if (iter_within(&it, start, end))
				zap_table(z, &it);
		} else if (it.val && !spte_is_table(it.val, it.level)) {
			zap_entry(z, it.entry, it.level);
		}
		iter_next(&it);
	}
}

void tdp_zap_begin(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield)
	__acquires(&mmu->lock)
{
	*z = (struct mmu_zap){ .mmu = mmu, .yield = yield, .tables = LIST_HEAD_INIT(z->tables) };
	write_lock(&mmu->lock);
}

void tdp_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end)
{
	int level;

	lockdep_assert_held_write(&z->mmu->lock);
	/*
	 * It is safe to yield here: the previous range is zapped, so the caller has made progress.
	 */
	if (z->work && zap_should_yield(z))
		zap_flush_and_yield(z);
	/* The pass at level 2 removes tables at level 1, and so on: the lowest tables go first. */
	for (level = 2; level <= z->mmu->root.level; level++) {
		zap_pass(z, start, end, level);
		if (end - start < spte_pages(level + 1))
			break;
	}
}

void tdp_zap_end(struct mmu_zap *z)
	__releases(&z->mmu->lock)
{
	zap_finish(z);
	write_unlock(&z->mmu->lock);
}

void tdp_zap_mmio(struct okvm_mmu_vm *mmu)
{
	struct mmu_zap z;
	struct iter it;

	tdp_zap_begin(&z, mmu, true);
	iter_start(&it, mmu->root.table, mmu->root.level, 1, 0, ~0ULL);
	while (iter_valid(&it)) {
		zap_yield(&z, &it);
		if (spte_is_mmio(it.val))
			zap_entry(&z, it.entry, it.level);
		iter_next(&it);
	}
	tdp_zap_end(&z);
}

/* Zap the table at @it and everything below it (up to 1 GiB), and move @it past the table. */
static void zap_below(struct mmu_zap *z, struct iter *it)
{
	gfn_t base = iter_base(it);
	gfn_t end = base + spte_pages(it->level);

	tdp_zap_range(z, base, end);
	/* Restart, because tdp_zap_range() may have freed tables to which @it points. */
	it->gfn = end;
	iter_restart(it);
}

void tdp_recover_nx(struct okvm_mmu_vm *mmu, u64 max)
{
	gfn_t start = mmu->nx_cursor;
	struct mmu_zap z;
	struct iter it;

	tdp_zap_begin(&z, mmu, true);
	/* Begin where the last call has ended, so that each table gets its turn. */
	iter_start(&it, mmu->root.table, mmu->root.level, 2, start, ~0ULL);
	while (max && iter_valid(&it)) {
		zap_yield(&z, &it);
		if (spte_is_table(it.val, it.level) && it.val & SPTE_NX_SPLIT) {
			zap_below(&z, &it);
			max--;
		} else {
			iter_next(&it);
		}
	}
	mmu->nx_cursor = iter_valid(&it) ? it.gfn : 0;
	tdp_zap_end(&z);
	/* Guest memory ends before @max tables were found: continue at frame 0. */
	if (max && start)
		tdp_recover_nx(mmu, max);
}

void tdp_collapse(struct okvm_mmu_vm *mmu, const struct okvm_memslot *slot)
{
	struct mmu_zap z;
	struct iter it;

	tdp_zap_begin(&z, mmu, true);
	iter_start(&it, mmu->root.table, mmu->root.level, 2, slot->base, slot->base + slot->npages);
	while (iter_valid(&it)) {
		zap_yield(&z, &it);
		if (it.level == 2 && spte_is_table(it.val, 2) &&
		    slot_holds_page(slot, it.gfn, 2) &&
		    hostmem_level(mmu->vm, okvm_slot_hva(slot, it.gfn)) > 1)
			zap_table(&z, &it);
		/* Do not visit the entries below level 2, which point to no tables. */
		if (it.level == 2)
			iter_skip(&it);
		else
			iter_next(&it);
	}
	tdp_zap_end(&z);
}

bool tdp_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear)
{
	bool young = false;
	struct iter it;

	read_lock(&mmu->lock);
	iter_for_each(&it, mmu->root.table, mmu->root.level, 1, start, end) {
		u64 old = it.val;

		if (!spte_is_leaf(old, it.level) || !spte_was_accessed(mmu->fmt, old))
			continue;
		young = true;
		if (!clear)
			break;
		/*
		 * If this fails, another CPU has just changed the entry. Leave it: the frame is in
		 * use.
		 */
		(void)try_cmpxchg(it.entry, &old, spte_age(mmu->fmt, old));
	}
	read_unlock(&mmu->lock);
	return young;
}

static void tdp_protect_entry(struct okvm_mmu_vm *mmu, u64 *entry, u64 old, int level)
{
	do {
		if (!spte_is_leaf(old, level) || !spte_is_writable(mmu->fmt, old))
			return;
	} while (!try_cmpxchg(entry, &old, spte_write_protect(mmu->fmt, old)));
}

void tdp_write_protect(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end)
{
	struct iter it;

	read_lock(&mmu->lock);
	iter_start(&it, mmu->root.table, mmu->root.level, 1, start, end);
	while (iter_valid(&it)) {
		if (iter_moved(&it) && (need_resched() || rwlock_needbreak(&mmu->lock))) {
			/*
			 * The lock may be dropped without a flush: no table was freed, and the
			 * caller flushes at the end.
			 */
			cond_resched_rwlock_read(&mmu->lock);
			iter_restart(&it);
		}
		tdp_protect_entry(mmu, it.entry, it.val, it.level);
		iter_reload(&it);
		iter_next(&it);
	}
	read_unlock(&mmu->lock);
}

/* Recursive: the depth is at most ITER_MAX_LEVEL. */
void tdp_free_tree(u64 *table, int level)
{
	unsigned int i;

	for (i = 0; level > 1 && i < 512; i++) {
		if (!spte_is_table(table[i], level))
			continue;
		tdp_account(iter_table_of(table[i]), -1);
		tdp_free_tree(iter_table_of(table[i]), level - 1);
	}
	free_page((unsigned long)table);
	cond_resched();
}

void tdp_free_all(struct okvm_mmu_vm *mmu)
{
	u64 *old = mmu->root.table;
	u64 *detached;
	unsigned int i;

	/*
	 * Under the lock, move only the entries of the root to another page. The tables are freed
	 * without the lock. Leaves need no work: their pages were marked dirty when they were
	 * mapped.
	 */
	detached = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	write_lock(&mmu->lock);
	for (i = 0; i < 512; i++)
		detached[i] = xchg(&old[i], 0);
	okvm_mmu_flush_vm(mmu->vm);
	write_unlock(&mmu->lock);
	synchronize_rcu();
	tdp_free_tree(detached, mmu->root.level);
	for (i = OKVM_VM_STAT_PAGES_4K; i <= OKVM_VM_STAT_NX_SPLITS; i++)
		atomic64_set(&mmu->vm->stat[i], 0);
}
