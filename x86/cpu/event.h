/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions, NMIs and interrupts that are pending for the guest or being injected. */
#ifndef OKVM_X86_CPU_EVENT_H
#define OKVM_X86_CPU_EVENT_H

#include <asm/trapnr.h>

#include "x86/x86.h"

extern bool okvm_vnmi;	/* module parameter: use virtual NMIs if the CPU has them */

void okvm_queue_exception(struct okvm_vcpu *vcpu, u8 vector);
void okvm_queue_exception_err(struct okvm_vcpu *vcpu, u8 vector, u32 error_code);
void okvm_queue_db(struct okvm_vcpu *vcpu, unsigned long dr6);
void okvm_queue_pf(struct okvm_vcpu *vcpu, unsigned long cr2, u32 error_code);
/*
 * The okvm_reinject_*() functions record an event whose delivery the VM exit has interrupted (VMX:
 * IDT-vectoring information; SVM: EXITINTINFO). The next VM entry injects it again.
 */
static inline void okvm_reinject_exception(struct okvm_vcpu *vcpu, u8 vector, bool has_error,
					   u32 error_code)
{
	vcpu->arch->ev.exc = (struct okvm_exception) {
		.injected = true, .vector = vector,
		.has_error = has_error, .error_code = error_code,
	};
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

/* Is @vector a software exception, #BP or #OF? (INT n is an interrupt, not an exception.) */
static inline bool okvm_exception_is_soft(u8 vector)
{
	return vector == X86_TRAP_BP || vector == X86_TRAP_OF;
}

/*
 * Return the length of the instruction that raised #BP or #OF, or 0 for other exceptions. The
 * delivery pushes RIP plus this length. If the length is unknown, because userspace has set the
 * exception, assume an instruction without prefixes.
 */
static inline u8 okvm_exception_len(const struct okvm_events *ev)
{
	return okvm_exception_is_soft(ev->exc.vector) ? ev->insn_len ?: 1 : 0;
}

/* Return the length of the INT n instruction in bytes; 0 for external interrupts. */
static inline u8 okvm_irq_len(const struct okvm_events *ev)
{
	return ev->irq.soft ? ev->insn_len ?: 2 : 0;
}

/*
 * Record the length of the INT3 at @rip, whose #BP goes to a debugger. The debugger may make
 * userspace inject this #BP into the guest, and the injection needs the length.
 */
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

/** okvm_inject_events() - Choose the event for the next VM entry, and request window exits */
void okvm_inject_events(struct okvm_vcpu *vcpu);
bool okvm_irq_allowed(struct okvm_vcpu *vcpu);	/* IF is set and there is no interrupt shadow */
/** okvm_has_injectable_irq() - Is an interrupt of LAPIC, PIC or KVM_INTERRUPT pending? */
bool okvm_has_injectable_irq(struct okvm_vcpu *vcpu);
/** okvm_take_nmis() - Serve OKVM_REQ_NMI: make queued NMIs pending */
void okvm_take_nmis(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_CPU_EVENT_H */
