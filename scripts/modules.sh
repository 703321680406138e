#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# modules.sh [options] [KERNEL]
#
# The one way to the modules that fit a kernel: prints a folder, laid out like the
# project, that has them. It writes nothing into the tree. usage() has the rest.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
	cat <<'END'
usage: scripts/modules.sh [options] [KERNEL]

KERNEL is a name that scripts/kernels.sh knows (stock); or KDIR is set, to the
build folder of a kernel. What is printed is

  what UNIDAX_MODULES says, if it says anything;
  the project, if what `make` left there was built for this kernel and no source
      has changed since;
  else a folder in the cache, whose name comes from the content of the sources, the
      kernel and the compiler. It is made if it is not there, and not written to
      afterwards.

With an option it is a folder in the cache in any case:

  --flags=FLAGS    for the compiler: -DUNIDAX_TEST_FAULT_DELAY, a fault that can be
                   told to take its time, is what only tests want
  --edit=FILE --script=SCRIPT
                   FILE of the sources is edited by sed's SCRIPT, which has to
                   change something: a planted fault
  --gates=NAMES    these gates of scripts/check.sh have passed in what was built; the
                   file `gates` in the folder has what they said

Any number of these may run at a time. Exit status: 0, or 1 if there are no modules.
END
}

flags='' edited='' script='' gates='' kernel=stock
for arg; do
	case $arg in
	--flags=*) flags=${arg#*=} ;;
	--edit=*) edited=${arg#*=} ;;
	--script=*) script=${arg#*=} ;;
	--gates=*) gates=${arg#*=} ;;
	--help | -h) usage && exit ;;
	-*) usage >&2 && exit 1 ;;
	*) kernel=$arg ;;
	esac
done
PATH=$PATH:/usr/sbin:/sbin

if [ ! "$flags$edited$gates" ] && [ "${UNIDAX_MODULES-}" ]; then
	cd "$UNIDAX_MODULES" || trouble "no folder $UNIDAX_MODULES"
	pwd -P
	exit
fi
if [ ! "${KDIR-}" ]; then
	KDIR=$("$root/scripts/kernels.sh" "$kernel" build) || trouble "$kernel cannot be had"
fi
KDIR=$(readlink -f "$KDIR")
release=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$KDIR/include/generated/utsrelease.h") ||
	trouble "$KDIR is no build folder of a kernel"

products=(unidax.ko providers/hmem/unidax_hmem.ko providers/reserved/unidax_reserved.ko)
# Not made for a kernel whose dax bus is not known (scripts/daxlayout).
optional=(providers/bus/unidax_bus.ko)
# What they are made of. The gates want all of scripts/.
cd "$root"
sources=(Kbuild Makefile core region fs ram cdev providers include
	scripts/Makefile.cplusplus scripts/Makefile.cxx scripts/daxlayout scripts/kheaders)
[ ! "$gates" ] || sources+=(dkms.conf scripts)
list() { # [TEST...]: the sources that pass it
	find "${sources[@]}" -type f ! -name '*.o' ! -name '*.ko' ! -name '*.mod' ! -name '*.mod.c' \
		! -name '.*' ! -name '*.pyc' ! -name modules.order ! -path '*/generated/*' "$@" | sort -u
}

# --- the project's own ---------------------------------------------------------

own_fit() {
	local file newest='' magic
	for file in "${products[@]}"; do
		[ -f "$file" ] || return
		[ "$newest" -nt "$file" ] || newest=$file
	done
	for file in "${optional[@]}"; do
		[ ! -f "$file" ] || [ "$newest" -nt "$file" ] || newest=$file
	done
	magic=$(modinfo -F vermagic unidax.ko) || return
	[ "${magic%% *}" = "$release" ] && [ -z "$(list -newer "$newest")" ]
}
if [ ! "$flags$edited$gates" ] && own_fit; then
	echo "$root"
	exit
fi

# --- the key -------------------------------------------------------------------

identity() {
	printf '%s\n' "$release" "$KDIR" "$flags" "$edited" "$script" "$gates" "${CXX-}"
	for compiler in gcc-12 g++-12 gcc-14 g++-14 ${CXX-}; do
		"$compiler" --version 2>/dev/null | head -n 1 || true
	done
	list | xargs -d '\n' sha256sum "$KDIR/.config" "$KDIR/Module.symvers"
}
key=$(identity | sha256sum | cut -c1-16)
made=$cache/modules/$key
have() {
	[ -e "$made/.complete" ] && touch "$made/.complete" && echo "$made"
}
! have || exit 0

# --- the build -----------------------------------------------------------------

# Where this checkout's last one of the kind was made, so that make does only what has changed.
# One at a time: it is nobody's to load from.
kind=$(printf '%s\n' "$root" "$KDIR" "$flags" "$edited" "$gates" | sha256sum | cut -c1-8)
copy=$cache/builds/$release-$kind
mkdir -p "$copy" "$cache/modules"
exec 9>"$copy.lock"
flock 9
! have || exit 0

new=$(mktemp -d "$cache/modules/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
# Only what differs, whatever its time says. What is no longer a source goes.
list >"$new/list"
if [ -f "$copy/.sources" ]; then
	comm -13 "$new/list" "$copy/.sources" | (cd "$copy" && xargs -r -d '\n' rm -f)
fi
while IFS= read -r file; do
	from=$file
	if [ "$file" = "$edited" ]; then
		from=$new/edited
		sed -e "$script" "$file" >"$from"
		! cmp -s "$file" "$from" || trouble "the edit of $file changes nothing"
	fi
	cmp -s "$from" "$copy/$file" || install -D -m "$(stat -c %a "$file")" "$from" "$copy/$file"
done <"$new/list"
cp "$new/list" "$copy/.sources"
[ "$(identity | sha256sum | cut -c1-16)" = "$key" ] || trouble 'the sources have changed meanwhile'

make -C "$copy" "-j$(nproc)" KDIR="$KDIR" KCFLAGS="$flags" modules >"$copy/log" 2>&1 </dev/null || {
	cat "$copy/log" >&2
	trouble 'the modules do not build'
}
if [ "$gates" ]; then
	# Their scratch files are beside the copy: below it, their Kbuild files would be the copy's own
	# (scripts/Makefile.cxx).
	# shellcheck disable=SC2086 # words
	KDIR=$KDIR XDG_CACHE_HOME=$copy.gates "$copy/scripts/check.sh" $gates >"$new/gates" 2>&1 </dev/null || {
		cat "$new/gates" >&2
		trouble 'the gates do not pass'
	}
fi
for file in "${products[@]}"; do
	install -D -m 644 "$copy/$file" "$new/$file"
done
for file in "${optional[@]}"; do
	[ ! -f "$copy/$file" ] || install -D -m 644 "$copy/$file" "$new/$file"
done
rm -f "$new/list" "$new/edited"
touch "$new/.complete"
chmod 755 "$new"
# Another checkout may have had the same sources; then theirs is as good.
mv -T "$new" "$made" 2>/dev/null || true
have || trouble "$made cannot be made"
# What nobody has asked for in two days.
# Not in .new.*, which others are making; and what another run removes at the same time is gone, too.
{ find "$cache"/modules/*/.complete -mmin +2880 -printf '%h\0' 2>/dev/null || true; } | xargs -r -0 rm -rf
