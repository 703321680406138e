#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug-kernel.sh [--path]
#
# Builds the debug kernel for scripts/vm.sh --kernel=debug from Debian's source package, once for
# each version of the package, of scripts/debug-kernel.config and of the compiler: KASAN, lockdep,
# kmemleak, fault injection and mainline's device-DAX, trimmed to what the virtual machine needs.
# Prints where it is; --path does only that. The build folder stays, without its objects: modules
# are built against it (make KDIR=…/build).
#
# Whoever comes while another builds waits for it. What an interrupted build left is thrown away,
# and so are kernels of earlier configurations when there is a new one.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

config=$root/scripts/debug-kernel.config
cc=gcc-12

# Objects that KASAN does not instrument: the machine's entry by PVH, which runs before there is a
# shadow (the kernel dies there without a word), and the watchers, half of whose time it would cost
# to watch them.
unwatched=(enlighten lockdep kmemleak debugobjects unwind_frame)
variables=()
for object in "${unwatched[@]}"; do
	variables+=("KASAN_SANITIZE_$object.o=n")
done

say() {
	printf 'debug-kernel: %s\n' "$*" >&2
}

trouble() {
	say "$*"
	exit 2
}

# unpack ARCHIVE FOLDER
unpack() {
	local tmp
	say "unpacking $1"
	mkdir -p "$cache/src"
	rm -rf "$cache"/src/.unpack-debug.*
	tmp=$(mktemp -d "$cache/src/.unpack-debug.XXXXXX")
	tar -C "$tmp" --strip-components=1 -xf "$1"
	chmod 755 "$tmp"
	mv -T "$tmp" "$2"
}

# configure FOLDER: as scripts/debug-kernel.config says, and not a bit otherwise. An option that a
# dependency took away would make a test believe what it does not see.
configure() {
	local line option value missing=0
	say "configuring"
	"${build[@]}" tinyconfig >/dev/null
	"$source/scripts/kconfig/merge_config.sh" -m -O "$1" "$1/.config" "$config" >/dev/null
	# Part of what a module must match, so that one built for another configuration does not load.
	echo "CONFIG_LOCALVERSION=\"-debug-${key##*-}\"" >>"$1/.config"
	"${build[@]}" olddefconfig 2>/dev/null
	while read -r line; do
		option=${line%%=*} value=${line#*=}
		if [ "$value" = n ]; then
			! grep -q "^$option=" "$1/.config" && continue
		else
			grep -qx "$line" "$1/.config" && continue
		fi
		say "not as asked: $line"
		missing=1
	done < <(grep -E '^CONFIG_' "$config")
	[ "$missing" = 0 ] || trouble "the configuration did not come out as scripts/debug-kernel.config says"
}

# The kernel itself, into $kernel.
build_kernel() {
	local began=$SECONDS
	rm -rf "$kernel"
	mkdir -p "$kernel/build"
	# For the modules, too: Debian's source looks here, as its header packages have it.
	echo "CC = $cc" >"$kernel/build/.kernelvariables"
	build=(make -s -C "$source" "O=$kernel/build" "-j$(nproc)" "HOSTCC=$cc" --no-print-directory "${variables[@]}")
	configure "$kernel/build"
	say "building (some ten minutes)"
	"${build[@]}" bzImage modules
	"${build[@]}" "INSTALL_MOD_PATH=$kernel/modules" modules_install
	cp "$kernel/build/arch/x86/boot/bzImage" "$kernel/bzImage"
	# What modules are built with is not made of these, and they are most of it.
	find "$kernel/build" \( -path "$kernel/build/scripts" -o -path "$kernel/build/tools" \) -prune -o \
		-type f \( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name '.tmp_vmlinux*' \) -exec rm -f {} +
	touch "$kernel/.complete"
	say "built in $((SECONDS - began)) s"
}

# The faults that a run of scripts/vm.sh orders (scripts/vm/plant), into the kernel's modules.
build_plant() {
	local work=$kernel/plant installed release sources
	release=$(<"$kernel/build/include/config/kernel.release")
	installed=$kernel/modules/lib/modules/$release/extra
	sources=$(cat "$root"/scripts/vm/plant/* | sha256sum)
	[ "$(cat "$kernel/.plant" 2>/dev/null)" != "$sources" ] || return 0
	rm -rf "$work"
	mkdir -p "$work" "$installed"
	cp "$root"/scripts/vm/plant/* "$work/"
	make -s -C "$kernel/build" "M=$work" modules
	mv "$work/unidax_plant.ko" "$installed/"
	rm -rf "$work"
	/sbin/depmod -b "$kernel/modules" "$release"
	echo "$sources" >"$kernel/.plant"
}

main() {
	local archive package version old
	archive=$(find /usr/src -maxdepth 1 -name 'linux-source-6.1.tar.*' 2>/dev/null | head -n 1)
	[ "$archive" ] || trouble "no kernel source: apt install linux-source-6.1"
	package=linux-source-6.1
	# shellcheck disable=SC2016 # dpkg's own variable
	version=$(dpkg-query -W -f '${Version}' $package 2>/dev/null) || version=$(stat -c %Y "$archive")
	command -v $cc >/dev/null || trouble "no $cc: run scripts/packages.sh test"
	key=$version-$({
		cat "$config"
		echo "${variables[@]}"
		$cc -dumpfullversion
	} | sha256sum | cut -c 1-12)
	kernel=$cache/debug-kernel-$key
	if [ "${1-}" = --path ]; then
		echo "$kernel"
		return
	fi
	[ $# = 0 ] || trouble "usage: scripts/debug-kernel.sh [--path]"

	mkdir -p "$cache"
	exec 9>"$cache/debug-kernel.lock"
	flock -n 9 || {
		say "waiting for another build"
		flock 9
	}
	# What a calling make exports is not meant for this one.
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
	source=$cache/src/$package-$version
	[ -d "$source" ] || unpack "$archive" "$source"
	if [ ! -e "$kernel/.complete" ]; then
		build_kernel
		for old in "$cache"/debug-kernel-*; do
			[ "$old" = "$kernel" ] || rm -rf "$old"
		done
	fi
	build_plant
	ln -sfn "$kernel" "$cache/debug-kernel"
	echo "$kernel"
}

# In one piece, so that an edit of this file does not reach a build that runs.
main "$@"
exit
