/* SPDX-License-Identifier: GPL-2.0-only */
/* The states a vCPU can be in: running, halted, waiting for INIT or SIPI. */
#ifndef OKVM_X86_CPU_MP_STATE_H
#define OKVM_X86_CPU_MP_STATE_H

#include "x86/x86.h"

/** okvm_is_bsp() - the vCPU that starts without INIT and SIPI */
static inline bool okvm_is_bsp(const struct okvm_vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->bsp_vcpu_id;
}

/** okvm_pv_unhalted() - KVM_HC_KICK_CPU named this vCPU: a HALTED one becomes runnable */
static inline bool okvm_pv_unhalted(const struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch->pv->unhalted);
}

/**
 * okvm_set_mp_state() - every change of mp_state; by the vCPU's own thread
 *
 * One KVM_HC_KICK_CPU ends one halt: a pending one is cleared when the vCPU becomes runnable.
 */
void okvm_set_mp_state(struct okvm_vcpu *vcpu, u32 state);
/** okvm_end_halt() - a halted vCPU, or one that waits for a page, for which an event waits, runs */
void okvm_end_halt(struct okvm_vcpu *vcpu);
/**
 * okvm_halt() - HLT: HALTED with an in-kernel LAPIC, else KVM_EXIT_HLT
 * @passed: outcome of going past the instruction: a debugger that steps over it gets its exit, and
 *	the vCPU halts all the same
 * Return: outcome
 */
int okvm_halt(struct okvm_vcpu *vcpu, int passed);

#endif /* OKVM_X86_CPU_MP_STATE_H */
