# SPDX-License-Identifier: BSD-3-Clause
"""Traffic between leat and the Linux stack."""

import contextlib
import hashlib
import os
import socket
import struct
import subprocess

from harness import (KERNEL, STACK, Lab, Thread, check, check_equal, connect, listen, receive_all,
                     run, wait_for)

PORT = 7000
GIB = 1 << 30
BLOCK = os.urandom(1 << 20)


def blocks(total):
    """`total` bytes in blocks that all differ from one another."""
    for i in range(total // len(BLOCK)):
        yield struct.pack("<Q", i) + BLOCK[8:]


def digest_of(total):
    digest = hashlib.blake2b()
    for block in blocks(total):
        digest.update(block)
    return digest.hexdigest()


def digest_from(read):
    """(digest, size) of what read(n) gives until it gives nothing."""
    digest = hashlib.blake2b()
    size = 0
    while (part := read(1 << 18)):
        digest.update(part)
        size += len(part)
    return digest.hexdigest(), size


def write_blocks(write, total):
    for block in blocks(total):
        write(block)


def transfer_in(lab, total, seconds=60, congestion=None):
    """The Linux stack sends, with such a congestion control, an application on leat receives."""
    receiver = lab.application("leat-nc", "-l", STACK, PORT, stdout=subprocess.PIPE)
    wait_for(lambda: lab.listening(PORT), 10, "leat-nc listens")
    reading = Thread(digest_from, receiver.stdout.read)
    sender = connect(PORT)
    sender.settimeout(seconds)
    if congestion is not None:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    write_blocks(sender.sendall, total)
    sender.shutdown(socket.SHUT_WR)
    check_equal(reading.result_within(seconds), (digest_of(total), total), "what arrived")
    receiver.finish()
    sender.close()


def transfer_out(lab, total, seconds=60, address=KERNEL, namespace=None):
    """An application on leat sends, the Linux stack at that address receives."""
    with namespace or contextlib.nullcontext():
        listener = listen(PORT, address=address)
    sender = lab.application("leat-nc", address, PORT, stdin=subprocess.PIPE)
    receiver, _ = listener.accept()
    receiver.settimeout(seconds)
    reading = Thread(digest_from, receiver.recv)
    write_blocks(sender.stdin.write, total)
    sender.stdin.close()
    check_equal(reading.result_within(seconds), (digest_of(total), total), "what arrived")
    receiver.close()
    sender.finish()
    listener.close()


def test_ping():
    with Lab() as lab:
        run("ping", "-c", "20", "-i", "0.01", "-W", "2", STACK)
        run("ping", "-c", "5", "-i", "0.01", "-s", "1400", "-W", "2", STACK)
        check_equal(lab.counter("icmp_echo"), 25, "echo requests answered")


def test_gibibyte_in():
    with Lab() as lab:
        transfer_in(lab, GIB)
        lab.expect_nothing_left()


def test_gibibyte_out():
    with Lab() as lab:
        transfer_out(lab, GIB)
        lab.expect_nothing_left()


def test_both_directions_at_once():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        total = 64 << 20
        client = connect(PORT)
        client.settimeout(60)
        reading = Thread(digest_from, client.recv)
        write_blocks(client.sendall, total)
        client.shutdown(socket.SHUT_WR)
        check_equal(reading.result_within(60), (digest_of(total), total), "the echo")
        client.close()


def test_half_close_by_the_client():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        client = connect(PORT)
        client.sendall(b"x" * 100000)
        client.shutdown(socket.SHUT_WR)
        check_equal(len(receive_all(client)), 100000, "all comes back after our end")
        client.close()
        lab.expect_nothing_left(applications=1, listeners=1)


def test_half_close_by_the_application():
    with Lab() as lab:
        listener = listen(PORT)
        sender = lab.application("leat-nc", KERNEL, PORT, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        peer, _ = listener.accept()
        sender.stdin.write(b"question")
        sender.stdin.close()
        check_equal(receive_all(peer), b"question", "until its end")
        peer.sendall(b"answer" * 10000)
        peer.close()
        check_equal(sender.stdout.read(), b"answer" * 10000, "the other direction goes on")
        sender.finish()
        listener.close()


def test_both_close_at_once():
    with Lab() as lab:
        listener = listen(PORT)
        for _ in range(50):
            application = lab.application("leat-nc", KERNEL, PORT)
            peer, _ = listener.accept()
            peer.close()
            application.finish()
        listener.close()
        lab.expect_nothing_left()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_reset_by_the_peer():
    with Lab() as lab:
        listener = listen(PORT)
        application = lab.application("leat-nc", KERNEL, PORT, stdin=subprocess.PIPE)
        peer, _ = listener.accept()
        reset(peer)
        check(application.wait(10) != 0, "leat-nc ends with an error")
        check("reset" in application.output(), f"and says so: {application.output()}")
        check(lab.counter("tcp_rx_rst") >= 1, "the RST is counted")
        listener.close()
        lab.expect_nothing_left()


def test_reset_of_what_waits_for_accept():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        for _ in range(200):
            reset(connect(PORT))
        client = connect(PORT)
        client.sendall(b"still there")
        check_equal(receive_all(client, 11), b"still there", "the echo")
        client.close()
        lab.expect_nothing_left(applications=1, listeners=1)


def test_refused():
    with Lab() as lab:
        application = lab.application("leat-nc", KERNEL, PORT)
        check(application.wait(10) != 0, "leat-nc ends with an error")
        check("refused" in application.output(), application.output())
        try:
            connect(PORT)
            check(False, "nobody listens on leat's port")
        except ConnectionRefusedError:
            pass
        lab.expect_nothing_left()


def test_udp_in():
    with Lab() as lab:
        lab.server("leat-echo", PORT, "--udp")
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(5)
        client.connect((STACK, PORT))
        for size in [0, 1, 2, 3, 500, 1471, 1472] + [64] * 1000:
            datagram = os.urandom(size)
            client.send(datagram)
            check(client.recv(65536) == datagram, f"{size} bytes come back as they were")
        client.close()


def test_udp_out():
    with Lab() as lab:
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind((KERNEL, PORT))
        peer.settimeout(5)
        application = lab.application("leat-nc", "-u", KERNEL, PORT, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        for size in (1, 100, 1400):
            sent = os.urandom(size)
            application.stdin.write(sent)
            application.stdin.flush()
            got, address = peer.recvfrom(65536)
            check_equal(got, sent, "a datagram")
            peer.sendto(got[::-1], address)
            check_equal(application.stdout.read1(65536), sent[::-1], "its answer")
        # Nobody listens any more: the connected sock learns of it.
        peer.close()
        application.stdin.write(b"x")
        application.stdin.flush()
        check(application.wait(10) != 0 and "refused" in application.output(),
              f"port unreachable is told: {application.output()}")


def test_udp_out_in_pieces():
    """MSG_MORE and UDP_CORK make one datagram of many."""
    with Lab() as lab:
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind((KERNEL, PORT))
        peer.settimeout(5)
        application = lab.program("dialogue", "-u", KERNEL, PORT, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        application.stdin.write(b"more ab\nmore cd\nsend ef\nsend gh\n"
                                b"cork 1\nsend ij\nmore kl\ncork 0\nsend mn\n")
        application.stdin.flush()
        for expected in (b"abcdef", b"gh", b"ijkl", b"mn"):
            check_equal(peer.recv(65536), expected, "a datagram")
        application.stdin.close()
        application.finish()
        peer.close()


def test_udp_to_nobody_is_unreachable():
    with Lab() as lab:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(5)
        client.connect((STACK, PORT))
        client.send(b"x")
        try:
            client.recv(1)
            check(False, "no answer can come")
        except ConnectionRefusedError:
            pass
        check_equal(lab.counter("udp_no_sock"), 1, "counted")
        client.close()
