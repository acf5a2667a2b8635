/* SPDX-License-Identifier: GPL-2.0-only */
/* The multiprocessor state of a vCPU: running, halted, waiting for INIT or SIPI. */
#ifndef OKVM_X86_CPU_MP_STATE_H
#define OKVM_X86_CPU_MP_STATE_H

#include "x86/x86.h"

/** okvm_is_bsp() - Is the vCPU the bootstrap processor, which needs no INIT and SIPI? */
static inline bool okvm_is_bsp(const struct okvm_vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->bsp_vcpu_id;
}

/** okvm_pv_unhalted() - Is a KVM_HC_KICK_CPU pending that ends the vCPU's HLT? */
static inline bool okvm_pv_unhalted(const struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch->pv->unhalted);
}

/**
 * okvm_set_mp_state() - Set mp_state; only the vCPU thread calls this function
 *
 * The state RUNNABLE clears a pending KVM_HC_KICK_CPU: one such hypercall ends one HLT.
 */
void okvm_set_mp_state(struct okvm_vcpu *vcpu, u32 state);
/**
 * okvm_end_halt() - Make a halted vCPU runnable if an event is pending
 * @known: true if the caller knows that an event is pending; otherwise the function tests for one
 */
void okvm_end_halt(struct okvm_vcpu *vcpu, bool known);
/**
 * okvm_halt() - Execute HLT: set HALTED with an in-kernel LAPIC, otherwise exit with KVM_EXIT_HLT
 * @passed: outcome of advancing RIP past the HLT: OKVM_RESUME, or the outcome of a debug exit if a
 *  debugger single-steps the HLT
 *
 * With OKVM_RESUME a pending event leaves the vCPU RUNNABLE. With a debug exit the vCPU becomes
 * HALTED in any case.
 * Return: @passed, or OKVM_USER without an in-kernel LAPIC
 */
int okvm_halt(struct okvm_vcpu *vcpu, int passed);

#endif /* OKVM_X86_CPU_MP_STATE_H */
