"""One undo: look, judge, send once, look again, and say only what was seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentguard.asking import approval_digest, obtain
from agentguard.calls import ABSENT, Answer, Call, Certainty, Json, Outcome, Read, Risk, matches
from agentguard.engine import Missing, Unreadable, look
from agentguard.errors import AgentguardError, Refused, SessionLost
from agentguard.flow import Border, Commit, Flow, Pause, Perform
from agentguard.ledger.rows import CallRow, UndoRow, UndoState
from agentguard.redaction import Unrevealable
from agentguard.report import Card
from agentguard.rulings import Verdict
from agentguard.work import masked

if TYPE_CHECKING:
    from agentguard.connector import Connector
    from agentguard.doubt import Unwinding
    from agentguard.work import Context

LOOK_AGAIN_AFTER = (0.0, 0.25, 1.0)
"""Seconds before each look that should show the effect of a write: services answer reads from copies that lag."""
AGAIN_AFTER = (0.2, 1.0, 3.0)
"""Seconds before a read, or an undo that certainly did nothing, is tried again, where the service gives no time."""
LONGEST_WAIT = 60.0
"""Seconds that a service may ask for; a longer time is left to the next rollback."""
SETTLED_AFTER = 10.0
"""Seconds after which a single look is believed when it shows that there is nothing to undo."""


def is_final(undo: UndoRow) -> bool:
    """Whether trying again would change nothing: it is undone, or the row says that there is no way back."""
    return undo.outcome is not None and (undo.outcome.ok or not undo.name)


def run_undo(
    work: Unwinding, border: Border, call: CallRow, undo: UndoRow, deleted: bool = False
) -> Flow[tuple[Outcome, str]]:
    """Send one undo, once, if what it takes back is still as the call left it; say what was seen.

    What *call* changed a moment ago may not be seen yet. *deleted* says that the session has deleted the thing itself.
    """
    since = call.settled_at or call.created_at
    if undo.outcome is not None and is_final(undo):
        return undo.outcome, undo.detail
    context, token = work.context, work.token
    ledger, reveal = context.ledger, context.redactor.reveal
    found: Json = None
    sending = False
    try:
        arguments, left, back = reveal(undo.arguments), reveal(undo.left), reveal(undo.back)
        verdict = None
        if undo.look is not None:
            waits = [*looks_at(since)]
            while waits:
                wait = waits.pop(0)
                if wait:
                    yield Pause(wait)
                found = yield from see(border, undo, reveal)
                verdict = yield from judge(border, undo, found, left, back, reveal, deleted)
                under_way = work.landing(undo) if verdict is None and sent_before(undo) else 0.0
                if under_way:
                    waits = [under_way]  # what was sent before may still land: it is not sent a second time until then
                elif verdict is None or verdict[0] is not Outcome.ALREADY_UNDONE:
                    break
        elif sent_before(undo):
            verdict = Outcome.IN_DOUBT, "it was sent before, and nothing shows whether it happened; not sent again"
        if verdict is not None and verdict[0] is Outcome.CONFLICT and work.force:
            verdict = None
        if verdict is None:
            yield from may_be_sent(work, border, call, undo)
            yield Commit("undo_intent", lambda: ledger.begin_undo(undo, token))
            sending = True
            verdict, found = yield from send_undo(context, border, undo, arguments, back)
    except Unrevealable:
        verdict = (
            Outcome.FAILED,
            "the old value holds a secret, which is never stored; only the process that made the call can restore it",
        )
    except SessionLost:
        raise
    except (AgentguardError, Missing) as error:
        verdict = Outcome.FAILED, f"the undo was not sent: {error}"
    if verdict[0] is Outcome.FAILED and sent_before(undo) and not sending:
        verdict = Outcome.IN_DOUBT, f"it was sent before, and it is not known whether it happened; now: {verdict[1]}"
    outcome, detail = verdict
    shown = context.redactor.clean(found)
    told = context.redactor.clean_text(detail)
    yield Commit("undo_result", lambda: ledger.end_undo(undo, outcome, told, shown, token))
    return outcome, told


def may_be_sent(work: Unwinding, border: Border, call: CallRow, undo: UndoRow) -> Flow[None]:
    """Ask about an undo that is of high risk itself, as about any call. Raises Blocked where it may not be sent."""
    connector, context = border.connector, work.context
    operation = connector.table.by_name.get(undo.name)
    if operation is None:
        return  # an action's own undo, which its author has declared
    effect, _risk = connector.facts(operation, undo.arguments)
    risk = risk_of_undo(connector, call, undo, blind=work.force)
    row = CallRow(
        session=undo.session,
        connector=connector.name,
        base=call.base,
        name=undo.name,
        target=f"the undo of call {undo.seq}, {call.operation} {call.target}",
        arguments=undo.arguments,
        effect=effect,
        risk=risk,
    )
    ruling = context.gatekeeper.judge_undo(context, connector, row)
    if ruling.verdict is Verdict.REFUSE:
        raise Refused(f"{row.operation} is not allowed by {ruling.rule}: {ruling.reason}. The undo was not sent")
    if ruling.verdict is Verdict.ALLOW or work.agreed:
        return
    guarded = connector.guarded.get(undo.name)
    card = Card(
        operation=row.operation,
        target=row.target,
        account=row.base,
        arguments=undo.arguments,
        effect=effect,
        risk=risk,
        summary=f"takes back what call {undo.seq} did" + (f": {guarded.summary}" if guarded else ""),
        before=[undo.left],
        undo="none: it is an undo itself",
        agent=context.agent,
        intent=context.intent,
    )
    digest = approval_digest(row, [undo.session, undo.seq, undo.n, masked(undo.arguments)], ruling.policy)
    approval = yield from obtain(context, row, card, digest, ruling.policy, for_undo=True)
    if approval is not None:
        yield Commit("approval", lambda: context.ledger.people.use(approval, undo, digest))


def risk_of_undo(connector: Connector, call: CallRow, undo: UndoRow, *, blind: bool = False) -> Risk:
    """How bad a wrong undo would be.

    What is seen to be as the call left it is put back with no more risk than the call had, unless the operation is
    critical. A *blind* undo, or one that shows nothing, has the risk of its operation.
    """
    operation = connector.table.by_name.get(undo.name)
    risk = connector.facts(operation, undo.arguments)[1] if operation is not None else Risk.LOW
    if blind or undo.look is None or risk is Risk.CRITICAL:
        return risk
    return min(risk, call.risk)


def looks_at(since: float) -> tuple[float, ...]:
    """Seconds before each look at what was changed at the time *since*, before it is said that it was not."""
    return LOOK_AGAIN_AFTER if time.time() - since < SETTLED_AFTER else LOOK_AGAIN_AFTER[:1]


def sent_before(undo: UndoRow) -> bool:
    """Whether an earlier rollback has sent this undo and never learned what came of it."""
    return undo.state is UndoState.SENDING or undo.outcome is Outcome.IN_DOUBT


def see(border: Border, undo: UndoRow, reveal: Callable[[Json], Json]) -> Flow[Json]:
    """Look at the thing that *undo* is about; ABSENT where the service says that there is none."""
    assert undo.look is not None
    read = Read(undo.look["operation"], reveal(undo.look["arguments"]), undo.look["view"])
    for wait in (*AGAIN_AFTER, None):
        try:
            shown = yield from look(border, read)
        except Missing:
            return ABSENT
        except Unreadable as error:
            if wait is None or not error.transient:
                raise
            wait = error.retry_after or wait
        except AgentguardError:
            raise
        except Exception as error:
            if wait is None:
                told = f"{read.operation} could not be read: {type(error).__name__}: {error}"
                raise AgentguardError(told) from error
        else:
            return shown
        yield Pause(min(wait, LONGEST_WAIT))


def judge(
    border: Border,
    undo: UndoRow,
    live: Json,
    left: Json,
    back: Json,
    reveal: Callable[[Json], Json],
    deleted: bool = False,
) -> Flow[tuple[Outcome, str] | None]:
    """Decide from what is there now; None: it is as this call left it, the undo may be sent.

    *deleted* says that a call of ours has deleted it: not to find it is proof enough then.
    """
    hidden = "" if deleted or sent_before(undo) or not wants_absence(back) else unproven(border.connector, undo, reveal)
    if live == ABSENT and back == ABSENT:
        if (yield from believed(border, undo, reveal)):
            if sent_before(undo):
                return _restored(undo)
            return (Outcome.CONFLICT, hidden) if hidden else (Outcome.ALREADY_UNDONE, "it is gone already")
        return Outcome.FAILED, "it cannot be seen any more: gone, or no permission; the service does not say which"
    if back != ABSENT and live != ABSENT and matches(back, live):
        if sent_before(undo):
            return _restored(undo)
        if hidden:
            return Outcome.CONFLICT, hidden
        return Outcome.ALREADY_UNDONE, "it is back in its former state already"
    if live == ABSENT and left != ABSENT:
        return Outcome.CONFLICT, "it is gone, so nothing was written back"
    if not matches(left, live):
        changed = _difference(left, live)
        return Outcome.CONFLICT, f"somebody changed it since; nothing was sent. {changed}"
    return None


def wants_absence(back: Json) -> bool:
    """Whether *back* asks for nothing but that something is not there."""
    return bool(isinstance(back, dict) and back and (back == ABSENT or all(part == ABSENT for part in back.values())))


def unproven(connector: Connector, undo: UndoRow, reveal: Callable[[Json], Json]) -> str:
    """Why not to find a thing does not prove that it is gone; empty where it does."""
    assert undo.look is not None
    return connector.unproven(Read(undo.look["operation"], reveal(undo.look["arguments"])))


def believed(border: Border, undo: UndoRow, reveal: Callable[[Json], Json]) -> Flow[bool]:
    """Whether "there is no such thing" can be believed: what it belonged to must still be visible to us."""
    assert undo.look is not None
    witness = border.connector.witness(Read(undo.look["operation"], reveal(undo.look["arguments"])))
    if witness is None:
        return True
    try:
        yield from look(border, witness)
    except Exception:  # noqa: BLE001 - whatever keeps it from being seen, it was not seen
        return False
    return True


def send_undo(
    context: Context, border: Border, undo: UndoRow, arguments: dict[str, Json], back: Json
) -> Flow[tuple[tuple[Outcome, str], Json]]:
    """Send the undo once and look whether it worked."""
    headers = {}
    if border.connector.idempotency_header:
        headers[border.connector.idempotency_header] = (
            f"agentguard-undo-{undo.session}-{undo.seq}-{undo.n}-{undo.attempt}"
        )
    error: str | None = None
    certainty = Certainty.UNKNOWN
    for wait in (*AGAIN_AFTER, None):
        try:
            answer: Answer = yield Perform(border, Call(undo.name, arguments), headers, context.check_owner)
        except SessionLost:
            raise
        except Exception as raised:  # noqa: BLE001 - whatever the transport raises: what counts is what is there now
            error = f"{type(raised).__name__}: {raised}"
            if not border.never_left(raised):
                break
            if wait is None:
                return (Outcome.FAILED, f"the undo was not sent: {error}"), None
        else:
            certainty, error = answer.certainty, answer.error
            if wait is None or not answer.transient or (answer.retry_after or 0) > LONGEST_WAIT:
                break
            wait = answer.retry_after or wait
        yield Pause(wait)
    sent = {
        Certainty.HAPPENED: (Outcome.COMPENSATED, "the service accepted the undo"),
        Certainty.REFUSED: (Outcome.FAILED, f"the service refused the undo: {error}"),
        Certainty.UNKNOWN: (Outcome.IN_DOUBT, f"the undo was sent and its answer was lost: {error}"),
    }[certainty]
    if certainty is Certainty.REFUSED:
        undo.attempt += 1  # services repeat what they refused to the same key
    if undo.look is None:
        if certainty is Certainty.HAPPENED:
            return (Outcome.COMPENSATED, undo.remains or "accepted by the service; there is nothing to read back"), None
        return sent, None

    found: Json = None
    for wait in LOOK_AGAIN_AFTER if certainty is Certainty.HAPPENED else LOOK_AGAIN_AFTER[:1]:
        if wait:
            yield Pause(wait)
        try:
            found = yield from see(border, undo, context.redactor.reveal)
        except AgentguardError as unseen:
            told = f"{sent[1]}, and what is there now could not be read: {unseen}"
            return (Outcome.FAILED if certainty is Certainty.REFUSED else Outcome.IN_DOUBT, told), None
        if (found == ABSENT and back == ABSENT) or (found != ABSENT and back != ABSENT and matches(back, found)):
            return _restored(undo), found
    if certainty is Certainty.HAPPENED:
        return (Outcome.FAILED, f"{sent[1]} and shows something else. {_difference(back, found)}"), found
    return sent, found


def _restored(undo: UndoRow) -> tuple[Outcome, str]:
    return (Outcome.COMPENSATED, undo.remains) if undo.remains else (Outcome.RESTORED, "")


def shows(undo: UndoRow, live: Json, context: Context) -> bool:
    """Whether *live* is the state from before the call."""
    back = context.redactor.reveal(undo.back)
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
