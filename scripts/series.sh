#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# series.sh [--check] [--built-in] [--no-vm] [--out=FOLDER] [KERNEL]
#
# The driver as a patch series for a kernel tree; usage() has the words. What goes where is in
# scripts/series/patches.py, Documentation/patch-series.rst says more.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trouble_status=2

usage() {
	cat <<'END'
usage: scripts/series.sh [options] [KERNEL]

  --check       also try it: git am, a build of each patch, modules, sparse,
                checkpatch.pl, get_maintainer.pl, the selftests of the tree's
                modules in a virtual machine
  --built-in    also try it as a part of the kernel: all of it is built, with the
                driver =y, and runs the selftests; minutes, the first time, and
                3 GB in the cache
  --no-vm       either without the virtual machine
  --out=FOLDER  where the patches go (SERIES_OUT, else into the cache)

KERNEL is a name that scripts/kernels.sh knows (6.12) or the folder of a kernel
source, for which there is neither: it has no configuration and no symbol
versions.
Exit status: 0, 1 if something failed, 2 if it could not be tried.
END
}

out=${SERIES_OUT-} check=() kernel='' options=()
for arg; do
	case $arg in
	--check) check+=(check.py) ;;
	--built-in) check+=(builtin.py) ;;
	--no-vm) options+=("$arg") ;;
	--out=*) out=${arg#*=} ;;
	--help | -h) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) kernel=$arg ;;
	esac
done
kernel=${kernel:-6.12}

build=''
if [[ $kernel = */* ]]; then
	[ -f "$kernel/MAINTAINERS" ] || trouble "$kernel is no kernel source"
	[ ${#check[@]} = 0 ] || trouble "to try it wants a kernel's name, not a folder"
	source=$(cd "$kernel" && pwd -P)
else
	source=$("$root/scripts/kernels.sh" "$kernel" source) || trouble "no source of $kernel"
	source=$(cd "$source" && pwd -P)
	[ ${#check[@]} = 0 ] || build=$("$root/scripts/kernels.sh" "$kernel" build) || trouble "no headers of $kernel"
fi

work=$cache/series/$(basename "$source")
# Trees of the packages before this one serve nobody any more.
if [[ $kernel != */* && ${work##*/} =~ ^(linux-source-[0-9.]+)- ]]; then
	for old in "${work%/*}/${BASH_REMATCH[1]}"-*; do
		[ "$old" = "$work" ] || rm -rf "$old"
	done
fi
mkdir -p "$work"
exec {lock}>"$work/lock"
flock "$lock"

out=${out:-$work/patches}
began=$SECONDS
/usr/bin/python3 "$root/scripts/series/make.py" --source "$source" --out "$out" --cache "$cache"
printf 'series: %d patches, %d KiB, %d s: %s\n' "$(find "$out" -name '????-*.patch' ! -name '0000-*' | wc -l)" \
	"$(du -ck "$out"/????-*.patch | tail -n 1 | cut -f1)" $((SECONDS - began)) "$out"
status=0
for script in "${check[@]}"; do
	/usr/bin/python3 "$root/scripts/series/$script" --kernel "$kernel" --source "$source" --build "$build" \
		--patches "$out" --work "$work" "${options[@]}" || status=1
done
exit $status
