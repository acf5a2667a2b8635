// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several at the same page tables: vCPUs that fault, the host that takes the memory away, userspace
 * that changes its slots. Nothing leaks, and nobody waits longer because there are more others.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "selftests/lib/okvm_test.h"

#define REGION_GPA	0x10000000ul
#define HUGE_SIZE	(2ul << 20)
#define NR_HUGE		4
#define REGION		(NR_HUGE * HUGE_SIZE)
#define CPUS		4

/* RBX: first address, RCX: how many, RDX: the step. Reads and writes them, over and over. */
GUEST(wander, 64)
	"	sti\n"	/* nothing comes, but Bochs interrupts no guest that forbids it */
	"1:	mov %rbx, %rdi\n"
	"	mov %rcx, %rsi\n"
	"2:	lock incl (%rdi)\n"
	"	add %rdx, %rdi\n"
	"	dec %rsi\n"
	"	jnz 2b\n"
	"	cmpb $0, 0x7000\n"
	"	je 1b\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(wander);

#define STOP_FLAG	0x7000

struct crowd {
	struct vm vm;
	unsigned int nr;
	int vcpu[CPUS];
	struct kvm_run *run[CPUS];
	pthread_t thread[CPUS];
	uint8_t *mem;
	uint64_t step;
};

static uint8_t *region_map(int advice)
{
	uint8_t *space = mmap(NULL, REGION + HUGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(space != MAP_FAILED);
	space = (uint8_t *)(((uintptr_t)space + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	madvise(space, REGION, advice);
	return space;
}

static void crowd_create(struct crowd *c, unsigned int nr, int advice, uint64_t step)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->nr = nr;
	c->step = step;
	c->mem = region_map(advice);
	vm_create(&c->vm, 0);
	LOAD64(&c->vm, wander);
	vm_slot(&c->vm, 1, REGION_GPA, REGION, c->mem, 0);
	c->vcpu[0] = c->vm.vcpu;
	REQUIRE(ioctl(c->vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(c->vm.vcpu, KVM_GET_REGS, &regs) == 0);
	for (i = 0; i < nr; i++) {
		if (i)
			c->vcpu[i] = vcpu_add(&c->vm, i, &c->run[i]);
		if (i)
			vcpu_cpuid(&c->vm, c->vcpu[i]);
		regs.rbx = REGION_GPA + 64 * i;
		regs.rcx = REGION / step;
		regs.rdx = step;
		REQUIRE(ioctl(c->vcpu[i], KVM_SET_SREGS, &sregs) == 0);
		REQUIRE(ioctl(c->vcpu[i], KVM_SET_REGS, &regs) == 0);
	}
}

static void *crowd_run(void *arg)
{
	int vcpu = *(int *)arg;

	while (ioctl(vcpu, KVM_RUN, 0) && (errno == EINTR || errno == EAGAIN || errno == EFAULT))
		sched_yield();
	return NULL;
}

static void crowd_start(struct crowd *c)
{
	unsigned int i;

	for (i = 0; i < c->nr; i++)
		REQUIRE(pthread_create(&c->thread[i], NULL, crowd_run, &c->vcpu[i]) == 0);
}

static void crowd_stop(struct crowd *c)
{
	unsigned int i;

	((volatile uint8_t *)c->vm.mem)[STOP_FLAG] = 1;
	for (i = 0; i < c->nr; i++)
		pthread_join(c->thread[i], NULL);
}

static void crowd_destroy(struct crowd *c)
{
	unsigned int i;

	for (i = 1; i < c->nr; i++) {
		munmap(c->run[i], ioctl(c->vm.sys, KVM_GET_VCPU_MMAP_SIZE, 0));
		close(c->vcpu[i]);
	}
	vm_destroy(&c->vm);
	munmap(c->mem, REGION);
}

/* Both slots go: what is left in the tables after that, nobody can find any more. */
static void expect_nothing_mapped(struct vm *vm)
{
	uint64_t tables = vm_stat(vm, "page_tables");

	vm_slot_delete(vm, 0);
	vm_slot_delete(vm, 1);
	EXPECT_EQ(vm_stat(vm, "pages_4k"), 0);
	EXPECT_EQ(vm_stat(vm, "pages_2m"), 0);
	/* One of the lowest level may be of what lies beside the slots. */
	if (tables != ~0ull)
		EXPECT(vm_stat(vm, "page_tables") <= 4);
}

/* Huge where it is not logged, small where it is: entries of both kinds at the same place. */
TEST(logging_that_goes_on_and_off_under_two_vcpus)
{
	uint64_t bitmap[REGION / 4096 / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	struct crowd c;
	uint64_t end;

	test_needs_two_cpus();
	crowd_create(&c, 2, MADV_HUGEPAGE, HUGE_SIZE);
	memset(c.mem, 0, REGION);
	crowd_start(&c);
	for (end = now_ns() + 1500000000; now_ns() < end;) {
		vm_slot(&c.vm, 1, REGION_GPA, REGION, c.mem, KVM_MEM_LOG_DIRTY_PAGES);
		usleep(1000);
		EXPECT_EQ(ioctl(c.vm.fd, KVM_GET_DIRTY_LOG, &log), 0);
		vm_slot(&c.vm, 1, REGION_GPA, REGION, c.mem, 0);
		usleep(1000);
	}
	crowd_stop(&c);
	expect_nothing_mapped(&c.vm);
	crowd_destroy(&c);
}

/* ---- many slots, one page ---- */

#define ALIASES		256u

/* Adds up a word of each of the pages that are mapped one after the other at 256 MiB. */
GUEST(look, 64)
	"1:	mov $0x10000000, %edi\n"
	"	mov $256, %ecx\n"
	"	xor %eax, %eax\n"
	"2:	add (%rdi), %eax\n"
	"	add $4096, %rdi\n"
	"	dec %ecx\n"
	"	jnz 2b\n"
	"	out %eax, $0x10\n"
	"	jmp 1b\n"
GUEST_END(look);

/* Return: the page of a VM that runs look() */
static uint8_t *aliases_create(struct vm *vm)
{
	uint8_t *page = host_pages(1);
	unsigned int i;

	vm_create(vm, 0);
	LOAD64(vm, look);
	for (i = 0; i < ALIASES; i++)
		vm_slot(vm, 1 + i, REGION_GPA + 4096 * i, 4096, page, 0);
	return page;
}

TEST(slots_that_share_a_page_cost_one_flush)
{
	uint64_t before, after;
	uint8_t *page;
	struct vm vm;

	page = aliases_create(&vm);
	page[0] = 1;
	EXPECT_EQ(run_out(&vm, 0x10), ALIASES);
	page[0] = 3;
	EXPECT_EQ(run_out(&vm, 0x10), 3 * ALIASES);
	before = vm_stat(&vm, "remote_tlb_flush");
	REQUIRE(before != ~0ull);
	EXPECT_EQ(madvise(page, 4096, MADV_DONTNEED), 0);
	after = vm_stat(&vm, "remote_tlb_flush");
	/* The scheduler may have wanted the CPU once or twice meanwhile. */
	EXPECT(after - before >= 1);
	EXPECT(after - before <= 4);
	EXPECT_EQ(run_out(&vm, 0x10), 0);
	vm_destroy(&vm);
	munmap(page, 4096);
}

static volatile bool slots_settled;
static uint8_t *aliased;

/* One more slot of the same page comes and goes: whoever goes over them loses its place. */
static void *change_slots(void *arg)
{
	struct vm *vm = arg;

	while (!slots_settled) {
		vm_slot(vm, ALIASES + 1, REGION_GPA * 2, 4096, aliased, 0);
		vm_slot_delete(vm, ALIASES + 1);
	}
	return NULL;
}

TEST(no_slot_is_left_out_while_others_come_and_go)
{
	uint64_t round, end = now_ns() + 1000000000;
	pthread_t thread;
	uint8_t *page;
	struct vm vm;

	page = aliases_create(&vm);
	aliased = page;
	slots_settled = false;
	REQUIRE(pthread_create(&thread, NULL, change_slots, &vm) == 0);
	for (round = 0; round < 100 && now_ns() < end; round++) {
		page[0] = 1 + round % 2;
		EXPECT_EQ(run_out(&vm, 0x10), ALIASES * (1 + round % 2));
		/* Gone, by all names. */
		EXPECT_EQ(madvise(page, 4096, MADV_DONTNEED), 0);
		EXPECT_EQ(run_out(&vm, 0x10), 0);
	}
	slots_settled = true;
	pthread_join(thread, NULL);
	EXPECT(round > 1);
	vm_destroy(&vm);
	munmap(page, 4096);
}

/* ---- unmapping against faults ---- */

#define ROUNDS		40
#define LIMIT_US	1000000

static struct crowd *watched;
static volatile bool rounds_over;

/* Lets go of an unmap that does not end: when no vCPU faults any more it does. */
static void *watch(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 1500 && !rounds_over; i++)
		usleep(10000);
	if (!rounds_over)
		((volatile uint8_t *)watched->vm.mem)[STOP_FLAG] = 1;
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The longest of all unmaps but the worst two, which the scheduler may have made long. */
static uint64_t unmap_against(unsigned int faulting)
{
	struct sched_param first = { .sched_priority = 10 }, none = { 0 };
	uint64_t took[ROUNDS], from;
	pthread_t watcher;
	struct crowd c;
	unsigned int i;

	crowd_create(&c, faulting, MADV_NOHUGEPAGE, 4096);
	watched = &c;
	rounds_over = false;
	REQUIRE(pthread_create(&watcher, NULL, watch, NULL) == 0);
	crowd_start(&c);
	for (i = 0; i < ROUNDS; i++) {
		usleep(2000);
		/* Before those that fault, where they share a CPU. */
		pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
		from = now_ns();
		EXPECT_EQ(madvise(c.mem, REGION, MADV_DONTNEED), 0);
		took[i] = (now_ns() - from) / 1000;
		pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
	}
	rounds_over = true;
	crowd_stop(&c);
	pthread_join(watcher, NULL);
	crowd_destroy(&c);
	qsort(took, ROUNDS, sizeof(took[0]), by_size);
	printf("# %u vCPUs that fault: unmapping takes %llu us, at most %llu us\n", faulting,
	       (unsigned long long)took[ROUNDS / 2], (unsigned long long)took[ROUNDS - 1]);
	return took[ROUNDS - 3];
}

TEST(unmapping_ends_however_many_fault)
{
	unsigned int faulting;

	test_needs_two_cpus();
	for (faulting = 1; faulting <= CPUS; faulting *= 2)
		EXPECT(unmap_against(faulting) < LIMIT_US);
}

/* ---- a vCPU that the host's threads on its CPU cannot interrupt ---- */

#define PASSES		100
#define PASS_STEP	0x10000
#define PASS_LIMIT_NS	3000000000ull
#define RT_RUNTIME	"/proc/sys/kernel/sched_rt_runtime_us"

static struct {
	struct crowd crowd;
	volatile uint64_t began;	/* when the vCPU was last entered; 0: it is not */
	volatile bool over;
	volatile unsigned int stuck;
} urgent;

static void on_signal(int sig)
{
	(void)sig;
}

static void be_fifo(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	REQUIRE(pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0);
}

/* Each pass of the guest through its memory begins when the other thread may be in an unmap. */
static void *urgent_run(void *arg)
{
	struct kvm_regs regs;
	unsigned int i;

	(void)arg;
	be_fifo(5);
	REQUIRE(ioctl(urgent.crowd.vcpu[0], KVM_GET_REGS, &regs) == 0);
	for (i = 0; i < PASSES && !urgent.stuck; i++) {
		usleep(200 + i * 7);
		REQUIRE(ioctl(urgent.crowd.vcpu[0], KVM_SET_REGS, &regs) == 0);
		urgent.began = now_ns();
		while (ioctl(urgent.crowd.vcpu[0], KVM_RUN, 0) && errno == EINTR)
			;
		urgent.began = 0;
	}
	urgent.over = true;
	return NULL;
}

/* A pass that does not end is helped: the vCPU's thread gives way, and a signal ends its sleep. */
static void *urgent_watch(void *arg)
{
	struct sched_param none = { 0 };

	(void)arg;
	be_fifo(20);
	while (!urgent.over) {
		const uint64_t began = urgent.began;

		usleep(20000);
		if (!began || began != urgent.began || now_ns() - began < PASS_LIMIT_NS)
			continue;
		urgent.stuck++;
		pthread_setschedparam(urgent.crowd.thread[0], SCHED_OTHER, &none);
		pthread_kill(urgent.crowd.thread[0], SIGUSR1);
	}
	return NULL;
}

/* Real-time threads may have all the time of a CPU. Return: what they could have before */
static long rt_runtime(long us)
{
	FILE *f = fopen(RT_RUNTIME, "r+");
	long before = 0;

	if (!f || fscanf(f, "%ld", &before) != 1)
		test_skip("no limit of real-time threads");
	rewind(f);
	fprintf(f, "%ld\n", us);
	if (fclose(f))
		test_skip("the limit of real-time threads cannot be changed");
	return before;
}

/*
 * A thread that unmaps memory is interrupted by a vCPU that needs the memory, on the same CPU. The
 * vCPU sleeps until the thread has ended the unmap: if it tried again and again, none would end.
 */
TEST(a_vcpu_of_real_time_waits_for_an_unmap)
{
	const struct sigaction act = { .sa_handler = on_signal };
	unsigned long unmaps = 0;
	pthread_t watcher;
	cpu_set_t one;
	long before;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
	REQUIRE(sigaction(SIGUSR1, &act, NULL) == 0);
	crowd_create(&urgent.crowd, 1, MADV_NOHUGEPAGE, PASS_STEP);
	/* One pass only. */
	urgent.crowd.vm.mem[STOP_FLAG] = 1;
	before = rt_runtime(-1);
	REQUIRE(pthread_create(&urgent.crowd.thread[0], NULL, urgent_run, NULL) == 0);
	REQUIRE(pthread_create(&watcher, NULL, urgent_watch, NULL) == 0);
	for (; !urgent.over; unmaps++)
		EXPECT_EQ(madvise(urgent.crowd.mem, REGION, MADV_DONTNEED), 0);
	pthread_join(urgent.crowd.thread[0], NULL);
	pthread_join(watcher, NULL);
	rt_runtime(before);
	printf("# %lu unmaps\n", unmaps);
	EXPECT_EQ(urgent.stuck, 0);
	crowd_destroy(&urgent.crowd);
}
