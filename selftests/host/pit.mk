TESTS += pit_test
pit_test_srcs := irq/model/pit.c
FUZZERS += pit_fuzz
pit_fuzz_srcs := irq/model/pit.c
