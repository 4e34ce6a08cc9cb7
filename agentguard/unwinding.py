"""A rollback from beginning to end: become the owner, wait for calls under way, take back, say what came of it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Literal

from agentguard import leases
from agentguard.alerts import Alert
from agentguard.calls import CallState
from agentguard.doubt import Unwinding, settle, unknown
from agentguard.errors import PlanChanged, RollbackStopped, SessionBusy, SessionLost, UsageError
from agentguard.flow import Commit, Flow, Pause, whose
from agentguard.ledger.rows import CallRow, SessionState
from agentguard.report import CallOutcome, Report
from agentguard.rollback import one, plan_for, settled, unwind

if TYPE_CHECKING:
    from agentguard.session import Session

log = logging.getLogger("agentguard")
IN_FLIGHT_SECONDS = 60.0
"""How long a rollback waits for calls that other threads or tasks have under way; after that they are in doubt."""
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Pace:
    """How a rollback goes about it."""

    concurrency: int = 1
    """How many undos of unrelated things may be under way at once."""
    timeout: float | None = None
    """Seconds after which no further undo is begun."""
    on_failure: Literal["continue", "stop"] = "continue"
    """Whether an undo that does not work stops the others. Older calls on the same thing wait for it in any case."""

    agreed: bool = False
    """Whether a person has agreed to every undo; otherwise those of high risk ask, like any call."""
    plan: str | None = None
    """The digest of the plan that it has to follow; a beginning of 16 letters or more will do."""

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UsageError(f"concurrency is a number from 1 on, not {self.concurrency}. Nothing was taken back.")
        if self.timeout is not None and self.timeout <= 0:
            raise UsageError(f"timeout is a number of seconds above 0, not {self.timeout}. Nothing was taken back.")
        if self.on_failure not in ("continue", "stop"):
            raise UsageError(f'on_failure is "continue" or "stop", not {self.on_failure!r}. Nothing was taken back.')


class Brake:
    """Why no further undo may be begun: the time is up, one has failed, or somebody has pressed Ctrl-C."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.until = None if pace.timeout is None else leases.now() + pace.timeout
        self.pressed = False
        self.cut_short = False
        """Whether an undo was not begun as the time was up."""
        self.failed = ""

    def reason(self) -> str:
        """In words; empty while there is none."""
        if self.pressed:
            return "it was interrupted; run the rollback again to go on"
        if self.failed:
            return f"{self.failed}; run the rollback again when that is settled"
        if self.until is not None and leases.now() >= self.until:
            self.cut_short = True
            return f"the time limit of {self.pace.timeout:g} s was reached; run the rollback again to go on"
        return ""

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Have the first Ctrl-C stop after the undo that is under way; a second one interrupts that, too."""
        here = threading.current_thread() is threading.main_thread()
        if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return

        def press(_signal: int, _frame: FrameType | None) -> None:
            self.pressed = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        signal.signal(signal.SIGINT, press)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def take_back(session: Session, to: str | None, cause: BaseException | str | None, brake: Brake) -> Flow[Report]:
    """Roll *session* back, whole or to the savepoint *to*."""
    check_whole(session)
    savepoints = session.savepoints()
    if to is not None and to not in savepoints:
        known = ", ".join(savepoints) or "none"
        raise UsageError(f"this session has no savepoint {to!r}; there are: {known}. Nothing was taken back.")
    yield from hold(session)
    try:
        told = f"{type(cause).__name__}: {cause}" if isinstance(cause, BaseException) else cause or "asked for"
        why = session.redactor.clean_text(told)
        until = leases.now() + IN_FLIGHT_SECONDS
        upto = yield from wait_for_calls(session, until)
        if not session.ownership.holds:  # it was completed while what it held was waited for
            session.end_rollback()
            yield from hold(session)
        if brake.pace.plan is not None:
            yield from check_plan(session, to, brake.pace.plan)
        if to is None:
            yield Commit("begin", lambda: session.enter(SessionState.ROLLING_BACK, why))
            upto = yield from wait_for_calls(session, until)  # another thread may have begun one; none can from here on
        else:
            session.ledger.note(session.id, "rollback to savepoint", {"name": to, "cause": why})
        yield from ask_whose(session)
        work = work_for(session, brake)
        outcomes = yield from unwind(work, savepoints[to] if to else 0, upto, brake.pace.concurrency)
        report = Report(session.id, outcomes, to)
        if brake.pressed:
            left = sum("not tried" in result.detail for result in outcomes)
            raise RollbackStopped(
                f"the rollback of session {session.id} was stopped after the undo that was under way; {left} calls "
                f"were not tried. What was taken back is on record. Go on with `agentguard rollback {session.id}`."
                f"\n{report}"
            )
        if to is None and not brake.cut_short:  # what was cut short goes on with the next rollback, or with recovery
            end = SessionState.ROLLED_BACK if report.ok else SessionState.PARTIAL
            yield Commit("end", lambda: session.enter(end))
        return report
    finally:
        session.end_rollback()


def check_whole(session: Session) -> None:
    """Raise UsageError where the payloads of *session* were purged, and with them every way back."""
    if session.ledger.session(session.id).purged_at is not None:
        raise UsageError(
            f"session {session.id} was purged: what it sent is not on record any more. Nothing was taken back, and "
            "nothing can be from here."
        )


def check_plan(session: Session, to: str | None, wanted: str) -> Flow[None]:
    """Raise PlanChanged unless the rollback would do what the plan *wanted* says."""
    from agentguard.plan import plan_rollback  # which looks at sessions by way of this module

    newest = session.ledger.last(session.id)
    found = yield from plan_rollback(session, to)
    if len(wanted) < 16 or not found.digest.startswith(wanted) or session.ledger.last(session.id) != newest:
        raise PlanChanged(
            f"a rollback of session {session.id} would do something else by now than the plan {wanted[:16]} says (it "
            f"is {found.digest[:16]}). Nothing was taken back. Look at `agentguard plan {session.id}` again."
        )


def take_back_one(session: Session, seq: int, brake: Brake, force: bool) -> Flow[CallOutcome | None]:
    """Take call *seq* of *session* back, unless newer ones hang on it."""
    check_whole(session)
    yield Commit("claim", lambda: session.begin_rollback(steal=False))
    try:
        yield from ask_whose(session)
        work = work_for(session, brake)
        work.force = force
        plan = plan_for(work, 0, session.ledger.last(session.id))
        if seq not in plan.calls:
            raise UsageError(f"session {session.id} has no call {seq}. Nothing was sent. `agentguard show` lists them.")
        newer = [plan.calls[n] for n in sorted(plan.waits_for[seq]) if not settled(plan.calls[n], plan.undos[n])]
        if newer and not force:
            told = ", ".join(f"{call.seq} ({call.operation} {call.target})" for call in newer)
            raise UsageError(
                f"call {seq} of session {session.id} cannot be taken back alone: newer calls hang on it: {told}. "
                "Nothing was sent. Take those back before, or the session as a whole."
            )
        yield from one(work, plan, plan.calls[seq])
        return plan.results.get(seq)
    finally:
        session.end_rollback()


def work_for(session: Session, brake: Brake) -> Unwinding:
    """What the flows of rollback.py need to know of *session*."""

    def alarm(result: CallOutcome) -> None:
        if brake.pace.on_failure == "stop" and not brake.failed:
            brake.failed = f"call {result.seq} ({result.operation}) could not be taken back"
        if session.on_alert is None:
            return
        try:
            session.on_alert(Alert(session.id, session.agent, session.intent, result))
        except Exception:
            log.exception("agentguard: the alert about call %s of session %s failed", result.seq, session.id)

    return Unwinding(
        session,
        session.clients.of,
        session.clients.connector_of,
        session.ownership.earlier,
        halted=brake.reason,
        alarm=alarm,
        agreed=brake.pace.agreed,
    )


def hold(session: Session) -> Flow[None]:
    """Become the only one who rolls *session* back, in any thread or process."""
    until = leases.now() + IN_FLIGHT_SECONDS
    while True:
        try:
            yield Commit("claim", session.begin_rollback)
            return
        except SessionBusy:
            if leases.now() > until:
                raise
        yield Pause(POLL_SECONDS)


def wait_for_calls(session: Session, until: float | None = None) -> Flow[int]:
    """Wait until no call of this process is under way; return the number of the last one."""
    until = leases.now() + IN_FLIGHT_SECONDS if until is None else until
    while session.calls_under_way() and leases.now() < until:
        yield Pause(POLL_SECONDS)
    return session.ledger.last(session.id)


def ask_whose(session: Session) -> Flow[None]:
    """Ask the clients whose account they are for, where a call went through a client that is not here."""
    elsewhere = session.clients.elsewhere(session.calls)
    for border in session.clients.all:
        if border.connector.name in elsewhere:
            yield from whose(border)


def hidden(call: CallRow, calls: list[CallRow]) -> bool:
    """Whether what *call* may have done cannot be told by the state: a newer call has changed the same thing."""
    same = (call.connector, call.base, call.target)
    newer = (other for other in calls if other.seq > call.seq and other.state is CallState.COMMITTED)
    return any((other.connector, other.base, other.target) == same for other in newer)


def settle_doubts(session: Session, brake: Brake) -> Flow[list[CallRow]]:
    """Settle what can be of the calls in doubt; return those that cannot be."""
    yield from ask_whose(session)
    work = work_for(session, brake)
    undos = session.ledger.undos(session.id)
    left = []
    calls = session.calls
    for call in calls:
        if call.state not in (CallState.INTENT, CallState.IN_DOUBT):
            continue
        own = [undo for undo in undos if undo.seq == call.seq]
        if own and all(undo.outcome is not None and undo.outcome.ok for undo in own):
            continue  # the state from before it was read back: what is there since is the work of another call
        try:
            border = session.clients.of(call)
            if call.name not in border.connector.finders and hidden(call, calls):
                why = "the answer was lost, and a newer call about the same thing hides what it did"
                verdict = yield from unknown(work, call, own, why)
            else:
                verdict = yield from settle(work, border, call, own)
            unsettled = verdict.state is CallState.IN_DOUBT and not (verdict.outcome and verdict.outcome.ok)
        except SessionLost:
            raise
        except Exception as error:  # noqa: BLE001 - no client, or a service that does not answer: a person, or later
            yield from unknown(work, call, [], session.redactor.clean_text(f"{type(error).__name__}: {error}"))
            unsettled = True
        if unsettled:
            left.append(call)
    return left
