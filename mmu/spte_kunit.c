// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: spte.c in the kernel's build; the complete tests are in selftests/host. */
#include <kunit/test.h>

#include "spte.c"

static void spte_test_leaf(struct kunit *test)
{
	struct spte_leaf leaf = {
		.pfn = 0x123, .level = 1, .access = SPTE_READ | SPTE_WRITE, .host_write = true,
	};
	u64 spte = spte_leaf(&spte_fmt_ept, &leaf);

	KUNIT_EXPECT_TRUE(test, spte_is_leaf(spte, 1));
	KUNIT_EXPECT_EQ(test, spte_pfn(spte), 0x123ULL);
	KUNIT_EXPECT_TRUE(test, spte_allows(&spte_fmt_ept, spte, SPTE_WRITE));
	KUNIT_EXPECT_FALSE(test, spte_allows(&spte_fmt_ept, spte, SPTE_EXEC));
	spte = spte_write_protect(&spte_fmt_ept, spte);
	KUNIT_EXPECT_FALSE(test, spte_allows(&spte_fmt_ept, spte, SPTE_WRITE));
	KUNIT_EXPECT_TRUE(test, spte & SPTE_HOST_WRITE);
}

static void spte_test_age(struct kunit *test)
{
	struct spte_leaf leaf = { .pfn = 0x123, .level = 1, .access = 7, .host_write = true };
	u64 spte = spte_leaf(&spte_fmt_ept_noad, &leaf);
	u64 aged = spte_age(&spte_fmt_ept_noad, spte);

	KUNIT_EXPECT_FALSE(test, spte_was_accessed(&spte_fmt_ept_noad, aged));
	KUNIT_EXPECT_FALSE(test, spte_allows(&spte_fmt_ept_noad, aged, SPTE_READ));
	KUNIT_EXPECT_EQ(test, spte_unage(&spte_fmt_ept_noad, aged), spte);
}

static void spte_test_mmio(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, spte_is_mmio(spte_mmio(0x12345)));
	KUNIT_EXPECT_EQ(test, spte_mmio_gen(spte_mmio(0x12345)), 0x12345ULL);
	KUNIT_EXPECT_FALSE(test, spte_valid(spte_mmio(0)));
}

static struct kunit_case spte_test_cases[] = {
	KUNIT_CASE(spte_test_leaf),
	KUNIT_CASE(spte_test_age),
	KUNIT_CASE(spte_test_mmio),
	{}
};

struct kunit_suite okvm_spte_suite = {
	.name = "okvm-spte",
	.test_cases = spte_test_cases,
};
