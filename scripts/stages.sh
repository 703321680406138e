#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# stages.sh [STAGE]... <TABLE
#
# Runs the stages of a table (or only those named): a KTAP document with a test for each, which is printed
# when it ends, and at the end the time of each, what failed, and last "N passed, N failed, N skipped". It
# exits 0 if and only if something passed and nothing failed.
#
# A line of the table is "NAME|COMMAND". Stages before the line "-" run alone and in order, the others two
# at a time, each with half of the processors (UNIDAX_JOBS): those that need one machine after the other
# then leave no processor idle. A stage speaks KTAP, which scripts/ktap.py counts; one whose command stands
# behind "!" is one test, by its exit status. One that ended without a word of how has failed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"

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
	command=${1#*|}
	read -ra command <<<"${command#!}"
	trap '[ ! "$pid" ] || kill -- "-$pid"; exit 143' TERM
	# A process group, to be ended as a whole.
	setsid "${command[@]}" </dev/null >"$logs/$name" 2>&1 &
	pid=$!
	wait $pid || status=$?
	echo "$status $((SECONDS - began))" >"$logs/$name.new"
	mv "$logs/$name.new" "$logs/$name.end"
}

done=0 table='' why=''

# report STAGE: what it said and its result, its row in the table, and what failed in it
report() {
	local name=${1%%|*} how=${1#*|} status=1 took=0
	if [ -e "$logs/$name.end" ]; then
		read -r status took <"$logs/$name.end"
	fi
	echo "# $name: ${how#!}"
	if [[ $how = !* ]]; then
		sed 's/^/# | /' "$logs/$name"
		ktap "$([ "$status" != 0 ] || echo pass)" "$name" "status $status"
		ktap_said="$((status == 0)) $((status != 0)) 0"
	else
		ktap_of "$name" "$status" "$logs/$name"
	fi
	done=$((done + 1))
	# shellcheck disable=SC2086 # three numbers
	table+=$(printf '# %-15s %6d s  %5d passed %3d failed %3d skipped' "$name" "$took" $ktap_said)$'\n'
	if [[ $ktap_said != *" 0 "* ]]; then
		why+=$({ grep -E '^ *not ok' "$logs/$name" || tail -n 3 "$logs/$name"; } |
			tail -n 12 | sed "s/^ */# $name: /")$'\n'
	fi
	echo "# $name took $took s, $((SECONDS / 60)) min since the start"
}

# together N STAGE...: so many at a time
together() {
	local lanes=$1 stage running=() left
	shift
	while [ $# -gt 0 ] || [ ${#running[@]} -gt 0 ]; do
		if [ $# -gt 0 ] && [ ${#running[@]} -lt "$lanes" ]; then
			echo "# ${1%%|*} begins"
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

ktap_begin
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
[ "$done" = "$due" ] || ktap fail stages "$done of $due ended"
printf '%s' "$table"
[ ! "$why" ] || printf '%s' "$why"
ktap_end
