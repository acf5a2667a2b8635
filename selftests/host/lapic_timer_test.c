// SPDX-License-Identifier: GPL-2.0-only
/* Local APIC timer: modes, counts, divisors, and rows 32 and 33 of the pitfalls. */
#include <stdlib.h>
#include "lapic_test.h"

static struct bench b;

static void setup(u32 lvtt)
{
	bench_init(&b, 0);
	bench_enable(&b);
	xwrite(&b, APIC_LVTT, lvtt);
	xwrite(&b, APIC_TDCR, APIC_TDR_DIV_1);
	EXPECT(lapic_timer_shift(APIC_TDR_DIV_1) == 0);
	lapic_timer_scale(&b.l.timer, 0, 0, 0);
}

TEST(divisors)
{
	static const struct { u32 dcr; u8 shift; } rows[] = {
		{ APIC_TDR_DIV_1, 0 }, { APIC_TDR_DIV_2, 1 }, { APIC_TDR_DIV_4, 2 },
		{ APIC_TDR_DIV_8, 3 }, { APIC_TDR_DIV_16, 4 }, { APIC_TDR_DIV_32, 5 },
		{ APIC_TDR_DIV_64, 6 }, { APIC_TDR_DIV_128, 7 }, { 0xfffffff4, 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(lapic_timer_shift(rows[i].dcr), rows[i].shift);
}

TEST(one_shot)
{
	struct lapic_timer *t = &b.l.timer;

	setup(0x30);
	EXPECT(xwrite(&b, APIC_TMICT, 1000) & LAPIC_EFF_TIMER_START);
	EXPECT(lapic_timer_start(t, 1000, 5000));
	EXPECT_EQ(t->expiry_ns, 6000);
	EXPECT_EQ(lapic_timer_current(t, 5400), 600);
	EXPECT_EQ(lapic_timer_current(t, 6000), 0);
	EXPECT_EQ(lapic_timer_current(t, 9000), 0);
	EXPECT(!lapic_timer_fired(t, 6010));
	EXPECT_EQ(lapic_timer_current(t, 6000), 0);
	EXPECT(!lapic_timer_start(t, 0, 7000));
	EXPECT_EQ(lapic_timer_current(t, 7000), 0);
}

TEST(periodic_keeps_phase)
{
	struct lapic_timer *t = &b.l.timer;

	setup(APIC_LVT_TIMER_PERIODIC | 0x30);
	EXPECT(lapic_timer_start(t, 1000000, 0));
	EXPECT(lapic_timer_fired(t, 1000100));
	EXPECT_EQ(t->expiry_ns, 2000000);
	EXPECT_EQ(lapic_timer_current(t, 1500000), 500000);
	EXPECT(lapic_timer_fired(t, 2900000));
	EXPECT_EQ(t->expiry_ns, 3000000);
}

/* PITFALLS 33: stopped for an hour, the guest gets one tick, and no arming is below the floor. */
TEST(catch_up_is_bounded)
{
	struct lapic_timer *t = &b.l.timer;
	u64 now = 0, end = 3600ull * 1000000000;
	u32 ticks = 0;

	setup(APIC_LVT_TIMER_PERIODIC | 0x30);
	EXPECT(lapic_timer_start(t, 1, now));
	EXPECT_EQ(t->period_ns, LAPIC_MIN_PERIOD_NS);
	end += 70000;
	EXPECT(lapic_timer_fired(t, end));
	EXPECT(t->expiry_ns >= end + LAPIC_MIN_PERIOD_NS / 4);
	EXPECT(t->expiry_ns <= end + 2 * LAPIC_MIN_PERIOD_NS);
	EXPECT_EQ(t->expiry_ns % LAPIC_MIN_PERIOD_NS, 0);
	for (now = end; now < end + 1000000000; now += 1000)
		if (now >= t->expiry_ns) {
			u64 late = now + random() % 400000;

			EXPECT(lapic_timer_fired(t, late));
			EXPECT(t->expiry_ns >= late + LAPIC_MIN_PERIOD_NS / 4);
			ticks++;
		}
	EXPECT(ticks <= 5001);
	/* The far end of the clock: nothing overflows into a storm. */
	EXPECT(lapic_timer_fired(t, ~0ull / 2));
	EXPECT(t->expiry_ns > ~0ull / 2);
}

/* PITFALLS 32: no count, divisor or frequency divides by zero. */
TEST(zero_counts)
{
	static const u32 lvtt[] = { 0, APIC_LVT_TIMER_PERIODIC, APIC_LVT_TIMER_TSCDEADLINE,
		LAPIC_TIMER_MODE_MASK };
	unsigned int i, shift;

	for (i = 0; i < ARRAY_SIZE(lvtt); i++) {
		setup(lvtt[i] | 0x30);
		for (shift = 0; shift < 8; shift++) {
			struct lapic_timer *t = &b.l.timer;

			lapic_timer_scale(t, shift, 0, 100);
			EXPECT(!lapic_timer_start(t, 0, 100));
			EXPECT_EQ(lapic_timer_current(t, 100), 0);
			EXPECT(!lapic_timer_fired(t, 100));
			EXPECT(!lapic_timer_resume(t, 0, 0xffffffff, true, 100));
			EXPECT_EQ(lapic_timer_current(t, 0), 0);
		}
	}
	EXPECT_EQ(lapic_tsc_to_ns(~0ull, 0), S64_MAX / 4);
	EXPECT_EQ(lapic_tsc_to_ns(0, 0), S64_MAX / 4);
}

TEST(divisor_change_scales_the_rest)
{
	struct lapic_timer *t = &b.l.timer;

	setup(0x30);
	EXPECT(lapic_timer_start(t, 1000, 0));
	EXPECT(xwrite(&b, APIC_TDCR, APIC_TDR_DIV_16) & LAPIC_EFF_TIMER_SCALE);
	EXPECT(lapic_timer_scale(t, 4, 1000, 500));
	EXPECT_EQ(lapic_timer_current(t, 500), 500);
	EXPECT_EQ(t->expiry_ns, 500 + 500 * 16);
	EXPECT_EQ(xwrite(&b, APIC_TDCR, APIC_TDR_DIV_16), 0);
}

TEST(slower_bus)
{
	struct lapic_timer *t = &b.l.timer;

	setup(0x30);
	t->tick_ns = 40;
	EXPECT(lapic_timer_start(t, 1000, 5000));
	EXPECT_EQ(t->expiry_ns, 5000 + 40000);
	EXPECT_EQ(lapic_timer_current(t, 5000 + 40000 - 400), 10);
	EXPECT(lapic_timer_resume(t, 1000, 500, true, 0));
	EXPECT_EQ(t->expiry_ns, 20000);
	EXPECT(lapic_timer_scale(t, 1, 1000, 10000));
	EXPECT_EQ(t->period_ns, 80000);
	EXPECT_EQ(lapic_timer_current(t, 10000), 250);
	/* A reset does not change what the bus is. */
	lapic_reset(&b.l, true, &b.eff);
	EXPECT_EQ(t->tick_ns, 40);
	/* The longest period does not wrap the clock. */
	t->tick_ns = LAPIC_MAX_TICK_NS;
	lapic_timer_scale(t, 7, 0, 0);
	EXPECT(lapic_timer_start(t, ~0u, 1ull << 60));
	EXPECT(t->expiry_ns > 1ull << 60);
	EXPECT(t->expiry_ns < 1ull << 63);
}

TEST(mode_switches)
{
	struct lapic_timer *t = &b.l.timer;

	setup(0x30);
	lapic_timer_start(t, 1000, 0);
	/* One-shot to periodic does not disarm, but limits the period. */
	EXPECT_EQ(xwrite(&b, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | 0x30) & LAPIC_EFF_TIMER_STOP, 0);
	EXPECT_EQ(t->period_ns, LAPIC_MIN_PERIOD_NS);
	EXPECT(!lapic_set_tscdeadline(&b.l, 5));
	EXPECT(xwrite(&b, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | 0x30) & LAPIC_EFF_TIMER_STOP);
	EXPECT_EQ(t->period_ns, 0);
	EXPECT_EQ(xwrite(&b, APIC_TMICT, 77), 0);
	EXPECT_EQ(xread(&b, APIC_TMICT), 0);
	EXPECT(lapic_set_tscdeadline(&b.l, 12345));
	EXPECT_EQ(lapic_get_tscdeadline(&b.l), 12345);
	EXPECT(!lapic_timer_fired(t, 0));
	EXPECT_EQ(lapic_get_tscdeadline(&b.l), 0);
	lapic_set_tscdeadline(&b.l, 12345);
	EXPECT(xwrite(&b, APIC_LVTT, 0x30) & LAPIC_EFF_TIMER_STOP);
	EXPECT_EQ(lapic_get_tscdeadline(&b.l), 0);
	EXPECT_EQ(t->tscdeadline, 0);
}

TEST(tsc_conversion)
{
	EXPECT_EQ(lapic_tsc_to_ns(1000, 1000000), 1000);
	EXPECT_EQ(lapic_tsc_to_ns(3000000, 3000000), 1000000);
	EXPECT_EQ(lapic_tsc_to_ns(2, 3000000), 0);
	EXPECT_EQ(lapic_tsc_to_ns(~0ull, 1), S64_MAX / 4);
	EXPECT(lapic_tsc_to_ns(~0ull, 0xffffffff) <= S64_MAX / 4);
}

TEST(restore_resumes)
{
	u8 state[LAPIC_STATE_SIZE];
	struct lapic_timer *t = &b.l.timer;

	setup(0x30);
	xwrite(&b, APIC_TMICT, 1000);
	lapic_timer_start(t, 1000, 0);
	lapic_get_state(&b.l, state, false, 300);
	EXPECT_EQ(*(u32 *)(state + APIC_TMCCT), 700);
	EXPECT_EQ(lapic_set_state(&b.l, state, false, 10000, &b.eff), 0);
	EXPECT(b.eff.flags & LAPIC_EFF_TIMER_ARM);
	EXPECT_EQ(t->expiry_ns, 10700);
	EXPECT_EQ(t->period_ns, 1000);
	*(u32 *)(state + APIC_TMCCT) = 0xffffffff;
	lapic_set_state(&b.l, state, false, 10000, &b.eff);
	EXPECT_EQ(t->expiry_ns, 11000);
	*(u32 *)(state + APIC_TMCCT) = 0;
	lapic_set_state(&b.l, state, false, 10000, &b.eff);
	EXPECT_EQ(t->expiry_ns, 0);			/* it was delivered */
	EXPECT_EQ(lapic_timer_current(t, 10000), 0);
	*(u32 *)(state + APIC_TMCCT + 4) = 0;		/* a page that QEMU filled */
	lapic_set_state(&b.l, state, false, 10000, &b.eff);
	EXPECT_EQ(t->expiry_ns, 10000);
	*(u32 *)(state + APIC_LVTT) |= APIC_LVT_TIMER_PERIODIC;
	lapic_set_state(&b.l, state, false, 10000, &b.eff);
	EXPECT_EQ(t->expiry_ns, 10000 + LAPIC_MIN_PERIOD_NS);
	EXPECT(lapic_sane(&b.l));
}

/* Due, or nearly, and not delivered: a state that is restored delivers it. */
TEST(an_undelivered_tick_is_saved)
{
	u8 state[LAPIC_STATE_SIZE];
	struct lapic_timer *t = &b.l.timer;
	unsigned int late;

	for (late = 0; late <= 20; late += 10) {
		setup(0x30);
		xwrite(&b, APIC_TDCR, APIC_TDR_DIV_16);
		lapic_timer_scale(t, 4, 0, 0);
		xwrite(&b, APIC_TMICT, 10);
		lapic_timer_start(t, 10, 0);
		lapic_get_state(&b.l, state, false, 150 + late);
		EXPECT_EQ(*(u32 *)(state + APIC_TMCCT), 1);
		lapic_set_state(&b.l, state, false, 10000, &b.eff);
		EXPECT_EQ(t->expiry_ns, 10016);
		/* Once it is delivered, it is not saved any more. */
		EXPECT(!lapic_timer_fired(t, 0));
		lapic_get_state(&b.l, state, false, 10020);
		EXPECT_EQ(*(u32 *)(state + APIC_TMCCT), 0);
	}
}

TEST(restore_keeps_a_tsc_deadline)
{
	u8 state[LAPIC_STATE_SIZE];

	setup(APIC_LVT_TIMER_TSCDEADLINE | 0x30);
	lapic_set_tscdeadline(&b.l, 99);
	lapic_get_state(&b.l, state, false, 0);
	lapic_set_state(&b.l, state, false, 0, &b.eff);
	EXPECT_EQ(lapic_get_tscdeadline(&b.l), 99);
}
