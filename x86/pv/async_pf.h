/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asynchronous page faults. An interrupt tells the guest that a page is present; okvm does not
 * support the older way, a #PF.
 */
#ifndef OKVM_X86_PV_ASYNC_PF_H
#define OKVM_X86_PV_ASYNC_PF_H

#include <linux/types.h>

struct okvm_apf;
struct okvm_vcpu;
struct okvm_vm;

/** okvm_apf_init() - Initialize at module load. Return: 0 or -ENOMEM */
int okvm_apf_init(void);
/** okvm_apf_exit() - Clean up at module unload. No VM and no work item is left. May sleep */
void okvm_apf_exit(void);

/** okvm_apf_create() - Return a new vCPU's state, or NULL if out of memory */
struct okvm_apf *okvm_apf_create(struct okvm_vcpu *vcpu);
/**
 * okvm_apf_destroy() - Drop a vCPU's work items and its state; do not wait for them
 * @apf: may be NULL
 */
void okvm_apf_destroy(struct okvm_apf *apf);
/** okvm_apf_reset() - At RESET and INIT: disable the service and drop all work items */
void okvm_apf_reset(struct okvm_vcpu *vcpu);

/**
 * okvm_apf_ready() - Serve OKVM_REQ_APF_READY: tell the guest that a page is present
 *
 * The caller holds vm->srcu.
 */
void okvm_apf_ready(struct okvm_vcpu *vcpu);

/** okvm_apf_vm_destroy() - Drop the VM's workqueue, after all vCPUs; do not wait for work items */
void okvm_apf_vm_destroy(struct okvm_vm *vm);

/**
 * okvm_apf_set_msr() - Write MSR_KVM_ASYNC_PF_EN, _INT or _ACK; the caller holds vm->srcu
 * Return: enum okvm_msr_result
 */
int okvm_apf_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val);
u64 okvm_apf_get_msr(const struct okvm_vcpu *vcpu, u32 msr);

#endif /* OKVM_X86_PV_ASYNC_PF_H */
