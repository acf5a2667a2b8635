// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choose the event that the next VM entry injects: an exception, an NMI or an interrupt, in the
 * order of the SDM's "Priority Among Concurrent Events". One VM entry injects one event. If another
 * event is pending, request a window exit: a VM exit as soon as the guest can take that event.
 *
 * An event whose delivery a VM exit has interrupted ("injected") goes first and unchanged. The
 * order of the tests in okvm_inject_events() is the order of priority.
 */
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "core/trace_kvm.h"
#include "irq/needs.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/event_rules.h"
#include "x86/cpu/regs.h"

bool okvm_vnmi = true;
module_param_cb(vnmi, &param_ops_bool, &okvm_vnmi, 0444);
MODULE_PARM_DESC(vnmi, "NMI blocking kept by the CPU");

/* ---- raising ---- */

/*
 * Set RF in RFLAGS, because the delivery of a fault pushes RFLAGS with RF set. Do nothing for
 * exceptions that are not faults, and for #DB. If a debugger single-steps the guest, also clear the
 * debugger's TF, unless the fault is at the instruction where the step began.
 */
static void event_set_rf(struct okvm_vcpu *vcpu, const struct okvm_exception *exc)
{
	unsigned long rflags = okvm_guest_rflags(vcpu) | X86_EFLAGS_RF;

	if (!event_is_fault(exc->vector))
		return;
	if (vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP &&
	    okvm_is_linear_rip(vcpu, vcpu->arch->singlestep_rip))
		rflags |= X86_EFLAGS_TF;
	okvm_rflags_set(vcpu, rflags);
}

/*
 * Write the exception's payload to CR2 or DR6. okvm calls this function when it raises an
 * exception, so that userspace sees the registers and the exception together. If userspace has set
 * the exception, okvm calls it when it injects the exception.
 */
static void event_deliver_payload(struct okvm_vcpu *vcpu)
{
	struct okvm_exception *exc = &vcpu->arch->ev.exc;

	if (!exc->has_payload)
		return;
	if (exc->vector == X86_TRAP_PF) {
		vcpu->arch->cr2 = exc->payload;
	} else if (exc->vector == X86_TRAP_DB) {
		vcpu->arch->dr6 &= ~(unsigned long)DR_TRAP_BITS;
		vcpu->arch->dr6 = event_dr6(vcpu->arch->dr6, exc->payload);
	}
	exc->has_payload = false;
	exc->payload = 0;
}

/*
 * Queue @new. If arch->ev already has an exception, combine both (SDM "Interrupt 8 - Double Fault
 * Exception").
 */
static void event_queue(struct okvm_vcpu *vcpu, struct okvm_exception new)
{
	struct okvm_exception *exc = &vcpu->arch->ev.exc;

	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (!exc->pending && !exc->injected) {
		new.pending = true;
		*exc = new;
		event_deliver_payload(vcpu);
		return;
	}
	/* Write CR2 even if the #PF becomes a #DF: a CPU writes CR2 before it delivers a #PF. */
	if (new.vector == X86_TRAP_PF && new.has_payload)
		vcpu->arch->cr2 = new.payload;
	switch (event_merge(exc->vector, new.vector)) {
	case EVENT_MERGE_SECOND:
		new.pending = true;
		*exc = new;
		event_deliver_payload(vcpu);
		break;
	case EVENT_MERGE_DOUBLE:
		*exc = (struct okvm_exception) {
			.pending = true, .vector = X86_TRAP_DF, .has_error = true,
		};
		break;
	case EVENT_MERGE_SHUTDOWN:
		*exc = (struct okvm_exception) { };
		okvm_request(OKVM_REQ_TRIPLE_FAULT, vcpu);
		break;
	}
}

void okvm_queue_exception(struct okvm_vcpu *vcpu, u8 vector)
{
	event_queue(vcpu, (struct okvm_exception) { .vector = vector });
}

void okvm_queue_exception_err(struct okvm_vcpu *vcpu, u8 vector, u32 error_code)
{
	event_queue(vcpu, (struct okvm_exception) {
		.vector = vector, .has_error = true, .error_code = error_code,
	});
}

void okvm_queue_db(struct okvm_vcpu *vcpu, unsigned long dr6)
{
	event_queue(vcpu, (struct okvm_exception) {
		.vector = X86_TRAP_DB, .has_payload = true, .payload = dr6,
	});
}

void okvm_queue_pf(struct okvm_vcpu *vcpu, unsigned long cr2, u32 error_code)
{
	event_queue(vcpu, (struct okvm_exception) {
		.vector = X86_TRAP_PF, .has_error = true, .error_code = error_code,
		.has_payload = true, .payload = cr2,
	});
}

/* ---- may an event be injected? ---- */

static bool event_reinjecting(const struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	return ev->exc.injected || ev->nmi_injected || ev->irq.injected;
}

bool okvm_irq_allowed(struct okvm_vcpu *vcpu)
{
	return (okvm_rflags(vcpu) & X86_EFLAGS_IF) && !vcpu->arch->event_ops->get_irq_shadow(vcpu);
}

static bool event_nmi_allowed(struct okvm_vcpu *vcpu)
{
	const struct okvm_event_ops *ops = vcpu->arch->event_ops;

	return !ops->nmi_masked(vcpu) && !ops->get_irq_shadow(vcpu);
}

bool okvm_has_injectable_irq(struct okvm_vcpu *vcpu)
{
	if (!okvm_lapic_in_kernel(vcpu))
		return vcpu->arch->ev.user_irq >= 0;
	if (okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_SPLIT) {
		if (vcpu->arch->ev.user_irq >= 0 && okvm_apic_accepts_pic(vcpu))
			return true;
	} else if (okvm_pic_has_irq(vcpu->vm) && okvm_apic_accepts_pic(vcpu)) {
		return true;
	}
	return okvm_apic_pending_irq(vcpu) >= 0;
}

/*
 * Is an interrupt pending that okvm must inject? With virtual-interrupt delivery okvm does not
 * inject the LAPIC's interrupts: okvm_apic_hand_over() sets RVI, and the CPU delivers them.
 */
static bool event_irq_waits(struct okvm_vcpu *vcpu)
{
	if (!okvm_lapic_in_kernel(vcpu) || !okvm_apic_hw_delivers(vcpu))
		return okvm_has_injectable_irq(vcpu);
	return (vcpu->arch->ev.user_irq >= 0 || okvm_pic_has_irq(vcpu->vm)) &&
	       okvm_apic_accepts_pic(vcpu);
}

/* Acknowledge the interrupt that event_irq_waits() found. Return: vector, or -1 if it is gone */
static int event_take_irq(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;
	int vector = ev->user_irq;

	if (vector >= 0 && (!okvm_lapic_in_kernel(vcpu) || okvm_apic_accepts_pic(vcpu))) {
		ev->user_irq = -1;
		return vector;
	}
	if (!okvm_lapic_in_kernel(vcpu))
		return -1;
	if (okvm_pic_has_irq(vcpu->vm) && okvm_apic_accepts_pic(vcpu) &&
	    okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_KERNEL)
		return okvm_pic_ack_irq(vcpu->vm);
	if (okvm_apic_hw_delivers(vcpu))
		return -1;
	vector = okvm_apic_pending_irq(vcpu);
	if (vector >= 0)
		okvm_apic_ack_irq(vcpu, vector);
	return vector;
}

/* ---- delivery ---- */

static void backend_inject_exception(struct okvm_vcpu *vcpu, bool reinjected)
{
	const struct okvm_exception *exc = &vcpu->arch->ev.exc;

	/* In real mode exceptions push no error code. */
	if (!(okvm_cr0(vcpu) & X86_CR0_PE))
		vcpu->arch->ev.exc.has_error = false;
	trace_kvm_inj_exception(exc->vector, exc->has_error,
				exc->has_error ? exc->error_code : 0, reinjected);
	vcpu->arch->event_ops->inject_exception(vcpu);
}

static void backend_inject_irq(struct okvm_vcpu *vcpu, bool reinjected)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	trace_kvm_inj_virq(ev->irq.vector, ev->irq.soft, reinjected);
	vcpu->arch->event_ops->inject_irq(vcpu);
}

static void event_reinject(struct okvm_vcpu *vcpu)
{
	const struct okvm_event_ops *ops = vcpu->arch->event_ops;
	struct okvm_events *ev = &vcpu->arch->ev;

	if (ev->exc.injected)
		backend_inject_exception(vcpu, true);
	else if (ev->nmi_injected)
		ops->inject_nmi(vcpu);
	else
		backend_inject_irq(vcpu, true);
}

static void event_inject_exception(struct okvm_vcpu *vcpu)
{
	struct okvm_exception *exc = &vcpu->arch->ev.exc;

	event_set_rf(vcpu, exc);
	event_deliver_payload(vcpu);
	if (exc->vector == X86_TRAP_DB && vcpu->arch->dr7 & DR7_GD) {
		vcpu->arch->dr7 &= ~(unsigned long)DR7_GD;
		okvm_update_dr7(vcpu);
	}
	exc->pending = false;
	exc->injected = true;
	vcpu->stat[OKVM_STAT_EXC_INJECTED]++;
	backend_inject_exception(vcpu, false);
}

static void event_inject_nmi(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	ev->nmi_pending--;
	ev->nmi_injected = true;
	vcpu->stat[OKVM_STAT_NMI_INJECTED]++;
	vcpu->arch->event_ops->inject_nmi(vcpu);
}

static void event_inject_irq(struct okvm_vcpu *vcpu, int vector)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	if (vector < 0)
		return;
	ev->irq.injected = true;
	ev->irq.soft = false;
	ev->irq.vector = vector;
	vcpu->stat[OKVM_STAT_IRQ_INJECTED]++;
	backend_inject_irq(vcpu, false);
}

/*
 * Return true if okvm must request a window exit because userspace waits to inject an interrupt. If
 * the LAPIC is in the kernel and LINT0 does not pass interrupts of the VMM's PIC, return false: the
 * guest cannot take the interrupt even if IF is set, so each VM entry would exit at once.
 */
static bool event_user_wants_window(struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->request_interrupt_window) &&
	       okvm_irqchip_mode(vcpu->vm) != OKVM_IRQCHIP_KERNEL &&
	       (!okvm_lapic_in_kernel(vcpu) || okvm_apic_accepts_pic(vcpu));
}

/* Does a debugger single-step with NMIs and interrupts blocked (KVM_GUESTDBG_BLOCKIRQ)? */
static bool event_blocked_by_debugger(const struct okvm_vcpu *vcpu)
{
	return vcpu->arch->guest_debug & KVM_GUESTDBG_BLOCKIRQ;
}

/* Is a KVM_INTERRUPT pending, in a VM without LAPICs? KVM_GUESTDBG_BLOCKIRQ does not block it. */
static bool event_from_userspace(const struct okvm_vcpu *vcpu)
{
	return !okvm_lapic_in_kernel(vcpu) && vcpu->arch->ev.user_irq >= 0;
}

static void event_ask_windows(struct okvm_vcpu *vcpu, bool irq_waits, bool blocked)
{
	bool irq = irq_waits || event_user_wants_window(vcpu);
	bool nmi = !blocked && vcpu->arch->ev.nmi_pending;

	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_sync_tpr(vcpu);
	vcpu->arch->event_ops->want_window(vcpu, irq, nmi);
}

/*
 * Return true in the common case: at most a new exception and an interrupt of the LAPIC can be
 * pending, and okvm (not the CPU) delivers the LAPIC's interrupts.
 */
static bool event_only_apic(struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	return okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_KERNEL &&
	       !event_reinjecting(vcpu) && !ev->nmi_pending && ev->user_irq < 0 &&
	       !okvm_apic_hw_delivers(vcpu) && !okvm_pic_has_irq(vcpu->vm) &&
	       !event_blocked_by_debugger(vcpu);
}

/*
 * Inject the pending exception, or else the LAPIC's pending interrupt with the highest priority.
 * Request a window exit only if this interrupt has to wait. The LAPIC's other interrupts need no
 * window exit: they do not have a higher priority, and okvm looks for them at the guest's EOI.
 */
static void event_inject_apic(struct okvm_vcpu *vcpu)
{
	const bool exception = vcpu->arch->ev.exc.pending;
	bool waits;
	int vector;

	if (exception)
		event_inject_exception(vcpu);
	vector = okvm_apic_pending_irq(vcpu);
	waits = vector >= 0 && (exception || !okvm_irq_allowed(vcpu));

	if (vector >= 0 && !waits) {
		okvm_apic_ack_irq(vcpu, vector);
		event_inject_irq(vcpu, vector);
	}
	okvm_apic_sync_tpr(vcpu);
	vcpu->arch->event_ops->want_window(vcpu, waits, false);
}

void okvm_inject_events(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;
	bool blocked = event_blocked_by_debugger(vcpu);
	bool can_inject = true, irq_waits;

	if (likely(event_only_apic(vcpu))) {
		event_inject_apic(vcpu);
		return;
	}
	/*
	 * If an exception was raised during the delivery of an interrupt, inject the exception
	 * first. If it was raised during the delivery of another exception, event_queue() has
	 * merged the two.
	 */
	if (event_reinjecting(vcpu) && !ev->exc.pending) {
		event_reinject(vcpu);
		can_inject = false;
	}
	if (ev->exc.pending) {
		event_inject_exception(vcpu);
		can_inject = false;
	}
	if (blocked && !event_from_userspace(vcpu))
		can_inject = false;
	if (okvm_lapic_in_kernel(vcpu) && okvm_apic_hw_delivers(vcpu))
		okvm_apic_hand_over(vcpu);
	/* The VMM's PIC has already acknowledged this interrupt: inject it before an NMI. */
	if (can_inject && event_from_userspace(vcpu) && okvm_irq_allowed(vcpu)) {
		event_inject_irq(vcpu, event_take_irq(vcpu));
		can_inject = false;
	}
	if (can_inject && !blocked && ev->nmi_pending && event_nmi_allowed(vcpu)) {
		event_inject_nmi(vcpu);
		can_inject = false;
	}
	irq_waits = (!blocked || event_from_userspace(vcpu)) && event_irq_waits(vcpu);
	if (irq_waits && can_inject && okvm_irq_allowed(vcpu)) {
		event_inject_irq(vcpu, event_take_irq(vcpu));
		/* Another interrupt may be pending after the one just injected. */
		irq_waits = event_irq_waits(vcpu);
	}
	event_ask_windows(vcpu, irq_waits, blocked);
}

void okvm_arch_queue_nmi(struct okvm_vcpu *vcpu)
{
	atomic_inc(&vcpu->arch->ev.nmi_queued);
	okvm_request(OKVM_REQ_NMI, vcpu);
}

/* Limit pending NMIs as hardware does: one while the guest handles an NMI, otherwise two. */
void okvm_take_nmis(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;
	unsigned int limit = OKVM_MAX_NMIS;

	if (vcpu->arch->event_ops->nmi_masked(vcpu) || ev->nmi_injected)
		limit = 1;
	ev->nmi_pending = min_t(unsigned int,
				ev->nmi_pending + atomic_xchg(&ev->nmi_queued, 0), limit);
	okvm_request(OKVM_REQ_EVENT, vcpu);
}
