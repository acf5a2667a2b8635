/* SPDX-License-Identifier: GPL-2.0-only */
/* The paravirtual state of a vCPU: what the guest asked for by KVM's MSRs; hypercalls. */
#ifndef OKVM_X86_PV_PV_H
#define OKVM_X86_PV_PV_H

#include "x86/x86.h"

/** okvm_pv_create() - vcpu->arch->pv. Return: 0 or -ENOMEM */
int okvm_pv_create(struct okvm_vcpu *vcpu);
void okvm_pv_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL pv */
void okvm_pv_reset(struct okvm_vcpu *vcpu, bool init);
/** okvm_pv_put() - the vCPU of a guest with steal time is unloaded: tell it so */
void okvm_pv_put(struct okvm_vcpu *vcpu);
/** okvm_steal_update() - write the vCPU's record: OKVM_REQ_STEAL; vm->srcu held */
void okvm_steal_update(struct okvm_vcpu *vcpu);
/* Results are enum okvm_msr_result. */
int okvm_pv_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_pv_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);

/** okvm_hypercall() - VMCALL. Return: outcome */
int okvm_hypercall(struct okvm_vcpu *vcpu, unsigned int insn_len);
/** okvm_hypercall_fast() - IRQs off; true if answered (unknown numbers, KICK_CPU, SEND_IPI) */
bool okvm_hypercall_fast(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_PV_PV_H */
