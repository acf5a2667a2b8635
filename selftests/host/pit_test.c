// SPDX-License-Identifier: GPL-2.0-only
/* The 8254: every mode, latches, read-back, gate, speaker port, hostile counts, restores. */
#include <linux/array_size.h>
#include <linux/bits.h>

#include "irq/model/pit.h"
#include "test.h"

#define MIN_PERIOD 200000

static struct pit pit;
static struct pit_todo todo;
static u64 now;

static void fresh(void)
{
	now = 1000000000000ull;
	memset(&pit, 0x5a, sizeof(pit));
	pit_reset(&pit, MIN_PERIOD, now);
	memset(&todo, 0, sizeof(todo));
}

static void out(u16 port, u8 val)
{
	memset(&todo, 0, sizeof(todo));
	pit_write(&pit, port, val, now, &todo);
}

static u8 in(u16 port)
{
	return pit_read(&pit, port, now);
}

/* Nanoseconds in which exactly @n clocks have passed. */
static u64 clocks(u64 n)
{
	return (n * 1000000000ull + PIT_HZ - 1) / PIT_HZ;
}

static void program(unsigned int channel, unsigned int mode, u16 count)
{
	out(3, channel << 6 | 0x30 | mode << 1);
	out(channel, count);
	out(channel, count >> 8);
}

static u16 latch(unsigned int channel)
{
	u16 lo;

	out(3, channel << 6);
	lo = in(channel);
	return lo | in(channel) << 8;
}

TEST(pit_reset_state)
{
	fresh();
	EXPECT_EQ(pit.channel[0].regs.gate, 1);
	EXPECT_EQ(pit.channel[1].regs.gate, 1);
	EXPECT_EQ(pit.channel[2].regs.gate, 0);
	EXPECT_EQ(pit.flags, 0);
	EXPECT_EQ(in(3), 0);
	EXPECT_EQ(in(4), 0);
	EXPECT_EQ(in(0xffff), 0);
	out(4, 0xff);
	EXPECT_EQ(todo.timer, PIT_TIMER_KEEP);
}

TEST(pit_mode2_timer)
{
	fresh();
	program(0, 2, 11932);
	EXPECT_EQ(todo.timer, PIT_TIMER_START);
	EXPECT_EQ(todo.period, 11932ull * 1000000000 / PIT_HZ);
	EXPECT_EQ(todo.first, todo.period);
	EXPECT_EQ(latch(0), 11932);
	now += clocks(932);
	EXPECT_EQ(latch(0), 11000);
	now += clocks(10999);
	EXPECT_EQ(latch(0), 1);
	EXPECT(!pit_out(&pit, 0, now));
	now += clocks(1);
	EXPECT(pit_out(&pit, 0, now));
}

TEST(pit_one_shot_timer)
{
	unsigned int i;
	static const u8 modes[] = { 0, 4 };

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fresh();
		program(0, modes[i], 1000);
		EXPECT_EQ(todo.timer, PIT_TIMER_START);
		EXPECT_EQ(todo.period, 0);
		EXPECT_EQ(todo.first, 1000ull * 1000000000 / PIT_HZ);
	}
	out(3, 0x30);
	EXPECT_EQ(todo.timer, PIT_TIMER_STOP);
}

TEST(pit_mode0_output)
{
	fresh();
	program(1, 0, 100);
	EXPECT(!pit_out(&pit, 1, now));
	EXPECT(!pit_out(&pit, 1, now + clocks(99)));
	EXPECT(pit_out(&pit, 1, now + clocks(100)));
	EXPECT(pit_out(&pit, 1, now + clocks(1000)));
	EXPECT_EQ(pit_count(&pit, 1, now + clocks(101)), 0xffff);
	/* The first byte of a new count stops it. */
	now += clocks(200);
	out(1, 5);
	EXPECT(!pit_out(&pit, 1, now));
	EXPECT(!pit_out(&pit, 1, now + clocks(70000)));
}

TEST(pit_mode3_square_wave)
{
	fresh();
	program(1, 3, 10);
	EXPECT_EQ(pit_count(&pit, 1, now), 10);
	EXPECT_EQ(pit_count(&pit, 1, now + clocks(4)), 2);
	EXPECT(pit_out(&pit, 1, now + clocks(4)));
	EXPECT(!pit_out(&pit, 1, now + clocks(5)));
	EXPECT_EQ(pit_count(&pit, 1, now + clocks(5)), 10);
	program(1, 3, 5);
	EXPECT(pit_out(&pit, 1, now + clocks(2)));
	EXPECT(!pit_out(&pit, 1, now + clocks(3)));
	EXPECT_EQ(pit_count(&pit, 1, now + clocks(2)), 0);
	EXPECT_EQ(pit_count(&pit, 1, now + clocks(3)), 4);
}

TEST(pit_modes_6_and_7)
{
	fresh();
	program(0, 6, 1000);
	EXPECT_EQ(pit.channel[0].regs.mode, 2);
	program(0, 7, 1000);
	EXPECT_EQ(pit.channel[0].regs.mode, 3);
}

TEST(pit_triggered_modes)
{
	static const u8 modes[] = { 1, 5 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fresh();
		program(2, modes[i], 50);
		EXPECT(pit_out(&pit, 2, now + clocks(500)));
		pit_speaker_write(&pit, 1, now);
		EXPECT_EQ(pit_out(&pit, 2, now + clocks(10)), modes[i] == 5);
		EXPECT_EQ(pit_out(&pit, 2, now + clocks(50)), modes[i] == 1);
		EXPECT(pit_out(&pit, 2, now + clocks(51)));
		/* A new edge starts anew. */
		pit_speaker_write(&pit, 0, now + clocks(20));
		pit_speaker_write(&pit, 1, now + clocks(40));
		EXPECT_EQ(pit_out(&pit, 2, now + clocks(89)), modes[i] == 5);
		EXPECT_EQ(pit_out(&pit, 2, now + clocks(90)), modes[i] == 1);
	}
	program(0, 1, 50);
	EXPECT_EQ(todo.timer, PIT_TIMER_STOP);
}

TEST(pit_gate_holds_count)
{
	fresh();
	pit_speaker_write(&pit, 1, now);
	program(2, 0, 1000);
	now += clocks(100);
	pit_speaker_write(&pit, 0, now);
	EXPECT_EQ(latch(2), 900);
	now += clocks(5000);
	EXPECT_EQ(latch(2), 900);
	EXPECT_EQ(pit_speaker_read(&pit, now) & 0x21, 0);
	pit_speaker_write(&pit, 1, now);
	EXPECT_EQ(latch(2), 900);
	now += clocks(900);
	EXPECT_EQ(pit_speaker_read(&pit, now) & 0x21, 0x21);
}

TEST(pit_gate_restarts_periodic)
{
	fresh();
	pit_speaker_write(&pit, 1, now);
	program(2, 2, 1000);
	now += clocks(100);
	pit_speaker_write(&pit, 0, now);
	EXPECT(pit_out(&pit, 2, now));
	now += clocks(50);
	pit_speaker_write(&pit, 1, now);
	EXPECT_EQ(latch(2), 1000);
}

TEST(pit_speaker_port)
{
	unsigned int v;

	fresh();
	for (v = 0; v < 256; v++) {
		pit_speaker_write(&pit, v, now);
		EXPECT_EQ(pit_speaker_read(&pit, now) & 3, v & 3);
		EXPECT_EQ(pit_speaker_read(&pit, now) & 0xcc, 0);
	}
	EXPECT_EQ(!!(pit_speaker_read(&pit, 0) & 0x10), 0);
	EXPECT_EQ(!!(pit_speaker_read(&pit, 1 << 14) & 0x10), 1);
}

TEST(pit_access_modes)
{
	fresh();
	out(3, 0x40 | 0x10 | 2 << 1);
	out(1, 0x55);
	EXPECT_EQ(pit.channel[1].regs.count, 0x55);
	EXPECT_EQ(in(1), 0x55);
	EXPECT_EQ(in(1), 0x55);
	out(3, 0x40 | 0x20 | 2 << 1);
	out(1, 0x66);
	EXPECT_EQ(pit.channel[1].regs.count, 0x6600);
	EXPECT_EQ(in(1), 0x66);
	program(1, 2, 0x1234);
	EXPECT_EQ(in(1), 0x34);
	EXPECT_EQ(in(1), 0x12);
}

TEST(pit_latch_freezes)
{
	fresh();
	program(1, 2, 0x1234);
	out(3, 0x40);
	now += clocks(0x100);
	out(3, 0x40);
	EXPECT_EQ(in(1), 0x34);
	EXPECT_EQ(in(1), 0x12);
	EXPECT_EQ(latch(1), 0x1134);
}

TEST(pit_read_back)
{
	fresh();
	program(0, 2, 0x100);
	program(1, 3, 0x200);
	out(3, 0xc0 | 2 | 4);
	EXPECT_EQ(in(0), 0x80 | 0x30 | 2 << 1);
	EXPECT_EQ(in(0), 0x00);
	EXPECT_EQ(in(0), 0x01);
	EXPECT_EQ(in(1), 0x80 | 0x30 | 3 << 1);
	EXPECT_EQ(in(1), 0x00);
	EXPECT_EQ(in(1), 0x02);
	out(3, 0xe0 | 2);
	EXPECT_EQ(in(0), 0x80 | 0x30 | 2 << 1);
	/* Null count from the control word until the count. */
	out(3, 0x30 | 2 << 1);
	out(3, 0xe0 | 2);
	EXPECT_EQ(in(0) & 0x40, 0x40);
	out(0, 1);
	out(0, 1);
	out(3, 0xe0 | 2);
	EXPECT_EQ(in(0) & 0x40, 0);
}

TEST(pit_bcd)
{
	fresh();
	out(3, 0x40 | 0x30 | 2 << 1 | 1);
	out(1, 0x34);
	out(1, 0x12);
	EXPECT_EQ(pit.channel[1].regs.count, 1234);
	EXPECT_EQ(latch(1), 0x1234);
	now += clocks(235);
	EXPECT_EQ(latch(1), 0x0999);
	out(3, 0x40 | 0x30 | 0 << 1 | 1);
	out(1, 0);
	out(1, 0);
	EXPECT_EQ(pit.channel[1].regs.count, 10000);
	EXPECT_EQ(pit_count(&pit, 1, now + clocks(10001)), 0x9999);
	out(1, 0xff);
	out(1, 0xff);
	EXPECT_EQ(pit.channel[1].regs.count, 10000);
}

/* CVE-2013-6367, CVE-2015-7513: no count is ever zero, from ports or from a restore. */
TEST(pit_zero_counts)
{
	struct kvm_pit_state2 state;
	unsigned int mode, channel, i;

	for (mode = 0; mode < 8; mode++) {
		for (channel = 0; channel < 3; channel++) {
			fresh();
			program(channel, mode, 0);
			EXPECT_EQ(pit.channel[channel].regs.count, 0x10000);
			pit_count(&pit, channel, now + 12345);
			pit_out(&pit, channel, now + 12345);
		}
	}
	for (mode = 0; mode < 256; mode++) {
		memset(&state, 0, sizeof(state));
		for (i = 0; i < 3; i++) {
			state.channels[i].mode = mode;
			state.channels[i].gate = mode & 1;
			state.channels[i].bcd = i == 1;
		}
		pit_set_state(&pit, &state, now, &todo);
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(pit.channel[i].regs.count, i == 1 ? 10000 : 0x10000);
			pit_count(&pit, i, now + 99999999);
			pit_out(&pit, i, now + 99999999);
			out(3, 0xc2 | 2 << i);
			in(i);
			in(i);
		}
		pit_speaker_read(&pit, now);
	}
}

/* CVE-2020-27152, CVE-2025-71104: a periodic timer is never faster than the floor. */
TEST(pit_period_floor)
{
	unsigned int count, mode;

	for (mode = 2; mode <= 3; mode++) {
		for (count = 1; count < 0x10000; count = count * 3 + 1) {
			fresh();
			program(0, mode, count);
			EXPECT_EQ(todo.timer, PIT_TIMER_START);
			EXPECT(todo.period >= MIN_PERIOD);
			EXPECT(todo.first >= MIN_PERIOD);
		}
	}
	pit_reset(&pit, 0, now);
	program(0, 2, 1);
	EXPECT(todo.period >= 1);
}

TEST(pit_clock_jumps)
{
	static const u64 times[] = { 0, 1, 1ull << 31, 1ull << 62, 1ull << 63, ~0ull };
	unsigned int i, mode;

	for (mode = 0; mode < 6; mode++) {
		for (i = 0; i < ARRAY_SIZE(times); i++) {
			fresh();
			program(2, mode, 1000);
			pit_speaker_write(&pit, 1, times[i]);
			pit_count(&pit, 2, times[ARRAY_SIZE(times) - 1 - i]);
			pit_out(&pit, 2, times[ARRAY_SIZE(times) - 1 - i]);
			pit_speaker_write(&pit, 0, times[ARRAY_SIZE(times) - 1 - i]);
			pit_count(&pit, 2, times[i]);
			pit_out(&pit, 2, times[i]);
		}
	}
}

TEST(pit_hpet_legacy_stops_timer)
{
	struct kvm_pit_state2 state;

	fresh();
	program(0, 2, 1000);
	pit_get_state(&pit, &state);
	state.flags |= KVM_PIT_FLAGS_HPET_LEGACY;
	pit_set_state(&pit, &state, now, &todo);
	EXPECT_EQ(todo.timer, PIT_TIMER_STOP);
	program(0, 2, 1000);
	EXPECT_EQ(todo.timer, PIT_TIMER_STOP);
	state.flags = 0;
	pit_set_state(&pit, &state, now, &todo);
	EXPECT_EQ(todo.timer, PIT_TIMER_START);
}

TEST(pit_state_round_trip)
{
	struct kvm_pit_state2 a, b;

	fresh();
	program(0, 2, 1000);
	program(2, 3, 500);
	pit_speaker_write(&pit, 3, now);
	out(3, 0xc2 | 8);
	out(1, 7);
	memset(&a, 0xff, sizeof(a));
	pit_get_state(&pit, &a);
	EXPECT_EQ(a.reserved[8], 0);
	EXPECT_EQ(a.flags, KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	pit_set_state(&pit, &a, now, &todo);
	EXPECT_EQ(todo.timer, PIT_TIMER_START);
	pit_get_state(&pit, &b);
	EXPECT(!memcmp(&a, &b, sizeof(a)));
}

/* Whatever is restored, each register holds what the hardware could hold. */
TEST(pit_restored_garbage)
{
	struct kvm_pit_state2 s;
	unsigned int fill, i, port;

	for (fill = 1; fill < 256; fill++) {
		memset(&s, fill, sizeof(s));
		pit_set_state(&pit, &s, now, &todo);
		pit_get_state(&pit, &s);
		for (i = 0; i < 3; i++) {
			const struct kvm_pit_channel_state *c = &s.channels[i];

			EXPECT(c->count && c->count <= (c->bcd ? 10000 : 0x10000));
			EXPECT(c->mode < 6 || c->mode == 0xff);
			EXPECT(c->bcd <= 1 && c->gate <= 1 && c->status_latched <= 1);
			EXPECT(c->count_latched <= 3 && c->read_state <= 4 && c->write_state <= 4);
			EXPECT(c->rw_mode <= 3);
		}
		EXPECT_EQ(s.flags & ~(KVM_PIT_FLAGS_HPET_LEGACY |
				      KVM_PIT_FLAGS_SPEAKER_DATA_ON), 0);
		for (port = 0; port < 3; port++) {
			pit_read(&pit, port, now + 1);
			out(port, fill);
		}
	}
}

TEST(pit_reinject_one_by_one)
{
	struct pit_reinject re = { .enabled = true };
	unsigned int i, injected = 0;

	pit_reinject_reset(&re);
	EXPECT(pit_reinject_tick(&re, 1));
	for (i = 0; i < 5; i++)
		EXPECT(!pit_reinject_tick(&re, 1));
	while (pit_reinject_ack(&re))
		injected++;
	EXPECT_EQ(injected, 5);
	EXPECT(pit_reinject_tick(&re, 1));
	EXPECT(!pit_reinject_ack(&re));
	EXPECT(!pit_reinject_ack(&re));
	EXPECT(pit_reinject_tick(&re, 1));
}

/* Freeze the VM, jump the clock: what is made up for is bounded. */
TEST(pit_reinject_bounded)
{
	struct pit_reinject re = { .enabled = true };
	unsigned int injected = 0;

	pit_reinject_reset(&re);
	EXPECT(pit_reinject_tick(&re, ~0ull));
	pit_reinject_tick(&re, ~0ull);
	EXPECT_EQ(re.pending, PIT_PENDING_MAX);
	while (pit_reinject_ack(&re))
		injected++;
	EXPECT_EQ(injected, PIT_PENDING_MAX - 1);
	pit_reinject_tick(&re, 3);
	pit_reinject_reset(&re);
	EXPECT(pit_reinject_tick(&re, 1));
}

TEST(pit_reinject_off)
{
	struct pit_reinject re = { .enabled = false };
	unsigned int i;

	for (i = 0; i < 10; i++)
		EXPECT(pit_reinject_tick(&re, 100));
	EXPECT(!pit_reinject_ack(&re));
	EXPECT_EQ(re.pending, 0);
}

static u64 rng = 0x853c49e6748fea9b;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

TEST(pit_random_sequences)
{
	struct kvm_pit_state2 state;
	unsigned int i, j;

	fresh();
	for (i = 0; i < 300000; i++) {
		u64 r = rnd();

		memset(&todo, 0, sizeof(todo));
		now = r & 7 ? now + (r >> 44) : rnd();
		switch (r >> 3 & 7) {
		case 0:
		case 1:
			out(r >> 8 & 3, r >> 16);
			break;
		case 2:
			out(3, r >> 16);
			break;
		case 3:
			in(r >> 8 & 3);
			break;
		case 4:
			pit_speaker_write(&pit, r >> 16, now);
			break;
		case 5:
			pit_speaker_read(&pit, now);
			break;
		case 6:
			pit_out(&pit, (r >> 8 & 0xff) % 3, now);
			break;
		case 7:
			if (r >> 8 & 0x7f)
				break;
			for (j = 0; j < sizeof(state); j++)
				((u8 *)&state)[j] = rnd();
			pit_set_state(&pit, &state, now, &todo);
			break;
		}
		for (j = 0; j < 3; j++) {
			EXPECT(pit.channel[j].regs.count >= 1);
			EXPECT(pit.channel[j].regs.count <= 0x10000);
		}
		if (todo.timer == PIT_TIMER_START)
			EXPECT(!todo.period || todo.period >= MIN_PERIOD);
	}
}
