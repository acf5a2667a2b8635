# Shadow paging: roles, entries, tables, reverse maps, synchronization, faults and roots.
TESTS += shadow_test
# Small bounds, which random guests come to.
shadow_test_cflags := -DSHADOW_CHAIN=8 -DSHADOW_RECENT=2 -DSHADOW_SAME=24 -DSHADOW_UNSYNC=8 \
	-DSHADOW_HOPS=6 -DSHADOW_POOL=6 -DSHADOW_HUGES=2 -DSHIM_NOWAIT_FAILS
shadow_test_srcs := mmu/role.c mmu/shadow_entry.c mmu/shadow.c mmu/rmap.c mmu/shadow_fault.c \
	mmu/shadow_prefetch.c mmu/shadow_sync.c mmu/shadow_root.c mmu/shadow_policy.c \
	mmu/walk.c mmu/spte.c
