# SPDX-License-Identifier: GPL-2.0-only
# The user's targets; `make help` lists them. The kernel's build system reads Kbuild instead.

TESTBED := tools/testbed
# For which kernel `make module` builds: dev, debug, stock-6.1, stock-6.12, host or a build folder.
KERNEL ?= $(if $(KDIR),$(KDIR),host)

.PHONY: all module tools setup run check lint bench bench-plot docs install uninstall clean help

all: module tools

module:
	@$(TESTBED)/module $(KERNEL)

tools:
	@$(MAKE) -s -C tools/run
	@$(MAKE) -s -C tools/bench
	@echo build/tools

setup:
	@$(TESTBED)/setup

# BACKEND=svm: a machine whose CPU has AMD-V, which QEMU emulates.
run:
	@$(TESTBED)/run $(if $(filter svm,$(BACKEND)),--machine tcg) $(ARGS)

check:
	@$(TESTBED)/check $(STEPS)

lint:
	@$(TESTBED)/check lint

bench:
	@tools/bench/bench $(ARGS)

bench-plot:
	@tools/bench/plot

docs:
	@$(TESTBED)/docs

install:
	@$(TESTBED)/install

uninstall:
	@$(TESTBED)/install --uninstall

clean:
	rm -rf build

help:
	@echo 'make              the module for the running kernel (or KDIR=..., KERNEL=dev|debug|stock-6.1|stock-6.12), the tools'
	@echo 'make run          boot a machine with VMX (BACKEND=svm: SVM) and in it a Linux guest of okvm'
	@echo 'make check        all checks and tests (STEPS="lint kunit" for some of them)'
	@echo 'make bench        what a VM exit costs, beside upstream'
	@echo 'make bench-plot   the figures of the last bench as a picture, build/bench.svg'
	@echo 'make docs         the documentation as HTML, in build/docs'
	@echo 'make setup        install the Debian packages that all this needs'
	@echo 'make install      the module by DKMS, the tools with their manual pages, the udev rule; make uninstall undoes it'
	@echo 'make clean        remove build/ (the cache of kernels stays)'
