// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVM on each CPU: how it is enabled and disabled, the pages where VMRUN and VMSAVE save host
 * state, and the ASIDs.
 *
 * An ASID tags the translations in one CPU's TLB. Each CPU assigns its ASIDs to vCPUs in ascending
 * order. When all are used, a new generation begins: the whole TLB is flushed, and each vCPU gets a
 * new ASID at its next VMRUN on this CPU.
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/smp.h>

#include <asm/msr.h>
#include <asm/processor.h>

#include "core/compat.h"
#include "svm/svm.h"
#include "x86/emergency.h"
#include "x86/host_apf.h"

#define CPUID_SEV_FUNC	0x8000001f

/**
 * struct svm_cpu - SVM state of one CPU
 * @hsave: the host save area of VMRUN (VM_HSAVE_PA), in an undocumented format
 * @host: where VMSAVE saves the host state that VMRUN does not save
 * @hsave_before: value of VM_HSAVE_PA before okvm enabled SVM
 * @ratio_before: value of the MSR TSC_RATIO before okvm enabled SVM
 * @spec_reduced: okvm has enabled BP_SPEC_REDUCE, which protects the host's return predictions
 * @asid_generation: the current generation; a vCPU with another generation needs a new ASID
 * @next_asid: the ASID to assign next
 * @apf_stopped: okvm has asked the host's own hypervisor to send no async page faults
 * @flush_due: a generation has begun, but no VMRUN has flushed the TLB yet
 */
struct svm_cpu {
	void *hsave, *host;
	u64 hsave_before, ratio_before;
	u64 asid_generation;
	u32 next_asid;
	bool flush_due;
	bool spec_reduced, apf_stopped;
};

static DEFINE_PER_CPU(struct svm_cpu, svm_cpu);
DEFINE_PER_CPU(u64, svm_tsc_ratio);
DEFINE_PER_CPU(u64, svm_last_id);

void svm_read_cpuid(struct svm_cpuid *cpu)
{
	memset(cpu, 0, sizeof(*cpu));
	cpu->encrypted = okvm_memory_encrypted();
	cpu->leaf1_eax = cpuid_eax(1);
	cpu->ext_max = cpuid_eax(0x80000000);
	if (cpu->ext_max < SVM_CPUID_FUNC || cpu->ext_max >> 16 != 0x8000)
		return;
	cpu->ext_ecx = cpuid_ecx(0x80000001);
	cpu->svm_ebx = cpuid_ebx(SVM_CPUID_FUNC);
	cpu->svm_edx = cpuid_edx(SVM_CPUID_FUNC);
	cpu->sev_eax = cpuid_eax(CPUID_SEV_FUNC);
	cpu->sev_ecx = cpuid_ecx(CPUID_SEV_FUNC);
	if (rdmsrl_safe(MSR_VM_CR, &cpu->vm_cr))
		cpu->vm_cr = 0;
}

static bool cpu_is_like_the_others(void)
{
	struct svm_cpuid cpu;
	struct svm_caps caps;

	svm_read_cpuid(&cpu);
	return svm_caps_adjust(&cpu, svm_caps.feats, &caps) == SVM_CAPS_OK &&
	       !memcmp(&caps, &svm_caps, sizeof(caps));
}

/* Begin with a TSC ratio of 1.0: another hypervisor may have left the ratio of its last guest. */
static void ratio_begin(struct svm_cpu *c)
{
	u64 ratio = SVM_TSC_RATIO_ONE;

	/*
	 * If the hypervisor below the host lacks this MSR, the read faults and ratio is 0: use 1.0.
	 */
	if (boot_cpu_has(X86_FEATURE_TSCRATEMSR) && rdmsrl_safe(MSR_AMD64_TSC_RATIO, &ratio))
		ratio = SVM_TSC_RATIO_ONE;
	c->ratio_before = ratio;
	this_cpu_write(svm_tsc_ratio, ratio);
	svm_tsc_ratio_write(SVM_TSC_RATIO_ONE);
}

int svm_cpu_enable(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME) {
		pr_err_ratelimited("okvm: another hypervisor has SVM switched on: end its VMs first\n");
		return -EBUSY;
	}
	if (!cpu_is_like_the_others()) {
		pr_err("okvm: the SVM capabilities of CPU %d differ from the other CPUs'\n",
		       raw_smp_processor_id());
		return -EIO;
	}
	wrmsrl(MSR_EFER, efer | EFER_SVME);
	rdmsrl(MSR_VM_HSAVE_PA, c->hsave_before);
	wrmsrl(MSR_VM_HSAVE_PA, __pa(c->hsave));
	ratio_begin(c);
	/*
	 * ratio_begin() has reset the MSR TSC_RATIO: make svm_vcpu_load() load it for the next
	 * vCPU. Without this, svm_vcpu_load() would not load it if the next vCPU is the one that
	 * was last on this CPU. (This may be so after a suspend of the host.)
	 */
	this_cpu_write(svm_last_id, 0);
	c->spec_reduced = okvm_bp_spec_reduce(true);
	c->apf_stopped = host_apf_stop();
	okvm_perf_svm(true);
	/*
	 * Make the first vCPU begin a new generation, and so flush the TLB, which may hold
	 * translations of former guests.
	 */
	c->asid_generation++;
	c->next_asid = svm_caps.asids;
	return 0;
}

void svm_cpu_disable(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	u64 efer;

	okvm_perf_svm(false);
	if (c->spec_reduced)
		okvm_bp_spec_reduce(false);
	if (c->apf_stopped)
		host_apf_restart();
	svm_tsc_ratio_write(c->ratio_before);
	wrmsrl(MSR_VM_HSAVE_PA, c->hsave_before);
	rdmsrl(MSR_EFER, efer);
	wrmsrl(MSR_EFER, efer & ~(u64)EFER_SVME);
}

/*
 * Disable SVM on this CPU, for a crash or an emergency restart. First set GIF by STGI: while GIF is
 * 0, INIT could not restart the CPU.
 */
static void svm_emergency(void)
{
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	svm_insn_stgi();
	wrmsrl(MSR_EFER, efer & ~(u64)EFER_SVME);
}

u64 svm_host_area(void)
{
	return __pa(this_cpu_read(svm_cpu.host));
}

static void asid_new(struct okvm_hw_vcpu *hw, struct svm_cpu *c)
{
	if (c->next_asid >= svm_caps.asids) {
		c->asid_generation++;
		c->next_asid = svm_caps.asid_first;
		c->flush_due = true;
	}
	hw->asid_generation = c->asid_generation;
	hw->vmcb->control.asid = c->next_asid++;
	svm_dirty(hw, SVM_CLEAN_ASID);
}

void svm_asid_load(struct okvm_hw_vcpu *hw)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);

	if (hw->todo & SVM_TODO_ASID || hw->asid_generation != c->asid_generation) {
		asid_new(hw, c);
	} else if (hw->todo & SVM_TODO_FLUSH) {
		if (svm_has(&svm_caps, SVM_FEAT_FLUSH_ASID))
			hw->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ASID;
		else
			asid_new(hw, c);
	}
	/*
	 * A new generation of ASIDs needs a flush of the whole TLB. A VMRUN that fails does not
	 * flush: request the flush again at each VMRUN until one succeeds.
	 */
	if (unlikely(c->flush_due))
		hw->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	hw->todo = 0;
}

void svm_tlb_flushed(struct okvm_hw_vcpu *hw)
{
	struct vmcb_control_area *control = &hw->vmcb->control;

	if (control->tlb_ctl == TLB_CONTROL_FLUSH_ALL_ASID)
		this_cpu_write(svm_cpu.flush_due, false);
	control->tlb_ctl = TLB_CONTROL_DO_NOTHING;
}

static void free_pages_of_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(svm_cpu, cpu).hsave);
		free_page((unsigned long)per_cpu(svm_cpu, cpu).host);
		per_cpu(svm_cpu, cpu).hsave = NULL;
		per_cpu(svm_cpu, cpu).host = NULL;
	}
}

int svm_enable_init(void)
{
	int cpu, err;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *c = &per_cpu(svm_cpu, cpu);

		c->hsave = (void *)get_zeroed_page(GFP_KERNEL);
		c->host = (void *)get_zeroed_page(GFP_KERNEL);
		if (!c->hsave || !c->host) {
			free_pages_of_cpus();
			return -ENOMEM;
		}
	}
	err = okvm_emergency_begin(svm_emergency, "kvm_amd");
	if (err)
		free_pages_of_cpus();
	return err;
}

void svm_enable_exit(void)
{
	okvm_emergency_end();
	free_pages_of_cpus();
}
