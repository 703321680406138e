#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh [KERNEL]
#
# What `make demo` does, for someone who has never seen device-DAX: installs what is needed, builds
# the modules, starts a virtual machine with the distribution's own kernel, and there shows step by
# step, each step checked, what the modules do (scripts/demo/guest.sh). KERNEL is a name that
# scripts/kernels.sh knows (stock). Nothing is loaded on this machine. Exit status 0 if every check
# held.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# A make that called us means its own work with these.

say() {
	printf 'demo: %s\n' "$*"
}

fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

quietly() { # LOG COMMAND...: its output only if it fails
	local log=$1
	shift
	"$@" >"$log" 2>&1 || {
		cat "$log" >&2
		fail "$* failed"
	}
}

say "installing what is missing (scripts/packages.sh demo)"
"$root/scripts/packages.sh" demo

kernel=${1-stock}
{
	read -r release && read -r kdir
} < <("$root/scripts/kernels.sh" "$kernel" release build) || fail "the kernel $kernel cannot be had"
mkdir -p "$cache"
work=$(mktemp -d "$cache/demo.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "building the modules for $release, if they are not there (scripts/modules.sh $kernel)"
UNIDAX_MODULES=$(KDIR=$kdir "$root/scripts/modules.sh") || fail "they do not build"
export UNIDAX_MODULES
quietly "$work/log" gcc-12 -Wall -Wextra -Werror -O2 -static -o "$work/process" "$root/scripts/demo/process.c"

say "starting a virtual machine with Debian's kernel $release; 256 MiB of its memory is set aside"
status=0
"$root/scripts/vm.sh" --kernel="$kernel" --memory=hmem --mem-size=256M --timeout=120 \
	-- "$root/scripts/demo/guest.sh" "$work" </dev/null | tee "$work/shown" || status=$?

held=$(grep -c '^ *\[ok\]' "$work/shown") || true
if failed=$(grep '^ *\[FAILED\]' "$work/shown"); then
	fail "a check did not hold: ${failed#*] }"
fi
[ "$status" != 99 ] || fail "the machine's kernel complained, see above"
[ "$status" = 0 ] || fail "the demonstration broke off (status $status)"
[ "$held" -gt 0 ] || fail "nothing was checked"
# The machine's runner looks through the kernel's log for warnings, oopses and the like.
printf '    [ok] the kernel logged no complaint from start to end\n\n'
say "all $((held + 1)) checks held."
