TESTS += ioapic_test
ioapic_test_srcs := irq/model/ioapic.c
FUZZERS += ioapic_fuzz
ioapic_fuzz_srcs := irq/model/ioapic.c
