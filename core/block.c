// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks a vCPU that has nothing to do: polls for a while, then sleeps. This file also has directed
 * yield: a vCPU that spins gives its CPU to another vCPU of the VM.
 *
 * The polling time adapts as in upstream KVM: it grows while sleeps are short, and shrinks or
 * becomes 0 when sleeps are long.
 */
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/wait.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/internal.h"
#include "core/trace_kvm.h"

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "longest time a halted vCPU polls before it sleeps, in ns; 0 never polls");

/* Requests that end okvm_vcpu_block() even if no event for the guest is pending. */
#define ENDS_BLOCK	(BIT(OKVM_REQ_UNBLOCK) | BIT(OKVM_REQ_DEAD) | BIT(OKVM_REQ_LEAVE) | \
			 BIT(OKVM_REQ_PAUSE))

static unsigned int halt_poll_ns_grow = 2;
module_param(halt_poll_ns_grow, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns_grow, "factor by which the time grows after a short sleep; 0: it does not");

static unsigned int halt_poll_ns_grow_start = 10000;
module_param(halt_poll_ns_grow_start, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns_grow_start, "shortest time of a poll, in ns");

static unsigned int halt_poll_ns_shrink;
module_param(halt_poll_ns_shrink, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns_shrink, "divisor of the time after a long sleep; 0: no more polls");

#define YIELD_PASSES	2
/*
 * Maximum number of failed yields per PAUSE-loop exit: each one takes the locks of two run queues.
 */
#define YIELD_FAILURES	3

/* Data about one call of okvm_vcpu_block(), for statistics and for adapting the polling time. */
struct block {
	ktime_t start;
	ktime_t poll_end;	/* when the poll ended; equals @start without a poll */
	ktime_t end;
	bool polled;
	bool slept;
	bool runnable;		/* the last result of okvm_arch_vcpu_runnable() */
};

static bool block_should_end(struct okvm_vcpu *vcpu, struct block *block)
{
	block->runnable = okvm_arch_vcpu_runnable(vcpu);
	return block->runnable || READ_ONCE(vcpu->requests) & ENDS_BLOCK || signal_pending(current);
}

/*
 * Poll until block_should_end() is true or the polling time ends. Also stop if another task wants
 * this CPU, because that task may produce the event that the vCPU waits for. If another task wants
 * the CPU already, do not call block_should_end() at all, because block_sleep() calls it.
 * Return: the last result of block_should_end(), or false if it was not called
 */
static bool block_poll(struct okvm_vcpu *vcpu, struct block *block)
{
	ktime_t stop = ktime_add_ns(block->start, vcpu->halt_poll_ns);
	bool over;

	if (!single_task_running())
		return false;
	do {
		over = block_should_end(vcpu, block);
		cpu_relax();
		block->poll_end = ktime_get();
	} while (!over && single_task_running() && !need_resched() &&
		 ktime_before(block->poll_end, stop));
	return over;
}

/* Sleep until block_should_end() is true. Return true if the thread has slept. */
static bool block_sleep(struct okvm_vcpu *vcpu, struct block *block)
{
	bool slept = false;

	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (block_should_end(vcpu, block))
			break;
		slept = true;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	return slept;
}

/*
 * Count @block in the vCPU's statistics. A poll counts as successful if the vCPU did not sleep
 * after it.
 */
static void block_count(struct okvm_vcpu *vcpu, const struct block *block)
{
	u64 poll_ns = ktime_to_ns(ktime_sub(block->poll_end, block->start));

	if (block->polled) {
		vcpu->stat[OKVM_STAT_HALT_POLLS]++;
		vcpu->stat[OKVM_STAT_HALT_POLL_OK] += !block->slept;
		vcpu->stat[block->slept ? OKVM_STAT_HALT_POLL_FAIL_NS :
					  OKVM_STAT_HALT_POLL_OK_NS] += poll_ns;
	}
	if (block->slept) {
		vcpu->stat[OKVM_STAT_HALT_WAIT_NS] +=
			ktime_to_ns(ktime_sub(block->end, block->poll_end));
		vcpu->stat[OKVM_STAT_HALT_WAKEUP] += !signal_pending(current);
	}
}

static u32 block_grown(u32 now)
{
	unsigned int by = READ_ONCE(halt_poll_ns_grow);

	if (!by)
		return now;
	return min_t(u64, max_t(u64, (u64)now * by, READ_ONCE(halt_poll_ns_grow_start)), U32_MAX);
}

static u32 block_shrunk(u32 now)
{
	unsigned int by = READ_ONCE(halt_poll_ns_shrink);

	now = by ? now / by : 0;
	return now < READ_ONCE(halt_poll_ns_grow_start) ? 0 : now;
}

static void block_adapt(struct okvm_vcpu *vcpu, u64 waited_ns)
{
	unsigned int limit = READ_ONCE(halt_poll_ns);
	u32 now = vcpu->halt_poll_ns;

	if (waited_ns <= now)
		return;
	if (waited_ns > limit)
		now = block_shrunk(now);
	else
		now = block_grown(now);
	now = min(now, limit);
	if (now != vcpu->halt_poll_ns)
		trace_kvm_halt_poll_ns(now > vcpu->halt_poll_ns, vcpu->id, now,
				       vcpu->halt_poll_ns);
	vcpu->halt_poll_ns = now;
}

bool okvm_vcpu_block(struct okvm_vcpu *vcpu)
{
	bool may_poll = okvm_arch_poll_allowed(vcpu);
	struct block block = {};

	/* The administrator may have lowered the parameter halt_poll_ns since the last call. */
	vcpu->halt_poll_ns = min(vcpu->halt_poll_ns, READ_ONCE(halt_poll_ns));
	block.polled = may_poll && vcpu->halt_poll_ns;
	block.start = ktime_get();
	block.poll_end = block.start;
	/*
	 * Before the poll, let a timer of the host implement the LAPIC timer. The VMX preemption
	 * timer cannot do that here, because it runs only in guest mode.
	 */
	okvm_arch_blocks(vcpu, true);
	if (!block.polled || !block_poll(vcpu, &block))
		block.slept = block_sleep(vcpu, &block);
	block.end = block.slept ? ktime_get() : block.poll_end;
	okvm_arch_blocks(vcpu, false);
	trace_kvm_vcpu_wakeup(ktime_to_ns(ktime_sub(block.end, block.start)), block.slept, true);
	block_count(vcpu, &block);
	if (may_poll)
		block_adapt(vcpu, ktime_to_ns(ktime_sub(block.end, block.start)));
	okvm_take_request(OKVM_REQ_UNBLOCK, vcpu);
	return block.runnable;
}

/* Return the thread that ran the vCPU last, with a reference, or NULL if the thread is gone. */
static struct task_struct *block_thread(struct okvm_vcpu *vcpu)
{
	struct task_struct *task;
	struct pid *pid;

	rcu_read_lock();
	pid = rcu_dereference(vcpu->pid);
	task = pid ? get_pid_task(pid, PIDTYPE_PID) : NULL;
	rcu_read_unlock();
	return task;
}

bool okvm_vcpu_wait_begin(struct okvm_vcpu *vcpu)
{
	bool may;

	spin_lock(&vcpu->wait_lock);
	may = !okvm_test_request(OKVM_REQ_LEAVE, vcpu);
	vcpu->waits = may;
	spin_unlock(&vcpu->wait_lock);
	return may;
}

void okvm_vcpu_wait_end(struct okvm_vcpu *vcpu)
{
	spin_lock(&vcpu->wait_lock);
	vcpu->waits = false;
	spin_unlock(&vcpu->wait_lock);
}

/*
 * End the vCPU thread's interruptible wait for memory by setting TIF_NOTIFY_SIGNAL. The flag ends
 * the wait as a signal would, but has no other effect, and the return to userspace clears it. The
 * caller holds wait_lock and has seen OKVM_REQ_LEAVE pending, so the thread is still in the KVM_RUN
 * that has to end.
 */
static void block_interrupt(struct task_struct *task)
{
	struct wait_queue_entry entry = { .private = task };

	set_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
	/* Wake the task only from an interruptible wait: other waits may not expect a wake-up. */
	default_wake_function(&entry, TASK_INTERRUPTIBLE, 0, NULL);
}

void okvm_vcpu_stop_waiting(struct okvm_vcpu *vcpu)
{
	struct task_struct *task = NULL;

	spin_lock(&vcpu->wait_lock);
	if (vcpu->waits && okvm_test_request(OKVM_REQ_LEAVE, vcpu))
		task = block_thread(vcpu);
	if (task)
		block_interrupt(task);
	spin_unlock(&vcpu->wait_lock);
	if (task)
		put_task_struct(task);
}

int okvm_vcpu_yield_to(struct okvm_vcpu *target)
{
	struct task_struct *task = block_thread(target);
	int ret;

	if (!task)
		return 0;
	ret = yield_to(task, 1);
	put_task_struct(task);
	return ret;
}

/*
 * Return true if a vCPU in a PAUSE loop may yield to @target. If @target is in a PAUSE loop, too,
 * it is a poor choice, but it may hold a lock that others wait for. So return true every second
 * time.
 */
static bool spin_eligible(struct okvm_vcpu *target)
{
	bool eligible = !target->in_spin_loop || target->spin_dy_eligible;

	if (target->in_spin_loop)
		target->spin_dy_eligible = !target->spin_dy_eligible;
	return eligible;
}

static bool spin_candidate(struct okvm_vcpu *me, struct okvm_vcpu *target, bool in_kernel)
{
	if (target == me || !READ_ONCE(target->preempted))
		return false;
	if (rcuwait_active(&target->wait))
		return false;
	if (in_kernel && !okvm_arch_in_kernel_mode(target))
		return false;
	return spin_eligible(target);
}

void okvm_vcpu_on_spin(struct okvm_vcpu *me, bool in_kernel)
{
	unsigned long nr = atomic_read(&me->vm->online_vcpus);
	unsigned int failures = 0;
	struct okvm_vcpu *target;
	unsigned long i;
	int ret;

	me->in_spin_loop = true;
	/* Begin with the vCPU after @me, so that not all spinning vCPUs yield to the same one. */
	for (i = 1; i < nr * YIELD_PASSES && failures < YIELD_FAILURES; i++) {
		target = okvm_vcpu_at(me->vm, (me->idx + i) % nr);
		if (!target || !spin_candidate(me, target, in_kernel))
			continue;
		ret = okvm_vcpu_yield_to(target);
		if (ret > 0)
			break;
		failures += ret < 0;
	}
	me->in_spin_loop = false;
	me->spin_dy_eligible = false;
}
