// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compare the rules of entry_check.h with a CPU: VM entry must fail for a state that breaks a rule,
 * with the error of the rule's area, and succeed for other states. Part of okvm_vm_kunit.ko. The
 * tests use their own VMCS, not a VM's. In this file "the emulated CPU" is the CPU of Bochs, on
 * which the project runs the tests.
 *
 * The guests execute no instruction: the preemption timer is 0, so that they exit at once, and EPT
 * is empty. At the exit the CPU loads the host state. Therefore the tests do not enter with a host
 * state that could harm the host.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/prandom.h>

#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/tlbflush.h>

#include "core/hardware.h"
#include "vmx/vmcs.h"
#include "vmx/entry_why.h"
#include "entry_check.c"
#include "entry_guest.c"
#include "vmx/entry_kunit.h"

/* The number of random states that the suite tries. The parameter entry_states can try more. */
#define ENTRY_STATES	3000

int vmx_enter(unsigned long *gpr, struct vmx_frame *frame);
extern const char vmx_exited[];

/* Results of a VM entry. */
enum entry_end { WENT_IN, BAD_CONTROLS, BAD_HOST, BAD_GUEST, SOMETHING_ELSE };

static const char *const end_names[] = { "entered", "controls", "host", "guest", "something else" };

/* ---- the test's VMCS ---- */

static struct vmx_entry_cpu test_cpu;
static struct vmcs *test_vmcs;
static void *test_page, *test_link;
static u64 written[VMX_NR_F];

/* Replaces okvm's vmcs_failed(), which kills a VM: log the failed VMCS access. */
void vmcs_failed(unsigned long field, bool write)
{
	pr_err("okvm_vm_kunit: VMCS field %#lx cannot be %s\n", field, write ? "written" : "read");
}

static void raw_write(unsigned long field, unsigned long val)
{
	u8 failed;

	asm volatile("vmwrite %2, %1; setna %0"
		     : "=qm" (failed) : "r" (field), "rm" (val) : "cc", "memory");
	if (failed)
		vmcs_failed(field, true);
}

static u32 raw_read(unsigned long field)
{
	unsigned long val = 0;

	asm volatile("vmread %1, %0" : "=rm" (val) : "r" (field) : "cc");
	return val;
}

/* Set the host state to the current values of this CPU. Called with IRQs off. */
static void take_host(struct vmx_entry *e)
{
	struct desc_ptr gdt, idt;
	u64 *f = e->f;

	native_store_gdt(&gdt);
	store_idt(&idt);
	f[VMX_F_HOST_CR0] = read_cr0();
	f[VMX_F_HOST_CR3] = __get_current_cr3_fast();
	f[VMX_F_HOST_CR4] = cr4_read_shadow();
	f[VMX_F_HOST_RIP] = (unsigned long)vmx_exited;
	rdmsrl(MSR_IA32_SYSENTER_ESP, f[VMX_F_HOST_SYSENTER_ESP]);
	rdmsrl(MSR_IA32_SYSENTER_EIP, f[VMX_F_HOST_SYSENTER_EIP]);
	rdmsrl(MSR_IA32_CR_PAT, f[VMX_F_HOST_PAT]);
	rdmsrl(MSR_EFER, f[VMX_F_HOST_EFER]);
	f[VMX_F_HOST_CS] = __KERNEL_CS;
	f[VMX_F_HOST_SS] = __KERNEL_DS;
	f[VMX_F_HOST_TR] = GDT_ENTRY_TSS * 8;
	rdmsrl(MSR_FS_BASE, f[VMX_F_HOST_FS_BASE]);
	rdmsrl(MSR_GS_BASE, f[VMX_F_HOST_GS_BASE]);
	f[VMX_F_HOST_TR_BASE] = (unsigned long)&get_cpu_entry_area(smp_processor_id())->tss.x86_tss;
	f[VMX_F_HOST_GDTR_BASE] = gdt.address;
	f[VMX_F_HOST_IDTR_BASE] = idt.address;
}

static void base(struct vmx_entry *e, enum entry_kind kind)
{
	entry_base(e, &test_cpu, virt_to_phys(test_page), kind);
	take_host(e);
	e->vmcs_pa = virt_to_phys(test_vmcs);
	e->link_revision = *(u32 *)test_link;
}

/* Replace the cases' link pointers, which are fixed numbers, by addresses of real pages. */
static void relocate(struct vmx_entry *e)
{
	if (e->f[VMX_F_LINK] == 0x7000)
		e->f[VMX_F_LINK] = e->vmcs_pa;
	else if (e->f[VMX_F_LINK] == 0x8000)
		e->f[VMX_F_LINK] = virt_to_phys(test_link);
}

static void write_fields(const struct vmx_entry *e)
{
	u32 field;

	for (field = VMX_F_NONE + 1; field < VMX_NR_F; field++) {
		if (!vmx_entry_field_exists(&test_cpu, field) || written[field] == e->f[field])
			continue;
		written[field] = e->f[field];
		raw_write(vmx_entry_fields[field].encoding, e->f[field]);
	}
}

/* Write the VMCS fields that no rule is about. */
static void write_others(void)
{
	u32 field;

	for (field = VMX_F_NONE + 1; field < VMX_NR_F; field++)
		written[field] = 0x5a5a;
	raw_write(EXCEPTION_BITMAP, ~0u);
	raw_write(VMX_PREEMPTION_TIMER_VALUE, 0);
	raw_write(HOST_IA32_SYSENTER_CS, 0);
	raw_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	raw_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
}

static enum entry_end enter(const struct vmx_entry *e)
{
	struct vmx_frame frame = {};
	unsigned long gpr[16] = {};
	u32 reason;

	memset(test_page, 0, PAGE_SIZE);
	write_fields(e);
	if (vmx_enter(gpr, &frame)) {
		reason = raw_read(VM_INSTRUCTION_ERROR);
		return reason == 7 ? BAD_CONTROLS : reason == 8 ? BAD_HOST : SOMETHING_ELSE;
	}
	reason = raw_read(VM_EXIT_REASON);
	if (reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return (u16)reason == EXIT_REASON_INVALID_STATE ? BAD_GUEST : SOMETHING_ELSE;
	/* The VMCS is launched: VMCLEAR it for the next VMLAUNCH. The fields keep their values. */
	vmx_insn_vmclear(e->vmcs_pa);
	vmx_insn_vmptrld(e->vmcs_pa);
	return WENT_IN;
}

/*
 * Save the CPU's state, load the test's VMCS, and reserve the CPU for a test until
 * cpu_state_restore(). Called only while no VM has a VMCS loaded on this CPU.
 */
static void cpu_state_save(unsigned long *flags, struct desc_ptr *gdt, struct desc_ptr *idt)
{
	preempt_disable();
	local_irq_save(*flags);
	native_store_gdt(gdt);
	store_idt(idt);
	vmx_insn_vmclear(virt_to_phys(test_vmcs));
	vmx_insn_vmptrld(virt_to_phys(test_vmcs));
	write_others();
}

static void cpu_state_restore(unsigned long flags, const struct desc_ptr *gdt,
			      const struct desc_ptr *idt)
{
	vmx_insn_vmclear(virt_to_phys(test_vmcs));
	native_load_gdt(gdt);
	load_idt(idt);
	local_irq_restore(flags);
	preempt_enable();
}

static enum entry_end enter_here(struct vmx_entry *e, const struct entry_case *c,
				 enum entry_kind kind)
{
	struct desc_ptr gdt, idt;
	unsigned long flags;
	enum entry_end end;

	cpu_state_save(&flags, &gdt, &idt);
	base(e, kind);
	if (c)
		entry_apply(e, c);
	relocate(e);
	end = enter(e);
	cpu_state_restore(flags, &gdt, &idt);
	return end;
}

static enum entry_end end_of(const struct vmx_entry_rule *rule)
{
	return !rule ? WENT_IN : rule->area == VMX_AREA_CONTROLS ? BAD_CONTROLS :
	       rule->area == VMX_AREA_HOST ? BAD_HOST : BAD_GUEST;
}

/* ---- known bugs of the emulated CPU ---- */

static bool is_fault(const struct vmx_entry_rule *rule)
{
	unsigned int i;

	for (i = 0; i < NR_ENTRY_CASES; i++)
		if (entry_cases[i].fault && !strcmp(entry_cases[i].rule, rule->name))
			return true;
	return false;
}

/*
 * Return the first rule that @e breaks and the emulated CPU checks. The emulated CPU has bugs and
 * does not check some rules: set *@fault to true if @e breaks one of these.
 */
static const struct vmx_entry_rule *first_broken(const struct vmx_entry *e, bool *fault)
{
	const struct vmx_entry_rule *rule, *first = NULL;
	unsigned int i;

	*fault = false;
	for (i = 0; (rule = vmx_entry_rule(i)); i++) {
		if (vmx_entry_broken(e, rule) == VMX_F_NONE)
			continue;
		if (is_fault(rule))
			*fault = true;
		else if (!first)
			first = rule;
	}
	return first;
}

/* ---- cases ---- */

static void entry_test_bases(struct kunit *test)
{
	const struct vmx_entry_rule *rule;
	unsigned int kind;
	struct vmx_entry e;
	enum entry_end end;
	u32 field;

	for (kind = 0; kind < NR_ENTRY_KINDS; kind++) {
		end = enter_here(&e, NULL, kind);
		rule = entry_check(&e, &field);
		KUNIT_EXPECT_EQ_MSG(test, end, WENT_IN, "kind %u", kind);
		KUNIT_EXPECT_TRUE_MSG(test, !rule, "kind %u breaks %s", kind,
				      rule ? rule->name : "");
	}
}

/*
 * Try each case, and print the message that Bochs has to log. The project's testbed later compares
 * the printed messages with the log of Bochs.
 */
static void entry_test_cases(struct kunit *test)
{
	const struct vmx_entry_rule *rule;
	const struct entry_case *c;
	struct vmx_entry e;
	enum entry_end end;
	unsigned int i;
	u32 field;

	for (i = 0; i < NR_ENTRY_CASES; i++) {
		c = &entry_cases[i];
		if (c->fault || c->elsewhere)
			continue;
		end = enter_here(&e, c, c->kind);
		rule = entry_check(&e, &field);
		if (c->rule)
			pr_info("okvm_vm_kunit: entry case %u, %s: the CPU says \"%s\"\n", i,
				c->rule, c->said);
		KUNIT_EXPECT_EQ_MSG(test, end, end_of(rule), "case %u (%s): %s", i,
				    c->rule ?: "none", end_names[end]);
		KUNIT_EXPECT_STREQ_MSG(test, rule ? rule->name : "none", c->rule ?: "none",
				       "case %u", i);
	}
}

/* ---- random states ---- */

static struct rnd_state rnd;

static u32 random_below(u32 limit)
{
	return prandom_u32_state(&rnd) % limit;
}

static u64 random_value(u64 old)
{
	static const u64 special[] = { 0, ~0ull, 1ull << 47, ~0ull << 47, 0xfff, 0xffffffff,
				       0x80000000, 1ull << 40 };

	switch (random_below(4)) {
	case 0:
		return special[random_below(ARRAY_SIZE(special))];
	case 1:
		return prandom_u32_state(&rnd);
	default:
		return old ^ BIT_ULL(random_below(64));
	}
}

/* Cut @val to the width of the field (bits 14:13 of the encoding; 0: 16 bits, 2: 32 bits). */
static u64 in_field(u32 field, u64 val)
{
	u32 width = vmx_entry_fields[field].encoding >> 13 & 3;

	return width == 0 ? (u16)val : width == 2 ? (u32)val : val;
}

static void mutate(struct vmx_entry *e)
{
	const struct entry_case *c;
	unsigned int n = 1 + random_below(3);
	u32 field;

	if (!random_below(3)) {
		c = &entry_cases[random_below(NR_ENTRY_CASES)];
		entry_apply(e, c);
		relocate(e);
	}
	while (n--) {
		field = 1 + random_below(VMX_NR_F - 1);
		e->f[field] = in_field(field, random_value(e->f[field]));
	}
}

/*
 * Undo changes that the emulated CPU does not check correctly. It checks the VM-entry control
 * "entry to SMM" late, together with guest state. It ignores the upper half of the pending debug
 * exceptions. It computes the ends of MSR lists with 32 bits. In 64-bit mode, it does not check SS
 * if the RPL of SS is 0.
 */
static void emulated_faults(struct vmx_entry *e, const struct vmx_entry *was)
{
	e->f[VMX_F_ENTRY] &= ~(u64)VM_ENTRY_SMM;
	e->f[VMX_F_PENDING_DEBUG] = (u32)e->f[VMX_F_PENDING_DEBUG];
	e->f[VMX_F_ENTRY_LOAD_COUNT] &= 0xffff;
	e->f[VMX_F_EXIT_LOAD_COUNT] &= 0xffff;
	e->f[VMX_F_EXIT_STORE_COUNT] &= 0xffff;
	if (!mode64(e) || e->f[VMX_F_GUEST_SS_SELECTOR] & 3)
		return;
	e->f[VMX_F_GUEST_SS_BASE] = was->f[VMX_F_GUEST_SS_BASE];
	e->f[VMX_F_GUEST_SS_LIMIT] = was->f[VMX_F_GUEST_SS_LIMIT];
	e->f[VMX_F_GUEST_SS_AR] = was->f[VMX_F_GUEST_SS_AR];
}

/* Undo changes that make the CPU check the content of a page that does not belong to the test. */
static void known_page(struct vmx_entry *e)
{
	if (e->f[VMX_F_VIRTUAL_APIC] != virt_to_phys(test_page))
		e->f[VMX_F_TPR_THRESHOLD] &= ~15ull;
	if (e->f[VMX_F_LINK] != virt_to_phys(test_link) && !(e->f[VMX_F_LINK] & 0xfff) &&
	    !too_wide(e, e->f[VMX_F_LINK]) && e->f[VMX_F_LINK] != e->vmcs_pa)
		e->f[VMX_F_LINK] = NO_LINK;
}

/* Return true if VM entry and exit with this state could harm the host. */
static bool harmful(const struct vmx_entry *e, const struct vmx_entry *was)
{
	u32 field;

	for (field = VMX_F_HOST_CR0; field <= VMX_F_HOST_IDTR_BASE; field++)
		if (e->f[field] != was->f[field])
			return true;
	if (!(e->f[VMX_F_PIN] & PIN_BASED_VMX_PREEMPTION_TIMER) ||
	    e->f[VMX_F_ACTIVITY] == GUEST_ACTIVITY_WAIT_SIPI)
		return true;
	/* The emulated CPU cannot exit from a guest with CR4.LA57 to a host without LA57. */
	if (e->f[VMX_F_GUEST_CR4] & X86_CR4_LA57)
		return true;
	/* Without EPT, the CPU reads the guest's PDPTEs from the host's memory. */
	if (walks_pdptes(e) && !(word_of(e, VMX_W_EXEC2) & SECONDARY_EXEC_ENABLE_EPT))
		return true;
	/* MSR lists, changed exit controls and VMCS shadowing could change host MSRs or memory. */
	return e->f[VMX_F_EXIT_LOAD_COUNT] || e->f[VMX_F_EXIT_STORE_COUNT] ||
	       e->f[VMX_F_ENTRY_LOAD_COUNT] || e->f[VMX_F_EXIT] != was->f[VMX_F_EXIT] ||
	       e->f[VMX_F_EXEC2] & SECONDARY_EXEC_SHADOW_VMCS;
}

/*
 * Undo the random changes of the host state in @e. Called if a control in @e is illegal: VM entry
 * then fails because of the control, and not because of the host state.
 */
static void keep_host(struct vmx_entry *e, const struct vmx_entry *was)
{
	u32 field;

	for (field = VMX_F_HOST_CR0; field <= VMX_F_HOST_IDTR_BASE; field++)
		e->f[field] = was->f[field];
}

struct tally {
	unsigned int entered, refused, skipped, wrong;
};

static void tell_state(const struct vmx_entry *e, const struct vmx_entry *was, unsigned int kind,
		       enum entry_end end, const struct vmx_entry_rule *rule)
{
	u32 field;

	pr_err("okvm_vm_kunit: kind %u: %s, expected for %s\n", kind, end_names[end],
	       rule ? rule->name : "no rule");
	for (field = VMX_F_NONE + 1; field < VMX_NR_F; field++)
		if (e->f[field] != was->f[field])
			pr_err("okvm_vm_kunit: %s %#llx, not %#llx\n",
			       vmx_entry_fields[field].name, e->f[field], was->f[field]);
}

static void one_state(struct tally *tally)
{
	unsigned int kind = random_below(NR_ENTRY_KINDS);
	const struct vmx_entry_rule *rule;
	struct vmx_entry e, was;
	struct desc_ptr gdt, idt;
	unsigned long flags;
	enum entry_end end;
	bool fault;

	cpu_state_save(&flags, &gdt, &idt);
	base(&e, kind);
	was = e;
	mutate(&e);
	emulated_faults(&e, &was);
	known_page(&e);
	rule = first_broken(&e, &fault);
	if (end_of(rule) == BAD_CONTROLS)
		keep_host(&e, &was);
	/*
	 * Do not try a harmful state, unless a control or the host state is illegal. If all of them
	 * are legal, the CPU loads the host state, even if VM entry then fails because of guest
	 * state.
	 */
	if ((!rule && fault) || (end_of(rule) != BAD_CONTROLS && end_of(rule) != BAD_HOST &&
				 harmful(&e, &was))) {
		tally->skipped++;
		cpu_state_restore(flags, &gdt, &idt);
		return;
	}
	end = enter(&e);
	cpu_state_restore(flags, &gdt, &idt);
	tally->entered += end == WENT_IN;
	tally->refused += end != WENT_IN;
	if (end == end_of(rule))
		return;
	if (!tally->wrong++)
		tell_state(&e, &was, kind, end, rule);
}

static struct tally try_states(unsigned int nr)
{
	struct tally tally = {};
	unsigned int i;

	prandom_seed_state(&rnd, 14);
	for (i = 0; i < nr; i++) {
		one_state(&tally);
		if (i % 64 == 0)
			cond_resched();
	}
	return tally;
}

static void entry_test_random(struct kunit *test)
{
	struct tally tally = try_states(ENTRY_STATES);

	KUNIT_EXPECT_EQ(test, tally.wrong, 0);
	KUNIT_EXPECT_GT(test, tally.entered, ENTRY_STATES / 20);
	KUNIT_EXPECT_GT(test, tally.refused, ENTRY_STATES / 20);
}

/* ---- the suite ---- */

static int entry_begin(struct kunit_suite *suite)
{
	int err;

	test_vmcs = (void *)get_zeroed_page(GFP_KERNEL);
	test_page = (void *)get_zeroed_page(GFP_KERNEL);
	test_link = (void *)get_zeroed_page(GFP_KERNEL);
	err = test_vmcs && test_page && test_link ? okvm_hardware_get(okvm_default_offer) :
						    -ENOMEM;
	if (err) {
		free_page((unsigned long)test_vmcs);
		free_page((unsigned long)test_page);
		free_page((unsigned long)test_link);
		return err;
	}
	vmx_entry_cpu_read(&test_cpu);
	/*
	 * The emulated CPU derives the width of linear addresses from its current paging mode, not
	 * from CPUID.
	 */
	test_cpu.linear_bits = cr4_read_shadow() & X86_CR4_LA57 ? 57 : 48;
	test_vmcs->revision = test_cpu.msrs.basic & 0x7fffffff;
	*(u32 *)test_link = test_vmcs->revision + 1;
	return 0;
}

static void entry_end(struct kunit_suite *suite)
{
	okvm_hardware_put(okvm_default_offer);
	free_page((unsigned long)test_vmcs);
	free_page((unsigned long)test_page);
	free_page((unsigned long)test_link);
}

/*
 * Try @val random states when the parameter entry_states is written. The KUnit suite cannot use the
 * parameter, because the suite runs before module parameters are set.
 */
static int set_states(const char *val, const struct kernel_param *kp)
{
	struct tally tally;
	unsigned int nr;
	bool ok;
	int err = kstrtouint(val, 0, &nr) ?: entry_begin(NULL);

	if (err)
		return err;
	tally = try_states(nr);
	entry_end(NULL);
	/* The test passes only if many of the states could be entered, and many were refused. */
	ok = !tally.wrong && tally.entered > nr / 20 && tally.refused > nr / 20;
	pr_info("okvm_vm_kunit: %sok %u random states: %u entered, %u refused, %u not tried\n",
		ok ? "" : "not ", nr, tally.entered, tally.refused, tally.skipped);
	return 0;
}

static const struct kernel_param_ops states_ops = {
	.set = set_states,
};
module_param_cb(entry_states, &states_ops, NULL, 0200);
MODULE_PARM_DESC(entry_states, "try so many random states now");

static struct kunit_case entry_kunit_cases[] = {
	KUNIT_CASE(entry_test_bases),
	KUNIT_CASE(entry_test_cases),
	KUNIT_CASE(entry_test_random),
	{}
};

static struct kunit_suite entry_suite = {
	.name = "okvm_entry",
	.suite_init = entry_begin,
	.suite_exit = entry_end,
	.test_cases = entry_kunit_cases,
};

kunit_test_suite(entry_suite);
