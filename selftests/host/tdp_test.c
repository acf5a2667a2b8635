// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two-dimensional paging, all of mmu/tdp.c, in a process where the test decides what happens in
 * between: another vCPU changes the entry that a fault has just judged; others wait for the lock,
 * always; while the lock is dropped somebody else removes everything. Tables are freed, and
 * poisoned by the sanitizer, as soon as they may be. When the lock is dropped, no leaf may be gone
 * of which the TLBs were not told.
 */
#include <stdlib.h>

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmstat.h>

#include "mmu/internal.h"
#include "test.h"

/* ---- the machine ---- */

static struct okvm_vm vm;
static struct okvm_mmu_vm mmu = {
	.vm = &vm, .fmt = &spte_fmt_ept, .root.level = 4, .max_level = 3,
};

static struct okvm_mmu_vcpu mv;
static struct okvm_vcpu vcpu = { .vm = &vm, .mmu = &mv };
static struct okvm_memslot slot = { .base = 0, .npages = 1ull << 30, .hva = 1ul << 40 };
static struct folio one_folio;

static int pages_allocated, tables_accounted;

static struct {
	bool resched;		/* always time to give way */
	bool contended;		/* always somebody who waits for the lock */
	unsigned int yields, flushes, asked;
	unsigned int asked_at_yield, longest;	/* in questions whether to give way */
	u64 leaves;		/* when the TLBs were last known to be right */
	void (*unlocked)(void);
} host;

void mmu_zap(struct okvm_mmu_vm *of, gfn_t start, gfn_t end, bool yield)
{
	struct mmu_zap z;

	tdp_zap_begin(&z, of, yield);
	tdp_zap_range(&z, start, end);
	tdp_zap_end(&z);
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	/* The struct page is behind it. */
	void *page = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);

	memset(page, 0, 2 * PAGE_SIZE);
	pages_allocated++;
	return (unsigned long)page;
}

void free_page(unsigned long addr)
{
	pages_allocated--;
	free((void *)addr);
}

struct page *pfn_to_page(unsigned long pfn)
{
	return NULL;
}

struct folio *page_folio(struct page *page)
{
	return &one_folio;
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	func(head);
}

void mod_lruvec_page_state(struct page *page, int item, int n)
{
	tables_accounted += n;
}

void okvm_mark_dirty(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn)
{
}

int hostmem_level(struct okvm_vm *vm, hva_t hva)
{
	return 2;
}

static u64 count_leaves(const u64 *table, int level)
{
	u64 n = 0;

	for (unsigned int i = 0; i < 512; i++) {
		if (spte_is_table(table[i], level))
			n += count_leaves(iter_table_of(table[i]), level - 1);
		else
			n += spte_valid(table[i]);
	}
	return n;
}

static void tlbs_are_right(void)
{
	host.leaves = count_leaves(mmu.root.table, mmu.root.level);
}

void okvm_mmu_flush_vm(struct okvm_vm *vm)
{
	host.flushes++;
	tlbs_are_right();
}

void read_lock(rwlock_t *lock)
{
	assert(!lock->writer);
	lock->readers++;
}

void read_unlock(rwlock_t *lock)
{
	assert(lock->readers-- > 0);
}

void write_lock(rwlock_t *lock)
{
	assert(!lock->writer && !lock->readers);
	lock->writer = true;
	tlbs_are_right();
}

void write_unlock(rwlock_t *lock)
{
	assert(lock->writer);
	EXPECT_EQ(count_leaves(mmu.root.table, mmu.root.level), host.leaves);
	lock->writer = false;
}

static int asked(bool answer)
{
	host.asked++;
	if (host.asked - host.asked_at_yield > host.longest)
		host.longest = host.asked - host.asked_at_yield;
	return answer;
}

int need_resched(void)
{
	return asked(host.resched);
}

int rwlock_needbreak(rwlock_t *lock)
{
	return host.contended;
}

static void somebody_else(void)
{
	void (*act)(void) = host.unlocked;

	host.yields++;
	host.asked_at_yield = host.asked;
	if (host.yields > 20000) {
		HOST_FAIL("a walk that gives way for ever");
		exit(1);
	}
	host.unlocked = NULL;
	if (act)
		act();
}

int cond_resched_rwlock_write(rwlock_t *lock)
{
	write_unlock(lock);
	somebody_else();
	write_lock(lock);
	return 1;
}

int cond_resched_rwlock_read(rwlock_t *lock)
{
	read_unlock(lock);
	somebody_else();
	read_lock(lock);
	return 1;
}

/* ---- changes between the look and the exchange ---- */

static struct {
	u64 *entry, val;
} plant;

static void planted(void)
{
	if (plant.entry)
		*plant.entry = plant.val;
	memset(&plant, 0, sizeof(plant));
}

#define WRAP(name, params, args)						\
	u64 __real_##name params;						\
	u64 __wrap_##name params;						\
	u64 __wrap_##name params						\
	{									\
		planted();							\
		return __real_##name args;					\
	}

WRAP(spte_leaf, (const struct spte_fmt *fmt, const struct spte_leaf *leaf), (fmt, leaf))
WRAP(spte_table, (const struct spte_fmt *fmt, u64 pa), (fmt, pa))
WRAP(spte_mmio, (u64 gen), (gen))
WRAP(spte_age, (const struct spte_fmt *fmt, u64 spte), (fmt, spte))
WRAP(spte_write_protect, (const struct spte_fmt *fmt, u64 spte), (fmt, spte))

/* ---- the steps of a test ---- */

static void start(void)
{
	memset(&vm, 0, sizeof(vm));
	memset(&host, 0, sizeof(host));
	memset(&mv, 0, sizeof(mv));
	vm.mmu = &mmu;
	mmu.root.table = (u64 *)get_zeroed_page(0);
	mmu.nx_cursor = 0;
	mmu.nx_huge = false;
}

/* Everything that was made is gone, and every counter knows. */
static void end(void)
{
	memset(&host, 0, sizeof(host));
	mmu_zap(&mmu, 0, ~0ull, false);
	for (int i = OKVM_VM_STAT_PAGES_4K; i <= OKVM_VM_STAT_NX_SPLITS; i++)
		EXPECT_EQ(atomic64_read(&vm.stat[i]), 0);
	tdp_free_tree(mmu.root.table, mmu.root.level);
	while (mv.nr_spare)
		free_page((unsigned long)mv.spare[--mv.nr_spare]);
	EXPECT_EQ(pages_allocated, 0);
	EXPECT_EQ(tables_accounted, 0);
}

static void fill_spare(void)
{
	while (mv.nr_spare < mmu.root.level - 1)
		mv.spare[mv.nr_spare++] = (u64 *)get_zeroed_page(0);
}

static void map_as(gfn_t gfn, int level, int nx_level, u8 need)
{
	struct okvm_fault f = {
		.vcpu = &vcpu, .gfn = gfn, .need = need, .slot = &slot,
		.pfn = gfn + (1 << 20), .writable = true, .level = level, .nx_level = nx_level,
	};

	fill_spare();
	read_lock(&mmu.lock);
	tdp_map(&f);
	read_unlock(&mmu.lock);
}

static void map(gfn_t gfn, int level)
{
	map_as(gfn, level, 0, SPTE_READ | SPTE_WRITE);
}

/* The entry at @level on the way to @gfn, whose tables are there. */
static u64 *entry_of(gfn_t gfn, int level)
{
	u64 *table = mmu.root.table;

	for (int at = mmu.root.level; at > level; at--)
		table = iter_table_of(table[spte_index(gfn, at)]);
	return &table[spte_index(gfn, level)];
}

static u64 count(int stat)
{
	return atomic64_read(&vm.stat[stat]);
}

/* A table as another vCPU has linked it, for which @entry has room; it holds @leaf. */
static u64 others_table(u64 leaf)
{
	u64 *table = (u64 *)get_zeroed_page(0);

	table[0] = leaf;
	tables_accounted++;
	atomic64_add(1, &vm.stat[OKVM_VM_STAT_TABLES]);
	if (leaf)
		atomic64_add(1, &vm.stat[OKVM_VM_STAT_PAGES_4K]);
	return __real_spte_table(&spte_fmt_ept, __pa(table));
}

static u64 small_leaf(u64 pfn)
{
	struct spte_leaf leaf = {
		.pfn = pfn, .level = 1, .access = SPTE_READ | SPTE_WRITE, .host_write = true,
	};

	return __real_spte_leaf(&spte_fmt_ept, &leaf);
}

/* ---- the value that is replaced is the value that was judged ---- */

TEST(a_table_that_comes_before_a_huge_leaf_stays)
{
	u64 *entry, table;

	start();
	map(1 << 10, 1);		/* the tables down to level 2 are there */
	entry = entry_of(0, 2);
	EXPECT_EQ(*entry, 0);
	table = others_table(small_leaf(7));
	plant.entry = entry;
	plant.val = table;
	map(0, 2);
	EXPECT_EQ(*entry, table);
	EXPECT_EQ(count(OKVM_VM_STAT_PAGES_2M), 0);
	/* The next fault finds it. */
	map(1, 2);
	EXPECT_EQ(*entry, table);
	EXPECT_EQ(count(OKVM_VM_STAT_PAGES_4K), 3);
	end();
}

TEST(a_table_that_replaces_a_huge_leaf_stays)
{
	u64 *entry, table;

	start();
	map_as(0, 2, 0, SPTE_READ);
	entry = entry_of(0, 2);
	/* Split by another vCPU while this one makes the huge page writable. */
	*entry = __real_spte_write_protect(mmu.fmt, *entry);
	table = others_table(small_leaf(7));
	plant.entry = entry;
	plant.val = table;
	map(0, 2);
	EXPECT_EQ(*entry, table);
	/* What the other vCPU would have counted. */
	atomic64_add(-1, &vm.stat[OKVM_VM_STAT_PAGES_2M]);
	end();
}

TEST(a_leaf_that_comes_before_a_table_stays)
{
	u64 *entry, leaf;

	start();
	map(1 << 10, 1);
	entry = entry_of(0, 2);
	leaf = small_leaf(1 << 20) | SPTE_HUGE;
	atomic64_add(1, &vm.stat[OKVM_VM_STAT_PAGES_2M]);
	plant.entry = entry;
	plant.val = leaf;
	map(0, 1);
	EXPECT_EQ(*entry, leaf);
	/* It is split by the next fault, and nothing of it is lost. */
	map(0, 1);
	EXPECT_EQ(count(OKVM_VM_STAT_PAGES_4K), 1 + 512);
	EXPECT_EQ(count(OKVM_VM_STAT_PAGES_2M), 0);
	end();
}

TEST(a_table_that_comes_before_a_table_is_used)
{
	u64 *entry, table;

	start();
	map(1 << 10, 1);
	entry = entry_of(0, 2);
	table = others_table(0);
	plant.entry = entry;
	plant.val = table;
	map(0, 1);
	EXPECT_EQ(*entry, table);
	EXPECT(spte_is_leaf(*entry_of(0, 1), 1));
	end();
}

TEST(a_leaf_that_comes_before_an_mmio_entry_stays)
{
	struct okvm_fault f = { .vcpu = &vcpu, .gfn = 1, .need = SPTE_READ, .gen = 4 };
	u64 *entry;

	start();
	map(0, 1);
	entry = entry_of(1, 1);
	plant.entry = entry;
	plant.val = small_leaf(9);
	atomic64_add(1, &vm.stat[OKVM_VM_STAT_PAGES_4K]);
	fill_spare();
	read_lock(&mmu.lock);
	tdp_map_mmio(&f);
	EXPECT_EQ(*entry, small_leaf(9));
	/* Nothing in between: the entry is made. */
	atomic64_add(-1, &vm.stat[OKVM_VM_STAT_PAGES_4K]);
	*entry = 0;
	tdp_map_mmio(&f);
	EXPECT(spte_is_mmio(*entry));
	read_unlock(&mmu.lock);
	end();
}

TEST(an_entry_that_goes_is_not_aged_or_protected_back)
{
	u64 *entry;

	start();
	map(0, 1);
	entry = entry_of(0, 1);
	plant.entry = entry;
	EXPECT(tdp_age(&mmu, 0, 1, true));
	EXPECT_EQ(*entry, 0);
	*entry = small_leaf(3);
	plant.entry = entry;
	tdp_write_protect(&mmu, 0, 1);
	EXPECT_EQ(*entry, 0);
	atomic64_add(-1, &vm.stat[OKVM_VM_STAT_PAGES_4K]);
	end();
}

/* A huge leaf that is split while it is protected: its pages are protected. */
TEST(what_a_split_makes_is_protected_too)
{
	u64 *entry, table;

	start();
	map(0, 2);
	entry = entry_of(0, 2);
	table = others_table(small_leaf(1 << 20));
	plant.entry = entry;
	plant.val = table;
	tdp_write_protect(&mmu, 0, 512);
	EXPECT_EQ(*entry & SPTE_ADDR, table & SPTE_ADDR);
	EXPECT(!spte_is_writable(mmu.fmt, *entry_of(0, 1)));
	atomic64_add(-1, &vm.stat[OKVM_VM_STAT_PAGES_2M]);
	end();
}

/* ---- those who give way ---- */

#define SOME	(3 * 512u)

static void map_some(void)
{
	for (gfn_t gfn = 0; gfn < SOME; gfn++)
		map(gfn, 1);
}

TEST(a_zap_that_always_has_to_give_way_ends)
{
	start();
	map_some();
	host.resched = true;
	mmu_zap(&mmu, 0, SOME, true);
	EXPECT(host.yields > 0);
	EXPECT(host.yields <= 2 * SOME);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), 0);
	end();
}

TEST(a_zap_of_part_of_a_table_ends)
{
	start();
	map_some();
	host.resched = true;
	mmu_zap(&mmu, 5, 500, true);
	EXPECT(host.yields <= 500);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), SOME - 495);
	end();
}

TEST(others_who_wait_make_turns_not_short)
{
	start();
	map_some();
	host.contended = true;
	mmu_zap(&mmu, 5, SOME - 5, true);
	EXPECT(host.yields >= 1);
	EXPECT(host.yields <= 2 * SOME / 512 + 2);
	EXPECT(host.flushes <= host.yields + 1);
	end();
}

TEST(a_zap_that_may_not_give_way_does_not)
{
	start();
	map_some();
	host.resched = true;
	host.contended = true;
	mmu_zap(&mmu, 0, ~0ull, false);
	EXPECT_EQ(host.yields, 0);
	EXPECT_EQ(host.flushes, 1);
	end();
}

TEST(write_protection_that_always_has_to_give_way_ends)
{
	start();
	map_some();
	host.resched = true;
	tdp_write_protect(&mmu, 0, SOME);
	EXPECT(host.yields > 0);
	EXPECT(host.yields <= 2 * SOME);
	for (gfn_t gfn = 0; gfn < SOME; gfn++)
		EXPECT(!spte_is_writable(mmu.fmt, *entry_of(gfn, 1)));
	end();
}

TEST(mmio_entries_go_however_often_others_come_first)
{
	struct okvm_fault f = { .vcpu = &vcpu, .gfn = 700, .need = SPTE_READ, .gen = 4 };

	start();
	map_some();
	*entry_of(700, 1) = 0;
	atomic64_add(-1, &vm.stat[OKVM_VM_STAT_PAGES_4K]);
	fill_spare();
	read_lock(&mmu.lock);
	tdp_map_mmio(&f);
	read_unlock(&mmu.lock);
	host.resched = true;
	tdp_zap_mmio(&mmu);
	EXPECT_EQ(*entry_of(700, 1), 0);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), SOME - 1);
	end();
}

TEST(tables_are_collapsed_however_often_others_come_first)
{
	start();
	map_some();
	host.resched = true;
	tdp_collapse(&mmu, &slot);
	EXPECT(host.yields > 0);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), 0);
	end();
}

/* ---- many slots that share a page ---- */

#define ALIASES	32764u

static void map_aliases(void)
{
	for (gfn_t i = 0; i < ALIASES; i++)
		map(2 * i, 1);
}

static void zap_aliases(bool yield)
{
	struct mmu_zap zap;

	tdp_zap_begin(&zap, &mmu, yield);
	for (gfn_t i = 0; i < ALIASES; i++)
		tdp_zap_range(&zap, 2 * i, 2 * i + 1);
	tdp_zap_end(&zap);
}

TEST(one_flush_for_all_ranges)
{
	start();
	map_aliases();
	zap_aliases(false);
	EXPECT_EQ(host.flushes, 1);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), 0);
	end();
}

TEST(many_ranges_give_way_in_between)
{
	start();
	map_aliases();
	host.contended = true;
	zap_aliases(true);
	EXPECT(host.yields >= ALIASES / 512);
	EXPECT(host.longest <= 1024);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), 0);
	end();
}

/* ---- huge pages that are put together again ---- */

#define GIGABYTE	(1u << 18)

/* A gigabyte that was split for a fetch, and all of it used since. */
static void split_gigabyte(void)
{
	mmu.nx_huge = true;
	map(0, 3);
	for (gfn_t gfn = 0; gfn < GIGABYTE; gfn += 512)
		map_as(gfn, 1, 3, SPTE_READ | SPTE_EXEC);
	EXPECT_EQ(count(OKVM_VM_STAT_PAGES_4K), GIGABYTE);
	EXPECT_EQ(count(OKVM_VM_STAT_NX_SPLITS), 513);
}

TEST(a_gigabyte_is_recovered_in_turns)
{
	start();
	split_gigabyte();
	host.contended = true;
	tdp_recover_nx(&mmu, 1);
	EXPECT(host.yields >= 512 / 2);
	EXPECT(host.longest <= 1024);
	EXPECT_EQ(count(OKVM_VM_STAT_NX_SPLITS), 0);
	EXPECT_EQ(count(OKVM_VM_STAT_PAGES_4K), 0);
	end();
}

TEST(a_recovery_that_always_has_to_give_way_ends)
{
	start();
	mmu.nx_huge = true;
	for (gfn_t gfn = 0; gfn < 64 * 512; gfn += 512)
		map_as(gfn, 1, 2, SPTE_READ | SPTE_EXEC);
	host.resched = true;
	tdp_recover_nx(&mmu, 64);
	EXPECT_EQ(count(OKVM_VM_STAT_NX_SPLITS), 0);
	EXPECT(host.yields > 0);
	end();
}

/* ---- the lock is dropped, and somebody else removes everything ---- */

static void remove_all(void)
{
	bool resched = host.resched, contended = host.contended;

	host.resched = false;
	host.contended = false;
	mmu_zap(&mmu, 0, ~0ull, false);
	host.resched = resched;
	host.contended = contended;
}

TEST(nobody_stands_in_a_table_that_is_gone)
{
	start();
	map_some();
	host.resched = true;
	host.unlocked = remove_all;
	mmu_zap(&mmu, 5, SOME, true);
	EXPECT(!host.unlocked);
	map_some();
	host.unlocked = remove_all;
	tdp_write_protect(&mmu, 0, SOME);
	EXPECT(!host.unlocked);
	map_some();
	host.unlocked = remove_all;
	tdp_collapse(&mmu, &slot);
	EXPECT(!host.unlocked);
	map_some();
	host.unlocked = remove_all;
	tdp_zap_mmio(&mmu);
	EXPECT(!host.unlocked);
	mmu.nx_huge = true;
	for (gfn_t gfn = 0; gfn < 64 * 512; gfn += 512)
		map_as(gfn, 1, 2, SPTE_READ | SPTE_EXEC);
	host.unlocked = remove_all;
	tdp_recover_nx(&mmu, 64);
	EXPECT(!host.unlocked);
	end();
}

/* Within the gigabyte, of which the walk over tables knows nothing. */
TEST(nor_within_a_gigabyte_that_is_recovered)
{
	start();
	split_gigabyte();
	host.contended = true;
	host.unlocked = remove_all;
	tdp_recover_nx(&mmu, 2);
	EXPECT(!host.unlocked);
	EXPECT_EQ(count_leaves(mmu.root.table, 4), 0);
	end();
}
