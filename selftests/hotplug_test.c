// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests run on while CPUs go offline and come back, and through a suspend
 * that stops short of the firmware.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define ONLINE		"/sys/devices/system/cpu/cpu1/online"
#define GUESTS		8
#define ROUNDS		10
#define COUNTER		0x9000

/* Interrupts are on, so that the host's come through in every emulator. */
GUEST(count, 16)
	"	sti\n"
	"1:	incl %cs:0x9000\n"
	"	jmp 1b\n"
GUEST_END(count);

GUEST(out, 16)
	"1:	outb %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(out);

struct runner {
	struct vm vm;
	pthread_t thread;
	int err;
};

static void pause_ms(unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&time, &time) < 0)
		;
}

static bool put_word(const char *file, const char *word)
{
	int fd = open(file, O_WRONLY);
	ssize_t len = strlen(word), done;

	if (fd < 0)
		return false;
	done = write(fd, word, len);
	close(fd);
	return done == len;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void *run_guest(void *arg)
{
	struct runner *r = arg;

	r->err = ioctl(r->vm.vcpu, KVM_RUN, 0) < 0 ? errno : 0;
	return NULL;
}

static uint32_t counter(struct runner *r)
{
	uint32_t val;

	__atomic_load((uint32_t *)(r->vm.mem + COUNTER), &val, __ATOMIC_RELAXED);
	return val;
}

static void runner_start(struct runner *r)
{
	r->vm.run->immediate_exit = 0;
	REQUIRE(!pthread_create(&r->thread, NULL, run_guest, r));
}

/* By the signal, and by nothing else. */
static void runner_stop(struct runner *r)
{
	r->vm.run->immediate_exit = 1;
	pthread_kill(r->thread, SIGUSR1);
	pthread_join(r->thread, NULL);
	EXPECT_EQ(r->err, EINTR);
}

static void runners_start(struct runner *runners)
{
	struct sigaction act = { .sa_handler = on_signal };
	int i;

	sigaction(SIGUSR1, &act, NULL);
	for (i = 0; i < GUESTS; i++) {
		vm_create(&runners[i].vm, 0);
		LOAD16(&runners[i].vm, count);
		runner_start(&runners[i]);
	}
}

/* Every guest gets on, then it ends. */
static void runners_end(struct runner *runners)
{
	int i, tries;

	for (i = 0; i < GUESTS; i++) {
		uint32_t before = counter(&runners[i]);

		for (tries = 0; counter(&runners[i]) == before && tries < 200; tries++)
			pause_ms(20);
		EXPECT(counter(&runners[i]) != before);
	}
	for (i = 0; i < GUESTS; i++) {
		runner_stop(&runners[i]);
		vm_destroy(&runners[i].vm);
	}
}

TEST(guests_run_on_while_a_cpu_goes_and_comes)
{
	struct runner runners[GUESTS] = {};
	int i;

	test_needs_two_cpus();
	runners_start(runners);
	for (i = 0; i < ROUNDS; i++) {
		pause_ms(30);
		EXPECT(put_word(ONLINE, "0"));
		pause_ms(30);
		EXPECT(put_word(ONLINE, "1"));
	}
	runners_end(runners);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
}

TEST(an_idle_vcpu_survives_its_cpu)
{
	struct vm vm;
	int i;

	test_needs_two_cpus();
	vm_create(&vm, 0);
	LOAD16(&vm, out);
	for (i = 0; i < 3; i++) {
		pin(1);
		run_out(&vm, 0x10);
		pin(0);
		EXPECT(put_word(ONLINE, "0"));
		run_out(&vm, 0x10);
		EXPECT(put_word(ONLINE, "1"));
		run_out(&vm, 0x10);
	}
	vm_destroy(&vm);
}

TEST(a_vm_is_created_while_a_cpu_is_offline)
{
	struct vm vm;

	test_needs_two_cpus();
	EXPECT(put_word(ONLINE, "0"));
	vm_create(&vm, 0);
	LOAD16(&vm, out);
	run_out(&vm, 0x10);
	EXPECT(put_word(ONLINE, "1"));
	pin(1);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

static uint64_t guest_tsc(struct vm *vm)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry.index = 0x10 };

	REQUIRE(ioctl(vm->vcpu, KVM_GET_MSRS, &msr) == 1);
	return msr.entry.data;
}

static uint64_t guest_clock(struct vm *vm)
{
	struct kvm_clock_data clock;

	REQUIRE(ioctl(vm->fd, KVM_GET_CLOCK, &clock) == 0);
	return clock.clock;
}

/* Also on a machine whose own TSC begins anew. */
TEST(time_goes_on_after_a_suspend)
{
	uint64_t clock, tsc;
	struct vm vm;

	if (!put_word("/sys/power/pm_test", "core"))
		test_skip("the kernel has no suspend test");
	put_word("/sys/module/suspend/parameters/pm_test_delay", "1");
	vm_create(&vm, VM_IRQCHIP);
	LOAD16(&vm, out);
	run_out(&vm, 0x10);
	tsc = guest_tsc(&vm);
	clock = guest_clock(&vm);
	if (!put_word("/sys/power/state", "mem"))
		test_skip("this machine has no suspend to memory");
	EXPECT(guest_clock(&vm) - clock < 3600ull * 1000000000);
	EXPECT(guest_tsc(&vm) - tsc < 1ull << 44);
	run_out(&vm, 0x10);
	vm_destroy(&vm);
}

/* All but the entry into the sleep state: tasks frozen, CPUs offline, IRQs off, and back. */
TEST(guests_run_on_after_a_suspend)
{
	struct runner runners[GUESTS] = {};
	int i;

	if (!put_word("/sys/power/pm_test", "core"))
		test_skip("the kernel has no suspend test");
	put_word("/sys/module/suspend/parameters/pm_test_delay", "1");
	runners_start(runners);
	pause_ms(100);
	if (!put_word("/sys/power/state", "mem")) {
		runners_end(runners);
		test_skip("this machine has no suspend to memory");
	}
	/* To be frozen ends KVM_RUN for those that were in it. */
	for (i = 0; i < GUESTS; i++) {
		runner_stop(&runners[i]);
		runner_start(&runners[i]);
	}
	runners_end(runners);
}
