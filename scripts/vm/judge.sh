#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# judge.sh LOG NONCE [ERE]...
#
# Reads a machine's kernel log and exits 0 when it holds no complaint, 1 when it
# does, and then prints an excerpt; 3 when every complaint was expected, that is,
# matched one of the EREs (they see the line without its time stamp). Only what
# follows the start mark with NONCE counts, and comes before the plant mark if
# there is one, but for a panic, which always does.
#
# judge.sh --planted LOG NONCE FAULT... prints those of the faults that guest-init
# plants after the plant mark that the kernel did not report.
#
# judge.sh --early LOG exits 0 when the kernel died of an int3 before anything of
# the project was in it. It rewrites its own text as it starts, and an emulated
# processor may still run what was there: the machine deserves a second try.
set -euo pipefail
export LC_ALL=C

if [ "$1" = --early ]; then
	grep -qE '(Oops: )?int3: 0000' "$2" && ! grep -q unidax "$2"
	exit
fi

if [ "$1" = --planted ]; then
	reports=$(sed -n "/unidax-vm: plant $3\$/,\$p" "$2")
	for fault in "${@:4}"; do
		case $fault in
		lock-order) wanted=('possible circular locking dependency' 'at: plant_lock_order\+') ;;
		use-after-free) wanted=('BUG: KASAN: .* in plant_use_after_free\+') ;;
		*) exit 2 ;;
		esac
		for ere in "${wanted[@]}"; do
			grep -qE "$ere" <<<"$reports" || {
				echo "$fault"
				break
			}
		done
	done
	exit
fi

log=$1 nonce=$2
shift 2

# Anchored where the kernel's text allows it: a test may well print "no BUG" or
# "WARNING" in the middle of a line of its own.
head='^(\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? )?'
complaints=(
	# oopses, in the wording of 6.1 and of 6.12; "[#1]" is the oops counter
	"${head}(BUG|Oops)[: ]"
	"${head}[a-z][a-z ,-]*: [0-9a-f]+ \[#[0-9]+\]"
	"${head}(general protection fault|stack segment|double fault)[:,]"
	"${head}Unable to handle "
	"${head}kernel BUG at "
	"${head}Internal error: "
	"${head}Fixing recursive fault but reboot is needed"
	# WARN_ON and lockdep, RCU and locking complaints of the same shape
	"${head}WARNING: "
	"${head}INFO: (possible|trying to register|suspicious|HARDIRQ|SOFTIRQ|inconsistent|bad unlock)"
	"${head}(DEBUG_LOCKS_WARN_ON|ODEBUG: |turning off the locking correctness validator)"
	# sanitizers
	"${head}(UBSAN|KASAN|KCSAN|KMSAN|KFENCE): "
	# stalls and lock-ups
	"${head}(rcu: |srcu: )?INFO: [a-z_]+ (self-)?detected "
	"${head}rcu: .*(detected|stalls? |kthread (starved|timer wakeup))"
	"${head}INFO: task .* blocked (for more than|in I/O wait for more than)"
	"${head}(NMI )?watchdog: (BUG|Watchdog detected)"
	"${head}Watchdog detected hard LOCKUP"
	"${head}unidax-vm: a process of the command cannot be killed"
	# leaks, and a detector that gave up
	"${head}kmemleak: ([0-9]+ new suspected|Cannot |Freeing |Kernel memory leak detector disabled)"
	"${head}.*(Objects remaining in |Slab cache still has objects)"
	"${head}VFS: Busy inodes after unmount"
	# memory management, reference counts, lists, kobjects
	"${head}.*(Bad page (state|map|cache)|Bad rss-counter state|scheduling while atomic)"
	"${head}.*(refcount_t: |list_(add|del) corruption)"
	"${head}.*(tried to init an initialized object|is not initialized, yet kobject_(get|put))"
	"${head}sysfs: cannot create duplicate filename"
	# what the kernel says once of a call that is going away
	"${head}workqueue: work func .* enqueued on deprecated workqueue"
	# a log with holes cannot be judged
	"${head}.*printk messages dropped"
)
panics="${head}(Kernel panic|PANIC: )"

expression=()
for ere in "${complaints[@]}" "$panics"; do
	expression+=(-e "$ere")
done

mark() { # NAME: its line's number, if there is one
	grep -anF "unidax-vm: $1 $nonce" "$log" | head -n 1 | cut -d: -f1 || true
}
start=$(mark start) plant=$(mark plant)
found=() expected=0
while IFS= read -r hit; do
	line=${hit%%:*} text=${hit#*:}
	[[ -n $start && $line -gt $start && (-z $plant || $line -lt $plant) || $text =~ $panics ]] || continue
	[[ $text =~ $head ]]
	text=${text#"${BASH_REMATCH[0]}"}
	for ere in "$@"; do
		if [[ $text =~ $ere ]]; then
			expected=1
			continue 2
		fi
	done
	found+=("$line")
done < <(grep -anE "${expression[@]}" "$log" || true)

if [ ${#found[@]} = 0 ]; then
	exit $((expected * 3))
fi
# The first few with what surrounds them; windows that overlap run together.
shown=0 last=0
for line in "${found[@]}"; do
	[ "$line" -gt "$last" ] || continue
	[ $shown -lt 3 ] || break
	from=$((line > last + 3 ? line - 3 : last + 1))
	last=$((line + 30))
	[ $shown = 0 ] || echo '...'
	sed -n "${from},${last}p" "$log"
	shown=$((shown + 1))
done
exit 1
