# SPDX-License-Identifier: BSD-3-Clause
"""Programs with the stack inside: no leatd, the same programs and calls."""

import contextlib
import os
import signal
import socket

from harness import (BUILD, KERNEL, STACK, Lab, Thread, check, check_equal, connect, listen,
                     receive_all, run, wait_for)
from test_http import PORT as HTTP_PORT, Client, make_root
from test_many import short_connections
from test_traffic import PORT

MIB = 1 << 20


@contextlib.contextmanager
def inline_lab(name, *arguments, **options):
    """A lab whose stack is in the program; it must end well on SIGTERM and leave nothing behind."""
    with Lab(start=False, **options) as lab:
        lab.make_link()
        root, big = make_root(lab.directory)
        lab.big = big
        if name == "leat-http":
            process = lab.start_inline(name, HTTP_PORT, "--root", root, *arguments)
        else:
            process = lab.start_inline(name, PORT, *arguments)
        yield lab
        lab.leatd.signal(signal.SIGTERM)
        process.finish(5)
        expect_no_files(lab)


def expect_no_files(lab):
    left = [name for name in os.listdir(lab.directory) if name.startswith("leatd.sock")]
    check_equal(left, [], "files of its socket")
    check(not os.path.exists(os.path.join("/var/run/dpdk", lab.prefix)), "EAL's directory is gone")


def echo(mebibytes):
    """Sends and receives that much at the same time; what comes back is what went there."""
    content = os.urandom(MIB) * mebibytes
    with connect(PORT, 60) as client:
        sender = Thread(lambda: (client.sendall(content), client.shutdown(socket.SHUT_WR)))
        check(receive_all(client) == content, f"{mebibytes} MiB come back as they were sent")
        sender.result_within(60)


def opened(lab):
    return [worker["tcp_passive_open"] for worker in lab.counters_by_worker()]


def expect_own_connections_only(lab):
    """Each of the two workers has had connections, and one listener: its own loop's, so nothing is
    offered to the other's."""
    check(all(opened(lab)), f"both workers own connections: {opened(lab)}")
    check_equal(lab.count_socks("LISTEN"), 2, "listeners")


def test_echo():
    with inline_lab("leat-echo") as lab:
        run("ping", "-c", "3", "-i", "0.01", "-W", "2", STACK)
        echo(10)
        threads = [Thread(short_connections, 200, i % 2 == 0) for i in range(4)]
        for thread in threads:
            thread.result_within(60)
        check_equal(lab.info()["applications"], 1, "applications: the program itself")


def test_echo_on_a_packet_socket():
    with inline_lab("leat-echo", driver="af_packet"):
        echo(10)


def test_echo_on_two_workers():
    """Two queues: the kernel spreads connections over them, and each worker has a listener."""
    with inline_lab("leat-echo", lcores="0,1") as lab:
        echo(10)
        clients = [connect(PORT) for _ in range(100)]
        for client in clients:
            client.sendall(b"x" * 1000)
        for client in clients:
            check_equal(len(receive_all(client, 1000)), 1000, "the echo")
            client.close()
        expect_own_connections_only(lab)


def test_http_on_two_workers_one_queue():
    """Packets are handed from worker to worker; connections stay where they are."""
    with inline_lab("leat-http", driver="af_packet", lcores="0,1") as lab:
        for _ in range(40):
            client = Client()
            check_equal(client.get("/hello.txt")[2], b"hello", "a small file")
            check(client.get("/big")[2] == lab.big, "a big file")
            client.close()
        check(lab.counter("steered_in") > 0, "packets went from worker to worker")
        expect_own_connections_only(lab)


def test_http():
    with inline_lab("leat-http", "--timeout", "1") as lab:
        client = Client()
        silent = Client()
        check_equal(client.get("/hello.txt")[2], b"hello", "a small file")
        check(client.get("/big")[2] == lab.big, "a big file")
        check_equal(client.get("/missing")[0], 404, "a missing file")
        # Nothing arrives, and yet the loop is called and sees that time passed.
        check(silent.at_end(), "a silent connection is closed")
        wait_for(lambda: not lab.count_socks("ESTABLISHED"), 5, "all connections end")
        silent.close()
        client.close()


def test_udp_in_calls_that_wait():
    """Each worker has a socket at the same port, and hears the datagrams steered to it."""
    for lcores in ("0", "0,1"):
        with inline_lab("leat-echo", "--udp", lcores=lcores) as lab:
            for length in [1, 100, 1472] * 10:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.settimeout(5)
                    client.connect((STACK, PORT))
                    content = os.urandom(length)
                    client.send(content)
                    check(client.recv(2000) == content, f"{length} bytes come back")
            counts = [worker["udp_tx"] for worker in lab.counters_by_worker()]
            check(all(counts), f"every worker answered: {counts}")


def echo_server():
    """The Linux stack's: sends back what each connection brings, until the listener is closed."""
    listener = listen(PORT, address="0.0.0.0")

    def serve(connection):
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                Thread(serve, listener.accept()[0])

    Thread(accept)
    return listener


def test_both_interfaces_and_an_ordinary_thread():
    """Connections out stay on their worker, over completions as well; and nobody waits for a lock
    whose holder waits for his worker."""
    for driver in ("tap", "af_packet"):
        with Lab(start=False, driver=driver, lcores="0,1") as lab, echo_server():
            lab.make_link()
            lab.start_with_stack(
                [os.path.join(BUILD, "tests/integration/inline_calls")], [KERNEL, PORT, PORT + 1])
            wait_for(lambda: lab.says("serving", 3), 30,
                     "two workers and a thread are done with their connections")
            content = os.urandom(8000)
            for _ in range(50):
                with connect(PORT + 1) as client:
                    client.sendall(content)
                    check(receive_all(client, len(content)) == content, "the echo")
            lab.leatd.signal(signal.SIGTERM)
            lab.leatd.finish(5)


def test_idle_worker_sleeps():
    with inline_lab("leat-echo") as lab:
        def cpu():
            with open(f"/proc/{lab.leatd.pid}/stat", encoding="utf-8") as stat:
                return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))

        slept = lab.counter("sleeps")
        wait_for(lambda: lab.counter("sleeps") > slept + 100, 5, "it sleeps over and over")
        before = cpu()
        wait_for(lambda: lab.counter("sleeps") > slept + 1000, 10, "and goes on")
        check(cpu() - before < 50, "at little cost")
        echo(1)


def test_other_processes_attach():
    """A program that serves applications beside its own loop."""
    with inline_lab("leat-echo", lcores="0,1") as lab:
        lab.server("leat-http", HTTP_PORT, "--root", os.path.join(lab.directory, "root"))
        got = run("curl", "-sS", "--fail", f"http://{STACK}:{HTTP_PORT}/hello.txt")
        check_equal(got, "hello", "the file")
        check_equal(lab.info()["applications"], 2, "applications")
        echo(10)


def test_nobody_else_attaches_without_a_socket():
    config = {"leatd": {"socket": "none"}}
    with inline_lab("leat-echo", config=config) as lab:
        echo(10)
        check(not os.path.exists(lab.socket), "no socket")
        client = lab.application("leat-nc", KERNEL, PORT)
        check(client.wait(5) != 0, "an application finds no daemon")


def test_what_is_wrong_is_said():
    """And nothing is left behind, however far it got."""
    with Lab(start=False) as lab:
        config = lab.write_config()
        without_device = lab.eal_arguments()[:-1]
        for arguments, status, words in (
                ([], 1, "needs: EAL-ARGS -- --config FILE"),
                (["-l", "0", "--config", config], 1, "needs: EAL-ARGS -- --config FILE"),
                (["-l", "0", "--", "--config", "/missing"], 1, "/missing"),
                (["--no-such-option", "--", "--config", config], 1, "EAL refused"),
                ([*without_device, "--", "--config", config], 1, "there is no DPDK device"),
                ([*lab.eal_arguments(), "--", "--config", config], 2, "usage: leat-echo")):
            process = lab.application("leat-echo", "--inline", *arguments)
            check_equal(process.wait(20), status, f"status with {arguments}")
            check(words in process.output(), f"{words!r} in {process.output()!r}")
            expect_no_files(lab)


def test_two_stacks_at_one_socket():
    """The second one is refused, and harms the first one not."""
    with inline_lab("leat-echo", driver="af_packet") as lab:
        eal = [a.replace(lab.prefix, lab.prefix + "-2") for a in lab.eal_arguments()]
        with lab.outside:
            process = lab.application("leat-echo", "--inline", *eal, "--", "--config",
                                      lab.write_config(), "--listen", f"{STACK}:{PORT + 1}")
        check_equal(process.wait(20), 1, "its status")
        check("another leatd serves" in process.output(), process.output())
        check(not os.path.exists(f"/var/run/dpdk/{lab.prefix}-2"), "EAL's directory is gone")
        echo(1)


def test_stops_while_it_is_busy():
    """SIGTERM in the middle of a transfer: the peer learns of it, and the program ends."""
    for name, port in (("leat-echo", PORT), ("leat-http", HTTP_PORT)):
        with inline_lab(name, lcores="0,1"):
            clients = [connect(port) for _ in range(20)]
            for client in clients:
                client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
                check(client.recv(1), "the answer begins")
        for client in clients:
            with contextlib.suppress(ConnectionError):
                receive_all(client)
            client.close()
