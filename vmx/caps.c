// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compute struct vmx_caps from the VMX capability MSRs and the module parameters. All functions are
 * pure.
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>

#include <asm/vmx.h>

#include "vmx/caps.h"

/*
 * Pin-based controls (SDM "Pin-Based VM-Execution Controls").
 * EXT_INTR_MASK: external interrupts cause VM exits: the host handles them.
 * NMI_EXITING: NMIs cause VM exits: the host handles them.
 * VIRTUAL_NMIS: the CPU tracks the guest's NMI blocking and ends it at IRET.
 * VMX_PREEMPTION_TIMER: exit when the guest's APIC timer expires, or after guest_time_bound ticks.
 * POSTED_INTR: a guest receives interrupts through a descriptor in memory, without an exit.
 */
#define PIN_REQUIRED	(PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING)
#define PIN_OPTIONAL	(PIN_BASED_VIRTUAL_NMIS | PIN_BASED_VMX_PREEMPTION_TIMER | \
			 PIN_BASED_POSTED_INTR)

/*
 * Processor-based controls: see exec_wanted() for the purpose of each. The exits on CR3 accesses
 * and INVLPG are required for shadow paging; they are not used with EPT.
 */
#define EXEC_REQUIRED	(CPU_BASED_HLT_EXITING | CPU_BASED_CR8_LOAD_EXITING | \
			 CPU_BASED_CR8_STORE_EXITING | CPU_BASED_CR3_LOAD_EXITING | \
			 CPU_BASED_CR3_STORE_EXITING | CPU_BASED_UNCOND_IO_EXITING | \
			 CPU_BASED_MOV_DR_EXITING | CPU_BASED_USE_TSC_OFFSETTING | \
			 CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING | \
			 CPU_BASED_INVLPG_EXITING | CPU_BASED_RDPMC_EXITING | \
			 CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_USE_MSR_BITMAPS)
#define EXEC_OPTIONAL	(CPU_BASED_TPR_SHADOW | CPU_BASED_NMI_WINDOW_EXITING | \
			 CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)

/*
 * Secondary controls. The comments of exec2_wanted(), desc_exiting(), APICV_CONTROLS and
 * ACCESS_CONTROLS explain each.
 */
#define EXEC2_OPTIONAL	(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_ENABLE_EPT | \
			 SECONDARY_EXEC_DESC | SECONDARY_EXEC_ENABLE_RDTSCP | \
			 SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | SECONDARY_EXEC_ENABLE_VPID | \
			 SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_UNRESTRICTED_GUEST | \
			 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
			 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY | \
			 SECONDARY_EXEC_PAUSE_LOOP_EXITING | SECONDARY_EXEC_ENABLE_INVPCID | \
			 VMX_EXEC2_XSAVES | SECONDARY_EXEC_TSC_SCALING | \
			 SECONDARY_EXEC_ENCLS_EXITING | VMX_EXEC2_ENCLV_EXITING)

/*
 * VM-exit controls (SDM "VM-Exit Controls"). Every VMCS has the required ones. It has an optional
 * one if the CPU supports it and the VM-entry control of the same name (drop_odd_pairs()).
 * SAVE_DEBUG_CONTROLS: exits store the guest's DR7 and DEBUGCTL.
 * HOST_ADDR_SPACE_SIZE: the host is in 64-bit mode.
 * ACK_INTR_ON_EXIT: the exit acknowledges the interrupt at the local APIC and reports its vector.
 * LOAD_IA32_PAT, LOAD_IA32_EFER: exits load the host's values.
 */
#define EXIT_REQUIRED	(VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE | \
			 VM_EXIT_ACK_INTR_ON_EXIT)
#define EXIT_OPTIONAL	(VM_EXIT_LOAD_IA32_PAT | VM_EXIT_LOAD_IA32_EFER)

/*
 * VM-entry controls (SDM "VM-Entry Controls"). Every VMCS has the required one. It has
 * LOAD_IA32_PAT and LOAD_IA32_EFER if the CPU supports them and the VM-exit controls of the same
 * names (drop_odd_pairs()).
 * LOAD_DEBUG_CONTROLS: entries load the guest's DR7 and DEBUGCTL.
 * IA32E_MODE: the guest is in long mode; vmx_set_efer() sets it to the guest's EFER.LMA.
 * LOAD_IA32_PAT, LOAD_IA32_EFER: entries load the guest's values.
 */
#define ENTRY_REQUIRED	VM_ENTRY_LOAD_DEBUG_CONTROLS
#define ENTRY_OPTIONAL	(VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER)

#define EPT_NEEDED	(VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT)
#define EPT_ANY_EXTENT	(VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT)
#define VPID_ANY_EXTENT	(VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT | VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT)

/*
 * Compute a control word. The low half of a capability MSR shows the bits that must be 1, the high
 * half the bits that may be 1 (SDM "VMX Capability Reporting Facility", "VM-Execution Controls").
 * Return: false if the CPU lacks a required control
 */
static bool adjust_control(u32 required, u32 optional, u64 msr, u32 *ctl, u32 *fixed)
{
	u32 may = msr >> 32;
	u32 must = (u32)msr;

	*fixed = must;
	*ctl = ((required | optional) & may) | must;
	return !(required & ~*ctl);
}

struct pair {
	u32 entry;
	u32 exit;
};

/*
 * In each pair, the entry control loads the guest's value of an MSR, and the exit control loads the
 * host's. okvm uses either both controls or none.
 */
static const struct pair pairs[] = {
	{ VM_ENTRY_LOAD_IA32_PAT, VM_EXIT_LOAD_IA32_PAT },
	{ VM_ENTRY_LOAD_IA32_EFER, VM_EXIT_LOAD_IA32_EFER },
};

static void drop_odd_pairs(struct vmx_caps *caps)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (!!(caps->entry & pairs[i].entry) == !!(caps->exit & pairs[i].exit))
			continue;
		caps->entry &= ~pairs[i].entry;
		caps->exit &= ~pairs[i].exit;
	}
}

/*
 * The options of enum vmx_opt. Each requires other options (@needs) and controls. If an option is
 * not used, its controls are cleared. Each row follows the rows of the options that it needs.
 */
struct option {
	u32 opt;
	u32 needs;
	u32 pin, exec, exec2, exit;
};

static const struct option options[] = {
	{ VMX_OPT_EPT, 0, 0, 0, SECONDARY_EXEC_ENABLE_EPT, 0 },
	{ VMX_OPT_EPT_AD, VMX_OPT_EPT, 0, 0, 0, 0 },
	{ VMX_OPT_VPID, 0, 0, 0, SECONDARY_EXEC_ENABLE_VPID, 0 },
	{ VMX_OPT_UNRESTRICTED, VMX_OPT_EPT, 0, 0, SECONDARY_EXEC_UNRESTRICTED_GUEST, 0 },
	{ VMX_OPT_TPR_SHADOW, 0, 0, CPU_BASED_TPR_SHADOW, 0, 0 },
	{ VMX_OPT_FLEXPRIORITY, VMX_OPT_TPR_SHADOW, 0, 0,
	  SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES, 0 },
	{ VMX_OPT_APICV, VMX_OPT_TPR_SHADOW, 0, 0,
	  SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY |
	  SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE, 0 },
	{ VMX_OPT_POSTED, VMX_OPT_APICV, PIN_BASED_POSTED_INTR, 0, 0, 0 },
	{ VMX_OPT_VNMI, 0, PIN_BASED_VIRTUAL_NMIS, CPU_BASED_NMI_WINDOW_EXITING, 0, 0 },
	{ VMX_OPT_TIMER, 0, PIN_BASED_VMX_PREEMPTION_TIMER, 0, 0, 0 },
	{ VMX_OPT_PLE, 0, 0, 0, SECONDARY_EXEC_PAUSE_LOOP_EXITING, 0 },
};

/*
 * Signatures (family, model, stepping) of CPUs whose preemption timer does not count at the rate
 * that IA32_VMX_MISC reports. The comments name Intel's specification updates and errata.
 */
static const u32 bad_timer_cpus[] = {
	0x106a0, 0x106a1, 0x106a4, 0x106a5,	/* Nehalem: 320836 AAJ124, 321333 AAM126 */
	0x106e5,				/* Lynnfield, Clarksfield: 322166 AAN92 */
	0x20652, 0x20655,			/* Arrandale, Clarkdale: 322911 AAU65 */
	0x206e6,				/* Nehalem-EX: 323344 BA86 */
	0x306a8,				/* Ivy Bridge, Xeon E3-1220 v2 */
};

/* Bits 15:14 and 31:28 of the signature are reserved. */
#define SIGNATURE_BITS	0x0fff3fff

static bool timer_is_good(u32 signature)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_timer_cpus); i++)
		if ((signature & SIGNATURE_BITS) == bad_timer_cpus[i])
			return false;
	return true;
}

static bool option_available(const struct option *o, const struct vmx_caps *caps)
{
	if ((caps->opts & o->needs) != o->needs)
		return false;
	if (~caps->pin & o->pin || ~caps->exec & o->exec || ~caps->exec2 & o->exec2 ||
	    ~caps->exit & o->exit)
		return false;
	switch (o->opt) {
	case VMX_OPT_EPT:
		return (caps->ept_cap & EPT_NEEDED) == EPT_NEEDED &&
		       caps->ept_cap & EPT_ANY_EXTENT;
	case VMX_OPT_EPT_AD:
		return caps->ept_cap & VMX_EPT_AD_BIT;
	case VMX_OPT_VPID:
		return caps->vpid_cap & VMX_VPID_INVVPID_BIT && caps->vpid_cap & VPID_ANY_EXTENT;
	default:
		return true;
	}
}

static void choose_options(struct vmx_caps *caps, u32 allowed)
{
	const struct option *o;

	for (o = options; o < options + ARRAY_SIZE(options); o++) {
		if (allowed & o->opt && option_available(o, caps)) {
			caps->opts |= o->opt;
			continue;
		}
		/* No other option needs these controls: clear them. */
		caps->pin &= ~o->pin | caps->pin_fixed;
		caps->exec &= ~o->exec | caps->exec_fixed;
		caps->exec2 &= ~o->exec2 | caps->exec2_fixed;
		caps->exit &= ~o->exit | caps->exit_fixed;
	}
}

static bool vmcs_usable(u64 basic)
{
	return vmx_basic_vmcs_size(basic) <= 4096 && !(basic & BIT_ULL(48)) &&
	       ((basic >> 50) & 15) == VMX_MEMTYPE_WB;
}

enum vmx_caps_err vmx_caps_adjust(const struct vmx_msrs *msrs, u32 opts, struct vmx_caps *caps)
{
	memset(caps, 0, sizeof(*caps));
	if (!vmcs_usable(msrs->basic))
		return VMX_CAPS_VMCS;
	caps->revision = vmx_basic_vmcs_revision_id(msrs->basic);
	caps->cr0_fixed0 = msrs->cr0_fixed0;
	caps->cr0_fixed1 = msrs->cr0_fixed1;
	caps->cr4_fixed0 = msrs->cr4_fixed0;
	caps->cr4_fixed1 = msrs->cr4_fixed1;
	caps->timer_shift = msrs->misc & 0x1f;
	if (!adjust_control(PIN_REQUIRED, PIN_OPTIONAL, msrs->pin, &caps->pin, &caps->pin_fixed))
		return VMX_CAPS_PIN;
	if (!adjust_control(EXEC_REQUIRED, EXEC_OPTIONAL, msrs->exec, &caps->exec,
			    &caps->exec_fixed))
		return VMX_CAPS_EXEC;
	if (!adjust_control(EXIT_REQUIRED, EXIT_OPTIONAL, msrs->exit, &caps->exit,
			    &caps->exit_fixed))
		return VMX_CAPS_EXIT;
	if (!adjust_control(ENTRY_REQUIRED, ENTRY_OPTIONAL, msrs->entry, &caps->entry,
			    &caps->entry_fixed))
		return VMX_CAPS_ENTRY;
	if (caps->exec & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		adjust_control(0, EXEC2_OPTIONAL, msrs->exec2, &caps->exec2, &caps->exec2_fixed);
	if (caps->exec2 & SECONDARY_EXEC_ENABLE_EPT)
		caps->ept_cap = (u32)msrs->ept_vpid;
	if (caps->exec2 & SECONDARY_EXEC_ENABLE_VPID)
		caps->vpid_cap = msrs->ept_vpid >> 32;
	drop_odd_pairs(caps);
	if (!timer_is_good(msrs->signature))
		opts &= ~VMX_OPT_TIMER;
	choose_options(caps, opts);
	return VMX_CAPS_OK;
}

/* CR4.FRED (SDM "Enabling FRED"): <asm/processor-flags.h> defines it only since Linux 6.9. */
#define VMX_CR4_FRED	BIT_ULL(32)
/* SDM "IA32_FEATURE_CONTROL": the lock bit, and VMXON outside SMX operation. */
#define VMX_FEAT_CTL	(BIT_ULL(0) | BIT_ULL(2))

enum vmx_host_err vmx_host_check(const struct vmx_host *host)
{
	if (!host->cpuid)
		return VMX_HOST_LACKS;
	if (!host->kernel || (host->feat_ctl & VMX_FEAT_CTL) != VMX_FEAT_CTL)
		return VMX_HOST_DISABLED;
	return host->cr4 & VMX_CR4_FRED ? VMX_HOST_FRED : VMX_HOST_OK;
}
