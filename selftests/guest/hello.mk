# SPDX-License-Identifier: GPL-2.0-only
# The hello guests of the documentation: flat binaries for okvm-run --flat, linked for 0x1000.
HELLO_TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
HELLO_OUT := $(HELLO_TOP)/build/guest

hello: $(addprefix $(HELLO_OUT)/,hello16.bin hello32.bin hello64.bin)

$(HELLO_OUT)/hello%.bin: $(HELLO_TOP)/selftests/guest/hello%.S
	@mkdir -p $(@D)
	gcc -c -o $(@:.bin=.o) $<
	ld -Ttext=0x1000 --oformat binary -o $@ $(@:.bin=.o)
	@rm -f $(@:.bin=.o)

.PHONY: hello
