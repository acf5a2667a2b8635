TESTS += walk_test
walk_test_srcs := mmu/walk.c
FUZZERS += walk_fuzz
walk_fuzz_srcs := mmu/walk.c
