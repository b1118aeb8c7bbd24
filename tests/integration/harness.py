# SPDX-License-Identifier: BSD-3-Clause
"""What the integration tests stand on.

A test is a function test_*() of a module test_*.py.  It makes a Lab (network
namespaces, a leatd with its port, applications) with `with`, and whatever it
started is gone when it ends, also when it fails, times out or is interrupted.
Nothing waits for a fixed time: wait_for() polls a condition until a deadline.
"""

import atexit
import contextlib
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("LEAT_BUILD", os.path.join(ROOT, "build"))

# LEAT_LONG=1: what takes too long to be run each time is run, too.
LONG = os.environ.get("LEAT_LONG") == "1"

KERNEL = "198.18.0.1"  # the Linux stack's address on each lab's link
STACK = "198.18.0.2"  # leat's

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """A test's own words for what is not as it should be."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(actual, expected, what):
    if actual != expected:
        raise Failure(f"{what}: {actual!r}, expected {expected!r}")


def wait_for(condition, seconds, what):
    """Polls condition() until it is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def _call(function, *arguments):
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Namespace:
    """A network namespace without a name: it ends with its last user.

    `with namespace:` moves the calling thread into it; sockets, processes and
    threads made inside belong to it.
    """

    def __init__(self):
        self._outside = []
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _call(_libc.unshare, _CLONE_NEWNET)
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        run("ip", "link", "set", "lo", "up")
        _call(_libc.setns, before, _CLONE_NEWNET)
        os.close(before)

    def __enter__(self):
        self._outside.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        _call(_libc.setns, self.fd, _CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        outside = self._outside.pop()
        _call(_libc.setns, outside, _CLONE_NEWNET)
        os.close(outside)

    def path(self):
        """A name of it that other programs can open."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self):
        os.close(self.fd)


def run(*argv, seconds=30, good=(0,), **options):
    """Runs a command to its end; its output.  A Failure when its status is not a good one."""
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, timeout=seconds, text=True, check=False,
        **options)
    if done.returncode not in good:
        raise Failure(f"{' '.join(map(str, argv))}: status {done.returncode}\n"
                      f"{done.stdout}{done.stderr}")
    return done.stdout


_living = set()


def _kill_all():
    for process in list(_living):
        process.kill()


atexit.register(_kill_all)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program that a test started; its output goes to a file shown on failure."""

    def __init__(self, argv, log, stdin=subprocess.DEVNULL, stdout=None, env=None):
        self.name = os.path.basename(argv[0])
        self.log = log
        self.started = time.monotonic()
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdin=stdin, stdout=stdout or out, stderr=out, env=env,
                preexec_fn=_die_with_parent)
        _living.add(self)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def stdin(self):
        return self.popen.stdin

    @property
    def stdout(self):
        return self.popen.stdout

    def running(self):
        return self.popen.poll() is None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def threads(self):
        """Where each of its threads is in the kernel."""
        lines = []
        for task in sorted(glob.glob(f"/proc/{self.popen.pid}/task/*")):
            with contextlib.suppress(OSError):
                with open(f"{task}/comm", encoding="utf-8") as comm:
                    lines.append(f"    {comm.read().strip()}:")
                with open(f"{task}/stack", encoding="utf-8") as stack:
                    lines += [f"        {line.split()[-1]}" for line in stack]
        return "\n".join(lines)

    def wait(self, seconds):
        """Its exit status."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s; its threads:\n"
                          f"{self.threads()}") from None
        _living.discard(self)
        return status

    def finish(self, seconds=20):
        """It must end by itself, and well."""
        status = self.wait(seconds)
        check(status == 0, f"{self.name} ended with status {status}:\n{self.output()}")

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """SIGKILL, and reaps it.  No effect on one that ended."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        _living.discard(self)


class Telemetry:
    """leatd's answers on DPDK's telemetry socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.limit = json.loads(self.socket.recv(1024))["max_output_len"]

    def ask(self, command):
        self.socket.send(command.encode())
        answer = json.loads(self.socket.recv(self.limit + 1024))[command.split(",")[0]]
        check(answer is not None, f"an answer to {command}")
        return answer

    def close(self):
        self.socket.close()


def make_veth(one, one_namespace, other, other_namespace, mtu=1500):
    with one_namespace:
        run("ip", "link", "add", one, "mtu", mtu, "type", "veth", "peer", "name", other,
            "mtu", mtu, "netns", other_namespace.path())
        run("ip", "link", "set", one, "up")
    with other_namespace:
        run("ip", "link", "set", other, "up")


def offloads_off(interface):
    """Nothing completes checksums or cuts segments on the way to a packet socket."""
    run("ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")


def packet_device(name, interface, mtu=1500):
    """EAL's argument for a packet socket whose rings hold bursts: 16 MiB each."""
    frame, count = (2048, 8192) if mtu <= 1500 else (9216, 2048)
    return (f"--vdev={name},iface={interface},framesz={frame},blocksz={frame * 32},"
            f"framecnt={count},qdisc_bypass=1")


class Bridge:
    """impair_bridge between two interfaces it makes, one in each of two namespaces.

    forward, backward: what happens on the way from the first to the second, and back.
    """

    _count = 0

    def __init__(self, one, one_namespace, other, other_namespace, forward="", backward="",
                 mtu=1500):
        Bridge._count += 1
        self.ends = ((one, one_namespace), (other, other_namespace))
        self.options = [f"--{way}={text}"
                        for way, text in (("forward", forward), ("backward", backward)) if text]
        self.options.append(f"--mtu={mtu}")
        self.mtu = mtu
        self.prefix = f"leat-bridge-{os.getpid()}-{Bridge._count}"
        self.directory = None
        self.hop = None  # a namespace of its own
        self.process = None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="leat-bridge-")
        try:
            self.hop = Namespace()
            for i, (name, namespace) in enumerate(self.ends):
                make_veth(name, namespace, f"hop{i}", self.hop, self.mtu)
                with namespace:
                    offloads_off(name)
                with self.hop:
                    offloads_off(f"hop{i}")
            self._start()
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    def _start(self):
        argv = [os.path.join(BUILD, "tests/support/impair_bridge"), "-l", "0", "--no-pci",
                "--no-huge", "--no-shconf", "--no-telemetry", "-m", "1024", "--file-prefix",
                self.prefix, *(packet_device(f"net_af_packet{i}", f"hop{i}", self.mtu)
                               for i in range(2)), "--", *self.options]
        with self.hop:
            self.process = Process(argv, os.path.join(self.directory, "bridge.log"))
        # It is to run wherever there is room, like any other process.
        wait_for(self._bridges, 30, "the bridge bridges")
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(task), os.sched_getaffinity(0))

    def _bridges(self):
        check(self.process.running(), f"the bridge ended at its start:\n{self.process.output()}")
        return "bridging" in self.process.output()

    def stop(self):
        """Ends it; what it says it did: {"forward": {...}, "backward": {...}}."""
        self.process.signal(signal.SIGTERM)
        self.process.finish(5)
        done = {}
        for line in self.process.output().splitlines():
            way, _, text = line.partition(": ")
            if way in ("forward", "backward"):
                done[way] = {what.strip(): int(number) for number, what in
                             re.findall(r"(\d+) ([a-z ]+)", text)}
        return done

    def __exit__(self, kind, *_):
        if self.process is not None:
            if kind is not None:
                print(f"---- the bridge\n{self.process.output()[-4000:]}", flush=True)
            self.process.kill()
        if self.hop is not None:
            self.hop.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(os.path.join("/var/run/dpdk", self.prefix), ignore_errors=True)


class Lab:
    """One leatd and the link between it and the Linux stack.

    driver: "tap" (net_tap; the kernel's end is in the same namespace as leatd)
            or "af_packet" (a veth pair between two namespaces).
    beside: another lab, whose kernel end of the veth this lab's leatd serves too.
    start:  False: without link and leatd, for tests that start them.
    loss_percent: of the frames get lost, each way (af_packet).
    mtu:    of the link that is made; leatd's own is configuration (af_packet).
    bridge: {"forward": ..., "backward": ...}, either or both: a Bridge between the two, forward
            being from the Linux stack to leat (af_packet).
    """

    _count = 0

    def __init__(self, driver="tap", lcores="0", config=None, beside=None, address=STACK,
                 start=True, loss_percent=0, mtu=1500, bridge=None):
        Lab._count += 1
        self.driver = driver
        self.directory = tempfile.mkdtemp(prefix="leat-test-")
        self.prefix = f"leat-test-{os.getpid()}-{Lab._count}"
        self.socket = os.path.join(self.directory, "leatd.sock")
        self.lcores = lcores
        self.config = config or {}
        self.beside = beside
        self.address = address
        self.start_at_once = start
        self.loss_percent = loss_percent
        self.mtu = mtu
        self.bridge_options = bridge
        self.bridge = None
        self.processes = []
        self.kernel = None  # the namespace of the Linux stack under test
        self.outside = None  # af_packet: leatd's own
        self.hop = None  # af_packet with loss: between the two
        self.leatd = None
        self.telemetry = None
        self._logs = 0

    # ---- from nothing to a stack that answers, and back ----

    def __enter__(self):
        try:
            self.kernel = self.beside.kernel if self.beside else Namespace()
            self.kernel.__enter__()
            if self.start_at_once:
                self.make_link()
                self.start_leatd()
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        for process in self.processes:
            process.kill()
        if self.telemetry is not None:
            self.telemetry.close()
        if self.bridge is not None:
            self.bridge.__exit__(kind)
        if self.kernel is not None:
            self.kernel.__exit__()
            if self.beside is None:
                self.kernel.close()
        for namespace in (self.outside, self.hop):
            if namespace is not None:
                namespace.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(os.path.join("/var/run/dpdk", self.prefix), ignore_errors=True)

    def show_logs(self):
        for process in self.processes:
            text = process.output()[-4000:]
            state = "running" if process.running() else f"status {process.popen.returncode}"
            print(f"---- {process.name} ({process.pid}, {state})\n{text}", flush=True)

    def make_link(self):
        if self.driver == "tap" or self.beside is not None:
            return
        self.outside = Namespace()
        if self.bridge_options is not None:
            bridge = Bridge("leat0", self.kernel, "leat1", self.outside, **self.bridge_options)
            self.bridge = bridge.__enter__()
        elif self.loss_percent == 0:
            make_veth("leat0", self.kernel, "leat1", self.outside, self.mtu)
        else:
            self._make_lossy_link()
        offloads_off("leat0")
        run("ip", "addr", "add", f"{KERNEL}/24", "dev", "leat0")

    def _make_lossy_link(self):
        """A hop in the middle passes frames on, or not, and neither end's stack knows."""
        self.hop = Namespace()
        make_veth("leat0", self.kernel, "hop0", self.hop)
        make_veth("hop1", self.hop, "leat1", self.outside)
        rules = "table netdev hop {\n"
        for there, back in (("hop0", "hop1"), ("hop1", "hop0")):
            rules += (f"chain {there} {{ type filter hook ingress device {there} priority 0;\n"
                      f"numgen random mod 100 < {self.loss_percent} drop\n"
                      f"fwd to {back}\n }}\n")
        with self.hop:
            run("nft", "-f", "-", input=rules + "}\n")

    def device(self):
        return "net_tap0" if self.driver == "tap" else "net_af_packet0"

    def eal_arguments(self):
        interface = "leat1" if self.outside else "leat0"
        device = f"--vdev={self.device()},iface={interface}"
        if self.bridge is not None or (self.outside and self.mtu > 1500):
            device = packet_device(self.device(), interface, self.mtu)
        return ["-l", self.lcores, "--no-pci", "--no-huge", "--no-shconf", "-m", "1024",
                "--file-prefix", self.prefix, device]

    def write_config(self, sections=None):
        """A configuration file: the lab's own, with `sections` ({name: {key: value}}) over it."""
        all_sections = {
            "leatd": {"socket": self.socket},
            "port0": {"device": self.device(), "address": f"{self.address}/24"},
        }
        for name, keys in {**self.config, **(sections or {})}.items():
            all_sections.setdefault(name, {}).update(keys)
        path = os.path.join(self.directory, "leat.conf")
        with open(path, "w", encoding="utf-8") as out:
            for name, keys in all_sections.items():
                out.write(f"[{name}]\n")
                out.writelines(f"{key}={value}\n" for key, value in keys.items())
        return path

    def leatd_command(self, config):
        return [os.path.join(BUILD, "app/leatd/leatd"), *self.eal_arguments(), "--", "--config",
                config]

    def start_leatd(self, config=None):
        command = self.leatd_command(config or self.write_config())
        with self.outside or contextlib.nullcontext():
            self.leatd = self.start(command)
        wait_for(self._leatd_listens, 30, "leatd listens on its socket")
        self._make_kernel_end()
        self.telemetry = Telemetry(self.socket + ".telemetry")

    def _make_kernel_end(self):
        if self.driver == "tap":
            # It was made by leatd and is new each time.
            run("ip", "addr", "add", f"{KERNEL}/24", "dev", "leat0")
            # Room for what many connections of the kernel's send at once.
            run("ip", "link", "set", "leat0", "up", "txqueuelen", "10000")

    def start_inline(self, name, port, *arguments):
        """An example that listens, with the stack inside, in place of leatd; ready to be connected
        to on each of its workers."""
        self.start_with_stack(
            [os.path.join(BUILD, "app/examples", name), "--inline"],
            ["--listen", f"{self.address}:{port}", *arguments])
        workers = len(self.lcores.split(","))
        wait_for(lambda: self._says_serving(self.leatd, workers), 30, f"{name} serves")
        if self.config.get("leatd", {}).get("socket") != "none":
            self.telemetry = Telemetry(self.socket + ".telemetry")
        return self.leatd

    def start_with_stack(self, program, arguments):
        """A program with the stack inside; its port is there when this returns."""
        with self.outside or contextlib.nullcontext():
            self.leatd = self.start([*program, *self.eal_arguments(), "--", "--config",
                                     self.write_config(), *arguments])
        wait_for(lambda: self.says("the program runs"), 30, "the stack runs")
        self._make_kernel_end()

    def says(self, words, times=1):
        """Did the program with the stack say them so often?"""
        return self._says(self.leatd, words, times)

    def stop_leatd(self, number):
        self.leatd.signal(number)
        self.leatd.wait(5)
        self.telemetry.close()
        self.telemetry = None

    def _leatd_listens(self):
        check(self.leatd.running(), f"leatd ended at its start:\n{self.leatd.output()}")
        with contextlib.suppress(OSError), \
                socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            probe.connect(self.socket)
            return True
        return False

    # ---- programs ----

    def start(self, argv, **options):
        """A program that is ended with the lab."""
        self._logs += 1
        log = os.path.join(self.directory, f"{self._logs}-{os.path.basename(argv[0])}.log")
        env = {**os.environ, "LEAT_SOCKET": self.socket}
        process = Process(argv, log, env=env, **options)
        self.processes.append(process)
        return process

    def application(self, name, *arguments, **options):
        """One of app/examples."""
        return self.start([os.path.join(BUILD, "app/examples", name), *arguments], **options)

    def program(self, name, *arguments, **options):
        """One of tests/integration/programs."""
        return self.start([os.path.join(BUILD, "tests/integration", name), *arguments], **options)

    def server(self, name, port, *arguments, **options):
        """An example that listens, ready to be connected to."""
        process = self.application(name, "--listen", f"{self.address}:{port}", *arguments,
                                   **options)
        wait_for(lambda: self._says_serving(process), 10, f"{name} serves")
        return process

    def _says_serving(self, process, times=1):
        return self._says(process, "serving", times)

    @staticmethod
    def _says(process, words, times=1):
        check(process.running(), f"{process.name} ended at its start:\n{process.output()}")
        return process.output().count(words) >= times

    def leat(self, *arguments, good=(0,)):
        """Output of the command-line tool."""
        return run(os.path.join(BUILD, "app/leat/leat"), "--socket", self.socket, *arguments,
                   good=good)

    # ---- what leatd says of itself ----

    def info(self):
        return self.telemetry.ask("/leat/info")

    def counters_by_worker(self):
        return [self.telemetry.ask(f"/leat/stat,{worker}")
                for worker in range(self.info()["workers"])]

    def counter(self, name):
        return sum(counters[name] for counters in self.counters_by_worker())

    def socks(self):
        """Every sock of every worker."""
        rows = []
        for worker in range(self.info()["workers"]):
            following = 0
            while True:
                answer = self.telemetry.ask(f"/leat/ss,{worker},{following}")
                check("error" not in answer, f"a list of socks: {answer}")
                rows += answer.get("socks", {}).values()
                following = answer["next"]
                if following == 0:
                    break
        return rows

    def count_socks(self, state):
        return sum(row["state"] == state for row in self.socks())

    def listening(self, port):
        return any(row["state"] == "LISTEN" and row["local"].endswith(f":{port}")
                   for row in self.socks())

    def usage(self):
        """Objects in use of every pool, and applications that hold memory."""
        info = self.info()
        used = {key: info[key] for key in ("applications", "quarantined")}
        return {**used, **self.telemetry.ask("/leat/pools")}

    def expect_nothing_left(self, applications=0, listeners=0):
        """But for so many applications and listeners, soon."""
        workers = self.info()["workers"]

        def nothing_left():
            info = self.info()
            return (info["applications"] == applications and info["quarantined"] == 0
                    and sorted(row["state"] for row in self.socks())
                    == ["LISTEN"] * listeners * workers)

        try:
            wait_for(nothing_left, 5, "nothing is left")
        except Failure as failure:
            rows = "\n".join(map(str, self.socks()[:20]))
            raise Failure(f"{failure}; {self.info()}\n{rows}") from None


# ---- helpers of many tests ----

def receive_all(sock, limit=None):
    """Bytes until the end of the stream (or until there are `limit`)."""
    parts = []
    size = 0
    while limit is None or size < limit:
        part = sock.recv(65536 if limit is None else min(65536, limit - size))
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def connect(port, seconds=10, address=STACK):
    return socket.create_connection((address, port), timeout=seconds)


def listen(port, backlog=1024, address=KERNEL):
    """A listening socket of the Linux stack."""
    sock = socket.create_server((address, port), backlog=backlog)
    sock.settimeout(20)
    return sock


class Thread(threading.Thread):
    """A thread whose exception reaches whoever joins it."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self._function = function
        self._arguments = arguments
        self._error = None
        self.result = None
        self.start()

    def run(self):
        try:
            self.result = self._function(*self._arguments)
        except BaseException as error:  # handed on in result_within
            self._error = error

    def result_within(self, seconds):
        self.join(seconds)
        if self.is_alive():
            raise Failure(f"{self._function.__name__} did not end within {seconds} s")
        if self._error is not None:
            raise self._error
        return self.result
