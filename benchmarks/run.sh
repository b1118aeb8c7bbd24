#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# All benchmarks in one run, on an otherwise idle machine with two cores: the server on core 1, who
# asks it on core 0.  Writes benchmarks/results.json and results.svg.
#   benchmarks/run.sh                      under ten minutes
#   benchmarks/run.sh --quick              one minute: less of everything, rougher figures
#   benchmarks/run.sh --compare OLD.json   then prints new/old for each figure
#   benchmarks/run.sh --output PREFIX      writes PREFIX.json and PREFIX.svg instead
#   benchmarks/run.sh --only PART,PART     these parts only, of: request shared bulk http linux
#                                          sleep leaves instructions; a picture needs request and
#                                          linux
# Needs root: for network namespaces, for huge pages, of which it gives back what it added, and to
# install what is missing.  Builds with all optimization and across files, in build-release; BUILD
# names another folder.
set -eu
. "$(dirname "$0")/../scripts/lib.sh"
cd "$root"

build=${BUILD:-build-release}
programs=$build/benchmarks
server_core=1
client_core=0
huge_pages_wanted=2048 # of 2 MiB, free
huge_pages_million=3072
window=512 # requests without an answer, at most
server_address=198.18.0.1
client_addresses="198.18.1.1 198.18.1.2 198.18.1.3 198.18.1.4"
tap_server=198.19.0.1 # not in their network
tap_client=198.19.0.2
parts="request shared bulk http linux sleep leaves instructions"

quick=
compare=
output=benchmarks/results
seconds=3
warmup=1
id=leat-bench-$$
out=
added_pages=0
child=
server=

# ---- the machine, and leaving it as it was ----

huge_pages=/sys/kernel/mm/hugepages/hugepages-2048kB

# reserve_huge_pages N: free ones, as far as there is memory.
reserve_huge_pages() {
	local more=$(($1 - $(cat $huge_pages/free_hugepages)))
	local before

	[ $more -gt 0 ] || return 0
	before=$(cat $huge_pages/nr_hugepages)
	echo $((before + more)) >$huge_pages/nr_hugepages
	added_pages=$((added_pages + $(cat $huge_pages/nr_hugepages) - before))
}

# DPDK takes them through a file system.
mount_huge_pages() {
	! grep -q '^[^ ]* [^ ]* hugetlbfs ' /proc/mounts || return 0
	mkdir "$out/huge"
	mount -t hugetlbfs -o pagesize=2M none "$out/huge"
}

return_huge_pages() {
	umount "$out/huge" 2>/dev/null || true
	[ $added_pages -eq 0 ] || echo $(($(cat $huge_pages/nr_hugepages) - added_pages)) >$huge_pages/nr_hugepages
	added_pages=0
}

has_ended() {
	! kill -0 "$1"
}

# end_process PID: one of ours; an empty one is none.
end_process() {
	[ -n "$1" ] || return 0
	kill "$1" 2>/dev/null || true
	wait_for 10 has_ended "$1" || kill -KILL "$1"
	wait "$1" 2>/dev/null || true
}

clean_up() {
	end_process "$child"
	end_server
	ip netns del "$id-server" 2>/dev/null || true
	ip netns del "$id-client" 2>/dev/null || true
	return_huge_pages
	rm -rf "$out" "/var/run/dpdk/$id"-*
}

make_namespaces() {
	local ns

	ip netns add "$id-server"
	ip netns add "$id-client"
	ip -n "$id-server" link add veth0 type veth peer name veth0 netns "$id-client"
	ip -n "$id-server" address add $server_address/15 dev veth0
	for ns in $client_addresses; do
		ip -n "$id-client" address add "$ns"/15 dev veth0
	done
	for ns in "$id-server" "$id-client"; do
		ip -n "$ns" link set lo up
		ip -n "$ns" link set veth0 up
	done
	# As many short connections as there are ports each second.
	inside client sysctl -q -w net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1
	inside server sysctl -q -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096
}

# inside server|client COMMAND...
inside() {
	local ns=/run/netns/$id-$1

	shift
	nsenter --net="$ns" "$@"
}

# offloads on|off: of the veth pair, which then hands over up to 64 KiB at a time or packets.
offloads() {
	inside server ethtool -K veth0 tso "$1" gso "$1" gro "$1" tx "$1" >/dev/null
	inside client ethtool -K veth0 tso "$1" gso "$1" gro "$1" tx "$1" >/dev/null
}

# ---- figures ----

# keep NAME: standard input's objects become figures; without a name report.py makes one.
keep() {
	sed -n "s/^{/{\"figure\": \"$1\", /p" >>"$out/figures"
}

# skip NAME REASON
skip() {
	say "$1: skipped: $2"
	printf '{"figure": "%s", "skipped": "%s"}\n' "$1" "$2" >>"$out/figures"
}

# last_words FILE: as they can stand in a reason.
last_words() {
	tail -n 3 "$1" | tr -d "\"\\\\" | tr -s "[:cntrl:]" " "
}

# measure NAME SECONDS COMMAND...: what the command prints are figures.  It is given so long.
measure() {
	local name=$1 limit=$2 status=0

	shift 2
	timeout --kill-after=2 "$limit" "$@" >"$out/stdout" 2>"$out/stderr" &
	child=$!
	wait $child || status=$?
	child=
	if [ $status -eq 0 ]; then
		keep "$name" <"$out/stdout"
		tail -n "$(wc -l <"$out/stdout")" "$out/figures" | python3 benchmarks/report.py line
	elif [ $status -eq 124 ] || [ $status -eq 137 ]; then
		skip "$name" "no end after $limit s"
	else
		skip "$name" "status $status: $(last_words "$out/stderr")"
	fi
}

# rate_of NAME PERCENT: of a figure of this run; 0 when there is none.
rate_of() {
	python3 benchmarks/report.py rate "$out/figures" "$1" "$2"
}

# wants PART
wants() {
	case " $parts " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# start_server COMMAND...: until it says that it serves; false when it does not.
start_server() {
	: >"$out/server.log" # before somebody looks into it
	"$@" >"$out/server.log" 2>&1 &
	server=$!
	wait_for 15 grep -q serving "$out/server.log"
}

end_server() {
	end_process "$server"
	server=
}

# ---- over net_ring, with the stack inside ----

# ask_ring NAME PROGRAM OPTION...
ask_ring() {
	local name=$1 program=$2

	shift 2
	measure "$name" 90 "$programs/$program" -l $server_core --no-pci --huge-unlink \
		--no-telemetry --log-level error --file-prefix "$id-request" -- --core $client_core \
		--seconds "$seconds" --warmup "$warmup" --json "$@"
}

# ask_echo NAME OPTION...
ask_echo() {
	local name=$1

	shift
	ask_ring "leat $name" bench-request "$@"
}

run_request() {
	local n

	say "64 bytes and back over net_ring: leat inside an echo server"
	for n in $connections; do
		ask_echo "keep-alive $n" --connections "$n" --window $window
	done
	for n in $loads; do
		ask_echo "keep-alive 512 at $n %" --connections 512 \
			--rate "$(rate_of "leat keep-alive 512" "$n")"
	done
	ask_echo close --mode close --connections 64
	ask_echo udp --mode udp --connections 64
	if [ -n "$quick" ]; then
		skip "leat keep-alive 1000000" "takes too long for --quick"
		return
	fi
	# At a load (requests per second) that both can bear: connections at rest hold no memory, so what a
	# million need depends on how many of them are asked in half a second.
	ask_echo "keep-alive 64 at 200000" --connections 64 --rate 200000
	reserve_huge_pages $huge_pages_million
	warmup=6 ask_echo "keep-alive 1000000 at 200000" --connections 1000000 --rate 200000 \
		--window 4096
}

# ---- the same, through shared memory ----

run_shared() {
	local n

	say "64 bytes and back: leat and the echo server in two processes, by turns on one core"
	for n in $shared_connections; do
		ask_ring "leat, shared memory, keep-alive $n" bench-shared --connections "$n"
	done
	ask_ring "leat, shared memory, close" bench-shared --mode close --connections 64
	ask_ring "leat, shared memory, udp" bench-shared --mode udp --connections 64
}

# ---- bytes ----

run_bulk() {
	local name options

	say "bytes from one stack to the other over net_ring, each on a core"
	while read -r name options; do
		# shellcheck disable=SC2086
		measure "leat bulk $name" 60 "$programs/bench-bulk" --cores $client_core,$server_core \
			--seconds "$seconds" --json $options
	done <<-VARIANTS
		1500 --mtu 1500
		1500,in-place --mtu 1500 --in-place
		1500,checksums --mtu 1500 --offloads checksums
		1500,tso --mtu 1500 --offloads tso
		1500,32-flows --mtu 1500 --flows 32 --buffer 131072
		9000 --mtu 9000
	VARIANTS
}

# ---- over net_memif, leat-http in a process of its own ----

# memif server|client: EAL's arguments.
memif() {
	echo "-m 1024 --no-pci --huge-unlink --no-telemetry --log-level error --file-prefix $id-$1" \
		"--vdev net_memif0,role=$1,id=0,socket=$out/memif.sock,socket-abstract=no,bsize=2048,rsize=11,zero-copy=no"
}

write_http_config() {
	cat >"$out/http.conf" <<-CONFIG
		[leatd]
		socket = none
		idle_us = 0
		max_socks = 66000
		slots_per_worker = 65000
		chunks_per_worker = 131072
		chunk_size = 4K
		mbufs = 65535
		queue_entries = 4096
		[port0]
		device = net_memif0
		address = $server_address/15
	CONFIG
}

# ask_http NAME OPTION...: a server for it alone.
ask_http() {
	local name=$1

	shift
	# shellcheck disable=SC2046
	rm -f "$out/memif.sock" # of a server that ended badly
	if start_server "$build/app/examples/leat-http" --inline -l $server_core $(memif server) -- \
		--config "$out/http.conf" --listen $server_address:80 --root "$out/root"; then
		measure "leat-http $name" 60 "$programs/bench-load" -l $client_core $(memif client) -- \
			--server $server_address:80 --http /64 --seconds "$seconds" --warmup "$warmup" --json "$@"
	else
		skip "leat-http $name" "it does not serve: $(last_words "$out/server.log")"
	fi
	end_server
}

run_http() {
	local n

	say "a file of 64 bytes over net_memif: leat inside leat-http"
	mkdir "$out/root"
	head -c 64 /dev/zero | tr '\0' x >"$out/root/64"
	write_http_config
	for n in $http_connections; do
		ask_http "keep-alive $n" --connections "$n" --window $window
	done
	ask_http close --mode close --connections 64
}

# ---- the Linux stack ----

# ask_linux NAME SERVER-ARGUMENTS OPTION...
ask_linux() {
	local name=$1 server_at=$2

	shift 2
	# shellcheck disable=SC2086
	measure "$name" 60 "$programs/bench-linux-request" $server_at \
		--client-at "$id-client:$client_core" "$@"
}

# ask_linux_echo NAME OPTION...
ask_linux_echo() {
	local name=$1

	shift
	ask_linux "Linux $name" "--server-at $id-server:$server_core" -- --server $server_address:7 \
		--seconds "$seconds" --warmup "$warmup" --json "$@"
}

# bulk NAME: one connection.
bulk() {
	ask_linux "$1" "--server-at $id-server:$server_core" --bulk -- --server $server_address:7 \
		--connections 1 --seconds "$seconds" --warmup "$warmup" --json
}

run_linux() {
	local n

	say "the same between two namespaces: the Linux stack"
	for n in $linux_connections; do
		ask_linux_echo "keep-alive $n" --connections "$n" --window $window
	done
	for n in $loads; do
		ask_linux_echo "keep-alive 512 at $n %" --connections 512 \
			--rate "$(rate_of "Linux keep-alive 512" "$n")"
	done
	ask_linux_echo close --mode close --connections 64
	ask_linux_echo udp --mode udp --connections 64
	bulk "Linux bulk 1500 with offloads"
	offloads off
	bulk "Linux bulk 1500 without offloads"
	offloads on
}

# ---- waking up ----

# ask_on_tap NAME IDLE-US: a request every 10 ms from a Linux client that does not sleep.
ask_on_tap() {
	local name=$1

	printf '[leatd]\nsocket = none\nidle_us = %d\n[port0]\ndevice = net_tap0\naddress = %s/24\n' \
		"$2" $tap_server >"$out/tap.conf"
	if start_server nsenter --net="/run/netns/$id-client" "$build/app/examples/leat-echo" --inline \
		-l $server_core -m 512 --no-pci --huge-unlink --no-telemetry --log-level error \
		--file-prefix "$id-tap" --vdev net_tap0,iface=leat0 -- \
		--config "$out/tap.conf" --listen $tap_server:7; then
		ip -n "$id-client" address add $tap_client/24 dev leat0
		ip -n "$id-client" link set leat0 up
		ask_linux "$name" "" -- --server $tap_server:7 --from $tap_client --connections 1 \
			--rate 100 --seconds "$seconds" --warmup 1 --json
	else
		skip "$name" "it does not serve: $(last_words "$out/server.log")"
	fi
	end_server
}

run_sleep() {
	say "a request every 10 ms: what waking up takes"
	ask_on_tap "leat on a tap, spinning" 0
	ask_on_tap "leat on a tap, asleep" 100
	ask_linux_echo "keep-alive 1, asleep" --connections 1 --rate 100
}

# ---- parts of the stack alone ----

run_leaves() {
	local program

	say "parts of the stack alone"
	for program in $leaves; do
		measure "" 90 taskset -c $server_core "$programs/bench-$program" --json $quick
	done
	for program in $operations; do
		measure "" 90 taskset -c $server_core "$programs/bench-instructions" --json "$program"
	done
}

run_instructions() {
	local status=0

	say "instructions of an operation"
	BUILD=$build timeout 300 benchmarks/instructions.sh >"$out/instructions" 2>&1 &
	child=$!
	wait $child || status=$?
	child=
	if [ $status -le 1 ] && grep -q ' passed, ' "$out/instructions"; then
		python3 benchmarks/report.py instructions "$out/instructions" >>"$out/figures"
	else
		skip instructions "$(last_words "$out/instructions")"
	fi
}

# ---- all ----

usage() {
	die "usage: $0 [--quick] [--compare OLD.json] [--output PREFIX] [--only PART,PART]"
}

while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=--quick ;;
	--compare)
		[ -f "${2:-}" ] || usage
		compare=$2
		shift
		;;
	--output)
		[ $# -gt 1 ] || usage
		output=$2
		shift
		;;
	--only)
		[ $# -gt 1 ] || usage
		parts=${2//,/ }
		shift
		;;
	*) usage ;;
	esac
	shift
done

connections="1 64 512 10000 50000"
shared_connections="1 64 512"
http_connections="512 10000 50000"
linux_connections="1 64 512 10000"
loads="50 80"
leaves="idle ring segment table timers calendar"
operations="request request-steered" # in cycles
if [ -n "$quick" ]; then
	connections="1 512 10000"
	shared_connections="1 512"
	http_connections=512
	linux_connections="1 512"
	loads=80
	leaves="ring segment"
	parts=${parts/ instructions/}
	seconds=1
	warmup=0
fi

[ "$(id -u)" = 0 ] || die "root is needed for network namespaces and huge pages"
[ "$(nproc)" -ge 2 ] || die "two cores are needed"
# shellcheck disable=SC2086
install $packages_build $packages_run $packages_bench
say "building"
build "$build" -Dbuildtype=release -Db_lto=true -Dtests=false
out=$(mktemp -d)
trap clean_up EXIT
trap 'exit 130' INT TERM
cp "$compare" "$out/old.json" 2>/dev/null || true # it may be the one that is written
: >"$out/figures"
reserve_huge_pages $huge_pages_wanted
mount_huge_pages
make_namespaces
for part in request shared bulk http linux sleep leaves instructions; do
	! wants "$part" || "run_$part"
done
python3 benchmarks/report.py write "$out/figures" "$output.json" "$SECONDS"
say "written in $SECONDS s: $output.json"
if wants request && wants linux; then
	python3 benchmarks/report.py plot "$output.json" "$output.svg"
	say "and $output.svg"
fi
[ -z "$compare" ] || python3 benchmarks/report.py compare "$out/old.json" "$output.json"
