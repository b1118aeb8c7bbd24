#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the integration tests: all, or those whose module or name is given.

    run.py [--list] [--times N] [MODULE | NAME]...

The last line is "N passed, N failed".  Needs root: the tests make network
namespaces of their own and talk only inside them.  With LEAT_LONG=1 in the
environment `impaired` transfers as much as there is time for, and `churn` runs.
"""

import argparse
import glob
import importlib
import os
import resource
import signal
import sys
import time
import traceback

import harness

TEST_SECONDS = 4 * 3600 if harness.LONG else 120  # no test takes longer


def collect():
    here = os.path.dirname(os.path.abspath(__file__))
    for path in sorted(glob.glob(os.path.join(here, "test_*.py"))):
        module = importlib.import_module(os.path.basename(path)[:-len(".py")])
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                yield module.__name__[len("test_"):], name[len("test_"):], function


def on_alarm(*_):
    raise harness.Failure(f"took longer than {TEST_SECONDS} s")


def on_signal(number, _):
    sys.exit(128 + number)


def run_one(title, function):
    print(f"{title} ", end="", flush=True)
    start = time.monotonic()
    signal.alarm(TEST_SECONDS)
    try:
        function()
    except harness.Failure as failure:
        print(f"FAILED\n    {failure}", flush=True)
        return False
    except Exception:  # any other error is a failure of this test alone
        print("FAILED")
        traceback.print_exc(file=sys.stdout)
        return False
    finally:
        signal.alarm(0)
    print(f"ok ({time.monotonic() - start:.1f} s)", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("wanted", nargs="*")
    arguments = parser.parse_args()

    tests = [t for t in collect()
             if not arguments.wanted or t[0] in arguments.wanted or t[1] in arguments.wanted]
    if arguments.list:
        for module, name, _ in tests:
            print(f"{module}.{name}")
        return 0
    if not tests:
        print("no such test; --list shows them", file=sys.stderr)
        return 2

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    signal.signal(signal.SIGALRM, on_alarm)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)

    passed = failed = 0
    for _ in range(arguments.times):
        for module, name, function in tests:
            if run_one(f"{module}.{name}", function):
                passed += 1
            else:
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
