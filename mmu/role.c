// SPDX-License-Identifier: GPL-2.0-only
/* The role word of a shadow table, see role.h. */
#include "mmu/role.h"

static u32 role_of_mode(const struct walk_mode *mode)
{
	u32 role = mode->levels << ROLE_MODE_SHIFT | (u32)mode->maxphyaddr << ROLE_MAXPHYADDR_SHIFT;

	if (mode->nx)
		role |= ROLE_NX;
	if (mode->wp)
		role |= ROLE_WP;
	else
		role |= (mode->smep ? ROLE_SMEP_NOWP : 0) | (mode->smap ? ROLE_SMAP_NOWP : 0);
	if (mode->pse)
		role |= ROLE_PSE;
	if (mode->gbpages)
		role |= ROLE_GBPAGES;
	return role;
}

/*
 * Return the ROLE_QUADRANT field: which half (level 1) or quarter (level 2) of the guest's table of
 * 4-byte entries covers @gva.
 */
static u32 role_quadrant_of(u32 role, u64 gva)
{
	if (role_levels(role) != 2)
		return 0;
	return (role_level(role) == 1 ? gva >> 21 & 1 : gva >> 30 & 3) << ROLE_QUADRANT_SHIFT;
}

u32 role_root(const struct walk_mode *mode, u64 gva)
{
	u32 role;

	if (!mode->levels)
		return role_direct(2, SHADOW_ALL, 0, false);
	role = role_of_mode(mode) | SHADOW_ALL << ROLE_ACCESS_SHIFT;
	role |= mode->levels >= 4 ? mode->levels : 2;
	return role | role_quadrant_of(role, gva);
}

u32 role_child(u32 role, u8 access, u64 gva)
{
	u32 child = (role & ~(ROLE_LEVEL | ROLE_QUADRANT | ROLE_ACCESS)) |
		    (u32)access << ROLE_ACCESS_SHIFT | (role_level(role) - 1);

	return child | role_quadrant_of(child, gva);
}

u32 role_direct(int level, u8 access, u32 role, bool dirty)
{
	u32 direct = ROLE_DIRECT | (u32)access << ROLE_ACCESS_SHIFT | level;

	if (access & SHADOW_WRITE)
		return direct;
	direct |= role & (ROLE_WP | ROLE_SMEP_NOWP | ROLE_SMAP_NOWP);
	return dirty && !(role & ROLE_WP) ? direct | ROLE_DIRTY : direct;
}

struct walk_mode role_mode(u32 role)
{
	return (struct walk_mode){
		.levels = role_levels(role),
		.maxphyaddr = (role & ROLE_MAXPHYADDR) >> ROLE_MAXPHYADDR_SHIFT,
		.wp = role & ROLE_WP,
		.nx = role & ROLE_NX,
		.pse = role & ROLE_PSE,
		.gbpages = role & ROLE_GBPAGES,
	};
}

/*
 * Return the offset in bytes of the guest's entry that shadow entry @i shadows. All quadrants of a
 * guest's table together are like one long shadow table. In the long table, entry @i of a quadrant
 * has the index (quadrant << 9 | i).
 */
unsigned int role_offset(u32 role, unsigned int i)
{
	if (role_levels(role) != 2)
		return i * 8;
	/* At level 2 a guest's entry (4 MiB) corresponds to two shadow entries (2 MiB each). */
	return (role_quadrant(role) << 9 | i) >> (role_level(role) - 1) << 2;
}

bool role_touched(u32 role, unsigned int offset, unsigned int bytes, unsigned int *first,
		  unsigned int *last)
{
	unsigned int end = offset + bytes - 1, base, shift;

	if (role_levels(role) != 2) {
		*first = offset / 8;
		*last = end / 8;
		return true;
	}
	base = role_quadrant(role) << 9;
	shift = role_level(role) - 1;
	*first = offset / 4 << shift;
	*last = (end / 4 << shift) + shift;
	if (*last < base || *first > base + 511)
		return false;
	*first = *first > base ? *first - base : 0;
	*last = *last < base + 511 ? *last - base : 511;
	return true;
}
