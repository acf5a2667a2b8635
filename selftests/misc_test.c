// SPDX-License-Identifier: GPL-2.0-only
/* Ioctls that belong to no subject of another file: time, quotas, statistics, debugging. */
#include <linux/kvm_para.h>

#include "selftests/lib/okvm_test.h"

GUEST(loop, 16)
	"1:	inc %ax\n"
	"	out %ax, $0x10\n"
	"	jmp 1b\n"
GUEST_END(loop);

/* ---- time ---- */

TEST(tsc_frequency_of_a_vcpu)
{
	struct vm vm;
	int khz;

	vm_create(&vm, 0);
	khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	EXPECT(khz > 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, 0), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0), khz);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, khz), 0);
	if (ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0) {
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, ~0u), EINVAL);
		EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, khz / 2), 0);
		EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0), khz / 2);
	} else {
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, khz / 2), EINVAL);
	}
	vm_destroy(&vm);
}

TEST(tsc_frequency_of_a_vm)
{
	struct kvm_run *run;
	struct vm vm;
	int khz;

	vm_create(&vm, VM_BARE);
	khz = ioctl(vm.fd, KVM_GET_TSC_KHZ, 0);
	EXPECT(khz > 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_TSC_KHZ, 0), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_TSC_KHZ, khz), 0);
	vcpu_add(&vm, 0, &run);
	/* Upstream's of 6.1 takes it then, without effect; later ones refuse it. */
	if (!getenv("OKVM_DEVICE"))
		EXPECT_ERR(ioctl(vm.fd, KVM_SET_TSC_KHZ, khz), EINVAL);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_TSC_KHZ, 0), khz);
	vm_destroy(&vm);
}

TEST(the_clock_goes_on_from_what_was_set)
{
	struct kvm_clock_data clock = { .clock = 1000000000000 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_CLOCK, &clock), 0);
	memset(&clock, 0, sizeof(clock));
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_CLOCK, &clock), 0);
	EXPECT(clock.clock >= 1000000000000 && clock.clock < 1060000000000);
	/* A vCPU that has no kvmclock cannot be told that it was stopped. */
	EXPECT_ERR(ioctl(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), EINVAL);
	vm_destroy(&vm);
}

/* ---- quotas, roles, addresses ---- */

TEST(mmu_pages)
{
	struct vm vm;

	vm_create(&vm, VM_BARE);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 63), EINVAL);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 0), EINVAL);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_NR_MMU_PAGES, 64), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_NR_MMU_PAGES, 0), 64);
	vm_destroy(&vm);
}

TEST(the_boot_cpu_is_the_one_named)
{
	struct kvm_mp_state state;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	struct vm vm;
	int first, second;

	vm_create(&vm, VM_BARE);
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 5), 0);
	first = vcpu_add(&vm, 0, &run);
	second = vcpu_add(&vm, 5, &run);
	EXPECT_EQ(ioctl(first, KVM_GET_MP_STATE, &state), 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_UNINITIALIZED);
	EXPECT_EQ(ioctl(second, KVM_GET_MP_STATE, &state), 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_RUNNABLE);
	EXPECT_EQ(ioctl(first, KVM_GET_SREGS, &sregs), 0);
	EXPECT_EQ(sregs.apic_base & 0x100, 0);
	EXPECT_EQ(ioctl(second, KVM_GET_SREGS, &sregs), 0);
	EXPECT_EQ(sregs.apic_base & 0x100, 0x100);
	vm_destroy(&vm);
}

TEST(a_linear_address_is_translated)
{
	struct kvm_translation tr = { .linear_address = 0x212345 };
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, loop);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_TRANSLATE, &tr), 0);
	EXPECT_EQ(tr.valid, 1);
	EXPECT_EQ(tr.physical_address, 0x212345);
	tr.linear_address = 0x40000000;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_TRANSLATE, &tr), 0);
	EXPECT_EQ(tr.valid, 0);
	vm_destroy(&vm);
}

TEST(vapic_address)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = 0 };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_VAPIC_ADDR, &vapic), EINVAL);
	vm_destroy(&vm);
	/* tpr_test has the rest. */
	vm_create(&vm, VM_IRQCHIP);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VAPIC_ADDR, &vapic), 0);
	vm_destroy(&vm);
}

TEST(xsave2_has_the_size_that_was_told)
{
	struct vm vm;
	uint8_t *area;
	int size;

	vm_create(&vm, 0);
	size = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	EXPECT(size >= 4096);
	area = malloc(size + 64);
	memset(area, 0x5a, size + 64);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_XSAVE2, area), 0);
	EXPECT_EQ(area[size], 0x5a);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XSAVE, area), 0);
	vm_destroy(&vm);
}

/* ---- the dirty log, cleared by hand ---- */

TEST(clearing_the_dirty_log)
{
	uint64_t bitmap[2] = { ~0ull, ~0ull };
	struct kvm_clear_dirty_log log = { .slot = 0, .num_pages = 64, .dirty_bitmap = bitmap };
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,
	};
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), ENOENT);
	vm_slot(&vm, 0, 0, VM_MEMORY, vm.mem, KVM_MEM_LOG_DIRTY_PAGES);
	EXPECT_EQ(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), 0);
	log.first_page = 1;
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), EINVAL);
	log.first_page = 0;
	log.num_pages = 63;		/* neither a multiple of 64 nor the end of the slot */
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), EINVAL);
	log.first_page = VM_MEMORY / 4096;
	log.num_pages = 64;
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), EINVAL);
	log.first_page = 1ull << 63;
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), EINVAL);
	log.first_page = 0;
	log.slot = 40000;
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), EINVAL);
	log.slot = 9;
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), ENOENT);
	log.slot = 0;
	log.dirty_bitmap = (void *)8;
	EXPECT_ERR(ioctl(vm.fd, KVM_CLEAR_DIRTY_LOG, &log), EFAULT);
	vm_destroy(&vm);
}

/* The way by which a 32-bit program comes into the kernel; @arg lies below 4 GiB. */
static int ioctl_32bit(int fd, uint32_t cmd, void *arg)
{
	int ret;

	asm volatile("int $0x80"
		     : "=a" (ret)
		     : "a" (54), "b" (fd), "c" (cmd), "d" ((uint32_t)(uintptr_t)arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

TEST(the_dirty_log_of_a_32_bit_client)
{
	struct kvm_dirty_log *log = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint64_t *bitmap = (uint64_t *)(log + 1);
	struct vm vm;

	REQUIRE(log != MAP_FAILED);
	vm_create(&vm, 0);
	vm_slot(&vm, 0, 0, VM_MEMORY, vm.mem, KVM_MEM_LOG_DIRTY_PAGES);
	*bitmap = ~0ull;
	/* Half of the place is the pointer, and the other is what lay there. */
	log->padding2 = 0xdead4eadull << 32 | (uint32_t)(uintptr_t)bitmap;
	EXPECT_EQ(ioctl_32bit(vm.fd, KVM_GET_DIRTY_LOG, log), 0);
	EXPECT_EQ(*bitmap, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_GET_DIRTY_LOG, log), EFAULT);
	munmap(log, 4096);
	vm_destroy(&vm);
}

/* ---- statistics ---- */

static void stats_of(int owner)
{
	struct kvm_stats_header header;
	int fd = ioctl(owner, KVM_GET_STATS_FD, NULL);
	char id[256];

	REQUIRE(fd >= 0);
	REQUIRE(pread(fd, &header, sizeof(header), 0) == sizeof(header));
	EXPECT(header.num_desc > 0 && header.num_desc < 1000);
	EXPECT(header.name_size > 0 && header.name_size <= 256);
	EXPECT(header.id_offset >= sizeof(header));
	EXPECT(header.data_offset > header.desc_offset);
	EXPECT(pread(fd, id, header.name_size, header.id_offset) > 0);
	EXPECT(!strncmp(id, "kvm-", 4));
	EXPECT_EQ(pread(fd, id, 8, header.data_offset + (1 << 20)), 0);
	close(fd);
}

TEST(statistics_describe_themselves)
{
	struct vm vm;

	vm_create(&vm, 0);
	stats_of(vm.fd);
	stats_of(vm.vcpu);
	vm_destroy(&vm);
}

/* The file holds its VM: it can be read when all others are closed. */
TEST(statistics_outlive_the_other_files)
{
	struct kvm_stats_header header;
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	fd = ioctl(vm.vcpu, KVM_GET_STATS_FD, NULL);
	REQUIRE(fd >= 0);
	vm_destroy(&vm);
	EXPECT_EQ(pread(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
}

/* ---- debugging ---- */

TEST(debug_registers)
{
	struct kvm_debugregs regs;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &regs) == 0);
	EXPECT_EQ(regs.dr6, 0xffff0ff0);
	EXPECT_EQ(regs.dr7, 0x400);
	regs.db[0] = 0x1234;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &regs), 0);
	regs.flags = 1;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &regs), EINVAL);
	regs.flags = 0;
	regs.dr6 |= 1ull << 32;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &regs), EINVAL);
	regs.dr6 = 0xffff0ff0;
	regs.dr7 |= 1ull << 32;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &regs), EINVAL);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &regs) == 0);
	EXPECT_EQ(regs.db[0], 0x1234);
	vm_destroy(&vm);
}

TEST(one_step_at_a_time)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, loop);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0);
	run_until(&vm, KVM_EXIT_DEBUG);
	EXPECT_EQ(vm.run->debug.arch.exception, 1);
	EXPECT_EQ(vm.run->debug.arch.pc, VM_CODE + 1);
	EXPECT_EQ(vm.run->debug.arch.dr6 & 0x4000, 0x4000);
	debug.control = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0);
	EXPECT_EQ(run_out(&vm, 0x10), 1);
	vm_destroy(&vm);
}

TEST(a_debugger_injects_when_nothing_waits)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB };
	struct kvm_vcpu_events events;
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	LOAD16(&vm, loop);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.pending = 1;
	events.exception.nr = 6;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), EBUSY);
	events.exception.pending = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events) == 0);
	EXPECT_EQ(events.exception.nr, 1);
	EXPECT_EQ(events.exception.pending, 1);
	vm_destroy(&vm);
}

/* ---- events that userspace restores ---- */

TEST(events_that_are_not_legal_are_einval)
{
	struct kvm_vcpu_events good, bad;
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &good) == 0);
#define REFUSED(change)								\
	do {									\
		bad = good;							\
		change;								\
		EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &bad), EINVAL);	\
	} while (0)
	REFUSED(bad.flags |= 1u << 31);
	REFUSED(bad.exception.injected = 1; bad.exception.nr = 32);
	REFUSED(bad.exception.injected = 1; bad.exception.nr = 2);
	/* Without their capabilities. */
	REFUSED(bad.flags |= KVM_VCPUEVENT_VALID_PAYLOAD);
	REFUSED(bad.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
#undef REFUSED
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &good), 0);
	vm_destroy(&vm);
}

/* ---- hypercalls ---- */

GUEST(hypercall, 64)
	"	mov $12, %eax\n"		/* KVM_HC_MAP_GPA_RANGE */
	"	mov $0x9000, %ebx\n"
	"	mov $2, %ecx\n"
	"	mov $0x10, %edx\n"
	"	vmcall\n"
	"	out %al, $0x10\n"
GUEST_END(hypercall);

TEST(a_hypercall_for_userspace)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_HYPERCALL, .args[0] = 1 << KVM_HC_MAP_GPA_RANGE,
	};
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_EXIT_HYPERCALL),
		  1 << KVM_HC_MAP_GPA_RANGE);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	LOAD64(&vm, hypercall);
	run_until(&vm, KVM_EXIT_HYPERCALL);
	EXPECT_EQ(vm.run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	EXPECT_EQ(vm.run->hypercall.args[0], 0x9000);
	EXPECT_EQ(vm.run->hypercall.args[1], 2);
	EXPECT_EQ(vm.run->hypercall.args[2], 0x10);
	vm.run->hypercall.ret = 7;
	EXPECT_EQ(run_out(&vm, 0x10), 7);
	vm_destroy(&vm);
}

GUEST(kick_and_ipi, 64)
	"	mov $5, %eax\n"			/* KVM_HC_KICK_CPU */
	"	vmcall\n"
	"	out %eax, $0x10\n"
	"	mov $10, %eax\n"		/* KVM_HC_SEND_IPI */
	"	xor %esi, %esi\n"
	"	vmcall\n"
	"	out %eax, $0x11\n"
GUEST_END(kick_and_ipi);

/* Userspace has the LAPICs: a kick succeeds and wakes nobody, an IPI is not supported. */
TEST(hypercalls_without_a_lapic)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, kick_and_ipi);
	EXPECT_EQ(run_out(&vm, 0x10), 0);
	EXPECT_EQ((int32_t)run_out(&vm, 0x11), -KVM_EOPNOTSUPP);
	vm_destroy(&vm);
}

TEST(an_unknown_hypercall_is_enosys)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD64(&vm, hypercall);
	EXPECT_EQ(run_out(&vm, 0x10), (uint8_t)-KVM_ENOSYS);
	vm_destroy(&vm);
}
