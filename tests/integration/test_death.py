# SPDX-License-Identifier: BSD-3-Clause
"""Applications and daemons that end at the worst moment, and peers that vanish."""

import contextlib
import os
import signal
import socket
import subprocess
import time

from harness import (KERNEL, STACK, Lab, Thread, check, check_equal, connect, listen, run,
                     wait_for)

PORT = 7000


def drain(sock):
    """Receives until the end; True: it was reset."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False


def pump(sock, stop):
    with contextlib.suppress(OSError):
        while not stop:
            sock.sendall(b"x" * 65536)


def test_application_killed_fifty_times():
    """SIGKILL in the middle of transfers both ways: nothing leaks."""
    with Lab() as lab:
        before = lab.usage()
        for turn in range(50):
            server = lab.server("leat-echo", PORT)
            clients = [connect(PORT) for _ in range(4)]
            stop = []
            pumps = [Thread(pump, client, stop) for client in clients]
            for client in clients:
                check(client.recv(1 << 16), "data flows")
            server.kill()
            for client, thread in zip(clients, pumps):
                drain(client)
                stop.append(True)
                client.close()
                thread.result_within(10)
            lab.expect_nothing_left()
            wait_for(lambda: lab.usage() == before, 5,
                     f"after kill {turn + 1} as much is in use as before: {before}")


def test_killed_with_unread_data_resets():
    with Lab() as lab:
        # Nobody reads leat-nc's output, so it stops reading too.
        application = lab.application("leat-nc", "-l", STACK, PORT, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        wait_for(lambda: lab.listening(PORT), 10, "leat-nc listens")
        client = connect(PORT)
        client.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                client.send(b"x" * 65536)
        application.kill()
        client.settimeout(5)
        check(drain(client), "as under Linux, unread data means RST")
        client.close()
        lab.expect_nothing_left()


def test_killed_without_unread_data_ends():
    with Lab() as lab:
        application = lab.application("leat-nc", "-l", STACK, PORT, stdin=subprocess.PIPE)
        wait_for(lambda: lab.listening(PORT), 10, "leat-nc listens")
        client = connect(PORT)
        application.stdin.write(b"hello")
        application.stdin.flush()
        check_equal(client.recv(5), b"hello", "it is connected")
        application.kill()
        check_equal(drain(client), False, "else FIN")
        client.close()
        lab.expect_nothing_left()


def test_daemon_killed():
    """Applications in every kind of call end with an error within a second."""
    with Lab() as lab:
        listener = listen(PORT + 1)
        echo = lab.server("leat-echo", PORT)  # epoll_wait
        udp = lab.server("leat-echo", PORT, "--udp")  # recvfrom
        accepting = lab.application("leat-nc", "-l", STACK, PORT + 2)  # accept
        sending = lab.application("leat-nc", KERNEL, PORT + 1, stdin=subprocess.PIPE)
        peer, _ = listener.accept()
        stop = []
        with contextlib.suppress(BlockingIOError):
            os.set_blocking(sending.stdin.fileno(), False)
            while True:  # until the whole way is full: blocked in send, and in recv
                os.write(sending.stdin.fileno(), b"x" * 65536)
                time.sleep(0.001)
        client = connect(PORT)
        pumping = Thread(pump, client, stop)
        check(client.recv(1 << 16), "data flows")
        wait_for(lambda: lab.listening(PORT + 2), 10, "leat-nc listens")

        lab.leatd.kill()
        killed = time.monotonic()
        for process in (echo, udp, accepting, sending):
            status = process.wait(5)
            check(status != 0, f"{process.name} ends with an error")
            check(status > 0, f"{process.name} ends by itself, not by signal {-status}")
        took = time.monotonic() - killed
        check(took < 1, f"within a second: {took:.2f} s")
        stop.append(True)
        client.shutdown(socket.SHUT_RDWR)
        client.close()
        peer.close()
        listener.close()
        pumping.result_within(10)


def test_no_daemon():
    with Lab() as lab:
        lab.leatd.signal(signal.SIGTERM)
        lab.leatd.finish(5)
        for arguments in (("leat-echo", "--listen", f"{STACK}:{PORT}"), ("leat-nc", STACK, PORT)):
            application = lab.application(*arguments)
            check_equal(application.wait(10), 1, "status")
            check("leatd" in application.output(), f"what to do is said: {application.output()}")


def test_daemon_again():
    """Ended and started again at the same socket, even after a kill."""
    with Lab() as lab:
        for number in (signal.SIGTERM, signal.SIGKILL):
            lab.stop_leatd(number)
            lab.start_leatd()
            server = lab.server("leat-echo", PORT)
            client = connect(PORT)
            client.sendall(b"hello")
            check_equal(client.recv(5), b"hello", "it serves again")
            client.close()
            server.kill()


def test_sigterm_leaves_nothing():
    with Lab() as lab:
        lab.server("leat-echo", PORT)
        client = connect(PORT)
        client.sendall(b"hello")
        check_equal(client.recv(5), b"hello", "a connection is open")
        start = time.monotonic()
        lab.leatd.signal(signal.SIGTERM)
        lab.leatd.finish(5)
        took = time.monotonic() - start
        check(took < 2, f"stops within 2 s: {took:.2f} s")
        check(not os.path.exists(lab.socket), "its socket is gone")
        check(not os.path.exists(f"/var/run/dpdk/{lab.prefix}"), "DPDK's folder is gone")
        check("leat0" not in run("ip", "link"), "the tap is gone")
        client.close()


def test_peer_vanishes():
    """The link goes down in the middle; and one connects to an address that nobody has."""
    with Lab() as lab:
        listener = listen(PORT)
        sending = lab.program("give_up", KERNEL, PORT, 3000, stdout=subprocess.PIPE)
        peer, _ = listener.accept()
        check(peer.recv(1 << 16), "data flows")
        run("ip", "link", "set", "leat0", "down")
        start = time.monotonic()
        sending.finish(20)
        took = time.monotonic() - start
        check(took < 15, f"given up after {took:.1f} s")
        words = sending.stdout.read().decode().strip()
        check(words in ("Connection timed out", "No route to host"), f"the error: {words}")
        connecting = lab.application("leat-nc", "198.18.0.99", PORT)
        check(connecting.wait(20) != 0 and "No route to host" in connecting.output(),
              f"a connection to nobody does not come about: {connecting.output()}")
        peer.close()
        listener.close()
        lab.expect_nothing_left()


def test_stopped_application_disturbs_nobody():
    with Lab() as lab:
        stopped = lab.server("leat-echo", PORT)
        lab.server("leat-echo", PORT + 1)
        victim = connect(PORT)
        stop = []
        pumping = Thread(pump, victim, stop)
        check(victim.recv(1 << 16), "data flows")
        stopped.signal(signal.SIGSTOP)
        client = connect(PORT + 1)
        for i in range(2000):
            client.sendall(b"hello")
            check_equal(client.recv(5), b"hello", "the other application goes on")
        stopped.signal(signal.SIGCONT)
        check(victim.recv(1 << 16), "and so does the stopped one")
        stop.append(True)
        victim.shutdown(socket.SHUT_RDWR)
        victim.close()
        client.close()
        pumping.result_within(10)
        lab.expect_nothing_left(applications=2, listeners=2)
