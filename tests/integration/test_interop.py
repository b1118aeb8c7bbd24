# SPDX-License-Identifier: BSD-3-Clause
"""leat and the Linux stack agree on the options of TCP, with each on and off on the Linux side.

What Linux says of the connection (TCP_INFO) tells which were really agreed on.
"""

import os
import re
import selectors
import socket
import struct
import subprocess

from harness import KERNEL, STACK, Lab, Thread, check, check_equal, connect, listen, run, wait_for
from test_traffic import PORT, digest_from, digest_of, write_blocks

MIB = 1 << 20
BYTES = 2 * MIB  # each way, for each setting
PATH = "loss=1%,reorder=1%,seed=11"
JUMBO_MTU = 9000
JUMBO_BYTES = 16 * MIB
CONNECTIONS = 200
CONNECTION_BYTES = 50000
SECONDS = 60  # to give up after

# linux/tcp.h, struct tcp_info: tcpi_options
TIMESTAMPS, SACK, WINDOW_SCALE, ECN, ECN_SEEN = 1, 2, 4, 8, 16


class TcpInfo:
    """Of what Linux knows of a connection, what the tests ask for."""

    def __init__(self, sock):
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        self.options, self.send_mss, self.receive_mss = struct.unpack_from("5xB10xII", raw)
        self.delivered_ce, = struct.unpack_from("196xI", raw)

    def has(self, option):
        return bool(self.options & option)


def sysctl(name, value):
    """Of the namespace the test is in."""
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as out:
        out.write(str(value))


def linux_connects(lab):
    """(the Linux socket, leat-nc), connected."""
    application = lab.application("leat-nc", "-l", STACK, PORT, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
    wait_for(lambda: lab.listening(PORT), 10, "leat-nc listens")
    return connect(PORT), application


def leat_connects(lab):
    listener = listen(PORT)
    application = lab.application("leat-nc", KERNEL, PORT, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
    peer, _ = listener.accept()
    listener.close()
    return peer, application


def exchange(peer, application, total=BYTES):
    """`total` bytes each way at once, and the end; what Linux said just before that."""
    peer.settimeout(SECONDS)
    reading = [Thread(digest_from, read) for read in (peer.recv, application.stdout.read)]
    writing = [Thread(write_blocks, write, total)
               for write in (peer.sendall, application.stdin.write)]
    for thread in writing:
        thread.result_within(SECONDS)
    info = TcpInfo(peer)
    peer.shutdown(socket.SHUT_WR)
    application.stdin.close()
    for thread in reading:
        check_equal(thread.result_within(SECONDS), (digest_of(total), total), "what arrived")
    application.finish()
    peer.close()
    return info


def expect_option(name, option, values):
    """Exact with each of {sysctl's value: (agreed on when Linux, when leat connects)}."""
    with Lab(config={"port0": {"impair": PATH}}) as lab:
        for value, agreed in values.items():
            sysctl(name, value)
            for connected, expected in zip((linux_connects, leat_connects), agreed):
                info = exchange(*connected(lab))
                what = f"{connected.__name__}, {name}={value}"
                check_equal(info.has(option), expected, f"agreed on; {what}")
                check_equal(info.has(TIMESTAMPS), name != "tcp_timestamps" or bool(value),
                            f"timestamps; {what}")
        check(lab.counter("tcp_retransmit") > 0, "segments were sent again")
        lab.expect_nothing_left()


def test_sack():
    expect_option("tcp_sack", SACK, {0: (False, False), 1: (True, True)})


def test_timestamps():
    expect_option("tcp_timestamps", TIMESTAMPS, {0: (False, False), 1: (True, True)})


def test_window_scaling():
    expect_option("tcp_window_scaling", WINDOW_SCALE, {0: (False, False), 1: (True, True)})


def test_ecn():
    """1: Linux asks for it; 2: it accepts it; 0: neither.  leat accepts it and does not ask."""
    expect_option("tcp_ecn", ECN, {0: (False, False), 1: (True, False), 2: (False, False)})


def test_no_option_at_all():
    with Lab(config={"port0": {"impair": PATH}}) as lab:
        for name in ("tcp_sack", "tcp_timestamps", "tcp_window_scaling", "tcp_ecn"):
            sysctl(name, 0)
        for connected in (linux_connects, leat_connects):
            check_equal(exchange(*connected(lab)).options, 0, "options agreed on")
        lab.expect_nothing_left()


def mark_congestion(percent):
    """So many of the packets that may be marked are, each way; counts leat's answers to that."""
    mark = f"ip ecn ect0 numgen random mod 100 < {percent} ip ecn set ce"
    run("nft", "-f", "-", input=f"""table ip congested {{
        counter reduced {{}}
        chain input {{
            type filter hook input priority -150
            tcp flags & cwr == cwr counter name reduced
            {mark}
        }}
        chain output {{
            type filter hook output priority -150
            {mark}
        }}
    }}""")


def reductions():
    """How often leat said that it sends less."""
    return int(re.search(r"packets (\d+)", run("nft", "list", "counter", "ip", "congested",
                                               "reduced")).group(1))


def test_marks_of_congestion():
    with Lab() as lab:
        sysctl("tcp_ecn", 1)
        check_equal(exchange(*linux_connects(lab)).delivered_ce, 0, "nothing is marked yet")
        mark_congestion(5)
        info = exchange(*linux_connects(lab), 8 * MIB)
        check(info.has(ECN), "ECN is agreed on")
        check(info.has(ECN_SEEN), "leat's segments may be marked")
        check(info.delivered_ce > 10, f"leat tells Linux of marked segments: {info.delivered_ce}")
        check(reductions() > 10, f"leat sends less when Linux tells it: {reductions()} times")
        check_equal(lab.counter("tcp_fast_retransmit"), 0, "segments taken for lost")
        lab.expect_nothing_left()


def test_jumbo_frames():
    """On a packet socket: net_tap takes no MTU above 1500."""
    config = {"leatd": {"mbufs": 8192, "mbuf_bytes": 9216}, "port0": {"mtu": JUMBO_MTU}}
    with Lab(driver="af_packet", config=config, mtu=JUMBO_MTU) as lab:
        for connected in (linux_connects, leat_connects):
            info = exchange(*connected(lab), JUMBO_BYTES)
            what = f"{connected.__name__}: {vars(info)}"
            check(8000 < info.send_mss <= JUMBO_MTU - 40, f"Linux sends large segments; {what}")
            check(8000 < info.receive_mss <= JUMBO_MTU - 40, f"leat sends large segments; {what}")
        lab.expect_nothing_left()


def test_jumbo_frames_over_a_bad_path():
    config = {"leatd": {"mbufs": 8192, "mbuf_bytes": 9216},
              "port0": {"mtu": JUMBO_MTU, "impair": PATH}}
    with Lab(driver="af_packet", config=config, mtu=JUMBO_MTU) as lab:
        for connected in (linux_connects, leat_connects):
            exchange(*connected(lab), JUMBO_BYTES)
        check(lab.counter("tcp_retransmit") > 0, "segments were sent again")
        lab.expect_nothing_left()


def test_many_connections_over_a_bad_path():
    """All at once, each with content of its own."""
    with Lab(config={"port0": {"impair": "loss=1%,seed=13"}}) as lab:
        lab.server("leat-echo", PORT)
        content = os.urandom(CONNECTION_BYTES + CONNECTIONS)
        selector = selectors.DefaultSelector()
        for i in range(CONNECTIONS):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((STACK, PORT))
            selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE,
                              Echo(content[i:i + CONNECTION_BYTES]))
        while selector.get_map():
            for key, events in selector.select(SECONDS) or check(False, "it goes on"):
                if key.data.goes_on(key.fileobj, events):
                    selector.modify(key.fileobj, key.data.awaits(), key.data)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
        check_equal(lab.counter("tcp_passive_open"), CONNECTIONS, "connections accepted")
        check(lab.counter("impair_lost") > 0, "packets were lost")
        lab.expect_nothing_left(applications=1, listeners=1)


class Echo:
    """One of many connections: what it sends comes back."""

    def __init__(self, content):
        self.unsent = memoryview(content)
        self.content = content
        self.got = bytearray()

    def awaits(self):
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.unsent else 0)

    def goes_on(self, sock, events):
        if events & selectors.EVENT_WRITE:
            self.unsent = self.unsent[sock.send(self.unsent):]
        if events & selectors.EVENT_READ:
            part = sock.recv(65536)
            check(part, "no connection ends early")
            self.got += part
        if len(self.got) < len(self.content):
            return True
        check(self.got == self.content, "the echo")
        return False
