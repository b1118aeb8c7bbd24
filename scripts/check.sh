#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Style and static analysis with the configurations in the tree: clang-format, clang-tidy
# and cppcheck.  Needs a configured build folder (compile_commands.json); makes one if there is none.
set -u
. "$(dirname "$0")/lib.sh"
cd "$root" || exit 1

# tool NAME: NAME-14 where it has a version of its own, else NAME.
tool() {
	command -v "$1-14" || command -v "$1" || die "$1 is missing: apt-get install $1"
}

format=$(tool clang-format) || exit 1
tidy=$(tool clang-tidy) || exit 1
cppcheck=$(command -v cppcheck) || die "cppcheck is missing: apt-get install cppcheck"
[ -f build/compile_commands.json ] || build build

passed=0
failed=0

# check NAME COMMAND...: counts it and shows what it said when it failed.
check() {
	local name=$1
	local start=$SECONDS
	local out

	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "$name: ok ($((SECONDS - start)) s)"
	else
		failed=$((failed + 1))
		echo "$out"
		echo "$name: FAILED"
	fi
}

sources() {
	git ls-files --cached --others --exclude-standard -- "$@"
}

check_format() {
	sources '*.c' '*.h' | xargs "$format" --dry-run -Werror
}

# Sources of app and stack in the compilation database, which names them relative to the build
# folder, once each.  Not the tests: a failed REQUIRE leaves by longjmp, which the analyzer does not
# see.
compiled_sources() {
	sed -n 's/^ *"file": "\.\.\/\(\(app\|stack\)\/.*\)",\{0,1\}$/\1/p' \
		build/compile_commands.json | sort -u
}

# Options of GCC's alone are errors to it, so it gets a database without.
database=$(mktemp -d)
trap 'rm -rf "$database"' EXIT
sed 's/ -mmemset-strategy=[^ ]*//' build/compile_commands.json >"$database/compile_commands.json"

# What it writes to standard error only counts warnings in system headers.
check_tidy() {
	compiled_sources | xargs -P "$(nproc)" -n 2 "$tidy" --quiet -p "$database" 2>/dev/null
}

check_cppcheck() {
	"$cppcheck" --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppressions-list=.cppcheck-suppressions --error-exitcode=1 -j "$(nproc)" \
		-D_GNU_SOURCE --include=/usr/include/x86_64-linux-gnu/sys/queue.h \
		-I include -I stack -I tests app benchmarks stack tests
}

check clang-format check_format
check cppcheck check_cppcheck
check clang-tidy check_tidy
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
