/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asynchronous page faults of the host's own, where the host is a virtual machine: its hypervisor
 * tells it by a #PF that a page of the host's is being fetched. Such a #PF ends the guest's run
 * whatever exceptions are intercepted, also under two-dimensional paging; its flags lie in memory
 * of the host's CPU, and the address is a token.
 *
 * The flags have to be taken at each exit for a #PF, before IRQs are on and whoever serves it: if
 * they stay, the next #PF of the host's kernel is taken for an event of that kind, and panics.
 */
#ifndef OKVM_X86_HOST_APF_H
#define OKVM_X86_HOST_APF_H

#include <linux/irqflags.h>
#include <linux/kvm_para.h>

#include <asm/cpufeature.h>
#include <asm/msr.h>

#include "core/compat.h"

#if OKVM_HAS_KVM_HELPERS

/** host_apf_possible() - false, at no cost, where the host runs on the bare machine */
static __always_inline bool host_apf_possible(void)
{
	return static_cpu_has(X86_FEATURE_HYPERVISOR);
}

/** host_apf_take() - the flags of a #PF exit, 0 if it is the guest's own; IRQs off */
static __always_inline u32 host_apf_take(void)
{
	return kvm_read_and_reset_apf_flags();
}

/** host_apf_wait() - *@flags are not 0: until the page of @token is there. IRQs on; sleeps */
static inline void host_apf_wait(u32 *flags, u32 token)
{
	const u32 is = *flags;

	*flags = 0;
	/* "Page ready" comes as an interrupt, never so. */
	if (WARN_ON_ONCE(!(is & KVM_PV_REASON_PAGE_NOT_PRESENT)))
		return;
	local_irq_disable();
	kvm_async_pf_task_wait_schedule(token);
	local_irq_enable();
}

static inline bool host_apf_stop(void) { return false; }
static inline void host_apf_restart(void) { }

#else

/* The helpers are restricted: the hypervisor is asked not to send such a #PF while guests may run. */
static __always_inline bool host_apf_possible(void) { return false; }
static __always_inline u32 host_apf_take(void) { return 0; }
static inline void host_apf_wait(u32 *flags, u32 token) { }

/**
 * host_apf_stop() - have this CPU's hypervisor send no #PF of its own while a guest runs
 *
 * The hypervisor then fetches the page before it goes on with the guest. Preemption is off.
 *
 * Return: true if this changed what the hypervisor does; host_apf_restart() takes it back then.
 */
static inline bool host_apf_stop(void)
{
	u64 en;

	return static_cpu_has(X86_FEATURE_HYPERVISOR) && !rdmsrl_safe(MSR_KVM_ASYNC_PF_EN, &en) &&
	       en & KVM_ASYNC_PF_ENABLED && en & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT &&
	       !wrmsrl_safe(MSR_KVM_ASYNC_PF_EN, en & ~KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT);
}

static inline void host_apf_restart(void)
{
	u64 en;

	/* The kernel has switched it off meanwhile where this CPU goes offline. */
	if (!rdmsrl_safe(MSR_KVM_ASYNC_PF_EN, &en) && en & KVM_ASYNC_PF_ENABLED)
		wrmsrl_safe(MSR_KVM_ASYNC_PF_EN, en | KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT);
}

#endif /* OKVM_HAS_KVM_HELPERS */

#endif /* OKVM_X86_HOST_APF_H */
