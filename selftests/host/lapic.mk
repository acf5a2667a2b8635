# SPDX-License-Identifier: GPL-2.0-only
lapic_srcs := irq/lapic.c irq/lapic_count.c irq/lapic_dest.c irq/lapic_state.c
TESTS += lapic_test lapic_timer_test
lapic_test_srcs := $(lapic_srcs)
lapic_timer_test_srcs := $(lapic_srcs)
FUZZERS += lapic_fuzz
lapic_fuzz_srcs := $(lapic_srcs)
