// SPDX-License-Identifier: GPL-2.0-only
/*
 * What SVM wants of a stay in the guest (x86/stay.h): the host's state, the TPR, and the entry
 * itself.
 *
 * VMRUN and its exits switch less than VMX does: FS, GS, TR, LDTR and the MSRs of SYSCALL and
 * SYSENTER are switched by VMLOAD and VMSAVE (vmrun.S) around each entry, because the kernel's own
 * code needs its GS.
 */
#include <linux/context_tracking.h>

#include <asm/apicdef.h>
#include <asm/debugreg.h>
#include <asm/nospec-branch.h>
#include <asm/trapnr.h>

#include "svm/svm.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/user_exit.h"
#include "x86/host_apf.h"
#include "x86/stay.h"

/* The id of the vCPU that ran last on this CPU. A VMCB's address may be used again later. */
static DEFINE_PER_CPU(u64, svm_last_id);

void svm_vcpu_load(struct okvm_vcpu *vcpu, int cpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (vcpu->cpu != cpu) {
		hw->todo |= SVM_TODO_ASID;
		/* This CPU may hold copies of VMCB fields from an earlier run of the vCPU here. */
		hw->vmcb->control.clean = 0;
	}
	if (this_cpu_read(svm_last_id) == hw->id)
		return;
	this_cpu_write(svm_last_id, hw->id);
	/* Branch targets that another guest trained do not reach this one. */
	okvm_forget_branches();
}

/* ---- TSC_AUX, which no instruction of SVM switches: once per vcpu_load ---- */

/* Whatever the guest's CPUID says: no intercept stops RDPID. */
static bool guest_sees_tsc_aux(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
}

static void host_msrs_enter(struct okvm_hw_vcpu *hw)
{
	hw->host_loaded = true;
	if (!guest_sees_tsc_aux())
		return;
	rdmsrl(MSR_TSC_AUX, hw->host_tsc_aux);
	if (hw->tsc_aux != hw->host_tsc_aux)
		wrmsrl(MSR_TSC_AUX, hw->tsc_aux);
}

void svm_vcpu_put(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	if (!hw->host_loaded)
		return;
	hw->host_loaded = false;
	if (guest_sees_tsc_aux() && hw->tsc_aux != hw->host_tsc_aux)
		wrmsrl(MSR_TSC_AUX, hw->host_tsc_aux);
}

/* ---- the ends of a stay ---- */

static void refresh_spec_ctrl(struct okvm_hw_vcpu *hw)
{
	u64 flags = 0;

	if (static_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) &&
	    !svm_has(&svm_caps, SVM_FEAT_SPEC_CTRL)) {
		hw->frame.host_spec = this_cpu_read(x86_spec_ctrl_current);
		hw->frame.guest_spec = hw->spec_ctrl;
		flags = SVM_FRAME_SPEC | (hw->spec_ctrl_direct ? SVM_FRAME_SPEC_SAVE : 0);
	}
	hw->frame.flags = flags;
}

/* KVM_SET_VCPU_EVENTS may have withdrawn an event that was written for the next entry. */
static void withdraw_event(struct okvm_hw_vcpu *hw)
{
	const struct okvm_events *ev = &hw->vcpu->arch->ev;

	if (likely(!hw->given) || ev->exc.injected || ev->irq.injected || ev->nmi_injected)
		return;
	svm_event_withdraw(hw);
}

static bool svm_event_waits(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->given;
}

static __always_inline void svm_host_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/* Note the CPU now: by the time it is needed the thread may run on another one. */
	hw->entry_cpu = vcpu->cpu;
	withdraw_event(hw);
	if (!hw->host_loaded)
		host_msrs_enter(hw);
	/* BTF would make the guest's single steps end at branches: VMRUN does not switch it. */
	hw->host_debugctl = get_debugctlmsr();
	if (unlikely(hw->host_debugctl))
		update_debugctlmsr(0);
	svm_asid_load(hw);
	refresh_spec_ctrl(hw);
	hw->frame.host_pa = svm_host_area();
	/* Exit before the first instruction of the event's handler. */
	if (unlikely(hw->nmi_behind))
		smp_send_reschedule(raw_smp_processor_id());
}

static __always_inline void svm_guest_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/* After everything that changes host state: LDTR and FS may be another process's. */
	hw->entry_failed = !svm_host_save();
	if (vcpu->arch->cr2 != hw->vmcb->save.cr2) {
		hw->vmcb->save.cr2 = vcpu->arch->cr2;
		svm_dirty(hw, SVM_CLEAN_CR2);
	}
}

static __always_inline void svm_guest_leave(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vcpu->arch->cr2 = hw->vmcb->save.cr2;
	/* Taking over the guest's debug registers overwrites it. */
	hw->exit_dr6 = hw->vmcb->save.dr6;
	/* The exit leaves the guest's in the CPU, where the host's INT1 would find its bits. */
	if (unlikely(hw->exit_dr6 != DR6_RESERVED))
		set_debugreg(DR6_RESERVED, 6);
	if (unlikely(hw->host_debugctl))
		update_debugctlmsr(hw->host_debugctl);
	if (unlikely(hw->nmi_late)) {
		hw->nmi_late = false;
		okvm_request(OKVM_REQ_EVENT, vcpu);
	}
	if (hw->frame.flags)
		hw->spec_ctrl = hw->frame.guest_spec;
}

static void svm_debug_put(struct okvm_vcpu *vcpu)
{
	const struct vmcb_save_area *save = &to_hw(vcpu)->vmcb->save;

	/* okvm_update_dr7() comes next, and brings the intercepts back. */
	vcpu->arch->dr6 = save->dr6;
	vcpu->arch->dr7 = save->dr7;
}

/* ---- each entry ---- */

static __always_inline void write_dirty_regs(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	struct vmcb_save_area *save = &hw->vmcb->save;
	u32 dirty = arch->dirty;

	save->rax = arch->gpr[OKVM_REG_RAX];
	if (dirty & BIT(OKVM_REG_RIP))
		save->rip = arch->rip;
	if (dirty & BIT(OKVM_REG_RSP))
		save->rsp = arch->gpr[OKVM_REG_RSP];
	if (dirty & BIT(OKVM_REG_RFLAGS))
		save->rflags = arch->rflags;
	if (unlikely(dirty & BIT(OKVM_REG_CR3)) && save->cr3 != arch->cr3) {
		save->cr3 = arch->cr3;
		svm_dirty(hw, SVM_CLEAN_CR);
	}
}

/* CR8 is V_TPR while the guest runs. */
static __always_inline u8 vcpu_tpr(struct okvm_vcpu *vcpu)
{
	const u8 *page = okvm_apic_page(vcpu);

	return page ? page[APIC_TASKPRI] >> 4 : vcpu->arch->cr8;
}

static __always_inline void tpr_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u8 tpr = vcpu_tpr(vcpu);

	if (likely(tpr == hw->tpr))
		return;
	hw->tpr = tpr;
	hw->vmcb->control.int_ctl = (hw->vmcb->control.int_ctl & ~V_TPR_MASK) | tpr;
	svm_dirty(hw, SVM_CLEAN_TPR);
}

static __always_inline void tpr_leave(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	u8 tpr = hw->vmcb->control.int_ctl & V_TPR_MASK;

	if (likely(tpr == hw->tpr))
		return;
	hw->tpr = tpr;
	okvm_set_cr8(vcpu, tpr);
}

/* Exits of nested paging are counted and traced by this number, after all other codes. */
#define SVM_REASON_NPF	(SVM_EXIT_INVPCID + 1)

static_assert(SVM_REASON_NPF < OKVM_NR_EXIT_REASONS);

/* Registers that every exit makes stale; the general ones but RSP are always current. */
#define LAZY_REGS	(BIT(OKVM_REG_RSP) | BIT(OKVM_REG_RIP) | BIT(OKVM_REG_RFLAGS) | \
			 BIT(OKVM_REG_CR0) | BIT(OKVM_REG_CR3) | BIT(OKVM_REG_PDPTR))

static __always_inline void svm_enter_once(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	struct okvm_arch_vcpu *arch = vcpu->arch;
	struct vmcb_control_area *control = &hw->vmcb->control;

	if (unlikely(hw->soft_len))
		svm_soft_event_enter(hw);
	write_dirty_regs(vcpu);
	tpr_enter(vcpu);
	if (unlikely(hw->todo))
		svm_asid_load(hw);
	context_tracking_guest_enter();
	/* A division's remainder of the host's (Zen 1). */
	amd_clear_divider();
	if (likely(!hw->entry_failed))
		hw->entry_failed = svm_enter(arch->gpr, &hw->frame);
	context_tracking_guest_exit();

	hw->exit_code = (u32)SVM_EXIT_ERR;
	hw->cut_info = 0;
	if (unlikely(hw->entry_failed)) {
		if (hw->soft_len)
			svm_soft_event_undo(hw);
		return;
	}
	arch->gpr[OKVM_REG_RAX] = hw->vmcb->save.rax;
	arch->avail = ~(u32)LAZY_REGS;
	arch->dirty = 0;
	hw->exit_code = control->exit_code;
	if (host_apf_possible() && unlikely(hw->exit_code == SVM_EXIT_EXCP_BASE + X86_TRAP_PF))
		hw->host_apf = host_apf_take();
	/* A VMRUN that refuses the state flushes nothing (APM "VMRUN"): the flush stays due. */
	if (unlikely(hw->exit_code == (u32)SVM_EXIT_ERR)) {
		if (hw->soft_len)
			svm_soft_event_undo(hw);
		return;
	}
	if (control->tlb_ctl != TLB_CONTROL_DO_NOTHING)
		svm_tlb_flushed(hw);
	if (svm_has(&svm_caps, SVM_FEAT_CLEAN))
		control->clean = SVM_CLEAN_ALL;
	hw->cut_info = control->exit_int_info;
	tpr_leave(vcpu);
	if (unlikely(hw->given))
		svm_events_given(vcpu);
	/* Every exit needs this, an interrupt's too: else the event would be lost. */
	if (unlikely(hw->cut_info & SVM_EXITINTINFO_VALID))
		svm_events_cut_short(vcpu);
}

static u32 svm_exit_reason(const struct okvm_vcpu *vcpu)
{
	const u32 code = to_hw(vcpu)->exit_code;

	/* This code is beyond all others, so it is counted under a number of its own. */
	return code == SVM_EXIT_NPF ? SVM_REASON_NPF : code;
}

static void svm_exit_info(struct okvm_vcpu *vcpu, struct okvm_exit_info *info)
{
	const struct okvm_hw_vcpu *hw = to_hw(vcpu);
	const struct vmcb_control_area *control = &hw->vmcb->control;

	*info = (struct okvm_exit_info){
		.reason = hw->exit_code,
		.info1 = control->exit_info_1,
		.info2 = control->exit_info_2,
		.intr_info = control->exit_int_info,
		.error_code = control->exit_int_info_err,
	};
}

static bool svm_only_fast(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->exit_code == SVM_EXIT_VINTR;
}

/* INTR: the interrupt waits in the host's APIC. An NMI has come when the interrupt flag did. */
static bool svm_host_interrupted(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->exit_code == SVM_EXIT_INTR;
}

static void svm_host_interrupt(struct okvm_vcpu *vcpu)
{
	local_irq_enable();
	/* STI holds interrupts back for one instruction. */
	cpu_relax();
	local_irq_disable();
}

/*
 * An NMI waits for the end of an interrupt shadow, which no exit tells: emulate up to there. What
 * the emulator does not know hardware executes, and the NMI is late.
 */
static __always_inline bool svm_step_instead(struct okvm_vcpu *vcpu, int *outcome)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);
	bool known;

	if (likely(!hw->step))
		return false;
	hw->step = false;
	okvm_vcpu_srcu_lock(vcpu);
	known = okvm_emulate_if_known(vcpu, outcome);
	okvm_vcpu_srcu_unlock(vcpu);
	if (!known) {
		svm_nmi_late(vcpu);
		return false;
	}
	vcpu->arch->between_insns = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	return true;
}

static const struct okvm_stay_ops svm_stay_ops = {
	.instead = svm_step_instead,
	.event_waits = svm_event_waits,
	.host_enter = svm_host_enter,
	.guest_enter = svm_guest_enter,
	.guest_leave = svm_guest_leave,
	.enter = svm_enter_once,
	.exit_reason = svm_exit_reason,
	.exit_info = svm_exit_info,
	.only_fast = svm_only_fast,
	.exit_fast = svm_exit_fast,
	.exit_slow = svm_exit_slow,
	.host_interrupted = svm_host_interrupted,
	.host_interrupt = svm_host_interrupt,
	.host_nmi_mce = svm_exit_host_mce,
	.debug_put = svm_debug_put,
	.loads_dr6 = true,
	.isa = TRACE_ISA_SVM,
};

int svm_run(struct okvm_vcpu *vcpu)
{
	return stay_run(vcpu, &svm_stay_ops);
}
