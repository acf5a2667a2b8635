/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC as a pure register model: xAPIC and x2APIC.
 *
 * A struct lapic is plain data around the architectural 4 KiB register page. The model takes no
 * lock, arms no timer and has no access to the vCPU: a register write fills in a struct
 * lapic_effect, and the caller carries the effects out (irq/apic_regs.c, irq/apic_timer.c).
 * Upstream KVM carries effects out in the switch statement that decodes the register.
 *
 * Callers: any CPU may call lapic_accept(), lapic_set_irr(), lapic_set_tmr(), lapic_match_dest()
 * and the functions with a const struct lapic at any time. Some of them change IRR, TMR and the
 * pending error bits, which are therefore changed by atomic bit operations. All other functions are
 * called only by the thread of the vCPU that owns the APIC, or while that vCPU cannot run. Only
 * these functions change ISR, so ISR needs no atomic operations.
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
/* Size of the state of KVM_GET_LAPIC and KVM_SET_LAPIC: the first KiB of the register page. */
#define LAPIC_STATE_SIZE	1024
#define LAPIC_VERSION		0x14
#define LAPIC_SHORT_MASK	0xc0000u
#define LAPIC_DEST_MODE_MASK	0x00800u
#define LAPIC_BROADCAST		0xffu
#define LAPIC_X2_BROADCAST	0xffffffffu
#define LAPIC_BASE_DEFAULT	0xfee00000ull
/* The bits of IA32_APIC_BASE that contain the address of the xAPIC page. */
#define LAPIC_BASE_ADDR		(~0xfffull)
#define LAPIC_TIMER_MODE_MASK	(APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE)
/* Upper limit of the duration of one count, in ns: count * divisor * duration fits in 64 bits. */
#define LAPIC_MAX_TICK_NS	(U64_MAX / 128 / U32_MAX)

/* Shortest period of a periodic timer, in ns, so that a guest cannot flood its host. */
#define LAPIC_MIN_PERIOD_NS	200000u

/* The mode of an APIC; the values are those of IA32_APIC_BASE bits 11:10. */
enum lapic_mode {
	LAPIC_DISABLED	= 0,
	LAPIC_INVALID	= 1,	/* EXTD without EN: okvm refuses this value, so no APIC has it */
	LAPIC_XAPIC	= 2,
	LAPIC_X2APIC	= 3,
};

/* Entries of the local vector table. An APIC has the first lapic.nr_lvt of them (6 or 7). */
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
 * struct lapic_irq - an interrupt message to one or more local APICs
 * @dest_id: destination ID; 8 bits in xAPIC format, 32 bits in x2APIC format
 * @delivery_mode: APIC_DM_*
 * @dest_mode: APIC_DEST_PHYSICAL or APIC_DEST_LOGICAL
 * @shorthand: 0, APIC_DEST_SELF, APIC_DEST_ALLINC or APIC_DEST_ALLBUT
 * @vector: 0 to 255
 * @level: true for assert, false for a level de-assert
 * @trig_mode: true for level-triggered
 * @msi_redir_hint: redirection hint of an MSI: deliver to one of the destinations only
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

/* Effects of a register access, which the caller carries out. */
enum lapic_effect_flag {
	LAPIC_EFF_RECHECK	= BIT(0),	/* the deliverable interrupt may have changed */
	LAPIC_EFF_IPI		= BIT(1),	/* send an IPI: lapic_effect.icr and .dest */
	LAPIC_EFF_EOI		= BIT(2),	/* lapic_effect.eoi_vector was completed */
	LAPIC_EFF_MAP		= BIT(3),	/* rebuild the destination map */
	LAPIC_EFF_TIMER_START	= BIT(4),	/* start counting from the initial count */
	LAPIC_EFF_TIMER_SCALE	= BIT(5),	/* the divisor changed while counting */
	LAPIC_EFF_TIMER_STOP	= BIT(6),	/* disarm the timer, forget a pending tick */
	LAPIC_EFF_TIMER_DROP	= BIT(7),	/* forget a tick that is not yet delivered */
	LAPIC_EFF_ERROR		= BIT(8),	/* deliver the error LVT entry */
	LAPIC_EFF_LVT0		= BIT(9),	/* the LVT entry of LINT0 was written */
	LAPIC_EFF_ENABLED	= BIT(10),	/* the software-enable bit is set */
	LAPIC_EFF_MODE		= BIT(11),	/* the mode (enum lapic_mode) changed */
	LAPIC_EFF_BASE		= BIT(12),	/* the address of the xAPIC page changed */
	LAPIC_EFF_ID		= BIT(13),	/* the xAPIC ID is not the initial APIC ID */
	LAPIC_EFF_TIMER_ARM	= BIT(14),	/* arm the timer according to lapic.timer */
	LAPIC_EFF_TPR_READ	= BIT(15),	/* the guest read TPR; only with lapic.report_tpr */
	LAPIC_EFF_TPR_WRITE	= BIT(16),	/* guest wrote TPR; only with lapic.report_tpr */
};

/**
 * struct lapic_effect - side effects of a register access; the caller clears @flags first
 * @flags: LAPIC_EFF_*
 * @icr: low half of the ICR, for LAPIC_EFF_IPI
 * @dest: destination ID in the format of the APIC's mode, for LAPIC_EFF_IPI
 * @eoi_vector: the completed vector, for LAPIC_EFF_EOI
 * @eoi_level: the completed interrupt was level-triggered (its TMR bit)
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
	LAPIC_GP,		/* #GP(0) in x2APIC mode; never for xAPIC accesses */
};

/* What an APIC did with an interrupt message. */
enum lapic_accepted {
	LAPIC_REFUSED,		/* APIC disabled, de-assert, or unsupported delivery mode */
	LAPIC_ACCEPT_IRQ,	/* the caller sets IRR (lapic_set_irr()) or posts the vector */
	LAPIC_ACCEPT_ERROR,	/* illegal vector: the caller delivers the error LVT entry */
	LAPIC_ACCEPT_NMI,
	LAPIC_ACCEPT_SMI,
	LAPIC_ACCEPT_INIT,
	LAPIC_ACCEPT_SIPI,
};

/**
 * struct lapic_timer - arithmetic state of the timer; times in ns of the host's clock
 * @period_ns: duration of the initial count, at least LAPIC_MIN_PERIOD_NS if periodic; 0: stopped
 * @expiry_ns: end of the current countdown; 0 without a countdown
 * @tscdeadline: guest TSC of the deadline, 0: disarmed; used in TSC-deadline mode only
 * @tick_ns: duration of one count at divisor 1, from 1 to LAPIC_MAX_TICK_NS
 * @mode: bits 18:17 of the timer LVT entry
 * @shift: log2 of the divisor, 0 to 7
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
 * @regs: page-aligned 4 KiB in the layout of the xAPIC page, zeroed by the caller; the CPU uses it
 *	as the virtual-APIC page
 * @base: IA32_APIC_BASE
 * @id: initial APIC ID, which is the x2APIC ID
 * @mode: enum lapic_mode according to @base
 * @sw_enabled: bit 8 of the spurious-vector register
 * @hw_irr: virtual-interrupt delivery is on: the CPU changes IRR and ISR itself, so the hints
 *	@irr_hint and @isr_words are not used
 * @isr_words: bit n is set if word n of ISR is not zero
 * @nr_lvt: number of LVT entries: 6, or 7 with CMCI
 * @directed_eoi: suppression of EOI broadcasts is supported
 * @tsc_deadline: TSC-deadline mode is supported
 * @lint0_extint: a reset sets LINT0 of the BSP to virtual wire mode (unmasked ExtINT)
 * @bsp: this is the APIC of the BSP
 * @report_tpr: report guest accesses to TPR to the caller, by LAPIC_EFF_TPR_*
 * @timer: mode, count and deadline of the timer
 * @esr_pending: errors since the last write to ESR, as ESR bit numbers; changed atomically
 * @irr_hint: byte n is 1 if word n of IRR may be non-zero. Any CPU sets it after the IRR bit; the
 *	vCPU's thread clears it before it reads the IRR word again.
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
	bool report_tpr;
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

/* Return the address of the word that has the bit of vector @vec in the 256-bit register @reg. */
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

/* ---- priority (IRR, ISR, TPR, PPR): these functions are called at each VM exit or entry ---- */

/**
 * lapic_scan() - find the highest vector that is set in a 256-bit register
 * @l: the APIC
 * @reg: APIC_IRR, APIC_ISR or APIC_TMR
 *
 * Return: the vector, or -1.
 */
int lapic_scan(const struct lapic *l, u32 reg);

/* Return the highest vector in IRR, or -1. May miss a message that arrives concurrently. */
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

/* Return the highest vector in ISR, or -1. */
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

/* Compute the processor priority (SDM, "Task and Processor Priorities"). */
static inline u8 lapic_ppr(const struct lapic *l)
{
	u32 tpr = lapic_get(l, APIC_TASKPRI) & 0xff;
	int isr = lapic_highest_isr(l);

	if (isr < 0 || (tpr & 0xf0) >= ((u32)isr & 0xf0))
		return tpr;
	return isr & 0xf0;
}

/* Return @irr, the highest vector in IRR, if its priority is above PPR; otherwise -1. */
static inline int lapic_deliverable(const struct lapic *l, int irr)
{
	return irr < 0 || (irr & 0xf0) <= (lapic_ppr(l) & 0xf0) ? -1 : irr;
}

/**
 * lapic_has_interrupt() - find the vector that the processor would accept at this time
 * @l: the APIC
 *
 * Any CPU may call this, but the result is stable only in the thread of the APIC's vCPU.
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
 * lapic_set_tpr() - write the task-priority register
 * @l: the APIC
 * @tpr: 0 to 255; for a CR8 write, CR8 shifted left by 4
 * @eff: LAPIC_EFF_RECHECK is added if the TPR changed and IRR may have a vector
 */
void lapic_set_tpr(struct lapic *l, u8 tpr, struct lapic_effect *eff);

/**
 * lapic_set_irr() - request a vector; any CPU may call this
 * @l: the APIC
 * @vector: 0 to 255
 *
 * Return: true if the IRR bit was clear: then the caller must kick the vCPU. If the bit was set
 * already, its setter kicks the vCPU.
 */
static inline bool lapic_set_irr(struct lapic *l, u8 vector)
{
	bool was = test_and_set_bit(vector & 31, lapic_vec_word(l, APIC_IRR, vector));

	/*
	 * Set the hint after the IRR bit. lapic_ack() clears the hint before it reads IRR. So if it
	 * does not see the new IRR bit, it has cleared the hint before the hint is set here.
	 */
	WRITE_ONCE(l->irr_hint.word[vector >> 5], 1);
	return !was;
}

/**
 * lapic_set_tmr() - record the trigger mode of a vector's next interrupt; any CPU may call this
 * @l: the APIC
 * @vector: 0 to 255
 * @level: true for level-triggered
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
 * lapic_ack() - acknowledge an interrupt: move a vector from IRR to ISR
 * @l: the APIC
 * @vector: the result of lapic_has_interrupt()
 */
void lapic_ack(struct lapic *l, u8 vector);

/**
 * lapic_complete() - clear a vector in ISR
 * @l: the APIC
 * @vector: the highest vector in ISR
 *
 * The caller reports the EOI to the IOAPIC or to userspace if necessary.
 *
 * Return: true if the processor would now accept another interrupt.
 */
bool lapic_complete(struct lapic *l, u8 vector);

/**
 * lapic_eoi() - complete the interrupt with the highest vector in ISR
 * @l: the APIC
 * @eff: LAPIC_EFF_EOI and LAPIC_EFF_RECHECK are added if they apply
 */
void lapic_eoi(struct lapic *l, struct lapic_effect *eff);

/**
 * lapic_eoi_done() - report the effects of an EOI that the CPU has already virtualized
 * @l: the APIC
 * @vector: the completed vector, from the exit qualification
 * @eff: LAPIC_EFF_EOI is added
 */
void lapic_eoi_done(const struct lapic *l, u8 vector, struct lapic_effect *eff);

/**
 * lapic_set_hw_irr() - switch between delivery by the CPU (virtual-interrupt delivery) and by the
 * model
 * @l: the APIC
 * @on: the CPU changes IRR and ISR of this vCPU by itself
 */
void lapic_set_hw_irr(struct lapic *l, bool on);

/* Guest accesses */

/**
 * lapic_mmio_read() - read from the xAPIC page
 * @l: the APIC, in xAPIC mode
 * @offset: 0 to 4095
 * @len: 1 to 8; a read that is not inside one aligned 32-bit register returns zeroes
 * @data: result, @len bytes
 * @now_ns: current time of the timer's clock, in ns; used only for the current-count register
 * @eff: LAPIC_EFF_ERROR is added for a reserved register
 */
void lapic_mmio_read(struct lapic *l, u32 offset, u32 len, void *data, u64 now_ns,
		     struct lapic_effect *eff);

/**
 * lapic_mmio_write() - write to the xAPIC page
 * @l: the APIC, in xAPIC mode
 * @offset: 0 to 4095; only aligned 4-byte writes have an effect
 * @len: number of bytes at @data
 * @data: the value
 * @eff: effects are added
 */
void lapic_mmio_write(struct lapic *l, u32 offset, u32 len, const void *data,
		      struct lapic_effect *eff);

/**
 * lapic_trap_write() - report the effects of a write that the CPU has already stored in the page
 * @l: the APIC
 * @offset: page offset from the exit qualification (APIC-write VM exit)
 * @eff: effects are added
 */
void lapic_trap_write(struct lapic *l, u32 offset, struct lapic_effect *eff);

/**
 * lapic_msr_read() - RDMSR of an x2APIC register
 * @l: the APIC
 * @msr: 0x800 to 0x8ff
 * @val: result
 * @now_ns: current time of the timer's clock, in ns; used only for the current-count register
 *
 * Return: LAPIC_GP for a register that does not exist, or outside x2APIC mode.
 */
enum lapic_result lapic_msr_read(struct lapic *l, u32 msr, u64 *val, u64 now_ns);

/**
 * lapic_msr_write() - WRMSR of an x2APIC register
 * @l: the APIC
 * @msr: 0x800 to 0x8ff
 * @val: the value
 * @eff: effects are added
 *
 * Return: LAPIC_GP for a register that does not exist or is read-only, for a reserved bit, or
 * outside x2APIC mode.
 */
enum lapic_result lapic_msr_write(struct lapic *l, u32 msr, u64 val, struct lapic_effect *eff);

/* Return true if a read of the register at this page offset needs the timer's clock. */
static inline bool lapic_reads_clock(u32 offset)
{
	return (offset & 0xff0) == APIC_TMCCT;
}

/* Return true if @msr is the current-count register. */
static inline bool lapic_msr_reads_clock(u32 msr)
{
	return msr == APIC_BASE_MSR + (APIC_TMCCT >> 4);
}

/* Messages */

/**
 * lapic_accept() - receive one message at one APIC; any CPU may call this
 * @l: the target, already chosen by destination
 * @irq: the message; @irq->shorthand and @irq->dest_id are not used
 *
 * For a fixed or lowest-priority message, the function checks the vector and sets TMR. The caller
 * then sets IRR or posts the interrupt. The effects of all other messages are the caller's work.
 *
 * Return: what the APIC did with the message.
 */
enum lapic_accepted lapic_accept(struct lapic *l, const struct lapic_irq *irq);

/**
 * lapic_local() - make the message of a local interrupt source
 * @l: the APIC
 * @lvt: the source's LVT entry
 * @irq: filled in with the message for lapic_accept()
 *
 * If @lvt is the performance-counter entry, set its mask bit, as hardware does.
 *
 * Return: false if the entry is masked or does not exist, or the APIC is disabled.
 */
bool lapic_local(struct lapic *l, enum lapic_lvt lvt, struct lapic_irq *irq);

/**
 * lapic_ipi() - make the message that an ICR write sends
 * @l: the sender
 * @eff: effects of the write, with LAPIC_EFF_IPI
 * @irq: filled in with the message
 */
void lapic_ipi(const struct lapic *l, const struct lapic_effect *eff, struct lapic_irq *irq);

/**
 * lapic_accepts_extint() - return true if the APIC is disabled or LINT0 is an unmasked ExtINT
 * @l: the APIC
 *
 * The processor accepts a PIC's INTR in these cases.
 */
bool lapic_accepts_extint(const struct lapic *l);

/* Return true if LINT0 is an unmasked NMI. The guest then uses the PIT as an NMI watchdog. */
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
	LAPIC_MAP_ALIAS		= BIT(3),	/* no table has all logical destinations */
};

/**
 * struct lapic_map - destination map: the APICs by destination; read-only after it is built
 * @max_id: highest index of @phys
 * @nr: number of entries in @all
 * @mode: OR of the LAPIC_MAP_* bits of all APICs. If exactly one bit is set, a table contains the
 *	logical destinations: @flat for LAPIC_MAP_FLAT, @cluster for LAPIC_MAP_CLUSTER, @phys for
 *	LAPIC_MAP_X2APIC. Otherwise lapic_match_dest() has to test every APIC
 * @phys_alias: two APICs have the same physical ID, so the tables are used for no message
 * @xapic: an APIC is in xAPIC mode, so 0xff may be a broadcast
 * @no_quirk: 0xff in a device's message is not a broadcast to x2APICs
 * @flat: for each bit of a flat logical ID, the APIC that has this bit set
 * @cluster: for each cluster and each bit of a logical ID in it, the APIC that has this bit set
 * @all: every APIC that IA32_APIC_BASE enables
 * @phys: APICs by physical ID
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
 * struct lapic_dests - the destinations of a message, in one of two forms
 * @slot: array that contains the destinations
 * @mask: used if @search is false: bit n (0 to 15) is 1 if the APIC @slot[n] is a destination
 * @nr: used if @search is true: number of elements in @slot. The caller has to test each of them by
 *	lapic_match_dest()
 * @search: no table of the map gives the destinations of this message
 */
struct lapic_dests {
	struct lapic *const *slot;
	u32 mask;
	u32 nr;
	bool search;
};

/**
 * lapic_map_size() - Return the size in bytes of a map with its arrays, as one allocation
 * @max_id: highest x2APIC ID in the VM; the map has room for IDs 0 to 255 at least
 * @nr: number of APICs
 */
size_t lapic_map_size(u32 max_id, u32 nr);

/**
 * lapic_map_init() - initialize a map
 * @map: a zeroed allocation of lapic_map_size() bytes
 * @max_id: highest x2APIC ID in the VM
 * @no_quirk: KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK is set
 */
void lapic_map_init(struct lapic_map *map, u32 max_id, bool no_quirk);

/**
 * lapic_map_add() - add an APIC to the map, unless the APIC is disabled
 * @map: the map; lapic_map_size() was told how many APICs will be added
 * @l: the APIC
 */
void lapic_map_add(struct lapic_map *map, struct lapic *l);

/**
 * lapic_map_find() - find the APICs that may be destinations of a message
 * @map: the map
 * @src: the sending APIC, NULL for a device
 * @irq: the message; its shorthand is not APIC_DEST_SELF
 * @out: result
 *
 * Context: any CPU.
 */
void lapic_map_find(const struct lapic_map *map, const struct lapic *src,
		    const struct lapic_irq *irq, struct lapic_dests *out);

/**
 * lapic_map_one() - find the only target of a physical message, faster than lapic_map_find()
 * @map: the map
 * @irq: the message
 *
 * Return: the only target; or NULL if this function cannot tell, and the caller must use
 * lapic_map_find().
 */
static inline struct lapic *lapic_map_one(const struct lapic_map *map, const struct lapic_irq *irq)
{
	if (irq->shorthand || irq->dest_mode != APIC_DEST_PHYSICAL || lapic_irq_lowest(irq) ||
	    map->phys_alias || irq->dest_id == LAPIC_BROADCAST || irq->dest_id > map->max_id)
		return NULL;
	return map->phys[array_index_nospec(irq->dest_id, map->max_id + 1)];
}

/**
 * lapic_match_dest() - return true if a message is addressed to this APIC. Any CPU may call this
 * @t: the target
 * @src: the sender, NULL for a device
 * @irq: the message
 * @no_quirk: 0xff in a device's message is not a broadcast to x2APICs
 *
 * The result does not depend on whether the target is enabled.
 */
bool lapic_match_dest(const struct lapic *t, const struct lapic *src,
		      const struct lapic_irq *irq, bool no_quirk);

/**
 * lapic_lowest() - choose the candidate that receives a lowest-priority message
 * @vector: the vector, which selects the candidate
 * @nr: number of candidates
 *
 * Uses upstream KVM's default policy ("vector hashing"), which reads no register of the candidates.
 *
 * Return: index of the chosen candidate, below @nr; 0 if @nr is 0.
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
 * struct lapic_config - properties of an APIC that the VM determines
 * @id: initial APIC ID
 * @bsp: the vCPU is the BSP
 * @lint0_extint: KVM_X86_QUIRK_LINT0_REENABLED is on
 * @tick_ns: duration of one timer count at divisor 1, up to LAPIC_MAX_TICK_NS; 0 means 1
 */
struct lapic_config {
	u32 id;
	u32 tick_ns;
	bool bsp;
	bool lint0_extint;
};

/**
 * lapic_init() - initialize a model to its reset state
 * @l: the APIC; its old contents do not matter
 * @regs: page-aligned 4 KiB, zeroed; the caller still owns them
 * @cfg: configuration
 */
void lapic_init(struct lapic *l, u8 *regs, const struct lapic_config *cfg);

/**
 * lapic_reset() - reset the APIC by RESET or INIT
 * @l: the APIC
 * @init: true for INIT, which keeps IA32_APIC_BASE and the ID; false for RESET
 * @eff: LAPIC_EFF_MAP, LAPIC_EFF_TIMER_STOP and LAPIC_EFF_LVT0 are added, and for RESET the effects
 *	of lapic_set_base()
 */
void lapic_reset(struct lapic *l, bool init, struct lapic_effect *eff);

/**
 * lapic_set_version() - set the features that the version register reports
 * @l: the APIC
 * @cmci: the APIC has a seventh LVT entry, for CMCI; if it had none before, the entry is masked
 * @directed_eoi: the guest can suppress EOI broadcasts (SPIV bit 12)
 */
void lapic_set_version(struct lapic *l, bool cmci, bool directed_eoi);

/**
 * lapic_base_legal() - return true if it is legal to write @val to IA32_APIC_BASE
 * @old: current value
 * @val: new value
 * @reserved: reserved bits, which depend on the guest's MAXPHYADDR and on CPUID's x2APIC bit
 * @host: an ioctl writes the value: it may switch between any two legal modes
 *
 * If the result is false, a guest's write must cause #GP(0). Source: SDM, "x2APIC State
 * Transitions".
 */
bool lapic_base_legal(u64 old, u64 val, u64 reserved, bool host);

/**
 * lapic_set_base() - write IA32_APIC_BASE
 * @l: the APIC
 * @val: a value that lapic_base_legal() accepted
 * @eff: LAPIC_EFF_MODE, LAPIC_EFF_BASE, LAPIC_EFF_MAP are added if they apply
 */
void lapic_set_base(struct lapic *l, u64 val, struct lapic_effect *eff);

static inline enum lapic_mode lapic_base_mode(u64 base)
{
	return (enum lapic_mode)((base >> 10) & 3);
}

/**
 * lapic_get_state() - get the state for KVM_GET_LAPIC
 * @l: the APIC
 * @out: result, LAPIC_STATE_SIZE bytes
 * @ids32: KVM_X2APIC_API_USE_32BIT_IDS: the ID register has the x2APIC format
 * @now_ns: current time of the APIC timer's clock, in ns
 */
void lapic_get_state(const struct lapic *l, u8 *out, bool ids32, u64 now_ns);

/**
 * lapic_set_state() - set the state of KVM_SET_LAPIC
 * @l: the APIC; its mode and @l->id do not change
 * @in: LAPIC_STATE_SIZE bytes, which may be invalid
 * @ids32: KVM_X2APIC_API_USE_32BIT_IDS: the ID register has the x2APIC format
 * @now_ns: current time of the APIC timer's clock, in ns; a timer that was counting continues
 *	from the saved count
 * @eff: LAPIC_EFF_MAP, _TIMER_STOP, _TIMER_ARM, _LVT0 and _RECHECK are added; _ID and _ENABLED if
 *	they apply
 *
 * Return: 0, or -EINVAL if the 32-bit ID is not the APIC's; nothing is changed then.
 */
int lapic_set_state(struct lapic *l, const u8 *in, bool ids32, u64 now_ns,
		    struct lapic_effect *eff);

/* Timer arithmetic: irq/model/lapic_timer.c */

/**
 * lapic_timer_start() - start a countdown from the initial count
 * @t: the timer
 * @count: the initial-count register
 * @now_ns: current time of the timer's clock, in ns
 *
 * Return: true if the timer runs and @t->expiry_ns is set.
 */
bool lapic_timer_start(struct lapic_timer *t, u32 count, u64 now_ns);

/**
 * lapic_timer_resume() - continue a saved countdown
 * @t: the timer
 * @initial: initial count
 * @current_count: saved current count; a value above @initial is treated as @initial
 * @exact: @current_count was read from the timer when the state was saved
 * @now_ns: current time of the timer's clock, in ns
 *
 * A one-shot timer with an exact count of 0 has fired and is not started again. A one-shot timer
 * with an inexact count of 0 may have fired or not. It fires at once, because an extra tick does
 * less harm than a lost tick. A periodic timer with a count of 0 starts a whole period.
 *
 * Return: true if the timer runs.
 */
bool lapic_timer_resume(struct lapic_timer *t, u32 initial, u32 current_count, bool exact,
			u64 now_ns);

/**
 * lapic_timer_scale() - change the divisor, perhaps during a countdown
 * @t: the timer, with the old divisor
 * @shift: log2 of the new divisor
 * @initial: initial count
 * @now_ns: current time of the timer's clock, in ns
 *
 * The current count keeps its value, so the remaining time is scaled.
 *
 * Return: true if the timer runs and @t->expiry_ns changed.
 */
bool lapic_timer_scale(struct lapic_timer *t, u8 shift, u32 initial, u64 now_ns);

/**
 * lapic_timer_fired() - compute the next expiry after a countdown has ended
 * @t: the timer
 * @now_ns: current time of the timer's clock, in ns
 *
 * Missed periods are dropped and the phase is kept, so a VM that was stopped for an hour gets one
 * tick. The next expiry is at least a quarter of LAPIC_MIN_PERIOD_NS after @now_ns.
 *
 * Return: true for a periodic timer, which the caller must arm again for @t->expiry_ns.
 */
bool lapic_timer_fired(struct lapic_timer *t, u64 now_ns);

/**
 * lapic_timer_current() - compute the current-count register
 * @t: the timer
 * @now_ns: current time of the timer's clock, in ns
 *
 * Return: the remaining count, 0 if the timer is stopped or in TSC-deadline mode.
 */
u32 lapic_timer_current(const struct lapic_timer *t, u64 now_ns);

/**
 * lapic_timer_saved() - compute the current count for a saved state
 * @t: the timer
 * @now_ns: current time of the timer's clock, in ns
 *
 * Return: the remaining count; 0 if the timer is stopped or in TSC-deadline mode. If a one-shot
 * timer has expired, but its tick is not yet delivered, the result is 1: in a saved state, 0 means
 * that the tick was delivered.
 */
u32 lapic_timer_saved(const struct lapic_timer *t, u64 now_ns);

/**
 * lapic_timer_shift() - get log2 of the divisor from the divide-configuration register
 * @dcr: the register
 *
 * Return: 0 to 7.
 */
static inline u8 lapic_timer_shift(u32 dcr)
{
	return (((dcr & 3) | ((dcr & 8) >> 1)) + 1) & 7;
}

/**
 * lapic_tsc_to_ns() - convert guest TSC ticks to nanoseconds
 * @ticks: number of ticks
 * @khz: guest TSC frequency; for 0 the result is the maximum
 *
 * Return: nanoseconds, at most S64_MAX / 4.
 */
u64 lapic_tsc_to_ns(u64 ticks, u32 khz);

/**
 * lapic_set_tscdeadline() - WRMSR of IA32_TSC_DEADLINE
 * @l: the APIC
 * @tsc: the deadline; 0 disarms the timer
 *
 * Return: false if the write is ignored because the timer is not in TSC-deadline mode.
 */
bool lapic_set_tscdeadline(struct lapic *l, u64 tsc);

/* RDMSR of IA32_TSC_DEADLINE; returns 0 if the timer is not in TSC-deadline mode. */
static inline u64 lapic_get_tscdeadline(const struct lapic *l)
{
	return l->timer.mode == APIC_LVT_TIMER_TSCDEADLINE ? l->timer.tscdeadline : 0;
}

/* Paravirtual EOI */

/**
 * lapic_pv_eoi_vector() - find the interrupt in service that the guest may complete without VM exit
 * @l: the APIC
 * @handled: bitmap of the 256 vectors; a set bit means that the vector's EOI must cause a VM exit
 *
 * Return: the highest vector in ISR, if IRR is empty, the vector is not in @handled, and
 * virtual-interrupt delivery is off; otherwise -1.
 */
int lapic_pv_eoi_vector(const struct lapic *l, const unsigned long *handled);

/* Functions shared by the lapic*.c files */

/* Return the writable bits of an LVT entry. */
u32 lapic_lvt_mask(const struct lapic *l, enum lapic_lvt lvt);
/* Return the writable bits of the spurious-vector register. */
u32 lapic_spiv_mask(const struct lapic *l);
/* Set @l->timer's mode from the timer LVT entry; add LAPIC_EFF_TIMER_STOP to @eff if necessary. */
void lapic_timer_mode(struct lapic *l, struct lapic_effect *eff);
/* Compute @l->isr_words and @l->irr_hint from ISR and IRR in the register page. */
void lapic_recount(struct lapic *l);
/* Raise the period of a periodic timer to LAPIC_MIN_PERIOD_NS if needed. */
void lapic_timer_floor(struct lapic_timer *t);

#endif /* OKVM_IRQ_LAPIC_H */
