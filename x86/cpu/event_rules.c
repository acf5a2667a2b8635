// SPDX-License-Identifier: GPL-2.0-only
/* Rules of exception delivery, as pure functions. */
#include <linux/bits.h>
#include <linux/types.h>

#include "x86/cpu/event_rules.h"

#define VEC_DE	0
#define VEC_DB	1
#define VEC_DF	8
#define VEC_TS	10
#define VEC_PF	14
#define VEC_MC	18
#define VEC_VE	20
#define VEC_CP	21

enum event_class {
	EVENT_BENIGN,
	EVENT_CONTRIBUTORY,
	EVENT_PAGE_FAULT,
	EVENT_DOUBLE_FAULT,
};

/* Contributory exceptions: #DE, #TS, #NP, #SS, #GP and #CP. */
#define EVENT_CONTRIBUTORY_MASK \
	(BIT(VEC_DE) | BIT(VEC_TS) | BIT(11) | BIT(12) | BIT(13) | BIT(VEC_CP))

/*
 * Vectors that are not faults: #DB, NMI, #BP, #OF, #DF and #MC. A #DB can be a fault or a trap; it
 * does not count as a fault here.
 */
#define EVENT_NOT_FAULT_MASK \
	(BIT(VEC_DB) | BIT(2) | BIT(3) | BIT(4) | BIT(VEC_DF) | BIT(VEC_MC))

/* DR6.RTM and DR6.BLD are active low (SDM "Debug Status Register (DR6)"). */
#define EVENT_DR6_ACTIVE_LOW	(BIT(16) | BIT(11))

static enum event_class event_class(u8 vector)
{
	if (vector == VEC_PF || vector == VEC_VE)
		return EVENT_PAGE_FAULT;
	if (vector == VEC_DF)
		return EVENT_DOUBLE_FAULT;
	if (vector < 32 && EVENT_CONTRIBUTORY_MASK & BIT(vector))
		return EVENT_CONTRIBUTORY;
	return EVENT_BENIGN;
}

enum event_merge event_merge(u8 first, u8 second)
{
	enum event_class a = event_class(first), b = event_class(second);

	if (a == EVENT_DOUBLE_FAULT)
		return b == EVENT_BENIGN ? EVENT_MERGE_SECOND : EVENT_MERGE_SHUTDOWN;
	if (a == EVENT_CONTRIBUTORY && b == EVENT_CONTRIBUTORY)
		return EVENT_MERGE_DOUBLE;
	if (a == EVENT_PAGE_FAULT && b != EVENT_BENIGN)
		return EVENT_MERGE_DOUBLE;
	return EVENT_MERGE_SECOND;
}

bool event_is_fault(u8 vector)
{
	return vector < 32 && !(EVENT_NOT_FAULT_MASK & BIT(vector));
}

unsigned long event_dr6(unsigned long dr6, unsigned long payload)
{
	dr6 |= EVENT_DR6_ACTIVE_LOW;
	/* A payload that userspace has set may have more than 32 bits: keep DR6's upper half 0. */
	payload = (u32)payload;
	dr6 |= payload;
	dr6 ^= payload & EVENT_DR6_ACTIVE_LOW;
	return dr6;
}
