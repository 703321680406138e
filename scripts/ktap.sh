# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# How the scripts beside this one speak KTAP; they source it after common.sh, for $root. scripts/ktap.py reads it.
#
#	ktap_begin			the version line
#	ktap pass|fail|skip NAME [WHY]	one result
#	ktap_if NAME CONDITION FILE	the result of a condition, for eval; FILE is shown if it does not hold
#	ktap_of NAME STATUS LOG		the result of a program that has ended with a status and written KTAP to a file: its
#					subtests; "P F S" in $ktap_said
#	ktap_end			the plan, and last "N passed, N failed, N skipped"; its status is 0 if and only if something
#					passed and nothing failed

ktap_number=0 ktap_passed=0 ktap_failed=0 ktap_skipped=0 ktap_said=''

ktap_begin() {
	echo 'KTAP version 1'
}

ktap_line() { # ok|'not ok' NAME [DIRECTIVE]
	local name=${2//#/\\#}
	ktap_number=$((ktap_number + 1))
	printf '%s %d %s%s\n' "$1" $ktap_number "${name//$'\n'/ }" "${3:+ # ${3//$'\n'/ }}"
}

ktap() {
	case $1 in
	pass) ktap_passed=$((ktap_passed + 1)) && ktap_line ok "$2" ;;
	skip) ktap_skipped=$((ktap_skipped + 1)) && ktap_line ok "$2" "SKIP ${3-}" ;;
	*) ktap_failed=$((ktap_failed + 1)) && ktap_line 'not ok' "$2" "${3-}" ;;
	esac
}

ktap_if() {
	if eval "$2"; then
		ktap pass "$1"
	else
		sed 's/^/# | /' "$3"
		ktap fail "$1"
	fi
}

ktap_of() {
	local p f s verdict=ok
	sed 's/^/  /' "$3"
	# shellcheck disable=SC2154 # common.sh has it
	ktap_said=$(python3 "$root/scripts/ktap.py" --status="$2" "$3") || ktap_said='0 1 0'
	read -r p f s <<<"$ktap_said"
	ktap_passed=$((ktap_passed + p)) ktap_failed=$((ktap_failed + f)) ktap_skipped=$((ktap_skipped + s))
	[ "$f" = 0 ] || verdict='not ok'
	ktap_line "$verdict" "$1" "$([ "$2" = 0 ] || echo "status $2")"
}

ktap_end() {
	printf '1..%d\n%d passed, %d failed, %d skipped\n' $ktap_number $ktap_passed $ktap_failed $ktap_skipped
	[ $ktap_failed = 0 ] && [ $ktap_passed -gt 0 ]
}
