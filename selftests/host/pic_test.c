// SPDX-License-Identifier: GPL-2.0-only
/* The pair of 8259A: programming, priorities, EOI, poll, spurious interrupts, restores. */
#include <linux/array_size.h>
#include <linux/bits.h>

#include "irq/model/pic.h"
#include "test.h"

static struct pic pic;
static struct pic_todo todo;

static void out(u16 port, u8 val)
{
	memset(&todo, 0, sizeof(todo));
	pic_write(&pic, port, val, &todo);
}

static u8 in(u16 port)
{
	memset(&todo, 0, sizeof(todo));
	return pic_read(&pic, port, &todo);
}

static enum pic_line line(unsigned int pin, bool high)
{
	memset(&todo, 0, sizeof(todo));
	return pic_set_line(&pic, pin, 0, high, &todo);
}

static void pulse(unsigned int pin)
{
	line(pin, true);
	line(pin, false);
}

static u8 ack(void)
{
	memset(&todo, 0, sizeof(todo));
	return pic_ack(&pic, &todo);
}

static void program(u16 port, u8 base, u8 icw4)
{
	out(port, 0x11);
	out(port + 1, base);
	out(port + 1, port == PIC_PORT_MASTER ? 4 : 2);
	out(port + 1, icw4);
}

/* As a PC's firmware leaves it: vectors 0x20 and 0x28, everything unmasked. */
static void fresh(void)
{
	memset(&pic, 0x5a, sizeof(pic));
	memset(pic.sources, 0, sizeof(pic.sources));
	pic_reset(&pic);
	program(PIC_PORT_MASTER, 0x20, 1);
	program(PIC_PORT_SLAVE, 0x28, 1);
}

TEST(pic_ports)
{
	fresh();
	EXPECT_EQ(in(0x22), 0);
	out(0x4d2, 0xff);
}

TEST(pic_mask_register)
{
	unsigned int v;

	fresh();
	for (v = 0; v < 256; v++) {
		u8 old = in(0x21);

		out(0x21, v);
		EXPECT_EQ(todo.masked, v & ~old);
		EXPECT_EQ(todo.unmasked, (u8)(~v & old));
		EXPECT_EQ(in(0x21), v);
		out(0xa1, v);
		EXPECT_EQ(in(0xa1), v);
	}
}

TEST(pic_edge_master)
{
	fresh();
	EXPECT_EQ(line(3, true), PIC_LINE_TAKEN);
	EXPECT(todo.raised);
	EXPECT(pic.output);
	EXPECT_EQ(line(3, true), PIC_LINE_TAKEN);
	EXPECT(!todo.raised);
	EXPECT_EQ(in(0x20), BIT(3));
	EXPECT_EQ(ack(), 0x23);
	EXPECT(!pic.output);
	out(0x20, 0x0b);
	EXPECT_EQ(in(0x20), BIT(3));
	out(0x20, 0x0a);
	EXPECT_EQ(in(0x20), 0);
	out(0x20, 0x20);
	EXPECT_EQ(todo.acked, BIT(3));
	EXPECT(!pic.output);
}

TEST(pic_coalesced)
{
	fresh();
	EXPECT_EQ(line(3, true), PIC_LINE_TAKEN);
	line(3, false);
	EXPECT_EQ(line(3, true), PIC_LINE_COALESCED);
	out(0x21, 0xff);
	EXPECT_EQ(line(3, false), PIC_LINE_IGNORED);
}

TEST(pic_slave_cascade)
{
	fresh();
	pulse(12);
	EXPECT(pic.output);
	EXPECT_EQ(ack(), 0x2c);
	out(0x20, 0x0b);
	EXPECT_EQ(in(0x20), BIT(2));
	out(0xa0, 0x0b);
	EXPECT_EQ(in(0xa0), BIT(4));
	out(0xa0, 0x20);
	EXPECT_EQ(todo.acked, BIT(12));
	out(0x20, 0x20);
	EXPECT_EQ(todo.acked, BIT(2));
}

TEST(pic_slave_second_interrupt)
{
	fresh();
	pulse(12);
	EXPECT_EQ(ack(), 0x2c);
	pulse(9);
	/* The master has pin 2 in service and is not specially nested. */
	EXPECT(!pic.output);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	EXPECT(pic.output);
	EXPECT_EQ(ack(), 0x29);
}

TEST(pic_special_fully_nested)
{
	fresh();
	program(PIC_PORT_MASTER, 0x20, 0x11);
	pulse(12);
	EXPECT_EQ(ack(), 0x2c);
	pulse(9);
	EXPECT(pic.output);
	EXPECT_EQ(ack(), 0x29);
	pulse(14);
	EXPECT(!pic.output);
}

TEST(pic_priority_and_nesting)
{
	fresh();
	pulse(5);
	EXPECT_EQ(ack(), 0x25);
	pulse(6);
	EXPECT(!pic.output);
	pulse(1);
	EXPECT(todo.raised || pic.output);
	EXPECT_EQ(ack(), 0x21);
	out(0x20, 0x20);
	EXPECT_EQ(todo.acked, BIT(1));
	EXPECT(!pic.output);
	out(0x20, 0x20);
	EXPECT_EQ(todo.acked, BIT(5));
	EXPECT_EQ(ack(), 0x26);
}

TEST(pic_specific_eoi)
{
	fresh();
	pulse(5);
	ack();
	pulse(1);
	ack();
	out(0x20, 0x65);
	EXPECT_EQ(todo.acked, BIT(5));
	out(0x20, 0x0b);
	EXPECT_EQ(in(0x20), BIT(1));
}

TEST(pic_rotation)
{
	fresh();
	out(0x20, 0xc0 | 4);
	pulse(0);
	pulse(5);
	EXPECT_EQ(ack(), 0x25);
	out(0x20, 0xa0);
	EXPECT_EQ(pic.chip[0].priority_add, 6);
	EXPECT_EQ(ack(), 0x20);
	out(0x20, 0xe0);
	EXPECT_EQ(todo.acked, BIT(0));
	EXPECT_EQ(pic.chip[0].priority_add, 1);
}

TEST(pic_auto_eoi)
{
	fresh();
	program(PIC_PORT_MASTER, 0x20, 3);
	pulse(4);
	EXPECT_EQ(ack(), 0x24);
	EXPECT_EQ(todo.acked, BIT(4));
	EXPECT_EQ(pic.chip[0].isr, 0);
	out(0x20, 0x80);
	pulse(4);
	ack();
	EXPECT_EQ(pic.chip[0].priority_add, 5);
	out(0x20, 0x00);
	EXPECT_EQ(pic.chip[0].rotate_on_auto_eoi, 0);
}

TEST(pic_special_mask)
{
	fresh();
	pulse(3);
	ack();
	out(0x21, BIT(3));
	pulse(6);
	EXPECT(!pic.output);
	out(0x20, 0x68);
	EXPECT(pic.output);
	EXPECT_EQ(ack(), 0x26);
	out(0x20, 0x48);
	EXPECT_EQ(pic.chip[0].special_mask, 0);
}

TEST(pic_poll)
{
	fresh();
	out(0x20, 0x0c);
	EXPECT_EQ(in(0x20), 0);
	pulse(6);
	out(0x20, 0x0c);
	EXPECT_EQ(in(0x21), 0x86);
	EXPECT_EQ(pic.chip[0].isr, BIT(6));
	EXPECT_EQ(in(0x21), 0);
	pulse(10);
	out(0x20, 0x0c);
	EXPECT_EQ(in(0x20), 0x82);
	out(0xa0, 0x0c);
	EXPECT_EQ(in(0xa0), 0x82);
	EXPECT_EQ(pic.chip[1].isr, BIT(2));
}

TEST(pic_level_line)
{
	fresh();
	out(0x4d0, 0xff);
	EXPECT_EQ(in(0x4d0), 0xf8);
	out(0x4d1, 0xff);
	EXPECT_EQ(in(0x4d1), 0xde);
	line(11, true);
	EXPECT_EQ(ack(), 0x2b);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	EXPECT(pic.output);
	EXPECT_EQ(ack(), 0x2b);
	line(11, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	EXPECT(!pic.output);
}

TEST(pic_spurious)
{
	fresh();
	out(0x4d0, BIT(5));
	line(5, true);
	EXPECT(pic.output);
	line(5, false);
	EXPECT_EQ(ack(), 0x27);
	EXPECT_EQ(pic.chip[0].isr, 0);
	/* The slave's request goes, and with it the master's. */
	out(0x4d1, BIT(2));
	line(10, true);
	line(10, false);
	EXPECT(!pic.output);
	/* Pin 2 driven by a line of its own: nobody is there at the slave. */
	pulse(2);
	EXPECT_EQ(ack(), 0x2f);
	EXPECT_EQ(pic.chip[0].isr, BIT(2));
	EXPECT_EQ(pic.chip[1].isr, 0);
}

TEST(pic_sources)
{
	fresh();
	out(0x4d0, BIT(5));
	pic_set_line(&pic, 5, 1, true, &todo);
	pic_set_line(&pic, 5, 2, true, &todo);
	pic_set_line(&pic, 5, 1, false, &todo);
	EXPECT(pic.chip[0].irr & BIT(5));
	pic_set_line(&pic, 5, 2, false, &todo);
	EXPECT(!(pic.chip[0].irr & BIT(5)));
}

/* CVE-2017-1000252 */
TEST(pic_pin_bounds)
{
	fresh();
	EXPECT_EQ(line(16, true), PIC_LINE_IGNORED);
	EXPECT_EQ(line(~0u, true), PIC_LINE_IGNORED);
	EXPECT_EQ(pic_set_line(&pic, 0, 64, true, &todo), PIC_LINE_IGNORED);
	EXPECT(!pic.output);
}

TEST(pic_icw1_ends_what_it_drops)
{
	fresh();
	pulse(0);
	ack();
	pulse(4);
	out(0x20, 0x11);
	EXPECT_EQ(todo.acked, BIT(0) | BIT(4));
	EXPECT(!pic.output);
	EXPECT_EQ(pic.chip[0].isr, 0);
	out(0x21, 0x47);
	EXPECT_EQ(pic.chip[0].irq_base, 0x40);
	out(0x21, 4);
	out(0x21, 1);
	out(0x21, 0xaa);
	EXPECT_EQ(in(0x21), 0xaa);
}

TEST(pic_icw1_without_icw4)
{
	fresh();
	program(PIC_PORT_MASTER, 0x20, 0x13);
	out(0x20, 0x10);
	out(0x21, 0x30);
	out(0x21, 4);
	EXPECT_EQ(pic.chip[0].auto_eoi, 0);
	EXPECT_EQ(pic.chip[0].special_fully_nested_mode, 0);
	out(0x21, 0x55);
	EXPECT_EQ(in(0x21), 0x55);
}

TEST(pic_state_round_trip)
{
	struct kvm_pic_state a[2], b[2];
	int i;

	fresh();
	pulse(12);
	pulse(3);
	ack();
	out(0x20, 0xc1);
	out(0x4d1, 0xff);
	for (i = 0; i < 2; i++) {
		memset(&a[i], 0xff, sizeof(a[i]));
		pic_get_state(&pic, i, &a[i]);
	}
	pic_reset(&pic);
	for (i = 0; i < 2; i++)
		pic_set_state(&pic, i, &a[i], &todo);
	for (i = 0; i < 2; i++)
		pic_get_state(&pic, i, &b[i]);
	EXPECT(!memcmp(a, b, sizeof(a)));
}

/* Whatever is restored, each register holds what the hardware could hold. */
TEST(pic_restored_garbage)
{
	static const u8 fill[] = { 0xff, 0x80, 0x7f, 0x55, 0x04, 0x02 };
	struct kvm_pic_state s;
	unsigned int i, chip;

	for (i = 0; i < sizeof(fill); i++) {
		for (chip = 0; chip < 2; chip++) {
			fresh();
			memset(&s, fill[i], sizeof(s));
			pic_set_state(&pic, chip, &s, &todo);
			pic_get_state(&pic, chip, &s);
			EXPECT(s.init_state <= 3);
			EXPECT(s.priority_add <= 7);
			EXPECT_EQ(s.irq_base, fill[i]);
			EXPECT(s.read_reg_select <= 1 && s.poll <= 1 && s.special_mask <= 1);
			EXPECT(s.auto_eoi <= 1 && s.rotate_on_auto_eoi <= 1 && s.init4 <= 1);
			EXPECT(s.special_fully_nested_mode <= 1);
			EXPECT_EQ(s.elcr_mask, fill[i]);
			EXPECT_EQ(s.elcr & ~(chip ? 0xde : 0xf8), 0);
			ack();
		}
	}
}

static u64 rng = 0x2545f4914f6cdd1d;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void check_invariants(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct kvm_pic_state *s = &pic.chip[i];

		EXPECT(s->priority_add < 8);
		EXPECT(s->init_state < 4);
		EXPECT(!(s->elcr & ~(i ? 0xde : 0xf8)));
	}
}

TEST(pic_random_sequences)
{
	static const u16 ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x22, 0xffff };
	struct kvm_pic_state state;
	unsigned int i, j;
	u8 vector;

	fresh();
	for (i = 0; i < 300000; i++) {
		u64 r = rnd();

		switch (r % 6) {
		case 0:
			out(ports[r >> 8 & 7], r >> 16);
			break;
		case 1:
			in(ports[r >> 8 & 7]);
			break;
		case 2:
		case 3:
			pic_set_line(&pic, (r >> 8) % 18, (r >> 16) % 66, r >> 60 & 1, &todo);
			break;
		case 4:
			vector = ack();
			EXPECT((u8)(vector - pic.chip[0].irq_base) < 8 ||
			       (u8)(vector - pic.chip[1].irq_base) < 8);
			break;
		case 5:
			if (r >> 8 & 0x7f)
				break;
			for (j = 0; j < sizeof(state); j++)
				((u8 *)&state)[j] = rnd();
			pic_set_state(&pic, r >> 20 & 1, &state, &todo);
			break;
		}
		check_invariants();
	}
}
