// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm_svm_kunit.ko: compare the rules of entry_check.h with a CPU. VMRUN must fail for a VMCB that
 * breaks a rule, and succeed for other VMCBs. The tests use their own VMCB, not a VM's. The project
 * runs them on the emulated CPUs of Bochs and of QEMU (TCG), whose known bugs are in a table here.
 *
 * The guests execute no instruction. Their nested page tables (without nested paging: their own
 * page tables) are a page of zeros, so the first access faults. Each such fault causes #VMEXIT,
 * because all exceptions are intercepted.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/prandom.h>

#include <asm/cpufeature.h>
#include <asm/debugreg.h>

#include "core/hardware.h"
#include "svm/vmcb.h"
#include "entry_check.c"
#include "svm/entry_kunit.h"
#include "svm/entry_read.h"

/* The number of random states that the suite tries. The parameter entry_states can try more. */
#define ENTRY_STATES	20000

int svm_enter(unsigned long *gpr, struct svm_frame *frame);

/* ---- the test's VMCB ---- */

static u8 *test_vmcb;
static void *test_page, *test_host;

/*
 * Bits of RFLAGS that random states change. They do not include TF and VM, because of bugs of
 * Bochs. After the exit of a guest with TF, the host gets the guest's single-step trap. At the
 * exit of a guest with VM, Bochs ends, because it finds VM set in long mode.
 */
#define OTHER_FLAGS	(0x3d7fd5u & ~(u32)(X86_EFLAGS_TF | X86_EFLAGS_VM))

/* Fields of the VMCB that no rule is about. Random states change the bits of @mask. */
static const struct other {
	u16 offset;
	u8 size;
	u64 mask;
} others[] = {
	{ 0x000, 8, ~0ull },			/* intercepts of control and debug registers */
	{ 0x050, 8, ~0ull },			/* TSC offset */
	{ 0x064, 4, 0xff },			/* vector of the virtual interrupt */
	{ 0x068, 8, 1 },			/* interrupt shadow */
	{ 0x0ac, 4, ~0u },			/* error code of the event */
	{ 0x0c8, 8, ~0ull },			/* next RIP */
	{ 0x400, 2, 0xffff }, { 0x402, 2, 0xf6f }, { 0x404, 4, ~0u }, { 0x408, 8, ~0ull },
	{ 0x410, 2, 0xffff }, { 0x414, 4, ~0u }, { 0x418, 8, ~0ull },
	{ 0x420, 2, 0xffff }, { 0x422, 2, 0xf6f }, { 0x424, 4, ~0u }, { 0x428, 8, ~0ull },
	{ 0x430, 2, 0xffff }, { 0x432, 2, 0xf6f }, { 0x434, 4, ~0u }, { 0x438, 8, ~0ull },
	{ 0x464, 4, 0xffff }, { 0x468, 8, ~0ull },	/* GDTR */
	{ 0x484, 4, 0xffff }, { 0x488, 8, ~0ull },	/* IDTR */
	{ 0x490, 2, 0 }, { 0x492, 2, 0 }, { 0x494, 4, 0 },	/* TR */
	{ 0x4cb, 1, 3 },			/* CPL */
	{ 0x570, 8, OTHER_FLAGS },
	{ 0x578, 8, ~0ull },			/* RIP */
	{ 0x5d8, 8, ~0ull },			/* RSP */
	{ 0x5f8, 8, ~0ull },			/* RAX */
	{ 0x640, 8, ~0ull },			/* CR2 */
};

/* A VMRUN to try: what the rules are about, and the rest. */
struct trial {
	struct svm_entry e;
	u64 other[ARRAY_SIZE(others)];
};

static void set_other(struct trial *t, u16 offset, u64 val)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i].offset == offset)
			t->other[i] = val;
}

static void base(struct trial *t, enum svm_entry_kind kind)
{
	u16 seg;

	memset(t, 0, sizeof(*t));
	memset(test_vmcb, 0, PAGE_SIZE);
	svm_entry_read(test_vmcb, &t->e);
	svm_entry_base(&t->e, virt_to_phys(test_page), kind);
	for (seg = 0x400; seg <= 0x430; seg += 0x10) {
		set_other(t, seg, 0x10);
		set_other(t, seg + 2, 0xc93);
		set_other(t, seg + 4, kind < SVM_ENTRY_PAGED_REAL ? ~0u : 0xffff);
	}
	set_other(t, 0x464, 0xff);
	set_other(t, 0x484, 0xfff);
	set_other(t, 0x490, 0x40);
	set_other(t, 0x492, 0x8b);
	set_other(t, 0x494, 0x67);
	set_other(t, 0x570, X86_EFLAGS_FIXED);
	set_other(t, 0x578, 0x1000);
}

static void write_vmcb(const struct trial *t)
{
	unsigned int i;

	memset(test_vmcb, 0, PAGE_SIZE);
	memset(test_page, 0, PAGE_SIZE);
	/* Intercept all exceptions, and flush the TLB. */
	memset(test_vmcb + 0x008, 0xff, 4);
	test_vmcb[0x05c] = TLB_CONTROL_FLUSH_ALL_ASID;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		memcpy(test_vmcb + others[i].offset, &t->other[i], others[i].size);
	for (i = 0; i < SVM_NR_F; i++)
		memcpy(test_vmcb + svm_entry_fields[i].offset, &t->e.f[i],
		       svm_entry_fields[i].size);
}

enum entry_end { WENT_IN, REFUSED, SOMETHING_ELSE };

static const char *const end_names[] = { "entered", "refused", "something else" };

static enum entry_end enter(const struct trial *t)
{
	struct svm_frame frame = {
		.vmcb_pa = virt_to_phys(test_vmcb), .host_pa = virt_to_phys(test_host),
	};
	const struct vmcb *vmcb = (const struct vmcb *)test_vmcb;
	unsigned long gpr[16] = {}, flags;
	struct svm_entry seen;
	bool failed;

	write_vmcb(t);
	/* svm_entry_read() must return the values that the test has written. */
	svm_entry_read(test_vmcb, &seen);
	if (memcmp(seen.f, t->e.f, sizeof(seen.f)))
		return SOMETHING_ELSE;
	preempt_disable();
	local_irq_save(flags);
	failed = !svm_insn_vmsave(frame.host_pa) || svm_enter(gpr, &frame);
	set_debugreg(DR6_RESERVED, 6);
	local_irq_restore(flags);
	preempt_enable();
	if (failed)
		return SOMETHING_ELSE;
	return (u32)vmcb->control.exit_code == (u32)SVM_EXIT_ERR ? REFUSED : WENT_IN;
}

/* ---- known bugs of the emulated CPUs ---- */

static bool on_tcg(void)
{
	return !strncmp(boot_cpu_data.x86_model_id, "QEMU TCG", 8);
}

#define EFER_TCE	BIT(15)

static bool cpuid_7_1_has(u8 bit)
{
	u32 eax, ebx, ecx, edx;

	cpuid_count(7, 1, &eax, &ebx, &ecx, &edx);
	return boot_cpu_data.cpuid_level >= 7 && cpuid_eax(7) && eax & BIT(bit);
}

static bool always(const struct svm_entry *e)
{
	return true;
}

static bool iopm_begins_below(const struct svm_entry *e)
{
	return !too_wide(e, e->f[SVM_F_IOPM_BASE_PA]);
}

static bool msrpm_begins_below(const struct svm_entry *e)
{
	return !too_wide(e, e->f[SVM_F_MSRPM_BASE_PA]);
}

static bool vector_below(const struct svm_entry *e, u8 limit)
{
	u8 vector = e->f[SVM_F_EVENTINJ];

	return vector < limit && vector != 2;
}

static bool vector_below_32(const struct svm_entry *e)
{
	return vector_below(e, 32);
}

static bool vector_below_31(const struct svm_entry *e)
{
	return vector_below(e, 31);
}

static bool only_ffxsr(const struct svm_entry *e)
{
	return !(e->f[SVM_F_EFER] & e->efer_reserved & ~(u64)EFER_FFXSR);
}

/*
 * QEMU accepts some bits of CR4 that are reserved on AMD CPUs: always PCIDE, and the bits of PKS,
 * LAM and FRED (features of Intel) if its CPUID reports the feature. Return true if no other
 * reserved bit is set.
 */
static bool only_bits_of_intel(const struct svm_entry *e)
{
	u64 bits = X86_CR4_PCIDE;

	if (svm_cpuid_has(7, SVM_CPUID_ECX, 31))
		bits |= BIT_ULL(24);		/* PKS */
	if (cpuid_7_1_has(26))
		bits |= BIT_ULL(28);		/* LAM_SUP */
	if (cpuid_7_1_has(17))
		bits |= BIT_ULL(32);		/* FRED */
	return !(e->f[SVM_F_CR4] & e->cr4_reserved & ~bits);
}

static bool only_lam(const struct svm_entry *e)
{
	return cpuid_7_1_has(26) && !too_wide(e, e->f[SVM_F_CR3] & ~GENMASK_ULL(62, 61));
}

/*
 * A rule that an emulated CPU does not check, or not for all guests. If @unchecked() returns true
 * for a guest, the CPU enters this guest even if it breaks the rule named @rule.
 */
struct gap {
	const char *rule;
	bool (*unchecked)(const struct svm_entry *e);
};

/*
 * The rules that Bochs does not check (its svm.cc). Bochs checks only the first page of each
 * permission map, and accepts each vector below 32 for an exception.
 */
static const struct gap bochs_gaps[] = {
	{ "cr3-reserved", always },
	{ "iopm-width", iopm_begins_below },
	{ "msrpm-width", msrpm_begins_below },
	{ "event-vector", vector_below_32 },
	{ "long-pe", always },
	{}
};

/* The rules that QEMU's TCG does not check (its helper_vmrun()). */
static const struct gap tcg_gaps[] = {
	{ "efer-reserved", only_ffxsr },
	{ "cr3-reserved", only_lam },
	{ "cr4-reserved", only_bits_of_intel },
	{ "event-vector", vector_below_31 },
	{ "ncr3-reserved", always },
	{ "pat", always },
	{}
};

static bool is_unchecked(const struct svm_entry *e, const struct svm_entry_rule *rule)
{
	const struct gap *gap;

	for (gap = on_tcg() ? tcg_gaps : bochs_gaps; gap->rule; gap++)
		if (!strcmp(gap->rule, rule->name))
			return gap->unchecked(e);
	return false;
}

/*
 * Return true if the emulated CPU refuses what the APM allows. Bochs refuses a CS with L and D in
 * every mode, not only in long mode. If one of bits 7:0 of the field of NP_ENABLE is set, Bochs
 * checks PAT and nested CR3 as if NP_ENABLE were set. TCG refuses an MSR permission map that ends
 * less than a page below the end of physical memory. Both refuse LMSLE and TCE, even if CPUID
 * reports TCE.
 */
static bool is_stricter(const struct svm_entry *e)
{
	struct svm_entry np = *e;

	if (e->f[SVM_F_EFER] & (EFER_LMSLE | EFER_TCE))
		return true;
	if (on_tcg())
		return map_beyond(e, e->f[SVM_F_MSRPM_BASE_PA] + 0x1000, MSRPM_BYTES);
	if (!paging_in_long_mode(e) && !(~e->f[SVM_F_CS_ATTRIB] & (ATTRIB_L | ATTRIB_DB)))
		return true;
	np.f[SVM_F_NP_ENABLE] |= 1;
	return !nested(e) && (u8)e->f[SVM_F_NP_ENABLE] && (bad_pat(&np) || ncr3_reserved(&np));
}

/*
 * Return the first rule that @e breaks and the CPU checks. Set *@unchecked if @e breaks a rule that
 * the CPU does not check.
 */
static const struct svm_entry_rule *first_broken(const struct svm_entry *e, bool *unchecked)
{
	const struct svm_entry_rule *first = NULL;
	unsigned int i;

	*unchecked = false;
	for (i = 0; i < SVM_NR_RULES; i++) {
		const struct svm_entry_rule *rule = &svm_entry_rules[i];

		if (!rule->broken(e))
			continue;
		if (is_unchecked(e, rule))
			*unchecked = true;
		else if (!first)
			first = rule;
	}
	return first;
}

static enum entry_end expected(const struct svm_entry *e)
{
	bool unchecked;

	return first_broken(e, &unchecked) || is_stricter(e) ? REFUSED : WENT_IN;
}

/*
 * Return true if this guest would stop the emulated CPU. Bochs stops in a guest that has paging in
 * long mode, but not CR0.PE. TCG stops at the exit of a guest that has EFER.LME, but neither CR0.PG
 * nor CR4.PAE: it does not restore the host's CR0.PG.
 */
static bool stops_the_cpu(const struct svm_entry *e)
{
	const u64 *f = e->f;

	if (!on_tcg())
		return paging_in_long_mode(e) && !(f[SVM_F_CR0] & X86_CR0_PE);
	return f[SVM_F_EFER] & EFER_LME && !(f[SVM_F_CR0] & X86_CR0_PG) &&
	       !(f[SVM_F_CR4] & X86_CR4_PAE);
}

/* Return true if VMRUN accepts this state, and a guest in it could reach memory of the host. */
static bool reaches_the_host(const struct svm_entry *e)
{
	const u64 page = virt_to_phys(test_page), *f = e->f;
	const u64 needed = CASE_INTR | CASE_SMI | CASE_INIT | CASE_SHUTDOWN;

	if (expected(e) == REFUSED)
		return false;
	if (~f[SVM_F_INTERCEPTS] & needed || f[SVM_F_INT_CTL] & (AVIC_ENABLE_MASK | BIT(30)))
		return true;
	if (nested(e))
		return f[SVM_F_N_CR3] != page;
	return f[SVM_F_NP_ENABLE] || !(f[SVM_F_CR0] & X86_CR0_PG) || f[SVM_F_CR3] != page;
}

static bool harmful(const struct svm_entry *e)
{
	return stops_the_cpu(e) || reaches_the_host(e);
}

/* ---- each rule ---- */

/* Return the name of the only rule that @e breaks, or "none", or "several". */
static const char *only_broken(const struct svm_entry *e)
{
	const char *name = NULL;
	unsigned int i;

	for (i = 0; i < SVM_NR_RULES; i++)
		if (svm_entry_rules[i].broken(e))
			name = name ? "several" : svm_entry_rules[i].name;
	return name ?: "none";
}

static void judge(struct kunit *test, const struct trial *t, const char *what, u64 val)
{
	enum entry_end end = enter(t);

	KUNIT_EXPECT_TRUE_MSG(test, end == expected(&t->e), "%s %#llx: %s", what, val,
			      end_names[end]);
}

static void entry_test_bases(struct kunit *test)
{
	unsigned int kind;
	struct trial t;

	kunit_info(test, "%s\n", boot_cpu_data.x86_model_id);
	for (kind = 0; kind < SVM_NR_ENTRY_KINDS; kind++) {
		base(&t, kind);
		KUNIT_EXPECT_STREQ(test, only_broken(&t.e), "none");
		KUNIT_EXPECT_EQ(test, expected(&t.e), WENT_IN);
		judge(test, &t, "kind", kind);
	}
}

/*
 * Return true if the case must be skipped: it would stop this CPU, or this CPU cannot show whether
 * the rule is right.
 */
static bool is_untold(const struct svm_entry_case *c, const struct svm_entry *e)
{
	if (stops_the_cpu(e))
		return true;
	if (!c->rule)
		return false;
	return (!e->vnmi && !strcmp(c->rule, "vnmi-intercept")) ||
	       (on_tcg() && !strcmp(c->rule, "ncr3-reserved"));
}

/*
 * Try each case, and print the message that Bochs has to log. The project's testbed later compares
 * the printed messages with the log of Bochs.
 */
static void entry_test_cases(struct kunit *test)
{
	const struct svm_entry_case *c;
	enum entry_end end;
	unsigned int i;
	struct trial t;

	for (i = 0; i < SVM_NR_ENTRY_CASES; i++) {
		c = &svm_entry_cases[i];
		base(&t, c->kind);
		svm_entry_apply(&t.e, c);
		if (is_untold(c, &t.e))
			continue;
		KUNIT_EXPECT_STREQ_MSG(test, only_broken(&t.e), c->rule ?: "none", "case %u", i);
		KUNIT_EXPECT_FALSE_MSG(test, reaches_the_host(&t.e), "case %u", i);
		if (reaches_the_host(&t.e))
			continue;
		end = enter(&t);
		if (end == REFUSED && c->said)
			pr_info("okvm_svm_kunit: entry case %u, %s: the CPU says \"%s\"\n", i,
				c->rule, c->said);
		KUNIT_EXPECT_EQ_MSG(test, end, expected(&t.e), "case %u (%s): %s", i,
				    c->rule ?: "none", end_names[end]);
		if (!on_tcg())
			KUNIT_EXPECT_EQ_MSG(test, end == REFUSED, !!c->said, "case %u", i);
	}
}

/* Try each kind of guest with each single bit of each field flipped. */
static void entry_test_bits(struct kunit *test)
{
	unsigned int kind, field, bit;
	struct trial t;

	for (kind = 0; kind < SVM_NR_ENTRY_KINDS; kind++)
		for (field = 0; field < SVM_NR_F; field++)
			for (bit = 0; bit < 8 * svm_entry_fields[field].size; bit++) {
				base(&t, kind);
				t.e.f[field] ^= BIT_ULL(bit);
				if (!harmful(&t.e))
					judge(test, &t, svm_entry_fields[field].name,
					      t.e.f[field]);
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
		return prandom_u32_state(&rnd) | (u64)prandom_u32_state(&rnd) << 32;
	default:
		return old ^ BIT_ULL(random_below(64));
	}
}

static u64 in_size(unsigned int size, u64 val)
{
	return size == 8 ? val : val & (BIT_ULL(8 * size) - 1);
}

static void mutate(struct trial *t)
{
	unsigned int n = random_below(4), i;
	u64 *f = t->e.f;

	while (n--)
		svm_entry_apply(&t->e, &svm_entry_cases[random_below(SVM_NR_ENTRY_CASES)]);
	for (n = random_below(3); n--; ) {
		i = random_below(SVM_NR_F);
		f[i] = in_size(svm_entry_fields[i].size, random_value(f[i]));
	}
	for (n = random_below(4); n--; ) {
		i = random_below(ARRAY_SIZE(others));
		t->other[i] ^= random_value(0) & others[i].mask;
	}
	/*
	 * Keep CS a code segment. Set the intercepts without which harmful() would reject the
	 * guest.
	 */
	f[SVM_F_CS_ATTRIB] = (f[SVM_F_CS_ATTRIB] & 0xf00) | CASE_CODE;
	f[SVM_F_INTERCEPTS] |= CASE_INTR | CASE_SMI | CASE_INIT | CASE_SHUTDOWN;
	f[SVM_F_INT_CTL] &= ~(u64)(AVIC_ENABLE_MASK | BIT(30));
}

struct tally {
	unsigned int entered, refused, skipped, wrong;
};

static void tell_state(const struct trial *t, const struct trial *was, enum entry_end end)
{
	unsigned int i;

	pr_err("okvm_svm_kunit: %s, although the only broken rule is %s\n", end_names[end],
	       only_broken(&t->e));
	for (i = 0; i < SVM_NR_F; i++)
		if (t->e.f[i] != was->e.f[i])
			pr_err("okvm_svm_kunit: %s %#llx, not %#llx\n", svm_entry_fields[i].name,
			       t->e.f[i], was->e.f[i]);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (t->other[i] != was->other[i])
			pr_err("okvm_svm_kunit: %03x %#llx, not %#llx\n", others[i].offset,
			       t->other[i], was->other[i]);
}

static void one_state(struct tally *tally)
{
	struct trial t, was;
	enum entry_end end;

	base(&was, random_below(SVM_NR_ENTRY_KINDS));
	t = was;
	mutate(&t);
	if (harmful(&t.e)) {
		tally->skipped++;
		return;
	}
	end = enter(&t);
	tally->entered += end == WENT_IN;
	tally->refused += end == REFUSED;
	if (end != expected(&t.e) && tally->wrong++ < 5)
		tell_state(&t, &was, end);
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

	kunit_info(test, "%u entered, %u refused, %u not tried\n", tally.entered, tally.refused,
		   tally.skipped);
	KUNIT_EXPECT_EQ(test, tally.wrong, 0);
	KUNIT_EXPECT_GT(test, tally.entered, ENTRY_STATES / 10);
	KUNIT_EXPECT_GT(test, tally.refused, ENTRY_STATES / 10);
}

/* ---- the suite ---- */

static void free_pages_of_test(void)
{
	free_page((unsigned long)test_vmcb);
	free_page((unsigned long)test_page);
	free_page((unsigned long)test_host);
}

static int entry_begin(struct kunit_suite *suite)
{
	int err;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return -ENODEV;
	test_vmcb = (void *)get_zeroed_page(GFP_KERNEL);
	test_page = (void *)get_zeroed_page(GFP_KERNEL);
	test_host = (void *)get_zeroed_page(GFP_KERNEL);
	err = test_vmcb && test_page && test_host ? okvm_hardware_get(okvm_default_offer) :
						    -ENOMEM;
	if (err)
		free_pages_of_test();
	return err;
}

static void entry_end(struct kunit_suite *suite)
{
	okvm_hardware_put(okvm_default_offer);
	free_pages_of_test();
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
	ok = !tally.wrong && tally.entered > nr / 10 && tally.refused > nr / 10;
	pr_info("okvm_svm_kunit: %sok %u random states: %u entered, %u refused, %u not tried\n",
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
	KUNIT_CASE(entry_test_bits),
	KUNIT_CASE(entry_test_random),
	{}
};

static struct kunit_suite entry_suite = {
	.name = "okvm_svm_entry",
	.suite_init = entry_begin,
	.suite_exit = entry_end,
	.test_cases = entry_kunit_cases,
};

kunit_test_suite(entry_suite);

MODULE_DESCRIPTION("okvm's rules of VMRUN against a CPU");
MODULE_LICENSE("GPL");
