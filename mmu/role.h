/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The role of a shadow table: all that its entries depend on besides the content of the guest's
 * table, in one word. Pure.
 *
 * Two tables are the same only if the frame *and the whole word* are the same: each bit that is
 * forgotten here lets one table serve two purposes (CVE-2021-38198, CVE-2026-53359). Therefore
 * the word says all that the walker's judgement of an entry depends on, so that role_mode()
 * gives the paging mode back from it, and what is above a table: the access that its parents
 * leave to it.
 *
 *  bits    name          what
 *   2:0    level         1 maps pages of 4 KiB .. 5
 *   5:3    mode          levels of the guest's paging: 0 off, 2 (entries of 4 bytes), 3 PAE, 4, 5
 *   7:6    quadrant      mode 2: which part of the guest's table: a half at level 1, a quarter at 2
 *  10:8    access        what all entries above allow (enum shadow_access)
 *    11    direct        no table of the guest is behind: frames in sequence, from the table's on
 *    12    nx            EFER.NXE
 *    13    wp            CR0.WP
 *    14    smep_nowp     CR4.SMEP without CR0.WP: a kernel's page for a write is not executed
 *    15    smap_nowp     CR4.SMAP without CR0.WP: such a page is not made at all
 *    16    pse           CR4.PSE (mode 2)
 *    17    gbpages       CPUID has pages of 1 GiB
 *    18    smm           address space of system management (foreseen: always 0)
 *    19    no_ad         hardware keeps no accessed bits in the table (foreseen: always 0)
 *    20    passthrough   root that is the guest's own (foreseen: always 0)
 *  29:24   maxphyaddr    the guest's, which says what bits are reserved
 *
 * A direct table depends on nothing of the mode where its page may be written: only level, access,
 * direct and smm are in its role, so that all modes share it. Where the page may not be written,
 * CR0.WP says what a leaf may become: wp, smep_nowp and smap_nowp are in the role as well.
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
#define ROLE_MAXPHYADDR_SHIFT	24
#define ROLE_MAXPHYADDR		GENMASK(29, 24)

#define ROLE_FLAGS	(ROLE_DIRECT | ROLE_NX | ROLE_WP | ROLE_SMEP_NOWP | ROLE_SMAP_NOWP | \
			 ROLE_PSE | ROLE_GBPAGES | ROLE_SMM | ROLE_NO_AD | ROLE_PASSTHROUGH)

/* Nothing overlaps: the sum is the union. */
static_assert(ROLE_LEVEL + ROLE_MODE + ROLE_QUADRANT + ROLE_ACCESS + ROLE_FLAGS +
	      ROLE_MAXPHYADDR == GENMASK(20, 0) + GENMASK(29, 24));
static_assert(ROLE_MODE == 7 << ROLE_MODE_SHIFT && ROLE_QUADRANT == 3 << ROLE_QUADRANT_SHIFT);
static_assert(ROLE_ACCESS == 7 << ROLE_ACCESS_SHIFT);
static_assert(ROLE_MAXPHYADDR == 63UL << ROLE_MAXPHYADDR_SHIFT && WALK_MAXPHYADDR_MAX <= 63);

/** enum shadow_access - what a guest's entries allow; reading is implied */
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

/** role_entry_size() - bytes of an entry of the guest's table */
static inline unsigned int role_entry_size(u32 role)
{
	return role_levels(role) == 2 ? 4 : 8;
}

/**
 * role_root() - the role of the table at the top, for @gva
 *
 * Levels 4 and 5 are the guest's own. All other guests run on a PAE root, whose four entries are
 * no table of this kind: the tops are the four tables at level 2 below it.
 */
u32 role_root(const struct walk_mode *mode, u64 gva);

/** role_child() - the table one level below one of @role, on the way to @gva; @access: above */
u32 role_child(u32 role, u8 access, u64 gva);

/** role_direct() - a direct table at @level, below one of @role */
u32 role_direct(int level, u8 access, u32 role);

/** role_mode() - the paging mode by which entries of a table that is not direct are judged */
struct walk_mode role_mode(u32 role);

/** role_offset() - byte offset in the guest's table of the entry that entry @i shadows */
unsigned int role_offset(u32 role, unsigned int i);

/**
 * role_touched() - which entries depend on bytes [@offset, @offset + @bytes) of the guest's table
 * Return: false if none does (another quadrant); else entries @first to @last
 */
bool role_touched(u32 role, unsigned int offset, unsigned int bytes, unsigned int *first,
		  unsigned int *last);

#endif /* OKVM_MMU_ROLE_H */
