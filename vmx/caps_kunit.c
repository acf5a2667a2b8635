// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: vmx_caps_adjust() with recorded MSR values. The complete tests are in selftests/host. */
#include <kunit/test.h>

#include "caps.c"
#include "vmx/caps_sets.h"

static void caps_test_sets(struct kunit *test)
{
	struct vmx_caps caps;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caps_sets); i++) {
		const struct caps_set *s = &caps_sets[i];

		KUNIT_EXPECT_EQ_MSG(test, vmx_caps_adjust(&s->msrs, VMX_OPT_ALL, &caps),
				    VMX_CAPS_OK, "%s", s->name);
		KUNIT_EXPECT_EQ_MSG(test, caps.opts, s->opts, "%s", s->name);
	}
}

static void caps_test_off(struct kunit *test)
{
	struct vmx_caps caps;

	KUNIT_EXPECT_EQ(test, vmx_caps_adjust(&caps_sets[0].msrs, 0, &caps), VMX_CAPS_OK);
	KUNIT_EXPECT_EQ(test, caps.opts, 0u);
	KUNIT_EXPECT_EQ(test, caps.exec & CPU_BASED_TPR_SHADOW, 0u);
	KUNIT_EXPECT_EQ(test, caps.exec2 & SECONDARY_EXEC_ENABLE_EPT, 0u);
}

static void caps_test_missing(struct kunit *test)
{
	struct vmx_msrs msrs = caps_sets[0].msrs;
	struct vmx_caps caps;

	msrs.exec &= ~((u64)CPU_BASED_HLT_EXITING << 32);
	KUNIT_EXPECT_EQ(test, vmx_caps_adjust(&msrs, VMX_OPT_ALL, &caps), VMX_CAPS_EXEC);
}

static struct kunit_case caps_cases[] = {
	KUNIT_CASE(caps_test_sets),
	KUNIT_CASE(caps_test_off),
	KUNIT_CASE(caps_test_missing),
	{ }
};

struct kunit_suite okvm_caps_suite = {
	.name = "okvm_caps",
	.test_cases = caps_cases,
};
