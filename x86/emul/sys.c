// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate system instructions, which access descriptor tables, control registers, MSRs and so on.
 */
#include <asm/msr-index.h>

#include "internal.h"

static enum emul_rc sys_call(struct emul_ctx *ctx, enum emul_sysop op, u64 arg, u64 arg2)
{
	u64 none;

	return ctx->ops->system(ctx, op, arg, arg2, &none);
}

/* Raise #GP for SGDT, SIDT, SLDT, SMSW and STR outside CPL 0 if CR4.UMIP is set. */
static enum emul_rc check_umip(struct emul_ctx *ctx)
{
	if (ctx->cpl && ctx->ops->get_cr(ctx, 4) & X86_CR4_UMIP)
		return emul_gp0(ctx);
	return EMUL_OK;
}

/* --- descriptor tables -------------------------------------------------------------------- */

enum emul_rc emul_op_sgdt(struct emul_ctx *ctx)
{
	unsigned int len = ctx->mode == EMUL_LONG64 ? 10 : 6;
	struct emul_dtr dtr;
	enum emul_rc rc;
	u8 buf[10];

	if (ctx->insn.mod == 3)
		return emul_fault(ctx, VEC_UD);
	rc = check_umip(ctx);
	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_table(ctx, ctx->insn.row->arg, &dtr);
	memcpy(buf, &dtr.limit, 2);
	memcpy(buf + 2, &dtr.base, 8);
	return emul_write_mem(ctx, ctx->dst.seg, ctx->dst.ea, buf, len);
}

enum emul_rc emul_op_lgdt(struct emul_ctx *ctx)
{
	bool wide = ctx->mode == EMUL_LONG64;
	struct emul_dtr dtr = { 0 };
	enum emul_rc rc;
	u8 buf[10];

	rc = emul_read_mem(ctx, ctx->src.seg, ctx->src.ea, buf, wide ? 10 : 6);
	if (rc != EMUL_OK)
		return rc;
	memcpy(&dtr.limit, buf, 2);
	memcpy(&dtr.base, buf + 2, wide ? 8 : 4);
	if (!wide && ctx->insn.op_bytes == 2)
		dtr.base &= 0xffffff;
	if (!emul_is_canonical(ctx, dtr.base) && wide)
		return emul_gp0(ctx);
	ctx->ops->set_table(ctx, ctx->insn.row->arg, &dtr);
	return EMUL_OK;
}

/* Store a selector or the machine status word: 16 bits in memory, the whole of a register. */
static enum emul_rc store_word(struct emul_ctx *ctx, u64 val)
{
	struct emul_operand *dst = &ctx->dst;

	dst->val = val;
	if (dst->kind == K_GPR)
		return emul_store(ctx, dst);
	return emul_write_mem(ctx, dst->seg, dst->ea, &dst->val, 2);
}

/* SLDT, STR */
enum emul_rc emul_op_sldt(struct emul_ctx *ctx)
{
	struct emul_seg seg;
	enum emul_rc rc = check_umip(ctx);

	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_seg(ctx, ctx->insn.row->arg, &seg);
	return store_word(ctx, seg.sel);
}

static enum emul_rc load_system_seg(struct emul_ctx *ctx, enum emul_sreg nr, u16 sel)
{
	u32 want = nr == EMUL_TR ? BIT(9) : BIT(2);
	bool longm = emul_long_active(ctx);
	struct emul_desc d;
	struct emul_seg seg;
	enum emul_rc rc;
	u32 ar;

	if (sel & 4)
		return emul_fault_code(ctx, VEC_GP, sel & 0xfffc);
	rc = emul_read_desc(ctx, sel, VEC_GP, &d);
	if (rc != EMUL_OK)
		return rc;
	ar = emul_desc_ar(&d);
	if (nr == EMUL_TR && !longm)
		want |= BIT(1);
	if (ar & EMUL_AR_S || !(want & BIT(ar & EMUL_AR_TYPE)))
		return emul_fault_code(ctx, VEC_GP, sel & 0xfffc);
	if (!(ar & EMUL_AR_P))
		return emul_fault_code(ctx, VEC_NP, sel & 0xfffc);
	if (longm)
		rc = emul_read_desc_high(ctx, &d, VEC_GP);
	if (rc == EMUL_OK && nr == EMUL_TR)
		rc = emul_mark_desc(ctx, &d, 2);	/* busy */
	if (rc != EMUL_OK)
		return rc;
	emul_desc_seg(&d, &seg);
	if (longm && !emul_is_canonical(ctx, seg.base))
		return emul_fault_code(ctx, VEC_GP, sel & 0xfffc);
	ctx->ops->set_seg(ctx, nr, &seg);
	return EMUL_OK;
}

/* LLDT, LTR */
enum emul_rc emul_op_lldt(struct emul_ctx *ctx)
{
	struct emul_seg null = { .sel = ctx->src.val, .ar = EMUL_AR_UNUSABLE };
	u8 nr = ctx->insn.row->arg;

	if (ctx->src.val & 0xfffc)
		return load_system_seg(ctx, nr, ctx->src.val);
	if (nr == EMUL_TR)
		return emul_gp0(ctx);
	ctx->ops->set_seg(ctx, EMUL_LDTR, &null);
	return EMUL_OK;
}

/* --- control and debug registers ---------------------------------------------------------- */

enum emul_rc emul_op_smsw(struct emul_ctx *ctx)
{
	enum emul_rc rc = check_umip(ctx);

	if (rc != EMUL_OK)
		return rc;
	ctx->dst.val = ctx->ops->get_cr(ctx, 0);
	return ctx->insn.mod == 3 ? EMUL_OK : store_word(ctx, ctx->dst.val);
}

/* LMSW changes PE, MP, EM and TS, and cannot clear PE. */
enum emul_rc emul_op_lmsw(struct emul_ctx *ctx)
{
	u64 cr0 = ctx->ops->get_cr(ctx, 0);

	cr0 = (cr0 & ~0xeULL) | (ctx->src.val & 0xf);
	ctx->out |= EMUL_OUT_MODE;
	return ctx->ops->set_cr(ctx, 0, cr0);
}

/* CLTS, INVD, WBINVD, PAUSE. The row's .arg is an enum emul_sysop. */
enum emul_rc emul_op_sys(struct emul_ctx *ctx)
{
	return sys_call(ctx, ctx->insn.row->arg, 0, 0);
}

/* Return the operand size of MOV CR, MOV DR, RDPID and INVPCID: prefixes do not change it. */
static unsigned int natural_bytes(const struct emul_ctx *ctx)
{
	return ctx->mode == EMUL_LONG64 ? 8 : 4;
}

/*
 * Raise #UD (at any CPL) if the control register does not exist. Otherwise raise #GP outside CPL 0.
 */
static enum emul_rc cr_check(struct emul_ctx *ctx)
{
	unsigned int nr = ctx->insn.reg;

	if (nr != 0 && (nr < 2 || nr > 4) && nr != 8)
		return emul_fault(ctx, VEC_UD);
	return ctx->cpl ? emul_gp0(ctx) : EMUL_OK;
}

/* MOV r, CR */
enum emul_rc emul_op_mov_r_cr(struct emul_ctx *ctx)
{
	enum emul_rc rc = cr_check(ctx);

	if (rc != EMUL_OK)
		return rc;
	ctx->dst.bytes = natural_bytes(ctx);
	ctx->dst.val = ctx->ops->get_cr(ctx, ctx->insn.reg);
	return EMUL_OK;
}

/* MOV CR, r */
enum emul_rc emul_op_mov_cr_r(struct emul_ctx *ctx)
{
	u64 val = emul_read_reg(ctx, ctx->insn.rm, natural_bytes(ctx), false);

	enum emul_rc rc = cr_check(ctx);

	if (rc != EMUL_OK)
		return rc;
	if (ctx->insn.reg == 0)
		ctx->out |= EMUL_OUT_MODE;
	return ctx->ops->set_cr(ctx, ctx->insn.reg, val);
}

/*
 * If DR7.GD is set, raise #DB with DR6.BD instead of executing MOV to or from a debug register (SDM
 * "Debug Control Register (DR7)").
 */
static enum emul_rc general_detect(struct emul_ctx *ctx)
{
	u64 dr7 = 0;
	enum emul_rc rc = ctx->ops->get_dr(ctx, 7, &dr7);

	if (rc != EMUL_OK || !(dr7 & BIT(13)))
		return rc;
	emul_fault(ctx, VEC_DB);
	ctx->exc.payload = BIT(13);
	return EMUL_FAULT;
}

/*
 * Get the number of a debug register. DR4 and DR5 are aliases of DR6 and DR7, but raise #UD if
 * CR4.DE is set (SDM "Debug Registers").
 */
static enum emul_rc dr_number(struct emul_ctx *ctx, unsigned int *nr)
{
	*nr = ctx->insn.reg;
	if (*nr > 7)
		return emul_fault(ctx, VEC_UD);
	if (ctx->cpl)
		return emul_gp0(ctx);
	if (*nr == 4 || *nr == 5) {
		if (ctx->ops->get_cr(ctx, 4) & X86_CR4_DE)
			return emul_fault(ctx, VEC_UD);
		*nr += 2;
	}
	return general_detect(ctx);
}

enum emul_rc emul_op_mov_r_dr(struct emul_ctx *ctx)
{
	unsigned int nr;
	enum emul_rc rc = dr_number(ctx, &nr);

	ctx->dst.bytes = natural_bytes(ctx);
	return rc ?: ctx->ops->get_dr(ctx, nr, &ctx->dst.val);
}

enum emul_rc emul_op_mov_dr_r(struct emul_ctx *ctx)
{
	u64 val = emul_read_reg(ctx, ctx->insn.rm, natural_bytes(ctx), false);
	unsigned int nr;
	enum emul_rc rc = dr_number(ctx, &nr);

	return rc ?: ctx->ops->set_dr(ctx, nr, val);
}

/* --- MSRs and counters -------------------------------------------------------------------- */

static void write_edx_eax(struct emul_ctx *ctx, u64 val)
{
	emul_write_reg(ctx, EMUL_RAX, (u32)val, 4, false);
	emul_write_reg(ctx, EMUL_RDX, val >> 32, 4, false);
}

static u64 read_edx_eax(const struct emul_ctx *ctx)
{
	return (u32)ctx->gpr[EMUL_RAX] | ctx->gpr[EMUL_RDX] << 32;
}

enum emul_rc emul_op_rdmsr(struct emul_ctx *ctx)
{
	u64 val = 0;
	enum emul_rc rc = ctx->ops->get_msr(ctx, ctx->gpr[EMUL_RCX], &val, EMUL_DATA);

	if (rc == EMUL_OK)
		write_edx_eax(ctx, val);
	return rc;
}

enum emul_rc emul_op_wrmsr(struct emul_ctx *ctx)
{
	u32 msr = ctx->gpr[EMUL_RCX];

	if (msr == MSR_EFER)
		ctx->out |= EMUL_OUT_MODE;
	return ctx->ops->set_msr(ctx, msr, read_edx_eax(ctx), EMUL_DATA);
}

enum emul_rc emul_op_rdtsc(struct emul_ctx *ctx)
{
	u64 val = 0;
	enum emul_rc rc;

	if (ctx->cpl && ctx->ops->get_cr(ctx, 4) & X86_CR4_TSD)
		return emul_gp0(ctx);
	rc = ctx->ops->get_msr(ctx, MSR_IA32_TSC, &val, EMUL_SYSTEM);
	if (rc == EMUL_OK)
		write_edx_eax(ctx, val);
	return rc;
}

enum emul_rc emul_op_rdtscp(struct emul_ctx *ctx)
{
	u64 aux = 0;
	enum emul_rc rc = emul_op_rdtsc(ctx);

	if (rc == EMUL_OK)
		rc = ctx->ops->get_msr(ctx, MSR_TSC_AUX, &aux, EMUL_SYSTEM);
	if (rc == EMUL_OK)
		emul_write_reg(ctx, EMUL_RCX, (u32)aux, 4, false);
	return rc;
}

enum emul_rc emul_op_rdpid(struct emul_ctx *ctx)
{
	u64 aux = 0;
	enum emul_rc rc = ctx->ops->get_msr(ctx, MSR_TSC_AUX, &aux, EMUL_SYSTEM);

	if (rc == EMUL_OK)
		emul_write_reg(ctx, ctx->insn.rm, (u32)aux, natural_bytes(ctx), false);
	return rc;
}

enum emul_rc emul_op_rdpmc(struct emul_ctx *ctx)
{
	u64 val = 0;
	enum emul_rc rc;

	if (ctx->cpl && !(ctx->ops->get_cr(ctx, 4) & X86_CR4_PCE))
		return emul_gp0(ctx);
	rc = ctx->ops->system(ctx, EMUL_SYS_RDPMC, (u32)ctx->gpr[EMUL_RCX], 0, &val);
	if (rc == EMUL_OK)
		write_edx_eax(ctx, val);
	return rc;
}

enum emul_rc emul_op_cpuid(struct emul_ctx *ctx)
{
	static const u8 order[4] = { EMUL_RAX, EMUL_RBX, EMUL_RCX, EMUL_RDX };
	enum emul_rc rc;
	u32 regs[4];
	unsigned int i;

	for (i = 0; i < 4; i++)
		regs[i] = ctx->gpr[order[i]];
	rc = ctx->ops->cpuid(ctx, regs);
	if (rc != EMUL_OK)
		return rc;
	for (i = 0; i < 4; i++)
		emul_write_reg(ctx, order[i], regs[i], 4, false);
	return EMUL_OK;
}

/* --- the rest ----------------------------------------------------------------------------- */

enum emul_rc emul_op_hlt(struct emul_ctx *ctx)
{
	ctx->out |= EMUL_OUT_HALT;
	return sys_call(ctx, EMUL_SYS_HLT, 0, 0);
}

/* INVLPG checks no segment limit, and does nothing at a non-canonical address (SDM "INVLPG"). */
enum emul_rc emul_op_invlpg(struct emul_ctx *ctx)
{
	struct emul_seg seg = { 0 };
	u64 la = ctx->src.ea;

	if (ctx->mode != EMUL_LONG64 || ctx->src.seg >= EMUL_FS)
		ctx->ops->get_seg(ctx, ctx->src.seg, &seg);
	la += seg.base;
	if (ctx->mode != EMUL_LONG64)
		la = (u32)la;
	else if (!emul_is_canonical(ctx, la))
		return EMUL_OK;
	return sys_call(ctx, EMUL_SYS_INVLPG, la, 0);
}

enum emul_rc emul_op_invpcid(struct emul_ctx *ctx)
{
	u64 type = emul_read_reg(ctx, ctx->insn.reg, natural_bytes(ctx), false);
	enum emul_rc rc;
	u64 la;

	if (ctx->mode == EMUL_VM86)
		return emul_gp0(ctx);
	rc = emul_linear(ctx, ctx->src.seg, ctx->src.ea, 16, false, &la);
	return rc ?: sys_call(ctx, EMUL_SYS_INVPCID, type, la);
}

/* As in upstream, VMCALL (Intel) needs CPL 0, but VMMCALL (AMD) does not. */
enum emul_rc emul_op_vmcall(struct emul_ctx *ctx)
{
	if (!ctx->insn.row->arg && ctx->cpl)
		return emul_gp0(ctx);
	return sys_call(ctx, EMUL_SYS_HYPERCALL, ctx->insn.row->arg, 0);
}

enum emul_rc emul_op_vmx(struct emul_ctx *ctx)
{
	u64 bytes = 0x0f | (u32)ctx->insn.opcode << 8 | (u32)ctx->insn.modrm << 16;

	return sys_call(ctx, EMUL_SYS_VMX_SVM, bytes, 0);
}

/* MONITOR makes the checks of a one-byte load on its operand. */
enum emul_rc emul_op_monitor(struct emul_ctx *ctx)
{
	u64 ea = ctx->gpr[EMUL_RAX] & emul_ad_mask(ctx), la;
	enum emul_rc rc;

	if (ctx->cpl)
		return emul_fault(ctx, VEC_UD);
	if ((u32)ctx->gpr[EMUL_RCX])
		return emul_gp0(ctx);
	rc = emul_linear(ctx, ctx->insn.seg, ea, 1, false, &la);
	return rc ?: sys_call(ctx, EMUL_SYS_MONITOR, la, 0);
}

enum emul_rc emul_op_mwait(struct emul_ctx *ctx)
{
	if (ctx->cpl)
		return emul_fault(ctx, VEC_UD);
	return sys_call(ctx, EMUL_SYS_MWAIT, (u32)ctx->gpr[EMUL_RAX], (u32)ctx->gpr[EMUL_RCX]);
}

static enum emul_rc need_cr4(struct emul_ctx *ctx, u64 bit)
{
	return ctx->ops->get_cr(ctx, 4) & bit ? EMUL_OK : emul_fault(ctx, VEC_UD);
}

enum emul_rc emul_op_xgetbv(struct emul_ctx *ctx)
{
	u64 val = 0;
	enum emul_rc rc = need_cr4(ctx, X86_CR4_OSXSAVE);

	if (rc == EMUL_OK)
		rc = ctx->ops->system(ctx, EMUL_SYS_XGETBV, (u32)ctx->gpr[EMUL_RCX], 0, &val);
	if (rc == EMUL_OK)
		write_edx_eax(ctx, val);
	return rc;
}

enum emul_rc emul_op_xsetbv(struct emul_ctx *ctx)
{
	enum emul_rc rc = need_cr4(ctx, X86_CR4_OSXSAVE);

	if (rc == EMUL_OK && ctx->cpl)
		return emul_gp0(ctx);
	return rc ?: sys_call(ctx, EMUL_SYS_XSETBV, (u32)ctx->gpr[EMUL_RCX], read_edx_eax(ctx));
}

enum emul_rc emul_op_swapgs(struct emul_ctx *ctx)
{
	struct emul_seg gs;
	enum emul_rc rc;
	u64 base;

	ctx->ops->get_seg(ctx, EMUL_GS, &gs);
	rc = ctx->ops->get_msr(ctx, MSR_KERNEL_GS_BASE, &base, EMUL_SYSTEM);
	if (rc == EMUL_OK)
		rc = ctx->ops->set_msr(ctx, MSR_KERNEL_GS_BASE, gs.base, EMUL_SYSTEM);
	if (rc != EMUL_OK)
		return rc;
	gs.base = base;
	ctx->ops->set_seg(ctx, EMUL_GS, &gs);
	return EMUL_OK;
}

/* CLAC (.arg 0) and STAC (.arg 1) */
enum emul_rc emul_op_clac(struct emul_ctx *ctx)
{
	if (ctx->cpl)
		return emul_fault(ctx, VEC_UD);
	ctx->flags &= ~(u64)X86_EFLAGS_AC;
	if (ctx->insn.row->arg)
		ctx->flags |= X86_EFLAGS_AC;
	return EMUL_OK;
}

/* CLFLUSH, CLFLUSHOPT and CLWB only make the checks of a load on their operand. */
enum emul_rc emul_op_clflush(struct emul_ctx *ctx)
{
	u64 la;

	return emul_linear(ctx, ctx->src.seg, ctx->src.ea, 1, false, &la);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. Bits of .arg: 1 = GS, 2 = write */
enum emul_rc emul_op_fsgsbase(struct emul_ctx *ctx)
{
	u8 arg = ctx->insn.row->arg;
	enum emul_sreg nr = arg & 1 ? EMUL_GS : EMUL_FS;
	struct emul_seg seg;
	enum emul_rc rc = need_cr4(ctx, X86_CR4_FSGSBASE);

	if (rc != EMUL_OK)
		return rc;
	ctx->ops->get_seg(ctx, nr, &seg);
	if (!(arg & 2)) {
		ctx->dst.val = seg.base;
		return EMUL_OK;
	}
	if (!emul_is_canonical(ctx, ctx->src.val))
		return emul_gp0(ctx);
	seg.base = ctx->src.val;
	ctx->ops->set_seg(ctx, nr, &seg);
	return EMUL_OK;
}
