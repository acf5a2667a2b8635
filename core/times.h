/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long exits take: for VMs that ask for it (OKVM_CAP_EXIT_TIMES), per vCPU and reason, in the
 * kernel and in userspace apart.
 */
#ifndef OKVM_CORE_TIMES_H
#define OKVM_CORE_TIMES_H

#include <linux/types.h>

#include "core/vcpu.h"

/* Bucket 0 is of 0 cycles, bucket n of [2^(n-1), 2^n), the last of all from its lower end on. */
#define OKVM_TIME_BUCKETS	40
/* Reasons of struct kvm_run that have a histogram; the last one is of all others. */
#define OKVM_TIMES_USER		64
#define OKVM_TIMES_HISTS	(OKVM_NR_EXIT_REASONS + OKVM_TIMES_USER)

/**
 * struct okvm_times - of a vCPU; written by the thread that holds vcpu->mutex
 * @reason: of the last exit, by hardware's count
 * @since: TSC at the start of what is being measured; 0: nothing is
 * @kernel_before: of the exit's time in the kernel, what was before it went to userspace
 * @user: KVM_RUN has returned, and @since is when
 * @hist: by basic exit reason, time in the kernel; then by KVM_EXIT_*, time in userspace
 */
struct okvm_times {
	u32 reason;
	bool user;
	u64 since;
	u64 kernel_before;
	u64 hist[OKVM_TIMES_HISTS][OKVM_TIME_BUCKETS];
};

/** okvm_times_create() - vcpu->times if its VM wants it; under vm->lock or before. 0 or -ENOMEM */
int okvm_times_create(struct okvm_vcpu *vcpu);
void okvm_times_destroy(struct okvm_vcpu *vcpu);

/* At the four ends of an exit, for vCPUs that have vcpu->times; IRQs on or off. */
void okvm_times_exit(struct okvm_vcpu *vcpu, u32 reason);
void okvm_times_entry(struct okvm_vcpu *vcpu);
void okvm_times_to_user(struct okvm_vcpu *vcpu);
void okvm_times_from_user(struct okvm_vcpu *vcpu);

#endif /* OKVM_CORE_TIMES_H */
