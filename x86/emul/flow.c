// SPDX-License-Identifier: GPL-2.0-only
/* Emulate near jumps, calls and returns, loops, and software interrupts. */
#include "internal.h"

enum emul_rc emul_op_jmp(struct emul_ctx *ctx)
{
	return emul_branch(ctx, ctx->next_rip + ctx->src.val, ctx->insn.op_bytes);
}

enum emul_rc emul_op_jmp_abs(struct emul_ctx *ctx)
{
	return emul_branch(ctx, ctx->src.val, ctx->insn.op_bytes);
}

enum emul_rc emul_op_jcc(struct emul_ctx *ctx)
{
	return emul_cond(ctx->rflags, ctx->insn.opcode) ? emul_op_jmp(ctx) : EMUL_OK;
}

enum emul_rc emul_op_jcxz(struct emul_ctx *ctx)
{
	return ctx->gpr[EMUL_RCX] & emul_ad_mask(ctx) ? EMUL_OK : emul_op_jmp(ctx);
}

/* LOOPNE (E0), LOOPE (E1), LOOP (E2). The address size selects the width of the counter. */
enum emul_rc emul_op_loop(struct emul_ctx *ctx)
{
	bool zf = ctx->rflags & X86_EFLAGS_ZF;
	bool go;

	emul_add_reg(ctx, EMUL_RCX, -1ULL, emul_ad_mask(ctx));
	go = emul_gpr(ctx, EMUL_RCX) & emul_ad_mask(ctx);
	if (ctx->insn.opcode != 0xe2)
		go = go && zf == (ctx->insn.opcode & 1);
	return go ? emul_op_jmp(ctx) : EMUL_OK;
}

static enum emul_rc call_to(struct emul_ctx *ctx, u64 target)
{
	u64 back = ctx->next_rip;
	enum emul_rc rc = emul_branch(ctx, target, ctx->insn.op_bytes);

	return rc ?: emul_push(ctx, back, ctx->insn.op_bytes);
}

enum emul_rc emul_op_call(struct emul_ctx *ctx)
{
	return call_to(ctx, ctx->next_rip + ctx->src.val);
}

enum emul_rc emul_op_call_abs(struct emul_ctx *ctx)
{
	return call_to(ctx, ctx->src.val);
}

enum emul_rc emul_op_ret(struct emul_ctx *ctx)
{
	enum emul_rc rc;
	u64 target;

	rc = emul_pop(ctx, &target, ctx->insn.op_bytes);
	if (rc != EMUL_OK)
		return rc;
	emul_add_reg(ctx, EMUL_RSP, ctx->src.val, emul_stack_mask(ctx));
	return emul_branch(ctx, target, ctx->insn.op_bytes);
}

/* INT n, INT3 (.arg 3), INT1 (.arg 1). */
enum emul_rc emul_op_int(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;

	if (arg == 1) {
		return emul_deliver_staged(ctx, VEC_DB, EMUL_EV_PRIV_SOFT, false, 0,
					   ctx->next_rip);
	}
	if (arg == 3)
		return emul_deliver_staged(ctx, VEC_BP, EMUL_EV_SOFT_EXCEPTION, false, 0,
					   ctx->next_rip);
	if (ctx->mode == EMUL_VM86 && emul_iopl(ctx) < 3 &&
	    !(ctx->ops->get_cr(ctx, 4) & X86_CR4_VME))
		return emul_gp0(ctx);
	return emul_deliver_staged(ctx, ctx->src.val, EMUL_EV_SOFT, false, 0, ctx->next_rip);
}

enum emul_rc emul_op_into(struct emul_ctx *ctx)
{
	if (!(ctx->rflags & X86_EFLAGS_OF))
		return EMUL_OK;
	return emul_deliver_staged(ctx, VEC_OF, EMUL_EV_SOFT_EXCEPTION, false, 0, ctx->next_rip);
}

enum emul_rc emul_op_ud(struct emul_ctx *ctx)
{
	return emul_fault(ctx, VEC_UD);
}
