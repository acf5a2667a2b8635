// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: the PIT model, compiled for the kernel. The full tests are in selftests/host. */
#include <kunit/test.h>

#include "pit.c"

static struct pit *pit_test_new(struct kunit *test)
{
	struct pit *pit = kunit_kzalloc(test, sizeof(*pit), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pit);
	pit_reset(pit, 200000, 0);
	return pit;
}

static void pit_test_periodic(struct kunit *test)
{
	struct pit *pit = pit_test_new(test);
	struct pit_todo todo = {};

	pit_write(pit, 3, 0x34, 0, &todo);
	pit_write(pit, 0, 1000 & 0xff, 0, &todo);
	pit_write(pit, 0, 1000 >> 8, 0, &todo);
	KUNIT_EXPECT_EQ(test, todo.timer, PIT_TIMER_START);
	KUNIT_EXPECT_EQ(test, todo.period, 1000 * PIT_NS_PER_SEC / PIT_HZ);
	KUNIT_EXPECT_EQ(test, pit_count(pit, 0, PIT_NS_PER_SEC), (u16)(1000 - PIT_HZ % 1000));
}

static void pit_test_floor(struct kunit *test)
{
	struct pit *pit = pit_test_new(test);
	struct pit_todo todo = {};

	pit_write(pit, 3, 0x14, 0, &todo);
	pit_write(pit, 0, 1, 0, &todo);
	KUNIT_EXPECT_EQ(test, todo.period, 200000ull);
}

static void pit_test_zero_count(struct kunit *test)
{
	struct pit *pit = pit_test_new(test);
	struct kvm_pit_state2 state = {};
	struct pit_todo todo = {};
	unsigned int mode;

	for (mode = 0; mode < 256; mode++) {
		state.channels[2].mode = mode;
		pit_set_state(pit, &state, 0, &todo);
		KUNIT_EXPECT_EQ(test, pit->channel[2].regs.count, 0x10000u);
		pit_out(pit, 2, 12345);
		pit_count(pit, 2, 12345);
	}
}

static struct kunit_case pit_cases[] = {
	KUNIT_CASE(pit_test_periodic),
	KUNIT_CASE(pit_test_floor),
	KUNIT_CASE(pit_test_zero_count),
	{}
};

struct kunit_suite okvm_pit_suite = {
	.name = "okvm-pit",
	.test_cases = pit_cases,
};
