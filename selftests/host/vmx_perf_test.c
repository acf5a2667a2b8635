// SPDX-License-Identifier: GPL-2.0-only
/* vmx/perf.h: what VM entries and VM exits load for the host's performance counters. */
#include <linux/array_size.h>

#include "test.h"
#include "vmx/perf.h"

static struct vmx_perf p;

static void make(const struct perf_guest_switch_msr *msrs, int nr)
{
	memset(p.entry, 0xa5, sizeof(p.entry));
	memset(p.exit, 0xa5, sizeof(p.exit));
	vmx_perf_make(&p, msrs, nr);
}

/* Nobody uses perf, or the events count guests as well. */
TEST(equal_values_are_not_switched)
{
	static const struct perf_guest_switch_msr msrs[] = {
		{ MSR_CORE_PERF_GLOBAL_CTRL, 0x70000000f, 0x70000000f },
		{ MSR_IA32_PEBS_ENABLE, 0, 0 },
	};

	p.pebs = 1;
	make(msrs, 2);
	EXPECT_EQ(p.nr_entry, 0);
	EXPECT_EQ(p.nr_exit, 0);
	EXPECT_EQ(p.pebs, 0);
	make(NULL, 0);
	EXPECT_EQ(p.nr_entry, 0);
}

TEST(each_side_has_its_value)
{
	static const struct perf_guest_switch_msr msrs[] = {
		{ MSR_CORE_PERF_GLOBAL_CTRL, 0x70000000f, 0x700000001 },
	};

	make(msrs, 1);
	EXPECT_EQ(p.nr_entry, 1);
	EXPECT_EQ(p.nr_exit, 1);
	EXPECT_EQ(p.entry[0].index, MSR_CORE_PERF_GLOBAL_CTRL);
	EXPECT_EQ(p.entry[0].value, 0x700000001);
	EXPECT_EQ(p.exit[0].index, MSR_CORE_PERF_GLOBAL_CTRL);
	EXPECT_EQ(p.exit[0].value, 0x70000000f);
	/* SDM "Format of an MSR Entry": bits 63:32 are 0. */
	EXPECT_EQ(p.entry[0].reserved, 0);
	EXPECT_EQ(p.exit[0].reserved, 0);
	EXPECT_EQ((unsigned long)p.entry % 16, 0);
	EXPECT_EQ((unsigned long)p.exit % 16, 0);
}

/* PEBS is off from before the first VM entry until after the last VM exit. */
TEST(vm_exits_do_not_switch_pebs_on)
{
	static const struct perf_guest_switch_msr msrs[] = {
		{ MSR_IA32_PEBS_ENABLE, 0x3, 0 },
		{ MSR_CORE_PERF_GLOBAL_CTRL, 0x70000000f, 0x70000000c },
	};

	make(msrs, 2);
	EXPECT_EQ(p.pebs, 0x3);
	EXPECT_EQ(p.nr_entry, 2);
	EXPECT_EQ(p.entry[0].index, MSR_IA32_PEBS_ENABLE);
	EXPECT_EQ(p.entry[0].value, 0);
	EXPECT_EQ(p.nr_exit, 1);
	EXPECT_EQ(p.exit[0].index, MSR_CORE_PERF_GLOBAL_CTRL);
}

/* ... and the counters that use it stand still meanwhile; bit 32 of PEBS_ENABLE is no counter. */
TEST(counters_with_pebs_stand_still)
{
	static const struct perf_guest_switch_msr msrs[] = {
		{ MSR_CORE_PERF_GLOBAL_CTRL, 0x70000000f, 0x70000000c },
		{ MSR_IA32_PEBS_ENABLE, 0x100000003, 0 },
	};

	make(msrs, 2);
	EXPECT_EQ(p.nr_exit, 1);
	EXPECT_EQ(p.exit[0].value, 0x70000000c);
	make(msrs, 1);
	EXPECT_EQ(p.exit[0].value, 0x70000000f);
}

/* A CPU without GLOBAL_CTRL that has more counters than the lists have room. */
TEST(the_lists_have_an_end)
{
	struct perf_guest_switch_msr msrs[VMX_PERF_MSRS + 3];

	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
		msrs[i] = (struct perf_guest_switch_msr){ MSR_P6_EVNTSEL0 + i, 1, 0 };
	make(msrs, ARRAY_SIZE(msrs));
	EXPECT_EQ(p.nr_entry, VMX_PERF_MSRS);
	EXPECT_EQ(p.nr_exit, VMX_PERF_MSRS);
	EXPECT_EQ(p.set_entry, 0);
}
