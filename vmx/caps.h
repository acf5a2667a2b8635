/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct vmx_caps contains the VMX features that okvm uses. A pure function computes it from the
 * capability MSRs and the module parameters.
 *
 * Upstream has the adjusted controls, the raw capabilities and a dozen parameter variables in
 * separate places. In okvm, all code uses struct vmx_caps, and two CPUs have the same features if
 * their structures are equal.
 */
#ifndef OKVM_VMX_CAPS_H
#define OKVM_VMX_CAPS_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * struct vmx_msrs - values of the VMX capability MSRs
 *
 * The value of a missing MSR is 0. If IA32_VMX_BASIC reports the TRUE_* MSRs, the members have the
 * values of the TRUE_* MSRs instead of the plain MSRs. @signature is EAX of CPUID leaf 1 (family,
 * model, stepping).
 */
struct vmx_msrs {
	u64 basic;
	u64 pin;
	u64 exec;
	u64 exec2;
	u64 exit;
	u64 entry;
	u64 misc;
	u64 cr0_fixed0;
	u64 cr0_fixed1;
	u64 cr4_fixed0;
	u64 cr4_fixed1;
	u64 ept_vpid;
	u32 signature;
};

/* SDM "Secondary Processor-Based VM-Execution Controls", "Encodings"; missing in <asm/vmx.h>. */
#define VMX_EXEC2_ENCLV_EXITING		BIT(28)
/* The name SECONDARY_EXEC_*XSAVES differs between kernel versions. */
#define VMX_EXEC2_XSAVES		VMCS_CONTROL_BIT(XSAVES)
/* The memory type WB (write-back), as IA32_VMX_BASIC and EPTP encode it. */
#define VMX_MEMTYPE_WB			6
#define VMX_ENCLV_EXITING_BITMAP	0x2036

/**
 * struct vmx_host - what decides whether the host can use VMX at all
 * @cpuid: CPUID.1:ECX.VMX of the CPU
 * @kernel: the kernel's feature flag for VMX. The kernel clears it if firmware has disabled VMX
 * @feat_ctl: IA32_FEATURE_CONTROL, 0 if the CPU lacks this MSR
 * @cr4: the host's CR4
 */
struct vmx_host {
	bool cpuid;
	bool kernel;
	u64 feat_ctl;
	u64 cr4;
};

/** enum vmx_host_err - result of vmx_host_check() */
enum vmx_host_err {
	VMX_HOST_OK,
	VMX_HOST_LACKS,		/* the CPU, or the hypervisor below, offers no VMX */
	VMX_HOST_DISABLED,	/* firmware has disabled VMX outside SMX */
	VMX_HOST_FRED,		/* the host delivers events by FRED */
};

/** enum vmx_opt - features that a module parameter can switch off, as bits */
enum vmx_opt {
	VMX_OPT_EPT		= BIT(0),
	VMX_OPT_EPT_AD		= BIT(1),
	VMX_OPT_VPID		= BIT(2),
	VMX_OPT_UNRESTRICTED	= BIT(3),
	VMX_OPT_TPR_SHADOW	= BIT(4),
	VMX_OPT_FLEXPRIORITY	= BIT(5),
	VMX_OPT_APICV		= BIT(6),
	VMX_OPT_POSTED		= BIT(7),
	VMX_OPT_VNMI		= BIT(8),
	VMX_OPT_TIMER		= BIT(9),
	VMX_OPT_PLE		= BIT(10),
	VMX_OPT_ALL		= GENMASK(10, 0),
};

/** enum vmx_caps_err - why okvm cannot use a CPU */
enum vmx_caps_err {
	VMX_CAPS_OK,
	VMX_CAPS_PIN,		/* the CPU lacks a required pin-based control */
	VMX_CAPS_EXEC,
	VMX_CAPS_EXIT,
	VMX_CAPS_ENTRY,
	VMX_CAPS_VMCS,		/* VMCS is larger than a page, not WB, or has 32-bit addresses */
};

/**
 * struct vmx_caps - the VMX features of the CPUs that okvm uses
 * @revision: the identifier that each VMCS and each VMXON region begins with
 * @pin, @exec, @exec2, @exit, @entry: controls that okvm may set, including those that must be 1
 * @pin_fixed ... @entry_fixed: the controls that must be 1
 * @ept_cap, @vpid_cap: low and high half of IA32_VMX_EPT_VPID_CAP
 * @timer_shift: the preemption timer counts down by 1 every 2^shift TSC ticks
 * @cr0_fixed0, @cr4_fixed0: bits that must be 1 in VMX operation; @*_fixed1: bits that may be 1
 * @opts: the options in use (enum vmx_opt)
 */
struct vmx_caps {
	u32 revision;
	u32 pin, pin_fixed;
	u32 exec, exec_fixed;
	u32 exec2, exec2_fixed;
	u32 exit, exit_fixed;
	u32 entry, entry_fixed;
	u32 ept_cap;
	u32 vpid_cap;
	u32 timer_shift;
	u32 opts;
	u64 cr0_fixed0, cr0_fixed1;
	u64 cr4_fixed0, cr4_fixed1;
};

/**
 * vmx_caps_adjust() - compute struct vmx_caps
 * @msrs: the CPU's capability MSRs
 * @opts: the options that the module parameters allow (enum vmx_opt)
 * @caps: output; complete only if the return value is VMX_CAPS_OK
 *
 * If the CPU lacks a control or a capability that an option needs, the option is off. See SDM "VMX
 * Capability Reporting Facility".
 */
enum vmx_caps_err vmx_caps_adjust(const struct vmx_msrs *msrs, u32 opts, struct vmx_caps *caps);

/**
 * vmx_host_check() - return whether the host can use VMX, or why not
 *
 * A host with CR4.FRED = 1 is refused, because it has no IDT. okvm calls the host's handlers
 * through the IDT: vmenter.S executes INT n after an external interrupt, and vmx_host_nmi_mce()
 * executes INT 2 after an NMI. See SDM "Enabling and Entering VMX Operation" and "Flexible Return
 * and Event Delivery".
 */
enum vmx_host_err vmx_host_check(const struct vmx_host *host);

static inline bool vmx_has(const struct vmx_caps *caps, u32 opt)
{
	return caps->opts & opt;
}

#endif /* OKVM_VMX_CAPS_H */
