#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test of scripts/stages.sh: what it counts, what it takes for a failure, what runs beside what, and that
# nothing is left when it is ended. Takes seconds, no machine. KTAP on stdout.
#
# Conditions in single quotes are for eval.
# shellcheck disable=SC2016,SC2034
set -uo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work

ok() { # TEXT CONDITION: passes if it holds
	ktap_if "$1" "$2" "$work/out"
}

# stage NAME TEXT: a script that a table may name
stage() {
	printf '#!/bin/bash\n%s\n' "$2" >"$work/$1"
	chmod 755 "$work/$1"
}

# run TABLE [STAGE]...: status in $status, output in $work/out
run() {
	status=0
	"$root/scripts/stages.sh" "${@:2}" <<<"$1" >"$work/out" 2>&1 || status=$?
}

last() {
	tail -n 1 "$work/out"
}

row() { # STAGE: its row in the table, without the time
	grep -E "^# $1 +[0-9]+ s " "$work/out" | sed -E 's/^# //; s/ +[0-9]+ s +/ /; s/ +/ /g'
}

ktap_begin

stage counts 'printf "%s\n" "KTAP version 1" "ok 1 a" "ok 2 b" "ok 3 c" "ok 4 d # SKIP e" "ok 5 f # SKIP g" 1..5'
stage tap 'printf "%s\n" "TAP version 13" "ok 1 a" "ok 2 b # SKIP c" 1..2'
stage silent ':'
run "counts|$work/counts
-
tap|$work/tap
silent|!$work/silent"
ok 'what passed is counted, and by its status what says nothing' \
	'[ $status = 0 ] && [ "$(last)" = "5 passed, 0 failed, 3 skipped" ]'
ok 'what it says can be read like what it read' '[ "$("$root/scripts/ktap.py" "$work/out")" = "5 0 3" ]'
ok 'each has its row' '[ "$(row tap)" = "tap 1 passed 0 failed 1 skipped" ]'

run "counts|$work/counts
-
tap|$work/tap" tap
ok 'only what is named runs' '[ $status = 0 ] && [ "$(last)" = "1 passed, 0 failed, 1 skipped" ]'
run "counts|$work/counts" count
ok 'a name that is none: 2, and which there are' '[ $status = 2 ] && grep -q "there are: counts" "$work/out"'

stage nothing 'printf "%s\n" "KTAP version 1" 1..0'
stage quiet 'exit 0'
stage lies 'printf "%s\n" "KTAP version 1" "ok 1 a" 1..1; exit 1'
stage broken 'printf "%s\n" "KTAP version 1" "ok 1 a" "not ok 2 the reason" 1..2; exit 1'
stage early 'printf "%s\n" "KTAP version 1" 1..2 "ok 1 a"'
stage dead 'printf "%s\n" "KTAP version 1" "ok 1 a" 1..1; kill -KILL $PPID; sleep 1'
for name in nothing quiet lies broken early dead none; do
	run "tap|$work/tap
-
$name|$work/$name
counts|$work/counts"
	case $name in
	nothing) text='a stage that ran nothing has failed' ;;
	quiet) text='a stage that speaks no KTAP has failed' ;;
	early) text='a stage that does not meet its plan has failed' ;;
	lies) text='a stage that says all is well and ends with 1 has failed' ;;
	broken) text='a stage with a case that failed has failed' ;;
	dead) text='a stage of which nobody says how it ended has failed' ;;
	*) text='a stage that cannot be run has failed' ;;
	esac
	ok "$text" '[ $status = 1 ] && [[ $(last) = *" passed, "[12]" failed, "* ]]'
	ok '... and the others ran' '[ "$(row counts)" = "counts 3 passed 0 failed 2 skipped" ]'
	[ $name != broken ] || ok '... and the end says what failed' 'grep -q "^# broken: not ok 2 the reason" "$work/out"'
done
run ''
ok 'a table without a stage has failed' '[ $status = 1 ]'

# Two that wait for each other, after one that sees nobody.
stage first 'touch $work/first.runs; sleep 0.5; rm $work/first.runs'
stage alone 'sleep 0.5; ! ls $work/*.runs 2>/dev/null'
stage one 'touch $work/one.runs; for i in {1..100}; do [ ! -e $work/two.runs ] || exit 0; sleep 0.1; done; exit 1'
stage two 'touch $work/two.runs; for i in {1..100}; do [ ! -e $work/one.runs ] || exit 0; sleep 0.1; done; exit 1'
stage three '[ "$(ls $work/*.ended)" ]'
for name in one two; do
	sed -i "s|exit 0|{ touch \$work/$name.ended; exit 0; }|" "$work/$name"
done
run "first|!$work/first
alone|!$work/alone
-
one|!$work/one
two|!$work/two
three|!$work/three"
ok 'what prepares runs alone, of the others two at a time' '[ $status = 0 ] && [ "$(last)" = "5 passed, 0 failed, 0 skipped" ]'

stage jobs '[ "$UNIDAX_JOBS" = '$((($(nproc) + 1) / 2))' ]'
stage all '[ "$UNIDAX_JOBS" = '"$(nproc)"' ]'
run "all|!$work/all
-
jobs|!$work/jobs
other|!$work/jobs"
ok 'two share the processors' '[ $status = 0 ]'

stage long 'sleep 1000 & echo $! >$work/pid; wait'
"$root/scripts/stages.sh" <<<"long|!$work/long" >"$work/out" 2>&1 &
until [ -s "$work/pid" ]; do sleep 0.1; done
kill $!
wait $!
status=$?
# Its parent is gone, and who takes it over may take its time to see it end.
for i in {1..50}; do
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$(cat "$work/pid")/stat" 2>/dev/null)
	[[ $state = [SR] ]] || break
	sleep 0.1
done
ok 'ended by a signal, it leaves nothing behind' '[ $status = 143 ] && [[ $state != [SR] ]]'

ktap_end
