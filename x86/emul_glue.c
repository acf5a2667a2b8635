// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulating instructions of a vCPU: registers in, the emulator, registers out,
 * and what comes of its outcome.
 *
 * A read that userspace must do ends the KVM_RUN with RIP at the instruction; what it writes to
 * userspace's devices is given to userspace when the instruction is done, with RIP behind it. See
 * emul_log.c and Documentation/uapi.rst, "RIP at an exit".
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "core/iobus.h"
#include "core/trace.h"
#include "x86/emul_glue.h"

int okvm_emul_create(struct okvm_vcpu *vcpu)
{
	vcpu->arch->emul = kvzalloc(sizeof(*vcpu->arch->emul), GFP_KERNEL_ACCOUNT);
	if (!vcpu->arch->emul)
		return -ENOMEM;
	vcpu->arch->emul->vcpu = vcpu;
	return 0;
}

void okvm_emul_destroy(struct okvm_vcpu *vcpu)
{
	kvfree(vcpu->arch->emul);
}

/* ---- registers ---- */

static void emul_load_regs(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	okvm_reg_fetch(vcpu, OKVM_REG_RSP);
	memcpy(e->ctx.gpr, vcpu->arch->gpr, sizeof(e->ctx.gpr));
	e->ctx.rip = okvm_rip(vcpu);
	e->ctx.rflags = okvm_guest_rflags(vcpu);
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
		okvm_guest_rflags_set(vcpu, e->ctx.rflags);
}

/* ---- outcomes ---- */

/* The flags, the instruction if it could be read (its bytes fill two words), and the exit. */
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
	vcpu->vm->backend->exit_info(vcpu, info);
	memcpy(&run->internal.data[ndata], info, sizeof(info));
	run->emulation_failure.ndata = ndata + OKVM_EXIT_INFO;
}

/* The kernel of the guest met something that is not emulated: userspace must know. */
static int emul_failed(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	vcpu->stat[OKVM_STAT_EMULATION_FAIL]++;
	if (!vcpu->vm->arch->exit_on_emulation_error) {
		okvm_queue_exception(vcpu, X86_TRAP_UD);
		if (vcpu->vm->backend->get_cpl(vcpu))
			return OKVM_RESUME;
	}
	emul_failure_exit(e);
	return OKVM_USER;
}

static int emul_faulted(struct okvm_emulation *e)
{
	const struct emul_exception *exc = &e->ctx.exc;

	/* Iterations that came before the fault are done. */
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

static int emul_stepped(struct okvm_vcpu *vcpu)
{
	if (vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return okvm_debug_exit(vcpu, X86_TRAP_DB, DR_STEP | vcpu->arch->feat.dr6_fixed1);
	okvm_queue_db(vcpu, DR_STEP);
	return OKVM_RESUME;
}

static bool emul_debugger_steps(const struct okvm_emulation *e)
{
	return e->vcpu->arch->guest_debug & KVM_GUESTDBG_SINGLESTEP;
}

static bool emul_steps(const struct okvm_emulation *e)
{
	/* A repeated string traps after each iteration, to the debugger as to the guest. */
	return e->ctx.out & EMUL_OUT_SINGLE_STEP ||
	       ((e->ctx.out & EMUL_OUT_ITERATED || !(e->ctx.out & EMUL_OUT_AGAIN)) &&
		emul_debugger_steps(e));
}

static int emul_complete(struct okvm_vcpu *vcpu);

int okvm_emul_give(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	int outcome = OKVM_RESUME;

	e->finished = true;
	if (okvm_log_ask_post(e) || e->port_out) {
		e->port_out = false;
		if (e->posted < e->nr_posts || emul_steps(e))
			okvm_io_begin(vcpu, emul_complete);
		return OKVM_USER;
	}
	if (emul_steps(e))
		outcome = emul_stepped(vcpu);
	return e->ctx.out & EMUL_OUT_HALT ? okvm_halt(vcpu, outcome) : outcome;
}

static int emul_completed(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;
	u32 out = e->ctx.out, shadow = 0;

	emul_store_regs(e);
	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (!(out & EMUL_OUT_AGAIN)) {
		if (out & EMUL_OUT_STI)
			shadow |= OKVM_SHADOW_STI;
		if (out & EMUL_OUT_MOVSS)
			shadow |= OKVM_SHADOW_MOV_SS;
		vcpu->vm->backend->set_shadow(vcpu, shadow);
	}
	return okvm_emul_give(e);
}

int okvm_emul_user(struct okvm_emulation *e)
{
	/* Iterations before this one are done, and userspace may look. */
	emul_store_regs(e);
	/* An MSR that userspace was asked for is completed without the emulator. */
	if (e->asked_msr)
		return OKVM_USER;
	/* Writes that wait come before the read for which there was no room beside them. */
	if (!e->wait_len && !e->direct)
		okvm_log_ask_post(e);
	okvm_io_begin(e->vcpu, emul_complete);
	return OKVM_USER;
}

/* The instruction, or the delivery of an event, is a task switch. @insn_len: 0 for the latter. */
static int emul_switch_task(struct okvm_emulation *e, unsigned int insn_len)
{
	struct emul_task task = e->ctx.task;

	return okvm_task_switch(e->vcpu, task.sel, task.source, insn_len,
				task.has_error ? &task.error : NULL);
}

int okvm_emul_outcome(struct okvm_emulation *e, enum emul_rc rc)
{
	if (rc == EMUL_UNHANDLEABLE && e->ctx.out & EMUL_OUT_TASK_SWITCH)
		return emul_switch_task(e, e->ctx.insn.len);
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

/* ---- entry points ---- */

/* Userspace reset or moved the vCPU: nothing is left to complete. */
static bool emul_dropped(struct okvm_emulation *e)
{
	enum emul_mode mode = e->ctx.mode;

	if (likely(!e->vcpu->arch->io_touched))
		return false;
	emul_set_mode(&e->ctx);
	return okvm_io_moved(e->vcpu) || e->ctx.mode != mode;
}

static int emul_go_on(struct okvm_emulation *e)
{
	if (emul_dropped(e)) {
		okvm_log_reset(e);
		e->direct = false;
		return OKVM_RESUME;
	}
	if (e->finished)
		return okvm_emul_give(e);
	emul_load_regs(e);
	if (e->direct) {
		e->direct = false;
		return okvm_emul_direct_done(e);
	}
	if (!e->wait_len && e->posted < e->nr_posts)
		return okvm_emul_user(e);
	okvm_log_answer(e);
	e->nr_posts = 0;
	e->posted = 0;
	e->replayed = 0;
	e->tlb_from = 0;
	if (emul_debugger_steps(e))
		e->ctx.rep_limit = 1;
	return okvm_emul_outcome(e, emul_exec(&e->ctx));
}

static int emul_complete(struct okvm_vcpu *vcpu)
{
	int outcome;

	okvm_vcpu_srcu_lock(vcpu);
	outcome = emul_go_on(vcpu->arch->emul);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}

void okvm_emul_begin(struct okvm_emulation *e, enum okvm_emul_why why, gpa_t gpa)
{
	e->why = why;
	e->gpa = gpa;
	e->direct = false;
	e->asked_msr = false;
	emul_init(&e->ctx, &okvm_emul_ops, EMUL_REAL, 0);
	emul_load_regs(e);
	emul_set_mode(&e->ctx);
	/* Of a string that is stepped or that a device may take in part, one item after the other. */
	if (emul_debugger_steps(e)) {
		e->ctx.rep_limit = 1;
	} else if (why == OKVM_EMUL_MMIO ||
		   !okvm_iobus_has(e->vcpu, OKVM_BUS_PIO, (u16)e->ctx.gpr[EMUL_RDX])) {
		e->ctx.io_buf = e->io_buf;
		e->ctx.io_buf_size = sizeof(e->io_buf);
	}
	okvm_log_reset(e);
}

/*
 * A VMM that asks for exits on emulation failures has an emulator for what KVM's does not know, and
 * expects x87 among it: all but FNINIT, FNSTCW and FNSTSW.
 */
static bool emul_left_to_user(const struct okvm_emulation *e)
{
	const struct emul_insn *insn = &e->ctx.insn;

	if (!e->vcpu->vm->arch->exit_on_emulation_error || insn->map != EMUL_MAP_1B ||
	    (insn->opcode & 0xf8) != 0xd8)
		return false;
	if (insn->mod == 3)
		return insn->opcode != 0xdb || insn->modrm != 0xe3;
	return insn->reg != 7 || (insn->opcode != 0xd9 && insn->opcode != 0xdd);
}

static int emul_one(struct okvm_emulation *e)
{
	enum emul_rc rc = emul_decode(&e->ctx);
	int outcome;

	e->vcpu->stat[OKVM_STAT_EMULATED]++;
	if (rc == EMUL_OK && emul_left_to_user(e))
		rc = EMUL_UNHANDLEABLE;
	if (rc != EMUL_OK)
		return okvm_emul_outcome(e, rc);
	if (okvm_emul_direct(e, &outcome))
		return outcome;
	return okvm_emul_outcome(e, emul_exec(&e->ctx));
}

int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa)
{
	struct okvm_emulation *e = vcpu->arch->emul;

	if (why == OKVM_EMUL_UD)
		return okvm_emul_ud(vcpu);
	okvm_emul_begin(e, why, gpa);
	return emul_one(e);
}

/* ---- delivery by software: what hardware does not run it does not deliver to either ---- */

static enum emul_rc deliver_exception(struct okvm_emulation *e, const struct okvm_exception *exc,
				      u8 insn_len)
{
	enum emul_event kind = EMUL_EV_EXCEPTION;
	u64 rip = e->ctx.rip;

	if (exc->vector == X86_TRAP_BP || exc->vector == X86_TRAP_OF) {
		kind = EMUL_EV_SOFT_EXCEPTION;
		rip += insn_len;
	}
	return emul_deliver(&e->ctx, exc->vector, kind, exc->has_error, exc->error_code, rip);
}

static enum emul_rc deliver_injected(struct okvm_emulation *e)
{
	const struct okvm_events *ev = &e->vcpu->arch->ev;
	u64 rip = e->ctx.rip;

	if (ev->exc.injected)
		return deliver_exception(e, &ev->exc, ev->insn_len);
	if (ev->nmi_injected)
		return emul_deliver(&e->ctx, X86_TRAP_NMI, EMUL_EV_EXTERNAL, false, 0, rip);
	if (!ev->irq.soft)
		return emul_deliver(&e->ctx, ev->irq.vector, EMUL_EV_EXTERNAL, false, 0, rip);
	return emul_deliver(&e->ctx, ev->irq.vector, EMUL_EV_SOFT, false, 0, rip + ev->insn_len);
}

int okvm_emul_deliver(struct okvm_vcpu *vcpu)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	struct okvm_events *ev = &vcpu->arch->ev;
	enum emul_rc rc;

	okvm_emul_begin(e, OKVM_EMUL_INVALID_STATE, 0);
	rc = deliver_injected(e);
	if (rc == EMUL_OK)
		emul_store_regs(e);
	if (ev->nmi_injected)
		vcpu->vm->backend->set_nmi_masked(vcpu, true);
	ev->nmi_injected = false;
	ev->irq.injected = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (rc == EMUL_UNHANDLEABLE && e->ctx.out & EMUL_OUT_TASK_SWITCH)
		return emul_switch_task(e, e->ctx.task.external ? 0 : ev->insn_len);
	/* An exception that was being delivered decides what the new one becomes. */
	if (rc == EMUL_FAULT)
		return emul_faulted(e);
	ev->exc.injected = false;
	if (rc != EMUL_OK)
		return emul_failed(e);
	e->ctx.out = EMUL_OUT_AGAIN;	/* no instruction has ended */
	return okvm_emul_give(e);
}

int okvm_emul_task_switch(struct okvm_vcpu *vcpu, struct emul_task *task, u32 back)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	enum emul_rc rc;

	okvm_emul_begin(e, OKVM_EMUL_OTHER, 0);
	e->ctx.rip = back;
	rc = emul_task_switch(&e->ctx, task);
	if (!task->switched)
		e->ctx.rip = okvm_rip(vcpu);
	/* With the switch an event has been delivered, whatever the new task meets. */
	if (task->switched)
		vcpu->arch->ev.exc.injected = false;
	okvm_request(OKVM_REQ_EVENT, vcpu);
	if (rc == EMUL_FAULT)
		return emul_faulted(e);
	if (rc != EMUL_OK)
		return okvm_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, NULL);
	emul_store_regs(e);
	e->ctx.out = EMUL_OUT_AGAIN;	/* no instruction has ended */
	return okvm_emul_give(e);
}
