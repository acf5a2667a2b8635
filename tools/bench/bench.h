/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * okvm-bench: what its two sides, the VMM and the guest, agree on.
 */
#ifndef OKVM_BENCH_H
#define OKVM_BENCH_H

#include <stdint.h>

/* Guest-physical memory: one slot of 2 MiB for guest, tables and stacks, then the touch areas. */
#define GUEST_TABLES	0x1000ull	/* PML4, PDPT, four page directories */
#define GUEST_GDT	0x8000ull
#define GUEST_SHARED	0x10000ull
#define GUEST_SPARE	0x20000ull	/* a second PML4, then page tables for PAGES_4K */
#define GUEST_STACK(cpu) (0x80000ull + ((cpu) + 1) * 0x10000)
#define GUEST_CODE	0x100000ull
#define GUEST_SIZE	0x200000ull
#define TOUCH_4K	0x10000000ull	/* host pages are there, small */
#define TOUCH_4K_FRESH	0x20000000ull	/* the host has to allocate */
#define TOUCH_2M	0x40000000ull	/* host pages are there, huge */
#define PAGES_4K	0x80000000ull	/* linear: each eighth page is one of TOUCH_4K */
#define NO_PAGES	(1ull << 39)	/* linear: nothing */
#define MMIO_USER	0xd0000000ull	/* nobody: exits to userspace */
#define MMIO_EVENTFD	0xd0001000ull

#define PORT_PIC_MASK	0x21		/* served in the kernel */
#define PORT_USER	0x3000		/* userspace does nothing */
#define PORT_IRQFD	0x3001		/* userspace signals the irqfd */
#define PORT_EVENTFD	0x3002		/* ioeventfd */
#define PORT_DONE	0x3003		/* guest has filled the samples */
#define PORT_FAULT	0x3004		/* guest took the exception whose number is written */

#define PORT_YIELD	0x3005		/* userspace gives way to the other CPU's thread */

#define VECTOR_PEER	0x30		/* IPI that the second CPU acknowledges */
#define VECTOR_EVENT	0x40		/* self-IPI, timer, irqfd */
#define IRQFD_GSI	24
#define MAX_SAMPLES	512

/*
 * The operations, in the order of the report: number, name, CPUs, what one of it is.
 * The order of the first column is that of guest.c's table too.
 */
#define BENCH_OPS(op)										\
	op(EMPTY,	 "empty",	 1, "nothing: the measurement's own cost")		\
	op(CPUID,	 "cpuid",	 1, "CPUID")						\
	op(VMCALL,	 "vmcall",	 1, "VMCALL of a number that does nothing")		\
	op(PIO_IN,	 "pio_in",	 1, "IN from a device in the kernel (PIC)")		\
	op(PIO_OUT,	 "pio_out",	 1, "OUT to a device in the kernel (PIC)")		\
	op(PIO_USER_IN,	 "pio_user_in",	 1, "IN that returns to userspace and comes back")	\
	op(PIO_USER_OUT, "pio_user_out", 1, "OUT that returns to userspace and comes back")	\
	op(MMIO_RD,	 "mmio_user_read", 1, "MMIO read through userspace")			\
	op(MMIO_WR,	 "mmio_user_write", 1, "MMIO write through userspace")			\
	op(RDMSR,	 "rdmsr",	 1, "RDMSR of TSC_ADJUST")				\
	op(WRMSR,	 "wrmsr",	 1, "WRMSR of TSC_ADJUST")				\
	op(CR0_WP,	 "cr0_wp",	 1, "CR0.WP off and on")				\
	op(CR4_PGE,	 "cr4_pge",	 1, "CR4.PGE off and on")				\
	op(CR3,		 "cr3",		 1, "MOV to CR3, there and back")			\
	op(CR3_PCID,	 "cr3_pcid",	 1, "likewise with PCIDs, without a flush")		\
	op(INVLPG,	 "invlpg",	 1, "INVLPG of a page that is not mapped")		\
	op(PF_GUEST,	 "pf_guest",	 1, "the guest's own page fault, to handler and IRET")	\
	op(PF_MAPPED,	 "pf_mapped",	 1, "first touch of a page behind a page table in use")	\
	op(CR8,		 "cr8",		 1, "MOV to CR8")					\
	op(EOI,		 "eoi",		 1, "EOI (x2APIC)")					\
	op(SELF_IPI,	 "self_ipi",	 1, "self-IPI, to handler and EOI")			\
	op(SELF_IPI_TPR, "self_ipi_tpr", 1, "self-IPI held by TPR, to handler and EOI")		\
	op(EOI_XAPIC,	 "eoi_xapic",	 1, "EOI (xAPIC)")					\
	op(SELF_IPI_XAPIC, "self_ipi_xapic", 1, "self-IPI by ICR (xAPIC), to handler and EOI")	\
	op(TSC_DEADLINE, "tsc_deadline", 1, "TSC deadline in the past, to handler and EOI")	\
	op(TIMER,	 "timer",	 1, "timer's expiry to handler, CPU running")		\
	op(HLT_WAKE,	 "hlt_wake",	 1, "timer's expiry to handler, CPU halted")		\
	op(IRQFD,	 "irqfd",	 1, "irqfd to handler and EOI, less the exit") \
	op(EVENTFD_PIO,	 "ioeventfd_pio", 1, "ioeventfd kick by OUT")				\
	op(EVENTFD_MMIO, "ioeventfd_mmio", 1, "ioeventfd kick by an MMIO write")		\
	op(TOUCH4K,	 "touch_4k",	 1, "first touch of a 4 KiB page that the host has")	\
	op(TOUCH4K_FRESH, "touch_4k_fresh", 1, "first touch, host must allocate the page") \
	op(TOUCH2M,	 "touch_2m",	 1, "first touch of a 2 MiB page that the host has")	\
	op(IPI_ROUND,	 "ipi_round",	 2, "IPI to a halted CPU and back, on one host CPU") \
	op(IPI_RUNNING,	 "ipi_running",	 2, "IPI to a running CPU, to its acknowledgement")	\
	op(IPI_KICKED,	 "ipi_kicked",	 2, "likewise, after the CPU has interrupted itself")	\
	op(IPI_HALTED,	 "ipi_halted",	 2, "IPI to a halted CPU, to its acknowledgement")

enum bench_op {
#define BENCH_OP_NUMBER(number, name, cpus, text) OP_##number,
	BENCH_OPS(BENCH_OP_NUMBER)
#undef BENCH_OP_NUMBER
	NR_OPS
};

/* At GUEST_SHARED. The VMM fills the upper part before the start, the guest the lower one. */
struct bench_shared {
	uint32_t op;
	uint32_t samples;
	uint32_t warmup;
	uint32_t cpus;
	uint32_t amd;			/* VMMCALL instead of VMCALL */
	uint32_t counting;		/* samples are differences of count_mark(), not of RDTSC */
	uint64_t ticks_per_ms;

	volatile uint32_t fired;	/* the event's handler has ended */
	volatile uint32_t ack;		/* the second CPU has seen the IPI */
	volatile uint32_t peer_halted;
	volatile uint32_t peer_kick;	/* the second CPU is to interrupt itself */
	volatile uint32_t peer_up;
	volatile uint64_t fired_at;	/* when the event's handler began */
	volatile uint64_t eoi_cost;
	uint32_t own;			/* the samples are the operation's own figures */
	uint64_t sample[MAX_SAMPLES];
};

#endif
