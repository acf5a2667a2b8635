# SPDX-License-Identifier: GPL-2.0-only
lapic_srcs := irq/model/lapic.c irq/model/lapic_timer.c irq/model/lapic_dest.c irq/model/lapic_state.c
TESTS += lapic_test lapic_timer_test
lapic_test_srcs := $(lapic_srcs)
lapic_timer_test_srcs := $(lapic_srcs)
FUZZERS += lapic_fuzz
lapic_fuzz_srcs := $(lapic_srcs)
