// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest does to its own local APIC: modes and address, ID, errors, the timer; and INIT and
 * SIPI that it sends.
 */
#include "selftests/lib/smp.h"

#define VECTOR	0x61

static volatile uint32_t hits, errors;

static GUEST_C void count_it(struct guest_frame *frame)
{
	(void)frame;
	hits++;
	apic_write(AP_EOI, 0);
}

static void in_both_modes(void (*main)(void))
{
	hits = 0;
	smp_run_one(SMP_XAPIC, main);
	hits = 0;
	smp_run_one(SMP_X2APIC, main);
}

/* ---- IA32_APIC_BASE ---- */

static GUEST_C uint32_t cpuid_edx(uint32_t leaf)
{
	uint32_t eax = leaf, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return edx;
}

static GUEST_C bool has_apic(void)
{
	return cpuid_edx(1) >> 9 & 1;
}

static GUEST_C uint64_t read_cr8(void)
{
	uint64_t cr8;

	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8) : : "memory");
	return cr8;
}

static GUEST_C void write_cr8(uint64_t cr8)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(cr8) : "memory");
}

static GUEST_C uint32_t window(uint32_t reg)
{
	return *(volatile uint32_t *)(XAPIC + reg);
}

/* Nothing answers in the window; CR8 is there all the same. */
static GUEST_C void expect_no_window(void)
{
	uint64_t cr8 = read_cr8();

	*(volatile uint32_t *)(XAPIC + AP_TPR) = 0xff;
	*(volatile uint32_t *)(XAPIC + AP_ICR) = ICR_SELF | VECTOR;
	GUEST_EXPECT(window(AP_VERSION) == ~0u && window(AP_TPR) == ~0u);
	GUEST_EXPECT(read_cr8() == cr8);
	write_cr8(cr8 ^ 15);
	GUEST_EXPECT(read_cr8() == (cr8 ^ 15) && window(AP_TPR) == ~0u);
	write_cr8(cr8);
}

/* From a mode to each of the four that the two bits name. */
static GUEST_C void transitions(void)
{
	uint64_t base = guest_rdmsr(MSR_BASE) & ~(uint64_t)(BASE_EN | BASE_EXTD);

	guest_handlers[13] = guest_skip;
	/* xAPIC */
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EXTD));
	GUEST_EXPECT(!guest_wrmsr_faults(MSR_BASE, base | BASE_EN));
	GUEST_EXPECT(guest_rdmsr_faults(X2_MSR(AP_ID)) && has_apic());
	GUEST_EXPECT(guest_wrmsr_faults(X2_MSR(AP_EOI), 0));
	/* x2APIC */
	GUEST_EXPECT(!guest_wrmsr_faults(MSR_BASE, base | BASE_EN | BASE_EXTD));
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EXTD));
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EN));
	GUEST_EXPECT(!guest_rdmsr_faults(X2_MSR(AP_ID)) && has_apic());
	expect_no_window();
	/* disabled */
	GUEST_EXPECT(!guest_wrmsr_faults(MSR_BASE, base));
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EXTD));
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EN | BASE_EXTD));
	GUEST_EXPECT(guest_rdmsr_faults(X2_MSR(AP_ID)) && !has_apic());
	expect_no_window();
	/* Bits that do not exist change nothing. */
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | 1));
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EN | 1ull << 9));
	GUEST_EXPECT(guest_wrmsr_faults(MSR_BASE, base | BASE_EN | 1ull << 62));
	GUEST_EXPECT(guest_rdmsr(MSR_BASE) == base);
	GUEST_EXPECT(!guest_wrmsr_faults(MSR_BASE, base | BASE_EN));
	GUEST_EXPECT(has_apic() && (window(AP_VERSION) & 0xff) == 0x14);
	write_cr8(9);
	GUEST_EXPECT(window(AP_TPR) == 0x90);
}

TEST(modes_and_the_ways_between_them)
{
	if (getenv("OKVM_DEVICE"))
		test_skip("upstream shows its APIC-access page to a guest without xAPIC");
	smp_run_one(SMP_XAPIC, transitions);
}

static GUEST_C void relocation(void)
{
	uint64_t base = guest_rdmsr(MSR_BASE);
	volatile uint32_t *there = (volatile uint32_t *)0xfed40000ul;
	uint32_t version = window(AP_VERSION);

	guest_handlers[VECTOR] = count_it;
	guest_wrmsr(MSR_BASE, base & ~(uint64_t)BASE_EN);
	guest_wrmsr(MSR_BASE, (base & 0xfff) | 0xfed40000);
	GUEST_EXPECT(there[AP_VERSION / 4] == version);
	guest_wrmsr(MSR_BASE, base);
	GUEST_EXPECT(window(AP_VERSION) == version);
	apic_write(AP_SPIV, 0x1ff);
	guest_sti();
	apic_send(ICR_SELF | VECTOR, 0);
	GUEST_AT_ONCE(hits == 1);
}

TEST(the_window_elsewhere)
{
	hits = 0;
	smp_run_one(SMP_XAPIC, relocation);
}

/* vCPU 1, whose ID is not 0. */
static GUEST_C void ids(void)
{
	uint64_t base = guest_rdmsr(MSR_BASE);

	guest_handlers[13] = guest_skip;
	GUEST_EXPECT(window(AP_ID) == 1u << 24);
	*(volatile uint32_t *)(XAPIC + AP_ID) = 2u << 24;
	GUEST_EXPECT(window(AP_ID) == 2u << 24);
	guest_wrmsr(MSR_BASE, base | BASE_EXTD);
	GUEST_EXPECT(guest_rdmsr(X2_MSR(AP_ID)) == 1 && guest_rdmsr(X2_MSR(AP_LDR)) == 2);
	GUEST_EXPECT(guest_wrmsr_faults(X2_MSR(AP_ID), 2ull << 24));
	GUEST_EXPECT(guest_wrmsr_faults(X2_MSR(AP_LDR), 1));
	GUEST_EXPECT(guest_rdmsr_faults(X2_MSR(AP_DFR)) && guest_rdmsr_faults(X2_MSR(AP_ICR2)));
	guest_wrmsr(MSR_BASE, base & ~(uint64_t)(BASE_EN | BASE_EXTD));
	guest_wrmsr(MSR_BASE, base);
	GUEST_EXPECT(window(AP_ID) == 1u << 24);
}

TEST(the_id_in_each_mode)
{
	struct smp smp;

	smp_create(&smp, 2, SMP_XAPIC);
	smp_start(&smp, 1, ids);
	smp_run(&smp);
	smp_destroy(&smp);
}

/* ---- errors ---- */

static GUEST_C void count_error(struct guest_frame *frame)
{
	(void)frame;
	errors++;
	apic_write(AP_EOI, 0);
}

static GUEST_C uint32_t esr(void)
{
	apic_write(AP_ESR, 0);
	return apic_read(AP_ESR);
}

static GUEST_C void illegal_vectors(void)
{
	errors = 0;
	guest_handlers[0x50] = count_error;
	apic_write(AP_LVT0 + 0x20, 0x50);
	guest_sti();
	GUEST_EXPECT(esr() == 0);
	apic_send(ICR_SELF | 5, 0);
	GUEST_AT_ONCE(errors == 1);
	GUEST_EXPECT(esr() == 0x20 && esr() == 0);
}

TEST(an_illegal_vector_is_an_error)
{
	if (getenv("OKVM_DEVICE"))
		test_skip("upstream sends it");
	in_both_modes(illegal_vectors);
}

/* ---- the timer ---- */

#define ONE_SHOT	0u
#define PERIODIC	(1u << 17)
#define DEADLINE	(2u << 17)
#define LVT_MASKED	(1u << 16)
#define MSR_DEADLINE	0x6e0
#define COUNT		0x1000000u	/* at divisor 1 and 1 GHz: 16 ms */

static GUEST_C void wait_half(void)
{
	GUEST_WAIT(apic_read(AP_TMCCT) < COUNT / 2);
}

static GUEST_C void timer_begin(uint32_t mode)
{
	guest_handlers[VECTOR] = count_it;
	hits = 0;
	guest_sti();
	apic_write(AP_LVTT, mode | VECTOR);
	apic_write(AP_TDCR, 0xb);
}

static GUEST_C void one_shot(void)
{
	timer_begin(ONE_SHOT);
	GUEST_EXPECT(apic_read(AP_TMCCT) == 0);
	apic_write(AP_TMICT, COUNT);
	GUEST_EXPECT(apic_read(AP_TMICT) == COUNT);
	GUEST_EXPECT(apic_read(AP_TMCCT) && apic_read(AP_TMCCT) <= COUNT);
	GUEST_WAIT(hits);
	GUEST_EXPECT(hits == 1 && apic_read(AP_TMCCT) == 0);
	/* Periodic now: what has ended stays ended. */
	apic_write(AP_LVTT, PERIODIC | VECTOR);
	GUEST_EXPECT(apic_read(AP_TMCCT) == 0 && apic_read(AP_TMICT) == COUNT);
	/* 0 stops. */
	apic_write(AP_LVTT, ONE_SHOT | VECTOR);
	apic_write(AP_TMICT, COUNT);
	apic_write(AP_TMICT, 0);
	GUEST_EXPECT(apic_read(AP_TMCCT) == 0);
	GUEST_EXPECT(hits == 1);
}

TEST(one_shot_timer)
{
	in_both_modes(one_shot);
}

static GUEST_C void change_of_mode(void)
{
	timer_begin(ONE_SHOT);
	apic_write(AP_TMICT, COUNT);
	wait_half();
	GUEST_EXPECT(!hits);
	apic_write(AP_LVTT, PERIODIC | VECTOR);
	GUEST_EXPECT(apic_read(AP_TMICT) == COUNT);
	GUEST_EXPECT(hits || apic_read(AP_TMCCT) < COUNT / 2);
	GUEST_WAIT(hits >= 1);
	/* Round again. */
	GUEST_WAIT(apic_read(AP_TMCCT) > COUNT / 2);
	GUEST_WAIT(hits >= 3);
	wait_half();
	apic_write(AP_LVTT, ONE_SHOT | VECTOR);
	hits = 0;
	GUEST_WAIT(!apic_read(AP_TMCCT));
	GUEST_WAIT(hits);
	GUEST_EXPECT(hits == 1 && !apic_read(AP_TMCCT));
}

TEST(the_timer_changes_its_mode_while_it_counts)
{
	in_both_modes(change_of_mode);
}

static GUEST_C void masked_timer(void)
{
	timer_begin(LVT_MASKED);
	apic_write(AP_TMICT, COUNT / 4);
	GUEST_WAIT(!apic_read(AP_TMCCT));
	apic_write(AP_LVTT, VECTOR);
	GUEST_AT_ONCE(!hits);
	/* Periodic and masked: it counts on, and the next round is an interrupt. */
	apic_write(AP_LVTT, LVT_MASKED | PERIODIC | VECTOR);
	apic_write(AP_TMICT, COUNT);
	wait_half();
	GUEST_WAIT(apic_read(AP_TMCCT) > COUNT / 2);
	GUEST_EXPECT(!hits);
	apic_write(AP_LVTT, PERIODIC | VECTOR);
	GUEST_WAIT(hits);
	apic_write(AP_TMICT, 0);
}

TEST(a_masked_timer_counts)
{
	in_both_modes(masked_timer);
}

static GUEST_C void deadlines(void)
{
	uint64_t now;

	timer_begin(DEADLINE);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	/* In the past, and now. */
	guest_wrmsr(MSR_DEADLINE, 1);
	GUEST_AT_ONCE(hits == 1);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	guest_wrmsr(MSR_DEADLINE, guest_rdmsr(0x10));
	GUEST_AT_ONCE(hits == 2);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	now = guest_rdtsc();
	guest_wrmsr(MSR_DEADLINE, now + 2000000);
	GUEST_WAIT(hits == 3);
	GUEST_EXPECT(guest_rdtsc() - now >= 2000000);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	/* Never. */
	guest_wrmsr(MSR_DEADLINE, ~0ull);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == ~0ull);
	guest_wrmsr(MSR_DEADLINE, 0);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	/* No count in this mode, and no deadline in another. */
	apic_write(AP_TMICT, COUNT);
	GUEST_EXPECT(apic_read(AP_TMICT) == 0 && apic_read(AP_TMCCT) == 0);
	guest_wrmsr(MSR_DEADLINE, guest_rdtsc() + (1ull << 40));
	apic_write(AP_LVTT, ONE_SHOT | VECTOR);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	guest_wrmsr(MSR_DEADLINE, 1);
	GUEST_AT_ONCE(hits == 3);
	apic_write(AP_LVTT, DEADLINE | VECTOR);
	GUEST_AT_ONCE(hits == 3);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
}

TEST(tsc_deadlines)
{
	if (getenv("OKVM_DEVICE"))
		test_skip("upstream keeps a count in this mode");
	in_both_modes(deadlines);
}

/* A deadline moves with the TSC that it is compared with. */
static GUEST_C void deadline_and_tsc(void)
{
	uint64_t now;

	timer_begin(DEADLINE);
	now = guest_rdtsc();
	guest_wrmsr(MSR_DEADLINE, now + (1ull << 40));
	GUEST_AT_ONCE(!hits);
	guest_wrmsr(0x10, now + (1ull << 40) + 1);
	GUEST_WAIT(hits == 1);
	GUEST_EXPECT(guest_rdmsr(MSR_DEADLINE) == 0);
	/* From HLT, too. */
	guest_cli();
	guest_wrmsr(MSR_DEADLINE, guest_rdtsc() + 3000000);
	__asm__ volatile("sti; hlt" : : : "memory");
	GUEST_EXPECT(hits == 2);
}

TEST(a_deadline_follows_the_tsc)
{
	if (getenv("OKVM_DEVICE"))
		test_skip("upstream's waits for the old time");
	in_both_modes(deadline_and_tsc);
}

/*
 * The hypervisor starts its timer early, by what it has learned from earlier ticks: those in HLT
 * take longer than that of a running CPU. No handler begins before its deadline all the same.
 */
static volatile uint64_t begun;

static GUEST_C void note_time(struct guest_frame *frame)
{
	begun = guest_rdtsc();
	count_it(frame);
}

static GUEST_C void early_deadlines(void)
{
	uint64_t deadline;
	uint32_t i;

	timer_begin(DEADLINE);
	guest_handlers[VECTOR] = note_time;
	for (i = 0; i < 60; i++) {
		guest_cli();
		hits = 0;
		deadline = guest_rdtsc() + (i % 6 == 5 ? 20000 : 400000);
		guest_wrmsr(MSR_DEADLINE, deadline);
		if (i % 6 == 5) {
			guest_sti();
			while (!hits)
				;
		} else {
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		}
		GUEST_EXPECT(hits == 1);
		GUEST_EXPECT(begun >= deadline);
	}
	guest_sti();
}

#define ADVANCE	"/sys/module/okvm/parameters/timer_advance_ns"

static void set_advance(const char *ns)
{
	FILE *file = fopen(ADVANCE, "w");

	REQUIRE(file && fputs(ns, file) >= 0 && fclose(file) == 0);
}

TEST(no_deadline_comes_early)
{
	char before[32] = "";
	FILE *file = fopen(ADVANCE, "r");

	if (getenv("OKVM_DEVICE"))
		test_skip("a parameter of okvm");
	REQUIRE(file && fgets(before, sizeof(before), file));
	fclose(file);
	/* On an emulated machine a tick takes longer than the default. */
	set_advance("100000");
	in_both_modes(early_deadlines);
	set_advance("0");
	in_both_modes(early_deadlines);
	set_advance(before);
}

static GUEST_C void periodic_in_hlt(void)
{
	uint32_t i;

	timer_begin(PERIODIC);
	guest_cli();
	apic_write(AP_TMICT, COUNT);
	for (i = 0; i < 5; i++)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	GUEST_EXPECT(hits == 5);
	apic_write(AP_TMICT, 0);
}

TEST(each_period_ends_one_hlt)
{
	in_both_modes(periodic_in_hlt);
}

/* ---- INIT and SIPI ---- */

#define AP_CODE		0x9000
#define AP_COUNT	0x7f00		/* how often the second vCPU started at AP_CODE */
#define AP_END		0x7f04		/* it ends once this is set */

/* In real mode, at CS:0. */
GUEST(started, 16)
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	lock incl 0x7f00\n"
	"1:	cmpl $0, 0x7f04\n"
	"	jne 2f\n"
	"	out %al, $0x12\n"
	"	jmp 1b\n"
	"2:	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(started);

#define AP_NMI		0x9800

GUEST(nmi_comes, 16)
	"	lock addl $16, 0x7f00\n"
	"	iret\n"
GUEST_END(nmi_comes);

static volatile bool leave;
static volatile uint32_t stage;

static GUEST_C volatile uint32_t *word(uintptr_t at)
{
	__asm__("" : "+r"(at));
	return (volatile uint32_t *)at;
}

static GUEST_C void settle(void)
{
	uint32_t i;

	for (i = 0; i < 30; i++)
		guest_out8(PORT_YIELD, 0);
}

/* INIT alone stops it; the first SIPI starts it, a second one does nothing. */
static GUEST_C void start_other(uint32_t shorthand)
{
	uint32_t before = *word(AP_COUNT);

	apic_send(ICR_INIT | ICR_ASSERT | shorthand, 1);
	settle();
	GUEST_EXPECT(*word(AP_COUNT) == before);
	apic_send(ICR_INIT | ICR_LEVEL | shorthand, 1);
	apic_send(ICR_SIPI | ICR_ASSERT | AP_CODE >> 12 | shorthand, 1);
	GUEST_WAIT(*word(AP_COUNT) == before + 1);
	apic_send(ICR_SIPI | ICR_ASSERT | AP_CODE >> 12 | shorthand, 1);
	settle();
	GUEST_EXPECT(*word(AP_COUNT) == before + 1);
}

/* Whatever it does: it waits in HLT, spins with interrupts off, is in an NMI handler, waits. */
static GUEST_C void starts_others(void)
{
	GUEST_WAIT(stage);
	settle();
	start_other(0);
	start_other(ICR_OTHERS);
	/* A SIPI alone does not reach one that runs. */
	apic_send(ICR_SIPI | ICR_ASSERT | AP_CODE >> 12, 1);
	settle();
	GUEST_EXPECT(*word(AP_COUNT) == 2);
	*word(AP_END) = 1;
}

static GUEST_C void in_hlt(void)
{
	stage = 1;
	__asm__ volatile("cli; 1: hlt; jmp 1b");
}

static GUEST_C void in_loop(void)
{
	stage = 1;
	guest_cli();
	while (!leave)
		guest_out8(PORT_YIELD, 0);
}

/* A second one waits: INIT drops it. */
static GUEST_C void nmi_loops(struct guest_frame *frame)
{
	(void)frame;
	apic_send(ICR_NMI | ICR_ASSERT, 1);
	in_loop();
}

static GUEST_C void in_nmi(void)
{
	guest_handlers[2] = nmi_loops;
	apic_send(ICR_NMI | ICR_ASSERT, 1);
	while (!leave)
		guest_out8(PORT_YIELD, 0);
}

static GUEST_C void with_interrupts(void)
{
	guest_cli();
	apic_send(ICR_SELF | VECTOR, 0);
	apic_write(AP_TPR, 0x40);
	apic_write(AP_LVTT, PERIODIC | VECTOR);
	apic_write(AP_TMICT, COUNT);
	in_loop();
}

static void started_from(enum smp_flag mode, void (*state)(void))
{
	struct smp smp;

	stage = 0;
	smp_create(&smp, 2, mode);
	memcpy(smp.vm.mem + AP_CODE, guest_started, guest_started_end - guest_started);
	/* An NMI in real mode would be counted as many starts. */
	memcpy(smp.vm.mem + AP_NMI, guest_nmi_comes, guest_nmi_comes_end - guest_nmi_comes);
	*(uint32_t *)(smp.vm.mem + 2 * 4) = AP_NMI;
	smp_start(&smp, 0, starts_others);
	smp_start(&smp, 1, state);
	smp_run(&smp);
	smp_destroy(&smp);
}

TEST(init_and_sipi_from_hlt)
{
	started_from(SMP_XAPIC, in_hlt);
	started_from(SMP_X2APIC, in_hlt);
}

TEST(init_and_sipi_from_a_loop)
{
	started_from(SMP_XAPIC, in_loop);
	started_from(SMP_X2APIC, in_loop);
}

TEST(init_and_sipi_from_an_nmi_handler)
{
	started_from(SMP_XAPIC, in_nmi);
}

TEST(init_and_sipi_with_interrupts_waiting)
{
	started_from(SMP_XAPIC, with_interrupts);
	started_from(SMP_X2APIC, with_interrupts);
}

/* At the reset vector: CS base 0xffff0000, IP 0xfff0. */
GUEST(reset, 16)
	"	mov $0x77, %al\n"
	"	mov %al, 0x7f00\n"
	"	out %al, $0x10\n"
	"	hlt\n"
GUEST_END(reset);

static GUEST_C void init_self(void)
{
	apic_send(ICR_INIT | ICR_ASSERT, 0);
	GUEST_EXPECT(false);
}

TEST(init_sends_the_boot_processor_to_its_reset_vector)
{
	static uint8_t rom[4096] __attribute__((aligned(4096)));
	struct smp smp;

	memcpy(rom + 0xff0, guest_reset, guest_reset_end - guest_reset);
	smp_create(&smp, 1, SMP_X2APIC);
	vm_slot(&smp.vm, 2, 0xfffff000, sizeof(rom), rom, 0);
	smp_start(&smp, 0, init_self);
	smp_run(&smp);
	EXPECT_EQ(smp.vm.mem[AP_COUNT], 0x77);
	smp_destroy(&smp);
}
