// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: which frames of this machine are device memory. */
#include <kunit/test.h>

#include <linux/gfp.h>
#include <linux/pgtable.h>

#include "mmu/memtype.h"

/* A page of the kernel's image is reserved, but is RAM. */
static void memtype_test_reserved(struct kunit *test)
{
	u64 pfn = page_to_pfn(ZERO_PAGE(0)) + 1;

	KUNIT_ASSERT_TRUE(test, pfn_valid(pfn));
	KUNIT_ASSERT_TRUE(test, PageReserved(pfn_to_page(pfn)));
	/* Without PAT the host's memory type is unknown: treating it as device memory is safe. */
	KUNIT_EXPECT_EQ(test, memtype_is_device(pfn), !pat_enabled());
}

static void memtype_test_memory(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, memtype_is_device(page_to_pfn(page)));
	KUNIT_EXPECT_FALSE(test, memtype_is_device(page_to_pfn(ZERO_PAGE(0))));
	__free_page(page);
}

static void memtype_test_device(struct kunit *test)
{
	/*
	 * Two frames of device memory: the local APIC's page, and an address where there is no
	 * memory.
	 */
	KUNIT_EXPECT_TRUE(test, memtype_is_device(0xfee00));
	KUNIT_EXPECT_TRUE(test, memtype_is_device(1ULL << 39));
}

static struct kunit_case memtype_test_cases[] = {
	KUNIT_CASE(memtype_test_reserved),
	KUNIT_CASE(memtype_test_memory),
	KUNIT_CASE(memtype_test_device),
	{}
};

struct kunit_suite okvm_memtype_suite = {
	.name = "okvm-memtype",
	.test_cases = memtype_test_cases,
};
