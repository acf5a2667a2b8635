/* SPDX-License-Identifier: GPL-2.0-only */
/* The paravirtual state of a vCPU: what the guest asked for by KVM's MSRs. */
#ifndef OKVM_X86_PV_H
#define OKVM_X86_PV_H

#include <linux/types.h>

#include "core/guestmem.h"

struct okvm_apf;

/**
 * struct okvm_pv_vcpu - kvmclock, steal time, PV EOI, polling and unhalt
 * @unhalted: written by other vCPUs' threads, cleared by the vCPU's own
 */
struct okvm_pv_vcpu {
	u64 clock_msr;
	struct okvm_gpa_cache clock;
	bool clock_active;
	bool clock_late;	/* its record could not be written: other threads read it */
	bool guest_stopped;	/* tell the guest once that it was paused */

	u64 steal_msr;
	struct okvm_gpa_cache steal;
	u64 last_run_delay;
	bool told_preempted;	/* the record says that the vCPU does not run */

	u64 eoi_msr;
	u64 poll_control;
	struct okvm_apf *apf;	/* x86/pv/async_pf.c */
	bool unhalted;
};

#endif /* OKVM_X86_PV_H */
