// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reverse map of shadow paging: find the leaves that map a frame of the guest. See shadow.h.
 *
 * Upstream has an array in each memory slot, with one word per frame and level. If a frame is
 * mapped more than once, this word points to a list of blocks of pointers. In okvm the word is in
 * the frame's struct shadow_block. If a frame is mapped more than once, its leaves are linked with
 * each other. For this, a shadow table has an array of links (table->link). A page fault allocates
 * the array when the table first needs it, so no leaf needs an allocation of its own.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "mmu/shadow.h"

struct shadow_block *block_find(struct shadow_vm *sh, gfn_t gfn)
{
	const unsigned long nr = gfn >> SHADOW_LINK_BITS;
	struct shadow_block *b = READ_ONCE(sh->recent[nr % SHADOW_RECENT]);

	return b && b->nr == nr ? b : xa_load(&sh->blocks, nr);
}

static bool block_make(struct shadow_vm *sh, gfn_t gfn, gfp_t gfp)
{
	struct shadow_block *b = kzalloc(sizeof(*b), gfp), *old;

	if (!b)
		return false;
	spin_lock_init(&b->lock);
	b->nr = gfn >> SHADOW_LINK_BITS;
	old = xa_cmpxchg(&sh->blocks, gfn >> SHADOW_LINK_BITS, NULL, b, gfp);
	if (!old) {
		atomic64_add(1, &sh->nr_blocks);
		return true;
	}
	kfree(b);
	return !xa_is_err(old);
}

/* Allocate the rmap member of @gfn's struct shadow_block. Return: false if memory is short */
static bool block_make_rmap(struct shadow_vm *sh, gfn_t gfn, gfp_t gfp)
{
	u32 *rmap = kcalloc(SHADOW_ENTRIES, sizeof(*rmap), gfp), *old = NULL;
	struct shadow_block *b;

	if (!rmap)
		return false;
	rcu_read_lock();
	b = block_find(sh, gfn);
	/*
	 * If another vCPU has set b->rmap already, keep that array and free rmap. If block_put()
	 * has removed the block since the call of block_find(), nothing leaks: block_free() runs
	 * after this RCU section, and also frees b->rmap.
	 */
	if (!b || !try_cmpxchg(&b->rmap, &old, rmap))
		kfree(rmap);
	rcu_read_unlock();
	return true;
}

bool block_get(struct shadow_vm *sh, gfn_t gfn, int level, gfp_t gfp)
{
	const struct shadow_block *b;
	bool there, rmap;

	rcu_read_lock();
	b = block_find(sh, gfn);
	there = b;
	rmap = b && block_rmap(b);
	rcu_read_unlock();
	return (there || block_make(sh, gfn, gfp)) &&
	       (level > 1 || rmap || block_make_rmap(sh, gfn, gfp));
}

/*
 * Return true if TLBs may hold an old leaf of the block, because a leaf was dropped or
 * write-protected since the VM's last flush. With @write, consider only leaves that were writable.
 */
static bool block_stale(const struct shadow_vm *sh, const struct shadow_block *b, bool write)
{
	return (write ? b->dropped_write : b->dropped) == sh->epoch;
}

/*
 * RCU callback: free a removed struct shadow_block. b->rmap does not change any more: only
 * block_make_rmap() sets it, in an RCU section, and all sections that found the block have ended.
 */
static void block_free(struct rcu_head *head)
{
	struct shadow_block *b = container_of(head, struct shadow_block, rcu);

	kfree(b->rmap);
	kfree(b);
}

/*
 * Remove and free @b, because its memory slot is gone. Keep @b if a leaf or a shadow table uses it.
 */
static void block_put(struct shadow_vm *sh, struct shadow_block *b)
{
	struct shadow_block **recent = &sh->recent[b->nr % SHADOW_RECENT];
	const u32 *rmap = block_rmap(b);

	if (b->nr_shadowed || b->large ||
	    (rmap && memchr_inv(rmap, 0, SHADOW_ENTRIES * sizeof(*rmap))))
		return;
	if (*recent == b)
		WRITE_ONCE(*recent, NULL);
	xa_erase(&sh->blocks, b->nr);
	atomic64_add(-1, &sh->nr_blocks);
	call_rcu(&b->rcu, block_free);
}

void blocks_free(struct shadow_vm *sh)
{
	struct shadow_block *b;
	unsigned long nr;

	xa_for_each(&sh->blocks, nr, b) {
		kfree(b->rmap);
		kfree(b);
	}
	xa_destroy(&sh->blocks);
}

/* ---- chains ---- */

/* Return the link of the entry with number @nr, whose table must have an array of links. */
static struct shadow_link *link_at(struct shadow_vm *sh, u32 nr)
{
	return &link_table(sh, nr)->link[nr & (SHADOW_ENTRIES - 1)];
}

/* If @t has no array of links, give it a spare one of the vCPU. Return: false if there is none */
static bool link_array(struct shadow_vcpu *sv, struct shadow_table *t)
{
	struct shadow_link *old = NULL;

	if (READ_ONCE(t->link))
		return true;
	if (!sv->nr_spare_link)
		return false;
	/* If another vCPU has just given @t an array, keep the spare one. */
	if (try_cmpxchg(&t->link, &old, sv->spare_link[sv->nr_spare_link - 1]))
		sv->nr_spare_link--;
	return true;
}

/*
 * Prepare to add an entry of @t to the chain that begins with entry @head. If the chain is empty,
 * there is nothing to do. Otherwise @t and the table of @head need arrays of links: give them spare
 * arrays of the vCPU if they have none.
 * Return: false if the vCPU has too few spare arrays. shadow_page_fault() then allocates some, and
 * tries again.
 */
static bool link_ready(struct okvm_vcpu *vcpu, u32 head, struct shadow_table *t)
{
	struct shadow_vcpu *sv = vcpu->mmu->shadow;

	return !head || (link_array(sv, t) && link_array(sv, link_table(shadow_of(vcpu), head)));
}

/* Add entry @i of @t to the chain. An entry without neighbours needs no link. */
static void link_add(struct shadow_vm *sh, u32 *head, struct shadow_table *t, unsigned int i,
		     u64 what)
{
	struct shadow_link *link = READ_ONCE(t->link);
	const u32 nr = link_nr(t, i);
	u64 depth = 0;

	if (link)
		link[i] = (struct shadow_link){ .next = *head };
	if (*head) {
		link_at(sh, *head)->prev = nr;
		depth = link_depth(sh, *head) + 1;
	}
	WRITE_ONCE(t->what[i], what | depth << WHAT_DEPTH_SHIFT);
	*head = nr;
}

void link_del(struct shadow_vm *sh, u32 *head, struct shadow_table *t, unsigned int i)
{
	const struct shadow_link l = t->link ? t->link[i] : (struct shadow_link){};

	if (l.next)
		link_at(sh, l.next)->prev = l.prev;
	if (l.prev)
		link_at(sh, l.prev)->next = l.next;
	else
		*head = l.next;
	WRITE_ONCE(t->what[i], 0);
}

/* Return true if the chain that begins with entry @head may not grow any more (SHADOW_CHAIN). */
static bool link_full(struct shadow_vm *sh, u32 head)
{
	return head && link_depth(sh, head) >= SHADOW_CHAIN - 1;
}

unsigned int chain_drop(struct shadow_vm *sh, u32 *head)
{
	unsigned int n = 0;

	while (*head) {
		struct shadow_table *t = link_table(sh, *head);

		if (OKVM_BUG_ON(sh->mmu->vm, !shadow_drop(sh, t, *head & (SHADOW_ENTRIES - 1))))
			break;
		n++;
	}
	return n;
}

bool shadow_link(struct okvm_vcpu *vcpu, struct shadow_table *t, unsigned int i,
		 struct shadow_table *child)
{
	struct shadow_vm *sh = shadow_of(vcpu);

	lockdep_assert_held_write(&sh->mmu->lock);
	if (link_full(sh, child->parents))
		chain_drop(sh, &child->parents);
	if (!link_ready(vcpu, child->parents, t))
		return false;
	table_uses(t, i);
	link_add(sh, &child->parents, t, i, child->id);
	WRITE_ONCE(t->entry[i], shadow_table_entry(__pa(child->entry)));
	return true;
}

/* ---- one leaf ---- */

/*
 * Return the head of the reverse-map chain for a leaf of @t that maps @gfn, a frame of block @b.
 * If @t is at level 1, @b->rmap must have been allocated.
 */
static u32 *rmap_head(struct shadow_block *b, const struct shadow_table *t, gfn_t gfn)
{
	return role_level(t->role) == 1 ? &b->rmap[gfn & (SHADOW_ENTRIES - 1)] : &b->large;
}

bool rmap_install(struct okvm_vcpu *vcpu, struct shadow_block *b, struct shadow_table *t,
		  unsigned int i, u64 leaf, u64 what)
{
	struct shadow_vm *sh = shadow_of(vcpu);
	u32 *head = rmap_head(b, t, what >> 8);
	u64 old = 0;
	bool done;

	lockdep_assert_held(&sh->mmu->lock);
	/* Set the entry and link it under one lock, so that walks of the chain find every leaf. */
	spin_lock(&b->lock);
	done = !link_full(sh, *head) && link_ready(vcpu, *head, t) &&
	       try_cmpxchg(&t->entry[i], &old, leaf);
	if (done) {
		table_uses(t, i);
		link_add(sh, head, t, i, what);
	}
	spin_unlock(&b->lock);
	return done;
}

bool rmap_upgrade(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old, u64 leaf,
		  u64 what)
{
	struct shadow_block *b = block_of(sh, what >> 8);
	bool done;

	lockdep_assert_held(&sh->mmu->lock);
	/*
	 * Another vCPU may upgrade the leaf at the same time: the lock keeps entry and what[]
	 * consistent.
	 */
	spin_lock(&b->lock);
	done = try_cmpxchg(&t->entry[i], &old, leaf);
	if (done)
		WRITE_ONCE(t->what[i],
			   what | (u64)what_depth(t->what[i]) << WHAT_DEPTH_SHIFT);
	spin_unlock(&b->lock);
	return done;
}

void rmap_remove(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old)
{
	gfn_t gfn = what_gfn(t->what[i]);
	struct shadow_block *b = block_of(sh, gfn);

	lockdep_assert_held_write(&sh->mmu->lock);
	block_drop(sh, b, old & SHADOW_W);
	link_del(sh, rmap_head(b, t, gfn), t, i);
}

/* ---- all leaves of a frame ---- */

/*
 * Clear @bits in one leaf. This needs compare-and-exchange: at the same time, hardware may set
 * accessed and dirty bits, and another thread may clear the accessed bit.
 * Return: true if any bit was set
 */
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
 * Clear the accessed bit in all leaves of the chain that begins with entry @nr. Caller holds
 * block->lock. Return: true if a leaf had the bit
 */
static bool chain_clear_accessed(struct shadow_vm *sh, u32 nr)
{
	bool any = false;

	for (; nr; nr = link_next(sh, nr))
		any |= leaf_clear(&link_table(sh, nr)->entry[nr & (SHADOW_ENTRIES - 1)], SHADOW_A);
	return any;
}

/*
 * Write-protect all leaves of the chain that begins with entry @nr, and add their number to *@n.
 * Return: true if a leaf was writable
 */
static bool chain_protect(struct shadow_vm *sh, u32 nr, unsigned int *n)
{
	bool any = false;

	for (; nr; nr = link_next(sh, nr), ++*n) {
		struct shadow_table *t = link_table(sh, nr);

		if (!leaf_clear(&t->entry[nr & (SHADOW_ENTRIES - 1)], SHADOW_W))
			continue;
		shadow_left(sh, t);
		any = true;
	}
	return any;
}

static bool chain_test(struct shadow_vm *sh, u32 nr, u64 bits)
{
	for (; nr; nr = link_next(sh, nr)) {
		if (READ_ONCE(link_table(sh, nr)->entry[nr & (SHADOW_ENTRIES - 1)]) & bits)
			return true;
	}
	return false;
}

void rmap_trim(struct shadow_vm *sh, struct shadow_table *t, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);
	u32 *head;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!b || (role_level(t->role) == 1 && !block_rmap(b)))
		return;
	head = rmap_head(b, t, gfn);
	if (link_full(sh, *head))
		chain_drop(sh, head);
}

bool rmap_protect(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b = block_of(sh, gfn);
	const unsigned int i = gfn & (SHADOW_ENTRIES - 1);
	unsigned int n = 0;
	const u32 *rmap;

	lockdep_assert_held_write(&sh->mmu->lock);
	if (!b)
		return false;
	chain_drop(sh, &b->large);
	rmap = block_rmap(b);
	return (rmap && chain_protect(sh, rmap[i], &n)) ||
	       block_stale(sh, b, true);
}

/* ---- ranges of frames ---- */

#define for_each_block(b, nr, sh, start, end)						\
	xa_for_each_range(&(sh)->blocks, nr, b, (start) >> SHADOW_LINK_BITS,		\
			  ((end) - 1) >> SHADOW_LINK_BITS)

/*
 * Find the part of block @nr that is in [@start, @end): its frames *@from to *@to - 1, counted from
 * the block's first frame.
 */
static void block_part(unsigned long nr, gfn_t start, gfn_t end, unsigned int *from,
		       unsigned int *to)
{
	gfn_t base = (gfn_t)nr << SHADOW_LINK_BITS;

	*from = start > base ? start - base : 0;
	*to = end - base < SHADOW_ENTRIES ? end - base : SHADOW_ENTRIES;
}

/*
 * Drop all leaves that map @gfn, a frame of block @b. If @z->frames_leave, also zap the tables that
 * shadow @gfn. Return: number of entries handled, for shadow_zap_yield()
 */
static unsigned int zap_frame(struct mmu_zap *z, struct shadow_block *b, gfn_t gfn)
{
	u32 *rmap = block_rmap(b);
	unsigned int leaves, tables = 0;

	leaves = rmap ? chain_drop(z->mmu->shadow, &rmap[gfn & (SHADOW_ENTRIES - 1)]) : 0;
	z->flush |= leaves;
	if (z->frames_leave && block_shadowed(b, gfn))
		tables = shadow_zap_frame(z, gfn);
	return leaves + tables * SHADOW_ENTRIES;
}

/*
 * Zap frames @i to @to - 1 of block @b, whose number is @nr. Whenever the lock was dropped, look
 * the block up again by its number, because it may have been freed.
 */
static void zap_block(struct mmu_zap *z, struct shadow_block *b, unsigned long nr, unsigned int i,
		      unsigned int to)
{
	const bool all = !i && to == SHADOW_ENTRIES;
	gfn_t base = (gfn_t)nr << SHADOW_LINK_BITS;
	struct shadow_vm *sh = z->mmu->shadow;
	unsigned int work;

	chain_drop(sh, &b->large);
	for (; b && (block_rmap(b) || b->nr_shadowed) && i < to; i++) {
		work = zap_frame(z, b, base + i);
		if (work && shadow_zap_yield(z, work))
			b = block_of(sh, base);
	}
	if (!b)
		return;
	/* Flush also for the leaves of the block that were dropped earlier without a flush. */
	z->flush |= block_stale(sh, b, false);
	if (z->frames_leave && all)
		block_put(sh, b);
}

void shadow_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end)
{
	struct shadow_block *b;
	unsigned long nr;
	unsigned int i, to;

	lockdep_assert_held_write(&z->mmu->lock);
	/*
	 * If all frames may cease to be guest memory, direct tables must be zapped, too. They
	 * cannot be found by frame, so zap all tables.
	 */
	if (z->frames_leave && !start && end == ~0ULL)
		shadow_zap_all(z);
	for_each_block(b, nr, z->mmu->shadow, start, end) {
		block_part(nr, start, end, &i, &to);
		zap_block(z, b, nr, i, to);
		shadow_zap_yield(z, SHADOW_ENTRIES);
	}
}

/*
 * Test the accessed bits of one chain, and clear them if @clear. Hold block->lock for one chain
 * only, because vCPUs may spin for it with IRQs off. Return: true if an accessed bit was set
 */
static bool chain_age(struct shadow_vm *sh, struct shadow_block *b, const u32 *head, bool clear)
{
	bool young;

	if (!READ_ONCE(*head))
		return false;
	spin_lock(&b->lock);
	young = clear ? chain_clear_accessed(sh, *head) : chain_test(sh, *head, SHADOW_A);
	spin_unlock(&b->lock);
	return young;
}

bool shadow_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear)
{
	struct shadow_vm *sh = mmu->shadow;
	struct shadow_block *b;
	unsigned int i, to;
	unsigned long nr;
	bool young = false;
	const u32 *rmap;

	read_lock(&mmu->lock);
	for_each_block(b, nr, sh, start, end) {
		block_part(nr, start, end, &i, &to);
		young |= chain_age(sh, b, &b->large, clear);
		rmap = block_rmap(b);
		for (; rmap && i < to; i++)
			young |= chain_age(sh, b, &rmap[i], clear);
	}
	read_unlock(&mmu->lock);
	return young;
}

/*
 * Write-protect frames @i to @to - 1 of block @b, whose number is @nr. Drop the leaves of large
 * pages, so that dirty logging sees writes to each 4 KiB page.
 *
 * Nothing is flushed here: the caller of shadow_write_protect() flushes at the end. Until then the
 * block is stale. If another thread takes the lock before the flush, rmap_protect() tells it to
 * flush.
 */
static void block_write_protect(struct mmu_zap *z, struct shadow_block *b, unsigned long nr,
				unsigned int i, unsigned int to)
{
	struct shadow_vm *sh = z->mmu->shadow;
	unsigned int n = chain_drop(sh, &b->large);

	for (; b && block_rmap(b) && i < to; i++, n = 0) {
		if (chain_protect(sh, b->rmap[i], &n))
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
