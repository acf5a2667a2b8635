# SPDX-License-Identifier: GPL-2.0-only
TESTS += event_rules_test
event_rules_test_srcs := x86/cpu/event_rules.c
