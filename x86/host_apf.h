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

#endif /* OKVM_X86_HOST_APF_H */
