// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole state of the host: a guest changes every register that a guest can change, ends its
 * run in every way that there is, and nothing of the host's differs afterwards. What userspace has
 * is filled with a pattern before and compared after; what only the kernel sees is read through
 * /dev/hoststate, a module of the testbed, if that is loaded.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <sys/io.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "selftests/lib/okvm_test.h"
#include "tools/testbed/hoststate/hoststate.h"

#define AREA		0x100000u	/* of the guest: its extended state */
#define AREA_SIZE	4096
#define MSR_LIST	0x7000u		/* pairs of number and value; number 0 ends it */
#define NOWHERE		0x20000000ull
#define GDT		0x6000u
#define PORT		0x10

#define XCR0_PKRU	(1u << 9)
#define CR4_OSXSAVE	(1u << 18)
#define CR4_PKE		(1u << 22)
#define CR4_DE		(1u << 3)

/*
 * R8: bits of CR4; R9: XCR0, 0 without OSXSAVE; R10: PKRU if CR4.PKE; R11: how to end; R12: DR7.
 * Falls into the end again whenever it is entered again.
 */
GUEST(change_all, 64)
	"	mov %cr0, %rax\n"
	"	and $0xfffffffffffffff3, %rax\n"	/* no EM, no TS */
	"	or $0x10002, %eax\n"			/* WP, MP */
	"	mov %rax, %cr0\n"
	"	mov %cr4, %rax\n"
	"	or %r8, %rax\n"
	"	mov %rax, %cr4\n"
	"	test %r9, %r9\n"
	"	jz 1f\n"
	"	xor %ecx, %ecx\n"
	"	xor %edx, %edx\n"
	"	mov %r9d, %eax\n"
	"	xsetbv\n"
	"	mov $0x100000, %ebx\n"
	"	mov $-1, %eax\n"
	"	mov $-1, %edx\n"
	"	xrstor64 (%rbx)\n"
	"1:	bt $22, %r8\n"
	"	jnc 2f\n"
	"	xor %ecx, %ecx\n"
	"	xor %edx, %edx\n"
	"	mov %r10d, %eax\n"
	"	wrpkru\n"
	"2:	mov $0x7000, %ebx\n"
	"3:	mov (%rbx), %ecx\n"
	"	jecxz 4f\n"
	"	mov 8(%rbx), %eax\n"
	"	mov 12(%rbx), %edx\n"
	"	wrmsr\n"
	"	add $16, %ebx\n"
	"	jmp 3b\n"
	"4:	lgdt 0x5ff0\n"
	"	mov $0x18, %eax\n"
	"	lldt %ax\n"
	"	mov $0x10, %eax\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov $0x123456, %eax\n"
	"	mov %rax, %cr2\n"
	"	mov %cr3, %rax\n"
	"	mov %rax, %cr3\n"
	"	mov $5, %eax\n"
	"	mov %rax, %cr8\n"
	"	mov $0xabcd000, %eax\n"
	"	mov %rax, %dr0\n"
	"	add $8, %rax\n"
	"	mov %rax, %dr1\n"
	"	add $8, %rax\n"
	"	mov %rax, %dr2\n"
	"	add $8, %rax\n"
	"	mov %rax, %dr3\n"
	"	mov $0xffff4ff5, %eax\n"	/* B0, B2, BS */
	"	mov %rax, %dr6\n"
	"	mov %r12, %dr7\n"
	"9:	cmp $0, %r11d\n"
	"	je 10f\n"
	"	cmp $1, %r11d\n"
	"	je 11f\n"
	"	cmp $2, %r11d\n"
	"	je 12f\n"
	"	cmp $3, %r11d\n"
	"	je 13f\n"
	"	cmp $4, %r11d\n"
	"	je 14f\n"
	"	ud2\n"				/* no IDT: a triple fault */
	"10:	out %al, $0x10\n"
	"	jmp 10b\n"
	/* Exits that need no userspace, then one that does. */
	"11:	xor %eax, %eax\n"
	"	cpuid\n"
	"	mov $0x1b, %ecx\n"
	"	rdmsr\n"
	"	mov $100, %eax\n"
	"	vmcall\n"
	"	out %al, $0x10\n"
	"	jmp 11b\n"
	"12:	hlt\n"
	"	jmp 12b\n"
	"13:	mov %eax, 0x20000000\n"
	"	jmp 13b\n"
	"14:	jmp 14b\n"			/* until a signal comes */
GUEST_END(change_all);

enum end { END_OUT, END_FAST, END_HLT, END_MMIO, END_SIGNAL, END_FAULT, END_FAIL_ENTRY, NR_ENDS };

static const uint32_t end_reason[NR_ENDS] = {
	KVM_EXIT_IO, KVM_EXIT_IO, KVM_EXIT_HLT, KVM_EXIT_MMIO, KVM_EXIT_INTR, KVM_EXIT_SHUTDOWN,
	KVM_EXIT_FAIL_ENTRY,
};

static const char * const word_names[] = {
#define REG_NAME(name)		#name,
#define MSR_NAME(name, number)	"MSR " #name,
	HOSTSTATE_REGS(REG_NAME)
	HOSTSTATE_MSRS(MSR_NAME)
};

/* ---- the host's extended state ---- */

struct xarea {
	uint8_t bytes[AREA_SIZE];
} __attribute__((aligned(64)));

static struct xarea poison, before, after, normal;

static uint64_t xcr0(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static bool cpu_has_xsave(void)
{
	uint32_t a, b, c = 0, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_OSXSAVE;
}

static bool kernel_has_pku(void)
{
	uint32_t a, b, c = 0, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & (1u << 4);
}

/* Every component of @mask with bytes of @seed that are legal there. */
static void fill(struct xarea *area, uint64_t mask, uint8_t seed)
{
	uint32_t size, offset, c, d, mxcsr = 0x1fa0, pkru = seed * 0x01010100u & ~3u;
	uint16_t cw = 0x027f;
	unsigned int i;

	memset(area, 0, sizeof(*area));
	memcpy(area->bytes, &cw, 2);
	area->bytes[4] = 0xff;	/* all x87 registers are in use */
	memcpy(area->bytes + 24, &mxcsr, 4);
	for (i = 0; i < 8; i++)
		memset(area->bytes + 32 + 16 * i, seed + i, 10);
	memset(area->bytes + 160, seed, 256);
	memcpy(area->bytes + 512, &mask, 8);
	for (i = 2; i < 63; i++) {
		if (!(mask & 1ull << i))
			continue;
		__cpuid_count(0xd, i, size, offset, c, d);
		REQUIRE(offset + size <= AREA_SIZE);
		memset(area->bytes + offset, seed + i, size);
		if (i == 9)
			memset(area->bytes + offset, 0, size);
		if (i == 9)
			memcpy(area->bytes + offset, &pkru, 4);
	}
}

/* No call in between, nor anything of the compiler's: the registers hold the pattern. */
static long run_poisoned(int vcpu)
{
	long ret;

	__asm__ volatile("mov $-1, %%eax; mov $-1, %%edx\n\t"
			 "xsave64 %[normal]\n\t"
			 "xrstor64 %[poison]\n\t"
			 "xsave64 %[before]\n\t"
			 "mov %[nr], %%eax; mov %[op], %%esi; xor %%edx, %%edx\n\t"
			 "syscall\n\t"
			 "mov %%rax, %%rbx\n\t"
			 "mov $-1, %%eax; mov $-1, %%edx\n\t"
			 "xsave64 %[after]\n\t"
			 "xrstor64 %[normal]\n\t"
			 : "=&b"(ret), [before] "=m"(before), [after] "=m"(after),
			   [normal] "+m"(normal)
			 : [poison] "m"(poison), [nr] "i"(SYS_ioctl),
			   [op] "i"((int)KVM_RUN), "D"((long)vcpu)
			 : "rax", "rdx", "rsi", "rcx", "r11", "cc", "memory");
	return ret;
}

static void compare_xstate(const char *when)
{
	unsigned int i, differ = 0;

	for (i = 0; i < AREA_SIZE; i++)
		if (before.bytes[i] != after.bytes[i] && !differ++)
			printf("# %s: byte %u of the XSAVE area is %02x, was %02x\n", when, i,
			       after.bytes[i], before.bytes[i]);
	EXPECT_EQ(differ, 0);
}

/* ---- what only the kernel sees ---- */

static int hoststate = -2;

static bool kernel_state(uint64_t words[HOSTSTATE_WORDS])
{
	if (hoststate == -2) {
		hoststate = open("/dev/hoststate", O_RDONLY);
		if (hoststate < 0)
			printf("# no /dev/hoststate: the kernel's registers are not compared\n");
	}
	if (hoststate < 0)
		return false;
	REQUIRE(read(hoststate, words, HOSTSTATE_WORDS * 8) == HOSTSTATE_WORDS * 8);
	return true;
}

/*
 * When the kernel removes a breakpoint, the breakpoint's address and GE and LE of DR7 stay in the
 * CPU. They are no state of the host as long as DR7 enables no breakpoint.
 */
static bool is_leftover(const uint64_t *was, const uint64_t *is, unsigned int i)
{
	if (was[HOSTSTATE_DR7] & 0xff)
		return false;
	if (i == HOSTSTATE_DR7)
		return !((was[i] ^ is[i]) & ~0x300ULL);
	return i >= HOSTSTATE_DR0 && i <= HOSTSTATE_DR3;
}

static void compare_kernel_state(const uint64_t *was, const uint64_t *is, const char *when)
{
	unsigned int i, differ = 0;

	for (i = 0; i < HOSTSTATE_WORDS; i++) {
		/* FFFFh after the first exit of a CPU, for ever: no gate lies behind FFFh. */
		if (was[i] == is[i] || i == HOSTSTATE_IDT_LIMIT || is_leftover(was, is, i))
			continue;
		differ++;
		printf("# %s: %s is %llx, was %llx\n", when, word_names[i],
		       (unsigned long long)is[i], (unsigned long long)was[i]);
	}
	EXPECT_EQ(differ, 0);
}

/*
 * INT1 changes nothing in DR6, so that the kernel finds in it what was there: nothing, or somebody
 * else's single step.
 */
static volatile int trap_code;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	trap_code = info->si_code;
}

static void expect_idle_dr6(void)
{
	/* Whose INT1 raises nothing. */
	if (test_on_tcg())
		return;
	trap_code = 0;
	__asm__ volatile(".byte 0xf1");
	EXPECT_EQ(trap_code, TRAP_BRKPT);
}

/* ---- the guest ---- */

struct variant {
	const char *name;
	uint32_t cr4;
	bool xsave;
	uint32_t dr7;
};

static void put64(struct vm *vm, uint32_t at, uint64_t val)
{
	memcpy(vm->mem + at, &val, sizeof(val));
}

/* MSRs that a guest may write on this CPU, with values that no host has. */
static void make_msr_list(struct vm *vm)
{
	static const struct kvm_msr_entry tries[] = {
		{ 0xc0000080, 0, 0xd01 },	/* EFER: SCE, LME, LMA, NXE */
		{ 0xc0000081, 0, 0x0023001000000000 }, { 0xc0000082, 0, 0x1234567000 },
		{ 0xc0000083, 0, 0x1234568000 }, { 0xc0000084, 0, 0x47700 },
		{ 0xc0000100, 0, 0x7777000 }, { 0xc0000101, 0, 0x7778000 },
		{ 0xc0000102, 0, 0x7779000 }, { 0xc0000103, 0, 0x4321 },
		{ 0x174, 0, 0x8 }, { 0x175, 0, 0x7000 }, { 0x176, 0, 0x9000 },
		{ 0x277, 0, 0x0606060606060606 }, { 0x1d9, 0, 3 }, { 0xda0, 0, 0 },
		{ 0x48, 0, 1 }, { 0x122, 0, 1 },
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1 };
	uint32_t at = MSR_LIST;
	unsigned int i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		one.entry = tries[i];
		if (ioctl(vm->vcpu, KVM_GET_MSRS, &one) != 1)
			continue;
		put64(vm, at, tries[i].index);
		put64(vm, at + 8, tries[i].data);
		at += 16;
	}
	put64(vm, at, 0);
}

static void start(struct vm *vm, const struct variant *v, enum end how)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint64_t mask = v->xsave ? xcr0() : 0;

	vm_create(vm, 0);
	/* Shadow page tables offer no protection keys. */
	if (vm_on_shadow(vm))
		mask &= ~(1ull << 9);
	vcpu_cpuid(vm, vm->vcpu);
	LOAD64(vm, change_all);
	fill((struct xarea *)(vm->mem + AREA), mask, 0x5a);
	put64(vm, GDT + 8, 0x00af9b000000ffffull);
	put64(vm, GDT + 16, 0x00cf93000000ffffull);
	put64(vm, GDT + 24, 0x000082005000000full);	/* an LDT at 5000h */
	put64(vm, GDT - 16, 0x27 | (uint64_t)GDT << 16);
	make_msr_list(vm);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 0x27;
	/* Not canonical: the entry fails, whether or not the CPU runs real mode. */
	if (how == END_FAIL_ENTRY)
		sregs.gdt.base = 1ull << 62;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.r8 = v->cr4 | 0x600 | CR4_DE | (v->xsave ? CR4_OSXSAVE : 0);
	regs.r9 = mask;
	regs.r10 = 0x5a5a5a58;
	regs.r11 = how;
	regs.r12 = v->dr7;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_REGS, &regs) == 0);
}

/* Kernels may be built without ioperm(). */
static bool io_allowed;

static void no_op(int sig)
{
	(void)sig;
}

static void one_run(struct vm *vm, enum end how, const char *when)
{
	static uint64_t was[HOSTSTATE_WORDS], is[HOSTSTATE_WORDS];
	struct itimerval soon = { .it_value.tv_usec = 20000 };
	bool compared = kernel_state(was);
	long ret;

	if (how == END_SIGNAL)
		REQUIRE(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	ret = run_poisoned(vm->vcpu);
	if (compared && kernel_state(is))
		compare_kernel_state(was, is, when);
	expect_idle_dr6();
	EXPECT_EQ(ret, how == END_SIGNAL ? -EINTR : 0);
	EXPECT_EQ(vm->run->exit_reason, end_reason[how]);
	compare_xstate(when);
	/* An exit leaves a limit of the TSS that hides its I/O bitmap. */
	if (io_allowed)
		(void)inb(0x80);
}

static void set_data_segments(unsigned int sel)
{
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(sel));
}

static void all_ends(const struct variant *v)
{
	struct sigaction trap = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	struct sigaction alarm = { .sa_handler = no_op };
	cpu_set_t here;
	struct vm vm;
	char when[64];
	enum end how;
	int i;

	if (!cpu_has_xsave())
		test_skip("the CPU has no XSAVE");
	if (v->cr4 & CR4_PKE && !kernel_has_pku())
		test_skip("the kernel has no protection keys");
	CPU_ZERO(&here);
	CPU_SET(0, &here);
	REQUIRE(sched_setaffinity(0, sizeof(here), &here) == 0);
	REQUIRE(sigaction(SIGTRAP, &trap, NULL) == 0);
	REQUIRE(sigaction(SIGALRM, &alarm, NULL) == 0);
	io_allowed = !ioperm(0x80, 1, 1);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7000000ul) == 0);
	set_data_segments(0x2b);
	fill(&poison, xcr0(), 0xa0);
	for (how = 0; how < NR_ENDS; how++) {
		start(&vm, v, how);
		if (v->cr4 & CR4_PKE && vm_on_shadow(&vm))
			test_skip("shadow page tables offer no protection keys");
		snprintf(when, sizeof(when), "%s, end %d", v->name, how);
		/* Again, as what follows an exit differs from what follows a start. */
		for (i = 0; i < (how <= END_SIGNAL ? 2 : 1); i++)
			one_run(&vm, how, when);
		vm_destroy(&vm);
	}
	set_data_segments(0);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, 0ul) == 0);
}

/*
 * What switches virtualization on is off again, and who had SVM before has the area of VM_HSAVE_PA
 * and the TSC ratio back.
 */
TEST(nothing_is_left_after_the_last_vm)
{
	uint64_t was[HOSTSTATE_WORDS], is[HOSTSTATE_WORDS];
	cpu_set_t here;
	struct vm vm;

	CPU_ZERO(&here);
	CPU_SET(0, &here);
	REQUIRE(sched_setaffinity(0, sizeof(here), &here) == 0);
	if (!kernel_state(was))
		test_skip("no /dev/hoststate");
	vm_create(&vm, 0);
	kernel_state(is);
	EXPECT(is[HOSTSTATE_CR4] != was[HOSTSTATE_CR4] ||
	       is[HOSTSTATE_MSR_EFER] != was[HOSTSTATE_MSR_EFER]);
	if (test_on_svm() && ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0) {
		EXPECT_EQ(is[HOSTSTATE_MSR_TSC_RATIO], 1ull << 32);
		ioctl(vm.vcpu, KVM_SET_TSC_KHZ, ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0) / 2);
		kernel_state(is);
		EXPECT_EQ(is[HOSTSTATE_MSR_TSC_RATIO], 1ull << 31);
	}
	vm_destroy(&vm);
	kernel_state(is);
	compare_kernel_state(was, is, "after the last VM");
}

/* What a guest reads first, and then writes and records. */
GUEST(records, 64)
	"	mov $0x1d9, %ecx\n"
	"	rdmsr\n"
	"	out %eax, $0x10\n"
	"	mov $0x1db, %ecx\n"
	"	.rept 4\n"
	"	rdmsr\n"
	"	or %edx, %eax\n"
	"	out %eax, $0x10\n"
	"	inc %ecx\n"
	"	.endr\n"
	"	mov $0x1d9, %ecx\n"
	"	xor %edx, %edx\n"
	"	mov $1, %eax\n"
	"	wrmsr\n"
	"	jmp 1f\n"
	"	nop\n"
	"1:	out %eax, $0x10\n"
	"	jmp 1b\n"
GUEST_END(records);

/* A guest sees no branch that the host has recorded, and the host none of the guest's. */
TEST(nothing_is_left_of_recorded_branches)
{
	uint64_t was[HOSTSTATE_WORDS], is[HOSTSTATE_WORDS];
	unsigned int i;
	struct vm vm;

	vm_create(&vm, 0);
	if (!kernel_state(was))
		test_skip("no /dev/hoststate");
	if (was[HOSTSTATE_MSR_DEBUGCTL] == 2)
		EXPECT(was[HOSTSTATE_MSR_BR_FROM] != 0);
	LOAD64(&vm, records);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(run_out(&vm, PORT), 0);
	kernel_state(is);
	compare_kernel_state(was, is, "the guest has recorded nothing");
	run_out(&vm, PORT);
	run_out(&vm, PORT);
	kernel_state(is);
	compare_kernel_state(was, is, "the guest has recorded branches");
	vm_destroy(&vm);
}

TEST(a_guest_without_xsave)
{
	static const struct variant v = { "no XSAVE", 0, false, 0x400 };

	all_ends(&v);
}

TEST(a_guest_with_every_component)
{
	static const struct variant v = { "XSAVE", 0, true, 0x400 };

	all_ends(&v);
}

TEST(a_guest_with_protection_keys)
{
	static const struct variant v = { "PKE", CR4_PKE, true, 0x400 };

	all_ends(&v);
}

TEST(a_guest_with_protection_keys_without_xsave)
{
	static const struct variant v = { "PKE only", CR4_PKE, false, 0x400 };

	all_ends(&v);
}

/* Breakpoints of the guest's, at addresses that it does not touch. */
TEST(a_guest_with_breakpoints)
{
	static const struct variant v = { "breakpoints", 0, true, 0xffff0455 };

	all_ends(&v);
}

/* ... while the host has an LDT of its own. */
TEST(a_guest_beside_an_ldt)
{
	static const struct variant v = { "LDT", 0, true, 0x400 };
	struct user_desc desc = {
		.entry_number = 1, .base_addr = 0x10000, .limit = 0xfffff, .seg_32bit = 1,
		.limit_in_pages = 1, .useable = 1,
	};

	if (syscall(SYS_modify_ldt, 1, &desc, sizeof(desc)))
		test_skip("modify_ldt: %s", strerror(errno));
	all_ends(&v);
}
