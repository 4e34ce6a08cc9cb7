"""Taking back: each call of a session, newest first, and only what can be shown to be ours still.

Before an undo is sent, the thing is looked at: is it as this call left it, is it back already, did somebody else change
it? After it was sent, it is looked at again (see undoing.py). An undo that fails leaves the others to
be tried, but for those of older calls on the same thing, which wait for it (see lineage.py); what was taken back once
is not touched again, however often this runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec

from agentguard.calls import ABSENT, Answer, Call, CallState, Certainty, Forward, Json, Outcome, Read, Undo, matches
from agentguard.connector import Connector, bind
from agentguard.engine import Context, Work, finish, handler_of, look, record, rows_of
from agentguard.errors import AgentguardError
from agentguard.flow import Border, Commit, Flow, Pause
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.lineage import Lineage, lineage
from agentguard.operations import Operation
from agentguard.report import CallOutcome
from agentguard.undoing import is_final, judge, looks_at, run_undo, see, shows, unproven, wants_absence

log = logging.getLogger("agentguard")


@dataclass(slots=True)
class Unwinding:
    """A rollback under way."""

    context: Context
    border_for: Callable[[CallRow], Border]
    """Finds the client for a call. Raises an AgentguardError where there is none."""
    connector_for: Callable[[CallRow], Connector]
    """Finds the connector of a call, with or without a client."""
    deleted: set[int] = field(default_factory=set)
    """Calls that made what another call of this session has deleted."""


def unwind(work: Unwinding, after: int, upto: int) -> Flow[list[CallOutcome]]:
    """Take back the calls after number *after* and up to number *upto*, newest first."""
    ledger = work.context.ledger
    calls = [call for call in ledger.calls(work.context.id) if after < call.seq <= upto]
    undos: dict[int, list[UndoRow]] = {}
    for undo in ledger.undos(work.context.id):
        undos.setdefault(undo.seq, []).append(undo)
    results = []
    still_open: list[Lineage] = []
    while calls:
        call = calls.pop()
        own = undos.get(call.seq, [])
        gone = yield from made_and_gone(work, call, own, calls, undos)
        if gone is not None:
            results.append(gone)
            continue
        waits_for = None
        if still_open:
            line = lineage(operations_of(work, call), call, own)
            waits_for = next((newer.call for newer in still_open if newer.hangs_on(line)), None)
        result = yield from take_back(work, call, own, waits_for)
        if result is None:
            continue
        if result.outcome in _STILL_OPEN:
            still_open.append(lineage(operations_of(work, call), call, own))
        results.append(result)
    return results


def made_and_gone(
    work: Unwinding, call: CallRow, own: list[UndoRow], older: list[CallRow], undos: Mapping[int, list[UndoRow]]
) -> Flow[CallOutcome | None]:
    """Leave a call alone that is about a thing which this session has made, and which is gone as its undo wants it.

    To make a deleted thing again, under a new id, only to find its maker's undo with nothing left to delete, would
    leave a twin behind.
    """
    if call.state is not CallState.COMMITTED or not own or any(is_final(undo) for undo in own):
        return None
    line = lineage(operations_of(work, call), call, own)
    for maker in reversed(older):
        made = [undo for undo in undos.get(maker.seq, ()) if not is_final(undo) and unmakes(work, maker, undo)]
        if maker.state is not CallState.COMMITTED or not made:
            continue
        thing = lineage(operations_of(work, maker), maker, made)
        again = any(undo.name == maker.name for undo in own) and line.hangs_on(thing)
        if not (again or line.things & thing.things or line.looks & thing.looks):
            continue
        since = call.settled_at or call.created_at
        gone = True
        for undo in made:
            gone = gone and (
                yield from is_gone(work, maker, undo, since if again else 0.0, again or maker.seq in work.deleted)
            )
        if not gone:
            continue
        told = f"call {maker.seq} of this session made it, and it is gone: nothing is left to take back"
        for undo in own:
            yield Commit(partial(work.context.ledger.end_undo, undo, Outcome.ALREADY_UNDONE, told, ABSENT))
        if again:
            work.deleted.add(maker.seq)
        return CallOutcome(call.seq, call.operation, call.target, Outcome.ALREADY_UNDONE, told)
    return None


def unmakes(work: Unwinding, maker: CallRow, undo: UndoRow) -> bool:
    """Whether *undo* deletes what *maker* made, rather than take a part of something away.

    Where a service does not show all that there is, what is gone may be looked for in a list.
    """
    if not undo.look or undo.back == ABSENT:
        return bool(undo.look)
    if not wants_absence(undo.back):
        return False
    try:
        return bool(unproven(work.connector_for(maker), undo, work.context.redactor.reveal))
    except Exception:  # noqa: BLE001 - why its connector cannot be loaded is told where the call is taken back
        return False


def is_gone(work: Unwinding, maker: CallRow, undo: UndoRow, since: float, deleted: bool) -> Flow[bool]:
    """Whether what *maker* made can be seen to be gone; *deleted* by a call of ours, or by whomever."""
    reveal = work.context.redactor.reveal
    try:
        border = work.border_for(maker)
        for wait in looks_at(since):
            if wait:
                yield Pause(wait)
            live = yield from see(border, undo, reveal)
            verdict = yield from judge(border, undo, live, reveal(undo.left), reveal(undo.back), reveal, deleted)
            if verdict is not None and verdict[0] in (Outcome.ALREADY_UNDONE, Outcome.RESTORED):
                return True
    except Exception:  # noqa: BLE001 - what cannot be seen is not known to be gone; its own undo will tell why
        return False
    return False


_STILL_OPEN = (Outcome.CONFLICT, Outcome.IN_DOUBT, Outcome.FAILED)


def operations_of(work: Unwinding, call: CallRow) -> Mapping[str, Operation]:
    """The operations of the call's service; none where its connector is not here."""
    try:
        return work.connector_for(call).table.by_name
    except Exception:  # noqa: BLE001 - why it cannot be loaded is told where the call is taken back
        return {}


def take_back(
    work: Unwinding, call: CallRow, undos: list[UndoRow], waits_for: CallRow | None
) -> Flow[CallOutcome | None]:
    """Take back one call; None where there was nothing to take back. *waits_for* has to be taken back before."""
    if call.state in (CallState.REFUSED, CallState.NOT_APPLIED):
        return None
    if call.effect.value in ("read", "draft") and not undos:
        return None
    # What an earlier rollback has taken back, and what has no way back, takes no client to be told.
    outcomes = [(undo.outcome, undo.detail) for undo in reversed(undos) if undo.outcome and is_final(undo)]
    if outcomes and len(outcomes) == len(undos):
        return summed_up(call, outcomes)
    doubtful = call.state in (CallState.INTENT, CallState.IN_DOUBT)
    outcomes = []
    try:
        if call.state is CallState.COMMITTED and not undos:
            return CallOutcome(call.seq, call.operation, call.target, *without_undo(work.connector_for(call), call))
        if waits_for is not None:
            raise AgentguardError(
                f"nothing was sent: call {waits_for.seq} ({waits_for.operation} {waits_for.target}) came after it, is "
                "about the same thing and is not taken back. Settle that one, then roll back again"
            )
        border = work.border_for(call)
        if doubtful:
            doubt, undos = yield from settle(work, border, call, undos)
            if doubt is not None:
                return None if doubt[0] is None else CallOutcome(call.seq, call.operation, call.target, *doubt)
            doubtful = False
        if not undos:
            return CallOutcome(call.seq, call.operation, call.target, *without_undo(border.connector, call))
        for undo in reversed(undos):
            since, deleted = call.settled_at or call.created_at, call.seq in work.deleted
            outcomes.append((yield from run_undo(work.context, border, undo, since, deleted)))
    except Exception as error:
        told = work.context.redactor.clean_text(str(error))
        if not isinstance(error, AgentguardError):
            log.exception("agentguard: call %s of session %s could not be taken back", call.seq, call.session)
            told = f"it could not be taken back: {type(error).__name__}: {told}"
        outcomes.append((Outcome.IN_DOUBT if doubtful else Outcome.FAILED, told))
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
    same = repeated(ledger.calls(call.session), call)
    if same is not None:
        why = f"settled by call {same.seq}, which it repeated under the same idempotency key"
        yield Commit(lambda: ledger.settle(call, CallState.NOT_APPLIED, error=why))
        return (None,), []
    located = connector.finders.get(call.name)
    if located is not None:
        try:
            found = yield from find(work, border, call)
        except Exception as error:  # noqa: BLE001 - a connection or a finder that breaks stops no other undo
            told = work.context.redactor.clean_text(f"{type(error).__name__}: {error}")
            return (Outcome.IN_DOUBT, f"it is not known whether it happened; looking it up failed: {told}"), undos
        if found is not None:
            rebuilt = yield from rebuild(work, border, call, undos, found)
            if rebuilt is None:
                return (Outcome.IN_DOUBT, "the answer was lost, and what was found belongs to another call"), undos
            return None, rebuilt
        if located.authoritative:
            why = "looked up by its own key after the answer was lost: it is not there"
            yield Commit(lambda: ledger.settle(call, CallState.NOT_APPLIED, error=why))
            return (None,), []
        return (Outcome.IN_DOUBT, "the answer was lost, and looking for it found nothing, which proves nothing"), undos
    if undos and all(undo.look for undo in undos):
        for wait in looks_at(call.settled_at or call.created_at):
            if wait:
                yield Pause(wait)
            shown = []
            for undo in undos:
                live = yield from see(border, undo, work.context.redactor.reveal)
                left = matches(work.context.redactor.reveal(undo.left), live)
                shown.append((left, shows(undo, live, work.context)))
            if not all(back for _left, back in shown):
                break
        else:
            # On record, as the undo of an older call may take the thing itself away, and then nothing shows it again.
            told = "the answer was lost; the state from before the call was read back"
            for undo in undos:
                yield Commit(partial(ledger.end_undo, undo, Outcome.ALREADY_UNDONE, told, None))
            return (Outcome.ALREADY_UNDONE, told), undos
        if all(left and not back for left, back in shown):
            yield Commit(lambda: ledger.settle(call, CallState.COMMITTED, error=None))
            return None, undos
    return (Outcome.IN_DOUBT, "the answer was lost, and nothing shows whether it happened"), undos


KEYS_LAST = 23 * 3600.0
"""Seconds in which a service surely knows an idempotency key still (https://docs.stripe.com/api/idempotent_requests)."""


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
    steps = finder(**bind(finder, Call(call.name, arguments), since=since, key=call.key, snapshots=snapshots))
    reply: Json = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = yield from look(border, step)


def rebuild(
    work: Unwinding, border: Border, call: CallRow, known: list[UndoRow], found: Json
) -> Flow[list[UndoRow] | None]:
    """Run the handler again over what is on record, with *found* for the lost answer; register its undos.

    The undos that are *known* since the intent are whole, while a large snapshot is not kept: they count. None: what
    was found is what another call of the session made, so that it says nothing about this one.
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
            reply = redactor.reveal(next(taken, None))
            again.snapshots.append(reply)
        elif isinstance(step, Undo) and len(again.undos) < len(known):
            row = known[len(again.undos)]
            arguments, left, back = (redactor.reveal(kept) for kept in (row.arguments, row.left, row.back))
            again.undos.append(replace(step, arguments=arguments, left=left, back=back))
        else:
            again.undos.append(step)
        step = steps.send(reply)
    before = len(again.undos)
    answer = Answer(200, found, Certainty.HAPPENED)
    yield from finish(again, steps, answer)
    others = {_identity(u) for u in work.context.ledger.undos(call.session) if u.seq != call.seq and not is_final(u)}
    if any(_identity(row) in others for row in rows_of(again)[before:] if row.name):
        return None
    yield Commit(lambda: record(again, call, CallState.COMMITTED, answer))
    call.error = again.gap
    return [msgspec.structs.replace(row, seq=call.seq, n=n) for n, row in enumerate(rows_of(again), 1)]


def _identity(undo: UndoRow) -> tuple[str, str]:
    return undo.name, json.dumps(undo.arguments, sort_keys=True)


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
