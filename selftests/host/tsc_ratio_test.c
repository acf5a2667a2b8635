// SPDX-License-Identifier: GPL-2.0-only
/* x86/time/tsc_ratio.h: the ratios that VMX (16 bits and 48) and SVM (8 and 32) can multiply by. */
#include "test.h"
#include "x86/time/tsc_ratio.h"

#define VMX	16, 48
#define SVM	8, 32
#define ONE	(1ull << OKVM_TSC_RATIO_BITS)

TEST(simple_ratios)
{
	EXPECT_EQ(okvm_tsc_ratio(2000000, 2000000, VMX), ONE);
	EXPECT_EQ(okvm_tsc_ratio(2000000, 2000000, SVM), ONE);
	EXPECT_EQ(okvm_tsc_ratio(1000000, 2000000, VMX), ONE / 2);
	EXPECT_EQ(okvm_tsc_ratio(1000000, 2000000, SVM), ONE / 2);
	EXPECT_EQ(okvm_tsc_ratio(3000000, 2000000, SVM), ONE + ONE / 2);
}

/* A third has no end: the bits that SVM lacks are 0, the others are VMX's. */
TEST(a_ratio_is_one_of_the_hardwares)
{
	EXPECT_EQ(okvm_tsc_ratio(1000000, 3000000, VMX), ONE / 3);
	EXPECT_EQ(okvm_tsc_ratio(1000000, 3000000, SVM), 0x55555555ull << 16);
	EXPECT_EQ(okvm_tsc_ratio(2999999, 3000000, SVM), 0xfffffa68ull << 16);
}

TEST(the_integer_part_ends)
{
	EXPECT_EQ(okvm_tsc_ratio(255999, 1000, SVM), 0xffffbe76c8ull << 16);
	EXPECT_EQ(okvm_tsc_ratio(256000, 1000, SVM), 0);
	EXPECT_EQ(okvm_tsc_ratio(256000, 1000, VMX), ONE * 256);
	EXPECT_EQ(okvm_tsc_ratio(65535000, 1000, VMX), ONE * 65535);
	EXPECT_EQ(okvm_tsc_ratio(65536000, 1000, VMX), 0);
	EXPECT_EQ(okvm_tsc_ratio(~0u, 1, VMX), 0);
}

TEST(the_smallest_ratio)
{
	EXPECT_EQ(okvm_tsc_ratio(1, ~0u, SVM), 1ull << 16);
	EXPECT_EQ(okvm_tsc_ratio(0, 1000, SVM), 0);
}
