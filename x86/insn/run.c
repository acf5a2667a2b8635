// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate instructions of a vCPU: load registers, call the emulator, continue an instruction after
 * an exit to userspace. outcome.c applies the results.
 *
 * If userspace must do a read, KVM_RUN returns with RIP at the instruction. Userspace gets writes
 * to its devices when the instruction is done and RIP is after the instruction. See access_log.c
 * and Documentation/uapi.rst, "RIP at an exit".
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include <asm/trapnr.h>

#include "core/trace_kvm.h"
#include "core/compat.h"
#include "core/iobus.h"
#include "x86/cpu/event.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/access_log.h"
#include "x86/pv/pv.h"

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

static void emul_load_regs(struct okvm_emulation *e)
{
	struct okvm_vcpu *vcpu = e->vcpu;

	okvm_reg_fetch(vcpu, OKVM_REG_RSP);
	memcpy(e->ctx.gpr, vcpu->arch->gpr, sizeof(e->ctx.gpr));
	e->ctx.rip = okvm_rip(vcpu);
	e->ctx.rflags = okvm_guest_rflags(vcpu);
}

/* ---- instructions ---- */

void okvm_emul_begin(struct okvm_emulation *e, enum okvm_emul_why why, gpa_t gpa)
{
	e->why = why;
	e->gpa = gpa;
	e->direct = false;
	e->asked_msr = false;
	e->unknown = false;
	e->repeatable = true;
	e->once = false;
	e->forced = false;
	e->raced = false;
	e->altered = false;
	emul_init(&e->ctx, &okvm_emul_ops, EMUL_REAL, 0);
	e->ctx.lock_cr8 = e->vcpu->arch->feat.lock_cr8;
	emul_load_regs(e);
	emul_set_mode(&e->ctx);
	/*
	 * If a debugger single-steps, emulate one iteration of a string instruction at a time.
	 * Otherwise, if userspace handles the port, let REP INS and REP OUTS transfer several items
	 * with one exit to userspace.
	 */
	if (okvm_emul_steps(e)) {
		e->ctx.rep_limit = 1;
	} else if (okvm_emul_is_mmio(e) ||
		   !okvm_iobus_has(e->vcpu, OKVM_BUS_PIO, (u16)e->ctx.gpr[EMUL_RDX],
				   false)) {
		e->ctx.io_buf = e->io_buf;
		e->ctx.io_buf_size = sizeof(e->io_buf);
	}
	okvm_log_reset(e);
}

/*
 * Return true if okvm must not emulate the instruction, because userspace does. With
 * KVM_CAP_EXIT_ON_EMULATION_FAILURE, a VMM expects an exit for each x87 instruction that upstream's
 * emulator does not know: all except FNINIT, FNSTCW and FNSTSW.
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

/*
 * Execute a hypercall instruction that the CPU did not execute, for example because the CPU cannot
 * fetch it. The result is the same as on the CPU. The instruction of the CPU's vendor causes a VM
 * exit without any check. For the other vendor's instruction, make the checks that okvm_emul_ud()
 * makes before it patches the instruction, but do not patch it.
 */
static int emul_hypercall(struct okvm_emulation *e)
{
	const struct emul_insn *insn = &e->ctx.insn;
	struct okvm_vcpu *vcpu = e->vcpu;

	if (insn->modrm != vcpu->arch->ops->hypercall[2]) {
		if (!okvm_has_quirk(vcpu->vm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN)) {
			okvm_queue_exception(vcpu, X86_TRAP_UD);
			return OKVM_RESUME;
		}
		if (insn->modrm == MODRM_VMCALL && e->ctx.cpl) {
			okvm_queue_exception_err(vcpu, X86_TRAP_GP, 0);
			return OKVM_RESUME;
		}
	}
	return okvm_hypercall(vcpu, insn->len);
}

static int emul_one(struct okvm_emulation *e)
{
	enum emul_rc rc = emul_decode(&e->ctx);
	int outcome;

	e->vcpu->stat[OKVM_STAT_EMULATED]++;
	if (rc == EMUL_OK && emul_left_to_user(e))
		rc = EMUL_UNHANDLEABLE;
	if (trace_kvm_emulate_insn_enabled())
		okvm_emul_trace(e, rc != EMUL_OK);
	if (rc != EMUL_OK)
		return okvm_emul_outcome(e, rc);
	okvm_emul_cache_mov_cr(e);
	if (okvm_emul_direct(e, &outcome))
		return outcome;
	if (emul_is_hypercall(&e->ctx) && e->why != OKVM_EMUL_NATIVE)
		return emul_hypercall(e);
	return okvm_emul_outcome(e, emul_exec(&e->ctx));
}

int okvm_emulate(struct okvm_vcpu *vcpu, enum okvm_emul_why why, gpa_t gpa)
{
	struct okvm_emulation *e = vcpu->arch->emul;
	int outcome;

	if (why == OKVM_EMUL_UD)
		return okvm_emul_ud(vcpu);
	/*
	 * With OKVM_EMUL_INVALID_STATE, the CPU has not begun this instruction, so look for a
	 * breakpoint at RIP. In other cases the CPU has already done so.
	 */
	if (why == OKVM_EMUL_INVALID_STATE && okvm_emul_at_breakpoint(vcpu, &outcome))
		return outcome;
	okvm_emul_begin(e, why, gpa);
	return emul_one(e);
}

bool okvm_emulate_if_known(struct okvm_vcpu *vcpu, int *outcome)
{
	struct okvm_emulation *e = vcpu->arch->emul;

	okvm_emul_begin(e, OKVM_EMUL_NATIVE, 0);
	*outcome = emul_one(e);
	return !e->unknown;
}

unsigned int okvm_insn_len(struct okvm_vcpu *vcpu)
{
	struct okvm_emulation *e = vcpu->arch->emul;

	okvm_emul_begin(e, OKVM_EMUL_OTHER, 0);
	e->repeatable = false;
	return emul_decode(&e->ctx) == EMUL_OK ? e->ctx.insn.len : 0;
}

unsigned int okvm_int_len(struct okvm_vcpu *vcpu)
{
	const struct emul_insn *insn = &vcpu->arch->emul->ctx.insn;
	unsigned int len = okvm_insn_len(vcpu);

	return len && insn->map == EMUL_MAP_1B && insn->opcode == 0xcd ? len : 0;
}

/* ---- after userspace ---- */

/* Return true if there is nothing to complete: userspace has reset the vCPU or changed its RIP. */
static bool emul_dropped(struct okvm_emulation *e)
{
	enum emul_mode mode = e->ctx.mode;

	if (likely(!e->vcpu->arch->io_touched))
		return false;
	emul_set_mode(&e->ctx);
	return okvm_io_moved(e->vcpu) || e->ctx.mode != mode;
}

/* Return true if @insn is INS or OUTS. */
static bool emul_is_port_string(const struct emul_insn *insn)
{
	return insn->map == EMUL_MAP_1B && (insn->opcode & 0xfc) == 0x6c;
}

/*
 * Return true if REP INS or REP OUTS must not continue with the next batch of items yet: userspace
 * has set immediate_exit, or a request is pending, such as the delivery of an event.
 */
static bool emul_pauses(struct okvm_vcpu *vcpu)
{
	return okvm_immediate_exit(vcpu->run) || okvm_has_requests(vcpu);
}

static int emul_resume(struct okvm_emulation *e)
{
	if (emul_dropped(e)) {
		okvm_log_reset(e);
		e->direct = false;
		return OKVM_RESUME;
	}
	if (e->finished)
		return okvm_emul_finish(e);
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
	e->raced = false;
	if (okvm_emul_steps(e) || (emul_is_port_string(&e->ctx.insn) && emul_pauses(e->vcpu)))
		e->ctx.rep_limit = 1;
	return okvm_emul_outcome(e, emul_exec(&e->ctx));
}

int okvm_emul_complete(struct okvm_vcpu *vcpu)
{
	int outcome;

	okvm_vcpu_srcu_lock(vcpu);
	outcome = emul_resume(vcpu->arch->emul);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}
