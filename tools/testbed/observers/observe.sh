#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in a machine, with kvm.ko and its backend and then okvm.ko loaded: who has the folder kvm/ of
# debugfs, and what the tools that read it, and the tracepoints, say of a guest of okvm.

if [ $# -gt 0 ]; then
	echo "usage: observe.sh, in a machine with kvm_intel and okvm.ko loaded"
	exit
fi

d=/sys/kernel/debug
t=/sys/kernel/tracing
okvm=$(find / -xdev -name okvm.ko | head -n 1)
failed=0
nr=0

check()
{
	nr=$((nr + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1: $2, expected $3"
		[ ! -s /tmp/out ] || tail -n 15 /tmp/out | sed 's/^/# /'
		failed=1
	fi
	: >/tmp/out
}

# without TOOL: the reason is in a file, if the tool could not be packed.
without()
{
	[ -e "$1.missing" ] || return 1
	nr=$((nr + 1))
	echo "ok $nr $2 # SKIP $(cat "$1.missing")"
}

# Only okvm has a statistic of this name, and only upstream has the other.
whose()
{
	if [ -e $d/kvm/fast_exits ]; then
		echo okvm
	elif [ -e $d/kvm/l1d_flush ]; then
		echo kvm
	else
		echo nobody
	fi
}

unload_kvm()
{
	rmmod kvm_intel && rmmod kvm
}

: >/tmp/out
check "kvm.ko came first" "$(whose) $([ -e $d/okvm/exits ] && echo okvm/)" "kvm okvm/"
unload_kvm
check "kvm.ko has gone" "$(whose)" okvm
insmod /modules/kvm.ko
check "kvm.ko alone has the name, and no folder" "$(whose)" nobody
insmod /modules/kvm_intel.ko
check "kvm.ko has come, with its backend" "$(whose)" kvm
rmmod okvm
insmod "$okvm"
check "okvm has come after kvm.ko" "$(whose) $([ -e $d/okvm/vms ] && echo okvm/)" "kvm okvm/"
rmmod okvm
check "okvm goes first" "$(whose)" kvm
unload_kvm
insmod "$okvm"
check "okvm is alone" "$(whose)" okvm

# A guest that takes exits all the time, and leaves the tools their time.
printf '\017\242\353\374' >/tmp/cpuid
./okvm-run --flat /tmp/cpuid --stats </dev/null >/dev/null 2>/tmp/guest &
guest=$!
until grep -q "^reason" $d/okvm/vms; do
	kill -0 $guest || break
	usleep 200000
done
# shellcheck disable=SC2046
renice -n 19 -p $(ls /proc/$guest/task) >/dev/null
name=$(sed -n 's/^vm \([0-9-]*\) .*/\1/p' $d/okvm/vms)
check "a guest runs, with its name" "${name%-*}" $guest
check "it has a folder for who lists" "$(cd $d/kvm && echo [0-9]*-*)" "$name"

timeout 100 ./okvm-top --batch 2 >/tmp/out 2>&1
check "okvm-top ends" $? 0
./okvm-top --batch 1 --delay 2 --vm "$name" >/tmp/out 2>&1
check "okvm-top shows exits and their time" \
	"$(awk '$1 == "CPUID" && $3 > 0 && $4 > 0 { print "CPUID" }' /tmp/out)" CPUID

if ! without kvm_stat "kvm_stat -1 -d"; then
	export PYTHONHOME=/payload/kvm_stat/home
	timeout 100 kvm_stat/start kvm_stat/script -1 -d >/tmp/out 2>&1
	check "kvm_stat -1 -d shows exits" \
		"$(awk '$1 == "exits" && $3 > 0 { print "exits" }' /tmp/out)" exits
	timeout 100 kvm_stat/start kvm_stat/script -1 -t -f '^kvm_(exit|entry|cpuid)$' \
		>/tmp/out 2>&1
	check "kvm_stat -1 -t shows CPUIDs" \
		"$(awk '$1 == "kvm_cpuid" && $3 > 0 { print "kvm_cpuid" }' /tmp/out)" kvm_cpuid
	unset PYTHONHOME
fi

if ! without trace-cmd "trace-cmd record -e kvm"; then
	timeout 100 trace-cmd/start record -e kvm -o /tmp/trace.dat sleep 1 >/tmp/out 2>&1
	timeout 100 trace-cmd/start report -i /tmp/trace.dat 2>&1 | head -n 2000 >/tmp/out
	check "trace-cmd record -e kvm has entries, exits, CPUIDs" \
		"$(grep -oE "kvm_(entry|exit|cpuid):" /tmp/out | sort -u | tr -d '\n')" \
		"kvm_cpuid:kvm_entry:kvm_exit:"
	rm -f /tmp/trace.dat
fi

if ! without perf "perf kvm stat"; then
	mkdir /tmp/perf
	cd /tmp/perf || exit 1
	timeout 100 /payload/perf/start kvm stat record -a sleep 1 >/tmp/out 2>&1
	timeout 100 /payload/perf/start kvm stat report >>/tmp/out 2>&1
	cd /payload || exit 1
	check "perf kvm stat has CPUID exits" "$(grep -owm 1 CPUID /tmp/out)" CPUID
	rm -rf /tmp/perf
fi

# Without its backend: what that registers for emergencies clashes with what okvm has for its VM.
i=0
while [ $i -lt 10 ]; do
	insmod /modules/kvm.ko
	rmmod kvm
	i=$((i + 1))
done 2>/tmp/out &
storm=$!
while kill -0 $storm 2>/dev/null; do
	cat $d/kvm/exits $d/kvm/*/exits $d/okvm/vms >/dev/null 2>&1
done
wait $storm
check "after a storm of kvm.ko" "$(whose) $(cd $d/kvm && echo [0-9]*-*)" "okvm $name"

kill $guest
wait $guest
check "the guest's folder goes with it" "$(cd $d/kvm && echo [0-9]*-*)" "[0-9]*-*"
./okvm-top --batch 1 --delay 0.1 >/tmp/out 2>&1
check "okvm-top without a VM" "$(cat /tmp/out)" "okvm has no VM"
./show_test >/tmp/out 2>&1
check "show_test" $? 0
./emergency_test >/tmp/out 2>&1
check "emergency_test" $? 0
rmmod okvm
check "without okvm there is no folder" "$(whose) $(ls -d $d/okvm 2>/dev/null)" "nobody "
./okvm-top --batch 1 >/tmp/out 2>&1
check "okvm-top says so" "$(cat /tmp/out)" "okvm-top: the module okvm is not loaded (modprobe okvm)"
insmod "$okvm"
umount $t 2>/dev/null
umount $d/tracing 2>/dev/null
umount $d
./okvm-top --batch 1 >/tmp/out 2>&1
check "okvm-top says that debugfs is not mounted" \
	"$(sed 's/mounted.*/mounted/' /tmp/out)" "okvm-top: debugfs is not mounted"
dmesg | grep -E 'WARNING:|BUG:|Oops|debugfs:' >/tmp/out
check "the kernel does not complain" "$(wc -l </tmp/out)" 0
echo "1..$nr"
exit $failed
