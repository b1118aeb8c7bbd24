#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The measuring half of path.sh: leat or Linux at one end of a bad path, Linux at the other."""

import argparse
import contextlib
import fcntl
import os
import platform
import select
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "integration"))

from harness import KERNEL, STACK, Failure, Lab, connect, listen, run, wait_for  # noqa: E402

PORT = 7000
BLOCK = bytes(1 << 18)
PIPE_BYTES = 1 << 20
FRAME_BYTES = 1514
QUEUE_PACKETS = 500  # of the path, at least
SETUP_SECONDS = 2  # about, of each run
LCORE = "1"  # of leatd: the bridge polls on 0
FEW_BYTES = 8 << 20  # a path so bad that less comes is measured for ...
FEW_TIMES = 3  # ... so many times as long: chance has a part in each loss
STACKS = ("leat", "Linux")
DIRECTIONS = ("sends", "receives")


def bits_per_second(rate):
    return float(rate[:-1]) * {"K": 1e3, "M": 1e6, "G": 1e9}[rate[-1]]


def path_text(arguments, loss, rtt_ms, seed):
    """One way of the path: what is in flight, and a queue of one more round trip, fit into it."""
    keys = [f"seed={seed}"]
    limit = 20000
    if loss > 0:
        keys.append(f"loss={loss:g}%")
    if rtt_ms > 0:
        keys.append(f"delay={rtt_ms * 500:g}us")
    if arguments.rate != "none":
        round_trip = bits_per_second(arguments.rate) / 8 / FRAME_BYTES * rtt_ms / 1000
        limit = int(round_trip / 2 + max(QUEUE_PACKETS, round_trip))
        keys.append(f"rate={arguments.rate}")
    return ",".join(keys + [f"limit={limit}"])


# ---- one transfer ----

class Writer(threading.Thread):
    """Writes until the other end has had enough."""

    def __init__(self, write):
        super().__init__(daemon=True)
        self._write = write
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self._write(BLOCK)


def goodput(fd, arguments):
    """Mb/s of what comes from fd, from its first byte on."""
    buffer = bytearray(1 << 18)
    limit = arguments.mib << 20
    size = 0
    start = None
    deadline = time.monotonic() + 2 * arguments.seconds  # for the first byte
    while (now := time.monotonic()) < deadline and size < limit:
        if not select.select([fd], [], [], deadline - now)[0]:
            break
        got = os.readv(fd, [buffer])
        if got == 0:
            break
        if start is None:
            start = time.monotonic()
            deadline = start + FEW_TIMES * arguments.seconds
        size += got
        if size >= FEW_BYTES:
            deadline = start + arguments.seconds
    if start is None:
        return 0.0
    return size * 8 / (time.monotonic() - start) / 1e6


def use_cubic(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    return sock


@contextlib.contextmanager
def closing_at_once(*socks):
    """Whoever is blocked in one of them is let go."""
    try:
        yield
    finally:
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def widened(pipe):
    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return pipe


def leat_sends(lab, arguments):
    listener = listen(PORT)
    sender = lab.application("leat-nc", KERNEL, PORT, stdin=subprocess.PIPE)
    receiver, _ = listener.accept()
    with closing_at_once(receiver, listener):
        Writer(widened(sender.stdin).write)
        result = goodput(receiver.fileno(), arguments)
        sender.kill()
    return result


def leat_receives(lab, arguments):
    receiver = lab.application("leat-nc", "-l", STACK, PORT, stdout=subprocess.PIPE)
    wait_for(lambda: lab.listening(PORT), 10, "leat-nc listens")
    sender = use_cubic(connect(PORT))
    with closing_at_once(sender):
        sender.settimeout(None)
        Writer(sender.sendall)
        result = goodput(widened(receiver.stdout).fileno(), arguments)
        receiver.kill()
    return result


def linux_transfer(listening_in, address, sending_in, arguments):
    with listening_in:
        listener = listen(PORT, address=address)
    with sending_in:
        sender = use_cubic(connect(PORT, address=address))
    receiver, _ = listener.accept()
    with closing_at_once(sender, receiver, listener):
        sender.settimeout(None)
        Writer(sender.sendall)
        return goodput(receiver.fileno(), arguments)


def linux_sends(lab, arguments):
    return linux_transfer(lab.kernel, KERNEL, lab.outside, arguments)


def linux_receives(lab, arguments):
    return linux_transfer(lab.outside, STACK, lab.kernel, arguments)


TRANSFERS = {("leat", "sends"): leat_sends, ("leat", "receives"): leat_receives,
             ("Linux", "sends"): linux_sends, ("Linux", "receives"): linux_receives}


def measure(stack, direction, arguments, loss, rtt_ms, seed):
    """Mb/s, or 0 when no transfer came about."""
    path = path_text(arguments, loss, rtt_ms, seed)
    settings = dict(setting.split("=", 1) for setting in arguments.leat)
    with Lab(driver="af_packet", config={"leatd": settings}, start=False, lcores=LCORE,
             bridge={"forward": path, "backward": path}) as lab:
        lab.make_link()
        if stack == "leat":
            lab.start_leatd()
        else:
            with lab.outside:
                run("ip", "addr", "add", f"{STACK}/24", "dev", "leat1")
        try:
            return TRANSFERS[stack, direction](lab, arguments)
        except (OSError, Failure) as problem:
            print(f"    {stack} {direction}: {problem}", flush=True)
            return 0.0


# ---- all of them ----

def measure_path(arguments, loss, rtt_ms):
    """{(stack, direction): median}; the runs of the two stacks alternate."""
    results = {key: [] for key in TRANSFERS}
    for seed in range(1, arguments.runs + 1):
        for key in TRANSFERS:
            results[key].append(measure(*key, arguments, loss, rtt_ms, seed))
    return {key: statistics.median(values) for key, values in results.items()}


def print_table(rows):
    print("| round trip | loss | leat sends | Linux sends | ratio "
          "| leat receives | Linux receives | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for rtt_ms, loss, result in rows:
        cells = [f"{rtt_ms:g} ms", f"{loss:g} %"]
        for direction in DIRECTIONS:
            leat, linux = (result[stack, direction] for stack in STACKS)
            ratio = f"{leat / linux:.2f}" if linux > 0 else "-"
            cells += [f"{leat:.1f}", f"{linux:.1f}", ratio]
        print("| " + " | ".join(cells) + " |")


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))


def linux_setting(name):
    """As it is in a namespace of a test: a copy of the machine's own."""
    with open(f"/proc/sys/net/ipv4/{name}", encoding="utf-8") as setting:
        return " ".join(setting.read().split())


def print_conditions(arguments):
    print(f"\n{processor()}, {os.cpu_count()} cores, Linux {platform.release()}; goodput in Mb/s, "
          f"medians of {arguments.runs}")
    print(f"one connection to or from a Linux peer, for {arguments.seconds:g} s or "
          f"{arguments.mib} MiB, {FEW_TIMES * arguments.seconds:g} s where less than "
          f"{FEW_BYTES >> 20} MiB come; loss each way, half the round trip each way, "
          f"rate {arguments.rate} with a queue of a round trip (at least {QUEUE_PACKETS} packets), "
          f"MTU 1500")
    print("the bridge polls on one core, leatd on the other; applications run beside them")
    print(f"Linux: cubic, tcp_rmem {linux_setting('tcp_rmem')}, tcp_wmem "
          f"{linux_setting('tcp_wmem')}; leat: {' '.join(arguments.leat) or 'defaults'}\n")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="path.sh", description="goodput of leat beside that of "
                                     "the Linux stack over the same bad paths")
    parser.add_argument("--runs", type=int, default=5, help="of each, for the median (5)")
    parser.add_argument("--loss", type=float, nargs="+", default=[0, 0.1, 1, 5],
                        help="percent, each way (0 0.1 1 5)")
    parser.add_argument("--rtt", type=float, nargs="+", default=[1, 50],
                        help="milliseconds (1 50)")
    parser.add_argument("--seconds", type=float, default=8, help="of one transfer, at most (8)")
    parser.add_argument("--mib", type=int, default=256, help="of one transfer, at most (256)")
    parser.add_argument("--rate", default="500M", help="bits per second of the path, below what "
                        "the bridge carries, or none (500M)")
    parser.add_argument("--leat", nargs="+", default=[], metavar="KEY=VALUE",
                        help="options of leatd, such as rcvbuf=4M")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    transfers = len(arguments.rtt) * len(arguments.loss) * len(TRANSFERS) * arguments.runs
    minutes = transfers * (FEW_TIMES * arguments.seconds + SETUP_SECONDS) / 60
    print(f"==> {transfers} transfers, at most some {minutes:.0f} minutes", flush=True)
    rows = []
    for rtt_ms in arguments.rtt:
        for loss in arguments.loss:
            print(f"==> round trip {rtt_ms:g} ms, loss {loss:g} %", flush=True)
            rows.append((rtt_ms, loss, measure_path(arguments, loss, rtt_ms)))
    print_conditions(arguments)
    print_table(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
