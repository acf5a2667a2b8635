// SPDX-License-Identifier: GPL-2.0-only
/* svm/caps.c: the recorded CPUs, each option alone, each reason to refuse a CPU. */
#include "test.h"
#include "svm/caps_sets.h"

#define NR_SETS (sizeof(svm_caps_sets) / sizeof(svm_caps_sets[0]))

/* A CPU that has everything. */
static struct svm_cpuid full(void)
{
	struct svm_cpuid cpu = svm_caps_sets[0].cpu;

	cpu.svm_edx = ~0u;
	return cpu;
}

TEST(recorded_cpus_have_what_was_recorded)
{
	struct svm_caps caps;
	size_t i;

	for (i = 0; i < NR_SETS; i++) {
		const struct svm_caps_set *s = &svm_caps_sets[i];

		EXPECT_EQ(svm_caps_adjust(&s->cpu, ~0u, &caps), SVM_CAPS_OK);
		EXPECT_EQ(caps.feats, s->feats);
		EXPECT_EQ(caps.asids, s->cpu.svm_ebx);
	}
}

/* Two steppings in one machine are the same CPU. */
TEST(the_stepping_is_not_compared)
{
	struct svm_cpuid cpu = svm_caps_sets[0].cpu;
	struct svm_caps a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &a), SVM_CAPS_OK);
	cpu.leaf1_eax++;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &b), SVM_CAPS_OK);
	EXPECT(!memcmp(&a, &b, sizeof(a)));
}

TEST(nothing_is_used_that_okvm_does_not_know)
{
	struct svm_cpuid cpu = full();
	struct svm_caps caps;

	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	EXPECT_EQ(caps.feats, SVM_FEAT_USED);
}

TEST(each_option_goes_alone)
{
	struct svm_cpuid cpu = full();
	struct svm_caps caps;
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		u32 gone = BIT(bit) & SVM_FEAT_USED;

		/* One that stands on another. */
		if (gone == SVM_FEAT_PAUSE)
			gone |= SVM_FEAT_PAUSE_GAP;
		EXPECT_EQ(svm_caps_adjust(&cpu, ~BIT(bit), &caps), SVM_CAPS_OK);
		EXPECT_EQ(caps.feats, SVM_FEAT_USED & ~gone);
	}
}

TEST(asids_of_encrypted_guests_are_left_alone)
{
	struct svm_cpuid cpu = full();
	struct svm_caps caps;

	cpu.sev_ecx = 509;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	EXPECT_EQ(caps.asid_first, 1);
	cpu.sev_eax = BIT(1);
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	EXPECT_EQ(caps.asid_first, 510);
	cpu.svm_ebx = 1018;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	EXPECT_EQ(caps.asid_first, 1);
	cpu.svm_ebx = 1020;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	EXPECT_EQ(caps.asid_first, 510);
	cpu.ext_max = 0x8000001e;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	EXPECT_EQ(caps.asid_first, 1);
}

TEST(what_is_refused)
{
	struct svm_caps caps;
	struct svm_cpuid cpu = full();

	cpu.ext_ecx = ~BIT(2);
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_NONE);
	cpu = full();
	cpu.ext_max = 0x80000008;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_NONE);
	EXPECT_EQ(caps.feats, 0);
	EXPECT_EQ(caps.asids, 0);
	cpu = full();
	cpu.vm_cr = BIT(4);
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_UNLOCKED);
	cpu.vm_cr = BIT(4) | BIT(3);
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_DISABLED);
	cpu.vm_cr = BIT(3);
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	cpu.svm_ebx = 1;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_ASIDS);
	cpu.svm_ebx = 2;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	cpu.encrypted = true;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_ENCRYPTED);
	cpu.encrypted = false;
	/* Of family 10h and of its neighbours: Fh, 11h. */
	cpu.leaf1_eax = 0x00100f42;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_ERRATUM);
	cpu.leaf1_eax = 0x00060fb1;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
	cpu.leaf1_eax = 0x00200f31;
	EXPECT_EQ(svm_caps_adjust(&cpu, ~0u, &caps), SVM_CAPS_OK);
}
