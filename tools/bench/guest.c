// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm-bench, guest side: one small function per operation, each sample the difference of two
 * RDTSCs around it, or of what the machine has counted (count.h). Long mode, identity mapping,
 * interrupts on, x2APIC but where the name says else.
 *
 * A function returns AROUND to have the difference around its call taken, or its own figure.
 */
#include <stdbool.h>

#include "bench.h"
#include "count.h"

#define MSR_TSC_ADJUST	0x3b
#define MSR_APIC_BASE	0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define X2APIC_EOI	0x80b
#define X2APIC_SVR	0x80f
#define X2APIC_LVTT	0x832
#define X2APIC_ICR	0x830
#define X2APIC_SELF_IPI	0x83f
#define XAPIC		0xfee00000ull
#define XAPIC_EOI	0xb0
#define XAPIC_SVR	0xf0
#define XAPIC_ICR	0x300
#define ICR_TO_SELF	0x44000
#define AROUND		(1ull << 63)
#define CR3_NOFLUSH	(1ull << 63)
#define CR4_PCIDE	(1ull << 17)

struct frame;

static struct bench_shared * const shared = (void *)GUEST_SHARED;
static uint64_t touch_next;
static uint64_t tsc_adjust;

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

/* A sample begins here; if one has already, this is where it begins. */
static inline uint64_t begin(void)
{
	return shared->counting ? count_mark(COUNT_BEGIN) : rdtsc();
}

/* The counts begin here, but a profile has only what follows the TSC value @from. */
static inline uint64_t begin_at(uint64_t from)
{
	return count_mark_later(COUNT_BEGIN_LATER, from - rdtsc());
}

static inline uint64_t end(void)
{
	return shared->counting ? count_mark(COUNT_END) : rdtsc();
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (uint64_t)hi << 32;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline void xapic_write(uint32_t reg, uint32_t value)
{
	asm volatile("movl %0, (%1)" : : "r"(value), "r"(XAPIC + reg) : "memory");
}

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void cr8_write(uint64_t value)
{
	asm volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static void wait_fired(void)
{
	while (!shared->fired)
		asm volatile("nop");
}

static uint64_t op_empty(void)
{
	return AROUND;
}

static uint64_t op_cpuid(void)
{
	uint32_t eax = 0, ecx = 0;

	asm volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
	return AROUND;
}

static uint64_t op_vmcall(void)
{
	uint64_t nr = 1;	/* VAPIC_POLL_IRQ: nothing to do, answers 0 */

	if (shared->amd)
		asm volatile("vmmcall" : "+a"(nr) : : "memory");
	else
		asm volatile("vmcall" : "+a"(nr) : : "memory");
	return AROUND;
}

static uint64_t op_pio_in(void)
{
	inb(PORT_PIC_MASK);
	return AROUND;
}

static uint64_t op_pio_out(void)
{
	outb(PORT_PIC_MASK, 0xff);
	return AROUND;
}

static uint64_t op_pio_user_in(void)
{
	inb(PORT_USER);
	return AROUND;
}

static uint64_t op_pio_user_out(void)
{
	outb(PORT_USER, 0);
	return AROUND;
}

static uint64_t op_mmio_read(void)
{
	uint32_t value;

	asm volatile("movl (%1), %0" : "=r"(value) : "r"(MMIO_USER) : "memory");
	return AROUND;
}

static uint64_t op_mmio_write(void)
{
	asm volatile("movl %0, (%1)" : : "r"(0), "r"(MMIO_USER) : "memory");
	return AROUND;
}

static uint64_t op_rdmsr(void)
{
	rdmsr(MSR_TSC_ADJUST);
	return AROUND;
}

static uint64_t op_wrmsr(void)
{
	wrmsr(MSR_TSC_ADJUST, tsc_adjust);
	return AROUND;
}

static uint64_t op_cr0_wp(void)
{
	uint64_t cr0;

	asm volatile("mov %%cr0, %0\n\t"
		     "btc $16, %0\n\t"
		     "mov %0, %%cr0\n\t"
		     "btc $16, %0\n\t"
		     "mov %0, %%cr0" : "=&r"(cr0) : : "memory");
	return AROUND;
}

static uint64_t op_cr4_pge(void)
{
	uint64_t cr4;

	asm volatile("mov %%cr4, %0\n\t"
		     "btc $7, %0\n\t"
		     "mov %0, %%cr4\n\t"
		     "btc $7, %0\n\t"
		     "mov %0, %%cr4" : "=&r"(cr4) : : "memory");
	return AROUND;
}

static inline void cr3_write(uint64_t cr3)
{
	asm volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

static uint64_t op_cr3(void)
{
	cr3_write(GUEST_SPARE);
	cr3_write(GUEST_TABLES);
	return AROUND;
}

static uint64_t op_cr3_pcid(void)
{
	cr3_write(GUEST_SPARE | 1 | CR3_NOFLUSH);
	cr3_write(GUEST_TABLES | CR3_NOFLUSH);
	return AROUND;
}

static uint64_t op_invlpg(void)
{
	asm volatile("invlpg (%0)" : : "r"(PAGES_4K) : "memory");
	return AROUND;
}

/* The handler goes on behind these two bytes. */
static uint64_t op_pf_guest(void)
{
	asm volatile(".byte 0x8a, 0x00" : : "a"(NO_PAGES) : "memory");
	return AROUND;
}

static uint64_t op_cr8(void)
{
	cr8_write(0);
	return AROUND;
}

static uint64_t op_self_ipi(void)
{
	wrmsr(X2APIC_SELF_IPI, VECTOR_EVENT);
	wait_fired();
	return AROUND;
}

static uint64_t op_eoi(void)
{
	wrmsr(X2APIC_SELF_IPI, VECTOR_EVENT);
	wait_fired();
	return shared->eoi_cost;
}

static uint64_t op_self_ipi_xapic(void)
{
	xapic_write(XAPIC_ICR, ICR_TO_SELF | VECTOR_EVENT);
	wait_fired();
	return AROUND;
}

static uint64_t op_eoi_xapic(void)
{
	xapic_write(XAPIC_ICR, ICR_TO_SELF | VECTOR_EVENT);
	wait_fired();
	return shared->eoi_cost;
}

static uint64_t op_self_ipi_tpr(void)
{
	cr8_write(15);
	wrmsr(X2APIC_SELF_IPI, VECTOR_EVENT);
	cr8_write(0);
	wait_fired();
	return AROUND;
}

static uint64_t op_tsc_deadline(void)
{
	wrmsr(MSR_TSC_DEADLINE, 1);
	wait_fired();
	return AROUND;
}

/* The counts are from the arming on, which is soon enough before for few ticks of the host. */
static uint64_t op_timer(void)
{
	uint64_t wait = shared->counting ? shared->ticks_per_ms / 5 : 2 * shared->ticks_per_ms;
	uint64_t start = rdtsc() + wait;

	wrmsr(MSR_TSC_DEADLINE, start);
	if (shared->counting)
		start = begin_at(start);
	wait_fired();
	return shared->fired_at - start;
}

/* The counts are those of HLT and of the wake-up. */
static uint64_t op_hlt_wake(void)
{
	uint64_t start = rdtsc() + 2 * shared->ticks_per_ms;

	asm volatile("cli");
	wrmsr(MSR_TSC_DEADLINE, start);
	if (shared->counting)
		start = begin_at(start);
	while (!shared->fired)
		asm volatile("sti; hlt; cli" : : : "memory");
	asm volatile("sti");
	return shared->fired_at - start;
}

/* The OUT's own way through userspace is measured beside it and taken off. */
static uint64_t op_irqfd(void)
{
	uint64_t t0, t1, t2;

	t0 = begin();
	outb(PORT_USER, 0);
	t1 = begin();
	outb(PORT_IRQFD, 0);
	wait_fired();
	t2 = end();
	return (t2 - t1) - (t1 - t0);
}

static uint64_t op_eventfd_pio(void)
{
	outb(PORT_EVENTFD, 0);
	return AROUND;
}

static uint64_t op_eventfd_mmio(void)
{
	asm volatile("movl %0, (%1)" : : "r"(0), "r"(MMIO_EVENTFD) : "memory");
	return AROUND;
}

static uint64_t touch(uint64_t base, uint64_t step)
{
	*(volatile uint8_t *)(base + touch_next * step) = 1;
	touch_next++;
	return AROUND;
}

static uint64_t op_touch_4k(void)
{
	return touch(TOUCH_4K, 4096);
}

static uint64_t op_pf_mapped(void)
{
	return touch(PAGES_4K, 8 * 4096);
}

static uint64_t op_touch_4k_fresh(void)
{
	return touch(TOUCH_4K_FRESH, 4096);
}

static uint64_t op_touch_2m(void)
{
	return touch(TOUCH_2M, 2 << 20);
}

static void delay(uint64_t ticks)
{
	uint64_t end = rdtsc() + ticks;

	while (rdtsc() < end)
		;
}

static uint64_t ipi_to_peer(void)
{
	uint64_t t0, t1;

	shared->ack = 0;
	t0 = begin();
	wrmsr(X2APIC_ICR, 1ull << 32 | 1 << 14 | VECTOR_PEER);
	while (!shared->ack)
		asm volatile("nop");
	t1 = end();
	return t1 - t0;
}

/* Leaves the peer time to finish its handler. */
static uint64_t op_ipi_running(void)
{
	delay(shared->ticks_per_ms / 10);
	return ipi_to_peer();
}

/*
 * The CPU has interrupted itself in an exit that the hypervisor handles at once, and has not left
 * the guest for longer than that since.
 */
static uint64_t op_ipi_kicked(void)
{
	shared->peer_kick = 1;
	while (shared->peer_kick)
		;
	delay(shared->ticks_per_ms / 10);
	return ipi_to_peer();
}

/* Long enough for the host to have stopped polling for the halted CPU. */
static uint64_t op_ipi_halted(void)
{
	while (!shared->peer_halted)
		;
	delay(2 * shared->ticks_per_ms);
	return ipi_to_peer();
}

/* Both CPUs halt while they wait, so that one host CPU can serve them by turns. */
static uint64_t op_ipi_round(void)
{
	asm volatile("cli");
	wrmsr(X2APIC_ICR, 1ull << 32 | 1 << 14 | VECTOR_PEER);
	while (!shared->fired)
		asm volatile("sti; hlt; cli" : : : "memory");
	asm volatile("sti");
	return AROUND;
}

static uint64_t (* const ops[NR_OPS])(void) = {
	[OP_EMPTY] = op_empty,
	[OP_CPUID] = op_cpuid,
	[OP_VMCALL] = op_vmcall,
	[OP_PIO_IN] = op_pio_in,
	[OP_PIO_OUT] = op_pio_out,
	[OP_PIO_USER_IN] = op_pio_user_in,
	[OP_PIO_USER_OUT] = op_pio_user_out,
	[OP_MMIO_RD] = op_mmio_read,
	[OP_MMIO_WR] = op_mmio_write,
	[OP_RDMSR] = op_rdmsr,
	[OP_WRMSR] = op_wrmsr,
	[OP_CR0_WP] = op_cr0_wp,
	[OP_CR4_PGE] = op_cr4_pge,
	[OP_CR3] = op_cr3,
	[OP_CR3_PCID] = op_cr3_pcid,
	[OP_INVLPG] = op_invlpg,
	[OP_PF_GUEST] = op_pf_guest,
	[OP_PF_MAPPED] = op_pf_mapped,
	[OP_CR8] = op_cr8,
	[OP_EOI] = op_eoi,
	[OP_SELF_IPI] = op_self_ipi,
	[OP_SELF_IPI_TPR] = op_self_ipi_tpr,
	[OP_EOI_XAPIC] = op_eoi_xapic,
	[OP_SELF_IPI_XAPIC] = op_self_ipi_xapic,
	[OP_TSC_DEADLINE] = op_tsc_deadline,
	[OP_TIMER] = op_timer,
	[OP_HLT_WAKE] = op_hlt_wake,
	[OP_IRQFD] = op_irqfd,
	[OP_EVENTFD_PIO] = op_eventfd_pio,
	[OP_EVENTFD_MMIO] = op_eventfd_mmio,
	[OP_TOUCH4K] = op_touch_4k,
	[OP_TOUCH4K_FRESH] = op_touch_4k_fresh,
	[OP_TOUCH2M] = op_touch_2m,
	[OP_IPI_ROUND] = op_ipi_round,
	[OP_IPI_RUNNING] = op_ipi_running,
	[OP_IPI_KICKED] = op_ipi_kicked,
	[OP_IPI_HALTED] = op_ipi_halted,
};

#define HANDLER(name) static __attribute__((interrupt)) void name(struct frame *frame)

HANDLER(event_handler)
{
	(void)frame;
	wrmsr(X2APIC_EOI, 0);
	shared->fired = 1;
}

HANDLER(timer_handler)
{
	shared->fired_at = end();
	(void)frame;
	wrmsr(X2APIC_EOI, 0);
	shared->fired = 1;
}

HANDLER(eoi_handler)
{
	uint64_t start = begin();

	(void)frame;
	wrmsr(X2APIC_EOI, 0);
	shared->eoi_cost = end() - start;
	shared->fired = 1;
}

HANDLER(xapic_handler)
{
	(void)frame;
	xapic_write(XAPIC_EOI, 0);
	shared->fired = 1;
}

HANDLER(xapic_eoi_handler)
{
	uint64_t start = begin();

	(void)frame;
	xapic_write(XAPIC_EOI, 0);
	shared->eoi_cost = end() - start;
	shared->fired = 1;
}

HANDLER(peer_handler)
{
	(void)frame;
	shared->peer_halted = 0;
	shared->ack = 1;
	wrmsr(X2APIC_EOI, 0);
	if (shared->op == OP_IPI_ROUND)
		wrmsr(X2APIC_ICR, 1 << 14 | VECTOR_EVENT);
}

/* Of op_pf_guest(). */
static __attribute__((interrupt)) void skip_handler(struct frame *frame, uint64_t code)
{
	(void)code;
	*(uint64_t *)frame += 2;
}

/* Exceptions are not expected: their number goes to the VMM, which ends the run. */
#define FAULT(n) HANDLER(fault_##n)	\
	{ (void)frame; outb(PORT_FAULT, n); for (;;) asm volatile("cli; hlt"); }
FAULT(6)
FAULT(8)
FAULT(13)
FAULT(14)

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, zero;
} __attribute__((packed));

static struct gate idt[256];

static void set_gate(unsigned int vector, void (*handler)(struct frame *))
{
	uint64_t at = (uint64_t)handler;

	idt[vector] = (struct gate) {
		.offset_low = at, .selector = 0x10, .type = 0x8e, .offset_mid = at >> 16,
		.offset_high = at >> 32,
	};
}

static void set_event_gate(void)
{
	void (*handler)(struct frame *) = event_handler;

	switch (shared->op) {
	case OP_TIMER:
	case OP_HLT_WAKE:
		handler = timer_handler;
		break;
	case OP_EOI:
		handler = eoi_handler;
		break;
	case OP_SELF_IPI_XAPIC:
		handler = xapic_handler;
		break;
	case OP_EOI_XAPIC:
		handler = xapic_eoi_handler;
		break;
	}
	set_gate(VECTOR_EVENT, handler);
}

static void set_idt(void)
{
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) idtr = {
		sizeof(idt) - 1, (uint64_t)idt,
	};

	set_gate(6, fault_6);
	set_gate(8, fault_8);
	set_gate(13, fault_13);
	set_gate(14, fault_14);
	if (shared->op == OP_PF_GUEST)
		set_gate(14, (void (*)(struct frame *))(void *)skip_handler);
	set_gate(VECTOR_PEER, peer_handler);
	set_event_gate();
	asm volatile("lidt %0" : : "m"(idtr));
}

static bool in_xapic_mode(void)
{
	return shared->op == OP_EOI_XAPIC || shared->op == OP_SELF_IPI_XAPIC;
}

static void apic_on(void)
{
	if (in_xapic_mode()) {
		xapic_write(XAPIC_SVR, 0x1ff);
		return;
	}
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
	wrmsr(X2APIC_SVR, 0x1ff);
	wrmsr(X2APIC_LVTT, 2 << 17 | VECTOR_EVENT);	/* TSC-deadline mode */
}

/* A second way to all memory, and pages of 4 KiB, so far apart that none is another's neighbour. */
static void set_tables(void)
{
	uint64_t *spare = (uint64_t *)GUEST_SPARE, *table = (uint64_t *)GUEST_TABLES;
	uint64_t cr4;

	spare[0] = table[0];
	for (uint64_t i = 0; i < 8; i++)
		table[4 * 512 + i] = (GUEST_SPARE + (1 + i) * 4096) | 0x23;
	for (uint64_t i = 0; i < 512; i++)
		spare[512 + 8 * i] = (TOUCH_4K + i * 4096) | 0x63;
	if (shared->op != OP_CR3_PCID)
		return;
	asm volatile("mov %%cr4, %0; or %1, %0; mov %0, %%cr4" : "=&r"(cr4) : "r"(CR4_PCIDE));
}

static void measure(void)
{
	uint64_t (*op)(void) = ops[shared->op];

	for (uint32_t i = 0; i < shared->warmup + shared->samples; i++) {
		uint64_t t0, t1, own;

		shared->fired = 0;
		t0 = begin();
		own = op();
		t1 = end();
		shared->own = own != AROUND;
		if (i >= shared->warmup)
			shared->sample[i - shared->warmup] = shared->own ? own : t1 - t0;
	}
}

/* The second CPU: runs or halts, and lets its handler answer. */
static void peer(void)
{
	shared->peer_up = 1;
	for (;;) {
		asm volatile("cli");
		if (shared->peer_kick) {
			outb(PORT_EVENTFD, 0);
			shared->peer_kick = 0;
		}
		if (shared->op != OP_IPI_RUNNING && shared->op != OP_IPI_KICKED) {
			shared->peer_halted = 1;
			asm volatile("sti; hlt" : : : "memory");
		} else {
			asm volatile("sti; .rept 64; nop; .endr" : : : "memory");
		}
	}
}

/* Both CPUs fill the one IDT with the same content. */
void guest_main(uint64_t cpu)
{
	set_idt();
	apic_on();
	if (cpu)
		peer();
	outb(PORT_PIC_MASK, 0xff);
	tsc_adjust = rdmsr(MSR_TSC_ADJUST);
	set_tables();
	asm volatile("sti");
	/* The exits let the peer's thread run if it has no host CPU of its own. */
	while (shared->cpus > 1 && !shared->peer_up)
		outb(PORT_YIELD, 0);
	measure();
	outb(PORT_DONE, 0);
	for (;;)
		asm volatile("hlt");
}
