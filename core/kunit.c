// SPDX-License-Identifier: GPL-2.0-only
/*
 * okvm_kunit.ko: the KUnit suites of files that contain only pure functions. Each suite includes
 * the file that it tests, so this module does not need okvm.ko.
 */
#include <kunit/test.h>
#include <linux/module.h>

extern struct kunit_suite okvm_caps_suite;
extern struct kunit_suite okvm_cpuid_table_suite;
extern struct kunit_suite okvm_emul_suite;
extern struct kunit_suite okvm_event_rules_suite;
extern struct kunit_suite okvm_gsi_suite;
extern struct kunit_suite okvm_ioapic_suite;
extern struct kunit_suite okvm_iter_suite;
extern struct kunit_suite okvm_lapic_suite;
extern struct kunit_suite okvm_memtype_suite;
extern struct kunit_suite okvm_msr_table_suite;
extern struct kunit_suite okvm_pic_suite;
extern struct kunit_suite okvm_pit_suite;
extern struct kunit_suite okvm_spte_suite;
extern struct kunit_suite okvm_walk_suite;

kunit_test_suites(&okvm_caps_suite,
		  &okvm_cpuid_table_suite,
		  &okvm_emul_suite,
		  &okvm_event_rules_suite,
		  &okvm_gsi_suite,
		  &okvm_ioapic_suite,
		  &okvm_iter_suite,
		  &okvm_lapic_suite,
		  &okvm_memtype_suite,
		  &okvm_msr_table_suite,
		  &okvm_pic_suite,
		  &okvm_pit_suite,
		  &okvm_spte_suite,
		  &okvm_walk_suite);

MODULE_DESCRIPTION("KUnit suites of okvm's pure cores");
MODULE_LICENSE("GPL");
