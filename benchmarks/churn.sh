#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Connect, request, response, close at full speed between two cores: fails when memory grows, or when
# something is still in use after all connections have gone.
#   benchmarks/churn.sh [--minutes N]      default: 10
# As root.  Builds in build; BUILD names another folder.
set -eu
. "$(dirname "$0")/../scripts/lib.sh"
cd "$root"

build=${BUILD:-build}
minutes=10

if [ $# -gt 0 ]; then
	[ $# -eq 2 ] && [ "$1" = --minutes ] && [[ $2 =~ ^[1-9][0-9]*$ ]] ||
		die "usage: $0 [--minutes N]"
	minutes=$2
fi
[ "$(id -u)" = 0 ] || die "root is needed: the server listens to a low port"
[ "$(nproc)" -ge 2 ] || die "two cores are needed"
configure "$build"
ninja -C "$build" --quiet benchmarks/bench-request || die "the build failed"
exec python3 benchmarks/churn.py "$build/benchmarks" $((minutes * 60))
