// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulated opcodes with a VEX prefix (SDM volume 2, "Intel AVX Instruction Format" and appendix
 * A): data moves, VZEROUPPER, VZEROALL, and the load and store of MXCSR. Most opcodes have the same
 * handlers as without VEX. The handlers vbroadcast, vmaskmov and vzero are for instructions that
 * exist only with VEX. Few opcodes of the maps are emulated, so this file has a list, not tables.
 */
#include <linux/kernel.h>

#include "internal.h"

/* Whole vector moves. Bits of .arg: 1 = aligned address, 2 = store */
#define VX_MOV(a)		R(vmov, NONE, NONE, M | ((a) & 2 ? F_WRITES : 0), .arg = (a))
#define VX_MOV_M(a)	R(vmov, NONE, NONE, M | F_MEM | ((a) & 2 ? F_WRITES : 0), .arg = (a))

/*
 * Scalar moves. Bits of .arg: 1 = 8 bytes, 2 = store. If both operands are registers, the other
 * bytes of the result come from register VEX.vvvv.
 */
#define VX_LOW_M(a)	R(vmov_low, NONE, NONE, M | ((a) & 2 ? F_WRITES : 0), .arg = (a))
#define VX_LOW_R(a)	R(vmov_low, NONE, NONE, M | F_VVVV, .arg = (a))
static const struct emul_opcode low4[2] = { VX_LOW_M(0), VX_LOW_R(0) };
static const struct emul_opcode low8[2] = { VX_LOW_M(1), VX_LOW_R(1) };
static const struct emul_opcode low4_store[2] = { VX_LOW_M(2), VX_LOW_R(2) };
static const struct emul_opcode low8_store[2] = { VX_LOW_M(3), VX_LOW_R(3) };
static const struct emul_opcode vex_10[4] = {
	VX_MOV(0), VX_MOV(0), S(low4, F_SEL_MOD), S(low8, F_SEL_MOD),
};

static const struct emul_opcode vex_11[4] = {
	VX_MOV(2), VX_MOV(2), S(low4_store, F_SEL_MOD), S(low8_store, F_SEL_MOD),
};

/* Moves of half an XMM register. Bits of .arg: 1 = high half, 2 = store */
#define VX_HALF(a)		R(vmov_half, NONE, NONE, M | F_L0 | F_VVVV, .arg = (a))
#define VX_HALF_M(a)	R(vmov_half, NONE, NONE, M | F_MEM | F_L0 | F_VVVV, .arg = (a))
#define VX_HALF_ST(a)	R(vmov_half, NONE, NONE, M | F_MEM | F_L0 | F_WRITES, .arg = (a))
#define VX_DUP(a)		R(vmov_dup, NONE, NONE, M, .arg = (a))
static const struct emul_opcode vex_12[4] = { VX_HALF(0), VX_HALF_M(0), VX_DUP(1), VX_DUP(0) };
static const struct emul_opcode vex_13[4] = { VX_HALF_ST(2), VX_HALF_ST(2) };
static const struct emul_opcode vex_16[4] = { VX_HALF(1), VX_HALF_M(1), VX_DUP(2) };
static const struct emul_opcode vex_17[4] = { VX_HALF_ST(3), VX_HALF_ST(3) };
static const struct emul_opcode vex_28[4] = { VX_MOV(1), VX_MOV(1) };
static const struct emul_opcode vex_29[4] = { VX_MOV(3), VX_MOV(3) };
static const struct emul_opcode vex_2b[4] = { VX_MOV_M(3), VX_MOV_M(3) };
static const struct emul_opcode vex_e7[4] = { [1] = VX_MOV_M(3) };
static const struct emul_opcode vex_6f[4] = { [1] = VX_MOV(1), [2] = VX_MOV(0) };
static const struct emul_opcode vex_7f[4] = { [1] = VX_MOV(3), [2] = VX_MOV(2) };
static const struct emul_opcode vex_f0[4] = { [3] = VX_MOV_M(0) };
static const struct emul_opcode vex_2a_38[4] = { [1] = VX_MOV_M(1) };

/* VMOVMSKPS, VMOVMSKPD and VPMOVMSKB. .arg: bytes of a vector element */
#define VX_MSK(a)		R(vmovmsk, NONE, NONE, M, .arg = (a))
static const struct emul_opcode vex_50[4] = { VX_MSK(4), VX_MSK(8) };
static const struct emul_opcode vex_d7[4] = { [1] = VX_MSK(1) };

/* MOVD and MOVQ. Bits of .arg, as in tables.c: 1 = XMM register, else MMX register; 2 = store */
#define VX_MOVD(a)		R(movd, NONE, NONE, M | F_L0 | ((a) & 2 ? F_WRITES : 0), .arg = (a))
#define VX_MOVQ(a)		R(movq, NONE, NONE, M | F_L0 | ((a) & 2 ? F_WRITES : 0), .arg = (a))
static const struct emul_opcode vex_6e[4] = { [1] = VX_MOVD(1) };
static const struct emul_opcode vex_7e[4] = { [1] = VX_MOVD(3), [2] = VX_MOVQ(1) };
static const struct emul_opcode vex_d6[4] = { [1] = VX_MOVQ(3) };
static const struct emul_opcode vex_77[4] = { R(vzero, NONE, NONE, 0) };
static const struct emul_opcode vex_f7[4] = { [1] = R(maskmov, NONE, NONE, M | F_L0 | F_PUSHES) };

static const struct emul_opcode vex_ae_reg[8] = {
	[2] = R(mxcsr, NONE, RM32, M | F_MEM | F_L0, .arg = EMUL_FPU_SET_MXCSR),
	[3] = R(mxcsr, RM32, NONE, M | F_MEM | F_L0 | F_MOV, .arg = EMUL_FPU_GET_MXCSR),
};

static const struct emul_opcode vex_ae[4] = { S(vex_ae_reg, F_SEL_REG) };

/*
 * VBROADCASTxx and VPBROADCASTx. .arg: bytes of an element. VBROADCASTxx with elements of 8 or 16
 * bytes needs VEX.L.
 */
#define VX_BCAST(n, fl)	{ [1] = R(vbroadcast, NONE, NONE, M | (fl), .arg = (n)) }
static const struct emul_opcode vex_18_38[4] = VX_BCAST(4, 0);
static const struct emul_opcode vex_19_38[4] = VX_BCAST(8, F_L1);
static const struct emul_opcode vex_1a_38[4] = VX_BCAST(16, F_L1 | F_MEM);
static const struct emul_opcode vex_59_38[4] = VX_BCAST(8, 0);
static const struct emul_opcode vex_78_38[4] = VX_BCAST(1, 0);
static const struct emul_opcode vex_79_38[4] = VX_BCAST(2, 0);

/*
 * VMASKMOVPx, VPMASKMOVx. .arg: size of an element in bytes (0: VEX.W selects 4 or 8), plus 2 for a
 * store
 */
#define VX_MASKED(a)	{ [1] = R(vmaskmov, NONE, NONE, M | F_MEM | F_VVVV | \
				  ((a) & 2 ? F_WRITES : 0), .arg = (a)) }
static const struct emul_opcode vex_2c_38[4] = VX_MASKED(4);
static const struct emul_opcode vex_2d_38[4] = VX_MASKED(8);
static const struct emul_opcode vex_2e_38[4] = VX_MASKED(4 | 2);
static const struct emul_opcode vex_2f_38[4] = VX_MASKED(8 | 2);
static const struct emul_opcode vex_8c_38[4] = VX_MASKED(0);
static const struct emul_opcode vex_8e_38[4] = VX_MASKED(2);

#define VX_ROW(m, op, table) { EMUL_MAP_##m, op, S(table, F_SEL_PFX) }

const struct emul_opcode *emul_map_vex(enum emul_map map, u8 opcode)
{
	static const struct { u8 map, opcode; struct emul_opcode row; } rows[] = {
		VX_ROW(0F, 0x10, vex_10), VX_ROW(0F, 0x11, vex_11), VX_ROW(0F, 0x12, vex_12),
		VX_ROW(0F, 0x13, vex_13), VX_ROW(0F, 0x16, vex_16), VX_ROW(0F, 0x17, vex_17),
		VX_ROW(0F, 0x28, vex_28), VX_ROW(0F, 0x29, vex_29), VX_ROW(0F, 0x2b, vex_2b),
		VX_ROW(0F, 0x50, vex_50), VX_ROW(0F, 0x6e, vex_6e), VX_ROW(0F, 0x6f, vex_6f),
		VX_ROW(0F, 0x77, vex_77), VX_ROW(0F, 0x7e, vex_7e), VX_ROW(0F, 0x7f, vex_7f),
		VX_ROW(0F, 0xae, vex_ae), VX_ROW(0F, 0xd6, vex_d6), VX_ROW(0F, 0xd7, vex_d7),
		VX_ROW(0F, 0xe7, vex_e7), VX_ROW(0F, 0xf0, vex_f0), VX_ROW(0F, 0xf7, vex_f7),
		VX_ROW(0F38, 0x18, vex_18_38), VX_ROW(0F38, 0x19, vex_19_38),
		VX_ROW(0F38, 0x1a, vex_1a_38),
		VX_ROW(0F38, 0x2a, vex_2a_38), VX_ROW(0F38, 0x2c, vex_2c_38),
		VX_ROW(0F38, 0x2d, vex_2d_38),
		VX_ROW(0F38, 0x2e, vex_2e_38), VX_ROW(0F38, 0x2f, vex_2f_38),
		VX_ROW(0F38, 0x58, vex_18_38), VX_ROW(0F38, 0x59, vex_59_38),
		VX_ROW(0F38, 0x5a, vex_1a_38),
		VX_ROW(0F38, 0x78, vex_78_38), VX_ROW(0F38, 0x79, vex_79_38),
		VX_ROW(0F38, 0x8c, vex_8c_38), VX_ROW(0F38, 0x8e, vex_8e_38),
	};
	static const struct emul_opcode unimpl = UNIMPL_M;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].map == map && rows[i].opcode == opcode)
			return &rows[i].row;
	return &unimpl;
}
