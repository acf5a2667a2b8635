/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Port and memory-mapped I/O dispatch: devices register ranges, exits look
 * them up. A bus is a sorted array that is replaced as a whole and read under
 * vm->srcu.
 */
#ifndef OKVM_CORE_IOBUS_H
#define OKVM_CORE_IOBUS_H

#include <linux/types.h>

#include "core/vcpu.h"

struct okvm_io_device;

/**
 * struct okvm_io_ops - what a device can do
 * @read: fill @val, @len bytes. 0, or -EOPNOTSUPP: not mine, try the next device
 * @write: likewise
 * @release: the device is off every bus and no reader is left; may be NULL. May sleep.
 *
 * @read and @write run under vm->srcu in a vCPU's thread with @vcpu loaded. IRQs may be off:
 * they never sleep.
 * @addr is the guest-physical address or port; @len is 1..8 for MMIO, 1, 2, 4 (8) for PIO.
 */
struct okvm_io_ops {
	int (*read)(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
		    void *val);
	int (*write)(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
		     const void *val);
	void (*release)(struct okvm_io_device *dev);
};

/** struct okvm_io_device - embedded in the device's own structure */
struct okvm_io_device {
	const struct okvm_io_ops *ops;
};

/**
 * struct okvm_io_place - where a device is to answer
 * @len: 0 matches accesses that start at @addr, of any length
 */
struct okvm_io_place {
	enum okvm_bus bus;
	gpa_t addr;
	gpa_t len;
	struct okvm_io_device *dev;
};

/**
 * okvm_iobus_register_all() - put devices on the buses, all of them or none
 *
 * The last step that can fail when something is created: everything that the devices reach is
 * complete before, for a vCPU may use them before this returns. If it fails, nobody has seen
 * them.
 *
 * Several devices may overlap (ioeventfds with different datamatch do): look-ups try all of
 * them in registration order.
 * Caller holds vm->bus_lock.
 * Return: 0, -ENOSPC if a bus is full (1000 ranges), -ENOMEM, -EINVAL if a range wraps.
 */
int okvm_iobus_register_all(struct okvm_vm *vm, const struct okvm_io_place *place,
			    unsigned int places);

/** okvm_iobus_register() - okvm_iobus_register_all() for one */
int okvm_iobus_register(struct okvm_vm *vm, enum okvm_bus bus, gpa_t addr, gpa_t len,
			struct okvm_io_device *dev);

/**
 * okvm_iobus_unregister() - take @dev off a bus: all of its ranges there
 *
 * Unlinks, waits for readers, then calls ops->release. If the new array cannot be
 * allocated, the entry is neutralised in place instead; it never fails.
 * Caller holds vm->bus_lock.
 */
void okvm_iobus_unregister(struct okvm_vm *vm, enum okvm_bus bus, struct okvm_io_device *dev);

/** okvm_iobus_has() - is a device at @addr, whatever it takes? Caller holds vm->srcu. */
bool okvm_iobus_has(struct okvm_vcpu *vcpu, enum okvm_bus bus, gpa_t addr);

/**
 * okvm_iobus_read() - read from the first device that takes it
 * Return: 0, or -EOPNOTSUPP if userspace must do it. Caller holds vm->srcu.
 */
int okvm_iobus_read(struct okvm_vcpu *vcpu, enum okvm_bus bus, gpa_t addr, int len, void *val);

/** okvm_iobus_write() - likewise for a write */
int okvm_iobus_write(struct okvm_vcpu *vcpu, enum okvm_bus bus, gpa_t addr, int len,
		     const void *val);

/** okvm_port_key() - an access to a port while vm->bus_gen is @gen; never 0 */
static inline u64 okvm_port_key(u32 gen, u16 port, u8 len)
{
	return (u64)gen << 32 | (u32)port << 8 | len;
}

/**
 * okvm_port_empty() - a look-up found that no device covers this port, and none came since
 *
 * What goes to userspace does so again and again, at the same port. Needs no SRCU.
 */
static inline bool okvm_port_empty(struct okvm_vcpu *vcpu, u16 port, u8 len)
{
	/* Pairs with iobus_publish(). */
	u32 gen = smp_load_acquire(&vcpu->vm->bus_gen);

	return vcpu->empty_port[port % OKVM_EMPTY_PORTS] == okvm_port_key(gen, port, len);
}

/** okvm_iobus_destroy() - release every device of a dying VM */
void okvm_iobus_destroy(struct okvm_vm *vm);

#endif /* OKVM_CORE_IOBUS_H */
