// SPDX-License-Identifier: GPL-2.0-only
/* Vector register moves, which guests use on device memory, and the x87 control instructions. */
#include "internal.h"

/* SDM "Exception Conditions" of SSE: #UD by EM or without OSFXSR, #NM by TS. */
static enum emul_rc check_sse(struct emul_ctx *ctx)
{
	u64 cr0 = ctx->ops->get_cr(ctx, 0);

	if (cr0 & X86_CR0_EM || !(ctx->ops->get_cr(ctx, 4) & X86_CR4_OSFXSR))
		return emul_fault(ctx, VEC_UD);
	return cr0 & X86_CR0_TS ? emul_fault(ctx, VEC_NM) : EMUL_OK;
}

static enum emul_rc check_mmx(struct emul_ctx *ctx)
{
	u64 cr0 = ctx->ops->get_cr(ctx, 0);
	u32 none;

	if (cr0 & X86_CR0_EM)
		return emul_fault(ctx, VEC_UD);
	if (cr0 & X86_CR0_TS)
		return emul_fault(ctx, VEC_NM);
	return ctx->ops->fpu(ctx, EMUL_FPU_WAIT, &none);
}

static enum emul_rc check_x87(struct emul_ctx *ctx)
{
	if (ctx->ops->get_cr(ctx, 0) & (X86_CR0_EM | X86_CR0_TS))
		return emul_fault(ctx, VEC_NM);
	return EMUL_OK;
}

static enum emul_rc check_vec(struct emul_ctx *ctx, enum emul_vec file)
{
	return file == EMUL_MM ? check_mmx(ctx) : check_sse(ctx);
}

/* A whole-register move between vector registers. */
static enum emul_rc vmov_reg(struct emul_ctx *ctx, enum emul_vec file, unsigned int mask)
{
	bool store = ctx->insn.row->arg & 2;
	unsigned int from = store ? ctx->insn.reg : ctx->insn.rm;
	unsigned int to = store ? ctx->insn.rm : ctx->insn.reg;
	enum emul_rc rc;
	u8 buf[16];

	rc = ctx->ops->get_vec(ctx, file, from & mask, buf);
	return rc ?: ctx->ops->set_vec(ctx, file, to & mask, buf);
}

/* MOVUPS, MOVAPS, MOVDQA, MOVDQU, MOVNTxx, MOVQ mm: .arg 1 = aligned, 2 = store, 4 = MMX */
enum emul_rc emul_op_vmov(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;
	enum emul_vec file = arg & 4 ? EMUL_MM : EMUL_XMM;
	unsigned int len = arg & 4 ? 8 : 16, mask = arg & 4 ? 7 : 15;
	struct emul_operand mem = { 0 };
	enum emul_rc rc;
	u8 buf[16];
	u64 la;

	rc = check_vec(ctx, file);
	if (rc != EMUL_OK)
		return rc;
	if (ctx->insn.mod == 3)
		return vmov_reg(ctx, file, mask);
	emul_locate(ctx, &mem);
	rc = emul_linear(ctx, mem.seg, mem.ea, len, arg & 2, &la);
	if (rc != EMUL_OK)
		return rc;
	if (arg & 1 && la & 15)
		return emul_gp0(ctx);
	if (arg & 2) {
		/* Reading an MMX register changes the x87 tags: not if the store faults. */
		if (file == EMUL_MM)
			rc = ctx->ops->probe_write(ctx, la, len, EMUL_DATA, ctx->cpl);
		if (rc == EMUL_OK)
			rc = ctx->ops->get_vec(ctx, file, ctx->insn.reg & mask, buf);
		return rc ?: ctx->ops->write(ctx, la, buf, len, EMUL_DATA, ctx->cpl);
	}
	rc = ctx->ops->read(ctx, la, buf, len, EMUL_DATA, ctx->cpl);
	return rc ?: ctx->ops->set_vec(ctx, file, ctx->insn.reg & mask, buf);
}

/* MOVLPS, MOVLPD, MOVHPS, MOVHPD with memory: .arg 1 = high half, 2 = store */
enum emul_rc emul_op_vmov_half(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;
	struct emul_operand mem = { 0 };
	enum emul_rc rc;
	u8 buf[16], *half = buf + (arg & 1 ? 8 : 0);

	rc = check_sse(ctx);
	if (rc == EMUL_OK)
		rc = ctx->ops->get_vec(ctx, EMUL_XMM, ctx->insn.reg, buf);
	if (rc != EMUL_OK)
		return rc;
	emul_locate(ctx, &mem);
	if (arg & 2)
		return emul_write_mem(ctx, mem.seg, mem.ea, half, 8);
	rc = emul_read_mem(ctx, mem.seg, mem.ea, half, 8);
	return rc ?: ctx->ops->set_vec(ctx, EMUL_XMM, ctx->insn.reg, buf);
}

/* MOVD and MOVQ with a general register or memory: .arg 1 = XMM, 2 = store */
enum emul_rc emul_op_movd(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;
	enum emul_vec file = arg & 1 ? EMUL_XMM : EMUL_MM;
	unsigned int nr = arg & 1 ? ctx->insn.reg : ctx->insn.reg & 7;
	struct emul_operand rm = { .bytes = ctx->insn.rex & 8 ? 8 : 4, .kind = K_GPR };
	u64 val[2] = { 0, 0 };
	enum emul_rc rc;

	rc = check_vec(ctx, file);
	if (rc != EMUL_OK)
		return rc;
	rm.reg = ctx->insn.rm;
	if (ctx->insn.mod != 3)
		emul_locate(ctx, &rm);
	if (!(arg & 2)) {
		rc = emul_load(ctx, &rm, EMUL_DATA);
		val[0] = rm.val;
		return rc ?: ctx->ops->set_vec(ctx, file, nr, val);
	}
	rc = ctx->ops->get_vec(ctx, file, nr, val);
	if (rc != EMUL_OK)
		return rc;
	rm.val = val[0];
	if (rm.kind == K_GPR)
		return emul_store(ctx, &rm);
	return emul_write_mem(ctx, rm.seg, rm.ea, val, rm.bytes);
}

/* MOVQ xmm, xmm/m64 (F3 0F 7E) and back (66 0F D6, .arg 2): the upper half becomes zero. */
enum emul_rc emul_op_movq(struct emul_ctx *ctx)
{
	bool store = ctx->insn.row->arg & 2;
	struct emul_operand mem = { 0 };
	u64 val[2] = { 0, 0 };
	enum emul_rc rc;

	rc = check_sse(ctx);
	if (rc != EMUL_OK)
		return rc;
	if (ctx->insn.mod != 3)
		emul_locate(ctx, &mem);
	if (store || ctx->insn.mod == 3)
		rc = ctx->ops->get_vec(ctx, EMUL_XMM, store ? ctx->insn.reg : ctx->insn.rm, val);
	else
		rc = emul_read_mem(ctx, mem.seg, mem.ea, val, 8);
	if (rc != EMUL_OK)
		return rc;
	if (store && ctx->insn.mod != 3)
		return emul_write_mem(ctx, mem.seg, mem.ea, val, 8);
	val[1] = 0;
	return ctx->ops->set_vec(ctx, EMUL_XMM, store ? ctx->insn.rm : ctx->insn.reg, val);
}

enum emul_rc emul_op_emms(struct emul_ctx *ctx)
{
	enum emul_rc rc = check_mmx(ctx);
	u32 none;

	return rc ?: ctx->ops->fpu(ctx, EMUL_FPU_EMMS, &none);
}

enum emul_rc emul_op_fwait(struct emul_ctx *ctx)
{
	u64 both = X86_CR0_MP | X86_CR0_TS;
	u32 none;

	if ((ctx->ops->get_cr(ctx, 0) & both) == both)
		return emul_fault(ctx, VEC_NM);
	return ctx->ops->fpu(ctx, EMUL_FPU_WAIT, &none);
}

/* FLDCW, FNSTCW: .arg is the fpu op */
enum emul_rc emul_op_fpu_cw(struct emul_ctx *ctx)
{
	u8 op = ctx->insn.row->arg;
	u32 val = ctx->src.val;
	enum emul_rc rc = check_x87(ctx);

	if (rc == EMUL_OK)
		rc = ctx->ops->fpu(ctx, op, &val);
	ctx->dst.val = val;
	return rc;
}

/* FNSTSW m16 and, .arg = 1, FNSTSW AX */
enum emul_rc emul_op_fpu_sw(struct emul_ctx *ctx)
{
	enum emul_rc rc = check_x87(ctx);
	u32 val = 0;

	if (rc == EMUL_OK)
		rc = ctx->ops->fpu(ctx, EMUL_FPU_GET_SW, &val);
	ctx->dst.val = val;
	ctx->dst.bytes = 2;
	return rc;
}

/* FNINIT, FNCLEX */
enum emul_rc emul_op_fpu_reg(struct emul_ctx *ctx)
{
	enum emul_rc rc = check_x87(ctx);
	u32 none;

	return rc ?: ctx->ops->fpu(ctx, ctx->insn.row->arg, &none);
}

/* LDMXCSR, STMXCSR */
enum emul_rc emul_op_mxcsr(struct emul_ctx *ctx)
{
	u32 val = ctx->src.val;
	enum emul_rc rc = check_sse(ctx);

	if (rc == EMUL_OK)
		rc = ctx->ops->fpu(ctx, ctx->insn.row->arg, &val);
	ctx->dst.val = val;
	return rc;
}
