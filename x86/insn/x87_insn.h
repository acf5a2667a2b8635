/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Execute x87 instructions that move data, on the CPU's x87 registers. Before calling x87_run(),
 * the caller loads the guest's x87 state into the CPU. No exception may be pending in this state,
 * because the CPU would raise the exception in the host. After the call, the caller saves the
 * guest's state and restores the previous registers.
 */
#ifndef OKVM_X86_X87_INSN_H
#define OKVM_X86_X87_INSN_H

#include <linux/types.h>

#define X87_MEM(op, reg, text)							\
	case (op) << 8 | (reg) << 3:						\
		asm volatile(text " (%0)" : : "r" (data) : "memory");		\
		return true

/* An instruction on registers. X87_STS: its eight forms, in which ModRM.r/m names ST(i). */
#define X87_ST(op, modrm, i, text)						\
	case (op) << 8 | ((modrm) + (i)):					\
		asm volatile(text : : : "memory");				\
		return true
#define X87_STS(op, modrm, before, after)					\
	X87_ST(op, modrm, 0, before "%%st(0)" after);				\
	X87_ST(op, modrm, 1, before "%%st(1)" after);				\
	X87_ST(op, modrm, 2, before "%%st(2)" after);				\
	X87_ST(op, modrm, 3, before "%%st(3)" after);				\
	X87_ST(op, modrm, 4, before "%%st(4)" after);				\
	X87_ST(op, modrm, 5, before "%%st(5)" after);				\
	X87_ST(op, modrm, 6, before "%%st(6)" after);				\
	X87_ST(op, modrm, 7, before "%%st(7)" after)

static inline bool x87_run_mem(u8 opcode, u8 modrm, void *data)
{
	switch (opcode << 8 | (modrm & 0x38)) {
	X87_MEM(0xd9, 0, "flds");
	X87_MEM(0xd9, 2, "fsts");
	X87_MEM(0xd9, 3, "fstps");
	X87_MEM(0xd9, 5, "fldcw");
	X87_MEM(0xdb, 0, "fildl");
	X87_MEM(0xdb, 1, "fisttpl");
	X87_MEM(0xdb, 2, "fistl");
	X87_MEM(0xdb, 3, "fistpl");
	X87_MEM(0xdb, 5, "fldt");
	X87_MEM(0xdb, 7, "fstpt");
	X87_MEM(0xdd, 0, "fldl");
	X87_MEM(0xdd, 1, "fisttpll");
	X87_MEM(0xdd, 2, "fstl");
	X87_MEM(0xdd, 3, "fstpl");
	X87_MEM(0xdf, 0, "filds");
	X87_MEM(0xdf, 1, "fisttps");
	X87_MEM(0xdf, 2, "fists");
	X87_MEM(0xdf, 3, "fistps");
	X87_MEM(0xdf, 4, "fbld");
	X87_MEM(0xdf, 5, "fildll");
	X87_MEM(0xdf, 6, "fbstp");
	X87_MEM(0xdf, 7, "fistpll");
	}
	return false;
}

static inline bool x87_run_reg(u8 opcode, u8 modrm)
{
	switch (opcode << 8 | modrm) {
	X87_STS(0xd9, 0xc0, "fld ", "");
	X87_STS(0xd9, 0xc8, "fxch ", "");
	X87_ST(0xd9, 0xd0, 0, "fnop");
	X87_ST(0xd9, 0xe8, 0, "fld1");
	X87_ST(0xd9, 0xe9, 0, "fldl2t");
	X87_ST(0xd9, 0xea, 0, "fldl2e");
	X87_ST(0xd9, 0xeb, 0, "fldpi");
	X87_ST(0xd9, 0xec, 0, "fldlg2");
	X87_ST(0xd9, 0xed, 0, "fldln2");
	X87_ST(0xd9, 0xee, 0, "fldz");
	X87_ST(0xd9, 0xf6, 0, "fdecstp");
	X87_ST(0xd9, 0xf7, 0, "fincstp");
	X87_STS(0xdd, 0xc0, "ffree ", "");
	X87_STS(0xdd, 0xd0, "fst ", "");
	X87_STS(0xdd, 0xd8, "fstp ", "");
	}
	return false;
}

#define X87_FCMOVB(i)								\
	case 0xc0 + (i):							\
		if (cf)								\
			asm volatile("stc; fcmovb %%st(" #i "), %%st" : : : "memory", "cc"); \
		else								\
			asm volatile("clc; fcmovb %%st(" #i "), %%st" : : : "memory", "cc"); \
		return true

static inline bool x87_run_fcmovb(u8 modrm, bool cf)
{
	switch (modrm) {
	X87_FCMOVB(0);
	X87_FCMOVB(1);
	X87_FCMOVB(2);
	X87_FCMOVB(3);
	X87_FCMOVB(4);
	X87_FCMOVB(5);
	X87_FCMOVB(6);
	X87_FCMOVB(7);
	}
	return false;
}

/* Execute an x87 data move. Return: false if this file has no such instruction */
static inline bool x87_run(u8 opcode, u8 modrm, void *data)
{
	if (opcode == 0xda)
		return x87_run_fcmovb(modrm, *(const u8 *)data);
	return modrm >= 0xc0 ? x87_run_reg(opcode, modrm) : x87_run_mem(opcode, modrm, data);
}

#undef X87_MEM
#undef X87_ST
#undef X87_STS
#undef X87_FCMOVB

#endif /* OKVM_X86_X87_INSN_H */
