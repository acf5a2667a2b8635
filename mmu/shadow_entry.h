/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entries of shadow tables, and the decisions that are made about them: pure.
 *
 * What differs from spte.h: the format is that of ordinary paging, PAE included, whose bits 62:52
 * are reserved. Only bits 9 to 11 are software's; what else is to be known of an entry is in the
 * struct shadow_link beside it. MMIO entries are those of spte.h, which are not present.
 *
 * Tables allow everything: what the guest's upper entries forbid is in the access of the lower
 * table's role, and so in each of its leaves.
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
/* Software's. */
#define SHADOW_HOST_W		BIT_ULL(9)	/* host and slot allow writes */
#define SHADOW_GUEST_W		BIT_ULL(10)	/* so does the guest */

static_assert(!((SHADOW_P | SHADOW_W | SHADOW_U | SHADOW_PWT | SHADOW_PCD | SHADOW_A | SHADOW_D |
		 SHADOW_NX | SHADOW_HOST_W | SHADOW_GUEST_W) &
		(SPTE_ADDR | SPTE_HUGE | SPTE_VALID)));
/* Nothing that PAE paging reserves. */
static_assert(!((SHADOW_HOST_W | SHADOW_GUEST_W | SPTE_VALID) & GENMASK_ULL(62, 52)));

/** shadow_table_entry() - points to the table at host-physical @pa */
static inline u64 shadow_table_entry(u64 pa)
{
	return pa | SHADOW_P | SHADOW_W | SHADOW_U | SHADOW_A | SPTE_VALID;
}

/**
 * struct shadow_leaf - what a leaf is made of
 * @pfn: host frame, aligned to the level's size
 * @level: 1 or 2
 * @access: what the guest allows (enum shadow_access), its dirty bit taken into account
 * @host_write: host and slot allow writes
 * @write: ... and nothing else forbids one now: no dirty log, no table of the guest
 * @no_exec: a large page that must not be executed (iTLB multihit)
 * @uncached: a device's memory
 */
struct shadow_leaf {
	u64 pfn;
	int level;
	u8 access;
	bool host_write, write, no_exec, uncached;
};

u64 shadow_leaf(const struct shadow_leaf *leaf);

/** shadow_hw() - the bits of a leaf by which hardware grants or denies, the denying one inverted */
static inline u64 shadow_hw(u64 entry)
{
	return (entry ^ SHADOW_NX) & (SHADOW_P | SHADOW_W | SHADOW_U | SHADOW_NX);
}

/** shadow_reduces() - @new denies something that @old grants: TLBs would still grant it */
static inline bool shadow_reduces(u64 old, u64 new)
{
	return shadow_hw(old) & ~shadow_hw(new);
}

/** shadow_access_of() - what one entry of the guest allows */
u8 shadow_access_of(const struct walk_mode *mode, u64 entry);

/**
 * shadow_leaf_access() - what the shadow of the guest's leaf @entry may allow
 * @role: of the table that holds the shadow, or would if it were not for the page's size
 * @above: access of the entries above
 * @access: enum walk_access that was granted, 0 if none was asked for
 *
 * A page that is clean gets no write access, so that the first write sets its dirty bit. CR0.WP
 * 0: a supervisor's write to what is read-only is granted by taking it from the user meanwhile.
 */
u8 shadow_leaf_access(u32 role, u8 above, u64 entry, u32 access);

/**
 * shadow_kernel_write() - the access is one that only CR0.WP = 0 allows
 *
 * With CR4.SMAP it cannot be mapped: a user's page that poses as the kernel's is not guarded.
 */
bool shadow_kernel_write(u8 above, u64 entry, u32 access);

/**
 * shadow_current() - does the guest's entry still say what a leaf was made from?
 * @role: of the leaf's table
 * @entry: the guest's entry now
 * @i: which entry of the table the leaf is
 * @gfn, @access: what the leaf was made from
 */
bool shadow_current(u32 role, u64 entry, unsigned int i, u64 gfn, u8 access);

/** enum shadow_write - what an emulated write to a guest's table means for a shadow of it */
enum shadow_write {
	SHADOW_WRITE_NONE,	/* nothing that it shadows */
	SHADOW_WRITE_ENTRIES,	/* some entries go */
	SHADOW_WRITE_TABLE,	/* the page seems to be no table any more: all goes */
};

/* Writes to a table, since it was used last, that make it look like something else. */
#define SHADOW_FLOOD	3

/**
 * shadow_write() - decide on a write of @bytes at @offset
 * @writes: writes seen since the table was used last, this one included
 * @first, @last: out: the entries
 */
enum shadow_write shadow_write(u32 role, unsigned int offset, unsigned int bytes,
			       unsigned int writes, unsigned int *first, unsigned int *last);

#endif /* OKVM_MMU_SHADOW_ENTRY_H */
