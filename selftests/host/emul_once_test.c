// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instruction that is executed again makes the same calls in the same order, up to where it was
 * left. The machine here leaves each instruction at each of its calls once, those for tables
 * excepted, and records them.
 */
#include "emul_env.h"
#include "test.h"

#define MAX_CALLS	256
#define TSS		0x6000u
#define MAP		0x88u	/* offset of the I/O permission bit map */

struct call {
	char kind;
	u64 addr;
	u32 len;
	u8 items[16];
};

static u8 memory[0x20000], items[0x400];
static struct emul_ops once_ops;
static struct call calls[MAX_CALLS];
static unsigned int logged, replayed, strays;
static u32 logged_seq;

static struct call *once_call(struct emul_ctx *ctx, char kind, u64 addr, u32 len)
{
	struct call *c;

	if (logged_seq != ctx->seq) {
		logged_seq = ctx->seq;
		logged = 0;
		replayed = 0;
	}
	c = &calls[replayed];
	if (replayed < logged) {
		if (c->kind != kind || c->addr != addr || c->len != len)
			strays++;
		replayed++;
		return c;
	}
	*c = (struct call){ kind, addr, len };
	logged = ++replayed;
	return NULL;
}

static enum emul_rc once_read(struct emul_ctx *ctx, u64 la, void *buf, unsigned int len,
			      enum emul_access acc, u8 cpl)
{
	/* Tables are in memory, as they mostly are. */
	return once_call(ctx, 'r', la, len) || acc == EMUL_SYSTEM ?
	       env_read(ctx, la, buf, len, acc, cpl) : EMUL_IO;
}

static enum emul_rc once_write(struct emul_ctx *ctx, u64 la, const void *buf, unsigned int len,
			       enum emul_access acc, u8 cpl)
{
	return once_call(ctx, 'w', la, len) ? env_write(ctx, la, buf, len, acc, cpl) : EMUL_IO;
}

static enum emul_rc once_probe(struct emul_ctx *ctx, u64 la, unsigned int len,
			       enum emul_access acc, u8 cpl)
{
	return once_call(ctx, 'p', la, len) ? env_probe(ctx, la, len, acc, cpl) : EMUL_IO;
}

/* What the device has given is kept, as it is for a userspace that answers. */
static enum emul_rc once_in(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
			    void *buf)
{
	struct call *c = once_call(ctx, 'i', port, size * count);

	if (c) {
		memcpy(buf, c->items, size * count);
		return EMUL_OK;
	}
	env_in(ctx, port, size, count, calls[replayed - 1].items);
	return EMUL_IO;
}

static enum emul_rc once_out(struct emul_ctx *ctx, u16 port, unsigned int size, u32 count,
			     const void *buf)
{
	return once_call(ctx, 'o', port, size * count) ? env_out(ctx, port, size, count, buf) :
							 EMUL_IO;
}

static void start(struct emul_env *e, enum emul_mode mode, u8 cpl)
{
	unsigned int i;

	once_ops = env_ops;
	once_ops.read = once_read;
	once_ops.write = once_write;
	once_ops.probe_write = once_probe;
	once_ops.pio_in = once_in;
	once_ops.pio_out = once_out;
	env_init(e, mode, cpl);
	e->ctx.ops = &once_ops;
	for (i = 0; i < sizeof(memory); i++)
		memory[i] = i;
	e->mem = memory;
	e->size = sizeof(memory);
	e->ctx.rip = 0x100;
	e->ctx.gpr[EMUL_RSP] = 0x8000;
	e->ctx.gpr[EMUL_RSI] = 0x1008;
	e->ctx.gpr[EMUL_RDI] = 0x3008;
	e->ctx.gpr[EMUL_RDX] = 0x40;
	e->seg[EMUL_TR].base = TSS;
	e->seg[EMUL_TR].limit = 0xfff;
	memset(memory + TSS, 0, 0x1000);
	memory[TSS + 102] = MAP;
	e->table[EMUL_GDT].base = 0x10000;
	logged = 0;
	replayed = 0;
	strays = 0;
	logged_seq = e->ctx.seq;
}

/* Run to the end, however often it is left. */
static enum emul_rc run_on(struct emul_env *e, const u8 *bytes, unsigned int n)
{
	enum emul_rc rc = env_run(e, bytes, n);
	unsigned int left = 2000;

	while (left-- && (rc == EMUL_IO || (rc == EMUL_OK && e->ctx.out & EMUL_OUT_AGAIN))) {
		replayed = 0;
		rc = emul_exec(&e->ctx);
	}
	EXPECT_EQ(strays, 0);
	return rc;
}

#define RUN_ON(e, ...)								\
	run_on(e, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* By code that the I/O permission bit map lets do it: both directions, singly and in batches. */
TEST(once_port_strings)
{
	static const enum emul_mode modes[] = { EMUL_VM86, EMUL_PROT32, EMUL_LONG64 };
	struct emul_env e;
	unsigned int i;

	for (i = 0; i < 2 * sizeof(modes) / sizeof(modes[0]); i++) {
		start(&e, modes[i / 2], 3);
		if (i & 1)
			e.ctx.rflags |= X86_EFLAGS_DF;
		e.ctx.io_buf = items;
		e.ctx.io_buf_size = 16;
		e.ctx.gpr[EMUL_RCX] = 40;
		EXPECT_EQ(RUN_ON(&e, 0xf3, 0x6c), EMUL_OK);
		EXPECT_EQ(e.pio_items, 40);
		EXPECT_EQ(memory[0x3008], 0x40);
		EXPECT_EQ(memory[i & 1 ? 0x3008 - 39 : 0x3008 + 39], 0x40 + 39);
		e.pio_items = 0;
		e.ctx.gpr[EMUL_RCX] = 40;
		EXPECT_EQ(RUN_ON(&e, 0xf3, 0x6e), EMUL_OK);
		EXPECT_EQ(e.pio_items, 40);
		/* Nothing is done where the map forbids it. */
		e.pio_items = 0;
		e.ctx.gpr[EMUL_RCX] = 40;
		memory[TSS + MAP + 8] = 1;
		EXPECT_EQ(RUN_ON(&e, 0xf3, 0x6c), EMUL_FAULT);
		EXPECT_EQ(RUN_ON(&e, 0x6c), EMUL_FAULT);
		EXPECT_EQ(RUN_ON(&e, 0xee), EMUL_FAULT);
		EXPECT_EQ(e.pio_items, 0);
		EXPECT_EQ(e.ctx.gpr[EMUL_RCX], 40);
	}
}

/* The other strings, stacks and what reads a lot */
TEST(once_other_instructions)
{
	struct emul_env e;

	start(&e, EMUL_PROT32, 0);
	e.ctx.gpr[EMUL_RCX] = 5;
	EXPECT_EQ(RUN_ON(&e, 0xf3, 0xa5), EMUL_OK);
	EXPECT_EQ(memory[0x3008], 0x08);
	e.ctx.gpr[EMUL_RCX] = 5;
	EXPECT_EQ(RUN_ON(&e, 0xf3, 0xaa), EMUL_OK);
	e.ctx.gpr[EMUL_RCX] = 5;
	RUN_ON(&e, 0xf3, 0xa6);
	e.ctx.gpr[EMUL_RCX] = 5;
	RUN_ON(&e, 0xf2, 0xae);
	EXPECT_EQ(RUN_ON(&e, 0x60), EMUL_OK);
	EXPECT_EQ(RUN_ON(&e, 0x61), EMUL_OK);
	e.ctx.gpr[EMUL_RBP] = 0x9000;
	EXPECT_EQ(RUN_ON(&e, 0xc8, 0x10, 0x00, 0x1f), EMUL_OK);
	EXPECT_EQ(RUN_ON(&e, 0xc9), EMUL_OK);
	e.ctx.gpr[EMUL_RBX] = 0x2000;
	EXPECT_EQ(RUN_ON(&e, 0x87, 0x03), EMUL_OK);
	EXPECT_EQ(RUN_ON(&e, 0x0f, 0xae, 0x03), EMUL_OK);
	EXPECT_EQ(RUN_ON(&e, 0xdd, 0x33), EMUL_OK);
}
