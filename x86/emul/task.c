// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate hardware task switches (SDM volume 3, "Task Management", "Task Switching").
 *
 * A task switch has three parts. First: read and check the new TSS and its descriptor, and check
 * that all writes will succeed. A fault here is an exception of the old task. Second: the switch
 * itself, which also loads the segment selectors and cannot fail. Third: load the segment
 * descriptors. A fault here is an exception of the new task.
 *
 * Upstream writes the old TSS in the format of the new TSS. okvm uses each TSS's own format.
 */
#include "internal.h"

#define AR_SYS_TYPE	(EMUL_AR_S | EMUL_AR_TYPE)
#define TSS_BUSY	2u
#define TSS_32		8u
#define TSS_CR3		0x1cu
#define TSS_TRAP	0x64u
#define TSS_MAX		0x68u
#define DR7_LOCAL	0x155ull	/* L0..L3 and LE */
#define TASK_FLAGS	(EMUL_FLAGS_ARITH | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | \
			 X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM | \
			 X86_EFLAGS_AC | X86_EFLAGS_VIF | X86_EFLAGS_VIP | X86_EFLAGS_ID)
#define AR_FLAT		(EMUL_AR_P | EMUL_AR_S | EMUL_AR_CODE | EMUL_AR_READ | EMUL_AR_ACCESSED | \
			 EMUL_AR_DB | EMUL_AR_G)

/**
 * struct tss_format - layout of a 16-bit or 32-bit TSS (SDM "16-Bit Task-State Segment (TSS)",
 * "Task-State Segment (TSS)")
 * @width: bytes of a field
 * @ip: offset of the instruction pointer; flags, general and segment registers follow it
 * @nr_sregs: number of segment registers, from ES on
 * @size: minimum size in bytes
 */
struct tss_format {
	u8 width;
	u8 ip;
	u8 nr_sregs;
	u8 size;
};

static const struct tss_format tss_formats[] = {
	{ .width = 2, .ip = 0x0e, .nr_sregs = 4, .size = 0x2c },
	{ .width = 4, .ip = 0x20, .nr_sregs = 6, .size = TSS_MAX },
};

static unsigned int tss_gprs(const struct tss_format *f)
{
	return f->ip + 2 * f->width;
}

static unsigned int tss_sregs(const struct tss_format *f)
{
	return tss_gprs(f) + 8 * f->width;
}

/* Return the offset of the LDT field. A task switch writes the old TSS only below this offset. */
static unsigned int tss_ldt(const struct tss_format *f)
{
	return tss_sregs(f) + f->nr_sregs * f->width;
}

static const struct tss_format *tss_format(u32 ar)
{
	return &tss_formats[!!(ar & TSS_32)];
}

/**
 * struct task_state - a task switch in progress
 * @task: the caller's request
 * @old: TR of the old task
 * @new: TR of the new task
 * @old_desc: descriptor of the old TSS; valid only if the switch clears its busy bit
 * @new_desc: descriptor of the new TSS
 * @image: contents of the new TSS
 */
struct task_state {
	struct emul_task *task;
	struct emul_seg old;
	struct emul_seg new;
	struct emul_desc old_desc;
	struct emul_desc new_desc;
	u8 image[TSS_MAX];
};

static bool task_returns(const struct task_state *ts)
{
	return ts->task->source == EMUL_TASK_IRET;
}

/* Return true if the new task is nested in the old one: its TSS gets a link to the old TSS. */
static bool task_nests(const struct task_state *ts)
{
	return ts->task->source == EMUL_TASK_CALL || ts->task->source == EMUL_TASK_GATE;
}

static enum emul_rc task_fault(struct emul_ctx *ctx, const struct task_state *ts, u8 vector,
			       u16 sel)
{
	return emul_fault_code(ctx, vector, (sel & 0xfffc) | ts->task->external);
}

/* Read or write @len bytes in pieces: emul_ops.read and .write access at most 32 bytes. */
static enum emul_rc task_copy(struct emul_ctx *ctx, u64 la, u8 *buf, unsigned int len, bool write)
{
	enum emul_rc rc = EMUL_OK;
	unsigned int at, n;

	for (at = 0; at < len && rc == EMUL_OK; at += n) {
		n = len - at < 32 ? len - at : 32;
		rc = write ? ctx->ops->write(ctx, (u32)(la + at), buf + at, n, EMUL_SYSTEM, 0) :
			     emul_read_sys(ctx, (u32)(la + at), buf + at, n);
	}
	return rc;
}

static u32 image_get(const struct task_state *ts, unsigned int off)
{
	const u8 *p = ts->image + off;
	u32 val = p[0] | p[1] << 8;

	if (ts->new.ar & TSS_32)
		val |= p[2] << 16 | (u32)p[3] << 24;
	return val;
}

/* --- checks before the switch: a fault is an exception of the old task --------------------- */

static enum emul_rc read_desc(struct emul_ctx *ctx, const struct task_state *ts, u16 sel, u8 vector,
			      struct emul_desc *d)
{
	enum emul_rc rc = emul_read_desc(ctx, sel, vector, d);

	if (rc == EMUL_FAULT && ctx->exc.vector == vector)
		ctx->exc.error |= ts->task->external;
	return rc;
}

/* Check the new TSS (SDM "Exception Conditions Checked During a Task Switch", rows for the TSS). */
static enum emul_rc check_new_tss(struct emul_ctx *ctx, struct task_state *ts)
{
	u8 bad = task_returns(ts) ? VEC_TS : VEC_GP;
	u32 type = task_returns(ts) ? 1 | TSS_BUSY : 1;
	u16 sel = ts->task->sel;
	enum emul_rc rc;
	u32 ar;

	if (!(sel & 0xfffc) || sel & 4)
		return task_fault(ctx, ts, bad, sel);
	rc = read_desc(ctx, ts, sel, bad, &ts->new_desc);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&ts->new_desc);
	if ((ar & AR_SYS_TYPE & ~TSS_32) != type)
		return task_fault(ctx, ts, bad, sel);
	if (!(ar & EMUL_AR_P))
		return task_fault(ctx, ts, VEC_NP, sel);
	emul_desc_seg(&ts->new_desc, &ts->new);
	ts->new.ar |= TSS_BUSY;
	if (ts->new.limit < tss_format(ar)->size - 1u)
		return task_fault(ctx, ts, VEC_TS, sel);
	return task_copy(ctx, ts->new.base, ts->image, tss_format(ar)->size, false);
}

static enum emul_rc check_old_tss(struct emul_ctx *ctx, struct task_state *ts)
{
	const struct tss_format *f = tss_format(ts->old.ar);

	if (ts->old.limit < tss_ldt(f) - 1u)
		return task_fault(ctx, ts, VEC_TS, ts->old.sel);
	if (task_nests(ts))
		return EMUL_OK;
	return read_desc(ctx, ts, ts->old.sel, VEC_TS, &ts->old_desc);
}

static enum emul_rc probe(struct emul_ctx *ctx, u64 la, unsigned int len)
{
	return ctx->ops->probe_write(ctx, (u32)la, len, EMUL_SYSTEM, 0);
}

static enum emul_rc probe_writes(struct emul_ctx *ctx, const struct task_state *ts)
{
	const struct tss_format *f = tss_format(ts->old.ar);
	enum emul_rc rc = probe(ctx, ts->old.base + f->ip, tss_ldt(f) - f->ip);

	if (rc == EMUL_OK && task_nests(ts))
		rc = probe(ctx, ts->new.base, 2);
	else if (rc == EMUL_OK)
		rc = probe(ctx, ts->old_desc.la, 8);
	if (rc == EMUL_OK && !task_returns(ts))
		rc = probe(ctx, ts->new_desc.la, 8);
	return rc;
}

/*
 * Wait for the guest memory that the load of CR3 will read. The wait can be given up, because the
 * switch has not written anything yet.
 */
static enum emul_rc wait_cr3(struct emul_ctx *ctx, const struct task_state *ts)
{
	u64 none;

	if (!(ts->new.ar & TSS_32))
		return EMUL_OK;
	return ctx->ops->system(ctx, EMUL_SYS_WAIT_CR3, image_get(ts, TSS_CR3), 0, &none);
}

/* --- the switch ------------------------------------------------------------------------------- */

static enum emul_rc save_old(struct emul_ctx *ctx, struct task_state *ts)
{
	const struct tss_format *f = tss_format(ts->old.ar);
	u64 la = ts->old.base + f->ip;
	unsigned int nr, len = tss_ldt(f) - f->ip;
	u8 block[TSS_MAX] = { }, *to = block;
	struct emul_seg seg;
	u32 flags = ctx->rflags, rip = ctx->rip;

	if (task_returns(ts))
		flags &= ~(u32)X86_EFLAGS_NT;
	memcpy(to, &rip, f->width);
	memcpy(to + f->width, &flags, f->width);
	for (nr = 0, to += 2 * f->width; nr < 8; nr++, to += f->width)
		memcpy(to, &ctx->gpr[nr], f->width);
	for (nr = 0; nr < f->nr_sregs; nr++, to += f->width) {
		ctx->ops->get_seg(ctx, nr, &seg);
		/* The upper half of a 32-bit field is reserved: leave it 0. */
		memcpy(to, &seg.sel, 2);
	}
	return task_copy(ctx, la, block, len, true);
}

static enum emul_rc set_busy(struct emul_ctx *ctx, const struct emul_desc *d, bool busy)
{
	u8 access = d->raw >> 40 & 0xff;

	access = busy ? access | TSS_BUSY : access & ~TSS_BUSY;
	return ctx->ops->write(ctx, (u32)(d->la + 5), &access, 1, EMUL_SYSTEM, 0);
}

/*
 * If the new task is nested, write the selector of the old TSS into the link field of the new TSS.
 * Otherwise clear the busy bit of the old TSS. Then set the busy bit of the new TSS (for IRET it is
 * set already). (SDM "Effect of a Task Switch on Busy Flag, NT Flag, ...")
 */
static enum emul_rc link_tasks(struct emul_ctx *ctx, struct task_state *ts)
{
	enum emul_rc rc = EMUL_OK;

	if (task_nests(ts))
		rc = ctx->ops->write(ctx, (u32)ts->new.base, &ts->old.sel, 2, EMUL_SYSTEM, 0);
	else
		rc = set_busy(ctx, &ts->old_desc, false);
	/* Set the new TSS's busy bit after clearing the old one's: both may be the same TSS. */
	if (rc == EMUL_OK && !task_returns(ts))
		rc = set_busy(ctx, &ts->new_desc, true);
	return rc;
}

static void load_regs(struct emul_ctx *ctx, const struct task_state *ts)
{
	const struct tss_format *f = tss_format(ts->new.ar);
	unsigned int nr;

	ctx->rip = image_get(ts, f->ip);
	ctx->rflags = (image_get(ts, f->ip + f->width) & TASK_FLAGS) | X86_EFLAGS_FIXED;
	if (task_nests(ts))
		ctx->rflags |= X86_EFLAGS_NT;
	for (nr = 0; nr < 8; nr++)
		ctx->gpr[nr] = image_get(ts, tss_gprs(f) + nr * f->width);
	ctx->flags = ctx->rflags;
}

/*
 * Load the selectors of all segment registers. Their descriptors are loaded later, and may fault.
 * So that such a fault can be delivered, CS is flat and the other segments are unusable until then.
 */
static void load_selectors(struct emul_ctx *ctx, const struct task_state *ts)
{
	const struct tss_format *f = tss_format(ts->new.ar);
	struct emul_seg seg;
	unsigned int nr;

	ctx->mode = EMUL_PROT32;
	ctx->cpl = image_get(ts, tss_sregs(f) + EMUL_CS * f->width) & 3;
	for (nr = EMUL_ES; nr <= EMUL_GS; nr++) {
		seg = (struct emul_seg){ .ar = EMUL_AR_UNUSABLE };
		if (nr < f->nr_sregs)
			seg.sel = image_get(ts, tss_sregs(f) + nr * f->width);
		if (nr == EMUL_CS) {
			seg.limit = 0xffffffff;
			seg.ar = AR_FLAT;
		}
		if (nr == EMUL_CS || nr == EMUL_SS)
			seg.ar |= (u32)ctx->cpl << EMUL_AR_DPL_SHIFT;
		ctx->ops->set_seg(ctx, nr, &seg);
	}
	seg = (struct emul_seg){ .sel = image_get(ts, tss_ldt(f)), .ar = EMUL_AR_UNUSABLE };
	ctx->ops->set_seg(ctx, EMUL_LDTR, &seg);
	ctx->out |= EMUL_OUT_MODE;
}

static enum emul_rc load_cr(struct emul_ctx *ctx, const struct task_state *ts)
{
	u64 dr7, cr0 = ctx->ops->get_cr(ctx, 0);
	enum emul_rc rc;

	rc = ctx->ops->set_cr(ctx, 0, cr0 | X86_CR0_TS);
	if (rc == EMUL_OK)
		rc = ctx->ops->get_dr(ctx, 7, &dr7);
	if (rc == EMUL_OK)
		rc = ctx->ops->set_dr(ctx, 7, dr7 & ~DR7_LOCAL);
	if (rc == EMUL_OK && ts->new.ar & TSS_32)
		rc = ctx->ops->set_cr(ctx, 3, image_get(ts, TSS_CR3));
	return rc;
}

/* --- descriptors after the switch: a fault is an exception of the new task ----------------- */

static enum emul_rc load_ldt(struct emul_ctx *ctx, const struct task_state *ts, u16 sel)
{
	struct emul_desc d;
	struct emul_seg seg;
	enum emul_rc rc;

	if (!(sel & 0xfffc))
		return EMUL_OK;
	if (sel & 4)
		return task_fault(ctx, ts, VEC_TS, sel);
	rc = read_desc(ctx, ts, sel, VEC_TS, &d);
	if (rc != EMUL_OK)
		return rc;
	if ((emul_desc_ar(&d) & (AR_SYS_TYPE | EMUL_AR_P)) != (2 | EMUL_AR_P))
		return task_fault(ctx, ts, VEC_TS, sel);
	emul_desc_seg(&d, &seg);
	ctx->ops->set_seg(ctx, EMUL_LDTR, &seg);
	return EMUL_OK;
}

static enum emul_rc load_cs(struct emul_ctx *ctx, const struct task_state *ts, u16 sel)
{
	unsigned int rpl = sel & 3;
	struct emul_desc d;
	struct emul_seg cs;
	enum emul_rc rc;
	u32 ar;

	if (!(sel & 0xfffc))
		return task_fault(ctx, ts, VEC_TS, 0);
	rc = read_desc(ctx, ts, sel, VEC_TS, &d);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if ((ar & (EMUL_AR_S | EMUL_AR_CODE)) != (EMUL_AR_S | EMUL_AR_CODE) ||
	    (ar & EMUL_AR_CONFORM ? emul_ar_dpl(ar) > rpl : emul_ar_dpl(ar) != rpl))
		return task_fault(ctx, ts, VEC_TS, sel);
	if (!(ar & EMUL_AR_P))
		return task_fault(ctx, ts, VEC_NP, sel);
	rc = emul_mark_desc(ctx, &d, EMUL_AR_ACCESSED);
	if (rc != EMUL_OK)
		return rc;
	emul_desc_seg(&d, &cs);
	emul_commit_cs(ctx, &cs, rpl);
	return EMUL_OK;
}

static enum emul_rc load_data(struct emul_ctx *ctx, const struct task_state *ts, enum emul_sreg nr,
			      u16 sel)
{
	struct emul_seg seg;
	enum emul_rc rc;

	if (nr == EMUL_SS)
		rc = emul_check_ss(ctx, sel, ctx->cpl, VEC_TS, &seg);
	else if (sel & 0xfffc)
		rc = emul_check_data(ctx, sel, VEC_TS, &seg);
	else
		return EMUL_OK;
	if (rc == EMUL_OK)
		ctx->ops->set_seg(ctx, nr, &seg);
	else if (rc == EMUL_FAULT && ctx->exc.vector != VEC_PF)
		ctx->exc.error |= ts->task->external;
	return rc;
}

static void load_vm86(struct emul_ctx *ctx, const struct task_state *ts)
{
	const struct tss_format *f = tss_format(ts->new.ar);
	struct emul_seg seg;
	unsigned int nr;

	ctx->mode = EMUL_VM86;
	ctx->cpl = 3;
	for (nr = EMUL_ES; nr <= EMUL_GS; nr++) {
		emul_real_seg(ctx, nr, image_get(ts, tss_sregs(f) + nr * f->width), &seg);
		ctx->ops->set_seg(ctx, nr, &seg);
	}
}

static enum emul_rc load_segments(struct emul_ctx *ctx, const struct task_state *ts)
{
	static const u8 order[] = { EMUL_SS, EMUL_DS, EMUL_ES, EMUL_FS, EMUL_GS };
	const struct tss_format *f = tss_format(ts->new.ar);
	u16 sel[EMUL_NR_SREG] = { 0 };
	enum emul_rc rc;
	unsigned int i;

	for (i = 0; i < f->nr_sregs; i++)
		sel[i] = image_get(ts, tss_sregs(f) + i * f->width);
	rc = load_ldt(ctx, ts, image_get(ts, tss_ldt(f)));
	if (rc == EMUL_OK && ctx->rflags & X86_EFLAGS_VM) {
		load_vm86(ctx, ts);
		return EMUL_OK;
	}
	if (rc == EMUL_OK)
		rc = load_cs(ctx, ts, sel[EMUL_CS]);
	for (i = 0; i < sizeof(order) && rc == EMUL_OK; i++)
		rc = load_data(ctx, ts, order[i], sel[order[i]]);
	return rc;
}

static enum emul_rc push_error(struct emul_ctx *ctx, const struct task_state *ts)
{
	struct emul_stack st = { .sp = ctx->gpr[EMUL_RSP], .cpl = ctx->cpl };
	enum emul_rc rc;

	if (!ts->task->has_error)
		return EMUL_OK;
	ctx->ops->get_seg(ctx, EMUL_SS, &st.ss);
	st.mask = st.ss.ar & EMUL_AR_DB ? 0xffffffffu : 0xffffu;
	rc = emul_stack_push(ctx, &st, ts->task->error, tss_format(ts->new.ar)->width);
	if (rc == EMUL_OK)
		ctx->gpr[EMUL_RSP] = (ctx->gpr[EMUL_RSP] & ~st.mask) | st.sp;
	return rc;
}

/*
 * Ask the emulator's caller to switch tasks: describe the switch in ctx->task. Staged registers are
 * not committed.
 */
enum emul_rc emul_ask_task(struct emul_ctx *ctx, u16 sel, u8 source)
{
	ctx->task = (struct emul_task){ .sel = sel, .source = source };
	ctx->out |= EMUL_OUT_TASK_SWITCH;
	return EMUL_UNHANDLEABLE;
}

static enum emul_rc enter_new(struct emul_ctx *ctx, const struct task_state *ts)
{
	struct emul_seg cs;
	enum emul_rc rc;

	rc = load_cr(ctx, ts) ?: load_segments(ctx, ts) ?: push_error(ctx, ts);
	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_seg(ctx, EMUL_CS, &cs);
	return emul_check_target(ctx, &cs, ctx->rip);
}

enum emul_rc emul_task_switch(struct emul_ctx *ctx, struct emul_task *task)
{
	struct task_state ts = { .task = task };
	enum emul_rc rc;

	ctx->insn.len = 0;
	ctx->dirty = 0;
	ctx->out = 0;
	task->switched = false;
	task->trap = false;
	if (emul_long_active(ctx) || ctx->mode == EMUL_REAL)
		return EMUL_UNHANDLEABLE;
	ctx->ops->get_seg(ctx, EMUL_TR, &ts.old);
	rc = check_new_tss(ctx, &ts) ?: check_old_tss(ctx, &ts) ?: probe_writes(ctx, &ts) ?:
	     wait_cr3(ctx, &ts) ?: save_old(ctx, &ts) ?: link_tasks(ctx, &ts);
	if (rc != EMUL_OK)
		return rc;
	task->switched = true;
	task->trap = ts.new.ar & TSS_32 && ts.image[TSS_TRAP] & 1;
	load_regs(ctx, &ts);
	ctx->ops->set_seg(ctx, EMUL_TR, &ts.new);
	load_selectors(ctx, &ts);
	return enter_new(ctx, &ts);
}
