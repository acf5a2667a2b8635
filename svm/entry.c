// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMRUN: the functions that x86/stay.h calls to enter and leave the guest. They save and restore
 * host state, transfer the TPR, and execute VMRUN.
 *
 * VMRUN and #VMEXIT do not switch FS, GS, TR, LDTR and the MSRs for SYSCALL and SYSENTER. vmrun.S
 * switches these by VMLOAD and VMSAVE around each VMRUN, because kernel code needs the host's GS.
 */
#include <linux/context_tracking.h>

#include <asm/apicdef.h>
#include <asm/debugreg.h>
#include <asm/nospec-branch.h>
#include <asm/trapnr.h>

#include "core/hardware.h"
#include "svm/svm.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/user_exit.h"
#include "x86/host_apf.h"
#include "x86/stay.h"

/*
 * Prepare this CPU for the vCPU. Called if the vCPU was last loaded on another CPU, or if another
 * vCPU has run on this CPU since then.
 */
static noinline void vcpu_arrives(struct okvm_vcpu *vcpu, int cpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	svm_tsc_ratio_load(vcpu);
	if (vcpu->cpu != cpu) {
		hw->todo |= SVM_TODO_ASID;
		/* This CPU may have cached old fields of the VMCB: make it read the whole VMCB. */
		hw->vmcb->control.clean = 0;
		hw->frame.host_pa = svm_host_area();
	}
	if (this_cpu_read(svm_last_id) == hw->id)
		return;
	this_cpu_write(svm_last_id, hw->id);
	/* Flush branch predictions that another guest has trained. */
	okvm_forget_branches();
}

void svm_vcpu_load(struct okvm_vcpu *vcpu, int cpu)
{
	if (vcpu->cpu != cpu || this_cpu_read(svm_last_id) != to_hw(vcpu)->id)
		vcpu_arrives(vcpu, cpu);
}

/* ---- TSC_AUX, which SVM does not switch: loaded once per vcpu_load ---- */

/*
 * Return true if the guest can read TSC_AUX. The guest's CPUID does not matter, because RDPID has
 * no intercept.
 */
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

/* ---- the beginning and the end of a stay in the guest: see x86/stay.h ---- */

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

/* If KVM_SET_VCPU_EVENTS has canceled the event that is in the VMCB, remove the event. */
static void withdraw_event(struct okvm_hw_vcpu *hw)
{
	const struct okvm_events *ev = &hw->vcpu->arch->ev;

	if (likely(!hw->event_written) || ev->exc.injected || ev->irq.injected || ev->nmi_injected)
		return;
	svm_event_withdraw(hw);
}

static bool svm_event_waits(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->event_written;
}

static __always_inline void svm_host_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/*
	 * Some exits to userspace report the CPU of the last VMRUN. Record this CPU now, because
	 * the thread may migrate before such an exit.
	 */
	hw->entry_cpu = vcpu->cpu;
	withdraw_event(hw);
	if (!hw->host_loaded)
		host_msrs_enter(hw);
	/*
	 * VMRUN does not switch DEBUGCTL. Clear it: the host's BTF would alter the guest's single
	 * steps.
	 */
	hw->host_debugctl = get_debugctlmsr();
	if (unlikely(hw->host_debugctl))
		update_debugctlmsr(0);
	svm_asid_load(hw);
	refresh_spec_ctrl(hw);
	/*
	 * An NMI may have to be injected after the event in event_inj. Then this IPI causes an exit
	 * as soon as VMRUN has delivered that event.
	 */
	if (unlikely(hw->nmi_behind))
		smp_send_reschedule(raw_smp_processor_id());
}

static __always_inline void svm_guest_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	/*
	 * Save the host's LDTR, FS and so on now: kernel code may have changed them since the last
	 * stay.
	 */
	hw->entry_failed = !svm_insn_vmsave(hw->frame.host_pa);
	if (vcpu->arch->cr2 != hw->vmcb->save.cr2) {
		hw->vmcb->save.cr2 = vcpu->arch->cr2;
		svm_dirty(hw, SVM_CLEAN_CR2);
	}
}

static __always_inline void svm_guest_leave(struct okvm_vcpu *vcpu)
{
	struct okvm_hw_vcpu *hw = to_hw(vcpu);

	vcpu->arch->cr2 = hw->vmcb->save.cr2;
	/* Keep the exit's DR6 for exit_db(): updates of the debug registers overwrite save.dr6. */
	hw->exit_dr6 = hw->vmcb->save.dr6;
	/* #VMEXIT leaves the guest's bits in DR6. Reset them: a #DB of the host would keep them. */
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

	/*
	 * The DR intercepts are not set here: the caller calls okvm_update_dr7() next, which sets
	 * them.
	 */
	vcpu->arch->dr6 = save->dr6;
	vcpu->arch->dr7 = save->dr7;
}

/* ---- one VMRUN and #VMEXIT ---- */

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
	/* With shadow paging, do not write CR3: the VMCB has the root from svm_set_root() there. */
	if (unlikely(dirty & BIT(OKVM_REG_CR3)) && save->cr3 != arch->cr3 &&
	    !svm_is_shadow(vcpu)) {
		save->cr3 = arch->cr3;
		svm_dirty(hw, SVM_CLEAN_CR);
	}
}

/* Return the value for V_TPR, which the guest accesses as CR8. */
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

/* The CPU has delivered the NMI that lend_nmi() had passed to it: it is no longer pending. */
static void lent_nmi_taken(struct okvm_vcpu *vcpu)
{
	to_hw(vcpu)->nmi_lent = false;
	vcpu->arch->ev.nmi_pending--;
	vcpu->stat[OKVM_STAT_NMI_INJECTED]++;
	/* If another NMI is pending, this request makes lend_nmi() pass it to the CPU. */
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

/* The statistics count nested page faults under this number: their exit code is too large. */
#define SVM_REASON_NPF	(SVM_EXIT_INVPCID + 1)

static_assert(SVM_REASON_NPF < OKVM_NR_EXIT_REASONS);

/*
 * After a #VMEXIT, the copies of these registers are invalid: each is read from the VMCB when it is
 * first needed. svm_enter_once() and svm_enter() store the other general registers.
 */
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
	/* Zen 1: clear the divider, which may leak data of the host's last division. */
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
	/*
	 * A VMRUN that fails with VMEXIT_INVALID does not flush the TLB (APM "VMRUN"). In this case
	 * do not clear tlb_ctl, so that the next VMRUN does the flush.
	 */
	if (unlikely(hw->exit_code == (u32)SVM_EXIT_ERR)) {
		if (hw->soft_len)
			svm_soft_event_undo(hw);
		/*
		 * The event was not injected, but the CPU may have cleared event_inj all the same
		 * (QEMU's TCG does): restore it.
		 */
		if (hw->event_written)
			control->event_inj = hw->event_info;
		return;
	}
	if (control->tlb_ctl != TLB_CONTROL_DO_NOTHING)
		svm_tlb_flushed(hw);
	if (svm_has(&svm_caps, SVM_FEAT_CLEAN))
		control->clean = SVM_CLEAN_ALL;
	hw->cut_info = control->exit_int_info;
	tpr_leave(vcpu);
	if (unlikely(hw->event_written))
		svm_events_clear_injected(vcpu);
	if (unlikely(hw->nmi_lent) && !(control->int_ctl & SVM_V_NMI_PENDING))
		lent_nmi_taken(vcpu);
	/*
	 * Recover an interrupted event at every exit, even if a host interrupt has caused the exit:
	 * otherwise the event is lost.
	 */
	if (unlikely(hw->cut_info & SVM_EXITINTINFO_VALID))
		svm_events_cut_short(vcpu);
}

static u32 svm_exit_reason(const struct okvm_vcpu *vcpu)
{
	const u32 code = to_hw(vcpu)->exit_code;

	/* SVM_EXIT_NPF is far above all other codes: replace it by a small number. */
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

/*
 * Return true if a host interrupt has caused the last exit. The interrupt is still pending in the
 * host's local APIC: svm_host_interrupt() lets the CPU deliver it. Return false after a host NMI,
 * which has already been delivered at STGI.
 */
static bool svm_host_interrupted(const struct okvm_vcpu *vcpu)
{
	return to_hw(vcpu)->exit_code == SVM_EXIT_INTR;
}

static void svm_host_interrupt(struct okvm_vcpu *vcpu)
{
	local_irq_enable();
	/*
	 * STI takes effect at the end of the next instruction. If that were CLI, no interrupt would
	 * be delivered.
	 */
	cpu_relax();
	local_irq_disable();
}

/*
 * If an NMI waits for the end of an interrupt shadow, emulate the instruction in the shadow,
 * because SVM has no exit at the end of a shadow. If the emulator does not know the instruction,
 * hardware executes it, and the NMI is injected after a later exit.
 * Return: true if an instruction was emulated instead of a VMRUN
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

/*
 * If a machine check caused the last #VMEXIT, call the host's handler, with IRQs off. NMIs and
 * interrupts need no such call: #VMEXIT leaves them pending for the host.
 */
static __always_inline void svm_host_mce(struct okvm_vcpu *vcpu)
{
	if (unlikely(to_hw(vcpu)->exit_code == SVM_EXIT_EXCP_BASE + X86_TRAP_MC))
		okvm_host_machine_check();
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
	.host_nmi_mce = svm_host_mce,
	.debug_put = svm_debug_put,
	.loads_dr6 = true,
	.isa = TRACE_ISA_SVM,
};

OKVM_EXPORT_FOR_KUNIT(svm_enter);

int svm_run(struct okvm_vcpu *vcpu)
{
	return stay_run(vcpu, &svm_stay_ops);
}
