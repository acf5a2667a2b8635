/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that mmu/ calls and each backend implements. The flags OKVM_HW_TDP_* in vm->caps tell
 * which features two-dimensional paging has.
 */
#ifndef OKVM_MMU_HW_OPS_H
#define OKVM_MMU_HW_OPS_H

#include "core/types.h"

struct okvm_vcpu;

/**
 * struct okvm_root - the table at which hardware begins its page walk
 * @table: the topmost table; if @level is 3 (PAE), an array of four PDPTEs below 4 GiB
 * @pa: host-physical address of @table
 * @level: 3, 4 or 5
 */
struct okvm_root {
	u64 *table;
	hpa_t pa;
	int level;
};

/** enum okvm_tlb_scope - what flush_tlb() drops */
enum okvm_tlb_scope {
	OKVM_TLB_ALL,		/* every translation of the vCPU, guest-physical ones included */
	OKVM_TLB_GUEST,		/* all translations of guest-linear addresses */
	OKVM_TLB_GVA,		/* the translation of one guest-linear address */
};

/** struct okvm_mmu_ops - the backend's functions that mmu/ calls in the thread of a loaded vCPU */
struct okvm_mmu_ops {
	/*
	 * Make hardware walk @root. IRQs may be on or off. Until flush_tlb(), TLBs may keep
	 * translations of the old root.
	 */
	void (*set_root)(struct okvm_vcpu *vcpu, const struct okvm_root *root);
	/*
	 * Flush the translations that @scope names, now or before the next VM entry.
	 * @gva: the address for OKVM_TLB_GVA; otherwise ignored
	 */
	void (*flush_tlb)(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva);
};

#endif /* OKVM_MMU_HW_OPS_H */
