/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A static branch that is enabled while any user watches VM entries, VM exits or injections. While
 * nobody watches, VM exits skip all tracepoint code.
 */
#ifndef OKVM_CORE_WATCH_H
#define OKVM_CORE_WATCH_H

#include <linux/jump_label.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/types.h>

extern struct static_key_false_deferred okvm_watched;

/**
 * okvm_watching() - return true if any user watches
 *
 * Exit paths make this one test instead of one per tracepoint.
 */
#define okvm_watching()	static_branch_unlikely(&okvm_watched.key)

/** okvm_watch_on() - add a watcher. A tracepoint calls this for its first user. Return: 0 */
int okvm_watch_on(void);
void okvm_watch_off(void);

/**
 * okvm_watch_off_later() - remove a watcher that a user without privileges can add
 *
 * Disables the static branch up to a second later. Each change of the branch interrupts all CPUs,
 * and a user without privileges must not cause this often. Tracepoints must not use this function:
 * their last user may go away after the module's last call of okvm_watch_flush().
 */
void okvm_watch_off_later(void);
/** okvm_watch_flush() - complete all delayed changes of the branch, when the module exits */
void okvm_watch_flush(void);

/** struct okvm_exit_info - what the hardware reports about a VM exit, for tracepoint kvm_exit */
struct okvm_exit_info {
	u32 reason;
	u32 intr_info;
	u32 error_code;
	u64 info1;
	u64 info2;
};

/* values of isa in the tracepoint kvm_exit */
#define TRACE_ISA_VMX	1
#define TRACE_ISA_SVM	2

/* values of type in the tracepoint kvm_mmio */
#define TRACE_MMIO_READ_ASKED	0	/* userspace has to complete the read */
#define TRACE_MMIO_READ		1
#define TRACE_MMIO_WRITE	2

/* flags of the tracepoint kvm_emulate_insn */
#define TRACE_INSN_PROTECTED	1
#define TRACE_INSN_VM86		2
#define TRACE_INSN_CS_D		4
#define TRACE_INSN_CS_L		8

/** struct okvm_trace_insn - arguments of the tracepoint kvm_emulate_insn */
struct okvm_trace_insn {
	u64 rip;
	u32 csbase;
	u8 len;
	u8 flags;
	u8 failed;
	u8 bytes[15];
};

#endif /* OKVM_CORE_WATCH_H */
