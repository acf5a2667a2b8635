# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts of the testbed share. Sourced, never run.

set -euo pipefail

# The build trees and files of the cache must not depend on who happens to call.
umask 022
export LC_ALL=C

testbed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$testbed/../.." && pwd)
cache=${OKVM_CACHE:-/var/cache/okvm}
# A user who may not write there has a cache of his own.
[ -n "${OKVM_CACHE:-}" ] || [ "$(id -u)" = 0 ] || [ -w "$cache" ] ||
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/okvm
export OKVM_CACHE=$cache
ncpu=${OKVM_JOBS:-$(nproc)}

# A pyenv or a virtual environment in PATH must not change what the scripts do.
export PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# `--help` of every script that sources this, before it does anything: the comment at its head.
case ${1:-} in
-h | --help)
	sed -n '3,${/^#/!q;/^# *shellcheck/d;s/^# \{0,1\}//p}' "$0" | sed '1{/^$/d}'
	exit 0
	;;
esac

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 2; }

# with_lock NAME CMD...: one process at a time builds a thing of the cache, the others wait for it.
with_lock()
{
	local lock_name=$1
	shift
	mkdir -p "$cache/locks"
	exec {lock_fd}>"$cache/locks/$lock_name"
	if ! flock -n "$lock_fd"; then
		say "waiting for another process that prepares $lock_name"
		flock "$lock_fd"
	fi
	"$@"
	exec {lock_fd}>&-
}

# need PACKAGE REASON [COMMAND-OR-FILE]: install a Debian package unless it, or the
# command or file it is wanted for, is there. Collected by need_install.
need_list=()
need()
{
	local pkg=$1 why=$2 probe=${3:-}
	case $probe in
	/*) [ -e "$probe" ] && return 0 ;;
	?*) command -v "$probe" >/dev/null 2>&1 && return 0 ;;
	*) dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null | grep -qx installed && return 0 ;;
	esac
	say "setup: $pkg is missing: $why"
	need_list+=("$pkg")
}

need_install()
{
	[ ${#need_list[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "run as root, or: sudo apt-get install ${need_list[*]}"
	if ! apt_get install "${need_list[@]}"; then
		apt_get update
		apt_get install "${need_list[@]}"
	fi
	need_list=()
}

apt_get()
{
	DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 \
		--no-install-recommends "$@" >&2
}

# The version of the sources that a kernel of the bench is built from.
source_version() { dpkg-query -W -f '${Version}' "linux-source-${1:-6.1}"; }
