/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules of exception delivery, as pure functions. */
#ifndef OKVM_X86_EVENT_RULES_H
#define OKVM_X86_EVENT_RULES_H

#include <linux/bits.h>
#include <linux/types.h>

/** enum event_merge - what to deliver if an exception is raised while another one is delivered */
enum event_merge {
	/* the second exception; the first one occurs again after the second one's handler */
	EVENT_MERGE_SECOND,
	EVENT_MERGE_DOUBLE,	/* #DF */
	EVENT_MERGE_SHUTDOWN,	/* triple fault */
};

/**
 * event_merge() - Combine two exceptions (SDM "Interrupt 8 - Double Fault Exception")
 * @first: vector of the exception being delivered
 * @second: vector of the exception raised during that delivery
 */
enum event_merge event_merge(u8 first, u8 second);

/** event_is_fault() - Is @vector always a fault? False for traps, aborts and #DB. */
bool event_is_fault(u8 vector);

/**
 * event_dr6() - Return DR6 after a #DB
 * @dr6: DR6 before the #DB
 * @payload: a bit is 1 if the #DB reports it, also for RTM and BLD. (In DR6 itself RTM and BLD are
 *  0 if reported.)
 */
unsigned long event_dr6(unsigned long dr6, unsigned long payload);

#endif /* OKVM_X86_EVENT_RULES_H */
