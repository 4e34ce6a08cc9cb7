"""The part of the ledger that people write: approvals, freezes; and what was used up of limits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from agentguard import leases
from agentguard.calls import CallState, Json
from agentguard.errors import ApprovalInvalid, Frozen, LimitReached, NoSuchApproval, SessionBusy
from agentguard.ledger.columns import COLUMNS, dumps, loads
from agentguard.ledger.database import Database
from agentguard.ledger.reading import rows
from agentguard.ledger.rows import ApprovalRow, CallRow, FreezeRow, SessionRow, SessionState, UndoRow
from agentguard.ledger.statements import change_undo, put_event

EVERYTHING = "*"
"""The scope of a freeze of all sessions."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call takes from one limit, and what there is."""

    name: str
    """The limit's own name, and the session where it is one for each session."""
    amount: float
    most: float
    window: float | None
    """Seconds; None: for the session's whole life."""
    label: str
    """The limit in words."""
    waived: bool = False
    """Whether a person has agreed that it be passed."""


@dataclass(frozen=True, slots=True)
class Permit:
    """By what a call may be sent: checked and used up in the transaction that puts its intent on record."""

    digest: str = ""
    """Of the exact call, as its approval has it."""
    charges: Sequence[Charge] = ()


NO_PERMIT = Permit()


class People:
    """Approvals, freezes and limits in one ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Approvals

    def ask(self, request: ApprovalRow, besides: Sequence[str] = ()) -> ApprovalRow:
        """Put a request on record; return the one that is there already for the same call and is still of use.

        *besides* are those that are of none, as whoever decided them may not.
        """

        def job(db: apsw.Connection) -> ApprovalRow:
            known = _approval(
                db,
                "WHERE session = ? AND digest = ? AND state IN ('pending', 'approved') AND expires_at > ? "
                "AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY requested_at",
                (request.session, request.digest, time.time(), dumps(list(besides))),
            )
            if known is not None:
                return known
            columns = COLUMNS[ApprovalRow]
            db.execute(columns.insert, columns.dump(request))
            put_event(
                db,
                request.session,
                "approval asked for",
                {"approval": request.id, "operation": request.operation, "digest": request.digest},
            )
            return request

        return self._database.write("approval", job, durable=True)

    def approval(self, name: str) -> ApprovalRow:
        """Return one request. Raises NoSuchApproval."""
        found = self._database.read(lambda db: _approval(db, "WHERE id = ?", (name,)))
        if found is None:
            raise NoSuchApproval(
                f"there is no request {name!r}. Nothing was decided. `agentguard approvals` lists them."
            )
        return found

    def approvals(self, *, session: str | None = None, pending: bool = False) -> list[ApprovalRow]:
        """Return the requests, oldest first: of one session or all, those that wait or all."""
        where = "WHERE state = 'pending'" if pending else "WHERE true"
        query = f"{where} AND session = coalesce(?, session) ORDER BY requested_at"
        return rows(self._database, ApprovalRow, query, session)

    def decide(self, decision: ApprovalRow) -> None:
        """Put a decision on record. Raises ApprovalInvalid where the request does not wait for one any more."""

        def job(db: apsw.Connection) -> None:
            db.execute(
                "UPDATE approval SET state = ?, decided_at = ?, decided_by = ?, why = ?, key = ?, signature = ? "
                "WHERE id = ? AND state = 'pending' AND expires_at > ?",
                (
                    decision.state,
                    decision.decided_at,
                    decision.decided_by,
                    decision.why,
                    decision.key,
                    decision.signature,
                    decision.id,
                    time.time(),
                ),
            )
            if db.changes() != 1:
                raise ApprovalInvalid(
                    f"the request {decision.id} does not wait for a decision any more: it is decided, used or expired. "
                    "Nothing was decided."
                )
            told = {"approval": decision.id, "digest": decision.digest, "by": decision.decided_by, "why": decision.why}
            put_event(db, decision.session, f"approval {decision.state}", {**told, "key": decision.key})

        self._database.write("approval", job, durable=True)

    def use(self, name: str, undo: UndoRow, digest: str) -> None:
        """Use an approval up for an undo. Raises ApprovalInvalid where it is not one for exactly this undo, now."""
        call = CallRow(session=undo.session, seq=undo.seq, connector="", base="", name=undo.name, approval=name)
        self._database.write("approval", lambda db: consume(db, call, digest), durable=True)

    # What needs a person

    def open_items(self) -> tuple[list[CallRow], list[UndoRow]]:
        """Return the calls in doubt or not as sent, and the undos that did not work, of all sessions.

        Those that a person has closed are among them. A call that was about to be sent is in doubt where nobody is
        there any more to whom an answer could come; where its session has ended, the ledger says so itself.
        """
        left = [
            call
            for session in (
                *rows(self._database, SessionRow, "WHERE state IN ('open', 'rolling_back')"),
                *rows(self._database, SessionRow, "WHERE state = 'interrupted'"),
            )
            if not leases.lives(session.owner, session.lease_until)
            for call in rows(self._database, CallRow, "WHERE session = ? AND state = 'intent'", session.id)
        ]
        known = {(call.session, call.seq) for call in left}
        said = rows(self._database, CallRow, "WHERE state = 'in_doubt'")
        doubtful = left + [call for call in said if (call.session, call.seq) not in known]
        doubtful.sort(key=lambda call: (call.session, call.seq))
        differing = rows(
            self._database, CallRow, "WHERE verified IS NOT NULL AND verified <> 'ok' ORDER BY session, seq"
        )
        undos = rows(
            self._database, UndoRow, "WHERE outcome IN ('conflict', 'in_doubt', 'failed') ORDER BY session, seq, n"
        )
        return doubtful + differing, undos

    def resolve(self, row: CallRow | UndoRow, resolution: Json, seen: CallRow | UndoRow, token: int) -> None:
        """Put a person's decision about a call or an undo on record, with what it makes of the row's state.

        The person has *seen* the row as it was under the owner with *token*. Raises SessionBusy where a process or
        another person has been there since.
        """

        def job(db: apsw.Connection) -> None:
            if isinstance(seen, UndoRow):
                found: Any = db.execute(
                    "SELECT token, undo.state, undo.resolution FROM undo JOIN session ON id = session "
                    "WHERE session = ? AND seq = ? AND n = ?",
                    (seen.session, seen.seq, seen.n),
                ).fetchone()
            else:
                found = db.execute(
                    "SELECT session.token, call.state, call.resolution FROM call JOIN session ON id = session "
                    "WHERE session = ? AND seq = ?",
                    (seen.session, seen.seq),
                ).fetchone()
            if found is None or (found[0], found[1], loads(found[2])) != (token, seen.state, seen.resolution):
                raise SessionBusy(
                    f"somebody else has seen to call {seen.seq} of session {seen.session} meanwhile. Nothing was done. "
                    "Look at it again: `agentguard queue`."
                )
            if isinstance(row, CallRow):
                db.execute(
                    "UPDATE call SET state = ?, error = ?, verified = ?, resolution = ? WHERE session = ? AND seq = ?",
                    (row.state, row.error, row.verified, dumps(resolution), row.session, row.seq),
                )
                if row.state is CallState.NOT_APPLIED:
                    give_back(db, row)
                put_event(db, row.session, "resolved", resolution, row.seq)
                return
            change_undo(db, row, row.state, row.outcome, row.detail, row.found)
            db.execute(
                "UPDATE undo SET resolution = ? WHERE session = ? AND seq = ? AND n = ?",
                (dumps(resolution), row.session, row.seq, row.n),
            )
            put_event(db, row.session, "resolved", resolution, row.seq, row.n)

        self._database.write("decision", job, durable=True)

    def conclude(self, session: str) -> None:
        """Say of a session whose rollback had left something that everything is taken back now."""

        def job(db: apsw.Connection) -> None:
            db.execute("UPDATE session SET state = 'rolled_back' WHERE id = ? AND state = 'partial'", (session,))
            put_event(db, session, f"session {SessionState.ROLLED_BACK}", {"cause": "its last open item is settled"})

        self._database.write("end", job, durable=True)

    # Freezing

    def freeze(self, scope: str, by: str, why: str) -> None:
        """Stop the session *scope*, or all with `EVERYTHING`."""

        def job(db: apsw.Connection) -> None:
            db.execute(
                "INSERT INTO freeze (scope, by, why, at) VALUES (?, ?, ?, ?) ON CONFLICT (scope) DO NOTHING",
                (scope, by, why, time.time()),
            )
            put_event(db, scope, "frozen", {"by": by, "why": why})

        self._database.write("freeze", job, durable=True)

    def thaw(self, scope: str, by: str) -> bool:
        """Let the session *scope*, or all with `EVERYTHING`, go on; False where it was not frozen."""

        def job(db: apsw.Connection) -> bool:
            db.execute("DELETE FROM freeze WHERE scope = ?", (scope,))
            thawed = db.changes() == 1
            if thawed:
                put_event(db, scope, "thawed", {"by": by})
            return thawed

        return self._database.write("freeze", job, durable=True)

    def freezes(self) -> list[FreezeRow]:
        """Return what is frozen."""
        return rows(self._database, FreezeRow, "ORDER BY at")

    def check_frozen(self, session: str) -> None:
        """Raise Frozen where *session* is."""
        self._database.read(lambda db: check_frozen(db, session))

    # Limits

    def used(self, charge: Charge) -> float:
        """How much of a limit is used up."""
        return self._database.read(lambda db: used(db, charge))


def check_frozen(db: apsw.Connection, session: str) -> None:
    """Raise Frozen where *session*, or everything, is frozen."""
    found: Any = db.execute("SELECT scope, by, why FROM freeze WHERE scope IN (?, '*')", (session,)).fetchone()
    if found is not None:
        what = "everything is" if found[0] == EVERYTHING else f"session {session} is"
        thaw = "--all" if found[0] == EVERYTHING else session
        raise Frozen(
            f"{what} frozen, by {found[1]}: {found[2] or 'no reason given'}. Nothing was sent. It goes on when "
            f"somebody runs `agentguard thaw {thaw}`."
        )


def used(db: apsw.Connection, charge: Charge) -> float:
    """How much of a limit is used up."""
    since = 0.0 if charge.window is None else time.time() - charge.window
    query = "SELECT coalesce(sum(amount), 0) FROM spent WHERE name = ? AND at > ?"
    found: Any = db.execute(query, (charge.name, since)).fetchone()
    return float(found[0])


def take(db: apsw.Connection, call: CallRow, charges: Sequence[Charge]) -> None:
    """Take what *call* needs from its limits. Raises LimitReached where one has not enough left."""
    for charge in charges:
        # Money comes as floats here, in which 0.1 + 0.2 is more than 0.3.
        if not charge.waived and round(used(db, charge) + charge.amount - charge.most, 9) > 0:
            raise LimitReached(
                f"{call.operation} on {call.target} would pass the limit of {charge.label}: "
                f"{used(db, charge):g} of {charge.most:g} are used. Nothing was sent."
            )
        db.execute(
            "INSERT INTO spent (name, at, session, seq, amount) VALUES (?, ?, ?, ?, ?)",
            (charge.name, time.time(), call.session, call.seq, charge.amount),
        )


def give_back(db: apsw.Connection, call: CallRow) -> None:
    """A call that certainly did not happen has used nothing up."""
    db.execute("DELETE FROM spent WHERE session = ? AND seq = ?", (call.session, call.seq))


def consume(db: apsw.Connection, call: CallRow, digest: str) -> None:
    """Use an approval up for *call*. Raises ApprovalInvalid where it is not one for exactly this call, now."""
    if call.approval is None:
        return
    db.execute(
        "UPDATE approval SET state = 'consumed', seq = ? "
        "WHERE id = ? AND session = ? AND digest = ? AND state = 'approved' AND expires_at > ? "
        "AND NOT EXISTS (SELECT 1 FROM call WHERE session = ? AND approval = ?)",
        (call.seq, call.approval, call.session, digest, time.time(), call.session, call.approval),
    )
    if db.changes() != 1:
        raise ApprovalInvalid(
            f"the approval {call.approval} is not one for this call any more: it was used, has expired, or is for "
            "another call. Nothing was sent. Ask again."
        )


def _approval(db: apsw.Connection, where: str, values: tuple[Json, ...]) -> ApprovalRow | None:
    columns = COLUMNS[ApprovalRow]
    found = db.execute(f"SELECT {columns.names} FROM approval {where} LIMIT 1", values).fetchone()  # noqa: S608 - no value is in the text
    return None if found is None else columns.load(found)
