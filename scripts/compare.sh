#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# compare.sh [--kernel=KERNEL]... [--stack=STACK] [--results=FILE] [--save] [CASE]...
#
# Runs selftests/regressions.c against the kernel's own device-DAX driver and against unidax, on the
# same memory and the same kernel in virtual machines, and prints a table of what each case came to:
#
#   passed, skipped
#   failed  something else came of it than the case wants, or the kernel complained
#   oops    the machine went down with a complaint of the kernel; died: without one
#   hung    a process sleeps in the kernel and cannot be killed
#
# KERNEL is a name that scripts/kernels.sh knows (stock), or debug; or LABEL=IMAGE, a bzImage that has
# its modules beside it, and these a link to its build folder. With several the table has columns for
# each. --stack=mainline or --stack=unidax asks only that driver. After a case that was not passed a
# new machine goes on with the next one, so that no case suffers from another. Mainline's answers are observations; the exit status is 0 when unidax
# passed everything (or skipped it), 1 when not, 2 when nothing could be run. With --save the table
# of all cases goes to Documentation/crashes.txt, too. FILE gets a line KERNEL|STACK|CASE|VERDICT|WHY
# for each result.
#
# Variables: UNIDAX_MODULES, a folder laid out like the project with modules to test, if there is one
# kernel only; UNIDAX_JOBS, the number of machines at a time (as many as there are processors).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"
trouble_status=2


usage() {
	sed -n '3,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

# --- in the virtual machine --------------------------------------------------

# One process for each case, and an end at the first that is not passed: what it
# left behind is nobody else's trouble. One that nobody can kill is not waited for: the longest has
# 90 seconds by its own clock.
guest() { # BINARY CASE...
	local binary=$1 name status until
	shift
	for name; do
		echo "compare: begin $name"
		status=0 until=$((SECONDS + 120))
		UNIDAX_CASE=$name "$binary" 2>&1 &
		while kill -0 $! 2>/dev/null && [ $SECONDS -lt $until ]; do
			sleep 0.2
		done
		if kill -0 $! 2>/dev/null; then
			echo '# the case hangs in the kernel'
			status=124
		else
			wait $! || status=$?
		fi
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

kernels=() stacks=() wanted=() save='' results=''
for arg; do
	case $arg in
	--kernel=*) kernels+=("${arg#*=}") ;;
	--stack=mainline | --stack=unidax) stacks+=("${arg#*=}") ;;
	--results=*) results=${arg#*=} ;;
	--save) save=1 ;;
	--help | -h) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) wanted+=("$arg") ;;
	esac
done
[ ${#kernels[@]} -gt 0 ] || kernels=(stock)
[ ${#stacks[@]} -gt 0 ] || stacks=(mainline unidax)
[ ${#kernels[@]} = 1 ] || [ ! "${UNIDAX_MODULES-}" ] || trouble "UNIDAX_MODULES fits one kernel only"
mapfile -t cases < <(sed -nE 's/^TEST_F(_TIMEOUT)?\(regressions, ([a-z0-9_]+).*/\2/p' "$root/selftests/regressions.c")
for name in "${wanted[@]}"; do
	[[ " ${cases[*]} " = *" $name "* ]] || trouble "no case is called $name; there are: ${cases[*]}"
done
[ ${#wanted[@]} = 0 ] || [ ! "$save" ] || trouble "--save wants all cases"
[ ${#stacks[@]} = 2 ] || [ ! "$save" ] || trouble "--save wants both drivers"
[ ${#wanted[@]} = 0 ] || cases=("${wanted[@]}")

mkdir -p "$cache"
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
declare -A releases modules images
for i in "${!kernels[@]}"; do
	kernel=${kernels[i]%%=*}
	[[ $kernel =~ ^[a-z0-9.-]+$ ]] || trouble "--kernel=$kernel: want a name"
	if [ "$kernel" = "${kernels[i]}" ]; then
		images[$kernel]=$kernel
		{
			read -r releases["$kernel"] && read -r KDIR
		} < <("$root/scripts/kernels.sh" "$kernel" release build) || trouble "--kernel=$kernel cannot be had"
	else
		images[$kernel]=${kernels[i]#*=} releases[$kernel]=$kernel
		KDIR=$(readlink -e "$(dirname "${images[$kernel]}")"/modules/lib/modules/*/build) ||
			trouble "no build folder beside ${images[$kernel]}"
		kernels[i]=$kernel
	fi
	mkdir -p "$work/$kernel/build"
	quietly make -C "$root/selftests" KSELFTEST="$kselftest" OUTPUT="$work/$kernel/build" KDIR="$KDIR" \
		USERCFLAGS=-Werror USERLDFLAGS=-static "$work/$kernel/build/regressions" \
		"$work/$kernel/build/unidax_override.ko" "$work/$kernel/build/unidax_inode.ko"
	modules[$kernel]=''
	[[ " ${stacks[*]} " != *' unidax '* ]] ||
		modules[$kernel]=$(KDIR=$KDIR "$root/scripts/modules.sh") || trouble "no modules for $kernel"
done

# --- run ---------------------------------------------------------------------

# The first complaint in a kernel log, without what is in front of it and what another run has not;
# the line that says what a bug is about is better than the one that only counts it.
complaint() {
	sed -E 's/^\[ *[0-9.]+\](\[ *[TC][0-9]+\])? //' "$1" | grep -aE -m 1 \
		'^(BUG: [^s]|BUG: sleeping|KASAN|general protection|kernel BUG at|WARNING: |list_(add|del) corruption|Oops|refcount_t)' |
		sed -E 's/ at [^ ]*\/?([a-z_]+\.[ch]:[0-9]+)/ at \1/; s/,? (for )?address:? .*//; s/ CPU: [0-9]+ PID: [0-9]+//
			s/[0-9a-f]{16}/…/g; s/[|\r]/ /g' || true
}

# What a case came to, from what the machine printed and logged, and why.
verdict() { # NAME STATUS OUTPUT LOG
	local name=$1 status=$2 output=$3 log=$4 text
	text=$(complaint "$log")
	if [ -z "$status" ]; then
		if [ "$text" ]; then echo "oops|$text"; else echo 'died|'; fi
	elif grep -q 'hangs in the kernel' "$output"; then
		echo "hung|$(sed -n 's/^# *\(.* hangs in the kernel\)/\1/p' "$output" | sort -u | paste -sd, - | sed 's/,/, /g')"
	elif [ "$status" != 0 ]; then
		[ "$text" ] || text=$(sed -nE 's/^# *(kernel log: )(<[0-9]>)?(.*)/\1\3/p' "$output" | head -n 1)
		[ "$text" ] || text=$(sed -nE 's/^# [^ ]*regressions\.c:[0-9]+:[^:]*: *//p' "$output" | head -n 1)
		echo "failed|$text"
	elif grep -E '^ok .*# SKIP' "$output" | grep -qv 'not asked for'; then
		echo "skipped|$(sed -nE 's/^ok .*# SKIP //p' "$output" | grep -v 'not asked for' | head -n 1)"
	else
		echo "passed|"
	fi
}

# Results of all cases into $work/KERNEL/STACK, "name|verdict|why" each.
run_stack() { # KERNEL STACK
	local kernel=$1 stack=$2 left=("${cases[@]}") name status line current ended machine=0 empty=0 rc
	local own=$work/$1/$2
	: >"$own"
	while [ ${#left[@]} -gt 0 ]; do
		machine=$((machine + 1)) rc=0
		UNIDAX_STACK=$stack UNIDAX_MODULES=${modules[$kernel]} "$root/scripts/vm.sh" --kernel="${images[$kernel]}" \
			--memory=hmem --mem-size=128M --ram=1G --timeout=600 --log="$own.klog" -- \
			"$root/scripts/compare.sh" --in-guest "$work/$kernel/build/regressions" "${left[@]}" \
			</dev/null >"$own.out" 2>"$own.err" || rc=$?
		current='' status='' ended=0
		: >"$own.case"
		while IFS= read -r line; do
			case $line in
			'compare: begin '*)
				current=${line#compare: begin } status=''
				: >"$own.case"
				;;
			'compare: end '*)
				status=${line##* }
				printf '%s|%s\n' "$current" "$(verdict "$current" "$status" "$own.case" "$own.klog")" \
					>>"$own"
				ended=$((ended + 1))
				;;
			*) printf '%s\n' "$line" >>"$own.case" ;;
			esac
		done <"$own.out"
		if [ "$current" ] && [ -z "$status" ]; then
			printf '%s|%s\n' "$current" "$(verdict "$current" '' "$own.case" "$own.klog")" >>"$own"
			ended=$((ended + 1))
		elif [ "$rc" = 99 ] && [ "$status" = 0 ]; then
			# All passed, and yet the kernel complained: the last one has to answer for it.
			sed -i "\$s/|.*/|failed|$(complaint "$own.klog" | tr '/&' '  ')/" "$own"
		fi
		# A machine that has too little of the processor may not come up in time: once more.
		if [ "$ended" = 0 ] && { [ "$rc" != 125 ] || [ $((empty += 1)) -gt 1 ]; }; then
			cat "$own.out" "$own.err" >&2
			trouble "$kernel, $stack: the machine ran no case (status $rc)"
		fi
		left=("${left[@]:$ended}")
		printf 'compare: %s, %s: %d of %d cases\n' "$kernel" "$stack" \
			$((${#cases[@]} - ${#left[@]})) "${#cases[@]}" >&2
	done
	echo "$machine" >"$own.machines"
}

began=$SECONDS
for kernel in "${kernels[@]}"; do
	for stack in "${stacks[@]}"; do
		while [ "$(jobs -rp | wc -l)" -ge "${UNIDAX_JOBS:-$(nproc)}" ]; do
			wait -n || true
		done
		run_stack "$kernel" "$stack" &
	done
done
wait
for kernel in "${kernels[@]}"; do
	for stack in "${stacks[@]}"; do
		[ -e "$work/$kernel/$stack.machines" ] || trouble "$kernel, $stack: not all was run"
	done
done

# --- the table ---------------------------------------------------------------

result() { # KERNEL STACK CASE: $verdict and $why
	IFS='|' read -r _ verdict why < <(grep "^$3|" "$work/$1/$2")
}

# "CASE|STACK|WHY|KERNEL" lines: why, once for the kernels that say the same.
said() {
	awk -F '|' '
	!(($1, $2, $3) in on) { order[++n] = $1 SUBSEP $2 SUBSEP $3 }
	{ on[$1, $2, $3] = on[$1, $2, $3] (on[$1, $2, $3] == "" ? "" : ", ") $4 }
	END {
		for (i = 1; i <= n; i++) {
			split(order[i], part, SUBSEP)
			if (part[1] != last)
				print part[1]
			last = part[1]
			printf "    %s on %s: %s\n", part[2], on[order[i]], part[3]
		}
	}'
}

table() {
	local kernel stack name verdict why
	printf '%-37s' ''
	for kernel in "${kernels[@]}"; do
		printf ' %-*s' $((10 * ${#stacks[@]} - 1)) "${releases[$kernel]}"
	done | sed 's/ *$//'
	printf '\n%-37s' case
	for kernel in "${kernels[@]}"; do
		printf ' %-9s' "${stacks[@]}"
	done | sed 's/ *$//'
	echo
	for name in "${cases[@]}"; do
		printf '%-37s' "$name"
		for kernel in "${kernels[@]}"; do
			for stack in "${stacks[@]}"; do
				result "$kernel" "$stack" "$name"
				printf ' %-9s' "$verdict"
			done
		done | sed 's/ *$//'
		echo
	done
	echo
	for name in "${cases[@]}"; do
		for stack in "${stacks[@]}"; do
			for kernel in "${kernels[@]}"; do
				result "$kernel" "$stack" "$name"
				[ -z "$why" ] || printf '%s|%s|%s|%s\n' "$name" "$stack" "$why" "$kernel"
			done
		done
	done | said
	echo
	for stack in "${stacks[@]}"; do
		for kernel in "${kernels[@]}"; do
			printf '%s on %s: %s\n' "$stack" "${releases[$kernel]}" \
				"$(cut -d'|' -f2 "$work/$kernel/$stack" | sort | uniq -c | awk '{ printf "%s%d %s", (NR > 1 ? ", " : ""), $1, $2 }')"
		done
	done
}

{
	printf 'Made by: scripts/compare.sh%s\n\n' "$(printf ' --kernel=%s' "${kernels[@]}")"
	table
} >"$work/table"
cat "$work/table"
[ ! "$save" ] || install -m 644 "$work/table" "$root/Documentation/crashes.txt"

[ ! "$results" ] || for kernel in "${kernels[@]}"; do
	for stack in "${stacks[@]}"; do
		sed "s/^/$kernel|$stack|/" "$work/$kernel/$stack"
	done
done >"$results"

printf '# %d machines, %d s\n' "$(cat "$work"/*/*.machines | awk '{ n += $1 } END { print n }')" $((SECONDS - began))
# There is nothing to hold mainline to.
[[ " ${stacks[*]} " = *' unidax '* ]] || exit 0
ktap_begin
for kernel in "${kernels[@]}"; do
	for name in "${cases[@]}"; do
		result "$kernel" unidax "$name"
		case $verdict in
		passed) ktap pass "$kernel: $name" ;;
		skipped) ktap skip "$kernel: $name" "$why" ;;
		*) ktap fail "$kernel: $name" "$verdict $why" ;;
		esac
	done
done
ktap_end
