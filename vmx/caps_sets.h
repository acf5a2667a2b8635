/* SPDX-License-Identifier: GPL-2.0-only */
/* VMX capability MSRs recorded on several CPU models, for the tests of caps.c. */
#ifndef OKVM_VMX_CAPS_SETS_H
#define OKVM_VMX_CAPS_SETS_H

#include "vmx/caps.h"

/**
 * struct caps_set - a CPU model and the result expected of vmx_caps_adjust()
 * @msrs: the model's MSRs
 * @opts: the options in use if no module parameter switches one off (enum vmx_opt)
 */
struct caps_set {
	const char *name;
	struct vmx_msrs msrs;
	u32 opts;
};

static const struct caps_set caps_sets[] = {
	{
		.name = "Bochs 3.0 corei7_skylake_x",
		.msrs = {
			.basic = 0x00d810000000002bull,
			.pin = 0x000000ff00000016ull,
			.exec = 0xfff9fffe04006172ull,
			.exec2 = 0x02577fff00000000ull,
			.exit = 0x407fffff00036dfbull,
			.entry = 0x0000ffff000011fbull,
			.misc = 0x00000000600401e0ull,
			.cr0_fixed0 = 0x0000000080000021ull,
			.cr0_fixed1 = 0x00000000ffffffffull,
			.cr4_fixed0 = 0x0000000000002000ull,
			.cr4_fixed1 = 0x00000000003727ffull,
			.ept_vpid = 0x00000f0106734141ull,
		},
		.opts = VMX_OPT_ALL,
	},
	{
		.name = "Bochs 3.0 corei7_haswell_4770",
		.msrs = {
			.basic = 0x00d810000000002bull,
			.pin = 0x0000007f00000016ull,
			.exec = 0xfff9fffe04006172ull,
			.exec2 = 0x00047fff00000000ull,
			.exit = 0x407fffff00036dfbull,
			.entry = 0x0000ffff000011fbull,
			.misc = 0x00000000200401e0ull,
			.cr0_fixed0 = 0x0000000080000021ull,
			.cr0_fixed1 = 0x00000000ffffffffull,
			.cr4_fixed0 = 0x0000000000002000ull,
			.cr4_fixed1 = 0x00000000001727ffull,
			.ept_vpid = 0x00000f0106334141ull,
		},
		.opts = VMX_OPT_ALL & ~VMX_OPT_POSTED,
	},
	{
		.name = "Bochs 3.0 core2_penryn_t9600",
		.msrs = {
			.basic = 0x00d810000000002bull,
			.pin = 0x0000003f00000016ull,
			.exec = 0xf7f9fffe04006172ull,
			.exec2 = 0x0000004100000000ull,
			.exit = 0x4003ffff00036dfbull,
			.entry = 0x00003fff000011fbull,
			.misc = 0x00000000000401e0ull,
			.cr0_fixed0 = 0x0000000080000021ull,
			.cr0_fixed1 = 0x00000000ffffffffull,
			.cr4_fixed0 = 0x0000000000002000ull,
			.cr4_fixed1 = 0x00000000000427ffull,
			.ept_vpid = 0x0000000000000000ull,
		},
		.opts = VMX_OPT_TPR_SHADOW | VMX_OPT_FLEXPRIORITY | VMX_OPT_VNMI,
	},
};

#endif /* OKVM_VMX_CAPS_SETS_H */
