/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events of the system kvm, whose names okvm shares with kvm.ko. */
#ifndef OKVM_CORE_TRACE_NAMES_H
#define OKVM_CORE_TRACE_NAMES_H

#include <linux/trace_events.h>

/** okvm_names_init() - register the events while no other module has them. Return: 0 or an errno */
int okvm_names_init(void);
/** okvm_names_exit() - stop watching other modules; tracing unregisters the events itself */
void okvm_names_exit(void);
/** okvm_names_reg() - trace_event_reg() of okvm's events; also adds or removes the kvm events */
int okvm_names_reg(struct trace_event_call *call, enum trace_reg type, void *data);

#endif /* OKVM_CORE_TRACE_NAMES_H */
