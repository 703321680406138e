#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Test of scripts/ktap.py and of what scripts/check.sh makes of it: documents and gates that fail, each in its own
# way, and sound ones. Takes seconds, no machine. Speaks KTAP.
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
mkdir -p "$work/gates/folder" "$work/sound"

ok() { # TEXT CONDITION: passes if it holds
	ktap_if "$1" "$2" "$work/out"
}

reads() { # NAME EXPECTED TEXT [OPTION]...: what is counted in a document
	printf '%b\n' "$3" | "$root/scripts/ktap.py" "${@:4}" >"$work/out" 2>&1
	ok "$1: $2" "[ '$2' = \"\$(cat \"\$work/out\")\" ]"
}

ktap_begin

v='KTAP version 1\n'
child='# selftests: u: t\n# TAP version 13\n# 1..2\n# #  RUN  t.a ...\n# ok 1 t.a\n'
reads 'a document' '2 0 1' "${v}ok 1 a\nok 2 b # SKIP no\n# x\nok 3\n1..3"
reads 'a plan in front, no numbers' '2 0 0' 'TAP version 13\n1..2\nok a\nok - b'
reads 'not ok' '1 1 0' "${v}ok 1 a\nnot ok 2 b\n1..2"
reads 'no version' '1 1 0' 'ok 1 a\n1..1'
reads 'no plan' '1 1 0' "${v}ok 1 a"
reads 'a plan that is not met' '1 1 0' "${v}1..2\nok 1 a"
reads 'more than planned' '2 1 0' "${v}1..1\nok 1 a\nok 2 b"
reads 'a number that is missing' '2 1 0' "${v}ok 1 a\nok 3 b\n1..2"
reads 'no cases' '0 1 0' "${v}1..0"
reads 'nothing at all' '0 2 0' ''
reads 'all skipped' '0 0 1' "${v}1..0 # SKIP not here"
reads 'given up' '1 1 0' "${v}ok 1 a\nBail out! no\n1..1"
reads 'a status that nothing explains' '1 1 0' "${v}ok 1 a\n1..1" --status=1
reads 'a status that something explains' '0 1 0' "${v}not ok 1 a\n1..1" --status=1
reads 'subtests' '2 0 0' "TAP version 13\n1..1\n${child}# ok 2 t.b\nok 1 selftests: u: t"
reads 'two levels of subtests' '2 0 0' "${v}  ${v}    ${v}    ok 1 a\n    1..1\n  ok 1 b\n  ok 2 c\n  1..2\nok 1 d\n1..1"
reads 'subtests that fail unnoticed' '1 1 0' "${v}1..1\n${child}# not ok 2 t.b\nok 1 selftests: u: t"
reads 'subtests that fail' '1 1 0' "${v}1..1\n${child}# not ok 2 t.b\nnot ok 1 selftests: u: t # exit=1"
reads 'a test that fails, none of its subtests did' '2 1 0' "${v}1..1\n${child}# ok 2 t.b\nnot ok 1 selftests: u: t # exit=1"
reads 'subtests that end early' '1 1 0' "${v}1..1\n${child}ok 1 selftests: u: t"
reads 'subtests without their test' '2 2 0' "${v}1..1\n${child}# ok 2 t.b"
reads 'a test that did not run' '2 1 0' "${v}1..1\n${child}# ok 2 t.b\nok 1 selftests: u: t" '--tests=t other'
reads 'who failed, and why' $'fail\tt.b\tm: t.c:3:b:Expected 1 == 2' \
	"${v}1..1\n# selftests: u: t\n# TAP version 13\n# 1..1\n# #  RUN  t.b ...\n# # t.c:3:b:Expected 1 == 2\n# not ok 1 t.b\nnot ok 1 selftests: u: t" --results --on=m
reads 'which was running when all ended' $'fail\tt\tm: no plan: it did not come to its end, the last to begin was t.b' \
	"${v}1..1\n# selftests: u: t\n# KTAP version 1\n# #  RUN  t.b ...\nok 1 selftests: u: t" --results --on=m
reads 'a name with a sharp' $'pass\t#include <x>\t' "${v}ok 1 \\\\#include <x>\n1..1" --results
reads 'what is written can be read' $'KTAP version 1\nok 1 b \\#c\nok 2 d # SKIP why\nnot ok 3 a # bad\n1..3\n1 passed, 1 failed, 1 skipped' \
	'fail\ta\tbad\npass\tb #c\nskip\td\twhy' --write

# Gates. SOUND is what a sound one says before its plan.
while IFS='|' read -r name text; do
	text=${text//SOUND/"printf '%s\\n' 'KTAP version 1' 'ok 1 control: a' 'ok 2 visited: 1 file'"}
	printf '#!/bin/bash\n%s\n' "$text" >"$work/gates/$name.sh"
	chmod +x "$work/gates/$name.sh"
done <<'END'
ok_sound|SOUND; echo 1..2
ok_talks|echo much; SOUND; echo '# more'; echo 1..2; echo '2 passed'
bad_silent|true
bad_midway|echo 'KTAP version 1'; echo 'ok 1 control: a'; kill -9 $$
bad_dies|SOUND; echo 1..2; kill -9 $$
bad_status|SOUND; echo 1..2; exit 1
bad_plan|SOUND; echo 1..3
bad_no_plan|SOUND
bad_finding|SOUND; echo 'not ok 3 finding: b'; echo 1..3
bad_missed|SOUND; echo 'not ok 3 control: b'; echo 1..3
bad_no_control|echo 'KTAP version 1'; echo 'ok 1 visited: 1 file'; echo 1..1
bad_not_visited|echo 'KTAP version 1'; echo 'ok 1 control: a'; echo 1..1
END
# No gates: a folder, and what cannot be executed.
echo 'exit 1' >"$work/gates/library.sh"
echo '# check.sh: any kernel' >>"$work/gates/ok_talks.sh"
cp "$work"/gates/ok_* "$work/sound/"

check() { # OPTION... [GATE]...: status in $status
	status=0
	"$root/scripts/check.sh" "$@" >"$work/out" 2>&1 || status=$?
}

check --gates="$work/gates"
cp "$work/out" "$work/all"
ok 'a run with gates that fail fails' '[ $status = 1 ] && grep -qx 1..12 "$work/out"'
for gate in "$work"/gates/*_*.sh; do
	name=$(basename "$gate" .sh)
	want=ok
	[[ $name = ok_* ]] || want='not ok'
	cp "$work/all" "$work/out"
	ok "$want: gate $name" '[ "$(grep -cE "^$want [0-9]+ $name( #|\$)" "$work/out")" = 1 ]'
done
check --gates="$work/sound"
ok 'sound gates pass' '[ $status = 0 ] && [ "$(tail -n 1 "$work/out")" = "4 passed, 0 failed, 0 skipped" ]'
check --gates="$work/sound" ok_sound no_such
ok 'a gate that is not there is missed' '[ $status = 1 ]'
check --gates="$work/sound" --kernel=6.1
ok 'a gate for any kernel is left out for another one' '[ $status = 0 ] && [ "$(tail -n 1 "$work/out")" = "2 passed, 0 failed, 0 skipped" ]'
check --gates="$work/sound" --kernel=6.1 ok_sound ok_talks
ok 'and missed if it was asked for' '[ $status = 1 ]'
# A make that was called before there were any headers has exported an empty name.
ok 'an empty KDIR does not hide the headers' '[ "$(KDIR= make -s -C "$root" print-kdir)" ]'

ktap_end
