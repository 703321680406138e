#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel-source.sh PATH...
#
# Prints the folder of a kernel source in which those files and folders are: taken
# out of the newest Debian source package once, into the user's cache, by the
# package's version. A whole tree of that version that is there already (see
# scripts/debug-kernel.sh) is used instead. What is in the folder is for reading.
# The first call for a path takes some ten seconds, one pass through the archive.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -gt 0 ] || trouble "usage: scripts/kernel-source.sh PATH..."
cache=$cache/src

archive=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.*' 2>/dev/null | sort -V | tail -n 1)
[ "$archive" ] || trouble "no kernel source: apt install linux-source-6.1"
package=$(basename "${archive%.tar.*}")
# shellcheck disable=SC2016 # dpkg's own variables
version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || version=$(stat -c %Y "$archive")

# missing FOLDER PATH...: those paths that the folder has not
missing() {
	local folder=$1 path
	for path in "${@:2}"; do
		[ -e "$folder/$path" ] || printf '%s\n' "$path"
	done
}

whole=$cache/$package-$version
if [ -d "$whole" ] && [ -z "$(missing "$whole" "$@")" ]; then
	printf '%s\n' "$whole"
	exit
fi

parts=$cache/files-${package#linux-source-}-$version
mkdir -p "$parts"
# One at a time: a second caller finds what the first has unpacked.
exec {lock}>"$parts.lock"
flock "$lock"
mapfile -t wanted < <(missing "$parts" "$@")
if [ ${#wanted[@]} -gt 0 ]; then
	printf 'kernel-source: unpacking %s from %s\n' "${wanted[*]}" "$archive" >&2
	tmp=$(mktemp -d "$parts.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	tar -C "$tmp" --strip-components=1 --occurrence=1 -xf "$archive" "${wanted[@]/#/$package/}" ||
		trouble "$archive has not all of them"
	for path in "${wanted[@]}"; do
		mkdir -p "$parts/$(dirname "$path")"
		# At once, so that nobody ever finds half of a folder.
		mv -T "$tmp/$path" "$parts/$path"
	done
fi
printf '%s\n' "$parts"
