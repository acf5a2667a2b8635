// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatch of VM exits: first to the fast handlers, with IRQs off, then by a table with a row
 * for every basic exit reason (SDM "VMX Basic Exit Reasons").
 */
#include <linux/kvm.h>
#include <linux/nospec.h>

#include <asm/irq_vectors.h>
#include <asm/trapnr.h>

#include "vmx/qual.h"
#include "vmx/vmx.h"
#include "x86/cpu/event.h"
#include "x86/cpu/user_exit.h"
#include "x86/fast.h"

/* Exit reasons that have no name in the kernel's headers. */
enum {
	EXIT_IO_SMI = 5, EXIT_OTHER_SMI = 6, EXIT_GETSEC = 11, EXIT_RSM = 17,
	EXIT_SPP = 66, EXIT_LOADIWKEY = 69, EXIT_ENCLV = 70,
	EXIT_ENQCMD = 72, EXIT_ENQCMDS = 73, EXIT_SEAMCALL = 76, EXIT_TDCALL = 77,
};

/* ---- fast handlers, called with IRQs off. Return: true to enter the guest again ---- */

static const struct okvm_fast_ops vmx_fast_ops = {
	.traps = vmx_single_steps,
	.skip = vmx_skip_insn_fast,
};

static bool fast_io(struct okvm_vcpu *vcpu)
{
	const union qual_io q = { vmx_qual(to_hw(vcpu)) };

	return !q.string && fast_pio(vcpu, &vmx_fast_ops, q.port, qual_io_size(q), q.in);
}

static bool fast_cr(struct okvm_vcpu *vcpu)
{
	const union qual_cr q = { vmx_qual(to_hw(vcpu)) };

	if (!vmx_is_shadow(vcpu) || (q.type != QUAL_CR_TO && q.type != QUAL_CR_FROM))
		return false;
	return fast_mov_cr(vcpu, &vmx_fast_ops, q.cr, q.reg, q.type == QUAL_CR_TO);
}

static bool fast_timer(struct okvm_vcpu *vcpu)
{
	if (to_hw(vcpu)->timer_tsc <= rdtsc()) {
		okvm_apic_hv_timer_expired(vcpu);
		return true;
	}
	/*
	 * The timer has expired, but the deadline is not reached. Without the parameter
	 * guest_time_bound, the remaining time did not fit in the timer's 32 bits: enter the guest
	 * again. With the parameter, the guest may have used up its time: leave the loop of fast
	 * exits, so that the host can take interrupts.
	 */
	return !vmx_params.time_bound;
}

static bool fast_irq_window(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vmcs_exec_set(&hw->vmcs, hw->vmcs.exec & ~CPU_BASED_INTR_WINDOW_EXITING);
	vcpu->stat[OKVM_STAT_IRQ_WINDOW]++;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	/*
	 * Leave the loop of fast exits if userspace has requested an interrupt window: KVM_RUN may
	 * have to return now.
	 */
	return !READ_ONCE(vcpu->run->request_interrupt_window);
}

static bool fast_nmi_window(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vmcs_exec_set(&hw->vmcs, hw->vmcs.exec & ~CPU_BASED_NMI_WINDOW_EXITING);
	vcpu->stat[OKVM_STAT_NMI_WINDOW]++;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return true;
}

/*
 * Complete an external interrupt that is a kick by another thread. The kick was sent to cause this
 * exit, and the kick's reason is in vcpu->requests. The vector's handler,
 * sysvec_kvm_posted_intr_ipi(), would only send the EOI and count the IPI: send the EOI here, and
 * do not call the handler. Return: false if the interrupt is not a kick
 */
static bool fast_kick(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 info = vmx_intr_info(hw);

	if ((info & (INTR_INFO_VALID_MASK | INTR_INFO_VECTOR_MASK)) !=
	    (INTR_INFO_VALID_MASK | POSTED_INTR_VECTOR))
		return false;
	hw->intr_info = 0;
	okvm_complete_vector();
	/*
	 * The sender of the kick has changed vcpu->mode. Set it back, so that the next requester
	 * sends a kick again. Pairs with smp_mb() in request.c.
	 */
	smp_store_mb(vcpu->mode, OKVM_IN_GUEST);
	return true;
}

/* The guest has lowered its TPR: look for an interrupt that is deliverable now. */
static bool fast_tpr(struct okvm_vcpu *vcpu)
{
	vmcs_tpr_threshold_set(&to_hw(vcpu)->vmcs, 0);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return true;
}

/*
 * Call the exit's fast handler. The comparisons of this switch statement cost less than an indirect
 * call, which may be a retpoline.
 */
bool vmx_exit_fast(struct okvm_vcpu *vcpu)
{
	switch (to_hw(vcpu)->exit_reason) {
	case EXIT_REASON_CPUID:
		return fast_cpuid(vcpu, &vmx_fast_ops);
	case EXIT_REASON_IO_INSTRUCTION:
		return fast_io(vcpu);
	case EXIT_REASON_MSR_WRITE:
		return fast_wrmsr(vcpu, &vmx_fast_ops);
	case EXIT_REASON_MSR_READ:
		return fast_rdmsr(vcpu, &vmx_fast_ops);
	case EXIT_REASON_PREEMPTION_TIMER:
		return fast_timer(vcpu);
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		return fast_kick(vcpu);
	case EXIT_REASON_INTERRUPT_WINDOW:
		return fast_irq_window(vcpu);
	case EXIT_REASON_NMI_WINDOW:
		return fast_nmi_window(vcpu);
	case EXIT_REASON_EPT_VIOLATION:
		return vmx_fast_ept(vcpu);
	case EXIT_REASON_VMCALL:
		return fast_hypercall(vcpu, &vmx_fast_ops);
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
		return fast_tpr(vcpu);
	case EXIT_REASON_APIC_WRITE:
		return vmx_fast_apic_write(vcpu);
	case EXIT_REASON_APIC_ACCESS:
		return vmx_fast_apic_access(vcpu);
	case EXIT_REASON_EXCEPTION_NMI:
		return vmx_fast_page_fault(vcpu);
	case EXIT_REASON_CR_ACCESS:
		return fast_cr(vcpu);
	case EXIT_REASON_INVLPG:
		return fast_invlpg(vcpu, &vmx_fast_ops, vmx_qual(to_hw(vcpu)));
	case EXIT_REASON_INVD:
	case EXIT_REASON_WBINVD:
		return fast_nop(vcpu, &vmx_fast_ops);
	default:
		return false;
	}
}

/* ---- slow handlers: IRQs on, those in exit_table with vm->srcu. Return: enum okvm_outcome ---- */

static int exit_resume(struct okvm_vcpu *vcpu)
{
	return OKVM_RESUME;
}

static int exit_unexpected(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u64 data[2] = { hw->exit_reason, hw->entry_cpu };

	return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, 2, data);
}

static int exit_fail_entry(struct okvm_vcpu *vcpu, u64 reason)
{
	struct kvm_run *run = vcpu->run;

	vmx_entry_explain(vcpu, reason);
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = reason;
	run->fail_entry.cpu = to_hw(vcpu)->entry_cpu;
	return OKVM_USER;
}

typedef int (*exit_handler)(struct okvm_vcpu *vcpu);

static const exit_handler exit_table[VMX_NR_EXITS] = {
	[EXIT_REASON_EXCEPTION_NMI]	= vmx_exit_exception,
	[EXIT_REASON_EXTERNAL_INTERRUPT] = exit_resume,
	[EXIT_REASON_TRIPLE_FAULT]	= okvm_shutdown_exit,
	[EXIT_REASON_INIT_SIGNAL]	= exit_unexpected,
	[EXIT_REASON_SIPI_SIGNAL]	= exit_unexpected,
	[EXIT_IO_SMI]			= exit_unexpected,
	[EXIT_OTHER_SMI]		= exit_unexpected,
	[EXIT_REASON_INTERRUPT_WINDOW]	= exit_resume,		/* done by fast_irq_window() */
	[EXIT_REASON_NMI_WINDOW]	= exit_resume,		/* done by fast_nmi_window() */
	[EXIT_REASON_TASK_SWITCH]	= vmx_exit_task_switch,
	[EXIT_REASON_CPUID]		= vmx_exit_cpuid,
	[EXIT_GETSEC]			= vmx_exit_ud,
	[EXIT_REASON_HLT]		= vmx_exit_hlt,
	[EXIT_REASON_INVD]		= vmx_exit_nop,
	[EXIT_REASON_INVLPG]		= vmx_exit_invlpg,	/* with shadow paging only */
	[EXIT_REASON_RDPMC]		= vmx_exit_rdpmc,
	[EXIT_REASON_RDTSC]		= exit_unexpected,	/* RDTSC exiting is never set */
	[EXIT_RSM]			= vmx_exit_ud,
	[EXIT_REASON_VMCALL]		= vmx_exit_vmcall,
	[EXIT_REASON_VMCLEAR]		= vmx_exit_ud,		/* guests have no VMX */
	[EXIT_REASON_VMLAUNCH]		= vmx_exit_ud,
	[EXIT_REASON_VMPTRLD]		= vmx_exit_ud,
	[EXIT_REASON_VMPTRST]		= vmx_exit_ud,
	[EXIT_REASON_VMREAD]		= vmx_exit_ud,
	[EXIT_REASON_VMRESUME]		= vmx_exit_ud,
	[EXIT_REASON_VMWRITE]		= vmx_exit_ud,
	[EXIT_REASON_VMOFF]		= vmx_exit_ud,
	[EXIT_REASON_VMON]		= vmx_exit_ud,
	[EXIT_REASON_CR_ACCESS]		= vmx_exit_cr,
	[EXIT_REASON_DR_ACCESS]		= vmx_exit_dr,
	[EXIT_REASON_IO_INSTRUCTION]	= vmx_exit_io,
	[EXIT_REASON_MSR_READ]		= vmx_exit_rdmsr,
	[EXIT_REASON_MSR_WRITE]		= vmx_exit_wrmsr,
	[EXIT_REASON_INVALID_STATE]	= exit_unexpected,	/* see exit_entry_failed() */
	[EXIT_REASON_MSR_LOAD_FAIL]	= exit_unexpected,	/* see exit_entry_failed() */
	[EXIT_REASON_MWAIT_INSTRUCTION]	= vmx_exit_mwait,
	[EXIT_REASON_MONITOR_TRAP_FLAG]	= exit_resume,
	[EXIT_REASON_MONITOR_INSTRUCTION] = vmx_exit_mwait,
	[EXIT_REASON_PAUSE_INSTRUCTION]	= vmx_exit_pause,
	[EXIT_REASON_MCE_DURING_VMENTRY] = exit_unexpected,	/* see exit_entry_failed() */
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = exit_resume,	/* done by fast_tpr() */
	[EXIT_REASON_APIC_ACCESS]	= vmx_exit_apic_access,
	[EXIT_REASON_EOI_INDUCED]	= vmx_exit_eoi,
	[EXIT_REASON_GDTR_IDTR]		= vmx_exit_desc,
	[EXIT_REASON_LDTR_TR]		= vmx_exit_desc,
	[EXIT_REASON_EPT_VIOLATION]	= vmx_exit_ept,
	[EXIT_REASON_EPT_MISCONFIG]	= vmx_exit_misconfig,
	[EXIT_REASON_INVEPT]		= vmx_exit_ud,
	[EXIT_REASON_RDTSCP]		= exit_unexpected,	/* RDTSC exiting is never set */
	[EXIT_REASON_PREEMPTION_TIMER]	= exit_resume,		/* guest_time_bound is over */
	[EXIT_REASON_INVVPID]		= vmx_exit_ud,
	[EXIT_REASON_WBINVD]		= vmx_exit_nop,
	[EXIT_REASON_XSETBV]		= vmx_exit_xsetbv,
	[EXIT_REASON_APIC_WRITE]	= vmx_exit_apic_write,
	[EXIT_REASON_RDRAND]		= vmx_exit_ud,
	[EXIT_REASON_INVPCID]		= vmx_exit_invpcid,
	[EXIT_REASON_VMFUNC]		= vmx_exit_ud,
	[EXIT_REASON_ENCLS]		= vmx_exit_ud,
	[EXIT_REASON_RDSEED]		= vmx_exit_ud,
	[EXIT_REASON_PML_FULL]		= exit_resume,
	[EXIT_REASON_XSAVES]		= exit_unexpected,	/* XSS_EXIT_BITMAP is 0 */
	[EXIT_REASON_XRSTORS]		= exit_unexpected,
	[EXIT_SPP]			= exit_unexpected,
	[EXIT_REASON_UMWAIT]		= vmx_exit_ud,
	[EXIT_REASON_TPAUSE]		= vmx_exit_ud,
	[EXIT_LOADIWKEY]		= vmx_exit_ud,
	[EXIT_ENCLV]			= vmx_exit_ud,
	[EXIT_ENQCMD]			= exit_unexpected,
	[EXIT_ENQCMDS]			= exit_unexpected,
	[EXIT_REASON_BUS_LOCK]		= exit_resume,
	[EXIT_REASON_NOTIFY]		= exit_resume,
	[EXIT_SEAMCALL]			= vmx_exit_ud,
	[EXIT_TDCALL]			= vmx_exit_ud,
};

/*
 * Return true if the delivery of an event can cause an exit with this reason (SDM "Information for
 * VM Exits That Occur During Event Delivery").
 */
static bool reason_can_cut_delivery(u32 reason)
{
	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
	case EXIT_REASON_TASK_SWITCH:
	case EXIT_REASON_APIC_ACCESS:
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG:
	case EXIT_REASON_PML_FULL:
		return true;
	default:
		return false;
	}
}

/*
 * Exit to userspace for an access to a port. fast_io() has found no device in the kernel at this
 * port. The bus is not searched again, so vm->srcu is not needed.
 */
static int exit_pio_user(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	const union qual_io q = { vmx_qual(hw) };

	arch->stay.pio_missed = false;
	/*
	 * When the access is completed, RIP and RFLAGS are needed: read them here, without
	 * okvm_rip()'s indirect call.
	 */
	vmx_rip(vcpu);
	vmx_rflags(vcpu);
	arch->pio.port = q.port;
	arch->pio.size = qual_io_size(q);
	arch->pio.in = q.in;
	arch->pio.insn_len = vmx_insn_len(hw);
	arch->pio.plain = !(vmx_shadow(hw) & VMX_IRQ_SHADOW);
	return okvm_pio_user(vcpu);
}

static int exit_entry_failed(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (hw->entry_failed) {
		hw->entry_failed = false;
		return exit_fail_entry(vcpu, hw->instruction_error);
	}
	return exit_fail_entry(vcpu, hw->exit_reason);
}

/*
 * Call the exit's handler in exit_table. noinline, so that vmx_exit_slow() need not save registers
 * on its other paths.
 */
static noinline int exit_by_table(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u32 reason = hw->exit_reason;
	exit_handler handler = NULL;
	int outcome;

	hw->idt_info = 0;
	if (reason_can_cut_delivery(reason)) {
		hw->idt_info = vmcs_read32(IDT_VECTORING_INFO_FIELD);
		if (unlikely(hw->idt_info & VECTORING_INFO_VALID_MASK)) {
			vmx_events_cut_short(vcpu);
			if (reason == EXIT_REASON_EPT_MISCONFIG)
				return vmx_delivery_failed(vcpu);
		}
	}
	if (reason < VMX_NR_EXITS)
		handler = exit_table[array_index_nospec(reason, VMX_NR_EXITS)];
	if (!handler)
		return exit_unexpected(vcpu);
	/* Most handlers need RIP and RFLAGS: read them here, without okvm_rip()'s indirect call. */
	vmx_rip(vcpu);
	vmx_rflags(vcpu);
	okvm_vcpu_srcu_lock(vcpu);
	outcome = handler(vcpu);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}

int vmx_exit_slow(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (unlikely(hw->entry_failed || hw->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return exit_entry_failed(vcpu);
	if (vcpu->arch->stay.pio_missed)
		return exit_pio_user(vcpu);
	return exit_by_table(vcpu);
}
