// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts between vCPUs and from the IOAPIC's pins as a guest sees them that does both ends
 * itself: who is reached, how often, and in what order.
 */
#include "selftests/lib/smp.h"

#define VECTOR	0x61

static volatile uint32_t count[SMP_CPUS];
static volatile bool leave;
static volatile uint32_t ready;

static GUEST_C void count_it(struct guest_frame *frame)
{
	(void)frame;
	count[guest_cpu()]++;
	apic_write(AP_EOI, 0);
}

/* ---- IPIs ---- */

static GUEST_C void listen(void)
{
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (!leave) {
		guest_sti();
		guest_out8(PORT_YIELD, 0);
	}
}

static GUEST_C uint32_t received(void)
{
	uint32_t i, mask = 0;

	for (i = 0; i < SMP_CPUS; i++) {
		GUEST_EXPECT(count[i] <= 1);
		mask |= (count[i] != 0) << i;
		count[i] = 0;
	}
	return mask;
}

/* Send it and see who gets it; nobody gets it twice, and no other one. */
static GUEST_C void expect_reach(uint32_t icr, uint32_t dest, uint32_t want)
{
	uint32_t tries, i, have;

	apic_send(icr | VECTOR, dest);
	for (tries = 0; tries < 5000; tries++) {
		for (have = i = 0; i < SMP_CPUS; i++)
			have |= (count[i] != 0) << i;
		if (have == want)
			break;
		guest_out8(PORT_YIELD, 0);
	}
	for (i = 0; i < 8; i++)
		guest_out8(PORT_YIELD, 0);
	GUEST_EXPECT(received() == want);
}

static GUEST_C void speak_begin(void)
{
	guest_handlers[VECTOR] = count_it;
	GUEST_WAIT(ready == SMP_CPUS - 1);
	guest_sti();
}

static GUEST_C void speak_shorthands(void)
{
	speak_begin();
	expect_reach(ICR_SELF, 0, 1);
	expect_reach(ICR_SELF | ICR_ASSERT, 3, 1);
	expect_reach(ICR_ALL | ICR_ASSERT, 0, 0xf);
	expect_reach(ICR_OTHERS | ICR_ASSERT, 0, 0xe);
	expect_reach(ICR_ASSERT, 0, 1);
	expect_reach(ICR_ASSERT, 2, 4);
	expect_reach(ICR_ASSERT, 77, 0);
	expect_reach(ICR_ASSERT, guest_x2apic() ? ~0u : 0xff, 0xf);
	leave = true;
}

static GUEST_C void speak_flat(void)
{
	uint32_t dest;

	speak_begin();
	for (dest = 0; dest < 0x20; dest++)
		expect_reach(ICR_ASSERT | ICR_LOGICAL, dest, dest & 0xf);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0xff, 0xf);
	expect_reach(ICR_ASSERT | ICR_LOGICAL | ICR_OTHERS, 1, 0xe);
	leave = true;
}

static GUEST_C void listen_flat(void)
{
	apic_write(AP_DFR, 0xffffffff);
	apic_write(AP_LDR, 0x01000000u << guest_cpu());
	if (guest_cpu())
		listen();
	else
		speak_flat();
}

static GUEST_C void speak_cluster(void)
{
	speak_begin();
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x11, 1);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x12, 2);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x1f, 3);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x21, 4);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x23, 0xc);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x2c, 0);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x31, 0);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x20, 0);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0xff, 0xf);
	leave = true;
}

static GUEST_C void listen_cluster(void)
{
	uint32_t cpu = guest_cpu();

	apic_write(AP_DFR, 0x0fffffff);
	apic_write(AP_LDR, (0x10u << (cpu / 2) | 1u << cpu % 2) << 24);
	if (cpu)
		listen();
	else
		speak_cluster();
}

static GUEST_C void speak_x2_cluster(void)
{
	speak_begin();
	GUEST_EXPECT(apic_read(AP_LDR) == 1);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0xd, 0xd);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x2, 2);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0xffff, 0xf);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0x1000f, 0);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, 0xf0, 0);
	expect_reach(ICR_ASSERT | ICR_LOGICAL, ~0u, 0xf);
	leave = true;
}

/* Lowest priority: one of the set, whichever. */
static GUEST_C void speak_lowest(void)
{
	uint32_t i, sum, dest = guest_x2apic() ? 0xe : 0x0e;

	speak_begin();
	for (i = 0; i < 20; i++) {
		apic_send(ICR_LOWEST | ICR_ASSERT | ICR_LOGICAL | VECTOR, dest);
		GUEST_WAIT(count[1] + count[2] + count[3]);
		guest_out8(PORT_YIELD, 0);
		sum = count[0] + count[1] + count[2] + count[3];
		GUEST_EXPECT(sum == 1 && !count[0]);
		count[1] = count[2] = count[3] = 0;
	}
	leave = true;
}

static GUEST_C void listen_lowest(void)
{
	if (!guest_x2apic())
		apic_write(AP_LDR, 0x01000000u << guest_cpu());
	if (guest_cpu())
		listen();
	else
		speak_lowest();
}

/* vCPU 1 takes the ID of vCPU 2: a message to it reaches both. */
static GUEST_C void listen_alias(void)
{
	apic_write(AP_ID, 2u << 24);
	listen();
}

static GUEST_C void speak_alias(void)
{
	speak_begin();
	expect_reach(ICR_ASSERT, 2, 6);
	expect_reach(ICR_ASSERT, 1, 0);
	expect_reach(ICR_ASSERT, 3, 8);
	leave = true;
}

static GUEST_C void speak_mixed(void)
{
	speak_begin();
	expect_reach(ICR_ASSERT, 1, 2);
	expect_reach(ICR_ASSERT, 3, 8);
	expect_reach(ICR_ASSERT | ICR_ALL, 0, 0xf);
	expect_reach(ICR_ASSERT | ICR_OTHERS, 0, 0xe);
	leave = true;
}

static GUEST_C void listen_other_mode(void)
{
	guest_wrmsr(MSR_BASE, guest_rdmsr(MSR_BASE) | BASE_EXTD);
	listen();
}

static void all_run(enum smp_flag mode, void (*speaker)(void), void (*listener)(void))
{
	unsigned int i;
	struct smp smp;

	smp_create(&smp, SMP_CPUS, mode);
	smp_start(&smp, 0, speaker);
	for (i = 1; i < SMP_CPUS; i++)
		smp_start(&smp, i, listener);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(xapic_shorthands_and_physical_ids)
{
	all_run(SMP_XAPIC, speak_shorthands, listen);
}

TEST(x2apic_shorthands_and_physical_ids)
{
	all_run(SMP_X2APIC, speak_shorthands, listen);
}

TEST(flat_logical_ids)
{
	all_run(SMP_XAPIC, listen_flat, listen_flat);
}

TEST(clusters)
{
	all_run(SMP_XAPIC, listen_cluster, listen_cluster);
}

TEST(x2apic_clusters)
{
	all_run(SMP_X2APIC, speak_x2_cluster, listen);
}

TEST(lowest_priority_reaches_one)
{
	all_run(SMP_XAPIC, listen_lowest, listen_lowest);
}

TEST(lowest_priority_reaches_one_in_x2apic_mode)
{
	all_run(SMP_X2APIC, listen_lowest, listen_lowest);
}

TEST(one_id_twice)
{
	struct smp smp;

	if (getenv("OKVM_DEVICE"))
		test_skip("upstream finds one of them");
	smp_create(&smp, SMP_CPUS, SMP_XAPIC);
	smp_start(&smp, 0, speak_alias);
	smp_start(&smp, 1, listen_alias);
	smp_start(&smp, 2, listen);
	smp_start(&smp, 3, listen);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(one_apic_in_each_mode)
{
	struct smp smp;

	smp_create(&smp, SMP_CPUS, SMP_XAPIC);
	smp_start(&smp, 0, speak_mixed);
	smp_start(&smp, 1, listen_other_mode);
	smp_start(&smp, 2, listen);
	smp_start(&smp, 3, listen_other_mode);
	smp_run(&smp);
	smp_destroy(&smp);
}

/* ---- the paravirtual IPI ---- */

static GUEST_C long pv_ipi(uint64_t low, uint64_t high, uint64_t min, uint64_t icr)
{
	long ret;

	__asm__ volatile(GUEST_HYPERCALL : "=a"(ret) :
			 "a"(10), "b"(low), "c"(high), "d"(min), "S"(icr) : "memory", "cc");
	return ret;
}

static GUEST_C void expect_pv(uint64_t low, uint64_t high, uint64_t min, uint32_t want)
{
	uint32_t tries, have, i;

	GUEST_EXPECT(pv_ipi(low, high, min, VECTOR) == __builtin_popcount(want));
	for (tries = 0; tries < 5000; tries++) {
		for (have = i = 0; i < SMP_CPUS; i++)
			have |= (count[i] != 0) << i;
		if (have == want)
			break;
		guest_out8(PORT_YIELD, 0);
	}
	guest_out8(PORT_YIELD, 0);
	GUEST_EXPECT(received() == want);
}

static GUEST_C void speak_pv(void)
{
	speak_begin();
	expect_pv(0xe, 0, 0, 0xe);
	expect_pv(0x1, 0, 0, 1);
	expect_pv(0x7, 0, 1, 0xe);
	expect_pv(0x70, 0, 0, 0);
	expect_pv(0, 0xff, 0, 0);
	/* The lowest ID wraps: nobody. */
	expect_pv(0xffffffff, 0, 0xffffffff, 0);
	expect_pv(~0ull, ~0ull, 0xffffffff, 0);
	expect_pv(2, 0, 0xffffffff, 0);
	/* Neither a shorthand nor a logical destination. */
	GUEST_EXPECT(pv_ipi(1, 0, 0, ICR_ALL | VECTOR) < 0);
	GUEST_EXPECT(pv_ipi(1, 0, 0, ICR_LOGICAL | VECTOR) < 0);
	leave = true;
}

TEST(the_hypercall_for_ipis)
{
	all_run(SMP_X2APIC, speak_pv, listen);
}

TEST(the_hypercall_for_ipis_with_xapics)
{
	all_run(SMP_XAPIC, speak_pv, listen);
}

/* ---- NMIs ---- */

static volatile uint32_t nmis, flushed;

static GUEST_C void nmi_counts(struct guest_frame *frame)
{
	(void)frame;
	nmis++;
}

/* The first one sends ten more from within its handler: one of them is kept. */
static GUEST_C void nmi_sends_more(struct guest_frame *frame)
{
	uint32_t i;

	(void)frame;
	if (++nmis > 1)
		return;
	for (i = 0; i < 10; i++)
		apic_send(ICR_NMI, guest_x2apic() ? 0 : apic_read(AP_ID) >> 24);
	for (i = 0; i < 10; i++)
		apic_send(ICR_NMI | ICR_ASSERT, 0);
	GUEST_EXPECT(nmis == 1);
}

static GUEST_C void pending_nmis(void)
{
	uint32_t i;

	guest_handlers[2] = nmi_sends_more;
	for (i = 0; i < 500; i++) {
		nmis = 0;
		apic_send(ICR_NMI, 0);
		GUEST_WAIT(nmis >= 2);
		guest_out8(PORT_YIELD, 0);
		GUEST_EXPECT(nmis == 2);
	}
}

TEST(one_nmi_waits_behind_another)
{
	smp_run_one(SMP_XAPIC, pending_nmis);
	smp_run_one(SMP_X2APIC, pending_nmis);
}

static GUEST_C void flush_counts(struct guest_frame *frame)
{
	(void)frame;
	flushed++;
	apic_write(AP_EOI, 0);
}

static volatile uint32_t turn[2];

#define TURNS	1000

/* An NMI of one's own and one of the other vCPU: two, never one, and never after the IPI. */
static GUEST_C void two_nmis_take(void)
{
	uint32_t i;

	guest_handlers[2] = nmi_counts;
	guest_handlers[VECTOR] = flush_counts;
	guest_sti();
	for (i = 1; i <= TURNS; i++) {
		nmis = flushed = 0;
		turn[0] = i;
		apic_send(ICR_NMI | ICR_ASSERT, 0);
		GUEST_WAIT(flushed);
		GUEST_EXPECT(nmis == 2);
		GUEST_WAIT(turn[1] == i);
	}
}

static GUEST_C void two_nmis_send(void)
{
	uint32_t i;

	for (i = 1; i <= TURNS; i++) {
		GUEST_WAIT(turn[0] == i);
		apic_send(ICR_NMI | ICR_ASSERT, 0);
		apic_send(ICR_FIXED | ICR_ASSERT | VECTOR, 0);
		turn[1] = i;
	}
}

static void two_run(enum smp_flag mode, void (*first)(void), void (*second)(void))
{
	struct smp smp;

	smp_create(&smp, 2, mode);
	smp_start(&smp, 0, first);
	smp_start(&smp, 1, second);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(nmis_of_two_senders_are_two)
{
	two_run(SMP_XAPIC, two_nmis_take, two_nmis_send);
	turn[0] = turn[1] = 0;
	two_run(SMP_X2APIC, two_nmis_take, two_nmis_send);
}

/* ---- STI holds NMIs back, too: the instruction behind it is never the interrupted one ---- */

static uint8_t touched[256][4096] __attribute__((aligned(4096)));
static volatile uint32_t in_shadow, interrupted;
extern const uint8_t behind_sti[];

static GUEST_C void nmi_looks(struct guest_frame *frame)
{
	nmis++;
	in_shadow += frame->rip == (uintptr_t)behind_sti;
}

/* The instruction in the shadow touches a page that is new, which makes an exit. */
static GUEST_C void sti_loop(void)
{
	uint32_t i = 0;

	guest_handlers[2] = nmi_looks;
	ready = 1;
	while (!leave) {
		const uint8_t *page = touched[i++ % 256];

		if (!(i % 256))
			guest_out8(PORT_YIELD, 0);
		if (!(i % 8))
			guest_zap(page);
		__asm__ volatile("sti\n"
				 ".global behind_sti\n"
				 "behind_sti: testb $0, %0\n"
				 "nop; cli" : : "m"(*page));
	}
}

static GUEST_C void nmi_storm(void)
{
	uint32_t i, before;

	GUEST_WAIT(ready);
	for (i = 0; i < TURNS; i++) {
		before = nmis;
		apic_send(ICR_NMI | ICR_ASSERT, 1);
		GUEST_WAIT(nmis != before);
	}
	leave = true;
	GUEST_EXPECT(!in_shadow);
}

TEST(no_nmi_in_the_shadow_of_sti)
{
	memset(touched, 1, sizeof(touched));
	two_run(SMP_X2APIC, nmi_storm, sti_loop);
}

/* ---- an APIC that software has disabled ---- */

static GUEST_C void disabled_listens(void)
{
	guest_handlers[2] = nmi_counts;
	apic_write(AP_SPIV, 0xff);
	guest_sti();
	ready = 1;
	GUEST_WAIT(nmis);
	apic_write(AP_SPIV, 0x1ff);
	ready = 2;
	GUEST_WAIT(count[1]);
	GUEST_EXPECT(count[1] == 1);
}

static GUEST_C void disabled_speaks(void)
{
	guest_handlers[VECTOR] = count_it;
	GUEST_WAIT(ready);
	apic_send(ICR_ASSERT | VECTOR, 1);
	apic_send(ICR_ASSERT | ICR_OTHERS | VECTOR, 1);
	apic_send(ICR_NMI | ICR_ASSERT, 1);
	GUEST_WAIT(ready == 2);
	GUEST_EXPECT(!count[1]);
	apic_send(ICR_ASSERT | VECTOR, 1);
}

TEST(a_software_disabled_apic_takes_nmis_only)
{
	two_run(SMP_XAPIC, disabled_speaks, disabled_listens);
}
