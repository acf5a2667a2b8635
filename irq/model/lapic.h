/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC as a pure register model: xAPIC and x2APIC.
 *
 * A struct lapic is plain data around the architectural 4 KiB register page. Nothing here takes
 * a lock, arms a timer or knows a vCPU: a register write answers with a struct lapic_effect, and
 * the shell (irq/vlapic.c, irq/apic_timer.c) carries the effects out. Upstream does the side
 * effects in the middle of the register switch.
 *
 * Who may call what: everything runs in the thread of the owning vCPU (or while that vCPU cannot
 * run), except lapic_accept(), lapic_set_irr(), lapic_match_dest() and the const peeks, which
 * any CPU may call at any time. IRR, TMR and the pending error bits are therefore changed by
 * atomic bit operations, ISR is not.
 *
 * Source: Intel SDM, "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef OKVM_IRQ_LAPIC_H
#define OKVM_IRQ_LAPIC_H

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/nospec.h>
#include <asm/apicdef.h>
#include <asm/msr-index.h>

#define LAPIC_PAGE_SIZE		4096
/* What KVM_GET_LAPIC and KVM_SET_LAPIC carry: the first KiB of the page. */
#define LAPIC_STATE_SIZE	1024
#define LAPIC_VERSION		0x14
#define LAPIC_SHORT_MASK	0xc0000u
#define LAPIC_DEST_MODE_MASK	0x00800u
#define LAPIC_BROADCAST		0xffu
#define LAPIC_X2_BROADCAST	0xffffffffu
#define LAPIC_BASE_DEFAULT	0xfee00000ull
/* The page frame in IA32_APIC_BASE. */
#define LAPIC_BASE_ADDR		(~0xfffull)
#define LAPIC_TIMER_MODE_MASK	(APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE)
/* The longest count whose product with the largest count and divisor fits 64 bits. */
#define LAPIC_MAX_TICK_NS	(U64_MAX / 128 / U32_MAX)

/* Shortest period of a periodic timer, nanoseconds: a guest cannot storm its host. */
#define LAPIC_MIN_PERIOD_NS	200000u

/* The mode of an APIC, numbered as the bits 11:10 of IA32_APIC_BASE. */
enum lapic_mode {
	LAPIC_DISABLED	= 0,
	LAPIC_INVALID	= 1,	/* EXTD without EN: never a state, only a refused request */
	LAPIC_XAPIC	= 2,
	LAPIC_X2APIC	= 3,
};

/* Entries of the local vector table, in the order of the version register's count. */
enum lapic_lvt {
	LAPIC_LVT_TIMER,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_PERF,
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR,
	LAPIC_LVT_CMCI,
	LAPIC_NR_LVT,
};

/**
 * struct lapic_irq - one interrupt message on the way to one or more local APICs
 * @dest_id:		destination, 8 bits in xAPIC format, 32 bits in x2APIC format
 * @delivery_mode:	APIC_DM_*
 * @dest_mode:		APIC_DEST_PHYSICAL or APIC_DEST_LOGICAL
 * @shorthand:		0, APIC_DEST_SELF, APIC_DEST_ALLINC or APIC_DEST_ALLBUT
 * @vector:		0 to 255
 * @level:		true when asserted; false only for a level de-assert
 * @trig_mode:		true for level triggered
 * @msi_redir_hint:	the MSI's redirection hint: one destination is enough
 */
struct lapic_irq {
	u32 dest_id;
	u32 delivery_mode;
	u32 dest_mode;
	u32 shorthand;
	u8 vector;
	bool level;
	bool trig_mode;
	bool msi_redir_hint;
};

/* What a register access asks of the shell. */
enum lapic_effect_flag {
	LAPIC_EFF_RECHECK	= BIT(0),	/* an interrupt became deliverable */
	LAPIC_EFF_IPI		= BIT(1),	/* send @icr to @dest */
	LAPIC_EFF_EOI		= BIT(2),	/* @eoi_vector has been completed */
	LAPIC_EFF_MAP		= BIT(3),	/* destination lookup must be rebuilt */
	LAPIC_EFF_TIMER_START	= BIT(4),	/* count from the initial count */
	LAPIC_EFF_TIMER_SCALE	= BIT(5),	/* the divisor changed while counting */
	LAPIC_EFF_TIMER_STOP	= BIT(6),	/* disarm and forget a pending tick */
	LAPIC_EFF_TIMER_DROP	= BIT(7),	/* forget a tick that is not delivered yet */
	LAPIC_EFF_ERROR		= BIT(8),	/* deliver the error LVT entry */
	LAPIC_EFF_LVT0		= BIT(9),	/* LINT0 was written (PIT as NMI watchdog) */
	LAPIC_EFF_ENABLED	= BIT(10),	/* software enable bit is set now */
	LAPIC_EFF_MODE		= BIT(11),	/* disabled/xAPIC/x2APIC changed */
	LAPIC_EFF_BASE		= BIT(12),	/* the MMIO window moved */
	LAPIC_EFF_ID		= BIT(13),	/* the xAPIC ID differs from the initial one */
	LAPIC_EFF_TIMER_ARM	= BIT(14),	/* arm for @timer as it stands */
};

/**
 * struct lapic_effect - side effects of a register access; the caller clears @flags first
 * @flags:	LAPIC_EFF_*
 * @icr:	low half of the ICR, for LAPIC_EFF_IPI
 * @dest:	destination ID in the format of the APIC's mode, for LAPIC_EFF_IPI
 * @eoi_vector:	for LAPIC_EFF_EOI
 * @eoi_level:	the completed interrupt was level triggered (its TMR bit)
 */
struct lapic_effect {
	u32 flags;
	u32 icr;
	u32 dest;
	u8 eoi_vector;
	bool eoi_level;
};

/* Outcome of a register access. */
enum lapic_result {
	LAPIC_OK,
	LAPIC_GP,		/* x2APIC: #GP(0); xAPIC accesses never answer this */
};

/* What one APIC has done with a message. */
enum lapic_accepted {
	LAPIC_REFUSED,		/* disabled, de-assert, or a mode that has no target here */
	LAPIC_ACCEPT_IRQ,	/* to be put into IRR (lapic_set_irr()) or posted */
	LAPIC_ACCEPT_ERROR,	/* illegal vector received: deliver the error LVT entry */
	LAPIC_ACCEPT_NMI,
	LAPIC_ACCEPT_SMI,
	LAPIC_ACCEPT_INIT,
	LAPIC_ACCEPT_SIPI,
};

/**
 * struct lapic_timer - the timer's arithmetic state; times in nanoseconds of the host's clock
 * @period_ns:	initial count scaled, at least LAPIC_MIN_PERIOD_NS when periodic; 0 = stopped
 * @expiry_ns:	when the current countdown ends, 0 when none runs
 * @tscdeadline: guest TSC at which to fire, 0 = disarmed; TSC-deadline mode only
 * @tick_ns:	how long a count takes at divisor 1, from 1 to LAPIC_MAX_TICK_NS
 * @mode:	bits 18:17 of the timer LVT entry
 * @shift:	log2 of the divisor, 0 to 7
 */
struct lapic_timer {
	u64 period_ns;
	u64 expiry_ns;
	u64 tscdeadline;
	u32 tick_ns;
	u32 mode;
	u8 shift;
};

/**
 * struct lapic - one local APIC
 * @regs:	4 KiB page in the layout of the xAPIC window, zeroed and page aligned; the CPU
 *		uses it as the virtual-APIC page
 * @base:	IA32_APIC_BASE
 * @id:		initial APIC ID, which is the x2APIC ID
 * @mode:	what @base says
 * @sw_enabled:	bit 8 of the spurious-vector register
 * @hw_irr:	the CPU changes IRR and ISR itself (virtual-interrupt delivery): no hints
 * @isr_words:	bit n: word n of ISR is not zero
 * @nr_lvt:	6, or 7 with CMCI
 * @directed_eoi: broadcast suppression is offered
 * @tsc_deadline: TSC-deadline mode is offered
 * @lint0_extint: LINT0 of the boot processor is left in virtual wire mode by a reset
 * @bsp:	this is the boot processor
 * @timer:	arithmetic of the timer
 * @esr_pending: errors since the last write to ESR, ESR bit numbers; atomic
 * @irr_hint:	byte n is 1 when word n of IRR may be non-zero; set by any CPU after the IRR
 *		bit, cleared by the owner before it looks at the word again
 */
struct lapic {
	u8 *regs;
	u64 base;
	u32 id;
	u8 mode;
	bool sw_enabled;
	bool hw_irr;
	u8 isr_words;
	u8 nr_lvt;
	bool directed_eoi;
	bool tsc_deadline;
	bool lint0_extint;
	bool bsp;
	struct lapic_timer timer;
	unsigned long esr_pending;
	union {
		u8 word[8];
		u64 all;
	} irr_hint;
};

/* Register access */

static inline u32 lapic_get(const struct lapic *l, u32 reg)
{
	return READ_ONCE(*(const u32 *)(l->regs + reg));
}

static inline void lapic_put(struct lapic *l, u32 reg, u32 val)
{
	WRITE_ONCE(*(u32 *)(l->regs + reg), val);
}

static inline u64 lapic_get_icr64(const struct lapic *l)
{
	return READ_ONCE(*(const u64 *)(l->regs + APIC_ICR));
}

static inline void lapic_put_icr64(struct lapic *l, u64 val)
{
	WRITE_ONCE(*(u64 *)(l->regs + APIC_ICR), val);
}

/* Register offset of word @vec / 32 of a 256-bit register, and the bit in it. */
static inline unsigned long *lapic_vec_word(const struct lapic *l, u32 reg, u8 vec)
{
	return (unsigned long *)(l->regs + reg + (vec >> 5) * 0x10);
}

static inline bool lapic_test_vec(const struct lapic *l, u32 reg, u8 vec)
{
	return lapic_get(l, reg + (vec >> 5) * 0x10) & BIT(vec & 31);
}

static inline bool lapic_hw_enabled(const struct lapic *l)
{
	return l->mode != LAPIC_DISABLED;
}

static inline bool lapic_x2apic(const struct lapic *l)
{
	return l->mode == LAPIC_X2APIC;
}

static inline bool lapic_enabled(const struct lapic *l)
{
	return lapic_hw_enabled(l) && l->sw_enabled;
}

static inline u32 lapic_lvt_reg(enum lapic_lvt i)
{
	return i == LAPIC_LVT_CMCI ? APIC_LVTCMCI : APIC_LVTT + 0x10 * i;
}

/* Priority: everything that an exit or an entry asks */

/**
 * lapic_scan() - highest vector set in a 256-bit register
 * @l: the APIC
 * @reg: APIC_IRR, APIC_ISR or APIC_TMR
 *
 * Return: the vector, or -1.
 */
int lapic_scan(const struct lapic *l, u32 reg);

/* Highest requested vector, or -1. May be stale by a message that is arriving now. */
static inline int lapic_highest_irr(const struct lapic *l)
{
	u64 hints = READ_ONCE(l->irr_hint.all);

	if (l->hw_irr)
		return lapic_scan(l, APIC_IRR);
	while (hints) {
		u32 w = (u32)(fls64(hints) - 1) >> 3;
		u32 word = lapic_get(l, APIC_IRR + w * 0x10);

		if (word)
			return (int)(w * 32) + fls(word) - 1;
		hints &= ~(0xffull << (w * 8));
	}
	return -1;
}

/* Highest vector in service, or -1. */
static inline int lapic_highest_isr(const struct lapic *l)
{
	u8 words = l->isr_words;
	int w;

	if (l->hw_irr)
		return lapic_scan(l, APIC_ISR);
	if (!words)
		return -1;
	w = fls(words) - 1;
	return w * 32 + fls(lapic_get(l, APIC_ISR + w * 0x10)) - 1;
}

static inline u8 lapic_get_tpr(const struct lapic *l)
{
	return lapic_get(l, APIC_TASKPRI) & 0xff;
}

/* Processor priority: SDM, "Task and Processor Priorities". */
static inline u8 lapic_ppr(const struct lapic *l)
{
	u32 tpr = lapic_get(l, APIC_TASKPRI) & 0xff;
	int isr = lapic_highest_isr(l);

	if (isr < 0 || (tpr & 0xf0) >= ((u32)isr & 0xf0))
		return tpr;
	return isr & 0xf0;
}

/* @irr, the highest requested vector, if the processor would take it now, else -1. */
static inline int lapic_deliverable(const struct lapic *l, int irr)
{
	return irr < 0 || (irr & 0xf0) <= (lapic_ppr(l) & 0xf0) ? -1 : irr;
}

/**
 * lapic_has_interrupt() - the vector that the processor would take now
 * @l: the APIC
 *
 * Any CPU may ask; only the owner's answer is stable.
 *
 * Return: a vector from 16 to 255, or -1.
 */
static inline int lapic_has_interrupt(const struct lapic *l)
{
	if (!l->irr_hint.all && !l->hw_irr)
		return -1;
	if (!lapic_hw_enabled(l))
		return -1;
	return lapic_deliverable(l, lapic_highest_irr(l));
}

/* CR8 and the task priority */

static inline u8 lapic_get_cr8(const struct lapic *l)
{
	return (lapic_get(l, APIC_TASKPRI) & 0xf0) >> 4;
}

/**
 * lapic_set_tpr() - write the task priority
 * @l: the APIC
 * @tpr: 0 to 255; CR8 gives its four bits shifted left by 4
 * @eff: LAPIC_EFF_RECHECK is added when an interrupt may be taken now
 */
void lapic_set_tpr(struct lapic *l, u8 tpr, struct lapic_effect *eff);

/**
 * lapic_set_irr() - request a vector (any CPU)
 * @l: the APIC
 * @vector: 0 to 255
 *
 * Return: true when the bit was clear before, that is when a kick is due. When it was set,
 * whoever set it kicks.
 */
static inline bool lapic_set_irr(struct lapic *l, u8 vector)
{
	bool was = test_and_set_bit(vector & 31, lapic_vec_word(l, APIC_IRR, vector));

	/* After the bit: lapic_ack() drops the hint before it reads the word. */
	WRITE_ONCE(l->irr_hint.word[vector >> 5], 1);
	return !was;
}

/**
 * lapic_set_tmr() - note how the next interrupt of a vector was triggered (any CPU)
 * @l: the APIC
 * @vector: 0 to 255
 * @level: true for level triggered
 */
static inline void lapic_set_tmr(struct lapic *l, u8 vector, bool level)
{
	if (likely(lapic_test_vec(l, APIC_TMR, vector) == level))
		return;
	if (level)
		set_bit(vector & 31, lapic_vec_word(l, APIC_TMR, vector));
	else
		clear_bit(vector & 31, lapic_vec_word(l, APIC_TMR, vector));
}

/**
 * lapic_ack() - move a vector from IRR to ISR: the interrupt acknowledge cycle
 * @l: the APIC
 * @vector: what lapic_has_interrupt() answered
 */
void lapic_ack(struct lapic *l, u8 vector);

/**
 * lapic_complete() - a vector is in service no more
 * @l: the APIC
 * @vector: the highest one in service
 *
 * Whoever waits for the EOI is the caller's business.
 *
 * Return: another interrupt can be taken now.
 */
bool lapic_complete(struct lapic *l, u8 vector);

/**
 * lapic_eoi() - complete the highest interrupt in service
 * @l: the APIC
 * @eff: LAPIC_EFF_EOI and LAPIC_EFF_RECHECK are added as they apply
 */
void lapic_eoi(struct lapic *l, struct lapic_effect *eff);

/**
 * lapic_eoi_done() - the effects of an EOI that the CPU has virtualized already
 * @l: the APIC
 * @vector: the completed vector, from the exit qualification
 * @eff: LAPIC_EFF_EOI and LAPIC_EFF_RECHECK are added
 */
void lapic_eoi_done(const struct lapic *l, u8 vector, struct lapic_effect *eff);

/**
 * lapic_set_hw_irr() - the CPU starts or stops to change IRR and ISR by itself
 * @l: the APIC
 * @on: virtual-interrupt delivery is active for this vCPU
 */
void lapic_set_hw_irr(struct lapic *l, bool on);

/* Guest accesses */

/**
 * lapic_mmio_read() - read in the xAPIC window
 * @l: the APIC, in xAPIC mode
 * @offset: 0 to 4095
 * @len: 1 to 8; only reads inside one aligned 32-bit register give its value, others zeroes
 * @data: @len bytes out
 * @now_ns: the clock of the timer; only looked at for the current count
 * @eff: LAPIC_EFF_ERROR for a reserved register
 */
void lapic_mmio_read(struct lapic *l, u32 offset, u32 len, void *data, u64 now_ns,
		     struct lapic_effect *eff);

/**
 * lapic_mmio_write() - write in the xAPIC window
 * @l: the APIC, in xAPIC mode
 * @offset: 0 to 4095; anything but an aligned 4-byte write is ignored
 * @len: number of bytes at @data
 * @data: the value
 * @eff: effects out
 */
void lapic_mmio_write(struct lapic *l, u32 offset, u32 len, const void *data,
		      struct lapic_effect *eff);

/**
 * lapic_trap_write() - the effects of a write that the CPU has put into the page already
 * @l: the APIC
 * @offset: page offset from the exit qualification (APIC-write exit)
 * @eff: effects out
 */
void lapic_trap_write(struct lapic *l, u32 offset, struct lapic_effect *eff);

/**
 * lapic_msr_read() - RDMSR of an x2APIC register
 * @l: the APIC
 * @msr: 0x800 to 0x8ff
 * @val: value out
 * @now_ns: as for lapic_mmio_read()
 *
 * Return: LAPIC_GP for a register that is absent, or outside x2APIC mode.
 */
enum lapic_result lapic_msr_read(struct lapic *l, u32 msr, u64 *val, u64 now_ns);

/**
 * lapic_msr_write() - WRMSR of an x2APIC register
 * @l: the APIC
 * @msr: 0x800 to 0x8ff
 * @val: the value
 * @eff: effects out
 *
 * Return: LAPIC_GP for an absent or read-only register, a reserved bit, or outside x2APIC mode.
 */
enum lapic_result lapic_msr_write(struct lapic *l, u32 msr, u64 val, struct lapic_effect *eff);

/* Does a read of this page offset look at the clock? */
static inline bool lapic_reads_clock(u32 offset)
{
	return (offset & 0xff0) == APIC_TMCCT;
}

/* Is this MSR the current count? */
static inline bool lapic_msr_reads_clock(u32 msr)
{
	return msr == APIC_BASE_MSR + (APIC_TMCCT >> 4);
}

/* Messages */

/**
 * lapic_accept() - one message arrives at one APIC (any CPU)
 * @l: the target, already chosen by destination
 * @irq: the message; @irq->shorthand and @irq->dest_id are not looked at
 *
 * Checks and, for fixed and lowest-priority messages, TMR; the shell acts on the answer, which
 * for those means IRR or a posted interrupt.
 *
 * Return: what became of it.
 */
enum lapic_accepted lapic_accept(struct lapic *l, const struct lapic_irq *irq);

/**
 * lapic_local() - a local interrupt source fires (owner)
 * @l: the APIC
 * @lvt: its entry
 * @irq: the message it gives, for lapic_accept(); level and trigger mode filled in
 *
 * The performance-counter entry masks itself, as hardware does.
 *
 * Return: false when masked or the APIC is disabled.
 */
bool lapic_local(struct lapic *l, enum lapic_lvt lvt, struct lapic_irq *irq);

/**
 * lapic_ipi() - the message that an ICR write sends
 * @l: the sender
 * @eff: with LAPIC_EFF_IPI
 * @irq: the message out
 */
void lapic_ipi(const struct lapic *l, const struct lapic_effect *eff, struct lapic_irq *irq);

/**
 * lapic_accepts_extint() - does a PIC's INTR reach this processor?
 * @l: the APIC
 *
 * Return: true when the APIC is disabled or LINT0 is an unmasked ExtINT.
 */
bool lapic_accepts_extint(const struct lapic *l);

/* Is LINT0 programmed as an unmasked NMI, the PIT's NMI watchdog? */
static inline bool lapic_lvt0_nmi(const struct lapic *l)
{
	return (lapic_get(l, APIC_LVT0) & (APIC_MODE_MASK | APIC_LVT_MASKED)) == APIC_DM_NMI;
}

static inline bool lapic_irq_lowest(const struct lapic_irq *irq)
{
	return irq->delivery_mode == APIC_DM_LOWEST || irq->msi_redir_hint;
}

/* Destinations: irq/model/lapic_dest.c */

enum lapic_map_mode {
	LAPIC_MAP_FLAT		= BIT(0),
	LAPIC_MAP_CLUSTER	= BIT(1),
	LAPIC_MAP_X2APIC	= BIT(2),
	LAPIC_MAP_ALIAS		= BIT(3),	/* two APICs answer to one logical ID bit */
};

/**
 * struct lapic_map - who answers to which destination; built once, then read-only
 * @max_id:	highest index of @phys
 * @nr:		entries of @all
 * @mode:	LAPIC_MAP_* of all APICs; the logical tables count when exactly one bit is set
 * @phys_alias:	an ID is used twice: every destination is searched
 * @xapic:	some APIC is in xAPIC mode: 0xff may be a broadcast
 * @no_quirk:	0xff in a message of a device is not a broadcast to x2APICs
 * @flat:	by logical ID bit
 * @cluster:	by cluster and bit
 * @all:	every APIC that is enabled by IA32_APIC_BASE
 * @phys:	by physical ID
 */
struct lapic_map {
	u32 max_id;
	u32 nr;
	u8 mode;
	bool phys_alias;
	bool xapic;
	bool no_quirk;
	struct lapic *flat[8];
	struct lapic *cluster[16][4];
	struct lapic **all;
	struct lapic *phys[];
};

/**
 * struct lapic_dests - the APICs that a message is meant for
 * @slot:	array of candidates
 * @mask:	without @search: which of the first 16 slots, each of them not NULL
 * @nr:		with @search: number of slots, to be filtered by lapic_match_dest()
 * @search:	no table answers for this message
 */
struct lapic_dests {
	struct lapic *const *slot;
	u32 mask;
	u32 nr;
	bool search;
};

/**
 * lapic_map_size() - bytes for a map
 * @max_id: highest x2APIC ID in the VM; the map has room for 0 to 255 at least
 * @nr: number of APICs
 *
 * Return: the size of one allocation that holds the map and its arrays.
 */
size_t lapic_map_size(u32 max_id, u32 nr);

/**
 * lapic_map_init() - prepare a zeroed allocation of lapic_map_size()
 * @map: the allocation
 * @max_id: as given to lapic_map_size()
 * @no_quirk: KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK
 */
void lapic_map_init(struct lapic_map *map, u32 max_id, bool no_quirk);

/**
 * lapic_map_add() - enter one APIC; a disabled one is left out
 * @map: the map; at most as many APICs as lapic_map_size() was given may be added
 * @l: the APIC
 */
void lapic_map_add(struct lapic_map *map, struct lapic *l);

/**
 * lapic_map_find() - candidates for a message (any CPU)
 * @map: the map
 * @src: the sending APIC, NULL for a device
 * @irq: the message, not with shorthand APIC_DEST_SELF
 * @out: result
 */
void lapic_map_find(const struct lapic_map *map, const struct lapic *src,
		    const struct lapic_irq *irq, struct lapic_dests *out);

/**
 * lapic_map_one() - the answer for most messages, without the detour of lapic_map_find()
 * @map: the map
 * @irq: the message
 *
 * Return: the only target, or NULL if lapic_map_find() must say (it may find one, too).
 */
static inline struct lapic *lapic_map_one(const struct lapic_map *map, const struct lapic_irq *irq)
{
	if (irq->shorthand || irq->dest_mode != APIC_DEST_PHYSICAL || lapic_irq_lowest(irq) ||
	    map->phys_alias || irq->dest_id == LAPIC_BROADCAST || irq->dest_id > map->max_id)
		return NULL;
	return map->phys[array_index_nospec(irq->dest_id, map->max_id + 1)];
}

/**
 * lapic_match_dest() - is a message meant for this APIC? (any CPU)
 * @t: the target
 * @src: the sender, NULL for a device
 * @irq: the message
 * @no_quirk: see struct lapic_map
 *
 * Return: true when the target is addressed. The state of its enable bits is not looked at.
 */
bool lapic_match_dest(const struct lapic *t, const struct lapic *src,
		      const struct lapic_irq *irq, bool no_quirk);

/**
 * lapic_lowest() - which of the candidates takes a lowest-priority message
 * @vector: the vector, spread over the candidates
 * @nr: number of candidates, at least 1
 *
 * Upstream's default policy ("vector hashing"): no register of the candidates is read.
 *
 * Return: 0 to @nr - 1; 0 when @nr is 0.
 */
static inline u32 lapic_lowest(u8 vector, u32 nr)
{
	return nr ? vector % nr : 0;
}

/* LDR of an x2APIC: SDM, "Logical Destination Mode in x2APIC Mode". */
static inline u32 lapic_x2apic_ldr(u32 id)
{
	return ((id >> 4) << 16) | (1u << (id & 0xf));
}

/* State: irq/model/lapic_state.c */

/**
 * struct lapic_config - what the VM decides about an APIC
 * @id: initial APIC ID
 * @bsp: boot processor
 * @lint0_extint: KVM_X86_QUIRK_LINT0_REENABLED is on
 * @tick_ns: what a count of the timer takes at divisor 1, up to LAPIC_MAX_TICK_NS; 0 is 1
 */
struct lapic_config {
	u32 id;
	u32 tick_ns;
	bool bsp;
	bool lint0_extint;
};

/**
 * lapic_init() - give a model its page and its reset state
 * @l: zeroed or old
 * @regs: 4 KiB, zeroed, page aligned; stays the caller's
 * @cfg: configuration
 */
void lapic_init(struct lapic *l, u8 *regs, const struct lapic_config *cfg);

/**
 * lapic_reset() - RESET or INIT
 * @l: the APIC
 * @init: INIT keeps IA32_APIC_BASE and the ID
 * @eff: timer stop, map and mode changes
 */
void lapic_reset(struct lapic *l, bool init, struct lapic_effect *eff);

/**
 * lapic_set_version() - what CPUID and the irqchip decide about the version register
 * @l: the APIC
 * @cmci: MCG_CAP offers CMCI: a seventh LVT entry; a new entry starts masked
 * @directed_eoi: offer EOI broadcast suppression
 */
void lapic_set_version(struct lapic *l, bool cmci, bool directed_eoi);

/**
 * lapic_base_legal() - may IA32_APIC_BASE take this value?
 * @old: present value
 * @val: new value
 * @reserved: reserved bits by the guest's physical address width and X2APIC bit
 * @host: an ioctl asks: any transition between legal states is allowed
 *
 * Source: SDM, "x2APIC State Transitions".
 *
 * Return: false where a guest gets #GP(0).
 */
bool lapic_base_legal(u64 old, u64 val, u64 reserved, bool host);

/**
 * lapic_set_base() - write IA32_APIC_BASE
 * @l: the APIC
 * @val: a value that lapic_base_legal() let pass
 * @eff: LAPIC_EFF_MODE, LAPIC_EFF_BASE, LAPIC_EFF_MAP as they apply
 */
void lapic_set_base(struct lapic *l, u64 val, struct lapic_effect *eff);

static inline enum lapic_mode lapic_base_mode(u64 base)
{
	return (enum lapic_mode)((base >> 10) & 3);
}

/**
 * lapic_get_state() - the KiB of KVM_GET_LAPIC
 * @l: the APIC
 * @out: LAPIC_STATE_SIZE bytes
 * @ids32: KVM_X2APIC_API_USE_32BIT_IDS: the ID register as the x2APIC has it
 * @now_ns: the timer's clock
 */
void lapic_get_state(const struct lapic *l, u8 *out, bool ids32, u64 now_ns);

/**
 * lapic_set_state() - the KiB of KVM_SET_LAPIC
 * @l: the APIC; its mode and ID stay
 * @in: LAPIC_STATE_SIZE bytes, any garbage
 * @ids32: as for lapic_get_state()
 * @now_ns: the timer's clock; a timer that was counting goes on from the saved count
 * @eff: map change, timer stop and then start by @l->timer, recheck
 *
 * Return: 0, or -EINVAL for a foreign 32-bit ID (nothing is changed then).
 */
int lapic_set_state(struct lapic *l, const u8 *in, bool ids32, u64 now_ns,
		    struct lapic_effect *eff);

/* Timer arithmetic: irq/model/lapic_timer.c */

/**
 * lapic_timer_start() - begin a countdown from the initial count
 * @t: the timer
 * @count: initial count register
 * @now_ns: the clock
 *
 * Return: true when the timer runs and @t->expiry_ns is set.
 */
bool lapic_timer_start(struct lapic_timer *t, u32 count, u64 now_ns);

/**
 * lapic_timer_resume() - continue a saved countdown
 * @t: the timer
 * @initial: initial count
 * @current_count: saved current count; above @initial it is taken as @initial
 * @exact: whoever saved @current_count read it from the timer
 * @now_ns: the clock
 *
 * A one-shot timer with an exact count of 0 has fired and is not started again. Without @exact
 * nobody knows, and it fires at once: a tick too many does less harm than a lost one. A periodic
 * timer with a count of 0 starts a whole period.
 *
 * Return: true when the timer runs.
 */
bool lapic_timer_resume(struct lapic_timer *t, u32 initial, u32 current_count, bool exact,
			u64 now_ns);

/**
 * lapic_timer_scale() - the divisor changed while the timer may be counting
 * @t: the timer, with the old divisor
 * @shift: log2 of the new divisor
 * @initial: initial count
 * @now_ns: the clock
 *
 * The current count keeps its value, so the time that is left is scaled.
 *
 * Return: true when the timer runs and @t->expiry_ns moved.
 */
bool lapic_timer_scale(struct lapic_timer *t, u8 shift, u32 initial, u64 now_ns);

/**
 * lapic_timer_fired() - a countdown ended
 * @t: the timer
 * @now_ns: the clock
 *
 * Missed periods are dropped, the phase is kept, and the next expiry is never sooner than a
 * quarter of LAPIC_MIN_PERIOD_NS from now: a VM that was stopped for an hour gets one tick.
 *
 * Return: true when periodic: arm again for @t->expiry_ns.
 */
bool lapic_timer_fired(struct lapic_timer *t, u64 now_ns);

/**
 * lapic_timer_current() - the current count register
 * @t: the timer
 * @now_ns: the clock
 *
 * Return: ticks left, 0 when stopped or in TSC-deadline mode.
 */
u32 lapic_timer_current(const struct lapic_timer *t, u64 now_ns);

/**
 * lapic_timer_saved() - the current count for a saved state
 * @t: the timer
 * @now_ns: the clock
 *
 * Return: as lapic_timer_current(), but 1 for a one-shot timer whose tick was not delivered yet,
 * so that lapic_timer_resume() can tell.
 */
u32 lapic_timer_saved(const struct lapic_timer *t, u64 now_ns);

/**
 * lapic_timer_shift() - log2 of the divisor in a divide configuration register
 * @dcr: the register
 *
 * Return: 0 to 7.
 */
static inline u8 lapic_timer_shift(u32 dcr)
{
	return (((dcr & 3) | ((dcr & 8) >> 1)) + 1) & 7;
}

/**
 * lapic_tsc_to_ns() - a distance in guest TSC ticks as nanoseconds
 * @ticks: the distance
 * @khz: guest TSC frequency; 0 gives the maximum
 *
 * Return: nanoseconds, at most S64_MAX / 4.
 */
u64 lapic_tsc_to_ns(u64 ticks, u32 khz);

/**
 * lapic_set_tscdeadline() - WRMSR of IA32_TSC_DEADLINE
 * @l: the APIC
 * @tsc: deadline, 0 disarms
 *
 * Return: false when the write is ignored: the timer is not in TSC-deadline mode.
 */
bool lapic_set_tscdeadline(struct lapic *l, u64 tsc);

/* RDMSR of IA32_TSC_DEADLINE: 0 outside of TSC-deadline mode. */
static inline u64 lapic_get_tscdeadline(const struct lapic *l)
{
	return l->timer.mode == APIC_LVT_TIMER_TSCDEADLINE ? l->timer.tscdeadline : 0;
}

/* Paravirtual EOI */

/**
 * lapic_pv_eoi_vector() - may the guest complete the interrupt in service without an exit?
 * @l: the APIC
 * @handled: 256 bits: vectors whose EOI somebody waits for
 *
 * Safe with exactly one interrupt in service, none requested, and no listener.
 *
 * Return: the vector that an exit-less EOI would complete, or -1.
 */
int lapic_pv_eoi_vector(const struct lapic *l, const unsigned long *handled);

/* Between the lapic*.c files */

/* Bits that an LVT entry keeps. */
u32 lapic_lvt_mask(const struct lapic *l, enum lapic_lvt lvt);
/* Bits that the spurious-vector register keeps. */
u32 lapic_spiv_mask(const struct lapic *l);
/* Take over the mode bits of the timer entry; a stop of the timer is added to @eff. */
void lapic_timer_mode(struct lapic *l, struct lapic_effect *eff);
/* Compute the ISR and IRR hints from the page. */
void lapic_recount(struct lapic *l);
/* Limit a periodic timer to LAPIC_MIN_PERIOD_NS. */
void lapic_timer_floor(struct lapic_timer *t);

#endif /* OKVM_IRQ_LAPIC_H */
