# SPDX-License-Identifier: GPL-2.0-only
TESTS += rival_test
rival_test_srcs :=
