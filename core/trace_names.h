/* SPDX-License-Identifier: GPL-2.0-only */
/* The trace events of the system kvm: okvm and kvm.ko have events of the same names. */
#ifndef OKVM_CORE_TRACE_NAMES_H
#define OKVM_CORE_TRACE_NAMES_H

#include <linux/trace_events.h>

/**
 * okvm_names_init() - register the events unless another module has them
 *
 * From then on okvm also watches which modules are loaded and unloaded, because kvm.ko may come
 * later or go. Return: 0 or an errno
 */
int okvm_names_init(void);
/** okvm_names_exit() - end the watch of modules; tracing unregisters the events itself */
void okvm_names_exit(void);
/**
 * okvm_names_reg() - used in place of trace_event_reg() for okvm's events
 *
 * The function runs with event_mutex held. If a worker of trace_names.c enables the event
 * okvm_names, the function also adds okvm's events to the trace system kvm, or removes them.
 */
int okvm_names_reg(struct trace_event_call *call, enum trace_reg type, void *data);

#endif /* OKVM_CORE_TRACE_NAMES_H */
