// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's FPU, vector and extended state. Usually the kernel keeps this state in a struct
 * fpu_guest: the kernel loads the guest's registers when KVM_RUN begins, and the VMM's before
 * KVM_RUN ends. okvm keeps the state in a buffer of its own if the parameter own_fpu is set, or if
 * the kernel does not export the functions for struct fpu_guest to okvm. Then okvm loads the state
 * at the beginning of each stay in the guest (one or more VM entries, see x86/stay.h). XCR0, XSS
 * and PKRU have the guest's values only around guest mode; x86/stay.h switches them.
 */
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>

#include "core/compat.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/cpuid/cpuid.h"

#define MXCSR_WITHOUT_DAZ	0xffbf

static_assert(sizeof_field(struct kvm_fpu, fpr) == sizeof_field(struct fxregs_state, st_space));
static_assert(sizeof_field(struct kvm_fpu, xmm) == sizeof_field(struct fxregs_state, xmm_space));

/*
 * With own_fpu okvm keeps the guest's FPU state in okvm's own memory. Then okvm needs only two of
 * the kernel's FPU functions, which every GPL module may call: kernel_fpu_begin() and
 * kernel_fpu_end(). The cost is an XRSTOR and an XSAVE per stay in the guest (x86/stay.h).
 */
#if OKVM_HAS_KVM_HELPERS
static bool own_fpu;
module_param(own_fpu, bool, 0444);
MODULE_PARM_DESC(own_fpu, "okvm keeps the guest's FPU state itself (default N)");
DEFINE_STATIC_KEY_FALSE(okvm_own_fpu);
#endif

void okvm_fpu_init(void)
{
#if OKVM_HAS_KVM_HELPERS
	if (own_fpu)
		static_branch_enable(&okvm_own_fpu);
#endif
}

/* ---- okvm's own FPU buffer ---- */

/* Set the FPU state of a reset (SDM "Processor State After Reset"). */
static void own_reset(struct okvm_fpu *fpu)
{
	memset(fpu->own, 0, fpu->size);
	fpu->own->i387.cwd = 0x37f;
	fpu->own->i387.mxcsr = MXCSR_DEFAULT;
	fpu->own->i387.mxcsr_mask = fpu->mxcsr_mask;
}

static int own_create(struct okvm_vcpu *vcpu, struct okvm_fpu *fpu)
{
	/* XSAVE needs an alignment of 64 bytes. vmalloc() returns whole pages, which have it. */
	fpu->own = __vmalloc(fpu->size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!fpu->own)
		return -ENOMEM;
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		fpu->components = XFEATURE_MASK_FPSSE |
				  (vcpu->vm->host->xcr0 & ~XFEATURE_MASK_PKRU);
	kernel_fpu_begin();
	asm volatile("fxsave64 %0" : "=m" (fpu->own->i387));
	kernel_fpu_end();
	/* MXCSR_MASK 0 means: no DAZ (SDM "Guidelines for Writing to the MXCSR Register"). */
	fpu->mxcsr_mask = fpu->own->i387.mxcsr_mask ?: MXCSR_WITHOUT_DAZ;
	own_reset(fpu);
	return 0;
}

/*
 * Load fpu->own, the guest's state, into the FPU. Return: false if XRSTOR or FXRSTOR faults because
 * of the buffer's contents; the FPU's registers are unchanged.
 */
static bool own_load(const struct okvm_fpu *fpu)
{
	if (fpu->components)
		asm goto("1: xrstor64 %0\n" _ASM_EXTABLE(1b, %l[refused]) : :
			 "m" (*fpu->own), "a" (lower_32_bits(fpu->components)),
			 "d" (upper_32_bits(fpu->components)) : "memory" : refused);
	else
		asm goto("1: fxrstor64 %0\n" _ASM_EXTABLE(1b, %l[refused]) : :
			 "m" (fpu->own->i387) : "memory" : refused);
	return true;
refused:
	return false;
}

void okvm_fpu_own_begin(struct okvm_fpu *fpu)
{
	kernel_fpu_begin_mask(0);
	/*
	 * If no x87 exception is pending, FXRSTOR and XRSTOR of some AMD CPUs do not load the
	 * addresses of the last x87 instruction. The old addresses may be another process's:
	 * overwrite them.
	 */
	if (boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK))
		asm volatile("fnclex\n\temms\n\tfildl %0" : : "m" (fpu->size));
	if (likely(own_load(fpu)))
		return;
	/* own_copy_in() has checked userspace's data, so loading them cannot fail. */
	WARN_ON_ONCE(1);
	own_reset(fpu);
	own_load(fpu);
}

void okvm_fpu_own_end(struct okvm_fpu *fpu)
{
	if (fpu->components)
		asm volatile("xsave64 %0" : "+m" (*fpu->own) :
			     "a" (lower_32_bits(fpu->components)),
			     "d" (upper_32_bits(fpu->components)) : "memory");
	else
		asm volatile("fxsave64 %0" : "=m" (fpu->own->i387));
	kernel_fpu_end();
}

/* Return PKRU's place in a buffer of XSAVE format, or NULL if the host has no PKRU. */
static u32 *own_pkru(struct okvm_vcpu *vcpu, void *buf, unsigned int size)
{
	u32 at = okvm_host_cpuid_reg(vcpu->vm->host, 0xd, XFEATURE_PKRU, 1);

	if (!(vcpu->vm->host->xcr0 & XFEATURE_MASK_PKRU) || at + sizeof(u32) > size)
		return NULL;
	return buf + at;
}

static void own_copy_out(struct okvm_vcpu *vcpu, void *buf, unsigned int size, u64 components)
{
	const struct okvm_fpu *fpu = vcpu->arch->fpu;
	struct xregs_state *state = buf;
	u32 *pkru = own_pkru(vcpu, buf, size);

	memset(buf, 0, size);
	memcpy(buf, fpu->own, min(size, fpu->size));
	if (!fpu->components)
		state->header.xfeatures = XFEATURE_MASK_FPSSE;
	/*
	 * If all XMM registers are 0, XSAVE may clear bit SSE of XSTATE_BV. If the bit is clear,
	 * readers of @buf may assume that MXCSR has its initial value. So set the bit.
	 */
	if (state->i387.mxcsr != MXCSR_DEFAULT)
		state->header.xfeatures |= XFEATURE_MASK_SSE;
	state->header.xfeatures &= components;
	if (pkru && components & XFEATURE_MASK_PKRU) {
		*pkru = vcpu->arch->pkru;
		state->header.xfeatures |= XFEATURE_MASK_PKRU;
	}
}

/* Return a text that says why XRSTOR cannot load data with this header, or NULL if it can. */
static const char *header_fault(struct okvm_vcpu *vcpu, const struct xregs_state *state)
{
	if (state->header.xfeatures & ~(vcpu->vm->host->xcr0 | XFEATURE_MASK_FPSSE))
		return "KVM_SET_XSAVE: components that no guest can have in xstate_bv";
	if (state->header.xcomp_bv)
		return "KVM_SET_XSAVE: xcomp_bv is not 0 (the compacted format)";
	if (memchr_inv(state->header.reserved, 0, sizeof(state->header.reserved)))
		return "KVM_SET_XSAVE: the reserved bytes of the header are not 0";
	return NULL;
}

#define MXCSR_FAULT	"KVM_SET_XSAVE: reserved bits of mxcsr"

static bool own_accepts_mxcsr(struct okvm_vcpu *vcpu, const struct xregs_state *state)
{
	return !(state->header.xfeatures & (XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)) ||
	       !(state->i387.mxcsr & ~vcpu->arch->fpu->mxcsr_mask);
}

static int own_copy_in(struct okvm_vcpu *vcpu, void *buf)
{
	struct okvm_fpu *fpu = vcpu->arch->fpu;
	const struct xregs_state *state = buf;
	const u32 *pkru = own_pkru(vcpu, buf, fpu->size);
	const char *fault = header_fault(vcpu, state);

	if (fault)
		return okvm_refuse_vcpu(vcpu, fault);
	if (!own_accepts_mxcsr(vcpu, state))
		return okvm_refuse_vcpu(vcpu, MXCSR_FAULT);
	if (pkru && state->header.xfeatures & XFEATURE_MASK_PKRU)
		vcpu->arch->pkru = *pkru;
	memcpy(fpu->own, buf, fpu->size);
	/*
	 * If userspace's data contain neither SSE nor AVX, MXCSR has to get its default. XRSTOR
	 * loads MXCSR from the buffer even then, so store the default there.
	 */
	if (!(state->header.xfeatures & (XFEATURE_MASK_SSE | XFEATURE_MASK_YMM)))
		fpu->own->i387.mxcsr = MXCSR_DEFAULT;
	fpu->own->header.xfeatures &= fpu->components;
	/*
	 * Execute XRSTOR and XSAVE. XRSTOR gives components that are not in the data their initial
	 * values, and XSAVE writes these to the buffer.
	 */
	okvm_fpu_own_begin(fpu);
	okvm_fpu_own_end(fpu);
	return 0;
}

/* ---- the guest's FPU state, in okvm's buffer or in the kernel's struct fpu_guest ---- */

static int fpu_create_state(struct okvm_vcpu *vcpu, struct okvm_fpu *fpu)
{
	fpu->size = okvm_fpu_uabi_size(vcpu->vm->host);
#if OKVM_HAS_KVM_HELPERS
	if (!okvm_fpu_is_own()) {
		if (!fpu_alloc_guest_fpstate(&fpu->kernel))
			return -ENOMEM;
		fpu->size = fpu->kernel.uabi_size;
		return 0;
	}
#endif
	return own_create(vcpu, fpu);
}

int okvm_fpu_create(struct okvm_vcpu *vcpu)
{
	struct okvm_fpu *fpu = kzalloc(sizeof(*fpu), GFP_KERNEL_ACCOUNT);

	if (!fpu)
		return -ENOMEM;
	if (fpu_create_state(vcpu, fpu)) {
		kfree(fpu);
		return -ENOMEM;
	}
	vcpu->arch->fpu = fpu;
	return 0;
}

void okvm_fpu_destroy(struct okvm_vcpu *vcpu)
{
	struct okvm_fpu *fpu = vcpu->arch->fpu;

	vcpu->arch->fpu = NULL;
	if (!fpu)
		return;
#if OKVM_HAS_KVM_HELPERS
	if (!okvm_fpu_is_own())
		fpu_free_guest_fpstate(&fpu->kernel);
#endif
	vfree(fpu->own);
	kfree(fpu);
}

static struct fxregs_state *fpu_legacy(struct okvm_vcpu *vcpu)
{
	struct okvm_fpu *fpu = vcpu->arch->fpu;

#if OKVM_HAS_KVM_HELPERS
	if (!okvm_fpu_is_own())
		return &fpu->kernel.fpstate->regs.fxsave;
#endif
	return &fpu->own->i387;
}

void okvm_fpu_reset(struct okvm_vcpu *vcpu, bool init)
{
	/* SDM "Processor State After Reset": INIT does not change FPU state or XCR0. */
	if (init)
		return;
	vcpu->arch->xcr0 = XFEATURE_MASK_FP;
	vcpu->arch->ia32_xss = 0;
	vcpu->arch->pkru = 0;
}

/* ---- KVM_GET/SET_FPU: the legacy part, in FXSAVE's layout ---- */

static long ioc_get_fpu(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct fxregs_state *fx = fpu_legacy(vcpu);
	struct kvm_fpu *fpu = arg.data;

	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	fpu->fcw = fx->cwd;
	fpu->fsw = fx->swd;
	fpu->ftwx = fx->twd;
	fpu->last_opcode = fx->fop;
	fpu->last_ip = fx->rip;
	fpu->last_dp = fx->rdp;
	return 0;
}

static long ioc_set_fpu(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct fxregs_state *fx = fpu_legacy(vcpu);
	const struct kvm_fpu *fpu = arg.data;

	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	if (okvm_fpu_is_own())
		vcpu->arch->fpu->own->header.xfeatures |= XFEATURE_MASK_FPSSE;
	return 0;
}

/* ---- KVM_GET/SET_XSAVE(2) ---- */

/* Copy FP and SSE in any case, even if the guest has no XSAVE. */
static void copy_out(struct okvm_vcpu *vcpu, void *buf, unsigned int size)
{
	u64 components = vcpu->arch->feat.xcr0_supported | XFEATURE_MASK_FPSSE;

#if OKVM_HAS_KVM_HELPERS
	if (!okvm_fpu_is_own()) {
		fpu_copy_guest_fpstate_to_uabi(&vcpu->arch->fpu->kernel, buf, size, components,
					       vcpu->arch->pkru);
		return;
	}
#endif
	own_copy_out(vcpu, buf, size, components);
}

static long ioc_get_xsave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_xsave *xsave = arg.data;

	copy_out(vcpu, xsave->region, sizeof(xsave->region));
	return 0;
}

#if OKVM_HAS_KVM_HELPERS
static long kernel_copy_in(struct okvm_vcpu *vcpu, const void *buf)
{
	long err = fpu_copy_uabi_to_guest_fpstate(&vcpu->arch->fpu->kernel, buf,
						  vcpu->vm->host->xcr0, &vcpu->arch->pkru);

	if (err != -EINVAL)
		return err;
	return okvm_refuse_vcpu(vcpu, header_fault(vcpu, buf) ?: MXCSR_FAULT);
}
#endif

static long copy_in(struct okvm_vcpu *vcpu, void *buf)
{
	/*
	 * Allow all components that the host supports, even those that are off in the guest's XCR0:
	 * some VMMs set this state before XCR0.
	 */
#if OKVM_HAS_KVM_HELPERS
	if (!okvm_fpu_is_own())
		return kernel_copy_in(vcpu, buf);
#endif
	return own_copy_in(vcpu, buf);
}

static long ioc_get_xsave2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	unsigned int size = vcpu->arch->fpu->size;
	void *buf = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	long ret = 0;

	if (!buf)
		return -ENOMEM;
	copy_out(vcpu, buf, size);
	if (copy_to_user(arg.user, buf, size))
		ret = -EFAULT;
	kvfree(buf);
	return ret;
}

static long ioc_set_xsave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	/*
	 * With KVM_CAP_XSAVE2 userspace passes a buffer that may be larger than struct kvm_xsave.
	 */
	void *buf = memdup_user(arg.user, max_t(size_t, vcpu->arch->fpu->size,
						sizeof(struct kvm_xsave)));
	long ret;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	ret = copy_in(vcpu, buf);
	kfree(buf);
	return ret;
}

/* ---- KVM_GET/SET_XCRS ---- */

static long ioc_get_xcrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_xcrs *xcrs = arg.data;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return 0;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = XCR_XFEATURE_ENABLED_MASK;
	xcrs->xcrs[0].value = vcpu->arch->xcr0;
	return 0;
}

static long ioc_set_xcrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	const struct kvm_xcrs *xcrs = arg.data;
	u32 i;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return okvm_refuse_vcpu(vcpu, "KVM_SET_XCRS: the CPU has no XSAVE");
	if (xcrs->flags)
		return okvm_refuse_vcpu(vcpu, "KVM_SET_XCRS: flags are not 0");
	if (xcrs->nr_xcrs > KVM_MAX_XCRS)
		return okvm_refuse_vcpu(vcpu, "KVM_SET_XCRS: nr_xcrs is too large");
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return okvm_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcrs->xcrs[i].value) ?
			       okvm_refuse_vcpu(vcpu, "KVM_SET_XCRS: the vCPU has no such XCR0") :
			       0;
	return 0;
}

unsigned int okvm_fpu_uabi_size(const struct okvm_host *host)
{
	u32 size = okvm_host_cpuid_reg(host, 0xd, 0, 1);

	return max_t(u32, size, sizeof(struct kvm_xsave));
}

const struct okvm_ioctl okvm_fpu_ioctls[] = {
	{ KVM_GET_FPU,		OKVM_IOC_LOAD, { .vcpu = ioc_get_fpu } },
	{ KVM_SET_FPU,		OKVM_IOC_LOAD, { .vcpu = ioc_set_fpu } },
	{ KVM_GET_XSAVE,	OKVM_IOC_LOAD, { .vcpu = ioc_get_xsave } },
	{ KVM_GET_XSAVE2,	OKVM_IOC_LOAD | OKVM_IOC_RAW, { .vcpu = ioc_get_xsave2 } },
	{ KVM_SET_XSAVE,	OKVM_IOC_LOAD | OKVM_IOC_RAW, { .vcpu = ioc_set_xsave } },
	{ KVM_GET_XCRS,		OKVM_IOC_LOAD, { .vcpu = ioc_get_xcrs } },
	{ KVM_SET_XCRS,		OKVM_IOC_LOAD, { .vcpu = ioc_set_xcrs } },
	{ }
};
