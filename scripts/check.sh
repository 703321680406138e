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
# A gate is an executable file in scripts/gates/. It prints what it likes, one line for each finding among it, and as
# its last line
#
#	GATE name: visited WHAT | findings N | controls CAUGHT/PLANTED
#
# where name is the file's without its extension, WHAT says in words how much it looked at ("nothing" is a failure),
# and the controls are faults that the gate planted itself to show that it can find them: there is at least one, and
# all are caught. It exits 0 if and only if there is no finding and no control was missed. Files without the executable
# bit, and directories, belong to a gate and are not run. A gate that lacks a tool says so as a finding.
#
# Two gates run at a time, so none writes into the tree or into another's folder of the cache. A gate that says the
# same for every kernel has a line "# check.sh: any kernel", and --kernel= leaves it out.
#
# Before all others the script judges gates that were made to fail, each in its own way, and how it gets its kernel
# (selftest() below).
set -u -o pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

jobs=${UNIDAX_JOBS:-2}
export UNIDAX_GATES_CACHE=$cache/gates PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
# A make above must not lend its job server to the gates' own.

rows=()
failed=()

die() {
	echo "check: FAILED: $*"
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

# judge GATE LOG: its row for the table into rows[], and its name into failed[] if it has failed
judge() {
	local name status=none took=0 visited findings caught planted verdict=ok
	local line='^GATE ([^:]+): visited (.*) \| findings ([0-9]+) \| controls ([0-9]+)/([0-9]+)$'
	name=$(basename "${1%.*}")
	[[ -e $2.end ]] && read -r status took <"$2.end"
	if [[ $(tail -n 1 "$2") =~ $line && ${BASH_REMATCH[1]} == "$name" ]]; then
		visited=${BASH_REMATCH[2]} findings=${BASH_REMATCH[3]}
		caught=${BASH_REMATCH[4]} planted=${BASH_REMATCH[5]}
	else
		visited="(the gate did not end as it should)" findings="?" caught="?" planted="?"
	fi
	if [[ $status != 0 || $findings != 0 || $caught != "$planted" || $planted == 0 || $visited == nothing* ]]; then
		verdict=FAILED
		failed+=("$name")
	fi
	rows+=("$(printf '%-10s %-7s %8s %9s %4ds  %s' \
		"$name" "$verdict" "$findings" "$caught/$planted" "$took" "$visited")")
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

# run_all LOGS: every gate of gates[], a few at a time, into rows[] and failed[]; their output in order
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
	rows=()
	failed=()
	for index in "${!gates[@]}"; do
		# Its status is in the file.
		wait "${pids[index]}"
		log=$logs/$(basename "${gates[index]%.*}").log
		echo "== $(basename "${gates[index]%.*}")"
		cat "$log"
		judge "${gates[index]}" "$log"
	done
	exec {places}>&-
}

# finish: the table, and the end of the script
finish() {
	echo
	printf '%-10s %-7s %8s %9s %5s  %s\n' gate verdict findings controls time visited
	printf '%s\n' "${rows[@]}"
	echo
	((!${#failed[@]})) || die "${failed[*]} (${#rows[@]} gates, $SECONDS s)"
	echo "check: passed (${#rows[@]} gates, $SECONDS s)"
	exit 0
}

# selftest FOLDER: gates that fail, each in its own way, and sound ones; prints what is judged wrongly
selftest() {
	local folder=$1 name text sound='visited 1 file | findings 0 | controls 1/1'
	rm -rf "$folder"
	mkdir -p "$folder/gates/folder"
	while IFS='|' read -r name text; do
		text=${text//SOUND/"echo 'GATE $name: $sound'"}
		printf '#!/bin/bash\n%s\n' "$text" >"$folder/gates/$name.sh"
		chmod +x "$folder/gates/$name.sh"
	done <<-'END'
		ok_sound|SOUND
		ok_talks|echo 'much'; echo 'GATE ok_talks: visited | and more | findings 0 | controls 3/3'
		bad_silent|true
		bad_dies|SOUND; kill -9 $$
		bad_fails|SOUND; exit 1
		bad_finding|echo 'GATE bad_finding: visited 1 file | findings 1 | controls 1/1'
		bad_missed|echo 'GATE bad_missed: visited 1 file | findings 0 | controls 1/2'
		bad_no_control|echo 'GATE bad_no_control: visited 1 file | findings 0 | controls 0/0'
		bad_nothing|echo 'GATE bad_nothing: visited nothing | findings 0 | controls 1/1'
		bad_name|echo 'GATE ok_sound: visited 1 file | findings 0 | controls 1/1'
		bad_not_last|SOUND; echo more
	END
	# No gates: a folder, and what cannot be executed.
	echo 'exit 1' >"$folder/gates/library.sh"
	printf '# check.sh: any kernel\n' >>"$folder/gates/ok_talks.sh"

	choose "$folder/gates" '' || echo "no gates are found"
	run_all "$folder/logs" >"$folder/output" 2>&1
	(finish) >>"$folder/output" && echo "a run with failures passes"
	((${#rows[@]} == 11)) || echo "there are ${#rows[@]} rows for 11 gates"
	for name in "${gates[@]}"; do
		name=$(basename "${name%.*}")
		if [[ $name == bad_* ]]; then
			[[ " ${failed[*]} " == *" $name "* ]] || echo "$name passes"
		else
			[[ " ${failed[*]} " != *" $name "* ]] || echo "$name fails"
		fi
		[[ $(grep -c "^== $name$" "$folder/output") == 1 ]] || echo "$name is not shown once"
	done
	choose "$folder/gates" '' ok_sound no_such && echo "a gate that does not exist is not missed"
	choose "$folder/gates" 6.0 ok_sound ok_talks && echo "a gate that is left out is not missed"
	choose "$folder/gates" 6.0 && ((${#gates[@]} == 10)) || echo "${#gates[@]} gates of 11 depend on the kernel"
	gates=("$folder/gates/ok_sound.sh")
	run_all "$folder/logs" >"$folder/output" 2>&1
	(finish) >>"$folder/output" || echo "a sound run fails"

	# A make that was called before there were any headers has exported an empty name.
	[[ $(KDIR='' make -s -C "$root" print-kdir) ]] || echo "an empty KDIR hides the headers that are there"
}

kernel='' UNIDAX_GATES_BRIEF=''
while [[ ${1-} == --* ]]; do
	case $1 in
	--kernel=?*) kernel=${1#*=} ;;
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
logs=$UNIDAX_GATES_CACHE/logs
mkdir -p "$logs" || exit 1
exec {lock}>"$UNIDAX_GATES_CACHE/lock"
flock "$lock"
trap 'trap - INT; kill -INT 0' INT

wrong=$(selftest "$UNIDAX_GATES_CACHE/check")
[[ ! $wrong ]] || die "scripts/check.sh itself:"$'\n'"$wrong"

if [[ $kernel ]]; then
	echo "== copy, for $kernel"
	python3 "$root/scripts/gates/gatelib.py" "$cache/check/$kernel/tree" || die "the tree cannot be copied"
	root=$cache/check/$kernel/tree
fi
choose "$root/scripts/gates" "$kernel" "$@" || die "no such gate: $*"

echo "== build, for the kernel in $KDIR"
if ! make -s -C "$root" -j2 KDIR="$KDIR" modules >"$logs/build.log" 2>&1; then
	cat "$logs/build.log"
	die "the modules do not build"
fi
# A compiler that has something to say has a reason; only the missing vmlinux of a header package has none for us.
if grep -E 'warning|WARNING' "$logs/build.log"; then
	die "the build has warnings"
fi

run_all "$logs"
finish
