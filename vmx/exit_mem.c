// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that are made by memory accesses: EPT violations and
 * misconfigurations (MMIO), and the APIC page.
 */
#include <asm/apicdef.h>
#include <asm/processor-flags.h>

#include "vmx/vmx.h"

#define QUAL_READ		BIT(0)
#define QUAL_WRITE		BIT(1)
#define QUAL_FETCH		BIT(2)
#define QUAL_PERMS		GENMASK(5, 3)
#define QUAL_NMI_UNBLOCKED	BIT(12)

/* SDM "Exit Qualification for APIC-Access VM Exits from Linear Accesses": bits 15:12. */
#define QUAL_APIC_WRITE		BIT(12)

/* SDM "Exit Qualification for EPT Violations". */
static u32 ept_access(unsigned long qual)
{
	u32 acc = OKVM_ACC_USER;

	if (qual & QUAL_WRITE)
		acc |= OKVM_ACC_WRITE;
	if (qual & QUAL_FETCH)
		acc |= OKVM_ACC_FETCH;
	if (qual & QUAL_PERMS)
		acc |= OKVM_ACC_PRESENT;
	return acc;
}

/* Another vCPU has resolved it meanwhile, or an accessed bit was all that was missing. */
bool vmx_fast_ept(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned long qual = vmx_qual(hw);

	if (unlikely(qual & QUAL_NMI_UNBLOCKED))
		return false;
	if (!okvm_mmu_fault_fast(vcpu, vmx_gpa(hw), ept_access(qual)))
		return false;
	/* A delivery that was cut short goes the slow way. */
	return !(vmcs_read32(IDT_VECTORING_INFO_FIELD) & VECTORING_INFO_VALID_MASK);
}

static int resolve(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc)
{
	int verdict = okvm_mmu_fault(vcpu, gpa, acc);

	switch (verdict) {
	case OKVM_FAULT_FIXED:
		return OKVM_RESUME;
	case OKVM_FAULT_MMIO:
		return vmx_emulate(vcpu, OKVM_EMUL_MMIO, gpa);
	case OKVM_FAULT_SIGNAL:
	case OKVM_FAULT_LATER:
		/* KVM_RUN looks at signals, and whether it may enter, before it enters again. */
		return OKVM_RESUME;
	default:
		return verdict;
	}
}

int vmx_exit_ept(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned long qual = vmx_qual(hw);

	vmx_nmi_unblocked(vcpu, qual & QUAL_NMI_UNBLOCKED);
	return resolve(vcpu, vmx_gpa(hw), ept_access(qual));
}

int vmx_exit_misconfig(struct okvm_vcpu *vcpu)
{
	gpa_t gpa = vmx_gpa(to_hw(vcpu));
	int outcome;

	if (okvm_mmu_mmio_cached(vcpu, gpa)) {
		if (okvm_emulate_known(vcpu, gpa, &outcome))
			return outcome;
		return vmx_emulate(vcpu, OKVM_EMUL_MMIO, gpa);
	}
	/* An entry of an older generation, or no MMIO entry at all: the fault path decides. */
	return resolve(vcpu, gpa, OKVM_ACC_USER);
}

/* CR0.WP is the guest's own; the page walker has to know it before it walks. */
int vmx_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa)
{
	vmx_sync_wp(vcpu);
	return okvm_emulate(vcpu, why, gpa);
}

/*
 * A write of EOI needs no value, so nothing has to be decoded. The manual does not promise the
 * instruction's length for this exit (SDM "Information for VM Exits Due to Instruction Execution");
 * CPUs give it, and upstream relies on it as well.
 */
static bool writes_eoi(unsigned long qual)
{
	return qual == (QUAL_APIC_WRITE | APIC_EOI);
}

bool vmx_fast_apic_access(struct okvm_vcpu *vcpu)
{
	if (!writes_eoi(vmx_qual(to_hw(vcpu))) || vmx_rflags(vcpu) & X86_EFLAGS_TF ||
	    !okvm_apic_eoi_fast(vcpu))
		return false;
	return vmx_fast_skip(vcpu);
}

bool vmx_fast_apic_write(struct okvm_vcpu *vcpu)
{
	return okvm_apic_write_fast(vcpu, vmx_qual(to_hw(vcpu)) & 0xff0);
}

/* SDM "APIC-Access VM Exits". */
int vmx_exit_apic_access(struct okvm_vcpu *vcpu)
{
	unsigned long qual = vmx_qual(to_hw(vcpu));

	if (writes_eoi(qual)) {
		okvm_apic_eoi(vcpu);
		return okvm_skip_insn(vcpu, vmx_insn_len(to_hw(vcpu)));
	}
	return vmx_emulate(vcpu, OKVM_EMUL_MMIO,
			   (okvm_apic_base(vcpu) & PAGE_MASK) + (qual & 0xfff));
}

/* Trap-like: the write is in the page already and RIP is past it. */
int vmx_exit_apic_write(struct okvm_vcpu *vcpu)
{
	okvm_apic_write_nodecode(vcpu, vmx_qual(to_hw(vcpu)) & 0xff0);
	return OKVM_RESUME;
}

int vmx_exit_eoi(struct okvm_vcpu *vcpu)
{
	okvm_apic_eoi_induced(vcpu, vmx_qual(to_hw(vcpu)) & 0xff);
	return OKVM_RESUME;
}

/* The guest lowered its TPR below what a pending interrupt needs. */
int vmx_exit_tpr(struct okvm_vcpu *vcpu)
{
	vmx_tpr_threshold_set(to_hw(vcpu), 0);
	okvm_window_opened(vcpu);
	return OKVM_RESUME;
}
