/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two cascaded 8259A of a PC as a register model, without locks or vCPUs.
 *
 * The registers are kept in the ABI's structure. Functions that change the model fill in a struct
 * pic_todo, which tells the caller what to notify.
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
 * enum pic_line - the result of setting a pin's level
 * @PIC_LINE_IGNORED: the pin is masked or does not exist
 * @PIC_LINE_COALESCED: the pin was already requesting
 * @PIC_LINE_TAKEN: the change was recorded
 *
 * KVM_IRQ_LINE_STATUS reports these values.
 */
enum pic_line {
	PIC_LINE_IGNORED = -1,
	PIC_LINE_COALESCED = 0,
	PIC_LINE_TAKEN = 1,
};

/**
 * struct pic - both controllers and their input lines
 * @chip: registers, indexed by enum pic_chip
 * @sources: per pin, the sources that drive the line high
 * @cascade: INT output of the slave, connected to pin 2 of the master
 * @output: INT output of the master
 */
struct pic {
	struct kvm_pic_state chip[2];
	u64 sources[PIC_PINS];
	bool cascade;
	bool output;
};

/**
 * struct pic_todo - actions for the caller, who zeroes it before the call
 * @acked: pins whose interrupt ended; the caller calls their ack notifiers
 * @masked: pins that became masked
 * @unmasked: pins that became unmasked
 * @raised: the INT output went high; the caller wakes the vCPU that accepts PIC interrupts
 */
struct pic_todo {
	u16 acked;
	u16 masked;
	u16 unmasked;
	bool raised;
};

/**
 * pic_reset() - set both controllers to their power-on state
 * @pic: the model; keeps the levels of its input lines
 */
void pic_reset(struct pic *pic);

/**
 * pic_read() - read one byte from a port
 * @pic: the model
 * @port: port number; ports that are not of the PIC read as 0
 * @todo: actions for the caller. A read has some after a poll command: it acknowledges an interrupt
 */
u8 pic_read(struct pic *pic, u16 port, struct pic_todo *todo);

/**
 * pic_write() - write one byte to a port
 * @pic: the model
 * @port: port number; writes to ports that are not of the PIC are ignored
 * @val: the value
 * @todo: actions for the caller
 */
void pic_write(struct pic *pic, u16 port, u8 val, struct pic_todo *todo);

/**
 * pic_set_line() - set the level at which a source drives a pin
 * @pic: the model
 * @pin: 0 to 15; other pins are ignored
 * @source: 0 to PIC_SOURCES - 1; the line is high while any source drives it high
 * @high: the source's level
 * @todo: actions for the caller
 */
enum pic_line pic_set_line(struct pic *pic, unsigned int pin, unsigned int source, bool high,
			   struct pic_todo *todo);

/**
 * pic_ack() - perform the CPU's interrupt-acknowledge cycle
 * @pic: the model
 * @todo: actions for the caller
 *
 * Return: the vector; the spurious one (pin 7 or 15) if no request is left.
 */
u8 pic_ack(struct pic *pic, struct pic_todo *todo);

/**
 * pic_get_state() - get a controller's state for KVM_GET_IRQCHIP
 * @pic: the model
 * @chip: the controller
 * @state: result; every byte is written
 */
void pic_get_state(const struct pic *pic, enum pic_chip chip, struct kvm_pic_state *state);

/**
 * pic_set_state() - restore a controller's state from KVM_SET_IRQCHIP
 * @pic: the model
 * @chip: the controller
 * @state: any values; those that the registers cannot have are corrected
 * @todo: actions for the caller
 */
void pic_set_state(struct pic *pic, enum pic_chip chip, const struct kvm_pic_state *state,
		   struct pic_todo *todo);

#endif
