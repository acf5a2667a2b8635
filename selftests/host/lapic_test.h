/* SPDX-License-Identifier: GPL-2.0-only */
/* A local APIC with its page, for the tests of irq/lapic*.c. */
#ifndef HOST_LAPIC_TEST_H
#define HOST_LAPIC_TEST_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include "irq/model/lapic.h"
#include "test.h"

struct bench {
	struct lapic l;
	struct lapic_effect eff;
	u8 regs[LAPIC_PAGE_SIZE] __aligned(LAPIC_PAGE_SIZE);
};

static inline void bench_init(struct bench *b, u32 id)
{
	const struct lapic_config cfg = { .id = id, .bsp = id == 0, .lint0_extint = true };

	memset(b, 0, sizeof(*b));
	lapic_init(&b->l, b->regs, &cfg);
	b->l.tsc_deadline = true;
}

static inline u32 xread(struct bench *b, u32 reg)
{
	u32 val = 0;

	b->eff.flags = 0;
	lapic_mmio_read(&b->l, reg, 4, &val, 0, &b->eff);
	return val;
}

static inline u32 xwrite(struct bench *b, u32 reg, u32 val)
{
	b->eff.flags = 0;
	lapic_mmio_write(&b->l, reg, 4, &val, &b->eff);
	return b->eff.flags;
}

static inline enum lapic_result x2write(struct bench *b, u32 reg, u64 val)
{
	b->eff.flags = 0;
	return lapic_msr_write(&b->l, APIC_BASE_MSR + (reg >> 4), val, &b->eff);
}

static inline void bench_x2apic(struct bench *b)
{
	b->eff.flags = 0;
	lapic_set_base(&b->l, b->l.base | X2APIC_ENABLE, &b->eff);
}

static inline void bench_enable(struct bench *b)
{
	if (lapic_x2apic(&b->l))
		x2write(b, APIC_SPIV, 0x1ff);
	else
		xwrite(b, APIC_SPIV, 0x1ff);
}

/* What is true of every APIC at any time. */
static inline bool lapic_sane(const struct lapic *l)
{
	u8 words = 0;
	int w;

	for (w = 0; w < 8; w++) {
		if (lapic_get(l, APIC_ISR + w * 16))
			words |= 1 << w;
		if (lapic_get(l, APIC_IRR + w * 16) && !l->irr_hint.word[w])
			return false;
	}
	return words == l->isr_words &&
	       l->mode == lapic_base_mode(l->base) && l->mode != LAPIC_INVALID &&
	       l->sw_enabled == !!(lapic_get(l, APIC_SPIV) & APIC_SPIV_APIC_ENABLED) &&
	       l->timer.shift < 8 &&
	       (l->timer.mode != APIC_LVT_TIMER_PERIODIC || !l->timer.period_ns ||
		l->timer.period_ns >= LAPIC_MIN_PERIOD_NS) &&
	       (!lapic_x2apic(l) || lapic_get(l, APIC_ID) == l->id) &&
	       lapic_highest_irr(l) == lapic_scan(l, APIC_IRR) &&
	       lapic_highest_isr(l) == lapic_scan(l, APIC_ISR);
}

#endif
