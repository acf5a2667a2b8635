// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets other threads control KVM_RUN. A kick makes one vCPU leave KVM_RUN; a pause stops all vCPUs
 * of a VM.
 *
 * With upstream KVM userspace uses signals for both, and keeps track of the vCPUs. In okvm a kick
 * is a request that ends one KVM_RUN. If no KVM_RUN is active, the kick ends the next one.
 * OKVM_VM_PAUSE returns a file descriptor. The last close of its file ends the pause: if the
 * process that paused the VM dies, the VM continues.
 *
 * A paused KVM_RUN waits without the vCPU's mutex, as if it had not begun yet, so that other
 * threads can read and write the vCPU's state. When KVM_RUN has taken the mutex, it tests
 * vm->paused before it executes anything for the guest. So OKVM_VM_PAUSE sets vm->paused and a
 * request of each vCPU, then takes each vCPU's mutex once. After that no vCPU executes anything for
 * the guest.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "core/internal.h"

/**
 * struct pause - the state behind a pause's file
 * @vm: the paused VM; holds a reference
 * @eintr: during this pause KVM_RUN fails with -EINTR instead of waiting
 * @ended: OKVM_VM_RESUME has ended the pause; under vm->pause_lock
 */
struct pause {
	struct okvm_vm *vm;
	bool eintr;
	bool ended;
};

static void pause_wake_later(struct irq_work *work)
{
	wake_up_all(&container_of(work, struct okvm_vm, pause_work)->pause_wait);
}

void okvm_pause_init(struct okvm_vm *vm)
{
	spin_lock_init(&vm->pause_lock);
	init_waitqueue_head(&vm->pause_wait);
	init_irq_work(&vm->pause_work, pause_wake_later);
}

void okvm_pause_destroy(struct okvm_vm *vm)
{
	irq_work_sync(&vm->pause_work);
}

void okvm_pause_wake(struct okvm_vm *vm)
{
	/*
	 * Before this call the caller has changed something that pause_over() reads.
	 * wq_has_sleeper() has a barrier, so either it sees a sleeper here, or the sleeper sees the
	 * change before it sleeps (prepare_to_wait() has the other barrier).
	 */
	if (!wq_has_sleeper(&vm->pause_wait))
		return;
	/*
	 * With PREEMPT_RT the queue's lock may sleep, but the caller may have preemption off: let
	 * an irq_work wake the waiters.
	 */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		irq_work_queue(&vm->pause_work);
	else
		wake_up_all(&vm->pause_wait);
}

static void pause_count(struct pause *pause, int by)
{
	struct okvm_vm *vm = pause->vm;

	lockdep_assert_held(&vm->pause_lock);
	vm->pauses += by;
	/* KVM_RUN reads vm->paused and vm->pauses_eintr without the lock. */
	WRITE_ONCE(vm->pauses_eintr, vm->pauses_eintr + (pause->eintr ? by : 0));
	WRITE_ONCE(vm->paused, vm->pauses != 0);
}

static void pause_begin(struct pause *pause)
{
	spin_lock(&pause->vm->pause_lock);
	pause_count(pause, 1);
	spin_unlock(&pause->vm->pause_lock);
	/*
	 * If a KVM_RUN already waits in an earlier pause, and @pause->eintr is set, its wait must
	 * end.
	 */
	okvm_pause_wake(pause->vm);
	okvm_request_all(pause->vm, OKVM_REQ_PAUSE, false);
}

static void pause_end(struct pause *pause)
{
	bool ended;

	spin_lock(&pause->vm->pause_lock);
	ended = pause->ended;
	pause->ended = true;
	if (!ended)
		pause_count(pause, -1);
	spin_unlock(&pause->vm->pause_lock);
	if (!ended)
		okvm_pause_wake(pause->vm);
}

/* Wait until no KVM_RUN executes anything for the guest. Return: 0, or -EINTR after a signal. */
static int pause_settle(struct okvm_vm *vm)
{
	struct okvm_vcpu *vcpu;
	unsigned long idx;

	/*
	 * pause_begin() has set vm->paused. The barrier orders that store before the read of
	 * online_vcpus. So if a vCPU is published too late for this loop, its first KVM_RUN sees
	 * vm->paused.
	 */
	smp_mb();
	okvm_for_each_vcpu(idx, vcpu, vm) {
		if (mutex_lock_interruptible(&vcpu->mutex))
			return -EINTR;
		mutex_unlock(&vcpu->mutex);
	}
	return 0;
}

static int pause_release(struct inode *inode, struct file *file)
{
	struct pause *pause = file->private_data;

	pause_end(pause);
	okvm_vm_put(pause->vm);
	kfree(pause);
	return 0;
}

/*
 * Handle OKVM_VM_RESUME, which ends a pause at once. The last close of the pause's file may come
 * much later, because child processes may have inherited the file.
 */
static long pause_ioctl(struct file *file, unsigned int cmd, unsigned long num)
{
	if (cmd != OKVM_VM_RESUME)
		return -ENOTTY;
	if (num)
		return -EINVAL;
	pause_end(file->private_data);
	return 0;
}

static const struct file_operations pause_fops = {
	.owner = THIS_MODULE,
	.release = pause_release,
	.unlocked_ioctl = pause_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/* Begin a pause and return its file. OKVM_VM_RESUME or the file's last close ends the pause. */
static struct file *pause_open(struct okvm_vm *vm, bool eintr)
{
	struct pause *pause = kzalloc(sizeof(*pause), GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!pause)
		return ERR_PTR(-ENOMEM);
	pause->vm = vm;
	pause->eintr = eintr;
	file = anon_inode_getfile("okvm-pause", &pause_fops, pause, O_RDWR);
	if (IS_ERR(file)) {
		kfree(pause);
		return file;
	}
	okvm_vm_get(vm);
	pause_begin(pause);
	return file;
}

long okvm_vm_pause(struct okvm_vm *vm, union okvm_ioctl_arg arg)
{
	const struct okvm_pause *from = arg.data;
	struct file *file;
	int fd, err;

	if (from->flags & ~(__u32)OKVM_PAUSE_EINTR)
		return okvm_refuse(vm, "OKVM_VM_PAUSE: unknown flags");
	if (from->pad)
		return okvm_refuse(vm, "OKVM_VM_PAUSE: pad is not 0");
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = pause_open(vm, from->flags & OKVM_PAUSE_EINTR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_put_fd;
	}
	err = pause_settle(vm);
	if (err)
		goto err_put_file;
	fd_install(fd, file);
	return fd;

err_put_file:
	fput(file);
err_put_fd:
	put_unused_fd(fd);
	return err;
}

/* ---- how KVM_RUN waits for the end of pauses ---- */

/*
 * Return true if a KVM_RUN that waits for the end of all pauses must stop waiting: either no pause
 * is left, or KVM_RUN has to return to userspace.
 */
static bool pause_over(const struct okvm_vcpu *vcpu)
{
	struct okvm_vm *vm = vcpu->vm;

	return !READ_ONCE(vm->paused) || READ_ONCE(vm->dead) || READ_ONCE(vm->pauses_eintr) ||
	       okvm_test_request(OKVM_REQ_LEAVE, vcpu) || okvm_immediate_exit(vcpu->run);
}

int okvm_pause_gate(struct okvm_vcpu *vcpu, bool interrupted)
{
	struct okvm_vm *vm = vcpu->vm;

	lockdep_assert_held(&vcpu->mutex);
	if (READ_ONCE(vm->dead))
		return -EIO;
	if (!READ_ONCE(vm->paused))
		return 0;
	if (okvm_immediate_exit(vcpu->run) || okvm_test_request(OKVM_REQ_LEAVE, vcpu)) {
		/*
		 * The VM is paused, but let KVM_RUN begin: immediate_exit or OKVM_REQ_LEAVE is
		 * going to end it before a VM entry. Userspace may clear immediate_exit before
		 * KVM_RUN reads it again. For that case OKVM_REQ_PAUSE makes KVM_RUN test
		 * vm->paused before the VM entry.
		 */
		okvm_request(OKVM_REQ_PAUSE, vcpu);
		return 0;
	}
	if (interrupted || READ_ONCE(vm->pauses_eintr))
		return okvm_run_interrupted(vcpu);
	return OKVM_RUN_PAUSED;
}

bool okvm_pause_wait(struct okvm_vcpu *vcpu, const sigset_t *mask)
{
	sigset_t saved;
	bool interrupted;

	if (mask)
		sigprocmask(SIG_SETMASK, (sigset_t *)mask, &saved);
	interrupted = wait_event_interruptible(vcpu->vm->pause_wait, pause_over(vcpu));
	if (mask)
		sigprocmask(SIG_SETMASK, &saved, NULL);
	return interrupted;
}

/* ---- kicks ---- */

long okvm_vcpu_leave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	okvm_request_kick(OKVM_REQ_LEAVE, vcpu);
	okvm_pause_wake(vcpu->vm);
	okvm_vcpu_stop_waiting(vcpu);
	return 0;
}
