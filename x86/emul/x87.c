// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate x87 moves and control instructions, loads and stores of the environment, FXSAVE and
 * FXRSTOR.
 *
 * emul_ops.x87 converts operands and changes the register stack, but only in a copy of the guest's
 * state. This file accesses memory, and loads the copy into the guest when nothing can fail any
 * more. So a store that is executed again after an exit to userspace finds the guest's register
 * stack unchanged.
 */
#include "internal.h"

static_assert(sizeof(struct emul_fx) == 512);
static_assert(offsetof(struct emul_fx, xmm) == 160);

#define SW_ES		0x0080u		/* an exception is pending */
#define SW_TOP		0x3800u
#define SW_BUSY		0x8000u
/* IE, DE, ZE, OE, UE, PE; the same bits of the control word mask these exceptions */
#define SW_EXCEPTIONS	0x003fu
/* PE: even if PE is unmasked, a store is made; other unmasked exceptions prevent it */
#define SW_PRECISION	0x0020u
#define FPU_CW_INIT	0x037fu

static enum emul_rc x87_check(struct emul_ctx *ctx)
{
	if (ctx->ops->get_cr(ctx, 0) & (X86_CR0_EM | X86_CR0_TS))
		return emul_fault(ctx, VEC_NM);
	return EMUL_OK;
}

/* Return the unmasked exceptions that are pending in @fx's status word. */
static unsigned int x87_unmasked(const struct emul_fx *fx)
{
	return fx->swd & ~fx->cwd & SW_EXCEPTIONS;
}

/*
 * Read the x87 state into ctx->fx. Raise #MF if an unmasked exception is pending. Raise #MF also if
 * only ES is set: with this state in the CPU's registers, an x87 instruction in emul_ops.x87 could
 * raise #MF in the kernel.
 */
static enum emul_rc x87_begin(struct emul_ctx *ctx)
{
	enum emul_rc rc = x87_check(ctx);

	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_fx(ctx, &ctx->fx);
	if (x87_unmasked(&ctx->fx) || ctx->fx.swd & SW_ES)
		return emul_fault(ctx, VEC_MF);
	return EMUL_OK;
}

/*
 * Call emul_ops.x87, which executes the instruction on the CPU. The CPU records the addresses and
 * opcode of the kernel's instruction in @fx: replace them by those of the guest's instruction.
 */
static enum emul_rc x87_run_as(struct emul_ctx *ctx, u8 opcode, u8 modrm, void *data)
{
	const struct emul_insn *insn = &ctx->insn;
	struct emul_fx *fx = &ctx->fx;
	u64 rip = fx->rip, rdp = fx->rdp;
	u16 fop = fx->fop;
	enum emul_rc rc = ctx->ops->x87(ctx, fx, opcode, modrm, data);

	if (fx->rip != rip)
		fx->rip = ctx->rip;
	if (fx->rdp != rdp)
		fx->rdp = ctx->src.ea;
	if (fx->fop != fop)
		fx->fop = (insn->opcode & 7) << 8 | insn->modrm;
	return rc;
}

static enum emul_rc x87_run_this(struct emul_ctx *ctx, void *data)
{
	return x87_run_as(ctx, ctx->insn.opcode, ctx->insn.modrm, data);
}

/* FLD, FILD and FBLD of memory. .arg: bytes of the operand */
enum emul_rc emul_op_x87_load(struct emul_ctx *ctx)
{
	unsigned int len = ctx->insn.row->arg;
	enum emul_rc rc = x87_begin(ctx);
	u8 data[16];

	rc = rc ?: emul_read_mem(ctx, ctx->src.seg, ctx->src.ea, data, len) ?:
	     x87_run_this(ctx, data);
	if (rc == EMUL_OK)
		ctx->ops->set_fx(ctx, &ctx->fx);
	return rc;
}

/* FST, FSTP, FIST, FISTP, FISTTP, FBSTP to memory. .arg: bytes of the operand */
enum emul_rc emul_op_x87_store(struct emul_ctx *ctx)
{
	unsigned int len = ctx->insn.row->arg;
	enum emul_rc rc = x87_begin(ctx);
	u8 data[16] = { 0 };

	rc = rc ?: x87_run_this(ctx, data);
	/*
	 * Unmasked exceptions other than PE prevent the store (SDM "Floating-Point Exception
	 * Handling").
	 */
	if (rc == EMUL_OK && !(x87_unmasked(&ctx->fx) & ~SW_PRECISION))
		rc = emul_write_mem(ctx, ctx->src.seg, ctx->src.ea, data, len);
	if (rc == EMUL_OK)
		ctx->ops->set_fx(ctx, &ctx->fx);
	return rc;
}

/* Moves between x87 registers, and loads of constants. */
enum emul_rc emul_op_x87_reg(struct emul_ctx *ctx)
{
	enum emul_rc rc = x87_begin(ctx) ?: x87_run_this(ctx, NULL);

	if (rc == EMUL_OK)
		ctx->ops->set_fx(ctx, &ctx->fx);
	return rc;
}

/*
 * FCMOVcc with the conditions B, E, BE and U (opcode DA), and their opposites (opcode DB). Evaluate
 * the condition here. Then let emul_ops.x87 execute FCMOVB, with the result in CF.
 */
enum emul_rc emul_op_fcmov(struct emul_ctx *ctx)
{
	static const u64 flags[4] = { X86_EFLAGS_CF, X86_EFLAGS_ZF, X86_EFLAGS_CF | X86_EFLAGS_ZF,
				      X86_EFLAGS_PF };
	bool met = ctx->rflags & flags[ctx->insn.modrm >> 3 & 3];
	u8 cf = met != (ctx->insn.opcode == 0xdb);
	enum emul_rc rc = x87_begin(ctx);

	rc = rc ?: x87_run_as(ctx, 0xda, ctx->insn.modrm & 0xc7, &cf);
	if (rc == EMUL_OK)
		ctx->ops->set_fx(ctx, &ctx->fx);
	return rc;
}

/* --- control ------------------------------------------------------------------------------ */

enum emul_rc emul_op_fwait(struct emul_ctx *ctx)
{
	u64 both = X86_CR0_MP | X86_CR0_TS;
	u32 none;

	if ((ctx->ops->get_cr(ctx, 0) & both) == both)
		return emul_fault(ctx, VEC_NM);
	return ctx->ops->fpu(ctx, EMUL_FPU_WAIT, &none);
}

/* FLDCW and FNSTCW. .arg: enum emul_fpuop */
enum emul_rc emul_op_fpu_cw(struct emul_ctx *ctx)
{
	u8 op = ctx->insn.row->arg;
	u32 val = ctx->src.val;
	enum emul_rc rc = x87_check(ctx);

	if (rc == EMUL_OK)
		rc = ctx->ops->fpu(ctx, op, &val);
	ctx->dst.val = val;
	return rc;
}

/* FNSTSW to memory (.arg 0) or AX (.arg 1) */
enum emul_rc emul_op_fpu_sw(struct emul_ctx *ctx)
{
	enum emul_rc rc = x87_check(ctx);
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
	enum emul_rc rc = x87_check(ctx);
	u32 none;

	return rc ?: ctx->ops->fpu(ctx, ctx->insn.row->arg, &none);
}

/* --- the environment (SDM volume 1, "Saving the x87 FPU's State ...") --------------------- */

/* Compute the full tag word, two bits per register: 0 valid, 1 zero, 2 special, 3 empty. */
static u16 full_tags(const struct emul_fx *fx)
{
	unsigned int top = fx->swd >> 11 & 7, i, tag;
	const u8 *st;
	u16 exp, all = 0;
	u64 mant;

	for (i = 0; i < 8; i++) {
		st = fx->st[(i - top) & 7];
		memcpy(&mant, st, 8);
		memcpy(&exp, st + 8, 2);
		exp &= 0x7fff;
		if (!(fx->twd >> i & 1))
			tag = 3;
		else if (!exp && !mant)
			tag = 1;
		else
			tag = !exp || exp == 0x7fff || !(mant >> 63) ? 2 : 0;
		all |= tag << 2 * i;
	}
	return all;
}

static u8 abridged_tags(u16 all)
{
	unsigned int i;
	u8 tags = 0;

	for (i = 0; i < 8; i++)
		if ((all >> 2 * i & 3) != 3)
			tags |= 1 << i;
	return tags;
}

/* Change TOP. Physical registers keep their values, so ST(i) are renumbered. */
static void x87_set_top(struct emul_fx *fx, unsigned int top)
{
	unsigned int turn = (top - (fx->swd >> 11)) & 7, i;
	u8 st[8][16];

	memcpy(st, fx->st, sizeof(st));
	for (i = 0; i < 8; i++)
		memcpy(fx->st[i], st[(i + turn) & 7], sizeof(st[0]));
	fx->swd = (fx->swd & ~SW_TOP) | top << 11;
}

/* Return true in real and VM86 mode: the x87 environment then has linear pointers, no selectors. */
static bool env_packed(const struct emul_ctx *ctx)
{
	return !emul_protected(ctx);
}

/* Fill the 7 fields of the environment, of @width bytes each. */
static void env_to_fields(struct emul_ctx *ctx, u32 field[7], unsigned int width)
{
	const struct emul_fx *fx = &ctx->fx;
	unsigned int shift = width == 2 ? 0 : 16;
	u32 fop = fx->fop & 0x7ff;

	memset(field, 0, 7 * sizeof(field[0]));
	field[0] = fx->cwd | 0xffff0000;
	field[1] = fx->swd | 0xffff0000;
	field[2] = full_tags(fx) | 0xffff0000;
	field[3] = fx->rip;
	field[5] = fx->rdp;
	field[6] = 0xffff0000;
	if (env_packed(ctx)) {
		field[3] = (u16)fx->rip;
		field[4] = ((u32)fx->rip >> 16 & (shift ? 0xffff : 0xf)) << 12 | fop;
		field[5] = (u16)fx->rdp;
		field[6] = ((u32)fx->rdp >> 16 & (shift ? 0xffff : 0xf)) << 12;
	} else if (shift) {
		field[4] = fop << 16;
	}
}

static void env_from_fields(struct emul_ctx *ctx, const u32 field[7], unsigned int width)
{
	struct emul_fx *fx = &ctx->fx;

	x87_set_top(fx, field[1] >> 11 & 7);
	fx->cwd = field[0];
	fx->swd = field[1];
	fx->twd = abridged_tags(field[2]);
	fx->rip = field[3];
	fx->rdp = field[5];
	fx->fop = 0;
	if (env_packed(ctx)) {
		fx->rip = (u16)field[3] | (field[4] >> 12) << 16;
		fx->rdp = (u16)field[5] | (field[6] >> 12) << 16;
		fx->fop = field[4] & 0x7ff;
	} else if (width == 4) {
		fx->fop = field[4] >> 16 & 0x7ff;
	}
	/* ES and B are computed from the exception flags and masks. */
	fx->swd &= ~(SW_ES | SW_BUSY);
	if (x87_unmasked(fx))
		fx->swd |= SW_ES | SW_BUSY;
}

/* Read or write @len bytes in pieces: emul_ops.read and .write access at most 32 bytes. */
static enum emul_rc x87_copy(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len, bool write)
{
	enum emul_rc rc = EMUL_OK;
	unsigned int at, n;
	u64 to;

	for (at = 0; at < len && rc == EMUL_OK; at += n) {
		n = len - at < 32 ? len - at : 32;
		to = ctx->mode == EMUL_LONG64 ? la + at : (u32)(la + at);
		rc = write ? ctx->ops->write(ctx, to, buf + at, n, EMUL_DATA, ctx->cpl) :
			     ctx->ops->read(ctx, to, buf + at, n, EMUL_DATA, ctx->cpl);
	}
	return rc;
}

/*
 * Compute the linear address of @len bytes, and check that all of them can be written: x87_copy()
 * writes them in pieces, and must not fail after the first piece.
 */
static enum emul_rc x87_locate(struct emul_ctx *ctx, unsigned int len, u64 *la)
{
	enum emul_rc rc = emul_linear(ctx, ctx->src.seg, ctx->src.ea, len, true, la);

	return rc ?: ctx->ops->probe_write(ctx, *la, len, EMUL_DATA, ctx->cpl);
}

#define ENV_MAX		(28 + 80)

static unsigned int env_width(const struct emul_ctx *ctx)
{
	return ctx->insn.op_bytes == 2 ? 2 : 4;
}

/* FNSTENV (.arg 0) also masks all exceptions; FNSAVE (.arg 1) also initializes the FPU. */
enum emul_rc emul_op_fnstenv(struct emul_ctx *ctx)
{
	unsigned int width = env_width(ctx), len = 7 * width, i;
	bool regs = ctx->insn.row->arg;
	enum emul_rc rc = x87_check(ctx);
	struct emul_fx *fx = &ctx->fx;
	u8 image[ENV_MAX];
	u32 field[7];
	u64 la;

	rc = rc ?: x87_locate(ctx, len + (regs ? 80 : 0), &la);
	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_fx(ctx, fx);
	env_to_fields(ctx, field, width);
	for (i = 0; i < 7; i++)
		memcpy(image + i * width, &field[i], width);
	for (i = 0; i < 8 && regs; i++, len += 10)
		memcpy(image + len, fx->st[i], 10);
	rc = x87_copy(ctx, la, image, len, true);
	if (rc != EMUL_OK)
		return rc;
	fx->cwd |= SW_EXCEPTIONS;
	fx->swd &= ~(SW_ES | SW_BUSY);
	if (regs) {
		x87_set_top(fx, 0);
		fx->cwd = FPU_CW_INIT;
		fx->swd = 0;
		fx->twd = 0;
		fx->fop = 0;
		fx->rip = 0;
		fx->rdp = 0;
	}
	ctx->ops->set_fx(ctx, fx);
	return EMUL_OK;
}

/* FLDENV (.arg 0) and FRSTOR (.arg 1) */
enum emul_rc emul_op_fldenv(struct emul_ctx *ctx)
{
	unsigned int width = env_width(ctx), len = 7 * width, i;
	bool regs = ctx->insn.row->arg;
	unsigned int whole = len + (regs ? 80 : 0);
	enum emul_rc rc = x87_begin(ctx);
	u32 field[7] = { 0 };
	u8 image[ENV_MAX];
	u64 la;

	rc = rc ?: emul_linear(ctx, ctx->src.seg, ctx->src.ea, whole, false, &la) ?:
	     x87_copy(ctx, la, image, whole, false);
	if (rc != EMUL_OK)
		return rc;
	for (i = 0; i < 7; i++)
		memcpy(&field[i], image + i * width, width);
	env_from_fields(ctx, field, width);
	for (i = 0; i < 8 && regs; i++, len += 10)
		memcpy(ctx->fx.st[i], image + len, 10);
	ctx->ops->set_fx(ctx, &ctx->fx);
	return EMUL_OK;
}

/* --- FXSAVE, FXRSTOR ---------------------------------------------------------------------- */

/* Return the used bytes of the FXSAVE area, which depend on the mode and on CR4.OSFXSR. */
static unsigned int fx_len(struct emul_ctx *ctx)
{
	unsigned int regs = ctx->mode == EMUL_LONG64 ? 16 : 8;

	if (!(ctx->ops->get_cr(ctx, 4) & X86_CR4_OSFXSR))
		regs = 0;
	return offsetof(struct emul_fx, xmm) + 16 * regs;
}

static enum emul_rc fx_linear(struct emul_ctx *ctx, bool write, u64 *la)
{
	enum emul_rc rc = x87_check(ctx) ?:
			  emul_linear(ctx, ctx->src.seg, ctx->src.ea, 512, write, la);

	return rc == EMUL_OK && *la & 15 ? emul_gp0(ctx) : rc;
}

/* Without REX.W, cut the x87 pointers to 32-bit offsets. (okvm keeps no selectors for them.) */
static void fx_narrow(struct emul_ctx *ctx)
{
	if (ctx->insn.rex & 8)
		return;
	ctx->fx.rip = (u32)ctx->fx.rip;
	ctx->fx.rdp = (u32)ctx->fx.rdp;
}

enum emul_rc emul_op_fxsave(struct emul_ctx *ctx)
{
	u64 la;
	enum emul_rc rc = fx_linear(ctx, true, &la);

	rc = rc ?: ctx->ops->probe_write(ctx, la, 512, EMUL_DATA, ctx->cpl);
	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_fx(ctx, &ctx->fx);
	fx_narrow(ctx);
	return x87_copy(ctx, la, &ctx->fx, fx_len(ctx), true);
}

enum emul_rc emul_op_fxrstor(struct emul_ctx *ctx)
{
	struct emul_fx *fx = &ctx->fx;
	u32 mxcsr, mask;
	enum emul_rc rc;
	u64 la;

	rc = fx_linear(ctx, false, &la);
	if (rc != EMUL_OK)
		return rc;
	/* Members that FXRSTOR does not load keep their values. */
	ctx->ops->get_fx(ctx, fx);
	mask = fx->mxcsr_mask ?: 0xffbf;
	mxcsr = fx->mxcsr;
	rc = x87_copy(ctx, la, fx, fx_len(ctx), false);
	if (rc != EMUL_OK)
		return rc;
	fx_narrow(ctx);
	if (!(ctx->ops->get_cr(ctx, 4) & X86_CR4_OSFXSR))
		fx->mxcsr = mxcsr;
	if (fx->mxcsr & ~mask)
		return emul_gp0(ctx);
	fx->mxcsr_mask = mask;
	ctx->ops->set_fx(ctx, fx);
	return EMUL_OK;
}
