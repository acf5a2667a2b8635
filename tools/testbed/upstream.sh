# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Upstream's selftests on a bench machine; sourced by the steps that differ in upstream's version.
# Unmodified, okvm being /dev/kvm. Each is one result. A line of a list is the seconds that a test
# may take, how it shall end (0: passed, 4: skipped by itself, since okvm does not report what it
# is about), its name and its arguments.
# memslot_modification_stress_test changes the library's tree of memory regions while its vCPU threads
# look things up there, without a lock: on two CPUs it fails now and then, the more often the faster
# memory slots change, and with upstream's module too. Then it is run again.
# OKVM_TESTS in the environment is a regular expression for the lines of the lists that are run, OKVM_LOAD has
# parameters for the module, and with OKVM_COMPARE=1 the module is the kernel's own kvm_intel.
# guest_time_bound: guests that spin with interrupts off hang Bochs otherwise.

# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

# upstream_build VERSION: the module and upstream's programs
upstream_build()
{
	build=$("$testbed/module" dev 2>"$step_dir/build.log") ||
		{ not_ok "build"; cat "$step_dir/build.log"; finish; }
	programs=$("$testbed/upstream-selftests" "$1" 2>"$step_dir/programs.log") ||
		{ not_ok "build of upstream's selftests"; cat "$step_dir/programs.log"; finish; }
}

# machine NAME FOLDER PARAMS BENCH-ARGS...: standard input is the list, PARAMS are okvm's. The
# tests find in /sys/module what the step's function upstream_parameters puts there.
machine()
{
	local name=$1 payload params=$3 test
	payload=$(new_payload "$2")
	shift 3
	cp "$build/okvm.ko" "$payload/"
	if [ -n "${OKVM_COMPARE:-}" ]; then
		echo "kvm_intel enable_apicv=0 $params ${OKVM_LOAD:-}"
	else
		echo "okvm.ko device_name=kvm guest_time_bound=500000 $params ${OKVM_LOAD:-}"
	fi >"$payload/modules"
	leave_out_on_tcg | skipped_on_shadow | grep -E "${OKVM_TESTS:-.}" >"$payload/list" || {
		skip "$name" "no test of its list is chosen"
		return 0
	}
	while read -r _ _ test _; do
		cp "$programs/$test" "$payload/" 2>/dev/null ||
			cp "$programs/x86_64/$test" "$payload/" || not_ok "$test was not built"
	done <"$payload/list"
	write_run "$params" >"$payload/run"
	chmod +x "$payload/run"
	bench_ktap "$name" --kernel dev --payload "$payload" --log "$payload.log" "$@"
}

# What upstream's kvm_amd does not pass on that machine either: the debug exit of a guest's INT3
# (debug_regs), TSC scaling and XSAVES, which it has not; and what takes too long there.
leave_out_on_tcg()
{
	if [ "${OKVM_MACHINE:-}" = tcg ]; then
		grep -vE " (debug_regs|tsc_scaling_sync|xss_msr_test|dirty_log_test)( |\$)"
	else
		cat
	fi
}

# On shadow page tables, neither okvm nor upstream has KVM_CAP_PRE_FAULT_MEMORY.
skipped_on_shadow()
{
	case ${OKVM_LOAD:-} in
	*ept=0*) sed 's/ 0 pre_fault_memory_test/ 4 pre_fault_memory_test/' ;;
	*) cat ;;
	esac
}

# What the machine runs.
write_run()
{
	echo "#!/bin/sh"
	upstream_parameters "$1"
	cat <<-'EOS'
		nr=0
		failed=0
		while read -r limit want test args; do
			nr=$((nr + 1))
			# shellcheck disable=SC2086
			for _ in 1 2 3 4 5; do
				timeout "$limit" "./$test" $args >/tmp/out 2>&1
				code=$?
				# What the lookup that lost the race says.
				grep -q "No vm physical memory at" /tmp/out || break
			done
			name="$test${args:+ $args}"
			case $want$code in
			00) echo "ok $nr $name" ;;
			44) echo "ok $nr $name # SKIP by itself: $(sed -n '$s/.*SKIP - //p;$p' /tmp/out | head -n 1)" ;;
			*)
				tail -n 15 /tmp/out | sed 's/^/# /'
				echo "not ok $nr $name"
				failed=1
				;;
			esac
		done <list
		exit $failed
	EOS
}
