# SPDX-License-Identifier: GPL-2.0-only
TESTS += vmx_qual_test
vmx_qual_test_srcs :=
