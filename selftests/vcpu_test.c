// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPU ioctls whose failure, or whose odd argument, must change nothing; a string of which a device
 * takes a part; and KVM_INTERRUPT twice.
 *
 * Upstream's KVM fails the entry for a debugger's DR7 with upper bits.
 */
#include <signal.h>
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

GUEST(out, 16)
	"1:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(out);

static int set_mask(struct vm *vm, uint32_t len, uint64_t mask)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t mask;
	} __attribute__((packed)) arg = { .head.len = len, .mask = mask };

	return ioctl(vm->vcpu, KVM_SET_SIGNAL_MASK, &arg);
}

static void on_signal(int nr)
{
	(void)nr;
}

TEST(a_bad_signal_mask_leaves_the_old_one)
{
	sigset_t set;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, out);
	signal(SIGUSR1, on_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	raise(SIGUSR1);
	run_out(&vm, 0x10);
	/* Not blocked while the vCPU runs. */
	EXPECT_EQ(set_mask(&vm, 8, 0), 0);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	EXPECT_ERR(set_mask(&vm, 4, ~0ull), EINVAL);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, 1), EFAULT);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	/* The thread's own mask again. */
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, NULL), 0);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

TEST(a_debuggers_dr7_has_32_bits)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, out);
	debug.arch.debugreg[0] = VM_CODE + 2;
	debug.arch.debugreg[7] = 0xffffffff00000402ull;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0);
	run_out(&vm, 0x10);
	run_until(&vm, KVM_EXIT_DEBUG);
	EXPECT_EQ(vm.run->debug.arch.pc, VM_CODE + 2);
	EXPECT_EQ(vm.run->debug.arch.dr7, 0x402);
	vm_destroy(&vm);
}

#define RUN_AT	0x10000000u

/* The guest itself asks for the window: it is looked for behind the exit of the next MOV DR. */
GUEST(moves_dr, 64)
	"	mov $0x3000, %eax\n"
	"	mov %rax, %dr1\n"
	"	out %al, $0x10\n"
	"	mov $0x10000000, %ebx\n"
	"	movb $1, (%rbx)\n"
	"	mov $0x2000, %eax\n"
	"	mov %rax, %dr0\n"
	"	out %al, $0x11\n"
GUEST_END(moves_dr);

/* A debugger attaches when MOV DR has exited and the guest has not been entered again. */
TEST(a_debugger_leaves_the_guests_registers_alone)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };
	struct kvm_debugregs regs;
	struct kvm_regs start;
	struct vm vm;

	vm_create(&vm, 0);
	vm_slot(&vm, 1, RUN_AT, 0x1000, vm.run, 0);
	LOAD64(&vm, moves_dr);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &start) == 0);
	start.rflags |= 1 << 9;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &start) == 0);
	run_out(&vm, 0x10);
	run_until(&vm, KVM_EXIT_IRQ_WINDOW_OPEN);
	vm.run->request_interrupt_window = 0;
	debug.arch.debugreg[0] = 0x5550000;
	debug.arch.debugreg[1] = 0x6660000;
	debug.arch.debugreg[7] = 0x400;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0);
	run_out(&vm, 0x11);
	debug.control = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &regs) == 0);
	EXPECT_EQ(regs.db[0], 0x2000);
	EXPECT_EQ(regs.db[1], 0x3000);
	EXPECT_EQ(regs.dr7, 0x400);
	vm_destroy(&vm);
}

GUEST(window, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	movw $(0x8000 + 2f - guest_window), 0x30 * 4\n"
	"	movw $0, 0x30 * 4 + 2\n"
	"	movw $(0x8000 + 3f - guest_window), 0x31 * 4\n"
	"	movw $0, 0x31 * 4 + 2\n"
	"	sti\n"
	"	nop\n"
	"	out %al, $0x10\n"
	"	nop\n"
	"	out %al, $0x12\n"
	"	hlt\n"
	"2:	out %al, $0x11\n"
	"	iret\n"
	"3:	out %al, $0x13\n"
	"	iret\n"
GUEST_END(window);

TEST(a_second_interrupt_of_userspace_takes_the_place_of_the_first)
{
	struct kvm_interrupt irq = { .irq = 0x31 };
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, window);
	run_out(&vm, 0x10);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	irq.irq = 0x30;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	irq.irq = 256;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), EINVAL);
	run_out(&vm, 0x11);
	run_out(&vm, 0x12);
	vm_destroy(&vm);
}

TEST(with_a_split_irqchip_the_second_one_is_eexist)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };
	struct kvm_interrupt irq = { .irq = 0x31 };
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &split), 0);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), EEXIST);
	vm_destroy(&vm);
}

GUEST(string, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	cld\n"
	"	mov $(0x8000 + 2f - guest_string), %si\n"
	"	mov $5, %cx\n"
	"	mov $0x100, %dx\n"
	"	rep outsb\n"
	"	out %al, $0x10\n"
	"2:	.byte 1, 2, 1, 3, 1\n"
GUEST_END(string);

TEST(a_device_takes_its_items_of_a_string)
{
	struct kvm_ioeventfd io = {
		.addr = 0x100, .len = 1, .datamatch = 1, .fd = eventfd(0, EFD_NONBLOCK),
		.flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	uint64_t signalled = 0;
	unsigned int i, n = 0;
	uint8_t got[4];
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, string);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	for (;;) {
		run_until(&vm, KVM_EXIT_IO);
		if (vm.run->io.port != 0x100)
			break;
		for (i = 0; i < vm.run->io.count && n < sizeof(got); i++)
			got[n++] = *((uint8_t *)vm.run + vm.run->io.data_offset + i);
	}
	EXPECT_EQ(n, 2);
	EXPECT_EQ(got[0], 2);
	EXPECT_EQ(got[1], 3);
	EXPECT_EQ(read(io.fd, &signalled, 8), 8);
	EXPECT_EQ(signalled, 3);
	vm_destroy(&vm);
}
