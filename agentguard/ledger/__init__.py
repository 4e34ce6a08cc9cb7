"""The ledger: what was intended, what came of it, and how to take it back, durable before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import LedgerError
from agentguard.ledger.people import NO_PERMIT, People, Permit
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow

DEFAULT = Path(".agentguard") / "ledger.db"


class Ledger(Protocol):
    """What a store of ledgers must do.

    `intend`, `begin_undo`, `claim` and `decide` return only when their rows would survive a power cut. Everything else
    survives the death of this process at once, and a power cut from the next of those on.

    *token* is that of the owner who writes (see leases.py); what an earlier owner writes changes no row.
    """

    people: People
    """Approvals, freezes, limits, and what needs a person."""

    def start_session(self, session: SessionRow) -> None:
        """Put a new session on record. Raises SessionExists."""

    def claim(self, session: str, owner: str, until: float, *, steal: bool = False, reopen: bool = False) -> SessionRow:
        """Make *owner* the owner, with the next token; return the session as it was found. Raises SessionBusy.

        *steal* takes an open session from a living owner; one that is being rolled back is never taken from them.
        *reopen* opens one that was interrupted. Raises SessionClosed where it is over.
        """

    def renew(self, session: str, token: int, until: float) -> bool:
        """Extend a lease; False where somebody else has the session now."""

    def release(self, session: str, token: int) -> None:
        """Give a session up, so that others may take it at once."""

    def end_session(self, session: str, state: SessionState, token: int, cause: str | None = None) -> SessionState:
        """Change the state of a session; return its state. One that is no longer open cannot be completed."""

    def session(self, session: str) -> SessionRow:
        """Return one session. Raises NoSuchSession."""

    def sessions(self, limit: int = 100) -> list[SessionRow]:
        """Return the newest sessions, newest first."""

    def unfinished(self) -> list[SessionRow]:
        """Return the sessions that are open or being rolled back, oldest first."""

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool, permit: Permit = NO_PERMIT) -> CallRow:
        """Put a call on record before it is sent, with the undos known so far; return it with `seq` and `key`.

        Raises SessionClosed where the session is not open any more, SessionLost where it has another owner, Frozen
        where somebody has stopped it, and LimitReached or ApprovalInvalid where *permit* does not do.
        """

    def hold(self, call: CallRow, permit: Permit = NO_PERMIT) -> CallRow:
        """Put a call on record that is sent when the session completes. Raises as `intend` does."""

    def let_go(self, call: CallRow, undos: list[UndoRow], keyed: bool) -> CallRow:
        """Make a held call one that is about to be sent, with the undos known so far. Raises as `intend` does."""

    def verified(self, call: CallRow, told: str) -> None:
        """Write down what reading back after a call has shown: "ok", or what was different."""

    def refuse(self, call: CallRow) -> CallRow:
        """Put a call on record that was stopped and never sent."""

    def settle(
        self,
        call: CallRow,
        state: CallState,
        token: int,
        *,
        undos: list[UndoRow] | None = None,
        status: int | None = None,
        answer: Json = None,
        response: Json = None,
        error: str | None = None,
        kind: str = "result",
    ) -> bool:
        """Write down what came of a call; False where it is on record as an event only. *undos* replace those there.

        *kind* names the failpoint: `result` of a call that was just sent, `verdict` on one that was in doubt.
        """

    def calls(self, session: str) -> list[CallRow]:
        """Return the calls of a session, oldest first."""

    def call(self, session: str, seq: int) -> CallRow:
        """Return one call of a session."""

    def held(self, session: str) -> list[CallRow]:
        """Return the calls of a session that wait for its completion, oldest first."""

    def named(self, session: str, once: str) -> list[CallRow]:
        """Return the calls of a session that the program has named *once*, oldest first."""

    def last(self, session: str) -> int:
        """Return the number of the newest call of a session, 0 where there is none."""

    def undos(self, session: str) -> list[UndoRow]:
        """Return the undos of a session, by call and then in the order in which they were registered."""

    def begin_undo(self, undo: UndoRow, token: int) -> None:
        """Write down that an undo is about to be sent. Raises SessionLost where the session has another owner."""

    def end_undo(self, undo: UndoRow, outcome: Outcome, detail: str, found: Json, token: int) -> None:
        """Write down what came of an undo."""

    def note(self, session: str, kind: str, data: dict[str, Json], *, durable: bool = False) -> None:
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
