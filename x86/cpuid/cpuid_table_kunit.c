// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: test cpuid_table.c, compiled for the kernel. The full tests are in selftests/host.
 */
#include <kunit/test.h>

#include "cpuid_table.c"

static void cpuid_kunit_answers(struct kunit *test)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{ .function = 0, .eax = 7 },
		{ .function = 7, .index = 0, .flags = 1, .ebx = 70 },
		{ .function = 7, .index = 1, .flags = 1, .ebx = 71 },
		{ .function = 0x80000000, .eax = 0x80000000 },
	};
	struct cpuid_index *idx;
	u32 r[CPUID_NR_REGS] = { 7, 0, 1, 0 };

	idx = kunit_kzalloc(test, struct_size(idx, next, ARRAY_SIZE(e)), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, idx);
	cpuid_index_build(idx, e, ARRAY_SIZE(e));
	KUNIT_EXPECT_EQ(test, cpuid_answer(idx, e, r), 2);
	KUNIT_EXPECT_EQ(test, r[CPUID_REG_EBX], 71u);
	r[0] = 0x80000009;
	r[2] = 0;
	KUNIT_EXPECT_EQ(test, cpuid_answer(idx, e, r), 1);
	KUNIT_EXPECT_EQ(test, r[CPUID_REG_EBX], 70u);
	r[0] = 5;
	KUNIT_EXPECT_EQ(test, cpuid_answer(idx, e, r), -1);
	KUNIT_EXPECT_EQ(test, r[CPUID_REG_EAX], 0u);
}

static struct kunit_case cpuid_kunit_cases[] = {
	KUNIT_CASE(cpuid_kunit_answers),
	{}
};

struct kunit_suite okvm_cpuid_table_suite = {
	.name = "okvm_cpuid_table",
	.test_cases = cpuid_kunit_cases,
};
