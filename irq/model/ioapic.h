/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOAPIC as a register model: a 82093AA with 24 pins, without locks, timers or LAPICs.
 *
 * Calls that change the model fill a struct ioapic_todo; the caller carries it out. Upstream
 * delivers from inside its register code, which is why it drops and retakes its lock there.
 */
#ifndef OKVM_IRQ_IOAPIC_H
#define OKVM_IRQ_IOAPIC_H

#include <linux/bits.h>
#include <linux/kvm.h>
#include <linux/types.h>

#include "irq/model/gsi.h"

#define IOAPIC_PINS		24
#define IOAPIC_BASE		0xfec00000ULL
#define IOAPIC_LENGTH		0x100
#define IOAPIC_SOURCES		64
/* The RTC's pin: userspace asks whether its last edge was already acknowledged. */
#define IOAPIC_RTC_PIN		8

/* Offsets in the MMIO window. */
#define IOAPIC_SELECT		0x00
#define IOAPIC_WINDOW		0x10

/* Indirect registers; the redirection entries follow, two words each, from IOAPIC_REDIR on. */
#define IOAPIC_REG_ID		0x00
#define IOAPIC_REG_VERSION	0x01
#define IOAPIC_REG_ARB		0x02
#define IOAPIC_REDIR		0x10

/* Fields of a redirection entry (82093AA, "I/O Redirection Table Registers"). */
#define IOAPIC_E_VECTOR		GENMASK_ULL(7, 0)
#define IOAPIC_E_MODE_SHIFT	8
#define IOAPIC_E_MODE		GENMASK_ULL(10, 8)
#define IOAPIC_E_LOGICAL	BIT_ULL(11)
#define IOAPIC_E_STATUS		BIT_ULL(12)
#define IOAPIC_E_ACTIVE_LOW	BIT_ULL(13)
#define IOAPIC_E_REMOTE_IRR	BIT_ULL(14)
#define IOAPIC_E_LEVEL		BIT_ULL(15)
#define IOAPIC_E_MASKED		BIT_ULL(16)
#define IOAPIC_E_DEST_SHIFT	56

/* Level interrupts that come back right after their EOI this often in a row are delayed. */
#define IOAPIC_STORM_EOIS	10000
#define IOAPIC_STORM_DELAY_MS	10

/**
 * enum ioapic_line - what became of a change of a pin's level
 * @IOAPIC_LINE_IGNORED: masked, waiting for its EOI, or no such pin
 * @IOAPIC_LINE_COALESCED: the previous edge of the same pin has not been taken yet
 * @IOAPIC_LINE_TAKEN: the line went low, or a message is to be delivered
 *
 * The values are those that KVM_IRQ_LINE_STATUS reports.
 */
enum ioapic_line {
	IOAPIC_LINE_IGNORED = -1,
	IOAPIC_LINE_COALESCED = 0,
	IOAPIC_LINE_TAKEN = 1,
};

/**
 * struct ioapic - the registers and the pins
 * @select: the register that the window shows, 0 to 255
 * @id: bits 27:24 of the ID register, as a number of 0 to 15
 * @irr: pins whose (combined) line is high, edges included until the line falls
 * @sent: edge pins of @irr whose message is on its way
 * @rtc_pending: CPUs that have not yet acknowledged the last reported RTC edge
 * @rtc_vector: the vector of that edge
 * @rtc_report: the pending RTC message is one whose acknowledgment is tracked
 * @base: what userspace stored as base address; the bus decides where the window is
 * @redir: the redirection table
 * @sources: per pin, the sources that hold the line high
 * @streak: per pin, EOIs in a row that found the line still high
 */
struct ioapic {
	u8 select;
	u8 id;
	u8 rtc_vector;
	bool rtc_report;
	u32 irr;
	u32 sent;
	u32 rtc_pending;
	u64 base;
	u64 redir[IOAPIC_PINS];
	u64 sources[IOAPIC_PINS];
	u32 streak[IOAPIC_PINS];
};

/**
 * struct ioapic_todo - what a call leaves to its caller; zeroed by the caller before the call
 * @deliver: pins whose ioapic_message() is to be sent, each answered with ioapic_delivered()
 * @masked: pins that have become masked
 * @unmasked: pins that have become unmasked
 * @pending: pins of @deliver that are no news, but were high before a guest's write let them
 *	through. A pin of it whose line can be sampled again is taken out of @deliver for that.
 * @rescan: the set of vectors whose EOI the IOAPIC wants has changed
 * @delay: call ioapic_reinject() after IOAPIC_STORM_DELAY_MS
 */
struct ioapic_todo {
	u32 deliver;
	u32 masked;
	u32 unmasked;
	u32 pending;
	bool rescan;
	bool delay;
};

/**
 * ioapic_reset() - put the model into its state after power on: every pin masked
 * @io: the model; the levels of its input lines are kept
 */
void ioapic_reset(struct ioapic *io);

/**
 * ioapic_read() - read one word of the MMIO window
 * @io: the model
 * @offset: in the window; other offsets than the two registers read as 0
 */
u32 ioapic_read(const struct ioapic *io, u32 offset);

/**
 * ioapic_write() - write one word of the MMIO window
 * @io: the model
 * @offset: in the window; writes to other offsets than the two registers are ignored
 * @val: the value
 * @todo: filled for the caller
 */
void ioapic_write(struct ioapic *io, u32 offset, u32 val, struct ioapic_todo *todo);

/**
 * ioapic_set_line() - a source raises or lowers its share of a pin
 * @io: the model
 * @pin: the pin; out of range is ignored
 * @source: 0 to IOAPIC_SOURCES - 1; the line is high while any source holds it
 * @high: the source's level
 * @report: the caller wants to know of unacknowledged RTC edges
 * @todo: filled for the caller
 *
 * Return: what became of it. When it is IOAPIC_LINE_TAKEN and @todo->deliver has the pin, the
 * caller's result is the number of CPUs that took the message.
 */
enum ioapic_line ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source,
				 bool high, bool report, struct ioapic_todo *todo);

/**
 * ioapic_message() - the message of a pin
 * @io: the model
 * @pin: a pin of ioapic_todo.deliver
 */
struct gsi_message ioapic_message(const struct ioapic *io, unsigned int pin);

/**
 * ioapic_delivered() - report how a message fared
 * @io: the model
 * @pin: its pin
 * @cpus: the number of CPUs that took it; 0 or less if none did
 */
void ioapic_delivered(struct ioapic *io, unsigned int pin, int cpus);

/**
 * ioapic_eoi_begin() - a local APIC has ended an interrupt: which pins does it concern
 * @io: the model
 * @vector: the ended vector
 *
 * Return: the pins. The caller runs their acknowledge notifiers, with its lock dropped, and then
 * calls ioapic_eoi_finish() with them; a line that a notifier raises meanwhile is kept for then.
 */
u32 ioapic_eoi_begin(struct ioapic *io, u8 vector);

/**
 * ioapic_eoi_finish() - clear remote IRR and deliver again what is still high
 * @io: the model
 * @pins: what ioapic_eoi_begin() returned
 * @todo: filled for the caller
 *
 * Only for level-triggered interrupts whose EOI was broadcast.
 */
void ioapic_eoi_finish(struct ioapic *io, u32 pins, struct ioapic_todo *todo);

/**
 * ioapic_reinject() - deliver the level interrupts that ioapic_eoi_finish() held back
 * @io: the model
 * @todo: filled for the caller
 */
void ioapic_reinject(struct ioapic *io, struct ioapic_todo *todo);

/**
 * ioapic_eoi_vectors() - the vectors whose EOI the IOAPIC must see
 * @io: the model
 * @extra: pins that count although they are edge-triggered (acknowledge notifiers)
 * @map: 256 bits, set by the call
 */
void ioapic_eoi_vectors(const struct ioapic *io, u32 extra, u64 map[4]);

/**
 * ioapic_get_state() - the registers in the form of KVM_GET_IRQCHIP
 * @io: the model
 * @state: every byte is written
 */
void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state);

/**
 * ioapic_set_state() - restore the registers from KVM_SET_IRQCHIP
 * @io: the model; its input lines are kept
 * @state: any values: what the registers cannot hold is dropped
 * @todo: filled for the caller
 */
void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state,
		      struct ioapic_todo *todo);

#endif
