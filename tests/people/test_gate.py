"""Refused, held, limited, frozen, verified: what a policy and an operator can do before damage is done."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard.calls import CallState
from agentguard.policy import Limit, Policy, Rule, Verdict
from tests.people.conftest import Agent

NOTES = "notes.notes.create"


def policy(*things: Rule | Limit) -> Policy:
    rules = [thing for thing in things if isinstance(thing, Rule)]
    return Policy(rules=rules, limits=[thing for thing in things if isinstance(thing, Limit)])


def states(session: agentguard.Session) -> list[CallState]:
    return [call.state for call in session.calls]


def test_a_rule_refuses_and_nobody_can_agree(agent: Agent) -> None:
    no = Rule(name="no purges", operations="notes.notes.purge", then=Verdict.REFUSE, reason="backups are off")
    session = agent.session(approver=lambda card: True, policy=policy(no))
    with pytest.raises(agentguard.Refused, match=r"no purges.*backups are off.*Nothing was sent"):
        agent.wrapped(session).post("purge", json={})
    assert agent.purges() == 0
    assert states(session) == [CallState.REFUSED]
    assert "no purges" in (session.calls[0].rule or "")


def test_a_rule_lets_go_what_would_ask(agent: Agent) -> None:
    session = agent.session(approver=None, policy=policy(Rule(operations="notes.notes.purge", then=Verdict.ALLOW)))
    assert agent.wrapped(session).post("purge", json={}).status_code == 204


def test_reads_are_never_gated(agent: Agent) -> None:
    session = agent.session(approver=None, policy=policy(Rule(operations="*", then=Verdict.REFUSE)))
    agent.store.people.freeze("*", "ops", "")
    guarded = agent.wrapped(session)
    assert guarded.get("notes").json() == []
    with pytest.raises(agentguard.Blocked):
        guarded.post("notes", json={"title": "one"})


# Hold

HOLD = Rule(name="outbox", operations=NOTES, then=Verdict.HOLD)


def test_a_held_call_is_sent_when_the_session_completes(agent: Agent) -> None:
    session = agent.session(policy=policy(HOLD))
    with session:
        guarded = agent.wrapped(session)
        answers = [guarded.post("notes", json={"title": title}) for title in ("one", "two")]
        assert isinstance(answers[0], httpx.Response)
        assert answers[0].json()["held"] is True
        assert answers[0].headers["x-agentguard-held"] == f"held-{session.id}-1"
        assert agent.box.requests("POST") == []
    assert [r["body"]["title"] for r in agent.box.requests("POST")] == ["one", "two"]
    assert states(session) == [CallState.COMMITTED, CallState.COMMITTED]
    assert session.rollback().ok
    assert agent.box.snapshot()["notes"] == {}


def test_a_held_call_is_dropped_by_a_rollback(agent: Agent) -> None:
    session = agent.session(policy=policy(HOLD))
    with pytest.raises(ZeroDivisionError), session:
        agent.wrapped(session).post("notes", json={"title": "one"})
        raise ZeroDivisionError
    assert agent.box.requests("POST") == []
    assert states(session) == [CallState.NOT_APPLIED]
    assert session.state == "rolled_back"


def test_a_crash_before_completion_sends_nothing_and_a_resumed_session_does_once(agent: Agent, gone: None) -> None:
    agent.wrapped(agent.session(id="s1", policy=policy(HOLD))).post("notes", json={"title": "one"})
    again = agent.session(id="s1", policy=policy(HOLD))
    with again:
        assert agent.wrapped(again).post("notes", json={"title": "one"}).json()["held"] is True
        assert agent.box.requests("POST") == []
    assert len(agent.box.requests("POST")) == 1


def test_what_is_held_counts_for_limits_until_it_is_dropped(agent: Agent) -> None:
    limit = Limit(name="notes", operations=NOTES, per="1d", count=1, then=Verdict.REFUSE)
    session = agent.session(policy=policy(HOLD, limit))
    guarded = agent.wrapped(session)
    guarded.post("notes", json={"title": "one"})
    with pytest.raises(agentguard.Blocked, match="Nothing was sent"):
        guarded.post("notes", json={"title": "two"})
    session.rollback()
    with agent.session(policy=policy(HOLD, limit)) as again:
        agent.wrapped(again).post("notes", json={"title": "three"})
    assert [r["body"]["title"] for r in agent.box.requests("POST")] == ["three"]


def test_a_held_call_that_cannot_be_sent_is_told(agent: Agent) -> None:
    session = agent.session(policy=policy(HOLD))
    guarded = agent.wrapped(session)
    for title in ("", "two"):
        guarded.post("notes", json={"title": title})
    agent.box.fault("drop_after", "POST", times=0)
    with pytest.raises(agentguard.HeldNotSent, match=r"1 of its held calls.*title is missing"):
        session.complete()
    assert session.state == "completed"
    assert states(session) == [CallState.NOT_APPLIED, CallState.COMMITTED]


def test_held_calls_of_an_asynchronous_program(agent: Agent) -> None:
    @agentguard.action("gate.say", undo=None, effect=agentguard.Effect.IRREVERSIBLE, reason="it is said")
    async def say(what: str) -> str:
        said.append(what)
        return what

    said: list[str] = []

    async def work() -> None:
        async with agent.session(policy=policy(Rule(operations="action.*", then=Verdict.HOLD))) as session:
            assert await say("hello") == {"held": f"{session.id}/1"}
            assert said == []

    asyncio.run(work())
    assert said == ["hello"]


# Limits


def test_of_200_wrong_calls_a_limit_lets_20_go(agent: Agent) -> None:
    limit = Limit(name="notes", operations=NOTES, count=20, then=Verdict.REFUSE)
    session = agent.session(policy=policy(limit))
    guarded = agent.wrapped(session)
    stopped = 0
    for number in range(40):
        try:
            guarded.post("notes", json={"title": f"wrong {number}"})
        except agentguard.LimitReached:
            stopped += 1
        except agentguard.Refused:
            stopped += 1
    assert (len(agent.box.requests("POST")), stopped) == (20, 20)
    other = agent.session(policy=policy(limit))
    assert agent.wrapped(other).post("notes", json={"title": "of another session"}).status_code == 201


def test_a_limit_that_asks_can_be_passed_by_whoever_agrees(agent: Agent) -> None:
    asked: list[agentguard.Card] = []

    def yes(card: agentguard.Card) -> bool:
        asked.append(card)
        return True

    limit = Limit(name="notes", operations=NOTES, per="1h", count=1)
    session = agent.session(policy=policy(limit), approver=yes)
    guarded = agent.wrapped(session)
    for number in range(3):
        assert guarded.post("notes", json={"title": str(number)}).status_code == 201
    assert len(asked) == 2
    with pytest.raises(agentguard.ApprovalRequired):
        agent.wrapped(agent.session(policy=policy(limit), approver=None)).post("notes", json={"title": "more"})


def test_what_was_refused_by_the_service_uses_nothing_up(agent: Agent) -> None:
    limit = Limit(name="notes", operations=NOTES, count=1, then=Verdict.REFUSE)
    guarded = agent.wrapped(agent.session(policy=policy(limit)))
    assert guarded.post("notes", json={}).status_code == 422
    assert guarded.post("notes", json={"title": "one"}).status_code == 201


def test_threads_that_race_do_not_pass_a_limit(agent: Agent) -> None:
    limit = Limit(name="notes", operations=NOTES, count=3, then=Verdict.REFUSE)
    guarded = agent.wrapped(agent.session(policy=policy(limit)))
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait()
        try:
            guarded.post("notes", json={"title": str(number)})
        except agentguard.Blocked:
            return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(agent.box.requests("POST")) == 3


# Freeze


def test_no_send_starts_after_a_freeze_from_another_shell(agent: Agent) -> None:
    session = agent.session()
    guarded = agent.wrapped(session)
    guarded.post("notes", json={"title": "before"})
    shell = [sys.executable, "-m", "agentguard"]
    where = ["--ledger", str(agent.ledger)]
    subprocess.run([*shell, "freeze", session.id, "--why", "looks wrong", *where], check=True, capture_output=True)
    with pytest.raises(agentguard.Frozen, match=r"looks wrong\. Nothing was sent"):
        guarded.post("notes", json={"title": "after"})
    subprocess.run([*shell, "freeze", "--all", *where], check=True, capture_output=True)
    subprocess.run([*shell, "thaw", session.id, *where], check=True, capture_output=True)
    with pytest.raises(agentguard.Frozen, match="everything is frozen"):
        guarded.post("notes", json={"title": "after"})
    subprocess.run([*shell, "thaw", "--all", *where], check=True, capture_output=True)
    assert guarded.post("notes", json={"title": "again"}).status_code == 201
    assert len(agent.box.requests("POST")) == 2


def test_a_call_that_was_on_its_way_is_stopped_by_a_freeze_within_a_second(agent: Agent) -> None:
    """It was asked about, and approved, while everything was being frozen."""

    def slowly(card: agentguard.Card) -> bool:
        agent.store.people.freeze("*", "ops", "")
        time.sleep(0.1)
        return True

    with pytest.raises(agentguard.Frozen, match="Nothing was sent"):
        agent.wrapped(agent.session(approver=slowly)).post("purge", json={})
    assert agent.purges() == 0


def test_a_frozen_session_can_be_rolled_back(agent: Agent) -> None:
    session = agent.session()
    agent.wrapped(session).post("notes", json={"title": "one"})
    agent.store.people.freeze(session.id, "ops", "")
    assert session.rollback().ok
    assert agent.box.snapshot()["notes"] == {}


# Verification


def test_what_is_not_as_sent_stops_the_session(agent: Agent) -> None:
    session = agent.session(policy=policy(Rule(operations="notes.notes.*", verify=True)))
    guarded = agent.wrapped(session)
    made = guarded.post("notes", json={"title": "one"}).json()
    assert session.calls[0].verified == "ok"
    agent.box.fault("status_before", "PATCH", status=200, body={**made, "body": "as I say"})  # it only says so
    with pytest.raises(agentguard.NotAsSent, match="session was frozen"):
        guarded.patch("notes/1", json={"body": "as I say"})
    with pytest.raises(agentguard.Frozen):
        guarded.post("notes", json={"title": "two"})
    session.ownership.release()
    (item,) = agentguard.queue.queue(agent.ledger)
    assert item.kind == "not as sent"
    assert agentguard.resolve(item.id, "applied", by="ops", note="it is fine", ledger=agent.ledger) is None


def test_a_policy_file_is_found_beside_the_program(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "agentguard.toml"
    config.write_text('[[policy.rules]]\nname = "no issues"\noperations = "github.issues.create"\nthen = "refuse"\n')
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(config))
    session: Any = agent.session()
    assert [rule.name for rule in session.gatekeeper.policy.rules] == ["no issues"]
    config.write_text('[[policy.rules]]\noperations = "github.issues.creat"\nthen = "refuse"\n')
    with pytest.raises(agentguard.ConfigError, match="creat"):
        agent.session()
