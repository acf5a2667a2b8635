// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens when a VMCS access fails: the VM dies, the host goes on.
 */
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/sysfs.h>

#include "core/hardware.h"
#include "core/vcpu.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

void vmcs_failed(unsigned long field, bool write)
{
	struct okvm_vcpu *vcpu;

	preempt_disable();
	vcpu = okvm_running_vcpu();
	if (!okvm_hardware_lost())
		pr_err_ratelimited("okvm: %s of VMCS field %lx failed\n",
				   write ? "VMWRITE" : "VMREAD", field);
	if (vcpu)
		okvm_vm_kill(vcpu->vm, "VMCS access failed");
	preempt_enable();
}

#ifdef OKVM_COUNT
DEFINE_PER_CPU(unsigned long [NR_VMCS_COUNTS], vmcs_counts);

/* /sys/module/okvm/parameters/counts: the sums over all CPUs. */
static int counts_get(char *buf, const struct kernel_param *kp)
{
	unsigned long sum[NR_VMCS_COUNTS] = { };
	int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < NR_VMCS_COUNTS; i++)
			sum[i] += per_cpu(vmcs_counts, cpu)[i];
	return sysfs_emit(buf, "%lu %lu %lu\n", sum[VMCS_COUNT_READ], sum[VMCS_COUNT_WRITE],
			  sum[VMCS_COUNT_MSR]);
}

static const struct kernel_param_ops counts_ops = { .get = counts_get };
module_param_cb(counts, &counts_ops, NULL, 0444);
#endif

#ifdef CONFIG_PROVE_LOCKING
void vmcs_check_owner(void)
{
	struct okvm_vcpu *vcpu;
	u64 pa = 0;

	preempt_disable();
	vcpu = okvm_running_vcpu();
	/* Where VMX is off it faults and stores nothing. */
	asm volatile("1: vmptrst %0\n\t"
		     "2:\n\t"
		     _ASM_EXTABLE(1b, 2b)
		     : "+m" (pa) : : "cc");
	if (vcpu && pa != vcpu->hw->vmcs_pa)
		okvm_vm_kill(vcpu->vm, "access to another vCPU's VMCS");
	preempt_enable();
}
#endif
