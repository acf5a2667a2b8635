// SPDX-License-Identifier: GPL-2.0-only
/*
 * One KVM_RUN is one system call: it keeps the file that it was begun with, and the signal mask of
 * KVM_SET_SIGNAL_MASK, whatever the kernel wants of the thread meanwhile. The scheduler does after
 * each switch to it (rseq, and task work since Linux 6.4); a session keyring that a child hands
 * over does on any kernel that has keyrings.
 */
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define COUNTER		0x9000u
#define LIMIT_MS	700
#define WORK_MS		250	/* how long the child makes work for the thread */
#define JOIN_SESSION	1	/* KEYCTL_JOIN_SESSION_KEYRING */
#define SESSION_TO_PARENT 18	/* KEYCTL_SESSION_TO_PARENT */

GUEST(count, 16)
	"1:	incl %cs:0x9000\n"
	"	jmp 1b\n"
GUEST_END(count);

GUEST(tell, 16)
	"	out %al, $0x42\n"
	"	jmp .\n"
GUEST_END(tell);

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void pause_ms(unsigned int ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000l };

	nanosleep(&t, NULL);
}

static void on_signal(int nr)
{
	(void)nr;
}

static void alarm_in(unsigned int ms)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l },
	};
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	timer_t timer;

	REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &when, NULL) == 0);
}

/* In a child that shares the descriptors: task work for the parent, and a busy CPU beside it. */
static void make_work(void)
{
	uint64_t until = now_ms() + WORK_MS;

	while (now_ms() < until) {
		syscall(SYS_keyctl, JOIN_SESSION, NULL);
		syscall(SYS_keyctl, SESSION_TO_PARENT);
		pause_ms(5);
	}
}

/* A child with the same table of descriptors; the parent stays a process of one thread. */
static pid_t fork_files(void)
{
	return syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
}

static void reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	EXPECT_EQ(status, 0);
}

static uint32_t count_of(const struct vm *vm)
{
	return *(volatile uint32_t *)(vm->mem + COUNTER);
}

/* KVM_RUN must spin until the alarm and end by it alone. */
static void run_to_alarm(struct vm *vm)
{
	uint64_t from = now_ms();
	int ret, err;

	alarm_in(LIMIT_MS);
	vm->run->exit_reason = KVM_EXIT_UNKNOWN;
	ret = vcpu_run(vm);
	err = errno;
	EXPECT_EQ(ret, -1);
	EXPECT_EQ(err, EINTR);
	EXPECT_EQ(vm->run->exit_reason, KVM_EXIT_INTR);
	EXPECT(now_ms() - from >= LIMIT_MS - 50);
}

TEST(the_file_is_closed_while_it_runs)
{
	struct vm vm;
	pid_t pid;

	vm_create(&vm, 0);
	LOAD16(&vm, count);
	pid = fork_files();
	if (!pid) {
		pause_ms(50);
		if (close(vm.vcpu))
			_exit(1);
		make_work();
		_exit(0);
	}
	run_to_alarm(&vm);
	EXPECT(count_of(&vm) > 0);
	reap(pid);
	EXPECT_ERR(vcpu_run(&vm), EBADF);
	vm.vcpu = -1;
	vm_destroy(&vm);
}

static void second_vcpu(struct vm *vm, int vcpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	memcpy(vm->mem + 0xa000, guest_tell, guest_tell_end - guest_tell);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	regs.rip = 0xa000;
	REQUIRE(ioctl(vcpu, KVM_SET_REGS, &regs) == 0);
}

TEST(the_number_becomes_another_vcpus_while_it_runs)
{
	struct kvm_run *run;
	struct vm vm;
	int other;
	pid_t pid;

	vm_create(&vm, 0);
	LOAD16(&vm, count);
	other = vcpu_add(&vm, 1, &run);
	second_vcpu(&vm, other);
	pid = fork_files();
	if (!pid) {
		pause_ms(50);
		if (dup2(other, vm.vcpu) != vm.vcpu)
			_exit(1);
		make_work();
		_exit(0);
	}
	run_to_alarm(&vm);
	reap(pid);
	/* The other one has not run; now it does. */
	EXPECT_EQ(run->exit_reason, 0);
	REQUIRE(vcpu_run(&vm) == 0);
	EXPECT_EQ(run->exit_reason, KVM_EXIT_IO);
	close(other);
	vm_destroy(&vm);
}

/* ---- the mask ---- */

static volatile uint64_t came_at;

static void note_time(int nr)
{
	(void)nr;
	came_at = now_ms();
}

static void block_in_guest(struct vm *vm, int nr)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} __attribute__((packed)) mask = { .head.len = 8, .set = 1ull << (nr - 1) };

	REQUIRE(ioctl(vm->vcpu, KVM_SET_SIGNAL_MASK, &mask) == 0);
}

TEST(a_blocked_signal_waits_until_the_call_ends)
{
	struct sigaction action = { .sa_handler = note_time };
	pid_t pid, parent = getpid();
	uint64_t from;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, count);
	block_in_guest(&vm, SIGUSR2);
	REQUIRE(sigaction(SIGUSR2, &action, NULL) == 0);
	pid = fork_files();
	if (!pid) {
		pause_ms(50);
		kill(parent, SIGUSR2);
		make_work();
		_exit(0);
	}
	from = now_ms();
	run_to_alarm(&vm);
	EXPECT(came_at >= from + LIMIT_MS - 50);
	reap(pid);
	vm_destroy(&vm);
}

TEST(a_blocked_signal_that_only_the_guest_lets_through_ends_the_call)
{
	struct sigaction action = { .sa_handler = on_signal };
	pid_t pid, parent = getpid();
	uint64_t from = now_ms();
	sigset_t usr2, pending;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, count);
	/* The thread blocks it, the mask of KVM_RUN does not. */
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	REQUIRE(sigaction(SIGUSR2, &action, NULL) == 0);
	REQUIRE(sigprocmask(SIG_BLOCK, &usr2, NULL) == 0);
	block_in_guest(&vm, SIGUSR1);
	pid = fork_files();
	if (!pid) {
		make_work();
		kill(parent, SIGUSR2);
		_exit(0);
	}
	alarm_in(5000);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	EXPECT(now_ms() - from < 4500);
	/* It ended the call, and waits for whoever blocked it. */
	REQUIRE(sigpending(&pending) == 0);
	EXPECT(sigismember(&pending, SIGUSR2) == 1);
	reap(pid);
	vm_destroy(&vm);
}

/* A signal that kills is not put off by work that is done in the kernel. */
TEST(a_vcpu_is_killed_amid_work)
{
	int status = 0;
	struct vm vm;
	pid_t pid;

	pid = fork();
	if (!pid) {
		pid_t inner, parent = getpid();

		vm_create(&vm, 0);
		LOAD16(&vm, count);
		inner = fork_files();
		if (!inner) {
			make_work();
			kill(parent, SIGKILL);
			_exit(0);
		}
		vcpu_run(&vm);
		_exit(1);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Stopped and continued: the call has ended, and another one goes on. */
TEST(a_vcpu_is_stopped_and_continued)
{
	pid_t pid, parent = getpid();
	struct vm vm;
	uint32_t before;

	vm_create(&vm, 0);
	LOAD16(&vm, count);
	pid = fork_files();
	if (!pid) {
		pause_ms(50);
		kill(parent, SIGSTOP);
		make_work();
		kill(parent, SIGCONT);
		_exit(0);
	}
	alarm_in(LIMIT_MS);
	EXPECT_ERR(vcpu_run(&vm), EINTR);
	reap(pid);
	before = count_of(&vm);
	alarm_in(100);
	while (vcpu_run(&vm) < 0 && errno == EINTR && count_of(&vm) == before)
		;
	EXPECT(count_of(&vm) != before);
	vm_destroy(&vm);
}
