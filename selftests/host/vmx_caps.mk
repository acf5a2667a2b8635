# SPDX-License-Identifier: GPL-2.0-only
TESTS += vmx_caps_test
vmx_caps_test_srcs := vmx/caps.c
