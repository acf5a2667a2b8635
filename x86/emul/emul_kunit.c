// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the emulator as built by the kernel's compiler, with a few instructions of each kind. The
 * full tests and the comparison with the CPU are userspace programs (selftests/host/emul_*_test.c).
 */
#include <kunit/test.h>

#include "alu.c"
#include "decode.c"
#include "deliver.c"
#include "exec.c"
#include "far.c"
#include "flow.c"
#include "mov.c"
#include "seg.c"
#include "string.c"
#include "sys.c"
#include "task.c"
#include "tables_vex.c"
#include "vec.c"
#include "x87.c"
#include "tables.c"

#define MEM_BYTES	256

struct kunit_machine {
	struct emul_ctx ctx;
	u8 mem[MEM_BYTES];
	u8 code[EMUL_MAX_INSN];
};

static struct kunit_machine *kunit_of(struct emul_ctx *ctx)
{
	return container_of(ctx, struct kunit_machine, ctx);
}

static enum emul_rc kunit_fetch(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len, u8 cpl)
{
	memcpy(buf, kunit_of(ctx)->code, len);
	return EMUL_OK;
}

static enum emul_rc kunit_read(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
			       enum emul_access acc, u8 cpl)
{
	if (la > MEM_BYTES || len > MEM_BYTES - la)
		return emul_fault_page(ctx, la, 0);
	memcpy(buf, kunit_of(ctx)->mem + la, len);
	return EMUL_OK;
}

static enum emul_rc kunit_write(struct emul_ctx *ctx, u64 la, const void *buf, unsigned int len,
				enum emul_access acc, u8 cpl)
{
	if (la > MEM_BYTES || len > MEM_BYTES - la)
		return emul_fault_page(ctx, la, 2);
	memcpy(kunit_of(ctx)->mem + la, buf, len);
	return EMUL_OK;
}

/* The tested instructions call only these ops. */
static const struct emul_ops kunit_ops = {
	.fetch = kunit_fetch,
	.read = kunit_read,
	.write = kunit_write,
};

struct kunit_case_row {
	const char *name;
	u8 code[EMUL_MAX_INSN];
	enum emul_rc rc;
	u64 rax;
	u8 vector;
};

/* Before each row RAX = 0x1234, RBX = 0x40, and the 64-bit number at 0x40 is 5. */
static const struct kunit_case_row emul_rows[] = {
	{ "add rax, rax", { 0x48, 0x01, 0xc0 }, EMUL_OK, 0x2468 },
	{ "mov eax, [rbx]", { 0x8b, 0x03 }, EMUL_OK, 5 },
	{ "xadd [rbx], rax", { 0x48, 0x0f, 0xc1, 0x03 }, EMUL_OK, 5 },
	{ "movzx eax, byte [rbx+1]", { 0x0f, 0xb6, 0x43, 0x01 }, EMUL_OK, 0 },
	{ "imul rax, rax, 16", { 0x48, 0x6b, 0xc0, 0x10 }, EMUL_OK, 0x12340 },
	{ "lea rax, [rbx+rbx*8]", { 0x48, 0x8d, 0x04, 0xdb }, EMUL_OK, 0x240 },
	{ "div byte [rbx+1]", { 0xf6, 0x73, 0x01 }, EMUL_FAULT, 0x1234, VEC_DE },
	{ "mov eax, [rbx+0x1000]", { 0x8b, 0x83, 0, 0x10 }, EMUL_FAULT, 0x1234, VEC_PF },
	{ "push es", { 0x06 }, EMUL_FAULT, 0x1234, VEC_UD },
	{ "lock add eax, eax", { 0xf0, 0x01, 0xc0 }, EMUL_FAULT, 0x1234, VEC_UD },
};

static void emul_rows_test(struct kunit *test)
{
	struct kunit_machine *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	for (i = 0; i < ARRAY_SIZE(emul_rows); i++) {
		const struct kunit_case_row *row = &emul_rows[i];

		memset(m, 0, sizeof(*m));
		emul_init(&m->ctx, &kunit_ops, EMUL_LONG64, 0);
		m->mem[0x40] = 5;
		memcpy(m->code, row->code, sizeof(m->code));
		m->ctx.gpr[EMUL_RAX] = 0x1234;
		m->ctx.gpr[EMUL_RBX] = 0x40;
		m->ctx.rflags = X86_EFLAGS_FIXED;
		KUNIT_EXPECT_EQ_MSG(test, emul_step(&m->ctx), row->rc, "%s", row->name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.gpr[EMUL_RAX], row->rax, "%s", row->name);
		if (row->rc == EMUL_FAULT)
			KUNIT_EXPECT_EQ_MSG(test, m->ctx.exc.vector, row->vector, "%s", row->name);
	}
}

/* A repeated string instruction stops at rep_limit and continues with the next emul_exec(). */
static void emul_rep_test(struct kunit *test)
{
	struct kunit_machine *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	emul_init(&m->ctx, &kunit_ops, EMUL_LONG64, 0);
	m->code[0] = 0xf3;
	m->code[1] = 0xaa;
	m->ctx.gpr[EMUL_RAX] = 7;
	m->ctx.gpr[EMUL_RCX] = 20;
	m->ctx.rep_limit = 16;
	KUNIT_EXPECT_EQ(test, emul_step(&m->ctx), EMUL_OK);
	KUNIT_EXPECT_EQ(test, m->ctx.out, EMUL_OUT_AGAIN | EMUL_OUT_ITERATED);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[EMUL_RCX], 4);
	KUNIT_EXPECT_EQ(test, emul_exec(&m->ctx), EMUL_OK);
	KUNIT_EXPECT_EQ(test, m->ctx.rip, 2);
	KUNIT_EXPECT_EQ(test, m->mem[19], 7);
	KUNIT_EXPECT_EQ(test, m->mem[20], 0);
}

static struct kunit_case emul_cases[] = {
	KUNIT_CASE(emul_rows_test),
	KUNIT_CASE(emul_rep_test),
	{}
};

struct kunit_suite okvm_emul_suite = {
	.name = "okvm_emul",
	.test_cases = emul_cases,
};
