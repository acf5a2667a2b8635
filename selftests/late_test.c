// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMM restores MSRs before the memory that they point to. What the guest has asked for starts
 * when that memory comes. (Upstream writes the clock when it is next asked to, and not before.)
 */
#include "selftests/lib/okvm_test.h"

#define MSR_CLOCK	0x4b564d01
#define MSR_STEAL	0x4b564d03
#define MSR_EOI		0x4b564d04

#define FAR		0x20000000ull
#define FAR_SIZE	0x4000u
#define STOPPED		2	/* in the clock's flags */

struct clock {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
};

GUEST(marks, 16)
	"1:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(marks);

static void *far_memory(void)
{
	return host_pages(FAR_SIZE / 4096);
}

static void far_slot(struct vm *vm, void *mem, uint32_t flags)
{
	vm_slot(vm, 1, FAR, FAR_SIZE, mem, flags);
}

/* A guest that runs with a clock at FAR, where there is no memory yet. */
static struct clock *clock_without_memory(struct vm *vm)
{
	vm_create(vm, VM_IRQCHIP);
	LOAD16(vm, marks);
	EXPECT_EQ(vcpu_set_msr(vm, MSR_CLOCK, FAR | 1), 1);
	run_out(vm, 0x10);
	return far_memory();
}

TEST(the_clock_starts_when_its_memory_comes)
{
	struct clock *clock;
	struct vm vm;

	clock = clock_without_memory(&vm);
	far_slot(&vm, clock, 0);
	run_out(&vm, 0x10);
	EXPECT(clock->version && !(clock->version & 1));
	EXPECT(clock->mul);
	vm_destroy(&vm);
}

TEST(a_pause_is_told_when_the_memory_comes)
{
	struct clock *clock;
	struct vm vm;

	clock = clock_without_memory(&vm);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), 0);
	run_out(&vm, 0x10);
	far_slot(&vm, clock, 0);
	run_out(&vm, 0x10);
	EXPECT(clock->version);
	EXPECT(clock->flags & STOPPED);
	vm_destroy(&vm);
}

/* A slot that is read-only is no memory for a clock; nor is one that has gone. */
TEST(the_clock_starts_when_its_memory_can_be_written)
{
	struct clock *clock, *other = far_memory();
	struct vm vm;

	clock = clock_without_memory(&vm);
	far_slot(&vm, clock, KVM_MEM_READONLY);
	run_out(&vm, 0x10);
	EXPECT_EQ(clock->version, 0);
	vm_slot_delete(&vm, 1);
	far_slot(&vm, clock, 0);
	run_out(&vm, 0x10);
	EXPECT(clock->version);
	/* It goes, and other memory comes in its place. */
	vm_slot_delete(&vm, 1);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), 0);
	run_out(&vm, 0x10);
	vm_slot(&vm, 2, FAR, FAR_SIZE, other, 0);
	run_out(&vm, 0x10);
	EXPECT(other->version);
	vm_destroy(&vm);
}

TEST(a_slot_that_is_moved_brings_the_clock_its_memory)
{
	struct clock *clock;
	struct vm vm;

	clock = clock_without_memory(&vm);
	vm_slot(&vm, 1, FAR + 0x100000, FAR_SIZE, clock, 0);
	run_out(&vm, 0x10);
	EXPECT_EQ(clock->version, 0);
	far_slot(&vm, clock, 0);
	run_out(&vm, 0x10);
	EXPECT(clock->version);
	vm_destroy(&vm);
}

TEST(a_clock_that_is_switched_off_does_not_start)
{
	struct clock *clock;
	struct vm vm;

	clock = clock_without_memory(&vm);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_CLOCK, 0), 1);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), EINVAL);
	far_slot(&vm, clock, 0);
	run_out(&vm, 0x10);
	EXPECT_EQ(clock->version, 0);
	vm_destroy(&vm);
}

TEST(steal_time_starts_when_its_memory_comes)
{
	struct { uint64_t steal; uint32_t version; } *record = far_memory();
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	LOAD16(&vm, marks);
	if (vcpu_set_msr(&vm, MSR_STEAL, FAR | 1) != 1)
		test_skip("the host has no scheduler statistics");
	run_out(&vm, 0x10);
	far_slot(&vm, record, 0);
	run_out(&vm, 0x10);
	EXPECT(record->version && !(record->version & 1));
	vm_destroy(&vm);
}

/* It cannot be taken back once it has been offered: memory first, as on upstream. */
TEST(the_record_of_an_eoi_needs_its_memory_first)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_EOI, FAR | 1), 0);
	far_slot(&vm, far_memory(), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MSR_EOI, FAR | 1), 1);
	vm_destroy(&vm);
}
