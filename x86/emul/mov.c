// SPDX-License-Identifier: GPL-2.0-only
/* Emulate MOV and similar instructions, stack instructions, and moves of segment registers. */
#include "internal.h"

enum emul_rc emul_op_mov(struct emul_ctx *ctx)
{
	ctx->dst.val = ctx->src.val;
	return EMUL_OK;
}

/* MOVZX (.arg 0), MOVSX and MOVSXD (.arg 1) */
enum emul_rc emul_op_movx(struct emul_ctx *ctx)
{
	u64 val = ctx->src.val;

	ctx->dst.val = ctx->insn.row->arg ? emul_sext(val, ctx->src.bytes) : val;
	return EMUL_OK;
}

enum emul_rc emul_op_movbe(struct emul_ctx *ctx)
{
	u64 v = ctx->src.val, res = 0;
	unsigned int i;

	for (i = 0; i < ctx->src.bytes; i++, v >>= 8)
		res = res << 8 | (v & 0xff);
	ctx->dst.val = res;
	return EMUL_OK;
}

/* XCHG: with memory it is locked even without LOCK (SDM "XCHG"). Opcode 90 without REX.B is NOP. */
enum emul_rc emul_op_xchg(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst, *src = &ctx->src;
	u64 old = dst->val;

	if (src->kind == dst->kind && src->reg == dst->reg && src->high == dst->high) {
		if (ctx->insn.opcode == 0x90)
			dst->kind = K_NONE;
		return EMUL_OK;
	}
	dst->val = src->val;
	emul_write_reg(ctx, src->reg, old, src->bytes, src->high);
	if (dst->kind != K_MEM)
		return EMUL_OK;
	dst->kind = K_NONE;
	return emul_cmpxchg(ctx, dst->la, &dst->orig, &dst->val, dst->bytes, EMUL_DATA);
}

/*
 * CMOV writes its destination even if the condition is false: a 32-bit CMOV always clears the upper
 * half of the destination.
 */
enum emul_rc emul_op_cmov(struct emul_ctx *ctx)
{
	if (emul_cond(ctx->rflags, ctx->insn.opcode))
		ctx->dst.val = ctx->src.val;
	return EMUL_OK;
}

enum emul_rc emul_op_setcc(struct emul_ctx *ctx)
{
	ctx->dst.val = emul_cond(ctx->rflags, ctx->insn.opcode);
	return EMUL_OK;
}

enum emul_rc emul_op_lea(struct emul_ctx *ctx)
{
	ctx->dst.val = ctx->src.ea;
	return EMUL_OK;
}

enum emul_rc emul_op_salc(struct emul_ctx *ctx)
{
	emul_write_reg(ctx, EMUL_RAX, ctx->rflags & X86_EFLAGS_CF ? 0xff : 0, 1, false);
	return EMUL_OK;
}

enum emul_rc emul_op_xlat(struct emul_ctx *ctx)
{
	u64 ea = (ctx->gpr[EMUL_RBX] + (ctx->gpr[EMUL_RAX] & 0xff)) & emul_ad_mask(ctx);
	enum emul_rc rc;
	u8 val;

	rc = emul_read_mem(ctx, ctx->insn.seg, ea, &val, 1);
	if (rc == EMUL_OK)
		emul_write_reg(ctx, EMUL_RAX, val, 1, false);
	return rc;
}

enum emul_rc emul_op_nop(struct emul_ctx *ctx)
{
	return EMUL_OK;
}

enum emul_rc emul_op_bound(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes;
	s64 idx = emul_sext(ctx->dst.val, bytes);
	u64 low = 0, high = 0;
	enum emul_rc rc;

	rc = emul_read_mem(ctx, ctx->src.seg, ctx->src.ea, &low, bytes);
	if (rc != EMUL_OK)
		return rc;
	rc = emul_read_mem(ctx, ctx->src.seg, (ctx->src.ea + bytes) & emul_ad_mask(ctx), &high,
			   bytes);
	if (rc != EMUL_OK)
		return rc;
	if (idx < (s64)emul_sext(low, bytes) || idx > (s64)emul_sext(high, bytes))
		return emul_fault(ctx, VEC_BR);
	return EMUL_OK;
}

enum emul_rc emul_op_arpl(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u64 rpl = ctx->src.val & 3;

	ctx->flags &= ~(u64)X86_EFLAGS_ZF;
	if ((dst->val & 3) < rpl) {
		dst->val = (dst->val & ~3ULL) | rpl;
		ctx->flags |= X86_EFLAGS_ZF;
	} else {
		dst->kind = K_NONE;
	}
	return EMUL_OK;
}

/* --- stack -------------------------------------------------------------------------------- */

enum emul_rc emul_op_push(struct emul_ctx *ctx)
{
	return emul_push(ctx, ctx->src.val, ctx->insn.op_bytes);
}

/*
 * POP, and POP r/m if .arg is 1. The address of a memory operand uses the incremented RSP (SDM
 * "POP"): compute it after popping the value.
 */
enum emul_rc emul_op_pop(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	enum emul_rc rc = emul_pop(ctx, &dst->val, dst->bytes);

	if (rc != EMUL_OK || !ctx->insn.row->arg)
		return rc;
	if (dst->kind == K_GPR)
		return emul_store(ctx, dst);
	emul_locate(ctx, dst);
	return emul_write_mem(ctx, dst->seg, dst->ea, &dst->val, dst->bytes);
}

enum emul_rc emul_op_pusha(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes, reg;
	enum emul_rc rc;

	for (reg = EMUL_RAX; reg <= EMUL_RDI; reg++) {
		rc = emul_push(ctx, ctx->gpr[reg], bytes);
		if (rc != EMUL_OK)
			return rc;
	}
	return EMUL_OK;
}

enum emul_rc emul_op_popa(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes;
	int reg;
	enum emul_rc rc;
	u64 val;

	for (reg = EMUL_RDI; reg >= EMUL_RAX; reg--) {
		rc = emul_pop(ctx, &val, bytes);
		if (rc != EMUL_OK)
			return rc;
		if (reg != EMUL_RSP)
			emul_write_reg(ctx, reg, val, bytes, false);
	}
	return EMUL_OK;
}

/*
 * Set *@vme to true if PUSHF and POPF use VIF in place of IF: in VM86 mode with IOPL < 3. Raise #GP
 * there if CR4.VME is clear, or if the operand has more than 16 bits.
 */
static enum emul_rc flags_vme(struct emul_ctx *ctx, bool *vme)
{
	*vme = ctx->mode == EMUL_VM86 && emul_iopl(ctx) < 3;
	if (!*vme)
		return EMUL_OK;
	if (ctx->insn.op_bytes != 2 || !(ctx->ops->get_cr(ctx, 4) & X86_CR4_VME))
		return emul_gp0(ctx);
	return EMUL_OK;
}

enum emul_rc emul_op_pushf(struct emul_ctx *ctx)
{
	u64 val = ctx->rflags & ~(u64)(X86_EFLAGS_VM | X86_EFLAGS_RF);
	enum emul_rc rc;
	bool vme;

	rc = flags_vme(ctx, &vme);
	if (rc != EMUL_OK)
		return rc;
	if (vme) {
		val &= ~(u64)X86_EFLAGS_IF;
		val |= X86_EFLAGS_IOPL | (val & X86_EFLAGS_VIF ? X86_EFLAGS_IF : 0);
	}
	return emul_push(ctx, val, ctx->insn.op_bytes);
}

#define POPF_ALWAYS	(EMUL_FLAGS_ARITH | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT | \
			 X86_EFLAGS_AC | X86_EFLAGS_ID)

static enum emul_rc popf_vme(struct emul_ctx *ctx, u64 val)
{
	u64 mask = POPF_ALWAYS & 0xffff;

	if (val & X86_EFLAGS_TF || (val & X86_EFLAGS_IF && ctx->rflags & X86_EFLAGS_VIP))
		return emul_gp0(ctx);
	ctx->flags = (ctx->flags & ~mask & ~(u64)X86_EFLAGS_VIF) | (val & mask);
	if (val & X86_EFLAGS_IF)
		ctx->flags |= X86_EFLAGS_VIF;
	return EMUL_OK;
}

enum emul_rc emul_op_popf(struct emul_ctx *ctx)
{
	u64 mask = POPF_ALWAYS, val;
	enum emul_rc rc;
	bool vme;

	rc = flags_vme(ctx, &vme);
	if (rc == EMUL_OK)
		rc = emul_pop(ctx, &val, ctx->insn.op_bytes);
	if (rc != EMUL_OK)
		return rc;
	if (vme)
		return popf_vme(ctx, val);
	if (ctx->cpl <= emul_iopl(ctx))
		mask |= X86_EFLAGS_IF;
	if (!ctx->cpl)
		mask |= X86_EFLAGS_IOPL;
	if (ctx->insn.op_bytes == 2)
		mask &= 0xffff;
	ctx->flags = (ctx->flags & ~mask) | (val & mask);
	return EMUL_OK;
}

/* ENTER with nesting level above 1: copy the outer frame pointers. */
static enum emul_rc enter_display(struct emul_ctx *ctx, unsigned int level, u64 mask)
{
	unsigned int bytes = ctx->insn.op_bytes;
	u64 bp = ctx->gpr[EMUL_RBP], val;
	enum emul_rc rc;

	while (--level) {
		bp -= bytes;
		val = 0;
		rc = emul_read_mem(ctx, EMUL_SS, bp & mask, &val, bytes);
		if (rc == EMUL_OK)
			rc = emul_push(ctx, val, bytes);
		if (rc != EMUL_OK)
			return rc;
	}
	return EMUL_OK;
}

enum emul_rc emul_op_enter(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes, level = ctx->src2.val & 31;
	u64 mask = emul_stack_mask(ctx), frame;
	enum emul_rc rc;

	rc = emul_push(ctx, ctx->gpr[EMUL_RBP], bytes);
	if (rc != EMUL_OK)
		return rc;
	frame = emul_gpr(ctx, EMUL_RSP);
	if (level) {
		rc = enter_display(ctx, level, mask);
		if (rc == EMUL_OK)
			rc = emul_push(ctx, frame, bytes);
		if (rc != EMUL_OK)
			return rc;
	}
	emul_write_reg(ctx, EMUL_RBP, frame, bytes, false);
	emul_add_reg(ctx, EMUL_RSP, -ctx->src.val, mask);
	return EMUL_OK;
}

enum emul_rc emul_op_leave(struct emul_ctx *ctx)
{
	u64 mask = emul_stack_mask(ctx), val;
	enum emul_rc rc;

	emul_add_reg(ctx, EMUL_RSP, ctx->gpr[EMUL_RBP] - ctx->gpr[EMUL_RSP], mask);
	rc = emul_pop(ctx, &val, ctx->insn.op_bytes);
	if (rc == EMUL_OK)
		emul_write_reg(ctx, EMUL_RBP, val, ctx->insn.op_bytes, false);
	return rc;
}

/* --- segment registers -------------------------------------------------------------------- */

/* PUSH of a segment register with 32 bits writes only the lower 16 bits (SDM "PUSH"). */
enum emul_rc emul_op_push_sreg(struct emul_ctx *ctx)
{
	u64 mask = emul_stack_mask(ctx);
	struct emul_seg seg;

	ctx->ops->get_seg(ctx, ctx->insn.row->arg, &seg);
	if (ctx->insn.op_bytes != 4)
		return emul_push(ctx, seg.sel, ctx->insn.op_bytes);
	emul_add_reg(ctx, EMUL_RSP, -2, mask);
	return emul_push(ctx, seg.sel, 2);
}

static enum emul_rc load_sreg(struct emul_ctx *ctx, enum emul_sreg nr, u16 sel)
{
	struct emul_seg seg;
	enum emul_rc rc = emul_check_sreg(ctx, nr, sel, &seg);

	if (rc != EMUL_OK)
		return rc;
	ctx->ops->set_seg(ctx, nr, &seg);
	return EMUL_OK;
}

/* Block interrupts after MOV SS or POP SS; LSS does not block them (SDM "LDS/LES/LFS/LGS/LSS"). */
static void block_after_ss(struct emul_ctx *ctx, enum emul_sreg nr)
{
	if (nr == EMUL_SS)
		ctx->out |= EMUL_OUT_MOVSS;
}

enum emul_rc emul_op_pop_sreg(struct emul_ctx *ctx)
{
	u8 nr = ctx->insn.row->arg;
	enum emul_rc rc;
	u64 sel = 0;

	/* POP adds the operand size to RSP, but reads no more than the selector. */
	rc = emul_read_mem(ctx, EMUL_SS, emul_gpr(ctx, EMUL_RSP) & emul_stack_mask(ctx), &sel, 2);
	if (rc != EMUL_OK)
		return rc;
	emul_add_reg(ctx, EMUL_RSP, ctx->insn.op_bytes, emul_stack_mask(ctx));
	rc = load_sreg(ctx, nr, sel);
	if (rc == EMUL_OK)
		block_after_ss(ctx, nr);
	return rc;
}

enum emul_rc emul_op_mov_to_sreg(struct emul_ctx *ctx)
{
	unsigned int nr = ctx->insn.reg & 7;
	enum emul_rc rc;

	if (nr == EMUL_CS || nr >= EMUL_NR_SREG)
		return emul_fault(ctx, VEC_UD);
	rc = load_sreg(ctx, nr, ctx->src.val);
	if (rc == EMUL_OK)
		block_after_ss(ctx, nr);
	return rc;
}

/* MOV from a segment register writes 16 bits to memory, but all bits of a general register. */
enum emul_rc emul_op_mov_from_sreg(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	unsigned int nr = ctx->insn.reg & 7;
	struct emul_seg seg;

	if (nr >= EMUL_NR_SREG)
		return emul_fault(ctx, VEC_UD);
	ctx->ops->get_seg(ctx, nr, &seg);
	dst->val = seg.sel;
	if (dst->kind == K_GPR)
		return emul_store(ctx, dst);
	return emul_write_mem(ctx, dst->seg, dst->ea, &dst->val, 2);
}

/* LDS, LES, LFS, LGS, LSS. .arg: segment register */
enum emul_rc emul_op_lseg(struct emul_ctx *ctx)
{
	enum emul_rc rc;
	u16 sel;

	rc = emul_read_far(ctx, &sel, &ctx->dst.val);
	return rc ?: load_sreg(ctx, ctx->insn.row->arg, sel);
}
