/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checks of VMRUN (APM volume 2, "Canonicalization and Consistency Checks") as a table of
 * rules, to explain why the CPU has refused a VMCB. The CPU itself reports only VMEXIT_INVALID.
 *
 * The rules are pure functions: struct svm_entry contains the values of the VMCB's fields, and what
 * the rules need to know of the CPU. The table has no rules for features that okvm never enables
 * (CET, SEV, AVIC).
 */
#ifndef OKVM_SVM_ENTRY_CHECK_H
#define OKVM_SVM_ENTRY_CHECK_H

#include <linux/types.h>

/*
 * The fields of the VMCB that the rules use: X(name, offset, size in bytes, hosts). If hosts is
 * true, the value is the address of one of okvm's own structures, which userspace must not get.
 * CR3 is such an address with shadow paging.
 */
#define SVM_ENTRY_FIELDS(X)				\
	X(INTERCEPTS,		0x00c, 8, false)	\
	X(IOPM_BASE_PA,		0x040, 8, true)		\
	X(MSRPM_BASE_PA,	0x048, 8, true)		\
	X(GUEST_ASID,		0x058, 4, false)	\
	X(INT_CTL,		0x060, 4, false)	\
	X(NP_ENABLE,		0x090, 8, false)	\
	X(EVENTINJ,		0x0a8, 8, false)	\
	X(N_CR3,		0x0b0, 8, true)		\
	X(CS_ATTRIB,		0x412, 2, false)	\
	X(EFER,			0x4d0, 8, false)	\
	X(CR4,			0x548, 8, false)	\
	X(CR3,			0x550, 8, true)		\
	X(CR0,			0x558, 8, false)	\
	X(DR7,			0x560, 8, false)	\
	X(DR6,			0x568, 8, false)	\
	X(G_PAT,		0x668, 8, false)

/** enum svm_entry_field - index into svm_entry_fields[] and svm_entry.f[] */
enum svm_entry_field {
#define SVM_ENTRY_ENUM(name, offset, size, hosts)	SVM_F_##name,
	SVM_ENTRY_FIELDS(SVM_ENTRY_ENUM)
#undef SVM_ENTRY_ENUM
	SVM_NR_F,
};

/** struct svm_entry_field_info - a field, see SVM_ENTRY_FIELDS; @offset from the VMCB's start */
struct svm_entry_field_info {
	const char *name;
	u16 offset;
	u8 size;
	bool hosts;
};

extern const struct svm_entry_field_info svm_entry_fields[SVM_NR_F];

/**
 * struct svm_entry - a VMRUN to check
 * @f: values of the fields by enum svm_entry_field
 * @cr4_reserved, @efer_reserved: bits that must be 0 on this CPU
 * @exceptions: bit mask of vectors: exceptions of this CPU that not every CPU with SVM has
 * @vnmi: this CPU has virtual NMIs; others ignore the bit that enables them
 * @phys_bits: width of physical addresses
 */
struct svm_entry {
	u64 f[SVM_NR_F];
	u64 cr4_reserved;
	u64 efer_reserved;
	u32 exceptions;
	bool vnmi;
	u8 phys_bits;
};

/**
 * struct svm_entry_rule - one check
 * @name: short name of the rule
 * @text: what must hold
 * @section: section of the APM, volume 2
 * @field: enum svm_entry_field: the field that breaks the rule
 * @broken: return true if @e breaks the rule
 */
struct svm_entry_rule {
	const char *name;
	const char *text;
	const char *section;
	u8 field;
	bool (*broken)(const struct svm_entry *e);
};

#define SVM_NR_RULES	20

extern const struct svm_entry_rule svm_entry_rules[SVM_NR_RULES];

#endif /* OKVM_SVM_ENTRY_CHECK_H */
