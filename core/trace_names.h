/* SPDX-License-Identifier: GPL-2.0-only */
/* okvm's trace events of the system kvm, which have the same names as those of kvm.ko. */
#ifndef OKVM_CORE_TRACE_NAMES_H
#define OKVM_CORE_TRACE_NAMES_H

#include <linux/trace_events.h>

/**
 * okvm_names_init() - register the events, unless another module has registered them
 *
 * From now on module notifiers remove the events when kvm.ko is being loaded, and register them
 * again when kvm.ko has been unloaded. Return: 0 or an errno
 */
int okvm_names_init(void);
/** okvm_names_exit() - unregister the module notifiers; tracing unregisters the events itself */
void okvm_names_exit(void);
/**
 * okvm_names_reg() - used in place of trace_event_reg() for okvm's own events
 *
 * To add or remove okvm's events of the system kvm, event_mutex must be held, and modules cannot
 * take it. The kernel calls this function with event_mutex held whenever an event is enabled. So
 * core/trace_names.c enables the event okvm_names, and this function adds or removes the others.
 */
int okvm_names_reg(struct trace_event_call *call, enum trace_reg type, void *data);

#endif /* OKVM_CORE_TRACE_NAMES_H */
