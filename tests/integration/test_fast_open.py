# SPDX-License-Identifier: BSD-3-Clause
"""TCP Fast Open between leat and the Linux stack, which counts what really went with a SYN."""

import os
import socket

from harness import (BUILD, KERNEL, STACK, Lab, Thread, check_equal, listen, receive_all, run,
                     wait_for)
from test_interop import sysctl
from test_traffic import PORT

TCP_FASTOPEN = 23
TEXT = "request of some length"
BOTH = {"leatd": {"fast_open": "both"}}
LIMIT = 16


def linux_counter(name):
    """Of the namespace the test is in: TcpExt's."""
    with open("/proc/thread-self/net/netstat", encoding="ascii") as netstat:
        names, values = [line.split() for line in netstat if line.startswith("TcpExt:")]
    return int(values[names.index(name)])


def linux_requests(text):
    """The answer to a connection that Linux opens with MSG_FASTOPEN."""
    with socket.socket() as sock:
        # Python's own timeouts would make it one that does not block.
        sock.sendto(text.encode(), socket.MSG_FASTOPEN, (STACK, PORT))
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(20)
        return receive_all(sock).decode()


def linux_serves(listener, count):
    """Echoes all that each of so many connections says."""
    for _ in range(count):
        sock, _ = listener.accept()
        with sock:
            sock.sendall(receive_all(sock))


def leat_requests(lab, how, text=TEXT):
    """What fast_open prints of one connection."""
    return run(os.path.join(BUILD, "tests/integration/fast_open"), how, KERNEL, PORT, text,
               env={**os.environ, "LEAT_SOCKET": lab.socket}).strip()


def start_server(lab):
    lab.program("fast_open", "serve", STACK, PORT)
    wait_for(lambda: lab.listening(PORT), 10, "fast_open serves")


def expect_linux_opens_fast(lab, count):
    """After one connection for the cookie."""
    check_equal(linux_requests(TEXT), TEXT, "the first answer")
    check_equal(lab.counter("tcp_fastopen_asked"), 1, "cookies asked for")
    check_equal(linux_counter("TCPFastOpenActive"), 0, "Linux has no cookie yet")
    for i in range(count):
        check_equal(linux_requests(f"{TEXT} {i}"), f"{TEXT} {i}", "an answer")
    check_equal(linux_counter("TCPFastOpenActive"), count, "leat took the data of the SYN")
    check_equal(linux_counter("TCPFastOpenActiveFail"), 0, "data that leat did not take")
    check_equal(lab.counter("tcp_fastopen_passive"), count, "connections in use from their SYN on")
    check_equal(lab.counter("tcp_retransmit"), 0, "segments sent again")


def test_linux_opens_fast():
    with Lab(config=BOTH) as lab:
        sysctl("tcp_fastopen", 1)
        start_server(lab)
        expect_linux_opens_fast(lab, 10)
        lab.expect_nothing_left(applications=1, listeners=1)


def test_linux_opens_fast_at_any_worker():
    with Lab(config=BOTH, lcores="0,1") as lab:
        sysctl("tcp_fastopen", 1)
        start_server(lab)
        expect_linux_opens_fast(lab, 20)
        opened = [c["tcp_fastopen_passive"] for c in lab.counters_by_worker()]
        check_equal(min(opened) > 0, True, f"each worker had some: {opened}")


def test_a_server_that_leat_is_not_configured_for():
    with Lab() as lab:
        sysctl("tcp_fastopen", 1)
        start_server(lab)
        for _ in range(2):
            check_equal(linux_requests(TEXT), TEXT, "the answer")
        check_equal(linux_counter("TCPFastOpenActive"), 0, "opened fast")


def test_leat_opens_fast():
    for how in ("send", "connect"):
        with Lab() as lab:
            sysctl("tcp_fastopen", 2)
            listener = listen(PORT)
            listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, LIMIT)
            serving = Thread(linux_serves, listener, 4)
            check_equal(leat_requests(lab, how), f"{TEXT} after the SYN", "the first answer")
            check_equal(linux_counter("TCPFastOpenCookieReqd"), 1, "cookies asked for")
            for _ in range(2):
                check_equal(leat_requests(lab, how), f"{TEXT} in the SYN", "an answer")
            long = "x" * 5000  # more than the SYN holds
            check_equal(leat_requests(lab, how, long)[-10:], "in the SYN", "the last answer")
            serving.result_within(20)
            check_equal(linux_counter("TCPFastOpenPassive"), 3, "Linux took the data of the SYN")
            check_equal(lab.counter("tcp_fastopen_active"), 3, "leat says so")
            check_equal(lab.counter("tcp_retransmit"), 0, "segments sent again")
            listener.close()
            lab.expect_nothing_left()


def test_a_linux_that_forgot_its_key():
    """It takes the connection, not the data, and gives another cookie."""
    with Lab() as lab:
        sysctl("tcp_fastopen", 2)
        listener = listen(PORT)
        listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, LIMIT)
        serving = Thread(linux_serves, listener, 3)
        leat_requests(lab, "send")
        sysctl("tcp_fastopen_key", "11111111-22222222-33333333-44444444")
        check_equal(leat_requests(lab, "send"), f"{TEXT} after the SYN", "with the old cookie")
        check_equal(leat_requests(lab, "send"), f"{TEXT} in the SYN", "with the new one")
        serving.result_within(20)
        check_equal(lab.counter("tcp_fastopen_active_fail"), 1, "data that Linux did not take")
        listener.close()


def drop_syns_with_data():
    """Like some middleboxes: what leat sends with SYN must have a bare header's length."""
    run("nft", "-f", "-", input="""table ip box {
        chain input {
            type filter hook input priority -150
            tcp flags syn / syn,ack ip length > 64 drop
        }
    }""")


def test_a_path_that_loses_such_syns():
    with Lab() as lab:
        sysctl("tcp_fastopen", 2)
        listener = listen(PORT)
        listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, LIMIT)
        serving = Thread(linux_serves, listener, 3)
        leat_requests(lab, "send")
        drop_syns_with_data()
        check_equal(leat_requests(lab, "send"), f"{TEXT} after the SYN", "with a SYN sent again")
        check_equal(lab.counter("tcp_rto"), 1, "timeouts")
        check_equal(leat_requests(lab, "send"), f"{TEXT} after the SYN", "without Fast Open")
        check_equal(lab.counter("tcp_rto"), 1, "timeouts, still")
        check_equal(lab.counter("tcp_fastopen_blocked"), 1, "it is not tried for a while")
        serving.result_within(20)
        listener.close()
