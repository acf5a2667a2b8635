# What a fault does between its look at an entry and its exchange is called through these.
TESTS += tdp_test
tdp_test_srcs := mmu/tdp.c mmu/iter.c mmu/spte.c
tdp_test_libs := -Wl,--wrap=spte_leaf,--wrap=spte_table,--wrap=spte_mmio,--wrap=spte_age,--wrap=spte_write_protect
