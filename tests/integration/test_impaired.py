# SPDX-License-Identifier: BSD-3-Clause
"""Bad paths made on purpose: by leatd on its port, and by a bridge between two links."""

import contextlib
import os
import re
import socket
import time

from harness import (KERNEL, LONG, STACK, Bridge, Lab, Namespace, Thread, check, check_equal,
                     connect, listen, receive_all, run)
from test_traffic import PORT, digest_from, digest_of, transfer_in, transfer_out, write_blocks

MIB = 1 << 20
# How much goes each way, and over what: every test here takes some seconds.
PORT_BYTES = 16 * MIB
PORT_PATH = "loss=0.5%,reorder=1%,dup=0.5%,corrupt=0.1%,seed=3"
BRIDGE_BYTES = 16 * MIB
BRIDGE_PATH = "loss=0.1%,delay=1ms,limit=4000"
# MiB each way, by percent of loss; with LEAT_LONG=1 so many that the whole takes an hour or more.
LOSS_MIB = {0: 256, 1: 256, 5: 256, 10: 256} if LONG else {0: 16, 1: 8, 5: 1, 10: 1}
SLOW_MIB = 8  # at 10 %, where Linux's reno and cubic would take hours for more
LOSS_SECONDS = 3600 if LONG else 60  # for each transfer
LOSS_TRIED = 1  # percent up to which each congestion control is tried even if LONG is not set
REQUESTS = 300
REQUEST_BYTES = (100, 4000)  # in turn: one segment, and some


def impaired_lab(text, **options):
    return Lab(config={"port0": {"impair": text}}, **options)


def round_trips_ms(count=10):
    """(least, mean) of pings far enough apart for a worker to fall asleep."""
    out = run("ping", "-c", count, "-i", "0.1", "-W", "3", STACK)
    least, mean = re.search(r"= ([\d.]+)/([\d.]+)/", out).groups()
    return float(least), float(mean)


# ---- leatd's own port ----

def test_exact_over_a_bad_port():
    with impaired_lab(PORT_PATH) as lab:
        transfer_in(lab, PORT_BYTES)
        transfer_out(lab, PORT_BYTES)
        for name in ("lost", "reordered", "duplicated", "corrupted"):
            check(lab.counter(f"impair_{name}") > 0, f"packets were {name}")
        check_equal(lab.counter("impair_over_limit"), 0, "over the limit")
        check(lab.counter("tcp_retransmit") > 0, "segments were sent again")
        check(lab.counter("tcp_out_of_order") > 0, "segments came out of order")
        lab.expect_nothing_left()


def test_two_workers_over_a_bad_port():
    with impaired_lab(PORT_PATH, lcores="0,1") as lab:
        lab.server("leat-echo", PORT)
        content = os.urandom(200000)
        for _ in range(30):
            client = connect(PORT)
            sending = Thread(client.sendall, content)
            check(receive_all(client, len(content)) == content, "the echo is whole")
            sending.result_within(10)
            client.close()
        lost = [worker["impair_lost"] for worker in lab.counters_by_worker()]
        check(all(lost), f"each worker has a path of its own: {lost}")
        lab.expect_nothing_left(applications=1, listeners=1)


def test_what_is_impaired_is_said_and_shown():
    with impaired_lab("loss=10%,seed=5") as lab:
        check("loss=10%,limit=1000,seed=5" in lab.leatd.output(), lab.leatd.output())
        run("ping", "-c", "100", "-i", "0.01", "-W", "1", STACK, good=(0, 1))
        shown = lab.leat("stat")
        check(re.search(r"impair_lost\s+\d+", shown), f"leat stat shows it:\n{shown}")
        check("impair_over_limit" not in shown, f"and nothing that did not happen:\n{shown}")
        check(re.search(r"impair_over_limit\s+0", lab.leat("stat", "--all")), "but for --all")


def test_a_path_that_is_not_impaired_counts_nothing():
    with Lab() as lab:
        transfer_in(lab, PORT_BYTES)
        counters = lab.counters_by_worker()[0]
        impaired = {name: n for name, n in counters.items() if name.startswith("impair_") and n}
        check_equal(impaired, {}, "impairment")
        check("impaired" not in lab.leatd.output(), lab.leatd.output())


def test_a_sleeping_worker_wakes_for_a_delayed_packet():
    """20 ms each way: nothing else would wake it, for up to a second."""
    with impaired_lab("delay=20ms") as lab:
        run("ping", "-c", "1", "-W", "3", STACK)  # the neighbours find each other
        least, mean = round_trips_ms()
        check(40 <= least and mean < 60, f"round trips take 40 ms: from {least}, {mean} on average")
        check(lab.counter("sleeps") > 10, "the worker slept")


def test_what_is_delayed_when_leatd_ends_is_let_go():
    with impaired_lab("delay=2s") as lab:
        run("ping", "-c", "20", "-i", "0.01", "-W", "1", STACK, good=(0, 1))
        lab.stop_leatd(15)
        check_equal(lab.leatd.popen.returncode, 0, "leatd's status")


def congestion_controls(which):
    """Of the Linux stack: "tcp_available_" names all it has, "tcp_" its default."""
    with open(f"/proc/sys/net/ipv4/{which}congestion_control", encoding="ascii") as names:
        return names.read().split()


def exact_under_loss(percent):
    """From Linux with each congestion control it has, and to it with leat's default."""
    total = LOSS_MIB[percent] * MIB
    every = LONG or percent <= LOSS_TRIED
    with impaired_lab(f"loss={percent}%,reorder=1%,seed=17") as lab:
        for congestion in congestion_controls("tcp_available_" if every else "tcp_"):
            slow = percent == 10 and congestion != "bbr"
            timed(f"from Linux with {congestion}", lab, min(total, SLOW_MIB * MIB) if slow
                  else total, transfer_in, congestion=congestion)
        timed("from leat", lab, total, transfer_out)
        check(lab.counter("impair_reordered") > 0, "packets were reordered")
        check_equal(lab.counter("impair_lost") > 0, percent > 0, "packets were lost")
        lab.expect_nothing_left()


def timed(what, lab, total, transfer, **options):
    start = time.monotonic()
    timeouts = lab.counter("tcp_rto")
    transfer(lab, total, seconds=LOSS_SECONDS, **options)
    if LONG:
        print(f"\n    {what}: {total // MIB} MiB in {time.monotonic() - start:.1f} s, "
              f"{lab.counter('tcp_rto') - timeouts} timeouts of leat's", end="", flush=True)


def test_exact_without_loss():
    exact_under_loss(0)


def test_exact_under_1_percent_of_loss():
    exact_under_loss(1)


def test_exact_under_5_percent_of_loss():
    exact_under_loss(5)


def test_exact_under_10_percent_of_loss():
    exact_under_loss(10)


def test_lost_tails_of_answers():
    """Nothing follows an answer that would tell of its loss: loss probes and timeouts do."""
    with impaired_lab("loss=2%,seed=19") as lab:
        lab.server("leat-echo", PORT)
        client = connect(PORT, 30)
        # Linux's BBR would pause for half a second now and then.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        for i in range(REQUESTS):
            request = i.to_bytes(4, "little") * (REQUEST_BYTES[i % 2] // 4)
            client.sendall(request)
            check(receive_all(client, len(request)) == request, "the echo")
        client.close()
        probes, timeouts = lab.counter("tcp_loss_probe"), lab.counter("tcp_rto")
        check(probes > 0, f"leat probes for lost tails: {probes} probes, {timeouts} timeouts")
        check(timeouts < probes, f"most often in time: {probes} probes, {timeouts} timeouts")
        shown = lab.leat("stat")
        check(re.search(rf"tcp_loss_probe\s+{probes}\b", shown), f"leat stat shows it:\n{shown}")
        lab.expect_nothing_left(applications=1, listeners=1)


# ---- the bridge ----

@contextlib.contextmanager
def linux_to_linux(**options):
    """Two Linux stacks with a bridge between them: (bridge, the other one's namespace)."""
    with contextlib.ExitStack() as stack:
        here, there = Namespace(), Namespace()
        stack.callback(there.close)
        stack.callback(here.close)
        stack.enter_context(here)
        bridge = stack.enter_context(Bridge("left0", here, "right0", there, **options))
        run("ip", "addr", "add", f"{KERNEL}/24", "dev", "left0")
        with there:
            run("ip", "addr", "add", f"{STACK}/24", "dev", "right0")
        yield bridge, there


def linux_transfer(there, total):
    """From here to the other Linux stack."""
    with there:
        listener = listen(PORT, address=STACK)
    sender = connect(PORT)
    receiver, _ = listener.accept()
    for sock in (sender, receiver):
        sock.settimeout(60)
    reading = Thread(digest_from, receiver.recv)
    write_blocks(sender.sendall, total)
    sender.shutdown(socket.SHUT_WR)
    check_equal(reading.result_within(60), (digest_of(total), total), "what arrived")
    for sock in (sender, receiver, listener):
        sock.close()


def test_bridge_between_two_linux_stacks():
    with linux_to_linux(forward=BRIDGE_PATH, backward=BRIDGE_PATH) as (bridge, there):
        run("ping", "-c", "1", "-W", "3", STACK)  # the neighbours find each other
        least, mean = round_trips_ms(5)
        check(2 <= least and mean < 10, f"round trips take 2 ms: from {least}, {mean} on average")
        linux_transfer(there, BRIDGE_BYTES)
        done = bridge.stop()
        check(done["forward"]["lost"] > 0, f"segments were lost: {done}")
        for way in ("forward", "backward"):
            counts = done[way]
            check_equal(counts["packets in"], counts["out"] + counts["lost"] + counts["held at the end"]
                        + counts["over the limit"], f"packets, {way}")
            check_equal(counts["over the limit"], 0, f"over the limit, {way}")


def test_bridge_with_jumbo_frames():
    with linux_to_linux(mtu=9000) as (bridge, there):
        run("ping", "-c", "3", "-i", "0.1", "-M", "do", "-s", 9000 - 28, "-W", "2", STACK)
        linux_transfer(there, BRIDGE_BYTES)
        done = bridge.stop()["forward"]
        check(done["bytes"] / done["out"] > 3000, f"segments are large: {done}")


def test_bridge_between_leat_and_linux():
    path = {"forward": BRIDGE_PATH, "backward": BRIDGE_PATH}
    with Lab(driver="af_packet", bridge=path) as lab:
        transfer_in(lab, BRIDGE_BYTES)
        transfer_out(lab, BRIDGE_BYTES)
        done = lab.bridge.stop()
        check(done["forward"]["lost"] > 0 and done["backward"]["lost"] > 0,
              f"segments were lost both ways: {done}")
