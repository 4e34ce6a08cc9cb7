"""What could let a call through twice, unseen or under a false word: each found once, and kept from coming back."""

from __future__ import annotations

import threading
import time
from typing import Any

import apsw
import pytest

import agentguard
from agentguard import deciding
from agentguard.asking import Terms
from agentguard.calls import CallState
from agentguard.errors import LedgerError
from agentguard.ledger.rows import ApprovalState
from agentguard.policy import Limit, Policy, Rule, Verdict
from agentguard.policy.model import Compensation
from tests.people.conftest import Agent

NOTES = "notes.notes.create"
HOLD = Rule(name="outbox", operations="notes.*", then=Verdict.HOLD)


def sql(agent: Agent, statement: str, *values: Any) -> None:
    agent.store.close()
    db = apsw.Connection(str(agent.ledger))
    db.execute(statement, values)
    db.close()


# Held calls


def test_two_threads_that_complete_a_session_send_what_is_held_once(agent: Agent) -> None:
    session = agent.session(policy=Policy([HOLD]))
    guarded = agent.wrapped(session)
    for number in range(8):
        guarded.post("notes", json={"title": f"note {number}"})
    together = threading.Barrier(2)

    def complete() -> None:
        together.wait()
        try:
            session.complete()
        except agentguard.AgentguardError as error:
            told.append(error)

    told: list[Exception] = []
    threads = [threading.Thread(target=complete) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    titles = [request["body"]["title"] for request in agent.box.requests("POST")]
    assert sorted(titles) == sorted({f"note {number}" for number in range(8)})
    assert [call.state for call in session.calls] == [CallState.COMMITTED] * 8


def test_a_rollback_beside_a_completion_leaves_nothing_standing_that_it_calls_dropped(agent: Agent) -> None:
    session = agent.session(policy=Policy([HOLD]))
    agent.wrapped(session).post("notes", json={"title": "one"})
    agent.box.fault("delay_before", "POST", seconds=1.0)
    completing = threading.Thread(target=lambda: told.append(_told(session.complete)))
    told: list[Any] = []
    completing.start()
    time.sleep(0.4)
    report = session.rollback()
    completing.join(30)
    agent.box.settle()
    standing = agent.box.snapshot()["notes"]
    assert (standing == {}) == report.ok, (str(report), standing, told)


def _told(what: Any) -> Any:
    try:
        return what()
    except Exception as error:
        return error


def test_a_held_call_that_no_connector_knows_is_sent_or_told_and_the_session_ends(agent: Agent) -> None:
    session = agent.session(policy=Policy([HOLD]))
    guarded = agent.wrapped(session)
    told = _told(lambda: guarded.post("unlisted", json={"a": 1}))
    guarded.post("notes", json={"title": "after"})
    assert isinstance(told, agentguard.Refused), told
    session.complete()
    assert [request["body"] for request in agent.box.requests("POST")] == [{"title": "after"}]


def test_what_the_policy_says_of_the_way_back_holds_for_a_held_call(agent: Agent) -> None:
    rule = Rule(name="stays", operations=NOTES, then=Verdict.HOLD, compensation=Compensation.NONE)
    session = agent.session(policy=Policy([rule]))
    agent.wrapped(session).post("notes", json={"title": "one"})
    session.complete()
    report = session.rollback()
    assert not report.ok
    assert len(agent.box.snapshot()["notes"]) == 1


def test_a_held_call_is_read_back_where_a_rule_asks_for_it(agent: Agent) -> None:
    rule = Rule(name="both", operations=NOTES, then=Verdict.HOLD, verify=True)
    session = agent.session(policy=Policy([rule]))
    agent.wrapped(session).post("notes", json={"title": "one"})
    session.complete()
    assert session.calls[0].verified == "ok"


def test_a_limit_that_asks_is_not_passed_by_calls_that_are_held(agent: Agent) -> None:
    limit = Limit(name="notes", operations=NOTES, count=1, then=Verdict.ASK)
    session = agent.session(policy=Policy([HOLD], [limit]))
    guarded = agent.wrapped(session)
    guarded.post("notes", json={"title": "one"})
    with pytest.raises(agentguard.LimitReached, match="Nothing was sent"):
        guarded.post("notes", json={"title": "two"})
    session.complete()
    assert [request["body"]["title"] for request in agent.box.requests("POST")] == ["one"]


def test_what_a_held_call_took_from_a_limit_comes_back_where_it_is_never_sent(agent: Agent) -> None:
    limit = Limit(name="notes", operations=NOTES, per="1d", count=1, then=Verdict.REFUSE)
    session = agent.session(policy=Policy([HOLD], [limit]))
    agent.wrapped(session).post("notes", json={"title": "one"})
    agent.store.people.freeze(session.id, "ops", "")
    with pytest.raises(agentguard.HeldNotSent):
        session.complete()
    assert agent.box.requests("POST") == []
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
    again = agent.session(policy=Policy([HOLD], [limit]))
    agent.wrapped(again).post("notes", json={"title": "two"})


# Verification


def test_nothing_is_called_read_back_that_was_not(agent: Agent) -> None:
    session = agent.session(policy=Policy([Rule(operations="notes.notes.purge", then=Verdict.ALLOW, verify=True)]))
    agent.wrapped(session).post("purge", json={})
    assert session.calls[0].verified is None


@pytest.mark.parametrize("failing", ["verified", "freeze"])
def test_a_ledger_that_fails_after_the_effect_costs_nobody_the_answer(
    agent: Agent, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = agent.session(policy=Policy([Rule(operations="notes.notes.*", verify=True)]))
    guarded = agent.wrapped(session)
    write = agent.store.database.write

    def full(kind: str, *given: Any, **more: Any) -> Any:
        if kind == failing:
            raise LedgerError("the disk is full")
        return write(kind, *given, **more)

    monkeypatch.setattr(agent.store.database, "write", full)
    if failing == "verified":
        assert guarded.post("notes", json={"title": "one"}).status_code == 201
        return
    made = {"id": 1, "title": "one", "body": "as I say"}
    guarded.post("notes", json={"title": "one"})
    agent.box.fault("status_before", "PATCH", status=200, body=made)
    with pytest.raises(agentguard.NotAsSent, match="could not be frozen"):
        guarded.patch("notes/1", json={"body": "as I say"})


# Approvals


def test_a_decision_that_does_not_count_leaves_room_for_one_that_does(agent: Agent) -> None:
    """Whoever decided did so on other terms than the session's; those who may decide have to be asked again."""
    session = agent.session()
    session.gatekeeper.terms = Terms(approvers=("olga",))
    name = agent.asks(session)
    deciding.decide(agent.store, name, approve=True, by="bob")
    again = agent.asks(session)
    assert again != name
    deciding.decide(agent.store, again, approve=True, by="olga", terms=session.gatekeeper.terms)
    assert agent.wrapped(session).post("purge", json={}).status_code == 204
    assert agent.purges() == 1
    assert agent.store.people.approval(name).state is ApprovalState.APPROVED


# Limits


def test_what_a_person_has_found_not_to_have_happened_has_used_nothing_up(agent: Agent) -> None:
    limit = Limit(name="purges", operations="notes.notes.purge", per="1d", count=1, then=Verdict.REFUSE)
    rules = Policy([Rule(operations="notes.notes.purge", then=Verdict.ALLOW)], [limit])
    session = agent.session(policy=rules)
    agent.box.fault("drop_before", "POST")
    with pytest.raises(Exception, match=r"disconnected|closed"):
        agent.wrapped(session).post("purge", json={})
    assert session.calls[0].state is CallState.IN_DOUBT
    session.complete()
    agentguard.resolve(f"{session.id}/1", "not_applied", by="ops", note="looked", ledger=agent.ledger)
    again = agent.session(policy=rules)
    assert agent.wrapped(again).post("purge", json={}).status_code == 204


def test_a_limit_of_money_can_be_used_up_to_the_last_cent(agent: Agent) -> None:
    from agentguard.ledger.people import Charge, take
    from agentguard.ledger.rows import CallRow

    session = agent.session()
    charge = Charge("pennies", 0.1, 0.3, None, "pennies")
    row = CallRow(session=session.id, seq=1, connector="notes", base="", name="pay")
    for _ in range(3):
        agent.store.database.write("take", lambda db: take(db, row, [charge]))
    with pytest.raises(agentguard.LimitReached):
        agent.store.database.write("take", lambda db: take(db, row, [charge]))
