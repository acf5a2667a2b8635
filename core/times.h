/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Histograms of how long exits take, for VMs with OKVM_CAP_EXIT_TIMES. Each vCPU has one histogram
 * per hardware exit reason for time in the kernel, and one per KVM_EXIT_* for time in userspace.
 */
#ifndef OKVM_CORE_TIMES_H
#define OKVM_CORE_TIMES_H

#include <linux/types.h>

#include "core/vcpu.h"

/* Bucket 0 counts 0 cycles, bucket n [2^(n-1), 2^n) cycles; the last one has no upper end. */
#define OKVM_TIME_BUCKETS	40
/*
 * Number of histograms of time in userspace: one per exit_reason of kvm_run. The last one also
 * counts all higher reasons.
 */
#define OKVM_TIMES_USER		64
#define OKVM_TIMES_HISTS	(OKVM_NR_EXIT_REASONS + OKVM_TIMES_USER)

/**
 * struct okvm_times - exit times of a vCPU; written by the thread that holds vcpu->mutex
 * @reason: basic exit reason of the last VM exit
 * @since: TSC when the current measurement began; 0 if nothing is being measured
 * @kernel_before: cycles that the current exit spent in the kernel before KVM_RUN returned
 * @user: true if time in userspace is being measured, false if time in the kernel
 * @hist: histograms of time in the kernel by basic exit reason, then of time in userspace by
 *	KVM_EXIT_*
 */
struct okvm_times {
	u32 reason;
	bool user;
	u64 since;
	u64 kernel_before;
	u64 hist[OKVM_TIMES_HISTS][OKVM_TIME_BUCKETS];
};

/** okvm_times_create() - allocate vcpu->times for OKVM_CAP_EXIT_TIMES. Return: 0 or -ENOMEM */
int okvm_times_create(struct okvm_vcpu *vcpu);
void okvm_times_destroy(struct okvm_vcpu *vcpu);

/*
 * For vCPUs that have vcpu->times: okvm_times_exit() is called at each VM exit, okvm_times_entry()
 * at each VM entry, okvm_times_to_user() when KVM_RUN returns to userspace, and
 * okvm_times_from_user() when userspace calls KVM_RUN. IRQs are on or off.
 */
void okvm_times_exit(struct okvm_vcpu *vcpu, u32 reason);
void okvm_times_entry(struct okvm_vcpu *vcpu);
void okvm_times_to_user(struct okvm_vcpu *vcpu);
void okvm_times_from_user(struct okvm_vcpu *vcpu);

#endif /* OKVM_CORE_TIMES_H */
