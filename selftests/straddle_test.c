// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses to two pages that are two different things: memory, read-only memory, or nothing at all.
 * Each half goes where its page is, once, and the guest sees what it sees with memory in both.
 */
#include "selftests/lib/pages.h"

enum kind { RAM, ROM, NONE, NR_KINDS };

static const char *const kind_names[] = { "memory", "read-only", "nothing" };

/* Two guest-physical places for the two pages, not beside one another. */
static const uint64_t place[NR_KINDS][2] = {
	[RAM] = { 0x100000, 0x110000 },
	[ROM] = { 0x900000, 0x910000 },
	[NONE] = { PAGES_HOLE, PAGES_HOLE + 0x10000 },
};

/* RBX is the operand. Afterwards R15 is the flags and R14 the stack pointer. */
#define INSNS(X)							\
	X(store8, "mov %rax, (%rbx)")					\
	X(store2, "mov %ax, 3(%rbx)")					\
	X(load8, "mov (%rbx), %rdx")					\
	X(load_sign, "movswq 3(%rbx), %rdx")				\
	X(imm, "movq $-2, (%rbx)")					\
	X(add_to, "add %rax, (%rbx)")					\
	X(add_from, "add (%rbx), %rax")					\
	X(inc, "incl 2(%rbx)")						\
	X(neg, "negq (%rbx)")						\
	X(xadd, "lock xadd %rax, (%rbx)")				\
	X(xchg, "xchg %rax, (%rbx)")					\
	X(bts, "lock btsl $31, (%rbx)")					\
	X(cmpxchg_no, "lock cmpxchg %rcx, (%rbx)")			\
	X(cmpxchg_yes, "mov (%rbx), %rax\n lock cmpxchg %rcx, (%rbx)")	\
	X(cmpxchg8b, "mov (%rbx), %eax\n mov 4(%rbx), %edx\n mov %rbx, %rsi\n" \
		     "mov $7, %ebx\n lock cmpxchg8b (%rsi)\n mov %rsi, %rbx")	\
	X(movups_st, "movups %xmm0, (%rbx)")				\
	X(movups_ld, "movups (%rbx), %xmm0\n movq %xmm0, %rdx")		\
	X(push, "lea 8(%rbx), %rsp\n push %rax")			\
	X(pop, "mov %rbx, %rsp\n pop %rdx")				\
	X(pop_mem, "push %rax\n popq (%rbx)")				\
	X(movs_out, "mov %rbx, %rdi\n mov $0x9000, %esi\n movsq")	\
	X(movs_in, "mov %rbx, %rsi\n mov $0x9000, %edi\n movsq\n mov 0x9000, %rdx")	\
	X(rep_movs, "lea -9(%rbx), %rdi\n mov $0x9000, %esi\n mov $5, %ecx\n rep movsl") \
	X(rep_stos, "lea -8(%rbx), %rdi\n mov $6, %ecx\n rep stosl")	\
	X(rep_lods, "lea -8(%rbx), %rsi\n mov $6, %ecx\n rep lodsl")	\
	X(repe_cmps, "mov %rbx, %rsi\n mov $0x9000, %edi\n mov $2, %ecx\n repe cmpsl")

#define INSN_GUEST(name, text)						\
	GUEST(name, 64)							\
		text "\n"						\
		"mov %rsp, %r14\n mov $0x27000, %esp\n"			\
		"pushf\n pop %r15\n out %al, $0x10\n"			\
	GUEST_END(name);
INSNS(INSN_GUEST)

#define INSN_ROW(name, text) { #name, guest_##name, guest_##name##_end },
static const struct {
	const char *name;
	const uint8_t *code, *end;
} insns[] = { INSNS(INSN_ROW) };

#define FLAGS	0x8d5

struct result {
	struct kvm_regs regs;
	uint8_t bytes[64];	/* the last 32 of the first page, the first 32 of the second */
};

struct world {
	struct vm vm;
	uint8_t *rom[2];
	uint8_t device[2][PAGE];
	enum kind kind[2];
};

static uint8_t *contents(struct world *w, unsigned int page)
{
	switch (w->kind[page]) {
	case RAM:
		return w->vm.mem + place[RAM][page];
	case ROM:
		return w->rom[page];
	default:
		return w->device[page];
	}
}

static void world_make(struct world *w, enum kind first, enum kind second)
{
	unsigned int i, k;

	w->kind[0] = first;
	w->kind[1] = second;
	vm_create(&w->vm, 0);
	guest_load64(&w->vm, insns[0].code, insns[0].end);
	pages_setup(&w->vm);
	for (i = 0; i < 2; i++) {
		w->rom[i] = host_pages(1);
		vm_slot(&w->vm, 3 + i, place[ROM][i], PAGE, w->rom[i], KVM_MEM_READONLY);
		page_map(&w->vm, i, place[w->kind[i]][i], PTE_P | PTE_W | PTE_AD);
		for (k = 0; k < PAGE; k++)
			contents(w, i)[k] = 0x11 + 0x23 * k + 0x40 * i;
	}
	memcpy(w->vm.mem + 0x9000, "memory of the guest, 32 bytes of", 32);
}

static void world_end(struct world *w)
{
	munmap(w->rom[0], PAGE);
	munmap(w->rom[1], PAGE);
	vm_destroy(&w->vm);
}

/* The host is the device, and carries out the writes to read-only memory. */
static bool serve(struct world *w)
{
	struct kvm_run *run = w->vm.run;
	uint64_t at = run->mmio.phys_addr;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (at - place[w->kind[i]][i] < PAGE)
			break;
	if (i == 2 || w->kind[i] == RAM || (w->kind[i] == ROM && !run->mmio.is_write) ||
	    run->mmio.len > 8 || at % PAGE + run->mmio.len > PAGE)
		return false;
	if (run->mmio.is_write)
		memcpy(contents(w, i) + at % PAGE, run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, contents(w, i) + at % PAGE, run->mmio.len);
	return true;
}

static bool run_one(struct world *w, unsigned int nr, unsigned int offset, struct result *res)
{
	struct kvm_regs regs = {
		.rip = VM_CODE, .rflags = 0x2, .rbx = PAGES_VA + offset, .rsp = PAGES_STACK,
		.rax = 0x8877665544332211, .rcx = 0x1020304050607080, .rdx = 5,
	};
	unsigned int exits = 0;

	memcpy(w->vm.mem + VM_CODE, insns[nr].code, insns[nr].end - insns[nr].code);
	regs_put(&w->vm, &regs);
	for (;;) {
		EXPECT_EQ(vcpu_run(&w->vm), 0);
		if (w->vm.run->exit_reason != KVM_EXIT_MMIO)
			break;
		if (!serve(w) || ++exits > 40)
			return false;
	}
	if (!at_port(&w->vm, PORT_DONE))
		return false;
	res->regs = regs_of(&w->vm);
	res->regs.r15 &= FLAGS;
	memcpy(res->bytes, contents(w, 0) + PAGE - 32, 32);
	memcpy(res->bytes + 32, contents(w, 1), 32);
	/* The OUT is done, and nothing is left over for the next. */
	w->vm.run->immediate_exit = 1;
	vcpu_run(&w->vm);
	w->vm.run->immediate_exit = 0;
	res->regs.rip = 0;
	res->regs.rflags = 0;
	return true;
}

static void compare(enum kind first, enum kind second)
{
	static struct world native, mixed;
	static const uint16_t offsets[] = { 0xffc, 0xfff, 0xff9, 0xfe8 };
	struct result want, got;
	unsigned int nr, k;

	world_make(&native, RAM, RAM);
	world_make(&mixed, first, second);
	for (nr = 0; nr < sizeof(insns) / sizeof(insns[0]); nr++) {
		for (k = 0; k < sizeof(offsets) / sizeof(offsets[0]); k++) {
			REQUIRE(run_one(&native, nr, offsets[k], &want));
			if (!run_one(&mixed, nr, offsets[k], &got)) {
				test_fail(__FILE__, __LINE__,
					  "%s at %x of %s and %s: exit %u at %llx", insns[nr].name,
					  offsets[k], kind_names[first], kind_names[second],
					  mixed.vm.run->exit_reason,
					  (long long)mixed.vm.run->mmio.phys_addr);
				world_end(&mixed);
				world_make(&mixed, first, second);
				memcpy(contents(&mixed, 0) + PAGE - 32, want.bytes, 32);
				memcpy(contents(&mixed, 1), want.bytes + 32, 32);
				continue;
			}
			if (memcmp(&want, &got, sizeof(want)))
				test_fail(__FILE__, __LINE__,
					  "%s at %x of %s and %s: %s differs", insns[nr].name,
					  offsets[k], kind_names[first], kind_names[second],
					  memcmp(want.bytes, got.bytes, 64) ? "memory" :
									      "a register");
		}
	}
	world_end(&native);
	world_end(&mixed);
}

TEST(from_memory_into_nothing) { compare(RAM, NONE); }
TEST(from_nothing_into_memory) { compare(NONE, RAM); }
TEST(from_memory_into_readonly_memory) { compare(RAM, ROM); }
TEST(from_readonly_memory_into_memory) { compare(ROM, RAM); }
TEST(from_readonly_memory_into_nothing) { compare(ROM, NONE); }
TEST(from_nothing_into_readonly_memory) { compare(NONE, ROM); }
TEST(readonly_memory_in_both) { compare(ROM, ROM); }
TEST(nothing_in_both) { compare(NONE, NONE); }

/*
 * A driver's MOV that was executed at its device before, and then half elsewhere: what was kept of
 * it does not lead the other access astray.
 */
GUEST(same, 64)
	"1: mov %rax, (%rbx)\n"
	"out %al, $0x10\n"
	"2: mov (%rbx), %rax\n"
	"out %al, $0x10\n"
	"jmp 1b\n"
GUEST_END(same);

static void same_at(struct world *w, uint64_t va, uint32_t offset)
{
	struct kvm_regs regs = regs_of(&w->vm);

	regs.rip = VM_CODE + offset;
	regs.rbx = va;
	regs.rax = 0x8877665544332211;
	regs_put(&w->vm, &regs);
}

static unsigned int same_go(struct world *w)
{
	unsigned int exits = 0;

	while (vcpu_run(&w->vm) == 0 && w->vm.run->exit_reason == KVM_EXIT_MMIO && exits < 9) {
		EXPECT(serve(w));
		exits++;
	}
	EXPECT(at_port(&w->vm, PORT_DONE));
	return exits;
}

static void same_insn(enum kind first, enum kind second, uint32_t offset)
{
	static struct world w;
	unsigned int i;

	world_make(&w, first, second);
	memcpy(w.vm.mem + VM_CODE, guest_same, guest_same_end - guest_same);
	/* Wholly in what is nothing: twice, so that it is the known one. */
	for (i = 0; i < 3; i++) {
		same_at(&w, PAGES_VA + (first == NONE ? 0x10 : PAGE + 0x10), offset);
		EXPECT_EQ(same_go(&w), 1);
	}
	same_at(&w, PAGES_VA + 0xffc, offset);
	EXPECT_EQ(same_go(&w), (first == NONE) + (second == NONE));
	if (!offset) {
		EXPECT(!memcmp(contents(&w, 0) + 0xffc, "\x11\x22\x33\x44", 4));
		EXPECT(!memcmp(contents(&w, 1), "\x55\x66\x77\x88", 4));
	} else {
		uint64_t rax = regs_of(&w.vm).rax;

		EXPECT(!memcmp(&rax, contents(&w, 0) + 0xffc, 4));
		EXPECT(!memcmp((uint8_t *)&rax + 4, contents(&w, 1), 4));
	}
	world_end(&w);
}

TEST(the_same_store_half_in_memory)
{
	same_insn(RAM, NONE, 0);
	same_insn(NONE, RAM, 0);
	same_insn(NONE, NONE, 0);
}

TEST(the_same_load_half_in_memory)
{
	same_insn(RAM, NONE, 5);
	same_insn(NONE, RAM, 5);
	same_insn(NONE, NONE, 5);
}
