// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulating instructions of a vCPU: registers in, the emulator, and on with the
 * instruction when userspace is back. What comes of it is outcome.c's.
 *
 * A read that userspace must do ends the KVM_RUN with RIP at the instruction; what it writes to
 * userspace's devices is given to userspace when the instruction is done, with RIP behind it. See
 * access_log.c and Documentation/uapi.rst, "RIP at an exit".
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "core/compat.h"
#include "core/iobus.h"
#include "x86/cpu/regs.h"
#include "x86/cpu/user_exit.h"
#include "x86/insn/access_log.h"

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
	emul_init(&e->ctx, &okvm_emul_ops, EMUL_REAL, 0);
	emul_load_regs(e);
	emul_set_mode(&e->ctx);
	/* One item after the other of a string that is stepped, or that a device takes in part. */
	if (okvm_emul_steps(e)) {
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
	return emul_decode(&e->ctx) == EMUL_OK ? e->ctx.insn.len : 0;
}

/* ---- after userspace ---- */

/* Userspace reset or moved the vCPU: nothing is left to complete. */
static bool emul_dropped(struct okvm_emulation *e)
{
	enum emul_mode mode = e->ctx.mode;

	if (likely(!e->vcpu->arch->io_touched))
		return false;
	emul_set_mode(&e->ctx);
	return okvm_io_moved(e->vcpu) || e->ctx.mode != mode;
}

/* REP INS and REP OUTS, whose batches upstream begins anew from the guest. */
static bool emul_is_port_string(const struct emul_insn *insn)
{
	return insn->map == EMUL_MAP_1B && (insn->opcode & 0xfc) == 0x6c;
}

/*
 * Who asks to come back at once wants no more of a port's string than what is answered, and an
 * event that waits is delivered between two batches.
 */
static bool emul_pauses(struct okvm_vcpu *vcpu)
{
	return okvm_immediate_exit(vcpu->run) || okvm_has_requests(vcpu);
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
	if (okvm_emul_steps(e) || (emul_is_port_string(&e->ctx.insn) && emul_pauses(e->vcpu)))
		e->ctx.rep_limit = 1;
	return okvm_emul_outcome(e, emul_exec(&e->ctx));
}

int okvm_emul_complete(struct okvm_vcpu *vcpu)
{
	int outcome;

	okvm_vcpu_srcu_lock(vcpu);
	outcome = emul_go_on(vcpu->arch->emul);
	okvm_vcpu_srcu_unlock(vcpu);
	return outcome;
}
