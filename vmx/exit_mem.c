// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits caused by memory accesses: EPT violations, EPT misconfigurations (MMIO), page faults
 * under shadow paging, and accesses to the APIC-access page.
 */
#include <asm/apicdef.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>

#include "core/guestmem.h"
#include "core/trace_kvm.h"
#include "vmx/qual.h"
#include "vmx/vmx.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/exits.h"
#include "x86/host_apf.h"

/* Convert the qualification of an EPT violation to enum okvm_access. */
static u32 ept_access(union qual_ept q)
{
	u32 acc = OKVM_ACC_USER;

	if (q.write)
		acc |= OKVM_ACC_WRITE;
	if (q.fetch)
		acc |= OKVM_ACC_FETCH;
	if (q.permissions)
		acc |= OKVM_ACC_PRESENT;
	if (!q.translated)
		acc |= OKVM_ACC_TABLE;
	return acc;
}

/*
 * Return @gpa if the instruction at RIP has accessed a memory operand there. Return
 * OKVM_INVALID_GPA if the exit is due to an instruction fetch or a page walk.
 */
static gpa_t operand_gpa(union qual_ept q, gpa_t gpa)
{
	return q.linear && q.translated && !q.fetch ? gpa : OKVM_INVALID_GPA;
}

/*
 * Report to userspace that the CPU cannot deliver an event because a descriptor table or a stack is
 * in MMIO. The data are the same as upstream's.
 */
int vmx_delivery_failed(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 data[5] = { hw->idt_info, hw->exit_reason, vmx_qual(hw) };
	u32 ndata = 3;

	if ((u16)hw->exit_reason == EXIT_REASON_EPT_MISCONFIG ||
	    (u16)hw->exit_reason == EXIT_REASON_EPT_VIOLATION)
		data[ndata++] = vmx_gpa(hw);
	data[ndata++] = hw->entry_cpu;
	return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, ndata, data);
}

/*
 * Let the emulator deliver an event. The CPU could not deliver it, because EPT does not allow an
 * access to @gpa. If @gpa is in read-only memory (a page table, a descriptor table, a stack), the
 * emulator can deliver the event: it sets no accessed bits, and passes pushed data to userspace. If
 * no memory is at @gpa, report to userspace that the delivery failed.
 */
static int deliver_by_emulator(struct okvm_vcpu *vcpu, gpa_t gpa)
{
	if (!okvm_guest_has(vcpu->vm, gpa, false))
		return vmx_delivery_failed(vcpu);
	vmx_sync_wp(vcpu);
	return okvm_emul_deliver(vcpu);
}

/*
 * Return true if the EPT violation is resolved: another vCPU has already resolved it, or the EPT
 * leaf entry only lacked rights that aging or dirty logging had removed. In the second case
 * okvm_mmu_fault_fast() gives these rights back.
 */
bool vmx_fast_ept(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union qual_ept q = { vmx_qual(hw) };

	if (unlikely(q.nmi_unblocked))
		return false;
	if (!okvm_mmu_fault_fast(vcpu, vmx_gpa(hw), ept_access(q)))
		return false;
	/*
	 * If the exit has interrupted the delivery of an event, the slow handler has to inject the
	 * event again.
	 */
	return !(vmcs_read32(IDT_VECTORING_INFO_FIELD) & VECTORING_INFO_VALID_MASK);
}

/*
 * Resolve a fault at @gpa, or emulate the instruction if it accesses MMIO. @operand is @gpa if the
 * access to a memory operand has faulted, otherwise OKVM_INVALID_GPA. Return: enum okvm_outcome
 */
static int ept_resolve_fault(struct okvm_vcpu *vcpu, gpa_t gpa, u32 acc, gpa_t operand)
{
	int verdict = okvm_mmu_fault(vcpu, gpa, acc);

	switch (verdict) {
	case OKVM_FAULT_FIXED:
		return OKVM_RESUME;
	case OKVM_FAULT_MMIO:
		if (unlikely(to_hw(vcpu)->idt_info & VECTORING_INFO_VALID_MASK))
			return deliver_by_emulator(vcpu, gpa);
		return vmx_emulate(vcpu, OKVM_EMUL_MMIO, operand);
	case OKVM_FAULT_SIGNAL:
	case OKVM_FAULT_LATER:
		/*
		 * Leave the rest to KVM_RUN: before the next VM entry it checks for signals, and
		 * whether the vCPU may run.
		 */
		return OKVM_RESUME;
	default:
		return verdict;
	}
}

/*
 * Return exit qualification @q as an error code of a #PF. Bit 32: the final access has faulted; bit
 * 33: an access of the page walk has faulted.
 */
static u64 ept_error_code(union qual_ept q)
{
	return (q.permissions ? X86_PF_PROT : 0) | (q.write ? X86_PF_WRITE : 0) |
	       (q.fetch ? X86_PF_INSTR : 0) | (q.raw & 1 ? X86_PF_USER : 0) |
	       (q.translated ? BIT_ULL(32) : BIT_ULL(33));
}

int vmx_exit_ept(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union qual_ept q = { vmx_qual(hw) };
	gpa_t gpa = vmx_gpa(hw);

	vmx_nmi_unblocked(vcpu, q.nmi_unblocked);
	if (trace_kvm_page_fault_enabled())
		trace_kvm_page_fault(vcpu->id, okvm_rip(vcpu), gpa, ept_error_code(q));
	return ept_resolve_fault(vcpu, gpa, ept_access(q), operand_gpa(q, gpa));
}

int vmx_exit_misconfig(struct okvm_vcpu *vcpu)
{
	gpa_t gpa = vmx_gpa(to_hw(vcpu));
	int outcome;

	if (okvm_mmu_mmio_cached(vcpu, gpa)) {
		if (okvm_emulate_known(vcpu, gpa, true, &outcome))
			return outcome;
		return vmx_emulate(vcpu, OKVM_EMUL_MMIO, gpa);
	}
	/*
	 * The MMIO entry is stale, because the memory slots have changed: handle the exit as a
	 * fault.
	 */
	return ept_resolve_fault(vcpu, gpa, OKVM_ACC_USER, gpa);
}

/* ---- page faults: shadow paging ---- */

/*
 * Describe the page fault of this exit. At CPL 3, a supervisor access is the CPU's implicit access
 * to a descriptor table or a TSS.
 */
static struct okvm_page_fault page_fault_of(struct okvm_vcpu *vcpu, u32 error)
{
	struct okvm_page_fault pf = {
		.gva = vmx_qual(to_hw(vcpu)), .acc = error, .gpa = OKVM_INVALID_GPA,
	};

	if (!(error & OKVM_ACC_USER) && vmx_get_cpl(vcpu) == 3)
		pf.acc |= OKVM_ACC_IMPLICIT;
	return pf;
}

static bool is_page_fault(u32 info)
{
	return (info & (INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK)) ==
	       (INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION | X86_TRAP_PF);
}

void vmx_take_host_apf(struct okvm_hw_vcpu *hw)
{
	hw->host_apf = is_page_fault(vmx_intr_info(hw)) ? host_apf_take() : 0;
}

bool vmx_fast_page_fault(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const u32 info = vmx_intr_info(hw);
	struct okvm_page_fault pf;
	unsigned long cr2;
	int verdict;

	/* With PREEMPT_RT, rwlocks such as mmu->lock sleep, which is forbidden with IRQs off. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return false;
	if (!is_page_fault(info))
		return false;
	if (hw->host_apf || info & INTR_INFO_UNBLOCK_NMI ||
	    vmcs_read32(IDT_VECTORING_INFO_FIELD) & VECTORING_INFO_VALID_MASK)
		return false;
	pf = page_fault_of(vcpu, vmcs_read32(VM_EXIT_INTR_ERROR_CODE));
	/*
	 * CR2 contains the guest's value. okvm_mmu_page_fault_fast() reads user memory, which may
	 * cause a #PF of the host: that overwrites CR2, so restore it.
	 */
	cr2 = native_read_cr2();
	verdict = okvm_mmu_page_fault_fast(vcpu, &pf);
	if (unlikely(native_read_cr2() != cr2))
		native_write_cr2(cr2);
	if (verdict == OKVM_FAULT_GUEST) {
		okvm_queue_pf(vcpu, pf.gva, pf.guest.error_code);
		/*
		 * Load CR2 here, because stay_enter(), which usually loads it, is not called
		 * between a fast exit and the next VM entry.
		 */
		native_write_cr2(vcpu->arch->cr2);
	}
	return verdict == OKVM_FAULT_FIXED || verdict == OKVM_FAULT_GUEST;
}

int vmx_exit_page_fault(struct okvm_vcpu *vcpu, u32 error)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_page_fault pf = page_fault_of(vcpu, error);

	if (unlikely(hw->host_apf)) {
		host_apf_wait(&hw->host_apf, vmx_qual(hw));
		return OKVM_RESUME;
	}
	return okvm_exit_page_fault(vcpu, &pf, hw->idt_info & VECTORING_INFO_VALID_MASK ?
				    deliver_by_emulator : NULL);
}

/*
 * Call okvm_emulate(). The emulator walks the guest's tables. First update the walker's copy of
 * CR0.WP, because the guest may change CR0.WP without an exit.
 */
int vmx_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa)
{
	vmx_sync_wp(vcpu);
	return okvm_emulate(vcpu, why, gpa);
}

/*
 * Return true for a write to EOI. The written value does not matter, so vmx_fast_apic_access() need
 * not decode the instruction. It skips the instruction by the length in the VMCS. The SDM does not
 * define this length for an APIC access ("Information for VM Exits Due to Instruction Execution"),
 * but CPUs report it, and upstream relies on it, too.
 */
static bool writes_eoi(union qual_apic q)
{
	return q.type == QUAL_APIC_WRITE && q.offset == APIC_EOI;
}

bool vmx_fast_apic_access(struct okvm_vcpu *vcpu)
{
	const union qual_apic q = { vmx_qual(to_hw(vcpu)) };

	if (!writes_eoi(q) || unlikely(vmx_rflags(vcpu) & X86_EFLAGS_TF) ||
	    !okvm_apic_eoi_fast(vcpu))
		return false;
	vmx_skip_insn_fast(vcpu);
	/*
	 * An APIC access saves RF as 1, as a fault does. Clear it, or the guest would miss a
	 * breakpoint at its next instruction.
	 */
	if (vmx_rflags(vcpu) & X86_EFLAGS_RF)
		okvm_rflags_set(vcpu, vmx_rflags(vcpu) & ~X86_EFLAGS_RF);
	return true;
}

bool vmx_fast_apic_write(struct okvm_vcpu *vcpu)
{
	return okvm_apic_write_fast(vcpu, qual_apic_write(vmx_qual(to_hw(vcpu))));
}

/* Handle an access to the APIC-access page (SDM "APIC-Access VM Exits"). */
int vmx_exit_apic_access(struct okvm_vcpu *vcpu)
{
	const union qual_apic q = { vmx_qual(to_hw(vcpu)) };
	gpa_t gpa = (okvm_apic_base(vcpu) & PAGE_MASK) + q.offset;

	if (to_hw(vcpu)->idt_info & VECTORING_INFO_VALID_MASK)
		return vmx_delivery_failed(vcpu);
	if (writes_eoi(q)) {
		/* Before this EOI, do another that the guest has skipped (PV EOI). */
		okvm_apic_pv_eoi_exit(vcpu);
		okvm_apic_eoi(vcpu);
		return vmx_skip_insn(vcpu);
	}
	if (q.type != QUAL_APIC_READ && q.type != QUAL_APIC_WRITE)
		gpa = OKVM_INVALID_GPA;
	return vmx_emulate(vcpu, OKVM_EMUL_MMIO, gpa);
}

/*
 * Apply the effects of a write to an APIC register. The CPU has already stored the value in the
 * virtual-APIC page, and RIP is past the instruction (the exit is trap-like).
 */
int vmx_exit_apic_write(struct okvm_vcpu *vcpu)
{
	okvm_apic_pv_eoi_exit(vcpu);
	okvm_apic_write_nodecode(vcpu, qual_apic_write(vmx_qual(to_hw(vcpu))));
	return OKVM_RESUME;
}

int vmx_exit_eoi(struct okvm_vcpu *vcpu)
{
	okvm_apic_eoi_induced(vcpu, qual_eoi(vmx_qual(to_hw(vcpu))));
	return OKVM_RESUME;
}
