#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in a machine, with kvm.ko and then okvm.ko loaded: whose the events of the system kvm are,
# whoever comes and goes first, and whatever is enabled meanwhile.

if [ $# -gt 0 ]; then
	echo "usage: names.sh, in a machine with kvm.ko and okvm.ko loaded, beside trace_test"
	exit
fi

t=/sys/kernel/tracing
failed=0
nr=0

check()
{
	nr=$((nr + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1: $2, expected $3"
		failed=1
	fi
}

# By the words in which the event is printed.
whose()
{
	event=${1:-kvm_cpuid}
	if ! [ -e "$t/events/kvm/$event/format" ]; then
		echo nobody
	elif grep -qE '"leaf |reason %s rip' "$t/events/kvm/$event/format"; then
		echo okvm
	else
		echo kvm
	fi
}

count() { find $t/events/kvm -mindepth 1 -maxdepth 1 -name "kvm_*" 2>/dev/null | wc -l; }

okvm=$(find / -xdev -name okvm.ko | head -n 1)
echo 1..22
check "okvm came second" "$(whose)" kvm
all=$(count)
rmmod kvm_intel
rmmod kvm
check "kvm.ko has gone" "$(whose)" okvm
mine=$(count)
check "okvm has fewer" "$([ "$mine" -gt 30 ] && [ "$mine" -lt "$all" ] && echo yes)" yes
insmod /modules/kvm.ko
check "kvm.ko has come" "$(whose)" kvm
check "with all its events" "$(count)" "$all"
rmmod kvm

echo 1 >$t/events/kvm/enable
./trace_test each_cause >/dev/null 2>&1
echo 1 >$t/events/kvm/enable
insmod /modules/kvm.ko
check "kvm.ko has come while all were enabled" "$(whose)" kvm
check "nothing is enabled" "$(cat $t/events/kvm/enable)" 0
cat $t/trace >/dev/null
rmmod kvm
check "and has gone" "$(whose)" okvm

mkdir $t/instances/other
echo 1 >$t/instances/other/events/kvm/kvm_cpuid/enable
insmod /modules/kvm.ko
check "an event that another buffer uses stays" "$(whose)" okvm
rmmod kvm
echo 0 >$t/instances/other/events/kvm/kvm_cpuid/enable
rmdir $t/instances/other
insmod /modules/kvm.ko
check "until it is not used" "$(whose)" kvm
rmmod kvm

# The event by which okvm sees whether kvm.ko has them.
mkdir $t/instances/other
echo 1 >$t/instances/other/events/kvm/kvm_exit/enable
insmod /modules/kvm.ko
check "one event stays, the others are kvm.ko's" "$(whose kvm_exit) $(whose)" "okvm kvm"
rmmod kvm
check "and come back to the one" "$(whose kvm_exit) $(whose)" "okvm okvm"
echo 0 >$t/instances/other/events/kvm/kvm_exit/enable
rmdir $t/instances/other
insmod /modules/kvm.ko
check "which is let go the next time" "$(whose kvm_exit) $(whose)" "kvm kvm"
rmmod kvm

# okvm cannot use okvm_names meanwhile. What the kernel says of names that are taken is right then.
dmesg -c >/tmp/said
echo traceoff >$t/events/okvm/okvm_names/trigger
insmod /modules/kvm.ko
check "with a trigger nothing moves" "$(whose)" okvm
rmmod kvm
echo '!traceoff' >$t/events/okvm/okvm_names/trigger
dmesg -c | grep -v 'Could not create tracefs' >>/tmp/said
insmod /modules/kvm.ko
check "without it all is as before" "$(whose) $(count)" "kvm $all"
rmmod kvm
echo 1 >$t/events/okvm/okvm_names/enable
insmod /modules/kvm.ko
rmmod kvm
check "who has enabled okvm_names keeps it" "$(cat $t/events/okvm/okvm_names/enable)" 1
echo 0 >$t/events/okvm/okvm_names/enable

# Everybody at once.
(while ! [ -e /tmp/stop ]; do
	echo 1 >$t/events/kvm/enable
	echo 1 >$t/events/okvm/enable
	cat $t/events/kvm/kvm_e*/format $t/trace >/dev/null
	echo 0 >$t/events/kvm/enable
	echo 0 >$t/events/okvm/enable
done) 2>/dev/null &
i=0
while [ $i -lt 10 ]; do
	insmod /modules/kvm.ko
	rmmod kvm
	i=$((i + 1))
done
touch /tmp/stop
wait
check "after a storm" "$(whose)" okvm
check "of as many" "$(count)" "$mine"

echo 1 >$t/events/kvm/enable
rmmod okvm
check "without okvm" "$(whose)" nobody
insmod /modules/kvm.ko
insmod "$okvm"
check "okvm comes second" "$(whose)" kvm
rmmod okvm
check "okvm goes first" "$(whose)" kvm
dmesg >>/tmp/said
grep -E 'WARNING:|BUG:|Oops|Could not' /tmp/said |
	grep -vE "Could not create tracefs 'kvm_(cpuid|exit)'" >/tmp/complaints
check "complaints of the kernel: $(head -n 1 /tmp/complaints)" "$(wc -l </tmp/complaints)" 0
exit $failed
