// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: the PIC model, compiled for the kernel. The full tests are in selftests/host. */
#include <kunit/test.h>

#include "pic.c"

static struct pic *pic_test_new(struct kunit *test)
{
	struct pic *pic = kunit_kzalloc(test, sizeof(*pic), GFP_KERNEL);
	struct pic_todo todo = {};
	u16 port;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pic);
	pic_reset(pic);
	for (port = PIC_PORT_MASTER; port <= PIC_PORT_SLAVE; port += 0x80) {
		pic_write(pic, port, 0x11, &todo);
		pic_write(pic, port + 1, port == PIC_PORT_MASTER ? 0x20 : 0x28, &todo);
		pic_write(pic, port + 1, 4, &todo);
		pic_write(pic, port + 1, 1, &todo);
	}
	return pic;
}

static void pic_test_cascade(struct kunit *test)
{
	struct pic *pic = pic_test_new(test);
	struct pic_todo todo = {};

	pic_set_line(pic, 12, 0, true, &todo);
	KUNIT_EXPECT_TRUE(test, todo.raised);
	KUNIT_EXPECT_EQ(test, pic_ack(pic, &todo), 0x2c);
	KUNIT_EXPECT_FALSE(test, pic->output);
	todo = (struct pic_todo) {};
	pic_write(pic, PIC_PORT_SLAVE, 0x20, &todo);
	KUNIT_EXPECT_EQ(test, todo.acked, (u16)BIT(12));
}

static void pic_test_spurious(struct kunit *test)
{
	struct pic *pic = pic_test_new(test);
	struct pic_todo todo = {};

	KUNIT_EXPECT_EQ(test, pic_ack(pic, &todo), 0x27);
	KUNIT_EXPECT_EQ(test, pic->chip[PIC_MASTER].isr, 0);
}

static void pic_test_garbage(struct kunit *test)
{
	struct pic *pic = pic_test_new(test);
	struct kvm_pic_state state;
	struct pic_todo todo = {};

	memset(&state, 0xff, sizeof(state));
	pic_set_state(pic, PIC_SLAVE, &state, &todo);
	pic_get_state(pic, PIC_SLAVE, &state);
	KUNIT_EXPECT_EQ(test, state.priority_add, 7);
	KUNIT_EXPECT_EQ(test, state.init_state, 0);
	KUNIT_EXPECT_EQ(test, state.elcr, 0xde);
	KUNIT_EXPECT_EQ(test, state.irq_base, 0xff);
}

static struct kunit_case pic_cases[] = {
	KUNIT_CASE(pic_test_cascade),
	KUNIT_CASE(pic_test_spurious),
	KUNIT_CASE(pic_test_garbage),
	{}
};

struct kunit_suite okvm_pic_suite = {
	.name = "okvm-pic",
	.test_cases = pic_cases,
};
