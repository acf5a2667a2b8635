# SPDX-License-Identifier: GPL-2.0-only
TESTS += cpuid_test
cpuid_test_srcs := x86/cpuid/cpuid_table.c
