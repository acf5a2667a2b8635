/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asynchronous page faults of the host kernel, if the host is itself a KVM guest. The hypervisor
 * below the host raises a #PF to say that it is fetching a page of the host's memory. It also
 * writes the flags of this asynchronous page fault into per-CPU memory of the host. The address of
 * the #PF (CR2) is a token. While okvm's guest runs, such a #PF causes a VM exit, whatever the
 * exception bitmap is, and also with EPT or NPT.
 *
 * The exit handler must read and clear the flags at each VM exit with #PF, before IRQs are on. If
 * the flags stay set, the host kernel mistakes its next #PF for an asynchronous one: it panics, or
 * lets the wrong task sleep.
 */
#ifndef OKVM_X86_HOST_APF_H
#define OKVM_X86_HOST_APF_H

#include <linux/irqflags.h>
#include <linux/kvm_para.h>

#include <asm/cpufeature.h>
#include <asm/msr.h>

#include "core/compat.h"

#if OKVM_HAS_KVM_HELPERS

/**
 * host_apf_possible() - Return false if the host runs on bare hardware
 *
 * The test is patched at boot, so it costs nothing there.
 */
static __always_inline bool host_apf_possible(void)
{
	return static_cpu_has(X86_FEATURE_HYPERVISOR);
}

/**
 * host_apf_take() - Read and clear the flags that the hypervisor below the host has written
 *
 * Called with IRQs off after a VM exit with #PF.
 *
 * Return: the flags; 0 if the guest raised the #PF
 */
static __always_inline u32 host_apf_take(void)
{
	return kvm_read_and_reset_apf_flags();
}

/**
 * host_apf_wait() - Clear *@flags and sleep until the page of @token is present
 *
 * Called with IRQs on, and with *@flags not 0.
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

static inline bool host_apf_stop(void) { return false; }
static inline void host_apf_restart(void) { }

#else

/*
 * The kernel does not export its functions for asynchronous page faults to okvm. If the host is
 * itself a guest, okvm asks the hypervisor below the host to send no such faults while okvm runs
 * guests.
 */
static __always_inline bool host_apf_possible(void) { return false; }
static __always_inline u32 host_apf_take(void) { return 0; }
static inline void host_apf_wait(u32 *flags, u32 token) { }

/**
 * host_apf_stop() - Ask the hypervisor below the host not to report its page faults by #PF
 *
 * After this call, if a page of the host is absent, that hypervisor fetches the page before it lets
 * this CPU run on. Called with preemption off.
 *
 * Return: true if the setting changed; the caller must undo the change by host_apf_restart()
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

	/*
	 * If the kernel has disabled asynchronous page faults since host_apf_stop(), do nothing.
	 * The kernel disables them when this CPU goes offline.
	 */
	if (!rdmsrl_safe(MSR_KVM_ASYNC_PF_EN, &en) && en & KVM_ASYNC_PF_ENABLED)
		wrmsrl_safe(MSR_KVM_ASYNC_PF_EN, en | KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT);
}

#endif /* OKVM_HAS_KVM_HELPERS */

#endif /* OKVM_X86_HOST_APF_H */
