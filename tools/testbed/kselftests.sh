# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Own kselftests on a bench machine; sourced by the steps that differ in the host's kernel.

# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

# Each program prints its own results; one that ends without its plan line, or hangs, is a failure.
kselftests_script()
{
	cat <<-'EOS'
		#!/bin/sh
		failed=0
		# NAME PROGRAM
		judge()
		{
			began=$(cut -d. -f1 /proc/uptime)
			timeout 300 "./$2" >/tmp/out
			code=$?
			sed 's/^/    /' /tmp/out
			took=$(($(cut -d. -f1 /proc/uptime) - began))
			[ "$took" -lt 3 ] || echo "# $1 took $took s of the machine's time"
			if [ "$(parameters)" != "$before" ]; then
				echo "# it leaves okvm with other parameters: later tests are not what they seem"
				code=1
			fi
			if [ $code -eq 0 ] && grep -q '^1\.\.' /tmp/out; then
				echo "ok 1 $1"
			else
				echo "not ok 1 $1"
				failed=1
			fi
		}
		parameters() { (cd /sys/module/okvm/parameters && grep . ./*); }
		# What a test that takes the module out puts back.
		OKVM_PARAMS=$(sed -n 's/^okvm.ko //p' modules 2>/dev/null)
		export OKVM_PARAMS
		before=$(parameters)
		for test in *_test; do
			judge "$test" "$test"
		done
		while read -r program params; do
			rmmod okvm
			# shellcheck disable=SC2086
			insmod okvm.ko $params
			OKVM_PARAMS=$params
			before=$(parameters)
			judge "$program $params" "$program"
		done <again
		exit $failed
	EOS
}

# kselftests KERNEL [MODULE-PARAMETERS...]: all of them but those that $leave_out names, with okvm
# loaded with these parameters; then those of the lines on standard input (PROGRAM
# MODULE-PARAMETERS...) with theirs.
kselftests()
{
	local kernel=$1 payload build test
	shift
	payload=$(new_payload payload)
	build=$("$testbed/module" "$kernel" 2>"$step_dir/build.log") ||
		{ not_ok "build"; cat "$step_dir/build.log"; return; }
	build_tests all >"$step_dir/selftests.log" 2>&1 ||
		{ not_ok "build of the tests"; cat "$step_dir/selftests.log"; return; }
	hoststate_module "$kernel" >"$step_dir/hoststate.log" 2>&1 ||
		{ not_ok "build of hoststate.ko"; cat "$step_dir/hoststate.log"; return; }
	cp "$build/okvm.ko" "$step_dir/hoststate/hoststate.ko" "$payload/"
	if [ $# -gt 0 ]; then
		printf "%s\n" hoststate.ko "okvm.ko $*" >"$payload/modules"
	fi
	for test in "$top"/selftests/*_test.c; do
		test=$(basename "$test" .c)
		[[ " ${leave_out:-} " != *" $test "* ]] || continue
		strip -o "$payload/$test" "$tests_dir/$test"
	done
	cat >"$payload/again"
	kselftests_script >"$payload/run"
	chmod +x "$payload/run"
	bench_ktap "kselftest machine" --kernel "$kernel" --timeout 1000 --payload "$payload" \
		--log "$step_dir/console.log"
}
