# SPDX-License-Identifier: GPL-2.0-only
TESTS += shim_test
shim_test_srcs :=
