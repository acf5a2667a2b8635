// SPDX-License-Identifier: GPL-2.0-only
/*
 * State that follows other state does so at every way by which the other changes: a guest's
 * instruction, the emulator, an ioctl, INIT. CPUID's bits, debug registers of 32-bit code, halts
 * and what ends them, error codes.
 */
#include <signal.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define CR4_OSXSAVE	(1ul << 18)
#define CR4_PKE		(1ul << 22)
#define APIC_BASE_EN	(1ul << 11)
#define MISC_MWAIT	(1ul << 18)
#define MSR_APIC_BASE	0x1b
#define MSR_MISC_ENABLE	0x1a0
#define MSR_PLATFORM	0xce
#define MSR_FAULTING	0x140

static uint64_t get_msr(const struct vm *vm, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} arg = { .head.nmsrs = 1, .entry = { .index = index } };

	REQUIRE(ioctl(vm->vcpu, KVM_GET_MSRS, &arg) == 1);
	return arg.entry.data;
}

static struct kvm_regs get_regs(const struct vm *vm)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	return regs;
}

static struct kvm_sregs get_sregs(const struct vm *vm)
{
	struct kvm_sregs sregs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	return sregs;
}

/* ---- CPUID ---- */

enum { EAX, EBX, ECX, EDX };

static uint32_t cpuid_reg(const struct vm *vm, uint32_t leaf, uint32_t sub, int reg)
{
	static uint8_t space[sizeof(struct kvm_cpuid2) + 100 * sizeof(struct kvm_cpuid_entry2)]
		__attribute__((aligned(8)));
	struct kvm_cpuid2 *cpuid = (void *)space;
	uint32_t i;

	cpuid->nent = 100;
	REQUIRE(ioctl(vm->vcpu, KVM_GET_CPUID2, cpuid) == 0);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf && cpuid->entries[i].index == sub)
			return (&cpuid->entries[i].eax)[reg];
	return 0;
}

/* Do the bits say what the registers say? */
static void expect_bits(const struct vm *vm, const char *when)
{
	struct kvm_sregs sregs = get_sregs(vm);
	bool osxsave = cpuid_reg(vm, 1, 0, ECX) >> 27 & 1;
	bool ospke = cpuid_reg(vm, 7, 0, ECX) >> 4 & 1;
	bool apic = cpuid_reg(vm, 1, 0, EDX) >> 9 & 1;

	printf("# %s: CR4 %llx, APIC base %llx\n", when, sregs.cr4, sregs.apic_base);
	EXPECT_EQ(osxsave, !!(sregs.cr4 & CR4_OSXSAVE));
	EXPECT_EQ(ospke, !!(sregs.cr4 & CR4_PKE));
	EXPECT_EQ(apic, !!(sregs.apic_base & APIC_BASE_EN));
}

/* The bits of CR4 that CPUID shows, as far as this CPU has them. */
static uint64_t shown_cr4(const struct vm *vm)
{
	uint64_t bits = 0;

	if (cpuid_reg(vm, 1, 0, ECX) >> 26 & 1)
		bits |= CR4_OSXSAVE;
	if (cpuid_reg(vm, 7, 0, ECX) >> 3 & 1)
		bits |= CR4_PKE;
	if (!bits)
		test_skip("neither XSAVE nor protection keys");
	return bits;
}

GUEST(cr4, 64)
	"	mov %cr4, %rax\n"
	"	or %rbx, %rax\n"
	"	mov %rax, %cr4\n"
	"	out %al, $0x10\n"
	"	mov %cr4, %rax\n"
	"	not %rbx\n"
	"	and %rbx, %rax\n"
	"	not %rbx\n"
	"	mov %rax, %cr4\n"
	"	out %al, $0x10\n"
	"	mov %cr4, %rax\n"
	"	or %rbx, %rax\n"
	"	ud2\n .ascii \"kvm\"\n"
	"	mov %rax, %cr4\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(cr4);

static uint64_t load_cr4(struct vm *vm)
{
	struct kvm_regs regs;
	uint64_t bits;

	vm_create(vm, VM_IRQCHIP);
	LOAD64(vm, cr4);
	bits = shown_cr4(vm);
	regs = get_regs(vm);
	regs.rbx = bits;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	return bits;
}

TEST(cpuid_follows_the_guests_cr4)
{
	struct vm vm;

	load_cr4(&vm);
	run_out(&vm, 0x10);
	expect_bits(&vm, "set");
	run_out(&vm, 0x10);
	expect_bits(&vm, "cleared");
	force_emulation("1");
	run_out(&vm, 0x10);
	force_emulation("0");
	expect_bits(&vm, "set by the emulator");
	vm_destroy(&vm);
}

TEST(cpuid_follows_the_cr4_of_userspace)
{
	struct kvm_sregs2 sregs2;
	struct kvm_sregs sregs;
	uint64_t bits;
	struct vm vm;

	bits = load_cr4(&vm);
	sregs = get_sregs(&vm);
	sregs.cr4 |= bits;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	expect_bits(&vm, "KVM_SET_SREGS");
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS2, &sregs2) == 0);
	sregs2.cr4 &= ~bits;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS2, &sregs2) == 0);
	expect_bits(&vm, "KVM_SET_SREGS2");
	sregs.apic_base &= ~APIC_BASE_EN;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	expect_bits(&vm, "an APIC that is off, by KVM_SET_SREGS");
	REQUIRE(vcpu_set_msr(&vm, MSR_APIC_BASE, sregs.apic_base | APIC_BASE_EN) == 1);
	expect_bits(&vm, "an APIC that is on, by KVM_SET_MSRS");
	vm.run->s.regs.sregs = sregs;
	vm.run->s.regs.sregs.cr4 &= ~bits;
	vm.run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	vm.run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	expect_bits(&vm, "the registers in kvm_run");
	vm_destroy(&vm);
}

/* An INIT is a message; KVM_GET_MP_STATE takes it. */
static void send_init(struct vm *vm)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x500 | 1 << 14 };
	struct kvm_mp_state state;

	EXPECT_EQ(ioctl(vm->fd, KVM_SIGNAL_MSI, &msi), 1);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_MP_STATE, &state) == 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_RUNNABLE);
}

TEST(cpuid_follows_the_cr4_of_init)
{
	struct kvm_lapic_state lapic;
	struct vm vm;

	load_cr4(&vm);
	/* Upstream finds an APIC by its ID only once a register of some APIC has been written. */
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic) == 0);
	run_out(&vm, 0x10);
	expect_bits(&vm, "before");
	send_init(&vm);
	EXPECT_EQ(get_sregs(&vm).cr4, 0);
	expect_bits(&vm, "after");
	vm_destroy(&vm);
}

GUEST(xcr0, 64)
	"	mov %cr4, %rax\n"
	"	bts $18, %rax\n"
	"	mov %rax, %cr4\n"
	"	xor %ecx, %ecx\n"
	"	xor %edx, %edx\n"
	"	mov $7, %eax\n"
	"	xsetbv\n"
	"	out %al, $0x10\n"
	"	xor %ecx, %ecx\n"
	"	mov $1, %eax\n"
	"	ud2\n .ascii \"kvm\"\n"
	"	xsetbv\n"
	"	out %al, $0x10\n"
GUEST_END(xcr0);

#define XSAVE_FX	576u	/* bytes of the x87 and SSE state with the header */
#define XSAVE_AVX	832u

TEST(cpuid_follows_xcr0)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 7 };
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, xcr0);
	if ((cpuid_reg(&vm, 0xd, 0, EAX) & 7) != 7)
		test_skip("no AVX");
	EXPECT_EQ(cpuid_reg(&vm, 0xd, 0, EBX), XSAVE_FX);
	run_out(&vm, 0x10);
	EXPECT_EQ(cpuid_reg(&vm, 0xd, 0, EBX), XSAVE_AVX);
	force_emulation("1");
	run_out(&vm, 0x10);
	force_emulation("0");
	EXPECT_EQ(cpuid_reg(&vm, 0xd, 0, EBX), XSAVE_FX);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs) == 0);
	EXPECT_EQ(cpuid_reg(&vm, 0xd, 0, EBX), XSAVE_AVX);
	/* INIT leaves XCR0 alone. */
	send_init(&vm);
	EXPECT_EQ(cpuid_reg(&vm, 0xd, 0, EBX), XSAVE_AVX);
	vm_destroy(&vm);
}

TEST(cpuid_follows_misc_enable)
{
	struct kvm_enable_cap quirks = {
		.cap = KVM_CAP_DISABLE_QUIRKS2, .args[0] = KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT,
	};
	uint64_t misc;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.fd, KVM_ENABLE_CAP, &quirks) == 0);
	misc = get_msr(&vm, MSR_MISC_ENABLE);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_MISC_ENABLE, misc | MISC_MWAIT), 1);
	EXPECT_EQ(cpuid_reg(&vm, 1, 0, ECX) >> 3 & 1, 1);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_MISC_ENABLE, misc & ~MISC_MWAIT), 1);
	EXPECT_EQ(cpuid_reg(&vm, 1, 0, ECX) >> 3 & 1, 0);
	vm_destroy(&vm);
}

/* CPUID faulting is for whoever executes it: at CPL 3, by the emulator too. */
GUEST(faulting, 64)
	"	mov $1, %eax\n"
	"	ud2\n .ascii \"kvm\"\n"
	"	cpuid\n"
	"	out %al, $0x77\n"
	"	mov $1, %eax\n"
	"	cpuid\n"
	"	out %al, $0x77\n"
GUEST_END(faulting);

GUEST(gp, 64)
	"	out %al, $0x13\n"
	"	hlt\n"
GUEST_END(gp);

static void cpuid_at(struct vm *vm, unsigned int cpl, uint64_t at)
{
	const uint64_t gate = 0x12000;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint64_t *idt, *gdt, *tss;

	vm_create(vm, 0);
	LOAD64(vm, faulting);
	idt = (uint64_t *)(vm->mem + 0x11000);
	gdt = (uint64_t *)(vm->mem + 0x10000);
	tss = (uint64_t *)(vm->mem + 0x13004);
	((uint64_t *)(vm->mem + VM_TABLES))[0] |= 4;
	((uint64_t *)(vm->mem + VM_TABLES))[512] |= 4;
	((uint64_t *)(vm->mem + VM_TABLES))[1024] |= 4;
	memcpy(vm->mem + gate, guest_gp, guest_gp_end - guest_gp);
	idt[2 * 13] = (gate & 0xffff) | 8ull << 16 | 0x8e00ull << 32 | gate >> 16 << 48;
	gdt[1] = 0x00af9b000000ffffull;
	tss[0] = 0x15000;
	sregs = get_sregs(vm);
	sregs.idt.base = 0x11000;
	sregs.idt.limit = 0xfff;
	sregs.gdt.base = 0x10000;
	sregs.gdt.limit = 0x1f;
	sregs.tr.base = 0x13000;
	sregs.tr.limit = 0x67;
	sregs.tr.type = 11;
	sregs.cs.dpl = cpl;
	sregs.cs.selector |= cpl;
	sregs.ss.dpl = cpl;
	sregs.ss.selector |= cpl;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	regs = get_regs(vm);
	regs.rip += at;
	regs.rflags |= 3 << 12;
	regs.rsp = 0x14000;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(vcpu_set_msr(vm, MSR_PLATFORM, 1ull << 31) == 1);
	REQUIRE(vcpu_set_msr(vm, MSR_FAULTING, 1) == 1);
}

TEST(cpuid_faults_by_the_emulator_too)
{
	static const struct {
		unsigned int cpl, at;
		uint16_t port;
	} rows[] = { { 0, 0, 0x77 }, { 3, 0, 0x13 }, { 0, 14, 0x77 }, { 3, 14, 0x13 } };
	unsigned int i;
	struct vm vm;

	force_emulation("1");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cpuid_at(&vm, rows[i].cpl, rows[i].at);
		run_out(&vm, rows[i].port);
		vm_destroy(&vm);
	}
	force_emulation("0");
}

/* ---- outside of 64-bit mode registers have 32 bits ---- */

GUEST(dr32, 64)
	"	push $0x18\n"
	"	push $0x8100\n"
	"	lretq\n"
	"	.org guest_dr32 + 0x100\n"
	"	.code32\n"
	"	mov %eax, %dr7\n"
	"	mov %ecx, %dr1\n"
	"	mov %ebx, %dr6\n"
	"	mov %dr0, %edx\n"
	"	mov %dr1, %esi\n"
	"	mov %dr7, %edi\n"
	"	mov %cr3, %ebp\n"
	"	mov %ebp, %cr3\n"
	"	out %al, $0x10\n"
	"	.code64\n"
GUEST_END(dr32);

#define UPPER		0x1234567800000000ull

static void dr32(bool debugger)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		.arch.debugreg = { [0] = 0x100000, [7] = 0x401 },
	};
	struct kvm_debugregs dr;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, dr32);
	memcpy(vm.mem + 0x4008, &(uint64_t){ 0x00af9b000000ffffull }, 8);
	memcpy(vm.mem + 0x4010, &(uint64_t){ 0x00cf93000000ffffull }, 8);
	memcpy(vm.mem + 0x4018, &(uint64_t){ 0x00cf9b000000ffffull }, 8);
	sregs = get_sregs(&vm);
	sregs.gdt.base = 0x4000;
	sregs.gdt.limit = 0x1f;
	sregs.idt.limit = 0;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	regs = get_regs(&vm);
	regs.rsp = 0x7f00;
	regs.rax = UPPER | 0x400;
	regs.rbx = UPPER | 0xffff0ff0;
	regs.rcx = UPPER | 0x9abc;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &dr) == 0);
	dr.db[0] = UPPER | 0xdef0;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &dr) == 0);
	if (debugger)
		REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	run_out(&vm, 0x10);
	regs = get_regs(&vm);
	EXPECT_EQ(regs.rdx, 0xdef0);
	EXPECT_EQ(regs.rsi, 0x9abc);
	EXPECT_EQ(regs.rdi, 0x400);
	EXPECT_EQ(regs.rbp, VM_TABLES);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &dr) == 0);
	EXPECT_EQ(dr.db[0], UPPER | 0xdef0);
	EXPECT_EQ(dr.db[1], 0x9abc);
	EXPECT_EQ(dr.dr7, 0x400);
	vm_destroy(&vm);
}

TEST(debug_registers_of_32_bit_code)
{
	dr32(false);
}

TEST(debug_registers_of_32_bit_code_under_a_debugger)
{
	dr32(true);
}

/* ---- halts, and what ends them ---- */

static void on_alarm(int nr)
{
	(void)nr;
}

static void alarm_in(unsigned int ms)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerspec when = { .it_value.tv_nsec = ms * 1000000l };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	timer_t timer;

	REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &when, NULL) == 0);
}

#define APIC_ON	\
	"	mov $0xfee000f0, %edi\n"	\
	"	movl $0x1ff, (%rdi)\n"		\
	"	movl $0x10000, 0x260(%rdi)\n"	\
	"	sti\n"

GUEST(kick, 64)
	APIC_ON
	"1:	mov $5, %eax\n"		/* KVM_HC_KICK_CPU, APIC 0: this one */
	"	xor %ebx, %ebx\n"
	"	xor %ecx, %ecx\n"
	"	vmcall\n"
	"	out %al, $0x10\n"
	"	hlt\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	"	out %al, $0x12\n"
	"	jmp 1b\n"
GUEST_END(kick);

static void expect_halted(struct vm *vm)
{
	struct kvm_mp_state state;

	alarm_in(150);
	EXPECT_ERR(vcpu_run(vm), EINTR);
	EXPECT_EQ(vm->run->exit_reason, KVM_EXIT_INTR);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_MP_STATE, &state) == 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_HALTED);
}

TEST(a_kick_ends_one_halt)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, kick);
	run_out(&vm, 0x10);
	EXPECT_EQ(get_reg_rax(&vm), 0);
	run_out(&vm, 0x11);
	expect_halted(&vm);
	vm_destroy(&vm);
}

TEST(a_kick_is_over_when_userspace_makes_the_vcpu_runnable)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, kick);
	run_out(&vm, 0x10);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_MP_STATE, &state) == 0);
	expect_halted(&vm);
	vm_destroy(&vm);
}

GUEST(step, 64)
	APIC_ON
	"	out %al, $0x10\n"
	"	nop\n"
	"	hlt\n"
	"	nop\n"
	"	out %al, $0x11\n"
GUEST_END(step);

GUEST(forced_step, 64)
	APIC_ON
	"	out %al, $0x10\n"
	"	ud2\n .ascii \"kvm\"\n"
	"	hlt\n"
	"	nop\n"
	"	out %al, $0x11\n"
GUEST_END(forced_step);

static void step_on(struct vm *vm)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};

	REQUIRE(ioctl(vm->vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
}

/* The step over HLT is told, with the vCPU halted behind it. */
static void step_to_halt(struct vm *vm)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	unsigned int i;

	for (i = 0; i < 5 && state.mp_state == KVM_MP_STATE_RUNNABLE; i++) {
		step_on(vm);
		run_until(vm, KVM_EXIT_DEBUG);
		REQUIRE(ioctl(vm->vcpu, KVM_GET_MP_STATE, &state) == 0);
	}
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_HALTED);
	EXPECT_EQ(vm->mem[vm->run->debug.arch.pc - 1], 0xf4);
	expect_halted(vm);
}

TEST(a_debuggers_step_over_hlt_halts)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, step);
	run_out(&vm, 0x10);
	step_to_halt(&vm);
	vm_destroy(&vm);
}

GUEST(forced_add, 64)
	"	mov $0x7fffffff, %eax\n"
	"	out %al, $0x10\n"
	"	ud2\n .ascii \"kvm\"\n"
	"	add $1, %eax\n"
	"	nop\n"
	"	nop\n"
	"	out %al, $0x11\n"
GUEST_END(forced_add);

/* The debugger's TF survives flags that an emulated instruction has changed. */
TEST(steps_go_on_behind_an_emulated_instruction)
{
	const char *device = getenv("OKVM_DEVICE");
	unsigned int i;
	struct vm vm;

	if (device && !strcmp(device, "/dev/kvm"))
		test_skip("upstream loses the step");
	vm_create(&vm, 0);
	LOAD64(&vm, forced_add);
	run_out(&vm, 0x10);
	force_emulation("1");
	step_on(&vm);
	run_until(&vm, KVM_EXIT_DEBUG);
	for (i = 0; i < 3; i++) {
		run_until(&vm, KVM_EXIT_DEBUG);
		EXPECT_EQ(vm.run->debug.arch.pc, VM_CODE + 5 + 2 + 5 + 3 + i);
	}
	force_emulation("0");
	vm_destroy(&vm);
}

/* An NMI that the debugger holds back ends the HLT, but not before the step is told. */
TEST(a_debuggers_step_over_hlt_halts_though_an_nmi_waits)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ,
	};
	struct kvm_mp_state state = { };
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, step);
	run_out(&vm, 0x10);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug) == 0);
	run_until(&vm, KVM_EXIT_DEBUG);
	REQUIRE(ioctl(vm.vcpu, KVM_NMI, 0) == 0);
	do {
		run_until(&vm, KVM_EXIT_DEBUG);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	} while (vm.mem[regs.rip - 1] != 0xf4);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_MP_STATE, &state) == 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_HALTED);
	vm_destroy(&vm);
}

TEST(a_debuggers_step_over_an_emulated_hlt_halts)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD64(&vm, forced_step);
	run_out(&vm, 0x10);
	force_emulation("1");
	step_to_halt(&vm);
	force_emulation("0");
	vm_destroy(&vm);
}

/* The guest's own step is a trap that waits already: it ends the HLT. */
GUEST(own_step, 16)
	"	pushf\n"
	"	pop %ax\n"
	"	or $0x100, %ax\n"
	"	push %ax\n"
	"	popf\n"
	"	hlt\n"
	"	out %al, $0x11\n"
GUEST_END(own_step);

GUEST(stepped, 16)
	"	out %al, $0x12\n"
GUEST_END(stepped);

TEST(the_guests_own_step_over_hlt_goes_on)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD16(&vm, own_step);
	memcpy(vm.mem + 0x9000, guest_stepped, guest_stepped_end - guest_stepped);
	memcpy(vm.mem + 1 * 4, &(uint32_t){ 0x9000 }, 4);
	run_out(&vm, 0x12);
	vm_destroy(&vm);
}

/* ---- error codes ---- */

GUEST(real_gp, 16)
	"	pop %ax\n"		/* the address, or an error code that must not be there */
	"	pop %bx\n"
	"	hlt\n"
GUEST_END(real_gp);

GUEST(real, 16)
	"	nop\n"
	"	hlt\n"
GUEST_END(real);

enum how { INJECTED, PENDING, INJECTED_BEFORE_REAL_MODE };

static void real_exception(enum how how)
{
	struct kvm_enable_cap payload = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_vcpu_events ev;
	struct kvm_sregs real;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, real);
	memcpy(vm.mem + 0x9000, guest_real_gp, guest_real_gp_end - guest_real_gp);
	memcpy(vm.mem + 13 * 4, &(uint32_t){ 0x9000 }, 4);
	real = get_sregs(&vm);
	regs = get_regs(&vm);
	if (how == INJECTED_BEFORE_REAL_MODE)
		LOAD64(&vm, real);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &ev) == 0);
	ev.flags = 0;
	ev.exception.injected = how != PENDING;
	ev.exception.pending = how == PENDING;
	ev.exception.nr = 13;
	ev.exception.has_error_code = 1;
	ev.exception.error_code = 0x1234;
	if (how == PENDING) {
		REQUIRE(ioctl(vm.fd, KVM_ENABLE_CAP, &payload) == 0);
		ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	}
	REQUIRE(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &ev) == 0);
	if (how == INJECTED_BEFORE_REAL_MODE) {
		REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &real) == 0);
		REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	}
	run_until(&vm, KVM_EXIT_HLT);
	regs = get_regs(&vm);
	EXPECT_EQ(regs.rax & 0xffff, VM_CODE);
	EXPECT_EQ(regs.rbx & 0xffff, 0);
	vm_destroy(&vm);
}

TEST(real_mode_has_no_error_codes)
{
	real_exception(INJECTED);
	real_exception(PENDING);
	real_exception(INJECTED_BEFORE_REAL_MODE);
}
