/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lists by which VM entries and VM exits switch the MSRs of the host's performance counters
 * (SDM "VM-Exit Controls for MSRs", "VM-Entry Controls for MSRs"). Two things must stop while the
 * guest runs: the counters that the host's perf does not want to count in guests, and PEBS
 * (processor event-based sampling), which writes its records to a linear address of the host.
 */
#ifndef OKVM_VMX_PERF_H
#define OKVM_VMX_PERF_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <asm/msr-index.h>
#include <asm/perf_event.h>
#include <asm/vmx.h>

/*
 * Maximum number of MSRs in a list. perf wants GLOBAL_CTRL and PEBS_ENABLE to be switched. On CPUs
 * without GLOBAL_CTRL it wants each counter's event-select MSR to be switched instead.
 */
#define VMX_PERF_MSRS	8

/**
 * struct vmx_perf - the MSR-load lists of one vCPU
 * @entry: VM-entry MSR-load list: MSRs of the guest
 * @exit: VM-exit MSR-load list: MSRs of the host
 * @nr_entry, @nr_exit: number of valid members of the lists
 * @set_entry, @set_exit: the counts that were last written to the VMCS
 * @pebs: the host's value of IA32_PEBS_ENABLE. If it is not 0, PEBS must be stopped before the
 *	first VM entry
 */
struct vmx_perf {
	struct vmx_msr_entry entry[VMX_PERF_MSRS];
	struct vmx_msr_entry exit[VMX_PERF_MSRS];
	u32 nr_entry, nr_exit;
	u32 set_entry, set_exit;
	u64 pebs;
};

static inline void vmx_perf_switch(struct vmx_perf *p, const struct perf_guest_switch_msr *msr)
{
	p->entry[p->nr_entry++] = (struct vmx_msr_entry){ .index = msr->msr, .value = msr->guest };
	/*
	 * The CPU may write a PEBS record some time after PEBS has been switched off. Therefore
	 * pebs_stop() switches PEBS off before the first VM entry, and VM exits do not switch it
	 * on.
	 * VM entries switch it off again, because an NMI of the host may have changed the MSR.
	 */
	if (msr->msr == MSR_IA32_PEBS_ENABLE)
		p->pebs = msr->host;
	else
		p->exit[p->nr_exit++] =
			(struct vmx_msr_entry){ .index = msr->msr, .value = msr->host };
}

/*
 * PEBS stays off between a VM exit and the next VM entry, so keep the counters that use PEBS
 * stopped there. If such a counter overflowed, it would cause an NMI instead of a PEBS record, and
 * perf would not know the reason of this NMI. On the CPUs on which perf wants PEBS_ENABLE to be
 * switched, only general-purpose counters (bits 31:0) can use PEBS.
 */
static inline void vmx_perf_hold(struct vmx_perf *p)
{
	for (unsigned int i = 0; i < p->nr_exit; i++) {
		if (p->exit[i].index == MSR_CORE_PERF_GLOBAL_CTRL)
			p->exit[i].value &= ~(u64)(u32)p->pebs;
	}
}

/**
 * vmx_perf_make() - Compute the lists
 * @msrs: the values that perf_guest_get_msrs() wants in the host and in the guest
 * @nr: number of @msrs
 */
static inline void vmx_perf_make(struct vmx_perf *p, const struct perf_guest_switch_msr *msrs,
				 int nr)
{
	p->nr_entry = 0;
	p->nr_exit = 0;
	p->pebs = 0;
	for (int i = 0; i < nr && p->nr_entry < VMX_PERF_MSRS; i++) {
		if (unlikely(msrs[i].host != msrs[i].guest))
			vmx_perf_switch(p, &msrs[i]);
	}
	if (unlikely(p->pebs))
		vmx_perf_hold(p);
}

#endif /* OKVM_VMX_PERF_H */
