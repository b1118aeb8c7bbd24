# SPDX-License-Identifier: BSD-3-Clause
"""Configuration mistakes are refused with file, section and key, and what would be right."""

import os
import re

from harness import ROOT, Lab, check

LEATD = "[leatd]\nsocket={socket}\n"
PORT0 = "[port0]\ndevice=net_tap0\naddress=198.18.0.2/24\n"

# name: (text, what the message must contain)
MISTAKES = {
    "unknown key": (LEATD + "sokcet=/x\n" + PORT0, ("[leatd]", "sokcet")),
    "duplicate key": (LEATD + PORT0 + "address=198.18.0.3/24\n", ("[port0]", "address", "twice")),
    "unknown section": (LEATD + PORT0 + "[prot1]\nmtu=1500\n", ("prot1",)),
    "duplicate section": (LEATD + PORT0 + "[port0]\nmtu=1500\n", ("[port0]", "twice")),
    "no value": (LEATD + "idle_us=\n" + PORT0, ("[leatd]", "idle_us")),
    "not a number": (LEATD + "idle_us=soon\n" + PORT0, ("[leatd]", "idle_us", "soon")),
    "out of range": (LEATD + PORT0 + "mtu=70000\n", ("[port0]", "mtu", "70000")),
    "bad address": (LEATD + "[port0]\ndevice=net_tap0\naddress=198.18.0.256/24\n",
                    ("[port0]", "address")),
    "no prefix length": (LEATD + "[port0]\ndevice=net_tap0\naddress=198.18.0.2\n",
                         ("[port0]", "address")),
    "network as address": (LEATD + "[port0]\ndevice=net_tap0\naddress=198.18.0.0/24\n",
                           ("[port0]", "address")),
    "gateway elsewhere": (LEATD + PORT0 + "gateway=192.0.2.1\n", ("[port0]", "gateway")),
    "no device given": (LEATD + "[port0]\naddress=198.18.0.2/24\n", ("[port0]", "device")),
    "missing device": (LEATD + "[port0]\ndevice=net_tap7\naddress=198.18.0.2/24\n",
                       ("[port0]", "device", "net_tap7")),
    "one device twice": (LEATD + PORT0 + "[port1]\ndevice=net_tap0\naddress=198.18.1.2/24\n",
                         ("[port1]", "device", "net_tap0")),
    "one address twice": (LEATD + PORT0 + "[port1]\ndevice=net_tap1\naddress=198.18.0.2/24\n",
                          ("[port1]", "address")),
    "no port": (LEATD, ("port",)),
    "key before a section": ("socket=/x\n" + PORT0, ("section",)),
    "nonsense": (LEATD + "what is this\n" + PORT0, ("[leatd]",)),
}


def test_mistakes_are_refused():
    with Lab(start=False) as lab:
        path = os.path.join(lab.directory, "wrong.conf")
        for name, (text, words) in MISTAKES.items():
            with open(path, "w", encoding="utf-8") as out:
                out.write(text.format(socket=lab.socket))
            leatd = lab.start(lab.leatd_command(path))
            status = leatd.wait(20)
            said = leatd.output()
            check(0 < status < 128, f"{name}: leatd ends with status {status}:\n{said}")
            for word in (path, *words):
                check(word in said, f"{name}: {word!r} is in the message:\n{said}")
            check(not os.path.exists(lab.socket), f"{name}: no socket is left")


def test_missing_file_is_refused():
    with Lab(start=False) as lab:
        path = os.path.join(lab.directory, "none.conf")
        leatd = lab.start(lab.leatd_command(path))
        check(0 < leatd.wait(20) < 128, f"leatd ends with an error:\n{leatd.output()}")
        check(path in leatd.output(), f"the message names the file:\n{leatd.output()}")


def test_documented_configuration_is_accepted():
    """config/leat.conf, with every option on its documented default."""
    with Lab(start=False) as lab:
        with open(os.path.join(ROOT, "config", "leat.conf"), encoding="utf-8") as documented:
            text = documented.read()
        # What stands there as a comment is switched on, but for a group that may not exist here;
        # the socket alone is this test's own.
        text = re.sub(r"(?m)^#(\[|(?!gid)[a-z_]+ = )", r"\1", text)
        text = re.sub(r"(?m)^socket = .*$", f"socket = {lab.socket}", text)
        path = os.path.join(lab.directory, "documented.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        lab.start_leatd(path)
