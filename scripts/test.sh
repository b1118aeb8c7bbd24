#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# All tests: static checks, unit tests (also under the sanitizers), instructions per operation,
# integration tests.
#   scripts/test.sh        everything; installs what is missing; needs root (network namespaces)
#   scripts/test.sh unit   unit tests alone; needs neither root nor network
# The last line is "N passed, N failed" over everything.
set -u
. "$(dirname "$0")/lib.sh"
cd "$root" || exit 1

passed=0
failed=0

# run TITLE COMMAND...: shows its output and adds up its lines "N passed, N failed".  A command that
# fails without naming a failure (a crash) counts as one.
run() {
	local title=$1
	local log named status

	shift
	say "$title"
	log=$(mktemp)
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	while read -r p f; do
		passed=$((passed + p))
		named=$((${named:-0} + f))
	done < <(sed -n 's/^\([0-9]\{1,\}\) passed, \([0-9]\{1,\}\) failed$/\1 \2/p' "$log")
	[ "$status" -eq 0 ] || [ "${named:-0}" -gt 0 ] || named=1
	failed=$((failed + ${named:-0}))
	rm -f "$log"
}

# unit DIR: every unit test program of a build.
unit() {
	meson test -C "$1" --no-rebuild --num-processes 2 "${@:2}"
	local status=$?

	# The programs' own words: what failed, with some lines more for what a sanitizer says, and sums.
	grep -E -A 30 ' FAILED$|runtime error|ERROR: ' "$1/meson-logs/testlog.txt" |
		grep -vE ' ok$|^[0-9]+ passed, '
	grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1/meson-logs/testlog.txt"
	return $status
}

finish() {
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
	exit
}

case "${1:-all}" in
unit | all) ;;
*) die "usage: $0 [unit]" ;;
esac

if [ "${1:-all}" = all ]; then
	[ "$(id -u)" = 0 ] || die "root is needed for network namespaces; '$0 unit' works without"
	# shellcheck disable=SC2086
	install $packages_build $packages_run $packages_check
fi
say "building"
build build
say "building with AddressSanitizer and UBSan"
build_asan

if [ "${1:-all}" = all ]; then
	run "static checks" scripts/check.sh
fi
run "unit tests" unit build
run "unit tests under the sanitizers" unit build-asan
if [ "${1:-all}" = all ]; then
	run "instructions per operation" benchmarks/instructions.sh
	run "integration tests" tests/integration/run.py
fi
finish
