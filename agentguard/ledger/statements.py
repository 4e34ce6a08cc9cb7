"""The statements behind `SqliteLedger`, each within a transaction of its."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import apsw
import msgspec

from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import InDoubt, LedgerError, NoSuchSession
from agentguard.ledger.chain import FIRST, canonical, digest_of, hash_of, new_salt
from agentguard.ledger.columns import COLUMNS, dumps
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, UndoRow, UndoState

KEYS_LAST = 23 * 3600.0
"""Seconds in which a service surely knows an idempotency key still: Stripe keeps them for at least 24 hours
(https://docs.stripe.com/api/idempotent_requests); one hour is the margin."""


def insert(db: apsw.Connection, row: SessionRow | CallRow | UndoRow) -> None:
    """Insert *row* as it is."""
    columns = COLUMNS[type(row)]
    db.execute(columns.insert, columns.dump(row))


def what_was_asked(row: CallRow) -> str:
    """The seal over what a call is: it never changes."""
    return seal(row.seq, row.connector, row.base, row.name, row.target, dumps(row.arguments), row.effect.value)


def what_came(state: str, status: int | None, answer: str, error: str | None) -> str:
    """The seal over what came of a call, as it lies in its columns."""
    return seal(str(state), status, answer, error)


def standing(db: apsw.Connection, session: str) -> tuple[SessionState, int, bool, int]:
    """Where a session stands, its owner's token, whether it is frozen, and the number of its newest call: at once."""
    found: Any = db.execute(
        "SELECT state, token, EXISTS (SELECT 1 FROM freeze WHERE scope IN (session.id, '*')), "
        "(SELECT max(seq) FROM call WHERE call.session = session.id) FROM session WHERE id = ?",
        (session,),
    ).fetchone()
    if found is None:
        raise NoSuchSession(f"there is no session {session!r} in this ledger. Nothing was sent.")
    return _state(session, found[0]), found[1], bool(found[2]), found[3] or 0


def next_seq(db: apsw.Connection, session: str) -> int:
    """The number of the next call of a session."""
    return number(db, "SELECT coalesce(max(seq), 0) + 1 FROM call WHERE session = ?", session)


def number(db: apsw.Connection, query: str, *values: str) -> int:
    """The one number that *query* asks for."""
    (found,) = next(iter(db.execute(query, values)))
    return int(found)


def state_and_token(db: apsw.Connection, session: str) -> tuple[SessionState, int]:
    """Where a session stands, and by which token its owner writes. Raises LedgerError where that cannot be told."""
    found: Any = db.execute("SELECT state, token FROM session WHERE id = ?", (session,)).fetchone()
    if found is None:
        raise NoSuchSession(f"there is no session {session!r} in this ledger. Nothing was sent.")
    return _state(session, found[0]), found[1]


def _state(session: str, value: Any) -> SessionState:
    try:
        return SessionState(value)
    except ValueError as error:
        raise LedgerError(
            f"session {session} stands at {value!r}, which this version of agentguard does not know. "
            "Nothing was sent. Use the version that wrote it, or a newer one."
        ) from error


def check_name(db: apsw.Connection, call: CallRow) -> None:
    """Raise InDoubt where another thread or process makes a call of the same name at this moment."""
    same = "SELECT seq FROM call WHERE session = ? AND once = ? AND state = 'intent' AND token = ?"
    under_way = db.execute(same, (call.session, call.once, call.token)).fetchone()
    if under_way is not None:
        raise InDoubt(
            f"call {under_way[0]} of session {call.session} has the name {call.once!r} and is under way. Nothing was "
            "sent. Wait for that one."
        )


def key_of(db: apsw.Connection, call: CallRow) -> tuple[int, str]:
    """The ordinal and the idempotency key of *call*.

    An equal call that is in doubt is repeated under its own key, so that the service can tell that it is the same one;
    every other equal call counts as one that was meant, and has a key that no call had before. So does the repeat of a
    doubtful call whose key the service may have forgotten.
    """
    doubtful: Any = db.execute(
        "SELECT ordinal, key FROM call AS doubt WHERE session = ? AND digest = ? AND key IS NOT NULL "
        "AND state = 'in_doubt' "
        "AND NOT EXISTS (SELECT 1 FROM call WHERE session = doubt.session AND digest = doubt.digest "
        "AND key = doubt.key AND state IN ('intent', 'committed')) "
        "AND (SELECT min(created_at) FROM call WHERE session = doubt.session AND key = doubt.key) > ? "
        "ORDER BY seq LIMIT 1",
        (call.session, call.digest, call.created_at - KEYS_LAST),
    ).fetchone()
    if call.key is None and doubtful is not None:
        return int(doubtful[0]), str(doubtful[1])
    used = "SELECT coalesce(max(ordinal) + 1, 0) FROM call WHERE session = ? AND digest = ? AND key IS NOT NULL"
    ordinal = number(db, used, call.session, call.digest)
    return ordinal, call.key or f"agentguard-{call.session}-{call.digest[:16]}-{ordinal}"


def put_undos(db: apsw.Connection, call: CallRow, undos: list[UndoRow]) -> None:
    """Insert the undos of *call*."""
    for n, row in enumerate(undos, 1):
        insert(db, msgspec.structs.replace(row, seq=call.seq, n=n))


def change_undo(
    db: apsw.Connection, undo: UndoRow, state: UndoState, outcome: Outcome | None, detail: str, found: Json
) -> None:
    """Change where an undo stands."""
    db.execute(
        "UPDATE undo SET state = ?, attempt = ?, outcome = ?, detail = ?, found = ?, updated_at = ? "
        "WHERE session = ? AND seq = ? AND n = ?",
        (state, undo.attempt, outcome, detail, dumps(found), time.time(), undo.session, undo.seq, undo.n),
    )


def leave_in_doubt(db: apsw.Connection, session: str) -> None:
    """A session ends: what is said to be about to be sent is in doubt from now on, until its answer comes after all."""
    why = "its session has ended before the answer was there"
    left = db.execute("SELECT seq FROM call WHERE session = ? AND state = 'intent'", (session,)).fetchall()
    for (seq,) in left:
        assert isinstance(seq, int)
        db.execute(
            "UPDATE call SET state = 'in_doubt', error = ? WHERE session = ? AND seq = ?",
            (why, session, seq),
        )
        put_event(db, session, CallState.IN_DOUBT, {"error": why}, seq)


def came_too_late(db: apsw.Connection, call: CallRow) -> None:
    """A call that turns out to have happened when its session was taken back already is for a person to take back."""
    why = "it turned out to have happened when the rollback was over; roll back again"
    left = db.execute("SELECT n FROM undo WHERE session = ? AND seq = ? AND outcome IS NULL", (call.session, call.seq))
    for (n,) in left.fetchall():
        undo = UndoRow(session=call.session, seq=call.seq, n=int(str(n)), name="")
        change_undo(db, undo, UndoState.DONE, Outcome.FAILED, why, None)
        put_event(db, call.session, f"undo {Outcome.FAILED}", {"detail": why}, call.seq, undo.n)


def put_event(
    db: apsw.Connection, session: str, kind: str, data: dict[str, Json], seq: int | None = None, n: int | None = None
) -> int:
    """Append an event to the chain; return its number, by which a call names the two events that are in no index."""
    present = {name: value for name, value in data.items() if value is not None}
    last: Any = db.execute("SELECT id, hash FROM event ORDER BY id DESC LIMIT 1").fetchone()
    number, before = (last[0] + 1, last[1] or FIRST) if last else (1, FIRST)
    text, salt, at, kind = dumps(present), new_salt(), time.time(), str(kind)
    digest = digest_of(salt, text)
    link = hash_of(before, (number, session, seq, n, kind, at), digest)
    db.execute(
        "INSERT INTO event (id, session, seq, n, kind, at, data, salt, digest, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (number, session, seq, n, kind, at, text, salt, digest, link),
    )
    return number


def seal(*values: Any) -> str:
    """SHA-256 over columns of a row, for the event that tells of them: `audit verify` compares it with the row."""
    return hashlib.sha256(canonical(values)).hexdigest()
