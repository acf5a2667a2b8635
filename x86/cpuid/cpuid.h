/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUID: what the host offers guests, and the table of one vCPU, as KVM_SET_CPUID2 gave it. */
#ifndef OKVM_X86_CPUID_CPUID_H
#define OKVM_X86_CPUID_CPUID_H

#include "x86/cpuid/cpuid_table.h"
#include "x86/x86.h"

#define OKVM_MAX_CPUID_ENTRIES	256	/* KVM_SET_CPUID2 accepts this many */

/**
 * struct okvm_cpuid_table - the guest's CPUID
 * @e1, @e7, @ed0, @ed1, @epv: positions of the entries with bits that change at run time, or -1
 * @index: must be last
 */
struct okvm_cpuid_table {
	int nent;
	struct kvm_cpuid_entry2 *entries;
	s16 e1, e7, ed0, ed1, epv;
	struct cpuid_index index;
};

/** okvm_host_cpuid_create() - @host's supported CPUID and CR4. Return: 0 or a negative errno */
int okvm_host_cpuid_create(struct okvm_host *host);
/** okvm_host_cpuid_reg() - a register of the supported CPUID; 0 if absent. @reg 0..3: EAX..EDX */
u32 okvm_host_cpuid_reg(const struct okvm_host *host, u32 leaf, u32 sub, int reg);
/** okvm_cpuid_create() - the guest's features before KVM_SET_CPUID2: all that the host offers */
void okvm_cpuid_create(struct okvm_vcpu *vcpu);
void okvm_cpuid_free(struct okvm_vcpu *vcpu);
/**
 * okvm_cpuid_set() - the guest's CPUID becomes @entries, which are taken over in any case
 *
 * Return: 0, -ENOMEM, -EINVAL, or -EPERM (state that the VM's backend does not offer); a vCPU
 * that has run can only be given what it has.
 */
int okvm_cpuid_set(struct okvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int nent);
/** okvm_cpuid() - what the guest's CPUID instruction returns; in: *eax, *ecx. Any IRQ state. */
void okvm_cpuid(struct okvm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
/** okvm_cpuid_has() - is there such a leaf? @highest: the highest basic one answers for it */
bool okvm_cpuid_has(const struct okvm_vcpu *vcpu, u32 leaf, u32 sub, bool *highest);
/** okvm_cpuid_faults() - CPUID faulting is on (MISC_FEATURES_ENABLES): #GP beyond CPL 0 */
static inline bool okvm_cpuid_faults(const struct okvm_vcpu *vcpu)
{
	return unlikely(vcpu->arch->misc_features & BIT(0));
}

/** okvm_cpuid_runtime() - bits that follow CR4, XCR0, APIC_BASE, MISC_ENABLE */
void okvm_cpuid_runtime(struct okvm_vcpu *vcpu);
/** okvm_pv_has() - may the guest use KVM_FEATURE_@feature? */
bool okvm_pv_has(const struct okvm_vcpu *vcpu, u32 feature);

extern const struct okvm_ioctl okvm_cpuid_ioctls[];

#endif /* OKVM_X86_CPUID_CPUID_H */
