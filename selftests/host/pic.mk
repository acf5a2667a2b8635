TESTS += pic_test
pic_test_srcs := irq/pic.c
FUZZERS += pic_fuzz
pic_fuzz_srcs := irq/pic.c
