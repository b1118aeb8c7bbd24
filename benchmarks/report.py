#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What run.sh does with figures, one JSON object a line, and with a run's results.

line                      a figure on standard input, for people
rate FIGURES NAME PERCENT of the requests per second that a figure has
instructions FILE         what instructions.sh printed, as figures
write FIGURES JSON SECONDS
plot JSON SVG
compare OLD NEW           ratios new/old
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

# In the order in which they are shown: key, unit, divisor.
VALUES = (
    ("ops_per_s", "M/s", 1e6),
    ("gbit_per_s", "Gb/s", 1),
    ("cycles_per_op", "cycles", 1),
    ("busy_cycles_per_op", "busy cycles", 1),
    ("worker_cycles_per_op", "cycles, worker", 1),
    ("application_cycles_per_op", "cycles, application", 1),
    ("trip_by_sum_us", "us trip by cycle sum", 1),
    ("ceiling_cycles_per_op", "cycles, driver alone", 1),
    ("idle_cycles", "cycles, idle turn", 1),
    ("p50_us", "us p50", 1),
    ("p99_us", "us p99", 1),
    ("p999_us", "us p99.9", 1),
    ("bytes_per_connection", "bytes", 1),
    ("instructions", "instructions", 1),
)
# These count what should not happen.
FAULTS = ("sent_again", "got_again", "resets", "wrong")


def read_figures(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def read_results(path):
    with open(path, encoding="utf-8") as results:
        return json.load(results)


def name_of(figure):
    """run.sh's name, or all that tells the figures of one program apart."""
    if figure.get("figure"):
        return figure["figure"]
    parts = [figure["benchmark"], figure["variant"]]
    for key, text in (("bytes", "{} bytes"), ("connections", "of {}"), ("burst", "burst {}")):
        if key in figure:
            parts.append(text.format(figure[key]))
    return ", ".join(parts)


# ---- for people ----

def line_of(figure):
    if "skipped" in figure:
        return f"{name_of(figure)}: skipped: {figure['skipped']}"
    texts = [f"{figure[key] / divisor:.4g} {unit}" if divisor > 1 or figure[key] < 1000
             else f"{figure[key]:.0f} {unit}"
             for key, unit, divisor in VALUES if key in figure]
    texts += [f"{figure[key]} {key.replace('_', ' ')}" for key in FAULTS if figure.get(key)]
    return f"{name_of(figure)}: {', '.join(texts)}"


def show():
    for line in sys.stdin:
        print("   ", line_of(json.loads(line)))


def rate(path, name, percent):
    for figure in read_figures(path):
        if name_of(figure) == name and "ops_per_s" in figure:
            print(int(figure["ops_per_s"] * int(percent) / 100))
            return
    print(0)


def instructions(path):
    """Lines like "request  4738.8  4700.0  +0.8 %"."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if match := re.match(r"(\S+) +([\d.]+) +[\d.-]+ ", line):
                print(json.dumps({"figure": f"instructions, {match[1]}",
                                  "benchmark": "instructions", "variant": match[1],
                                  "instructions": float(match[2])}))


# ---- results ----

def first_line(*command):
    """Of what it prints; None when there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.partition("\n")[0]


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return re.search(r"model name\s*: (.*)", info.read())[1]


def header(figures, seconds):
    clocks = [figure["clock_hz"] for figure in figures if "clock_hz" in figure]
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": processor(),
        "cores": os.cpu_count(),
        "clock_hz": clocks[0] if clocks else None,
        "kernel": platform.release(),
        "leat": first_line("git", "describe", "--always", "--dirty"),
        "dpdk": first_line("pkg-config", "--modversion", "libdpdk"),
        "compiler": first_line("cc", "--version"),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME"),
        "seconds": int(seconds),
    }


def write(path, output, seconds):
    figures = [{**figure, "figure": name_of(figure)} for figure in read_figures(path)]
    with open(output, "w", encoding="utf-8") as out:
        rows = [header(figures, seconds), *figures]
        out.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def compare(old, new):
    """Ratios of each value that both have, and what only one of them has."""
    before = {name_of(figure): figure for figure in read_results(old)[1:]}
    after = {name_of(figure): figure for figure in read_results(new)[1:]}
    print(f"{'':48} {'':22} {'old':>12} {'new':>12} {'new/old':>8}")
    for name, figure in after.items():
        if name not in before:
            print(f"{name:48} new")
            continue
        for key, unit, divisor in VALUES:
            a, b = before[name].get(key), figure.get(key)
            if a and b:
                print(f"{name:48} {unit:22.22} {a / divisor:12.4g} {b / divisor:12.4g} {b / a:8.2f}")
    for name in before.keys() - after.keys():
        print(f"{name:48} only in the old one")


# ---- the picture ----

def write_data(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write("\t".join(f'"{cell}"' if isinstance(cell, str) else str(cell)
                                for cell in row) + "\n")


def over_connections(figures, who):
    """Rows of connections, M/s, cycles, for requests over N connections as many as are answered."""
    pattern = re.compile(rf"{re.escape(who)} keep-alive (\d+)$")
    rows = []
    for figure in figures:
        match = pattern.match(name_of(figure))
        if match and "ops_per_s" in figure:
            rows.append((int(match[1]), figure["ops_per_s"] / 1e6,
                         figure.get("busy_cycles_per_op") or "NaN",
                         figure.get("ceiling_cycles_per_op") or "NaN"))
    return rows


def latencies(figures):
    """Rows of label, p50, p99, p99.9 of leat and of Linux: one connection, and given rates."""
    by_name = {name_of(figure): figure for figure in figures}
    rows = []
    for label, case in (("one connection", "keep-alive 1"),
                        ("50 % of capacity", "keep-alive 512 at 50 %"),
                        ("80 % of capacity", "keep-alive 512 at 80 %")):
        row = [label]
        for who in ("leat", "Linux"):
            figure = by_name.get(f"{who} {case}", {})
            row += [figure.get(key, "NaN") for key in ("p50_us", "p99_us", "p999_us")]
        rows.append(row)
    return rows


def plot(results, output):
    head, *figures = read_results(results)
    with tempfile.TemporaryDirectory() as directory:
        for file, who in (("ring", "leat"), ("memif", "leat-http"), ("linux", "Linux")):
            write_data(f"{directory}/{file}", over_connections(figures, who))
        write_data(f"{directory}/latency", latencies(figures))
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results.gnuplot")
        subprocess.run(["gnuplot", "-e", f"directory = '{directory}'", "-e", f"picture = '{output}'",
                        "-e", f"machine = '{head['machine']}, {head['date'][:10]}'", script],
                       check=True)


def main():
    commands = {"line": show, "rate": rate, "instructions": instructions, "write": write,
                "plot": plot, "compare": compare}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
