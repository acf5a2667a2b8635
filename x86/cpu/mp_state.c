// SPDX-License-Identifier: GPL-2.0-only
/* The multiprocessor state (KVM_MP_STATE_*) of a vCPU, and what ends its halt. */
#include "core/arch.h"
#include "x86/cpu/event.h"
#include "x86/cpu/mp_state.h"

bool okvm_arch_vcpu_uninitialized(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mp_state == KVM_MP_STATE_UNINITIALIZED;
}

bool okvm_arch_vcpu_can_enter(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mp_state == KVM_MP_STATE_RUNNABLE && likely(!vcpu->arch->apf_halted);
}

void okvm_set_mp_state(struct okvm_vcpu *vcpu, u32 state)
{
	if (state == KVM_MP_STATE_RUNNABLE)
		WRITE_ONCE(vcpu->arch->pv->unhalted, false);
	WRITE_ONCE(vcpu->arch->mp_state, state);
}

/* Is an event pending that ends HLT (SDM "HLT - Halt")? */
static bool mp_has_event(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	if (ev->exc.pending || okvm_test_request(OKVM_REQ_TRIPLE_FAULT, vcpu))
		return true;
	if ((ev->nmi_pending || okvm_test_request(OKVM_REQ_NMI, vcpu)) &&
	    !vcpu->arch->event_ops->nmi_masked(vcpu))
		return true;
	if (okvm_pv_unhalted(vcpu))
		return true;
	if (okvm_lapic_in_kernel(vcpu) && okvm_apic_timer_pending(vcpu))
		return true;
	return okvm_has_injectable_irq(vcpu) && okvm_irq_allowed(vcpu);
}

bool okvm_arch_vcpu_runnable(struct okvm_vcpu *vcpu)
{
	if (okvm_lapic_in_kernel(vcpu) && okvm_apic_has_events(vcpu))
		return true;
	switch (vcpu->arch->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return !vcpu->arch->apf_halted || mp_has_event(vcpu);
	case KVM_MP_STATE_HALTED:
		return mp_has_event(vcpu);
	default:
		return false;
	}
}

/* Is the vCPU halted by HLT, or until a page of guest memory is present? */
static bool mp_halted(const struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mp_state == KVM_MP_STATE_HALTED || vcpu->arch->apf_halted;
}

void okvm_end_halt(struct okvm_vcpu *vcpu, bool known)
{
	if (!mp_halted(vcpu) || !(known || mp_has_event(vcpu)))
		return;
	vcpu->arch->apf_halted = false;
	/*
	 * Do not call okvm_set_mp_state() if an async page fault, not HLT, has blocked the vCPU. It
	 * would drop a pending KVM_HC_KICK_CPU, which has to end the vCPU's next HLT.
	 */
	if (vcpu->arch->mp_state == KVM_MP_STATE_HALTED)
		okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

int okvm_halt(struct okvm_vcpu *vcpu, int passed)
{
	vcpu->stat[OKVM_STAT_HALT_EXITS]++;
	if (!okvm_lapic_in_kernel(vcpu)) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		return OKVM_USER;
	}
	okvm_apic_pv_eoi_exit(vcpu);
	okvm_apic_timer_inject(vcpu);
	if (passed == OKVM_RESUME && mp_has_event(vcpu)) {
		/*
		 * A pending event ends HLT at once. (With a debug exit, the state becomes HALTED
		 * below even if an event is pending, so that the debugger sees HALTED.)
		 */
		okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
		okvm_request(OKVM_REQ_EVENT, vcpu);
	} else {
		okvm_set_mp_state(vcpu, KVM_MP_STATE_HALTED);
	}
	return passed;
}

bool okvm_arch_poll_allowed(struct okvm_vcpu *vcpu)
{
	/* Poll only in a halt: the wait for INIT or SIPI is too long for polling. */
	return mp_halted(vcpu) && vcpu->arch->pv->poll_control & 1;
}
