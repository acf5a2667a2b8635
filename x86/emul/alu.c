// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate integer arithmetic and logic. Flags are computed in portable C, so that the same code
 * runs in the kernel and, under sanitizers, in userspace on any host. (Upstream executes the
 * guest's instruction on the host's ALU.) Flags that the SDM leaves undefined get the values that
 * CPUs give them if this is cheap; otherwise they do not change.
 */
#include "internal.h"

#define FL_CF	((u64)X86_EFLAGS_CF)
#define FL_PF	((u64)X86_EFLAGS_PF)
#define FL_AF	((u64)X86_EFLAGS_AF)
#define FL_ZF	((u64)X86_EFLAGS_ZF)
#define FL_SF	((u64)X86_EFLAGS_SF)
#define FL_OF	((u64)X86_EFLAGS_OF)

static u64 sign_bit(unsigned int bytes)
{
	return 1ULL << (8 * bytes - 1);
}

static u64 parity(u64 res)
{
	u8 b = res;

	b ^= b >> 4;
	return (0x9669 >> (b & 15)) & 1 ? FL_PF : 0;
}

static u64 flags_szp(u64 res, unsigned int bytes)
{
	u64 f = parity(res);

	if (!(res & emul_mask(bytes)))
		f |= FL_ZF;
	if (res & sign_bit(bytes))
		f |= FL_SF;
	return f;
}

static void set_flags(struct emul_ctx *ctx, u64 mask, u64 val)
{
	ctx->flags = (ctx->flags & ~mask) | (val & mask);
}

static bool carry_in(const struct emul_ctx *ctx)
{
	return ctx->rflags & FL_CF;
}

/* Compute CF, AF and OF from the carries of a sum: CF is the top bit's carry, AF is bit 3's. */
static u64 flags_carries(u64 carries, unsigned int bytes)
{
	u64 f = 0;

	if (carries & sign_bit(bytes))
		f |= FL_CF;
	if (carries & 8)
		f |= FL_AF;
	if ((carries ^ carries << 1) & sign_bit(bytes))
		f |= FL_OF;
	return f;
}

static u64 alu_add(u64 a, u64 b, bool c, unsigned int bytes, u64 *flags)
{
	u64 res = a + b + c;

	*flags = flags_carries((a & b) | ((a | b) & ~res), bytes) | flags_szp(res, bytes);
	return res & emul_mask(bytes);
}

static u64 alu_sub(u64 a, u64 b, bool c, unsigned int bytes, u64 *flags)
{
	u64 res = a - b - c;

	*flags = flags_carries((~a & b) | ((~a | b) & res), bytes) | flags_szp(res, bytes);
	return res & emul_mask(bytes);
}

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

static u64 alu_do(unsigned int op, u64 a, u64 b, bool c, unsigned int bytes, u64 *flags)
{
	u64 res;

	switch (op) {
	case ALU_ADD:
		return alu_add(a, b, false, bytes, flags);
	case ALU_ADC:
		return alu_add(a, b, c, bytes, flags);
	case ALU_SBB:
		return alu_sub(a, b, c, bytes, flags);
	case ALU_SUB:
	case ALU_CMP:
		return alu_sub(a, b, false, bytes, flags);
	case ALU_OR:
		res = a | b;
		break;
	case ALU_AND:
		res = a & b;
		break;
	default:
		res = a ^ b;
		break;
	}
	*flags = flags_szp(res, bytes);
	return res & emul_mask(bytes);
}

enum emul_rc emul_op_alu(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u64 b = ctx->src.val & emul_mask(dst->bytes);
	u64 f;

	dst->val = alu_do(ctx->insn.row->arg, dst->val, b, carry_in(ctx), dst->bytes, &f);
	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	return EMUL_OK;
}

/* Compare dst with src as CMP does, for CMPS and SCAS. */
void emul_compare(struct emul_ctx *ctx)
{
	u64 f;

	alu_sub(ctx->dst.val, ctx->src.val, false, ctx->dst.bytes, &f);
	set_flags(ctx, EMUL_FLAGS_ARITH, f);
}

enum emul_rc emul_op_test(struct emul_ctx *ctx)
{
	u64 res = ctx->dst.val & ctx->src.val;

	set_flags(ctx, EMUL_FLAGS_ARITH, flags_szp(res, ctx->dst.bytes));
	return EMUL_OK;
}

enum emul_rc emul_op_incdec(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u64 f;

	if (ctx->insn.row->arg)
		dst->val = alu_sub(dst->val, 1, false, dst->bytes, &f);
	else
		dst->val = alu_add(dst->val, 1, false, dst->bytes, &f);
	set_flags(ctx, EMUL_FLAGS_ARITH & ~FL_CF, f);
	return EMUL_OK;
}

enum emul_rc emul_op_not(struct emul_ctx *ctx)
{
	ctx->dst.val = ~ctx->dst.val & emul_mask(ctx->dst.bytes);
	return EMUL_OK;
}

enum emul_rc emul_op_neg(struct emul_ctx *ctx)
{
	u64 f;

	ctx->dst.val = alu_sub(0, ctx->dst.val, false, ctx->dst.bytes, &f);
	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	return EMUL_OK;
}

/* --- shifts and rotates (SDM "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD") --------- */

/* Rotate by one bit, through or without CF. */
static u64 rotate_step(unsigned int op, u64 v, unsigned int bytes, bool *cf)
{
	u64 top = sign_bit(bytes);
	bool in = *cf;

	if (op & 1) {	/* right */
		*cf = v & 1;
		if (op == 1)
			in = *cf;
		return v >> 1 | (in ? top : 0);
	}
	*cf = v & top;
	if (op == 0)
		in = *cf;
	return (v << 1 | in) & emul_mask(bytes);
}

static u64 rotate(struct emul_ctx *ctx, unsigned int op, u64 v, unsigned int count,
		  unsigned int bytes)
{
	bool cf = carry_in(ctx);
	u64 top = sign_bit(bytes);
	bool of;

	while (count--)
		v = rotate_step(op, v, bytes, &cf);
	if (op & 1)
		of = !!(v & top) != !!(v & (top >> 1));
	else
		of = !!(v & top) != cf;
	set_flags(ctx, FL_CF | FL_OF, (cf ? FL_CF : 0) | (of ? FL_OF : 0));
	return v;
}

static u64 alu_shl(struct emul_ctx *ctx, u64 v, unsigned int count, unsigned int bytes)
{
	unsigned int bits = 8 * bytes;
	u64 res = count < 64 ? v << count : 0;
	bool cf = count <= bits && v >> (bits - count) & 1;
	bool msb = res & sign_bit(bytes);
	u64 f = flags_szp(res, bytes) | (cf ? FL_CF : 0) | (cf != msb ? FL_OF : 0);

	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	return res & emul_mask(bytes);
}

static u64 alu_shr(struct emul_ctx *ctx, u64 v, unsigned int count, unsigned int bytes,
		   bool arith)
{
	u64 wide = arith ? emul_sext(v, bytes) : v;
	u64 res = arith ? (u64)((s64)wide >> count) : wide >> count;
	bool cf = (arith ? (u64)((s64)wide >> (count - 1)) : wide >> (count - 1)) & 1;
	bool of = !arith && v & sign_bit(bytes);
	u64 f = flags_szp(res, bytes) | (cf ? FL_CF : 0) | (of ? FL_OF : 0);

	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	return res & emul_mask(bytes);
}

static unsigned int shift_count(u64 val, unsigned int bytes)
{
	return val & (bytes == 8 ? 63 : 31);
}

enum emul_rc emul_op_shift(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	unsigned int count = shift_count(ctx->src.val, dst->bytes);
	unsigned int op = ctx->insn.row->arg;

	if (!count)
		return EMUL_OK;
	if (op < 4)
		dst->val = rotate(ctx, op, dst->val, count, dst->bytes);
	else if (op == 4)
		dst->val = alu_shl(ctx, dst->val, count, dst->bytes);
	else
		dst->val = alu_shr(ctx, dst->val, count, dst->bytes, op == 7);
	return EMUL_OK;
}

/*
 * SHLD. The result is undefined for 16-bit operands with a count above 16. CPUs then shift a value
 * of three words (destination, source, destination), and so does okvm.
 */
static u64 double_left(u64 a, u64 b, unsigned int count, unsigned int bits, bool *cf)
{
	if (count > bits) {
		count -= bits;
		*cf = b >> (bits - count) & 1;
		return b << count | a >> (bits - count);
	}
	*cf = a >> (bits - count) & 1;
	return (count < 64 ? a << count : 0) | (count ? b >> (bits - count) : 0);
}

static u64 double_right(u64 a, u64 b, unsigned int count, unsigned int bits, bool *cf)
{
	if (count > bits) {
		count -= bits;
		*cf = b >> (count - 1) & 1;
		return b >> count | a << (bits - count);
	}
	*cf = a >> (count - 1) & 1;
	return (count < 64 ? a >> count : 0) | b << (bits - count);
}

enum emul_rc emul_op_shld(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	unsigned int count = shift_count(ctx->src2.val, dst->bytes);
	unsigned int bits = 8 * dst->bytes;
	u64 old = dst->val;
	bool cf;
	u64 f;

	if (!count)
		return EMUL_OK;
	if (ctx->insn.row->arg)
		dst->val = double_right(old, ctx->src.val, count, bits, &cf);
	else
		dst->val = double_left(old, ctx->src.val, count, bits, &cf);
	dst->val &= emul_mask(dst->bytes);
	f = flags_szp(dst->val, dst->bytes) | (cf ? FL_CF : 0);
	if ((dst->val ^ old) & sign_bit(dst->bytes))
		f |= FL_OF;
	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	return EMUL_OK;
}

/* --- multiply and divide ------------------------------------------------------------------ */

static void mul_wide(u64 a, u64 b, u64 *lo, u64 *hi)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	*lo = product;
	*hi = product >> 64;
}

static void imul_wide(u64 a, u64 b, u64 *lo, u64 *hi)
{
	__int128 product = (__int128)(s64)a * (s64)b;

	*lo = product;
	*hi = product >> 64;
}

/* Write a pair of registers with @bytes each: AH:AL, DX:AX, EDX:EAX or RDX:RAX. */
static void write_pair(struct emul_ctx *ctx, u64 lo, u64 hi, unsigned int bytes)
{
	emul_write_reg(ctx, EMUL_RAX, lo, bytes, false);
	if (bytes == 1)
		emul_write_reg(ctx, EMUL_RAX, hi, 1, true);
	else
		emul_write_reg(ctx, EMUL_RDX, hi, bytes, false);
}

enum emul_rc emul_op_mul(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->dst.bytes, bits = 8 * bytes;
	u64 a = emul_read_reg(ctx, EMUL_RAX, bytes, false), b = ctx->dst.val;
	bool sig = ctx->insn.row->arg;
	u64 lo, hi, full;
	bool over;

	if (sig)
		imul_wide(emul_sext(a, bytes), emul_sext(b, bytes), &lo, &hi);
	else
		mul_wide(a, b, &lo, &hi);
	full = lo;
	if (bytes < 8)
		hi = lo >> bits;
	lo &= emul_mask(bytes);
	hi &= emul_mask(bytes);
	if (sig)
		over = hi != ((full & sign_bit(bytes)) ? emul_mask(bytes) : 0);
	else
		over = hi;
	write_pair(ctx, lo, hi, bytes);
	set_flags(ctx, FL_CF | FL_OF, over ? FL_CF | FL_OF : 0);
	return EMUL_OK;
}

enum emul_rc emul_op_imul2(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->dst.bytes;
	u64 a = emul_sext(ctx->src.val, bytes);
	u64 b = emul_sext(ctx->insn.row->src2 ? ctx->src2.val : ctx->dst.val, bytes);
	u64 lo, hi;
	bool over;

	imul_wide(a, b, &lo, &hi);
	over = emul_sext(lo, bytes) != lo || hi != ((s64)lo < 0 ? ~0ULL : 0);
	ctx->dst.val = lo & emul_mask(bytes);
	set_flags(ctx, FL_CF | FL_OF, over ? FL_CF | FL_OF : 0);
	return EMUL_OK;
}

/* Divide hi:lo by @d, by shift and subtract. @hi must be less than @d. */
static u64 div_wide(u64 hi, u64 lo, u64 d, u64 *rem)
{
	unsigned int i;
	u64 q = 0;
	bool top;

	for (i = 0; i < 64; i++) {
		top = hi >> 63;
		hi = hi << 1 | lo >> 63;
		lo <<= 1;
		q <<= 1;
		if (top || hi >= d) {
			hi -= d;
			q |= 1;
		}
	}
	*rem = hi;
	return q;
}

/* Divide a double-width unsigned value. Return: false if the quotient does not fit */
static bool div_unsigned(u64 hi, u64 lo, u64 d, unsigned int bytes, u64 *q, u64 *r)
{
	if (!d || hi >= d)
		return false;
	if (bytes == 8) {
		*q = div_wide(hi, lo, d, r);
	} else {
		lo |= hi << (8 * bytes);
		*q = lo / d;
		*r = lo % d;
	}
	return true;
}

static bool div_signed(u64 hi, u64 lo, u64 d, unsigned int bytes, u64 *q, u64 *r)
{
	u64 mask = emul_mask(bytes);
	bool neg = hi & sign_bit(bytes), dneg = d & sign_bit(bytes);
	bool minus = neg != dneg;

	if (neg) {
		lo = -lo & mask;
		hi = (~hi + !lo) & mask;
	}
	if (dneg)
		d = -d & mask;
	if (!div_unsigned(hi, lo, d, bytes, q, r))
		return false;
	/* A negative quotient may have a larger absolute value than a positive one, by 1. */
	if (*q >= sign_bit(bytes) + minus)
		return false;
	if (minus)
		*q = -*q;
	if (neg)
		*r = -*r;
	return true;
}

enum emul_rc emul_op_div(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->dst.bytes;
	u64 lo = emul_read_reg(ctx, EMUL_RAX, bytes, false);
	u64 hi = bytes == 1 ? emul_read_reg(ctx, EMUL_RAX, 1, true) :
			      emul_read_reg(ctx, EMUL_RDX, bytes, false);
	u64 q, r;
	bool ok;

	if (ctx->insn.row->arg)
		ok = div_signed(hi, lo, ctx->dst.val, bytes, &q, &r);
	else
		ok = div_unsigned(hi, lo, ctx->dst.val, bytes, &q, &r);
	if (!ok)
		return emul_fault(ctx, VEC_DE);
	write_pair(ctx, q, r, bytes);
	return EMUL_OK;
}

/* --- bits --------------------------------------------------------------------------------- */

/* BT, BTS, BTR, BTC with the bit number in a register: find the word in memory with that bit. */
void emul_bt_locate(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	s64 bit = emul_sext(ctx->src.val, ctx->src.bytes);

	if (!(ctx->insn.row->arg & 0x80) || dst->kind != K_MEM)
		return;
	bit &= ~(s64)(8 * dst->bytes - 1);
	dst->ea = (dst->ea + (u64)(bit >> 3)) & emul_ad_mask(ctx);
}

/* BT, BTS, BTR, BTC: .arg is 0 to 3, plus 0x80 if the bit number is in a register. */
enum emul_rc emul_op_bt(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u64 bit = 1ULL << (ctx->src.val & (8 * dst->bytes - 1));

	set_flags(ctx, FL_CF, dst->val & bit ? FL_CF : 0);
	switch (ctx->insn.row->arg & 3) {
	case 1:
		dst->val |= bit;
		break;
	case 2:
		dst->val &= ~bit;
		break;
	case 3:
		dst->val ^= bit;
		break;
	}
	return EMUL_OK;
}

/* Return the number of the lowest or of the highest bit that is set. @v must not be 0. */
#define first_bit(v)	__builtin_ctzll(v)
#define last_bit(v)	(63 - __builtin_clzll(v))

/* BSF and BSR: if the source is 0, the destination does not change. */
enum emul_rc emul_op_bsx(struct emul_ctx *ctx)
{
	u64 v = ctx->src.val;

	set_flags(ctx, FL_ZF, v ? 0 : FL_ZF);
	if (!v)
		ctx->dst.kind = K_NONE;
	else
		ctx->dst.val = ctx->insn.row->arg ? last_bit(v) : first_bit(v);
	return EMUL_OK;
}

enum emul_rc emul_op_tzcnt(struct emul_ctx *ctx)
{
	unsigned int bits = 8 * ctx->dst.bytes;
	u64 v = ctx->src.val;
	u64 res = bits;

	if (v)
		res = ctx->insn.row->arg ? bits - 1 - last_bit(v) : first_bit(v);
	ctx->dst.val = res;
	set_flags(ctx, FL_CF | FL_ZF, (v ? 0 : FL_CF) | (res ? 0 : FL_ZF));
	return EMUL_OK;
}

enum emul_rc emul_op_popcnt(struct emul_ctx *ctx)
{
	u64 v = ctx->src.val;
	unsigned int n = 0;

	for (; v; v &= v - 1)
		n++;
	ctx->dst.val = n;
	set_flags(ctx, EMUL_FLAGS_ARITH, n ? 0 : FL_ZF);
	return EMUL_OK;
}

enum emul_rc emul_op_bswap(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u64 v = dst->val, res = 0;
	unsigned int i;

	for (i = 0; i < dst->bytes; i++, v >>= 8)
		res = res << 8 | (v & 0xff);
	dst->val = dst->bytes == 2 ? 0 : res;	/* undefined for 16 bits; CPUs return 0 */
	return EMUL_OK;
}

/* SDM "CRC32": polynomial 11EDC6F41H, bit-reflected. */
enum emul_rc emul_op_crc32(struct emul_ctx *ctx)
{
	u32 crc = emul_read_reg(ctx, ctx->dst.reg, 4, false);
	u64 v = ctx->src.val;
	unsigned int i, bit;

	for (i = 0; i < ctx->src.bytes; i++, v >>= 8) {
		crc ^= v & 0xff;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	ctx->dst.val = crc;
	if (ctx->dst.bytes < 4)
		ctx->dst.bytes = 4;
	return EMUL_OK;
}

/* ADCX uses CF only, ADOX OF only. */
enum emul_rc emul_op_adcx(struct emul_ctx *ctx)
{
	u64 fl = ctx->insn.row->arg ? FL_OF : FL_CF;
	u64 f;

	ctx->dst.val = alu_add(ctx->dst.val, ctx->src.val, ctx->rflags & fl, ctx->dst.bytes, &f);
	set_flags(ctx, fl, f & FL_CF ? fl : 0);
	return EMUL_OK;
}

/* --- exchange and compare ----------------------------------------------------------------- */

enum emul_rc emul_op_xadd(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst, *src = &ctx->src;
	u64 old = dst->val;
	u64 f;

	dst->val = alu_add(old, src->val, false, dst->bytes, &f);
	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	emul_write_reg(ctx, src->reg, old, src->bytes, src->high);
	return EMUL_OK;
}

/*
 * CMPXCHG compares the accumulator with the destination. If they are equal, the destination gets
 * the source. If they differ, the accumulator gets the destination, and a destination in memory is
 * written with its old value. With LOCK, emul_store() writes by a compare-and-exchange. If that
 * fails, the instruction begins anew.
 */
enum emul_rc emul_op_cmpxchg(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u64 acc = emul_read_reg(ctx, EMUL_RAX, dst->bytes, false);
	u64 f;

	alu_sub(acc, dst->val, false, dst->bytes, &f);
	set_flags(ctx, EMUL_FLAGS_ARITH, f);
	if (f & FL_ZF) {
		dst->val = ctx->src.val;
		return EMUL_OK;
	}
	emul_write_reg(ctx, EMUL_RAX, dst->val, dst->bytes, false);
	if (dst->kind == K_GPR)
		dst->kind = K_NONE;	/* values differ: write nothing to the register */
	return EMUL_OK;
}

/* CMPXCHG8B and CMPXCHG16B. */
enum emul_rc emul_op_cmpxchg8b(struct emul_ctx *ctx)
{
	unsigned int half = ctx->insn.op_bytes == 8 ? 8 : 4, len = 2 * half;
	u64 want[2], new[2], old[2] = { 0, 0 };
	u8 oldb[16], newb[16];
	bool equal;
	enum emul_rc rc;
	u64 la;

	rc = emul_linear(ctx, ctx->src.seg, ctx->src.ea, len, true, &la);
	if (rc != EMUL_OK)
		return rc;
	if (len == 16 && la & 15)
		return emul_gp0(ctx);
	rc = ctx->ops->read(ctx, la, oldb, len, EMUL_DATA_RMW, ctx->cpl);
	if (rc != EMUL_OK)
		return rc;
	memcpy(&old[0], oldb, half);
	memcpy(&old[1], oldb + half, half);
	want[0] = emul_read_reg(ctx, EMUL_RAX, half, false);
	want[1] = emul_read_reg(ctx, EMUL_RDX, half, false);
	new[0] = emul_read_reg(ctx, EMUL_RBX, half, false);
	new[1] = emul_read_reg(ctx, EMUL_RCX, half, false);
	equal = old[0] == want[0] && old[1] == want[1];
	memcpy(newb, equal ? &new[0] : &old[0], half);
	memcpy(newb + half, equal ? &new[1] : &old[1], half);
	set_flags(ctx, FL_ZF, equal ? FL_ZF : 0);
	if (!equal) {
		emul_write_reg(ctx, EMUL_RAX, old[0], half, false);
		emul_write_reg(ctx, EMUL_RDX, old[1], half, false);
	}
	if (ctx->insn.lock)
		return emul_cmpxchg(ctx, la, oldb, newb, len, EMUL_DATA);
	return ctx->ops->write(ctx, la, newb, len, EMUL_DATA, ctx->cpl);
}

/* --- decimal ------------------------------------------------------------------------------ */

static void write_al(struct emul_ctx *ctx, u8 al, u64 more)
{
	emul_write_reg(ctx, EMUL_RAX, al, 1, false);
	set_flags(ctx, EMUL_FLAGS_ARITH, flags_szp(al, 1) | more);
}

/* DAA and DAS. */
enum emul_rc emul_op_das(struct emul_ctx *ctx)
{
	bool sub = ctx->insn.row->arg;
	u8 old = ctx->gpr[EMUL_RAX], al = old;
	bool cf = carry_in(ctx), af = false, oldcf = cf;

	cf = false;
	if ((al & 15) > 9 || ctx->rflags & FL_AF) {
		cf = oldcf || (sub ? al < 6 : al > 0xf9);
		al += sub ? -6 : 6;
		af = true;
	}
	if (old > 0x99 || oldcf) {
		al += sub ? -0x60 : 0x60;
		cf = true;
	}
	write_al(ctx, al, (cf ? FL_CF : 0) | (af ? FL_AF : 0));
	return EMUL_OK;
}

/* AAA and AAS. */
enum emul_rc emul_op_aas(struct emul_ctx *ctx)
{
	u16 ax = ctx->gpr[EMUL_RAX];
	bool adjust = (ax & 15) > 9 || ctx->rflags & FL_AF;

	if (adjust)
		ax += ctx->insn.row->arg ? -0x106 : 0x106;
	ax &= 0xff0f;
	emul_write_reg(ctx, EMUL_RAX, ax, 2, false);
	set_flags(ctx, EMUL_FLAGS_ARITH,
		  flags_szp(ax & 0xff, 1) | (adjust ? FL_CF | FL_AF : 0));
	return EMUL_OK;
}

enum emul_rc emul_op_aam(struct emul_ctx *ctx)
{
	u8 al = ctx->gpr[EMUL_RAX], base = ctx->src.val;

	if (!base)
		return emul_fault(ctx, VEC_DE);
	emul_write_reg(ctx, EMUL_RAX, al / base, 1, true);
	write_al(ctx, al % base, 0);
	return EMUL_OK;
}

enum emul_rc emul_op_aad(struct emul_ctx *ctx)
{
	u8 al = ctx->gpr[EMUL_RAX], ah = ctx->gpr[EMUL_RAX] >> 8;

	al += ah * (u8)ctx->src.val;
	emul_write_reg(ctx, EMUL_RAX, 0, 1, true);
	write_al(ctx, al, 0);
	return EMUL_OK;
}

/* --- flags and widening ------------------------------------------------------------------- */

/* Evaluate a condition code (SDM table "EFLAGS Condition Codes", appendix B). */
bool emul_cond(u64 flags, unsigned int cc)
{
	static const u64 any[8] = { FL_OF, FL_CF, FL_ZF, FL_CF | FL_ZF, FL_SF, FL_PF, 0, FL_ZF };
	bool less = !(flags & FL_SF) != !(flags & FL_OF);
	unsigned int kind = cc >> 1 & 7;

	return (flags & any[kind] || (kind >= 6 && less)) != (cc & 1);
}

/* Execute CLI or STI. SDM "CLI" and "STI" have tables of the effects of VME and PVI. */
static enum emul_rc flag_if(struct emul_ctx *ctx, bool set)
{
	u64 cr4;

	if (ctx->mode == EMUL_REAL || ctx->cpl <= emul_iopl(ctx)) {
		if (set && !(ctx->rflags & X86_EFLAGS_IF))
			ctx->out |= EMUL_OUT_STI;
		set_flags(ctx, X86_EFLAGS_IF, set ? X86_EFLAGS_IF : 0);
		return EMUL_OK;
	}
	cr4 = ctx->ops->get_cr(ctx, 4);
	if (ctx->cpl != 3 || !(cr4 & (ctx->mode == EMUL_VM86 ? X86_CR4_VME : X86_CR4_PVI)))
		return emul_gp0(ctx);
	if (set && ctx->rflags & X86_EFLAGS_VIP)
		return emul_gp0(ctx);
	set_flags(ctx, X86_EFLAGS_VIF, set ? X86_EFLAGS_VIF : 0);
	return EMUL_OK;
}

/* CMC, CLC, STC, CLI, STI, CLD, STD: opcodes F5 and F8 to FD. */
enum emul_rc emul_op_flag(struct emul_ctx *ctx)
{
	u8 op = ctx->insn.opcode;

	switch (op & ~1) {
	case 0xf4:
		ctx->flags ^= FL_CF;
		return EMUL_OK;
	case 0xf8:
		set_flags(ctx, FL_CF, op & 1 ? FL_CF : 0);
		return EMUL_OK;
	case 0xfa:
		return flag_if(ctx, op & 1);
	default:
		set_flags(ctx, X86_EFLAGS_DF, op & 1 ? X86_EFLAGS_DF : 0);
		return EMUL_OK;
	}
}

#define FLAGS_AH	(FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF)

enum emul_rc emul_op_sahf(struct emul_ctx *ctx)
{
	set_flags(ctx, FLAGS_AH, ctx->gpr[EMUL_RAX] >> 8);
	return EMUL_OK;
}

enum emul_rc emul_op_lahf(struct emul_ctx *ctx)
{
	emul_write_reg(ctx, EMUL_RAX, (ctx->rflags & FLAGS_AH) | X86_EFLAGS_FIXED, 1, true);
	return EMUL_OK;
}

/* CBW, CWDE, CDQE */
enum emul_rc emul_op_cbw(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes;

	emul_write_reg(ctx, EMUL_RAX, emul_sext(ctx->gpr[EMUL_RAX], bytes / 2), bytes, false);
	return EMUL_OK;
}

/* CWD, CDQ, CQO */
enum emul_rc emul_op_cwd(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes;
	bool neg = ctx->gpr[EMUL_RAX] & sign_bit(bytes);

	emul_write_reg(ctx, EMUL_RDX, neg ? ~0ULL : 0, bytes, false);
	return EMUL_OK;
}
