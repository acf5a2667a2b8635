# SPDX-License-Identifier: GPL-2.0-only
TESTS += vmx_entry_test
vmx_entry_test_srcs := vmx/entry_check.c vmx/entry_guest.c
