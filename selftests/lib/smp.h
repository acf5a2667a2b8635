/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests in C on several vCPUs, for okvm's kselftests.
 *
 * The test program's own image is a memory slot at its own addresses, so a guest calls the
 * functions of the test file and shares its variables with the host. Guest functions are marked
 * GUEST_C: they use no floating point and call nothing of libc. Each vCPU runs one function in
 * 64-bit mode at CPL 0 with interrupts off; its host thread serves the ports below.
 */
#ifndef OKVM_SELFTESTS_SMP_H
#define OKVM_SELFTESTS_SMP_H

#include <pthread.h>

#include "selftests/lib/okvm_test.h"

#define SMP_CPUS	4
#define GUEST_C		__attribute__((target("general-regs-only"), noinline))

/* ---- the host's side ---- */

struct smp;

struct smp_cpu {
	struct smp *smp;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	void (*main)(void);
	pthread_t thread;
	bool done;
};

struct smp {
	struct vm vm;
	unsigned int nr;
	struct smp_cpu cpu[SMP_CPUS];
};

enum smp_flag { SMP_XAPIC, SMP_X2APIC };

/* A VM with @nr vCPUs whose APICs are enabled; SMP_X2APIC: in x2APIC mode. */
void smp_create(struct smp *smp, unsigned int nr, enum smp_flag mode);
/* Let vCPU @id run @main when smp_run() is called; the others stay away. */
void smp_start(struct smp *smp, unsigned int id, void (*main)(void));
/* Run all that were started until each has called guest_end(). */
void smp_run(struct smp *smp);
void smp_destroy(struct smp *smp);
/* All of these for a machine of one vCPU. */
void smp_run_one(enum smp_flag mode, void (*main)(void));

/* ---- the guest's side ---- */

/* What the stub of a vector leaves on the stack. */
struct guest_frame {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*guest_handler)(struct guest_frame *frame);

extern guest_handler guest_handlers[256];
/* 256 gates in a page of their own, and the GDT in another. */
extern uint64_t guest_idt[512], guest_gdt[512];

enum guest_port {
	PORT_END = 0x10,	/* this vCPU is done */
	PORT_FAIL = 0x11,	/* EAX: a line whose expectation does not hold */
	PORT_YIELD = 0x12,	/* let other threads of the host run */
	PORT_ZAP = 0xe4,	/* EAX: address of a page that the host takes away for a moment */
	PORT_LINE = 0x2000,	/* + GSI; AL: the level of an interrupt line */
};

static inline void guest_out8(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "d"(port) : "memory");
}

static inline void guest_out32(uint16_t port, uint32_t val)
{
	__asm__ volatile("outl %0, %1" : : "a"(val), "d"(port) : "memory");
}

static inline uint64_t guest_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void guest_wrmsr(uint32_t msr, uint64_t val)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)) :
			 "memory");
}

static inline uint64_t guest_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void guest_sti(void)
{
	__asm__ volatile("sti; nop" : : : "memory");
}

static inline void guest_cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* The next access to the page of @at finds no translation in the host. */
static inline void guest_zap(const volatile void *at)
{
	guest_out32(PORT_ZAP, (uintptr_t)at);
}

static inline void guest_line(unsigned int gsi, bool high)
{
	guest_out8(PORT_LINE + gsi, high);
}

#define GUEST_EXPECT(cond)						\
	do {								\
		if (!(cond))						\
			guest_out32(PORT_FAIL, __LINE__);		\
	} while (0)

/* What the instruction before has brought about is there after one more. */
#define GUEST_AT_ONCE(cond)						\
	do {								\
		__asm__ volatile("nop" : : : "memory");			\
		GUEST_EXPECT(cond);					\
	} while (0)

/*
 * Wait, but not for ever, and say so if it was in vain. What has held once is enough: the next
 * interrupt may end it, so it is not asked again.
 */
#define GUEST_WAIT(cond)						\
	do {								\
		unsigned long tries_ = 0;				\
		bool held_ = false;					\
									\
		for (; !held_ && tries_ < 3000000; tries_++) {		\
			if (tries_)					\
				__asm__ volatile("pause" : : : "memory");	\
			if (tries_ % 64 == 63)				\
				guest_out8(PORT_YIELD, 0);		\
			held_ = (cond);					\
		}							\
		GUEST_EXPECT(held_);					\
	} while (0)

/* A handler of faults that goes on at the address in RBX, with 1 in RSI. */
void guest_skip(struct guest_frame *frame);

/* In assembler text: this machine's hypercall. The image cannot be patched. */
extern bool guest_svm;
#define GUEST_HYPERCALL								\
	"cmpb $0, guest_svm(%%rip); jne 1f; vmcall; jmp 2f; 1: vmmcall; 2:"

/* Does it raise #GP? The caller has set guest_handlers[13] to guest_skip(). */
static inline bool guest_wrmsr_faults(uint32_t msr, uint64_t val)
{
	uint64_t fault = 0;

	__asm__ volatile("lea 1f(%%rip), %%rbx; wrmsr; 1:" : "+S"(fault) :
			 "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)) :
			 "rbx", "memory");
	return fault;
}

static inline bool guest_rdmsr_faults(uint32_t msr)
{
	uint64_t fault = 0;

	__asm__ volatile("lea 1f(%%rip), %%rbx; rdmsr; 1:" : "+S"(fault) : "c"(msr) :
			 "rax", "rdx", "rbx", "memory");
	return fault;
}

#define X2_MSR(reg)	(0x800 + ((reg) >> 4))
#define XAPIC		0xfee00000ull

enum guest_apic {
	AP_ID = 0x20, AP_VERSION = 0x30, AP_TPR = 0x80, AP_PPR = 0xa0, AP_EOI = 0xb0,
	AP_LDR = 0xd0, AP_DFR = 0xe0, AP_SPIV = 0xf0, AP_ISR = 0x100, AP_TMR = 0x180,
	AP_IRR = 0x200, AP_ESR = 0x280, AP_ICR = 0x300, AP_ICR2 = 0x310, AP_LVTT = 0x320,
	AP_LVT0 = 0x350, AP_TMICT = 0x380, AP_TMCCT = 0x390, AP_TDCR = 0x3e0, AP_SELF = 0x3f0,
};

/* Bits of ICR */
enum guest_icr {
	ICR_FIXED = 0, ICR_LOWEST = 1 << 8, ICR_NMI = 4 << 8, ICR_INIT = 5 << 8, ICR_SIPI = 6 << 8,
	ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15,
	ICR_SELF = 1 << 18, ICR_ALL = 2 << 18, ICR_OTHERS = 3 << 18,
};

#define MSR_BASE	0x1b
#define BASE_EN		(1u << 11)
#define BASE_EXTD	(1u << 10)

static inline bool guest_x2apic(void)
{
	return guest_rdmsr(MSR_BASE) & BASE_EXTD;
}

/* In the mode that this vCPU's APIC is in. */
static inline uint32_t apic_read(uint32_t reg)
{
	if (guest_x2apic())
		return guest_rdmsr(X2_MSR(reg));
	return *(volatile uint32_t *)(XAPIC + reg);
}

static inline void apic_write(uint32_t reg, uint32_t val)
{
	if (guest_x2apic())
		guest_wrmsr(X2_MSR(reg), val);
	else
		*(volatile uint32_t *)(XAPIC + reg) = val;
}

static inline void apic_send(uint32_t icr, uint32_t dest)
{
	if (guest_x2apic()) {
		guest_wrmsr(X2_MSR(AP_ICR), (uint64_t)dest << 32 | icr);
		return;
	}
	apic_write(AP_ICR2, dest << 24);
	apic_write(AP_ICR, icr);
}

#define MSR_GS_BASE	0xc0000101

/* The number of this vCPU, whatever its APIC says. */
static inline uint32_t guest_cpu(void)
{
	return guest_rdmsr(MSR_GS_BASE);
}

#endif /* OKVM_SELFTESTS_SMP_H */
