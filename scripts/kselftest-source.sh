#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kselftest-source.sh [FOLDER]
#
# Prints the path of tools/testing/selftests of a kernel source that has the kernel's own part of the
# selftests: lib.mk, harness, runner, and the Makefile above them. It is for reading only; with
# FOLDER that part, and nothing else of the source, is copied there first and the copy's path printed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

selftests=tools/testing/selftests
files=(scripts/subarch.include
	"$selftests"/{Makefile,lib.mk,kselftest.h,kselftest_harness.h,run_kselftest.sh,kselftest})
source=$("$root/scripts/kernel-source.sh" "${files[@]}")
if [ $# -gt 0 ]; then
	mkdir -p "$1"
	(cd "$source" && cp -r --parents -t "$1" "${files[@]}")
	source=$1
fi
printf '%s\n' "$source/$selftests"
