// SPDX-License-Identifier: GPL-2.0-only
/* The functions of stay.h that are not inlined, because they are called rarely. */
#include <asm/msr.h>

#include "core/times.h"
#include "core/trace.h"
#include "core/trace_kvm.h"
#include "x86/stay.h"

u64 okvm_host_xcr0, okvm_host_xss;

void okvm_stay_init(void)
{
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		okvm_host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, okvm_host_xss);
}

void okvm_xcr_switch(const struct okvm_arch_vcpu *arch, bool guest)
{
	if (!static_cpu_has(X86_FEATURE_XSAVE))
		return;
	if (unlikely(arch->xcr0 != okvm_host_xcr0))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, guest ? arch->xcr0 : okvm_host_xcr0);
	if (unlikely(arch->ia32_xss != okvm_host_xss) && static_cpu_has(X86_FEATURE_XSAVES))
		wrmsrl(MSR_IA32_XSS, guest ? arch->ia32_xss : okvm_host_xss);
}

/*
 * Serve requests until none is pending.
 *
 * A fast exit handler, or the serving of a request, may kick its own vCPU. This changes vcpu->mode
 * from IN_GUEST to EXITING_GUEST without an IPI. A later requester that reads EXITING_GUEST would
 * send no IPI either, and the vCPU would enter the guest without serving that request. So store
 * IN_GUEST again, then read the requests again. Either this read sees a later request, or the later
 * requester reads IN_GUEST and sends an IPI (request_leave_guest()).
 */
bool okvm_serve_requests_fast(struct okvm_vcpu *vcpu)
{
	do {
		if (!okvm_serve_fast(vcpu))
			return false;
		if (READ_ONCE(vcpu->mode) == OKVM_IN_GUEST)
			return true;
		/* Pairs with smp_mb() in request.c. */
		smp_store_mb(vcpu->mode, OKVM_IN_GUEST);
	} while (okvm_has_requests(vcpu));
	return true;
}

/* ---- tracepoints and exit times ---- */

void okvm_watch_entry(struct okvm_vcpu *vcpu)
{
	if (vcpu->times)
		okvm_times_entry(vcpu);
	if (trace_okvm_entry_enabled())
		trace_okvm_entry(vcpu->id, okvm_rip(vcpu));
	if (trace_kvm_entry_enabled())
		trace_kvm_entry(vcpu->id, okvm_rip(vcpu), okvm_has_requests(vcpu));
}

/* Return true if a tracepoint is enabled that only the slow exit handlers emit. */
static bool watch_wants_slow(void)
{
	return trace_kvm_cpuid_enabled() || trace_kvm_msr_enabled() || trace_kvm_pio_enabled() ||
	       trace_kvm_hypercall_enabled() || trace_kvm_cr_enabled() ||
	       trace_kvm_page_fault_enabled();
}

bool okvm_watch_exit(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	struct okvm_exit_info info;

	if (vcpu->times)
		okvm_times_exit(vcpu, ops->exit_reason(vcpu));
	if (trace_okvm_exit_enabled() || trace_kvm_exit_enabled()) {
		ops->exit_info(vcpu, &info);
		trace_okvm_exit(vcpu->id, info.reason, okvm_rip(vcpu), info.info1);
		trace_kvm_exit(info.reason, vcpu->id, okvm_rip(vcpu), ops->isa, &info);
	}
	if (okvm_apic_has_vapic(vcpu)) {
		/*
		 * These requests make okvm_arch_serve_requests() call okvm_apic_vapic_push() before
		 * the next VM entry. That function writes the task priority to the address of
		 * KVM_SET_VAPIC_ADDR.
		 */
		okvm_request(OKVM_REQ_EXIT, vcpu);
		okvm_request(OKVM_REQ_EVENT, vcpu);
		return !ops->only_fast(vcpu);
	}
	return watch_wants_slow() && !ops->only_fast(vcpu);
}

void okvm_watch_left(struct okvm_vcpu *vcpu)
{
	if (!okvm_apic_has_vapic(vcpu))
		return;
	okvm_vcpu_srcu_lock(vcpu);
	okvm_apic_vapic_pull(vcpu);
	okvm_vcpu_srcu_unlock(vcpu);
}
