# SPDX-License-Identifier: GPL-2.0-only
TESTS += msr_test
msr_test_srcs := x86/msr/msr_table.c
