// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the local APIC model, compiled for the kernel. One of them needs two CPUs: while
 * one CPU takes interrupts, the other sets IRR bits and hints. The full tests are in
 * selftests/host.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "lapic.c"
#include "lapic_timer.c"
#include "lapic_dest.c"
#include "lapic_state.c"

static struct lapic *make_lapic(struct kunit *test, u32 id)
{
	const struct lapic_config cfg = { .id = id, .bsp = !id };
	struct lapic *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	u8 *regs = kunit_kzalloc(test, LAPIC_PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, l);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, regs);
	lapic_init(l, regs, &cfg);
	return l;
}

static void enable(struct lapic *l)
{
	struct lapic_effect eff = {};
	u32 spiv = 0x1ff;

	lapic_mmio_write(l, APIC_SPIV, 4, &spiv, &eff);
}

static void lapic_test_priority(struct kunit *test)
{
	struct lapic *l = make_lapic(test, 0);
	struct lapic_effect eff = {};

	enable(l);
	KUNIT_EXPECT_EQ(test, lapic_has_interrupt(l), -1);
	lapic_set_irr(l, 0x31);
	lapic_set_irr(l, 0xec);
	KUNIT_EXPECT_EQ(test, lapic_has_interrupt(l), 0xec);
	lapic_ack(l, 0xec);
	KUNIT_EXPECT_EQ(test, lapic_has_interrupt(l), -1);
	KUNIT_EXPECT_EQ(test, lapic_ppr(l), 0xe0);
	lapic_eoi(l, &eff);
	KUNIT_EXPECT_EQ(test, eff.eoi_vector, 0xec);
	KUNIT_EXPECT_TRUE(test, eff.flags & LAPIC_EFF_RECHECK);
	KUNIT_EXPECT_EQ(test, lapic_has_interrupt(l), 0x31);
}

static void lapic_test_x2apic(struct kunit *test)
{
	struct lapic *l = make_lapic(test, 0x123);
	struct lapic_effect eff = {};
	u64 val;

	KUNIT_EXPECT_EQ(test, (int)lapic_msr_read(l, 0x802, &val, 0), (int)LAPIC_GP);
	lapic_set_base(l, l->base | X2APIC_ENABLE, &eff);
	KUNIT_EXPECT_EQ(test, (int)lapic_msr_read(l, 0x802, &val, 0), (int)LAPIC_OK);
	KUNIT_EXPECT_EQ(test, val, 0x123ull);
	KUNIT_EXPECT_FALSE(test, lapic_base_legal(l->base, l->base & ~X2APIC_ENABLE, 0, false));
}

static void lapic_test_timer(struct kunit *test)
{
	struct lapic_timer t = { .mode = APIC_LVT_TIMER_PERIODIC, .tick_ns = 1 };

	KUNIT_EXPECT_FALSE(test, lapic_timer_start(&t, 0, 0));
	KUNIT_EXPECT_TRUE(test, lapic_timer_start(&t, 1, 0));
	KUNIT_EXPECT_EQ(test, t.period_ns, (u64)LAPIC_MIN_PERIOD_NS);
	KUNIT_EXPECT_TRUE(test, lapic_timer_fired(&t, 3600ull * NSEC_PER_SEC));
	KUNIT_EXPECT_GE(test, t.expiry_ns, 3600ull * NSEC_PER_SEC + LAPIC_MIN_PERIOD_NS / 4);
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ns(~0ull, 0), (u64)S64_MAX / 4);
}

static void lapic_test_map(struct kunit *test)
{
	struct lapic *a = make_lapic(test, 0), *b = make_lapic(test, 300);
	const struct lapic_irq irq = { .dest_id = 300, .dest_mode = APIC_DEST_PHYSICAL };
	struct lapic_dests dests;
	struct lapic_map *map;

	map = kunit_kzalloc(test, lapic_map_size(300, 2), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map);
	lapic_map_init(map, 300, false);
	lapic_map_add(map, a);
	lapic_map_add(map, b);
	lapic_map_find(map, a, &irq, &dests);
	KUNIT_EXPECT_EQ(test, dests.mask, 1u);
	KUNIT_EXPECT_PTR_EQ(test, (struct lapic *)dests.slot[0], b);
}

#define RACE_POSTS 200000

struct race {
	struct lapic *l;
	u32 posted;	/* number of posts whose IRR bit was clear before */
	bool done;
};

static int race_poster(void *data)
{
	struct race *race = data;
	u32 i, vector = 16;

	for (i = 0; i < RACE_POSTS; i++) {
		vector = 16 + (vector * 7 + i) % 240;
		race->posted += lapic_set_irr(race->l, vector);
		if (!(i & 1023))
			cond_resched();
	}
	/* Set race->done after the last post; pairs with the acquire in lapic_test_irr_race(). */
	smp_store_release(&race->done, true);
	return 0;
}

/*
 * Another thread sets IRR bits, while this thread takes the interrupts. A wrong IRR hint would hide
 * an interrupt: test that each newly set IRR bit is taken exactly once.
 */
static void lapic_test_irr_race(struct kunit *test)
{
	struct race race = { .l = make_lapic(test, 0) };
	struct lapic_effect eff = {};
	struct task_struct *task;
	u32 taken = 0;
	bool done;
	int vector;

	enable(race.l);
	task = kthread_run(race_poster, &race, "lapic_race");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	do {
		/* Read before the last look at IRR; pairs with the release in race_poster(). */
		done = smp_load_acquire(&race.done);
		while ((vector = lapic_has_interrupt(race.l)) >= 0) {
			lapic_ack(race.l, vector);
			lapic_eoi(race.l, &eff);
			taken++;
		}
		cond_resched();
	} while (!done);
	KUNIT_EXPECT_EQ(test, taken, race.posted);
	KUNIT_EXPECT_EQ(test, lapic_scan(race.l, APIC_IRR), -1);
}

static struct kunit_case lapic_cases[] = {
	KUNIT_CASE(lapic_test_priority),
	KUNIT_CASE(lapic_test_x2apic),
	KUNIT_CASE(lapic_test_timer),
	KUNIT_CASE(lapic_test_map),
	KUNIT_CASE(lapic_test_irr_race),
	{}
};

struct kunit_suite okvm_lapic_suite = {
	.name = "okvm_lapic",
	.test_cases = lapic_cases,
};
