/* SPDX-License-Identifier: GPL-2.0-only */
/* Asynchronous page faults, the interrupt form alone. */
#ifndef OKVM_X86_PV_ASYNC_PF_H
#define OKVM_X86_PV_ASYNC_PF_H

#include <linux/types.h>

struct okvm_apf;
struct okvm_vcpu;
struct okvm_vm;

/** okvm_apf_init() - module load. Return: 0 or -ENOMEM */
int okvm_apf_init(void);
/** okvm_apf_exit() - module unload; no VM exists and no page is waited for. May sleep */
void okvm_apf_exit(void);

/** okvm_apf_create() - of a vCPU; NULL without memory */
struct okvm_apf *okvm_apf_create(struct okvm_vcpu *vcpu);
/** okvm_apf_destroy() - waits for nothing; accepts NULL */
void okvm_apf_destroy(struct okvm_apf *apf);
/** okvm_apf_reset() - RESET or INIT: switched off, all outstanding pages forgotten */
void okvm_apf_reset(struct okvm_vcpu *vcpu);

/** okvm_apf_ready() - tell the guest of pages that are there: OKVM_REQ_APF_READY; vm->srcu held */
void okvm_apf_ready(struct okvm_vcpu *vcpu);

/** okvm_apf_vm_destroy() - the vCPUs are gone; waits for nothing */
void okvm_apf_vm_destroy(struct okvm_vm *vm);

/** okvm_apf_set_msr() - MSR_KVM_ASYNC_PF_EN, _INT or _ACK. enum okvm_msr_result; vm->srcu held */
int okvm_apf_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val);
u64 okvm_apf_get_msr(const struct okvm_vcpu *vcpu, u32 msr);

#endif /* OKVM_X86_PV_ASYNC_PF_H */
