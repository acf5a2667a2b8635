// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulator against the processor: random instructions with random operands are run natively
 * at CPL 3 and by the emulator; registers, memory, flags and exceptions must agree. Flags that the
 * SDM leaves undefined are masked by the table below. EMUL_NATIVE_ROUNDS sets the number of
 * vectors, EMUL_NATIVE_SEED the seed.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "emul_env.h"
#include "test.h"

#define CODE	0x10000000ul
#define DATA	0x10010000ul
#define STACK	0x10020000ul
#define AREA	0x2000ul

#define CF 1u
#define PF 4u
#define AF 0x10u
#define ZF 0x40u
#define SF 0x80u
#define OF 0x800u
#define BITS (PF | AF | SF | OF)	/* what bit tests leave undefined */
#define ARITH (CF | PF | AF | ZF | SF | OF)

struct regs {
	u64 gpr[16];
	u64 flags;
};

/* The frame of the switch; the assembler text below knows the offsets. */
struct native {
	struct regs r;		/* 0..127 registers, 128 flags */
	u64 host_sp;		/* 136 */
	u64 code;		/* 144 */
};

struct native native_frame __attribute__((used));
void native_call(void);
void native_back(void);

asm(".text\n"
	"native_call:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"mov %rsp, native_frame+136(%rip)\n"
	"push native_frame+128(%rip); popfq\n"
	"mov native_frame+0(%rip), %rax; mov native_frame+8(%rip), %rcx\n"
	"mov native_frame+16(%rip), %rdx; mov native_frame+24(%rip), %rbx\n"
	"mov native_frame+32(%rip), %rsp; mov native_frame+40(%rip), %rbp\n"
	"mov native_frame+48(%rip), %rsi; mov native_frame+56(%rip), %rdi\n"
	"mov native_frame+64(%rip), %r8; mov native_frame+72(%rip), %r9\n"
	"mov native_frame+80(%rip), %r10; mov native_frame+88(%rip), %r11\n"
	"mov native_frame+96(%rip), %r12; mov native_frame+104(%rip), %r13\n"
	"mov native_frame+112(%rip), %r14; mov native_frame+120(%rip), %r15\n"
	"jmp *native_frame+144(%rip)\n"
	"native_back:\n"
	"mov %rax, native_frame+0(%rip); mov %rcx, native_frame+8(%rip)\n"
	"mov %rdx, native_frame+16(%rip); mov %rbx, native_frame+24(%rip)\n"
	"mov %rsp, native_frame+32(%rip); mov %rbp, native_frame+40(%rip)\n"
	"mov %rsi, native_frame+48(%rip); mov %rdi, native_frame+56(%rip)\n"
	"mov %r8, native_frame+64(%rip); mov %r9, native_frame+72(%rip)\n"
	"mov %r10, native_frame+80(%rip); mov %r11, native_frame+88(%rip)\n"
	"mov %r12, native_frame+96(%rip); mov %r13, native_frame+104(%rip)\n"
	"mov %r14, native_frame+112(%rip); mov %r15, native_frame+120(%rip)\n"
	"mov native_frame+136(%rip), %rsp\n"
	"pushfq; pop native_frame+128(%rip)\n"
	"cld\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");

static sigjmp_buf native_jmp;
static int native_trap;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	ucontext_t *u = uc;

	u->uc_mcontext.gregs[REG_EFL] &= ~0x40400L;
	native_trap = u->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(native_jmp, 1);
}

static void native_setup(void)
{
	static u8 alt[65536];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static const int sigs[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP };
	unsigned int i;

	if (native_frame.code)
		return;
	mmap((void *)CODE, STACK + AREA - CODE, PROT_READ | PROT_WRITE | PROT_EXEC,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	sigaltstack(&ss, NULL);
	for (i = 0; i < 5; i++)
		sigaction(sigs[i], &sa, NULL);
	native_frame.code = CODE;
}

/* Return: the trap number, or -1 if the instruction completed. */
static noinline int native_run(const u8 *insn, unsigned int n, struct regs *r)
{
	u8 *code = (u8 *)CODE;
	u64 back = (u64)native_back;

	memcpy(code, insn, n);
	memcpy(code + n, "\xff\x25\x00\x00\x00\x00", 6);
	memcpy(code + n + 6, &back, 8);
	native_frame.r = *r;
	native_trap = -1;
	if (!sigsetjmp(native_jmp, 1)) {
		native_call();
		*r = native_frame.r;
	}
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

static u64 rnd_value(void)
{
	static const u64 edge[] = { 0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
		0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
		~0ull, 0x99, 0xaaaaaaaaaaaaaaaa };

	switch (rnd() % 4) {
	case 0:
		return edge[rnd() % (sizeof(edge) / 8)];
	case 1:
		return rnd() & 0xff;
	case 2:
		return edge[rnd() % (sizeof(edge) / 8)] + rnd() % 5 - 2;
	default:
		return rnd();
	}
}

/*
 * What is run: map 0 or 0x0f (or 0x38), first and last opcode, immediate: 0 none, 1 byte, 4 by
 * operand size; @modrm: bit 0 has one, bit 1 register forms, bit 2 memory forms; @ext: allowed
 * ModRM.reg values as a bit map (0: all); @undef: undefined flags; @pfx: mandatory prefix.
 */
static const struct form {
	u8 map, first, last, imm, modrm, ext;
	u32 undef;
	u8 pfx;
} forms[] = {
	{ 0, 0x00, 0x03, 0, 7 }, { 0, 0x08, 0x0b, 0, 7, 0, AF }, { 0, 0x10, 0x13, 0, 7 },
	{ 0, 0x18, 0x1b, 0, 7 }, { 0, 0x20, 0x23, 0, 7, 0, AF }, { 0, 0x28, 0x2b, 0, 7 },
	{ 0, 0x30, 0x33, 0, 7, 0, AF }, { 0, 0x38, 0x3b, 0, 7 },
	{ 0, 0x04, 0x04, 1 }, { 0, 0x05, 0x05, 4 }, { 0, 0x15, 0x15, 4 }, { 0, 0x1c, 0x1c, 1 },
	{ 0, 0x2d, 0x2d, 4 }, { 0, 0x3d, 0x3d, 4 }, { 0, 0x25, 0x25, 4, 0, 0, AF },
	{ 0, 0x80, 0x80, 1, 7, 0, AF }, { 0, 0x81, 0x81, 4, 7, 0, AF },
	{ 0, 0x83, 0x83, 1, 7, 0, AF },
	{ 0, 0x63, 0x63, 0, 7 }, { 0, 0x69, 0x69, 4, 7, 0, PF | AF | ZF | SF },
	{ 0, 0x6b, 0x6b, 1, 7, 0, PF | AF | ZF | SF }, { 0, 0x84, 0x85, 0, 7, 0, AF },
	{ 0, 0x86, 0x8b, 0, 7 }, { 0, 0x8d, 0x8d, 0, 5 }, { 0, 0x90, 0x97 }, { 0, 0x98, 0x99 },
	{ 0, 0x9e, 0x9f }, { 0, 0xa8, 0xa8, 1, 0, 0, AF }, { 0, 0xa9, 0xa9, 4, 0, 0, AF },
	{ 0, 0xa4, 0xa7 }, { 0, 0xaa, 0xaf }, { 0, 0x50, 0x5f }, { 0, 0x68, 0x68, 4 },
	{ 0, 0x6a, 0x6a, 1 }, { 0, 0x8f, 0x8f, 0, 7, 1 }, { 0, 0xff, 0xff, 0, 7, 0x40 },
	{ 0, 0xb0, 0xb7, 1 }, { 0, 0xc6, 0xc6, 1, 7, 1 }, { 0, 0xc7, 0xc7, 4, 7, 1 },
	{ 0, 0xc0, 0xc1, 1, 7, 0, AF | OF }, { 0, 0xd0, 0xd1, 0, 7, 0, AF },
	{ 0, 0xd2, 0xd3, 0, 7, 0, AF | OF }, { 0, 0xd7, 0xd7 },
	{ 0, 0xf6, 0xf6, 1, 7, 1, AF }, { 0, 0xf7, 0xf7, 4, 7, 1, AF },
	{ 0, 0xf6, 0xf7, 0, 7, 0x0c }, { 0, 0xf6, 0xf7, 0, 7, 0x30, PF | AF | ZF | SF },
	{ 0, 0xf6, 0xf7, 0, 7, 0xc0, ARITH }, { 0, 0xfe, 0xff, 0, 7, 3 },
	{ 0, 0xf5, 0xf5 }, { 0, 0xf8, 0xfd }, { 0, 0xc9, 0xc9 },
	{ 0x0f, 0x40, 0x4f, 0, 7 }, { 0x0f, 0x90, 0x9f, 0, 7 },
	{ 0x0f, 0xa3, 0xa3, 0, 7, 0, BITS }, { 0x0f, 0xab, 0xab, 0, 7, 0, BITS },
	{ 0x0f, 0xb3, 0xb3, 0, 7, 0, BITS }, { 0x0f, 0xbb, 0xbb, 0, 7, 0, BITS },
	{ 0x0f, 0xba, 0xba, 1, 7, 0xf0, BITS },
	{ 0x0f, 0xa4, 0xa4, 1, 7, 0, AF | OF }, { 0x0f, 0xa5, 0xa5, 0, 7, 0, AF | OF },
	{ 0x0f, 0xac, 0xac, 1, 7, 0, AF | OF }, { 0x0f, 0xad, 0xad, 0, 7, 0, AF | OF },
	{ 0x0f, 0xaf, 0xaf, 0, 7, 0, PF | AF | ZF | SF }, { 0x0f, 0xb0, 0xb1, 0, 7 },
	{ 0x0f, 0xb6, 0xb7, 0, 7 }, { 0x0f, 0xbe, 0xbf, 0, 7 }, { 0x0f, 0xc0, 0xc1, 0, 7 },
	{ 0x0f, 0xc3, 0xc3, 0, 5 }, { 0x0f, 0xc8, 0xcf }, { 0x0f, 0xc7, 0xc7, 0, 5, 2 },
	{ 0x0f, 0xbc, 0xbd, 0, 7, 0, CF | BITS },
	{ 0x0f, 0xbc, 0xbd, 0, 7, 0, BITS, 0xf3 }, { 0x0f, 0xb8, 0xb8, 0, 7, 0, 0, 0xf3 },
	{ 0x0f, 0x1f, 0x1f, 0, 7, 1 },
	{ 0x38, 0xf0, 0xf1, 0, 5 }, { 0x38, 0xf0, 0xf1, 0, 7, 0, 0, 0xf2 },
	{ 0x0f, 0x0b, 0x0b }, { 0, 0xf4, 0xf4 }, { 0, 0xe4, 0xe7, 1 }, { 0, 0xec, 0xef },
	{ 0, 0x06, 0x07 }, { 0, 0x27, 0x27 }, { 0, 0x60, 0x61 }, { 0x0f, 0x30, 0x30 },
	{ 0x0f, 0x09, 0x09 }, { 0x0f, 0x20, 0x23, 0, 3 }, { 0, 0xd5, 0xd6, 1 },
};

struct vector {
	u8 insn[15];
	unsigned int n;
	const struct form *f;
	struct regs r;
};

static void put(struct vector *v, u64 val, unsigned int bytes)
{
	memcpy(v->insn + v->n, &val, bytes);
	v->n += bytes;
}

/* Memory operands are [rsi+disp8], [rdi+rcx*s+disp8] or [rsi+disp32]: rcx is small. */
static void put_modrm(struct vector *v, bool mem)
{
	unsigned int reg = rnd() & 7, how = rnd() % 3;

	if (v->f->ext)
		while (!(v->f->ext >> reg & 1))
			reg = rnd() & 7;
	if (!mem) {
		put(v, 0xc0 | reg << 3 | (rnd() & 7), 1);
	} else if (how == 0) {
		put(v, 0x46 | reg << 3, 1);
		put(v, rnd() & 0xff, 1);
	} else if (how == 1) {
		put(v, 0x44 | reg << 3, 1);
		put(v, 0x0f | (rnd() & 3) << 6, 1);
		put(v, rnd() & 0xff, 1);
	} else {
		put(v, 0x86 | reg << 3, 1);
		put(v, rnd() & 0x1ff, 4);
	}
}

static void make_vector(struct vector *v)
{
	const struct form *f = &forms[rnd() % (sizeof(forms) / sizeof(forms[0]))];
	bool p66 = !(rnd() % 4), rexw = !(rnd() % 3), mem;
	u8 rex = rexw ? 0x48 : 0;

	v->f = f;
	v->n = 0;
	mem = f->modrm & 4 && (!(f->modrm & 2) || rnd() & 1);
	if (p66)
		put(v, 0x66, 1);
	if (f->pfx)
		put(v, f->pfx, 1);
	else if (!f->map && f->first >= 0xa4 && f->first <= 0xaa && f->imm == 0 && rnd() & 1)
		put(v, 0xf2 + (rnd() & 1), 1);
	if (mem && !(rnd() % 6))
		put(v, 0xf0, 1);
	if (!(rnd() % 3))
		rex |= 0x40 | (mem ? rnd() & 4 : rnd() & 5);
	if (rex)
		put(v, rex, 1);
	if (f->map)
		put(v, 0x0f, 1);
	if (f->map == 0x38)
		put(v, 0x38, 1);
	put(v, f->first + rnd() % (f->last - f->first + 1), 1);
	if (f->modrm & 1)
		put_modrm(v, mem);
	if (f->imm)
		put(v, rnd_value(), f->imm == 1 ? 1 : p66 && !rexw ? 2 : 4);
}

static bool bit_string(const struct form *f)
{
	return f->map == 0x0f && (f->first & 0xe7) == 0xa3;
}

/* Pointers stay where both sides have memory, or nobody has (ASan's shadow must not be met). */
static void make_regs(const struct form *f, struct regs *r)
{
	bool fixed = !f->map && (f->first == 0xd7 || f->first == 0xc9);
	int i;

	for (i = 0; i < 16; i++)
		r->gpr[i] = bit_string(f) ? rnd() & 0xfff : rnd_value();
	r->gpr[EMUL_RCX] = rnd() & 0x3f;
	r->gpr[EMUL_RSI] = DATA + 0x800 + (rnd() & 0x1ff);
	r->gpr[EMUL_RDI] = DATA + 0x800 + (rnd() & 0x1ff);
	r->gpr[EMUL_RSP] = STACK + 0x1000 + (rnd() & 0x1f8);
	if (fixed || rnd() & 1)
		r->gpr[EMUL_RBP] = STACK + 0x800;
	if (fixed || rnd() & 1)
		r->gpr[EMUL_RBX] = DATA + 0x800;
	if (rnd() & 1)
		r->gpr[EMUL_RDX] = rnd_value() & 0xff;
	r->flags = 0x202 | (rnd() & ARITH) | (rnd() & 1 ? 0x400 : 0);
}

static void report(const struct vector *v, const char *what, u64 is, u64 should)
{
	char hex[40] = "";
	unsigned int i;

	for (i = 0; i < v->n; i++)
		sprintf(hex + 2 * i, "%02x", v->insn[i]);
	HOST_FAIL("%s: %s %#llx, processor %#llx, from a/c/d %#llx %#llx %#llx flags %#llx",
		  hex, what, is, should,
		  v->r.gpr[0], v->r.gpr[1], v->r.gpr[2],
		  v->r.flags);
}

/* Signals do not tell #GP from #PF by number alone, but REG_TRAPNO does. */
static void compare(const struct vector *v, struct emul_env *e, enum emul_rc rc,
		    const struct regs *want, int trap)
{
	static const char * const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi",
		"rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
	u64 fmask = (ARITH | 0x400) & ~(u64)v->f->undef;
	int i;

	if (trap >= 0 || rc != EMUL_OK) {
		if (rc != EMUL_FAULT || e->ctx.exc.vector != trap)
			report(v, "trap", rc << 8 | e->ctx.exc.vector, trap);
		return;
	}
	for (i = 0; i < 16; i++)
		if (e->ctx.gpr[i] != want->gpr[i])
			report(v, names[i], e->ctx.gpr[i], want->gpr[i]);
	if ((e->ctx.rflags ^ want->flags) & fmask)
		report(v, "flags", e->ctx.rflags, want->flags);
	if (e->ctx.rip != CODE + v->n)
		report(v, "rip", e->ctx.rip, CODE + v->n);
}

static void fill(u8 *p, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i += 8) {
		u64 val = rnd_value();

		memcpy(p + i, &val, 8);
	}
}

/* SHLD and SHRD of 16 bits by more than 16: undefined, and processors differ. */
static bool undefined_shift(const struct vector *v)
{
	u8 op = v->f->first, count = op & 1 ? v->r.gpr[EMUL_RCX] : v->insn[v->n - 1];

	if (v->f->map != 0x0f || (op & 0xf6) != 0xa4 || v->insn[0] != 0x66)
		return false;
	return (count & 31) > 16;
}

static void one_vector(void)
{
	static u8 before[2][AREA], after[2][AREA];
	struct emul_env e;
	struct vector v;
	struct regs r;
	enum emul_rc rc;
	int trap;

	make_vector(&v);
	make_regs(v.f, &v.r);
	if (undefined_shift(&v))
		return;
	fill((u8 *)DATA + 0x700, 0x600);
	memcpy(before[0], (void *)DATA, AREA);
	memcpy(before[1], (void *)STACK, AREA);
	r = v.r;
	trap = native_run(v.insn, v.n, &r);
	memcpy(after[0], (void *)DATA, AREA);
	memcpy(after[1], (void *)STACK, AREA);
	memcpy((void *)DATA, before[0], AREA);
	memcpy((void *)STACK, before[1], AREA);
	env_init(&e, EMUL_LONG64, 3);
	e.seg[EMUL_TR].ar = EMUL_AR_UNUSABLE;	/* no I/O permission map */
	e.mem = (u8 *)CODE;
	e.base = CODE;
	e.size = STACK + AREA - CODE;
	memcpy(e.ctx.gpr, v.r.gpr, sizeof(e.ctx.gpr));
	e.ctx.rip = CODE;
	e.ctx.rflags = v.r.flags;
	rc = env_run(&e, v.insn, v.n);
	compare(&v, &e, rc, &r, trap);
	if (trap < 0 && (memcmp(after[0], (void *)DATA, AREA) ||
			 memcmp(after[1], (void *)STACK, AREA)))
		report(&v, "memory", 0, 0);
}

TEST(emul_native_random)
{
	const char *rounds = getenv("EMUL_NATIVE_ROUNDS"), *seed = getenv("EMUL_NATIVE_SEED");
	unsigned long i, n = rounds ? strtoul(rounds, NULL, 0) : 200000;

	if (seed)
		rng = strtoull(seed, NULL, 0) | 1;
	native_setup();
	for (i = 0; i < n; i++)
		one_vector();
}
