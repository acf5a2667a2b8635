/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory-type range registers. Getters and setters return enum okvm_msr_result. */
#ifndef OKVM_X86_MSR_MTRR_H
#define OKVM_X86_MSR_MTRR_H

#include "x86/x86.h"

int okvm_mtrr_get(struct okvm_vcpu *vcpu, u32 msr, u64 *val);
int okvm_mtrr_set(struct okvm_vcpu *vcpu, u32 msr, u64 val);
void okvm_mtrr_reset(struct okvm_vcpu *vcpu);

#endif /* OKVM_X86_MSR_MTRR_H */
