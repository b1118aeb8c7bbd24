#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures leat beside the Linux stack over the same bad paths: goodput to and from a Linux peer
# under loss and delay, made by a bridge with the same seed for both.  Prints a table, and first how
# long it takes at most: three quarters of an hour with the defaults, on an otherwise idle machine.
# --help shows how to ask for less.
set -eu
. "$(dirname "$0")/lib.sh"
cd "$root"

case " $* " in
*" --help "* | *" -h "*) exec python3 scripts/path.py --help ;;
esac
[ "$(id -u)" = 0 ] || die "root is needed for network namespaces"
# shellcheck disable=SC2086
install $packages_build $packages_run
say "building"
build build
exec python3 scripts/path.py "$@"
