"""A call whose answer never came: did it happen? Decided by evidence, and otherwise left to a person.

In this order: what the process that made it has said since; a repeat under the same idempotency key; the connector's
finder; the state that its snapshot is of. That it happened is believed at once. That it did not is believed only when
a second look, after every request of that time must have landed or been given up, shows nothing either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import msgspec

from agentguard import leases
from agentguard.calls import (
    Answer,
    Call,
    CallState,
    Certainty,
    Forward,
    Handler,
    Json,
    NoUndo,
    Outcome,
    Read,
    Undo,
    as_sent,
    matches,
)
from agentguard.connector import Connector, bind
from agentguard.engine import finish, handler_of, look, record
from agentguard.entries import row_of, rows_of
from agentguard.flow import Border, Commit, Flow, Pause, Sent
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.ledger.statements import KEYS_LAST
from agentguard.replay import found_again
from agentguard.report import CallOutcome
from agentguard.undoing import is_final, looks_at, see, shows
from agentguard.wire.codec import body_of
from agentguard.work import Context, Work

POLL_SECONDS = 0.05
DEADLINE = "AGENTGUARD_SEND_DEADLINE"


def send_deadline() -> float:
    """Seconds after which a request has landed or was given up: AGENTGUARD_SEND_DEADLINE, agentguard.toml, or 30."""
    from agentguard.config import seconds

    return seconds(DEADLINE, "send_deadline", 30.0)


@dataclass(slots=True)
class Unwinding:
    """A rollback or a recovery under way."""

    context: Context
    border_for: Callable[[CallRow], Border]
    """Finds the client for a call. Raises an AgentguardError where there is none."""
    connector_for: Callable[[CallRow], Connector]
    """Finds the connector of a call, with or without a client."""
    earlier: str | None = None
    """The owner from whom the session was taken: what it still has under way, it may still tell of."""
    deadline: float = field(default_factory=send_deadline)
    deleted: set[int] = field(default_factory=set)
    """Calls that made what another call of this session has deleted."""
    halted: Callable[[], str] = lambda: ""
    """Why no further undo may be begun; empty where there is no reason."""
    alarm: Callable[[CallOutcome], None] = lambda _result: None
    """Called with every call that is not taken back."""
    agreed: bool = False
    """Whether a person has agreed to every undo, as one does who runs a rollback from a shell."""
    force: bool = False
    """Whether a person has decided that what somebody else changed since may be overwritten."""

    @property
    def token(self) -> int:
        """By which this process writes."""
        return self.context.token

    def landing(self, undo: UndoRow) -> float:
        """Seconds until an undo that was sent before must have landed or been given up."""
        return min(max((undo.updated_at or 0.0) + self.deadline - time.time(), 0.0), self.deadline)

    def remaining(self, call: CallRow) -> float:
        """Seconds until *call* must have landed or been given up."""
        return min(max(call.created_at + self.deadline - time.time(), 0.0), self.deadline)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a doubtful call now."""

    state: CallState
    undos: list[UndoRow] = field(default_factory=list)
    outcome: Outcome | None = None
    """What a rollback reports of it, where there is nothing left to undo."""
    why: str = ""


def settle(work: Unwinding, border: Border, call: CallRow, undos: list[UndoRow]) -> Flow[Verdict]:
    """Find out whether a doubtful call happened, and put that on record."""
    told = yield from late_answer(work, call)
    if told is not None:
        state, answer, response = told
        if state is CallState.COMMITTED:
            rebuilt = yield from rebuild(work, border, call, undos, answer, response)
            if rebuilt is not None:
                return Verdict(CallState.COMMITTED, rebuilt)
        else:
            return (yield from did_not(work, call, "the process that made it said so, after it had lost the session"))
    same = repeated(work.context.ledger.calls(call.session), call)
    if same is not None:
        why = f"settled by call {same.seq}, which it repeated under the same idempotency key"
        return (yield from did_not(work, call, why))
    if call.name in border.connector.finders:
        return (yield from by_finder(work, border, call, undos))
    if undos and all(undo.look for undo in undos):
        return (yield from by_state(work, border, call, undos))
    return (yield from unknown(work, call, undos, "the answer was lost, and nothing shows whether it happened"))


def late_answer(work: Unwinding, call: CallRow) -> Flow[tuple[CallState, Json, Json] | None]:
    """What the process that made *call* has said of it since it lost the session; waits while it may still do so."""
    until = leases.now() + (0.0 if leases.is_gone(work.earlier) else work.remaining(call))
    while True:
        for event in work.context.ledger.events(call.session, "late answer"):
            if event.seq == call.seq and event.data["state"] in (CallState.COMMITTED, CallState.NOT_APPLIED):
                return CallState(event.data["state"]), event.data.get("answer"), event.data.get("response")
        if leases.now() >= until or leases.is_gone(work.earlier):
            return None
        yield Pause(POLL_SECONDS)


def by_finder(work: Unwinding, border: Border, call: CallRow, undos: list[UndoRow]) -> Flow[Verdict]:
    """Look the effect up; a second time when the request must have landed, where the first look shows none."""
    located = border.connector.finders[call.name]
    while True:
        waits = work.remaining(call)
        gone, why = False, "the answer was lost, and looking for it found nothing, which proves nothing"
        try:
            found = yield from find(work, border, call)
        except Exception as error:  # noqa: BLE001 - a connection or a finder that breaks stops no other undo
            told = work.context.redactor.clean_text(f"{type(error).__name__}: {error}")
            why = f"it is not known whether it happened; looking it up failed: {told}"
        else:
            if found is not None:
                return (yield from as_found(work, border, call, undos, found))
            gone = located.authoritative
        if not waits:
            break
        yield Pause(waits)
    if gone:
        why = "looked up after the answer was lost, by what shows it for certain: it is not there"
        return (yield from did_not(work, call, why))
    return (yield from unknown(work, call, undos, why))


def as_found(work: Unwinding, border: Border, call: CallRow, undos: list[UndoRow], found: Json) -> Flow[Verdict]:
    """It happened, and *found* is what it made, as it is by now."""
    connector = border.connector
    if not connector.finders[call.name].exact:
        sent = work.context.redactor.reveal(call.arguments)
        found = as_sent(found, body_of(connector.table.by_name[call.name], sent))
    rebuilt = yield from rebuild(work, border, call, undos, found)
    if rebuilt is None:
        why = "the answer was lost, and what was found belongs to another call"
        return (yield from unknown(work, call, undos, why))
    return Verdict(CallState.COMMITTED, rebuilt)


def by_state(work: Unwinding, border: Border, call: CallRow, undos: list[UndoRow]) -> Flow[Verdict]:
    """Look at what it would have changed: is it as the call leaves it, or as it was before?"""
    ledger, reveal = work.context.ledger, work.context.redactor.reveal
    waits = list(looks_at(call.settled_at or call.created_at))
    for wait in (*waits, None):
        remaining = work.remaining(call) if wait is None else wait
        if wait is None and not remaining:
            break
        if remaining:
            yield Pause(remaining)
        shown = []
        for undo in undos:
            live = yield from see(border, undo, reveal)
            shown.append((matches(reveal(undo.left), live), shows(undo, live, work.context)))
        if not all(back for _left, back in shown):
            break
    if all(back for _left, back in shown):
        # On record, as the undo of an older call may take the thing itself away, and then nothing shows it again.
        told = "the answer was lost; the state from before the call was read back"
        yield from unknown(work, call, undos, told)
        for undo in undos:
            yield Commit("undo_result", partial(ledger.end_undo, undo, Outcome.ALREADY_UNDONE, told, None, work.token))
        return Verdict(CallState.IN_DOUBT, undos, Outcome.ALREADY_UNDONE, told)
    if any(left and not back for left, back in shown) and all(left or back for left, back in shown):
        # It happened, all of it or, of a batch, a part: each undo looks for itself what there is to undo.
        response = None
        if undos[-1].same_shape and undos[-1].look is not None:
            # The call's own answer has the shape that the look returns: a resumed session can have it.
            seen = undos[-1].look
            raw = yield from look(border, Read(seen["operation"], reveal(seen["arguments"])))
            response = found_again(work.context.redactor.clean(raw))
        whole: list[UndoRow] | None = None
        if goes_on(work, border, call, undos):
            call.error = "what else the call changed is not known: its answer was lost"
            whole = numbered(call, [*undos, row_of(work.context, NoUndo(Outcome.FAILED, call.error))])
        settle = partial(ledger.settle, call, CallState.COMMITTED, work.token, undos=whole, response=response)
        yield Commit("verdict", partial(settle, error=call.error if whole else None, kind="verdict"))
        return Verdict(CallState.COMMITTED, whole or undos)
    return (yield from unknown(work, call, undos, "the answer was lost, and nothing shows whether it happened"))


def did_not(work: Unwinding, call: CallRow, why: str) -> Flow[Verdict]:
    """Put on record that it certainly did not happen."""
    yield Commit(
        "verdict",
        lambda: work.context.ledger.settle(call, CallState.NOT_APPLIED, work.token, error=why, kind="verdict"),
    )
    return Verdict(CallState.NOT_APPLIED, why=why)


def unknown(work: Unwinding, call: CallRow, undos: list[UndoRow], why: str) -> Flow[Verdict]:
    """Put on record what was looked for in vain; a person has to decide."""
    if call.state is not CallState.IN_DOUBT or call.error is None:
        ledger = work.context.ledger
        yield Commit("verdict", lambda: ledger.settle(call, CallState.IN_DOUBT, work.token, error=why, kind="verdict"))
    return Verdict(CallState.IN_DOUBT, undos, Outcome.IN_DOUBT, why)


def repeated(calls: list[CallRow], call: CallRow) -> CallRow | None:
    """The call that happened and that *call* repeats: the service does what has one idempotency key once."""

    def same(other: CallRow) -> bool:
        where = (other.connector, other.base, other.name) == (call.connector, call.base, call.name)
        return where and other.key == call.key and 0 <= call.created_at - other.created_at < KEYS_LAST

    happened = (other for other in calls if other.seq < call.seq and other.state is CallState.COMMITTED)
    return next((other for other in happened if same(other)), None) if call.key else None


def find(work: Unwinding, border: Border, call: CallRow) -> Flow[Json]:
    """Run the connector's finder for *call*."""
    finder = border.connector.finders[call.name].finder
    arguments = work.context.redactor.reveal(call.arguments)
    since = _iso(call.created_at)
    snapshots = work.context.redactor.reveal(call.snapshots)
    special = {"since": since, "key": call.key, "mark": call.mark, "snapshots": snapshots}
    steps = finder(**bind(finder, Call(call.name, arguments), **special))
    reply: Json = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = yield from look(border, step)


def rebuild(
    work: Unwinding, border: Border, call: CallRow, known: list[UndoRow], found: Json, response: Json = None
) -> Flow[list[UndoRow] | None]:
    """Run the handler again over what is on record, with *found* for the lost answer; register its undos.

    The undos that are *known* since the intent are whole, while a large snapshot is not kept: they count. None: what
    was found is what another call of the session made, so that it says nothing about this one.
    """
    again, steps = replayed(work, border, call, known)
    before = len(again.undos)
    answer = Answer(200, found, Certainty.HAPPENED)
    yield from finish(again, steps, answer)
    others = {_identity(u) for u in work.context.ledger.undos(call.session) if u.seq != call.seq and not is_final(u)}
    if any(_identity(row) in others for row in rows_of(again)[before:] if row.name):
        return None
    sent = Sent(answer, None, response or {**found_again(None), "json": work.context.redactor.clean(found)})
    yield Commit("verdict", lambda: record(again, call, CallState.COMMITTED, sent, token=work.token, kind="verdict"))
    call.error = again.gap
    return numbered(call, rows_of(again))


def replayed(work: Unwinding, border: Border, call: CallRow, known: list[UndoRow]) -> tuple[Work, Handler]:
    """Run the handler of *call* up to its `forward()` over what is on record; the undos *known* keep their values."""
    redactor = work.context.redactor
    operation = border.connector.table.by_name[call.name]
    again = Work(work.context, border, operation, Call(call.name, redactor.reveal(call.arguments)), mark=call.mark)
    steps = handler_of(again)
    taken = iter(call.snapshots)
    step = next(steps)
    while not isinstance(step, Forward):
        reply = None
        if isinstance(step, Read):
            reply = redactor.reveal(next(taken, None))
            again.snapshots.append(reply)
        elif isinstance(step, Undo) and len(again.undos) < len(known):
            row = known[len(again.undos)]
            arguments, left, back = (redactor.reveal(kept) for kept in (row.arguments, row.left, row.back))
            again.undos.append(replace(step, arguments=arguments, left=left, back=back))
        else:
            again.undos.append(step)
        step = steps.send(reply)
    return again, steps


def goes_on(work: Unwinding, border: Border, call: CallRow, known: list[UndoRow]) -> bool:
    """Whether the handler reads the answer, and may know of more to undo then than the undos that are *known*."""
    try:
        _again, steps = replayed(work, border, call, known)
        steps.send(None)
    except StopIteration:
        return False
    except Exception:  # noqa: BLE001 - a handler that breaks over an answer that is none has wanted to read one
        return True
    return True


def numbered(call: CallRow, undos: list[UndoRow]) -> list[UndoRow]:
    """*undos* as the ledger has written them."""
    return [msgspec.structs.replace(row, seq=call.seq, n=n) for n, row in enumerate(undos, 1)]


def _identity(undo: UndoRow) -> tuple[str, str]:
    return undo.name, json.dumps(undo.arguments, sort_keys=True)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
