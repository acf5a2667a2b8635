// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connect the register model of the in-kernel PIT to clock, timer, buses and ioctls.
 *
 * The timer's handler raises GSI 0 itself, which is possible because the chips' locks are taken
 * with IRQs off. Upstream KVM needs a kernel thread per VM for this.
 *
 * A timer that expires late counts the missed periods instead of expiring once for each.
 */
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "core/compat.h"
#include "irq/internal.h"
#include "irq/model/pit.h"

/* Shortest timer period, in ns, so that a guest cannot flood the host with interrupts. */
#define PIT_MIN_PERIOD_NS	200000
#define PIT_GSI			0
#define PIT_SPEAKER_PORTS	4

/*
 * struct okvm_pit - the PIT of a VM
 * @lock: guards the members below; taken in the timer's handler, not held while lines are set
 * @armed: true while the timer runs; if false, its handler does nothing
 * @period: ns, 0 for a single expiry
 */
struct okvm_pit {
	struct okvm_vm *vm;
	spinlock_t lock;		/* see above */
	struct pit model;
	struct pit_reinject reinject;
	struct hrtimer timer;
	struct work_struct nmi_work;
	bool armed;
	u64 period;
	struct mutex reinject_lock;	/* one KVM_REINJECT_CONTROL at a time */
	struct okvm_ack_notifier ack;
	struct okvm_io_device dev;
	struct okvm_io_device speaker;
};

static struct okvm_pit *pit_of(struct okvm_vm *vm)
{
	/* Pairs with pit_create(): a reader that sees the pointer sees a complete PIT. */
	return smp_load_acquire(&okvm_irq(vm)->pit);
}

/*
 * Send NMIs for an edge of the PIT. Old kernels use the PIT as an NMI watchdog: each vCPU whose
 * LINT0 is an unmasked NMI gets one. A work item sends them, because a loop over a thousand vCPUs
 * takes too long for the timer's interrupt handler. Several ticks before the work item runs cause
 * one NMI, as they do for a CPU that is still in its NMI handler.
 */
static void pit_nmi_work(struct work_struct *work)
{
	struct okvm_pit *pit = container_of(work, struct okvm_pit, nmi_work);
	struct okvm_vcpu *vcpu;
	unsigned long i;

	okvm_for_each_vcpu(i, vcpu, pit->vm) {
		okvm_apic_lint0_nmi(vcpu);
		cond_resched();
	}
}

static void pit_pulse(struct okvm_pit *pit)
{
	struct okvm_vm *vm = pit->vm;

	okvm_irq_set(vm, OKVM_SOURCE_PIT, PIT_GSI, 1, false);
	okvm_irq_set(vm, OKVM_SOURCE_PIT, PIT_GSI, 0, false);
	if (atomic_read(&okvm_irq(vm)->apics_lint0_nmi))
		queue_work(system_unbound_wq, &pit->nmi_work);
}

static enum hrtimer_restart pit_expired(struct hrtimer *timer)
{
	struct okvm_pit *pit = container_of(timer, struct okvm_pit, timer);
	enum hrtimer_restart restart = HRTIMER_NORESTART;
	bool inject = false;
	unsigned long flags;
	u64 ticks = 1;

	spin_lock_irqsave(&pit->lock, flags);
	/* Ignore the expiry if the timer was stopped or restarted during the wait for pit->lock. */
	if (pit->armed && !hrtimer_is_queued(timer)) {
		if (pit->period) {
			ticks = hrtimer_forward_now(timer, ns_to_ktime(pit->period));
			restart = HRTIMER_RESTART;
		} else {
			pit->armed = false;
		}
		inject = pit_reinject_tick(&pit->reinject, ticks);
	}
	spin_unlock_irqrestore(&pit->lock, flags);
	if (inject)
		pit_pulse(pit);
	return restart;
}

static void pit_carry_out(struct okvm_pit *pit, const struct pit_todo *todo, u64 now)
{
	lockdep_assert_held(&pit->lock);
	if (todo->timer == PIT_TIMER_KEEP)
		return;
	/*
	 * If hrtimer_try_to_cancel() fails, the timer's handler is already running and waits for
	 * pit->lock. When the handler gets the lock, it sees that the timer was stopped or
	 * restarted, and does nothing.
	 */
	hrtimer_try_to_cancel(&pit->timer);
	pit->armed = todo->timer == PIT_TIMER_START;
	if (!pit->armed)
		return;
	pit->period = todo->period;
	pit_reinject_reset(&pit->reinject);
	hrtimer_start(&pit->timer, ns_to_ktime(now + todo->first), HRTIMER_MODE_ABS);
}

static void pit_acked(struct okvm_ack_notifier *notifier)
{
	struct okvm_pit *pit = container_of(notifier, struct okvm_pit, ack);
	unsigned long flags;
	bool reinject;

	spin_lock_irqsave(&pit->lock, flags);
	reinject = pit_reinject_ack(&pit->reinject);
	spin_unlock_irqrestore(&pit->lock, flags);
	if (reinject)
		pit_pulse(pit);
}

void okvm_pit_unmasked(struct okvm_vm *vm)
{
	struct okvm_pit *pit = pit_of(vm);
	unsigned long flags;

	if (!pit)
		return;
	spin_lock_irqsave(&pit->lock, flags);
	pit_reinject_reset(&pit->reinject);
	spin_unlock_irqrestore(&pit->lock, flags);
}

/* ---- ports: channels have byte registers; the upper bytes of wider reads are 0 ---- */

static int pit_dev_read(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			void *val)
{
	struct okvm_pit *pit = container_of(dev, struct okvm_pit, dev);
	unsigned long flags;

	memset(val, 0, len);
	spin_lock_irqsave(&pit->lock, flags);
	*(u8 *)val = pit_read(&pit->model, addr - PIT_PORT_BASE, ktime_get_ns());
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static int pit_dev_write(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			 const void *val)
{
	struct okvm_pit *pit = container_of(dev, struct okvm_pit, dev);
	struct pit_todo todo = {};
	unsigned long flags;
	u64 now;

	spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	pit_write(&pit->model, addr - PIT_PORT_BASE, *(const u8 *)val, now, &todo);
	pit_carry_out(pit, &todo, now);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static const struct okvm_io_ops pit_dev_ops = {
	.read = pit_dev_read,
	.write = pit_dev_write,
};

static int speaker_read(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			void *val)
{
	struct okvm_pit *pit = container_of(dev, struct okvm_pit, speaker);
	unsigned long flags;

	if (addr != PIT_PORT_SPEAKER)
		return -EOPNOTSUPP;
	memset(val, 0, len);
	spin_lock_irqsave(&pit->lock, flags);
	*(u8 *)val = pit_speaker_read(&pit->model, ktime_get_ns());
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static int speaker_write(struct okvm_vcpu *vcpu, struct okvm_io_device *dev, gpa_t addr, int len,
			 const void *val)
{
	struct okvm_pit *pit = container_of(dev, struct okvm_pit, speaker);
	unsigned long flags;

	if (addr != PIT_PORT_SPEAKER)
		return -EOPNOTSUPP;
	spin_lock_irqsave(&pit->lock, flags);
	pit_speaker_write(&pit->model, *(const u8 *)val, ktime_get_ns());
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static const struct okvm_io_ops speaker_ops = {
	.read = speaker_read,
	.write = speaker_write,
};

/* ---- create and destroy ---- */

static void pit_set_reinject(struct okvm_pit *pit, bool on)
{
	unsigned long flags;
	bool was;

	mutex_lock(&pit->reinject_lock);
	spin_lock_irqsave(&pit->lock, flags);
	was = pit->reinject.enabled;
	pit->reinject.enabled = on;
	if (on && !was)
		pit_reinject_reset(&pit->reinject);
	spin_unlock_irqrestore(&pit->lock, flags);
	if (on && !was)
		okvm_ack_set_pit(pit->vm, &pit->ack);
	if (!on && was)
		okvm_ack_set_pit(pit->vm, NULL);
	mutex_unlock(&pit->reinject_lock);
}

/*
 * Register all ports or none. With only some ports registered, a vCPU could already start the
 * timer, and pit_create() could not simply free the PIT.
 */
static int pit_register(struct okvm_pit *pit, u32 flags)
{
	const struct okvm_io_place place[] = {
		{ OKVM_BUS_PIO, PIT_PORT_BASE, PIT_PORTS, &pit->dev },
		{ OKVM_BUS_PIO, PIT_PORT_SPEAKER, PIT_SPEAKER_PORTS, &pit->speaker },
	};
	struct okvm_vm *vm = pit->vm;
	int err;

	pit->dev.ops = &pit_dev_ops;
	pit->speaker.ops = &speaker_ops;
	mutex_lock(&vm->bus_lock);
	err = okvm_iobus_register_all(vm, place, flags & KVM_PIT_SPEAKER_DUMMY ? 2 : 1);
	mutex_unlock(&vm->bus_lock);
	return err;
}

static int pit_create(struct okvm_vm *vm, u32 flags)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);
	struct okvm_pit *pit;
	int err;

	lockdep_assert_held(&vm->lock);
	if (irq->pit)
		return -EEXIST;
	/*
	 * A PIT is allowed without an in-kernel PIC. But its interrupts then need a route for GSI
	 * 0, which userspace must set.
	 */
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	spin_lock_init(&pit->lock);
	mutex_init(&pit->reinject_lock);
	INIT_WORK(&pit->nmi_work, pit_nmi_work);
	okvm_hrtimer_setup(&pit->timer, pit_expired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	pit_reset(&pit->model, PIT_MIN_PERIOD_NS, ktime_get_ns());
	pit->ack.gsi = PIT_GSI;
	pit->ack.acked = pit_acked;
	err = pit_register(pit, flags);
	if (err) {
		/* The timer was never started, because no vCPU has accessed a port. */
		kfree(pit);
		return err;
	}
	pit_set_reinject(pit, true);
	/* A reader that sees the pointer also sees a complete PIT. */
	smp_store_release(&irq->pit, pit);
	return 0;
}

void okvm_pit_stop(struct okvm_vm *vm)
{
	struct okvm_pit *pit = okvm_irq(vm)->pit;
	unsigned long flags;

	if (!pit)
		return;
	spin_lock_irqsave(&pit->lock, flags);
	pit->armed = false;
	spin_unlock_irqrestore(&pit->lock, flags);
	hrtimer_cancel(&pit->timer);
	cancel_work_sync(&pit->nmi_work);
}

void okvm_pit_free(struct okvm_vm *vm)
{
	struct okvm_irq_vm *irq = okvm_irq(vm);

	kfree(irq->pit);
	irq->pit = NULL;
}

/* ---- ioctls ---- */

static long ioc_create_pit(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return pit_create(vm, KVM_PIT_SPEAKER_DUMMY);
}

static long ioc_create_pit2(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_pit_config *config = arg.data;

	return pit_create(vm, config->flags);
}

static long pit_save(struct okvm_vm *vm, struct kvm_pit_state2 *state)
{
	struct okvm_pit *pit = pit_of(vm);
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	spin_lock_irqsave(&pit->lock, flags);
	pit_get_state(&pit->model, state);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static long pit_restore(struct okvm_vm *vm, const struct kvm_pit_state2 *state)
{
	struct okvm_pit *pit = pit_of(vm);
	struct pit_todo todo = {};
	unsigned long flags;
	u64 now;

	if (!pit)
		return -ENXIO;
	spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	pit_set_state(&pit->model, state, now, &todo);
	pit_carry_out(pit, &todo, now);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

/* KVM_GET_PIT and KVM_SET_PIT copy the channels only, and leave the flags as they are. */
static long ioc_get_pit(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct kvm_pit_state *user = arg.data;
	struct kvm_pit_state2 state;
	long err = pit_save(vm, &state);

	if (!err)
		memcpy(user->channels, state.channels, sizeof(user->channels));
	return err;
}

static long ioc_set_pit(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct kvm_pit_state *user = arg.data;
	struct kvm_pit_state2 state;
	long err = pit_save(vm, &state);

	if (err)
		return err;
	memcpy(state.channels, user->channels, sizeof(state.channels));
	return pit_restore(vm, &state);
}

static long ioc_get_pit2(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return pit_save(vm, arg.data);
}

static long ioc_set_pit2(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	return pit_restore(vm, arg.data);
}

static long ioc_reinject_control(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	struct okvm_pit *pit = pit_of(vm);
	struct kvm_reinject_control control;

	if (copy_from_user(&control, arg.user, sizeof(control)))
		return -EFAULT;
	if (!pit)
		return -ENXIO;
	pit_set_reinject(pit, control.pit_reinject);
	return 0;
}

const struct okvm_ioctl okvm_pit_ioctls[] = {
	{ KVM_CREATE_PIT,	OKVM_IOC_SCALAR | OKVM_IOC_LOCK, { .vm = ioc_create_pit } },
	{ KVM_CREATE_PIT2,	OKVM_IOC_LOCK, { .vm = ioc_create_pit2 } },
	{ KVM_GET_PIT,		0, { .vm = ioc_get_pit } },
	{ KVM_SET_PIT,		OKVM_IOC_IN, { .vm = ioc_set_pit } },
	{ KVM_GET_PIT2,		0, { .vm = ioc_get_pit2 } },
	{ KVM_SET_PIT2,		0, { .vm = ioc_set_pit2 } },
	{ KVM_REINJECT_CONTROL,	OKVM_IOC_RAW, { .vm = ioc_reinject_control } },
	{ }
};
