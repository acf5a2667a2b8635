// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coalesced I/O: writes to registered zones go into a ring, from which userspace reads them later.
 *
 * The ring is one page per VM, which userspace maps through each vCPU fd. Userspace can write the
 * indices of the ring at any time, so the kernel reads each index once and checks it before use.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "irq/internal.h"
#include "irq/model/ring.h"

/*
 * struct okvm_coalesced - one zone; constant while it is on its bus
 * @node: on okvm_irq_vm.coalesced_zones, under vm->bus_lock
 */
struct okvm_coalesced {
	struct list_head node;
	struct okvm_io_device dev;
	struct kvm_coalesced_mmio_zone zone;
};

static bool zone_covers(const struct kvm_coalesced_mmio_zone *zone, u64 addr, u32 len)
{
	u64 offset = addr - zone->addr;

	return addr >= zone->addr && offset <= zone->size && len <= zone->size - offset;
}

static int coalesced_write(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			   const void *val)
{
	struct okvm_coalesced *p = container_of(dev, struct okvm_coalesced, dev);
	struct kvm_coalesced_mmio entry = { .phys_addr = addr, .len = len };
	struct okvm_vm *vm = vcpu->vm;
	bool pushed;

	if (len < 1 || len > sizeof(entry.data) || !zone_covers(&p->zone, addr, len))
		return -EOPNOTSUPP;
	entry.pio = p->zone.pio;
	memcpy(entry.data, val, len);
	spin_lock(&vm->coalesced_lock);
	pushed = ring_push(page_address(vm->coalesced_page), &entry);
	spin_unlock(&vm->coalesced_lock);
	/* If the ring is full, the write exits to userspace, which then empties the ring. */
	return pushed ? 0 : -EOPNOTSUPP;
}

static void coalesced_release(struct okvm_io_device *dev)
{
	kfree(container_of(dev, struct okvm_coalesced, dev));
}

static const struct okvm_io_ops coalesced_ops = {
	.write = coalesced_write,
	.release = coalesced_release,
};

static enum okvm_bus zone_bus(const struct kvm_coalesced_mmio_zone *zone)
{
	return zone->pio ? OKVM_BUS_PIO : OKVM_BUS_MMIO;
}

static long ioc_register_coalesced(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_coalesced_mmio_zone *zone = arg.data;
	struct okvm_coalesced *p;
	int err;

	if (zone->pio > 1)
		return okvm_refuse(vm, "coalesced zone: pio is neither 0 nor 1");
	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return -ENOMEM;
	p->dev.ops = &coalesced_ops;
	p->zone = *zone;
	mutex_lock(&vm->bus_lock);
	err = okvm_iobus_register(vm, zone_bus(zone), zone->addr, zone->size, &p->dev);
	if (!err)
		list_add_tail(&p->node, &okvm_irq(vm)->coalesced_zones);
	mutex_unlock(&vm->bus_lock);
	if (err)
		kfree(p);
	return err == -EINVAL ? okvm_refuse(vm, "coalesced zone: addr plus size wraps") : err;
}

/* Remove every zone that contains the given zone; it is not an error if there is none. */
static long ioc_unregister_coalesced(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_coalesced_mmio_zone *zone = arg.data;
	struct okvm_coalesced *p, *tmp;

	if (zone->pio > 1)
		return okvm_refuse(vm, "coalesced zone: pio is neither 0 nor 1");
	mutex_lock(&vm->bus_lock);
	list_for_each_entry_safe(p, tmp, &okvm_irq(vm)->coalesced_zones, node) {
		if (p->zone.pio != zone->pio || !zone_covers(&p->zone, zone->addr, zone->size))
			continue;
		list_del(&p->node);
		okvm_iobus_unregister(vm, zone_bus(zone), &p->dev);
	}
	mutex_unlock(&vm->bus_lock);
	return 0;
}

const struct okvm_ioctl okvm_coalesced_ioctls[] = {
	{ KVM_REGISTER_COALESCED_MMIO,		0, { .vm = ioc_register_coalesced } },
	{ KVM_UNREGISTER_COALESCED_MMIO,	0, { .vm = ioc_unregister_coalesced } },
	{ }
};
