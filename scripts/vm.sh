#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vm.sh [options] -- COMMAND [ARGUMENT]...
#
# Runs COMMAND as root in a throw-away virtual machine (QEMU, TCG) whose root
# is this machine's, read-only, and whose project tree is this one, writable,
# both under the names they have here. It never loads a module on this machine.
# A complaint in the kernel's log fails the run whatever COMMAND returns.
# usage() has the options and the exit statuses.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
	cat <<'END'
usage: scripts/vm.sh [options] -- COMMAND [ARGUMENT]...

  --kernel=KERNEL   stock (default), 6.1, 6.12, 7.3, debug or any other name that
                    scripts/kernels.sh knows; or a file: a bzImage, its modules in
                    a sibling modules/
  --modules-dir=DIR the directory of FILE's modules: DIR, DIR/lib/modules or
                    DIR/modules holds a directory named after the release
  --memory=KIND     none (default); hmem: soft-reserved; hmem-numa: the same on
                    a node of its own; nvdimm; pmem: legacy e820 pmem;
                    reserved: e820 reserved, UNIDAX_RESERVED=SIZE@START says where
  --mem-size=SIZE   size of that memory (1G)
  --ram=SIZE        ordinary memory beside it, a multiple of 1G up to 3G (2G)
  --iommu           an IOMMU, and a PCI device behind it for vfio-pci to take (edu, of QEMU's)
  --load            insmod unidax.ko and the provider that fits --memory first; if
                    the project has none that fit, scripts/modules.sh makes them
  --smp=N           processors (2)
  --icount          one nanosecond for each instruction: what is counted by the
                    time stamp counter repeats; slow, use it with --smp=1
  --timeout=SECONDS time limit of COMMAND (300)
  --append=ARGS     more kernel arguments
  --log=FILE        keep the kernel log there
  --allow-log=ERE   a kernel log line that matches is expected (may be repeated)

COMMAND gets /dev/null as stdin; the caller's variables that begin with UNIDAX_;
UNIDAX_SCRATCH, an empty tmpfs; UNIDAX_DIO, an ext4 of 64 MiB that takes O_DIRECT;
UNIDAX_EXPECT_IOMMU=1 with --iommu.
It starts in the caller's directory if that is in the project, else in the
project's. This machine's /tmp, /var/tmp, /var/log, /run and /dev are covered by
empty ones there; /run/unidax-vm/host has this machine's whole root, read-only.
UNIDAX_MODULES names another directory to take modules from, laid out like the
project. Exit status: COMMAND's (128+n for signal n, 127 not found), or
   99  the kernel complained, or the machine died under COMMAND
  124  time limit
  125  the runner could not do its work
END
}

say() {
	printf 'vm.sh: %s\n' "$*" >&2
}

trouble() {
	say "$*"
	exit 125
}

kernel=stock modules_dir='' memory=none mem_size=1G ram=2G load='' smp=2 limit=300
append='' log='' allow=() counted=() iommu=() args=''

while [ $# -gt 0 ]; do
	case $1 in
	--kernel=*) kernel=${1#*=} ;;
	--modules-dir=*) modules_dir=${1#*=} ;;
	--memory=*) memory=${1#*=} ;;
	--mem-size=*) mem_size=${1#*=} ;;
	--ram=*) ram=${1#*=} ;;
	--iommu)
		# The machine's own devices go past it, as virtio ones do that are not told otherwise.
		iommu=(-device intel-iommu -device edu)
		# The kernel's own look gives a remapped timer less time than a busy host does.
		args='intel_iommu=on no_timer_check'
		;;
	--load) load=1 ;;
	--smp=*) smp=${1#*=} ;;
	--icount)
		# shellcheck disable=SC2054 # the commas are QEMU's
		counted=(-icount shift=0,sleep=on -seed 1 -rtc base=2026-01-01T00:00:00,clock=vm)
		;;
	--timeout=*) limit=${1#*=} ;;
	--append=*) append=${1#*=} ;;
	--log=*) log=${1#*=} ;;
	--allow-log=*) allow+=("${1#*=}") ;;
	--help | -h)
		usage
		exit
		;;
	--)
		shift
		break
		;;
	*) usage >&2 && exit 125 ;;
	esac
	shift
done
[ $# -gt 0 ] || { usage >&2 && exit 125; }
[[ $mem_size =~ ^[1-9][0-9]*[MG]$ ]] || trouble "--mem-size=$mem_size: want a number and M or G"
[[ $ram =~ ^[123]G$ ]] || trouble "--ram=$ram: want 1G, 2G or 3G"
[[ $smp =~ ^[1-9][0-9]*$ ]] || trouble "--smp=$smp: want a number"
[[ $limit =~ ^[1-9][0-9]*$ ]] || trouble "--timeout=$limit: want seconds"
for ere in "${allow[@]}"; do
	rc=0
	[[ '' =~ $ere ]] || rc=$?
	[ $rc != 2 ] || trouble "--allow-log=$ere: not a regular expression"
done
for tool in qemu-system-x86_64 busybox cpio modinfo; do
	PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null ||
		trouble "$tool is missing: run scripts/packages.sh demo"
done

# The kernel, its release, and the directory of its modules.
release_of() { # bzImage: a pointer at 0x20e, from 0x200, to the release's text
	local at
	[ "$(tail -c +$((0x203)) "$1" | head -c 4 | tr -d '\0')" = HdrS ] || return
	at=$(od -An -tu2 -j $((0x20e)) -N 2 "$1")
	tail -c +$((at + 0x201)) "$1" | head -c 256 | tr '\0' '\n' | sed -n '1s/ .*//p'
}

image=$kernel build=''
if [[ $kernel != */* && ! -f $kernel ]]; then
	{
		read -r image && read -r found && read -r build
	} < <("$root/scripts/kernels.sh" "$kernel" image modules build) || trouble "--kernel=$kernel cannot be had"
	modules_dir=${modules_dir:-$found}
fi
[ -f "$image" ] || trouble "--kernel=$kernel: no such file"
release=$(release_of "$image") || true
[ "$release" ] || trouble "$image is no bzImage"
dir=$(cd "$(dirname "$image")" && pwd -P)
modules=''
for try in "${modules_dir:-$dir}"{,/modules,/modules/lib/modules,/lib/modules,/../lib/modules} /lib/modules; do
	if [ -d "$try/$release" ]; then
		modules=$(cd "$try/$release" && pwd -P)
		break
	fi
done
[ "$modules" ] || trouble "no modules of $release beside $image: use --modules-dir"
[ -e "$modules/modules.dep" ] || trouble "$modules has no modules.dep: run depmod"
[ -r "$image" ] || trouble "cannot read $image"
[ "$build" ] || [ ! -e "$modules/build/Makefile" ] || build=$modules/build

# A kernel that comes with faults to plant is one that has to report them.
# SLUB's own stacks go without saying, as KASAN keeps them too.
watching=''
if grep -q '/unidax_plant\.ko:' "$modules/modules.dep"; then
	watching='kasan_multi_shot slub_debug=FZP'
elif [ "$kernel" = debug ]; then
	trouble "the debug kernel has no faults to plant: run scripts/debug-kernel.sh"
fi

# Everything of this run is in one directory, gone when the run is over.
run=$(mktemp -d "${TMPDIR:-/tmp}/unidax-vm.XXXXXX")
qemu_pid='' tails=()
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	if [ "$qemu_pid" ]; then
		kill -KILL "$qemu_pid" || true
		wait "$qemu_pid" || true
	fi 2>/dev/null
	[ ${#tails[@]} = 0 ] || kill "${tails[@]}" 2>/dev/null || true
	rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

initramfs=$("$root/scripts/vm/mkinitramfs.sh" "$release" "$modules" "$cache/boot") ||
	trouble "cannot make an initramfs for $release"
vmlinux=$("$root/scripts/vm/mkvmlinux.sh" "$release" "$image" "$cache/boot") ||
	trouble "cannot unpack $image"

bytes() {
	local n=${1%[MG]}
	case $1 in
	*M) echo $((n << 20)) ;;
	*G) echo $((n << 30)) ;;
	esac
}

# The memory under test starts at 4 GiB exactly: ordinary memory stays below,
# because max-ram-below-4g moves what is beyond it there.
# q35, because the interrupt routing of the older machine is a program in ACPI's
# own language, whose time limit a kernel with KASAN exceeds.
total=$((($(bytes "$ram") + $(bytes "$mem_size")) >> 20))M
machine=q35,max-ram-below-4g=$ram
hardware=(-m "$total")
reserved='' insmods=() parameters=()
case $memory in
none) hardware=(-m "$ram") ;;
hmem) args+=" memmap=$mem_size%4G-1+0xefffffff" ;;
hmem-numa)
	args+=" memmap=$mem_size%4G-1+0xefffffff"
	hardware+=(-object "memory-backend-ram,id=m0,size=$ram"
		-object "memory-backend-ram,id=m1,size=$mem_size"
		-numa "node,nodeid=0,cpus=0-$((smp - 1)),memdev=m0"
		-numa "node,nodeid=1,memdev=m1")
	;;
nvdimm)
	machine=q35,nvdimm=on
	# shellcheck disable=SC2054 # the commas are QEMU's
	hardware=(-m "$ram,slots=2,maxmem=64G"
		-object "memory-backend-ram,id=nv0,size=$mem_size"
		-device nvdimm,id=nvd0,memdev=nv0)
	;;
pmem)
	args+=" memmap=$mem_size!4G"
	;;
reserved)
	# shellcheck disable=SC2016 # the kernel's syntax, no expansion
	args+=" memmap=$mem_size"'$4G'
	reserved=$mem_size@0x100000000
	;;
*) trouble "--memory=$memory: no such kind" ;;
esac

if [ "$load" ]; then
	# The project's, those that UNIDAX_MODULES names, or ones in the cache.
	[ "$build" ] || [ "${UNIDAX_MODULES-}" ] || trouble "no headers of $release to build modules with: set UNIDAX_MODULES"
	from=$(KDIR=$build "$root/scripts/modules.sh" 2>"$run/modules.log") || {
		cat "$run/modules.log" >&2
		trouble "no modules for $kernel"
	}
	insmods=("$from/unidax.ko") parameters=('')
	case $memory in
	hmem | hmem-numa)
		insmods+=("$from/providers/hmem/unidax_hmem.ko")
		parameters+=('')
		;;
	reserved)
		insmods+=("$from/providers/reserved/unidax_reserved.ko")
		parameters+=("range=$reserved")
		;;
	esac
	# A module of that kernel has the right one: two kernels of one release may
	# still differ in their configuration.
	want=$(/sbin/modinfo -F vermagic "$modules/$(sed -n '1s/:.*//p' "$modules/modules.dep")")
	for file in "${insmods[@]}"; do
		[ -f "$file" ] || trouble "$file is not there"
		have=$(/sbin/modinfo -F vermagic "$file") || trouble "$file is no module"
		[ "$have" = "$want" ] || trouble "$file was built for '$have', this kernel wants '$want'"
	done
fi

cwd=$(pwd -P)
case $cwd/ in
"$root"/*) ;;
*) cwd=$root ;;
esac

# What guest-init reads, in the plainest shell's quoting.
quote() {
	local word
	for word; do
		printf " '%s'" "${word//\'/\'\\\'\'}"
	done
}

assign() {
	local word
	word=$(quote "$2")
	printf '%s=%s\n' "$1" "${word# }"
}

nonce=$$-$RANDOM$RANDOM
environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	HOME=/run/home USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8)
while IFS= read -r -d '' word; do
	case $word in
	UNIDAX_SCRATCH=* | UNIDAX_DIO=* | UNIDAX_RESERVED=*) ;;
	UNIDAX_*=*) environment+=("$word") ;;
	esac
done < <(env -0)
environment+=(UNIDAX_SCRATCH=/run/scratch ${reserved:+"UNIDAX_RESERVED=$reserved"}
	${iommu:+UNIDAX_EXPECT_IOMMU=1})
{
	assign NONCE "$nonce"
	assign PROJECT "$root"
	assign CWD "$cwd"
	assign LIMIT "$limit"
	assign RELEASE "$release"
	assign MODULES "$modules"
	assign MEMORY "$memory"
	echo 'load_modules() {'
	for i in "${!insmods[@]}"; do
		echo "load $(quote "${insmods[i]}" "${parameters[i]}")"
	done
	echo :
	echo '}'
	echo 'run_command() {'
	# The full name, because busybox's env would run its own applets.
	echo "exec setsid /usr/bin/env -i $(quote "${environment[@]}") \"\$@\" $(quote "$@")"
	echo '}'
} >"$run/config"
cp "$root/scripts/vm/guest-init" "$run/"
: >"$run/stdout" && : >"$run/stderr"

comma() {
	printf %s "${1//,/,,}"
}
share() { # FUNCTION NAME PATH [OPTIONS]: one slot, because each costs 0.15 s
	hardware+=(-fsdev "local,id=$2,path=$(comma "$3"),security_model=none,multidevs=remap${4-}"
		-device "virtio-9p-pci,fsdev=$2,mount_tag=$2,addr=4.$1,multifunction=on")
}
share 0 root / ,readonly=on
share 1 project "$root"
share 2 run "$run"

# One life of the machine, from power on to its end: in $started whether the command began, in $ended
# "hung" if it had to be stopped, in $run/log what its kernel said.
#
# no_timer_check: where the machine gets little of the processor, the kernel misses the ticks that it
# counts at its start, and gives up. For the same reason a processor that does nothing for the kernel's
# own 20 s has not stalled yet: a machine that hangs is seen a minute later, too.
# QEMU dies with this script, even when that is killed. Its end shows as end of
# file on the pipe, which is all that the pipe is for.
boot() {
	exec {alive}< <(exec setpriv --pdeathsig KILL qemu-system-x86_64 \
		-accel tcg -machine "$machine,usb=off,vmport=off,sata=off" -cpu max -smp "$smp" "${counted[@]}" "${iommu[@]}" "${hardware[@]}" \
		-nodefaults -no-user-config -display none -no-reboot -monitor none \
		-chardev "file,id=log,path=$(comma "$run")/console" -serial chardev:log \
		-kernel "$vmlinux" -initrd "$initramfs" \
		-append "console=ttyS0 panic=-1 oops=panic cryptomgr.notests quiet loglevel=5 no_timer_check rcupdate.rcu_cpu_stall_timeout=90 watchdog_thresh=45 log_buf_len=16M printk.devkmsg=on $watching $args $append" \
		</dev/null 2>"$run/qemu.err")
	qemu_pid=$!
	tail -c +1 -f -s 0.1 --pid="$qemu_pid" "$run/stdout" &
	tails+=($!)
	tail -c +1 -f -s 0.1 --pid="$qemu_pid" "$run/stderr" >&2 &
	tails+=($!)

	# The command's limit is kept in the machine. These are for a machine that does
	# not get so far: to come up, to report, to go down.
	boot_limit=120 slack=15
	case $kernel in
	stock | [67].*) ;;
	*) boot_limit=300 slack=60 ;;
	esac
	deadline=$((SECONDS + boot_limit)) started='' reported='' ended=''
	until [ "$ended" ]; do
		rc=0
		read -r -t 1 -u "$alive" _ || rc=$?
		# 0: QEMU said something; above 128: nothing happened; else end of file
		[ $rc -eq 0 ] || [ $rc -gt 128 ] || ended=1
		if [ -z "$started" ] && [ -e "$run/started" ]; then
			started=1
			deadline=$((SECONDS + limit + slack))
		fi
		if [ -z "$reported" ] && [ -e "$run/status" ]; then
			reported=1
			deadline=$((SECONDS + slack))
		fi
		if [ -z "$ended" ] && [ $SECONDS -ge $deadline ]; then
			kill -KILL "$qemu_pid"
			ended=hung
		fi
	done
	wait "$qemu_pid" 2>/dev/null || true
	qemu_pid=''
	wait "${tails[@]}" || true
	tails=()
	[ ! -e "$run/started" ] || started=1
	# Before the start mark the console only showed warnings.
	tr -d '\r' <"$run/console" >"$run/log"
	if [ -s "$run/boot.log" ] && grep -qaF "unidax-vm: start $nonce" "$run/log"; then
		sed -n "/unidax-vm: start $nonce/,\$p" "$run/log" >>"$run/boot.log"
		mv "$run/boot.log" "$run/log"
	fi
}

boot
if [ -z "$started" ] && "$root/scripts/vm/judge.sh" --early "$run/log"; then
	say "the kernel died of an int3 as it started, before anything of the project was there: once more"
	boot
fi

# The verdict.
keep() {
	local dir=$cache/logs old
	mkdir -p "$dir"
	kept=$(mktemp "$dir/$(date +%Y%m%d-%H%M%S)-XXXXXX.log")
	cp "$run/log" "$kept"
	chmod 644 "$kept"
	# Other runners may do the same at this moment.
	{
		find "$dir" -name '*.log' -printf '%T@ %p\n' | sort -rn | tail -n +21 || true
	} 2>/dev/null | while read -r _ old; do
		rm -f "$old"
	done
}

fail() { # STATUS TEXT
	local status=$1
	shift
	keep
	say "$*"
	say "kernel log: $kept"
	exit "$status"
}

[ -z "$log" ] || cp "$run/log" "$log" || say "cannot write $log"

word=$(cat "$run/status" 2>/dev/null || true)
case $ended/$started/$word in
*/*/"exit "*) outcome="the command's own status was ${word#exit }" ;;
*/*/limit) outcome="time limit of $limit s" ;;
*/*/"trouble "*) outcome=${word#trouble } ;;
hung/1/*) outcome="time limit of $limit s, and the machine hung" ;;
hung//*) outcome="the machine did not come up within $boot_limit s" ;;
*/1/*) outcome="the machine went down under the command" ;;
*) outcome="the machine did not come up" ;;
esac

rc=0
"$root/scripts/vm/judge.sh" "$run/log" "$nonce" "${allow[@]}" >"$run/excerpt" || rc=$?
case $rc in
0 | 3) ;;
1)
	sed 's/^/vm.sh: | /' "$run/excerpt" >&2
	fail 99 "the kernel complained ($outcome)"
	;;
*) fail 125 "the kernel log could not be judged ($outcome)" ;;
esac
# A kernel that reports nothing may have gone blind: KASAN after a report of its
# own, lockdep after any, be it an expected one.
if [ "$watching" ] && [[ $word = "exit "* ]]; then
	planted=(use-after-free)
	[ $rc != 0 ] || planted+=(lock-order)
	missed=$("$root/scripts/vm/judge.sh" --planted "$run/log" "$nonce" "${planted[@]}")
	[ -z "$missed" ] || fail 99 "the kernel did not report what was planted: ${missed//$'\n'/, } ($outcome)"
fi
# A flag that the kernel raised must have its line in the log, be it an expected
# one: died, warning, bad page, soft lock-up.
if [ $rc = 0 ] && read -r before after 2>/dev/null <"$run/tainted"; then
	raised=$((after & ~before & (1 << 7 | 1 << 9 | 1 << 5 | 1 << 14)))
	[ $raised = 0 ] || fail 99 "the kernel is tainted ($raised), its log does not say why ($outcome)"
fi
case $ended/$started/$word in
hung/*/"exit "*) fail 124 "the machine hung on its way down ($outcome)" ;;
*/*/"exit "*)
	[ "$word" = "exit 0" ] || keep
	exit "${word#exit }"
	;;
*/*/limit | hung/1/*) fail 124 "$outcome" ;;
*/1/'') fail 99 "$outcome" ;;
esac
{
	tail -n 20 "$run/log"
	cat "$run/init.log" "$run/qemu.err" 2>/dev/null || true
} | sed 's/^/vm.sh: | /' >&2
fail 125 "$outcome"
