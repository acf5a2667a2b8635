/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checks of VM entry (SDM "VM Entries") as a table of rules, to explain why a VM entry has
 * failed. The CPU itself reports only which of three areas has a broken rule.
 *
 * All functions are pure: they get the VMCS as an array of values, and the CPU as a structure. The
 * table does not cover features that okvm never enables (CET, PKS, user interrupts, FRED, processor
 * trace, LBR and performance-counter MSRs, tertiary controls, SMM), except for a few of their bits.
 */
#ifndef OKVM_VMX_ENTRY_CHECK_H
#define OKVM_VMX_ENTRY_CHECK_H

#include <linux/types.h>

#include "vmx/caps.h"

/** enum vmx_entry_word - the control words of a VMCS */
enum vmx_entry_word {
	VMX_W_PIN, VMX_W_EXEC, VMX_W_EXEC2, VMX_W_EXIT, VMX_W_ENTRY,
	VMX_NR_W,
	VMX_W_ALWAYS = VMX_NR_W,
};

/*
 * The VMCS fields that the rules use: X(name, encoding, word, bit). A field exists on CPUs that
 * support the control @bit of control word @word (SDM "Encodings"), or on all CPUs if @word is
 * VMX_W_ALWAYS. A segment register has four fields, in the order of enum vmx_entry_seg_part.
 */
#define VMX_ENTRY_SEG(X, R)							\
	X(GUEST_##R##_SELECTOR, GUEST_##R##_SELECTOR, VMX_W_ALWAYS, 0)		\
	X(GUEST_##R##_BASE, GUEST_##R##_BASE, VMX_W_ALWAYS, 0)			\
	X(GUEST_##R##_LIMIT, GUEST_##R##_LIMIT, VMX_W_ALWAYS, 0)		\
	X(GUEST_##R##_AR, GUEST_##R##_AR_BYTES, VMX_W_ALWAYS, 0)

#define VMX_ENTRY_FIELDS(X)							\
	/* The words of controls, in the order of enum vmx_entry_word. */	\
	X(PIN, PIN_BASED_VM_EXEC_CONTROL, VMX_W_ALWAYS, 0)			\
	X(EXEC, CPU_BASED_VM_EXEC_CONTROL, VMX_W_ALWAYS, 0)			\
	X(EXEC2, SECONDARY_VM_EXEC_CONTROL, VMX_W_EXEC, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) \
	X(EXIT, VM_EXIT_CONTROLS, VMX_W_ALWAYS, 0)				\
	X(ENTRY, VM_ENTRY_CONTROLS, VMX_W_ALWAYS, 0)				\
	X(CR3_TARGETS, CR3_TARGET_COUNT, VMX_W_ALWAYS, 0)			\
	X(IO_BITMAP_A, IO_BITMAP_A, VMX_W_ALWAYS, 0)				\
	X(IO_BITMAP_B, IO_BITMAP_B, VMX_W_ALWAYS, 0)				\
	X(MSR_BITMAP, MSR_BITMAP, VMX_W_EXEC, CPU_BASED_USE_MSR_BITMAPS)	\
	X(VIRTUAL_APIC, VIRTUAL_APIC_PAGE_ADDR, VMX_W_EXEC, CPU_BASED_TPR_SHADOW) \
	X(TPR_THRESHOLD, TPR_THRESHOLD, VMX_W_EXEC, CPU_BASED_TPR_SHADOW)	\
	X(APIC_ACCESS, APIC_ACCESS_ADDR, VMX_W_EXEC2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) \
	X(POSTED_VECTOR, POSTED_INTR_NV, VMX_W_PIN, PIN_BASED_POSTED_INTR)	\
	X(POSTED_DESC, POSTED_INTR_DESC_ADDR, VMX_W_PIN, PIN_BASED_POSTED_INTR)	\
	X(VPID, VIRTUAL_PROCESSOR_ID, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_VPID)	\
	X(EPTP, EPT_POINTER, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_EPT)		\
	X(PML, PML_ADDRESS, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_PML)		\
	X(VMFUNC, VM_FUNCTION_CONTROL, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_VMFUNC) \
	X(VMREAD_BITMAP, VMREAD_BITMAP, VMX_W_EXEC2, SECONDARY_EXEC_SHADOW_VMCS) \
	X(VMWRITE_BITMAP, VMWRITE_BITMAP, VMX_W_EXEC2, SECONDARY_EXEC_SHADOW_VMCS) \
	X(VE_INFO, VMX_VE_INFO_ADDRESS, VMX_W_EXEC2, VMX_EXEC2_VE)		\
	X(TSC_MULTIPLIER, TSC_MULTIPLIER, VMX_W_EXEC2, SECONDARY_EXEC_TSC_SCALING) \
	X(EXIT_STORE_COUNT, VM_EXIT_MSR_STORE_COUNT, VMX_W_ALWAYS, 0)		\
	X(EXIT_STORE_ADDR, VM_EXIT_MSR_STORE_ADDR, VMX_W_ALWAYS, 0)		\
	X(EXIT_LOAD_COUNT, VM_EXIT_MSR_LOAD_COUNT, VMX_W_ALWAYS, 0)		\
	X(EXIT_LOAD_ADDR, VM_EXIT_MSR_LOAD_ADDR, VMX_W_ALWAYS, 0)		\
	X(ENTRY_LOAD_COUNT, VM_ENTRY_MSR_LOAD_COUNT, VMX_W_ALWAYS, 0)		\
	X(ENTRY_LOAD_ADDR, VM_ENTRY_MSR_LOAD_ADDR, VMX_W_ALWAYS, 0)		\
	X(EVENT, VM_ENTRY_INTR_INFO_FIELD, VMX_W_ALWAYS, 0)			\
	X(EVENT_ERROR, VM_ENTRY_EXCEPTION_ERROR_CODE, VMX_W_ALWAYS, 0)		\
	X(EVENT_LENGTH, VM_ENTRY_INSTRUCTION_LEN, VMX_W_ALWAYS, 0)		\
	/* Host state. */							\
	X(HOST_CR0, HOST_CR0, VMX_W_ALWAYS, 0)					\
	X(HOST_CR3, HOST_CR3, VMX_W_ALWAYS, 0)					\
	X(HOST_CR4, HOST_CR4, VMX_W_ALWAYS, 0)					\
	X(HOST_RIP, HOST_RIP, VMX_W_ALWAYS, 0)					\
	X(HOST_SYSENTER_ESP, HOST_IA32_SYSENTER_ESP, VMX_W_ALWAYS, 0)		\
	X(HOST_SYSENTER_EIP, HOST_IA32_SYSENTER_EIP, VMX_W_ALWAYS, 0)		\
	X(HOST_PAT, HOST_IA32_PAT, VMX_W_EXIT, VM_EXIT_LOAD_IA32_PAT)		\
	X(HOST_EFER, HOST_IA32_EFER, VMX_W_EXIT, VM_EXIT_LOAD_IA32_EFER)	\
	X(HOST_ES, HOST_ES_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_CS, HOST_CS_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_SS, HOST_SS_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_DS, HOST_DS_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_FS, HOST_FS_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_GS, HOST_GS_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_TR, HOST_TR_SELECTOR, VMX_W_ALWAYS, 0)				\
	X(HOST_FS_BASE, HOST_FS_BASE, VMX_W_ALWAYS, 0)				\
	X(HOST_GS_BASE, HOST_GS_BASE, VMX_W_ALWAYS, 0)				\
	X(HOST_TR_BASE, HOST_TR_BASE, VMX_W_ALWAYS, 0)				\
	X(HOST_GDTR_BASE, HOST_GDTR_BASE, VMX_W_ALWAYS, 0)			\
	X(HOST_IDTR_BASE, HOST_IDTR_BASE, VMX_W_ALWAYS, 0)			\
	/* Guest state. */							\
	VMX_ENTRY_SEG(X, ES)							\
	VMX_ENTRY_SEG(X, CS)							\
	VMX_ENTRY_SEG(X, SS)							\
	VMX_ENTRY_SEG(X, DS)							\
	VMX_ENTRY_SEG(X, FS)							\
	VMX_ENTRY_SEG(X, GS)							\
	VMX_ENTRY_SEG(X, LDTR)							\
	VMX_ENTRY_SEG(X, TR)							\
	X(GUEST_CR0, GUEST_CR0, VMX_W_ALWAYS, 0)				\
	X(GUEST_CR3, GUEST_CR3, VMX_W_ALWAYS, 0)				\
	X(GUEST_CR4, GUEST_CR4, VMX_W_ALWAYS, 0)				\
	X(GUEST_DR7, GUEST_DR7, VMX_W_ALWAYS, 0)				\
	X(GUEST_DEBUGCTL, GUEST_IA32_DEBUGCTL, VMX_W_ALWAYS, 0)			\
	X(GUEST_SYSENTER_ESP, GUEST_SYSENTER_ESP, VMX_W_ALWAYS, 0)		\
	X(GUEST_SYSENTER_EIP, GUEST_SYSENTER_EIP, VMX_W_ALWAYS, 0)		\
	X(GUEST_PAT, GUEST_IA32_PAT, VMX_W_ENTRY, VM_ENTRY_LOAD_IA32_PAT)	\
	X(GUEST_EFER, GUEST_IA32_EFER, VMX_W_ENTRY, VM_ENTRY_LOAD_IA32_EFER)	\
	X(GUEST_GDTR_BASE, GUEST_GDTR_BASE, VMX_W_ALWAYS, 0)			\
	X(GUEST_GDTR_LIMIT, GUEST_GDTR_LIMIT, VMX_W_ALWAYS, 0)			\
	X(GUEST_IDTR_BASE, GUEST_IDTR_BASE, VMX_W_ALWAYS, 0)			\
	X(GUEST_IDTR_LIMIT, GUEST_IDTR_LIMIT, VMX_W_ALWAYS, 0)			\
	X(GUEST_RIP, GUEST_RIP, VMX_W_ALWAYS, 0)				\
	X(GUEST_RFLAGS, GUEST_RFLAGS, VMX_W_ALWAYS, 0)				\
	X(ACTIVITY, GUEST_ACTIVITY_STATE, VMX_W_ALWAYS, 0)			\
	X(BLOCKING, GUEST_INTERRUPTIBILITY_INFO, VMX_W_ALWAYS, 0)		\
	X(PENDING_DEBUG, GUEST_PENDING_DBG_EXCEPTIONS, VMX_W_ALWAYS, 0)		\
	X(LINK, VMCS_LINK_POINTER, VMX_W_ALWAYS, 0)				\
	X(PDPTE0, GUEST_PDPTR0, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_EPT)		\
	X(PDPTE1, GUEST_PDPTR1, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_EPT)		\
	X(PDPTE2, GUEST_PDPTR2, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_EPT)		\
	X(PDPTE3, GUEST_PDPTR3, VMX_W_EXEC2, SECONDARY_EXEC_ENABLE_EPT)

/* From SDM "Virtualization-Exception Information" and "Encodings"; <asm/vmx.h> lacks them. */
#define VMX_EXEC2_VE		BIT(18)
#define VMX_VE_INFO_ADDRESS	0x202a

/** enum vmx_entry_field - index into vmx_entry_fields[] and vmx_entry.f[] */
enum vmx_entry_field {
	VMX_F_NONE,
#define VMX_ENTRY_ENUM(name, encoding, word, bit)	VMX_F_##name,
	VMX_ENTRY_FIELDS(VMX_ENTRY_ENUM)
#undef VMX_ENTRY_ENUM
	VMX_NR_F,
};

enum vmx_entry_seg_part { VMX_S_SELECTOR, VMX_S_BASE, VMX_S_LIMIT, VMX_S_AR, VMX_NR_S };

/** struct vmx_entry_field_info - a VMCS field, and on which CPUs it exists, see VMX_ENTRY_FIELDS */
struct vmx_entry_field_info {
	const char *name;
	u32 encoding;
	u32 bit;
	u8 word;		/* enum vmx_entry_word */
};

extern const struct vmx_entry_field_info vmx_entry_fields[VMX_NR_F];

/*
 * Return true if userspace must not get the field's value, because it is part of the host's state
 * or an address in the host. All host-state fields are such fields, and all 64-bit control fields
 * except two, which are no addresses. The encoding tells the type and width of a field (SDM
 * "Structure of VMCS Component Encoding"). GUEST_CR3 is an address in the host with shadow paging.
 */
static inline bool vmx_entry_field_is_hosts(u32 field)
{
	u32 encoding = vmx_entry_fields[field].encoding;
	u32 type = encoding >> 10 & 3, width = encoding >> 13 & 3;

	if (field == VMX_F_VMFUNC || field == VMX_F_TSC_MULTIPLIER)
		return false;
	return field == VMX_F_GUEST_CR3 || type == 3 || (type == 0 && width == 1);
}

/**
 * struct vmx_entry_cpu - the CPU that checks a VM entry
 * @vmfunc: the MSR IA32_VMX_VMFUNC; 0 if the CPU does not have this MSR
 * @efer: bits of IA32_EFER that may be 1
 * @phys_bits, @linear_bits: widths of physical and linear addresses, in bits
 * @sgx, @rtm: the CPU has SGX, RTM
 * @bus_lock: the CPU has bus-lock debug exceptions
 * @lam: the CPU has linear-address masking, so CR3 has two more bits
 */
struct vmx_entry_cpu {
	struct vmx_msrs msrs;
	u64 vmfunc;
	u64 efer;
	u8 phys_bits;
	u8 linear_bits;
	bool sgx;
	bool rtm;
	bool bus_lock;
	bool lam;
};

/**
 * struct vmx_entry - a VM entry to check
 * @f: values of the VMCS fields by enum vmx_entry_field; 0 for fields that do not exist
 * @vmcs_pa: physical address of the VMCS
 * @vtpr: the TPR in the virtual-APIC page, if the VMCS has one
 * @link_revision: the first word of the VMCS to which the VMCS link pointer points, if there is one
 */
struct vmx_entry {
	const struct vmx_entry_cpu *cpu;
	u64 f[VMX_NR_F];
	u64 vmcs_pa;
	u32 link_revision;
	u8 vtpr;
};

/** enum vmx_entry_area - what a rule checks. Each area has its own way in which VM entry fails */
enum vmx_entry_area {
	VMX_AREA_CONTROLS,	/* VM-instruction error 7 */
	VMX_AREA_HOST,		/* VM-instruction error 8 */
	VMX_AREA_GUEST,		/* exit reason 33 */
};

/**
 * struct vmx_entry_rule - one rule
 * @name: identifier of the rule for tests and users
 * @text: the condition that must hold
 * @section: the SDM's section that has the rule
 * @area: what the rule checks, and so how VM entry fails if the rule is broken
 * @word, @when: a control word and a mask: the rule applies if a bit of the mask is 1 in the word.
 *	If @word is VMX_W_ALWAYS, the rule always applies
 * @broken: returns the field that breaks the rule, or VMX_F_NONE
 * @arg: parameter of @broken
 * @fields: the fields that the rule is about, ended by VMX_F_NONE
 */
struct vmx_entry_rule {
	const char *name;
	const char *text;
	const char *section;
	enum vmx_entry_area area;
	u8 word;
	u32 when;
	u32 (*broken)(const struct vmx_entry *e, const struct vmx_entry_rule *rule);
	u64 arg;
	u8 fields[4];
};

/* The rules for guest state. vmx_entry_rule() numbers them after all other rules. */
extern const struct vmx_entry_rule vmx_guest_rules[];
extern const unsigned int vmx_nr_guest_rules;

/** vmx_entry_rule() - return rule number @nr, in the order of the SDM; NULL after the last one */
const struct vmx_entry_rule *vmx_entry_rule(unsigned int nr);

/** vmx_entry_field_exists() - return true if the CPU has the field, so that it can be read */
bool vmx_entry_field_exists(const struct vmx_entry_cpu *cpu, u32 field);

/**
 * vmx_entry_broken() - return the field by which @e breaks @rule
 * Return: enum vmx_entry_field; VMX_F_NONE if @e does not break @rule
 */
u32 vmx_entry_broken(const struct vmx_entry *e, const struct vmx_entry_rule *rule);

#endif /* OKVM_VMX_ENTRY_CHECK_H */
