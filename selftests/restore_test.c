// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restore ioctls fed with garbage. Whatever they accept, KVM_RUN then ends, the state can be read
 * back, and what is read back is accepted again.
 */
#include <signal.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define ROUNDS	60

GUEST(loop, 16)
	"	sti\n"
	"1:	out %al, $0x10\n"
	"	in $0x40, %al\n"
	"	in $0x20, %al\n"
	"	jmp 1b\n"
GUEST_END(loop);

/* Store SP and a register in memory, push the flags, and say where this is. */
GUEST(shows, 16)
	"	mov %sp, 0x7000\n"
	"	mov %di, 0x7002\n"
	"	pushf\n"
	"	call 1f\n"
	"1:	hlt\n"
	"	jmp 1b\n"
GUEST_END(shows);

static uint32_t random_next(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 33;
}

/* Bytes at random, all ones, all zeros, or the good state with some bytes changed. */
static void garble(void *data, size_t size)
{
	uint8_t *bytes = data;
	unsigned int kind = random_next() % 4, n;
	size_t i;

	if (kind == 3) {
		for (n = random_next() % 8; n; n--)
			bytes[random_next() % size] = random_next();
		return;
	}
	for (i = 0; i < size; i++)
		bytes[i] = kind == 0 ? 0xff : kind == 1 ? 0 : random_next();
}

static void on_signal(int nr)
{
	(void)nr;
}

/* Run for a few exits, or some milliseconds: it must come back. */
static void run_bounded(struct vm *vm)
{
	struct sigaction action = { .sa_handler = on_signal };
	/* Again and again: the first signal may come before KVM_RUN does. */
	struct itimerspec when = {
		.it_value.tv_nsec = 2000000, .it_interval.tv_nsec = 2000000,
	};
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;
	int i;

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	for (i = 0; i < 3; i++) {
		int ret;

		REQUIRE(timer_settime(timer, 0, &when, NULL) == 0);
		ret = vcpu_run(vm);
		EXPECT(ret == 0 || errno == EINTR || errno == EAGAIN);
		if (ret || vm->run->exit_reason != KVM_EXIT_IO)
			break;
	}
	timer_delete(timer);
}

static void chips_vm(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	vm_create(vm, VM_BARE);
	REQUIRE(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(ioctl(vm->fd, KVM_CREATE_PIT2, &pit) == 0);
	vm->mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(vm->mem != MAP_FAILED);
	vm_slot(vm, 0, 0, VM_MEMORY, vm->mem, 0);
	vm->vcpu = vcpu_add(vm, 0, &vm->run);
	vcpu_cpuid(vm, vm->vcpu);
	LOAD16(vm, loop);
}

/* One pair of ioctls: get, garble, set, run, get, set. @prepare fills in what selects the state. */
struct pair {
	unsigned long get, set;
	size_t size;
	bool on_vm;
	uint32_t first;		/* stored over the first word: the chip's number */
	bool has_first;
};

static int pair_call(struct vm *vm, const struct pair *p, unsigned long cmd, void *data)
{
	if (p->has_first)
		memcpy(data, &p->first, sizeof(p->first));
	return ioctl(p->on_vm ? vm->fd : vm->vcpu, cmd, data);
}

/* Aligned as the largest of the structures wants it. */
static uint8_t state[8192] __attribute__((aligned(64)));

static void garbage(const struct pair *p)
{
	unsigned int round, taken = 0;
	struct vm vm;

	chips_vm(&vm);
	for (round = 0; round < ROUNDS; round++) {
		struct kvm_regs regs = { .rip = VM_CODE, .rflags = 2, .rsp = VM_CODE };

		memset(state, 0, sizeof(state));
		REQUIRE(pair_call(&vm, p, p->get, state) == 0);
		garble(state, p->size);
		if (pair_call(&vm, p, p->set, state) == 0)
			taken++;
		else
			EXPECT(errno == EINVAL);
		run_bounded(&vm);
		REQUIRE(pair_call(&vm, p, p->get, state) == 0);
		EXPECT_EQ(pair_call(&vm, p, p->set, state), 0);
		REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
	}
	EXPECT(taken > 0);
	vm_destroy(&vm);
}

#define GARBAGE(name, pget, pset, type, vm_fd, chip)				\
	TEST(name)								\
	{									\
		garbage(&(struct pair) { .get = pget, .set = pset, .size = sizeof(type), \
			.on_vm = vm_fd, .has_first = (chip) >= 0, .first = (chip) }); \
	}

GARBAGE(lapic, KVM_GET_LAPIC, KVM_SET_LAPIC, struct kvm_lapic_state, false, -1)
GARBAGE(pic_master, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, struct kvm_irqchip, true, 0)
GARBAGE(pic_slave, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, struct kvm_irqchip, true, 1)
GARBAGE(ioapic, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, struct kvm_irqchip, true, 2)
GARBAGE(pit, KVM_GET_PIT, KVM_SET_PIT, struct kvm_pit_state, true, -1)
GARBAGE(pit2, KVM_GET_PIT2, KVM_SET_PIT2, struct kvm_pit_state2, true, -1)
GARBAGE(regs, KVM_GET_REGS, KVM_SET_REGS, struct kvm_regs, false, -1)
GARBAGE(fpu, KVM_GET_FPU, KVM_SET_FPU, struct kvm_fpu, false, -1)
GARBAGE(xsave, KVM_GET_XSAVE, KVM_SET_XSAVE, struct kvm_xsave, false, -1)
GARBAGE(xcrs, KVM_GET_XCRS, KVM_SET_XCRS, struct kvm_xcrs, false, -1)
GARBAGE(debugregs, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, struct kvm_debugregs, false, -1)
GARBAGE(mp_state, KVM_GET_MP_STATE, KVM_SET_MP_STATE, struct kvm_mp_state, false, -1)

/*
 * The guest has each register that was set, at its first run and at a later one: RSP, RIP and
 * RFLAGS are in the VMCS or VMCB, the others are not.
 */
TEST(the_guest_has_the_registers_that_were_set)
{
	struct vm vm;

	vm_create(&vm, 0);
	LOAD16(&vm, shows);
	for (unsigned int round = 0; round < 3; round++) {
		uint16_t at = VM_CODE + round * 0x100, sp = 0x6f00 + round * 0x10;
		struct kvm_regs regs = {
			.rip = at, .rsp = sp, .rdi = 0x1234 + round, .rflags = 2 | round << 10,
		};

		memcpy(vm.mem + at, guest_shows, guest_shows_end - guest_shows);
		REQUIRE(ioctl(vm.vcpu, KVM_SET_REGS, &regs) == 0);
		REQUIRE(vcpu_run(&vm) == 0);
		EXPECT_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
		EXPECT_EQ(*(uint16_t *)(vm.mem + 0x7000), sp);
		EXPECT_EQ(*(uint16_t *)(vm.mem + 0x7002), 0x1234 + round);
		EXPECT_EQ(*(uint16_t *)(vm.mem + sp - 2), 2 | round << 10);
		REQUIRE(ioctl(vm.vcpu, KVM_GET_REGS, &regs) == 0);
		EXPECT_EQ(*(uint16_t *)(vm.mem + sp - 4), regs.rip - 1);
		EXPECT_EQ(regs.rsp, sp - 4);
	}
	vm_destroy(&vm);
}

/* A chip that does not exist. */
TEST(unknown_chips_are_einval)
{
	static const uint32_t ids[] = { 3, 4, 0x7fffffff, 0x80000000, ~0u };
	struct kvm_irqchip chip;
	struct vm vm;
	unsigned int i;

	chips_vm(&vm);
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		memset(&chip, 0, sizeof(chip));
		chip.chip_id = ids[i];
		EXPECT_ERR(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), EINVAL);
		EXPECT_ERR(ioctl(vm.fd, KVM_SET_IRQCHIP, &chip), EINVAL);
	}
	vm_destroy(&vm);
}

TEST(without_devices_their_state_is_refused)
{
	struct kvm_irqchip chip = { .chip_id = 0 };
	struct kvm_reinject_control control = { .pit_reinject = 1 };
	struct kvm_pit_state2 pit = { .flags = 0 };
	struct kvm_lapic_state lapic = { .regs = { 0 } };
	struct vm vm;

	vm_create(&vm, 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_IRQCHIP, &chip), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_GET_PIT, &pit), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_PIT, &pit), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_GET_PIT2, &pit), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_SET_PIT2, &pit), ENXIO);
	EXPECT_ERR(ioctl(vm.fd, KVM_REINJECT_CONTROL, &control), ENXIO);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic), EINVAL);
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic), EINVAL);
	vm_destroy(&vm);
}

TEST(a_pit_is_made_once)
{
	struct kvm_pit_config config = { .flags = 0 };
	struct kvm_reinject_control control = { .pit_reinject = 0 };
	struct vm vm;

	vm_create(&vm, VM_BARE);
	REQUIRE(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_CREATE_PIT2, &config), 0);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_PIT2, &config), EEXIST);
	EXPECT_ERR(ioctl(vm.fd, KVM_CREATE_PIT, 0), EEXIST);
	EXPECT_EQ(ioctl(vm.fd, KVM_REINJECT_CONTROL, &control), 0);
	control.pit_reinject = 1;
	EXPECT_EQ(ioctl(vm.fd, KVM_REINJECT_CONTROL, &control), 0);
	vm_destroy(&vm);
}

/* An APIC ID that is not the vCPU's, in the format that says it in full. */
TEST(an_x2apic_id_that_is_not_its_own_is_einval)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API, .args[0] = KVM_X2APIC_API_USE_32BIT_IDS,
	};
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;
	struct vm vm;

	chips_vm(&vm);
	EXPECT_EQ(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.apic_base |= 0xc00;
	REQUIRE(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic) == 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic), 0);
	lapic.regs[0x20] = 5;
	EXPECT_ERR(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic), EINVAL);
	vm_destroy(&vm);
}
