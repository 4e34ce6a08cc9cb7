"""Where the time of one guarded write goes: syncs, SQLite, and Python between the steps of the call.

`python -m benchmarks --only write --breakdown` prints it. No profiler is used, as it would slow Python down and nothing
else: the steps are timed at the failpoints around them, statements by SQLite's own clock, and the rest by leaving the
syncs out.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import apsw

from agentguard import failpoints
from agentguard.ledger.sqlite import SqliteLedger
from benchmarks import guarded, syncs
from benchmarks.measuring import Setting, timed
from benchmarks.syncs import Counts

STEPS = {
    "before_intent": "Python before the intent: the handler, the row, redaction, digests",
    "mid_intent": "the intent's statements, and Python between them",
    "after_intent": "its commit, with the sync",
    "before_send": "Python before the call is sent",
    "after_send": "the call itself",
    "before_result": "Python before the result: the answer, redaction",
    "mid_result": "the result's statements, and Python between them",
    "after_result": "its commit, without a sync",
    "end": "Python after the result",
}
"""Where a step ends, and what it was."""


@dataclass(slots=True)
class Breakdown:
    """One guarded write taken apart; times are microseconds for each call."""

    whole: float = 0.0
    without_syncs: float | None = None
    processor: float = 0.0
    """Of this thread, in the processor: what other programs take from the machine does not count."""
    counts: dict[str, float] = field(default_factory=dict)
    """What was done to files, for each call."""
    steps: dict[str, float] = field(default_factory=dict)
    steps_without_syncs: dict[str, float] = field(default_factory=dict)
    statements: list[tuple[str, float, float]] = field(default_factory=list)
    """Each statement: its text, how often it runs for each call, and microseconds for each call."""

    @property
    def in_statements(self) -> float:
        """Microseconds that SQLite spends in statements, commits and their syncs among them."""
        return sum(taken for _text, _times, taken in self.statements)


class _Clock:
    """Stands in for the trap of the failpoints, and notes when each is reached."""

    def __init__(self) -> None:
        self.last = 0.0
        self.taken: dict[str, float] = defaultdict(float)

    def reach(self, name: str) -> None:
        now = time.perf_counter()
        self.taken[name] += now - self.last
        self.last = now


def take_apart(setting: Setting, calls: int) -> Breakdown:
    """Make *calls* guarded writes in each way of looking at them."""
    found = Breakdown()
    counting = setting.syncs
    with guarded.session(setting.new_folder("breakdown")) as session:
        assert isinstance(session.ledger, SqliteLedger)

        def write() -> None:
            guarded.write(guarded.KILOBYTE)

        timed(write, setting.choose(200, 20))  # the log is written to its end once
        before = counting.counts() if counting else Counts()
        found.whole = timed(write, calls) * 1e6
        if counting:
            done = counting.counts().since(before)
            found.counts = {name: getattr(done, name) / calls for name in Counts.__slots__}
            with counting.slower(syncs.LEFT_OUT):
                began = time.thread_time()
                found.without_syncs = timed(write, calls) * 1e6
                found.processor = (time.thread_time() - began) / calls * 1e6
                found.steps_without_syncs = _steps(calls)
        found.steps = _steps(calls)
        with counting.slower(syncs.LEFT_OUT) if counting else nullcontext():
            found.statements = _statements(session.ledger.database._db, calls)
    return found


def _steps(calls: int) -> dict[str, float]:
    with _clock() as clock:
        for _ in range(calls):
            clock.last = time.perf_counter()
            guarded.write(guarded.KILOBYTE)
            clock.reach("end")
    return {name: taken / calls * 1e6 for name, taken in clock.taken.items()}


@contextmanager
def _clock() -> Iterator[_Clock]:
    clock: Any = _Clock()
    failpoints.trap = clock
    try:
        yield clock
    finally:
        failpoints.trap = None


def _statements(db: apsw.Connection, calls: int) -> list[tuple[str, float, float]]:
    """The statements of one call, by SQLite's own clock (milliseconds are all that some platforms give)."""
    times: Counter[str] = Counter()
    taken: Counter[str] = Counter()

    def note(event: dict[str, Any]) -> None:
        text = " ".join(event["sql"].split())
        times[text] += 1
        taken[text] += event["nanoseconds"]

    db.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
    try:
        for _ in range(calls):
            guarded.write(guarded.KILOBYTE)
    finally:
        db.trace_v2(0)
    return [(text, times[text] / calls, taken[text] / calls / 1e3) for text in sorted(taken, key=lambda t: -taken[t])]


def bounds(setting: Setting) -> str:
    """In one line, what a guarded write spends its time on."""
    found = take_apart(setting, setting.choose(300, 10))
    if found.without_syncs is None:
        return f"{found.whole:.0f} µs, of which statements {found.in_statements:.0f} µs"
    counts = found.counts
    return (
        f"{found.whole:.0f} µs: syncs {max(0.0, found.whole - found.without_syncs):.0f} µs, statements "
        f"{found.in_statements:.0f} µs, Python and locks {max(0.0, found.without_syncs - found.in_statements):.0f} µs; "
        f"{found.processor:.0f} µs of processor time; "
        f"{counts['syncs']:.2f} syncs, {counts['writes']:.0f} writes of {counts['written'] / 1024:.0f} KiB, "
        f"{counts['reads']:.0f} reads"
    )


def told(found: Breakdown) -> str:
    """The breakdown as text."""
    lines = [f"one guarded write: {found.whole:.0f} µs"]
    if found.without_syncs is not None:
        lines.append(f"  with no sync done: {found.without_syncs:.0f} µs, {found.processor:.0f} µs of processor time")
        lines.append(f"  statements {found.in_statements:.0f} µs, the rest is Python and locks")
        lines.append("  for each call: " + ", ".join(f"{value:.2f} {name}" for name, value in found.counts.items()))
    lines += ["", f"{'step':68} {'µs':>7} {'no sync':>8}"]
    for name, what in STEPS.items():
        if name in found.steps:
            without = found.steps_without_syncs.get(name)
            lines.append(f"{what:68} {found.steps[name]:7.0f} {'' if without is None else f'{without:8.0f}'}")
    lines += ["", f"{'statement (no sync)':100} {'a call':>6} {'µs':>7}"]
    lines += [f"{text[:100]:100} {times:6.2f} {taken:7.1f}" for text, times, taken in found.statements]
    return "\n".join(lines)
