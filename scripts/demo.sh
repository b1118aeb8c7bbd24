#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# leat's main job, shown end to end on a Debian 12 machine, as root: builds leat, starts it in a
# network namespace of its own on a tap device, serves a file with leat-http and fetches it with
# curl from the kernel's side.  Leaves nothing behind but the build folder.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

file_mib=64
address=198.18.0.2 # leat's
kernel_address=198.18.0.1
namespace=leat-demo-$$
directory=
started=() # process ids, oldest first

end() {
	local status=$?
	local pid i

	trap - EXIT INT TERM HUP
	[ ${#started[@]} -eq 0 ] || say "cleaning up"
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		pid=${started[i]}
		kill "$pid" 2>/dev/null || continue
		# A program that does not end by itself is ended.
		wait_for 3 gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	if [ $status -ne 0 ] && [ -n "$directory" ]; then
		for log in "$directory"/*.log; do
			[ -s "$log" ] && printf -- '---- %s\n%s\n' "${log##*/}" "$(tail -n 30 "$log")" >&2
		done
	fi
	ip netns del "$namespace" 2>/dev/null || true
	[ -z "$directory" ] || rm -rf "$directory"
	exit $status
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

gone() {
	! kill -0 "$1" 2>/dev/null || [ "$(ps_state "$1")" = Z ]
}

ps_state() {
	sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null
}

inside() {
	ip netns exec "$namespace" "$@"
}

# start NAME COMMAND...: in the namespace, its output in NAME.log.
start() {
	local name=$1

	shift
	# Not by way of a function: $! is to be the program itself.
	ip netns exec "$namespace" "$@" >"$directory/$name.log" 2>&1 &
	started+=($!)
}

# await NAME COMMAND...: until the command succeeds; NAME, started last, must live on.
await() {
	local name=$1

	shift
	wait_for 20 either "$@" || die "$name is not ready after 20 s"
	gone "${started[-1]}" && die "$name ended at once"
	return 0
}

either() {
	gone "${started[-1]}" || "$@"
}

[ "$(id -u)" = 0 ] || die "root is needed: for packages, a network namespace and a tap device"
# shellcheck disable=SC2086
install $packages_build $packages_run
say "building the daemon, its tool and the HTTP example"
configure build
ninja -C build --quiet app/leatd/leatd app/leat/leat app/examples/leat-http || die "the build failed"

say "making a network namespace, $namespace"
directory=$(mktemp -d /tmp/leat-demo.XXXXXX)
ip netns add "$namespace"
inside ip link set lo up

say "starting leatd there on net_tap, without huge pages"
export LEAT_SOCKET=$directory/leatd.sock
cat >"$directory/leat.conf" <<CONF
[leatd]
socket = $LEAT_SOCKET

[port0]
device = net_tap0
address = $address/24
CONF
sed 's/^/    /' "$directory/leat.conf"
start leatd build/app/leatd/leatd -l 0 --no-pci --no-huge --no-shconf -m 512 \
	--file-prefix "$namespace" --vdev=net_tap0,iface=leat0 -- --config "$directory/leat.conf"
await leatd test -S "$LEAT_SOCKET"
inside ip addr add $kernel_address/24 dev leat0
inside ip link set leat0 up

say "pinging it from the kernel's side"
wait_for 10 inside ping -c 1 -W 1 $address || die "no answer"
inside ping -c 3 -i 0.2 $address

say "starting leat-http, a process of its own, to serve a file of $file_mib MiB"
mkdir "$directory/root"
head -c $((file_mib << 20)) /dev/urandom >"$directory/root/file"
start leat-http build/app/examples/leat-http --listen $address:80 --root "$directory/root"
await leat-http grep -q serving "$directory/leat-http.log"

say "fetching it with curl"
inside curl -sS --fail --max-time 60 -o "$directory/fetched" \
	-w '%{size_download} %{time_total}\n' "http://$address/file" >"$directory/curl.txt"
awk '{ printf "    %d bytes in %.3f s: %.2f Gb/s\n", $1, $2, $1 * 8 / $2 / 1e9 }' \
	"$directory/curl.txt"

say "comparing checksums"
(cd "$directory" && sha256sum root/file fetched) | sed 's/^/    /'
cmp "$directory/root/file" "$directory/fetched" || die "they differ"

say "leat's socks (leat ss)"
build/app/leat/leat ss | sed 's/^/    /'
say "leat's counters (leat stat)"
build/app/leat/leat stat | sed 's/^/    /'
say "done"
