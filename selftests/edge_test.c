// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rare orders of events around an entry: state that changes between an exit and its completion, or
 * while a vCPU is on its way to another CPU, and what an entry that fails leaves behind.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define NOWHERE		0x20000000ull	/* mapped by the guest, no memory there */
#define MAILBOX		0x7000u		/* words that guest and host share */
#define STEAL		0x9000u		/* a steal-time record */
#define STEAL_PREEMPTED	16		/* a byte of it */

static volatile uint64_t *mailbox(struct vm *vm)
{
	return (volatile uint64_t *)(vm->mem + MAILBOX);
}

/* ---- an x87 exception that comes to be pending while userspace completes an access ---- */

#define FPU_ON								\
	"	mov %cr4, %rax\n"					\
	"	or $0x600, %eax\n"					\
	"	mov %rax, %cr4\n"					\
	"	mov %cr0, %rax\n"					\
	"	and $0xfffffffffffffff3, %rax\n"			\
	"	or $0x22, %eax\n"		/* MP, NE */		\
	"	mov %rax, %cr0\n"					\
	"	fninit\n"						\
	"	fld1\n"

GUEST(load_mmx, 64)
	FPU_ON
	"	movq 0x20000000, %mm0\n"
	"	hlt\n"
GUEST_END(load_mmx);

GUEST(load_cw, 64)
	FPU_ON
	"	fldcw 0x20000000\n"
	"	hlt\n"
GUEST_END(load_cw);

/* The guest has no handlers: #MF ends it. The host goes on. */
static void raise_meanwhile(struct vm *vm)
{
	struct kvm_fpu fpu;

	run_until(vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm->run->mmio.phys_addr, NOWHERE);
	EXPECT_EQ(vm->run->mmio.is_write, 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_FPU, &fpu) == 0);
	fpu.fcw = 0x0340;	/* nothing is masked */
	fpu.fsw = 0x8081;	/* busy, summary, invalid operation */
	REQUIRE(ioctl(vm->vcpu, KVM_SET_FPU, &fpu) == 0);
	memset(vm->run->mmio.data, 0, sizeof(vm->run->mmio.data));
	run_until(vm, KVM_EXIT_SHUTDOWN);
}

TEST(an_x87_exception_before_mmx)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, load_mmx);
	raise_meanwhile(&vm);
	vm_destroy(&vm);
}

TEST(an_x87_exception_before_fldcw)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, load_cw);
	raise_meanwhile(&vm);
	vm_destroy(&vm);
}

/* ---- an entry that fails ---- */

GUEST(own_stack, 64)
	"	mov $0x1238, %rsp\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(own_stack);

/* State that KVM_SET_SREGS takes, and an entry does not. */
static struct kvm_sregs refused_by_entry(const struct kvm_sregs *good)
{
	struct kvm_sregs bad = *good;

	if (test_on_svm())
		bad.cs.db = 1;
	else
		bad.gdt.base = 1ull << 62;
	return bad;
}

TEST(a_failed_entry_keeps_registers)
{
	struct kvm_sregs good, bad;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, own_stack);
	run_out(&vm, 0x10);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &good) == 0);
	bad = refused_by_entry(&good);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &bad) == 0);
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rsp, 0x1238);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &good) == 0);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

/* Where VMRUN is given RIP behind the INT, that is taken back. */
TEST(a_failed_entry_leaves_an_events_instruction)
{
	struct kvm_sregs good, bad;
	struct kvm_vcpu_events events;
	struct kvm_regs regs, after;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, own_stack);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &good) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	bad = refused_by_entry(&good);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &bad) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = 0;
	events.interrupt.injected = 1;
	events.interrupt.soft = 1;
	events.interrupt.nr = 0x40;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
	run_until(&vm, KVM_EXIT_FAIL_ENTRY);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &after) == 0);
	EXPECT_EQ(after.rip, regs.rip);
	vm_destroy(&vm);
}

/* ---- the host's CR4 changes between two entries ---- */

#define CR4_DE	8u

GUEST(own_cr4, 64)
	"	mov %cr4, %rax\n"
	"	or $8, %eax\n"			/* DE: no exit */
	"	mov %rax, %cr4\n"
	"	out %al, $0x10\n"
	"	mov %cr4, %rax\n"
	"	out %eax, $0x10\n"
	"	hlt\n"
GUEST_END(own_cr4);

TEST(the_hosts_cr4_changes_and_the_guests_stays)
{
	uint32_t cr4;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, own_cr4);
	run_out(&vm, 0x10);
	/* CR4.TSD */
	REQUIRE(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
	cr4 = run_out(&vm, 0x10);
	REQUIRE(prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
	EXPECT_EQ(cr4 & CR4_DE, CR4_DE);
	vm_destroy(&vm);
}

/* ---- an exception for a guest that was left while it halted without an exit ---- */

#define HALT_GDT	0x4000u
#define HALT_IDT	0x6000u
#define HALT_HANDLER	0x5000u

GUEST(halt_inside, 64)
	"	sti\n"
	"	hlt\n"
	"	out %al, $0x10\n"
GUEST_END(halt_inside);

GUEST(halt_handler, 64)
	"	out %al, $0x12\n"
	"	hlt\n"
GUEST_END(halt_handler);

static void on_alarm(int sig)
{
	(void)sig;
}

static void halting_vm(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_DISABLE_EXITS, .args = { KVM_X86_DISABLE_EXITS_HLT },
	};
	uint64_t gate = HALT_HANDLER | 8ull << 16 | 0x8e00ull << 32, code = 0x00af9b000000ffff;
	struct kvm_sregs sregs;

	vm_create(vm, VM_BARE);
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		test_skip("HLT always exits");
	vm->mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(vm->mem != MAP_FAILED);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
	LOAD64(vm, halt_inside);
	memcpy(vm->mem + HALT_HANDLER, guest_halt_handler,
	       guest_halt_handler_end - guest_halt_handler);
	memcpy(vm->mem + HALT_GDT + 8, &code, 8);
	memcpy(vm->mem + HALT_IDT + 16 * 13, &gate, 8);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.gdt.base = HALT_GDT;
	sregs.gdt.limit = 0x17;
	sregs.idt.base = HALT_IDT;
	sregs.idt.limit = 0xfff;
	REQUIRE(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

TEST(an_exception_ends_a_halt_inside_the_guest)
{
	struct sigaction alarm = { .sa_handler = on_alarm };
	/* Again and again: the first signal may come before the guest runs. */
	struct itimerval soon = {
		.it_value.tv_usec = 20000, .it_interval.tv_usec = 20000,
	}, never = { };
	struct kvm_vcpu_events events;
	struct kvm_regs regs;
	struct vm vm;

	halting_vm(&vm);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rsp = 0x3f00;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	REQUIRE(sigaction(SIGALRM, &alarm, NULL) == 0);
	REQUIRE(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	/* Bochs 3.0 ends the halt at any exit, and with IF clear for no interrupt at all. */
	if (!ioctl(vm.vcpu, KVM_RUN, NULL))
		test_skip("exits end the halt on this CPU");
	EXPECT_EQ(errno, EINTR);
	REQUIRE(setitimer(ITIMER_REAL, &never, NULL) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.exception.injected = 1;
	events.exception.nr = 13;
	events.exception.has_error_code = 1;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
	run_out(&vm, 0x12);
	vm_destroy(&vm);
}

/* ---- who is told that the vCPU does not run (CVE-2022-39189) ---- */

#define STEAL_ON							\
	"	mov $0x4b564d03, %ecx\n"	/* MSR_KVM_STEAL_TIME */ \
	"	mov $0x9001, %eax\n"					\
	"	xor %edx, %edx\n"					\
	"	wrmsr\n"

GUEST(write_away, 64)
	STEAL_ON
	"	mov %eax, 0x20000000\n"
	"	hlt\n"
GUEST_END(write_away);

GUEST(go_round, 64)
	STEAL_ON
	"	sti\n"
	"1:	jmp 1b\n"
GUEST_END(go_round);

/* In the middle of an instruction siblings must not leave TLB flushes for later. */
TEST(not_preempted_within_an_instruction)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, write_away);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.mem[STEAL + STEAL_PREEMPTED], 0);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

static void on_signal(int nr)
{
	(void)nr;
}

/* In @usec microseconds a signal comes. */
static void signal_in(long usec)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec when = { .it_value.tv_nsec = usec * 1000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &when, NULL) == 0);
}

TEST(preempted_between_instructions)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, go_round);
	signal_in(20000);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	EXPECT_EQ(vm.mem[STEAL + STEAL_PREEMPTED], 1);
	vm_destroy(&vm);
}

/* ---- the local descriptor table of the VMM's process ---- */

GUEST(halt, 64)
	"1:	hlt\n"
	"	jmp 1b\n"
GUEST_END(halt);

#define LDT_SELECTOR	7	/* the first entry, of the LDT, for userspace */

static bool selector_is_there(unsigned int selector)
{
	unsigned int rights;
	bool there;

	__asm__ volatile("lar %2, %0" : "=r"(rights), "=@ccz"(there) : "r"(selector));
	return there;
}

TEST(the_process_keeps_its_ldt)
{
	struct user_desc desc = {
		.entry_number = 0, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1,
		.useable = 1,
	};
	struct vm vm;

	if (syscall(SYS_modify_ldt, 0x11, &desc, sizeof(desc)))
		test_skip("the kernel has no modify_ldt()");
	vm_create(&vm, 0);
	LOAD64(&vm, halt);
	EXPECT(selector_is_there(LDT_SELECTOR));
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT(selector_is_there(LDT_SELECTOR));
	/* And with a segment of it in use. */
	__asm__ volatile("mov %0, %%es" : : "r"(LDT_SELECTOR));
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT(selector_is_there(LDT_SELECTOR));
	__asm__ volatile("mov %0, %%es" : : "r"(0));
	vm_destroy(&vm);
}

/* ---- a vCPU that goes to another CPU and comes back, all within one KVM_RUN ---- */

GUEST(syscalls, 64)
	"	sti\n"
	"	mov $0xc0000080, %ecx\n"	/* EFER: SCE */
	"	rdmsr\n"
	"	or $1, %eax\n"
	"	wrmsr\n"
	"	mov $0xc0000081, %ecx\n"	/* STAR */
	"	xor %eax, %eax\n"
	"	mov $0x00080008, %edx\n"
	"	wrmsr\n"
	"	mov $0xc0000082, %ecx\n"	/* LSTAR */
	"	lea 4f(%rip), %rax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	movq $1, 0x7000\n"
	"1:	pause\n"
	"	cmpq $1, 0x7008\n"
	"	jne 1b\n"
	"	mov $0xc0000082, %ecx\n"
	"	lea 5f(%rip), %rax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	movq $2, 0x7000\n"
	"2:	pause\n"
	"	cmpq $2, 0x7008\n"
	"	jne 2b\n"
	"	syscall\n"
	"4:	movq $4, 0x7010\n"
	"	hlt\n"
	"5:	movq $5, 0x7010\n"
	"	hlt\n"
GUEST_END(syscalls);

static pid_t run_tid;

static void pin(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	REQUIRE(sched_setaffinity(tid, sizeof(set), &set) == 0);
}

static void *run_on_cpu1(void *arg)
{
	pin(0, 1);
	__atomic_store_n(&run_tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	run_until(arg, KVM_EXIT_HLT);
	return NULL;
}

static void wait_for(volatile uint64_t *word, uint64_t val)
{
	while (*word != val)
		usleep(1000);
}

/* Nothing on CPU 1 returns to userspace meanwhile, so what was loaded there stays loaded. */
TEST(msrs_follow_the_vcpu)
{
	pthread_t thread;
	struct vm vm;

	test_needs_two_cpus();
	vm_create(&vm, 0);
	LOAD64(&vm, syscalls);
	pin(0, 0);
	REQUIRE(pthread_create(&thread, NULL, run_on_cpu1, &vm) == 0);
	wait_for(&mailbox(&vm)[0], 1);
	pin(run_tid, 0);
	mailbox(&vm)[1] = 1;
	wait_for(&mailbox(&vm)[0], 2);
	pin(run_tid, 1);
	mailbox(&vm)[1] = 2;
	REQUIRE(pthread_join(thread, NULL) == 0);
	EXPECT_EQ(mailbox(&vm)[2], 5);
	vm_destroy(&vm);
}

/* ---- the host takes a page away that many slots show, while slots come and go ---- */

#define ALIASES		4000
#define ALIAS_BASE	0x1000000ull
#define OTHER_SLOT	32000

static volatile bool changing = true;

static void *change_slots(void *arg)
{
	struct vm *vm = arg;

	pin(0, 1);
	while (changing) {
		vm_slot(vm, OTHER_SLOT, 0x8000000, 4096, vm->mem, 0);
		vm_slot(vm, OTHER_SLOT, 0x8000000, 0, vm->mem, 0);
	}
	return NULL;
}

TEST(an_invalidation_ends)
{
	pthread_t thread;
	uint8_t *page;
	struct vm vm;
	unsigned int i;

	test_needs_two_cpus();
	vm_create(&vm, VM_BARE);
	vm.mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(vm.mem != MAP_FAILED && page != MAP_FAILED);
	for (i = 0; i < ALIASES; i++)
		vm_slot(&vm, i, ALIAS_BASE + i * 4096, 4096, page, 0);
	pin(0, 0);
	REQUIRE(pthread_create(&thread, NULL, change_slots, &vm) == 0);
	for (i = 0; i < 5; i++) {
		*page = i;
		EXPECT_EQ(madvise(page, 4096, MADV_DONTNEED), 0);
	}
	changing = false;
	REQUIRE(pthread_join(thread, NULL) == 0);
	vm_destroy(&vm);
}
