// SPDX-License-Identifier: GPL-2.0-only
/* OKVM_GET_ERROR: each reason for which an ioctl gives EINVAL has a text of its own. */
#include <linux/kvm.h>
#include <sys/eventfd.h>

#include "selftests/lib/okvm_test.h"

/* What a struct of the ABI contains at its end, in full. */
struct routes {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[2];
};

struct xsave {
	uint32_t word[4096];
};

#define XSTATE_BV	(512 / 4)	/* SDM "XSAVE Header" */
#define XCOMP_BV	(520 / 4)
#define HEADER_REST	(528 / 4)
#define MXCSR		(24 / 4)

/* The register copies in kvm_run, and KVM_SET_SREGS. */
static struct kvm_sregs sregs;

static void get_sregs(struct vm *vm)
{
	REQUIRE(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) == 0);
}

static void x2apic_without_cpuid(struct vm *vm)
{
	const struct kvm_cpuid2 none = { .nent = 0 };

	REQUIRE(ioctl(vm->vcpu, KVM_SET_CPUID2, &none) == 0);
	get_sregs(vm);
	sregs.apic_base |= 1 << 10;
}

static void x2apic_while_off(struct vm *vm)
{
	vcpu_cpuid(vm, vm->vcpu);
	get_sregs(vm);
	sregs.apic_base = (sregs.apic_base | 1 << 10) & ~(1ull << 11);
}

static void apic_base_reserved(struct vm *vm)
{
	get_sregs(vm);
	sregs.apic_base |= 1;
}

static void lma_without_lme(struct vm *vm)
{
	get_sregs(vm);
	sregs.efer |= 1 << 10;
}

static void run_valid(struct vm *vm)
{
	vm->run->kvm_valid_regs = 1 << 30;
}

static void run_dirty(struct vm *vm)
{
	vm->run->kvm_dirty_regs = 1 << 30;
}

static void run_sregs(struct vm *vm)
{
	lma_without_lme(vm);
	vm->run->s.regs.sregs = sregs;
	vm->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
}

static void run_apic_base(struct vm *vm)
{
	apic_base_reserved(vm);
	vm->run->s.regs.sregs = sregs;
	vm->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
}

static void run_events(struct vm *vm)
{
	memset(&vm->run->s.regs.events, 0, sizeof(vm->run->s.regs.events));
	vm->run->s.regs.events.exception.injected = 1;
	vm->run->s.regs.events.exception.nr = 2;
	vm->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
}

static void run_cr8(struct vm *vm)
{
	vm->run->cr8 = 16;
}

static void enable(struct vm *vm, uint32_t which, uint64_t value)
{
	struct kvm_enable_cap cap = { .cap = which, .args[0] = value };

	REQUIRE(ioctl(vm->fd, KVM_ENABLE_CAP, &cap) == 0);
}

static void x2apic_format(struct vm *vm)
{
	enable(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS);
}

static void split(struct vm *vm)
{
	enable(vm, KVM_CAP_SPLIT_IRQCHIP, 24);
}

static void logged_slot(struct vm *vm)
{
	vm_slot(vm, 1, VM_MEMORY, 0x10000, host_pages(16), KVM_MEM_LOG_DIRTY_PAGES);
}

/*
 * A call that is refused, and why.
 * @flags: of vm_create(); @prepare: what is done before, or NULL; @arg: NULL is 0
 */
struct refusal {
	unsigned int line;
	bool on_vcpu;
	unsigned int flags;
	unsigned long cmd;
	const char *text;
	void (*prepare)(struct vm *vm);
	const void *arg;
};

#define ROW(vcpu, flags, cmd, text, prepare, arg) \
	{ __LINE__, vcpu, flags, cmd, text, prepare, arg }
#define ON_VM(flags, cmd, type, text, ...) \
	ROW(false, flags, cmd, text, NULL, (&(const type){ __VA_ARGS__ }))
#define ON_VM_AFTER(prepare, flags, cmd, type, text, ...) \
	ROW(false, flags, cmd, text, prepare, (&(const type){ __VA_ARGS__ }))
#define ON_VCPU(cmd, type, text, ...) \
	ROW(true, 0, cmd, text, NULL, (&(const type){ __VA_ARGS__ }))
#define ON_RUN(prepare, text)		ROW(true, 0, KVM_RUN, text, prepare, NULL)
#define ON_SREGS(prepare, text)		ROW(true, 0, KVM_SET_SREGS, text, prepare, &sregs)

#define REGION		struct kvm_userspace_memory_region
#define CLEAR		struct kvm_clear_dirty_log
#define CAP		struct kvm_enable_cap
#define FILTER		struct kvm_msr_filter
#define EVENTS		struct kvm_vcpu_events
#define ROUTE(...)	{ .nr = 1 }, { { __VA_ARGS__ } }
#define CHIP(chip, number)	.type = KVM_IRQ_ROUTING_IRQCHIP, \
				.u.irqchip = { .irqchip = chip, .pin = number }
#define HOST		0x10000000	/* an address of userspace */

static const struct refusal memory[] = {
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "region: unknown flags", .flags = 4),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "memory_size is not a multiple",
	      .memory_size = 1),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "guest_phys_addr is not a multiple",
	      .guest_phys_addr = 1),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "userspace_addr is not a multiple",
	      .userspace_addr = 1),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "not an address of userspace",
	      .memory_size = 0x1000, .userspace_addr = -0x1000ull),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "the slot is not below", .slot = 1u << 16),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "guest_phys_addr plus size wraps", .slot = 1,
	      .memory_size = 0x2000, .guest_phys_addr = -0x1000ull, .userspace_addr = HOST),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "region: beyond guest-physical", .slot = 1,
	      .memory_size = 0x1000, .guest_phys_addr = 1ull << 56, .userspace_addr = HOST),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "the size of a slot",
	      .memory_size = 0x1000, .userspace_addr = HOST),
	ON_VM(0, KVM_SET_USER_MEMORY_REGION, REGION, "region: no such slot", .slot = 1),
	ON_VM(0, OKVM_SET_MEMORY_REGIONS, struct okvm_memory_regions, "nr is 0", .nr = 0),
	ON_VM(0, OKVM_SET_MEMORY_REGIONS, struct okvm_memory_regions, "pad is not 0", .nr = 1,
	      .pad = 1),
	ON_VM(0, KVM_GET_DIRTY_LOG, struct kvm_dirty_log, "slot not below", .slot = 1u << 16),
	ON_VM(0, KVM_CLEAR_DIRTY_LOG, CLEAR, "slot not below", .slot = 1u << 16),
	ON_VM(0, KVM_CLEAR_DIRTY_LOG, CLEAR, "first_page is not a multiple", .first_page = 1),
	ON_VM_AFTER(logged_slot, 0, KVM_CLEAR_DIRTY_LOG, CLEAR, "first_page is beyond",
		    .slot = 1, .first_page = 64),
	ON_VM_AFTER(logged_slot, 0, KVM_CLEAR_DIRTY_LOG, CLEAR, "the pages end beyond",
		    .slot = 1, .num_pages = 17),
	ON_VM_AFTER(logged_slot, 0, KVM_CLEAR_DIRTY_LOG, CLEAR, "num_pages is not a multiple",
		    .slot = 1, .num_pages = 3),
};

static const struct refusal machine[] = {
	ON_VM(0, KVM_ENABLE_CAP, CAP, "flags are not 0", .flags = 1,
	      .cap = KVM_CAP_EXCEPTION_PAYLOAD),
	ON_VM(0, KVM_ENABLE_CAP, CAP, "not a capability that a VM", .cap = 1),
	ON_VM(0, KVM_ENABLE_CAP, CAP, "flags are not 0", .cap = OKVM_CAP_EXIT_TIMES, .flags = 1),
	ON_VM(0, KVM_ENABLE_CAP, CAP, "neither 0 nor 1", .cap = OKVM_CAP_EXIT_TIMES, .args = {2}),
	ON_VM(0, KVM_ENABLE_CAP, CAP, "TIMES: after", .cap = OKVM_CAP_EXIT_TIMES, .args = {1}),
	ON_VM(0, KVM_ENABLE_CAP, CAP, "args[0] is not 0", .args = {1},
	      .cap = KVM_CAP_VM_DISABLE_NX_HUGE_PAGES),
	ON_VM(0, KVM_ENABLE_CAP, CAP, "NX_HUGE_PAGES: there are vCPUs",
	      .cap = KVM_CAP_VM_DISABLE_NX_HUGE_PAGES),
	ON_VM(VM_IRQCHIP, KVM_ENABLE_CAP, CAP, "CYCLES_NS: args[0] is 0",
	      .cap = KVM_CAP_X86_APIC_BUS_CYCLES_NS),
	ON_VM(VM_IRQCHIP, KVM_ENABLE_CAP, CAP, "CYCLES_NS: too long",
	      .cap = KVM_CAP_X86_APIC_BUS_CYCLES_NS, .args = { -1ull }),
	ON_VM(VM_IRQCHIP, KVM_ENABLE_CAP, CAP, "CYCLES_NS: there are vCPUs",
	      .cap = KVM_CAP_X86_APIC_BUS_CYCLES_NS, .args = { 1 }),
	ON_VM(VM_IRQCHIP, KVM_ENABLE_CAP, CAP, "X2APIC_API: unknown", .cap = KVM_CAP_X2APIC_API,
	      .args = { 1 << 30 }),
	ON_VM(0, KVM_X86_SET_MSR_FILTER, FILTER, "filter: unknown flags", .flags = 2),
	ON_VM(0, KVM_X86_SET_MSR_FILTER, FILTER, "without a range", .flags = 1),
	ON_VM(0, KVM_X86_SET_MSR_FILTER, FILTER, "neither reads nor writes",
	      .ranges = { { .nmsrs = 1 } }),
	ON_VM(0, KVM_X86_SET_MSR_FILTER, FILTER, "unknown flags of a range",
	      .ranges = { { .nmsrs = 1, .flags = 4 } }),
	ON_VM(0, KVM_X86_SET_MSR_FILTER, FILTER, "more MSRs than",
	      .ranges = { { .nmsrs = 1 << 20, .flags = 1 } }),
	ON_VM(0, OKVM_VM_PAUSE, struct okvm_pause, "unknown flags", .flags = 2),
	ON_VM(0, OKVM_VM_PAUSE, struct okvm_pause, "pad is not 0", .pad = 1),
	ON_VM(0, KVM_REGISTER_COALESCED_MMIO, struct kvm_coalesced_mmio_zone, "neither 0 nor 1",
	      .pio = 2),
	ON_VM(0, KVM_REGISTER_COALESCED_MMIO, struct kvm_coalesced_mmio_zone, "size wraps",
	      .addr = -1ull, .size = 16),
};

static const struct refusal interrupts[] = {
	ROW(false, 0, KVM_CREATE_IRQCHIP, "IRQCHIP: there are vCPUs", NULL, NULL),
	ON_VM(VM_IRQCHIP, KVM_GET_IRQCHIP, struct kvm_irqchip, "no such chip_id", .chip_id = 3),
	ON_VM(VM_IRQCHIP, KVM_SET_IRQCHIP, struct kvm_irqchip, "no such chip_id", .chip_id = 3),
	ON_VM(0, KVM_SET_CLOCK, struct kvm_clock_data, "CLOCK: unknown flags", .flags = 1 << 30),
	ON_VM(0, KVM_SIGNAL_MSI, struct kvm_msi, "MSI: no controllers", .data = 1),
	ON_VM(VM_IRQCHIP, KVM_SIGNAL_MSI, struct kvm_msi, "MSI: unknown flags", .flags = 2),
	ON_VM_AFTER(x2apic_format, VM_IRQCHIP, KVM_SIGNAL_MSI, struct kvm_msi, "below 8",
		    .address_hi = 1),
	ON_VM(0, KVM_SET_GSI_ROUTING, struct routes, "no controllers", { .nr = 0 }),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "flags are not 0", { .flags = 1 }),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "more than", { .nr = 1 << 20 }),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "not below 4096",
	      ROUTE(.gsi = 4096, CHIP(0, 0))),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "no such kind", ROUTE(.type = 77)),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "no such chip", ROUTE(CHIP(3, 0))),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "no such pin", ROUTE(CHIP(0, 8))),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "flags of a route to a chip",
	      ROUTE(.flags = 1, CHIP(0, 0))),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "unknown flags of an MSI",
	      ROUTE(.flags = 2, .type = KVM_IRQ_ROUTING_MSI)),
	ON_VM(VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "two routes", { .nr = 2 },
	      { { CHIP(0, 0) }, { CHIP(0, 1) } }),
	ON_VM_AFTER(x2apic_format, VM_IRQCHIP, KVM_SET_GSI_ROUTING, struct routes, "below 8",
		    ROUTE(.type = KVM_IRQ_ROUTING_MSI, .u.msi.address_hi = 1)),
	ON_VM_AFTER(split, VM_BARE, KVM_SET_GSI_ROUTING, struct routes, "without chips",
		    ROUTE(CHIP(0, 0))),
	ON_VM(0, KVM_IOEVENTFD, struct kvm_ioeventfd, "len is not", .len = 3),
	ON_VM(0, KVM_IOEVENTFD, struct kvm_ioeventfd, "wraps", .len = 8, .addr = -4ull),
	ON_VM(0, KVM_IOEVENTFD, struct kvm_ioeventfd, "unknown flags", .flags = 1 << 30),
	ON_VM(0, KVM_IOEVENTFD, struct kvm_ioeventfd, "without len",
	      .flags = KVM_IOEVENTFD_FLAG_DATAMATCH),
	ON_VM(0, KVM_IRQFD, struct kvm_irqfd, "unknown flags", .flags = 1 << 30),
	ON_VM(0, KVM_IRQFD, struct kvm_irqfd, "IRQFD: no interrupt controllers", .gsi = 0),
	ON_VM_AFTER(split, VM_BARE, KVM_IRQFD, struct kvm_irqfd, "RESAMPLE needs",
		    .flags = KVM_IRQFD_FLAG_RESAMPLE),
};

static const struct refusal vcpu[] = {
	ROW(true, 0, OKVM_VCPU_KICK, "argument of this ioctl", NULL, &sregs),
	ROW(true, 0, KVM_RUN, "KVM_RUN: the argument", NULL, &sregs),
	ON_RUN(run_valid, "kvm_valid_regs"),
	ON_RUN(run_dirty, "kvm_dirty_regs"),
	ON_RUN(run_sregs, "efer.LMA without"),
	ON_RUN(run_apic_base, "reserved bits of apic_base"),
	ON_RUN(run_events, "exception.nr"),
	ON_RUN(run_cr8, "cr8 is above 15"),
	ON_SREGS(lma_without_lme, "efer.LMA without"),
	ON_SREGS(apic_base_reserved, "reserved bits of apic_base"),
	ON_SREGS(x2apic_without_cpuid, "guest's CPUID does not have"),
	ON_SREGS(x2apic_while_off, "in a disabled APIC"),
	ON_VCPU(KVM_SET_SREGS2, struct kvm_sregs2, "SREGS2: unknown flags", .flags = 2),
	ON_VCPU(KVM_SET_SREGS2, struct kvm_sregs2, "without PAE", .flags = 1),
	ON_VCPU(KVM_SET_SIGNAL_MASK, struct kvm_signal_mask, "len is not 8", .len = 4),
	ON_VCPU(KVM_SET_DEBUGREGS, struct kvm_debugregs, "flags are not 0", .flags = 1),
	ON_VCPU(KVM_SET_DEBUGREGS, struct kvm_debugregs, "dr6 has", .dr6 = 1ull << 32),
	ON_VCPU(KVM_SET_DEBUGREGS, struct kvm_debugregs, "dr7 has", .dr7 = 1ull << 32),
	ON_VCPU(KVM_SET_VCPU_EVENTS, EVENTS, "unknown flags", .flags = 1 << 30),
	ON_VCPU(KVM_SET_VCPU_EVENTS, EVENTS, "VALID_PAYLOAD without",
		.flags = KVM_VCPUEVENT_VALID_PAYLOAD),
	ON_VCPU(KVM_SET_VCPU_EVENTS, EVENTS, "exception.nr",
		.exception = { .injected = 1, .nr = 32 }),
	ON_VCPU(KVM_SET_VCPU_EVENTS, EVENTS, "no SMM", .flags = KVM_VCPUEVENT_VALID_SMM,
		.smi = { .smm = 1 }),
	ON_VCPU(KVM_SET_VCPU_EVENTS, EVENTS, "TRIPLE_FAULT without", .flags = 1 << 5),
	ON_VCPU(KVM_INTERRUPT, struct kvm_interrupt, "above 255", .irq = 256),
	ON_VCPU(KVM_X86_SETUP_MCE, uint64_t, "no banks", 0),
	ON_VCPU(KVM_X86_SETUP_MCE, uint64_t, "SETUP_MCE: unknown bits", 1ull << 63 | 1),
	ON_VCPU(KVM_X86_SET_MCE, struct kvm_x86_mce, "no such bank", .bank = 200),
	ON_VCPU(KVM_X86_SET_MCE, struct kvm_x86_mce, "without bit 63", .bank = 0),
	ON_VCPU(KVM_ENABLE_CAP, CAP, "flags are not 0", .flags = 1,
		.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID),
	ON_VCPU(KVM_ENABLE_CAP, CAP, "not one that a vCPU", .cap = 1),
	ROW(true, 0, KVM_KVMCLOCK_CTRL, "the guest has no kvmclock", NULL, NULL),
	ON_VCPU(KVM_SET_MP_STATE, struct kvm_mp_state, "no LAPIC", .mp_state = 1),
	ON_VCPU(KVM_SET_LAPIC, struct kvm_lapic_state, "none is in the kernel", .regs = { 0 }),
};

static const struct refusal fpu[] = {
	ON_VCPU(KVM_SET_XSAVE, struct xsave, "xstate_bv", .word[XSTATE_BV + 1] = 1 << 30),
	ON_VCPU(KVM_SET_XSAVE, struct xsave, "xcomp_bv", .word[XCOMP_BV + 1] = 1u << 31),
	ON_VCPU(KVM_SET_XSAVE, struct xsave, "reserved bytes", .word[HEADER_REST] = 1),
	ON_VCPU(KVM_SET_XSAVE, struct xsave, "mxcsr", .word[XSTATE_BV] = 3,
		.word[MXCSR] = 1u << 31),
	ON_VCPU(KVM_SET_XCRS, struct kvm_xcrs, "flags are not 0", .flags = 1),
	ON_VCPU(KVM_SET_XCRS, struct kvm_xcrs, "nr_xcrs", .nr_xcrs = 17),
	ON_VCPU(KVM_SET_XCRS, struct kvm_xcrs, "no such XCR0", .nr_xcrs = 1),
};

static void expect_text(int fd, unsigned int line, const char *text)
{
	struct okvm_error error = { .count = 0 };

	REQUIRE(ioctl(fd, OKVM_GET_ERROR, &error) == 0);
	if (error.kind != OKVM_ERROR_ARGUMENT || error.error != EINVAL || error.count != 1 ||
	    !strstr(error.text, text))
		test_fail(__FILE__, line, "kind %u, errno %u, count %u, \"%s\", expected \"%s\"",
			  error.kind, error.error, error.count, error.text, text);
}

static void expect_refusal(const struct refusal *row)
{
	struct vm vm;
	int fd, ret;

	vm_create(&vm, row->flags);
	if (row->prepare)
		row->prepare(&vm);
	fd = row->on_vcpu ? vm.vcpu : vm.fd;
	ret = ioctl(fd, row->cmd, row->arg);
	if (ret != -1 || errno != EINVAL)
		test_fail(__FILE__, row->line, "%d, errno %d, expected EINVAL", ret, errno);
	else
		expect_text(fd, row->line, row->text);
	vm_destroy(&vm);
}

#define EXPECT_REFUSALS(rows)							\
	do {									\
		unsigned int i_;						\
										\
		for (i_ = 0; i_ < sizeof(rows) / sizeof((rows)[0]); i_++)	\
			expect_refusal(&(rows)[i_]);				\
	} while (0)

TEST(what_is_wrong_with_memory_slots_is_said)
{
	EXPECT_REFUSALS(memory);
}

TEST(what_is_wrong_with_a_vm_is_said)
{
	EXPECT_REFUSALS(machine);
}

TEST(what_is_wrong_with_interrupts_is_said)
{
	EXPECT_REFUSALS(interrupts);
}

TEST(what_is_wrong_with_a_vcpu_is_said)
{
	EXPECT_REFUSALS(vcpu);
}

TEST(what_is_wrong_with_the_fpu_is_said)
{
	EXPECT_REFUSALS(fpu);
}

static void expect_no_eventfd(unsigned long cmd, const void *arg, const char *text)
{
	const struct refusal row = {
		.line = __LINE__, .flags = VM_IRQCHIP, .cmd = cmd, .text = text, .arg = arg,
	};

	expect_refusal(&row);
}

TEST(what_is_no_eventfd_is_said)
{
	const int other = open_device(), event = eventfd(0, 0);
	struct kvm_ioeventfd io = { .fd = other };
	struct kvm_irqfd irq = { .fd = other };

	expect_no_eventfd(KVM_IOEVENTFD, &io, "IOEVENTFD: fd is not an eventfd");
	io.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	expect_no_eventfd(KVM_IOEVENTFD, &io, "IOEVENTFD: fd is not an eventfd");
	expect_no_eventfd(KVM_IRQFD, &irq, "IRQFD: fd is not an eventfd");
	irq.flags = KVM_IRQFD_FLAG_DEASSIGN;
	expect_no_eventfd(KVM_IRQFD, &irq, "IRQFD: fd is not an eventfd");
	irq = (struct kvm_irqfd) {
		.fd = event, .flags = KVM_IRQFD_FLAG_RESAMPLE, .resamplefd = other,
	};
	expect_no_eventfd(KVM_IRQFD, &irq, "resamplefd is not an eventfd");
	close(event);
	close(other);
}
