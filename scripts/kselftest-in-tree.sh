#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kselftest-in-tree.sh
#
# Whether selftests/ also works as a folder of a kernel tree: it is copied to drivers/unidax below a
# tools/testing/selftests from the source package, built and installed by that tree's own Makefile,
# and the result must have the tests that are run out of the tree, with settings and config; one of
# them is run by the installed run_kselftest.sh in a virtual machine. Speaks KTAP.
#
# Variables: KDIR, the build folder of the kernel to run; UNIDAX_MODULES, as for scripts/vm.sh.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"
trouble_status=2

target=drivers/unidax
probe=mmap_semantics

if [ "${1-}" = --in-guest ]; then
	installed=$2
	[ -d "$installed" ] || installed=/run/unidax-vm/host$installed
	exec "$installed/run_kselftest.sh" -t "$target:$probe"
fi

command -v rsync >/dev/null || trouble "rsync is missing, which the kernel's own 'make install' wants"

[ -n "${KDIR-}" ] || KDIR=$(make -s --no-print-directory -C "$root" print-kdir)
mkdir -p "$cache"
work=$(mktemp -d "$cache/in-tree.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
tree=$work/linux installed=$work/install

check() { # DESCRIPTION COMMAND...
	if "${@:2}"; then
		ktap pass "$1"
	else
		ktap fail "$1"
	fi
}
not() {
	! "$@"
}

ktap_begin

# The tree: the kernel's part, the tests where a kernel has them, the ABI files where it has those,
# and the header as `make headers' leaves it.
"$root/scripts/kselftest-source.sh" "$tree" >/dev/null || exit 2
tests=$tree/tools/testing/selftests/$target
mkdir -p "$tests" "$tree/usr/include/linux" "$tree/Documentation/ABI/testing"
# Folders of tests that drive virtual machines themselves stay at home.
rsync -a --include=/modules/ --exclude='/*/' --exclude='.*.cmd' "$root/selftests/" "$tests/"
cp "$root"/Documentation/ABI/testing/* "$tree/Documentation/ABI/testing/"
cp "$root"/include/uapi/linux/unidax.h "$tree/usr/include/linux/"

install_tests() {
	make -C "$tree/tools/testing/selftests" TARGETS="$target" FORCE_TARGETS=1 KDIR="$KDIR" \
		USERCFLAGS=-Werror KSFT_INSTALL_PATH="$installed" install >"$work/log" 2>&1 && return
	sed 's/^/# | /' "$work/log"
	return 1
}
check 'make install' install_tests

names() { # LIST
	cut -d: -f2 "$1" | sort
}
same_list() { # LIST: the installed tests are those that are run out of the tree
	diff <(names "$1") <("$root/scripts/kselftest.sh" --list | sort) >"$work/diff" && [ -s "$1" ] && return
	sed 's/^/# | /' "$work/diff"
	return 1
}
list=$installed/kselftest-list.txt
check 'the same tests as out of the tree' same_list "$list"
sed '$d' "$list" >"$work/short"
check 'a list that misses one is told from it' not same_list "$work/short"

complete() { # DIRECTORY: what it must hold besides the binaries
	local file missing=0
	for file in settings config unidax_override.ko $(names "$list"); do
		[ -e "$1/$file" ] || {
			echo "# $file is not installed"
			missing=1
		}
	done
	return $missing
}
check 'everything is installed' complete "$installed/$target"

# An option that no Kconfig knows would never be set. The kernel's own configuration has the real
# ones, set or not.
real_options() { # CONFIG
	local option unknown=0
	while IFS='=' read -r option _; do
		[ "$option" ] || continue
		grep -qE "^(# )?$option(=| is not set)" "$KDIR/.config" || {
			echo "# $option is no option of this kernel"
			unknown=1
		}
	done <"$1"
	return $unknown
}
check 'config has real options' real_options "$root/selftests/config"
echo CONFIG_UNIDAX_NO_SUCH_OPTION=y >"$work/config"
check 'an invented option is told from them' not real_options "$work/config"

run_installed() {
	UNIDAX_EXPECT_ALIGNS=2097152 "$root/scripts/vm.sh" --memory=hmem --mem-size=128M --load -- \
		"$root/scripts/kselftest-in-tree.sh" --in-guest "$installed" </dev/null >"$work/tap" 2>"$work/err"
}
run_one() {
	local status=0
	run_installed || status=$?
	[ "$status" = 0 ] && grep -q "^ok 1 selftests: $target: $probe\$" "$work/tap" &&
		grep -qE '^# ok [0-9]+ mmap_semantics\.2m' "$work/tap" && return
	sed 's/^/# | /' "$work/tap" "$work/err"
	return 1
}
UNIDAX_MODULES=$(KDIR=$KDIR "$root/scripts/modules.sh") || trouble "the modules do not build"
export UNIDAX_MODULES
check "run_kselftest.sh runs $probe" run_one

ktap_end
