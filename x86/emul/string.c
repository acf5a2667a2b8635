// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate string instructions and port I/O. Each iteration of a repeated instruction is committed
 * separately. RIP changes with the last iteration. ctx.rep_limit limits the iterations of one
 * emul_exec().
 */
#include "internal.h"

/* Cut an address in the TSS to 32 bits unless long mode is active. */
static u64 tss_linear(struct emul_ctx *ctx, u64 la)
{
	return emul_long_active(ctx) ? la : (u32)la;
}

/* Check I/O permission (SDM "I/O Privilege Level" and "I/O Permission Bit Map"). */
static enum emul_rc io_allowed(struct emul_ctx *ctx, u16 port, unsigned int bytes)
{
	struct emul_seg tr;
	enum emul_rc rc;
	u16 base, map;

	if (ctx->mode == EMUL_REAL)
		return EMUL_OK;
	if (ctx->mode != EMUL_VM86 && ctx->cpl <= emul_iopl(ctx))
		return EMUL_OK;
	ctx->ops->get_seg(ctx, EMUL_TR, &tr);
	/* A 16-bit TSS has no I/O bit map. The CPU always reads two bytes of the map. */
	if (tr.ar & EMUL_AR_UNUSABLE || !(tr.ar & 8) || tr.limit < 103)
		return emul_gp0(ctx);
	rc = emul_read_sys(ctx, tss_linear(ctx, tr.base + 102), &base, 2);
	if (rc != EMUL_OK)
		return rc;
	if ((u32)base + port / 8 + 1 > tr.limit)
		return emul_gp0(ctx);
	rc = emul_read_sys(ctx, tss_linear(ctx, tr.base + base + port / 8), &map, 2);
	if (rc != EMUL_OK)
		return rc;
	return map >> (port & 7) & ((1u << bytes) - 1) ? emul_gp0(ctx) : EMUL_OK;
}

/* Return the size of an item of IN or OUT: at most 4 bytes, even with REX.W. */
static unsigned int io_bytes(const struct emul_ctx *ctx)
{
	return ctx->insn.op_bytes == 8 ? 4 : ctx->insn.op_bytes;
}

enum emul_rc emul_op_in(struct emul_ctx *ctx)
{
	struct emul_operand *dst = &ctx->dst;
	u16 port = ctx->src.val;
	enum emul_rc rc;

	dst->bytes = io_bytes(ctx);
	dst->val = 0;
	rc = io_allowed(ctx, port, dst->bytes);
	return rc ?: ctx->ops->pio_in(ctx, port, dst->bytes, 1, &dst->val);
}

enum emul_rc emul_op_out(struct emul_ctx *ctx)
{
	u32 val = ctx->gpr[EMUL_RAX];
	u16 port = ctx->src.val;
	enum emul_rc rc;

	rc = io_allowed(ctx, port, io_bytes(ctx));
	return rc ?: ctx->ops->pio_out(ctx, port, io_bytes(ctx), 1, &val);
}

/* --- the loop ----------------------------------------------------------------------------- */

static u64 string_step(const struct emul_ctx *ctx, unsigned int bytes)
{
	return ctx->rflags & X86_EFLAGS_DF ? -(u64)bytes : bytes;
}

static u64 string_si(const struct emul_ctx *ctx)
{
	return emul_gpr(ctx, EMUL_RSI) & emul_ad_mask(ctx);
}

static u64 string_di(const struct emul_ctx *ctx)
{
	return emul_gpr(ctx, EMUL_RDI) & emul_ad_mask(ctx);
}

static void advance(struct emul_ctx *ctx, unsigned int reg, u64 delta)
{
	emul_add_reg(ctx, reg, delta, emul_ad_mask(ctx));
}

/*
 * A function that executes one iteration, and stages index registers and flags. INS and OUTS may
 * handle up to @max items in one iteration, other instructions one item. *@done is set to this
 * number.
 */
typedef enum emul_rc (*string_fn)(struct emul_ctx *ctx, u64 max, u64 *done);

/* Return true if ZF ends a repeated CMPS or SCAS: ZF is clear for REPE (F3), set for REPNE (F2). */
static bool string_ends(const struct emul_ctx *ctx, bool compares)
{
	bool zf = ctx->flags & X86_EFLAGS_ZF;

	return compares && zf != (ctx->insn.rep == 0xf3);
}

static enum emul_rc string_once(struct emul_ctx *ctx, string_fn fn)
{
	enum emul_rc rc;
	u64 done;

	rc = fn(ctx, 1, &done);
	if (rc == EMUL_OK)
		emul_commit(ctx);
	return rc;
}

/*
 * Commit a repeated instruction whose counter is 0. Intel CPUs change registers even then, if the
 * address size is 32 bits in 64-bit mode: they clear the upper half of RCX, and for MOVS and STOS
 * also the upper halves of the index registers.
 */
static void string_none(struct emul_ctx *ctx)
{
	u8 op = ctx->insn.opcode & 0xfe;

	if (ctx->mode == EMUL_LONG64 && ctx->insn.ad_bytes == 4 &&
	    emul_vendor(ctx) == EMUL_VENDOR_INTEL) {
		emul_set_gpr(ctx, EMUL_RCX, 0);
		if (op == 0xa4)
			emul_set_gpr(ctx, EMUL_RSI, (u32)ctx->gpr[EMUL_RSI]);
		if (op == 0xa4 || op == 0xaa)
			emul_set_gpr(ctx, EMUL_RDI, (u32)ctx->gpr[EMUL_RDI]);
	}
	emul_commit(ctx);
}

static enum emul_rc string_run(struct emul_ctx *ctx, string_fn fn, bool compares)
{
	u64 mask = emul_ad_mask(ctx), after = ctx->next_rip, flags = 0, left, done;
	u32 budget = ctx->rflags & X86_EFLAGS_TF ? 1 : ctx->rep_limit;
	bool last, later_batch = false;
	enum emul_rc rc;

	if (!ctx->insn.rep)
		return string_once(ctx, fn);
	left = ctx->gpr[EMUL_RCX] & mask;
	if (!left)
		string_none(ctx);
	while (left && budget--) {
		rc = fn(ctx, ctx->rflags & X86_EFLAGS_TF ? 1 : left, &done);
		/*
		 * At an exit to userspace for INS or OUTS the guest's RF is 0. Before the first
		 * batch, the VM exit has cleared it (SDM "Saving RIP, RSP, RFLAGS, and SSP"). Later
		 * batches have no VM exit: clear RF here.
		 */
		if (rc == EMUL_IO && later_batch && (ctx->insn.opcode & 0xfc) == 0x6c)
			ctx->rflags &= ~(u64)X86_EFLAGS_RF;
		/*
		 * If an op fails after the first batch, the guest gets the RFLAGS from between two
		 * batches.
		 */
		if (rc == EMUL_UNHANDLEABLE && later_batch)
			ctx->rflags = flags;
		if (rc != EMUL_OK)
			return rc;
		left -= done;
		emul_add_reg(ctx, EMUL_RCX, -done, mask);
		last = !left || string_ends(ctx, compares);
		ctx->next_rip = last ? after : ctx->rip;
		/*
		 * RF is 1 between iterations, so that an interrupt or fault pushes RF as 1 (SDM
		 * "Instruction-Breakpoint Exception Condition"). After the last iteration RF is 0.
		 *
		 * If an iteration of CMPS or SCAS faults, the fault pushes the status flags from
		 * before the instruction (SDM "REP/REPE/REPZ/REPNE/REPNZ"). So only the last
		 * iteration commits new status flags. An interrupt or trap between iterations
		 * pushes the flags of the latest comparison: the guest gets these below, if this
		 * function ends between iterations.
		 */
		ctx->flags &= ~(u64)X86_EFLAGS_RF;
		flags = ctx->flags | X86_EFLAGS_RF;
		if (!last)
			ctx->flags = ctx->rflags | X86_EFLAGS_RF;
		emul_commit(ctx);
		if (last)
			return EMUL_OK;
		if (ctx->stop)
			break;
		later_batch = true;
	}
	if (left) {
		ctx->rflags = flags;
		ctx->out |= EMUL_OUT_AGAIN | EMUL_OUT_ITERATED;
	}
	return EMUL_OK;
}

/* --- memory strings ----------------------------------------------------------------------- */

static enum emul_rc movs_item(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = ctx->insn.op_bytes;
	u64 step = string_step(ctx, bytes), val = 0;
	enum emul_rc rc;

	rc = emul_read_mem(ctx, ctx->insn.seg, string_si(ctx), &val, bytes);
	if (rc == EMUL_OK)
		rc = emul_write_mem(ctx, EMUL_ES, string_di(ctx), &val, bytes);
	advance(ctx, EMUL_RSI, step);
	advance(ctx, EMUL_RDI, step);
	*done = 1;
	return rc;
}

static void string_compare(struct emul_ctx *ctx, u64 a, u64 b)
{
	ctx->dst.val = a;
	ctx->src.val = b;
	ctx->dst.bytes = ctx->insn.op_bytes;
	emul_compare(ctx);
}

static enum emul_rc cmps_item(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = ctx->insn.op_bytes;
	u64 step = string_step(ctx, bytes), a = 0, b = 0;
	enum emul_rc rc;

	rc = emul_read_mem(ctx, ctx->insn.seg, string_si(ctx), &a, bytes);
	if (rc == EMUL_OK)
		rc = emul_read_mem(ctx, EMUL_ES, string_di(ctx), &b, bytes);
	if (rc != EMUL_OK)
		return rc;
	string_compare(ctx, a, b);
	advance(ctx, EMUL_RSI, step);
	advance(ctx, EMUL_RDI, step);
	*done = 1;
	return EMUL_OK;
}

static enum emul_rc scas_item(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = ctx->insn.op_bytes;
	enum emul_rc rc;
	u64 val = 0;

	rc = emul_read_mem(ctx, EMUL_ES, string_di(ctx), &val, bytes);
	if (rc != EMUL_OK)
		return rc;
	string_compare(ctx, emul_read_reg(ctx, EMUL_RAX, bytes, false), val);
	advance(ctx, EMUL_RDI, string_step(ctx, bytes));
	*done = 1;
	return EMUL_OK;
}

static enum emul_rc stos_item(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = ctx->insn.op_bytes;
	u64 val = ctx->gpr[EMUL_RAX];
	enum emul_rc rc;

	rc = emul_write_mem(ctx, EMUL_ES, string_di(ctx), &val, bytes);
	advance(ctx, EMUL_RDI, string_step(ctx, bytes));
	*done = 1;
	return rc;
}

static enum emul_rc lods_item(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = ctx->insn.op_bytes;
	enum emul_rc rc;
	u64 val = 0;

	rc = emul_read_mem(ctx, ctx->insn.seg, string_si(ctx), &val, bytes);
	if (rc == EMUL_OK)
		emul_write_reg(ctx, EMUL_RAX, val, bytes, false);
	advance(ctx, EMUL_RSI, string_step(ctx, bytes));
	*done = 1;
	return rc;
}

enum emul_rc emul_op_movs(struct emul_ctx *ctx)
{
	return string_run(ctx, movs_item, false);
}

enum emul_rc emul_op_cmps(struct emul_ctx *ctx)
{
	return string_run(ctx, cmps_item, true);
}

enum emul_rc emul_op_scas(struct emul_ctx *ctx)
{
	return string_run(ctx, scas_item, true);
}

enum emul_rc emul_op_stos(struct emul_ctx *ctx)
{
	return string_run(ctx, stos_item, false);
}

enum emul_rc emul_op_lods(struct emul_ctx *ctx)
{
	return string_run(ctx, lods_item, false);
}

/* --- port strings ------------------------------------------------------------------------- */

/*
 * Return how many items, 1 to @max, can be accessed at once as a batch. @bytes: size of an item.
 * The items of a batch have ascending addresses in one page, do not wrap at the address size, and
 * fit into the buffer. The caller checks the segment limit.
 */
static u64 batch(struct emul_ctx *ctx, u64 ea, u64 la, unsigned int bytes, u64 max)
{
	u64 room = PAGE_BYTES - (la & (PAGE_BYTES - 1));
	u64 wrap = emul_ad_mask(ctx) - ea;

	if (!ctx->io_buf || ctx->rflags & X86_EFLAGS_DF)
		return 1;
	if (room > ctx->io_buf_size)
		room = ctx->io_buf_size;
	if (room > wrap)
		room = wrap;
	room /= bytes;
	if (max > room)
		max = room;
	return max ? max : 1;
}

/*
 * Set *@la to the linear address of a batch, and *@n to the number of its items, at most @max. If
 * the batch would exceed the segment, *@n is 1.
 */
static enum emul_rc batch_linear(struct emul_ctx *ctx, unsigned int seg, u64 ea,
				 unsigned int bytes, bool write, u64 max, u64 *n, u64 *la)
{
	enum emul_rc rc;
	u64 whole;

	rc = emul_linear(ctx, seg, ea, bytes, write, la);
	if (rc != EMUL_OK)
		return rc;
	*n = batch(ctx, ea, *la, bytes, max);
	if (*n > 1 && emul_linear(ctx, seg, ea, *n * bytes, write, &whole) != EMUL_OK)
		*n = 1;
	return EMUL_OK;
}

static enum emul_rc ins_items(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = io_bytes(ctx);
	u16 port = ctx->gpr[EMUL_RDX];
	enum emul_rc rc;
	u64 one = 0, la;
	void *buf;

	rc = io_allowed(ctx, port, bytes) ?:
	     batch_linear(ctx, EMUL_ES, string_di(ctx), bytes, true, max, done, &la);
	if (rc == EMUL_OK && *done > 1) {
		rc = ctx->ops->probe_write(ctx, la, *done * bytes, EMUL_DATA_BATCH, ctx->cpl);
		if (rc == EMUL_RETRY)
			*done = 1;
	}
	if ((rc == EMUL_OK || rc == EMUL_RETRY) && *done == 1)
		rc = ctx->ops->probe_write(ctx, la, bytes, EMUL_DATA, ctx->cpl);
	if (rc != EMUL_OK)
		return rc;
	buf = *done > 1 ? ctx->io_buf : &one;
	rc = ctx->ops->pio_in(ctx, port, bytes, *done, buf);
	if (rc == EMUL_OK)
		rc = ctx->ops->write(ctx, la, buf, *done * bytes,
				     *done > 1 ? EMUL_DATA_BATCH : EMUL_DATA, ctx->cpl);
	advance(ctx, EMUL_RDI, *done * string_step(ctx, bytes));
	return rc;
}

static enum emul_rc outs_items(struct emul_ctx *ctx, u64 max, u64 *done)
{
	unsigned int bytes = io_bytes(ctx);
	u16 port = ctx->gpr[EMUL_RDX];
	enum emul_rc rc;
	u64 one = 0, la;
	void *buf;

	rc = io_allowed(ctx, port, bytes) ?:
	     batch_linear(ctx, ctx->insn.seg, string_si(ctx), bytes, false, max, done, &la);
	if (rc != EMUL_OK)
		return rc;
	if (*done > 1) {
		rc = ctx->ops->read(ctx, la, ctx->io_buf, *done * bytes, EMUL_DATA_BATCH, ctx->cpl);
		if (rc == EMUL_RETRY)
			*done = 1;
	}
	buf = *done > 1 ? ctx->io_buf : &one;
	if (*done == 1)
		rc = ctx->ops->read(ctx, la, buf, bytes, EMUL_DATA, ctx->cpl);
	if (rc == EMUL_OK)
		rc = ctx->ops->pio_out(ctx, port, bytes, *done, buf);
	advance(ctx, EMUL_RSI, *done * string_step(ctx, bytes));
	return rc;
}

/*
 * Execute INS or OUTS. Each iteration checks the I/O permission, in ins_items() or outs_items(). If
 * the counter of a repeated instruction is 0, there is no iteration: check the I/O permission here.
 */
static enum emul_rc port_string(struct emul_ctx *ctx, string_fn fn)
{
	enum emul_rc rc = EMUL_OK;

	if (ctx->insn.rep && !(ctx->gpr[EMUL_RCX] & emul_ad_mask(ctx)))
		rc = io_allowed(ctx, ctx->gpr[EMUL_RDX], io_bytes(ctx));
	return rc ?: string_run(ctx, fn, false);
}

enum emul_rc emul_op_ins(struct emul_ctx *ctx)
{
	return port_string(ctx, ins_items);
}

enum emul_rc emul_op_outs(struct emul_ctx *ctx)
{
	return port_string(ctx, outs_items);
}
