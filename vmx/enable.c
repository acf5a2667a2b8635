// SPDX-License-Identifier: GPL-2.0-only
/*
 * Enter and leave VMX operation on each CPU, and load VMCSs.
 *
 * A CPU may cache the VMCSs that are loaded on it. Before a VMCS is used on another CPU, and before
 * a crash kernel uses the memory, VMCLEAR has to be executed on the CPU where the VMCS is loaded
 * (SDM "Software Use of Virtual-Machine Control Structures").
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>

#include <asm/perf_event.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/tlbflush.h>

#include "vmx/vmx.h"
#include "x86/emergency.h"

static DEFINE_PER_CPU(struct vmcs *, vmxon_region);
DEFINE_PER_CPU(struct vmx_vmcs *, vmx_current_vmcs);
static DEFINE_PER_CPU(struct list_head, loaded_vmcs_list);

static u64 read_msr_or_zero(u32 msr)
{
	u64 val;

	return rdmsrl_safe(msr, &val) ? 0 : val;
}

void vmx_read_msrs(struct vmx_msrs *m)
{
	bool have_true;

	memset(m, 0, sizeof(*m));
	m->basic = read_msr_or_zero(MSR_IA32_VMX_BASIC);
	have_true = m->basic & BIT_ULL(55);
	m->pin = read_msr_or_zero(have_true ? MSR_IA32_VMX_TRUE_PINBASED_CTLS :
				  MSR_IA32_VMX_PINBASED_CTLS);
	m->exec = read_msr_or_zero(have_true ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS :
				   MSR_IA32_VMX_PROCBASED_CTLS);
	m->exit = read_msr_or_zero(have_true ? MSR_IA32_VMX_TRUE_EXIT_CTLS :
				   MSR_IA32_VMX_EXIT_CTLS);
	m->entry = read_msr_or_zero(have_true ? MSR_IA32_VMX_TRUE_ENTRY_CTLS :
				    MSR_IA32_VMX_ENTRY_CTLS);
	m->misc = read_msr_or_zero(MSR_IA32_VMX_MISC);
	m->cr0_fixed0 = read_msr_or_zero(MSR_IA32_VMX_CR0_FIXED0);
	m->cr0_fixed1 = read_msr_or_zero(MSR_IA32_VMX_CR0_FIXED1);
	m->cr4_fixed0 = read_msr_or_zero(MSR_IA32_VMX_CR4_FIXED0);
	m->cr4_fixed1 = read_msr_or_zero(MSR_IA32_VMX_CR4_FIXED1);
	m->exec2 = read_msr_or_zero(MSR_IA32_VMX_PROCBASED_CTLS2);
	m->ept_vpid = read_msr_or_zero(MSR_IA32_VMX_EPT_VPID_CAP);
	m->signature = cpuid_eax(1);
}

static bool cpu_is_like_the_others(void)
{
	struct vmx_msrs msrs;
	struct vmx_caps caps;

	vmx_read_msrs(&msrs);
	return vmx_caps_adjust(&msrs, vmx_caps.opts, &caps) == VMX_CAPS_OK &&
	       !memcmp(&caps, &vmx_caps, sizeof(caps));
}

static int vmxon_here(void)
{
	struct vmcs *region = this_cpu_read(vmxon_region);

	cr4_set_bits(X86_CR4_VMXE);
	if (vmx_insn_vmxon(__pa(region)))
		return 0;
	cr4_clear_bits(X86_CR4_VMXE);
	pr_err("okvm: CPU %d refuses VMXON\n", raw_smp_processor_id());
	return -EIO;
}

int vmx_cpu_enable(void)
{
	int err;

	if (cr4_read_shadow() & X86_CR4_VMXE) {
		pr_err_ratelimited("okvm: another hypervisor has VMX switched on: end its VMs first\n");
		return -EBUSY;
	}
	if (!cpu_is_like_the_others()) {
		pr_err("okvm: the VMX capabilities of CPU %d differ from the other CPUs'\n",
		       raw_smp_processor_id());
		return -EIO;
	}
	intel_pt_handle_vmx(1);
	err = vmxon_here();
	if (err) {
		intel_pt_handle_vmx(0);
		return err;
	}
	if (vmx_has(&vmx_caps, VMX_OPT_EPT) && vmx_caps.ept_cap & VMX_EPT_EXTENT_GLOBAL_BIT)
		vmx_insn_invept(VMX_EPT_EXTENT_GLOBAL, 0);
	return 0;
}

/*
 * Execute VMCLEAR for the VMCS @arg on the CPU where it is loaded. IRQs are off, but an NMI may
 * call vmx_emergency() and read the CPU's list of VMCSs at any point.
 */
static void vmcs_clear_here(void *arg)
{
	struct vmx_vmcs *vmcs = arg;
	int cpu = raw_smp_processor_id();

	if (vmcs->cpu != cpu)
		return;
	if (this_cpu_read(vmx_current_vmcs) == vmcs)
		this_cpu_write(vmx_current_vmcs, NULL);
	vmx_insn_vmclear(vmcs->pa);
	vmcs->frame.flags &= ~BIT(VMX_FRAME_LAUNCHED_BIT);
	list_del(&vmcs->node);
	/* Another CPU may load the VMCS when it sees cpu = -1: list_del() must be visible first. */
	smp_wmb();
	WRITE_ONCE(vmcs->cpu, -1);
}

void vmx_vmcs_unload(struct vmx_vmcs *vmcs)
{
	int cpu = READ_ONCE(vmcs->cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, vmcs_clear_here, vmcs, 1);
}

bool vmx_vmcs_load(struct okvm_vm *vm, struct vmx_vmcs *vmcs, int cpu)
{
	bool moved = vmcs->cpu != cpu;
	unsigned long flags;

	if (moved) {
		vmx_vmcs_unload(vmcs);
		local_irq_save(flags);
		/* Pairs with smp_wmb() in vmcs_clear_here(). */
		smp_rmb();
		list_add(&vmcs->node, this_cpu_ptr(&loaded_vmcs_list));
		WRITE_ONCE(vmcs->cpu, cpu);
		local_irq_restore(flags);
	}
	if (this_cpu_read(vmx_current_vmcs) != vmcs) {
		if (!vmx_insn_vmptrld(vmcs->pa))
			okvm_vm_kill(vm, "VMPTRLD failed");
		this_cpu_write(vmx_current_vmcs, vmcs);
		/* Flush branch predictions that another guest has trained. */
		indirect_branch_prediction_barrier();
	}
	return moved;
}

void vmx_cpu_disable(void)
{
	struct vmx_vmcs *vmcs, *next;

	list_for_each_entry_safe(vmcs, next, this_cpu_ptr(&loaded_vmcs_list), node)
		vmcs_clear_here(vmcs);
	vmx_uret_cpu_off();
	if (!vmx_insn_vmxoff())
		pr_err("okvm: VMXOFF failed on CPU %d\n", raw_smp_processor_id());
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

/*
 * Clear the CPU's VMCSs and leave VMX operation, for a crash or an emergency restart. Called on
 * each CPU, possibly in an NMI: the list is read without a lock.
 */
static void vmx_emergency(void)
{
	struct vmx_vmcs *vmcs;

	if (!(__read_cr4() & X86_CR4_VMXE))
		return;
	list_for_each_entry(vmcs, this_cpu_ptr(&loaded_vmcs_list), node)
		vmx_insn_vmclear(vmcs->pa);
	if (vmx_insn_vmxoff())
		cr4_clear_bits(X86_CR4_VMXE);
}

static void free_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(vmxon_region, cpu));
		per_cpu(vmxon_region, cpu) = NULL;
	}
}

int vmx_enable_init(void)
{
	struct vmcs *region;
	int cpu, err;

	for_each_possible_cpu(cpu) {
		INIT_LIST_HEAD(&per_cpu(loaded_vmcs_list, cpu));
		region = (struct vmcs *)get_zeroed_page(GFP_KERNEL);
		if (!region) {
			free_regions();
			return -ENOMEM;
		}
		region->revision = vmx_caps.revision;
		per_cpu(vmxon_region, cpu) = region;
	}
	err = okvm_emergency_begin(vmx_emergency, "kvm_intel");
	if (err)
		free_regions();
	return err;
}

void vmx_enable_exit(void)
{
	okvm_emergency_end();
	free_regions();
}
