// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histograms of how long exits take, in TSC cycles. The time includes sleep during HLT, and time in
 * which the host runs another thread on the CPU.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include <asm/msr.h>

#include "core/internal.h"
#include "core/times.h"
#include "core/watch.h"

int okvm_times_create(struct okvm_vcpu *vcpu)
{
	if (!READ_ONCE(vcpu->vm->exit_times))
		return 0;
	vcpu->times = kvzalloc(sizeof(*vcpu->times), GFP_KERNEL_ACCOUNT);
	if (!vcpu->times)
		return -ENOMEM;
	okvm_watch_on();
	return 0;
}

void okvm_times_destroy(struct okvm_vcpu *vcpu)
{
	if (!vcpu->times)
		return;
	okvm_watch_off_later();
	kvfree(vcpu->times);
	vcpu->times = NULL;
}

static void times_add(struct okvm_times *times, unsigned int hist, u64 cycles)
{
	unsigned int bucket = cycles ? ilog2(cycles) + 1 : 0;

	times->hist[hist][min_t(unsigned int, bucket, OKVM_TIME_BUCKETS - 1)]++;
}

void okvm_times_exit(struct okvm_vcpu *vcpu, u32 reason)
{
	struct okvm_times *times = vcpu->times;

	times->reason = min_t(u32, reason, OKVM_NR_EXIT_REASONS - 1);
	times->kernel_before = 0;
	times->since = rdtsc();
}

void okvm_times_entry(struct okvm_vcpu *vcpu)
{
	struct okvm_times *times = vcpu->times;

	if (times->since)
		times_add(times, times->reason, times->kernel_before + rdtsc() - times->since);
	times->since = 0;
}

void okvm_times_to_user(struct okvm_vcpu *vcpu)
{
	struct okvm_times *times = vcpu->times;
	u64 now = rdtsc();

	if (times->since)
		times->kernel_before += now - times->since;
	times->user = times->since;
	times->since = now;
}

void okvm_times_from_user(struct okvm_vcpu *vcpu)
{
	struct okvm_times *times = vcpu->times;
	u32 reason = min_t(u32, READ_ONCE(vcpu->run->exit_reason), OKVM_TIMES_USER - 1);
	u64 now = rdtsc();

	/*
	 * times->user is true if a VM exit was being measured when KVM_RUN returned. Only then was
	 * the time in userspace measured, too.
	 */
	if (times->user)
		times_add(times, OKVM_NR_EXIT_REASONS + array_index_nospec(reason, OKVM_TIMES_USER),
			  now - times->since);
	times->since = times->user ? now : 0;
	times->user = false;
}
