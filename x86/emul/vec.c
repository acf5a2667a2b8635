// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate the vector moves that guests use on device memory: MMX, SSE and AVX (VEX). One handler
 * executes both the form with VEX and the form without VEX. With VEX, the bits of the destination
 * register above the result become zero. Without VEX, the bits above 127 do not change.
 */
#include "internal.h"

/*
 * Raise #UD with CR0.EM or without CR4.OSFXSR, and #NM with CR0.TS (SDM "Exception Conditions" of
 * SSE).
 */
static enum emul_rc check_sse(struct emul_ctx *ctx)
{
	u64 cr0 = ctx->ops->get_cr(ctx, 0);

	if (cr0 & X86_CR0_EM || !(ctx->ops->get_cr(ctx, 4) & X86_CR4_OSFXSR))
		return emul_fault(ctx, VEC_UD);
	return cr0 & X86_CR0_TS ? emul_fault(ctx, VEC_NM) : EMUL_OK;
}

#define XCR0_AVX	6u	/* XMM and YMM */

/* Raise #UD or #NM if AVX is disabled: by CR4.OSXSAVE, XCR0 or CR0.TS. CR0.EM does not matter. */
static enum emul_rc check_avx(struct emul_ctx *ctx)
{
	u64 xcr0 = 0;

	if (!(ctx->ops->get_cr(ctx, 4) & X86_CR4_OSXSAVE))
		return emul_fault(ctx, VEC_UD);
	if (ctx->ops->system(ctx, EMUL_SYS_XGETBV, 0, 0, &xcr0) != EMUL_OK ||
	    (xcr0 & XCR0_AVX) != XCR0_AVX)
		return emul_fault(ctx, VEC_UD);
	return ctx->ops->get_cr(ctx, 0) & X86_CR0_TS ? emul_fault(ctx, VEC_NM) : EMUL_OK;
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

static enum emul_rc check_vec(struct emul_ctx *ctx, enum emul_vec file)
{
	if (file == EMUL_MM)
		return check_mmx(ctx);
	return ctx->insn.vex ? check_avx(ctx) : check_sse(ctx);
}

/* --- registers and memory ----------------------------------------------------------------- */

/* Value of a vector register of 8, 16 or 32 bytes; unused bytes are zero. */
struct vec {
	u8 b[32];
};

static unsigned int vec_len(const struct emul_ctx *ctx)
{
	return ctx->insn.vex_l ? 32 : 16;
}

static enum emul_rc vec_get(struct emul_ctx *ctx, unsigned int nr, struct vec *v)
{
	memset(v, 0, sizeof(*v));
	return ctx->ops->get_vec(ctx, ctx->insn.vex_l ? EMUL_YMM : EMUL_XMM, nr, v->b);
}

static enum emul_rc vec_set(struct emul_ctx *ctx, unsigned int nr, struct vec *v)
{
	if (!ctx->insn.vex)
		return ctx->ops->set_vec(ctx, EMUL_XMM, nr, v->b);
	if (!ctx->insn.vex_l)
		memset(v->b + 16, 0, 16);
	return ctx->ops->set_vec(ctx, EMUL_YMM, nr, v->b);
}

/* Compute the linear address of the memory operand; if @aligned, check its alignment. */
static enum emul_rc vec_linear(struct emul_ctx *ctx, unsigned int len, bool write, bool aligned,
			       u64 *la)
{
	struct emul_operand mem = { 0 };
	enum emul_rc rc;

	emul_locate(ctx, &mem);
	rc = emul_linear(ctx, mem.seg, mem.ea, len, write, la);
	if (rc == EMUL_OK && aligned && *la & (len - 1))
		rc = emul_gp0(ctx);
	return rc;
}

static enum emul_rc vec_load(struct emul_ctx *ctx, void *buf, unsigned int len, bool aligned)
{
	enum emul_rc rc;
	u64 la;

	rc = vec_linear(ctx, len, false, aligned, &la);
	return rc ?: ctx->ops->read(ctx, la, buf, len, EMUL_DATA, ctx->cpl);
}

static enum emul_rc vec_store(struct emul_ctx *ctx, const void *buf, unsigned int len, bool aligned)
{
	enum emul_rc rc;
	u64 la;

	rc = vec_linear(ctx, len, true, aligned, &la);
	return rc ?: ctx->ops->write(ctx, la, buf, len, EMUL_DATA, ctx->cpl);
}

static bool vec_is_reg(const struct emul_ctx *ctx)
{
	return ctx->insn.mod == 3;
}

/* Read the r/m operand of @len bytes, from a register or from memory. */
static enum emul_rc vec_get_rm(struct emul_ctx *ctx, struct vec *v, unsigned int len, bool aligned)
{
	if (vec_is_reg(ctx))
		return vec_get(ctx, ctx->insn.rm, v);
	memset(v, 0, sizeof(*v));
	return vec_load(ctx, v->b, len, aligned);
}

/* --- whole registers ---------------------------------------------------------------------- */

/* MOVQ and MOVNTQ of MMX */
static enum emul_rc vec_mmx(struct emul_ctx *ctx, bool store)
{
	unsigned int reg = ctx->insn.reg & 7, rm = ctx->insn.rm & 7;
	enum emul_rc rc;
	u8 buf[8];
	u64 la;

	if (vec_is_reg(ctx)) {
		rc = ctx->ops->get_vec(ctx, EMUL_MM, store ? reg : rm, buf);
		return rc ?: ctx->ops->set_vec(ctx, EMUL_MM, store ? rm : reg, buf);
	}
	if (!store) {
		rc = vec_load(ctx, buf, 8, false);
		return rc ?: ctx->ops->set_vec(ctx, EMUL_MM, reg, buf);
	}
	/*
	 * get_vec(EMUL_MM) changes the x87 tag word. A store that faults must leave the tag word as
	 * it is, so check first that the page is writable.
	 */
	rc = vec_linear(ctx, 8, true, false, &la);
	if (rc == EMUL_OK)
		rc = ctx->ops->probe_write(ctx, la, 8, EMUL_DATA, ctx->cpl);
	if (rc == EMUL_OK)
		rc = ctx->ops->get_vec(ctx, EMUL_MM, reg, buf);
	return rc ?: ctx->ops->write(ctx, la, buf, 8, EMUL_DATA, ctx->cpl);
}

/* MOVUPS, MOVAPS, MOVDQA, MOVDQU, MOVNTxx, MOVQ mm. .arg bits: 1 = aligned, 2 = store, 4 = MMX */
enum emul_rc emul_op_vmov(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;
	struct vec v;
	enum emul_rc rc = check_vec(ctx, arg & 4 ? EMUL_MM : EMUL_XMM);

	if (rc != EMUL_OK)
		return rc;
	if (arg & 4)
		return vec_mmx(ctx, arg & 2);
	if (!(arg & 2)) {
		rc = vec_get_rm(ctx, &v, vec_len(ctx), arg & 1);
		return rc ?: vec_set(ctx, ctx->insn.reg, &v);
	}
	rc = vec_get(ctx, ctx->insn.reg, &v);
	if (rc != EMUL_OK)
		return rc;
	return vec_is_reg(ctx) ? vec_set(ctx, ctx->insn.rm, &v) :
			     vec_store(ctx, v.b, vec_len(ctx), arg & 1);
}

/* MOVDDUP (.arg 0), MOVSLDUP (.arg 1), MOVSHDUP (.arg 2) */
enum emul_rc emul_op_vmov_dup(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg, size = arg ? 4 : 8;
	unsigned int len = vec_len(ctx), at;
	enum emul_rc rc = check_vec(ctx, EMUL_XMM);
	struct vec v;

	if (rc == EMUL_OK)
		rc = vec_get_rm(ctx, &v, !arg && len == 16 ? 8 : len, arg && !ctx->insn.vex);
	if (rc != EMUL_OK)
		return rc;
	for (at = 0; at < len; at += 2 * size) {
		if (arg == 2)
			memcpy(v.b + at, v.b + at + size, size);
		else
			memcpy(v.b + at + size, v.b + at, size);
	}
	return vec_set(ctx, ctx->insn.reg, &v);
}

/* --- parts of registers ------------------------------------------------------------------- */

/*
 * MOVLPS, MOVLPD, MOVHPS, MOVHPD with memory, MOVHLPS and MOVLHPS between registers. Bits of .arg:
 * 1 = high half, 2 = store. With VEX the other half comes from register VEX.vvvv.
 */
enum emul_rc emul_op_vmov_half(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg, at = arg & 1 ? 8 : 0;
	bool merges = ctx->insn.vex && !(arg & 2);
	enum emul_rc rc = check_vec(ctx, EMUL_XMM);
	struct vec v, from;

	if (rc == EMUL_OK)
		rc = vec_get(ctx, merges ? ctx->insn.vex_v : ctx->insn.reg, &v);
	if (rc != EMUL_OK)
		return rc;
	if (arg & 2)
		return vec_store(ctx, v.b + at, 8, false);
	if (vec_is_reg(ctx)) {
		rc = vec_get(ctx, ctx->insn.rm, &from);
		memcpy(v.b + at, from.b + (8 - at), 8);
	} else {
		rc = vec_load(ctx, v.b + at, 8, false);
	}
	return rc ?: vec_set(ctx, ctx->insn.reg, &v);
}

/*
 * MOVSS and MOVSD between registers. The other bytes of the destination do not change; with VEX
 * they come from register VEX.vvvv.
 */
static enum emul_rc low_between(struct emul_ctx *ctx, unsigned int size, bool store)
{
	unsigned int to = store ? ctx->insn.rm : ctx->insn.reg;
	unsigned int from = store ? ctx->insn.reg : ctx->insn.rm;
	struct vec v, low;
	enum emul_rc rc;

	/* VEX.L is ignored: use XMM registers. */
	rc = ctx->ops->get_vec(ctx, EMUL_XMM, ctx->insn.vex ? ctx->insn.vex_v : to, v.b) ?:
	     ctx->ops->get_vec(ctx, EMUL_XMM, from, low.b);
	if (rc != EMUL_OK)
		return rc;
	memcpy(v.b, low.b, size);
	ctx->insn.vex_l = false;
	return vec_set(ctx, to, &v);
}

/* MOVSS and MOVSD. Bits of .arg: 1 = 8 bytes, 2 = store */
enum emul_rc emul_op_vmov_low(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg, size = arg & 1 ? 8 : 4;
	struct vec v = { { 0 } };
	enum emul_rc rc = check_vec(ctx, EMUL_XMM);

	if (rc != EMUL_OK)
		return rc;
	if (vec_is_reg(ctx))
		return low_between(ctx, size, arg & 2);
	if (arg & 2) {
		rc = ctx->ops->get_vec(ctx, EMUL_XMM, ctx->insn.reg, v.b);
		return rc ?: vec_store(ctx, v.b, size, false);
	}
	rc = vec_load(ctx, v.b, size, false);
	return rc ?: vec_set(ctx, ctx->insn.reg, &v);
}

/* MOVD and MOVQ with a general register or memory. Bits of .arg: 1 = XMM, 2 = store */
enum emul_rc emul_op_movd(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;
	u8 bytes = ctx->insn.rex & 8 && ctx->mode == EMUL_LONG64 ? 8 : 4;
	enum emul_vec file = arg & 1 ? EMUL_XMM : EMUL_MM;
	unsigned int nr = arg & 1 ? ctx->insn.reg : ctx->insn.reg & 7;
	struct vec v = { { 0 } };
	enum emul_rc rc = check_vec(ctx, file);
	u64 val, la = 0;

	if (rc == EMUL_OK && !vec_is_reg(ctx))
		rc = vec_linear(ctx, bytes, arg & 2, false, &la);
	if (rc == EMUL_OK && !vec_is_reg(ctx) && arg & 2)
		rc = ctx->ops->probe_write(ctx, la, bytes, EMUL_DATA, ctx->cpl);
	if (rc != EMUL_OK)
		return rc;
	if (arg & 2) {
		rc = ctx->ops->get_vec(ctx, file, nr, v.b);
		memcpy(&val, v.b, 8);
		if (rc == EMUL_OK && vec_is_reg(ctx))
			emul_write_reg(ctx, ctx->insn.rm, val, bytes, false);
		return rc || vec_is_reg(ctx) ? rc :
		       ctx->ops->write(ctx, la, v.b, bytes, EMUL_DATA, ctx->cpl);
	}
	val = emul_read_reg(ctx, ctx->insn.rm, bytes, false);
	memcpy(v.b, &val, 8);
	if (!vec_is_reg(ctx)) {
		memset(v.b, 0, 8);
		rc = ctx->ops->read(ctx, la, v.b, bytes, EMUL_DATA, ctx->cpl);
	}
	if (rc != EMUL_OK)
		return rc;
	return file == EMUL_MM ? ctx->ops->set_vec(ctx, file, nr, v.b) : vec_set(ctx, nr, &v);
}

/*
 * MOVQ xmm, xmm/m64 (F3 0F 7E) and MOVQ xmm/m64, xmm (66 0F D6, .arg 2). The upper half of a
 * destination register becomes 0.
 */
enum emul_rc emul_op_movq(struct emul_ctx *ctx)
{
	bool store = ctx->insn.row->arg & 2;
	enum emul_rc rc = check_vec(ctx, EMUL_XMM);
	struct vec v;

	if (rc == EMUL_OK)
		rc = store ? vec_get(ctx, ctx->insn.reg, &v) : vec_get_rm(ctx, &v, 8, false);
	if (rc != EMUL_OK)
		return rc;
	if (store && !vec_is_reg(ctx))
		return vec_store(ctx, v.b, 8, false);
	memset(v.b + 8, 0, 8);
	return vec_set(ctx, store ? ctx->insn.rm : ctx->insn.reg, &v);
}

/* MOVQ2DQ (.arg 0) and MOVDQ2Q (.arg 1), between MMX and XMM registers */
enum emul_rc emul_op_movq2dq(struct emul_ctx *ctx)
{
	unsigned int reg = ctx->insn.reg, rm = ctx->insn.rm;
	struct vec v = { { 0 } };
	enum emul_rc rc;

	if (!vec_is_reg(ctx))
		return emul_fault(ctx, VEC_UD);
	rc = check_sse(ctx) ?: check_mmx(ctx);
	if (rc != EMUL_OK)
		return rc;
	if (ctx->insn.row->arg) {
		rc = ctx->ops->get_vec(ctx, EMUL_XMM, rm, v.b);
		return rc ?: ctx->ops->set_vec(ctx, EMUL_MM, reg & 7, v.b);
	}
	rc = ctx->ops->get_vec(ctx, EMUL_MM, rm & 7, v.b);
	return rc ?: ctx->ops->set_vec(ctx, EMUL_XMM, reg, v.b);
}

/*
 * MOVMSKPS, MOVMSKPD, PMOVMSKB: collect the sign bit of each element. .arg: bytes of an element,
 * plus 0x80 for MMX registers.
 */
enum emul_rc emul_op_vmovmsk(struct emul_ctx *ctx)
{
	bool mmx = ctx->insn.row->arg & 0x80;
	unsigned int size = ctx->insn.row->arg & 0xf, len = mmx ? 8 : vec_len(ctx), i;
	struct vec v = { { 0 } };
	enum emul_rc rc;
	u32 mask = 0;

	if (!vec_is_reg(ctx))
		return emul_fault(ctx, VEC_UD);
	rc = check_vec(ctx, mmx ? EMUL_MM : EMUL_XMM);
	if (rc == EMUL_OK)
		rc = mmx ? ctx->ops->get_vec(ctx, EMUL_MM, ctx->insn.rm & 7, v.b) :
			   vec_get(ctx, ctx->insn.rm, &v);
	if (rc != EMUL_OK)
		return rc;
	for (i = 0; i < len / size; i++)
		mask |= (u32)(v.b[(i + 1) * size - 1] >> 7) << i;
	emul_write_reg(ctx, ctx->insn.reg, mask, 4, false);
	return EMUL_OK;
}

/* --- by a mask ---------------------------------------------------------------------------- */

/*
 * Write the bytes of @v whose byte in @mask has its top bit set. If @probe, only check that they
 * can be written.
 */
static enum emul_rc write_masked(struct emul_ctx *ctx, const struct vec *v, const struct vec *mask,
				 unsigned int len, bool probe)
{
	u64 ea = ctx->gpr[EMUL_RDI], la;
	enum emul_rc rc = EMUL_OK;
	unsigned int at, n;

	for (at = 0; at < len && rc == EMUL_OK; at += n) {
		n = 1;
		if (!(mask->b[at] & 0x80))
			continue;
		while (at + n < len && mask->b[at + n] & 0x80)
			n++;
		rc = emul_linear(ctx, ctx->insn.seg, (ea + at) & emul_ad_mask(ctx), n, true, &la);
		if (rc != EMUL_OK)
			return rc;
		rc = probe ? ctx->ops->probe_write(ctx, la, n, EMUL_DATA, ctx->cpl) :
			     ctx->ops->write(ctx, la, v->b + at, n, EMUL_DATA, ctx->cpl);
	}
	return rc;
}

/* MASKMOVQ (.arg 4) and MASKMOVDQU: write masked bytes to DS:rDI; the mask is in register rm. */
enum emul_rc emul_op_maskmov(struct emul_ctx *ctx)
{
	bool mmx = ctx->insn.row->arg & 4;
	unsigned int strip = mmx ? 7 : 15;
	enum emul_vec file = mmx ? EMUL_MM : EMUL_XMM;
	struct vec v = { { 0 } }, mask = { { 0 } };
	enum emul_rc rc;

	if (!vec_is_reg(ctx))
		return emul_fault(ctx, VEC_UD);
	rc = check_vec(ctx, file) ?:
	     ctx->ops->get_vec(ctx, file, ctx->insn.reg & strip, v.b) ?:
	     ctx->ops->get_vec(ctx, file, ctx->insn.rm & strip, mask.b) ?:
	     write_masked(ctx, &v, &mask, strip + 1, true);
	return rc ?: write_masked(ctx, &v, &mask, strip + 1, false);
}

/* Read or write one element for VMASKMOVxx; if @probe, only check that it can be written. */
static enum emul_rc masked_element(struct emul_ctx *ctx, struct vec *v, unsigned int at,
				   unsigned int size, bool store, bool probe)
{
	struct emul_operand mem = { 0 };
	enum emul_rc rc;
	u64 la;

	emul_locate(ctx, &mem);
	rc = emul_linear(ctx, mem.seg, (mem.ea + at) & emul_ad_mask(ctx), size, store, &la);
	if (rc != EMUL_OK)
		return rc;
	if (!store)
		return ctx->ops->read(ctx, la, v->b + at, size, EMUL_DATA, ctx->cpl);
	return probe ? ctx->ops->probe_write(ctx, la, size, EMUL_DATA, ctx->cpl) :
		       ctx->ops->write(ctx, la, v->b + at, size, EMUL_DATA, ctx->cpl);
}

/*
 * VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ. .arg: size of an element in bytes, 4 or 8 (0:
 * VEX.W selects), plus 2 for a store.
 */
enum emul_rc emul_op_vmaskmov(struct emul_ctx *ctx)
{
	bool store = ctx->insn.row->arg & 2;
	unsigned int size = ctx->insn.row->arg & 12, at, pass;
	struct vec v = { { 0 } }, mask;
	enum emul_rc rc = check_avx(ctx) ?: vec_get(ctx, ctx->insn.vex_v, &mask);

	if (!size)
		size = ctx->insn.rex & 8 ? 8 : 4;
	else if (ctx->insn.rex & 8)
		return emul_fault(ctx, VEC_UD);
	if (rc == EMUL_OK && store)
		rc = vec_get(ctx, ctx->insn.reg, &v);
	for (pass = !store; pass < 2; pass++)
		for (at = 0; at < vec_len(ctx) && rc == EMUL_OK; at += size)
			if (mask.b[at + size - 1] & 0x80)
				rc = masked_element(ctx, &v, at, size, store, !pass);
	return rc || store ? rc : vec_set(ctx, ctx->insn.reg, &v);
}

/* VBROADCASTxx, VPBROADCASTx. .arg: bytes of an element */
enum emul_rc emul_op_vbroadcast(struct emul_ctx *ctx)
{
	unsigned int size = ctx->insn.row->arg, at;
	enum emul_rc rc = check_avx(ctx);
	struct vec v;

	if (ctx->insn.rex & 8)
		return emul_fault(ctx, VEC_UD);
	rc = rc ?: vec_get_rm(ctx, &v, size, false);
	if (rc != EMUL_OK)
		return rc;
	for (at = size; at < vec_len(ctx); at += size)
		memcpy(v.b + at, v.b, size);
	return vec_set(ctx, ctx->insn.reg, &v);
}

/* VZEROUPPER, or VZEROALL if VEX.L is set. 64-bit mode has 16 registers, other modes have 8. */
enum emul_rc emul_op_vzero(struct emul_ctx *ctx)
{
	unsigned int nr, n = ctx->mode == EMUL_LONG64 ? 16 : 8;
	enum emul_rc rc = check_avx(ctx);
	struct vec v = { { 0 } };

	for (nr = 0; nr < n && rc == EMUL_OK; nr++) {
		if (!ctx->insn.vex_l)
			rc = ctx->ops->get_vec(ctx, EMUL_XMM, nr, v.b);
		rc = rc ?: ctx->ops->set_vec(ctx, EMUL_YMM, nr, v.b);
	}
	return rc;
}

/* --- the rest ----------------------------------------------------------------------------- */

enum emul_rc emul_op_emms(struct emul_ctx *ctx)
{
	enum emul_rc rc = check_mmx(ctx);
	u32 none;

	return rc ?: ctx->ops->fpu(ctx, EMUL_FPU_EMMS, &none);
}

/* LDMXCSR, STMXCSR */
enum emul_rc emul_op_mxcsr(struct emul_ctx *ctx)
{
	u32 val = ctx->src.val;
	enum emul_rc rc = check_vec(ctx, EMUL_XMM);

	if (rc == EMUL_OK)
		rc = ctx->ops->fpu(ctx, ctx->insn.row->arg, &val);
	ctx->dst.val = val;
	return rc;
}
