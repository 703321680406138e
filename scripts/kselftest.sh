#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kselftest.sh [--kernel=KERNEL] [--built-in] [--kselftest=DIR] [--results=FILE] [--without=TEST]... [TEST]...
#
# Builds the kernel selftests in selftests/ with the kernel's own lib.mk and
# harness, taken out of the Debian source package once, and runs them (or only
# those named) with the kernel's own runner in virtual machines that have the
# memory they want. It speaks KTAP: one result for each case over all machines, what
# failed at the end; a case is skipped only if it was skipped everywhere.
# A test that was to run and has no result is a failure, and so is an empty run.
#
# Nothing is written into the project, and nothing is loaded on this machine.
#
# With --kernel=debug (scripts/debug-kernel.sh) the modules are built from a copy,
# where the layout and objects gates pass first, the tests run with reduced counts
# and more patience, and each machine ends with a look for leaks. The last machine
# runs modules with planted faults, which KASAN and kmemleak have to report.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trouble_status=2

usage() {
	cat <<'END'
usage: scripts/kselftest.sh [options] [TEST]...

  --kernel=KERNEL     as for scripts/vm.sh
  --built-in          the driver is a part of KERNEL: nothing is loaded; its command
                      line names the reserved memory, and what loads modules skips
  --kselftest=DIR     tools/testing/selftests of a kernel source, instead of the
                      Debian source package's
  --without=TEST      all but this one; any number of times
  --results=FILE      one line there for each result of each machine: pass, fail or skip, the
                      case, and why; between tabs
  --list              what there is to run

Variables: KDIR, the build folder of the kernel to run; UNIDAX_MODULES, a folder
laid out like the project with modules to test; without it scripts/modules.sh says.
Exit status: 0 if all passed, 1 if not, 2 if the tests could not be run.
END
}

say() {
	printf '# %s\n' "$*"
}


# --- in the virtual machine --------------------------------------------------

# Part of $UNIDAX_RESERVED, offsets in MiB: reserved_at SIZE OFFSET
reserved_at() {
	printf '%#x@%#x' $(($1 << 20)) $((${UNIDAX_RESERVED#*@} + ($2 << 20)))
}

# What unidax_reserved is told of it, one parameter a line.
ranges() { # LAYOUT
	case $1 in
	split)
		# Devices of 1 GiB (two pages), 2 MiB and 4 KiB, side by side.
		echo "range=$(reserved_at 2048 0),align=1G"
		echo "range=$(reserved_at 256 2048),align=2M"
		echo "range=$(reserved_at 64 2304),align=4K"
		;;
	poison)
		# The same; loaded often, the large one is not to be cleared each time.
		echo "range=$(reserved_at 2048 0),align=1G,persistent,keep"
		echo "range=$(reserved_at 256 2048),align=2M"
		echo "range=$(reserved_at 64 2304),align=4K"
		;;
	resize | delayed)
		# Two regions, small enough to be filled, taken and given often.
		echo "range=$(reserved_at 272 0),align=2M"
		echo "range=$(reserved_at 8 272),align=4K"
		;;
	data)
		# The same, and one that keeps its bytes.
		echo "range=$(reserved_at 144 0),align=2M"
		echo "range=$(reserved_at 8 144),align=4K"
		echo "range=$(reserved_at 32 152),align=2M,persistent"
		;;
	esac
}

guest() { # [--built-in] LAYOUT INSTALLED TEST...
	local built_in='' layout installed tests=() parameters t
	[ "$1" != --built-in ] || { built_in=1 && shift; }
	layout=$1 installed=$2
	shift 2
	# A folder below what is a tmpfs in the machine is still reachable.
	[ -d "$installed" ] || installed=/run/unidax-vm/host$installed
	mapfile -t parameters < <(ranges "$layout")
	if [ ! "$built_in" ] && [ ${#parameters[@]} -gt 0 ]; then
		[ -d "$UNIDAX_MODULES" ] || UNIDAX_MODULES=/run/unidax-vm/host$UNIDAX_MODULES
		insmod "$UNIDAX_MODULES/unidax.ko"
		insmod "$UNIDAX_MODULES/providers/reserved/unidax_reserved.ko" "${parameters[@]}"
	fi
	[ "$layout" != delayed ] || export UNIDAX_EXPECT_FAULT_DELAY=1
	for t; do
		tests+=(-t "unidax:$t")
	done
	if [ ! "${UNIDAX_LEAKS-}" ]; then
		"$installed/run_kselftest.sh" "${tests[@]}"
		return
	fi
	local status=0
	[ ! "${UNIDAX_HURRY-}" ] || insmod "$installed/unidax/unidax_hurry.ko" now="$UNIDAX_HURRY"
	"$root/scripts/vm/leaks.sh" plant
	"$installed/run_kselftest.sh" "${tests[@]}" || status=$?
	# The runner's caller reads what this says.
	"$root/scripts/vm/leaks.sh" report insmod rmmod "$@" || true
	return $status
}

if [ "${1-}" = --in-guest ]; then
	shift
	guest "$@"
	exit
fi

# --- what to run -------------------------------------------------------------

kernel=stock kselftest=${KSELFTEST-} list='' built_in='' results='' wanted=() unwanted=()
for arg; do
	case $arg in
	--kernel=*) kernel=${arg#*=} ;;
	--kselftest=*) kselftest=${arg#*=} ;;
	--results=*) results=${arg#*=} ;;
	--without=*) unwanted+=("${arg#*=}") ;;
	--list) list=1 ;;
	--built-in) built_in=--built-in ;;
	--help | -h) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) wanted+=("$arg") ;;
	esac
done

# Machines: name, options of vm.sh, layout, environment, tests, and more environment
# for the debug kernel, which is some ten times slower. UNIDAX_HURRY=0: kobjects are released by a
# worker, but at once (selftests/modules/unidax_hurry.c), for what loads modules over and over; 1:
# by the last who puts them, for what looks at the order.
# vm_debug=-: a kernel with CONFIG_DEBUG_VM looks for poisoned pages in a memory map that it has
# overwritten with a pattern of its own just before, and stops (clear_hwpoisoned_pages(), 6.1), once
# any page of the machine went bad.
# fail_nth: a kernel that has no memory for a module's jump labels or events, or for a memory map, says
# so by a WARNING.
# What is not aligned does not follow RAM, but memory that is reserved (2): from 7.3 on the kernel keeps
# what is behind RAM, up to the next 64 MiB, as its "RAM buffer", be it soft-reserved or not.
device_tests='mmap_semantics fault_sizes node_alias gup sysfs_abi permissions stale_tlb write_tracking'
module_tests='load_unload provider_unload'
machines=(
	"hmem|--memory=hmem-numa --mem-size=256M --load|loaded|UNIDAX_EXPECT_ALIGNS=2097152|$device_tests"
	"reserved|--memory=reserved --mem-size=2368M|split|UNIDAX_EXPECT_ALIGNS=4096 2097152 1073741824|$device_tests stale"
	"memory failure, DMA|--memory=reserved --mem-size=2368M --append=vm_debug=- --iommu|poison|UNIDAX_EXPECT_ALIGNS=4096 2097152 1073741824|memory_failure vfio"
	"hmem, unloaded|--memory=hmem --mem-size=128M --append=vm_debug=-|none|UNIDAX_EXPECT_PROVIDERS=hmem|$module_tests regressions|UNIDAX_CYCLES=12 UNIDAX_HURRY=0"
	"reserved, unloaded|--memory=reserved --mem-size=128M|none|UNIDAX_EXPECT_PROVIDERS=reserved|$module_tests number_reuse reserved_refusals keep|UNIDAX_CYCLES=12 UNIDAX_HURRY=0"
	"bus, hmem|--memory=hmem --mem-size=256M|none|UNIDAX_EXPECT_PROVIDERS=bus|bus"
	"bus, nvdimm|--memory=nvdimm --mem-size=256M|none|UNIDAX_EXPECT_PROVIDERS=bus|bus"
	"hmem, not aligned|--memory=hmem --mem-size=32M --append=memmap=1M%0x44000000-1+2,6656K%0x44100000-1+0xefffffff,1M%0x48000000-1+0xefffffff|none|UNIDAX_EXPECT_PROVIDERS=hmem|keep"
	"stress|--memory=reserved --mem-size=128M|none|UNIDAX_EXPECT_PROVIDERS=reserved|stress|UNIDAX_HURRY=0"
	"unwind, hmem|--memory=hmem --mem-size=192M|none|UNIDAX_EXPECT_PROVIDERS=hmem|unwind|UNIDAX_HURRY=1"
	"failure window, hmem|--memory=hmem --mem-size=192M|none|UNIDAX_EXPECT_PROVIDERS=hmem|failure_window|UNIDAX_HURRY=0"
	"unwind, reserved|--memory=reserved --mem-size=192M|none|UNIDAX_EXPECT_PROVIDERS=reserved|unwind|UNIDAX_HURRY=1"
	"failure window, reserved|--memory=reserved --mem-size=192M|none|UNIDAX_EXPECT_PROVIDERS=reserved|failure_window|UNIDAX_HURRY=0"
	"fail_nth|--memory=reserved --mem-size=256M --ram=1G --allow-log=^kmemleak:.Cannot.allocate --allow-log=^WARNING:.*at.kernel/jump_label.c --allow-log=^WARNING:.*at.kernel/trace/trace_events.c --allow-log=^WARNING:.*at.arch/x86/mm/init_64.c|none|UNIDAX_EXPECT_PROVIDERS=reserved|fail_nth|UNIDAX_EXPECT_FAULTS=1"
	"resize, hmem|--memory=hmem --mem-size=1G --load|loaded|UNIDAX_EXPECT_ALIGNS=2097152|subdivide resize_cost"
	"resize, reserved|--memory=reserved --mem-size=280M|resize|UNIDAX_EXPECT_ALIGNS=4096 2097152|subdivide uevents security resize_live resize_pins resize_model fault_around|UNIDAX_OPS=400"
	"resize, delayed faults|--memory=reserved --mem-size=280M|delayed|UNIDAX_EXPECT_ALIGNS=4096 2097152|resize_race_delayed fault_around"
	"data path, delayed copies|--memory=reserved --mem-size=280M --append=vm_debug=-|delayed|UNIDAX_EXPECT_ALIGNS=4096 2097152|data_path"
	"system RAM|--memory=hmem-numa --mem-size=3G --ram=1G --load --append=vm_debug=-|loaded|UNIDAX_EXPECT_ALIGNS=2097152|system_ram"
	"data path|--memory=reserved --mem-size=184M --append=vm_debug=-|data|UNIDAX_EXPECT_ALIGNS=4096 2097152|clear tenancy events data_path"
)
# With the driver built in there are those whose memory is there from the start. What loads and
# unloads has to say there why it does not run.
built_in_machine="built in|--memory=reserved --mem-size=128M|loaded|UNIDAX_EXPECT_PROVIDERS=|$module_tests regressions number_reuse reserved_refusals keep stress unwind fail_nth resize_race_delayed"
# How much slower the debug kernel is.
slowdown=8
# The faults in the modules of the debug kernel's last machine: every array leaks, and
# every object is looked at when it is gone.
mutated=core/cxx/owner.hpp
mutation='s/^\t~Array() { kvfree(data_); }$/\t~Array() {}/
s/^\t\t\tkfree(object_);$/&\n\t\t\t(void)*reinterpret_cast<volatile char *>(object_);/'

# --- the kernel's part: lib.mk, harness, runner ------------------------------

[ "$kselftest" ] || kselftest=$("$root/scripts/kselftest-source.sh") || exit 2
[ -f "$kselftest/lib.mk" ] || trouble "no lib.mk in $kselftest"
kselftest=$(cd "$kselftest" && pwd -P)

# --- build -------------------------------------------------------------------

debug=''
[ "$kernel" != debug ] || debug=1
case $kernel in
stock)
	KDIR=${KDIR:-$(make -s --no-print-directory -C "$root" print-kdir)} || trouble "no kernel headers"
	;;
*/*)
	[ "${KDIR-}" ] || trouble "--kernel=$kernel wants KDIR"
	;;
*)
	# What a calling make says is the stock kernel's.
	KDIR=$("$root/scripts/kernels.sh" "$kernel" build) || trouble "--kernel=$kernel cannot be had"
	;;
esac

mkdir -p "$cache"
work=$(mktemp -d "$cache/kselftest.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
installed=$work/install
mkdir -p "$work/build" "$installed/unidax" "$installed/kselftest"

selftests() {
	make -s --no-print-directory -C "$root/selftests" KSELFTEST="$kselftest" \
		OUTPUT="$work/build" KDIR="$KDIR" USERLDFLAGS=-static \
		USERCFLAGS="-Werror${debug:+ -DUNIDAX_SLOWDOWN=$slowdown}" "$@"
}

build() { # OPTION...: of modules.sh; prints the folder
	KDIR=$KDIR "$root/scripts/modules.sh" "$@" || trouble "no modules"
}

if [ "$list" ]; then
	selftests emit_tests COLLECTION=unidax | cut -d: -f2
	exit
fi

own=${kernel//\//_}
if [ "$built_in" ]; then
	UNIDAX_MODULES=${UNIDAX_MODULES:-$work}
elif [ "$debug" ] && [ ! "${UNIDAX_MODULES-}" ]; then
	UNIDAX_MODULES=$(build --gates='layout objects')
	tail -n 1 "$UNIDAX_MODULES/gates" | sed 's/^/# the gates: /'
else
	UNIDAX_MODULES=$(build)
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
if [ "$debug" ]; then
	sed -i -E "s/^(timeout=)([0-9]+)$/echo \1\$((\2 * $slowdown))/e" "$installed/unidax/settings"
fi
cp "$kselftest"/kselftest/* "$installed/kselftest/"
cp "$kselftest/run_kselftest.sh" "$installed/"
chmod 755 "$installed/run_kselftest.sh" "$installed"/kselftest/*

mapfile -t all < <(cut -d: -f2 "$installed/kselftest-list.txt")
for t in "${wanted[@]}" "${unwanted[@]}"; do
	[[ " ${all[*]} " = *" $t "* ]] || trouble "no test is called $t; there are: ${all[*]}"
done

# --- run ---------------------------------------------------------------------

[ ! "$built_in" ] || machines+=("$built_in_machine")

# Machines run side by side, each with files of its own: what it said, and its results.
verdict() { # pass|fail|skip NAME [WHY]
	printf '%s\t%s\t%s\n' "$1" "$2" "${3-}" >>"$out.results"
}

# The runner's KTAP of one machine into results. Whatever is missing in it is a failure.
judge() { # MACHINE TEST... <KTAP
	python3 "$root/scripts/ktap.py" --results --on="$1" --tests="${*:2}" >>"$out.results"
}

# One machine, as $modules, $options and $settings say: its status in $status.
run() { # LAYOUT TEST...
	status=0
	env "${settings[@]}" UNIDAX_MODULES="$modules" "$root/scripts/vm.sh" --kernel="$kernel" \
		"${options[@]}" -- "$root/scripts/kselftest.sh" --in-guest $built_in "$1" "$installed" \
		"${@:2}" </dev/null >"$out.tap" 2>"$out.errors" || status=$?
}

# What the kernel said first, and where: scripts/vm.sh has printed it.
complaint() {
	sed -nE 's/^vm\.sh: \| (\[[^]]*\] )?//p' "$out.errors" | tr -d '\r\t' |
		awk 'NR == 1 || /RIP: / && !at++ { printf ": %s", $0 }'
}

# leaks.sh has spoken, and said LINE.
leaks() { # MACHINE LINE
	local line
	line=$(grep '^leaks: ' "$out.tap" | tail -n 1) || true
	# shellcheck disable=SC2053 # a pattern
	if [[ $line = $2 ]]; then
		verdict pass "kmemleak: $1"
	else
		verdict fail "kmemleak: $1" "${line:-no report}"
	fi
}

export UNIDAX_EXPECT_ALIGNS='' UNIDAX_EXPECT_PROVIDERS=''
limit=900 debug_options=()
if [ "$debug" ]; then
	limit=$((limit * 2))
	# The kernel counts its own leaks, too; leaks.sh looks closer.
	debug_options=(--allow-log='^kmemleak: [0-9]+ new suspected memory leaks')
fi

tested() { # NAME LAYOUT TEST...
	run "${@:2}"
	judge "$1" "${@:3}" <"$out.tap"
	[ "$status" = 0 ] || verdict fail "machine: $1" "scripts/vm.sh ended with status $status$(complaint)"
	# Mistakes that unwind plants for its own eyes leak two objects, a range and its name.
	# fail_nth looks for itself, and has the kernel forget what it has found, planted leaks too.
	[ ! "$debug" ] || [[ " $* " = *" fail_nth "* ]] ||
		leaks "$1" "leaks: $([[ " $* " = *" unwind "* ]] && echo 2 || echo 0) objects"
	cat "$out.tap" "$out.errors"
}

# The same with faults in it, or silence would mean nothing.
planted() {
	run none number_reuse
	if [ "$status" = 99 ] && grep -q 'BUG: KASAN: use-after-free in .*\[unidax' "$out.errors"; then
		verdict pass "KASAN: planted faults"
	else
		verdict fail "KASAN: planted faults" "not reported"
		cat "$out.errors"
	fi
	leaks "planted faults" 'leaks: [1-9]* objects'
	cat "$out.tap"
}

# start NAME COMMAND...: when fewer than that are running; what it prints comes at its end.
machine_count=0
start() {
	local name=$1
	shift
	while [ "$(jobs -rp | wc -l)" -ge "${UNIDAX_JOBS:-$(nproc)}" ]; do
		wait -n || true
	done
	machine_count=$((machine_count + 1))
	out=$work/machine$machine_count
	say "machine: $name"
	{
		local began=$SECONDS
		"$@" >"$out.said" 2>&1 || verdict fail "machine: $name" "the script ended in the middle"
		{
			say "machine: $name: $((SECONDS - began)) s"
			# No part of the document at the end.
			sed 's/^/# | /' "$out.said"
		} >"$out.report"
		# One at a time.
		flock "$work" cat "$out.report"
	} &
}

planned=' '
for machine in "${machines[@]}"; do
	IFS='|' read -r name options layout setting tests reduced <<<"$machine"
	planned+="$tests "
	if [ "$built_in" ]; then
		[[ $layout != none && $layout != delayed ]] || continue
		options=${options/ --load/}
	fi
	read -ra options <<<"$options --timeout=$limit"
	read -ra tests <<<"$tests"
	chosen=()
	for t in "${tests[@]}"; do
		[[ ${#wanted[@]} -gt 0 && " ${wanted[*]} " != *" $t "* || " ${unwanted[*]} " = *" $t "* ]] ||
			chosen+=("$t")
	done
	tests=("${chosen[@]}")
	[ ${#tests[@]} -gt 0 ] || continue
	modules=$UNIDAX_MODULES settings=("$setting")
	if [ "$built_in" ]; then
		options+=("--append=$(UNIDAX_RESERVED=0@0x100000000 ranges "$layout" | sed 's/^/unidax_reserved./' | xargs)")
	fi
	if [ "$layout" = delayed ]; then
		modules=$(build --flags=-DUNIDAX_TEST_FAULT_DELAY)
	fi
	if [ "$debug" ]; then
		options+=("${debug_options[@]}")
		read -ra reduced <<<"$reduced"
		settings+=(UNIDAX_LEAKS=1 "${reduced[@]}")
	fi
	start "$name" tested "$name" "$layout" "${tests[@]}"
done

# It runs with any choice of tests, because it is about the watchers.
if [ "$debug" ]; then
	modules=$(build --edit="$mutated" --script="$mutation")
	options=(--memory=reserved --mem-size=128M "--timeout=$limit" "${debug_options[@]}")
	settings=(UNIDAX_EXPECT_PROVIDERS=reserved UNIDAX_LEAKS=1)
	start "planted faults" planted
fi
wait
out=$work/plan
for t in "${all[@]}"; do
	[[ $planned = *" $t "* ]] || verdict fail "$t" "no machine is planned for it"
done

# What the sweeps of failures did, for the cover letter of the series.
if grep -hsoE '[^#]+: (call [0-9]+ of .* failed|[0-9]+ allocations made to fail)' "$work"/*.tap >"$work/sweep"; then
	sed 's/^ *//' "$work/sweep" >"$cache/sweep-$own"
fi

# --- sum up ------------------------------------------------------------------

[ ! "$results" ] || cat "$work"/*.results | sort -u >"$results"

# One result for each case: the worst, but a pass somewhere outdoes a skip.
cat "$work"/*.results | sort -u | awk -F '\t' -v OFS='\t' '
	!($2 in verdict) { order[++n] = $2 }
	$1 == "fail" { verdict[$2] = "fail"; why[$2] = why[$2] (why[$2] ? "; " : "") $3 }
	$1 == "pass" && verdict[$2] != "fail" { verdict[$2] = "pass" }
	$1 == "skip" && !($2 in verdict) { verdict[$2] = "skip" }
	# Of several reasons, one that is more than "not on this machine".
	$1 == "skip" && verdict[$2] == "skip" && (why[$2] == "" || why[$2] ~ /^no /) { why[$2] = $3 }
	END {
		for (i = 1; i <= n; i++)
			print verdict[order[i]], order[i], verdict[order[i]] == "pass" ? "" : why[order[i]]
	}' | python3 "$root/scripts/ktap.py" --write
