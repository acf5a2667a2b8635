/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions, NMIs and interrupts on their way to the guest. */
#ifndef OKVM_X86_CPU_EVENT_H
#define OKVM_X86_CPU_EVENT_H

#include <asm/trapnr.h>

#include "x86/x86.h"

void okvm_queue_exception(struct okvm_vcpu *vcpu, u8 vector);
void okvm_queue_exception_err(struct okvm_vcpu *vcpu, u8 vector, u32 error_code);
void okvm_queue_db(struct okvm_vcpu *vcpu, unsigned long dr6);
void okvm_queue_pf(struct okvm_vcpu *vcpu, unsigned long cr2, u32 error_code);
/* Hardware was delivering these when the exit came (IDT vectoring information). */
static inline void okvm_reinject_exception(struct okvm_vcpu *vcpu, u8 vector, bool has_error,
					   u32 error_code)
{
	vcpu->arch->ev.exc = (struct okvm_exception) {
		.injected = true, .vector = vector,
		.has_error = has_error, .error_code = error_code,
	};
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

/* Is it an exception whose handler returns after the instruction? INT n is an interrupt. */
static inline bool okvm_exception_is_soft(u8 vector)
{
	return vector == X86_TRAP_BP || vector == X86_TRAP_OF;
}

/*
 * Length of the instruction after which an exception returns; 0 if it returns to the instruction.
 * For an exception from userspace the length is unknown: taken is the one without prefixes.
 */
static inline u8 okvm_exception_len(const struct okvm_events *ev)
{
	return okvm_exception_is_soft(ev->exc.vector) ? ev->insn_len ?: 1 : 0;
}

/* Likewise, of INT n or an interrupt */
static inline u8 okvm_irq_len(const struct okvm_events *ev)
{
	return ev->irq.soft ? ev->insn_len ?: 2 : 0;
}

/* Note a breakpoint that exits to the debugger: if it is the guest's, it is injected again. */
static inline void okvm_note_bp(struct okvm_vcpu *vcpu, unsigned long rip, u8 len)
{
	vcpu->arch->ev.bp_rip = rip;
	vcpu->arch->ev.bp_len = len;
}

static inline void okvm_reinject_irq(struct okvm_vcpu *vcpu, u8 vector, bool soft, u8 insn_len)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	ev->irq.injected = true;
	ev->irq.soft = soft;
	ev->irq.vector = vector;
	ev->insn_len = insn_len;
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

static inline void okvm_reinject_nmi(struct okvm_vcpu *vcpu)
{
	vcpu->arch->ev.nmi_injected = true;
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

/** okvm_inject_events() - choose what the next entry delivers and which windows must open */
void okvm_inject_events(struct okvm_vcpu *vcpu);
bool okvm_irq_allowed(struct okvm_vcpu *vcpu);	/* IF set, no STI or MOV SS blocking */
/** okvm_has_injectable_irq() - an external interrupt waits (LAPIC, PIC or KVM_INTERRUPT) */
bool okvm_has_injectable_irq(struct okvm_vcpu *vcpu);
/** okvm_take_nmis() - queued NMIs become pending ones; OKVM_REQ_NMI */
void okvm_take_nmis(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_CPU_EVENT_H */
