// SPDX-License-Identifier: GPL-2.0-only
/* KVM_RUN itself: who may call it, what ends it, and how that is told. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

GUEST(halt, 16)
	"	hlt\n"
	"	hlt\n"
GUEST_END(halt);

GUEST(spin, 16)
	"1:	jmp 1b\n"
GUEST_END(spin);

TEST(an_argument_is_einval)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 1), EINVAL);
	vm_destroy(&vm);
}

TEST(another_process_gets_eio)
{
	struct vm vm;
	int status;
	pid_t pid;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	pid = fork();
	if (!pid) {
		errno = 0;
		_exit(vcpu_run(&vm) == -1 && errno == EIO ? 0 : 1);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	EXPECT_EQ(status, 0);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(immediate_exit_is_eintr)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	vm.run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rip, VM_CODE);
	vm.run->immediate_exit = 0;
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

/* Each EINTR takes the kick, also that of immediate_exit. */
TEST(immediate_exit_takes_a_kick)
{
	struct vm vm;

	if (!(ioctl(open_device(), KVM_CHECK_EXTENSION, OKVM_CAP_CONTROL) & OKVM_CONTROL_KICK))
		test_skip("the device has no OKVM_VCPU_KICK");
	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	EXPECT_EQ(ioctl(vm.vcpu, OKVM_VCPU_KICK, 0), 0);
	vm.run->immediate_exit = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 0), EINTR);
	vm.run->immediate_exit = 0;
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

static void on_signal(int nr)
{
	(void)nr;
}

/* Interrupt this thread in @ms milliseconds. */
static void signal_in(unsigned int ms)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec when = { .it_value.tv_nsec = ms * 1000000l };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &when, NULL) == 0);
}

TEST(a_signal_ends_a_spinning_guest_with_intr)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, spin);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	regs.rflags |= 0x200;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &regs), 0);
	vm.run->exit_reason = KVM_EXIT_IO;
	signal_in(20);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_INTR);
	EXPECT_EQ(vm.run->if_flag, 1);
	vm_destroy(&vm);
}

TEST(a_signal_ends_a_halted_vcpu_with_intr)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD16(&vm, halt);
	signal_in(20);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_INTR);
	vm_destroy(&vm);
}

TEST(an_ap_waits_for_sipi)
{
	struct kvm_mp_state state;
	struct kvm_run *run;
	struct vm vm;
	int ap;

	vm_create(&vm, VM_IRQCHIP);
	ap = vcpu_add(&vm, 1, &run);
	EXPECT_EQ(ioctl(ap, KVM_GET_MP_STATE, &state), 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_UNINITIALIZED);
	run->exit_reason = KVM_EXIT_IO;
	signal_in(20);
	EXPECT_ERR(ioctl(ap, KVM_RUN, 0), EINTR);
	EXPECT_EQ(run->exit_reason, KVM_EXIT_INTR);
	close(ap);
	vm_destroy(&vm);
}

TEST(without_irqchip_mp_states_but_runnable_are_einval)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_HALTED };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_MP_STATE, &state), EINVAL);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_MP_STATE, &state), 0);
	vm_destroy(&vm);
}

GUEST(triple, 16)
	"	lidtw %cs:0x9000\n"
	"	int3\n"
GUEST_END(triple);

TEST(a_triple_fault_is_shutdown)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, triple);
	run_until(&vm, KVM_EXIT_SHUTDOWN);
	vm_destroy(&vm);
}

TEST(hlt_returns_and_goes_on_behind_it)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(vm.run->if_flag, 0);
	EXPECT_EQ(vm.run->ready_for_interrupt_injection, 0);
	EXPECT_EQ(vm.run->apic_base & 0xfffff000, 0xfee00000);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rip, VM_CODE + 1);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(unknown_sync_bits_are_einval)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	vm.run->kvm_valid_regs = 1ull << 40;
	EXPECT_ERR(vcpu_run(&vm), EINVAL);
	vm.run->kvm_valid_regs = 0;
	vm.run->kvm_dirty_regs = 1ull << 40;
	EXPECT_ERR(vcpu_run(&vm), EINVAL);
	vm.run->kvm_dirty_regs = 0;
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

GUEST(xmm, 64)
	"	mov %cr4, %rax\n"
	"	or $0x600, %rax\n"
	"	mov %rax, %cr4\n"
	"	mov $0x1122334455667788, %rax\n"
	"	movq %rax, %xmm3\n"
	"1:	out %al, $0x10\n"
	"	movq %xmm3, %rbx\n"
	"	cmp %rax, %rbx\n"
	"	je 1b\n"
	"	hlt\n"
GUEST_END(xmm);

TEST(xmm_registers_of_the_guest_are_kept_across_exits)
{
	uint64_t mine = 0xfeedfacecafebeef;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	LOAD64(&vm, xmm);
	for (i = 0; i < 50; i++) {
		__asm__ volatile("movq %0, %%xmm3" : : "r"(mine) : "xmm3");
		run_until(&vm, KVM_EXIT_IO);
		if (i % 10 == 0)
			usleep(1000);
	}
	vm_destroy(&vm);
}
