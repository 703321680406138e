# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the scripts beside this one share; they source it after their `set`. It defines
#
#	root	the top of the tree
#	cache	where what takes long is kept, in folders of its own name
#	trouble WORD...	says under the script's name what is wrong, and ends it with $trouble_status, or 1
#
# and takes away what a calling make exports, which is not meant for the makes that a script calls.

# shellcheck disable=SC2034 # for the scripts that source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # the same
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/unidax
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

trouble() {
	printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
	exit "${trouble_status:-1}"
}
