// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest whose page tables, stack or IDT are in read-only memory or in no memory at all: what the
 * processor meets there on its own behalf is not the data of the instruction that it executes.
 */
#include <signal.h>

#include "selftests/lib/pages.h"

#define ROM		0x900000u
#define ROM_PAGES	8

static uint8_t *rom;

static void begin(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	vm_create(vm, 0);
	guest_load64(vm, code, end);
	pages_setup(vm);
	rom = host_pages(ROM_PAGES);
	vm_slot(vm, 3, ROM, ROM_PAGES * PAGE, rom, KVM_MEM_READONLY);
	page_map(vm, (ROM - PAGES_VA) / PAGE, ROM, PTE_P | PTE_W | PTE_AD);
	/* A guest that never gets further must not hang the test. */
	signal(SIGALRM, SIG_DFL);
	alarm(60);
}

#define BEGIN(vm, name) begin(vm, guest_##name, guest_##name##_end)

static void finish(struct vm *vm)
{
	vm_destroy(vm);
	munmap(rom, ROM_PAGES * PAGE);
}

/* Tables of four levels at @gpa, of which @table is the host's view: 4 MiB in 4 KiB pages. */
static void tables(uint8_t *table, uint64_t gpa, uint64_t bits)
{
	uint64_t *entry = (uint64_t *)table;
	unsigned int i;

	entry[0] = (gpa + PAGE) | bits;
	entry[512] = (gpa + 2 * PAGE) | bits;
	for (i = 0; i < 2; i++)
		entry[1024 + i] = (gpa + (3 + i) * PAGE) | bits;
	for (i = 0; i < 1024; i++)
		entry[1536 + i] = i * (uint64_t)PAGE | bits;
}

static void root(struct vm *vm, uint64_t gpa)
{
	struct kvm_sregs sregs = sregs_of(vm);

	sregs.cr3 = gpa;
	sregs_put(vm, &sregs);
}

/* What a compiler makes of a small function, the data at many places. */
GUEST(work, 64)
	"mov $0x300128, %ebx\n"
	"movl $5, (%rbx)\n"
	"addl $3, (%rbx)\n"
	"mov %rbx, 0x200(%rbx)\n"
	"push %rbx\n"
	"pop %rcx\n"
	"call 1f\n"
	"mov $0x301ffc, %edi\n"
	"mov $0x11223344, %eax\n"
	"mov %rax, (%rdi)\n"
	"mov $0x302ffe, %edi\n mov $0x41, %al\n mov $4, %ecx\n rep stosb\n"
	"movzwl 0x302fff, %r9d\n"
	"lock xaddl %eax, 0x303000\n"
	"out %al, $0x10\n"
	"1: lea 1(%rcx), %r8\n"
	"ret\n"
GUEST_END(work);

static void worked(struct vm *vm)
{
	struct kvm_regs regs = regs_of(vm);

	EXPECT_EQ(*(uint32_t *)(vm->mem + 0x300128), 8);
	EXPECT_EQ(*(uint64_t *)(vm->mem + 0x300328), 0x300128);
	EXPECT_EQ(regs.r8, 0x300129);
	EXPECT_EQ(regs.r9, 0x4141);
	EXPECT_EQ(*(uint32_t *)(vm->mem + 0x301ffc), 0x11223344);
	EXPECT_EQ(*(uint32_t *)(vm->mem + 0x302000), 0);
	/* 0x4141 of the string, and 0x11223341 */
	EXPECT_EQ(*(uint32_t *)(vm->mem + 0x303000), 0x11227482);
	EXPECT_EQ(regs.rsp, PAGES_STACK);
}

static void work_with(uint64_t bits)
{
	struct vm vm;

	BEGIN(&vm, work);
	tables(rom, ROM, bits);
	root(&vm, ROM);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, PORT_DONE);
	worked(&vm);
	finish(&vm);
}

TEST(page_tables_in_readonly_memory) { work_with(PTE_P | PTE_W | PTE_AD); }

/* Nobody can set these bits: the guest does without. */
TEST(page_tables_in_readonly_memory_without_accessed_bits) { work_with(PTE_P | PTE_W); }

/* Only the last level, or only the first one. */
TEST(some_tables_in_readonly_memory)
{
	unsigned int level;
	struct vm vm;

	for (level = 0; level < 2; level++) {
		BEGIN(&vm, work);
		tables(vm.mem + 0x30000, 0x30000, PTE_P | PTE_W | PTE_AD);
		if (level) {
			memcpy(rom, vm.mem + 0x33000, 2 * PAGE);
			put64(&vm, 0x32000, ROM | PTE_P | PTE_W | PTE_AD);
			put64(&vm, 0x32008, (ROM + PAGE) | PTE_P | PTE_W | PTE_AD);
		} else {
			memcpy(rom, vm.mem + 0x30000, PAGE);
		}
		root(&vm, level ? 0x30000 : ROM);
		run_until(&vm, KVM_EXIT_IO);
		EXPECT_EQ(vm.run->io.port, PORT_DONE);
		worked(&vm);
		finish(&vm);
	}
}

GUEST(faults, 64)
	"mov $0x300000, %ebx\n"
	"mov %eax, (%rbx)\n"
	"ud2\n"
GUEST_END(faults);

/* Events are delivered with such tables, too. */
TEST(an_exception_with_page_tables_in_readonly_memory)
{
	struct vm vm;

	BEGIN(&vm, faults);
	tables(rom, ROM, PTE_P | PTE_W | PTE_AD);
	root(&vm, ROM);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(&vm), 6);
	finish(&vm);
}

GUEST(calls, 64)
	"mov $1, %eax\n"		/* KVM_HC_VAPIC_POLL_IRQ, which gives 0 */
	"vmcall\n"
	"mov %eax, %ecx\n"
	"mov $1, %eax\n"
	"vmmcall\n"
	"out %al, $0x10\n"
GUEST_END(calls);

/* Nothing there is fetched by hardware; the hypercall comes all the same, whoever's it is. */
TEST(a_hypercall_with_page_tables_in_readonly_memory)
{
	struct kvm_regs regs;
	struct vm vm;

	BEGIN(&vm, calls);
	tables(rom, ROM, PTE_P | PTE_W);
	root(&vm, ROM);
	run_until(&vm, KVM_EXIT_IO);
	regs = regs_of(&vm);
	EXPECT_EQ(vm.run->io.port, PORT_DONE);
	EXPECT_EQ(regs.rcx, 0);
	EXPECT_EQ(regs.rax, 0);
	finish(&vm);
}

/* The VM exit for the fetch sets RF, which would hide the breakpoint. */
TEST(a_breakpoint_behind_a_hypercall)
{
	struct kvm_debugregs debug;
	struct vm vm;

	test_needs_vmx("#VMEXIT saves RFLAGS.RF as it was");
	BEGIN(&vm, calls);
	tables(rom, ROM, PTE_P | PTE_W);
	root(&vm, ROM);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &debug) == 0);
	debug.db[0] = VM_CODE + 8;
	debug.dr7 = 0x401;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &debug) == 0);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(&vm), 1);
	finish(&vm);
}

/* A table that is in no memory is like one that is not present, and nothing is a device there. */
GUEST(store, 64)
	"1: mov %rax, (%rbx)\n"
	"out %al, $0x10\n"
	"jmp 1b\n"
GUEST_END(store);

static void no_table(struct vm *vm, uint64_t va, uint64_t val)
{
	struct kvm_regs regs = regs_of(vm);

	regs.rip = VM_CODE;
	regs.rbx = va;
	regs.rax = val;
	regs.rsp = PAGES_STACK;
	regs_put(vm, &regs);
	run_until(vm, KVM_EXIT_IO);
	EXPECT_EQ(trap_vector(vm), 14);
	EXPECT_EQ(sregs_of(vm).cr2, va);
	/* Under the number: the error code of a write to a page that is not present. */
	EXPECT_EQ(vm->mem[regs_of(vm).rsp + 8], 2);
	EXPECT_EQ(*(uint64_t *)(vm->mem + regs_of(vm).rsp + 16), VM_CODE);
}

TEST(a_page_table_in_no_memory)
{
	unsigned int i;
	struct vm vm;

	BEGIN(&vm, store);
	put64(&vm, VM_TABLES + 0x2000 + 8 * 8, PAGES_HOLE | PTE_P | PTE_W | PTE_AD);
	/* The entry has the page offset of the data, and then has not. */
	for (i = 0; i < 3; i++)
		no_table(&vm, 0x1000000 + 0x1000 * i + 8 * i, 7);
	for (i = 0; i < 3; i++)
		no_table(&vm, 0x1000000 + 0x1000 * i + 0x120, 7);
	finish(&vm);
}

/* The stack is read-only: what is pushed is userspace's, by instructions and by events. */
GUEST(int3, 64)
	"mov $0x900800, %esp\n"
	"push %rax\n"
	"mov $0x300000, %ebx\n"
	"int3\n"
	"mov %rax, (%rbx)\n"
	"out %al, $0x10\n"
GUEST_END(int3);

GUEST(handler, 64)
	"out %al, $0x78\n"
GUEST_END(handler);

TEST(a_stack_in_readonly_memory)
{
	/* SS, RSP, RFLAGS, CS, RIP */
	uint64_t want[5] = { 0x10, ROM + 0x7f8, 2, 8, VM_CODE + 12 };
	unsigned int i;
	struct vm vm;

	BEGIN(&vm, int3);
	memcpy(vm.mem + PAGES_STUBS + 24, guest_handler, guest_handler_end - guest_handler);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, ROM + 0x7f8);
	for (i = 0; i < 5; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.is_write, 1);
		EXPECT_EQ(vm.run->mmio.phys_addr, ROM + 0x7e8 - 8 * i);
		EXPECT_EQ(vm.run->mmio.len, 8);
		if (i)
			EXPECT_EQ(*(uint64_t *)vm.run->mmio.data & ~0x10000ull, want[i]);
	}
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x78);
	/* The instruction behind was not executed in the place of the delivery. */
	EXPECT_EQ(*(uint64_t *)(vm.mem + 0x300000), 0);
	finish(&vm);
}

/* The instruction at which a trap finds the guest, and which waits until the handler returns. */
GUEST(stepped, 64)
	"mov $0x900800, %esp\n"
	"mov %rax, (%rbx)\n"
	"out %al, $0x10\n"
GUEST_END(stepped);

static void step_begin(struct vm *vm)
{
	struct kvm_regs regs;

	BEGIN(vm, stepped);
	memcpy(vm->mem + PAGES_STUBS + 8, guest_handler, guest_handler_end - guest_handler);
	regs = regs_of(vm);
	regs.rbx = 0x300000;
	regs.rax = 0x55;
	regs.rflags = 2 | 1 << 8;	/* TF */
	regs_put(vm, &regs);
}

TEST(a_trap_on_a_stack_in_readonly_memory)
{
	uint64_t want[5] = { 0x10, ROM + 0x800, 0x102, 8, VM_CODE + 5 };
	unsigned int i;
	struct vm vm;

	step_begin(&vm);
	for (i = 0; i < 5; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.is_write, 1);
		EXPECT_EQ(vm.run->mmio.phys_addr, ROM + 0x7f8 - 8 * i);
		EXPECT_EQ(*(uint64_t *)vm.run->mmio.data & ~0x10000ull, want[i]);
	}
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.port, 0x78);
	EXPECT_EQ(*(uint64_t *)(vm.mem + 0x300000), 0);
	finish(&vm);
}

/* A delivery that meets no memory is not the MOV that the guest stands at. */
TEST(an_idt_or_a_stack_in_no_memory)
{
	unsigned int stack;

	for (stack = 0; stack < 2; stack++) {
		struct kvm_sregs sregs;
		struct vm vm;

		step_begin(&vm);
		sregs = sregs_of(&vm);
		if (stack)
			page_map(&vm, (ROM - PAGES_VA) / PAGE, PAGES_HOLE, PTE_P | PTE_W | PTE_AD);
		else
			sregs.idt.base = PAGES_HOLE;
		sregs_put(&vm, &sregs);
		run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
		EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV);
		EXPECT_EQ(vm.run->internal.data[0] & 0xff, 1);
		EXPECT_EQ(regs_of(&vm).rip, VM_CODE + 5);
		EXPECT_EQ(*(uint64_t *)(vm.mem + 0x300000), 0);
		finish(&vm);
	}
}

/* ---- a mode that userspace begins to change ---- */

GUEST(toggle_mp, 32)
	"	mov %cr0, %eax\n"
	"	xor $2, %eax\n"
	"	mov %eax, %cr0\n"
	"	hlt\n"
GUEST_END(toggle_mp);

/* 32-bit code with PAE paging: 2 MiB at address 0. */
static void start_pae(struct vm *vm)
{
	struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2, .rsp = VM_CODE };
	struct kvm_sregs sregs;

	memcpy(vm->mem + VM_CODE, guest_toggle_mp, guest_toggle_mp_end - guest_toggle_mp);
	*(uint64_t *)(vm->mem + 0x10000) = 0x11000 | PTE_P;
	*(uint64_t *)(vm->mem + 0x11000) = PTE_P | PTE_W | PTE_AD | 1ull << 7;
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs = (struct kvm_segment){
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1,
		.g = 1,
	};
	sregs.ss = sregs.cs;
	sregs.ss.type = 3;
	sregs.ss.selector = 16;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
	sregs.cr3 = 0x10000;
	sregs.cr4 = 0x20;
	sregs.cr0 = 0x80000011;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

/*
 * EFER.LME that userspace sets while the guest has paging makes no IA-32e mode, whatever else of
 * CR0 the guest changes. On shadow page tables, as VM entry refuses that EFER with others.
 */
TEST(ia32e_mode_begins_with_paging_only)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} efer = { .head.nmsrs = 1, .entry = { .index = 0xc0000080, .data = 0x100 } };
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create_on_shadow(&vm);
	start_pae(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_MSRS, &efer) == 1);
	run_until(&vm, KVM_EXIT_HLT);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.efer, 0x100);
	EXPECT_EQ(sregs.cr0, 0x80000013);
	vm_destroy(&vm);
}

/* What CPUID offers can be set, also where it was asked for on behalf of VMs that have more. */
TEST(xcr0_is_what_cpuid_offers)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	uint64_t offered = 0;
	unsigned int i;
	struct vm vm;

	vm_create_on_shadow(&vm);
	cpuid.head.nent = 256;
	REQUIRE(ioctl(vm.vcpu, KVM_GET_CPUID2, &cpuid) == 0);
	for (i = 0; i < cpuid.head.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid.entries[i];

		if (e->function == 0xd && !e->index)
			offered = e->eax | (uint64_t)e->edx << 32;
		if (e->function == 0xd && e->index == 9 && !(offered >> 9 & 1))
			EXPECT_EQ(e->eax, 0);
	}
	if (!offered)
		test_skip("the CPU has no XSAVE");
	xcrs.xcrs[0].value = offered;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs), 0);
	vm_destroy(&vm);
}
