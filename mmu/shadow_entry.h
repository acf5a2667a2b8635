/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of shadow entries, and decisions about them. All functions are pure.
 *
 * Shadow entries have the format of ordinary paging. They are also used with PAE paging, which
 * reserves bits 62:52, so okvm has only bits 9 to 11 for itself, fewer than in spte.h. The other
 * information about an entry is in table->what[]. MMIO entries are not present, and have the format
 * of spte.h.
 *
 * Entries that point to a table allow every access. The role of the lower table contains the rights
 * that the guest's upper entries give (ROLE_ACCESS). They limit each leaf of the lower table.
 */
#ifndef OKVM_MMU_SHADOW_ENTRY_H
#define OKVM_MMU_SHADOW_ENTRY_H

#include "mmu/role.h"
#include "mmu/spte.h"

/* SDM "Format of a Page-Table Entry that Maps a 4-KByte Page". */
#define SHADOW_P		BIT_ULL(0)
#define SHADOW_W		BIT_ULL(1)
#define SHADOW_U		BIT_ULL(2)
#define SHADOW_PWT		BIT_ULL(3)
#define SHADOW_PCD		BIT_ULL(4)
#define SHADOW_A		BIT_ULL(5)
#define SHADOW_D		BIT_ULL(6)
#define SHADOW_NX		BIT_ULL(63)
/* Bits that hardware ignores. */
#define SHADOW_HOST_W		BIT_ULL(9)	/* host and slot allow writes */
#define SHADOW_GUEST_W		BIT_ULL(10)	/* the guest's entries allow writes */

static_assert(!((SHADOW_P | SHADOW_W | SHADOW_U | SHADOW_PWT | SHADOW_PCD | SHADOW_A | SHADOW_D |
		 SHADOW_NX | SHADOW_HOST_W | SHADOW_GUEST_W) &
		(SPTE_ADDR | SPTE_HUGE | SPTE_VALID)));
/* okvm's own bits must not be reserved in PAE paging. */
static_assert(!((SHADOW_HOST_W | SHADOW_GUEST_W | SPTE_VALID) & GENMASK_ULL(62, 52)));

/** shadow_table_entry() - return an entry that points to the table at host-physical @pa */
static inline u64 shadow_table_entry(u64 pa)
{
	return pa | SHADOW_P | SHADOW_W | SHADOW_U | SHADOW_A | SPTE_VALID;
}

/**
 * struct shadow_leaf - parameters of shadow_leaf(), which returns a leaf entry
 * @pfn: host frame, aligned to the level's size
 * @level: 1 or 2
 * @access: what the guest's entries allow (enum shadow_access). While the guest's dirty bit is 0,
 *	SHADOW_WRITE is not set: the first write must fault, so that okvm sets the dirty bit
 * @host_write: the host's page and the memory slot allow writes
 * @write: okvm allows writes. It is false if okvm must see writes: for dirty logging, or because
 *	the guest uses the page as a page table. The leaf is writable only if SHADOW_WRITE,
 *	@host_write and @write are all set
 * @no_exec: a large page that must not be executed (iTLB multihit)
 * @uncached: the host frame is device memory
 */
struct shadow_leaf {
	u64 pfn;
	int level;
	u8 access;
	bool host_write, write, no_exec, uncached;
};

u64 shadow_leaf(const struct shadow_leaf *leaf);

/** shadow_hw() - return a leaf's P, W, U and inverted NX bits: a bit that is 1 allows accesses */
static inline u64 shadow_hw(u64 entry)
{
	return (entry ^ SHADOW_NX) & (SHADOW_P | SHADOW_W | SHADOW_U | SHADOW_NX);
}

/** shadow_reduces() - return true if the leaf @new denies an access that the leaf @old allows */
static inline bool shadow_reduces(u64 old, u64 new)
{
	return shadow_hw(old) & ~shadow_hw(new);
}

/** shadow_access_of() - return what the guest's entry @entry allows (enum shadow_access) */
u8 shadow_access_of(const struct walk_mode *mode, u64 entry);

/**
 * shadow_leaf_access() - return the rights (enum shadow_access) that a shadow leaf may give
 * @role: a role with the guest's paging mode
 * @above: rights that the guest's entries above @entry give
 * @entry: the guest's leaf entry, from which the shadow leaf is made
 * @access: access of the guest that the walk has allowed (enum walk_access); 0: the leaf shall suit
 *	every access
 *
 * If the dirty bit of @entry is 0 and @access is no write, the shadow leaf does not allow writes.
 * So the first write faults, and the walk sets the dirty bit. With CR0.WP = 0 a supervisor may
 * write to a read-only page. For such a write, the shadow leaf allows writes but no user accesses.
 */
u8 shadow_leaf_access(u32 role, u8 above, u64 entry, u32 access);

/**
 * shadow_kernel_write() - return true if a supervisor's write is allowed only by CR0.WP = 0
 * @above: access that the guest's entries above the leaf allow
 * @entry: the guest's leaf entry
 * @access: the access
 *
 * Under shadow paging, hardware runs with CR0.WP = 1 and allows such a write only through a
 * writable leaf. If the guest's page is a user page, the writable leaf must be a supervisor leaf
 * (U/S = 0), because user mode could write through a user leaf. But SMAP does not protect a
 * supervisor leaf. So if the guest uses CR4.SMAP, the caller has to emulate the write.
 */
bool shadow_kernel_write(u8 above, u64 entry, u32 access);

/**
 * shadow_current() - return true if a shadow leaf still agrees with the guest's entry
 * @role: role of the table that contains the leaf
 * @entry: current value of the guest's entry
 * @i: index of the leaf in its table
 * @gfn, @access: frame and rights with which the leaf was made
 */
bool shadow_current(u32 role, u64 entry, unsigned int i, u64 gfn, u8 access);

/** enum shadow_write - what has to be done to a shadow table after a write to the guest's table */
enum shadow_write {
	SHADOW_WRITE_NONE,	/* the table does not shadow the written bytes */
	SHADOW_WRITE_ENTRIES,	/* the entries of the written bytes have to be dropped */
	SHADOW_WRITE_TABLE,	/* the page is probably no page table any more: zap the table */
};

/*
 * okvm zaps a shadow table above level 1 if the guest writes this many times in a row to the page
 * table that it shadows, and no fault uses the shadow table in between.
 */
#define SHADOW_FLOOD	3

/**
 * shadow_write() - return what to do with a shadow table after a write to the guest's table
 * @role: role of the shadow table
 * @offset, @bytes: position in the page and size of the write
 * @writes: number of writes, with this one, since a fault last used the shadow table
 * @first, @last: output: first and last shadow entry that shadow the written bytes
 */
enum shadow_write shadow_write(u32 role, unsigned int offset, unsigned int bytes,
			       unsigned int writes, unsigned int *first, unsigned int *last);

#endif /* OKVM_MMU_SHADOW_ENTRY_H */
