/* SPDX-License-Identifier: GPL-2.0-only */
/* vmx_entry_cpu_read() reads the properties of the CPU that the rules of entry_check.h need. */
#ifndef OKVM_VMX_ENTRY_WHY_H
#define OKVM_VMX_ENTRY_WHY_H

#include "vmx/entry_check.h"

/** vmx_entry_cpu_read() - fill @cpu with the properties of this CPU, which all CPUs share */
void vmx_entry_cpu_read(struct vmx_entry_cpu *cpu);

#endif /* OKVM_VMX_ENTRY_WHY_H */
