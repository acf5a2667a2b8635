/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's FPU, vector and extended state. */
#ifndef OKVM_X86_CPU_FPU_H
#define OKVM_X86_CPU_FPU_H

#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

#include "core/compat.h"
#include "x86/x86.h"

/**
 * struct okvm_fpu - memory for the guest's FPU state while the state is not in the CPU
 * @kernel: the kernel's FPU buffer, which the kernel uses for the thread during KVM_RUN
 * @own: okvm's buffer in XSAVE's standard format, loaded between kernel_fpu_begin() and
 *	kernel_fpu_end() for each stay in the guest and each FPU access of the emulator; NULL if
 *	@kernel is used
 * @components: XSAVE components in @own, without PKRU; 0 if the CPU has no XSAVE
 * @mxcsr_mask: bits of MXCSR that the CPU has, for @own
 * @size: bytes of @own, and of the data of KVM_GET_XSAVE2
 */
struct okvm_fpu {
#if OKVM_HAS_KVM_HELPERS
	struct fpu_guest kernel;
#endif
	struct xregs_state *own;
	u64 components;
	u32 mxcsr_mask;
	unsigned int size;
};

/** okvm_fpu_create() - Allocate vcpu->arch->fpu. Return: 0 or -ENOMEM */
int okvm_fpu_create(struct okvm_vcpu *vcpu);
void okvm_fpu_destroy(struct okvm_vcpu *vcpu);	/* accepts a NULL fpu */
/** okvm_fpu_reset() - Set XCR0, XSS and PKRU as after RESET; do nothing for INIT */
void okvm_fpu_reset(struct okvm_vcpu *vcpu, bool init);
/**
 * okvm_fpu_own_begin() - Load @fpu->own into the CPU; disables preemption until okvm_fpu_own_end()
 */
void okvm_fpu_own_begin(struct okvm_fpu *fpu);
void okvm_fpu_own_end(struct okvm_fpu *fpu);

/** okvm_fpu_init() - decide by the parameter own_fpu which buffer all VMs of the module use */
void okvm_fpu_init(void);

/* okvm_fpu_is_own() - is the state of all vCPUs in okvm_fpu.own, not in okvm_fpu.kernel? */
#if OKVM_HAS_KVM_HELPERS
DECLARE_STATIC_KEY_FALSE(okvm_own_fpu);
#define okvm_fpu_is_own()	static_branch_unlikely(&okvm_own_fpu)
#else
#define okvm_fpu_is_own()	true
#endif

/* Load the guest's FPU registers if @guest (KVM_RUN begins), otherwise the VMM's (KVM_RUN ends). */
static inline void okvm_fpu_swap(struct okvm_vcpu *vcpu, bool guest)
{
#if OKVM_HAS_KVM_HELPERS
	if (!okvm_fpu_is_own())
		fpu_swap_kvm_fpstate(&vcpu->arch->fpu->kernel, guest);
#endif
	vcpu->arch->fpu_loaded = guest;
}

/**
 * okvm_fpu_load() - Save the VMM's FPU registers and load the guest's; preemptible
 *
 * Called when KVM_RUN begins. PKRU keeps the VMM's value, because the kernel accesses the VMM's
 * memory. If okvm keeps the guest's FPU state itself (okvm_fpu_is_own()), this function only sets
 * fpu_loaded; okvm_fpu_enter() loads the registers.
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

/* Load the guest's FPU registers when a stay (x86/stay.h) begins. Called with IRQs off. */
static __always_inline void okvm_fpu_enter(struct okvm_vcpu *vcpu)
{
	if (okvm_fpu_is_own())
		okvm_fpu_own_begin(vcpu->arch->fpu);
#if OKVM_HAS_KVM_HELPERS
	else if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
#endif
}

static __always_inline void okvm_fpu_leave(struct okvm_vcpu *vcpu)
{
	if (okvm_fpu_is_own())
		okvm_fpu_own_end(vcpu->arch->fpu);
}

/**
 * okvm_fpregs_begin() - Load the guest's FPU registers; they stay loaded until okvm_fpregs_end()
 *
 * Called during KVM_RUN only.
 */
static inline void okvm_fpregs_begin(void)
{
	if (okvm_fpu_is_own()) {
		preempt_disable();
		okvm_fpu_own_begin(okvm_running_vcpu()->arch->fpu);
		return;
	}
#if OKVM_HAS_KVM_HELPERS
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
#endif
}

static inline void okvm_fpregs_end(void)
{
	if (okvm_fpu_is_own()) {
		okvm_fpu_own_end(okvm_running_vcpu()->arch->fpu);
		preempt_enable();
		return;
	}
	fpregs_unlock();
}

/** okvm_set_xcr() - Set XCR @index to @val. Return: 0, or 1 if the caller must queue #GP */
int okvm_set_xcr(struct okvm_vcpu *vcpu, u32 index, u64 val);
/** okvm_fpu_uabi_size() - Return the size of KVM_GET_XSAVE2's data in bytes */
unsigned int okvm_fpu_uabi_size(const struct okvm_host *host);

extern const struct okvm_ioctl okvm_fpu_ioctls[];

#endif /* OKVM_X86_CPU_FPU_H */
