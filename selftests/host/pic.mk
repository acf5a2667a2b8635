TESTS += pic_test
pic_test_srcs := irq/model/pic.c
FUZZERS += pic_fuzz
pic_fuzz_srcs := irq/model/pic.c
