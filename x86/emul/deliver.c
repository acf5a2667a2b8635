// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliver interrupts and exceptions through the IVT or the IDT (SDM volume 3, "Interrupt and
 * Exception Handling" and the pseudocode of "INT n"). Usually hardware delivers a guest's events.
 * This file delivers them if hardware cannot run the guest's state, such as real mode on VMX
 * without "unrestricted guest". It also executes INT n for the emulator.
 */
#include "internal.h"

#define TSS_IO_MAP	0x66u	/* where a TSS says where its I/O permission bit map is */

/**
 * struct delivery - an event that is being delivered
 * @vector: vector of the event
 * @soft: the event is INT n, INT3 or INTO, so the gate's DPL is checked
 * @ext: EXT bit in error codes of exceptions that the delivery raises
 * @has_error: push @error
 * @error: error code
 * @back: RIP to push
 * @gate_sel: code segment selector in the gate
 * @gate_rip: offset in the gate
 * @gate_type: type of the gate, including its S bit
 * @ist: index in the interrupt stack table, 0 for none
 * @wide: the IDT has long mode's 16-byte gates
 * @bytes: size of each push
 * @cs: new code segment
 * @cpl: new CPL
 * @st: stack for the frame
 * @new_stack: a new stack is loaded from the TSS, and gets the old SS:RSP
 */
struct delivery {
	u8 vector;
	bool soft;
	bool ext;
	bool has_error;
	u32 error;
	u64 back;
	u16 gate_sel;
	u64 gate_rip;
	u8 gate_type;
	u8 ist;
	bool wide;
	u8 bytes;
	struct emul_seg cs;
	u8 cpl;
	struct emul_stack st;
	bool new_stack;
};

enum emul_rc emul_stack_push(struct emul_ctx *ctx, struct emul_stack *st, u64 val,
			     unsigned int bytes)
{
	u64 sp = (st->sp - bytes) & st->mask;
	u64 la = sp;

	if (st->mask == ~0ULL) {
		if (!emul_is_canonical(ctx, sp) || !emul_is_canonical(ctx, sp + bytes - 1))
			return emul_fault_code(ctx, VEC_SS, 0);
	} else {
		if (!emul_seg_allows(ctx, &st->ss, sp, bytes, true))
			return emul_fault_code(ctx, VEC_SS, 0);
		la = (u32)(st->ss.base + sp);
	}
	st->sp = sp;
	return ctx->ops->write(ctx, la, &val, bytes, EMUL_DATA, st->cpl);
}

/* Raise @vector with an error code that names the event's IDT entry. */
static enum emul_rc fault_idt(struct emul_ctx *ctx, const struct delivery *dl, u8 vector)
{
	return emul_fault_code(ctx, vector, dl->vector << 3 | 2 | dl->ext);
}

static enum emul_rc fault_sel(struct emul_ctx *ctx, const struct delivery *dl, u8 vector, u16 sel)
{
	return emul_fault_code(ctx, vector, (sel & 0xfffc) | dl->ext);
}

/* Push @flags, CS and IP, and go where the interrupt vector table at @base says. */
static enum emul_rc enter_vector(struct emul_ctx *ctx, const struct delivery *dl, u64 base,
				 u64 flags)
{
	struct emul_seg cs;
	enum emul_rc rc;
	u16 entry[2];

	rc = emul_read_sys(ctx, (u32)(base + dl->vector * 4), entry, 4);
	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_seg(ctx, EMUL_CS, &cs);
	rc = emul_push(ctx, flags, 2) ?: emul_push(ctx, cs.sel, 2) ?: emul_push(ctx, dl->back, 2);
	if (rc != EMUL_OK)
		return rc;
	emul_real_seg(ctx, EMUL_CS, entry[1], &cs);
	ctx->ops->set_seg(ctx, EMUL_CS, &cs);
	ctx->next_rip = entry[0];
	return EMUL_OK;
}

static enum emul_rc deliver_real(struct emul_ctx *ctx, const struct delivery *dl)
{
	struct emul_dtr idt;

	ctx->ops->get_table(ctx, EMUL_IDT, &idt);
	if (dl->vector * 4 + 3 > idt.limit)
		return emul_fault(ctx, VEC_GP);
	ctx->flags = ctx->rflags & ~(u64)(X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_AC |
					  X86_EFLAGS_RF);
	return enter_vector(ctx, dl, idt.base, ctx->rflags);
}

/* Read the bit of VME's redirection map, which lies before the I/O map. 0: use the IVT. */
static enum emul_rc vme_bit(struct emul_ctx *ctx, const struct delivery *dl, bool *set)
{
	struct emul_seg tr;
	enum emul_rc rc;
	u16 map;
	u8 bits;
	u32 at;

	ctx->ops->get_seg(ctx, EMUL_TR, &tr);
	if (tr.limit < TSS_IO_MAP + 1)
		return emul_gp0(ctx);
	rc = emul_read_sys(ctx, (u32)(tr.base + TSS_IO_MAP), &map, 2);
	at = map - 32u + dl->vector / 8;
	if (rc == EMUL_OK && at > tr.limit)
		return emul_gp0(ctx);
	rc = rc ?: emul_read_sys(ctx, (u32)(tr.base + at), &bits, 1);
	*set = rc == EMUL_OK && bits >> dl->vector % 8 & 1;
	return rc;
}

/*
 * INT n in VM86 mode with CR4.VME, through the IVT at address 0 (SDM "Class 3-Software Interrupt
 * Handling in Virtual-8086 Mode"). With IOPL below 3 VIF takes the place of IF.
 */
static enum emul_rc deliver_vme(struct emul_ctx *ctx, const struct delivery *dl)
{
	u64 flags = ctx->rflags, off = X86_EFLAGS_IF;

	if (emul_iopl(ctx) < 3) {
		off = X86_EFLAGS_VIF;
		flags &= ~(u64)X86_EFLAGS_IF;
		flags |= X86_EFLAGS_IOPL | (flags & X86_EFLAGS_VIF ? X86_EFLAGS_IF : 0);
	}
	ctx->flags = ctx->rflags & ~(off | X86_EFLAGS_TF | X86_EFLAGS_RF);
	return enter_vector(ctx, dl, 0, flags);
}

/* Read the event's gate, and check its type, DPL and present bit. */
static enum emul_rc read_gate(struct emul_ctx *ctx, struct delivery *dl)
{
	unsigned int size = dl->wide ? 16 : 8;
	u64 raw[2] = { 0, 0 };
	struct emul_dtr idt;
	enum emul_rc rc;
	u64 la;

	ctx->ops->get_table(ctx, EMUL_IDT, &idt);
	if (dl->vector * size + size - 1 > idt.limit)
		return fault_idt(ctx, dl, VEC_GP);
	la = idt.base + dl->vector * size;
	rc = emul_read_sys(ctx, dl->wide ? la : (u32)la, raw, size);
	if (rc != EMUL_OK)
		return rc;
	dl->gate_type = raw[0] >> 40 & 0x1f;
	dl->gate_sel = raw[0] >> 16;
	dl->ist = dl->wide ? raw[0] >> 32 & 7 : 0;
	dl->gate_rip = (raw[0] & 0xffff) | (raw[0] >> 32 & 0xffff0000) | raw[1] << 32;
	if ((dl->gate_type & 0x1e) != 0x0e &&
	    (dl->wide || ((dl->gate_type & 0x1e) != 6 && dl->gate_type != 5)))
		return fault_idt(ctx, dl, VEC_GP);
	if (dl->soft && (raw[0] >> 45 & 3) < ctx->cpl)
		return fault_idt(ctx, dl, VEC_GP);
	if (!(raw[0] >> 47 & 1))
		return fault_idt(ctx, dl, VEC_NP);
	if (!(dl->gate_type & 8))
		dl->gate_rip &= 0xffff;
	dl->bytes = dl->wide ? 8 : dl->gate_type & 8 ? 4 : 2;
	return EMUL_OK;
}

/* Read and check the handler's code segment. */
static enum emul_rc read_handler(struct emul_ctx *ctx, struct delivery *dl)
{
	struct emul_desc d;
	enum emul_rc rc;
	u32 ar;

	if (!(dl->gate_sel & 0xfffc))
		return emul_fault_code(ctx, VEC_GP, dl->ext);
	rc = emul_read_desc(ctx, dl->gate_sel, VEC_GP, &d);
	if (rc == EMUL_FAULT && ctx->exc.vector == VEC_GP)
		ctx->exc.error |= dl->ext;
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if ((ar & (EMUL_AR_S | EMUL_AR_CODE)) != (EMUL_AR_S | EMUL_AR_CODE) ||
	    emul_ar_dpl(ar) > ctx->cpl)
		return fault_sel(ctx, dl, VEC_GP, dl->gate_sel);
	if (dl->wide && (ar & (EMUL_AR_L | EMUL_AR_DB)) != EMUL_AR_L)
		return fault_sel(ctx, dl, VEC_GP, dl->gate_sel);
	if (!(ar & EMUL_AR_P))
		return fault_sel(ctx, dl, VEC_NP, dl->gate_sel);
	dl->cpl = ar & EMUL_AR_CONFORM ? ctx->cpl : emul_ar_dpl(ar);
	if (ctx->mode == EMUL_VM86 && dl->cpl)
		return fault_sel(ctx, dl, VEC_GP, dl->gate_sel);
	rc = emul_mark_desc(ctx, &d, EMUL_AR_ACCESSED);
	emul_desc_seg(&d, &dl->cs);
	return rc;
}

/* Read RSP from a 64-bit TSS: RSPn is at 4 + 8n, ISTn at 1CH + 8n. SS becomes null. */
static enum emul_rc stack_from_tss64(struct emul_ctx *ctx, struct delivery *dl)
{
	unsigned int off = dl->ist ? 0x1c + 8 * dl->ist : 4 + 8 * dl->cpl;
	struct emul_seg tr;

	ctx->ops->get_seg(ctx, EMUL_TR, &tr);
	if (off + 7 > tr.limit)
		return fault_sel(ctx, dl, VEC_TS, tr.sel);
	dl->st.ss = (struct emul_seg){ .sel = dl->cpl, .ar = EMUL_AR_UNUSABLE };
	dl->st.ss.ar |= (u32)dl->cpl << EMUL_AR_DPL_SHIFT;
	return emul_read_sys(ctx, tr.base + off, &dl->st.sp, 8);
}

/* Read SS:SP from a TSS. 32-bit TSS: ESPn, SSn at 4 + 8n; 16-bit TSS: SPn, SSn at 2 + 4n. */
static enum emul_rc stack_from_tss(struct emul_ctx *ctx, struct delivery *dl)
{
	struct emul_seg tr;
	enum emul_rc rc;
	unsigned int off;
	u16 sel = 0;
	bool tss32;

	ctx->ops->get_seg(ctx, EMUL_TR, &tr);
	tss32 = tr.ar & 8;
	off = tss32 ? 4 + 8 * dl->cpl : 2 + 4 * dl->cpl;
	if (off + (tss32 ? 5 : 3) > tr.limit)
		return fault_sel(ctx, dl, VEC_TS, tr.sel);
	rc = emul_read_sys(ctx, (u32)(tr.base + off), &dl->st.sp, tss32 ? 4 : 2);
	if (rc == EMUL_OK)
		rc = emul_read_sys(ctx, (u32)(tr.base + off + (tss32 ? 4 : 2)), &sel, 2);
	if (rc == EMUL_OK)
		rc = emul_check_ss(ctx, sel, dl->cpl, VEC_TS, &dl->st.ss);
	if (rc == EMUL_FAULT && ctx->exc.vector != VEC_PF)
		ctx->exc.error |= dl->ext;
	return rc;
}

static enum emul_rc choose_stack(struct emul_ctx *ctx, struct delivery *dl)
{
	enum emul_rc rc = EMUL_OK;

	dl->st.cpl = dl->cpl;
	ctx->ops->get_seg(ctx, EMUL_SS, &dl->st.ss);
	dl->new_stack = dl->cpl < ctx->cpl || dl->ist;
	dl->st.sp = emul_gpr(ctx, EMUL_RSP);
	if (dl->new_stack) {
		dl->st.sp = 0;
		rc = dl->wide ? stack_from_tss64(ctx, dl) : stack_from_tss(ctx, dl);
	}
	if (dl->wide) {
		dl->st.mask = ~0ULL;
		dl->st.sp &= ~15ULL;
	} else {
		dl->st.mask = dl->st.ss.ar & EMUL_AR_DB ? 0xffffffffu : 0xffffu;
	}
	return rc;
}

/* At a delivery from VM86 mode, push the data segment selectors before SS. */
static enum emul_rc push_vm86(struct emul_ctx *ctx, struct delivery *dl)
{
	static const u8 order[] = { EMUL_GS, EMUL_FS, EMUL_DS, EMUL_ES };
	struct emul_seg seg;
	enum emul_rc rc = EMUL_OK;
	unsigned int i;

	for (i = 0; i < sizeof(order) && rc == EMUL_OK; i++) {
		ctx->ops->get_seg(ctx, order[i], &seg);
		rc = emul_stack_push(ctx, &dl->st, seg.sel, dl->bytes);
	}
	return rc;
}

static enum emul_rc push_frame(struct emul_ctx *ctx, struct delivery *dl)
{
	struct emul_seg cs, ss;
	enum emul_rc rc = EMUL_OK;

	ctx->ops->get_seg(ctx, EMUL_CS, &cs);
	ctx->ops->get_seg(ctx, EMUL_SS, &ss);
	if (ctx->mode == EMUL_VM86)
		rc = push_vm86(ctx, dl);
	if (rc == EMUL_OK && (dl->new_stack || dl->wide))
		rc = emul_stack_push(ctx, &dl->st, ss.sel, dl->bytes) ?:
		     emul_stack_push(ctx, &dl->st, ctx->gpr[EMUL_RSP], dl->bytes);
	if (rc == EMUL_OK)
		rc = emul_stack_push(ctx, &dl->st, ctx->rflags, dl->bytes) ?:
		     emul_stack_push(ctx, &dl->st, cs.sel, dl->bytes) ?:
		     emul_stack_push(ctx, &dl->st, dl->back, dl->bytes);
	if (rc == EMUL_OK && dl->has_error)
		rc = emul_stack_push(ctx, &dl->st, dl->error, dl->bytes);
	return rc;
}

static void null_vm86_segments(struct emul_ctx *ctx)
{
	static const u8 order[] = { EMUL_GS, EMUL_FS, EMUL_DS, EMUL_ES };
	struct emul_seg null = { .ar = EMUL_AR_UNUSABLE };
	unsigned int i;

	for (i = 0; i < sizeof(order); i++)
		ctx->ops->set_seg(ctx, order[i], &null);
}

/* Load the handler's registers; nothing can fail from here on. */
static void enter_handler(struct emul_ctx *ctx, struct delivery *dl)
{
	u64 clear = X86_EFLAGS_TF | X86_EFLAGS_VM | X86_EFLAGS_RF | X86_EFLAGS_NT;
	unsigned int width = dl->wide ? 8 : dl->st.mask == 0xffff ? 2 : 4;

	if (!(dl->gate_type & 1))
		clear |= X86_EFLAGS_IF;
	ctx->flags = ctx->rflags & ~clear;
	ctx->next_rip = dl->gate_rip;
	emul_write_reg(ctx, EMUL_RSP, dl->st.sp, width, false);
	if (ctx->mode == EMUL_VM86) {
		null_vm86_segments(ctx);
		ctx->mode = EMUL_PROT32;
	}
	if (dl->new_stack && (!dl->wide || dl->cpl < ctx->cpl))
		ctx->ops->set_seg(ctx, EMUL_SS, &dl->st.ss);
	emul_commit_cs(ctx, &dl->cs, dl->cpl);
}

/*
 * Find out how INT n in VM86 mode is delivered. Set *@idt to true if the handler is in the IDT. If
 * *@idt is false, the function has delivered the event through the interrupt vector table. Without
 * CR4.VME only the instruction looks at IOPL, not an injected event (SDM "Details of Event
 * Injection"), so emul_op_int() does.
 */
static enum emul_rc by_idt(struct emul_ctx *ctx, const struct delivery *dl, bool *idt)
{
	enum emul_rc rc;

	*idt = true;
	if (!(ctx->ops->get_cr(ctx, 4) & X86_CR4_VME))
		return EMUL_OK;
	rc = vme_bit(ctx, dl, idt);
	if (rc == EMUL_OK && !*idt)
		return deliver_vme(ctx, dl);
	if (rc == EMUL_OK && emul_iopl(ctx) < 3)
		return emul_gp0(ctx);
	return rc;
}

/* Deliver an event, but leave general registers, RIP and RFLAGS staged: the caller commits them. */
enum emul_rc emul_deliver_staged(struct emul_ctx *ctx, u8 vector, enum emul_event ev,
				 bool has_error, u32 error, u64 return_rip)
{
	struct delivery dl = { .vector = vector, .back = return_rip, .has_error = has_error,
			       .error = error };
	enum emul_rc rc;
	bool idt;

	/*
	 * No single-step trap follows, because the delivery clears TF (SDM "Single-Step Exception
	 * Condition").
	 */
	ctx->trap = false;
	dl.soft = ev == EMUL_EV_SOFT || ev == EMUL_EV_SOFT_EXCEPTION;
	dl.ext = !dl.soft;
	if (ctx->mode == EMUL_REAL)
		return deliver_real(ctx, &dl);
	if (ctx->mode == EMUL_VM86 && ev == EMUL_EV_SOFT) {
		rc = by_idt(ctx, &dl, &idt);
		if (rc != EMUL_OK || !idt)
			return rc;
	}
	dl.wide = ctx->mode != EMUL_VM86 && emul_long_active(ctx);
	rc = read_gate(ctx, &dl);
	if (rc != EMUL_OK)
		return rc;
	if (dl.gate_type == 5) {
		rc = emul_ask_task(ctx, dl.gate_sel, EMUL_TASK_GATE);
		ctx->task.external = dl.ext;
		ctx->task.has_error = has_error;
		ctx->task.error = error;
		return rc;
	}
	rc = read_handler(ctx, &dl);
	if (rc == EMUL_OK)
		rc = choose_stack(ctx, &dl);
	if (rc == EMUL_OK)
		rc = push_frame(ctx, &dl);
	if (rc == EMUL_OK)
		rc = emul_check_target(ctx, &dl.cs, dl.gate_rip);
	if (rc == EMUL_OK)
		enter_handler(ctx, &dl);
	return rc;
}

enum emul_rc emul_deliver(struct emul_ctx *ctx, u8 vector, enum emul_event ev, bool has_error,
			  u32 error, u64 return_rip)
{
	enum emul_rc rc;

	ctx->insn.len = 0;
	ctx->dirty = 0;
	ctx->out = 0;
	ctx->flags = ctx->rflags;
	rc = emul_deliver_staged(ctx, vector, ev, has_error, error, return_rip);
	if (rc == EMUL_OK)
		emul_commit(ctx);
	ctx->dirty = 0;
	return rc;
}
