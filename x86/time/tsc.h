/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's time-stamp counter. */
#ifndef OKVM_X86_TIME_TSC_H
#define OKVM_X86_TIME_TSC_H

#include "irq/needs.h"
#include "x86/x86.h"

/**
 * okvm_tsc_vcpu_create() - Set a new vCPU's TSC frequency and ratio
 *
 * Called before the backend's vcpu_create().
 */
void okvm_tsc_vcpu_create(struct okvm_vcpu *vcpu);
/** okvm_tsc_vcpu_online() - Start a new vCPU's TSC near 0, synchronous with the other vCPUs' */
void okvm_tsc_vcpu_online(struct okvm_vcpu *vcpu);
/**
 * okvm_tsc_migrate() - Adapt the TSC to the CPU on which the vCPU is loaded now. Preemption is off
 */
void okvm_tsc_migrate(struct okvm_vcpu *vcpu);
void okvm_tsc_put(struct okvm_vcpu *vcpu);
/**
 * okvm_tsc_resume() - Adapt the offset after a suspend that has reset the host's TSC
 *
 * With the new offset the guest's TSC does not go back. Called with preemption off.
 */
void okvm_tsc_resume(struct okvm_vcpu *vcpu);
/**
 * okvm_tsc_vm_resume() - Forget the VM's last TSC write, and take a new kvmclock base
 *
 * Done once after each suspend that has reset the host's TSC; otherwise nothing happens.
 *
 * May be called in any context.
 */
void okvm_tsc_vm_resume(struct okvm_vm *vm);
/* Sum of the TSC cycles by which suspends have set the host's TSC back since module load. */
extern u64 okvm_tsc_lost;

u64 okvm_tsc_scale(u64 tsc, u64 ratio);
/**
 * okvm_tsc_write() - Write IA32_TSC
 * @host: the write is by KVM_SET_MSRS, not by the guest's WRMSR
 */
void okvm_tsc_write(struct okvm_vcpu *vcpu, u64 tsc, bool host);
/**
 * okvm_tsc_adjust_write() - Write IA32_TSC_ADJUST
 *
 * If the guest makes the write (not @host), the TSC changes by the same amount as TSC_ADJUST.
 */
void okvm_tsc_adjust_write(struct okvm_vcpu *vcpu, u64 adjust, bool host);

extern const struct okvm_ioctl okvm_tsc_vm_ioctls[], okvm_tsc_vcpu_ioctls[];

#endif /* OKVM_X86_TIME_TSC_H */
