// SPDX-License-Identifier: GPL-2.0-only
/* The format of shadow entries, and decisions about them: see shadow_entry.h. */
#include "mmu/shadow_entry.h"

/* Bits of a guest's page-table entry (SDM "4-Level Paging and 5-Level Paging"), in all modes. */
#define GUEST_P		BIT_ULL(0)
#define GUEST_W		BIT_ULL(1)
#define GUEST_U		BIT_ULL(2)
#define GUEST_A		BIT_ULL(5)
#define GUEST_D		BIT_ULL(6)
#define GUEST_NX	BIT_ULL(63)

u64 shadow_leaf(const struct shadow_leaf *leaf)
{
	u64 entry = leaf->pfn << 12 | SHADOW_P | SHADOW_A | SPTE_VALID;

	if (leaf->level > 1)
		entry |= SPTE_HUGE;
	if (leaf->host_write)
		entry |= SHADOW_HOST_W;
	if (leaf->access & SHADOW_WRITE)
		entry |= SHADOW_GUEST_W;
	if (leaf->access & SHADOW_WRITE && leaf->host_write && leaf->write)
		entry |= SHADOW_W | SHADOW_D;
	if (leaf->access & SHADOW_USER)
		entry |= SHADOW_U;
	if (!(leaf->access & SHADOW_EXEC) || leaf->no_exec)
		entry |= SHADOW_NX;
	if (leaf->uncached)
		entry |= SHADOW_PCD | SHADOW_PWT;
	return entry;
}

u8 shadow_access_of(const struct walk_mode *mode, u64 entry)
{
	return (entry & GUEST_W ? SHADOW_WRITE : 0) | (entry & GUEST_U ? SHADOW_USER : 0) |
	       (mode->levels > 2 && entry & GUEST_NX ? 0 : SHADOW_EXEC);
}

bool shadow_kernel_write(u8 above, u64 entry, u32 access)
{
	return access & WALK_WRITE && !(above & SHADOW_WRITE && entry & GUEST_W);
}

u8 shadow_leaf_access(u32 role, u8 above, u64 entry, u32 access)
{
	/* shadow_access_of() needs only the number of levels, and this function is called often. */
	struct walk_mode mode = { .levels = role_levels(role) };
	u8 allowed = above & shadow_access_of(&mode, entry);

	/* CR0.WP = 0: the walk has allowed a supervisor write that the guest's entries deny. */
	if (shadow_kernel_write(above, entry, access)) {
		if (allowed & SHADOW_USER && role & ROLE_SMEP_NOWP)
			allowed &= ~SHADOW_EXEC;
		allowed &= ~SHADOW_USER;
		return allowed | SHADOW_WRITE;
	}
	if (!(entry & GUEST_D) && !(access & WALK_WRITE))
		allowed &= ~SHADOW_WRITE;
	return allowed;
}

bool shadow_current(u32 role, u64 entry, unsigned int i, u64 gfn, u8 access)
{
	struct walk_mode mode = role_mode(role);
	u64 frame;

	if (!walk_entry_frame(&mode, entry, role_level(role), &frame) || !(entry & GUEST_A))
		return false;
	/* Two shadow entries of 2 MiB represent a 4 MiB page of the guest. */
	if (role_level(role) == 2 && role_levels(role) == 2)
		frame += (i & 1) << 9;
	return frame == gfn && shadow_leaf_access(role, role_access(role), entry, 0) == access;
}

/* Return true if the write does not look like a write to a page-table entry. */
static bool shadow_write_odd(u32 role, unsigned int offset, unsigned int bytes)
{
	unsigned int end = offset + bytes - 1;

	/* Guests set and clear single bits of an entry with byte-sized instructions. */
	if (bytes == 1)
		return false;
	return bytes < 4 || (offset ^ end) & ~(role_entry_size(role) - 1);
}

enum shadow_write shadow_write(u32 role, unsigned int offset, unsigned int bytes,
			       unsigned int writes, unsigned int *first, unsigned int *last)
{
	if (!role_touched(role, offset, bytes, first, last))
		return SHADOW_WRITE_NONE;
	if (shadow_write_odd(role, offset, bytes) ||
	    (role_level(role) > 1 && writes >= SHADOW_FLOOD))
		return SHADOW_WRITE_TABLE;
	return SHADOW_WRITE_ENTRIES;
}
