// SPDX-License-Identifier: GPL-2.0-only
/* Deliver events by software, for guest state that hardware cannot run. */
#include <asm/trapnr.h>

#include "x86/cpu/event.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/emulation.h"

/* Return the length of the INT n, INT3 or INTO that caused the injected event, otherwise 0. */
static u8 injected_len(const struct okvm_events *ev)
{
	if (ev->exc.injected)
		return okvm_exception_len(ev);
	return ev->nmi_injected ? 0 : okvm_irq_len(ev);
}

static enum emul_rc deliver_injected(struct okvm_emulation *e, u8 len)
{
	const struct okvm_events *ev = &e->vcpu->arch->ev;
	u64 rip = e->ctx.rip + len;

	if (ev->exc.injected)
		return emul_deliver(&e->ctx, ev->exc.vector,
				    len ? EMUL_EV_SOFT_EXCEPTION : EMUL_EV_EXCEPTION,
				    ev->exc.has_error, ev->exc.error_code, rip);
	if (ev->nmi_injected)
		return emul_deliver(&e->ctx, X86_TRAP_NMI, EMUL_EV_EXTERNAL, false, 0, rip);
	return emul_deliver(&e->ctx, ev->irq.vector, len ? EMUL_EV_SOFT : EMUL_EV_EXTERNAL, false,
			    0, rip);
}

int okvm_emul_deliver(struct okvm_vcpu *vcpu)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	struct okvm_events *ev = &vcpu->arch->ev;
	u8 len = injected_len(ev);
	enum emul_rc rc;

	okvm_emul_begin(e, OKVM_EMUL_DELIVERY, 0);
	rc = deliver_injected(e, len);
	/* The delivery was given up. The event is still marked as injected: KVM_RUN tries again. */
	if (okvm_emul_raced(e)) {
		okvm_request(OKVM_REQ_EVENT, vcpu);
		return OKVM_RESUME;
	}
	/*
	 * A delivery cannot access a device in userspace. Fail; the event stays marked as injected.
	 */
	if (rc == EMUL_IO) {
		okvm_request(OKVM_REQ_EVENT, vcpu);
		return okvm_emul_impossible(e);
	}
	/* A task gate: the task switch completes the delivery, or is given up and tried again. */
	if (rc == EMUL_UNHANDLEABLE && e->ctx.out & EMUL_OUT_TASK_SWITCH)
		return okvm_emul_switch_task(e, len);
	if (ev->nmi_injected)
		vcpu->arch->event_ops->set_nmi_masked(vcpu, true);
	ev->nmi_injected = false;
	ev->irq.injected = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	/*
	 * If the delivery of an exception faulted, both together may become a #DF: keep the
	 * exception.
	 */
	if (rc != EMUL_FAULT)
		ev->exc.injected = false;
	e->ctx.out = EMUL_OUT_AGAIN;	/* no instruction has ended */
	return okvm_emul_outcome(e, rc);
}
