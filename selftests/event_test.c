// SPDX-License-Identifier: GPL-2.0-only
/*
 * SDM "Priority Among Concurrent Events" and "Interrupt 8 - Double Fault Exception": which of
 * several events the guest sees first, and what an exception within a delivery becomes.
 */
#include <cpuid.h>

#include "selftests/lib/okvm_test.h"

/* Tell the vector, then the address that was interrupted. */
#define HANDLER(at, vector)						\
	"	.org guest_events + " at "\n"				\
	"	push %ax\n"						\
	"	push %bp\n"						\
	"	mov %sp, %bp\n"						\
	"	mov $" vector ", %al\n"					\
	"	out %al, $0x11\n"					\
	"	mov 4(%bp), %ax\n"					\
	"	out %ax, $0x12\n"					\
	"	pop %bp\n"						\
	"	pop %ax\n"						\
	"	iret\n"

#define AT_NMI	(VM_CODE + 0x40)
#define AT_UD	(VM_CODE + 0x60)
#define AT_IRQ	(VM_CODE + 0x80)
#define AT_DB	(VM_CODE + 0xa0)
#define AT_MAIN	(VM_CODE + 0x10)	/* STI; three NOPs; OUT to port 0x13 */

GUEST(events, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %ss\n"
	"	mov $0x7000, %sp\n"
	"	.org guest_events + 0xe, 0x90\n"
	"	out %al, $0x10\n"
	"	sti\n"
	"	nop\n"
	"	nop\n"
	"	nop\n"
	"	out %al, $0x13\n"
	"	hlt\n"
	HANDLER("0x40", "2")
	HANDLER("0x60", "6")
	HANDLER("0x80", "0x30")
	HANDLER("0xa0", "1")
GUEST_END(events);

static void vector(struct vm *vm, unsigned int nr, uint16_t at)
{
	uint16_t entry[2] = { at, 0 };

	memcpy(vm->mem + 4 * nr, entry, sizeof(entry));
}

/* Switch the local APIC on by its own software enable bit. */
static void apic_enable(struct vm *vm)
{
	struct kvm_lapic_state lapic;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	lapic.regs[0xf0] = 0xff;
	lapic.regs[0xf1] = 1;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_LAPIC, &lapic) == 0);
}

static void complete_out(struct vm *vm)
{
	vm->run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(vm), EINTR);
	vm->run->immediate_exit = 0;
}

/* Run up to AT_MAIN, and set IF there if @interrupts. */
static void run_to_main(struct vm *vm, bool interrupts)
{
	struct kvm_regs regs;

	LOAD16(vm, events);
	vector(vm, 1, AT_DB);
	vector(vm, 2, AT_NMI);
	vector(vm, 6, AT_UD);
	vector(vm, 0x30, AT_IRQ);
	run_out(vm, 0x10);
	complete_out(vm);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, AT_MAIN);
	if (interrupts)
		regs.rflags |= 0x200;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static void events_vm(struct vm *vm, bool interrupts)
{
	vm_create(vm, VM_IRQCHIP);
	apic_enable(vm);
	run_to_main(vm, interrupts);
}

static void raise_irq(struct vm *vm)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x30 };

	EXPECT_EQ(ioctl(vm->fd, KVM_SIGNAL_MSI, &msi), 1);
}

static void raise_nmi(struct vm *vm)
{
	EXPECT_EQ(ioctl(vm->vcpu, KVM_NMI, 0), 0);
}

static void raise_ud(struct vm *vm)
{
	struct kvm_vcpu_events events;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.exception.injected = 1;
	events.exception.nr = 6;
	events.exception.has_error_code = 0;
	EXPECT_EQ(ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
}

static void set_shadow(struct vm *vm, uint8_t shadow)
{
	struct kvm_vcpu_events events;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = shadow;
	EXPECT_EQ(ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
}

static void expect_event(struct vm *vm, unsigned int nr, uint16_t interrupted)
{
	EXPECT_EQ(run_out(vm, 0x11), nr);
	EXPECT_EQ(run_out(vm, 0x12), interrupted);
}

/*
 * The exception is delivered first. The NMI comes before the first instruction of its handler,
 * and the interrupt after both, as handlers start with interrupts off.
 */
TEST(exception_before_nmi_before_interrupt)
{
	struct vm vm;

	events_vm(&vm, true);
	raise_ud(&vm);
	raise_irq(&vm);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_UD);
	expect_event(&vm, 6, AT_MAIN);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* The interrupt waits, although IF is set when the exception is injected. */
TEST(new_exception_before_interrupt)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_vcpu_events events;
	struct vm vm;

	events_vm(&vm, true);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.pending = 1;
	events.exception.nr = 6;
	events.exception.has_error_code = 0;
	events.exception_has_payload = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	raise_irq(&vm);
	expect_event(&vm, 6, AT_MAIN);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(nmi_before_interrupt)
{
	struct vm vm;

	events_vm(&vm, true);
	raise_irq(&vm);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_MAIN);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* Userspace's controller has had its acknowledgement: the NMI comes within the handler. */
TEST(interrupt_of_userspace_before_nmi)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct vm vm;

	vm_create(&vm, 0);
	run_to_main(&vm, true);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_IRQ);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* KVM_GET_SREGS shows the interrupt, and KVM_SET_SREGS with it does not make it two. */
TEST(sregs_do_not_repeat_an_interrupt)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, 0);
	run_to_main(&vm, true);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.interrupt_bitmap[0], 1ull << 0x30);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* An interrupt is being injected, and KVM_INTERRUPT replaces it: there is one at a time. */
TEST(a_second_interrupt_replaces_the_first)
{
	struct kvm_interrupt irq = { .irq = 0x30 };
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, 0);
	run_to_main(&vm, true);
	vector(&vm, 0x31, AT_UD);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.interrupt.injected = 1;
	events.interrupt.nr = 0x31;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.interrupt_bitmap[0], 1ull << 0x30);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(exception_before_interrupt)
{
	struct vm vm;

	events_vm(&vm, true);
	raise_ud(&vm);
	raise_irq(&vm);
	expect_event(&vm, 6, AT_MAIN);
	expect_event(&vm, 0x30, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* A trap of the instruction before (single step) comes before NMI and interrupt. */
TEST(single_step_before_nmi_before_interrupt)
{
	struct kvm_regs regs;
	struct vm vm;

	events_vm(&vm, false);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rip = AT_MAIN + 1;
	regs.rflags |= 0x300;		/* IF, TF */
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	/* Held back for one instruction: then all three come together. */
	set_shadow(&vm, KVM_X86_SHADOW_INT_MOV_SS);
	raise_irq(&vm);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_DB);
	expect_event(&vm, 1, AT_MAIN + 2);
	vm_destroy(&vm);
}

TEST(an_nmi_waits_for_the_end_of_the_one_before)
{
	struct vm vm;

	events_vm(&vm, false);
	raise_nmi(&vm);
	EXPECT_EQ(run_out(&vm, 0x11), 2);
	raise_nmi(&vm);
	raise_nmi(&vm);
	EXPECT_EQ(run_out(&vm, 0x12), AT_MAIN);
	expect_event(&vm, 2, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* None is being handled: two can be kept. */
TEST(two_nmis_are_kept)
{
	struct vm vm;

	events_vm(&vm, false);
	raise_nmi(&vm);
	raise_nmi(&vm);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_MAIN);
	expect_event(&vm, 2, AT_MAIN);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(sti_holds_interrupts_back_for_one_instruction)
{
	struct vm vm;

	events_vm(&vm, false);
	raise_irq(&vm);
	expect_event(&vm, 0x30, AT_MAIN + 2);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(a_shadow_of_sti_that_was_restored)
{
	struct vm vm;

	events_vm(&vm, true);
	set_shadow(&vm, KVM_X86_SHADOW_INT_STI);
	raise_irq(&vm);
	/* The instruction in the shadow is STI itself, which extends it no more: IF was set. */
	expect_event(&vm, 0x30, AT_MAIN + 1);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(a_shadow_of_mov_ss_holds_nmis_too)
{
	struct vm vm;

	events_vm(&vm, true);
	set_shadow(&vm, KVM_X86_SHADOW_INT_MOV_SS);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_MAIN + 1);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(two_nmis_wait_for_the_end_of_a_shadow)
{
	struct vm vm;

	events_vm(&vm, true);
	set_shadow(&vm, KVM_X86_SHADOW_INT_MOV_SS);
	raise_nmi(&vm);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_MAIN + 1);
	expect_event(&vm, 2, AT_MAIN + 1);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* Restored in the middle of its delivery: where it returns to is behind its prefixes. */
TEST(a_restored_int_n_with_prefixes)
{
	static const uint8_t code[] = { 0x26, 0x2e, 0xcd, 0x30, 0xe6, 0x13 };
	struct kvm_vcpu_events events;
	struct vm vm;

	events_vm(&vm, false);
	memcpy(vm.mem + AT_MAIN, code, sizeof(code));
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.interrupt.injected = 1;
	events.interrupt.nr = 0x30;
	events.interrupt.soft = 1;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	expect_event(&vm, 0x30, AT_MAIN + 4);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(a_masked_nmi_waits_for_iret)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	events_vm(&vm, false);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.nmi.masked = 1;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	raise_nmi(&vm);
	run_out(&vm, 0x13);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.masked, 1);
	EXPECT_EQ(events.nmi.pending, 1);
	vm_destroy(&vm);
}

/* In the handler of an NMI, which has exited once since the second NMI came. */
static void second_nmi_waits(struct vm *vm, struct kvm_vcpu_events *events)
{
	events_vm(vm, false);
	raise_nmi(vm);
	EXPECT_EQ(run_out(vm, 0x11), 2);
	raise_nmi(vm);
	EXPECT_EQ(run_out(vm, 0x12), AT_MAIN);
	complete_out(vm);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, events) == 0);
	EXPECT_EQ(events->nmi.masked, 1);
	EXPECT_EQ(events->nmi.pending, 1);
	EXPECT_EQ(events->nmi.injected, 0);
}

/* A CPU with virtual NMIs has been told of it already. */
TEST(an_nmi_that_is_taken_back_does_not_come)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	second_nmi_waits(&vm, &events);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	events.nmi.pending = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	run_out(&vm, 0x13);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.masked, 0);
	EXPECT_EQ(events.nmi.pending, 0);
	vm_destroy(&vm);
}

TEST(a_waiting_nmi_comes_where_the_vcpu_goes)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm from, to;

	second_nmi_waits(&from, &events);
	REQUIRE(ioctl(from.vcpu, KVM_GET_REGS, &regs) == 0);
	REQUIRE(ioctl(from.vcpu, KVM_GET_SREGS, &sregs) == 0);
	events_vm(&to, false);
	memcpy(to.mem, from.mem, VM_MEMORY);
	vm_destroy(&from);
	REQUIRE(ioctl(to.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(to.vcpu, KVM_SET_SREGS, &sregs) == 0);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	EXPECT_EQ(ioctl(to.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	expect_event(&to, 2, AT_MAIN);
	run_out(&to, 0x13);
	REQUIRE(ioctl(to.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.masked, 0);
	EXPECT_EQ(events.nmi.pending, 0);
	vm_destroy(&to);
}

/* One NMI is taken next, and another one waits for its end: both are saved and restored. */
TEST(two_nmis_are_saved)
{
	struct kvm_vcpu_events events;
	struct vm from, to;

	events_vm(&from, false);
	raise_nmi(&from);
	raise_nmi(&from);
	raise_nmi(&from);
	REQUIRE(ioctl(from.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.pending, 2);
	vm_destroy(&from);
	events_vm(&to, false);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	EXPECT_EQ(ioctl(to.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	EXPECT_EQ(run_out(&to, 0x11), 2);
	REQUIRE(ioctl(to.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.nmi.pending, 1);
	EXPECT_EQ(events.nmi.masked, 1);
	/* While NMIs are masked, no more than one waits. */
	events.nmi.pending = 255;
	EXPECT_EQ(ioctl(to.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	EXPECT_EQ(run_out(&to, 0x12), AT_MAIN);
	expect_event(&to, 2, AT_MAIN);
	run_out(&to, 0x13);
	vm_destroy(&to);
}

static bool has_virtual_nmis(void)
{
	char value = 'N';
	int fd = open("/sys/module/okvm/parameters/vnmi", O_RDONLY);
	unsigned int a, b, c, d;

	if (fd < 0 || read(fd, &value, 1) != 1 || value != 'Y')
		return false;
	return test_on_svm() && __get_cpuid(0x8000000a, &a, &b, &c, &d) && d & 1u << 25;
}

/* Without them IRET exits and is emulated while NMIs are masked. */
TEST(with_virtual_nmis_iret_is_not_emulated)
{
	uint64_t emulated, nmis;
	struct vm vm;

	if (!has_virtual_nmis())
		test_skip("no virtual NMIs of SVM");
	events_vm(&vm, false);
	emulated = vcpu_stat(&vm, "insn_emulation");
	nmis = vcpu_stat(&vm, "nmi_injections");
	raise_nmi(&vm);
	raise_nmi(&vm);
	expect_event(&vm, 2, AT_MAIN);
	expect_event(&vm, 2, AT_MAIN);
	run_out(&vm, 0x13);
	EXPECT_EQ(vcpu_stat(&vm, "insn_emulation"), emulated);
	EXPECT_EQ(vcpu_stat(&vm, "nmi_injections") - nmis, 2);
	vm_destroy(&vm);
}

/* KVM_SET_REGS drops an exception that was raised, not one that hardware has begun to deliver. */
TEST(new_registers_drop_what_is_pending_only)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_vcpu_events events;
	struct kvm_regs regs;
	struct vm vm;

	events_vm(&vm, false);
	raise_ud(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.exception.injected, 1);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	events.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.injected = 0;
	events.exception.pending = 1;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.exception.pending, 1);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.exception.pending, 0);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* ---- double faults: gates that are not present make #NP within the delivery ---- */

#define GDT	0x6000
#define IDT	0x20000

GUEST(faults, 64)
	"	jmp *%rax\n"
	"	.org guest_faults + 0x10\n"
	"	ud2\n"
	"	.org guest_faults + 0x20\n"
	"	mov 0x40000000, %al\n"		/* not mapped */
	"	.org guest_faults + 0x30\n"
	"	xor %eax, %eax\n"
	"	mov %rax, %cr8\n"
	"	dec %rax\n"
	"	mov %rax, %cr8\n"		/* reserved bits: #GP */
	"	.org guest_faults + 0x40\n"
	"	xor %ecx, %ecx\n"
	"	div %ecx\n"
	"	.org guest_faults + 0x80\n"	/* #NP */
	"	mov $11, %al\n"
	"	jmp 1f\n"
	"	.org guest_faults + 0x90\n"	/* #DF */
	"	mov $8, %al\n"
	"1:	out %al, $0x11\n"
	"	pop %rax\n"
	"	out %ax, $0x12\n"
	"	hlt\n"
GUEST_END(faults);

enum cause { BY_UD = 0x10, BY_PF = 0x20, BY_GP = 0x30, BY_DE = 0x40 };

static void gate(struct vm *vm, unsigned int nr, uint16_t offset, bool present)
{
	uint64_t at = VM_CODE + offset;
	uint64_t entry[2] = { (at & 0xffff) | 8 << 16 | (present ? 0x8e00ull : 0xe00) << 32, 0 };

	memcpy(vm->mem + IDT + 16 * nr, entry, sizeof(entry));
}

static void faults_vm(struct vm *vm, enum cause by, bool df_gate)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_create(vm, 0);
	LOAD64(vm, faults);
	memcpy(vm->mem + GDT, gdt, sizeof(gdt));
	gate(vm, 0, 0, false);
	gate(vm, 6, 0, false);
	gate(vm, 13, 0, false);
	gate(vm, 14, 0, false);
	gate(vm, 11, 0x80, true);
	gate(vm, 8, 0x90, df_gate);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt = (struct kvm_dtable) { .base = GDT, .limit = sizeof(gdt) - 1 };
	sregs.idt = (struct kvm_dtable) { .base = IDT, .limit = 0xfff };
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rax = VM_CODE + by;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static void expect_fault(struct vm *vm, unsigned int nr, unsigned int error)
{
	EXPECT_EQ(run_out(vm, 0x11), nr);
	EXPECT_EQ(run_out(vm, 0x12), error);
	vm_destroy(vm);
}

TEST(a_contributory_fault_within_a_benign_one_is_delivered)
{
	struct vm vm;

	faults_vm(&vm, BY_UD, true);
	expect_fault(&vm, 11, 6 << 3 | 2 | 1);	/* IDT, and not the program's own doing */
}

TEST(a_contributory_fault_within_a_page_fault_is_double)
{
	struct vm vm;

	faults_vm(&vm, BY_PF, true);
	expect_fault(&vm, 8, 0);
}

TEST(two_contributory_faults_are_double)
{
	struct vm vm;

	faults_vm(&vm, BY_GP, true);
	expect_fault(&vm, 8, 0);
	faults_vm(&vm, BY_DE, true);
	expect_fault(&vm, 8, 0);
}

TEST(a_fault_within_a_double_fault_is_shutdown)
{
	struct vm vm;

	faults_vm(&vm, BY_PF, false);
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	vm_destroy(&vm);
}

/* Exceptions that userspace hands in follow the same table. */
TEST(a_restored_page_fault_that_cannot_be_delivered_is_double)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	faults_vm(&vm, BY_UD, true);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.exception.injected = 1;
	events.exception.nr = 14;
	events.exception.has_error_code = 1;
	events.exception.error_code = 2;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	expect_fault(&vm, 8, 0);
}

/* ---- instructions that userspace, or a debugger, hands in as events ---- */

static void soft_event(struct vm *vm, unsigned int nr, bool exception)
{
	struct kvm_vcpu_events events;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	if (exception) {
		events.exception.injected = 1;
		events.exception.nr = nr;
		events.exception.has_error_code = 0;
	} else {
		events.interrupt.injected = 1;
		events.interrupt.soft = 1;
		events.interrupt.nr = nr;
	}
	EXPECT_EQ(ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
}

/* Their length is not told, and taken to be that without prefixes, whoever delivers the event. */
TEST(an_int_that_userspace_hands_in_returns_behind_it)
{
	struct vm vm;

	vm_create(&vm, 0);
	run_to_main(&vm, false);
	soft_event(&vm, 0x30, false);
	expect_event(&vm, 0x30, AT_MAIN + 2);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

TEST(an_int3_that_userspace_hands_in_returns_behind_it)
{
	struct vm vm;

	vm_create(&vm, 0);
	run_to_main(&vm, false);
	vector(&vm, 3, AT_UD);
	soft_event(&vm, 3, true);
	expect_event(&vm, 6, AT_MAIN + 1);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}

/* #NP, on a stack that the host has no page for yet, returns to the INT and not behind it. */
TEST(an_int_that_faults_twice_stays_where_it_is)
{
	const unsigned int stack = 0x300000;
	struct kvm_regs regs;
	uint64_t rip;
	struct vm vm;

	faults_vm(&vm, BY_UD, true);
	gate(&vm, 0x40, 0, false);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = stack;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	soft_event(&vm, 0x40, false);
	EXPECT_EQ(run_out(&vm, 0x11), 11);
	memcpy(&rip, vm.mem + stack - 40, sizeof(rip));
	EXPECT_EQ(rip, VM_CODE);
	vm_destroy(&vm);
}

/* The debugger finds that the breakpoint is the guest's, and not the shortest there is. */
TEST(a_breakpoint_that_a_debugger_gives_back_returns_behind_its_prefix)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP };
	struct vm vm;

	test_needs_vmx("SVM need not tell the length of INT3");
	if (no_unrestricted_guest())
		test_skip("INT3 is emulated in real mode, and not the debugger's");
	vm_create(&vm, 0);
	run_to_main(&vm, false);
	vector(&vm, 3, AT_UD);
	memcpy(vm.mem + AT_MAIN, "\xf3\xcc", 2);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	run_until(&vm, KVM_EXIT_DEBUG);
	EXPECT_EQ(vm.run->debug.arch.exception, 3);
	EXPECT_EQ(vm.run->debug.arch.pc, AT_MAIN);
	debug.control |= KVM_GUESTDBG_INJECT_BP;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	expect_event(&vm, 6, AT_MAIN + 2);
	run_out(&vm, 0x13);
	vm_destroy(&vm);
}
