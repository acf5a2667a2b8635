// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the I/O buses. A bus is an array of ranges, sorted by start address. A change replaces
 * the whole array; readers hold vm->srcu.
 *
 * Ranges may overlap: ioeventfds with different datamatch share an address. So a look-up begins at
 * the first range that could contain the access, and continues until a device accepts the access.
 * To find that first range, each range has a "reach" (iobus_range.reach): the highest end of this
 * range and of all ranges before it. The look-up begins at the first range whose reach is not below
 * the address.
 */
#include <linux/error-injection.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "core/iobus.h"
#include "core/vcpu.h"

#define IOBUS_MAX_RANGES	1000

struct iobus_range {
	gpa_t start;
	gpa_t last;		/* inclusive */
	gpa_t reach;		/* highest @last of this entry and all entries before it */
	bool any_len;		/* matches accesses of any length at @start */
	struct okvm_io_device *dev;	/* NULL after iobus_neutralise() */
};

struct okvm_iobus {
	unsigned int count;
	struct iobus_range range[];
};

static struct okvm_iobus *iobus_locked(struct okvm_vm *vm, enum okvm_bus bus)
{
	return rcu_dereference_protected(vm->bus[bus], lockdep_is_held(&vm->bus_lock) ||
					 !refcount_read(&vm->users));
}

static void iobus_compute_reach(struct okvm_iobus *bus)
{
	gpa_t reach = 0;
	unsigned int i;

	for (i = 0; i < bus->count; i++) {
		reach = max(reach, bus->range[i].last);
		bus->range[i].reach = reach;
	}
}

/* The new array of each bus of a VM, or NULL for a bus that does not change. */
struct iobus_update {
	struct okvm_iobus *bus[OKVM_NR_BUSES];
};

/* Replace the arrays of the buses in @update, then wait for one grace period. Cannot fail. */
static void iobus_publish(struct okvm_vm *vm, const struct iobus_update *update)
{
	struct okvm_iobus *old[OKVM_NR_BUSES] = {};
	unsigned int nr;

	for (nr = 0; nr < OKVM_NR_BUSES; nr++) {
		if (!update->bus[nr])
			continue;
		old[nr] = iobus_locked(vm, nr);
		rcu_assign_pointer(vm->bus[nr], update->bus[nr]);
	}
	/* A reader that sees the new generation also sees the new bus. */
	smp_store_release(&vm->bus_gen, vm->bus_gen + 1);
	synchronize_srcu_expedited(&vm->srcu);
	for (nr = 0; nr < OKVM_NR_BUSES; nr++)
		kfree(old[nr]);
}

/* Insert behind ranges with the same start: look-ups try such ranges in registration order. */
static void iobus_insert(struct okvm_iobus *bus, const struct okvm_io_place *place)
{
	unsigned int pos = bus->count++;

	for (; pos && bus->range[pos - 1].start > place->addr; pos--)
		bus->range[pos] = bus->range[pos - 1];
	bus->range[pos] = (struct iobus_range) {
		.start = place->addr, .last = place->addr + (place->len ? place->len - 1 : 0),
		.any_len = !place->len, .dev = place->dev,
	};
}

/* Make a copy of bus @nr, and add the entries of @place that are for bus @nr. */
static int iobus_extend(struct okvm_vm *vm, enum okvm_bus nr, const struct okvm_io_place *place,
			unsigned int places, struct okvm_iobus **result)
{
	struct okvm_iobus *old = iobus_locked(vm, nr), *new;
	unsigned int count = old ? old->count : 0;
	unsigned int i, more = 0;

	for (i = 0; i < places; i++)
		more += place[i].bus == nr;
	if (!more)
		return 0;
	if (count + more > IOBUS_MAX_RANGES)
		return -ENOSPC;
	new = kmalloc(struct_size(new, range, count + more), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->count = count;
	if (old)
		memcpy(new->range, old->range, count * sizeof(new->range[0]));
	for (i = 0; i < places; i++)
		if (place[i].bus == nr)
			iobus_insert(new, &place[i]);
	iobus_compute_reach(new);
	*result = new;
	return 0;
}

static int iobus_check(const struct okvm_io_place *place, unsigned int places)
{
	unsigned int i;
	gpa_t last;

	for (i = 0; i < places; i++)
		if (check_add_overflow(place[i].addr, place[i].len ? place[i].len - 1 : 0, &last))
			return -EINVAL;
	return 0;
}

int okvm_iobus_register_all(struct okvm_vm *vm, const struct okvm_io_place *place,
			    unsigned int places)
{
	struct iobus_update update = {};
	unsigned int nr;
	int err;

	lockdep_assert_held(&vm->bus_lock);
	err = iobus_check(place, places);
	for (nr = 0; !err && nr < OKVM_NR_BUSES; nr++)
		err = iobus_extend(vm, nr, place, places, &update.bus[nr]);
	if (err)
		goto err_free;
	iobus_publish(vm, &update);
	return 0;

err_free:
	for (nr = 0; nr < OKVM_NR_BUSES; nr++)
		kfree(update.bus[nr]);
	return err;
}

ALLOW_ERROR_INJECTION(okvm_iobus_register_all, ERRNO);

int okvm_iobus_register(struct okvm_vm *vm, enum okvm_bus bus, gpa_t addr, gpa_t len,
			struct okvm_io_device *dev)
{
	const struct okvm_io_place place = { .bus = bus, .addr = addr, .len = len, .dev = dev };

	return okvm_iobus_register_all(vm, &place, 1);
}

/*
 * Called if there is no memory for a smaller array: keep the entries of @dev, but clear their
 * device pointer.
 */
static void iobus_neutralise(struct okvm_vm *vm, struct okvm_iobus *bus,
			     struct okvm_io_device *dev)
{
	unsigned int i;

	for (i = 0; i < bus->count; i++)
		if (bus->range[i].dev == dev)
			WRITE_ONCE(bus->range[i].dev, NULL);
	synchronize_srcu_expedited(&vm->srcu);
}

static bool iobus_holds(const struct okvm_iobus *bus, const struct okvm_io_device *dev)
{
	unsigned int i;

	for (i = 0; i < bus->count; i++)
		if (bus->range[i].dev == dev)
			return true;
	return false;
}

void okvm_iobus_unregister(struct okvm_vm *vm, enum okvm_bus nr, struct okvm_io_device *dev)
{
	struct iobus_update update = {};
	struct okvm_iobus *old, *new;
	unsigned int i, count = 0;

	lockdep_assert_held(&vm->bus_lock);
	old = iobus_locked(vm, nr);
	/* Error paths also call this for a device that was not registered: do nothing then. */
	if (!old || !iobus_holds(old, dev))
		return;
	new = kmalloc(struct_size(new, range, old->count), GFP_KERNEL_ACCOUNT);
	if (new) {
		for (i = 0; i < old->count; i++)
			if (old->range[i].dev && old->range[i].dev != dev)
				new->range[count++] = old->range[i];
		new->count = count;
		iobus_compute_reach(new);
		update.bus[nr] = new;
		iobus_publish(vm, &update);
	} else {
		iobus_neutralise(vm, old, dev);
	}
	if (dev->ops->release)
		dev->ops->release(dev);
}

static bool iobus_is_first(const struct okvm_iobus *bus, unsigned int i, gpa_t addr)
{
	return i <= bus->count && (i == bus->count || bus->range[i].reach >= addr) &&
	       (!i || bus->range[i - 1].reach < addr);
}

/*
 * Find the first entry whose reach (the highest end up to this entry) is at least @addr. Try the
 * last result, *@hint, first.
 */
static unsigned int iobus_first(const struct okvm_iobus *bus, unsigned int *hint, gpa_t addr)
{
	unsigned int low = 0, high = bus->count;

	if (likely(iobus_is_first(bus, *hint, addr)))
		return *hint;
	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (bus->range[mid].reach < addr)
			low = mid + 1;
		else
			high = mid;
	}
	*hint = low;
	return low;
}

static bool iobus_covers(const struct iobus_range *range, gpa_t addr, int len)
{
	if (range->any_len)
		return addr == range->start;
	return addr >= range->start && addr + len - 1 <= range->last;
}

bool okvm_iobus_has(struct okvm_vcpu *vcpu, enum okvm_bus nr, gpa_t addr, bool any_len)
{
	struct okvm_iobus *bus = srcu_dereference(vcpu->vm->bus[nr], &vcpu->vm->srcu);
	unsigned int i;

	if (!bus)
		return false;
	for (i = iobus_first(bus, &vcpu->bus_hint[nr], addr);
	     i < bus->count && bus->range[i].start <= addr; i++) {
		if (READ_ONCE(bus->range[i].dev) && addr <= bus->range[i].last &&
		    (bus->range[i].any_len || !any_len))
			return true;
	}
	return false;
}

/*
 * Record in vcpu->empty_port[] that no device covers the port of this access. @gen is the value of
 * bus_gen from before the look-up. If the bus has changed since then, bus_gen has another value,
 * and the recorded key never matches.
 */
static int iobus_missed(struct okvm_vcpu *vcpu, enum okvm_bus nr, u32 gen, gpa_t addr, int len)
{
	if (nr == OKVM_BUS_PIO)
		vcpu->empty_port[addr % OKVM_EMPTY_PORTS] = okvm_port_key(gen, addr, len);
	return -EOPNOTSUPP;
}

/*
 * Try the devices whose ranges contain the access, in the order of the array, until one accepts the
 * access.
 */
static __always_inline int iobus_access(struct okvm_vcpu *vcpu, enum okvm_bus nr, gpa_t addr,
					int len, void *val, bool write)
{
	/* Pairs with iobus_publish(): the bus read below is at least as new as @gen. */
	u32 gen = smp_load_acquire(&vcpu->vm->bus_gen);
	struct okvm_iobus *bus = srcu_dereference(vcpu->vm->bus[nr], &vcpu->vm->srcu);
	const struct okvm_io_ops *ops;
	struct okvm_io_device *dev;
	bool empty = true;
	unsigned int i;

	if (!bus)
		return iobus_missed(vcpu, nr, gen, addr, len);
	for (i = iobus_first(bus, &vcpu->bus_hint[nr], addr);
	     i < bus->count && bus->range[i].start <= addr; i++) {
		dev = READ_ONCE(bus->range[i].dev);
		if (!dev || !iobus_covers(&bus->range[i], addr, len))
			continue;
		empty = false;
		ops = dev->ops;
		if (write ? ops->write && !ops->write(vcpu, dev, addr, len, val) :
			    ops->read && !ops->read(vcpu, dev, addr, len, val))
			return 0;
	}
	return empty ? iobus_missed(vcpu, nr, gen, addr, len) : -EOPNOTSUPP;
}

int okvm_iobus_read(struct okvm_vcpu *vcpu, enum okvm_bus nr, gpa_t addr, int len, void *val)
{
	return iobus_access(vcpu, nr, addr, len, val, false);
}

int okvm_iobus_write(struct okvm_vcpu *vcpu, enum okvm_bus nr, gpa_t addr, int len,
		     const void *val)
{
	return iobus_access(vcpu, nr, addr, len, (void *)val, true);
}

/*
 * Release the device of entry @i. Several entries may have this device: first clear it in all of
 * them, so that it is released only once.
 */
static void iobus_release_at(struct okvm_iobus *bus, unsigned int i)
{
	struct okvm_io_device *dev = bus->range[i].dev;
	unsigned int k;

	if (!dev)
		return;
	for (k = i; k < bus->count; k++)
		if (bus->range[k].dev == dev)
			bus->range[k].dev = NULL;
	if (dev->ops->release)
		dev->ops->release(dev);
}

void okvm_iobus_destroy(struct okvm_vm *vm)
{
	struct okvm_iobus *bus;
	unsigned int nr, i;

	for (nr = 0; nr < OKVM_NR_BUSES; nr++) {
		bus = iobus_locked(vm, nr);
		if (!bus)
			continue;
		RCU_INIT_POINTER(vm->bus[nr], NULL);
		for (i = 0; i < bus->count; i++)
			iobus_release_at(bus, i);
		kfree(bus);
	}
}
