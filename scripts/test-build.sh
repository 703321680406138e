#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test-build.sh NAME [FLAGS [FILE SCRIPT]]
#
# Builds the modules from a copy of the tree in the cache, and prints the folder that
# has them, laid out like the project. The modules of the project itself stay as they
# are. NAME is the folder's; each keeps to one kernel and one kind, or it is built anew
# each time. FLAGS go to the compiler: -DUNIDAX_TEST_FAULT_DELAY, a fault that can be
# told to take its time, is what only tests want. FILE of the copy is edited by sed's
# SCRIPT, which has to change something: a planted fault.
#
# Variables: KDIR, the build folder of the kernel to run.
set -euo pipefail

name=$1 flags=${2-} edited=${3-} script=${4-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/unidax
copy=$cache/builds/$name
mkdir -p "$copy"

# One at a time.
exec 9>"$copy.lock"
flock 9

# Sources only, and only what differs, whatever its time says (another checkout may
# have been here before): so make does again what has changed. What is no longer a
# source goes.
list=$(mktemp "$copy.XXXXXX")
trap 'rm -f "$list" "$list.edited"' EXIT
(cd "$root" && find Kbuild Makefile dkms.conf core region fs ram cdev providers include scripts -type f \
	! -name '*.o' ! -name '*.ko' ! -name '*.mod' ! -name '*.mod.c' ! -name '.*' \
	! -name modules.order ! -path 'core/generated/*' | sort) >"$list"
if [ -f "$copy/.sources" ]; then
	comm -13 "$list" "$copy/.sources" | (cd "$copy" && xargs -r -d '\n' rm -f)
fi
while IFS= read -r file; do
	from=$root/$file
	if [ "$file" = "$edited" ]; then
		from=$list.edited
		sed -e "$script" "$root/$file" >"$from"
		! cmp -s "$root/$file" "$from" || {
			echo "test-build.sh: the edit of $file changes nothing" >&2
			exit 1
		}
	fi
	cmp -s "$from" "$copy/$file" || install -D -m "$(stat -c %a "$root/$file")" "$from" "$copy/$file"
done <"$list"
cp "$list" "$copy/.sources"

unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
make -C "$copy" "-j$(nproc)" ${KDIR:+KDIR="$KDIR"} KCFLAGS="$flags" modules >"$copy/log" 2>&1 || {
	cat "$copy/log" >&2
	echo 'test-build.sh: the modules do not build' >&2
	exit 1
}
printf '%s\n' "$copy"
