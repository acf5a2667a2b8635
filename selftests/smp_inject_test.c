// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events whose delivery does not succeed at once: the IDT, the GDT or the stack has no translation
 * in the host, or the guest's own tables refuse it. Each event arrives once, with its frame.
 */
#include "selftests/lib/smp.h"

static volatile uint32_t hits, order[8], orders;
static volatile uint64_t at_rip, at_error, at_rflags, at_cr2;

static GUEST_C void zap_all(void)
{
	uint64_t here;

	guest_zap(guest_gdt);
	guest_zap(guest_idt);
	guest_zap(&here);
}

static GUEST_C uint64_t read_cr2(void)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	return cr2;
}

static GUEST_C void note(struct guest_frame *frame)
{
	hits++;
	if (orders < 8)
		order[orders++] = frame->vector;
	at_rip = frame->rip;
	at_error = frame->error;
	at_rflags = frame->rflags;
	at_cr2 = read_cr2();
}

/* A fault: it goes on behind, at the address in RBX. */
static GUEST_C void fault(struct guest_frame *frame)
{
	note(frame);
	frame->rip = frame->rbx;
}

static GUEST_C void irq(struct guest_frame *frame)
{
	note(frame);
	apic_write(AP_EOI, 0);
}

static GUEST_C void begin(void)
{
	hits = orders = 0;
	at_rip = at_error = at_rflags = at_cr2 = 0;
	zap_all();
}

#define RF	(1u << 16)

/* ---- faults and traps ---- */

extern const uint8_t div_at[], div_end[], load_at[], int3_end[], int_end[], gp_at[], ud_at[];

static GUEST_C void faults(void)
{
	guest_handlers[0] = fault;
	guest_handlers[6] = fault;
	guest_handlers[13] = fault;
	guest_handlers[14] = fault;
	begin();
	__asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; lea 1f(%%rip), %%rbx\n"
			 ".global div_at\ndiv_at: div %%ecx\n1:" : : :
			 "rax", "rdx", "rcx", "rbx", "cc", "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 0 && at_rip == (uintptr_t)div_at);
	GUEST_EXPECT(at_rflags & RF);
	begin();
	__asm__ volatile("mov $0x7fffff000123, %%rcx; lea 1f(%%rip), %%rbx\n"
			 ".global load_at\nload_at: movb $0, (%%rcx)\n1:" : : :
			 "rcx", "rbx", "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 14 && at_rip == (uintptr_t)load_at);
	GUEST_EXPECT(at_error == 2 && at_cr2 == 0x7fffff000123 && at_rflags & RF);
	begin();
	__asm__ volatile("mov $0x33, %%ecx; lea 1f(%%rip), %%rbx\n"
			 ".global gp_at\ngp_at: mov %%ecx, %%es\n1:" : : : "rcx", "rbx", "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 13 && at_rip == (uintptr_t)gp_at);
	GUEST_EXPECT(at_error == 0x30 && at_rflags & RF);
	begin();
	__asm__ volatile("lea 1f(%%rip), %%rbx\n"
			 ".global ud_at\nud_at: ud2\n1:" : : : "rbx", "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 6 && at_rip == (uintptr_t)ud_at && at_rflags & RF);
}

TEST(faults_whose_delivery_faults_in_the_host)
{
	smp_run_one(SMP_XAPIC, faults);
}

static GUEST_C void software_interrupts(void)
{
	guest_handlers[3] = note;
	guest_handlers[0x33] = note;
	guest_handlers[1] = note;
	begin();
	__asm__ volatile("int3\n.global int3_end\nint3_end:" : : : "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 3 && at_rip == (uintptr_t)int3_end);
	begin();
	__asm__ volatile("int $0x33\n.global int_end\nint_end:" : : : "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 0x33 && at_rip == (uintptr_t)int_end);
	begin();
	/* Two bytes: the length of the instruction is that of the CPU. */
	__asm__ volatile(".byte 0xcd, 3\n1:" : : : "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 3);
	begin();
	__asm__ volatile(".byte 0xf1\n1:" : : : "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 1);
}

TEST(software_interrupts_whose_delivery_faults_in_the_host)
{
	smp_run_one(SMP_XAPIC, software_interrupts);
}

/* ---- interrupts ---- */

static GUEST_C void interrupts(void)
{
	guest_handlers[0x60] = irq;
	guest_handlers[0x61] = irq;
	guest_handlers[0x75] = irq;
	guest_handlers[0x33] = note;
	guest_sti();
	begin();
	apic_send(ICR_SELF | 0x61, 0);
	GUEST_AT_ONCE(hits == 1);
	guest_cli();
	/* Two wait: the higher one first, and the lower one after its EOI. */
	begin();
	apic_send(ICR_SELF | 0x60, 0);
	apic_send(ICR_SELF | 0x75, 0);
	guest_sti();
	GUEST_AT_ONCE(hits == 2);
	guest_cli();
	GUEST_EXPECT(order[0] == 0x75 && order[1] == 0x60);
	/* In the shadow of STI the software interrupt comes first. */
	begin();
	apic_send(ICR_SELF | 0x60, 0);
	__asm__ volatile("sti; int $0x33" : : : "memory");
	GUEST_AT_ONCE(hits == 2);
	guest_cli();
	GUEST_EXPECT(order[0] == 0x33 && order[1] == 0x60);
	/* The TPR holds one of them back. */
	begin();
	apic_write(AP_TPR, 0xf0);
	guest_sti();
	apic_send(ICR_SELF | 0x60, 0);
	apic_send(ICR_SELF | 0x75, 0);
	GUEST_EXPECT(!hits);
	zap_all();
	apic_write(AP_TPR, 0x60);
	GUEST_AT_ONCE(hits == 1);
	GUEST_EXPECT(order[0] == 0x75);
	zap_all();
	apic_write(AP_TPR, 0);
	GUEST_AT_ONCE(hits == 2);
	GUEST_EXPECT(order[1] == 0x60 && apic_read(AP_PPR) == 0);
}

TEST(interrupts_whose_delivery_faults_in_the_host)
{
	smp_run_one(SMP_XAPIC, interrupts);
	smp_run_one(SMP_X2APIC, interrupts);
}

/* ---- NMIs ---- */

extern const uint8_t guest_iret[];
static volatile uint32_t nested_at_iret, nested;

static GUEST_C void nmi_second(struct guest_frame *frame)
{
	nested++;
	nested_at_iret += frame->rip == (uintptr_t)guest_iret;
}

/* Another one comes while this one runs; this handler's IRET finds no stack. */
static GUEST_C void nmi_first(struct guest_frame *frame)
{
	note(frame);
	guest_handlers[2] = nmi_second;
	apic_send(ICR_NMI | ICR_ASSERT, 0);
	GUEST_EXPECT(!nested);
	guest_zap(frame);
	guest_zap(guest_idt);
	GUEST_EXPECT(!nested);
}

static GUEST_C void nmis(void)
{
	guest_handlers[2] = nmi_first;
	begin();
	apic_send(ICR_NMI | ICR_ASSERT, 0);
	/* A CPU without virtual NMIs finds out here that the handler is done. */
	guest_sti();
	guest_cli();
	GUEST_EXPECT(hits == 1 && nested == 1 && !nested_at_iret);
}

TEST(nmis_whose_delivery_faults_in_the_host)
{
	smp_run_one(SMP_XAPIC, nmis);
	nested = nested_at_iret = 0;
	smp_run_one(SMP_X2APIC, nmis);
}

static uint8_t other_stack[4096] __attribute__((aligned(4096)));
extern const uint8_t after_iret[];
static volatile uint64_t nested_rip;

static GUEST_C void nmi_at_other_stack(struct guest_frame *frame)
{
	nested++;
	nested_rip = frame->rip;
}

/* IRET pops from a page that the host does not have; NMIs stay blocked until it has popped. */
static GUEST_C void nmi_leaves_early(struct guest_frame *frame)
{
	note(frame);
	guest_handlers[2] = nmi_at_other_stack;
	apic_send(ICR_NMI | ICR_ASSERT, 0);
	__asm__ volatile("mov %%rsp, %%rdx\n"
			 "mov %0, %%rsp\n"
			 "mov %%ss, %%eax; push %%rax; push %%rdx\n"
			 "pushf; mov %%cs, %%eax; push %%rax\n"
			 "lea after_iret(%%rip), %%rax; push %%rax\n"
			 "lea -8(%0), %%rax; mov $0xe4, %%dx\n"
			 "out %%eax, %%dx\n"
			 "iretq\n"
			 ".global after_iret\n"
			 "after_iret:\n"
			 : : "D"(other_stack + sizeof(other_stack)) :
			 "rax", "rdx", "rcx", "memory", "cc");
	GUEST_EXPECT(nested == 1 && nested_rip == (uintptr_t)after_iret);
}

static GUEST_C void nmi_iret(void)
{
	guest_handlers[2] = nmi_leaves_early;
	begin();
	apic_send(ICR_NMI | ICR_ASSERT, 0);
	GUEST_AT_ONCE(nested);
	GUEST_EXPECT(hits == 1 && nested == 1);
}

TEST(an_nmi_waits_until_iret_has_its_stack)
{
	nested = 0;
	smp_run_one(SMP_XAPIC, nmi_iret);
}

/* ---- faults of the guest's own during delivery ---- */

#define FAR	(512ull << 20)		/* of which page tables map what they like */

static uint64_t far_table[512] __attribute__((aligned(4096)));
static uint8_t far_page[4096] __attribute__((aligned(4096)));
static uint8_t ist_stack[8192] __attribute__((aligned(4096)));

static GUEST_C void map_far(uint64_t flags)
{
	volatile uint64_t *pd = (volatile uint64_t *)(uintptr_t)(VM_TABLES + 0x2000);

	far_table[0] = (uintptr_t)far_page | flags;
	pd[FAR >> 21] = (uintptr_t)far_table | 3;
	__asm__ volatile("invlpg (%0)" : : "r"(FAR) : "memory");
}

/* The TSS is where the reset has left it, at 0: IST1 for this vector. */
static GUEST_C void own_stack(uint8_t vector)
{
	uintptr_t ist1 = 36;

	__asm__ volatile("mov %0, (%1)" : : "r"(ist_stack + sizeof(ist_stack)), "r"(ist1) :
			 "memory");
	guest_idt[2 * vector] |= 1ull << 32;
}

static GUEST_C void pf_maps(struct guest_frame *frame)
{
	note(frame);
	map_far(3);
	zap_all();
}

/* Run @insn on a stack in a page that is not writable. */
#define ON_FAR_STACK(insn)						\
	__asm__ volatile("mov %%rsp, %%rsi; mov %0, %%rsp\n"		\
			 insn						\
			 "mov %%rsi, %%rsp\n" : : "D"(FAR + 4096) :	\
			 "rax", "rbx", "rcx", "rdx", "rsi", "memory", "cc")

static GUEST_C void serial_faults(void)
{
	own_stack(14);
	guest_handlers[14] = pf_maps;
	guest_handlers[0] = fault;
	guest_handlers[0x33] = note;
	guest_handlers[2] = note;
	begin();
	map_far(1);
	ON_FAR_STACK("xor %%edx, %%edx; xor %%ecx, %%ecx; lea 1f(%%rip), %%rbx; div %%ecx\n1:\n");
	GUEST_EXPECT(hits == 2 && order[0] == 14 && order[1] == 0);
	begin();
	map_far(1);
	ON_FAR_STACK("int $0x33\n");
	GUEST_EXPECT(hits == 2 && order[0] == 14 && order[1] == 0x33);
	begin();
	map_far(0);
	ON_FAR_STACK("int $0x33\n");
	GUEST_EXPECT(hits == 2 && order[0] == 14 && order[1] == 0x33);
	GUEST_EXPECT(at_cr2 >> 12 == FAR >> 12);
}

TEST(a_page_fault_within_a_delivery_comes_first)
{
	smp_run_one(SMP_XAPIC, serial_faults);
}

static GUEST_C void df_ends(struct guest_frame *frame)
{
	note(frame);
	frame->rip = frame->rbx;
	frame->rsp = frame->rsi;
}

static GUEST_C void double_faults(void)
{
	own_stack(8);
	guest_handlers[8] = df_ends;
	begin();
	map_far(1);
	/* A page fault for data, then one for the stack. */
	ON_FAR_STACK("mov $0x7fffff000000, %%rcx; lea 1f(%%rip), %%rbx; movb $0, (%%rcx)\n1:\n");
	GUEST_EXPECT(hits == 1 && order[0] == 8 && at_error == 0);
	/* A gate that is not there, for an exception that is contributory. */
	guest_idt[0] &= ~(1ull << 47);
	guest_idt[22] &= ~(1ull << 47);
	begin();
	__asm__ volatile("mov %%rsp, %%rsi; xor %%edx, %%edx; xor %%ecx, %%ecx\n"
			 "lea 1f(%%rip), %%rbx; div %%ecx\n1:" : : :
			 "rax", "rdx", "rcx", "rbx", "rsi", "cc", "memory");
	GUEST_EXPECT(hits == 1 && order[0] == 8 && at_error == 0);
}

TEST(a_second_fault_is_double)
{
	smp_run_one(SMP_XAPIC, double_faults);
}

static GUEST_C void np_mends(struct guest_frame *frame)
{
	note(frame);
	guest_idt[2 * 0x33] = (guest_idt[2 * 0x33] & ~0xffff0000ull) | 8 << 16;
	zap_all();
}

static GUEST_C void absent_segment(void)
{
	guest_gdt[3] = 0x00af1b000000ffffull;	/* 64-bit code, not present */
	guest_handlers[11] = np_mends;
	guest_handlers[0x33] = note;
	guest_idt[2 * 0x33] = (guest_idt[2 * 0x33] & ~0xffff0000ull) | 0x18 << 16;
	begin();
	__asm__ volatile("int $0x33" : : : "memory");
	GUEST_EXPECT(hits == 2 && order[0] == 11 && order[1] == 0x33);
	/* The same for an interrupt: the error code has EXT set. */
	guest_idt[2 * 0x61] = (guest_idt[2 * 0x61] & ~0xffff0000ull) | 0x18 << 16;
	guest_handlers[0x61] = irq;
	guest_handlers[11] = note;
	begin();
	apic_send(ICR_SELF | 0x61, 0);
	guest_sti();
	GUEST_AT_ONCE(hits);
	guest_cli();
	GUEST_EXPECT(hits == 1 && order[0] == 11 && at_error == 0x19);
	apic_write(AP_EOI, 0);
}

TEST(an_absent_handler_segment)
{
	smp_run_one(SMP_XAPIC, absent_segment);
}
