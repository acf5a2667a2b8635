/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow paging: tables that translate guest-linear to host-physical addresses, made from the
 * guest's own tables while it runs. Shared among mmu/shadow*.c and mmu/rmap.c only.
 *
 * The promise to the guest: an access finds what a CPU's TLB could hold at that moment, which is
 * what the guest's tables say now, or have said since the guest last had that address flushed.
 * The promise to the host: what it takes away is in no entry and in no TLB when it is told so.
 *
 * *Tables* shadow one table of the guest (or a part of it: role.h), and are found by frame and
 * role. A table that is direct shadows nothing: it maps frames in sequence, where the guest's page
 * is larger than what may be mapped, or has no paging at all.
 *
 * *Links*: each entry points to one thing, a frame of the guest or a table. One struct shadow_link
 * beside it chains it with all others that point to the same: a frame's reverse map, a table's
 * parents. Links are named by number (table's id << 9 | index), half as wide as a pointer.
 *
 * *Blocks* hold what is known of 512 frames of the guest in sequence: the heads of their reverse
 * maps, and how many tables shadow each. They are made when first needed, and go with the slot.
 * What a block knows of each single frame is made later, as a large page does without.
 *
 * *Synchronous or not*: a frame that is shadowed is not writable for the guest; each write is
 * emulated, and shadow_wrote() drops the entries made from what was overwritten. A table at level 1
 * may go out of sync instead when the guest writes to it: its frame becomes writable. Entries of
 * such a table are what a TLB could hold, and are compared with the guest's when the guest flushes
 * (shadow_sync.c). A write that makes an entry present needs no flush: the entry's shadow is empty
 * then, and the fault on it is resolved by a walk. A table out of sync that is given to one more
 * parent is compared first, as the guest owes no flush for addresses that were not present.
 *
 * *Stale*: a block says whether TLBs may still hold, of its frames, what no entry holds: something
 * was dropped or reduced for the guest, which has yet to flush. Whoever relies on an absence (the
 * host's notifier, write protection) flushes if it removed anything *or* if the block is stale, and
 * who frees a table flushes always. Flushes of the whole VM are counted (sh->epoch), and a block
 * notes the count at its last drop, so that a flush makes all blocks fresh at once.
 *
 * *Bounds*: the guest chooses how often it maps a frame, and nobody may hold a lock for that long.
 * A chain that has SHADOW_CHAIN links is dropped as a whole when one more is to come; a frame that
 * SHADOW_SAME tables shadow loses them all. What walks over many tables or blocks lets others in.
 *
 * Locks: mmu->lock for writing: tables come and go, are linked, go out of sync; entries are
 * dropped. For reading: an empty entry becomes a leaf, a leaf gains rights or loses its accessed
 * or write bit; and block->lock then guards the block's chains. A fault whose tables exist needs no
 * more than that. What was read from the guest's tables is read again under the lock before it is
 * believed: a write that comes later finds the table protected, or the flush that the guest owes
 * finds the entry.
 */
#ifndef OKVM_MMU_SHADOW_H
#define OKVM_MMU_SHADOW_H

#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/xarray.h>

#include "mmu/internal.h"
#include "mmu/shadow_entry.h"

#define SHADOW_ENTRIES		512
#define SHADOW_LINK_BITS	9
#define SHADOW_IDS_PER_CHUNK	512
#define SHADOW_CHUNKS		4096
#define SHADOW_MAX_TABLES	(SHADOW_IDS_PER_CHUNK * SHADOW_CHUNKS - 1)
#define SHADOW_MIN_TABLES	64
#define SHADOW_BUCKET_BITS	13
/* The most tables that one fault needs. */
#define SHADOW_SPARE		5
#define SHADOW_ROOTS		4
#define SHADOW_MMIO_HINTS	8
/* Above 2 MiB nothing is mapped at once: a gigabyte is 512 entries. */
#define SHADOW_MAX_LEVEL	2
/*
 * The most links of a chain, tables of a frame, and tables out of sync, which one flush of the
 * guest's compares (userspace's test has less of each).
 */
#ifndef SHADOW_CHAIN
#define SHADOW_CHAIN		512
#define SHADOW_SAME		255
#define SHADOW_UNSYNC		512
#endif

/**
 * struct shadow_link - of the entry beside it
 * @next, @prev: links to the same frame or table; 0 none, and then the head is before
 * @what: depth << 48 | frame << 8 | LINK_SET | access (enum shadow_access). The first part of any
 *	entry that is in a chain, the others of a leaf or MMIO entry, and 0 else.
 *
 * The depth is one more than that of the link that is next, or 0. It falls along the chain, and so
 * is no less than the number of links that follow, although links between may go.
 */
struct shadow_link {
	u32 next, prev;
	u64 what;
};

#define LINK_SET		BIT_ULL(3)
#define LINK_DEPTH_SHIFT	48

static_assert(!(LINK_SET & SHADOW_ALL));

static inline u64 link_what(gfn_t gfn, u8 access)
{
	return gfn << 8 | LINK_SET | access;
}

static inline gfn_t link_gfn(const struct shadow_link *l)
{
	return (READ_ONCE(l->what) & (BIT_ULL(LINK_DEPTH_SHIFT) - 1)) >> 8;
}

static inline u8 link_access(const struct shadow_link *l)
{
	return READ_ONCE(l->what) & SHADOW_ALL;
}

static inline unsigned int link_depth(const struct shadow_link *l)
{
	return l->what >> LINK_DEPTH_SHIFT;
}

/**
 * struct shadow_table - one table
 * @entry: the page that hardware walks
 * @gfn: frame of the guest's table; direct: the first frame that it maps
 * @parents: first link of the entries that point here
 * @roots: vCPUs' roots that it is
 * @writes: emulated writes since it was used last
 * @used: a fault went through it since reclaim looked
 * @dead: no longer found by anyone, kept for its roots
 * @nx_split: stands where a large page would, had the guest not fetched from it
 * @mmio: may have MMIO entries
 * @nx_node, @mmio_node: in sh->nx_splits and sh->mmio, if so; the oldest first
 * @bucket: in sh->table[]
 * @all: in sh->tables, the oldest first; then in a struct mmu_zap
 * @unsynced: in sh->unsync if @unsync
 */
struct shadow_table {
	u64 *entry;
	struct shadow_link *link;
	gfn_t gfn;
	u32 role;
	u32 id;
	u32 parents;
	u32 roots;
	u32 writes;
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
 * struct shadow_frames - each frame of a block
 * @rmap: first link of the leaves at level 1
 * @shadowed: tables, not direct, that shadow the frame, out of sync or not
 */
struct shadow_frames {
	u32 rmap[SHADOW_ENTRIES];
	u16 shadowed[SHADOW_ENTRIES];
};

/**
 * struct shadow_block - 512 frames from a multiple of 512 on
 * @lock: guards the chains while mmu->lock is held for reading
 * @large: first link of the leaves at level 2
 * @nr_shadowed: the sum of @frames->shadowed: no large page is mapped over any
 * @dropped: sh->epoch when an entry that led to a frame was dropped last
 * @dropped_write: likewise one that allowed writes
 * @frames: NULL until a leaf at level 1 or a table is to be made; then it stays with the block
 */
struct shadow_block {
	spinlock_t lock;
	u32 large;
	u32 nr_shadowed;
	u64 dropped, dropped_write;
	struct shadow_frames *frames;
	struct rcu_head rcu;
};

/** block_frames() - @b->frames, which others may set meanwhile. Under lock, or in an RCU section */
static inline struct shadow_frames *block_frames(const struct shadow_block *b)
{
	return READ_ONCE(b->frames);
}

#define SHADOW_NOT_CROWDED	(~0ULL)

/** struct shadow_vm - mmu->shadow, of a VM whose MMU this is; under mmu->lock */
struct shadow_vm {
	struct okvm_mmu_vm *mmu;
	struct xarray blocks;		/* by frame >> 9 */
	struct ida ids;
	struct shadow_table **chunk[SHADOW_CHUNKS];
	struct hlist_head table[1 << SHADOW_BUCKET_BITS];
	u64 hash;			/* odd, and not known to the guest */
	struct list_head tables;
	struct list_head nx_splits;
	struct list_head mmio;
	struct list_head unsync;	/* the newest first */
	atomic64_t nr_blocks;
	unsigned long nr_tables;
	unsigned long nr_pinned;	/* of them, those that are roots */
	unsigned long max_tables;	/* 0: as many as the memory in use makes likely */
	unsigned long nr_nx_splits, nr_mmio;
	unsigned long nr_unsync;	/* read without the lock */
	u64 epoch;			/* flushes of the whole VM, from 1 */
	gfn_t crowded;			/* a frame with too many tables */
	bool wide;	/* dropped: more than a page of 4 KiB; read without the lock */
	struct list_head others;	/* for the shrinker */
};

/**
 * struct shadow_root - a root that the vCPU has or had
 * @role: ROLE of the first table, 0 if there is no root here
 * @key: PAE: the four PDPTEs; else CR3's frame in the first
 * @incomplete: a table at the top is in no slot; it may be in one at the next load
 * @top: tables at the top: one, or the four that the PAE root has (NULL: not present)
 */
struct shadow_root {
	u32 role;
	bool incomplete;
	u64 key[4];
	struct shadow_table *top[4];
};

/**
 * struct shadow_fault - one #PF of the guest
 * @vcpu, @gva, @access: what was accessed and how (enum walk_access)
 * @mode, @path, @result: the guest's walk
 * @above: access of all entries above the one at that level (SHADOW_ALL with paging off)
 * @leaf: what the shadow may allow for this access
 * @page: ... for any, which is less where only CR0.WP = 0 allows the access
 * @level: of the leaf that is to be made
 * @mmio: an MMIO entry is to be made, as no memory is there, nor the module's page
 * @exclusive: mmu->lock is held for writing
 * @fast: IRQs are off
 * @walked: the fast way has filled @mode to @page and leaves the rest to the slow way
 * @missed: ... as the host's tables did not have the page
 * @unlinked: ... as tables are to be made or changed
 * @gen: ... at this generation of the slots
 * @host: the host's page
 * @block: of its frame, while mmu->lock is held
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
	int level;
	bool mmio;
	bool exclusive;
	bool fast;
	bool walked, missed, unlinked;
	u64 gen;
	struct okvm_fault *host;
	struct shadow_block *block;
};

/** struct shadow_vcpu - vcpu->mmu->shadow; guarded by vcpu->mutex */
struct shadow_vcpu {
	struct shadow_table *spare[SHADOW_SPARE];
	int nr_spare;
	struct shadow_root root[SHADOW_ROOTS];
	struct shadow_root *cur;
	unsigned int victim;
	gva_t idle_gva;			/* where faults found nothing to do, ... */
	unsigned int idle;		/* ... so many in a row */
	gfn_t gave_up_gfn;		/* a table that a user wrote to, ... */
	unsigned int gave_up;		/* ... so often in a row */
	u64 (*pae)[4];			/* the PAE roots, in a page below 4 GiB */
	u64 mmio_page[SHADOW_MMIO_HINTS];	/* linear page + 1, by its last bits */
	struct shadow_fault fault;		/* the one at hand */
};

/** shadow_forget_walk() - the vCPU gets another root or another mode of paging */
static inline void shadow_forget_walk(struct shadow_vcpu *mine)
{
	mine->fault.walked = false;
}

static inline struct shadow_vm *shadow_of(const struct okvm_vcpu *vcpu)
{
	return vcpu->vm->mmu->shadow;
}

/** table_by_id() - the table of a number that is given out */
static inline struct shadow_table *table_by_id(struct shadow_vm *sh, u32 id)
{
	return sh->chunk[id / SHADOW_IDS_PER_CHUNK][id % SHADOW_IDS_PER_CHUNK];
}

/** link_at() - the link by its number, which is not 0 */
static inline struct shadow_link *link_at(struct shadow_vm *sh, u32 nr)
{
	return &table_by_id(sh, nr >> SHADOW_LINK_BITS)->link[nr & (SHADOW_ENTRIES - 1)];
}

static inline u32 link_nr(const struct shadow_table *t, unsigned int i)
{
	return t->id << SHADOW_LINK_BITS | i;
}

static inline bool table_is_direct(const struct shadow_table *t)
{
	return t->role & ROLE_DIRECT;
}

/** table_below() - the table that a table entry points to */
static inline struct shadow_table *table_below(u64 entry)
{
	return (struct shadow_table *)page_private(virt_to_page(__va(entry & SPTE_ADDR)));
}

/* rmap.c */

/**
 * block_get() - see that @gfn has a block, for a leaf at @level or, at level 1, for a table
 * Return: false: no memory. May sleep
 *
 * It may be gone again when the lock is taken, if a slot or all mappings go.
 */
bool block_get(struct shadow_vm *sh, gfn_t gfn, int level);
/** block_of() - the block of @gfn or NULL. Under lock, or in an RCU section */
struct shadow_block *block_of(struct shadow_vm *sh, gfn_t gfn);
/**
 * block_drop() - record that an entry leading to a frame of @b was removed or write-protected
 * @write: the entry allowed writes
 *
 * TLBs may hold the old translation until the VM's next shadow_flush(). Lock: write
 */
static inline void block_drop(const struct shadow_vm *sh, struct shadow_block *b, bool write)
{
	b->dropped = sh->epoch;
	if (write)
		b->dropped_write = sh->epoch;
}

void blocks_free(struct shadow_vm *sh);
void link_add(struct shadow_vm *sh, u32 *head, u32 nr, u64 what);
void link_del(struct shadow_vm *sh, u32 *head, u32 nr);
/** link_full() - the chain takes no more */
static inline bool link_full(struct shadow_vm *sh, u32 head)
{
	return head && link_depth(link_at(sh, head)) >= SHADOW_CHAIN - 1;
}

/**
 * rmap_install() - empty entry @i of @t becomes @leaf, for link_what() @what, of block @b
 * Return: false: not empty, or the chain of leaves is full
 */
bool rmap_install(struct shadow_vm *sh, struct shadow_block *b, struct shadow_table *t,
		  unsigned int i, u64 leaf, u64 what);
/** rmap_trim() - a leaf of @t for @gfn is to come: drop all, if there are too many. Lock: write */
void rmap_trim(struct shadow_vm *sh, struct shadow_table *t, gfn_t gfn);
/**
 * rmap_upgrade() - leaf @i, of the value @old, gains what @leaf has, for link_what() @what
 * Its frame stays the same. Return: false: it changed
 */
bool rmap_upgrade(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old, u64 leaf,
		  u64 what);
/** rmap_remove() - leaf @i, which was @old, is in its chain no more. Under lock (write) */
void rmap_remove(struct shadow_vm *sh, struct shadow_table *t, unsigned int i, u64 old);
/**
 * rmap_protect() - no leaf at @gfn is writable. Under lock (write)
 * Return: whether a TLB may still let the guest write
 */
bool rmap_protect(struct shadow_vm *sh, gfn_t gfn);
/** block_shadowed() - tables that shadow @gfn, which is in block @b */
static inline unsigned int block_shadowed(const struct shadow_block *b, gfn_t gfn)
{
	const struct shadow_frames *frames = block_frames(b);

	return frames ? READ_ONCE(frames->shadowed[gfn & (SHADOW_ENTRIES - 1)]) : 0;
}

/** rmap_shadowed() - number of tables that shadow a frame; a guess without the lock */
static inline unsigned int rmap_shadowed(struct shadow_vm *sh, gfn_t gfn)
{
	struct shadow_block *b;
	unsigned int n;

	rcu_read_lock();
	b = block_of(sh, gfn);
	n = b ? block_shadowed(b, gfn) : 0;
	rcu_read_unlock();
	return n;
}

/* shadow.c */

/** shadow_fill_spare() - enough tables for one fault. 0 or -ENOMEM. May sleep */
int shadow_fill_spare(struct okvm_vcpu *vcpu);
/** shadow_free_spare() - a table that was never used. May sleep */
void shadow_free_spare(struct shadow_vm *sh, struct shadow_table *t);
/**
 * shadow_get() - the table of @gfn and @role, made if need be; in sync. Lock: write
 * Return: NULL if it is not possible just now
 */
struct shadow_table *shadow_get(struct okvm_vcpu *vcpu, gfn_t gfn, u32 role);
/** shadow_link() - empty entry @i of @t points to @child. Lock: write */
void shadow_link(struct shadow_vm *sh, struct shadow_table *t, unsigned int i,
		 struct shadow_table *child);
/** shadow_mark_nx_split(), shadow_mark_mmio() - @t is of that kind. Lock: write */
void shadow_mark_nx_split(struct shadow_vm *sh, struct shadow_table *t);
void shadow_mark_mmio(struct shadow_vm *sh, struct shadow_table *t);
/**
 * shadow_drop() - clear entry @i of @t, whatever it holds; does not flush TLBs. Lock: write
 * Return: false if the entry was neither a leaf nor a link to a table (empty, or MMIO)
 */
bool shadow_drop(struct shadow_vm *sh, struct shadow_table *t, unsigned int i);
/** shadow_get_root() - @t is a vCPU's root. Lock: write */
void shadow_get_root(struct shadow_vm *sh, struct shadow_table *t);
/** shadow_put_root() - a vCPU gives @t up as a root. Lock: write */
void shadow_put_root(struct shadow_vm *sh, struct shadow_table *t);
/** shadow_zap_start() - as zap_begin(), with the lock held already */
void shadow_zap_start(struct mmu_zap *z, struct shadow_vm *sh);
/** shadow_zap_table() - @t goes, and all that leads to it and from it */
void shadow_zap_table(struct mmu_zap *z, struct shadow_table *t);
/** shadow_zap_finish() - as zap_end(), and the lock stays held */
void shadow_zap_finish(struct mmu_zap *z);
/**
 * shadow_zap_yield() - after @work entries: let others in now and then, all being flushed
 * Return: whether the lock was dropped meanwhile, so that tables and blocks may be gone
 */
bool shadow_zap_yield(struct mmu_zap *z, unsigned int work);
/** shadow_zap_all() - all tables */
void shadow_zap_all(struct mmu_zap *z);
/** shadow_zap_frame() - all tables that shadow @gfn. Lock: write */
void shadow_zap_frame(struct mmu_zap *z, gfn_t gfn);
/** shadow_flush() - all TLBs of the VM are right. Lock: write */
void shadow_flush(struct shadow_vm *sh);
/** shadow_make_room() - before a fault makes tables. Lock: write. Return: whether any went */
bool shadow_make_room(struct shadow_vm *sh);
/** shadow_for_each() - the tables that shadow @gfn and are not direct. Lock: write */
#define shadow_for_each(t, next, sh, gfn_)						\
	hlist_for_each_entry_safe(t, next, shadow_bucket(sh, gfn_), bucket)		\
		if ((t)->gfn == (gfn_) && !table_is_direct(t))

struct hlist_head *shadow_bucket(struct shadow_vm *sh, gfn_t gfn);

/* shadow_fault.c */

/** shadow_top() - table at the top and its entry's index for @gva, NULL if there is none */
struct shadow_table *shadow_top(struct okvm_vcpu *vcpu, gva_t gva);

/* shadow_prefetch.c */

/** shadow_prefetch() - entry @i of @t was made at level 1 by @f: map its neighbours. Under lock */
void shadow_prefetch(struct shadow_fault *f, struct shadow_table *t, unsigned int i);

/* shadow_sync.c */

/** unsync_frame() - may @gfn become writable? Then its tables are out of sync. Lock: write */
bool unsync_frame(struct shadow_vm *sh, gfn_t gfn);
/**
 * unsync_make_room() - before unsync_frame(). Lock: write
 * Return: true: other tables were compared, which may be the one at hand: walk again
 */
bool unsync_make_room(struct okvm_vcpu *vcpu, gfn_t gfn);
/** sync_table() - drop the entries that the guest's table does not say any more. Lock: write */
void sync_table(struct okvm_vcpu *vcpu, struct shadow_table *t);
/** sync_below() - @t gets one more parent: it and all that it leads to are in sync. Lock: write */
void sync_below(struct okvm_vcpu *vcpu, struct shadow_table *t);
/** sync_forget() - @t goes, or is in sync */
void sync_forget(struct shadow_vm *sh, struct shadow_table *t);
/** sync_root() - the guest flushes: all that its root reaches is in sync then */
void sync_root(struct okvm_vcpu *vcpu);

/* gva.c */

/** gva_walk() - the guest's walk of @f->gva, accessed and dirty bits set. May sleep */
int gva_walk(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault);
/** gva_walk_fast() - the same without sleeping; WALK_MEMORY also if a bit has to be set */
int gva_walk_fast(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault);
/** gva_peek() - read an entry of a guest's table without sleeping. Return: 0 or -EFAULT */
int gva_peek(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val);
/** gva_peek_line() - likewise @nr entries in a row, each read at once */
int gva_peek_line(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val, unsigned int nr);

/** shadow_invlpg() - the guest flushes one address of the present root */
void shadow_invlpg(struct okvm_vcpu *vcpu, gva_t gva);
/**
 * shadow_marked() - a walk has set A or D in the guest's entry at @gpa, of @size bytes
 *
 * Of its own format those bits are no part of a shadow. To a table of the other entry size, for
 * which the guest also uses the page, they are part of an address.
 * Context: no lock.
 */
void shadow_marked(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size);
/** shadow_unprotect() - give up the tables that shadow @gfn. Return: whether there were any */
bool shadow_unprotect(struct okvm_vm *vm, gfn_t gfn);

/* What is in the table of mmu_policy_shadow (shadow_policy.c), see struct mmu_policy. */
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
/** shadow_cr3_fast() - the present CR3's root, if there is no more to do than to take it */
bool shadow_cr3_fast(struct okvm_vcpu *vcpu);
void shadow_wrote(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int bytes);
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
