// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the MSR table as built by the kernel's compiler. Full tests: selftests/host. */
#include <kunit/test.h>

#include "msr_table.c"

static void msr_kunit_sorted(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < msr_nr_rows; i++) {
		KUNIT_EXPECT_LE(test, msr_rows[i].first, msr_rows[i].last);
		KUNIT_EXPECT_PTR_EQ(test, msr_find(msr_rows[i].first), &msr_rows[i]);
		if (i)
			KUNIT_EXPECT_LT(test, msr_rows[i - 1].last, msr_rows[i].first);
	}
}

static void msr_kunit_noncanonical(struct kunit *test)
{
	struct msr_env env = { .cpu = ~0u, .guest = ~0u, .linear_bits = 48 };
	u64 val = BIT_ULL(47);

	KUNIT_EXPECT_EQ(test, msr_check_write(msr_find(MSR_LSTAR), &env, &val), MSR_FAULT);
	env.host = true;
	KUNIT_EXPECT_EQ(test, msr_check_write(msr_find(MSR_KERNEL_GS_BASE), &env, &val), MSR_FAULT);
}

static struct kunit_case msr_kunit_cases[] = {
	KUNIT_CASE(msr_kunit_sorted),
	KUNIT_CASE(msr_kunit_noncanonical),
	{}
};

struct kunit_suite okvm_msr_table_suite = {
	.name = "okvm_msr_table",
	.test_cases = msr_kunit_cases,
};
