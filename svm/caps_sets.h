/* SPDX-License-Identifier: GPL-2.0-only */
/* SVM's CPUID values of several CPU models, for the tests of caps.c. */
#ifndef OKVM_SVM_CAPS_SETS_H
#define OKVM_SVM_CAPS_SETS_H

#include "svm/caps.h"

/**
 * struct svm_caps_set - a CPU model and the result expected of svm_caps_adjust()
 * @cpu: the model's CPUID, read on such a CPU or taken from its manual
 * @feats: the features in use if no module parameter switches one off (enum svm_feat)
 */
struct svm_caps_set {
	const char *name;
	struct svm_cpuid cpu;
	u32 feats;
};

#define SVM_SET_CPU(sig, edx)							\
	.cpu = {								\
		.leaf1_eax = (sig), .ext_max = 0x80000028, .ext_ecx = BIT(2),	\
		.svm_ebx = 32768, .svm_edx = (edx),		\
	}

#define SVM_SET_ZEN	(SVM_FEAT_NPT | SVM_FEAT_NRIPS | SVM_FEAT_CLEAN | SVM_FEAT_FLUSH_ASID | \
			 SVM_FEAT_DECODE | SVM_FEAT_PAUSE | SVM_FEAT_PAUSE_GAP | \
			 SVM_FEAT_TSC_RATIO | SVM_FEAT_LBRV)

static const struct svm_caps_set svm_caps_sets[] = {
	{
		.name = "Zen 1",
		SVM_SET_CPU(0x00800f11, 0x0001bcff),
		.feats = SVM_SET_ZEN,
	},
	{
		.name = "Zen 2",
		SVM_SET_CPU(0x00870f10, 0x0013bcff),
		.feats = SVM_SET_ZEN | SVM_FEAT_SPEC_CTRL,
	},
	{
		.name = "Zen 3",
		SVM_SET_CPU(0x00a20f10, 0x101bbcff),
		.feats = SVM_SET_ZEN | SVM_FEAT_SPEC_CTRL,
	},
	{
		.name = "Zen 4",
		SVM_SET_CPU(0x00a60f12, 0x1ebfbcff),
		.feats = SVM_SET_ZEN | SVM_FEAT_SPEC_CTRL | SVM_FEAT_VNMI,
	},
	{
		.name = "Zen 5",
		SVM_SET_CPU(0x00b40f40, 0x1ebfbcff),
		.feats = SVM_SET_ZEN | SVM_FEAT_SPEC_CTRL | SVM_FEAT_VNMI,
	},
	{
		.name = "QEMU 7.2 TCG max",
		.cpu = {
			.leaf1_eax = 0x00060fb1, .ext_max = 0x8000000a, .ext_ecx = BIT(2),
			.svm_ebx = 16, .svm_edx = 0x10010001,
		},
		.feats = SVM_FEAT_NPT,
	},
	{
		.name = "QEMU 7.2 TCG EPYC",
		.cpu = {
			.leaf1_eax = 0x00800f12, .ext_max = 0x8000001e, .ext_ecx = BIT(2),
			.svm_ebx = 16, .svm_edx = 0x00000001,
		},
		.feats = SVM_FEAT_NPT,
	},
	{
		.name = "Bochs 3.0 ryzen",
		.cpu = {
			.leaf1_eax = 0x00800f11, .ext_max = 0x8000001f, .ext_ecx = BIT(2),
			.svm_ebx = 64, .svm_edx = 0x0000044b,
		},
		.feats = SVM_FEAT_NPT | SVM_FEAT_NRIPS | SVM_FEAT_FLUSH_ASID | SVM_FEAT_PAUSE |
			 SVM_FEAT_LBRV,
	},
	{
		.name = "Bochs ryzen of the testbed",
		.cpu = {
			.leaf1_eax = 0x00800f11, .ext_max = 0x8000001f, .ext_ecx = BIT(2),
			.svm_ebx = 32768, .svm_edx = 0x0200045f,
		},
		.feats = SVM_FEAT_NPT | SVM_FEAT_NRIPS | SVM_FEAT_FLUSH_ASID | SVM_FEAT_PAUSE |
			 SVM_FEAT_TSC_RATIO | SVM_FEAT_VNMI | SVM_FEAT_LBRV,
	},
};

#endif /* OKVM_SVM_CAPS_SETS_H */
