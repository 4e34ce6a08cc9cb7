"""Taking back: each call of a session, newest first, and only what can be shown to be ours still.

Before an undo is sent, the thing is looked at: is it as this call left it, is it back already, did somebody else change
it? After it was sent, it is looked at again (see undoing.py). Newest first holds for one thing and for what was made
from it (see lineage.py); calls that have nothing to do with each other may be taken back side by side, and one that
cannot be does not stop them. What was taken back once is not touched again, however often this runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from agentguard.calls import ABSENT, CallState, Effect, Outcome
from agentguard.connector import Connector
from agentguard.doubt import Unwinding, did_not, settle, unknown
from agentguard.errors import AgentguardError, SessionLost
from agentguard.flow import Commit, Flow, Pause, SideBySide, Task
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.lineage import Key, Lineage, lineage, newer_first
from agentguard.operations import Operation
from agentguard.report import CallOutcome
from agentguard.undoing import is_final, judge, looks_at, run_undo, see, sent_before, unproven, wants_absence

log = logging.getLogger("agentguard")

STILL_OPEN = (Outcome.CONFLICT, Outcome.IN_DOUBT, Outcome.FAILED)


@dataclass(slots=True)
class Plan:
    """What a rollback deals with, and what of it hangs together."""

    calls: dict[int, CallRow]
    """By number, oldest first."""
    undos: dict[int, list[UndoRow]]
    lines: dict[int, Lineage]
    waits_for: dict[int, frozenset[int]]
    """For each call, the newer ones that have to be taken back before."""
    makers: dict[Key, list[int]]
    """By what they offer, the calls whose undo deletes what they made; oldest first."""
    results: dict[int, CallOutcome] = field(default_factory=dict)

    def blocked_by(self, call: CallRow) -> CallRow | None:
        """A newer call about the same thing that is not taken back."""
        newer = (self.results[seq] for seq in self.waits_for[call.seq] if seq in self.results)
        return next((self.calls[result.seq] for result in newer if result.outcome in STILL_OPEN), None)


def plan_for(work: Unwinding, after: int, upto: int) -> Plan:
    """Work out what to take back: the calls after number *after* and up to number *upto*."""
    ledger = work.context.ledger
    calls = {call.seq: call for call in ledger.calls(work.context.id) if after < call.seq <= upto}
    undos: dict[int, list[UndoRow]] = {seq: [] for seq in calls}
    for undo in ledger.undos(work.context.id):
        if undo.seq in undos:
            undos[undo.seq].append(undo)
    lines = {seq: lineage(operations_of(work, call), call, undos[seq]) for seq, call in calls.items()}
    makers: dict[Key, list[int]] = {}
    for seq, call in calls.items():
        made = [undo for undo in undos[seq] if not is_final(undo) and unmakes(work, call, undo)]
        if call.state is CallState.COMMITTED and made:
            for key in lineage(operations_of(work, call), call, made).offers():
                makers.setdefault(key, []).append(seq)
    return Plan(calls, undos, lines, newer_first(lines.values()), makers)


def unwind(work: Unwinding, after: int, upto: int, concurrency: int = 1) -> Flow[list[CallOutcome]]:
    """Take back the calls after number *after* and up to number *upto*, newest first."""
    plan = plan_for(work, after, upto)
    newest_first = list(reversed(plan.calls.values()))
    tasks = [Task(call.seq, partial(one, work, plan, call), plan.waits_for[call.seq]) for call in newest_first]
    if tasks:
        yield SideBySide(tasks, concurrency)
    return [plan.results[call.seq] for call in newest_first if call.seq in plan.results]


def one(work: Unwinding, plan: Plan, call: CallRow) -> Flow[None]:
    """Take back one call of the plan, if its time has come."""
    own = plan.undos[call.seq]
    halted = work.halted()
    if halted and not settled(call, own):
        result: CallOutcome | None = outcome_of(call, Outcome.FAILED, f"not tried: {halted}")
        yield from not_undone(work, own, f"not tried: {halted}")
    else:
        result = yield from made_and_gone(work, plan, call)
        if result is None:
            result = yield from take_back(work, call, own, plan.blocked_by(call))
    if result is None:
        return
    plan.results[call.seq] = result
    if result.outcome in STILL_OPEN and not halted:
        work.alarm(result)


def outcome_of(call: CallRow, outcome: Outcome, detail: str) -> CallOutcome:
    """What came of *call*."""
    return CallOutcome(call.seq, call.operation, call.target, outcome, detail)


def settled(call: CallRow, undos: list[UndoRow]) -> bool:
    """Whether nothing is left to be done about *call*."""
    if call.state in (CallState.REFUSED, CallState.NOT_APPLIED):
        return True
    return call.state is CallState.COMMITTED and all(is_final(undo) for undo in undos)


def made_and_gone(work: Unwinding, plan: Plan, call: CallRow) -> Flow[CallOutcome | None]:
    """Leave a call alone that is about a thing which this session has made, and which is gone as its undo wants it.

    To make a deleted thing again, under a new id, only to find its maker's undo with nothing left to delete, would
    leave a twin behind.
    """
    own = plan.undos[call.seq]
    if call.state is not CallState.COMMITTED or not own or any(is_final(undo) for undo in own):
        return None
    line = plan.lines[call.seq]
    older = {seq for key in line.needs() for seq in plan.makers.get(key, ()) if seq < call.seq}
    for seq in sorted(older, reverse=True):
        maker = plan.calls[seq]
        made = [undo for undo in plan.undos[seq] if not is_final(undo) and unmakes(work, maker, undo)]
        if not made:
            continue
        thing = lineage(operations_of(work, maker), maker, made)
        again = any(undo.name == maker.name for undo in own) and line.hangs_on(thing)
        if not (again or line.things & thing.things or line.looks & thing.looks):
            continue
        since = call.settled_at or call.created_at
        gone = True
        for undo in made:
            gone = gone and (
                yield from is_gone(work, maker, undo, since if again else 0.0, again or seq in work.deleted)
            )
        if not gone:
            continue
        told = f"call {seq} of this session made it, and it is gone: nothing is left to take back"
        end = work.context.ledger.end_undo
        for undo in own:
            yield Commit("undo_result", partial(end, undo, Outcome.ALREADY_UNDONE, told, ABSENT, work.token))
        if again:
            work.deleted.add(seq)
        return outcome_of(call, Outcome.ALREADY_UNDONE, told)
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
    if call.state is CallState.HELD:
        yield from did_not(work, call, "it was held, and is dropped: it was never sent")
        return None
    if call.effect in (Effect.READ, Effect.DRAFT) and not undos:
        return None
    # What an earlier rollback has taken back, and what has no way back, takes no client to be told; but that a call has
    # no way back says nothing of one that may not have happened.
    doubtful = call.state in (CallState.INTENT, CallState.IN_DOUBT)
    outcomes = [(undo.outcome, undo.detail) for undo in reversed(undos) if undo.outcome and is_final(undo)]
    if outcomes and len(outcomes) == len(undos) and not (doubtful and any(not o.ok for o, _told in outcomes)):
        return summed_up(call, outcomes)
    outcomes = []
    try:
        if call.state is CallState.COMMITTED and not undos:
            return outcome_of(call, *without_undo(work.connector_for(call), call))
        if waits_for is not None:
            raise AgentguardError(
                f"nothing was sent: call {waits_for.seq} ({waits_for.operation} {waits_for.target}) came after it, is "
                "about the same thing and is not taken back. Settle that one, then roll back again"
            )
        border = work.border_for(call)
        if doubtful:
            verdict = yield from settle(work, border, call, undos)
            if verdict.state is CallState.NOT_APPLIED:
                return None
            if verdict.outcome is not None:
                return outcome_of(call, verdict.outcome, verdict.why)
            doubtful, undos = False, verdict.undos
        if not undos:
            return outcome_of(call, *without_undo(border.connector, call))
        for undo in reversed(undos):
            outcomes.append((yield from run_undo(work, border, call, undo, call.seq in work.deleted)))
    except SessionLost:
        raise
    except Exception as error:
        told = work.context.redactor.clean_text(str(error))
        if not isinstance(error, AgentguardError):
            log.exception("agentguard: call %s of session %s could not be taken back", call.seq, call.session)
            told = f"it could not be taken back: {type(error).__name__}: {told}"
        outcomes.append((Outcome.IN_DOUBT if doubtful else Outcome.FAILED, told))
        if doubtful:
            yield from unknown(work, call, undos, told)
        else:
            yield from not_undone(work, undos, told)
    return summed_up(call, outcomes)


def not_undone(work: Unwinding, undos: list[UndoRow], why: str) -> Flow[None]:
    """Put on record why the undos that were not tried were not, so that a person finds them."""
    end = work.context.ledger.end_undo
    for undo in undos:
        if undo.outcome is None and not sent_before(undo):
            yield Commit("undo_result", partial(end, undo, Outcome.FAILED, why, None, work.token))


def summed_up(call: CallRow, outcomes: list[tuple[Outcome, str]]) -> CallOutcome:
    """What a call comes to: the worst of its undos, with what there is to say about them."""
    worst = max(outcomes, key=lambda pair: _SEVERITY.index(pair[0]))
    detail = "; ".join(dict.fromkeys(text for _outcome, text in outcomes if text))
    return outcome_of(call, worst[0], detail)


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
