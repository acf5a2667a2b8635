// SPDX-License-Identifier: GPL-2.0-only
/* Task switches: both formats, in each direction; links and busy bits; every check. */
#include "emul_env.h"
#include "test.h"

#define TS	10
#define NP	11
#define SS	12
#define GP	13
#define PF	14

#define GDT	0x10000u
#define OLD	0x18u
#define NEW	0x20u
#define CODE	0x08u
#define DATA	0x10u
#define CODE3	0x2bu
#define DATA3	0x33u
#define LDT	0x38u
#define ABSENT	0x40u
#define OLD_AT	0x12000u
#define NEW_AT	0x13000u

static u8 memory[0x20000];

static void put(u32 la, u64 val, unsigned int bytes)
{
	memcpy(memory + la, &val, bytes);
}

static u32 get(u32 la, unsigned int bytes)
{
	u32 val = 0;

	memcpy(&val, memory + la, bytes);
	return val;
}

static void describe(u16 sel, u32 base, u32 limit, u8 access, u8 flags)
{
	put(GDT + (sel & ~7u), (u64)(limit & 0xffff) | (u64)(base & 0xffffff) << 16 |
	    (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 |
	    (u64)(base >> 24) << 56, 8);
}

static u8 access_of(u16 sel)
{
	return get(GDT + sel + 5, 1);
}

static void tss32(u32 at)
{
	unsigned int i;

	put(at + 0x20, 0x4444, 4);
	put(at + 0x24, 0x2, 4);
	for (i = 0; i < 8; i++)
		put(at + 0x28 + 4 * i, 0x11110000 + i, 4);
	for (i = 0; i < 6; i++)
		put(at + 0x48 + 4 * i, i == 1 ? CODE : DATA, 4);
}

static void tss16(u32 at)
{
	unsigned int i;

	put(at + 0x0e, 0x4444, 2);
	put(at + 0x10, 0x2, 2);
	for (i = 0; i < 8; i++)
		put(at + 0x12 + 2 * i, 0x2200 + i, 2);
	for (i = 0; i < 4; i++)
		put(at + 0x22 + 2 * i, i == 1 ? CODE : DATA, 2);
}

/* @back: the new task is the one to return to, and so is busy. */
static void start(struct emul_env *e, bool old32, bool new32, bool back)
{
	unsigned int i;

	env_init(e, EMUL_PROT32, 0);
	memset(memory, 0, sizeof(memory));
	e->mem = memory;
	e->size = sizeof(memory);
	e->ctx.rip = 0x5555;
	e->ctx.rflags = 0x246;
	for (i = 0; i < 8; i++)
		e->ctx.gpr[i] = 0x33330000 + i;
	e->table[EMUL_GDT].base = GDT;
	e->table[EMUL_GDT].limit = 0x47;
	for (i = 0; i < 6; i++)
		e->seg[i].sel = i == EMUL_CS ? CODE : DATA;
	e->seg[EMUL_TR] = (struct emul_seg){
		.base = OLD_AT, .limit = old32 ? 0x67 : 0x2b, .sel = OLD, .ar = old32 ? 0x8b : 0x83,
	};
	describe(CODE, 0, 0xfffff, 0x9b, 0xc);
	describe(DATA, 0, 0xfffff, 0x93, 0xc);
	describe(CODE3, 0, 0xfffff, 0xfb, 0xc);
	describe(DATA3, 0, 0xfffff, 0xf3, 0xc);
	describe(LDT, 0x14000, 0x3f, 0x82, 0);
	describe(ABSENT, 0, 0xfffff, 0x13, 0xc);
	describe(OLD, OLD_AT, old32 ? 0x67 : 0x2b, old32 ? 0x8b : 0x83, 0);
	describe(NEW, NEW_AT, new32 ? 0x67 : 0x2b, (new32 ? 0x89 : 0x81) | (back ? 2 : 0), 0);
	if (new32)
		tss32(NEW_AT);
	else
		tss16(NEW_AT);
	/* What lies beside the old task's selectors. */
	for (i = 0; old32 && i < 6; i++)
		put(OLD_AT + 0x48 + 4 * i + 2, 0xdead, 2);
}

static void expect_saved(bool old32, u32 flags)
{
	unsigned int i, w = old32 ? 4 : 2, at = OLD_AT + (old32 ? 0x20 : 0x0e);
	u32 mask = old32 ? ~0u : 0xffff;

	EXPECT_EQ(get(at, w), 0x5555);
	EXPECT_EQ(get(at + w, w), flags);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(get(at + (2 + i) * w, w), (0x33330000 + i) & mask);
	for (i = 0; i < (old32 ? 6 : 4); i++)
		EXPECT_EQ(get(at + (10 + i) * w, w), i == 1 ? CODE : DATA);
	/* LDT and what follows it belong to whoever made the TSS. */
	EXPECT_EQ(get(at + (10 + i) * w, 2), 0);
}

static void expect_loaded(struct emul_env *e, bool new32)
{
	unsigned int i;

	EXPECT_EQ(e->ctx.rip, 0x4444);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(e->ctx.gpr[i], (new32 ? 0x11110000 : 0x2200) + i);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(e->seg[i].sel, i == 1 ? CODE : DATA);
	EXPECT_EQ(e->seg[EMUL_TR].sel, NEW);
	EXPECT_EQ(e->seg[EMUL_TR].base, NEW_AT);
	EXPECT_EQ(e->seg[EMUL_TR].ar & 15, new32 ? 11 : 3);
	EXPECT(e->cr[0] & X86_CR0_TS);
}

static void each_source(bool old32, bool new32)
{
	struct emul_env e;
	int source;

	for (source = EMUL_TASK_CALL; source <= EMUL_TASK_GATE; source++) {
		struct emul_task task = { .sel = NEW, .source = source };
		bool back = source == EMUL_TASK_IRET, nests = source == 0 || source == 3;

		start(&e, old32, new32, back);
		e.ctx.rflags |= back ? X86_EFLAGS_NT : 0;
		EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_OK);
		EXPECT(task.switched && !task.trap);
		expect_saved(old32, 0x246);
		expect_loaded(&e, new32);
		EXPECT_EQ(get(NEW_AT, 2), nests ? OLD : 0);
		EXPECT_EQ(e.ctx.rflags, nests ? 0x4002 : 2);
		EXPECT_EQ(access_of(OLD) & 2, nests ? 2 : 0);
		EXPECT_EQ(access_of(NEW) & 2, 2);
	}
}

TEST(task_formats_and_sources)
{
	each_source(true, true);
	each_source(true, false);
	each_source(false, true);
	each_source(false, false);
}

/* A fault of the old task leaves everything as it was. */
static void refused(struct emul_env *e, struct emul_task task, u8 vector, u32 error)
{
	static u8 before[sizeof(memory)];
	struct emul_env was = *e;

	memcpy(before, memory, sizeof(memory));
	EXPECT_EQ(emul_task_switch(&e->ctx, &task), EMUL_FAULT);
	EXPECT(!task.switched);
	EXPECT_EQ(e->ctx.exc.vector, vector);
	EXPECT_EQ(e->ctx.exc.error, error);
	EXPECT(!memcmp(before, memory, sizeof(memory)));
	EXPECT(!memcmp(was.ctx.gpr, e->ctx.gpr, sizeof(was.ctx.gpr)));
	EXPECT_EQ(e->ctx.rip, was.ctx.rip);
	EXPECT(!memcmp(was.seg, e->seg, sizeof(was.seg)));
}

TEST(task_tss_is_checked)
{
	struct emul_task jmp = { .sel = NEW, .source = EMUL_TASK_JMP };
	struct emul_task iret = { .sel = NEW, .source = EMUL_TASK_IRET };
	struct emul_task gate = { .sel = NEW, .source = EMUL_TASK_GATE, .external = true };
	struct emul_env e;

	start(&e, true, true, true);
	refused(&e, jmp, GP, NEW);		/* busy */
	refused(&e, gate, GP, NEW | 1);
	start(&e, true, true, false);
	refused(&e, iret, TS, NEW);		/* not busy */
	jmp.sel = DATA;
	refused(&e, jmp, GP, DATA);
	jmp.sel = NEW | 4;
	refused(&e, jmp, GP, NEW | 4);
	jmp.sel = 0x48;
	refused(&e, jmp, GP, 0x48);
	iret.sel = 0x48;
	refused(&e, iret, TS, 0x48);
	jmp.sel = 3;
	refused(&e, jmp, GP, 0);
	jmp.sel = NEW;
	describe(NEW, NEW_AT, 0x67, 0x09, 0);
	refused(&e, jmp, NP, NEW);
	describe(NEW, NEW_AT, 0x66, 0x89, 0);
	refused(&e, jmp, TS, NEW);
	describe(NEW, NEW_AT, 0x2a, 0x81, 0);
	refused(&e, gate, TS, NEW | 1);
}

TEST(task_memory_that_is_away_is_noticed_first)
{
	struct emul_task call = { .sel = NEW, .source = EMUL_TASK_CALL };
	struct emul_env e;

	start(&e, true, true, false);
	describe(NEW, sizeof(memory) - 0x60, 0x67, 0x89, 0);
	refused(&e, call, PF, 0);
	start(&e, true, true, false);
	e.seg[EMUL_TR].base = sizeof(memory) - 0x30;
	refused(&e, call, PF, 2);
	EXPECT_EQ(e.ctx.exc.cr2, sizeof(memory) - 0x10);
}

/* What the switch writes last is known to be writable before it writes anything. */
TEST(task_memory_that_is_read_only_is_noticed_first)
{
	struct emul_task call = { .sel = NEW, .source = EMUL_TASK_CALL };
	struct emul_env e;

	start(&e, true, true, false);
	e.ro = GDT;
	e.ro_len = 0x48;
	refused(&e, call, PF, 3);
	start(&e, true, true, false);
	e.ro = NEW_AT;
	e.ro_len = 2;
	refused(&e, call, PF, 3);
	EXPECT_EQ(e.ctx.exc.cr2, NEW_AT);
}

/* A fault of the new task: it is the current one. */
static void faults(struct emul_env *e, u8 vector, u32 error)
{
	struct emul_task task = { .sel = NEW, .source = EMUL_TASK_JMP };

	EXPECT_EQ(emul_task_switch(&e->ctx, &task), EMUL_FAULT);
	EXPECT(task.switched);
	EXPECT_EQ(e->ctx.exc.vector, vector);
	EXPECT_EQ(e->ctx.exc.error, error);
	EXPECT_EQ(e->ctx.rip, 0x4444);
	EXPECT_EQ(e->seg[EMUL_TR].sel, NEW);
	/* Whatever is wrong, an exception can be delivered. */
	EXPECT_EQ(e->seg[EMUL_CS].ar & 0x98, 0x98);
	EXPECT_EQ(e->seg[EMUL_CS].ar >> 5 & 3, e->seg[EMUL_SS].ar >> 5 & 3);
	EXPECT_EQ(e->seg[EMUL_CS].ar >> 5 & 3, e->ctx.cpl);
}

static void field(struct emul_env *e, unsigned int off, u32 val, u8 vector, u32 error)
{
	start(e, true, true, false);
	put(NEW_AT + off, val, 4);
	faults(e, vector, error);
}

enum { F_ES = 0x48, F_CS = 0x4c, F_SS = 0x50, F_DS = 0x54, F_FS = 0x58, F_GS = 0x5c, F_LDT = 0x60 };

TEST(task_segments_are_checked_in_the_new_task)
{
	struct emul_env e;
	unsigned int off;

	field(&e, F_LDT, LDT | 4, TS, LDT | 4);
	field(&e, F_LDT, DATA, TS, DATA);
	field(&e, F_CS, 0, TS, 0);
	field(&e, F_CS, DATA, TS, DATA);
	field(&e, F_CS, CODE | 3, TS, CODE);
	field(&e, F_CS, 0x80, TS, 0x80);
	field(&e, F_SS, 0, TS, 0);
	field(&e, F_SS, CODE, TS, CODE);
	field(&e, F_SS, DATA3, TS, DATA3 & ~3u);
	field(&e, F_SS, ABSENT, SS, ABSENT);
	for (off = F_DS; off <= F_GS; off += 4) {
		field(&e, off, 0x80, TS, 0x80);
		field(&e, off, NEW, TS, NEW);
		field(&e, off, ABSENT, NP, ABSENT);
	}
	field(&e, F_ES, ABSENT, NP, ABSENT);
	/* Several at once: LDT, CS, SS, then data. */
	start(&e, true, true, false);
	put(NEW_AT + F_ES, 0x80, 4);
	put(NEW_AT + F_SS, 0x88, 4);
	faults(&e, TS, 0x88);
}

TEST(task_of_an_outer_level)
{
	struct emul_task task = { .sel = NEW, .source = EMUL_TASK_JMP };
	struct emul_env e;
	unsigned int off;

	start(&e, true, true, false);
	put(NEW_AT + F_CS, CODE3, 4);
	put(NEW_AT + F_SS, DATA3, 4);
	for (off = F_DS; off <= F_GS; off += 4)
		put(NEW_AT + off, DATA3, 4);
	put(NEW_AT + F_ES, 0, 4);
	put(NEW_AT + F_LDT, LDT, 4);
	EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_OK);
	EXPECT_EQ(e.ctx.cpl, 3);
	EXPECT_EQ(e.seg[EMUL_CS].sel, CODE3);
	EXPECT_EQ(e.seg[EMUL_LDTR].base, 0x14000);
	EXPECT(e.seg[EMUL_ES].ar & EMUL_AR_UNUSABLE);
	start(&e, true, true, false);
	put(NEW_AT + F_CS, CODE3, 4);
	put(NEW_AT + F_SS, DATA3, 4);
	faults(&e, TS, DATA);		/* DS of level 0 */
}

TEST(task_in_vm86_mode)
{
	struct emul_task task = { .sel = NEW, .source = EMUL_TASK_JMP };
	struct emul_env e;

	start(&e, true, true, false);
	put(NEW_AT + 0x24, X86_EFLAGS_VM | 2, 4);
	put(NEW_AT + F_CS, 0x1000, 4);
	put(NEW_AT + F_SS, 0x2000, 4);
	EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_OK);
	EXPECT_EQ(e.ctx.mode, EMUL_VM86);
	EXPECT_EQ(e.ctx.cpl, 3);
	EXPECT_EQ(e.seg[EMUL_CS].base, 0x10000);
	EXPECT_EQ(e.seg[EMUL_SS].base, 0x20000);
	EXPECT_EQ(e.seg[EMUL_SS].limit, 0xffff);
}

TEST(task_error_code_cr3_and_dr7)
{
	struct emul_task task = {
		.sel = NEW, .source = EMUL_TASK_GATE, .external = true, .has_error = true,
		.error = 0x1234,
	};
	struct emul_env e;

	start(&e, true, true, false);
	put(NEW_AT + 0x28 + 16, 0x8000, 4);
	put(NEW_AT + 0x1c, 0x7000, 4);
	put(NEW_AT + 0x64, 1, 4);
	e.cr[0] |= X86_CR0_PG;
	e.dr[7] = 0x7ff;
	EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_OK);
	EXPECT(task.trap);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ffc);
	EXPECT_EQ(get(0x7ffc, 4), 0x1234);
	EXPECT_EQ(e.cr[3], 0x7000);
	EXPECT_EQ(e.dr[7], 0x6aa);
	start(&e, true, false, false);
	put(NEW_AT + 0x12 + 8, 0x8000, 2);
	EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_OK);
	EXPECT_EQ(e.ctx.gpr[EMUL_RSP], 0x7ffe);
	EXPECT_EQ(get(0x7ffe, 2), 0x1234);
	EXPECT_EQ(e.cr[3], 0);
}

TEST(task_rip_beyond_the_limit)
{
	struct emul_env e;

	start(&e, true, true, false);
	describe(CODE, 0, 0x4443, 0x9b, 4);
	faults(&e, GP, 0);
}

TEST(task_not_in_real_and_long_mode)
{
	struct emul_task task = { .sel = NEW, .source = EMUL_TASK_JMP };
	struct emul_env e;

	start(&e, true, true, false);
	e.ctx.mode = EMUL_REAL;
	EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_UNHANDLEABLE);
	e.ctx.mode = EMUL_PROT32;
	e.efer = EFER_LMA | EFER_LME;
	EXPECT_EQ(emul_task_switch(&e.ctx, &task), EMUL_UNHANDLEABLE);
}

#define GATE	0x48u

/* A far JMP or CALL to @sel by its immediate. */
static enum emul_rc far_to(struct emul_env *e, u8 opcode, u16 sel)
{
	e->nbytes = 0;
	return RUN(e, opcode, 0, 0, 0, 0, sel, sel >> 8);
}

static void asks_for(struct emul_env *e, enum emul_rc rc, enum emul_task_source source)
{
	EXPECT_EQ(rc, EMUL_UNHANDLEABLE);
	EXPECT_EQ(e->ctx.out, EMUL_OUT_TASK_SWITCH);
	EXPECT_EQ(e->ctx.task.sel, NEW);
	EXPECT_EQ(e->ctx.task.source, source);
	EXPECT(!e->ctx.task.external && !e->ctx.task.has_error);
}

static void far_fault(struct emul_env *e, u16 sel, u8 vector)
{
	EXPECT_EQ(far_to(e, 0xea, sel), EMUL_FAULT);
	EXPECT_EQ(e->ctx.exc.vector, vector);
	EXPECT_EQ(e->ctx.exc.error, sel & 0xfffc);
}

static void task_gate(u8 access)
{
	put(GDT + GATE, (u64)access << 40 | (u64)NEW << 16, 8);
}

/* What CALL and JMP to a TSS or a task gate demand, before there is a task switch. */
TEST(task_by_far_transfer)
{
	struct emul_env e;

	start(&e, true, true, false);
	e.table[EMUL_GDT].limit = 0xff;
	asks_for(&e, far_to(&e, 0xea, NEW), EMUL_TASK_JMP);
	asks_for(&e, far_to(&e, 0x9a, NEW), EMUL_TASK_CALL);
	task_gate(0x85);
	asks_for(&e, far_to(&e, 0x9a, GATE), EMUL_TASK_CALL);
	/* The privilege of the gate counts, not that of the TSS behind it. */
	far_fault(&e, GATE | 3, GP);
	task_gate(0x05);
	far_fault(&e, GATE, NP);
	task_gate(0xe5);
	e.ctx.cpl = 3;
	asks_for(&e, far_to(&e, 0xea, GATE | 3), EMUL_TASK_JMP);
	far_fault(&e, NEW, GP);
	/* A busy one */
	e.ctx.cpl = 0;
	far_fault(&e, OLD, GP);
	e.efer = EFER_LMA | EFER_LME;
	far_fault(&e, NEW, GP);
}

TEST(task_by_iret_and_by_gate_of_the_idt)
{
	struct emul_env e;

	start(&e, true, true, false);
	e.ctx.rflags |= X86_EFLAGS_NT;
	put(OLD_AT, NEW, 2);
	asks_for(&e, RUN(&e, 0xcf), EMUL_TASK_IRET);
	e.table[EMUL_IDT].base = 0x14000;
	e.table[EMUL_IDT].limit = 0x7ff;
	put(0x14000 + 8 * 0x30, (u64)0x85 << 40 | (u64)NEW << 16, 8);
	asks_for(&e, RUN(&e, 0xcd, 0x30), EMUL_TASK_GATE);
	EXPECT_EQ(emul_deliver(&e.ctx, 0x30, EMUL_EV_EXCEPTION, true, 0x56, 0), EMUL_UNHANDLEABLE);
	EXPECT_EQ(e.ctx.out, EMUL_OUT_TASK_SWITCH);
	EXPECT(e.ctx.task.external && e.ctx.task.has_error);
	EXPECT_EQ(e.ctx.task.error, 0x56);
	/* INT n asks the gate, an interrupt does not. */
	e.ctx.cpl = 3;
	EXPECT_EQ(RUN(&e, 0xcd, 0x30), EMUL_FAULT);
	EXPECT_EQ(e.ctx.exc.error, 0x30 << 3 | 2);
	EXPECT_EQ(emul_deliver(&e.ctx, 0x30, EMUL_EV_EXTERNAL, false, 0, 0), EMUL_UNHANDLEABLE);
}
