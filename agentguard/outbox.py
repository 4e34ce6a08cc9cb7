"""Held calls: what cannot be taken back waits until the session completes, and is dropped where it is rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agentguard import leases
from agentguard.calls import Answer, Call, CallState, Certainty, Json
from agentguard.engine import finish, handler_of, prepare, record
from agentguard.entries import rows_of
from agentguard.errors import AgentguardError, HeldNotSent, Refused, SessionLost
from agentguard.flow import Border, Commit, Flow, Perform, Sent
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.replay import found_again
from agentguard.work import Work

if TYPE_CHECKING:
    from agentguard.session import Session

_UNSENDABLE = frozenset({"$bytes", "$stream", "$large"})


def check_can_be_held(row: CallRow, arguments: Json) -> None:
    """Raise Refused where a call could not be sent later from what is on record of it."""
    if _has_stand_in(arguments):
        raise Refused(
            f"{row.operation} on {row.target} has to be held by {row.rule}, and its body is not one that can be sent "
            "from the ledger later (a stream, or bytes that are not JSON). Nothing was sent. Have it approved instead."
        )


def _has_stand_in(value: Json) -> bool:
    if isinstance(value, dict):
        return bool(value.keys() & _UNSENDABLE) or any(_has_stand_in(item) for item in value.values())
    return isinstance(value, list) and any(_has_stand_in(item) for item in value)


def send_held(session: Session) -> Flow[list[str]]:
    """Send what is held, oldest first; return what could not be sent, and why."""
    failed = []
    for call in session.ledger.held(session.id):
        try:
            told = yield from _send(session, session.clients.of(call), call)
        except SessionLost:
            raise
        except AgentguardError as error:
            told = str(error)
        if told:
            failed.append(f"call {call.seq} ({call.operation} on {call.target}): {told}")
    return failed


def _send(session: Session, border: Border, call: CallRow) -> Flow[str]:
    """Send one held call; return what went wrong, "" where nothing did."""
    connector, redactor = border.connector, session.redactor
    operation = connector.table.by_name[call.name]
    arguments = redactor.reveal(call.arguments)
    work = Work(session, border, operation, Call(call.name, arguments), call.method, key=call.key, mark=call.mark)
    steps = handler_of(work)
    forward = yield from prepare(work, steps)
    keyed = connector.idempotency_header is not None
    row: CallRow = yield Commit("intent", lambda: _let_go(session, call, rows_of(work), keyed))
    headers = dict(forward.headers)
    if connector.idempotency_header and row.key:
        headers[connector.idempotency_header] = row.key
    sending = Call(call.name, {**arguments, **forward.arguments})
    try:
        answer: Answer = yield Perform(border, sending, headers, session.check_owner)
    except Exception as error:  # noqa: BLE001 - whatever the transport raises is told with the others
        state = CallState.NOT_APPLIED if border.never_left(error) else CallState.IN_DOUBT
        told = redactor.clean_text(f"{type(error).__name__}: {error}")
        yield Commit("result", lambda: session.ledger.settle(row, state, row.token, error=told))
        return told
    sent = Sent(answer, None, {**found_again(redactor.clean(answer.value)), "status": answer.status})
    if answer.certainty is Certainty.HAPPENED:
        yield from finish(work, steps, answer)
        yield Commit("result", lambda: record(work, row, CallState.COMMITTED, sent))
        return ""
    state = CallState.NOT_APPLIED if answer.certainty is Certainty.REFUSED else CallState.IN_DOUBT
    yield Commit("result", lambda: record(work, row, state, sent))
    return answer.error or "it was not accepted"


def _let_go(session: Session, call: CallRow, undos: list[UndoRow], keyed: bool) -> CallRow:
    asked = leases.now()
    row = session.ledger.let_go(msgspec.structs.replace(call, token=session.token), undos, keyed)
    session.ownership.seen(row.token, asked)
    return row


def not_sent(session: str, failed: list[str]) -> HeldNotSent:
    """What a program is told where held calls could not be sent."""
    return HeldNotSent(
        f"session {session} is complete, and {len(failed)} of its held calls were not sent, or it is not known whether "
        f"they were: {'; '.join(failed)}. They are on record: see `agentguard show {session}`."
    )
