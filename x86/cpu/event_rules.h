/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules of exception delivery as pure functions. */
#ifndef OKVM_X86_EVENT_RULES_H
#define OKVM_X86_EVENT_RULES_H

#include <linux/bits.h>
#include <linux/types.h>

/** enum event_merge - what an exception during the delivery of another one becomes */
enum event_merge {
	EVENT_MERGE_SECOND,	/* delivered one after the other: the second one now */
	EVENT_MERGE_DOUBLE,	/* #DF */
	EVENT_MERGE_SHUTDOWN,	/* triple fault */
};

/**
 * event_merge() - SDM "Interrupt 8 - Double Fault Exception", the table of conditions
 * @first: vector being delivered, @second: vector raised meanwhile
 */
enum event_merge event_merge(u8 first, u8 second);

/** event_is_fault() - is RIP restarted after @vector (SDM "Exception Classifications")? */
bool event_is_fault(u8 vector);

/**
 * event_dr6() - DR6 after a #DB with @payload (bits that are set; RTM and bus lock are active
 * low)
 */
unsigned long event_dr6(unsigned long dr6, unsigned long payload);

#endif /* OKVM_X86_EVENT_RULES_H */
