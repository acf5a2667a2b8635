// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a frame of the guest to the leaves that map it, see shadow.h.
 *
 * Upstream has an array per memory slot, with one word per frame and level, and lists of blocks of
 * pointers where a frame is mapped more than once. Here an entry's link is beside it, so that
 * nothing is allocated when a leaf is made, and what is known of frames outlives the slots.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "mmu/shadow.h"

struct shadow_block *block_of(struct shadow_vm *sh, gfn_t gfn)
{
	return xa_load(&sh->blocks, gfn >> SHADOW_LINK_BITS);
}

struct shadow_block *block_get(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn), *old;

	if (b)
		return b;
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		return NULL;
	spin_lock_init(&b->lock);
	old = xa_cmpxchg(&sh->blocks, gfn >> SHADOW_LINK_BITS, NULL, b, GFP_KERNEL_ACCOUNT);
	if (!old) {
		atomic64_add(1, &sh->nr_blocks);
		return b;
	}
	kfree(b);
	return xa_is_err(old) ? NULL : old;
}

void blocks_free(struct shadow_vm *sh)
{
	struct shadow_block *b;
	unsigned long nr;

	xa_for_each(&sh->blocks, nr, b)
		kfree(b);
	xa_destroy(&sh->blocks);
}

void link_add(struct shadow_vm *sh, u32 *head, u32 nr)
{
	struct shadow_link *l = link_at(sh, nr);

	l->next = *head;
	l->prev = 0;
	if (l->next)
		link_at(sh, l->next)->prev = nr;
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
}

/* The chain to which a leaf at the level of @t belongs that maps @gfn. */
static u32 *rmap_head(struct shadow_block *b, const struct shadow_table *t, gfn_t gfn)
{
	return role_level(t->role) == 1 ? &b->rmap[gfn & (SHADOW_ENTRIES - 1)] : &b->large;
}

bool rmap_install(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 leaf, u64 what)
{
	gfn_t gfn = what >> 8;
	struct shadow_block *b = block_of(sh, gfn);
	u64 old = 0;
	bool done;

	lockdep_assert_held(&sh->mmu->lock);
	if (OKVM_BUG_ON(sh->mmu->vm, !b))
		return false;
	/* Who looks for the leaf by its frame waits until it can be found. */
	spin_lock(&b->lock);
	done = try_cmpxchg(&t->entry[i], &old, leaf);
	if (done) {
		t->link[i].what = what;
		link_add(sh, rmap_head(b, t, gfn), link_nr(t, i));
	}
	spin_unlock(&b->lock);
	return done;
}

bool rmap_upgrade(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old, u64 leaf)
{
	struct shadow_block *b = block_of(sh, link_gfn(&t->link[i]));
	bool done;

	lockdep_assert_held(&sh->mmu->lock);
	/* Against those who protect the frame, who do not look at a leaf twice. */
	spin_lock(&b->lock);
	done = try_cmpxchg(&t->entry[i], &old, leaf);
	spin_unlock(&b->lock);
	return done;
}

void rmap_remove(struct shadow_vm *sh, struct shadow_table *t, unsigned int i)
{
	gfn_t gfn = link_gfn(&t->link[i]);
	struct shadow_block *b = block_of(sh, gfn);

	lockdep_assert_held_write(&sh->mmu->lock);
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

/* Of all leaves in the chain, take away @bits. Return: whether one had any. Block locked */
static bool chain_clear(struct shadow_vm *sh, u32 nr, u64 bits)
{
	bool any = false;

	for (; nr; nr = link_at(sh, nr)->next)
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

static bool chain_drop(struct shadow_vm *sh, u32 *head)
{
	bool any = *head;

	while (*head) {
		if (OKVM_BUG_ON(sh->mmu->vm, !shadow_drop(sh,
				table_by_id(sh, *head >> SHADOW_LINK_BITS),
				*head & (SHADOW_ENTRIES - 1))))
			break;
	}
	return any;
}

bool rmap_protect(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);
	bool any;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!b)
		return false;
	any = chain_drop(sh, &b->large);
	return chain_clear(sh, b->rmap[gfn & (SHADOW_ENTRIES - 1)], SHADOW_W) || any;
}

/* ---- what the host does to a range ---- */

#define for_each_block(b, nr, sh, start, end)						\
	xa_for_each_range(&(sh)->blocks, nr, b, (start) >> SHADOW_LINK_BITS,		\
			  ((end) - 1) >> SHADOW_LINK_BITS)

/* The part of block @nr that is in [@start, @end): its first frame's index, and one past the last. */
static void block_part(unsigned long nr, gfn_t start, gfn_t end, unsigned int *from,
		       unsigned int *to)
{
	gfn_t base = (gfn_t)nr << SHADOW_LINK_BITS;

	*from = start > base ? start - base : 0;
	*to = end - base < SHADOW_ENTRIES ? end - base : SHADOW_ENTRIES;
}

/* Entries that a turn looks at, at least, before it ends for others who wait for the lock. */
#define ZAP_TURN	4096

/* Let others in, everything removed so far being flushed. Blocks stay. */
static void zap_yield(struct mmu_zap *z)
{
	z->work += SHADOW_ENTRIES;
	if (!z->yield || !(need_resched() ||
			   (z->work >= ZAP_TURN && rwlock_needbreak(&z->mmu->lock))))
		return;
	shadow_zap_finish(z);
	cond_resched_rwlock_write(&z->mmu->lock);
}

static void zap_leaves(struct mmu_zap *z, gfn_t start, gfn_t end)
{
	struct shadow_vm *sh = z->mmu->shadow;
	struct shadow_block *b;
	unsigned int i, to;
	unsigned long nr;

	for_each_block(b, nr, sh, start, end) {
		zap_yield(z);
		block_part(nr, start, end, &i, &to);
		z->flush |= chain_drop(sh, &b->large);
		for (; i < to; i++) {
			if (b->rmap[i])
				z->flush |= chain_drop(sh, &b->rmap[i]);
		}
	}
}

void shadow_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end)
{
	lockdep_assert_held_write(&z->mmu->lock);
	/* Guest's tables that were in the range are nowhere now. */
	if (z->gone)
		shadow_zap_tables(z, start, end);
	zap_leaves(z, start, end);
}

bool shadow_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear)
{
	struct shadow_vm *sh = mmu->shadow;
	struct shadow_block *b;
	unsigned int i, to;
	unsigned long nr;
	bool young = false;

	read_lock(&mmu->lock);
	for_each_block(b, nr, sh, start, end) {
		block_part(nr, start, end, &i, &to);
		spin_lock(&b->lock);
		young |= clear ? chain_clear(sh, b->large, SHADOW_A) :
				 chain_test(sh, b->large, SHADOW_A);
		for (; i < to; i++)
			young |= clear ? chain_clear(sh, b->rmap[i], SHADOW_A) :
					 chain_test(sh, b->rmap[i], SHADOW_A);
		spin_unlock(&b->lock);
	}
	read_unlock(&mmu->lock);
	return young;
}

/* A large page goes: what it maps is written page by page from here on. */
void shadow_write_protect(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end)
{
	struct shadow_vm *sh = mmu->shadow;
	struct shadow_block *b;
	unsigned int i, to;
	unsigned long nr;

	write_lock(&mmu->lock);
	for_each_block(b, nr, sh, start, end) {
		block_part(nr, start, end, &i, &to);
		chain_drop(sh, &b->large);
		for (; i < to; i++)
			chain_clear(sh, b->rmap[i], SHADOW_W);
	}
	/* The caller flushes, without knowing of this. */
	sh->stale = true;
	write_unlock(&mmu->lock);
}
