// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read descriptors from the GDT or LDT, and make the checks for loading a segment register (SDM
 * volume 3, "Protection", and the pseudocode of "MOV" and "LxS").
 */
#include "internal.h"

static u32 desc_limit(const struct emul_desc *d)
{
	u32 limit = (d->raw & 0xffff) | (d->raw >> 32 & 0xf0000);

	return emul_desc_ar(d) & EMUL_AR_G ? limit << 12 | 0xfff : limit;
}

static u64 desc_base(const struct emul_desc *d)
{
	return (d->raw >> 16 & 0xffffff) | (d->raw >> 32 & 0xff000000) | (u64)d->high << 32;
}

void emul_desc_seg(const struct emul_desc *d, struct emul_seg *seg)
{
	seg->base = desc_base(d);
	seg->limit = desc_limit(d);
	seg->sel = d->sel;
	seg->ar = emul_desc_ar(d);
}

/* Compute the address of @sel's descriptor. Return: false if it is not within its table */
static bool desc_locate(struct emul_ctx *ctx, u16 sel, unsigned int len, u64 *la)
{
	u32 last = (sel & 0xfff8) + len - 1;
	struct emul_seg ldt;
	struct emul_dtr gdt;

	if (sel & 4) {
		ctx->ops->get_seg(ctx, EMUL_LDTR, &ldt);
		if (ldt.ar & EMUL_AR_UNUSABLE || last > ldt.limit)
			return false;
		*la = ldt.base + (sel & 0xfff8);
	} else {
		ctx->ops->get_table(ctx, EMUL_GDT, &gdt);
		if (last > gdt.limit)
			return false;
		*la = gdt.base + (sel & 0xfff8);
	}
	if (!emul_long_active(ctx))
		*la = (u32)*la;
	return true;
}

/* Read @sel's descriptor; if it is outside its table, raise @vector with @sel as error code. */
enum emul_rc emul_read_desc(struct emul_ctx *ctx, u16 sel, u8 vector, struct emul_desc *d)
{
	*d = (struct emul_desc){ .sel = sel };
	if (!desc_locate(ctx, sel, 8, &d->la))
		return emul_fault_code(ctx, vector, emul_sel_error(sel));
	return emul_read_sys(ctx, d->la, &d->raw, 8);
}

/* Read the upper 8 bytes of a 16-byte system descriptor. */
enum emul_rc emul_read_desc_high(struct emul_ctx *ctx, struct emul_desc *d, u8 vector)
{
	u32 upper[2];
	enum emul_rc rc;
	u64 la;

	if (!desc_locate(ctx, d->sel, 16, &la))
		return emul_fault_code(ctx, vector, emul_sel_error(d->sel));
	rc = emul_read_sys(ctx, la + 8, upper, 8);
	if (rc != EMUL_OK)
		return rc;
	if (upper[1] & 0x1f00)
		return emul_fault_code(ctx, vector, emul_sel_error(d->sel));
	d->high = upper[0];
	return EMUL_OK;
}

/*
 * Set the accessed bit of a descriptor that another CPU has changed since the caller checked it.
 * Change only the byte that contains the bit, and do not check the descriptor again.
 */
static enum emul_rc mark_changing(struct emul_ctx *ctx, u64 la, u8 bit)
{
	unsigned int tries = 2;
	enum emul_rc rc;
	u8 old, new;

	do {
		rc = emul_read_sys(ctx, la, &old, 1);
		if (rc != EMUL_OK)
			return rc;
		new = old | bit;
		rc = emul_cmpxchg(ctx, la, &old, &new, 1, EMUL_SYSTEM);
	} while (rc == EMUL_RETRY && --tries);
	if (rc == EMUL_RETRY)
		rc = ctx->ops->write(ctx, la, &new, 1, EMUL_SYSTEM, ctx->cpl);
	return rc;
}

/*
 * Set @type_bit, the accessed or the busy bit, in memory and in @d. Return EMUL_RETRY if @type_bit
 * is the busy bit, and another CPU has changed the descriptor since it was read: if two CPUs load
 * the same TSS, only one may succeed.
 */
enum emul_rc emul_mark_desc(struct emul_ctx *ctx, struct emul_desc *d, u32 type_bit)
{
	u64 new = d->raw | (u64)type_bit << 40, la = d->la + 5;
	enum emul_rc rc;

	if (new == d->raw)
		return EMUL_OK;
	rc = emul_cmpxchg(ctx, d->la, &d->raw, &new, 8, EMUL_SYSTEM);
	if (rc == EMUL_RETRY && type_bit == EMUL_AR_ACCESSED)
		rc = mark_changing(ctx, emul_long_active(ctx) ? la : (u32)la, type_bit);
	if (rc == EMUL_OK)
		d->raw = new;
	return rc;
}

/*
 * Compute the value of segment @nr after a load of @sel in real or VM86 mode. In real mode the
 * limit and the access rights do not change. In VM86 mode they get fixed values.
 */
void emul_real_seg(struct emul_ctx *ctx, enum emul_sreg nr, u16 sel, struct emul_seg *seg)
{
	ctx->ops->get_seg(ctx, nr, seg);
	seg->sel = sel;
	seg->base = (u32)sel << 4;
	if (ctx->mode == EMUL_VM86) {
		seg->limit = 0xffff;
		seg->ar = EMUL_AR_P | EMUL_AR_DPL | EMUL_AR_S | EMUL_AR_WRITE | EMUL_AR_ACCESSED;
	}
}

static void null_seg(u16 sel, unsigned int dpl, struct emul_seg *seg)
{
	*seg = (struct emul_seg){ .sel = sel, .ar = EMUL_AR_UNUSABLE };
	seg->ar |= dpl << EMUL_AR_DPL_SHIFT;
}

/*
 * Check @sel for SS at privilege level @cpl. @vector is the exception for violations: #GP for MOV
 * and returns, #TS for a stack from the TSS.
 */
enum emul_rc emul_check_ss(struct emul_ctx *ctx, u16 sel, unsigned int cpl, u8 vector,
			   struct emul_seg *seg)
{
	struct emul_desc d;
	enum emul_rc rc;
	u32 ar;

	if (!(sel & 0xfffc))
		return emul_fault_code(ctx, vector, 0);
	rc = emul_read_desc(ctx, sel, vector, &d);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if ((sel & 3) != cpl || emul_ar_dpl(ar) != cpl ||
	    (ar & (EMUL_AR_S | EMUL_AR_CODE | EMUL_AR_WRITE)) != (EMUL_AR_S | EMUL_AR_WRITE))
		return emul_fault_code(ctx, vector, emul_sel_error(sel));
	if (!(ar & EMUL_AR_P))
		return emul_fault_code(ctx, VEC_SS, emul_sel_error(sel));
	rc = emul_mark_desc(ctx, &d, EMUL_AR_ACCESSED);
	if (rc == EMUL_OK)
		emul_desc_seg(&d, seg);
	return rc;
}

/* Check @sel, which is not null, for a data segment register. @vector: exception for violations. */
enum emul_rc emul_check_data(struct emul_ctx *ctx, u16 sel, u8 vector, struct emul_seg *seg)
{
	unsigned int rpl = sel & 3;
	struct emul_desc d;
	enum emul_rc rc;
	u32 ar;

	rc = emul_read_desc(ctx, sel, vector, &d);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if (!(ar & EMUL_AR_S) || (ar & (EMUL_AR_CODE | EMUL_AR_READ)) == EMUL_AR_CODE)
		return emul_fault_code(ctx, vector, emul_sel_error(sel));
	if ((ar & (EMUL_AR_CODE | EMUL_AR_CONFORM)) != (EMUL_AR_CODE | EMUL_AR_CONFORM) &&
	    (rpl > emul_ar_dpl(ar) || ctx->cpl > emul_ar_dpl(ar)))
		return emul_fault_code(ctx, vector, emul_sel_error(sel));
	if (!(ar & EMUL_AR_P))
		return emul_fault_code(ctx, VEC_NP, emul_sel_error(sel));
	rc = emul_mark_desc(ctx, &d, EMUL_AR_ACCESSED);
	if (rc == EMUL_OK)
		emul_desc_seg(&d, seg);
	return rc;
}

/* Make all checks for loading @sel into data segment register @nr; @seg is the result. */
enum emul_rc emul_check_sreg(struct emul_ctx *ctx, enum emul_sreg nr, u16 sel,
			     struct emul_seg *seg)
{
	if (!emul_protected(ctx)) {
		emul_real_seg(ctx, nr, sel, seg);
		return EMUL_OK;
	}
	if (sel & 0xfffc)
		return nr == EMUL_SS ? emul_check_ss(ctx, sel, ctx->cpl, VEC_GP, seg) :
				       emul_check_data(ctx, sel, VEC_GP, seg);
	if (nr == EMUL_SS &&
	    (ctx->mode != EMUL_LONG64 || ctx->cpl == 3 || (sel & 3) != ctx->cpl))
		return emul_gp0(ctx);
	null_seg(sel, nr == EMUL_SS ? ctx->cpl : 0, seg);
	return EMUL_OK;
}

/* --- VERR, VERW, LAR, LSL: look at a descriptor without loading it ------------------------- */

/* Read the descriptor of @sel for inspection. *ok is false if @sel is null or outside its table. */
static enum emul_rc inspect(struct emul_ctx *ctx, u16 sel, struct emul_desc *d, bool *ok)
{
	*d = (struct emul_desc){ .sel = sel };
	*ok = sel & 0xfffc && desc_locate(ctx, sel, 8, &d->la);
	return *ok ? emul_read_sys(ctx, d->la, &d->raw, 8) : EMUL_OK;
}

static bool visible(const struct emul_ctx *ctx, u16 sel, u32 ar)
{
	u32 conforming = EMUL_AR_S | EMUL_AR_CODE | EMUL_AR_CONFORM;

	if ((ar & conforming) == conforming)
		return true;
	return emul_ar_dpl(ar) >= ctx->cpl && emul_ar_dpl(ar) >= (sel & 3);
}

static void set_zf(struct emul_ctx *ctx, bool zf)
{
	ctx->flags &= ~(u64)X86_EFLAGS_ZF;
	if (zf)
		ctx->flags |= X86_EFLAGS_ZF;
}

/* VERR (.arg 0) and VERW (.arg 1) */
enum emul_rc emul_op_verr(struct emul_ctx *ctx)
{
	u16 sel = ctx->src.val;
	struct emul_desc d;
	enum emul_rc rc;
	bool ok;
	u32 ar;

	rc = inspect(ctx, sel, &d, &ok);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	ok = ok && ar & EMUL_AR_S && visible(ctx, sel, ar);
	if (ctx->insn.row->arg)
		ok = ok && !(ar & EMUL_AR_CODE) && ar & EMUL_AR_WRITE;
	else
		ok = ok && (!(ar & EMUL_AR_CODE) || ar & EMUL_AR_READ);
	set_zf(ctx, ok);
	return EMUL_OK;
}

/* Return a bit map of the system types that LAR or LSL accepts (tables in the SDM). */
static u32 lar_types(struct emul_ctx *ctx, bool lsl)
{
	if (emul_long_active(ctx))
		return lsl ? BIT(2) | BIT(9) | BIT(11) : BIT(2) | BIT(9) | BIT(11) | BIT(12);
	if (lsl)
		return BIT(1) | BIT(2) | BIT(3) | BIT(9) | BIT(11);
	return BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(9) | BIT(11) | BIT(12);
}

/* LAR (.arg 0) and LSL (.arg 1) */
enum emul_rc emul_op_lar(struct emul_ctx *ctx)
{
	bool lsl = ctx->insn.row->arg, ok;
	u16 sel = ctx->src.val;
	struct emul_desc d;
	enum emul_rc rc;
	u32 ar;

	rc = inspect(ctx, sel, &d, &ok);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	ok = ok && visible(ctx, sel, ar);
	if (ok && !(ar & EMUL_AR_S))
		ok = lar_types(ctx, lsl) & BIT(ar & EMUL_AR_TYPE);
	set_zf(ctx, ok);
	if (!ok)
		ctx->dst.kind = K_NONE;
	else
		ctx->dst.val = lsl ? desc_limit(&d) : d.raw >> 32 & 0x00ffff00;
	return EMUL_OK;
}
