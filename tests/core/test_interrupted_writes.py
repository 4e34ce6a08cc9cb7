"""Ctrl-C at every line of a write to the ledger: what was written stands, and the next write is not kept waiting."""

from __future__ import annotations

import inspect
import itertools
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import agentguard
from agentguard.ledger.database import Database
from agentguard.ledger.sqlite import SqliteLedger

STEPS = {method.__code__: inspect.getsourcelines(method) for method in (Database.write, Database._lead)}


class CtrlC:
    """Raises KeyboardInterrupt before the line that is the *last* to run of a write, counted from 1."""

    def __init__(self, last: int) -> None:
        self.left = last

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code not in STEPS:
            return None
        lines, first = STEPS[frame.f_code]
        # The end of a `with` is a line for a tracer, and none where the interpreter looks for signals.
        if event == "line" and not lines[frame.f_lineno - first].lstrip().startswith("with "):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def test_ctrl_c_at_any_line_of_a_write_leaves_the_ledger_to_the_next(session: agentguard.Session, ledger: Path) -> None:
    database = SqliteLedger.at(ledger).database
    tracing = sys.gettrace()
    for line in itertools.count(1):
        sys.settrace(CtrlC(line))
        try:
            database.write("note", lambda _db: None)
        except KeyboardInterrupt:
            pass
        else:
            break  # it has fewer lines
        finally:
            sys.settrace(tracing)
        later = threading.Thread(target=session.ledger.note, args=(session.id, f"after {line}", {}), daemon=True)
        later.start()
        later.join(10)
        assert not later.is_alive(), f"a write waits for ever after Ctrl-C at line {line}"
    assert line > 15, "the write was not traced"
    told = [event.kind for event in session.ledger.events(session.id)]
    assert [kind for kind in told if kind.startswith("after ")] == [f"after {number}" for number in range(1, line)]


@pytest.mark.parametrize("durable", [False, True])
def test_ctrl_c_at_any_line_of_a_write_leaves_no_thread_without_an_answer(
    session: agentguard.Session, ledger: Path, durable: bool
) -> None:
    database = SqliteLedger.at(ledger).database
    for line in range(1, 16):
        answers: list[object] = []

        def behind(answers: list[object] = answers) -> None:
            try:
                answers.append(database.write("note", lambda _db: "written", durable=durable))
            except agentguard.LedgerError as error:
                answers.append(error)

        threads = [threading.Thread(target=behind, daemon=True) for _ in range(3)]

        def slow(_db: object, threads: list[threading.Thread] = threads) -> None:
            for thread in threads:
                thread.start()
            while len(database._queue) < len(threads):
                threading.Event().wait(0.001)

        sys.settrace(CtrlC(line))
        try:
            database.write("note", slow)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        for thread in threads:
            if thread.ident is not None:
                thread.join(10)
                assert not thread.is_alive(), f"a thread waits for ever after Ctrl-C at line {line}"
        assert len(answers) in (0, len(threads))
        assert all(answer == "written" for answer in answers)
