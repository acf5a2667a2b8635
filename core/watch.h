/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watching exits: one branch that is patched in while anybody wants to see entries, exits or what
 * is injected, so that nobody pays for the others' absence.
 */
#ifndef OKVM_CORE_WATCH_H
#define OKVM_CORE_WATCH_H

#include <linux/jump_label.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/types.h>

extern struct static_key_false_deferred okvm_watched;

/** okvm_watching() - for the way of an exit, which has no tracepoint of its own */
#define okvm_watching()	static_branch_unlikely(&okvm_watched.key)

/** okvm_watch_on() - one more watches: tracepoints do when their first user comes. Return: 0 */
int okvm_watch_on(void);
void okvm_watch_off(void);

/**
 * okvm_watch_off_later() - likewise, for those who need no privilege to watch
 *
 * The branch stays patched in for up to a second: each change of it interrupts all CPUs. Not for
 * tracepoints, whose last user may go when the module has no way to wait any more.
 */
void okvm_watch_off_later(void);
/** okvm_watch_flush() - at the end of the module: nothing is left to be done later */
void okvm_watch_flush(void);

/** struct okvm_exit_info - what hardware says of an exit, for kvm_exit */
struct okvm_exit_info {
	u32 reason;
	u32 intr_info;
	u32 error_code;
	u64 info1;
	u64 info2;
};

/* isa of kvm_exit */
#define TRACE_ISA_VMX	1
#define TRACE_ISA_SVM	2

/* type of kvm_mmio */
#define TRACE_MMIO_READ_ASKED	0	/* userspace has to answer it */
#define TRACE_MMIO_READ		1
#define TRACE_MMIO_WRITE	2

/* flags of kvm_emulate_insn */
#define TRACE_INSN_PROTECTED	1
#define TRACE_INSN_VM86		2
#define TRACE_INSN_CS_D		4
#define TRACE_INSN_CS_L		8

/** struct okvm_trace_insn - for kvm_emulate_insn */
struct okvm_trace_insn {
	u64 rip;
	u32 csbase;
	u8 len;
	u8 flags;
	u8 failed;
	u8 bytes[15];
};

#endif /* OKVM_CORE_WATCH_H */
