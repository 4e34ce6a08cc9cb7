"""The statements behind `SqliteLedger`, each within a transaction of its."""

from __future__ import annotations

import time
from typing import Any

import apsw
import msgspec

from agentguard.calls import Json
from agentguard.errors import LedgerError, NoSuchSession
from agentguard.ledger.columns import COLUMNS, dumps
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, UndoRow


def insert(db: apsw.Connection, row: SessionRow | CallRow | UndoRow) -> None:
    """Insert *row* as it is."""
    columns = COLUMNS[type(row)]
    db.execute(columns.insert, columns.dump(row))


def next_seq(db: apsw.Connection, session: str) -> int:
    """The number of the next call of a session."""
    return number(db, "SELECT coalesce(max(seq), 0) + 1 FROM call WHERE session = ?", session)


def number(db: apsw.Connection, query: str, *values: str) -> int:
    """The one number that *query* asks for."""
    (found,) = next(iter(db.execute(query, values)))
    return int(found)


def state_of(db: apsw.Connection, session: str) -> SessionState:
    """Where a session stands. Raises LedgerError where that cannot be told."""
    found = db.execute("SELECT state FROM session WHERE id = ?", (session,)).fetchone()
    if found is None:
        raise NoSuchSession(f"there is no session {session!r} in this ledger. Nothing was sent.")
    try:
        return SessionState(found[0])
    except ValueError as error:
        raise LedgerError(
            f"session {session} stands at {found[0]!r}, which this version of agentguard does not know. "
            "Nothing was sent. Use the version that wrote it, or a newer one."
        ) from error


def key_of(db: apsw.Connection, call: CallRow) -> tuple[int, str]:
    """The ordinal and the idempotency key of *call*.

    An equal call that is in doubt is repeated under its own key, so that the service can tell that it is the same one;
    every other equal call counts as one that was meant, and has a key that no call had before.
    """
    doubtful: Any = db.execute(
        "SELECT ordinal, key FROM call AS doubt WHERE session = ? AND digest = ? AND state = 'in_doubt' "
        "AND NOT EXISTS (SELECT 1 FROM call WHERE session = doubt.session AND digest = doubt.digest "
        "AND key = doubt.key AND state IN ('intent', 'committed')) ORDER BY seq LIMIT 1",
        (call.session, call.digest),
    ).fetchone()
    if call.key is None and doubtful is not None:
        return int(doubtful[0]), str(doubtful[1])
    used = "SELECT coalesce(max(ordinal) + 1, 0) FROM call WHERE session = ? AND digest = ? AND state != 'refused'"
    ordinal = number(db, used, call.session, call.digest)
    return ordinal, call.key or f"agentguard-{call.session}-{call.digest[:16]}-{ordinal}"


def put_undos(db: apsw.Connection, call: CallRow, undos: list[UndoRow]) -> None:
    """Insert the undos of *call*."""
    for n, row in enumerate(undos, 1):
        insert(db, msgspec.structs.replace(row, seq=call.seq, n=n))


def put_event(
    db: apsw.Connection, session: str, kind: str, data: dict[str, Json], seq: int | None = None, n: int | None = None
) -> None:
    """Append an event."""
    present = {name: value for name, value in data.items() if value is not None}
    db.execute(
        "INSERT INTO event (session, seq, n, kind, at, data) VALUES (?, ?, ?, ?, ?, ?)",
        (session, seq, n, str(kind), time.time(), dumps(present)),
    )
