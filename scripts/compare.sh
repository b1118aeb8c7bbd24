#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures leat beside the Linux stack on this machine, in one run: throughput each way, and
# requests per second of leat-http beside nginx.  Prints a table.  Takes some minutes, on an otherwise idle machine.
set -eu
. "$(dirname "$0")/lib.sh"
cd "$root"

[ "$(id -u)" = 0 ] || die "root is needed for network namespaces"
# shellcheck disable=SC2086
install $packages_build $packages_run $packages_compare
say "building"
build build
exec python3 scripts/compare.py "$@"
