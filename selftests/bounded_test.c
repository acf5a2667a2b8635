// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a VM of many vCPUs keeps a CPU of the host with interrupts off. A thread that nothing
 * but interrupts can interrupt watches the clock while a PIT ticks: the longest hole that it sees
 * must not grow with the number of vCPUs that each tick concerns.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <time.h>

#include "selftests/lib/okvm_test.h"

#define FEW		4
#define MANY		160
#define WATCH_NS	60000000ull	/* 300 ticks */

struct crowd {
	struct vm vm;
	unsigned int nr;
	int fd[MANY];
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* APICs that are on; LINT0 as @lvt0. */
static void crowd_create(struct crowd *c, unsigned int nr, uint32_t lvt0)
{
	struct kvm_pit_config pit = { .flags = 0 };
	struct kvm_lapic_state apic;
	unsigned int i;

	vm_create(&c->vm, VM_BARE);
	REQUIRE(ioctl(c->vm.fd, KVM_CREATE_IRQCHIP, 0) == 0);
	REQUIRE(ioctl(c->vm.fd, KVM_CREATE_PIT2, &pit) == 0);
	c->nr = nr;
	for (i = 0; i < nr; i++) {
		c->fd[i] = ioctl(c->vm.fd, KVM_CREATE_VCPU, i);
		REQUIRE(c->fd[i] >= 0);
		REQUIRE(ioctl(c->fd[i], KVM_GET_LAPIC, &apic) == 0);
		memcpy(apic.regs + 0xf0, &(uint32_t){ 0x1ff }, 4);
		memcpy(apic.regs + 0x350, &lvt0, 4);
		REQUIRE(ioctl(c->fd[i], KVM_SET_LAPIC, &apic) == 0);
	}
}

static void crowd_destroy(struct crowd *c)
{
	unsigned int i;

	for (i = 0; i < c->nr; i++)
		close(c->fd[i]);
	vm_destroy(&c->vm);
}

static void crowd_tick(struct crowd *c)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };
	struct kvm_pit_state2 state = {
		.channels[0] = { .count = 239, .mode = 2, .gate = 1, .rw_mode = 3 },
	};

	REQUIRE(ioctl(c->vm.fd, KVM_REINJECT_CONTROL, &control) == 0);
	REQUIRE(ioctl(c->vm.fd, KVM_SET_PIT2, &state) == 0);
}

/* Each edge of GSI 0 is a message to all: an NMI, of which no number is one too many. */
static void crowd_broadcast(struct crowd *c)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	REQUIRE(ioctl(c->vm.fd, KVM_GET_IRQCHIP, &chip) == 0);
	chip.chip.ioapic.redirtbl[0].bits = 0xffull << 56 | 4 << 8 | 0x40;
	REQUIRE(ioctl(c->vm.fd, KVM_SET_IRQCHIP, &chip) == 0);
}

/* Return: ns; the median of the ten longest holes, so that one disturbance does not count */
static uint64_t longest_hole(void)
{
	struct sched_param fifo = { .sched_priority = 50 }, other = { 0 };
	uint64_t top[10] = { 0 }, last, now, end, hole, tmp;
	unsigned int i;

	if (sched_setscheduler(0, SCHED_FIFO, &fifo))
		test_skip("no real-time priority");
	last = now_ns();
	end = last + WATCH_NS;
	do {
		now = now_ns();
		hole = now - last;
		last = now;
		for (i = 0; i < 10 && hole; i++) {
			if (hole <= top[i])
				continue;
			tmp = top[i];
			top[i] = hole;
			hole = tmp;
		}
	} while (now < end);
	sched_setscheduler(0, SCHED_OTHER, &other);
	return top[5];
}

static uint64_t hole_of(unsigned int nr, uint32_t lvt0, bool broadcast)
{
	struct crowd c;
	uint64_t ns;

	crowd_create(&c, nr, lvt0);
	if (broadcast)
		crowd_broadcast(&c);
	crowd_tick(&c);
	ns = longest_hole();
	crowd_destroy(&c);
	return ns;
}

static void compare(const char *what, uint32_t lvt0, bool broadcast, unsigned int ns_each)
{
	uint64_t few = hole_of(FEW, lvt0, broadcast), many = hole_of(MANY, lvt0, broadcast);

	printf("# %s: %llu ns with %u vCPUs, %llu ns with %u\n", what, (unsigned long long)few, FEW,
	       (unsigned long long)many, MANY);
	EXPECT(many < few + 20000 + ns_each * MANY);
}

TEST(nmis_of_the_pit)
{
	compare("NMI of LINT0", 0x400, false, 0);
}

/*
 * A bit of each vCPU is set at once. The bench takes some microseconds for that, for it does some
 * ten million instructions a second, and a tick that comes late is followed by the next.
 */
TEST(a_broadcast_of_the_ioapic)
{
	compare("broadcast", 0x10000, true, 20000);
}
