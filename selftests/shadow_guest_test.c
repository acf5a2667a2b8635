// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest on shadow page tables sees of its own: control registers, page faults, and what it
 * changes in its tables before INVLPG and before it loads CR3.
 */
#include "selftests/lib/pages.h"

#define ONE		0x30000u	/* pages with different data */
#define TWO		0x31000u
#define CR0_ET		0x10u		/* always set by a write of CR0 */
#define CR0_WP		0x10000u
#define LEAF		(PTE_P | PTE_W | PTE_AD)

static void prepare(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs regs;

	guest_load64(vm, code, end);
	pages_setup(vm);
	vm->mem[ONE] = 1;
	vm->mem[TWO] = 2;
	page_map(vm, 0, ONE, LEAF);
	regs = regs_of(vm);
	regs.rbx = PAGES_VA;
	regs.rdi = PAGES_TABLE;
	regs.rcx = TWO | LEAF;
	regs.rdx = ONE | LEAF;
	regs_put(vm, &regs);
}

#define PREPARE(vm, name) prepare(vm, guest_##name, guest_##name##_end)

static void expect_fault(struct vm *vm, uint64_t va, uint64_t error)
{
	run_until(vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(vm), 14);
	EXPECT_EQ(sregs_of(vm).cr2, va);
	/* Under the number of the exception. */
	EXPECT_EQ(vm->mem[regs_of(vm).rsp + 8], error);
}

/* ---- changes of tables ---- */

GUEST(changes, 64)
	"	mov (%rbx), %al\n"
	"	out %al, $0x10\n"
	"	mov %rcx, (%rdi)\n"
	"	invlpg (%rbx)\n"
	"	mov (%rbx), %al\n"
	"	out %al, $0x11\n"
	"	mov %rdx, (%rdi)\n"
	"	mov %cr3, %rax\n"
	"	mov %rax, %cr3\n"
	"	mov (%rbx), %al\n"
	"	out %al, $0x12\n"
	"	movq $0, (%rdi)\n"
	"	invlpg (%rbx)\n"
	"	mov (%rbx), %al\n"
	"	hlt\n"
GUEST_END(changes);

TEST(a_change_is_seen_after_a_flush)
{
	struct vm vm;

	vm_create_on_shadow(&vm);
	PREPARE(&vm, changes);
	EXPECT_EQ(run_out(&vm, 0x10), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 2);
	EXPECT_EQ(run_out(&vm, 0x12), 1);
	expect_fault(&vm, PAGES_VA, 0);
	vm_destroy(&vm);
}

/* One process has guests of both kinds, which take turns. */
TEST(both_kinds_side_by_side)
{
	struct vm tdp, shadow;
	uint16_t port;

	vm_create(&tdp, 0);
	if (vm_on_shadow(&tdp))
		test_skip("there is one kind only");
	vm_create_on_shadow(&shadow);
	PREPARE(&tdp, changes);
	PREPARE(&shadow, changes);
	for (port = 0x10; port <= 0x12; port++)
		EXPECT_EQ(run_out(&tdp, port), run_out(&shadow, port));
	expect_fault(&tdp, PAGES_VA, 0);
	expect_fault(&shadow, PAGES_VA, 0);
	vm_destroy(&shadow);
	vm_destroy(&tdp);
}

/* ---- events whose stack is in a page table ---- */

GUEST(undefined, 64)
	"	ud2\n"
GUEST_END(undefined);

GUEST(breakpoint, 64)
	"	int3\n"
GUEST_END(breakpoint);

GUEST(software_interrupt, 64)
	"	int $17\n"
GUEST_END(software_interrupt);

/* The delivery walks through the table to which it pushes: to the IDT, and to the stack itself. */
static void deliver_onto_table(const uint8_t *code, const uint8_t *end, uint64_t table, int vector)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create_on_shadow(&vm);
	prepare(&vm, code, end);
	regs = regs_of(&vm);
	/* The guest does not use the last entries. */
	regs.rsp = table + PAGE;
	regs_put(&vm, &regs);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(&vm), vector);
	vm_destroy(&vm);
}

#define DELIVER(name, table, vector) \
	deliver_onto_table(guest_##name, guest_##name##_end, table, vector)

TEST(an_event_is_pushed_onto_a_page_table)
{
	uint64_t table;

	/* A delivery that is made again and again does not end. */
	alarm(20);
	for (table = VM_TABLES; table <= VM_TABLES + 2 * PAGE; table += PAGE) {
		DELIVER(undefined, table, 6);
		DELIVER(breakpoint, table, 3);
		DELIVER(software_interrupt, table, 17);
	}
}

/* ---- an instruction that the emulator has not ---- */

GUEST(unknown_write, 64)
	"	xor %edx, %edx\n"
	"	mov $1, %eax\n"
	"	xsave (%rbx)\n"
	"	out %al, $0x10\n"
GUEST_END(unknown_write);

/*
 * XSAVE writes to the two page tables that map its own operand. The CPU cannot execute it, because
 * one of the tables is always write-protected, nor can the emulator.
 */
TEST(an_unknown_instruction_writes_its_own_page_tables)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;

	vm_create_on_shadow(&vm);
	PREPARE(&vm, unknown_write);
	sregs = sregs_of(&vm);
	sregs.cr4 |= 1 << 18;			/* OSXSAVE */
	if (ioctl(vm.vcpu, KVM_SET_SREGS, &sregs))
		test_skip("no XSAVE");
	regs = regs_of(&vm);
	/* What is written there are entries that nothing uses. */
	page_map(&vm, 0, PAGES_TABLE, LEAF);
	page_map(&vm, 1, VM_TABLES + 2 * PAGE, LEAF);
	regs.rbx = PAGES_VA + PAGE - 0x100;
	regs_put(&vm, &regs);
	/* Tried again for ever, it would not end. */
	alarm(20);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	vm_destroy(&vm);
}

/* ---- registers, and faults that depend on them ---- */

GUEST(registers, 64)
	"	mov %cr3, %rax\n"
	"	out %eax, $0x10\n"
	"	mov %cr4, %rax\n"
	"	out %eax, $0x11\n"
	"	mov $0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	out %eax, $0x12\n"
	"	mov %cr0, %rax\n"
	"	and $0xfffeffff, %eax\n"
	"	mov %rax, %cr0\n"
	"	mov %cr0, %rax\n"
	"	out %eax, $0x13\n"
	"	movb $5, (%rbx)\n"
	"	or $0x10000, %eax\n"
	"	mov %rax, %cr0\n"
	"	mov %cr0, %rax\n"
	"	out %eax, $0x14\n"
	"	movb $6, (%rbx)\n"
	"	hlt\n"
GUEST_END(registers);

TEST(registers_are_the_guests_own)
{
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create_on_shadow(&vm);
	PREPARE(&vm, registers);
	page_map(&vm, 0, ONE, PTE_P | PTE_AD);
	sregs = sregs_of(&vm);
	sregs.cr0 |= CR0_ET;
	sregs_put(&vm, &sregs);
	EXPECT_EQ(run_out(&vm, 0x10), sregs.cr3);
	EXPECT_EQ(run_out(&vm, 0x11), sregs.cr4);
	EXPECT_EQ(run_out(&vm, 0x12), sregs.efer);
	EXPECT_EQ(run_out(&vm, 0x13), sregs.cr0 & ~(uint64_t)CR0_WP);
	EXPECT_EQ(run_out(&vm, 0x14), sregs.cr0 | CR0_WP);
	EXPECT_EQ(vm.mem[ONE], 5);
	expect_fault(&vm, PAGES_VA, 3);
	EXPECT_EQ(vm.mem[ONE], 5);
	vm_destroy(&vm);
}

/* ---- two read-only pages of 2 MiB for one frame, written with CR0.WP = 0 ---- */

#define FRAME		0x200000u
#define FIRST		0x1000000u
#define SECOND		0x1200000u
#define PTE_D		0x40u
#define PTE_PS		0x80u

GUEST(two_large, 64)
	"	mov (%rdi), %al\n"
	"	movb $5, (%rbx)\n"
	"	out %al, $0x10\n"
	"	invlpg (%rdi)\n"
	"	movb $6, (%rdi)\n"
	"	out %al, $0x11\n"
	"	hlt\n"
GUEST_END(two_large);

static uint64_t *pde_of(struct vm *vm, uint64_t va)
{
	return (uint64_t *)(vm->mem + VM_TABLES + 0x2000 + 8 * (va >> 21));
}

TEST(each_large_page_gets_its_own_dirty_bit)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;

	vm_create_on_shadow(&vm);
	PREPARE(&vm, two_large);
	*pde_of(&vm, FIRST) = FRAME | PTE_P | PTE_PS;
	*pde_of(&vm, SECOND) = FRAME | PTE_P | PTE_PS;
	vm.mem[FRAME] = 4;
	sregs = sregs_of(&vm);
	sregs.cr0 &= ~(uint64_t)CR0_WP;
	sregs_put(&vm, &sregs);
	regs = regs_of(&vm);
	regs.rbx = FIRST;
	regs.rdi = SECOND;
	regs_put(&vm, &regs);
	EXPECT_EQ(run_out(&vm, 0x10), 4);
	EXPECT_EQ(vm.mem[FRAME], 5);
	EXPECT_EQ(*pde_of(&vm, FIRST) & PTE_D, PTE_D);
	EXPECT_EQ(*pde_of(&vm, SECOND) & PTE_D, 0);
	run_out(&vm, 0x11);
	EXPECT_EQ(vm.mem[FRAME], 6);
	EXPECT_EQ(*pde_of(&vm, SECOND) & PTE_D, PTE_D);
	vm_destroy(&vm);
}

#define REGION		0x10000000u
#define HUGE_SIZE	0x200000u

GUEST(read_two, 64)
	"	mov (%rbx), %al\n"
	"	out %al, $0x10\n"
	"	mov (%rdi), %al\n"
	"	out %al, $0x11\n"
	"	hlt\n"
GUEST_END(read_two);

/* The host has a large page, of which the vCPU knows after the first of two faults. */
TEST(a_known_large_page_is_mapped_by_one_entry)
{
	uint8_t *space = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *huge;
	struct kvm_regs regs;
	uint64_t before;
	struct vm vm;

	REQUIRE(space != MAP_FAILED);
	huge = (uint8_t *)(((uintptr_t)space + HUGE_SIZE - 1) & -(uintptr_t)HUGE_SIZE);
	if (madvise(huge, HUGE_SIZE, MADV_HUGEPAGE))
		test_skip("no transparent huge pages");
	memset(huge, 3, HUGE_SIZE);
	vm_create_on_shadow(&vm);
	PREPARE(&vm, read_two);
	vm_slot(&vm, 1, REGION, HUGE_SIZE, huge, 0);
	*pde_of(&vm, FIRST) = REGION | LEAF | PTE_PS;
	*pde_of(&vm, SECOND) = REGION | LEAF | PTE_PS;
	regs = regs_of(&vm);
	regs.rbx = FIRST;
	regs.rdi = SECOND + 0x5000;
	regs_put(&vm, &regs);
	before = vm_stat(&vm, "pages_2m");
	EXPECT_EQ(run_out(&vm, 0x10), 3);
	EXPECT_EQ(vm_stat(&vm, "pages_2m") - before, 1);
	EXPECT_EQ(run_out(&vm, 0x11), 3);
	EXPECT_EQ(vm_stat(&vm, "pages_2m") - before, 2);
	vm_destroy(&vm);
	munmap(space, 2 * HUGE_SIZE);
}

/* ---- PAE: the CPU reads the four topmost entries when CR3 is loaded ---- */

#define PDPT		0x10000u

GUEST(pdptes, 32)
	"	movl $0x13001, 0x10008\n"
	"	mov 0x40030000, %al\n"
	"	out %al, $0x10\n"
	"	mov %cr3, %eax\n"
	"	mov %eax, %cr3\n"
	"	mov 0x40030000, %al\n"
	"	out %al, $0x11\n"
	"	hlt\n"
GUEST_END(pdptes);

static struct kvm_segment flat(unsigned int selector, unsigned int type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .db = 1,
		.s = 1, .g = 1,
	};
}

TEST(pdptes_are_loaded_with_cr3)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2, .rsp = VM_CODE };
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create_on_shadow(&vm);
	memcpy(vm.mem + VM_CODE, guest_pdptes, guest_pdptes_end - guest_pdptes);
	put64(&vm, PDPT, (PDPT + 0x1000) | PTE_P);
	put64(&vm, PDPT + 8, (PDPT + 0x2000) | PTE_P);
	put64(&vm, PDPT + 0x1000, LEAF | 0x80);
	put64(&vm, PDPT + 0x2000, LEAF | 0x80);
	put64(&vm, PDPT + 0x3000, 0x200000 | LEAF | 0x80);
	vm.mem[ONE] = 1;
	vm.mem[ONE + 0x200000] = 2;
	sregs = sregs_of(&vm);
	sregs.cs = flat(8, 11);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(16, 3);
	sregs.cr3 = PDPT;
	sregs.cr4 = 0x20;
	sregs.cr0 = 0x80000011;
	sregs_put(&vm, &sregs);
	regs_put(&vm, &regs);
	EXPECT_EQ(run_out(&vm, 0x10), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 2);
	vm_destroy(&vm);
}
