TESTS += pit_test
pit_test_srcs := irq/pit.c
FUZZERS += pit_fuzz
pit_fuzz_srcs := irq/pit.c
