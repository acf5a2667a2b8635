/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints, under events/okvm in tracefs. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM okvm

#if !defined(OKVM_CORE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OKVM_CORE_TRACE_H

#include <linux/tracepoint.h>

#include "core/watch.h"

TRACE_EVENT_FN(okvm_entry,
	TP_PROTO(u32 vcpu, unsigned long rip),
	TP_ARGS(vcpu, rip),
	TP_STRUCT__entry(
		__field(u32, vcpu)
		__field(unsigned long, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u rip 0x%lx", __entry->vcpu, __entry->rip),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(okvm_exit,
	TP_PROTO(u32 vcpu, u32 reason, unsigned long rip, u64 qualification),
	TP_ARGS(vcpu, reason, rip, qualification),
	TP_STRUCT__entry(
		__field(u32, vcpu)
		__field(u32, reason)
		__field(unsigned long, rip)
		__field(u64, qualification)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->reason = reason;
		__entry->rip = rip;
		__entry->qualification = qualification;
	),
	TP_printk("vcpu %u reason %u rip 0x%lx qualification 0x%llx", __entry->vcpu,
		  __entry->reason, __entry->rip, __entry->qualification),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT_FN(okvm_inject,
	TP_PROTO(u32 vcpu, u32 info),
	TP_ARGS(vcpu, info),
	TP_STRUCT__entry(
		__field(u32, vcpu)
		__field(u32, info)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->info = info;
	),
	TP_printk("vcpu %u vector %u info 0x%x", __entry->vcpu, __entry->info & 0xff,
		  __entry->info),
	okvm_watch_on, okvm_watch_off
);

TRACE_EVENT(okvm_io,
	TP_PROTO(bool mmio, bool write, u64 addr, u32 len, bool in_kernel),
	TP_ARGS(mmio, write, addr, len, in_kernel),
	TP_STRUCT__entry(
		__field(bool, mmio)
		__field(bool, write)
		__field(bool, in_kernel)
		__field(u32, len)
		__field(u64, addr)
	),
	TP_fast_assign(
		__entry->mmio = mmio;
		__entry->write = write;
		__entry->in_kernel = in_kernel;
		__entry->len = len;
		__entry->addr = addr;
	),
	TP_printk("%s %s 0x%llx len %u %s", __entry->mmio ? "mmio" : "pio",
		  __entry->write ? "write" : "read", __entry->addr, __entry->len,
		  __entry->in_kernel ? "in kernel" : "to userspace")
);

/*
 * Fired when okvm registers or removes its events of the system kvm. core/trace_names.c also
 * enables this event, to make the kernel call okvm_names_reg().
 */
TRACE_EVENT(okvm_names,
	TP_PROTO(bool offered),
	TP_ARGS(offered),
	TP_STRUCT__entry(
		__field(bool, offered)
	),
	TP_fast_assign(
		__entry->offered = offered;
	),
	TP_printk("events of the system kvm are okvm's: %s", __entry->offered ? "yes" : "no")
);

#endif /* OKVM_CORE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH core
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
