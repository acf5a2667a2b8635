// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pins of the in-kernel IOAPIC as a guest programs them, from the line to the handler's EOI:
 * edge and level, masks, priorities, remote IRR, the trigger mode in TMR, destinations.
 */
#include "selftests/lib/smp.h"

#define IOAPIC	0xfec00000ull
#define PIN	14
#define OTHER	15
#define V	0x77		/* for PIN */
#define W	0x66		/* for OTHER, of a lower priority */

enum redir { EDGE = 0, LEVEL = 1 << 15, MASKED = 1 << 16, REMOTE_IRR = 1 << 14, LOGICAL = 1 << 11 };

static volatile uint32_t hits[256], last_cpu, lower_from, tmr_seen, order[8], orders;
static volatile bool leave;
static volatile uint32_t ready;

static GUEST_C uint32_t io_read(uint32_t reg)
{
	*(volatile uint32_t *)IOAPIC = reg;
	return *(volatile uint32_t *)(IOAPIC + 0x10);
}

static GUEST_C void io_write(uint32_t reg, uint32_t val)
{
	*(volatile uint32_t *)IOAPIC = reg;
	*(volatile uint32_t *)(IOAPIC + 0x10) = val;
}

static GUEST_C void set_entry(uint32_t pin, uint32_t low, uint32_t dest)
{
	io_write(0x10 + 2 * pin, low);
	io_write(0x11 + 2 * pin, dest << 24);
}

static GUEST_C uint32_t entry(uint32_t pin)
{
	return io_read(0x10 + 2 * pin);
}

static GUEST_C void pulse(uint32_t pin)
{
	guest_line(pin, true);
	guest_line(pin, false);
}

static GUEST_C bool tmr(uint32_t vector)
{
	return apic_read(AP_TMR + vector / 32 * 16) >> vector % 32 & 1;
}

static GUEST_C void count_it(struct guest_frame *frame)
{
	uint32_t vector = frame->vector;

	last_cpu = guest_cpu();
	tmr_seen = tmr(vector);
	if (orders < 8)
		order[orders++] = vector;
	/* Last: another vCPU waits for it. */
	hits[vector]++;
	if (lower_from && hits[vector] >= lower_from)
		guest_line(PIN, false);
	apic_write(AP_EOI, 0);
}

static GUEST_C void begin(void)
{
	hits[V] = hits[W] = orders = lower_from = 0;
	tmr_seen = 2;
	guest_handlers[V] = count_it;
	guest_handlers[W] = count_it;
}

static GUEST_C void settle(void)
{
	uint32_t i;

	for (i = 0; i < 8; i++)
		guest_out8(PORT_YIELD, 0);
}

static void in_both_modes(void (*main)(void))
{
	smp_run_one(SMP_XAPIC, main);
	smp_run_one(SMP_X2APIC, main);
}

/* ---- registers ---- */

static GUEST_C void registers(void)
{
	uint32_t version = io_read(1), id = io_read(0);

	io_write(1, ~version);
	GUEST_EXPECT(io_read(1) == version && (version & 0xff) == 0x11 && version >> 16 == 23);
	io_write(0, ~id);
	GUEST_EXPECT((io_read(0) ^ id) == 0x0f000000);
	io_write(0, 0x0f000000);
	GUEST_EXPECT(io_read(2) == 0x0f000000);
	io_write(2, 0);
	GUEST_EXPECT(io_read(2) == 0x0f000000);
	/* Neither delivery status nor remote IRR can be written. */
	set_entry(PIN, MASKED | LEVEL | REMOTE_IRR | 1 << 12 | V, 0x5a);
	GUEST_EXPECT(entry(PIN) == (MASKED | LEVEL | V));
	GUEST_EXPECT(io_read(0x11 + 2 * PIN) >> 24 == 0x5a);
}

TEST(what_can_be_written)
{
	smp_run_one(SMP_XAPIC, registers);
}

/* ---- edge ---- */

static GUEST_C void edges(void)
{
	begin();
	guest_sti();
	set_entry(PIN, EDGE | V, 0);
	pulse(PIN);
	GUEST_AT_ONCE(hits[V] == 1);
	pulse(PIN);
	GUEST_AT_ONCE(hits[V] == 2);
	GUEST_EXPECT(!tmr_seen);
	/* High for long: one edge. */
	guest_line(PIN, true);
	guest_line(PIN, true);
	settle();
	GUEST_EXPECT(hits[V] == 3);
	guest_line(PIN, false);
	/* While it is masked it is lost. */
	set_entry(PIN, EDGE | MASKED | V, 0);
	pulse(PIN);
	settle();
	set_entry(PIN, EDGE | V, 0);
	settle();
	GUEST_EXPECT(hits[V] == 3);
	pulse(PIN);
	GUEST_AT_ONCE(hits[V] == 4);
	settle();
	GUEST_EXPECT(hits[V] == 4 && !hits[W]);
}

TEST(each_edge_is_an_interrupt)
{
	in_both_modes(edges);
}

static GUEST_C void two_pins(void)
{
	begin();
	set_entry(PIN, EDGE | V, 0);
	set_entry(OTHER, EDGE | W, 0);
	guest_cli();
	pulse(OTHER);
	pulse(PIN);
	guest_sti();
	GUEST_AT_ONCE(hits[V] && hits[W]);
	GUEST_EXPECT(hits[V] == 1 && hits[W] == 1 && order[0] == V && order[1] == W);
}

TEST(of_two_pins_the_higher_vector_comes_first)
{
	in_both_modes(two_pins);
}

/* ---- level ---- */

static GUEST_C void levels(void)
{
	begin();
	lower_from = 1;
	guest_sti();
	set_entry(PIN, LEVEL | V, 0);
	guest_line(PIN, true);
	GUEST_AT_ONCE(hits[V] == 1);
	settle();
	GUEST_EXPECT(hits[V] == 1 && tmr_seen == 1 && !(entry(PIN) & REMOTE_IRR));
	guest_line(PIN, true);
	GUEST_AT_ONCE(hits[V] == 2);
	/* It stays high over two EOIs. */
	begin();
	lower_from = 3;
	guest_line(PIN, true);
	GUEST_AT_ONCE(hits[V] == 3);
	settle();
	GUEST_EXPECT(hits[V] == 3);
}

TEST(a_level_comes_until_it_falls)
{
	in_both_modes(levels);
}

/* Down and up within the handler, before EOI: it comes again; up and down: it does not. */
static GUEST_C void wiggle(struct guest_frame *frame)
{
	hits[frame->vector]++;
	GUEST_EXPECT(entry(PIN) & REMOTE_IRR);
	if (hits[frame->vector] == 1) {
		guest_line(PIN, false);
		guest_line(PIN, true);
		guest_line(PIN, lower_from);
	} else {
		guest_line(PIN, false);
	}
	apic_write(AP_EOI, 0);
}

static GUEST_C void coalesced(void)
{
	begin();
	guest_sti();
	guest_handlers[V] = wiggle;
	set_entry(PIN, LEVEL | V, 0);
	guest_line(PIN, true);
	GUEST_AT_ONCE(hits[V]);
	settle();
	GUEST_EXPECT(hits[V] == 1 && !(entry(PIN) & REMOTE_IRR));
	hits[V] = 0;
	lower_from = 1;
	guest_line(PIN, true);
	GUEST_AT_ONCE(hits[V] == 2);
	settle();
	GUEST_EXPECT(hits[V] == 2 && !(entry(PIN) & REMOTE_IRR));
}

TEST(a_level_that_changes_before_the_eoi)
{
	in_both_modes(coalesced);
}

static GUEST_C void masks_itself(struct guest_frame *frame)
{
	hits[frame->vector]++;
	set_entry(PIN, entry(PIN) | MASKED, 0);
	apic_write(AP_EOI, 0);
}

static GUEST_C void masked_levels(void)
{
	begin();
	lower_from = 1;
	guest_sti();
	set_entry(PIN, LEVEL | MASKED | V, 0);
	guest_line(PIN, true);
	settle();
	GUEST_EXPECT(!hits[V]);
	set_entry(PIN, LEVEL | V, 0);
	GUEST_AT_ONCE(hits[V] == 1);
	/* A handler that masks its pin and leaves the line high. */
	begin();
	guest_handlers[V] = masks_itself;
	guest_line(PIN, true);
	GUEST_AT_ONCE(hits[V] == 1);
	settle();
	GUEST_EXPECT(hits[V] == 1 && !(entry(PIN) & REMOTE_IRR));
	set_entry(PIN, LEVEL | V, 0);
	GUEST_AT_ONCE(hits[V] == 2);
	settle();
	GUEST_EXPECT(hits[V] == 2);
	guest_line(PIN, false);
	set_entry(PIN, LEVEL | V, 0);
	settle();
	GUEST_EXPECT(hits[V] == 2);
}

TEST(a_masked_level_waits)
{
	in_both_modes(masked_levels);
}

/* With interrupts off in between: HLT is left once for each. */
static GUEST_C void halting(void)
{
	uint32_t i;

	begin();
	lower_from = 2;
	set_entry(PIN, LEVEL | V, 0);
	guest_cli();
	guest_line(PIN, true);
	for (i = 0; i < 10 && hits[V] < 2; i++)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	GUEST_EXPECT(hits[V] == 2);
}

TEST(a_level_wakes_from_hlt)
{
	in_both_modes(halting);
}

/* ---- TMR follows the last interrupt of the vector ---- */

static GUEST_C void trigger_modes(void)
{
	static const uint8_t level[] = { 0, 1, 1, 0, 0 };
	uint32_t i, before = 0;

	guest_sti();
	for (i = 0; i < sizeof(level); i++) {
		begin();
		lower_from = 1;
		set_entry(PIN, (level[i] ? LEVEL : EDGE) | V, 0);
		GUEST_EXPECT(tmr(V) == before);
		guest_line(PIN, true);
		GUEST_AT_ONCE(hits[V] == 1);
		GUEST_EXPECT(tmr_seen == level[i]);
		before = level[i];
	}
}

TEST(tmr_is_that_of_the_last_interrupt)
{
	in_both_modes(trigger_modes);
}

/* ---- destinations ---- */

static GUEST_C void listen(void)
{
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (!leave) {
		guest_sti();
		guest_out8(PORT_YIELD, 0);
	}
}

/* The entry is sent elsewhere while its interrupt is in service: the EOI finds it all the same. */
static GUEST_C void moves_entry(struct guest_frame *frame)
{
	hits[frame->vector]++;
	guest_line(PIN, false);
	io_write(0x11 + 2 * PIN, 1u << 24);
	apic_write(AP_EOI, 0);
}

static GUEST_C void elsewhere(void)
{
	begin();
	lower_from = 1;
	GUEST_WAIT(ready);
	guest_sti();
	set_entry(PIN, LEVEL | V, 1);
	guest_line(PIN, true);
	GUEST_WAIT(hits[V]);
	GUEST_EXPECT(last_cpu == 1);
	settle();
	GUEST_EXPECT(hits[V] == 1);
	set_entry(OTHER, EDGE | W, 1);
	pulse(OTHER);
	GUEST_WAIT(hits[W]);
	GUEST_EXPECT(last_cpu == 1);
	begin();
	guest_handlers[V] = moves_entry;
	set_entry(PIN, LEVEL | V, 0);
	guest_line(PIN, true);
	GUEST_WAIT(hits[V]);
	GUEST_EXPECT(hits[V] == 1 && !(entry(PIN) & REMOTE_IRR));
	/* To nobody: nothing waits for an EOI that cannot come. */
	begin();
	lower_from = 1;
	set_entry(PIN, LEVEL | V, 0x77);
	guest_line(PIN, true);
	settle();
	GUEST_EXPECT(!hits[V]);
	set_entry(PIN, LEVEL | V, 0);
	GUEST_WAIT(hits[V]);
	GUEST_EXPECT(last_cpu == 0);
	leave = true;
}

static void two_run(enum smp_flag mode)
{
	struct smp smp;

	ready = leave = 0;
	smp_create(&smp, 2, mode);
	smp_start(&smp, 0, elsewhere);
	smp_start(&smp, 1, listen);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(physical_destinations)
{
	two_run(SMP_XAPIC);
	two_run(SMP_X2APIC);
}

static volatile uint32_t came[SMP_CPUS];

static GUEST_C void each_counts(struct guest_frame *frame)
{
	(void)frame;
	came[guest_cpu()]++;
	guest_line(PIN, false);
	apic_write(AP_EOI, 0);
}

static GUEST_C void expect_set(uint32_t mode, uint32_t dest, uint32_t want)
{
	uint32_t i, tries, have;

	set_entry(PIN, mode | V, dest);
	guest_line(PIN, true);
	for (tries = 0; tries < 3000; tries++) {
		for (have = i = 0; i < SMP_CPUS; i++)
			have |= !!came[i] << i;
		/* A handler that has counted may not have come to its EOI yet. */
		if (have == want && !(entry(PIN) & REMOTE_IRR))
			break;
		guest_out8(PORT_YIELD, 0);
	}
	settle();
	for (have = i = 0; i < SMP_CPUS; i++) {
		have |= !!came[i] << i;
		GUEST_EXPECT(came[i] <= 1);
		came[i] = 0;
	}
	GUEST_EXPECT(have == want && !(entry(PIN) & REMOTE_IRR));
	guest_line(PIN, false);
}

static GUEST_C void logical(void)
{
	guest_handlers[V] = each_counts;
	if (!guest_x2apic())
		apic_write(AP_LDR, 0x01000000u << guest_cpu());
	if (guest_cpu()) {
		listen();
		return;
	}
	GUEST_WAIT(ready == SMP_CPUS - 1);
	guest_sti();
	expect_set(EDGE | LOGICAL, 0xd, 0xd);
	expect_set(EDGE | LOGICAL, 0x2, 2);
	expect_set(EDGE | LOGICAL, 0xff, 0xf);
	expect_set(EDGE, 0xff, 0xf);
	expect_set(EDGE, 3, 8);
	expect_set(LEVEL | LOGICAL, 0x8, 8);
	leave = true;
}

static void all_logical(enum smp_flag mode)
{
	struct smp smp;
	unsigned int i;

	ready = leave = 0;
	smp_create(&smp, SMP_CPUS, mode);
	for (i = 0; i < SMP_CPUS; i++)
		smp_start(&smp, i, logical);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(logical_destinations)
{
	all_logical(SMP_XAPIC);
	all_logical(SMP_X2APIC);
}

/* A level that goes to several: each takes it once, and the last EOI ends it. */
static GUEST_C void level_to_three(void)
{
	guest_handlers[V] = each_counts;
	if (guest_cpu()) {
		listen();
		return;
	}
	GUEST_WAIT(ready == SMP_CPUS - 1);
	guest_sti();
	set_entry(PIN, LEVEL | LOGICAL | V, 0xd);
	guest_line(PIN, true);
	GUEST_WAIT(came[0] && came[2] && came[3]);
	settle();
	GUEST_EXPECT(!came[1] && !(entry(PIN) & REMOTE_IRR));
	leave = true;
}

TEST(a_level_for_three)
{
	struct smp smp;
	unsigned int i;

	smp_create(&smp, SMP_CPUS, SMP_X2APIC);
	for (i = 0; i < SMP_CPUS; i++)
		smp_start(&smp, i, level_to_three);
	smp_run(&smp);
	smp_destroy(&smp);
}
