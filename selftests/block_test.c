// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that halts: its timer ends the poll as it ends the sleep, and the statistics tell one from
 * the other, as upstream's do.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "selftests/lib/tracing.h"
#include "selftests/lib/x2apic.h"

#define LIMIT		"/sys/module/okvm/parameters/halt_poll_ns"
#define POLL_NS		20000000	/* 20 ms: longer than any wait here */
#define WAIT_NS		1000000
#define SLACK_NS	4000000

/* A timer of EBX counts ends each HLT. */
GUEST(naps, 16)
	X2_FLAT16
	X2_ON("$0x1ff")
	X2_TIMER
	"1:	out %al, $0x10\n"
	"	cli\n"
	X2_TIMER_ARM("%ebx")
	"	sti\n"
	"	hlt\n"
	"	jmp 1b\n"
	".global guest_naps_irq\n"
	"guest_naps_irq:\n"
	X2_EOI
	"	iret\n"
GUEST_END(naps);
extern const uint8_t guest_naps_irq[];

static void naps_create(struct vm *vm)
{
	vm_create(vm, VM_IRQCHIP);
	X2_LOAD16(vm, naps, WAIT_NS);
	run_out(vm, 0x10);
}

/* Return: how long it took */
static uint64_t nap(struct vm *vm)
{
	uint64_t start = now_ns();

	run_out(vm, 0x10);
	return now_ns() - start;
}

/* ---- the parameter ---- */

static char limit_before[32];

static void limit_write(const char *text)
{
	int fd = open(LIMIT, O_WRONLY);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void limit_set(unsigned int ns)
{
	int fd = open(LIMIT, O_RDONLY);
	char text[32];

	if (fd < 0)
		test_skip("no module parameter halt_poll_ns of okvm");
	if (!limit_before[0])
		REQUIRE(read(fd, limit_before, sizeof(limit_before) - 1) > 0);
	close(fd);
	snprintf(text, sizeof(text), "%u", ns);
	limit_write(text);
}

/* ---- tests ---- */

/*
 * Each nap that is longer than the polling time doubles that. A timer that cannot end the poll
 * makes each nap as long as the poll: the last ones take 10 ms and more.
 */
TEST(a_timer_ends_the_poll)
{
	struct vm vm;
	uint64_t ns, longest = 0;
	unsigned int i;

	limit_set(POLL_NS);
	naps_create(&vm);
	for (i = 0; i < 20; i++) {
		ns = nap(&vm);
		EXPECT(ns >= WAIT_NS);
		if (ns > longest)
			longest = ns;
	}
	printf("# the longest of 20 naps of 1 ms took %llu us\n",
	       (unsigned long long)longest / 1000);
	EXPECT(longest < WAIT_NS + SLACK_NS);
	EXPECT(vcpu_stat(&vm, "halt_attempted_poll") > 0);
	vm_destroy(&vm);
	limit_write(limit_before);
}

TEST(a_longer_polling_time_is_traced)
{
	struct vm vm;
	unsigned int i;

	limit_set(POLL_NS);
	naps_create(&vm);
	tracing_begin();
	for (i = 0; i < 3; i++)
		nap(&vm);
	tracing_end();
	/* Each nap of 1 ms is longer than the polling time before it. */
	EXPECT_EQ(traced("kvm_halt_poll_ns", "vcpu 0 from 0 to "), 1);
	EXPECT_EQ(traced("kvm_halt_poll_ns", " ns (grow)"), 3);
	free(trace_text);
	vm_destroy(&vm);
	limit_write(limit_before);
}

/* Whatever else runs on the CPU: it only shortens the polls. */
TEST(a_poll_beside_other_work_is_counted)
{
	struct vm vm;
	cpu_set_t here;
	unsigned int i;
	pid_t child;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	REQUIRE(sched_setaffinity(0, sizeof(here), &here) == 0);
	limit_set(POLL_NS);
	naps_create(&vm);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		REQUIRE(nice(19) == 19);
		for (;;)
			;
	}
	REQUIRE(child > 0);
	for (i = 0; i < 100 && !vcpu_stat(&vm, "halt_attempted_poll"); i++)
		nap(&vm);
	EXPECT(vcpu_stat(&vm, "halt_attempted_poll") > 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	vm_destroy(&vm);
	limit_write(limit_before);
}

TEST(polls_and_sleeps_are_counted)
{
	uint64_t polls, good, good_ns, bad_ns, wait_ns, wakeups, start, all_ns;
	struct vm vm;
	unsigned int i;

	limit_set(POLL_NS);
	naps_create(&vm);
	start = now_ns();
	for (i = 0; i < 20; i++)
		nap(&vm);
	all_ns = now_ns() - start;
	polls = vcpu_stat(&vm, "halt_attempted_poll");
	good = vcpu_stat(&vm, "halt_successful_poll");
	good_ns = vcpu_stat(&vm, "halt_poll_success_ns");
	bad_ns = vcpu_stat(&vm, "halt_poll_fail_ns");
	wait_ns = vcpu_stat(&vm, "halt_wait_ns");
	wakeups = vcpu_stat(&vm, "halt_wakeup");
	printf("# %llu polls, %llu good; %llu + %llu us polled, %llu us and %llu times slept\n",
	       (unsigned long long)polls, (unsigned long long)good,
	       (unsigned long long)good_ns / 1000, (unsigned long long)bad_ns / 1000,
	       (unsigned long long)wait_ns / 1000, (unsigned long long)wakeups);
	/* The first one sleeps, having no polling time; some poll in vain; the last ones do not. */
	EXPECT(polls > 2 && polls < 20);
	EXPECT(good > 0 && good < polls);
	EXPECT(good_ns >= good * WAIT_NS / 2);
	EXPECT(bad_ns > 0);
	EXPECT(wakeups >= 1 && wakeups <= 20 - good);
	EXPECT(wait_ns > 0 && good_ns + bad_ns + wait_ns <= all_ns);
	EXPECT_EQ(vcpu_stat(&vm, "halt_poll_invalid"), 0);

	/* A lower limit holds from the next halt on. */
	limit_set(0);
	nap(&vm);
	EXPECT_EQ(vcpu_stat(&vm, "halt_attempted_poll"), polls);
	EXPECT_EQ(vcpu_stat(&vm, "halt_wakeup"), wakeups + 1);
	vm_destroy(&vm);
	limit_write(limit_before);
}
