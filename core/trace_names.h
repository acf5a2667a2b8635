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
 * The kernel calls it with event_mutex held. If core/trace_names.c has to add or remove okvm's
 * events of the system kvm, it enables the event okvm_names, and this function adds or removes
 * them.
 */
int okvm_names_reg(struct trace_event_call *call, enum trace_reg type, void *data);

#endif /* OKVM_CORE_TRACE_NAMES_H */
