// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decode one instruction: prefixes, opcode, ModRM, SIB, displacement, immediates. The result,
 * struct emul_insn, depends only on the bytes and the mode, so that it can be kept, compared and
 * fuzzed. (Upstream decodes an instruction and loads its operands in one pass.)
 *
 * SDM volume 2, "Instruction Format" and appendix A "Opcode Map".
 */
#include "internal.h"

struct decoder {
	struct emul_ctx *ctx;
	struct emul_insn *insn;
	unsigned int pos;
	enum emul_rc rc;
};

static unsigned int decode_chunk(u64 la, unsigned int avail)
{
	unsigned int room = PAGE_BYTES - (la & (PAGE_BYTES - 1));
	unsigned int want = EMUL_MAX_INSN - avail;

	return room < want ? room : want;
}

/* Fetch more bytes, up to the end of the page or to the 15th byte. */
static enum emul_rc decode_fetch(struct emul_ctx *ctx)
{
	struct emul_insn *insn = &ctx->insn;
	u64 off = ctx->rip + insn->avail;
	struct emul_seg cs;
	unsigned int len;
	u64 la = off;
	enum emul_rc rc;

	if (insn->avail >= EMUL_MAX_INSN)
		return emul_gp0(ctx);
	if (ctx->mode == EMUL_LONG64) {
		if (!emul_is_canonical(ctx, la))
			return emul_gp0(ctx);
		len = decode_chunk(la, insn->avail);
	} else {
		off &= 0xffffffffu;
		ctx->ops->get_seg(ctx, EMUL_CS, &cs);
		if (off > cs.limit)
			return emul_gp0(ctx);
		la = (u32)(cs.base + off);
		len = decode_chunk(la, insn->avail);
		if (len - 1 > cs.limit - off)
			len = cs.limit - off + 1;
	}
	rc = ctx->ops->fetch(ctx, la, insn->bytes + insn->avail, len, ctx->cpl);
	if (rc == EMUL_OK)
		insn->avail += len;
	return rc;
}

/* Return the next byte. After an error return 0; d->rc keeps the error. */
static u8 decode_u8(struct decoder *d)
{
	if (d->pos >= d->insn->avail && d->rc == EMUL_OK)
		d->rc = decode_fetch(d->ctx);
	if (d->rc != EMUL_OK)
		return 0;
	return d->insn->bytes[d->pos++];
}

static u64 decode_le(struct decoder *d, unsigned int bytes)
{
	unsigned int i;
	u64 val = 0;

	for (i = 0; i < bytes; i++)
		val |= (u64)decode_u8(d) << (8 * i);
	return val;
}

static s64 decode_signed(struct decoder *d, unsigned int bytes)
{
	return emul_sext(decode_le(d, bytes), bytes);
}

/* Record a segment prefix. 64-bit mode ignores ES, CS, SS and DS prefixes. */
static void decode_segment_prefix(struct decoder *d, unsigned int seg)
{
	if (seg >= EMUL_FS || d->ctx->mode != EMUL_LONG64)
		d->insn->seg = seg;
}

/* Decode one legacy prefix. Return: false if @b is no legacy prefix */
static bool decode_legacy_prefix(struct decoder *d, u8 b, bool *adsize)
{
	switch (b) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		decode_segment_prefix(d, (b >> 3) & 3);
		return true;
	case 0x64:
	case 0x65:
		decode_segment_prefix(d, EMUL_FS + (b & 1));
		return true;
	case 0x66:
		d->insn->opsize_prefix = true;
		return true;
	case 0x67:
		*adsize = true;
		return true;
	case 0xf0:
		d->insn->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->insn->rep = b;
		return true;
	default:
		return false;
	}
}

/* Decode all prefixes. Return: the first byte after them */
static u8 decode_prefixes(struct decoder *d, bool *adsize)
{
	struct emul_insn *insn = d->insn;
	bool long64 = d->ctx->mode == EMUL_LONG64;
	u8 b;

	for (;;) {
		b = decode_u8(d);
		if (d->rc != EMUL_OK)
			return 0;
		if (long64 && (b & 0xf0) == 0x40) {
			insn->rex = b;
			continue;
		}
		if (!decode_legacy_prefix(d, b, adsize))
			return b;
		insn->rex = 0; /* REX is ignored unless the opcode follows it */
	}
}

static void decode_sizes(struct decoder *d, bool adsize)
{
	struct emul_insn *insn = d->insn;
	bool op16;

	switch (d->ctx->mode) {
	case EMUL_LONG64:
		insn->ad_bytes = adsize ? 4 : 8;
		insn->op_bytes = insn->rex & 8 ? 8 : insn->opsize_prefix ? 2 : 4;
		return;
	case EMUL_PROT32:
		insn->ad_bytes = adsize ? 2 : 4;
		op16 = insn->opsize_prefix;
		break;
	default:
		insn->ad_bytes = adsize != d->ctx->wide ? 4 : 2;
		op16 = insn->opsize_prefix == d->ctx->wide;
		break;
	}
	insn->op_bytes = op16 ? 2 : 4;
}

/*
 * Return true if @b is the first byte of a VEX or EVEX prefix. In 64-bit mode, the values C4, C5
 * and 62 always are. In real and VM86 mode they never are. In other modes they are also the opcodes
 * of LES, LDS and BOUND, which have a memory operand: so they begin a prefix if the next byte, read
 * as ModRM, names a register. (The rows of opcode 8F handle XOP prefixes.)
 */
static bool decode_is_vex(struct decoder *d, u8 b)
{
	u8 next;

	if (b != 0xc4 && b != 0xc5 && b != 0x62)
		return false;
	if (d->ctx->mode == EMUL_LONG64)
		return true;
	if (d->ctx->mode < EMUL_PROT16)
		return false;
	next = decode_u8(d);
	if (d->rc != EMUL_OK)
		return false;
	d->pos--;
	return (next & 0xc0) == 0xc0;
}

static const struct emul_opcode unimpl = { .flags = F_UNIMPL };
static const struct emul_opcode undefined;

/* Decode the last byte of a VEX prefix except bit 7: inverted vvvv, L and pp. */
static void decode_vex_last(struct decoder *d, u8 b)
{
	static const u8 rep[4] = { 0, 0, 0xf3, 0xf2 };
	struct emul_insn *insn = d->insn;

	insn->vex = true;
	insn->rep = rep[b & 3];
	insn->opsize_prefix = (b & 3) == 1;
	insn->vex_l = b & 4;
	insn->vex_v = (b >> 3 & 15) ^ 15;
	if (d->ctx->mode != EMUL_LONG64)
		insn->vex_v &= 7;
}

/*
 * Decode a VEX prefix, C4 or C5. C5 is a short form of a C4 prefix that selects map 0F and has X, B
 * and W clear (SDM "Intel AVX Instruction Format").
 */
static const struct emul_opcode *decode_vex(struct decoder *d, u8 first)
{
	struct emul_insn *insn = d->insn;
	u8 b = decode_u8(d), rex = b >> 5 & 4, map = EMUL_MAP_0F;

	/* LOCK, REP, 66 and REX before VEX raise #UD. */
	if (insn->lock || insn->rep || insn->opsize_prefix || insn->rex)
		return &undefined;
	if (first == 0xc4) {
		map = b & 0x1f;
		rex = b >> 5;
		b = decode_u8(d);
	}
	insn->rex = (rex ^ (first == 0xc4 ? 7 : 4)) | (first == 0xc4 ? b >> 4 & 8 : 0);
	/* VEX.R, X and B exist in 64-bit mode only; W is part of some opcodes in every mode. */
	if (d->ctx->mode != EMUL_LONG64)
		insn->rex &= 8;
	decode_vex_last(d, b);
	insn->map = map;
	insn->opcode = decode_u8(d);
	if (map < EMUL_MAP_0F || map > EMUL_MAP_0F3A)
		return &undefined;
	return emul_map_vex(map, insn->opcode);
}

static const struct emul_opcode *decode_opcode(struct decoder *d, u8 b)
{
	struct emul_insn *insn = d->insn;

	insn->opcode = b;
	if (decode_is_vex(d, b))
		return b == 0x62 ? &unimpl : decode_vex(d, b);
	if (b == 0x63 && d->ctx->mode == EMUL_LONG64)
		return &emul_row_movsxd;
	if (b != 0x0f)
		return &emul_map_1b[b];
	insn->map = EMUL_MAP_0F;
	insn->opcode = decode_u8(d);
	if (insn->opcode == 0x38) {
		insn->map = EMUL_MAP_0F38;
		insn->opcode = decode_u8(d);
		return emul_map_0f38(insn->opcode);
	}
	if (insn->opcode == 0x3a) {
		insn->map = EMUL_MAP_0F3A;
		insn->opcode = decode_u8(d);
		return &unimpl;
	}
	return &emul_map_0f[insn->opcode];
}

static void decode_modrm_byte(struct decoder *d)
{
	struct emul_insn *insn = d->insn;

	if (insn->has_modrm)
		return;
	insn->has_modrm = true;
	insn->modrm = decode_u8(d);
	insn->mod = insn->modrm >> 6;
	insn->reg = ((insn->modrm >> 3) & 7) | (insn->rex & 4) << 1;
	insn->rm = (insn->modrm & 7) | (insn->rex & 1) << 3;
}

static unsigned int decode_prefix_index(const struct emul_insn *insn)
{
	if (insn->rep)
		return insn->rep == 0xf3 ? 2 : 3;
	return insn->opsize_prefix ? 1 : 0;
}

/* At most this many selections lead to a row: by ModRM.reg, prefix, ModRM.mod and ModRM.rm. */
#define MAX_SEL	4

static const struct emul_opcode *decode_select(struct decoder *d, const struct emul_opcode *row)
{
	struct emul_insn *insn = d->insn;
	unsigned int i;

	for (i = 0; i < MAX_SEL && row->flags & F_SEL; i++) {
		if (row->flags & F_SEL_PFX) {
			row = &row->sub[decode_prefix_index(insn)];
			continue;
		}
		decode_modrm_byte(d);
		if (d->rc != EMUL_OK)
			return row;
		if (row->flags & F_SEL_REG)
			row = &row->sub[(insn->modrm >> 3) & 7];
		else if (row->flags & F_SEL_MOD)
			row = &row->sub[insn->mod == 3];
		else
			row = &row->sub[insn->modrm & 7];
	}
	if (row->flags & F_MODRM)
		decode_modrm_byte(d);
	return row;
}

/* Decode a 16-bit address (SDM table "16-Bit Addressing Forms with the ModR/M Byte"). */
static void decode_ea16(struct decoder *d)
{
	static const s8 bases[8] = { EMUL_RBX, EMUL_RBX, EMUL_RBP, EMUL_RBP, -1, -1, EMUL_RBP,
				     EMUL_RBX };
	static const s8 indexes[8] = { EMUL_RSI, EMUL_RDI, EMUL_RSI, EMUL_RDI, EMUL_RSI, EMUL_RDI,
				       -1, -1 };
	struct emul_insn *insn = d->insn;
	unsigned int rm = insn->modrm & 7;

	if (insn->mod == 0 && rm == 6) {
		insn->disp = decode_signed(d, 2);
		return;
	}
	insn->base = bases[rm];
	insn->index = indexes[rm];
	if (insn->mod)
		insn->disp = decode_signed(d, insn->mod);
}

static void decode_sib(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	u8 sib = decode_u8(d);

	insn->sib = sib;
	insn->scale = sib >> 6;
	insn->index = ((sib >> 3) & 7) | (insn->rex & 2) << 2;
	if (insn->index == EMUL_RSP)
		insn->index = -1;
	insn->base = (sib & 7) | (insn->rex & 1) << 3;
	if ((sib & 7) == EMUL_RBP && insn->mod == 0) {
		insn->base = -1;
		insn->disp = decode_signed(d, 4);
	}
}

/* Decode a 32-bit or 64-bit address (SDM table "32-Bit Addressing Forms with the ModR/M Byte"). */
static void decode_ea32(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	unsigned int rm = insn->modrm & 7;

	if (rm == 4) {
		decode_sib(d);
	} else if (insn->mod == 0 && rm == 5) {
		insn->rip_relative = d->ctx->mode == EMUL_LONG64;
		insn->disp = decode_signed(d, 4);
	} else {
		insn->base = insn->rm;
	}
	if (insn->mod)
		insn->disp = decode_signed(d, insn->mod == 1 ? 1 : 4);
}

static void decode_ea(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	s8 base;

	if (!insn->has_modrm || insn->mod == 3)
		return;
	if (insn->ad_bytes == 2)
		decode_ea16(d);
	else
		decode_ea32(d);
	base = insn->base;
	if (insn->seg < 0)
		insn->seg = base == EMUL_RBP || base == EMUL_RSP ? EMUL_SS : EMUL_DS;
}

static void decode_op_bytes(struct decoder *d, const struct emul_opcode *row)
{
	struct emul_insn *insn = d->insn;
	u32 f = row->flags;

	if (f & F_BYTE)
		insn->op_bytes = 1;
	else if (f & F_NO66 && insn->op_bytes == 2)
		insn->op_bytes = 4;
	if (d->ctx->mode != EMUL_LONG64)
		return;
	if (f & F_F64)
		insn->op_bytes = 8;
	else if (f & F_D64 && insn->op_bytes == 4)
		insn->op_bytes = 8;
}

/* Decode the immediate of operand kind @kind. Return: false if @kind has none */
static bool decode_imm(struct decoder *d, unsigned int kind, u64 *imm)
{
	struct emul_insn *insn = d->insn;
	unsigned int bytes = insn->op_bytes;

	switch (kind) {
	case O_IMM:
		*imm = decode_signed(d, bytes > 4 ? 4 : bytes);
		return true;
	case O_REL:
		*imm = decode_signed(d, bytes > 4 ? 4 : bytes);
		return true;
	case O_IMM8:
		*imm = decode_signed(d, 1);
		return true;
	case O_IMMU8:
		*imm = decode_u8(d);
		return true;
	case O_IMMU16:
		*imm = decode_le(d, 2);
		return true;
	case O_IMMV:
		*imm = decode_le(d, bytes);
		return true;
	case O_MOFFS:
		*imm = decode_le(d, insn->ad_bytes);
		return true;
	case O_FAR:
		*imm = decode_le(d, bytes);
		insn->imm2 = decode_le(d, 2);
		return true;
	default:
		return false;
	}
}

static void decode_immediates(struct decoder *d, const struct emul_opcode *row)
{
	struct emul_insn *insn = d->insn;
	u64 *next = &insn->imm;

	if (decode_imm(d, row->dst, next))
		next = &insn->imm2;
	if (decode_imm(d, row->src, next))
		next = &insn->imm2;
	decode_imm(d, row->src2, next);
	if (insn->seg < 0)
		insn->seg = EMUL_DS;
}

/*
 * If the instruction is AMD's LOCK MOV to or from CR0, let it access CR8 (APM "CR8").
 * Return: true if so
 */
static bool decode_lock_cr8(struct decoder *d, const struct emul_opcode *row)
{
	if (!d->ctx->lock_cr8 || d->insn->reg ||
	    (row->exec != emul_op_mov_r_cr && row->exec != emul_op_mov_cr_r))
		return false;
	d->insn->reg = 8;
	return true;
}

/*
 * Raise #UD if the row does not allow this mode, these prefixes or this kind of operand. Return
 * EMUL_UNHANDLEABLE if the instruction is not emulated.
 */
static enum emul_rc decode_verdict(struct decoder *d, const struct emul_opcode *row)
{
	struct emul_insn *insn = d->insn;
	bool long64 = d->ctx->mode == EMUL_LONG64;
	u32 f = row->flags;
	bool mem = insn->has_modrm && insn->mod != 3;

	if (f & F_UNIMPL)
		return EMUL_UNHANDLEABLE;
	if (!row->exec)
		return emul_fault(d->ctx, VEC_UD);
	if (f & (long64 ? F_NO64 : F_ONLY64))
		return emul_fault(d->ctx, VEC_UD);
	if (f & F_PROT && d->ctx->mode < EMUL_PROT16)
		return emul_fault(d->ctx, VEC_UD);
	if (f & F_MEM && !mem)
		return emul_fault(d->ctx, VEC_UD);
	if (insn->lock && !(f & F_LOCK && mem) && !decode_lock_cr8(d, row))
		return emul_fault(d->ctx, VEC_UD);
	if (insn->vex && ((insn->vex_v && !(f & F_VVVV)) || f & (insn->vex_l ? F_L0 : F_L1)))
		return emul_fault(d->ctx, VEC_UD);
	return EMUL_OK;
}

/*
 * Decode prefixes and opcode, and select the row. Return: the row, valid only if d->rc is EMUL_OK
 */
static __always_inline const struct emul_opcode *decode_row(struct decoder *d)
{
	const struct emul_opcode *row;
	bool adsize = false;
	u8 b;

	b = decode_prefixes(d, &adsize);
	if (d->rc != EMUL_OK)
		return NULL;
	decode_sizes(d, adsize);
	row = decode_opcode(d, b);
	if (d->rc != EMUL_OK)
		return NULL;
	return decode_select(d, row);
}

static enum emul_rc decode_all(struct decoder *d)
{
	const struct emul_opcode *row = decode_row(d);
	struct emul_insn *insn = d->insn;

	if (d->rc != EMUL_OK)
		return d->rc;
	if (row->flags & F_REGS)
		insn->mod = 3;
	decode_op_bytes(d, row);
	if (row->exec) {
		decode_ea(d);
		decode_immediates(d, row);
	}
	if (d->rc != EMUL_OK)
		return d->rc;
	insn->row = row;
	return decode_verdict(d, row);
}

/* Clear all members of @insn except bytes[] and avail. */
static void decode_reset(struct emul_insn *insn)
{
	memset((u8 *)insn + offsetof(struct emul_insn, len), 0,
	       sizeof(*insn) - offsetof(struct emul_insn, len));
	insn->seg = -1;
	insn->base = -1;
	insn->index = -1;
}

static enum emul_rc decode_run(struct emul_ctx *ctx)
{
	struct decoder d = { .ctx = ctx, .insn = &ctx->insn };
	enum emul_rc rc;

	decode_reset(&ctx->insn);
	rc = decode_all(&d);
	ctx->insn.len = rc == EMUL_OK ? d.pos : 0;
	return rc;
}

enum emul_rc emul_decode(struct emul_ctx *ctx)
{
	ctx->insn.avail = 0;
	return decode_run(ctx);
}

enum emul_rc emul_decode_call(struct emul_ctx *ctx)
{
	struct decoder d = { .ctx = ctx, .insn = &ctx->insn };
	const struct emul_opcode *row;

	ctx->insn.avail = 0;
	decode_reset(&ctx->insn);
	row = decode_row(&d);
	if (d.rc != EMUL_OK)
		return d.rc;
	if (row->exec != emul_op_vmcall && row->exec != emul_op_syscall)
		return EMUL_UNHANDLEABLE;
	return decode_run(ctx);
}

enum emul_rc emul_decode_bytes(struct emul_ctx *ctx, const u8 *bytes, unsigned int len)
{
	if (len > EMUL_MAX_INSN)
		len = EMUL_MAX_INSN;
	memcpy(ctx->insn.bytes, bytes, len);
	ctx->insn.avail = len;
	return decode_run(ctx);
}

/* decode_reset() keeps bytes and avail: it clears len and all members after len. */
static_assert(offsetof(struct emul_insn, bytes) < offsetof(struct emul_insn, len));
static_assert(offsetof(struct emul_insn, avail) < offsetof(struct emul_insn, len));
