/* SPDX-License-Identifier: GPL-2.0-only */
/* Register and event state as userspace gets and sets it, by ioctl and in kvm_run. */
#ifndef OKVM_X86_UAPI_STATE_H
#define OKVM_X86_UAPI_STATE_H

#include "x86/x86.h"

/**
 * okvm_sync_regs_load() - Copy from kvm_run the state that kvm_dirty_regs names, when KVM_RUN
 * begins
 *
 * Called with the vCPU loaded, under vm->srcu. Return: 0, or -EINVAL for unknown bits or illegal
 * registers
 */
int okvm_sync_regs_load(struct okvm_vcpu *vcpu);
/** okvm_sync_regs_store() - Copy to kvm_run the state that kvm_valid_regs names; vCPU loaded */
void okvm_sync_regs_store(struct okvm_vcpu *vcpu);

/**
 * okvm_user_visible_irq() - Find the external interrupt that userspace sees as injected
 * Return: its vector, or -1
 */
int okvm_user_visible_irq(const struct okvm_vcpu *vcpu);
void okvm_get_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events);
/** okvm_set_vcpu_events() - Set @events; clears its unused fields. Return: 0 or -EINVAL */
int okvm_set_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events);

extern const struct okvm_ioctl okvm_state_regs_ioctls[], okvm_state_events_ioctls[];
extern const struct okvm_ioctl okvm_state_debug_ioctls[], okvm_state_cpuid_ioctls[];
extern const struct okvm_ioctl okvm_extensions_ioctls[];

#endif /* OKVM_X86_UAPI_STATE_H */
