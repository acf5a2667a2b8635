/* SPDX-License-Identifier: GPL-2.0-only */
/* What entry_check.h wants to know of the CPU. */
#ifndef OKVM_VMX_ENTRY_WHY_H
#define OKVM_VMX_ENTRY_WHY_H

#include "vmx/entry_check.h"

/** vmx_entry_cpu_read() - of the CPU that this runs on; all have the same */
void vmx_entry_cpu_read(struct vmx_entry_cpu *cpu);

#endif /* OKVM_VMX_ENTRY_WHY_H */
