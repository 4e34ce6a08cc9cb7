"""The ledger: what was intended, what came of it, and how to take it back, durable before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
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

    def end_session(self, session: str, state: SessionState, cause: str | None = None) -> SessionState:
        """Change the state of a session; return its state. One that is no longer open cannot be completed."""

    def hold(self, session: str) -> Callable[[], None] | None:
        """Make the caller the only one who rolls *session* back; return what ends that. None: somebody else is.

        The death of the holder ends it as well.
        """

    def session(self, session: str) -> SessionRow:
        """Return one session. Raises NoSuchSession."""

    def sessions(self, limit: int = 100) -> list[SessionRow]:
        """Return the newest sessions, newest first."""

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool) -> CallRow:
        """Put a call on record before it is sent, with the undos known so far; return it with `seq` and `key`.

        Raises SessionClosed where the session is not open any more.
        """

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

    def last(self, session: str) -> int:
        """Return the number of the newest call of a session, 0 where there is none."""

    def undos(self, session: str) -> list[UndoRow]:
        """Return the undos of a session, by call and then in the order in which they were registered."""

    def begin_undo(self, undo: UndoRow) -> None:
        """Write down that an undo is about to be sent."""

    def end_undo(self, undo: UndoRow, outcome: Outcome, detail: str, found: Json) -> None:
        """Write down what came of an undo."""

    def note(self, session: str, kind: str, data: dict[str, Json]) -> None:
        """Append an event that changes no row."""

    def events(self, session: str, kind: str | None = None) -> list[EventRow]:
        """Return the events of a session in order, those of one *kind* or all."""

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


def locate(ledger: str | Path | Ledger | None) -> Ledger:
    """Return the ledger meant by an argument, the environment or the configuration."""
    if ledger is None:
        from agentguard.config import ledger_location

        return open_ledger(ledger_location(None))
    return open_ledger(ledger) if isinstance(ledger, str | Path) else ledger
