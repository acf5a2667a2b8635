// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VM of many vCPUs costs the host with interrupts off: it must not grow with the number of
 * vCPUs that an interrupt of a device concerns. (Upstream has no such bounds.)
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "selftests/lib/okvm_test.h"

#define FEW		4
#define MANY		160
#define WATCH_NS	60000000ull	/* 300 ticks */

enum { LINT0_NMI = 4 << 8, LINT0_MASKED = 1 << 16 };

struct crowd {
	struct vm vm;
	unsigned int nr;
	int fd[MANY];
};

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

/* ---- by the clock: a thread that nothing but interrupts can interrupt watches it ---- */

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

static uint64_t hole_of(unsigned int nr)
{
	struct crowd c;
	uint64_t ns;

	crowd_create(&c, nr, LINT0_NMI);
	crowd_tick(&c);
	ns = longest_hole();
	crowd_destroy(&c);
	return ns;
}

TEST(nmis_of_the_pit)
{
	uint64_t few = hole_of(FEW), many = hole_of(MANY);

	printf("# %llu ns with %u vCPUs, %llu ns with %u\n", (unsigned long long)few, FEW,
	       (unsigned long long)many, MANY);
	EXPECT(many < few + 20000);
}

/*
 * ---- by the number of vCPUs that are made to look ----
 *
 * They sleep in HLT, and nothing else runs on the only CPU while a thread of a real-time policy
 * raises a line: whoever is awake when that ioctl returns was woken in it.
 */

#define AT_ONCE		16	/* as many as okvm allows itself */

struct sleeper {
	pthread_t thread;
	int fd;
	volatile pid_t tid;
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

static void sleepers_start(struct crowd *c, struct sleeper s[MANY])
{
	struct kvm_mp_state halted = { .mp_state = KVM_MP_STATE_HALTED };
	pthread_attr_t small;
	unsigned int i;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (i = 0; i < c->nr; i++) {
		REQUIRE(ioctl(c->fd[i], KVM_SET_MP_STATE, &halted) == 0);
		s[i] = (struct sleeper) { .fd = c->fd[i] };
		REQUIRE(pthread_create(&s[i].thread, &small, sleep_in_hlt, &s[i]) == 0);
	}
	for (i = 0; i < c->nr; i++)
		while (!s[i].tid || !asleep(&s[i]))
			usleep(1000);
}

/* Return: how many vCPUs the edge of a line had woken when the ioctl returned */
static unsigned int woken_by_a_line(struct crowd *c, struct sleeper s[MANY])
{
	struct sched_param fifo = { .sched_priority = 50 }, other = { 0 };
	struct kvm_irq_level line = { .irq = 0, .level = 1 };
	unsigned int i, woken = 0;

	if (sched_setscheduler(0, SCHED_FIFO, &fifo))
		test_skip("no real-time priority");
	EXPECT_EQ(ioctl(c->vm.fd, KVM_IRQ_LINE, &line), 0);
	for (i = 0; i < c->nr; i++)
		woken += !asleep(&s[i]);
	sched_setscheduler(0, SCHED_OTHER, &other);
	return woken;
}

/* GSI 0 is an NMI for all, of which no number is one too many. */
static void crowd_broadcast(struct crowd *c)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	REQUIRE(ioctl(c->vm.fd, KVM_GET_IRQCHIP, &chip) == 0);
	chip.chip.ioapic.redirtbl[0].bits = 0xffull << 56 | 4 << 8 | 0x40;
	REQUIRE(ioctl(c->vm.fd, KVM_SET_IRQCHIP, &chip) == 0);
}

TEST(a_broadcast_of_the_ioapic)
{
	struct sleeper s[MANY];
	unsigned int i, woken;
	struct crowd c;

	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		test_skip("needs that nothing else runs meanwhile: one CPU");
	crowd_create(&c, MANY, LINT0_MASKED);
	crowd_broadcast(&c);
	sleepers_start(&c, s);
	woken = woken_by_a_line(&c, s);
	printf("# %u of %u vCPUs were woken at once\n", woken, MANY);
	EXPECT(woken >= 1 && woken <= AT_ONCE);
	/* The others are woken later. */
	for (i = 0; i < c.nr; i++)
		pthread_join(s[i].thread, NULL);
	crowd_destroy(&c);
}
