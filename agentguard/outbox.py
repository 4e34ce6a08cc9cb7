"""Held calls: what cannot be taken back waits until the session completes, and is dropped where it is rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agentguard import leases
from agentguard.calls import Answer, Call, CallState, Certainty, Json
from agentguard.engine import finish, handler_of, prepare, record, verify
from agentguard.entries import rows_of
from agentguard.errors import AgentguardError, HeldNotSent, Refused, SessionBusy, SessionLost
from agentguard.flow import Border, Commit, Flow, Perform, Sent
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.operations import OperationTable
from agentguard.replay import found_again
from agentguard.unwinding import wait_for_calls
from agentguard.work import Work

if TYPE_CHECKING:
    from agentguard.session import Session

_UNSENDABLE = frozenset({"$bytes", "$stream", "$large"})


def check_can_be_held(row: CallRow, arguments: Json, table: OperationTable) -> None:
    """Raise Refused where a call could not be sent later from what is on record of it."""
    if row.name not in table.by_name:
        raise Refused(
            f"{row.operation} has to be held by {row.rule}, and no connector knows how to send it later. Nothing was "
            "sent. Have it approved instead."
        )
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
    elsewhere = False
    for call in session.ledger.held(session.id):
        try:
            with session.taking_call(checked=False):  # a rollback waits for it
                told = yield from _send(session, session.clients.of(call), call)
        except SessionLost:
            raise
        except SessionBusy:
            elsewhere = True
            continue
        except AgentguardError as error:
            told = str(error)
            yield from _drop(session, call, told)
        if told:
            failed.append(f"call {call.seq} ({call.operation} on {call.target}): {told}")
    if elsewhere:
        yield from wait_for_calls(session)
    return failed


def _drop(session: Session, call: CallRow, told: str) -> Flow[None]:
    """Put on record that a call that is still held is never sent: its session ends now."""
    if session.ledger.call(session.id, call.seq).state is CallState.HELD:
        why = session.redactor.clean_text(told)
        yield Commit("result", lambda: session.ledger.settle(call, CallState.NOT_APPLIED, session.token, error=why))


def _send(session: Session, border: Border, call: CallRow) -> Flow[str]:
    """Send one held call; return what went wrong, "" where nothing did."""
    connector, redactor = border.connector, session.redactor
    operation = connector.table.by_name[call.name]
    arguments = redactor.reveal(call.arguments)
    work = Work(session, border, operation, Call(call.name, arguments), call.method, key=call.key, mark=call.mark)
    steps = handler_of(work)
    forward = yield from prepare(work, steps)
    work.changed = dict(forward.arguments)
    ruling = session.gatekeeper.judge(work, call)
    work.undoable = ruling.undoable
    keyed = connector.idempotency_header is not None
    row: CallRow = yield Commit("intent", lambda: _let_go(session, call, rows_of(work), keyed))
    headers = dict(forward.headers)
    if connector.idempotency_header and row.key:
        headers[connector.idempotency_header] = row.key
    sending = Call(call.name, {**arguments, **forward.arguments})
    try:
        answer: Answer = yield Perform(border, sending, headers, session.check_owner)
    except SessionLost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the transport raises is told with the others
        state = CallState.NOT_APPLIED if border.never_left(error) else CallState.IN_DOUBT
        told = redactor.clean_text(f"{type(error).__name__}: {error}")
        yield Commit("result", lambda: session.ledger.settle(row, state, row.token, error=told))
        return told
    sent = Sent(answer, None, {**found_again(redactor.clean(answer.value)), "status": answer.status})
    if answer.certainty is Certainty.HAPPENED:
        try:
            yield from finish(work, steps, answer)
        finally:
            yield Commit("result", lambda: record(work, row, CallState.COMMITTED, sent))
        if ruling.verify:
            yield from verify(work, row)
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
        f"session {session} is complete, and {len(failed)} of its held calls were not sent, not as they were meant, or "
        f"it is not known whether they were: {'; '.join(failed)}. They are on record: see `agentguard show {session}`."
    )
