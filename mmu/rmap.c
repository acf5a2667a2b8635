// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a frame of the guest to the leaves that map it, see shadow.h.
 *
 * Upstream has an array per memory slot, with one word per frame and level, and lists of blocks of
 * pointers where a frame is mapped more than once. Here an entry's link is beside it, so that
 * nothing is allocated when a leaf is made, and slots know nothing of it.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "mmu/shadow.h"

struct shadow_block *block_of(struct shadow_vm *sh, gfn_t gfn)
{
	return xa_load(&sh->blocks, gfn >> SHADOW_LINK_BITS);
}

static bool block_make(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT), *old;

	if (!b)
		return false;
	spin_lock_init(&b->lock);
	old = xa_cmpxchg(&sh->blocks, gfn >> SHADOW_LINK_BITS, NULL, b, GFP_KERNEL_ACCOUNT);
	if (!old) {
		atomic64_add(1, &sh->nr_blocks);
		return true;
	}
	kfree(b);
	return !xa_is_err(old);
}

/* Give the block of @gfn its frames, if it is there still. Return: false: no memory */
static bool block_make_frames(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_frames *frames = kzalloc(sizeof(*frames), GFP_KERNEL_ACCOUNT), *old = NULL;
	struct shadow_block *b;

	if (!frames)
		return false;
	rcu_read_lock();
	b = block_of(sh, gfn);
	/* Somebody else's are as good. Who takes the block away meanwhile looks at them later. */
	if (!b || !try_cmpxchg(&b->frames, &old, frames))
		kfree(frames);
	rcu_read_unlock();
	return true;
}

bool block_get(struct shadow_vm *sh, gfn_t gfn, int level)
{
	const struct shadow_block *b;
	bool there, frames;

	rcu_read_lock();
	b = block_of(sh, gfn);
	there = b;
	frames = b && block_frames(b);
	rcu_read_unlock();
	return (there || block_make(sh, gfn)) &&
	       (level > 1 || frames || block_make_frames(sh, gfn));
}

/* TLBs may hold what led to frames of the block, for writing if @write, and does no more. */
static bool block_stale(const struct shadow_vm *sh, const struct shadow_block *b, bool write)
{
	return (write ? b->dropped_write : b->dropped) == sh->epoch;
}

/* A grace period after the block was taken out: nobody gives it frames any more. */
static void block_free(struct rcu_head *head)
{
	struct shadow_block *b = container_of(head, struct shadow_block, rcu);

	kfree(b->frames);
	kfree(b);
}

/* All of its frames are memory no more. Others may have come to need it meanwhile. */
static void block_put(struct shadow_vm *sh, struct shadow_block *b, unsigned long nr)
{
	const struct shadow_frames *frames = block_frames(b);

	if (b->nr_shadowed || b->large ||
	    (frames && memchr_inv(frames->rmap, 0, sizeof(frames->rmap))))
		return;
	xa_erase(&sh->blocks, nr);
	atomic64_add(-1, &sh->nr_blocks);
	call_rcu(&b->rcu, block_free);
}

void blocks_free(struct shadow_vm *sh)
{
	struct shadow_block *b;
	unsigned long nr;

	xa_for_each(&sh->blocks, nr, b) {
		kfree(b->frames);
		kfree(b);
	}
	xa_destroy(&sh->blocks);
}

void link_add(struct shadow_vm *sh, u32 *head, u32 nr, u64 what)
{
	struct shadow_link *l = link_at(sh, nr);
	u64 depth = 0;

	l->next = *head;
	l->prev = 0;
	if (l->next) {
		link_at(sh, l->next)->prev = nr;
		depth = link_depth(link_at(sh, l->next)) + 1;
	}
	WRITE_ONCE(l->what, what | depth << LINK_DEPTH_SHIFT);
	*head = nr;
}

void link_del(struct shadow_vm *sh, u32 *head, u32 nr)
{
	struct shadow_link *l = link_at(sh, nr);

	if (l->next)
		link_at(sh, l->next)->prev = l->prev;
	if (l->prev)
		link_at(sh, l->prev)->next = l->next;
	else
		*head = l->next;
	WRITE_ONCE(l->what, 0);
}

/* The chain to which a leaf at the level of @t belongs that maps @gfn; @b has what it takes. */
static u32 *rmap_head(struct shadow_block *b, const struct shadow_table *t, gfn_t gfn)
{
	return role_level(t->role) == 1 ? &b->frames->rmap[gfn & (SHADOW_ENTRIES - 1)] : &b->large;
}

bool rmap_install(struct shadow_vm *sh, struct shadow_block *b, struct shadow_table *t,
		  unsigned int i, u64 leaf, u64 what)
{
	u32 *head = rmap_head(b, t, what >> 8);
	u64 old = 0;
	bool done;

	lockdep_assert_held(&sh->mmu->lock);
	/* The lock makes whoever looks for the leaf by its frame wait until the link is there. */
	spin_lock(&b->lock);
	done = !link_full(sh, *head) && try_cmpxchg(&t->entry[i], &old, leaf);
	if (done)
		link_add(sh, head, link_nr(t, i), what);
	spin_unlock(&b->lock);
	return done;
}

bool rmap_upgrade(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old, u64 leaf,
		  u64 what)
{
	struct shadow_block *b = block_of(sh, what >> 8);
	struct shadow_link *l = &t->link[i];
	bool done;

	lockdep_assert_held(&sh->mmu->lock);
	/* Others may upgrade it too: entry and link change together. */
	spin_lock(&b->lock);
	done = try_cmpxchg(&t->entry[i], &old, leaf);
	if (done)
		WRITE_ONCE(l->what, what | (u64)link_depth(l) << LINK_DEPTH_SHIFT);
	spin_unlock(&b->lock);
	return done;
}

void rmap_remove(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old)
{
	gfn_t gfn = link_gfn(&t->link[i]);
	struct shadow_block *b = block_of(sh, gfn);

	lockdep_assert_held_write(&sh->mmu->lock);
	block_drop(sh, b, old & SHADOW_W);
	link_del(sh, rmap_head(b, t, gfn), link_nr(t, i));
}

/* ---- what is done to all leaves of a frame ---- */

/* Hardware sets accessed and dirty bits meanwhile, others take the accessed bit away. */
static bool leaf_clear(u64 *entry, u64 bits)
{
	u64 old = READ_ONCE(*entry);

	do {
		if (!(old & bits))
			return false;
	} while (!try_cmpxchg(entry, &old, old & ~bits));
	return true;
}

/*
 * Clear @bits in all leaves of the chain, and add the number of leaves to *@n. Block locked
 * Return: true if a leaf had any of @bits
 */
static bool chain_clear(struct shadow_vm *sh, u32 nr, u64 bits, unsigned int *n)
{
	bool any = false;

	for (; nr; nr = link_at(sh, nr)->next, ++*n)
		any |= leaf_clear(&table_by_id(sh, nr >> SHADOW_LINK_BITS)->
				  entry[nr & (SHADOW_ENTRIES - 1)], bits);
	return any;
}

static bool chain_test(struct shadow_vm *sh, u32 nr, u64 bits)
{
	for (; nr; nr = link_at(sh, nr)->next) {
		if (READ_ONCE(table_by_id(sh, nr >> SHADOW_LINK_BITS)->
			      entry[nr & (SHADOW_ENTRIES - 1)]) & bits)
			return true;
	}
	return false;
}

/* Return: how many leaves there were */
static unsigned int chain_drop(struct shadow_vm *sh, u32 *head)
{
	unsigned int n = 0;

	while (*head) {
		struct shadow_table *t = table_by_id(sh, *head >> SHADOW_LINK_BITS);

		if (OKVM_BUG_ON(sh->mmu->vm, !shadow_drop(sh, t, *head & (SHADOW_ENTRIES - 1))))
			break;
		n++;
	}
	return n;
}

void rmap_trim(struct shadow_vm *sh, struct shadow_table *t, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);
	u32 *head;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!b || (role_level(t->role) == 1 && !block_frames(b)))
		return;
	head = rmap_head(b, t, gfn);
	if (link_full(sh, *head))
		chain_drop(sh, head);
}

bool rmap_protect(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);
	const unsigned int i = gfn & (SHADOW_ENTRIES - 1);
	const struct shadow_frames *frames;
	unsigned int n = 0;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!b)
		return false;
	chain_drop(sh, &b->large);
	frames = block_frames(b);
	return (frames && chain_clear(sh, frames->rmap[i], SHADOW_W, &n)) ||
	       block_stale(sh, b, true);
}

/* ---- what the host does to a range ---- */

#define for_each_block(b, nr, sh, start, end)						\
	xa_for_each_range(&(sh)->blocks, nr, b, (start) >> SHADOW_LINK_BITS,		\
			  ((end) - 1) >> SHADOW_LINK_BITS)

/* The part of block @nr that is in [@start, @end): its first frame's index, one past the last. */
static void block_part(unsigned long nr, gfn_t start, gfn_t end, unsigned int *from,
		       unsigned int *to)
{
	gfn_t base = (gfn_t)nr << SHADOW_LINK_BITS;

	*from = start > base ? start - base : 0;
	*to = end - base < SHADOW_ENTRIES ? end - base : SHADOW_ENTRIES;
}

/* Frame @gfn, number @i of @frames: what leads to it goes; if gone, its tables. Return: work */
static unsigned int zap_frame(struct mmu_zap *z, struct shadow_frames *frames, unsigned int i,
			      gfn_t gfn)
{
	unsigned int tables = z->gone ? frames->shadowed[i] : 0;
	u32 *head = &frames->rmap[i];
	unsigned int leaves = *head ? chain_drop(z->mmu->shadow, head) : 0;

	z->flush |= leaves;
	if (tables)
		shadow_zap_frame(z, gfn);
	return leaves + tables * SHADOW_ENTRIES;
}

/* Frames @i to @to of block @nr. Each time that the lock was dropped @b may have gone. */
static void zap_block(struct mmu_zap *z, struct shadow_block *b, unsigned long nr, unsigned int i,
		      unsigned int to)
{
	const bool all = !i && to == SHADOW_ENTRIES;
	gfn_t base = (gfn_t)nr << SHADOW_LINK_BITS;
	struct shadow_vm *sh = z->mmu->shadow;
	unsigned int work;

	chain_drop(sh, &b->large);
	for (; b && block_frames(b) && i < to; i++) {
		work = zap_frame(z, b->frames, i, base + i);
		if (work && shadow_zap_yield(z, work))
			b = block_of(sh, base);
	}
	if (!b)
		return;
	/* What was dropped here, or by others before, and not flushed since. */
	z->flush |= block_stale(sh, b, false);
	if (z->gone && all)
		block_put(sh, b, nr);
}

void shadow_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end)
{
	struct shadow_block *b;
	unsigned long nr;
	unsigned int i, to;

	lockdep_assert_held_write(&z->mmu->lock);
	/* Direct tables too, which are of no frame. */
	if (z->gone && !start && end == ~0ULL)
		shadow_zap_all(z);
	for_each_block(b, nr, z->mmu->shadow, start, end) {
		block_part(nr, start, end, &i, &to);
		zap_block(z, b, nr, i, to);
		shadow_zap_yield(z, SHADOW_ENTRIES);
	}
}

/* One chain at a time: vCPUs may wait for the lock with IRQs off. */
static bool chain_age(struct shadow_vm *sh, struct shadow_block *b, const u32 *head, bool clear)
{
	unsigned int n = 0;
	bool young;

	if (!READ_ONCE(*head))
		return false;
	spin_lock(&b->lock);
	young = clear ? chain_clear(sh, *head, SHADOW_A, &n) : chain_test(sh, *head, SHADOW_A);
	spin_unlock(&b->lock);
	return young;
}

bool shadow_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear)
{
	struct shadow_vm *sh = mmu->shadow;
	struct shadow_frames *frames;
	struct shadow_block *b;
	unsigned int i, to;
	unsigned long nr;
	bool young = false;

	read_lock(&mmu->lock);
	for_each_block(b, nr, sh, start, end) {
		block_part(nr, start, end, &i, &to);
		young |= chain_age(sh, b, &b->large, clear);
		frames = block_frames(b);
		for (; frames && i < to; i++)
			young |= chain_age(sh, b, &frames->rmap[i], clear);
	}
	read_unlock(&mmu->lock);
	return young;
}

/*
 * A large page goes: what it maps is written page by page from here on. The caller flushes, and
 * nobody here knows when; the block does, so that the lock may be given away between.
 */
static void block_write_protect(struct mmu_zap *z, struct shadow_block *b, unsigned long nr,
				unsigned int i, unsigned int to)
{
	struct shadow_vm *sh = z->mmu->shadow;
	unsigned int n = chain_drop(sh, &b->large);

	for (; b && block_frames(b) && i < to; i++, n = 0) {
		if (chain_clear(sh, b->frames->rmap[i], SHADOW_W, &n))
			block_drop(sh, b, true);
		if (n && shadow_zap_yield(z, n))
			b = block_of(sh, (gfn_t)nr << SHADOW_LINK_BITS);
	}
}

void shadow_write_protect(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end)
{
	struct shadow_block *b;
	unsigned int i, to;
	struct mmu_zap z;
	unsigned long nr;

	shadow_zap_begin(&z, mmu, true);
	for_each_block(b, nr, mmu->shadow, start, end) {
		block_part(nr, start, end, &i, &to);
		block_write_protect(&z, b, nr, i, to);
		shadow_zap_yield(&z, SHADOW_ENTRIES);
	}
	write_unlock(&mmu->lock);
}
