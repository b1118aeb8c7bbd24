# SPDX-License-Identifier: BSD-3-Clause
"""A path with a narrow link in its middle: leat, a Linux router, and a Linux host behind it.

Both ends' own links take 1500 bytes, what leads from the router to the host less; so leat can
learn of it from the router's ICMP messages alone, or, where those are filtered, by itself.
"""

import contextlib
import socket
import subprocess

from harness import (KERNEL, Lab, Namespace, check, check_equal, listen, offloads_off,
                     run)
from test_traffic import PORT, transfer_out

MIB = 1 << 20
NARROW = 1300
ROUTER = "198.19.0.1"  # the router's address on the far link
FAR = "198.19.0.2"  # the host's


@contextlib.contextmanager
def far_host():
    """A namespace behind the one the test is in, which forwards to it over a narrow link."""
    far = Namespace()
    try:
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
            far.path())
        run("ip", "addr", "add", f"{ROUTER}/24", "dev", "near")
        run("ip", "link", "set", "near", "up", "mtu", NARROW)
        offloads_off("near")
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as out:
            out.write("1")
        with far:
            run("ip", "addr", "add", f"{FAR}/24", "dev", "far")
            run("ip", "link", "set", "far", "up")
            run("ip", "route", "add", "default", "via", ROUTER)
            offloads_off("far")
        yield far
    finally:
        far.close()


def filter_icmp():
    """No router's word gets out, as behind many a firewall."""
    run("nft", "-f", "-", input="""table ip silent {
        chain output { type filter hook output priority 0; icmp type destination-unreachable drop; }
    }""")


def lab_with(**options):
    return Lab(config={"port0": {"gateway": KERNEL}, "leatd": options})


def test_a_router_that_tells():
    with lab_with() as lab, far_host() as far:
        transfer_out(lab, 10 * MIB, address=FAR, namespace=far)
        check_equal(lab.counter("tcp_mtu_shrank"), 1, "path MTUs lowered for a message")
        check_equal(lab.counter("tcp_mtu_black_hole"), 0, "black holes")
        check_equal(lab.counter("tcp_rto"), 0, "timeouts")
        lab.expect_nothing_left()


def test_a_black_hole():
    with lab_with() as lab, far_host() as far:
        filter_icmp()
        transfer_out(lab, 10 * MIB, address=FAR, namespace=far)
        check_equal(lab.counter("tcp_mtu_black_hole"), 1, "black holes")
        check_equal(lab.counter("tcp_mtu_shrank"), 0, "path MTUs lowered for a message")
        check(lab.counter("tcp_mtu_probe_acked") > 0, "probes found that more passes")
        lab.expect_nothing_left()


def test_a_black_hole_for_one_who_begins_small():
    with lab_with(mtu_probing="always") as lab, far_host() as far:
        filter_icmp()
        transfer_out(lab, 10 * MIB, address=FAR, namespace=far)
        check_equal(lab.counter("tcp_rto"), 0, "timeouts")
        check(lab.counter("tcp_mtu_probe_acked") > 0, "probes found that more passes")
        check(lab.counter("tcp_mtu_probe_lost") > 0, "and how much does not")
        lab.expect_nothing_left()


def test_a_black_hole_without_probing():
    """What the others would be without: it is a black hole indeed."""
    with lab_with(mtu_probing="off") as lab, far_host() as far:
        filter_icmp()
        with far:
            listener = listen(PORT, address=FAR)
        sender = lab.application("leat-nc", FAR, PORT, stdin=subprocess.PIPE)
        receiver, _ = listener.accept()
        receiver.settimeout(4)
        sender.stdin.write(bytes(MIB))
        with contextlib.suppress(socket.timeout):
            check_equal(receiver.recv(1), None, "what arrived")
        check(lab.counter("tcp_rto") > 2, "it was sent again and again")
        receiver.close()
        listener.close()
