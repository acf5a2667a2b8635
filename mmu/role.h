/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The role of a shadow table: one word. It contains what the shadow entries depend on, except the
 * content of the guest's table. All functions are pure.
 *
 * A shadow table is reused only if the frame *and the whole role* match. If the role lacked a bit,
 * one table would be used for two purposes (CVE-2021-38198, CVE-2026-53359). Therefore the role
 * contains the access that the guest's upper entries allow, and the whole paging mode, on which the
 * meaning of a guest's entry depends (role_mode() extracts it).
 *
 *  bits    name          meaning
 *   2:0    level         1 (maps 4 KiB pages) to 5
 *   5:3    mode          levels of the guest's paging: 0 off, 2 (4-byte entries), 3 PAE, 4, 5
 *   7:6    quadrant      mode 2: which half (level 1) or quarter (level 2) of the guest's table
 *  10:8    access        what all guest entries above the table allow (enum shadow_access)
 *    11    direct        no guest table: maps consecutive frames, beginning at the table's gfn
 *    12    nx            EFER.NXE
 *    13    wp            CR0.WP
 *    14    smep_nowp     CR4.SMEP = 1 and CR0.WP = 0
 *    15    smap_nowp     CR4.SMAP = 1 and CR0.WP = 0
 *    16    pse           CR4.PSE (mode 2)
 *    17    gbpages       the guest's CPUID reports 1 GiB pages
 *    18    smm           address space of SMM (reserved for later: always 0)
 *    19    no_ad         hardware does not set accessed bits (reserved for later: always 0)
 *    20    passthrough   extra top level without a guest table (reserved for later: always 0)
 *    21    dirty         direct table, CR0.WP = 0: the guest's entry is dirty
 *  29:24   maxphyaddr    the guest's MAXPHYADDR, which determines the reserved bits
 *
 * smep_nowp, smap_nowp: WP = 0 lets a supervisor write to a read-only page. If the page is a user
 * page, such a write needs a supervisor leaf, which SMEP and SMAP do not protect. So with smep_nowp
 * the leaf gets NX; with smap_nowp the write is emulated.
 *
 * The role of a direct table with write access contains only level, access, direct and smm: all
 * paging modes share the table. The leaves of a direct table without write access depend on WP, so
 * its role also contains wp, smep_nowp and smap_nowp. With WP = 0 a supervisor may write to a
 * read-only large page. Two guest entries may map the same large page, and only one of them may be
 * dirty. Then the first write through the other entry must fault, because the walk sets its dirty
 * bit. So with WP = 0 the role also contains dirty, and the two entries use two direct tables.
 */
#ifndef OKVM_MMU_ROLE_H
#define OKVM_MMU_ROLE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

#include "mmu/walk.h"

#define ROLE_LEVEL		GENMASK(2, 0)
#define ROLE_MODE_SHIFT		3
#define ROLE_MODE		GENMASK(5, 3)
#define ROLE_QUADRANT_SHIFT	6
#define ROLE_QUADRANT		GENMASK(7, 6)
#define ROLE_ACCESS_SHIFT	8
#define ROLE_ACCESS		GENMASK(10, 8)
#define ROLE_DIRECT		BIT(11)
#define ROLE_NX			BIT(12)
#define ROLE_WP			BIT(13)
#define ROLE_SMEP_NOWP		BIT(14)
#define ROLE_SMAP_NOWP		BIT(15)
#define ROLE_PSE		BIT(16)
#define ROLE_GBPAGES		BIT(17)
#define ROLE_SMM		BIT(18)
#define ROLE_NO_AD		BIT(19)
#define ROLE_PASSTHROUGH	BIT(20)
#define ROLE_DIRTY		BIT(21)
#define ROLE_MAXPHYADDR_SHIFT	24
#define ROLE_MAXPHYADDR		GENMASK(29, 24)

#define ROLE_FLAGS	(ROLE_DIRECT | ROLE_NX | ROLE_WP | ROLE_SMEP_NOWP | ROLE_SMAP_NOWP | \
			 ROLE_PSE | ROLE_GBPAGES | ROLE_SMM | ROLE_NO_AD | ROLE_PASSTHROUGH | \
			 ROLE_DIRTY)

/* The fields fill bits 21:0 and 29:24 without gap and without overlap. */
static_assert(ROLE_LEVEL + ROLE_MODE + ROLE_QUADRANT + ROLE_ACCESS + ROLE_FLAGS +
	      ROLE_MAXPHYADDR == GENMASK(21, 0) + GENMASK(29, 24));
static_assert(ROLE_MODE == 7 << ROLE_MODE_SHIFT && ROLE_QUADRANT == 3 << ROLE_QUADRANT_SHIFT);
static_assert(ROLE_ACCESS == 7 << ROLE_ACCESS_SHIFT);
static_assert(ROLE_MAXPHYADDR == 63UL << ROLE_MAXPHYADDR_SHIFT && WALK_MAXPHYADDR_MAX <= 63);

/** enum shadow_access - rights that page-table entries of the guest give; reading is implied */
enum shadow_access {
	SHADOW_WRITE = 1,
	SHADOW_USER = 2,
	SHADOW_EXEC = 4,
	SHADOW_ALL = 7,
};

static inline int role_level(u32 role)
{
	return role & ROLE_LEVEL;
}

static inline int role_levels(u32 role)
{
	return (role & ROLE_MODE) >> ROLE_MODE_SHIFT;
}

static inline u8 role_access(u32 role)
{
	return (role & ROLE_ACCESS) >> ROLE_ACCESS_SHIFT;
}

static inline unsigned int role_quadrant(u32 role)
{
	return (role & ROLE_QUADRANT) >> ROLE_QUADRANT_SHIFT;
}

/** role_entry_size() - return the size of an entry of the guest's table, in bytes */
static inline unsigned int role_entry_size(u32 role)
{
	return role_levels(role) == 2 ? 4 : 8;
}

/**
 * role_root() - return the role of the top shadow table for @gva
 *
 * If the guest's paging has 4 or 5 levels, the top table shadows the guest's top table. Otherwise
 * hardware uses PAE paging: its four PDPTEs are not a shadow table, and the top tables are the four
 * tables at level 2.
 */
u32 role_root(const struct walk_mode *mode, u64 gva);

/**
 * role_child() - return the role of the next table on the way to @gva, below a table of @role
 * @access: accesses (enum shadow_access) that all guest entries above the next table allow
 */
u32 role_child(u32 role, u8 access, u64 gva);

/**
 * role_direct() - return the role of a direct table
 * @level: level of the direct table
 * @access: rights of its leaves that suit every access (enum shadow_access)
 * @role: role of the table above
 * @dirty: the guest's entry of the large page is dirty
 */
u32 role_direct(int level, u8 access, u32 role, bool dirty);

/** role_mode() - return the guest's paging mode from the role of a table that is not direct */
struct walk_mode role_mode(u32 role);

/** role_offset() - return the offset of the guest's entry that shadow entry @i shadows, in bytes */
unsigned int role_offset(u32 role, unsigned int i);

/**
 * role_touched() - find the entries that shadow some bytes of a guest's table
 * @offset, @bytes: position and number of the bytes
 * @first, @last: output: indices of the first and the last of these shadow entries
 * Return: false if no entry of the table shadows the bytes: they belong to another quadrant
 */
bool role_touched(u32 role, unsigned int offset, unsigned int bytes, unsigned int *first,
		  unsigned int *last);

#endif /* OKVM_MMU_ROLE_H */
