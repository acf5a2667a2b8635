// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device's interrupt costs the host with interrupts off must not grow with the number of
 * vCPUs that it concerns: most of them are made to look later, by a thread. (Upstream has no such
 * bounds.)
 *
 * All vCPUs sleep in HLT, and nothing else runs on the only CPU while a thread of a real-time
 * policy lets the device interrupt them: whoever is awake then was woken by the interrupt itself.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define VCPUS		160
#define AT_ONCE		16	/* as many as okvm allows itself */
#define TICKS_NS	4000000	/* 20 of the PIT's ticks */

enum { LINT0_NMI = 4 << 8, MASKED = 1 << 16 };

/* An entry of the IOAPIC: an NMI for all, of which no number is one too many. */
#define NMI_FOR_ALL	(0xffull << 56 | 4 << 8 | 0x40)

struct sleeper {
	pthread_t thread;
	int fd;
	volatile pid_t tid;
};

struct crowd {
	struct vm vm;
	struct sleeper sleeper[VCPUS];
};

static void *sleep_in_hlt(void *arg)
{
	struct sleeper *s = arg;

	s->tid = syscall(SYS_gettid);
	/* There is no memory: whatever makes it run ends the call. */
	ioctl(s->fd, KVM_RUN, 0);
	return NULL;
}

static bool asleep(const struct sleeper *s)
{
	char path[64], text[256] = "", *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", s->tid);
	fd = open(path, O_RDONLY);
	REQUIRE(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	state = strrchr(text, ')');
	REQUIRE(state);
	return state[2] == 'S';
}

/* A vCPU whose APIC is on, with LINT0 as @lvt0, and its thread. */
static void sleeper_start(struct crowd *c, struct sleeper *s, uint32_t lvt0)
{
	struct kvm_mp_state halted = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_lapic_state apic;
	pthread_attr_t small;

	s->tid = 0;
	s->fd = ioctl(c->vm.fd, KVM_CREATE_VCPU, s - c->sleeper);
	REQUIRE(s->fd >= 0);
	REQUIRE(ioctl(s->fd, KVM_GET_LAPIC, &apic) == 0);
	memcpy(apic.regs + 0xf0, &(uint32_t){ 0x1ff }, 4);
	memcpy(apic.regs + 0x350, &lvt0, 4);
	REQUIRE(ioctl(s->fd, KVM_SET_LAPIC, &apic) == 0);
	REQUIRE(ioctl(s->fd, KVM_SET_MP_STATE, &halted) == 0);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	REQUIRE(pthread_create(&s->thread, &small, sleep_in_hlt, s) == 0);
}

/* @redir: GSI 0's entry of the IOAPIC */
static void crowd_create(struct crowd *c, uint32_t lvt0, uint64_t redir)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_config pit = { .flags = 0 };
	struct sleeper *s;

	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		test_skip("needs that nothing else runs meanwhile: one CPU");
	vm_create(&c->vm, VM_BARE);
	REQUIRE(ioctl(c->vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(ioctl(c->vm.fd, KVM_CREATE_PIT2, &pit) == 0);
	REQUIRE(ioctl(c->vm.fd, KVM_GET_IRQCHIP, &chip) == 0);
	chip.chip.ioapic.redirtbl[0].bits = redir;
	REQUIRE(ioctl(c->vm.fd, KVM_SET_IRQCHIP, &chip) == 0);
	for (s = c->sleeper; s < c->sleeper + VCPUS; s++)
		sleeper_start(c, s, lvt0);
	for (s = c->sleeper; s < c->sleeper + VCPUS; s++)
		while (!s->tid || !asleep(s))
			usleep(1000);
}

/* All have been made to look by now, or are soon. */
static void crowd_destroy(struct crowd *c)
{
	struct sleeper *s;

	for (s = c->sleeper; s < c->sleeper + VCPUS; s++) {
		pthread_join(s->thread, NULL);
		close(s->fd);
	}
	vm_destroy(&c->vm);
}

/* Return: how many vCPUs are awake after @interrupt(), before any other thread has run */
static unsigned int woken_by(struct crowd *c, void (*interrupt)(struct crowd *c))
{
	struct sched_param fifo = { .sched_priority = 50 }, other = { 0 };
	unsigned int woken = 0;
	struct sleeper *s;

	if (sched_setscheduler(0, SCHED_FIFO, &fifo))
		test_skip("no real-time priority");
	interrupt(c);
	for (s = c->sleeper; s < c->sleeper + VCPUS; s++)
		woken += !asleep(s);
	sched_setscheduler(0, SCHED_OTHER, &other);
	printf("# %u of %u vCPUs were woken at once\n", woken, VCPUS);
	return woken;
}

static void tick(struct crowd *c)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };
	struct kvm_pit_state2 state = {
		.channels[0] = { .count = 239, .mode = 2, .gate = 1, .rw_mode = 3 },
	};
	uint64_t end = now_ns() + TICKS_NS;

	REQUIRE(ioctl(c->vm.fd, KVM_REINJECT_CONTROL, &control) == 0);
	REQUIRE(ioctl(c->vm.fd, KVM_SET_PIT2, &state) == 0);
	while (now_ns() < end)
		;
}

/* LINT0 of all is an NMI. */
TEST(nmis_of_the_pit)
{
	struct crowd c;

	crowd_create(&c, LINT0_NMI, MASKED);
	EXPECT(woken_by(&c, tick) <= AT_ONCE);
	crowd_destroy(&c);
}

static void raise_line(struct crowd *c)
{
	struct kvm_irq_level line = { .irq = 0, .level = 1 };

	EXPECT_EQ(ioctl(c->vm.fd, KVM_IRQ_LINE, &line), 0);
}

TEST(a_broadcast_of_the_ioapic)
{
	struct crowd c;
	unsigned int woken;

	crowd_create(&c, MASKED, NMI_FOR_ALL);
	woken = woken_by(&c, raise_line);
	EXPECT(woken >= 1 && woken <= AT_ONCE);
	crowd_destroy(&c);
}
