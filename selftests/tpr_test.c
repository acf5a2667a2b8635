// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses to TPR that userspace is told of, and the word in guest memory that is TPR while the
 * guest runs. The APIC is not at its default address, so that the CPU virtualizes no access.
 */
#include "selftests/lib/pages.h"

#define WINDOW		0x30000000u
#define APIC_TPR	0x80
#define APIC_SPIV	0xf0
#define APIC_ISR	0x100
#define BASE_BSP_EN	0x900u
#define BASE_EXTD	(1u << 10)
#define WORD		0x7000u
#define VECTOR		0x41

GUEST(tpr, 64)
	".global tpr_write, tpr_read\n"
	"	mov $0x30000080, %edx\n"
	"	mov $0x57, %eax\n"
	"tpr_write: mov %eax, (%rdx)\n"
	"	xor %eax, %eax\n"
	"tpr_read: mov (%rdx), %eax\n"
	"	out %eax, $0x10\n"
GUEST_END(tpr);

GUEST(x2tpr, 64)
	"	mov $0x808, %ecx\n"
	"	mov $0x57, %eax\n"
	"	xor %edx, %edx\n"
	".global x2_write, x2_read\n"
	"x2_write: wrmsr\n"
	"	xor %eax, %eax\n"
	"x2_read: rdmsr\n"
	"	out %eax, $0x10\n"
GUEST_END(x2tpr);

/* TPR in the word, OUT; then what is found there at each turn. */
GUEST(word, 64)
	"	movb $0x50, 0x7000\n"
	"	out %eax, $0x10\n"
	"1:	mov 0x7000, %eax\n"
	"	out %eax, $0x10\n"
	"	jmp 1b\n"
GUEST_END(word);

/* The interrupt that TPR held back comes when the word lets it: to the HLT at the latest. */
GUEST(lower, 64)
	"	sti\n"
	"	nop\n"
	"	out %eax, $0x10\n"
	"	movb $0, 0x7000\n"
	"	hlt\n"
	"	out %eax, $0x11\n"
	".global lower_handler\n"
	"lower_handler: mov 0x7000, %eax\n"
	"	out %eax, $0x12\n"
GUEST_END(lower);

extern const uint8_t tpr_write[], tpr_read[], x2_write[], x2_read[], lower_handler[];

#define AT(guest, label)	(VM_CODE + ((label) - guest_##guest))

static void create(struct vm *vm, bool split)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };

	if (!split) {
		vm_create(vm, VM_IRQCHIP);
		return;
	}
	vm_create(vm, VM_BARE);
	vm->mem = host_pages(VM_MEMORY / 4096);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &cap) == 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
}

static void set_base(struct vm *vm, uint64_t base)
{
	struct kvm_sregs sregs = sregs_of(vm);

	sregs.apic_base = base;
	sregs_put(vm, &sregs);
}

static int report(struct vm *vm, bool on)
{
	struct kvm_tpr_access_ctl ctl = { .enabled = on };

	return ioctl(vm->vcpu, KVM_TPR_ACCESS_REPORTING, &ctl);
}

static int set_word(struct vm *vm, uint64_t gpa)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = gpa };

	return ioctl(vm->vcpu, KVM_SET_VAPIC_ADDR, &vapic);
}

static uint32_t reg_of(struct vm *vm, uint32_t reg)
{
	struct kvm_lapic_state lapic;
	uint32_t val;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	memcpy(&val, lapic.regs + reg, 4);
	return val;
}

static void reg_or(struct vm *vm, uint32_t reg, uint32_t mask, uint32_t val)
{
	struct kvm_lapic_state lapic;
	uint32_t now;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	memcpy(&now, lapic.regs + reg, 4);
	now = (now & ~mask) | val;
	memcpy(lapic.regs + reg, &now, 4);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_LAPIC, &lapic) == 0);
}

static void expect_tpr_exit(struct vm *vm, uint64_t rip, unsigned int len, bool write)
{
	run_until(vm, KVM_EXIT_TPR_ACCESS);
	EXPECT_EQ(vm->run->tpr_access.rip, rip);
	EXPECT_EQ(vm->run->tpr_access.is_write, write);
	/* The instruction is done. */
	EXPECT_EQ(regs_of(vm).rip, rip + len);
}

static void accesses(bool split)
{
	struct vm vm;

	create(&vm, split);
	set_base(&vm, WINDOW | BASE_BSP_EN);
	LOAD64(&vm, tpr);
	EXPECT_EQ(report(&vm, true), 0);
	expect_tpr_exit(&vm, AT(tpr, tpr_write), 2, true);
	EXPECT_EQ(reg_of(&vm, APIC_TPR), 0x57);
	expect_tpr_exit(&vm, AT(tpr, tpr_read), 2, false);
	EXPECT_EQ(run_out(&vm, 0x10), 0x57);
	LOAD64(&vm, tpr);
	EXPECT_EQ(report(&vm, false), 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0x57);
	vm_destroy(&vm);
}

TEST(accesses_to_tpr_exit)
{
	EXPECT_EQ(ioctl(open_device(), KVM_CHECK_EXTENSION, KVM_CAP_VAPIC), 1);
	accesses(false);
	accesses(true);
}

TEST(accesses_by_msr_exit_too)
{
	struct vm vm;

	create(&vm, false);
	set_base(&vm, 0xfee00000u | BASE_BSP_EN | BASE_EXTD);
	LOAD64(&vm, x2tpr);
	EXPECT_EQ(report(&vm, true), 0);
	REQUIRE(vcpu_run(&vm) == 0);
	if (vm.run->exit_reason == KVM_EXIT_IO) {
		vm_destroy(&vm);
		test_skip("the CPU does these accesses alone");
	}
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_TPR_ACCESS);
	EXPECT_EQ(vm.run->tpr_access.rip, AT(x2tpr, x2_write));
	EXPECT_EQ(vm.run->tpr_access.is_write, 1);
	expect_tpr_exit(&vm, AT(x2tpr, x2_read), 2, false);
	EXPECT_EQ(run_out(&vm, 0x10), 0x57);
	vm_destroy(&vm);
}

TEST(reporting_without_an_apic_is_nothing)
{
	struct kvm_tpr_access_ctl ctl = { .enabled = 1, .flags = 1 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(report(&vm, true), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_TPR_ACCESS_REPORTING, &ctl), EINVAL);
	vm_destroy(&vm);
}

static void word_vm(struct vm *vm, bool split)
{
	create(vm, split);
	set_base(vm, WINDOW | BASE_BSP_EN);
	reg_or(vm, APIC_SPIV, ~0u, 0x1ff);
}

static void word(bool split)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000u, .data = VECTOR };
	struct vm vm;

	word_vm(&vm, split);
	LOAD64(&vm, word);
	EXPECT_EQ(set_word(&vm, WORD), 0);
	memset(vm.mem + WORD, 0xff, 4);
	run_out(&vm, 0x10);
	/* The guest has written it. */
	EXPECT_EQ(reg_of(&vm, APIC_TPR), 0x50);
	EXPECT_EQ(sregs_of(&vm).cr8, 5);
	EXPECT_EQ(vm.run->cr8, 5);
	/* Userspace has: what is in service and what is requested come with it. */
	reg_or(&vm, APIC_TPR, ~0u, 0x23);
	reg_or(&vm, APIC_ISR + 0x30, 0, 1 << 1);
	EXPECT_EQ(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), 1);
	EXPECT_EQ(run_out(&vm, 0x10), 0x23u | 0x60 << 8 | VECTOR << 24);
	EXPECT_EQ(reg_of(&vm, APIC_TPR), 0x23);
	/* Nothing is written any more. */
	EXPECT_EQ(set_word(&vm, 0), 0);
	memset(vm.mem + WORD, 0x77, 4);
	EXPECT_EQ(run_out(&vm, 0x10), 0x77777777u);
	EXPECT_EQ(reg_of(&vm, APIC_TPR), 0x23);
	vm_destroy(&vm);
}

TEST(a_word_in_memory_is_the_tpr)
{
	word(false);
	word(true);
}

TEST(an_interrupt_comes_when_the_word_lets_it)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000u, .data = VECTOR };
	struct kvm_sregs sregs;
	struct vm vm;

	word_vm(&vm, false);
	LOAD64(&vm, lower);
	pages_setup(&vm);
	pages_gate(&vm, VECTOR, AT(lower, lower_handler));
	sregs = sregs_of(&vm);
	sregs.idt.limit = 0xfff;
	sregs_put(&vm, &sregs);
	EXPECT_EQ(set_word(&vm, WORD), 0);
	reg_or(&vm, APIC_TPR, ~0u, 0x50);
	EXPECT_EQ(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), 1);
	run_out(&vm, 0x10);
	EXPECT_EQ(run_out(&vm, 0x12), (VECTOR & 0xf0) << 8);
	vm_destroy(&vm);
}

TEST(a_word_that_is_not_there)
{
	uint8_t *page = host_pages(1);
	struct vm vm;

	word_vm(&vm, false);
	LOAD64(&vm, word);
	EXPECT_ERR(set_word(&vm, PAGES_HOLE), EINVAL);
	EXPECT_ERR(set_word(&vm, ~0ull), EINVAL);
	EXPECT_ERR(set_word(&vm, WORD + 0xffd), EINVAL);
	EXPECT_EQ(set_word(&vm, WORD + 0xffc), 0);
	/* Its memory goes: the local APIC's own TPR stays. */
	vm_slot(&vm, 1, PAGES_HOLE, 0x1000, page, 0);
	EXPECT_EQ(set_word(&vm, PAGES_HOLE), 0);
	reg_or(&vm, APIC_TPR, ~0u, 0x35);
	run_out(&vm, 0x10);
	EXPECT_EQ(page[0], 0x35);
	vm_slot_delete(&vm, 1);
	page[0] = 0;
	run_out(&vm, 0x10);
	EXPECT_EQ(reg_of(&vm, APIC_TPR), 0x35);
	EXPECT_EQ(page[0], 0);
	/* It is back. */
	vm_slot(&vm, 1, PAGES_HOLE, 0x1000, page, 0);
	run_out(&vm, 0x10);
	EXPECT_EQ(page[0], 0x35);
	vm_destroy(&vm);
}
