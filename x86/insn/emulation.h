/* SPDX-License-Identifier: GPL-2.0-only */
/* The emulation of a vCPU: between the instruction emulator and the vCPU. Within insn/ only. */
#ifndef OKVM_X86_INSN_EMULATION_H
#define OKVM_X86_INSN_EMULATION_H

#include <linux/types.h>

#include "mmu/mmu.h"
#include "x86/emul/emul.h"
#include "x86/insn/insn.h"

/*
 * Calls of ops that one instruction (or one iteration of a repeated one) makes for memory and
 * ports. The most are made by ENTER with 31 levels, which pushes 33 times and reads 31 times, by a
 * task switch, with 26 fields of either TSS, nine descriptors of at most two words that are read
 * and marked, by six calls if other CPUs change them, and a pushed error code. FXSAVE makes 14.
 */
#define EMUL_LOG_ENTRIES	160
static_assert(EMUL_LOG_ENTRIES >= 33 + 31 && EMUL_LOG_ENTRIES >= 1 + 416 / 32 &&
	      EMUL_LOG_ENTRIES >= 2 * 26 + 9 * (2 + 6) + 2 * 4 + 1);

/*
 * Bytes that these calls read, the two of the I/O permission bit map and a batch of port items
 * among them.
 */
#define EMUL_IO_BATCH		1024
#define EMUL_LOG_BYTES		2048
static_assert(EMUL_LOG_BYTES >= EMUL_IO_BATCH + 8 && EMUL_LOG_BYTES >= 2 * 512);

/* Writes to devices of userspace that wait; FXSAVE makes 52. More are given in several turns. */
#define EMUL_POSTS		72

/** enum emul_io - kinds of logged accesses */
enum emul_io {
	EMUL_IO_READ,
	EMUL_IO_WRITE,
	EMUL_IO_CMPXCHG,
	EMUL_IO_PROBE,
	EMUL_IO_PORT_IN,
	EMUL_IO_PORT_OUT,
};

/**
 * struct emul_log_entry - an access that the present instruction has made, or is making
 * @addr: linear address or port
 * @gpa: where the access begins, and where its second page does. Filled if @translated
 * @acc: OKVM_ACC_* bits of the translation
 * @len: bytes; for ports of all items together
 * @done: the first bytes, which are done and are not done again
 * @data: (reads, IN) where okvm_emulation.log_data has what was read
 * @unit: bytes of an item that a device takes at once; 0: up to 8
 * @kind: enum emul_io
 * @translated: the guest's page tables have been asked
 * @judged: (batches) it has been decided whether @refused
 * @refused: a batch that is done item by item instead, by the entries behind it; an exchange that
 *	found another value
 */
struct emul_log_entry {
	u64 addr;
	gpa_t gpa[2];
	u32 acc;
	u16 len;
	u16 done;
	u16 data;
	u8 unit;
	u8 kind;
	bool translated;
	bool judged;
	bool refused;
};

/** struct emul_post - a write to a device of userspace that waits for the instruction's end */
struct emul_post {
	gpa_t gpa;
	u8 data[8];
	u8 len;
};

/**
 * struct emul_known - a MOV in 64-bit mode that was decoded before, see plain_mov.c
 * @len: length of the instruction in bytes; 0: the entry is empty
 * @cpl, @rip: CPL and RIP at which the instruction was decoded
 * @cr: a MOV to or from a control register, of which only @mov.reg is valid in @mov
 * @bytes: the instruction's bytes, padded with zeros
 * @mask: the bits of @bytes that belong to the instruction are 1
 * @note: the translation of @rip, which must still hold when the entry is used
 * @mov: the decoded MOV
 */
struct emul_known {
	u8 len;
	u8 cpl;
	bool cr;
	unsigned long rip;
	u64 bytes[2];
	u64 mask[2];
	struct okvm_note note;
	struct emul_mov mov;
};

#define EMUL_KNOWN		8

/**
 * struct okvm_emulation - the emulation of a vCPU; survives user exits, so it lives in the vCPU
 * @gpa: address of the instruction's memory operand, if an exit has told it
 * @log: accesses of the present instruction or iteration, in order
 * @logged: entries of @log
 * @replayed: entries that the present execution has passed
 * @log_used: bytes of @log_data in use
 * @log_seq: ctx.seq under which the log was taken
 * @tlb_from: first entry whose translation holds still (CR3 is as it was)
 * @wait_len: bytes of the newest entry that userspace was asked for, 0: none
 * @posts: writes for userspace
 * @nr_posts: number of them
 * @posted: those that userspace was given
 * @port_out: userspace has been given data for a port
 * @finished: the instruction is done but for what userspace was or is to be given
 * @direct: userspace was asked for the plain MOV in @mov
 * @asked_msr: userspace was asked for an MSR: okvm_msr_ask_user()
 * @retry_rip, @retry_gfn, @retries: an instruction that the CPU was given as its emulation failed
 * @repeatable: what is emulated comes again if it is given up without any effect
 * @raced: it was given up, as the guest's tables did not hold still: okvm_emul_raced()
 * @note: how the instruction's bytes were found, if that was noted
 * @known: the last that were decoded, of which the next takes the place of @known_next
 * @again: the one that userspace was asked to read for
 */
struct okvm_emulation {
	struct emul_ctx ctx;
	struct okvm_vcpu *vcpu;
	enum okvm_emul_why why;
	gpa_t gpa;

	struct emul_log_entry log[EMUL_LOG_ENTRIES];
	unsigned int logged, replayed, log_used, tlb_from;
	u32 log_seq;
	unsigned int wait_len;
	struct emul_post posts[EMUL_POSTS];
	unsigned int nr_posts, posted;
	bool port_out;
	bool finished;
	bool direct;
	bool asked_msr;
	bool unknown;		/* OKVM_EMUL_NATIVE: left to hardware */
	struct emul_mov mov;
	unsigned long retry_rip;
	gfn_t retry_gfn;
	u8 retries;
	bool repeatable;
	bool raced;

	struct okvm_note note;
	struct emul_known known[EMUL_KNOWN];
	unsigned int known_next;
	const struct emul_known *again;

	u8 io_buf[EMUL_IO_BATCH];	/* what the emulator batches of string ports */
	u8 log_data[EMUL_LOG_BYTES];

	struct emul_fx fx_live;	/* the registers' contents while an x87 instruction uses them */
};

extern const struct emul_ops okvm_emul_ops;

/** okvm_emul_is_mmio() - hardware has told of a guest-physical access without memory */
static inline bool okvm_emul_is_mmio(const struct okvm_emulation *e)
{
	return e->why == OKVM_EMUL_MMIO || e->why == OKVM_EMUL_MMIO_READ;
}

/** okvm_emul_raced() - not unknown, but to come again, after KVM_RUN has looked at what waits */
static inline bool okvm_emul_raced(struct okvm_emulation *e)
{
	bool raced = e->raced;

	e->raced = false;
	return raced;
}

/** okvm_emul_steps() - a debugger steps: one instruction, or one iteration of a string */
static inline bool okvm_emul_steps(const struct okvm_emulation *e)
{
	return e->vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP;
}

/* ---- run.c ---- */

void okvm_emul_begin(struct okvm_emulation *e, enum okvm_emul_why why, gpa_t gpa);
/** okvm_emul_complete() - KVM_RUN after userspace was asked for something. Return: outcome */
int okvm_emul_complete(struct okvm_vcpu *vcpu);

/* ---- outcome.c ---- */

/** okvm_emul_trace() - kvm_emulate_insn */
void okvm_emul_trace(const struct okvm_emulation *e, bool failed);
/** okvm_emul_outcome() - what comes of an instruction, in terms of the vCPU. Return: outcome */
int okvm_emul_outcome(struct okvm_emulation *e, enum emul_rc rc);
/**
 * okvm_emul_give() - after the instruction: give userspace its writes to devices in userspace
 * Return: outcome; after the last write that of a trap which follows the instruction
 */
int okvm_emul_give(struct okvm_emulation *e);
/** okvm_emul_impossible() - a delivery or task switch that is given up. Return: outcome */
int okvm_emul_impossible(struct okvm_emulation *e);
/** okvm_emul_user() - userspace has been asked for something. Return: outcome */
int okvm_emul_user(struct okvm_emulation *e);

/* ---- plain_mov.c ---- */

/** okvm_emul_direct() - carry out the decoded plain MOV, if that is what it is, and *@outcome */
bool okvm_emul_direct(struct okvm_emulation *e, int *outcome);
/** okvm_emul_know_cr() - the decoded instruction, if it is a MOV with a control register */
void okvm_emul_know_cr(struct okvm_emulation *e);
/** okvm_emul_direct_done() - userspace has read for the MOV. Return: outcome */
int okvm_emul_direct_done(struct okvm_emulation *e);

/* ---- task.c, ud.c, pio.c ---- */

/** okvm_emul_switch_task() - the instruction, or the event (no @insn_len), is a task switch */
int okvm_emul_switch_task(struct okvm_emulation *e, unsigned int insn_len);
int okvm_emul_ud(struct okvm_vcpu *vcpu);
/**
 * okvm_emul_at_breakpoint() - an execution breakpoint is at RIP, which hardware does not look for
 *
 * The debugger's come first. Return: true if *outcome is the breakpoint's.
 */
bool okvm_emul_at_breakpoint(struct okvm_vcpu *vcpu, int *outcome);
/** okvm_pio_ask() - fill kvm_run for a port access; @data is what OUT writes */
void okvm_pio_ask(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
		  const void *data, bool in);

#endif /* OKVM_X86_INSN_EMULATION_H */
