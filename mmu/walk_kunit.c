// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: walk.c in the kernel's build. The complete tests are in selftests/host/walk_test.c. */
#include <kunit/test.h>

#include "walk.c"

#define WALK_TEST_TABLES	4

static int walk_test_read(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	u8 *mem = ctx;

	if (gpa + size > WALK_TEST_TABLES * 4096)
		return -EFAULT;
	*val = 0;
	memcpy(val, mem + gpa, size);
	return 0;
}

static int walk_test_cmpxchg(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	u8 *mem = ctx;

	memcpy(mem + gpa, &new, size);
	return 0;
}

static const struct walk_ops walk_test_ops = {
	.read = walk_test_read,
	.replace = walk_test_cmpxchg,
};

static const struct walk_mode walk_test_mode = {
	.levels = 4, .maxphyaddr = 46, .wp = true, .nx = true, .smep = true, .smap = true,
	.gbpages = true,
};

struct walk_test_row {
	u64 pte;
	u32 access;
	enum walk_verdict verdict;
	u32 code;
};

static const struct walk_test_row walk_test_rows[] = {
	{ 0x7007, WALK_USER | WALK_WRITE, WALK_OK, 0 },
	{ 0x7007, WALK_USER | WALK_FETCH, WALK_OK, 0 },
	{ 0x7007, 0, WALK_FAULT, 1 },				/* SMAP */
	{ 0x7007, WALK_FETCH, WALK_FAULT, 0x11 },		/* SMEP */
	{ 0x7003, WALK_WRITE, WALK_OK, 0 },
	{ 0x7003, WALK_USER, WALK_FAULT, 5 },
	{ 0x7001, WALK_WRITE, WALK_FAULT, 3 },			/* CR0.WP */
	{ 0x7006, WALK_USER, WALK_FAULT, 4 },			/* not present */
	{ 0x8000000000007003, WALK_FETCH, WALK_FAULT, 0x11 },
	{ 0x400000007003, 0, WALK_FAULT, 9 },			/* reserved */
};

static void walk_test_table(struct kunit *test)
{
	u64 *mem = kunit_kzalloc(test, WALK_TEST_TABLES * 4096, GFP_KERNEL);
	struct walk_regs regs = {};
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
	for (i = 0; i < ARRAY_SIZE(walk_test_rows); i++) {
		const struct walk_test_row *row = &walk_test_rows[i];
		struct walk_result out = {};
		struct walk_fault fault = {};

		mem[0] = 0x1007;
		mem[512] = 0x2007;
		mem[1024] = 0x3007;
		mem[1536] = row->pte;
		KUNIT_EXPECT_EQ(test, (int)walk(&walk_test_mode, &regs, &walk_test_ops, mem, 0x123,
						row->access, &out, &fault), (int)row->verdict);
		KUNIT_EXPECT_EQ(test, fault.error_code, row->code);
		if (row->verdict == WALK_OK)
			KUNIT_EXPECT_EQ(test, out.gpa, 0x7123ULL);
	}
}

static struct kunit_case walk_test_cases[] = {
	KUNIT_CASE(walk_test_table),
	{}
};

struct kunit_suite okvm_walk_suite = {
	.name = "okvm-walk",
	.test_cases = walk_test_cases,
};
