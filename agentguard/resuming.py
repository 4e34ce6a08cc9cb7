"""Going on where an earlier owner of a session was: what is on record is not made again, and its last checkpoint."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentguard.calls import CallState, Json
from agentguard.doubt import settle
from agentguard.errors import InDoubt, KeyReused, UsageError
from agentguard.flow import Commit, Flow
from agentguard.ledger.rows import ApprovalState, CallRow
from agentguard.ledger.statements import KEYS_LAST
from agentguard.replay import HAPPENED_OR_MAY_HAVE, taken_back
from agentguard.unwinding import Brake, Pace, work_for

if TYPE_CHECKING:
    from agentguard.session import Session
    from agentguard.work import Work


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a session's earlier owner was."""

    name: str
    state: Json
    """What the program itself put on record."""
    done: list[CallRow]
    """The calls that have happened, oldest first, also those after the checkpoint."""
    pending: list[CallRow]
    """The calls of which it is not known yet whether they happened."""
    approved: list[Json]
    """What people have agreed to and was not sent yet, as they were shown it."""


def save_checkpoint(session: Session, name: str, state: Json) -> None:
    """Put the program's *state* on record, durable."""
    try:
        kept = json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the state of the checkpoint {name!r} is not JSON ({error}). It was not put on record. "
            "Pass names and numbers instead of objects, so that another process can read it."
        ) from error
    session.ledger.note(session.id, "checkpoint", {"name": name, "state": session.redactor.clean(kept)}, durable=True)


def last_checkpoint(session: Session) -> Checkpoint | None:
    """What an earlier owner last put on record, with what is done and pending now."""
    saved = session.ledger.events(session.id, "checkpoint")
    if not saved:
        return None
    calls = session.calls
    return Checkpoint(
        saved[-1].data["name"],
        session.redactor.reveal_known(saved[-1].data.get("state")),
        [call for call in calls if call.state is CallState.COMMITTED],
        [call for call in calls if call.state in (CallState.INTENT, CallState.IN_DOUBT)],
        [
            approval.card
            for approval in session.ledger.people.approvals(session=session.id)
            if approval.state is ApprovalState.APPROVED and approval.expires_at > time.time()
        ],
    )


def on_record(session: Session, work: Work) -> Flow[CallRow | None]:
    """Find the call that *work* makes again, and settle it where it is in doubt; None where it is a new one."""
    earlier = _named(session, work) if work.once else session.memory and session.memory.take(work.digest)
    if not earlier:
        return None
    known: CallRow | None = earlier
    try:
        if earlier.state not in (CallState.COMMITTED, CallState.HELD):
            known = yield from _settled(session, work, earlier)
        if known is not None and known.state is CallState.COMMITTED:
            work.border.replay(known)  # raises AnswerLost
    except BaseException:
        # Nothing came of it, so that a retry is the same call, and not one more.
        if session.memory is not None and not work.once:
            session.memory.put_back(earlier)
        raise
    if known is not None:
        data = {"call": known.seq, "operation": known.operation}
        yield Commit("note", lambda: session.ledger.note(session.id, "repeated", data))
    return known


def _named(session: Session, work: Work) -> CallRow | None:
    """The call of that name; raises KeyReused where it was a different one."""
    assert work.once is not None
    gone = taken_back(session.ledger.undos(session.id))
    rows = session.ledger.named(session.id, work.once)
    known = next((r for r in reversed(rows) if r.state in HAPPENED_OR_MAY_HAVE and r.seq not in gone), None)
    if known is not None and known.digest != work.digest:
        raise KeyReused(
            f"{work.once!r} is the name of call {known.seq} of session {session.id}, {known.operation} on "
            f"{known.target}, and this call is a different one. Nothing was sent. Give each call a name of its own, or "
            "the same arguments."
        )
    return known


def _settled(session: Session, work: Work, known: CallRow) -> Flow[CallRow | None]:
    """Find out whether *known* happened; None where it certainly did not."""
    told = f"{known.operation} on {known.target} is call {known.seq} of session {session.id} again"
    if known.state is CallState.INTENT and known.token == session.token:
        raise InDoubt(f"{told}, which is under way. Nothing was sent. Wait for that one.")
    undos = [undo for undo in session.ledger.undos(session.id) if undo.seq == known.seq]
    verdict = yield from settle(work_for(session, Brake(Pace())), work.border, known, undos)
    if verdict.state is CallState.NOT_APPLIED or (verdict.outcome is not None and verdict.outcome.ok):
        return None
    if verdict.state is CallState.COMMITTED:
        return session.ledger.call(session.id, known.seq)
    if known.key and work.connector.idempotency_header:
        first = min(call.created_at for call in session.calls if call.key == known.key)
        if time.time() - first < KEYS_LAST:
            return None  # it goes out again under its key, by which the service knows whether it is the same one
    raise InDoubt(
        f"{told}, and it is not known whether that happened ({verdict.why}). Nothing was sent. See "
        f"`agentguard queue`, and say what happened with `agentguard resolve {session.id}/{known.seq}`."
    )
