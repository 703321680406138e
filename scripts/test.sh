#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test.sh [STAGE]...
#
# Everything there is, from an unprepared machine: installs what the tests need, builds, and runs
# every stage (or only those named). A stage that says "N passed, N failed" on a line of its own is
# counted by it, one that speaks TAP by its lines, any other as one test by its exit status. A stage that claims success and ran
# nothing has failed. Prints the time of each stage, and last "N passed, N failed, N skipped".
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"

# Where memory and locks matter most; make kselftest-debug has all, and takes three times as long.
debug_tests='load_unload provider_unload fail_nth stress resize_live resize_pins resize_race_delayed'

# name, command. What is random, or done over and over, is done less often on the second kernel, where
# the gates judge what is C++'s, and plant less. UNIDAX_CYCLES is for each of two providers.
stages=(
	"packages|scripts/packages.sh test"
	"kernels|scripts/kernels.sh --fetch"
	"build|make --no-print-directory modules"
	"check|make --no-print-directory check"
	"check-6.12|scripts/check.sh --kernel=6.12 --brief=unwind layout objects unwind clang"
	"flavours|scripts/flavours.sh"
	"runner|selftests/vm/run.sh"
	"kselftest|env UNIDAX_CYCLES=50 make --no-print-directory kselftest"
	"kselftest-6.12|env UNIDAX_CYCLES=12 UNIDAX_OPS=1000 UNIDAX_STORM_SECONDS=15 scripts/kselftest.sh --kernel=6.12"
	"kselftest-debug|scripts/kselftest.sh --kernel=debug $debug_tests"
	"in-tree|scripts/kselftest-in-tree.sh"
	"series|scripts/series.sh --check --no-vm"
	"built-in|scripts/series.sh --built-in 6.1"
	"packaging|selftests/packaging/run.sh"
	"demo|make --no-print-directory demo"
	"demo-6.12|scripts/demo.sh 6.12"
)

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

wanted() {
	local name
	[ $# -gt 1 ] || return 0
	for name in "${@:2}"; do
		[ "$name" = "$1" ] && return 0
	done
	return 1
}

for name; do
	printf '%s\n' "${stages[@]}" | grep -q "^$name|" || {
		echo "test: there is no stage '$name'" >&2
		exit 2
	}
done

passed=0 failed=0 skipped=0 table='' done=0 due=0
for stage in "${stages[@]}"; do
	wanted "${stage%%|*}" "$@" && due=$((due + 1))
done
for stage in "${stages[@]}"; do
	name=${stage%%|*} command=${stage#*|}
	wanted "$name" "$@" || continue
	printf '\n==== %s: %s\n' "$name" "$command"
	began=$SECONDS status=0
	$command </dev/null 2>&1 | tee "$logs/$name" || status=$?

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
	table+=$(printf '%-15s %6d s  %5d passed %3d failed %3d skipped' "$name" $((SECONDS - began)) "$p" "$f" "$s")$'\n'
done

# A mistake in this script must not pass for an early end.
if [ "$done" != "$due" ]; then
	printf 'test: %d of %d stages ended\n' "$done" "$due"
	failed=$((failed + due - done))
fi
printf '\n%s\n' "$table"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
