"""How a call is written down: its row, those of its undos, and the card that a person is shown of it."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from agentguard.calls import Call, Effect, Json, NoUndo, Outcome, Read, Undo
from agentguard.cards import Card, read_from
from agentguard.ledger.rows import CallRow, UndoRow, UndoState
from agentguard.operations import Operation
from agentguard.redaction import Redactor, shrink
from agentguard.work import Context, Work


def kept(redactor: Redactor, value: Json) -> Json:
    """What the ledger keeps of *value*: no secrets, and size and digest for what is large."""
    return shrunk(redactor.clean(value))


def shrunk(clean: Json) -> Json:
    """*clean* with size and digest for what is large; the same object where nothing is."""
    try:
        return shrink(clean)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape: a person can read it without
        return shrink(json.loads(json.dumps(clean, ensure_ascii=False).encode(errors="replace")))


def describe(work: Work) -> CallRow:
    """The ledger's row for a call that is about to be sent, secrets left out."""
    context, redactor = work.context, work.context.redactor
    effect, risk = work.connector.facts(work.operation, work.call.arguments)
    risk = max(risk, work.connector.graver(Call(work.operation.name, {**work.call.arguments, **work.changed})))
    reason, confidence = context.why() if context.gatekeeper.keeps("intent") else (None, None)
    known = work.operation.name in work.connector.table.by_name  # the name of an unknown one is its URL
    return CallRow(
        session=context.id,
        connector=work.connector.name,
        base=redactor.clean_text(work.border.base),
        name=work.operation.name if known else redactor.clean_text(work.operation.name),
        method=work.method,
        target=redactor.clean_text(target_of(work.operation, work.call.arguments)),
        arguments=shrunk({**work.redacted, **redactor.clean(work.changed)} if work.changed else work.redacted),
        effect=effect,
        risk=risk,
        reason=redactor.clean_text(reason) if reason else None,
        confidence=confidence,
        digest=work.digest,
        key=work.key,
        mark=work.mark,
        once=work.once,
        token=context.token,
        snapshots=[kept(redactor, snapshot) for snapshot in work.snapshots]
        if context.gatekeeper.keeps("snapshots")
        else [],
        created_at=time.time(),
    )


def rows_of(work: Work) -> list[UndoRow]:
    """The ledger's rows for the undos known so far."""
    if not work.undoable:
        return [row_of(work.context, NoUndo(Outcome.IRREVERSIBLE, "the policy says that it is not taken back"))]
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
    redactor = work.context.redactor
    recipients, amounts = read_from(work.connector, Call(work.operation.name, {**work.call.arguments, **work.changed}))
    return Card(
        operation=row.operation,
        target=row.target,
        account=row.base,
        arguments=row.arguments,
        effect=row.effect,
        risk=row.risk,
        summary=guarded.summary if guarded else "no connector knows how to take this back",
        before=[kept(redactor, snapshot) for snapshot in work.snapshots],
        undo=way_back,
        agent=work.context.agent,
        intent=work.context.intent,
        reason=row.reason,
        recipients=[redactor.clean_text(one) for one in recipients],
        amounts=amounts,
        rule=row.rule or "",
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


def new_mark() -> str:
    """A text that no other call has, and that stands in no word or link of another meaning."""
    return f"ag-{secrets.token_hex(8)}"


def note(row: CallRow, certain: str | None) -> str:
    """What the caller is told beside the SDK's own exception; *certain* says why nothing happened, if so."""
    which = f"call {row.seq} of session {row.session}"
    if certain is not None:
        return f"agentguard: {row.operation} {certain}; it has done nothing ({which})"
    return (
        f"agentguard: it is not known whether {row.operation} happened ({which}); it is in the ledger as in doubt and "
        "was not sent again"
    )
