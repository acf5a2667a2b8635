// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: the IOAPIC model, compiled for the kernel. The full tests are in selftests/host. */
#include <kunit/test.h>

#include "ioapic.c"

static struct ioapic *ioapic_test_new(struct kunit *test)
{
	struct ioapic *io = kunit_kzalloc(test, sizeof(*io), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, io);
	ioapic_reset(io);
	return io;
}

static void ioapic_test_set_entry(struct ioapic *io, unsigned int pin, u32 low,
				  struct ioapic_todo *todo)
{
	ioapic_write(io, IOAPIC_SELECT, IOAPIC_REDIR + 2 * pin, todo);
	ioapic_write(io, IOAPIC_WINDOW, low, todo);
}

static void ioapic_test_level(struct kunit *test)
{
	struct ioapic *io = ioapic_test_new(test);
	struct ioapic_todo todo = {};

	ioapic_test_set_entry(io, 9, IOAPIC_E_LEVEL | 0x51, &todo);
	KUNIT_EXPECT_TRUE(test, todo.rescan);
	ioapic_set_line(io, 9, 0, true, false, &todo);
	KUNIT_EXPECT_EQ(test, todo.deliver, (u32)BIT(9));
	ioapic_delivered(io, 9, 1);
	KUNIT_EXPECT_EQ(test, io->redir[9] & IOAPIC_E_REMOTE_IRR, IOAPIC_E_REMOTE_IRR);
	todo = (struct ioapic_todo) {};
	ioapic_eoi_finish(io, ioapic_eoi_begin(io, 0x51), &todo);
	KUNIT_EXPECT_EQ(test, todo.deliver, (u32)BIT(9));
}

static void ioapic_test_selectors(struct kunit *test)
{
	struct ioapic *io = ioapic_test_new(test);
	struct ioapic_todo todo = {};
	u32 select;

	for (select = 0; select < 256; select++) {
		ioapic_write(io, IOAPIC_SELECT, select, &todo);
		ioapic_write(io, IOAPIC_WINDOW, ~0u, &todo);
		if (select >= IOAPIC_REDIR + 2 * IOAPIC_PINS)
			KUNIT_EXPECT_EQ(test, ioapic_read(io, IOAPIC_WINDOW), ~0u);
	}
	KUNIT_EXPECT_EQ(test, todo.deliver, 0u);
}

static void ioapic_test_round_trip(struct kunit *test)
{
	struct ioapic *io = ioapic_test_new(test);
	struct kvm_ioapic_state *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	struct kvm_ioapic_state *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct ioapic_todo todo = {};

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b);
	ioapic_test_set_entry(io, 3, IOAPIC_E_LEVEL | IOAPIC_E_ACTIVE_LOW | 0x33, &todo);
	memset(a, 0xff, sizeof(*a));
	ioapic_get_state(io, a);
	ioapic_reset(io);
	ioapic_set_state(io, a, &todo);
	ioapic_get_state(io, b);
	KUNIT_EXPECT_EQ(test, memcmp(a, b, sizeof(*a)), 0);
}

static struct kunit_case ioapic_cases[] = {
	KUNIT_CASE(ioapic_test_level),
	KUNIT_CASE(ioapic_test_selectors),
	KUNIT_CASE(ioapic_test_round_trip),
	{}
};

struct kunit_suite okvm_ioapic_suite = {
	.name = "okvm-ioapic",
	.test_cases = ioapic_cases,
};
