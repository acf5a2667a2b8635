# SPDX-License-Identifier: GPL-2.0-only
# The user's targets; `make help` lists them. The kernel's build system reads Kbuild instead.

TESTBED := tools/testbed
# For which kernel `make module` builds: dev, debug, stock-6.1, stock-6.12, stock-7, host or a build folder.
KERNEL ?= $(if $(KDIR),$(KDIR),host)

.PHONY: all module tools setup run check lint bench bench-plot docs install uninstall deb clean help

all: module tools

module:
	@$(TESTBED)/module $(KERNEL)

tools:
	@$(MAKE) -s -C tools/run
	@$(MAKE) -s -C tools/bench
	@$(MAKE) -s -C tools/top
	@echo build/tools

setup:
	@$(TESTBED)/setup

# BACKEND=vmx or svm: what the machine's CPU has, which is emulated where this computer has it not.
run:
	@$(TESTBED)/run $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

check:
	@$(TESTBED)/check $(STEPS)

lint:
	@$(TESTBED)/check lint

bench:
	@tools/bench/bench $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

bench-plot:
	@tools/bench/plot

docs:
	@$(TESTBED)/docs

install:
	@$(TESTBED)/install

uninstall:
	@$(TESTBED)/install --uninstall

deb:
	@$(TESTBED)/deb

clean:
	rm -rf build

help:
	@echo 'make              the module for the running kernel (or KDIR=..., KERNEL=dev|debug|stock-6.1|stock-6.12|stock-7), the tools'
	@echo 'make run          boot a machine with VMX or SVM (BACKEND=vmx|svm) and in it a Linux guest of okvm'
	@echo 'make check        all checks and tests (STEPS="lint kunit" for some of them)'
	@echo 'make bench        what a VM exit costs, beside upstream (BACKEND=svm: with SVM)'
	@echo 'make bench-plot   the figures of the last bench as a picture, build/bench.svg'
	@echo 'make docs         the documentation as HTML, in build/docs'
	@echo 'make setup        install the Debian packages that all this needs'
	@echo 'make install      the module by DKMS, the tools with their manual pages, the udev rule; make uninstall undoes it'
	@echo 'make deb          Debian packages: the module for DKMS, the tools'
	@echo 'make clean        remove build/ (the cache of kernels stays)'
