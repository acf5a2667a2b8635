/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Port I/O and MMIO dispatch: devices register ranges, and VM exits look them up. A bus is a sorted
 * array that is replaced as a whole and read under vm->srcu.
 */
#ifndef OKVM_CORE_IOBUS_H
#define OKVM_CORE_IOBUS_H

#include <linux/types.h>

#include "core/vcpu.h"

struct okvm_io_device;

/**
 * struct okvm_io_ops - operations of an in-kernel device
 * @read: fill in @val, @len bytes. Return 0, or -EOPNOTSUPP to let the caller try the next device
 * @write: like @read, for a write of @val
 * @release: called when no bus holds the device and no reader is left; may be NULL. May sleep.
 *
 * @read and @write run under vm->srcu in a vCPU thread with @vcpu loaded. They must not sleep,
 *	because IRQs may be off. @addr is the guest-physical address or the port; @len is 1..8 for
 *	MMIO and 1, 2 or 4 for PIO.
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
 * struct okvm_io_place - an address range of a device on a bus
 * @len: length in bytes; 0 matches accesses of any length that start at @addr
 */
struct okvm_io_place {
	enum okvm_bus bus;
	gpa_t addr;
	gpa_t len;
	struct okvm_io_device *dev;
};

/**
 * okvm_iobus_register_all() - register devices on the buses, either all or none
 *
 * A vCPU may use the devices before this function returns. So all that the devices access must be
 * complete before the call, and no later step of the caller may fail. If this function fails, no
 * vCPU has seen the devices.
 *
 * Ranges may overlap (those of ioeventfds with different datamatch do): look-ups try them in the
 * order of their start addresses; if these are equal, in registration order. The caller holds
 * vm->bus_lock.
 *
 * Return: 0, -ENOSPC if a bus is full (1000 ranges), -ENOMEM, -EINVAL if a range wraps.
 */
int okvm_iobus_register_all(struct okvm_vm *vm, const struct okvm_io_place *place,
			    unsigned int places);

/**
 * okvm_iobus_register() - register one range of a device; the caller holds vm->bus_lock
 * Return: 0, -ENOSPC, -ENOMEM, or -EINVAL if the range wraps
 */
int okvm_iobus_register(struct okvm_vm *vm, enum okvm_bus bus, gpa_t addr, gpa_t len,
			struct okvm_io_device *dev);

/**
 * okvm_iobus_unregister() - remove all ranges of @dev from a bus
 *
 * Installs a smaller array, waits for readers, then calls ops->release. Never fails: without memory
 * for the new array, the device pointers are cleared in the old array. The caller holds
 * vm->bus_lock.
 */
void okvm_iobus_unregister(struct okvm_vm *vm, enum okvm_bus bus, struct okvm_io_device *dev);

/**
 * okvm_iobus_has() - return true if a range of a device contains @addr; caller holds vm->srcu
 * @any_len: consider only ranges that match accesses of any length
 */
bool okvm_iobus_has(struct okvm_vcpu *vcpu, enum okvm_bus bus, gpa_t addr, bool any_len);

/**
 * okvm_iobus_read() - read from the first device that accepts the access
 * Return: 0, or -EOPNOTSUPP if userspace must emulate the access. The caller holds vm->srcu.
 */
int okvm_iobus_read(struct okvm_vcpu *vcpu, enum okvm_bus bus, gpa_t addr, int len, void *val);

/**
 * okvm_iobus_write() - write to the first device that accepts the access
 * Return: 0, or -EOPNOTSUPP if userspace must emulate the access. The caller holds vm->srcu.
 */
int okvm_iobus_write(struct okvm_vcpu *vcpu, enum okvm_bus bus, gpa_t addr, int len,
		     const void *val);

/**
 * okvm_port_key() - return the key under which vcpu->empty_port[] records that no device covers
 * @port
 * @gen: vm->bus_gen at the look-up
 *
 * The key is never 0, because @len is not 0.
 */
static inline u64 okvm_port_key(u32 gen, u16 port, u8 len)
{
	return (u64)gen << 32 | (u32)port << 8 | len;
}

/**
 * okvm_port_empty() - return true if vcpu->empty_port[] says that no device covers this port
 *
 * Guests repeatedly access ports that userspace emulates. The cache vcpu->empty_port[] saves the
 * look-up on the bus. Needs no SRCU.
 */
static inline bool okvm_port_empty(struct okvm_vcpu *vcpu, u16 port, u8 len)
{
	/*
	 * Pairs with iobus_publish(): a reader of the new bus_gen computes a key that was never
	 * cached.
	 */
	u32 gen = smp_load_acquire(&vcpu->vm->bus_gen);

	return vcpu->empty_port[port % OKVM_EMPTY_PORTS] == okvm_port_key(gen, port, len);
}

/** okvm_iobus_destroy() - release all devices of a VM that is being destroyed */
void okvm_iobus_destroy(struct okvm_vm *vm);

#endif /* OKVM_CORE_IOBUS_H */
