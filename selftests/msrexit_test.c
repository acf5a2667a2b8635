// SPDX-License-Identifier: GPL-2.0-only
/*
 * RDMSR and WRMSR that userspace completes: by hardware's exit and by the emulator alike, and what
 * becomes of one whose vCPU is moved before it is complete; likewise a hypercall.
 */
#include "selftests/lib/okvm_test.h"

#define MSR_SYSENTER_CS	0x174
#define MSR_NONE	0x7777

#define ALL_REASONS	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
			 KVM_MSR_EXIT_REASON_FILTER)

#define ACCESSES(name, prefix)				\
	"	mov $0x174, %ecx\n"				\
	prefix "rdmsr\n"					\
	"	mov %eax, %ebx\n"				\
	"	mov $0x7777, %ecx\n"				\
	prefix "rdmsr\n"					\
	"	mov %eax, %esi\n"				\
	"	mov %edx, %edi\n"				\
	"	mov $0x174, %ecx\n"				\
	"	mov $0x55, %eax\n"				\
	"	mov $0x66, %edx\n"				\
	prefix "wrmsr\n"					\
	"	mov $0x277, %ecx\n"				\
	"	mov $0x02020202, %eax\n"	/* no memory types */ \
	prefix "wrmsr\n"					\
	"	hlt\n"						\
	"	.org guest_" name " + 0x100\n"	/* #GP */	\
	"	out %al, $0x13\n"				\
	"	hlt\n"

GUEST(native, 64)
	ACCESSES("native", "")
GUEST_END(native);

GUEST(forced, 64)
	ACCESSES("forced", "	ud2\n .ascii \"kvm\"\n	")
GUEST_END(forced);

static void load(struct vm *vm, bool forced, uint64_t reasons)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = reasons };
	uint64_t *idt, *gdt, at = VM_CODE + 0x100;
	uint8_t denied = 0;
	struct kvm_msr_filter filter = {
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = MSR_SYSENTER_CS, .nmsrs = 1, .bitmap = &denied,
		},
	};
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_create(vm, 0);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &cap) == 0);
	REQUIRE(ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter) == 0);
	if (forced)
		LOAD64(vm, forced);
	else
		LOAD64(vm, native);
	idt = (uint64_t *)(vm->mem + 0x11000);
	gdt = (uint64_t *)(vm->mem + 0x10000);
	idt[2 * 13] = (at & 0xffff) | 8ull << 16 | 0x8e00ull << 32;
	gdt[1] = 0x00af9b000000ffffull;
	gdt[2] = 0x00cf93000000ffffull;
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.idt.base = 0x11000;
	sregs.idt.limit = 0xfff;
	sregs.gdt.base = 0x10000;
	sregs.gdt.limit = 0x1f;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = 0x15000;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static void expect_exit(struct vm *vm, uint32_t reason, uint32_t index, uint32_t why, uint64_t data)
{
	run_until(vm, reason);
	EXPECT_EQ(vm->run->msr.index, index);
	EXPECT_EQ(vm->run->msr.reason, why);
	EXPECT_EQ(vm->run->msr.error, 0);
	EXPECT_EQ(vm->run->msr.data, data);
}

static void answered(bool forced)
{
	struct kvm_regs regs;
	struct vm vm;

	load(&vm, forced, ALL_REASONS);
	expect_exit(&vm, KVM_EXIT_X86_RDMSR, MSR_SYSENTER_CS, KVM_MSR_EXIT_REASON_FILTER, 0);
	vm.run->msr.data = 0x4321;
	expect_exit(&vm, KVM_EXIT_X86_RDMSR, MSR_NONE, KVM_MSR_EXIT_REASON_UNKNOWN, 0);
	vm.run->msr.data = 0x8765432112345678;
	expect_exit(&vm, KVM_EXIT_X86_WRMSR, MSR_SYSENTER_CS, KVM_MSR_EXIT_REASON_FILTER,
		    0x6600000055);
	expect_exit(&vm, KVM_EXIT_X86_WRMSR, 0x277, KVM_MSR_EXIT_REASON_INVAL, 0x6602020202);
	run_until(&vm, KVM_EXIT_HLT);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rbx, 0x4321);
	EXPECT_EQ(regs.rsi, 0x12345678);
	EXPECT_EQ(regs.rdi, 0x87654321);
	vm_destroy(&vm);
}

/* Userspace says #GP; and what it has not asked for is #GP without it. */
static void refused(bool forced)
{
	struct vm vm;

	load(&vm, forced, ALL_REASONS);
	run_until(&vm, KVM_EXIT_X86_RDMSR);
	vm.run->msr.error = 1;
	run_out(&vm, 0x13);
	vm_destroy(&vm);
	load(&vm, forced, KVM_MSR_EXIT_REASON_UNKNOWN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* Where it stands after it was moved, no instruction of two bytes is to be passed. */
static void moved(bool forced)
{
	struct kvm_regs regs;
	struct vm vm;

	load(&vm, forced, ALL_REASONS);
	run_until(&vm, KVM_EXIT_X86_RDMSR);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rip = VM_CODE + 0x100;
	regs.rax = 0x99;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	vm.run->msr.data = 0x4321;
	EXPECT_EQ(run_out(&vm, 0x13), 0x99);
	vm_destroy(&vm);
}

/* RF keeps a breakpoint at the access from being met again, but not one behind it. */
static void clears_rf(bool forced)
{
	struct kvm_regs regs;
	uint64_t rip;
	struct vm vm;

	load(&vm, forced, ALL_REASONS);
	run_until(&vm, KVM_EXIT_X86_RDMSR);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	rip = regs.rip;
	regs.rflags |= 0x10000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	vm.run->immediate_exit = 1;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_RUN, 0), -1);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, rip + 2);
	EXPECT_EQ(regs.rflags & 0x10000, 0);
	vm_destroy(&vm);
}

static void all(bool forced)
{
	const char *device = getenv("OKVM_DEVICE");

	answered(forced);
	refused(forced);
	moved(forced);
	/* Upstream keeps RF if the CPU has made the exit. */
	if (forced || !device || strcmp(device, "/dev/kvm"))
		clears_rf(forced);
}

TEST(accesses_that_exit)
{
	all(false);
}

TEST(emulated_accesses_that_exit)
{
	force_emulation("1");
	all(true);
	force_emulation("0");
}

GUEST(map_range, 64)
	"	mov $12, %eax\n"		/* KVM_HC_MAP_GPA_RANGE */
	"	mov $0x100000, %ebx\n"
	"	mov $1, %ecx\n"
	"	xor %edx, %edx\n"
	"	vmcall\n"
	"	hlt\n"
	"	.org guest_map_range + 0x100\n"
	"	out %al, $0x13\n"
	"	hlt\n"
GUEST_END(map_range);

TEST(a_hypercall_of_a_vcpu_that_was_moved)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1 << 12 };
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.fd, KVM_ENABLE_CAP, &cap) == 0);
	LOAD64(&vm, map_range);
	run_until(&vm, KVM_EXIT_HYPERCALL);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rip = VM_CODE + 0x100;
	regs.rax = 0x99;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	vm.run->hypercall.ret = 0;
	EXPECT_EQ(run_out(&vm, 0x13), 0x99);
	vm_destroy(&vm);
}
