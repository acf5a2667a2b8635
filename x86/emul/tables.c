// SPDX-License-Identifier: GPL-2.0-only
/*
 * The opcode tables, after SDM volume 2, appendix A: "One-byte Opcode Map", "Two-byte Opcode Map",
 * "Three-byte Opcode Map 0F38H" and "Opcode Extensions For One-Byte And Two-byte Opcodes" (the
 * groups). Entries without a row are undefined opcodes.
 */
#include "internal.h"

/*
 * The six opcodes of one arithmetic operation. @n: the operation, numbered as in opcode 80 /n. @lk:
 * F_LOCK, or F_NOWRITE for CMP
 */
#define ALU6(n, lk)							\
	R(alu, RM, REG, M | B | (lk), .arg = (n)),			\
	R(alu, RM, REG, M | (lk), .arg = (n)),				\
	R(alu, REG, RM, M | B | ((lk) & F_NOWRITE), .arg = (n)),	\
	R(alu, REG, RM, M | ((lk) & F_NOWRITE), .arg = (n)),		\
	R(alu, ACC, IMM, B | ((lk) & F_NOWRITE), .arg = (n)),		\
	R(alu, ACC, IMM, ((lk) & F_NOWRITE), .arg = (n))

#define GRP1(imm, fl) {							\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 0),			\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 1),			\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 2),			\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 3),			\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 4),			\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 5),			\
	R(alu, RM, imm, M | F_LOCK | (fl), .arg = 6),			\
	R(alu, RM, imm, M | F_NOWRITE | (fl), .arg = 7),		\
}

static const struct emul_opcode grp1_80[8] = GRP1(IMM, B);
static const struct emul_opcode grp1_81[8] = GRP1(IMM, 0);
static const struct emul_opcode grp1_82[8] = GRP1(IMM, B | F_NO64);
static const struct emul_opcode grp1_83[8] = GRP1(IMM8, 0);

static const struct emul_opcode grp1a[8] = {
	[0] = R(pop, M, NONE, M | F_D64 | F_WRITES, .arg = 1),
	[1 ... 7] = UNIMPL,	/* XOP */
};

#define GRP2(src, fl) {							\
	R(shift, RM, src, M | (fl), .arg = 0),				\
	R(shift, RM, src, M | (fl), .arg = 1),				\
	R(shift, RM, src, M | (fl), .arg = 2),				\
	R(shift, RM, src, M | (fl), .arg = 3),				\
	R(shift, RM, src, M | (fl), .arg = 4),				\
	R(shift, RM, src, M | (fl), .arg = 5),				\
	R(shift, RM, src, M | (fl), .arg = 4),				\
	R(shift, RM, src, M | (fl), .arg = 7),				\
}

static const struct emul_opcode grp2_c0[8] = GRP2(IMMU8, B);
static const struct emul_opcode grp2_c1[8] = GRP2(IMMU8, 0);
static const struct emul_opcode grp2_d0[8] = GRP2(ONE, B);
static const struct emul_opcode grp2_d1[8] = GRP2(ONE, 0);
static const struct emul_opcode grp2_d2[8] = GRP2(CL, B);
static const struct emul_opcode grp2_d3[8] = GRP2(CL, 0);

#define GRP3(fl) {							\
	R(test, RM, IMM, M | F_NOWRITE | (fl)),				\
	R(test, RM, IMM, M | F_NOWRITE | (fl)),				\
	R(not, RM, NONE, M | F_LOCK | (fl)),				\
	R(neg, RM, NONE, M | F_LOCK | (fl)),				\
	R(mul, RM, NONE, M | F_NOWRITE | (fl), .arg = 0),		\
	R(mul, RM, NONE, M | F_NOWRITE | (fl), .arg = 1),		\
	R(div, RM, NONE, M | F_NOWRITE | (fl), .arg = 0),		\
	R(div, RM, NONE, M | F_NOWRITE | (fl), .arg = 1),		\
}

static const struct emul_opcode grp3_f6[8] = GRP3(B);
static const struct emul_opcode grp3_f7[8] = GRP3(0);

static const struct emul_opcode grp4[8] = {
	[0] = R(incdec, RM, NONE, M | B | F_LOCK, .arg = 0),
	[1] = R(incdec, RM, NONE, M | B | F_LOCK, .arg = 1),
};

static const struct emul_opcode grp5[8] = {
	[0] = R(incdec, RM, NONE, M | F_LOCK, .arg = 0),
	[1] = R(incdec, RM, NONE, M | F_LOCK, .arg = 1),
	[2] = R(call_abs, NONE, RM, M | F_F64 | F_PUSHES),
	[3] = R(call_far_m, NONE, M, M | F_MEM | F_PUSHES),
	[4] = R(jmp_abs, NONE, RM, M | F_F64),
	[5] = R(jmp_far_m, NONE, M, M | F_MEM),
	[6] = R(push, NONE, RM, M | F_D64 | F_PUSHES),
};

static const struct emul_opcode grp6[8] = {
	[0] = R(sldt, M, NONE, M | F_PROT | F_WRITES, .arg = EMUL_LDTR),
	[1] = R(sldt, M, NONE, M | F_PROT | F_WRITES, .arg = EMUL_TR),
	[2] = R(lldt, NONE, RM16, M | F_PROT | F_PRIV, .arg = EMUL_LDTR),
	[3] = R(lldt, NONE, RM16, M | F_PROT | F_PRIV, .arg = EMUL_TR),
	[4] = R(verr, NONE, RM16, M | F_PROT, .arg = 0),
	[5] = R(verr, NONE, RM16, M | F_PROT, .arg = 1),
};

#define VMX	R(vmx, NONE, NONE, M)

static const struct emul_opcode grp7_r0[8] = {
	[0] = UNIMPL_M,
	[1] = R(vmcall, NONE, NONE, M, .arg = 0),
	[2 ... 4] = VMX,
};

static const struct emul_opcode grp7_r1[8] = {
	[0] = R(monitor, NONE, NONE, M),
	[1] = R(mwait, NONE, NONE, M),
	[2] = R(clac, NONE, NONE, M, .arg = 0),
	[3] = R(clac, NONE, NONE, M, .arg = 1),
	[4 ... 7] = UNIMPL_M,
};

static const struct emul_opcode grp7_r2[8] = {
	[0] = R(xgetbv, NONE, NONE, M),
	[1] = R(xsetbv, NONE, NONE, M),
	[4] = VMX,
	[5 ... 7] = UNIMPL_M,
};

static const struct emul_opcode grp7_r3[8] = {
	[0] = VMX,
	[1] = R(vmcall, NONE, NONE, M | F_PROT, .arg = 1),
	[2 ... 7] = VMX,
};

static const struct emul_opcode grp7_r5[8] = {
	[0] = R(nop, NONE, NONE, M),	/* SERIALIZE */
	[6 ... 7] = UNIMPL_M,		/* RDPKRU, WRPKRU */
};

static const struct emul_opcode grp7_r7[8] = {
	[0] = R(swapgs, NONE, NONE, M | F_ONLY64 | F_PRIV),
	[1] = R(rdtscp, NONE, NONE, M),
	[2 ... 7] = UNIMPL_M,
};

static const struct emul_opcode grp7_mem[8] = {
	[0] = R(sgdt, M, NONE, M | F_WRITES, .arg = EMUL_GDT),
	[1] = R(sgdt, M, NONE, M | F_WRITES, .arg = EMUL_IDT),
	[2] = R(lgdt, NONE, M, M | F_PRIV, .arg = EMUL_GDT),
	[3] = R(lgdt, NONE, M, M | F_PRIV, .arg = EMUL_IDT),
	[4] = R(smsw, M, NONE, M | F_WRITES),
	[5] = UNIMPL_M,
	[6] = R(lmsw, NONE, RM16, M | F_PRIV),
	[7] = R(invlpg, NONE, M, M | F_PRIV),
};

static const struct emul_opcode grp7_reg[8] = {
	[0] = S(grp7_r0, F_SEL_RM),
	[1] = S(grp7_r1, F_SEL_RM),
	[2] = S(grp7_r2, F_SEL_RM),
	[3] = S(grp7_r3, F_SEL_RM),
	[4] = R(smsw, RM, NONE, M | F_MOV),
	[5] = S(grp7_r5, F_SEL_RM),
	[6] = R(lmsw, NONE, RM16, M | F_PRIV),
	[7] = S(grp7_r7, F_SEL_RM),
};

static const struct emul_opcode grp7[2] = { S(grp7_mem, F_SEL_REG), S(grp7_reg, F_SEL_REG) };

static const struct emul_opcode grp8[8] = {
	[4] = R(bt, RM, IMMU8, M | F_NOWRITE, .arg = 0),
	[5] = R(bt, RM, IMMU8, M | F_LOCK, .arg = 1),
	[6] = R(bt, RM, IMMU8, M | F_LOCK, .arg = 2),
	[7] = R(bt, RM, IMMU8, M | F_LOCK, .arg = 3),
};

static const struct emul_opcode grp9_reg7[4] = {
	[0] = UNIMPL_M,		/* RDSEED */
	[1] = UNIMPL_M,
	[2] = R(rdpid, NONE, NONE, M),
};

static const struct emul_opcode grp9_mem[8] = {
	[1] = R(cmpxchg8b, NONE, M, M | F_LOCK | F_WRITES | F_NO66),
	[3 ... 5] = UNIMPL_M,
	[6 ... 7] = VMX,
};

static const struct emul_opcode grp9_reg[8] = {
	[6] = UNIMPL_M,		/* RDRAND */
	[7] = S(grp9_reg7, F_SEL_PFX),
};

static const struct emul_opcode grp9[2] = { S(grp9_mem, F_SEL_REG), S(grp9_reg, F_SEL_REG) };

#define GRP11(fl) { [0] = R(mov, RM, IMM, M | F_MOV | F_PLAINMOV | (fl)) }
static const struct emul_opcode grp11_c6[8] = GRP11(B);
static const struct emul_opcode grp11_c7[8] = GRP11(0);

#define NOPM	R(nop, NONE, NONE, M)

static const struct emul_opcode grp15_mem_np[8] = {
	[0] = R(fxsave, NONE, M, M | F_WRITES),
	[1] = R(fxrstor, NONE, M, M),
	[2] = R(mxcsr, NONE, RM32, M, .arg = EMUL_FPU_SET_MXCSR),
	[3] = R(mxcsr, RM32, NONE, M | F_MOV, .arg = EMUL_FPU_GET_MXCSR),
	[4 ... 6] = UNIMPL_M,			/* XSAVE, XRSTOR, XSAVEOPT */
	[7] = R(clflush, NONE, M, M),
};

static const struct emul_opcode grp15_mem_66[8] = {
	[6] = R(clflush, NONE, M, M),		/* CLWB */
	[7] = R(clflush, NONE, M, M),		/* CLFLUSHOPT */
};

static const struct emul_opcode grp15_mem_f3[8] = {
	[4] = UNIMPL_M,
	[6] = UNIMPL_M,
};

static const struct emul_opcode grp15_reg_np[8] = { [5 ... 7] = NOPM };	/* fences */
static const struct emul_opcode grp15_reg_66[8] = { [6] = UNIMPL_M };
static const struct emul_opcode grp15_reg_f2[8] = { [6] = UNIMPL_M };
static const struct emul_opcode grp15_reg_f3[8] = {
	[0] = R(fsgsbase, RM, NONE, M | F_MOV | F_ONLY64, .arg = 0),
	[1] = R(fsgsbase, RM, NONE, M | F_MOV | F_ONLY64, .arg = 1),
	[2] = R(fsgsbase, NONE, RM, M | F_ONLY64, .arg = 2),
	[3] = R(fsgsbase, NONE, RM, M | F_ONLY64, .arg = 3),
	[4 ... 6] = UNIMPL_M,
};

static const struct emul_opcode undefined8[8];

static const struct emul_opcode grp15_mem[4] = {
	S(grp15_mem_np, F_SEL_REG), S(grp15_mem_66, F_SEL_REG),
	S(grp15_mem_f3, F_SEL_REG), S(undefined8, F_SEL_REG),
};

static const struct emul_opcode grp15_reg[4] = {
	S(grp15_reg_np, F_SEL_REG), S(grp15_reg_66, F_SEL_REG),
	S(grp15_reg_f3, F_SEL_REG), S(grp15_reg_f2, F_SEL_REG),
};

static const struct emul_opcode grp15[2] = { S(grp15_mem, F_SEL_PFX), S(grp15_reg, F_SEL_PFX) };

/* Vector moves. Bits of .arg: 1 = address aligned to 16 bytes, 2 = store, 4 = MMX registers */
#define VLOAD(a)	R(vmov, NONE, NONE, M, .arg = (a))
#define VSTORE(a)	R(vmov, NONE, NONE, M | F_WRITES, .arg = (a) | 2)
#define VLOAD_M(a)	R(vmov, NONE, NONE, M | F_MEM, .arg = (a))
#define VSTORE_M(a)	R(vmov, NONE, NONE, M | F_WRITES | F_MEM, .arg = (a) | 2)

/* MOVSS and MOVSD. Bits of .arg: 1 = 8 bytes, 2 = store */
#define VLOW(a) R(vmov_low, NONE, NONE, M | ((a) & 2 ? F_WRITES : 0), .arg = (a))
static const struct emul_opcode pfx_0f10[4] = { VLOAD(0), VLOAD(0), VLOW(0), VLOW(1) };
static const struct emul_opcode pfx_0f11[4] = { VSTORE(0), VSTORE(0), VLOW(2), VLOW(3) };
/* Half moves: MOVLPS, MOVHPS, MOVHLPS, MOVLHPS. Bits of .arg: 1 = high half, 2 = store */
#define VHALF(a) R(vmov_half, NONE, NONE, M | ((a) & 2 ? F_WRITES : 0), .arg = (a))
#define VHALF_M(a) R(vmov_half, NONE, NONE, M | F_MEM | ((a) & 2 ? F_WRITES : 0), .arg = (a))
/* .arg: 0 MOVDDUP, 1 MOVSLDUP, 2 MOVSHDUP */
#define VDUP(a) R(vmov_dup, NONE, NONE, M, .arg = (a))
static const struct emul_opcode pfx_0f12[4] = { VHALF(0), VHALF_M(0), VDUP(1), VDUP(0) };
static const struct emul_opcode pfx_0f13[4] = { VHALF_M(2), VHALF_M(2) };
static const struct emul_opcode pfx_0f16[4] = { VHALF(1), VHALF_M(1), VDUP(2) };

static const struct emul_opcode pfx_0f17[4] = { VHALF_M(3), VHALF_M(3) };
static const struct emul_opcode pfx_0f28[4] = { VLOAD(1), VLOAD(1) };
static const struct emul_opcode pfx_0f29[4] = { VSTORE(1), VSTORE(1) };
static const struct emul_opcode pfx_0f2b[4] = { VSTORE_M(1), VSTORE_M(1), UNIMPL_M, UNIMPL_M };
static const struct emul_opcode pfx_0f6f[4] = { VLOAD(4), VLOAD(1), VLOAD(0) };
static const struct emul_opcode pfx_0f7f[4] = { VSTORE(4), VSTORE(1), VSTORE(0) };
static const struct emul_opcode pfx_0fe7[4] = { VSTORE_M(4), VSTORE_M(1), UNIMPL_M, UNIMPL_M };
/* MOVD and MOVQ. Bits of .arg: 1 = XMM register, 2 = store */
#define MOVD(a) R(movd, NONE, NONE, M | F_NO66 | ((a) & 2 ? F_WRITES : 0), .arg = (a))
static const struct emul_opcode pfx_0f6e[4] = { MOVD(0), MOVD(1) };
#define MOVQ(a) R(movq, NONE, NONE, M | ((a) & 2 ? F_WRITES : 0), .arg = (a))
static const struct emul_opcode pfx_0f7e[4] = { MOVD(2), MOVD(3), MOVQ(1) };
/* MOVQ2DQ (.arg 0) and MOVDQ2Q (.arg 1) */
static const struct emul_opcode pfx_0fd6[4] = {
	[1] = MOVQ(3), [2] = R(movq2dq, NONE, NONE, M, .arg = 0),
	[3] = R(movq2dq, NONE, NONE, M, .arg = 1),
};

/* MOVMSKPS, MOVMSKPD, PMOVMSKB: .arg is an element's size in bytes, plus 0x80 for MMX registers */
#define VMSK(a) R(vmovmsk, NONE, NONE, M, .arg = (a))
static const struct emul_opcode pfx_0f50[4] = { VMSK(4), VMSK(8) };
static const struct emul_opcode pfx_0fd7[4] = { VMSK(0x81), VMSK(1) };
/* MASKMOVQ and MASKMOVDQU: .arg 4 = MMX registers */
static const struct emul_opcode pfx_0ff7[4] = {
	R(maskmov, NONE, NONE, M | F_PUSHES, .arg = 4), R(maskmov, NONE, NONE, M | F_PUSHES),
};

static const struct emul_opcode pfx_0ff0[4] = { [3] = VLOAD_M(0) };
static const struct emul_opcode pfx_0f77[4] = { R(emms, NONE, NONE, 0) };
static const struct emul_opcode pfx_0f78[4] = { VMX, UNIMPL_M, {}, UNIMPL_M };

static const struct emul_opcode pfx_0fb8[4] = { [2] = R(popcnt, REG, RM, M | F_MOV) };

/* MOVNTI */
static const struct emul_opcode pfx_0fc3[4] = {
	R(mov, RM, REG, M | F_MOV | F_MEM | F_PLAINMOV | F_NO66)
};

#define BSCAN(a) {							\
	R(bsx, REG, RM, M, .arg = (a)), R(bsx, REG, RM, M, .arg = (a)),	\
	R(tzcnt, REG, RM, M | F_MOV, .arg = (a)),			\
	R(bsx, REG, RM, M, .arg = (a)),					\
}

static const struct emul_opcode pfx_0fbc[4] = BSCAN(0);
static const struct emul_opcode pfx_0fbd[4] = BSCAN(1);
static const struct emul_opcode pfx_0f09[4] = {
	[0 ... 3] = R(sys, NONE, NONE, F_PRIV, .arg = EMUL_SYS_WBINVD)
};

static const struct emul_opcode pfx_90[4] = {
	R(xchg, OPREG, ACC, 0), R(xchg, OPREG, ACC, 0),
	R(sys, NONE, NONE, 0, .arg = EMUL_SYS_PAUSE), R(xchg, OPREG, ACC, 0),
};

/*
 * x87: moves, and the instructions by which software detects and initializes an FPU. .arg of a move
 * is the operand's size in bytes. .arg = 1 makes FNSTENV an FNSAVE, and FLDENV an FRSTOR.
 */
#define XLOAD(n)	R(x87_load, NONE, M, M, .arg = (n))
#define XSTORE(n)	R(x87_store, NONE, M, M | F_WRITES, .arg = (n))
#define XREG		R(x87_reg, NONE, NONE, M)

static const struct emul_opcode x87_d9_mem[8] = {
	XLOAD(4), {}, XSTORE(4), XSTORE(4),
	R(fldenv, NONE, M, M, .arg = 0),
	R(fpu_cw, NONE, RM16, M, .arg = EMUL_FPU_SET_CW),
	R(fnstenv, NONE, M, M | F_WRITES, .arg = 0),
	R(fpu_cw, RM16, NONE, M | F_MOV, .arg = EMUL_FPU_GET_CW),
};

static const struct emul_opcode x87_db_mem[8] = {
	XLOAD(4), XSTORE(4), XSTORE(4), XSTORE(4), {}, XLOAD(10), {}, XSTORE(10),
};

static const struct emul_opcode x87_dd_mem[8] = {
	XLOAD(8), XSTORE(8), XSTORE(8), XSTORE(8),
	R(fldenv, NONE, M, M, .arg = 1), {},
	R(fnstenv, NONE, M, M | F_WRITES, .arg = 1),
	R(fpu_sw, RM16, NONE, M | F_MOV),
};

static const struct emul_opcode x87_df_mem[8] = {
	XLOAD(2), XSTORE(2), XSTORE(2), XSTORE(2), XLOAD(10), XLOAD(8), XSTORE(10), XSTORE(8),
};

/*
 * Opcode D9 with registers: FLD, FXCH, FNOP, the loads of constants, FDECSTP and FINCSTP are
 * emulated, but no arithmetic.
 */
static const struct emul_opcode x87_d9_d[8] = { [0] = XREG };
static const struct emul_opcode x87_d9_e8[8] = { [0 ... 6] = XREG };
static const struct emul_opcode x87_d9_f[8] = { [0 ... 5] = UNIMPL, [6 ... 7] = XREG };
static const struct emul_opcode x87_d9_reg[8] = {
	XREG, XREG, S(x87_d9_d, F_SEL_RM), UNIMPL, UNIMPL, S(x87_d9_e8, F_SEL_RM),
	S(x87_d9_f, F_SEL_RM), UNIMPL,
};

static const struct emul_opcode x87_db_e[8] = {
	[2] = R(fpu_reg, NONE, NONE, M, .arg = EMUL_FPU_CLEX),
	[3] = R(fpu_reg, NONE, NONE, M, .arg = EMUL_FPU_INIT),
	[0 ... 1] = NOPM, [4] = NOPM,		/* FNENI, FNDISI, FNSETPM */
};

static const struct emul_opcode x87_df_e[8] = {
	[0] = R(fpu_sw, ACC, NONE, M | F_MOV, .arg = 1),
};

/* FCMOVcc; comparisons are not emulated */
#define FCMOV	R(fcmov, NONE, NONE, M)
static const struct emul_opcode x87_da_reg[8] = { [0 ... 3] = FCMOV, [5] = UNIMPL };
static const struct emul_opcode x87_db_reg[8] = {
	[0 ... 3] = FCMOV, [4] = S(x87_db_e, F_SEL_RM), [5 ... 6] = UNIMPL,
};

/* FFREE, FST, FSTP */
static const struct emul_opcode x87_dd_reg[8] = {
	XREG, UNIMPL, XREG, XREG, [4 ... 5] = UNIMPL,
};

static const struct emul_opcode x87_df_reg[8] = {
	[0 ... 3] = UNIMPL, [4] = S(x87_df_e, F_SEL_RM), [5 ... 6] = UNIMPL,
};

static const struct emul_opcode x87_d9[2] = { S(x87_d9_mem, F_SEL_REG), S(x87_d9_reg, F_SEL_REG) };
static const struct emul_opcode x87_da[2] = { UNIMPL, S(x87_da_reg, F_SEL_REG) };
static const struct emul_opcode x87_db[2] = { S(x87_db_mem, F_SEL_REG), S(x87_db_reg, F_SEL_REG) };
static const struct emul_opcode x87_dd[2] = { S(x87_dd_mem, F_SEL_REG), S(x87_dd_reg, F_SEL_REG) };
static const struct emul_opcode x87_df[2] = { S(x87_df_mem, F_SEL_REG), S(x87_df_reg, F_SEL_REG) };

#define PUSH_SREG(n, fl) R(push_sreg, NONE, NONE, F_D64 | F_PUSHES | (fl), .arg = (n))
#define POP_SREG(n, fl) R(pop_sreg, NONE, NONE, F_D64 | (fl), .arg = (n))
#define STR(n, fl) R(n, NONE, NONE, F_STRING | F_BYTE | (fl)), R(n, NONE, NONE, F_STRING | (fl))

/* Opcode 63 is MOVSXD in 64-bit mode, otherwise ARPL. */
const struct emul_opcode emul_row_movsxd =
	R(movx, REG, RM32, M | F_MOV | F_PLAINMOV, .arg = 1);

const struct emul_opcode emul_map_1b[256] = {
	[0x00] = ALU6(0, F_LOCK), PUSH_SREG(EMUL_ES, F_NO64), POP_SREG(EMUL_ES, F_NO64),
	[0x08] = ALU6(1, F_LOCK), PUSH_SREG(EMUL_CS, F_NO64),
	[0x10] = ALU6(2, F_LOCK), PUSH_SREG(EMUL_SS, F_NO64), POP_SREG(EMUL_SS, F_NO64),
	[0x18] = ALU6(3, F_LOCK), PUSH_SREG(EMUL_DS, F_NO64), POP_SREG(EMUL_DS, F_NO64),
	[0x20] = ALU6(4, F_LOCK), [0x27] = R(das, NONE, NONE, F_NO64, .arg = 0),
	[0x28] = ALU6(5, F_LOCK), [0x2f] = R(das, NONE, NONE, F_NO64, .arg = 1),
	[0x30] = ALU6(6, F_LOCK), [0x37] = R(aas, NONE, NONE, F_NO64, .arg = 0),
	[0x38] = ALU6(7, F_NOWRITE), [0x3f] = R(aas, NONE, NONE, F_NO64, .arg = 1),
	[0x40 ... 0x47] = R(incdec, OPREG, NONE, F_NO64, .arg = 0),
	[0x48 ... 0x4f] = R(incdec, OPREG, NONE, F_NO64, .arg = 1),
	[0x50 ... 0x57] = R(push, NONE, OPREG, F_D64 | F_PUSHES),
	[0x58 ... 0x5f] = R(pop, OPREG, NONE, F_D64 | F_MOV),
	[0x60] = R(pusha, NONE, NONE, F_NO64 | F_PUSHES),
	[0x61] = R(popa, NONE, NONE, F_NO64),
	[0x62] = R(bound, REG, M, M | F_MEM | F_NO64 | F_NOWRITE),
	[0x63] = R(arpl, RM16, REG, M | F_PROT),
	[0x68] = R(push, NONE, IMM, F_D64 | F_PUSHES),
	[0x69] = R(imul2, REG, RM, M | F_MOV, .src2 = O_IMM),
	[0x6a] = R(push, NONE, IMM8, F_D64 | F_PUSHES),
	[0x6b] = R(imul2, REG, RM, M | F_MOV, .src2 = O_IMM8),
	[0x6c] = STR(ins, F_WRITES), STR(outs, 0),
	[0x70 ... 0x7f] = R(jcc, NONE, IMM8, F_F64),
	[0x80] = S(grp1_80, F_SEL_REG), S(grp1_81, F_SEL_REG), S(grp1_82, F_SEL_REG),
		 S(grp1_83, F_SEL_REG),
	[0x84] = R(test, RM, REG, M | B | F_NOWRITE), R(test, RM, REG, M | F_NOWRITE),
	[0x86] = R(xchg, RM, REG, M | B | F_LOCK), R(xchg, RM, REG, M | F_LOCK),
	[0x88] = R(mov, RM, REG, M | B | F_MOV | F_PLAINMOV),
		 R(mov, RM, REG, M | F_MOV | F_PLAINMOV),
		 R(mov, REG, RM, M | B | F_MOV | F_PLAINMOV),
		 R(mov, REG, RM, M | F_MOV | F_PLAINMOV),
	[0x8c] = R(mov_from_sreg, M, NONE, M | F_WRITES),
	[0x8d] = R(lea, REG, M, M | F_MOV | F_MEM),
	[0x8e] = R(mov_to_sreg, NONE, RM16, M),
	[0x8f] = S(grp1a, F_SEL_REG),
	[0x90] = S(pfx_90, F_SEL_PFX),
	[0x91 ... 0x97] = R(xchg, OPREG, ACC, 0),
	[0x98] = R(cbw, NONE, NONE, 0), R(cwd, NONE, NONE, 0),
	[0x9a] = R(call_far, NONE, FAR, F_NO64 | F_PUSHES),
	[0x9b] = R(fwait, NONE, NONE, 0),
	[0x9c] = R(pushf, NONE, NONE, F_D64 | F_PUSHES), R(popf, NONE, NONE, F_D64),
	[0x9e] = R(sahf, NONE, NONE, 0), R(lahf, NONE, NONE, 0),
	[0xa0] = R(mov, ACC, MOFFS, B | F_MOV | F_PLAINMOV),
		 R(mov, ACC, MOFFS, F_MOV | F_PLAINMOV),
		 R(mov, MOFFS, ACC, B | F_MOV | F_PLAINMOV),
		 R(mov, MOFFS, ACC, F_MOV | F_PLAINMOV),
	[0xa4] = STR(movs, F_WRITES), STR(cmps, 0),
	[0xa8] = R(test, ACC, IMM, B | F_NOWRITE), R(test, ACC, IMM, F_NOWRITE),
	[0xaa] = STR(stos, F_WRITES), STR(lods, 0), STR(scas, 0),
	[0xb0 ... 0xb7] = R(mov, OPREG, IMM, B | F_MOV),
	[0xb8 ... 0xbf] = R(mov, OPREG, IMMV, F_MOV),
	[0xc0] = S(grp2_c0, F_SEL_REG), S(grp2_c1, F_SEL_REG),
	[0xc2] = R(ret, NONE, IMMU16, F_F64), R(ret, NONE, NONE, F_F64),
	[0xc4] = R(lseg, REG, M, M | F_MOV | F_MEM | F_NO64, .arg = EMUL_ES),
		 R(lseg, REG, M, M | F_MOV | F_MEM | F_NO64, .arg = EMUL_DS),
	[0xc6] = S(grp11_c6, F_SEL_REG), S(grp11_c7, F_SEL_REG),
	[0xc8] = R(enter, NONE, IMMU16, F_D64 | F_PUSHES, .src2 = O_IMMU8),
		 R(leave, NONE, NONE, F_D64),
	[0xca] = R(retf, NONE, IMMU16, 0), R(retf, NONE, NONE, 0),
	[0xcc] = R(int, NONE, NONE, F_PUSHES, .arg = 3), R(int, NONE, IMMU8, F_PUSHES),
		 R(into, NONE, NONE, F_NO64 | F_PUSHES), R(iret, NONE, NONE, 0),
	[0xd0] = S(grp2_d0, F_SEL_REG), S(grp2_d1, F_SEL_REG), S(grp2_d2, F_SEL_REG),
		 S(grp2_d3, F_SEL_REG),
	[0xd4] = R(aam, NONE, IMMU8, F_NO64), R(aad, NONE, IMMU8, F_NO64),
		 R(salc, NONE, NONE, F_NO64), R(xlat, NONE, NONE, B),
	[0xd8] = UNIMPL_M, S(x87_d9, F_SEL_MOD), S(x87_da, F_SEL_MOD), S(x87_db, F_SEL_MOD),
		 UNIMPL_M, S(x87_dd, F_SEL_MOD), UNIMPL_M, S(x87_df, F_SEL_MOD),
	[0xe0 ... 0xe2] = R(loop, NONE, IMM8, F_F64),
	[0xe3] = R(jcxz, NONE, IMM8, F_F64),
	[0xe4] = R(in, ACC, IMMU8, B | F_MOV), R(in, ACC, IMMU8, F_MOV),
		 R(out, NONE, IMMU8, B), R(out, NONE, IMMU8, 0),
	[0xe8] = R(call, NONE, REL, F_F64 | F_PUSHES), R(jmp, NONE, REL, F_F64),
		 R(jmp_far, NONE, FAR, F_NO64), R(jmp, NONE, IMM8, F_F64),
	[0xec] = R(in, ACC, DX, B | F_MOV), R(in, ACC, DX, F_MOV),
		 R(out, NONE, DX, B), R(out, NONE, DX, 0),
	[0xf1] = R(int, NONE, NONE, F_PUSHES, .arg = 1),
	[0xf4] = R(hlt, NONE, NONE, F_PRIV),
	[0xf5] = R(flag, NONE, NONE, 0),
	[0xf6] = S(grp3_f6, F_SEL_REG), S(grp3_f7, F_SEL_REG),
	[0xf8 ... 0xfd] = R(flag, NONE, NONE, 0),
	[0xfe] = S(grp4, F_SEL_REG), S(grp5, F_SEL_REG),
};

const struct emul_opcode emul_map_0f[256] = {
	[0x00] = S(grp6, F_SEL_REG), S(grp7, F_SEL_MOD),
	[0x02] = R(lar, REG, RM16, M | F_PROT, .arg = 0), R(lar, REG, RM16, M | F_PROT, .arg = 1),
	[0x05] = R(syscall, NONE, NONE, F_PROT),
	[0x06] = R(sys, NONE, NONE, F_PRIV, .arg = EMUL_SYS_CLTS),
	[0x07] = R(sysret, NONE, NONE, F_ONLY64 | F_PRIV),
	[0x08] = R(sys, NONE, NONE, F_PRIV, .arg = EMUL_SYS_INVD), S(pfx_0f09, F_SEL_PFX),
	[0x0b] = R(ud, NONE, NONE, 0),
	[0x0d] = NOPM,			/* PREFETCHW */
	[0x10] = S(pfx_0f10, F_SEL_PFX), S(pfx_0f11, F_SEL_PFX), S(pfx_0f12, F_SEL_PFX),
		 S(pfx_0f13, F_SEL_PFX), UNIMPL_M, UNIMPL_M, S(pfx_0f16, F_SEL_PFX),
		 S(pfx_0f17, F_SEL_PFX),
	[0x18 ... 0x1f] = NOPM,		/* hints: PREFETCHh, ENDBR, multi-byte NOP */
	[0x20] = R(mov_r_cr, RM, NONE, M | F_REGS | F_MOV),
		 R(mov_r_dr, RM, NONE, M | F_REGS | F_MOV),
		 R(mov_cr_r, NONE, RM, M | F_REGS),
		 R(mov_dr_r, NONE, RM, M | F_REGS),
	[0x28] = S(pfx_0f28, F_SEL_PFX), S(pfx_0f29, F_SEL_PFX), UNIMPL_M, S(pfx_0f2b, F_SEL_PFX),
	[0x2c ... 0x2f] = UNIMPL_M,
	[0x30] = R(wrmsr, NONE, NONE, F_PRIV), R(rdtsc, NONE, NONE, 0),
		 R(rdmsr, NONE, NONE, F_PRIV), R(rdpmc, NONE, NONE, 0),
		 R(sysenter, NONE, NONE, 0), R(sysexit, NONE, NONE, F_PRIV),
	[0x37] = R(vmx, NONE, NONE, 0),
	[0x40 ... 0x4f] = R(cmov, REG, RM, M),
	[0x50] = S(pfx_0f50, F_SEL_PFX),
	[0x51 ... 0x6d] = UNIMPL_M,
	[0x6e] = S(pfx_0f6e, F_SEL_PFX), S(pfx_0f6f, F_SEL_PFX),
	[0x70 ... 0x76] = UNIMPL_M,
	[0x77] = S(pfx_0f77, F_SEL_PFX),
	[0x78] = S(pfx_0f78, F_SEL_PFX), S(pfx_0f78, F_SEL_PFX),
	[0x7c ... 0x7d] = UNIMPL_M,
	[0x7e] = S(pfx_0f7e, F_SEL_PFX), S(pfx_0f7f, F_SEL_PFX),
	[0x80 ... 0x8f] = R(jcc, NONE, REL, F_F64),
	[0x90 ... 0x9f] = R(setcc, RM, NONE, M | B | F_MOV),
	[0xa0] = PUSH_SREG(EMUL_FS, 0), POP_SREG(EMUL_FS, 0), R(cpuid, NONE, NONE, 0),
	[0xa3] = R(bt, RM, REG, M | F_NOWRITE, .arg = 0x80),
	[0xa4] = R(shld, RM, REG, M, .src2 = O_IMMU8, .arg = 0),
		 R(shld, RM, REG, M, .src2 = O_CL, .arg = 0),
	[0xa8] = PUSH_SREG(EMUL_GS, 0), POP_SREG(EMUL_GS, 0), R(vmx, NONE, NONE, 0),
	[0xab] = R(bt, RM, REG, M | F_LOCK, .arg = 0x81),
	[0xac] = R(shld, RM, REG, M, .src2 = O_IMMU8, .arg = 1),
		 R(shld, RM, REG, M, .src2 = O_CL, .arg = 1),
	[0xae] = S(grp15, F_SEL_MOD), R(imul2, REG, RM, M),
	[0xb0] = R(cmpxchg, RM, REG, M | B | F_LOCK), R(cmpxchg, RM, REG, M | F_LOCK),
	[0xb2] = R(lseg, REG, M, M | F_MOV | F_MEM, .arg = EMUL_SS),
	[0xb3] = R(bt, RM, REG, M | F_LOCK, .arg = 0x82),
	[0xb4] = R(lseg, REG, M, M | F_MOV | F_MEM, .arg = EMUL_FS),
		 R(lseg, REG, M, M | F_MOV | F_MEM, .arg = EMUL_GS),
	[0xb6] = R(movx, REG, RM8, M | F_MOV | F_PLAINMOV, .arg = 0),
		 R(movx, REG, RM16, M | F_MOV | F_PLAINMOV, .arg = 0),
	[0xb8] = S(pfx_0fb8, F_SEL_PFX), R(ud, NONE, NONE, M), S(grp8, F_SEL_REG),
	[0xbb] = R(bt, RM, REG, M | F_LOCK, .arg = 0x83),
	[0xbc] = S(pfx_0fbc, F_SEL_PFX), S(pfx_0fbd, F_SEL_PFX),
	[0xbe] = R(movx, REG, RM8, M | F_MOV | F_PLAINMOV, .arg = 1),
		 R(movx, REG, RM16, M | F_MOV | F_PLAINMOV, .arg = 1),
	[0xc0] = R(xadd, RM, REG, M | B | F_LOCK), R(xadd, RM, REG, M | F_LOCK), UNIMPL_M,
		 S(pfx_0fc3, F_SEL_PFX),
		 UNIMPL_M, UNIMPL_M, UNIMPL_M, S(grp9, F_SEL_MOD),
	[0xc8 ... 0xcf] = R(bswap, OPREG, NONE, 0),
	[0xd0 ... 0xd5] = UNIMPL_M, [0xd6] = S(pfx_0fd6, F_SEL_PFX), S(pfx_0fd7, F_SEL_PFX),
	[0xd8 ... 0xe6] = UNIMPL_M, [0xe7] = S(pfx_0fe7, F_SEL_PFX),
	[0xe8 ... 0xef] = UNIMPL_M, [0xf0] = S(pfx_0ff0, F_SEL_PFX),
	[0xf1 ... 0xf6] = UNIMPL_M, [0xf7] = S(pfx_0ff7, F_SEL_PFX),
	[0xf8 ... 0xfe] = UNIMPL_M,
	[0xff] = R(ud, NONE, NONE, M),
};

static const struct emul_opcode pfx_0f38f0[4] = {
	R(movbe, REG, RM, M | F_MOV | F_MEM), R(movbe, REG, RM, M | F_MOV | F_MEM), {},
	R(crc32, REG, RM8, M | F_NO66),
};

static const struct emul_opcode pfx_0f38f1[4] = {
	R(movbe, RM, REG, M | F_MOV | F_MEM), R(movbe, RM, REG, M | F_MOV | F_MEM), {},
	R(crc32, REG, RM, M),
};

static const struct emul_opcode pfx_0f38f6[4] = {
	UNIMPL_M, R(adcx, REG, RM, M | F_NO66, .arg = 0),
	R(adcx, REG, RM, M | F_NO66, .arg = 1),
};

static const struct emul_opcode pfx_0f382a[4] = { [1] = VLOAD_M(1) };
static const struct emul_opcode pfx_0f3880[4] = { [1] = VMX };
static const struct emul_opcode pfx_0f3882[4] = {
	[1] = R(invpcid, NONE, M, M | F_MEM | F_PRIV | F_NO66)
};

/* Return the row of opcode 0F38xx. Most of this map is empty, so a switch replaces the table. */
const struct emul_opcode *emul_map_0f38(u8 opcode)
{
	static const struct emul_opcode rows[] = {
		S(pfx_0f38f0, F_SEL_PFX), S(pfx_0f38f1, F_SEL_PFX), S(pfx_0f38f6, F_SEL_PFX),
		S(pfx_0f382a, F_SEL_PFX), S(pfx_0f3880, F_SEL_PFX), S(pfx_0f3882, F_SEL_PFX),
		UNIMPL_M,
	};

	switch (opcode) {
	case 0xf0:
		return &rows[0];
	case 0xf1:
		return &rows[1];
	case 0xf6:
		return &rows[2];
	case 0x2a:
		return &rows[3];
	case 0x80:
	case 0x81:
		return &rows[4];
	case 0x82:
		return &rows[5];
	default:
		return &rows[6];
	}
}
