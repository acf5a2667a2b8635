# SPDX-License-Identifier: GPL-2.0-only
TESTS += svm_caps_test
svm_caps_test_srcs := svm/caps.c
