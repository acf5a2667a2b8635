// SPDX-License-Identifier: GPL-2.0-only
/* The IOAPIC model: every register with edge values, level and edge pins, restores of garbage. */
#include <linux/array_size.h>
#include <linux/bits.h>

#include "irq/model/ioapic.h"
#include "test.h"

static struct ioapic io;
static struct ioapic_todo todo;

static void fresh(void)
{
	memset(&io, 0xa5, sizeof(io));
	memset(io.sources, 0, sizeof(io.sources));
	ioapic_reset(&io);
	memset(&todo, 0, sizeof(todo));
}

static void again(void)
{
	memset(&todo, 0, sizeof(todo));
}

static void reg_write(u8 reg, u32 val)
{
	again();
	ioapic_write(&io, IOAPIC_SELECT, reg, &todo);
	ioapic_write(&io, IOAPIC_WINDOW, val, &todo);
}

static u32 reg_read(u8 reg)
{
	ioapic_write(&io, IOAPIC_SELECT, reg, &todo);
	return ioapic_read(&io, IOAPIC_WINDOW);
}

static void set_entry(unsigned int pin, u64 entry)
{
	reg_write(IOAPIC_REDIR + 2 * pin + 1, entry >> 32);
	reg_write(IOAPIC_REDIR + 2 * pin, entry);
}

static enum ioapic_line line(unsigned int pin, bool high)
{
	again();
	return ioapic_set_line(&io, pin, 0, high, false, &todo);
}

static void accept_all(int cpus)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if (todo.deliver & BIT(pin))
			ioapic_delivered(&io, pin, cpus);
}

static void eoi(u8 vector)
{
	u32 pins = ioapic_eoi_begin(&io, vector);

	again();
	ioapic_eoi_finish(&io, pins, &todo);
}

TEST(ioapic_fixed_registers)
{
	fresh();
	EXPECT_EQ(reg_read(IOAPIC_REG_VERSION), 0x170011);
	reg_write(IOAPIC_REG_VERSION, ~0u);
	EXPECT_EQ(reg_read(IOAPIC_REG_VERSION), 0x170011);
	reg_write(IOAPIC_REG_ID, ~0u);
	EXPECT_EQ(reg_read(IOAPIC_REG_ID), 0x0f000000);
	EXPECT_EQ(reg_read(IOAPIC_REG_ARB), 0x0f000000);
	reg_write(IOAPIC_REG_ARB, 0);
	EXPECT_EQ(reg_read(IOAPIC_REG_ID), 0x0f000000);
	EXPECT_EQ(ioapic_read(&io, 0x40), 0);
	ioapic_write(&io, 0x40, ~0u, &todo);
	EXPECT_EQ(todo.deliver, 0);
}

/* CVE-2013-1798, CVE-2016-9777: the selector is an index from the guest. */
TEST(ioapic_every_selector_in_bounds)
{
	static const u32 vals[] = { 0, 1, 0x10000, 0x7fffffff, 0x80000000, ~0u };
	unsigned int sel, i;

	for (sel = 0; sel < 0x400; sel++) {
		for (i = 0; i < ARRAY_SIZE(vals); i++) {
			fresh();
			ioapic_write(&io, IOAPIC_SELECT, sel, &todo);
			EXPECT_EQ(ioapic_read(&io, IOAPIC_SELECT), sel & 0xff);
			ioapic_write(&io, IOAPIC_WINDOW, vals[i], &todo);
			if ((sel & 0xff) >= IOAPIC_REDIR + 2 * IOAPIC_PINS) {
				EXPECT_EQ(ioapic_read(&io, IOAPIC_WINDOW), ~0u);
				EXPECT_EQ(todo.deliver, 0);
			}
		}
	}
}

TEST(ioapic_unused_selectors_read_ones)
{
	fresh();
	EXPECT_EQ(reg_read(0x03), ~0u);
	EXPECT_EQ(reg_read(0x0f), ~0u);
	EXPECT_EQ(reg_read(0x40), ~0u);
	EXPECT_EQ(reg_read(0xff), ~0u);
}

TEST(ioapic_read_only_bits)
{
	fresh();
	reg_write(IOAPIC_REDIR, IOAPIC_E_STATUS | IOAPIC_E_REMOTE_IRR | IOAPIC_E_LEVEL |
		  IOAPIC_E_MASKED | 0x31);
	EXPECT_EQ(reg_read(IOAPIC_REDIR), IOAPIC_E_LEVEL | IOAPIC_E_MASKED | 0x31);
	EXPECT(todo.rescan);
	reg_write(IOAPIC_REDIR + 1, 0xff000000);
	EXPECT_EQ(ioapic_message(&io, 0).dest, 0xff);
}

TEST(ioapic_message_fields)
{
	struct gsi_message m;

	fresh();
	set_entry(5, (u64)0xab << 56 | IOAPIC_E_LOGICAL | IOAPIC_E_LEVEL | 1 << 8 | 0x77);
	m = ioapic_message(&io, 5);
	EXPECT_EQ(m.vector, 0x77);
	EXPECT_EQ(m.mode, 1);
	EXPECT(m.logical);
	EXPECT(m.level);
	EXPECT_EQ(m.dest, 0xab);
	set_entry(5, IOAPIC_E_LEVEL | 4 << 8);
	EXPECT(!ioapic_message(&io, 5).level);
	(void)ioapic_message(&io, ~0u);
}

TEST(ioapic_edge)
{
	fresh();
	set_entry(4, 0x34);
	EXPECT_EQ(line(4, true), IOAPIC_LINE_TAKEN);
	EXPECT_EQ(todo.deliver, BIT(4));
	accept_all(1);
	EXPECT_EQ(line(4, true), IOAPIC_LINE_COALESCED);
	EXPECT_EQ(todo.deliver, 0);
	EXPECT_EQ(line(4, false), IOAPIC_LINE_TAKEN);
	EXPECT_EQ(todo.deliver, 0);
	EXPECT_EQ(line(4, true), IOAPIC_LINE_TAKEN);
	EXPECT_EQ(todo.deliver, BIT(4));
	EXPECT(!(io.redir[4] & IOAPIC_E_REMOTE_IRR));
}

TEST(ioapic_edge_while_masked_is_lost)
{
	fresh();
	EXPECT_EQ(line(4, true), IOAPIC_LINE_IGNORED);
	set_entry(4, 0x34);
	EXPECT_EQ(todo.deliver, 0);
	EXPECT_EQ(todo.unmasked, BIT(4));
	set_entry(4, 0x34 | IOAPIC_E_MASKED);
	EXPECT_EQ(todo.masked, BIT(4));
}

TEST(ioapic_level_waits_for_eoi)
{
	fresh();
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	EXPECT_EQ(line(9, true), IOAPIC_LINE_TAKEN);
	accept_all(1);
	EXPECT(io.redir[9] & IOAPIC_E_REMOTE_IRR);
	EXPECT_EQ(line(9, true), IOAPIC_LINE_IGNORED);
	EXPECT_EQ(todo.deliver, 0);
	eoi(0x52);
	EXPECT_EQ(todo.deliver, 0);
	eoi(0x51);
	EXPECT_EQ(todo.deliver, BIT(9));
	accept_all(1);
	line(9, false);
	eoi(0x51);
	EXPECT_EQ(todo.deliver, 0);
	EXPECT(!(io.redir[9] & IOAPIC_E_REMOTE_IRR));
}

TEST(ioapic_level_unmask_delivers)
{
	fresh();
	set_entry(9, IOAPIC_E_LEVEL | IOAPIC_E_MASKED | 0x51);
	EXPECT_EQ(line(9, true), IOAPIC_LINE_IGNORED);
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	EXPECT_EQ(todo.deliver, BIT(9));
}

/* A message that nobody took must not leave the pin waiting for an EOI. */
TEST(ioapic_level_not_accepted)
{
	fresh();
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	line(9, true);
	accept_all(-1);
	EXPECT(!(io.redir[9] & IOAPIC_E_REMOTE_IRR));
	line(9, true);
	EXPECT_EQ(todo.deliver, BIT(9));
	accept_all(0);
	EXPECT(!(io.redir[9] & IOAPIC_E_REMOTE_IRR));
}

/* Guests without an EOI register end an interrupt by switching to edge and back. */
TEST(ioapic_edge_switch_ends)
{
	fresh();
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	line(9, true);
	accept_all(1);
	set_entry(9, IOAPIC_E_MASKED | 0x51);
	EXPECT(!(io.redir[9] & IOAPIC_E_REMOTE_IRR));
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	EXPECT_EQ(todo.deliver, BIT(9));
}

TEST(ioapic_shared_line)
{
	fresh();
	set_entry(10, IOAPIC_E_LEVEL | 0x61);
	ioapic_set_line(&io, 10, 1, true, false, &todo);
	ioapic_set_line(&io, 10, 63, true, false, &todo);
	ioapic_set_line(&io, 10, 1, false, false, &todo);
	EXPECT(io.irr & BIT(10));
	ioapic_set_line(&io, 10, 63, false, false, &todo);
	EXPECT(!(io.irr & BIT(10)));
}

/* CVE-2017-1000252: the GSI and its pin are bounded, never asserted on. */
TEST(ioapic_pin_bounds)
{
	static const unsigned int pins[] = { IOAPIC_PINS, IOAPIC_PINS + 1, 255, ~0u };
	unsigned int i;

	fresh();
	for (i = 0; i < ARRAY_SIZE(pins); i++) {
		EXPECT_EQ(line(pins[i], true), IOAPIC_LINE_IGNORED);
		ioapic_delivered(&io, pins[i], 1);
	}
	EXPECT_EQ(ioapic_set_line(&io, 0, 64, true, false, &todo), IOAPIC_LINE_IGNORED);
	EXPECT_EQ(todo.deliver, 0);
}

/* CVE-2020-27152: a line that never falls is delivered later, not at every EOI for ever. */
TEST(ioapic_eoi_storm_is_delayed)
{
	unsigned int i, delivered = 0, delayed = 0;

	fresh();
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	line(9, true);
	accept_all(1);
	for (i = 0; i < 2 * IOAPIC_STORM_EOIS; i++) {
		eoi(0x51);
		delivered += !!todo.deliver;
		if (todo.delay) {
			delayed++;
			EXPECT_EQ(todo.deliver, 0);
			again();
			ioapic_reinject(&io, &todo);
			EXPECT_EQ(todo.deliver, BIT(9));
		}
		accept_all(1);
	}
	EXPECT_EQ(delayed, 2);
	EXPECT_EQ(delivered, 2 * IOAPIC_STORM_EOIS - 2);
}

TEST(ioapic_storm_count_starts_anew)
{
	unsigned int i;

	fresh();
	set_entry(9, IOAPIC_E_LEVEL | 0x51);
	for (i = 0; i < 3 * IOAPIC_STORM_EOIS; i++) {
		line(9, true);
		accept_all(1);
		line(9, false);
		eoi(0x51);
		EXPECT(!todo.delay);
	}
}

TEST(ioapic_rtc_reports_unacknowledged)
{
	fresh();
	set_entry(IOAPIC_RTC_PIN, 0x38);
	EXPECT_EQ(ioapic_set_line(&io, 8, 0, true, true, &todo), IOAPIC_LINE_TAKEN);
	accept_all(2);
	line(8, false);
	EXPECT_EQ(ioapic_set_line(&io, 8, 0, true, true, &todo), IOAPIC_LINE_COALESCED);
	line(8, false);
	eoi(0x38);
	EXPECT_EQ(ioapic_set_line(&io, 8, 0, true, true, &todo), IOAPIC_LINE_COALESCED);
	line(8, false);
	eoi(0x38);
	again();
	EXPECT_EQ(ioapic_set_line(&io, 8, 0, true, true, &todo), IOAPIC_LINE_TAKEN);
	EXPECT_EQ(todo.deliver, BIT(8));
}

TEST(ioapic_eoi_vector_map)
{
	u64 map[4];

	fresh();
	set_entry(3, IOAPIC_E_LEVEL | 0xff);
	set_entry(4, IOAPIC_E_LEVEL | 4 << 8 | 0x70);
	set_entry(5, 0x45);
	set_entry(6, 0x46);
	set_entry(8, 0x48);
	ioapic_eoi_vectors(&io, BIT(5), map);
	EXPECT_EQ(map[3], BIT_ULL(63));
	EXPECT_EQ(map[1], BIT_ULL(0x45 - 64) | BIT_ULL(0x48 - 64));
	EXPECT_EQ(map[0] | map[2], 0);
}

TEST(ioapic_state_round_trip)
{
	struct kvm_ioapic_state a, b;

	fresh();
	set_entry(0, 0x30);
	set_entry(9, (u64)3 << 56 | IOAPIC_E_LEVEL | IOAPIC_E_ACTIVE_LOW | 0x51);
	set_entry(10, IOAPIC_E_LEVEL | 0x61);
	line(0, true);
	accept_all(1);
	line(9, true);
	accept_all(1);
	memset(&a, 0xff, sizeof(a));
	ioapic_get_state(&io, &a);
	EXPECT_EQ(a.pad, 0);
	EXPECT_EQ(a.base_address, IOAPIC_BASE);
	EXPECT_EQ(a.irr, BIT(9));
	fresh();
	ioapic_set_state(&io, &a, &todo);
	EXPECT_EQ(todo.deliver, 0);
	EXPECT(todo.rescan);
	ioapic_get_state(&io, &b);
	EXPECT(!memcmp(&a, &b, sizeof(a)));
	eoi(0x51);
	EXPECT_EQ(todo.deliver, BIT(9));
}

TEST(ioapic_restore_delivers_pending)
{
	struct kvm_ioapic_state s = { .irr = BIT(2) | BIT(3) | BIT(31), };

	fresh();
	s.redirtbl[2].bits = 0x32;
	s.redirtbl[3].bits = IOAPIC_E_LEVEL | 0x33;
	ioapic_set_state(&io, &s, &todo);
	EXPECT_EQ(todo.deliver, BIT(2) | BIT(3));
	EXPECT_EQ(io.irr, BIT(2) | BIT(3));
}

/* Whatever is restored, there are no pins but the 24, and nothing waits for an EOI in vain. */
TEST(ioapic_restored_garbage)
{
	struct kvm_ioapic_state s;
	unsigned int fill, pin;

	for (fill = 1; fill < 256; fill++) {
		fresh();
		memset(&s, fill, sizeof(s));
		ioapic_set_state(&io, &s, &todo);
		EXPECT_EQ(todo.deliver >> IOAPIC_PINS, 0);
		ioapic_get_state(&io, &s);
		EXPECT_EQ(s.irr >> IOAPIC_PINS, 0);
		EXPECT(s.id <= 0xf);
		for (pin = 0; pin < IOAPIC_PINS; pin++)
			EXPECT((s.redirtbl[pin].bits & IOAPIC_E_LEVEL) ||
			       !(s.redirtbl[pin].bits & IOAPIC_E_REMOTE_IRR));
		ioapic_read(&io, IOAPIC_WINDOW);
		ioapic_write(&io, IOAPIC_WINDOW, ~0u, &todo);
		eoi(fill);
	}
}

static u64 rng = 0x9e3779b97f4a7c15;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* What must hold whatever came before. */
static void check_invariants(void)
{
	unsigned int pin;

	EXPECT_EQ(io.irr >> IOAPIC_PINS, 0);
	EXPECT_EQ(todo.deliver >> IOAPIC_PINS, 0);
	EXPECT(io.id < 16);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 e = io.redir[pin];

		if (todo.deliver & BIT(pin))
			EXPECT(!(e & IOAPIC_E_MASKED));
		if (!(e & IOAPIC_E_LEVEL))
			EXPECT(!(e & IOAPIC_E_REMOTE_IRR));
		EXPECT(io.streak[pin] < IOAPIC_STORM_EOIS);
	}
}

TEST(ioapic_random_sequences)
{
	struct kvm_ioapic_state state;
	unsigned int i, j;

	fresh();
	for (i = 0; i < 300000; i++) {
		u64 r = rnd();

		again();
		switch (r % 8) {
		case 0:
		case 1:
			ioapic_set_line(&io, (r >> 8) % 26, (r >> 16) % 66, r >> 60 & 1,
					r >> 61 & 1, &todo);
			break;
		case 2:
			ioapic_write(&io, IOAPIC_SELECT, r >> 16, &todo);
			break;
		case 3:
		case 4:
			ioapic_write(&io, IOAPIC_WINDOW, r >> 32 & (r & 8 ? ~0u : 0xf8ff), &todo);
			break;
		case 5:
			ioapic_eoi_finish(&io, ioapic_eoi_begin(&io, r >> 16), &todo);
			break;
		case 6:
			ioapic_reinject(&io, &todo);
			break;
		case 7:
			if (r >> 8 & 0xff)
				break;
			for (j = 0; j < sizeof(state); j++)
				((u8 *)&state)[j] = rnd();
			ioapic_set_state(&io, &state, &todo);
			break;
		}
		check_invariants();
		accept_all((int)(r >> 40) % 3 - 1);
		ioapic_read(&io, r >> 20 & 0x10);
	}
}
