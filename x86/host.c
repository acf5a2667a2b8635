// SPDX-License-Identifier: GPL-2.0-only
/* What this host can offer guests, found out once at module load. */
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>

#include "core/compat.h"
#include "x86/internal.h"

struct okvm_host okvm_host;

/* State components whose registers okvm switches and whose sizes it knows. */
#define XCR0_KNOWN	(XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | \
			 XFEATURE_MASK_AVX512 | XFEATURE_MASK_PKRU)

static u64 host_xcr0(void)
{
	u64 xcr0;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return 0;
	xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK) & XCR0_KNOWN;
	if (!(okvm_host.caps & OKVM_CAP_EPT) || !boot_cpu_has(X86_FEATURE_OSPKE))
		xcr0 &= ~XFEATURE_MASK_PKRU;
	return xcr0;
}

static u64 host_efer_reserved(void)
{
	u64 known = EFER_SCE | EFER_LME | EFER_LMA;

	if (boot_cpu_has(X86_FEATURE_NX))
		known |= EFER_NX;
	return ~known;
}

int okvm_host_init(const struct okvm_backend *backend)
{
	int ret;

	okvm_host.backend = backend;
	okvm_host.caps = backend->caps();
	okvm_host.xcr0 = host_xcr0();
	okvm_host.xss = 0;	/* no supervisor component is offered */
	okvm_host.efer_reserved = host_efer_reserved();
	okvm_host.arch_capabilities = okvm_host_arch_capabilities();
	ret = okvm_cpuid_init();
	if (ret)
		return ret;
	okvm_host.cr4_reserved = okvm_host_cr4_reserved();
	okvm_msr_init_lists();
	return okvm_clock_init();
}

void okvm_host_exit(void)
{
	okvm_clock_exit();
}
