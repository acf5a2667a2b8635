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
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "core/backend.h"
#include "core/compat.h"
#include "irq/irq.h"
#include "irq/needs.h"
#include "irq/vlapic.h"

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

static void start_sw(struct okvm_apic *apic, u64 left)
{
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

void okvm_apic_timer_inject(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	if (!READ_ONCE(apic->fired))
		return;
	WRITE_ONCE(apic->fired, false);
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

void okvm_apic_timer_to_sw(struct okvm_vcpu *vcpu)
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

void okvm_apic_timer_to_hw(struct okvm_vcpu *vcpu)
{
	struct okvm_apic *apic = vcpu->apic;

	/*
	 * If the hrtimer fires before it is canceled, its handler makes the request OKVM_REQ_TIMER:
	 * arm no timer then.
	 */
	if (apic->can_hv && hrtimer_active(&apic->hrtimer) && hrtimer_cancel(&apic->hrtimer))
		arm(apic);
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
