// SPDX-License-Identifier: GPL-2.0-only
/* Accesses to addresses without memory: userspace finishes them. */
#include "selftests/lib/okvm_test.h"

#define HOLE	0x10000000ull	/* behind the only slot, within the guests' page tables */

GUEST(sizes, 64)
	"	mov $0x10000000, %rbx\n"
	"	mov $0x8877665544332211, %rax\n"
	"	mov %al, 1(%rbx)\n"
	"	mov %ax, 2(%rbx)\n"
	"	mov %eax, 4(%rbx)\n"
	"	mov %rax, 8(%rbx)\n"
	"	hlt\n"
GUEST_END(sizes);

TEST(writes_of_each_size)
{
	static const uint8_t at[] = { 1, 2, 4, 8 };
	uint64_t val = 0x8877665544332211;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	LOAD64(&vm, sizes);
	for (i = 0; i < 4; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.phys_addr, HOLE + at[i]);
		EXPECT_EQ(vm.run->mmio.is_write, 1);
		EXPECT_EQ(vm.run->mmio.len, 1u << i);
		EXPECT(!memcmp(vm.run->mmio.data, &val, 1u << i));
	}
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(reads, 64)
	"	mov $0x10000000, %rbx\n"
	"	mov $-1, %rax\n"
	"	mov (%rbx), %al\n"
	"	mov %rax, %rcx\n"
	"	movzwl (%rbx), %edx\n"
	"	movslq (%rbx), %rsi\n"
	"	mov (%rbx), %rdi\n"
	"	hlt\n"
GUEST_END(reads);

TEST(reads_of_each_size_and_extension)
{
	uint64_t val = 0x88776655c4332211;
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	LOAD64(&vm, reads);
	for (i = 0; i < 4; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.phys_addr, HOLE);
		EXPECT_EQ(vm.run->mmio.is_write, 0);
		EXPECT_EQ(vm.run->mmio.len, 1u << i);
		memcpy(vm.run->mmio.data, &val, 8);
	}
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rcx, 0xffffffffffffff11);
	EXPECT_EQ(regs.rdx, 0x2211);
	EXPECT_EQ(regs.rsi, 0xffffffffc4332211);
	EXPECT_EQ(regs.rdi, val);
	vm_destroy(&vm);
}

GUEST(rmw, 64)
	"	mov $0x10000000, %rbx\n"
	"	addl $5, (%rbx)\n"
	"	hlt\n"
GUEST_END(rmw);

TEST(read_modify_write_exits_twice)
{
	uint32_t val = 100;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, rmw);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.is_write, 0);
	memcpy(vm.run->mmio.data, &val, 4);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.is_write, 1);
	memcpy(&val, vm.run->mmio.data, 4);
	EXPECT_EQ(val, 105);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(cross, 64)
	"	mov $0x10000ffd, %rbx\n"
	"	mov $0x8877665544332211, %rax\n"
	"	mov %rax, (%rbx)\n"
	"	hlt\n"
GUEST_END(cross);

TEST(a_write_across_pages_is_two)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, cross);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, HOLE + 0xffd);
	EXPECT_EQ(vm.run->mmio.len, 3);
	EXPECT(!memcmp(vm.run->mmio.data, "\x11\x22\x33", 3));
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, HOLE + 0x1000);
	EXPECT_EQ(vm.run->mmio.len, 5);
	EXPECT(!memcmp(vm.run->mmio.data, "\x44\x55\x66\x77\x88", 5));
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(movs, 64)
	"	mov $0x10000000, %rdi\n"
	"	mov $0x9000, %rsi\n"
	"	mov $3, %ecx\n"
	"	cld\n"
	"	rep movsl\n"
	"	hlt\n"
GUEST_END(movs);

TEST(rep_movs_writes_each_element)
{
	static const uint32_t text[3] = { 0x11111111, 0x22222222, 0x33333333 };
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	LOAD64(&vm, movs);
	memcpy(vm.mem + 0x9000, text, sizeof(text));
	for (i = 0; i < 3; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.phys_addr, HOLE + 4 * i);
		EXPECT(!memcmp(vm.run->mmio.data, &text[i], 4));
	}
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(again, 64)
	"	mov $0x10000000, %rbx\n"
	"	mov $0x1122334455667788, %rax\n"
	"	mov $0xaabbccdd, %ecx\n"
	"1:	mov %eax, (%rbx)\n"	/* 89 03, patched by the tests */
	"	nop\n"
	"	nop\n"
	"	nop\n"
	"	jmp 1b\n"
GUEST_END(again);

static uint8_t *patched_insn(struct vm *vm)
{
	/* Before the JMP of two bytes. */
	return vm->mem + VM_CODE + (guest_again_end - guest_again) - 7;
}

/* Finish what is under way, and put another instruction there. */
static void patch(struct vm *vm, const void *bytes)
{
	struct kvm_regs regs;

	vm->run->immediate_exit = 1;
	EXPECT_EQ(ioctl(vm->vcpu, KVM_RUN, 0), -1);
	vm->run->immediate_exit = 0;
	EXPECT_EQ(ioctl(vm->vcpu, KVM_GET_REGS, &regs), 0);
	regs.rip = patched_insn(vm) - vm->mem;
	EXPECT_EQ(ioctl(vm->vcpu, KVM_SET_REGS, &regs), 0);
	memcpy(vm->mem + regs.rip, bytes, 5);
}

/* An instruction that was emulated before is recognised, and so is that it is another one now. */
TEST(the_same_store_again_and_changed)
{
	struct kvm_regs regs;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	LOAD64(&vm, again);
	for (i = 0; i < 3; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, 0x55667788);
	}
	patch(&vm, "\x89\x0b\x90\x90\x90");	/* mov %ecx, (%rbx) */
	for (i = 0; i < 2; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(*(uint32_t *)vm.run->mmio.data, 0xaabbccdd);
	}
	patch(&vm, "\x66\x89\x03\x90\x90");	/* mov %ax, (%rbx) */
	for (i = 0; i < 2; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.len, 2);
		EXPECT_EQ(*(uint16_t *)vm.run->mmio.data, 0x7788);
	}
	patch(&vm, "\xc6\x03\x5a\x90\x90");	/* movb $0x5a, (%rbx) */
	for (i = 0; i < 3; i++) {
		run_until(&vm, KVM_EXIT_MMIO);
		EXPECT_EQ(vm.run->mmio.len, 1);
		EXPECT_EQ(vm.run->mmio.data[0], 0x5a);
		/* What userspace changes meanwhile counts. */
		EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
		/* A write is done when userspace is told. */
		EXPECT_EQ(regs.rip, (uint64_t)(patched_insn(&vm) - vm.mem) + 3);
		regs.rbx = HOLE + 0x100 * (i + 1);
		EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &regs), 0);
		EXPECT_EQ(vm.run->mmio.phys_addr, HOLE + 0x100 * i);
	}
	vm_destroy(&vm);
}

static const struct {
	uint8_t bytes[5];
	uint64_t result;	/* from RAX 1122334455667788 and data 0xf1f2f3f4f5f6f7f8 */
} loads[] = {
	{ { 0x8a, 0x03, 0x90, 0x90, 0x90 }, 0x11223344556677f8 },	/* mov (%rbx), %al */
	{ { 0x8a, 0x23, 0x90, 0x90, 0x90 }, 0x112233445566f888 },	/* ... %ah */
	{ { 0x66, 0x8b, 0x03, 0x90, 0x90 }, 0x112233445566f7f8 },	/* ... %ax */
	{ { 0x8b, 0x03, 0x90, 0x90, 0x90 }, 0x00000000f5f6f7f8 },	/* ... %eax */
	{ { 0x48, 0x8b, 0x03, 0x90, 0x90 }, 0xf1f2f3f4f5f6f7f8 },	/* ... %rax */
	{ { 0x0f, 0xbe, 0x03, 0x90, 0x90 }, 0x00000000fffffff8 },	/* movsbl (%rbx), %eax */
	{ { 0x66, 0x0f, 0xb6, 0x03, 0x90 }, 0x11223344556600f8 },	/* movzbw (%rbx), %ax */
	{ { 0x48, 0x63, 0x03, 0x90, 0x90 }, 0xfffffffff5f6f7f8 },	/* movslq (%rbx), %rax */
	{ { 0x48, 0x0f, 0xb7, 0x03, 0x90 }, 0x000000000000f7f8 },	/* movzwq (%rbx), %rax */
};

/* The first of each is decoded, the others are recognised. */
TEST(the_same_load_again)
{
	const uint64_t data = 0xf1f2f3f4f5f6f7f8;
	struct kvm_regs regs;
	struct vm vm;
	unsigned int i;
	int k;

	vm_create(&vm, 0);
	LOAD64(&vm, again);
	run_until(&vm, KVM_EXIT_MMIO);
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		patch(&vm, loads[i].bytes);
		for (k = 0; k < 3; k++) {
			run_until(&vm, KVM_EXIT_MMIO);
			EXPECT_EQ(vm.run->mmio.is_write, 0);
			EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
			if (k)
				EXPECT_EQ(regs.rax, loads[i].result);
			regs.rax = 0x1122334455667788;
			EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &regs), 0);
			memcpy(vm.run->mmio.data, &data, 8);
		}
	}
	vm_destroy(&vm);
}

TEST(a_coalesced_zone_collects_writes)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = HOLE, .size = 0x1000 };
	struct kvm_coalesced_mmio_ring *ring;
	struct vm vm;
	int page;

	vm_create(&vm, 0);
	LOAD64(&vm, sizes);
	page = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	ring = (void *)((uint8_t *)vm.run + page * 4096);
	EXPECT_EQ(ioctl(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone), 0);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(ring->first, 0);
	EXPECT_EQ(ring->last, 4);
	EXPECT_EQ(ring->coalesced_mmio[3].phys_addr, HOLE + 8);
	EXPECT_EQ(ring->coalesced_mmio[3].len, 8);
	vm_destroy(&vm);
}
