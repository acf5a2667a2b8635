// SPDX-License-Identifier: GPL-2.0-only
/* CPUID, MSRs and registers through their ioctls: protocols and refusals. */
#include "selftests/lib/okvm_test.h"

GUEST(halt, 16)
	"	hlt\n"
GUEST_END(halt);

TEST(system_facts)
{
	int sys = open_device();

	EXPECT_EQ(ioctl(sys, KVM_GET_API_VERSION, 0), 12);
	EXPECT_ERR(ioctl(sys, KVM_GET_API_VERSION, 1), EINVAL);
	EXPECT_EQ(ioctl(sys, KVM_GET_VCPU_MMAP_SIZE, 0), 3 * 4096);
	EXPECT_EQ(ioctl(sys, KVM_CHECK_EXTENSION, 0x7fffffff), 0);
	EXPECT_EQ(ioctl(sys, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT), 1);
	EXPECT_ERR(ioctl(sys, KVM_CREATE_VM, 99), EINVAL);
	EXPECT_ERR(ioctl(sys, KVM_RUN, 0), EINVAL);
}

static int supported_cpuid(int sys, struct kvm_cpuid2 *cpuid, unsigned int nent)
{
	cpuid->nent = nent;
	return ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid);
}

static struct kvm_cpuid2 *cpuid_space(void)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));

	REQUIRE(cpuid);
	return cpuid;
}

TEST(supported_cpuid_that_does_not_fit_is_e2big)
{
	struct kvm_cpuid2 *cpuid = cpuid_space();
	int sys = open_device();

	EXPECT_ERR(supported_cpuid(sys, cpuid, 1), E2BIG);
	EXPECT_EQ(supported_cpuid(sys, cpuid, 80), 0);
	EXPECT(cpuid->nent > 10 && cpuid->nent < 80);
}

TEST(cpuid_is_fixed_once_the_vcpu_ran)
{
	struct kvm_cpuid2 *cpuid = cpuid_space();
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, halt);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(supported_cpuid(vm.sys, cpuid, 100), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid), 0);
	cpuid->entries[0].ebx ^= 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid), EINVAL);
	vm_destroy(&vm);
}

GUEST(cpuid, 16)
	"	mov $0x40000000, %eax\n"
	"	cpuid\n"
	"	hlt\n"
GUEST_END(cpuid);

TEST(the_guest_sees_kvms_signature)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, cpuid);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	EXPECT_EQ(regs.rax, 0x40000001);
	EXPECT_EQ(regs.rbx, 0x4b4d564b);
	EXPECT_EQ(regs.rcx, 0x564b4d56);
	EXPECT_EQ(regs.rdx, 0x4d);
	vm_destroy(&vm);
}

TEST(the_msr_list_counts_and_every_msr_of_it_can_be_read_and_written_back)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 256 * 4);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} one = { .head.nmsrs = 1 };
	struct vm vm;
	unsigned int i;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_MSR_INDEX_LIST, list), E2BIG);
	EXPECT(list->nmsrs > 10 && list->nmsrs <= 256);
	EXPECT_EQ(ioctl(vm.sys, KVM_GET_MSR_INDEX_LIST, list), 0);
	for (i = 0; i < list->nmsrs; i++) {
		one.entry[0].index = list->indices[i];
		if (ioctl(vm.vcpu, KVM_GET_MSRS, &one) != 1)
			test_fail(__FILE__, __LINE__, "MSR 0x%x cannot be read", list->indices[i]);
		if (ioctl(vm.vcpu, KVM_SET_MSRS, &one) != 1)
			test_fail(__FILE__, __LINE__, "MSR 0x%x cannot be set", list->indices[i]);
	}
	vm_destroy(&vm);
}

TEST(msr_io_stops_at_the_first_failure)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} msrs = { .head.nmsrs = 3, .entry = {
		{ .index = 0x174, .data = 8 },
		{ .index = 0xc0000102, .data = 1ull << 63 },	/* not canonical */
		{ .index = 0x175, .data = 9 },
	} };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_MSRS, &msrs), 1);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_MSRS, &msrs), 3);
	EXPECT_EQ(msrs.entry[0].data, 8);
	EXPECT_EQ(msrs.entry[1].data, 0);
	EXPECT_EQ(msrs.entry[2].data, 0);
	msrs.head.nmsrs = 256;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_MSRS, &msrs), E2BIG);
	vm_destroy(&vm);
}

TEST(feature_msrs_are_read_without_a_vm)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} msr = { .head.nmsrs = 1, .entry[0].index = 0x10a };
	int sys = open_device();

	EXPECT_EQ(ioctl(sys, KVM_GET_MSRS, &msr), 1);
	msr.entry[0].index = 0x345;
	EXPECT_EQ(ioctl(sys, KVM_GET_MSRS, &msr), 1);
}

TEST(bad_sregs_are_refused_and_change_nothing)
{
	struct kvm_sregs sregs, bad;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs), 0);
	EXPECT_EQ(sregs.cs.selector, 0xf000);
	EXPECT_EQ(sregs.cs.base, 0xffff0000);
	EXPECT_EQ(sregs.tr.type, 11);
	bad = sregs;
	bad.cr4 |= 1ull << 40;
	bad.cr3 = 0x5000;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &bad), EINVAL);
	bad = sregs;
	bad.efer |= 1 << 10;		/* LMA without LME and paging */
	bad.cr0 |= 0x80000001;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &bad), EINVAL);
	bad = sregs;
	bad.apic_base |= 1ull << 63;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &bad), EINVAL);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_SREGS, &bad), 0);
	EXPECT(!memcmp(&sregs, &bad, sizeof(bad)));
	vm_destroy(&vm);
}

TEST(vcpu_events_are_checked_and_come_back)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events), 0);
	events.flags |= 1u << 30;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	events.nmi.pending = 1;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events), 0);
	EXPECT_EQ(events.nmi.pending, 1);
	events.exception.injected = 1;
	events.exception.nr = 32;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	vm_destroy(&vm);
}

TEST(the_tss_may_lie_at_the_highest_address)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_TSS_ADDR, 0xffffd000ul), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_TSS_ADDR, 0xfffff000ul), EINVAL);
	vm_destroy(&vm);
}

TEST(the_run_page_is_mapped_shared_only)
{
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm.vcpu, 0) != MAP_FAILED);
	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm.vcpu, 2 * 4096) != MAP_FAILED);
	vm_destroy(&vm);
}

TEST(bad_pointers_are_efault)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_REGS, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_REGS, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_MSRS, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID2, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_LAPIC, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQ_LINE, 8), EFAULT);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_SUPPORTED_CPUID, 8), EFAULT);
	vm_destroy(&vm);
}
