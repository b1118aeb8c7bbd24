# SPDX-License-Identifier: BSD-3-Clause
"""Many connections, several applications, several processes."""

import os
import selectors
import socket
import subprocess

from harness import (STACK, Lab, Thread, check, check_equal, connect, receive_all, wait_for)

PORT = 7000


def test_thousand_at_once():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        clients = [connect(PORT) for _ in range(1000)]
        wait_for(lambda: lab.count_socks("ESTABLISHED") == 1000, 10, "1,000 are established")
        for turn in range(3):
            for i, client in enumerate(clients):
                client.sendall(f"{turn} {i}".encode().ljust(100))
            for i, client in enumerate(clients):
                check_equal(receive_all(client, 100), f"{turn} {i}".encode().ljust(100),
                            "each gets its own")
        for client in clients:
            client.close()
        lab.expect_nothing_left(applications=1, listeners=1)


def test_thousand_with_bulk():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        message = os.urandom(30000)
        selector = selectors.DefaultSelector()
        for _ in range(1000):
            client = connect(PORT)
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE,
                              {"sent": 0, "got": bytearray()})
        while selector.get_map():
            for key, events in selector.select(10) or check(False, "it goes on"):
                state = key.data
                if events & selectors.EVENT_WRITE:
                    state["sent"] += key.fileobj.send(message[state["sent"]:])
                    if state["sent"] == len(message):
                        selector.modify(key.fileobj, selectors.EVENT_READ, state)
                if events & selectors.EVENT_READ:
                    part = key.fileobj.recv(65536)
                    check(part, "no connection ends early")
                    state["got"] += part
                    if len(state["got"]) == len(message):
                        check(state["got"] == message, "the echo")
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
        lab.expect_nothing_left(applications=1, listeners=1)


def short_connections(count, client_ends_first):
    for _ in range(count):
        client = connect(PORT)
        client.sendall(b"hello")
        check_equal(receive_all(client, 5), b"hello", "the echo")
        if not client_ends_first:
            client.shutdown(socket.SHUT_WR)
            check_equal(client.recv(1), b"", "the end")
        client.close()


def test_twenty_thousand_short():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        threads = [Thread(short_connections, 5000, i % 2 == 0) for i in range(4)]
        for thread in threads:
            thread.result_within(90)
        check_equal(lab.counter("tcp_passive_open"), 20000, "connections accepted")
        lab.expect_nothing_left(applications=1, listeners=1)


def test_short_connections_out():
    """leat opens them and ends first, so its own ports and TIME_WAIT are used up."""
    with Lab() as lab:
        listener = socket.create_server(("198.18.0.1", PORT), backlog=1024)

        def serve():
            while True:
                peer, _ = listener.accept()
                receive_all(peer)
                peer.close()

        Thread(serve)
        client = lab.program("connect_many", "198.18.0.1", PORT, 5000)
        client.finish(60)
        check_equal(lab.counter("tcp_active_open"), 5000, "connections opened")
        listener.close()
        lab.expect_nothing_left()


def test_two_applications():
    with Lab() as lab:
        path = os.path.join(lab.directory, "root")
        os.mkdir(path)
        content = os.urandom(8 << 20)
        with open(os.path.join(path, "file"), "wb") as out:
            out.write(content)
        lab.server("leat-http", PORT, "--root", path)
        lab.server("leat-echo", PORT + 1)
        other = lab.application("leat-echo", "--listen", f"{STACK}:{PORT}")
        check(other.wait(10) != 0 and "in use" in other.output(), "a port has one owner")

        def fetch():
            for _ in range(20):
                client = connect(PORT)
                client.sendall(b"GET /file HTTP/1.0\r\n\r\n")
                check(receive_all(client).endswith(content), "the file is whole")
                client.close()

        def echo():
            client = connect(PORT + 1)
            for i in range(5000):
                message = str(i).encode()
                client.sendall(message)
                check_equal(receive_all(client, len(message)), message, "the echo")
            client.close()

        for thread in (Thread(fetch), Thread(echo)):
            thread.result_within(60)
        lab.expect_nothing_left(applications=2, listeners=2)


def test_one_wake_up_for_each_connection():
    """Four processes that forked after listen are all blocked in accept."""
    with Lab() as lab:
        program = lab.program("accept_fork", STACK, PORT, 4, 1000, stdout=subprocess.PIPE)
        check_equal(program.stdout.readline(), b"ready\n", "it listens")
        served = [0] * 4
        for _ in range(1000):
            client = connect(PORT)
            served[client.recv(1)[0]] += 1
            client.close()
        program.finish()
        # Each process' line: connections, times it went to sleep in accept, times it came back
        # from accept without a connection.
        rows = [tuple(map(int, line.split())) for line in program.stdout.read().splitlines()]
        check_equal(len(rows), 4, "every process reports")
        check_equal(sorted(row[0] for row in rows), sorted(served), "connections taken")
        check_equal(sum(row[0] for row in rows), 1000, "connections taken")
        check_equal(sum(row[2] for row in rows), 0, "wake-ups without a connection")
        sleeps = sum(row[1] for row in rows)
        check(sleeps <= 1000 + 4, f"{sleeps} wake-ups for 1,000 connections")
        check(all(served), f"all of them get connections: {served}")
