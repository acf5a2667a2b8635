TESTS += ring_test
ring_test_srcs :=
ring_test_libs := -lpthread
