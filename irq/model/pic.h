/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two cascaded 8259A of a PC as a register model, without locks or vCPUs.
 *
 * The model keeps its registers in the structure of the ABI; calls that change it tell their
 * caller by a struct pic_todo whom to notify.
 */
#ifndef OKVM_IRQ_PIC_H
#define OKVM_IRQ_PIC_H

#include <linux/kvm.h>
#include <linux/types.h>

#define PIC_PINS		16
#define PIC_SOURCES		64

#define PIC_PORT_MASTER		0x20
#define PIC_PORT_SLAVE		0xa0
#define PIC_PORT_ELCR		0x4d0
#define PIC_PORTS_EACH		2

/**
 * enum pic_chip - index of the two controllers
 * @PIC_MASTER: pins 0 to 7
 * @PIC_SLAVE: pins 8 to 15
 */
enum pic_chip {
	PIC_MASTER = 0,
	PIC_SLAVE = 1,
};

/**
 * enum pic_line - what became of a change of a pin's level
 * @PIC_LINE_IGNORED: masked, or no such pin
 * @PIC_LINE_COALESCED: the pin was already requesting
 * @PIC_LINE_TAKEN: noted
 *
 * The values are those that KVM_IRQ_LINE_STATUS reports.
 */
enum pic_line {
	PIC_LINE_IGNORED = -1,
	PIC_LINE_COALESCED = 0,
	PIC_LINE_TAKEN = 1,
};

/**
 * struct pic - both controllers and their input lines
 * @chip: the registers, indexed by enum pic_chip
 * @sources: per pin, the sources that hold the line high
 * @cascade: the slave's INT output, which is the master's pin 2
 * @output: the master's INT output
 */
struct pic {
	struct kvm_pic_state chip[2];
	u64 sources[PIC_PINS];
	bool cascade;
	bool output;
};

/**
 * struct pic_todo - what a call leaves to its caller; zeroed by the caller before the call
 * @acked: pins whose interrupt has been ended: run their acknowledge notifiers
 * @masked: pins that have become masked
 * @unmasked: pins that have become unmasked
 * @raised: the INT output went high: wake the vCPU that takes PIC interrupts
 */
struct pic_todo {
	u16 acked;
	u16 masked;
	u16 unmasked;
	bool raised;
};

/**
 * pic_reset() - put both controllers into their state after power on
 * @pic: the model; the levels of its input lines are kept
 */
void pic_reset(struct pic *pic);

/**
 * pic_read() - read one byte from a port
 * @pic: the model
 * @port: one of the PIC_PORT_ pairs; others read as 0
 * @todo: filled for the caller: a poll acknowledges an interrupt
 */
u8 pic_read(struct pic *pic, u16 port, struct pic_todo *todo);

/**
 * pic_write() - write one byte to a port
 * @pic: the model
 * @port: one of the PIC_PORT_ pairs; others are ignored
 * @val: the value
 * @todo: filled for the caller
 */
void pic_write(struct pic *pic, u16 port, u8 val, struct pic_todo *todo);

/**
 * pic_set_line() - a source raises or lowers its share of a pin
 * @pic: the model
 * @pin: 0 to 15; out of range is ignored
 * @source: 0 to PIC_SOURCES - 1; the line is high while any source holds it
 * @high: the source's level
 * @todo: filled for the caller
 */
enum pic_line pic_set_line(struct pic *pic, unsigned int pin, unsigned int source, bool high,
			   struct pic_todo *todo);

/**
 * pic_ack() - the interrupt acknowledge cycle of the CPU
 * @pic: the model
 * @todo: filled for the caller
 *
 * Return: the vector; the spurious one (pin 7 or 15) if the request has vanished.
 */
u8 pic_ack(struct pic *pic, struct pic_todo *todo);

/**
 * pic_get_state() - one controller in the form of KVM_GET_IRQCHIP
 * @pic: the model
 * @chip: which
 * @state: every byte is written
 */
void pic_get_state(const struct pic *pic, enum pic_chip chip, struct kvm_pic_state *state);

/**
 * pic_set_state() - restore one controller from KVM_SET_IRQCHIP
 * @pic: the model
 * @chip: which
 * @state: any values: what the registers cannot hold is dropped
 * @todo: filled for the caller
 */
void pic_set_state(struct pic *pic, enum pic_chip chip, const struct kvm_pic_state *state,
		   struct pic_todo *todo);

#endif
