// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts and ids that userspace gives: 0, 1, the most, one more, and the highest number. What does
 * not fit is refused before memory behind the argument is touched: each array ends at a page that
 * is not there.
 */
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

#define ROOM	(64u << 10)
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* @size bytes that end where nothing is mapped. */
static void *at_the_edge(size_t size)
{
	static uint8_t *end;

	if (!end) {
		end = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
		REQUIRE(end != MAP_FAILED && mprotect(end + ROOM, 4096, PROT_NONE) == 0);
		end += ROOM;
	}
	REQUIRE(size <= ROOM);
	memset(end - size, 0, size);
	return end - size;
}

static struct kvm_cpuid2 *cpuid_edge(uint32_t entries, uint32_t nent)
{
	struct kvm_cpuid2 *cpuid = at_the_edge(sizeof(*cpuid) +
					       entries * sizeof(cpuid->entries[0]));

	cpuid->nent = nent;
	return cpuid;
}

TEST(supported_cpuid)
{
	int sys = open_device();
	uint32_t nr;

	EXPECT_ERR(ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid_edge(0, 0)), E2BIG);
	EXPECT_ERR(ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid_edge(1, 1)), E2BIG);
	for (nr = 2; nr < 100; nr++)
		if (ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid_edge(nr, nr)) == 0)
			break;
	EXPECT(nr < 100);
	/* A larger count than there is memory is no error as long as what is there fits. */
	EXPECT_EQ(ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid_edge(nr, nr + 1)), 0);
	EXPECT_EQ(ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid_edge(nr, 0xffffffff)), 0);
	EXPECT_ERR(ioctl(sys, KVM_GET_SUPPORTED_CPUID, cpuid_edge(nr - 1, nr - 1)), E2BIG);
}

TEST(emulated_cpuid)
{
	struct kvm_cpuid2 *cpuid;
	int sys = open_device();

	EXPECT_ERR(ioctl(sys, KVM_GET_EMULATED_CPUID, cpuid_edge(0, 0)), E2BIG);
	EXPECT_EQ(ioctl(sys, KVM_GET_EMULATED_CPUID, cpuid_edge(100, 100)), 0);
	EXPECT_EQ(ioctl(sys, KVM_GET_EMULATED_CPUID, cpuid_edge(256, ~0u)), 0);
	/* Of this list the entries are read too: their padding has to be there, and 0. */
	EXPECT_ERR(ioctl(sys, KVM_GET_EMULATED_CPUID, cpuid_edge(100, ~0u)), EINVAL);
	cpuid = cpuid_edge(100, 100);
	cpuid->entries[99].padding[2] = 1;
	EXPECT_ERR(ioctl(sys, KVM_GET_EMULATED_CPUID, cpuid), EINVAL);
}

TEST(set_cpuid2)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(0, 0)), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(1, 1)), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(256, 256)), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(257, 257)), E2BIG);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(1, ~0u)), E2BIG);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(1, 2)), EFAULT);
	vm_destroy(&vm);
}

TEST(get_cpuid2)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid_edge(3, 3)) == 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_CPUID2, cpuid_edge(0, 0)), E2BIG);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_CPUID2, cpuid_edge(2, 2)), E2BIG);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_CPUID2, cpuid_edge(3, 3)), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_CPUID2, cpuid_edge(3, ~0u)), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_CPUID2, cpuid_edge(2, ~0u)), EFAULT);
	vm_destroy(&vm);
}

TEST(set_cpuid_of_old)
{
	struct kvm_cpuid *cpuid;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	cpuid = at_the_edge(sizeof(*cpuid));
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID, cpuid), 0);
	cpuid->nent = 257;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID, cpuid), E2BIG);
	cpuid->nent = ~0u;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID, cpuid), E2BIG);
	cpuid->nent = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_CPUID, cpuid), EFAULT);
	vm_destroy(&vm);
}

static struct kvm_msr_list *list_edge(uint32_t entries, uint32_t nmsrs)
{
	struct kvm_msr_list *list = at_the_edge(sizeof(*list) + entries * sizeof(uint32_t));

	list->nmsrs = nmsrs;
	return list;
}

static void msr_list(unsigned long cmd)
{
	int sys = open_device();
	struct kvm_msr_list *list = list_edge(0, 0);
	uint32_t nr;

	EXPECT_ERR(ioctl(sys, cmd, list), E2BIG);
	nr = list->nmsrs;
	EXPECT(nr > 0 && nr <= 256);
	list = list_edge(nr - 1, nr - 1);
	EXPECT_ERR(ioctl(sys, cmd, list), E2BIG);
	EXPECT_EQ(list->nmsrs, nr);
	list = list_edge(nr, nr);
	EXPECT_EQ(ioctl(sys, cmd, list), 0);
	EXPECT_EQ(list->nmsrs, nr);
	list = list_edge(nr, ~0u);
	EXPECT_EQ(ioctl(sys, cmd, list), 0);
	EXPECT_EQ(list->nmsrs, nr);
	EXPECT_ERR(ioctl(sys, cmd, list_edge(nr - 1, ~0u)), EFAULT);
}

TEST(msr_lists)
{
	msr_list(KVM_GET_MSR_INDEX_LIST);
	msr_list(KVM_GET_MSR_FEATURE_INDEX_LIST);
}

static struct kvm_msrs *msrs_edge(uint32_t entries, uint32_t nmsrs, uint32_t index)
{
	struct kvm_msrs *msrs = at_the_edge(sizeof(*msrs) + entries * sizeof(msrs->entries[0]));
	uint32_t i;

	msrs->nmsrs = nmsrs;
	for (i = 0; i < entries; i++)
		msrs->entries[i].index = index;
	return msrs;
}

static void msr_io(int fd, unsigned long cmd, uint32_t index)
{
	EXPECT_EQ(ioctl(fd, cmd, msrs_edge(0, 0, index)), 0);
	EXPECT_EQ(ioctl(fd, cmd, msrs_edge(1, 1, index)), 1);
	EXPECT_EQ(ioctl(fd, cmd, msrs_edge(255, 255, index)), 255);
	EXPECT_ERR(ioctl(fd, cmd, msrs_edge(256, 256, index)), E2BIG);
	EXPECT_ERR(ioctl(fd, cmd, msrs_edge(1, ~0u, index)), E2BIG);
	EXPECT_ERR(ioctl(fd, cmd, msrs_edge(1, 2, index)), EFAULT);
}

TEST(msr_values)
{
	struct vm vm;

	vm_create(&vm, 0);
	msr_io(vm.sys, KVM_GET_MSRS, 0x10a);
	msr_io(vm.vcpu, KVM_GET_MSRS, 0x174);
	msr_io(vm.vcpu, KVM_SET_MSRS, 0x174);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_MSRS, msrs_edge(3, 3, 0x12345678)), 0);
	EXPECT_EQ(ioctl(vm.sys, KVM_GET_MSRS, msrs_edge(3, 3, 0x12345678)), 0);
	vm_destroy(&vm);
}

static struct kvm_irq_routing *routes_edge(uint32_t entries, uint32_t nr)
{
	struct kvm_irq_routing *table;
	uint32_t i;

	table = at_the_edge(sizeof(*table) + entries * sizeof(table->entries[0]));
	table->nr = nr;
	for (i = 0; i < entries; i++) {
		table->entries[i].gsi = i;
		table->entries[i].type = KVM_IRQ_ROUTING_MSI;
	}
	return table;
}

TEST(gsi_routes)
{
	/* As many as fit in front of the edge. */
	const uint32_t most = ROOM / sizeof(struct kvm_irq_routing_entry) - 1;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING), 4096);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_GSI_ROUTING, routes_edge(0, 0)), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_GSI_ROUTING, routes_edge(1, 1)), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_GSI_ROUTING, routes_edge(most, most)), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, routes_edge(1, 4097)), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, routes_edge(1, ~0u)), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, routes_edge(1, 2)), EFAULT);
	vm_destroy(&vm);
}

TEST(a_full_table_of_routes)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) +
					       4097 * sizeof(table->entries[0]));
	struct kvm_msi msi = { .address_lo = 0xfee00000 };
	struct kvm_irq_level line = { .irq = 4095, .level = 1 };
	struct vm vm;
	uint32_t i;

	vm_create(&vm, VM_IRQCHIP);
	for (i = 0; i < 4097; i++) {
		table->entries[i].gsi = i;
		table->entries[i].type = KVM_IRQ_ROUTING_MSI;
		table->entries[i].u.msi.address_lo = msi.address_lo;
		table->entries[i].u.msi.data = 0x41;
	}
	table->nr = 4096;
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_GSI_ROUTING, table), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
	table->nr = 4097;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, table), EINVAL);
	table->nr = 1;
	table->entries[0].gsi = 4096;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, table), EINVAL);
	table->entries[0].gsi = ~0u;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_GSI_ROUTING, table), EINVAL);
	vm_destroy(&vm);
}

/* CVE-2012-2137, CVE-2017-1000252: every way that a GSI comes in. */
TEST(gsis_at_the_edges)
{
	static const uint32_t gsis[] = { 0, 23, 24, 4095, 4096, 4097, 0x7fffffff, 0x80000000, ~0u };
	uint64_t one = 1;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, VM_IRQCHIP);
	for (i = 0; i < COUNT(gsis); i++) {
		struct kvm_irq_level line = { .irq = gsis[i], .level = 1 };
		struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = gsis[i] };

		EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
		EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE_STATUS, &line), 0);
		if (gsis[i] >= 24)
			EXPECT_EQ(line.status, -1);
		line.level = 0;
		EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE, &line), 0);
		EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
		EXPECT_EQ(write(irqfd.fd, &one, 8), 8);
		irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
		EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
		close(irqfd.fd);
	}
	vm_destroy(&vm);
}

TEST(vcpu_ids)
{
	struct vm vm;
	int max, i;

	vm_create(&vm, VM_BARE);
	max = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, max), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, max + 1), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, 0x7fffffff), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, ~0u), EINVAL);
	EXPECT(ioctl(vm.fd, KVM_CREATE_VCPU, max - 1) >= 0);
	EXPECT(ioctl(vm.fd, KVM_CREATE_VCPU, 0) >= 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, max - 1), EEXIST);
	for (i = 1; i < 20; i++)
		EXPECT(ioctl(vm.fd, KVM_CREATE_VCPU, i * 3) >= 0);
	vm_destroy(&vm);
}

TEST(a_limit_for_vcpu_ids)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MAX_VCPU_ID, .args[0] = 4 };
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, 4), EINVAL);
	EXPECT(ioctl(vm.fd, KVM_CREATE_VCPU, 3) >= 0);
	cap.args[0] = 5;
	EXPECT_ERR(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), EINVAL);
	vm_destroy(&vm);
}

TEST(xcrs)
{
	static const uint32_t counts[] = { 17, 0x7fffffff, ~0u };
	struct kvm_xcrs xcrs;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_XCRS, &xcrs) == 0);
	EXPECT_EQ(xcrs.nr_xcrs, 1);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs), 0);
	for (i = 0; i < COUNT(counts); i++) {
		xcrs.nr_xcrs = counts[i];
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	}
	xcrs.nr_xcrs = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs), 0);
	xcrs.nr_xcrs = 1;
	xcrs.flags = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.flags = 0;
	xcrs.xcrs[0].value = 2;		/* without the x87 state */
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs), EINVAL);
	vm_destroy(&vm);
}

TEST(signal_masks)
{
	static const uint32_t lengths[] = { 0, 1, 4, 7, 9, 16, ~0u };
	struct {
		struct kvm_signal_mask head;
		uint8_t set[16];
	} mask = { .head.len = 8 };
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, &mask), 0);
	for (i = 0; i < COUNT(lengths); i++) {
		mask.head.len = lengths[i];
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, &mask), EINVAL);
	}
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, NULL), 0);
	vm_destroy(&vm);
}

TEST(msr_filters)
{
	static uint8_t bitmap[0x1000];
	struct kvm_msr_filter filter = { .flags = 0 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), 0);
	filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	filter.flags = 1u << 30;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	filter.flags = 0;
	filter.ranges[0] = (struct kvm_msr_filter_range) {
		.flags = KVM_MSR_FILTER_READ, .base = 0x174, .nmsrs = 8, .bitmap = bitmap,
	};
	EXPECT_EQ(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), 0);
	filter.ranges[0].nmsrs = ~0u;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	filter.ranges[0].nmsrs = 0x3001 * 8;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	filter.ranges[0].nmsrs = 8;
	filter.ranges[0].bitmap = (void *)8;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EFAULT);
	filter.ranges[0].bitmap = bitmap;
	filter.ranges[0].flags = 8;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	filter.ranges[0].flags = 0;
	EXPECT_ERR(ioctl(vm.fd, KVM_X86_SET_MSR_FILTER, &filter), EINVAL);
	vm_destroy(&vm);
}

TEST(interrupt_vectors)
{
	struct kvm_interrupt irq = { .irq = 255 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), 0);
	irq.irq = 256;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), EINVAL);
	irq.irq = ~0u;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_INTERRUPT, &irq), EINVAL);
	vm_destroy(&vm);
}

TEST(machine_check_banks)
{
	struct kvm_x86_mce mce = { .status = 1ull << 63, .bank = 255 };
	uint64_t cap;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.sys, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap) == 0);
	cap = (cap & ~0xffull) | 32;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SET_MCE, &mce), EINVAL);
	mce.bank = 32;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SET_MCE, &mce), EINVAL);
	mce.bank = 31;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_X86_SET_MCE, &mce), 0);
	mce.status = 0;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SET_MCE, &mce), EINVAL);
	cap = 0;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap), EINVAL);
	cap = 33;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap), EINVAL);
	cap = 1 | 1ull << 60;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap), EINVAL);
	vm_destroy(&vm);
}

#define MCG_CMCI	(1ull << 10)
#define MC2_CTL2	0x282
#define LVT_CMCI	0x2f0
#define IRR_OF_0x50	0x220

/* Return true if an uncorrected error without action in bank 2 sends the vector of LVT CMCI. */
static bool sends_cmci(struct vm *vm, uint64_t ctl2)
{
	struct kvm_x86_mce ucna = { .status = 5ull << 61, .bank = 2 };	/* VAL and UC */
	struct kvm_lapic_state lapic;

	REQUIRE(vcpu_set_msr(vm, MC2_CTL2, ctl2) == 1);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	memset(&lapic.regs[IRR_OF_0x50], 0, 4);
	lapic.regs[0xf0] = 0xff;
	lapic.regs[0xf1] = 1;				/* enabled */
	memcpy(&lapic.regs[LVT_CMCI], &(uint32_t){ 0x50 }, 4);
	REQUIRE(ioctl(vm->vcpu, KVM_SET_LAPIC, &lapic) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_X86_SET_MCE, &ucna) == 0);
	REQUIRE(ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) == 0);
	return lapic.regs[IRR_OF_0x50 + 2] & 1;
}

TEST(an_error_without_action_sends_a_cmci)
{
	struct kvm_lapic_state lapic;
	uint64_t cap;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	REQUIRE(ioctl(vm.sys, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap) == 0);
	if (!(cap & MCG_CMCI)) {
		cap = MCG_CMCI | 4;
		EXPECT_ERR(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap), EINVAL);
		vm_destroy(&vm);
		test_skip("CMCI is not offered, as on AMD");
	}
	cap = MCG_CMCI | 4;
	REQUIRE(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic) == 0);
	EXPECT_EQ(lapic.regs[0x32], 6);			/* seven LVT entries */
	EXPECT_EQ(lapic.regs[LVT_CMCI + 2], 1);		/* masked */
	EXPECT(!sends_cmci(&vm, 0));
	EXPECT(sends_cmci(&vm, 1 << 30));
	cap = 4;
	REQUIRE(ioctl(vm.vcpu, KVM_X86_SETUP_MCE, &cap) == 0);
	EXPECT_EQ(vcpu_set_msr(&vm, MC2_CTL2, 1 << 30), 0);
	/* Userspace may restore LMCE's MSRs in any order. */
	EXPECT_EQ(vcpu_set_msr(&vm, 0x4d0, 1), 1);
	EXPECT_EQ(vcpu_set_msr(&vm, 0x4d0, 2), 0);
	EXPECT_EQ(vcpu_set_msr(&vm, 0x3a, 1 << 20 | 1), 1);
	vm_destroy(&vm);
}
