// SPDX-License-Identifier: GPL-2.0-only
/* The MSR table: sorted, findable, and every row against edge values. */
#include "test.h"

#include <linux/bits.h>
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include "x86/msr/msr_table.h"

static const u64 edges[] = {
	0, 1, 2, 3, 0x7f, 0x80, 0xff, 0xfff, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 32,
	1ULL << 46, (1ULL << 47) - 1, 1ULL << 47, (1ULL << 56) - 1, 1ULL << 56, 1ULL << 62,
	1ULL << 63, 0xffff7fffffffffffULL, 0xffff800000000000ULL, 0xff00000000000000ULL, ~0ULL,
};

static struct msr_env env_of(bool host, u32 cpu, u32 guest)
{
	return (struct msr_env) { .host = host, .cpu = cpu, .guest = guest, .linear_bits = 48 };
}

TEST(table_is_sorted_and_disjoint)
{
	unsigned int i;

	for (i = 0; i < msr_nr_rows; i++) {
		EXPECT(msr_rows[i].first <= msr_rows[i].last);
		if (i)
			EXPECT(msr_rows[i - 1].last < msr_rows[i].first);
	}
}

TEST(find_agrees_with_search)
{
	unsigned int i;
	u32 msr;
	int d;

	for (i = 0; i < msr_nr_rows; i++) {
		EXPECT(msr_find(msr_rows[i].first) == &msr_rows[i]);
		EXPECT(msr_find(msr_rows[i].last) == &msr_rows[i]);
		for (d = -1; d <= 1; d += 2) {
			msr = (d < 0 ? msr_rows[i].first : msr_rows[i].last) + d;
			EXPECT(msr_find(msr) != &msr_rows[i]);
		}
	}
	EXPECT(!msr_find(0xffffffff));
	EXPECT(!msr_find(0x40000000));
	EXPECT(!msr_find(MSR_IA32_VMX_VMFUNC + 1));	/* VMX capabilities: no nesting */
	EXPECT(!msr_find(0x9e));	/* SMBASE: no SMM */
}

/* No reserved bit and no non-canonical address passes, whoever writes. */
TEST(every_row_with_edge_values)
{
	struct msr_env env;
	const struct msr_row *row;
	unsigned int i, j, host;
	u64 val;

	for (i = 0; i < msr_nr_rows; i++) {
		for (j = 0; j < ARRAY_SIZE(edges); j++) {
			for (host = 0; host < 2; host++) {
				row = &msr_rows[i];
				env = env_of(host, ~0u, ~0u);
				val = edges[j];
				if (msr_check_write(row, &env, &val) != MSR_LEGAL)
					continue;
				EXPECT_EQ(edges[j] & ~row->writable, 0);
				if (row->flags & (MSR_F_CANONICAL | MSR_F_SIGN))
					EXPECT(msr_canonical(val, 48));
				EXPECT(host || !(row->flags & MSR_F_HOST_WRITE));
				EXPECT(!(row->flags & MSR_F_NO_WRITE));
			}
		}
	}
}

TEST(needs)
{
	struct msr_env none = env_of(false, 0, 0), cpu = env_of(false, ~0u, 0);
	struct msr_env host = env_of(true, ~0u, 0), all = env_of(false, ~0u, ~0u);
	const struct msr_row *row = msr_find(MSR_TSC_AUX);
	u64 val = 5;

	EXPECT_EQ(msr_check_read(row, &none), MSR_FAULT);
	EXPECT_EQ(msr_check_read(row, &cpu), MSR_FAULT);
	EXPECT_EQ(msr_check_read(row, &host), MSR_LEGAL);
	EXPECT_EQ(msr_check_read(row, &all), MSR_LEGAL);
	EXPECT_EQ(msr_check_write(row, &cpu, &val), MSR_FAULT);
	EXPECT_EQ(msr_check_write(row, &all, &val), MSR_LEGAL);
	val = 1ULL << 32;
	EXPECT_EQ(msr_check_write(row, &host, &val), MSR_FAULT);
}

/* A CPU may have STIBP or SSBD without IBRS (Zen 2), and IBPB alone (Zen 1). */
TEST(speculation_controls_bring_their_msrs)
{
	static const struct {
		u32 l7d, ext8b, needs;
	} cases[] = {
		{ 0, 0, 0 },
		{ BIT(26), 0, BIT(MSR_NEED_SPEC_CTRL) | BIT(MSR_NEED_IBPB) },
		{ BIT(27), 0, BIT(MSR_NEED_SPEC_CTRL) },
		{ BIT(31), 0, BIT(MSR_NEED_SPEC_CTRL) },
		{ BIT(28), 0, BIT(MSR_NEED_L1D_FLUSH) },
		{ 0, BIT(12), BIT(MSR_NEED_IBPB) },
		{ 0, BIT(14), BIT(MSR_NEED_SPEC_CTRL) },
		{ 0, BIT(15), BIT(MSR_NEED_SPEC_CTRL) },
		{ 0, BIT(24), BIT(MSR_NEED_SPEC_CTRL) },
		/* None of them is controlled by the MSR: always on, not affected, CLZERO. */
		{ 0, BIT(17) | BIT(26) | BIT(0), 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(msr_spec_needs(cases[i].l7d, cases[i].ext8b), cases[i].needs);
}

TEST(spec_ctrl_takes_what_is_enumerated)
{
	EXPECT_EQ(msr_spec_ctrl_legal(0, 0, 0), 0);
	EXPECT_EQ(msr_spec_ctrl_legal(BIT(26), 0, 0), 3);
	EXPECT_EQ(msr_spec_ctrl_legal(BIT(27), 0, 0), 2);
	EXPECT_EQ(msr_spec_ctrl_legal(BIT(31), 0, 0), 4);
	EXPECT_EQ(msr_spec_ctrl_legal(0, BIT(0), 0), 0x80);
	EXPECT_EQ(msr_spec_ctrl_legal(0, 0x1f, 0), 0x5f8);
	/* AMD's: STIBP and SSBD alone (Zen 2), with PSFD (Zen 3). IBPB is a command. */
	EXPECT_EQ(msr_spec_ctrl_legal(0, 0, BIT(12) | BIT(15) | BIT(24)), 6);
	EXPECT_EQ(msr_spec_ctrl_legal(0, 0, BIT(14) | BIT(24) | BIT(28)), 0x87);
}

/* An MSR of one vendor is an unknown number on the other's CPUs. */
TEST(msrs_of_one_vendor)
{
	static const u32 amd[] = { 0xc0000104, 0xc0010114, 0xc0011021, 0xc0011029 };
	struct msr_env on_amd = env_of(true, BIT(MSR_NEED_AMD) | BIT(MSR_NEED_TSC_RATIO), 0);
	struct msr_env on_intel = env_of(true, BIT(MSR_NEED_INTEL), 0);
	u64 val = BIT_ULL(32);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(amd); i++) {
		EXPECT_EQ(msr_check_read(msr_find(amd[i]), &on_amd), MSR_LEGAL);
		EXPECT_EQ(msr_check_read(msr_find(amd[i]), &on_intel), MSR_ABSENT);
	}
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_MCG_EXT_CTL), &on_intel), MSR_LEGAL);
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_MCG_EXT_CTL), &on_amd), MSR_ABSENT);
	/* Userspace may write back what it has read; guests have no ratio. */
	EXPECT_EQ(msr_check_write(msr_find(0xc0000104), &on_amd, &val), MSR_IGNORE);
	val = 1;
	EXPECT_EQ(msr_check_write(msr_find(0xc0000104), &on_amd, &val), MSR_FAULT);
	on_amd.host = false;
	on_amd.guest = (u32)~BIT(MSR_NEED_TSC_RATIO);
	EXPECT_EQ(msr_check_read(msr_find(0xc0000104), &on_amd), MSR_FAULT);
}

/* A CPU without them reads them as zeros; a guest never writes them. */
TEST(msrs_of_recorded_branches)
{
	const struct msr_row *row = msr_find(MSR_IA32_LASTINTTOIP);
	struct msr_env host = env_of(true, BIT(MSR_NEED_LBR), 0), bare = env_of(true, 0, 0);
	struct msr_env guest = env_of(false, BIT(MSR_NEED_LBR), (u32)~BIT(MSR_NEED_LBR));
	u64 val = ~0ULL;

	EXPECT_EQ(msr_check_write(row, &host, &val), MSR_LEGAL);
	EXPECT_EQ(msr_check_write(row, &guest, &val), MSR_FAULT);
	EXPECT_EQ(msr_check_write(row, &bare, &val), MSR_ABSENT);
	EXPECT_EQ(msr_check_read(row, &guest), MSR_LEGAL);
	EXPECT_EQ(msr_check_read(row, &bare), MSR_LEGAL);
	val = 3;
	EXPECT_EQ(msr_check_write(msr_find(MSR_IA32_DEBUGCTLMSR), &bare, &val), MSR_LEGAL);
	EXPECT_EQ(msr_check_write(msr_find(MSR_IA32_DEBUGCTLMSR), &guest, &val), MSR_LEGAL);
}

/* On AMD: the bits of the pins, and without recorded branches all. Intel's CPUs refuse them. */
TEST(what_debugctl_ignores)
{
	const struct msr_row *row = msr_find(MSR_IA32_DEBUGCTLMSR);
	struct msr_env lbr = env_of(true, BIT(MSR_NEED_LBR), 0), bare = env_of(false, 0, 0);
	struct msr_env intel = bare;
	u64 val = 0x3d;

	intel.intel = true;
	EXPECT_EQ(msr_check_write(row, &intel, &val), MSR_FAULT);
	EXPECT_EQ(val, 0x3d);
	EXPECT_EQ(msr_check_write(row, &lbr, &val), MSR_LEGAL);
	EXPECT_EQ(val, 1);
	val = 0x41;
	EXPECT_EQ(msr_check_write(row, &lbr, &val), MSR_FAULT);
	val = ~0ULL;
	EXPECT_EQ(msr_check_write(row, &bare, &val), MSR_LEGAL);
}

/* Userspace that asks for invalid accesses is told of them, and of unknown MSRs apart. */
TEST(features_that_no_guest_has)
{
	static const u32 msrs[] = { MSR_IA32_VMX_BASIC, MSR_IA32_VMX_VMFUNC, MSR_IA32_BNDCFGS,
				    MSR_IA32_RTIT_CTL, MSR_IA32_RTIT_ADDR3_B };
	struct msr_env all = env_of(false, (u32)~BIT(MSR_NEED_NEVER),
				     (u32)~BIT(MSR_NEED_NEVER));
	struct msr_env amd = all, bare = env_of(false, 0, 0);
	unsigned int i;
	u64 val = 0;

	all.intel = true;
	bare.intel = true;
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		EXPECT(msr_find(msrs[i]));
		EXPECT_EQ(msr_check_read(msr_find(msrs[i]), &all), MSR_FAULT);
		EXPECT_EQ(msr_check_write(msr_find(msrs[i]), &all, &val), MSR_FAULT);
		/* On AMD's CPUs they are like any number that nobody knows. */
		EXPECT_EQ(msr_check_read(msr_find(msrs[i]), &amd), MSR_ABSENT);
		EXPECT_EQ(msr_check_write(msr_find(msrs[i]), &amd, &val), MSR_ABSENT);
	}
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_UMWAIT_CONTROL), &bare), MSR_FAULT);
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_TSX_CTRL), &bare), MSR_FAULT);
	bare.intel = false;
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_UMWAIT_CONTROL), &bare), MSR_ABSENT);
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_TSX_CTRL), &bare), MSR_ABSENT);
	EXPECT(!msr_find(MSR_IA32_VMX_VMFUNC + 1));
}

TEST(directions)
{
	struct msr_env guest = env_of(false, ~0u, ~0u), host = env_of(true, ~0u, 0);
	u64 val = 0;

	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_PRED_CMD), &guest), MSR_ABSENT);
	EXPECT_EQ(msr_check_write(msr_find(MSR_MTRRcap), &host, &val), MSR_ABSENT);
	EXPECT_EQ(msr_check_write(msr_find(MSR_IA32_UCODE_REV), &guest, &val), MSR_IGNORE);
	EXPECT_EQ(msr_check_write(msr_find(MSR_IA32_UCODE_REV), &host, &val), MSR_LEGAL);
	EXPECT_EQ(msr_check_write(msr_find(MSR_PLATFORM_INFO), &guest, &val), MSR_FAULT);
	EXPECT_EQ(msr_check_read(msr_find(MSR_IA32_ARCH_CAPABILITIES), &host), MSR_LEGAL);
	EXPECT_EQ(msr_check_write(msr_find(MSR_IA32_ARCH_CAPABILITIES), &host, &val), MSR_LEGAL);
}

TEST(sysenter_is_made_canonical)
{
	struct msr_env guest = env_of(false, ~0u, ~0u);
	u64 val = 1ULL << 47;

	EXPECT_EQ(msr_check_write(msr_find(MSR_IA32_SYSENTER_EIP), &guest, &val), MSR_LEGAL);
	EXPECT_EQ(val, 0xffff800000000000ULL);
	val = 1ULL << 47;
	EXPECT_EQ(msr_check_write(msr_find(MSR_LSTAR), &guest, &val), MSR_FAULT);
	guest.linear_bits = 57;
	EXPECT_EQ(msr_check_write(msr_find(MSR_LSTAR), &guest, &val), MSR_LEGAL);
}

TEST(lists_stay_small)
{
	unsigned int i, n = 0;

	for (i = 0; i < msr_nr_rows; i++)
		if (msr_rows[i].flags & MSR_F_LIST)
			n += msr_rows[i].last - msr_rows[i].first + 1;
	EXPECT(n > 30 && n < 256);
}

TEST(memory_types)
{
	EXPECT(msr_pat_valid(0x0007040600070406ULL));
	EXPECT(msr_pat_valid(0));
	EXPECT(!msr_pat_valid(2));
	EXPECT(!msr_pat_valid(0x0307040600070406ULL));
	EXPECT(!msr_pat_valid(8ULL << 56));
	EXPECT(msr_mtrr_type_valid(6));
	EXPECT(!msr_mtrr_type_valid(7));
	EXPECT(!msr_mtrr_type_valid(0xff));
}
