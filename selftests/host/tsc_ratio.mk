# SPDX-License-Identifier: GPL-2.0-only
TESTS += tsc_ratio_test
tsc_ratio_test_srcs :=
