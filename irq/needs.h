/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that irq/ needs and x86/ implements, bound at link time. */
#ifndef OKVM_IRQ_NEEDS_H
#define OKVM_IRQ_NEEDS_H

#include <linux/types.h>

struct okvm_vcpu;

/** okvm_arch_guest_tsc() - convert host TSC @host_tsc to the guest's TSC; any context */
u64 okvm_arch_guest_tsc(struct okvm_vcpu *vcpu, u64 host_tsc);
/** okvm_arch_host_tsc() - convert guest TSC @guest_tsc to the host's TSC */
u64 okvm_arch_host_tsc(struct okvm_vcpu *vcpu, u64 guest_tsc);
/** okvm_arch_tsc_khz() - Return the guest's TSC frequency in kHz, never 0 */
u32 okvm_arch_tsc_khz(struct okvm_vcpu *vcpu);
/** okvm_arch_queue_nmi() - queue an NMI for the vCPU and make a request; no kick. Any context */
void okvm_arch_queue_nmi(struct okvm_vcpu *vcpu);
/** okvm_arch_ioapic_eoi_user() - make KVM_RUN return KVM_EXIT_IOAPIC_EOI for @vector soon */
void okvm_arch_ioapic_eoi_user(struct okvm_vcpu *vcpu, u8 vector);
/**
 * okvm_arch_tpr_access() - make KVM_RUN return with KVM_EXIT_TPR_ACCESS before the next VM entry
 *
 * The vCPU's thread calls it while RIP still points at the instruction that accesses TPR. IRQs may
 * be off.
 */
void okvm_arch_tpr_access(struct okvm_vcpu *vcpu, bool write);

#endif /* OKVM_IRQ_NEEDS_H */
