# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What runs on machines with AMD SVM; sourced by the steps that differ in the machine or in the
# host's kernel.

# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

# The first six run on each machine, the others too where a test is quick: with one CPU in QEMU.
# Documentation/svm.rst names the cases that are skipped there. Left out are tests that measure time,
# or take long and have nothing to do with the backend.
svm_tests="run_test interrupt_test hotplug_test memslot_test tsc_test event_test"
svm_more="abi_test account_test amd_test answers_test ap_test async_pf_test bounded_test count_test
	edge_test error_test exit_rip_test exit_test follow_test guest_tables_test
	hostregs_test ioctl_test ioeventfd_test irq_test late_test misc_test mmio_test msi_test
	msrexit_test namespace_test newer_test nx_test once_test params_test pio_test push_test
	pv_eoi_test refuse_test restore_test shadow_guest_test shadow_mmu_test mmu_random_test smp_clock_test
	smp_inject_test smp_ioapic_test smp_mode_test state_test task_test thread_test tpr_test
	trace_test trap_test ud_test vcpu_test vmmcall_test xapic_test"

# The script of the machine.
svm_script()
{
	cat <<-'EOS'
		#!/bin/sh
		failed=0
		extra=
		grep -qw tsc_early_khz=50000 /proc/cmdline && extra="tsc_early_khz=50000 tsc=reliable"
		# guest NAME [OPTION]
		guest()
		{
			timeout 60 ./okvm-run $2 --kernel kernel --initrd initrd --memory 256M \
				--append "quiet $extra" >/tmp/guest 2>&1
			code=$?
			if [ $code -eq 0 ] && grep -q "^Linux " /tmp/guest; then
				echo "ok 1 $1"
			else
				cat /tmp/guest
				echo "not ok 1 $1"
				failed=1
			fi
		}
		guest "Linux guest"
		guest "Linux guest on shadow tables" --mmu=shadow
		# What a test that takes the module out puts back.
		OKVM_PARAMS=$(sed -n 's/^okvm.ko //p' modules)
		export OKVM_PARAMS
		[ -z "$extra" ] && [ "$(nproc)" -eq 1 ] && mv more/* .
		# Bochs runs guest states that VMRUN must refuse. It has a TSC ratio and last branches.
		[ -z "$extra" ] || ln more/hostregs_test more/amd_test .
		for test in *_test; do
			part=
			[ -n "$extra" ] && [ "$test" = hostregs_test ] && part=nothing_is_left
			timeout 60 "./$test" $part >/tmp/out
			code=$?
			sed 's/^/    /' /tmp/out
			if [ $code -eq 0 ] && grep -q '^1\.\.' /tmp/out; then
				echo "ok 1 $test"
			else
				echo "not ok 1 $test"
				failed=1
			fi
		done
		exit $failed
	EOS
}

# svm_payload KERNEL: prints the folder with all that the machine needs; says why on failure.
svm_payload()
{
	local kernel=$1 payload build test into upstream=kvm_amd
	payload=$(new_payload payload)
	build=$("$testbed/module" "$kernel") || return
	build_tests all >&2 || return
	hoststate_module "$kernel" >&2 || return
	make -s -C "$top/tools/run" >&2 || return
	cp "$build/okvm.ko" "$step_dir/hoststate/hoststate.ko" "$top/build/tools/okvm-run" "$payload/"
	# Linux since 6.12: without VMs, upstream's KVM leaves SVM off only if it is told so.
	[ "$kernel" = dev ] || upstream=$'kvm enable_virt_at_load=0\nkvm_amd'
	# Another hypervisor's host save area and TSC ratio, branches that the host has recorded and BTF
	# of its debugger, and the other hypervisor itself, without VMs.
	printf '%s\n' "hoststate.ko hsave=0x7000 ratio=0x180000000 debugctl=2" "$upstream" okvm.ko \
		>"$payload/modules"
	cp "$("$testbed/kdir" dev)/out/vmlinux" "$payload/kernel"
	"$testbed/guest-initrd" "$payload/initrd" >&2 || return
	mkdir "$payload/more"
	for test in $svm_tests $svm_more; do
		case " $svm_tests " in *" $test "*) into=$payload ;; *) into=$payload/more ;; esac
		strip -o "$into/$test" "$tests_dir/$test" || return
	done
	svm_script >"$payload/run"
	chmod +x "$payload/run"
	echo "$payload"
}

# svm_without_npt PAYLOAD: the same machine, where okvm has shadow paging only. In QEMU's TCG a task
# switch of a guest does not exit, but loads the CR3 of the new task instead of a shadow root.
svm_without_npt()
{
	sed -i 's/^okvm.ko$/okvm.ko npt=0/' "$1/modules"
	rm "$1/more/task_test"
}
