/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose events the names of the system kvm are. */
#ifndef OKVM_CORE_TRACE_NAMES_H
#define OKVM_CORE_TRACE_NAMES_H

#include <linux/trace_events.h>

/** okvm_names_init() - show the names, and whenever nobody else has them. Return: 0 or an errno */
int okvm_names_init(void);
/** okvm_names_exit() - follow other modules no longer; tracing withdraws the names itself */
void okvm_names_exit(void);
/** okvm_names_reg() - trace_event_reg() of okvm's own events */
int okvm_names_reg(struct trace_event_call *call, enum trace_reg type, void *data);

#endif /* OKVM_CORE_TRACE_NAMES_H */
