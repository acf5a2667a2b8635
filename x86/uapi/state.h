/* SPDX-License-Identifier: GPL-2.0-only */
/* State as userspace sees it, in kvm_run and by ioctl. */
#ifndef OKVM_X86_UAPI_STATE_H
#define OKVM_X86_UAPI_STATE_H

#include "x86/x86.h"

/**
 * okvm_sync_regs_load() - take what kvm_dirty_regs names; first thing of KVM_RUN
 * Return: 0, or -EINVAL for unknown bits or refused registers. Vcpu loaded, vm->srcu held.
 */
int okvm_sync_regs_load(struct okvm_vcpu *vcpu);
/** okvm_sync_regs_store() - fill what kvm_valid_regs names; vcpu loaded */
void okvm_sync_regs_store(struct okvm_vcpu *vcpu);

/** okvm_user_visible_irq() - vector of the interrupt that counts as injected, or -1 */
int okvm_user_visible_irq(const struct okvm_vcpu *vcpu);
void okvm_get_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events);
/** okvm_set_vcpu_events() - 0 or -EINVAL; @events is normalised in place */
int okvm_set_vcpu_events(struct okvm_vcpu *vcpu, struct kvm_vcpu_events *events);

extern const struct okvm_ioctl okvm_state_regs_ioctls[], okvm_state_events_ioctls[];
extern const struct okvm_ioctl okvm_state_debug_ioctls[], okvm_state_cpuid_ioctls[];
extern const struct okvm_ioctl okvm_extensions_ioctls[];

#endif /* OKVM_X86_UAPI_STATE_H */
