#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The measuring half of compare.sh: medians of three, printed as a table."""

import contextlib
import os
import platform
import re
import signal
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "integration"))

from harness import STACK, Lab, check, connect, receive_all, run, wait_for  # noqa: E402

RUNS = 3
BYTES = 1 << 30
SECONDS = 4  # of each run of wrk
CONNECTIONS = 64
PORT = 8080

NGINX = """
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000000;
	open_file_cache max=256;
	client_body_temp_path {directory}/body;
	proxy_temp_path {directory}/proxy;
	fastcgi_temp_path {directory}/fastcgi;
	uwsgi_temp_path {directory}/uwsgi;
	scgi_temp_path {directory}/scgi;
	server {{
		listen {address}:{port};
		root {directory}/root;
	}}
}}
"""


def make_root(directory):
    root = os.path.join(directory, "root")
    os.mkdir(root)
    os.chmod(directory, 0o755)
    with open(os.path.join(root, "small"), "wb") as out:
        out.write(os.urandom(1024))
    with open(os.path.join(root, "large"), "wb") as out:
        for _ in range(BYTES >> 20):
            out.write(os.urandom(1 << 20))
    return root


def gbps(size, seconds):
    return size * 8 / seconds / 1e9


def download(port):
    """Gb/s of one download of the large file."""
    client = connect(port)
    client.settimeout(60)
    client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
    buffer = bytearray(1 << 20)
    size = 0
    start = time.monotonic()
    while (got := client.recv_into(buffer)) > 0:
        size += got
    took = time.monotonic() - start
    client.close()
    check(size > BYTES, f"the whole file: {size} bytes")
    return gbps(size, took)


def upload(path, port):
    """Gb/s into a sink that ends its side when it has all."""
    sender = connect(port)
    sender.settimeout(60)
    start = time.monotonic()
    with open(path, "rb") as source:
        sender.sendfile(source)
    sender.shutdown(socket.SHUT_WR)
    receive_all(sender)
    took = time.monotonic() - start
    sender.close()
    return gbps(BYTES, took)


def requests_per_second(port):
    out = run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", f"http://{STACK}:{port}/small")
    check("Non-2xx" not in out and "Socket errors" not in out, out)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1])


def median(measure, *arguments):
    return statistics.median(measure(*arguments) for _ in range(RUNS))


def upload_to_leat(lab, root):
    sink = lab.application("leat-nc", "-l", STACK, PORT + 1)
    wait_for(lambda: lab.listening(PORT + 1), 10, "leat-nc listens")
    try:
        return upload(os.path.join(root, "large"), PORT + 1)
    finally:
        sink.kill()
        lab.expect_nothing_left(applications=1, listeners=1)


def measure_leat(driver):
    with Lab(driver=driver) as lab:
        root = make_root(lab.directory)
        lab.server("leat-http", PORT, "--root", root)
        return (median(upload_to_leat, lab, root), median(download, PORT),
                median(requests_per_second, PORT))


def serve_kernel_sink(outside):
    """A child on the far end of the veth that swallows uploads."""
    with outside:
        listener = socket.create_server((STACK, PORT + 1))
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        buffer = bytearray(1 << 20)
        while True:
            peer, _ = listener.accept()
            while peer.recv_into(buffer) > 0:
                pass
            peer.close()
    listener.close()
    return pid


@contextlib.contextmanager
def kernel_lab():
    """nginx and a sink on the Linux stack, at the address and on the veth leat would have."""
    with Lab(driver="af_packet", start=False) as lab:
        lab.make_link()
        # Here both ends are the kernel's: with all its offloads, as it would be used.
        run("ethtool", "-K", "leat0", "tx", "on", "tso", "on", "gso", "on", "gro", "on")
        with lab.outside:
            run("ip", "addr", "add", f"{STACK}/24", "dev", "leat1")
            config = os.path.join(lab.directory, "nginx.conf")
            with open(config, "w", encoding="utf-8") as out:
                out.write(NGINX.format(directory=lab.directory, address=STACK, port=PORT))
            root = make_root(lab.directory)
            nginx = lab.start(["/usr/sbin/nginx", "-c", config])
        sink = serve_kernel_sink(lab.outside)
        try:
            wait_for(lambda: nginx_answers(nginx), 10, "nginx serves")
            yield root
        finally:
            os.kill(sink, signal.SIGKILL)
            os.waitpid(sink, 0)
            nginx.signal(signal.SIGQUIT)
            nginx.wait(10)


def nginx_answers(nginx):
    check(nginx.running(), f"nginx ended:\n{nginx.output()}")
    with contextlib.suppress(OSError):
        connect(PORT, seconds=1).close()
        return True
    return False


def measure_kernel():
    with kernel_lab() as root:
        return (median(upload, os.path.join(root, "large"), PORT + 1), median(download, PORT),
                median(requests_per_second, PORT))


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return re.search(r"model name\s*: (.*)", info.read())[1]


def main():
    rows = []
    for name, measure in (("leat, net_tap", lambda: measure_leat("tap")),
                          ("leat, net_af_packet on a veth", lambda: measure_leat("af_packet")),
                          ("Linux and nginx, veth with its offloads", measure_kernel)):
        print(f"==> measuring {name}", flush=True)
        rows.append((name, *measure()))
    print(f"\n{processor()}, {os.cpu_count()} cores, Linux {platform.release()}; "
          f"medians of {RUNS}")
    print(f"in, out: one connection, {BYTES >> 20} MiB; requests: 1 KiB file, "
          f"wrk with {CONNECTIONS} connections\n")
    print("| stack and link | in, Gb/s | out, Gb/s | requests/s |")
    print("| --- | ---: | ---: | ---: |")
    for name, upload_gbps, download_gbps, requests in rows:
        print(f"| {name} | {upload_gbps:.2f} | {download_gbps:.2f} | {requests:,.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
