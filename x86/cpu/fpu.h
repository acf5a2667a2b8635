/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's FPU, vector and extended state. */
#ifndef OKVM_X86_CPU_FPU_H
#define OKVM_X86_CPU_FPU_H

#include <linux/kernel.h>

#include <asm/fpu/api.h>

#include "x86/x86.h"

/** okvm_fpu_create() - vcpu->arch->fpu. Return: 0 or -ENOMEM */
int okvm_fpu_create(struct okvm_vcpu *vcpu);
void okvm_fpu_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL fpu */
/** okvm_fpu_reset() - XCR0, XSS, and for INIT the components that INIT clears */
void okvm_fpu_reset(struct okvm_vcpu *vcpu, bool init);
/**
 * okvm_fpu_load() - the guest's registers in, the VMM's out; from run_begin, preemptible
 *
 * PKRU of the VMM stays in place: the kernel accesses its memory meanwhile.
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

/** okvm_set_xcr() - XSETBV, and KVM_SET_XCRS. Return: 0, or 1 for #GP, not queued yet */
int okvm_set_xcr(struct okvm_vcpu *vcpu, u32 index, u64 val);
/** okvm_fpu_uabi_size() - bytes of KVM_GET_XSAVE2 */
unsigned int okvm_fpu_uabi_size(const struct okvm_host *host);

extern const struct okvm_ioctl okvm_fpu_ioctls[];

#endif /* OKVM_X86_CPU_FPU_H */
