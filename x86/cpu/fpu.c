// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's FPU, vector and extended state. The kernel keeps it in a struct fpu_guest. KVM_RUN
 * loads the guest's registers at its begin, and the VMM's at its end. XCR0, XSS and PKRU are
 * switched by stay.h, around guest mode only.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/sched.h>

#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>

#include "core/compat.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/cpuid/cpuid.h"

static_assert(sizeof_field(struct kvm_fpu, fpr) == sizeof_field(struct fxregs_state, st_space));
static_assert(sizeof_field(struct kvm_fpu, xmm) == sizeof_field(struct fxregs_state, xmm_space));

int okvm_fpu_create(struct okvm_vcpu *vcpu)
{
	struct fpu_guest *fpu = kzalloc(sizeof(*fpu), GFP_KERNEL_ACCOUNT);

	if (!fpu)
		return -ENOMEM;
	if (!fpu_alloc_guest_fpstate(fpu)) {
		kfree(fpu);
		return -ENOMEM;
	}
	vcpu->arch->fpu = fpu;
	return 0;
}

void okvm_fpu_destroy(struct okvm_vcpu *vcpu)
{
	struct fpu_guest *fpu = vcpu->arch->fpu;

	vcpu->arch->fpu = NULL;
	if (!fpu)
		return;
	fpu_free_guest_fpstate(fpu);
	kfree(fpu);
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
	const struct fxregs_state *fx = &vcpu->arch->fpu->fpstate->regs.fxsave;
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
	struct fxregs_state *fx = &vcpu->arch->fpu->fpstate->regs.fxsave;
	const struct kvm_fpu *fpu = arg.data;

	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	return 0;
}

/* ---- KVM_GET/SET_XSAVE(2) ---- */

/* FP and SSE can always be saved, even if the guest has no XSAVE. */
static void copy_out(struct okvm_vcpu *vcpu, void *buf, unsigned int size)
{
	u64 components = vcpu->arch->feat.xcr0_supported | XFEATURE_MASK_FPSSE;

	fpu_copy_guest_fpstate_to_uabi(vcpu->arch->fpu, buf, size, components,
				       vcpu->arch->pkru);
}

static long ioc_get_xsave(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	struct kvm_xsave *xsave = arg.data;

	copy_out(vcpu, xsave->region, sizeof(xsave->region));
	return 0;
}

static long copy_in(struct okvm_vcpu *vcpu, void *buf)
{
	/* Check against the host's XCR0, as VMMs may restore the state before the guest's XCR0. */
	return fpu_copy_uabi_to_guest_fpstate(vcpu->arch->fpu, buf, vcpu->vm->host->xcr0,
					      &vcpu->arch->pkru);
}

static long ioc_get_xsave2(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	unsigned int size = vcpu->arch->fpu->uabi_size;
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
	/* KVM_CAP_XSAVE2: the buffer may be larger than struct kvm_xsave. */
	void *buf = memdup_user(arg.user, max_t(size_t, vcpu->arch->fpu->uabi_size,
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

	if (!boot_cpu_has(X86_FEATURE_XSAVE) || xcrs->flags || xcrs->nr_xcrs > KVM_MAX_XCRS)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return okvm_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcrs->xcrs[i].value) ?
			       -EINVAL : 0;
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
