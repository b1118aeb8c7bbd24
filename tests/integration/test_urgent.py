# SPDX-License-Identifier: BSD-3-Clause
"""Urgent data: leat does with it what the Linux stack does.

Each scene is played three times: Linux to Linux (is it true what the scene says?), Linux to leat,
and leat to Linux.
"""

import array
import errno
import fcntl
import select
import socket
import subprocess
import termios

from harness import KERNEL, STACK, Lab, check, check_equal, connect, listen, wait_for
from test_traffic import PORT

SIOCATMARK = 0x8905
SECONDS = 10


class Linux:
    """One end of a connection, the Linux stack's."""

    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)

    def _do(self, function, *arguments):
        try:
            return function(*arguments)
        except OSError as error:
            return errno.errorcode[error.errno]

    def _number(self, request):
        number = array.array("i", [0])
        fcntl.ioctl(self.sock, request, number)
        return number[0]

    def send(self, word):
        return self._do(self.sock.send, word)

    def urgent(self, word):
        return self._do(self.sock.send, word, socket.MSG_OOB)

    def receive(self):
        return self._do(self.sock.recv, 100000)

    def take(self):
        return self._do(self.sock.recv, 100000, socket.MSG_OOB)

    def inline(self, on):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, on)

    def state(self):
        """What FIONREAD and SIOCATMARK say, and select: to read, exceptional."""
        ready = select.select([self.sock], [], [self.sock], 0)
        return (self._number(termios.FIONREAD), bool(self._number(SIOCATMARK)), bool(ready[0]),
                bool(ready[2]))

    def close(self):
        self.sock.close()


class Leat:
    """The same, leat's, by the program dialogue."""

    def __init__(self, application):
        self.application = application

    def _ask(self, *words):
        self.application.stdin.write(b" ".join(words) + b"\n")
        self.application.stdin.flush()
        return self.application.stdout.readline().rstrip(b"\n")

    @staticmethod
    def _bytes(answer):
        return answer[1:] if answer.startswith(b"=") else answer.decode()

    def send(self, word):
        return int(self._ask(b"send", word))

    def urgent(self, word):
        return int(self._ask(b"urgent", word))

    def receive(self):
        return self._bytes(self._ask(b"receive"))

    def take(self):
        return self._bytes(self._ask(b"take"))

    def inline(self, on):
        check_equal(self._ask(b"inline", b"%d" % on), b"0", "SO_OOBINLINE")

    def state(self):
        queued, at_mark, *events = self._ask(b"state").split()
        return int(queued), at_mark == b"1", b"in" in events, b"pri" in events

    def close(self):
        self.application.stdin.close()
        self.application.finish()


def await_state(end, state):
    """(bytes to read, at the mark, readable, exceptional)"""
    seen = []

    def reached():
        seen[:] = [end.state()]
        return seen[0] == state
    try:
        wait_for(reached, SECONDS, f"{state}")
    except Exception as error:
        raise type(error)(f"{error}, but {seen}") from None


def dialogue(lab, *arguments):
    return lab.program("dialogue", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def linux_to_linux(_):
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
    listener.close()
    return Linux(sender), Linux(receiver)


def linux_to_leat(lab):
    application = dialogue(lab, "-l", STACK, PORT)
    wait_for(lambda: lab.listening(PORT), 10, "dialogue listens")
    return Linux(connect(PORT)), Leat(application)


def leat_to_linux(lab):
    listener = listen(PORT)
    application = dialogue(lab, KERNEL, PORT)
    receiver, _ = listener.accept()
    listener.close()
    return Leat(application), Linux(receiver)


def play(scene):
    with Lab() as lab:
        for connected in (linux_to_linux, linux_to_leat, leat_to_linux):
            sender, receiver = connected(lab)
            try:
                scene(sender, receiver)
            except Exception as error:
                raise type(error)(f"{connected.__name__}: {error}") from error
            receiver.close()
            sender.close()
        lab.expect_nothing_left()


def test_out_of_line():
    def scene(sender, receiver):
        check_equal(receiver.take(), "EINVAL", "nothing is urgent")
        sender.send(b"abc")
        check_equal(sender.urgent(b"X"), 1, "sent urgently")
        sender.send(b"def")
        await_state(receiver, (3, False, True, True))
        check_equal(receiver.receive(), b"abc", "up to the mark")
        await_state(receiver, (0, True, True, True))
        check_equal(receiver.take(), b"X", "the urgent byte")
        check_equal(receiver.state(), (0, True, True, False), "after it was taken")
        check_equal(receiver.take(), "EINVAL", "the urgent byte, again")
        check_equal(receiver.receive(), b"def", "past the mark")
        check_equal(receiver.receive(), "EAGAIN", "no more")
        check_equal(receiver.state(), (0, False, False, False), "at last")
    play(scene)


def test_in_line():
    def scene(sender, receiver):
        receiver.inline(1)
        sender.urgent(b"abcX")
        sender.send(b"def")
        await_state(receiver, (7, False, True, True))
        check_equal(receiver.take(), "EINVAL", "it is in line")
        check_equal(receiver.receive(), b"abc", "up to the mark")
        await_state(receiver, (4, True, True, True))
        check_equal(receiver.receive(), b"Xdef", "from the mark on")
        check_equal(receiver.state(), (0, False, False, False), "at last")
    play(scene)


def test_changed_on_the_way():
    def scene(sender, receiver):
        sender.urgent(b"abX")
        await_state(receiver, (2, False, True, True))
        receiver.inline(1)
        check_equal(receiver.state(), (3, False, True, True), "in line")
        receiver.inline(0)
        check_equal(receiver.take(), b"X", "out of line again")
        receiver.inline(1)
        check_equal(receiver.receive(), b"ab", "up to the mark")
        check_equal(receiver.receive(), b"X", "in line, though it was taken")
    play(scene)


def test_one_after_the_other():
    def scene(sender, receiver):
        sender.urgent(b"a")
        await_state(receiver, (0, True, False, True))
        check_equal(receiver.take(), b"a", "the first")
        sender.urgent(b"b")
        await_state(receiver, (0, True, False, True))
        check_equal(receiver.take(), b"b", "the second")
        check_equal(receiver.receive(), "EAGAIN", "neither is in the stream")
        # The reader is on its way to the mark: the byte that was there becomes data.
        sender.urgent(b"12c")
        await_state(receiver, (2, False, True, True))
        sender.urgent(b"d")
        await_state(receiver, (3, False, True, True))
        check_equal(receiver.take(), b"d", "the fourth")
        check_equal(receiver.receive(), b"12c", "the third in line")
        # The reader is at the mark, and nobody took what is there.
        sender.urgent(b"e")
        await_state(receiver, (0, True, False, True))
        sender.urgent(b"f")
        wait_for(lambda: receiver.take() == b"f", SECONDS, "the sixth")
        check_equal(receiver.state(), (0, True, False, False), "the fifth is gone")
        sender.send(b"g")
        wait_for(lambda: receiver.receive() == b"g", SECONDS, "what follows")
    play(scene)


def test_long_urgent_data():
    """The pointer's 16 bits do not reach its end at first; not a byte is lost of it."""
    def scene(sender, receiver):
        left = content = b"0123456789" * 9000 + b"X"
        received = b""

        def all_there():
            nonlocal left, received
            sent = sender.urgent(left) if left else 0
            if sent != "EAGAIN":
                left = left[sent:]
            if isinstance(part := receiver.receive(), bytes):
                received += part
            return len(received) >= len(content)
        receiver.inline(1)
        wait_for(all_there, SECONDS, "it arrives")
        check(received == content, "what arrived is what was sent")
        check_equal(receiver.state(), (0, False, False, False), "at last")
    play(scene)


def test_the_end_behind_it():
    def scene(sender, receiver):
        sender.urgent(b"abX")
        sender.close()
        await_state(receiver, (2, False, True, True))
        check_equal(receiver.take(), b"X", "the urgent byte")
        check_equal(receiver.receive(), b"ab", "up to the mark")
        wait_for(lambda: receiver.receive() == b"", SECONDS, "the end")
        sender.close = lambda: None
    play(scene)


def test_over_a_bad_path():
    """Marks arrive in order though segments do not."""
    with Lab(config={"port0": {"impair": "loss=5%,reorder=5%,seed=3"}}) as lab:
        for connected in (linux_to_leat, leat_to_linux):
            sender, receiver = connected(lab)
            for i in range(30):
                word, mark = b"%03d" % i * 600, b"%c" % (65 + i % 26)
                sender.send(word)
                sender.urgent(mark)
                await_state(receiver, (len(word), False, True, True))
                check_equal(receiver.take(), mark, f"mark {i}")
                check_equal(receiver.receive(), word, f"what is before mark {i}")
                check_equal(receiver.receive(), "EAGAIN", f"it is passed over {i}")
            receiver.close()
            sender.close()
        lab.expect_nothing_left()
