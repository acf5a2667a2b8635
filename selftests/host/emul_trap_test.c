// SPDX-License-Identifier: GPL-2.0-only
/* Where a single-step trap follows an instruction; what vendors and modes define differently. */
#include "emul_env.h"
#include "test.h"

#define DB	1
#define UD	6
#define GP	13
#define TF	X86_EFLAGS_TF
#define RF	X86_EFLAGS_RF

#define INTEL	0x756e6547
#define AMD	0x68747541

static u8 memory[0x20000];

static void start(struct emul_env *e, enum emul_mode mode, u8 cpl)
{
	env_init(e, mode, cpl);
	memset(memory, 0, sizeof(memory));
	e->mem = memory;
	e->size = sizeof(memory);
	e->ctx.rip = 0x100;
	e->ctx.gpr[EMUL_RSP] = 0x8000;
	e->table[EMUL_GDT].base = 0x10000;
	e->table[EMUL_GDT].limit = 0xff;
	e->table[EMUL_IDT].limit = 0x3ff;
}

static void gdt(unsigned int sel, u32 ar)
{
	u64 val = 0x000f00000000ffffull | (u64)ar << 40;

	memcpy(memory + 0x10000 + (sel & ~7u), &val, 8);
}

#define FAULT(e, vec, ...)							\
	do {									\
		EXPECT_EQ(RUN(e, __VA_ARGS__), EMUL_FAULT);			\
		EXPECT_EQ((e)->ctx.exc.vector, vec);				\
	} while (0)

TEST(emul_trap_string)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.ctx.gpr[EMUL_RCX] = 2;
	e.ctx.gpr[EMUL_RDI] = 0x1000;
	e.ctx.rflags |= TF;
	EXPECT_EQ(RUN(&e, 0xf3, 0xaa), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_SINGLE_STEP | EMUL_OUT_AGAIN | EMUL_OUT_ITERATED);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 1);
	EXPECT_EQ(e.ctx.rip, 0x100);
	EXPECT(e.ctx.rflags & RF);
	EXPECT_EQ(RUN(&e, 0xf3, 0xaa), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_SINGLE_STEP);
	EXPECT_EQ(e.ctx.rip, 0x102);
	EXPECT(!(e.ctx.rflags & RF));
}

/* TF is what it is before most instructions; these are the exceptions. */
TEST(emul_trap_by_new_tf)
{
	struct emul_env e;

	start(&e, EMUL_REAL, 0);
	e.ctx.rflags |= TF;
	EXPECT_EQ(RUN(&e, 0xcd, 0x21), EMUL_OK);
	EXPECT_EQ(e.ctx.out & EMUL_OUT_SINGLE_STEP, 0);

	start(&e, EMUL_LONG64, 3);
	e.efer |= EFER_SCE;
	e.ctx.rflags |= TF | RF;
	e.fmask = TF;
	EXPECT_EQ(RUN(&e, 0x0f, 0x05), EMUL_OK);
	EXPECT_EQ(e.ctx.out & EMUL_OUT_SINGLE_STEP, 0);
	EXPECT_EQ(e.ctx.gpr[EMUL_R11], TF | 2);
	EXPECT_EQ(e.ctx.cpl, 0);
	EXPECT_EQ(RUN(&e, 0x48, 0x0f, 0x07), EMUL_OK);
	EXPECT(e.ctx.out & EMUL_OUT_SINGLE_STEP);
	e.fmask = 0;
	EXPECT_EQ(RUN(&e, 0x0f, 0x05), EMUL_OK);
	EXPECT(e.ctx.out & EMUL_OUT_SINGLE_STEP);
}

TEST(emul_syscall_by_vendor)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 3);
	e.efer |= EFER_SCE | EFER_LMA;
	e.star = 0x0010ull << 32;
	e.cstar = 0x123456789000;
	e.fmask = X86_EFLAGS_DF;
	e.ctx.rflags |= X86_EFLAGS_DF;
	e.vendor = INTEL;
	FAULT(&e, UD, 0x0f, 0x05);
	e.vendor = AMD;
	EXPECT_EQ(RUN(&e, 0x0f, 0x05), EMUL_OK);
	EXPECT_EQ(e.ctx.mode, EMUL_LONG64);
	EXPECT_EQ(e.ctx.rip, 0x123456789000);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 0x102);
	EXPECT_EQ(e.ctx.rflags, 2);

	start(&e, EMUL_PROT32, 3);
	e.vendor = AMD;
	FAULT(&e, UD, 0x0f, 0x05);
	e.efer |= EFER_SCE;
	e.star = 0x001000009000;
	e.ctx.rflags |= X86_EFLAGS_IF;
	EXPECT_EQ(RUN(&e, 0x0f, 0x05), EMUL_OK);
	EXPECT_EQ(e.ctx.mode, EMUL_PROT32);
	EXPECT_EQ(e.ctx.rip, 0x9000);
	EXPECT_EQ(e.seg[EMUL_CS].sel, 0x10);
	EXPECT_EQ(e.ctx.rflags, 2);
}

TEST(emul_string_without_iteration)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.vendor = INTEL;
	e.ctx.gpr[EMUL_RCX] = 0x100000000;
	e.ctx.gpr[EMUL_RSI] = 0x200000001;
	e.ctx.gpr[EMUL_RDI] = 0x300000002;
	EXPECT_EQ(RUN(&e, 0x67, 0xf3, 0xa6), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 0);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], 0x300000002);
	EXPECT_EQ(RUN(&e, 0x67, 0xf3, 0xaa), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSI], 0x200000001);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], 2);
	EXPECT_EQ(RUN(&e, 0x67, 0xf3, 0xa4), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSI], 1);
	e.vendor = AMD;
	e.ctx.gpr[EMUL_RCX] = 0x100000000;
	EXPECT_EQ(RUN(&e, 0x67, 0xf3, 0xa4), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 0x100000000);
	/* The permission is asked for in any case. */
	start(&e, EMUL_PROT32, 3);
	e.seg[EMUL_TR].limit = 0x66;
	FAULT(&e, GP, 0xf3, 0x6c);
}

TEST(emul_general_detect)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.dr[7] = BIT(13);
	FAULT(&e, DB, 0x0f, 0x21, 0xc0);
	EXPECT_EQ(e.ctx.exc.payload, BIT(13));
	FAULT(&e, DB, 0x0f, 0x23, 0xf8);
	e.ctx.cpl = 3;
	FAULT(&e, GP, 0x0f, 0x23, 0xf8);
	FAULT(&e, UD, 0x44, 0x0f, 0x23, 0xf8);
	e.cr[4] = X86_CR4_DE;
	FAULT(&e, GP, 0x0f, 0x23, 0xe0);
}

/* The instruction pointer of 64 bits that a far pointer can hold is none of 32-bit code. */
TEST(emul_far_beyond_limit)
{
	static const u8 far[] = { 0, 0, 0, 0, 0, 0x80, 0, 0, 0x18, 0 };
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	gdt(0x18, 0xc09b);
	memcpy(memory + 0x1000, far, sizeof(far));
	e.ctx.gpr[EMUL_RBX] = 0x1000;
	FAULT(&e, GP, 0x48, 0xff, 0x2b);
	EXPECT_EQ(e.ctx.exc.error, 0);
}

TEST(emul_mode_details)
{
	struct emul_env e;

	start(&e, EMUL_REAL, 0);
	EXPECT_EQ(RUN(&e, 0x0f, 0x01, 0xcb), EMUL_OK);
	EXPECT(e.ctx.rflags & X86_EFLAGS_AC);
	/* MOVNTI has no 16-bit form. */
	e.ctx.gpr[EMUL_RAX] = 0x11223344;
	EXPECT_EQ(RUN(&e, 0x0f, 0xc3, 0x06, 0x00, 0x10), EMUL_OK);
	EXPECT_EQ(memory[0x1003], 0x11);
	start(&e, EMUL_LONG64, 3);
	FAULT(&e, UD, 0x66, 0x0f, 0x77);
	FAULT(&e, UD, 0x0f, 0x01, 0xd1);
	e.cr[4] = X86_CR4_OSXSAVE;
	FAULT(&e, GP, 0x0f, 0x01, 0xd1);
}
