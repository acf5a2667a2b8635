/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow paging: page tables that translate guest-linear to host-physical addresses. okvm builds
 * them from the guest's page tables, one fault at a time. Only mmu/ includes this header.
 *
 * Shadow paging guarantees to the guest: an access uses only a translation that a real CPU's TLB
 * could hold. That is one that the guest's tables contain, or have contained since the guest last
 * flushed the address. Shadow paging guarantees to the host: when an MMU notifier or a write
 * protection returns, no shadow entry and no TLB allows an access that the host has now forbidden.
 *
 * Tables: a shadow table corresponds to one page table of the guest, or to a part of one (role.h).
 * A shadow table is looked up by its role and the guest's frame. A *direct* table has no guest
 * table behind it: it maps consecutive frames. Direct tables are used with paging off, and where
 * the guest's page is larger than what okvm may map at once.
 *
 * Links: each shadow entry maps a frame of the guest or points to a shadow table. All entries that
 * have the same target form a chain. The chain of a frame is its reverse map; the chain of a table
 * is the list of its parents. An entry is identified by a number (table's id << 9 | index), which
 * is half as wide as a pointer. The head of a chain is such a number. Most frames are mapped once:
 * an entry that is alone in its chain needs no struct shadow_link. So a table gets its array of
 * links when one of its entries first shares a chain with another entry.
 *
 * Blocks: a struct shadow_block describes 512 consecutive frames of the guest. A block is allocated
 * when it is first needed and freed with the memory slot. The block's array rmap contains the head
 * of each frame's reverse map. A block that only large pages map does not need this array.
 *
 * Synchronization: the guest may not write to a frame that is shadowed. Each write is emulated, and
 * shadow_wrote() drops the shadow entries of what was overwritten. When the guest writes to a table
 * of level 1, its shadow table may go *out of sync* instead: the frame becomes writable, and the
 * shadow entries stay, like entries of a TLB. When the guest flushes, the table is synchronized:
 * each shadow entry that differs from the guest's entry is dropped (shadow_sync.c). A guest that
 * makes an entry present need not flush: the shadow entry is empty, and a page fault fills it.
 * Addresses also become present when an out-of-sync table gets one more parent, so the table is
 * synchronized before that.
 *
 * Staleness: a shadow entry may be dropped, or lose rights, without a flush if the guest itself has
 * to flush. Until it does so, TLBs may hold translations that are in no shadow entry any more. A
 * block is *stale* if TLBs may hold such translations to its frames. An MMU notifier or a write
 * protection must flush if it has changed an entry, and also if the block is stale. Freeing a table
 * always needs a flush. sh->epoch counts the calls of shadow_flush(). When a leaf of a block is
 * dropped, the block records sh->epoch: the block is stale until sh->epoch changes.
 *
 * Who has to flush: a vCPU's TLBs contain only translations of its current root, because each load
 * of a root flushes the translations of other roots before the next VM entry. A root has one table
 * of the highest level, or four with PAE: its top tables. Each top table records the vCPUs whose
 * current root it belongs to (table->vcpus). After an entry was cleared or
 * write-protected, shadow_left() finds the top tables that lead to the entry, and adds their vCPUs
 * to sh->stale. A flush goes to the vCPUs in sh->stale and empties sh->stale. A vCPU that leaves a
 * root removes itself from sh->stale and from the root's top tables.
 *
 * Races: a vCPU loads a root without mmu->lock, so another thread may change an entry at the same
 * time. The vCPU first enters itself in the top tables and then reads entries. The other thread
 * first changes the entry and then calls shadow_left(). So at least one of them sees what the other
 * has written.
 *
 * Bounds: the guest decides how often it maps a frame, but must not make okvm hold a lock for long.
 * A chain of SHADOW_CHAIN entries is emptied before one more is added. If SHADOW_SAME tables shadow
 * one frame, all of them are zapped. Loops over many tables or blocks yield the lock.
 *
 * Locks: mmu->lock must be held for writing to add, link or zap tables, to set them out of sync,
 * and to drop entries. With the lock held for reading, an empty entry may become a leaf, and a leaf
 * may gain rights or lose its accessed or write bit. In that case block->lock guards the chains of
 * the block. If a fault's shadow tables exist, the fault needs the lock for reading only. Under
 * mmu->lock, a fault reads the guest's entries again before it uses them. If the guest changes an
 * entry after that, either the guest's table is write-protected and okvm sees the write, or the
 * guest's flush removes the shadow entry.
 */
#ifndef OKVM_MMU_SHADOW_H
#define OKVM_MMU_SHADOW_H

#include <linux/bitops.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/xarray.h>

#include "mmu/internal.h"
#include "mmu/shadow_entry.h"

#define SHADOW_ENTRIES		512
#define SHADOW_LINK_BITS	9
/* Number of consecutive entries for which table->groups has one bit: as many as have a bit each. */
#define SHADOW_GROUP		(SHADOW_ENTRIES / BITS_PER_LONG)
#define SHADOW_IDS_PER_CHUNK	512
#define SHADOW_CHUNKS		4096
#define SHADOW_MAX_TABLES	(SHADOW_IDS_PER_CHUNK * SHADOW_CHUNKS - 1)
#define SHADOW_MIN_TABLES	64
#define SHADOW_BUCKET_BITS	13
/* Maximum number of new tables that one fault needs. */
#define SHADOW_SPARE		5
/*
 * Maximum number of arrays of links that are needed to add an entry to a chain. The entry and the
 * head of the chain may be in two tables that have no array yet.
 */
#define SHADOW_SPARE_LINKS	2
#define SHADOW_ROOTS		4
#define SHADOW_MMIO_HINTS	8
/*
 * Number of frames for which a vCPU counts the writes from user mode. The first FAULT_GIVE_UP
 * writes to a frame zap the shadow tables of the frame, later writes do not. One instruction must
 * not write to more frames than this: its counters would be replaced, and it might zap tables for
 * ever. XSAVE with AMX writes to four frames.
 */
#define SHADOW_GAVE_UP		8
#define SHADOW_WALKS		8
/* The largest page of a shadow leaf is 2 MiB: a 1 GiB page of the guest is mapped by 512 leaves. */
#define SHADOW_MAX_LEVEL	2
/*
 * Maximum numbers; the userspace test defines smaller ones.
 * SHADOW_CHAIN: entries in a chain
 * SHADOW_SAME: shadow tables of one frame
 * SHADOW_UNSYNC: out-of-sync tables of a VM; one flush by the guest may compare all of them
 * SHADOW_HOPS: steps of a search upwards from a table; after that, every root is assumed to lead to
 * the table
 * SHADOW_POOL: freed tables that a VM keeps to use them again
 * SHADOW_RECENT: blocks that are found without a look-up in the xarray
 * SHADOW_HUGES: large pages of the host that a vCPU remembers
 * SHADOW_CLIMBED: steps of all such searches between two flushes. After that, the flush goes to all
 * vCPUs, because a search holds mmu->lock for writing
 */
#ifndef SHADOW_CHAIN
#define SHADOW_CHAIN		512
#define SHADOW_SAME		255
#define SHADOW_UNSYNC		512
#define SHADOW_HOPS		64
#define SHADOW_POOL		32
#define SHADOW_RECENT		64
#define SHADOW_HUGES		32
#endif
#define SHADOW_CLIMBED		(64 * SHADOW_HOPS)

/**
 * struct shadow_link - puts entry i of a table into the chain of its target (table->link[i])
 * @next, @prev: numbers of the neighbours in the chain, 0 if there is none
 *
 * The target of an entry that points to a shadow table is that table. The target of a leaf is the
 * frame (level 1) or the block of frames (level 2) that it maps. An MMIO entry is in no chain.
 */
struct shadow_link {
	u32 next, prev;
};

/*
 * table->what[i] describes entry i of the table. For a leaf or an MMIO entry:
 * depth << 48 | frame << 8 | WHAT_SET | access (enum shadow_access). For an entry that points to a
 * table: depth << 48 | id of that table. The depth is valid only if the entry is in a chain.
 *
 * A new entry is added at the head of a chain. Its depth is 0 if the chain was empty, else the old
 * head's depth + 1. Because entries may be removed later, an entry's depth is an upper bound of the
 * number of entries that follow it.
 */
#define WHAT_SET		BIT_ULL(3)
#define WHAT_DEPTH_SHIFT	48

static_assert(!(WHAT_SET & SHADOW_ALL));

static inline u64 what_make(gfn_t gfn, u8 access)
{
	return gfn << 8 | WHAT_SET | access;
}

static inline gfn_t what_gfn(u64 what)
{
	return (what & (BIT_ULL(WHAT_DEPTH_SHIFT) - 1)) >> 8;
}

static inline u8 what_access(u64 what)
{
	return what & SHADOW_ALL;
}

static inline unsigned int what_depth(u64 what)
{
	return what >> WHAT_DEPTH_SHIFT;
}

/**
 * struct shadow_table - one shadow table; all members under mmu->lock
 * @entry: the page that hardware walks
 * @what: for each entry, what the entry maps or points to; see WHAT_SET
 * @link: for each entry, its neighbours in its chain. NULL until an entry of the table first has a
 *	neighbour; set by compare-and-exchange by a vCPU that holds mmu->lock
 * @groups: bit n: one of the SHADOW_GROUP entries from n * SHADOW_GROUP on was set since the table
 *	was made; set atomically
 * @gfn: frame of the guest's table; of a direct table, the first frame that it maps
 * @parents: the first entry (see link_nr()) in the chain of entries that point to this table
 * @roots: how many struct shadow_root have this table as a top table
 * @vcpus: set of the vCPUs whose current root has this table as a top table; changed without lock
 * @writes: emulated writes to the guest's table since a fault last went through this table
 * @born: value of sh->zaps when the table was made
 * @used: a fault went through this table since shadow_reclaim() last looked at it
 * @dead: the table was zapped: lookups do not find it, and it is freed when @roots is 0
 * @unsync: the table is out of sync
 * @nx_split: the table replaces a large page because the guest has fetched code from that page
 * @mmio: the table may contain MMIO entries
 * @nx_node, @mmio_node: nodes in sh->nx_splits and sh->mmio, the oldest table first
 * @bucket: node in sh->table[]
 * @all: node in sh->tables or sh->condemned, the oldest table first; for a zapped table, in
 *	mmu_zap.tables; for a freed one, in sh->pool
 * @unsynced: node in sh->unsync if @unsync
 */
struct shadow_table {
	u64 *entry;
	u64 *what;
	struct shadow_link *link;
	unsigned long groups;
	gfn_t gfn;
	u32 role;
	u32 id;
	u32 parents;
	u32 roots;
	atomic64_t vcpus;
	u32 writes;
	u64 born;
	bool used;
	bool dead;
	bool unsync;
	bool nx_split;
	bool mmio;
	struct list_head nx_node, mmio_node;
	struct hlist_node bucket;
	struct list_head all;
	struct list_head unsynced;
};

/**
 * struct shadow_block - 512 consecutive frames of the guest, the first a multiple of 512
 * @lock: guards the chains while mmu->lock is held for reading
 * @large: number of the first entry in the chain of the leaves at level 2 that map this block
 * @nr_shadowed: number of shadow tables (not direct ones) of frames of this block. A large page may
 *	be mapped in this block only while @nr_shadowed is 0
 * @dropped: value of sh->epoch when a leaf of the block was last dropped or write-protected
 * @dropped_write: value of sh->epoch when a writable leaf was last dropped or write-protected
 * @rmap: for each frame, the number of the first entry in the chain of its leaves at level 1. NULL
 *	until block_get() allocates the array for the first leaf at level 1. block_get() sets @rmap
 *	without mmu->lock, by compare-and-exchange. The array is freed with the block
 * @nr: the block's index in sh->blocks
 * @shadowed: set of the frames that have a shadow table (not a direct one)
 */
struct shadow_block {
	spinlock_t lock;
	u32 large;
	u32 nr_shadowed;
	u64 dropped, dropped_write;
	u32 *rmap;
	struct rcu_head rcu;
	unsigned long nr;
	DECLARE_BITMAP(shadowed, SHADOW_ENTRIES);
};

/**
 * block_rmap() - return @b->rmap or NULL. Under mmu->lock, or in an RCU section
 *
 * Another vCPU may set @b->rmap at any time, but nobody clears or replaces it.
 */
static inline u32 *block_rmap(const struct shadow_block *b)
{
	return READ_ONCE(b->rmap);
}

#define SHADOW_NOT_CROWDED	(~0ULL)

/** struct shadow_vm - a VM's state of shadow paging (mmu->shadow), under mmu->lock */
struct shadow_vm {
	struct okvm_mmu_vm *mmu;
	struct xarray blocks;		/* struct shadow_block, index: frame >> 9 */
	/*
	 * For each value of the low bits of a block's index: the block that was looked up last. Set
	 * with mmu->lock held for reading or writing; cleared with it held for writing.
	 */
	struct shadow_block *recent[SHADOW_RECENT];
	struct ida ids;
	struct shadow_table **chunk[SHADOW_CHUNKS];
	struct hlist_head table[1 << SHADOW_BUCKET_BITS];
	u64 hash;			/* random odd factor for shadow_bucket() */
	struct list_head tables;
	struct list_head condemned;	/* tables that shadow_zap_all() is about to zap */
	struct list_head pool;		/* freed tables, all entries 0; linked by table->all */
	unsigned int nr_pool;		/* length of pool */
	u64 zaps;			/* count of calls of shadow_zap_all() */
	struct list_head nx_splits;	/* tables with nx_split set, the oldest first */
	struct list_head mmio;		/* tables with mmio set, the oldest first */
	struct list_head unsync;	/* out-of-sync tables, the newest first */
	atomic64_t nr_blocks;
	unsigned long nr_tables;
	unsigned long nr_pinned;	/* number of tables that are roots */
	unsigned long max_tables;	/* KVM_SET_NR_MMU_PAGES; 0: see shadow_limit() */
	unsigned long nr_nx_splits, nr_mmio;
	unsigned long nr_unsync;	/* length of unsync; also read without the lock */
	u64 epoch;			/* count of calls of shadow_flush(), from 1 */
	/*
	 * Set of the vCPUs whose TLBs may hold translations that no entry has any more. vCPUs are
	 * added with mmu->lock held for writing. A vCPU removes itself without mmu->lock.
	 */
	atomic64_t stale;
	unsigned int climbed;		/* steps of shadow_left() since the last flush */
	gfn_t crowded;			/* shadow_make_room() zaps this frame's tables */
	/*
	 * Shadow entries for a large page of the guest were removed. TLBs may hold many small
	 * translations for the large page, so INVLPG must flush the whole TLB until the next
	 * shadow_flush(). Written with mmu->lock held, also read without it.
	 */
	bool wide;
	struct list_head others;	/* node in shadow_vms, for the shrinker */
};

/**
 * struct shadow_root - the current root of a vCPU, or one that the vCPU has used before
 * @role: role of the first top table, 0 if this struct is unused
 * @key: with PAE paging, the guest's four PDPTEs; otherwise @key[0] is the frame in CR3
 * @incomplete: a top table could not be made (for example, the guest's table is in no memory slot),
 *	so the root is built anew at the next load
 * @top: the top tables. If the guest's paging has 4 or 5 levels, there is one. Otherwise there are
 *	four, to which the entries of the PAE root point (NULL: entry not present)
 */
struct shadow_root {
	u32 role;
	bool incomplete;
	u64 key[4];
	struct shadow_table *top[4];
};

/**
 * struct shadow_fault - one #PF in the guest that is being handled (in shadow_vcpu.fault)
 * @vcpu, @gva, @access: who accessed what address, and how (enum walk_access)
 * @mode, @path, @result: input and result of the walk of the guest's page tables
 * @above: for each level, the rights (enum shadow_access) that the guest's entries above this level
 *	grant together
 * @leaf: the rights of the shadow leaf to be made; they allow @access
 * @page: for a large page of the guest: the rights that its leaves may give to every kind of
 *	access. @leaf differs from @page only for a supervisor's write that the guest's entries
 *	deny, but that CR0.WP = 0 allows
 * @dirty: for a large page of the guest: the guest's entry is dirty
 * @level: level of the leaf to be made
 * @mmio: make an MMIO entry: the frame has no slot and is not the page of okvm_mmu_set_hole()
 * @exclusive: mmu->lock is held for writing, not for reading
 * @fast: the fast handler (shadow_page_fault_fast()) runs, with IRQs off
 * @walked: the fast handler has set all members up to @dirty; the slow handler
 *	(shadow_page_fault()) may use them for the same exit
 * @missed: hostmem_get_fast() has failed in the fast handler: the slow handler need not try it
 * @unlinked: the fast handler has found that the fault needs mmu->lock for writing
 * @gen: generation of the slots when the fast handler walked the guest's tables; valid if @walked
 *	is set
 * @host: the host's page
 * @block: block of the mapped frame, valid while mmu->lock is held
 */
struct shadow_fault {
	struct okvm_vcpu *vcpu;
	gva_t gva;
	u32 access;
	struct walk_mode mode;
	struct walk_path path;
	struct walk_result result;
	u8 above[WALK_LEVELS + 1];
	u8 leaf, page;
	bool dirty;
	int level;
	bool mmio;
	bool exclusive;
	bool fast;
	bool walked, missed, unlinked;
	u64 gen;
	struct okvm_fault *host;
	struct shadow_block *block;
};

/**
 * struct shadow_walk - a walk down to level 1 that gva_walk_fast() keeps for later walks
 * @region: (address >> 21) + 1 for the linear address of the kept walk; 0: no walk is kept
 * @seen: (address >> 21) + 1 for the last walk that came to level 1. The next such walk is kept if
 *	its value is the same
 * @gen, @cr3, @mode: generation of the slots, CR3 and paging mode of the walk
 * @at: from the top on, the addresses in the VMM of the entries above level 1
 * @val: the values of these entries
 * @table: address in the VMM of the table at level 1
 * @path: the walk's path, with what the entries above level 1 allow
 */
struct shadow_walk {
	u64 region, seen;
	u64 gen, cr3;
	struct walk_mode mode;
	const u64 __user *at[WALK_LEVELS - 1];
	u64 val[WALK_LEVELS - 1];
	const u64 __user *table;
	struct walk_path path;
};

/**
 * struct shadow_huge - 2 MiB of the VMM's memory that the host maps, writable, by a large page
 * @region: number of the 2 MiB of host virtual addresses, plus 1; 0: none
 * @seq: value of inv_seq in struct okvm_mmu_vm before the host's page tables were read
 * @pfn: the first host frame
 *
 * Valid while inv_seq is @seq and no active invalidation contains the address: the end of each
 * invalidation increments inv_seq. A fault that uses the page maps it only if, under mmu->lock,
 * notifier_stale() is false for @seq. Only the fast handler learns large pages; both handlers use
 * them. No reference to the page is held. The fault that found the large page has marked it dirty:
 * hostmem_release() says why that is enough.
 */
struct shadow_huge {
	u64 region;
	unsigned long seq;
	u64 pfn;
};

/** struct shadow_vcpu - a vCPU's state of shadow paging (vcpu->mmu->shadow), under vcpu->mutex */
struct shadow_vcpu {
	struct shadow_table *spare[SHADOW_SPARE];
	int nr_spare;
	struct shadow_link *spare_link[SHADOW_SPARE_LINKS];	/* arrays for table->link */
	int nr_spare_link;
	struct shadow_root root[SHADOW_ROOTS];
	struct shadow_root *cur;
	unsigned int victim;
	gva_t idle_gva;			/* address of the last fault */
	unsigned int idle;		/* spurious faults in a row at idle_gva */
	struct {
		gfn_t gfn;
		unsigned int times;	/* user-mode writes to the frame, see SHADOW_GAVE_UP */
	} gave_up[SHADOW_GAVE_UP];	/* shadowed frames that user mode has written to last */
	unsigned int gave_up_next;	/* element of gave_up to replace next, modulo its size */
	u64 (*pae)[4];			/* hardware's PDPTEs of each root, below 4 GiB */
	u64 mmio_page[SHADOW_MMIO_HINTS];	/* linear page numbers of MMIO, plus 1; 0: none */
	u64 told_page;			/* linear page number of the last #PF that the guest got */
	struct shadow_walk walk[SHADOW_WALKS];	/* index: (address >> 21) % SHADOW_WALKS */
	struct shadow_huge huge[SHADOW_HUGES];	/* index: (host address >> 21) % SHADOW_HUGES */
	struct shadow_fault fault;	/* the last fault, or the one that is being handled */
};

/**
 * shadow_forget_walk() - discard the fast handler's walk: the vCPU's root or paging mode changes
 */
static inline void shadow_forget_walk(struct shadow_vcpu *sv)
{
	sv->fault.walked = false;
}

static inline struct shadow_vm *shadow_of(const struct okvm_vcpu *vcpu)
{
	return vcpu->vm->mmu->shadow;
}

/** table_by_id() - return the table with number @id, which must be allocated */
static inline struct shadow_table *table_by_id(struct shadow_vm *sh, u32 id)
{
	return sh->chunk[id / SHADOW_IDS_PER_CHUNK][id % SHADOW_IDS_PER_CHUNK];
}

/**
 * table_child() - return the table to which entry @i of @t points
 *
 * The entry must point to a table. mmu->lock: read or write. The function uses @t->what[i]: this is
 * faster than to look the table up by its address.
 */
static inline struct shadow_table *table_child(struct shadow_vm *sh, const struct shadow_table *t,
					       unsigned int i)
{
	return table_by_id(sh, (u32)READ_ONCE(t->what[i]));
}

/** link_table() - return the table that contains the entry with number @nr, which must not be 0 */
static inline struct shadow_table *link_table(struct shadow_vm *sh, u32 nr)
{
	return table_by_id(sh, nr >> SHADOW_LINK_BITS);
}

/** link_next() - return the number of the entry after entry @nr in its chain, or 0 */
static inline u32 link_next(struct shadow_vm *sh, u32 nr)
{
	const struct shadow_link *link = READ_ONCE(link_table(sh, nr)->link);

	return link ? link[nr & (SHADOW_ENTRIES - 1)].next : 0;
}

/** link_depth() - return a bound of the number of entries after entry @nr in its chain */
static inline unsigned int link_depth(struct shadow_vm *sh, u32 nr)
{
	return what_depth(READ_ONCE(link_table(sh, nr)->what[nr & (SHADOW_ENTRIES - 1)]));
}

/** link_nr() - return the number by which chains name entry @i of @t: the table's id and @i */
static inline u32 link_nr(const struct shadow_table *t, unsigned int i)
{
	return t->id << SHADOW_LINK_BITS | i;
}

/**
 * table_uses() - record in @t->groups that entry @i of @t was set
 *
 * The loops over @t's entries hold mmu->lock for writing: they see the bit, as it is set before the
 * caller drops the lock. mmu->lock: read or write
 */
static inline void table_uses(struct shadow_table *t, unsigned int i)
{
	const unsigned int group = i / SHADOW_GROUP;

	/* The bit is often set already: avoid the locked instruction. */
	if (!test_bit(group, &t->groups))
		set_bit(group, &t->groups);
}

/** shadow_used() - return the index of the first entry of @t from @i on that is not 0, or 512 */
static inline unsigned int shadow_used(const struct shadow_table *t, unsigned int i)
{
	for (; i < SHADOW_ENTRIES; i++) {
		const unsigned long groups = t->groups >> i / SHADOW_GROUP;

		if (!groups)
			break;
		/* Most tables have few entries: skip groups in which no entry was ever set. */
		if (!(groups & 1))
			i = (i / SHADOW_GROUP + __ffs(groups)) * SHADOW_GROUP;
		if (t->entry[i])
			return i;
	}
	return SHADOW_ENTRIES;
}

static inline bool table_is_direct(const struct shadow_table *t)
{
	return t->role & ROLE_DIRECT;
}

/**
 * struct shadow_climb - a search for all tables above a table, by the lists of parents
 * @at: for each depth of the search, the number of the next entry to follow in a list of parents
 * @hops: number of tables that climb_next() has returned
 */
struct shadow_climb {
	u32 at[WALK_LEVELS + 1];
	int depth;
	unsigned int hops;
};

static inline struct shadow_climb climb_start(const struct shadow_table *t)
{
	return (struct shadow_climb){ .at = { t->parents } };
}

/**
 * climb_next() - return the next table above the start, or NULL; a table may occur repeatedly
 *
 * If @c->hops > SHADOW_HOPS, the caller ends the search, and assumes that every root leads to the
 * table where the search has begun. Under mmu->lock
 */
static inline struct shadow_table *climb_next(struct shadow_vm *sh, struct shadow_climb *c)
{
	struct shadow_table *t;
	u32 nr;

	while (!c->at[c->depth]) {
		if (!c->depth--)
			return NULL;
	}
	nr = c->at[c->depth];
	c->at[c->depth] = link_next(sh, nr);
	c->hops++;
	t = link_table(sh, nr);
	if (c->depth < WALK_LEVELS)
		c->at[++c->depth] = t->parents;
	return t;
}

/* rmap.c */

/**
 * block_get() - allocate the block of @gfn and, for a leaf at level 1, its array rmap
 * @level: 1 for a page of 4 KiB; 2 for a large page, or if @gfn shall be shadowed
 * @gfp: whether the allocation may sleep
 *
 * What exists already is kept. The caller has to look the block up again under mmu->lock, because
 * the block is freed with its memory slot.
 * Return: false if memory could not be allocated
 */
bool block_get(struct shadow_vm *sh, gfn_t gfn, int level, gfp_t gfp);
/** block_find() - return the block of @gfn or NULL. Under mmu->lock, or in an RCU section */
struct shadow_block *block_find(struct shadow_vm *sh, gfn_t gfn);

/** block_of() - return the block of @gfn or NULL; faster than block_find(). Under mmu->lock */
static inline struct shadow_block *block_of(struct shadow_vm *sh, gfn_t gfn)
{
	const unsigned long nr = gfn >> SHADOW_LINK_BITS;
	struct shadow_block **recent = &sh->recent[nr % SHADOW_RECENT], *b = READ_ONCE(*recent);

	if (likely(b && b->nr == nr))
		return b;
	b = block_find(sh, gfn);
	if (b)
		WRITE_ONCE(*recent, b);
	return b;
}

/**
 * block_drop() - record that an entry leading to a frame of @b was removed or write-protected
 * @write: the entry allowed writes
 *
 * TLBs may hold the old translation until the VM's next shadow_flush(). The caller also calls
 * shadow_left(). mmu->lock: write
 */
static inline void block_drop(const struct shadow_vm *sh, struct shadow_block *b, bool write)
{
	b->dropped = sh->epoch;
	if (write)
		b->dropped_write = sh->epoch;
}

void blocks_free(struct shadow_vm *sh);
/** link_del() - take entry @i of @t out of the chain that begins at @head. mmu->lock: write */
void link_del(struct shadow_vm *sh, u32 *head, struct shadow_table *t, unsigned int i);
/** chain_drop() - drop all entries of the chain that begins at @head. Return: their number */
unsigned int chain_drop(struct shadow_vm *sh, u32 *head);
/**
 * shadow_link() - make the empty entry @i of @t point to @child. mmu->lock: write
 * Return: false if the vCPU lacks spare arrays of links: the fault then has to be retried
 */
bool shadow_link(struct okvm_vcpu *vcpu, struct shadow_table *t, unsigned int i,
		 struct shadow_table *child);
/**
 * rmap_install() - set the empty entry @i of @t to @leaf and add it to its frame's reverse map
 * @vcpu: gives spare arrays of links
 * @b: the frame's block
 * @what: frame and access, from what_make()
 *
 * mmu->lock: read or write
 * Return: false if the entry is not empty, the chain is full, or the vCPU lacks spare arrays
 */
bool rmap_install(struct okvm_vcpu *vcpu, struct shadow_block *b, struct shadow_table *t,
		  unsigned int i, u64 leaf, u64 what);
/**
 * rmap_trim() - make room for a leaf of @t that shall map @gfn: if its chain is full, empty it
 *
 * mmu->lock: write
 */
void rmap_trim(struct shadow_vm *sh, struct shadow_table *t, gfn_t gfn);
/**
 * rmap_upgrade() - change leaf @i of @t from the value @old to @leaf; both map the same frame
 * @what: frame and new access, from what_make()
 *
 * mmu->lock: read or write. Return: false if the entry is not @old any more
 */
bool rmap_upgrade(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old, u64 leaf,
		  u64 what);
/** rmap_remove() - take leaf @i of @t out of its chain; @old is its last value. mmu->lock: write */
void rmap_remove(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old);
/**
 * rmap_protect() - write-protect all leaves that map @gfn. mmu->lock: write
 * Return: true if the caller must flush, because a TLB may still allow writes
 */
bool rmap_protect(struct shadow_vm *sh, gfn_t gfn);
/** block_shadowed() - return true if a table shadows @gfn, which is a frame of block @b */
static inline bool block_shadowed(const struct shadow_block *b, gfn_t gfn)
{
	return test_bit(gfn & (SHADOW_ENTRIES - 1), b->shadowed);
}

/** rmap_shadowed() - return true if a table shadows @gfn; exact under mmu->lock only */
static inline bool rmap_shadowed(struct shadow_vm *sh, gfn_t gfn)
{
	const struct shadow_block *b;
	bool shadowed;

	rcu_read_lock();
	b = block_find(sh, gfn);
	shadowed = b && block_shadowed(b, gfn);
	rcu_read_unlock();
	return shadowed;
}

/* shadow.c */

/**
 * shadow_fill_spare() - allocate spare tables and arrays of links for one fault. May sleep
 * Return: 0 or -ENOMEM
 */
int shadow_fill_spare(struct okvm_vcpu *vcpu);
/** shadow_free_table() - free @t, which no CPU walks and no list contains */
void shadow_free_table(struct shadow_vm *sh, struct shadow_table *t);
/**
 * shadow_get() - find or make the shadow table of @gfn and @role, and synchronize it
 * Return: the table. NULL if the struct shadow_block of @gfn is not allocated, or if @gfn has too
 *	many tables: the caller then has to drop the lock and retry. mmu->lock: write
 */
struct shadow_table *shadow_get(struct okvm_vcpu *vcpu, gfn_t gfn, u32 role);
/**
 * shadow_mark_nx_split(), shadow_mark_mmio() - set the flag nx_split or mmio of @t
 *
 * Also add @t to the list sh->nx_splits or sh->mmio. mmu->lock: write
 */
void shadow_mark_nx_split(struct shadow_vm *sh, struct shadow_table *t);
void shadow_mark_mmio(struct shadow_vm *sh, struct shadow_table *t);
/**
 * shadow_drop() - clear entry @i of @t, whatever it holds; does not flush TLBs. mmu->lock: write
 * Return: false if the entry was neither a leaf nor a link to a table (empty, or MMIO)
 */
bool shadow_drop(struct shadow_vm *sh, struct shadow_table *t, unsigned int i);
/** shadow_get_root() - count a reference to @t by a vCPU's root. mmu->lock: write */
void shadow_get_root(struct shadow_vm *sh, struct shadow_table *t);
/** shadow_put_root() - drop a root's reference to @t; free @t if it is dead. mmu->lock: write */
void shadow_put_root(struct shadow_vm *sh, struct shadow_table *t);
/** shadow_zap_start() - initialize @z for a caller that holds mmu->lock for writing */
void shadow_zap_start(struct mmu_zap *z, struct shadow_vm *sh);
/** shadow_zap_table() - clear @t, unlink it from its parents, queue it in @z. mmu->lock: write */
void shadow_zap_table(struct mmu_zap *z, struct shadow_table *t);
/** shadow_zap_finish() - flush the TLBs, free the zapped tables, keep the lock. mmu->lock: write */
void shadow_zap_finish(struct mmu_zap *z);
/**
 * shadow_zap_yield() - flush and drop mmu->lock for a moment if other threads need it
 * @work: entries that the caller has looked at since the last call
 *
 * Return: true if the lock was dropped: tables and blocks may have been freed
 */
bool shadow_zap_yield(struct mmu_zap *z, unsigned int work);
/** shadow_zap_all() - zap all shadow tables that the VM has at the call. mmu->lock: write */
void shadow_zap_all(struct mmu_zap *z);
/** shadow_zap_frame() - zap all tables that shadow @gfn. mmu->lock: write. Return: their number */
unsigned int shadow_zap_frame(struct mmu_zap *z, gfn_t gfn);
/**
 * shadow_left() - record that an entry of @t was cleared or write-protected and may be in TLBs
 *
 * Adds to sh->stale the vCPUs whose current root leads to @t. Called after the change of the entry,
 * and before links to @t are cleared. The change must be a full memory barrier, which pairs with
 * smp_mb__after_atomic() in root_enter(): if this function does not see a vCPU in table->vcpus,
 * that vCPU sees the change. mmu->lock: write
 */
void shadow_left(struct shadow_vm *sh, struct shadow_table *t);
/** shadow_flush() - flush the vCPUs in sh->stale and end all staleness. mmu->lock: write */
void shadow_flush(struct shadow_vm *sh);
/** shadow_make_room() - zap tables beyond the VM's limit. mmu->lock: write. Return: true if any */
bool shadow_make_room(struct shadow_vm *sh);
/** shadow_for_each() - loop over tables that shadow @gfn, except direct ones. Under mmu->lock */
#define shadow_for_each(t, next, sh, gfn_)						\
	hlist_for_each_entry_safe(t, next, shadow_bucket(sh, gfn_), bucket)		\
		if ((t)->gfn == (gfn_) && !table_is_direct(t))

struct hlist_head *shadow_bucket(struct shadow_vm *sh, gfn_t gfn);

/**
 * shadow_mixed() - return true if a table that shadows @gpa's frame has entries of another size
 * @size: size in bytes of the guest's entry at @gpa
 *
 * The guest then uses the page also as a table of another format. There the accessed and dirty bits
 * of the entry at @gpa have another meaning. mmu->lock: read or write
 */
static inline bool shadow_mixed(struct shadow_vm *sh, gpa_t gpa, unsigned int size)
{
	struct shadow_table *t;
	struct hlist_node *next;

	shadow_for_each(t, next, sh, gpa >> PAGE_SHIFT) {
		if (role_entry_size(t->role) != size)
			return true;
	}
	return false;
}

/**
 * shadow_mark_begin() - return true if a walk that must not sleep may set an accessed or dirty bit
 * @gpa, @size: address of the guest's entry, and its size in bytes
 *
 * If the function returns true, mmu->lock is held for reading until shadow_mark_end(). It returns
 * false if shadow_mixed() is true, or if another thread holds mmu->lock for writing.
 */
static inline bool shadow_mark_begin(struct shadow_vm *sh, gpa_t gpa, unsigned int size)
{
	if (!read_trylock(&sh->mmu->lock))
		return false;
	if (!shadow_mixed(sh, gpa, size))
		return true;
	read_unlock(&sh->mmu->lock);
	return false;
}

static inline void shadow_mark_end(struct shadow_vm *sh)
{
	read_unlock(&sh->mmu->lock);
}

/* shadow_fault.c */

/** shadow_top() - return the top table of the current root for @gva, NULL if there is none */
struct shadow_table *shadow_top(struct okvm_vcpu *vcpu, gva_t gva);

/* shadow_prefetch.c */

/** shadow_prefetch() - map neighbours of leaf @i of @t, which @f has just made. Under mmu->lock */
void shadow_prefetch(struct shadow_fault *f, struct shadow_table *t, unsigned int i);

/* shadow_sync.c */

/**
 * unsync_frame() - set the tables that shadow @gfn out of sync. mmu->lock: write
 * Return: true if @gfn may be mapped writable; false if its tables have to stay in sync
 */
bool unsync_frame(struct shadow_vm *sh, gfn_t gfn);
/**
 * unsync_make_room() - synchronize some tables if unsync_frame() would exceed SHADOW_UNSYNC
 * mmu->lock: write. Return: true if any table was synchronized or zapped. The caller then has to
 *	walk again, because the walk may have led through such a table
 */
bool unsync_make_room(struct okvm_vcpu *vcpu, gfn_t gfn);
/**
 * sync_below() - synchronize @t and all tables below it, before @t gets a new parent
 * mmu->lock: write
 */
void sync_below(struct okvm_vcpu *vcpu, struct shadow_table *t);
/** sync_forget() - take @t off the list of tables that are out of sync. mmu->lock: write */
void sync_forget(struct shadow_vm *sh, struct shadow_table *t);
/** sync_root() - synchronize all tables below the vCPU's current root, for a flush by the guest */
void sync_root(struct okvm_vcpu *vcpu);

/* gva.c */

/**
 * gva_walk() - walk the guest's tables for @f->gva, setting accessed and dirty bits. May sleep
 * Return: enum walk_verdict
 */
int gva_walk(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault);
/**
 * gva_walk_fast() - walk the guest's tables for @f->gva without sleeping. Not under mmu->lock
 * Return: enum walk_verdict. WALK_MEMORY may also mean that the walk would have to sleep
 */
int gva_walk_fast(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault);
/** gva_peek() - read one page-table entry at @gpa without sleeping. Return: 0 or -EFAULT */
int gva_peek(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val);
/** gva_peek_line() - read @nr consecutive page-table entries of @size bytes without sleeping */
int gva_peek_line(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val, unsigned int nr);

/* shadow_sync.c, shadow.c */

/** shadow_invlpg() - drop the shadow leaf of @gva if it does not match the guest's entry */
void shadow_invlpg(struct okvm_vcpu *vcpu, gva_t gva);
/**
 * shadow_marked() - update shadow tables after a walk has set an accessed or dirty bit
 * @gpa, @size: address of the guest's entry, and its size in bytes
 *
 * Shadow tables for guest entries of @size bytes stay correct when such a bit is set. But the guest
 * may use the page also as a table with entries of the other size, where the bit has another
 * meaning. Only in this case, the shadow tables are updated, by shadow_wrote(). Context: no lock.
 */
void shadow_marked(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size);
/** shadow_unprotect() - zap the tables that shadow @gfn. Return: true if there were any */
bool shadow_unprotect(struct okvm_vm *vm, gfn_t gfn);

/* The functions in mmu_policy_shadow (shadow_policy.c); struct mmu_policy describes each. */
int shadow_init(void);
void shadow_exit(void);
int shadow_vm_create(struct okvm_mmu_vm *mmu);
void shadow_vm_destroy(struct okvm_mmu_vm *mmu);
int shadow_vcpu_create(struct okvm_vcpu *vcpu);
void shadow_vcpu_destroy(struct okvm_vcpu *vcpu);
int shadow_load(struct okvm_vcpu *vcpu);
void shadow_unload(struct okvm_vcpu *vcpu);
int shadow_page_fault(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);
int shadow_page_fault_fast(struct okvm_vcpu *vcpu, struct okvm_page_fault *pf);
/** shadow_cr3_fast() - switch to a root that the vCPU has kept for CR3. Return: false if none */
bool shadow_cr3_fast(struct okvm_vcpu *vcpu);
bool shadow_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes);
void shadow_zap_begin(struct mmu_zap *z, struct okvm_mmu_vm *mmu, bool yield)
	__acquires(&mmu->lock);
void shadow_zap_range(struct mmu_zap *z, gfn_t start, gfn_t end);
void shadow_zap_end(struct mmu_zap *z) __releases(&z->mmu->lock);
void shadow_zap_mmio(struct okvm_mmu_vm *mmu);
bool shadow_age(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end, bool clear);
void shadow_write_protect(struct okvm_mmu_vm *mmu, gfn_t start, gfn_t end);
void shadow_recover_nx(struct okvm_mmu_vm *mmu, u64 max);
void shadow_free_all(struct okvm_mmu_vm *mmu);
void shadow_set_limit(struct okvm_mmu_vm *mmu, unsigned long pages);

#endif /* OKVM_MMU_SHADOW_H */
