#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test-build.sh
#
# Builds the modules a second time, from a copy of the tree in the cache, with
# what only tests want: a fault that can be told to take its time
# (UNIDAX_TEST_FAULT_DELAY). Prints the folder that has them, laid out like the
# project. The modules of the project itself stay as they are.
#
# Variables: KDIR, the build folder of the kernel to run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/unidax
copy=$cache/test-build
mkdir -p "$copy"

# One at a time.
exec 9>"$cache/test-build.lock"
flock 9

# Sources only, and only what differs, whatever its time says (another checkout may
# have been here before): so make does again what has changed. What is no longer a
# source goes.
list=$(mktemp "$cache/test-build.XXXXXX")
trap 'rm -f "$list"' EXIT
(cd "$root" && find Kbuild Makefile core region fs cdev providers include scripts -type f \
	! -name '*.o' ! -name '*.ko' ! -name '*.mod' ! -name '*.mod.c' ! -name '.*' \
	! -name modules.order ! -path 'core/generated/*' | sort) >"$list"
if [ -f "$copy/.sources" ]; then
	comm -13 "$list" "$copy/.sources" | (cd "$copy" && xargs -r -d '\n' rm -f)
fi
while IFS= read -r file; do
	cmp -s "$root/$file" "$copy/$file" || (cd "$root" && cp --parents -t "$copy" "$file")
done <"$list"
cp "$list" "$copy/.sources"

unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
make -C "$copy" ${KDIR:+KDIR="$KDIR"} KCFLAGS=-DUNIDAX_TEST_FAULT_DELAY modules >"$copy/log" 2>&1 || {
	cat "$copy/log" >&2
	echo 'test-build.sh: the modules do not build' >&2
	exit 1
}
printf '%s\n' "$copy"
