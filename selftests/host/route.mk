TESTS += route_test
route_test_srcs := irq/model/gsi.c
FUZZERS += route_fuzz
route_fuzz_srcs := irq/model/gsi.c
