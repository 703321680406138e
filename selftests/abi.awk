# SPDX-License-Identifier: GPL-2.0
#
# Out of the files in Documentation/ABI/testing, what sysfs_abi.c holds sysfs to: a line
#	ABI(FOLDER, "NAME", MODE, OPTIONAL)
# for each attribute, where FOLDER is that of a device, of its statistics, of one of its mappings,
# or of a region. The
# mode is what stands first in the description, and "Absent when" in it makes an attribute optional.
function flush_attributes(    i) {
	if (!count)
		return
	if (!(access in modes)) {
		printf "%s: no mode in the description of %s: (%s)\n", FILENAME, what[1], access >"/dev/stderr"
		failed = 1
	}
	for (i = 1; i <= count; i++) {
		name = what[i]
		if (sub(/^\/sys\/class\/dax\/daxR\.I\/device\/dax_region\//, "", name))
			folder = "REGION"
		else if (sub(/^\/sys\/class\/dax\/daxR\.I\/mapping\[0\.\.N\]\//, "", name))
			folder = "MAPPING"
		else if (sub(/^\/sys\/class\/dax\/daxR\.I\/statistics\//, "", name))
			folder = "STATISTICS"
		else if (sub(/^\/sys\/class\/dax\/daxR\.I\//, "", name))
			folder = "DEVICE"
		else
			continue
		printf "ABI(%s, \"%s\", %s, %s)\n", folder, name, modes[access], optional ? "true" : "false"
	}
	count = 0
}

BEGIN {
	modes["RW"] = "0644"
	modes["RO"] = "0444"
	modes["RO, for root"] = "0400"
	modes["WO"] = "0200"
	modes["RW, for root"] = "0600"
}

/^What:/ {
	if (described)
		flush_attributes()
	described = optional = 0
	access = ""
	what[++count] = $2
}

/^Description:/ { described = 1 }

described && access == "" && match($0, /\([^)]*\)/) { access = substr($0, RSTART + 1, RLENGTH - 2) }

described && /Absent when/ { optional = 1 }

END {
	flush_attributes()
	exit failed
}
