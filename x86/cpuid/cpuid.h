/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUID: the bits that the host can offer guests, and the CPUID that userspace sets for a vCPU. */
#ifndef OKVM_X86_CPUID_CPUID_H
#define OKVM_X86_CPUID_CPUID_H

#include "x86/cpuid/cpuid_table.h"
#include "x86/x86.h"

#define OKVM_MAX_CPUID_ENTRIES	256	/* KVM_SET_CPUID2 accepts this many */

/**
 * struct okvm_cpuid_table - the guest's CPUID
 * @nent: number of entries
 * @entries: the entries, in userspace's order
 * @e1, @e7: indices in @entries of leaves 1 and 7 (sub-leaf 0), whose bits change at run time; -1:
 *	the leaf is absent
 * @ed0, @ed1, @epv: likewise for leaf 0xD (sub-leaves 0 and 1) and the leaf with KVM_FEATURE_*
 * @index: finds entries in @entries; must be last, because its last member is a flexible array
 */
struct okvm_cpuid_table {
	int nent;
	struct kvm_cpuid_entry2 *entries;
	s16 e1, e7, ed0, ed1, epv;
	struct cpuid_index index;
};

/**
 * okvm_host_cpuid_create() - Set host->cpuid and host->cr4_reserved. Return: 0 or a negative errno
 */
int okvm_host_cpuid_create(struct okvm_host *host);
/**
 * okvm_host_cpuid_reg() - Read one register of the CPUID that KVM_GET_SUPPORTED_CPUID returns
 * @reg: 0..3 for EAX, EBX, ECX, EDX
 * Return: the register's value; 0 if the leaf is absent
 */
u32 okvm_host_cpuid_reg(const struct okvm_host *host, u32 leaf, u32 sub, int reg);
/** okvm_cpuid_create() - Initialize vcpu->arch->feat for a vCPU without CPUID */
void okvm_cpuid_create(struct okvm_vcpu *vcpu);
void okvm_cpuid_free(struct okvm_vcpu *vcpu);
/**
 * okvm_cpuid_set() - Set the guest's CPUID
 * @entries: the new CPUID; from now on this function owns the array, even if it fails
 *
 * A vCPU that has run must keep its CPUID: the function then refuses other @entries.
 * Return: 0, -ENOMEM, -EINVAL, or -EPERM if @entries contain AMX's tile data
 */
int okvm_cpuid_set(struct okvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int nent);
/**
 * okvm_cpuid() - Execute CPUID for the guest. IRQs may be on or off
 * @eax: on input: the leaf
 * @ebx: only output
 * @ecx: on input: the sub-leaf
 * @edx: only output
 */
void okvm_cpuid(struct okvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
/**
 * okvm_cpuid_has() - Return true if the guest's CPUID has an entry for @leaf and @sub
 * @highest: set to true if there is no entry, and CPUID returns the highest basic leaf instead
 */
bool okvm_cpuid_has(const struct okvm_vcpu *vcpu, u32 leaf, u32 sub, bool *highest);
/** okvm_cpuid_faults() - Return true if CPUID faulting is on: CPUID raises #GP at CPL 1 to 3 */
static inline bool okvm_cpuid_faults(const struct okvm_vcpu *vcpu)
{
	return unlikely(vcpu->arch->misc_features & BIT(0));
}

/**
 * okvm_cpuid_runtime() - Update CPUID's bits that depend on registers
 *
 * The caller has changed CR4, XCR0, XSS, APIC_BASE or MISC_ENABLE.
 */
void okvm_cpuid_runtime(struct okvm_vcpu *vcpu);
/** okvm_pv_has() - Return true if the guest may use @feature, a KVM_FEATURE_* number */
bool okvm_pv_has(const struct okvm_vcpu *vcpu, u32 feature);

extern const struct okvm_ioctl okvm_cpuid_ioctls[];

#endif /* OKVM_X86_CPUID_CPUID_H */
