// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: reset, IA32_APIC_BASE, and the state that userspace saves and restores.
 *
 * A state to restore is treated as untrusted: each register keeps only the bits that the guest
 * could have written, and the hints are recomputed.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "irq/model/lapic.h"

/* The reserved bits of IA32_APIC_BASE: 7:0 and 9. */
#define BASE_RESERVED	0x2ffull

void lapic_set_version(struct lapic *l, bool cmci, bool directed_eoi)
{
	if (cmci && l->nr_lvt < LAPIC_NR_LVT)
		lapic_put(l, APIC_LVTCMCI, APIC_LVT_MASKED);
	l->nr_lvt = cmci ? LAPIC_NR_LVT : LAPIC_LVT_CMCI;
	l->directed_eoi = directed_eoi;
	lapic_put(l, APIC_LVR, LAPIC_VERSION | (l->nr_lvt - 1) << 16 |
		  (directed_eoi ? APIC_LVR_DIRECTED_EOI : 0));
}

void lapic_init(struct lapic *l, u8 *regs, const struct lapic_config *cfg)
{
	struct lapic_effect eff = {};

	memset(l, 0, sizeof(*l));
	l->regs = regs;
	l->id = cfg->id;
	l->bsp = cfg->bsp;
	l->lint0_extint = cfg->lint0_extint;
	l->timer.tick_ns = cfg->tick_ns ? cfg->tick_ns : 1;
	lapic_set_version(l, false, false);
	lapic_reset(l, false, &eff);
}

/* Set the ID register, and in x2APIC mode the LDR, in the format of the mode. */
static void put_id(struct lapic *l)
{
	if (!lapic_x2apic(l)) {
		lapic_put(l, APIC_ID, l->id << 24);
		return;
	}
	lapic_put(l, APIC_ID, l->id);
	lapic_put(l, APIC_LDR, lapic_x2apic_ldr(l->id));
}

static void reset_base(struct lapic *l, struct lapic_effect *eff)
{
	u64 base = LAPIC_BASE_DEFAULT | MSR_IA32_APICBASE_ENABLE;

	lapic_set_base(l, base | (l->bsp ? MSR_IA32_APICBASE_BSP : 0), eff);
	put_id(l);
}

static void reset_lvts(struct lapic *l)
{
	u32 i;

	for (i = 0; i < l->nr_lvt; i++)
		lapic_put(l, lapic_lvt_reg(i), APIC_LVT_MASKED);
	if (l->bsp && l->lint0_extint)
		lapic_put(l, APIC_LVT0, APIC_DM_EXTINT);
}

/*
 * Clear IRR, ISR, TMR and the hints. Clear each hint before its IRR word: otherwise a message that
 * arrives in between could set an IRR bit that stays set without its hint.
 */
static void reset_vectors(struct lapic *l)
{
	u32 w;

	for (w = 0; w < APIC_ISR_NR; w++) {
		WRITE_ONCE(l->irr_hint.word[w], 0);
		lapic_put(l, APIC_IRR + w * 0x10, 0);
		lapic_put(l, APIC_ISR + w * 0x10, 0);
		lapic_put(l, APIC_TMR + w * 0x10, 0);
	}
	l->isr_words = 0;
}

void lapic_reset(struct lapic *l, bool init, struct lapic_effect *eff)
{
	if (!init)
		reset_base(l, eff);
	reset_lvts(l);
	reset_vectors(l);
	lapic_put(l, APIC_DFR, APIC_DFR_FLAT);
	if (!lapic_x2apic(l))
		lapic_put(l, APIC_LDR, 0);
	lapic_put(l, APIC_SPIV, 0xff);
	l->sw_enabled = false;
	lapic_put(l, APIC_TASKPRI, 0);
	lapic_put(l, APIC_ESR, 0);
	l->esr_pending = 0;
	lapic_put_icr64(l, 0);
	lapic_put(l, APIC_ICR2, 0);
	lapic_put(l, APIC_TDCR, 0);
	lapic_put(l, APIC_TMICT, 0);
	l->timer = (struct lapic_timer){
		.tick_ns = l->timer.tick_ns, .shift = lapic_timer_shift(0),
	};
	eff->flags |= LAPIC_EFF_MAP | LAPIC_EFF_TIMER_STOP | LAPIC_EFF_LVT0;
}

/* ---- IA32_APIC_BASE ---- */

bool lapic_base_legal(u64 old, u64 val, u64 reserved, bool host)
{
	enum lapic_mode from = lapic_base_mode(old), to = lapic_base_mode(val);

	if (val & (reserved | BASE_RESERVED) || to == LAPIC_INVALID)
		return false;
	if (host)
		return true;
	return !(from == LAPIC_X2APIC && to == LAPIC_XAPIC) &&
	       !(from == LAPIC_DISABLED && to == LAPIC_X2APIC);
}

void lapic_set_base(struct lapic *l, u64 val, struct lapic_effect *eff)
{
	u64 diff = l->base ^ val;

	l->base = val;
	l->mode = lapic_base_mode(val);
	if (diff & LAPIC_BASE_ADDR)
		eff->flags |= LAPIC_EFF_BASE;
	if (!(diff & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE)))
		return;
	eff->flags |= LAPIC_EFF_MODE | LAPIC_EFF_MAP;
	/* Write the ID register again, because its format depends on the mode. */
	if (lapic_hw_enabled(l))
		put_id(l);
}

/* ---- save and restore ---- */

static u32 state_get(const u8 *state, u32 reg)
{
	u32 val;

	memcpy(&val, state + reg, sizeof(val));
	return val;
}

static void state_put(u8 *state, u32 reg, u32 val)
{
	memcpy(state + reg, &val, sizeof(val));
}

/*
 * If this reserved word behind the current count is 1, lapic_get_state() has made the state, and
 * the count is the timer's. Otherwise the count may be wrong: QEMU fills in a state itself, and
 * leaves the count at 0 even if the timer runs.
 */
#define STATE_COUNT_EXACT	(APIC_TMCCT + 4)

void lapic_get_state(const struct lapic *l, u8 *out, bool ids32, u64 now_ns)
{
	memcpy(out, l->regs, LAPIC_STATE_SIZE);
	state_put(out, APIC_PROCPRI, lapic_ppr(l));
	state_put(out, APIC_TMCCT, lapic_timer_saved(&l->timer, now_ns));
	state_put(out, STATE_COUNT_EXACT, 1);
	if (!lapic_x2apic(l))
		return;
	if (!ids32)
		state_put(out, APIC_ID, l->id << 24);
	/* The x2APIC page has a 64-bit ICR, but userspace's format has two 32-bit registers. */
	state_put(out, APIC_ICR2, lapic_get_icr64(l) >> 32);
	state_put(out, APIC_ICR + 4, 0);
}

static void set_ids(struct lapic *l, const u8 *in, struct lapic_effect *eff)
{
	if (lapic_x2apic(l)) {
		put_id(l);
		lapic_put_icr64(l, ((u64)state_get(in, APIC_ICR2) << 32 |
				    state_get(in, APIC_ICR)) & ~(u64)APIC_ICR_BUSY);
		lapic_put(l, APIC_ICR2, 0);
		return;
	}
	lapic_put(l, APIC_ID, state_get(in, APIC_ID) & 0xff000000);
	lapic_put(l, APIC_LDR, state_get(in, APIC_LDR) & APIC_LDR_MASK);
	lapic_put_icr64(l, state_get(in, APIC_ICR) & ~APIC_ICR_BUSY);
	lapic_put(l, APIC_ICR2, state_get(in, APIC_ICR2) & 0xff000000);
	if (lapic_get(l, APIC_ID) >> 24 != (u8)l->id)
		eff->flags |= LAPIC_EFF_ID;
}

static void set_vectors(struct lapic *l, const u8 *in)
{
	u32 reg;

	for (reg = APIC_ISR; reg < APIC_IRR + APIC_ISR_NR * 0x10; reg += 0x10)
		lapic_put(l, reg, state_get(in, reg));
	l->irr_hint.all = 0;
	lapic_recount(l);
}

static void set_timer(struct lapic *l, const u8 *in, u64 now_ns, struct lapic_effect *eff)
{
	struct lapic_timer *t = &l->timer;

	eff->flags |= LAPIC_EFF_TIMER_STOP | LAPIC_EFF_TIMER_ARM;
	lapic_timer_mode(l, eff);
	lapic_put(l, APIC_TMICT, state_get(in, APIC_TMICT));
	lapic_put(l, APIC_TDCR, state_get(in, APIC_TDCR) & 0xb);
	t->shift = lapic_timer_shift(state_get(in, APIC_TDCR));
	lapic_timer_resume(t, state_get(in, APIC_TMICT), state_get(in, APIC_TMCCT),
			   state_get(in, STATE_COUNT_EXACT) == 1, now_ns);
}

int lapic_set_state(struct lapic *l, const u8 *in, bool ids32, u64 now_ns,
		    struct lapic_effect *eff)
{
	u32 i;

	if (lapic_x2apic(l) && ids32 && state_get(in, APIC_ID) != l->id)
		return -EINVAL;
	set_ids(l, in, eff);
	set_vectors(l, in);
	lapic_put(l, APIC_TASKPRI, state_get(in, APIC_TASKPRI) & 0xff);
	lapic_put(l, APIC_DFR, state_get(in, APIC_DFR) | 0x0fffffff);
	lapic_put(l, APIC_SPIV, state_get(in, APIC_SPIV) & lapic_spiv_mask(l));
	l->sw_enabled = lapic_get(l, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
	lapic_put(l, APIC_ESR, state_get(in, APIC_ESR) & 0xff);
	l->esr_pending = 0;
	/*
	 * Do not mask the LVT entries although the software-enable bit may be clear: userspace sets
	 * LINT0 to virtual wire mode in an APIC that is software-disabled.
	 */
	for (i = 0; i < l->nr_lvt; i++)
		lapic_put(l, lapic_lvt_reg(i),
			  state_get(in, lapic_lvt_reg(i)) & lapic_lvt_mask(l, i));
	set_timer(l, in, now_ns, eff);
	eff->flags |= LAPIC_EFF_MAP | LAPIC_EFF_LVT0 | LAPIC_EFF_RECHECK;
	if (l->sw_enabled)
		eff->flags |= LAPIC_EFF_ENABLED;
	return 0;
}
