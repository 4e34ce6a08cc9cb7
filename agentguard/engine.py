"""The life of a guarded call, from top to bottom: is it on record, snapshot, ask, intent, send, result.

`guard` is a flow: it holds the order of things and does no input or output itself (see flow.py). The order is the
promise. Nothing is sent before the intent, the snapshots and every undo known by then are durable; the call is sent
once; and once it has been sent, no fault of ours may cost the caller the answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any

from agentguard.asking import approval_digest, obtain
from agentguard.calls import (
    ABSENT,
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
    Step,
    Undo,
    matches,
)
from agentguard.connector import bind, marks
from agentguard.entries import card_of, describe, new_mark, note, rows_of, shrunk
from agentguard.errors import (
    AgentguardError,
    ApprovalInvalid,
    Blocked,
    Frozen,
    HandlerError,
    LedgerError,
    LimitReached,
    NotAsSent,
    Refused,
    SnapshotFailed,
)
from agentguard.flow import Border, Commit, Flow, NotBegun, Perform, Send, Sent, whose
from agentguard.ledger.people import Permit
from agentguard.ledger.rows import CallRow
from agentguard.rulings import Ruling, Verdict
from agentguard.work import Work

log = logging.getLogger("agentguard")
STALE_AFTER = 1.0
"""Seconds of waiting for a person after which the state before the call is read again."""


def guard(work: Work) -> Flow[Any]:
    """Take one call through its life. Returns what the SDK goes on with; raises what the SDK's transport raised."""
    context, ledger = work.context, work.context.ledger
    recorded = yield from context.on_record(work)
    if recorded is not None:
        reply = work.border.hold(recorded) if recorded.state is CallState.HELD else work.border.replay(recorded)
        work.answered()
        return reply

    steps = handler_of(work)
    forward = yield from prepare(work, steps)
    work.changed = dict(forward.arguments)
    account = yield from whose(work.border)
    row = describe(work)
    if account:
        row.base = f"{row.base}#{context.redactor.clean_text(account)}"
    looked = time.monotonic()
    try:
        ruling = yield from gate(work, row)
    except Blocked as stopped:
        yield from refuse(work, row, stopped)
        raise
    if time.monotonic() - looked > STALE_AFTER:
        # A person took their time, and somebody may have changed since what the call is about to change.
        steps.close()
        work.snapshots, work.undos, work.gap = [], [], None
        steps = handler_of(work)
        forward = yield from prepare(work, steps)
        work.changed = dict(forward.arguments)
        fresh = describe(work)
        row.snapshots, row.arguments = fresh.snapshots, fresh.arguments
        row.created_at = fresh.created_at  # by which it is known when the request must have landed
    work.undoable = ruling.undoable
    permit = Permit(exact_digest(work, row, ruling) if row.approval else "", ruling.charges)
    keyed = work.connector.idempotency_header is not None
    try:
        if ruling.verdict is Verdict.HOLD:
            whole = {**work.call.arguments, **work.changed}
            row = yield Commit("hold", lambda: context.hold(row, whole, work.border, permit))
            work.answered()
            work.held = row
            return work.border.hold(row)
        row = yield Commit("intent", lambda: context.intend(row, rows_of(work), keyed, work.border, permit))
    except (Frozen, LimitReached, ApprovalInvalid, Refused) as stopped:
        yield from refuse(work, row, stopped)
        raise
    headers = dict(forward.headers)
    if work.connector.idempotency_header and row.key:
        headers[work.connector.idempotency_header] = row.key

    try:
        sent: Sent = yield Send(headers, work.changed)
    except BaseException as error:
        never_left = isinstance(error, NotBegun) or work.border.never_left(error)
        state = CallState.NOT_APPLIED if never_left else CallState.IN_DOUBT
        told = context.redactor.clean_text(f"{type(error).__name__}: {error}")
        yield Commit("result", lambda: after_effect(work, lambda: ledger.settle(row, state, row.token, error=told)))
        error.add_note(note(row, "was not sent" if state is CallState.NOT_APPLIED else None))
        raise

    if sent.answer.certainty is Certainty.HAPPENED:
        work.answered()
        try:
            yield from finish(work, steps, sent.answer)
        finally:
            yield Commit("result", lambda: record(work, row, CallState.COMMITTED, sent))
        if ruling.verify:
            yield from verify(work, row)
    else:
        state = CallState.NOT_APPLIED if sent.answer.certainty is Certainty.REFUSED else CallState.IN_DOUBT
        yield Commit("result", lambda: record(work, row, state, sent))
        refused = f"was refused: {sent.answer.error}" if state is CallState.NOT_APPLIED else None
        work.border.tell(note(row, context.redactor.clean_text(refused) if refused else None))
    return sent.native


def drop_held(works: Iterable[Work]) -> Flow[None]:
    """Drop those of *works* that are held: the request they came in was stopped, and its caller has no answer."""
    for work in works:
        if (row := work.held) is not None:
            told = "it was held, and is dropped: another call of the same request was stopped"
            settle = partial(work.context.ledger.settle, row, CallState.NOT_APPLIED, row.token, error=told)
            yield Commit("result", partial(after_effect, work, settle))


def handler_of(work: Work) -> Handler:
    """Start the handler of the call's operation; one that no connector knows is sent as it is, with no way back."""
    guarded = work.connector.guarded.get(work.operation.name)
    if guarded is None:
        return _plain()
    if work.mark is None and marks(guarded.handler):
        work.mark = new_mark()
    try:
        return guarded.handler(**bind(guarded.handler, work.call, mark=work.mark))
    except TypeError as error:
        raise HandlerError(f"{guarded.where} cannot be called: {error}. Nothing was sent.") from error


def _plain() -> Handler:
    yield Forward()


def prepare(work: Work, steps: Handler) -> Flow[Forward]:
    """Run the handler up to its `forward()`: take the snapshots, collect the undos."""
    reply: Json = None
    while True:
        step = advance(work, steps, reply)
        reply = None
        if isinstance(step, Forward):
            return step
        if isinstance(step, Undo | NoUndo):
            work.undos.append(step)
        elif isinstance(step, Read):
            try:
                reply = yield from look(work.border, step)
            except Missing as missing:
                # The service says that what is to be changed is not there, and will say so again to the call: the
                # caller gets the SDK's own exception. Should it go through all the same, the gap is on record.
                work.gap = f"there was no state to take down before the call: {missing}"
                steps.close()
                return Forward()
            except Exception as error:
                if isinstance(error, AgentguardError) and not isinstance(error, SnapshotFailed):
                    raise
                raise SnapshotFailed(
                    f"the state before {work.operation.name} could not be read: {error}. Nothing was sent. "
                    "Try again when the service answers."
                ) from error
            work.snapshots.append(reply)


def advance(work: Work, steps: Generator[Step, Any, None], reply: Json) -> Step:
    """Take one step before `forward()`. A handler that breaks down here stops the call: nothing was sent."""
    guarded = work.connector.guarded.get(work.operation.name)
    where = guarded.where if guarded else work.operation.name
    try:
        return steps.send(reply)
    except StopIteration:
        raise HandlerError(f"{where} ended without yielding forward(). Nothing was sent.") from None
    except Exception as error:
        raise HandlerError(
            f"{where} failed before the call: {type(error).__name__}: {error}. Nothing was sent. "
            "Check the arguments of the call; if they are right, this is a fault of the connector."
        ) from error


class Missing(Exception):
    """The service says that there is no such thing, or that we may not see it."""


class Unreadable(SnapshotFailed):
    """The service did not show what was asked for."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.transient = answer.transient or answer.certainty is Certainty.UNKNOWN
        """Whether it may do so in a moment."""
        self.retry_after = answer.retry_after


def look(border: Border, read: Read) -> Flow[Json]:
    """Read something and return it through its view; None where it may be missing and is."""
    answer: Answer = yield Perform(border, Call(read.operation, read.arguments))
    if answer.missing:
        if read.optional:
            return None
        raise Missing(answer.error or "not found")
    if answer.status == 403 and read.unneeded:
        return None
    if answer.certainty is not Certainty.HAPPENED:
        raise Unreadable(f"{read.operation} was answered with {answer.error}", answer)
    return border.connector.views[read.view](answer.value) if read.view else answer.value


def gate(work: Work, row: CallRow) -> Flow[Ruling]:
    """Let the call go, ask a person, hold it back or refuse it. Raises Blocked where it may not go."""
    ruling = work.context.gatekeeper.judge(work, row)
    row.rule, row.risk = ruling.rule, ruling.risk
    if ruling.verdict is Verdict.REFUSE:
        raise Refused(
            f"{row.operation} on {row.target} is not allowed by {ruling.rule}: {ruling.reason}. Nothing was sent."
        )
    if ruling.verdict is Verdict.ASK:
        digest = exact_digest(work, row, ruling)
        row.approval = yield from obtain(work.context, row, card_of(work, row), digest, ruling.policy)
    return ruling


def exact_digest(work: Work, row: CallRow, ruling: Ruling) -> str:
    """What an approval of this call is bound to."""
    return approval_digest(row, work.clean_arguments, ruling.policy)


def refuse(work: Work, row: CallRow, stopped: Blocked) -> Flow[None]:
    """Put a stopped call on record."""
    row.error = work.context.redactor.clean_text(str(stopped))
    row.approval = None
    yield Commit("refusal", lambda: work.context.ledger.refuse(row))


def finish(work: Work, steps: Handler, answer: Answer) -> Flow[None]:
    """Run the handler from the answer to its end. The effect is out: a fault here is recorded, not raised.

    An interruption (a cancelled task, Ctrl-C) is raised, and what it leaves unknown is recorded as well.
    """
    if work.gap is not None:
        return
    work.undos = [_refreshed(work, undo, answer.value) for undo in work.undos]
    reply: Json = answer.value
    try:
        while True:
            step = steps.send(reply)
            reply = None
            if isinstance(step, Undo | NoUndo):
                work.undos.append(step)
            elif isinstance(step, Read):
                reply = yield from look(work.border, step)
                work.snapshots.append(reply)
            else:
                raise HandlerError("it yields a second forward()")
    except StopIteration:
        return
    except BaseException as error:
        guarded = work.connector.guarded[work.operation.name]
        work.gap = f"the way back could not be worked out: {type(error).__name__}: {error} in {guarded.where}"
        log.exception("agentguard: %s has happened, and its undo could not be registered", work.operation.name)
        if not isinstance(error, Exception):
            raise


def _refreshed(work: Work, undo: Undo | NoUndo, value: Json) -> Undo | NoUndo:
    """Fill *left* in again from the answer: services normalise what they are given."""
    if (
        isinstance(undo, NoUndo)
        or not undo.same_shape
        or undo.look is None
        or not isinstance(undo.left, dict)
        or not isinstance(value, dict)
    ):
        return undo
    try:
        seen = work.connector.views[undo.look.view](value) if undo.look.view else value
        left = {name: seen.get(name, given) for name, given in undo.left.items()}
    except Exception:
        log.exception("agentguard: the answer of %s has not the shape that its view takes", work.operation.name)
        return undo
    return undo.on(undo.look, left=left, back=undo.back, same_shape=True)


def verify(work: Work, row: CallRow) -> Flow[None]:
    """Read back what the call has left; where it shows something else, the session is stopped. Raises NotAsSent."""
    told = ""
    for undo in work.undos:
        if isinstance(undo, NoUndo) or undo.look is None:
            continue
        told = "ok"
        try:
            live = yield from look(work.border, undo.look)
        except Missing:
            live = ABSENT
        except Exception as error:  # noqa: BLE001 - the call is out: that it could not be read is what there is to say
            told = f"it could not be read back: {type(error).__name__}: {error}"
            break
        if not matches(undo.left, live):
            told = "what was read back is not what the call leaves"
            break
    if not told:
        return  # there is nothing to read back by, and nothing is said about it
    told = work.context.redactor.clean_text(told)
    yield Commit("verified", lambda: after_effect(work, lambda: work.context.ledger.verified(row, told)))
    if told != "ok":
        why, stopped = f"call {row.seq} ({row.operation}): {told}", "was frozen"
        try:
            work.context.ledger.people.freeze(row.session, "agentguard", why)
        except LedgerError as error:
            stopped = f"could not be frozen ({error})"
        raise NotAsSent(
            f"{row.operation} on {row.target} was sent, and {told} (call {row.seq} of session {row.session}). The "
            f"session {stopped}; see `agentguard queue`."
        )


def record(
    work: Work, row: CallRow, state: CallState, sent: Sent, *, token: int | None = None, kind: str = "result"
) -> None:
    """Write down what came of the call; by *token* where another owner than the one that made it has found out."""
    redactor, answer = work.context.redactor, sent.answer
    if state is CallState.COMMITTED and work.gap is not None:
        # A person has to know; and undos that are there already must not make the call look taken back as a whole.
        work.undos.append(NoUndo(Outcome.FAILED, work.gap))

    def write() -> None:
        error = work.gap if state is CallState.COMMITTED else answer.error
        clean = redactor.clean(answer.value)
        value, response = shrunk(clean), sent.response
        if isinstance(response, dict) and "as_answer" in response and value is not clean:
            response = {**response, "json": clean}  # what is kept of the answer is not all of it
            del response["as_answer"]
        work.context.ledger.settle(
            row,
            state,
            row.token if token is None else token,
            undos=rows_of(work) if state is CallState.COMMITTED and work.undos else None,
            status=answer.status,
            answer=value,
            response=response,
            error=redactor.clean_text(error) if error else None,
            kind=kind,
        )

    after_effect(work, write)


def after_effect(work: Work, write: Callable[[], object]) -> None:
    """Write to the ledger when the call is out already. A failure is logged: the intent stands, and is in doubt."""
    try:
        write()
    except Exception:
        log.exception(
            "agentguard: %s was sent and its result could not be written to the ledger; "
            "a rollback will find it in doubt",
            work.operation.name,
        )
