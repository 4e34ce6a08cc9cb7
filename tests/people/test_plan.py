"""What a rollback would do, said before; a rollback that is held to it; and taking back one call."""

from __future__ import annotations

from typing import Any

import pytest

import agentguard
from agentguard.calls import Outcome
from tests.people.conftest import Agent


@pytest.fixture
def worked(agent: Agent) -> tuple[agentguard.Session, Any]:
    """A session that made a note, changed one and deleted one."""
    for title in ("one", "two"):
        agent.client.post("notes", json={"title": title, "body": "as it was"})
    session = agent.session(approver=lambda card: True)
    guarded = agent.wrapped(session)
    guarded.post("notes", json={"title": "new"})
    guarded.patch("notes/1", json={"body": "changed"})
    guarded.delete("notes/2")
    return session, guarded


def test_a_plan_says_what_would_be_done_and_does_nothing(agent: Agent, worked: Any) -> None:
    session, _guarded = worked
    before, asked = agent.box.snapshot(), len(agent.box.requests("POST", "PATCH", "DELETE"))
    plan = session.plan()
    assert [(p.symbol, p.what) for p in plan.calls] == [
        (">", "send notes.create"),
        ("~", "restore body changed -> as it was"),
        ("-", "delete"),
    ]
    assert plan.ok
    assert plan.counts == {">": 1, "~": 1, "-": 1}
    assert (agent.box.snapshot(), len(agent.box.requests("POST", "PATCH", "DELETE"))) == (before, asked)
    assert session.plan().digest == plan.digest
    assert str(plan).splitlines()[0] == f"session {session.id}: 3 calls, newest first"


def test_a_plan_shows_conflicts_doubts_and_what_has_no_way_back(agent: Agent, worked: Any) -> None:
    session, guarded = worked
    guarded.post("purge", json={})
    agent.box.seed(notes={"1": {"id": 1, "title": "one", "body": "somebody else's"}})
    plan = session.plan()
    assert [p.symbol for p in plan.calls] == ["!", ">", "x", "="]
    assert "somebody changed it since" in plan.calls[2].what
    assert not plan.ok


def test_what_was_made_and_then_changed_is_planned_as_it_will_stand(agent: Agent) -> None:
    session = agent.session(approver=lambda card: True)
    guarded = agent.wrapped(session)
    made = guarded.post("notes", json={"title": "new"}).json()["id"]
    for body in ("first", "second"):
        guarded.patch(f"notes/{made}", json={"body": body})
    plan = session.plan()
    assert [(p.symbol, p.what) for p in plan.calls] == [
        ("~", "restore body second -> first"),
        ("~", "restore body first -> "),
        ("-", "delete"),
    ]
    assert plan.ok
    assert session.rollback(plan=plan.digest).ok


def test_a_rollback_does_exactly_the_plan_or_nothing(agent: Agent, worked: Any) -> None:
    session, _guarded = worked
    plan = session.plan()
    agent.client.patch("notes/1", json={"body": "somebody else's"})
    writes = len(agent.box.requests("POST", "PATCH", "DELETE"))
    with pytest.raises(agentguard.PlanChanged, match="Nothing was taken back"):
        session.rollback(plan=plan.digest)
    assert session.state == "open"
    assert len(agent.box.requests("POST", "PATCH", "DELETE")) == writes
    agent.client.patch("notes/1", json={"body": "changed"})
    with pytest.raises(agentguard.PlanChanged):
        session.rollback(plan="")
    assert session.rollback(plan=plan.digest[:16]).ok


def test_one_call_is_taken_back_unless_newer_ones_hang_on_it(agent: Agent, worked: Any) -> None:
    session, guarded = worked
    guarded.patch("notes/1", json={"body": "changed again"})
    with pytest.raises(agentguard.UsageError, match=r"newer calls hang on it: 4 \(notes.notes.update 1\)"):
        session.undo(2)
    with pytest.raises(agentguard.UsageError, match="no call 9"):
        session.undo(9)
    for seq in (4, 2):
        result = session.undo(seq)
        assert (result.seq, result.outcome) == (seq, Outcome.RESTORED)
    assert agent.box.snapshot()["notes"]["1"]["body"] == "as it was"
    assert session.state == "open"
    assert guarded.patch("notes/1", json={"body": "x"}).status_code == 200


def test_an_undo_of_high_risk_asks_like_any_call(agent: Agent) -> None:
    """Overwriting what somebody else wrote is one."""
    cards: list[agentguard.Card] = []
    agent.client.post("notes", json={"title": "one"})
    agent.client.post("notes", json={"title": "two"})
    session = agent.session(approver=lambda card: cards.append(card) or False)
    guarded = agent.wrapped(session)
    guarded.delete("notes/2")
    from tests.core.notes import notes

    before = notes.guarded["notes.create"]
    notes.guarded["notes.create"] = type(before)(
        **{f: getattr(before, f) for f in before.__slots__} | {"risk": agentguard.Risk.CRITICAL}
    )
    try:
        report = session.rollback()
        assert [result.outcome for result in report.outcomes] == [Outcome.FAILED]
        assert "was not approved" in report.outcomes[0].detail
        assert cards[0].operation == "notes.notes.create"
        assert "the undo of call 1" in cards[0].target
        assert [item.kind for item in agentguard.queue.queue(agent.ledger)] == ["failed undo"]
        assert session.rollback(agreed=True).ok
    finally:
        notes.guarded["notes.create"] = before
