"""What a rollback would do, before it does it: each call newest first, looked at and not touched.

- delete   issue #12                    what the call made is taken away
~ restore  label bug -> enhancement     what it changed comes back
+ create   note                         what it deleted is made again
! cannot undo, ? in doubt, x conflict   what needs a person
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from agentguard.calls import ABSENT, CallState, Effect, Json, Outcome, Risk
from agentguard.errors import AgentguardError
from agentguard.flow import Flow
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.report import visible
from agentguard.rollback import plan_for, settled, without_undo
from agentguard.undoing import is_final, judge, risk_of_undo, see, sent_before
from agentguard.unwinding import Brake, Pace, ask_whose, check_whole, work_for

if TYPE_CHECKING:
    from agentguard.doubt import Unwinding
    from agentguard.session import Session

DELETE, RESTORE, CREATE, SEND = "-", "~", "+", ">"
CANNOT, DOUBT, CONFLICT, FAILS, DONE, DROP = "!", "?", "x", "x", "=", "-"
NEEDS_A_PERSON = frozenset({CANNOT, DOUBT, CONFLICT})


@dataclass(frozen=True, slots=True)
class Planned:
    """What a rollback would do about one call."""

    seq: int
    operation: str
    target: str
    symbol: str
    what: str
    """In words: `restore state open -> closed`."""
    undo: str = ""
    """The operation that would be sent; empty where none would."""
    risk: str = "low"
    """How bad a wrong undo would be; one of high or critical risk asks, like any call."""
    waits_for: tuple[int, ...] = ()
    """The newer calls that have to be taken back before."""

    def __str__(self) -> str:
        return f"{self.symbol} {self.what}  {self.operation} {visible(self.target)}".rstrip()


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback of one session would do, newest call first."""

    session: str
    to: str | None
    calls: tuple[Planned, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing in it needs a person."""
        return not any(planned.symbol in NEEDS_A_PERSON for planned in self.calls)

    @property
    def digest(self) -> str:
        """SHA-256 of the plan: a rollback that is given it does exactly this, or nothing."""
        text = json.dumps([self.session, self.to, [asdict(planned) for planned in self.calls]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """How many calls there are of each symbol."""
        return dict(Counter(planned.symbol for planned in self.calls))

    def __str__(self) -> str:
        if not self.calls:
            return f"session {self.session}: there is nothing to take back"
        lines = [f"session {self.session}: {len(self.calls)} calls, newest first"]
        return "\n".join([*lines, *(f"  {planned}" for planned in self.calls), f"plan {self.digest[:16]}"])

    def to_dict(self) -> dict[str, Json]:
        """The plan as JSON."""
        return {
            "session": self.session,
            "to": self.to,
            "ok": self.ok,
            "digest": self.digest,
            "counts": self.counts,
            "calls": [asdict(planned) for planned in self.calls],
        }


def plan_rollback(session: Session, to: str | None) -> Flow[RollbackPlan]:
    """Work out what a rollback would do. Reads from the services and writes nowhere."""
    check_whole(session)
    after = session.savepoints()[to] if to is not None else 0
    yield from ask_whose(session)
    work = work_for(session, Brake(Pace()))
    plan = plan_for(work, after, session.ledger.last(session.id))
    planned = []
    then: dict[str, Json] = {}
    for call in reversed(plan.calls.values()):
        own = plan.undos[call.seq]
        if settled(call, own) and (own or call.state is not CallState.COMMITTED):
            continue
        if call.effect in (Effect.READ, Effect.DRAFT) and not own:
            continue
        waits = tuple(n for n in sorted(plan.waits_for[call.seq]) if not settled(plan.calls[n], plan.undos[n]))
        planned += yield from _of_call(work, call, own, waits, then)
    return RollbackPlan(session.id, to, tuple(planned))


def _of_call(
    work: Unwinding, call: CallRow, undos: list[UndoRow], waits: tuple[int, ...], then: dict[str, Json]
) -> Flow[list[Planned]]:
    """Plan one call. *then* has what will be seen, by the look at it, once the newer calls are taken back."""

    def planned(symbol: str, what: str, undo: UndoRow | None = None) -> Planned:
        operation = f"{call.connector}.{undo.name}" if undo else ""
        risk = _risk(work, call, undo) if undo else Risk.LOW
        return Planned(call.seq, call.operation, call.target, symbol, what, operation, str(risk), waits)

    if call.state is CallState.HELD:
        return [planned(DROP, "drop (held, never sent)")]
    if call.state is not CallState.COMMITTED:
        return [planned(DOUBT, f"in doubt: {call.error or 'no answer is on record'}")]
    try:
        if not undos:
            _outcome, why = without_undo(work.connector_for(call), call)
            return [planned(CANNOT, f"cannot undo: {why}")]
        border = work.border_for(call)
    except AgentguardError as error:
        return [planned(FAILS, f"cannot be reached: {error}")]
    found = []
    for undo in reversed(undos):
        if is_final(undo):
            if undo.outcome is Outcome.IRREVERSIBLE or undo.outcome is Outcome.FAILED:
                found.append(planned(CANNOT, f"cannot undo: {undo.detail}"))
            continue
        reveal = work.context.redactor.reveal
        if undo.look is None and sent_before(undo):
            found.append(planned(DOUBT, f"in doubt: {undo.name} was sent, and nothing shows whether it happened"))
            continue
        if undo.look is None:
            found.append(planned(SEND, f"send {undo.name}", undo))
            continue
        try:
            left, back, place = reveal(undo.left), reveal(undo.back), _place(call, undo.look)
            live = then[place] if place in then else (yield from see(border, undo, reveal))
            verdict = yield from judge(border, undo, live, left, back, reveal)
        except AgentguardError as error:
            found.append(planned(FAILS, f"cannot be read: {error}", undo))
            continue
        if verdict is None:
            merges = isinstance(live, dict) and isinstance(back, dict) and ABSENT not in (live, back)
            then[place] = {**live, **back} if merges else back
            found.append(planned(*_change(undo), undo))
        elif verdict[0].ok:
            found.append(planned(DONE, f"nothing to do: {verdict[1] or 'it is back already'}"))
        else:
            found.append(planned(CONFLICT, f"{verdict[0].replace('_', ' ')}: {verdict[1]}", undo))
    return found


def _place(call: CallRow, look: dict[str, Json]) -> str:
    """What a look shows, whatever its arguments are spelled as: an id is a number here and a text there."""
    spelled = {name: str(value) if isinstance(value, int | str) else value for name, value in look["arguments"].items()}
    return json.dumps([call.base, look["operation"], look["view"], spelled], sort_keys=True)


def _risk(work: Unwinding, call: CallRow, undo: UndoRow) -> Risk:
    return risk_of_undo(work.connector_for(call), call, undo)


def _change(undo: UndoRow) -> tuple[str, str]:
    """What an undo would change, as a symbol and in words."""
    if undo.back == ABSENT:
        return DELETE, "delete"
    if undo.left == ABSENT:
        return CREATE, "create again"
    parts = []
    if isinstance(undo.left, dict) and isinstance(undo.back, dict):
        for name, old in undo.back.items():
            now = undo.left.get(name)
            if old != now:
                parts.append(f"{name} {_brief(now)} -> {_brief(old)}")
    return RESTORE, "restore " + ", ".join(parts) if parts else "restore"


def _brief(value: Json) -> str:
    if value == ABSENT:
        return "nothing"
    text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else f"{text[:40]}…{text[-12:]}"
