/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOAPIC as a register model: an 82093AA with 24 pins, without locks, timers or LAPICs.
 *
 * Functions that change the model fill in a struct ioapic_todo, whose actions the caller carries
 * out. Upstream KVM delivers interrupts in the middle of its register code, and so has to drop and
 * retake its lock there.
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
/* The RTC's pin. KVM_IRQ_LINE_STATUS tells if the guest has acknowledged the RTC's last edge. */
#define IOAPIC_RTC_PIN		8

/* Offsets in the MMIO window. */
#define IOAPIC_SELECT		0x00
#define IOAPIC_WINDOW		0x10

/* Indirect registers. The redirection entries, two words each, begin at IOAPIC_REDIR. */
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

/* A level interrupt that recurs right after this many EOIs in a row is a storm and is delayed. */
#define IOAPIC_STORM_EOIS	10000
#define IOAPIC_STORM_DELAY_MS	10

/**
 * enum ioapic_line - the result of setting a pin's level
 * @IOAPIC_LINE_IGNORED: the pin is masked, waits for its EOI, or does not exist
 * @IOAPIC_LINE_COALESCED: the previous edge of the pin has not been accepted yet
 * @IOAPIC_LINE_TAKEN: the line went low, or a message is to be delivered
 *
 * KVM_IRQ_LINE_STATUS reports these values.
 */
enum ioapic_line {
	IOAPIC_LINE_IGNORED = -1,
	IOAPIC_LINE_COALESCED = 0,
	IOAPIC_LINE_TAKEN = 1,
};

/**
 * struct ioapic - registers and pins
 * @select: register that the data window accesses, 0 to 255
 * @id: bits 27:24 of the ID register, as a number from 0 to 15
 * @rtc_vector: vector of the last reported RTC edge
 * @rtc_report: the last RTC edge came from KVM_IRQ_LINE_STATUS: when its message is delivered, set
 *	@rtc_pending to the number of CPUs that accepted it
 * @irr: level- and edge-triggered pins whose line went high and has not fallen since
 * @sent: edge-triggered pins in @irr whose message was sent
 * @rtc_pending: number of CPUs that have not yet acknowledged the last reported RTC edge
 * @base: base address that userspace stored; has no effect on the MMIO range
 * @redir: the redirection table
 * @sources: per pin, the sources that drive the line high
 * @streak: per pin, number of EOIs in a row after which the line was still high
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
 * struct ioapic_todo - actions for the caller, who zeroes it before the call
 * @deliver: pins whose ioapic_message() must be sent; ioapic_delivered() reports each result
 * @masked: pins that became masked
 * @unmasked: pins that became unmasked
 * @pending: those pins in @deliver whose line was already high when the guest enabled their
 *	delivery (for example by unmasking). If the GSI of such a pin has a resampler, the caller
 *	removes the pin from @deliver and calls the resampler.
 * @rescan: the set of vectors whose EOI the IOAPIC must see has changed
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
 * ioapic_reset() - set the model to its power-on state, with every pin masked
 * @io: the model; keeps the levels of its input lines
 */
void ioapic_reset(struct ioapic *io);

/**
 * ioapic_read() - read one word of the MMIO range
 * @io: the model
 * @offset: in the MMIO range; offsets other than those of the two registers read as 0
 */
u32 ioapic_read(const struct ioapic *io, u32 offset);

/**
 * ioapic_write() - write one word of the MMIO range
 * @io: the model
 * @offset: in the MMIO range; writes to offsets other than those of the two registers are ignored
 * @val: the value
 * @todo: actions for the caller
 */
void ioapic_write(struct ioapic *io, u32 offset, u32 val, struct ioapic_todo *todo);

/**
 * ioapic_set_line() - set the level at which a source drives a pin
 * @io: the model
 * @pin: the pin; pins that do not exist are ignored
 * @source: 0 to IOAPIC_SOURCES - 1; the line is high while any source drives it high
 * @high: the source's level
 * @report: the caller needs to know of unacknowledged RTC edges
 * @todo: actions for the caller
 *
 * Return: the status for KVM_IRQ_LINE_STATUS. If the status is IOAPIC_LINE_TAKEN and the pin is in
 * @todo->deliver, the caller has to report the number of CPUs that accepted the message instead.
 */
enum ioapic_line ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source,
				 bool high, bool report, struct ioapic_todo *todo);

/**
 * ioapic_message() - Return the interrupt message of a pin
 * @io: the model
 * @pin: a pin in ioapic_todo.deliver
 */
struct gsi_message ioapic_message(const struct ioapic *io, unsigned int pin);

/**
 * ioapic_delivered() - report the result of a message's delivery
 * @io: the model
 * @pin: the message's pin
 * @cpus: number of CPUs that accepted the message; 0 or less if none did
 */
void ioapic_delivered(struct ioapic *io, unsigned int pin, int cpus);

/**
 * ioapic_eoi_begin() - find the pins that an EOI of a local APIC concerns
 * @io: the model
 * @vector: vector of the EOI
 *
 * Return: the pins. The caller drops the lock that guards @io, calls the ack notifiers of the pins,
 * and then calls ioapic_eoi_finish(). If a notifier raises a line, ioapic_eoi_finish() delivers the
 * interrupt.
 */
u32 ioapic_eoi_begin(struct ioapic *io, u8 vector);

/**
 * ioapic_eoi_finish() - clear remote IRR of pins, and deliver pins that are still high
 * @io: the model
 * @pins: the result of ioapic_eoi_begin()
 * @todo: actions for the caller
 *
 * Called only for level-triggered interrupts whose EOI was broadcast.
 */
void ioapic_eoi_finish(struct ioapic *io, u32 pins, struct ioapic_todo *todo);

/**
 * ioapic_reinject() - deliver the level interrupts that ioapic_eoi_finish() delayed
 * @io: the model
 * @todo: actions for the caller
 */
void ioapic_reinject(struct ioapic *io, struct ioapic_todo *todo);

/**
 * ioapic_eoi_vectors() - get the vectors whose EOI the IOAPIC must see, among them the RTC's
 * @io: the model
 * @extra: pins with ack notifiers, which are included even if they are edge-triggered
 * @map: result, 256 bits
 */
void ioapic_eoi_vectors(const struct ioapic *io, u32 extra, u64 map[4]);

/**
 * ioapic_get_state() - get the state for KVM_GET_IRQCHIP
 * @io: the model
 * @state: result; every byte is written
 */
void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state);

/**
 * ioapic_set_state() - restore the state from KVM_SET_IRQCHIP
 * @io: the model; its member sources, the state of the input lines, does not change
 * @state: any values; those that the registers cannot have are corrected
 * @todo: actions for the caller
 */
void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state,
		      struct ioapic_todo *todo);

#endif
