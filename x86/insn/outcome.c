// SPDX-License-Identifier: GPL-2.0-only
/* Apply the result of an emulated instruction to the vCPU: registers, exceptions, exits, traps. */
#include <linux/mm.h>

#include <asm/trapnr.h>

#include "core/trace_kvm.h"
#include "x86/cpu/event.h"
#include "x86/cpu/mp_state.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/access_log.h"

/*
 * Set the vCPU's RFLAGS. While a debugger single-steps, keep TF, which the debugger uses. If the
 * instruction has set IF, a pending interrupt may be delivered now.
 */
static void emul_store_rflags(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	unsigned long rflags = e->ctx.rflags, old = okvm_rflags(vcpu);

	if (okvm_emul_steps(e))
		rflags |= old & X86_EFLAGS_TF;
	okvm_rflags_set(vcpu, rflags);
	if (rflags & ~old & X86_EFLAGS_IF)
		okvm_request(OKVM_REQ_EVENT, vcpu);
}

static void emul_store_regs(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	if (vcpu->arch->gpr[OKVM_REG_RSP] != e->ctx.gpr[EMUL_RSP])
		okvm_reg_mark_dirty(vcpu, OKVM_REG_RSP);
	memcpy(vcpu->arch->gpr, e->ctx.gpr, sizeof(e->ctx.gpr));
	if (vcpu->arch->rip != e->ctx.rip)
		okvm_rip_set(vcpu, e->ctx.rip);
	if (e->ctx.rflags != okvm_guest_rflags(vcpu))
		emul_store_rflags(e);
}

/*
 * Fill kvm_run for KVM_INTERNAL_ERROR_EMULATION. data[] gets the flags, then the number and values
 * of the instruction's bytes (two u64, only if they could be read), then the VM exit information.
 */
static void emul_failure_exit(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	struct kvm_run *run = vcpu->run;
	u64 info[OKVM_EXIT_INFO];
	unsigned int n = e->ctx.insn.avail;
	u32 ndata = 1;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.flags = 0;
	if (n) {
		ndata += 2;
		run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = n;
		memset(run->emulation_failure.insn_bytes, 0x90,
		       sizeof(run->emulation_failure.insn_bytes));
		memcpy(run->emulation_failure.insn_bytes, e->ctx.insn.bytes, n);
	}
	vcpu->arch->reg_ops->exit_info(vcpu, info);
	memcpy(&run->internal.data[ndata], info, sizeof(info));
	run->emulation_failure.ndata = ndata + OKVM_EXIT_INFO;
}

static const char *const mode_names[] = {
	[EMUL_REAL] = "real mode",
	[EMUL_VM86] = "virtual-8086 mode",
	[EMUL_PROT16] = "16-bit code",
	[EMUL_PROT32] = "32-bit code",
	[EMUL_LONG64] = "64-bit code",
};

/* Return true if the instruction's bytes could be read only up to the end of a page. */
static bool ends_page(const struct okvm_emulation *e)
{
	return !offset_in_page(okvm_linear_rip(e->vcpu) + e->ctx.insn.avail);
}

static const char *emul_what_failed(const struct okvm_emulation *e)
{
	const struct emul_insn *insn = &e->ctx.insn;

	if (e->why == OKVM_EMUL_DELIVERY)
		return "a table, a task's state or the stack is in no memory";
	if (!insn->avail)
		return "its bytes cannot be read: no memory is there";
	if (!insn->len && insn->avail < EMUL_MAX_INSN && ends_page(e))
		return "the emulator does not know the opcode, or the rest is in no memory";
	if (!insn->len)
		return "the emulator does not know the opcode";
	return "the emulator knows the opcode, and cannot do this form of it or reach its operand";
}

/* Fill the text for OKVM_GET_ERROR: CPU mode, instruction bytes and what failed. */
static void emul_explain(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	struct okvm_error error = {
		.kind = OKVM_ERROR_EMULATION,
		.ndata = 4,
		.data = { e->ctx.rip, okvm_cr0(vcpu), okvm_cr4(vcpu), vcpu->arch->efer },
	};

	scnprintf(error.text, sizeof(error.text),
		  "emulation of the %s at rip %#llx (%s, CPL %u) failed: %s%s%*ph",
		  e->why == OKVM_EMUL_DELIVERY ? "delivery or task switch" : "instruction",
		  e->ctx.rip, mode_names[e->ctx.mode], e->ctx.cpl, emul_what_failed(e),
		  e->ctx.insn.avail ? "; bytes: " : "", e->ctx.insn.avail, e->ctx.insn.bytes);
	okvm_error_set(&vcpu->error, &error);
}

int okvm_emul_impossible(struct okvm_emulation *e)
{
	emul_explain(e);
	return okvm_internal_error(e->vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, NULL);
}

/*
 * How often in a row emul_retry() lets the CPU execute an instruction that okvm cannot emulate.
 * There must be a limit: the instruction may write to a page table that translates its own
 * addresses. The CPU then needs a shadow of this page table again, so the write would fault for
 * ever.
 */
#define EMUL_RETRIES	8
/* If emulation fails at the same RIP within this many VM exits, the CPU has made no progress. */
#define EMUL_RETRY_EXITS	64

/*
 * If e->gpa is in a shadowed page table of the guest, end its write protection, so that the CPU can
 * execute the instruction.
 * Return: true if so; false if e->gpa is not in such a page table, or if the CPU was given the
 * instruction too often
 */
static bool emul_retry(struct okvm_emulation *e)
{
	u64 exits = e->vcpu->stat[OKVM_STAT_EXITS];

	if (!okvm_emul_is_mmio(e) || e->gpa == OKVM_INVALID_GPA)
		return false;
	if (e->retry_rip != okvm_rip(e->vcpu) || exits - e->retry_exits > EMUL_RETRY_EXITS)
		e->retries = 0;
	e->retry_rip = okvm_rip(e->vcpu);
	e->retry_exits = exits;
	return e->retries++ < EMUL_RETRIES && okvm_mmu_unprotect(e->vcpu, e->gpa >> PAGE_SHIFT);
}

void okvm_emul_trace(const struct okvm_emulation *e, bool failed)
{
	static const u8 modes[] = {
		[EMUL_REAL] = 0,
		[EMUL_VM86] = TRACE_INSN_VM86,
		[EMUL_PROT16] = TRACE_INSN_PROTECTED,
		[EMUL_PROT32] = TRACE_INSN_PROTECTED | TRACE_INSN_CS_D,
		[EMUL_LONG64] = TRACE_INSN_PROTECTED | TRACE_INSN_CS_L,
	};
	struct okvm_trace_insn insn = {
		.rip = okvm_rip(e->vcpu),
		.len = min_t(u8, e->ctx.insn.len ?: e->ctx.insn.avail, sizeof(insn.bytes)),
		.flags = modes[e->ctx.mode],
		.failed = failed,
	};
	struct kvm_segment cs;

	e->vcpu->arch->reg_ops->get_segment(e->vcpu, &cs, OKVM_SEG_CS);
	insn.csbase = cs.base;
	memcpy(insn.bytes, e->ctx.insn.bytes, insn.len);
	trace_kvm_emulate_insn(&insn);
}

/*
 * The emulation has been given up, because KVM_RUN must first serve a signal or a request. If the
 * instruction has had effects and KVM_RUN must end, KVM_RUN ends in the middle of the instruction:
 * OKVM_RUN_AMID tells userspace not to save the vCPU's state, and the next KVM_RUN continues with
 * the log of the accesses. Otherwise the instruction begins again.
 */
static int emul_given_up(struct okvm_emulation *e)
{
	/*
	 * A REP string instruction may have done iterations. Write the registers to the vCPU, so
	 * that the next emulation continues after these iterations.
	 */
	emul_store_regs(e);
	if (!okvm_emul_has_effects(e) || !okvm_emul_ends_run(e))
		return okvm_emul_anew(e);
	okvm_io_begin(e->vcpu, okvm_emul_complete);
	e->vcpu->run->flags |= OKVM_RUN_AMID;
	return okvm_run_interrupted(e->vcpu);
}

/*
 * emul_exec() or emul_decode() has failed. If the emulation was only given up, it continues later.
 * If the CPU can execute the instruction, let the CPU do so. Otherwise queue #UD, and at CPL 0 also
 * exit to userspace. With KVM_CAP_EXIT_ON_EMULATION_FAILURE only exit to userspace, at any CPL.
 */
static int emul_failed(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	if (okvm_emul_raced(e))
		return emul_given_up(e);
	if (e->why == OKVM_EMUL_NATIVE) {
		e->unknown = true;
		return OKVM_RESUME;
	}
	if (emul_retry(e))
		return OKVM_RESUME;
	vcpu->stat[OKVM_STAT_EMULATION_FAIL]++;
	if (!vcpu->vm->arch->exit_on_emulation_error) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		if (vcpu->arch->reg_ops->get_cpl(vcpu))
			return OKVM_RESUME;
	}
	emul_failure_exit(e);
	emul_explain(e);
	return OKVM_USER;
}

static int emul_faulted(struct okvm_emulation *e)
{
	const struct emul_exception *exc = &e->ctx.exc;

	/* A REP string instruction may have done iterations, which the registers must show. */
	emul_store_regs(e);
	if (exc->vector == X86_TRAP_PF)
		okvm_queue_pf(e->vcpu, exc->cr2, exc->error);
	else if (exc->vector == X86_TRAP_DB)
		okvm_queue_db(e->vcpu, exc->payload);
	else if (exc->has_error)
		okvm_queue_exception_err(e->vcpu, exc->vector, exc->error);
	else
		okvm_queue_exception(e->vcpu, exc->vector);
	return OKVM_RESUME;
}

/*
 * Return true if a single-step trap follows, for the guest's TF (EMUL_OUT_SINGLE_STEP) or for a
 * debugger. A REP string instruction traps after each iteration.
 */
static bool emul_traps(const struct okvm_emulation *e)
{
	return e->ctx.out & EMUL_OUT_SINGLE_STEP ||
	       ((e->ctx.out & EMUL_OUT_ITERATED || !(e->ctx.out & EMUL_OUT_AGAIN)) &&
		okvm_emul_steps(e));
}

int okvm_emul_finish(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	int outcome = OKVM_RESUME;

	e->finished = true;
	if (okvm_log_ask_post(e) || e->port_out) {
		e->port_out = false;
		if (e->posted < e->nr_posts || emul_traps(e))
			okvm_io_begin(vcpu, okvm_emul_complete);
		return OKVM_USER;
	}
	if (emul_traps(e))
		outcome = okvm_trap_singlestep(vcpu);
	return e->ctx.out & EMUL_OUT_HALT ? okvm_halt(vcpu, outcome) : outcome;
}

/* End the interrupt shadow of the instruction before, and begin that of STI, MOV SS or POP SS. */
static void emul_shadow(struct okvm_vcpu *vcpu, u32 out)
{
	const struct okvm_event_ops *ops = vcpu->arch->event_ops;
	u32 shadow = 0;

	if (out & EMUL_OUT_STI)
		shadow |= OKVM_IRQ_SHADOW_STI;
	if (out & EMUL_OUT_MOVSS)
		shadow |= OKVM_IRQ_SHADOW_MOV_SS;
	if (!shadow && !ops->get_irq_shadow(vcpu))
		return;
	ops->set_irq_shadow(vcpu, shadow);
	okvm_request(OKVM_REQ_EVENT, vcpu);
}

/*
 * Write the result of a completed instruction, or of iterations of a string instruction, to the
 * vCPU. Request OKVM_REQ_EVENT only if an event may be delivered now that was blocked before: after
 * each request emulate_until_valid() of vmx/ leaves its loop.
 */
static int emul_completed(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	u32 out = e->ctx.out;

	emul_store_regs(e);
	if (!(out & EMUL_OUT_AGAIN) || out & EMUL_OUT_ITERATED)
		emul_shadow(vcpu, out);
	if (vcpu->arch->ev.nmi_pending)
		okvm_request(OKVM_REQ_EVENT, vcpu);
	return okvm_emul_finish(e);
}

int okvm_emul_user(struct okvm_emulation *e)
{
	/*
	 * A REP string instruction may have done iterations. Write the registers to the vCPU,
	 * because userspace may read them there.
	 */
	emul_store_regs(e);
	/* okvm_msr_ask_user() has already filled kvm_run and called okvm_io_begin(). */
	if (e->asked_msr)
		return OKVM_USER;
	/*
	 * If wait_len or direct is set, kvm_run already contains a read for userspace. Otherwise
	 * userspace must do the queued writes first, one with each exit: the queue is full, or a
	 * read has to wait for the writes.
	 */
	if (!e->wait_len && !e->direct)
		okvm_log_ask_post(e);
	okvm_io_begin(e->vcpu, okvm_emul_complete);
	return OKVM_USER;
}

int okvm_emul_outcome(struct okvm_emulation *e, enum emul_rc rc)
{
	if (rc == EMUL_UNHANDLEABLE && e->ctx.out & EMUL_OUT_TASK_SWITCH)
		return okvm_emul_switch_task(e, e->ctx.insn.len);
	switch (rc) {
	case EMUL_OK:
		return emul_completed(e);
	case EMUL_FAULT:
		return emul_faulted(e);
	case EMUL_IO:
		return okvm_emul_user(e);
	default:
		return emul_failed(e);
	}
}
