// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a Linux guest that loads its interrupt paths and judges them: wake-ups across CPUs
 * through pipes and futexes (reschedule IPIs), forks, TLB shootdowns (call-function IPIs), timers.
 * A lost interrupt shows as a round that does not end before the watchdog, a spurious one in
 * /proc/interrupts. Ends the VMM through its exit port: 0 passed, else the number of the check.
 *
 * Kernel command line: load.cpus=N (how many CPUs must be online), load.rounds=N.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PORT_EXIT	0xf4
#define WATCHDOG	30	/* seconds of guest time */

enum verdict { PASSED, NO_CPUS = 10, HUNG, PIPES, FUTEXES, FORKS, SHOOTDOWNS, TIMERS, COUNTS };

static int cpus, rounds;

static __attribute__((noreturn)) void end(enum verdict verdict)
{
	unsigned char status = verdict;
	int port = open("/dev/port", O_RDWR);

	printf("load: %s (%d)\n", verdict ? "FAILED" : "passed", verdict);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	if (port >= 0)
		pwrite(port, &status, 1, PORT_EXIT);
	for (;;)	/* an init that ends makes the kernel panic */
		pause();
}

static void hung(int sig)
{
	(void)sig;
	end(HUNG);
}

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static int option(const char *line, const char *name, int otherwise)
{
	const char *at = strstr(line, name);

	return at ? atoi(at + strlen(name)) : otherwise;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Runs @work(i) in one process per CPU, pinned there; false if any of them failed. */
static bool everywhere(bool (*work)(int cpu))
{
	bool fine = true;
	int status;

	for (int i = 0; i < cpus; i++) {
		pid_t child = fork();

		if (child < 0)
			return false;
		if (!child) {
			pin(i);
			_exit(work(i) ? 0 : 1);
		}
	}
	for (int i = 0; i < cpus; i++)
		if (wait(&status) < 0 || status)
			fine = false;
	return fine;
}

/* A byte goes to a child on the next CPU and comes back. */
static bool pipe_pair(int cpu)
{
	int to[2], from[2], status;
	unsigned char byte;
	pid_t child;

	if (pipe(to) || pipe(from))
		return false;
	child = fork();
	if (!child) {
		pin(cpu + 1);
		for (int i = 0; i < rounds; i++)
			if (read(to[0], &byte, 1) != 1 || write(from[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < rounds; i++) {
		unsigned char sent = i;

		if (write(to[1], &sent, 1) != 1 || read(from[0], &byte, 1) != 1 || byte != sent)
			return false;
	}
	return waitpid(child, &status, 0) == child && !status;
}

static void futex_turn(int *word, int mine)
{
	for (;;) {
		int seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);

		if ((seen & 1) == mine)
			return;
		syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
	}
}

static bool futex_pair(int cpu)
{
	int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = fork();
	int mine = child ? 0 : 1, status;

	if (!child)
		pin(cpu + 1);
	for (int i = 0; i < rounds; i++) {
		futex_turn(word, mine);
		__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	if (!child)
		_exit(0);
	return waitpid(child, &status, 0) == child && !status && *word == 2 * rounds;
}

static bool forks(int cpu)
{
	for (int i = 0; i < rounds / 8; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			pin(cpu + i);
			_exit(i & 0x7f);
		}
		if (child < 0 || waitpid(child, &status, 0) != child ||
		    WEXITSTATUS(status) != (i & 0x7f))
			return false;
	}
	return true;
}

static char child_stack[16][16384];
static bool leave;

static int spin_there(void *arg)
{
	pin((long)arg);
	while (!__atomic_load_n(&leave, __ATOMIC_RELAXED))
		sched_yield();
	return 0;
}

/* Threads of one address space on every CPU; unmapping and membarrier(2) must reach them all. */
static bool shootdowns(void)
{
	int threads = 0;

	for (int i = 1; i < cpus && i < 16; i++, threads++)
		if (clone(spin_there, child_stack[i] + sizeof(child_stack[i]),
			  CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, (void *)(long)i) < 0)
			return false;
	for (int i = 0; i < rounds / 4; i++) {
		char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED)
			return false;
		*page = 1;
		if (mprotect(page, 4096, PROT_READ) || munmap(page, 4096) ||
		    (i % 8 == 0 && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0)))
			return false;
	}
	__atomic_store_n(&leave, true, __ATOMIC_RELAXED);
	while (threads--)
		wait(NULL);
	return true;
}

/* Sleeps end neither early nor, however loaded the host, never. */
static bool timers(int cpu)
{
	(void)cpu;
	for (int i = 1; i <= 10; i++) {
		struct timespec nap = { .tv_nsec = i * 300000L };
		long start = now_us();

		nanosleep(&nap, NULL);
		if (now_us() - start < i * 300L)
			return false;
	}
	return true;
}

/* Error and spurious counters must be zero, and each CPU must have seen its local timer. */
static bool counts(bool show)
{
	FILE *table = fopen("/proc/interrupts", "r");
	char line[2048];
	bool fine = true;

	while (table && fgets(line, sizeof(line), table)) {
		char *at = line + strspn(line, " ");
		bool bad = !strncmp(at, "ERR:", 4) || !strncmp(at, "MIS:", 4) ||
			   !strncmp(at, "SPU:", 4);
		long sum = 0;

		if (show)
			fputs(line, stdout);
		if (!bad)
			continue;
		at += 4;
		for (char *end = at; *at; at = end) {
			sum += strtol(at, &end, 10);
			if (end == at)
				break;
		}
		if (sum) {
			printf("load: %s", line);
			fine = false;
		}
	}
	if (table)
		fclose(table);
	return table && fine;
}

static void check(const char *name, bool fine, enum verdict verdict)
{
	static long since;
	long now = now_us();

	printf("load: %-10s %s %ld ms\n", name, fine ? "ok" : "FAILED", (now - since) / 1000);
	since = now;
	if (!fine) {
		counts(true);
		end(verdict);
	}
}

int main(void)
{
	char line[4096] = "";
	int fd;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
		end(NO_CPUS);
	rounds = option(line, "load.rounds=", 100);
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	check("boot", cpus == option(line, "load.cpus=", cpus), NO_CPUS);
	signal(SIGALRM, hung);
	alarm(WATCHDOG);
	check("pipes", everywhere(pipe_pair), PIPES);
	check("futexes", everywhere(futex_pair), FUTEXES);
	check("forks", everywhere(forks), FORKS);
	check("shootdowns", shootdowns(), SHOOTDOWNS);
	check("timers", everywhere(timers), TIMERS);
	check("counts", counts(strstr(line, "load.show")), COUNTS);
	end(PASSED);
}
