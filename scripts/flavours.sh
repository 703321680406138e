#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# flavours.sh [KERNEL]...
#
# What is asked of the kernels that scripts/kernels.sh lists beside the plain ones, or
# of those named: the modules build, the gates on types and linked objects pass, and
# where the kernel comes up in the virtual machine, they load there, make a device
# of 4 KiB pages (without transparent huge pages a kernel has no others), resize it and
# go again. Speaks KTAP.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"

cd "$root"
gates='layout objects'

guest() { # in the machine: FOLDER of the modules
	local device=/sys/class/dax/dax0.0
	cd "$1"
	insmod unidax.ko
	insmod providers/reserved/unidax_reserved.ko range="$UNIDAX_RESERVED,align=4K"
	[ -c /dev/dax0.0 ]
	[ "$(cat $device/size)" = $((32 << 20)) ]
	echo $((8 << 20)) >$device/size
	[ "$(cat $device/size)" = $((8 << 20)) ]
	rmmod unidax_reserved unidax
	[ ! -e /dev/dax0.0 ]
}
if [ "${1-}" = --in-guest ]; then
	shift
	guest "$@"
	exit
fi

ktap_begin
log=$(mktemp)
trap 'rm -f "$log"' EXIT
kernels=("$@")
[ $# -gt 0 ] || mapfile -t kernels < <(scripts/kernels.sh --list | grep -- -)
for kernel in "${kernels[@]}"; do
	status=0
	# shellcheck disable=SC2086 # words
	scripts/check.sh --kernel="$kernel" --brief=layout $gates >"$log" 2>&1 </dev/null || status=$?
	ktap_of "$kernel: $gates" $status "$log"
	[ $status = 0 ] || continue

	# What the gates have looked at.
	modules=$cache/check/$kernel/tree
	status=0
	scripts/vm.sh --kernel="$kernel" --memory=reserved --mem-size=32M -- "$PWD/scripts/flavours.sh" \
		--in-guest "$modules" >"$log" 2>&1 </dev/null || status=$?
	case $status in
	0) ktap pass "$kernel: makes a device, resizes it, goes" ;;
	125) ktap skip "$kernel: loads" "it does not come up: $(tail -n 1 "$log")" ;;
	*)
		sed 's/^/# | /' "$log"
		ktap fail "$kernel: loads" "status $status"
		;;
	esac
done
ktap_end
