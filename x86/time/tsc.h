/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's time-stamp counter. */
#ifndef OKVM_X86_TIME_TSC_H
#define OKVM_X86_TIME_TSC_H

#include "irq/needs.h"
#include "x86/x86.h"

/** okvm_tsc_vcpu_create() - frequency and ratio; before the backend's vcpu_create() */
void okvm_tsc_vcpu_create(struct okvm_vcpu *vcpu);
/** okvm_tsc_vcpu_online() - a new vCPU's TSC starts near 0, matched with its siblings' */
void okvm_tsc_vcpu_online(struct okvm_vcpu *vcpu);
/** okvm_tsc_migrate() - the vCPU is loaded on another CPU than last time. Preemption is off */
void okvm_tsc_migrate(struct okvm_vcpu *vcpu);
void okvm_tsc_put(struct okvm_vcpu *vcpu);
/** okvm_tsc_resume() - the host's TSC went back in sleep, the guest's does not. Preemption off */
void okvm_tsc_resume(struct okvm_vcpu *vcpu);
/** okvm_tsc_vm_resume() - likewise for what the VM's vCPUs have in common. Any context */
void okvm_tsc_vm_resume(struct okvm_vm *vm);
/* How far the host's TSC has gone back in all its sleeps since the module was loaded. */
extern u64 okvm_tsc_lost;

u64 okvm_tsc_scale(u64 tsc, u64 ratio);
/** okvm_tsc_write() - WRMSR IA32_TSC or KVM_SET_MSRS of it */
void okvm_tsc_write(struct okvm_vcpu *vcpu, u64 tsc, bool host);
/** okvm_tsc_adjust_write() - the guest wrote IA32_TSC_ADJUST: the offset moves along */
void okvm_tsc_adjust_write(struct okvm_vcpu *vcpu, u64 adjust, bool host);

extern const struct okvm_ioctl okvm_tsc_vm_ioctls[], okvm_tsc_vcpu_ioctls[];

#endif /* OKVM_X86_TIME_TSC_H */
