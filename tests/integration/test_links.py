# SPDX-License-Identifier: BSD-3-Clause
"""Other links than one queue of net_tap: two workers, a packet socket on a veth, a bad link."""

import os

from harness import STACK, Lab, Thread, check, check_equal, connect, receive_all, run
from test_many import short_connections
from test_traffic import PORT, transfer_in, transfer_out

MIB = 1 << 20


def exchange(lab):
    """A bit of everything."""
    run("ping", "-c", "5", "-i", "0.01", "-W", "2", STACK)
    transfer_in(lab, 256 * MIB)
    transfer_out(lab, 256 * MIB)
    server = lab.server("leat-echo", PORT)
    threads = [Thread(short_connections, 500, i % 2 == 0) for i in range(4)]
    for thread in threads:
        thread.result_within(60)
    clients = [connect(PORT) for _ in range(200)]
    for client in clients:
        client.sendall(b"x" * 1000)
    for client in clients:
        check_equal(len(receive_all(client, 1000)), 1000, "the echo")
        client.close()
    server.kill()
    lab.expect_nothing_left()


def test_packet_socket_on_a_veth():
    with Lab(driver="af_packet") as lab:
        exchange(lab)


def test_two_workers():
    with Lab(lcores="0,1") as lab:
        exchange(lab)
        polled = [worker["rx_packets"] for worker in lab.counters_by_worker()]
        check_equal(len(polled), 2, "workers")
        opened = [worker["tcp_passive_open"] for worker in lab.counters_by_worker()]
        check(all(opened), f"both workers own connections: {opened}")


def test_two_workers_one_queue():
    """A packet socket has one queue here, so packets are handed over."""
    with Lab(driver="af_packet", lcores="0,1") as lab:
        exchange(lab)
        check(lab.counter("steered_in") > 0, "packets went from worker to worker")
        check_equal(lab.counter("steered_in"), lab.counter("steered_out"), "and none got lost")
        opened = [worker["tcp_passive_open"] for worker in lab.counters_by_worker()]
        check(all(opened), f"both workers own connections: {opened}")


def test_small_mtu():
    with Lab(config={"port0": {"mtu": "600"}}) as lab:
        run("ip", "link", "set", "leat0", "mtu", "600")
        transfer_in(lab, 32 * MIB)
        transfer_out(lab, 32 * MIB)


def test_loss():
    with Lab(driver="af_packet", loss_percent=1) as lab:
        transfer_in(lab, 32 * MIB)
        transfer_out(lab, 32 * MIB)
        check(lab.counter("tcp_out_of_order") > 0, "segments came out of order")
        check(lab.counter("tcp_fast_retransmit") > 0, "segments were sent again")
        lab.expect_nothing_left()


def test_two_daemons():
    """leat to leat over a link: one leatd on each end of a veth."""
    with Lab(driver="af_packet") as lab, \
            Lab(driver="af_packet", beside=lab, address="198.18.0.3") as other:
        content = os.urandom(64 * MIB)
        path = os.path.join(lab.directory, "file")
        copy = os.path.join(lab.directory, "copy")
        with open(path, "wb") as out:
            out.write(content)
        lab.server("leat-echo", PORT)
        with open(path, "rb") as source, open(copy, "wb") as sink:
            other.application("leat-nc", STACK, PORT, stdin=source, stdout=sink).finish(60)
        with open(copy, "rb") as got:
            check(got.read() == content, "the echo is whole")
        lab.expect_nothing_left(applications=1, listeners=1)
        other.expect_nothing_left()
