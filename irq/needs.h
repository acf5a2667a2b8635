/* SPDX-License-Identifier: GPL-2.0-only */
/* What irq/ needs from above: x86/ supplies it, bound at link time. */
#ifndef OKVM_IRQ_NEEDS_H
#define OKVM_IRQ_NEEDS_H

#include <linux/types.h>

struct okvm_vcpu;

/** okvm_arch_guest_tsc() - the guest's TSC at host TSC @host_tsc; any context */
u64 okvm_arch_guest_tsc(struct okvm_vcpu *vcpu, u64 host_tsc);
/** okvm_arch_host_tsc() - the host TSC at which the guest's will be @guest_tsc */
u64 okvm_arch_host_tsc(struct okvm_vcpu *vcpu, u64 guest_tsc);
/** okvm_arch_tsc_khz() - the guest's TSC frequency, never 0 */
u32 okvm_arch_tsc_khz(struct okvm_vcpu *vcpu);
/** okvm_arch_queue_nmi() - one more NMI for the vCPU, and a request (no kick). Any context */
void okvm_arch_queue_nmi(struct okvm_vcpu *vcpu);
/**
 * okvm_arch_ioapic_eoi_user() - leave KVM_RUN with KVM_EXIT_IOAPIC_EOI for @vector at the next
 * chance
 */
void okvm_arch_ioapic_eoi_user(struct okvm_vcpu *vcpu, u8 vector);

#endif /* OKVM_IRQ_NEEDS_H */
