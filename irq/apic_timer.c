// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run the local APIC timer and deliver its ticks. The arithmetic is in irq/model/lapic_timer.c.
 *
 * While the vCPU is in the guest or about to enter it, the countdown uses the backend's timer (the
 * VMX-preemption timer). While the vCPU blocks, or without such a timer, the countdown uses an
 * hrtimer. The hrtimer's handler only sets a flag and makes a request; the vCPU's own thread
 * delivers the tick and computes the next expiry. So the handler and the thread share only the
 * flag, and a vCPU that does not run costs the host one expiry, not one per period. Upstream KVM
 * re-arms the timer in the handler.
 *
 * From the hrtimer's expiry to the VM entry the host needs some time. Therefore the hrtimer of a
 * TSC deadline expires early, by what okvm has learned from earlier ticks (@lead). The vCPU's
 * thread waits for the rest, so that no tick comes before its deadline.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "core/backend.h"
#include "core/compat.h"
#include "irq/irq.h"
#include "irq/needs.h"
#include "irq/vlapic.h"

static unsigned int timer_advance_ns = 5000;
module_param(timer_advance_ns, uint, 0644);
MODULE_PARM_DESC(timer_advance_ns, "longest time by which the host's timer of a TSC deadline is early, in ns; 0: never");

#define ADVANCE_LIMIT_NS	100000u
#define WAIT_SHORT_NS		1000u
/* Requests that do not end a wait: that of the tick itself, and those of events. */
#define WAIT_GOES_ON		(BIT(OKVM_REQ_TIMER) | BIT(OKVM_REQ_EVENT))
/* A late tick adds this part of its lateness to the lead. */
#define LEAD_STEP		8

static bool deadline_mode(const struct lapic_timer *t)
{
	return t->mode == APIC_LVT_TIMER_TSCDEADLINE;
}

static bool armed(const struct lapic_timer *t)
{
	return deadline_mode(t) ? t->tscdeadline : t->expiry_ns;
}

static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct okvm_apic *apic = container_of(timer, struct okvm_apic, hrtimer);

	WRITE_ONCE(apic->fired, true);
	okvm_request_kick(OKVM_REQ_TIMER, apic->vcpu);
	return HRTIMER_NORESTART;
}

void okvm_apic_timer_create(struct okvm_apic *apic)
{
	okvm_hrtimer_setup(&apic->hrtimer, timer_fired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	apic->can_hv = apic->vcpu->vm->caps & OKVM_HW_HV_TIMER;
}

static void cancel_hv(struct okvm_apic *apic)
{
	if (!apic->hv_armed)
		return;
	apic->hv_armed = false;
	apic->ops->set_timer(apic->vcpu, OKVM_NO_DEADLINE);
}

/*
 * Cancel the hrtimer. Afterwards its handler is not running, so the caller may discard a tick that
 * the handler has recorded.
 */
static void cancel_sw(struct okvm_apic *apic)
{
	if (hrtimer_active(&apic->hrtimer))
		hrtimer_cancel(&apic->hrtimer);
}

/* Disarm the timer and forget a pending tick. Called in the vCPU's thread, with IRQs on or off. */
static void timer_stop(struct okvm_apic *apic)
{
	cancel_sw(apic);
	cancel_hv(apic);
	WRITE_ONCE(apic->fired, false);
}

/*
 * Return the time until the expiry in ns, or 0 if the expiry has passed. If the result is not 0,
 * also set *@host_tsc to the host TSC of the expiry.
 */
static u64 time_left(struct okvm_apic *apic, u64 *host_tsc)
{
	const struct lapic_timer *t = &apic->l.timer;
	struct okvm_vcpu *vcpu = apic->vcpu;
	u64 now;

	if (deadline_mode(t)) {
		now = okvm_arch_guest_tsc(vcpu, rdtsc());
		if (t->tscdeadline <= now)
			return 0;
		*host_tsc = okvm_arch_host_tsc(vcpu, t->tscdeadline);
		/* Round up, so that the timer never fires before the deadline. */
		return lapic_tsc_to_ns(t->tscdeadline - now, okvm_arch_tsc_khz(vcpu)) + 1;
	}
	now = ktime_get_ns();
	if (t->expiry_ns <= now)
		return 0;
	*host_tsc = rdtsc() + mul_u64_u32_div(t->expiry_ns - now, tsc_khz, 1000000);
	return t->expiry_ns - now;
}

/* Start the hrtimer for an expiry in @left ns. The timer of a TSC deadline is early by the lead. */
static void start_sw(struct okvm_apic *apic, u64 left)
{
	if (deadline_mode(&apic->l.timer))
		left -= min_t(u64, left, apic->lead);
	hrtimer_start(&apic->hrtimer, ktime_add_ns(ktime_get(), left), HRTIMER_MODE_ABS_HARD);
}

static bool start_hv(struct okvm_apic *apic, u64 host_tsc)
{
	if (!apic->can_hv || !apic->ops->set_timer(apic->vcpu, host_tsc))
		return false;
	apic->hv_armed = true;
	return true;
}

static void arm(struct okvm_apic *apic);

/* The countdown has ended: deliver the tick, and start the next period. */
static void tick(struct okvm_apic *apic)
{
	struct lapic_timer *t = &apic->l.timer;
	bool periodic = t->mode == APIC_LVT_TIMER_PERIODIC;

	okvm_apic_local(apic, LAPIC_LVT_TIMER);
	if (lapic_timer_fired(t, periodic ? ktime_get_ns() : 0))
		arm(apic);
}

static void arm(struct okvm_apic *apic)
{
	const struct lapic_timer *t = &apic->l.timer;
	u64 host_tsc, left;

	timer_stop(apic);
	if (!armed(t))
		return;
	left = time_left(apic, &host_tsc);
	if (!left && t->mode != APIC_LVT_TIMER_PERIODIC)
		tick(apic);	/* no recursion: a one-shot timer is not re-armed */
	else if (!left || !start_hv(apic, host_tsc))
		start_sw(apic, left);
}

void okvm_apic_timer_apply(struct okvm_apic *apic, u32 flags)
{
	struct lapic *l = &apic->l;
	u32 count = lapic_get(l, APIC_TMICT);

	if (flags & LAPIC_EFF_TIMER_DROP)
		WRITE_ONCE(apic->fired, false);
	if (flags & LAPIC_EFF_TIMER_STOP)
		timer_stop(apic);
	if (flags & LAPIC_EFF_TIMER_SCALE &&
	    lapic_timer_scale(&l->timer, lapic_timer_shift(lapic_get(l, APIC_TDCR)), count,
			      ktime_get_ns()))
		arm(apic);
	if (flags & LAPIC_EFF_TIMER_START) {
		lapic_timer_start(&l->timer, count, ktime_get_ns());
		arm(apic);
	}
	if (flags & LAPIC_EFF_TIMER_ARM)
		arm(apic);
}

/* ---- functions for the run loop ---- */

bool okvm_apic_timer_pending(struct okvm_vcpu *vcpu)
{
	const struct okvm_apic *apic = vcpu->apic;

	return READ_ONCE(apic->fired) && lapic_enabled(&apic->l) &&
	       !(lapic_get(&apic->l, APIC_LVTT) & APIC_LVT_MASKED);
}

/*
 * Adapt the lead to a tick that is ready @late ns after its deadline, or before it (@late < 0). The
 * lead shrinks by the whole wait, but grows slowly. So few ticks wait long, although a tick of a
 * halted vCPU takes the host longer than that of a running one.
 */
static void lead_learn(struct okvm_apic *apic, s64 late)
{
	u32 most = min(READ_ONCE(timer_advance_ns), ADVANCE_LIMIT_NS);

	apic->lead = clamp_t(s64, apic->lead + (late > 0 ? late / LEAD_STEP : late), 0, most);
}

/*
 * Wait @ns, until the deadline. Return false if the wait ends early: other requests to the vCPU do
 * not wait for a tick, and with IRQs off there is no wait of more than WAIT_SHORT_NS.
 */
static bool wait_for_deadline(struct okvm_apic *apic, u64 ns)
{
	const u64 start = rdtsc(), ticks = mul_u64_u32_div(ns, tsc_khz, 1000000) + 1;

	if (ns > WAIT_SHORT_NS && irqs_disabled())
		return false;
	/* If the thread moves to a CPU whose TSC is behind, the difference is huge. */
	while (rdtsc() - start < ticks) {
		if (READ_ONCE(apic->vcpu->requests) & ~WAIT_GOES_ON)
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * The hrtimer of a deadline has fired: wait for the deadline, at most for the lead or 1 us. Return:
 * false if the deadline has not been reached. It may be far away, because the guest's TSC has
 * changed or the host's clock is faster
 */
static bool deadline_reached(struct okvm_apic *apic)
{
	u64 now = okvm_arch_guest_tsc(apic->vcpu, rdtsc());
	u64 deadline = apic->l.timer.tscdeadline;
	u32 khz = okvm_arch_tsc_khz(apic->vcpu);
	u64 ns;

	if (now >= deadline) {
		lead_learn(apic, min_t(u64, lapic_tsc_to_ns(now - deadline, khz), NSEC_PER_SEC));
		return true;
	}
	/* Round up, so that no tick comes early. */
	ns = lapic_tsc_to_ns(deadline - now, khz) + 1;
	if (ns > max(apic->lead, WAIT_SHORT_NS))
		return false;
	if (!wait_for_deadline(apic, ns))
		return false;
	lead_learn(apic, -(s64)ns);
	return okvm_arch_guest_tsc(apic->vcpu, rdtsc()) >= deadline;
}

void okvm_apic_timer_inject(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!READ_ONCE(apic->fired))
		return;
	WRITE_ONCE(apic->fired, false);
	if (deadline_mode(&apic->l.timer) && apic->l.timer.tscdeadline &&
	    !deadline_reached(apic))
		arm(apic);
	else
		tick(apic);
}

void okvm_apic_hv_timer_expired(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!apic->hv_armed)
		return;
	cancel_hv(apic);
	tick(apic);
}

static void timer_to_sw(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;
	u64 host_tsc, left;

	if (!apic->hv_armed)
		return;
	cancel_hv(apic);
	left = time_left(apic, &host_tsc);
	if (left) {
		start_sw(apic, left);
		return;
	}
	WRITE_ONCE(apic->fired, true);
	okvm_request(OKVM_REQ_TIMER, vcpu);
}

static void timer_to_hw(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	/*
	 * If the hrtimer fires before it is canceled, its handler makes the request OKVM_REQ_TIMER:
	 * arm no timer then.
	 */
	if (apic->can_hv && hrtimer_active(&apic->hrtimer) && hrtimer_cancel(&apic->hrtimer))
		arm(apic);
}

void okvm_apic_timer_place(struct okvm_vcpu *vcpu, bool hw)
{
	if (hw)
		timer_to_hw(vcpu);
	else
		timer_to_sw(vcpu);
}

void okvm_apic_timer_restart(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (deadline_mode(&apic->l.timer) && !READ_ONCE(apic->fired))
		arm(apic);
}

void okvm_apic_timer_migrate(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (hrtimer_active(&apic->hrtimer) && hrtimer_cancel(&apic->hrtimer))
		hrtimer_start_expires(&apic->hrtimer, HRTIMER_MODE_ABS_HARD);
}

u64 okvm_apic_get_tsc_deadline(struct okvm_vcpu *vcpu)
{
	return lapic_hw_enabled(&vcpu->apic->l) ? lapic_get_tscdeadline(&vcpu->apic->l) : 0;
}

void okvm_apic_set_tsc_deadline(struct okvm_vcpu *vcpu, u64 deadline)
{
	if (lapic_set_tscdeadline(&vcpu->apic->l, deadline))
		arm(vcpu->apic);
}
