# SPDX-License-Identifier: BSD-3-Clause
"""Connections that come and go for a minute, between two cores."""

import os

from harness import BUILD, LONG, ROOT, run

if LONG:
    def test_a_minute():
        run(os.path.join(ROOT, "benchmarks/churn.sh"), "--minutes", 1, seconds=120,
            env={**os.environ, "BUILD": os.path.relpath(BUILD, ROOT)})
