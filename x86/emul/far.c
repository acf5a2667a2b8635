// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate far control flow: far JMP, CALL and RET, IRET, SYSCALL, SYSRET, SYSENTER and SYSEXIT.
 * Call gates are not emulated (EMUL_UNHANDLEABLE). For a task switch, ctx.task is filled, and the
 * caller executes the switch.
 *
 * All checks and memory accesses come first. Segment registers are set when nothing can fail any
 * more.
 */
#include <asm/msr-index.h>

#include "internal.h"

#define AR_FLAT_CODE	(EMUL_AR_P | EMUL_AR_S | EMUL_AR_CODE | EMUL_AR_READ | \
			 EMUL_AR_ACCESSED | EMUL_AR_G)
#define AR_FLAT_DATA	(EMUL_AR_P | EMUL_AR_S | EMUL_AR_WRITE | EMUL_AR_ACCESSED | \
			 EMUL_AR_DB | EMUL_AR_G)

/* Load CS without checks, and set mode and CPL accordingly. */
void emul_commit_cs(struct emul_ctx *ctx, struct emul_seg *cs, unsigned int cpl)
{
	bool longm = emul_long_active(ctx);

	if (emul_protected(ctx)) {
		cs->sel = (cs->sel & 0xfffc) | cpl;
		if (longm && cs->ar & EMUL_AR_L)
			ctx->mode = EMUL_LONG64;
		else
			ctx->mode = cs->ar & EMUL_AR_DB ? EMUL_PROT32 : EMUL_PROT16;
		ctx->cpl = cpl;
		ctx->out |= EMUL_OUT_MODE;
	}
	ctx->ops->set_seg(ctx, EMUL_CS, cs);
}

/* Raise #GP if @rip is no legal instruction pointer in @cs. */
enum emul_rc emul_check_target(struct emul_ctx *ctx, const struct emul_seg *cs, u64 rip)
{
	bool ok;

	if (emul_protected(ctx) && cs->ar & EMUL_AR_L && emul_long_active(ctx))
		ok = emul_is_canonical(ctx, rip);
	else
		ok = rip <= cs->limit;
	return ok ? EMUL_OK : emul_gp0(ctx);
}

/*
 * Read the descriptor of @sel, the target of a far transfer. Raise #GP if @sel is null or names a
 * data segment, and in long mode if it names a code segment with both L and D set. Do not check
 * gates and TSSs: the caller does so.
 */
static enum emul_rc code_desc(struct emul_ctx *ctx, u16 sel, struct emul_desc *d)
{
	enum emul_rc rc;

	if (!(sel & 0xfffc))
		return emul_gp0(ctx);
	rc = emul_read_desc(ctx, sel, VEC_GP, d);
	if (rc != EMUL_OK)
		return rc;
	if (!(emul_desc_ar(d) & EMUL_AR_S))
		return EMUL_OK;	/* a system descriptor: the caller checks it */
	if (!(emul_desc_ar(d) & EMUL_AR_CODE))
		return emul_fault_code(ctx, VEC_GP, emul_sel_error(sel));
	if (emul_desc_ar(d) & EMUL_AR_L && emul_desc_ar(d) & EMUL_AR_DB && emul_long_active(ctx))
		return emul_fault_code(ctx, VEC_GP, emul_sel_error(sel));
	return EMUL_OK;
}

static enum emul_rc code_finish(struct emul_ctx *ctx, struct emul_desc *d, u64 rip,
				struct emul_seg *cs)
{
	enum emul_rc rc;

	if (!(emul_desc_ar(d) & EMUL_AR_P))
		return emul_fault_code(ctx, VEC_NP, emul_sel_error(d->sel));
	emul_desc_seg(d, cs);
	rc = emul_check_target(ctx, cs, rip);
	if (rc == EMUL_OK)
		rc = emul_mark_desc(ctx, d, EMUL_AR_ACCESSED);
	cs->ar |= EMUL_AR_ACCESSED;
	return rc;
}

/*
 * Return true if CPL and the RPL of @sel allow the use of a TSS or task gate with access rights
 * @ar.
 */
static bool system_allowed(const struct emul_ctx *ctx, u16 sel, u32 ar)
{
	return emul_ar_dpl(ar) >= ctx->cpl && emul_ar_dpl(ar) >= (sel & 3);
}

/*
 * Far JMP or CALL to a TSS or gate (SDM "CALL", "Task switching"). emul_task_switch(), which the
 * caller calls later, checks the new TSS.
 */
static enum emul_rc far_system(struct emul_ctx *ctx, const struct emul_desc *d, u8 source)
{
	u32 ar = emul_desc_ar(d), type = ar & EMUL_AR_TYPE;
	u16 tss = d->sel;

	if (type == 12 || (type == 4 && !emul_long_active(ctx)))
		return EMUL_UNHANDLEABLE;	/* call gates are not emulated */
	if ((type != 1 && type != 5 && type != 9) || emul_long_active(ctx) ||
	    !system_allowed(ctx, d->sel, ar))
		return emul_fault_code(ctx, VEC_GP, emul_sel_error(d->sel));
	if (!(ar & EMUL_AR_P))
		return emul_fault_code(ctx, VEC_NP, emul_sel_error(d->sel));
	if (type == 5)
		tss = d->raw >> 16;
	return emul_ask_task(ctx, tss, source);
}

/* Check the target of a far JMP or CALL (SDM "JMP", "Far Jumps in Protected Mode"). */
static enum emul_rc far_target(struct emul_ctx *ctx, u16 sel, u64 rip, u8 source,
			       struct emul_seg *cs)
{
	struct emul_desc d;
	enum emul_rc rc;
	u32 ar;

	if (!emul_protected(ctx)) {
		emul_real_seg(ctx, EMUL_CS, sel, cs);
		return emul_check_target(ctx, cs, rip);
	}
	rc = code_desc(ctx, sel, &d);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if (!(ar & EMUL_AR_S))
		return far_system(ctx, &d, source);
	if (ar & EMUL_AR_CONFORM ? emul_ar_dpl(ar) > ctx->cpl :
				   (sel & 3) > ctx->cpl || emul_ar_dpl(ar) != ctx->cpl)
		return emul_fault_code(ctx, VEC_GP, emul_sel_error(sel));
	return code_finish(ctx, &d, rip, cs);
}

static enum emul_rc far_jump(struct emul_ctx *ctx, u16 sel, u64 rip)
{
	struct emul_seg cs;
	enum emul_rc rc = far_target(ctx, sel, rip, EMUL_TASK_JMP, &cs);

	if (rc != EMUL_OK)
		return rc;
	ctx->next_rip = rip;
	emul_commit_cs(ctx, &cs, ctx->cpl);
	return EMUL_OK;
}

static enum emul_rc far_call(struct emul_ctx *ctx, u16 sel, u64 rip)
{
	unsigned int bytes = ctx->insn.op_bytes;
	struct emul_seg cs, old;
	enum emul_rc rc;

	rc = far_target(ctx, sel, rip, EMUL_TASK_CALL, &cs);
	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_seg(ctx, EMUL_CS, &old);
	rc = emul_push(ctx, old.sel, bytes);
	if (rc == EMUL_OK)
		rc = emul_push(ctx, ctx->next_rip, bytes);
	if (rc != EMUL_OK)
		return rc;
	ctx->next_rip = rip;
	emul_commit_cs(ctx, &cs, ctx->cpl);
	return EMUL_OK;
}

enum emul_rc emul_op_jmp_far(struct emul_ctx *ctx)
{
	return far_jump(ctx, ctx->insn.imm2, ctx->insn.imm);
}

enum emul_rc emul_op_call_far(struct emul_ctx *ctx)
{
	return far_call(ctx, ctx->insn.imm2, ctx->insn.imm);
}

/*
 * Read the memory operand m16:16, m16:32 or m16:64. Make one access, because the operand may be at
 * a device. Make two accesses only if the address wraps between offset and selector.
 */
enum emul_rc emul_read_far(struct emul_ctx *ctx, u16 *sel, u64 *offset)
{
	unsigned int bytes = ctx->insn.op_bytes, seg = ctx->src.seg;
	u64 ea = ctx->src.ea, la, la_sel;
	u8 pointer[10];
	enum emul_rc rc;

	*offset = 0;
	rc = emul_linear(ctx, seg, ea, bytes, false, &la) ?:
	     emul_linear(ctx, seg, (ea + bytes) & emul_ad_mask(ctx), 2, false, &la_sel);
	if (rc != EMUL_OK)
		return rc;
	if (la_sel != la + bytes)
		return ctx->ops->read(ctx, la, offset, bytes, EMUL_DATA, ctx->cpl) ?:
		       ctx->ops->read(ctx, la_sel, sel, 2, EMUL_DATA, ctx->cpl);
	rc = ctx->ops->read(ctx, la, pointer, bytes + 2, EMUL_DATA, ctx->cpl);
	if (rc != EMUL_OK)
		return rc;
	memcpy(offset, pointer, bytes);
	memcpy(sel, pointer + bytes, 2);
	return EMUL_OK;
}

enum emul_rc emul_op_jmp_far_m(struct emul_ctx *ctx)
{
	enum emul_rc rc;
	u16 sel;
	u64 rip;

	rc = emul_read_far(ctx, &sel, &rip);
	return rc ?: far_jump(ctx, sel, rip);
}

enum emul_rc emul_op_call_far_m(struct emul_ctx *ctx)
{
	enum emul_rc rc;
	u16 sel;
	u64 rip;

	rc = emul_read_far(ctx, &sel, &rip);
	return rc ?: far_call(ctx, sel, rip);
}

/* --- returns ------------------------------------------------------------------------------ */

/* Check CS of a far RET or IRET in protected mode (SDM "RET", "IRET"). */
static enum emul_rc return_target(struct emul_ctx *ctx, u16 sel, u64 rip, struct emul_seg *cs)
{
	unsigned int rpl = sel & 3;
	struct emul_desc d;
	enum emul_rc rc;
	u32 ar;

	rc = code_desc(ctx, sel, &d);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if (!(ar & EMUL_AR_S) || rpl < ctx->cpl ||
	    (ar & EMUL_AR_CONFORM ? emul_ar_dpl(ar) > rpl : emul_ar_dpl(ar) != rpl))
		return emul_fault_code(ctx, VEC_GP, emul_sel_error(sel));
	return code_finish(ctx, &d, rip, cs);
}

/* Check SS of a return. A null SS is legal when returning to 64-bit code at CPL 0, 1 or 2. */
static enum emul_rc return_stack(struct emul_ctx *ctx, u16 sel, const struct emul_seg *cs,
				 struct emul_seg *ss)
{
	unsigned int rpl = cs->sel & 3;

	if (!(sel & 0xfffc) && rpl != 3 && (sel & 3) == rpl && cs->ar & EMUL_AR_L &&
	    emul_long_active(ctx)) {
		*ss = (struct emul_seg){ .sel = sel, .ar = EMUL_AR_UNUSABLE };
		ss->ar |= rpl << EMUL_AR_DPL_SHIFT;
		return EMUL_OK;
	}
	return emul_check_ss(ctx, sel, rpl, VEC_GP, ss);
}

/*
 * On a return to @cpl, an outer level, load null into the data segments that @cpl may not access.
 */
static void drop_segments(struct emul_ctx *ctx, unsigned int cpl)
{
	static const u8 regs[] = { EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };
	struct emul_seg seg, null = { .ar = EMUL_AR_UNUSABLE };
	bool conforming;
	unsigned int i;

	for (i = 0; i < sizeof(regs); i++) {
		ctx->ops->get_seg(ctx, regs[i], &seg);
		conforming = (seg.ar & (EMUL_AR_CODE | EMUL_AR_CONFORM)) ==
			     (EMUL_AR_CODE | EMUL_AR_CONFORM);
		if (!(seg.ar & EMUL_AR_UNUSABLE) && emul_ar_dpl(seg.ar) < cpl && !conforming)
			ctx->ops->set_seg(ctx, regs[i], &null);
	}
}

/*
 * Load RSP, ESP or SP. 64-bit code has RSP; otherwise SS.B selects ESP or SP. A load of SP does not
 * change the upper bits of RSP.
 */
static void set_sp(struct emul_ctx *ctx, const struct emul_seg *cs, const struct emul_seg *ss,
		   u64 sp)
{
	if (cs->ar & EMUL_AR_L && emul_long_active(ctx))
		emul_set_gpr(ctx, EMUL_RSP, sp);
	else
		emul_write_reg(ctx, EMUL_RSP, sp, ss->ar & EMUL_AR_DB ? 4 : 2, false);
}

/* Commit a return whose CS and SS have been checked. @ss: NULL to keep the stack. */
static void return_commit(struct emul_ctx *ctx, struct emul_seg *cs, struct emul_seg *ss, u64 rip,
			  u64 sp)
{
	unsigned int cpl = cs->sel & 3;
	bool outward = cpl != ctx->cpl;

	ctx->next_rip = rip;
	if (ss)
		set_sp(ctx, cs, ss, sp);
	emul_commit_cs(ctx, cs, cpl);
	if (ss)
		ctx->ops->set_seg(ctx, EMUL_SS, ss);
	if (outward)
		drop_segments(ctx, cpl);
}

static enum emul_rc retf_protected(struct emul_ctx *ctx, u16 sel, u64 rip)
{
	unsigned int bytes = ctx->insn.op_bytes;
	struct emul_seg cs, ss;
	enum emul_rc rc;
	u64 sp, ss_sel;

	rc = return_target(ctx, sel, rip, &cs);
	if (rc != EMUL_OK)
		return rc;
	emul_add_reg(ctx, EMUL_RSP, ctx->src.val, emul_stack_mask(ctx));
	if ((sel & 3) == ctx->cpl) {
		return_commit(ctx, &cs, NULL, rip, 0);
		return EMUL_OK;
	}
	rc = emul_pop(ctx, &sp, bytes) ?: emul_pop(ctx, &ss_sel, bytes) ?:
	     return_stack(ctx, ss_sel, &cs, &ss);
	if (rc == EMUL_OK)
		return_commit(ctx, &cs, &ss, rip, sp + ctx->src.val);
	return rc;
}

enum emul_rc emul_op_retf(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes;
	enum emul_rc rc;
	u64 rip, sel;

	rc = emul_pop(ctx, &rip, bytes) ?: emul_pop(ctx, &sel, bytes);
	if (rc != EMUL_OK)
		return rc;
	if (emul_protected(ctx))
		return retf_protected(ctx, sel, rip);
	emul_add_reg(ctx, EMUL_RSP, ctx->src.val, emul_stack_mask(ctx));
	return far_jump(ctx, sel, rip);
}

#define IRET_ALWAYS	(EMUL_FLAGS_ARITH | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT | \
			 X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_ID)

static void iret_flags(struct emul_ctx *ctx, u64 val, unsigned int cpl)
{
	u64 mask = IRET_ALWAYS;

	if (ctx->mode == EMUL_REAL || cpl <= emul_iopl(ctx))
		mask |= X86_EFLAGS_IF;
	if (ctx->mode == EMUL_REAL || (emul_protected(ctx) && !cpl))
		mask |= X86_EFLAGS_IOPL | (emul_protected(ctx) ?
					   X86_EFLAGS_VIF | X86_EFLAGS_VIP : 0);
	if (ctx->insn.op_bytes == 2)
		mask &= 0xffff;
	ctx->flags = (ctx->flags & ~mask) | (val & mask);
}

/* IRETD from CPL 0 to VM86 mode: ESP, SS, ES, DS, FS and GS follow the flags on the stack. */
static enum emul_rc iret_to_vm86(struct emul_ctx *ctx, u16 cs_sel, u64 rip, u64 flags)
{
	static const u8 order[] = { EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS };
	struct emul_seg seg;
	u64 esp, sel[sizeof(order)];
	enum emul_rc rc;
	unsigned int i;

	rc = emul_pop(ctx, &esp, 4);
	for (i = 0; i < sizeof(order) && rc == EMUL_OK; i++)
		rc = emul_pop(ctx, &sel[i], 4);
	if (rc != EMUL_OK)
		return rc;
	ctx->flags = (flags & (IRET_ALWAYS | X86_EFLAGS_IF | X86_EFLAGS_IOPL | X86_EFLAGS_VIF |
			       X86_EFLAGS_VIP | X86_EFLAGS_VM)) | X86_EFLAGS_FIXED;
	ctx->mode = EMUL_VM86;
	ctx->cpl = 3;
	ctx->out |= EMUL_OUT_MODE;
	emul_set_gpr(ctx, EMUL_RSP, esp);
	ctx->next_rip = rip & 0xffff;
	emul_real_seg(ctx, EMUL_CS, cs_sel, &seg);
	ctx->ops->set_seg(ctx, EMUL_CS, &seg);
	for (i = 0; i < sizeof(order); i++) {
		emul_real_seg(ctx, order[i], sel[i], &seg);
		ctx->ops->set_seg(ctx, order[i], &seg);
	}
	return EMUL_OK;
}

static enum emul_rc iret_protected(struct emul_ctx *ctx, u16 sel, u64 rip, u64 flags)
{
	unsigned int bytes = ctx->insn.op_bytes, cpl = ctx->cpl;
	struct emul_seg cs, ss;
	u64 sp = 0, ss_sel;
	bool stack = ctx->mode == EMUL_LONG64 || (sel & 3) != cpl;
	enum emul_rc rc;

	rc = return_target(ctx, sel, rip, &cs);
	if (rc == EMUL_OK && stack)
		rc = emul_pop(ctx, &sp, bytes) ?: emul_pop(ctx, &ss_sel, bytes) ?:
		     return_stack(ctx, ss_sel, &cs, &ss);
	if (rc != EMUL_OK)
		return rc;
	iret_flags(ctx, flags, cpl);
	return_commit(ctx, &cs, stack ? &ss : NULL, rip, sp);
	return EMUL_OK;
}

/* IRET in real mode, and in VM86 mode with IOPL 3. */
static enum emul_rc iret_real(struct emul_ctx *ctx, u16 sel, u64 rip, u64 flags)
{
	enum emul_rc rc = far_jump(ctx, sel, rip);

	if (rc != EMUL_OK)
		return rc;
	iret_flags(ctx, flags, ctx->cpl);
	return EMUL_OK;
}

/* IRET with NT set: switch to the task whose selector is in the link field of the current TSS. */
static enum emul_rc iret_task(struct emul_ctx *ctx)
{
	struct emul_seg tr;
	enum emul_rc rc;
	u16 link;

	ctx->ops->get_seg(ctx, EMUL_TR, &tr);
	rc = emul_read_sys(ctx, (u32)tr.base, &link, 2);
	return rc ?: emul_ask_task(ctx, link, EMUL_TASK_IRET);
}

static enum emul_rc iret(struct emul_ctx *ctx)
{
	unsigned int bytes = ctx->insn.op_bytes;
	u64 rip, sel, flags;
	enum emul_rc rc;

	if (ctx->mode == EMUL_VM86 && emul_iopl(ctx) < 3)
		return ctx->ops->get_cr(ctx, 4) & X86_CR4_VME && bytes == 2 ? EMUL_UNHANDLEABLE :
									       emul_gp0(ctx);
	if (emul_protected(ctx) && ctx->rflags & X86_EFLAGS_NT) {
		if (emul_long_active(ctx))
			return emul_gp0(ctx);
		return iret_task(ctx);
	}
	rc = emul_pop(ctx, &rip, bytes) ?: emul_pop(ctx, &sel, bytes) ?:
	     emul_pop(ctx, &flags, bytes);
	if (rc != EMUL_OK)
		return rc;
	if (!emul_protected(ctx))
		return iret_real(ctx, sel, rip, flags);
	if (flags & X86_EFLAGS_VM && bytes == 4 && !ctx->cpl && !emul_long_active(ctx))
		return iret_to_vm86(ctx, sel, rip, flags);
	return iret_protected(ctx, sel, rip, flags);
}

/*
 * IRET. Unblock NMIs after success and after a fault. Leave NMIs blocked after any other result:
 * the IRET is not complete, and the caller has to execute it again or to switch tasks.
 */
enum emul_rc emul_op_iret(struct emul_ctx *ctx)
{
	enum emul_rc rc = iret(ctx);
	u64 none;

	if (rc == EMUL_OK || rc == EMUL_FAULT)
		ctx->ops->system(ctx, EMUL_SYS_SWITCH_NMI, 0, 0, &none);
	return rc;
}

/* --- fast system calls (SDM "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT") -------------------- */

/* Load the flat CS and SS of SYSCALL, SYSRET, SYSENTER or SYSEXIT. @cs_size: L or DB bit of CS. */
static void flat_cs_ss(struct emul_ctx *ctx, u16 cs_sel, u16 ss_sel, unsigned int cpl, u32 cs_size)
{
	struct emul_seg cs = { .limit = 0xffffffff, .sel = cs_sel & 0xfffc };
	struct emul_seg ss = { .limit = 0xffffffff, .sel = (ss_sel & 0xfffc) | cpl };

	cs.ar = AR_FLAT_CODE | cpl << EMUL_AR_DPL_SHIFT | cs_size;
	ss.ar = AR_FLAT_DATA | cpl << EMUL_AR_DPL_SHIFT;
	emul_commit_cs(ctx, &cs, cpl);
	ctx->ops->set_seg(ctx, EMUL_SS, &ss);
}

static enum emul_rc sys_msr(struct emul_ctx *ctx, u32 msr, u64 *val)
{
	return ctx->ops->get_msr(ctx, msr, val, EMUL_SYSTEM);
}

static enum emul_rc need_sce(struct emul_ctx *ctx)
{
	u64 efer = 0;
	enum emul_rc rc = sys_msr(ctx, MSR_EFER, &efer);

	return rc ?: efer & EFER_SCE ? EMUL_OK : emul_fault(ctx, VEC_UD);
}

/* Raise #UD if SYSCALL is disabled. Outside 64-bit mode only AMD and Hygon CPUs have SYSCALL. */
static enum emul_rc need_syscall(struct emul_ctx *ctx)
{
	u32 vendor;

	if (ctx->mode == EMUL_LONG64)
		return need_sce(ctx);
	vendor = emul_vendor(ctx);
	if (vendor == EMUL_VENDOR_AMD || vendor == EMUL_VENDOR_HYGON)
		return need_sce(ctx);
	return emul_fault(ctx, VEC_UD);
}

/*
 * SYSCALL outside long mode (APM "SYSCALL and SYSRET in Legacy x86 Mode"). It uses neither SFMASK
 * nor R11.
 */
static void syscall_legacy(struct emul_ctx *ctx, u64 star)
{
	emul_write_reg(ctx, EMUL_RCX, ctx->next_rip, 4, false);
	ctx->flags = ctx->rflags & ~(u64)(X86_EFLAGS_VM | X86_EFLAGS_IF | X86_EFLAGS_RF);
	ctx->next_rip = (u32)star;
	flat_cs_ss(ctx, star >> 32, (star >> 32) + 8, 0, EMUL_AR_DB);
}

enum emul_rc emul_op_syscall(struct emul_ctx *ctx)
{
	u32 entry = ctx->mode == EMUL_LONG64 ? MSR_LSTAR : MSR_CSTAR;
	u64 star, target, mask;
	enum emul_rc rc;

	rc = need_syscall(ctx);
	if (rc == EMUL_OK)
		rc = sys_msr(ctx, MSR_STAR, &star);
	if (rc == EMUL_OK && !emul_long_active(ctx)) {
		syscall_legacy(ctx, star);
		return EMUL_OK;
	}
	if (rc == EMUL_OK)
		rc = sys_msr(ctx, entry, &target) ?: sys_msr(ctx, MSR_SYSCALL_MASK, &mask);
	if (rc != EMUL_OK)
		return rc;
	emul_set_gpr(ctx, EMUL_RCX, ctx->next_rip);
	emul_set_gpr(ctx, EMUL_R11, ctx->flags);
	ctx->flags = (ctx->flags & ~mask) | X86_EFLAGS_FIXED;
	ctx->trap = ctx->flags & X86_EFLAGS_TF;
	ctx->next_rip = target;
	flat_cs_ss(ctx, star >> 32, (star >> 32) + 8, 0, EMUL_AR_L);
	return EMUL_OK;
}

#define SYSRET_FLAGS	0x3c7fd7u

enum emul_rc emul_op_sysret(struct emul_ctx *ctx)
{
	bool wide = ctx->insn.op_bytes == 8;
	u64 rip = ctx->gpr[EMUL_RCX], star;
	enum emul_rc rc;
	u16 sel;

	rc = need_sce(ctx);
	if (rc == EMUL_OK)
		rc = sys_msr(ctx, MSR_STAR, &star);
	if (rc != EMUL_OK)
		return rc;
	if (wide && !emul_is_canonical(ctx, rip))
		return emul_gp0(ctx);
	sel = (star >> 48) + (wide ? 16 : 0);
	ctx->next_rip = wide ? rip : (u32)rip;
	ctx->flags = (ctx->gpr[EMUL_R11] & SYSRET_FLAGS) | X86_EFLAGS_FIXED;
	ctx->trap = ctx->flags & X86_EFLAGS_TF;
	flat_cs_ss(ctx, sel, (star >> 48) + 8, 3, wide ? EMUL_AR_L : EMUL_AR_DB);
	return EMUL_OK;
}

enum emul_rc emul_op_sysenter(struct emul_ctx *ctx)
{
	u64 cs, rip, rsp;
	enum emul_rc rc;
	bool longm;

	if (ctx->mode == EMUL_REAL)
		return emul_gp0(ctx);
	rc = sys_msr(ctx, MSR_IA32_SYSENTER_CS, &cs) ?: sys_msr(ctx, MSR_IA32_SYSENTER_EIP, &rip) ?:
	     sys_msr(ctx, MSR_IA32_SYSENTER_ESP, &rsp);
	if (rc != EMUL_OK)
		return rc;
	if (!(cs & 0xfffc))
		return emul_gp0(ctx);
	if (ctx->mode == EMUL_VM86)
		ctx->mode = EMUL_PROT32;
	longm = emul_long_active(ctx);
	ctx->flags &= ~(u64)(X86_EFLAGS_VM | X86_EFLAGS_IF | X86_EFLAGS_RF);
	ctx->next_rip = longm ? rip : (u32)rip;
	emul_set_gpr(ctx, EMUL_RSP, longm ? rsp : (u32)rsp);
	flat_cs_ss(ctx, cs, cs + 8, 0, longm ? EMUL_AR_L : EMUL_AR_DB);
	return EMUL_OK;
}

enum emul_rc emul_op_sysexit(struct emul_ctx *ctx)
{
	bool wide = ctx->insn.op_bytes == 8;
	u64 rip = ctx->gpr[EMUL_RDX], rsp = ctx->gpr[EMUL_RCX], cs;
	enum emul_rc rc;

	if (ctx->mode == EMUL_REAL)
		return emul_gp0(ctx);
	rc = sys_msr(ctx, MSR_IA32_SYSENTER_CS, &cs);
	if (rc != EMUL_OK)
		return rc;
	if (!(cs & 0xfffc))
		return emul_gp0(ctx);
	if (wide && (!emul_is_canonical(ctx, rip) || !emul_is_canonical(ctx, rsp)))
		return emul_gp0(ctx);
	ctx->next_rip = wide ? rip : (u32)rip;
	emul_set_gpr(ctx, EMUL_RSP, wide ? rsp : (u32)rsp);
	flat_cs_ss(ctx, cs + (wide ? 32 : 16), cs + (wide ? 40 : 24), 3,
		   wide ? EMUL_AR_L : EMUL_AR_DB);
	return EMUL_OK;
}
