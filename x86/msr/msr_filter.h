/* SPDX-License-Identifier: GPL-2.0-only */
/* The filter by which userspace denies the guest accesses to MSRs (KVM_X86_SET_MSR_FILTER). */
#ifndef OKVM_X86_MSR_MSR_FILTER_H
#define OKVM_X86_MSR_MSR_FILTER_H

#include "x86/x86.h"

/** okvm_msr_allowed() - Return true if userspace's MSR filter lets the guest access @msr */
bool okvm_msr_allowed(struct okvm_vcpu *vcpu, u32 msr, bool write);
/** okvm_msr_filter_free() - Free a VM's filter; the VM has no vCPU any more */
void okvm_msr_filter_free(struct okvm_vm *vm);

extern const struct okvm_ioctl okvm_msr_filter_ioctls[];

#endif /* OKVM_X86_MSR_MSR_FILTER_H */
