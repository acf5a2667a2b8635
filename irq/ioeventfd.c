// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_IOEVENTFD: a guest's write to an address signals an eventfd instead of exiting to userspace.
 *
 * An ioeventfd may match writes of any length. Upstream KVM adds such an ioeventfd to two buses,
 * and the second addition can fail after the first has succeeded. Upstream needs the second bus for
 * speed: it contains no other devices, so a search in it is fast. The buses of okvm find an address
 * by bisection, so one bus is enough.
 */
#include <linux/eventfd.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "irq/internal.h"

#define IOEVENTFD_FLAGS		(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | \
				 KVM_IOEVENTFD_FLAG_DEASSIGN)

/*
 * struct okvm_ioeventfd - one ioeventfd; constant while it is on its bus
 * @node: on okvm_irq_vm.ioeventfds, under vm->bus_lock
 * @len: 1, 2, 4 or 8; 0 matches any write that starts at @addr
 * @any_data: matches any value (no datamatch)
 */
struct okvm_ioeventfd {
	struct list_head node;
	struct okvm_io_device dev;
	struct eventfd_ctx *eventfd;
	enum okvm_bus bus;
	gpa_t addr;
	u32 len;
	bool any_data;
	u64 datamatch;
};

static bool ioeventfd_matches(const struct okvm_ioeventfd *p, gpa_t addr, int len, const void *val)
{
	u64 data = 0;

	if (addr != p->addr)
		return false;
	if (!p->len)
		return true;
	if (len != p->len)
		return false;
	if (p->any_data)
		return true;
	memcpy(&data, val, len);
	return data == p->datamatch;
}

static int ioeventfd_write(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			   const void *val)
{
	struct okvm_ioeventfd *p = container_of(dev, struct okvm_ioeventfd, dev);

	if (!ioeventfd_matches(p, addr, len, val))
		return -EOPNOTSUPP;
	okvm_eventfd_signal(p->eventfd);
	return 0;
}

/*
 * Free an ioeventfd that is off the bus. Do not access okvm_irq_vm.ioeventfds, which may already be
 * freed when the VM is destroyed.
 */
static void ioeventfd_release(struct okvm_io_device *dev)
{
	struct okvm_ioeventfd *p = container_of(dev, struct okvm_ioeventfd, dev);

	eventfd_ctx_put(p->eventfd);
	kfree(p);
}

static const struct okvm_io_ops ioeventfd_ops = {
	.write = ioeventfd_write,
	.release = ioeventfd_release,
};

static enum okvm_bus ioeventfd_bus(const struct kvm_ioeventfd *args)
{
	return args->flags & KVM_IOEVENTFD_FLAG_PIO ? OKVM_BUS_PIO : OKVM_BUS_MMIO;
}

/* Return true if one write could signal both ioeventfds. */
static bool ioeventfd_collides(const struct okvm_ioeventfd *a, const struct okvm_ioeventfd *b)
{
	if (a->bus != b->bus || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	if (a->len != b->len)
		return false;
	return a->any_data || b->any_data || a->datamatch == b->datamatch;
}

static int ioeventfd_add_locked(struct okvm_vm *vm, struct okvm_ioeventfd *p)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	struct okvm_ioeventfd *other;
	int err;

	lockdep_assert_held(&vm->bus_lock);
	list_for_each_entry(other, &irq->ioeventfds, node)
		if (ioeventfd_collides(p, other))
			return -EEXIST;
	err = okvm_iobus_register(vm, p->bus, p->addr, p->len, &p->dev);
	if (!err)
		list_add_tail(&p->node, &irq->ioeventfds);
	return err;
}

static int ioeventfd_check(struct okvm_vm *vm, const struct kvm_ioeventfd *args)
{
	u64 end;

	if (args->len > 8 || (args->len && !is_power_of_2(args->len)))
		return okvm_refuse(vm, "KVM_IOEVENTFD: len is not 0, 1, 2, 4 or 8");
	if (check_add_overflow(args->addr, (u64)args->len, &end))
		return okvm_refuse(vm, "KVM_IOEVENTFD: addr plus len wraps");
	if (args->flags & ~IOEVENTFD_FLAGS)
		return okvm_refuse(vm, "KVM_IOEVENTFD: unknown flags");
	if (!args->len && (args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return okvm_refuse(vm, "KVM_IOEVENTFD: DATAMATCH without len");
	return 0;
}

static struct eventfd_ctx *ioeventfd_get(struct okvm_vm *vm, int fd)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(fd);

	if (eventfd == ERR_PTR(-EINVAL))
		okvm_refuse(vm, "KVM_IOEVENTFD: fd is not an eventfd");
	return eventfd;
}

static int ioeventfd_assign(struct okvm_vm *vm, const struct kvm_ioeventfd *args)
{
	struct eventfd_ctx *eventfd;
	struct okvm_ioeventfd *p;
	int err = ioeventfd_check(vm, args);

	if (err)
		return err;
	eventfd = ioeventfd_get(vm, args->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	err = -ENOMEM;
	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		goto err_put_eventfd;
	p->dev.ops = &ioeventfd_ops;
	p->eventfd = eventfd;
	p->bus = ioeventfd_bus(args);
	p->addr = args->addr;
	p->len = args->len;
	p->any_data = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	p->datamatch = args->datamatch;
	mutex_lock(&vm->bus_lock);
	err = ioeventfd_add_locked(vm, p);
	mutex_unlock(&vm->bus_lock);
	if (err)
		goto err_free;
	return 0;

err_free:
	kfree(p);
err_put_eventfd:
	eventfd_ctx_put(eventfd);
	return err;
}

static bool ioeventfd_is(const struct okvm_ioeventfd *p, const struct kvm_ioeventfd *args,
			 const struct eventfd_ctx *eventfd)
{
	bool any_data = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);

	return p->bus == ioeventfd_bus(args) && p->eventfd == eventfd &&
	       p->addr == args->addr && p->len == args->len && p->any_data == any_data &&
	       (any_data || p->datamatch == args->datamatch);
}

static int ioeventfd_deassign(struct okvm_vm *vm, const struct kvm_ioeventfd *args)
{
	struct eventfd_ctx *eventfd = ioeventfd_get(vm, args->fd);
	struct okvm_ioeventfd *p;
	int ret = -ENOENT;

	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	mutex_lock(&vm->bus_lock);
	list_for_each_entry(p, &okvm_irq(vm)->ioeventfds, node) {
		if (!ioeventfd_is(p, args, eventfd))
			continue;
		list_del(&p->node);
		okvm_iobus_unregister(vm, p->bus, &p->dev);
		ret = 0;
		break;
	}
	mutex_unlock(&vm->bus_lock);
	eventfd_ctx_put(eventfd);
	return ret;
}

static long ioc_ioeventfd(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_ioeventfd *args = arg.data;

	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		return ioeventfd_deassign(vm, args);
	return ioeventfd_assign(vm, args);
}

const struct okvm_ioctl okvm_ioeventfd_ioctls[] = {
	{ KVM_IOEVENTFD,	0, { .vm = ioc_ioeventfd } },
	{ }
};
