/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations that the emulator's files share: opcode rows, operand and memory helpers, and the
 * rows' handlers. Included in x86/emul/ only.
 */
#ifndef OKVM_X86_EMUL_INTERNAL_H
#define OKVM_X86_EMUL_INTERNAL_H

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/string.h>
#include <asm/processor-flags.h>

#include "emul.h"

/* Exception vectors (SDM "Exceptions and Interrupts"). */
enum {
	VEC_DE = 0, VEC_DB = 1, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7,
	VEC_DF = 8, VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16,
	VEC_AC = 17,
};

/*
 * Kinds of operands in the opcode tables. A number in the name is the operand size in bits; without
 * a number the size is insn.op_bytes. RM is ModRM.rm, REG is ModRM.reg, OPREG the low bits of the
 * opcode. M is a memory operand that the handler itself accesses. MOFFS is an absolute offset.
 */
enum opnd {
	O_NONE,
	O_RM, O_RM8, O_RM16, O_RM32,
	O_M,
	O_REG, O_OPREG, O_ACC, O_CL, O_DX, O_ONE,
	O_SREG,
	O_MOFFS,
	O_IMM,		/* op_bytes, at most 4, sign-extended */
	O_IMMV,		/* op_bytes, up to 8 */
	O_IMM8,		/* sign-extended */
	O_IMMU8,	/* zero-extended */
	O_IMMU16,
	O_REL,		/* branch offset: 2 bytes if the operand size is 16 bits, else 4 */
	O_FAR,		/* a far pointer: offset in insn.imm, selector in insn.imm2 */
};

/*
 * Flags of opcode rows. A row with F_SEL_* is no instruction: it selects a row from the table
 * row.sub.
 */
#define F_MODRM		BIT(0)
#define F_BYTE		BIT(1)	/* operand size is one byte */
#define F_MOV		BIT(2)	/* the handler writes dst without reading it */
#define F_NOWRITE	BIT(3)	/* dst is read only */
#define F_LOCK		BIT(4)	/* LOCK is legal if dst is memory */
#define F_NO64		BIT(5)	/* #UD in 64-bit mode */
#define F_ONLY64	BIT(6)	/* #UD outside of 64-bit mode */
#define F_D64		BIT(7)	/* in 64-bit mode operands have 64 bits, with prefix 66 16 bits */
#define F_F64		BIT(8)	/* in 64-bit mode operands always have 64 bits */
#define F_PRIV		BIT(9)	/* #GP(0) unless CPL = 0 */
#define F_PROT		BIT(10)	/* #UD in real and VM86 mode */
#define F_MEM		BIT(11)	/* #UD with a register operand */
#define F_REGS		BIT(12)	/* ModRM names registers even if mod is not 3 (MOV CR, MOV DR) */
#define F_STRING	BIT(13)
#define F_PUSHES	BIT(15)	/* writes the stack */
#define F_UNIMPL	BIT(16)	/* exists, not emulated */
#define F_WRITES	BIT(17)	/* writes its memory operand, though of kind O_M */
#define F_PLAINMOV	BIT(18)	/* a plain MOV, which emul_as_mov() accepts */
#define F_SEL_REG	BIT(19)	/* sub[ModRM.reg] */
#define F_SEL_MOD	BIT(20)	/* sub[ModRM.mod == 3] */
#define F_SEL_PFX	BIT(21)	/* sub[none, 66, F3, F2] */
#define F_SEL_RM	BIT(22)	/* sub[ModRM.rm] */
#define F_SEL		(F_SEL_REG | F_SEL_MOD | F_SEL_PFX | F_SEL_RM)
#define F_NO66		BIT(23)	/* operand size 4, with REX.W 8; prefix 66 has no effect */
#define F_L0		BIT(24)	/* #UD with VEX.L */
#define F_L1		BIT(25)	/* #UD without VEX.L */
#define F_VVVV		BIT(26)	/* VEX.vvvv is an operand; without this flag it must be 1111b */

/**
 * struct emul_opcode - a row of an opcode table
 * @exec: handler: computes ctx->dst.val, or executes the whole instruction
 * @sub: rows to select from (F_SEL_*)
 * @flags: F_*
 * @dst: enum opnd
 * @src: enum opnd
 * @src2: enum opnd
 * @arg: argument of the handler
 *
 * A row without @exec and @sub is an undefined opcode.
 */
struct emul_opcode {
	enum emul_rc (*exec)(struct emul_ctx *ctx);
	const struct emul_opcode *sub;
	u32 flags;
	u8 dst;
	u8 src;
	u8 src2;
	u8 arg;
};

extern const struct emul_opcode emul_map_1b[256];
extern const struct emul_opcode emul_map_0f[256];
extern const struct emul_opcode emul_row_movsxd;
const struct emul_opcode *emul_map_0f38(u8 opcode);
const struct emul_opcode *emul_map_vex(enum emul_map map, u8 opcode);

/*
 * R(ex, d, s, fl) is a row with handler emul_op_<ex>, operands O_<d> and O_<s>, and flags fl. An
 * initializer of .arg may follow.
 */
#define R(ex, d, s, fl, ...) { .exec = emul_op_##ex, .dst = O_##d, .src = O_##s, \
			       .flags = (fl), ##__VA_ARGS__ }
#define S(table, fl)	{ .sub = (table), .flags = (fl) }
#define UNIMPL		{ .flags = F_UNIMPL }
#define UNIMPL_M	{ .flags = F_UNIMPL | F_MODRM }
#define M		F_MODRM
#define B		F_BYTE

#define PAGE_BYTES	4096u

/* Values of emul_operand.kind. */
enum { K_NONE, K_GPR, K_MEM, K_VAL, K_SREG };

/* exec.c */
bool emul_is_canonical(struct emul_ctx *ctx, u64 la);
enum emul_rc emul_linear(struct emul_ctx *ctx, unsigned int seg, u64 ea, unsigned int len,
			 bool write, u64 *la);
enum emul_rc emul_read_mem(struct emul_ctx *ctx, unsigned int seg, u64 ea, void *buf,
			   unsigned int len);
enum emul_rc emul_write_mem(struct emul_ctx *ctx, unsigned int seg, u64 ea, const void *buf,
			    unsigned int len);
enum emul_rc emul_read_sys(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len);
bool emul_seg_allows(struct emul_ctx *ctx, const struct emul_seg *s, u64 ea, unsigned int len,
		     bool write);
void emul_locate(struct emul_ctx *ctx, struct emul_operand *op);
u64 emul_read_reg(const struct emul_ctx *ctx, unsigned int reg, unsigned int bytes, bool high);
void emul_write_reg(struct emul_ctx *ctx, unsigned int reg, u64 val, unsigned int bytes,
		    bool high);
void emul_add_reg(struct emul_ctx *ctx, unsigned int reg, u64 delta, u64 mask);
enum emul_rc emul_store(struct emul_ctx *ctx, struct emul_operand *op);
void emul_commit(struct emul_ctx *ctx);
u64 emul_stack_mask(struct emul_ctx *ctx);
enum emul_rc emul_push(struct emul_ctx *ctx, u64 val, unsigned int bytes);
enum emul_rc emul_pop(struct emul_ctx *ctx, u64 *val, unsigned int bytes);
enum emul_rc emul_branch(struct emul_ctx *ctx, u64 target, unsigned int bytes);

static inline enum emul_rc emul_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old,
					const void *new, unsigned int len, enum emul_access acc)
{
	/* A call ctx->ops->cmpxchg(...) would expand the kernel's macro cmpxchg(). */
	__auto_type op = ctx->ops->cmpxchg;

	return op(ctx, la, old, new, len, acc, ctx->cpl);
}

static inline u64 emul_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ULL : (1ULL << (bytes * 8)) - 1;
}

static inline u64 emul_sext(u64 val, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (u64)((s64)(val << shift) >> shift);
}

static inline bool emul_protected(const struct emul_ctx *ctx)
{
	return ctx->mode >= EMUL_PROT16;
}

static inline u64 emul_ad_mask(const struct emul_ctx *ctx)
{
	return emul_mask(ctx->insn.ad_bytes);
}

static inline enum emul_rc emul_gp0(struct emul_ctx *ctx)
{
	return emul_fault_code(ctx, VEC_GP, 0);
}

static inline unsigned int emul_iopl(const struct emul_ctx *ctx)
{
	return (ctx->rflags & X86_EFLAGS_IOPL) >> X86_EFLAGS_IOPL_BIT;
}

/* alu.c */
void emul_bt_locate(struct emul_ctx *ctx);
void emul_compare(struct emul_ctx *ctx);
bool emul_cond(u64 flags, unsigned int cc);
#define EMUL_FLAGS_ARITH	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
				 X86_EFLAGS_SF | X86_EFLAGS_OF)

/* seg.c: descriptors */

/**
 * struct emul_desc - a descriptor read from the GDT or LDT
 * @raw: the first 8 bytes
 * @high: bits 63:32 of the base, for 16-byte descriptors
 * @la: linear address of the first byte
 * @sel: selector of the descriptor
 */
struct emul_desc {
	u64 raw;
	u32 high;
	u64 la;
	u16 sel;
};

static inline unsigned int emul_ar_dpl(u32 ar)
{
	return (ar & EMUL_AR_DPL) >> EMUL_AR_DPL_SHIFT;
}

static inline u32 emul_desc_ar(const struct emul_desc *d)
{
	return (d->raw >> 40) & 0xf0ff;
}

/* Return the error code that names a selector: the selector's index and TI bit, without RPL. */
static inline u32 emul_sel_error(u16 sel)
{
	return sel & 0xfffc;
}

void emul_desc_seg(const struct emul_desc *d, struct emul_seg *seg);
bool emul_long_active(struct emul_ctx *ctx);

/* Results of emul_vendor(): the first letters "Genu", "Auth", "Hygo" of the vendor's name */
#define EMUL_VENDOR_INTEL	0x756e6547u
#define EMUL_VENDOR_AMD		0x68747541u
#define EMUL_VENDOR_HYGON	0x6f677948u
u32 emul_vendor(struct emul_ctx *ctx);
enum emul_rc emul_read_desc(struct emul_ctx *ctx, u16 sel, u8 vector, struct emul_desc *d);
enum emul_rc emul_read_desc_high(struct emul_ctx *ctx, struct emul_desc *d, u8 vector);
enum emul_rc emul_mark_desc(struct emul_ctx *ctx, struct emul_desc *d, u32 type_bit);
enum emul_rc emul_check_sreg(struct emul_ctx *ctx, enum emul_sreg nr, u16 sel,
			     struct emul_seg *seg);
enum emul_rc emul_check_ss(struct emul_ctx *ctx, u16 sel, unsigned int cpl, u8 vector,
			   struct emul_seg *seg);
enum emul_rc emul_check_data(struct emul_ctx *ctx, u16 sel, u8 vector, struct emul_seg *seg);
void emul_real_seg(struct emul_ctx *ctx, enum emul_sreg nr, u16 sel, struct emul_seg *seg);

/* deliver.c */

/**
 * struct emul_stack - a stack, which may differ from the current one
 * @ss: stack segment
 * @sp: stack pointer
 * @mask: the width of the stack pointer: the low 16, 32 or 64 bits are 1
 * @cpl: CPL of accesses to the stack
 */
struct emul_stack {
	struct emul_seg ss;
	u64 sp;
	u64 mask;
	u8 cpl;
};

enum emul_rc emul_stack_push(struct emul_ctx *ctx, struct emul_stack *st, u64 val,
			     unsigned int bytes);

/* task.c */
enum emul_rc emul_ask_task(struct emul_ctx *ctx, u16 sel, u8 source);

/* far.c */
enum emul_rc emul_read_far(struct emul_ctx *ctx, u16 *sel, u64 *offset);
void emul_commit_cs(struct emul_ctx *ctx, struct emul_seg *cs, unsigned int cpl);
enum emul_rc emul_check_target(struct emul_ctx *ctx, const struct emul_seg *cs, u64 rip);

enum emul_rc emul_deliver_staged(struct emul_ctx *ctx, u8 vector, enum emul_event ev,
				 bool has_error, u32 error, u64 return_rip);

/* The handlers, by file. */
#define EMUL_HANDLERS(H)							\
	/* alu.c */								\
	H(alu) H(test) H(incdec) H(not) H(neg) H(shift) H(shld) H(mul) H(imul2) H(div)	\
	H(bt) H(bsx) H(tzcnt) H(popcnt) H(xadd) H(cmpxchg) H(cmpxchg8b) H(bswap)	\
	H(aad) H(aam) H(aas) H(das) H(crc32) H(adcx) H(flag) H(sahf) H(lahf) H(cbw) H(cwd) \
	/* mov.c */								\
	H(mov) H(movx) H(movbe) H(xchg) H(cmov) H(setcc) H(lea) H(xlat) H(push) H(pop)	\
	H(pusha) H(popa) H(pushf) H(popf) H(enter) H(leave) H(push_sreg) H(pop_sreg)	\
	H(mov_to_sreg) H(mov_from_sreg) H(lseg) H(nop) H(bound) H(arpl) H(salc)	\
	/* flow.c */								\
	H(jmp) H(jmp_abs) H(jcc) H(jcxz) H(loop) H(call) H(call_abs) H(ret)		\
	H(int) H(into) H(ud)							\
	/* seg.c */								\
	H(verr) H(lar)								\
	/* far.c */								\
	H(jmp_far) H(call_far) H(jmp_far_m) H(call_far_m) H(retf) H(iret)		\
	H(syscall) H(sysret) H(sysenter) H(sysexit)				\
	/* string.c */								\
	H(movs) H(cmps) H(stos) H(lods) H(scas) H(ins) H(outs) H(in) H(out)		\
	/* sys.c */								\
	H(sgdt) H(lgdt) H(sldt) H(lldt) H(smsw) H(lmsw) H(sys)				\
	H(mov_cr_r) H(mov_r_cr) H(mov_dr_r) H(mov_r_dr) H(rdmsr) H(wrmsr) H(rdtsc)	\
	H(rdtscp) H(rdpid) H(rdpmc) H(cpuid) H(hlt) H(invlpg) H(invpcid)		\
	H(vmcall) H(vmx) H(monitor) H(mwait) H(xgetbv) H(xsetbv) H(swapgs)	\
	H(clac) H(clflush) H(fsgsbase)						\
	/* vec.c */								\
	H(vmov) H(vmov_half) H(vmov_low) H(vmov_dup) H(movd) H(movq) H(movq2dq) H(vmovmsk) \
	H(maskmov) H(vmaskmov) H(vbroadcast) H(vzero) H(emms) H(mxcsr)			\
	/* x87.c */								\
	H(fwait) H(fpu_cw) H(fpu_sw) H(fpu_reg) H(x87_load) H(x87_store) H(x87_reg) H(fcmov)	\
	H(fnstenv) H(fldenv) H(fxsave) H(fxrstor)

#define EMUL_DECLARE_HANDLER(name) enum emul_rc emul_op_##name(struct emul_ctx *ctx);
EMUL_HANDLERS(EMUL_DECLARE_HANDLER)

#endif
