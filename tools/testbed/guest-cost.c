// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a Linux guest that measures what its kernel's work on page tables costs the host:
 * fork, exec and exit of a process, and mmap, first touch and munmap of 1 MiB, each at its median.
 * In the counting Bochs (counting/count.h) the cost is the number of instructions outside the
 * guest. Each operation is done some times beforehand, until guest and host have their memory.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counting/count.h"

#define BEFORE	8
#define ROUNDS	25
#define BYTES	(1 << 20)

static void process(void)
{
	static char *const child[] = { "child", NULL };
	pid_t pid = fork();

	if (!pid) {
		execv("/init", child);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void memory(void)
{
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return;
	for (unsigned int i = 0; i < BYTES; i += 4096)
		((volatile char *)at)[i] = 1;
	munmap(at, BYTES);
}

static void nothing(void)
{
}

static uint64_t instructions(void)
{
	return count_mark(COUNT_HOST);
}

static uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median of what @clock says that @operation costs. */
static uint64_t median(void (*operation)(void), uint64_t (*clock)(void))
{
	uint64_t cost[ROUNDS], begin;

	for (unsigned int i = 0; i < BEFORE; i++)
		operation();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		begin = clock();
		operation();
		cost[i] = clock() - begin;
	}
	qsort(cost, ROUNDS, sizeof(cost[0]), compare);
	return cost[ROUNDS / 2];
}

static void measure(const char *name, void (*operation)(void))
{
	printf("guest: %s: %llu instructions of the host, %llu ticks\n", name,
	       (unsigned long long)median(operation, instructions),
	       (unsigned long long)median(operation, ticks));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc == 1 && !strcmp(argv[0], "child"))
		return 0;
	measure("nothing", nothing);
	measure("fork+exec+exit", process);
	measure("mmap+touch+munmap of 1 MiB", memory);
	reboot(RB_POWER_OFF);
	return 1;
}
