"""The crash tests of a connector that lives in a distribution of its own run as its author runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "resend_connector"
EVERYTHING = os.environ.get("AGENTGUARD_CRASH") == "all"
PART = [] if EVERYTHING else ["-k", "contract or forgets or dies or (welcome and faults)"]


@pytest.mark.timeout(900 if EVERYTHING else 120)
def test_the_example_passes_its_own_crash_tests() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests", *PART],
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 5, done.stdout
