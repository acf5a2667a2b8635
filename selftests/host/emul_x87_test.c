// SPDX-License-Identifier: GPL-2.0-only
/* x87, FXSAVE and FXRSTOR where the processor beside is no help: devices, faults, other modes. */
#include "emul_env.h"
#include "test.h"

#define NM	7
#define GP	13
#define MF	16
#define DEVICE	0x4000u

static u8 memory[0x8000];

static void start(struct emul_env *e, enum emul_mode mode)
{
	env_init(e, mode, mode == EMUL_VM86 ? 3 : 0);
	memset(memory, 0, sizeof(memory));
	e->mem = memory;
	e->size = sizeof(memory);
	e->mmio = DEVICE;
	e->ctx.rip = 0x100;
	e->ctx.gpr[EMUL_RBX] = 0x1000;
	e->ctx.gpr[EMUL_RDI] = 0x1000;
}

static u32 get(unsigned int at, unsigned int bytes)
{
	u32 val = 0;

	memcpy(&val, memory + at, bytes);
	return val;
}

#define FAULT(e, vec, ...)							\
	do {									\
		EXPECT_EQ(RUN(e, __VA_ARGS__), EMUL_FAULT);			\
		EXPECT_EQ((e)->ctx.exc.vector, vec);				\
	} while (0)

/* An unmasked exception, from before. */
TEST(emul_x87_pending)
{
	struct emul_env e;

	start(&e, EMUL_LONG64);
	e.fx.cwd = 0x37e;
	e.fx.swd = 0x8081;
	FAULT(&e, MF, 0xd9, 0x03);		/* FLD */
	FAULT(&e, MF, 0xdd, 0x1b);		/* FSTP */
	FAULT(&e, MF, 0xd9, 0xe8);		/* FLD1 */
	FAULT(&e, MF, 0xd9, 0x23);		/* FLDENV */
	FAULT(&e, MF, 0xda, 0xc1);		/* FCMOVB */
	e.fx.cwd = 0x37f;
	e.fx.swd = 0x8080;			/* for no reason */
	FAULT(&e, MF, 0xd9, 0x03);
	FAULT(&e, MF, 0xd9, 0xe8);
	EXPECT_EQ(RUN(&e, 0xd9, 0x33), EMUL_OK);	/* FNSTENV */
	EXPECT_EQ(RUN(&e, 0x0f, 0xae, 0x03), EMUL_OK);
	e.cr[0] |= X86_CR0_TS;
	FAULT(&e, NM, 0xd9, 0x03);
	FAULT(&e, NM, 0x0f, 0xae, 0x03);
	FAULT(&e, NM, 0xdd, 0x33);
}

/* FLD1, then FSTP to a device that userspace has to serve. */
TEST(emul_x87_store_to_a_device)
{
	struct emul_env e;

	start(&e, EMUL_LONG64);
	EXPECT_EQ(RUN(&e, 0xd9, 0xe8), EMUL_OK);
	EXPECT_EQ(e.fx.swd >> 11 & 7, 7);
	e.ctx.gpr[EMUL_RBX] = DEVICE;
	EXPECT_EQ(RUN(&e, 0xdd, 0x1b), EMUL_IO);
	EXPECT_EQ(e.fx.swd >> 11 & 7, 7);
	EXPECT_EQ(e.fx.twd, 0x80);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_OK);
	EXPECT_EQ(e.mmio_val, 0x3ff0000000000000);
	EXPECT_EQ(e.fx.swd >> 11 & 7, 0);
	EXPECT_EQ(e.fx.twd, 0);
	/* A page fault has no effect either. */
	EXPECT_EQ(RUN(&e, 0xd9, 0xe8), EMUL_OK);
	e.ctx.gpr[EMUL_RBX] = 0x10000;
	FAULT(&e, 14, 0xdd, 0x1b);
	EXPECT_EQ(e.fx.twd, 0x80);
}

TEST(emul_x87_fxrstor)
{
	struct emul_env e;

	start(&e, EMUL_PROT32);
	e.fx.xmm[7][3] = 0x77;
	e.fx.xmm[8][0] = 0x88;
	EXPECT_EQ(RUN(&e, 0x0f, 0xae, 0x03), EMUL_OK);
	EXPECT_EQ(memory[0x1000 + 160 + 7 * 16 + 3], 0x77);
	EXPECT_EQ(memory[0x1000 + 160 + 8 * 16], 0);
	/* Only eight registers outside of 64-bit mode */
	memory[0x1000 + 160 + 8 * 16] = 0x99;
	memory[0x1000 + 160] = 0x11;
	EXPECT_EQ(RUN(&e, 0x0f, 0xae, 0x0b), EMUL_OK);
	EXPECT_EQ(e.fx.xmm[0][0], 0x11);
	EXPECT_EQ(e.fx.xmm[8][0], 0x88);
	/* MXCSR with a reserved bit changes nothing. */
	memory[0x1000 + 160] = 0x22;
	memory[0x1000 + 26] = 1;
	FAULT(&e, GP, 0x0f, 0xae, 0x0b);
	EXPECT_EQ(e.fx.xmm[0][0], 0x11);
	/* Without OSFXSR neither MXCSR nor the registers are loaded. */
	e.cr[4] = 0;
	EXPECT_EQ(RUN(&e, 0x0f, 0xae, 0x0b), EMUL_OK);
	EXPECT_EQ(e.fx.xmm[0][0], 0x11);
	EXPECT_EQ(e.fx.mxcsr, 0x1f80);
	e.ctx.gpr[EMUL_RBX] += 8;
	FAULT(&e, GP, 0x0f, 0xae, 0x03);
}

/* Addresses of 32 bits end at 4 GiB, and go on at 0. */
TEST(emul_x87_wraps)
{
	struct emul_env e;

	start(&e, EMUL_PROT32);
	e.base = 0xfffff000;
	e.size = 0x1000;
	e.seg[EMUL_DS].base = 0xfffff000;
	e.ctx.gpr[EMUL_RBX] = 0xfe0;
	FAULT(&e, 14, 0xdd, 0x23);		/* FRSTOR */
	EXPECT_EQ(e.ctx.exc.cr2, 0);
	FAULT(&e, 14, 0x0f, 0xae, 0x0b);	/* FXRSTOR */
	EXPECT_EQ(e.ctx.exc.cr2, 0);
}

/* The formats of the environment by operand size and mode, and back. */
TEST(emul_x87_environment)
{
	struct emul_env e;

	start(&e, EMUL_REAL);
	e.fx.rip = 0x54321;
	e.fx.rdp = 0xabcde;
	e.fx.fop = 0x123;
	e.fx.twd = 0x01;
	EXPECT_EQ(RUN(&e, 0xd9, 0x37), EMUL_OK);
	EXPECT_EQ(get(0x1000, 2), 0x37f);
	EXPECT_EQ(get(0x1004, 2), 0xfffd);	/* a zero, and seven that are empty */
	EXPECT_EQ(get(0x1006, 2), 0x4321);
	EXPECT_EQ(get(0x1008, 2), 0x5123);
	EXPECT_EQ(get(0x100a, 2), 0xbcde);
	EXPECT_EQ(get(0x100c, 2), 0xa000);
	EXPECT_EQ(get(0x100e, 2), 0);
	EXPECT_EQ(RUN(&e, 0x66, 0xd9, 0x37), EMUL_OK);
	EXPECT_EQ(get(0x100c, 4), 0x4321);
	EXPECT_EQ(get(0x1010, 4), 0x5123);
	e.fx.rip = 0;
	e.fx.twd = 0;
	EXPECT_EQ(RUN(&e, 0x66, 0xd9, 0x27), EMUL_OK);
	EXPECT_EQ(e.fx.rip, 0x54321);
	EXPECT_EQ(e.fx.rdp, 0xabcde);
	EXPECT_EQ(e.fx.fop, 0x123);
	EXPECT_EQ(e.fx.twd, 1);

	start(&e, EMUL_PROT32);
	e.fx.rip = 0x87654321;
	e.fx.fop = 0x123;
	EXPECT_EQ(RUN(&e, 0xd9, 0x33), EMUL_OK);
	EXPECT_EQ(get(0x100c, 4), 0x87654321);
	EXPECT_EQ(get(0x1010, 4), 0x123 << 16);
	EXPECT_EQ(RUN(&e, 0x66, 0xd9, 0x33), EMUL_OK);
	EXPECT_EQ(get(0x1006, 2), 0x4321);
	EXPECT_EQ(get(0x1008, 2), 0);
}

/* FNSAVE saves what FRSTOR restores, and leaves an initialized unit behind. */
TEST(emul_x87_save_and_restore)
{
	struct emul_env e;
	struct emul_fx fx;

	start(&e, EMUL_PROT16);
	RUN(&e, 0xd9, 0xe8);
	RUN(&e, 0xd9, 0xeb);
	fx = e.fx;
	EXPECT_EQ(RUN(&e, 0xdd, 0x37), EMUL_OK);
	EXPECT_EQ(e.fx.twd, 0);
	EXPECT_EQ(e.fx.swd, 0);
	EXPECT_EQ(e.fx.cwd, 0x37f);
	EXPECT_EQ(get(0x1000 + 14 + 8, 2), 0x4000);	/* pi on top */
	EXPECT_EQ(get(0x1000 + 14 + 18, 2), 0x3fff);
	EXPECT_EQ(RUN(&e, 0xdd, 0x27), EMUL_OK);
	EXPECT_EQ(e.fx.twd, fx.twd);
	EXPECT_EQ(e.fx.swd, fx.swd);
	EXPECT(!memcmp(e.fx.st, fx.st, sizeof(fx.st)));
}
