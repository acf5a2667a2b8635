// SPDX-License-Identifier: GPL-2.0-only
/* Defines okvm's own tracepoints, those under events/okvm in tracefs. */
#include <linux/trace_events.h>

#include "core/trace_names.h"
#include "core/watch.h"

/*
 * Make okvm_names_reg() the reg function of okvm's events. core/trace_names.c has to run code under
 * the kernel's event lock, and the kernel holds this lock when it calls a reg function.
 */
#define trace_event_reg okvm_names_reg
#define CREATE_TRACE_POINTS
#include "core/trace.h"

DEFINE_STATIC_KEY_DEFERRED_FALSE(okvm_watched, HZ);

int okvm_watch_on(void)
{
	static_branch_inc(&okvm_watched.key);
	return 0;
}

void okvm_watch_off(void)
{
	static_branch_dec(&okvm_watched.key);
}

void okvm_watch_off_later(void)
{
	static_branch_slow_dec_deferred(&okvm_watched);
}

void okvm_watch_flush(void)
{
	static_key_deferred_flush(&okvm_watched);
}
