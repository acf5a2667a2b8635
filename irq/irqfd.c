// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_IRQFD: an eventfd raises a GSI. With resampling, the acknowledgment of the GSI signals
 * another eventfd.
 *
 * The eventfd's wait queue calls irqfd_wakeup() with the queue's lock held and IRQs off. The
 * interrupt is delivered there, for all kinds of routes, so all locks that the delivery needs are
 * taken with IRQs off. Upstream KVM leaves all routes to chip pins to a work item. Each signal
 * looks up its route, because an irqfd does not cache the route.
 *
 * An active irqfd is on the list okvm_irq_vm.irqfds. An ioctl, the close of the eventfd or the
 * destruction of the VM removes the irqfd from the list and queues a work item, which shuts the
 * irqfd down. The close cannot do so itself, because the wait queue's lock is held there.
 */
#include <linux/error-injection.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "core/compat.h"
#include "irq/internal.h"

/*
 * Maximum number of irqfds that share a level-triggered line. Each EOI signals all their
 * resamplefds, perhaps with IRQs off. The limit allows all functions of a PCI bus: 32 devices with
 * 8 functions each.
 */
#define RESAMPLE_SHARERS	256

/*
 * struct okvm_resampler - the level-triggered irqfds of one GSI, which share one source id
 * @node: on okvm_irq_vm.resamplers, under okvm_irq_vm.resample_lock
 * @irqfds: the irqfds whose resamplefd each EOI signals; written under
 *	    okvm_irq_vm.resample_lock, read under RCU
 * @sharers: length of @irqfds, under okvm_irq_vm.resample_lock
 */
struct okvm_resampler {
	struct okvm_vm *vm;
	struct list_head node;
	struct list_head irqfds;
	unsigned int sharers;
	struct okvm_ack_notifier ack;
};

/*
 * struct okvm_irqfd - an eventfd that raises a GSI
 * @hooked: result of adding @wait to the eventfd's wait queue
 * @node: on okvm_irq_vm.irqfds while active, under okvm_irq_vm.irqfd_lock
 */
struct okvm_irqfd {
	struct okvm_vm *vm;
	u32 gsi;
	struct eventfd_ctx *eventfd;
	wait_queue_entry_t wait;
	poll_table poll;
	int hooked;
	struct list_head node;
	struct work_struct shutdown;

	struct okvm_resampler *resampler;	/* NULL without resampling */
	struct eventfd_ctx *resamplefd;
	struct list_head resample_node;
};

static void irqfd_inject(struct okvm_irqfd *irqfd)
{
	if (irqfd->resampler) {
		okvm_irq_set(irqfd->vm, OKVM_SOURCE_RESAMPLE, irqfd->gsi, 1, false);
		return;
	}
	okvm_irq_pulse(irqfd->vm, OKVM_SOURCE_IRQFD, irqfd->gsi);
}

/* ---- resampling ---- */

/*
 * The guest has acknowledged the line that all irqfds of the resampler share: lower the line. Then
 * each resamplefd lets its device raise the line again if the device still needs service.
 */
static void resampler_acked(struct okvm_ack_notifier *notifier)
{
	struct okvm_resampler *resampler = container_of(notifier, struct okvm_resampler, ack);
	struct okvm_irqfd *irqfd;

	okvm_irq_set(resampler->vm, OKVM_SOURCE_RESAMPLE, notifier->gsi, 0, false);
	list_for_each_entry_rcu(irqfd, &resampler->irqfds, resample_node)
		okvm_eventfd_signal(irqfd->resamplefd);
}

static struct okvm_resampler *resampler_find(struct okvm_irq_vm *irq, u32 gsi)
{
	struct okvm_resampler *resampler;

	lockdep_assert_held(&irq->resample_lock);
	list_for_each_entry(resampler, &irq->resamplers, node)
		if (resampler->ack.gsi == gsi)
			return resampler;
	return NULL;
}

static struct okvm_resampler *resampler_create(struct okvm_irq_vm *irq, u32 gsi)
{
	struct okvm_resampler *resampler = kzalloc(sizeof(*resampler), GFP_KERNEL_ACCOUNT);
	int err;

	if (!resampler)
		return ERR_PTR(-ENOMEM);
	resampler->vm = irq->vm;
	INIT_LIST_HEAD(&resampler->irqfds);
	resampler->ack.gsi = gsi;
	resampler->ack.acked = resampler_acked;
	err = okvm_ack_register(irq->vm, &resampler->ack);
	if (err) {
		kfree(resampler);
		return ERR_PTR(err);
	}
	list_add(&resampler->node, &irq->resamplers);
	return resampler;
}

static int resampler_join(struct okvm_irqfd *irqfd)
{
	struct okvm_irq_vm *irq = okvm_irq(irqfd->vm);
	struct okvm_resampler *resampler;
	int err = 0;

	mutex_lock(&irq->resample_lock);
	resampler = resampler_find(irq, irqfd->gsi);
	if (!resampler)
		resampler = resampler_create(irq, irqfd->gsi);
	if (IS_ERR(resampler)) {
		err = PTR_ERR(resampler);
	} else if (resampler->sharers == RESAMPLE_SHARERS) {
		err = -ENOSPC;
	} else {
		list_add_rcu(&irqfd->resample_node, &resampler->irqfds);
		resampler->sharers++;
		irqfd->resampler = resampler;
	}
	mutex_unlock(&irq->resample_lock);
	return err;
}

static void resampler_leave(struct okvm_irqfd *irqfd)
{
	struct okvm_resampler *resampler = irqfd->resampler;
	struct okvm_irq_vm *irq = okvm_irq(irqfd->vm);

	mutex_lock(&irq->resample_lock);
	list_del_rcu(&irqfd->resample_node);
	resampler->sharers--;
	synchronize_rcu_expedited();
	if (list_empty(&resampler->irqfds)) {
		list_del(&resampler->node);
		okvm_ack_unregister(irqfd->vm, &resampler->ack);
		okvm_irq_set(irqfd->vm, OKVM_SOURCE_RESAMPLE, irqfd->gsi, 0, false);
		kfree(resampler);
	}
	mutex_unlock(&irq->resample_lock);
}

/* ---- shutting down ---- */

/* Free an irqfd that is not on the eventfd's wait queue; accepts half-built ones. */
static void irqfd_free(struct okvm_irqfd *irqfd)
{
	if (irqfd->resampler)
		resampler_leave(irqfd);
	if (irqfd->resamplefd)
		eventfd_ctx_put(irqfd->resamplefd);
	if (irqfd->eventfd)
		eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

static void irqfd_shutdown(struct work_struct *work)
{
	struct okvm_irqfd *irqfd = container_of(work, struct okvm_irqfd, shutdown);
	u64 count;

	/* When eventfd_ctx_remove_wait_queue() returns, irqfd_wakeup() is not running any more. */
	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	irqfd_free(irqfd);
}

/* Remove an irqfd from the list of active ones; a work item shuts it down. */
static void irqfd_deactivate(struct okvm_irq_vm *irq, struct okvm_irqfd *irqfd)
{
	lockdep_assert_held(&irq->irqfd_lock);
	list_del_init(&irqfd->node);
	queue_work(irq->irqfd_wq, &irqfd->shutdown);
}

static void irqfd_hangup(struct okvm_irqfd *irqfd)
{
	struct okvm_irq_vm *irq = okvm_irq(irqfd->vm);
	unsigned long flags;

	spin_lock_irqsave(&irq->irqfd_lock, flags);
	/*
	 * The irqfd still exists, even if an ioctl has already deactivated it: before the shutdown
	 * frees an irqfd, it waits for the lock of the wait queue, which is held here.
	 */
	if (!list_empty(&irqfd->node))
		irqfd_deactivate(irq, irqfd);
	spin_unlock_irqrestore(&irq->irqfd_lock, flags);
}

/*
 * If the eventfd is signaled, raise the interrupt. If the eventfd is closed, deactivate the irqfd.
 * Called with the lock of the eventfd's wait queue held and IRQs off.
 */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct okvm_irqfd *irqfd = container_of(wait, struct okvm_irqfd, wait);
	__poll_t events = key_to_poll(key);
	int taken = 0;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		irqfd_inject(irqfd);
		taken = 1;
	}
	if (events & EPOLLHUP)
		irqfd_hangup(irqfd);
	return taken;
}

static void irqfd_queue_proc(struct file *file, wait_queue_head_t *wqh, poll_table *poll)
{
	struct okvm_irqfd *irqfd = container_of(poll, struct okvm_irqfd, poll);

	irqfd->hooked = okvm_add_wait_queue_priority(wqh, &irqfd->wait);
}

/* ---- KVM_IRQFD ---- */

static int irqfd_get_eventfds(struct okvm_irqfd *irqfd, struct file *file,
			      const struct kvm_irqfd *args)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);

	if (IS_ERR(ctx))
		return okvm_refuse(irqfd->vm, "KVM_IRQFD: fd is not an eventfd");
	irqfd->eventfd = ctx;
	if (!(args->flags & KVM_IRQFD_FLAG_RESAMPLE))
		return 0;
	ctx = eventfd_ctx_fdget(args->resamplefd);
	if (ctx == ERR_PTR(-EINVAL))
		return okvm_refuse(irqfd->vm, "KVM_IRQFD: resamplefd is not an eventfd");
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	irqfd->resamplefd = ctx;
	return resampler_join(irqfd);
}

/* Make the VM's own workqueue: a flush of it waits only for shutdowns of the VM's irqfds. */
static int irqfd_need_wq(struct okvm_irq_vm *irq)
{
	lockdep_assert_held(&irq->irqfd_mutex);
	if (!irq->irqfd_wq)
		irq->irqfd_wq = alloc_workqueue("okvm-irqfd", OKVM_WQ_PERCPU, 0);
	return irq->irqfd_wq ? 0 : -ENOMEM;
}

/* Add @irqfd to the list of active irqfds. Fail if an active one has the same eventfd. */
static noinline int irqfd_activate(struct okvm_irq_vm *irq, struct okvm_irqfd *irqfd)
{
	struct okvm_irqfd *other;
	int err = 0;

	spin_lock_irq(&irq->irqfd_lock);
	list_for_each_entry(other, &irq->irqfds, node)
		if (other->eventfd == irqfd->eventfd)
			err = -EBUSY;
	if (!err)
		list_add_tail(&irqfd->node, &irq->irqfds);
	spin_unlock_irq(&irq->irqfd_lock);
	return err;
}

ALLOW_ERROR_INJECTION(irqfd_activate, ERRNO);

/*
 * Add @irqfd to the eventfd's wait queue. @irqfd must be on the list of active irqfds already: a
 * hangup can come as soon as @irqfd is on the queue, and must find it on the list.
 *
 * Since Linux 6.17 the queue refuses @irqfd if it already has an irqfd of another VM. A refused
 * @irqfd gets no calls and needs no shutdown.
 */
static int irqfd_hook(struct okvm_irq_vm *irq, struct okvm_irqfd *irqfd, struct file *file)
{
	__poll_t events = vfs_poll(file, &irqfd->poll);

	if (irqfd->hooked) {
		spin_lock_irq(&irq->irqfd_lock);
		list_del_init(&irqfd->node);
		spin_unlock_irq(&irq->irqfd_lock);
		return irqfd->hooked;
	}
	/* If the eventfd was signaled before, raise the interrupt. */
	if (events & EPOLLIN)
		irqfd_inject(irqfd);
	return 0;
}

static struct okvm_irqfd *irqfd_alloc(struct okvm_vm *vm, u32 gsi)
{
	struct okvm_irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);

	if (!irqfd)
		return NULL;
	irqfd->vm = vm;
	irqfd->gsi = gsi;
	INIT_LIST_HEAD(&irqfd->node);
	INIT_WORK(&irqfd->shutdown, irqfd_shutdown);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
	init_poll_funcptr(&irqfd->poll, irqfd_queue_proc);
	return irqfd;
}

/*
 * Make and activate an irqfd. The caller holds @file, so the eventfd is not closed before the irqfd
 * is on the wait queue and can see the hangup.
 */
static int irqfd_attach(struct okvm_vm *vm, struct file *file, const struct kvm_irqfd *args)
{
	struct okvm_irqfd *irqfd = irqfd_alloc(vm, args->gsi);
	struct okvm_irq_vm *irq = okvm_irq(vm);
	int err;

	if (!irqfd)
		return -ENOMEM;
	err = irqfd_get_eventfds(irqfd, file, args);
	if (err)
		goto err_free;
	/*
	 * Hold the mutex until the irqfd is on the wait queue: a deassignment must not find it
	 * earlier.
	 */
	mutex_lock(&irq->irqfd_mutex);
	err = irqfd_need_wq(irq);
	if (!err)
		err = irqfd_activate(irq, irqfd);
	if (!err)
		err = irqfd_hook(irq, irqfd, file);
	mutex_unlock(&irq->irqfd_mutex);
	if (err)
		goto err_free;
	return 0;

err_free:
	irqfd_free(irqfd);
	return err;
}

static int irqfd_assign(struct okvm_vm *vm, const struct kvm_irqfd *args)
{
	enum okvm_irqchip_mode mode = okvm_irqchip_mode(vm);
	struct file *file;
	int err;

	/* Resampling needs in-kernel PIC and IOAPIC, which know when a line is acknowledged. */
	if (mode == OKVM_IRQCHIP_NONE)
		return okvm_refuse(vm, "KVM_IRQFD: no interrupt controllers in the kernel");
	if ((args->flags & KVM_IRQFD_FLAG_RESAMPLE) && mode != OKVM_IRQCHIP_KERNEL)
		return okvm_refuse(vm, "KVM_IRQFD: RESAMPLE needs KVM_CREATE_IRQCHIP");
	file = fget(args->fd);
	if (!file)
		return -EBADF;
	err = irqfd_attach(vm, file, args);
	fput(file);
	return err;
}

static void irqfd_deactivate_matching(struct okvm_irq_vm *irq, const struct eventfd_ctx *eventfd,
				      u32 gsi)
{
	struct okvm_irqfd *irqfd, *tmp;

	mutex_lock(&irq->irqfd_mutex);
	spin_lock_irq(&irq->irqfd_lock);
	list_for_each_entry_safe(irqfd, tmp, &irq->irqfds, node)
		if (!eventfd || (irqfd->eventfd == eventfd && irqfd->gsi == gsi))
			irqfd_deactivate(irq, irqfd);
	spin_unlock_irq(&irq->irqfd_lock);
	/* Wait for the shutdowns, so that deassigned irqfds raise no interrupt afterwards. */
	if (irq->irqfd_wq)
		flush_workqueue(irq->irqfd_wq);
	mutex_unlock(&irq->irqfd_mutex);
}

static int irqfd_deassign(struct okvm_vm *vm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(args->fd);

	if (eventfd == ERR_PTR(-EINVAL))
		return okvm_refuse(vm, "KVM_IRQFD: fd is not an eventfd");
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	irqfd_deactivate_matching(okvm_irq(vm), eventfd, args->gsi);
	eventfd_ctx_put(eventfd);
	return 0;
}

static long ioc_irqfd(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_irqfd *args = arg.data;

	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return okvm_refuse(vm, "KVM_IRQFD: unknown flags");
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return irqfd_deassign(vm, args);
	return irqfd_assign(vm, args);
}

void okvm_irqfd_release(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);

	irqfd_deactivate_matching(irq, NULL, 0);
	if (irq->irqfd_wq)
		destroy_workqueue(irq->irqfd_wq);
}

const struct okvm_ioctl okvm_irqfd_ioctls[] = {
	{ KVM_IRQFD,	0, { .vm = ioc_irqfd } },
	{ }
};
