// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs whose guest values are in hardware, nearly all of them in the VMCB, and the MSR permission
 * map.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/msr.h>
#include <asm/nospec-branch.h>

#include "core/compat.h"
#include "svm/svm.h"
#include "x86/msr/msr_filter.h"

/* Return the VMCB field of @msr, or NULL if there is none. */
static u64 *msr_field(struct okvm_hw_vcpu *hw, u32 msr)
{
	struct vmcb_save_area *save = &hw->vmcb->save;

	switch (msr) {
	case MSR_STAR: return &save->star;
	case MSR_LSTAR: return &save->lstar;
	case MSR_CSTAR: return &save->cstar;
	case MSR_SYSCALL_MASK: return &save->sfmask;
	case MSR_FS_BASE: return &save->fs.base;
	case MSR_GS_BASE: return &save->gs.base;
	case MSR_KERNEL_GS_BASE: return &save->kernel_gs_base;
	case MSR_IA32_SYSENTER_CS: return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP: return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP: return &save->sysenter_eip;
	case MSR_IA32_CR_PAT: return &save->g_pat;
	default: return NULL;
	}
}

/*
 * Return the VMCB field of @msr if this is DEBUGCTL or a last-branch MSR, and the CPU has LBR
 * virtualization. Otherwise return NULL.
 */
static u64 *lbr_field(struct okvm_hw_vcpu *hw, u32 msr)
{
	struct vmcb_save_area *save = &hw->vmcb->save;

	if (!svm_has(&svm_caps, SVM_FEAT_LBRV))
		return NULL;
	switch (msr) {
	case MSR_IA32_DEBUGCTLMSR: return &save->dbgctl;
	case MSR_IA32_LASTBRANCHFROMIP: return &save->br_from;
	case MSR_IA32_LASTBRANCHTOIP: return &save->br_to;
	case MSR_IA32_LASTINTFROMIP: return &save->last_excp_from;
	case MSR_IA32_LASTINTTOIP: return &save->last_excp_to;
	default: return NULL;
	}
}

static u64 spec_ctrl_get(const struct okvm_hw_vcpu *hw)
{
	return svm_has(&svm_caps, SVM_FEAT_SPEC_CTRL) ? hw->vmcb->save.spec_ctrl : hw->spec_ctrl;
}

int svm_get_msr(struct okvm_vcpu *vcpu, u32 msr, u64 *val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const u64 *field = msr_field(hw, msr) ?: lbr_field(hw, msr);

	if (field)
		*val = *field;
	else if (msr == MSR_TSC_AUX)
		*val = hw->tsc_aux;
	else if (msr == MSR_IA32_SPEC_CTRL)
		*val = spec_ctrl_get(hw);
	else
		return -ENOENT;
	return 0;
}

static void spec_ctrl_set(struct okvm_vcpu *vcpu, u64 val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vcpu->arch->spec_ctrl = val;
	hw->spec_ctrl = val;
	if (svm_has(&svm_caps, SVM_FEAT_SPEC_CTRL))
		hw->vmcb->save.spec_ctrl = val;
	if (!val || hw->spec_ctrl_direct)
		return;
	/* A guest that writes SPEC_CTRL once will probably write it often: stop intercepting it. */
	hw->spec_ctrl_direct = true;
	svm_msrpm_update(vcpu);
}

/*
 * Write @val to @field, one of those that lbr_field() returns, and switch LBR virtualization on or
 * off. With LBR virtualization, VMRUN and #VMEXIT switch DEBUGCTL and the last-branch MSRs, which
 * takes time. So the virtualization is on only while the guest's DEBUGCTL.LBR is set. While
 * DEBUGCTL.LBR is clear, the CPU has the host's values: the guest's accesses exit, and okvm reads
 * and writes the VMCB.
 */
static void lbr_set(struct okvm_vcpu *vcpu, u64 *field, u64 val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 ctl;

	*field = val;
	svm_dirty(hw, SVM_CLEAN_LBR);
	ctl = hw->vmcb->save.dbgctl & DEBUGCTLMSR_LBR ? SVM_LBR_ENABLE : 0;
	if (okvm_vmcb_lbr_ctl(&hw->vmcb->control) == ctl)
		return;
	okvm_vmcb_lbr_ctl(&hw->vmcb->control) = ctl;
	svm_msrpm_update(vcpu);
}

static void tsc_aux_set(struct okvm_hw_vcpu *hw, u64 val)
{
	/*
	 * Disable preemption between the two writes. Preemption may call svm_vcpu_put(), which
	 * restores the host's TSC_AUX only if tsc_aux differs from it.
	 */
	preempt_disable();
	hw->tsc_aux = val;
	if (hw->host_loaded)
		wrmsrl(MSR_TSC_AUX, val);
	preempt_enable();
}

/*
 * Return the bits of @val that VMLOAD and VMSAVE keep for @msr. For SYSENTER_ESP and SYSENTER_EIP
 * these are the low 32 bits, because AMD has no SYSENTER in long mode. For other MSRs they are all
 * bits.
 */
static u64 width_kept(u32 msr, u64 val)
{
	if (msr == MSR_IA32_SYSENTER_ESP || msr == MSR_IA32_SYSENTER_EIP)
		return lower_32_bits(val);
	return val;
}

int svm_set_msr(struct okvm_vcpu *vcpu, u32 msr, u64 val)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 *field = msr_field(hw, msr);

	if (field) {
		*field = width_kept(msr, val);
		if (msr == MSR_IA32_CR_PAT) {
			vcpu->arch->pat = val;
			svm_dirty(hw, SVM_CLEAN_NPT);
		}
	} else if (lbr_field(hw, msr)) {
		lbr_set(vcpu, lbr_field(hw, msr), val);
	} else if (msr == MSR_TSC_AUX) {
		tsc_aux_set(hw, val);
	} else if (msr == MSR_IA32_SPEC_CTRL) {
		spec_ctrl_set(vcpu, val);
	} else {
		return -ENOENT;
	}
	return 0;
}

/* ---- the MSR permission map: two bits per MSR, for reads and writes; 1: the access exits ---- */

static const u32 map_first[] = { 0, 0xc0000000, 0xc0010000 };

static void pass(struct okvm_vcpu *vcpu, u32 msr, bool read, bool write)
{
	unsigned long *map = to_hw(vcpu)->msrpm;
	unsigned int i, bit;

	for (i = 0; i < ARRAY_SIZE(map_first); i++)
		if (msr - map_first[i] < 0x2000)
			break;
	if (i == ARRAY_SIZE(map_first))
		return;
	bit = i * 0x4000 + (msr - map_first[i]) * 2;
	if (read && okvm_msr_allowed(vcpu, msr, false))
		__clear_bit(bit, map);
	if (write && okvm_msr_allowed(vcpu, msr, true))
		__clear_bit(bit + 1, map);
}

static const u32 passed_through[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

void svm_msrpm_update(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned int i;

	memset(hw->msrpm, 0xff, 2 * PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(passed_through); i++)
		pass(vcpu, passed_through[i], true, true);
	for (i = MSR_IA32_LASTBRANCHFROMIP; i <= MSR_IA32_LASTINTTOIP; i++)
		if (okvm_vmcb_lbr_ctl(&hw->vmcb->control))
			pass(vcpu, i, true, true);
	if (boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) && hw->spec_ctrl_direct)
		pass(vcpu, MSR_IA32_SPEC_CTRL, true, true);
	if (boot_cpu_has(X86_FEATURE_IBPB) && vcpu->arch->feat.ibpb)
		pass(vcpu, MSR_IA32_PRED_CMD, false, true);
	svm_dirty(hw, SVM_CLEAN_MAPS);
}
