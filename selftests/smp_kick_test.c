// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long an interrupt from another thread takes to reach a guest that makes no exits, before
 * and after the vCPU has sent one to itself: the sender must not believe that it is interrupted
 * already.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "selftests/lib/smp.h"

#define ROUNDS		15u
#define SELF_VECTOR	0x61
#define EDGE_VECTOR	0x62
#define HC_SEND_IPI	10

enum before { NOTHING, SELF_IPI, SELF_HYPERCALL };

static enum before before;
static volatile uint32_t ready, seen, selves;
static uint64_t took[ROUNDS];

static GUEST_C void self_irq(struct guest_frame *frame)
{
	(void)frame;
	selves++;
	apic_write(AP_EOI, 0);
}

static GUEST_C void edge_irq(struct guest_frame *frame)
{
	(void)frame;
	seen = ready;
	apic_write(AP_EOI, 0);
}

static GUEST_C void send_ipi_by_hypercall(uint8_t vector)
{
	uint64_t ret = HC_SEND_IPI;

	__asm__ volatile(GUEST_HYPERCALL : "+a"(ret) :
			 "b"(1ul), "c"(0ul), "d"(0ul), "S"((long)vector) : "memory", "cc");
	GUEST_EXPECT(ret == 1);
}

static GUEST_C void guest(void)
{
	uint32_t round, sent = 0;

	guest_handlers[SELF_VECTOR] = self_irq;
	guest_handlers[EDGE_VECTOR] = edge_irq;
	guest_sti();
	for (round = 1; round <= ROUNDS; round++) {
		if (before == SELF_IPI)
			apic_send(ICR_SELF | SELF_VECTOR, 0);
		else if (before == SELF_HYPERCALL)
			send_ipi_by_hypercall(SELF_VECTOR);
		sent += before != NOTHING;
		GUEST_WAIT(selves == sent);
		/* The last exits before the wait, which makes none: not even PAUSE is in it. */
		if (before == SELF_IPI)
			apic_send(ICR_SELF | SELF_VECTOR, 0);
		else if (before == SELF_HYPERCALL)
			send_ipi_by_hypercall(SELF_VECTOR);
		sent += before != NOTHING;
		ready = round;
		while (seen != round)
			;
		GUEST_EXPECT(selves == sent);
	}
}

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
}

/* The other thread. */
static void *send_edges(void *arg)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = EDGE_VECTOR };
	struct smp *smp = arg;
	unsigned int round;
	volatile int wait;
	uint64_t start;

	pin(0);
	for (round = 1; round <= ROUNDS; round++) {
		while (ready != round)
			;
		/* Until the guest is back in its loop. */
		for (wait = 0; wait < 2000; wait++)
			;
		start = guest_rdtsc();
		REQUIRE(ioctl(smp->vm.fd, KVM_SIGNAL_MSI, &msi) == 1);
		while (seen != round)
			;
		took[round - 1] = guest_rdtsc() - start;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median_latency(enum before what)
{
	pthread_t sender;
	struct smp smp;

	before = what;
	ready = seen = selves = 0;
	smp_create(&smp, 1, SMP_X2APIC);
	smp_start(&smp, 0, guest);
	REQUIRE(pthread_create(&sender, NULL, send_edges, &smp) == 0);
	/* The thread of the vCPU inherits it. */
	pin(1);
	smp_run(&smp);
	pthread_join(sender, NULL);
	smp_destroy(&smp);
	qsort(took, ROUNDS, sizeof(took[0]), compare);
	printf("# median %llu, longest %llu TSC ticks\n", (unsigned long long)took[ROUNDS / 2],
	       (unsigned long long)took[ROUNDS - 1]);
	return took[ROUNDS / 2];
}

/* Who waits for the host's next tick waits a hundred times as long. */
static void expect_prompt(enum before what)
{
	uint64_t plain;

	test_needs_two_cpus();
	plain = median_latency(NOTHING);
	EXPECT(median_latency(what) < 8 * plain);
}

TEST(an_edge_after_an_ipi_to_itself)
{
	expect_prompt(SELF_IPI);
}

TEST(an_edge_after_a_hypercall_to_itself)
{
	expect_prompt(SELF_HYPERCALL);
}
