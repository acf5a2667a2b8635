// SPDX-License-Identifier: GPL-2.0-only
/* Messages, lines and eventfds that end in a local APIC, and the split irqchip. */
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

/* Tell the vector, end the interrupt by the x2APIC's EOI register. */
#define HANDLER(at, vector)						\
	"	.org guest_apic + " at "\n"				\
	"	mov $" vector ", %al\n"					\
	"	out %al, $0x11\n"					\
	"	mov $0x80b, %ecx\n"					\
	"	xor %eax, %eax\n"					\
	"	xor %edx, %edx\n"					\
	"	wrmsr\n"						\
	"	iret\n"

GUEST(apic, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	out %al, $0x10\n"
	"	sti\n"
	"1:	hlt\n"
	"	jmp 1b\n"
	HANDLER("0x40", "0x41")
	HANDLER("0x80", "0x51")
	"	.org guest_apic + 0xc0\n"
	"	mov $2, %al\n"
	"	out %al, $0x11\n"
	"	iret\n"
	"	.org guest_apic + 0xe0\n"
	"	mov $0x30, %al\n"
	"	out %al, $0x11\n"
	"	iret\n"
GUEST_END(apic);

static void vector(struct vm *vm, unsigned int nr, uint16_t offset)
{
	uint16_t entry[2] = { VM_CODE + offset, 0 };

	memcpy(vm->mem + 4 * nr, entry, sizeof(entry));
}

/* Software-enable the APIC in x2APIC mode, and run up to the guest's loop. */
static void apic_start(struct vm *vm)
{
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;

	LOAD16(vm, apic);
	vector(vm, 2, 0xc0);
	vector(vm, 0x30, 0xe0);
	vector(vm, 0x41, 0x40);
	vector(vm, 0x51, 0x80);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.apic_base |= 0xc00;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	lapic.regs[0xf0] = 0xff;
	lapic.regs[0xf1] = 1;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_LAPIC, &lapic) == 0);
	run_out(vm, 0x10);
}

static void apic_vm(struct vm *vm)
{
	vm_create(vm, VM_IRQCHIP);
	apic_start(vm);
}

static int send_msi(struct vm *vm, uint8_t dest, uint32_t data)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000 | dest << 12, .data = data };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static void on_signal(int nr)
{
	(void)nr;
}

/* Nothing more comes out of the guest: it sleeps until a signal ends that. */
static void expect_sleep(struct vm *vm)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec when = { .it_value.tv_nsec = 30000000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &when, NULL) == 0);
	EXPECT_ERR(vcpu_run(vm), EINTR);
	timer_delete(timer);
}

TEST(a_message_reaches_its_handler)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(send_msi(&vm, 0, 0x41), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	EXPECT_EQ(send_msi(&vm, 0, 0x51), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(the_higher_vector_comes_first)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(send_msi(&vm, 0, 0x41), 1);
	EXPECT_EQ(send_msi(&vm, 0, 0x51), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

/* A second message of a vector that still waits is the same interrupt. */
TEST(a_message_that_waits_is_not_doubled)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(send_msi(&vm, 0, 0x41), 1);
	EXPECT(send_msi(&vm, 0, 0x41) >= 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(a_broadcast_reaches_everybody)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(send_msi(&vm, 0xff, 0x41), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	vm_destroy(&vm);
}

TEST(a_message_to_nobody_is_taken_by_none)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(send_msi(&vm, 7, 0x41), 0);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(an_apic_that_is_switched_off_takes_none)
{
	struct kvm_lapic_state lapic;
	struct vm vm;

	apic_vm(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic) == 0);
	lapic.regs[0xf1] = 0;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic) == 0);
	EXPECT_EQ(send_msi(&vm, 0, 0x41), 0);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(a_message_may_be_an_nmi)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(send_msi(&vm, 0, 0x400), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 2);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(unknown_flags_of_a_message_are_einval)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41, .flags = 1u << 30 };
	struct vm vm;

	apic_vm(&vm);
	EXPECT_ERR(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), EINVAL);
	vm_destroy(&vm);
}

static int one_route(struct vm *vm, uint32_t gsi, uint32_t data)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} table = { .head.nr = 1, .entry[0] = {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = 0xfee00000, .data = data },
	} };

	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table);
}

TEST(a_line_may_be_a_message)
{
	struct kvm_irq_level line = { .irq = 100, .level = 1 };
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(one_route(&vm, 100, 0x41), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE_STATUS, &line), 0);
	EXPECT_EQ(line.status, 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	line.irq = 100;
	line.level = 0;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(an_eventfd_follows_its_route)
{
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 100 };
	uint64_t one = 1;
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(one_route(&vm, 100, 0x41), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	EXPECT_EQ(write(irqfd.fd, &one, 8), 8);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	EXPECT_EQ(one_route(&vm, 100, 0x51), 0);
	EXPECT_EQ(write(irqfd.fd, &one, 8), 8);
	EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	EXPECT_EQ(write(irqfd.fd, &one, 8), 8);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(an_eventfd_that_is_closed_is_gone)
{
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 100 };
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(one_route(&vm, 100, 0x41), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	close(irqfd.fd);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

/* ---- resampling: a level that stays high until its device has been asked ---- */

#define LEVEL_PIN	20

static void ioapic_pin(struct vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	REQUIRE(ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) == 0);
	chip.chip.ioapic.redirtbl[LEVEL_PIN].bits = 1 << 15 | 0x51;
	REQUIRE(ioctl(vm->fd, KVM_SET_IRQCHIP, &chip) == 0);
}

TEST(a_level_comes_again_until_it_falls)
{
	struct kvm_irq_level line = { .irq = LEVEL_PIN, .level = 1 };
	struct vm vm;
	int i;

	apic_vm(&vm);
	ioapic_pin(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	line.level = 0;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	expect_sleep(&vm);
	vm_destroy(&vm);
}

TEST(a_resampled_eventfd_is_told_of_the_eoi)
{
	struct kvm_irqfd irqfd = {
		.fd = eventfd(0, 0), .gsi = LEVEL_PIN, .flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = eventfd(0, EFD_NONBLOCK),
	};
	uint64_t val = 1;
	struct vm vm;

	apic_vm(&vm);
	ioapic_pin(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	EXPECT_EQ(write(irqfd.fd, &val, 8), 8);
	EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	EXPECT_ERR(read(irqfd.resamplefd, &val, 8), EAGAIN);
	/* The EOI lowers the line and tells the device, which is content. */
	expect_sleep(&vm);
	EXPECT_EQ(read(irqfd.resamplefd, &val, 8), 8);
	EXPECT_EQ(val, 1);
	val = 1;
	EXPECT_EQ(write(irqfd.fd, &val, 8), 8);
	EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	expect_sleep(&vm);
	EXPECT_EQ(read(irqfd.resamplefd, &val, 8), 8);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	vm_destroy(&vm);
}

TEST(a_resamplefd_that_is_no_eventfd_is_refused)
{
	struct kvm_irqfd irqfd = {
		.fd = eventfd(0, 0), .gsi = LEVEL_PIN, .flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = -1,
	};
	struct vm vm;

	apic_vm(&vm);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EBADF);
	irqfd.resamplefd = open("/dev/null", O_RDWR);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.flags = 0;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	vm_destroy(&vm);
}

/* ---- split: LAPICs in the kernel, IOAPIC and PIC in userspace ---- */

static int split(struct vm *vm, uint64_t routes)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = routes };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

static void split_vm(struct vm *vm)
{
	vm_create(vm, VM_BARE);
	REQUIRE(split(vm, 24) == 0);
	vm->mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(vm->mem != MAP_FAILED);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
}

TEST(an_irqchip_is_chosen_once)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(split(&vm, 4097), EINVAL);
	EXPECT_EQ(split(&vm, 24), 0);
	EXPECT_ERR(split(&vm, 24), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), EEXIST);
	vm_destroy(&vm);
	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), 0);
	EXPECT_ERR(split(&vm, 24), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), EEXIST);
	vm_destroy(&vm);
}

TEST(what_a_split_irqchip_has_not)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_irqfd irqfd = {
		.fd = eventfd(0, 0), .gsi = 1, .flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = eventfd(0, 0),
	};
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} table = { .head.nr = 1, .entry[0].type = KVM_IRQ_ROUTING_IRQCHIP };
	struct vm vm;

	split_vm(&vm);
	EXPECT_ERR(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_IRQCHIP, &chip), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	vm_destroy(&vm);
}

TEST(userspaces_pic_has_one_interrupt_at_a_time)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct kvm_lapic_state lapic;
	struct vm vm;

	split_vm(&vm);
	apic_start(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic) == 0);
	lapic.regs[0x351] = 7;		/* LINT0: ExtINT, not masked */
	lapic.regs[0x352] = 0;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic) == 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), EEXIST);
	EXPECT_EQ(run_out(&vm, 0x11), 0x30);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x30);
	vm_destroy(&vm);
}

GUEST(busy, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	out %al, $0x10\n"
	"	sti\n"
	"	nop\n"
	"1:	out %al, $0x12\n"
	"	jmp 1b\n"
	"	.org guest_busy + 0x40\n"
	"	mov $0x30, %al\n"
	"	out %al, $0x11\n"
	"	iret\n"
GUEST_END(busy);

/* LINT0: ExtINT, or masked */
static void set_lint0(struct vm *vm, bool masked)
{
	struct kvm_lapic_state lapic;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	lapic.regs[0xf0] = 0xff;
	lapic.regs[0xf1] = 1;
	lapic.regs[0x351] = 7;
	lapic.regs[0x352] = masked;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_LAPIC, &lapic) == 0);
}

TEST(a_window_opens_for_userspaces_pic)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct vm vm;

	split_vm(&vm);
	LOAD16(&vm, busy);
	vector(&vm, 0x30, 0x40);
	set_lint0(&vm, false);
	run_out(&vm, 0x10);
	vm.run->request_interrupt_window = 1;
	run_until(&vm, KVM_EXIT_IRQ_WINDOW_OPEN);
	EXPECT_EQ(vm.run->ready_for_interrupt_injection, 1);
	vm.run->request_interrupt_window = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	EXPECT_EQ(run_out(&vm, 0x11), 0x30);
	run_out(&vm, 0x12);
	vm_destroy(&vm);
}

TEST(a_masked_lint0_opens_no_window)
{
	struct vm vm;
	int i;

	split_vm(&vm);
	LOAD16(&vm, busy);
	set_lint0(&vm, true);
	run_out(&vm, 0x10);
	vm.run->request_interrupt_window = 1;
	for (i = 0; i < 3; i++) {
		run_out(&vm, 0x12);
		EXPECT_EQ(vm.run->ready_for_interrupt_injection, 0);
	}
	set_lint0(&vm, false);
	run_until(&vm, KVM_EXIT_IRQ_WINDOW_OPEN);
	EXPECT_EQ(vm.run->ready_for_interrupt_injection, 1);
	vm_destroy(&vm);
}

TEST(userspaces_ioapic_is_told_of_eois)
{
	struct vm vm;

	split_vm(&vm);
	EXPECT_EQ(one_route(&vm, 5, 1 << 15 | 1 << 14 | 0x51), 0);
	apic_start(&vm);
	EXPECT_EQ(send_msi(&vm, 0, 1 << 15 | 1 << 14 | 0x51), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x51);
	run_until(&vm, KVM_EXIT_IOAPIC_EOI);
	EXPECT_EQ(vm.run->eoi.vector, 0x51);
	/* Not of an edge, nor of a vector that no pin has. */
	EXPECT_EQ(send_msi(&vm, 0, 0x41), 1);
	EXPECT_EQ(run_out(&vm, 0x11), 0x41);
	expect_sleep(&vm);
	vm_destroy(&vm);
}
