// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware task switches: JMP, CALL, IRET, task gates and events, 32- and 16-bit TSS. Also what a
 * kick does to the waits for a TSS, for an IRET's stack and for the PDPTEs of PAE paging.
 *
 * The GDT has a flat code and data segment, and TSSs A (current at the start), B and D of 32 and
 * C and E of 16 bits.
 *
 * Upstream's KVM differs in four tests: it loses an exception of the new task, writes the old TSS
 * in the format of the new one, and does not look at a TSS's T bit.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define GDT	0x2000u
#define IDT	0x2800u
#define PDPT_A	0x4f00u		/* page-directory pointers of PAE paging */
#define PD_A	0x5000u		/* page directories */
#define PD_B	0x6000u

enum {
	CODE = 0x08, DATA = 0x10, A = 0x18, B = 0x20, C = 0x28, D = 0x30, GATE = 0x38, E = 0x40,
	ABSENT = 0x48, LDT = 0x50, NR_GDT = 11
};

/* Ports: 0x11 task A goes on, 0x12 B is entered, 0x13 entered again, 0x15 to 0x18 values. */
GUEST(task, 32)
	".global guest_a_jmp, guest_a_call, guest_a_gate, guest_a_int, guest_a_gp, guest_a_gp_at\n"
	".global guest_a_irq, guest_a_read, guest_a_jmp16, guest_b, guest_b_iret, guest_b_read, guest_a_sti\n"
	".global guest_e_jmp, guest_e_call, guest_e_gate, guest_e_int, guest_e_iret\n"
	".global guest_d, guest_fault, guest_db, guest_a_after, guest_back, guest_a_vm86\n"
	".global guest_a_paging, guest_a_iret, guest_a_device\n"
	"guest_a_jmp:\n"
	"	ljmp $0x20, $0\n"
	"guest_a_after:\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_a_sti:\n"
	"	sti\n"
	"	ljmp $0x20, $0\n"
	"guest_a_jmp16:\n"
	"	ljmp $0x28, $0\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_a_call:\n"
	"	lcall $0x20, $0\n"
	"	out %al, $0x11\n"
	"	lcall $0x20, $0\n"
	"	hlt\n"
	"guest_a_gate:\n"
	"	lcall $0x38, $0\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_a_int:\n"
	"	int $0x30\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_a_gp:\n"
	"	mov $0x1230, %ax\n"
	"guest_a_gp_at:\n"
	"	mov %ax, %ds\n"
	"	hlt\n"
	"guest_e_jmp:\n"
	FORCED
	"	ljmp $0x20, $0\n"
	"	hlt\n"
	"guest_e_call:\n"
	FORCED
	"	lcall $0x20, $0\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_e_gate:\n"
	FORCED
	"	lcall $0x38, $0\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_e_int:\n"
	FORCED
	"	int $0x30\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_e_iret:\n"
	"	out %al, $0x12\n"
	FORCED
	"	iret\n"
	"guest_a_paging:\n"
	"	mov %cr0, %eax\n"
	"	or $0x80000000, %eax\n"
	"	mov %eax, %cr0\n"
	"	out %al, $0x12\n"
	"	mov %cr3, %eax\n"
	"	mov %eax, %cr3\n"
	"	out %al, $0x13\n"
	"guest_a_iret:\n"
	"	iret\n"
	"guest_a_device:\n"
	"	ljmp *0x800000\n"
	"guest_a_irq:\n"
	"	sti\n"
	"	nop\n"
	"	out %al, $0x10\n"
	"	nop\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_a_read:\n"
	"	mov 0x800000, %eax\n"
	"	out %eax, $0x15\n"
	"	ljmp $0x20, $0\n"
	"guest_a_vm86:\n"
	"	pushf\n"
	"	orw $0x4000, (%esp)\n"
	"	popf\n"
	"	iret\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"guest_b_read:\n"
	"	mov 0x800000, %eax\n"
	"	out %eax, $0x16\n"
	"	hlt\n"
	"guest_b:\n"
	"	out %al, $0x12\n"
	"guest_b_iret:\n"
	"	iret\n"
	"	out %al, $0x13\n"
	"	hlt\n"
	"guest_back:\n"
	"	out %al, $0x12\n"
	"	ljmp $0x18, $0\n"
	"guest_d:\n"
	"	pop %eax\n"
	"	out %eax, $0x15\n"
	"	hlt\n"
	"guest_fault:\n"
	"	pop %eax\n"
	"	out %eax, $0x16\n"
	"	pop %eax\n"
	"	out %eax, $0x17\n"
	"	hlt\n"
	"guest_db:\n"
	"	mov %db6, %eax\n"
	"	out %eax, $0x18\n"
	"	iret\n"
GUEST_END(task);
extern const uint8_t guest_a_jmp[], guest_a_call[], guest_a_gate[], guest_a_int[], guest_a_gp[],
	guest_a_gp_at[], guest_a_irq[], guest_a_read[], guest_a_jmp16[], guest_a_sti[], guest_b[],
	guest_b_iret[], guest_b_read[], guest_d[], guest_fault[], guest_db[], guest_a_after[],
	guest_back[], guest_a_vm86[], guest_e_jmp[], guest_e_call[], guest_e_gate[], guest_e_int[],
	guest_e_iret[], guest_a_paging[], guest_a_iret[], guest_a_device[];

struct tss32 {
	uint32_t link, stacks[6], cr3, eip, eflags, gpr[8], sreg[6], ldt;
	uint16_t trap, map;
};

struct tss16 {
	uint16_t link, stacks[6], ip, flags, gpr[8], sreg[4], ldt;
};

static uint32_t at(const uint8_t *label)
{
	return VM_CODE + (label - guest_task);
}

static uint32_t tss_base(unsigned int sel)
{
	return 0x3000 + sel * 32;
}

static struct tss32 *tss(struct vm *vm, unsigned int sel)
{
	return (void *)(vm->mem + tss_base(sel));
}

static struct tss16 *small_tss(struct vm *vm, unsigned int sel)
{
	return (void *)(vm->mem + tss_base(sel));
}

static uint64_t *descriptor(struct vm *vm, unsigned int sel)
{
	return (uint64_t *)(vm->mem + GDT + sel);
}

static unsigned int type(struct vm *vm, unsigned int sel)
{
	return *descriptor(vm, sel) >> 40 & 0xff;
}

static void describe_tss(struct vm *vm, unsigned int sel, unsigned int access, unsigned int limit)
{
	*descriptor(vm, sel) = (uint64_t)access << 40 | (uint64_t)tss_base(sel) << 16 | limit;
}

static void fill32(struct vm *vm, unsigned int sel, const uint8_t *entry)
{
	struct tss32 *t = tss(vm, sel);
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->eip = at(entry);
	t->eflags = 2;
	for (i = 0; i < 8; i++)
		t->gpr[i] = 0x10000 * sel + i;
	t->gpr[4] = 0x7000;
	for (i = 0; i < 6; i++)
		t->sreg[i] = i == 1 ? CODE : DATA;
}

static void fill16(struct vm *vm, unsigned int sel, const uint8_t *entry)
{
	struct tss16 *t = small_tss(vm, sel);
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->ip = at(entry);
	t->flags = 2;
	for (i = 0; i < 8; i++)
		t->gpr[i] = 0x100 * sel + i;
	t->gpr[4] = 0x7000;
	for (i = 0; i < 4; i++)
		t->sreg[i] = i == 1 ? CODE : DATA;
}

static void idt_gate(struct vm *vm, unsigned int vector, unsigned int access, unsigned int sel,
		     uint32_t offset)
{
	uint64_t *entry = (uint64_t *)(vm->mem + IDT + 8 * vector);

	*entry = (offset & 0xffff) | (uint64_t)sel << 16 | (uint64_t)access << 40 |
		 (uint64_t)(offset >> 16) << 48;
}

static void load_tables(struct vm *vm)
{
	uint64_t *gdt = (uint64_t *)(vm->mem + GDT);

	gdt[CODE / 8] = 0x00cf9b000000ffff;
	gdt[DATA / 8] = 0x00cf93000000ffff;
	gdt[GATE / 8] = (uint64_t)0x85 << 40 | (uint64_t)B << 16;
	gdt[ABSENT / 8] = 0x00cf13000000ffff;
	gdt[LDT / 8] = 0x0000820000000000 | 0x2700 << 16 | 0x3f;
	describe_tss(vm, A, 0x8b, 0x67);
	describe_tss(vm, B, 0x89, 0x67);
	describe_tss(vm, C, 0x81, 0x2b);
	describe_tss(vm, D, 0x89, 0x67);
	describe_tss(vm, E, 0x81, 0x2b);
	fill32(vm, A, guest_a_jmp);
	fill32(vm, B, guest_b);
	fill16(vm, C, guest_back);
	fill32(vm, D, guest_d);
	fill16(vm, E, guest_b);
	idt_gate(vm, 1, 0x8e, CODE, at(guest_db));
	idt_gate(vm, 2, 0x85, B, 0);
	idt_gate(vm, 10, 0x8e, CODE, at(guest_fault));
	idt_gate(vm, 11, 0x8e, CODE, at(guest_fault));
	idt_gate(vm, 12, 0x8e, CODE, at(guest_fault));
	idt_gate(vm, 13, 0x85, D, 0);
	idt_gate(vm, 0x30, 0x85, B, 0);
	idt_gate(vm, 0x40, 0x85, B, 0);
}

/* Task A, at @entry, in 32-bit protected mode. */
static void task_vm(struct vm *vm, const uint8_t *entry)
{
	struct kvm_segment seg = {
		.limit = 0xffffffff, .selector = CODE, .type = 11, .present = 1, .s = 1, .db = 1,
		.g = 1,
	};
	struct kvm_regs regs = {
		.rax = 0xa0, .rcx = 0xa1, .rdx = 0xa2, .rbx = 0xa3, .rsp = 0x7800, .rbp = 0xa5,
		.rsi = 0xa6, .rdi = 0xa7, .rflags = 2, .rip = at(entry),
	};
	struct kvm_sregs sregs;

	vm_create(vm, 0);
	memcpy(vm->mem + VM_CODE, guest_task, guest_task_end - guest_task);
	load_tables(vm);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs = seg;
	seg.selector = DATA;
	seg.type = 3;
	sregs.ds = seg;
	sregs.es = seg;
	sregs.fs = seg;
	sregs.gs = seg;
	sregs.ss = seg;
	sregs.tr = (struct kvm_segment){
		.selector = A, .base = tss_base(A), .limit = 0x67, .type = 11, .present = 1,
	};
	sregs.gdt.base = GDT;
	sregs.gdt.limit = NR_GDT * 8 - 1;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0x7ff;
	sregs.cr0 = 0x31;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static struct kvm_sregs get_sregs(struct vm *vm)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	return sregs;
}

static void expect_task(struct vm *vm, unsigned int sel)
{
	struct kvm_sregs sregs = get_sregs(vm);

	EXPECT_EQ(sregs.tr.selector, sel);
	EXPECT_EQ(sregs.tr.base, tss_base(sel));
	EXPECT_EQ(sregs.tr.type & 3, 3);
}

TEST(jmp_leaves_one_task_for_another)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i;

	task_vm(&vm, guest_a_jmp);
	tss(&vm, B)->link = 0x1234;
	run_out(&vm, 0x12);
	expect_task(&vm, B);
	EXPECT_EQ(type(&vm, A), 0x89);
	EXPECT_EQ(type(&vm, B), 0x8b);
	EXPECT_EQ(tss(&vm, B)->link, 0x1234);
	EXPECT_EQ(tss(&vm, A)->eip, at(guest_a_after));
	EXPECT_EQ(tss(&vm, A)->eflags, 2);
	EXPECT_EQ(tss(&vm, A)->gpr[4], 0x7800);
	for (i = 0; i < 8; i++)
		if (i != 4)
			EXPECT_EQ(tss(&vm, A)->gpr[i], i == 3 ? 0xa3 : 0xa0 + i);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(tss(&vm, A)->sreg[i], i == 1 ? CODE : DATA);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rax, 0x10000 * B);
	EXPECT_EQ(regs.rcx, 0x10000 * B + 1);
	EXPECT_EQ(regs.rdi, 0x10000 * B + 7);
	EXPECT_EQ(regs.rsp, 0x7000);
	EXPECT_EQ(regs.rflags, 2);
	sregs = get_sregs(&vm);
	EXPECT_EQ(sregs.cr0 & 8, 8);
	EXPECT_EQ(sregs.ldt.unusable, 1);
	vm_destroy(&vm);
}

TEST(what_sti_holds_back_is_not_held_back_in_the_new_task)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	task_vm(&vm, guest_a_sti);
	run_out(&vm, 0x12);
	expect_task(&vm, B);
	EXPECT_EQ(tss(&vm, A)->eflags, 0x202);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.interrupt.shadow, 0);
	vm_destroy(&vm);
}

TEST(call_nests_and_iret_returns)
{
	struct kvm_regs regs;
	struct vm vm;

	task_vm(&vm, guest_a_call);
	run_out(&vm, 0x12);
	expect_task(&vm, B);
	EXPECT_EQ(type(&vm, A), 0x8b);
	EXPECT_EQ(type(&vm, B), 0x8b);
	EXPECT_EQ(tss(&vm, B)->link, A);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rflags, 0x4002);
	run_out(&vm, 0x11);
	expect_task(&vm, A);
	EXPECT_EQ(type(&vm, A), 0x8b);
	EXPECT_EQ(type(&vm, B), 0x89);
	EXPECT_EQ(tss(&vm, B)->eflags, 2);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rdi, 0xa7);
	EXPECT_EQ(regs.rflags, 2);
	/* Called again, B goes on behind its IRET. */
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

static void calls_b(const uint8_t *entry)
{
	struct vm vm;

	task_vm(&vm, entry);
	run_out(&vm, 0x12);
	expect_task(&vm, B);
	EXPECT_EQ(tss(&vm, B)->link, A);
	run_out(&vm, 0x11);
	expect_task(&vm, A);
	vm_destroy(&vm);
}

TEST(call_through_a_task_gate)
{
	calls_b(guest_a_gate);
}

TEST(int_through_a_task_gate)
{
	calls_b(guest_a_int);
}

/* As without the prefix: to B and back, by the emulator. */
static void emulated_b(const uint8_t *entry)
{
	struct vm vm;

	/* These guests have no paging. */
	if (no_unrestricted_guest())
		test_skip("this guest is emulated from the start, without a prefix");
	force_emulation("1");
	task_vm(&vm, entry);
	fill32(&vm, B, guest_e_iret);
	run_out(&vm, 0x12);
	expect_task(&vm, B);
	if (entry != guest_e_jmp) {
		EXPECT_EQ(tss(&vm, B)->link, A);
		run_out(&vm, 0x11);
		expect_task(&vm, A);
		EXPECT_EQ(type(&vm, B), 0x89);
	}
	EXPECT_EQ(type(&vm, A), entry == guest_e_jmp ? 0x89 : 0x8b);
	force_emulation("0");
	vm_destroy(&vm);
}

/* Upstream's emulator knows no task switch. */
TEST(emulated_jmp_and_call_to_a_tss)
{
	emulated_b(guest_e_jmp);
	emulated_b(guest_e_call);
}

TEST(emulated_call_and_int_through_task_gates)
{
	emulated_b(guest_e_gate);
	emulated_b(guest_e_int);
}

TEST(an_exception_pushes_its_error_code_in_the_new_task)
{
	struct vm vm;

	task_vm(&vm, guest_a_gp);
	EXPECT_EQ(run_out(&vm, 0x15), 0x1230);
	expect_task(&vm, D);
	EXPECT_EQ(tss(&vm, D)->link, A);
	EXPECT_EQ(tss(&vm, A)->eip, at(guest_a_gp_at));
	EXPECT_EQ(type(&vm, A), 0x8b);
	vm_destroy(&vm);
}

TEST(an_interrupt_comes_once)
{
	struct kvm_interrupt irq = { .irq = 0x40 };
	struct vm vm;

	task_vm(&vm, guest_a_irq);
	run_out(&vm, 0x10);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	run_out(&vm, 0x12);
	expect_task(&vm, B);
	run_out(&vm, 0x11);
	expect_task(&vm, A);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(an_nmi_blocks_nmis_until_its_task_returns)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	task_vm(&vm, guest_a_irq);
	run_out(&vm, 0x10);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_NMI, 0), 0);
	run_out(&vm, 0x12);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.masked, 1);
	EXPECT_EQ(events.nmi.injected, 0);
	run_out(&vm, 0x11);
	vm_destroy(&vm);
}

TEST(a_bad_data_segment_is_an_exception_of_the_new_task)
{
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	tss(&vm, B)->sreg[3] = 0x100;
	EXPECT_EQ(run_out(&vm, 0x16), 0x100);
	EXPECT_EQ(run_out(&vm, 0x17), at(guest_b));
	expect_task(&vm, B);
	EXPECT_EQ(type(&vm, A), 0x89);
	vm_destroy(&vm);
}

TEST(an_absent_data_segment_is_an_exception_of_the_new_task)
{
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	tss(&vm, B)->sreg[0] = ABSENT;
	EXPECT_EQ(run_out(&vm, 0x16), ABSENT);
	EXPECT_EQ(run_out(&vm, 0x17), at(guest_b));
	expect_task(&vm, B);
	vm_destroy(&vm);
}

TEST(the_new_task_has_its_ldt)
{
	struct kvm_sregs sregs;
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	*(uint64_t *)(vm.mem + 0x2708) = 0x00cf93000000ffff;
	tss(&vm, B)->ldt = LDT;
	tss(&vm, B)->sreg[5] = 0x0c;
	run_out(&vm, 0x12);
	sregs = get_sregs(&vm);
	EXPECT_EQ(sregs.ldt.selector, LDT);
	EXPECT_EQ(sregs.ldt.base, 0x2700);
	EXPECT_EQ(sregs.gs.selector, 0x0c);
	EXPECT_EQ(sregs.gs.unusable, 0);
	vm_destroy(&vm);
}

TEST(the_new_task_has_its_page_tables)
{
	struct kvm_sregs sregs;
	struct vm vm;
	unsigned int i;

	task_vm(&vm, guest_a_read);
	for (i = 0; i < 2; i++) {
		uint32_t *pd = (void *)(vm.mem + (i ? PD_B : PD_A));

		pd[0] = 0x83;				/* identity, 4 MiB */
		pd[2] = 0x27;				/* 8 MiB: a table behind the directories */
	}
	*(uint32_t *)(vm.mem + PD_A + 8) = 0x9007;
	*(uint32_t *)(vm.mem + PD_B + 8) = 0xa007;
	*(uint32_t *)(vm.mem + 0x9000) = 0xb007;
	*(uint32_t *)(vm.mem + 0xa000) = 0xc007;
	*(uint32_t *)(vm.mem + 0xb000) = 0xaaaa;
	*(uint32_t *)(vm.mem + 0xc000) = 0xbbbb;
	sregs = get_sregs(&vm);
	sregs.cr3 = PD_A;
	sregs.cr4 |= 0x10;
	sregs.cr0 |= 0x80000000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	tss(&vm, B)->eip = at(guest_b_read);
	tss(&vm, B)->cr3 = PD_B;
	EXPECT_EQ(run_out(&vm, 0x15), 0xaaaa);
	EXPECT_EQ(run_out(&vm, 0x16), 0xbbbb);
	EXPECT_EQ(get_sregs(&vm).cr3, PD_B);
	vm_destroy(&vm);
}

TEST(local_breakpoints_end_with_the_task)
{
	struct kvm_debugregs regs;
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &regs) == 0);
	regs.db[0] = 0xf000;
	regs.dr7 = 0x403 | 0x100;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &regs) == 0);
	run_out(&vm, 0x12);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &regs) == 0);
	EXPECT_EQ(regs.dr7, 0x402);
	vm_destroy(&vm);
}

static void task16_vm(struct vm *vm)
{
	struct kvm_sregs sregs;

	task_vm(vm, guest_a_jmp16);
	describe_tss(vm, E, 0x83, 0x2b);
	sregs = get_sregs(vm);
	sregs.tr.selector = E;
	sregs.tr.base = tss_base(E);
	sregs.tr.limit = 0x2b;
	sregs.tr.type = 3;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

TEST(from_a_small_tss_to_a_small_tss)
{
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i;

	task16_vm(&vm);
	run_out(&vm, 0x12);
	expect_task(&vm, C);
	EXPECT_EQ(type(&vm, E), 0x81);
	EXPECT_EQ(type(&vm, C), 0x83);
	EXPECT_EQ(small_tss(&vm, E)->ip, at(guest_a_jmp16) + 7);
	EXPECT_EQ(small_tss(&vm, E)->gpr[4], 0x7800);
	EXPECT_EQ(small_tss(&vm, E)->gpr[7], 0xa7);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(small_tss(&vm, E)->sreg[i], i == 1 ? CODE : DATA);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ((uint16_t)regs.rdi, 0x100 * C + 7);
	EXPECT_EQ(regs.rsp & 0xffff, 0x7000);
	vm_destroy(&vm);
}

TEST(from_a_large_tss_to_a_small_one_and_back)
{
	struct kvm_regs regs;
	struct vm vm;

	task_vm(&vm, guest_a_jmp16);
	run_out(&vm, 0x12);
	expect_task(&vm, C);
	EXPECT_EQ(tss(&vm, A)->gpr[7], 0xa7);
	run_out(&vm, 0x11);
	expect_task(&vm, A);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rdi, 0xa7);
	EXPECT_EQ(regs.rsp, 0x7800);
	vm_destroy(&vm);
}

TEST(the_trap_bit_is_a_debug_exception)
{
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	tss(&vm, B)->trap = 1;
	EXPECT_EQ(run_out(&vm, 0x18) & 0xf00f, 0x8000);
	run_out(&vm, 0x12);
	vm_destroy(&vm);
}

static void expect_step(struct vm *vm, const uint8_t *label, unsigned int task)
{
	run_until(vm, KVM_EXIT_DEBUG);
	EXPECT_EQ(vm->run->debug.arch.pc, at(label));
	EXPECT_EQ(vm->run->debug.arch.dr6 & 0x4000, 0x4000);
	expect_task(vm, task);
}

/* JMP, CALL, INT and IRET; the flags in a TSS have no TF of the debugger. */
static void steps_to_b(const uint8_t *entry)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct vm vm;

	task_vm(&vm, entry);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	expect_step(&vm, guest_b, B);
	/* Bochs saves RF at the exit from INT. */
	EXPECT_EQ(tss(&vm, A)->eflags & ~0x10000u, 2);
	run_until(&vm, KVM_EXIT_IO);
	expect_step(&vm, guest_b_iret, B);
	if (tss(&vm, B)->link == A) {
		run_until(&vm, KVM_EXIT_DEBUG);
		EXPECT_EQ(vm.run->debug.arch.pc, tss(&vm, A)->eip);
		expect_task(&vm, A);
		EXPECT_EQ(tss(&vm, B)->eflags, 2);
	}
	vm_destroy(&vm);
}

TEST(a_debuggers_step_ends_where_the_new_task_begins)
{
	const char *device = getenv("OKVM_DEVICE");

	if (device && !strcmp(device, "/dev/kvm"))
		test_skip("upstream ends the step one instruction later, or loses it");
	test_needs_vmx("QEMU switches tasks without an exit, with the debugger's TF");
	steps_to_b(guest_a_jmp);
	steps_to_b(guest_a_call);
	steps_to_b(guest_a_gate);
	steps_to_b(guest_a_int);
}

/* What the processor checks before it leaves the switch to software. */
TEST(a_busy_task_is_not_called)
{
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	describe_tss(&vm, B, 0x8b, 0x67);
	EXPECT_EQ(run_out(&vm, 0x15), B);
	expect_task(&vm, D);
	EXPECT_EQ(tss(&vm, A)->eip, at(guest_a_jmp));
	vm_destroy(&vm);
}

TEST(a_short_tss_is_refused)
{
	struct vm vm;

	task_vm(&vm, guest_a_jmp);
	describe_tss(&vm, B, 0x89, 0x66);
	EXPECT_EQ(run_out(&vm, 0x16), B);
	EXPECT_EQ(run_out(&vm, 0x17), at(guest_a_jmp));
	expect_task(&vm, A);
	vm_destroy(&vm);
}

/* IRET enters it; its first instruction is undefined, and the task gate of #UD leads back. */
TEST(a_task_in_virtual_8086_mode)
{
	struct vm vm;
	struct tss32 *d;

	task_vm(&vm, guest_a_vm86);
	idt_gate(&vm, 6, 0x85, A, 0);
	tss(&vm, A)->link = D;
	describe_tss(&vm, D, 0x8b, 0x67);
	d = tss(&vm, D);
	d->eflags = 0x20002;
	d->eip = 5;
	d->sreg[1] = 0x4200;
	d->sreg[3] = 0x1234;
	d->sreg[0] = 0x2345;
	memcpy(vm.mem + 0x42005, "\x0f\x0b", 2);
	run_out(&vm, 0x11);
	expect_task(&vm, A);
	EXPECT_EQ(type(&vm, D), 0x8b);
	EXPECT_EQ(tss(&vm, A)->link, D);
	EXPECT_EQ(d->eip, 5);
	EXPECT_EQ(d->sreg[1], 0x4200);
	EXPECT_EQ(d->sreg[3], 0x1234);
	EXPECT_EQ(d->sreg[0], 0x2345);
	EXPECT_EQ(d->eflags & ~0x10000, 0x20002);
	vm_destroy(&vm);
}

/* ---- task states that the host has to wait for ---- */

#define FAR		0x600000u
#define FAR_SIZE	0x1000u

static struct vm far_vm;
static uint8_t *far;
static int uffd;
static volatile unsigned int ends;

/* The TSS of @sel is in a page that comes with far_give(). */
static void far_begin(const uint8_t *entry, unsigned int sel)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct kvm_sregs sregs;

	if (!(ioctl(open_device(), KVM_CHECK_EXTENSION, OKVM_CAP_CONTROL) & OKVM_CONTROL_KICK))
		test_skip("the device has no OKVM_CAP_CONTROL");
	far = mmap(NULL, FAR_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(far != MAP_FAILED);
	uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		test_skip("no userfaultfd");
	reg.range.start = (uintptr_t)far;
	reg.range.len = FAR_SIZE;
	REQUIRE(ioctl(uffd, UFFDIO_API, &api) == 0);
	REQUIRE(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0);
	task_vm(&far_vm, entry);
	vm_slot(&far_vm, 9, FAR, FAR_SIZE, far, 0);
	*descriptor(&far_vm, sel) = (uint64_t)(sel == A ? 0x8b : 0x89) << 40 | (uint64_t)FAR << 16 |
				    0x67;
	sregs = get_sregs(&far_vm);
	if (sel == A)
		sregs.tr.base = FAR;
	REQUIRE(ioctl(far_vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
}

static void far_give(const void *from, size_t len)
{
	static uint8_t page[FAR_SIZE];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)far, .src = (uintptr_t)page, .len = FAR_SIZE,
	};

	memset(page, 0, sizeof(page));
	memcpy(page, from, len);
	EXPECT_EQ(ioctl(uffd, UFFDIO_COPY, &copy), 0);
}

static void *far_run(void *arg)
{
	(void)arg;
	EXPECT_ERR(ioctl(far_vm.vcpu, KVM_RUN, 0), EINTR);
	ends++;
	return NULL;
}

/* A kick ends the KVM_RUN that waits. */
static void far_kick_run(const void *from, size_t len)
{
	uint64_t limit = now_ns() + 4000000000ull;
	pthread_t thread;

	ends = 0;
	REQUIRE(pthread_create(&thread, NULL, far_run, NULL) == 0);
	usleep(100000);
	EXPECT_EQ(ends, 0);
	EXPECT_EQ(ioctl(far_vm.vcpu, OKVM_VCPU_KICK, 0), 0);
	while (!ends && now_ns() < limit)
		usleep(1000);
	EXPECT_EQ(ends, 1);
	if (!ends)
		far_give(from, len);
	pthread_join(thread, NULL);
	EXPECT_EQ(far_vm.run->flags, 0);
}

/* Likewise, and task A is as it was. */
static void far_kick(const void *from, size_t len)
{
	far_kick_run(from, len);
	EXPECT_EQ(get_sregs(&far_vm).tr.selector, A);
	EXPECT_EQ(type(&far_vm, B), 0x89);
}

static void far_end(void)
{
	close(uffd);
	vm_destroy(&far_vm);
	munmap(far, FAR_SIZE);
}

/* The state of the new task is read, and that of the old one is written. */
TEST(a_kick_ends_the_wait_of_a_task_switch)
{
	static const unsigned int sels[] = { B, A };
	const struct tss32 *t;
	struct kvm_regs regs;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		far_begin(guest_a_jmp, sels[i]);
		t = tss(&far_vm, sels[i]);
		far_kick(t, sizeof(*t));
		far_kick(t, sizeof(*t));
		REQUIRE(ioctl(far_vm.vcpu, KVM_GET_REGS, &regs) == 0);
		EXPECT_EQ(regs.rip, at(guest_a_jmp));
		far_give(t, sizeof(*t));
		run_out(&far_vm, 0x12);
		EXPECT_EQ(get_sregs(&far_vm).tr.selector, B);
		EXPECT_EQ(type(&far_vm, A), 0x89);
		EXPECT_EQ(type(&far_vm, B), 0x8b);
		EXPECT_EQ(sels[i] == A ? ((struct tss32 *)far)->eip : tss(&far_vm, A)->eip,
			  at(guest_a_after));
		far_end();
	}
}

/* The event is neither lost nor delivered twice. */
TEST(a_kick_keeps_the_event_that_switches_tasks)
{
	struct kvm_vcpu_events events;
	const struct tss32 *t;

	far_begin(guest_a_irq, B);
	t = tss(&far_vm, B);
	EXPECT_EQ(ioctl(far_vm.vcpu, KVM_NMI, 0), 0);
	far_kick(t, sizeof(*t));
	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.injected + events.nmi.pending, 1);
	far_kick(t, sizeof(*t));
	far_give(t, sizeof(*t));
	run_out(&far_vm, 0x12);
	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.injected + events.nmi.pending, 0);
	EXPECT_EQ(events.nmi.masked, 1);
	EXPECT_EQ(((struct tss32 *)far)->link, A);
	run_out(&far_vm, 0x10);
	far_end();
}

/* The four entries are read when paging is switched on, on shadow page tables also with CR3. */
TEST(a_kick_ends_the_wait_for_pdptes)
{
	const uint64_t pdpt[4] = { PD_A | 1 };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	far_begin(guest_a_paging, B);
	*(uint64_t *)(far_vm.mem + PD_A) = 0x83;
	sregs = get_sregs(&far_vm);
	sregs.cr4 |= 1 << 5;
	sregs.cr3 = FAR;
	REQUIRE(ioctl(far_vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	far_kick(pdpt, sizeof(pdpt));
	far_kick(pdpt, sizeof(pdpt));
	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, at(guest_a_paging) + 8);
	EXPECT_EQ(get_sregs(&far_vm).cr0 >> 31, 0);
	far_give(pdpt, sizeof(pdpt));
	run_out(&far_vm, 0x12);
	EXPECT_EQ(get_sregs(&far_vm).cr0 >> 31, 1);
	REQUIRE(madvise(far, FAR_SIZE, MADV_DONTNEED) == 0);
	far_kick(pdpt, sizeof(pdpt));
	far_give(pdpt, sizeof(pdpt));
	run_out(&far_vm, 0x13);
	far_end();
}

static unsigned int nmi_masked(void)
{
	struct kvm_vcpu_events events;

	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	return events.nmi.masked;
}

/* The IRET that is repeated unmasks NMIs, not the one that was given up. */
TEST(a_kick_leaves_nmis_masked_before_iret)
{
	const uint32_t frame[] = { at(guest_b), CODE, 2 };
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	far_begin(guest_a_iret, D);
	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = FAR;
	REQUIRE(ioctl(far_vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.nmi.masked = 1;
	REQUIRE(ioctl(far_vm.vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
	far_kick(frame, sizeof(frame));
	EXPECT_EQ(nmi_masked(), 1);
	far_kick(frame, sizeof(frame));
	EXPECT_EQ(nmi_masked(), 1);
	far_give(frame, sizeof(frame));
	run_out(&far_vm, 0x12);
	EXPECT_EQ(nmi_masked(), 0);
	far_end();
}

/* Likewise for the IRET by which the task of an NMI goes back to the task before. */
TEST(a_kick_leaves_nmis_masked_before_a_task_returns)
{
	struct tss32 t;

	far_begin(guest_a_irq, A);
	far_give(tss(&far_vm, A), sizeof(t));
	EXPECT_EQ(ioctl(far_vm.vcpu, KVM_NMI, 0), 0);
	run_out(&far_vm, 0x12);
	EXPECT_EQ(nmi_masked(), 1);
	memcpy(&t, far, sizeof(t));
	REQUIRE(madvise(far, FAR_SIZE, MADV_DONTNEED) == 0);
	far_kick_run(&t, sizeof(t));
	EXPECT_EQ(nmi_masked(), 1);
	far_kick_run(&t, sizeof(t));
	EXPECT_EQ(nmi_masked(), 1);
	EXPECT_EQ(get_sregs(&far_vm).tr.selector, B);
	far_give(&t, sizeof(t));
	run_out(&far_vm, 0x10);
	EXPECT_EQ(nmi_masked(), 0);
	far_end();
}

static void *far_run_on(void *arg)
{
	(void)arg;
	vcpu_run(&far_vm);
	ends++;
	return NULL;
}

/* Does KVM_RUN end within @ms without the page? Give the page then, and wait for its end. */
static bool far_ends(unsigned int ms, bool kicked, const void *from, size_t len)
{
	uint64_t limit = now_ns() + ms * 1000000ull;
	pthread_t thread;
	bool ended;

	ends = 0;
	REQUIRE(pthread_create(&thread, NULL, far_run_on, NULL) == 0);
	usleep(100000);
	if (kicked)
		EXPECT_EQ(ioctl(far_vm.vcpu, OKVM_VCPU_KICK, 0), 0);
	while (!ends && now_ns() < limit)
		usleep(1000);
	ended = ends;
	far_give(from, len);
	pthread_join(thread, NULL);
	return ended;
}

/* The guest reads the far pointer to task B at a device. */
static void answer_pointer(void)
{
	const uint8_t target[] = { 0, 0, 0, 0, B, 0 };
	unsigned int reads = 0, n;

	while (reads < sizeof(target)) {
		run_until(&far_vm, KVM_EXIT_MMIO);
		n = far_vm.run->mmio.phys_addr - 0x800000;
		REQUIRE(n + far_vm.run->mmio.len <= sizeof(target));
		memcpy(far_vm.run->mmio.data, target + n, far_vm.run->mmio.len);
		reads += far_vm.run->mmio.len;
	}
}

/*
 * A jump that has got its target from a device does not begin anew, for it would read the device
 * again: it waits for the page of the new task's state, and for that of the old one's.
 */
TEST(a_kick_does_not_repeat_the_read_of_a_task_selector)
{
	static const unsigned int sels[] = { B, A };
	const struct tss32 *t;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		far_begin(guest_a_device, sels[i]);
		t = tss(&far_vm, sels[i]);
		answer_pointer();
		EXPECT(!far_ends(300, true, t, sizeof(*t)));
		EXPECT_EQ(get_sregs(&far_vm).tr.selector, B);
		run_out(&far_vm, 0x12);
		far_end();
	}
}

/* Code that switches tasks by okvm's emulator: QEMU's SVM lets the CPU do it. */
static const uint8_t *emulated_jmp(void)
{
	if (no_unrestricted_guest())
		return guest_a_jmp;
	force_emulation("1");
	return guest_e_jmp;
}

/* The state of the old task is written to a device: the page behind is no memory for writes. */
TEST(a_task_switch_waits_for_no_page_that_it_does_not_write)
{
	far_begin(emulated_jmp(), A);
	vm_slot_delete(&far_vm, 9);
	vm_slot(&far_vm, 9, FAR, FAR_SIZE, far, KVM_MEM_READONLY);
	EXPECT(far_ends(4000, false, "", 0));
	EXPECT_EQ(far_vm.run->exit_reason, KVM_EXIT_MMIO);
	EXPECT_EQ(far_vm.run->mmio.is_write, 1);
	while (far_vm.run->exit_reason == KVM_EXIT_MMIO)
		REQUIRE(vcpu_run(&far_vm) == 0);
	EXPECT_EQ(far_vm.run->exit_reason, KVM_EXIT_IO);
	EXPECT_EQ(get_sregs(&far_vm).tr.selector, B);
	far_end();
	force_emulation("0");
}

/* The switch begins anew at the prefix. */
TEST(a_kick_ends_the_wait_of_a_forced_task_switch)
{
	const struct tss32 *t;
	struct kvm_regs regs;

	if (no_unrestricted_guest())
		test_skip("this guest is emulated from the start, without a prefix");
	force_emulation("1");
	far_begin(guest_e_jmp, B);
	t = tss(&far_vm, B);
	far_kick(t, sizeof(*t));
	REQUIRE(ioctl(far_vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, at(guest_e_jmp));
	far_kick(t, sizeof(*t));
	far_give(t, sizeof(*t));
	run_out(&far_vm, 0x12);
	EXPECT_EQ(tss(&far_vm, A)->eip, at(guest_e_jmp) + 12);
	far_end();
	force_emulation("0");
}

/* The switch loads the PDPTEs of the new task, and can be given up before it writes anything. */
TEST(a_kick_ends_the_wait_for_the_pdptes_of_a_task)
{
	const uint64_t pdpt[4] = { PD_A | 1 };
	struct kvm_sregs sregs;

	far_begin(emulated_jmp(), D);
	*(uint64_t *)(far_vm.mem + PD_A) = 0x83;
	memcpy(far_vm.mem + PDPT_A, pdpt, sizeof(pdpt));
	tss(&far_vm, B)->cr3 = FAR;
	sregs = get_sregs(&far_vm);
	sregs.cr4 |= 1 << 5;
	sregs.cr3 = PDPT_A;
	sregs.cr0 |= 1u << 31;
	REQUIRE(ioctl(far_vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	far_kick(pdpt, sizeof(pdpt));
	far_kick(pdpt, sizeof(pdpt));
	EXPECT_EQ(get_sregs(&far_vm).cr3, PDPT_A);
	EXPECT_EQ(type(&far_vm, A), 0x8b);
	far_give(pdpt, sizeof(pdpt));
	run_out(&far_vm, 0x12);
	EXPECT_EQ(get_sregs(&far_vm).cr3, FAR);
	far_end();
	force_emulation("0");
}
