"""The ledger in one SQLite file, shared by the threads of a process and by processes (see database.py).

Intents are durable before they return, results are in the operating system's hands: a result lost to a power cut is a
doubt that the next rollback settles, an intent lost would be an effect nobody knows of.

Every write of an owner says by which token it is made. One whose session was taken over changes no row any more: its
intent is refused, and what it still learns of a call that it has sent becomes evidence, as an event `late answer`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import apsw
import msgspec

from agentguard import leases
from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import LedgerError, NoSuchSession, SessionBusy, SessionClosed, SessionExists, SessionLost
from agentguard.ledger.columns import COLUMNS, dumps
from agentguard.ledger.database import Database
from agentguard.ledger.people import NO_PERMIT, People, Permit, check_frozen, consume, give_back, take
from agentguard.ledger.reading import rows
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow, UndoState
from agentguard.ledger.statements import (
    came_too_late,
    change_undo,
    check_name,
    insert,
    key_of,
    leave_in_doubt,
    next_seq,
    put_event,
    put_undos,
    standing,
    state_and_token,
    what_came,
    what_was_asked,
)


class SqliteLedger:
    """A ledger in one file. Use `SqliteLedger.at(path)`: one object per file and process."""

    _open: ClassVar[dict[Path, SqliteLedger]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database(path)
        self.people = People(self.database)

    @classmethod
    def at(cls, path: Path) -> SqliteLedger:
        """Return this process's ledger for *path*, opening or making it when need be."""
        path = path.absolute()
        with Database.opening:
            known = cls._open.get(path)
            if known is None or not known.database.in_place():
                known = cls._open[path] = cls(path)
            return known

    def close(self) -> None:
        """Make everything durable and let go of the file."""
        leases.heart.let_go(self)
        with Database.opening:
            if self._open.get(self.path) is self:
                del self._open[self.path]
            self.database.close()

    # Sessions

    def start_session(self, session: SessionRow) -> None:
        """Put a new session on record. Raises SessionExists."""

        def job(db: apsw.Connection) -> None:
            if db.execute("SELECT 1 FROM session WHERE id = ?", (session.id,)).fetchone():
                raise SessionExists(
                    f"there is a session {session.id!r} in {self.path} already. Nothing was started. "
                    "Leave id= out for a new name."
                )
            insert(db, session)
            put_event(db, session.id, "session started", {"agent": session.agent, "intent": session.intent})

        self.database.write("start", job)

    def claim(self, session: str, owner: str, until: float, *, steal: bool = False, reopen: bool = False) -> SessionRow:
        """Make *owner* the owner of a session, with the next token; return the session as it was found.

        Raises SessionBusy where its owner lives. *steal* takes an open session from a living owner all the same, as
        a rollback that a person asks for does; one that is rolled back by somebody is never taken from them. *reopen*
        opens one that was interrupted; raises SessionClosed where it is over.
        """

        def job(db: apsw.Connection) -> SessionRow:
            found = db.execute(f"SELECT {COLUMNS[SessionRow].names} FROM session WHERE id = ?", (session,)).fetchone()  # noqa: S608 - no value is in the text
            if found is None:
                raise NoSuchSession(f"there is no session {session!r} in {self.path}. Nothing was done.")
            row: SessionRow = COLUMNS[SessionRow].load(found)
            if leases.lives(row.owner, row.lease_until) and not (steal and row.state is not SessionState.ROLLING_BACK):
                raise SessionBusy(
                    f"session {session} belongs to a process that lives ({row.owner}). Nothing was done. Wait until it "
                    "has ended, or until its lease has run out."
                )
            if reopen and row.state not in (SessionState.OPEN, SessionState.INTERRUPTED):
                raise SessionClosed(
                    f"session {session} is {row.state.replace('_', ' ')} and cannot be resumed. Nothing was started. "
                    "Leave id= out for a new session."
                )
            db.execute(
                "UPDATE session SET owner = ?, token = ?, lease_until = ?, state = ? WHERE id = ?",
                (owner, row.token + 1, until, SessionState.OPEN if reopen else row.state, session),
            )
            put_event(db, session, "claimed", {"token": row.token + 1, "from": row.owner})
            return row

        return self.database.write("claim", job, durable=True)

    def renew(self, session: str, token: int, until: float) -> bool:
        """Extend a lease; False where somebody else has the session now."""

        def job(db: apsw.Connection) -> bool:
            db.execute("UPDATE session SET lease_until = ? WHERE id = ? AND token = ?", (until, session, token))
            return db.changes() == 1

        return self.database.write("renew", job)

    def release(self, session: str, token: int) -> None:
        """Give a session up, so that others may take it at once."""

        def job(db: apsw.Connection) -> None:
            db.execute("UPDATE session SET owner = NULL, lease_until = 0 WHERE id = ? AND token = ?", (session, token))

        self.database.write("release", job)

    def end_session(self, session: str, state: SessionState, token: int, cause: str | None = None) -> SessionState:
        """Change the state of a session; return its state. One that is no longer open cannot be completed.

        Raises SessionLost where another owner has it, unless it is to be completed.
        """
        ended = None if state in (SessionState.OPEN, SessionState.ROLLING_BACK) else time.time()
        interrupted = state is SessionState.INTERRUPTED

        def job(db: apsw.Connection) -> SessionState:
            now, holder = state_and_token(db, session)
            if state is SessionState.COMPLETED and (now is not SessionState.OPEN or holder != token):
                return now
            if holder != token:
                raise SessionLost(lost(session))
            db.execute(
                "UPDATE session SET state = ?, ended_at = ?, cause = coalesce(?, cause), "
                "owner = iif(?, NULL, owner), lease_until = iif(?, 0, lease_until) WHERE id = ?",
                (state, None if interrupted else ended, cause, ended is not None, ended is not None, session),
            )
            put_event(db, session, f"session {state}", {"cause": cause})
            if ended is not None and not interrupted:
                leave_in_doubt(db, session)
            return state

        return self.database.write("end" if ended else "begin", job, durable=ended is not None)

    def session(self, session: str) -> SessionRow:
        """Return one session. Raises NoSuchSession."""
        found = rows(self.database, SessionRow, "WHERE id = ?", session)
        if not found:
            raise NoSuchSession(f"there is no session {session!r} in {self.path}. `agentguard sessions` lists them.")
        return found[0]

    def sessions(self, limit: int = 100) -> list[SessionRow]:
        """Return the newest sessions, newest first."""
        return rows(self.database, SessionRow, "ORDER BY started_at DESC, id DESC LIMIT ?", limit)

    def unfinished(self) -> list[SessionRow]:
        """Return the sessions that are open or being rolled back, oldest first."""
        return rows(self.database, SessionRow, "WHERE state IN ('open', 'rolling_back') ORDER BY started_at")

    # Calls

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool, permit: Permit = NO_PERMIT) -> CallRow:
        """Put a call on record before it is sent, with the undos known so far; return it with `seq` and `key`.

        *permit* is used up in the same transaction. Raises SessionClosed, SessionLost, Frozen, LimitReached and
        ApprovalInvalid; then nothing is on record.
        """

        def job(db: apsw.Connection) -> CallRow:
            seq = self._check_open(db, call)
            if call.once:
                check_name(db, call)
            ordinal, key = key_of(db, call) if keyed else (0, call.key)
            row = msgspec.structs.replace(call, seq=seq, ordinal=ordinal, key=key)
            consume(db, row, permit.digest)
            take(db, row, permit.charges)
            sealed = {"operation": row.operation, "reason": row.reason, "row": what_was_asked(row)}
            row.asked = put_event(db, row.session, "intent", sealed, row.seq)
            insert(db, row)
            put_undos(db, row, undos)
            return row

        return self.database.write("intent", job, durable=True)

    def hold(self, call: CallRow, permit: Permit = NO_PERMIT) -> CallRow:
        """Put a call on record that is sent when the session completes. Raises as `intend` does."""

        def job(db: apsw.Connection) -> CallRow:
            row = msgspec.structs.replace(call, seq=self._check_open(db, call), state=CallState.HELD)
            take(db, row, permit.charges)
            insert(db, row)
            sealed = {"operation": row.operation, "reason": row.reason, "row": what_was_asked(row)}
            put_event(db, row.session, "held", sealed, row.seq)
            return row

        return self.database.write("hold", job, durable=True)

    def let_go(self, call: CallRow, undos: list[UndoRow], keyed: bool) -> CallRow:
        """Make a held call one that is about to be sent, with the undos known so far. Raises as `intend` does.

        Raises SessionBusy where it is not held any more: another thread sends it, or a rollback has dropped it.
        """

        def job(db: apsw.Connection) -> CallRow:
            self._check_open(db, call)
            ordinal, key = key_of(db, call) if keyed else (0, call.key)
            # When it was sent, and not when it was held, tells by when it must have landed.
            now = time.time()
            row = msgspec.structs.replace(call, state=CallState.INTENT, ordinal=ordinal, key=key, created_at=now)
            row.asked = put_event(db, row.session, "intent", {"operation": row.operation}, row.seq)
            db.execute(
                "UPDATE call SET state = 'intent', ordinal = ?, key = ?, token = ?, created_at = ?, asked = ? "
                "WHERE session = ? AND seq = ? AND state = 'held'",
                (ordinal, key, row.token, now, row.asked, row.session, row.seq),
            )
            if db.changes() != 1:
                raise SessionBusy(
                    f"call {row.seq} of session {row.session} is not held any more. Nothing was sent here."
                )
            put_undos(db, row, undos)
            return row

        return self.database.write("intent", job, durable=True)

    def verified(self, call: CallRow, told: str) -> None:
        """Write down what reading back after a call has shown: "ok", or what was different."""

        def job(db: apsw.Connection) -> None:
            db.execute("UPDATE call SET verified = ? WHERE session = ? AND seq = ?", (told, call.session, call.seq))
            put_event(db, call.session, "verified", {"told": told}, call.seq)

        self.database.write("verified", job)

    def _check_open(self, db: apsw.Connection, call: CallRow) -> int:
        """The number for a further call. Raises SessionClosed, SessionLost or Frozen unless *call* may be made."""
        # Another process may have rolled the session back since; what comes after that would be left standing.
        state, token, frozen, newest = standing(db, call.session)
        if state is not SessionState.OPEN:
            raise SessionClosed(
                f"session {call.session} is {state.replace('_', ' ')}, in this process or by another one, "
                "and takes no more calls. Nothing was sent. Start a new session and wrap the plain client for it."
            )
        if token != call.token:
            raise SessionLost(lost(call.session))
        if frozen:
            check_frozen(db, call.session)
        return newest + 1

    def refuse(self, call: CallRow) -> CallRow:
        """Put a call on record that was stopped and never sent."""

        def job(db: apsw.Connection) -> CallRow:
            row = msgspec.structs.replace(call, seq=next_seq(db, call.session), state=CallState.REFUSED)
            insert(db, row)
            put_event(db, row.session, "refused", {"operation": row.operation, "error": row.error}, row.seq)
            return row

        return self.database.write("refusal", job)

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

        That is so where the session has another owner now, and where a rollback has found out before.
        """

        def job(db: apsw.Connection) -> bool:
            found: Any = db.execute(
                "SELECT state, (SELECT token FROM session WHERE id = call.session), "
                "(SELECT state FROM session WHERE id = call.session) FROM call WHERE session = ? AND seq = ?",
                (call.session, call.seq),
            ).fetchone()
            if found is None:
                raise LedgerError(f"call {call.seq} of session {call.session} is not in the ledger at {self.path}")
            if found[0] == CallState.COMMITTED or found[1] != token:
                late = {"state": state, "status": status, "error": error, "answer": answer, "response": response}
                put_event(db, call.session, "late answer", late, call.seq)
                return False
            kept = dumps(answer)
            sealed = {"status": status, "error": error, "row": what_came(state, status, kept, error)}
            event = put_event(db, call.session, state, sealed, call.seq)
            told = event if state is CallState.COMMITTED else None
            db.execute(
                "UPDATE call SET state = ?, status = ?, answer = ?, response = ?, error = ?, settled_at = ?, told = ? "
                "WHERE session = ? AND seq = ?",
                (state, status, kept, dumps(response), error, time.time(), told, call.session, call.seq),
            )
            if state is CallState.NOT_APPLIED:
                give_back(db, call)
            if undos is not None:
                db.execute("DELETE FROM undo WHERE session = ? AND seq = ?", (call.session, call.seq))
                put_undos(db, call, undos)
            if state is CallState.COMMITTED and call.key:
                _settle_repeats(db, call)
            if state is CallState.COMMITTED and found[2] in (SessionState.PARTIAL, SessionState.ROLLED_BACK):
                came_too_late(db, call)
            return True

        return self.database.write(kind, job)

    def calls(self, session: str) -> list[CallRow]:
        """Return the calls of a session, oldest first."""
        return rows(self.database, CallRow, "WHERE session = ? ORDER BY seq", session)

    def call(self, session: str, seq: int) -> CallRow:
        """Return one call of a session."""
        return rows(self.database, CallRow, "WHERE session = ? AND seq = ?", session, seq)[0]

    def held(self, session: str) -> list[CallRow]:
        """Return the calls of a session that wait for its completion, oldest first."""
        return rows(self.database, CallRow, "WHERE session = ? AND state = 'held' ORDER BY seq", session)

    def named(self, session: str, once: str) -> list[CallRow]:
        """Return the calls of a session that the program has named *once*, oldest first."""
        return rows(self.database, CallRow, "WHERE session = ? AND once = ? ORDER BY seq", session, once)

    def last(self, session: str) -> int:
        """Return the number of the newest call of a session, 0 where there is none."""
        return self.database.read(lambda db: next_seq(db, session)) - 1

    def undos(self, session: str) -> list[UndoRow]:
        """Return the undos of a session, by call and then in the order in which they were registered."""
        return rows(self.database, UndoRow, "WHERE session = ? ORDER BY seq, n", session)

    # Undos

    def begin_undo(self, undo: UndoRow, token: int) -> None:
        """Write down that an undo is about to be sent. Raises SessionLost where the session has another owner."""

        def job(db: apsw.Connection) -> None:
            if state_and_token(db, undo.session)[1] != token:
                raise SessionLost(lost(undo.session))
            change_undo(db, undo, UndoState.SENDING, None, "", None)
            put_event(db, undo.session, "undo intent", {"operation": undo.name}, undo.seq, undo.n)

        self.database.write("undo_intent", job, durable=True)

    def end_undo(self, undo: UndoRow, outcome: Outcome, detail: str, found: Json, token: int) -> None:
        """Write down what came of an undo; only as an event where the session has another owner by now."""

        def job(db: apsw.Connection) -> None:
            if state_and_token(db, undo.session)[1] != token:
                put_event(db, undo.session, "late undo", {"outcome": outcome, "detail": detail}, undo.seq, undo.n)
                return
            change_undo(db, undo, UndoState.DONE, outcome, detail, found)
            put_event(db, undo.session, f"undo {outcome}", {"detail": detail}, undo.seq, undo.n)

        self.database.write("undo_result", job)

    # Events

    def note(self, session: str, kind: str, data: dict[str, Json], *, durable: bool = False) -> None:
        """Append an event that changes no row."""
        self.database.write("note", lambda db: put_event(db, session, kind, data), durable=durable)

    def events(self, session: str, kind: str | None = None) -> list[EventRow]:
        """Return the events of a session in order, those of one *kind* or all."""
        # Two kinds are in no index, and found by the call that names them (migration 0005).
        query = (
            "WHERE id IN (SELECT asked FROM call WHERE session = ?1 UNION ALL SELECT told FROM call WHERE session = ?1 "
            "UNION ALL SELECT id FROM event WHERE session = ?1 AND kind NOT IN ('intent', 'committed')) "
            "AND kind = coalesce(?2, kind) ORDER BY id"
        )
        return rows(self.database, EventRow, query, session, kind)


def lost(session: str) -> str:
    """What an owner is told whose session was taken over."""
    return (
        f"session {session} was taken over by another process. Nothing was sent. Start a new session, or see what "
        f"became of this one with `agentguard show {session}`."
    )


def _settle_repeats(db: apsw.Connection, call: CallRow) -> None:
    """The effect of earlier doubtful calls under the same idempotency key is the effect of this one."""
    earlier = db.execute(
        "SELECT seq FROM call WHERE session = ? AND key = ? AND state = 'in_doubt' AND seq < ?",
        (call.session, call.key, call.seq),
    ).fetchall()
    for (seq,) in earlier:
        assert isinstance(seq, int)
        error = f"settled by call {call.seq}, which repeated it under the same idempotency key"
        db.execute(
            "UPDATE call SET state = 'not_applied', error = ? WHERE session = ? AND seq = ?",
            (error, call.session, seq),
        )
        give_back(db, msgspec.structs.replace(call, seq=seq))
        put_event(db, call.session, CallState.NOT_APPLIED, {"error": error}, seq)
