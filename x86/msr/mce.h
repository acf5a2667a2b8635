/* SPDX-License-Identifier: GPL-2.0-only */
/* Machine-check banks. Getters and setters return enum okvm_msr_result. */
#ifndef OKVM_X86_MSR_MCE_H
#define OKVM_X86_MSR_MCE_H

#include <asm/mce.h>

#include "irq/irq.h"
#include "x86/x86.h"

/** okvm_mce_create() - Set the state that the banks have until KVM_X86_SETUP_MCE */
void okvm_mce_create(struct okvm_vcpu *vcpu);
int okvm_mce_get(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host);
int okvm_mce_set(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host);

/** okvm_mce_apic() - after a change of MCG_CAP or CPUID, update the guest's LAPIC */
static inline void okvm_mce_apic(struct okvm_vcpu *vcpu)
{
	const struct okvm_guest_feat *f = &vcpu->arch->feat;

	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_model_changed(vcpu, f->x2apic, f->tsc_deadline,
					vcpu->arch->mce.cap & MCG_CMCI_P);
}

extern const struct okvm_ioctl okvm_mce_sys_ioctls[], okvm_mce_vcpu_ioctls[];

#endif /* OKVM_X86_MSR_MCE_H */
