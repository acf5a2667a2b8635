// SPDX-License-Identifier: GPL-2.0-only
/* Who outlives whom: VMs, vCPUs, memory and file descriptors in any order. */
#include <pthread.h>

#include "selftests/lib/okvm_test.h"

GUEST(halt, 16)
	"	hlt\n"
GUEST_END(halt);

TEST(a_vm_outlives_its_fd_while_a_vcpu_is_open)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	EXPECT_EQ(close(vm.fd), 0);
	EXPECT_EQ(close(vm.sys), 0);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(close(vm.vcpu), 0);
}

TEST(the_run_page_outlives_its_vcpu_fd)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	run_until(&vm, KVM_EXIT_HLT);
	close(vm.vcpu);
	close(vm.fd);
	close(vm.sys);
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	EXPECT_EQ(munmap(vm.run, 4096), 0);
}

TEST(guest_memory_may_go_before_its_slot)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(munmap(vm.mem, VM_MEMORY), 0);
	vm.mem = NULL;
	vm_destroy(&vm);
}

TEST(a_vm_without_vcpus_goes)
{
	struct vm vm;
	int i;

	for (i = 0; i < 20; i++) {
		vm_create(&vm, VM_BARE);
		vm_destroy(&vm);
	}
}

#define SLOTS	64

static void *unmap_and_map(void *arg)
{
	volatile bool *stop = arg;
	char *at;

	/* Somewhere else, and within the slots' memory. */
	while (!*stop) {
		at = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (at != MAP_FAILED)
			munmap(at, 8 * 4096);
		madvise((char *)arg - 4096, 4096, MADV_DONTNEED);
	}
	return NULL;
}

/* A VM ends while the host changes the VMM's memory: each change is reported to VMs, or not. */
TEST(a_vm_ends_while_memory_goes)
{
	char *page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	volatile bool *stop = (bool *)(page + 4096);
	/* On one CPU the thread has the CPU whenever a change of the slots waits. */
	int rounds = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 100 : 3;
	pthread_t thread;
	struct vm vm;
	int i, slot;

	REQUIRE(page != MAP_FAILED);
	REQUIRE(pthread_create(&thread, NULL, unmap_and_map, (void *)stop) == 0);
	for (i = 0; i < rounds; i++) {
		vm_create(&vm, 0);
		LOAD16(&vm, halt);
		for (slot = 1; slot <= SLOTS; slot++)
			vm_slot(&vm, slot, 0x10000000 + slot * 8192ul, 4096, page, 0);
		run_until(&vm, KVM_EXIT_HLT);
		vm_destroy(&vm);
	}
	*stop = true;
	pthread_join(thread, NULL);
	munmap(page, 2 * 4096);
}

/* A small generator with a fixed seed, so that a failure comes back. */
static uint32_t next_random(void)
{
	static uint32_t state = 12345;

	state = state * 1103515245 + 12345;
	return state >> 16;
}

static void one_life(void)
{
	struct vm vm;
	struct kvm_interrupt irq = { .irq = 32 };
	int fds[3], i, j;

	vm_create(&vm, next_random() % 2 ? VM_IRQCHIP : 0);
	if (next_random() % 4) {
		LOAD16(&vm, halt);
		vm.run->immediate_exit = next_random() % 2;
		/* With an in-kernel irqchip HLT sleeps: only a run that ends at once then. */
		if (ioctl(vm.vcpu, KVM_INTERRUPT, &irq) < 0)
			vm.run->immediate_exit = 1;
		vcpu_run(&vm);
	}
	fds[0] = vm.sys;
	fds[1] = vm.fd;
	fds[2] = vm.vcpu;
	for (i = 2; i > 0; i--) {
		int tmp = fds[i];

		j = next_random() % (i + 1);
		fds[i] = fds[j];
		fds[j] = tmp;
	}
	if (next_random() % 2)
		munmap(vm.mem, VM_MEMORY);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(close(fds[i]), 0);
	munmap(vm.run, 4096);
	munmap(vm.mem, VM_MEMORY);
}

/* A hundred, or as many as OKVM_LIVES says. */
TEST(lives_end_in_any_order)
{
	const char *lives = getenv("OKVM_LIVES");
	int i;

	for (i = lives ? atoi(lives) : 100; i > 0; i--)
		one_life();
}
