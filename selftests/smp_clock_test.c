// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time as the vCPUs of one guest see it together: the TSC and what they write to it, and the clock
 * that KVM derives from it, which never goes back from one vCPU to the next.
 */
#include <linux/kvm_para.h>
#include <time.h>

#include "selftests/lib/smp.h"

#define MSR_TSC		0x10
#define MSR_TSC_ADJUST	0x3b
#define FAR_AHEAD	100000000000ull

struct clock {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
};

static volatile struct clock clocks[SMP_CPUS] __attribute__((aligned(4096)));
static volatile struct { uint32_t version, sec, ns; } wall;
static volatile uint32_t lock, ready, warps;
static volatile uint64_t last;

#define STABLE	1

/* Nanoseconds since the VM's start. */
static GUEST_C uint64_t read_clock(uint32_t cpu)
{
	volatile struct clock *clock = &clocks[cpu];
	uint64_t delta, ns, hi, lo;
	uint32_t version;

	do {
		version = clock->version;
		__asm__ volatile("" : : : "memory");
		delta = guest_rdtsc() - clock->tsc;
		if (clock->shift < 0)
			delta >>= -clock->shift;
		else
			delta <<= clock->shift;
		__asm__("mul %3" : "=a"(lo), "=d"(hi) : "a"(delta), "r"((uint64_t)clock->mul));
		ns = clock->ns + (hi << 32 | lo >> 32);
		__asm__ volatile("" : : : "memory");
	} while (version & 1 || version != clock->version);
	return ns;
}

static GUEST_C void take(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		guest_out8(PORT_YIELD, 0);
}

static GUEST_C void give(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static GUEST_C void enable_clock(uint32_t cpu)
{
	guest_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&clocks[cpu] | 1);
	GUEST_WAIT(clocks[cpu].version && !(clocks[cpu].version & 1));
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	GUEST_WAIT(ready == SMP_CPUS);
}

static GUEST_C void never_back(void)
{
	uint32_t cpu = guest_cpu(), i;
	uint64_t now;

	enable_clock(cpu);
	for (i = 0; i < 3000; i++) {
		take();
		now = read_clock(cpu);
		if (now < last)
			warps++;
		last = now;
		give();
		if (!(i % 64))
			guest_out8(PORT_YIELD, 0);
	}
	GUEST_EXPECT(!warps && clocks[cpu].flags & STABLE);
	guest_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0);
}

static void all_run(void (*main)(void))
{
	struct smp smp;
	unsigned int i;

	smp_create(&smp, SMP_CPUS, SMP_X2APIC);
	for (i = 0; i < SMP_CPUS; i++)
		smp_start(&smp, i, main);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(the_clock_never_goes_back)
{
	struct vm vm;
	struct kvm_clock_data data = { 0 };

	vm_create(&vm, 0);
	EXPECT_EQ(ioctl(vm.fd, KVM_GET_CLOCK, &data), 0);
	vm_destroy(&vm);
	if (!(data.flags & KVM_CLOCK_TSC_STABLE))
		test_skip("the host's clock is not its TSC");
	all_run(never_back);
}

static GUEST_C void wall_clock(void)
{
	guest_wrmsr(MSR_KVM_WALL_CLOCK_NEW, (uintptr_t)&wall);
	GUEST_EXPECT(!(wall.version & 1) && wall.version);
	enable_clock(0);
	last = read_clock(0);
}

TEST(boot_time_and_clock_are_the_time_of_day)
{
	struct timespec before, after;
	uint64_t now, slack = 1000000000ull;
	struct smp smp;

	ready = SMP_CPUS - 1;
	clock_gettime(CLOCK_REALTIME, &before);
	smp_create(&smp, 1, SMP_X2APIC);
	smp_start(&smp, 0, wall_clock);
	smp_run(&smp);
	clock_gettime(CLOCK_REALTIME, &after);
	now = wall.sec * 1000000000ull + wall.ns + last;
	EXPECT(now + slack >= before.tv_sec * 1000000000ull + before.tv_nsec);
	EXPECT(now <= after.tv_sec * 1000000000ull + after.tv_nsec + slack);
	smp_destroy(&smp);
}

/* ---- the TSC ---- */

static GUEST_C void adjust(void)
{
	uint64_t t1, t2, t3;

	GUEST_EXPECT(guest_rdmsr(MSR_TSC_ADJUST) == 0);
	t1 = guest_rdtsc();
	guest_wrmsr(MSR_TSC_ADJUST, FAR_AHEAD);
	t2 = guest_rdtsc();
	GUEST_EXPECT(guest_rdmsr(MSR_TSC_ADJUST) == FAR_AHEAD);
	GUEST_EXPECT(t2 - t1 >= FAR_AHEAD && t2 - t1 < FAR_AHEAD * 2);
	guest_wrmsr(MSR_TSC_ADJUST, 0);
	GUEST_EXPECT(guest_rdtsc() < FAR_AHEAD && guest_rdtsc() > t1);
	/* A write to the TSC moves the adjustment by as much. */
	t1 = guest_rdtsc();
	guest_wrmsr(MSR_TSC, FAR_AHEAD);
	t2 = guest_rdtsc();
	t3 = guest_rdmsr(MSR_TSC_ADJUST);
	GUEST_EXPECT(t2 >= FAR_AHEAD && t1 <= FAR_AHEAD - t3);
	guest_wrmsr(MSR_TSC, 0);
	GUEST_EXPECT(guest_rdtsc() < FAR_AHEAD / 100);
	/* Back to where it was: as if nothing had been written. */
	guest_wrmsr(MSR_TSC_ADJUST, 0);
	GUEST_EXPECT(guest_rdtsc() > t1 && guest_rdtsc() < t1 + FAR_AHEAD / 10);
	GUEST_EXPECT(guest_rdmsr(MSR_TSC) >= t1);
}

TEST(tsc_and_its_adjustment)
{
	struct smp smp;

	smp_create(&smp, 1, SMP_X2APIC);
	smp_start(&smp, 0, adjust);
	smp_run(&smp);
	smp_destroy(&smp);
}

static GUEST_C void in_step(void)
{
	uint32_t i;
	uint64_t now;

	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	GUEST_WAIT(ready == SMP_CPUS);
	for (i = 0; i < 3000; i++) {
		take();
		now = guest_rdtsc();
		if (now < last)
			warps++;
		last = now;
		give();
		if (!(i % 64))
			guest_out8(PORT_YIELD, 0);
	}
	GUEST_EXPECT(!warps);
}

TEST(the_tscs_of_all_vcpus_are_in_step)
{
	all_run(in_step);
}

/* One vCPU moves its TSC: the clocks of the others go on, and its own too. */
static GUEST_C void one_moves(void)
{
	uint32_t cpu = guest_cpu(), i;
	uint64_t now, before;

	enable_clock(cpu);
	for (i = 0; i < 300; i++) {
		before = read_clock(cpu);
		if (!cpu)
			guest_wrmsr(MSR_TSC, guest_rdtsc() + (i % 2 ? -50000000ll : 90000000ll));
		now = read_clock(cpu);
		GUEST_EXPECT(now >= before && now - before < 2000000000ull);
		if (now < before)
			break;
	}
}

TEST(the_clock_of_a_vcpu_does_not_mind_its_tsc)
{
	if (getenv("OKVM_DEVICE"))
		test_skip("upstream's jumps");
	all_run(one_moves);
}

static GUEST_C void aux(void)
{
	uint32_t i, lo, hi, ecx;

	for (i = 1; i; i <<= 5) {
		guest_wrmsr(0xc0000103, i);
		__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(ecx));
		GUEST_EXPECT(ecx == i);
	}
}

TEST(rdtscp_gives_the_auxiliary_value)
{
	struct smp smp;

	smp_create(&smp, 1, SMP_X2APIC);
	smp_start(&smp, 0, aux);
	smp_run(&smp);
	smp_destroy(&smp);
}
