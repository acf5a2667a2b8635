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
/* Each takes the locks of two run queues, so a spinning guest gets no more of them per exit. */
#define YIELD_FAILURES	3

static bool block_should_end(struct okvm_vcpu *vcpu)
{
	return okvm_arch_vcpu_runnable(vcpu) || okvm_test_request(OKVM_REQ_UNBLOCK, vcpu) ||
	       okvm_test_request(OKVM_REQ_DEAD, vcpu) || signal_pending(current);
}

/* How one wait went, for the statistics and for the next one's polling time. */
struct block {
	ktime_t start;
	ktime_t poll_end;	/* start, without a poll */
	ktime_t end;
	bool polled;
	bool slept;
};

/*
 * The poll ends when other tasks want this CPU: one of them may be what makes the event that is
 * waited for. Return: whether the wait was over within the polling time.
 */
static bool block_poll(struct okvm_vcpu *vcpu, struct block *block)
{
	ktime_t stop = ktime_add_ns(block->start, vcpu->halt_poll_ns);
	bool over;

	do {
		over = block_should_end(vcpu);
		cpu_relax();
		block->poll_end = ktime_get();
	} while (!over && single_task_running() && !need_resched() &&
		 ktime_before(block->poll_end, stop));
	return over;
}

/* Return: whether it slept at all. */
static bool block_sleep(struct okvm_vcpu *vcpu)
{
	bool slept = false;

	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (block_should_end(vcpu))
			break;
		slept = true;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	return slept;
}

/* A poll is successful if the vCPU did not sleep, even if the event came just after the poll. */
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
	bool may_poll = okvm_arch_poll_allowed(vcpu);
	struct block block = {};

	/* The administrator may have lowered the limit. */
	vcpu->halt_poll_ns = min(vcpu->halt_poll_ns, READ_ONCE(halt_poll_ns));
	block.polled = may_poll && vcpu->halt_poll_ns;
	block.start = ktime_get();
	block.poll_end = block.start;
	/* Before the poll: an exit timer counts on, but it cannot end what does not run. */
	okvm_arch_blocks(vcpu, true);
	if (!block.polled || !block_poll(vcpu, &block))
		block.slept = block_sleep(vcpu);
	block.end = block.slept ? ktime_get() : block.poll_end;
	okvm_arch_blocks(vcpu, false);
	block_count(vcpu, &block);
	if (may_poll)
		block_adapt(vcpu, ktime_to_ns(ktime_sub(block.end, block.start)));
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
	unsigned int failures = 0;
	struct okvm_vcpu *target;
	unsigned long i;
	int ret;

	me->in_spin_loop = true;
	/* Begin behind this vCPU, so that everybody gets a turn. */
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
