// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: iterate over a small tree of page tables. */
#include <kunit/test.h>

#include <linux/gfp.h>

#include "iter.c"

struct iter_test {
	u64 *root, *mid, *low;
};

/* Make tables of three levels: a huge leaf at level 2, index 3; leaves at level 1, 5 and 511. */
static void iter_test_make(struct kunit *test, struct iter_test *t)
{
	t->root = (u64 *)get_zeroed_page(GFP_KERNEL);
	t->mid = (u64 *)get_zeroed_page(GFP_KERNEL);
	t->low = (u64 *)get_zeroed_page(GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, t->root && t->mid && t->low);
	t->root[1] = __pa(t->mid) | SPTE_VALID;
	t->mid[2] = __pa(t->low) | SPTE_VALID;
	t->mid[3] = SPTE_VALID | SPTE_HUGE;
	t->low[5] = 0x1000 | SPTE_VALID;
	t->low[511] = 0x2000 | SPTE_VALID;
}

static void iter_test_free(struct iter_test *t)
{
	free_page((unsigned long)t->low);
	free_page((unsigned long)t->mid);
	free_page((unsigned long)t->root);
}

static void iter_test_order(struct kunit *test)
{
	gfn_t base = spte_pages(3) + 2 * spte_pages(2);
	gfn_t seen[8] = {};
	struct iter_test t;
	struct iter it;
	int n = 0;

	iter_test_make(test, &t);
	iter_for_each(&it, t.root, 3, 1, 0, ~0ULL) {
		if (spte_is_leaf(it.val, it.level) && n < 8)
			seen[n++] = iter_base(&it);
	}
	iter_test_free(&t);
	KUNIT_EXPECT_EQ(test, n, 3);
	KUNIT_EXPECT_EQ(test, seen[0], base + 5);
	KUNIT_EXPECT_EQ(test, seen[1], base + 511);
	KUNIT_EXPECT_EQ(test, seen[2], base + 512);
}

static void iter_test_range(struct kunit *test)
{
	gfn_t base = spte_pages(3) + 2 * spte_pages(2);
	struct iter_test t;
	struct iter it;
	int leaves = 0, steps = 0;

	iter_test_make(test, &t);
	iter_for_each(&it, t.root, 3, 1, base + 6, base + 512) {
		leaves += spte_is_leaf(it.val, it.level);
		steps++;
	}
	KUNIT_EXPECT_EQ(test, leaves, 1);
	/* The steps are one entry of the root, one at level 2, and entries 6 to 511 at level 1. */
	KUNIT_EXPECT_EQ(test, steps, 2 + 506);
	/* With a minimum level of 2, no entry at level 1 is visited. */
	steps = 0;
	iter_for_each(&it, t.root, 3, 2, base, base + 1024)
		steps++;
	KUNIT_EXPECT_EQ(test, steps, 1 + 2);
	/* Beyond what the root covers, no entry is visited. */
	iter_start(&it, t.root, 3, 1, spte_pages(4), ~0ULL);
	KUNIT_EXPECT_FALSE(test, iter_valid(&it));
	iter_test_free(&t);
}

/* Restart as often as iter_moved() allows. The iteration must still end, and visit all leaves. */
static void iter_test_restarts(struct kunit *test)
{
	gfn_t base = spte_pages(3) + 2 * spte_pages(2);
	int leaves = 0, steps = 0;
	struct iter_test t;
	struct iter it;

	iter_test_make(test, &t);
	iter_start(&it, t.root, 3, 1, base, base + 513);
	KUNIT_EXPECT_FALSE(test, iter_moved(&it));
	while (iter_valid(&it) && ++steps < 4 * 513) {
		if (iter_moved(&it))
			iter_restart(&it);
		KUNIT_EXPECT_TRUE(test, it.level == 3 || !iter_moved(&it));
		leaves += spte_is_leaf(it.val, it.level);
		iter_next(&it);
	}
	iter_test_free(&t);
	KUNIT_EXPECT_FALSE(test, iter_valid(&it));
	KUNIT_EXPECT_EQ(test, leaves, 3);
}

static struct kunit_case iter_test_cases[] = {
	KUNIT_CASE(iter_test_order),
	KUNIT_CASE(iter_test_range),
	KUNIT_CASE(iter_test_restarts),
	{}
};

struct kunit_suite okvm_iter_suite = {
	.name = "okvm-iter",
	.test_cases = iter_test_cases,
};
