#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test of scripts/vm.sh: what a command sees in the machine, what comes back of
# it, and that a machine whose kernel complains, hangs or dies fails the run.
# Faults are planted by fault/fault.c, built for the stock kernel in a directory
# of its own here, where the machine can see it. The wording of complaints that
# the stock kernel cannot make is given to judge.sh straight. KTAP on stdout;
# nothing is loaded on this machine.
#
# Scripts in single quotes are for the machine's shell or for eval.
# shellcheck disable=SC2016,SC1003
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=scripts/common.sh
. "$here/../../common.sh"
# shellcheck source=scripts/ktap.sh
. "$root/scripts/ktap.sh"
vm=$root/scripts/vm.sh

work=$(mktemp -d)
build=$(mktemp -d "$here/build.XXXXXX")
trap 'rm -rf "$work" "$build"' EXIT
cd "$root" || exit 1
# The debug kernel is not built for this, but used if it is there.
debug=$("$root/scripts/debug-kernel.sh" --path 2>/dev/null) && [ -e "$debug/.plant" ] || debug=''
# Caches and logs of its own: this makes a dozen logs of failures.
own_cache=${XDG_CACHE_HOME:-$HOME/.cache}
export XDG_CACHE_HOME=$work/cache

ok() { # TEXT COMMAND...: passes if the command succeeds
	local text=$1
	shift
	if "$@"; then
		ktap pass "$text"
		return
	fi
	for f in out err; do
		sed "s/^/# $f: /" "$work/$f" | tail -n 25
	done
	ktap fail "$text"
}

skip() { # WHY TEXT...: cases that cannot be tried
	local text
	for text in "${@:2}"; do
		ktap skip "$text" "$1"
	done
}

run() { # OPTION... -- COMMAND...: status in $status, output in $work
	"$vm" "$@" >"$work/out" 2>"$work/err"
	status=$?
}

out() { # LINE...: all of them are in what the command printed
	local line
	for line; do
		grep -qxF -e "$line" "$work/out" || return
	done
}

err() { # ERE: some line on stderr matches
	grep -qE -e "$1" "$work/err"
}

is() { # EXPECTED STATUS
	[ "$1" = "$status" ]
}

quiet() { # the runner has said nothing, nor has the command
	[ ! -s "$work/err" ]
}

# complained ERE: status 99, the excerpt shows it, and so does the log kept
complained() {
	local kept
	is 99 || return
	err "^vm.sh: \| .*$1" || return
	kept=$(sed -n 's/^vm.sh: kernel log: //p' "$work/err")
	[ -f "$kept" ] && grep -qE "$1" "$kept"
}

ktap_begin

# --- judge.sh on its own -----------------------------------------------------

judge() { # LINE [ERE]...: exit status of judge.sh for a log with that line
	{
		echo '[    0.000002] BUG: KASAN: out-of-bounds in early_code+0x1/0x2'
		echo '[    1.000000] unidax-vm: start here'
		echo "[    1.500000] $1"
	} >"$work/log"
	"$root/scripts/vm/judge.sh" "$work/log" here "${@:2}" >"$work/out" 2>"$work/err"
	status=$?
}

every_complaint() {
	local line rc=0
	while IFS= read -r line; do
		judge "$line"
		if ! is 1 || ! grep -qF "$line" "$work/out"; then
			echo "# missed: $line"
			rc=1
		fi
	done <<'END'
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: unable to handle page fault for address: ffffc90000a00000
BUG: KASAN: use-after-free in drop_pagecache_sb+0x1d3/0x2a0
BUG: KCSAN: data-race in a / b
BUG: KFENCE: use-after-free read in test+0x1/0x2
BUG: sleeping function called from invalid context at mm/slab.h:274
BUG: scheduling while atomic: insmod/123/0x00000002
BUG: Bad page state in process insmod  pfn:100000
BUG: Bad rss-counter state mm:00000000 type:MM_FILEPAGES val:1
BUG kmalloc-64 (Tainted: G    B      O      ): Object already free
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!
watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [insmod:123]
Oops: 0002 [#1] PREEMPT SMP NOPTI
Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP
general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP NOPTI
invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
kernel BUG at mm/usercopy.c:102!
Kernel panic - not syncing: Fatal exception
Unable to handle kernel paging request at virtual address dead000000000100
WARNING: CPU: 0 PID: 123 at mm/memremap.c:99 memunmap_pages+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
WARNING: bad unlock balance detected!
WARNING: held lock freed!
WARNING: suspicious RCU usage
INFO: trying to register non-static key.
INFO: task insmod:123 blocked for more than 120 seconds.
INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: {
rcu: rcu_preempt kthread starved for 5000 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=1
UBSAN: array-index-out-of-bounds in cdev/fault.cc:12:3
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
kmemleak: Kernel memory leak detector disabled
refcount_t: underflow; use-after-free.
list_del corruption. next->prev should be ffff888100000000, but was dead000000000122.
ODEBUG: free active (active state 0) object type: timer_list hint: expire+0x0/0x1
kmem_cache_destroy unidax_inode: Slab cache still has objects when called from stop+0x1/0x2
VFS: Busy inodes after unmount of unidax. Self-destruct in 5 seconds.  Have a nice day...
sysfs: cannot create duplicate filename '/class/dax'
kobject: '(null)' (00000000): is not initialized, yet kobject_put() is being called.
workqueue: work func work [unidax] enqueued on deprecated workqueue. Use system_{percpu|dfl}_wq instead.
** 117 printk messages dropped **
END
	return $rc
}

no_harmless_line() {
	local line rc=0
	while IFS= read -r line; do
		judge "$line"
		if ! is 0; then
			echo "# taken for a complaint: $line"
			rc=1
		fi
	done <<'END'
unidax: loading out-of-tree module taints kernel.
unidax: module verification failed: signature and/or required key missing - tainting kernel
unidax: no BUG: found, 0 WARNING: lines, no oops, nothing to panic about
unidax: debug: Oops counter is [#0]
unidax: WARNING is a word
Memory failure: 0x100000: recovery action for dax page: Recovered
MCE: Killing sweep:123 due to hardware memory corruption fault at 7f0000000000
traps: sweep[123] general protection fault ip:401000 sp:7ffc00000000 error:0 in sweep[401000+1000]
traps: sweep[123] trap invalid opcode ip:401000 sp:7ffc00000000 error:0 in sweep[401000+1000]
sweep[123]: segfault at 0 ip 0000000000401000 sp 00007ffc00000000 error 4 in sweep[401000+1000]
rcu: Hierarchical SRCU implementation.
watchdog_thresh: 10
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
debugfs: Directory 'unidax' with parent '/' already present!
INFO: NMI handler (nmi_cpu_backtrace_handler) took too long to run: 2.899 msecs
kmemleak: Automatic memory scanning thread started
EXT4-fs warning (device ram0): mounting unchecked fs
sysrq: Show Blocked State
END
	return $rc
}

allowed() {
	local line='WARNING: CPU: 0 PID: 123 at region/region.cc:9 planted+0x1/0x2 [unidax]'
	judge "$line" 'at region/.*planted' && is 3 || return
	judge "$line" '^WARNING: CPU' && is 3 || return
	judge "$line" 'something else' && is 1
}

before_the_mark() {
	local text=$1
	{
		echo "[    0.900000] $text"
		echo '[    1.000000] unidax-vm: start here'
	} >"$work/log"
	"$root/scripts/vm/judge.sh" "$work/log" here >"$work/out" 2>"$work/err"
	status=$?
	is "$2"
}

# What counts for the planted faults comes after their mark, and what comes there
# counts for nothing else.
planted() {
	local cycle='WARNING: possible circular locking dependency detected
 (plant_second){+.+.}-{3:3}, at: plant_lock_order+0x61/0x90 [unidax_plant]'
	local kasan='BUG: KASAN: use-after-free in plant_use_after_free+0x81/0xa0 [unidax_plant]'
	local mark='unidax-vm: plant here' start='unidax-vm: start here' end='unidax-vm: end here exit 0'

	missed() { # EXPECTED LINE...
		printf '[    1.000000] %s\n' "${@:2}" >"$work/log"
		[ "$("$root/scripts/vm/judge.sh" --planted "$work/log" here lock-order use-after-free | xargs)" = "$1" ]
	}
	missed '' "$start" "$mark" "$cycle" "$kasan" "$end" || return
	"$root/scripts/vm/judge.sh" "$work/log" here || return
	missed 'lock-order' "$start" "$mark" "$kasan" "$end" || return
	missed 'use-after-free' "$start" "$mark" "$cycle" "$end" || return
	missed 'lock-order use-after-free' "$start" "$cycle" "$kasan" "$mark" "$end" || return
	! "$root/scripts/vm/judge.sh" "$work/log" here >"$work/out" || return
	missed 'lock-order use-after-free' "$start" "$end"
}

# Who gets a second try: a kernel that died of an int3 before anything of ours.
early() {
	local int3='Oops: int3: 0000 [#1] PREEMPT SMP NOPTI' rip='RIP: 0010:sched_clock_cpu+0x9/0x190'

	again() { # LINE...: of the log
		printf '[    1.000000] %s\n' "$@" >"$work/log"
		"$root/scripts/vm/judge.sh" --early "$work/log"
	}
	again "$int3" "$rip" || return
	again 'int3: 0000 [#1] SMP' "$rip" || return
	! again 'Oops: 0002 [#1] PREEMPT SMP' "$rip" || return
	! again 'Kernel panic - not syncing: VFS' || return
	! again 'unidax-vm: start here' "$int3" "$rip" || return
	! again 'unidax: dax_region0: 4096 bytes cleared' "$int3" || return
	! again "$int3" 'RIP: 0010:_ZN6unidax4cdev5faultEv+0x9/0x190 [unidax]'
}

ok 'judge: complaints of every kind are found' every_complaint
ok 'judge: a second try only for an early int3' early
ok 'judge: lines that only look like one pass' no_harmless_line
ok 'judge: expected lines are allowed, others are not' allowed
ok 'judge: a warning before the start mark does not count' before_the_mark 'WARNING: CPU: 0' 0
ok 'judge: planted faults are looked for where they are planted' planted
ok 'judge: a panic before the start mark does' before_the_mark 'Kernel panic - not syncing: VFS' 1

# --- planted modules ---------------------------------------------------------

release=$("$vm" -- uname -r 2>"$work/err") || {
	sed 's/^/# /' "$work/err"
	echo 'Bail out! no machine comes up'
	exit 1
}
mkdir -p "$build/providers/reserved"
cp "$here/fault/Kbuild" "$here/fault/fault.c" "$build"
# Stand-ins for the project's own modules, in its layout.
cp "$here/fault/fault.c" "$build/unidax.c"
cp "$here/fault/fault.c" "$build/unidax_reserved.c"
make -s -C "/lib/modules/$release/build" "M=$build" modules >"$work/out" 2>&1 || {
	sed 's/^/# /' "$work/out"
	echo 'Bail out! cannot build the planted modules'
	exit 1
}
mv "$build/unidax_reserved.ko" "$build/providers/reserved/"
fault=$build/fault.ko

# --- what a command sees -----------------------------------------------------

look='
check() { if "$@" >/dev/null 2>&1; then echo "yes: $*"; else echo "no: $*"; fi; }
echo "pwd: $PWD"
echo "stdin: $(readlink /proc/self/fd/0)"
echo "uid: $(id -u) core: $(ulimit -c)"
echo "passed: $UNIDAX_PASSED."
echo "not passed: ${NOT_PASSED-unset}"
echo "to stderr" >/dev/stderr
check touch "$UNIDAX_BUILD/written"
check touch /usr/written
check touch /etc/written
for d in /tmp /run /dev/shm /var/tmp /var/log "$HOME" "$UNIDAX_SCRATCH" "$UNIDAX_DIO"; do
	touch "$d/written" || echo "not writable: $d"
done
check dd if=/dev/zero of=$UNIDAX_DIO/f bs=4096 count=4 oflag=direct
check dd if=$UNIDAX_DIO/f of=/dev/null bs=4096 iflag=direct
check setpriv --reuid=65534 --regid=65534 --clear-groups touch $UNIDAX_SCRATCH/a $UNIDAX_DIO/a
check mountpoint /proc
check mountpoint /sys/kernel/debug
check mountpoint /sys/kernel/config
check mountpoint /dev/pts
check modprobe dummy
check ping -c 1 127.0.0.1
echo "host: $(cat /proc/sys/kernel/hostname)"
trap "echo got INT" INT; kill -INT $$
seq 100000
'
UNIDAX_BUILD=$build UNIDAX_PASSED=$'a "b" \'c\'\n$d' NOT_PASSED=1 run -- bash -c "$look"
ok 'status 0 passes' is 0
ok 'runs as root, in the project, without core dumps' out "pwd: $root" 'uid: 0 core: 0'
ok 'stdin is /dev/null' out 'stdin: /dev/null'
ok 'variables: UNIDAX_ ones pass as they are, no others' out "passed: a \"b\" 'c'" '$d.' 'not passed: unset'
ok 'stderr is separate, and can be opened by name' grep -qx 'to stderr' "$work/err"
ok 'the project is writable, and its files are here' test -e "$build/written"
ok 'the root is read-only' out 'no: touch /usr/written' 'no: touch /etc/written'
ok 'everything else that should be writable is' eval '! grep -q "not writable" "$work/out"'
ok 'O_DIRECT works in UNIDAX_DIO' out 'yes: dd if=/dev/zero of=/run/dio/f bs=4096 count=4 oflag=direct' \
	'yes: dd if=/run/dio/f of=/dev/null bs=4096 iflag=direct'
ok 'other users may write to the scratch directories' grep -q '^yes: setpriv' "$work/out"
ok 'file systems are mounted' out 'yes: mountpoint /proc' 'yes: mountpoint /sys/kernel/debug' \
	'yes: mountpoint /sys/kernel/config' 'yes: mountpoint /dev/pts'
ok 'modprobe works' out 'yes: modprobe dummy'
ok 'the host name is set, lo is up' out 'host: unidax-vm'
ok 'the command can catch SIGINT' out 'got INT'
ok 'much output arrives whole' eval '[ "$(tail -n 100000 "$work/out" | cksum)" = "$(seq 100000 | cksum)" ]'

argv=('a b' '' "q'uo\"te" $'new\nline' '$HOME `id` \' '*' 'e=1' 'ünï')
run --memory=hmem --mem-size=128M -- bash -c '
for a; do printf "<%s>\n" "$a"; done
echo err >&2
grep -E "hmem|Soft" /proc/iomem
ls /sys/bus/platform/devices | grep hmem
sleep 1000 &
exit 37' sh "${argv[@]}"
ok 'status 37 passes, though a child stays behind' is 37
ok 'arguments arrive intact' eval '[ "$(head -n 9 "$work/out")" = "$(printf "<%s>\n" "${argv[@]}")" ]'
ok 'stdout has only stdout, stderr only stderr' eval '! grep -q err "$work/out" && [ "$(cat "$work/err")" = err ]'
ok 'hmem 128M: hmem.0 over soft-reserved memory' out '100000000-107ffffff : hmem.0' \
	'  100000000-107ffffff : Soft Reserved' hmem.0

mkdir "$work/kernel"
cp "/boot/vmlinuz-$release" "$work/kernel/bzImage"
mkdir "$work/kernel/modules"
ln -s "/lib/modules/$release" "$work/kernel/modules/"
run --kernel="$work/kernel/bzImage" --memory=pmem --mem-size=4G -- sh -c 'cat /sys/bus/nd/devices/region0/size; echo "kernel: $(uname -r)"; kill -TERM $$'
ok 'signal 15 is status 143' is 143
ok 'pmem 4G: region0' out 4294967296
ok '--kernel=FILE' out "kernel: $release"

run --memory=hmem-numa --mem-size=2G -- no-such-command
ok 'a command that does not exist is 127' is 127

# --- two machines at a time --------------------------------------------------

"$vm" --memory=nvdimm -- sh -c 'ls /sys/bus/nd/devices; cat /sys/bus/nd/devices/region0/size' >"$work/out2" 2>"$work/err2" &
other=$!
UNIDAX_MODULES=$build run --memory=reserved --mem-size=2G --load -- sh -c '
echo "reserved: $UNIDAX_RESERVED"
awk "/ : Reserved/ { split(\$1, r, \"-\"); if (length(r[2]) == 9) print \"end: \" r[2] }" /proc/iomem
cat /sys/module/unidax_reserved/parameters/range; test -d /sys/module/unidax && echo loaded'
ok 'two at a time: the first passes' is 0
ok 'reserved 2G: UNIDAX_RESERVED is an e820 range' out 'reserved: 2G@0x100000000' 'end: 17fffffff'
ok '--load: unidax.ko, then the provider with its range' out loaded 2G@0x100000000
wait $other
status=$?
mv "$work/out2" "$work/out"
mv "$work/err2" "$work/err"
ok 'two at a time: the second passes' is 0
ok 'nvdimm: nmem0 and region0' out nmem0 region0 1073741824

run --memory=hmem-numa --mem-size=2G --smp=1 -- sh -c 'modprobe dax_hmem && modprobe device_dax &&
	grep -H . /sys/bus/dax/devices/dax0.0/target_node /sys/bus/dax/devices/dax0.0/size && nproc'
ok 'hmem-numa 2G: target node 1' out /sys/bus/dax/devices/dax0.0/target_node:1 \
	/sys/bus/dax/devices/dax0.0/size:2147483648
ok '--smp' out 1

# --- trouble before a machine starts -----------------------------------------

# Two that want modules of another kernel at a time: neither touches those that the project has.
before=$(sha256sum "$root"/*.ko "$root"/providers/*/*.ko 2>/dev/null)
for i in 1 2; do
	XDG_CACHE_HOME=$own_cache "$vm" --kernel=6.12 --memory=reserved --mem-size=32M --smp=1 --load -- \
		sh -c 'uname -r | cut -d. -f1-2; test -c /dev/dax0.0 && echo "a device"' >"$work/out$i" 2>"$work/err$i" &
	pids[i]=$!
done
for i in 1 2; do
	wait "${pids[i]}"
	status=$?
	mv "$work/out$i" "$work/out"
	mv "$work/err$i" "$work/err"
	ok "--load on a kernel that the project is not built for, $i of two" eval 'is 0 && quiet && out 6.12 "a device"'
done
ok "the project's own modules are what they were" test \
	"$before" = "$(sha256sum "$root"/*.ko "$root"/providers/*/*.ko 2>/dev/null)"

mkdir "$work/empty"
UNIDAX_MODULES=$work/empty run --load -- true
ok '--load without modules: 125, and says what to do' eval 'is 125 && err "is not there"'
mkdir "$work/other"
sed "s/vermagic=$release/vermagic=${release/6./5.}/" "$build/unidax.ko" >"$work/other/unidax.ko"
UNIDAX_MODULES=$work/other run --load -- true
ok "--load with another kernel's modules: 125, and says so" eval 'is 125 && err "was built for"'
run --memory=nonsense -- true
ok 'a wrong option: 125' is 125
run --allow-log='(' -- true
ok 'a wrong expression: 125' is 125

# --- faults ------------------------------------------------------------------

run -- sh -c "echo before; insmod '$fault' fault=oops; echo after"
ok 'an oops: 99, excerpt, log kept' complained 'BUG: kernel NULL pointer dereference'
ok 'an oops: what was printed before is there' eval 'out before && ! out after'
run -- insmod "$fault" fault=bug
ok 'a BUG: 99, excerpt, log kept' complained 'kernel BUG at .*fault.c'
run -- insmod "$fault" fault=panic
ok 'a panic: 99, excerpt, log kept' complained 'Kernel panic - not syncing: planted'
run -- sh -c 'i=0; while [ $i -lt 20000 ]; do echo "flood $i"; i=$((i + 1)); done >/dev/kmsg;
	insmod "$1" fault=warn; i=0; while [ $i -lt 20000 ]; do echo "flood $i"; i=$((i + 1)); done >/dev/kmsg' \
	sh "$fault"
ok 'a WARN in a flood: 99, excerpt, log kept' complained 'WARNING: CPU: .*fault.c'
ok 'a WARN: the status of the command is told' err "own status was 0"
run --allow-log='at .*/fault\.c:[0-9]+ .*\[fault\]' --log="$work/kernel.log" -- sh -c \
	"echo 'unidax: no BUG: or WARNING: here' >/dev/kmsg; insmod '$fault' fault=warn; exit 3"
ok 'an expected WARN and a harmless line: the status passes' eval 'is 3 && quiet'
ok '--log: the whole kernel log, from boot to end' eval \
	'grep -q "Linux version" "$work/kernel.log" && grep -q "planted" "$work/kernel.log"'
run -- insmod "$fault" fault=taint
ok 'a taint that the log does not explain: 99' eval 'is 99 && err "tainted"'
# This one lasts until the runner gives the machine up; the others go on beside it.
"$vm" --smp=1 --timeout=8 -- insmod "$fault" fault=dead >"$work/out2" 2>"$work/err2" &
other=$!
run --append='watchdog_thresh=1 sysctl.kernel.hung_task_timeout_secs=1' -- sh -c \
	"insmod '$fault' fault=softlockup; rmmod fault; insmod '$fault' fault=blocked
	until dmesg | grep -q 'blocked for'; do sleep 0.5; done"
ok 'a soft lock-up: 99, excerpt, log kept' complained 'BUG: soft lockup'
ok 'a hung task, too' complained 'INFO: task planted:.* blocked'
run --timeout=4 -- sh -c 'echo before; exec sleep 1000'
ok 'the time limit: 124' eval 'is 124 && err "time limit of 4 s"'
ok 'the time limit: what was printed is there' out before
run -- sh -c "insmod '$fault' fault=stuck & until dmesg | grep -q stuck; do sleep 0.2; done"
ok 'a process that cannot be killed: 99' complained 'cannot be killed'
# A machine that dies as often as $work/deaths says before anything is in it, and then is as it should be.
mkdir "$work/bin"
cat >"$work/bin/qemu-system-x86_64" <<END
#!/bin/bash
read -r deaths <"$work/deaths"
if [ "\$deaths" = 0 ]; then
	exec "$(command -v qemu-system-x86_64)" "\$@"
fi
echo \$((deaths - 1)) >"$work/deaths"
for word; do
	[[ \$word != file,id=log,path=* ]] || console=\${word#*path=}
done
cat >"\$console" <<LOG
[    0.810000] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI
[    0.820000] Kernel panic - not syncing: Fatal exception in interrupt
LOG
END
chmod 755 "$work/bin/qemu-system-x86_64"

echo 1 >"$work/deaths"
PATH=$work/bin:$PATH run -- sh -c 'echo alive; exit 7'
ok 'a machine that died of an early int3 is started once more' eval "is 7 && out alive && err 'once more'"
echo 2 >"$work/deaths"
PATH=$work/bin:$PATH run -- true
ok 'and only once: 99' eval "complained 'int3: 0000' && err 'did not come up'"

run -- sh -c 'echo b >/proc/sysrq-trigger; sleep 60'
ok 'a machine that goes down without a word: 99' eval 'is 99 && err "went down under the command"'
wait $other
status=$?
mv "$work/out2" "$work/out"
mv "$work/err2" "$work/err"
ok 'a machine that hangs: 124, says so' eval 'is 124 && err "the machine hung"'

# --- kernels that watch ------------------------------------------------------

# The stock kernel reports nothing of what is planted, which is what a debug kernel
# looks like that has gone blind.
mkdir -p "$work/blind/modules/$release/extra" "$build/plant"
ln -s "/boot/vmlinuz-$release" "$work/blind/bzImage"
ln -s "/lib/modules/$release/kernel" /lib/modules/"$release"/modules.{order,builtin,builtin.modinfo} \
	"$work/blind/modules/$release/"
cp "$root"/scripts/vm/plant/* "$build/plant/"
if make -s -C "/lib/modules/$release/build" "M=$build/plant" modules >"$work/out" 2>"$work/err" &&
	cp "$build/plant/unidax_plant.ko" "$work/blind/modules/$release/extra/" &&
	mkdir -p "$work/blind/root/lib" && ln -s "$work/blind/modules" "$work/blind/root/lib/modules" &&
	/sbin/depmod -b "$work/blind/root" "$release" >"$work/out" 2>"$work/err"; then
	run --kernel="$work/blind/bzImage" -- true
else
	status='no modules'
fi
ok 'a kernel that does not report what is planted: 99' eval \
	'is 99 && err "did not report what was planted: use-after-free, lock-order"'

texts=('debug kernel: quiet if nothing happens, and what was planted is in the log'
	'debug kernel: leaks.sh finds the planted leak, and none of ours'
	"debug kernel: leaks.sh says so when it finds nothing"
	'debug kernel: a use after free: 99, excerpt, log kept'
	'debug kernel: lockdep that was switched off: 99'
	'debug kernel: an expected report that switches lockdep off')
if [ "$debug" ]; then
	debug=$debug/bzImage
	run --kernel="$debug" --log="$work/kernel.log" --allow-log='^kmemleak: [0-9]+ new suspected' -- \
		sh -c 'scripts/vm/leaks.sh report sh; scripts/vm/leaks.sh plant; scripts/vm/leaks.sh report sh bash'
	ok "${texts[0]}" eval 'is 0 && quiet && grep -q "KASAN: use-after-free in plant_" "$work/kernel.log" &&
		grep -q "possible circular locking" "$work/kernel.log"'
	ok "${texts[1]}" eval '[ "$(tail -n 1 "$work/out")" = "leaks: 0 objects" ]'
	ok "${texts[2]}" eval '[ "$(head -n 1 "$work/out")" = "leaks: blind" ]'
	order='modprobe unidax_plant && echo use-after-free >/sys/module/unidax_plant/parameters/plant'
	run --kernel="$debug" -- sh -c "$order"
	ok "${texts[3]}" complained 'KASAN: use-after-free in plant_use_after_free'
	run --kernel="$debug" -- sh -c 'echo 0 >/proc/sys/kernel/prove_locking'
	ok "${texts[4]}" eval 'is 99 && err "did not report what was planted: lock-order \("'
	run --kernel="$debug" --allow-log='KASAN: use-after-free in plant_' -- sh -c "$order"
	ok "${texts[5]}" is 0
else
	skip 'no debug kernel: run scripts/debug-kernel.sh' "${texts[@]}"
fi

# --- the end of the runner ---------------------------------------------------

machines() { # DIRECTORY: is any running with its run directory in it?
	# Not grep itself.
	grep -qs "path[=]$1/" /proc/[0-9]*/cmdline
}

# eventually COMMAND...: a minute, for a machine that is busy with something else
eventually() {
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" && return
		sleep 0.1
	done
	echo "not within a minute: $*" >>"$work/err"
	return 1
}

gone() { # DIRECTORY
	! machines "$1"
}

interrupted() { # SIGNAL STATUS
	local tmp=$work/tmp pid status=0
	mkdir -p "$tmp"
	TMPDIR=$tmp setsid "$vm" -- sh -c 'echo up; exec sleep 1000' >"$work/out" 2>"$work/err" </dev/null &
	pid=$!
	eventually grep -q up "$work/out" && eventually machines "$tmp" || return
	kill -"$1" "$pid"
	{ wait "$pid" || status=$?; } 2>/dev/null
	[ "$status" = "$2" ] || { echo "status $status" >>"$work/err" && return 1; }
	# A machine that is left would run for its time limit.
	eventually gone "$tmp" || return
	[ "$1" = KILL ] || [ -z "$(ls "$tmp")" ] || { ls "$tmp" >>"$work/err" && return 1; }
}
ok 'SIGTERM: QEMU ends, nothing is left' interrupted TERM 143
ok 'SIGKILL: QEMU ends' interrupted KILL 137

other_user() {
	[ "$(id -u)" = 0 ] || set -- env
	mkdir -m 777 "$work/cache2" "$work/tmp2"
	chmod 755 "$work"
	"$@" env XDG_CACHE_HOME="$work/cache2" TMPDIR="$work/tmp2" "$vm" -- id -u >"$work/out" 2>"$work/err"
	status=$?
	is 0 && out 0
}
ok 'works for a user who is not root' other_user setpriv --reuid=65534 --regid=65534 --clear-groups

ktap_end
