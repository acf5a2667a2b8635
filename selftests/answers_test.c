// SPDX-License-Identifier: GPL-2.0-only
/* Answers of KVM in corners: found by putting the same questions to upstream's KVM. */
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- a vCPU without CPUID ---- */

/* Its physical addresses have the 36 bits of a CPU that does not tell their width. */
TEST(without_cpuid_addresses_have_36_bits)
{
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.apic_base ^= 1ull << 35;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	sregs.apic_base ^= 1ull << 36;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	vm_destroy(&vm);
}

static uint64_t tsc_adjust(struct vm *vm, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { { .nmsrs = 1 }, { .index = 0x3b, .data = value } };

	EXPECT_EQ(ioctl(vm->vcpu, KVM_SET_MSRS, &msr), 1);
	msr.entry.data = 1;
	EXPECT_EQ(ioctl(vm->vcpu, KVM_GET_MSRS, &msr), 1);
	return msr.entry.data;
}

/* Userspace may write TSC_ADJUST always; it is kept if the guest has it. */
TEST(tsc_adjust_is_kept_for_guests_that_have_it)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	EXPECT_EQ(tsc_adjust(&vm, 0x1000), 0);
	vcpu_cpuid(&vm, vm.vcpu);
	EXPECT_EQ(tsc_adjust(&vm, 0x1000), 0x1000);
	vm_destroy(&vm);
}

TEST(emulated_cpuid_wants_room_for_one_more)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[4];
	} list = { { .nent = 3 } };
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_EMULATED_CPUID, &list), E2BIG);
	list.head.nent = 4;
	EXPECT_EQ(ioctl(vm.sys, KVM_GET_EMULATED_CPUID, &list), 0);
	EXPECT_EQ(list.head.nent, 3);
	vm_destroy(&vm);
}

/* ---- segments ---- */

/* What an unusable segment has besides comes back, but that it is present. */
TEST(an_unusable_segment_keeps_its_attributes)
{
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.es = (struct kvm_segment) {
		.base = 0x1000, .limit = 0xfffff, .selector = 8, .type = 3, .present = 1, .dpl = 2,
		.db = 1, .s = 1, .g = 1, .avl = 1, .unusable = 1,
	};
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	memset(&sregs, 0xa5, sizeof(sregs));
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.es.unusable, 1);
	EXPECT_EQ(sregs.es.present, 0);
	EXPECT_EQ(sregs.es.type, 3);
	EXPECT_EQ(sregs.es.dpl, 2);
	EXPECT_EQ(sregs.es.s, 1);
	EXPECT_EQ(sregs.es.db, 1);
	EXPECT_EQ(sregs.es.g, 1);
	EXPECT_EQ(sregs.es.avl, 1);
	EXPECT_EQ(sregs.es.l, 0);
	vm_destroy(&vm);
}

/* ---- the VM ---- */

GUEST(program_pit, 16)
	"	mov $0x34, %al\n"
	"	out %al, $0x43\n"
	"	mov $0x40, %al\n"
	"	out %al, $0x40\n"
	"	out %al, $0x40\n"
	"	in $0x40, %al\n"
	"	mov $0xff, %cx\n"
	"1:	loop 1b\n"
	"	hlt\n"
GUEST_END(program_pit);

static void split(struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };

	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &cap) == 0);
}

/* A PIT may be there without a PIC: its ticks go nowhere. */
TEST(a_pit_without_a_pic)
{
	struct kvm_pit_config config = { 0 };
	struct kvm_pit_state2 state;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	split(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_PIT2, &config), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_PIT2, &config), EEXIST);
	vm_destroy(&vm);

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_PIT2, &config), 0);
	LOAD16(&vm, program_pit);
	/* No exit but the last: the ports are the kernel's. */
	run_until(&vm, KVM_EXIT_HLT);
	usleep(20000);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_PIT2, &state), 0);
	EXPECT_EQ(state.channels[0].mode, 2);
	EXPECT_EQ(state.channels[0].count, 0x4040);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_PIT2, &state), 0);
	vm_destroy(&vm);
}

TEST(an_irqfd_without_irqchip_is_einval)
{
	int event = eventfd(0, 0);
	struct kvm_irqfd irqfd = { .fd = event, .gsi = 1 };
	struct vm vm;

	REQUIRE(event >= 0);
	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0);
	close(event);
	vm_destroy(&vm);
}

/* A number nobody has is refused as such, not as an ioctl that is not there. */
TEST(an_unknown_device_is_enodev)
{
	struct kvm_create_device device = { .type = 0x7fffffff };
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_DEVICE, &device), ENODEV);
	device.flags = KVM_CREATE_DEVICE_TEST;
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_DEVICE, &device), ENODEV);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_DEVICE, 8), EFAULT);
	vm_destroy(&vm);
}

/* The pages for page tables are counted by the memory there is, until userspace says how many. */
TEST(mmu_pages_follow_the_memory)
{
	const size_t size = 32u << 20;
	void *mem = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct vm vm;

	REQUIRE(mem != MAP_FAILED);
	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_NR_MMU_PAGES, 0), 0);
	vm_slot(&vm, 0, 0, 4096, mem, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_NR_MMU_PAGES, 0), 64);
	vm_slot_delete(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_NR_MMU_PAGES, 0), 64);
	vm_slot(&vm, 0, 0, size, mem, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_NR_MMU_PAGES, 0), (size >> 12) / 50);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 1000), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_NR_MMU_PAGES, 0), 1000);
	vm_destroy(&vm);
	munmap(mem, size);
}

TEST(capabilities_that_need_nothing)
{
	static const long caps[] = {
		KVM_CAP_PCI_SEGMENT, KVM_CAP_IOAPIC_POLARITY_IGNORED, KVM_CAP_LAST_CPU,
	};
	struct vm vm;
	unsigned int i;

	vm_create(&vm, VM_BARE);
	for (i = 0; i < COUNT(caps); i++) {
		EXPECT_EQ(ioctl(vm.sys, KVM_CHECK_EXTENSION, caps[i]), 1);
		EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, caps[i]), 1);
	}
	vm_destroy(&vm);
}
