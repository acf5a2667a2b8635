// SPDX-License-Identifier: GPL-2.0-only
/* The shim headers compile together and their helpers agree with the kernel's definitions. */
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/apicdef.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/unaligned.h>
#include <asm/vmx.h>
#include <linux/kvm.h>

#include "test.h"

static_assert(sizeof(u64) == 8);
static_assert(GENMASK_ULL(63, 0) == ~0ULL, "the whole word");

TEST(shim_bits)
{
	DECLARE_BITMAP(map, 130);
	unsigned long bit, seen = 0;

	bitmap_zero(map, 130);
	__set_bit(3, map);
	__set_bit(129, map);
	for_each_set_bit(bit, map, 130)
		seen += bit;
	EXPECT_EQ(seen, 132);
	EXPECT_EQ(GENMASK(7, 4), 0xf0);
	EXPECT_EQ(fls(0), 0);
	EXPECT_EQ(fls64(1ULL << 63), 64);
	EXPECT_EQ(sign_extend64(0x80, 7), ~0x7fULL);
	EXPECT_EQ(array_index_nospec(5u, 4u), 0);
}

TEST(shim_constants)
{
	EXPECT_EQ(MSR_EFER, 0xc0000080);
	EXPECT_EQ(X86_CR4_VMXE, 1 << 13);
	EXPECT_EQ(EXIT_REASON_CPUID, 10);
	EXPECT_EQ(GUEST_RIP, 0x681e);
	EXPECT_EQ(APIC_LVR, 0x30);
}
