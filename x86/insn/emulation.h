/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct okvm_emulation: what okvm stores per vCPU while the emulator in x86/emul/ executes an
 * instruction of the vCPU. Only files in x86/insn/ include this header.
 */
#ifndef OKVM_X86_INSN_EMULATION_H
#define OKVM_X86_INSN_EMULATION_H

#include <linux/sched/signal.h>
#include <linux/types.h>

#include "mmu/mmu.h"
#include "x86/cpu/regs.h"
#include "x86/emul/emul.h"
#include "x86/insn/insn.h"

/*
 * Number of entries of the log: enough for all memory and port accesses of one instruction or
 * iteration. These need the most:
 * - ENTER with 31 levels pushes 33 values and reads 31.
 * - A task switch accesses each TSS up to 26 times, reads nine descriptors of up to two words, and
 *   pushes an error code. It sets the accessed or busy bit of each descriptor by up to six
 *   accesses.
 * - FXSAVE makes 14 accesses.
 */
#define EMUL_LOG_ENTRIES	160
static_assert(EMUL_LOG_ENTRIES >= 33 + 31 && EMUL_LOG_ENTRIES >= 1 + 416 / 32 &&
	      EMUL_LOG_ENTRIES >= 2 * 26 + 9 * (2 + 6) + 2 * 4 + 1);

/*
 * Size of log_data in bytes: it holds all data that one instruction or iteration reads, including
 * two bytes of the I/O permission bit map and a batch of port items.
 */
#define EMUL_IO_BATCH		1024
#define EMUL_LOG_BYTES		2048
static_assert(EMUL_LOG_BYTES >= EMUL_IO_BATCH + 8 && EMUL_LOG_BYTES >= 2 * 512);

/*
 * Size of the queue of writes to devices in userspace. FXSAVE makes 52 writes. If the queue is
 * full, userspace does the queued writes before the instruction continues.
 */
#define EMUL_POSTS		72

/**
 * enum emul_io - kinds of entries of the access log (log[] in struct okvm_emulation)
 *
 * EMUL_IO_PROBE: the emulator has only checked that a write would succeed (emul_ops.probe_write).
 */
enum emul_io {
	EMUL_IO_READ,
	EMUL_IO_WRITE,
	EMUL_IO_CMPXCHG,
	EMUL_IO_PROBE,
	EMUL_IO_PORT_IN,
	EMUL_IO_PORT_OUT,
};

/**
 * struct emul_log_entry - an access that the current instruction has made or begun
 * @addr: linear address or port
 * @gpa: guest-physical address of the first byte, and of the second page if the access reaches one;
 *	valid if @translated is set
 * @acc: OKVM_ACC_* bits of the translation
 * @len: length in bytes; for a port access, of all items together
 * @done: number of bytes already accessed
 * @data: for reads and IN: offset of the data in okvm_emulation.log_data
 * @unit: for a batch: size of an item in bytes; otherwise 0
 * @kind: enum emul_io
 * @translated: @gpa has been set from the guest's page tables
 * @begun: a write was tried, and may have written bytes that @done does not count
 * @device: at least one byte has been accessed at a device
 * @judged: for a batch: @refused is valid
 * @refused: for a batch: no access was made, and each item has its own entry instead; for an
 *	exchange: memory did not hold the expected value
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
	bool begun;
	bool device;
	bool judged;
	bool refused;
};

/** struct emul_post - a queued write to a device in userspace */
struct emul_post {
	gpa_t gpa;
	u8 data[8];
	u8 len;
};

/**
 * struct emul_cached_mov - a MOV of 64-bit mode that plain_mov.c remembers
 * @len: length of the instruction in bytes; 0: the entry is empty
 * @cpl, @rip: CPL and RIP at which the instruction was decoded
 * @cr: for MOV to or from CR: 1 + the number of the control register (of @mov, only reg and write
 *	are valid then); 0 for another MOV
 * @bytes: the instruction's bytes, padded with zeros
 * @mask: bit mask of @bytes: 1 for the bits that belong to the instruction
 * @note: record of the page walk that translated @rip
 * @mov: the decoded MOV
 */
struct emul_cached_mov {
	u8 len;
	u8 cpl;
	u8 cr;
	unsigned long rip;
	u64 bytes[2];
	u64 mask[2];
	struct okvm_note note;
	struct emul_mov mov;
};

#define EMUL_MOV_CACHE		8

/**
 * struct okvm_emulation - emulation state of a vCPU; kept across exits to userspace
 * @ctx: the emulator's registers and decoded instruction
 * @vcpu: the vCPU
 * @why: reason of the emulation
 * @gpa: guest-physical address that the VM exit reported, or OKVM_INVALID_GPA
 * @log: accesses of the current instruction or iteration, in order
 * @logged: number of entries of @log
 * @replayed: number of entries of @log that belong to accesses up to the current one; less than
 *	@logged if the instruction is executed again
 * @log_used: bytes of @log_data in use
 * @log_seq: value of ctx.seq when the log was made
 * @tlb_from: index in @log of the first entry after the last write of a CR: translations in older
 *	entries may be out of date
 * @wait_len: number of bytes that userspace has been asked to read for the newest entry of @log
 * @posts: queue of writes to devices in userspace
 * @nr_posts: number of queued writes
 * @posted: number of writes of the queue that userspace has already got
 * @port_out: kvm_run contains an OUT or OUTS that userspace has to do
 * @finished: the instruction is done, but userspace may still have to do its writes
 * @direct: userspace has been asked to do the read of the plain MOV in @mov
 * @asked_msr: okvm_msr_ask_user() has filled kvm_run
 * @unknown: with OKVM_EMUL_NATIVE: the emulator does not know the instruction, so hardware executes
 *	it
 * @mov: the plain MOV
 * @retry_rip: RIP of the last failed instruction that emul_retry() has left to the CPU
 * @retry_exits: the vCPU's count of VM exits when @retry_rip was set
 * @retries: how many times in a row emul_retry() has left the instruction at @retry_rip to the CPU
 * @repeatable: this emulation may be given up as long as it has no effect; KVM_RUN then begins it
 *	again
 * @once: this emulation (a task switch) must not be given up after its first effect, because a
 *	later KVM_RUN could not continue it
 * @forced: the instruction has the forced-emulation prefix
 * @forced_rip: address of this prefix
 * @raced: the emulation was given up: the guest's page tables kept changing, or KVM_RUN has to end
 *	while the host still waits for a page; see okvm_emul_raced()
 * @altered: the instruction has had an effect that is not in the log, such as a load of a CR
 * @holds_signals: pending signals are blocked until the page walk or wait for a page has ended
 * @blocked: if @holds_signals is set: the thread's signal mask, to be restored later
 * @note: record of the page walk for the instruction's address
 * @mov_cache: the MOVs that were decoded last
 * @mov_cache_next: the entry of @mov_cache to be replaced next
 * @read_for: the entry of @mov_cache whose MOV waits for a read by userspace
 * @io_buf: items of a string port instruction
 * @log_data: data that logged reads have returned
 * @fx_live: keeps the CPU's x87 and SSE registers while the CPU executes an x87 instruction on a
 *	copy of the guest's state
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
	unsigned long forced_rip;
	unsigned long retry_rip;
	u64 retry_exits;
	u8 retries;
	bool repeatable;
	bool once;
	bool forced;
	bool raced;
	bool altered;
	bool holds_signals;
	sigset_t blocked;

	struct okvm_note note;
	struct emul_cached_mov mov_cache[EMUL_MOV_CACHE];
	unsigned int mov_cache_next;
	const struct emul_cached_mov *read_for;

	u8 io_buf[EMUL_IO_BATCH];
	u8 log_data[EMUL_LOG_BYTES];

	struct emul_fx fx_live;
};

#define MODRM_VMCALL	0xc1

extern const struct emul_ops okvm_emul_ops;

/**
 * okvm_emul_is_mmio() - Return true if the reason is a VM exit for an access to memory
 * (OKVM_EMUL_MMIO*)
 */
static inline bool okvm_emul_is_mmio(const struct okvm_emulation *e)
{
	return e->why == OKVM_EMUL_MMIO || e->why == OKVM_EMUL_MMIO_READ;
}

/**
 * okvm_emul_ends_run() - Return true if KVM_RUN must end even in the middle of an instruction
 *
 * This is so after OKVM_VCPU_KICK or a fatal signal. Other signals wait for the end of the
 * instruction, because a VMM may save the vCPU's state when KVM_RUN returns EINTR: the vCPU must
 * then be between two instructions. (A VMM that uses OKVM_VCPU_KICK tests OKVM_RUN_AMID before.)
 */
static inline bool okvm_emul_ends_run(const struct okvm_emulation *e)
{
	return fatal_signal_pending(current) || okvm_test_request(OKVM_REQ_LEAVE, e->vcpu);
}

/**
 * okvm_emul_has_effects() - Return true if the current instruction or iteration has had an effect
 */
static inline bool okvm_emul_has_effects(const struct okvm_emulation *e)
{
	const struct emul_log_entry *entry = e->log;

	if (e->altered)
		return true;
	/*
	 * If the numbers differ, the log belongs to an earlier iteration. The current iteration has
	 * made no access yet.
	 */
	if (e->log_seq != e->ctx.seq)
		return false;
	for (; entry < &e->log[e->logged]; entry++)
		if (entry->begun ||
		    (entry->done && (entry->kind != EMUL_IO_READ || entry->device)))
			return true;
	return false;
}

/**
 * okvm_emul_raced() - Return true if the emulation was given up, and clear e->raced
 *
 * The caller then lets KVM_RUN serve requests and emulate the instruction again.
 */
static inline bool okvm_emul_raced(struct okvm_emulation *e)
{
	bool raced = e->raced;

	e->raced = false;
	return raced;
}

/**
 * okvm_emul_anew() - Let the guest begin the instruction again, at its forced-emulation prefix if
 * any
 * Return: enum okvm_outcome
 */
static inline int okvm_emul_anew(const struct okvm_emulation *e)
{
	if (unlikely(e->forced))
		okvm_rip_set(e->vcpu, e->forced_rip);
	/*
	 * The delivery of an event says nothing about breakpoints at the instruction. If hardware
	 * cannot run the guest's state, no exit has cleared RF.
	 */
	return e->why == OKVM_EMUL_DELIVERY || e->why == OKVM_EMUL_INVALID_STATE ?
	       OKVM_RESUME : okvm_begin_again(e->vcpu);
}

/**
 * okvm_emul_steps() - Return true if a debugger single-steps (each iteration of REP is one step)
 */
static inline bool okvm_emul_steps(const struct okvm_emulation *e)
{
	return e->vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP;
}

/* ---- run.c ---- */

void okvm_emul_begin(struct okvm_emulation *e, enum okvm_emul_why why, gpa_t gpa);
/**
 * okvm_emul_complete() - Continue the instruction after an exit to userspace.
 * Return: enum okvm_outcome
 */
int okvm_emul_complete(struct okvm_vcpu *vcpu);

/* ---- outcome.c ---- */

/** okvm_emul_trace() - Emit the tracepoint kvm_emulate_insn */
void okvm_emul_trace(const struct okvm_emulation *e, bool failed);
/** okvm_emul_outcome() - Apply an instruction's result to the vCPU. Return: enum okvm_outcome */
int okvm_emul_outcome(struct okvm_emulation *e, enum emul_rc rc);
/**
 * okvm_emul_finish() - Give userspace the next queued write of a finished instruction
 *
 * If no write is left, make the single-step trap that follows the instruction, or halt the vCPU
 * after HLT.
 * Return: enum okvm_outcome
 */
int okvm_emul_finish(struct okvm_emulation *e);
/**
 * okvm_emul_impossible() - Exit to userspace, because okvm cannot deliver an event or switch tasks
 *
 * The exit is KVM_EXIT_INTERNAL_ERROR with suberror KVM_INTERNAL_ERROR_EMULATION.
 * Return: enum okvm_outcome
 */
int okvm_emul_impossible(struct okvm_emulation *e);
/**
 * okvm_emul_user() - Exit to userspace for an access that the emulator needs.
 * Return: enum okvm_outcome
 */
int okvm_emul_user(struct okvm_emulation *e);

/* ---- plain_mov.c ---- */

/**
 * okvm_emul_direct() - Execute the decoded instruction if it is a plain MOV to or from a device
 * Return: true if executed; *@outcome is set
 */
bool okvm_emul_direct(struct okvm_emulation *e, int *outcome);
/** okvm_emul_cache_mov_cr() - Remember the decoded instruction if it is MOV to or from CR */
void okvm_emul_cache_mov_cr(struct okvm_emulation *e);
/**
 * okvm_emul_direct_done() - Finish the MOV whose data userspace has read.
 * Return: enum okvm_outcome
 */
int okvm_emul_direct_done(struct okvm_emulation *e);

/* ---- task.c, ud.c, pio.c ---- */

/**
 * okvm_emul_switch_task() - Execute the task switch that an instruction or event makes
 * @insn_len: length of the instruction in bytes; 0 for an event
 */
int okvm_emul_switch_task(struct okvm_emulation *e, unsigned int insn_len);
int okvm_emul_ud(struct okvm_vcpu *vcpu);
/**
 * okvm_emul_at_breakpoint() - Look for an execution breakpoint at RIP
 *
 * Called if hardware has not tried to execute the instruction at RIP. If both a debugger and the
 * guest have a breakpoint there, the debugger's hits.
 * Return: true if there is a breakpoint; *@outcome is set
 */
bool okvm_emul_at_breakpoint(struct okvm_vcpu *vcpu, int *outcome);
/** okvm_pio_ask() - Fill kvm_run for a port access; @data: what OUT writes */
void okvm_pio_ask(struct okvm_vcpu *vcpu, u16 port, unsigned int size, u32 count,
		  const void *data, bool in);

#endif /* OKVM_X86_INSN_EMULATION_H */
