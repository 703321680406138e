#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the modules and run the static gates: what can be said of them without running them.
#
#	scripts/check.sh [GATE...]		all gates, or those that are named (layout, objects, ...)
#
# It installs nothing, loads nothing and writes outside the build's own files into the user's cache only. The kernel
# is that of `make` (KDIR=). It fails on any finding, on any control that a gate missed, and on a gate that did not end
# as it should.
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
set -u -o pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
logs=${XDG_CACHE_HOME:-$HOME/.cache}/unidax/gates/logs
mkdir -p "$logs" || exit 1

# A make above must not lend its job server to the gates' own.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
KDIR=${KDIR:-$(make -s -C "$top" print-kdir)}
export KDIR

gates=()
for gate in "$top"/scripts/gates/*; do
	[[ -f $gate && -x $gate ]] || continue
	name=$(basename "${gate%.*}")
	if (($#)) && [[ " $* " != *" $name "* ]]; then
		continue
	fi
	gates+=("$gate")
done
if ((!${#gates[@]})) || { (($#)) && ((${#gates[@]} != $#)); }; then
	echo "check: no such gate: $*" >&2
	exit 1
fi

started=$SECONDS
echo "== build, for the kernel in $KDIR"
if ! make -s -C "$top" -j2 KDIR="$KDIR" modules >"$logs/build.log" 2>&1; then
	cat "$logs/build.log"
	echo "check: FAILED: the modules do not build"
	exit 1
fi
# A compiler that has something to say has a reason; only the missing vmlinux of a header package has none for us.
if grep -E 'warning|WARNING' "$logs/build.log"; then
	echo "check: FAILED: the build has warnings"
	exit 1
fi

rows=()
failed=()
line='^GATE ([^:]+): visited (.*) \| findings ([0-9]+) \| controls ([0-9]+)/([0-9]+)$'
for gate in "${gates[@]}"; do
	name=$(basename "${gate%.*}")
	before=$SECONDS
	echo "== $name"
	"$gate" 2>&1 | tee "$logs/$name.log"
	status=${PIPESTATUS[0]}
	took=$((SECONDS - before))
	if [[ $(tail -n 1 "$logs/$name.log") =~ $line && ${BASH_REMATCH[1]} == "$name" ]]; then
		visited=${BASH_REMATCH[2]} findings=${BASH_REMATCH[3]}
		caught=${BASH_REMATCH[4]} planted=${BASH_REMATCH[5]}
	else
		visited="(the gate did not end as it should)" findings="?" caught="?" planted="?"
	fi
	verdict=ok
	if [[ $status != 0 || $findings != 0 || $caught != "$planted" || $planted == 0 || $visited == nothing* ]]; then
		verdict=FAILED
		failed+=("$name")
	fi
	rows+=("$(printf '%-10s %-7s %8s %9s %4ds  %s' "$name" "$verdict" "$findings" "$caught/$planted" "$took" "$visited")")
done

echo
printf '%-10s %-7s %8s %9s %5s  %s\n' gate verdict findings controls time visited
printf '%s\n' "${rows[@]}"
echo
if ((${#failed[@]})); then
	echo "check: FAILED: ${failed[*]} (${#rows[@]} gates, $((SECONDS - started)) s)"
	exit 1
fi
echo "check: passed (${#rows[@]} gates, $((SECONDS - started)) s)"
