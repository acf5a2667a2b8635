// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation of the creating ioctls fails once, by /proc/self/fail-nth:
 * the ioctl fails with ENOMEM, or copes, and leaves nothing behind.
 */
#include "selftests/lib/okvm_test.h"

#define MOST_ALLOCATIONS	400

static int fail_fd = -1;

static void fail_set(const char *file, const char *val)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0)
		return;
	EXPECT_EQ(write(fd, val, 1), 1);
	close(fd);
}

static void fail_setup(void)
{
	static const char * const files[] = {
		"/sys/kernel/debug/failslab/ignore-gfp-wait",
		"/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
		"/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem",
	};
	unsigned int i;

	fail_fd = open("/proc/self/fail-nth", O_RDWR);
	if (fail_fd < 0)
		test_skip("the kernel has no fault injection");
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		fail_set(files[i], "N");
	/* A stack trace for each failure would take the console minutes. */
	fail_set("/sys/kernel/debug/failslab/verbose", "0");
	fail_set("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	fail_set("/sys/kernel/debug/fail_usercopy/verbose", "0");
}

/* Let the @nth allocation from now on fail. */
static void fail_arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	EXPECT_EQ(pwrite(fail_fd, text, len, 0), len);
}

/* Return: true if an allocation did fail since fail_arm(). */
static bool fail_disarm(void)
{
	char text[16] = "";

	/* Copies to and from here may fail too: then the step left the failure over. */
	if (pread(fail_fd, text, sizeof(text) - 1, 0) <= 0)
		text[0] = '1';
	while (pwrite(fail_fd, "0", 1, 0) != 1)
		;
	return atoi(text) == 0;
}

/* Call @step with its first, second, ... allocation failing until none fails any more. */
static void fail_each(void (*prepare)(struct vm *vm), int (*step)(struct vm *vm))
{
	unsigned int nth, refused = 0;
	bool hit = true;

	fail_setup();
	for (nth = 1; hit && nth < MOST_ALLOCATIONS; nth++) {
		struct vm vm;
		int ret, err;

		prepare(&vm);
		fail_arm(nth);
		ret = step(&vm);
		err = errno;
		hit = fail_disarm();
		if (ret < 0) {
			EXPECT(hit);
			EXPECT(err == ENOMEM || err == EFAULT || err == EAGAIN || err == EINTR);
			refused++;
		}
		vm_destroy(&vm);
	}
	printf("# %u allocations, %u of them needed\n", nth - 2, refused);
	EXPECT(!hit);
}

static void prepare_bare(struct vm *vm)
{
	vm_create(vm, VM_BARE);
	vm->mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void prepare_device(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->vcpu = -1;
	vm->fd = -1;
	vm->sys = open_device();
}

static int step_vm(struct vm *vm)
{
	vm->fd = ioctl(vm->sys, KVM_CREATE_VM, 0);
	return vm->fd;
}

static int step_vcpu(struct vm *vm)
{
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	return vm->vcpu;
}

static int step_irqchip(struct vm *vm)
{
	return ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0);
}

static int step_slot(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = VM_MEMORY, .userspace_addr = (uintptr_t)vm->mem,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

TEST(create_vm_with_each_allocation_failing)
{
	fail_each(prepare_device, step_vm);
}

TEST(create_vcpu_with_each_allocation_failing)
{
	fail_each(prepare_bare, step_vcpu);
}

TEST(create_irqchip_with_each_allocation_failing)
{
	fail_each(prepare_bare, step_irqchip);
}

TEST(set_memory_region_with_each_allocation_failing)
{
	fail_each(prepare_bare, step_slot);
}
