// SPDX-License-Identifier: GPL-2.0-only
/* Allocate, look up, link and zap shadow tables, also for the shrinker. See shadow.h. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "core/compat.h"
#include "mmu/shadow.h"

static void shadow_count(struct shadow_vm *sh, int what, long n)
{
	atomic64_add(n, &sh->mmu->vm->stat[what]);
}

struct hlist_head *shadow_bucket(struct shadow_vm *sh, gfn_t gfn)
{
	/* A random factor per VM: a guest cannot choose frames that all hash to one bucket. */
	return &sh->table[gfn * sh->hash >> (64 - SHADOW_BUCKET_BITS)];
}

/* ---- memory ---- */

static int table_number(struct shadow_vm *sh, struct shadow_table *t)
{
	int id = ida_alloc_range(&sh->ids, 1, SHADOW_MAX_TABLES, GFP_KERNEL_ACCOUNT);
	struct shadow_table **chunk, **old = NULL;

	if (id < 0)
		return id;
	t->id = id;
	if (!READ_ONCE(sh->chunk[id / SHADOW_IDS_PER_CHUNK])) {
		chunk = kcalloc(SHADOW_IDS_PER_CHUNK, sizeof(*chunk), GFP_KERNEL_ACCOUNT);
		if (!chunk)
			return -ENOMEM;
		/* If another vCPU has installed a chunk first, use that chunk. */
		if (!try_cmpxchg(&sh->chunk[id / SHADOW_IDS_PER_CHUNK], &old, chunk))
			kfree(chunk);
	}
	sh->chunk[id / SHADOW_IDS_PER_CHUNK][id % SHADOW_IDS_PER_CHUNK] = t;
	return 0;
}

void shadow_free_table(struct shadow_vm *sh, struct shadow_table *t)
{
	if (t->id)
		ida_free(&sh->ids, t->id);
	free_page((unsigned long)t->entry);
	kfree(t->what);
	kfree(t->link);
	kfree(t);
}

/*
 * Keep @t for table_take(), or free @t if SHADOW_POOL tables are kept already. All entries of @t
 * were dropped, and no CPU walks @t any more. To allocate a table anew and to fill it with zeros
 * would take longer than most faults.
 */
static void table_put(struct shadow_vm *sh, struct shadow_table *t)
{
	const struct shadow_table clean = {
		.entry = t->entry, .what = t->what, .link = t->link, .id = t->id,
	};

	lockdep_assert_held_write(&sh->mmu->lock);
	if (sh->nr_pool >= SHADOW_POOL) {
		shadow_free_table(sh, t);
		return;
	}
	*t = clean;
	list_add(&t->all, &sh->pool);
	sh->nr_pool++;
}

static void pool_free(struct shadow_vm *sh)
{
	struct shadow_table *t, *next;

	list_for_each_entry_safe(t, next, &sh->pool, all)
		shadow_free_table(sh, t);
	INIT_LIST_HEAD(&sh->pool);
	sh->nr_pool = 0;
}

/* Return an empty table from the pool, or else one of the vCPU's spare tables. */
static struct shadow_table *table_take(struct shadow_vm *sh, struct shadow_vcpu *sv)
{
	struct shadow_table *t = list_first_entry_or_null(&sh->pool, struct shadow_table, all);

	if (!t)
		return sv->spare[--sv->nr_spare];
	list_del(&t->all);
	sh->nr_pool--;
	return t;
}

static struct shadow_table *table_alloc(struct shadow_vm *sh)
{
	struct shadow_table *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	t->entry = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	t->what = kcalloc(SHADOW_ENTRIES, sizeof(*t->what), GFP_KERNEL_ACCOUNT);
	if (!t->entry || !t->what || table_number(sh, t)) {
		shadow_free_table(sh, t);
		return NULL;
	}
	set_page_private(virt_to_page(t->entry), (unsigned long)t);
	return t;
}

int shadow_fill_spare(struct okvm_vcpu *vcpu)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;

	while (sv->nr_spare < SHADOW_SPARE) {
		struct shadow_table *t = table_alloc(shadow_of(vcpu));

		if (!t)
			return -ENOMEM;
		sv->spare[sv->nr_spare++] = t;
	}
	while (sv->nr_spare_link < SHADOW_SPARE_LINKS) {
		struct shadow_link *link = kcalloc(SHADOW_ENTRIES, sizeof(*link),
						   GFP_KERNEL_ACCOUNT);

		if (!link)
			return -ENOMEM;
		sv->spare_link[sv->nr_spare_link++] = link;
	}
	return 0;
}

/* ---- flushes and entries ---- */

void shadow_flush(struct shadow_vm *sh)
{
	struct okvm_vm *vm = sh->mmu->vm;
	u64 vcpus;

	lockdep_assert_held_write(&sh->mmu->lock);
	vcpus = atomic64_xchg(&sh->stale, 0);
	sh->climbed = 0;
	if (vcpus) {
		atomic64_inc(&vm->stat[OKVM_VM_STAT_TLB_FLUSHES]);
		okvm_request_some(vm, OKVM_REQ_TLB_FLUSH, vcpus, true);
	}
	sh->epoch++;
	WRITE_ONCE(sh->wide, false);
}

/* Return the set of all vCPUs of the VM. */
static u64 left_all(const struct okvm_vm *vm)
{
	u32 n = READ_ONCE(vm->created_vcpus);

	return n < 64 ? BIT_ULL(n) - 1 : OKVM_VCPUS_ALL;
}

void shadow_left(struct shadow_vm *sh, struct shadow_table *t)
{
	u64 all = left_all(sh->mmu->vm), vcpus;
	struct shadow_climb climb = climb_start(t);

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!(all & ~atomic64_read(&sh->stale)))
		return;
	/*
	 * Do not search for the roots that lead to @t if the VM has one vCPU, which is cheap to
	 * flush, or if the searches since the last flush have taken SHADOW_CLIMBED steps. Assume
	 * that all vCPUs have such a root.
	 */
	if (all == 1 || sh->climbed > SHADOW_CLIMBED) {
		atomic64_or(all, &sh->stale);
		return;
	}
	vcpus = atomic64_read(&t->vcpus);
	while (all & ~vcpus && (t = climb_next(sh, &climb)))
		vcpus |= climb.hops > SHADOW_HOPS ? all : atomic64_read(&t->vcpus);
	sh->climbed += climb.hops;
	/* Write only if sh->stale changes: vCPUs in other address spaces read this cache line. */
	if (vcpus & ~atomic64_read(&sh->stale))
		atomic64_or(vcpus, &sh->stale);
}

/*
 * Clear entry @i of @t, and take it out of its chain. The caller then calls shadow_left() for @t.
 * Return: false if the entry was neither a leaf nor a link to a table
 */
static bool drop_entry(struct shadow_vm *sh, struct shadow_table *t, unsigned int i)
{
	int level = role_level(t->role);
	u64 old;

	lockdep_assert_held_write(&sh->mmu->lock);
	/* Use xchg(), because hardware may set accessed and dirty bits at the same time. */
	old = xchg(&t->entry[i], 0);
	if (!spte_valid(old)) {
		WRITE_ONCE(t->what[i], 0);
		return false;
	}
	/*
	 * The entry may be for a large page of the guest. TLBs may hold many small translations of
	 * this page. One INVLPG of the guest must flush all of them, but an INVLPG of the CPU
	 * flushes only one. So let the guest's next INVLPG flush everything.
	 */
	if (level > 1 || table_is_direct(t))
		WRITE_ONCE(sh->wide, true);
	if (spte_is_table(old, level)) {
		link_del(sh, &table_child(sh, t, i)->parents, t, i);
		return true;
	}
	rmap_remove(sh, t, i, old);
	shadow_count(sh, OKVM_VM_STAT_PAGES_4K + level - 1, -1);
	return true;
}

bool shadow_drop(struct shadow_vm *sh, struct shadow_table *t, unsigned int i)
{
	if (!drop_entry(sh, t, i))
		return false;
	shadow_left(sh, t);
	return true;
}

/* ---- finding and making ---- */

static struct shadow_table *table_find(struct shadow_vm *sh, gfn_t gfn, u32 role)
{
	struct shadow_table *t;

	hlist_for_each_entry(t, shadow_bucket(sh, gfn), bucket) {
		if (t->gfn == gfn && t->role == role)
			return t;
	}
	return NULL;
}

/* Count a new shadow table of @gfn, and write-protect @gfn, so that okvm sees each write to it. */
static void table_protect(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);

	b->nr_shadowed++;
	/*
	 * Pairs with shadow_wrote(): either shadow_wrote() sees this bit, or this thread reads what
	 * the emulator has written.
	 */
	__set_bit(gfn & (SHADOW_ENTRIES - 1), b->shadowed);
	smp_mb(); /* pairs with smp_mb() in shadow_wrote() */
	if (rmap_protect(sh, gfn))
		shadow_flush(sh);
}

/* Return the number of tables that shadow @gfn; direct tables do not count. */
static unsigned int table_count(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;
	unsigned int n = 0;

	shadow_for_each(t, next, sh, gfn)
		n++;
	return n;
}

/*
 * Return true if no table may be made for @gfn: @gfn has no struct shadow_block, or has SHADOW_SAME
 * tables already. In the second case the next shadow_make_room() zaps these tables.
 */
static bool table_refused(struct shadow_vm *sh, gfn_t gfn)
{
	const struct shadow_block *b = block_of(sh, gfn);

	if (!b)
		return true;
	if (!block_shadowed(b, gfn) || table_count(sh, gfn) < SHADOW_SAME)
		return false;
	sh->crowded = gfn;
	return true;
}

static struct shadow_table *table_make(struct okvm_vcpu *vcpu, gfn_t gfn, u32 role)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;
	struct shadow_vm *sh = shadow_of(vcpu);
	struct shadow_table *t;

	if (OKVM_BUG_ON(vcpu->vm, !sv->nr_spare) ||
	    (!(role & ROLE_DIRECT) && table_refused(sh, gfn)))
		return NULL;
	t = table_take(sh, sv);
	t->gfn = gfn;
	t->role = role;
	t->used = true;
	t->born = sh->zaps;
	hlist_add_head(&t->bucket, shadow_bucket(sh, gfn));
	list_add_tail(&t->all, &sh->tables);
	sh->nr_tables++;
	shadow_count(sh, OKVM_VM_STAT_TABLES, 1);
	mod_lruvec_page_state(virt_to_page(t->entry), NR_SECONDARY_PAGETABLE, 1);
	if (!table_is_direct(t))
		table_protect(sh, gfn);
	return t;
}

struct shadow_table *shadow_get(struct okvm_vcpu *vcpu, gfn_t gfn, u32 role)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	struct shadow_table *t = table_find(sh, gfn, role);

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!t)
		return table_make(vcpu, gfn, role);
	/*
	 * The caller is going to link @t below a new parent. This makes addresses present, for
	 * which the guest need not flush. So synchronize @t and the tables below @t here, instead
	 * of at a flush.
	 */
	sync_below(vcpu, t);
	return t;
}

/* ---- zapping ---- */

/*
 * Return true if a table shadows @gfn. When all tables of a frame are removed, this function is
 * called once per table. To count the remaining tables each time would take long.
 */
static bool table_any(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;

	shadow_for_each(t, next, sh, gfn)
		return true;
	return false;
}

/*
 * A shadow table of @gfn was removed from its bucket: decrement the count of the block. If it was
 * the last one of @gfn, clear the bit of @gfn in b->shadowed.
 */
static void table_unprotect(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);

	b->nr_shadowed--;
	if (!table_any(sh, gfn))
		__clear_bit(gfn & (SHADOW_ENTRIES - 1), b->shadowed);
}

void shadow_mark_nx_split(struct shadow_vm *sh, struct shadow_table *t)
{
	lockdep_assert_held_write(&sh->mmu->lock);
	if (t->nx_split)
		return;
	t->nx_split = true;
	list_add_tail(&t->nx_node, &sh->nx_splits);
	sh->nr_nx_splits++;
	shadow_count(sh, OKVM_VM_STAT_NX_SPLITS, 1);
}

void shadow_mark_mmio(struct shadow_vm *sh, struct shadow_table *t)
{
	lockdep_assert_held_write(&sh->mmu->lock);
	if (t->mmio)
		return;
	t->mmio = true;
	list_add_tail(&t->mmio_node, &sh->mmio);
	sh->nr_mmio++;
}

static void table_unmark(struct shadow_vm *sh, struct shadow_table *t)
{
	if (t->mmio) {
		list_del(&t->mmio_node);
		sh->nr_mmio--;
	}
	if (!t->nx_split)
		return;
	list_del(&t->nx_node);
	sh->nr_nx_splits--;
	shadow_count(sh, OKVM_VM_STAT_NX_SPLITS, -1);
}

/* Clear all entries of @t and all entries that point to @t. */
static void table_isolate(struct shadow_vm *sh, struct shadow_table *t)
{
	unsigned int i;

	for (i = shadow_used(t, 0); i < SHADOW_ENTRIES; i = shadow_used(t, i + 1))
		drop_entry(sh, t, i);
	shadow_left(sh, t);
	chain_drop(sh, &t->parents);
}

void shadow_zap_table(struct mmu_zap *z, struct shadow_table *t)
{
	struct shadow_vm *sh = z->mmu->shadow;

	lockdep_assert_held_write(&sh->mmu->lock);
	table_isolate(sh, t);
	hlist_del(&t->bucket);
	list_del(&t->all);
	sync_forget(sh, t);
	if (!table_is_direct(t))
		table_unprotect(sh, t->gfn);
	sh->nr_tables--;
	shadow_count(sh, OKVM_VM_STAT_TABLES, -1);
	table_unmark(sh, t);
	mod_lruvec_page_state(virt_to_page(t->entry), NR_SECONDARY_PAGETABLE, -1);
	WRITE_ONCE(t->dead, true);
	sh->nr_pinned -= !!t->roots;
	z->flush = true;
	if (!t->roots) {
		list_add(&t->all, &z->tables);
		return;
	}
	/*
	 * Make the vCPUs in t->vcpus, whose roots contain @t, load new roots before they enter the
	 * guest again. The barrier pairs with root_enter(): if this thread does not see a vCPU's
	 * bit in t->vcpus, root_enter() on that vCPU sees that @t is dead.
	 */
	smp_mb();
	okvm_request_some(sh->mmu->vm, OKVM_REQ_MMU_RELOAD, atomic64_read(&t->vcpus), false);
}

void shadow_zap_start(struct mmu_zap *z, struct shadow_vm *sh)
{
	*z = (struct mmu_zap){ .mmu = sh->mmu, .tables = LIST_HEAD_INIT(z->tables) };
}

void shadow_zap_finish(struct mmu_zap *z)
{
	struct shadow_table *t, *next;
	struct shadow_vm *sh = z->mmu->shadow;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (z->flush)
		shadow_flush(sh);
	z->flush = false;
	z->work = 0;
	list_for_each_entry_safe(t, next, &z->tables, all) {
		list_del(&t->all);
		table_put(sh, t);
	}
}

void shadow_put_root(struct shadow_vm *sh, struct shadow_table *t)
{
	lockdep_assert_held_write(&sh->mmu->lock);
	if (--t->roots)
		return;
	/* If @t was zapped, no entry points to it, and now no root uses it: no CPU walks it. */
	if (t->dead)
		table_put(sh, t);
	else
		sh->nr_pinned--;
}

void shadow_get_root(struct shadow_vm *sh, struct shadow_table *t)
{
	lockdep_assert_held_write(&sh->mmu->lock);
	if (!t->roots++)
		sh->nr_pinned++;
}

/* Yield mmu->lock to waiting threads only after this many entries were looked at. */
#define ZAP_TURN	4096

bool shadow_zap_yield(struct mmu_zap *z, unsigned int work)
{
	z->work += work;
	if (!z->yield || !(need_resched() ||
			   (z->work >= ZAP_TURN && rwlock_needbreak(&z->mmu->lock))))
		return false;
	shadow_zap_finish(z);
	cond_resched_rwlock_write(&z->mmu->lock);
	return true;
}

/* How many tables one call of shadow_reclaim() zaps at most, and how many it looks at. */
#define RECLAIM_TURN	64
#define RECLAIM_LOOKS	4096

/*
 * Zap up to @n tables from the beginning of sh->tables. A root, and a table that was used since
 * this function last looked at it, are moved to the end of the list instead. Return: the number of
 * zapped tables
 */
static unsigned long shadow_reclaim(struct mmu_zap *z, unsigned long n)
{
	struct shadow_vm *sh = z->mmu->shadow;
	unsigned long looks = min_t(unsigned long, 2 * sh->nr_tables, RECLAIM_LOOKS), left = n;

	while (left && looks-- && !list_empty(&sh->tables)) {
		struct shadow_table *t = list_first_entry(&sh->tables, struct shadow_table, all);

		if (t->used || t->roots) {
			t->used = false;
			list_move_tail(&t->all, &sh->tables);
			continue;
		}
		shadow_zap_table(z, t);
		left--;
	}
	return n - left;
}

/*
 * Return the limit of shadow tables. Without KVM_SET_NR_MMU_PAGES it is 2 % of the memory that the
 * guest has used; upstream takes 2 % of all memory slots.
 */
static unsigned long shadow_limit(struct shadow_vm *sh)
{
	unsigned long max = sh->max_tables;

	if (!max)
		max = atomic64_read(&sh->nr_blocks) * SHADOW_ENTRIES / 50;
	return clamp_t(unsigned long, max, SHADOW_MIN_TABLES, SHADOW_MAX_TABLES) - SHADOW_SPARE;
}

bool shadow_make_room(struct shadow_vm *sh)
{
	unsigned long limit = shadow_limit(sh), nr = sh->nr_tables - sh->nr_pinned, gone = 0;
	struct mmu_zap z;

	lockdep_assert_held_write(&sh->mmu->lock);
	/*
	 * nr does not include roots (nr_pinned), which cannot be reclaimed. If roots counted, a VM
	 * with as many roots as the limit could keep no other tables.
	 */
	if (likely(nr <= limit && sh->crowded == SHADOW_NOT_CROWDED))
		return false;
	shadow_zap_start(&z, sh);
	if (sh->crowded != SHADOW_NOT_CROWDED)
		shadow_zap_frame(&z, sh->crowded);
	sh->crowded = SHADOW_NOT_CROWDED;
	/*
	 * Zap the excess and another 1/16 of the limit, so that the next call comes later: every
	 * call costs a TLB flush.
	 */
	if (nr > limit)
		gone = shadow_reclaim(&z, min(nr - limit + limit / 16, RECLAIM_TURN + 0ul));
	shadow_zap_finish(&z);
	return gone;
}

void shadow_set_limit(struct okvm_mmu_vm *mmu, unsigned long pages)
{
	struct shadow_vm *sh = mmu->shadow;

	write_lock(&mmu->lock);
	sh->max_tables = pages;
	while (shadow_make_room(sh))
		cond_resched_rwlock_write(&mmu->lock);
	write_unlock(&mmu->lock);
}

/* ---- zapping many tables ---- */

void shadow_zap_begin(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield)
	__acquires(&mmu->lock)
{
	write_lock(&mmu->lock);
	shadow_zap_start(z, mmu->shadow);
	z->yield = yield;
}

void shadow_zap_end(struct mmu_zap *z)
	__releases(&z->mmu->lock)
{
	shadow_zap_finish(z);
	write_unlock(&z->mmu->lock);
}

/*
 * Zap the first @n tables of @list; @node is the offset of the list node in a table. While the lock
 * is dropped, other threads may add tables at the end and take some away.
 */
static void zap_listed(struct mmu_zap *z, struct list_head *list, size_t node, u64 n)
{
	for (; n && !list_empty(list); n--) {
		shadow_zap_table(z, (void *)list->next - node);
		shadow_zap_yield(z, SHADOW_ENTRIES);
	}
}

/*
 * Zap the tables that exist now. vCPUs may make new tables while mmu->lock is dropped. Do not zap
 * those, because the loop might not end. Therefore move the existing tables to the list
 * sh->condemned.
 *
 * While the lock is dropped, another call may append newer tables to this list. The oldest tables
 * come first, so the loop ends at the first table that is newer than this call.
 */
void shadow_zap_all(struct mmu_zap *z)
{
	struct shadow_vm *sh = z->mmu->shadow;
	struct shadow_table *t;
	u64 call = ++sh->zaps;

	list_splice_tail_init(&sh->tables, &sh->condemned);
	for (;;) {
		t = list_first_entry_or_null(&sh->condemned, struct shadow_table, all);
		if (!t || t->born >= call)
			return;
		shadow_zap_table(z, t);
		shadow_zap_yield(z, SHADOW_ENTRIES);
	}
}

unsigned int shadow_zap_frame(struct mmu_zap *z, gfn_t gfn)
{
	struct shadow_table *t;
	struct hlist_node *next;
	unsigned int n = 0;

	shadow_for_each(t, next, z->mmu->shadow, gfn) {
		shadow_zap_table(z, t);
		n++;
	}
	return n;
}

void shadow_free_all(struct okvm_mmu_vm *mmu)
{
	struct mmu_zap z;

	shadow_zap_begin(&z, mmu, true);
	shadow_zap_all(&z);
	shadow_zap_end(&z);
}

bool shadow_unprotect(struct okvm_vm *vm, gfn_t gfn)
{
	struct mmu_zap z;
	bool any;

	shadow_zap_begin(&z, vm->mmu, false);
	any = shadow_zap_frame(&z, gfn);
	shadow_zap_end(&z);
	return any;
}

/*
 * Zap the whole tables that may contain MMIO entries. There are few such tables, and page faults
 * map their other pages again.
 */
void shadow_zap_mmio(struct okvm_mmu_vm *mmu)
{
	struct shadow_vm *sh = mmu->shadow;
	struct mmu_zap z;

	shadow_zap_begin(&z, mmu, true);
	zap_listed(&z, &sh->mmio, offsetof(struct shadow_table, mmio_node), sh->nr_mmio);
	shadow_zap_end(&z);
}

void shadow_recover_nx(struct okvm_mmu_vm *mmu, u64 max)
{
	struct shadow_vm *sh = mmu->shadow;
	struct mmu_zap z;

	shadow_zap_begin(&z, mmu, true);
	zap_listed(&z, &sh->nx_splits, offsetof(struct shadow_table, nx_node),
		   min_t(u64, max, sh->nr_nx_splits));
	shadow_zap_end(&z);
}

/* ---- the shrinker ---- */

static LIST_HEAD(shadow_vms);
static DEFINE_MUTEX(shadow_vms_lock);
static struct shrinker *shadow_shrinker;

/* Return how many tables in use the shrinker may take: all but the roots and SHADOW_MIN_TABLES. */
static unsigned long shadow_spare_tables(const struct shadow_vm *sh)
{
	unsigned long keep = READ_ONCE(sh->nr_pinned) + SHADOW_MIN_TABLES;
	unsigned long nr = READ_ONCE(sh->nr_tables);

	return nr > keep ? nr - keep : 0;
}

/* Return how many tables the shrinker may take from @sh, including those in the pool. */
static unsigned long shrinkable(const struct shadow_vm *sh)
{
	return shadow_spare_tables(sh) + READ_ONCE(sh->nr_pool);
}

/*
 * Count the tables that the shrinker may take. Memory reclaim must not wait for the mutex: if
 * another thread holds the mutex, return the count of the last call.
 */
static unsigned long shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	static unsigned long last;
	struct shadow_vm *sh;
	unsigned long nr = 0;

	if (!mutex_trylock(&shadow_vms_lock))
		return READ_ONCE(last) ?: SHRINK_EMPTY;
	list_for_each_entry(sh, &shadow_vms, others)
		nr += shrinkable(sh);
	WRITE_ONCE(last, nr);
	mutex_unlock(&shadow_vms_lock);
	return nr ?: SHRINK_EMPTY;
}

/*
 * Zap up to @nr tables of one VM, and empty its pool. Return: the number of tables freed; 0 also if
 * another thread holds mmu->lock
 */
static unsigned long shrink_vm(struct shadow_vm *sh, unsigned long nr)
{
	unsigned long gone;
	struct mmu_zap z;

	if (!write_trylock(&sh->mmu->lock))
		return 0;
	shadow_zap_start(&z, sh);
	gone = sh->nr_pool;
	pool_free(sh);
	gone += shadow_reclaim(&z, min3(nr, shadow_spare_tables(sh), RECLAIM_TURN + 0ul));
	shadow_zap_finish(&z);
	pool_free(sh);
	write_unlock(&sh->mmu->lock);
	return gone;
}

/*
 * Free tables for the shrinker. Each call takes tables from one VM and moves that VM to the end of
 * shadow_vms. A VM stays in this list after okvm_mmu_vm_release(). All its tables are then in its
 * pool, so they may be freed although its vCPUs still exist.
 */
static unsigned long shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long gone = SHRINK_STOP;
	struct shadow_vm *sh;

	if (!mutex_trylock(&shadow_vms_lock))
		return SHRINK_STOP;
	list_for_each_entry(sh, &shadow_vms, others) {
		if (!shrinkable(sh))
			continue;
		gone = shrink_vm(sh, sc->nr_to_scan);
		if (!gone)
			continue;
		list_move_tail(&sh->others, &shadow_vms);
		break;
	}
	mutex_unlock(&shadow_vms_lock);
	return gone;
}

int shadow_init(void)
{
	shadow_shrinker = okvm_shrinker_add("okvm-shadow", shrink_count, shrink_scan);
	return shadow_shrinker ? 0 : -ENOMEM;
}

void shadow_exit(void)
{
	okvm_shrinker_remove(shadow_shrinker);
}

/* ---- creation and destruction ---- */

int shadow_vm_create(struct okvm_mmu_vm *mmu)
{
	struct shadow_vm *sh = mmu->shadow;

	if (sh)
		goto out;
	/* Allocate first, so that the VM stays unchanged if this fails. */
	sh = kvzalloc(sizeof(*sh), GFP_KERNEL_ACCOUNT);
	if (!sh)
		return -ENOMEM;
	sh->mmu = mmu;
	xa_init(&sh->blocks);
	ida_init(&sh->ids);
	sh->hash = get_random_u64() | 1;
	INIT_LIST_HEAD(&sh->tables);
	INIT_LIST_HEAD(&sh->condemned);
	INIT_LIST_HEAD(&sh->pool);
	INIT_LIST_HEAD(&sh->nx_splits);
	INIT_LIST_HEAD(&sh->mmio);
	INIT_LIST_HEAD(&sh->unsync);
	sh->epoch = 1;
	sh->crowded = SHADOW_NOT_CROWDED;
	mmu->shadow = sh;
	mutex_lock(&shadow_vms_lock);
	list_add_tail(&sh->others, &shadow_vms);
	mutex_unlock(&shadow_vms_lock);
out:
	sh->max_tables = mmu->limit;
	mmu->fmt = &spte_fmt_pt;
	mmu->max_level = SHADOW_MAX_LEVEL;
	return 0;
}

/*
 * Free the VM's state of shadow paging. All vCPUs are destroyed: no table is a root, and no TLB
 * holds the VM's translations.
 */
void shadow_vm_destroy(struct okvm_mmu_vm *mmu)
{
	struct shadow_table *t, *next;
	struct shadow_vm *sh = mmu->shadow;
	unsigned int i;

	if (!sh)
		return;
	mutex_lock(&shadow_vms_lock);
	list_del(&sh->others);
	mutex_unlock(&shadow_vms_lock);
	list_for_each_entry_safe(t, next, &sh->tables, all)
		shadow_free_table(sh, t);
	pool_free(sh);
	mmu->shadow = NULL;
	blocks_free(sh);
	for (i = 0; i < SHADOW_CHUNKS; i++)
		kfree(sh->chunk[i]);
	ida_destroy(&sh->ids);
	kvfree(sh);
}
