"""The line that counts, on a terminal, how much of a rollback is done: it only reads the ledger."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agentguard.errors import AgentguardError
from agentguard.ledger import Ledger
from agentguard.ledger.rows import CallRow

EVERY = 0.2


@contextmanager
def counting(store: Ledger, session: str, calls: list[CallRow]) -> Iterator[None]:
    """Count on stderr which of *calls* are dealt with, until the block is left. Does nothing without a terminal."""
    if not calls or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    over = threading.Event()
    began = time.time()
    columns = TextColumn("taking back"), BarColumn(), MofNCompleteColumn(), TextColumn("calls"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=len(calls))

        def follow() -> None:
            while not over.wait(EVERY):
                try:
                    shown.update(task, completed=_dealt_with(store, session, calls, began))
                except AgentguardError:
                    return  # the rollback meets the same, and says it

        thread = threading.Thread(target=follow, name="agentguard-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _dealt_with(store: Ledger, session: str, calls: list[CallRow], began: float) -> int:
    """How many of *calls* have come to an outcome since; one of an earlier rollback does not count."""
    wanted = {call.seq for call in calls}
    seen, under_way = set[int](), set[int]()
    for undo in store.undos(session):
        if undo.seq in wanted:
            fresh = undo.outcome is not None and (undo.updated_at or 0.0) >= began
            (seen if fresh or (undo.outcome is not None and undo.outcome.ok) else under_way).add(undo.seq)
    return len(seen - under_way)
