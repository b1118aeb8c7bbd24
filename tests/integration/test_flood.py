# SPDX-License-Identifier: BSD-3-Clause
"""A flood of SYNs from addresses that do not answer, and honest connections in the midst of it."""

import random
import socket
import struct

from harness import (KERNEL, STACK, Failure, Lab, check, check_equal, connect, receive_all, run,
                     wait_for)

PORT = 7000
HONEST = 50
FIRST_SYNS = 5000
SYNS_BETWEEN = 300  # two honest connections: 20,000 in all
REQUESTS = 1024


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(numbers):
    """An IPv4 packet from somewhere in 198.18.0.0/15, but not from the link's own network."""
    source = struct.pack("!I", 0xc6120100 + numbers.randrange((1 << 17) - 512))
    target = socket.inet_aton(STACK)
    tcp = struct.pack("!HHIIBBHHHBBH", numbers.randrange(1024, 65536), PORT,
                      numbers.getrandbits(32), 0, 6 << 4, 2, 65535, 0, 0, 2, 4, 1460)
    pseudo = source + target + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, socket.IPPROTO_TCP, 0)
    ip += source + target
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


class Flood:
    """Sends SYNs over the lab's link; the same ones in each run."""

    def __init__(self):
        neighbour = run("ip", "neigh", "show", STACK).split()
        to = bytes.fromhex(neighbour[neighbour.index("lladdr") + 1].replace(":", ""))
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind(("leat0", 0))
        self.header = to + self.socket.getsockname()[4] + struct.pack("!H", 0x0800)
        self.numbers = random.Random(1)

    def send(self, count):
        for _ in range(count):
            self.socket.send(self.header + syn(self.numbers))


def echo_once():
    client = connect(PORT)
    client.sendall(b"hello")
    check_equal(receive_all(client, 5), b"hello", "the echo")
    client.close()


def config(cookies):
    """The answers to the flood go to the kernel's end, which does not forward."""
    return {"port0": {"gateway": KERNEL},
            "leatd": {"max_requests": REQUESTS, "syn_cookies": cookies}}


def test_honest_connections_succeed_in_a_flood():
    with Lab(config=config("yes")) as lab:
        lab.server("leat-echo", PORT)
        echo_once()
        flood = Flood()
        flood.send(FIRST_SYNS)
        wait_for(lambda: lab.counter("tcp_cookie_sent") > 0, 10, "cookies are sent")
        for _ in range(HONEST):
            flood.send(SYNS_BETWEEN)
            echo_once()
        check(lab.counter("tcp_cookie_sent") > 10000, "most of the flood got cookies")
        check_equal(lab.counter("tcp_cookie_accepted"), HONEST, "connections by cookie")
        check_equal(lab.counter("tcp_passive_open"), 1 + HONEST, "connections")
        check_equal(lab.counter("tcp_cookie_failed"), 0, "cookies refused")


def test_without_cookies_a_flood_shuts_everybody_out():
    with Lab(config=config("no")) as lab:
        lab.server("leat-echo", PORT)
        echo_once()
        Flood().send(2 * REQUESTS)
        wait_for(lambda: lab.counter("tcp_syn_table") > 0, 10, "SYNs are dropped")
        try:
            connect(PORT, seconds=2).close()
        except TimeoutError:
            pass
        else:
            raise Failure("there was room for one more")
        check_equal(lab.counter("tcp_cookie_sent"), 0, "cookies")
