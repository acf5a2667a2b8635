/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Enter the guest and leave it. A stay in the guest begins when okvm switches IRQs off and ends
 * when IRQs are on again. It has one or more VM entries, with fast exits (handled with IRQs off)
 * between them. The steps that every CPU needs are in this file. The steps of one vendor are in
 * struct okvm_stay_ops. Each backend defines its ops as a constant, so that the compiler calls them
 * directly and inlines them.
 *
 * Each function *_enter in this file has a counterpart *_leave. The leave functions run in the
 * reverse order of the enter functions, except time_leave(), which comes last.
 *
 * Upstream prepares everything for each VM entry. okvm splits the preparation. Once per stay,
 * stay_enter() sets up the state that only host code with IRQs on can change. For each VM entry,
 * the backend's enter() sets up the state that a fast exit can change. Thread flags are read before
 * each VM entry: the handler of a fast exit may wake a task, and so set a flag of the vCPU thread
 * without an IPI. If another CPU sets a flag later, it sends an IPI, which ends guest mode.
 */
#ifndef OKVM_X86_STAY_H
#define OKVM_X86_STAY_H

#include <linux/context_tracking.h>
#include <linux/hw_breakpoint.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/thread_info.h>
#include <linux/vtime.h>

#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/special_insns.h>
#include <uapi/asm/kvm_para.h>

#include "core/arch.h"
#include "core/compat.h"
#include "core/watch.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/run.h"

#define STAY_THREAD_WORK	(OKVM_TIF_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | \
				 _TIF_NOTIFY_RESUME)

/**
 * struct okvm_stay_ops - a backend's functions for a stay
 *
 * All are called with IRQs off, except @instead and @exit_slow.
 *
 * @instead: called with IRQs on: if hardware cannot run the guest in the guest's current state,
 *	emulate, store the outcome in *outcome and return true; otherwise return false
 * @event_waits: return true if the next VM entry injects an event
 * @host_enter: save the host's values that guest values will replace; first step of a stay
 * @guest_enter: last step before the first VM entry
 * @guest_leave: first step after the last VM exit
 * @enter: enter the guest; return after the next VM exit
 * @exit_reason: return the last exit's reason, for counters
 * @exit_info: describe the last exit, for tracepoints
 * @only_fast: return true if @exit_fast must handle the last exit, because @exit_slow cannot
 * @exit_fast: handle the last exit and return true, or return false if that needs IRQs on
 * @exit_slow: called with IRQs on: handle the last exit and return an outcome
 * @host_interrupted: return true if a host interrupt caused the last exit
 * @host_interrupt: run the handler of the host interrupt that caused the last exit; return with
 *	IRQs off
 * @host_nmi_mce: run the host's NMI or machine-check handler if one caused the last exit
 * @debug_put: called after the guest could access the CPU's debug registers without exits: save DR6
 *	and DR7 in vcpu->arch, and intercept accesses again
 * @loads_dr6: true if VM entries and VM exits of this hardware load DR6
 * @isa: TRACE_ISA_*, which the tracepoint kvm_exit reports
 */
struct okvm_stay_ops {
	bool (*instead)(struct okvm_vcpu *vcpu, int *outcome);
	bool (*event_waits)(const struct okvm_vcpu *vcpu);
	void (*host_enter)(struct okvm_vcpu *vcpu);
	void (*guest_enter)(struct okvm_vcpu *vcpu);
	void (*guest_leave)(struct okvm_vcpu *vcpu);
	void (*enter)(struct okvm_vcpu *vcpu);
	u32 (*exit_reason)(const struct okvm_vcpu *vcpu);
	void (*exit_info)(struct okvm_vcpu *vcpu, struct okvm_exit_info *info);
	bool (*only_fast)(const struct okvm_vcpu *vcpu);
	bool (*exit_fast)(struct okvm_vcpu *vcpu);
	int (*exit_slow)(struct okvm_vcpu *vcpu);
	bool (*host_interrupted)(const struct okvm_vcpu *vcpu);
	void (*host_interrupt)(struct okvm_vcpu *vcpu);
	void (*host_nmi_mce)(struct okvm_vcpu *vcpu);
	void (*debug_put)(struct okvm_vcpu *vcpu);
	bool loads_dr6;
	u32 isa;
};

/* ---- extended state: switched only if the guest's differs from the host's ---- */

extern u64 okvm_host_xcr0, okvm_host_xss;
/** okvm_stay_init() - Record the host's XCR0 and XSS; called before the first VM entry */
void okvm_stay_init(void);
/** okvm_xcr_switch() - Load the guest's (@guest) or the host's XCR0 and XSS */
void okvm_xcr_switch(const struct okvm_arch_vcpu *arch, bool guest);

static __always_inline void xcr_load(const struct okvm_arch_vcpu *arch, bool guest)
{
	if (arch->cr4 & X86_CR4_OSXSAVE &&
	    unlikely(arch->xcr0 != okvm_host_xcr0 || arch->ia32_xss != okvm_host_xss))
		okvm_xcr_switch(arch, guest);
}

/*
 * Return true if the guest can access PKRU. RDPKRU and WRPKRU need CR4.PKE. If XCR0.PKRU is set,
 * XSAVE and XRSTOR access PKRU even without CR4.PKE. The guest cannot change CR4.PKE or CR4.OSXSAVE
 * without a VM exit, so both bits of arch->cr4 are current.
 */
static __always_inline bool guest_reaches_pkru(const struct okvm_arch_vcpu *arch)
{
	if (!static_cpu_has(X86_FEATURE_OSPKE))
		return false;
	return arch->cr4 & X86_CR4_PKE ||
	       (arch->cr4 & X86_CR4_OSXSAVE && arch->xcr0 & XFEATURE_MASK_PKRU);
}

static __always_inline void xstate_enter(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	okvm_fpu_enter(vcpu);
	xcr_load(arch, true);
	if (!guest_reaches_pkru(arch))
		return;
	arch->stay.host_pkru = rdpkru();
	if (arch->pkru != arch->stay.host_pkru)
		wrpkru(arch->pkru);
}

static __always_inline void xstate_leave(struct okvm_vcpu *vcpu)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (guest_reaches_pkru(arch)) {
		arch->pkru = rdpkru();
		if (arch->pkru != arch->stay.host_pkru)
			wrpkru(arch->stay.host_pkru);
	}
	xcr_load(arch, false);
	okvm_fpu_leave(vcpu);
}

/* ---- debug registers ---- */

static __always_inline bool debug_wanted(const struct okvm_arch_vcpu *arch)
{
	unsigned long dr7 = arch->guest_debug & KVM_GUESTDBG_USE_HW_BP ? arch->guest_debug_dr7 :
									 arch->dr7;

	return arch->debug_regs_live || dr7 & DR_GLOBAL_ENABLE_MASK ||
	       dr7 & DR_LOCAL_ENABLE_MASK;
}

static __always_inline void debug_enter(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	okvm_host_breakpoints_save(arch->stay.host_db);
	if (likely(!debug_wanted(arch)))
		return;
	set_debugreg(0, 7);
	set_debugreg(arch->eff_db[0], 0);
	set_debugreg(arch->eff_db[1], 1);
	set_debugreg(arch->eff_db[2], 2);
	set_debugreg(arch->eff_db[3], 3);
	if (!ops->loads_dr6 && arch->debug_regs_live)
		set_debugreg(arch->dr6, 6);
	arch->stay.dr_loaded = true;
}

/*
 * Called if the guest could access the CPU's debug registers without exits: copy the registers to
 * vcpu->arch and intercept accesses to them again.
 */
static __always_inline void debug_take_over(struct okvm_vcpu *vcpu,
					    const struct okvm_stay_ops *ops)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	get_debugreg(arch->db[0], 0);
	get_debugreg(arch->db[1], 1);
	get_debugreg(arch->db[2], 2);
	get_debugreg(arch->db[3], 3);
	arch->debug_regs_live = false;
	ops->debug_put(vcpu);
	okvm_update_dr7(vcpu);
}

/*
 * Set DR0-DR3 and DR6 to neutral values after the guest has used them. Otherwise DR6 could mislead
 * the host's #DB handler in two ways. A host #DB need not clear the bits that the guest has left in
 * DR6. And a #DB may report in DR6 a match with the guest's DR0-DR3, even if DR7 does not enable
 * that breakpoint.
 */
static __always_inline void debug_neutral(void)
{
	set_debugreg(0, 0);
	set_debugreg(0, 1);
	set_debugreg(0, 2);
	set_debugreg(0, 3);
	set_debugreg(DR6_RESERVED, 6);
}

static __always_inline void debug_leave(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	struct okvm_arch_vcpu *arch = vcpu->arch;

	if (unlikely(arch->stay.dr_loaded)) {
		arch->stay.dr_loaded = false;
		if (arch->debug_regs_live)
			debug_take_over(vcpu, ops);
		debug_neutral();
	}
	/* A VM exit disables all breakpoints in DR7: enable the breakpoints of the host again. */
	if (unlikely(hw_breakpoint_active()))
		okvm_host_breakpoints_restore(arch->stay.host_db);
}

/* ---- CR2, for a backend whose VM entries and VM exits do not switch CR2 ---- */

static __always_inline void cr2_enter(const struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->cr2 != native_read_cr2())
		native_write_cr2(vcpu->arch->cr2);
}

static __always_inline void cr2_leave(struct okvm_vcpu *vcpu)
{
	vcpu->arch->cr2 = native_read_cr2();
}

/* ---- guest time for the kernel's accounting, and quiescent states for RCU ---- */

/* Account guest time from here on, and report a quiescent state to RCU once per tick. */
static __always_inline void time_enter(struct okvm_vcpu *vcpu)
{
	unsigned long now = READ_ONCE(jiffies);

	vtime_account_guest_enter();
	if (likely(vcpu->arch->stay.rcu_reported == now) || context_tracking_enabled_this_cpu())
		return;
	vcpu->arch->stay.rcu_reported = now;
	okvm_rcu_note_guest();
}

/* Run the host's IRQ handler before guest time ends, so that a timer tick counts as guest time. */
static __always_inline void time_leave(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	/*
	 * True if a host interrupt caused the VM exit. After other VM exits the guest may be in the
	 * middle of an instruction.
	 */
	vcpu->arch->between_insns = ops->host_interrupted(vcpu);
	if (ops->host_interrupted(vcpu))
		ops->host_interrupt(vcpu);
	vtime_account_guest_exit();
}

/* ---- vcpu->mode, by which requesters decide whether to send an IPI ---- */

/*
 * Return true if two events are due: the VMCS or VMCB already has one for the next VM entry, and an
 * exception waits in arch->ev. The vCPU must then enter the guest, so that the CPU delivers the
 * first event, and must exit at once to get the exception injected.
 */
static __always_inline bool event_behind_event(const struct okvm_vcpu *vcpu,
					       const struct okvm_stay_ops *ops)
{
	return ops->event_waits(vcpu) && vcpu->arch->ev.exc.pending;
}

static __always_inline bool must_not_enter(const struct okvm_vcpu *vcpu,
					   const struct okvm_stay_ops *ops)
{
	unsigned long requests = READ_ONCE(vcpu->requests);

	if (unlikely(requests)) {
		if (requests != BIT(OKVM_REQ_EVENT) || !event_behind_event(vcpu, ops))
			return true;
		smp_send_reschedule(raw_smp_processor_id());
	}
	return read_thread_flags() & STAY_THREAD_WORK;
}

/*
 * Set the mode to IN_GUEST and return true. If the vCPU must not enter the guest, set the mode back
 * to OUTSIDE_GUEST and return false.
 */
static __always_inline bool mode_enter(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	/* Write the mode before requests are read. Pairs with smp_mb() in request.c. */
	smp_store_mb(vcpu->mode, OKVM_IN_GUEST);
	if (likely(!must_not_enter(vcpu, ops)))
		return true;
	WRITE_ONCE(vcpu->mode, OKVM_OUTSIDE_GUEST);
	return false;
}

static __always_inline void mode_leave(struct okvm_vcpu *vcpu)
{
	/*
	 * The release orders the guest's memory accesses before this store. A requester that reads
	 * OUTSIDE_GUEST does not wait for the vCPU, and may free what the guest has accessed.
	 */
	smp_store_release(&vcpu->mode, OKVM_OUTSIDE_GUEST);
}

/* ---- the stay ---- */

/* Load the guest's state before the stay's first VM entry. Called after mode_enter(). */
static __always_inline void stay_enter(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	ops->host_enter(vcpu);
	xstate_enter(vcpu);
	debug_enter(vcpu, ops);
	if (unlikely(vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP))
		vcpu->arch->event_ops->set_irq_shadow(vcpu, 0);
	ops->guest_enter(vcpu);
	time_enter(vcpu);
}

static __always_inline void stay_leave(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	ops->guest_leave(vcpu);
	debug_leave(vcpu, ops);
	xstate_leave(vcpu);
	okvm_note_guest_ran();
	mode_leave(vcpu);
	ops->host_nmi_mce(vcpu);
	time_leave(vcpu, ops);
}

static __always_inline void stay_count_exit(struct okvm_vcpu *vcpu, u32 reason)
{
	if (unlikely(reason >= OKVM_NR_EXIT_REASONS))
		reason = OKVM_NR_EXIT_REASONS - 1;
	vcpu->exit_count[reason]++;
}

/**
 * okvm_serve_requests_fast() - Call okvm_serve_fast() until no request is pending
 * Called with IRQs off. Return: true if no request is pending and the mode is IN_GUEST
 */
bool okvm_serve_requests_fast(struct okvm_vcpu *vcpu);

/** okvm_watch_entry() - Emit the tracepoints of a VM entry and record its time; IRQs off */
void okvm_watch_entry(struct okvm_vcpu *vcpu);
/**
 * okvm_watch_exit() - Emit the tracepoints of a VM exit and record its time
 *
 * Called with IRQs off.
 *
 * Return: true if @ops->exit_slow must handle the exit. There are two reasons:
 * 1. A tracepoint is enabled that only slow handlers emit.
 * 2. The VMM has set an address with KVM_SET_VAPIC_ADDR, and the guest may have written its task
 * priority there. okvm_watch_left() must read it, with IRQs on, before the exit is handled.
 */
bool okvm_watch_exit(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops);
/**
 * okvm_watch_left() - After a stay, read the task priority at the address of KVM_SET_VAPIC_ADDR
 *
 * Called without vm->srcu: the function itself takes vm->srcu.
 */
void okvm_watch_left(struct okvm_vcpu *vcpu);

/*
 * Enter the guest and handle its fast exits, until an exit needs IRQs on, or until a request or a
 * thread flag is pending. Return true if the last exit has been handled.
 */
static __always_inline bool stay_fast_exits(struct okvm_vcpu *vcpu,
					    const struct okvm_stay_ops *ops)
{
	unsigned int served = 0;
	bool slow;

	do {
		if (okvm_watching())
			okvm_watch_entry(vcpu);
		ops->enter(vcpu);
		stay_count_exit(vcpu, ops->exit_reason(vcpu));
		slow = (okvm_watching() && okvm_watch_exit(vcpu, ops)) || !ops->exit_fast(vcpu);
		if (slow)
			break;
		served++;
		/* A fast exit that wakes a task may set a thread flag here without an IPI. */
	} while ((likely(!okvm_has_requests(vcpu)) || okvm_serve_requests_fast(vcpu)) &&
		 likely(!(read_thread_flags() & STAY_THREAD_WORK)));
	vcpu->stat[OKVM_STAT_FAST_EXITS] += served;
	vcpu->stat[OKVM_STAT_EXITS] += served + slow;
	return !slow;
}

/*
 * After a stay whose last exit needs nothing more: may the next stay begin at once? Otherwise
 * KVM_RUN's loop has to do something first. mode_enter() tests for work of the thread.
 */
static __always_inline bool stay_again(struct okvm_vcpu *vcpu)
{
	if (okvm_watching() || READ_ONCE(vcpu->run->request_interrupt_window))
		return false;
	return !okvm_has_requests(vcpu) ||
	       (!(okvm_apic_pv_eoi_msr(vcpu) & KVM_MSR_ENABLED) && okvm_serve_fast(vcpu));
}

/** stay_run() - Implement struct okvm_backend's run(): enter the guest and handle its slow exits */
static __always_inline int stay_run(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	bool served;
	int outcome;

	for (;;) {
		if (unlikely(ops->instead(vcpu, &outcome))) {
			if (okvm_watching())
				okvm_watch_left(vcpu);
			return outcome;
		}
		local_irq_disable();
		if (unlikely(!mode_enter(vcpu, ops))) {
			local_irq_enable();
			return OKVM_RESUME;
		}
		stay_enter(vcpu, ops);
		served = stay_fast_exits(vcpu, ops);
		stay_leave(vcpu, ops);
		local_irq_enable();
		if (okvm_watching())
			okvm_watch_left(vcpu);
		if (served || ops->host_interrupted(vcpu)) {
			if (stay_again(vcpu))
				continue;
			return OKVM_RESUME;
		}
		outcome = ops->exit_slow(vcpu);
		if (outcome != OKVM_RESUME)
			return outcome;
		if (!okvm_arch_vcpu_can_enter(vcpu) ||
		    READ_ONCE(vcpu->run->request_interrupt_window))
			return OKVM_RESUME;
	}
}

#endif /* OKVM_X86_STAY_H */
