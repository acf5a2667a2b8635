// SPDX-License-Identifier: GPL-2.0-only
/* Tests each cell of the table in the SDM's "Interrupt 8 - Double Fault Exception". */
#include <kunit/test.h>

#include "event_rules.c"

static void event_merge_table(struct kunit *test)
{
	/* One vector of each class of the table: benign, contributory, page fault. */
	static const u8 vector[] = { 6, 13, 14 };
	static const enum event_merge want[3][3] = {
		{ EVENT_MERGE_SECOND, EVENT_MERGE_SECOND, EVENT_MERGE_SECOND },
		{ EVENT_MERGE_SECOND, EVENT_MERGE_DOUBLE, EVENT_MERGE_SECOND },
		{ EVENT_MERGE_SECOND, EVENT_MERGE_DOUBLE, EVENT_MERGE_DOUBLE },
	};
	unsigned int i, k;

	for (i = 0; i < 3; i++)
		for (k = 0; k < 3; k++)
			KUNIT_EXPECT_EQ(test, event_merge(vector[i], vector[k]), want[i][k]);
}

static void event_merge_double_fault(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, event_merge(8, 13), EVENT_MERGE_SHUTDOWN);
	KUNIT_EXPECT_EQ(test, event_merge(8, 14), EVENT_MERGE_SHUTDOWN);
	KUNIT_EXPECT_EQ(test, event_merge(8, 1), EVENT_MERGE_SECOND);
}

static void event_fault_or_trap(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, event_is_fault(14));
	KUNIT_EXPECT_TRUE(test, event_is_fault(6));
	KUNIT_EXPECT_FALSE(test, event_is_fault(3));
	KUNIT_EXPECT_FALSE(test, event_is_fault(1));
	KUNIT_EXPECT_FALSE(test, event_is_fault(2));
	KUNIT_EXPECT_FALSE(test, event_is_fault(32));
}

static void event_dr6_active_low(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, event_dr6(0xffff0ff0, 0x4000), 0xffff4ff0ul);
	/* A #DB in a transaction (payload bit 16) clears DR6.RTM. */
	KUNIT_EXPECT_EQ(test, event_dr6(0xffff0ff0, BIT(16)), 0xfffe0ff0ul);
}

static struct kunit_case event_rules_cases[] = {
	KUNIT_CASE(event_merge_table),
	KUNIT_CASE(event_merge_double_fault),
	KUNIT_CASE(event_fault_or_trap),
	KUNIT_CASE(event_dr6_active_low),
	{ }
};

struct kunit_suite okvm_event_rules_suite = {
	.name = "okvm-event-rules",
	.test_cases = event_rules_cases,
};
