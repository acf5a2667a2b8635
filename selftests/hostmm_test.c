// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory management of the host under a guest that runs: pages are swapped out, merged, collapsed
 * into huge pages and split, migrated, write-protected, shared with a child. The guest increments
 * a number in each page, round after round, and looks whether it is what it wrote the round
 * before: a translation that outlives its page, or a write that is lost, is found by the guest.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "selftests/lib/okvm_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define REGION_GPA	0x10000000ul
#define HUGE		(2ul << 20)
#define REGION		HUGE
#define PAGES		(REGION / 4096)
#define STOP_FLAG	0x7000
#define PORT		0x10
#define WRONG		0xffffffffu

GUEST(count, 64)
	"	sti\n"	/* nothing comes, but Bochs interrupts no guest that forbids it */
	"	xor %ebx, %ebx\n"
	"1:	mov $0x10000000, %edi\n"
	"	mov $512, %ecx\n"
	"	lea 1(%rbx), %rax\n"
	"2:	cmp %rbx, (%rdi)\n"
	"	jne 3f\n"
	"	mov %rax, (%rdi)\n"
	"	add $4096, %rdi\n"
	"	dec %ecx\n"
	"	jnz 2b\n"
	"	inc %rbx\n"
	"	cmpb $0, 0x7000\n"
	"	je 1b\n"
	"	mov %ebx, %eax\n"
	"	out %eax, $0x10\n"
	"3:	mov $-1, %eax\n"
	"	out %eax, $0x10\n"
	"	hlt\n"
GUEST_END(count);

struct counter {
	struct vm vm;
	uint8_t *region;
	pthread_t thread;
	uint32_t result;
	unsigned int refused;	/* KVM_RUNs that ended with EFAULT */
	volatile bool stop, stopped;
};

static void *run_counter(void *arg)
{
	struct counter *c = arg;
	struct kvm_run *run = c->vm.run;

	for (;;) {
		if (vcpu_run(&c->vm) == 0)
			break;
		if (errno != EFAULT && errno != EINTR && errno != EAGAIN)
			return NULL;
		c->refused += errno == EFAULT;
		c->stopped = c->stop;
		do
			sched_yield();
		while (c->stop);
		c->stopped = false;
	}
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT)
		c->result = *(uint32_t *)((uint8_t *)run + run->io.data_offset);
	return NULL;
}

static uint8_t *region_map(void)
{
	uint8_t *space = mmap(NULL, REGION + HUGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(space != MAP_FAILED);
	return (uint8_t *)(((uintptr_t)space + HUGE - 1) & ~(HUGE - 1));
}

static void counter_start(struct counter *c)
{
	memset(c, 0, sizeof(*c));
	c->result = WRONG;
	vm_create(&c->vm, 0);
	LOAD64(&c->vm, count);
	c->region = region_map();
	vm_slot(&c->vm, 1, REGION_GPA, REGION, c->region, 0);
	REQUIRE(pthread_create(&c->thread, NULL, run_counter, c) == 0);
}

static uint64_t page_count(const uint8_t *region, unsigned int page)
{
	return *(const volatile uint64_t *)(region + page * 4096ul);
}

/* Stop the guest; every page must hold the number of its rounds. */
static void counter_stop(struct counter *c)
{
	unsigned int page;

	((volatile uint8_t *)c->vm.mem)[STOP_FLAG] = 1;
	pthread_join(c->thread, NULL);
	EXPECT(c->result != WRONG);
	EXPECT(c->result > 1);
	for (page = 0; page < PAGES; page++)
		if (page_count(c->region, page) != c->result)
			break;
	EXPECT_EQ(page, PAGES);
	vm_destroy(&c->vm);
	munmap(c->region, REGION);
}

/* Let the guest finish a round at least, from wherever it is. */
static void let_it_run(struct counter *c)
{
	uint64_t then = page_count(c->region, 0);
	unsigned int tries;

	for (tries = 0; tries < 2000 && page_count(c->region, 0) < then + 2; tries++)
		usleep(1000);
}

static void on_signal(int nr)
{
	(void)nr;
}

static void counter_hold(struct counter *c)
{
	struct sigaction action = { .sa_handler = on_signal };

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	c->stop = true;
	while (!c->stopped) {
		pthread_kill(c->thread, SIGUSR1);
		usleep(1000);
	}
}

static void counter_go_on(struct counter *c)
{
	c->stop = false;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static unsigned long swap_used(void)
{
	struct sysinfo info;

	REQUIRE(sysinfo(&info) == 0);
	return info.totalswap - info.freeswap;
}

TEST(pages_that_are_swapped_out)
{
	struct counter c;
	int i;

	if (system("mkswap /dev/ram0 >/dev/null 2>&1") || swapon("/dev/ram0", 0))
		test_skip("the kernel has no RAM disk to swap to");
	counter_start(&c);
	for (i = 0; i < 8; i++) {
		let_it_run(&c);
		/* While the guest uses them it takes them back, after that they go. */
		EXPECT_EQ(madvise(c.region, REGION, MADV_PAGEOUT), 0);
		counter_hold(&c);
		EXPECT_EQ(madvise(c.region, REGION, MADV_PAGEOUT), 0);
		EXPECT_EQ(madvise(c.region, REGION, MADV_PAGEOUT), 0);
		EXPECT(swap_used() >= REGION / 2);
		counter_go_on(&c);
	}
	let_it_run(&c);
	counter_stop(&c);
	EXPECT_EQ(swapoff("/dev/ram0"), 0);
}

TEST(pages_that_are_merged)
{
	struct counter c;
	FILE *file;
	long full = 0;
	int i;

	if (!write_file("/sys/kernel/mm/ksm/sleep_millisecs", "0") ||
	    !write_file("/sys/kernel/mm/ksm/pages_to_scan", "2000") ||
	    !write_file("/sys/kernel/mm/ksm/run", "1"))
		test_skip("the kernel has no KSM");
	counter_start(&c);
	EXPECT_EQ(madvise(c.region, REGION, MADV_MERGEABLE), 0);
	for (i = 0; i < 20; i++) {
		let_it_run(&c);
		usleep(2000);
	}
	counter_stop(&c);
	file = fopen("/sys/kernel/mm/ksm/full_scans", "r");
	REQUIRE(file);
	EXPECT(fscanf(file, "%ld", &full) == 1 && full > 0);
	fclose(file);
	EXPECT(write_file("/sys/kernel/mm/ksm/run", "2"));
	EXPECT(write_file("/sys/kernel/mm/ksm/run", "0"));
}

TEST(pages_that_are_collapsed_and_split)
{
	unsigned int collapsed = 0;
	struct counter c;
	int i;

	counter_start(&c);
	EXPECT_EQ(madvise(c.region, REGION, MADV_HUGEPAGE), 0);
	for (i = 0; i < 10; i++) {
		let_it_run(&c);
		collapsed += madvise(c.region, REGION, MADV_COLLAPSE) == 0;
		let_it_run(&c);
		/* A page in the middle that is mapped differently splits the mapping. */
		EXPECT_EQ(mprotect(c.region + 100 * 4096, 4096, PROT_READ), 0);
		EXPECT_EQ(mprotect(c.region + 100 * 4096, 4096, PROT_READ | PROT_WRITE), 0);
	}
	counter_stop(&c);
	if (!collapsed)
		test_skip("madvise(MADV_COLLAPSE): %s", strerror(errno));
}

/* The frame of the region's first page; 0 if the kernel does not tell. */
static uint64_t first_frame(const struct counter *c)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)c->region / 4096 * 8) != 8)
		entry = 0;
	if (fd >= 0)
		close(fd);
	return entry & ((1ull << 55) - 1);
}

TEST(pages_that_are_migrated)
{
	unsigned int moved = 0;
	struct counter c;
	uint64_t frame;
	int i;

	counter_start(&c);
	let_it_run(&c);
	frame = first_frame(&c);
	for (i = 0; i < 5; i++) {
		let_it_run(&c);
		if (!write_file("/proc/sys/vm/compact_memory", "1"))
			break;
		moved += first_frame(&c) != frame;
	}
	let_it_run(&c);
	counter_stop(&c);
	if (!frame || i < 5)
		test_skip("the kernel has no /proc/self/pagemap or no compaction");
	if (!moved)
		test_skip("compaction had no reason to move these pages");
}

/* The guest's writes fail while the memory is read-only, and nothing is lost. */
TEST(pages_that_are_write_protected)
{
	struct counter c;
	uint64_t seen;
	int i;

	counter_start(&c);
	for (i = 0; i < 10; i++) {
		let_it_run(&c);
		EXPECT_EQ(mprotect(c.region, REGION, PROT_READ), 0);
		seen = page_count(c.region, 7);
		usleep(3000);
		EXPECT_EQ(page_count(c.region, 7), seen);
		EXPECT_EQ(mprotect(c.region, REGION, PROT_READ | PROT_WRITE), 0);
	}
	let_it_run(&c);
	counter_stop(&c);
	EXPECT(c.refused > 0);
}

/* Once the guest has written to a page again, the host may not discard it any more. */
TEST(pages_that_are_freed_lazily)
{
	struct counter c;
	uint64_t seen;
	int i, j;

	counter_start(&c);
	for (i = 0; i < 5; i++) {
		let_it_run(&c);
		counter_hold(&c);
		EXPECT_EQ(madvise(c.region, REGION, MADV_FREE), 0);
		counter_go_on(&c);
		let_it_run(&c);
		counter_hold(&c);
		seen = page_count(c.region, 7);
		/* The first time, the host keeps pages that the guest has just used. */
		for (j = 0; j < 3; j++)
			EXPECT_EQ(madvise(c.region, REGION, MADV_PAGEOUT), 0);
		EXPECT_EQ(page_count(c.region, 7), seen);
		counter_go_on(&c);
	}
	let_it_run(&c);
	counter_stop(&c);
}

/* What the child sees is what was there at the fork. */
static int child_looks(const uint8_t *region)
{
	uint64_t then[PAGES];
	unsigned int page;

	for (page = 0; page < PAGES; page++)
		then[page] = page_count(region, page);
	usleep(20000);
	for (page = 0; page < PAGES; page++)
		if (page_count(region, page) != then[page])
			return 1;
	return 0;
}

TEST(pages_that_a_child_shares)
{
	struct counter c;
	int i, status;
	pid_t pid;

	counter_start(&c);
	for (i = 0; i < 5; i++) {
		let_it_run(&c);
		pid = fork();
		if (!pid)
			_exit(child_looks(c.region));
		let_it_run(&c);
		REQUIRE(waitpid(pid, &status, 0) == pid);
		EXPECT_EQ(status, 0);
	}
	let_it_run(&c);
	counter_stop(&c);
}

/* Memory that goes elsewhere: EFAULT while it is away, and the same content when it is back. */
TEST(pages_that_are_moved_away_and_back)
{
	uint8_t *elsewhere;
	struct counter c;
	int i;

	counter_start(&c);
	elsewhere = region_map();
	for (i = 0; i < 5; i++) {
		let_it_run(&c);
		REQUIRE(mremap(c.region, REGION, REGION, MREMAP_MAYMOVE | MREMAP_FIXED,
			       elsewhere) == elsewhere);
		usleep(3000);
		REQUIRE(mremap(elsewhere, REGION, REGION, MREMAP_MAYMOVE | MREMAP_FIXED,
			       c.region) == c.region);
	}
	let_it_run(&c);
	counter_stop(&c);
	EXPECT(c.refused > 0);
}

/* ---- a private mapping of a device's memory: copied when it is written ---- */

#define ROM		0xf0000ul	/* the BIOS: no memory of the kernel's */
#define ROM_SIZE	0x2000ul

GUEST(copy, 64)
	"	mov $0x10000000, %edi\n"
	"	mov 8(%rdi), %rax\n"
	"	out %eax, $0x10\n"
	"	movl $0x12345678, 8(%rdi)\n"
	"	mov 8(%rdi), %eax\n"
	"	out %eax, $0x10\n"
	"	mov 0x1008(%rdi), %eax\n"
	"	out %eax, $0x10\n"
	"	hlt\n"
GUEST_END(copy);

static uint8_t *rom_map(int prot)
{
	int fd = open("/dev/mem", O_RDONLY);
	uint8_t *map;

	if (fd < 0)
		test_skip("no /dev/mem: %s", strerror(errno));
	map = mmap(NULL, ROM_SIZE, prot, MAP_PRIVATE, fd, ROM);
	close(fd);
	if (map == MAP_FAILED)
		test_skip("/dev/mem: %s", strerror(errno));
	return map;
}

static uint32_t rom_word(const uint8_t *rom, unsigned int at)
{
	return *(const volatile uint32_t *)(rom + at);
}

/* The guest's write makes the copy if @copied is false, else the VMM has made it already. */
static void private_rom(bool copied)
{
	uint8_t *rom = rom_map(PROT_READ | PROT_WRITE), *real = rom_map(PROT_READ);
	uint32_t was = rom_word(real, 8), behind = rom_word(real, 0x1008);
	uint64_t emulated;
	struct vm vm;

	if (copied) {
		was = 0x55aa55aa;
		*(volatile uint32_t *)(rom + 8) = was;
	}
	vm_create(&vm, 0);
	LOAD64(&vm, copy);
	vm_slot(&vm, 1, REGION_GPA, ROM_SIZE, rom, 0);
	EXPECT_EQ(run_out(&vm, 0x10), was);
	emulated = vcpu_stat(&vm, "insn_emulation");
	/* Memory: no exit but the OUT, and nothing for the emulator, which could do less. */
	EXPECT_EQ(run_out(&vm, 0x10), 0x12345678);
	EXPECT_EQ(vcpu_stat(&vm, "insn_emulation"), emulated);
	EXPECT_EQ(rom_word(rom, 8), 0x12345678);
	EXPECT_EQ(run_out(&vm, 0x10), behind);
	EXPECT(rom_word(real, 8) != 0x12345678);
	vm_destroy(&vm);
	munmap(rom, ROM_SIZE);
	munmap(real, ROM_SIZE);
}

TEST(device_memory_that_the_guest_copies)
{
	private_rom(false);
}

TEST(device_memory_that_the_vmm_has_copied)
{
	private_rom(true);
}

/* Nobody may write there: the VMM gets the write, as for a slot that is read-only. */
TEST(device_memory_that_is_only_read)
{
	uint8_t *rom = rom_map(PROT_READ);
	uint32_t was = rom_word(rom, 8);
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, copy);
	vm_slot(&vm, 1, REGION_GPA, ROM_SIZE, rom, 0);
	EXPECT_EQ(run_out(&vm, 0x10), was);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, REGION_GPA + 8);
	EXPECT_EQ(vm.run->mmio.is_write, 1);
	EXPECT_EQ(run_out(&vm, 0x10), was);
	vm_destroy(&vm);
	munmap(rom, ROM_SIZE);
}

/* The slot is read-only, the copy behind it is not. */
TEST(a_copy_in_a_readonly_slot)
{
	uint8_t *rom = rom_map(PROT_READ | PROT_WRITE);
	struct vm vm;

	*(volatile uint32_t *)(rom + 8) = 0x55aa55aa;
	vm_create(&vm, 0);
	LOAD64(&vm, copy);
	vm_slot(&vm, 1, REGION_GPA, ROM_SIZE, rom, KVM_MEM_READONLY);
	EXPECT_EQ(run_out(&vm, 0x10), 0x55aa55aa);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.is_write, 1);
	EXPECT_EQ(run_out(&vm, 0x10), 0x55aa55aa);
	vm_destroy(&vm);
	munmap(rom, ROM_SIZE);
}
