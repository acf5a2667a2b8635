// SPDX-License-Identifier: GPL-2.0-only
/* The supported CPUID and the index that answers the instruction. */
#include "test.h"

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include "x86/cpuid/cpuid_table.h"

/* A CPU with every bit of every leaf set, as far as counts stay sane. */
static void host_ones(u32 leaf, u32 sub, u32 r[CPUID_NR_REGS])
{
	static const u32 size[] = { 0, 0, 256, 64, 64, 64, 512, 1024, 0, 8 };
	static const u32 offset[] = { 0, 0, 576, 960, 1024, 1088, 1152, 1664, 0, 2688 };

	r[0] = r[1] = r[2] = r[3] = ~0u;
	switch (leaf) {
	case 0x0:
		r[0] = 0x16;
		memcpy(&r[1], "Genu", 4);
		memcpy(&r[3], "ineI", 4);
		memcpy(&r[2], "ntel", 4);
		break;
	case 0x4:
		r[0] = sub < 4 ? 1 : 0;
		break;
	case 0x80000000:
		r[0] = 0x80000008;
		break;
	case 0x80000008:
		r[0] = 0x302e;
		break;
	case 0xd:
		if (sub >= 2) {
			r[0] = sub < 10 ? size[sub] : 0;
			r[1] = sub < 10 ? offset[sub] : 0;
			r[2] = sub == 9 ? 2 : 0;
			r[3] = 0;
		}
		break;
	}
}

static u32 kernel_all(u32 leaf, u32 sub, enum cpuid_reg reg)
{
	return ~0u;
}

static u32 kernel_no_smep(u32 leaf, u32 sub, enum cpuid_reg reg)
{
	return leaf == 7 && sub == 0 && reg == CPUID_REG_EBX ? ~BIT(7) : ~0u;
}

static struct cpuid_env full_env(void)
{
	return (struct cpuid_env) {
		.host = host_ones, .kernel = kernel_all, .xcr0 = 0x2e7, .pv = 0x01000089,
		.invpcid = true, .rdtscp = true, .xsaves = true, .umip = true, .pku = true,
	};
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid_entry2 *e, int n, u32 leaf,
					   u32 sub)
{
	int i;

	for (i = 0; i < n; i++)
		if (e[i].function == leaf && e[i].index == sub)
			return &e[i];
	return NULL;
}

TEST(supported_fits_small_buffers)
{
	struct cpuid_env env = full_env();
	struct kvm_cpuid_entry2 e[80];
	int n = cpuid_supported(&env, e, 80);

	EXPECT(n > 20 && n <= 80);
	EXPECT_EQ(cpuid_supported(&env, e, n), n);
	EXPECT_EQ((u32)cpuid_supported(&env, e, n - 1), (u32)-E2BIG);
	EXPECT_EQ((u32)cpuid_supported(&env, e, 1), (u32)-E2BIG);
}

/* An array of exactly the size that was told: the red zones see an entry too many. */
TEST(supported_fits_every_size)
{
	struct cpuid_env env = full_env();
	struct kvm_cpuid_entry2 *e;
	int max, n = 0;

	for (max = 0; max <= 80; max++) {
		int got;

		e = malloc(max * sizeof(*e));
		got = cpuid_supported(&env, e, max);
		EXPECT(got == -E2BIG || got <= max);
		EXPECT(!n || got == n);
		n = got > 0 ? got : 0;
		free(e);
	}
	EXPECT(n > 20);
}

TEST(supported_never_offers_what_is_missing)
{
	struct cpuid_env env = full_env();
	const struct kvm_cpuid_entry2 *l1, *l7;
	struct kvm_cpuid_entry2 e[80];
	int n = cpuid_supported(&env, e, 80);

	l1 = find(e, n, 1, 0);
	l7 = find(e, n, 7, 0);
	EXPECT(l1 && l7);
	EXPECT_EQ(l1->ecx & (BIT(3) | BIT(5) | BIT(6) | BIT(15)), 0);	/* MWAIT VMX SMX PDCM */
	EXPECT_EQ(l1->ecx & (BIT(24) | BIT(27) | BIT(31)), 0);	/* deadline OSXSAVE HYPERVISOR */
	EXPECT(l1->ecx & BIT(21));				/* x2APIC always */
	EXPECT_EQ(l7->ebx & (BIT(2) | BIT(14) | BIT(25)), 0);		/* SGX MPX PT */
	EXPECT_EQ(l7->ecx & (BIT(4) | BIT(5)), 0);		/* OSPKE; WAITPKG without backend */
	EXPECT_EQ(l7->edx & (BIT(22) | BIT(24) | BIT(25)), 0);		/* AMX */
	EXPECT(l7->edx & BIT(29));
	EXPECT_EQ(find(e, n, 6, 0)->eax, 4);
	EXPECT_EQ(find(e, n, 0xa, 0)->eax, 0);
	EXPECT_EQ(find(e, n, 0xb, 0)->ebx, 0);
	EXPECT_EQ(find(e, n, 0x80000007, 0)->edx, BIT(8));
	EXPECT_EQ(find(e, n, 0x80000008, 0)->eax, 0x302e);
	EXPECT_EQ(find(e, n, 0x40000001, 0)->eax, env.pv);
}

TEST(instructions_of_later_kernels)
{
	struct cpuid_env env = full_env();
	const struct kvm_cpuid_entry2 *l71;
	struct kvm_cpuid_entry2 e[80];
	int n = cpuid_supported(&env, e, 80);

	l71 = find(e, n, 7, 1);
	EXPECT(l71);
	/* AVX_VNNI AVX512_BF16 CMPCCXADD FZRM FSRS FSRC AVX_IFMA: no LAM, no AMX_FP16. */
	EXPECT_EQ(l71->eax, BIT(4) | BIT(5) | BIT(7) | BIT(10) | BIT(11) | BIT(12) | BIT(23));
	EXPECT_EQ(l71->edx, BIT(4) | BIT(5) | BIT(14));
	EXPECT_EQ(l71->ebx | l71->ecx, 0);
	env.xcr0 = 3;
	n = cpuid_supported(&env, e, 80);
	l71 = find(e, n, 7, 1);
	EXPECT_EQ(l71->eax, BIT(5) | BIT(7) | BIT(10) | BIT(11) | BIT(12));
	EXPECT_EQ(l71->edx, BIT(14));
}

TEST(supported_follows_backend_and_kernel)
{
	struct cpuid_env env = full_env();
	struct kvm_cpuid_entry2 e[80];
	int n;

	env.invpcid = env.rdtscp = env.xsaves = env.umip = env.pku = false;
	env.kernel = kernel_no_smep;
	n = cpuid_supported(&env, e, 80);
	EXPECT_EQ(find(e, n, 7, 0)->ebx & (BIT(10) | BIT(7)), 0);
	EXPECT_EQ(find(e, n, 7, 0)->ecx & (BIT(2) | BIT(3) | BIT(22)), 0);
	EXPECT_EQ(find(e, n, 0x80000001, 0)->edx & BIT(27), 0);
	EXPECT_EQ(find(e, n, 0xd, 1)->eax & BIT(3), 0);
}

/* An AMD CPU with caches and a leaf 80000021h, of whose bits it sets none itself. */
static void host_amd(u32 leaf, u32 sub, u32 r[CPUID_NR_REGS])
{
	r[0] = r[1] = r[2] = r[3] = 0;
	switch (leaf) {
	case 0x0:
		r[0] = 0xd;
		break;
	case 0x80000000:
		r[0] = 0x80000020;
		break;
	case 0x80000001:
		r[2] = ~0u;
		break;
	case 0x80000008:
		r[0] = 0x3030;
		break;
	case 0x8000001d:
		r[0] = sub < 3 ? 0x121 + sub : 0;
		break;
	}
}

static struct cpuid_env amd_env(void)
{
	return (struct cpuid_env) { .host = host_amd, .kernel = kernel_all, .rdtscp = true };
}

/* Zen 1 has IBPB and neither IBRS nor STIBP; Zen 2 may have STIBP and SSBD without IBRS. */
TEST(amds_speculation_controls)
{
	struct cpuid_env env = amd_env();
	struct kvm_cpuid_entry2 e[80];
	int n;

	env.ibpb = true;
	n = cpuid_supported(&env, e, 80);
	EXPECT_EQ(find(e, n, 0x80000008, 0)->ebx, BIT(12));
	EXPECT_EQ(find(e, n, 7, 0)->edx, BIT(29));
	env.stibp = env.ssbd = env.amd_ssbd = true;
	n = cpuid_supported(&env, e, 80);
	EXPECT_EQ(find(e, n, 0x80000008, 0)->ebx, BIT(12) | BIT(15) | BIT(24));
	EXPECT_EQ(find(e, n, 7, 0)->edx, BIT(27) | BIT(29) | BIT(31));
	env.ibrs = env.ssb_no = true;
	n = cpuid_supported(&env, e, 80);
	EXPECT_EQ(find(e, n, 0x80000008, 0)->ebx, BIT(12) | BIT(14) | BIT(15) | BIT(24) | BIT(26));
	EXPECT_EQ(find(e, n, 7, 0)->edx, BIT(26) | BIT(27) | BIT(29) | BIT(31));
}

TEST(amds_leaves)
{
	struct cpuid_env env = amd_env(), ones = full_env();
	struct kvm_cpuid_entry2 e[80];
	int n = cpuid_supported(&env, e, 80);

	EXPECT_EQ(find(e, n, 0x80000000, 0)->eax, 0x80000020);
	EXPECT_EQ(find(e, n, 0x80000001, 0)->ecx & (BIT(22) | BIT(9)), BIT(22) | BIT(9));
	EXPECT_EQ(find(e, n, 0x80000001, 0)->ecx & (BIT(2) | BIT(10) | BIT(23)), 0);
	EXPECT_EQ(find(e, n, 0x8000001d, 2)->eax, 0x123);
	EXPECT_EQ(find(e, n, 0x8000001d, 3)->eax, 0);
	EXPECT(!find(e, n, 0x8000001d, 4));
	/* What the kernel knows makes the leaf, if the CPU has those before it. */
	env.ext21_eax = BIT(2) | BIT(9);
	env.ext21_ecx = BIT(1);
	n = cpuid_supported(&env, e, 80);
	EXPECT_EQ(find(e, n, 0x80000000, 0)->eax, 0x80000021);
	EXPECT_EQ(find(e, n, 0x80000021, 0)->eax, BIT(2) | BIT(9));
	EXPECT_EQ(find(e, n, 0x80000021, 0)->ecx, BIT(1));
	ones.ext21_eax = BIT(9);
	n = cpuid_supported(&ones, e, 80);
	EXPECT_EQ(find(e, n, 0x80000000, 0)->eax, 0x80000008);
}

TEST(xsave_sizes)
{
	struct cpuid_env env = full_env();
	struct cpuid_xstate xs[CPUID_NR_XSTATES];
	struct kvm_cpuid_entry2 e[80];
	int n = cpuid_supported(&env, e, 80);

	cpuid_xstate_read(&env, xs);
	EXPECT_EQ(cpuid_xstate_size(xs, 3, false), 576);
	EXPECT_EQ(cpuid_xstate_size(xs, 7, false), 832);
	EXPECT_EQ(cpuid_xstate_size(xs, 0x2e7, false), 2696);
	/* YMM 576+256, opmask +64, ZMM_Hi256 +512, Hi16 +1024, PKRU aligned +8 */
	EXPECT_EQ(cpuid_xstate_size(xs, 0x2e7, true), 2432 + 8);
	EXPECT_EQ(find(e, n, 0xd, 0)->ebx, 2696);
	EXPECT_EQ(find(e, n, 0xd, 0)->eax, 0x2e7);
	EXPECT_EQ(find(e, n, 0xd, 0)->edx, 0);
	EXPECT(find(e, n, 0xd, 9) && !find(e, n, 0xd, 3));
}

/* ---- the index ---- */

struct built {
	struct cpuid_index *idx;
	struct kvm_cpuid_entry2 e[256];
	int n;
};

static struct built build(const struct kvm_cpuid_entry2 *e, int n)
{
	struct built b = { .n = n };

	memcpy(b.e, e, n * sizeof(*e));
	b.idx = malloc(sizeof(*b.idx) + n * sizeof(b.idx->next[0]));
	cpuid_index_build(b.idx, b.e, n);
	return b;
}

static const struct kvm_cpuid_entry2 sample[] = {
	{ .function = 0, .eax = 0xd, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
	{ .function = 1, .eax = 0x11 },
	{ .function = 7, .index = 0, .flags = 1, .eax = 1, .ebx = 7 },
	{ .function = 7, .index = 1, .flags = 1, .eax = 71 },
	{ .function = 0xb, .index = 0, .flags = 1, .edx = 5 },
	{ .function = 0xb, .index = 1, .flags = 1, .edx = 5 },
	{ .function = 0xd, .index = 0, .flags = 1, .eax = 0xd0 },
	{ .function = 0xd, .index = 1, .flags = 1, .eax = 0xd1 },
	{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x40 },
	{ .function = 0x40000001, .eax = 0x99 },
	{ .function = 0x40000100, .eax = 0x40000101, .ebx = 0x41 },
	{ .function = 0x80000000, .eax = 0x80000008 },
	{ .function = 0x80000008, .eax = 0x3030 },
	{ .function = 0x8fffffff, .eax = 0xfa7 },
	{ .function = 1, .eax = 0xbad },		/* a duplicate: the first one counts */
};

static u32 answer_eax(struct built *b, u32 leaf, u32 sub)
{
	u32 r[CPUID_NR_REGS] = { leaf, 0xdead, sub, 0xbeef };

	cpuid_answer(b->idx, b->e, r);
	return r[0];
}

TEST(answers)
{
	struct built b = build(sample, ARRAY_SIZE(sample));
	u32 r[CPUID_NR_REGS];

	EXPECT_EQ(answer_eax(&b, 1, 0), 0x11);
	EXPECT_EQ(answer_eax(&b, 1, 77), 0x11);
	EXPECT_EQ(answer_eax(&b, 7, 1), 71);
	EXPECT_EQ(answer_eax(&b, 7, 2), 0);
	EXPECT_EQ(answer_eax(&b, 0x40000001, 0), 0x99);
	EXPECT_EQ(answer_eax(&b, 0x40000100, 0), 0x40000101);
	EXPECT_EQ(answer_eax(&b, 0x80000008, 3), 0x3030);
	EXPECT_EQ(answer_eax(&b, 0x8fffffff, 0), 0xfa7);
	/* In range but absent: zeros. Out of range: the last basic leaf, by the caller's ECX. */
	EXPECT_EQ(answer_eax(&b, 5, 0), 0);
	EXPECT_EQ(answer_eax(&b, 0x80000003, 0), 0);
	EXPECT_EQ(answer_eax(&b, 0xe, 1), 0xd1);
	EXPECT_EQ(answer_eax(&b, 0x80000009, 0), 0xd0);
	EXPECT_EQ(answer_eax(&b, 0x40000002, 1), 0xd1);
	EXPECT_EQ(answer_eax(&b, 0x40000200, 1), 0xd1);
	EXPECT_EQ(answer_eax(&b, 0xc0000000, 0), 0xd0);
	EXPECT_EQ(answer_eax(&b, 0xffffffff, 9), 0);
	/* Sub-leaves of the topology leaf that do not exist. */
	r[0] = 0xb;
	r[2] = 0x345;
	EXPECT_EQ((u32)cpuid_answer(b.idx, b.e, r), ~0u);
	EXPECT_EQ(r[2], 0x45);
	EXPECT_EQ(r[3], 5);
	free(b.idx);
}

TEST(amd_out_of_range_is_zero)
{
	struct kvm_cpuid_entry2 e[2] = { { .function = 0, .eax = 1 }, { .function = 1, .eax = 9 } };
	struct built b;

	memcpy(&e[0].ebx, "Auth", 4);
	memcpy(&e[0].edx, "enti", 4);
	memcpy(&e[0].ecx, "cAMD", 4);
	b = build(e, 2);
	EXPECT_EQ(answer_eax(&b, 0x20, 0), 0);
	EXPECT_EQ(answer_eax(&b, 1, 0), 9);
	free(b.idx);
}

TEST(empty_table_answers_zero)
{
	struct built b = build(sample, 0);

	EXPECT_EQ(answer_eax(&b, 0, 0), 0);
	EXPECT_EQ(answer_eax(&b, 0x40000000, 0), 0);
	free(b.idx);
}

/* The index gives what a plain search gives, for random tables and leaves. */
TEST(index_agrees_with_search)
{
	static const u32 bases[] = { 0, 0x20, 0x40000000, 0x40000100, 0x40000300, 0x80000000,
				     0x80000040, 0xc0000000 };
	struct kvm_cpuid_entry2 e[256];
	int round, i, n, want;
	struct built b;
	u32 leaf, sub;

	srand(1);
	for (round = 0; round < 300; round++) {
		n = rand() % 256;
		memset(e, 0, sizeof(e));
		for (i = 0; i < n; i++) {
			e[i].function = bases[rand() % ARRAY_SIZE(bases)] + rand() % 0x18;
			e[i].index = rand() % 4;
			e[i].flags = rand() % 2;
			e[i].eax = rand();
		}
		b = build(e, n);
		for (i = 0; i < 200; i++) {
			leaf = bases[rand() % ARRAY_SIZE(bases)] + rand() % 0x18;
			sub = rand() % 5;
			for (want = 0; want < n; want++)
				if (e[want].function == leaf &&
				    (!(e[want].flags & 1) || e[want].index == sub))
					break;
			EXPECT_EQ((u32)cpuid_lookup(b.idx, b.e, leaf, sub),
				  (u32)(want < n ? want : -1));
		}
		free(b.idx);
	}
}
