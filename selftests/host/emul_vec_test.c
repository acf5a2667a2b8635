// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves of x87, MMX, SSE and AVX against the processor: random instructions with random registers
 * and operands, in 64-bit mode. EMUL_NATIVE_ROUNDS and EMUL_NATIVE_SEED as in emul_native_test.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "emul_env.h"
#include "test.h"

#define CODE	0x10000000ul
#define DATA	0x10010000ul
#define AREA	0x1000ul

/* What the stub loads and stores; the assembler text below knows the offsets. */
struct frame {
	struct emul_fx fx;	/* 0 */
	u8 ymm[16][32];		/* 512 */
	u64 rax, rsi, rdi;	/* 1024 */
	u64 flags;		/* 1048 */
} __aligned(32);

extern const u8 stub_in[], stub_in_end[], stub_out[], stub_out_end[];

#define YMM16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) \
	X(15)
#define YMM_LOAD(n) "vmovdqu 512+32*" #n "(%rdi), %ymm" #n "\n"
#define YMM_STORE(n) "vmovdqu %ymm" #n ", 512+32*" #n "(%r15)\n"

asm(".text\n"
	"stub_in:\n"
	"push %r15; mov %rdi, %r15\n"
	"fxrstor64 (%rdi)\n"
	YMM16(YMM_LOAD)
	"mov 1024(%r15), %rax; mov 1032(%r15), %rsi; mov 1040(%r15), %rdi\n"
	"push 1048(%r15); popfq\n"
	"stub_in_end:\n"
	"stub_out:\n"
	"mov %rax, 1024(%r15); mov %rsi, 1032(%r15); mov %rdi, 1040(%r15)\n"
	"fxsave64 (%r15)\n"
	YMM16(YMM_STORE)
	"fninit; vzeroupper; pop %r15; ret\n"
	"stub_out_end:\n");

static sigjmp_buf native_jmp;
static int native_trap;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	native_trap = ((ucontext_t *)uc)->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(native_jmp, 1);
}

/* Return: false without AVX2. */
static bool native_setup(void)
{
	static u8 alt[65536];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static const int sigs[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS };
	unsigned int i;

	if (!__builtin_cpu_supports("avx2"))
		return false;
	mmap((void *)CODE, DATA + AREA - CODE, PROT_READ | PROT_WRITE | PROT_EXEC,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	sigaltstack(&ss, NULL);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, NULL);
	return true;
}

/* The processor's state after a trap is none of the stub's business: only the trap counts. */
static noinline int native_run(const u8 *insn, unsigned int n, struct frame *f)
{
	unsigned int in = stub_in_end - stub_in;

	memcpy((u8 *)CODE, stub_in, in);
	memcpy((u8 *)CODE + in, insn, n);
	memcpy((u8 *)CODE + in + n, stub_out, stub_out_end - stub_out);
	native_trap = -1;
	if (!sigsetjmp(native_jmp, 1))
		((void (*)(struct frame *))CODE)(f);
	else
		asm volatile("fninit; vzeroupper");
	return native_trap;
}

static u64 rng = 88172645463325252ull;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/*
 * What is run: prefix 66, F3, F2 or 0; map 1 = 0F, 2 = 0F 38, 0 = one byte (x87); opcodes; ModRM
 * reg values as a bit map, 0 for all; kind: 1 register forms, 2 memory, 3 both; VEX: 1 also, 2
 * only.
 */
static const struct form {
	u8 pfx, map, first, last, ext, kind, vex;
} forms[] = {
	{ 0, 1, 0x10, 0x11, 0, 3, 1 }, { 0x66, 1, 0x10, 0x11, 0, 3, 1 },
	{ 0xf3, 1, 0x10, 0x11, 0, 3, 1 }, { 0xf2, 1, 0x10, 0x11, 0, 3, 1 },
	{ 0, 1, 0x12, 0x12, 0, 3, 1 }, { 0x66, 1, 0x12, 0x12, 0, 3, 1 },
	{ 0xf3, 1, 0x12, 0x12, 0, 3, 1 }, { 0xf2, 1, 0x12, 0x12, 0, 3, 1 },
	{ 0, 1, 0x13, 0x13, 0, 3, 1 }, { 0x66, 1, 0x13, 0x13, 0, 3, 1 },
	{ 0, 1, 0x16, 0x17, 0, 3, 1 }, { 0x66, 1, 0x16, 0x17, 0, 3, 1 },
	{ 0xf3, 1, 0x16, 0x16, 0, 3, 1 },
	{ 0, 1, 0x28, 0x29, 0, 3, 1 }, { 0x66, 1, 0x28, 0x29, 0, 3, 1 },
	{ 0, 1, 0x2b, 0x2b, 0, 2, 1 }, { 0x66, 1, 0x2b, 0x2b, 0, 2, 1 },
	{ 0, 1, 0x50, 0x50, 1, 3, 1 }, { 0x66, 1, 0x50, 0x50, 1, 3, 1 },
	{ 0, 1, 0x6e, 0x6f, 0, 3, 0 }, { 0x66, 1, 0x6e, 0x6f, 0, 3, 1 },
	{ 0xf3, 1, 0x6f, 0x6f, 0, 3, 1 },
	{ 0, 1, 0x77, 0x77, 0, 0, 2 },
	{ 0, 1, 0x7e, 0x7f, 0, 3, 0 }, { 0x66, 1, 0x7e, 0x7f, 0, 3, 1 },
	{ 0xf3, 1, 0x7e, 0x7f, 0, 3, 1 },
	{ 0, 1, 0xae, 0xae, 8, 2, 1 },
	{ 0, 1, 0xae, 0xae, 1, 2, 0 },
	{ 0x66, 1, 0xd6, 0xd6, 0, 3, 1 }, { 0x66, 1, 0xd7, 0xd7, 1, 3, 1 },
	{ 0xf3, 1, 0xd6, 0xd6, 0, 3, 0 }, { 0xf2, 1, 0xd6, 0xd6, 0, 3, 0 },
	{ 0, 1, 0xd7, 0xd7, 1, 1, 0 }, { 0, 1, 0xe7, 0xe7, 0, 2, 0 },
	{ 0x66, 1, 0xe7, 0xe7, 0, 2, 1 },
	{ 0xf2, 1, 0xf0, 0xf0, 0, 2, 1 }, { 0, 1, 0xf7, 0xf7, 0, 1, 0 },
	{ 0x66, 1, 0xf7, 0xf7, 0, 1, 1 },
	{ 0x66, 2, 0x2a, 0x2a, 0, 2, 1 }, { 0x66, 2, 0x18, 0x1a, 0, 3, 2 },
	{ 0x66, 2, 0x2c, 0x2f, 0, 3, 2 }, { 0x66, 2, 0x58, 0x5a, 0, 3, 2 },
	{ 0x66, 2, 0x78, 0x79, 0, 3, 2 }, { 0x66, 2, 0x8c, 0x8c, 0, 2, 2 },
	{ 0x66, 2, 0x8e, 0x8e, 0, 2, 2 },
	{ 0, 0, 0xd9, 0xd9, 0xfd, 2 }, { 0, 0, 0xd9, 0xd9, 0x03, 1 }, { 0, 0, 0xd9, 0xd9, 0x20, 1 },
	{ 0, 0, 0xda, 0xdb, 0x0f, 1 }, { 0, 0, 0xdb, 0xdb, 0xaf, 2 }, { 0, 0, 0xdd, 0xdd, 0xdf, 2 },
	{ 0, 0, 0xdd, 0xdd, 0x0d, 1 }, { 0, 0, 0xdf, 0xdf, 0xff, 2 },
};

struct vector {
	u8 insn[15];
	unsigned int n;
	const struct form *f;
	bool vex;
};

static void put(struct vector *v, unsigned int byte)
{
	v->insn[v->n++] = byte;
}

/* VEX.vvvv is mostly what it must be where it names nothing. */
static void put_vex(struct vector *v)
{
	unsigned int pp = v->f->pfx == 0x66 ? 1 : v->f->pfx == 0xf3 ? 2 : v->f->pfx == 0xf2 ? 3 : 0;
	unsigned int vvvv = rnd() & 1 ? 0x78 : rnd() & 0x78, l = rnd() & 4;

	if (v->f->map == 1 && rnd() & 1) {
		put(v, 0xc5);
		put(v, (rnd() & 0x80) | vvvv | l | pp);
		return;
	}
	put(v, 0xc4);
	put(v, (rnd() & 0x80) | 0x60 | v->f->map);
	put(v, (rnd() & 0x80) | vvvv | l | pp);
}

static void put_plain(struct vector *v)
{
	if (v->f->pfx)
		put(v, v->f->pfx);
	else if (!v->f->map && !(rnd() % 4))
		put(v, 0x66);		/* means something for the environment alone */
	if (!(rnd() % 3))
		put(v, 0x40 | (rnd() & 0xc));
	if (v->f->map)
		put(v, 0x0f);
	if (v->f->map == 2)
		put(v, 0x38);
}

static void make_vector(struct vector *v)
{
	unsigned int reg = rnd() & 7;

	v->f = &forms[rnd() % (sizeof(forms) / sizeof(forms[0]))];
	v->n = 0;
	v->vex = v->f->vex == 2 || (v->f->vex && rnd() & 1);
	if (v->vex)
		put_vex(v);
	else
		put_plain(v);
	put(v, v->f->first + rnd() % (v->f->last - v->f->first + 1));
	if (!v->f->kind)
		return;
	while (v->f->ext && !(v->f->ext >> reg & 1))
		reg = rnd() & 7;
	if (v->f->kind == 1 || (v->f->kind == 3 && rnd() & 1)) {
		/* RSP and the stub's own registers are spared. */
		put(v, 0xc0 | reg << 3 |
		       (v->f->map && (v->f->first & 0xef) == 0x6e ? 0 : rnd() & 7));
		return;
	}
	put(v, 0x46 | reg << 3);		/* disp8(%rsi) */
	put(v, rnd() & 0x70 ? (rnd() & 3) * 16 : rnd() & 0x3f);
}

static void make_st(u8 *st)
{
	static const u64 mants[] = { 0, 0x8000000000000000, 0xc000000000000000, ~0ull,
				     0x8000000000000001, 0x4000000000000000, 0x80000000000003ff };
	static const u16 exps[] = { 0, 1, 0x3ffe, 0x3fff, 0x403d, 0x403e, 0x7fff, 0x3c00, 0x43ff,
				    0x3f81, 0x407e, 0x3fce };
	u64 mant = rnd() & 1 ? rnd() | 1ull << 63 : mants[rnd() % 7];
	u16 exp = rnd() & 1 ? 0x3fff + rnd() % 70 - 4 : exps[rnd() % 12] + (rnd() & 3);

	exp = (exp & 0x7fff) | (rnd() & 1) << 15;
	memset(st, 0, 16);
	memcpy(st, &mant, 8);
	memcpy(st + 8, &exp, 2);
}

static void make_frame(struct frame *f)
{
	unsigned int i;

	memset(f, 0, sizeof(*f));
	f->fx.cwd = 0x40 | (rnd() & 0xf00) | (rnd() & 3 ? 0x3f : rnd() & 0x3f);
	f->fx.swd = (rnd() & 0x7f00) | (rnd() & 0x3f & f->fx.cwd);
	f->fx.twd = rnd() & 1 ? 0xff : rnd() & 0xff;
	f->fx.mxcsr = 0x1f80;
	for (i = 0; i < 8; i++)
		make_st(f->fx.st[i]);
	for (i = 0; i < sizeof(f->ymm); i++)
		f->ymm[i / 32][i % 32] = rnd();
	for (i = 0; i < 16; i++)
		memcpy(f->fx.xmm[i], f->ymm[i], 16);
	f->rax = rnd();
	f->rsi = DATA + 0x400;
	f->rdi = DATA + 0x600 + (rnd() & 0x1f);
	f->flags = 0x202 | (rnd() & 0x45);
}

static void report(const struct vector *v, const char *what, u64 is, u64 should)
{
	char hex[40] = "";
	unsigned int i;

	for (i = 0; i < v->n; i++)
		sprintf(hex + 2 * i, "%02x", v->insn[i]);
	HOST_FAIL("%s: %s %#llx, processor %#llx", hex, what, is, should);
}

/* FSAVE, FSTENV and FXSAVE tell where the instruction was, which the stub moves. */
static bool has_pointers(const struct vector *v)
{
	return v->f->first == 0xae || (!v->f->map && v->f->kind == 2 &&
				  (v->f->first == 0xd9 || v->f->first == 0xdd));
}

static void compare_fx(const struct vector *v, const struct emul_env *e, const struct frame *f)
{
	unsigned int i;

	if (e->fx.cwd != f->fx.cwd)
		report(v, "cwd", e->fx.cwd, f->fx.cwd);
	if (e->fx.swd != f->fx.swd)
		report(v, "swd", e->fx.swd, f->fx.swd);
	if (e->fx.twd != f->fx.twd)
		report(v, "twd", e->fx.twd, f->fx.twd);
	for (i = 0; i < 8; i++)
		if (memcmp(e->fx.st[i], f->fx.st[i], 10))
			report(v, "st", i, *(u64 *)f->fx.st[i]);
	/* Nothing of the tester's own addresses. */
	if (!has_pointers(v) && e->fx.rip && e->fx.rip != CODE)
		report(v, "fip", e->fx.rip, CODE);
	if (!has_pointers(v) && e->fx.rdp && e->fx.rdp - DATA >= AREA)
		report(v, "fdp", e->fx.rdp, DATA);
	for (i = 0; i < 16; i++)
		if (memcmp(e->fx.xmm[i], f->ymm[i], 16) || memcmp(e->high[i], f->ymm[i] + 16, 16))
			report(v, "ymm", i, *(u64 *)f->ymm[i]);
}

static void compare_memory(const struct vector *v, const u8 *want)
{
	const u8 *is = (const u8 *)DATA;
	unsigned int i, at = 0x400;

	if (!memcmp(is, want, AREA))
		return;
	if (has_pointers(v)) {
		at += v->insn[v->n - 1];
		for (i = 0; i < AREA; i++)
			if (is[i] != want[i] && (i < at + 6 || i >= at + 32))
				report(v, "memory", is[i], want[i]);
		return;
	}
	for (i = 0; is[i] == want[i]; i++)
		;
	report(v, "memory", is[i], want[i]);
}

static void run_emulated(struct emul_env *e, const struct frame *f, enum emul_rc *rc,
			 const struct vector *v)
{
	unsigned int i;

	env_init(e, EMUL_LONG64, 3);
	e->mem = (u8 *)CODE;
	e->base = CODE;
	e->size = DATA + AREA - CODE;
	e->xcr0 = 7;
	e->cr[4] |= X86_CR4_OSXSAVE;
	e->fx = f->fx;
	e->fx.mxcsr_mask = 0xffff;
	for (i = 0; i < 16; i++)
		memcpy(e->high[i], f->ymm[i] + 16, 16);
	e->ctx.gpr[EMUL_RAX] = f->rax;
	e->ctx.gpr[EMUL_RSI] = f->rsi;
	e->ctx.gpr[EMUL_RDI] = f->rdi;
	e->ctx.rip = CODE;
	e->ctx.rflags = f->flags;
	*rc = env_run(e, v->insn, v->n);
}

/* Return: was it carried out? */
static bool one_vector(void)
{
	static u8 before[AREA], after[AREA];
	struct frame f, g;
	struct emul_env e;
	struct vector v;
	enum emul_rc rc;
	unsigned int i;
	int trap;

	make_vector(&v);
	make_frame(&f);
	for (i = 0; i < 0x600; i += 8)
		*(u64 *)(DATA + 0x300 + i) = rnd() & 7 ? rnd() : rnd() & 0x7ff0000000000001;
	/* An environment that can be loaded: no exception pending, a tag word that fits. */
	if (v.f->kind == 2 && !v.f->map && rnd() & 1)
		memcpy((u8 *)DATA + 0x400 + v.insn[v.n - 1], "\x7f\x03\0\0", 4);
	memcpy(before, (void *)DATA, AREA);
	g = f;
	trap = native_run(v.insn, v.n, &g);
	memcpy(after, (void *)DATA, AREA);
	memcpy((void *)DATA, before, AREA);
	run_emulated(&e, &f, &rc, &v);
	if (trap >= 0 || rc != EMUL_OK) {
		if (rc != EMUL_FAULT || e.ctx.exc.vector != trap)
			report(&v, "trap", rc << 8 | e.ctx.exc.vector, trap);
		return false;
	}
	compare_fx(&v, &e, &g);
	compare_memory(&v, after);
	if (e.ctx.gpr[EMUL_RAX] != g.rax || e.ctx.gpr[EMUL_RDI] != g.rdi)
		report(&v, "rax", e.ctx.gpr[EMUL_RAX], g.rax);
	if (e.ctx.rip != CODE + v.n)
		report(&v, "rip", e.ctx.rip, CODE + v.n);
	return true;
}

TEST(emul_vec_random)
{
	const char *rounds = getenv("EMUL_NATIVE_ROUNDS"), *seed = getenv("EMUL_NATIVE_SEED");
	unsigned long i, n = rounds ? strtoul(rounds, NULL, 0) : 100000, done = 0;

	if (seed)
		rng = strtoull(seed, NULL, 0) | 1;
	if (!native_setup()) {
		printf("# SKIP: this processor has no AVX2\n");
		return;
	}
	for (i = 0; i < n; i++)
		done += one_vector();
	printf("# %lu of %lu carried out\n", done, n);
	EXPECT(done > n / 2);
}

/* Outside of 64-bit mode VEX.W is there where it is part of the opcode. */
TEST(emul_vex_w_in_32_bits)
{
	static u8 memory[64];
	struct emul_env e;

	env_init(&e, EMUL_PROT32, 0);
	e.mem = memory;
	e.base = 0x1000;
	e.size = sizeof(memory);
	e.xcr0 = 7;
	e.cr[4] |= X86_CR4_OSXSAVE;
	memset(memory, 0x55, sizeof(memory));
	e.ctx.gpr[EMUL_RSI] = 0x1000;
	e.fx.xmm[1][7] = 0x80;
	/* vpmaskmovq ymm0, ymm1, [esi] */
	EXPECT_EQ(RUN(&e, 0xc4, 0xe2, 0xf5, 0x8c, 0x06), EMUL_OK);
	EXPECT_EQ(e.fx.xmm[0][0], 0x55);
	EXPECT_EQ(e.fx.xmm[0][7], 0x55);
	EXPECT_EQ(e.fx.xmm[0][8], 0);
	/* vpmaskmovd ymm0, ymm1, [esi] */
	EXPECT_EQ(RUN(&e, 0xc4, 0xe2, 0x75, 0x8c, 0x06), EMUL_OK);
	EXPECT_EQ(e.fx.xmm[0][0], 0);
	EXPECT_EQ(e.fx.xmm[0][4], 0x55);
	/* vmaskmovps and vbroadcastss with W */
	EXPECT_EQ(RUN(&e, 0xc4, 0xe2, 0xf5, 0x2c, 0x06), EMUL_FAULT);
	EXPECT_EQ(e.ctx.exc.vector, 6);
	EXPECT_EQ(RUN(&e, 0xc4, 0xe2, 0xfd, 0x18, 0x06), EMUL_FAULT);
	EXPECT_EQ(e.ctx.exc.vector, 6);
	/* vmovd xmm0, [esi]: there are no general registers of 64 bits, so W is ignored. */
	EXPECT_EQ(RUN(&e, 0xc4, 0xe1, 0xf9, 0x6e, 0x06), EMUL_OK);
	EXPECT_EQ(e.fx.xmm[0][3], 0x55);
	EXPECT_EQ(e.fx.xmm[0][4], 0);
}
