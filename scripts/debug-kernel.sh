#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug-kernel.sh [--path]
#
# Builds the debug kernel for scripts/vm.sh --kernel=debug from Debian's source package, once for
# each version of the package and of scripts/debug-kernel.config: KASAN, lockdep, kmemleak, fault
# injection and mainline's device-DAX, trimmed to what the virtual machine needs. --path only prints
# where it is. The build folder stays: modules are built against it (make KDIR=…).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/unidax
config=$root/scripts/debug-kernel.config

say() {
	printf 'debug-kernel: %s\n' "$*" >&2
}

trouble() {
	say "$*"
	exit 2
}

archive=$(find /usr/src -maxdepth 1 -name 'linux-source-6.1.tar.*' 2>/dev/null | head -n 1)
[ "$archive" ] || trouble "no kernel source: apt install linux-source-6.1"
# shellcheck disable=SC2016 # dpkg's own variable
version=$(dpkg-query -W -f '${Version}' linux-source-6.1 2>/dev/null) || version=$(stat -c %Y "$archive")
key=$version-$(sha256sum "$config" "${BASH_SOURCE[0]}" | sha256sum | cut -c 1-12)
kernel=$cache/debug-kernel-$key
link=$cache/debug-kernel

if [ "${1-}" = --path ]; then
	echo "$kernel"
	exit
fi

if [ ! -e "$kernel/.complete" ]; then
	began=$SECONDS
	mkdir -p "$cache/src"
	source=$cache/src/linux-source-6.1-$version
	if [ ! -d "$source" ]; then
		say "unpacking $archive"
		tmp=$(mktemp -d "$cache/src/.unpack.XXXXXX")
		tar -C "$tmp" --strip-components=1 -xf "$archive"
		mv -T "$tmp" "$source"
	fi

	mkdir -p "$kernel/build"
	build=(make -C "$source" "O=$kernel/build" "-j$(nproc)" CC=gcc-12 HOSTCC=gcc-12 --no-print-directory)
	say "configuring"
	"${build[@]}" -s tinyconfig >/dev/null
	"$source/scripts/kconfig/merge_config.sh" -m -O "$kernel/build" "$kernel/build/.config" "$config" \
		>/dev/null
	"${build[@]}" -s olddefconfig >/dev/null

	# An option that a dependency took away would make a test believe what it does not see.
	missing=0
	while read -r line; do
		option=${line%%=*} value=${line#*=}
		if [ "$value" = n ]; then
			! grep -q "^$option=" "$kernel/build/.config" && continue
		else
			grep -qx "$line" "$kernel/build/.config" && continue
		fi
		say "not as asked: $line"
		missing=1
	done < <(grep -E '^CONFIG_' "$config")
	[ "$missing" = 0 ] || trouble "the configuration did not come out as scripts/debug-kernel.config says"

	say "building (some ten minutes)"
	"${build[@]}" -s bzImage modules
	"${build[@]}" -s "INSTALL_MOD_PATH=$kernel/modules" modules_install
	cp "$kernel/build/arch/x86/boot/bzImage" "$kernel/bzImage"
	touch "$kernel/.complete"
	say "built in $((SECONDS - began)) s"
fi
ln -sfn "$kernel" "$link"
echo "$kernel"
