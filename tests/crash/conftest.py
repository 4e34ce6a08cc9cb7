"""Where the runs happen, and what they came to, after the tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentguard.testing.crash import Bench

MEMORY = Path("/dev/shm")
"""Where there is such a place: nobody pulls the plug here, and syncing to the disk would be most of the time."""


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for many ledgers."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Stand-ins and the process that runs are forked from."""
    with quick_folder() as folder, Bench(folder, "tests.crash.scenarios") as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the number of runs and violations of each test."""
    lines = [
        f"{report.nodeid.partition('::')[2]}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "crash"
    ]
    if lines:
        runs = sum(int(line.rpartition(": ")[2].split()[0]) for line in lines)
        violations = sum(int(line.rpartition(", ")[2].split()[0]) for line in lines)
        terminalreporter.section("crashes")
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line(f"{runs} runs, {violations} violations")
