// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the guest stands when userspace looks: at the instruction if something of it is left for
 * the next KVM_RUN, behind it if not. Documentation/uapi.rst, "RIP at an exit".
 */
#include "selftests/lib/pages.h"

#define DEV	PAGES_HOLE

enum stands { AT, BEHIND };

/* The instruction begins at guest_NAME + 0x80 and ends at the OUT to PORT_DONE. */
#define STEP(name, before, text)					\
	GUEST(name, 64)							\
		before "\n"						\
		"jmp 1f\n"						\
		".org guest_" #name " + 0x80\n"				\
		"1: " text "\n"						\
		"2: out %al, $0x10\n"					\
		".org guest_" #name " + 0xf0\n"				\
		".quad 2b - 1b\n"					\
	GUEST_END(name);

#define B	"mov $0x10000000, %ebx"
#define STEPS(X)							\
	X(out, "", "out %al, $0x20", KVM_EXIT_IO, AT)			\
	X(out_7e, "", "out %al, $0x7e", KVM_EXIT_IO, BEHIND)		\
	X(in, "", "in $0x20, %eax", KVM_EXIT_IO, AT)			\
	X(outs, "mov $0x20, %edx\n mov $0x9000, %esi", "outsb", KVM_EXIT_IO, BEHIND)	\
	X(ins, "mov $0x20, %edx\n mov $0x9000, %edi", "insb", KVM_EXIT_IO, AT)	\
	X(store, B, "mov %eax, (%rbx)", KVM_EXIT_MMIO, BEHIND)		\
	X(store_imm, B, "movw $5, (%rbx)", KVM_EXIT_MMIO, BEHIND)	\
	X(load, B, "mov (%rbx), %eax", KVM_EXIT_MMIO, AT)		\
	X(load_sse, B, "movups (%rbx), %xmm0", KVM_EXIT_MMIO, AT)	\
	X(store_sse, B, "movups %xmm0, (%rbx)", KVM_EXIT_MMIO, BEHIND)	\
	X(modify, B, "addl $1, (%rbx)", KVM_EXIT_MMIO, AT)		\
	X(push, "mov $0x10000010, %esp", "push %rbx", KVM_EXIT_MMIO, BEHIND)	\
	X(movs, B "\n mov %rbx, %rdi\n mov $0x9000, %esi", "movsl", KVM_EXIT_MMIO, BEHIND) \
	X(rom, "mov $0x900000, %ebx", "mov %eax, (%rbx)", KVM_EXIT_MMIO, BEHIND)	\
	X(halt, "", "hlt", KVM_EXIT_HLT, BEHIND)			\
	X(rdmsr, "mov $0xdead0000, %ecx", "rdmsr", KVM_EXIT_X86_RDMSR, AT)	\
	X(wrmsr, "mov $0xdead0000, %ecx", "wrmsr", KVM_EXIT_X86_WRMSR, AT)	\
	X(priority, "mov $8, %eax\n mov %rax, %cr8\n xor %eax, %eax", "mov %rax, %cr8",	\
	  KVM_EXIT_SET_TPR, BEHIND)					\
	X(call, "mov $12, %eax\n mov $0x100000, %ebx\n mov $1, %ecx\n xor %edx, %edx",	\
	  "vmcall", KVM_EXIT_HYPERCALL, AT)

#define STEP_GUEST(name, before, text, exit, stands) STEP(name, before, text)
STEPS(STEP_GUEST)

#define STEP_ROW(name, before, text, exit, stands)			\
	{ #name, guest_##name, guest_##name##_end, exit, stands },
static const struct step {
	const char *name;
	const uint8_t *code, *end;
	uint32_t exit;
	enum stands stands;
} steps[] = { STEPS(STEP_ROW) };

static void begin(struct vm *vm, const uint8_t *code, const uint8_t *end)
{
	struct kvm_enable_cap msrs = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = KVM_MSR_EXIT_REASON_UNKNOWN,
	}, call = { .cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1 << 12 };

	vm_create(vm, 0);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &msrs) == 0);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &call) == 0);
	vm_slot(vm, 3, 0x900000, PAGE, host_pages(1), KVM_MEM_READONLY);
	guest_load64(vm, code, end);
	pages_setup(vm);
	page_map(vm, 0x100, 0x900000, PTE_P | PTE_W | PTE_AD);
}

static unsigned int insn_len(const struct step *step)
{
	return *(const uint64_t *)(step->code + 0xf0);
}

static uint64_t rip_in(struct vm *vm)
{
	return regs_of(vm).rip - (VM_CODE + 0x80);
}

/* Complete what is under way, and no more. */
static int complete(struct vm *vm)
{
	int ret;

	vm->run->immediate_exit = 1;
	ret = vcpu_run(vm);
	vm->run->immediate_exit = 0;
	return ret;
}

TEST(rip_at_each_kind_of_exit)
{
	unsigned int i, n;
	struct vm vm;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct step *step = &steps[i];

		begin(&vm, step->code, step->end);
		EXPECT_EQ(vcpu_run(&vm), 0);
		if (vm.run->exit_reason != step->exit ||
		    rip_in(&vm) != (step->stands == AT ? 0 : insn_len(step)))
			test_fail(__FILE__, __LINE__, "%s: exit %u, RIP %lld behind its beginning",
				  step->name, vm.run->exit_reason, (long long)rip_in(&vm));
		/* An instruction of several accesses has more exits first. */
		for (n = 0; n < 4 && complete(&vm) == 0; n++)
			EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_MMIO);
		if (rip_in(&vm) != insn_len(step))
			test_fail(__FILE__, __LINE__, "%s: RIP %lld when it is completed",
				  step->name, (long long)rip_in(&vm));
		EXPECT_EQ(vcpu_run(&vm), 0);
		EXPECT(at_port(&vm, PORT_DONE));
		vm_destroy(&vm);
	}
}

GUEST(stores, 64)
	"mov $0x10000000, %ebx\n"
	"1: mov %eax, (%rbx)\n"
	"inc %eax\n"
	"jmp 1b\n"
GUEST_END(stores);

/* A VMM that saves a vCPU at a write, and restores it elsewhere, without completing it. */
TEST(a_saved_write_is_not_repeated)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm from, to;
	unsigned int i;

	for (i = 1; i < 4; i++) {
		unsigned int k;

		begin(&from, guest_stores, guest_stores_end);
		for (k = 0; k < i; k++) {
			run_until(&from, KVM_EXIT_MMIO);
			EXPECT_EQ(from.run->mmio.data[0], k);
		}
		regs = regs_of(&from);
		sregs = sregs_of(&from);
		begin(&to, guest_stores, guest_stores_end);
		sregs_put(&to, &sregs);
		regs_put(&to, &regs);
		run_until(&to, KVM_EXIT_MMIO);
		EXPECT_EQ(to.run->mmio.data[0], i);
		vm_destroy(&from);
		vm_destroy(&to);
	}
}

GUEST(two, 64)
	"mov $0x10000ffc, %ebx\n"
	"mov %rax, (%rbx)\n"
	"out %al, $0x10\n"
	"hlt\n"
GUEST_END(two);

/* A reset in the middle of a write: its other half belongs to the old machine. */
TEST(a_moved_vcpu_has_nothing_to_complete)
{
	struct kvm_regs regs;
	struct vm vm;

	begin(&vm, guest_two, guest_two_end);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.len, 4);
	regs = regs_of(&vm);
	regs.rip = VM_CODE + (guest_two_end - guest_two) - 1;
	regs_put(&vm, &regs);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
	/* And registers that are only written back as they were change nothing. */
	begin(&vm, guest_two, guest_two_end);
	run_until(&vm, KVM_EXIT_MMIO);
	regs = regs_of(&vm);
	regs_put(&vm, &regs);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, DEV + 0x1000);
	run_until(&vm, KVM_EXIT_IO);
	vm_destroy(&vm);
}

/* A debugger's step over an access ends behind it, when userspace has finished it. */
static void stepped_over(const uint8_t *code, const uint8_t *end, unsigned int exits)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct vm vm;
	unsigned int i;

	begin(&vm, code, end);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	run_until(&vm, KVM_EXIT_DEBUG);
	for (i = 0; i < exits; i++)
		run_until(&vm, KVM_EXIT_MMIO);
	run_until(&vm, KVM_EXIT_DEBUG);
	EXPECT_EQ(vm.run->debug.arch.pc, regs_of(&vm).rip);
	vm_destroy(&vm);
}

TEST(a_step_over_an_access)
{
	const char *device = getenv("OKVM_DEVICE");

	if (device && !strcmp(device, "/dev/kvm"))
		test_skip("upstream loses the trap of an emulated write");
	stepped_over(guest_stores, guest_stores_end, 1);
	stepped_over(guest_two, guest_two_end, 2);
}

/* The registers of a repeated string at each of its exits. */
GUEST(string, 64)
	"mov $0x10000000, %edi\n"
	"mov $0x9000, %esi\n"
	"mov $3, %ecx\n"
	"1: rep movsb\n"
	"out %al, $0x10\n"
GUEST_END(string);

TEST(a_string_shows_how_far_it_is)
{
	const uint64_t insn = VM_CODE + (guest_string_end - guest_string) - 4;
	struct kvm_regs regs;
	unsigned int i;
	struct vm vm;

	begin(&vm, guest_string, guest_string_end);
	memcpy(vm.mem + 0x9000, "abc", 3);
	for (i = 0; i < 3; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.data[0], 'a' + i);
		regs = regs_of(&vm);
		EXPECT_EQ(regs.rcx, 2 - i);
		EXPECT_EQ(regs.rdi, DEV + i + 1);
		EXPECT_EQ(regs.rip, i == 2 ? insn + 2 : insn);
	}
	run_until(&vm, KVM_EXIT_IO);
	EXPECT(at_port(&vm, PORT_DONE));
	vm_destroy(&vm);
}

/* Strings of ports, three items long, up to a device that userspace has. */
GUEST(rep_ins, 64)
	"mov $0x20, %edx\n"
	"mov $0x9000, %edi\n"
	"mov $3, %ecx\n"
	"1: rep insb\n"
	"out %al, $0x10\n"
GUEST_END(rep_ins);

GUEST(rep_outs, 64)
	"mov $0x20, %edx\n"
	"mov $0x9000, %esi\n"
	"mov $3, %ecx\n"
	"1: rep outsb\n"
	"out %al, $0x10\n"
GUEST_END(rep_outs);

/* A debugger that steps gets control after each iteration, and devices no batch. */
static void string_steps(const uint8_t *code, const uint8_t *end)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	const uint64_t insn = VM_CODE + (end - code) - 4;
	unsigned int i;
	struct vm vm;

	begin(&vm, code, end);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	for (i = 0; i < 3; i++)
		run_until(&vm, KVM_EXIT_DEBUG);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(vm.run->debug.arch.pc, insn);
		run_until(&vm, KVM_EXIT_IO);
		EXPECT_EQ(vm.run->io.port, 0x20);
		EXPECT_EQ(vm.run->io.count, 1);
		((uint8_t *)vm.run)[vm.run->io.data_offset] = 'a' + i;
		run_until(&vm, KVM_EXIT_DEBUG);
		EXPECT_EQ(regs_of(&vm).rcx, 2 - i);
	}
	EXPECT_EQ(vm.run->debug.arch.pc, insn + 2);
	if (code == guest_rep_ins)
		EXPECT(!memcmp(vm.mem + 0x9000, "abc", 3));
	vm_destroy(&vm);
}

TEST(a_step_over_a_string_is_one_iteration)
{
	const char *device = getenv("OKVM_DEVICE");

	if (device && !strcmp(device, "/dev/kvm"))
		test_skip("upstream steps from batch to batch");
	string_steps(guest_rep_ins, guest_rep_ins_end);
	string_steps(guest_rep_outs, guest_rep_outs_end);
}

/* Offset and selector of a far pointer are one access to a device. */
GUEST(far_pointer, 64)
	"mov $0x10000000, %ebx\n"
	"lfs (%rbx), %ecx\n"
	"out %al, $0x10\n"
GUEST_END(far_pointer);

TEST(a_far_pointer_is_one_access)
{
	struct vm vm;

	begin(&vm, guest_far_pointer, guest_far_pointer_end);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, DEV);
	EXPECT_EQ(vm.run->mmio.len, 6);
	memcpy(vm.run->mmio.data, "\x78\x56\x34\x12\0\0", 6);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT(at_port(&vm, PORT_DONE));
	EXPECT_EQ(regs_of(&vm).rcx, 0x12345678);
	vm_destroy(&vm);
}

/* DR6 tells a trap as soon as KVM_GET_VCPU_EVENTS tells it. */
GUEST(trapped, 64)
	"mov $0x10000000, %ebx\n"
	"pushf\n"
	"orl $0x100, (%rsp)\n"
	"popf\n"
	"mov (%rbx), %eax\n"
	"out %al, $0x10\n"
GUEST_END(trapped);

TEST(a_pending_trap_is_in_dr6)
{
	struct kvm_debugregs debugregs;
	struct vm vm;

	begin(&vm, guest_trapped, guest_trapped_end);
	run_until(&vm, KVM_EXIT_MMIO);
	vm.run->immediate_exit = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &debugregs) == 0);
	EXPECT_EQ(debugregs.dr6, 0xffff4ff0);
	vm_destroy(&vm);
}

/* CS.D that protected mode has left counts in real mode. */
GUEST(wide_real, 32)
	"mov 0x10000000, %eax\n"
GUEST_END(wide_real);

TEST(real_mode_with_32_bit_code)
{
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, wide_real);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.db = 1;
	sregs.ds.limit = 0xffffffff;
	sregs.ds.g = 1;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, DEV);
	EXPECT_EQ(vm.run->mmio.len, 4);
	vm_destroy(&vm);
}
