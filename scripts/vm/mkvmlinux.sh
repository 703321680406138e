#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mkvmlinux.sh RELEASE BZIMAGE CACHE-DIR
#
# Prints the name of what QEMU should boot for BZIMAGE: the kernel proper, taken
# out of it into CACHE-DIR once, because under TCG its own unpacking takes 3 s of
# every boot. When that cannot be done, or when the kernel was built without the
# entry point for it (CONFIG_PVH), it prints BZIMAGE itself. Booting so also
# leaves out KASLR, so that addresses are the same from run to run.
set -euo pipefail
release=$1 image=$2 cache=$3

key=$(stat -Lc '%n %s %Y' "$image" | sha256sum | cut -c1-16)
kernel=$cache/$release-$key.vmlinux
if [ -f "$kernel" ]; then
	touch -c "$kernel"
	[ -s "$kernel" ] || kernel=$image
	echo "$kernel"
	exit
fi

# Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length.
number() { # OFFSET SIZE
	od -An -tu"$2" -j "$1" -N "$2" "$image" | tr -d ' '
}
offset=$((($(number 0x1f1 1) + 1) * 512 + $(number 0x248 4)))
# The last four bytes are the unpacked size, not part of the stream.
length=$(($(number 0x24c 4) - 4))

payload() {
	head -c $((offset + length)) "$image" | tail -c +$((offset + 1))
}

mkdir -p "$cache"
new=$(mktemp "$cache/tmp.XXXXXX")
trap 'rm -f "$new"' EXIT
case $(od -An -tx1 -j "$offset" -N 4 "$image") in
' fd 37 7a 58') unpack=(xz -dc) ;;
' 28 b5 2f fd') unpack=(zstd -dcq) ;;
' 1f 8b '*) unpack=(gzip -dc) ;;
' 02 21 4c 18') unpack=(lz4 -dc) ;;
*) unpack=(false) ;;
esac
# A failure leaves an empty file, which says not to try again. The ELF note of
# the entry point is Xen's number 18.
payload | "${unpack[@]}" >"$new" 2>/dev/null || : >"$new"
readelf -n "$new" 2>/dev/null | grep -q 'Unknown note type: (0x00000012)' || : >"$new"
mv "$new" "$kernel"
find "$cache" -maxdepth 1 -name '*.vmlinux' -mtime +7 -delete
[ -s "$kernel" ] || kernel=$image
echo "$kernel"
