#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test.sh [--long] [STAGE]...
#
# Everything that a change has to pass, from an unprepared machine: installs what the tests need, builds,
# and runs every stage (or only those named), as scripts/stages.sh says. --long: what else there is, for a
# night; some four hours on two processors.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"

prepare='packages|!scripts/packages.sh test
kernels|!scripts/kernels.sh --fetch
build|!make --no-print-directory modules compile_commands.json
-'

# Those that are long begin first.
if [ "${1-}" = --long ]; then
	shift
	# The random programs, the races and the loops, for longer.
	soak='UNIDAX_CYCLES=200 UNIDAX_OPS=20000 UNIDAX_STORM_SECONDS=120'
	soaked='load_unload provider_unload resize_model resize_race_delayed stress'
	exec scripts/stages.sh "$@" <<END
$prepare
mutants|scripts/kselftest-mutants.sh
whole-debug|make --no-print-directory kselftest-debug
whole-6.12|scripts/kselftest.sh --kernel=6.12
whole-7.3|scripts/kselftest.sh --kernel=7.3
whole-check|make --no-print-directory check
whole-check-6.12|scripts/check.sh --kernel=6.12
whole-check-7.3|scripts/check.sh --kernel=7.3 language objects layout strict clang tidy depends daxbus
built-in|scripts/series.sh --built-in 6.1
fixes-run|scripts/series/fixes.py
attacks|!selftests/attacks/run.py
soak|env $soak scripts/kselftest.sh $soaked
END
fi

# Where memory and locks matter most.
debug_tests='load_unload provider_unload fail_nth stress resize_live resize_pins resize_race_delayed'
# On the other kernels it is what they make different that is tried. What is random, what is done over and
# over, and the ways out of an error, which are the driver's own, are tried on the first.
printf -v others -- ' --without=%s' stress resize_model resize_race_delayed load_unload unwind \
	failure_window fail_nth

# UNIDAX_CYCLES is for each of two providers.
exec scripts/stages.sh "$@" <<END
$prepare
kselftest|env UNIDAX_CYCLES=50 make --no-print-directory kselftest
check|scripts/check.sh --brief=unwind
kselftest-debug|scripts/kselftest.sh --kernel=debug $debug_tests
kselftest-6.12|scripts/kselftest.sh --kernel=6.12$others
kselftest-7.3|scripts/kselftest.sh --kernel=7.3$others
flavours|scripts/flavours.sh
series|scripts/series.sh --check --no-vm
fixes|scripts/series/fixes.py --no-vm
runner|scripts/tests/vm/run.sh
check-6.12|scripts/check.sh --kernel=6.12 layout objects language daxbus
check-7.3|scripts/check.sh --kernel=7.3 layout objects language daxbus
packaging|scripts/tests/packaging/run.sh
in-tree|scripts/kselftest-in-tree.sh
stages|scripts/tests/stages/run.sh
ktap|scripts/tests/ktap/run.sh
demo|!make --no-print-directory demo
demo-6.12|!scripts/demo.sh 6.12
demo-7.3|!scripts/demo.sh 7.3
END
