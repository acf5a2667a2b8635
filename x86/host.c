// SPDX-License-Identifier: GPL-2.0-only
/*
 * Computes what a backend can offer guests on this host, once, when the backend is registered.
 * Also has the module's x86 initialization and the list of ioctl tables of x86/, mmu/ and irq/.
 */
#include <linux/slab.h>

#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>

#include "core/arch.h"
#include "core/compat.h"
#include "x86/cpu/fpu.h"
#include "x86/cpuid/cpuid.h"
#include "x86/msr/mce.h"
#include "x86/msr/msr.h"
#include "x86/msr/msr_filter.h"
#include "x86/pv/async_pf.h"
#include "x86/run.h"
#include "x86/time/pvclock.h"
#include "x86/time/tsc.h"
#include "x86/uapi/state.h"

/* XCR0 components that okvm supports: it can switch their registers and knows their sizes. */
#define XCR0_KNOWN	(XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | \
			 XFEATURE_MASK_AVX512 | XFEATURE_MASK_PKRU)

static u64 host_xcr0(u32 caps)
{
	u64 xcr0;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return 0;
	xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK) & XCR0_KNOWN;
	if (!(caps & OKVM_HW_TDP) || !boot_cpu_has(X86_FEATURE_OSPKE))
		xcr0 &= ~XFEATURE_MASK_PKRU;
	return xcr0;
}

static u64 host_efer_reserved(void)
{
	u64 defined = EFER_SCE | EFER_LME | EFER_LMA;

	if (boot_cpu_has(X86_FEATURE_NX))
		defined |= EFER_NX;
	if (boot_cpu_has(X86_FEATURE_FXSR_OPT))
		defined |= EFER_FFXSR;
	return ~defined;
}

static struct okvm_host *host_create(u32 caps)
{
	struct okvm_host *host = kzalloc(sizeof(*host), GFP_KERNEL);
	int err;

	if (!host)
		return ERR_PTR(-ENOMEM);
	host->caps = caps;
	host->xcr0 = host_xcr0(caps);
	host->xss = 0;	/* no supervisor component is offered */
	host->efer_reserved = host_efer_reserved();
	host->arch_capabilities = okvm_host_arch_capabilities();
	err = okvm_host_cpuid_create(host);
	if (err) {
		kfree(host);
		return ERR_PTR(err);
	}
	host->msr_needs = okvm_host_msr_needs(host);
	return host;
}

static void host_destroy(struct okvm_host *host)
{
	kfree(host->cpuid);
	kfree(host);
}

int okvm_arch_offer_create(struct okvm_offer *offer)
{
	struct okvm_host *host = host_create(offer->caps), *shadow = host;

	if (IS_ERR(host))
		return PTR_ERR(host);
	if (offer->caps & OKVM_HW_TDP)
		shadow = host_create(offer->caps & ~OKVM_HW_ONLY_TDP);
	if (IS_ERR(shadow)) {
		host_destroy(host);
		return PTR_ERR(shadow);
	}
	offer->host = host;
	offer->host_shadow = shadow;
	return 0;
}

void okvm_arch_offer_destroy(struct okvm_offer *offer)
{
	if (offer->host_shadow != offer->host)
		host_destroy(offer->host_shadow);
	host_destroy(offer->host);
}

int okvm_arch_init(void)
{
	int err;

	okvm_fpu_init();
	err = okvm_mmu_init();
	if (err)
		return err;
	err = okvm_apf_init();
	if (err)
		goto err_exit_mmu;
	err = okvm_clock_init();
	if (err)
		goto err_exit_apf;
	return 0;

err_exit_apf:
	okvm_apf_exit();
err_exit_mmu:
	okvm_mmu_exit();
	return err;
}

void okvm_arch_exit(void)
{
	okvm_clock_exit();
	okvm_apf_exit();
	okvm_mmu_exit();
}

/* ---- ioctls ---- */

/* The system fd's only attribute, KVM_X86_XCOMP_GUEST_SUPP: XCR0 bits that guests may set. */
static int check_sys_attr(const struct kvm_device_attr *attr)
{
	return attr->group == 0 && attr->attr == KVM_X86_XCOMP_GUEST_SUPP ? 0 : -ENXIO;
}

static long ioc_has_attr(union okvm_ioctl_arg arg)
{
	return check_sys_attr(arg.data);
}

static long ioc_get_attr(union okvm_ioctl_arg arg)
{
	const struct kvm_device_attr *attr = arg.data;
	int ret = check_sys_attr(attr);

	if (ret)
		return ret;
	return put_user(okvm_host_default()->xcr0, (u64 __user *)(unsigned long)attr->addr);
}

static const struct okvm_ioctl host_ioctls[] = {
	{ KVM_GET_DEVICE_ATTR,	0, { .sys = ioc_get_attr } },
	{ KVM_HAS_DEVICE_ATTR,	0, { .sys = ioc_has_attr } },
	{ }
};

const struct okvm_ioctl_table okvm_arch_ioctls[] = {
	{ OKVM_FD_SYS, host_ioctls },
	{ OKVM_FD_VM, okvm_vm_ioctls },
	{ OKVM_FD_VCPU, okvm_mp_state_ioctls },
	{ OKVM_FD_VCPU, okvm_state_regs_ioctls },
	{ OKVM_FD_VCPU, okvm_state_events_ioctls },
	{ OKVM_FD_VCPU, okvm_state_debug_ioctls },
	{ OKVM_FD_VCPU, okvm_state_cpuid_ioctls },
	{ OKVM_FD_VCPU, okvm_extensions_ioctls },
	{ OKVM_FD_SYS, okvm_cpuid_ioctls },
	{ OKVM_FD_SYS, okvm_msr_sys_ioctls },
	{ OKVM_FD_VCPU, okvm_msr_vcpu_ioctls },
	{ OKVM_FD_VM, okvm_msr_filter_ioctls },
	{ OKVM_FD_SYS, okvm_mce_sys_ioctls },
	{ OKVM_FD_VCPU, okvm_mce_vcpu_ioctls },
	{ OKVM_FD_VCPU, okvm_fpu_ioctls },
	{ OKVM_FD_VM, okvm_tsc_vm_ioctls },
	{ OKVM_FD_VCPU, okvm_tsc_vcpu_ioctls },
	{ OKVM_FD_VM, okvm_pvclock_vm_ioctls },
	{ OKVM_FD_VCPU, okvm_pvclock_vcpu_ioctls },
	{ OKVM_FD_VCPU, okvm_mmu_ioctls },
	{ OKVM_FD_VM, okvm_irqchip_ioctls },
	{ OKVM_FD_VM, okvm_route_ioctls },
	{ OKVM_FD_VM, okvm_msi_ioctls },
	{ OKVM_FD_VM, okvm_irqfd_ioctls },
	{ OKVM_FD_VM, okvm_ioeventfd_ioctls },
	{ OKVM_FD_VM, okvm_coalesced_ioctls },
	{ OKVM_FD_VM, okvm_pit_ioctls },
	{ OKVM_FD_VCPU, okvm_lapic_ioctls },
	{ OKVM_FD_VCPU, okvm_vapic_ioctls },
	{ }
};
