// SPDX-License-Identifier: GPL-2.0-only
/*
 * The register model of the local APIC, with interrupt priorities and messages.
 *
 * In contrast to upstream KVM, this file models the error status register with its write latch,
 * refuses messages with illegal vectors, and answers writes of reserved x2APIC bits with #GP.
 */
#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "irq/model/lapic.h"

static_assert(sizeof_field(struct lapic, irr_hint) == 8);
static_assert(APIC_ISR_NR == 8);

/* Bits of ESR: SDM, "Error Handling". */
enum lapic_esr {
	ESR_SEND_ILLEGAL	= 5,
	ESR_RECV_ILLEGAL	= 6,
	ESR_ILLEGAL_REG		= 7,
};

static_assert(BIT(ESR_SEND_ILLEGAL) == APIC_ESR_SENDILL);
static_assert(BIT(ESR_RECV_ILLEGAL) == APIC_ESR_RECVILL);
static_assert(BIT(ESR_ILLEGAL_REG) == APIC_ESR_ILLREGA);

enum lapic_access {
	RD	= BIT(0),	/* xAPIC read */
	WR	= BIT(1),	/* xAPIC write */
	XRD	= BIT(2),	/* RDMSR in x2APIC mode */
	XWR	= BIT(3),	/* WRMSR in x2APIC mode */
};

#define RO	(RD | XRD)
#define RW	(RD | WR | XRD | XWR)

/*
 * Accesses that each register supports: SDM, "Local APIC Register Address Map" and "Local APIC
 * Register Address Map Supported by x2APIC". A write of a read-only xAPIC register is ignored, so
 * WR is set only where a write has an effect.
 */
static const u8 lapic_access[64] = {
	[APIC_ID >> 4]		= RD | WR | XRD,
	[APIC_LVR >> 4]		= RO,
	[APIC_TASKPRI >> 4]	= RW,
	[APIC_ARBPRI >> 4]	= RD,
	[APIC_PROCPRI >> 4]	= RO,
	[APIC_EOI >> 4]		= WR | XWR,
	[APIC_RRR >> 4]		= RD,
	[APIC_LDR >> 4]		= RD | WR | XRD,
	[APIC_DFR >> 4]		= RD | WR,
	[APIC_SPIV >> 4]	= RW,
	[APIC_ISR >> 4 ... (APIC_ISR >> 4) + APIC_ISR_NR - 1] = RO,
	[APIC_TMR >> 4 ... (APIC_TMR >> 4) + APIC_ISR_NR - 1] = RO,
	[APIC_IRR >> 4 ... (APIC_IRR >> 4) + APIC_ISR_NR - 1] = RO,
	[APIC_ESR >> 4]		= RW,
	[APIC_LVTCMCI >> 4]	= RW,
	[APIC_ICR >> 4]		= RW,
	[APIC_ICR2 >> 4]	= RD | WR,
	[APIC_LVTT >> 4]	= RW,
	[APIC_LVTTHMR >> 4]	= RW,
	[APIC_LVTPC >> 4]	= RW,
	[APIC_LVT0 >> 4]	= RW,
	[APIC_LVT1 >> 4]	= RW,
	[APIC_LVTERR >> 4]	= RW,
	[APIC_TMICT >> 4]	= RW,
	[APIC_TMCCT >> 4]	= RO,
	[APIC_TDCR >> 4]	= RW,
	[APIC_SELF_IPI >> 4]	= XWR,
};

#define LVT_BITS	(APIC_LVT_MASKED | APIC_SEND_PENDING | APIC_VECTOR_MASK)
#define LINT_BITS	(LVT_BITS | APIC_MODE_MASK | APIC_INPUT_POLARITY |	\
			 APIC_LVT_REMOTE_IRR | APIC_LVT_LEVEL_TRIGGER)
#define TDCR_BITS	0xbu
/*
 * Reserved bits of ICR: SDM, "Interrupt Command Register (ICR) in x2APIC Mode". The delivery-status
 * bit is not among them: a write may set it, and the bit is then ignored.
 */
#define X2_ICR_RESERVED	(GENMASK_ULL(31, 20) | GENMASK_ULL(17, 16) | BIT_ULL(13))

static const u32 lvt_bits[LAPIC_NR_LVT] = {
	[LAPIC_LVT_TIMER]	= LVT_BITS,	/* plus mode bits that lapic_lvt_mask() adds */
	[LAPIC_LVT_THERMAL]	= LVT_BITS | APIC_MODE_MASK,
	[LAPIC_LVT_PERF]	= LVT_BITS | APIC_MODE_MASK,
	[LAPIC_LVT_LINT0]	= LINT_BITS,
	[LAPIC_LVT_LINT1]	= LINT_BITS,
	[LAPIC_LVT_ERROR]	= LVT_BITS,
	[LAPIC_LVT_CMCI]	= LVT_BITS | APIC_MODE_MASK,
};

u32 lapic_lvt_mask(const struct lapic *l, enum lapic_lvt lvt)
{
	u32 bits = lvt_bits[lvt];

	if (lvt != LAPIC_LVT_TIMER)
		return bits;
	return bits | APIC_LVT_TIMER_PERIODIC | (l->tsc_deadline ? APIC_LVT_TIMER_TSCDEADLINE : 0);
}

u32 lapic_spiv_mask(const struct lapic *l)
{
	return APIC_VECTOR_MASK | APIC_SPIV_APIC_ENABLED | APIC_SPIV_FOCUS_DISABLED |
	       (l->directed_eoi ? APIC_SPIV_DIRECTED_EOI : 0);
}

/* Return the index of the LVT entry in @reg; -1 if @reg is no LVT register that this APIC has. */
static int lvt_index(const struct lapic *l, u32 reg)
{
	if (reg == APIC_LVTCMCI)
		return l->nr_lvt > LAPIC_LVT_CMCI ? LAPIC_LVT_CMCI : -1;
	if (reg < APIC_LVTT || reg > APIC_LVTERR)
		return -1;
	return (reg - APIC_LVTT) >> 4;
}

static u8 reg_access(const struct lapic *l, u32 reg)
{
	if (reg == APIC_LVTCMCI && l->nr_lvt <= LAPIC_LVT_CMCI)
		return 0;
	return lapic_access[(reg >> 4) & 63];
}

/*
 * Record an error that an access by the APIC's own vCPU causes: an illegal register, or an illegal
 * vector in ICR. Deliver the error LVT entry unless it is masked. (lapic_accept() records the error
 * of an illegal vector in a received message itself.)
 */
static void lapic_error(struct lapic *l, enum lapic_esr bit, struct lapic_effect *eff)
{
	set_bit(bit, &l->esr_pending);
	if (!(lapic_get(l, APIC_LVTERR) & APIC_LVT_MASKED))
		eff->flags |= LAPIC_EFF_ERROR;
}

/* ---- priority ---- */

/* Find the highest vector in four words of a register, beginning with word @first. */
static int scan_half(const struct lapic *l, u32 reg, int first)
{
	int w;

	for (w = first + 3; w >= first; w--) {
		u32 word = lapic_get(l, reg + w * 0x10);

		if (word)
			return w * 32 + fls(word) - 1;
	}
	return -1;
}

static bool half_empty(const struct lapic *l, u32 reg)
{
	return !(lapic_get(l, reg) | lapic_get(l, reg + 0x10) | lapic_get(l, reg + 0x20) |
		 lapic_get(l, reg + 0x30));
}

/*
 * Find the highest vector in a register. Usually all words are 0, so half_empty() tests four words
 * at once. If bits are cleared after this test, scan_half() may find none and return -1.
 */
int lapic_scan(const struct lapic *l, u32 reg)
{
	int vector = -1;

	if (!half_empty(l, reg + 0x40))
		vector = scan_half(l, reg, 4);
	if (vector < 0 && !half_empty(l, reg))
		vector = scan_half(l, reg, 0);
	return vector;
}

void lapic_recount(struct lapic *l)
{
	u8 words = 0;
	u32 w;

	for (w = 0; w < APIC_ISR_NR; w++) {
		if (lapic_get(l, APIC_ISR + w * 0x10))
			words |= BIT(w);
		if (lapic_get(l, APIC_IRR + w * 0x10))
			WRITE_ONCE(l->irr_hint.word[w], 1);
	}
	l->isr_words = words;
}

void lapic_set_hw_irr(struct lapic *l, bool on)
{
	l->hw_irr = on;
	lapic_recount(l);
}

/*
 * Recompute lapic.irr_hint for words @from to 7. Called if such a hint is set, although the highest
 * vector in IRR is in a lower word. The hint is then usually stale, that is, its word is 0.
 */
static noinline void irr_drop_stale(struct lapic *l, u32 from)
{
	u32 w;

	for (w = from; w < APIC_ISR_NR; w++) {
		WRITE_ONCE(l->irr_hint.word[w], 0);
		/* Clear the hint before reading IRR: lapic_set_irr() sets IRR before the hint. */
		smp_mb();
		if (lapic_get(l, APIC_IRR + w * 0x10))
			WRITE_ONCE(l->irr_hint.word[w], 1);
	}
}

static void irr_clear(struct lapic *l, u8 vector)
{
	u32 w = vector >> 5;

	if (w < 7 && unlikely(READ_ONCE(l->irr_hint.all) >> (w * 8 + 8)))
		irr_drop_stale(l, w + 1);
	/*
	 * First clear the hint, then clear the IRR bit, then read the IRR word. If a message comes
	 * in between, it sets its IRR bit and then the hint again, so no IRR bit is left without a
	 * hint.
	 */
	WRITE_ONCE(l->irr_hint.word[w], 0);
	clear_bit(vector & 31, lapic_vec_word(l, APIC_IRR, vector));
	smp_mb__after_atomic();	/* order of clearing the hint and reading IRR: see above */
	if (lapic_get(l, APIC_IRR + w * 0x10))
		WRITE_ONCE(l->irr_hint.word[w], 1);
}

void lapic_ack(struct lapic *l, u8 vector)
{
	u32 reg = APIC_ISR + (vector >> 5) * 0x10;

	irr_clear(l, vector);
	lapic_put(l, reg, lapic_get(l, reg) | BIT(vector & 31));
	l->isr_words |= BIT(vector >> 5);
}

void lapic_eoi_done(const struct lapic *l, u8 vector, struct lapic_effect *eff)
{
	eff->flags |= LAPIC_EFF_EOI;
	eff->eoi_vector = vector;
	/*
	 * If the guest suppresses EOI broadcasts (SPIV bit 12), it has to write to an EOI register
	 * of the IOAPIC instead. The IOAPICs of VMMs have no such register: report the EOI all the
	 * same, as upstream KVM does.
	 */
	eff->eoi_level = lapic_test_vec(l, APIC_TMR, vector);
}

bool lapic_complete(struct lapic *l, u8 vector)
{
	u32 reg = APIC_ISR + (vector >> 5) * 0x10;
	u32 word = lapic_get(l, reg) & ~(u32)BIT(vector & 31);

	lapic_put(l, reg, word);
	if (!word)
		l->isr_words &= ~BIT(vector >> 5);
	return lapic_has_interrupt(l) >= 0;
}

void lapic_eoi(struct lapic *l, struct lapic_effect *eff)
{
	int vector = lapic_highest_isr(l);

	if (vector < 0)
		return;
	lapic_eoi_done(l, vector, eff);
	if (lapic_complete(l, vector))
		eff->flags |= LAPIC_EFF_RECHECK;
}

void lapic_set_tpr(struct lapic *l, u8 tpr, struct lapic_effect *eff)
{
	u32 old = lapic_get(l, APIC_TASKPRI);

	lapic_put(l, APIC_TASKPRI, tpr);
	/*
	 * Recheck even if the TPR has become higher. This makes no interrupt deliverable, but the
	 * backend may have to change its TPR threshold.
	 */
	if (old != tpr && READ_ONCE(l->irr_hint.all))
		eff->flags |= LAPIC_EFF_RECHECK;
}

int lapic_pv_eoi_vector(const struct lapic *l, const unsigned long *handled)
{
	int isr;

	if (l->hw_irr || lapic_highest_irr(l) >= 0)
		return -1;
	isr = lapic_highest_isr(l);
	return isr >= 0 && !test_bit(isr, handled) ? isr : -1;
}

/* ---- register writes ---- */

void lapic_timer_mode(struct lapic *l, struct lapic_effect *eff)
{
	u32 mode = lapic_get(l, APIC_LVTT) & LAPIC_TIMER_MODE_MASK;
	struct lapic_timer *t = &l->timer;
	bool was = t->mode == APIC_LVT_TIMER_TSCDEADLINE;

	if (t->mode == mode)
		return;
	t->mode = mode;
	/* SDM, "TSC-Deadline Mode": a switch to or from this mode disarms the timer. */
	if (was || mode == APIC_LVT_TIMER_TSCDEADLINE) {
		lapic_put(l, APIC_TMICT, 0);
		t->period_ns = 0;
		t->expiry_ns = 0;
		t->tscdeadline = 0;
		eff->flags |= LAPIC_EFF_TIMER_STOP;
	}
	lapic_timer_floor(t);
}

static void write_lvt(struct lapic *l, enum lapic_lvt i, u32 val, struct lapic_effect *eff)
{
	if (!l->sw_enabled)
		val |= APIC_LVT_MASKED;
	lapic_put(l, lapic_lvt_reg(i), val & lapic_lvt_mask(l, i));
	if (i == LAPIC_LVT_TIMER)
		lapic_timer_mode(l, eff);
	else if (i == LAPIC_LVT_LINT0)
		eff->flags |= LAPIC_EFF_LVT0;
}

/* Mask all LVT entries (SDM, "Local APIC State After It Has Been Software Disabled"). */
static void mask_lvts(struct lapic *l, struct lapic_effect *eff)
{
	u32 i;

	for (i = 0; i < l->nr_lvt; i++) {
		u32 reg = lapic_lvt_reg(i);

		lapic_put(l, reg, lapic_get(l, reg) | APIC_LVT_MASKED);
	}
	eff->flags |= LAPIC_EFF_TIMER_DROP | LAPIC_EFF_LVT0;
}

static void write_spiv(struct lapic *l, u32 val, struct lapic_effect *eff)
{
	bool enabled = val & APIC_SPIV_APIC_ENABLED;

	lapic_put(l, APIC_SPIV, val & lapic_spiv_mask(l));
	if (enabled != l->sw_enabled) {
		l->sw_enabled = enabled;
		eff->flags |= LAPIC_EFF_MAP;
	}
	if (enabled)
		eff->flags |= LAPIC_EFF_ENABLED;
	else
		mask_lvts(l, eff);
}

static void send_ipi(struct lapic *l, u32 icr, u32 dest, struct lapic_effect *eff)
{
	u32 dm = icr & APIC_MODE_MASK;

	if ((icr & APIC_VECTOR_MASK) < 16 && (dm == APIC_DM_FIXED || dm == APIC_DM_LOWEST)) {
		lapic_error(l, ESR_SEND_ILLEGAL, eff);
		return;
	}
	eff->flags |= LAPIC_EFF_IPI;
	eff->icr = icr;
	eff->dest = dest;
}

static void write_tdcr(struct lapic *l, u32 val, struct lapic_effect *eff)
{
	lapic_put(l, APIC_TDCR, val & TDCR_BITS);
	if (lapic_timer_shift(val) != l->timer.shift)
		eff->flags |= LAPIC_EFF_TIMER_SCALE;
}

static void write_id(struct lapic *l, u32 val, struct lapic_effect *eff)
{
	lapic_put(l, APIC_ID, val & 0xff000000);
	eff->flags |= LAPIC_EFF_MAP;
	if (val >> 24 != (u8)l->id)
		eff->flags |= LAPIC_EFF_ID;
}

/* Write a register other than ICR; the caller has checked that the mode allows the write. */
static void write_reg(struct lapic *l, u32 reg, u32 val, struct lapic_effect *eff)
{
	switch (reg) {
	case APIC_ID:
		write_id(l, val, eff);
		break;
	case APIC_TASKPRI:
		if (l->report_tpr)
			eff->flags |= LAPIC_EFF_TPR_WRITE;
		lapic_set_tpr(l, val, eff);
		break;
	case APIC_EOI:
		lapic_eoi(l, eff);
		break;
	case APIC_LDR:
		lapic_put(l, APIC_LDR, val & APIC_LDR_MASK);
		eff->flags |= LAPIC_EFF_MAP;
		break;
	case APIC_DFR:
		lapic_put(l, APIC_DFR, val | 0x0fffffff);
		eff->flags |= LAPIC_EFF_MAP;
		break;
	case APIC_SPIV:
		write_spiv(l, val, eff);
		break;
	case APIC_ESR:
		lapic_put(l, APIC_ESR, xchg(&l->esr_pending, 0));
		break;
	case APIC_ICR2:
		lapic_put(l, APIC_ICR2, val & 0xff000000);
		break;
	case APIC_TMICT:
		if (l->timer.mode == APIC_LVT_TIMER_TSCDEADLINE) {
			/*
			 * Ignore the write in TSC-deadline mode. The register must be cleared all
			 * the same: a CPU that virtualizes the write has stored the value in the
			 * page before the VM exit.
			 */
			lapic_put(l, APIC_TMICT, 0);
			break;
		}
		lapic_put(l, APIC_TMICT, val);
		eff->flags |= LAPIC_EFF_TIMER_START;
		break;
	case APIC_TDCR:
		write_tdcr(l, val, eff);
		break;
	case APIC_SELF_IPI:
		send_ipi(l, APIC_DEST_SELF | APIC_INT_ASSERT | val, 0, eff);
		break;
	default:
		write_lvt(l, lvt_index(l, reg), val, eff);
		break;
	}
}

static void write_xapic(struct lapic *l, u32 reg, u32 val, struct lapic_effect *eff)
{
	u8 access = reg_access(l, reg);

	if (reg == APIC_ICR) {
		/* Delivery takes no time, so the delivery-status bit always reads as idle. */
		val &= ~APIC_ICR_BUSY;
		lapic_put(l, APIC_ICR, val);
		send_ipi(l, val, lapic_get(l, APIC_ICR2) >> 24, eff);
	} else if (access & WR) {
		write_reg(l, reg, val, eff);
	} else if (!access || reg == APIC_SELF_IPI) {
		lapic_error(l, ESR_ILLEGAL_REG, eff);
	}
}

void lapic_mmio_write(struct lapic *l, u32 offset, u32 len, const void *data,
		      struct lapic_effect *eff)
{
	u32 val;

	/* SDM "The Local APIC Block Diagram": accesses must be 32-bit and 16-byte-aligned. */
	if (len != 4 || (offset & 0xf) || offset >= LAPIC_STATE_SIZE)
		return;
	memcpy(&val, data, sizeof(val));
	write_xapic(l, offset, val, eff);
}

/* Return the bits that WRMSR may set in a register; all others are reserved. */
static u32 x2apic_bits(const struct lapic *l, u32 reg)
{
	int lvt;

	switch (reg) {
	case APIC_EOI:
	case APIC_ESR:
		return 0;
	case APIC_TASKPRI:
	case APIC_SELF_IPI:
		return 0xff;
	case APIC_SPIV:
		return lapic_spiv_mask(l);
	case APIC_TDCR:
		return TDCR_BITS;
	case APIC_TMICT:
		return ~0u;
	}
	lvt = lvt_index(l, reg);
	return lvt < 0 ? 0 : lapic_lvt_mask(l, lvt);
}

static enum lapic_result write_x2_icr(struct lapic *l, u64 val, struct lapic_effect *eff)
{
	if (val & X2_ICR_RESERVED)
		return LAPIC_GP;
	val &= ~(u64)APIC_ICR_BUSY;
	lapic_put_icr64(l, val);
	send_ipi(l, val, val >> 32, eff);
	return LAPIC_OK;
}

enum lapic_result lapic_msr_write(struct lapic *l, u32 msr, u64 val, struct lapic_effect *eff)
{
	u32 reg = (msr - APIC_BASE_MSR) << 4;

	if (!lapic_x2apic(l) || reg >= LAPIC_STATE_SIZE)
		return LAPIC_GP;
	if (reg == APIC_ICR)
		return write_x2_icr(l, val, eff);
	if (!(reg_access(l, reg) & XWR) || val & ~(u64)x2apic_bits(l, reg))
		return LAPIC_GP;
	write_reg(l, reg, val, eff);
	return LAPIC_OK;
}

void lapic_trap_write(struct lapic *l, u32 offset, struct lapic_effect *eff)
{
	u32 reg = offset & 0xff0;

	if (reg >= LAPIC_STATE_SIZE)
		return;
	if (!lapic_x2apic(l))
		write_xapic(l, reg, lapic_get(l, reg), eff);
	else if (reg == APIC_ICR)
		write_x2_icr(l, lapic_get_icr64(l) & ~X2_ICR_RESERVED, eff);
	else if (reg_access(l, reg) & XWR)
		write_reg(l, reg, lapic_get(l, reg) & (x2apic_bits(l, reg) | 0xff), eff);
}

/* ---- register reads ---- */

static u32 read_reg(const struct lapic *l, u32 reg, u64 now_ns)
{
	switch (reg) {
	case APIC_ARBPRI:
	case APIC_RRR:
		return 0;
	case APIC_PROCPRI:
		return lapic_ppr(l);
	case APIC_TMCCT:
		return lapic_timer_current(&l->timer, now_ns);
	default:
		return lapic_get(l, reg);
	}
}

void lapic_mmio_read(struct lapic *l, u32 offset, u32 len, void *data, u64 now_ns,
		     struct lapic_effect *eff)
{
	u32 reg = offset & ~0xfu, at = offset & 0xf;
	u32 val = 0;
	u8 access;

	memset(data, 0, len);
	if (at + len > sizeof(val) || reg >= LAPIC_STATE_SIZE)
		return;
	access = reg_access(l, reg);
	if (access & RD)
		val = read_reg(l, reg, now_ns);
	else if (!(access & WR))
		lapic_error(l, ESR_ILLEGAL_REG, eff);
	if (unlikely(l->report_tpr) && reg == APIC_TASKPRI)
		eff->flags |= LAPIC_EFF_TPR_READ;
	memcpy(data, (u8 *)&val + at, len);
}

enum lapic_result lapic_msr_read(struct lapic *l, u32 msr, u64 *val, u64 now_ns)
{
	u32 reg = (msr - APIC_BASE_MSR) << 4;

	if (!lapic_x2apic(l) || reg >= LAPIC_STATE_SIZE || !(reg_access(l, reg) & XRD))
		return LAPIC_GP;
	*val = reg == APIC_ICR ? lapic_get_icr64(l) : read_reg(l, reg, now_ns);
	return LAPIC_OK;
}

/* ---- messages ---- */

static enum lapic_accepted accept_fixed(struct lapic *l, const struct lapic_irq *irq)
{
	if (unlikely((irq->trig_mode && !irq->level) || !lapic_enabled(l)))
		return LAPIC_REFUSED;
	if (unlikely(irq->vector < 16)) {
		set_bit(ESR_RECV_ILLEGAL, &l->esr_pending);
		return LAPIC_ACCEPT_ERROR;
	}
	lapic_set_tmr(l, irq->vector, irq->trig_mode);
	return LAPIC_ACCEPT_IRQ;
}

enum lapic_accepted lapic_accept(struct lapic *l, const struct lapic_irq *irq)
{
	switch (irq->delivery_mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		return accept_fixed(l, irq);
	case APIC_DM_NMI:
		return LAPIC_ACCEPT_NMI;
	case APIC_DM_SMI:
		return LAPIC_ACCEPT_SMI;
	case APIC_DM_INIT:
		/* Refuse INIT level de-assert: it only sets arbitration IDs, on old APIC buses. */
		return irq->trig_mode && !irq->level ? LAPIC_REFUSED : LAPIC_ACCEPT_INIT;
	case APIC_DM_STARTUP:
		return LAPIC_ACCEPT_SIPI;
	default:
		/* Refuse ExtINT (see lapic_accepts_extint() instead) and reserved modes. */
		return LAPIC_REFUSED;
	}
}

bool lapic_local(struct lapic *l, enum lapic_lvt lvt, struct lapic_irq *irq)
{
	u32 reg = lapic_lvt_reg(lvt);
	u32 val = lapic_get(l, reg);

	if (lvt >= l->nr_lvt || !lapic_hw_enabled(l) || val & APIC_LVT_MASKED)
		return false;
	memset(irq, 0, sizeof(*irq));
	irq->vector = val & APIC_VECTOR_MASK;
	irq->delivery_mode = val & APIC_MODE_MASK;
	irq->trig_mode = val & APIC_LVT_LEVEL_TRIGGER;
	irq->level = true;
	if (lvt == LAPIC_LVT_PERF)
		lapic_put(l, reg, val | APIC_LVT_MASKED);
	return true;
}

void lapic_ipi(const struct lapic *l, const struct lapic_effect *eff, struct lapic_irq *irq)
{
	irq->dest_id = eff->dest;
	irq->delivery_mode = eff->icr & APIC_MODE_MASK;
	irq->dest_mode = eff->icr & LAPIC_DEST_MODE_MASK;
	irq->shorthand = eff->icr & LAPIC_SHORT_MASK;
	irq->vector = eff->icr & APIC_VECTOR_MASK;
	irq->level = eff->icr & APIC_INT_ASSERT;
	irq->trig_mode = eff->icr & APIC_INT_LEVELTRIG;
	irq->msi_redir_hint = false;
}

bool lapic_accepts_extint(const struct lapic *l)
{
	u32 lvt0 = lapic_get(l, APIC_LVT0);

	if (!lapic_hw_enabled(l))
		return true;
	return (lvt0 & (APIC_LVT_MASKED | APIC_MODE_MASK)) == APIC_DM_EXTINT;
}
