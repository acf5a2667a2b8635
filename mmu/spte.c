// SPDX-License-Identifier: GPL-2.0-only
/* Make, change and inspect page-table entries (pure functions), see spte.h. */
#include "mmu/spte.h"

/*
 * Memory types: 6 is WB, 0 is UC (SDM "EPT and Memory Typing"). EPT_WB ignores the guest's PAT,
 * EPT_WB_PAT does not.
 */
#define EPT_WB		(6ULL << EPT_MEMTYPE_SHIFT | EPT_IGNORE_PAT)
#define EPT_WB_PAT	(6ULL << EPT_MEMTYPE_SHIFT)
#define EPT_UC		(0ULL << EPT_MEMTYPE_SHIFT)

#define EPT_FORMAT(memtype, a, d)						\
	{									\
		.read = EPT_READ, .write = EPT_WRITE, .exec = EPT_EXEC,		\
		.accessed = (a), .dirty = (d), .wb = (memtype), .uc = EPT_UC,	\
	}
const struct spte_fmt spte_fmt_ept = EPT_FORMAT(EPT_WB, EPT_ACCESSED, EPT_DIRTY);
const struct spte_fmt spte_fmt_ept_noad = EPT_FORMAT(EPT_WB, 0, 0);
const struct spte_fmt spte_fmt_ept_pat = EPT_FORMAT(EPT_WB_PAT, EPT_ACCESSED, EPT_DIRTY);
const struct spte_fmt spte_fmt_ept_noad_pat = EPT_FORMAT(EPT_WB_PAT, 0, 0);

const struct spte_fmt spte_fmt_pt = {
	.read = PT_PRESENT, .write = PT_WRITE, .nx = PT_NX, .user = PT_USER,
	.accessed = PT_ACCESSED, .dirty = PT_DIRTY,
	.uc = PT_WRITE_THROUGH | PT_NO_CACHE,
};

u64 spte_mmio(u64 gen)
{
	u64 lo = gen << 3 & SPTE_MMIO_GEN_LO;
	u64 hi = gen >> SPTE_MMIO_GEN_LO_BITS << 52 & SPTE_MMIO_GEN_HI;

	return SPTE_MMIO_MARK | SPTE_ADDR | lo | hi;
}

u64 spte_mmio_gen(u64 spte)
{
	return (spte & SPTE_MMIO_GEN_LO) >> 3 |
	       (spte & SPTE_MMIO_GEN_HI) >> 52 << SPTE_MMIO_GEN_LO_BITS;
}

u64 spte_table(const struct spte_fmt *fmt, u64 pa)
{
	return pa | SPTE_VALID | fmt->read | fmt->write | fmt->exec | fmt->user | fmt->accessed;
}

u64 spte_pdpte(u64 pa)
{
	return pa | SPTE_VALID | PT_PRESENT;
}

/* Return the permission bits of format @fmt for @access. */
static u64 spte_bits(const struct spte_fmt *fmt, u8 access)
{
	u64 bits = fmt->read;

	if (access & SPTE_WRITE)
		bits |= fmt->write;
	if (access & SPTE_USER)
		bits |= fmt->user;
	return bits | (access & SPTE_EXEC ? fmt->exec : fmt->nx);
}

static u64 spte_all_bits(const struct spte_fmt *fmt)
{
	return fmt->read | fmt->write | fmt->exec | fmt->nx | fmt->user;
}

u64 spte_leaf(const struct spte_fmt *fmt, const struct spte_leaf *leaf)
{
	u64 spte = leaf->pfn << 12 | SPTE_VALID | fmt->accessed | spte_bits(fmt, leaf->access);

	spte |= leaf->uncached ? fmt->uc : fmt->wb;
	if (leaf->level > 1)
		spte |= SPTE_HUGE;
	if (leaf->host_write)
		spte |= SPTE_HOST_WRITE;
	if (leaf->guest_write)
		spte |= SPTE_GUEST_WRITE;
	if (leaf->page)
		spte |= SPTE_PAGE;
	if (leaf->dirty)
		spte |= fmt->dirty;
	return spte;
}

static u8 spte_exec(const struct spte_fmt *fmt, u64 spte)
{
	if (fmt->exec)
		return spte & fmt->exec ? SPTE_EXEC : 0;
	return spte & fmt->nx ? 0 : SPTE_EXEC;
}

u8 spte_access(const struct spte_fmt *fmt, u64 spte)
{
	if (spte & SPTE_AGED)
		return SPTE_READ | (spte & SPTE_AGED_WRITE ? SPTE_WRITE : 0) |
		       (spte & SPTE_AGED_EXEC ? SPTE_EXEC : 0);
	return (spte & fmt->read ? SPTE_READ : 0) | (spte & fmt->write ? SPTE_WRITE : 0) |
	       (spte & fmt->user ? SPTE_USER : 0) | spte_exec(fmt, spte);
}

bool spte_allows(const struct spte_fmt *fmt, u64 spte, u8 need)
{
	return !(spte & SPTE_AGED) && !(need & ~spte_access(fmt, spte));
}

bool spte_is_writable(const struct spte_fmt *fmt, u64 spte)
{
	return spte_access(fmt, spte) & SPTE_WRITE;
}

u64 spte_write_protect(const struct spte_fmt *fmt, u64 spte)
{
	return spte & ~(fmt->write | fmt->dirty | SPTE_AGED_WRITE);
}

u64 spte_make_writable(const struct spte_fmt *fmt, u64 spte)
{
	return spte | fmt->dirty | (spte & SPTE_AGED ? SPTE_AGED_WRITE : fmt->write);
}

bool spte_was_accessed(const struct spte_fmt *fmt, u64 spte)
{
	return fmt->accessed ? spte & fmt->accessed : !(spte & SPTE_AGED);
}

u64 spte_age(const struct spte_fmt *fmt, u64 spte)
{
	u8 access = spte_access(fmt, spte);

	if (fmt->accessed)
		return spte & ~fmt->accessed;
	spte &= ~spte_all_bits(fmt);
	spte |= SPTE_AGED;
	if (access & SPTE_WRITE)
		spte |= SPTE_AGED_WRITE;
	if (access & SPTE_EXEC)
		spte |= SPTE_AGED_EXEC;
	return spte;
}

u64 spte_unage(const struct spte_fmt *fmt, u64 spte)
{
	u8 access = spte_access(fmt, spte);

	if (!(spte & SPTE_AGED))
		return spte | fmt->accessed;
	return (spte & ~(SPTE_AGED | SPTE_AGED_WRITE | SPTE_AGED_EXEC)) | spte_bits(fmt, access);
}

u64 spte_split(const struct spte_fmt *fmt, u64 spte, int level, unsigned int i, bool exec)
{
	u64 child = spte + ((u64)i * spte_pages(level - 1) << 12);

	if (level > 2)
		return child;
	child &= ~SPTE_HUGE;
	if (!exec)
		return child;
	if (child & SPTE_AGED)
		return child | SPTE_AGED_EXEC;
	return (child & ~fmt->nx) | fmt->exec;
}
