/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's FPU, vector and extended state. */
#ifndef OKVM_X86_CPU_FPU_H
#define OKVM_X86_CPU_FPU_H

#include <linux/kernel.h>

#include <asm/fpu/api.h>

#include "x86/x86.h"

/** okvm_fpu_create() - Allocate vcpu->arch->fpu. Return: 0 or -ENOMEM */
int okvm_fpu_create(struct okvm_vcpu *vcpu);
void okvm_fpu_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL fpu */
/** okvm_fpu_reset() - Set XCR0, XSS and PKRU as after RESET; do nothing for INIT */
void okvm_fpu_reset(struct okvm_vcpu *vcpu, bool init);
/**
 * okvm_fpu_load() - Save the VMM's FPU registers and load the guest's; preemptible
 *
 * Called at KVM_RUN's begin. PKRU stays the VMM's, because the kernel accesses the VMM's memory.
 */
static inline void okvm_fpu_load(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->fpu_loaded)
		return;
	fpu_swap_kvm_fpstate(vcpu->arch->fpu, true);
	vcpu->arch->fpu_loaded = true;
}

static inline void okvm_fpu_put(struct okvm_vcpu *vcpu)
{
	if (!vcpu->arch->fpu_loaded)
		return;
	fpu_swap_kvm_fpstate(vcpu->arch->fpu, false);
	vcpu->arch->fpu_loaded = false;
}

/** okvm_set_xcr() - XSETBV and KVM_SET_XCRS. Return: 0, or 1 if the caller must queue #GP */
int okvm_set_xcr(struct okvm_vcpu *vcpu, u32 index, u64 val);
/** okvm_fpu_uabi_size() - Return the size of KVM_GET_XSAVE2's data in bytes */
unsigned int okvm_fpu_uabi_size(const struct okvm_host *host);

extern const struct okvm_ioctl okvm_fpu_ioctls[];

#endif /* OKVM_X86_CPU_FPU_H */
