#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test.sh [STAGE]...
#
# Everything there is, from an unprepared machine: installs what the tests need, builds, and runs every
# stage (or only those named), as scripts/stages.sh says.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"

# Where memory and locks matter most; make kselftest-debug has all, and takes three times as long.
debug_tests='load_unload provider_unload fail_nth stress resize_live resize_pins resize_race_delayed'

# Those that are long begin first. What is random, or done over and over, is done less often on the other
# kernels, where the gates judge what is C++'s, and plant less. UNIDAX_CYCLES is for each of two providers.
exec scripts/stages.sh "$@" <<END
packages|scripts/packages.sh test
kernels|scripts/kernels.sh --fetch
build|make --no-print-directory modules compile_commands.json
-
kselftest|env UNIDAX_CYCLES=50 make --no-print-directory kselftest
kselftest-debug|scripts/kselftest.sh --kernel=debug $debug_tests
kselftest-6.12|env UNIDAX_CYCLES=12 UNIDAX_OPS=1000 UNIDAX_STORM_SECONDS=15 scripts/kselftest.sh --kernel=6.12
kselftest-7.3|env UNIDAX_CYCLES=12 UNIDAX_OPS=400 UNIDAX_STORM_SECONDS=8 scripts/kselftest.sh --kernel=7.3
check|make --no-print-directory check
built-in|scripts/series.sh --built-in 6.1
check-6.12|scripts/check.sh --kernel=6.12 --brief=unwind layout objects unwind clang
runner|scripts/tests/vm/run.sh
series|scripts/series.sh --check --no-vm
packaging|scripts/tests/packaging/run.sh
flavours|scripts/flavours.sh
in-tree|scripts/kselftest-in-tree.sh
stages|scripts/tests/stages/run.sh
demo|make --no-print-directory demo
demo-6.12|scripts/demo.sh 6.12
demo-7.3|scripts/demo.sh 7.3
END
