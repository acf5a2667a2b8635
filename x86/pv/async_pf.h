/* SPDX-License-Identifier: GPL-2.0-only */
/* Asynchronous page faults; "page ready" is announced only by interrupt (DELIVERY_AS_INT). */
#ifndef OKVM_X86_PV_ASYNC_PF_H
#define OKVM_X86_PV_ASYNC_PF_H

#include <linux/types.h>

struct okvm_apf;
struct okvm_vcpu;
struct okvm_vm;

/** okvm_apf_init() - Initialize at module load. Return: 0 or -ENOMEM */
int okvm_apf_init(void);
/** okvm_apf_exit() - Clean up at module unload, with no VM and no item left. May sleep */
void okvm_apf_exit(void);

/** okvm_apf_create() - Return a new vCPU's state, or NULL if out of memory */
struct okvm_apf *okvm_apf_create(struct okvm_vcpu *vcpu);
/** okvm_apf_destroy() - Drop a vCPU's items and state without waiting; accepts NULL */
void okvm_apf_destroy(struct okvm_apf *apf);
/** okvm_apf_reset() - RESET and INIT: disable the service and drop all outstanding pages */
void okvm_apf_reset(struct okvm_vcpu *vcpu);

/** okvm_apf_ready() - Serve OKVM_REQ_APF_READY, under vm->srcu: announce a present page */
void okvm_apf_ready(struct okvm_vcpu *vcpu);

/** okvm_apf_vm_destroy() - Drop the VM's queue without waiting, after its vCPUs are destroyed */
void okvm_apf_vm_destroy(struct okvm_vm *vm);

/**
 * okvm_apf_set_msr() - Write MSR_KVM_ASYNC_PF_EN, _INT or _ACK; the caller holds vm->srcu
 * Return: enum okvm_msr_result
 */
int okvm_apf_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val);
u64 okvm_apf_get_msr(const struct okvm_vcpu *vcpu, u32 msr);

#endif /* OKVM_X86_PV_ASYNC_PF_H */
