// SPDX-License-Identifier: GPL-2.0-only
/* The handling of failed VMCS accesses: the VM is killed, and the host goes on. */
#include <linux/preempt.h>
#include <linux/printk.h>

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

#ifdef CONFIG_PROVE_LOCKING
void vmcs_check_owner(void)
{
	struct okvm_vcpu *vcpu;
	u64 pa = 0;

	preempt_disable();
	vcpu = okvm_running_vcpu();
	/* Outside of VMX operation VMPTRST faults, and @pa stays 0. */
	asm volatile("1: vmptrst %0\n\t"
		     "2:\n\t"
		     _ASM_EXTABLE(1b, 2b)
		     : "+m" (pa) : : "cc");
	if (vcpu && pa != vcpu->hw->vmcs.pa)
		okvm_vm_kill(vcpu->vm, "access to another vCPU's VMCS");
	preempt_enable();
}
#endif
