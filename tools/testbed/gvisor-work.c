// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tools/testbed/steps/68-gvisor runs in gVisor: faults that become signals, threads that
 * compute, children, memory that comes and goes, timers. Ends with 0 and "work: all is well".
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failed;

static void check(const char *what, int good)
{
	printf("work: %s%s\n", what, good ? "" : " FAILED");
	failed |= !good;
}

/* ---- faults ---- */

static sigjmp_buf back;
static volatile sig_atomic_t caught;

static void handler(int sig)
{
	caught = sig;
	siglongjmp(back, 1);
}

static void ud2(void *arg)
{
	(void)arg;
	__asm__ volatile("ud2");
}

static void breakpoint(void *arg)
{
	(void)arg;
	__asm__ volatile("int3");
}

static void privileged(void *arg)
{
	(void)arg;
	__asm__ volatile("hlt");
}

static void divide(void *arg)
{
	(void)arg;
	__asm__ volatile("div %%cl" :: "a"(1), "c"(0) : "cc");
}

static void write_byte(void *arg)
{
	*(volatile char *)arg = 1;
}

static void fault(const char *what, int sig, void (*fn)(void *arg), void *arg)
{
	signal(sig, handler);
	caught = 0;
	if (!sigsetjmp(back, 1))
		fn(arg);
	check(what, caught == sig);
	signal(sig, SIG_DFL);
}

static void faults(void)
{
	const size_t size = 4 << 20;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fault("a null pointer", SIGSEGV, write_byte, NULL);
	fault("an address that is not canonical", SIGSEGV, write_byte, (void *)(1ul << 60));
	fault("UD2", SIGILL, ud2, NULL);
	fault("INT3", SIGTRAP, breakpoint, NULL);
	fault("HLT", SIGSEGV, privileged, NULL);
	fault("a division by 0", SIGFPE, divide, NULL);
	memset(mem, 5, size);
	mprotect(mem, 4096, PROT_READ);
	fault("read-only memory", SIGSEGV, write_byte, mem);
	check("the memory behind it", mem[4096] == 5 && mem[size - 1] == 5);
	munmap(mem, size);
	fault("memory that went", SIGSEGV, write_byte, mem);
}

/* ---- threads and children ---- */

static void *compute(void *arg)
{
	double *sum = arg, x = *sum;
	int i;

	for (i = 1, *sum = 0; i < 300000; i++)
		*sum += x / i;
	return NULL;
}

static void threads(void)
{
	double sums[4] = { 1, 2, 4, 8 };
	pthread_t thread[4];
	int i;

	for (i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, compute, &sums[i]))
			exit(2);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	/* Powers of two: exactly the same digits. */
	check("threads that compute", sums[0] > 13 && sums[1] == 2 * sums[0] &&
	      sums[2] == 4 * sums[0] && sums[3] == 8 * sums[0]);
}

static void children(void)
{
	int i, status, fd[2], good = pipe(fd) == 0;
	char got[8];

	for (i = 0; i < 8; i++) {
		pid_t child = fork();

		if (!child)
			_exit(write(fd[1], &i, 1) == 1 ? i : 100);
		good &= waitpid(child, &status, 0) == child && WIFEXITED(status) &&
			WEXITSTATUS(status) == i;
		good &= read(fd[0], got, sizeof(got)) == 1 && got[0] == i;
	}
	check("children", good);
}

/* ---- time ---- */

static volatile sig_atomic_t alarms;

static void tick(int sig)
{
	(void)sig;
	alarms++;
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void timers(void)
{
	int64_t start = now(), last = start, t;
	int good = 1;

	signal(SIGALRM, tick);
	ualarm(20000, 20000);
	/* A loop without a system call but those that need none: only the alarms interrupt it. */
	while ((t = now()) < start + 1000000000) {
		good &= t >= last;
		last = t;
	}
	ualarm(0, 0);
	check("alarms interrupt a loop", alarms > 5);
	check("time goes forward", good);
	start = now();
	usleep(100000);
	t = now() - start;
	check("a sleep", t >= 100000000 && t < 5000000000);
}

int main(void)
{
	struct utsname name;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The kernel here is gVisor's. */
	check("uname", uname(&name) == 0 && !strcmp(name.release, "4.4.0"));
	faults();
	threads();
	children();
	timers();
	if (!failed)
		puts("work: all is well");
	return failed;
}
