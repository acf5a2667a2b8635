/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stay in the guest: in, round the fast exits, and out again. What every CPU needs for that is
 * here, once; what one vendor's hardware wants is behind struct okvm_stay_ops, which a backend
 * gives as a constant, so that the compiler calls it directly and inlines it.
 *
 * What enters as a group of its own leaves as one, and leaves are in the reverse order of enters.
 *
 * Upstream prepares everything for each entry. Here an entry has two parts: what host code that
 * runs with IRQs on could have changed is checked once (stay_enter()), what a fast exit can change
 * is checked each time (the backend's enter()). Thread flags are among the latter: others who set
 * one for a CPU in guest mode send an IPI, but a fast exit that wakes a task may set one for its
 * own CPU.
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

#include "core/arch.h"
#include "core/compat.h"
#include "core/watch.h"
#include "x86/cpu/cr.h"
#include "x86/cpu/fpu.h"
#include "x86/run.h"

#define STAY_THREAD_WORK	(OKVM_TIF_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | \
				 _TIF_NOTIFY_RESUME)

/**
 * struct okvm_stay_ops - what a backend does in a stay; IRQs off unless a comment says otherwise
 * @instead: IRQs on: true if hardware cannot run this state; then the stay is *outcome
 * @event_waits: the next entry delivers an event
 * @host_enter: saves what the guest's values take the place of; the first thing of a stay
 * @guest_enter: the last thing before the first entry
 * @guest_leave: the first thing of a leave
 * @enter: once into the guest and out
 * @exit_reason: of the last exit, for counters; @exit_info: all about it, for traces
 * @only_fast: no other than @exit_fast serves it
 * @exit_fast: serves the exit; false if that needs IRQs on
 * @exit_slow: IRQs on: an outcome
 * @host_interrupted: a host's interrupt has ended the guest's run
 * @host_interrupt: runs the interrupt's handler; IRQs are off again after it
 * @host_nmi_mce: runs the handlers of NMIs and machine checks that the exit was for
 * @debug_put: the guest had its debug registers: dr6 and dr7 into vcpu->arch, intercept them again
 * @loads_dr6: entries and exits of hardware switch DR6
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
	u32 isa;		/* TRACE_ISA_* */
};

/* ---- extended state: only while the guest's differs ---- */

extern u64 okvm_host_xcr0, okvm_host_xss;
/** okvm_stay_init() - what the host has in XCR0 and XSS; before the first stay */
void okvm_stay_init(void);
/** okvm_xcr_switch() - XCR0 and XSS become the guest's or the host's */
void okvm_xcr_switch(const struct okvm_arch_vcpu *arch, bool guest);

static __always_inline void xcr_load(const struct okvm_arch_vcpu *arch, bool guest)
{
	if (arch->cr4 & X86_CR4_OSXSAVE &&
	    unlikely(arch->xcr0 != okvm_host_xcr0 || arch->ia32_xss != okvm_host_xss))
		okvm_xcr_switch(arch, guest);
}

/*
 * RDPKRU and WRPKRU need CR4.PKE; XSAVE and XRSTOR, with their kin, reach PKRU without it, by
 * XCR0 alone. Neither bit of CR4 is the guest's own, so that the copy is current.
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

	if (unlikely(hw_breakpoint_active()))
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

/* The guest moved to and from its registers without exits: take them over and intercept again. */
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
 * The CPU adds to DR6 and never clears it: what the guest left there would be taken for the reason
 * of the host's next #DB. Addresses in DR0-DR3 are compared with the host's accesses even if DR7
 * enables none of them.
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
	/* Exits disable all breakpoints in DR7. */
	if (unlikely(hw_breakpoint_active()))
		okvm_host_breakpoints_restore(arch->stay.host_db);
}

/* ---- CR2, where neither entries nor exits of hardware switch it ---- */

static __always_inline void cr2_enter(const struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->cr2 != native_read_cr2())
		native_write_cr2(vcpu->arch->cr2);
}

static __always_inline void cr2_leave(struct okvm_vcpu *vcpu)
{
	vcpu->arch->cr2 = native_read_cr2();
}

/* ---- the kernel's time: vtime, and RCU, for which running a guest is a quiescent state ---- */

/* One report per tick is enough. */
static __always_inline void time_enter(struct okvm_vcpu *vcpu)
{
	unsigned long now = READ_ONCE(jiffies);

	vtime_account_guest_enter();
	if (likely(vcpu->arch->stay.rcu_reported == now) || context_tracking_enabled_this_cpu())
		return;
	vcpu->arch->stay.rcu_reported = now;
	okvm_rcu_note_guest();
}

/* The interrupt is taken before guest time ends, so that a host tick is accounted to the guest. */
static __always_inline void time_leave(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	/* After any other exit some of the guest's instruction may be left to do. */
	vcpu->arch->between_insns = ops->host_interrupted(vcpu);
	if (ops->host_interrupted(vcpu))
		ops->host_interrupt(vcpu);
	vtime_account_guest_exit();
}

/* ---- the mode, by which others know whether to send an IPI ---- */

/*
 * Does an exception wait, and the next entry delivers another event? Then enter, so that the event
 * is delivered, and exit at once.
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

/* Return: false if there is something to do before the guest may run; the mode is as before. */
static __always_inline bool mode_enter(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	/* Pairs with smp_mb() in request.c. */
	smp_store_mb(vcpu->mode, OKVM_IN_GUEST);
	if (likely(!must_not_enter(vcpu, ops)))
		return true;
	WRITE_ONCE(vcpu->mode, OKVM_OUTSIDE_GUEST);
	return false;
}

static __always_inline void mode_leave(struct okvm_vcpu *vcpu)
{
	/* Pairs with the barriers of request.c: from here on requesters need not send an IPI. */
	smp_store_release(&vcpu->mode, OKVM_OUTSIDE_GUEST);
}

/* ---- the stay ---- */

/* After mode_enter(). */
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
 * okvm_serve_requests_fast() - okvm_serve_fast() for as long as it makes new requests, IRQs off
 * Return: true if nothing is pending, and the mode is IN_GUEST
 */
bool okvm_serve_requests_fast(struct okvm_vcpu *vcpu);

/** okvm_watch_entry() - somebody watches: the guest is going to be entered; IRQs off */
void okvm_watch_entry(struct okvm_vcpu *vcpu);
/** okvm_watch_exit() - ... it has exited. Return: the exit is to be served with IRQs on */
bool okvm_watch_exit(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops);

/* Return: true if the last exit was served and only requests stop the guest. */
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
		/* A wakeup by this thread's own device or IPI sets flags without an interrupt. */
	} while ((likely(!okvm_has_requests(vcpu)) || okvm_serve_requests_fast(vcpu)) &&
		 likely(!(read_thread_flags() & STAY_THREAD_WORK)));
	vcpu->stat[OKVM_STAT_FAST_EXITS] += served;
	vcpu->stat[OKVM_STAT_EXITS] += served + slow;
	return !slow;
}

/** stay_run() - struct okvm_backend's run() */
static __always_inline int stay_run(struct okvm_vcpu *vcpu, const struct okvm_stay_ops *ops)
{
	bool served;
	int outcome;

	for (;;) {
		if (unlikely(ops->instead(vcpu, &outcome)))
			return outcome;
		local_irq_disable();
		if (unlikely(!mode_enter(vcpu, ops))) {
			local_irq_enable();
			return OKVM_RESUME;
		}
		stay_enter(vcpu, ops);
		served = stay_fast_exits(vcpu, ops);
		stay_leave(vcpu, ops);
		local_irq_enable();
		if (served || ops->host_interrupted(vcpu))
			return OKVM_RESUME;
		outcome = ops->exit_slow(vcpu);
		if (outcome != OKVM_RESUME)
			return outcome;
		if (!okvm_arch_vcpu_can_enter(vcpu) ||
		    READ_ONCE(vcpu->run->request_interrupt_window))
			return OKVM_RESUME;
	}
}

#endif /* OKVM_X86_STAY_H */
