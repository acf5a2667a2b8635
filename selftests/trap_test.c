// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debug exceptions beside instructions that exit: single steps, general detect, watchpoints and
 * INT1, with and without the blocking of MOV SS (SDM "Debug Exceptions", "Masking Exceptions and
 * Interrupts When Switching Stacks").
 */
#include "selftests/lib/okvm_test.h"

#define GDT		0x4000u
#define IDT		0x6000u
#define LOG		0xa000u		/* number of exceptions, then RIP, DR6 and vector of each */
#define DR6_IDLE	0xffff0ff0u
#define DR6_STEP	(DR6_IDLE | 1 << 14)
#define DR6_DETECT	(DR6_IDLE | 1 << 13)
#define LOG_ENTRIES	16

/*
 * The handlers of #DB, #BP and an interrupt. RBX is the guests' start mark, R8 to R10 the
 * handlers' own. Vector 0xee is the timer's: it ends with an EOI.
 */
GUEST(handlers, 64)
	"mov $1, %r8d\n"
	"jmp 1f\n"
	".balign 16\n"
	"mov $3, %r8d\n"
	"jmp 1f\n"
	".balign 16\n"
	"mov $0xfee000b0, %r9d\n"
	"movl $0, (%r9)\n"
	"iretq\n"
	".balign 16\n"
	"1: mov 0xa000, %r9d\n"
	"incl 0xa000\n"
	"lea (%r9, %r9, 2), %r9d\n"
	"mov (%rsp), %r10\n"
	"mov %r10, 0xa008(, %r9, 8)\n"
	"mov %dr6, %r10\n"
	"mov %r10, 0xa010(, %r9, 8)\n"
	"mov %r8, 0xa018(, %r9, 8)\n"
	"iretq\n"
GUEST_END(handlers);

#define HANDLERS	0x5000u

struct log_entry {
	uint64_t rip, dr6, vector;
};

struct expected {
	unsigned int offset;	/* from the start mark */
	uint32_t dr6;
	uint8_t vector;
};

static void put64(struct vm *vm, uint32_t at, uint64_t val)
{
	memcpy(vm->mem + at, &val, sizeof(val));
}

static void gate(struct vm *vm, unsigned int vector, uint32_t handler)
{
	put64(vm, IDT + 16 * vector, (handler & 0xffff) | 8ull << 16 | 0x8e00ull << 32);
}

static void start(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_create(vm, VM_IRQCHIP);
	vcpu_cpuid(vm, vm->vcpu);
	guest_load64(vm, code, end);
	put64(vm, GDT + 8, 0x00af9b000000ffffull);
	put64(vm, GDT + 16, 0x00cf93000000ffffull);
	memcpy(vm->mem + HANDLERS, guest_handlers, guest_handlers_end - guest_handlers);
	gate(vm, 1, HANDLERS);
	gate(vm, 3, HANDLERS + 16);
	gate(vm, 0xee, HANDLERS + 32);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 0x17;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = 0x7f00;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static void check(const uint8_t *code, const uint8_t *end, const struct expected *want,
		  unsigned int count)
{
	struct log_entry log[LOG_ENTRIES];
	struct kvm_regs regs;
	unsigned int i;
	struct vm vm;

	start(&vm, code, end);
	run_out(&vm, 0x10);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(*(uint32_t *)(vm.mem + LOG), count);
	memcpy(log, vm.mem + LOG + 8, sizeof(log));
	for (i = 0; i < count; i++) {
		EXPECT_EQ(log[i].rip - regs.rbx, want[i].offset);
		EXPECT_EQ(log[i].vector, want[i].vector);
		if (want[i].vector == 1)
			EXPECT_EQ(log[i].dr6, want[i].dr6);
	}
	vm_destroy(&vm);
}

#define CHECK(name, ...)							\
	do {									\
		static const struct expected want_[] = { __VA_ARGS__ };		\
										\
		check(guest_##name, guest_##name##_end, want_,			\
		      sizeof(want_) / sizeof(want_[0]));			\
	} while (0)

/* Sets TF; the instruction behind is stepped. RAX is then RFLAGS without TF. */
#define SET_TF		"pushf\n pop %rax\n or $0x100, %rax\n push %rax\n"		\
			"and $~0x100, %rax\n"
#define DONE		"out %al, $0x10\n hlt\n"

GUEST(exits, 64)
	SET_TF
	"popf\n"
	"lea 1f(%rip), %rbx\n"
	"1: push %rax\n"
	"xor %eax, %eax\n"
	"cpuid\n"
	"mov $0x3fd, %edx\n"
	"xor %ecx, %ecx\n"
	"mov $0x10, %ecx\n"
	"rdmsr\n"
	"popf\n"
	"nop\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(exits);

TEST(steps_of_instructions_that_exit)
{
	CHECK(exits, { 0, DR6_STEP, 1 }, { 1, DR6_STEP, 1 }, { 3, DR6_STEP, 1 },
	      { 5, DR6_STEP, 1 }, { 10, DR6_STEP, 1 }, { 12, DR6_STEP, 1 },
	      { 17, DR6_STEP, 1 }, { 19, DR6_STEP, 1 }, { 20, DR6_STEP, 1 });
}

GUEST(sti, 64)
	"cli\n"
	SET_TF
	"popf\n"
	"sti\n"
	"1: push %rax\n"
	"popf\n"
	"cli\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(sti);

TEST(step_while_sti_blocks)
{
	CHECK(sti, { 0, DR6_STEP, 1 }, { 1, DR6_STEP, 1 }, { 2, DR6_STEP, 1 });
}

GUEST(movss, 64)
	"mov %ss, %cx\n"
	SET_TF
	"popf\n"
	"mov %cx, %ss\n"
	"nop\n"
	"1: push %rax\n"
	"popf\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(movss);

TEST(step_while_mov_ss_blocks)
{
	CHECK(movss, { 0, DR6_STEP, 1 }, { 1, DR6_STEP, 1 }, { 2, DR6_STEP, 1 });
}

GUEST(movss_int1, 64)
	"mov %ss, %cx\n"
	SET_TF
	"popf\n"
	"mov %cx, %ss\n"
	".byte 0xf1\n"
	"1: .byte 0xf1\n"
	"push %rax\n"
	"popf\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(movss_int1);

TEST(int1_while_mov_ss_blocks)
{
	CHECK(movss_int1, { 0, DR6_IDLE, 1 }, { 1, DR6_IDLE, 1 }, { 2, DR6_STEP, 1 },
	      { 3, DR6_STEP, 1 });
}

/*
 * A WRMSR that exits: from then on accesses of debug registers exit, too, and the exception is
 * raised by software. What a CPU that takes it by itself makes of the step that waits is its own.
 */
GUEST(movss_detect, 64)
	"mov $0x2400, %edx\n"
	"mov %rdx, %dr7\n"
	"mov $0x8b, %ecx\n"
	"xor %eax, %eax\n"
	"xor %edx, %edx\n"
	"wrmsr\n"
	"mov %ss, %cx\n"
	SET_TF
	"popf\n"
	"mov %cx, %ss\n"
	"1: mov %rdx, %dr6\n"
	"push %rax\n"
	"popf\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(movss_detect);

TEST(general_detect_while_mov_ss_blocks)
{
	CHECK(movss_detect, { 0, DR6_DETECT, 1 }, { 3, DR6_STEP, 1 }, { 4, DR6_STEP, 1 },
	      { 5, DR6_STEP, 1 });
}

/* A timer wakes it; the trap is there with the instruction's end. */
GUEST(sti_hlt, 64)
	"cli\n"
	"mov $0xfee00000, %edx\n"
	"movl $0x1ff, 0xf0(%rdx)\n"
	"movl $0xee, 0x320(%rdx)\n"
	"movl $0xb, 0x3e0(%rdx)\n"
	"movl $1000000, 0x380(%rdx)\n"
	SET_TF
	"popf\n"
	"sti\n"
	"1: hlt\n"
	"push %rax\n"
	"popf\n"
	"cli\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(sti_hlt);

TEST(step_over_hlt)
{
	CHECK(sti_hlt, { 0, DR6_STEP, 1 }, { 1, DR6_STEP, 1 }, { 2, DR6_STEP, 1 },
	      { 3, DR6_STEP, 1 });
}

/* DR1 watches four bytes at 0xb000, which hold the selector of SS. */
#define WATCH(control)								\
	"mov $0xb000, %edx\n"							\
	"movl $16, (%rdx)\n"							\
	"mov %rdx, %dr1\n"							\
	"mov $" #control ", %ecx\n"						\
	"mov %rcx, %dr7\n"

GUEST(watch, 64)
	"mov $0x4000, %ecx\n"
	"mov %rcx, %dr6\n"
	WATCH(0x00d0040a)
	"movl $42, (%rdx)\n"
	"1: xor %ecx, %ecx\n"
	"mov %rcx, %dr6\n"
	"movl $42, (%rdx)\n"
	"nop\n"
	".byte 0xf1\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(watch);

TEST(watchpoints_and_int1)
{
	CHECK(watch, { 0, DR6_STEP | 2, 1 }, { 11, DR6_IDLE | 2, 1 },
	      { 13, DR6_IDLE, 1 });
}

GUEST(movss_watch_int1, 64)
	WATCH(0x00f0040a)
	"mov (%rdx), %ss\n"
	"1: .byte 0x2e, 0x2e, 0xf1\n"
	"lea 1b(%rip), %rbx\n"
	DONE
GUEST_END(movss_watch_int1);

/* INT1 is the exception; what MOV SS has met comes with it, once. */
TEST(watchpoint_of_mov_ss_before_int1)
{
	struct vm vm;

	start(&vm, guest_movss_watch_int1, guest_movss_watch_int1_end);
	run_out(&vm, 0x10);
	EXPECT_EQ(*(uint32_t *)(vm.mem + LOG), 1);
	vm_destroy(&vm);
}

/* ---- breakpoints: RF (SDM "Instruction-Breakpoint Exception Condition") ---- */

/* The handler sets RF, and stops for userspace: KVM gets the debug registers back. */
GUEST(met, 64)
	"orl $0x10000, 16(%rsp)\n"
	"out %al, $0x12\n"
	"iretq\n"
GUEST_END(met);

#define BREAKPOINT	"lea 1f(%rip), %r12\n mov %r12, %dr0\n"			\
			"mov $0x402, %ecx\n mov %rcx, %dr7\n"
/* Goes to label 2 with RF set. */
#define WITH_RF		"mov %rsp, %rdx\n mov %ss, %eax\n push %rax\n push %rdx\n"	\
			"pushf\n orl $0x10000, (%rsp)\n mov %cs, %eax\n push %rax\n"	\
			"lea 2f(%rip), %rdx\n push %rdx\n xor %eax, %eax\n iretq\n"	\
			"2: "

/* The guest stops at port @first if it is not 0, and meets its breakpoint once. */
static void meets_once(const uint8_t *code, const uint8_t *end, uint16_t first)
{
	struct kvm_regs regs;
	uint64_t rip;
	struct vm vm;

	start(&vm, code, end);
	memcpy(vm.mem + HANDLERS, guest_met, guest_met_end - guest_met);
	if (first)
		run_out(&vm, first);
	run_out(&vm, 0x12);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	memcpy(&rip, vm.mem + regs.rsp, sizeof(rip));
	EXPECT_EQ(rip, regs.r12);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

#define MEETS_ONCE(name, first)	meets_once(guest_##name, guest_##name##_end, first)

GUEST(mov_dr, 64)
	BREAKPOINT
	"out %al, $0x11\n"
	"1: mov %dr6, %rax\n"
	DONE
GUEST_END(mov_dr);

TEST(breakpoint_at_mov_dr)
{
	MEETS_ONCE(mov_dr, 0x11);
}

GUEST(rf_cpuid, 64)
	BREAKPOINT
	WITH_RF "cpuid\n"
	"1: nop\n"
	DONE
GUEST_END(rf_cpuid);

GUEST(rf_rdmsr, 64)
	BREAKPOINT
	"mov $0x10, %ecx\n"
	WITH_RF "rdmsr\n"
	"1: nop\n"
	DONE
GUEST_END(rf_rdmsr);

GUEST(rf_out, 64)
	BREAKPOINT
	WITH_RF "out %al, $0x21\n"
	"1: nop\n"
	DONE
GUEST_END(rf_out);

GUEST(rf_user_out, 64)
	BREAKPOINT
	WITH_RF "out %al, $0x11\n"
	"1: nop\n"
	DONE
GUEST_END(rf_user_out);

TEST(breakpoint_behind_instructions_that_exit)
{
	MEETS_ONCE(rf_cpuid, 0);
	MEETS_ONCE(rf_rdmsr, 0);
	MEETS_ONCE(rf_out, 0);
	MEETS_ONCE(rf_user_out, 0x11);
}

GUEST(rf_eoi, 64)
	"mov $0xfee000b0, %r11d\n"
	"movl $0x1ff, 0x40(%r11)\n"
	BREAKPOINT
	"movl $0, (%r11)\n"
	"1: nop\n"
	DONE
GUEST_END(rf_eoi);

TEST(breakpoint_behind_eoi)
{
	MEETS_ONCE(rf_eoi, 0);
}
