// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frequency of a guest's TSC (KVM_SET_TSC_KHZ): the guest reads the TSC that okvm computes,
 * whichever vCPU ran before on the CPU.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "selftests/lib/okvm_test.h"

#define MSR_TSC	0x10

GUEST(read_tsc, 16)
	"1:	rdtsc\n"
	"	mov %eax, 0x7000\n"
	"	mov %edx, 0x7004\n"
	"	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(read_tsc);

/* What okvm computes for the vCPU. */
static uint64_t tsc_by_okvm(struct vm *vm)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1, .entry.index = MSR_TSC };

	REQUIRE(ioctl(vm->vcpu, KVM_GET_MSRS, &one) == 1);
	return one.entry.data;
}

static uint64_t tsc_by_guest(struct vm *vm)
{
	uint64_t tsc;

	run_out(vm, 0x10);
	memcpy(&tsc, vm->mem + 0x7000, sizeof(tsc));
	return tsc;
}

static void expect_the_same_tsc(struct vm *vm)
{
	uint64_t before = tsc_by_okvm(vm);
	uint64_t guest = tsc_by_guest(vm);
	uint64_t after = tsc_by_okvm(vm);

	if (guest - before > after - before)
		test_fail(__FILE__, __LINE__, "%#llx, the guest's %#llx, %#llx",
			  (unsigned long long)before, (unsigned long long)guest,
			  (unsigned long long)after);
}

/* The test stays on one CPU: TSCs of several may differ. Return the host's frequency. */
static int scaling_vm(struct vm *vm)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(0, &here);
	REQUIRE(sched_setaffinity(0, sizeof(here), &here) == 0);
	vm_create(vm, 0);
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <= 0)
		test_skip("no TSC scaling");
	LOAD16(vm, read_tsc);
	return ioctl(vm->vcpu, KVM_GET_TSC_KHZ, 0);
}

TEST(a_guest_reads_its_tsc_at_the_frequency_set)
{
	struct vm vm;
	unsigned int i;
	int khz = scaling_vm(&vm);
	const int others[] = { khz / 2, khz / 3 + 1, khz / 1000, khz, khz * 3 / 2, khz * 100 };

	expect_the_same_tsc(&vm);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, others[i]), 0);
		EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0), others[i]);
		expect_the_same_tsc(&vm);
		expect_the_same_tsc(&vm);
	}
	vm_destroy(&vm);
}

TEST(the_tsc_runs_at_the_frequency_set)
{
	uint64_t host, guest;
	struct vm vm;
	int khz = scaling_vm(&vm);

	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, khz * 3), 0);
	guest = tsc_by_guest(&vm);
	host = __builtin_ia32_rdtsc();
	usleep(50000);
	guest = tsc_by_guest(&vm) - guest;
	host = __builtin_ia32_rdtsc() - host;
	EXPECT(guest > host * 2 && guest < host * 4);
	vm_destroy(&vm);
}

TEST(each_vcpu_has_its_own_frequency)
{
	struct vm fast, slow, plain;
	unsigned int i;
	int khz = scaling_vm(&fast);

	scaling_vm(&slow);
	scaling_vm(&plain);
	EXPECT_EQ(ioctl(fast.vcpu, KVM_SET_TSC_KHZ, khz * 2), 0);
	EXPECT_EQ(ioctl(slow.vcpu, KVM_SET_TSC_KHZ, khz / 2), 0);
	for (i = 0; i < 3; i++) {
		expect_the_same_tsc(&fast);
		expect_the_same_tsc(&plain);
		expect_the_same_tsc(&slow);
	}
	vm_destroy(&fast);
	vm_destroy(&slow);
	vm_destroy(&plain);
}

TEST(a_vm_gives_its_vcpus_its_frequency)
{
	struct vm first, vm;
	int khz = scaling_vm(&first);

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_TSC_KHZ, khz / 2), 0);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0), khz / 2);
	vm_destroy(&vm);
	vm_destroy(&first);
}

/* The integer part of SVM's ratio has 8 bits, VMX's 16. */
TEST(the_highest_frequency)
{
	struct vm vm;
	int khz = scaling_vm(&vm);
	uint64_t limit = (uint64_t)khz << (test_on_svm() ? 8 : 16);

	if (limit <= 0xffffffff) {
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, limit), EINVAL);
		EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, limit - 1), 0);
		expect_the_same_tsc(&vm);
	}
	vm_destroy(&vm);
}
