TESTS += spte_test
spte_test_srcs := mmu/spte.c
