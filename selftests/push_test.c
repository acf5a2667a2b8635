// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events whose delivery uses page tables of the guest as a stack, IDT, GDT or TSS. With shadow
 * paging the emulator delivers them, and the guest finds what it finds with EPT or NPT.
 */
#include <cpuid.h>

#include "selftests/lib/pages.h"

#define TABLE(n)	((n) * PAGE)	/* 1: PML4 or PDPT, 2: PDPT, 3: directory, 4: page table */
#define READONLY	TABLE(5)	/* or not present, below EXTRA */
#define EXTRA		TABLE(6)	/* a page table of which only the last entry is used */
#define CODE		0x8000u
#define GDT		0x21000u
#define IDT		0x22000u
#define STUBS		0x23000u
#define TSS		0x24000u
#define STACK		0x28000u
#define SEEN		0x30000u	/* what EXTRA's last entry maps */
#define MAPPED		0x50		/* pages */
#define ABSENT		0x60000u
#define ALL		(PTE_P | PTE_W | PTE_U)
#define FLAG_RF		(1u << 16)
#define IRQ_VECTOR	0x1e
#define CASES		240

enum mode { LONG64, PAE, PAGED32, MODES };
enum event {
	UNDEFINED, BREAKPOINT, INT_N, PROTECTION, PAGE_FAULT, DIVIDE, ICEBP, INTERRUPT, NONMASKABLE,
	STEP, EVENTS
};

struct delivery {
	enum mode mode;
	enum event event;
	bool user, ist;
	uint32_t idt, gdt, tss, stack, inner;
	uint64_t below;			/* entry of READONLY */
};

struct outcome {
	uint32_t exit;
	struct kvm_regs regs;
	uint64_t cr2;
	uint8_t mem[MAPPED * PAGE];
};

static const struct { const char *code; uint8_t len; } insns[EVENTS] = {
	[UNDEFINED] = { "\x0f\x0b", 2 },
	[BREAKPOINT] = { "\xcc", 1 },
	[INT_N] = { "\xcd\x1f", 2 },
	[PROTECTION] = { "\xb8\x78\x00\x00\x00\x8e\xd8", 7 },	/* mov $0x78, %eax; mov %eax, %ds */
	[PAGE_FAULT] = { "\x8a\x01", 2 },			/* mov (%ecx), %al */
	[DIVIDE] = { "\x31\xc9\xf7\xf1", 4 },			/* xor %ecx, %ecx; div %ecx */
	[ICEBP] = { "\xf1", 1 },
};

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 20) % n;
}

/* The top of a stack: in memory, across the border to READONLY, or in a table's unused part. */
static uint32_t some_stack(void)
{
	static const uint32_t tables[] = { TABLE(1), TABLE(2), TABLE(3), TABLE(4), EXTRA };
	uint32_t table = tables[below(sizeof(tables) / sizeof(tables[0]))];

	switch (below(5)) {
	case 0:
		return STACK - below(32);
	case 1:
		return EXTRA + 4 * below(16);
	default:
		return table + 0xb00 + below(0x4e0);
	}
}

static struct delivery some_delivery(unsigned int nr)
{
	struct delivery d;

	random_state = 0x9e3779b97f4a7c15ull * (nr + 1);
	d = (struct delivery){ .mode = below(MODES), .event = below(EVENTS), .user = below(2) };
	d.ist = d.mode == LONG64 && !below(4);
	d.idt = below(3) ? IDT : EXTRA + 0x800;
	d.gdt = below(3) ? GDT : EXTRA + 0x400;
	d.tss = below(3) ? TSS : EXTRA + 0x500;
	d.stack = some_stack();
	d.inner = some_stack();
	d.below = below(2) ? 0 : READONLY | PTE_P | PTE_U;
	return d;
}

/* ---- the guest ---- */

static void put(struct vm *vm, uint32_t at, uint64_t val, unsigned int size)
{
	memcpy(vm->mem + at, &val, size);
}

static void put_tables(struct vm *vm, const struct delivery *d)
{
	unsigned int size = d->mode == PAGED32 ? 4 : 8, i;

	if (d->mode == LONG64) {
		put64(vm, TABLE(1), TABLE(2) | ALL);
		put64(vm, TABLE(2), TABLE(3) | ALL);
	} else if (d->mode == PAE) {
		put64(vm, TABLE(1), TABLE(3) | PTE_P);
	}
	put(vm, TABLE(3), TABLE(4) | ALL, size);
	put(vm, TABLE(3) + size, EXTRA | ALL, size);
	for (i = 0; i < MAPPED; i++)
		put(vm, TABLE(4) + size * i, i * PAGE | ALL, size);
	put(vm, TABLE(4) + size * (READONLY / PAGE), d->below, size);
	put(vm, EXTRA + PAGE - size, SEEN | ALL, size);
}

static void put_descriptors(struct vm *vm, const struct delivery *d)
{
	uint64_t code = d->mode == LONG64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull;
	unsigned int i, size = d->mode == LONG64 ? 16 : 8;
	uint32_t stub;

	for (i = 0; i < 32; i++) {
		stub = STUBS + 8 * i;
		memcpy(vm->mem + stub, "\x6a\x00\xe6\x77\xf4", 5);
		vm->mem[stub + 1] = i;
		put64(vm, d->idt + size * i, (stub & 0xffff) | 8 << 16 |
		      (0xee00ull | d->ist) << 32 | (uint64_t)(stub >> 16) << 48);
		if (size == 16)
			put64(vm, d->idt + size * i + 8, 0);
	}
	put64(vm, d->gdt, 0);
	put64(vm, d->gdt + 8, code);
	put64(vm, d->gdt + 16, 0x00cf93000000ffffull);
	put64(vm, d->gdt + 24, code | 3ull << 45);
	put64(vm, d->gdt + 32, 0x00cff3000000ffffull);
	if (d->mode == LONG64) {
		put64(vm, d->tss + 4, d->inner);
		put64(vm, d->tss + 36, d->inner);
	} else {
		put64(vm, d->tss + 4, d->inner | 16ull << 32);
	}
}

static void set_registers(struct vm *vm, const struct delivery *d)
{
	unsigned int rpl = d->user ? 3 : 0;
	struct kvm_segment ds = {
		.limit = 0xffffffff, .selector = d->user ? 0x23 : 16, .type = 3, .dpl = rpl,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
	struct kvm_sregs sregs = sregs_of(vm);
	struct kvm_regs regs = {
		.rip = CODE, .rsp = d->stack, .rcx = ABSENT, .rflags = 2 | rpl << 12,
		.rbx = d->mode == PAGED32 ? 0x7ff000 : 0x3ff000,	/* by EXTRA's last entry */
	};

	if (d->event == INTERRUPT)
		regs.rflags |= 1 << 9;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = ds;
	sregs.cs = ds;
	sregs.cs.selector = d->user ? 0x1b : 8;
	sregs.cs.type = 11;
	sregs.cs.l = d->mode == LONG64;
	sregs.cs.db = !sregs.cs.l;
	sregs.tr = (struct kvm_segment){ .base = d->tss, .limit = 0x67, .selector = 40,
					 .type = 11, .present = 1 };
	sregs.gdt.base = d->gdt;
	sregs.gdt.limit = 0x2f;
	sregs.idt.base = d->idt;
	sregs.idt.limit = d->mode == LONG64 ? 0x1ff : 0xff;
	sregs.cr3 = d->mode == PAGED32 ? TABLE(3) : TABLE(1);
	sregs.cr4 = d->mode == PAGED32 ? 0 : 1 << 5;
	sregs.cr0 = 1u << 31 | 1 << 16 | 0x33;
	sregs.efer = d->mode == LONG64 ? 0x500 : 0;
	sregs_put(vm, &sregs);
	regs_put(vm, &regs);
}

static void put_code(struct vm *vm, const struct delivery *d)
{
	uint8_t *code = vm->mem + CODE;

	/* mov (%ebx), %al: EXTRA is a page table now. OUT: userspace injects. */
	memcpy(code, "\x8a\x03\xe6\x10", 4);
	if (insns[d->event].len)
		memcpy(code + 4, insns[d->event].code, insns[d->event].len);
	memcpy(code + 4 + insns[d->event].len, "\x90\x90\xeb\xfe", 4);
}

/* ---- both kinds of paging ---- */

static void inject(struct vm *vm, const struct delivery *d)
{
	struct kvm_interrupt irq = { .irq = IRQ_VECTOR };
	struct kvm_regs regs;

	vm->run->immediate_exit = 1;
	EXPECT_EQ(vcpu_run(vm), -1);
	vm->run->immediate_exit = 0;
	if (d->event == INTERRUPT) {
		REQUIRE(ioctl(vm->vcpu, KVM_INTERRUPT, &irq) == 0);
	} else if (d->event == NONMASKABLE) {
		REQUIRE(ioctl(vm->vcpu, KVM_NMI) == 0);
	} else if (d->event == STEP) {
		regs = regs_of(vm);
		regs.rflags |= 1 << 8;
		regs_put(vm, &regs);
	}
}

/* Bochs sets RF when a delivery is interrupted by a VM exit (Documentation/differential.rst). */
static void forget_rf(const struct delivery *d, struct outcome *o)
{
	unsigned int width = d->mode == LONG64 ? 8 : 4, vector = o->mem[o->regs.rsp];
	bool code = vector == 8 || (vector >= 10 && vector <= 14);

	o->mem[o->regs.rsp + (3 + code) * width + 2] &= ~(FLAG_RF >> 16);
}

static void deliver(struct vm *vm, const struct delivery *d, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	put_tables(vm, d);
	put_descriptors(vm, d);
	put_code(vm, d);
	set_registers(vm, d);
	EXPECT_EQ(run_out(vm, 0x10), 0);
	inject(vm, d);
	REQUIRE(vcpu_run(vm) == 0);
	o->exit = vm->run->exit_reason;
	if (o->exit == KVM_EXIT_SHUTDOWN)
		return;
	EXPECT_EQ(o->exit, KVM_EXIT_IO);
	EXPECT_EQ(vm->run->io.port, PORT_TRAP);
	o->regs = regs_of(vm);
	o->cr2 = sregs_of(vm).cr2;
	memcpy(o->mem, vm->mem, sizeof(o->mem));
	forget_rf(d, o);
	/* QEMU marks a PAE guest's PDPTE as accessed: it has no such bit. */
	if (d->mode == PAE)
		o->mem[TABLE(1)] &= ~0x20;
}

/*
 * On AMD's CPUs, events of 32-bit code at CPL 3 are left out: QEMU takes a TSS for invalid that is
 * busy, as each VMRUN loads it, when it switches to that TSS's stack ("invalid tss type").
 */
static bool is_amd(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0, &a, &b, &c, &d) && c == signature_AMD_ecx;
}

TEST(deliveries_in_page_tables)
{
	static struct outcome with, without;
	unsigned int nr, handlers = 0;
	struct delivery d;
	bool both;
	struct vm vm;

	/* A delivery that is made again and again does not end. */
	alarm(100);
	for (nr = 0; nr < CASES; nr++) {
		d = some_delivery(nr);
		if (is_amd() && d.mode != LONG64 && d.user)
			continue;
		vm_create_on_shadow(&vm);
		deliver(&vm, &d, &with);
		vm_destroy(&vm);
		handlers += with.exit == KVM_EXIT_IO;
		vm_create(&vm, 0);
		both = !vm_on_shadow(&vm);
		if (both)
			deliver(&vm, &d, &without);
		vm_destroy(&vm);
		if (!both)
			continue;
		EXPECT_EQ(with.exit, without.exit);
		EXPECT_EQ(with.regs.rip, without.regs.rip);
		EXPECT_EQ(with.regs.rsp, without.regs.rsp);
		EXPECT_EQ(with.cr2, without.cr2);
		if (memcmp(with.mem, without.mem, sizeof(with.mem)))
			printf("# delivery %u: mode %u event %u user %u\n", nr, d.mode, d.event,
			       d.user);
		EXPECT(!memcmp(with.mem, without.mem, sizeof(with.mem)));
	}
	EXPECT(handlers > CASES / 2);
}
