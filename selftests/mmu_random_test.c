// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random memory programs on both kinds of memory virtualization and on a model of the architecture:
 * reads, writes and fetches in a window whose page tables the program itself changes, with INVLPG,
 * loads of CR3 and changes of CR0.WP. Faults, values, memory, accessed and dirty bits and
 * KVM_TRANSLATE have to be those of the model. OKVM_SEED is the first program's seed.
 */
#include "selftests/lib/pages.h"

#define PROGRAMS	40
#define OPS		400
#define OPS_AT		0x60000u
#define RESULTS_AT	0x70000u
#define PD		(VM_TABLES + 0x2000)
#define TABLE_0		PAGES_TABLE
#define TABLE_1		0x28000u
#define TABLE_ALIAS	0x29000u	/* maps TABLE_0, TABLE_1 and PD */
#define WINDOW		PAGES_VA	/* two of 2 MiB */
#define ALIAS		(WINDOW + (4u << 20))
#define DATA		0x40000u	/* DATA_PAGES frames */
#define DATA_PAGES	8u
#define LARGE		0x200000u
#define RET_AT		0xff8u		/* in each page of data, a RET for fetches */
#define PAGES_USED	8u		/* of each window */
#define PTE_A		0x20u
#define PTE_D		0x40u
#define PTE_PS		0x80u
#define PDE_RESERVED	(1u << 13)	/* in an entry for a large page */
#define PTE_NX		(1ull << 63)
#define CR0_WP		0x10000u
#define NO_FAULT	(~0ull)

enum kind { READ, WRITE, FETCH, INVLPG, CR3, CR0, DONE };

struct op {
	uint64_t kind, addr, val;
};

struct result {
	uint64_t val, cr2, error;
};

/* The handler of #PF stands 8 bytes behind the start. */
GUEST(program, 64)
	"	.byte 0xe9\n .long 1f - (. + 4)\n .byte 0x90, 0x90, 0x90\n"
	"	pop %r10\n"
	"	mov %cr2, %r9\n"
	"	mov $0x27000, %esp\n"
	"	jmp 3f\n"
	"1:	mov $0x60000, %esi\n"
	"	mov $0x70000, %edi\n"
	"2:	mov (%rsi), %eax\n"
	"	mov 8(%rsi), %rbx\n"
	"	mov 16(%rsi), %rdx\n"
	"	xor %r8d, %r8d\n"
	"	xor %r9d, %r9d\n"
	"	mov $-1, %r10\n"
	"	cmp $1, %eax\n jb 10f\n je 11f\n"
	"	cmp $3, %eax\n jb 12f\n je 13f\n"
	"	cmp $5, %eax\n jb 14f\n je 15f\n"
	"	out %al, $0x10\n"
	"10:	mov (%rbx), %r8\n jmp 3f\n"
	"11:	mov %rdx, (%rbx)\n jmp 3f\n"
	"12:	call *%rbx\n jmp 3f\n"
	"13:	invlpg (%rbx)\n jmp 3f\n"
	"14:	mov %cr3, %rax\n mov %rax, %cr3\n jmp 3f\n"
	"15:	mov %rdx, %cr0\n"
	"3:	mov %r8, (%rdi)\n"
	"	mov %r9, 8(%rdi)\n"
	"	mov %r10, 16(%rdi)\n"
	"	add $24, %rdi\n"
	"	add $24, %rsi\n"
	"	jmp 2b\n"
GUEST_END(program);

static uint64_t program, seed;	/* the seed of the program, and what has become of it */

static unsigned int rnd(unsigned int n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

/* ---- the model: memory, CR0.WP, and the accessed bits that the architecture leaves open ---- */

static uint8_t *memory;
static bool wp, unsure[VM_MEMORY / 8];
static struct op ops[OPS + 8];
static struct result want[OPS + 8];
static unsigned int nr_ops;

static uint64_t *at(uint64_t pa)
{
	return (uint64_t *)(memory + pa);
}

static uint64_t pde_of(uint64_t va)
{
	return PD + (va >> 21) * 8;
}

static void mark(uint64_t entry, uint64_t bits)
{
	*at(entry) |= bits;
	unsure[entry / 8] = false;
}

/* A walk that fails may set the accessed bits of the entries that it has read. */
static uint64_t failed(uint64_t pde, uint64_t pte, uint64_t error)
{
	unsure[pde / 8] = true;
	if (pte)
		unsure[pte / 8] = true;
	return error;
}

/* Return: the error code of the #PF, or NO_FAULT with *@pa. @kind: DONE sets no bits. */
static uint64_t model_walk(uint64_t va, enum kind kind, uint64_t *pa)
{
	uint64_t error = (kind == WRITE ? 2 : 0) | (kind == FETCH ? 16 : 0);
	uint64_t pde = pde_of(va), pte = 0, e = *at(pde), rights = e, nx = e & PTE_NX;

	if (!(e & PTE_P))
		return failed(pde, 0, error);
	if (e & PTE_PS && e & 0x1fe000)
		return failed(pde, 0, error | 8 | 1);
	*pa = (e & 0xfffffffe00000ull) + (va & 0x1fffff);
	if (!(e & PTE_PS)) {
		pte = (e & 0xffffffffff000ull) + (va >> 12 & 511) * 8;
		e = *at(pte);
		if (!(e & PTE_P))
			return failed(pde, pte, error);
		rights &= e;
		nx |= e & PTE_NX;
		*pa = (e & 0xffffffffff000ull) + (va & 0xfff);
	}
	if ((kind == FETCH && nx) || (kind == WRITE && wp && !(rights & PTE_W)))
		return failed(pde, pte, error | 1);
	if (kind == DONE)
		return NO_FAULT;
	mark(pde, PTE_A);
	mark(pte ? pte : pde, PTE_A | (kind == WRITE ? PTE_D : 0));
	return NO_FAULT;
}

static void model_op(const struct op *op, struct result *r)
{
	uint64_t pa = op->addr;

	*r = (struct result){ .error = NO_FAULT };
	if (op->kind == CR0)
		wp = op->val & CR0_WP;
	if (op->kind > FETCH)
		return;
	if (op->addr >= WINDOW)
		r->error = model_walk(op->addr, op->kind, &pa);
	if (r->error != NO_FAULT)
		r->cr2 = op->addr;
	else if (op->kind == READ)
		r->val = *at(pa);
	else if (op->kind == WRITE)
		*at(pa) = op->val;
}

static void emit(enum kind kind, uint64_t addr, uint64_t val)
{
	ops[nr_ops] = (struct op){ kind, addr, val };
	model_op(&ops[nr_ops], &want[nr_ops]);
	nr_ops++;
}

/* ---- random programs ---- */

static uint64_t any_rights(void)
{
	return (rnd(8) ? PTE_P : 0) | (rnd(3) ? PTE_W : 0) | (rnd(2) ? PTE_U : 0) |
	       (rnd(3) ? PTE_A : 0) | (rnd(3) ? 0 : PTE_D) | (rnd(6) ? 0 : PTE_NX);
}

static uint64_t any_pte(void)
{
	if (!rnd(10))
		return 0;
	return (rnd(3) ? DATA + rnd(DATA_PAGES) * PAGE : LARGE + rnd(PAGES_USED) * PAGE) |
	       any_rights();
}

static uint64_t any_pde(void)
{
	switch (rnd(8)) {
	case 0:
		return 0;
	case 1 ... 2:
		return LARGE | PTE_PS | any_rights() | (rnd(6) ? 0 : PDE_RESERVED);
	case 3 ... 5:
		return TABLE_0 | any_rights();
	default:
		return TABLE_1 | any_rights();
	}
}

/* Store to entry @i of the table at @pa, or by its other address. */
static void emit_store(uint64_t pa, unsigned int i, uint64_t val)
{
	uint64_t other = ALIAS + (pa == TABLE_0 ? 0 : pa == TABLE_1 ? PAGE : 2 * PAGE);

	emit(WRITE, (rnd(3) ? pa : other) + i * 8, val);
	unsure[(pa + i * 8) / 8] = false;
}

static void emit_pde(void)
{
	unsigned int i = WINDOW / LARGE + rnd(2);

	emit_store(PD, i, any_pde());
	emit(CR3, 0, 0);
}

/* An entry that was not present needs no flush; both windows may lead to the table. */
static void emit_pte(void)
{
	uint64_t table = rnd(2) ? TABLE_0 : TABLE_1;
	unsigned int i = rnd(PAGES_USED);
	bool present = *at(table + i * 8) & PTE_P;

	emit_store(table, i, any_pte());
	if (!present && rnd(2))
		return;
	if (!rnd(4)) {
		emit(CR3, 0, 0);
		return;
	}
	emit(INVLPG, WINDOW + i * PAGE + rnd(PAGE), 0);
	emit(INVLPG, WINDOW + LARGE + i * PAGE + rnd(PAGE), 0);
}

static void emit_access(void)
{
	uint64_t va = WINDOW + rnd(2) * LARGE + rnd(PAGES_USED) * PAGE;
	unsigned int kind = rnd(8);

	if (kind < 3)
		emit(READ, va + rnd(16) * 8, 0);
	else if (kind < 7)
		emit(WRITE, va + rnd(16) * 8, seed);
	else
		emit(FETCH, va + RET_AT, 0);
}

static void make_program(void)
{
	nr_ops = 0;
	while (nr_ops < OPS) {
		switch (rnd(20)) {
		case 0:
			emit_pde();
			break;
		case 1 ... 5:
			emit_pte();
			break;
		case 6:
			emit(CR0, 0, 0x80000033 | (rnd(2) ? CR0_WP : 0));
			break;
		default:
			emit_access();
		}
	}
	emit(DONE, 0, 0);
}

/* ---- one program on the model and on VMs ---- */

/* The pages' contents, and tables that lead to some of them. */
static void fill(void)
{
	unsigned int i;

	for (i = 0; i < DATA_PAGES; i++)
		memset(memory + DATA + i * PAGE + RET_AT, 0xc3, 8);
	for (i = 0; i < 512; i++)
		memset(memory + LARGE + i * PAGE + RET_AT, 0xc3, 8);
	for (i = 0; i < PAGES_USED; i++) {
		*at(TABLE_0 + i * 8) = any_pte();
		*at(TABLE_1 + i * 8) = any_pte();
	}
	for (i = 0; i < 2; i++)
		*at(pde_of(WINDOW) + i * 8) = any_pde();
	*at(pde_of(ALIAS)) = TABLE_ALIAS | PTE_P | PTE_W;
	*at(TABLE_ALIAS) = TABLE_0 | PTE_P | PTE_W;
	*at(TABLE_ALIAS + 8) = TABLE_1 | PTE_P | PTE_W;
	*at(TABLE_ALIAS + 16) = PD | PTE_P | PTE_W;
	memset(unsure, 0, sizeof(unsure));
}

static void prepare(struct vm *vm)
{
	struct kvm_sregs sregs;

	LOAD64(vm, program);
	pages_setup(vm);
	pages_gate(vm, 14, VM_CODE + 8);
	sregs = sregs_of(vm);
	sregs.cr0 |= CR0_WP;
	sregs.efer |= 1 << 11;	/* NXE */
	sregs_put(vm, &sregs);
}

/* QEMU's walk, which two-dimensional paging uses there, reports a reserved bit without P. */
static bool same_error(uint64_t got, uint64_t wanted, bool tdp)
{
	return got == wanted ||
	       (tdp && got == (wanted & ~1ull) && wanted != NO_FAULT && wanted & 8);
}

static bool same_result(unsigned int i, const struct result *got, bool tdp)
{
	return got->val == want[i].val && got->cr2 == want[i].cr2 &&
	       same_error(got->error, want[i].error, tdp);
}

static void print_result(const char *what, const struct result *r)
{
	printf("# %s: %#llx, CR2 %#llx, error code %lld\n", what, (unsigned long long)r->val,
	       (unsigned long long)r->cr2, (long long)r->error);
}

static void check_results(const struct vm *vm, const char *kind, bool tdp)
{
	const struct result *got = (const void *)(vm->mem + RESULTS_AT);
	unsigned int i;

	for (i = 0; i < nr_ops - 1; i++) {
		if (same_result(i, &got[i], tdp))
			continue;
		printf("# seed %llu, %s, operation %u: kind %d, address %#llx\n",
		       (unsigned long long)program, kind, i, (int)ops[i].kind,
		       (unsigned long long)ops[i].addr);
		print_result("is", &got[i]);
		print_result("expected", &want[i]);
		EXPECT(same_result(i, &got[i], tdp));
		test_end();
	}
}

/* @n entries or words from @pa on, with the accessed bits that the architecture fixes. */
static void check_memory(const struct vm *vm, const char *kind, uint64_t pa, unsigned int n)
{
	uint64_t got, mask;

	for (; n--; pa += 8) {
		memcpy(&got, vm->mem + pa, 8);
		mask = unsure[pa / 8] ? ~(uint64_t)PTE_A : ~0ull;
		if ((got & mask) == (*at(pa) & mask))
			continue;
		printf("# seed %llu, %s, memory at %#llx: %#llx, expected %#llx\n",
		       (unsigned long long)program, kind, (unsigned long long)pa,
		       (unsigned long long)got, (unsigned long long)*at(pa));
		EXPECT_EQ(got & mask, *at(pa) & mask);
		test_end();
	}
}

static void check_translations(const struct vm *vm)
{
	struct kvm_translation tr;
	uint64_t pa = 0, error;
	unsigned int i;

	for (i = 0; i < 2 * PAGES_USED; i++) {
		tr = (struct kvm_translation){
			.linear_address = WINDOW + i / PAGES_USED * LARGE + i % PAGES_USED * PAGE,
		};
		error = model_walk(tr.linear_address, DONE, &pa);
		REQUIRE(ioctl(vm->vcpu, KVM_TRANSLATE, &tr) == 0);
		EXPECT_EQ(tr.valid, error == NO_FAULT);
		if (tr.valid)
			EXPECT_EQ(tr.physical_address, pa);
	}
}

static void run_program(struct vm *vm, bool tdp, const uint8_t *initial)
{
	const char *kind = tdp ? "two-dimensional paging" : "shadow paging";

	memcpy(vm->mem, initial, VM_MEMORY);
	memcpy(vm->mem + OPS_AT, ops, nr_ops * sizeof(ops[0]));
	prepare(vm);
	/* prepare() has written the tables anew. */
	memcpy(vm->mem + PD, initial + PD, PAGE);
	run_until(vm, KVM_EXIT_IO);
	EXPECT(at_port(vm, PORT_DONE));
	check_results(vm, kind, tdp);
	check_memory(vm, kind, pde_of(WINDOW), 3);
	check_memory(vm, kind, TABLE_0, PAGES_USED);
	check_memory(vm, kind, TABLE_1, PAGES_USED);
	check_memory(vm, kind, TABLE_ALIAS, 3);
	check_memory(vm, kind, DATA, DATA_PAGES * PAGE / 8);
	check_memory(vm, kind, LARGE, PAGES_USED * PAGE / 8);
	check_translations(vm);
}

TEST(random_programs_on_both_kinds)
{
	const char *from = getenv("OKVM_SEED");
	uint64_t first = from ? strtoull(from, NULL, 0) : 1, faults = 0;
	struct vm shadow, other;
	uint8_t *initial;
	unsigned int i;

	vm_create_on_shadow(&shadow);
	/* The module's default; shadow paging once more if the CPU has nothing else. */
	vm_create(&other, 0);
	memory = host_pages(VM_MEMORY / PAGE);
	initial = host_pages(VM_MEMORY / PAGE);
	printf("# %u programs from seed %llu, on shadow paging and on %s\n", PROGRAMS,
	       (unsigned long long)first,
	       vm_on_shadow(&other) ? "shadow paging" : "two-dimensional paging");
	for (program = first; program < first + PROGRAMS; program++) {
		seed = program * 0x9e3779b97f4a7c15ull;
		wp = true;
		memset(memory, 0, VM_MEMORY);
		prepare(&other);
		memcpy(memory, other.mem, VM_MEMORY);
		fill();
		memcpy(initial, memory, VM_MEMORY);
		make_program();
		for (i = 0; i < nr_ops; i++)
			faults += want[i].error != NO_FAULT;
		run_program(&other, !vm_on_shadow(&other), initial);
		run_program(&shadow, false, initial);
	}
	printf("# %llu page faults of the guests\n", (unsigned long long)faults);
	EXPECT(faults > PROGRAMS);
	munmap(initial, VM_MEMORY);
	munmap(memory, VM_MEMORY);
	vm_destroy(&other);
	vm_destroy(&shadow);
}
