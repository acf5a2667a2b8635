# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Packages of another Debian suite in a folder, without touching the system: a private apt root
# (own lists, cache and dpkg status) fetches them and all that they depend on from the mirror that
# this system already uses. Sourced after lib.sh.

# The Debian mirror of the system's own apt configuration.
mirror()
{
	local codename
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	apt-get indextargets --format "\$(RELEASE) \$(REPO_URI)" 'Created-By: Packages' |
		awk -v suite="$codename" '$1 == suite && !n++ { print $2 }'
}

# private_apt DIR ARGS...
private_apt()
{
	local apt=$1/apt
	shift
	apt-get -y -q -o Dir="$apt" -o Dir::State="$apt/state" \
		-o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
		-o Dir::Etc="$apt/etc" -o Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d \
		-o APT::Architecture="${debian_arch:-amd64}" -o APT::Architectures="${debian_arch:-amd64}" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o APT::Install-Recommends=false -o Debug::NoLocking=true "$@"
}

# debian_root DIR SUITE[,NEWER] PACKAGE...: make DIR/root of the packages; what apt says goes to
# DIR/apt.log. The packages are those of NEWER, if it is given, what they depend on is of either. Their
# architecture is debian_arch, if the caller has set it, or amd64.
debian_root()
{
	local dir=$1 suite=${2%,*} newer=${2#*,} uri deb
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	shift 2
	uri=$(mirror)
	[ -n "$uri" ] || die "apt-get indextargets names no Debian mirror to get $1 from"
	say "fetching $1 of Debian $newer into $dir (once)"
	rm -rf "$dir"
	mkdir -p "$dir"/apt/{state/lists/partial,cache/archives/partial,etc/preferences.d} \
		"$dir"/apt/etc/{apt.conf.d,sources.list.d} "$dir/root"
	: >"$dir/apt/status"
	printf "deb [signed-by=$keyring] $uri %s main\n" "$suite" "$newer" | sort -u \
		>"$dir/apt/etc/sources.list"
	private_apt "$dir" update >"$dir/apt.log" 2>&1 || return 1
	private_apt "$dir" --download-only -t "$newer" install "$@" >>"$dir/apt.log" 2>&1 || return 1
	for deb in "$dir"/apt/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -C "$dir/root" -xf - || return 1
	done
	rm -rf "$dir/apt"
}
