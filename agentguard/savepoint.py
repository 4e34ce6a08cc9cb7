"""A point in a session to go back to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING

from agentguard.report import Report

if TYPE_CHECKING:
    from agentguard.session import Session


class Savepoint:
    """A point in a session to go back to; `with` and `async with` go back to it when the block fails."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name

    def __enter__(self) -> Savepoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if error is not None and self.session.is_open():
            explain(self.session.id, error, lambda: self.session.rollback(self.name, cause=error))

    async def __aenter__(self) -> Savepoint:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if error is None or not self.session.is_open():
            return
        await explain_async(self.session.id, error, self.session.arollback(self.name, cause=error))


def explain(session: str, error: BaseException, rollback: Callable[[], Report]) -> None:
    """Roll back and tell so in a note on *error*, the program's own exception, which is the one to be raised."""
    try:
        error.add_note(f"agentguard: {rollback()}")
    except Exception as failed:  # noqa: BLE001 - whatever keeps it from being rolled back, the note says so
        error.add_note(not_rolled_back(session, failed))


async def explain_async(session: str, error: BaseException, rollback: Awaitable[Report]) -> None:
    """The same for an asynchronous rollback."""
    try:
        error.add_note(f"agentguard: {await rollback}")
    except Exception as failed:  # noqa: BLE001 - likewise
        error.add_note(not_rolled_back(session, failed))


def not_rolled_back(session: str, failed: Exception) -> str:
    """Say that a session still stands."""
    return (
        f"agentguard: session {session} could NOT be rolled back ({type(failed).__name__}: {failed}). "
        f"Run `agentguard rollback {session}` when the cause is gone."
    )
