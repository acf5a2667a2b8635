/* SPDX-License-Identifier: GPL-2.0-only */
/* What mmu/ needs of a backend, besides the OKVM_HW_TDP_* among vm->caps. */
#ifndef OKVM_MMU_HW_OPS_H
#define OKVM_MMU_HW_OPS_H

#include "core/types.h"

struct okvm_vcpu;

/**
 * struct okvm_root - where hardware's walk begins
 * @table: the topmost table
 * @pa: its host-physical address, as hardware gets it; of shadow tables with three levels, which
 *	hardware finds by 32 bits, the four entries at the beginning of @table are all there is
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
	OKVM_TLB_GUEST,		/* what the guest's own paging structures gave */
	OKVM_TLB_GVA,		/* one guest linear address */
};

/** struct okvm_mmu_ops - paging by hardware; in the vCPU's thread with the vCPU loaded */
struct okvm_mmu_ops {
	/* IRQs on or off. Translations of another root may stay, unless a flush is asked for. */
	void (*set_root)(struct okvm_vcpu *vcpu, const struct okvm_root *root);
	void (*flush_tlb)(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva);
};

#endif /* OKVM_MMU_HW_OPS_H */
