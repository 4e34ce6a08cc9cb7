"""What became of each call of a session, and what people did about it: read from the rows of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agentguard.calls import ABSENT, CallState, Effect, Json, Outcome
from agentguard.cards import people_in
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow, UndoState
from agentguard.report import CallOutcome
from agentguard.rollback import summed_up


@dataclass(frozen=True, slots=True)
class Field:
    """What the agent made of one field, and what the undo makes of it."""

    name: str
    agent: Json
    back: Json
    exact: bool
    """Whether *back* is what was there before; where something remains of a call it may be a third value."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the agent did or tried, and what became of it."""

    seq: int
    at: float
    service: str
    what: str
    """In words: the operation's own summary, without how it is taken back."""
    target: str
    to: list[str]
    """Who got to see it."""
    standing: str
    """`restored`, `corrected`, `open` (could not be put back), `kept` (nobody tried to), `waiting` or `not_done`."""
    outcome: str | None
    fields: list[Field]
    remains: str
    detail: str
    """What the record says about it, for whoever looks into it."""
    operation: str
    undone_by: list[str]
    events: list[int]


@dataclass(frozen=True, slots=True)
class Review:
    """What a person did about it."""

    at: float
    by: str
    did: str
    why: str
    seq: int | None = None


_STANDINGS = {
    Outcome.RESTORED: "restored",
    Outcome.ALREADY_UNDONE: "restored",
    Outcome.COMPENSATED: "corrected",
}
_NEVER = (CallState.REFUSED, CallState.NOT_APPLIED, CallState.HELD)
_REVIEWS = {
    "approval approved": "agreed beforehand that it be done",
    "approval denied": "said no to it, so that it was not done",
    "frozen": "stopped the agent",
    "thawed": "let the agent go on",
    "purged": "removed the details from the record",
}
_DECISIONS = {
    "applied": "found that it was done",
    "not_applied": "found that it was not done",
    "retry": "had it tried again",
    "force": "had it put back, although it was changed since",
    "close": "closed it as it is",
}


def changes_of(
    session: SessionRow,
    calls: Iterable[CallRow],
    undos: Iterable[UndoRow],
    events: list[EventRow],
    outcomes: Mapping[int, CallOutcome],
    summaries: Mapping[str, str],
    titles: Mapping[str, str],
) -> list[Change]:
    """What was done or tried, oldest first. What changes nothing that others see is left out."""
    ways: dict[int, list[UndoRow]] = {}
    for undo in undos:
        ways.setdefault(undo.seq, []).append(undo)
    found = []
    for call in sorted(calls, key=lambda row: row.seq):
        own = ways.get(call.seq, [])
        if call.effect in (Effect.READ, Effect.DRAFT) and not own and call.state is CallState.COMMITTED:
            continue
        summary = summaries.get(call.operation, "")
        tried = _tried(session, call, events)
        outcome, detail = _came_to(call, own, outcomes.get(call.seq), tried, summary)
        service = titles.get(call.connector, call.connector.capitalize())
        seen = [event.id for event in events if event.seq == call.seq]
        found.append(_change(session, call, own, outcome, detail, summary, service, seen))
    return found


def _tried(session: SessionRow, call: CallRow, events: list[EventRow]) -> bool:
    """Whether somebody has gone through this call to take it back."""
    if session.state in (SessionState.ROLLED_BACK, SessionState.PARTIAL):
        return True
    marks = {_data(event).get("name"): _data(event).get("seq", 0) for event in events if event.kind == "savepoint"}
    return any(
        event.kind == "rollback to savepoint"
        and marks.get(_data(event).get("name"), call.seq) < call.seq
        and call.created_at <= event.at
        for event in events
    )


def _data(event: EventRow) -> dict[str, Json]:
    """What an event carries; nothing once it was purged."""
    return event.data or {}


def _came_to(
    call: CallRow, undos: list[UndoRow], told: CallOutcome | None, tried: bool, summary: str
) -> tuple[Outcome | None, str]:
    """What became of a call, as a rollback would say it; None where it stands as it was made."""
    if told is not None:
        return told.outcome, told.detail
    if call.state in _NEVER:
        return None, call.error or ""
    settled = bool(undos) and all(undo.outcome is not None for undo in undos) and any(undo.name for undo in undos)
    if call.state in (CallState.INTENT, CallState.IN_DOUBT) and not settled:
        return Outcome.IN_DOUBT, call.error or ""
    if not undos:
        if not tried:
            return None, call.error or ""
        return (Outcome.FAILED, call.error) if call.error else (Outcome.IRREVERSIBLE, summary)
    if any(undo.state is UndoState.SENDING and undo.outcome is None for undo in undos):
        return Outcome.IN_DOUBT, "its undo was begun, and no result is on record"
    if not settled and not (tried and all(undo.outcome is not None for undo in undos)):
        begun = any(undo.name and undo.outcome is not None for undo in undos)
        return None, "taking it back was begun, and is not finished" if begun else ""
    ends = [(undo.outcome, undo.detail) for undo in undos if undo.outcome is not None]
    whole = summed_up(call, ends)
    return whole.outcome, whole.detail


def _change(
    session: SessionRow,
    call: CallRow,
    undos: list[UndoRow],
    outcome: Outcome | None,
    detail: str,
    summary: str,
    service: str,
    events: list[int],
) -> Change:
    standing = _STANDINGS.get(outcome, "open") if outcome else "kept"
    if call.state in _NEVER:
        standing = "waiting" if call.state is CallState.HELD and session.ended_at is None else "not_done"
    given = set(_names(call.arguments))
    fields = [
        Field(name, undo.left.get(path), back, exact=not undo.remains)
        for undo in undos
        if isinstance(undo.left, dict) and isinstance(undo.back, dict) and ABSENT not in (undo.left, undo.back)
        for path, back in undo.back.items()
        if (name := re.split(r"[./]", str(path))[-1]) in given and back != undo.left.get(path)
    ]
    return Change(
        seq=call.seq,
        at=call.created_at,
        service=service,
        what=in_words(call.name, "" if call.effect is Effect.IRREVERSIBLE else summary),
        target=call.target,
        to=list(dict.fromkeys(people_in(call.arguments))),
        standing=standing,
        outcome=outcome.value if outcome else None,
        fields=fields,
        remains="; ".join(dict.fromkeys(u.remains for u in undos if u.remains)) if standing == "corrected" else "",
        detail=detail,
        operation=call.operation,
        undone_by=[f"{call.connector}.{undo.name}" for undo in undos if undo.name],
        events=events,
    )


def _names(value: Json) -> Iterator[str]:
    """The names of all arguments, however deep."""
    for name, item in value.items() if isinstance(value, dict) else ():
        yield str(name)
        yield from _names(item)


def in_words(operation: str, summary: str) -> str:
    """What an operation does, for people: from its handler's summary, or else from its name."""
    first = re.split(r"[;.:]", summary, maxsplit=1)[0].strip()
    if " " in first:
        return first
    if not re.fullmatch(r"[\w.+-]+", operation, re.ASCII):
        return "Change something, in a way that is not described"
    *before, last = re.split(r"[.+]", operation)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]", " ", last).lower().split()
    if len(words) == 1 and before:
        thing = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]", " ", before[-1]).lower()
        words.append(thing[:-1] if thing.endswith("s") and not thing.endswith("ss") else thing)
    return " ".join(words).capitalize()


def causes_of(session: SessionRow, events: list[EventRow]) -> list[str]:
    """Why it was taken back, in the words on record."""
    kinds = (f"session {SessionState.ROLLING_BACK}", "rollback to savepoint")
    found = [str(_data(event)["cause"]) for event in events if event.kind in kinds and _data(event).get("cause")]
    return list(dict.fromkeys(found or ([session.cause] if session.cause else [])))


def reviews_of(calls: Iterable[CallRow], events: list[EventRow]) -> list[Review]:
    """What people did about it, oldest first."""
    approved = {call.approval: call.seq for call in calls if call.approval}
    found = []
    for event in events:
        data = _data(event)
        did = _REVIEWS.get(event.kind)
        if event.kind == "resolved":
            did = _DECISIONS.get(str(data.get("action")), "decided about it")
        if did is None or not data.get("by"):
            continue
        seq = event.seq if event.seq is not None else approved.get(str(data.get("approval")))
        item = str(data.get("item", "")).split("/")
        if seq is None and len(item) > 1 and item[1].isdecimal():
            seq = int(item[1])
        why = str(data.get("why") or data.get("note") or "")
        found.append(Review(event.at, str(data["by"]), did, why, seq))
    return found
