// SPDX-License-Identifier: GPL-2.0-only
/* What clients of KVM rely on without saying so, as far as no other file of the tests has it. */
#include <pthread.h>
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

GUEST(halt, 16)
	"	hlt\n"
GUEST_END(halt);

/* ---- I/O ---- */

GUEST(out7e, 64)
	"	out %al, $0x7e\n"
	"	out %al, $0x7f\n"
	"	hlt\n"
GUEST_END(out7e);

static uint64_t rip_of(struct vm *vm)
{
	struct kvm_regs regs;

	REQUIRE(ioctl(vm->vcpu, KVM_GET_REGS, &regs) == 0);
	return regs.rip;
}

/*
 * The one port whose OUT has moved RIP already when userspace looks, unless the quirk is off. In
 * 64-bit code, which is never emulated: an emulated OUT has moved RIP in any case.
 */
TEST(out_to_port_7e_has_moved_rip)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DISABLE_QUIRKS2, .args[0] = KVM_X86_QUIRK_OUT_7E_INC_RIP,
	};
	struct vm vm;
	unsigned int off;

	for (off = 0; off < 2; off++) {
		vm_create(&vm, 0);
		if (off)
			REQUIRE(ioctl(vm.fd, KVM_ENABLE_CAP, &cap) == 0);
		LOAD64(&vm, out7e);
		run_out(&vm, 0x7e);
		EXPECT_EQ(rip_of(&vm), off ? VM_CODE : VM_CODE + 2);
		run_out(&vm, 0x7f);
		EXPECT_EQ(rip_of(&vm), VM_CODE + 2);
		run_until(&vm, KVM_EXIT_HLT);
		vm_destroy(&vm);
	}
}

GUEST(ins, 16)
	"	mov $0x9000, %di\n"
	"	mov $100, %cx\n"
	"	mov $0x60, %dx\n"
	"	cld\n"
	"	rep insb\n"
	"	hlt\n"
GUEST_END(ins);

/* Userspace may set RCX while a string instruction waits: no more is stored than was asked. */
TEST(rcx_may_change_during_a_string)
{
	struct kvm_regs regs;
	struct vm vm;
	unsigned int asked = 0, i;

	vm_create(&vm, 0);
	LOAD16(&vm, ins);
	for (;;) {
		EXPECT_EQ(vcpu_run(&vm), 0);
		if (vm.run->exit_reason != KVM_EXIT_IO)
			break;
		asked += vm.run->io.count;
		memset((uint8_t *)vm.run + vm.run->io.data_offset, 0x5a, vm.run->io.count);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
		regs.rcx = 1;
		REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
		REQUIRE(asked < 200);
	}
	EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	for (i = asked; i < 200; i++)
		EXPECT_EQ(vm.mem[0x9000 + i], 0);
	vm_destroy(&vm);
}

GUEST(strings, 16)
	"1:	mov $0x9000, %di\n"
	"	mov $0x9000, %si\n"
	"	mov $16, %cx\n"
	"	mov $0x60, %dx\n"
	"	cld\n"
	"	rep insb\n"
	"	mov $16, %cx\n"
	"	rep outsb\n"
	"	jmp 1b\n"
GUEST_END(strings);

struct scribbler {
	struct kvm_run *run;
	volatile int stop;
};

/* All of the shared pages but the registers, and what only ends KVM_RUN early. */
static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint8_t *bytes = (uint8_t *)s->run;
	uint32_t x = 1, at;

	while (!s->stop) {
		x = x * 1664525 + 1013904223;
		at = (x >> 8) % (3 * 4096);
		if (at >= 4096 || (at >= offsetof(struct kvm_run, hw) &&
				   at < offsetof(struct kvm_run, kvm_valid_regs)))
			bytes[at] = x;
	}
	return NULL;
}

/* CVE-2021-3501: what is in pages that userspace can write is never believed. */
TEST(a_thread_scribbles_on_the_run_pages)
{
	struct scribbler s = { .stop = 0 };
	struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2 };
	pthread_t thread;
	struct vm vm;
	unsigned int i;

	vm_create(&vm, 0);
	LOAD16(&vm, strings);
	s.run = vm.run;
	REQUIRE(pthread_create(&thread, NULL, scribble, &s) == 0);
	for (i = 0; i < 3000; i++) {
		vcpu_run(&vm);
		if (i % 64 == 0)
			usleep(100);
	}
	s.stop = 1;
	pthread_join(thread, NULL);
	LOAD16(&vm, halt);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	run_until(&vm, KVM_EXIT_HLT);
	vm_destroy(&vm);
}

TEST(the_coalesced_ring_is_one_for_all_vcpus)
{
	struct kvm_coalesced_mmio_ring *first, *second;
	struct kvm_run *run;
	struct vm vm;
	int page;

	vm_create(&vm, 0);
	vcpu_add(&vm, 1, &run);
	page = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	first = (void *)((uint8_t *)vm.run + page * 4096);
	second = (void *)((uint8_t *)run + page * 4096);
	first->last = 77;
	EXPECT_EQ(second->last, 77);
	vm_destroy(&vm);
}

TEST(seven_doorbells_on_port_0)
{
	struct kvm_ioeventfd io = {
		.len = 2, .flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	struct vm vm;
	int fds[7], i;

	vm_create(&vm, VM_BARE);
	for (i = 0; i < 7; i++) {
		io.datamatch = i;
		io.fd = fds[i] = eventfd(0, 0);
		EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	}
	io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	for (i = 0; i < 7; i++) {
		io.datamatch = i;
		io.fd = fds[i];
		EXPECT_EQ(ioctl(vm.fd, KVM_IOEVENTFD, &io), 0);
	}
	vm_destroy(&vm);
}

/* ---- memory ---- */

GUEST(peek, 64)
	"	mov 0x70000, %al\n"
	"	hlt\n"
GUEST_END(peek);

/*
 * A page that was only read counts as dirty: it has been made writable at once. In 64-bit mode,
 * because the read must be the hardware's, which does not run real mode everywhere. Shadow page
 * tables wait for a write, as the guest's own tables do not say yet that the page was written.
 */
TEST(a_page_that_was_read_is_reported_dirty)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = &bitmap };
	struct vm vm;

	vm_create(&vm, 0);
	vm_slot_delete(&vm, 0);
	vm_slot(&vm, 0, 0, 0x70000, vm.mem, 0);
	memset(vm.mem + 0x70000, 1, 4096);
	vm_slot(&vm, 1, 0x70000, 0x1000, vm.mem + 0x70000, KVM_MEM_LOG_DIRTY_PAGES);
	LOAD64(&vm, peek);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log), 0);
	EXPECT_EQ(bitmap, vm_on_shadow(&vm) ? 0 : 1);
	vm_destroy(&vm);
}

/* ---- registers ---- */

TEST(without_cpuid_every_supported_bit_of_cr4_can_be_set)
{
	/* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT OSXSAVE */
	const uint64_t bits = 0x407ff;
	struct kvm_cpuid2 none = { .nent = 0 };
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cr4 = bits;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	EXPECT_EQ(sregs.cr4, bits);
	sregs.cr4 = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, &none), 0);
	sregs.cr4 = 0x40000;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), EINVAL);
	vm_destroy(&vm);
}

/* QEMU ends itself if one of these fails. */
TEST(what_must_not_fail)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = 0 };
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_irq_level line = { .irq = 4, .level = 0 };
	struct kvm_irq_routing routing = { .nr = 0 };
	struct kvm_lapic_state lapic;
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	struct vm vm;

	vm_create(&vm, VM_BARE);
	REQUIRE(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(ioctl(vm.fd, KVM_CREATE_PIT2, &config) == 0);
	vm.vcpu = vcpu_add(&vm, 0, &vm.run);
	vcpu_cpuid(&vm, vm.vcpu);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_VAPIC_ADDR, &vapic), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_PIT2, &pit), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_PIT2, &pit), 0);
	for (chip.chip_id = 0; chip.chip_id < 3; chip.chip_id++) {
		EXPECT_EQ(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), 0);
		EXPECT_EQ(ioctl(vm.fd, KVM_SET_IRQCHIP, &chip), 0);
	}
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_CLOCK, &clock), 0);
	clock.flags = 0;
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_CLOCK, &clock), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_IRQ_LINE_STATUS, &line), 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_SET_GSI_ROUTING, &routing), 0);
	clock.flags = 1u << 30;
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_CLOCK, &clock), EINVAL);
	vm_destroy(&vm);
}

/* ---- save and restore, in the orders of several VMMs ---- */

static struct {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_lapic_state lapic;
	struct kvm_fpu fpu;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[4];
	} msrs;
} saved;

enum part { REGS, SREGS, XSAVE, XCRS, DEBUGREGS, EVENTS, MP, LAPIC, FPU, MSRS, PARTS };

static const struct {
	unsigned long get, set;
	void *data;
	int result;
} parts[PARTS] = {
	[REGS] = { KVM_GET_REGS, KVM_SET_REGS, &saved.regs, 0 },
	[SREGS] = { KVM_GET_SREGS, KVM_SET_SREGS, &saved.sregs, 0 },
	[XSAVE] = { KVM_GET_XSAVE, KVM_SET_XSAVE, &saved.xsave, 0 },
	[XCRS] = { KVM_GET_XCRS, KVM_SET_XCRS, &saved.xcrs, 0 },
	[DEBUGREGS] = { KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, &saved.debugregs, 0 },
	[EVENTS] = { KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, &saved.events, 0 },
	[MP] = { KVM_GET_MP_STATE, KVM_SET_MP_STATE, &saved.mp, 0 },
	[LAPIC] = { KVM_GET_LAPIC, KVM_SET_LAPIC, &saved.lapic, 0 },
	[FPU] = { KVM_GET_FPU, KVM_SET_FPU, &saved.fpu, 0 },
	[MSRS] = { KVM_GET_MSRS, KVM_SET_MSRS, &saved.msrs, 4 },
};

GUEST(travel, 64)
	"	mov %cr4, %rax\n"
	"	or $0x40600, %rax\n"
	"	mov %rax, %cr4\n"
	"	xor %ecx, %ecx\n"
	"	xgetbv\n"
	"	or $7, %eax\n"
	"	xsetbv\n"
	"	mov $0x174, %ecx\n"
	"	mov $0x77, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	mov $0x1122334455667788, %rax\n"
	"	movq %rax, %xmm7\n"
	"	vinsertf128 $1, %xmm7, %ymm7, %ymm7\n"
	"	mov %rax, %dr1\n"
	"	out %al, $0x10\n"
	"	movq %xmm7, %rbx\n"
	"	vextractf128 $1, %ymm7, %xmm6\n"
	"	movq %xmm6, %rsi\n"
	"	mov %dr1, %rdi\n"
	"	mov $0x174, %ecx\n"
	"	rdmsr\n"
	"	out %al, $0x11\n"
GUEST_END(travel);

static void travel(const uint8_t *order, unsigned int count)
{
	static const uint32_t msrs[] = { 0x174, 0x10, 0xc0000082, 0x6e0 };
	const uint64_t pattern = 0x1122334455667788;
	struct vm from, to;
	unsigned int i;

	vm_create(&from, VM_IRQCHIP);
	LOAD64(&from, travel);
	run_out(&from, 0x10);
	from.run->immediate_exit = 1;
	EXPECT_ERR(vcpu_run(&from), EINTR);
	saved.msrs.head.nmsrs = COUNT(msrs);
	for (i = 0; i < COUNT(msrs); i++)
		saved.msrs.entry[i].index = msrs[i];
	for (i = 0; i < PARTS; i++)
		EXPECT_EQ(ioctl(from.vcpu, parts[i].get, parts[i].data), parts[i].result);
	vm_create(&to, VM_IRQCHIP);
	memcpy(to.mem, from.mem, VM_MEMORY);
	vm_destroy(&from);
	for (i = 0; i < count; i++)
		EXPECT_EQ(ioctl(to.vcpu, parts[order[i]].set, parts[order[i]].data),
			  parts[order[i]].result);
	EXPECT_EQ(run_out(&to, 0x11), 0x77);
	REQUIRE(ioctl(to.vcpu, KVM_GET_REGS, &saved.regs) == 0);
	EXPECT_EQ(saved.regs.rbx, pattern);
	EXPECT_EQ(saved.regs.rsi, pattern);
	EXPECT_EQ(saved.regs.rdi, pattern);
	vm_destroy(&to);
}

TEST(state_is_restored_in_each_order)
{
	static const uint8_t qemu[] = {
		SREGS, LAPIC, REGS, XSAVE, XCRS, MSRS, EVENTS, MP, DEBUGREGS,
	};
	static const uint8_t firecracker[] = {
		MP, REGS, SREGS, XSAVE, XCRS, DEBUGREGS, LAPIC, MSRS, EVENTS,
	};
	static const uint8_t cloud_hypervisor[] = {
		MP, REGS, SREGS, XSAVE, XCRS, LAPIC, FPU, MSRS, EVENTS, DEBUGREGS,
	};
	static const uint8_t selftests[] = {
		SREGS, MSRS, XCRS, XSAVE, EVENTS, MP, DEBUGREGS, REGS,
	};

	travel(qemu, sizeof(qemu));
	travel(firecracker, sizeof(firecracker));
	travel(cloud_hypervisor, sizeof(cloud_hypervisor));
	travel(selftests, sizeof(selftests));
}

/* The buffer has the layout that CPUID of the host tells, whatever XCR0 is at the time. */
TEST(xsave_has_the_standard_format)
{
	static uint8_t area[4096] __attribute__((aligned(64)));
	uint32_t eax = 0xd, ebx = 0, ecx = 2, edx = 0;
	struct vm vm;

	vm_create(&vm, 0);
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!eax)
		test_skip("the host has no AVX state");
	REQUIRE(ioctl(vm.vcpu, KVM_GET_XSAVE, area) == 0);
	area[512] |= 6;					/* XSTATE_BV: SSE, AVX */
	memset(area + 160, 0x5a, 16);			/* XMM0 */
	memset(area + ebx, 0xa5, 16);			/* upper half of YMM0 */
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XSAVE, area), 0);
	memset(area, 0, sizeof(area));
	REQUIRE(ioctl(vm.vcpu, KVM_GET_XSAVE, area) == 0);
	EXPECT_EQ(area[512] & 6, 6);
	EXPECT_EQ(area[160], 0x5a);
	EXPECT_EQ(area[ebx], 0xa5);
	EXPECT_EQ(area[520], 0);			/* XCOMP_BV: not compacted */
	area[520 + 7] = 0x80;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_XSAVE, area), EINVAL);
	area[520 + 7] = 0;
	area[512 + 7] = 0x40;				/* a component that does not exist */
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_XSAVE, area), EINVAL);
	vm_destroy(&vm);
}

TEST(mxcsr_in_xsave_data)
{
	static uint8_t area[4096] __attribute__((aligned(64)));
	uint32_t *mxcsr = (uint32_t *)(area + 24);
	struct vm vm;

	vm_create(&vm, 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_XSAVE, area) == 0);
	area[512] |= 2;					/* XSTATE_BV: SSE */
	*mxcsr = 0x1f80;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XSAVE, area), 0);
	*mxcsr = 0x3f80;				/* with no XMM register set */
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XSAVE, area), 0);
	memset(area, 0, sizeof(area));
	REQUIRE(ioctl(vm.vcpu, KVM_GET_XSAVE, area) == 0);
	EXPECT_EQ(*mxcsr, 0x3f80);
	EXPECT_EQ(area[512] & 2, 2);
	*mxcsr = 1u << 31;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_XSAVE, area), EINVAL);
	/* Without FP, SSE and AVX in the header MXCSR is not checked, and becomes 1F80h. */
	memset(area + 512, 0, 8);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XSAVE, area), 0);
	*mxcsr = 0;
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_XSAVE, area), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_XSAVE, area) == 0);
	EXPECT_EQ(*mxcsr, 0x1f80);
	vm_destroy(&vm);
}

/* ---- time ---- */

static uint64_t msr_get(struct vm *vm, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} msr = { .head.nmsrs = 1, .entry[0].index = index };

	EXPECT_EQ(ioctl(vm->vcpu, KVM_GET_MSRS, &msr), 1);
	return msr.entry[0].data;
}

static int msr_set(struct vm *vm, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} msr = { .head.nmsrs = 1, .entry[0] = { .index = index, .data = value } };

	return ioctl(vm->vcpu, KVM_SET_MSRS, &msr);
}

GUEST(wrtsc, 16)
	"	mov $0x10, %ecx\n"
	"	mov $0x100, %edx\n"
	"	xor %eax, %eax\n"
	"	wrmsr\n"
	"	hlt\n"
GUEST_END(wrtsc);

TEST(a_write_of_the_tsc_by_userspace_and_by_the_guest)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, wrtsc);
	EXPECT_EQ(msr_get(&vm, 0x3b), 0);
	EXPECT(msr_get(&vm, 0x10) < 1ull << 36);	/* it starts near 0 */
	EXPECT_EQ(msr_set(&vm, 0x10, 1ull << 44), 1);
	EXPECT(msr_get(&vm, 0x10) >= 1ull << 44);
	EXPECT_EQ(msr_get(&vm, 0x3b), 0);
	run_until(&vm, KVM_EXIT_HLT);
	EXPECT(msr_get(&vm, 0x3b) != 0);
	EXPECT(msr_get(&vm, 0x10) >> 40 == 1);
	vm_destroy(&vm);
}

TEST(reserved_bits_of_steal_time_are_refused)
{
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	if (ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_STEAL_TIME) <= 0)
		test_skip("the host keeps no scheduler statistics");
	EXPECT_EQ(msr_set(&vm, 0x4b564d03, 0x9000 | 1), 1);
	EXPECT_EQ(msr_set(&vm, 0x4b564d03, 0x9000 | 2 | 1), 0);
	EXPECT_EQ(msr_set(&vm, 0x4b564d03, 0), 1);
	vm_destroy(&vm);
}

/* ---- registers in kvm_run ---- */

GUEST(count, 16)
	"1:	inc %ax\n"
	"	out %ax, $0x10\n"
	"	jmp 1b\n"
GUEST_END(count);

/* Dirty registers are loaded before the run, valid ones stored after it, and bits are not kept. */
TEST(registers_pass_through_kvm_run)
{
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS), KVM_SYNC_X86_VALID_FIELDS);
	LOAD16(&vm, count);
	vm.run->kvm_valid_regs = KVM_SYNC_X86_VALID_FIELDS;
	EXPECT_EQ(run_out(&vm, 0x10), 1);
	EXPECT_EQ(vm.run->s.regs.regs.rax, 1);
	EXPECT_EQ(vm.run->s.regs.sregs.cs.base, 0);
	vm.run->s.regs.regs.rax = 100;
	EXPECT_EQ(run_out(&vm, 0x10), 2);		/* not marked dirty */
	vm.run->s.regs.regs.rax = 100;
	vm.run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	EXPECT_EQ(run_out(&vm, 0x10), 101);
	EXPECT_EQ(vm.run->kvm_dirty_regs, 0);
	vm.run->kvm_valid_regs = 0;
	vm.run->s.regs.regs.rax = 7;
	EXPECT_EQ(run_out(&vm, 0x10), 102);
	EXPECT_EQ(vm.run->s.regs.regs.rax, 7);
	vm_destroy(&vm);
}
