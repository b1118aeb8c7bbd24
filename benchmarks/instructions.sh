#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions per operation, counted by callgrind, beside those in instructions.txt.
#   benchmarks/instructions.sh                        compares; fails when an operation grew by more
#                                                     than 3 %
#   benchmarks/instructions.sh OPERATION...           these only
#   benchmarks/instructions.sh --update               writes instructions.txt anew
#   benchmarks/instructions.sh --profile PART         where they go, function by function; a part is
#                                                     OPERATION or OPERATION-inline
#   benchmarks/instructions.sh --cache [OPERATION...] with the misses of simulated caches
# The figures depend on nothing but the code, the compiler and the libraries: time is virtual, chance
# is seeded, addresses are fixed, the environment is empty, and valgrind shows every program the
# same processor.  Those in instructions.txt are Debian 12's.  BUILD names another build folder.
set -u
. "$(dirname "$0")/../scripts/lib.sh"
cd "$root" || exit 1

reference=benchmarks/instructions.txt
program=${BUILD:-build}/benchmarks/bench-instructions
tolerance_percent=3
functions=25
operations="request request-alone request-steered connect datagram receive send table idle"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# count OPERATION VALGRIND-OPTION...: leaves, for each part of it, PART.callgrind and in PART.count how
# many operations were counted.
count() {
	local operation=$1
	local number=0 part count

	shift
	env -i setarch -R valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no "$@" \
		--callgrind-out-file="$out/$operation.all" \
		"$program" "$operation" >"$out/$operation.parts" 2>"$out/$operation.log" || {
		cat "$out/$operation.log" >&2
		return 1
	}
	while read -r part count; do
		number=$((number + 1))
		echo "$count" >"$out/$part.count"
		mv "$out/$operation.all.$number" "$out/$part.callgrind"
	done <"$out/$operation.parts"
}

# count_all VALGRIND-OPTION... -- OPERATION...: on all cores.
count_all() {
	local options=()

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	export -f count
	export out program
	# shellcheck disable=SC2016
	printf '%s\n' "$@" | xargs -P "$(nproc)" -I {} bash -c 'count "$@"' count {} "${options[@]}"
}

# parts OPERATION...: all that were to be counted.
parts() {
	local operation

	for operation in "$@"; do
		case $operation in
		table | idle) echo "$operation" ;;
		*) echo "$operation $operation-inline" ;;
		esac
	done
}

# totals PART: the events counted, divided by the operations, one decimal each.
totals() {
	[ -s "$out/$1.count" ] || return
	awk -v n="$(cat "$out/$1.count")" '/^totals:/ {
		for (i = 2; i <= NF; i++)
			printf "%s%.1f", (i > 2 ? " " : ""), $i / n
	}' "$out/$1.callgrind"
}

# expected PART: what instructions.txt says.
expected() {
	awk -v operation="$1" '$1 == operation { print $2 }' "$reference" 2>/dev/null
}

# compare PART...: a line for each, and how many passed.
compare() {
	local passed=0 failed=0 operation now before verdict

	printf '%-22s %12s %12s %8s\n' operation instructions committed change
	for operation in "$@"; do
		now=$(totals "$operation")
		before=$(expected "$operation")
		verdict=$(awk -v now="${now:-0}" -v before="${before:-0}" -v limit=$tolerance_percent '
			BEGIN {
				if (now == 0 || before == 0) {
					print (now == 0 ? "FAILED" : "new: --update")
					exit 1
				}
				change = (now / before - 1) * 100
				printf "%+.1f %%%s", change, (change > limit ? " FAILED" : "")
				exit (change > limit)
			}') && passed=$((passed + 1)) || failed=$((failed + 1))
		printf '%-22s %12s %12s %8s\n' "$operation" "${now:--}" "${before:--}" "$verdict"
	done
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
}

update() {
	local operation

	{
		echo "# Instructions per operation, see instructions.sh, which writes this."
		for operation in "$@"; do
			printf '%-22s %10s\n' "$operation" "$(totals "$operation")"
		done
	} >"$reference"
	cat "$reference"
}

# functions PART ANNOTATE-OPTION...: the costliest, per operation.  What a function has inlined from
# other files callgrind shows on lines of their own; without what it calls those are summed up, with
# it they overlap and the largest counts.  The way from main to the operation says nothing.
functions() {
	local part=$1

	shift
	printf '%12s  %6s  %s\n' instructions share function
	callgrind_annotate --auto=no --threshold=100 "$@" "$out/$part.callgrind" |
		awk -v n="$(cat "$out/$part.count")" -v inclusive="$inclusive" '
			!/^ *[0-9,]+ \( ?[0-9.]+%\)/ { next }
			{
				count = $1
				gsub(",", "", count)
				count += 0
			}
			/PROGRAM TOTALS/ { total = count; next }
			{
				sub(/^ *[0-9,]+ \( ?[0-9.]+%\) +/, "")
				object = $0
				sub(/^.*\[.*\//, "", object)
				sub(/\]$/, "", object)
				sub(/ \[.*$/, "")
				name = file = $0
				sub(/^.*:/, "", name)
				sub(/:[^:]*$/, "", file)
				sub(/^.*\/\.\.\//, "", file)
				if (file == "???")
					file = object
				if (name ~ /main|^counted$|^run_part$|^round_|^iterate$|^count$|^lab_poll$|^poll_worker$|^take_turn$/ || file ~ /csu|elf/)
					next
				if (!inclusive)
					sum[name] += count
				else if (count > sum[name])
					sum[name] = count
				if (!(name in where) || file ~ /\.c$/)
					where[name] = file
			}
			END {
				for (name in sum)
					printf "%12.1f  %5.1f%%  %s (%s)\n", sum[name] / n,
						100 * sum[name] / total, name, where[name]
			}' | sort -k1,1nr | head -n $functions
}

# profile PART
profile() {
	local inclusive=

	count_all -- "${1%-inline}"
	[ -s "$out/$1.count" ] || die "there is no $1"
	printf '%s: %s instructions\n\nEach function alone:\n' "$1" "$(totals "$1")"
	functions "$1" --inclusive=no
	inclusive=1
	printf '\nWith what it calls:\n'
	functions "$1" --inclusive=yes
}

# cache PART...: instructions, reads and writes, and those of the latter that missed the first-level
# data cache, or the last level too.  Empty at first are the caches that callgrind simulates, which
# have the sizes of this processor's.
cache() {
	local part

	printf '%-22s %12s %10s %10s %10s %10s\n' operation instructions reads writes D1-misses LL-misses
	for part in "$@"; do
		# Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
		totals "$part" | awk -v part="$part" '{
			printf "%-22s %12s %10s %10s %10.1f %10.1f\n", part, $1, $2, $3, $5 + $6, $8 + $9
		}'
	done
}

command -v valgrind >/dev/null || die "valgrind is missing: apt-get install valgrind"
[ -x "$program" ] || die "$program is not built"
action=${1:-}
case $action in
--update | --profile | --cache) shift ;;
-*) die "usage: $0 [--update | --profile | --cache] [OPERATION...]" ;;
esac
[ "$action" != --update ] && [ $# -gt 0 ] && operations=$*

# shellcheck disable=SC2046,SC2086
case $action in
--update)
	count_all -- $operations
	update $(parts $operations)
	;;
--profile)
	profile "${1:-request}"
	;;
--cache)
	count_all --cache-sim=yes -- $operations
	cache $(parts $operations)
	;;
*)
	count_all -- $operations
	compare $(parts $operations)
	;;
esac
