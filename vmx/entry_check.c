// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of VM entry for controls and host state: a table at the end, and before it the
 * functions that check rules (vmx_entry_rule.broken). A function checks the fields that the rule's
 * row names, so many rows can use the same function.
 */
#include "vmx/entry_rules.h"

const struct vmx_entry_field_info vmx_entry_fields[VMX_NR_F] = {
#define VMX_ENTRY_INFO(name, encoding, word, bit) [VMX_F_##name] = { #name, encoding, bit, word },
	VMX_ENTRY_FIELDS(VMX_ENTRY_INFO)
#undef VMX_ENTRY_INFO
};

static u32 word_required(const struct vmx_entry_cpu *cpu, unsigned int word)
{
	const u64 msr[VMX_NR_W] = { cpu->msrs.pin, cpu->msrs.exec, 0, cpu->msrs.exit,
				    cpu->msrs.entry };

	return msr[word];
}

bool vmx_entry_field_exists(const struct vmx_entry_cpu *cpu, u32 field)
{
	const struct vmx_entry_field_info *info = &vmx_entry_fields[field];

	if (field == VMX_F_NONE)
		return false;
	return info->word == VMX_W_ALWAYS || word_allowed(cpu, info->word) & info->bit;
}

/* ---- functions for several rules ---- */

static u32 required_clear(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return word_required(e->cpu, rule->arg) & ~word_of(e, rule->arg) ? rule->fields[0] :
									   VMX_F_NONE;
}

static u32 forbidden_set(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return word_of(e, rule->arg) & ~word_allowed(e->cpu, rule->arg) ? rule->fields[0] :
									  VMX_F_NONE;
}

static u32 lacks_control(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return word_of(e, rule->arg >> 32) & (u32)rule->arg ? VMX_F_NONE : rule->fields[0];
}

static u32 has_control(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return word_of(e, rule->arg >> 32) & (u32)rule->arg ? rule->fields[0] : VMX_F_NONE;
}

static u32 is_zero(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] ? VMX_F_NONE : rule->fields[0];
}

/* Check the address of an MSR list: fields[0] is the address, fields[1] the length. */
static u32 bad_list(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 addr = e->f[rule->fields[0]], nr = (u32)e->f[rule->fields[1]];

	return nr && (addr & 15 || too_wide(e, addr)) ? rule->fields[0] : VMX_F_NONE;
}

static u32 list_ends_beyond(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 addr = e->f[rule->fields[0]], nr = (u32)e->f[rule->fields[1]];

	return nr && !too_wide(e, addr) && too_wide(e, addr + nr * 16 - 1) ? rule->fields[1] :
									      VMX_F_NONE;
}

/* ---- controls ---- */

static u32 many_targets(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] > (e->cpu->msrs.misc >> 16 & 0x1ff) ? rule->fields[0] :
									    VMX_F_NONE;
}

/*
 * Return true if virtual-interrupt delivery is off. Only then the rules for the TPR threshold
 * apply.
 */
static bool threshold_counts(const struct vmx_entry *e)
{
	return !(word_of(e, VMX_W_EXEC2) & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
}

static u32 threshold_reserved(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return threshold_counts(e) ? has_bits(e, rule) : VMX_F_NONE;
}

static u32 threshold_above_tpr(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	if (!threshold_counts(e) ||
	    word_of(e, VMX_W_EXEC2) & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		return VMX_F_NONE;
	return (e->f[rule->fields[0]] & 15) > e->vtpr >> 4 ? rule->fields[0] : VMX_F_NONE;
}

static u32 ept_type(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 type = e->f[rule->fields[0]] & 7;
	bool ok = (type == 0 && e->cpu->msrs.ept_vpid & VMX_EPTP_UC_BIT) ||
		  (type == 6 && e->cpu->msrs.ept_vpid & VMX_EPTP_WB_BIT);

	return ok ? VMX_F_NONE : rule->fields[0];
}

static u32 ept_levels(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 length = e->f[rule->fields[0]] >> 3 & 7;
	bool ok = (length == 3 && e->cpu->msrs.ept_vpid & VMX_EPT_PAGE_WALK_4_BIT) ||
		  (length == 4 && e->cpu->msrs.ept_vpid & VMX_EPT_PAGE_WALK_5_BIT);

	return ok ? VMX_F_NONE : rule->fields[0];
}

/*
 * Check the reserved bits of EPTP. Bit 6 enables accessed and dirty bits, bit 7 shadow stacks. Each
 * of the two bits is reserved on a CPU without the feature.
 */
static u32 ept_reserved(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 eptp = e->f[rule->fields[0]], reserved = 0xf00;

	if (!(e->cpu->msrs.ept_vpid & VMX_EPT_AD_BIT))
		reserved |= BIT(6);
	if (!(e->cpu->msrs.ept_vpid & BIT(23)))
		reserved |= BIT(7);
	return eptp & reserved || too_wide(e, eptp) ? rule->fields[0] : VMX_F_NONE;
}

static u32 vmfunc_reserved(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] & ~e->cpu->vmfunc ? rule->fields[0] : VMX_F_NONE;
}

#define VMFUNC_EPTP_SWITCHING	BIT(0)

static u32 switching_without_ept(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] & VMFUNC_EPTP_SWITCHING &&
	       !(word_of(e, VMX_W_EXEC2) & SECONDARY_EXEC_ENABLE_EPT) ? rule->fields[0] :
									VMX_F_NONE;
}

/* ---- the event to inject: SDM "VM-Entry Controls for Event Injection" ---- */

static u32 event_bad_type(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int type = event_type(e);

	if (type == EVENT_OTHER)
		return word_allowed(e->cpu, VMX_W_EXEC) & CPU_BASED_MONITOR_TRAP_FLAG ?
		       VMX_F_NONE : rule->fields[0];
	return type == EVENT_RESERVED ? rule->fields[0] : VMX_F_NONE;
}

static u32 event_bad_vector(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int type = event_type(e), vector = event_vector(e);
	bool bad = (type == EVENT_NMI && vector != 2) || (type == EVENT_HARD && vector > 31) ||
		   (type == EVENT_OTHER && vector != 0);

	return bad ? rule->fields[0] : VMX_F_NONE;
}

static u32 event_reserved(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return event_type(e) != EVENT_NO ? has_bits(e, rule) : VMX_F_NONE;
}

/* The vectors of exceptions with an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP. */
#define VECTORS_WITH_ERROR	(BIT(8) | 0x1fu << 10 | BIT(17) | BIT(21))

static u32 event_error_bit(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	bool has_error = e->f[VMX_F_EVENT] & INTR_INFO_DELIVER_CODE_MASK, hard, due;

	if (event_type(e) == EVENT_NO)
		return VMX_F_NONE;
	hard = event_type(e) == EVENT_HARD && !(real_mode_allowed(e) && real_mode(e));
	/*
	 * If bit 56 of IA32_VMX_BASIC is 1, a hardware exception may be injected with or without an
	 * error code.
	 */
	if (hard && e->cpu->msrs.basic & BIT_ULL(56))
		return VMX_F_NONE;
	due = hard && event_vector(e) < 32 && VECTORS_WITH_ERROR & BIT(event_vector(e));
	return has_error != due ? rule->fields[0] : VMX_F_NONE;
}

static u32 event_error_code(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	if (event_type(e) == EVENT_NO || !(e->f[VMX_F_EVENT] & INTR_INFO_DELIVER_CODE_MASK))
		return VMX_F_NONE;
	return has_bits(e, rule);
}

static u32 event_length(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int type = event_type(e);
	u32 length = e->f[rule->fields[0]];

	if (type != EVENT_SOFT_INT && type != EVENT_PRIV && type != EVENT_SOFT)
		return VMX_F_NONE;
	return length > 15 || (!length && !(e->cpu->msrs.misc & BIT(30))) ? rule->fields[0] :
									     VMX_F_NONE;
}

/* ---- host state ---- */

static u32 host_cr0_fixed(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	const struct vmx_msrs *m = &e->cpu->msrs;
	u64 cr0 = e->f[rule->fields[0]];

	return m->cr0_fixed0 & ~cr0 || cr0 & ~m->cr0_fixed1 ? rule->fields[0] : VMX_F_NONE;
}

static u32 host_selector(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u32 field;

	for (field = VMX_F_HOST_ES; field <= VMX_F_HOST_TR; field++)
		if (e->f[field] & 7)
			return field;
	return VMX_F_NONE;
}

static u32 host_efer_long(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	bool host_long = word_of(e, VMX_W_EXIT) & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	u64 efer = e->f[rule->fields[0]];

	return efer_long(efer, EFER_LMA) != host_long || efer_long(efer, EFER_LME) != host_long ?
	       rule->fields[0] : VMX_F_NONE;
}

/* ---- the table ---- */

static const struct vmx_entry_rule control_rules[] = {
	RULE(CONTROLS, "pin-required", SEC_EXEC, ALWAYS, required_clear, VMX_W_PIN,
	     "bits that the CPU wants set are set", F(PIN)),
	RULE(CONTROLS, "pin-allowed", SEC_EXEC, ALWAYS, forbidden_set, VMX_W_PIN,
	     "bits that the CPU does not have are clear", F(PIN)),
	RULE(CONTROLS, "exec-required", SEC_EXEC, ALWAYS, required_clear, VMX_W_EXEC,
	     "bits that the CPU wants set are set", F(EXEC)),
	RULE(CONTROLS, "exec-allowed", SEC_EXEC, ALWAYS, forbidden_set, VMX_W_EXEC,
	     "bits that the CPU does not have are clear", F(EXEC)),
	RULE(CONTROLS, "exec2-allowed", SEC_EXEC, ALWAYS, forbidden_set, VMX_W_EXEC2,
	     "bits that the CPU does not have are clear", F(EXEC2)),
	RULE(CONTROLS, "cr3-targets", SEC_EXEC, ALWAYS, many_targets, 0,
	     "there are no more CR3 targets than the CPU has", F(CR3_TARGETS)),
	RULE(CONTROLS, "io-bitmap-a", SEC_EXEC, WITH(EXEC, CPU_BASED_USE_IO_BITMAPS), bad_address,
	     PAGE_LOW, "the I/O bitmap is a page of physical memory", F(IO_BITMAP_A)),
	RULE(CONTROLS, "io-bitmap-b", SEC_EXEC, WITH(EXEC, CPU_BASED_USE_IO_BITMAPS), bad_address,
	     PAGE_LOW, "the I/O bitmap is a page of physical memory", F(IO_BITMAP_B)),
	RULE(CONTROLS, "msr-bitmap", SEC_EXEC, WITH(EXEC, CPU_BASED_USE_MSR_BITMAPS), bad_address,
	     PAGE_LOW, "the MSR bitmap is a page of physical memory", F(MSR_BITMAP)),
	RULE(CONTROLS, "virtual-apic", SEC_EXEC, WITH(EXEC, CPU_BASED_TPR_SHADOW), bad_address,
	     PAGE_LOW, "the virtual-APIC page is a page of physical memory", F(VIRTUAL_APIC)),
	RULE(CONTROLS, "tpr-threshold-reserved", SEC_EXEC, WITH(EXEC, CPU_BASED_TPR_SHADOW),
	     threshold_reserved, 0xfffffff0, "bits 31:4 of the TPR threshold are clear",
	     F(TPR_THRESHOLD)),
	RULE(CONTROLS, "tpr-threshold", SEC_EXEC, WITH(EXEC, CPU_BASED_TPR_SHADOW),
	     threshold_above_tpr, 0, "the TPR threshold is not above the virtual TPR",
	     F(TPR_THRESHOLD), F(VIRTUAL_APIC)),
	RULE(CONTROLS, "virtual-nmi", SEC_EXEC, WITH(PIN, PIN_BASED_VIRTUAL_NMIS), lacks_control,
	     BITS_OF(VMX_W_PIN, PIN_BASED_NMI_EXITING), "virtual NMIs need NMI exiting", F(PIN)),
	RULE(CONTROLS, "nmi-window", SEC_EXEC, WITH(EXEC, CPU_BASED_NMI_WINDOW_EXITING),
	     lacks_control, BITS_OF(VMX_W_PIN, PIN_BASED_VIRTUAL_NMIS),
	     "NMI-window exiting needs virtual NMIs", F(EXEC), F(PIN)),
	RULE(CONTROLS, "apic-access", SEC_EXEC,
	     WITH(EXEC2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES), bad_address, PAGE_LOW,
	     "the APIC-access page is a page of physical memory", F(APIC_ACCESS)),
	RULE(CONTROLS, "apic-needs-tpr-shadow", SEC_EXEC,
	     WITH(EXEC2, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | SECONDARY_EXEC_APIC_REGISTER_VIRT |
		  SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY), lacks_control,
	     BITS_OF(VMX_W_EXEC, CPU_BASED_TPR_SHADOW),
	     "x2APIC mode, APIC registers and interrupt delivery need a TPR shadow",
	     F(EXEC2), F(EXEC)),
	RULE(CONTROLS, "x2apic-or-xapic", SEC_EXEC,
	     WITH(EXEC2, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE), has_control,
	     BITS_OF(VMX_W_EXEC2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES),
	     "x2APIC mode and APIC accesses are not virtualized together", F(EXEC2)),
	RULE(CONTROLS, "delivery-needs-irq-exits", SEC_EXEC,
	     WITH(EXEC2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY), lacks_control,
	     BITS_OF(VMX_W_PIN, PIN_BASED_EXT_INTR_MASK),
	     "virtual-interrupt delivery needs external-interrupt exiting", F(EXEC2), F(PIN)),
	RULE(CONTROLS, "posted-needs-delivery", SEC_EXEC, WITH(PIN, PIN_BASED_POSTED_INTR),
	     lacks_control, BITS_OF(VMX_W_EXEC2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY),
	     "posted interrupts need virtual-interrupt delivery", F(PIN), F(EXEC2)),
	RULE(CONTROLS, "posted-needs-ack", SEC_EXEC, WITH(PIN, PIN_BASED_POSTED_INTR),
	     lacks_control, BITS_OF(VMX_W_EXIT, VM_EXIT_ACK_INTR_ON_EXIT),
	     "posted interrupts need acknowledgement on exit", F(PIN), F(EXIT)),
	RULE(CONTROLS, "posted-vector", SEC_EXEC, WITH(PIN, PIN_BASED_POSTED_INTR), has_bits,
	     0xff00, "the notification vector is below 256", F(POSTED_VECTOR)),
	RULE(CONTROLS, "posted-descriptor", SEC_EXEC, WITH(PIN, PIN_BASED_POSTED_INTR),
	     bad_address, 0x3f, "the posted-interrupt descriptor is 64 bytes of physical memory",
	     F(POSTED_DESC)),
	RULE(CONTROLS, "vpid", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_VPID), is_zero, 0,
	     "the VPID is not 0", F(VPID)),
	RULE(CONTROLS, "ept-type", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_EPT), ept_type, 0,
	     "the memory type of EPTP is one that the CPU has", F(EPTP)),
	RULE(CONTROLS, "ept-levels", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_EPT), ept_levels,
	     0, "the page-walk length of EPTP is one that the CPU has", F(EPTP)),
	RULE(CONTROLS, "ept-reserved", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_EPT),
	     ept_reserved, 0, "reserved bits of EPTP are clear", F(EPTP)),
	RULE(CONTROLS, "ept-needed", SEC_EXEC,
	     WITH(EXEC2, SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_ENABLE_PML |
		  SECONDARY_EXEC_MODE_BASED_EPT_EXEC), lacks_control,
	     BITS_OF(VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_EPT),
	     "unrestricted guests, the log of written pages and execution by mode need EPT",
	     F(EXEC2)),
	RULE(CONTROLS, "pml", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_PML), bad_address,
	     PAGE_LOW, "the log of written pages is a page of physical memory", F(PML)),
	RULE(CONTROLS, "vmfunc", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_VMFUNC),
	     vmfunc_reserved, 0, "VM functions are ones that the CPU has", F(VMFUNC)),
	RULE(CONTROLS, "vmfunc-needs-ept", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_ENABLE_VMFUNC),
	     switching_without_ept, 0, "EPTP switching needs EPT", F(VMFUNC), F(EXEC2)),
	RULE(CONTROLS, "vmread-bitmap", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_SHADOW_VMCS),
	     bad_address, PAGE_LOW, "the VMREAD bitmap is a page of physical memory",
	     F(VMREAD_BITMAP)),
	RULE(CONTROLS, "vmwrite-bitmap", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_SHADOW_VMCS),
	     bad_address, PAGE_LOW, "the VMWRITE bitmap is a page of physical memory",
	     F(VMWRITE_BITMAP)),
	RULE(CONTROLS, "ve-info", SEC_EXEC, WITH(EXEC2, VMX_EXEC2_VE), bad_address, PAGE_LOW,
	     "the page of virtualization exceptions is a page of physical memory", F(VE_INFO)),
	RULE(CONTROLS, "tsc-multiplier", SEC_EXEC, WITH(EXEC2, SECONDARY_EXEC_TSC_SCALING),
	     is_zero, 0, "the TSC multiplier is not 0", F(TSC_MULTIPLIER)),

	RULE(CONTROLS, "exit-required", SEC_EXIT, ALWAYS, required_clear, VMX_W_EXIT,
	     "bits that the CPU wants set are set", F(EXIT)),
	RULE(CONTROLS, "exit-allowed", SEC_EXIT, ALWAYS, forbidden_set, VMX_W_EXIT,
	     "bits that the CPU does not have are clear", F(EXIT)),
	RULE(CONTROLS, "timer-saved", SEC_EXIT, WITH(EXIT, VM_EXIT_SAVE_VMX_PREEMPTION_TIMER),
	     lacks_control, BITS_OF(VMX_W_PIN, PIN_BASED_VMX_PREEMPTION_TIMER),
	     "the preemption timer is saved only where it is active", F(EXIT), F(PIN)),
	RULE(CONTROLS, "exit-store-list", SEC_EXIT, ALWAYS, bad_list, 0,
	     "the list of MSRs to store is 16-byte aligned physical memory",
	     F(EXIT_STORE_ADDR), F(EXIT_STORE_COUNT)),
	RULE(CONTROLS, "exit-store-end", SEC_EXIT, ALWAYS, list_ends_beyond, 0,
	     "the list of MSRs to store ends in physical memory",
	     F(EXIT_STORE_ADDR), F(EXIT_STORE_COUNT)),
	RULE(CONTROLS, "exit-load-list", SEC_EXIT, ALWAYS, bad_list, 0,
	     "the list of MSRs to load on exits is 16-byte aligned physical memory",
	     F(EXIT_LOAD_ADDR), F(EXIT_LOAD_COUNT)),
	RULE(CONTROLS, "exit-load-end", SEC_EXIT, ALWAYS, list_ends_beyond, 0,
	     "the list of MSRs to load on exits ends in physical memory",
	     F(EXIT_LOAD_ADDR), F(EXIT_LOAD_COUNT)),

	RULE(CONTROLS, "entry-required", SEC_ENTRY, ALWAYS, required_clear, VMX_W_ENTRY,
	     "bits that the CPU wants set are set", F(ENTRY)),
	RULE(CONTROLS, "entry-allowed", SEC_ENTRY, ALWAYS, forbidden_set, VMX_W_ENTRY,
	     "bits that the CPU does not have are clear", F(ENTRY)),
	RULE(CONTROLS, "entry-smm", SEC_ENTRY, ALWAYS, has_control,
	     BITS_OF(VMX_W_ENTRY, VM_ENTRY_SMM | VM_ENTRY_DEACT_DUAL_MONITOR),
	     "SMM is left or entered only from SMM", F(ENTRY)),
	RULE(CONTROLS, "entry-load-list", SEC_ENTRY, ALWAYS, bad_list, 0,
	     "the list of MSRs to load is 16-byte aligned physical memory",
	     F(ENTRY_LOAD_ADDR), F(ENTRY_LOAD_COUNT)),
	RULE(CONTROLS, "entry-load-end", SEC_ENTRY, ALWAYS, list_ends_beyond, 0,
	     "the list of MSRs to load ends in physical memory",
	     F(ENTRY_LOAD_ADDR), F(ENTRY_LOAD_COUNT)),
	RULE(CONTROLS, "event-reserved", SEC_ENTRY, ALWAYS, event_reserved, 0x7ffff000,
	     "reserved bits of the event are clear", F(EVENT)),
	RULE(CONTROLS, "event-type", SEC_ENTRY, ALWAYS, event_bad_type, 0,
	     "the type of the event is one that the CPU has", F(EVENT)),
	RULE(CONTROLS, "event-vector", SEC_ENTRY, ALWAYS, event_bad_vector, 0,
	     "the vector suits the type: an NMI has 2, an exception one below 32", F(EVENT)),
	RULE(CONTROLS, "event-error-bit", SEC_ENTRY, ALWAYS, event_error_bit, 0,
	     "exceptions that have an error code come with one, and other events without",
	     F(EVENT), F(GUEST_CR0)),
	RULE(CONTROLS, "event-error-code", SEC_ENTRY, ALWAYS, event_error_code, 0xffff0000,
	     "bits 31:16 of the error code are clear", F(EVENT_ERROR), F(EVENT)),
	RULE(CONTROLS, "event-length", SEC_ENTRY, ALWAYS, event_length, 0,
	     "the instruction of a software event has 1 to 15 bytes", F(EVENT_LENGTH), F(EVENT)),

	RULE(HOST, "host-long", SEC_SIZE, ALWAYS, lacks_control,
	     BITS_OF(VMX_W_EXIT, VM_EXIT_HOST_ADDR_SPACE_SIZE), "a 64-bit host stays one",
	     F(EXIT)),
	RULE(HOST, "host-cr0", SEC_HOST_CR, ALWAYS, host_cr0_fixed, 0,
	     "bits of CR0 are as VMX operation wants them", F(HOST_CR0)),
	RULE(HOST, "host-cr4", SEC_HOST_CR, ALWAYS, cr4_fixed, 0,
	     "bits of CR4 are as VMX operation wants them", F(HOST_CR4)),
	RULE(HOST, "host-cr3", SEC_HOST_CR, ALWAYS, bad_cr3, 0,
	     "CR3 is a physical address", F(HOST_CR3)),
	RULE(HOST, "host-sysenter", SEC_HOST_CR, ALWAYS, not_canonical, 0,
	     "addresses for SYSENTER are canonical", F(HOST_SYSENTER_ESP), F(HOST_SYSENTER_EIP)),
	RULE(HOST, "host-pat", SEC_HOST_CR, WITH(EXIT, VM_EXIT_LOAD_IA32_PAT), bad_pat, 0,
	     "PAT has memory types only", F(HOST_PAT)),
	RULE(HOST, "host-efer", SEC_HOST_CR, WITH(EXIT, VM_EXIT_LOAD_IA32_EFER), bad_efer, 0,
	     "reserved bits of EFER are clear", F(HOST_EFER)),
	RULE(HOST, "host-efer-long", SEC_HOST_CR, WITH(EXIT, VM_EXIT_LOAD_IA32_EFER),
	     host_efer_long, 0, "EFER.LMA and LME are as the address-space size", F(HOST_EFER),
	     F(EXIT)),
	RULE(HOST, "host-selectors", SEC_HOST_SEG, ALWAYS, host_selector, 0,
	     "TI and RPL of every selector are 0", F(HOST_ES)),
	RULE(HOST, "host-cs-null", SEC_HOST_SEG, ALWAYS, is_zero, 0, "CS is not null", F(HOST_CS)),
	RULE(HOST, "host-tr-null", SEC_HOST_SEG, ALWAYS, is_zero, 0, "TR is not null", F(HOST_TR)),
	RULE(HOST, "host-bases", SEC_HOST_SEG, ALWAYS, not_canonical, 0,
	     "bases of FS, GS and TR are canonical", F(HOST_FS_BASE), F(HOST_GS_BASE),
	     F(HOST_TR_BASE)),
	RULE(HOST, "host-tables", SEC_HOST_SEG, ALWAYS, not_canonical, 0,
	     "bases of GDTR and IDTR are canonical", F(HOST_GDTR_BASE), F(HOST_IDTR_BASE)),
	RULE(HOST, "host-pae", SEC_SIZE, WITH(EXIT, VM_EXIT_HOST_ADDR_SPACE_SIZE), lacks_bits,
	     X86_CR4_PAE, "a 64-bit host has CR4.PAE", F(HOST_CR4)),
	RULE(HOST, "host-rip", SEC_SIZE, WITH(EXIT, VM_EXIT_HOST_ADDR_SPACE_SIZE), not_canonical,
	     0, "RIP is canonical", F(HOST_RIP)),
};

#define NR_CONTROL_RULES	ARRAY_SIZE(control_rules)

const struct vmx_entry_rule *vmx_entry_rule(unsigned int nr)
{
	if (nr < NR_CONTROL_RULES)
		return &control_rules[nr];
	nr -= NR_CONTROL_RULES;
	return nr < vmx_nr_guest_rules ? &vmx_guest_rules[nr] : NULL;
}

u32 vmx_entry_broken(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	if (rule->word != VMX_W_ALWAYS && !(word_of(e, rule->word) & rule->when))
		return VMX_F_NONE;
	return rule->broken(e, rule);
}
