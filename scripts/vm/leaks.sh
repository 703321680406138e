#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# leaks.sh plant
# leaks.sh report [COMMAND]...
#
# In a machine with the debug kernel: what kmemleak says of the project. `plant'
# leaks a few objects on purpose (scripts/vm/plant). `report' scans twice, which
# takes a minute, and prints every object that one of the project's modules or one
# of COMMAND left behind: the kernel has leaks of its own, which are not our matter.
# It ends with "leaks: N objects" and status 0 if N is 0, else 1; and with status 2
# and "leaks: blind" if what was planted is not among what kmemleak found.
set -euo pipefail

kmemleak=/sys/kernel/debug/kmemleak
case ${1-} in
plant)
	modprobe unidax_plant
	echo leak >/sys/module/unidax_plant/parameters/plant
	;;
report)
	shift
	# Not at once: what is younger than 5 s is left out, and a checksum must have
	# been the same in two scans.
	sleep 6
	echo scan >$kmemleak
	echo scan >$kmemleak
	# A trace that leads into a module that is gone has a number there, no name.
	awk -v commands="$*" '
	function judge(    comm) {
		if (record == "")
			return
		if (record ~ /plant_leak/) {
			planted++
			return
		}
		comm = record
		sub(/^[^\n]*\n[^"]*"/, "", comm)
		sub(/".*$/, "", comm)
		if (record ~ /\[unidax/ || record ~ /\] 0xffffffff/ || comm in ours) {
			printf "%s", record
			found++
		}
	}
	BEGIN {
		n = split(commands, list, " ")
		# As long as the kernel keeps it.
		for (i = 1; i <= n; i++)
			ours[substr(list[i], 1, 15)] = 1
	}
	/^unreferenced object / { judge(); record = "" }
	{ record = record $0 "\n" }
	END {
		judge()
		if (!planted) {
			print "leaks: blind"
			exit 2
		}
		printf "leaks: %d objects\n", found
		exit found > 0
	}' $kmemleak
	;;
*)
	sed -n '5,6s/^# /usage: /p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
