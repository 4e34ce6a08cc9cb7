"""Mistakes, built into the library on purpose for one run: a harness that does not notice them proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from agentguard import doubt, drivers, flow, guard, replay, rollback, undoing, unwinding
from agentguard.calls import CallState, Outcome
from agentguard.ledger import sqlite
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.wire import requests as wire_requests


def effect_before_intent() -> None:
    """The call is written down when its answer is there."""
    waiting: dict[int, Callable[[], Any]] = {}
    intend, settle = SqliteLedger.intend, SqliteLedger.settle

    def later(self: SqliteLedger, call: Any, undos: Any, keyed: bool, permit: Any) -> Any:
        call.seq = len(waiting) + 1
        waiting[call.seq] = lambda: intend(self, call, undos, keyed, permit)
        return call

    def now(self: SqliteLedger, call: Any, *given: Any, **more: Any) -> Any:
        if call.seq in waiting:
            waiting[call.seq]()
        return settle(self, call, *given, **more)

    _put(SqliteLedger, intend=later, settle=now)


def in_doubt_is_never() -> None:
    """What is in doubt is taken for what did not happen."""
    take_back = rollback.take_back

    def forgetful(work: Any, call: Any, undos: Any, waits_for: Any) -> Any:
        if call.state in (CallState.INTENT, CallState.IN_DOUBT):
            call.state = CallState.NOT_APPLIED
        return (yield from take_back(work, call, undos, waits_for))

    _put(rollback, take_back=forgetful)


def undone_before_undo() -> None:
    """An undo is said to be done when it is about to be sent."""
    end_undo = SqliteLedger.end_undo

    def begin(self: SqliteLedger, undo: Any, token: int) -> None:
        end_undo(self, undo, Outcome.RESTORED, "", None, token)

    _put(SqliteLedger, begin_undo=begin)


def undo_sent_again() -> None:
    """An undo that was sent before is sent again without a look."""

    def blind(border: Any, undo: Any, *given: Any) -> Any:
        return None
        yield

    _put(undoing, judge=blind)
    _put(undoing, sent_before=lambda undo: False)


def drift_not_seen() -> None:
    """What somebody else changed is taken for what we left."""
    judge = undoing.judge

    def careless(*given: Any) -> Any:
        verdict = yield from judge(*given)
        return None if verdict and verdict[0] is Outcome.CONFLICT else verdict

    _put(undoing, judge=careless)


def oldest_first() -> None:
    """Calls are taken back in the order in which they were made, and none waits for another."""
    calls = SqliteLedger.calls
    _put(SqliteLedger, calls=lambda self, session: calls(self, session)[::-1])
    _put(rollback, newer_first=lambda lines: {line.call.seq: frozenset() for line in lines})


def sent_twice() -> None:
    """A call whose answer is lost is sent again."""
    do = drivers._do

    def insisting(step: Any, transmit: Any, approver: Any) -> Any:
        try:
            return do(step, transmit, approver)
        except Exception:
            if isinstance(step, flow.SendTogether):
                return do(step, transmit, approver)
            raise

    _put(drivers, _do=insisting)


def lost_is_refused() -> None:
    """A call whose answer is lost is written down as one that did not happen."""
    settle = SqliteLedger.settle

    def sure(self: SqliteLedger, call: Any, state: CallState, token: int, **more: Any) -> Any:
        return settle(self, call, CallState.NOT_APPLIED if state is CallState.IN_DOUBT else state, token, **more)

    _put(SqliteLedger, settle=sure)


def restored_unseen() -> None:
    """An undo counts as done without being sent."""

    def lazy(border: Any, undo: Any, *given: Any) -> Any:
        return (Outcome.RESTORED, ""), None
        yield

    _put(undoing, send_undo=lazy)


def undo_without_intent() -> None:
    """An undo is sent without being written down before."""
    _put(SqliteLedger, begin_undo=lambda self, undo, token: None)


def silent_about_doubt() -> None:
    """The report leaves out what is in doubt."""
    unwind = rollback.unwind

    def quiet(*given: Any) -> Any:
        results = yield from unwind(*given)
        return [result for result in results if result.outcome is not Outcome.IN_DOUBT]

    _put(unwinding, unwind=quiet)


def writes_pass_as_reads() -> None:
    """Everything is taken for a read and goes past the ledger."""
    _put(guard.Guard, passes=lambda self, verb, url: True)


def doubts_left_open() -> None:
    """A call in doubt is not put on record as one, neither when it is found out nor when the session ends."""

    def silent(work: Any, call: Any, undos: Any, why: str) -> Any:
        return doubt.Verdict(CallState.IN_DOUBT, undos, Outcome.IN_DOUBT, why)
        yield

    _put(doubt, unknown=silent)
    _put(rollback, unknown=silent)
    _put(sqlite, leave_in_doubt=lambda db, session: None)


def made_again_after_a_restart() -> None:
    """A resumed session forgets what is on record."""
    _put(replay.Memory, take=lambda self, digest: None)


def sdk_repeats_left_on() -> None:
    """The SDK's own repetition of writes is left on."""
    init = wire_requests.GatedAdapter.__init__

    def repeating(self: Any, inner: Any, gate: Any) -> None:
        init(self, inner, gate)
        from urllib3 import Retry

        self.once.max_retries = Retry(3, allowed_methods=None, status_forcelist=[502])

    _put(wire_requests.GatedAdapter, __init__=repeating)


def history_rewritten() -> None:
    """What came of a call is put on record differently from what its event says."""
    _put(sqlite, what_came=lambda *given: "0" * 64)


def recovery_never_rests() -> None:
    """A session that was taken back is not said to be over."""
    end = SqliteLedger.end_session

    def open_ended(self: SqliteLedger, session: str, state: Any, token: int, cause: Any = None) -> Any:
        if state in ("rolled_back", "partial"):
            return state
        return end(self, session, state, token, cause)

    _put(SqliteLedger, end_session=open_ended)


def fresh_key_on_repeat() -> None:
    """Each call has an idempotency key of its own, also one that repeats another whose answer was lost."""
    _put(sqlite, key_of=lambda db, call: (0, f"fresh-{time.time_ns()}"))


def _put(where: Any, **what: Any) -> None:
    for name, value in what.items():
        assert hasattr(where, name)
        setattr(where, name, value)


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        effect_before_intent,
        in_doubt_is_never,
        undone_before_undo,
        undo_sent_again,
        drift_not_seen,
        oldest_first,
        sent_twice,
        lost_is_refused,
        restored_unseen,
        undo_without_intent,
        silent_about_doubt,
        writes_pass_as_reads,
        doubts_left_open,
        made_again_after_a_restart,
        sdk_repeats_left_on,
        history_rewritten,
        recovery_never_rests,
        fresh_key_on_repeat,
    )
}
