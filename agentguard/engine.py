"""The life of a guarded call, from top to bottom: snapshot, ask, intent, send, result.

`guard` is a flow: it holds the order of things and does no input or output itself (see flow.py). The order is the
promise. Nothing is sent before the intent, the snapshots and every undo known by then are durable; the call is sent
once; and once it has been sent, no fault of ours may cost the caller the answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentguard.calls import (
    Answer,
    Call,
    CallState,
    Certainty,
    Effect,
    Forward,
    Handler,
    Json,
    NoUndo,
    Outcome,
    Read,
    Risk,
    Step,
    Undo,
)
from agentguard.connector import Connector, bind
from agentguard.errors import AgentguardError, ApprovalDenied, ApprovalRequired, HandlerError, SnapshotFailed
from agentguard.flow import Ask, Border, Commit, Flow, Perform, Send, Sent, whose
from agentguard.ledger import Ledger
from agentguard.ledger.rows import CallRow, UndoRow, UndoState
from agentguard.operations import Operation
from agentguard.redaction import Redactor, shrink
from agentguard.report import Card

log = logging.getLogger("agentguard")


class Context(Protocol):
    """What the engine needs to know of the session that a call belongs to."""

    id: str
    agent: str
    intent: str
    ledger: Ledger
    redactor: Redactor

    def why(self) -> tuple[str | None, float | None]:
        """The agent's reason and confidence at this moment."""

    def sent_through(self, seq: int, border: Border) -> None:
        """Remember which client call *seq* goes through, so that its undos do as well."""


@dataclass(slots=True)
class Work:
    """One call on its way through the engine."""

    context: Context
    border: Border
    operation: Operation
    call: Call
    method: str = ""
    key: str | None = None
    """The caller's own idempotency key."""

    snapshots: list[Json] = field(default_factory=list)
    undos: list[Undo | NoUndo] = field(default_factory=list)
    changed: dict[str, Json] = field(default_factory=dict)
    """Arguments that the handler sends in place of the caller's."""
    gap: str | None = None
    """Why there is no way back although the operation has one."""

    @property
    def connector(self) -> Connector:
        """Whose operation it is."""
        return self.border.connector


def guard(work: Work) -> Flow[Any]:
    """Take one call through its life. Returns what the SDK goes on with; raises what the SDK's transport raised."""
    context, ledger = work.context, work.context.ledger

    steps = handler_of(work)
    forward = yield from prepare(work, steps)
    work.changed = dict(forward.arguments)
    row = describe(work)
    if row.risk >= Risk.HIGH:
        yield from approve(work, row)

    account = yield from whose(work.border)
    if account:
        row.base = f"{row.base}#{context.redactor.clean_text(account)}"

    keyed = work.connector.idempotency_header is not None
    row = yield Commit(lambda: ledger.intend(row, rows_of(work), keyed))
    context.sent_through(row.seq, work.border)
    headers = dict(forward.headers)
    if work.connector.idempotency_header and row.key:
        headers[work.connector.idempotency_header] = row.key

    try:
        sent: Sent = yield Send(headers, work.changed)
    except BaseException as error:
        state = CallState.NOT_APPLIED if work.border.never_left(error) else CallState.IN_DOUBT
        told = context.redactor.clean_text(f"{type(error).__name__}: {error}")
        yield Commit(lambda: after_effect(work, lambda: ledger.settle(row, state, error=told)))
        error.add_note(note(row, state))
        raise

    if sent.answer.certainty is Certainty.HAPPENED:
        try:
            yield from finish(work, steps, sent.answer)
        finally:
            yield Commit(lambda: record(work, row, CallState.COMMITTED, sent.answer))
    else:
        state = CallState.NOT_APPLIED if sent.answer.certainty is Certainty.REFUSED else CallState.IN_DOUBT
        yield Commit(lambda: record(work, row, state, sent.answer))
    return sent.native


def handler_of(work: Work) -> Handler:
    """Start the handler of the call's operation; one that no connector knows is sent as it is, with no way back."""
    guarded = work.connector.guarded.get(work.operation.name)
    if guarded is None:
        return _plain()
    try:
        return guarded.handler(**bind(guarded.handler, work.call))
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
        raise SnapshotFailed(f"{read.operation} was answered with {answer.error}")
    return border.connector.views[read.view](answer.value) if read.view else answer.value


def approve(work: Work, row: CallRow) -> Flow[None]:
    """Have a person agree. Whatever is not a clear yes stops the call."""
    card = card_of(work, row)
    try:
        said = yield Ask(card)
    except Exception as error:
        yield from refuse(work, row, f"the approver failed: {error}")
        if isinstance(error, AgentguardError):
            raise
        # Not as it is: SDKs take what they meet in their transport for a lost connection.
        raise ApprovalRequired(
            f"{row.operation} on {row.target} has to be approved, and the approver failed: "
            f"{type(error).__name__}: {error}. Nothing was sent. Try again when it works."
        ) from error
    if said is True:
        return
    if said is None:
        yield from refuse(work, row, "approval required")
        raise ApprovalRequired(
            f"{row.operation} on {row.target} is of {row.risk} risk and has to be approved, and nobody was there to "
            'ask. Nothing was sent. Give the session an approver= (a function of the card, or "terminal").'
        )
    yield from refuse(work, row, "denied")
    raise ApprovalDenied(f"{row.operation} on {row.target} was not approved. Nothing was sent.")


def refuse(work: Work, row: CallRow, error: str) -> Flow[None]:
    """Put a stopped call on record."""
    row.error = work.context.redactor.clean_text(error)
    yield Commit(lambda: work.context.ledger.refuse(row))


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


def record(work: Work, row: CallRow, state: CallState, answer: Answer) -> None:
    """Write down what came of the call."""
    redactor = work.context.redactor
    if state is CallState.COMMITTED and work.gap is not None and work.undos:
        # Those that are there already must not make the call look taken back as a whole.
        work.undos.append(NoUndo(Outcome.FAILED, work.gap))

    def write() -> None:
        error = work.gap if state is CallState.COMMITTED else answer.error
        work.context.ledger.settle(
            row,
            state,
            undos=rows_of(work) if state is CallState.COMMITTED else None,
            status=answer.status,
            answer=kept(redactor, answer.value),
            error=redactor.clean_text(error) if error else None,
        )

    after_effect(work, write)


def after_effect(work: Work, write: Callable[[], None]) -> None:
    """Write to the ledger when the call is out already. A failure is logged: the intent stands, and is in doubt."""
    try:
        write()
    except Exception:
        log.exception(
            "agentguard: %s was sent and its result could not be written to the ledger; "
            "a rollback will find it in doubt",
            work.operation.name,
        )


def kept(redactor: Redactor, value: Json) -> Json:
    """What the ledger keeps of *value*: no secrets, and size and digest for what is large."""
    clean = redactor.clean(value)
    try:
        return shrink(clean)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape: a person can read it without
        return shrink(json.loads(json.dumps(clean, ensure_ascii=False).encode(errors="replace")))


def describe(work: Work) -> CallRow:
    """The ledger's row for a call that is about to be sent, secrets left out."""
    context, redactor = work.context, work.context.redactor
    effect, risk = work.connector.facts(work.operation, work.call.arguments)
    risk = max(risk, work.connector.graver(Call(work.operation.name, {**work.call.arguments, **work.changed})))
    reason, confidence = context.why()
    known = work.operation.name in work.connector.table.by_name  # the name of an unknown one is its URL
    return CallRow(
        session=context.id,
        connector=work.connector.name,
        base=redactor.clean_text(work.border.base),
        name=work.operation.name if known else redactor.clean_text(work.operation.name),
        method=work.method,
        target=redactor.clean_text(target_of(work.operation, work.call.arguments)),
        arguments=kept(redactor, {**work.call.arguments, **work.changed}),
        effect=effect,
        risk=risk,
        reason=redactor.clean_text(reason) if reason else None,
        confidence=confidence,
        digest=digest(work.connector.name, work.border.base, work.operation.name, redactor.clean(work.call.arguments)),
        key=work.key,
        snapshots=[kept(redactor, snapshot) for snapshot in work.snapshots],
        created_at=time.time(),
    )


def rows_of(work: Work) -> list[UndoRow]:
    """The ledger's rows for the undos known so far."""
    return [row_of(work.context, undo) for undo in work.undos]


def row_of(context: Context, undo: Undo | NoUndo) -> UndoRow:
    """The ledger's row for one undo; that there is none is a row as well, done from the beginning."""
    clean = context.redactor.clean
    if isinstance(undo, NoUndo):
        told = context.redactor.clean_text(undo.reason)
        return UndoRow(session=context.id, name="", state=UndoState.DONE, outcome=undo.outcome, detail=told)
    return UndoRow(
        session=context.id,
        name=undo.operation,
        arguments=clean(undo.arguments),
        look=look_of(undo.look, clean),
        left=clean(undo.left),
        back=clean(undo.back),
        same_shape=undo.same_shape,
        remains=undo.remains,
    )


def look_of(read: Read | None, clean: Any) -> dict[str, Json] | None:
    """A read as the ledger keeps it."""
    if read is None:
        return None
    return {"operation": read.operation, "arguments": clean(read.arguments), "view": read.view}


def card_of(work: Work, row: CallRow) -> Card:
    """What a person is shown before the call is sent."""
    guarded = work.connector.guarded.get(row.name)
    if row.effect is Effect.IRREVERSIBLE or guarded is None:
        way_back = "none"
    else:
        known = "; ".join(way_of(work, undo) for undo in work.undos)
        way_back = known or guarded.summary
    return Card(
        operation=row.operation,
        target=row.target,
        account=row.base,
        arguments=row.arguments,
        effect=row.effect,
        risk=row.risk,
        summary=guarded.summary if guarded else "no connector knows how to take this back",
        before=row.snapshots,
        undo=way_back,
        agent=work.context.agent,
        intent=work.context.intent,
        reason=row.reason,
    )


def way_of(work: Work, undo: Undo | NoUndo) -> str:
    """One way back, or that there is none, in a line for people."""
    if isinstance(undo, NoUndo):
        return f"none: {undo.reason}"
    return f"{undo.operation} {json.dumps(work.context.redactor.clean(undo.arguments))}"


def target_of(operation: Operation, arguments: dict[str, Json]) -> str:
    """What a call is about, in a few words: the values in its path, or its first plain argument."""
    in_path = [str(arguments[name]) for name in operation.parameters if name in arguments]
    if in_path:
        return "/".join(in_path)
    plain = (str(value) for value in arguments.values() if isinstance(value, str | int) and str(value))
    return next(plain, "")[:120]


def digest(connector: str, base: str, operation: str, arguments: Json) -> str:
    """SHA-256 of the canonical call. Secrets are masked, so that the digest of a weak one cannot be guessed."""
    text = json.dumps([connector, base, operation, arguments], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(re.sub(r"\[redacted [0-9a-f]+…?\]", "[redacted]", text).encode()).hexdigest()


def note(row: CallRow, state: CallState) -> str:
    """What the caller is told beside the SDK's own exception."""
    if state is CallState.NOT_APPLIED:
        return f"agentguard: {row.operation} was not sent (call {row.seq} of session {row.session})"
    return (
        f"agentguard: it is not known whether {row.operation} happened (call {row.seq} of session {row.session}); "
        "it is in the ledger as in doubt and was not sent again"
    )
