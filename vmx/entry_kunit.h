/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data for the tests of the VM-entry rules: guests that can be entered, and for each rule a change
 * that breaks only this rule. Used by selftests/host without hardware and by entry_kunit.c with it.
 */
#ifndef OKVM_VMX_ENTRY_CASES_H
#define OKVM_VMX_ENTRY_CASES_H

#include <linux/kernel.h>
#include <linux/types.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/vmx.h>

#include "vmx/entry_check.h"

/** enum entry_kind - kinds of guests that can be entered; each case changes one of them */
enum entry_kind {
	ENTRY_LONG,		/* 64-bit code, of an unrestricted guest */
	ENTRY_PLAIN,		/* 64-bit code, not unrestricted */
	ENTRY_PAE,		/* 32-bit code with PAE paging, not unrestricted */
	ENTRY_REAL,		/* real mode */
	ENTRY_V86,		/* virtual-8086 mode, not unrestricted */
	NR_ENTRY_KINDS,
};

static inline void entry_seg(struct vmx_entry *e, unsigned int seg, u16 selector, u64 base,
			     u32 limit, u32 ar)
{
	u64 *f = &e->f[VMX_F_GUEST_ES_SELECTOR + seg * VMX_NR_S];

	f[VMX_S_SELECTOR] = selector;
	f[VMX_S_BASE] = base;
	f[VMX_S_LIMIT] = limit;
	f[VMX_S_AR] = ar;
}

static inline void entry_base_controls(struct vmx_entry *e, u64 page, enum entry_kind kind)
{
	const struct vmx_msrs *m = &e->cpu->msrs;
	bool restricted = kind != ENTRY_LONG && kind != ENTRY_REAL;
	u64 *f = e->f;

	f[VMX_F_PIN] = (u32)m->pin | PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING |
		       PIN_BASED_VIRTUAL_NMIS | PIN_BASED_VMX_PREEMPTION_TIMER;
	f[VMX_F_EXEC] = (u32)m->exec | CPU_BASED_HLT_EXITING | CPU_BASED_USE_MSR_BITMAPS |
			CPU_BASED_TPR_SHADOW | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	f[VMX_F_EXEC2] = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID |
			 (restricted ? 0 : SECONDARY_EXEC_UNRESTRICTED_GUEST);
	f[VMX_F_EXIT] = (u32)m->exit | VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_ACK_INTR_ON_EXIT |
			VM_EXIT_LOAD_IA32_PAT | VM_EXIT_LOAD_IA32_EFER;
	f[VMX_F_ENTRY] = (u32)m->entry | VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_PAT |
			 VM_ENTRY_LOAD_IA32_EFER;
	f[VMX_F_MSR_BITMAP] = page;
	f[VMX_F_VIRTUAL_APIC] = page;
	f[VMX_F_APIC_ACCESS] = page;
	f[VMX_F_POSTED_DESC] = page;
	f[VMX_F_VPID] = 1;
	f[VMX_F_EPTP] = page | VMX_MEMTYPE_WB | 3 << 3;
	f[VMX_F_TSC_MULTIPLIER] = 1ull << 48;
	f[VMX_F_EVENT_LENGTH] = 1;
	f[VMX_F_LINK] = ~0ull;
}

/* Set legal values of the host state. entry_kunit.c replaces them by the real host's. */
static inline void entry_base_host(struct vmx_entry *e)
{
	u64 *f = e->f;

	f[VMX_F_HOST_CR0] = X86_CR0_PG | X86_CR0_WP | X86_CR0_NE | X86_CR0_PE;
	f[VMX_F_HOST_CR4] = X86_CR4_VMXE | X86_CR4_PAE;
	f[VMX_F_HOST_CR3] = 0x1000;
	f[VMX_F_HOST_RIP] = 0xffffffff81000000ull;
	f[VMX_F_HOST_PAT] = 0x0007040600070406ull;
	f[VMX_F_HOST_EFER] = EFER_SCE | EFER_LME | EFER_LMA;
	f[VMX_F_HOST_CS] = 0x10;
	f[VMX_F_HOST_SS] = 0x18;
	f[VMX_F_HOST_TR] = 0x40;
}

static inline void entry_base_mode(struct vmx_entry *e, enum entry_kind kind)
{
	bool is_long = kind == ENTRY_LONG || kind == ENTRY_PLAIN;
	u64 *f = e->f;

	f[VMX_F_GUEST_CR0] = X86_CR0_NE | X86_CR0_ET;
	f[VMX_F_GUEST_CR4] = X86_CR4_VMXE;
	if (kind != ENTRY_REAL)
		f[VMX_F_GUEST_CR0] |= X86_CR0_PE | X86_CR0_PG | X86_CR0_WP;
	if (is_long || kind == ENTRY_PAE)
		f[VMX_F_GUEST_CR4] |= X86_CR4_PAE;
	if (is_long) {
		f[VMX_F_ENTRY] |= VM_ENTRY_IA32E_MODE;
		f[VMX_F_GUEST_EFER] = EFER_LME | EFER_LMA;
	}
	if (kind == ENTRY_V86)
		f[VMX_F_GUEST_RFLAGS] |= X86_EFLAGS_VM;
}

static inline void entry_base_segs(struct vmx_entry *e, enum entry_kind kind)
{
	bool is_long = kind == ENTRY_LONG || kind == ENTRY_PLAIN;
	u32 data = kind == ENTRY_V86 ? 0xf3 : kind == ENTRY_REAL ? 0x93 : 0xc093;
	u32 code = kind == ENTRY_V86 ? 0xf3 : kind == ENTRY_REAL ? 0x9b : is_long ? 0xa09b : 0xc09b;
	u32 limit = kind == ENTRY_V86 || kind == ENTRY_REAL ? 0xffff : ~0u;
	unsigned int seg;

	for (seg = 0; seg < 6; seg++)
		entry_seg(e, seg, seg == 1 ? 0x10 : 0x18, 0, limit, seg == 1 ? code : data);
	for (seg = 0; kind == ENTRY_V86 && seg < 6; seg++)
		entry_seg(e, seg, 0x100, 0x1000, limit, 0xf3);
	entry_seg(e, 6, 0x30, 0x2000, 0xffff, 0x82);
	entry_seg(e, 7, 0x40, 0x3000, 0x67, 0x8b);
}

/**
 * entry_base() - make a guest of @kind that can be entered
 * @page: physical address of a page of zeros
 */
static inline void entry_base(struct vmx_entry *e, const struct vmx_entry_cpu *cpu, u64 page,
			      enum entry_kind kind)
{
	*e = (struct vmx_entry) { .cpu = cpu, .vmcs_pa = 0x7000 };
	e->f[VMX_F_GUEST_RFLAGS] = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	e->f[VMX_F_GUEST_PAT] = 0x0007040600070406ull;
	e->f[VMX_F_GUEST_DR7] = 0x400;
	e->f[VMX_F_GUEST_RIP] = 0x1000;
	e->f[VMX_F_GUEST_GDTR_LIMIT] = 0xff;
	e->f[VMX_F_GUEST_IDTR_LIMIT] = 0xfff;
	entry_base_controls(e, page, kind);
	entry_base_host(e);
	entry_base_mode(e, kind);
	entry_base_segs(e, kind);
}

/* Find the first rule that @e breaks, and the field in *@field. Return: NULL if there is none */
static inline const struct vmx_entry_rule *entry_check(const struct vmx_entry *e, u32 *field)
{
	const struct vmx_entry_rule *rule;
	unsigned int i;

	for (i = 0; (rule = vmx_entry_rule(i)); i++) {
		*field = vmx_entry_broken(e, rule);
		if (*field != VMX_F_NONE)
			break;
	}
	return rule;
}

enum entry_op { ENTRY_END, ENTRY_SET, ENTRY_OR, ENTRY_CLEAR };

/**
 * struct entry_case - a change of a guest's VMCS that breaks one rule or none
 * @rule: name of the broken rule; NULL: none is broken, so the VM entry must succeed
 * @kind: the guest that is changed
 * @fault: Bochs, the emulated CPU of the project's tests, has a bug: it does not check this rule
 * @elsewhere: Bochs lacks the feature that the rule is about
 * @said: part of the message that Bochs logs
 * @change: the changes of fields, which are made in this order
 */
struct entry_case {
	const char *rule;
	enum entry_kind kind;
	bool fault;
	bool elsewhere;
	const char *said;
	struct {
		u8 op;			/* enum entry_op */
		u8 field;		/* enum vmx_entry_field */
		u64 value;
	} change[8];
};

static inline void entry_apply(struct vmx_entry *e, const struct entry_case *c)
{
	unsigned int i;
	u64 *f;

	for (i = 0; i < ARRAY_SIZE(c->change) && c->change[i].op; i++) {
		f = &e->f[c->change[i].field];
		if (c->change[i].op == ENTRY_SET)
			*f = c->change[i].value;
		else if (c->change[i].op == ENTRY_OR)
			*f |= c->change[i].value;
		else
			*f &= ~c->change[i].value;
	}
}

#define SET(field, value)	{ ENTRY_SET, VMX_F_##field, value }
#define OR(field, value)	{ ENTRY_OR, VMX_F_##field, value }
#define CLR(field, value)	{ ENTRY_CLEAR, VMX_F_##field, value }
#define WITH_EXEC2(bits)	OR(EXEC2, bits)
#define CASE(rule, kind, said, ...)	{ rule, ENTRY_##kind, false, false, said, { __VA_ARGS__ } }
#define FAULT(rule, kind, ...)		{ rule, ENTRY_##kind, true, false, "", { __VA_ARGS__ } }
#define ELSEWHERE(rule, kind, ...)	{ rule, ENTRY_##kind, false, true, "", { __VA_ARGS__ } }
#define NONCANONICAL	BIT_ULL(62)
#define WIDE		BIT_ULL(60)
#define EVENT(type, vector)	(INTR_INFO_VALID_MASK | (type) << 8 | (vector))
/* Set CPL 3: the DPL and RPL of CS and SS. */
#define USER_CS_SS	OR(GUEST_CS_AR, 0x60), OR(GUEST_SS_AR, 0x60), OR(GUEST_CS_SELECTOR, 3), \
			OR(GUEST_SS_SELECTOR, 3)
#define APICV		(SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

static const struct entry_case entry_cases[] = {
	CASE("pin-required", LONG, "pin-based controls allowed 0", CLR(PIN, 0x16)),
	CASE("pin-allowed", LONG, "pin-based controls allowed 1", OR(PIN, 1u << 31)),
	CASE("exec-required", LONG, "VMX proc-based controls allowed 0", CLR(EXEC, 0x4002002)),
	CASE("exec-allowed", LONG, "VMX proc-based controls allowed 1", OR(EXEC, 1)),
	CASE("exec2-allowed", LONG, "secondary controls allowed 1", OR(EXEC2, 1u << 31)),
	CASE("cr3-targets", LONG, "CR3 targets", SET(CR3_TARGETS, 5)),
	CASE("io-bitmap-a", LONG, "I/O bitmap A", OR(EXEC, CPU_BASED_USE_IO_BITMAPS),
	     SET(IO_BITMAP_A, 0x800)),
	CASE("io-bitmap-b", LONG, "I/O bitmap B", OR(EXEC, CPU_BASED_USE_IO_BITMAPS),
	     SET(IO_BITMAP_B, WIDE)),
	CASE("msr-bitmap", LONG, "MSR bitmap", OR(MSR_BITMAP, 1)),
	CASE("virtual-apic", LONG, "virtual apic phy", OR(VIRTUAL_APIC, WIDE)),
	CASE("tpr-threshold-reserved", LONG, "TPR threshold too big", SET(TPR_THRESHOLD, 0x10)),
	CASE("tpr-threshold", LONG, "TPR threshold > TPR", SET(TPR_THRESHOLD, 1)),
	CASE("virtual-nmi", LONG, "misconfigured virtual NMI", CLR(PIN, PIN_BASED_NMI_EXITING)),
	CASE("nmi-window", LONG, "misconfigured virtual NMI", CLR(PIN, PIN_BASED_VIRTUAL_NMIS),
	     OR(EXEC, CPU_BASED_NMI_WINDOW_EXITING)),
	CASE("apic-access", LONG, "apic access page",
	     WITH_EXEC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES), OR(APIC_ACCESS, 8)),
	CASE("apic-needs-tpr-shadow", LONG, "without TPR shadow", CLR(EXEC, CPU_BASED_TPR_SHADOW),
	     OR(EXEC, CPU_BASED_CR8_LOAD_EXITING), WITH_EXEC2(SECONDARY_EXEC_APIC_REGISTER_VIRT)),
	CASE("x2apic-or-xapic", LONG, "virtualize X2APIC mode enabled together",
	     WITH_EXEC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
			SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE)),
	CASE("delivery-needs-irq-exits", LONG, "together with external interrupt exiting",
	     CLR(PIN, PIN_BASED_EXT_INTR_MASK), WITH_EXEC2(APICV)),
	CASE("posted-needs-delivery", LONG, "together with virtual interrupt delivery",
	     OR(PIN, PIN_BASED_POSTED_INTR)),
	CASE("posted-needs-ack", LONG, "ack interrupt on exit", OR(PIN, PIN_BASED_POSTED_INTR),
	     WITH_EXEC2(APICV), CLR(EXIT, VM_EXIT_ACK_INTR_ON_EXIT)),
	CASE("posted-vector", LONG, "notification vector", OR(PIN, PIN_BASED_POSTED_INTR),
	     WITH_EXEC2(APICV), SET(POSTED_VECTOR, 0x100)),
	CASE("posted-descriptor", LONG, "Posted Interrupt Descriptor",
	     OR(PIN, PIN_BASED_POSTED_INTR), WITH_EXEC2(APICV), OR(POSTED_DESC, 32)),
	CASE("vpid", LONG, "VPID == 0", SET(VPID, 0)),
	CASE("ept-type", LONG, "invalid EPTPTR", CLR(EPTP, 2)),
	CASE("ept-levels", LONG, "invalid EPTPTR", CLR(EPTP, 0x18)),
	CASE("ept-reserved", LONG, "invalid EPTPTR", OR(EPTP, 0x100)),
	CASE("ept-needed", LONG, "unrestricted guest without EPT",
	     CLR(EXEC2, SECONDARY_EXEC_ENABLE_EPT)),
	CASE("pml", LONG, "PML base", WITH_EXEC2(SECONDARY_EXEC_ENABLE_PML), SET(PML, 0x10)),
	CASE("vmfunc", LONG, "VM Functions control", WITH_EXEC2(SECONDARY_EXEC_ENABLE_VMFUNC),
	     SET(VMFUNC, 2)),
	CASE("vmfunc-needs-ept", PLAIN, "EPTP-SWITCHING: EPT disabled",
	     WITH_EXEC2(SECONDARY_EXEC_ENABLE_VMFUNC), CLR(EXEC2, SECONDARY_EXEC_ENABLE_EPT),
	     SET(VMFUNC, 1)),
	CASE("vmread-bitmap", LONG, "VMREAD bitmap", WITH_EXEC2(SECONDARY_EXEC_SHADOW_VMCS),
	     SET(VMREAD_BITMAP, 1)),
	CASE("vmwrite-bitmap", LONG, "VMWRITE bitmap", WITH_EXEC2(SECONDARY_EXEC_SHADOW_VMCS),
	     SET(VMWRITE_BITMAP, WIDE)),
	CASE("ve-info", LONG, "#VE information", WITH_EXEC2(VMX_EXEC2_VE), SET(VE_INFO, 1)),
	CASE("tsc-multiplier", LONG, "TSC multiplier", WITH_EXEC2(SECONDARY_EXEC_TSC_SCALING),
	     SET(TSC_MULTIPLIER, 0)),
	CASE("exit-required", LONG, "vmexit controls allowed 0", CLR(EXIT, 0x1)),
	CASE("exit-allowed", LONG, "vmexit controls allowed 1", OR(EXIT, 1u << 31)),
	CASE("timer-saved", LONG, "save_VMX_preemption_timer",
	     CLR(PIN, PIN_BASED_VMX_PREEMPTION_TIMER), OR(EXIT, VM_EXIT_SAVE_VMX_PREEMPTION_TIMER)),
	CASE("exit-store-list", LONG, "msr store addr malformed", SET(EXIT_STORE_COUNT, 1),
	     SET(EXIT_STORE_ADDR, 8)),
	CASE("exit-store-end", LONG, "msr store addr too high", SET(EXIT_STORE_COUNT, 2),
	     SET(EXIT_STORE_ADDR, 0xfffffffff0ull)),
	CASE("exit-load-list", LONG, "msr load addr malformed", SET(EXIT_LOAD_COUNT, 1),
	     SET(EXIT_LOAD_ADDR, WIDE)),
	CASE("exit-load-end", LONG, "msr load addr too high", SET(EXIT_LOAD_COUNT, 2),
	     SET(EXIT_LOAD_ADDR, 0xfffffffff0ull)),
	CASE("entry-required", LONG, "vmentry controls allowed 0", CLR(ENTRY, 1)),
	CASE("entry-allowed", LONG, "vmentry controls allowed 1", OR(ENTRY, 1u << 31)),
	CASE("entry-smm", LONG, "dual-monitor", OR(ENTRY, VM_ENTRY_DEACT_DUAL_MONITOR)),
	CASE("entry-load-list", LONG, "VMENTRY CTRL: msr load addr malformed",
	     SET(ENTRY_LOAD_COUNT, 1), SET(ENTRY_LOAD_ADDR, 8)),
	CASE("entry-load-end", LONG, "VMENTRY CTRL: msr load addr too high",
	     SET(ENTRY_LOAD_COUNT, 2), SET(ENTRY_LOAD_ADDR, 0xfffffffff0ull)),
	CASE("event-reserved", LONG, "broken interruption info",
	     SET(EVENT, EVENT(0, 0x20) | 1 << 20)),
	CASE("event-type", LONG, "bad injected event type", SET(EVENT, EVENT(1, 0x20))),
	CASE("event-vector", LONG, "bad injected event vector", SET(EVENT, EVENT(2, 3))),
	CASE("event-error-bit", LONG, "broken error code", SET(EVENT, EVENT(3, 13))),
	CASE("event-error-bit", LONG, "broken error code",
	     SET(EVENT, EVENT(3, 6) | INTR_INFO_DELIVER_CODE_MASK)),
	CASE("event-error-code", LONG, "bad error code",
	     SET(EVENT, EVENT(3, 13) | INTR_INFO_DELIVER_CODE_MASK), SET(EVENT_ERROR, 0x10000)),
	CASE("event-length", LONG, "instr length", SET(EVENT, EVENT(4, 0x80)),
	     SET(EVENT_LENGTH, 16)),

	CASE("host-long", PAE, "x86-64 host control", CLR(EXIT, VM_EXIT_HOST_ADDR_SPACE_SIZE),
	     CLR(EXIT, VM_EXIT_LOAD_IA32_EFER)),
	CASE("host-cr0", LONG, "host state invalid CR0", CLR(HOST_CR0, X86_CR0_NE)),
	CASE("host-cr4", LONG, "host state invalid CR4", CLR(HOST_CR4, X86_CR4_VMXE)),
	CASE("host-cr3", LONG, "host state invalid CR3", OR(HOST_CR3, WIDE)),
	CASE("host-sysenter", LONG, "SYSENTER_EIP_MSR", SET(HOST_SYSENTER_EIP, NONCANONICAL)),
	CASE("host-pat", LONG, "host MSR_PAT", SET(HOST_PAT, 2)),
	CASE("host-efer", LONG, "host EFER reserved", OR(HOST_EFER, 1 << 1)),
	CASE("host-efer-long", LONG, "inconsistent value", CLR(HOST_EFER, EFER_LMA)),
	CASE("host-selectors", LONG, "TI/RPL", OR(HOST_FS, 3)),
	CASE("host-cs-null", LONG, "CS selector 0", SET(HOST_CS, 0)),
	CASE("host-tr-null", LONG, "host TR selector", SET(HOST_TR, 0)),
	CASE("host-bases", LONG, "GS BASE non canonical", SET(HOST_GS_BASE, NONCANONICAL)),
	CASE("host-tables", LONG, "IDTR BASE non canonical", SET(HOST_IDTR_BASE, NONCANONICAL)),
	CASE("host-pae", LONG, "CR4.PAE=0 with x86-64 host", CLR(HOST_CR4, X86_CR4_PAE)),
	CASE("host-rip", LONG, "RIP non-canonical", SET(HOST_RIP, NONCANONICAL)),

	CASE("guest-cr0", PLAIN, "guest invalid CR0", CLR(GUEST_CR0, X86_CR0_NE)),
	CASE("guest-cr0-pg", LONG, "CR0.PG without CR0.PE", CLR(GUEST_CR0, X86_CR0_PE)),
	CASE("guest-cr4", LONG, "guest invalid CR4", OR(GUEST_CR4, 1ull << 40)),
	ELSEWHERE("guest-cet-wp", LONG, OR(GUEST_CR4, 1 << 23), CLR(GUEST_CR0, X86_CR0_WP)),
	FAULT("guest-debugctl", LONG, SET(GUEST_DEBUGCTL, 1 << 4)),
	FAULT("guest-long-pg", LONG, CLR(GUEST_CR0, X86_CR0_PG)),
	CASE("guest-long-pae", LONG, "CR4.PAE=0 in x86-64", CLR(GUEST_CR4, X86_CR4_PAE)),
	CASE("guest-pcid", PAE, "PCIDE", OR(GUEST_CR4, X86_CR4_PCIDE)),
	CASE("guest-cr3", LONG, "guest invalid CR3", OR(GUEST_CR3, WIDE)),
	CASE("guest-dr7", LONG, "invalid DR7", OR(GUEST_DR7, 1ull << 32)),
	CASE("guest-sysenter", LONG, "guest SYSENTER_ESP", SET(GUEST_SYSENTER_ESP, NONCANONICAL)),
	CASE("guest-pat", LONG, "guest MSR_PAT", SET(GUEST_PAT, 8)),
	CASE("guest-efer", LONG, "guest EFER reserved", OR(GUEST_EFER, 1 << 1)),
	CASE("guest-efer-lma", PAE, "LMA doesn't match", OR(GUEST_EFER, EFER_LMA | EFER_LME)),
	CASE("guest-efer-lme", LONG, "inconsistent value", CLR(GUEST_EFER, EFER_LME)),

	CASE("tr-in-ldt", LONG, "TR.TI", OR(GUEST_TR_SELECTOR, 4)),
	CASE("ldtr-in-ldt", LONG, "LDTR.TI", OR(GUEST_LDTR_SELECTOR, 4)),
	CASE("ss-rpl", PLAIN, "CS.RPL != SS.RPL", OR(GUEST_CS_SELECTOR, 3)),
	CASE("v86-base", V86, "bad GS.BASE", SET(GUEST_GS_BASE, 0x2000)),
	CASE("v86-limit", V86, "LIMIT != 0xFFFF", SET(GUEST_ES_LIMIT, 0xfffff)),
	CASE("v86-rights", V86, "AR != 0xF3", SET(GUEST_SS_AR, 0x93)),
	CASE("base-canonical", LONG, "FS.BASE non canonical", SET(GUEST_FS_BASE, NONCANONICAL)),
	CASE("base-canonical", LONG, "LDTR.BASE non canonical", SET(GUEST_LDTR_BASE, NONCANONICAL)),
	CASE("base-32", LONG, "CS.BASE > 32", SET(GUEST_CS_BASE, 1ull << 32)),
	CASE("cs-type", LONG, "CS.TYPE", CLR(GUEST_CS_AR, 1)),
	CASE("cs-type", PLAIN, "CS.TYPE", SET(GUEST_CS_AR, 0xc093)),
	CASE("ss-type", PAE, "SS.TYPE", CLR(GUEST_SS_AR, 2)),
	CASE("data-accessed", LONG, "DS not ACCESSED", CLR(GUEST_DS_AR, 1)),
	CASE("data-readable", LONG, "FS not READABLE", SET(GUEST_FS_AR, 0xc099)),
	CASE("seg-s", LONG, "CS not segment", CLR(GUEST_CS_AR, 0x10)),
	CASE("seg-s", LONG, "TR is not system", OR(GUEST_TR_AR, 0x10)),
	CASE("cs-dpl", LONG, "CS.DPL <> SS.DPL", OR(GUEST_CS_AR, 0x60)),
	CASE("cs-dpl", LONG, "CS.DPL <> SS.DPL", OR(GUEST_SS_AR, 0x60)),
	CASE("cs-dpl", LONG, "CS.DPL > SS.DPL", OR(GUEST_CS_AR, 0x64)),
	CASE("cs-dpl", REAL, "unrestricted guest CS.DPL", SET(GUEST_CS_AR, 0xf3)),
	CASE("ss-dpl-rpl", PLAIN, "SS.RPL <> SS.DPL", OR(GUEST_CS_SELECTOR, 1),
	     OR(GUEST_SS_SELECTOR, 1)),
	CASE("ss-dpl-real", REAL, "SS.DPL != 0", OR(GUEST_SS_AR, 0x60), OR(GUEST_CS_AR, 0x60)),
	CASE("data-dpl", PLAIN, "ES.RPL < ES.DPL", OR(GUEST_ES_SELECTOR, 2)),
	CASE("seg-present", LONG, "ES not present", CLR(GUEST_ES_AR, 0x80)),
	CASE("seg-reserved", LONG, "DS.AR/LIMIT", OR(GUEST_DS_AR, 0x100)),
	CASE("seg-reserved", LONG, "TR.AR/LIMIT", OR(GUEST_TR_AR, 0x20000)),
	CASE("cs-size", LONG, "CS.D_B/L", OR(GUEST_CS_AR, 0x4000)),
	CASE("seg-limit-bytes", LONG, "DS.AR/LIMIT", CLR(GUEST_DS_LIMIT, 1)),
	CASE("seg-limit-pages", LONG, "LDTR.AR/LIMIT", OR(GUEST_LDTR_LIMIT, 0x100000)),
	CASE("tr-type", LONG, "incorrect TR type", SET(GUEST_TR_AR, 0x83)),
	CASE("tr-unusable", LONG, "TR invalid", OR(GUEST_TR_AR, 0x10000)),
	CASE("ldtr-type", LONG, "incorrect LDTR type", SET(GUEST_LDTR_AR, 0x8b)),
	CASE("tables-canonical", LONG, "IDTR.BASE non canonical",
	     SET(GUEST_GDTR_BASE, NONCANONICAL)),
	CASE("tables-limit", LONG, "IDTR limit", SET(GUEST_IDTR_LIMIT, 0x10000)),

	CASE("rip-32", PAE, "RIP > 32", SET(GUEST_RIP, 1ull << 32)),
	FAULT("rip-linear", LONG, SET(GUEST_RIP, NONCANONICAL)),
	CASE("rflags-reserved", LONG, "RFLAGS reserved", OR(GUEST_RFLAGS, 1 << 15)),
	CASE("rflags-bit-1", LONG, "RFLAGS[1]", CLR(GUEST_RFLAGS, 2)),
	CASE("rflags-vm", V86, "x86-64 guest with RFLAGS.VM", OR(ENTRY, VM_ENTRY_IA32E_MODE),
	     OR(GUEST_CR4, X86_CR4_PAE), OR(GUEST_EFER, EFER_LMA | EFER_LME)),
	CASE("rflags-if", LONG, "injecting external interrupt", SET(EVENT, EVENT(0, 0x20)),
	     CLR(GUEST_RFLAGS, X86_EFLAGS_IF)),
	CASE("activity", LONG, "guest activity state 4", SET(ACTIVITY, 4)),
	CASE("halted-user", PLAIN, "HLT state with SS.DPL", USER_CS_SS,
	     SET(GUEST_DS_AR, 0xc0f3), SET(GUEST_ES_AR, 0xc0f3), SET(ACTIVITY, 1)),
	CASE("inactive-blocked", LONG, "non active CPU state", SET(ACTIVITY, 1), SET(BLOCKING, 1),
	     OR(PENDING_DEBUG, 0)),
	CASE("inactive-event", LONG, "entering shutdown", SET(ACTIVITY, 2),
	     SET(EVENT, EVENT(0, 0x20))),
	FAULT("inactive-event", LONG, SET(ACTIVITY, 1), SET(EVENT, EVENT(3, 6))),
	CASE("blocking-reserved", LONG, "interruptibility state broken", SET(BLOCKING, 0x20)),
	CASE("blocking-both", LONG, "interruptibility state broken", SET(BLOCKING, 3)),
	CASE("blocking-sti", LONG, "blocked by STI", SET(BLOCKING, 1),
	     CLR(GUEST_RFLAGS, X86_EFLAGS_IF)),
	CASE("blocking-irq", LONG, "injecting external interrupt", SET(BLOCKING, 2),
	     SET(EVENT, EVENT(0, 0x20))),
	CASE("blocking-nmi", LONG, "injecting NMI", SET(BLOCKING, 2), SET(EVENT, EVENT(2, 2))),
	CASE("blocking-smi", LONG, "SMI blocked", SET(BLOCKING, 4)),
	FAULT("blocking-virtual-nmi", LONG, SET(BLOCKING, 8), SET(EVENT, EVENT(2, 2))),
	CASE("blocking-enclave", LONG, "interruptibility state broken", SET(BLOCKING, 0x10)),
	CASE("pending-reserved", LONG, "tmpDR6", SET(PENDING_DEBUG, 0x10)),
	FAULT("pending-step", LONG, SET(BLOCKING, 2), OR(GUEST_RFLAGS, X86_EFLAGS_TF)),
	ELSEWHERE("pending-transaction", LONG, SET(PENDING_DEBUG, 0x10000)),
	CASE("link", LONG, "link pointer malformed", SET(LINK, 0x800)),
	CASE("link-itself", LONG, "equal to current", SET(LINK, 0x7000)),
	CASE("link-revision", LONG, "incorrect revision", SET(LINK, 0x8000)),
	CASE("pdpte", PAE, "PDPTRs Checks", SET(PDPTE2, 0x1003)),

	/* Legal values next to the limits of a rule: the guest can be entered. */
	CASE(NULL, LONG, "", SET(CR3_TARGETS, 4)),
	CASE(NULL, LONG, "", SET(TPR_THRESHOLD, 0x1f), WITH_EXEC2(APICV)),
	CASE(NULL, LONG, "", CLR(PIN, PIN_BASED_VIRTUAL_NMIS)),
	CASE(NULL, LONG, "", SET(EVENT, EVENT(3, 14) | INTR_INFO_DELIVER_CODE_MASK)),
	CASE(NULL, REAL, "", SET(EVENT, EVENT(3, 13))),
	CASE(NULL, LONG, "", SET(EVENT, EVENT(4, 0x80)), SET(EVENT_LENGTH, 15)),
	CASE(NULL, LONG, "", SET(GUEST_PAT, 0x0504010600070406ull)),
	CASE(NULL, LONG, "", SET(GUEST_DS_AR, 0x10000), SET(GUEST_DS_BASE, WIDE)),
	CASE(NULL, LONG, "", SET(GUEST_LDTR_AR, 0x10000), OR(GUEST_LDTR_SELECTOR, 4)),
	CASE(NULL, LONG, "", SET(GUEST_CS_AR, 0xa09f)),
	CASE(NULL, LONG, "", SET(GUEST_CS_AR, 0xa09f), OR(GUEST_SS_AR, 0x60)),
	CASE(NULL, LONG, "", SET(ACTIVITY, 1)),
	CASE(NULL, LONG, "", SET(ACTIVITY, 2), SET(EVENT, EVENT(2, 2))),
	CASE(NULL, LONG, "", SET(BLOCKING, 1)),
	CASE(NULL, LONG, "", SET(GUEST_RIP, 0xffff800000000000ull)),
	CASE(NULL, PLAIN, "", USER_CS_SS, SET(GUEST_DS_AR, 0xc0f3), SET(GUEST_ES_AR, 0xc0f3)),
	CASE(NULL, PAE, "", SET(PDPTE1, 0x1001), SET(GUEST_TR_AR, 0x83)),
	CASE(NULL, PAE, "", SET(PDPTE1, WIDE | 0x1e6)),
	CASE(NULL, REAL, "", SET(GUEST_CS_AR, 0x93)),
};

#define NR_ENTRY_CASES	ARRAY_SIZE(entry_cases)

#endif /* OKVM_VMX_ENTRY_CASES_H */
