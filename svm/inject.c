// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inject events, and recover events whose delivery was interrupted by a #VMEXIT. x86/cpu/event.c
 * chooses the event.
 *
 * A CPU with virtual NMIs keeps the guest's NMI mask, and delivers a pending NMI when the guest can
 * take it. Other CPUs have no NMI window and do not keep the mask. On these CPUs IRET is
 * intercepted and emulated while NMIs are masked.
 */
#include <asm/trapnr.h>

#include "core/trace.h"
#include "svm/svm.h"
#include "x86/cpu/event.h"

/*
 * Write an event to the VMCB for the next VMRUN. @len: length of the instruction that causes the
 * event, so that the handler returns to the address after it; 0 if no instruction causes the event
 */
static void write_event_inj(struct okvm_hw_vcpu *hw, u32 info, u32 error, unsigned int len)
{
	hw->event_written = true;
	hw->soft_len = len;
	hw->event_info = info | SVM_EVTINJ_VALID;
	hw->vmcb->control.event_inj = hw->event_info;
	hw->vmcb->control.event_inj_err = error;
	trace_okvm_inject(hw->vcpu->id, info);
}

/*
 * Make the event's handler return to the address after the instruction that causes the event. A CPU
 * with NRIPS pushes the VMCB's next RIP, a CPU without NRIPS pushes RIP (APM "Event Injection"). If
 * only the parameter nrips=0 has switched NRIPS off, the CPU still pushes the next RIP. Therefore
 * set both fields if okvm does not use NRIPS.
 */
void svm_soft_event_enter(struct okvm_hw_vcpu *hw)
{
	unsigned long rip = svm_rip(hw->vcpu);

	hw->soft_rip = rip;
	hw->vmcb->control.next_rip = rip + hw->soft_len;
	if (!svm_has(&svm_caps, SVM_FEAT_NRIPS))
		okvm_rip_set(hw->vcpu, rip + hw->soft_len);
}

void svm_soft_event_undo(struct okvm_hw_vcpu *hw)
{
	if (!svm_has(&svm_caps, SVM_FEAT_NRIPS))
		okvm_rip_set(hw->vcpu, hw->soft_rip);
}

static void svm_inject_exception(struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;
	u32 info = ev->exc.vector | SVM_EVTINJ_TYPE_EXEPT;

	if (ev->exc.has_error)
		info |= SVM_EVTINJ_VALID_ERR;
	write_event_inj(to_hw(vcpu), info, ev->exc.has_error ? ev->exc.error_code : 0,
			okvm_exception_len(ev));
}

static void svm_inject_irq(struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;
	u32 type = ev->irq.soft ? SVM_EVTINJ_TYPE_SOFT : SVM_EVTINJ_TYPE_INTR;

	write_event_inj(to_hw(vcpu), ev->irq.vector | type, 0,
			ev->irq.soft ? okvm_irq_len(ev) : 0);
}

/* Set or clear bits of int_ctl. */
static void int_ctl_set(struct okvm_hw_vcpu *hw, u32 bits, bool on)
{
	struct vmcb_control_area *control = &hw->vmcb->control;

	control->int_ctl = on ? control->int_ctl | bits : control->int_ctl & ~bits;
	svm_dirty(hw, SVM_CLEAN_TPR);
}

static void svm_set_nmi_masked(struct okvm_vcpu *vcpu, bool masked)
{
	if (svm_has(&svm_caps, SVM_FEAT_VNMI)) {
		int_ctl_set(to_hw(vcpu), SVM_V_NMI_MASKED, masked);
		return;
	}
	to_hw(vcpu)->nmi_masked = masked;
	svm_intercepts(vcpu);
}

static void svm_inject_nmi(struct okvm_vcpu *vcpu)
{
	/* With virtual NMIs VMRUN masks further NMIs when it delivers this one. */
	if (!svm_has(&svm_caps, SVM_FEAT_VNMI))
		svm_set_nmi_masked(vcpu, true);
	write_event_inj(to_hw(vcpu), X86_TRAP_NMI | SVM_EVTINJ_TYPE_NMI, 0, 0);
}

/* Return the interrupt shadow. SVM does not tell if STI or MOV SS has caused it: report both. */
static u32 svm_get_irq_shadow(struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK ?
	       OKVM_IRQ_SHADOW_STI | OKVM_IRQ_SHADOW_MOV_SS : 0;
}

static void svm_set_irq_shadow(struct okvm_vcpu *vcpu, u32 shadow)
{
	struct vmcb_control_area *control = &to_hw(vcpu)->vmcb->control;

	control->int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
	if (shadow)
		control->int_state |= SVM_INTERRUPT_SHADOW_MASK;
}

static bool svm_nmi_masked(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (svm_has(&svm_caps, SVM_FEAT_VNMI))
		return hw->vmcb->control.int_ctl & SVM_V_NMI_MASKED;
	return hw->nmi_masked;
}

/*
 * Switch the interrupt window on or off. For a window, make a virtual interrupt of the highest
 * priority pending and intercept it (VINTR): this causes an exit when the guest can take an
 * interrupt.
 */
static void irq_window(struct okvm_hw_vcpu *hw, bool on)
{
	if (on == hw->irq_window)
		return;
	hw->irq_window = on;
	int_ctl_set(hw, V_IRQ_INJECTION_BITS_MASK, false);
	if (on)
		int_ctl_set(hw, V_IRQ_MASK | V_IGN_TPR_MASK | V_INTR_PRIO_MASK, true);
	svm_intercepts(hw->vcpu);
}

/*
 * Pass a pending NMI to the CPU (@on = true), or withdraw it. Used only with virtual NMIs: the CPU
 * delivers the NMI when the guest can take it. The NMI stays counted in ev.nmi_pending until
 * svm_enter_once() finds that the CPU has delivered it.
 */
static void lend_nmi(struct okvm_hw_vcpu *hw, bool on)
{
	if (on == hw->nmi_lent)
		return;
	hw->nmi_lent = on;
	int_ctl_set(hw, SVM_V_NMI_PENDING, on);
}

static void svm_want_window(struct okvm_vcpu *vcpu, bool irq, bool nmi)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	irq_window(hw, irq);
	if (svm_has(&svm_caps, SVM_FEAT_VNMI)) {
		lend_nmi(hw, nmi);
		return;
	}
	/*
	 * While NMIs are masked, no window is needed: IRET exits, and the NMI is injected after the
	 * IRET.
	 */
	nmi = nmi && !hw->nmi_masked;
	hw->nmi_behind = nmi && hw->event_written;
	hw->step = nmi && !hw->event_written && svm_get_irq_shadow(vcpu);
}

/*
 * Postpone an NMI until after a later exit. Called if an interrupt shadow blocks the NMI, and the
 * emulator does not know the instruction in the shadow, so hardware has to execute it. The
 * interrupt window causes an exit at the end of the shadow, but only if RFLAGS.IF is 1.
 */
void svm_nmi_late(struct okvm_vcpu *vcpu)
{
	to_hw(vcpu)->nmi_late = true;
	irq_window(to_hw(vcpu), true);
}

void svm_event_withdraw(struct okvm_hw_vcpu *hw)
{
	hw->soft_len = 0;
	hw->event_written = false;
	hw->vmcb->control.event_inj = 0;
}

void svm_events_clear_injected(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_events *ev = &vcpu->arch->ev;

	hw->event_written = false;
	hw->vmcb->control.event_inj = 0;
	ev->exc.injected = false;
	ev->irq.injected = false;
	ev->nmi_injected = false;
	if (!(hw->cut_info & SVM_EXITINTINFO_VALID))
		hw->soft_len = 0;
	if (hw->nmi_behind)
		okvm_request(OKVM_REQ_EVENT, vcpu);
	hw->nmi_behind = false;
}

/*
 * Called after an exit that has interrupted a delivery. If VMRUN has injected the event of an INT
 * n, INT3 or INTO, return the instruction's length, and make sure that RIP is at the instruction:
 * without NRIPS okvm has moved RIP past it. Return 0 and keep RIP if there is no such event, or if
 * RIP shows that its handler has begun.
 */
static unsigned int soft_event_over(struct okvm_hw_vcpu *hw)
{
	unsigned int len = hw->soft_len;
	unsigned int moved = svm_has(&svm_caps, SVM_FEAT_NRIPS) ? 0 : len;

	hw->soft_len = 0;
	if (!len || svm_rip(hw->vcpu) != hw->soft_rip + moved)
		return 0;
	svm_soft_event_undo(hw);
	return len;
}

/*
 * Recover an event of INT n, INT3 or INTO whose delivery was interrupted. If okvm has injected the
 * event (then @len, the instruction's length, is not 0), inject it again. Otherwise do nothing: the
 * guest executes the instruction again.
 */
static void soft_cut_short(struct okvm_vcpu *vcpu, u8 vector, bool exception, unsigned int len)
{
	if (!len)
		return;
	vcpu->arch->ev.insn_len = len;
	if (exception)
		okvm_reinject_exception(vcpu, vector, false, 0);
	else
		okvm_reinject_irq(vcpu, vector, true, len);
}

/* Inject the event of hw->cut_info again (APM "EXITINTINFO"). */
void svm_events_cut_short(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 info = hw->cut_info;
	u8 vector = info & SVM_EXITINTINFO_VEC_MASK;
	bool has_error = info & SVM_EXITINTINFO_VALID_ERR;
	unsigned int len = soft_event_over(hw);

	switch (info & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_NMI:
		/* The NMI is delivered again: end the masking that its first delivery began. */
		svm_set_nmi_masked(vcpu, false);
		okvm_reinject_nmi(vcpu);
		break;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		if (okvm_exception_is_soft(vector))
			soft_cut_short(vcpu, vector, true, len);
		else
			okvm_reinject_exception(vcpu, vector, has_error, has_error ?
						hw->vmcb->control.exit_int_info_err : 0);
		break;
	case SVM_EXITINTINFO_TYPE_SOFT:
		soft_cut_short(vcpu, vector, false, len);
		break;
	case SVM_EXITINTINFO_TYPE_INTR:
		okvm_reinject_irq(vcpu, vector, false, 0);
		break;
	default:
		break;
	}
}

const struct okvm_event_ops svm_event_ops = {
	.inject_exception = svm_inject_exception,
	.inject_nmi = svm_inject_nmi,
	.inject_irq = svm_inject_irq,
	.get_irq_shadow = svm_get_irq_shadow,
	.set_irq_shadow = svm_set_irq_shadow,
	.nmi_masked = svm_nmi_masked,
	.set_nmi_masked = svm_set_nmi_masked,
	.want_window = svm_want_window,
};
