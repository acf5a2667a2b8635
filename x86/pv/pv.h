/* SPDX-License-Identifier: GPL-2.0-only */
/* Handle hypercalls, and the paravirtual state of a vCPU, which the guest sets by KVM's MSRs. */
#ifndef OKVM_X86_PV_PV_H
#define OKVM_X86_PV_PV_H

#include "x86/x86.h"

/** okvm_pv_create() - Allocate vcpu->arch->pv. Return: 0 or -ENOMEM */
int okvm_pv_create(struct okvm_vcpu *vcpu);
void okvm_pv_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL pv */
void okvm_pv_reset(struct okvm_vcpu *vcpu, bool init);
/** okvm_pv_put() - Set the preempted flag when the vCPU is put; called if steal time is enabled */
void okvm_pv_put(struct okvm_vcpu *vcpu);
/** okvm_steal_update() - Serve OKVM_REQ_STEAL, under vm->srcu: write the steal-time record */
void okvm_steal_update(struct okvm_vcpu *vcpu);
/* Results are enum okvm_msr_result. */
int okvm_pv_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_pv_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);

/** okvm_hypercall() - Handle VMCALL or VMMCALL. Return: enum okvm_outcome */
int okvm_hypercall(struct okvm_vcpu *vcpu, unsigned int insn_len);
/**
 * okvm_hypercall_fast() - Answer a hypercall (such as KICK_CPU or SEND_IPI) with IRQs off
 * Return: false if the hypercall needs IRQs on
 */
bool okvm_hypercall_fast(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_PV_PV_H */
