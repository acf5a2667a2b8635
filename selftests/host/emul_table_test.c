// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every opcode that the emulator of Linux 6.1's KVM has, and the moves of x87, MMX, SSE and AVX, in
 * every mode that knows them: it is decoded and carried out, or refused by an exception other than
 * #UD; in the modes that do not know it, it is #UD.
 */
#include "emul_env.h"
#include "test.h"

#define REAL	BIT(EMUL_REAL)
#define VM86	BIT(EMUL_VM86)
#define P16	BIT(EMUL_PROT16)
#define P32	BIT(EMUL_PROT32)
#define L64	BIT(EMUL_LONG64)
#define ALL	(REAL | VM86 | P16 | P32 | L64)
#define NO64	(ALL & ~L64)
#define PROT	(P16 | P32 | L64)
#define UD	6

enum { NONE, REGS = 1, MEM = 2, BOTH = 3 };

/* Rows by the map of the opcode, with a mandatory prefix and without, and with VEX. */
#define PONE(pfx, ...)		{ pfx, 0, 1, __VA_ARGS__ }
#define PTWO(pfx, ...)		{ pfx, 0, 0x0f, __VA_ARGS__ }
#define PTHREE(pfx, ...)	{ pfx, 0, 0x38, __VA_ARGS__ }
#define ONE(...)		PONE(0, __VA_ARGS__)
#define TWO(...)		PTWO(0, __VA_ARGS__)
#define THREE(...)		PTHREE(0, __VA_ARGS__)
#define VEX(pp, ...)		{ 0xc5, pp, 0x0f, __VA_ARGS__ }
#define VEX256(pp, ...)		{ 0xc4, pp, 0x0f, __VA_ARGS__ }
/* The six forms of ADD, OR, ADC, SBB, AND, SUB, XOR and CMP. */
#define ALU(op)			ONE(op, (op) + 3, 0, BOTH, 0, ALL),		\
				ONE((op) + 4, (op) + 4, 0, NONE, 1, ALL),	\
				ONE((op) + 5, (op) + 5, 0, NONE, 9, ALL)

/*
 * @pfx: mandatory prefix, or 0xc5 for VEX with @pp and L = 0, 0xc4 with L = 1; @map: 1, 0x0f, 0x38;
 * @ext: ModRM.reg values, 0 for all; @form: of the operand; @imm: bytes of the immediate, 9 for
 * one of the operand's size, 8 for a far pointer; @modes: those that know it
 */
static const struct row {
	u8 pfx, pp, map, first, last, ext, form, imm, modes;
} rows[] = {
	/* one byte */
	ALU(0x00), ALU(0x08), ALU(0x10), ALU(0x18), ALU(0x20), ALU(0x28), ALU(0x30), ALU(0x38),
	ONE(0x06, 0x07, 0, NONE, 0, NO64), ONE(0x0e, 0x0e, 0, NONE, 0, NO64),
	ONE(0x16, 0x17, 0, NONE, 0, NO64), ONE(0x1e, 0x1f, 0, NONE, 0, NO64),
	ONE(0x2f, 0x2f, 0, NONE, 0, NO64), ONE(0x40, 0x4f, 0, NONE, 0, NO64),
	ONE(0x50, 0x5f, 0, NONE, 0, ALL), ONE(0x60, 0x61, 0, NONE, 0, NO64),
	ONE(0x63, 0x63, 0, BOTH, 0, PROT), ONE(0x68, 0x68, 0, NONE, 9, ALL),
	ONE(0x69, 0x69, 0, BOTH, 9, ALL), ONE(0x6a, 0x6a, 0, NONE, 1, ALL),
	ONE(0x6b, 0x6b, 0, BOTH, 1, ALL), ONE(0x6c, 0x6f, 0, NONE, 0, ALL),
	PONE(0xf3, 0x6c, 0x6f, 0, NONE, 0, ALL), ONE(0x70, 0x7f, 0, NONE, 1, ALL),
	ONE(0x80, 0x80, 0, BOTH, 1, ALL), ONE(0x81, 0x81, 0, BOTH, 9, ALL),
	ONE(0x82, 0x82, 0, BOTH, 1, NO64), ONE(0x83, 0x83, 0, BOTH, 1, ALL),
	ONE(0x84, 0x8b, 0, BOTH, 0, ALL), PONE(0xf0, 0x86, 0x87, 0, MEM, 0, ALL),
	ONE(0x8c, 0x8c, 0x3f, BOTH, 0, ALL), ONE(0x8d, 0x8d, 0, MEM, 0, ALL),
	ONE(0x8e, 0x8e, 0x3d, BOTH, 0, ALL), ONE(0x8f, 0x8f, 0x01, BOTH, 0, ALL),
	ONE(0x90, 0x99, 0, NONE, 0, ALL), PONE(0xf3, 0x90, 0x90, 0, NONE, 0, ALL),
	ONE(0x9a, 0x9a, 0, NONE, 8, NO64), ONE(0x9c, 0x9f, 0, NONE, 0, ALL),
	ONE(0xa4, 0xa7, 0, NONE, 0, ALL), PONE(0xf3, 0xa4, 0xa7, 0, NONE, 0, ALL),
	ONE(0xa8, 0xa8, 0, NONE, 1, ALL), ONE(0xa9, 0xa9, 0, NONE, 9, ALL),
	ONE(0xaa, 0xaf, 0, NONE, 0, ALL), PONE(0xf2, 0xaa, 0xaf, 0, NONE, 0, ALL),
	ONE(0xb0, 0xb7, 0, NONE, 1, ALL), ONE(0xb8, 0xbf, 0, NONE, 9, ALL),
	ONE(0xc0, 0xc1, 0, BOTH, 1, ALL), ONE(0xc2, 0xc2, 0, NONE, 2, ALL),
	ONE(0xc3, 0xc3, 0, NONE, 0, ALL), ONE(0xc4, 0xc5, 0, MEM, 0, NO64),
	ONE(0xc6, 0xc6, 0x01, BOTH, 1, ALL), ONE(0xc7, 0xc7, 0x01, BOTH, 9, ALL),
	ONE(0xc8, 0xc8, 0, NONE, 3, ALL), ONE(0xc9, 0xc9, 0, NONE, 0, ALL),
	ONE(0xca, 0xca, 0, NONE, 2, ALL), ONE(0xcb, 0xcc, 0, NONE, 0, ALL),
	ONE(0xcd, 0xcd, 0, NONE, 1, ALL), ONE(0xce, 0xce, 0, NONE, 0, NO64),
	ONE(0xcf, 0xcf, 0, NONE, 0, ALL), ONE(0xd0, 0xd3, 0, BOTH, 0, ALL),
	ONE(0xd4, 0xd5, 0, NONE, 1, NO64), ONE(0xd6, 0xd6, 0, NONE, 0, NO64),
	ONE(0xd7, 0xd7, 0, NONE, 0, ALL), ONE(0xe0, 0xe3, 0, NONE, 1, ALL),
	ONE(0xe4, 0xe7, 0, NONE, 1, ALL), ONE(0xe8, 0xe9, 0, NONE, 9, ALL),
	ONE(0xea, 0xea, 0, NONE, 8, NO64), ONE(0xeb, 0xeb, 0, NONE, 1, ALL),
	ONE(0xec, 0xef, 0, NONE, 0, ALL), ONE(0xf1, 0xf1, 0, NONE, 0, ALL),
	ONE(0xf4, 0xf5, 0, NONE, 0, ALL), ONE(0xf6, 0xf6, 0x03, BOTH, 1, ALL),
	ONE(0xf7, 0xf7, 0x03, BOTH, 9, ALL), ONE(0xf6, 0xf7, 0xfc, BOTH, 0, ALL),
	ONE(0xf8, 0xfd, 0, NONE, 0, ALL), ONE(0xfe, 0xfe, 0x03, BOTH, 0, ALL),
	ONE(0xff, 0xff, 0x57, BOTH, 0, ALL), ONE(0xff, 0xff, 0x28, MEM, 0, ALL),
	/* two bytes */
	TWO(0x00, 0x00, 0x0f, BOTH, 0, PROT), TWO(0x01, 0x01, 0x0f, MEM, 0, ALL),
	TWO(0x01, 0x01, 0x50, BOTH, 0, ALL), TWO(0x01, 0x01, 0x80, MEM, 0, ALL),
	TWO(0x06, 0x06, 0, NONE, 0, ALL), TWO(0x05, 0x05, 0, NONE, 0, L64),
	TWO(0x08, 0x09, 0, NONE, 0, ALL), TWO(0x0d, 0x0d, 0, MEM, 0, ALL),
	TWO(0x18, 0x1f, 0, MEM, 0, ALL), TWO(0x20, 0x20, 0x1d, REGS, 0, ALL),
	TWO(0x22, 0x22, 0x1d, REGS, 0, ALL), TWO(0x21, 0x21, 0, REGS, 0, ALL),
	TWO(0x23, 0x23, 0, REGS, 0, ALL), TWO(0x30, 0x33, 0, NONE, 0, ALL),
	TWO(0x34, 0x35, 0, NONE, 0, ALL), TWO(0x40, 0x4f, 0, BOTH, 0, ALL),
	TWO(0x80, 0x8f, 0, NONE, 9, ALL), TWO(0x90, 0x9f, 0, BOTH, 0, ALL),
	TWO(0xa0, 0xa2, 0, NONE, 0, ALL), TWO(0xa3, 0xa3, 0, BOTH, 0, ALL),
	TWO(0xa4, 0xa4, 0, BOTH, 1, ALL), TWO(0xa5, 0xa5, 0, BOTH, 0, ALL),
	TWO(0xa8, 0xa9, 0, NONE, 0, ALL), TWO(0xab, 0xab, 0, BOTH, 0, ALL),
	TWO(0xac, 0xac, 0, BOTH, 1, ALL), TWO(0xad, 0xad, 0, BOTH, 0, ALL),
	TWO(0xae, 0xae, 0x03, MEM, 0, ALL), TWO(0xae, 0xae, 0x80, MEM, 0, ALL),
	PTWO(0x66, 0xae, 0xae, 0x80, MEM, 0, ALL), TWO(0xaf, 0xb1, 0, BOTH, 0, ALL),
	TWO(0xb2, 0xb2, 0, MEM, 0, ALL), TWO(0xb3, 0xb3, 0, BOTH, 0, ALL),
	TWO(0xb4, 0xb5, 0, MEM, 0, ALL), TWO(0xb6, 0xb7, 0, BOTH, 0, ALL),
	TWO(0xba, 0xba, 0xf0, BOTH, 1, ALL), TWO(0xbb, 0xc1, 0, BOTH, 0, ALL),
	TWO(0xc3, 0xc3, 0, MEM, 0, ALL), TWO(0xc7, 0xc7, 0x02, MEM, 0, ALL),
	PTWO(0xf0, 0xc7, 0xc7, 0x02, MEM, 0, ALL), PTWO(0xf3, 0xc7, 0xc7, 0x80, REGS, 0, ALL),
	TWO(0xc8, 0xcf, 0, NONE, 0, ALL), THREE(0xf0, 0xf1, 0, MEM, 0, ALL),
	/* moves of x87 */
	ONE(0xd9, 0xd9, 0xfd, MEM, 0, ALL), ONE(0xd9, 0xd9, 0x03, REGS, 0, ALL),
	ONE(0xda, 0xda, 0x0f, REGS, 0, ALL), ONE(0xdb, 0xdb, 0xaf, MEM, 0, ALL),
	ONE(0xdb, 0xdb, 0x0f, REGS, 0, ALL), ONE(0xdd, 0xdd, 0xdf, MEM, 0, ALL),
	ONE(0xdd, 0xdd, 0x0d, REGS, 0, ALL), ONE(0xdf, 0xdf, 0xff, MEM, 0, ALL),
	/* of MMX and SSE */
	TWO(0x10, 0x13, 0, MEM, 0, ALL), PTWO(0x66, 0x10, 0x13, 0, MEM, 0, ALL),
	PTWO(0xf3, 0x10, 0x12, 0, BOTH, 0, ALL), PTWO(0xf2, 0x10, 0x12, 0, BOTH, 0, ALL),
	TWO(0x16, 0x17, 0, MEM, 0, ALL), PTWO(0x66, 0x16, 0x17, 0, MEM, 0, ALL),
	TWO(0x12, 0x12, 0, REGS, 0, ALL), TWO(0x16, 0x16, 0, REGS, 0, ALL),
	PTWO(0xf3, 0x16, 0x16, 0, BOTH, 0, ALL), TWO(0x28, 0x29, 0, BOTH, 0, ALL),
	PTWO(0x66, 0x28, 0x29, 0, BOTH, 0, ALL), TWO(0x2b, 0x2b, 0, MEM, 0, ALL),
	PTWO(0x66, 0x2b, 0x2b, 0, MEM, 0, ALL), TWO(0x50, 0x50, 0, REGS, 0, ALL),
	TWO(0x6e, 0x6f, 0, BOTH, 0, ALL), PTWO(0x66, 0x6e, 0x6f, 0, BOTH, 0, ALL),
	PTWO(0xf3, 0x6f, 0x6f, 0, BOTH, 0, ALL), TWO(0x7e, 0x7f, 0, BOTH, 0, ALL),
	PTWO(0x66, 0x7e, 0x7f, 0, BOTH, 0, ALL), PTWO(0xf3, 0x7e, 0x7f, 0, BOTH, 0, ALL),
	PTWO(0x66, 0xd6, 0xd6, 0, BOTH, 0, ALL), PTWO(0xf3, 0xd6, 0xd6, 0, REGS, 0, ALL),
	PTWO(0xf2, 0xd6, 0xd6, 0, REGS, 0, ALL), PTWO(0x66, 0xd7, 0xd7, 0, REGS, 0, ALL),
	TWO(0xe7, 0xe7, 0, MEM, 0, ALL), PTWO(0x66, 0xe7, 0xe7, 0, MEM, 0, ALL),
	PTWO(0xf2, 0xf0, 0xf0, 0, MEM, 0, ALL), TWO(0xf7, 0xf7, 0, REGS, 0, ALL),
	PTWO(0x66, 0xf7, 0xf7, 0, REGS, 0, ALL), PTHREE(0x66, 0x2a, 0x2a, 0, MEM, 0, ALL),
	/* of AVX, which real and VM86 mode do not know */
	VEX(0, 0x10, 0x13, 0, MEM, 0, PROT), VEX256(0, 0x10, 0x11, 0, BOTH, 0, PROT),
	VEX(2, 0x10, 0x12, 0, BOTH, 0, PROT), VEX(3, 0x10, 0x12, 0, BOTH, 0, PROT),
	VEX(0, 0x16, 0x17, 0, MEM, 0, PROT), VEX256(0, 0x28, 0x29, 0, BOTH, 0, PROT),
	VEX256(1, 0x2b, 0x2b, 0, MEM, 0, PROT), VEX(1, 0x6e, 0x6f, 0, BOTH, 0, PROT),
	VEX256(2, 0x6f, 0x6f, 0, BOTH, 0, PROT), VEX(1, 0x7e, 0x7f, 0, BOTH, 0, PROT),
	VEX256(2, 0x7f, 0x7f, 0, BOTH, 0, PROT), VEX(1, 0xd6, 0xd6, 0, BOTH, 0, PROT),
	VEX256(1, 0xe7, 0xe7, 0, MEM, 0, PROT), VEX256(3, 0xf0, 0xf0, 0, MEM, 0, PROT),
	VEX(0, 0xae, 0xae, 0x0c, MEM, 0, PROT), VEX256(0, 0x77, 0x77, 0, NONE, 0, PROT),
};

struct insn {
	u8 bytes[15];
	unsigned int n;
};

static void put(struct insn *in, unsigned int val, unsigned int n)
{
	for (; n; n--, val >>= 8)
		in->bytes[in->n++] = val;
}

static void make(struct insn *in, const struct row *r, enum emul_mode mode, u8 op, int reg,
		 bool mem)
{
	bool wide = mode >= EMUL_PROT32;

	in->n = 0;
	if (r->pfx == 0xc4 || r->pfx == 0xc5) {
		put(in, 0xc5, 1);
		put(in, 0xf8 | (r->pfx == 0xc4 ? 4 : 0) | r->pp, 1);
	} else {
		if (r->pfx)
			put(in, r->pfx, 1);
		if (r->map != 1)
			put(in, 0x0f, 1);
		if (r->map == 0x38)
			put(in, 0x38, 1);
	}
	put(in, op, 1);
	if (r->form)
		put(in, (mem ? 0x07 : 0xc7) | reg << 3, 1);	/* [bx] or [rdi], or DI */
	if (r->imm >= 8)
		put(in, 0x20, wide ? 4 : 2);
	else
		put(in, 0x20, r->imm);
	if (r->imm == 8)
		put(in, 0x08, 2);
}

static u8 memory[0x10000];

static void start(struct emul_env *e, enum emul_mode mode)
{
	static const u64 gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff };
	unsigned int i;

	env_init(e, mode, mode == EMUL_VM86 ? 3 : 0);
	memset(memory, 0, sizeof(memory));
	memcpy(memory + 0x4000, gdt, sizeof(gdt));
	e->mem = memory;
	e->size = sizeof(memory);
	for (i = 0; i < 16; i++)
		e->ctx.gpr[i] = 0x2000;
	e->ctx.gpr[EMUL_RDX] = 0;
	e->ctx.gpr[EMUL_RCX] = 3;
	e->ctx.rip = 0x100;
	e->ctx.rflags |= X86_EFLAGS_IOPL;
	e->table[EMUL_GDT].base = 0x4000;
	e->table[EMUL_IDT].base = 0x5000;
	e->xcr0 = 7;
	e->cr[4] |= X86_CR4_OSXSAVE;
}

static bool known(enum emul_mode mode, const struct insn *in, enum emul_rc *rc, u8 *vector)
{
	struct emul_env e;

	start(&e, mode);
	*rc = env_run(&e, in->bytes, in->n);
	*vector = e.ctx.exc.vector;
	return *rc != EMUL_UNHANDLEABLE && !(*rc == EMUL_FAULT && *vector == UD);
}

static void one(const struct row *r, enum emul_mode mode, u8 op, int reg, bool mem)
{
	bool legal = r->modes >> mode & 1, is;
	struct insn in;
	enum emul_rc rc;
	u8 vector;

	/* In 64-bit mode LDS and LES have become VEX prefixes, INC and DEC have become REX. */
	if (!legal && mode == EMUL_LONG64 && r->map == 1 &&
	    ((op & 0xfe) == 0xc4 || (op & 0xf0) == 0x40))
		return;
	make(&in, r, mode, op, reg, mem);
	is = known(mode, &in, &rc, &vector);
	if (is != legal)
		HOST_FAIL("mode %u: %02x %02x %02x %02x %02x: %u, vector %u", mode, in.bytes[0],
			  in.bytes[1], in.bytes[2], in.bytes[3], in.bytes[4], rc, vector);
}

TEST(emul_table_every_opcode)
{
	const struct row *r;
	unsigned int mode, op, reg, n = 0;

	for (r = rows; r < rows + sizeof(rows) / sizeof(rows[0]); r++)
		for (mode = EMUL_REAL; mode <= EMUL_LONG64; mode++)
			for (op = r->first; op <= r->last; op++)
				for (reg = 0; reg < (r->form ? 8 : 1); reg++) {
					if (r->ext && !(r->ext >> reg & 1))
						continue;
					n++;
					if (r->form != REGS)
						one(r, mode, op, reg, true);
					if (r->form & REGS)
						one(r, mode, op, reg, false);
				}
	printf("# %u opcodes and modes\n", n);
}
