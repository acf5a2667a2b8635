/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUID: what the host offers guests, and a vCPU's table, which KVM_SET_CPUID2 sets. */
#ifndef OKVM_X86_CPUID_CPUID_H
#define OKVM_X86_CPUID_CPUID_H

#include "x86/cpuid/cpuid_table.h"
#include "x86/x86.h"

#define OKVM_MAX_CPUID_ENTRIES	256	/* KVM_SET_CPUID2 accepts this many */

/**
 * struct okvm_cpuid_table - the guest's CPUID
 * @nent: number of entries
 * @entries: the entries, in userspace's order
 * @e1, @e7, @ed0, @ed1, @epv: indices in @entries of the leaves whose bits change at run time: 1,
 *	7 (sub-leaf 0), 0xD (sub-leaves 0 and 1), and KVM's feature leaf; -1: the leaf is absent
 * @index: finds entries in @entries; must be last, because its last member is a flexible array
 */
struct okvm_cpuid_table {
	int nent;
	struct kvm_cpuid_entry2 *entries;
	s16 e1, e7, ed0, ed1, epv;
	struct cpuid_index index;
};

/** okvm_host_cpuid_create() - Set @host's cpuid and cr4_reserved. Return: 0 or a negative errno */
int okvm_host_cpuid_create(struct okvm_host *host);
/**
 * okvm_host_cpuid_reg() - Return a register of the supported CPUID
 * @reg: 0..3 for EAX, EBX, ECX, EDX
 * Return: 0 if the leaf is absent
 */
u32 okvm_host_cpuid_reg(const struct okvm_host *host, u32 leaf, u32 sub, int reg);
/** okvm_cpuid_create() - Set the guest's features as they are before KVM_SET_CPUID2 */
void okvm_cpuid_create(struct okvm_vcpu *vcpu);
void okvm_cpuid_free(struct okvm_vcpu *vcpu);
/**
 * okvm_cpuid_set() - Set the guest's CPUID to @entries; take over @entries even on failure
 *
 * A vCPU that has run accepts only the CPUID that it has already. Return: 0, -ENOMEM, -EINVAL, or
 * -EPERM for AMX's tile data, which no backend offers
 */
int okvm_cpuid_set(struct okvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int nent);
/** okvm_cpuid() - Execute CPUID for the guest; input: *@eax and *@ecx. IRQs may be on or off */
void okvm_cpuid(struct okvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
/**
 * okvm_cpuid_has() - Does the guest's CPUID have @leaf and @sub?
 * @highest: set to true if @leaf is absent and CPUID returns the highest basic leaf instead
 */
bool okvm_cpuid_has(const struct okvm_vcpu *vcpu, u32 leaf, u32 sub, bool *highest);
/** okvm_cpuid_faults() - Does CPUID raise #GP outside CPL 0 (MISC_FEATURES_ENABLES)? */
static inline bool okvm_cpuid_faults(const struct okvm_vcpu *vcpu)
{
	return unlikely(vcpu->arch->misc_features & BIT(0));
}

/** okvm_cpuid_runtime() - Update CPUID for CR4, XCR0, XSS, APIC_BASE and MISC_ENABLE */
void okvm_cpuid_runtime(struct okvm_vcpu *vcpu);
/** okvm_pv_has() - May the guest use KVM_FEATURE_@feature? */
bool okvm_pv_has(const struct okvm_vcpu *vcpu, u32 feature);

extern const struct okvm_ioctl okvm_cpuid_ioctls[];

#endif /* OKVM_X86_CPUID_CPUID_H */
