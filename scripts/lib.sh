# SPDX-License-Identifier: BSD-3-Clause
# What the scripts share; sourced by them.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages_build="build-essential meson ninja-build pkg-config libdpdk-dev libnuma-dev libcunit1-dev valgrind"
packages_run="iproute2 iputils-ping ethtool nftables curl python3-minimal libpython3-stdlib"
packages_check="clang-format clang-tidy cppcheck"
packages_compare="wrk nginx-light"
packages_bench="gnuplot-nox"

say() {
	printf '==> %s\n' "$*"
}

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# install PACKAGE...: those that are missing, from the distribution.
install() {
	local missing=()
	local package

	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return
	[ "$(id -u)" = 0 ] || die "root is needed to install: ${missing[*]}"
	say "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# configure DIR MESON-OPTION...: once
configure() {
	local dir=$root/$1

	shift
	[ -f "$dir/build.ninja" ] || meson setup "$dir" "$root" "$@" >"$dir.log" 2>&1 || {
		cat "$dir.log" >&2
		die "meson setup failed"
	}
	rm -f "$dir.log"
}

# build DIR MESON-OPTION...: everything
build() {
	configure "$@"
	ninja -C "$root/$1" --quiet || die "the build failed"
}

# Only what the unit tests need, optimized less: it builds in half the time.
build_asan() {
	configure build-asan -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
	ninja -C "$root/build-asan" --quiet meson-test-prereq || die "the build failed"
}

# wait_for SECONDS COMMAND...: until the command succeeds; false when it did not in that time.
wait_for() {
	local deadline=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}
