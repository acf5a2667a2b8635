// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM exits due to exceptions, NMIs, machine checks and task switches. okvm emulates task switches,
 * because the CPU does not execute them in a guest.
 */
#include <linux/sched.h>

#include <asm/cpu.h>
#include <asm/debugreg.h>
#include <asm/mce.h>
#include <asm/trapnr.h>

#include "vmx/qual.h"
#include "vmx/vmx.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"

#define INFO_TYPE_VECTOR	(INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK | \
				 INTR_INFO_VALID_MASK)
#define INFO_NMI		(INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK)

static bool is_machine_check(u32 info)
{
	return (info & INFO_TYPE_VECTOR) ==
	       (INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION | X86_TRAP_MC);
}

static bool is_host_nmi(u32 info)
{
	return (info & (INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VALID_MASK)) == INFO_NMI;
}

/*
 * Call the host's handlers of NMIs and machine checks, with IRQs off, right after the VM exit. A VM
 * exit due to an NMI leaves NMIs blocked. Call the NMI handler by INT 2: the IDT gives the handler
 * its own stack, and its IRET unblocks NMIs. (okvm refuses hosts that use FRED instead of an IDT.)
 */
void vmx_host_nmi_mce(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 reason = hw->exit_reason & 0xffff;

	if (unlikely(reason == EXIT_REASON_MCE_DURING_VMENTRY)) {
		okvm_host_machine_check();
		return;
	}
	if (likely(hw->exit_reason != EXIT_REASON_EXCEPTION_NMI))
		return;
	if (is_host_nmi(vmx_intr_info(hw)))
		asm volatile("int $2" : : : "memory");
	else if (is_machine_check(hw->intr_info))
		okvm_host_machine_check();
}

/*
 * Return true if the guest's own state (CPL 3, CR0.AM, EFLAGS.AC) explains the #AC. Otherwise the
 * host's split-lock detection has raised it.
 */
static bool ac_is_the_guests(struct okvm_vcpu *vcpu)
{
	if (!boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT))
		return true;
	return vmx_get_cpl(vcpu) == 3 && okvm_cr0(vcpu) & X86_CR0_AM &&
	       okvm_rflags(vcpu) & X86_EFLAGS_AC;
}

static int exit_ac(struct okvm_vcpu *vcpu, u32 error)
{
	if (ac_is_the_guests(vcpu)) {
		okvm_queue_exception_err(vcpu, X86_TRAP_AC, error);
		return OKVM_RESUME;
	}
	/*
	 * handle_guest_split_lock() warns and disables split-lock detection for this thread. With
	 * split_lock_detect=fatal it returns false instead.
	 */
	if (handle_guest_split_lock(okvm_rip(vcpu)))
		return OKVM_RESUME;
	vcpu->run->exit_reason = KVM_EXIT_EXCEPTION;
	vcpu->run->ex.exception = X86_TRAP_AC;
	vcpu->run->ex.error_code = error;
	return OKVM_USER;
}

/*
 * Set the bit of a pending single-step trap if RFLAGS.TF is 1 and STI or MOV SS blocks interrupts:
 * VM entry requires the bit in this case (SDM "Checks on Guest Non-Register State"). VM entry does
 * not require it while DEBUGCTL.BTF is 1, but BTF is 0 in every guest of okvm.
 */
static void keep_single_step_legal(struct okvm_vcpu *vcpu)
{
	u32 shadow = vmx_shadow(to_hw(vcpu)) & VMX_IRQ_SHADOW;
	unsigned long pending;

	if (!shadow || !(okvm_rflags(vcpu) & X86_EFLAGS_TF))
		return;
	pending = vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, pending | DR_STEP);
}

static int exit_db(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned long qual = vmx_qual(hw);

	if (vcpu->arch->guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))
		return okvm_debug_exit(vcpu, X86_TRAP_DB, (qual & QUAL_DEBUG_SET) |
				       vcpu->arch->feat.dr6_fixed1);
	/*
	 * The exit leaves RIP at INT1, although the #DB of INT1 is a trap: skip INT1. This must not
	 * raise a single-step trap if RFLAGS.TF is 1, because the #DB of INT1 replaces that trap.
	 */
	if ((hw->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
		vmx_skip_insn_fast(vcpu);
	else
		keep_single_step_legal(vcpu);
	okvm_queue_db(vcpu, qual & (QUAL_DEBUG_SET | QUAL_DEBUG_CLEARED));
	return OKVM_RESUME;
}

static int exit_bp(struct okvm_vcpu *vcpu)
{
	okvm_note_bp(vcpu, okvm_rip(vcpu), vmx_insn_len(to_hw(vcpu)));
	return okvm_debug_exit(vcpu, X86_TRAP_BP, 0);
}

static int exit_unknown_exception(struct okvm_vcpu *vcpu, u8 vector, u32 error)
{
	vcpu->run->exit_reason = KVM_EXIT_EXCEPTION;
	vcpu->run->ex.exception = vector;
	vcpu->run->ex.error_code = error;
	return OKVM_USER;
}

static u32 exception_error(u32 info)
{
	return info & INTR_INFO_DELIVER_CODE_MASK ? vmcs_read32(VM_EXIT_INTR_ERROR_CODE) : 0;
}

int vmx_exit_exception(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 info = vmx_intr_info(hw);
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	/* vmx_host_nmi_mce() has already called the host's handler. */
	if (is_host_nmi(info) || is_machine_check(info))
		return OKVM_RESUME;
	vmx_nmi_unblocked(vcpu, info & INTR_INFO_UNBLOCK_NMI && vector != X86_TRAP_DF);
	switch (vector) {
	case X86_TRAP_PF:
		return vmx_exit_page_fault(vcpu, exception_error(info));
	case X86_TRAP_UD:
		return vmx_emulate(vcpu, OKVM_EMUL_UD, 0);
	case X86_TRAP_DB:
		return exit_db(vcpu);
	case X86_TRAP_BP:
		return exit_bp(vcpu);
	case X86_TRAP_AC:
		return exit_ac(vcpu, exception_error(info));
	default:
		return exit_unknown_exception(vcpu, vector, exception_error(info));
	}
}

/* ---- task switches ---- */

int vmx_exit_task_switch(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union qual_task q = { vmx_qual(hw) };
	bool by_event = hw->idt_info & VECTORING_INFO_VALID_MASK;
	u32 type = hw->idt_info & VECTORING_INFO_TYPE_MASK, error = 0;
	bool external = by_event && (type == INTR_TYPE_HARD_EXCEPTION ||
				     type == INTR_TYPE_EXT_INTR || type == INTR_TYPE_NMI_INTR);
	bool has_error = external && hw->idt_info & VECTORING_INFO_DELIVER_CODE_MASK;

	vmx_sync_wp(vcpu);
	if (has_error)
		error = vmcs_read32(IDT_VECTORING_ERROR_CODE);
	/*
	 * The old task continues at RIP plus the length. If a hardware event has caused the task
	 * switch, pass the length 0.
	 */
	return okvm_task_switch(vcpu, q.selector, q.source, external ? 0 : vmx_insn_len(hw),
				has_error ? &error : NULL);
}
