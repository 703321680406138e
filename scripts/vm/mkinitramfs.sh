#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mkinitramfs.sh RELEASE MODULES CACHE-DIR
#
# Prints the name of an initramfs for kernel RELEASE, whose modules are in the
# directory MODULES, making it in CACHE-DIR when it is not there yet: static
# busybox, initramfs-init, and the modules that a test machine loads, each list
# of them in load order. Only the list that booting needs must exist.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
release=$1 modules_dir=$2 cache=$3
PATH=$PATH:/usr/sbin:/sbin
busybox=$(command -v busybox)
if ldd "$busybox" >/dev/null 2>&1; then
	echo "mkinitramfs.sh: $busybox is not static: install busybox-static" >&2
	exit 1
fi

mkdir -p "$cache"
tree=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$tree"' EXIT

# modprobe insists on lib/modules/RELEASE below the directory that it is given,
# and is kept from the install commands in this machine's configuration.
mkdir -p "$tree/kmod/lib/modules" "$tree/none" "$tree/root/modules"
ln -s "$modules_dir" "$tree/kmod/lib/modules/$release"

declare -A files=()
list() { # NAME MODULE...
	local name=$1 module steps how file ko
	local -A seen=()
	shift
	for module; do
		steps=$(modprobe -C "$tree/none" -d "$tree/kmod" -S "$release" -D "$module") || return
		# "builtin NAME" or "insmod FILE PARAMETERS"
		while read -r how file _; do
			[ "$how" = insmod ] || continue
			ko=${file##*/}
			ko=${ko%%.ko*}.ko
			# as in /sys/module
			ko=${ko//-/_}
			[ -z "${seen[$ko]-}" ] || continue
			seen[$ko]=1
			files[$ko]=$modules_dir/${file#*"/lib/modules/$release/"}
			echo "$ko"
		done <<<"$steps"
	done >"$tree/root/modules/$name"
}

optional() {
	list "$@" 2>/dev/null || rm -f "$tree/root/modules/$1"
}

list boot virtio_pci 9pnet_virtio 9p
optional configfs configfs
optional dio brd ext4
optional nvdimm nfit
optional pmem nd_e820
optional plant unidax_plant

# A kernel may be rebuilt under the same release, hence size and time.
key=$({
	cat "$here/mkinitramfs.sh" "$here/initramfs-init" "$tree"/root/modules/*
	stat -Lc '%n %s %Y' "$busybox" "${files[@]}"
} | LC_ALL=C sort | sha256sum | cut -c1-16)
image=$cache/$release-$key.cpio
if [ -f "$image" ]; then
	touch -c "$image"
	echo "$image"
	exit
fi

mkdir -p "$tree"/root/{bin,proc,sys,dev,newroot}
cp "$busybox" "$tree/root/bin/busybox"
cp "$here/initramfs-init" "$tree/root/init"
chmod 755 "$tree/root/init"
for ko in "${!files[@]}"; do
	file=${files[$ko]}
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -dcq "$file" ;;
	*.gz) gzip -dc "$file" ;;
	*) cat "$file" ;;
	esac >"$tree/root/modules/$ko"
done
# Not compressed: unpacking costs more in the machine than reading does here.
(cd "$tree/root" && find . | sort | cpio -o -H newc --quiet -R 0:0 --reproducible) >"$tree/image"
mv "$tree/image" "$image"
find "$cache" -maxdepth 1 \( -name '*.cpio' -mtime +7 -o -name 'tmp.*' -mtime +1 \) -exec rm -rf {} +
echo "$image"
