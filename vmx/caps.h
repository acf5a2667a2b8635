/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a CPU's VMX capability MSRs and the module's parameters come to: one
 * structure, computed by a pure function.
 *
 * Upstream reads the MSRs while it adjusts and keeps the result, the raw
 * capabilities and a dozen parameter variables side by side; here everything
 * later code may ask is in struct vmx_caps, and two CPUs are equal if their
 * structures are.
 */
#ifndef OKVM_VMX_CAPS_H
#define OKVM_VMX_CAPS_H

#include <linux/bits.h>
#include <linux/types.h>

/**
 * struct vmx_msrs - the capability MSRs as RDMSR gives them
 *
 * One that the CPU does not have is 0. The TRUE_* MSRs are read in place of the plain ones where
 * IA32_VMX_BASIC says that they exist. @signature is no MSR but EAX of CPUID leaf 1: family, model
 * and stepping.
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

/* SDM "Secondary Processor-Based VM-Execution Controls" and "Encodings"; not in <asm/vmx.h>. */
#define VMX_EXEC2_ENCLV_EXITING		BIT(28)
/* The supported kernels name it differently. */
#define VMX_EXEC2_XSAVES		VMCS_CONTROL_BIT(XSAVES)
/* Write-back, as IA32_VMX_BASIC and EPTP encode memory types. */
#define VMX_MEMTYPE_WB			6
#define VMX_ENCLV_EXITING_BITMAP	0x2036

/** enum vmx_opt - what may be switched off by parameter, as bits */
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

/** enum vmx_caps_err - why a CPU cannot be used */
enum vmx_caps_err {
	VMX_CAPS_OK,
	VMX_CAPS_PIN,		/* a required pin-based control is missing */
	VMX_CAPS_EXEC,
	VMX_CAPS_EXIT,
	VMX_CAPS_ENTRY,
	VMX_CAPS_VMCS,		/* VMCS larger than a page, not write-back, or 32-bit addresses */
};

/**
 * struct vmx_caps - what okvm uses of this CPU
 * @pin, @exec, @exec2, @exit, @entry: every control okvm may set; the ones that must be 1 are set
 * @pin_fixed ... @entry_fixed: the ones that must be 1
 * @ept_cap, @vpid_cap: halves of IA32_VMX_EPT_VPID_CAP
 * @timer_shift: the preemption timer counts once each 2^shift TSC ticks
 * @cr0_fixed0, @cr4_fixed0: bits that must be 1 in VMX operation; @*_fixed1: bits that may be 1
 * @opts: enum vmx_opt, what is in use
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
 * vmx_caps_adjust() - compute the structure
 * @msrs: raw MSRs
 * @opts: enum vmx_opt, what the parameters allow
 * @caps: result; complete only if VMX_CAPS_OK
 *
 * An option whose parts the CPU has only some of is off as a whole.
 * Source: SDM "VMX Capability Reporting Facility".
 */
enum vmx_caps_err vmx_caps_adjust(const struct vmx_msrs *msrs, u32 opts, struct vmx_caps *caps);

static inline bool vmx_has(const struct vmx_caps *caps, u32 opt)
{
	return caps->opts & opt;
}

#endif /* OKVM_VMX_CAPS_H */
