// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making a vCPU notice: requests, kicks and waiting for all of them.
 *
 * The contract is in vcpu.h. Upstream spreads it over kvm_main.c and has a
 * separate "no wakeup, no action" encoding inside the request number; here a
 * request is only a bit, and the caller chooses whether to kick and to wait.
 */
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include "core/backend.h"
#include "core/compat.h"
#include "core/vcpu.h"

bool okvm_vcpu_wake(struct okvm_vcpu *vcpu)
{
	return rcuwait_wake_up(&vcpu->wait);
}

/* The mode before; of several kickers only the first sees OKVM_IN_GUEST and sends an IPI. */
static enum okvm_vcpu_mode request_leave_guest(struct okvm_vcpu *vcpu)
{
	/* Pairs with smp_store_mb(vcpu->mode) before the entry. */
	smp_mb();
	if (READ_ONCE(vcpu->mode) == OKVM_OUTSIDE_GUEST)
		return OKVM_OUTSIDE_GUEST;
	return cmpxchg(&vcpu->mode, OKVM_IN_GUEST, OKVM_EXITING_GUEST);
}

/* Preemption off. */
static void request_interrupt(struct okvm_vcpu *vcpu)
{
	int cpu = READ_ONCE(vcpu->cpu);

	if (cpu != smp_processor_id() && (unsigned int)cpu < nr_cpu_ids && cpu_online(cpu))
		vcpu->vm->backend->kick(vcpu, cpu);
}

/*
 * A vCPU in the guest does not sleep; if it leaves the guest meanwhile, it looks at its requests
 * before it sleeps.
 */
void okvm_vcpu_kick(struct okvm_vcpu *vcpu)
{
	preempt_disable();
	switch (request_leave_guest(vcpu)) {
	case OKVM_OUTSIDE_GUEST:
		/* After the barrier above; pairs with set_current_state() in block_sleep(). */
		if (rcuwait_active(&vcpu->wait))
			okvm_vcpu_wake(vcpu);
		break;
	case OKVM_IN_GUEST:
		request_interrupt(vcpu);
		break;
	case OKVM_EXITING_GUEST:
		break;	/* somebody else has interrupted it */
	}
	preempt_enable();
}

void okvm_request_kick(enum okvm_req req, struct okvm_vcpu *vcpu)
{
	okvm_request(req, vcpu);
	okvm_vcpu_kick(vcpu);
}

static void request_ack(void *unused)
{
}

void okvm_request_all(struct okvm_vm *vm, enum okvm_req req, bool wait)
{
	struct okvm_vcpu *vcpu;
	cpumask_var_t cpus;
	unsigned long idx;
	bool mask_ok, any = false;
	int me;

	mask_ok = wait && zalloc_cpumask_var(&cpus, GFP_ATOMIC | __GFP_NOWARN);
	me = get_cpu();
	okvm_for_each_vcpu(idx, vcpu, vm) {
		okvm_request(req, vcpu);
		if (!wait) {
			okvm_vcpu_kick(vcpu);
			continue;
		}
		/* A vCPU on its way out may still be in the guest: wait for it as well. */
		if (request_leave_guest(vcpu) == OKVM_OUTSIDE_GUEST || READ_ONCE(vcpu->cpu) == me)
			continue;
		any = true;
		if (mask_ok)
			cpumask_set_cpu(READ_ONCE(vcpu->cpu), cpus);
	}
	/* The call itself makes a CPU leave the guest; its return says that it has. */
	if (any)
		smp_call_function_many(mask_ok ? cpus : cpu_online_mask, request_ack, NULL, true);
	put_cpu();
	if (mask_ok)
		free_cpumask_var(cpus);
}
