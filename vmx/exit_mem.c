// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that are made by memory accesses: EPT violations and
 * misconfigurations (MMIO), and the APIC page.
 */
#include <asm/apicdef.h>
#include <asm/processor-flags.h>

#include "core/guestmem.h"
#include "vmx/vmx.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"

#define QUAL_READ		BIT(0)
#define QUAL_WRITE		BIT(1)
#define QUAL_FETCH		BIT(2)
#define QUAL_PERMS		GENMASK(5, 3)
#define QUAL_LINEAR		BIT(7)	/* a linear address was being accessed */
#define QUAL_FINAL		BIT(8)	/* ... and its translation was found: it is no page walk */
#define QUAL_NMI_UNBLOCKED	BIT(12)

/* SDM "Exit Qualification for APIC-Access VM Exits from Linear Accesses": bits 15:12. */
#define QUAL_APIC_READ		0
#define QUAL_APIC_WRITE		BIT(12)
#define QUAL_APIC_TYPE		GENMASK(15, 12)

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
	if (!(qual & QUAL_FINAL))
		acc |= OKVM_ACC_TABLE;
	return acc;
}

/* The faulting address if it is of data of the instruction at RIP, else OKVM_INVALID_GPA. */
static gpa_t operand_gpa(unsigned long qual, gpa_t gpa)
{
	const unsigned long data = QUAL_LINEAR | QUAL_FINAL;

	return (qual & (data | QUAL_FETCH)) == data ? gpa : OKVM_INVALID_GPA;
}

/*
 * The delivery of an event has met what EPT does not map, and the instruction at RIP has no part in
 * it. Page tables, descriptor tables and stacks in read-only memory serve a delivery by software,
 * which needs no accessed bits and gives userspace what is pushed. In no memory nothing helps.
 */
static int deliver_anew(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	if (!okvm_guest_has(vcpu->vm, gpa, false))
		return vmx_delivery_failed(vcpu);
	vmx_sync_wp(vcpu);
	return okvm_emul_deliver(vcpu);
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

/* @operand: @gpa, or OKVM_INVALID_GPA if that is not the instruction's own */
static int resolve(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc, gpa_t operand)
{
	int verdict = okvm_mmu_fault(vcpu, gpa, acc);

	switch (verdict) {
	case OKVM_FAULT_FIXED:
		return OKVM_RESUME;
	case OKVM_FAULT_MMIO:
		if (unlikely(to_hw(vcpu)->idt_info & VECTORING_INFO_VALID_MASK))
			return deliver_anew(vcpu, gpa);
		return vmx_emulate(vcpu, OKVM_EMUL_MMIO, operand);
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
	gpa_t gpa = vmx_gpa(hw);

	vmx_nmi_unblocked(vcpu, qual & QUAL_NMI_UNBLOCKED);
	return resolve(vcpu, gpa, ept_access(qual), operand_gpa(qual, gpa));
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
	return resolve(vcpu, gpa, OKVM_ACC_USER, gpa);
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
	unsigned long type = qual & QUAL_APIC_TYPE;
	gpa_t gpa = (okvm_apic_base(vcpu) & PAGE_MASK) + (qual & 0xfff);

	if (to_hw(vcpu)->idt_info & VECTORING_INFO_VALID_MASK)
		return vmx_delivery_failed(vcpu);
	if (writes_eoi(qual)) {
		okvm_apic_eoi(vcpu);
		return okvm_skip_insn(vcpu, vmx_insn_len(to_hw(vcpu)));
	}
	if (type != QUAL_APIC_READ && type != QUAL_APIC_WRITE)
		gpa = OKVM_INVALID_GPA;
	return vmx_emulate(vcpu, OKVM_EMUL_MMIO, gpa);
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
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return OKVM_RESUME;
}
