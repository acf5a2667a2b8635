/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Additions to the kernel's <asm/svm.h>, which defines the VMCB: clean bits, the formats of
 * EXITINFO1 and EXITINFO2, and SVM instructions (APM volume 2, chapter "Secure Virtual Machine").
 */
#ifndef OKVM_SVM_VMCB_H
#define OKVM_SVM_VMCB_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <asm/asm.h>
#include <asm/svm.h>

/** enum svm_clean - parts of the VMCB (APM "VMCB Clean Bits") */
enum svm_clean {
	SVM_CLEAN_CONTROL	= BIT(0),	/* intercepts, TSC offset, pause filter */
	SVM_CLEAN_MAPS		= BIT(1),	/* addresses of the permission maps */
	SVM_CLEAN_ASID		= BIT(2),
	SVM_CLEAN_TPR		= BIT(3),	/* int_ctl, int_vector */
	SVM_CLEAN_NPT		= BIT(4),	/* nested CR3, PAT */
	SVM_CLEAN_CR		= BIT(5),	/* CR0, CR3, CR4, EFER */
	SVM_CLEAN_DR		= BIT(6),	/* DR6, DR7 */
	SVM_CLEAN_DT		= BIT(7),	/* GDTR, IDTR */
	SVM_CLEAN_SEG		= BIT(8),	/* CS, DS, SS, ES, CPL */
	SVM_CLEAN_CR2		= BIT(9),
	SVM_CLEAN_LBR		= BIT(10),	/* DEBUGCTL, last-branch MSRs */
};

#define SVM_CLEAN_ALL	GENMASK(10, 0)

/* LBR virtualization: VMRUN and #VMEXIT switch DEBUGCTL and the four last-branch MSRs. */
#define SVM_LBR_ENABLE		BIT_ULL(0)

/* Bits of int_ctl for virtual NMIs (APM "Virtual NMI"), which older kernels do not define. */
#define SVM_V_NMI_PENDING	BIT(11)	/* deliver an NMI as soon as NMIs are not masked */
#define SVM_V_NMI_MASKED	BIT(12)	/* from the delivery of an NMI to the guest's IRET */
#define SVM_V_NMI_ENABLE	BIT(26)

/** union svm_ioio - EXITINFO1 of an IN or OUT (APM "IOIO Intercept Information") */
union svm_ioio {
	u32 raw;
	struct {
		u32 in		: 1;
		u32		: 1;
		u32 string	: 1;
		u32 rep		: 1;
		u32 size	: 3;	/* 1, 2 or 4 bytes */
		u32		: 9;
		u32 port	: 16;
	};
};

/** union svm_npf - EXITINFO1 of a nested page fault (APM "Nested versus Guest Page Faults") */
union svm_npf {
	u64 raw;
	struct {
		u64 present	: 1;
		u64 write	: 1;
		u64 user	: 1;
		u64 reserved	: 1;
		u64 fetch	: 1;
		u64		: 27;
		u64 final	: 1;	/* nested fault at the final guest-physical address */
		u64 table	: 1;	/* nested fault at one of the guest's page tables */
	};
};

/** union svm_cr - EXITINFO1 of an access to a control register, with decode assists */
union svm_cr {
	u64 raw;
	struct {
		u64 reg		: 4;	/* general register */
		u64		: 59;
		u64 mov		: 1;	/* 1: MOV, 0: CLTS, LMSW or SMSW */
	};
};

/** union svm_task - EXITINFO2 of a task switch (APM "Task Switch Intercept") */
union svm_task {
	u64 raw;
	struct {
		u64 error	: 32;
		u64		: 4;
		u64 iret	: 1;
		u64		: 1;
		u64 jmp		: 1;
		u64		: 5;
		u64 has_error	: 1;
	};
};

static_assert(sizeof(union svm_ioio) == 4 && sizeof(union svm_npf) == 8);
static_assert(sizeof(union svm_cr) == 8 && sizeof(union svm_task) == 8);

/**
 * struct svm_frame - parameters of svm_enter(); vmrun.S knows the layout
 * @vmcb_pa: physical address of the guest's VMCB
 * @host_pa: physical address of the CPU's area for VMSAVE of host state
 * @flags: SVM_FRAME_*
 * @guest_spec, @host_spec: SPEC_CTRL of the guest and of the host
 */
struct svm_frame {
	u64 vmcb_pa;
	u64 host_pa;
	u64 flags;
	u64 guest_spec;
	u64 host_spec;
};

#define SVM_FRAME_SPEC		BIT(0)	/* VMRUN does not switch SPEC_CTRL: svm_enter() does */
#define SVM_FRAME_SPEC_SAVE	BIT(1)	/* the guest writes SPEC_CTRL without exits */

/* vmrun.S defines the same offsets. */
static_assert(offsetof(struct svm_frame, host_pa) == 8);
static_assert(offsetof(struct svm_frame, flags) == 16);
static_assert(offsetof(struct svm_frame, guest_spec) == 24);
static_assert(offsetof(struct svm_frame, host_spec) == 32);

/* Execute VMSAVE, which saves state of this CPU at @pa. Return: false if SVM is off */
static __always_inline bool svm_insn_vmsave(u64 pa)
{
	asm goto("1: vmsave %%rax\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : "a" (pa) : "memory" : failed);
	return true;
failed:
	return false;
}

static inline void svm_insn_stgi(void)
{
	asm volatile("1: stgi\n2:\n" _ASM_EXTABLE(1b, 2b) : : : "memory");
}

#endif /* OKVM_SVM_VMCB_H */
