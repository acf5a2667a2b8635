/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's FPU, vector and extended state. */
#ifndef OKVM_X86_CPU_FPU_H
#define OKVM_X86_CPU_FPU_H

#include <linux/kernel.h>
#include <linux/sched.h>

#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

#include "core/compat.h"
#include "x86/x86.h"

/**
 * struct okvm_fpu - the guest's state while it is not in the CPU
 * @kernel: the kernel's kind, which becomes the thread's for as long as KVM_RUN lasts
 * @own: instead of it, in XSAVE's standard format: loaded for a stay in the guest or an access of
 *	the emulator, as the kernel's own use of the FPU is; NULL if @kernel is used
 * @components: of @own, PKRU apart; 0 without XSAVE
 * @size: of what KVM_GET_XSAVE2 gives; @own has so many bytes
 */
struct okvm_fpu {
#if OKVM_HAS_KVM_HELPERS
	struct fpu_guest kernel;
#endif
	struct xregs_state *own;
	u64 components;
	unsigned int size;
};

/** okvm_fpu_create() - vcpu->arch->fpu. Return: 0 or -ENOMEM */
int okvm_fpu_create(struct okvm_vcpu *vcpu);
void okvm_fpu_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL fpu */
/** okvm_fpu_reset() - XCR0, XSS, and for INIT the components that INIT clears */
void okvm_fpu_reset(struct okvm_vcpu *vcpu, bool init);
/** okvm_fpu_own_begin() - the state of okvm's own into the CPU, no preemption until the end */
void okvm_fpu_own_begin(struct okvm_fpu *fpu);
void okvm_fpu_own_end(struct okvm_fpu *fpu);

/* KVM_RUN begins or ends. */
static inline void okvm_fpu_swap(struct okvm_vcpu *vcpu, bool guest)
{
#if OKVM_HAS_KVM_HELPERS
	if (!vcpu->arch->fpu->own)
		fpu_swap_kvm_fpstate(&vcpu->arch->fpu->kernel, guest);
#endif
	vcpu->arch->fpu_loaded = guest;
}

/**
 * okvm_fpu_load() - the guest's registers in, the VMM's out; from run_begin, preemptible
 *
 * PKRU of the VMM stays in place: the kernel accesses its memory meanwhile.
 */
static inline void okvm_fpu_load(struct okvm_vcpu *vcpu)
{
	if (!vcpu->arch->fpu_loaded)
		okvm_fpu_swap(vcpu, true);
}

static inline void okvm_fpu_put(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->fpu_loaded)
		okvm_fpu_swap(vcpu, false);
}

/* A stay in the guest begins or ends; IRQs off. */
static __always_inline void okvm_fpu_enter(struct okvm_vcpu *vcpu)
{
	if (unlikely(vcpu->arch->fpu->own))
		okvm_fpu_own_begin(vcpu->arch->fpu);
#if OKVM_HAS_KVM_HELPERS
	else if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
#endif
}

static __always_inline void okvm_fpu_leave(struct okvm_vcpu *vcpu)
{
	if (unlikely(vcpu->arch->fpu->own))
		okvm_fpu_own_end(vcpu->arch->fpu);
}

/** okvm_fpregs_begin() - the guest's registers are in the CPU until the end: during KVM_RUN */
void okvm_fpregs_begin(void);
void okvm_fpregs_end(void);

/** okvm_set_xcr() - XSETBV, and KVM_SET_XCRS. Return: 0, or 1 for #GP, not queued yet */
int okvm_set_xcr(struct okvm_vcpu *vcpu, u32 index, u64 val);
/** okvm_fpu_uabi_size() - bytes of KVM_GET_XSAVE2 */
unsigned int okvm_fpu_uabi_size(const struct okvm_host *host);

extern const struct okvm_ioctl okvm_fpu_ioctls[];

#endif /* OKVM_X86_CPU_FPU_H */
