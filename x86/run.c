// SPDX-License-Identifier: GPL-2.0-only
/*
 * The x86 part of KVM_RUN: begin and end KVM_RUN, end blocking, and serve requests.
 */
#include <asm/processor-flags.h>

#include <uapi/asm/kvm_para.h>

#include "core/arch.h"
#include "core/watch.h"
#include "irq/needs.h"
#include "mmu/hw_ops.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/event.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/insn.h"
#include "x86/pv/async_pf.h"
#include "x86/pv/pv.h"
#include "x86/run.h"
#include "x86/time/pvclock.h"
#include "x86/uapi/state.h"

/* ---- blocking ---- */

int okvm_arch_vcpu_unblocked(struct okvm_vcpu *vcpu, bool runnable)
{
	/*
	 * If an INIT, a SIPI or a timer tick is pending, the code below decides whether HLT ends.
	 * In all other cases HLT ends if @runnable is true, even if the event has gone since
	 * okvm_vcpu_block() has seen it. For example, KVM_IRQ_LINE may have lowered a
	 * level-triggered line of the PIC. HLT then ends without an interrupt, as with upstream
	 * KVM.
	 */
	if (okvm_lapic_in_kernel(vcpu) &&
	    (okvm_apic_has_events(vcpu) || okvm_apic_timer_pending(vcpu)))
		runnable = false;
	/* An INIT resets the vCPU, and the reset may access memory slots: hold vm->srcu. */
	okvm_vcpu_srcu_lock(vcpu);
	okvm_vcpu_accept_events(vcpu);
	okvm_vcpu_srcu_unlock(vcpu);
	/*
	 * A timer tick alone does not end HLT. Raise its interrupt, which ends HLT if the guest can
	 * take it.
	 */
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_inject(vcpu);
	okvm_end_halt(vcpu, runnable);
	return okvm_arch_vcpu_can_enter(vcpu) ? OKVM_RESUME : -EAGAIN;
}

void okvm_arch_blocks(struct okvm_vcpu *vcpu, bool begins)
{
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_place(vcpu, !begins);
}

bool okvm_arch_in_kernel_mode(struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch->preempted_in_kernel);
}

/* ---- requests ---- */

void okvm_arch_ioapic_eoi_user(struct okvm_vcpu *vcpu, u8 vector)
{
	vcpu->arch->eoi_user_vector = vector;
	okvm_request(OKVM_REQ_EOI_EXIT, vcpu);
}

static int run_eoi_exit(struct okvm_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
	vcpu->run->eoi.vector = vcpu->arch->eoi_user_vector;
	return OKVM_USER;
}

void okvm_arch_tpr_access(struct okvm_vcpu *vcpu, bool write)
{
	vcpu->arch->tpr_rip = okvm_rip(vcpu);
	vcpu->arch->tpr_write = write;
	okvm_request(OKVM_REQ_TPR_EXIT, vcpu);
}

static int run_tpr_exit(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_TPR_ACCESS;
	run->tpr_access.rip = vcpu->arch->tpr_rip;
	run->tpr_access.is_write = vcpu->arch->tpr_write;
	run->tpr_access.pad = 0;
	return OKVM_USER;
}

#define USER_EXITS	(BIT(OKVM_REQ_EOI_EXIT) | BIT(OKVM_REQ_TPR_EXIT))

/*
 * If OKVM_REQ_TPR_EXIT or OKVM_REQ_EOI_EXIT is pending, exit to userspace. If both are pending,
 * serve only OKVM_REQ_TPR_EXIT; the other one stays pending until the next KVM_RUN.
 */
static int run_user_exit(struct okvm_vcpu *vcpu)
{
	return okvm_take_request(OKVM_REQ_TPR_EXIT, vcpu) ? run_tpr_exit(vcpu) :
	       okvm_take_request(OKVM_REQ_EOI_EXIT, vcpu) ? run_eoi_exit(vcpu) : OKVM_RESUME;
}

static void run_serve_paravirt(struct okvm_vcpu *vcpu)
{
	if (okvm_take_request(OKVM_REQ_CLOCK, vcpu))
		okvm_pvclock_update(vcpu);
	if (okvm_take_request(OKVM_REQ_STEAL, vcpu))
		okvm_steal_update(vcpu);
	if (okvm_take_request(OKVM_REQ_APF_READY, vcpu))
		okvm_apf_ready(vcpu);
}

static int run_serve_memory(struct okvm_vcpu *vcpu)
{
	const struct okvm_mmu_ops *ops = vcpu->vm->backend->mmu;
	int err;

	if (okvm_take_request(OKVM_REQ_MMU_RELOAD, vcpu)) {
		err = okvm_mmu_load(vcpu);
		if (err) {
			okvm_request(OKVM_REQ_MMU_RELOAD, vcpu);
			return err;
		}
	}
	if (okvm_take_request(OKVM_REQ_TLB_FLUSH, vcpu)) {
		/*
		 * With EPT or NPT this flush is all that OKVM_REQ_TLB_GUEST asks for. With shadow
		 * paging that request must also synchronize the shadow tables, so it is served
		 * below.
		 */
		if (!okvm_mmu_is_shadow(vcpu->vm))
			clear_bit(OKVM_REQ_TLB_GUEST, &vcpu->requests);
		vcpu->stat[OKVM_STAT_TLB_FLUSH]++;
		ops->flush_tlb(vcpu, OKVM_TLB_ALL, 0);
	}
	if (okvm_take_request(OKVM_REQ_TLB_GUEST, vcpu)) {
		vcpu->stat[OKVM_STAT_TLB_FLUSH]++;
		okvm_mmu_invalidate(vcpu, OKVM_INVPCID_ALL, 0, 0);
	}
	return OKVM_RESUME;
}

static void run_serve_apic(struct okvm_vcpu *vcpu)
{
	const struct okvm_cpu_ops *ops = vcpu->arch->ops;

	if (okvm_take_request(OKVM_REQ_APICV, vcpu))
		ops->update_intercepts(vcpu, OKVM_ICPT_APIC | OKVM_ICPT_MSRS |
					   OKVM_ICPT_CONTROLS);
	if (okvm_take_request(OKVM_REQ_EOI_MAP, vcpu) && okvm_lapic_in_kernel(vcpu))
		okvm_apic_eoi_exit_map(vcpu, vcpu->arch->eoi_exit_bitmap);
	if (okvm_take_request(OKVM_REQ_MSR_FILTER, vcpu))
		ops->update_intercepts(vcpu, OKVM_ICPT_MSRS);
	if (okvm_take_request(OKVM_REQ_TIMER, vcpu) && okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_inject(vcpu);
}

/*
 * Return true if an INT n has to be injected whose instruction length is unknown. Userspace sets
 * such an event with KVM_SET_VCPU_EVENTS, which has no field for the length. okvm must decode the
 * instruction to get the length, which depends on prefixes.
 */
static bool soft_irq_without_len(const struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	return unlikely(ev->irq.injected && ev->irq.soft && !ev->insn_len);
}

static void run_serve_events(struct okvm_vcpu *vcpu)
{
	if (soft_irq_without_len(vcpu))
		vcpu->arch->ev.insn_len = okvm_int_len(vcpu);
	if (okvm_take_request(OKVM_REQ_NMI, vcpu))
		okvm_take_nmis(vcpu);
	if (!okvm_take_request(OKVM_REQ_EVENT, vcpu))
		return;
	okvm_vcpu_accept_events(vcpu);
	if (okvm_arch_vcpu_can_enter(vcpu))
		okvm_inject_events(vcpu);
}

static int run_serve(struct okvm_vcpu *vcpu)
{
	int err = run_serve_memory(vcpu);

	if (err)
		return err;
	run_serve_paravirt(vcpu);
	if (okvm_take_request(OKVM_REQ_TRIPLE_FAULT, vcpu))
		return okvm_shutdown_exit(vcpu);
	run_serve_apic(vcpu);
	if (unlikely(READ_ONCE(vcpu->requests) & USER_EXITS))
		return run_user_exit(vcpu);
	run_serve_events(vcpu);
	return OKVM_RESUME;
}

int okvm_arch_serve_requests(struct okvm_vcpu *vcpu)
{
	int outcome;

	if (okvm_test_request(OKVM_REQ_DEAD, vcpu))
		return -EIO;
	if (!(okvm_apic_pv_eoi_msr(vcpu) & KVM_MSR_ENABLED) && !soft_irq_without_len(vcpu) &&
	    !(okvm_watching() && okvm_apic_has_vapic(vcpu)) && okvm_serve_fast(vcpu))
		return OKVM_RESUME;
	/* Clear the requests that only make a vCPU exit or wake up: the vCPU has done so. */
	okvm_take_request(OKVM_REQ_UNBLOCK, vcpu);
	okvm_take_request(OKVM_REQ_EXIT, vcpu);
	okvm_take_request(OKVM_REQ_PV, vcpu);
	okvm_vcpu_srcu_lock(vcpu);
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_pv_eoi_exit(vcpu);
	outcome = run_serve(vcpu);
	if (outcome == OKVM_RESUME && okvm_lapic_in_kernel(vcpu)) {
		okvm_apic_pv_eoi_enter(vcpu);
		if (okvm_watching())
			okvm_apic_vapic_push(vcpu);
	}
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}

/* Requests that okvm_serve_fast() serves: interrupts and LAPIC timer ticks of a running vCPU. */
#define FAST_REQUESTS	(BIT(OKVM_REQ_EVENT) | BIT(OKVM_REQ_TIMER))

bool okvm_serve_fast(struct okvm_vcpu *vcpu)
{
	/*
	 * IRQs may be off here, so this function must not sleep. Fetching an interrupt takes the
	 * PIC's lock, which is a sleeping lock on a real-time kernel: return false there.
	 */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || READ_ONCE(vcpu->requests) & ~FAST_REQUESTS ||
	    !okvm_lapic_in_kernel(vcpu) ||
	    (vcpu->vm->caps & (OKVM_HW_UNRESTRICTED | OKVM_HW_TDP)) == OKVM_HW_TDP ||
	    okvm_apic_needs_slow(vcpu) ||
	    vcpu->arch->mp_state != KVM_MP_STATE_RUNNABLE)
		return false;
	if (okvm_take_request(OKVM_REQ_TIMER, vcpu))
		okvm_apic_timer_inject(vcpu);
	if (okvm_take_request(OKVM_REQ_EVENT, vcpu))
		okvm_inject_events(vcpu);
	return !okvm_has_requests(vcpu);
}

/* ---- beginning and end of KVM_RUN ---- */

/*
 * Return true if the guest can take an interrupt of userspace's interrupt controller at once: IF is
 * set, there is no interrupt shadow, no event is being delivered, and no exception or KVM_INTERRUPT
 * is pending. If the LAPIC is in the kernel, it must accept interrupts of a PIC.
 */
static bool ready_for_irq(struct okvm_vcpu *vcpu)
{
	const struct okvm_events *ev = &vcpu->arch->ev;

	if (ev->exc.pending || ev->exc.injected || ev->nmi_injected || ev->irq.injected ||
	    ev->user_irq >= 0)
		return false;
	if (okvm_lapic_in_kernel(vcpu) && !okvm_apic_accepts_pic(vcpu))
		return false;
	return okvm_irq_allowed(vcpu);
}

bool okvm_arch_user_window_open(struct okvm_vcpu *vcpu)
{
	return okvm_irqchip_mode(vcpu->vm) != OKVM_IRQCHIP_KERNEL && ready_for_irq(vcpu);
}

int okvm_arch_run_begin(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int err;

	/*
	 * The last exit may have left an instruction incomplete: then KVM_RUN begins in the middle
	 * of it.
	 */
	vcpu->arch->between_insns = false;
	okvm_fpu_load(vcpu);
	if (READ_ONCE(run->kvm_valid_regs) | READ_ONCE(run->kvm_dirty_regs)) {
		okvm_vcpu_srcu_lock(vcpu);
		err = okvm_sync_regs_load(vcpu);
		okvm_vcpu_srcu_unlock(vcpu);
		if (err)
			return err;
	}
	if (!okvm_lapic_in_kernel(vcpu) && okvm_set_cr8(vcpu, READ_ONCE(run->cr8)))
		return okvm_refuse_vcpu(vcpu, "kvm_run: cr8 is above 15");
	if (READ_ONCE(run->request_interrupt_window))
		okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

void okvm_arch_run_end(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	/*
	 * Userspace may save guest memory after KVM_RUN. The PV EOI flag in guest memory lets the
	 * guest skip an EOI: clear the flag before userspace can save it.
	 */
	if (okvm_lapic_in_kernel(vcpu) && unlikely(okvm_apic_needs_slow(vcpu))) {
		okvm_vcpu_srcu_lock(vcpu);
		okvm_apic_pv_eoi_exit(vcpu);
		okvm_vcpu_srcu_unlock(vcpu);
	}
	if (vcpu->arch->fpu_loaded)
		okvm_fpu_put(vcpu);
	if (READ_ONCE(run->kvm_valid_regs))
		okvm_sync_regs_store(vcpu);
	run->if_flag = !!(okvm_rflags(vcpu) & X86_EFLAGS_IF);
	run->cr8 = okvm_get_cr8(vcpu);
	run->apic_base = okvm_get_apic_base(vcpu);
	run->ready_for_interrupt_injection =
		okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_KERNEL || ready_for_irq(vcpu);
}
