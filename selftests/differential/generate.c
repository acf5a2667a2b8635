// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU in a random state, and the tables that it needs. */
#include <string.h>

#include "selftests/differential/differential.h"

#define CR0_PE		(1ull << 0)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define EFER_LMA	(1ull << 10)

#define PTE_P		(1ull << 0)
#define PTE_W		(1ull << 1)
#define PTE_U		(1ull << 2)
#define PTE_A		(1ull << 5)
#define PTE_D		(1ull << 6)
#define PTE_LARGE	(1ull << 7)
#define PTE_NX		(1ull << 63)

enum selector {
	SEL_CODE0 = 0x08, SEL_DATA0 = 0x10, SEL_CODE3 = 0x18, SEL_DATA3 = 0x20,
	SEL_OTHER = 0x28, SEL_TR = 0x30, SEL_LDT = 0x40, SEL_TASK = 0x50,
	SEL_CALL_GATE = 0x60, SEL_TASK_GATE = 0x70, SEL_RANDOM = 0x80, GDT_BYTES = 0x100
};

#define AT_LDT		(AT_GDT + 0x800)
#define TSS_LIMIT	0x7ff
#define SEG_SYSTEM	0

const char *const mode_names[MODES] = {
	"real", "vm86", "prot16", "prot32", "paged32", "pae", "compat", "long64",
};

const uint32_t setup_msrs[8] = {
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174, 0x175, 0x176, 0xc0000102,
};

/* ---- random numbers: splitmix64 ---- */

#define RNG_STEP	0x9e3779b97f4a7c15ull

uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += RNG_STEP;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

struct rng rng_of(uint64_t a, uint64_t b)
{
	struct rng rng = { a };

	rng.state = rng_next(&rng) ^ b * 0xd1342543de82ef95ull;
	rng_next(&rng);
	return rng;
}

unsigned int rng_below(struct rng *rng, unsigned int n)
{
	return (rng_next(rng) >> 33) % n;
}

bool rng_percent(struct rng *rng, unsigned int percent)
{
	return rng_below(rng, 100) < percent;
}

/* ---- addresses and flags ---- */

static const uint32_t edges[] = {
	AT_GDT, AT_IDT, AT_TSS, AT_STACK, AT_CODE, AT_CODE + PAGE, AT_PT, AT_DATA, AT_DATA + PAGE,
	AT_ROM, AT_ROM, AT_ROM + PAGE, AT_HOLE, AT_HOLE, AT_RAM2, AT_RAM2, AT_END,
};

static const uint32_t insides[] = {
	AT_DATA, AT_DATA, AT_DATA, AT_DATA + PAGE, AT_ROM, AT_ROM + PAGE, AT_HOLE, AT_HOLE,
	AT_HOLE + PAGE, AT_RAM2, AT_STACK, AT_PT, AT_GDT, AT_IDT, AT_TSS,
};

uint64_t some_address(struct rng *rng, enum mode mode)
{
	uint64_t addr;

	if (rng_percent(rng, 40))
		addr = PICK(rng, edges) - rng_below(rng, 18);
	else
		addr = PICK(rng, insides) + (rng_below(rng, PAGE) & -(1u << rng_below(rng, 5)));
	if (mode >= MODE_PAGED32 && rng_percent(rng, 6))
		addr += mode == MODE_PAGED32 ? 0x400000 : 0x200000;
	if (mode == MODE_LONG64 && rng_percent(rng, 4))
		addr += rng_percent(rng, 50) ? 0xffffff8000000000ull : 0x800000000000ull;
	if (rng_percent(rng, 2))
		addr = 0xfee00000 + 16 * rng_below(rng, 64);
	return addr & 0xffffffffffffffffull;
}

static uint64_t random_flags(const struct program *p, struct rng *rng)
{
	uint64_t flags = 2 | (rng_next(rng) & 0x8d5);

	if (rng_percent(rng, 10))
		flags |= 1 << 8;		/* TF */
	if (rng_percent(rng, 45))
		flags |= 1 << 9;		/* IF */
	if (rng_percent(rng, 20))
		flags |= 1 << 10;		/* DF */
	if (rng_percent(rng, 40))
		flags |= (rng_percent(rng, 70) ? 3 : rng_below(rng, 4)) << 12;	/* IOPL */
	if (rng_percent(rng, 5))
		flags |= 1 << 14;		/* NT */
	if (rng_percent(rng, 8))
		flags |= 1 << 16;		/* RF */
	if (rng_percent(rng, 10))
		flags |= 1 << 18;		/* AC */
	if (rng_percent(rng, 10))
		flags |= 1 << 21;		/* ID */
	if (p->mode == MODE_VM86)
		flags |= 1 << 17;
	return flags;
}

static void make_regs(struct program *p, struct rng *rng)
{
	uint64_t *gpr = (uint64_t *)&p->regs;
	unsigned int i;

	for (i = 0; i < 16; i++) {
		if (rng_percent(rng, 60))
			gpr[i] = some_address(rng, p->mode);
		else if (rng_percent(rng, 50))
			gpr[i] = rng_below(rng, 40);
		else
			gpr[i] = rng_next(rng);
	}
	if (rng_percent(rng, 70))
		p->regs.rcx = rng_below(rng, 24);
	if (rng_percent(rng, 92))
		p->regs.rsp = AT_STACK + 0x800 + (rng_below(rng, 0x700) & ~7u);
	if (p->mode <= MODE_COMPAT)
		for (i = 0; i < 16; i++)
			gpr[i] = (uint32_t)gpr[i];
	if (p->mode <= MODE_VM86)
		p->regs.rsp &= 0xffff;
	p->regs.rflags = random_flags(p, rng);
	p->regs.rip = p->code_start - p->sregs.cs.base;
}

/* ---- segments ---- */

static void seg_limit(struct kvm_segment *seg, uint32_t limit)
{
	seg->g = limit > 0xfffff;
	seg->limit = seg->g ? limit | 0xfff : limit;
}

static struct kvm_segment seg_real(uint16_t selector, bool vm86)
{
	return (struct kvm_segment) {
		.base = selector << 4, .limit = 0xffff, .selector = selector, .type = 3,
		.present = 1, .s = 1, .dpl = vm86 ? 3 : 0,
	};
}

static struct kvm_segment seg_flat(const struct program *p, bool code)
{
	struct kvm_segment seg = {
		.selector = (code ? p->cpl ? SEL_CODE3 : SEL_CODE0 :
				    p->cpl ? SEL_DATA3 : SEL_DATA0) | p->cpl,
		.type = code ? 11 : 3, .present = 1, .s = 1, .dpl = p->cpl,
		.db = p->mode != MODE_PROT16,
	};

	if (code && p->mode == MODE_LONG64) {
		seg.l = 1;
		seg.db = 0;
	}
	seg_limit(&seg, p->mode == MODE_PROT16 ? 0xffff : 0xffffffff);
	return seg;
}

static void seg_oddly(struct kvm_segment *seg, struct rng *rng, bool stack)
{
	static const uint32_t bases[] = {
		0, 0, 1, 0x40, 0xff8, AT_DATA, AT_ROM - 16, AT_ROM, AT_HOLE - 4, AT_HOLE,
		AT_RAM2 - 8, 0xfffff000,
	};
	static const uint32_t limits[] = {
		0, 7, 0xfff, 0x4fff, 0xcfff, 0xdfff, 0xe003, 0xffff, 0x12fff, 0xfffff,
		0xffffffff, 0xffffffff,
	};
	static const uint8_t types[] = { 1, 3, 3, 3, 5, 7, 11, 15 };

	seg->base = PICK(rng, bases);
	seg_limit(seg, PICK(rng, limits));
	seg->type = stack ? rng_percent(rng, 30) ? 7 : 3 : PICK(rng, types);
	if (rng_percent(rng, 20))
		seg->db ^= 1;
	if (!stack && rng_percent(rng, 10))
		*seg = (struct kvm_segment) { .unusable = 1, .type = 1 };
}

static void make_real_segments(struct program *p, struct rng *rng)
{
	static const uint16_t selectors[] = { 0, 0, 0, 0x40, 0x400, 0xc00, 0xdff, 0xe00, 0xfff,
					      0x1000, 0x11ff };
	struct kvm_segment *segs = &p->sregs.cs;
	bool vm86 = p->mode == MODE_VM86;
	unsigned int i;

	/* cs, ds, es, fs, gs, ss lie in this order. */
	for (i = 1; i < 6; i++) {
		segs[i] = seg_real(PICK(rng, selectors), vm86);
		if (!vm86 && rng_percent(rng, 4))
			seg_limit(&segs[i], 0xffffffff);
	}
	p->sregs.cs = seg_real(rng_percent(rng, 50) ? 0 : 0x500, vm86);
	if (rng_percent(rng, 90))
		p->sregs.ss = seg_real(0, vm86);
}

static void make_segments(struct program *p, struct rng *rng)
{
	struct kvm_segment *segs = &p->sregs.cs;
	unsigned int i;

	if (p->mode <= MODE_VM86) {
		make_real_segments(p, rng);
	} else {
		for (i = 0; i < 6; i++)
			segs[i] = seg_flat(p, i == 0);
		for (i = 1; i < 6; i++)
			if (rng_percent(rng, i == 5 ? 4 : 12))
				seg_oddly(&segs[i], rng, i == 5);
		if (p->mode == MODE_PROT32 && rng_percent(rng, 5))
			seg_limit(&p->sregs.cs, 0x6fff);
	}
	p->sregs.tr = (struct kvm_segment) {
		.base = AT_TSS, .limit = TSS_LIMIT, .selector = SEL_TR, .type = 11, .present = 1,
	};
	p->sregs.ldt = (struct kvm_segment) {
		.base = AT_LDT, .limit = 0x7f, .selector = SEL_LDT, .type = 2, .present = 1,
	};
	if (rng_percent(rng, 30))
		p->sregs.ldt = (struct kvm_segment) { .unusable = 1 };
}

/* ---- descriptor tables ---- */

static void put(struct program *p, unsigned int at, uint64_t val, unsigned int len)
{
	if (at + len <= AT_END)
		memcpy(p->mem + at, &val, len);
}

static uint64_t descriptor(const struct kvm_segment *seg)
{
	uint64_t limit = seg->g ? seg->limit >> 12 : seg->limit;
	uint64_t attr = seg->type | seg->s << 4 | seg->dpl << 5 | seg->present << 7 |
			seg->l << 13 | seg->db << 14 | seg->g << 15;

	return (limit & 0xffff) | (seg->base & 0xffffff) << 16 | attr << 40 |
	       (limit & 0xf0000) << 32 | (seg->base >> 24 & 0xff) << 56;
}

static void make_gdt(struct program *p, struct rng *rng)
{
	struct program at = { .mode = p->mode <= MODE_VM86 ? MODE_PROT32 : p->mode };
	struct kvm_segment task = { .base = AT_TASK, .limit = 0x7f, .type = 9, .present = 1 };
	unsigned int i, gdt = p->sregs.gdt.base;
	bool wide = p->mode >= MODE_COMPAT;

	for (i = SEL_RANDOM; i < GDT_BYTES; i += 8)
		put(p, gdt + i, rng_next(rng) | (rng_percent(rng, 60) ? 0x900000000000ull : 0), 8);
	for (at.cpl = 0; at.cpl <= 3; at.cpl += 3) {
		struct kvm_segment code = seg_flat(&at, true), data = seg_flat(&at, false);

		code.type = rng_percent(rng, 80) ? 10 : PICK(rng, ((uint8_t[]){ 8, 11, 14, 15 }));
		put(p, gdt + (code.selector & ~7), descriptor(&code), 8);
		put(p, gdt + (data.selector & ~7), descriptor(&data), 8);
	}
	at.mode = PICK(rng, ((enum mode[]){ MODE_PROT16, MODE_PROT32, MODE_LONG64 }));
	at.cpl = p->cpl;
	struct kvm_segment other = seg_flat(&at, rng_percent(rng, 60));

	put(p, gdt + SEL_OTHER, descriptor(&other), 8);
	put(p, gdt + SEL_TR, descriptor(&p->sregs.tr), 8);
	put(p, gdt + SEL_LDT, descriptor(&p->sregs.ldt), 8);
	put(p, gdt + SEL_TASK, descriptor(&task), 8);
	/* A 32-bit or 64-bit call gate, a task gate. */
	put(p, gdt + SEL_CALL_GATE, (AT_HANDLERS + 0x380) | SEL_CODE0 << 16 |
	    (0xec00ull | (wide ? 0 : rng_below(rng, 3))) << 32, 8);
	put(p, gdt + SEL_TASK_GATE, SEL_TASK << 16 | 0xe500ull << 32, 8);
	/* The upper halves that 64-bit mode knows. */
	for (i = SEL_TR + 8; wide && i < SEL_TASK_GATE; i += 16)
		put(p, gdt + i, 0, 8);
	for (i = 0; i < 0x80; i += 8)
		put(p, AT_LDT + i, rng_next(rng) | 0x900000000000ull, 8);
}

static void make_gate(struct program *p, struct rng *rng, unsigned int vector)
{
	unsigned int handler = AT_HANDLERS + vector * HANDLER_BYTES, idt = p->sregs.idt.base;
	uint64_t type = rng_percent(rng, 80) ? 0x8e : 0x8f, ist = 0, gate;

	if (rng_percent(rng, 35))
		type |= 0x60;
	if (rng_percent(rng, 2))
		type &= 0x7f;
	if (p->mode == MODE_PROT16 || rng_percent(rng, 2))
		type &= ~8ull;
	if (p->mode >= MODE_COMPAT && rng_percent(rng, 10))
		ist = rng_below(rng, 3);
	gate = (handler & 0xffff) | SEL_CODE0 << 16 | ist << 32 | type << 40 |
	       (uint64_t)(handler >> 16) << 48;
	if (p->mode < MODE_COMPAT && rng_percent(rng, 2))
		gate = SEL_TASK << 16 | 0xe500ull << 32;
	if (p->mode >= MODE_COMPAT) {
		put(p, idt + vector * 16, gate, 8);
		put(p, idt + vector * 16 + 8, 0, 8);
	} else {
		put(p, idt + vector * 8, gate, 8);
	}
}

/* Vectors above 0x7f have no handler of their own: theirs is one of those below. */
static void make_idt(struct program *p, struct rng *rng)
{
	bool wide = p->mode >= MODE_COMPAT;
	unsigned int i, handler;

	for (i = 0; i < 128; i++) {
		handler = AT_HANDLERS + i * HANDLER_BYTES;
		memcpy(p->mem + handler, (uint8_t[]){ 0xe6, i, 0xf4, wide ? 0x48 : 0xcf, 0xcf }, 5);
		if (p->mode == MODE_REAL)
			put(p, p->sregs.idt.base + i * 4, handler, 4);
		else
			make_gate(p, rng, i);
		if (p->mode == MODE_VM86)
			put(p, i * 4, handler, 4);
	}
}

static void make_tss(struct program *p, struct rng *rng)
{
	uint32_t stack = rng_percent(rng, 96) ? AT_STACK + 0x700 : some_address(rng, MODE_PROT32);
	unsigned int i;

	for (i = 4; i < 0x68; i += 8)
		put(p, AT_TSS + i, stack, 8);
	if (p->mode < MODE_COMPAT)
		for (i = 8; i <= 0x18; i += 8)
			put(p, AT_TSS + i, SEL_DATA0, 4);
	put(p, AT_TSS, rng_percent(rng, 50) ? SEL_TASK : SEL_TR, 2);	/* the link */
	put(p, AT_TSS + 0x66, 0x88, 2);			/* where the port bits are */
	for (i = 0x68; i < 0x188; i += 8)
		put(p, AT_TSS + i, rng_percent(rng, 70) ? 0 : rng_next(rng), 8);
	memset(p->mem + AT_TASK, 0, 0x68);
	put(p, AT_TASK + 0x1c, p->sregs.cr3, 4);
	put(p, AT_TASK + 0x20, AT_HANDLERS + 0x380, 4);
	put(p, AT_TASK + 0x24, 2 | (rng_next(rng) & 0x8d5), 4);
	put(p, AT_TASK + 0x38, AT_STACK + 0x500, 4);
	for (i = 0x48; i <= 0x5c; i += 4)
		put(p, AT_TASK + i, i == 0x4c ? SEL_CODE0 : SEL_DATA0, 4);
	put(p, AT_TASK + 0x66, 0x68, 2);
}

/* ---- paging ---- */

/* One entry of a page table that is not plain. */
static uint64_t twist(struct program *p, struct rng *rng, uint64_t pte)
{
	switch (rng_below(rng, 9)) {
	case 0:
		return pte & ~PTE_P;
	case 1:
		return pte & ~PTE_W;
	case 2:
		return pte ^ PTE_U;
	case 3:
		return p->mode == MODE_PAGED32 ? pte & ~PTE_W : pte | PTE_NX;
	case 4:
		return pte & ~(PTE_A | PTE_D);
	case 5:
		return p->mode == MODE_PAGED32 ? pte : pte | 1ull << (50 - rng_below(rng, 3));
	case 6:
		return (pte & 0xfff) | AT_HOLE;
	case 7:
		return (pte & 0xfff) | (rng_percent(rng, 50) ? AT_ROM : AT_DATA);
	default:
		return pte ^ (rng_next(rng) & 0x1ff);
	}
}

/* Put a table into read-only memory or nowhere; gives where it is. */
static uint64_t move_table(struct program *p, struct rng *rng, unsigned int at)
{
	unsigned int to = AT_ROM + (rng_percent(rng, 50) ? PAGE : 0);

	if (rng_percent(rng, 99))
		return at;
	p->tables_moved = true;
	if (rng_percent(rng, 20))
		return AT_HOLE + PAGE;
	memcpy(p->mem + to, p->mem + at, PAGE);
	return to;
}

static void make_page_tables(struct program *p, struct rng *rng)
{
	unsigned int size = p->mode == MODE_PAGED32 ? 4 : 8, i, page;
	uint64_t flags = PTE_P | PTE_W, pte;

	if (p->cpl || rng_percent(rng, 70))
		flags |= PTE_U;
	if (rng_percent(rng, 50))
		flags |= PTE_A | PTE_D;
	for (i = 0; i < 512; i++)
		put(p, AT_PT + i * size, i < 256 ? (uint64_t)i * PAGE | flags : 0, size);
	for (i = 0; rng_percent(rng, 60) && i < 4; i++) {
		page = rng_percent(rng, 90) ? 12 + rng_below(rng, 8) : rng_below(rng, 20);
		pte = twist(p, rng, (uint64_t)page * PAGE | flags);
		put(p, AT_PT + page * size, pte, size);
	}
	flags &= ~PTE_D;
	put(p, AT_PD, move_table(p, rng, AT_PT) | flags, size);
	put(p, AT_PD + size, PTE_LARGE | flags |
	    (rng_percent(rng, 10) ? 1ull << (13 + rng_below(rng, 8)) : 0), size);
	put(p, AT_PD + 2 * size, rng_next(rng), size);
	p->sregs.cr3 = AT_PD;
	if (p->mode == MODE_PAGED32)
		return;
	put(p, AT_PDPT, move_table(p, rng, AT_PD) | (p->mode == MODE_PAE ? PTE_P : flags), 8);
	p->sregs.cr3 = AT_PDPT;
	if (p->mode == MODE_PAE)
		return;
	put(p, AT_PML4, move_table(p, rng, AT_PDPT) | flags, 8);
	put(p, AT_PML4 + 511 * 8, AT_PDPT | flags, 8);
	p->sregs.cr3 = move_table(p, rng, AT_PML4);
}

/* ---- control registers and the rest ---- */

static void make_control(struct program *p, struct rng *rng)
{
	struct kvm_sregs *s = &p->sregs;
	static const struct { unsigned int bit, percent; } cr4[] = {
		{ 0, 20 }, { 1, 10 }, { 3, 50 }, { 4, 70 }, { 7, 50 }, { 9, 85 }, { 10, 60 },
		{ 11, 10 }, { 16, 50 }, { 18, 60 }, { 20, 8 }, { 21, 8 }, { 22, 8 },
	};
	unsigned int i;

	s->cr0 = 0x10 | (rng_next(rng) & 0x10022);		/* ET; MP, NE, WP */
	s->cr0 |= rng_percent(rng, 5) ? 4 : 0;			/* EM */
	s->cr0 |= rng_percent(rng, 8) ? 8 : 0;			/* TS */
	s->cr0 |= rng_percent(rng, 30) ? 1 << 18 : 0;		/* AM */
	s->cr0 |= p->mode == MODE_REAL ? 0 : CR0_PE;
	s->cr0 |= p->mode >= MODE_PAGED32 ? CR0_PG : 0;
	for (i = 0; i < ARRAY_SIZE(cr4); i++)
		s->cr4 |= rng_percent(rng, cr4[i].percent) ? 1ull << cr4[i].bit : 0;
	s->cr4 |= p->mode >= MODE_PAE ? CR4_PAE : 0;
	s->efer = rng_percent(rng, 50) ? 1 : 0;			/* SCE */
	if (p->mode >= MODE_PAE && rng_percent(rng, 80))
		s->efer |= 1 << 11;				/* NXE */
	if (p->mode >= MODE_COMPAT)
		s->efer |= EFER_LMA | 1 << 8;
	if (rng_percent(rng, 10))
		s->cr8 = rng_below(rng, 16);
	s->cr2 = some_address(rng, p->mode);
	p->xcr0 = rng_percent(rng, 50) ? 7 : rng_percent(rng, 50) ? 3 : 1;
	for (i = 0; i < ARRAY_SIZE(p->msrs); i++)
		p->msrs[i] = (uint32_t)some_address(rng, MODE_PROT32);
	p->msrs[0] = (uint64_t)(SEL_DATA0 | 3) << 48 | (uint64_t)SEL_CODE0 << 32 | AT_HANDLERS;
	p->msrs[4] = rng_percent(rng, 90) ? SEL_CODE0 : 0;
	if (rng_percent(rng, 70))
		p->msrs[1] = p->msrs[6] = AT_HANDLERS + 0x300;
	p->msrs[3] &= 0x47700;
}

static void make_tables(struct program *p, struct rng *rng)
{
	static const uint32_t places[] = {
		AT_ROM - 0x40, AT_ROM - 0x804, AT_ROM, AT_HOLE - 0x24, AT_HOLE - 0x80, AT_HOLE,
		AT_RAM2, AT_RAM2 + PAGE - 0x48,
	};
	struct kvm_sregs *s = &p->sregs;

	s->gdt.base = rng_percent(rng, 98) ? AT_GDT : PICK(rng, places);
	s->gdt.limit = rng_percent(rng, 93) ? GDT_BYTES - 1 : rng_below(rng, 0x80);
	s->idt.base = rng_percent(rng, 97) ? p->mode == MODE_REAL ? AT_IVT : AT_IDT :
			PICK(rng, places);
	s->idt.limit = p->mode == MODE_REAL ? 0x3ff : p->mode < MODE_COMPAT ? 0x3ff : 0x7ff;
	if (rng_percent(rng, 5))
		s->idt.limit = rng_below(rng, 0x100);
	if (p->mode >= MODE_PAGED32)
		make_page_tables(p, rng);
	make_gdt(p, rng);
	make_tss(p, rng);
	make_idt(p, rng);
}

static void make_debug(struct program *p, struct rng *rng)
{
	static const uint32_t control[] = {
		KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_SINGLESTEP,
		KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_USE_SW_BP,
		KVM_GUESTDBG_USE_HW_BP, KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_SINGLESTEP,
		KVM_GUESTDBG_INJECT_DB,
	};
	unsigned int i;

	p->debugregs.dr6 = 0xffff0ff0;
	p->debugregs.dr7 = 0x400;
	for (i = 0; i < 4; i++)
		p->debugregs.db[i] = rng_percent(rng, 50) ? p->code_start + rng_below(rng, 20) :
				     some_address(rng, MODE_PROT32);
	if (rng_percent(rng, 20))
		p->debugregs.dr7 = 0x400 | (rng_next(rng) & 0xffff03ff);
	if (rng_percent(rng, 3))
		p->debugregs.dr7 |= 1 << 13;
	if (!rng_percent(rng, 10))
		return;
	p->guest_debug.control = KVM_GUESTDBG_ENABLE |
				 (rng_percent(rng, 98) ? PICK(rng, control) :
							 KVM_GUESTDBG_INJECT_BP);
	for (i = 0; i < 4; i++)
		p->guest_debug.arch.debugreg[i] = p->code_start + rng_below(rng, 20);
	p->guest_debug.arch.debugreg[7] = 0x400 | (rng_next(rng) & 0x000000ff);
}

static bool has_error_code(unsigned int vector)
{
	return 0x27d00 >> vector & 1;
}

static void make_exception(struct program *p, struct rng *rng)
{
	static const uint8_t vectors[] = { 0, 1, 5, 6, 7, 8, 10, 11, 12, 13, 13, 14, 14, 16, 17,
					   18, 19 };
	struct kvm_vcpu_events *ev = &p->events;

	ev->exception.injected = 1;
	ev->exception.nr = rng_percent(rng, 97) ? PICK(rng, vectors) : 3 + rng_below(rng, 2);
	ev->exception.has_error_code = has_error_code(ev->exception.nr) ^ rng_percent(rng, 3);
	if (ev->exception.has_error_code)
		ev->exception.error_code = rng_next(rng) & 0x7fff;
}

static void make_events(struct program *p, struct rng *rng)
{
	struct kvm_vcpu_events *ev = &p->events;

	ev->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	if (rng_percent(rng, 8))
		make_exception(p, rng);
	if (rng_percent(rng, 6)) {
		ev->interrupt.injected = 1;
		ev->interrupt.nr = rng_below(rng, 128);
		ev->interrupt.soft = rng_percent(rng, 10);
	}
	ev->nmi.injected = rng_percent(rng, 2);
	ev->nmi.pending = rng_percent(rng, 4);
	ev->nmi.masked = rng_percent(rng, 8);
	if (rng_percent(rng, 6))
		ev->interrupt.shadow = 1 + rng_below(rng, 2);
}

/* Only a vCPU with a local APIC takes another state than RUNNABLE. */
static void make_mp_state(struct program *p, struct rng *rng)
{
	static const uint32_t states[] = {
		KVM_MP_STATE_HALTED, KVM_MP_STATE_HALTED, KVM_MP_STATE_SIPI_RECEIVED,
		KVM_MP_STATE_SIPI_RECEIVED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED,
	};

	if (!rng_percent(rng, p->irqchip ? 15 : 2))
		return;
	p->mp_state.mp_state = PICK(rng, states);
	p->events.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	p->events.sipi_vector = rng_percent(rng, 50) ? AT_CODE / PAGE : AT_HANDLERS / PAGE;
}

static void make_fpu(struct program *p, struct rng *rng)
{
	uint64_t *words = (uint64_t *)&p->fpu.xmm;
	unsigned int i;

	p->fpu.fcw = rng_percent(rng, 80) ? 0x37f : 0x340;
	p->fpu.mxcsr = rng_percent(rng, 80) ? 0x1f80 : 0x1f00;
	for (i = 0; i < sizeof(p->fpu.xmm) / 8; i++)
		words[i] = rng_next(rng);
	p->fpu.ftwx = rng_percent(rng, 50) ? 0 : 0xff;
	for (i = 0; i < 8; i++) {
		words = (uint64_t *)p->fpu.fpr[i];
		words[0] = rng_next(rng) | 1ull << 63;
		words[1] = 0x3ff0 + rng_below(rng, 20);
	}
}

/* Pages that begin as something else than random bytes. */
static bool is_plain(unsigned int at)
{
	return at < AT_IVT + PAGE || (at >= AT_CODE && at < AT_DATA);
}

/* Bytes that are no part of an instruction which reads a clock: 0fh is not among them. */
static void fill_memory(struct program *p, struct rng *rng)
{
	uint64_t word;
	unsigned int i;

	for (i = 0; i < AT_END; i += 8) {
		if (is_plain(i)) {
			rng->state += RNG_STEP * (PAGE / 8);
			i += PAGE - 8;
			continue;
		}
		word = rng_next(rng) & 0xf0f0f0f0f0f0f0f0ull;
		memcpy(p->mem + i, &word, 8);
	}
	memset(p->mem + AT_CODE, 0xf4, CODE_BYTES);
	memset(p->mem + AT_HANDLERS, 0xf4, PAGE);
}

void generate(struct program *p, uint64_t seed, unsigned int index, struct how how)
{
	struct rng rng = rng_of(seed, index);

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	p->index = index;
	p->how = how;
	p->mode = rng_percent(&rng, 25) ? MODE_LONG64 : rng_below(&rng, MODES);
	/* Others are emulated from the start. */
	if (how.restricted && p->mode < MODE_PAGED32)
		p->mode += MODE_PAGED32;
	if (p->mode == MODE_VM86)
		p->cpl = 3;
	else if (p->mode != MODE_REAL)
		p->cpl = rng_percent(&rng, 30) ? 3 : 0;
	p->user_msr = rng_percent(&rng, 20);
	p->irqchip = rng_percent(&rng, 15);
	p->answers = rng_next(&rng);
	fill_memory(p, &rng);
	make_control(p, &rng);
	make_segments(p, &rng);
	make_tables(p, &rng);
	generate_code(p, &rng);
	make_regs(p, &rng);
	make_debug(p, &rng);
	make_events(p, &rng);
	make_mp_state(p, &rng);
	make_fpu(p, &rng);
}
