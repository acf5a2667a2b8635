// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is newer than Linux 6.1: ioctls and capabilities, and limits that later kernels check. The
 * second ioctl for memory slots is in memslot_test.c.
 */

#include "selftests/lib/okvm_test.h"

TEST(there_is_one_type_of_vm_and_no_guest_mode)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.sys, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES), 1 << KVM_X86_DEFAULT_VM);
	EXPECT_EQ(ioctl(vm.sys, KVM_CHECK_EXTENSION, KVM_CAP_X86_GUEST_MODE), 1);
	EXPECT_ERR(ioctl(vm.sys, KVM_CREATE_VM, 1), EINVAL);
	vm_destroy(&vm);
}

/* ---- quirks of later kernels ---- */

#define QUIRK_VMCS12_ALLOW_FREEZE_IN_SMM	(1u << 10)
#define QUIRK_NESTED_SVM_SHARED_PAT		(1u << 11)
#define MSR_UCODE_REV		0x8b
#define MSR_PLATFORM_INFO	0xce
#define MSR_ARCH_CAPABILITIES	0x10a

static int disable_quirks(struct vm *vm, uint64_t quirks)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args = { quirks } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

static uint64_t msr_of(struct vm *vm, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };

	REQUIRE(ioctl(vm->vcpu, KVM_GET_MSRS, &msrs) == 1);
	return msrs.entry.data;
}

TEST(quirks_of_nested_guests_are_not_there)
{
	struct vm vm;
	int quirks;

	vm_create(&vm, VM_BARE);
	quirks = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2);
	EXPECT(quirks & KVM_X86_QUIRK_SLOT_ZAP_ALL);
	EXPECT_EQ(quirks & ~0x3ff, 0);
	EXPECT_ERR(disable_quirks(&vm, QUIRK_VMCS12_ALLOW_FREEZE_IN_SMM), EINVAL);
	EXPECT_ERR(disable_quirks(&vm, QUIRK_NESTED_SVM_SHARED_PAT), EINVAL);
	EXPECT_EQ(disable_quirks(&vm, quirks), 0);
	vm_destroy(&vm);
}

TEST(msrs_of_features_can_begin_with_nothing)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	vcpu_cpuid(&vm, vm.vcpu);
	EXPECT(msr_of(&vm, MSR_UCODE_REV) != 0);
	EXPECT(msr_of(&vm, MSR_PLATFORM_INFO) != 0);
	vm_destroy(&vm);
	vm_create(&vm, VM_BARE);
	EXPECT_EQ(disable_quirks(&vm, KVM_X86_QUIRK_STUFF_FEATURE_MSRS), 0);
	/* It stays off. */
	EXPECT_EQ(disable_quirks(&vm, 0), 0);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	vcpu_cpuid(&vm, vm.vcpu);
	EXPECT_EQ(msr_of(&vm, MSR_UCODE_REV), 0);
	EXPECT_EQ(msr_of(&vm, MSR_PLATFORM_INFO), 0);
	EXPECT_EQ(msr_of(&vm, MSR_ARCH_CAPABILITIES), 0);
	vm_destroy(&vm);
}

GUEST(touch, 16)
	"1:	out %al, $0x10\n"
	"	jmp 1b\n"
GUEST_END(touch);

/* Where hardware cannot do it, the quirk is not there. Types of memory cannot be seen here. */
TEST(the_guests_memory_types_can_have_effect)
{
	uint64_t fixed;
	struct vm vm;

	vm_create(&vm, 0);
	if (!(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2) &
	      KVM_X86_QUIRK_IGNORE_GUEST_PAT)) {
		EXPECT_ERR(disable_quirks(&vm, KVM_X86_QUIRK_IGNORE_GUEST_PAT), EINVAL);
		vm_destroy(&vm);
		test_skip("the CPU, or shadow paging, cannot");
	}
	LOAD16(&vm, touch);
	run_out(&vm, 0x10);
	run_out(&vm, 0x10);
	if (no_unrestricted_guest()) {
		EXPECT_EQ(disable_quirks(&vm, KVM_X86_QUIRK_IGNORE_GUEST_PAT), 0);
		run_out(&vm, 0x10);
		vm_destroy(&vm);
		test_skip("the emulator runs real mode, and maps nothing");
	}
	fixed = vcpu_stat(&vm, "pf_fixed");
	EXPECT(fixed > 0);
	EXPECT_EQ(disable_quirks(&vm, KVM_X86_QUIRK_IGNORE_GUEST_PAT), 0);
	/* What was mapped before has the old type, and is mapped anew; not so on SVM. */
	run_out(&vm, 0x10);
	if (!test_on_svm())
		EXPECT(vcpu_stat(&vm, "pf_fixed") > fixed);
	vm_destroy(&vm);
}

/* ---- KVM_PRE_FAULT_MEMORY ---- */

#define FAR_GPA		0x40000000ull

static int pre_fault(struct vm *vm, struct kvm_pre_fault_memory *range)
{
	return ioctl(vm->vcpu, KVM_PRE_FAULT_MEMORY, range);
}

static uint8_t *far_slot(struct vm *vm, uint64_t size)
{
	uint8_t *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(mem != MAP_FAILED);
	vm_slot(vm, 1, FAR_GPA, size, mem, 0);
	return mem;
}

/* With shadow paging there is nothing to map before the guest has tables; the ioctl says so. */
static bool can_pre_fault(struct vm *vm)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR_GPA, .size = 0x1000 };
	int tdp = ioctl(vm->fd, KVM_CHECK_EXTENSION, OKVM_CAP_MMU) >> OKVM_MMU_TDP & 1;

	EXPECT_EQ(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY), tdp);
	if (!tdp)
		EXPECT_ERR(pre_fault(vm, &range), EOPNOTSUPP);
	return tdp;
}

TEST(memory_is_mapped_before_the_guest_wants_it)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR_GPA, .size = 0x4000 };
	unsigned char present[4] = { 0 };
	struct vm vm;
	uint8_t *mem;

	vm_create(&vm, 0);
	if (!can_pre_fault(&vm))
		goto out;
	mem = far_slot(&vm, 0x4000);
	EXPECT_EQ(pre_fault(&vm, &range), 0);
	EXPECT_EQ(range.gpa, FAR_GPA + 0x4000);
	EXPECT_EQ(range.size, 0);
	EXPECT_EQ(mincore(mem, 0x4000, present), 0);
	EXPECT_EQ(present[0] & present[3] & 1, 1);
	/* Again: it is there already. */
	range.gpa = FAR_GPA;
	range.size = 0x1000;
	EXPECT_EQ(pre_fault(&vm, &range), 0);
	EXPECT_EQ(range.size, 0);
out:
	vm_destroy(&vm);
}

TEST(what_could_not_be_mapped_is_left_over)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR_GPA + 0x2000, .size = 0x5000 };
	struct vm vm;

	vm_create(&vm, 0);
	if (!can_pre_fault(&vm))
		goto out;
	far_slot(&vm, 0x4000);
	EXPECT_EQ(pre_fault(&vm, &range), 0);
	EXPECT_EQ(range.gpa, FAR_GPA + 0x4000);
	EXPECT_EQ(range.size, 0x3000);
	EXPECT_ERR(pre_fault(&vm, &range), ENOENT);
	EXPECT_EQ(range.size, 0x3000);
out:
	vm_destroy(&vm);
}

TEST(ranges_that_cannot_be_mapped_before)
{
	static const struct {
		struct kvm_pre_fault_memory range;
		int err;
	} bad[] = {
		{ { .gpa = 0, .size = 0x1000, .flags = 1 }, EINVAL },
		{ { .gpa = 0x800, .size = 0x1000 }, EINVAL },
		{ { .gpa = 0, .size = 0x1800 }, EINVAL },
		{ { .gpa = 0, .size = 0 }, EINVAL },
		{ { .gpa = -0x1000ull, .size = 0x2000 }, EINVAL },
		{ { .gpa = FAR_GPA, .size = 0x1000 }, ENOENT },
		{ { .gpa = 1ull << 60, .size = 0x1000 }, ENOENT },
	};
	struct vm vm;
	unsigned int i;
	bool there;

	vm_create(&vm, 0);
	there = can_pre_fault(&vm);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kvm_pre_fault_memory range = bad[i].range;

		EXPECT_ERR(pre_fault(&vm, &range),
			   bad[i].err == ENOENT && !there ? EOPNOTSUPP : bad[i].err);
	}
	vm_destroy(&vm);
}

TEST(memory_that_the_host_has_not_is_efault)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR_GPA, .size = 0x2000 };
	struct vm vm;
	uint8_t *mem;

	vm_create(&vm, 0);
	if (!can_pre_fault(&vm))
		goto out;
	mem = far_slot(&vm, 0x2000);
	munmap(mem + 0x1000, 0x1000);
	EXPECT_EQ(pre_fault(&vm, &range), 0);
	EXPECT_EQ(range.size, 0x1000);
	EXPECT_ERR(pre_fault(&vm, &range), EFAULT);
out:
	vm_destroy(&vm);
}

/* ---- KVM_CAP_X86_APIC_BUS_CYCLES_NS ---- */

static int enable_cap(struct vm *vm, uint32_t nr, uint64_t arg)
{
	struct kvm_enable_cap cap = { .cap = nr, .args = { arg } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

TEST(the_bus_of_the_apics_is_set_before_they_are_there)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_APIC_BUS_CYCLES_NS), 1);
	EXPECT_ERR(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 40), ENXIO);
	REQUIRE(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	EXPECT_ERR(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0), EINVAL);
	EXPECT_ERR(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0x2000001), EINVAL);
	EXPECT_EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0x2000000), 0);
	EXPECT_EQ(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 40), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_APIC_BUS_CYCLES_NS), 40);
	EXPECT_EQ(ioctl(vm.sys, KVM_CHECK_EXTENSION, KVM_CAP_X86_APIC_BUS_CYCLES_NS), 1);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	EXPECT_ERR(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 40), EINVAL);
	vm_destroy(&vm);
}

static uint32_t reg_of(const struct kvm_lapic_state *state, unsigned int at)
{
	uint32_t val;

	memcpy(&val, state->regs + at, sizeof(val));
	return val;
}

static void set_reg(struct kvm_lapic_state *state, unsigned int at, uint32_t val)
{
	memcpy(state->regs + at, &val, sizeof(val));
}

TEST(a_slower_bus_counts_slower)
{
	const uint32_t tick = 1000, first = 1u << 31;
	struct kvm_lapic_state state;
	uint64_t before, after, gone;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	REQUIRE(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(enable_cap(&vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS, tick) == 0);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &state) == 0);
	set_reg(&state, 0xf0, 0x1ff);
	set_reg(&state, 0x320, 0x10030);	/* one-shot, masked */
	set_reg(&state, 0x3e0, 0xb);		/* divide by 1 */
	set_reg(&state, 0x380, first);
	set_reg(&state, 0x390, first);
	before = now_ns();
	REQUIRE(ioctl(vm.vcpu, KVM_SET_LAPIC, &state) == 0);
	usleep(20000);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &state) == 0);
	after = now_ns();
	gone = first - reg_of(&state, 0x390);
	EXPECT(gone >= 19000000 / tick);
	EXPECT(gone <= (after - before) / tick + 1);
	vm_destroy(&vm);
}

/* ---- limits, and what userspace reads back ---- */

TEST(the_boot_processor_is_within_the_limit)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 1ul << 32), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 4097), EINVAL);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 8), 0);
	EXPECT_ERR(enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, 7), EINVAL);
	EXPECT_EQ(enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, 8), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 9), EINVAL);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 0), 0);
	vm_destroy(&vm);
}

TEST(cpuid_is_read_back_with_its_length)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[4];
	} cpuid = { .head.nent = 2, .entry = { { .function = 0 }, { .function = 1 } } };
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_CPUID2, &cpuid) == 0);
	cpuid.head.nent = 4;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_CPUID2, &cpuid), 0);
	EXPECT_EQ(cpuid.head.nent, 2);
	cpuid.head.nent = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_CPUID2, &cpuid), E2BIG);
	EXPECT_EQ(cpuid.head.nent, 1);
	vm_destroy(&vm);
}

#define MSR_APIC_BASE	0x1b
#define MSR_HWCR	0xc0010015

static int msr(struct vm *vm, unsigned long cmd, uint32_t index, uint64_t *val)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} arg = { .head.nmsrs = 1, .entry = { .index = index, .data = *val } };
	int ret = ioctl(vm->vcpu, cmd, &arg);

	*val = arg.entry.data;
	return ret;
}

TEST(hwcr_holds_two_bits)
{
	uint64_t val = 1ull << 24 | 1ull << 18 | 1ull << 6;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(msr(&vm, KVM_SET_MSRS, MSR_HWCR, &val), 1);
	EXPECT_EQ(msr(&vm, KVM_GET_MSRS, MSR_HWCR, &val), 1);
	EXPECT_EQ(val, 1ull << 24 | 1ull << 18);
	val = 1ull << 25;
	EXPECT_EQ(msr(&vm, KVM_SET_MSRS, MSR_HWCR, &val), 0);
	vm_destroy(&vm);
}

/* Only userspace can switch back from x2APIC mode without disabling the APIC. */
TEST(the_apic_id_follows_the_mode_both_ways)
{
	const uint64_t xapic = 0xfee00800, x2apic = xapic | 1 << 10;
	struct kvm_lapic_state state;
	uint64_t base;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	REQUIRE(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(enable_cap(&vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS) == 0);
	vm.vcpu = vcpu_add(&vm, 5, &vm.run);
	vcpu_cpuid(&vm, vm.vcpu);
	base = x2apic;
	EXPECT_EQ(msr(&vm, KVM_SET_MSRS, MSR_APIC_BASE, &base), 1);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &state) == 0);
	EXPECT_EQ(reg_of(&state, 0x20), 5);
	base = xapic;
	EXPECT_EQ(msr(&vm, KVM_SET_MSRS, MSR_APIC_BASE, &base), 1);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &state) == 0);
	EXPECT_EQ(reg_of(&state, 0x20), 5 << 24);
	vm_destroy(&vm);
}

/* ---- the TSC that userspace restores ---- */

#define MSR_TSC		0x10

static uint64_t tsc_of(struct vm *vm, int vcpu)
{
	struct vm one = *vm;
	uint64_t val = 0;

	one.vcpu = vcpu;
	REQUIRE(msr(&one, KVM_GET_MSRS, MSR_TSC, &val) == 1);
	return val;
}

static void tsc_write(struct vm *vm, int vcpu, uint64_t val)
{
	struct vm one = *vm;

	one.vcpu = vcpu;
	REQUIRE(msr(&one, KVM_SET_MSRS, MSR_TSC, &val) == 1);
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Within a second of the vCPU's creation, where 6.1 takes any small value for "in step with it". */
TEST(the_first_tsc_that_is_written_is_meant)
{
	struct kvm_run *run;
	uint64_t khz, now;
	struct vm vm;
	int second;

	vm_create(&vm, 0);
	khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	usleep(300000);
	tsc_write(&vm, vm.vcpu, 1000);
	now = tsc_of(&vm, vm.vcpu);
	printf("# %llu kHz, written 1000, read %llu\n", (unsigned long long)khz,
	       (unsigned long long)now);
	EXPECT(now >= 1000 && now < khz * 150);
	/* A sibling's near value is meant to be in step with it, as ever; so is 0. */
	second = vcpu_add(&vm, 1, &run);
	usleep(50000);
	tsc_write(&vm, second, 1000);
	EXPECT(apart(tsc_of(&vm, second), tsc_of(&vm, vm.vcpu)) < khz * 20);
	tsc_write(&vm, second, 1ull << 50);
	EXPECT(tsc_of(&vm, second) >= 1ull << 50);
	tsc_write(&vm, vm.vcpu, 0);
	EXPECT(tsc_of(&vm, vm.vcpu) >= 1ull << 50);
	vm_destroy(&vm);
}

/* An offset that userspace gives counts as written too. */
TEST(a_tsc_after_an_offset_is_in_step_with_it)
{
	uint64_t offset, khz, before;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};
	struct vm vm;

	vm_create(&vm, 0);
	khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEVICE_ATTR, &attr) == 0);
	offset += 1ull << 40;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_DEVICE_ATTR, &attr) == 0);
	before = tsc_of(&vm, vm.vcpu);
	usleep(300000);
	tsc_write(&vm, vm.vcpu, before);
	EXPECT(tsc_of(&vm, vm.vcpu) - before > khz * 200);
	vm_destroy(&vm);
}
