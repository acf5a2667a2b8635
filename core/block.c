// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that has nothing to do: poll for a while, then sleep; and giving the
 * CPU to a sibling when a vCPU spins.
 *
 * The polling time adapts as upstream's does: it grows while sleeps turn out
 * short, and falls to nothing when they are long.
 */
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/vcpu.h"

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "longest time a halted vCPU polls before it sleeps, in ns; 0 never polls");

#define POLL_START_NS	10000
#define YIELD_PASSES	2

static bool block_should_end(struct okvm_vcpu *vcpu)
{
	return okvm_arch_vcpu_runnable(vcpu) || okvm_test_request(OKVM_REQ_UNBLOCK, vcpu) ||
	       okvm_test_request(OKVM_REQ_DEAD, vcpu) || signal_pending(current);
}

/*
 * While others want this CPU a poll only takes it from them, and from the one whose event is
 * waited for among them. Return: whether the wait was over before the polling time was.
 */
static bool block_poll(struct okvm_vcpu *vcpu, ktime_t start)
{
	ktime_t end = ktime_add_ns(start, vcpu->halt_poll_ns);

	do {
		if (block_should_end(vcpu)) {
			vcpu->stat[OKVM_STAT_HALT_POLL_OK]++;
			return true;
		}
		cpu_relax();
	} while (single_task_running() && !need_resched() && ktime_before(ktime_get(), end));
	vcpu->stat[OKVM_STAT_HALT_POLL_FAIL]++;
	return false;
}

static void block_sleep(struct okvm_vcpu *vcpu)
{
	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (block_should_end(vcpu))
			break;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
}

static void block_adapt(struct okvm_vcpu *vcpu, u64 waited_ns)
{
	unsigned int limit = READ_ONCE(halt_poll_ns);
	u32 now = vcpu->halt_poll_ns;

	if (waited_ns <= now)
		return;
	if (waited_ns > limit)
		now = 0;
	else
		now = now ? now * 2 : POLL_START_NS;
	vcpu->halt_poll_ns = min(now, limit);
}

void okvm_vcpu_block(struct okvm_vcpu *vcpu)
{
	bool poll = vcpu->halt_poll_ns && okvm_arch_poll_allowed(vcpu);
	ktime_t start = ktime_get();
	u64 ns;

	if (!poll || !block_poll(vcpu, start)) {
		okvm_arch_block_prepare(vcpu);
		block_sleep(vcpu);
		okvm_arch_block_finish(vcpu);
	}
	ns = ktime_to_ns(ktime_sub(ktime_get(), start));
	vcpu->stat[OKVM_STAT_HALT_WAIT_NS] += ns;
	vcpu->stat[OKVM_STAT_HALT_WAKEUP]++;
	if (okvm_arch_poll_allowed(vcpu))
		block_adapt(vcpu, ns);
	okvm_take_request(OKVM_REQ_UNBLOCK, vcpu);
}

int okvm_vcpu_yield_to(struct okvm_vcpu *target)
{
	struct task_struct *task;
	struct pid *pid;
	int ret = 0;

	rcu_read_lock();
	pid = rcu_dereference(target->pid);
	task = pid ? get_pid_task(pid, PIDTYPE_PID) : NULL;
	rcu_read_unlock();
	if (!task)
		return 0;
	ret = yield_to(task, 1);
	put_task_struct(task);
	return ret;
}

/*
 * A vCPU that spins itself is a poor choice, but not a hopeless one: it may
 * hold another lock. It is eligible every other time.
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
	struct okvm_vcpu *target;
	unsigned long i;

	me->in_spin_loop = true;
	/* Begin behind this vCPU, so that everybody gets a turn. */
	for (i = 1; i < nr * YIELD_PASSES; i++) {
		target = okvm_vcpu_at(me->vm, (me->idx + i) % nr);
		if (!target || !spin_candidate(me, target, in_kernel))
			continue;
		if (okvm_vcpu_yield_to(target) > 0) {
			me->stat[OKVM_STAT_DIRECTED_YIELD]++;
			break;
		}
	}
	me->in_spin_loop = false;
	me->spin_dy_eligible = false;
}
