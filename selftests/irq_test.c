// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts from userspace: lines, messages, eventfds, and what is refused. */
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

/*
 * The master PIC is set up with vectors from 0x20 and only IRQ 4 unmasked; its
 * handler at 0x9000 writes 0x77 to port 0x11.
 */
GUEST(pic, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	movw $(0x8000 + 2f - guest_pic), 0x24 * 4\n"
	"	movw $0, 0x24 * 4 + 2\n"
	"	mov $0x11, %al\n"
	"	out %al, $0x20\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x21\n"
	"	mov $0x04, %al\n"
	"	out %al, $0x21\n"
	"	mov $0x01, %al\n"
	"	out %al, $0x21\n"
	"	mov $0xef, %al\n"
	"	out %al, $0x21\n"
	"	out %al, $0x10\n"
	"	sti\n"
	"1:	hlt\n"
	"	jmp 1b\n"
	"2:	mov $0x77, %al\n"
	"	out %al, $0x11\n"
	"	mov $0x20, %al\n"
	"	out %al, $0x20\n"
	"	iret\n"
GUEST_END(pic);

static int irq_line(struct vm *vm, uint32_t irq, uint32_t level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	return ioctl(vm->fd, KVM_IRQ_LINE, &line);
}

static void pic_vm(struct vm *vm)
{
	vm_create(vm, VM_IRQCHIP);
	LOAD16(vm, pic);
	run_out(vm, 0x10);
}

TEST(a_line_reaches_the_pics_handler)
{
	struct vm vm;

	pic_vm(&vm);
	EXPECT_EQ(irq_line(&vm, 4, 1), 0);
	EXPECT_EQ(irq_line(&vm, 4, 0), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	EXPECT_EQ(irq_line(&vm, 4, 1), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	vm_destroy(&vm);
}

TEST(line_status_tells_what_became_of_it)
{
	struct kvm_irq_level line = { .irq = 4, .level = 1 };
	struct vm vm;

	pic_vm(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE_STATUS, &line), 0);
	EXPECT(line.status > 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	vm_destroy(&vm);
}

TEST(lines_out_of_range_are_harmless)
{
	static const uint32_t lines[] = { 24, 25, 1023, 1024, 4095, 4096, 4097, 0x7fffffff, ~0u };
	struct vm vm;
	unsigned int i;

	pic_vm(&vm);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		irq_line(&vm, lines[i], 1);
		irq_line(&vm, lines[i], 0);
	}
	EXPECT_EQ(irq_line(&vm, 4, 1), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	vm_destroy(&vm);
}

TEST(without_irqchip_its_ioctls_are_refused)
{
	struct kvm_irq_routing routing = { };
	struct kvm_msi msi = { .address_lo = 0xfee00000 };
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 4 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(irq_line(&vm, 4, 1), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &routing), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EINVAL);
	vm_destroy(&vm);
}

TEST(an_eventfd_raises_its_line)
{
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 4 };
	uint64_t one = 1;
	struct vm vm;

	pic_vm(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EBUSY);
	EXPECT_EQ(write(irqfd.fd, &one, 8), 8);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	vm_destroy(&vm);
}

TEST(an_eventfd_that_was_signalled_before_injects_when_it_is_attached)
{
	struct kvm_irqfd irqfd = { .fd = eventfd(1, 0), .gsi = 4 };
	struct vm vm;

	pic_vm(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	vm_destroy(&vm);
}

TEST(an_irqfd_that_is_no_eventfd_is_refused)
{
	struct kvm_irqfd irqfd = { .fd = -1, .gsi = 4 };
	struct vm vm;

	pic_vm(&vm);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EBADF);
	irqfd.fd = open("/dev/null", O_RDWR);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.flags = 1u << 30;
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EINVAL);
	vm_destroy(&vm);
}

TEST(routing_entries_are_checked)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} table = { .head.nr = 1 };
	struct vm vm;

	pic_vm(&vm);
	table.entry[0].type = 99;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.entry[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	table.entry[0].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	table.entry[0].u.irqchip.pin = 24;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.entry[0].u.irqchip.pin = 0;
	table.entry[0].gsi = 4096;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.head.flags = 1;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	vm_destroy(&vm);
}

TEST(a_route_moves_a_line)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} table = {
		.head.nr = 1,
		.entry[0] = { .gsi = 40, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = 4 },
	};
	struct vm vm;

	pic_vm(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &table), 0);
	EXPECT_EQ(irq_line(&vm, 40, 1), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x77);
	vm_destroy(&vm);
}

GUEST(doorbell, 16)
	"	mov $1, %al\n"
	"	mov $0x100, %dx\n"
	"	out %al, %dx\n"
	"	mov $2, %al\n"
	"	out %al, %dx\n"
	"	hlt\n"
GUEST_END(doorbell);

TEST(an_ioeventfd_takes_the_value_it_matches)
{
	struct kvm_ioeventfd io = {
		.addr = 0x100, .len = 1, .datamatch = 1, .fd = eventfd(0, EFD_NONBLOCK),
		.flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	uint64_t count = 0;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, doorbell);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EEXIST);
	EXPECT_EQ(run_out(&vm, 0x100), 2);
	EXPECT_EQ(read(io.fd, &count, 8), 8);
	EXPECT_EQ(count, 1);
	run_until(&vm, KVM_EXIT_HLT);
	io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), ENOENT);
	vm_destroy(&vm);
}

TEST(an_ioeventfd_of_length_0_takes_all)
{
	struct kvm_ioeventfd io = {
		.addr = 0x100, .fd = eventfd(0, EFD_NONBLOCK), .flags = KVM_IOEVENTFD_FLAG_PIO,
	};
	uint64_t count = 0;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, doorbell);
	EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(read(io.fd, &count, 8), 8);
	EXPECT_EQ(count, 2);
	vm_destroy(&vm);
}

TEST(a_bad_ioeventfd_is_einval)
{
	struct kvm_ioeventfd io = { .addr = 0x100, .len = 3, .fd = eventfd(0, 0) };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	io.len = 8;
	io.addr = -4ull;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	io.addr = 0x100;
	io.flags = 1u << 20;
	EXPECT_ERR(ioctl(vm.fd, KVM_IOEVENTFD, &io), EINVAL);
	vm_destroy(&vm);
}

GUEST(window, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	movw $(0x8000 + 2f - guest_window), 0x30 * 4\n"
	"	movw $0, 0x30 * 4 + 2\n"
	"	out %al, $0x10\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	hlt\n"
	"2:	out %al, $0x11\n"
	"	hlt\n"
GUEST_END(window);

TEST(an_interrupt_of_userspace_waits_for_its_window)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, window);
	run_out(&vm, 0x10);
	EXPECT_EQ(vm.run->ready_for_interrupt_injection, 0);
	vm.run->request_interrupt_window = 1;
	run_until(&vm, KVM_EXIT_IRQ_WINDOW_OPEN);
	EXPECT_EQ(vm.run->ready_for_interrupt_injection, 1);
	EXPECT_EQ(vm.run->if_flag, 1);
	vm.run->request_interrupt_window = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	run_out(&vm, 0x11);
	vm_destroy(&vm);
}

TEST(interrupt_with_a_kernel_pic_is_enxio)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), ENXIO);
	vm_destroy(&vm);
}

TEST(what_must_come_before_vcpus_is_refused_after)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };
	uint64_t addr = 0xfffbc000;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &addr), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &split), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 0), EBUSY);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, 0), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, 4096), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, ~0u), EINVAL);
	vm_destroy(&vm);
}

TEST(a_second_irqchip_is_eexist)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), EEXIST);
	vm_destroy(&vm);
}
