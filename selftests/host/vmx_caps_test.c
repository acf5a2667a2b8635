// SPDX-License-Identifier: GPL-2.0-only
/* vmx/caps.c: the recorded CPUs, each option alone, each required control missing. */
#include <asm/vmx.h>

#include "test.h"
#include "vmx/caps_sets.h"

#define NR_SETS (sizeof(caps_sets) / sizeof(caps_sets[0]))

/* The record that has every option. */
static const struct vmx_msrs *full(void)
{
	return &caps_sets[0].msrs;
}

TEST(recorded_cpus_have_what_was_recorded)
{
	struct vmx_caps caps;
	size_t i;

	for (i = 0; i < NR_SETS; i++) {
		EXPECT_EQ(vmx_caps_adjust(&caps_sets[i].msrs, VMX_OPT_ALL, &caps), VMX_CAPS_OK);
		EXPECT_EQ(caps.opts, caps_sets[i].opts);
	}
}

TEST(controls_are_within_what_the_cpu_allows)
{
	struct vmx_caps c;
	size_t i;

	for (i = 0; i < NR_SETS; i++) {
		const struct vmx_msrs *m = &caps_sets[i].msrs;

		vmx_caps_adjust(m, VMX_OPT_ALL, &c);
		EXPECT_EQ(c.pin & ~(u32)(m->pin >> 32), 0);
		EXPECT_EQ(c.exec & ~(u32)(m->exec >> 32), 0);
		EXPECT_EQ(c.exec2 & ~(u32)(m->exec2 >> 32), 0);
		EXPECT_EQ(c.exit & ~(u32)(m->exit >> 32), 0);
		EXPECT_EQ(c.entry & ~(u32)(m->entry >> 32), 0);
		EXPECT_EQ((u32)m->pin & ~c.pin, 0);
		EXPECT_EQ((u32)m->exec & ~c.exec, 0);
		EXPECT_EQ((u32)m->exit & ~c.exit, 0);
		EXPECT_EQ((u32)m->entry & ~c.entry, 0);
	}
}

TEST(without_options_none_of_their_controls_is_left)
{
	struct vmx_caps c;

	EXPECT_EQ(vmx_caps_adjust(full(), 0, &c), VMX_CAPS_OK);
	EXPECT_EQ(c.opts, 0);
	EXPECT_EQ(c.pin & (PIN_BASED_VIRTUAL_NMIS | PIN_BASED_POSTED_INTR |
			   PIN_BASED_VMX_PREEMPTION_TIMER), 0);
	EXPECT_EQ(c.exec & CPU_BASED_TPR_SHADOW, 0);
	EXPECT_EQ(c.exec2 & (SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID |
			     SECONDARY_EXEC_UNRESTRICTED_GUEST |
			     SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY |
			     SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
			     SECONDARY_EXEC_PAUSE_LOOP_EXITING), 0);
}

TEST(an_option_takes_along_what_needs_it)
{
	struct vmx_caps c;

	vmx_caps_adjust(full(), VMX_OPT_ALL & ~VMX_OPT_EPT, &c);
	EXPECT_EQ(c.opts & (VMX_OPT_EPT | VMX_OPT_EPT_AD | VMX_OPT_UNRESTRICTED), 0);
	vmx_caps_adjust(full(), VMX_OPT_ALL & ~VMX_OPT_TPR_SHADOW, &c);
	EXPECT_EQ(c.opts & (VMX_OPT_FLEXPRIORITY | VMX_OPT_APICV | VMX_OPT_POSTED), 0);
	vmx_caps_adjust(full(), VMX_OPT_ALL & ~VMX_OPT_APICV, &c);
	EXPECT_EQ(c.opts, VMX_OPT_ALL & ~(VMX_OPT_APICV | VMX_OPT_POSTED));
}

/* No recorded CPU has SGX: its controls are used where they are. */
TEST(leaves_of_sgx_exit)
{
	struct vmx_msrs m = *full();
	struct vmx_caps c;

	m.exec2 |= (u64)(SECONDARY_EXEC_ENCLS_EXITING | VMX_EXEC2_ENCLV_EXITING) << 32;
	EXPECT_EQ(vmx_caps_adjust(&m, 0, &c), VMX_CAPS_OK);
	EXPECT(c.exec2 & SECONDARY_EXEC_ENCLS_EXITING);
	EXPECT(c.exec2 & VMX_EXEC2_ENCLV_EXITING);
}

TEST(a_cpu_with_a_bad_timer_has_none)
{
	/* Reserved bits of the signature say nothing. */
	static const u32 bad[] = { 0x106a5, 0x306a8, 0x206e6, 0xf001c6e5 };
	struct vmx_msrs m = *full();
	struct vmx_caps c;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m.signature = bad[i];
		EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_OK);
		EXPECT_EQ(c.opts, VMX_OPT_ALL & ~VMX_OPT_TIMER);
		EXPECT_EQ(c.pin & PIN_BASED_VMX_PREEMPTION_TIMER, 0);
	}
	m.signature = 0x506e3;
	vmx_caps_adjust(&m, VMX_OPT_ALL, &c);
	EXPECT_EQ(c.opts, VMX_OPT_ALL);
}

TEST(part_of_apicv_is_no_apicv)
{
	struct vmx_msrs m = *full();
	struct vmx_caps c;

	m.exec2 &= ~((u64)SECONDARY_EXEC_APIC_REGISTER_VIRT << 32);
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_OK);
	EXPECT_EQ(c.opts & (VMX_OPT_APICV | VMX_OPT_POSTED), 0);
	EXPECT_EQ(c.exec2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY, 0);
}

TEST(ept_needs_write_back_four_levels_and_invept)
{
	static const u64 needed[] = { VMX_EPT_PAGE_WALK_4_BIT, VMX_EPTP_WB_BIT,
				      VMX_EPT_INVEPT_BIT };
	struct vmx_caps c;
	size_t i;

	for (i = 0; i < 3; i++) {
		struct vmx_msrs m = *full();

		m.ept_vpid &= ~needed[i];
		EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_OK);
		EXPECT_EQ(c.opts & (VMX_OPT_EPT | VMX_OPT_UNRESTRICTED), 0);
	}
}

TEST(a_required_control_that_is_missing_is_named)
{
	struct vmx_msrs m;
	struct vmx_caps c;

	m = *full();
	m.pin &= ~((u64)PIN_BASED_NMI_EXITING << 32);
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_PIN);
	m = *full();
	m.exec &= ~((u64)CPU_BASED_USE_MSR_BITMAPS << 32);
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_EXEC);
	m = *full();
	m.exit &= ~((u64)VM_EXIT_HOST_ADDR_SPACE_SIZE << 32);
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_EXIT);
	m = *full();
	m.entry = 0;
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_ENTRY);
}

TEST(a_vmcs_that_is_too_large_or_uncached_is_refused)
{
	struct vmx_msrs m = *full();
	struct vmx_caps c;

	m.basic = (m.basic & ~(0x1fffull << 32)) | 0x1800ull << 32;
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_VMCS);
	m = *full();
	m.basic &= ~(0xfull << 50);
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_VMCS);
	m = *full();
	m.basic |= 1ull << 48;
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_VMCS);
}

TEST(a_load_without_its_counterpart_goes)
{
	struct vmx_msrs m = *full();
	struct vmx_caps c;

	m.exit &= ~((u64)VM_EXIT_LOAD_IA32_EFER << 32);
	EXPECT_EQ(vmx_caps_adjust(&m, VMX_OPT_ALL, &c), VMX_CAPS_OK);
	EXPECT_EQ(c.entry & VM_ENTRY_LOAD_IA32_EFER, 0);
	EXPECT_EQ(c.exit & VM_EXIT_LOAD_IA32_EFER, 0);
	EXPECT(c.entry & VM_ENTRY_LOAD_IA32_PAT);
}

TEST(a_host_that_cannot_use_vmx)
{
	const struct vmx_host good = { .cpuid = true, .kernel = true, .feat_ctl = 5, .cr4 = 0x6f0 };
	static const u64 disabled[] = { 0, 1, 3, 4 };
	struct vmx_host h = good;

	EXPECT_EQ(vmx_host_check(&h), VMX_HOST_OK);
	for (unsigned int i = 0; i < 4; i++) {
		h.feat_ctl = disabled[i];
		EXPECT_EQ(vmx_host_check(&h), VMX_HOST_DISABLED);
	}
	/* More than what is needed: VMX inside SMX, SGX. */
	h.feat_ctl = 0x60007;
	EXPECT_EQ(vmx_host_check(&h), VMX_HOST_OK);
	/* FRED is on. That the CPU has it, with bits of CR4 nearby, does not matter. */
	h.cr4 |= 1ull << 32;
	EXPECT_EQ(vmx_host_check(&h), VMX_HOST_FRED);
	h.cr4 = 0xffffffff;
	EXPECT_EQ(vmx_host_check(&h), VMX_HOST_OK);
	h = good;
	h.kernel = false;
	EXPECT_EQ(vmx_host_check(&h), VMX_HOST_DISABLED);
	h.cpuid = false;
	EXPECT_EQ(vmx_host_check(&h), VMX_HOST_LACKS);
}
