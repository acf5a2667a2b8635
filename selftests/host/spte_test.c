// SPDX-License-Identifier: GPL-2.0-only
/* Page-table entries: each property for every access, level and format. */
#include <stdint.h>

#include "mmu/spte.h"
#include "test.h"

static const struct spte_fmt *const fmts[] = {
	&spte_fmt_ept, &spte_fmt_ept_noad, &spte_fmt_ept_pat, &spte_fmt_ept_noad_pat,
	&spte_fmt_pt,
};

#define FOR_ALL(fmt, level, access)						\
	for (unsigned int fi = 0; fi < 3; fi++)					\
		for (const struct spte_fmt *fmt = fmts[fi]; fmt; fmt = NULL)	\
			for (int level = 1; level <= 3; level++)		\
				for (u8 access = SPTE_READ; access < (fmt->user ? 16 : 8);	\
				     access += 2)

static u64 make(const struct spte_fmt *fmt, int level, u8 access)
{
	struct spte_leaf leaf = {
		.pfn = 0x40000, .level = level, .access = access,
		.host_write = access & SPTE_WRITE, .page = true,
	};

	return spte_leaf(fmt, &leaf);
}

TEST(spte_kinds_are_distinct)
{
	FOR_ALL(fmt, level, access) {
		u64 leaf = make(fmt, level, access), table = spte_table(fmt, 0x5000);

		EXPECT(spte_is_leaf(leaf, level));
		EXPECT(!spte_is_table(leaf, level));
		EXPECT(!spte_is_mmio(leaf));
		EXPECT(!spte_is_mmio(spte_age(fmt, leaf)));
		EXPECT(spte_is_leaf(spte_age(fmt, leaf), level));
		EXPECT(spte_is_table(table, level + 1));
		EXPECT(!spte_is_leaf(table, level + 1));
		EXPECT(!spte_is_mmio(table));
	}
	EXPECT(!spte_valid(0) && !spte_is_mmio(0));
}

TEST(spte_access_is_what_was_asked)
{
	FOR_ALL(fmt, level, access) {
		u64 leaf = make(fmt, level, access);

		EXPECT_EQ(spte_access(fmt, leaf), access);
		EXPECT_EQ(spte_access(fmt, spte_age(fmt, leaf)), access);
		EXPECT_EQ(spte_access(fmt, spte_unage(fmt, spte_age(fmt, leaf))), access);
		EXPECT_EQ(spte_pfn(spte_age(fmt, leaf)), 0x40000u);
		for (u8 need = 0; need < 16; need++)
			EXPECT_EQ(spte_allows(fmt, leaf, need), !(need & ~access));
	}
}

TEST(spte_aging)
{
	FOR_ALL(fmt, level, access) {
		u64 leaf = make(fmt, level, access), aged = spte_age(fmt, leaf);

		EXPECT(spte_was_accessed(fmt, leaf));
		EXPECT(!spte_was_accessed(fmt, aged));
		EXPECT_EQ(spte_age(fmt, aged), aged);
		EXPECT_EQ(spte_unage(fmt, aged), leaf);
		/* Without accessed bits the next access has to fault. */
		if (!fmt->accessed)
			EXPECT(!spte_allows(fmt, aged, SPTE_READ) && !(aged & 7));
	}
}

TEST(spte_write_protection)
{
	FOR_ALL(fmt, level, access) {
		u64 leaf = make(fmt, level, access | SPTE_WRITE);
		u64 ro = spte_write_protect(fmt, leaf);
		u64 aged_ro = spte_write_protect(fmt, spte_age(fmt, leaf));

		EXPECT(spte_is_writable(fmt, leaf));
		EXPECT(!spte_is_writable(fmt, ro));
		EXPECT(ro & SPTE_HOST_WRITE);
		EXPECT(!spte_is_writable(fmt, aged_ro));
		EXPECT(!spte_is_writable(fmt, spte_unage(fmt, aged_ro)));
		EXPECT(spte_allows(fmt, spte_make_writable(fmt, ro), SPTE_READ | SPTE_WRITE));
		EXPECT(spte_is_writable(fmt, spte_make_writable(fmt, aged_ro)));
		EXPECT_EQ(spte_pfn(ro), spte_pfn(leaf));
	}
}

TEST(spte_split_keeps_frames_and_access)
{
	FOR_ALL(fmt, level, access) {
		u64 leaf = make(fmt, level, access);

		for (unsigned int i = 0; level > 1 && i < 512; i++) {
			u64 child = spte_split(fmt, leaf, level, i, false);

			EXPECT(spte_is_leaf(child, level - 1));
			EXPECT_EQ(!!(child & SPTE_HUGE), level > 2);
			EXPECT_EQ(spte_pfn(child), 0x40000 + i * spte_pages(level - 1));
			EXPECT_EQ(spte_access(fmt, child), access);
			child = spte_split(fmt, spte_age(fmt, leaf), level, i, true);
			EXPECT_EQ(spte_access(fmt, child),
				  level == 2 ? access | SPTE_EXEC : access);
			EXPECT(!spte_was_accessed(fmt, child));
		}
	}
}

TEST(spte_mmio_generation)
{
	u64 gen;

	for (gen = 0; gen <= SPTE_MMIO_GEN_MASK; gen += 37) {
		u64 spte = spte_mmio(gen);

		EXPECT(spte_is_mmio(spte));
		EXPECT(!spte_valid(spte));
		EXPECT_EQ(spte_mmio_gen(spte), gen);
		/* EPT: writable, executable, not readable. Else: not present. Above all memory. */
		EXPECT_EQ(spte & 7, 6u);
		EXPECT_EQ(spte & SPTE_ADDR, SPTE_ADDR);
		EXPECT_EQ(spte_mmio_gen(spte_mmio(gen + SPTE_MMIO_GEN_MASK + 1)), gen);
	}
}

TEST(spte_ordinary_bits)
{
	struct spte_leaf leaf = {
		.pfn = 0x123, .level = 1, .access = SPTE_READ | SPTE_WRITE, .dirty = true,
		.guest_write = true,
	};
	u64 table = spte_table(&spte_fmt_pt, 0x5000);

	EXPECT_EQ(spte_leaf(&spte_fmt_pt, &leaf), 0x8200000000123863u);
	leaf.access |= SPTE_USER | SPTE_EXEC;
	leaf.uncached = true;
	EXPECT_EQ(spte_leaf(&spte_fmt_pt, &leaf), 0x020000000012387fu);
	EXPECT_EQ(table, 0x5827u);
	/* Hardware refuses a root with any of bits 8:5 and 2:1. */
	EXPECT_EQ(spte_pdpte(0x5000), 0x5801u);
}

TEST(spte_ept_bits)
{
	struct spte_leaf leaf = {
		.pfn = 0x123, .level = 1, .access = SPTE_READ | SPTE_WRITE, .dirty = true,
	};

	/* Write-back and "ignore PAT" for RAM, uncacheable for a device. */
	EXPECT_EQ(spte_leaf(&spte_fmt_ept, &leaf) & 0xfff, 0xb73u);
	/* Without "ignore PAT" the guest's type counts, but not for a device. */
	EXPECT_EQ(spte_leaf(&spte_fmt_ept_pat, &leaf) & 0xfff, 0xb33u);
	EXPECT_EQ(spte_leaf(&spte_fmt_ept_noad_pat, &leaf) & 0xfff, 0x833u);
	leaf.uncached = true;
	EXPECT_EQ(spte_leaf(&spte_fmt_ept_pat, &leaf) & 0xfff, 0xb03u);
	EXPECT_EQ(spte_leaf(&spte_fmt_ept, &leaf) & 0xfff, 0xb03u);
	EXPECT_EQ(spte_leaf(&spte_fmt_ept_noad, &leaf) & 0xfff, 0x803u);
	EXPECT_EQ(spte_table(&spte_fmt_ept, 0x5000), 0x5907u);
}

TEST(spte_index_of_each_level)
{
	u64 gfn = 1ull << 36 | 2ull << 27 | 3 << 18 | 4 << 9 | 5;

	EXPECT_EQ(spte_index(gfn, 1), 5u);
	EXPECT_EQ(spte_index(gfn, 2), 4u);
	EXPECT_EQ(spte_index(gfn, 3), 3u);
	EXPECT_EQ(spte_index(gfn, 4), 2u);
	EXPECT_EQ(spte_index(gfn, 5), 1u);
	EXPECT_EQ(spte_pages(3), 262144u);
}
