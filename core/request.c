// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends requests to vCPUs, kicks vCPUs, and waits until all vCPUs have left guest mode.
 *
 * vcpu.h describes the protocol. Upstream KVM spreads it over kvm_main.c and encodes "no wakeup"
 * and "no action" in the request number. Here a request is only a bit, and the caller chooses
 * whether to kick the vCPU and whether to wait.
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

/*
 * Change mode OKVM_IN_GUEST to OKVM_EXITING_GUEST, and return the old mode. If several threads kick
 * the vCPU, only one of them gets OKVM_IN_GUEST and sends an IPI.
 */
static enum okvm_vcpu_mode request_leave_guest(struct okvm_vcpu *vcpu)
{
	/*
	 * The caller has set a request bit. Read the mode after that: see the protocol in vcpu.h.
	 * Pairs with smp_store_mb(vcpu->mode) before the VM entry.
	 */
	smp_mb();
	if (READ_ONCE(vcpu->mode) == OKVM_OUTSIDE_GUEST)
		return OKVM_OUTSIDE_GUEST;
	return cmpxchg(&vcpu->mode, OKVM_IN_GUEST, OKVM_EXITING_GUEST);
}

/* If the vCPU is loaded on another CPU, make that CPU leave guest mode. Preemption is off. */
static void request_interrupt(struct okvm_vcpu *vcpu)
{
	int cpu = READ_ONCE(vcpu->cpu);

	if (cpu != smp_processor_id() && (unsigned int)cpu < nr_cpu_ids && cpu_online(cpu))
		vcpu->vm->backend->kick(vcpu, cpu);
}

/*
 * Make the vCPU serve its requests soon. A vCPU in guest mode needs no wake-up: after a VM exit it
 * tests its requests before it sleeps.
 */
void okvm_vcpu_kick(struct okvm_vcpu *vcpu)
{
	preempt_disable();
	switch (request_leave_guest(vcpu)) {
	case OKVM_OUTSIDE_GUEST:
		/*
		 * request_leave_guest() has a barrier between the request bit and this read. It
		 * pairs with set_current_state() of the sleeper, which reads its requests after
		 * that.
		 */
		if (rcuwait_active(&vcpu->wait))
			okvm_vcpu_wake(vcpu);
		break;
	case OKVM_IN_GUEST:
		request_interrupt(vcpu);
		break;
	case OKVM_EXITING_GUEST:
		break;	/* another kicker has sent the IPI */
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

void okvm_request_some(struct okvm_vm *vm, enum okvm_req req, u64 vcpus, bool wait)
{
	struct okvm_vcpu *vcpu;
	cpumask_var_t cpus;
	unsigned long idx;
	bool mask_ok, any = false;
	int me;

	mask_ok = wait && zalloc_cpumask_var(&cpus, GFP_ATOMIC | __GFP_NOWARN);
	me = get_cpu();
	okvm_for_each_vcpu(idx, vcpu, vm) {
		if (!(vcpus & okvm_vcpu_bit(vcpu)))
			continue;
		okvm_request(req, vcpu);
		if (!wait) {
			okvm_vcpu_kick(vcpu);
			continue;
		}
		/*
		 * Send the IPI even if the mode was OKVM_EXITING_GUEST: the vCPU may still be in
		 * guest mode.
		 */
		if (request_leave_guest(vcpu) == OKVM_OUTSIDE_GUEST || READ_ONCE(vcpu->cpu) == me)
			continue;
		any = true;
		if (mask_ok)
			cpumask_set_cpu(READ_ONCE(vcpu->cpu), cpus);
	}
	/* The IPI makes CPUs leave guest mode. This call returns after all of them have left it. */
	if (any)
		smp_call_function_many(mask_ok ? cpus : cpu_online_mask, request_ack, NULL, true);
	put_cpu();
	if (mask_ok)
		free_cpumask_var(cpus);
}
