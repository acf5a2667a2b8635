# SPDX-License-Identifier: GPL-2.0-only
TESTS += svm_entry_test
svm_entry_test_srcs := svm/entry_check.c
