"""The ledger: what was intended, what came of it, and how to take it back, durable before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import LedgerError
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow

DEFAULT = Path(".agentguard") / "ledger.db"


class Ledger(Protocol):
    """What a store of ledgers must do.

    `intend` and `begin_undo` return only when their rows would survive a power cut. Everything else survives the
    death of this process at once, and a power cut from the next of those two on.
    """

    def start_session(self, session: SessionRow) -> None:
        """Put a new session on record. Raises SessionExists."""

    def end_session(self, session: str, state: SessionState, cause: str | None = None) -> None:
        """Change the state of a session."""

    def session(self, session: str) -> SessionRow:
        """Return one session. Raises NoSuchSession."""

    def sessions(self, limit: int = 100) -> list[SessionRow]:
        """Return the newest sessions, newest first."""

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool) -> CallRow:
        """Put a call on record before it is sent, with the undos known so far; return it with `seq` and `key`."""

    def refuse(self, call: CallRow) -> CallRow:
        """Put a call on record that was stopped and never sent."""

    def settle(
        self,
        call: CallRow,
        state: CallState,
        *,
        undos: list[UndoRow] | None = None,
        status: int | None = None,
        answer: Json = None,
        error: str | None = None,
    ) -> None:
        """Write down what came of a call. *undos* replace those of its intent."""

    def calls(self, session: str) -> list[CallRow]:
        """Return the calls of a session, oldest first."""

    def undos(self, session: str) -> list[UndoRow]:
        """Return the undos of a session, by call and then in the order in which they were registered."""

    def begin_undo(self, undo: UndoRow) -> None:
        """Write down that an undo is about to be sent."""

    def end_undo(self, undo: UndoRow, outcome: Outcome, detail: str, found: Json) -> None:
        """Write down what came of an undo."""

    def note(self, session: str, kind: str, data: dict[str, Json]) -> None:
        """Append an event that changes no row."""

    def events(self, session: str) -> list[EventRow]:
        """Return the events of a session in order."""

    def close(self) -> None:
        """Make everything durable and let go of the store."""


def open_ledger(location: str | Path | None = None) -> Ledger:
    """Open the ledger at *location*: a path or a `sqlite:///` URL; the file is made when it is not there."""
    text = str(location or DEFAULT)
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    elif "://" in text:
        scheme = text.split("://")[0]
        raise LedgerError(f"no ledger can be kept at {scheme}://; give a path or sqlite:///path. Nothing was started.")
    from agentguard.ledger.sqlite import SqliteLedger

    return SqliteLedger.at(Path(text))
