// SPDX-License-Identifier: GPL-2.0-only
/* What the dispatcher does with every ioctl: unknown numbers, pointers that lead nowhere. */
#include <sys/wait.h>

#include "selftests/lib/okvm_test.h"

struct row {
	unsigned long cmd;
	const char *name;
};

#define ROW(cmd)	{ cmd, #cmd }
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* Those that read or write memory of the caller. */
static const struct row sys_rows[] = {
	ROW(KVM_GET_SUPPORTED_CPUID), ROW(KVM_GET_EMULATED_CPUID), ROW(KVM_GET_MSR_INDEX_LIST),
	ROW(KVM_GET_MSR_FEATURE_INDEX_LIST), ROW(KVM_GET_MSRS), ROW(KVM_X86_GET_MCE_CAP_SUPPORTED),
	ROW(KVM_GET_DEVICE_ATTR), ROW(KVM_HAS_DEVICE_ATTR),
};

static const struct row vm_rows[] = {
	ROW(KVM_SET_USER_MEMORY_REGION), ROW(KVM_SET_USER_MEMORY_REGION2),
	ROW(KVM_GET_DIRTY_LOG), ROW(KVM_CLEAR_DIRTY_LOG), ROW(KVM_ENABLE_CAP),
	ROW(KVM_GET_CLOCK), ROW(KVM_SET_CLOCK),
	ROW(KVM_X86_SET_MSR_FILTER), ROW(KVM_GET_IRQCHIP), ROW(KVM_SET_IRQCHIP), ROW(KVM_IRQ_LINE),
	ROW(KVM_IRQ_LINE_STATUS), ROW(KVM_SET_GSI_ROUTING), ROW(KVM_SIGNAL_MSI), ROW(KVM_IRQFD),
	ROW(KVM_IOEVENTFD), ROW(KVM_REGISTER_COALESCED_MMIO), ROW(KVM_UNREGISTER_COALESCED_MMIO),
	ROW(KVM_CREATE_PIT2), ROW(KVM_GET_PIT), ROW(KVM_SET_PIT), ROW(KVM_GET_PIT2),
	ROW(KVM_SET_PIT2), ROW(KVM_REINJECT_CONTROL),
};

static const struct row vcpu_rows[] = {
	ROW(KVM_GET_REGS), ROW(KVM_SET_REGS), ROW(KVM_GET_SREGS), ROW(KVM_SET_SREGS),
	ROW(KVM_GET_SREGS2), ROW(KVM_SET_SREGS2), ROW(KVM_TRANSLATE), ROW(KVM_GET_FPU),
	ROW(KVM_SET_FPU), ROW(KVM_GET_XSAVE), ROW(KVM_GET_XSAVE2), ROW(KVM_SET_XSAVE),
	ROW(KVM_GET_XCRS), ROW(KVM_SET_XCRS), ROW(KVM_GET_VCPU_EVENTS), ROW(KVM_SET_VCPU_EVENTS),
	ROW(KVM_GET_MP_STATE), ROW(KVM_SET_MP_STATE), ROW(KVM_INTERRUPT), ROW(KVM_GET_DEBUGREGS),
	ROW(KVM_SET_DEBUGREGS), ROW(KVM_SET_GUEST_DEBUG), ROW(KVM_SET_CPUID), ROW(KVM_SET_CPUID2),
	ROW(KVM_GET_CPUID2), ROW(KVM_GET_MSRS), ROW(KVM_SET_MSRS), ROW(KVM_X86_SETUP_MCE),
	ROW(KVM_X86_SET_MCE), ROW(KVM_HAS_DEVICE_ATTR), ROW(KVM_GET_DEVICE_ATTR),
	ROW(KVM_SET_DEVICE_ATTR), ROW(KVM_SET_VAPIC_ADDR), ROW(KVM_GET_LAPIC), ROW(KVM_SET_LAPIC),
	ROW(KVM_TPR_ACCESS_REPORTING), ROW(KVM_SET_SIGNAL_MASK), ROW(KVM_ENABLE_CAP),
};

/* A VM with all devices, for which no ioctl above has an earlier reason to fail. */
static void full_vm(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = 0 };

	vm_create(vm, VM_BARE);
	REQUIRE(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(ioctl(vm->fd, KVM_CREATE_PIT2, &pit) == 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
}

static void expect_efault(int fd, const struct row *rows, unsigned int count, void *ptr)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		int ret, err;

		errno = 0;
		ret = ioctl(fd, rows[i].cmd, ptr);
		err = errno;
		if (ret != -1 || err != EFAULT)
			test_fail(__FILE__, __LINE__, "%s of %p gives %d, %s", rows[i].name, ptr,
				  ret, strerror(err));
	}
}

static void efault_everywhere(void *ptr)
{
	struct vm vm;

	full_vm(&vm);
	expect_efault(vm.sys, sys_rows, COUNT(sys_rows), ptr);
	expect_efault(vm.fd, vm_rows, COUNT(vm_rows), ptr);
	expect_efault(vm.vcpu, vcpu_rows, COUNT(vcpu_rows), ptr);
	vm_destroy(&vm);
}

TEST(memory_that_is_not_there_is_efault)
{
	efault_everywhere((void *)8);
}

TEST(memory_of_the_kernel_is_efault)
{
	efault_everywhere((void *)0xffff888000001000ul);
}

TEST(an_address_that_is_not_there_is_efault)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, 8), EFAULT);
	vm_destroy(&vm);
}

/* The number says how large the argument is: with another size it is another ioctl. */
TEST(numbers_that_do_not_exist)
{
	static const unsigned long none[] = {
		_IO(KVMIO, 0xff), _IO(KVMIO, 0x0f), _IOW(KVMIO, 0x82, char[17]), _IO(0, 0), ~0ul,
		_IOW(KVMIO, 0x46, char[16]), _IOWR(KVMIO, 0x81, struct kvm_regs), 0,
	};
	static uint8_t space[4096];
	struct vm vm;
	unsigned int i;

	full_vm(&vm);
	for (i = 0; i < COUNT(none); i++) {
		EXPECT_ERR(ioctl(vm.sys, none[i], space), EINVAL);
		EXPECT_ERR(ioctl(vm.fd, none[i], space), ENOTTY);
		EXPECT_ERR(ioctl(vm.vcpu, none[i], space), EINVAL);
	}
	vm_destroy(&vm);
}

/* An ioctl of one kind of file is not there for another. */
TEST(each_fd_has_its_own_ioctls)
{
	struct vm vm;

	full_vm(&vm);
	EXPECT_ERR(ioctl(vm.sys, KVM_CREATE_VCPU, 1), EINVAL);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_REGS, 8), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VM, 0), ENOTTY);
	EXPECT_ERR(ioctl(vm.fd, KVM_RUN, 0), ENOTTY);
	EXPECT_ERR(ioctl(vm.fd, KVM_GET_REGS, 8), ENOTTY);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_CREATE_VCPU, 1), EINVAL);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_IRQ_LINE, 8), EINVAL);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_API_VERSION, 0), EINVAL);
	vm_destroy(&vm);
}

TEST(another_process_may_not_use_a_vm)
{
	struct kvm_regs regs;
	struct vm vm;
	int status;
	pid_t pid;

	full_vm(&vm);
	pid = fork();
	if (!pid) {
		EXPECT_ERR(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), EIO);
		EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_VCPU, 1), EIO);
		EXPECT_ERR(ioctl(vm.fd, _IO(KVMIO, 0xff), 0), EIO);
		EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_REGS, &regs), EIO);
		EXPECT_ERR(ioctl(vm.vcpu, _IO(KVMIO, 0xff), 0), EIO);
		EXPECT_EQ(ioctl(vm.sys, KVM_GET_API_VERSION, 0), 12);
		test_end();
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_REGS, &regs), 0);
	vm_destroy(&vm);
}

TEST(arguments_that_must_be_0)
{
	struct vm vm;

	full_vm(&vm);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_API_VERSION, 1), EINVAL);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_VCPU_MMAP_SIZE, 1), EINVAL);
	EXPECT_ERR(ioctl(vm.sys, KVM_CREATE_VM, 1), EINVAL);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_RUN, 1), EINVAL);
	vm_destroy(&vm);
}

TEST(unknown_attributes_are_enxio)
{
	struct kvm_device_attr attr = { .group = 99 };
	struct vm vm;

	full_vm(&vm);
	EXPECT_ERR(ioctl(vm.sys, KVM_HAS_DEVICE_ATTR, &attr), ENXIO);
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_DEVICE_ATTR, &attr), ENXIO);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_HAS_DEVICE_ATTR, &attr), ENXIO);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_DEVICE_ATTR, &attr), ENXIO);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_DEVICE_ATTR, &attr), ENXIO);
	attr.flags = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_DEVICE_ATTR, &attr), ENXIO);
	vm_destroy(&vm);
}

TEST(attributes_there_are)
{
	uint64_t xcr0 = 0, offset = 0, other = 12345;
	struct kvm_device_attr sys = { .attr = KVM_X86_XCOMP_GUEST_SUPP, .addr = (uintptr_t)&xcr0 };
	struct kvm_device_attr tsc = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&other,
	};
	struct vm vm;

	full_vm(&vm);
	EXPECT_EQ(ioctl(vm.sys, KVM_HAS_DEVICE_ATTR, &sys), 0);
	EXPECT_EQ(ioctl(vm.sys, KVM_GET_DEVICE_ATTR, &sys), 0);
	EXPECT_EQ(xcr0 & 3, 3);
	sys.addr = 8;
	EXPECT_ERR(ioctl(vm.sys, KVM_GET_DEVICE_ATTR, &sys), EFAULT);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_HAS_DEVICE_ATTR, &tsc), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_DEVICE_ATTR, &tsc), 0);
	tsc.addr = (uintptr_t)&offset;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_DEVICE_ATTR, &tsc), 0);
	EXPECT_EQ(offset, other);
	tsc.addr = 8;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_DEVICE_ATTR, &tsc), EFAULT);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_DEVICE_ATTR, &tsc), EFAULT);
	vm_destroy(&vm);
}

static int vm_cap(struct vm *vm, uint32_t cap, uint32_t flags, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .flags = flags, .args[0] = arg };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable);
}

TEST(capabilities_with_unknown_bits_are_einval)
{
	static const uint32_t masked[] = {
		KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_DISABLE_EXITS, KVM_CAP_EXIT_HYPERCALL,
		KVM_CAP_X2APIC_API, KVM_CAP_DISABLE_QUIRKS2, KVM_CAP_EXIT_ON_EMULATION_FAILURE,
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	};
	struct vm vm;
	unsigned int i;

	vm_create(&vm, VM_BARE);
	for (i = 0; i < COUNT(masked); i++) {
		if (vm_cap(&vm, masked[i], 0, 1ull << 62) != -1 || errno != EINVAL)
			test_fail(__FILE__, __LINE__, "capability %u takes bit 62", masked[i]);
		if (vm_cap(&vm, masked[i], 1, 0) != -1 || errno != EINVAL)
			test_fail(__FILE__, __LINE__, "capability %u takes flags", masked[i]);
	}
	EXPECT_ERR(vm_cap(&vm, 0x7fffffff, 0, 0), EINVAL);
	EXPECT_ERR(vm_cap(&vm, KVM_CAP_MAX_VCPU_ID, 0, 1u << 20), EINVAL);
	vm_destroy(&vm);
}

TEST(vcpu_capabilities)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1 };
	struct vm vm;

	full_vm(&vm);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_ENABLE_CAP, &cap), 0);
	cap.flags = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_ENABLE_CAP, &cap), EINVAL);
	cap.flags = 0;
	cap.cap = KVM_CAP_SPLIT_IRQCHIP;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_ENABLE_CAP, &cap), EINVAL);
	vm_destroy(&vm);
}
