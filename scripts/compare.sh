#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# compare.sh [--kernel=stock|debug|FILE] [CASE]...
#
# Runs selftests/regressions.c against the kernel's own device-DAX driver and against unidax, on the
# same memory and the same kernel in virtual machines, and prints a table of who survives what. After
# a case that was not passed a new machine goes on with the next one, so that no case suffers from
# another. Mainline's answers are observations; the exit status is 0 when unidax passed everything
# (or skipped it where mainline's driver did), 1 when not, 2 when nothing could be run.
#
# Variables: KDIR, the build folder of the kernel to run (default: the newest installed; with
# --kernel=debug, its own); UNIDAX_MODULES, a folder laid out like the project with modules to test.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trouble_status=2


usage() {
	sed -n '3,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed '$d'
}

# --- in the virtual machine --------------------------------------------------

# One process for each case, and an end at the first that is not passed: what it
# left behind is nobody else's trouble.
guest() { # BINARY CASE...
	local binary=$1 name status
	shift
	for name; do
		echo "compare: begin $name"
		status=0
		UNIDAX_CASE=$name "$binary" 2>&1 || status=$?
		echo "compare: end $name $status"
		[ "$status" = 0 ] || return 0
	done
}

if [ "${1-}" = --in-guest ]; then
	shift
	guest "$@"
	exit
fi

# --- what to run -------------------------------------------------------------

kernel=stock wanted=()
for arg; do
	case $arg in
	--kernel=*) kernel=${arg#*=} ;;
	--help | -h) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) wanted+=("$arg") ;;
	esac
done
mapfile -t cases < <(sed -nE 's/^TEST_F(_TIMEOUT)?\(regressions, ([a-z0-9_]+).*/\2/p' "$root/selftests/regressions.c")
for name in "${wanted[@]}"; do
	[[ " ${cases[*]} " = *" $name "* ]] || trouble "no case is called $name; there are: ${cases[*]}"
done
[ ${#wanted[@]} = 0 ] || cases=("${wanted[@]}")

if [ "$kernel" = stock ]; then
	KDIR=${KDIR:-$(make -s --no-print-directory -C "$root" print-kdir)}
else
	KDIR=$("$root/scripts/kernels.sh" "$kernel" build) || trouble "--kernel=$kernel cannot be had"
fi

work=$(mktemp -d "$cache/compare.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

quietly() {
	"$@" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		trouble "failed: $*"
	}
}

kselftest=$("$root/scripts/kselftest-source.sh") || exit 2
mkdir "$work/build"
quietly make -C "$root/selftests" KSELFTEST="$kselftest" OUTPUT="$work/build" KDIR="$KDIR" \
	USERCFLAGS=-Werror USERLDFLAGS=-static "$work/build/regressions" "$work/build/unidax_override.ko" \
	"$work/build/unidax_inode.ko"
UNIDAX_MODULES=$(KDIR=$KDIR "$root/scripts/modules.sh") || trouble "no modules for $kernel"
export UNIDAX_MODULES

# --- run ---------------------------------------------------------------------

# The first complaint in a kernel log, without what is in front of it; the line that says what a bug
# is about is better than the one that only counts it.
complaint() {
	sed -E 's/^\[ *[0-9.]+\](\[ *[TC][0-9]+\])? //' "$1" | grep -aE -m 1 \
		'^(BUG: [^s]|BUG: sleeping|KASAN|general protection|kernel BUG at|WARNING: |list_(add|del) corruption|Oops|refcount_t)' |
		sed -E 's/ at [^ ]*\/?([a-z_]+\.[ch]:[0-9]+)/ at \1/; s/, address: .*//' || true
}

# What a case came to, from what the machine printed and logged: survives, skipped, oops, hangs,
# wrong result, died; and why.
verdict() { # NAME STATUS OUTPUT LOG
	local name=$1 status=$2 output=$3 log=$4 text
	text=$(complaint "$log")
	if [ -z "$status" ]; then
		if [ "$text" ]; then echo "oops|$text"; else echo 'died|'; fi
	elif grep -q 'hangs in the kernel' "$output"; then
		echo "hangs|$(sed -n 's/^# *\(.*\) hangs in the kernel/\1/p' "$output" | paste -sd, -)"
	elif [ "$status" != 0 ]; then
		[ "$text" ] || text=$(sed -nE 's/^# *(kernel log: .*)/\1/p' "$output" | head -n 1)
		[ "$text" ] || text=$(sed -nE 's/^# [^ ]*regressions\.c:([0-9]+):[^:]*:/line \1: /p' "$output" | head -n 1)
		echo "wrong result|$text"
	elif grep -E '^ok .*# SKIP' "$output" | grep -qv 'not asked for'; then
		echo "skipped|$(sed -nE 's/^ok .*# SKIP //p' "$output" | grep -v 'not asked for' | head -n 1)"
	else
		echo "survives|"
	fi
}

run_stack() { # STACK: results of all cases into $work/STACK, "name|verdict|why" each
	local stack=$1 left=("${cases[@]}") name status line current machine=0 rc
	: >"$work/$stack"
	while [ ${#left[@]} -gt 0 ]; do
		machine=$((machine + 1)) rc=0
		UNIDAX_STACK=$stack "$root/scripts/vm.sh" --kernel="$kernel" --memory=hmem --mem-size=128M --ram=1G \
			--timeout=400 --log="$work/klog" -- \
			"$root/scripts/compare.sh" --in-guest "$work/build/regressions" "${left[@]}" \
			</dev/null >"$work/out" 2>"$work/err" || rc=$?
		cp "$work/out" "$work/out.$stack.$machine"
		current='' status='' ended=0
		: >"$work/case"
		while IFS= read -r line; do
			case $line in
			'compare: begin '*)
				current=${line#compare: begin } status=''
				: >"$work/case"
				;;
			'compare: end '*)
				status=${line##* }
				printf '%s|%s\n' "$current" "$(verdict "$current" "$status" "$work/case" "$work/klog")" \
					>>"$work/$stack"
				ended=$((ended + 1))
				;;
			*) printf '%s\n' "$line" >>"$work/case" ;;
			esac
		done <"$work/out"
		if [ "$current" ] && [ -z "$status" ]; then
			printf '%s|%s\n' "$current" "$(verdict "$current" '' "$work/case" "$work/klog")" >>"$work/$stack"
			ended=$((ended + 1))
		elif [ "$rc" = 99 ] && [ "$status" = 0 ]; then
			# All passed, and yet the kernel complained: the last one has to answer for it.
			sed -i "\$s/|.*/|wrong result|$(complaint "$work/klog" | tr '/|&' '   ')/" "$work/$stack"
		fi
		if [ "$ended" = 0 ]; then
			cat "$work/out" "$work/err" >&2
			trouble "the machine ran no case (status $rc)"
		fi
		left=("${left[@]:$ended}")
	done
	machines=$((machines + machine))
}

began=$SECONDS machines=0
run_stack mainline
run_stack unidax

# --- the table ---------------------------------------------------------------

printf '%s on %s\n\n' "Regressions" "$(sed -n 's/^.*Linux version \([^ ]*\).*/\1/p' "$work/klog" | head -n 1)"
printf '%-36s %-14s %s\n' 'case' 'mainline' 'unidax'
failed=0 passed=0 skipped=0 survived=0
while IFS='|' read -r name ours why; do
	IFS='|' read -r _ theirs their_why < <(grep "^$name|" "$work/mainline")
	printf '%-36s %-14s %s\n' "$name" "$theirs" "$ours"
	[ -z "$their_why" ] || printf '    mainline: %s\n' "$their_why"
	[ -z "$why" ] || printf '    unidax: %s\n' "$why"
	[ "$theirs" != survives ] || survived=$((survived + 1))
	case $ours in
	survives) passed=$((passed + 1)) ;;
	skipped) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
done <"$work/unidax"
printf '\nmainline survives %d of %d, unidax %d; %d machines, %d s\n' \
	"$survived" "${#cases[@]}" "$passed" "$machines" $((SECONDS - began))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ] && [ $((passed + skipped)) = ${#cases[@]} ]
