// SPDX-License-Identifier: GPL-2.0-only
/* SDM "Interrupt 8 - Double Fault Exception (#DF)": both tables, over every pair of vectors. */
#include "x86/cpu/event_rules.h"
#include "test.h"

/*
 * The class of each vector, as the SDM's table of interrupt and exception classes has it: b benign,
 * c contributory, p page fault, d the double fault itself. What the table does not name (9, 15 and
 * those from 22 on) is benign, as external interrupts and INT n are.
 */
static const char class_of[] = "cbbbbbbbdbccccpbbbbbpcbbbbbbbbbb";

static enum event_merge want_merge(unsigned int first, unsigned int second)
{
	char a = first < 32 ? class_of[first] : 'b';
	char b = second < 32 ? class_of[second] : 'b';

	switch (a) {
	case 'd':
		return b == 'b' ? EVENT_MERGE_SECOND : EVENT_MERGE_SHUTDOWN;
	case 'p':
		return b == 'b' ? EVENT_MERGE_SECOND : EVENT_MERGE_DOUBLE;
	case 'c':
		return b == 'c' ? EVENT_MERGE_DOUBLE : EVENT_MERGE_SECOND;
	}
	return EVENT_MERGE_SECOND;
}

TEST(event_merge_every_pair)
{
	unsigned int first, second;

	for (first = 0; first < 256; first++)
		for (second = 0; second < 256; second++) {
			/* No processor raises #DF while it delivers something else. */
			if (second == 8 && first != 8)
				continue;
			if (event_merge(first, second) != want_merge(first, second))
				HOST_FAIL("%u then %u gives %u", first, second,
					  event_merge(first, second));
		}
}

/* SDM "Exception and Interrupt Reference": which saved RIP addresses the instruction itself. */
TEST(event_faults_are_those_of_the_manual)
{
	/* F fault; t trap, abort, interrupt, or (#DB) either, which its payload says. */
	static const char kind[] = "FttttFFFtFFFFFFFFFtFFFFFFFFFFFFF";
	unsigned int vector;

	for (vector = 0; vector < 256; vector++)
		EXPECT_EQ(event_is_fault(vector), vector < 32 && kind[vector] == 'F');
}

TEST(event_dr6_collects_causes)
{
	unsigned int bit;

	for (bit = 0; bit < 4; bit++)
		EXPECT_EQ(event_dr6(0xffff0ff0, 1ul << bit), 0xffff0ff0 | 1ul << bit);
	EXPECT_EQ(event_dr6(0xffff0ff0, 1ul << 13), 0xffff2ff0);	/* BD */
	EXPECT_EQ(event_dr6(0xffff0ff0, 1ul << 14), 0xffff4ff0);	/* BS */
	EXPECT_EQ(event_dr6(0xffff0ff0, 1ul << 11), 0xffff07f0);	/* BLD, active low */
	EXPECT_EQ(event_dr6(0xffff0ff0, 1ul << 16), 0xfffe0ff0);	/* RTM, active low */
	EXPECT_EQ(event_dr6(0xfffe0ff0, 0), 0xffff0ff0);
	EXPECT_EQ(event_dr6(0xffff0ff0, ~0xffffffffull), 0xffff0ff0);
}
