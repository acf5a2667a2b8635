/* SPDX-License-Identifier: GPL-2.0-only */
/* A function for the ratio of two TSC frequencies, which unit tests call in userspace, too. */
#ifndef OKVM_X86_TIME_TSC_RATIO_H
#define OKVM_X86_TIME_TSC_RATIO_H

#include <linux/bits.h>
#include <linux/math64.h>
#include <linux/types.h>

#define OKVM_TSC_RATIO_BITS	48	/* fraction bits of a ratio in okvm */

/**
 * okvm_tsc_ratio() - compute the ratio of two TSC frequencies
 * @int_bits, @frac_bits: format of the ratio in hardware
 *
 * The result is rounded down to a ratio that the hardware can represent: okvm must compute with the
 * same ratio as the hardware.
 *
 * Return: the ratio with OKVM_TSC_RATIO_BITS fraction bits; 0 if it is too large for the hardware
 */
static inline u64 okvm_tsc_ratio(u32 khz, u32 host_khz, unsigned int int_bits,
				 unsigned int frac_bits)
{
	if (khz / host_khz >> int_bits)
		return 0;
	return mul_u64_u32_div(BIT_ULL(OKVM_TSC_RATIO_BITS), khz, host_khz) &
	       ~(BIT_ULL(OKVM_TSC_RATIO_BITS - frac_bits) - 1);
}

#endif /* OKVM_X86_TIME_TSC_RATIO_H */
