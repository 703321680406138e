#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kselftest.sh [--kernel=KERNEL] [--kselftest=DIR] [TEST]...
#
# Builds the kernel selftests in selftests/ with the kernel's own lib.mk and
# harness, taken out of the Debian source package once, and runs them (or only
# those named) with the kernel's own runner in virtual machines that have the
# memory they want. It ends with "N passed, N failed, N skipped", counted in test
# cases over all machines: a case is skipped only if it was skipped everywhere.
# A test that was to run and has no result is a failure, and so is an empty run.
#
# Nothing is written into the project but what a build of the modules writes, and
# nothing is loaded on this machine.
set -euo pipefail

usage() {
	cat <<'END'
usage: scripts/kselftest.sh [options] [TEST]...

  --kernel=KERNEL     as for scripts/vm.sh
  --kselftest=DIR     tools/testing/selftests of a kernel source, instead of the
                      Debian source package's
  --list              what there is to run

Variables: KDIR, the build folder of the kernel to run; UNIDAX_MODULES, a folder
laid out like the project with modules to test (then none are built).
Exit status: 0 if all passed, 1 if not, 2 if the tests could not be run.
END
}

say() {
	printf 'kselftest: %s\n' "$*"
}

trouble() {
	printf 'kselftest: %s\n' "$*" >&2
	exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/unidax

# --- in the virtual machine --------------------------------------------------

# Part of $UNIDAX_RESERVED, offsets in MiB: reserved_at SIZE OFFSET
reserved_at() {
	printf '%#x@%#x' $(($1 << 20)) $((${UNIDAX_RESERVED#*@} + ($2 << 20)))
}

guest() { # LAYOUT INSTALLED TEST...
	local layout=$1 installed=$2 tests=() t
	shift 2
	# A folder below what is a tmpfs in the machine is still reachable.
	[ -d "$installed" ] || installed=/run/unidax-vm/host$installed
	if [ "$layout" = split ]; then
		# Devices of 1 GiB (two pages), 2 MiB and 4 KiB, side by side.
		insmod "$UNIDAX_MODULES/unidax.ko"
		insmod "$UNIDAX_MODULES/providers/reserved/unidax_reserved.ko" \
			range="$(reserved_at 2048 0),align=1G" \
			range="$(reserved_at 256 2048),align=2M" \
			range="$(reserved_at 64 2304),align=4K"
	fi
	if [ "$layout" = resize ] || [ "$layout" = delayed ]; then
		# Two regions, small enough to be filled, taken and given often.
		[ -d "$UNIDAX_MODULES" ] || UNIDAX_MODULES=/run/unidax-vm/host$UNIDAX_MODULES
		insmod "$UNIDAX_MODULES/unidax.ko"
		insmod "$UNIDAX_MODULES/providers/reserved/unidax_reserved.ko" \
			range="$(reserved_at 272 0),align=2M" \
			range="$(reserved_at 8 272),align=4K"
	fi
	[ "$layout" != delayed ] || export UNIDAX_EXPECT_FAULT_DELAY=1
	for t; do
		tests+=(-t "unidax:$t")
	done
	"$installed/run_kselftest.sh" "${tests[@]}"
}

if [ "${1-}" = --in-guest ]; then
	shift
	guest "$@"
	exit
fi

# --- what to run -------------------------------------------------------------

kernel=stock kselftest=${KSELFTEST-} list='' wanted=()
for arg; do
	case $arg in
	--kernel=*) kernel=${arg#*=} ;;
	--kselftest=*) kselftest=${arg#*=} ;;
	--list) list=1 ;;
	--help | -h) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) wanted+=("$arg") ;;
	esac
done

# Machines: name, options of vm.sh, layout, environment, tests.
device_tests='mmap_semantics fault_sizes node_alias gup sysfs_abi permissions stale_tlb'
module_tests='load_unload provider_unload start_failures'
machines=(
	"hmem|--memory=hmem-numa --mem-size=256M --load|loaded|UNIDAX_EXPECT_ALIGNS=2097152|$device_tests"
	"reserved|--memory=reserved --mem-size=2368M|split|UNIDAX_EXPECT_ALIGNS=4096 2097152 1073741824|$device_tests"
	"hmem, unloaded|--memory=hmem --mem-size=128M|none|UNIDAX_EXPECT_PROVIDERS=hmem|$module_tests"
	"reserved, unloaded|--memory=reserved --mem-size=128M|none|UNIDAX_EXPECT_PROVIDERS=reserved|$module_tests number_reuse reserved_refusals"
	"resize, hmem|--memory=hmem --mem-size=1G --load|loaded|UNIDAX_EXPECT_ALIGNS=2097152|subdivide resize_cost"
	"resize, reserved|--memory=reserved --mem-size=280M|resize|UNIDAX_EXPECT_ALIGNS=4096 2097152|subdivide resize_live resize_pins resize_model resize_race"
	"resize, delayed faults|--memory=reserved --mem-size=280M|delayed|UNIDAX_EXPECT_ALIGNS=4096 2097152|resize_race_delayed"
)

# --- the kernel's part: lib.mk, harness, runner ------------------------------

# Out of the newest source package, once for each version of it: one pass
# through the archive takes some ten seconds.
unpack() {
	local archive package version dir tmp
	archive=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.*' 2>/dev/null | sort -V | tail -n 1)
	[ "$archive" ] || trouble "no kernel source: apt install linux-source-6.1, or say --kselftest=DIR"
	package=$(basename "${archive%.tar.*}")
	# shellcheck disable=SC2016 # dpkg's own variables
	version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) ||
		version=$(stat -c %Y "$archive")
	dir=$cache/src/kselftest-${package#linux-source-}-$version
	if [ ! -d "$dir" ]; then
		say "unpacking the harness from $archive" >&2
		mkdir -p "$cache/src"
		tmp=$(mktemp -d "$cache/src/.unpack.XXXXXX")
		if ! tar -C "$tmp" --strip-components=1 --occurrence=1 -xf "$archive" \
			"$package/scripts/subarch.include" \
			"$package/tools/testing/selftests/lib.mk" \
			"$package/tools/testing/selftests/kselftest.h" \
			"$package/tools/testing/selftests/kselftest_harness.h" \
			"$package/tools/testing/selftests/run_kselftest.sh" \
			"$package/tools/testing/selftests/kselftest"; then
			rm -rf "$tmp"
			trouble "cannot unpack $archive"
		fi
		chmod 755 "$tmp"
		# Whoever is first wins; the others have the same.
		mv -T "$tmp" "$dir" 2>/dev/null || rm -rf "$tmp"
	fi
	printf '%s\n' "$dir/tools/testing/selftests"
}

[ "$kselftest" ] || kselftest=$(unpack)
[ -f "$kselftest/lib.mk" ] || trouble "no lib.mk in $kselftest"
kselftest=$(cd "$kselftest" && pwd -P)

# --- build -------------------------------------------------------------------

if [ -z "${KDIR-}" ]; then
	KDIR=/lib/modules/$(uname -r)/build
	[ -e "$KDIR" ] || KDIR=$(find /lib/modules -maxdepth 2 -name build | sort -Vr | head -n 1)
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/kselftest.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
installed=$work/install
mkdir -p "$work/build" "$installed/unidax" "$installed/kselftest"

# What a calling make exports is not meant for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
selftests() {
	make -s --no-print-directory -C "$root/selftests" KSELFTEST="$kselftest" \
		OUTPUT="$work/build" KDIR="$KDIR" USERCFLAGS=-Werror USERLDFLAGS=-static "$@"
}

if [ "$list" ]; then
	selftests emit_tests COLLECTION=unidax | cut -d: -f2
	exit
fi

if [ -z "${UNIDAX_MODULES-}" ]; then
	make -C "$root" KDIR="$KDIR" modules >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		trouble "the modules do not build"
	}
	UNIDAX_MODULES=$root
fi
UNIDAX_MODULES=$(cd "$UNIDAX_MODULES" && pwd -P)
export UNIDAX_MODULES

selftests all >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	trouble "the tests do not build"
}

# As `make install' of the kernel does, which wants rsync.
selftests emit_tests COLLECTION=unidax >"$installed/kselftest-list.txt"
while IFS=: read -r _ t; do
	if [ -f "$work/build/$t" ]; then
		cp "$work/build/$t" "$installed/unidax/"
	else
		cp "$root/selftests/$t" "$installed/unidax/"
	fi
done <"$installed/kselftest-list.txt"
cp "$work"/build/*.ko "$root/selftests/settings" "$installed/unidax/"
cp "$kselftest"/kselftest/* "$installed/kselftest/"
cp "$kselftest/run_kselftest.sh" "$installed/"
chmod 755 "$installed/run_kselftest.sh" "$installed"/kselftest/*

mapfile -t all < <(cut -d: -f2 "$installed/kselftest-list.txt")
for t in "${wanted[@]}"; do
	[[ " ${all[*]} " = *" $t "* ]] || trouble "no test is called $t; there are: ${all[*]}"
done

# --- run ---------------------------------------------------------------------

results=$work/results
: >"$results"
verdict() { # pass|fail|skip NAME [WHY]
	printf '%s\t%s\t%s\n' "$1" "$2" "${3-}" >>"$results"
}

# The runner's TAP of one machine into results. Whatever is missing in it is a
# failure: a test without a line of its own, a case that the test announced.
judge() { # MACHINE TEST... <TAP
	awk -v machine="$1" -v tests="${*:2}" '
	function out(what, name, why) { printf "%s\t%s\t%s\n", what, name, why }
	function finish(    i) {
		if (test == "")
			return
		if (plan >= 0 && cases != plan)
			out("fail", test, machine ": " cases " of " plan " cases have a result")
		plan = -1
		cases = failed = 0
		current = ""
	}
	{ sub(/\r$/, "") }
	/^# selftests: / {
		test = $NF
		plan = -1
		cases = failed = 0
		next
	}
	/^# 1\.\.[0-9]+$/ { plan = substr($2, 4) + 0; next }
	/^# #  RUN / { current = $4; next }
	/^# (not )?ok [0-9]+/ {
		line = substr($0, 3)
		good = line !~ /^not/
		sub(/^(not )?ok [0-9]+ */, "", line)
		cases++
		why = ""
		if (match(line, /# SKIP/)) {
			what = "skip"
			why = substr(line, RSTART + 7)
			line = current
		} else {
			what = good ? "pass" : "fail"
			why = good ? "" : machine
			failed += !good
		}
		out(what, line, why)
		next
	}
	/^(not )?ok [0-9]+ selftests: / {
		good = !/^not/
		name = $0
		sub(/^.*selftests: [^:]*: /, "", name)
		why = name
		sub(/ #.*/, "", name)
		sub(/^[^#]*#? ?/, "", why)
		ran[name] = 1
		if (!good && !failed)
			out("fail", name, machine ": " (why == "" ? "no case failed" : why))
		else if (why ~ /^SKIP/)
			out("skip", name, "as a whole")
		else if (plan < 0)
			out(good ? "pass" : "fail", name, good ? "" : machine)
		else if (!plan)
			out("fail", name, machine ": no cases")
		finish()
		test = ""
	}
	END {
		finish()
		n = split(tests, list, " ")
		for (i = 1; i <= n; i++)
			if (!(list[i] in ran))
				out("fail", list[i], machine ": never ran to its end")
	}' >>"$results"
}

export UNIDAX_EXPECT_ALIGNS='' UNIDAX_EXPECT_PROVIDERS=''
planned=' '
for machine in "${machines[@]}"; do
	IFS='|' read -r name options layout setting tests <<<"$machine"
	read -ra options <<<"$options"
	read -ra tests <<<"$tests"
	planned+="${tests[*]} "
	if [ ${#wanted[@]} -gt 0 ]; then
		chosen=()
		for t in "${tests[@]}"; do
			[[ " ${wanted[*]} " != *" $t "* ]] || chosen+=("$t")
		done
		tests=("${chosen[@]}")
	fi
	[ ${#tests[@]} -gt 0 ] || continue
	say "machine: $name"
	modules=$UNIDAX_MODULES
	if [ "$layout" = delayed ]; then
		modules=$(KDIR=$KDIR "$root/scripts/test-build.sh") || trouble "no test build"
	fi
	status=0
	env "$setting" UNIDAX_MODULES="$modules" "$root/scripts/vm.sh" --kernel="$kernel" "${options[@]}" --timeout=900 \
		-- "$root/scripts/kselftest.sh" --in-guest "$layout" "$installed" "${tests[@]}" \
		</dev/null | tee "$work/tap" || status=$?
	judge "$name" "${tests[@]}" <"$work/tap"
	[ $status = 0 ] || verdict fail "machine: $name" "scripts/vm.sh ended with status $status"
done
for t in "${all[@]}"; do
	[[ $planned = *" $t "* ]] || verdict fail "$t" "no machine is planned for it"
done

# --- sum up ------------------------------------------------------------------

# One verdict for each case: the worst, but a pass somewhere outdoes a skip.
sort -u "$results" | awk -F '\t' '
	!($2 in verdict) { order[++n] = $2 }
	$1 == "fail" { verdict[$2] = "fail"; why[$2] = why[$2] (why[$2] ? "; " : "") $3 }
	$1 == "pass" && verdict[$2] != "fail" { verdict[$2] = "pass" }
	$1 == "skip" && !($2 in verdict) { verdict[$2] = "skip" }
	# Of several reasons, one that is more than "not on this machine".
	$1 == "skip" && verdict[$2] == "skip" && (why[$2] == "" || why[$2] ~ /^no /) { why[$2] = $3 }
	END {
		for (i = 1; i <= n; i++) {
			name = order[i]
			count[verdict[name]]++
			if (verdict[name] == "skip")
				print "skipped: " name " (" why[name] ")"
		}
		for (i = 1; i <= n; i++) {
			name = order[i]
			if (verdict[name] == "fail")
				print "FAILED: " name " (" why[name] ")"
		}
		if (!count["pass"] && !count["fail"])
			print "FAILED: nothing ran"
		printf "%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"]
		exit !(count["pass"] && !count["fail"])
	}'
