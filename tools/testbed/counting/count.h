/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How software asks the counting Bochs what all CPUs have executed outside guests: by a
 * prefetch of an address that is no memory, which leaves the counts in RAX. It causes no exit, and
 * on other machines it does nothing.
 */
#ifndef OKVM_COUNT_H
#define OKVM_COUNT_H

#include <stdint.h>

/* What is counted, 16 bits of RAX each, the first in the lowest. */
enum count {
	COUNT_VMREAD,
	COUNT_VMWRITE,
	COUNT_MSR,		/* RDMSR and WRMSR */
	COUNT_LOCKED,		/* with a LOCK prefix, and XCHG with memory */
	NR_COUNTS
};

/*
 * Added to the address: what a profile takes the mark for. It has the host's instructions between
 * the last COUNT_BEGIN and the first COUNT_END after it.
 */
enum count_mark {
	COUNT_BEGIN,
	COUNT_END,
	COUNT_WRITE,		/* the profile is complete */
	COUNT_HOST,		/* RAX: all instructions of the host, as one number of 64 bits */
	COUNT_BEGIN_LATER,	/* COUNT_BEGIN; the profile starts RCX ticks of the TSC later */
	NR_COUNT_MARKS
};

#define COUNT_ADDRESS	0x6f6b766d00000000ull

/*
 * The counts; without the counting Bochs, the address itself. The difference of two of them holds
 * the differences of each count, as long as these are less than 2^15.
 */
static inline uint64_t count_mark_later(enum count_mark mark, uint64_t ticks)
{
	uint64_t counts = COUNT_ADDRESS + mark;

	asm volatile("prefetchnta (%0)" : "+a"(counts) : "c"(ticks) : "memory");
	return counts;
}

static inline uint64_t count_mark(enum count_mark mark)
{
	return count_mark_later(mark, 0);
}

/* One count of a difference; they may be negative, and then borrow from the next. */
static inline int64_t count_of(uint64_t difference, enum count what)
{
	for (unsigned int i = 0; i < what; i++)
		difference = (difference - (uint64_t)(int16_t)difference) >> 16;
	return (int16_t)difference;
}

#endif
