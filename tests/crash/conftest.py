"""What the runs came to, after the tests."""

from __future__ import annotations

from typing import Any


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
