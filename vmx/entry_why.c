// SPDX-License-Identifier: GPL-2.0-only
/*
 * Explain a failed VM entry: report the rules of entry_check.h that the VMCS breaks, and, with
 * dump_invalid_vmcs=1, print the VMCS. Upstream only prints the VMCS.
 */
#include <linux/io.h>
#include <linux/moduleparam.h>

#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include "core/hardware.h"
#include "vmx/entry_check.h"
#include "vmx/entry_why.h"
#include "vmx/vmx.h"

static bool dump_invalid_vmcs;
module_param(dump_invalid_vmcs, bool, 0644);
MODULE_PARM_DESC(dump_invalid_vmcs, "print the VMCS of an entry that the CPU has refused");

static u32 leaf7_1_eax(void)
{
	u32 eax, ebx, ecx, edx;

	cpuid_count(7, 1, &eax, &ebx, &ecx, &edx);
	return eax;
}

void vmx_entry_cpu_read(struct vmx_entry_cpu *cpu)
{
	u32 widths = cpuid_eax(0x80000008), ecx = 0, subleaves = 0;

	/* Without leaf 7, CPUID would return the data of the highest leaf instead. */
	if (boot_cpu_data.cpuid_level >= 7) {
		ecx = cpuid_ecx(7);
		subleaves = cpuid_eax(7);
	}
	memset(cpu, 0, sizeof(*cpu));
	vmx_read_msrs(&cpu->msrs);
	rdmsrl_safe(MSR_IA32_VMX_VMFUNC, &cpu->vmfunc);
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA;
	if (boot_cpu_has(X86_FEATURE_NX))
		cpu->efer |= EFER_NX;
	cpu->phys_bits = widths & 0xff;
	/* Use CPUID's LA57 bit. The linear width in leaf 80000008h is wrong on some CPUs. */
	cpu->linear_bits = ecx & BIT(16) ? 57 : 48;
	cpu->sgx = boot_cpu_has(X86_FEATURE_SGX);
	cpu->rtm = boot_cpu_has(X86_FEATURE_RTM);
	cpu->lam = subleaves && leaf7_1_eax() & BIT(26);
	cpu->bus_lock = boot_cpu_has(X86_FEATURE_BUS_LOCK_DETECT);
}

OKVM_EXPORT_FOR_KUNIT(vmx_entry_cpu_read);
OKVM_EXPORT_FOR_KUNIT(vmx_enter);
OKVM_EXPORT_FOR_KUNIT(vmx_exited);

/* Read the VMCS. okvm never sets a VMCS link pointer, so link_revision stays 0. */
static void entry_read(struct okvm_vcpu *vcpu, struct vmx_entry *e)
{
	u32 field;

	for (field = VMX_F_NONE + 1; field < VMX_NR_F; field++)
		if (vmx_entry_field_exists(e->cpu, field))
			e->f[field] = vmcs_read(vmx_entry_fields[field].encoding);
	e->vmcs_pa = to_hw(vcpu)->vmcs.pa;
	if (vcpu->apic)
		e->vtpr = *(u8 *)(okvm_apic_page(vcpu) + APIC_TASKPRI);
}

/*
 * Return true if @rule may be the reason why VM entry has failed. A broken rule for guest state
 * makes VM entry fail with an exit reason. A broken rule for controls or host state makes it fail
 * with a VM-instruction error.
 */
static bool rule_was_checked(const struct vmx_entry_rule *rule, u64 reason)
{
	bool after_checks = reason & VMX_EXIT_REASONS_FAILED_VMENTRY;

	return (rule->area == VMX_AREA_GUEST) == after_checks;
}

/*
 * Add a field and its value to the error. If the value is the host's, userspace must not get it:
 * add 0 instead.
 */
static void note_data(struct okvm_error *error, const struct vmx_entry *e, u32 field)
{
	okvm_error_add_field(error, vmx_entry_fields[field].encoding,
			     vmx_entry_field_is_hosts(field) ? 0 : e->f[field]);
}

/*
 * Add a rule that @field breaks to the error that userspace can read, with the values of all fields
 * of the rule. Return: 1 if the error's text has no room for the rule; otherwise 0
 */
static int note_rule(struct okvm_error *error, const struct vmx_entry *e,
		     const struct vmx_entry_rule *rule, u32 field)
{
	const struct okvm_broken_rule broken = {
		.name = rule->name, .text = rule->text, .manual = "SDM", .section = rule->section,
		.field = vmx_entry_fields[field].name, .value = e->f[field],
		.hosts = vmx_entry_field_is_hosts(field),
	};
	int hidden = okvm_error_add_rule(error, &broken);
	unsigned int i;

	note_data(error, e, field);
	for (i = 0; i < ARRAY_SIZE(rule->fields) && rule->fields[i]; i++)
		if (rule->fields[i] != field)
			note_data(error, e, rule->fields[i]);
	return hidden;
}

static void dump(const struct vmx_entry *e)
{
	u32 field;

	for (field = VMX_F_NONE + 1; field < VMX_NR_F; field++)
		if (vmx_entry_field_exists(e->cpu, field))
			pr_err("okvm: %04x %s = %#llx\n", vmx_entry_fields[field].encoding,
			       vmx_entry_fields[field].name, e->f[field]);
}

/*
 * Limit what is printed, because a VMM can cause any number of failed entries. A dump has 100 lines
 * and a limit of its own.
 */
static void log_failure(const struct okvm_vcpu *vcpu, const struct vmx_entry *e, u64 reason,
			const char *text)
{
	static DEFINE_RATELIMIT_STATE(dumps, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);

	if (!okvm_vm_may_log(vcpu->vm))
		return;
	pr_err("okvm: vCPU %u of process %d cannot be entered (%#llx): %s\n", vcpu->id,
	       vcpu->vm->creator, reason, text);
	if (READ_ONCE(dump_invalid_vmcs) && __ratelimit(&dumps))
		dump(e);
}

void vmx_entry_explain(struct okvm_vcpu *vcpu, u64 reason)
{
	bool exited = reason & VMX_EXIT_REASONS_FAILED_VMENTRY;
	struct okvm_error error = {
		.kind = OKVM_ERROR_ENTRY,
		.ndata = 3,
		/* After VMfail the exit qualification is that of an earlier exit: report 0. */
		.data = { reason, exited ? vmx_qual(to_hw(vcpu)) : 0 },
	};
	const struct vmx_entry_rule *rule;
	struct vmx_entry_cpu cpu;
	unsigned int i, hidden = 0;
	struct vmx_entry *e;
	u32 field;

	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e) {
		strscpy(error.text, "no memory to find out which rule is broken",
			sizeof(error.text));
		okvm_error_set(&vcpu->error, &error);
		return;
	}
	vmx_entry_cpu_read(&cpu);
	e->cpu = &cpu;
	entry_read(vcpu, e);
	for (i = 0; (rule = vmx_entry_rule(i)); i++) {
		field = vmx_entry_broken(e, rule);
		if (field != VMX_F_NONE && rule_was_checked(rule, reason))
			hidden += note_rule(&error, e, rule, field);
	}
	okvm_error_end_rules(&error, hidden);
	okvm_error_set(&vcpu->error, &error);
	log_failure(vcpu, e, reason, error.text);
	kfree(e);
}
