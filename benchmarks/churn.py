#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Connections that come and go at full speed: does the memory stay flat?

churn.py PROGRAMS SECONDS   PROGRAMS: the folder of bench-request

Both ends are bench-request's, on ordinary pages, so that its resident size is
all that it ever touched.  That and the use of every pool are sampled; the
second tenth of the time is compared with the last (of ten minutes, minutes).
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

PREFIX = f"leat-churn-{os.getpid()}"
DIRECTORY = f"/var/run/dpdk/{PREFIX}"
CONNECTIONS = 64  # at a time
SAMPLES = 120
REST = 5  # seconds in which everything must come back
GROWTH_BYTES = 1 << 20  # of the resident size that is not a leak: a stack's page, the C library's
GROWTH_OBJECTS = CONNECTIONS  # of a pool's use, between two averages
# What stays in use: the server listens to its end, and there is a route to its network.
KEPT = {"leat_ln_0": 1, "leat_tcp_0": 1, "leat_cr_0": 1, "MP_leat_route_0_0": 1}


def start(programs, seconds):
    return subprocess.Popen(
        [f"{programs}/bench-request", "-l", "1", "--no-pci", "--no-huge", "--no-shconf",
         "-m", "1024", "--log-level", "error", "--file-prefix", PREFIX, "--", "--core", "0",
         "--mode", "close", "--connections", str(CONNECTIONS), "--warmup", "0",
         "--seconds", str(seconds), "--rest", str(REST), "--json"], stdout=subprocess.PIPE)


class Telemetry:
    """DPDK's socket for such questions; there once the program has begun."""

    def __init__(self, process):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        while True:
            try:
                self.socket.connect(f"{DIRECTORY}/dpdk_telemetry.v2")
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit("bench-request does not start")
                time.sleep(0.05)
        self.limit = json.loads(self.socket.recv(1024))["max_output_len"]
        while self.ask("/leat/pools") is None:  # leat comes after DPDK
            time.sleep(0.05)

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(self.limit + 1024)).get(command.split(",")[0])


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as lines:
        return int(re.search(r"^Rss: *(\d+) kB", lines.read(), re.MULTILINE)[1]) * 1024


def sample(process, telemetry):
    return {"resident bytes": resident(process.pid), **telemetry.ask("/leat/pools")}


def connections(telemetry):
    return telemetry.ask("/leat/stat,0")["tcp_passive_open"]


def watch(process, telemetry, seconds):
    """Samples, at equal distances, of all the time that the load goes on."""
    samples = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        samples.append(sample(process, telemetry))
        if len(samples) % (SAMPLES // 10) == 0:
            print(f"{passed:6.0f} s {connections(telemetry):12} connections "
                  f"{samples[-1]['resident bytes'] / 2**20:9.2f} MiB", flush=True)
        time.sleep(max(0, began + seconds / SAMPLES * len(samples) - time.monotonic()))
    return samples


def mean(samples, key):
    return sum(sample[key] for sample in samples) / len(samples)


def growth(samples):
    """(what, second tenth, last tenth) of whatever was larger in the end."""
    tenth = len(samples) // 10
    early, late = samples[tenth:2 * tenth], samples[-tenth:]
    for key in samples[0]:
        allowed = GROWTH_BYTES if key == "resident bytes" else GROWTH_OBJECTS
        before, after = mean(early, key), mean(late, key)
        print(f"  {key:32} {before:14.1f} {after:14.1f}")
        if after - before > allowed:
            yield key, before, after


def what_stays(telemetry):
    """Pools with more in use than they should have when all are gone."""
    deadline = time.monotonic() + REST - 1
    while True:
        used = {name: count for name, count in telemetry.ask("/leat/pools").items()
                if count > KEPT.get(name, 0)}
        if not used or time.monotonic() > deadline:
            return used
        time.sleep(0.1)


def churn(programs, seconds):
    process = start(programs, seconds)
    try:
        telemetry = Telemetry(process)
        samples = watch(process, telemetry, seconds)
        made = connections(telemetry)
        print("averages of the second and of the last tenth:")
        faults = [f"{what} grew from {before:.1f} to {after:.1f}"
                  for what, before, after in growth(samples)]
        faults += [f"{name}: {count} still in use" for name, count in what_stays(telemetry).items()]
        result = json.loads(process.communicate(timeout=60)[0])
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(DIRECTORY, ignore_errors=True)
    faults += [f"{result[key]} {key.replace('_', ' ')}" for key in ("resets", "wrong")
               if result[key]]
    print(f"{made} connections in {seconds} s, {result['ops_per_s'] / 1e6:.3f} million/s, "
          f"{result['sent_again']} segments sent again, {result['got_again']} by the server")
    for fault in faults:
        print("FAILED:", fault)
    return not faults


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(0 if churn(sys.argv[1], int(sys.argv[2])) else 1)
