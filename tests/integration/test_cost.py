# SPDX-License-Identifier: BSD-3-Clause
"""What `leat stat` says that a worker costs."""

import re

from harness import STACK, Lab, Thread, check, check_equal, run
from test_traffic import transfer_in

MIB = 1 << 20
AWAKE = {"leatd": {"idle_us": "0"}}
COLUMNS = ("worker", "busy", "idle", "sleep", "polls", "rx", "rx_burst", "rx_cycles",
           "tx", "tx_burst", "tx_cycles", "recv", "subm", "timer", "outp", "publ", "xmit", "other")
STAGES = COLUMNS[11:]


def rows_of(shown):
    """The rows of the table, checked for what must hold for each."""
    rows = [dict(zip(COLUMNS, map(float, line.split())))
            for line in shown.splitlines() if re.fullmatch(r"[\d. ]+", line)]
    for row in rows:
        check_equal(len(row), len(COLUMNS), f"columns:\n{shown}")
        for share in ("busy", "idle", "sleep") + STAGES:
            check(0 <= row[share] <= 100, f"{share} is a share:\n{shown}")
        check(abs(row["busy"] + row["idle"] + row["sleep"] - 100) < 0.3, f"sum of all:\n{shown}")
        check(abs(sum(row[s] for s in STAGES) - row["busy"]) < 0.6, f"sum of stages:\n{shown}")
    return rows


def interval(lab, seconds=1):
    shown = lab.leat("stat", "--interval", str(seconds), "--count", "1")
    rows = rows_of(shown)
    check_equal(len(rows), 1, f"rows of one worker:\n{shown}")
    return rows[0]


def test_a_busy_worker_is_seen():
    with Lab(config=AWAKE) as lab:
        quiet = interval(lab)
        check(quiet["busy"] < 10, f"nothing to do: {quiet}")
        check_equal(quiet["sleep"], 0, "it may not sleep")
        transfer = Thread(transfer_in, lab, 512 * MIB)
        loaded = [interval(lab) for _ in range(3)]
        transfer.result_within(60)
        most = max(loaded, key=lambda row: row["busy"])
        check(most["busy"] > quiet["busy"] + 20, f"a transfer: {loaded}")
        # Not more than transmit: handing an ACK to net_tap runs the Linux stack's answer to it.
        check(most["recv"] > max(most["outp"], most["subm"], 5), f"packets come in: {most}")
        check(most["rx"] > 1000 and most["rx_burst"] >= 1, f"packets: {most}")
        check(100 < most["rx_cycles"] < 1e6, f"cycles per packet: {most}")


def test_an_idle_worker_sleeps():
    with Lab() as lab:
        row = interval(lab)
        check(row["sleep"] > 50, f"it is asleep most of the time: {row}")
        run("ping", "-c", "20", "-i", "0.01", "-W", "2", STACK)
        check(interval(lab, 0.2)["sleep"] > 50, "a fifth of a second, shorter than a sleep")


def test_life_and_each_worker():
    with Lab(config=AWAKE, lcores="0,1") as lab:
        run("ping", "-c", "20", "-i", "0.01", "-W", "2", STACK)
        shown = lab.leat("stat")
        check_equal([row["worker"] for row in rows_of(shown)], [0, 1], f"workers:\n{shown}")
        check(re.search(r"cycles_idle\s+\d+", shown), f"raw numbers:\n{shown}")
        shown = lab.leat("stat", "--interval", "0.2", "--count", "2")
        check_equal([row["worker"] for row in rows_of(shown)], [0, 1, 0, 1], f"workers:\n{shown}")


def test_mistakes_are_told():
    with Lab() as lab:
        for arguments in (("--interval", "0"), ("--interval", "x"), ("--interval", "1s"),
                          ("--interval", "1", "--count", "0.5")):
            check_equal(lab.leat("stat", *arguments, good=(2,)), "", f"{arguments} is refused")
