// SPDX-License-Identifier: GPL-2.0-only
/* What user mode cannot show: other modes, segments, faults, restarts, system instructions. */
#include "emul_env.h"
#include "test.h"

#define UD	6
#define NP	11
#define SS	12
#define GP	13
#define PF	14

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
	e->table[EMUL_IDT].base = mode == EMUL_REAL ? 0 : 0x11000;
	e->table[EMUL_IDT].limit = mode == EMUL_REAL ? 0x3ff : 0xfff;
	e->seg[EMUL_TR].base = 0x12000;
}

static void put64(u64 la, u64 val)
{
	memcpy(memory + la, &val, 8);
}

static u32 get32(u64 la)
{
	u32 val;

	memcpy(&val, memory + la, 4);
	return val;
}

/* A flat descriptor of access rights @ar (EMUL_AR_* without the limit). */
static void gdt(unsigned int sel, u32 ar)
{
	put64(0x10000 + (sel & ~7u), 0x000f00000000ffffull | (u64)ar << 40);
}

static void idt32(unsigned int vec, u16 sel, u32 off, u8 type)
{
	put64(0x11000 + 8 * vec, (off & 0xffff) | (u64)sel << 16 | (u64)type << 40 |
	      (u64)(off >> 16) << 48);
}

#define FAULT(e, vec, code, ...)						\
	do {									\
		u64 _rip = (e)->ctx.rip;					\
										\
		EXPECT_EQ(RUN(e, __VA_ARGS__), EMUL_FAULT);			\
		EXPECT_EQ((e)->ctx.exc.vector, vec);				\
		EXPECT_EQ((e)->ctx.exc.error, code);				\
		EXPECT_EQ((e)->ctx.rip, _rip);					\
	} while (0)

TEST(emul_decode_length)
{
	u8 long15[15], long16[15];
	struct emul_env e;

	memset(long15, 0x66, 15);
	long15[14] = 0x90;
	memset(long16, 0x66, 15);
	start(&e, EMUL_LONG64, 0);
	EXPECT_EQ(env_run(&e, long15, 15), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0x10f);
	EXPECT_EQ(env_run(&e, long16, 15), EMUL_FAULT);
	EXPECT_EQ(e.ctx.exc.vector, GP);
	EXPECT_EQ(e.ctx.insn.len, 0);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_UNHANDLEABLE);
}

/* The second page is fetched only for an instruction that needs it. */
TEST(emul_fetch_page)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 3);
	e.size = 0x2000;
	e.ctx.rip = 0x1fff;
	memory[0x1fff] = 0x90;
	EXPECT_EQ(emul_step(&e.ctx), EMUL_OK);
	EXPECT_EQ(e.fetches, 1);
	e.ctx.rip = 0x1fff;
	memory[0x1fff] = 0xb0;
	EXPECT_EQ(emul_step(&e.ctx), EMUL_FAULT);
	EXPECT_EQ(e.ctx.exc.vector, PF);
	EXPECT_EQ(e.ctx.exc.cr2, 0x2000);
	EXPECT_EQ(e.ctx.exc.error, 0x14);
	e.ctx.rip = 0x0000800000000000;
	FAULT(&e, GP, 0, 0x90);
}

/* The opcode tells that it is none of the calls, and the next page is left alone. */
TEST(emul_no_call)
{
	static const u8 others[] = { 0xea, 0x90, 0xf4, 0x27, 0x0f };
	struct emul_env e;
	unsigned int i;

	for (i = 0; i < sizeof(others); i++) {
		start(&e, EMUL_LONG64, 0);
		e.ctx.rip = 0x1fff;
		memory[0x1fff] = others[i];
		memory[0x2000] = 0x08;
		EXPECT_EQ(emul_decode_call(&e.ctx), EMUL_UNHANDLEABLE);
		EXPECT_EQ(e.fetches, others[i] == 0x0f ? 2 : 1);
		EXPECT_EQ(e.ctx.insn.len, 0);
	}
	start(&e, EMUL_LONG64, 0);
	memcpy(memory + 0x100, "\x0f\x01\xd9", 3);
	EXPECT_EQ(emul_decode_call(&e.ctx), EMUL_OK);
	EXPECT(emul_is_hypercall(&e.ctx));
	memcpy(memory + 0x100, "\x48\x0f\x05", 3);
	EXPECT_EQ(emul_decode_call(&e.ctx), EMUL_OK);
	EXPECT(emul_is_syscall(&e.ctx));
}

TEST(emul_cs_limit)
{
	struct emul_env e;

	start(&e, EMUL_REAL, 0);
	e.ctx.rip = 0xffff;
	FAULT(&e, GP, 0, 0xb0, 0x01);
	EXPECT_EQ(RUN(&e, 0x90), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0x10000);
	FAULT(&e, GP, 0, 0x90);
}

TEST(emul_ud)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	FAULT(&e, UD, 0, 0x06);
	FAULT(&e, UD, 0, 0x27);
	FAULT(&e, UD, 0, 0xea, 0, 0, 0, 0, 0, 0);
	FAULT(&e, UD, 0, 0x0f, 0x0b);
	FAULT(&e, UD, 0, 0xf0, 0x01, 0xc0);		/* LOCK ADD reg */
	FAULT(&e, UD, 0, 0xf0, 0x39, 0x06);		/* LOCK CMP */
	FAULT(&e, UD, 0, 0xf0, 0x90);
	FAULT(&e, UD, 0, 0x8e, 0xc8);			/* MOV CS */
	FAULT(&e, UD, 0, 0x8d, 0xc0);			/* LEA of a register */
	FAULT(&e, UD, 0, 0x0f, 0x20, 0x08);		/* MOV CR1 */
	FAULT(&e, UD, 0, 0x0f, 0xc7, 0xc8);		/* CMPXCHG8B of a register */
	start(&e, EMUL_REAL, 0);
	FAULT(&e, UD, 0, 0x0f, 0x00, 0xd8);		/* LTR */
	FAULT(&e, UD, 0, 0x63, 0xc0);			/* ARPL */
	start(&e, EMUL_LONG64, 0);
	EXPECT_EQ(RUN(&e, 0xc5, 0xf8, 0x58, 0xc0), EMUL_UNHANDLEABLE);
	EXPECT_EQ(RUN(&e, 0xd8, 0xc0), EMUL_UNHANDLEABLE);
}

TEST(emul_privilege)
{
	static const u8 insns[][3] = { { 0xf4 }, { 0x0f, 0x30 }, { 0x0f, 0x32 }, { 0x0f, 0x06 },
		{ 0x0f, 0x08 }, { 0x0f, 0x09 }, { 0x0f, 0x20, 0xc0 }, { 0x0f, 0x22, 0xc0 },
		{ 0x0f, 0x21, 0xc0 }, { 0x0f, 0x01, 0x38 }, { 0xfa }, { 0xfb },
		{ 0x0f, 0x00, 0xd0 } };
	struct emul_env e;
	unsigned int i, cpl;

	for (cpl = 0; cpl < 4; cpl++) {
		for (i = 0; i < sizeof(insns) / 3; i++) {
			start(&e, EMUL_PROT32, cpl);
			EXPECT_EQ(env_run(&e, insns[i], 3) == EMUL_FAULT &&
				  e.ctx.exc.vector == GP, cpl != 0 || i == 1 || i == 2);
		}
	}
}

TEST(emul_real_mov)
{
	struct emul_env e;

	start(&e, EMUL_REAL, 0);
	e.seg[EMUL_DS].base = 0x1000;
	e.ctx.gpr[EMUL_RBX] = 0x20;
	e.ctx.gpr[EMUL_RSI] = 0xfff0;
	e.ctx.gpr[EMUL_RAX] = 0x11223344;
	EXPECT_EQ(RUN(&e, 0x89, 0x00), EMUL_OK);	/* mov [bx+si], ax: wraps to 0x10 */
	EXPECT_EQ(get32(0x1010), 0x3344);
	EXPECT_EQ(RUN(&e, 0x66, 0xa3, 0x30, 0x00), EMUL_OK);
	EXPECT_EQ(get32(0x1030), 0x11223344);
	FAULT(&e, GP, 0, 0xa3, 0xff, 0xff);		/* word at the limit */
	EXPECT_EQ(RUN(&e, 0x8e, 0xd8), EMUL_OK);	/* mov ds, ax */
	EXPECT_EQ(e.seg[EMUL_DS].base, 0x33440);
	EXPECT_EQ(e.seg[EMUL_DS].limit, 0xffff);
	EXPECT_EQ(RUN(&e, 0x8e, 0xd0), EMUL_OK);	/* mov ss, ax */
	EXPECT_EQ(e.ctx.out, EMUL_OUT_MOVSS);
}

TEST(emul_real_int_iret)
{
	struct emul_env e;

	start(&e, EMUL_REAL, 0);
	memcpy(memory + 0x21 * 4, "\x34\x12\x00\x20", 4);
	e.ctx.rflags = 0x302;
	EXPECT_EQ(RUN(&e, 0xcd, 0x21), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0x1234);
	EXPECT_EQ(e.seg[EMUL_CS].base, 0x20000);
	EXPECT_EQ(e.ctx.rflags, 2);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ffa);
	EXPECT_EQ(get32(0x7ffa), 0x102);
	EXPECT_EQ(RUN(&e, 0xcf), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0x102);
	EXPECT_EQ(e.seg[EMUL_CS].base, 0);
	EXPECT_EQ(e.ctx.rflags, 0x302);
	EXPECT_EQ(e.sysop, EMUL_SYS_SWITCH_NMI);
}

/* Not so one that waits for its stack: it is executed again. */
TEST(emul_iret_that_faults_unblocks_nmis)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	memset(memory + 0x7000, 0, 12);
	e.ctx.gpr[EMUL_RSP] = 0x7000;
	e.sysop = -1;
	e.mmio = 0x7000;
	EXPECT_EQ(RUN(&e, 0xcf), EMUL_IO);
	EXPECT_EQ(e.sysop, -1);
	e.mmio = 0;
	FAULT(&e, GP, 0, 0xcf);
	EXPECT_EQ(e.sysop, EMUL_SYS_SWITCH_NMI);
}

/* AMD's name for CR8 in code of 32 bits; of no other register, and nowhere else. */
TEST(emul_lock_makes_cr0_cr8)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	e.ctx.gpr[EMUL_RAX] = 5;
	FAULT(&e, UD, 0, 0xf0, 0x0f, 0x22, 0xc0);
	e.ctx.lock_cr8 = true;
	EXPECT_EQ(RUN(&e, 0xf0, 0x0f, 0x22, 0xc0), EMUL_OK);
	EXPECT_EQ(e.cr[8], 5);
	EXPECT_EQ(RUN(&e, 0xf0, 0x0f, 0x20, 0xc1), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 5);
	FAULT(&e, UD, 0, 0xf0, 0x0f, 0x22, 0xd8);
	FAULT(&e, UD, 0, 0xf0, 0x0f, 0x23, 0xc0);
}

/* The way out of real mode, as every boot loader goes it. */
TEST(emul_enter_protected)
{
	struct emul_env e;

	start(&e, EMUL_REAL, 0);
	gdt(8, 0xc09a);
	gdt(16, 0xc092);
	e.ctx.gpr[EMUL_RAX] = 0x11;
	EXPECT_EQ(RUN(&e, 0x0f, 0x22, 0xc0), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_MODE);
	e.seg[EMUL_CS].ar = 0x9b;
	e.seg[EMUL_SS].ar = 0x93;
	emul_set_mode(&e.ctx);
	EXPECT_EQ(e.ctx.mode, EMUL_PROT16);
	EXPECT_EQ(RUN(&e, 0x66, 0xea, 0x00, 0x50, 0, 0, 8, 0), EMUL_OK);
	EXPECT_EQ(e.ctx.mode, EMUL_PROT32);
	EXPECT_EQ(e.ctx.rip, 0x5000);
	EXPECT_EQ(memory[0x1000d], 0x9b);		/* accessed */
	e.ctx.gpr[EMUL_RAX] = 16;
	EXPECT_EQ(RUN(&e, 0x8e, 0xd0), EMUL_OK);
	EXPECT_EQ(e.seg[EMUL_SS].limit, 0xffffffff);
}

TEST(emul_segment_checks)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 3);
	gdt(8, 0xc09a);		/* code, DPL 0 */
	gdt(16, 0xc0f2);	/* data, DPL 3 */
	gdt(24, 0xc092);	/* data, DPL 0 */
	gdt(32, 0xc072);	/* data, DPL 3, not present */
	gdt(40, 0xc0f8);	/* execute-only code, DPL 3 */
	gdt(48, 0xc0f0);	/* read-only data, DPL 3 */
	e.ctx.gpr[EMUL_RAX] = 0x13;
	EXPECT_EQ(RUN(&e, 0x8e, 0xd8), EMUL_OK);
	e.ctx.gpr[EMUL_RAX] = 0x1b;
	FAULT(&e, GP, 0x18, 0x8e, 0xd8);
	e.ctx.gpr[EMUL_RAX] = 0x23;
	FAULT(&e, NP, 0x20, 0x8e, 0xd8);
	FAULT(&e, SS, 0x20, 0x8e, 0xd0);
	e.ctx.gpr[EMUL_RAX] = 0x2b;
	FAULT(&e, GP, 0x28, 0x8e, 0xd8);
	e.ctx.gpr[EMUL_RAX] = 0x33;
	FAULT(&e, GP, 0x30, 0x8e, 0xd0);
	EXPECT_EQ(RUN(&e, 0x8e, 0xd8), EMUL_OK);
	FAULT(&e, GP, 0, 0xa3, 0x40, 0, 0, 0);		/* write to read-only */
	e.ctx.gpr[EMUL_RAX] = 0x103;
	FAULT(&e, GP, 0x100, 0x8e, 0xd8);		/* beyond the GDT */
	e.ctx.gpr[EMUL_RAX] = 0;
	FAULT(&e, GP, 0, 0x8e, 0xd0);
	EXPECT_EQ(RUN(&e, 0x8e, 0xd8), EMUL_OK);
	FAULT(&e, GP, 0, 0xa1, 0x40, 0, 0, 0);		/* through null */
	e.seg[EMUL_SS].limit = 0xfff;
	FAULT(&e, SS, 0, 0x50);
}

/* SDM "PUSH": with 32 bits, 16 bits are written and 4 bytes taken. */
TEST(emul_push_selector)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	e.seg[EMUL_ES].sel = 0x1234;
	memset(memory + 0x7ff0, 0xff, 16);
	EXPECT_EQ(RUN(&e, 0x06), EMUL_OK);
	EXPECT_EQ(get32(0x7ffc), 0xffff1234);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ffc);
	EXPECT_EQ(RUN(&e, 0x66, 0x06), EMUL_OK);
	EXPECT_EQ(get32(0x7ff8), 0x1234ffff);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ffa);
	start(&e, EMUL_LONG64, 0);
	e.seg[EMUL_FS].sel = 0x1234;
	memset(memory + 0x7ff0, 0xff, 16);
	EXPECT_EQ(RUN(&e, 0x0f, 0xa0), EMUL_OK);
	EXPECT_EQ(get32(0x7ff8), 0x1234);
	EXPECT_EQ(get32(0x7ffc), 0);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ff8);
}

/* A segment of 4 GiB has no end. */
TEST(emul_beyond_4g)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	FAULT(&e, PF, 0, 0xa1, 0xfe, 0xff, 0xff, 0xff);
	EXPECT_EQ(e.ctx.exc.cr2, 0xfffffffe);
	e.seg[EMUL_DS].limit = 0xfffffffe;
	FAULT(&e, GP, 0, 0xa1, 0xfe, 0xff, 0xff, 0xff);
	e.seg[EMUL_DS].limit = 0xfff;
	e.seg[EMUL_DS].ar |= EMUL_AR_DOWN;
	FAULT(&e, PF, 0, 0xa1, 0xfe, 0xff, 0xff, 0xff);
}

TEST(emul_expand_down)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	e.seg[EMUL_DS].ar |= EMUL_AR_DOWN;
	e.seg[EMUL_DS].limit = 0xfff;
	FAULT(&e, GP, 0, 0xa1, 0xff, 0x0f, 0, 0);
	EXPECT_EQ(RUN(&e, 0xa1, 0x00, 0x10, 0, 0), EMUL_OK);
	e.seg[EMUL_DS].ar &= ~EMUL_AR_DB;
	FAULT(&e, GP, 0, 0xa1, 0xfe, 0xff, 0, 0);
}

TEST(emul_canonical)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 3);
	e.ctx.gpr[EMUL_RSI] = 0x0000800000000000;
	FAULT(&e, GP, 0, 0x8b, 0x06);
	e.ctx.gpr[EMUL_RSP] = 0x0000800000000000;
	FAULT(&e, SS, 0, 0x8b, 0x04, 0x24);
	e.cr[4] |= X86_CR4_LA57;
	FAULT(&e, PF, 4, 0x8b, 0x06);
	e.ctx.gpr[EMUL_RAX] = 0x0100000000000000;
	FAULT(&e, GP, 0, 0xff, 0xe0);
}

TEST(emul_retf_iret_outward)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	gdt(0x18, 0xc0fa);
	gdt(0x20, 0xc0f2);
	memcpy(memory + 0x8000, "\x00\x40\0\0\x1b\0\0\0\x00\x60\0\0\x23\0\0\0", 16);
	e.seg[EMUL_ES].ar &= ~EMUL_AR_DPL;
	EXPECT_EQ(RUN(&e, 0xcb), EMUL_OK);
	EXPECT_EQ(e.ctx.cpl, 3);
	EXPECT_EQ(e.ctx.rip, 0x4000);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x6000);
	EXPECT_EQ(e.seg[EMUL_CS].sel, 0x1b);
	EXPECT_EQ(e.seg[EMUL_SS].sel, 0x23);
	EXPECT(e.seg[EMUL_ES].ar & EMUL_AR_UNUSABLE);
	/* inward is not a return */
	gdt(0x08, 0xc09a);
	memcpy(memory + 0x6000, "\x00\x40\0\0\x08\0\0\0", 8);
	FAULT(&e, GP, 8, 0xcb);
}

TEST(emul_deliver_inward)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 3);
	gdt(0x08, 0xc09a);
	gdt(0x10, 0xc092);
	idt32(0x80, 8, 0x123400, 0xee);
	idt32(14, 8, 0x5000, 0x8e);
	put64(0x12004, 0x0000001000007000);
	e.seg[EMUL_SS].sel = 0x23;
	e.ctx.rflags = 0x202;
	EXPECT_EQ(RUN(&e, 0xcd, 0x80), EMUL_OK);
	EXPECT_EQ(e.ctx.cpl, 0);
	EXPECT_EQ(e.ctx.rip, 0x123400);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7000 - 20);
	EXPECT_EQ(get32(0x6ffc), 0x23);
	EXPECT_EQ(get32(0x6ff8), 0x8000);
	EXPECT_EQ(get32(0x6ff4), 0x202);
	EXPECT_EQ(get32(0x6fec), 0x102);
	EXPECT_EQ(e.ctx.rflags, 2);
	EXPECT_EQ(emul_deliver(&e.ctx, 14, EMUL_EV_EXCEPTION, true, 7, 0x777), EMUL_OK);
	EXPECT_EQ(get32(0x6fec - 16), 7);
	EXPECT_EQ(get32(0x6fec - 12), 0x777);
	start(&e, EMUL_PROT32, 3);
	idt32(14, 8, 0x5000, 0x8e);
	FAULT(&e, GP, 14 * 8 + 2, 0xcd, 14);		/* gate DPL */
	FAULT(&e, GP, 0x31 * 8 + 2, 0xcd, 0x31);	/* no gate */
}

TEST(emul_deliver_long)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 3);
	gdt(0x08, 0xa09a);
	put64(0x11000 + 16 * 14, 0xffff8e0100081000ull);
	put64(0x11008 + 16 * 14, 0xffffffff);
	put64(0x12024, 0x9008);				/* IST1, aligned down to 16 */
	EXPECT_EQ(emul_deliver(&e.ctx, 14, EMUL_EV_EXCEPTION, true, 4, 0x100), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0xffffffffffff1000);
	EXPECT_EQ(e.ctx.cpl, 0);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x9000 - 48);
	EXPECT_EQ(get32(0x9000 - 48), 4);
	EXPECT_EQ(get32(0x9000 - 16), 0x8000);
	EXPECT_EQ(e.seg[EMUL_SS].ar & EMUL_AR_UNUSABLE, EMUL_AR_UNUSABLE);
}

TEST(emul_syscall_sysret)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 3);
	e.star = 0x0023001000000000;
	e.lstar = 0xffffffff80000000;
	e.fmask = 0x200;
	e.ctx.rflags = 0x202;
	EXPECT_EQ(RUN(&e, 0x0f, 0x05), EMUL_OK);
	EXPECT_EQ(e.ctx.cpl, 0);
	EXPECT_EQ(e.ctx.rip, e.lstar);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 0x102);
	EXPECT_EQ(e.ctx.gpr[EMUL_R11], 0x202);
	EXPECT_EQ(e.ctx.rflags, 2);
	EXPECT_EQ(e.seg[EMUL_SS].sel, 0x18);
	EXPECT_EQ(RUN(&e, 0x48, 0x0f, 0x07), EMUL_OK);
	EXPECT_EQ(e.ctx.cpl, 3);
	EXPECT_EQ(e.ctx.rip, 0x102);
	EXPECT_EQ(e.seg[EMUL_CS].sel, 0x33);
	EXPECT_EQ(e.ctx.rflags, 0x202);
	e.efer &= ~(u64)EFER_SCE;
	FAULT(&e, UD, 0, 0x0f, 0x05);
}

/* An access to a device exits, and the instruction starts again without having left a trace. */
TEST(emul_mmio_restart)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.mmio = 0x100000;
	e.mmio_val = 5;
	e.ctx.gpr[EMUL_RSI] = e.mmio;
	e.ctx.gpr[EMUL_RAX] = 3;
	EXPECT_EQ(RUN(&e, 0x0f, 0xc1, 0x06), EMUL_IO);	/* xadd [rsi], eax */
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 3);
	EXPECT_EQ(e.ctx.rip, 0x100);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 5);
	EXPECT_EQ(e.mmio_val, 8);
	EXPECT_EQ(e.mmio_exits, 1);
	/* rep movsd from the device: one exit per iteration, each committed */
	e.ctx.gpr[EMUL_RDI] = 0x2000;
	e.ctx.gpr[EMUL_RCX] = 2;
	EXPECT_EQ(RUN(&e, 0xf3, 0xa5), EMUL_IO);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_IO);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 1);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], 0x2004);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 0);
	EXPECT_EQ(e.ctx.rip, 0x105);
}

TEST(emul_mov_short_way)
{
	struct emul_env e;
	struct emul_mov mov;

	start(&e, EMUL_LONG64, 0);
	e.ctx.gpr[EMUL_RAX] = 0x1122334455667788;
	EXPECT_EQ(emul_decode_bytes(&e.ctx, (const u8 *)"\x88\x26", 2), EMUL_OK);
	EXPECT(emul_as_mov(&e.ctx, &mov) && mov.write && mov.bytes == 1);
	EXPECT_EQ(mov.val, 0x77);
	emul_finish_mov(&e.ctx, &mov, 0);
	EXPECT_EQ(e.ctx.rip, 0x102);
	EXPECT_EQ(emul_decode_bytes(&e.ctx, (const u8 *)"\x0f\xbe\x06", 3), EMUL_OK);
	EXPECT(emul_as_mov(&e.ctx, &mov) && !mov.write && mov.bytes == 1 && mov.sign_extend);
	emul_finish_mov(&e.ctx, &mov, 0x80);
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 0xffffff80);
	EXPECT_EQ(emul_decode_bytes(&e.ctx, (const u8 *)"\x48\xa1\0\0\1\0\0\0\0\0", 10), EMUL_OK);
	EXPECT(emul_as_mov(&e.ctx, &mov) && !mov.write && mov.bytes == 8 && mov.reg == 0);
	EXPECT_EQ(emul_decode_bytes(&e.ctx, (const u8 *)"\xc7\x06\xff\xff\xff\xff", 6), EMUL_OK);
	EXPECT(emul_as_mov(&e.ctx, &mov) && mov.write && mov.val == 0xffffffff);
	EXPECT(emul_writes_memory(&e.ctx));
	EXPECT_EQ(emul_decode_bytes(&e.ctx, (const u8 *)"\x89\xc0", 2), EMUL_OK);
	EXPECT(!emul_as_mov(&e.ctx, &mov) && !emul_writes_memory(&e.ctx));
	EXPECT_EQ(emul_decode_bytes(&e.ctx, (const u8 *)"\x01\x06", 2), EMUL_OK);
	EXPECT(!emul_as_mov(&e.ctx, &mov) && emul_writes_memory(&e.ctx));
}

TEST(emul_rep_bounds)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.ctx.rep_limit = 10;
	e.ctx.gpr[EMUL_RCX] = 15;
	e.ctx.gpr[EMUL_RDI] = 0x2000;
	EXPECT_EQ(RUN(&e, 0xf3, 0xaa), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_AGAIN | EMUL_OUT_ITERATED);
	EXPECT_EQ(e.ctx.rip, 0x100);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 5);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_OK);
	EXPECT_EQ(e.ctx.out, 0);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], 0x200f);
	e.ctx.gpr[EMUL_RCX] = 3;
	e.ctx.rflags |= X86_EFLAGS_TF;
	EXPECT_EQ(RUN(&e, 0xf3, 0xaa), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_AGAIN | EMUL_OUT_ITERATED | EMUL_OUT_SINGLE_STEP);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 2);
	/* a fault keeps the iterations before it */
	e.ctx.rflags = 2;
	e.ctx.gpr[EMUL_RDI] = sizeof(memory) - 2;
	e.ctx.gpr[EMUL_RCX] = 5;
	EXPECT_EQ(RUN(&e, 0xf3, 0xaa), EMUL_FAULT);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 3);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], sizeof(memory));
}

/* A fault finds the status flags that were there before REP CMPS or SCAS, and RF. */
TEST(emul_rep_compare_keeps_flags)
{
	const u64 before = X86_EFLAGS_FIXED | X86_EFLAGS_ZF | X86_EFLAGS_CF | X86_EFLAGS_OF;
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	memset(memory + sizeof(memory) - 3, 7, 3);
	e.ctx.rflags = before;
	e.ctx.gpr[EMUL_RAX] = 5;
	e.ctx.gpr[EMUL_RDI] = sizeof(memory) - 3;
	e.ctx.gpr[EMUL_RCX] = 9;
	EXPECT_EQ(RUN(&e, 0xf2, 0xae), EMUL_FAULT);
	EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 6);
	EXPECT_EQ(e.ctx.rflags, before | X86_EFLAGS_RF);
	/* The last iteration sets them. */
	e.ctx.gpr[EMUL_RDI] = sizeof(memory) - 3;
	e.ctx.gpr[EMUL_RCX] = 3;
	EXPECT_EQ(RUN(&e, 0xf2, 0xae), EMUL_OK);
	EXPECT_EQ(e.ctx.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_SF | X86_EFLAGS_CF | X86_EFLAGS_AF);
}

/*
 * But a trap, an interrupt, or what ends KVM_RUN between two iterations finds those of the
 * comparison.
 */
TEST(emul_rep_compare_shows_flags)
{
	const u64 tf[] = { X86_EFLAGS_TF, 0, 0 }, before = X86_EFLAGS_FIXED | X86_EFLAGS_ZF;
	struct emul_env e;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		start(&e, EMUL_LONG64, 0);
		memset(memory + 0x2000, 7, 9);
		e.ctx.rflags = before | tf[i];
		e.ctx.rep_limit = i == 1 ? 2 : 1024;
		e.awaited = i == 2 ? 0x2003 : 0;
		e.ctx.gpr[EMUL_RAX] = 5;
		e.ctx.gpr[EMUL_RDI] = 0x2000;
		e.ctx.gpr[EMUL_RCX] = 9;
		EXPECT_EQ(RUN(&e, 0xf2, 0xae), i == 2 ? EMUL_UNHANDLEABLE : EMUL_OK);
		EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 8 - i);
		EXPECT_EQ(e.ctx.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_SF | X86_EFLAGS_CF |
			  X86_EFLAGS_AF | X86_EFLAGS_RF | tf[i]);
	}
}

TEST(emul_string_io)
{
	struct emul_env e;
	u8 buf[64];

	start(&e, EMUL_LONG64, 0);
	e.ctx.io_buf = buf;
	e.ctx.io_buf_size = sizeof(buf);
	e.ctx.gpr[EMUL_RDX] = 0x10;
	e.ctx.gpr[EMUL_RCX] = 100;
	e.ctx.gpr[EMUL_RDI] = 0x2fe0;
	EXPECT_EQ(RUN(&e, 0xf3, 0x6c), EMUL_OK);
	EXPECT_EQ(e.pios, 3);				/* to the page's end, 64, the rest */
	EXPECT_EQ(memory[0x2fe0], 0x10);
	EXPECT_EQ(memory[0x2fe0 + 99], 0x10 + 99);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], 0x2fe0 + 100);
	EXPECT_EQ(e.ctx.rip, 0x102);
	/* no datum is taken from the port when memory refuses it */
	e.pios = 0;
	e.ctx.gpr[EMUL_RDI] = sizeof(memory);
	e.ctx.gpr[EMUL_RCX] = 1;
	FAULT(&e, PF, 2, 0xf3, 0x6c);
	EXPECT_EQ(e.pios, 0);
	e.ctx.gpr[EMUL_RSI] = 0x2fe0;
	e.ctx.gpr[EMUL_RCX] = 2;
	e.pio_items = 0;
	EXPECT_EQ(RUN(&e, 0xf3, 0x66, 0x6f), EMUL_OK);
	EXPECT_EQ(e.pios, 1);
	EXPECT_EQ(e.pio[1], 0x1312);
}

TEST(emul_io_permission)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 3);
	e.seg[EMUL_TR].limit = 0x68 + 0x20;
	memory[0x12066] = 0x68;
	memory[0x12068 + 0x10] = 0x02;
	e.ctx.gpr[EMUL_RDX] = 0x80;
	EXPECT_EQ(RUN(&e, 0xec), EMUL_OK);
	FAULT(&e, GP, 0, 0x66, 0xed);
	e.ctx.gpr[EMUL_RDX] = 0x400;
	FAULT(&e, GP, 0, 0xec);
	e.ctx.rflags |= X86_EFLAGS_IOPL;
	EXPECT_EQ(RUN(&e, 0xec), EMUL_OK);
	/* Linear memory ends within the TSS, and goes on at 0. */
	start(&e, EMUL_PROT32, 3);
	e.seg[EMUL_TR].base = -0x66u;
	e.seg[EMUL_TR].limit = 0x68 + 0x20;
	memory[0] = 0x68;
	memory[0x68 - 0x66 + 0x10] = 0x02;
	e.ctx.gpr[EMUL_RDX] = 0x80;
	EXPECT_EQ(RUN(&e, 0xec), EMUL_OK);
	FAULT(&e, GP, 0, 0x66, 0xed);
	start(&e, EMUL_VM86, 3);
	e.ctx.rflags |= X86_EFLAGS_IOPL;
	memory[0x12066] = 0x68;
	FAULT(&e, GP, 0, 0xec);
}

TEST(emul_locked_race)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.races = 1;
	e.ctx.gpr[EMUL_RSI] = 0x2000;
	EXPECT_EQ(RUN(&e, 0xf0, 0xff, 0x06), EMUL_OK);	/* lock inc [rsi] */
	EXPECT_EQ(e.ctx.out, EMUL_OUT_AGAIN);
	EXPECT_EQ(e.ctx.rip, 0x100);
	EXPECT_EQ(emul_exec(&e.ctx), EMUL_OK);
	EXPECT_EQ(get32(0x2000), 2);
	EXPECT_EQ(e.ctx.rip, 0x103);
	FAULT(&e, GP, 0, 0x48, 0x0f, 0xc7, 0x4e, 0x08);	/* cmpxchg16b, not aligned */
}

/* Another CPU changes a descriptor between its check and its accessed bit. */
TEST(emul_descriptor_race)
{
	struct emul_env e;
	unsigned int races;

	for (races = 1; races < 6; races++) {
		start(&e, EMUL_PROT32, 0);
		gdt(0x20, 0xc092);
		e.races = races;
		e.ctx.gpr[EMUL_RAX] = 0x20;
		EXPECT_EQ(RUN(&e, 0x8e, 0xd8), EMUL_OK);	/* mov ds, ax */
		EXPECT_EQ(e.ctx.out, 0);
		EXPECT_EQ(e.seg[EMUL_DS].ar & EMUL_AR_TYPE, 3);
		EXPECT_EQ(e.seg[EMUL_DS].base, 0);
		EXPECT_EQ(memory[0x10025] & EMUL_AR_ACCESSED, 1);
		gdt(0x08, 0xc09a);
		idt32(14, 8, 0x5000, 0x8e);
		e.races = races;
		EXPECT_EQ(emul_deliver(&e.ctx, 14, EMUL_EV_EXCEPTION, true, 7, 0x777), EMUL_OK);
		EXPECT_EQ(e.ctx.rip, 0x5000);
	}
}

TEST(emul_vector_moves)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	e.ctx.gpr[EMUL_RSI] = 0x2000;
	put64(0x2000, 0x1111111111111111);
	put64(0x2008, 0x2222222222222222);
	EXPECT_EQ(RUN(&e, 0xf3, 0x0f, 0x6f, 0x06), EMUL_OK);
	EXPECT_EQ(e.fx.xmm[0][15], 0x22);
	EXPECT_EQ(RUN(&e, 0x66, 0x44, 0x0f, 0x7f, 0x46, 0x10), EMUL_OK);
	EXPECT_EQ(RUN(&e, 0x0f, 0x11, 0x46, 0x18), EMUL_OK);
	EXPECT_EQ(get32(0x2018), 0x11111111);
	FAULT(&e, GP, 0, 0x0f, 0x29, 0x46, 0x18);	/* movaps, not aligned */
	EXPECT_EQ(RUN(&e, 0x66, 0x48, 0x0f, 0x7e, 0xc0), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 0x1111111111111111);
	e.cr[0] |= X86_CR0_TS;
	FAULT(&e, 7, 0, 0x0f, 0x10, 0x06);
	e.cr[0] |= X86_CR0_EM;
	FAULT(&e, UD, 0, 0x0f, 0x10, 0x06);
}

TEST(emul_system)
{
	struct emul_env e;

	start(&e, EMUL_LONG64, 0);
	EXPECT_EQ(RUN(&e, 0xf4), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_HALT);
	EXPECT_EQ(RUN(&e, 0xfb), EMUL_OK);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_STI);
	EXPECT_EQ(RUN(&e, 0xfb), EMUL_OK);
	EXPECT_EQ(e.ctx.out, 0);
	e.ctx.gpr[EMUL_RSI] = 0x2345;
	EXPECT_EQ(RUN(&e, 0x0f, 0x01, 0x3e), EMUL_OK);
	EXPECT_EQ(e.sysop, EMUL_SYS_INVLPG);
	EXPECT_EQ(e.sysarg, 0x2345);
	EXPECT_EQ(RUN(&e, 0x0f, 0x01, 0xc1), EMUL_OK);
	EXPECT_EQ(e.sysop, EMUL_SYS_HYPERCALL);
	FAULT(&e, UD, 0, 0x0f, 0x01, 0xc2);
	EXPECT_EQ(e.sysarg, 0xc2010f);
	e.mmio_val = 0x1234567890;
	EXPECT_EQ(RUN(&e, 0x0f, 0x31), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDX], 0x12);
	memcpy(memory + 0x2345, "\xff\x00\x00\x10\x00\x00\xff\xff\xff\xff", 10);
	EXPECT_EQ(RUN(&e, 0x0f, 0x01, 0x16), EMUL_OK);
	EXPECT_EQ(e.table[EMUL_GDT].base, 0xffffffff00001000);
	e.table[EMUL_GDT].base = 0x10000;
	put64(0x10008, 0x00008900300000ff);		/* 64-bit TSS at 0x3000 */
	e.ctx.gpr[EMUL_RAX] = 8;
	EXPECT_EQ(RUN(&e, 0x0f, 0x00, 0xd8), EMUL_OK);
	EXPECT_EQ(e.seg[EMUL_TR].base, 0x3000);
	EXPECT_EQ(e.seg[EMUL_TR].ar, 0x8b);
	FAULT(&e, GP, 8, 0x0f, 0x00, 0xd8);		/* busy now */
	e.kgs = 0x7777;
	EXPECT_EQ(RUN(&e, 0x0f, 0x01, 0xf8), EMUL_OK);
	EXPECT_EQ(e.seg[EMUL_GS].base, 0x7777);
}

TEST(emul_task_switch)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	gdt(0x28, 0x0089);
	EXPECT_EQ(RUN(&e, 0xea, 0, 0, 0, 0, 0x28, 0), EMUL_UNHANDLEABLE);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_TASK_SWITCH);
}

TEST(emul_vm86)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	memcpy(memory + 0x8000, "\x10\0\0\0\x00\x10\0\0\x02\x30\x02\0\xf0\xff\0\0", 16);
	memcpy(memory + 0x8010, "\x00\x20\0\0\x00\x30\0\0\x00\x40\0\0\0\0\0\0\0\0\0\0", 20);
	EXPECT_EQ(RUN(&e, 0xcf), EMUL_OK);
	EXPECT_EQ(e.ctx.mode, EMUL_VM86);
	EXPECT_EQ(e.ctx.cpl, 3);
	EXPECT_EQ(e.seg[EMUL_CS].base, 0x10000);
	EXPECT_EQ(e.seg[EMUL_DS].base, 0x40000);
	EXPECT_EQ(e.ctx.rip, 0x10);
	EXPECT_EQ(e.ctx.rflags & X86_EFLAGS_IOPL, X86_EFLAGS_IOPL);
	e.ctx.rflags &= ~(u64)X86_EFLAGS_IOPL;
	FAULT(&e, GP, 0, 0x9c);
	FAULT(&e, GP, 0, 0xfa);
	FAULT(&e, GP, 0, 0xcd, 0x10);
	FAULT(&e, GP, 0, 0xcf);
}

/* CR4.VME: INT n goes through the IVT if its bit of the redirection map is clear. */
TEST(emul_vm86_redirected_int)
{
	struct emul_env e;

	start(&e, EMUL_VM86, 3);
	e.cr[4] |= X86_CR4_VME;
	e.seg[EMUL_TR].limit = 0x87;
	memory[0x12066] = 0x88;
	memory[0x12068 + 0x21 / 8] = 0x02;
	put64(0x20 * 4, 0x20001234);
	e.ctx.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_VM | X86_EFLAGS_VIF | X86_EFLAGS_NT;
	EXPECT_EQ(RUN(&e, 0xcd, 0x20), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0x1234);
	EXPECT_EQ(e.seg[EMUL_CS].sel, 0x2000);
	EXPECT_EQ(e.ctx.mode, EMUL_VM86);
	EXPECT_EQ(e.ctx.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_VM | X86_EFLAGS_NT);
	/* The pushed flags have an IOPL of 3, and VIF as IF. */
	EXPECT_EQ(get32(e.seg[EMUL_SS].base + e.ctx.gpr[EMUL_RSP] + 4) & 0xffff, 0x7202);
	EXPECT_EQ(get32(e.seg[EMUL_SS].base + e.ctx.gpr[EMUL_RSP]) & 0xffff, 0x102);
	FAULT(&e, GP, 0, 0xcd, 0x21);
	/* The map ends with the TSS. */
	e.seg[EMUL_TR].limit = 0x6b;
	FAULT(&e, GP, 0, 0xcd, 0x20);
	/* IOPL 3: IF is cleared. */
	e.seg[EMUL_TR].limit = 0x87;
	e.ctx.rflags |= X86_EFLAGS_IOPL | X86_EFLAGS_IF;
	e.ctx.rip = 0x100;
	EXPECT_EQ(emul_deliver(&e.ctx, 0x20, EMUL_EV_SOFT, false, 0, 0x102), EMUL_OK);
	EXPECT_EQ(e.ctx.rip, 0x1234);
	EXPECT_EQ(e.ctx.rflags & (X86_EFLAGS_IF | X86_EFLAGS_IOPL), X86_EFLAGS_IOPL);
}

/* Without CR4.VME the instruction needs an IOPL of 3; an event that is injected does not. */
TEST(emul_vm86_injected_int)
{
	const uint64_t flags = X86_EFLAGS_FIXED | X86_EFLAGS_VM;
	struct emul_env e;

	start(&e, EMUL_VM86, 3);
	e.ctx.rflags = flags;
	FAULT(&e, GP, 0, 0xcd, 0x20);
	e.ctx.rflags = flags;
	e.ctx.rip = 0x100;
	/* The gate is missing: it has been looked for. */
	EXPECT_EQ(emul_deliver(&e.ctx, 0x20, EMUL_EV_SOFT, false, 0, 0x102), EMUL_FAULT);
	EXPECT_EQ(e.ctx.exc.vector, 13);
	EXPECT_EQ(e.ctx.exc.error, 0x20 << 3 | 2);
}

TEST(emul_enter_pusha)
{
	struct emul_env e;
	int i;

	start(&e, EMUL_PROT32, 0);
	for (i = 0; i < 8; i++)
		e.ctx.gpr[i] = i == EMUL_RSP ? 0x8000 : 0x100 + i;
	EXPECT_EQ(RUN(&e, 0x60), EMUL_OK);
	EXPECT_EQ(get32(0x8000 - 20), 0x8000);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x8000 - 32);
	EXPECT_EQ(RUN(&e, 0x61), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x8000);
	EXPECT_EQ(e.ctx.gpr[EMUL_RDI], 0x107);
	EXPECT_EQ(RUN(&e, 0xc8, 0x10, 0x00, 0x01), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RBP], 0x7ffc);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ff8 - 0x10);
	EXPECT_EQ(RUN(&e, 0xc9), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RBP], 0x105);
	/* a push that faults leaves the stack pointer of the whole instruction alone */
	e.ctx.gpr[EMUL_RSP] = 8;
	e.seg[EMUL_SS].limit = 0xffff;
	FAULT(&e, SS, 0, 0x60);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 8);
}

TEST(emul_bcd)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	e.ctx.gpr[EMUL_RAX] = 0x9a;
	EXPECT_EQ(RUN(&e, 0x27), EMUL_OK);		/* daa */
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 0);
	EXPECT_EQ(e.ctx.rflags & 0x55, 0x55);
	e.ctx.gpr[EMUL_RAX] = 0x0f;
	e.ctx.rflags = 2;
	EXPECT_EQ(RUN(&e, 0x37), EMUL_OK);		/* aaa */
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 0x105);
	e.ctx.gpr[EMUL_RAX] = 123;
	EXPECT_EQ(RUN(&e, 0xd4, 10), EMUL_OK);		/* aam */
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 0xc03);
	EXPECT_EQ(RUN(&e, 0xd5, 10), EMUL_OK);		/* aad */
	EXPECT_EQ(e.ctx.gpr[EMUL_RAX], 123);
	FAULT(&e, 0, 0, 0xd4, 0);
}
