// SPDX-License-Identifier: GPL-2.0-only
/*
 * The x86 side of the run loop: what happens at the ends of KVM_RUN, serving
 * requests, and the states a vCPU can be in (MP states).
 */
#include <asm/processor-flags.h>

#include "x86/internal.h"

/* ---- MP states ---- */

bool okvm_is_bsp(const struct okvm_vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->bsp_vcpu_id;
}

bool okvm_arch_vcpu_uninitialized(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mp_state == KVM_MP_STATE_UNINITIALIZED;
}

bool okvm_arch_vcpu_can_enter(struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mp_state == KVM_MP_STATE_RUNNABLE && likely(!vcpu->arch->apf_halted);
}

/* SDM "MP Initialization Protocol Algorithm": where an AP starts. */
static void run_start_at_sipi(struct okvm_vcpu *vcpu, u8 vector)
{
	const struct okvm_backend *backend = vcpu->vm->backend;
	struct kvm_segment cs;

	backend->get_segment(vcpu, &cs, OKVM_SEG_CS);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	backend->set_segment(vcpu, &cs, OKVM_SEG_CS);
	okvm_rip_set(vcpu, 0);
}

/* One KVM_HC_KICK_CPU ends one halt: nothing is left of it when the vCPU is runnable. */
void okvm_set_mp_state(struct okvm_vcpu *vcpu, u32 state)
{
	if (state == KVM_MP_STATE_RUNNABLE)
		okvm_pv_clear_unhalted(vcpu);
	WRITE_ONCE(vcpu->arch->mp_state, state);
}

int okvm_vcpu_accept_events(struct okvm_vcpu *vcpu)
{
	u8 vector;

	if (!okvm_lapic_in_kernel(vcpu) || !okvm_apic_has_events(vcpu))
		return 0;
	if (okvm_apic_take_init(vcpu)) {
		okvm_vcpu_reset(vcpu, true);
		okvm_set_mp_state(vcpu, okvm_is_bsp(vcpu) ? KVM_MP_STATE_RUNNABLE :
							    KVM_MP_STATE_INIT_RECEIVED);
	}
	if (okvm_apic_take_sipi(vcpu, &vector) &&
	    vcpu->arch->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		run_start_at_sipi(vcpu, vector);
		okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	}
	return 0;
}

/* What wakes HLT (SDM "HLT - Halt") */
static bool run_has_event(struct okvm_vcpu *vcpu)
{
	struct okvm_events *ev = &vcpu->arch->ev;

	if (ev->exc.pending || okvm_test_request(OKVM_REQ_TRIPLE_FAULT, vcpu))
		return true;
	if ((ev->nmi_pending || okvm_test_request(OKVM_REQ_NMI, vcpu)) &&
	    !vcpu->vm->backend->nmi_masked(vcpu))
		return true;
	if (okvm_pv_unhalted(vcpu))
		return true;
	if (okvm_lapic_in_kernel(vcpu) && okvm_apic_timer_pending(vcpu))
		return true;
	return okvm_has_injectable_irq(vcpu) && okvm_irq_allowed(vcpu);
}

bool okvm_arch_vcpu_runnable(struct okvm_vcpu *vcpu)
{
	if (okvm_lapic_in_kernel(vcpu) && okvm_apic_has_events(vcpu))
		return true;
	switch (vcpu->arch->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return !vcpu->arch->apf_halted || run_has_event(vcpu);
	case KVM_MP_STATE_HALTED:
		return run_has_event(vcpu);
	default:
		return false;
	}
}

/* HLT, or the wait for a page in its place */
static bool run_halted(const struct okvm_vcpu *vcpu)
{
	return vcpu->arch->mp_state == KVM_MP_STATE_HALTED || vcpu->arch->apf_halted;
}

int okvm_arch_vcpu_unblocked(struct okvm_vcpu *vcpu)
{
	/* INIT resets what looks at slots and routes. */
	okvm_vcpu_srcu_lock(vcpu);
	okvm_vcpu_accept_events(vcpu);
	okvm_vcpu_srcu_unlock(vcpu);
	/* A tick only ends HLT if its interrupt can be taken. */
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_inject(vcpu);
	if (run_halted(vcpu) && run_has_event(vcpu)) {
		vcpu->arch->apf_halted = false;
		/* A wait for a page is no HLT: a kick for the next HLT stays. */
		if (vcpu->arch->mp_state == KVM_MP_STATE_HALTED)
			okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
		okvm_request(OKVM_REQ_EVENT, vcpu);
	}
	return okvm_arch_vcpu_can_enter(vcpu) ? OKVM_RESUME : -EAGAIN;
}

int okvm_halt(struct okvm_vcpu *vcpu, int passed)
{
	vcpu->stat[OKVM_STAT_HALT_EXITS]++;
	if (!okvm_lapic_in_kernel(vcpu)) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		return OKVM_USER;
	}
	okvm_apic_pv_eoi_exit(vcpu);
	okvm_apic_timer_inject(vcpu);
	if (run_has_event(vcpu)) {
		/* An event that waits already ends HLT at once. */
		okvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
		okvm_request(OKVM_REQ_EVENT, vcpu);
	} else {
		okvm_set_mp_state(vcpu, KVM_MP_STATE_HALTED);
	}
	return passed;
}

void okvm_arch_block_prepare(struct okvm_vcpu *vcpu)
{
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_to_sw(vcpu);
}

void okvm_arch_block_finish(struct okvm_vcpu *vcpu)
{
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_to_hw(vcpu);
}

bool okvm_arch_in_kernel_mode(struct okvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->arch->preempted_in_kernel);
}

bool okvm_arch_poll_allowed(struct okvm_vcpu *vcpu)
{
	/* Who waits for an INIT or a SIPI waits for long. */
	return run_halted(vcpu) && okvm_pv_poll_allowed(vcpu);
}

/* ---- requests ---- */

static int run_shutdown(struct okvm_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return OKVM_USER;
}

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

static void run_serve_paravirt(struct okvm_vcpu *vcpu)
{
	if (okvm_take_request(OKVM_REQ_CLOCK, vcpu))
		okvm_pvclock_update(vcpu);
	if (okvm_take_request(OKVM_REQ_STEAL, vcpu))
		okvm_steal_update(vcpu);
	if (okvm_take_request(OKVM_REQ_APF_READY, vcpu))
		okvm_apf_ready(vcpu);
}

static void run_serve_memory(struct okvm_vcpu *vcpu)
{
	const struct okvm_backend *backend = vcpu->vm->backend;

	if (okvm_take_request(OKVM_REQ_MMU_RELOAD, vcpu))
		okvm_mmu_load(vcpu);
	if (okvm_take_request(OKVM_REQ_TLB_FLUSH, vcpu)) {
		clear_bit(OKVM_REQ_TLB_GUEST, &vcpu->requests);
		vcpu->stat[OKVM_STAT_TLB_FLUSH]++;
		backend->flush_tlb(vcpu, OKVM_TLB_ALL, 0);
	}
	if (okvm_take_request(OKVM_REQ_TLB_GUEST, vcpu)) {
		vcpu->stat[OKVM_STAT_TLB_FLUSH]++;
		backend->flush_tlb(vcpu, OKVM_TLB_GUEST, 0);
	}
}

static void run_serve_apic(struct okvm_vcpu *vcpu)
{
	const struct okvm_backend *backend = vcpu->vm->backend;

	if (okvm_take_request(OKVM_REQ_APICV, vcpu))
		backend->update_intercepts(vcpu, OKVM_ICPT_APIC | OKVM_ICPT_MSRS |
					   OKVM_ICPT_CONTROLS);
	if (okvm_take_request(OKVM_REQ_EOI_MAP, vcpu) && okvm_lapic_in_kernel(vcpu)) {
		okvm_apic_eoi_exit_map(vcpu, vcpu->arch->eoi_exit_bitmap);
		backend->apic_sync(vcpu, OKVM_APIC_EOI_MAP, 0);
	}
	if (okvm_take_request(OKVM_REQ_MSR_FILTER, vcpu))
		backend->update_intercepts(vcpu, OKVM_ICPT_MSRS);
	if (okvm_take_request(OKVM_REQ_TIMER, vcpu) && okvm_lapic_in_kernel(vcpu))
		okvm_apic_timer_inject(vcpu);
}

static int run_serve_events(struct okvm_vcpu *vcpu)
{
	if (okvm_take_request(OKVM_REQ_NMI, vcpu))
		okvm_take_nmis(vcpu);
	if (!okvm_take_request(OKVM_REQ_EVENT, vcpu))
		return OKVM_RESUME;
	okvm_vcpu_accept_events(vcpu);
	if (!okvm_arch_vcpu_can_enter(vcpu))
		return OKVM_RESUME;
	return okvm_inject_events(vcpu);
}

static int run_serve(struct okvm_vcpu *vcpu)
{
	run_serve_memory(vcpu);
	run_serve_paravirt(vcpu);
	if (okvm_take_request(OKVM_REQ_TRIPLE_FAULT, vcpu))
		return run_shutdown(vcpu);
	run_serve_apic(vcpu);
	if (okvm_take_request(OKVM_REQ_EOI_EXIT, vcpu))
		return run_eoi_exit(vcpu);
	return run_serve_events(vcpu);
}

int okvm_arch_serve_requests(struct okvm_vcpu *vcpu)
{
	int outcome;

	if (okvm_test_request(OKVM_REQ_DEAD, vcpu))
		return -EIO;
	if (!okvm_apic_pv_eoi_wanted(vcpu) && okvm_serve_fast(vcpu))
		return OKVM_RESUME;
	/* These requests only make the vCPU look. */
	okvm_take_request(OKVM_REQ_UNBLOCK, vcpu);
	okvm_take_request(OKVM_REQ_EXIT, vcpu);
	okvm_take_request(OKVM_REQ_PV, vcpu);
	okvm_vcpu_srcu_lock(vcpu);
	if (okvm_lapic_in_kernel(vcpu))
		okvm_apic_pv_eoi_exit(vcpu);
	outcome = run_serve(vcpu);
	if (outcome == OKVM_RESUME && okvm_lapic_in_kernel(vcpu))
		okvm_apic_pv_eoi_enter(vcpu);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}

/* What the fast loop can serve: interrupts and ticks of a guest that runs and needs no memory. */
#define FAST_REQUESTS	(BIT(OKVM_REQ_EVENT) | BIT(OKVM_REQ_TIMER))

bool okvm_serve_fast(struct okvm_vcpu *vcpu)
{
	/* An interrupt may be the PIC's, whose lock sleeps on a real-time kernel. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || READ_ONCE(vcpu->requests) & ~FAST_REQUESTS ||
	    !okvm_lapic_in_kernel(vcpu) ||
	    !(vcpu->arch->caps & OKVM_CAP_UNRESTRICTED) || okvm_apic_needs_slow(vcpu) ||
	    vcpu->arch->mp_state != KVM_MP_STATE_RUNNABLE)
		return false;
	if (okvm_take_request(OKVM_REQ_TIMER, vcpu))
		okvm_apic_timer_inject(vcpu);
	if (okvm_take_request(OKVM_REQ_EVENT, vcpu))
		okvm_inject_events(vcpu);
	return !okvm_has_requests(vcpu);
}

/* ---- the ends of KVM_RUN ---- */

/*
 * With its own interrupt controller userspace may inject when nothing stands
 * between it and the guest: no shadow, no half-delivered event, no exception.
 */
bool okvm_ready_for_irq(struct okvm_vcpu *vcpu)
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
	return okvm_irqchip_mode(vcpu->vm) != OKVM_IRQCHIP_KERNEL && okvm_ready_for_irq(vcpu);
}

int okvm_arch_run_begin(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int err;

	/* An instruction that userspace took part in may have to be completed. */
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
		return -EINVAL;
	if (READ_ONCE(run->request_interrupt_window))
		okvm_request(OKVM_REQ_EVENT, vcpu);
	return 0;
}

void okvm_arch_run_end(struct okvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (vcpu->arch->fpu_loaded)
		okvm_fpu_put(vcpu);
	if (READ_ONCE(run->kvm_valid_regs))
		okvm_sync_regs_store(vcpu);
	run->if_flag = !!(okvm_rflags(vcpu) & X86_EFLAGS_IF);
	run->cr8 = okvm_get_cr8(vcpu);
	run->apic_base = okvm_get_apic_base(vcpu);
	run->ready_for_interrupt_injection =
		okvm_irqchip_mode(vcpu->vm) == OKVM_IRQCHIP_KERNEL || okvm_ready_for_irq(vcpu);
}

int okvm_internal_error(struct okvm_vcpu *vcpu, u32 suberror, u32 ndata, const u64 *data)
{
	struct kvm_run *run = vcpu->run;
	u32 i;

	ndata = min_t(u32, ndata, ARRAY_SIZE(run->internal.data));
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = ndata;
	for (i = 0; i < ndata; i++)
		run->internal.data[i] = data[i];
	return OKVM_USER;
}

int okvm_debug_exit(struct okvm_vcpu *vcpu, u8 vector, unsigned long dr6)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = vector;
	run->debug.arch.pc = okvm_linear_rip(vcpu);
	run->debug.arch.dr6 = dr6;
	run->debug.arch.dr7 = vcpu->arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ?
			      vcpu->arch->guest_debug_dr7 : vcpu->arch->dr7;
	return OKVM_USER;
}
