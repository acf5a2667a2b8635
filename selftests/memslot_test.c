// SPDX-License-Identifier: GPL-2.0-only
/* Memory slots: what is refused, and what a guest sees of a change. */
#include "selftests/lib/okvm_test.h"

static int slot_set(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
		    void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void *pages(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(mem != MAP_FAILED);
	return mem;
}

TEST(unaligned_addresses_and_sizes_are_einval)
{
	struct vm vm;
	uint8_t *mem = pages(0x4000);

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0x800, 0x1000, mem), EINVAL);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0x1800, mem), EINVAL);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0x1000, mem + 0x10), EINVAL);
	vm_destroy(&vm);
}

TEST(unknown_flags_slots_and_spaces_are_einval)
{
	struct vm vm;
	uint8_t *mem = pages(0x4000);
	int max;

	vm_create(&vm, VM_BARE);
	max = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	EXPECT_EQ(max, 32764);
	EXPECT_ERR(slot_set(&vm, 0, 1u << 31, 0, 0x1000, mem), EINVAL);
	EXPECT_ERR(slot_set(&vm, max, 0, 0, 0x1000, mem), EINVAL);
	EXPECT_ERR(slot_set(&vm, 1u << 16, 0, 0, 0x1000, mem), EINVAL);
	EXPECT_EQ(slot_set(&vm, max - 1, 0, 0, 0x1000, mem), 0);
	vm_destroy(&vm);
}

TEST(a_range_that_wraps_is_einval)
{
	struct vm vm;
	uint8_t *mem = pages(0x4000);

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(slot_set(&vm, 0, 0, -0x1000ull, 0x2000, mem), EINVAL);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0x2000, (void *)-0x1000ul), EINVAL);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0x1000, (void *)0xffff888000000000ul), EINVAL);
	vm_destroy(&vm);
}

TEST(overlapping_slots_are_eexist)
{
	struct vm vm;
	uint8_t *mem = pages(0x8000);

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(slot_set(&vm, 0, 0, 0x10000, 0x3000, mem), 0);
	EXPECT_ERR(slot_set(&vm, 1, 0, 0x12000, 0x1000, mem), EEXIST);
	EXPECT_ERR(slot_set(&vm, 1, 0, 0xf000, 0x2000, mem), EEXIST);
	EXPECT_ERR(slot_set(&vm, 1, 0, 0xf000, 0x6000, mem), EEXIST);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0x13000, 0x1000, mem), 0);
	EXPECT_EQ(slot_set(&vm, 2, 0, 0xf000, 0x1000, mem), 0);
	vm_destroy(&vm);
}

TEST(deleting_an_absent_slot_is_einval)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(slot_set(&vm, 3, 0, 0, 0, NULL), EINVAL);
	vm_destroy(&vm);
}

TEST(a_slot_keeps_its_size_its_memory_and_readonly)
{
	struct vm vm;
	uint8_t *mem = pages(0x8000);

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(slot_set(&vm, 0, 0, 0, 0x2000, mem), 0);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0x3000, mem), EINVAL);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0x2000, mem + 0x1000), EINVAL);
	EXPECT_ERR(slot_set(&vm, 0, KVM_MEM_READONLY, 0, 0x2000, mem), EINVAL);
	EXPECT_EQ(slot_set(&vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, 0x2000, mem), 0);
	EXPECT_EQ(slot_set(&vm, 0, 0, 0x8000, 0x2000, mem), 0);
	EXPECT_EQ(slot_set(&vm, 0, 0, 0, 0, NULL), 0);
	EXPECT_ERR(slot_set(&vm, 0, 0, 0, 0, NULL), EINVAL);
	vm_destroy(&vm);
}

static int slot_set2(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
		     void *hva)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
		/* Not looked at without the flag. */
		.guest_memfd_offset = 0x123, .guest_memfd = -1, .pad1 = -1, .pad2 = { -1 },
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION2, &region);
}

TEST(the_second_ioctl_sets_the_same_slots)
{
	struct vm vm;
	uint8_t *mem = pages(0x8000);

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.sys, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY2), 1);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY2), 1);
	EXPECT_ERR(slot_set2(&vm, 0, KVM_MEM_GUEST_MEMFD, 0, 0x2000, mem), EINVAL);
	EXPECT_ERR(slot_set2(&vm, 0, 1u << 31, 0, 0x2000, mem), EINVAL);
	EXPECT_EQ(slot_set2(&vm, 0, 0, 0, 0x2000, mem), 0);
	EXPECT_ERR(slot_set(&vm, 1, 0, 0x1000, 0x1000, mem), EEXIST);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0x2000, 0x1000, mem), 0);
	EXPECT_ERR(slot_set2(&vm, 1, KVM_MEM_READONLY, 0x2000, 0x1000, mem), EINVAL);
	EXPECT_EQ(slot_set2(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, 0x2000, 0x1000, mem), 0);
	EXPECT_EQ(slot_set2(&vm, 1, 0, 0, 0, NULL), 0);
	EXPECT_ERR(slot_set(&vm, 1, 0, 0, 0, NULL), EINVAL);
	vm_destroy(&vm);
}

TEST(a_thousand_slots)
{
	struct vm vm;
	uint8_t *mem = pages(0x1000);
	unsigned int i;

	vm_create(&vm, VM_BARE);
	for (i = 0; i < 1000; i++)
		REQUIRE(slot_set(&vm, i, 0, i * 0x2000ull, 0x1000, mem) == 0);
	EXPECT_ERR(slot_set(&vm, 1000, 0, 999 * 0x2000ull, 0x1000, mem), EEXIST);
	for (i = 0; i < 1000; i += 2)
		REQUIRE(slot_set(&vm, i, 0, 0, 0, NULL) == 0);
	EXPECT_EQ(slot_set(&vm, 0, 0, 0, 0x1000, mem), 0);
	vm_destroy(&vm);
}

GUEST(read, 16)
	"	mov $0x7000, %bx\n"
	"	mov %bx, %ds\n"
	"1:	mov 0, %al\n"
	"	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(read);

#define SLOT_GPA	0x70000

/* Slot 0 without the page that the guests of this file read and write: it is slot 1. */
static uint8_t *holed_vm(struct vm *vm)
{
	uint8_t *mem = pages(0x2000);

	vm_create(vm, 0);
	REQUIRE(slot_set(vm, 0, 0, 0, 0, NULL) == 0);
	REQUIRE(slot_set(vm, 0, 0, 0, SLOT_GPA, vm->mem) == 0);
	REQUIRE(slot_set(vm, 1, 0, SLOT_GPA, 0x1000, mem) == 0);
	return mem;
}

TEST(a_deleted_slot_is_mmio)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, read);
	mem[0] = 0x11;
	EXPECT_EQ(run_out(&vm, 0x10), 0x11);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0, 0, NULL), 0);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, SLOT_GPA);
	EXPECT_EQ(vm.run->mmio.is_write, 0);
	vm.run->mmio.data[0] = 0x22;
	EXPECT_EQ(run_out(&vm, 0x10), 0x22);
	vm_destroy(&vm);
}

TEST(a_slot_comes_where_mmio_was)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, read);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0, 0, NULL), 0);
	run_until(&vm, KVM_EXIT_MMIO);
	vm.run->mmio.data[0] = 0x22;
	EXPECT_EQ(run_out(&vm, 0x10), 0x22);
	mem[0] = 0x33;
	EXPECT_EQ(slot_set(&vm, 1, 0, SLOT_GPA, 0x1000, mem), 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0x33);
	vm_destroy(&vm);
}

TEST(a_moved_slot_is_found_at_its_new_place_only)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, read);
	mem[0] = 0x44;
	EXPECT_EQ(run_out(&vm, 0x10), 0x44);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0x80000, 0x1000, mem), 0);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, SLOT_GPA);
	EXPECT_EQ(slot_set(&vm, 1, 0, SLOT_GPA, 0x1000, mem), 0);
	run_until(&vm, KVM_EXIT_IO);
	EXPECT_EQ(run_out(&vm, 0x10), 0x44);
	vm_destroy(&vm);
}

TEST(memory_behind_a_slot_is_followed)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, read);
	mem[0] = 0x55;
	EXPECT_EQ(run_out(&vm, 0x10), 0x55);
	EXPECT_EQ(madvise(mem, 0x1000, MADV_DONTNEED), 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0);
	mem[0] = 0x66;
	EXPECT_EQ(run_out(&vm, 0x10), 0x66);
	/* Another page at the same address. */
	EXPECT(mmap(mem, 0x1000, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == mem);
	mem[0] = 0x77;
	EXPECT_EQ(run_out(&vm, 0x10), 0x77);
	vm_destroy(&vm);
}

GUEST(read64, 64)
	"1:	mov 0x70000, %al\n"
	"	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(read64);

/* In 64-bit mode: the emulator, which may have to run real mode, takes it for no memory at all. */
TEST(unmapped_memory_is_efault)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD64(&vm, read64);
	mem[0] = 0x55;
	EXPECT_EQ(run_out(&vm, 0x10), 0x55);
	EXPECT_EQ(munmap(mem, 0x1000), 0);
	EXPECT_ERR(vcpu_run(&vm), EFAULT);
	vm_destroy(&vm);
}

GUEST(write, 16)
	"	mov $0x7000, %bx\n"
	"	mov %bx, %ds\n"
	"	mov $0x5a, %al\n"
	"	mov %al, 4\n"
	"	mov 4, %al\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(write);

TEST(a_write_to_a_readonly_slot_is_mmio)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, write);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0, 0, NULL), 0);
	EXPECT_EQ(slot_set(&vm, 1, KVM_MEM_READONLY, SLOT_GPA, 0x1000, mem), 0);
	mem[4] = 9;
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.phys_addr, SLOT_GPA + 4);
	EXPECT_EQ(vm.run->mmio.is_write, 1);
	EXPECT_EQ(vm.run->mmio.len, 1);
	EXPECT_EQ(vm.run->mmio.data[0], 0x5a);
	EXPECT_EQ(run_out(&vm, 0x10), 9);
	EXPECT_EQ(mem[4], 9);
	vm_destroy(&vm);
}

GUEST(read_and_write, 16)
	"	mov $0x7000, %bx\n"
	"	mov %bx, %ds\n"
	"	mov 4, %al\n"
	"	out %al, $0x10\n"
	"	mov $0x5a, %al\n"
	"	mov %al, 4\n"
	"	hlt\n"
GUEST_END(read_and_write);

/* The host would allow a write to the page that the read has mapped. */
TEST(a_write_after_a_read_of_a_readonly_slot_is_mmio)
{
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, read_and_write);
	EXPECT_EQ(slot_set(&vm, 1, 0, 0, 0, NULL), 0);
	EXPECT_EQ(slot_set(&vm, 1, KVM_MEM_READONLY, SLOT_GPA, 0x1000, mem), 0);
	mem[4] = 9;
	EXPECT_EQ(run_out(&vm, 0x10), 9);
	run_until(&vm, KVM_EXIT_MMIO);
	EXPECT_EQ(vm.run->mmio.is_write, 1);
	EXPECT_EQ(mem[4], 9);
	vm_destroy(&vm);
}

TEST(run_without_slots_is_an_internal_error)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, write);
	EXPECT_EQ(slot_set(&vm, 0, 0, 0, 0, NULL), 0);
	run_until(&vm, KVM_EXIT_INTERNAL_ERROR);
	EXPECT_EQ(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	vm_destroy(&vm);
}

static int dirty_log(struct vm *vm, uint32_t slot, uint64_t *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);
}

TEST(the_dirty_log_names_written_pages_once)
{
	uint64_t bitmap = -1;
	uint8_t *mem;
	struct vm vm;

	mem = holed_vm(&vm);
	LOAD16(&vm, write);
	EXPECT_ERR(dirty_log(&vm, 1, &bitmap), ENOENT);
	EXPECT_EQ(slot_set(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, 0x1000, mem), 0);
	EXPECT_EQ(dirty_log(&vm, 1, &bitmap), 0);
	EXPECT_EQ(bitmap, 0);
	EXPECT_EQ(run_out(&vm, 0x10), 0x5a);
	EXPECT_EQ(dirty_log(&vm, 1, &bitmap), 0);
	EXPECT_EQ(bitmap, 1);
	EXPECT_EQ(dirty_log(&vm, 1, &bitmap), 0);
	EXPECT_EQ(bitmap, 0);
	vm_destroy(&vm);
}
