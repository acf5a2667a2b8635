// SPDX-License-Identifier: GPL-2.0-only
/* Delivery by software: what hardware does not run it does not deliver to either. */
#include <asm/trapnr.h>

#include "x86/cpu/user_exit.h"
#include "x86/insn/emulation.h"

static enum emul_rc deliver_exception(struct okvm_emulation *e, const struct okvm_exception *exc,
				      u8 insn_len)
{
	enum emul_event kind = EMUL_EV_EXCEPTION;
	u64 rip = e->ctx.rip;

	if (exc->vector == X86_TRAP_BP || exc->vector == X86_TRAP_OF) {
		kind = EMUL_EV_SOFT_EXCEPTION;
		rip += insn_len;
	}
	return emul_deliver(&e->ctx, exc->vector, kind, exc->has_error, exc->error_code, rip);
}

static enum emul_rc deliver_injected(struct okvm_emulation *e)
{
	const struct okvm_events *ev = &e->vcpu->arch->ev;
	u64 rip = e->ctx.rip;

	if (ev->exc.injected)
		return deliver_exception(e, &ev->exc, ev->insn_len);
	if (ev->nmi_injected)
		return emul_deliver(&e->ctx, X86_TRAP_NMI, EMUL_EV_EXTERNAL, false, 0, rip);
	if (!ev->irq.soft)
		return emul_deliver(&e->ctx, ev->irq.vector, EMUL_EV_EXTERNAL, false, 0, rip);
	return emul_deliver(&e->ctx, ev->irq.vector, EMUL_EV_SOFT, false, 0, rip + ev->insn_len);
}

int okvm_emul_deliver(struct okvm_vcpu *vcpu)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	struct okvm_events *ev = &vcpu->arch->ev;
	enum emul_rc rc;

	okvm_emul_begin(e, OKVM_EMUL_INVALID_STATE, 0);
	rc = deliver_injected(e);
	/* Nothing completes a delivery that userspace would have to take part in: the event stays. */
	if (rc == EMUL_IO)
		return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, NULL);
	if (ev->nmi_injected)
		vcpu->arch->event_ops->set_nmi_masked(vcpu, true);
	ev->nmi_injected = false;
	ev->irq.injected = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (rc == EMUL_UNHANDLEABLE && e->ctx.out & EMUL_OUT_TASK_SWITCH)
		return okvm_emul_switch_task(e, e->ctx.task.external ? 0 : ev->insn_len);
	/* An exception that was being delivered decides what the new one becomes. */
	if (rc != EMUL_FAULT)
		ev->exc.injected = false;
	e->ctx.out = EMUL_OUT_AGAIN;	/* no instruction has ended */
	return okvm_emul_outcome(e, rc);
}
