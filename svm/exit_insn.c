// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits caused by instructions and exceptions. If the CPU does not report an instruction's
 * operands, the emulator executes the instruction. If the CPU does not report the instruction's
 * length, okvm_insn_len() decodes the instruction.
 */
#include <linux/kvm.h>

#include <uapi/asm/debugreg.h>
#include <asm/trapnr.h>

#include "svm/svm.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/exits.h"
#include "x86/host_apf.h"
#include "x86/msr/msr.h"
#include "x86/pv/pv.h"

/*
 * Return the length of the instruction that has caused the exit. Return 0 if the length is unknown:
 * the guest then has to execute the instruction again.
 */
static unsigned int insn_len(struct okvm_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_hw(vcpu)->vmcb->control;

	if (svm_has(&svm_caps, SVM_FEAT_NRIPS) && control->next_rip)
		return control->next_rip - svm_rip(vcpu);
	return okvm_insn_len(vcpu);
}

int svm_exit_insn(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	unsigned int len = insn_len(vcpu);

	/*
	 * The decoder refuses VMMCALL in real mode, although VMMCALL is legal there. Use the fixed
	 * length of VMMCALL.
	 */
	if (!len && hw->exit_code == SVM_EXIT_VMMCALL)
		len = sizeof(vcpu->arch->ops->hypercall);
	if (!len)
		return OKVM_RESUME;
	switch (hw->exit_code) {
	case SVM_EXIT_CPUID:
		return okvm_exit_cpuid(vcpu, len);
	case SVM_EXIT_MSR:
		return okvm_emulate_msr(vcpu, hw->vmcb->control.exit_info_1, len);
	case SVM_EXIT_HLT:
		return okvm_halt(vcpu, okvm_skip_insn(vcpu, len));
	case SVM_EXIT_VMMCALL:
		return okvm_hypercall(vcpu, len);
	case SVM_EXIT_INVLPG:
		okvm_mmu_invalidate(vcpu, OKVM_INVLPG, 0, hw->vmcb->control.exit_info_1);
		return okvm_skip_insn(vcpu, len);
	case SVM_EXIT_PAUSE:
		return okvm_exit_pause(vcpu, len);
	case SVM_EXIT_MONITOR:
	case SVM_EXIT_MWAIT:
		return okvm_exit_mwait(vcpu, len);
	case SVM_EXIT_XSETBV:
		return okvm_exit_xsetbv(vcpu, len);
	case SVM_EXIT_RDPMC:
		/* Guests have no performance counters: RDPMC with any index makes #GP. */
		return okvm_gp_or_skip(vcpu, true, len);
	default:
		return okvm_skip_insn(vcpu, len);
	}
}

/* Emulate a write to CR8. Without an in-kernel APIC, a write that lowers TPR exits to userspace. */
static int emulate_to_cr8(struct okvm_vcpu *vcpu)
{
	unsigned long old = okvm_get_cr8(vcpu);
	int outcome = okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);

	if (outcome != OKVM_RESUME || vcpu->apic || old <= okvm_get_cr8(vcpu))
		return outcome;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return OKVM_USER;
}

/*
 * The exit code says which control register a MOV accesses, and in which direction. exit_cr_nr()
 * returns the register's number. exit_cr_write() returns true for a MOV to the control register.
 */
static unsigned int exit_cr_nr(const struct okvm_hw_vcpu *hw)
{
	return hw->exit_code == SVM_EXIT_CR0_SEL_WRITE ? 0 : hw->exit_code & 15;
}

static bool exit_cr_write(const struct okvm_hw_vcpu *hw)
{
	return hw->exit_code >= SVM_EXIT_WRITE_CR0;
}

static int exit_mov_cr(struct okvm_vcpu *vcpu, unsigned int reg, unsigned int len)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (exit_cr_write(hw))
		return okvm_exit_to_cr(vcpu, exit_cr_nr(hw), okvm_gpr(vcpu, reg), len);
	return okvm_exit_from_cr(vcpu, exit_cr_nr(hw), reg, len);
}

/*
 * Handle an access to a control register. The emulator executes CLTS, SMSW and LMSW. It also
 * executes a MOV whose register neither the CPU nor the decoder can tell.
 */
int svm_exit_cr(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union svm_cr q = { hw->vmcb->control.exit_info_1 };
	unsigned int len, reg;

	if (svm_has(&svm_caps, SVM_FEAT_DECODE)) {
		if (!q.mov)
			return okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);
		len = insn_len(vcpu);
		return len ? exit_mov_cr(vcpu, q.reg, len) : OKVM_RESUME;
	}
	len = okvm_known_mov_cr(vcpu, exit_cr_nr(hw), exit_cr_write(hw), &reg);
	if (len)
		return exit_mov_cr(vcpu, reg, len);
	if (hw->exit_code == SVM_EXIT_WRITE_CR8)
		return emulate_to_cr8(vcpu);
	return okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);
}

int svm_exit_dr(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union svm_cr q = { hw->vmcb->control.exit_info_1 };
	unsigned int nr = hw->exit_code & 15, len;

	if (okvm_exit_dr_lend(vcpu)) {
		/* The guest's DR0 to DR3 are loaded now: update DR6, DR7 and the intercepts. */
		svm_update_intercepts(vcpu, OKVM_ICPT_DEBUG);
		return OKVM_RESUME;
	}
	if (!svm_has(&svm_caps, SVM_FEAT_DECODE))
		return okvm_emulate(vcpu, OKVM_EMUL_OTHER, 0);
	len = insn_len(vcpu);
	if (!len)
		return OKVM_RESUME;
	return okvm_exit_mov_dr(vcpu, nr, q.reg, hw->exit_code < SVM_EXIT_WRITE_DR0, len);
}

/*
 * Emulate IRET, which exits before it executes. The emulator unmasks NMIs when the IRET has ended
 * or faulted. If a page of the stack is missing in the host, the IRET will be repeated, and NMIs
 * stay masked until then. If the emulator cannot execute the IRET, unmask NMIs now and let hardware
 * execute the IRET. In this case the guest may get the next NMI before the IRET.
 */
int svm_exit_iret(struct okvm_vcpu *vcpu)
{
	int outcome;

	if (okvm_emulate_if_known(vcpu, &outcome))
		return outcome;
	svm_event_ops.set_nmi_masked(vcpu, false);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return outcome;
}

/* ---- exceptions ---- */

static int exit_db(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;
	struct vmcb_save_area *save = &to_hw(vcpu)->vmcb->save;
	unsigned long dr6 = to_hw(vcpu)->exit_dr6;

	/* Clear DR6, so that the next #DB shows only the bits that it sets. */
	save->dr6 = DR6_RESERVED;
	svm_dirty(to_hw(vcpu), SVM_CLEAN_DR);
	if (arch->guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))
		return okvm_debug_exit(vcpu, X86_TRAP_DB, dr6);
	/*
	 * DR6 reports RTM and bus locks by the value 0, but okvm_queue_db() takes a 1 for each
	 * reported condition: the XOR inverts these two bits.
	 */
	okvm_queue_db(vcpu, dr6 ^ DR6_RESERVED);
	return OKVM_RESUME;
}

static int exit_unknown_exception(struct okvm_vcpu *vcpu, u8 vector)
{
	vcpu->run->exit_reason = KVM_EXIT_EXCEPTION;
	vcpu->run->ex.exception = vector;
	vcpu->run->ex.error_code = to_hw(vcpu)->vmcb->control.exit_info_1;
	return OKVM_USER;
}

int svm_exit_exception(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u8 vector = hw->exit_code - SVM_EXIT_EXCP_BASE;

	switch (vector) {
	case X86_TRAP_PF:
		if (unlikely(hw->host_apf)) {
			/* The host's own hypervisor has sent the #PF: wait for the page. */
			host_apf_wait(&hw->host_apf, hw->vmcb->control.exit_info_2);
			return OKVM_RESUME;
		}
		return svm_is_shadow(vcpu) ? svm_exit_page_fault(vcpu) :
					     exit_unknown_exception(vcpu, vector);
	case X86_TRAP_MC:
		/* svm_host_mce() has already called the host's handler. */
		return OKVM_RESUME;
	case X86_TRAP_UD:
		return okvm_emulate(vcpu, OKVM_EMUL_UD, 0);
	case X86_TRAP_DB:
		return exit_db(vcpu);
	case X86_TRAP_BP:
		okvm_note_bp(vcpu, okvm_rip(vcpu), 1);
		return okvm_debug_exit(vcpu, X86_TRAP_BP, 0);
	case X86_TRAP_AC:
		okvm_queue_exception_err(vcpu, X86_TRAP_AC, hw->vmcb->control.exit_info_1);
		return OKVM_RESUME;
	default:
		return exit_unknown_exception(vcpu, vector);
	}
}

/* ---- task switches, which are emulated ---- */

/* Return what has caused the task switch: 0 CALL, 1 IRET, 2 JMP, 3 a task gate in the IDT. */
static int task_source(const struct okvm_hw_vcpu *hw, union svm_task task)
{
	if (task.iret)
		return 1;
	if (task.jmp)
		return 2;
	return hw->cut_info & SVM_EXITINTINFO_VALID ? 3 : 0;
}

/*
 * Return true if an instruction causes the task switch: the old task then continues after it.
 * Otherwise (hardware events) the old task continues at the instruction.
 */
static bool task_by_instruction(const struct okvm_hw_vcpu *hw)
{
	u8 vector = hw->cut_info & SVM_EXITINTINFO_VEC_MASK;

	if (!(hw->cut_info & SVM_EXITINTINFO_VALID))
		return true;
	switch (hw->cut_info & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_SOFT:
		return true;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		return vector == X86_TRAP_BP || vector == X86_TRAP_OF;
	default:
		return false;
	}
}

int svm_exit_task_switch(struct okvm_vcpu *vcpu)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const union svm_task task = { hw->vmcb->control.exit_info_2 };
	u32 error = task.error;
	unsigned int len = 0;

	if (task_by_instruction(hw)) {
		len = insn_len(vcpu);
		if (!len)
			return OKVM_RESUME;
	}
	return okvm_task_switch(vcpu, hw->vmcb->control.exit_info_1, task_source(hw, task), len,
				task.has_error ? &error : NULL);
}
