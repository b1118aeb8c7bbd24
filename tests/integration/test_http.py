# SPDX-License-Identifier: BSD-3-Clause
"""leat-http as its clients see it."""

import contextlib
import os
import re
import socket
import time

from harness import Lab, STACK, check, check_equal, connect, receive_all, run, wait_for

PORT = 8080
BIG = 3 * 1024 * 1024 + 17


def make_root(directory):
    """A tree with one of everything; its path, and the bytes of its big file."""
    root = os.path.join(directory, "root")
    os.makedirs(os.path.join(root, "dir"))
    big = os.urandom(BIG)
    files = {
        "../secret": b"not for you",
        "index.html": b"<p>root</p>",
        "hello.txt": b"hello",
        "empty.txt": b"",
        "dir/index.html": b"<p>dir</p>",
        "dir/a b+c.txt": b"spaces",
        "big": big,
    }
    for name, content in files.items():
        with open(os.path.join(root, name), "wb") as out:
            out.write(content)
    os.symlink("hello.txt", os.path.join(root, "inside"))
    os.symlink("../secret", os.path.join(root, "outside"))
    os.symlink("/etc/passwd", os.path.join(root, "absolute"))
    os.mkfifo(os.path.join(root, "fifo"))
    return root, big


@contextlib.contextmanager
def http_lab(*arguments):
    with Lab() as lab:
        root, big = make_root(lab.directory)
        lab.server("leat-http", PORT, "--root", root, *arguments)
        yield lab, big


class Client:
    """One connection that sends requests byte by byte as told and reads whole responses."""

    def __init__(self):
        self.socket = connect(PORT)
        self.file = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def response(self, body=True):
        """(status, {field: value}, body)"""
        line = self.file.readline().decode()
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [^\r\n]+\r\n", line)
        check(match, f"a status line, not {line!r}")
        fields = {}
        while (line := self.file.readline().decode().rstrip("\r\n")):
            name, value = line.split(": ", 1)
            fields[name.lower()] = value
        content = self.file.read(int(fields["content-length"])) if body else b""
        return int(match[1]), fields, content

    def get(self, target, *fields, method="GET"):
        lines = [f"{method} {target} HTTP/1.1", "Host: test", *fields, "", ""]
        self.send("\r\n".join(lines))
        return self.response(body=method != "HEAD")

    def at_end(self):
        return self.file.read() == b""

    def close(self):
        self.file.close()
        self.socket.close()


def status_of(request):
    """Of a request on a connection of its own, which the server must close afterwards."""
    client = Client()
    client.send(request)
    status, fields, _ = client.response()
    check_equal(fields["connection"], "close", f"Connection after {request[:40]!r}")
    check(client.at_end(), "the connection ends")
    client.close()
    return status


def test_files_and_paths():
    with http_lab() as (_, big):
        client = Client()
        for target, content in (("/", b"<p>root</p>"), ("/hello.txt", b"hello"),
                                ("/empty.txt", b""), ("/dir/", b"<p>dir</p>"),
                                ("/dir/a%20b+c.txt?query", b"spaces"), ("/inside", b"hello"),
                                ("/dir/../hello.txt", b"hello"), ("//hello.txt", b"hello"),
                                ("http://test/hello.txt", b"hello"), ("/big", big)):
            status, _, got = client.get(target)
            check_equal(status, 200, target)
            check(got == content, f"the content of {target}")
        for target in ("/missing", "/dir", "/fifo", "/hello.txt/", "/dir/missing"):
            check_equal(client.get(target)[0], 404, target)
        client.close()


def test_no_path_leads_outside():
    with http_lab():
        client = Client()
        for target in ("/../secret", "/%2e%2e/secret", "/dir/../../secret", "/..%2fsecret",
                       "/dir/%2e%2e%2f%2e%2e%2fsecret", "/outside", "/absolute", "//etc/passwd",
                       "/%2fetc/passwd", "/dir/../../root/../secret"):
            status, _, body = client.get(target)
            check(status in (403, 404), f"{target}: {status}")
            check(b"not for you" not in body and b"root:" not in body, f"{target} is not served")
        client.close()


def test_head_and_ranges():
    with http_lab() as (_, big):
        client = Client()
        status, fields, _ = client.get("/big", method="HEAD")
        check_equal((status, int(fields["content-length"])), (200, BIG), "HEAD")
        check_equal(fields["accept-ranges"], "bytes", "Accept-Ranges")
        for value, first, last in (("0-0", 0, 0), ("5-9", 5, 9), ("100-", 100, BIG - 1),
                                   ("-7", BIG - 7, BIG - 1), (f"-{BIG * 2}", 0, BIG - 1),
                                   (f"10-{BIG * 2}", 10, BIG - 1)):
            status, fields, body = client.get("/big", f"Range: bytes={value}")
            check_equal(status, 206, value)
            check_equal(fields["content-range"], f"bytes {first}-{last}/{BIG}", value)
            check(body == big[first:last + 1], f"the bytes of {value}")
        for value in (f"{BIG}-", "-0"):
            status, fields, _ = client.get("/big", f"Range: bytes={value}")
            check_equal(status, 416, value)
            check_equal(fields["content-range"], f"bytes */{BIG}", value)
        status, _, body = client.get("/hello.txt", "Range: bytes=0-1,3-4")
        check_equal((status, body), (200, b"hello"), "several ranges")
        client.close()


def test_bad_requests():
    with http_lab():
        host = "Host: a\r\n\r\n"
        for request, status in (
                ("GET / HTTP/1.1\r\n\r\n", 400), ("nonsense\r\n\r\n", 400),
                (f"GET /%zz HTTP/1.1\r\n{host}", 400), (f"POST / HTTP/1.1\r\n{host}", 405),
                (f"GET / HTTP/1.1\r\nContent-Length: 999999999\r\n{host}", 413),
                ("GET /" + "a" * 5000, 414), (f"GET / HTTP/1.1\r\nA: {'b' * 9000}", 431),
                (f"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{host}", 501),
                (f"GET / HTTP/3.0\r\n{host}", 505), (f"GET / HTTP/1.0\r\n{host}", 200)):
            check_equal(status_of(request), status, request[:40])


def test_keep_alive_and_pipelining():
    with http_lab() as (_, big):
        client = Client()
        one = "GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n"
        # With bodies to skip, an empty line to ignore, and large answers in between.
        client.send(one * 50 + "GET /big HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345\r\n"
                    + one * 50)
        answers = [client.response() for _ in range(101)]
        check(all(a[0] == 200 for a in answers), "101 responses")
        check(all(a[2] == b"hello" for a in answers[:50] + answers[51:]), "the small ones")
        check(answers[50][2] == big, "the large one")
        # A request that comes in pieces.
        for byte in one.encode():
            client.send(bytes([byte]))
        check_equal(client.response()[2], b"hello", "byte by byte")
        # A client that ends its side still gets its answer.
        client.send(one)
        client.socket.shutdown(socket.SHUT_WR)
        check_equal(client.response()[2], b"hello", "after the client's end")
        check(client.at_end(), "the server ends too")
        client.close()


def test_silent_connections_end():
    with http_lab("--timeout", "1") as (lab, _):
        silent, half = Client(), Client()
        half.send("GET / HT")
        start = time.monotonic()
        check_equal(half.response()[0], 408, "half a request")
        check(half.at_end() and silent.at_end(), "both are closed")
        check(0.9 < time.monotonic() - start < 5, "after the timeout")
        silent.close()
        half.close()
        # A reader that stalls is dropped as well.
        stalled = Client()
        stalled.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 8)
        wait_for(lambda: lab.telemetry is None or not established(lab), 10, "it is dropped")
        stalled.close()


def established(lab):
    return [row for row in lab.socks() if row["state"] == "ESTABLISHED"]


def test_many_on_one_thread():
    with http_lab() as (_, big):
        clients = [Client() for _ in range(200)]
        for client in clients[:20]:
            client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients[20:]:
            check_equal(client.get("/hello.txt")[2], b"hello", "a small file meanwhile")
        for client in clients[:20]:
            check(client.response()[2] == big, "the large file")
        for client in clients:
            client.close()


def test_curl_resumes():
    with http_lab() as (lab, big):
        path = os.path.join(lab.directory, "got")
        with open(path, "wb") as out:
            out.write(big[:1000])
        run("curl", "-sS", "--fail", "-C", "-", "-o", path, f"http://{STACK}:{PORT}/big")
        with open(path, "rb") as got:
            check(got.read() == big, "the resumed file is whole")


def test_replaced_file_is_seen():
    with http_lab() as (lab, _):
        client = Client()
        check_equal(client.get("/hello.txt")[2], b"hello", "before")
        new = os.path.join(lab.directory, "new")
        with open(new, "wb") as out:
            out.write(b"other")
        os.rename(new, os.path.join(lab.directory, "root", "hello.txt"))
        wait_for(lambda: client.get("/hello.txt")[2] == b"other", 5, "the new content")
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        check_equal(client.response()[0], 200, "the last request")
        check_equal(receive_all(client.socket), b"", "the end")
        client.close()


def test_repeated_requests_get_what_is_there_now():
    """What the server remembers of a request is one file's, and only while that is fresh."""
    with http_lab() as (lab, _):
        root = os.path.join(lab.directory, "root")
        client, closing = Client(), 0
        for name in ("one", "two"):
            with open(os.path.join(root, name), "wb") as out:
                out.write(name.encode())
        for _ in range(20):  # requests of one length, in turn
            check_equal(client.get("/one")[2], b"one", "the first")
            check_equal(client.get("/two")[2], b"two", "the second")
        for _ in range(3):  # the same bytes on connections of their own, which end
            closing += status_of("GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200
        check_equal(closing, 3, "connections that the client wants closed")
        check_equal(client.get("/one")[1]["connection"], "keep-alive", "and one that stays")
        os.unlink(os.path.join(root, "one"))
        wait_for(lambda: client.get("/one")[0] == 404, 5, "the file is gone")
        dates = {client.get("/two")[1]["date"]}
        wait_for(lambda: dates.add(client.get("/two")[1]["date"]) or len(dates) > 1, 5,
                 "Date goes on")
        # Long enough to lie in several pieces.
        padding = "X: " + "x" * 3000
        for _ in range(8):
            check_equal(client.get("/two", padding, padding)[2], b"two", "a long head")
        client.close()
