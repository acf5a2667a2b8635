# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the steps of `make check` share. A step sources this, calls the functions below in any
# order and ends with `finish`. Results are KTAP on standard output.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Where a step may write; the driver makes it.
step_dir=${OKVM_STEP_DIR:-$top/build/check/$(basename "$0")}
mkdir -p "$step_dir"
step_number=0
step_failed=0
echo "KTAP version 1"

ok()
{
	step_number=$((step_number + 1))
	echo "ok $step_number $1"
}

not_ok()
{
	step_number=$((step_number + 1))
	step_failed=$((step_failed + 1))
	echo "not ok $step_number $1"
}

skip()
{
	step_number=$((step_number + 1))
	echo "ok $step_number $1 # SKIP $2"
}

# try NAME CMD...: one test; it passes if the command, run in a subshell, does. What it prints is
# shown if it fails.
try()
{
	local name=$1 log
	shift
	log=$step_dir/$(tr -c 'A-Za-z0-9._\n-' _ <<<"$name").log
	if ("$@") >"$log" 2>&1; then
		ok "$name"
	else
		not_ok "$name"
		tail -n 100 "$log" | sed 's/^/# /'
	fi
}

# silent NAME CMD...: like try, but a command that prints anything has failed too.
silent() { try "$1" silent_run "${@:2}"; }
silent_run()
{
	local text
	text=$("$@" 2>&1) || { printf '%s\n' "$text"; return 1; }
	[ -z "$text" ] || { printf '%s\n' "$text"; return 1; }
}

# bench_ktap NAME ARGS...: run tools/testbed/bench; its payload prints the results. One more
# result, of the name given, says whether the machine ended as it should: 0, or 1 for a payload
# that tells with it that some of its tests failed.
bench_ktap()
{
	local name=$1 code=0
	shift
	"$testbed/bench" "$@" || code=$?
	echo
	bench_ended "$name" "$code"
}

# bench_ended NAME CODE: the result that bench_ktap adds, for the exit code of the bench
bench_ended()
{
	case $2 in
	0 | 1) ok "$1 ended" ;;
	123) not_ok "$1: the kernel complained" ;;
	124) not_ok "$1: hung" ;;
	125) not_ok "$1: panicked" ;;
	*) not_ok "$1: exit status $2" ;;
	esac
}

# The folder of the kselftests that build_tests builds.
tests_dir=$top/build/selftests

# build_tests all|TEST...: build these kselftests, once for all steps that want them.
build_tests()
{
	[ "$1" != all ] || set --
	mkdir -p "$tests_dir"
	flock "$tests_dir/.lock" make -s -C "$top/selftests" "${@/#/$tests_dir/}"
}

# new_payload NAME: an empty folder for the payload of a bench; prints it.
new_payload()
{
	rm -rf "${step_dir:?}/${1:?}"
	mkdir -p "$step_dir/$1"
	echo "$step_dir/$1"
}

# hoststate_module KERNEL: by which hostregs_test sees the registers of the kernel
hoststate_module()
{
	local tree=$step_dir/hoststate
	rm -rf "$tree"
	cp -r "$testbed/hoststate" "$tree"
	case $1 in
	stock-7) "$testbed/kernel-7" --make "$tree" -s modules ;;
	*) make -s -C "$("$testbed/kdir" "$1")" M="$tree" modules ;;
	esac
}

finish()
{
	echo "1..$step_number"
	[ $step_failed -eq 0 ]
	exit
}
