// SPDX-License-Identifier: GPL-2.0-only
/* The rules of VM entry for guest state. The table is at the end. */
#include "vmx/entry_rules.h"

/* ---- guest state: registers ---- */

static bool guest_long(const struct vmx_entry *e)
{
	return word_of(e, VMX_W_ENTRY) & VM_ENTRY_IA32E_MODE;
}

static u32 guest_cr0_fixed(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	const struct vmx_msrs *m = &e->cpu->msrs;
	u64 cr0 = e->f[rule->fields[0]], must = m->cr0_fixed0;

	if (real_mode_allowed(e))
		must &= ~(X86_CR0_PE | X86_CR0_PG);
	return must & ~cr0 || cr0 & ~m->cr0_fixed1 ? rule->fields[0] : VMX_F_NONE;
}

static u32 paging_without_protection(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 cr0 = e->f[rule->fields[0]];

	return cr0 & X86_CR0_PG && !(cr0 & X86_CR0_PE) ? rule->fields[0] : VMX_F_NONE;
}

static u32 pcid_without_long(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return !guest_long(e) && e->f[rule->fields[0]] & X86_CR4_PCIDE ? rule->fields[0] :
									  VMX_F_NONE;
}

static u32 cet_without_wp(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] & BIT(23) && !(e->f[VMX_F_GUEST_CR0] & X86_CR0_WP) ?
	       rule->fields[0] : VMX_F_NONE;
}

static u32 guest_efer_lma(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return efer_long(e->f[rule->fields[0]], EFER_LMA) != guest_long(e) ? rule->fields[0] :
									      VMX_F_NONE;
}

static u32 guest_efer_lme(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 efer = e->f[rule->fields[0]];

	return e->f[VMX_F_GUEST_CR0] & X86_CR0_PG &&
	       efer_long(efer, EFER_LMA) != efer_long(efer, EFER_LME) ? rule->fields[0] :
									VMX_F_NONE;
}

/* ---- guest state: segment registers ---- */

enum { ES, CS, SS, DS, FS, GS, LDTR, TR, NR_SEGS };

#define SEG_TYPE(ar)	((ar) & 15)
#define SEG_S		BIT(4)
#define SEG_DPL(ar)	((ar) >> 5 & 3)
#define SEG_P		BIT(7)
#define SEG_RESERVED	0xfffe0f00u
#define SEG_L		BIT(13)
#define SEG_DB		BIT(14)
#define SEG_G		BIT(15)
#define SEG_UNUSABLE	BIT(16)
#define SEG_V86		0xf3
#define TYPE_ACCESSED	BIT(0)
#define TYPE_READABLE	BIT(1)
#define TYPE_CODE	BIT(3)
#define TYPE_CONFORMING	BIT(2)
#define TYPE_RW_DATA	3

static u32 seg_field(unsigned int seg, enum vmx_entry_seg_part part)
{
	return VMX_F_GUEST_ES_SELECTOR + seg * VMX_NR_S + part;
}

static u64 seg_part(const struct vmx_entry *e, unsigned int seg, enum vmx_entry_seg_part part)
{
	return e->f[seg_field(seg, part)];
}

static u32 seg_ar(const struct vmx_entry *e, unsigned int seg)
{
	return seg_part(e, seg, VMX_S_AR);
}

static bool usable(const struct vmx_entry *e, unsigned int seg)
{
	return !(seg_ar(e, seg) & SEG_UNUSABLE);
}

static bool v86(const struct vmx_entry *e)
{
	return e->f[VMX_F_GUEST_RFLAGS] & X86_EFLAGS_VM;
}

/*
 * Return true if seg_find() has to check @seg: CS and TR always, the other segment registers if
 * they are usable. In virtual-8086 mode, return true only for TR and a usable LDTR, because
 * v86_part() checks the other segment registers.
 */
static bool seg_checked(const struct vmx_entry *e, unsigned int seg)
{
	if (seg == TR)
		return true;
	if (seg != LDTR && v86(e))
		return false;
	return seg == CS || usable(e, seg);
}

/*
 * Find the first segment register of @mask for which @bad returns true. Skip those for which
 * seg_checked() returns false.
 * Return: the VMCS field for part @part of that register; VMX_F_NONE if there is no such register
 */
static u32 seg_find(const struct vmx_entry *e, u32 mask, enum vmx_entry_seg_part part,
		    bool (*bad)(const struct vmx_entry *e, unsigned int seg))
{
	unsigned int seg;

	for (seg = 0; seg < NR_SEGS; seg++)
		if (mask & BIT(seg) && seg_checked(e, seg) && bad(e, seg))
			return seg_field(seg, part);
	return VMX_F_NONE;
}

#define ALL_SEGS	(BIT(NR_SEGS) - 1)
#define DATA_SEGS	(BIT(ES) | BIT(DS) | BIT(FS) | BIT(GS))
#define CODE_OR_DATA	(DATA_SEGS | BIT(CS) | BIT(SS))

/*
 * In virtual-8086 mode, check part @part of ES to GS. Return the first illegal field, or
 * VMX_F_NONE.
 */
static u32 v86_find(const struct vmx_entry *e, enum vmx_entry_seg_part part)
{
	unsigned int seg;
	u64 want;

	for (seg = ES; v86(e) && seg <= GS; seg++) {
		want = part == VMX_S_BASE ? seg_part(e, seg, VMX_S_SELECTOR) << 4 :
		       part == VMX_S_LIMIT ? 0xffff : SEG_V86;
		if (seg_part(e, seg, part) != want)
			return seg_field(seg, part);
	}
	return VMX_F_NONE;
}

static u32 v86_part(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return v86_find(e, rule->arg);
}

static u32 table_in_ldt(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int seg = rule->arg;

	if (seg == LDTR && !usable(e, LDTR))
		return VMX_F_NONE;
	return seg_part(e, seg, VMX_S_SELECTOR) & 4 ? rule->fields[0] : VMX_F_NONE;
}

static bool privilege_checked(const struct vmx_entry *e)
{
	return !v86(e) && !real_mode_allowed(e);
}

static u32 ss_rpl(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 differs = seg_part(e, SS, VMX_S_SELECTOR) ^ seg_part(e, CS, VMX_S_SELECTOR);

	return privilege_checked(e) && differs & 3 ? rule->fields[0] : VMX_F_NONE;
}

static u32 base_not_canonical(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int seg;

	for (seg = FS; seg <= TR; seg++) {
		if ((seg == LDTR && !usable(e, seg)) || (seg <= GS && v86(e)))
			continue;
		if (!canonical(e, seg_part(e, seg, VMX_S_BASE)))
			return seg_field(seg, VMX_S_BASE);
	}
	return VMX_F_NONE;
}

static bool bad_base_32(const struct vmx_entry *e, unsigned int seg)
{
	return seg_part(e, seg, VMX_S_BASE) >> 32;
}

static u32 base_beyond_32(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, BIT(ES) | BIT(CS) | BIT(SS) | BIT(DS), VMX_S_BASE, bad_base_32);
}

static bool bad_cs_type(const struct vmx_entry *e, unsigned int seg)
{
	u32 type = SEG_TYPE(seg_ar(e, seg));

	if (type == TYPE_RW_DATA)
		return !real_mode_allowed(e);
	return !(type & TYPE_CODE) || !(type & TYPE_ACCESSED);
}

static bool bad_ss_type(const struct vmx_entry *e, unsigned int seg)
{
	u32 type = SEG_TYPE(seg_ar(e, seg));

	return type != 3 && type != 7;
}

static bool not_accessed(const struct vmx_entry *e, unsigned int seg)
{
	return !(seg_ar(e, seg) & TYPE_ACCESSED);
}

static bool not_readable(const struct vmx_entry *e, unsigned int seg)
{
	u32 ar = seg_ar(e, seg);

	return ar & TYPE_CODE && !(ar & TYPE_READABLE);
}

static bool bad_ldtr_type(const struct vmx_entry *e, unsigned int seg)
{
	return SEG_TYPE(seg_ar(e, seg)) != 2;
}

static bool bad_tr_type(const struct vmx_entry *e, unsigned int seg)
{
	u32 type = SEG_TYPE(seg_ar(e, seg));

	return type != 11 && (type != 3 || guest_long(e));
}

static u32 seg_type(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	switch (rule->arg) {
	case CS:
		return seg_find(e, BIT(CS), VMX_S_AR, bad_cs_type);
	case SS:
		return seg_find(e, BIT(SS), VMX_S_AR, bad_ss_type);
	case LDTR:
		return seg_find(e, BIT(LDTR), VMX_S_AR, bad_ldtr_type);
	default:
		return seg_find(e, BIT(TR), VMX_S_AR, bad_tr_type);
	}
}

static u32 data_accessed(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, DATA_SEGS, VMX_S_AR, not_accessed);
}

static u32 data_readable(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, DATA_SEGS, VMX_S_AR, not_readable);
}

/* Return true if bit S of @seg is illegal: it must be 1 in ES to GS, and 0 in LDTR and TR. */
static bool wrong_s(const struct vmx_entry *e, unsigned int seg)
{
	return !(seg_ar(e, seg) & SEG_S) == (seg <= GS);
}

static u32 seg_s(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, ALL_SEGS, VMX_S_AR, wrong_s);
}

static bool not_present(const struct vmx_entry *e, unsigned int seg)
{
	return !(seg_ar(e, seg) & SEG_P);
}

static u32 seg_present(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, ALL_SEGS, VMX_S_AR, not_present);
}

static bool reserved_ar(const struct vmx_entry *e, unsigned int seg)
{
	return seg_ar(e, seg) & SEG_RESERVED;
}

static u32 seg_reserved(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, ALL_SEGS, VMX_S_AR, reserved_ar);
}

static bool limit_in_bytes(const struct vmx_entry *e, unsigned int seg)
{
	return seg_ar(e, seg) & SEG_G && ~seg_part(e, seg, VMX_S_LIMIT) & 0xfff;
}

static u32 seg_limit_low(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, ALL_SEGS, VMX_S_LIMIT, limit_in_bytes);
}

static bool limit_in_pages(const struct vmx_entry *e, unsigned int seg)
{
	return !(seg_ar(e, seg) & SEG_G) && seg_part(e, seg, VMX_S_LIMIT) & 0xfff00000;
}

static u32 seg_limit_high(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, ALL_SEGS, VMX_S_LIMIT, limit_in_pages);
}

/*
 * Return true if CS.DPL is illegal. If CS is a nonconforming code segment, CS.DPL must equal
 * SS.DPL. If CS is a conforming one, CS.DPL must not be above SS.DPL. If CS is a read/write data
 * segment, CS.DPL must be 0.
 */
static bool bad_cs_dpl(const struct vmx_entry *e, unsigned int seg)
{
	u32 ar = seg_ar(e, CS), ss_dpl = SEG_DPL(seg_ar(e, SS));

	if (SEG_TYPE(ar) == TYPE_RW_DATA)
		return SEG_DPL(ar) != 0;
	if (!(ar & TYPE_CODE))
		return false;
	return ar & TYPE_CONFORMING ? SEG_DPL(ar) > ss_dpl : SEG_DPL(ar) != ss_dpl;
}

static u32 cs_dpl(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, BIT(CS), VMX_S_AR, bad_cs_dpl);
}

/* Check that the DPL of SS equals its RPL. This rule applies even if SS is unusable. */
static u32 ss_dpl_rpl(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u32 rpl = seg_part(e, SS, VMX_S_SELECTOR) & 3;

	return privilege_checked(e) && SEG_DPL(seg_ar(e, SS)) != rpl ? rule->fields[0] : VMX_F_NONE;
}

static u32 ss_dpl_real(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	if (v86(e) || !(real_mode(e) || SEG_TYPE(seg_ar(e, CS)) == TYPE_RW_DATA))
		return VMX_F_NONE;
	return SEG_DPL(seg_ar(e, SS)) ? rule->fields[0] : VMX_F_NONE;
}

static bool bad_data_dpl(const struct vmx_entry *e, unsigned int seg)
{
	u32 ar = seg_ar(e, seg);

	return SEG_TYPE(ar) <= 11 && SEG_DPL(ar) < (seg_part(e, seg, VMX_S_SELECTOR) & 3);
}

static u32 data_dpl(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return real_mode_allowed(e) ? VMX_F_NONE : seg_find(e, DATA_SEGS, VMX_S_AR, bad_data_dpl);
}

static bool bad_cs_size(const struct vmx_entry *e, unsigned int seg)
{
	return guest_long(e) && seg_ar(e, CS) & SEG_L && seg_ar(e, CS) & SEG_DB;
}

static u32 cs_size(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return seg_find(e, BIT(CS), VMX_S_AR, bad_cs_size);
}

/* ---- guest state: other fields ---- */

static u32 limit_beyond_16(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	if (e->f[VMX_F_GUEST_GDTR_LIMIT] >> 16)
		return VMX_F_GUEST_GDTR_LIMIT;
	return e->f[VMX_F_GUEST_IDTR_LIMIT] >> 16 ? VMX_F_GUEST_IDTR_LIMIT : VMX_F_NONE;
}

static bool mode64(const struct vmx_entry *e)
{
	return guest_long(e) && seg_ar(e, CS) & SEG_L;
}

static u32 rip_beyond_32(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return !mode64(e) && e->f[rule->fields[0]] >> 32 ? rule->fields[0] : VMX_F_NONE;
}

/*
 * Check RIP: on a CPU with linear addresses of N bits, bits 63:N of RIP must be equal. They may
 * differ from bit N-1, so RIP need not be canonical.
 */
static u32 rip_not_linear(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	s64 upper = (s64)e->f[rule->fields[0]] >> e->cpu->linear_bits;

	return mode64(e) && upper != 0 && upper != -1 ? rule->fields[0] : VMX_F_NONE;
}

static u32 v86_impossible(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return v86(e) && (guest_long(e) || real_mode(e)) ? rule->fields[0] : VMX_F_NONE;
}

static u32 irq_without_if(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return event_type(e) == EVENT_EXT_INT && !(e->f[rule->fields[0]] & X86_EFLAGS_IF) ?
	       rule->fields[0] : VMX_F_NONE;
}

static u32 activity_unknown(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 state = e->f[rule->fields[0]];

	/* IA32_VMX_MISC bits 6 to 8 report support of activity states 1 to 3. */
	return state > 3 || (state && !(e->cpu->msrs.misc >> (5 + state) & 1)) ? rule->fields[0] :
										 VMX_F_NONE;
}

static u32 halted_user(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] == GUEST_ACTIVITY_HLT && SEG_DPL(seg_ar(e, SS)) ?
	       rule->fields[0] : VMX_F_NONE;
}

#define BLOCKED_BY_STI_SS	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

static u32 inactive_and_blocked(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] != GUEST_ACTIVITY_ACTIVE &&
	       e->f[VMX_F_BLOCKING] & BLOCKED_BY_STI_SS ? rule->fields[0] : VMX_F_NONE;
}

/* Return true if the event may be injected into a guest in activity state @state. */
static bool event_allowed_in(const struct vmx_entry *e, unsigned int state)
{
	unsigned int type = event_type(e), vector = event_vector(e);

	switch (state) {
	case GUEST_ACTIVITY_HLT:
		return type == EVENT_EXT_INT || type == EVENT_NMI || type == EVENT_OTHER ||
		       (type == EVENT_HARD && (vector == 1 || vector == 18));
	case GUEST_ACTIVITY_SHUTDOWN:
		return type == EVENT_NMI || (type == EVENT_HARD && vector == 18);
	case GUEST_ACTIVITY_WAIT_SIPI:
		return false;
	default:
		return true;
	}
}

static u32 event_while_inactive(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return event_type(e) != EVENT_NO && !event_allowed_in(e, e->f[rule->fields[0]]) ?
	       rule->fields[0] : VMX_F_NONE;
}

static u32 sti_and_ss(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return (e->f[rule->fields[0]] & BLOCKED_BY_STI_SS) == BLOCKED_BY_STI_SS ?
	       rule->fields[0] : VMX_F_NONE;
}

static u32 sti_without_if(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] & GUEST_INTR_STATE_STI &&
	       !(e->f[VMX_F_GUEST_RFLAGS] & X86_EFLAGS_IF) ? rule->fields[0] : VMX_F_NONE;
}

/* rule->arg of event_blocked(): an event type, and the interruptibility bits that forbid it. */
#define EVENT_AND(type, blocking)	((u64)(type) << 32 | (blocking))

static u32 event_blocked(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return event_type(e) == rule->arg >> 32 && e->f[rule->fields[0]] & (u32)rule->arg ?
	       rule->fields[0] : VMX_F_NONE;
}

static u32 enclave_blocking(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 blocking = e->f[rule->fields[0]];

	return blocking & BIT(4) && (!e->cpu->sgx || blocking & GUEST_INTR_STATE_MOV_SS) ?
	       rule->fields[0] : VMX_F_NONE;
}

#define PENDING_BS	BIT(14)
#define PENDING_RTM	BIT(16)
#define PENDING_ENABLED	BIT(12)

static u32 pending_reserved(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 reserved = ~0x15fffull | 0x7f0;

	if (!e->cpu->bus_lock)
		reserved |= BIT(11);
	if (!e->cpu->rtm)
		reserved |= PENDING_RTM;
	return e->f[rule->fields[0]] & reserved ? rule->fields[0] : VMX_F_NONE;
}

static u32 pending_step(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	bool steps = e->f[VMX_F_GUEST_RFLAGS] & X86_EFLAGS_TF &&
		     !(e->f[VMX_F_GUEST_DEBUGCTL] & DEBUGCTLMSR_BTF);
	bool pending = e->f[rule->fields[0]] & PENDING_BS;

	if (!(e->f[VMX_F_BLOCKING] & BLOCKED_BY_STI_SS) &&
	    e->f[VMX_F_ACTIVITY] != GUEST_ACTIVITY_HLT)
		return VMX_F_NONE;
	return steps != pending ? rule->fields[0] : VMX_F_NONE;
}

static u32 pending_transaction(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u64 pending = e->f[rule->fields[0]];

	if (!(pending & PENDING_RTM))
		return VMX_F_NONE;
	return pending != (PENDING_RTM | PENDING_ENABLED) ||
	       e->f[VMX_F_BLOCKING] & GUEST_INTR_STATE_MOV_SS ? rule->fields[0] : VMX_F_NONE;
}

#define NO_LINK		(~0ull)

static u32 bad_link(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] == NO_LINK ? VMX_F_NONE : bad_address(e, rule);
}

static u32 link_to_itself(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	return e->f[rule->fields[0]] == e->vmcs_pa ? rule->fields[0] : VMX_F_NONE;
}

/* Check the first word of the VMCS at the link pointer. Bit 31 marks a shadow VMCS. */
static u32 link_revision(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	u32 want = e->cpu->msrs.basic & 0x7fffffff;

	if (word_of(e, VMX_W_EXEC2) & SECONDARY_EXEC_SHADOW_VMCS)
		want |= BIT(31);
	if (e->f[rule->fields[0]] == NO_LINK || bad_link(e, rule) || link_to_itself(e, rule))
		return VMX_F_NONE;
	return e->link_revision != want ? rule->fields[0] : VMX_F_NONE;
}

static bool walks_pdptes(const struct vmx_entry *e)
{
	return !guest_long(e) && e->f[VMX_F_GUEST_CR0] & X86_CR0_PG &&
	       e->f[VMX_F_GUEST_CR4] & X86_CR4_PAE;
}

static u32 bad_pdpte(const struct vmx_entry *e, const struct vmx_entry_rule *rule)
{
	unsigned int i;
	u64 pdpte;

	for (i = 0; walks_pdptes(e) && i < 4; i++) {
		pdpte = e->f[VMX_F_PDPTE0 + i];
		if (pdpte & 1 && (pdpte & 0x1e6 || too_wide(e, pdpte)))
			return VMX_F_PDPTE0 + i;
	}
	return VMX_F_NONE;
}

/* ---- the table ---- */

const struct vmx_entry_rule vmx_guest_rules[] = {
	RULE(GUEST, "guest-cr0", SEC_CR, ALWAYS, guest_cr0_fixed, 0,
	     "bits of CR0 are as VMX operation wants them", F(GUEST_CR0)),
	RULE(GUEST, "guest-cr0-pg", SEC_CR, ALWAYS, paging_without_protection, 0,
	     "CR0.PG needs CR0.PE", F(GUEST_CR0)),
	RULE(GUEST, "guest-cr4", SEC_CR, ALWAYS, cr4_fixed, 0,
	     "bits of CR4 are as VMX operation wants them", F(GUEST_CR4)),
	RULE(GUEST, "guest-cet-wp", SEC_CR, ALWAYS, cet_without_wp, 0, "CR4.CET needs CR0.WP",
	     F(GUEST_CR4), F(GUEST_CR0)),
	RULE(GUEST, "guest-debugctl", SEC_CR, WITH(ENTRY, VM_ENTRY_LOAD_DEBUG_CONTROLS), has_bits,
	     ~0xffc7ull, "reserved bits of IA32_DEBUGCTL are clear", F(GUEST_DEBUGCTL)),
	RULE(GUEST, "guest-long-pg", SEC_CR, WITH(ENTRY, VM_ENTRY_IA32E_MODE), lacks_bits,
	     X86_CR0_PG, "IA-32e mode has CR0.PG", F(GUEST_CR0), F(ENTRY)),
	RULE(GUEST, "guest-long-pae", SEC_CR, WITH(ENTRY, VM_ENTRY_IA32E_MODE), lacks_bits,
	     X86_CR4_PAE, "IA-32e mode has CR4.PAE", F(GUEST_CR4), F(ENTRY)),
	RULE(GUEST, "guest-pcid", SEC_CR, ALWAYS, pcid_without_long, 0,
	     "CR4.PCIDE needs IA-32e mode", F(GUEST_CR4), F(ENTRY)),
	RULE(GUEST, "guest-cr3", SEC_CR, ALWAYS, bad_cr3, 0, "CR3 is a physical address",
	     F(GUEST_CR3)),
	RULE(GUEST, "guest-dr7", SEC_CR, WITH(ENTRY, VM_ENTRY_LOAD_DEBUG_CONTROLS), has_bits,
	     ~0xffffffffull, "bits 63:32 of DR7 are clear", F(GUEST_DR7)),
	RULE(GUEST, "guest-sysenter", SEC_CR, ALWAYS, not_canonical, 0,
	     "addresses for SYSENTER are canonical", F(GUEST_SYSENTER_ESP),
	     F(GUEST_SYSENTER_EIP)),
	RULE(GUEST, "guest-pat", SEC_CR, WITH(ENTRY, VM_ENTRY_LOAD_IA32_PAT), bad_pat, 0,
	     "PAT has memory types only", F(GUEST_PAT)),
	RULE(GUEST, "guest-efer", SEC_CR, WITH(ENTRY, VM_ENTRY_LOAD_IA32_EFER), bad_efer, 0,
	     "reserved bits of EFER are clear", F(GUEST_EFER)),
	RULE(GUEST, "guest-efer-lma", SEC_CR, WITH(ENTRY, VM_ENTRY_LOAD_IA32_EFER),
	     guest_efer_lma, 0, "EFER.LMA is as the control for IA-32e mode", F(GUEST_EFER),
	     F(ENTRY)),
	RULE(GUEST, "guest-efer-lme", SEC_CR, WITH(ENTRY, VM_ENTRY_LOAD_IA32_EFER),
	     guest_efer_lme, 0, "EFER.LME is as EFER.LMA while CR0.PG is 1", F(GUEST_EFER),
	     F(GUEST_CR0)),

	RULE(GUEST, "tr-in-ldt", SEC_SEG, ALWAYS, table_in_ldt, TR, "TR is in the GDT",
	     F(GUEST_TR_SELECTOR)),
	RULE(GUEST, "ldtr-in-ldt", SEC_SEG, ALWAYS, table_in_ldt, LDTR, "LDTR is in the GDT",
	     F(GUEST_LDTR_SELECTOR)),
	RULE(GUEST, "ss-rpl", SEC_SEG, ALWAYS, ss_rpl, 0, "SS and CS have the same RPL",
	     F(GUEST_SS_SELECTOR), F(GUEST_CS_SELECTOR)),
	RULE(GUEST, "v86-base", SEC_SEG, ALWAYS, v86_part, VMX_S_BASE,
	     "bases in virtual-8086 mode are selectors times 16", F(GUEST_RFLAGS)),
	RULE(GUEST, "v86-limit", SEC_SEG, ALWAYS, v86_part, VMX_S_LIMIT,
	     "limits in virtual-8086 mode are 0xffff", F(GUEST_RFLAGS)),
	RULE(GUEST, "v86-rights", SEC_SEG, ALWAYS, v86_part, VMX_S_AR,
	     "access rights in virtual-8086 mode are 0xf3", F(GUEST_RFLAGS)),
	RULE(GUEST, "base-canonical", SEC_SEG, ALWAYS, base_not_canonical, 0,
	     "bases of FS, GS, LDTR and TR are canonical", F(NONE)),
	RULE(GUEST, "base-32", SEC_SEG, ALWAYS, base_beyond_32, 0,
	     "bases of CS, SS, DS and ES have 32 bits", F(NONE)),
	RULE(GUEST, "cs-type", SEC_SEG, ALWAYS, seg_type, CS,
	     "CS is accessed code, or in an unrestricted guest also data", F(GUEST_CS_AR)),
	RULE(GUEST, "ss-type", SEC_SEG, ALWAYS, seg_type, SS, "SS is accessed writable data",
	     F(GUEST_SS_AR)),
	RULE(GUEST, "data-accessed", SEC_SEG, ALWAYS, data_accessed, 0,
	     "DS, ES, FS and GS are accessed", F(NONE)),
	RULE(GUEST, "data-readable", SEC_SEG, ALWAYS, data_readable, 0,
	     "code in DS, ES, FS or GS is readable", F(NONE)),
	RULE(GUEST, "seg-s", SEC_SEG, ALWAYS, seg_s, 0,
	     "S is 1 of code and data, and 0 of LDTR and TR", F(NONE)),
	RULE(GUEST, "cs-dpl", SEC_SEG, ALWAYS, cs_dpl, 0,
	     "CS.DPL suits its type and SS.DPL", F(GUEST_CS_AR), F(GUEST_SS_AR)),
	RULE(GUEST, "ss-dpl-rpl", SEC_SEG, ALWAYS, ss_dpl_rpl, 0, "SS.DPL is SS.RPL",
	     F(GUEST_SS_AR), F(GUEST_SS_SELECTOR)),
	RULE(GUEST, "ss-dpl-real", SEC_SEG, ALWAYS, ss_dpl_real, 0,
	     "SS.DPL is 0 in real mode and with data in CS", F(GUEST_SS_AR), F(GUEST_CR0),
	     F(GUEST_CS_AR)),
	RULE(GUEST, "data-dpl", SEC_SEG, ALWAYS, data_dpl, 0,
	     "DPL of DS, ES, FS and GS is not below RPL, but of conforming code", F(NONE)),
	RULE(GUEST, "seg-present", SEC_SEG, ALWAYS, seg_present, 0, "segments are present",
	     F(NONE)),
	RULE(GUEST, "seg-reserved", SEC_SEG, ALWAYS, seg_reserved, 0,
	     "reserved bits of access rights are clear", F(NONE)),
	RULE(GUEST, "cs-size", SEC_SEG, ALWAYS, cs_size, 0, "64-bit code has no CS.D",
	     F(GUEST_CS_AR), F(ENTRY)),
	RULE(GUEST, "seg-limit-bytes", SEC_SEG, ALWAYS, seg_limit_low, 0,
	     "G is 0 if a bit of 11:0 of the limit is 0", F(NONE)),
	RULE(GUEST, "seg-limit-pages", SEC_SEG, ALWAYS, seg_limit_high, 0,
	     "G is 1 if a bit of 31:20 of the limit is 1", F(NONE)),
	RULE(GUEST, "tr-type", SEC_SEG, ALWAYS, seg_type, TR,
	     "TR is a busy TSS, and in IA-32e mode a 64-bit one", F(GUEST_TR_AR), F(ENTRY)),
	RULE(GUEST, "tr-unusable", SEC_SEG, ALWAYS, has_bits, SEG_UNUSABLE, "TR is usable",
	     F(GUEST_TR_AR)),
	RULE(GUEST, "ldtr-type", SEC_SEG, ALWAYS, seg_type, LDTR, "LDTR is an LDT",
	     F(GUEST_LDTR_AR)),

	RULE(GUEST, "tables-canonical", SEC_DT, ALWAYS, not_canonical, 0,
	     "bases of GDTR and IDTR are canonical", F(GUEST_GDTR_BASE), F(GUEST_IDTR_BASE)),
	RULE(GUEST, "tables-limit", SEC_DT, ALWAYS, limit_beyond_16, 0,
	     "limits of GDTR and IDTR have 16 bits", F(GUEST_GDTR_LIMIT), F(GUEST_IDTR_LIMIT)),

	RULE(GUEST, "rip-32", SEC_RIP, ALWAYS, rip_beyond_32, 0,
	     "RIP has 32 bits outside of 64-bit code", F(GUEST_RIP), F(GUEST_CS_AR), F(ENTRY)),
	RULE(GUEST, "rip-linear", SEC_RIP, ALWAYS, rip_not_linear, 0,
	     "the bits of RIP beyond a linear address are equal", F(GUEST_RIP)),
	RULE(GUEST, "rflags-reserved", SEC_RIP, ALWAYS, has_bits, 0xffffffffffc08028ull,
	     "reserved bits of RFLAGS are clear", F(GUEST_RFLAGS)),
	RULE(GUEST, "rflags-bit-1", SEC_RIP, ALWAYS, lacks_bits, X86_EFLAGS_FIXED,
	     "bit 1 of RFLAGS is set", F(GUEST_RFLAGS)),
	RULE(GUEST, "rflags-vm", SEC_RIP, ALWAYS, v86_impossible, 0,
	     "virtual-8086 mode is neither in IA-32e mode nor in real mode", F(GUEST_RFLAGS),
	     F(ENTRY), F(GUEST_CR0)),
	RULE(GUEST, "rflags-if", SEC_RIP, ALWAYS, irq_without_if, 0,
	     "an external interrupt needs RFLAGS.IF", F(GUEST_RFLAGS), F(EVENT)),

	RULE(GUEST, "activity", SEC_OTHER, ALWAYS, activity_unknown, 0,
	     "the activity state is one that the CPU has", F(ACTIVITY)),
	RULE(GUEST, "halted-user", SEC_OTHER, ALWAYS, halted_user, 0, "only CPL 0 is halted",
	     F(ACTIVITY), F(GUEST_SS_AR)),
	RULE(GUEST, "inactive-blocked", SEC_OTHER, ALWAYS, inactive_and_blocked, 0,
	     "STI and MOV SS block interrupts of an active guest only", F(ACTIVITY), F(BLOCKING)),
	RULE(GUEST, "inactive-event", SEC_OTHER, ALWAYS, event_while_inactive, 0,
	     "an inactive guest gets events that end its state", F(ACTIVITY), F(EVENT)),
	RULE(GUEST, "blocking-reserved", SEC_OTHER, ALWAYS, has_bits, ~0x1full,
	     "reserved bits of the interruptibility state are clear", F(BLOCKING)),
	RULE(GUEST, "blocking-both", SEC_OTHER, ALWAYS, sti_and_ss, 0,
	     "STI and MOV SS do not block together", F(BLOCKING)),
	RULE(GUEST, "blocking-sti", SEC_OTHER, ALWAYS, sti_without_if, 0,
	     "STI blocks only with RFLAGS.IF", F(BLOCKING), F(GUEST_RFLAGS)),
	RULE(GUEST, "blocking-irq", SEC_OTHER, ALWAYS, event_blocked,
	     EVENT_AND(EVENT_EXT_INT, BLOCKED_BY_STI_SS),
	     "an external interrupt comes without blocking", F(BLOCKING), F(EVENT)),
	RULE(GUEST, "blocking-nmi", SEC_OTHER, ALWAYS, event_blocked,
	     EVENT_AND(EVENT_NMI, BLOCKED_BY_STI_SS),
	     "an NMI comes without blocking by MOV SS and, on some CPUs, by STI", F(BLOCKING),
	     F(EVENT)),
	RULE(GUEST, "blocking-smi", SEC_OTHER, ALWAYS, has_bits, BIT(2),
	     "SMIs are blocked only in SMM", F(BLOCKING)),
	RULE(GUEST, "blocking-virtual-nmi", SEC_OTHER, WITH(PIN, PIN_BASED_VIRTUAL_NMIS),
	     event_blocked, EVENT_AND(EVENT_NMI, GUEST_INTR_STATE_NMI),
	     "a virtual NMI comes while NMIs are not blocked", F(BLOCKING), F(EVENT)),
	RULE(GUEST, "blocking-enclave", SEC_OTHER, ALWAYS, enclave_blocking, 0,
	     "an enclave is interrupted on CPUs that have them, and not behind MOV SS",
	     F(BLOCKING)),
	RULE(GUEST, "pending-reserved", SEC_OTHER, ALWAYS, pending_reserved, 0,
	     "reserved bits of pending debug exceptions are clear", F(PENDING_DEBUG)),
	RULE(GUEST, "pending-step", SEC_OTHER, ALWAYS, pending_step, 0,
	     "a halted or blocked guest has a pending single step if, and only if, it steps",
	     F(PENDING_DEBUG), F(GUEST_RFLAGS), F(GUEST_DEBUGCTL), F(BLOCKING)),
	RULE(GUEST, "pending-transaction", SEC_OTHER, ALWAYS, pending_transaction, 0,
	     "a debug exception of a transaction comes alone", F(PENDING_DEBUG), F(BLOCKING)),
	RULE(GUEST, "link", SEC_OTHER, ALWAYS, bad_link, PAGE_LOW,
	     "the link pointer is a page of physical memory, or all ones", F(LINK)),
	RULE(GUEST, "link-itself", SEC_OTHER, ALWAYS, link_to_itself, 0,
	     "the link pointer is not the VMCS itself", F(LINK)),
	RULE(GUEST, "link-revision", SEC_OTHER, ALWAYS, link_revision, PAGE_LOW,
	     "the link pointer is to a VMCS of this CPU's revision", F(LINK)),

	RULE(GUEST, "pdpte", SEC_PDPTE, WITH(EXEC2, SECONDARY_EXEC_ENABLE_EPT), bad_pdpte, 0,
	     "reserved bits of page-directory-pointer entries are clear", F(PDPTE0)),
};

const unsigned int vmx_nr_guest_rules = ARRAY_SIZE(vmx_guest_rules);
