/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asynchronous page faults of the host kernel, if the host is itself a KVM guest. Its hypervisor
 * raises a #PF to say that it is fetching a page of the host's memory. While okvm's guest runs,
 * such a #PF causes a VM exit, whatever the exception bitmap is and also with TDP. The flags of the
 * #PF are in per-CPU memory of the host; its address (CR2) is a token.
 *
 * The exit handler must read and clear the flags at each VM exit with #PF, before IRQs are on. If
 * the flags stay set, the host kernel takes its own next #PF for an asynchronous one and panics.
 */
#ifndef OKVM_X86_HOST_APF_H
#define OKVM_X86_HOST_APF_H

#include <linux/irqflags.h>
#include <linux/kvm_para.h>

#include <asm/cpufeature.h>

/** host_apf_possible() - Return false, at no cost, if the host runs on bare hardware */
static __always_inline bool host_apf_possible(void)
{
	return static_cpu_has(X86_FEATURE_HYPERVISOR);
}

/**
 * host_apf_take() - Read and clear the flags of a VM exit with #PF, IRQs off
 * Return: the flags; 0 if the guest raised the #PF
 */
static __always_inline u32 host_apf_take(void)
{
	return kvm_read_and_reset_apf_flags();
}

/**
 * host_apf_wait() - Clear the nonzero *@flags and sleep until the page of @token is present
 *
 * IRQs are on.
 */
static inline void host_apf_wait(u32 *flags, u32 token)
{
	const u32 is = *flags;

	*flags = 0;
	/* "Page ready" is reported by an interrupt, never by a #PF. */
	if (WARN_ON_ONCE(!(is & KVM_PV_REASON_PAGE_NOT_PRESENT)))
		return;
	local_irq_disable();
	kvm_async_pf_task_wait_schedule(token);
	local_irq_enable();
}

#endif /* OKVM_X86_HOST_APF_H */
