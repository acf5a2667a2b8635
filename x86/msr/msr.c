// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read and write the MSRs of a vCPU, for the guest's RDMSR and WRMSR and for KVM_GET/SET_MSRS.
 * x86/msr/msr_table.c decides which accesses are legal.
 */
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/cpufeature.h>
#include <asm/kvm_para.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/trapnr.h>

#include "core/trace_kvm.h"
#include "core/compat.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/cpuid/cpuid.h"
#include "x86/msr/mce.h"
#include "x86/msr/msr.h"
#include "x86/msr/msr_filter.h"
#include "x86/msr/msr_table.h"
#include "x86/msr/mtrr.h"
#include "x86/pv/pv.h"
#include "x86/time/tsc.h"

static bool ignore_msrs;
module_param(ignore_msrs, bool, 0644);
MODULE_PARM_DESC(ignore_msrs, "reads of unknown MSRs give 0, writes are ignored (default N)");

#define MAX_IO_MSRS	256	/* one KVM_GET_MSRS or KVM_SET_MSRS takes fewer than this */

/* Bits of ARCH_CAPABILITIES that guests may see: okvm supports whatever these bits promise. */
#define ARCH_CAP_OFFERED \
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA | ARCH_CAP_SKIP_VMENTRY_L1DFLUSH | \
	 ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TSX_CTRL_MSR | \
	 ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | \
	 ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA | ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | \
	 ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR | ARCH_CAP_BHI_NO | OKVM_ARCH_CAP_ITS_NO)

/* ---- what the host can offer ---- */

u64 okvm_host_arch_capabilities(void)
{
	u64 val = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES)) {
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, val);
		val &= ARCH_CAP_OFFERED;
	}
	/*
	 * Set PSCHANGE_MC_NO and SKIP_VMENTRY_L1DFLUSH on all hosts. They tell the guest that it
	 * needs no workaround. Only a hypervisor would need one, and a guest cannot be one.
	 */
	val |= ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_SKIP_VMENTRY_L1DFLUSH;
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		val |= ARCH_CAP_RDCL_NO;
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		val |= ARCH_CAP_SSB_NO;
	if (!boot_cpu_has_bug(X86_BUG_MDS))
		val |= ARCH_CAP_MDS_NO;
	if (!boot_cpu_has_bug(X86_BUG_RFDS))
		val |= ARCH_CAP_RFDS_NO;
	if (!okvm_host_has_its())
		val |= OKVM_ARCH_CAP_ITS_NO;
	if (!boot_cpu_has_bug(X86_BUG_GDS))
		val |= ARCH_CAP_GDS_NO;
	/* Without RTM there are no transactions, so clear TAA_NO, which is about transactions. */
	if (!boot_cpu_has(X86_FEATURE_RTM))
		val &= ~ARCH_CAP_TAA_NO;
	else if (!boot_cpu_has_bug(X86_BUG_TAA))
		val |= ARCH_CAP_TAA_NO;
	return val;
}

static u32 need_if(bool cond, enum msr_need need)
{
	return cond ? BIT(need) : 0;
}

u32 okvm_host_msr_needs(const struct okvm_host *host)
{
	return msr_spec_needs(okvm_host_cpuid_reg(host, 0x7, 0, 3),
			      okvm_host_cpuid_reg(host, 0x80000008, 0, 1)) |
	       need_if(host->caps & OKVM_HW_RDTSCP, MSR_NEED_TSC_AUX) |
	       need_if(boot_cpu_has(X86_FEATURE_IBPB), MSR_NEED_IBPB) |
	       need_if(true, MSR_NEED_ARCH_CAP) |
	       need_if(host->arch_capabilities & ARCH_CAP_TSX_CTRL_MSR, MSR_NEED_TSX_CTRL) |
	       need_if(host->caps & OKVM_HW_UMWAIT, MSR_NEED_UMWAIT) |
	       need_if(host->caps & OKVM_HW_XSAVES, MSR_NEED_XSAVES) |
	       need_if(boot_cpu_has(X86_FEATURE_VMX), MSR_NEED_INTEL) |
	       need_if(boot_cpu_has(X86_FEATURE_SVM), MSR_NEED_AMD) |
	       need_if(boot_cpu_has(X86_FEATURE_SVM), MSR_NEED_TSC_RATIO) |
	       need_if(host->caps & OKVM_HW_LBR, MSR_NEED_LBR) |
	       need_if(okvm_host_cpuid_reg(host, 0x80000001, 0, 2) & BIT(9), MSR_NEED_OSVW) |
	       need_if(true, MSR_NEED_PDCM);
}

static u32 needs_of_guest(const struct okvm_vcpu *vcpu)
{
	const struct okvm_guest_feat *f = &vcpu->arch->feat;

	return need_if(f->rdtscp || f->rdpid, MSR_NEED_TSC_AUX) |
	       need_if(f->spec_ctrl || f->stibp || f->ssbd, MSR_NEED_SPEC_CTRL) |
	       need_if(f->ibpb, MSR_NEED_IBPB) |
	       need_if(f->flush_l1d, MSR_NEED_L1D_FLUSH) |
	       need_if(f->arch_cap, MSR_NEED_ARCH_CAP) |
	       need_if(f->tsx_ctrl, MSR_NEED_TSX_CTRL) |
	       need_if(f->umwait, MSR_NEED_UMWAIT) |
	       need_if(f->xsaves, MSR_NEED_XSAVES) |
	       need_if(f->osvw, MSR_NEED_OSVW) |
	       need_if(true, MSR_NEED_INTEL) | need_if(true, MSR_NEED_AMD) |
	       need_if(f->pdcm, MSR_NEED_PDCM);
}

static struct msr_env make_env(struct okvm_vcpu *vcpu, bool host)
{
	return (struct msr_env) {
		.host = host,
		.intel = boot_cpu_has(X86_FEATURE_VMX),
		.cpu = vcpu->vm->host->msr_needs,
		.guest = needs_of_guest(vcpu),
		.linear_bits = okvm_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48,
	};
}

/* ---- MSRs stored in a member of struct okvm_arch_vcpu ---- */

#define FIELD(id, field) [MSR_ID_##id] = offsetof(struct okvm_arch_vcpu, field)

static const u16 field_of[MSR_NR_IDS] = {
	FIELD(EFER, efer),
	FIELD(TSC_ADJUST, tsc_adjust),
	FIELD(MISC_ENABLE, misc_enable),
	FIELD(UCODE_REV, ucode_rev),
	FIELD(PLATFORM_INFO, platform_info),
	FIELD(ARCH_CAP, arch_capabilities),
	FIELD(TSX_CTRL, tsx_ctrl),
	FIELD(MISC_FEATURES, misc_features),
	FIELD(PERF_CAP, perf_capabilities),
	FIELD(FEAT_CTL, feat_ctl),
	FIELD(UMWAIT, umwait),
	FIELD(POWER_CTL, power_ctl),
	FIELD(HWCR, hwcr),
	FIELD(DE_CFG, de_cfg),
	FIELD(XSS, ia32_xss),
	FIELD(SPEC_CTRL, spec_ctrl),
	FIELD(PAT, pat),
	FIELD(STAR, star),
	FIELD(LSTAR, lstar),
	FIELD(CSTAR, cstar),
	FIELD(SFMASK, sfmask),
	FIELD(KERNEL_GS_BASE, kernel_gs_base),
	FIELD(TSC_AUX, tsc_aux),
};

static u64 *field(struct okvm_vcpu *vcpu, enum msr_id id)
{
	return (void *)vcpu->arch + field_of[id];
}

/* ---- reading ---- */

/* Read an MSR whose current value the backend may hold. */
static u64 read_held(struct okvm_vcpu *vcpu, const struct msr_row *row, u32 msr)
{
	u64 val;

	if (!vcpu->arch->ops->get_msr(vcpu, msr, &val))
		return val;
	return field_of[row->id] ? *field(vcpu, row->id) : 0;
}

static enum okvm_msr_result read_x2apic(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	if (!okvm_lapic_in_kernel(vcpu))
		return OKVM_MSR_GP;
	okvm_apic_pv_eoi_exit(vcpu);
	return okvm_apic_msr_read(vcpu, msr, val) ? OKVM_MSR_GP : OKVM_MSR_OK;
}

static enum okvm_msr_result read_row(struct okvm_vcpu *vcpu, const struct msr_row *row, u32 msr,
				     u64 *val, bool host)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	switch (row->id) {
	case MSR_ID_CONST:
		*val = row->value;
		return OKVM_MSR_OK;
	case MSR_ID_PAT ... MSR_ID_DEBUGCTL:
	case MSR_ID_SPEC_CTRL:
	case MSR_ID_UMWAIT:
		*val = read_held(vcpu, row, msr);
		return OKVM_MSR_OK;
	case MSR_ID_PLATFORM_INFO:
		if (!host && !vcpu->vm->arch->guest_can_read_platform_info)
			return OKVM_MSR_GP;
		*val = arch->platform_info;
		return OKVM_MSR_OK;
	case MSR_ID_APIC_BASE:
		*val = okvm_get_apic_base(vcpu);
		return OKVM_MSR_OK;
	case MSR_ID_X2APIC:
		return read_x2apic(vcpu, msr, val);
	case MSR_ID_TSC:
		*val = okvm_arch_guest_tsc(vcpu, rdtsc());
		return OKVM_MSR_OK;
	case MSR_ID_TSC_DEADLINE:
		*val = okvm_lapic_in_kernel(vcpu) ? okvm_apic_get_tsc_deadline(vcpu) : 0;
		return OKVM_MSR_OK;
	case MSR_ID_MTRR:
		return okvm_mtrr_get(vcpu, msr, val);
	case MSR_ID_MCE:
		return okvm_mce_get(vcpu, msr, val, host);
	case MSR_ID_PV:
		return okvm_pv_get_msr(vcpu, msr, val);
	default:
		*val = *field(vcpu, row->id);
		return OKVM_MSR_OK;
	}
}

static enum okvm_msr_result verdict_result(enum msr_verdict verdict)
{
	switch (verdict) {
	case MSR_LEGAL:
	case MSR_IGNORE:
		return OKVM_MSR_OK;
	case MSR_ABSENT:
		return OKVM_MSR_UNKNOWN;
	default:
		return OKVM_MSR_GP;
	}
}

enum okvm_msr_result okvm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val, bool host)
{
	struct msr_env env = make_env(vcpu, host);
	const struct msr_row *row = msr_find(msr);
	enum okvm_msr_result result;

	*val = 0;
	result = row ? verdict_result(msr_check_read(row, &env)) : OKVM_MSR_UNKNOWN;
	if (result == OKVM_MSR_OK)
		result = read_row(vcpu, row, msr, val, host);
	if (result == OKVM_MSR_UNKNOWN && READ_ONCE(ignore_msrs)) {
		*val = 0;
		result = OKVM_MSR_OK;
	}
	return result;
}

/* ---- writing ---- */

static enum okvm_msr_result write_held(struct okvm_vcpu *vcpu, const struct msr_row *row, u32 msr,
				       u64 val)
{
	int ret = vcpu->arch->ops->set_msr(vcpu, msr, val);

	if (ret && ret != -ENOENT)
		return OKVM_MSR_GP;
	if (field_of[row->id])
		*field(vcpu, row->id) = val;
	else if (ret)
		return OKVM_MSR_UNKNOWN;
	return OKVM_MSR_OK;
}

static enum okvm_msr_result write_efer(struct okvm_vcpu *vcpu, u64 val, bool host)
{
	if (!host)
		return okvm_set_efer(vcpu, val) ? OKVM_MSR_GP : OKVM_MSR_OK;
	if (val & vcpu->vm->host->efer_reserved)
		return OKVM_MSR_GP;
	okvm_load_efer(vcpu, (val & ~EFER_LMA) | (vcpu->arch->efer & EFER_LMA));
	return OKVM_MSR_OK;
}

/*
 * Write SPEC_CTRL. The value must be legal on the host, even if userspace writes it: okvm writes
 * the value to the CPU before each VM entry, and cannot handle a #GP there. For the guest, IBRS,
 * STIBP and SSBD are legal only if its CPUID enumerates them, too (SDM "IA32_SPEC_CTRL").
 */
static enum okvm_msr_result write_spec_ctrl(struct okvm_vcpu *vcpu, const struct msr_row *row,
					    u64 val, bool host)
{
	const struct okvm_guest_feat *f = &vcpu->arch->feat;
	const struct okvm_host *offer = vcpu->vm->host;
	u64 legal = msr_spec_ctrl_legal(okvm_host_cpuid_reg(offer, 0x7, 0, 3),
					okvm_host_cpuid_reg(offer, 0x7, 2, 3),
					okvm_host_cpuid_reg(offer, 0x80000008, 0, 1));

	if (!host && !f->spec_ctrl)
		legal &= ~(u64)(SPEC_CTRL_IBRS | (f->stibp ? 0 : SPEC_CTRL_STIBP));
	if (!host && !f->ssbd)
		legal &= ~(u64)SPEC_CTRL_SSBD;
	if (val & ~legal)
		return OKVM_MSR_GP;
	return write_held(vcpu, row, MSR_IA32_SPEC_CTRL, val);
}

static enum okvm_msr_result write_misc_enable(struct okvm_vcpu *vcpu, u64 val, bool host)
{
	const u64 fixed = MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	struct okvm_arch_vcpu *arch = vcpu->arch;
	u64 old = arch->misc_enable;

	if (!host) {
		if ((old ^ val) & fixed)
			return OKVM_MSR_GP;
		val = (val & ~MSR_IA32_MISC_ENABLE_EMON) | (old & MSR_IA32_MISC_ENABLE_EMON);
	}
	if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT) &&
	    (old ^ val) & MSR_IA32_MISC_ENABLE_MWAIT) {
		if (!arch->feat.sse3)
			return OKVM_MSR_GP;
		arch->misc_enable = val;
		okvm_cpuid_runtime(vcpu);
	}
	arch->misc_enable = val;
	return OKVM_MSR_OK;
}

/*
 * Write PLATFORM_INFO or MISC_FEATURES. If PLATFORM_INFO.CPUID_FAULT is set, the guest may enable
 * CPUID faulting by bit 0 of MISC_FEATURES. While that bit is set, CPUID_FAULT cannot be cleared.
 */
static enum okvm_msr_result write_platform(struct okvm_vcpu *vcpu, enum msr_id id, u64 val)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (id == MSR_ID_PLATFORM_INFO) {
		if (!(val & MSR_PLATFORM_INFO_CPUID_FAULT) && arch->misc_features & BIT(0))
			return OKVM_MSR_GP;
		arch->platform_info = val;
		return OKVM_MSR_OK;
	}
	if (val && !(arch->platform_info & MSR_PLATFORM_INFO_CPUID_FAULT))
		return OKVM_MSR_GP;
	arch->misc_features = val;
	return OKVM_MSR_OK;
}

/*
 * Write PRED_CMD or FLUSH_CMD on this CPU. Return OKVM_MSR_GP for PRED_CMD.SBPB if the CPU lacks
 * it.
 */
static enum okvm_msr_result write_command(const struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	if (msr == MSR_IA32_PRED_CMD && val & BIT_ULL(7) &&
	    !(okvm_host_cpuid_reg(vcpu->vm->host, 0x80000021, 0, 0) & BIT(27)))
		return OKVM_MSR_GP;
	if (val)
		wrmsrl(msr, val);
	return OKVM_MSR_OK;
}

static enum okvm_msr_result write_x2apic(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	if (!okvm_lapic_in_kernel(vcpu))
		return OKVM_MSR_GP;
	/* If the guest has skipped an EOI (PV EOI), do it before this write to an APIC register. */
	okvm_apic_pv_eoi_exit(vcpu);
	return okvm_apic_msr_write(vcpu, msr, val) ? OKVM_MSR_GP : OKVM_MSR_OK;
}

/* Return the initial DE_CFG of guests. Bit 1 is set if LFENCE serializes on the host. */
static u64 host_de_cfg(void)
{
	return boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ? BIT_ULL(1) : 0;
}

/* Write an MSR that is stored in vcpu->arch. Some MSRs also need checks or have side effects. */
static enum okvm_msr_result write_field(struct okvm_vcpu *vcpu, const struct msr_row *row, u64 val,
					bool host)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	switch (row->id) {
	case MSR_ID_FEAT_CTL:
		if (!host && arch->feat_ctl & FEAT_CTL_LOCKED)
			return OKVM_MSR_GP;
		if (!host && val & FEAT_CTL_LMCE_ENABLED && !(arch->mce.cap & MCG_LMCE_P))
			return OKVM_MSR_GP;
		break;
	case MSR_ID_XSS:
		if (val & ~vcpu->vm->host->xss)
			return OKVM_MSR_GP;
		break;
	case MSR_ID_HWCR:
		/* Store only McStatusWrEn (bit 18) and TscFreqSel (bit 24), which Linux reads. */
		val &= BIT_ULL(18) | BIT_ULL(24);
		break;
	case MSR_ID_DE_CFG:
		/*
		 * The guest cannot change bit 1, which tells that LFENCE serializes. Userspace can
		 * clear it.
		 */
		if (val & ~host_de_cfg() || (!host && val != host_de_cfg()))
			return OKVM_MSR_GP;
		break;
	case MSR_ID_ARCH_CAP:
		arch->feat.tsx_ctrl = val & ARCH_CAP_TSX_CTRL_MSR;
		break;
	}
	*field(vcpu, row->id) = val;
	if (row->id == MSR_ID_XSS)
		okvm_cpuid_runtime(vcpu);
	return OKVM_MSR_OK;
}

static enum okvm_msr_result write_row(struct okvm_vcpu *vcpu, const struct msr_row *row, u32 msr,
				      u64 val, bool host)
{
	switch (row->id) {
	case MSR_ID_PAT:
		if (!msr_pat_valid(val))
			return OKVM_MSR_GP;
		return write_held(vcpu, row, msr, val);
	case MSR_ID_STAR ... MSR_ID_BACKEND:
	case MSR_ID_UMWAIT:
	case MSR_ID_TSX_CTRL:
		return write_held(vcpu, row, msr, val);
	case MSR_ID_SPEC_CTRL:
		return write_spec_ctrl(vcpu, row, val, host);
	case MSR_ID_DEBUGCTL:
		/* Ignore BTF, and LBR if the backend does not virtualize it. */
		vcpu->arch->ops->set_msr(vcpu, msr, val & DEBUGCTLMSR_LBR);
		return OKVM_MSR_OK;
	case MSR_ID_PLATFORM_INFO:
	case MSR_ID_MISC_FEATURES:
		return write_platform(vcpu, row->id, val);
	case MSR_ID_EFER:
		return write_efer(vcpu, val, host);
	case MSR_ID_APIC_BASE:
		return okvm_set_apic_base(vcpu, val, host) ? OKVM_MSR_GP : OKVM_MSR_OK;
	case MSR_ID_X2APIC:
		return write_x2apic(vcpu, msr, val);
	case MSR_ID_TSC:
		okvm_tsc_write(vcpu, val, host);
		return OKVM_MSR_OK;
	case MSR_ID_TSC_ADJUST:
		okvm_tsc_adjust_write(vcpu, val, host);
		return OKVM_MSR_OK;
	case MSR_ID_TSC_DEADLINE:
		if (okvm_lapic_in_kernel(vcpu))
			okvm_apic_set_tsc_deadline(vcpu, val);
		return OKVM_MSR_OK;
	case MSR_ID_MISC_ENABLE:
		return write_misc_enable(vcpu, val, host);
	case MSR_ID_PRED_CMD:
	case MSR_ID_FLUSH_CMD:
		return write_command(vcpu, msr, val);
	case MSR_ID_MTRR:
		return okvm_mtrr_set(vcpu, msr, val);
	case MSR_ID_MCE:
		return okvm_mce_set(vcpu, msr, val, host);
	case MSR_ID_PV:
		return okvm_pv_set_msr(vcpu, msr, val, host);
	default:
		return write_field(vcpu, row, val, host);
	}
}

enum okvm_msr_result okvm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	struct msr_env env = make_env(vcpu, host);
	const struct msr_row *row = msr_find(msr);
	enum msr_verdict verdict = row ? msr_check_write(row, &env, &val) : MSR_ABSENT;
	enum okvm_msr_result result = verdict_result(verdict);

	if (verdict == MSR_LEGAL)
		result = write_row(vcpu, row, msr, val, host);
	if (result == OKVM_MSR_UNKNOWN && READ_ONCE(ignore_msrs))
		result = OKVM_MSR_OK;
	return result;
}

/* ---- RDMSR and WRMSR of the guest ---- */

static u32 user_reason(enum okvm_msr_result result)
{
	switch (result) {
	case OKVM_MSR_UNKNOWN:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	case OKVM_MSR_FILTERED:
		return KVM_MSR_EXIT_REASON_FILTER;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

static int complete_wrmsr(struct okvm_vcpu *vcpu)
{
	if (unlikely(okvm_io_moved(vcpu)))
		return OKVM_RESUME;
	return okvm_gp_or_skip(vcpu, READ_ONCE(vcpu->run->msr.error), vcpu->arch->exit_insn_len);
}

static int complete_rdmsr(struct okvm_vcpu *vcpu)
{
	if (!READ_ONCE(vcpu->run->msr.error) && likely(!okvm_io_moved(vcpu)))
		okvm_set_edx_eax(vcpu, READ_ONCE(vcpu->run->msr.data));
	return complete_wrmsr(vcpu);
}

bool okvm_msr_ask_user(struct okvm_vcpu *vcpu, enum okvm_msr_result result, u32 msr, bool write,
		       unsigned int insn_len)
{
	u32 reason = user_reason(result);
	struct kvm_run *run = vcpu->run;

	if (!(vcpu->vm->arch->user_space_msr_mask & reason))
		return false;
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	run->msr.error = 0;
	memset(run->msr.pad, 0, sizeof(run->msr.pad));
	run->msr.reason = reason;
	run->msr.index = msr;
	run->msr.data = write ? okvm_edx_eax(vcpu) : 0;
	vcpu->arch->exit_insn_len = insn_len;
	okvm_io_begin(vcpu, write ? complete_wrmsr : complete_rdmsr);
	return true;
}

/* An access has failed: exit to userspace if the VMM has asked for that, else queue #GP. */
static int msr_failed(struct okvm_vcpu *vcpu, enum okvm_msr_result result, u32 msr, bool write,
		      unsigned int insn_len)
{
	if (okvm_msr_ask_user(vcpu, result, msr, write, insn_len))
		return OKVM_USER;
	return okvm_gp_or_skip(vcpu, true, insn_len);
}

int okvm_emulate_msr(struct okvm_vcpu *vcpu, bool write, unsigned int insn_len)
{
	u32 msr = vcpu->arch->gpr[OKVM_REG_RCX];
	enum okvm_msr_result result = OKVM_MSR_FILTERED;
	u64 val = okvm_edx_eax(vcpu);

	if (okvm_msr_allowed(vcpu, msr, write))
		result = write ? okvm_set_msr(vcpu, msr, val, false) :
				 okvm_get_msr(vcpu, msr, &val, false);
	if (result != OKVM_MSR_OK) {
		trace_kvm_msr(write, msr, write ? val : 0, true);
		return msr_failed(vcpu, result, msr, write, insn_len);
	}
	trace_kvm_msr(write, msr, val, false);
	if (!write)
		okvm_set_edx_eax(vcpu, val);
	return okvm_skip_insn(vcpu, insn_len);
}

bool okvm_rdmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	const struct okvm_arch_vcpu *arch = vcpu->arch;

	if (unlikely(rcu_access_pointer(vcpu->vm->arch->msr_filter)))
		return false;
	switch (msr) {
	case MSR_IA32_TSC:
		*val = okvm_arch_guest_tsc(vcpu, rdtsc());
		return true;
	case MSR_IA32_TSC_ADJUST:
		*val = arch->tsc_adjust;
		return true;
	case MSR_IA32_MISC_ENABLE:
		*val = arch->misc_enable;
		return true;
	case MSR_IA32_APICBASE:
		*val = okvm_get_apic_base(vcpu);
		return true;
	case MSR_EFER:
		*val = arch->efer;
		return true;
	case MSR_IA32_TSC_DEADLINE:
		if (!okvm_lapic_in_kernel(vcpu))
			return false;
		*val = okvm_apic_get_tsc_deadline(vcpu);
		return true;
	case 0x800 ... 0x8ff:
		/*
		 * If PV EOI is on, the guest may have skipped an EOI, which must be done first.
		 * That may sleep: return false.
		 */
		return okvm_lapic_in_kernel(vcpu) &&
		       !(okvm_apic_pv_eoi_msr(vcpu) & KVM_MSR_ENABLED) &&
		       !okvm_apic_msr_read(vcpu, msr, val);
	case MSR_IA32_UCODE_REV:
		*val = arch->ucode_rev;
		return true;
	case MSR_IA32_ARCH_CAPABILITIES:
		*val = arch->arch_capabilities;
		return arch->feat.arch_cap;
	default:
		return false;
	}
}

bool okvm_wrmsr_fast(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	if (unlikely(rcu_access_pointer(vcpu->vm->arch->msr_filter)) ||
	    !okvm_lapic_in_kernel(vcpu))
		return false;
	switch (msr) {
	case MSR_IA32_TSC_DEADLINE:
		okvm_apic_set_tsc_deadline(vcpu, val);
		return true;
	case MSR_IA32_TSC_ADJUST:
		okvm_tsc_adjust_write(vcpu, val, false);
		return vcpu->arch->feat.tsc_adjust;
	case 0x800 ... 0x8ff:
		return okvm_apic_msr_write_fast(vcpu, msr, val);
	default:
		return false;
	}
}

/* ---- creation and reset ---- */

#define PAT_RESET	0x0007040600070406ULL	/* SDM "Programming the PAT" */

void okvm_msr_create(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	arch->pat = PAT_RESET;
	/* If userspace has disabled the quirk, userspace sets the following MSRs itself. */
	if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_STUFF_FEATURE_MSRS))
		return;
	arch->arch_capabilities = vcpu->vm->host->arch_capabilities;
	arch->platform_info = MSR_PLATFORM_INFO_CPUID_FAULT;
	/*
	 * The microcode revision is in the upper half of the MSR for Intel, in the lower half for
	 * AMD.
	 */
	arch->ucode_rev = boot_cpu_has(X86_FEATURE_SVM) ? 0x01000065 : 0x100000000ULL;
	arch->de_cfg = host_de_cfg();
}

void okvm_msr_reset(struct okvm_vcpu *vcpu, bool init)
{
	const struct okvm_cpu_ops *ops = vcpu->arch->ops;
	struct okvm_arch_vcpu *arch = vcpu->arch;

	arch->spec_ctrl = 0;
	ops->set_msr(vcpu, MSR_IA32_SPEC_CTRL, 0);
	if (init)
		return;
	arch->misc_features = 0;
	arch->misc_enable = MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL | MSR_IA32_MISC_ENABLE_BTS_UNAVAIL;
	arch->feat_ctl = 0;
	arch->tsx_ctrl = 0;
	ops->set_msr(vcpu, MSR_IA32_TSX_CTRL, 0);
	arch->umwait = 0;
	arch->pat = PAT_RESET;
	ops->set_msr(vcpu, MSR_IA32_CR_PAT, PAT_RESET);
}

/* ---- lists ---- */

static const u32 feature_msrs[] = {
	MSR_IA32_UCODE_REV,
	MSR_IA32_ARCH_CAPABILITIES,
	MSR_IA32_PERF_CAPABILITIES,
	MSR_AMD64_DE_CFG,
};

static bool row_exists(const struct msr_row *row)
{
	return row->need == MSR_NEED_NONE || okvm_host_default()->msr_needs & BIT(row->need);
}

static bool row_listed(const struct msr_row *row)
{
	return row->flags & MSR_F_LIST && row_exists(row);
}

/* Fill @out, unless it is NULL, with KVM_GET_MSR_INDEX_LIST's list. Return: number of MSRs */
static u32 list_msrs(u32 *out)
{
	unsigned int i;
	u32 n = 0, msr;

	for (i = 0; i < msr_nr_rows; i++) {
		if (!row_listed(&msr_rows[i]))
			continue;
		for (msr = msr_rows[i].first; msr <= msr_rows[i].last; msr++, n++)
			if (out)
				out[n] = msr;
	}
	return n;
}

/* Write nmsrs even if the list does not fit: it tells userspace how large its buffer must be. */
static long copy_msr_list(struct kvm_msr_list __user *user, const u32 *list, u32 n)
{
	u32 room;

	if (get_user(room, &user->nmsrs) || put_user(n, &user->nmsrs))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	return copy_to_user(user->indices, list, n * sizeof(*list)) ? -EFAULT : 0;
}

static long ioc_get_msr_index_list(union okvm_ioctl_arg arg)
{
	u32 n = list_msrs(NULL);
	u32 *list = kcalloc(n, sizeof(*list), GFP_KERNEL_ACCOUNT);
	long ret;

	if (!list)
		return -ENOMEM;
	list_msrs(list);
	ret = copy_msr_list(arg.user, list, n);
	kfree(list);
	return ret;
}

static long ioc_get_msr_feature_index_list(union okvm_ioctl_arg arg)
{
	u32 list[ARRAY_SIZE(feature_msrs)], n = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(feature_msrs); i++)
		if (row_exists(msr_find(feature_msrs[i])))
			list[n++] = feature_msrs[i];
	return copy_msr_list(arg.user, list, n);
}

/* ---- KVM_GET_MSRS, KVM_SET_MSRS ---- */

static bool get_feature_msr(struct okvm_vcpu *vcpu, struct kvm_msr_entry *e)
{
	switch (e->index) {
	case MSR_IA32_UCODE_REV:
		if (rdmsrl_safe(MSR_IA32_UCODE_REV, &e->data))
			e->data = 0;
		return true;
	case MSR_IA32_ARCH_CAPABILITIES:
		e->data = okvm_host_default()->arch_capabilities;
		return true;
	case MSR_IA32_PERF_CAPABILITIES:
		e->data = 0;
		return true;
	case MSR_AMD64_DE_CFG:
		e->data = boot_cpu_has(X86_FEATURE_SVM) ? host_de_cfg() : 0;
		return boot_cpu_has(X86_FEATURE_SVM) || READ_ONCE(ignore_msrs);
	default:
		e->data = 0;
		return READ_ONCE(ignore_msrs);
	}
}

static bool get_one(struct okvm_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return okvm_get_msr(vcpu, e->index, &e->data, true) == OKVM_MSR_OK;
}

static bool set_one(struct okvm_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return okvm_set_msr(vcpu, e->index, e->data, true) == OKVM_MSR_OK;
}

/*
 * Access MSRs in order until an access fails. @one: function that accesses one MSR. Return: number
 * of MSRs accessed, or a negative errno
 */
static long msr_io(struct okvm_vcpu *vcpu, struct kvm_msrs __user *user,
		   bool (*one)(struct okvm_vcpu *vcpu, struct kvm_msr_entry *e), bool copy_back)
{
	struct kvm_msr_entry *entries;
	size_t size;
	u32 n, i;
	long ret;

	if (get_user(n, &user->nmsrs))
		return -EFAULT;
	if (n >= MAX_IO_MSRS)
		return -E2BIG;
	size = n * sizeof(*entries);
	entries = memdup_user(user->entries, size);
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	for (i = 0; i < n; i++)
		if (!one(vcpu, &entries[i]))
			break;
	ret = i;
	if (copy_back && copy_to_user(user->entries, entries, size))
		ret = -EFAULT;
	kfree(entries);
	return ret;
}

static long ioc_sys_get_msrs(union okvm_ioctl_arg arg)
{
	return msr_io(NULL, arg.user, get_feature_msr, true);
}

static long ioc_get_msrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return msr_io(vcpu, arg.user, get_one, true);
}

static long ioc_set_msrs(struct okvm_vcpu *vcpu, union okvm_ioctl_arg arg)
{
	return msr_io(vcpu, arg.user, set_one, false);
}

const struct okvm_ioctl okvm_msr_sys_ioctls[] = {
	{ KVM_GET_MSR_INDEX_LIST,		OKVM_IOC_RAW, { .sys = ioc_get_msr_index_list } },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST,	OKVM_IOC_RAW,
	  { .sys = ioc_get_msr_feature_index_list } },
	{ KVM_GET_MSRS,				OKVM_IOC_RAW, { .sys = ioc_sys_get_msrs } },
	{ }
};

const struct okvm_ioctl okvm_msr_vcpu_ioctls[] = {
	{ KVM_GET_MSRS,	OKVM_IOC_LOAD | OKVM_IOC_RAW | OKVM_IOC_SRCU, { .vcpu = ioc_get_msrs } },
	{ KVM_SET_MSRS,	OKVM_IOC_LOAD | OKVM_IOC_RAW | OKVM_IOC_SRCU, { .vcpu = ioc_set_msrs } },
	{ }
};
