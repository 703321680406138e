#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh FOLDER
#
# The part of the demonstration that runs in the virtual machine, as root and without any module of
# ours loaded. FOLDER holds the program `process` (scripts/demo/process.c). Stops at the first check
# that does not hold.
#
# A step is a function: it says what it shows, does it with real commands whose output is printed,
# and compares values with `expect`. To add a step, write a function and put it into the list at the
# end. Processes A, B, ... live until `ask X quit`; see process.c for what they can be asked.
set -euo pipefail

folder=$1
# A folder below what is a tmpfs in the machine is still reachable.
[ -d "$folder" ] || folder=/run/unidax-vm/host$folder
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
scratch=$UNIDAX_SCRATCH
device=/sys/class/dax/dax0.0
region=/sys/bus/platform/devices/hmem.0/dax_region
MiB=$((1 << 20))
# What the host's part set aside.
size=$((256 * MiB))

# --- telling and checking ----------------------------------------------------

number=0
step() { # TITLE
	number=$((number + 1))
	printf '\nStep %d. %s\n\n' "$number" "$1"
}

tell() { # standard input, indented
	sed 's/^/  /'
	echo
}

# Shows a command and what it prints, which is in $output then; its failure is in $status.
show() { # COMMAND, as a line of shell
	printf '    # %s\n' "$1"
	status=0
	output=$(bash -c "$1" 2>&1) || status=$?
	[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/    /'
}

expect() { # WHAT EXPECTED FOUND
	if [ "$2" = "$3" ]; then
		printf '    [ok] %s\n' "$1"
	else
		printf '    [FAILED] %s: expected "%s", found "%s"\n' "$1" "$2" "$3"
		exit 1
	fi
}

expect_true() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@"; then
		expect "$what" yes yes
	else
		expect "$what" yes no
	fi
}

# --- processes ---------------------------------------------------------------

declare -A to=() from=() pid=()

start() { # LETTER
	local name=$1 in out
	mkfifo "$scratch/$name.in" "$scratch/$name.out"
	"$folder/process" <"$scratch/$name.in" >"$scratch/$name.out" &
	pid[$name]=$!
	exec {in}>"$scratch/$name.in" {out}<"$scratch/$name.out"
	to[$name]=$in from[$name]=$out
	rm "$scratch/$name.in" "$scratch/$name.out"
}

# Asks and leaves the answer in $answer.
ask() { # LETTER REQUEST
	printf '%s\n' "$2" >&"${to[$1]}"
	IFS= read -r -t 60 answer <&"${from[$1]}" || answer='no answer'
	printf '    %s: %-34s -> %s\n' "$1" "$2" "$answer"
}

# Ends the work of a process, which began before what was just shown.
expect_undisturbed() { # LETTER
	ask "$1" stop
	expect "$1 worked on all the while, and nothing disturbed it" \
		'0 wrong values, 0 signals' "${answer#* rounds, }"
}

finish() { # LETTER
	local in=${to[$1]} out=${from[$1]}
	printf '    %s: quit\n' "$1"
	echo quit >&"$in"
	wait "${pid[$1]}"
	exec {in}>&- {out}<&-
}

# --- what the kernel says ----------------------------------------------------

# The one line with that name: where it starts, where the next byte is, how many bytes it has.
iomem_start() { # NAME
	echo $((0x$(sed -n "s/^ *\(.*\)-.* : $1\$/\1/p" /proc/iomem)))
}

iomem_end() { # NAME
	echo $((0x$(sed -n "s/^ *.*-\(.*\) : $1\$/\1/p" /proc/iomem) + 1))
}

iomem_size() { # NAME
	echo $(($(iomem_end "$1") - $(iomem_start "$1")))
}

# The one soft-reserved range, START-END. From 7.3 on it is not in /proc/iomem, but in the memory map
# that the kernel has logged.
soft_reserved=$(sed -n 's/^ *\(.*\) : Soft Reserved$/\1/p' /proc/iomem)
range_shown="grep 'Soft Reserved' /proc/iomem"
if [ ! "$soft_reserved" ]; then
	soft_reserved=$(dmesg | sed -n 's/.*user: \[mem 0x\(.*\)-0x\(.*\)\] *soft reserved$/\1-\2/p')
	range_shown="dmesg | grep 'user: .*soft reserved'"
fi

soft_reserved_size() {
	echo $((0x${soft_reserved#*-} + 1 - 0x${soft_reserved%-*}))
}

# Everything that a loaded unidax leaves somewhere, for a comparison of before and after.
footprint() {
	cat /proc/iomem /proc/devices /proc/filesystems
	awk '/^unidax/ { print $1 }' /proc/slabinfo
	ls -d /sys/class/dax /dev/dax* /sys/module/unidax* 2>/dev/null || true
}

# The values of a key in $output, one for each line.
json() { # KEY
	sed -n "s/^.*\"$1\":\"\\{0,1\\}\\([^\",]*\\).*/\\1/p" <<<"$output"
}

# --- the steps ---------------------------------------------------------------

step_memory() {
	step 'Memory that Linux does not use'
	tell <<-'END'
		Some memory is too special to be ordinary RAM: high-bandwidth memory, CXL memory,
		persistent memory. Firmware marks it, Linux keeps its hands off and makes a platform
		device for it: one "hmem.N" for each range, or since 6.3 one "hmem_platform.0" for
		all, of which a driver makes the others. Here the kernel's command line marks 256 MiB.
	END
	show "$range_shown"
	expect 'the range is 256 MiB long' "$size" "$(soft_reserved_size)"
	show 'ls -d /sys/bus/platform/devices/hmem*'
	expect_true 'it has a platform device' [ "$status$output" = "0${output%%$'\n'*}" ]
	expect_true 'no driver has it yet' [ ! -e "$output/driver" ]
	expect_true 'there is no /dev/dax0.0 yet' [ ! -e /dev/dax0.0 ]
}

step_load() {
	step 'The modules find it and make a device of it'
	tell <<-'END'
		unidax.ko is the core, unidax_hmem.ko the provider that knows about hmem devices. The
		provider offers the range to the core as a "region"; the core makes a device of it.
	END
	footprint >"$scratch/before"
	show "insmod $UNIDAX_MODULES/unidax.ko"
	expect 'the core loads' 0 "$status"
	show "insmod $UNIDAX_MODULES/providers/hmem/unidax_hmem.ko"
	expect 'the provider loads' 0 "$status"
	show 'readlink /sys/bus/platform/devices/hmem.0/driver'
	expect 'our provider has the platform device' unidax_hmem "${output##*/}"
	show "grep -E 'Soft Reserved|dax' /proc/iomem"
	expect 'the region covers all of the range' \
		"$(soft_reserved_size)" "$(iomem_size dax_region0)"
	show "cd $region && grep -H . id size align available_size"
	expect 'the region knows its size' "$size" "$(<$region/size)"
	expect 'the region has the number of the platform device' 0 "$(<$region/id)"
	expect 'it hands out pieces of 2 MiB' $((2 * MiB)) "$(<$region/align)"
	expect 'the device holds all that the region has' "$(<$region/size)" "$(<$device/size)"
	expect 'so nothing of the region is left' 0 "$(<$region/available_size)"
	show 'ls -l /dev/dax0.0'
	expect_true '/dev/dax0.0 is a character device' [ -c /dev/dax0.0 ]
	expect "its numbers are those in $device/dev" \
		"$(<$device/dev)" "$(stat -c %Hr:%Lr /dev/dax0.0)"
}

step_daxctl() {
	step 'The usual tool sees it'
	tell <<-'END'
		daxctl is what administrators use for device-DAX. It needs no change.
	END
	show 'daxctl list -RDu'
	expect 'it ends well' 0 "$status"
	expect 'it lists the device' dax0.0 "$(json chardev)"
	expect 'with its mode' devdax "$(json mode)"
	expect 'and its size, which is the region'"'"'s' \
		$'256.00 MiB (268.44 MB)\n256.00 MiB (268.44 MB)' "$(json size)"
}

step_two_names() {
	step 'Two processes, two names, the same bytes'
	tell <<-'END'
		A process maps the device and then reads and writes the memory itself: no copy, no
		page cache. Process A goes through /dev/dax0.0; process B through a node of another
		name, made with mknod. For the kernel that is another inode, and still it has to be
		the same memory.
	END
	show "mknod $scratch/another-name c $(tr : ' ' <$device/dev)"
	expect_true 'the two names are two inodes' [ "$(stat -c %d:%i /dev/dax0.0)" != \
		"$(stat -c %d:%i "$scratch/another-name")" ]
	start A
	start B
	ask A 'open /dev/dax0.0'
	expect 'A opens the device' ok "$answer"
	ask A 'map 128M'
	expect 'A maps it' ok "$answer"
	ask B "open $scratch/another-name"
	expect 'B opens the device' ok "$answer"
	ask B 'map 128M'
	expect 'B maps it' ok "$answer"
	ask B 'get 96M'
	expect 'the memory was cleared before anybody got it' '""' "$answer"
	ask A 'put 96M hello from A'
	ask B 'get 96M'
	expect 'B sees what A wrote' '"hello from A"' "$answer"
	ask B 'put 96M and hello from B'
	ask A 'get 96M'
	expect 'A sees what B wrote' '"and hello from B"' "$answer"
	finish A
	finish B
}

step_large_pages() {
	step 'The processor maps it in pages of 2 MiB'
	tell <<-'END'
		An ordinary mapping has one page table entry for each 4 KiB, and each entry costs one
		page fault. C maps ordinary memory (without transparent huge pages), D maps the
		device. Both write one byte into every 4 KiB of 16 MiB. "mapped" says how much of
		the mapping is in the page table.
	END
	start C
	ask C 'ordinary 16M'
	ask C 'touch 0 16M 4K'
	expect 'ordinary memory: one fault for each 4 KiB' '4096 faults' "$answer"
	finish C
	start D
	ask D 'open /dev/dax0.0'
	ask D 'map 16M'
	ask D mapped
	expect 'at first nothing is mapped' '0 kB' "$answer"
	ask D 'touch 0 1 1'
	expect 'one byte is touched: one fault' '1 faults' "$answer"
	ask D mapped
	expect 'and 2 MiB are mapped' '2048 kB' "$answer"
	ask D 'touch 2M 14M 4K'
	expect 'the other 14 MiB: one fault for each 2 MiB' '7 faults' "$answer"
	ask D mapped
	expect 'and all 16 MiB are mapped' '16384 kB' "$answer"
	finish D
}

# The steps on resizing run when the attribute is writable, and then have to hold.

step_grow() {
	step 'A device grows while a process writes to it'
	tell <<-'END'
		The device is first made smaller, while nobody has it open. What it gives up goes back
		to the region. Then E maps 128 MiB of a device that has 64: that is allowed, but
		beyond the end there is nothing. E writes and reads back all the time while the
		device grows under it, and then uses the new part without mapping anew.
	END
	show "echo $((64 * MiB)) >$device/size"
	expect 'the device shrinks' $((64 * MiB)) "$(<$device/size)"
	expect 'the region has the rest' $((size - 64 * MiB)) "$(<$region/available_size)"
	show "grep -E 'Soft Reserved|dax' /proc/iomem"
	expect '/proc/iomem agrees' $((64 * MiB)) "$(iomem_size dax0.0)"
	start E
	ask E 'open /dev/dax0.0'
	ask E 'map 128M'
	expect 'E maps more than there is' ok "$answer"
	ask E 'get 96M'
	expect 'past the end is nothing' SIGBUS "$answer"
	ask E 'work 0 8M'
	show "echo $((128 * MiB)) >$device/size"
	expect 'the device grows' $((128 * MiB)) "$(<$device/size)"
	expect_undisturbed E
	expect '/proc/iomem agrees' $((128 * MiB)) "$(iomem_size dax0.0)"
	ask E 'get 96M'
	expect 'the new part is there, and what A and B left in it is not' '""' "$answer"
	ask E 'put 96M written after the growth'
	ask E 'get 96M'
	expect 'E can use it' '"written after the growth"' "$answer"
}

step_shrink() {
	step 'A device shrinks under a process'
	tell <<-'END'
		E is still there, with 128 MiB mapped and data at 96 MiB. F works at the front of the
		device. The device is cut back to 64 MiB: E loses the tail, F notices nothing.
	END
	start F
	ask F 'open /dev/dax0.0'
	ask F 'map 64M'
	ask F 'work 8M 8M'
	show "echo $((64 * MiB)) >$device/size"
	expect 'the device shrinks' $((64 * MiB)) "$(<$device/size)"
	expect_undisturbed F
	ask E 'get 96M'
	expect 'a touch of the tail is a signal to E' SIGBUS "$answer"
	ask E 'put 0 the front is still here'
	ask F 'get 0'
	expect 'the front is as usable as ever' '"the front is still here"' "$answer"
	expect 'the region has the tail' $((size - 64 * MiB)) "$(<$region/available_size)"
	finish F
}

step_pinned() {
	step 'A tail that is in use is not taken away'
	tell <<-'END'
		Hardware and the kernel may hold on to pages: DMA in flight, or, as here, a page that
		was given to a pipe. A shrink waits for such pages, here for two seconds. If they are
		not released by then it is refused, and nobody has noticed anything, not even G, which
		works on the tail. E takes the page out of the pipe, and the same shrink succeeds.
	END
	show 'echo 2000 >/sys/module/unidax/parameters/resize_timeout_ms'
	show "echo $((128 * MiB)) >$device/size"
	expect 'the device grows again' $((128 * MiB)) "$(<$device/size)"
	ask E 'put 120M precious'
	ask E 'pin 120M'
	expect 'E gives a page of the tail to a pipe' ok "$answer"
	start G
	ask G 'open /dev/dax0.0'
	ask G 'map 128M'
	ask G 'work 64M 8M'
	show "echo $((64 * MiB)) >$device/size"
	expect_true 'the shrink is refused, busy' [ "${output##*: }" = 'Device or resource busy' ]
	expect 'the device is as large as before' $((128 * MiB)) "$(<$device/size)"
	expect_undisturbed G
	ask E 'get 120M'
	expect 'the data is there' '"precious"' "$answer"
	ask E unpin
	expect 'the pipe has it, too' '"precious"' "$answer"
	show "echo $((64 * MiB)) >$device/size"
	expect 'now the device shrinks' $((64 * MiB)) "$(<$device/size)"
	finish E
	finish G
}

step_divide() {
	step 'A second device of the same region'
	tell <<-'END'
		What one device gave up another can have. dax0.1 is made of the memory behind dax0.0,
		where E kept its precious data a moment ago. J must not find it there.
	END
	show "echo 1 >$region/create && cat $region/create"
	expect 'there is a second device' dax0.1 "$output"
	show "echo $((64 * MiB)) >/sys/class/dax/dax0.1/size"
	show "grep -E 'Soft Reserved|dax' /proc/iomem"
	expect 'it has 64 MiB' $((64 * MiB)) "$(iomem_size dax0.1)"
	expect 'right behind the first' "$(iomem_end dax0.0)" "$(iomem_start dax0.1)"
	start J
	ask J 'open /dev/dax0.1'
	ask J 'map 64M'
	ask J 'get 56M'
	expect 'the place where E had its data is empty' '""' "$answer"
	finish J
	show 'daxctl list -u'
	expect 'daxctl knows both' 'dax0.0 dax0.1' "$(json chardev | sort | xargs)"
	show "echo 0 >/sys/class/dax/dax0.1/size && echo dax0.1 >$region/delete"
	expect 'the second device can be deleted' 0 "$status"
	expect_true 'and is gone' [ ! -e /dev/dax0.1 ]
}

step_removal() {
	step 'The memory goes away under a process'
	tell <<-'END'
		H has the device mapped when the administrator unloads the provider. The provider does
		not wait for H. H gets a signal at its next touch and an error when it tries to map
		again, through its old descriptor or through any name; the kernel stays sound.
	END
	start H
	ask H 'open /dev/dax0.0'
	ask H 'map 16M'
	ask H 'put 0 still here'
	ask H 'get 0'
	expect 'H uses the device' '"still here"' "$answer"
	show 'rmmod unidax_hmem'
	expect 'the provider is unloaded' 0 "$status"
	expect_true 'and gone' [ ! -e /sys/module/unidax_hmem ]
	ask H 'get 0'
	expect 'H touches its mapping' SIGBUS "$answer"
	ask H 'map 16M'
	expect 'H maps its old descriptor anew' ENXIO "$answer"
	expect_true '/dev/dax0.0 is gone' [ ! -e /dev/dax0.0 ]
	ask H "open $scratch/another-name"
	expect 'the other name is still there, and leads nowhere' ENXIO "$answer"
	show "grep -E 'Soft Reserved|dax' /proc/iomem"
	expect 'the memory is as free as in the beginning' '' "$(grep dax /proc/iomem)"
	finish H
}

step_unload() {
	step 'Nothing is left behind'
	tell <<-'END'
		With H gone nobody uses the core any more. It is unloaded; the machine must look as it
		did before.
	END
	show "awk '/^unidax/ { print \$1 }' /proc/slabinfo"
	expect 'before: the core has a slab of inodes' unidax_inode "$output"
	show 'rmmod unidax'
	expect 'the core is unloaded' 0 "$status"
	show "awk '/^unidax/ { print \$1 }' /proc/slabinfo"
	expect 'the slab is gone' '' "$output"
	footprint >"$scratch/after"
	show "diff $scratch/before $scratch/after"
	expect 'iomem, devices, file systems, classes, nodes: all as before' 0 "$status"
}

steps=(step_memory step_load step_daxctl step_two_names step_large_pages)
resize_steps=(step_grow step_shrink step_pinned step_divide)
last_steps=(step_removal step_unload)

for name in "${steps[@]}"; do
	"$name"
done
if [ $((8#$(stat -c %a $device/size) & 8#222)) != 0 ]; then
	for name in "${resize_steps[@]}"; do
		"$name"
	done
else
	printf '\n(%s is read-only: these modules cannot resize yet.)\n' "$device/size"
fi
for name in "${last_steps[@]}"; do
	"$name"
done
