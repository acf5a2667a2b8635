// SPDX-License-Identifier: GPL-2.0-only
/* Port I/O that userspace finishes. */
#include "selftests/lib/okvm_test.h"

GUEST(out, 16)
	"	mov $0x5a, %al\n"
	"	mov $0x3f8, %dx\n"
	"	out %al, %dx\n"
	"	hlt\n"
GUEST_END(out);

TEST(out_exits_with_its_byte_and_goes_on_after_it)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, out);
	EXPECT_EQ(run_out(&vm, 0x3f8), 0x5a);
	EXPECT_EQ(vm.run->io.size, 1);
	EXPECT_EQ(vm.run->io.count, 1);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(in, 16)
	"	mov $0x11223344, %eax\n"
	"	mov $0x60, %dx\n"
	"	in %dx, %al\n"
	"	hlt\n"
GUEST_END(in);

TEST(in_of_a_byte_keeps_the_rest_of_eax)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, in);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(vm.run->io.direction, KVM_EXIT_IO_IN);
	*((uint8_t *)vm.run + vm.run->io.data_offset) = 0xee;
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(get_reg_rax(&vm), 0x112233ee);
	vm_destroy(&vm);
}

TEST(rip_stands_at_the_instruction_until_it_is_completed)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, out);
	run_out(&vm, 0x3f8);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rip, VM_CODE + 5);
	vm.run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	vm.run->immediate_exit = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rip, VM_CODE + 6);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(a_moved_rip_drops_the_completion)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, in);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	regs.rip = VM_CODE + 9 + 1;	/* the HLT */
	regs.rax = 7;
	*((uint8_t *)vm.run + vm.run->io.data_offset) = 0xee;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &regs), 0);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(get_reg_rax(&vm), 7);
	vm_destroy(&vm);
}

GUEST(outs, 16)
	"	mov $0x8020, %si\n"
	"	mov $5, %cx\n"
	"	mov $0x3f8, %dx\n"
	"	cld\n"
	"	rep outsb\n"
	"	hlt\n"
	"	.org guest_outs + 0x20\n"
	"	.ascii \"hello\"\n"
GUEST_END(outs);

TEST(rep_outs_is_batched)
{
	char text[16] = "";
	struct vm vm;
	unsigned int n = 0;

	vm_create(&vm, 0);
	LOAD16(&vm, outs);
	while (n < 5) {
		run_until(&vm, KVM_EXIT_IO);
		EXPECT_EQ(vm.run->io.direction, KVM_EXIT_IO_OUT);
		if (n + vm.run->io.count > 5)
			break;
		memcpy(text + n, (uint8_t *)vm.run + vm.run->io.data_offset, vm.run->io.count);
		n += vm.run->io.count;
	}
	EXPECT(!strcmp(text, "hello"));
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(ins, 16)
	"	mov $0x9000, %di\n"
	"	mov $3, %cx\n"
	"	mov $0x60, %dx\n"
	"	cld\n"
	"	rep insw\n"
	"	hlt\n"
GUEST_END(ins);

TEST(rep_ins_stores_what_userspace_gives)
{
	uint16_t next = 0x1001;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	LOAD16(&vm, ins);
	do {
		EXPECT_EQ(vcpu_run(&vm), 0);
		if (vm.run->exit_reason != KVM_EXIT_IO)
			break;
		EXPECT_EQ(vm.run->io.size, 2);
		for (i = 0; i < vm.run->io.count; i++, next++)
			((uint16_t *)((uint8_t *)vm.run + vm.run->io.data_offset))[i] = next;
	} while (next < 0x1010);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	EXPECT(!memcmp(vm.mem + 0x9000, "\x01\x10\x02\x10\x03\x10", 6));
	vm_destroy(&vm);
}
