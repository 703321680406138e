#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the modules and run the static gates: what can be said of them without running them.
#
#	scripts/check.sh [GATE...]			all gates, or those that are named (layout, ...)
#	scripts/check.sh --kernel=NAME [GATE...]	those that depend on the kernel, for another one
#	scripts/check.sh --brief=GATE,... ...		these plant less, where all that they have was planted elsewhere:
#							layout takes no fix-up out, unwind tries one mutant for each rule
#
# It installs nothing, loads nothing and writes outside the build's own files into the user's cache only. The kernel
# is that of `make` (KDIR=), or with --kernel= one that scripts/kernels.sh knows; then all happens in a copy of the
# tree, in the cache, that is built for that kernel. It fails on any finding, on any control that a gate missed, and on
# a gate that did not end as it should.
#
# A gate is an executable file in scripts/gates/. It speaks KTAP: a result for each finding, "not ok ... finding: WHAT";
# one for each fault that it planted itself to show that it can find it, "control: WHAT", of which there is at least
# one; and "visited: WHAT", which says in words how much it looked at. It exits 0 if and only if all results are good.
# Files without the executable bit, and directories, belong to a gate and are not run. A gate that lacks a tool says so
# as a finding. What the script prints is KTAP, too, with a test for each gate; scripts/ktap.py counts it.
#
# Two gates run at a time, so none writes into the tree or into another's folder of the cache. A gate that says the
# same for every kernel has a line "# check.sh: any kernel", and --kernel= leaves it out.
#
# --gates=FOLDER takes them from there, and builds nothing: scripts/tests/ktap/ has gates that fail.
set -u -o pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"

jobs=${UNIDAX_JOBS:-2}
export UNIDAX_GATES_CACHE=$cache/gates PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
# A make above must not lend its job server to the gates' own.

rows=()

die() {
	ktap fail check "$*"
	ktap_end
	exit 1
}

# choose FOLDER KERNEL [NAME...]: the gates of a folder, or those that are named, into gates[]
choose() {
	local folder=$1 kernel=$2 gate name
	shift 2
	gates=()
	for gate in "$folder"/*; do
		[[ -f $gate && -x $gate ]] || continue
		name=$(basename "${gate%.*}")
		(($#)) && [[ " $* " != *" $name "* ]] && continue
		[[ $kernel ]] && grep -q '^# check\.sh: any kernel$' "$gate" && continue
		gates+=("$gate")
	done
	# Not one of those that were asked for may get lost.
	((${#gates[@]})) && { ((!$#)) || ((${#gates[@]} == $#)); }
}

# run GATE LOG: one gate; LOG.end is its exit status and its time in seconds
run() {
	local before=$SECONDS
	rm -f "$2.end"
	"$1" >"$2" 2>&1 </dev/null
	echo "$? $((SECONDS - before))" >"$2.end"
}

# judge GATE LOG: its result, and its row for the table into rows[]
judge() {
	local name status=1 took=0 passed failed skipped visited
	name=$(basename "${1%.*}")
	[[ -e $2.end ]] && read -r status took <"$2.end"
	grep -q '^ok [0-9]* control: ' "$2" || echo 'not ok 0 no control' >>"$2"
	visited=$(sed -nE 's/^ok [0-9]+ visited: //p' "$2")
	[[ $visited ]] || echo 'not ok 0 nothing was visited' >>"$2"
	ktap_of "$name" "$status" "$2"
	read -r passed failed skipped <<<"$ktap_said"
	rows+=("$(printf '%-10s %6d %6d %7d %4ds  %s' "$name" "$passed" "$failed" "$skipped" "$took" "$visited")")
}

# longest_first LOGS: the numbers of gates[], by the time that each took the last time
longest_first() {
	local at took
	for at in "${!gates[@]}"; do
		took=0
		read -r _ took 2>/dev/null <"$1/$(basename "${gates[at]%.*}").log.end"
		echo "${took:-0} $at"
	done 2>/dev/null | sort -k1,1nr -k2,2n | cut -d' ' -f2
}

# run_all LOGS: every gate of gates[], a few at a time; their results in order
run_all() {
	local logs=$1 places log pids=() index
	mkdir -p "$logs"
	# One line in the pipe for each place; who runs holds one.
	mkfifo "$logs/places.$$" && exec {places}<>"$logs/places.$$" && rm "$logs/places.$$" || return 1
	for ((index = 0; index < jobs; index++)); do echo >&"$places"; done
	for index in $(longest_first "$logs"); do
		log=$logs/$(basename "${gates[index]%.*}").log
		: >"$log"
		rm -f "$log.end"
		(read -r -u "$places" && run "${gates[index]}" "$log" && echo >&"$places") &
		pids[index]=$!
	done
	for index in "${!gates[@]}"; do
		# Its status is in the file.
		wait "${pids[index]}"
		log=$logs/$(basename "${gates[index]%.*}").log
		judge "${gates[index]}" "$log"
	done
	exec {places}>&-
}

ktap_begin
kernel='' folder='' UNIDAX_GATES_BRIEF=''
while [[ ${1-} == --* ]]; do
	case $1 in
	--kernel=?*) kernel=${1#*=} ;;
	--gates=?*) folder=${1#*=} ;;
	--brief=?*) UNIDAX_GATES_BRIEF=${1#*=} ;;
	*) die "there is no option '$1'" ;;
	esac
	shift
done
export UNIDAX_GATES_BRIEF
if [[ $kernel ]]; then
	[[ $kernel =~ ^[a-z0-9.-]+$ ]] || die "'$kernel' is no kernel"
	KDIR=$("$root/scripts/kernels.sh" "$kernel" build) || die "there is no kernel '$kernel'"
	export UNIDAX_GATES_CACHE=$cache/check/$kernel/gates
else
	KDIR=${KDIR:-$(make -s -C "$root" print-kdir)}
fi
export KDIR
[[ ! $folder ]] || UNIDAX_GATES_CACHE=$(mktemp -d)
logs=$UNIDAX_GATES_CACHE/logs
mkdir -p "$logs" || exit 1
exec {lock}>"$UNIDAX_GATES_CACHE/lock"
flock "$lock"
trap 'trap - INT; kill -INT 0' INT

if [[ $kernel && ! $folder ]]; then
	echo "# copy, for $kernel"
	python3 "$root/scripts/gates/gatelib.py" "$cache/check/$kernel/tree" || die "the tree cannot be copied"
	root=$cache/check/$kernel/tree
fi
choose "${folder:-$root/scripts/gates}" "$kernel" "$@" || die "no such gate: $*"

if [[ ! $folder ]]; then
	echo "# build, for the kernel in $KDIR"
	if ! make -s -C "$root" -j2 KDIR="$KDIR" modules >"$logs/build.log" 2>&1; then
		sed 's/^/# /' "$logs/build.log"
		die "the modules do not build"
	fi
	# A compiler that has something to say has a reason; only the missing vmlinux of a header package has none for us.
	if grep -E 'warning|WARNING' "$logs/build.log" | sed 's/^/# /' | grep .; then
		die "the build has warnings"
	fi
fi

run_all "$logs"
printf '# %-10s %6s %6s %7s %5s  %s\n' gate passed failed skipped time visited
printf '# %s\n' "${rows[@]}" "$SECONDS s"
ktap_end
