// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of MSRs, sorted by number (a test checks that), and pure functions on it.
 *
 * SDM volume 4 "Model-Specific Registers" has the names. Kernels probe some MSRs that have no
 * meaning in a guest: these read as constants.
 */
#include <linux/bits.h>
#include <linux/kernel.h>

#include <asm/msr-index.h>

#include "x86/msr/msr_table.h"

#define ALL	(~0ULL)
#define LOW32	0xffffffffULL

#define ONE(msr)		.first = (msr), .last = (msr)
#define RANGE(from, to)		.first = (from), .last = (to)
/* MSRs that read as the constant @v. READS: writes fail. READS_WIGN: writes are ignored. */
#define READS(v)		.id = MSR_ID_CONST, .flags = MSR_F_NO_WRITE, .value = (v)
#define READS_WIGN(v)		.id = MSR_ID_CONST, .writable = ALL, .value = (v)
#define ROW(i, f, w)		.id = MSR_ID_##i, .flags = (f), .writable = (w)
#define NEED(i, f, w, n)	ROW(i, f, w), .need = MSR_NEED_##n

/* Numbers of MSRs that <asm/msr-index.h> does not define in all supported kernels. */
#define X_P6_PERFCTR0	0xc1
#define X_P6_PERFCTR1	0xc2
#define X_FSB_FREQ	0xcd
#define X_BBL_CR_CTL3	0x11e
#define X_P6_EVNTSEL0	0x186
#define X_P6_EVNTSEL1	0x187
#define X_CTL2_FIRST	0x280
#define X_CTL2_LAST	0x29f
#define X_MC_FIRST	0x400
#define X_MC_LAST	0x47f
#define X_KVM_FIRST	0x4b564d00
#define X_KVM_LAST	0x4b564d07

#define FEAT_CTL_BITS	(BIT_ULL(0) | BIT_ULL(20))	/* locked; local machine check */
#define EFER_BITS	(BIT_ULL(0) | BIT_ULL(8) | BIT_ULL(10) | BIT_ULL(11))
#define DEBUGCTL_BITS	(BIT_ULL(0) | BIT_ULL(1))	/* LBR; BTF (ignored) */
#define DEBUGCTL_PINS	(0xfULL << 2)			/* AMD's: what external pins report */
#define PRED_CMD_BITS	(BIT_ULL(0) | BIT_ULL(7))	/* IBPB, SBPB */
#define TSX_CTRL_BITS	(BIT_ULL(0) | BIT_ULL(1))
#define UMWAIT_BITS	(LOW32 & ~BIT_ULL(1))

const struct msr_row msr_rows[] = {
	{ RANGE(0x0, 0x1), READS(0) },					/* P5 machine check */
	{ ONE(MSR_IA32_TSC), ROW(TSC, MSR_F_LIST, ALL) },
	{ RANGE(0x11, 0x12), ROW(PV, MSR_F_LIST, ALL) },		/* kvmclock, old numbers */
	{ ONE(MSR_IA32_PLATFORM_ID), READS(0) },
	{ ONE(MSR_IA32_APICBASE), ROW(APIC_BASE, 0, ALL) },
	{ ONE(MSR_IA32_EBL_CR_POWERON), READS(0) },
	{ ONE(MSR_EBC_FREQUENCY_ID), READS(BIT(24)) },		/* a multiplier other than 0 */
	{ ONE(MSR_IA32_FEAT_CTL), ROW(FEAT_CTL, MSR_F_LIST, FEAT_CTL_BITS) },
	{ ONE(MSR_IA32_TSC_ADJUST), ROW(TSC_ADJUST, MSR_F_LIST, ALL) },
	{ ONE(MSR_IA32_SPEC_CTRL), NEED(SPEC_CTRL, MSR_F_LIST, ALL, SPEC_CTRL) },
	{ ONE(MSR_IA32_PRED_CMD), NEED(PRED_CMD, MSR_F_NO_READ, PRED_CMD_BITS, IBPB) },
	{ ONE(MSR_IA32_UCODE_WRITE), ROW(CONST, MSR_F_NO_READ, ALL) },
	{ ONE(MSR_IA32_UCODE_REV), ROW(UCODE_REV, MSR_F_LIST | MSR_F_GUEST_WIGN, ALL) },
	{ RANGE(X_P6_PERFCTR0, X_P6_PERFCTR1), READS_WIGN(0) },
	{ ONE(X_FSB_FREQ), READS(3) },
	{ ONE(MSR_PLATFORM_INFO), ROW(PLATFORM_INFO, MSR_F_LIST | MSR_F_HOST_WRITE, ALL) },
	{ ONE(MSR_IA32_UMWAIT_CONTROL), NEED(UMWAIT, MSR_F_LIST, UMWAIT_BITS, UMWAIT) },
	{ ONE(MSR_MTRRcap), ROW(MTRR, MSR_F_NO_WRITE, 0) },
	{ ONE(MSR_IA32_ARCH_CAPABILITIES),
	  NEED(ARCH_CAP, MSR_F_LIST | MSR_F_HOST_WRITE | MSR_F_NEED_READ, ALL, ARCH_CAP) },
	{ ONE(MSR_IA32_FLUSH_CMD), NEED(FLUSH_CMD, MSR_F_NO_READ, BIT_ULL(0), L1D_FLUSH) },
	{ ONE(X_BBL_CR_CTL3), READS_WIGN(0xbe702111) },		/* L2 cache present and on */
	{ ONE(MSR_IA32_TSX_CTRL), NEED(TSX_CTRL, MSR_F_LIST, TSX_CTRL_BITS, TSX_CTRL) },
	{ ONE(MSR_MISC_FEATURES_ENABLES), ROW(MISC_FEATURES, MSR_F_LIST, BIT_ULL(0)) },
	{ ONE(MSR_IA32_SYSENTER_CS), ROW(BACKEND, MSR_F_LIST, ALL) },
	{ RANGE(MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP),
	  ROW(BACKEND, MSR_F_LIST | MSR_F_SIGN, ALL) },
	{ ONE(MSR_IA32_MCG_CAP), ROW(MCE, MSR_F_NO_WRITE, 0) },
	{ RANGE(MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL), ROW(MCE, MSR_F_LIST, ALL) },
	{ RANGE(X_P6_EVNTSEL0, X_P6_EVNTSEL1), READS_WIGN(0) },
	{ ONE(MSR_IA32_PERF_STATUS), READS(1000ULL | 4ULL << 40) },
	{ ONE(MSR_IA32_PERF_CTL), READS(0) },
	{ ONE(MSR_IA32_MISC_ENABLE), ROW(MISC_ENABLE, MSR_F_LIST, ALL) },
	{ ONE(MSR_IA32_DEBUGCTLMSR),
	  NEED(DEBUGCTL, MSR_F_LIST | MSR_F_NEED_LIST, DEBUGCTL_BITS, LBR) },
	{ RANGE(MSR_IA32_LASTBRANCHFROMIP, MSR_IA32_LASTINTTOIP),
	  NEED(BACKEND, MSR_F_LIST | MSR_F_NEED_WRITE, ALL, LBR) },
	{ ONE(MSR_IA32_POWER_CTL), ROW(POWER_CTL, MSR_F_LIST, ALL) },
	{ RANGE(0x200, 0x20f), ROW(MTRR, 0, ALL) },
	{ ONE(MSR_MTRRfix64K_00000), ROW(MTRR, 0, ALL) },
	{ RANGE(MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000), ROW(MTRR, 0, ALL) },
	{ RANGE(MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_F8000), ROW(MTRR, 0, ALL) },
	{ ONE(MSR_IA32_CR_PAT), ROW(PAT, MSR_F_LIST, ALL) },
	{ RANGE(X_CTL2_FIRST, X_CTL2_LAST), ROW(MCE, 0, ALL) },
	{ ONE(MSR_MTRRdefType), ROW(MTRR, 0, ALL) },
	{ ONE(MSR_IA32_PERF_CAPABILITIES),
	  NEED(PERF_CAP, MSR_F_LIST | MSR_F_HOST_WRITE | MSR_F_NEED_READ, 0, PDCM) },
	{ RANGE(X_MC_FIRST, X_MC_LAST), ROW(MCE, 0, ALL) },
	{ RANGE(MSR_IA32_VMX_BASIC, MSR_IA32_VMX_VMFUNC), NEED(CONST, 0, ALL, NEVER) },
	{ ONE(MSR_IA32_MCG_EXT_CTL), NEED(MCE, MSR_F_LIST, BIT_ULL(0), INTEL) },
	{ RANGE(MSR_IA32_RTIT_OUTPUT_BASE, MSR_IA32_RTIT_OUTPUT_MASK),
	  NEED(CONST, 0, ALL, NEVER) },
	{ RANGE(MSR_IA32_RTIT_CTL, MSR_IA32_RTIT_CR3_MATCH), NEED(CONST, 0, ALL, NEVER) },
	{ RANGE(MSR_IA32_RTIT_ADDR0_A, MSR_IA32_RTIT_ADDR3_B), NEED(CONST, 0, ALL, NEVER) },
	{ ONE(MSR_RAPL_POWER_UNIT), READS(0) },
	{ ONE(MSR_PKG_ENERGY_STATUS), READS(0) },
	{ ONE(MSR_DRAM_ENERGY_STATUS), READS(0) },
	{ ONE(MSR_PP0_ENERGY_STATUS), READS(0) },
	{ ONE(MSR_PP1_ENERGY_STATUS), READS(0) },
	{ ONE(MSR_IA32_TSC_DEADLINE), ROW(TSC_DEADLINE, MSR_F_LIST, ALL) },
	{ RANGE(0x800, 0x8ff), ROW(X2APIC, 0, ALL) },
	{ ONE(MSR_IA32_BNDCFGS), NEED(CONST, 0, ALL, NEVER) },
	{ ONE(MSR_IA32_XSS), NEED(XSS, MSR_F_LIST, ALL, XSAVES) },
	{ RANGE(X_KVM_FIRST, X_KVM_LAST), ROW(PV, MSR_F_LIST, ALL) },
	{ ONE(MSR_EFER), ROW(EFER, 0, ALL) },
	{ ONE(MSR_STAR), ROW(STAR, MSR_F_LIST, ALL) },
	{ ONE(MSR_LSTAR), ROW(LSTAR, MSR_F_LIST | MSR_F_CANONICAL, ALL) },
	{ ONE(MSR_CSTAR), ROW(CSTAR, MSR_F_LIST | MSR_F_CANONICAL, ALL) },
	{ ONE(MSR_SYSCALL_MASK), ROW(SFMASK, MSR_F_LIST, ALL) },
	{ RANGE(MSR_FS_BASE, MSR_GS_BASE), ROW(BACKEND, MSR_F_CANONICAL, ALL) },
	{ ONE(MSR_KERNEL_GS_BASE), ROW(KERNEL_GS_BASE, MSR_F_LIST | MSR_F_CANONICAL, ALL) },
	{ ONE(MSR_TSC_AUX), NEED(TSC_AUX, MSR_F_LIST, LOW32, TSC_AUX) },
	{ ONE(MSR_AMD64_TSC_RATIO), NEED(CONST, MSR_F_LIST, BIT_ULL(32), TSC_RATIO),
	  .value = BIT_ULL(32) },	/* ratio 1.0 */
	/* AMD's MSRs: kernels may probe them on any CPU. */
	{ RANGE(0xc0010000, 0xc0010007), READS_WIGN(0) },		/* K7 counters */
	{ ONE(0xc0010010), READS(0) },					/* SYSCFG */
	{ ONE(0xc0010015), ROW(HWCR, MSR_F_LIST, BIT_ULL(18) | BIT_ULL(24) | 0x148) },
	{ ONE(0xc001001b), READS_WIGN(0x20000000) },			/* CLK_CTL */
	{ ONE(0xc001001f), READS_WIGN(0) },				/* NB_CFG */
	{ ONE(0xc0010020), ROW(CONST, MSR_F_NO_READ, ALL) },		/* patch loader */
	{ ONE(0xc0010055), READS(0) },					/* INT_PENDING_MSG */
	{ ONE(0xc0010058), ROW(CONST, 0, 0) },				/* MMIO_CONF_BASE */
	{ RANGE(0xc0010112, 0xc0010113), READS(0) },			/* TSEG */
	{ ONE(MSR_VM_CR), NEED(CONST, 0, BIT_ULL(3) | BIT_ULL(4), AMD) },
	{ ONE(0xc0010117), ROW(CONST, MSR_F_LIST, ALL) },		/* VM_HSAVE_PA */
	/* OSVW: three status bits, which are 0: the CPU has none of these three errata */
	{ ONE(MSR_AMD64_OSVW_ID_LENGTH), NEED(CONST, 0, ALL, OSVW), .value = 3 },
	{ ONE(MSR_AMD64_OSVW_STATUS), NEED(CONST, 0, ALL, OSVW) },
	{ ONE(MSR_F15H_IC_CFG), NEED(CONST, MSR_F_NO_WRITE, 0, AMD) },
	{ RANGE(0xc0011022, 0xc0011023), READS_WIGN(0) },		/* DC_CFG, TW_CFG */
	{ ONE(MSR_AMD64_DE_CFG), NEED(DE_CFG, 0, BIT_ULL(1), AMD) },
	{ ONE(0xc001102a), READS_WIGN(0) },				/* BU_CFG2 */
	{ ONE(0xc001102c), READS_WIGN(0) },				/* EX_CFG */
};

const unsigned int msr_nr_rows = ARRAY_SIZE(msr_rows);

const struct msr_row *msr_find(u32 msr)
{
	unsigned int low = 0, high = ARRAY_SIZE(msr_rows);

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (msr < msr_rows[mid].first)
			high = mid;
		else if (msr > msr_rows[mid].last)
			low = mid + 1;
		else
			return &msr_rows[mid];
	}
	return NULL;
}

/*
 * Return BIT(enum msr_need) of the speculation-control MSRs that exist. SPEC_CTRL exists if CPUID
 * enumerates any of its bits (SDM "IA32_SPEC_CTRL", APM "CPUID Fn8000_0008_EBX").
 */
u32 msr_spec_needs(u32 leaf7_edx, u32 ext8_ebx)
{
	const u32 intel_ctrl = BIT(26) | BIT(27) | BIT(31);	/* IBRS, STIBP, SSBD */
	const u32 amd_ctrl = BIT(14) | BIT(15) | BIT(24);	/* in the same order */
	u32 needs = 0;

	if (leaf7_edx & intel_ctrl || ext8_ebx & amd_ctrl)
		needs |= BIT(MSR_NEED_SPEC_CTRL);
	if (leaf7_edx & BIT(26) || ext8_ebx & BIT(12))
		needs |= BIT(MSR_NEED_IBPB);
	if (leaf7_edx & BIT(28))
		needs |= BIT(MSR_NEED_L1D_FLUSH);
	return needs;
}

/*
 * Return the bits that are legal in SPEC_CTRL (SDM "IA32_SPEC_CTRL"): those that CPUID enumerates,
 * and STIBP if CPUID enumerates IBRS. AMD enumerates its bits in leaf 80000008h.
 */
u64 msr_spec_ctrl_legal(u32 leaf7_edx, u32 leaf7_2_edx, u32 ext8_ebx)
{
	static const struct {
		u32 leaf7, leaf7_2, ext8;
		u64 legal;
	} bits[] = {
		{ BIT(26), 0, BIT(14), BIT_ULL(0) | BIT_ULL(1) },	/* IBRS */
		{ BIT(27), 0, BIT(15), BIT_ULL(1) },			/* STIBP */
		{ BIT(31), 0, BIT(24), BIT_ULL(2) },			/* SSBD */
		{ 0, BIT(0), BIT(28), BIT_ULL(7) },			/* PSFD */
		{ 0, BIT(1), 0, BIT_ULL(3) | BIT_ULL(4) },	/* IPRED_DIS_U, IPRED_DIS_S */
		{ 0, BIT(2), 0, BIT_ULL(5) | BIT_ULL(6) },	/* RRSBA_DIS_U, RRSBA_DIS_S */
		{ 0, BIT(3), 0, BIT_ULL(8) },			/* DDPD_U */
		{ 0, BIT(4), 0, BIT_ULL(10) },			/* BHI_DIS_S */
	};
	u64 legal = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		if (leaf7_edx & bits[i].leaf7 || leaf7_2_edx & bits[i].leaf7_2 ||
		    ext8_ebx & bits[i].ext8)
			legal |= bits[i].legal;
	return legal;
}

/*
 * Called if the CPU lacks the feature that the MSR of @row needs. Return true if an MSR exit to
 * userspace then has the reason "unknown", false if it has "invalid" (as in upstream).
 */
static bool is_unknown(const struct msr_row *row, const struct msr_env *env)
{
	switch (row->need) {
	case MSR_NEED_L1D_FLUSH:
	case MSR_NEED_INTEL:
	case MSR_NEED_AMD:
	case MSR_NEED_TSC_RATIO:
	case MSR_NEED_LBR:
		return true;
	case MSR_NEED_TSX_CTRL:
	case MSR_NEED_UMWAIT:
	case MSR_NEED_NEVER:
		return !env->intel;
	default:
		return false;
	}
}

/*
 * Check that the CPU has the feature that @row needs. If the guest makes the access, its CPUID must
 * have the feature, too.
 * Return: MSR_LEGAL, MSR_ABSENT or MSR_FAULT
 */
static enum msr_verdict check_need(const struct msr_row *row, const struct msr_env *env)
{
	u32 need = row->need == MSR_NEED_NONE ? 0 : BIT(row->need);

	if (need & ~env->cpu && is_unknown(row, env))
		return MSR_ABSENT;
	return need & ~env->cpu || (need & ~env->guest && !env->host) ? MSR_FAULT : MSR_LEGAL;
}

enum msr_verdict msr_check_read(const struct msr_row *row, const struct msr_env *env)
{
	if (row->flags & MSR_F_NO_READ)
		return MSR_ABSENT;
	return row->flags & MSR_F_NEED_WRITE ? MSR_LEGAL : check_need(row, env);
}

/*
 * If *@val is written to DEBUGCTL on a CPU of AMD, clear the bits that upstream ignores there. If
 * the CPU has LBR virtualization, these are the bits for external pins (upstream before Linux 7).
 * Otherwise they are all bits except LBR and BTF.
 */
static void drop_ignored(const struct msr_row *row, const struct msr_env *env, u64 *val)
{
	if (row->id == MSR_ID_DEBUGCTL && !env->intel)
		*val &= ~(env->cpu & BIT(MSR_NEED_LBR) ? DEBUGCTL_PINS : ~DEBUGCTL_BITS);
}

enum msr_verdict msr_check_write(const struct msr_row *row, const struct msr_env *env, u64 *val)
{
	enum msr_verdict verdict;

	if (row->flags & MSR_F_NO_WRITE)
		return MSR_ABSENT;
	if (row->flags & MSR_F_HOST_WRITE && !env->host)
		return MSR_FAULT;
	if (row->flags & MSR_F_GUEST_WIGN && !env->host)
		return MSR_IGNORE;
	if (!(row->flags & MSR_F_NEED_READ)) {
		verdict = check_need(row, env);
		if (verdict != MSR_LEGAL)
			return verdict;
	}
	drop_ignored(row, env, val);
	if (*val & ~row->writable)
		return MSR_FAULT;
	if (row->flags & MSR_F_CANONICAL && !msr_canonical(*val, env->linear_bits))
		return MSR_FAULT;
	if (row->flags & MSR_F_SIGN)
		*val = (u64)((s64)(*val << (64 - env->linear_bits)) >> (64 - env->linear_bits));
	return row->id == MSR_ID_CONST ? MSR_IGNORE : MSR_LEGAL;
}

bool msr_mtrr_type_valid(u8 type)
{
	return type < 8 && BIT(type) & 0x73;	/* 0, 1, 4, 5, 6 */
}

bool msr_pat_valid(u64 pat)
{
	int i;

	for (i = 0; i < 8; i++, pat >>= 8)
		if (!msr_mtrr_type_valid(pat) && (pat & 0xff) != 7)	/* UC- */
			return false;
	return true;
}
