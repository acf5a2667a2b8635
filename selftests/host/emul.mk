# SPDX-License-Identifier: GPL-2.0-only
EMUL_SRCS := $(addprefix x86/emul/,decode.c tables.c exec.c alu.c mov.c flow.c seg.c far.c \
	deliver.c string.c sys.c task.c vec.c x87.c tables_vex.c)
TESTS += emul_test emul_task_test emul_trap_test emul_native_test emul_vec_test emul_x87_test
TESTS += emul_table_test emul_once_test
emul_test_srcs := $(EMUL_SRCS)
emul_task_test_srcs := $(EMUL_SRCS)
emul_trap_test_srcs := $(EMUL_SRCS)
emul_native_test_srcs := $(EMUL_SRCS)
emul_vec_test_srcs := $(EMUL_SRCS)
emul_x87_test_srcs := $(EMUL_SRCS)
emul_table_test_srcs := $(EMUL_SRCS)
emul_once_test_srcs := $(EMUL_SRCS)
FUZZERS += emul_fuzz
emul_fuzz_srcs := $(EMUL_SRCS)
