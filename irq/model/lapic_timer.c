// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer: the arithmetic. By default the APIC bus runs at 1 GHz, so one count at divisor
 * 1 is one nanosecond; userspace can change this.
 *
 * Every divisor is a power of two from a 3-bit field. Every period is tested for 0 before a
 * division by it. A timer that is late makes one tick, not a burst.
 */
#include <linux/kernel.h>
#include <linux/limits.h>

#include "irq/model/lapic.h"

/* Minimum time from now to the next expiry of a periodic timer. */
#define REARM_FLOOR_NS	(LAPIC_MIN_PERIOD_NS / 4)

/* Upper limit of a period: longer than any machine's uptime, and far from the clock's overflow. */
#define MAX_PERIOD_NS	((u64)S64_MAX / 4)

void lapic_timer_floor(struct lapic_timer *t)
{
	if (t->mode == APIC_LVT_TIMER_PERIODIC && t->period_ns &&
	    t->period_ns < LAPIC_MIN_PERIOD_NS)
		t->period_ns = LAPIC_MIN_PERIOD_NS;
}

static bool counts(const struct lapic_timer *t)
{
	return t->mode == APIC_LVT_TIMER_ONESHOT || t->mode == APIC_LVT_TIMER_PERIODIC;
}

static u64 counts_to_ns(const struct lapic_timer *t, u32 count)
{
	return min(((u64)count * t->tick_ns) << t->shift, MAX_PERIOD_NS);
}

/* Set the period for an initial count. Return false if the count or the mode stops the timer. */
static bool set_period(struct lapic_timer *t, u32 count)
{
	t->tscdeadline = counts(t) ? 0 : t->tscdeadline;
	t->period_ns = counts(t) ? counts_to_ns(t, count) : 0;
	t->expiry_ns = 0;
	lapic_timer_floor(t);
	return t->period_ns;
}

bool lapic_timer_start(struct lapic_timer *t, u32 count, u64 now_ns)
{
	if (!set_period(t, count))
		return false;
	t->expiry_ns = now_ns + t->period_ns;
	return true;
}

bool lapic_timer_resume(struct lapic_timer *t, u32 initial, u32 current_count, bool exact,
			u64 now_ns)
{
	u64 left;

	if (!set_period(t, initial))
		return false;
	/*
	 * If an exact count of a one-shot timer is 0, the tick was delivered before the state was
	 * saved: see lapic_timer_saved().
	 */
	if (exact && !current_count && t->mode == APIC_LVT_TIMER_ONESHOT)
		return false;
	left = counts_to_ns(t, current_count);
	if (left > t->period_ns || (!left && t->mode != APIC_LVT_TIMER_ONESHOT))
		left = t->period_ns;
	t->expiry_ns = now_ns + left;
	return true;
}

bool lapic_timer_scale(struct lapic_timer *t, u8 shift, u32 initial, u64 now_ns)
{
	u8 old = t->shift;
	u64 left;

	t->shift = shift & 7;
	if (!t->period_ns || !t->expiry_ns)
		return false;
	left = t->expiry_ns > now_ns ? t->expiry_ns - now_ns : 0;
	t->period_ns = counts_to_ns(t, initial);
	lapic_timer_floor(t);
	left = min((left >> old) << t->shift, t->period_ns);
	t->expiry_ns = now_ns + left;
	return true;
}

bool lapic_timer_fired(struct lapic_timer *t, u64 now_ns)
{
	u64 next;

	if (t->mode == APIC_LVT_TIMER_TSCDEADLINE)
		t->tscdeadline = 0;
	if (t->mode != APIC_LVT_TIMER_PERIODIC || !t->period_ns) {
		t->expiry_ns = 0;
		return false;
	}
	next = t->expiry_ns + t->period_ns;
	if (next < now_ns)
		next += (now_ns - next) / t->period_ns * t->period_ns;
	while (next < now_ns + REARM_FLOOR_NS)	/* at most twice: period >= 4 * floor */
		next += t->period_ns;
	t->expiry_ns = next;
	return true;
}

u32 lapic_timer_current(const struct lapic_timer *t, u64 now_ns)
{
	if (!counts(t) || !t->period_ns || t->expiry_ns <= now_ns)
		return 0;
	return (((t->expiry_ns - now_ns) % t->period_ns) >> t->shift) / t->tick_ns;
}

u32 lapic_timer_saved(const struct lapic_timer *t, u64 now_ns)
{
	u32 count = lapic_timer_current(t, now_ns);

	return count || t->mode != APIC_LVT_TIMER_ONESHOT || !t->expiry_ns ? count : 1;
}

u64 lapic_tsc_to_ns(u64 ticks, u32 khz)
{
	const u64 limit = S64_MAX / 4;
	u64 ms;

	if (!khz)
		return limit;
	ms = ticks / khz;
	if (ms >= limit / 1000000)
		return limit;
	return ms * 1000000 + ticks % khz * 1000000 / khz;
}

bool lapic_set_tscdeadline(struct lapic *l, u64 tsc)
{
	if (!lapic_hw_enabled(l) || l->timer.mode != APIC_LVT_TIMER_TSCDEADLINE)
		return false;
	l->timer.tscdeadline = tsc;
	return true;
}
