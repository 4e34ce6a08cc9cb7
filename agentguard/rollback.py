"""Taking back: each call of a session, newest first, and only what can be shown to be ours still.

Before an undo is sent, the thing is looked at: is it as this call left it, is it back already, did somebody else change
it? After it was sent, it is looked at again, and only what was seen is said. An undo that fails leaves the others to
be tried; what was taken back once is not touched again, however often this runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from agentguard.calls import ABSENT, Answer, Call, CallState, Certainty, Forward, Json, Outcome, Read, Undo, matches
from agentguard.connector import Connector, bind
from agentguard.engine import Context, Missing, Work, finish, handler_of, look, record, rows_of
from agentguard.errors import AgentguardError
from agentguard.flow import Border, Commit, Flow, Pause, Perform
from agentguard.ledger.rows import CallRow, UndoRow, UndoState
from agentguard.redaction import Unrevealable
from agentguard.report import CallOutcome

LOOK_AGAIN_AFTER = (0.0, 0.25, 1.0)
"""Seconds before each look that should show the undo's effect: services answer reads from copies that lag."""


@dataclass(slots=True)
class Unwinding:
    """A rollback under way."""

    context: Context
    border_for: Callable[[str, str], Border]
    """Finds the client for a connector and a base URL. Raises an AgentguardError where there is none."""
    done: Callable[[CallOutcome], None] = lambda _outcome: None


def unwind(work: Unwinding, after: int) -> Flow[list[CallOutcome]]:
    """Take back the calls after number *after*, newest first."""
    ledger = work.context.ledger
    calls = [call for call in ledger.calls(work.context.id) if call.seq > after]
    undos: dict[int, list[UndoRow]] = {}
    for undo in ledger.undos(work.context.id):
        undos.setdefault(undo.seq, []).append(undo)
    results = []
    for call in reversed(calls):
        result = yield from take_back(work, call, undos.get(call.seq, []))
        if result is not None:
            results.append(result)
            work.done(result)
    return results


def take_back(work: Unwinding, call: CallRow, undos: list[UndoRow]) -> Flow[CallOutcome | None]:
    """Take back one call; None where there was nothing to take back."""
    if call.state in (CallState.REFUSED, CallState.NOT_APPLIED):
        return None
    if call.effect.value in ("read", "draft") and not undos:
        return None
    outcomes = [(undo.outcome, undo.detail) for undo in reversed(undos) if undo.outcome and undo.outcome.ok]
    if outcomes and len(outcomes) == len(undos):
        return summed_up(call, outcomes)  # as an earlier rollback left it; that takes no client
    try:
        border = work.border_for(call.connector, call.base)
        if call.state in (CallState.INTENT, CallState.IN_DOUBT):
            doubt, undos = yield from settle(work, border, call, undos)
            if doubt is not None:
                return None if doubt[0] is None else CallOutcome(call.seq, call.operation, call.target, *doubt)
        if not undos:
            return CallOutcome(call.seq, call.operation, call.target, *without_undo(border.connector, call))
        outcomes = []
        for undo in reversed(undos):
            outcomes.append((yield from run_undo(work, border, undo)))
    except AgentguardError as error:
        outcomes = [(Outcome.FAILED, str(error))]
    return summed_up(call, outcomes)


def summed_up(call: CallRow, outcomes: list[tuple[Outcome, str]]) -> CallOutcome:
    """What a call comes to: the worst of its undos, with what there is to say about them."""
    worst = max(outcomes, key=lambda pair: _SEVERITY.index(pair[0]))
    detail = "; ".join(dict.fromkeys(text for _outcome, text in outcomes if text))
    return CallOutcome(call.seq, call.operation, call.target, worst[0], detail)


_SEVERITY = [
    Outcome.ALREADY_UNDONE,
    Outcome.RESTORED,
    Outcome.COMPENSATED,
    Outcome.IRREVERSIBLE,
    Outcome.CONFLICT,
    Outcome.IN_DOUBT,
    Outcome.FAILED,
]


def without_undo(connector: Connector, call: CallRow) -> tuple[Outcome, str]:
    """Why a call that happened has no undo."""
    if call.error:
        return Outcome.FAILED, call.error
    guarded = connector.guarded.get(call.name)
    if guarded is None:
        row = connector.table.by_name.get(call.name)
        known = f" ({row.undo})" if row and row.undo else ""
        return Outcome.IRREVERSIBLE, f"there is no undo for it here{known}"
    if guarded.effect.value == "irreversible":
        return Outcome.IRREVERSIBLE, guarded.summary
    return Outcome.IRREVERSIBLE, "its handler registered no way back and did not say why"


# A call whose answer never came


def settle(
    work: Unwinding, border: Border, call: CallRow, undos: list[UndoRow]
) -> Flow[tuple[tuple[Any, ...] | None, list[UndoRow]]]:
    """Find out whether a doubtful call happened.

    Returns (None, undos) when it did, ((None,), []) when it certainly did not, and otherwise what to report.
    """
    connector, ledger = border.connector, work.context.ledger
    located = connector.finders.get(call.name)
    if located is not None:
        try:
            found = yield from find(work, border, call)
        except (AgentguardError, Missing, KeyError) as error:
            return (Outcome.IN_DOUBT, f"it is not known whether it happened; looking it up failed: {error}"), undos
        if found is not None:
            rebuilt = yield from rebuild(work, border, call, undos, found)
            return None, rebuilt
        if located.authoritative:
            why = "looked up by its own key after the answer was lost: it is not there"
            yield Commit(lambda: ledger.settle(call, CallState.NOT_APPLIED, error=why))
            return (None,), []
        return (Outcome.IN_DOUBT, "the answer was lost, and looking for it found nothing, which proves nothing"), undos
    if undos and all(undo.look for undo in undos):
        shown = []
        for undo in undos:
            live = yield from see(border, undo, work.context.redactor.reveal)
            shown.append((matches(work.context.redactor.reveal(undo.left), live), shows(undo, live, work)))
        if all(left and not back for left, back in shown):
            yield Commit(lambda: ledger.settle(call, CallState.COMMITTED, error=None))
            return None, undos
        if all(back for _left, back in shown):
            return (Outcome.ALREADY_UNDONE, "the answer was lost; the state from before the call was read back"), undos
    return (Outcome.IN_DOUBT, "the answer was lost, and nothing shows whether it happened"), undos


def find(work: Unwinding, border: Border, call: CallRow) -> Flow[Json]:
    """Run the connector's finder for *call*."""
    finder = border.connector.finders[call.name].finder
    arguments = work.context.redactor.reveal(call.arguments)
    since = _iso(call.created_at)
    steps = finder(**bind(finder, Call(call.name, arguments), since=since, key=call.key))
    reply: Json = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = yield from look(border, step)


def rebuild(
    work: Unwinding, border: Border, call: CallRow, known: list[UndoRow], found: Json
) -> Flow[list[UndoRow]]:
    """Run the handler again over what is on record, with *found* for the lost answer; register its undos.

    The undos that are *known* since the intent are whole, while a large snapshot is not kept: their arguments count.
    """
    connector, redactor = border.connector, work.context.redactor
    operation = connector.table.by_name[call.name]
    again = Work(work.context, border, operation, Call(call.name, redactor.reveal(call.arguments)))
    steps = handler_of(again)
    taken = iter(call.snapshots)
    step = next(steps)
    while not isinstance(step, Forward):
        reply = None
        if isinstance(step, Read):
            reply = redactor.reveal(next(taken))
            again.snapshots.append(reply)
        elif isinstance(step, Undo) and len(again.undos) < len(known):
            again.undos.append(replace(step, arguments=redactor.reveal(known[len(again.undos)].arguments)))
        else:
            again.undos.append(step)
        step = steps.send(reply)
    answer = Answer(200, found, Certainty.HAPPENED)
    yield from finish(again, steps, answer)
    yield Commit(lambda: record(again, call, CallState.COMMITTED, answer))
    return [msgspec.structs.replace(row, seq=call.seq, n=n) for n, row in enumerate(rows_of(again), 1)]


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# One undo


def run_undo(work: Unwinding, border: Border, undo: UndoRow) -> Flow[tuple[Outcome, str]]:
    """Send one undo, once, if what it takes back is still as the call left it; say what was seen."""
    if undo.outcome is not None and (undo.outcome.ok or not undo.name):
        return undo.outcome, undo.detail
    ledger, reveal = work.context.ledger, work.context.redactor.reveal
    found: Json = None
    try:
        arguments, left, back = reveal(undo.arguments), reveal(undo.left), reveal(undo.back)
        verdict = None
        if undo.look is not None:
            found = yield from see(border, undo, reveal)
            verdict = yield from judge(border, undo, found, left, back)
        elif undo.state is UndoState.SENDING:
            verdict = Outcome.IN_DOUBT, "an earlier undo was interrupted, and nothing shows whether it happened"
        if verdict is None:
            if undo.outcome is Outcome.FAILED:
                undo.attempt += 1
            yield Commit(lambda: ledger.begin_undo(undo))
            verdict, found = yield from send_undo(border, undo, arguments, back, reveal)
    except Unrevealable:
        verdict = (
            Outcome.FAILED,
            "the old value holds a secret, which is never stored; only the process that made the call can restore it",
        )
    except (AgentguardError, Missing) as error:
        verdict = Outcome.FAILED, f"the undo was not sent: {error}"
    outcome, detail = verdict
    shown = work.context.redactor.clean(found)
    told = work.context.redactor.clean_text(detail)
    yield Commit(lambda: ledger.end_undo(undo, outcome, told, shown))
    return outcome, told


def see(border: Border, undo: UndoRow, reveal: Callable[[Json], Json]) -> Flow[Json]:
    """Look at the thing that *undo* is about; ABSENT where the service says that there is none."""
    assert undo.look is not None
    read = Read(undo.look["operation"], reveal(undo.look["arguments"]), undo.look["view"])
    try:
        shown = yield from look(border, read)
    except Missing:
        return ABSENT
    except AgentguardError:
        raise
    except Exception as error:
        raise AgentguardError(f"{read.operation} could not be read: {type(error).__name__}: {error}") from error
    return shown


def judge(border: Border, undo: UndoRow, live: Json, left: Json, back: Json) -> Flow[tuple[Outcome, str] | None]:
    """Decide from what is there now; None: it is as this call left it, the undo may be sent."""
    if live == ABSENT and back == ABSENT:
        if (yield from believed(border, undo)):
            if undo.state is UndoState.SENDING:
                return _restored(undo)
            return Outcome.ALREADY_UNDONE, "it is gone already"
        return Outcome.FAILED, "it cannot be seen any more: gone, or no permission; the service does not say which"
    if back != ABSENT and live != ABSENT and matches(back, live):
        if undo.state is UndoState.SENDING:
            return _restored(undo)
        return Outcome.ALREADY_UNDONE, "it is back in its former state already"
    if live == ABSENT and left != ABSENT:
        return Outcome.CONFLICT, "it is gone, so nothing was written back"
    if not matches(left, live):
        changed = _difference(left, live)
        return Outcome.CONFLICT, f"somebody changed it since; nothing was sent. {changed}"
    return None


def believed(border: Border, undo: UndoRow) -> Flow[bool]:
    """Whether "there is no such thing" can be believed: what it belonged to must still be visible to us."""
    assert undo.look is not None
    witness = border.connector.witness(Read(undo.look["operation"], undo.look["arguments"]))
    if witness is None:
        return True
    try:
        yield from look(border, witness)
    except (Missing, AgentguardError):
        return False
    return True


def send_undo(
    border: Border, undo: UndoRow, arguments: dict[str, Json], back: Json, reveal: Callable[[Json], Json]
) -> Flow[tuple[tuple[Outcome, str], Json]]:
    """Send the undo once and look whether it worked."""
    headers = {}
    if border.connector.idempotency_header:
        headers[border.connector.idempotency_header] = (
            f"agentguard-undo-{undo.session}-{undo.seq}-{undo.n}-{undo.attempt}"
        )
    error: str | None = None
    certainty = Certainty.UNKNOWN
    try:
        answer: Answer = yield Perform(border, Call(undo.name, arguments), headers)
        certainty, error = answer.certainty, answer.error
    except Exception as raised:  # noqa: BLE001 - whatever the transport raises: what counts is what is there now
        error = f"{type(raised).__name__}: {raised}"
        certainty = Certainty.REFUSED if border.never_left(raised) else Certainty.UNKNOWN
    if undo.look is None:
        if certainty is Certainty.HAPPENED:
            return (Outcome.COMPENSATED, undo.remains or "accepted by the service; there is nothing to read back"), None
        if certainty is Certainty.REFUSED:
            return (Outcome.FAILED, f"the service refused the undo: {error}"), None
        return (Outcome.IN_DOUBT, f"the undo was sent and its answer was lost: {error}"), None

    found: Json = None
    for wait in LOOK_AGAIN_AFTER if certainty is Certainty.HAPPENED else LOOK_AGAIN_AFTER[:1]:
        if wait:
            yield Pause(wait)
        found = yield from see(border, undo, reveal)
        if (found == ABSENT and back == ABSENT) or (found != ABSENT and back != ABSENT and matches(back, found)):
            return _restored(undo), found
    if certainty is Certainty.REFUSED:
        return (Outcome.FAILED, f"the service refused the undo: {error}"), found
    if certainty is Certainty.UNKNOWN:
        return (Outcome.IN_DOUBT, f"the undo was sent and its answer was lost: {error}"), found
    return (
        Outcome.FAILED,
        f"the service accepted the undo and shows something else. {_difference(back, found)}",
    ), found


def _restored(undo: UndoRow) -> tuple[Outcome, str]:
    return (Outcome.COMPENSATED, undo.remains) if undo.remains else (Outcome.RESTORED, "")


def shows(undo: UndoRow, live: Json, work: Unwinding) -> bool:
    """Whether *live* is the state from before the call."""
    back = work.context.redactor.reveal(undo.back)
    return bool(live == ABSENT) if back == ABSENT else bool(live != ABSENT and matches(back, live))


def _difference(expected: Json, live: Json) -> str:
    """Both versions, of what differs only."""
    if isinstance(expected, dict) and isinstance(live, dict) and expected != ABSENT and live != ABSENT:
        names = [name for name, value in expected.items() if not (name in live and matches(value, live[name]))]
        expected, live = {n: expected[n] for n in names}, {n: live.get(n) for n in names}
    return f"Expected {_brief(expected)}, found {_brief(live)}"


def _brief(value: Json) -> str:
    text = "nothing" if value == ABSENT else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else f"{text[:150]}…"
