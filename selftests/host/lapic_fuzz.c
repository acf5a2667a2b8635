// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two local APICs under a random program of guest accesses, messages, restores and timer ticks.
 * After every step the model's invariants hold and the map answers as the definition does.
 *
 * A step is 6 bytes: operation, APIC, and a 32-bit operand whose low half also serves as offset.
 */
#include <stdlib.h>
#define main unused_main
#include "lapic_test.h"
#undef main

static struct bench apic[2];
static u64 now;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void deliver(const struct lapic *src, const struct lapic_irq *irq)
{
	size_t size = lapic_map_size(apic[1].l.id, 2);
	struct lapic_map *map = calloc(1, size);
	struct lapic_dests out;
	u32 got = 0, want = 0, i;

	lapic_map_init(map, apic[1].l.id, now & 1);
	lapic_map_add(map, &apic[0].l);
	lapic_map_add(map, &apic[1].l);
	lapic_map_find(map, src, irq, &out);
	for (i = 0; i < (out.search ? out.nr : 16); i++)
		if (out.search ? lapic_match_dest(out.slot[i], src, irq, map->no_quirk) :
				 out.mask & BIT(i))
			got |= out.slot[i] == &apic[0].l ? 1 : 2;
	for (i = 0; i < 2; i++) {
		struct lapic *l = &apic[i].l;

		if (!lapic_hw_enabled(l) || !lapic_match_dest(l, src, irq, map->no_quirk))
			continue;
		want |= BIT(i);
		if (lapic_accept(l, irq) == LAPIC_ACCEPT_IRQ)
			lapic_set_irr(l, irq->vector);
	}
	check(got == want);
	free(map);
}

static void apply(struct bench *b)
{
	struct lapic_timer *t = &b->l.timer;
	struct lapic_irq irq;

	if (b->eff.flags & LAPIC_EFF_TIMER_SCALE)
		lapic_timer_scale(t, lapic_timer_shift(lapic_get(&b->l, APIC_TDCR)),
				  lapic_get(&b->l, APIC_TMICT), now);
	if (b->eff.flags & LAPIC_EFF_TIMER_START)
		lapic_timer_start(t, lapic_get(&b->l, APIC_TMICT), now);
	if (b->eff.flags & LAPIC_EFF_IPI) {
		lapic_ipi(&b->l, &b->eff, &irq);
		check(irq.vector >= 16 ||
		      (irq.delivery_mode && irq.delivery_mode != APIC_DM_LOWEST));
		deliver(&b->l, &irq);
	}
}

static void restore(struct bench *b, u32 seed)
{
	u8 state[LAPIC_STATE_SIZE];
	u32 i;

	for (i = 0; i < sizeof(state); i++)
		state[i] = (seed = seed * 1664525 + 1013904223) >> 24;
	lapic_set_state(&b->l, state, seed & 1, now, &b->eff);
	lapic_get_state(&b->l, state, seed & 2, now);
}

static struct lapic_irq message(u32 arg)
{
	u32 dest = arg >> 8 & 0x1ff;

	/* A cluster of x2APIC IDs and a mask, or an ID. */
	if (arg & BIT(30))
		dest = (dest & 0x1f) << 16 | (arg >> 16 & 0xff) << 8 | (arg & 0xff);
	return (struct lapic_irq){
		.dest_id = dest, .vector = arg,
		.delivery_mode = arg >> 17 & 0x700, .dest_mode = arg >> 10 & 0x800,
		.level = arg >> 28 & 1, .trig_mode = arg >> 29 & 1,
	};
}

static void step(u8 op, struct bench *b, u32 arg)
{
	struct lapic *l = &b->l;
	u64 val = arg, base;
	struct lapic_irq irq;
	int vec;

	switch (op % 12) {
	case 0:
		if (l->mode == LAPIC_XAPIC)
			lapic_mmio_write(l, arg & 0xff0, 4, &arg, &b->eff);
		break;
	case 1:
		if (l->mode == LAPIC_XAPIC)
			lapic_mmio_read(l, arg & 0xfff, 1 + (arg >> 29), &val, now, &b->eff);
		break;
	case 2:
		lapic_msr_write(l, 0x800 + (arg & 0xff), arg >> 8, &b->eff);
		break;
	case 3:
		lapic_msr_read(l, 0x800 + (arg & 0xff), &val, now);
		break;
	case 4:
		base = (arg & 0xfffff000) | (arg & 3) << 10 | (l->base & 0x100);
		if (lapic_base_legal(l->base, base, 0, arg & 4))
			lapic_set_base(l, base, &b->eff);
		break;
	case 5:
		restore(b, arg);
		break;
	case 6:
		irq = message(arg);
		deliver(NULL, &irq);
		break;
	case 7:
		vec = lapic_has_interrupt(l);
		if (vec >= 0) {
			check(vec >= 16 && (vec & 0xf0) > (lapic_ppr(l) & 0xf0));
			lapic_ack(l, vec);
			check((lapic_ppr(l) & 0xf0) >= (vec & 0xf0));
		}
		break;
	case 8:
		now += arg;
		if (l->timer.expiry_ns && l->timer.expiry_ns <= now &&
		    lapic_timer_fired(&l->timer, now))
			check(l->timer.expiry_ns >= now + LAPIC_MIN_PERIOD_NS / 4);
		break;
	case 9:
		lapic_set_tscdeadline(l, val << 20);
		lapic_trap_write(l, arg & 0xff0, &b->eff);
		break;
	case 10:
		lapic_set_version(l, arg & 1, arg & 2);
		l->tsc_deadline = arg & 4;
		lapic_set_tpr(l, arg >> 8, &b->eff);
		break;
	case 11:
		lapic_reset(l, arg & 1, &b->eff);
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	now = 1;
	bench_init(&apic[0], 0);
	bench_init(&apic[1], size & 1 ? 257 : 1);
	for (; size >= 6; data += 6, size -= 6) {
		struct bench *b = &apic[data[1] & 1];
		u32 arg;

		memcpy(&arg, data + 2, sizeof(arg));
		b->eff.flags = 0;
		step(data[0], b, arg);
		apply(b);
		check(lapic_sane(&apic[0].l) && lapic_sane(&apic[1].l));
	}
	return 0;
}
