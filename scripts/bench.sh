#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [options]
#
# What device-DAX costs with unidax and with the kernel's own driver, measured by
# one program (scripts/bench/bench.c) on the same kernel. usage() has the ways.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
	cat <<'END'
usage: scripts/bench.sh [--kernel=KERNEL] [--runs=N] [--save]
           In virtual machines whose clock counts instructions: stock driver and
           unidax in turn, N machines each (2). Figures are guest instructions,
           and repeat. KERNEL is a name that scripts/kernels.sh knows (6.1), here
           and below. --save keeps what was made in Documentation/performance/,
           here and below; that of another KERNEL has its name in the file's.
       scripts/bench.sh --scale [--save]
           In such a machine: how unidax's costs grow with the size of the region and the
           number of extents, of processes and of devices. A table, and curves as SVG
           (needs gnuplot); fails if one is steeper than linear.
       scripts/bench.sh --trace [--save]
           In such machines: trees of calls, what of some operations goes where.
       scripts/bench.sh --device=/dev/daxR.I [--name=FILE]
           On this machine, with whatever driver has that device now: nanoseconds,
           and instructions if perf counters can be used. It loads nothing, and
           writes the first byte of pages of the device. The figures go to FILE.
       scripts/bench.sh --compare STOCK UNIDAX
           The table of two such files.
END
}

what=compare kernel=6.1 runs=2 save='' device='' name=/dev/stdout
for arg; do
	case $arg in
	--kernel=*) kernel=${arg#*=} ;;
	--runs=*) runs=${arg#*=} ;;
	--save) save=1 ;;
	--scale | --trace) what=${arg#--} ;;
	--device=*) device=${arg#*=} ;;
	--name=*) name=${arg#*=} ;;
	--compare)
		[ $# = 3 ] || { usage >&2 && exit 2; }
		exec "$root/scripts/bench/table.py" --stock "$2" --unidax "$3"
		;;
	--help | -h) usage && exit ;;
	*) usage >&2 && exit 2 ;;
	esac
done
[[ $runs =~ ^[1-9][0-9]*$ ]] || trouble "--runs=$runs: want a number"

mkdir -p "$cache"
work=$(mktemp -d "$cache/bench.XXXXXX")
mkdir "$work/out"
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
gcc-12 -Wall -Wextra -Werror -O2 -static -o "$work/bench" "$root/scripts/bench/bench.c"

if [ "$device" ]; then
	[ -c "$device" ] || trouble "$device is no device"
	# The stock driver's devices are on a bus, unidax's in a class.
	align=$(cat "/sys/dev/char/$(stat -c '%Hr:%Lr' "$device")/align") || trouble "$device has no align"
	"$work/bench" device "$device" "$align" >"$work/rows"
	cat "$work/rows" >"$name"
	exit
fi

# The kernel that the machines boot, and its modules. Those of some releases are compressed, which
# is modprobe's affair and not the driver's.
{
	read -r release && read -r kdir && read -r folder
} < <("$root/scripts/kernels.sh" "$kernel" release build modules) || trouble "--kernel=$kernel cannot be had"
stock=$work/stock
mkdir "$stock"
for module in device_dax hmem/dax_hmem; do
	from=$folder/$release/kernel/drivers/dax/$module.ko
	if [ -f "$from.xz" ]; then
		xz -dc "$from.xz" >"$stock/${module##*/}.ko"
	else
		cp "$from" "$stock/" || trouble "no stock module $from"
	fi
done
built=$(KDIR=$kdir "$root/scripts/modules.sh") || trouble 'the modules do not build'

# As they are installed: to load what is for a debugger only would be counted.
modules=(unidax.ko providers/hmem/unidax_hmem.ko providers/reserved/unidax_reserved.ko)
for module in "${modules[@]}"; do
	strip --strip-debug -o "$work/${module##*/}" "$built/$module"
done
# The runner's folder is there in the machine, under this name.
vm=/run/unidax-vm/host$work
counting=("--kernel=$kernel" --icount --smp=1 --timeout=1500)
quiet='nokaslr norandmaps random.trust_cpu=off'
kept=$root/Documentation/performance
# What a kept file is called, and how it was made.
suffix='' option='' made="make bench (scripts/bench.sh --runs=$runs)"
if [ "$kernel" != 6.1 ] && [ "$kernel" != stock ]; then
	suffix=-$kernel option=" --kernel=$kernel" made="scripts/bench.sh --kernel=$kernel --runs=$runs"
fi

if [ "$what" = scale ]; then
	type gnuplot >/dev/null || trouble 'no gnuplot (Debian: gnuplot-nox)'
	# Addresses without memory behind them are enough for struct pages.
	"$root/scripts/vm.sh" "${counting[@]}" --append="$quiet memmap=64G\$256G" --memory=hmem --mem-size=1G -- \
		"$vm/bench" scale "$vm/unidax.ko" "$vm/unidax_reserved.ko" 0x100000000 0x4000000000 >"$work/rows"
	status=0
	{
		echo "Made by: scripts/bench.sh$option --scale"
		echo "Guest instructions of the whole machine, those of a fault of the task alone;"
		echo "growth: slope of the curve, both axes logarithmic, 1 is linear; and between its last points."
		echo
		"$root/scripts/bench/scale.py" "$work/scale.svg" <"$work/rows"
	} >"$work/table" || status=$?
	cat "$work/table"
	[ ! "$save" ] || install -D -m 644 "$work/table" "$kept/scale$suffix.txt"
	[ ! "$save" ] || install -D -m 644 "$work/scale.svg" "$kept/scale$suffix.svg"
	exit $status
fi

trace() { # DRIVER MODULE MODULE NAME-OF-MARK...
	PATH=$work/bin:$PATH UNIDAX_TRACE=$work/records "$root/scripts/vm.sh" "${counting[@]}" --append="$quiet" \
		--memory=hmem --mem-size=1G -- "$vm/bench" trace "${@:1:3}" >"$work/symbols"
	"$root/scripts/bench/trace.py" "$work/symbols" "$work/records" "${@:4}"
}

if [ "$what" = trace ]; then
	# The machine's runner knows nothing of plugins.
	mkdir "$work/bin"
	gcc-12 -Wall -Wextra -Werror -O2 -shared -fPIC -o "$work/trace.so" "$root/scripts/bench/trace.c"
	{
		echo '#!/bin/sh'
		echo "[ \"\$1\" = --version ] || set -- -plugin '$work/trace.so' \"\$@\""
		echo "exec $(type -p qemu-system-x86_64) \"\$@\""
	} >"$work/bin/qemu-system-x86_64"
	chmod +x "$work/bin/qemu-system-x86_64"
	{
		echo "Made by: scripts/bench.sh$option --trace"
		echo "Guest instructions in each function and what it calls, the number of calls if there"
		echo "are several; nothing that is less than a twenty-fifth of its operation. Debian $release."
		trace stock "$vm/stock/device_dax.ko" "$vm/stock/dax_hmem.ko" \
			'Mainline: load' 'Mainline: open, close' 'Mainline: first write of 2 MiB' \
			'Mainline: munmap of 512 MiB' 'Mainline: create, size 2 MiB, bind' \
			'Mainline: unbind, size 0, delete' 'Mainline: unload'
		trace unidax "$vm/unidax.ko" "$vm/unidax_hmem.ko" \
			'unidax: load' 'unidax: open, close' 'unidax: first write of 2 MiB' \
			'unidax: shrink by 512 MiB that are mapped' 'unidax: create, size 2 MiB' \
			'unidax: size 0, delete' 'unidax: unload'
	} >"$work/table"
	cat "$work/table"
	[ ! "$save" ] || install -D -m 644 "$work/table" "$kept/trace$suffix.txt"
	exit
fi

# Runs that are alike to the byte repeat to the instruction. So each has a kernel command
# line of another length, which moves what the kernel allocates first, and with it the rest.
measure() { # RUN DRIVER ARGUMENT...
	local run=$1 driver=$2 filler
	shift 2
	filler=bench.run=$(printf "%$((37 * run))s" '' | tr ' ' x)
	printf 'bench: run %s of %s: %s\n' "$run" "$runs" "$driver" >&2
	"$root/scripts/vm.sh" "${counting[@]}" --append="$quiet $filler" --memory=hmem --mem-size=1G -- \
		"$vm/bench" "$driver" "$@" >"$work/out/$driver.$run"
}

began=$SECONDS
for ((run = 1; run <= runs; run++)); do
	measure "$run" stock "$vm/stock/device_dax.ko" "$vm/stock/dax_hmem.ko"
	measure "$run" unidax "$vm/unidax.ko" "$vm/unidax_hmem.ko"
done

sizes() { # DRIVER MODULE...
	size "${@:2}" | awk -v driver="$1" 'NR > 1 { text += $1; data += $2 + $3 }
		END { print driver, text, data }'
}
{
	sizes stock "$stock/device_dax.ko" "$stock/dax_hmem.ko"
	sizes unidax "$built/unidax.ko" "$built/providers/hmem/unidax_hmem.ko"
} >"$work/sizes"
{
	echo "Made by: $made"
	echo "Guest instructions, one operation each unless the row says otherwise;"
	echo "Debian $release, $(qemu-system-x86_64 --version | sed -n '1s/ *(.*//p'), -icount, 1 processor."
	"$root/scripts/bench/table.py" --stock "$work"/out/stock.* --unidax "$work"/out/unidax.* --sizes "$work/sizes"
} | tee "$work/table"
[ ! "$save" ] || install -D -m 644 "$work/table" "$kept/instructions$suffix.txt"
printf 'bench: %s s\n' $((SECONDS - began)) >&2
