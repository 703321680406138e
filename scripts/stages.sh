#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# stages.sh [STAGE]... <TABLE
#
# Runs the stages of a table (or only those named), and prints what each said when it ends, the time of
# each, what failed, and last "N passed, N failed, N skipped". It exits 0 if and only if something passed
# and nothing failed.
#
# A line of the table is "NAME|COMMAND". Stages before the line "-" run alone and in order, the others two
# at a time, each with half of the processors (UNIDAX_JOBS): those that need one machine after the other
# then leave no processor idle.
#
# A stage that says "N passed, N failed" on a line of its own is counted by it, one that speaks TAP by its
# lines, any other as one test by its exit status. A stage that claims success and ran nothing has failed,
# and so has one that ended without a word of how.
set -euo pipefail

alone=() others=() names=' '
part=alone
while IFS= read -r line; do
	[ "$line" ] || continue
	if [ "$line" = - ]; then
		part=others
		continue
	fi
	name=${line%%|*}
	names+="$name "
	[ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
	if [ $part = alone ]; then
		alone+=("$line")
	else
		others+=("$line")
	fi
done

for name; do
	[[ $names = *" $name "* ]] || {
		echo "test: there is no stage '$name'; there are:$names" >&2
		exit 2
	}
done

logs=$(mktemp -d)
# Whatever ends this ends what it has begun.
trap 'jobs -rp | xargs -r kill 2>/dev/null || true; wait; rm -rf "$logs"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run STAGE: its output into its log, and then how it ended and its time in seconds
run() {
	local name=${1%%|*} status=0 began=$SECONDS pid='' command
	read -ra command <<<"${1#*|}"
	trap '[ ! "$pid" ] || kill -- "-$pid"; exit 143' TERM
	# A process group, to be ended as a whole.
	setsid "${command[@]}" </dev/null >"$logs/$name" 2>&1 &
	pid=$!
	wait $pid || status=$?
	echo "$status $((SECONDS - began))" >"$logs/$name.new"
	mv "$logs/$name.new" "$logs/$name.end"
}

passed=0 failed=0 skipped=0 done=0 table='' why=''

# report STAGE: what it said, its row in the table, and what failed in it
report() {
	local name=${1%%|*} status=1 took=0 counts p f s
	printf '\n==== %s: %s\n' "$name" "${1#*|}"
	cat "$logs/$name"
	if [ -e "$logs/$name.end" ]; then
		read -r status took <"$logs/$name.end"
	fi
	counts=$(grep -E '^([A-Za-z-]+: )?[0-9]+ passed, [0-9]+ failed' "$logs/$name" | tail -n 1 |
		sed -E 's/^[^0-9]*([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\1 \2 \4/') || counts=''
	if [ ! "$counts" ] && grep -qE '^1\.\.[0-9]+$' "$logs/$name"; then
		counts=$(awk '/^ok .*# SKIP/ { s++; next } /^ok / { p++ } /^not ok / { f++ }
			END { print p + 0, f + 0, s + 0 }' "$logs/$name")
	fi
	if [ "$counts" ]; then
		read -r p f s _ <<<"$counts 0"
	else
		p=$((status == 0)) f=$((status != 0)) s=0
	fi
	# Whatever it counted: a stage that failed has failed, and one that ran nothing has not passed.
	if [ "$f" = 0 ] && { [ "$status" != 0 ] || [ "$((p + s))" = 0 ]; }; then
		f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	done=$((done + 1))
	table+=$(printf '%-15s %6d s  %5d passed %3d failed %3d skipped' "$name" "$took" "$p" "$f" "$s")$'\n'
	if [ "$f" != 0 ]; then
		why+=$({ grep -E '^not ok|FAILED' "$logs/$name" || tail -n 3 "$logs/$name"; } |
			tail -n 12 | sed "s/^/$name: /")$'\n'
	fi
	printf '==== %s: %d s, %d min since the start\n' "$name" "$took" $((SECONDS / 60))
}

# together N STAGE...: so many at a time
together() {
	local lanes=$1 stage running=() left
	shift
	while [ $# -gt 0 ] || [ ${#running[@]} -gt 0 ]; do
		if [ $# -gt 0 ] && [ ${#running[@]} -lt "$lanes" ]; then
			printf '==== %s begins\n' "${1%%|*}"
			: >"$logs/${1%%|*}"
			run "$1" &
			running+=("$1")
			shift
			continue
		fi
		# One has ended; which, its file says. Who is no job any more and has no file was killed.
		wait -n || true
		left=()
		for stage in "${running[@]}"; do
			if [ -e "$logs/${stage%%|*}.end" ] || [ ! "$(jobs -rp)" ]; then
				report "$stage"
			else
				left+=("$stage")
			fi
		done
		running=("${left[@]}")
	done
}

export UNIDAX_JOBS
UNIDAX_JOBS=$(nproc)
[ ${#alone[@]} = 0 ] || together 1 "${alone[@]}"
if [ ${#others[@]} = 1 ]; then
	together 1 "${others[@]}"
elif [ ${#others[@]} -gt 1 ]; then
	UNIDAX_JOBS=$(((UNIDAX_JOBS + 1) / 2))
	together 2 "${others[@]}"
fi

# A mistake in this script must not pass for an early end.
due=$((${#alone[@]} + ${#others[@]}))
if [ "$done" != "$due" ]; then
	printf 'test: %d of %d stages ended\n' "$done" "$due"
	failed=$((failed + due - done))
fi
printf '\n%s\n' "$table"
[ ! "$why" ] || printf '%s\n' "$why"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
