// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a Linux guest that loads its interrupt paths and judges them. Ends the VMM through
 * its exit port: 0 passed, else the number of the check.
 *
 *   wake-ups      one sleeper at a time on an otherwise idle machine: a reschedule IPI that is lost
 *                 leaves it asleep until its CPU's next timer, so a round trip takes too long
 *   pipes, futexes, forks    the same on all CPUs at once
 *   shootdowns    call-function IPIs: who sends one waits for it, so a lost one never ends
 *   timers        a sleep ends neither early nor late, and by an interrupt of its own CPU
 *   disk          each request of a disk is one interrupt on the CPU that was asked for
 *   counts        interrupts that nobody wanted, per vector and per line; CPUs that saw none
 *   log           what the kernel says when an interrupt is missing or too many
 *
 * Whatever does not end at all, a watchdog ends.
 *
 * Kernel command line: load.cpus=N (how many CPUs must be online), load.rounds=N, load.disk (there
 * must be a disk), load.show (print /proc/interrupts).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PORT_EXIT	0xf4
#define WATCHDOG	60		/* seconds of guest time */
#define LATE_US		1000000L	/* what waits for an interrupt never waits that long */
#define MAX_CPUS	64
#define NAPS		10
#define SECTOR		512

enum verdict {
	PASSED, NO_CPUS = 10, HUNG, PIPES, FUTEXES, FORKS, SHOOTDOWNS, TIMERS, COUNTS, WAKEUPS,
	DISK, LOG,
};

static int cpus, rounds;
/* The worst of each kind so far, in microseconds; shared by all processes. */
static struct worst { long wakeup, nap; } *worst;

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

/* The counters of a line of /proc/interrupts. */
struct line {
	int cpus;
	long count[MAX_CPUS], sum;
};

/* Whether a line of the table begins with @name and a colon, or ends with it. */
static bool is_line(const char *text, const char *name)
{
	size_t len = strlen(name), all = strcspn(text, "\n");

	return (!strncmp(text, name, len) && text[len] == ':') ||
	       (all > len && !strncmp(text + all - len, name, len));
}

/* Reads the line @name ("LOC", or the name of a device) and returns the number before its colon. */
static int read_line(const char *name, struct line *line)
{
	FILE *table = fopen("/proc/interrupts", "r");
	char text[2048];
	int number = -1;

	memset(line, 0, sizeof(*line));
	while (table && fgets(text, sizeof(text), table)) {
		char *at = text + strspn(text, " "), *end;

		if (!is_line(at, name))
			continue;
		number = atoi(at);
		at = strchr(at, ':') + 1;
		for (; line->cpus < MAX_CPUS; at = end, line->cpus++) {
			long count = strtol(at, &end, 10);

			if (end == at)
				break;
			line->count[line->cpus] = count;
			line->sum += count;
		}
		break;
	}
	if (table)
		fclose(table);
	return number;
}

static bool complain(const char *format, ...)
{
	va_list args;

	printf("load: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	return false;
}

static void note_worst(long *kind, long us)
{
	long seen = __atomic_load_n(kind, __ATOMIC_SEQ_CST);

	while (us > seen &&
	       !__atomic_compare_exchange_n(kind, &seen, us, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
}

/* One process on CPU 0 and one on @cpu wake each other, and nobody else does anything. */
static bool lone_pair(int cpu)
{
	int to[2], from[2], status;
	unsigned char byte = 0;
	long slowest = 0;
	pid_t child;

	if (pipe(to) || pipe(from))
		return false;
	child = fork();
	if (!child) {
		pin(cpu);
		for (int i = 0; i < rounds; i++)
			if (read(to[0], &byte, 1) != 1 || write(from[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < rounds; i++) {
		long start = now_us();

		if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
			return false;
		/* The first one contains the child's birth. */
		if (i && now_us() - start > slowest)
			slowest = now_us() - start;
	}
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
	note_worst(&worst->wakeup, slowest);
	if (slowest > LATE_US)
		complain("a wake-up between CPUs 0 and %d took %ld us", cpu, slowest);
	return slowest <= LATE_US && waitpid(child, &status, 0) == child && !status;
}

static bool wakeups(void)
{
	bool fine = true;

	pin(0);
	for (int cpu = 1; cpu < cpus; cpu++)
		fine = lone_pair(cpu) && fine;
	return fine;
}

static bool naps(int cpu)
{
	for (int i = 1; i <= NAPS; i++) {
		struct timespec nap = { .tv_nsec = i * 300000L };
		long start = now_us(), slept;

		nanosleep(&nap, NULL);
		slept = now_us() - start;
		if (slept < i * 300L)
			return complain("CPU %d slept %ld us of %ld", cpu, slept, i * 300L);
		note_worst(&worst->nap, slept - i * 300L);
		if (slept > LATE_US)
			return complain("CPU %d slept %ld us instead of %ld", cpu, slept, i * 300L);
	}
	return true;
}

/* Timer interrupts so far: of the local APICs, and of the PIT, which a guest without ACPI takes. */
static void read_timers(struct line *line)
{
	struct line pit;

	read_line("LOC", line);
	if (read_line("timer", &pit) >= 0)
		for (int cpu = 0; cpu < cpus; cpu++)
			line->count[cpu] += pit.count[cpu];
}

/* Each sleep ended in a timer interrupt of the CPU that it is pinned to. */
static bool timers(void)
{
	struct line before, after;
	bool fine;

	read_timers(&before);
	fine = everywhere(naps);
	read_timers(&after);
	for (int cpu = 0; cpu < cpus; cpu++)
		if (after.count[cpu] - before.count[cpu] < NAPS)
			fine = complain("CPU %d ended %d sleeps in %ld timer interrupts", cpu, NAPS,
					after.count[cpu] - before.count[cpu]);
	return fine;
}

/* A sector as no other one looks, written and read back past the page cache. */
static bool one_request(int disk, unsigned int number, bool write)
{
	static unsigned int sector[SECTOR / sizeof(int)] __attribute__((aligned(SECTOR)));
	off_t at = (off_t)number * SECTOR;

	for (unsigned int i = 0; i < SECTOR / sizeof(int); i++)
		sector[i] = write ? number * 0x9e3779b9u + i : 0;
	if (write)
		return pwrite(disk, sector, SECTOR, at) == SECTOR;
	if (pread(disk, sector, SECTOR, at) != SECTOR)
		return false;
	for (unsigned int i = 0; i < SECTOR / sizeof(int); i++)
		if (sector[i] != number * 0x9e3779b9u + i)
			return complain("sector %u is not what was written", number);
	return true;
}

static bool direct_interrupt(int irq, int cpu)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", irq);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%d\n", cpu) < 0)
		return false;
	return !fclose(file);
}

/*
 * The process and the line's interrupt on one CPU, one request at a time: the next request cannot
 * be made before the handler of the last one has returned, so their numbers are the same. The line
 * moves at an interrupt, so the first requests are not counted.
 */
static bool disk_from(int disk, int irq, int cpu)
{
	struct line before, after;

	pin(cpu);
	if (!direct_interrupt(irq, cpu))
		return complain("the disk's interrupt cannot be sent to CPU %d", cpu);
	for (int i = 0; i < 3; i++) {
		if (!one_request(disk, cpu, true))
			return false;
		usleep(5000);
	}
	read_line("virtio0", &before);
	for (int i = 0; i < rounds; i++)
		if (!one_request(disk, cpu + i / 2 * cpus, !(i % 2)))
			return complain("request %d of CPU %d failed", i, cpu);
	read_line("virtio0", &after);
	if (after.sum - before.sum == rounds && after.count[cpu] - before.count[cpu] == rounds)
		return true;
	return complain("%d requests of CPU %d made %ld interrupts there, %ld in all", rounds, cpu,
			after.count[cpu] - before.count[cpu], after.sum - before.sum);
}

static void load_modules(void)
{
	static const char * const names[] = {
		"virtio_ring", "virtio", "virtio_mmio", "virtio_blk",
	};

	for (unsigned int i = 0; i < 4; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/%s.ko", names[i]);
		fd = open(path, O_RDONLY);
		if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0))
			complain("%s is not for this kernel", path);
		if (fd >= 0)
			close(fd);
	}
}

static bool disk(bool wanted)
{
	int fd = open("/dev/vda", O_RDWR | O_DIRECT), irq;
	struct line line;
	bool fine = true;

	if (fd < 0)
		return !wanted || complain("there is no disk");
	irq = read_line("virtio0", &line);
	if (irq < 0)
		return complain("the disk has no interrupt");
	for (int cpu = 0; cpu < cpus; cpu++)
		fine = disk_from(fd, irq, cpu) && fine;
	close(fd);
	return fine;
}

/*
 * No interrupt of a line that its handlers would not have, but for the serial port's: the edge of
 * the next character may come while the handler is still at work, and then finds nothing to do.
 */
static bool unhandled(void)
{
	struct line line;
	const int serial = read_line("ttyS0", &line);
	bool fine = true;

	for (int irq = 0; irq < 256; irq++) {
		char path[64];
		int count, lost;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/irq/%d/spurious", irq);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "count %d\nunhandled %d", &count, &lost) != 2)
			fine = complain("%s cannot be read", path);
		else if (lost && irq != serial)
			fine = complain("%d interrupts of line %d were nobody's", lost, irq);
		fclose(file);
	}
	return fine;
}

static void show_interrupts(void)
{
	FILE *table = fopen("/proc/interrupts", "r");
	char line[2048];

	while (table && fgets(line, sizeof(line), table))
		fputs(line, stdout);
	if (table)
		fclose(table);
}

/* Error and spurious counters are zero; each CPU, if not alone, has seen IPIs. */
static bool counts(void)
{
	static const char * const zero[] = { "ERR", "MIS", "SPU" };
	struct line line;
	bool fine = unhandled();

	for (unsigned int i = 0; i < 3; i++) {
		read_line(zero[i], &line);
		if (line.sum)
			fine = complain("%s counts %ld", zero[i], line.sum);
	}
	/* Wake-ups of other CPUs are calls too, mostly. */
	read_line("CAL", &line);
	for (int cpu = 0; cpus > 1 && cpu < cpus; cpu++)
		if (!line.count[cpu])
			fine = complain("CPU %d was never called", cpu);
	return fine;
}

/*
 * What the kernel has to say about interrupts, clocks and CPUs that do not get on. (Not that an
 * interrupt took long: a vCPU that shares its CPU with fifteen others may be away for a while.)
 */
static bool kernel_log(void)
{
	static const char * const bad[] = {
		"lockup", "stall", "nobody cared", "purious", "No irq handler", "APIC error",
		"timekeeping watchdog", "Marking TSC unstable", "blocked for more", "BUG",
		"WARNING", "Oops", "IO-APIC + timer", "timer doesn't work", "not responding",
		"failed to boot", "unexpected",
	};
	static char text[1 << 18];
	int len = klogctl(3 /* read all */, text, sizeof(text) - 1);
	bool fine = len > 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			if (strstr(line, bad[i])) {
				fine = complain("the kernel says: %s", line);
				break;
			}
	return fine;
}

static void check(const char *name, bool fine, enum verdict verdict)
{
	static long since;
	long now = now_us();

	printf("load: %-10s %s %ld ms\n", name, fine ? "ok" : "FAILED", (now - since) / 1000);
	since = now;
	if (!fine) {
		show_interrupts();
		end(verdict);
	}
}

/* The file systems, the kernel's command line and what is known from it. */
static void set_up(char *line, size_t size)
{
	int fd;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY);
	worst = mmap(NULL, sizeof(*worst), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (fd < 0 || read(fd, line, size - 1) < 0 || worst == MAP_FAILED)
		end(NO_CPUS);
	rounds = option(line, "load.rounds=", 100);
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
}

int main(void)
{
	char line[4096] = "";

	set_up(line, sizeof(line));
	check("boot", cpus <= MAX_CPUS && cpus == option(line, "load.cpus=", cpus), NO_CPUS);
	signal(SIGALRM, hung);
	alarm(WATCHDOG);
	load_modules();
	check("wake-ups", wakeups(), WAKEUPS);
	check("pipes", everywhere(pipe_pair), PIPES);
	check("futexes", everywhere(futex_pair), FUTEXES);
	check("forks", everywhere(forks), FORKS);
	check("shootdowns", shootdowns(), SHOOTDOWNS);
	check("timers", timers(), TIMERS);
	check("disk", disk(strstr(line, "load.disk")), DISK);
	check("counts", counts(), COUNTS);
	check("log", kernel_log(), LOG);
	printf("load: worst wake-up %ld us, latest end of a sleep %ld us\n", worst->wakeup,
	       worst->nap);
	if (strstr(line, "load.show"))
		show_interrupts();
	end(PASSED);
}
