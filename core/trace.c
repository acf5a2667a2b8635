// SPDX-License-Identifier: GPL-2.0-only
/* The one file in which the tracepoints of okvm's own names are made. */
#include <linux/trace_events.h>

#include "core/trace_names.h"
#include "core/watch.h"

/* Enabling okvm_names is how core/trace_names.c gets at the lock of events. */
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
