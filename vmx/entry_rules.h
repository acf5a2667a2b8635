/* SPDX-License-Identifier: GPL-2.0-only */
/* Macros and check functions that both tables of rules use (entry_check.c, entry_guest.c). */
#ifndef OKVM_VMX_ENTRY_RULES_H
#define OKVM_VMX_ENTRY_RULES_H

#include <linux/kernel.h>
#include <linux/types.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/vmx.h>

#include "vmx/entry_check.h"

/* Return the bits of a control word that may be 1: the upper half of its capability MSR. */
static inline u32 word_allowed(const struct vmx_entry_cpu *cpu, unsigned int word)
{
	const u64 msr[VMX_NR_W] = { cpu->msrs.pin, cpu->msrs.exec, cpu->msrs.exec2,
				    cpu->msrs.exit, cpu->msrs.entry };

	return msr[word] >> 32;
}

/* Return a control word. The secondary controls are 0 unless they are activated. */
static inline u32 word_of(const struct vmx_entry *e, unsigned int word)
{
	if (word == VMX_W_EXEC2 && !(e->f[VMX_F_EXEC] & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		return 0;
	return e->f[VMX_F_PIN + word];
}

static inline bool too_wide(const struct vmx_entry *e, u64 addr)
{
	return e->cpu->phys_bits < 64 && addr >> e->cpu->phys_bits;
}

/* Check a physical address. rule->arg is a mask of the low bits that must be 0. */
static inline u32 bad_address(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 addr = e->f[rule->fields[0]];

	return addr & rule->arg || too_wide(e, addr) ? rule->fields[0] : VMX_F_NONE;
}

/* Check CR3, which has two more bits on a CPU with LAM: 62:61 (SDM "Linear-Address Masking"). */
static inline u32 bad_cr3(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 lam = e->cpu->lam ? GENMASK_ULL(62, 61) : 0;

	return too_wide(e, e->f[rule->fields[0]] & ~lam) ? rule->fields[0] : VMX_F_NONE;
}

static inline u32 has_bits(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] & rule->arg ? rule->fields[0] : VMX_F_NONE;
}

static inline u32 lacks_bits(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return ~e->f[rule->fields[0]] & rule->arg ? rule->fields[0] : VMX_F_NONE;
}

static inline bool canonical(const struct vmx_entry *e, u64 addr)
{
	unsigned int unused = 64 - e->cpu->linear_bits;

	return (s64)(addr << unused) >> unused == (s64)addr;
}

static inline u32 not_canonical(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int i;

	for (i = 0; i < 4 && rule->fields[i]; i++)
		if (!canonical(e, e->f[rule->fields[i]]))
			return rule->fields[i];
	return VMX_F_NONE;
}

/* Check a PAT: each of its bytes must be a memory type: 0, 1, 4, 5, 6 or 7. */
static inline u32 bad_pat(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 pat = e->f[rule->fields[0]];
	unsigned int i;

	for (i = 0; i < 64; i += 8)
		if ((pat >> i & 0xf8) || (pat >> i & 6) == 2)
			return rule->fields[0];
	return VMX_F_NONE;
}

static inline u32 bad_efer(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] & ~e->cpu->efer ? rule->fields[0] : VMX_F_NONE;
}

static inline u32 cr4_fixed(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	const struct vmx_msrs *m = &e->cpu->msrs;
	u64 cr4 = e->f[rule->fields[0]];

	return m->cr4_fixed0 & ~cr4 || cr4 & ~m->cr4_fixed1 ? rule->fields[0] : VMX_F_NONE;
}

static inline bool efer_long(u64 efer, u64 bit)
{
	return efer & bit;
}

/* ---- the event to inject: SDM "VM-Entry Controls for Event Injection" ---- */

enum {
	EVENT_EXT_INT, EVENT_RESERVED, EVENT_NMI, EVENT_HARD,
	EVENT_SOFT_INT, EVENT_PRIV, EVENT_SOFT, EVENT_OTHER, EVENT_NO,
};

static inline unsigned int event_type(const struct vmx_entry *e)
{
	u64 event = e->f[VMX_F_EVENT];

	return event & INTR_INFO_VALID_MASK ? event >> 8 & 7 : EVENT_NO;
}

static inline unsigned int event_vector(const struct vmx_entry *e)
{
	return e->f[VMX_F_EVENT] & INTR_INFO_VECTOR_MASK;
}

static inline bool real_mode_allowed(const struct vmx_entry *e)
{
	return word_of(e, VMX_W_EXEC2) & SECONDARY_EXEC_UNRESTRICTED_GUEST;
}

static inline bool real_mode(const struct vmx_entry *e)
{
	return !(e->f[VMX_F_GUEST_CR0] & X86_CR0_PE);
}

/* ---- macros for the rows of the tables ---- */

/* rule->arg of has_control() and lacks_control(): a control word, and bits of that word. */
#define BITS_OF(word, bits)	((u64)(word) << 32 | (bits))

#define SEC_EXEC	"VM-Execution Control Fields"
#define SEC_EXIT	"VM-Exit Control Fields"
#define SEC_ENTRY	"VM-Entry Control Fields"
#define SEC_HOST_CR	"Checks on Host Control Registers, MSRs, and SSP"
#define SEC_HOST_SEG	"Checks on Host Segment and Descriptor-Table Registers"
#define SEC_SIZE	"Checks Related to Address-Space Size"
#define SEC_CR		"Checks on Guest Control Registers, Debug Registers, and MSRs"
#define SEC_SEG		"Checks on Guest Segment Registers"
#define SEC_DT		"Checks on Guest Descriptor-Table Registers"
#define SEC_RIP		"Checks on Guest RIP, RFLAGS, and SSP"
#define SEC_OTHER	"Checks on Guest Non-Register State"
#define SEC_PDPTE	"Checks on Guest Page-Directory-Pointer-Table Entries"

/* RULE(area, name, section, condition, check function, its argument, text, fields) */
#define RULE(a, n, sec, cond, fn, x, t, ...)						\
	{ .area = VMX_AREA_##a, .name = n, .section = sec, cond, .broken = fn, .arg = x,	\
	  .text = t, .fields = { __VA_ARGS__ } }
#define F(name)		VMX_F_##name
#define ALWAYS		.word = VMX_W_ALWAYS
#define WITH(w, bits)	.word = VMX_W_##w, .when = (bits)
#define PAGE_LOW	0xfffull

#endif /* OKVM_VMX_ENTRY_RULES_H */
