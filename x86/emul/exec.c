// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execute a decoded instruction: load operands, call the row's handler, store the result, commit
 * registers. okvm stages all register writes: an instruction that cannot complete changes no
 * register, and can be executed again from its start. (Upstream writes registers at once, and keeps
 * the state of each operand across exits to userspace.)
 */
#include <asm/msr-index.h>

#include "internal.h"

enum emul_rc emul_fault_code(struct emul_ctx *ctx, u8 vector, u32 error)
{
	ctx->exc = (struct emul_exception){ .vector = vector, .has_error = true, .error = error };
	return EMUL_FAULT;
}

enum emul_rc emul_fault(struct emul_ctx *ctx, u8 vector)
{
	ctx->exc = (struct emul_exception){ .vector = vector };
	return EMUL_FAULT;
}

enum emul_rc emul_fault_page(struct emul_ctx *ctx, u64 cr2, u32 error)
{
	emul_fault_code(ctx, VEC_PF, error);
	ctx->exc.cr2 = cr2;
	return EMUL_FAULT;
}

void emul_init(struct emul_ctx *ctx, const struct emul_ops *ops, enum emul_mode mode, u8 cpl)
{
	ctx->ops = ops;
	ctx->mode = mode;
	ctx->wide = false;
	ctx->cpl = cpl;
	ctx->rep_limit = 1024;
	ctx->io_buf = NULL;
	ctx->io_buf_size = 0;
	ctx->seq = 0;
	ctx->lock_cr8 = false;
	ctx->out = 0;
	ctx->dirty = 0;
	ctx->insn.len = 0;
	ctx->insn.avail = 0;
}

/* Compute the CPU mode from the registers that decide it. @cs_ar: EMUL_AR_* of CS */
static enum emul_mode mode_of(u64 cr0, u64 efer, u64 rflags, u32 cs_ar)
{
	if (!(cr0 & X86_CR0_PE))
		return EMUL_REAL;
	if (rflags & X86_EFLAGS_VM)
		return EMUL_VM86;
	if (efer & EFER_LMA && cs_ar & EMUL_AR_L)
		return EMUL_LONG64;
	return cs_ar & EMUL_AR_DB ? EMUL_PROT32 : EMUL_PROT16;
}

/* Return the first four letters of the vendor's name: EBX of CPUID leaf 0. */
u32 emul_vendor(struct emul_ctx *ctx)
{
	u32 regs[4] = { 0 };

	return ctx->ops->cpuid(ctx, regs) == EMUL_OK ? regs[1] : 0;
}

bool emul_long_active(struct emul_ctx *ctx)
{
	u64 efer = 0;

	if (ctx->mode == EMUL_LONG64)
		return true;
	if (!emul_protected(ctx))
		return false;
	return ctx->ops->get_msr(ctx, MSR_EFER, &efer, EMUL_SYSTEM) == EMUL_OK && efer & EFER_LMA;
}

void emul_set_mode(struct emul_ctx *ctx)
{
	u64 cr0 = ctx->ops->get_cr(ctx, 0);
	struct emul_seg seg;
	u64 efer = 0;

	if (ctx->ops->get_msr(ctx, MSR_EFER, &efer, EMUL_SYSTEM) != EMUL_OK)
		efer = 0;
	ctx->ops->get_seg(ctx, EMUL_CS, &seg);
	ctx->mode = mode_of(cr0, efer, ctx->rflags, seg.ar);
	ctx->wide = ctx->mode == EMUL_REAL && seg.ar & EMUL_AR_DB;
	if (ctx->mode == EMUL_REAL) {
		ctx->cpl = 0;
	} else if (ctx->mode == EMUL_VM86) {
		ctx->cpl = 3;
	} else {
		ctx->ops->get_seg(ctx, EMUL_SS, &seg);
		ctx->cpl = emul_ar_dpl(seg.ar);
	}
}

/* --- memory ------------------------------------------------------------------------------- */

/*
 * Return true if @la is canonical (SDM "Canonical Addressing"): it is a sign-extended number of 48
 * bits, or with CR4.LA57 of 57 bits.
 */
bool emul_is_canonical(struct emul_ctx *ctx, u64 la)
{
	if ((u64)((s64)(la << 16) >> 16) == la)
		return true;
	if ((u64)((s64)(la << 7) >> 7) != la)
		return false;
	return ctx->ops->get_cr(ctx, 4) & X86_CR4_LA57;
}

static enum emul_rc seg_fault(struct emul_ctx *ctx, unsigned int seg)
{
	return emul_fault_code(ctx, seg == EMUL_SS ? VEC_SS : VEC_GP, 0);
}

/*
 * Return true if the segment allows the access (SDM "Type Checking" and "Limit Checking"). An
 * access that goes beyond 4 GiB is allowed, and wraps to address 0. (The SDM leaves this case to
 * the CPU.)
 */
bool emul_seg_allows(struct emul_ctx *ctx, const struct emul_seg *s, u64 ea, unsigned int len,
		     bool write)
{
	bool code = s->ar & EMUL_AR_CODE;
	u32 limit = s->limit;

	if (emul_protected(ctx)) {
		if (s->ar & EMUL_AR_UNUSABLE)
			return false;
		if (write ? code || !(s->ar & EMUL_AR_WRITE) : code && !(s->ar & EMUL_AR_READ))
			return false;
	}
	if (!code && s->ar & EMUL_AR_DOWN) {
		if (ea <= limit)
			return false;
		limit = s->ar & EMUL_AR_DB ? 0xffffffffu : 0xffffu;
	}
	return limit == 0xffffffffu ? ea <= limit : ea + len - 1 <= limit;
}

/*
 * Return true if an access raises #AC (SDM "Alignment Check Exception (#AC)"). 6 bytes (GDTR or a
 * far pointer) need an alignment of 4.
 */
static bool misaligned(struct emul_ctx *ctx, u64 la, unsigned int len)
{
	unsigned int mask = len == 6 ? 3 : len - 1;

	if (ctx->cpl != 3 || !(ctx->rflags & X86_EFLAGS_AC) || !(la & mask) || len > 8)
		return false;
	return ctx->ops->get_cr(ctx, 0) & X86_CR0_AM;
}

/* Check an access of @len bytes at @seg:@ea. Set *@la to the linear address. */
enum emul_rc emul_linear(struct emul_ctx *ctx, unsigned int seg, u64 ea, unsigned int len,
			 bool write, u64 *la)
{
	struct emul_seg s;

	if (ctx->mode == EMUL_LONG64) {
		*la = ea;
		if (seg >= EMUL_FS) {
			ctx->ops->get_seg(ctx, seg, &s);
			*la += s.base;
		}
		if (!emul_is_canonical(ctx, *la) || !emul_is_canonical(ctx, *la + len - 1))
			return seg_fault(ctx, seg);
	} else {
		ctx->ops->get_seg(ctx, seg, &s);
		if (!emul_seg_allows(ctx, &s, ea, len, write))
			return seg_fault(ctx, seg);
		*la = (u32)(s.base + ea);
	}
	if (misaligned(ctx, *la, len))
		return emul_fault_code(ctx, VEC_AC, 0);
	return EMUL_OK;
}

enum emul_rc emul_read_mem(struct emul_ctx *ctx, unsigned int seg, u64 ea, void *buf,
			   unsigned int len)
{
	u64 la;
	enum emul_rc rc = emul_linear(ctx, seg, ea, len, false, &la);

	return rc ?: ctx->ops->read(ctx, la, buf, len, EMUL_DATA, ctx->cpl);
}

enum emul_rc emul_write_mem(struct emul_ctx *ctx, unsigned int seg, u64 ea, const void *buf,
			    unsigned int len)
{
	u64 la;
	enum emul_rc rc = emul_linear(ctx, seg, ea, len, true, &la);

	return rc ?: ctx->ops->write(ctx, la, buf, len, EMUL_DATA, ctx->cpl);
}

enum emul_rc emul_read_sys(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len)
{
	return ctx->ops->read(ctx, la, buf, len, EMUL_SYSTEM, ctx->cpl);
}

/* Compute the effective address of the ModRM memory operand, from staged registers. */
void emul_locate(struct emul_ctx *ctx, struct emul_operand *op)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 ea = insn->disp;

	if (insn->base >= 0)
		ea += emul_gpr(ctx, insn->base);
	if (insn->index >= 0)
		ea += emul_gpr(ctx, insn->index) << insn->scale;
	if (insn->rip_relative)
		ea += ctx->rip + insn->len;
	op->kind = K_MEM;
	op->seg = insn->seg;
	op->ea = ea & emul_mask(insn->ad_bytes);
}

/* --- registers ---------------------------------------------------------------------------- */

u64 emul_read_reg(const struct emul_ctx *ctx, unsigned int reg, unsigned int bytes, bool high)
{
	u64 val = emul_gpr(ctx, reg);

	if (high)
		val >>= 8;
	return val & emul_mask(bytes);
}

/*
 * Stage a write of @bytes bytes to a register (@high: to AH, CH, DH or BH). 4 bytes clear the upper
 * half of the register; 1 or 2 bytes do not change the other bits.
 */
void emul_write_reg(struct emul_ctx *ctx, unsigned int reg, u64 val, unsigned int bytes,
		    bool high)
{
	unsigned int shift = high ? 8 : 0;
	u64 mask = emul_mask(bytes) << shift;

	val = (val << shift) & mask;
	if (bytes < 4)
		val |= emul_gpr(ctx, reg) & ~mask;
	emul_set_gpr(ctx, reg, val);
}

/*
 * Add @delta to the low 16, 32 or 64 bits of register @reg; these bits are set in @mask. A 16-bit
 * sum does not change the other bits of the register. A 32-bit sum clears them.
 */
void emul_add_reg(struct emul_ctx *ctx, unsigned int reg, u64 delta, u64 mask)
{
	u64 old = emul_gpr(ctx, reg);
	u64 val = (old + delta) & mask;

	if (mask == 0xffff)
		val |= old & ~mask;
	emul_set_gpr(ctx, reg, val);
}

/* --- stack -------------------------------------------------------------------------------- */

u64 emul_stack_mask(struct emul_ctx *ctx)
{
	struct emul_seg ss;

	if (ctx->mode == EMUL_LONG64)
		return ~0ULL;
	ctx->ops->get_seg(ctx, EMUL_SS, &ss);
	return ss.ar & EMUL_AR_DB ? 0xffffffffu : 0xffffu;
}

enum emul_rc emul_push(struct emul_ctx *ctx, u64 val, unsigned int bytes)
{
	u64 mask = emul_stack_mask(ctx);
	u64 sp = (emul_gpr(ctx, EMUL_RSP) - bytes) & mask;
	enum emul_rc rc = emul_write_mem(ctx, EMUL_SS, sp, &val, bytes);

	if (rc == EMUL_OK)
		emul_add_reg(ctx, EMUL_RSP, -(u64)bytes, mask);
	return rc;
}

enum emul_rc emul_pop(struct emul_ctx *ctx, u64 *val, unsigned int bytes)
{
	u64 mask = emul_stack_mask(ctx);
	enum emul_rc rc;

	*val = 0;
	rc = emul_read_mem(ctx, EMUL_SS, emul_gpr(ctx, EMUL_RSP) & mask, val, bytes);
	if (rc == EMUL_OK)
		emul_add_reg(ctx, EMUL_RSP, bytes, mask);
	return rc;
}

/* --- control flow ------------------------------------------------------------------------- */

/*
 * Branch to the low @bytes bytes of @target, within CS. Raise #GP if this address exceeds the limit
 * of CS, or in 64-bit mode is not canonical (SDM "JMP").
 */
enum emul_rc emul_branch(struct emul_ctx *ctx, u64 target, unsigned int bytes)
{
	struct emul_seg cs;

	target &= emul_mask(bytes);
	if (ctx->mode == EMUL_LONG64) {
		if (!emul_is_canonical(ctx, target))
			return emul_gp0(ctx);
	} else {
		ctx->ops->get_seg(ctx, EMUL_CS, &cs);
		if (target > cs.limit)
			return emul_gp0(ctx);
	}
	ctx->next_rip = target;
	return EMUL_OK;
}

/* --- operands ----------------------------------------------------------------------------- */

static void operand_gpr(struct emul_ctx *ctx, struct emul_operand *op, unsigned int reg)
{
	op->kind = K_GPR;
	op->reg = reg;
	if (op->bytes == 1 && !ctx->insn.rex && reg >= 4 && reg < 8) {
		op->reg = reg - 4;
		op->high = true;
	}
}

static void operand_val(struct emul_operand *op, u64 val)
{
	op->kind = K_VAL;
	op->val = val;
}

static void operand_rm(struct emul_ctx *ctx, struct emul_operand *op, unsigned int bytes)
{
	op->bytes = bytes;
	if (ctx->insn.mod == 3)
		operand_gpr(ctx, op, ctx->insn.rm);
	else
		emul_locate(ctx, op);
}

static void operand_moffs(struct emul_ctx *ctx, struct emul_operand *op)
{
	op->kind = K_MEM;
	op->seg = ctx->insn.seg;
	op->ea = ctx->insn.imm;
}

/* Set up an operand of kind @kind. @imm: its value if it is an immediate. */
static void operand_prepare(struct emul_ctx *ctx, struct emul_operand *op, unsigned int kind,
			    u64 imm)
{
	const struct emul_insn *insn = &ctx->insn;

	*op = (struct emul_operand){ .bytes = insn->op_bytes };
	switch (kind) {
	case O_NONE:
		return;
	case O_RM:
	case O_M:
		return operand_rm(ctx, op, insn->op_bytes);
	case O_RM8:
		return operand_rm(ctx, op, 1);
	case O_RM16:
		return operand_rm(ctx, op, 2);
	case O_RM32:
		return operand_rm(ctx, op, 4);
	case O_REG:
		return operand_gpr(ctx, op, insn->reg);
	case O_OPREG:
		return operand_gpr(ctx, op, (insn->opcode & 7) | (insn->rex & 1) << 3);
	case O_ACC:
		op->kind = K_GPR;
		return;
	case O_CL:
		return operand_val(op, emul_gpr(ctx, EMUL_RCX) & 0xff);
	case O_DX:
		return operand_val(op, emul_gpr(ctx, EMUL_RDX) & 0xffff);
	case O_ONE:
		return operand_val(op, 1);
	case O_MOFFS:
		return operand_moffs(ctx, op);
	default:
		return operand_val(op, imm);
	}
}

/* Load an operand. With EMUL_DATA_RMW as @acc, an operand in memory must be writable, too. */
static enum emul_rc load_operand(struct emul_ctx *ctx, struct emul_operand *op,
				 enum emul_access acc)
{
	enum emul_rc rc;

	if (op->kind == K_GPR) {
		op->val = emul_read_reg(ctx, op->reg, op->bytes, op->high);
	} else if (op->kind == K_MEM) {
		rc = emul_linear(ctx, op->seg, op->ea, op->bytes, acc == EMUL_DATA_RMW, &op->la);
		if (rc != EMUL_OK)
			return rc;
		op->val = 0;
		rc = ctx->ops->read(ctx, op->la, &op->val, op->bytes, acc, ctx->cpl);
		if (rc != EMUL_OK)
			return rc;
	}
	op->orig = op->val;
	return EMUL_OK;
}

/* Store @op's value. With LOCK, return EMUL_RETRY if memory no longer holds the loaded value. */
enum emul_rc emul_store(struct emul_ctx *ctx, struct emul_operand *op)
{
	enum emul_rc rc;

	if (op->kind == K_GPR) {
		emul_write_reg(ctx, op->reg, op->val, op->bytes, op->high);
		return EMUL_OK;
	}
	if (op->kind != K_MEM)
		return EMUL_OK;
	if (ctx->insn.row->flags & F_MOV) {
		rc = emul_linear(ctx, op->seg, op->ea, op->bytes, true, &op->la);
		if (rc != EMUL_OK)
			return rc;
	} else if (ctx->insn.lock) {
		return emul_cmpxchg(ctx, op->la, &op->orig, &op->val, op->bytes, EMUL_DATA);
	}
	return ctx->ops->write(ctx, op->la, &op->val, op->bytes, EMUL_DATA, ctx->cpl);
}

static bool kind_is_imm(unsigned int kind)
{
	return kind >= O_IMM || kind == O_MOFFS;
}

static enum emul_rc exec_load_operands(struct emul_ctx *ctx)
{
	const struct emul_opcode *row = ctx->insn.row;
	u64 second = kind_is_imm(row->src) ? ctx->insn.imm2 : ctx->insn.imm;
	enum emul_rc rc;

	operand_prepare(ctx, &ctx->dst, row->dst, ctx->insn.imm);
	operand_prepare(ctx, &ctx->src, row->src, ctx->insn.imm);
	operand_prepare(ctx, &ctx->src2, row->src2, second);
	if (row->src != O_M) {
		rc = load_operand(ctx, &ctx->src, EMUL_DATA);
		if (rc != EMUL_OK)
			return rc;
	}
	if (row->flags & F_MOV || row->dst == O_M)
		return EMUL_OK;
	if (row->exec == emul_op_bt)
		emul_bt_locate(ctx);
	return load_operand(ctx, &ctx->dst, row->flags & F_NOWRITE ? EMUL_DATA : EMUL_DATA_RMW);
}

/* --- one instruction ---------------------------------------------------------------------- */

/* Commit all staged values. */
void emul_commit(struct emul_ctx *ctx)
{
	unsigned int nr;

	for (nr = 0; ctx->dirty; nr++, ctx->dirty >>= 1)
		if (ctx->dirty & 1)
			ctx->gpr[nr] = ctx->staged[nr];
	if (ctx->trap && !(ctx->out & EMUL_OUT_MOVSS))
		ctx->out |= EMUL_OUT_SINGLE_STEP;
	ctx->rip = ctx->next_rip;
	ctx->rflags = ctx->flags;
	ctx->seq++;
}

/* Return the RIP of the next instruction. Outside 64-bit mode it has 32 bits. */
static u64 exec_next_rip(const struct emul_ctx *ctx)
{
	u64 next = ctx->rip + ctx->insn.len;

	return ctx->mode == EMUL_LONG64 ? next : (u32)next;
}

static void exec_begin(struct emul_ctx *ctx)
{
	ctx->dirty = 0;
	ctx->out = 0;
	ctx->stop = false;
	ctx->next_rip = exec_next_rip(ctx);
	ctx->flags = ctx->rflags & ~(u64)X86_EFLAGS_RF;
	ctx->trap = ctx->rflags & X86_EFLAGS_TF;
}

static enum emul_rc exec_run(struct emul_ctx *ctx)
{
	const struct emul_opcode *row = ctx->insn.row;
	enum emul_rc rc;

	if (row->flags & F_PRIV && ctx->cpl)
		return emul_gp0(ctx);
	rc = exec_load_operands(ctx);
	if (rc != EMUL_OK)
		return rc;
	rc = row->exec(ctx);
	if (rc != EMUL_OK || row->dst == O_NONE || row->dst == O_M || row->flags & F_NOWRITE)
		return rc;
	return emul_store(ctx, &ctx->dst);
}

enum emul_rc emul_exec(struct emul_ctx *ctx)
{
	bool string;
	enum emul_rc rc;

	if (!ctx->insn.len)
		return EMUL_UNHANDLEABLE;
	exec_begin(ctx);
	string = ctx->insn.row->flags & F_STRING;
	rc = exec_run(ctx);
	if (rc == EMUL_OK && !string) {
		emul_commit(ctx);
	} else if (rc == EMUL_RETRY) {
		ctx->out = EMUL_OUT_AGAIN;
		rc = EMUL_OK;
	}
	ctx->dirty = 0;
	return rc;
}

enum emul_rc emul_step(struct emul_ctx *ctx)
{
	enum emul_rc rc = emul_decode(ctx);

	return rc ?: emul_exec(ctx);
}

/* --- plain MOVs, and properties of decoded instructions ----------------------------------- */

/* Describe the address of the memory operand by its registers. */
static void mov_locate(const struct emul_ctx *ctx, struct emul_mov *mov)
{
	const struct emul_insn *insn = &ctx->insn;
	bool moffs = insn->row->dst == O_MOFFS || insn->row->src == O_MOFFS;

	mov->seg = insn->seg;
	mov->base = moffs ? -1 : insn->base;
	mov->index = moffs ? -1 : insn->index;
	mov->scale = insn->scale;
	mov->disp = moffs ? insn->imm : insn->disp;
	if (!moffs && insn->rip_relative)
		mov->disp += ctx->rip + insn->len;
}

enum emul_rc emul_mov_linear(struct emul_ctx *ctx, const struct emul_mov *mov, u64 *la)
{
	u64 ea = emul_mov_ea(mov, mov->base < 0 ? 0 : ctx->gpr[mov->base],
			     mov->index < 0 ? 0 : ctx->gpr[mov->index]);

	return emul_linear(ctx, mov->seg, ea & emul_ad_mask(ctx), mov->bytes, mov->write, la);
}

bool emul_as_mov(const struct emul_ctx *ctx, struct emul_mov *mov)
{
	const struct emul_insn *insn = &ctx->insn;
	const struct emul_opcode *row = insn->row;
	struct emul_operand op;

	if (!insn->len || !(row->flags & F_PLAINMOV))
		return false;
	if (row->dst != O_MOFFS && row->src != O_MOFFS && insn->mod == 3)
		return false;
	*mov = (struct emul_mov){ .bytes = insn->op_bytes, .dst_bytes = insn->op_bytes };
	mov_locate(ctx, mov);
	mov->write = row->dst == O_RM || row->dst == O_MOFFS;
	op = (struct emul_operand){ .bytes = insn->op_bytes };
	if (row->src == O_IMM) {
		mov->val = insn->imm & emul_mask(mov->bytes);
		return true;
	}
	if (row->dst != O_ACC && row->src != O_ACC)
		operand_gpr((struct emul_ctx *)ctx, &op, insn->reg);
	mov->reg = op.reg;
	mov->high = op.high;
	mov->from_reg = mov->write;
	if (mov->write) {
		mov->val = emul_mov_datum(mov, emul_gpr(ctx, op.reg));
		return true;
	}
	if (row->src == O_RM8 || row->src == O_RM16 || row->src == O_RM32) {
		mov->bytes = row->src == O_RM8 ? 1 : row->src == O_RM16 ? 2 : 4;
		mov->sign_extend = row->arg;
	}
	return true;
}

void emul_finish_mov(struct emul_ctx *ctx, const struct emul_mov *mov, u64 val)
{
	exec_begin(ctx);
	if (!mov->write)
		emul_set_gpr(ctx, mov->reg,
			     emul_mov_result(mov, emul_gpr(ctx, mov->reg), val));
	emul_commit(ctx);
}

bool emul_writes_memory(const struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 f;

	if (!insn->len)
		return false;
	f = insn->row->flags;
	if (f & (F_PUSHES | F_STRING))
		return f & (F_PUSHES | F_WRITES);
	if (insn->row->dst == O_MOFFS)
		return true;
	if (!insn->has_modrm || insn->mod == 3)
		return false;
	if (f & F_WRITES)
		return true;
	return insn->row->dst >= O_RM && insn->row->dst <= O_RM32 && !(f & F_NOWRITE);
}

bool emul_is_string(const struct emul_ctx *ctx)
{
	return ctx->insn.len && ctx->insn.row->flags & F_STRING;
}

bool emul_is_hypercall(const struct emul_ctx *ctx)
{
	return ctx->insn.len && ctx->insn.row->exec == emul_op_vmcall;
}

bool emul_is_syscall(const struct emul_ctx *ctx)
{
	return ctx->insn.len && ctx->insn.row->exec == emul_op_syscall;
}
