// SPDX-License-Identifier: GPL-2.0-only
/* Application processors: INIT, SIPI, and the states that userspace sees and sets. */
#include <pthread.h>
#include <signal.h>

#include "selftests/lib/okvm_test.h"

GUEST(ap, 16)
	"	mov %cs, %ax\n"
	"	out %ax, $0x10\n"
	"1:	hlt\n"
	"	jmp 1b\n"
GUEST_END(ap);

/* The second vCPU of a VM. Its thread runs it until it leaves with something else than EAGAIN. */
struct ap {
	struct vm *vm;
	int fd, ret, err, again;
	struct kvm_run *run;
	pthread_t thread;
};

static void ap_add(struct vm *vm, struct ap *ap)
{
	struct kvm_lapic_state lapic;

	memset(ap, 0, sizeof(*ap));
	vm_create(vm, VM_IRQCHIP);
	ap->vm = vm;
	ap->fd = vcpu_add(vm, 1, &ap->run);
	vcpu_cpuid(vm, ap->fd);
	memcpy(vm->mem + 0x9000, guest_ap, guest_ap_end - guest_ap);
	/* Upstream finds an APIC by its ID only once a register of some APIC has been written. */
	REQUIRE(ioctl(ap->fd, KVM_GET_LAPIC, &lapic) == 0);
	REQUIRE(ioctl(ap->fd, KVM_SET_LAPIC, &lapic) == 0);
}

static uint32_t ap_state(struct ap *ap)
{
	struct kvm_mp_state state = { .mp_state = 99 };

	EXPECT_EQ(ioctl(ap->fd, KVM_GET_MP_STATE, &state), 0);
	return state.mp_state;
}

static int ap_set_state(struct ap *ap, uint32_t value)
{
	struct kvm_mp_state state = { .mp_state = value };

	return ioctl(ap->fd, KVM_SET_MP_STATE, &state);
}

/* An IPI is a message whose sender does not matter. */
static void ap_ipi(struct ap *ap, uint32_t data)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000 | 1 << 12, .data = data };

	EXPECT_EQ(ioctl(ap->vm->fd, KVM_SIGNAL_MSI, &msi), 1);
}

#define INIT	0x500
#define SIPI(v)	(0x600 | (v))

static void *ap_main(void *arg)
{
	struct ap *ap = arg;

	do {
		ap->ret = ioctl(ap->fd, KVM_RUN, 0);
		ap->err = errno;
		ap->again++;
	} while (ap->ret < 0 && ap->err == EAGAIN);
	return NULL;
}

static void ap_expect_started(struct ap *ap, uint16_t segment)
{
	uint16_t cs = 0;

	EXPECT_EQ(ap->ret, 0);
	EXPECT_EQ(ap->run->exit_reason, KVM_EXIT_IO);
	EXPECT_EQ(ap->run->io.port, 0x10);
	memcpy(&cs, (uint8_t *)ap->run + ap->run->io.data_offset, 2);
	EXPECT_EQ(cs, segment);
}

TEST(init_and_sipi_start_it)
{
	struct ap ap;
	struct vm vm;

	ap_add(&vm, &ap);
	EXPECT_EQ(ap_state(&ap), KVM_MP_STATE_UNINITIALIZED);
	ap_ipi(&ap, INIT);
	EXPECT_EQ(ap_state(&ap), KVM_MP_STATE_INIT_RECEIVED);
	ap_ipi(&ap, SIPI(9));
	EXPECT_EQ(ap_state(&ap), KVM_MP_STATE_RUNNABLE);
	ap_main(&ap);
	ap_expect_started(&ap, 0x900);
	vm_destroy(&vm);
}

/* While it waits KVM_RUN sleeps; when it has been started it gives EAGAIN once, then runs. */
TEST(run_waits_for_sipi_and_gives_eagain)
{
	struct ap ap;
	struct vm vm;

	ap_add(&vm, &ap);
	REQUIRE(pthread_create(&ap.thread, NULL, ap_main, &ap) == 0);
	usleep(20000);
	EXPECT_EQ(ap.again, 0);
	ap_ipi(&ap, INIT);
	usleep(20000);
	ap_ipi(&ap, SIPI(9));
	pthread_join(ap.thread, NULL);
	ap_expect_started(&ap, 0x900);
	EXPECT(ap.again >= 2);
	vm_destroy(&vm);
}

TEST(sipi_without_init_is_ignored)
{
	struct ap ap;
	struct vm vm;

	ap_add(&vm, &ap);
	REQUIRE(ap_set_state(&ap, KVM_MP_STATE_RUNNABLE) == 0);
	ap_ipi(&ap, SIPI(7));
	EXPECT_EQ(ap_state(&ap), KVM_MP_STATE_RUNNABLE);
	vm_destroy(&vm);
}

TEST(init_resets_one_that_runs)
{
	struct kvm_regs regs;
	struct ap ap;
	struct vm vm;

	ap_add(&vm, &ap);
	ap_ipi(&ap, INIT);
	ap_ipi(&ap, SIPI(9));
	ap_main(&ap);
	ap_expect_started(&ap, 0x900);
	ap_ipi(&ap, INIT);
	EXPECT_EQ(ap_state(&ap), KVM_MP_STATE_INIT_RECEIVED);
	REQUIRE(ioctl(ap.fd, KVM_GET_REGS, &regs) == 0);
	EXPECT_EQ(regs.rip, 0xfff0);
	EXPECT_EQ(regs.rflags, 2);
	memcpy(vm.mem + 0xa000, guest_ap, guest_ap_end - guest_ap);
	ap_ipi(&ap, SIPI(0xa));
	ap_main(&ap);
	ap_expect_started(&ap, 0xa00);
	vm_destroy(&vm);
}

TEST(a_signal_ends_the_wait_with_eintr)
{
	struct ap ap;
	struct vm vm;

	ap_add(&vm, &ap);
	ap.run->immediate_exit = 1;
	EXPECT_ERR(ioctl(ap.fd, KVM_RUN, 0), EINTR);
	EXPECT_EQ(ap_state(&ap), KVM_MP_STATE_UNINITIALIZED);
	vm_destroy(&vm);
}

TEST(states_that_userspace_sets)
{
	static const uint32_t legal[] = {
		KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_HALTED,
		KVM_MP_STATE_INIT_RECEIVED,
	};
	static const uint32_t illegal[] = {
		KVM_MP_STATE_STOPPED, KVM_MP_STATE_CHECK_STOP, KVM_MP_STATE_OPERATING,
		KVM_MP_STATE_LOAD, 10, 0x80000000, ~0u,
	};
	struct ap ap;
	struct vm vm;
	unsigned int i;

	ap_add(&vm, &ap);
	for (i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
		EXPECT_EQ(ap_set_state(&ap, legal[i]), 0);
		EXPECT_EQ(ap_state(&ap), legal[i]);
	}
	for (i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++)
		EXPECT_ERR(ap_set_state(&ap, illegal[i]), EINVAL);
	vm_destroy(&vm);
}

/* A SIPI that was under way when the state was saved: its vector comes with the events. */
TEST(sipi_received_starts_it)
{
	struct kvm_vcpu_events events;
	struct ap ap;
	struct vm vm;

	ap_add(&vm, &ap);
	REQUIRE(ioctl(ap.fd, KVM_GET_VCPU_EVENTS, &events) == 0);
	events.flags = KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	events.sipi_vector = 9;
	EXPECT_EQ(ioctl(ap.fd, KVM_SET_VCPU_EVENTS, &events), 0);
	EXPECT_EQ(ap_set_state(&ap, KVM_MP_STATE_SIPI_RECEIVED), 0);
	ap_main(&ap);
	ap_expect_started(&ap, 0x900);
	vm_destroy(&vm);
}

/* A BSP that was halted runs again when its registers are set to those of reset. */
TEST(reset_registers_make_the_bsp_run)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_sregs sregs;
	struct vm vm;

	vm_create(&vm, VM_IRQCHIP);
	REQUIRE(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs) == 0);
	REQUIRE(ioctl(vm.vcpu, KVM_SET_MP_STATE, &state) == 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0);
	EXPECT_EQ(ioctl(vm.vcpu, KVM_GET_MP_STATE, &state), 0);
	EXPECT_EQ(state.mp_state, KVM_MP_STATE_RUNNABLE);
	vm_destroy(&vm);
}
