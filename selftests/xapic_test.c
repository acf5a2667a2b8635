// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest sees in the window of its xAPIC, whoever answers there: the CPU by its own
 * virtualization or KVM by emulation. Run with each set of module parameters.
 */
#include "selftests/lib/okvm_test.h"

/* One operation per turn: userspace sets RBX to it and the registers it wants. */
GUEST(apic, 64)
	"1:	out %al, $0x10\n"
	"	jmp *%rbx\n"
	".global apic_rd, apic_wr, apic_rdmsr, apic_wrmsr, apic_rdcr8, apic_wrcr8, apic_window\n"
	".global apic_handlers\n"
	"apic_rd: mov (%rdx), %eax\n"
	"	jmp 1b\n"
	"apic_wr: mov %eax, (%rdx)\n"
	"	jmp 1b\n"
	"apic_rdmsr: rdmsr\n"
	"	jmp 1b\n"
	"apic_wrmsr: wrmsr\n"
	"	jmp 1b\n"
	"apic_rdcr8: mov %cr8, %rax\n"
	"	jmp 1b\n"
	"apic_wrcr8: mov %rax, %cr8\n"
	"	jmp 1b\n"
	"apic_window: sti\n"
	"	nop\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"	jmp 1b\n"
	/* Each appends its vector to what is at 0x7000. 32 bytes apart. */
	"	.balign 32\n"
	"apic_handlers:\n"
	"	.irp vector, 0x41, 0x51, 0x61\n"
	"	.balign 32\n"
	"	push %rcx\n"
	"	movzbl 0x7000, %ecx\n"
	"	movb $\\vector, 0x7001(%rcx)\n"
	"	incb 0x7000\n"
	"	pop %rcx\n"
	"	iretq\n"
	"	.endr\n"
GUEST_END(apic);

extern const uint8_t apic_rd[], apic_wr[], apic_rdmsr[], apic_wrmsr[], apic_rdcr8[], apic_wrcr8[],
	apic_window[], apic_handlers[];

#define WINDOW		0xfee00000ull
#define ELSEWHERE	0xfec80000ull
#define MSR_APIC_BASE	0x1b
#define BASE_BSP	(1u << 8)
#define BASE_EXTD	(1u << 10)
#define BASE_EN		(1u << 11)

enum apic_reg {
	ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0,
	SPIV = 0xf0, ISR = 0x100, IRR = 0x200, ICR = 0x300, ICR2 = 0x310, LVTT = 0x320,
	LVT0 = 0x350, TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0,
};

#define TO_SELF		0x44000u	/* shorthand and level of ICR */
#define INIT_ASSERT	0x4500u

#define GDT	0x5000
#define IDT	0x6000
#define LOG	0x7000

static uint64_t address_of(const uint8_t *op)
{
	return VM_CODE + (op - guest_apic);
}

static void gates(struct vm *vm)
{
	static const uint8_t vectors[] = { 0x41, 0x51, 0x61 };
	uint64_t *gdt = (uint64_t *)(vm->mem + GDT);
	unsigned int i;

	gdt[1] = 0x00af9b000000ffffull;
	gdt[2] = 0x00cf93000000ffffull;
	for (i = 0; i < sizeof(vectors); i++) {
		uint64_t *gate = (uint64_t *)(vm->mem + IDT + vectors[i] * 16);
		uint64_t at = address_of(apic_handlers) + i * 32;

		/* Present interrupt gate, CS 8. */
		gate[0] = (at & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
		gate[1] = at >> 32;
	}
}

/* The vCPU runs up to its first turn. */
static void start(struct vm *vm, uint64_t stack)
{
	struct kvm_mp_state running = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	LOAD64(vm, apic);
	gates(vm);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 3 * 8 - 1;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = stack;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_MP_STATE, &running) == 0);
	run_out(vm, 0x10);
}

static void prepare(struct vm *vm, const uint8_t *op, uint64_t rax, uint64_t rcx, uint64_t rdx)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rbx = address_of(op);
	regs.rax = rax;
	regs.rcx = rcx;
	regs.rdx = rdx;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

static uint64_t turn(struct vm *vm, const uint8_t *op, uint64_t rax, uint64_t rcx, uint64_t rdx)
{
	prepare(vm, op, rax, rcx, rdx);
	run_out(vm, 0x10);
	return get_reg_rax(vm);
}

static uint32_t rd(struct vm *vm, enum apic_reg reg)
{
	return turn(vm, apic_rd, 0, 0, WINDOW + reg);
}

static void wr(struct vm *vm, enum apic_reg reg, uint32_t val)
{
	turn(vm, apic_wr, val, 0, WINDOW + reg);
}

static uint32_t cr8(struct vm *vm)
{
	return turn(vm, apic_rdcr8, 0, 0, 0);
}

/* A read at @at leaves to userspace: no APIC is there. */
static bool is_mmio(struct vm *vm, uint64_t at)
{
	bool mmio;

	prepare(vm, apic_rd, 0, 0, at);
	REQUIRE(vcpu_run(vm) == 0);
	mmio = vm->run->exit_reason == KVM_EXIT_MMIO && vm->run->mmio.phys_addr == at;
	if (!mmio)
		return false;
	memset(vm->run->mmio.data, 0x5a, 8);
	run_out(vm, 0x10);
	return (uint32_t)get_reg_rax(vm) == 0x5a5a5a5a;
}

static void set_base(struct vm *vm, uint32_t base)
{
	turn(vm, apic_wrmsr, base, MSR_APIC_BASE, 0);
}

/* Interrupts are let in; then the vectors that came, first the newest in the lowest byte. */
static uint32_t window(struct vm *vm)
{
	uint8_t *log = vm->mem + LOG;
	uint32_t came = 0;
	unsigned int i;

	turn(vm, apic_window, 0, 0, 0);
	for (i = 0; i < log[0]; i++)
		came = came << 8 | log[1 + i];
	log[0] = 0;
	return came;
}

static void self_ipi(struct vm *vm, uint8_t vector)
{
	wr(vm, ICR, TO_SELF | vector);
}

static void apic_vm(struct vm *vm)
{
	/* Where no APIC answers, userspace does, and not KVM with all ones. */
	struct kvm_enable_cap no_hole = {
		.cap = KVM_CAP_DISABLE_QUIRKS, .args = { KVM_X86_QUIRK_LAPIC_MMIO_HOLE },
	};

	vm_create(vm, VM_IRQCHIP);
	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &no_hole) == 0);
	start(vm, 0x8000);
	wr(vm, SPIV, 0x1ff);
	wr(vm, LVT0, 0x10000);
}

TEST(registers_read_as_they_were_written)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(rd(&vm, ID), 0);
	EXPECT_EQ(rd(&vm, VERSION) & 0xff, 0x14);
	EXPECT_EQ(rd(&vm, SPIV), 0x1ff);
	wr(&vm, ICR2, 0x12345678);
	EXPECT_EQ(rd(&vm, ICR2), 0x12000000);
	wr(&vm, LDR, 0x12345678);
	EXPECT_EQ(rd(&vm, LDR), 0x12000000);
	wr(&vm, DFR, 0x01234567);
	EXPECT_EQ(rd(&vm, DFR), 0x0fffffff);
	wr(&vm, TDCR, 0xb);
	EXPECT_EQ(rd(&vm, TDCR), 0xb);
	wr(&vm, LVTT, 0x10041);
	EXPECT_EQ(rd(&vm, LVTT), 0x10041);
	/* Read-only. */
	wr(&vm, VERSION, 0);
	EXPECT_EQ(rd(&vm, VERSION) & 0xff, 0x14);
	vm_destroy(&vm);
}

TEST(tpr_and_cr8_are_one)
{
	struct vm vm;

	apic_vm(&vm);
	wr(&vm, TPR, 0x6f);
	EXPECT_EQ(cr8(&vm), 6);
	EXPECT_EQ(rd(&vm, TPR), 0x6f);
	EXPECT_EQ(rd(&vm, PPR), 0x6f);
	turn(&vm, apic_wrcr8, 3, 0, 0);
	EXPECT_EQ(rd(&vm, TPR), 0x30);
	vm_destroy(&vm);
}

TEST(an_interrupt_goes_from_irr_to_isr_and_ends_with_eoi)
{
	struct vm vm;

	apic_vm(&vm);
	self_ipi(&vm, 0x51);
	EXPECT_EQ(rd(&vm, IRR + 0x20), 1 << 17);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 0);
	EXPECT_EQ(window(&vm), 0x51);
	EXPECT_EQ(rd(&vm, IRR + 0x20), 0);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 1 << 17);
	EXPECT_EQ(rd(&vm, PPR), 0x50);
	wr(&vm, EOI, 0);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 0);
	EXPECT_EQ(rd(&vm, PPR), 0);
	EXPECT_EQ(window(&vm), 0);
	vm_destroy(&vm);
}

TEST(the_highest_comes_first_and_holds_the_others_back)
{
	struct vm vm;

	apic_vm(&vm);
	self_ipi(&vm, 0x41);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0x61);
	EXPECT_EQ(window(&vm), 0);
	wr(&vm, EOI, 0);
	EXPECT_EQ(window(&vm), 0x41);
	/* A higher one is let in on top. */
	self_ipi(&vm, 0x51);
	EXPECT_EQ(window(&vm), 0x51);
	EXPECT_EQ(rd(&vm, PPR), 0x50);
	wr(&vm, EOI, 0);
	EXPECT_EQ(rd(&vm, PPR), 0x40);
	wr(&vm, EOI, 0);
	EXPECT_EQ(rd(&vm, PPR), 0);
	vm_destroy(&vm);
}

TEST(tpr_holds_back)
{
	struct vm vm;

	apic_vm(&vm);
	wr(&vm, TPR, 0x50);
	self_ipi(&vm, 0x51);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0x61);
	wr(&vm, EOI, 0);
	EXPECT_EQ(window(&vm), 0);
	wr(&vm, TPR, 0x40);
	EXPECT_EQ(window(&vm), 0x51);
	wr(&vm, EOI, 0);
	turn(&vm, apic_wrcr8, 15, 0, 0);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0);
	turn(&vm, apic_wrcr8, 5, 0, 0);
	EXPECT_EQ(window(&vm), 0x61);
	vm_destroy(&vm);
}

TEST(a_message_reaches_the_window)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x51 };
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), 1);
	EXPECT_EQ(window(&vm), 0x51);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 1 << 17);
	wr(&vm, EOI, 0);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 0);
	vm_destroy(&vm);
}

TEST(the_timer_counts_and_fires)
{
	struct vm vm;
	uint32_t first;
	int turns = 0;

	apic_vm(&vm);
	wr(&vm, TDCR, 0xb);
	wr(&vm, LVTT, 0x41);
	wr(&vm, TMICT, 0x7fffffff);
	first = rd(&vm, TMCCT);
	EXPECT(first && first < 0x7fffffff);
	EXPECT(rd(&vm, TMCCT) < first);
	wr(&vm, TMICT, 1000);
	while (window(&vm) != 0x41 && ++turns < 100000)
		;
	EXPECT(turns < 100000);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 2);
	vm_destroy(&vm);
}

static uint32_t saved(struct kvm_lapic_state *state, enum apic_reg reg)
{
	uint32_t val;

	memcpy(&val, state->regs + reg, sizeof(val));
	return val;
}

static void restore(struct kvm_lapic_state *state, enum apic_reg reg, uint32_t val)
{
	memcpy(state->regs + reg, &val, sizeof(val));
}

TEST(userspace_saves_and_restores_what_the_guest_sees)
{
	struct kvm_lapic_state state;
	struct vm vm;

	apic_vm(&vm);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0x61);
	self_ipi(&vm, 0x51);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_LAPIC, &state), 0);
	EXPECT_EQ(saved(&state, ISR + 0x30), 2);
	EXPECT_EQ(saved(&state, IRR + 0x20), 1 << 17);
	EXPECT_EQ(saved(&state, SPIV), 0x1ff);
	/* Nothing is in service any more, and 0x41 was requested besides. */
	restore(&state, ISR + 0x30, 0);
	restore(&state, IRR + 0x20, 1 << 17 | 2);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_LAPIC, &state), 0);
	EXPECT_EQ(window(&vm), 0x51);
	wr(&vm, EOI, 0);
	EXPECT_EQ(window(&vm), 0x41);
	wr(&vm, EOI, 0);
	EXPECT_EQ(rd(&vm, PPR), 0);
	vm_destroy(&vm);
}

TEST(the_window_moves_and_comes_back)
{
	struct vm vm;

	apic_vm(&vm);
	set_base(&vm, ELSEWHERE | BASE_EN | BASE_BSP);
	EXPECT(is_mmio(&vm, WINDOW + VERSION));
	EXPECT_EQ((uint32_t)turn(&vm, apic_rd, 0, 0, ELSEWHERE + SPIV), 0x1ff);
	turn(&vm, apic_wr, TO_SELF | 0x51, 0, ELSEWHERE + ICR);
	EXPECT_EQ(window(&vm), 0x51);
	set_base(&vm, WINDOW | BASE_EN | BASE_BSP);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 1 << 17);
	wr(&vm, EOI, 0);
	self_ipi(&vm, 0x41);
	EXPECT_EQ(window(&vm), 0x41);
	EXPECT(is_mmio(&vm, ELSEWHERE + SPIV));
	vm_destroy(&vm);
}

TEST(a_disabled_apic_leaves_no_trace)
{
	struct vm vm;

	apic_vm(&vm);
	EXPECT_EQ(rd(&vm, SPIV), 0x1ff);
	set_base(&vm, WINDOW | BASE_BSP);
	EXPECT(is_mmio(&vm, WINDOW + SPIV));
	set_base(&vm, WINDOW | BASE_EN | BASE_BSP);
	EXPECT(!is_mmio(&vm, WINDOW + SPIV));
	vm_destroy(&vm);
}

TEST(interrupts_survive_the_switch_to_x2apic)
{
	struct vm vm;

	apic_vm(&vm);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0x61);
	self_ipi(&vm, 0x51);
	set_base(&vm, WINDOW | BASE_EN | BASE_EXTD | BASE_BSP);
	EXPECT(is_mmio(&vm, WINDOW + SPIV));
	EXPECT_EQ(window(&vm), 0);
	EXPECT_EQ((uint32_t)turn(&vm, apic_rdmsr, 0, 0x813, 0), 2);
	turn(&vm, apic_wrmsr, 0, 0x80b, 0);
	EXPECT_EQ(window(&vm), 0x51);
	turn(&vm, apic_wrmsr, 0, 0x80b, 0);
	turn(&vm, apic_wrmsr, 0x41, 0x83f, 0);
	EXPECT_EQ(window(&vm), 0x41);
	vm_destroy(&vm);
}

/* A second vCPU of @vm, at its first turn. */
static void second(struct vm *vm, struct vm *other)
{
	*other = *vm;
	other->vcpu = vcpu_add(vm, 1, &other->run);
	vcpu_cpuid(vm, other->vcpu);
	start(other, 0x7800);
}

TEST(one_vcpu_without_apic_does_not_see_the_others)
{
	struct vm vm, other;

	apic_vm(&vm);
	second(&vm, &other);
	EXPECT_EQ(rd(&vm, SPIV), 0x1ff);
	EXPECT_EQ(rd(&other, ID), 1 << 24);
	set_base(&other, WINDOW);
	EXPECT(is_mmio(&other, WINDOW + SPIV));
	EXPECT_EQ(rd(&vm, SPIV), 0x1ff);
	self_ipi(&vm, 0x51);
	EXPECT_EQ(window(&vm), 0x51);
	wr(&vm, EOI, 0);
	EXPECT_EQ(rd(&vm, ISR + 0x20), 0);
	EXPECT(is_mmio(&other, WINDOW + SPIV));
	set_base(&other, WINDOW | BASE_EN);
	EXPECT_EQ(rd(&other, ID), 1 << 24);
	self_ipi(&vm, 0x41);
	EXPECT_EQ(window(&vm), 0x41);
	vm_destroy(&vm);
}

TEST(an_ipi_reaches_another_vcpu)
{
	struct vm vm, other;

	apic_vm(&vm);
	second(&vm, &other);
	wr(&other, SPIV, 0x1ff);
	wr(&vm, ICR2, 1 << 24);
	wr(&vm, ICR, 0x4051);
	EXPECT_EQ(rd(&other, IRR + 0x20), 1 << 17);
	EXPECT_EQ(window(&other), 0x51);
	wr(&other, EOI, 0);
	EXPECT_EQ(rd(&other, PPR), 0);
	vm_destroy(&vm);
}

TEST(init_forgets_what_is_in_service_and_what_is_requested)
{
	struct vm vm, other;

	apic_vm(&vm);
	second(&vm, &other);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0x61);
	self_ipi(&vm, 0x51);
	wr(&other, ICR2, 0);
	wr(&other, ICR, 0x4051);
	wr(&other, ICR, INIT_ASSERT);
	/* The boot processor goes to its reset vector, where there is no memory. */
	vm.run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	vm.run->immediate_exit = 0;
	REQUIRE(vcpu_run(&vm) == 0);
	start(&vm, 0x8000);
	wr(&vm, SPIV, 0x1ff);
	EXPECT_EQ(rd(&vm, ISR + 0x30), 0);
	EXPECT_EQ(rd(&vm, IRR + 0x20), 0);
	self_ipi(&vm, 0x41);
	EXPECT_EQ(window(&vm), 0x41);
	vm_destroy(&vm);
}

/* The PIC's input 1 has vector 0x51, and its output reaches the vCPU by LINT0. */
static void pic_gives_0x51(struct vm *vm)
{
	struct kvm_irqchip pic = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	REQUIRE(ioctl(vm->fd, KVM_GET_IRQCHIP, &pic) == 0);
	pic.chip.pic.irq_base = 0x50;
	pic.chip.pic.imr = 0xfd;
	pic.chip.pic.auto_eoi = 1;
	REQUIRE(ioctl(vm->fd, KVM_SET_IRQCHIP, &pic) == 0);
	wr(vm, LVT0, 0x700);
}

TEST(an_interrupt_of_the_pic_waits_for_its_stack_inside_a_handler)
{
	struct kvm_irq_level line = { .irq = 1, .level = 1 };
	struct kvm_regs regs;
	struct vm vm;

	apic_vm(&vm);
	pic_gives_0x51(&vm);
	self_ipi(&vm, 0x61);
	EXPECT_EQ(window(&vm), 0x61);
	EXPECT_EQ(rd(&vm, ISR + 0x30), 2);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = 0x10000;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	/* The delivery exits, because nothing maps the stack's page. */
	REQUIRE(madvise(vm.mem + regs.rsp - 4096, 4096, MADV_DONTNEED) == 0);
	REQUIRE(ioctl(vm.fd, KVM_IRQ_LINE, &line) == 0);
	EXPECT_EQ(window(&vm), 0x51);
	EXPECT_EQ(rd(&vm, ISR + 0x30), 2);
	vm_destroy(&vm);
}

TEST(a_slot_over_the_window)
{
	struct vm vm;
	uint8_t *page;

	apic_vm(&vm);
	EXPECT_EQ(rd(&vm, SPIV), 0x1ff);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	memset(page, 0x77, 4096);
	vm_slot(&vm, 1, WINDOW, 4096, page, 0);
	EXPECT_EQ(rd(&vm, SPIV), 0x77777777);
	vm_slot(&vm, 1, WINDOW, 0, page, 0);
	EXPECT_EQ(rd(&vm, SPIV), 0x1ff);
	vm_destroy(&vm);
}
