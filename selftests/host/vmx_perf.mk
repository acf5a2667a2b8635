# SPDX-License-Identifier: GPL-2.0-only
TESTS += vmx_perf_test
vmx_perf_test_srcs :=
