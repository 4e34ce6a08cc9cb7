"""What could let a call through twice, unseen or under a false word: each found once, and kept from coming back."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

import agentguard
from agentguard import audit, deciding
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
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is looked at
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


# Plans


def test_a_plan_does_not_promise_an_undo_that_will_not_be_sent_again(agent: Agent) -> None:
    agent.client.post("notes", json={"title": "one"})
    session = agent.session()
    agent.wrapped(session).delete("notes/1")
    agent.box.fault("drop_after", "POST")
    assert not session.rollback().ok
    plan = session.plan()
    assert [planned.symbol for planned in plan.calls] == ["?"], str(plan)
    assert not plan.ok
    writes = len(agent.box.requests("POST"))
    assert not session.rollback().ok
    assert len(agent.box.requests("POST")) == writes


def test_a_plan_of_two_changes_of_one_thing_shows_no_conflict_that_is_none(agent: Agent) -> None:
    agent.client.post("notes", json={"title": "one", "body": "a"})
    session = agent.session()
    guarded = agent.wrapped(session)
    for body in ("b", "c"):
        guarded.patch("notes/1", json={"body": body})
    plan = session.plan()
    assert plan.ok, str(plan)
    assert session.rollback(plan=plan.digest).ok
    assert agent.box.snapshot()["notes"]["1"]["body"] == "a"


# Audit


@pytest.fixture
def recorded(agent: Agent) -> Agent:
    session = agent.session(approver="later")
    guarded = agent.wrapped(session)
    guarded.post("notes", json={"title": "one"})
    name = agent.asks(session)
    deciding.decide(agent.store, name, approve=True, by="ann")
    guarded.post("purge", json={})
    session.complete()
    assert audit.verify(agent.store).ok
    return agent


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET data = '{}', salt = NULL WHERE kind = 'intent'",
        "UPDATE event SET data = 'nonsense' WHERE kind = 'approval approved'",
        "UPDATE event SET data = 'nonsense' WHERE kind = 'intent'",
        "UPDATE event SET data = '[]' WHERE kind = 'approval approved'",
        "INSERT INTO call SELECT * FROM (SELECT * FROM call WHERE seq = 1)",
        "UPDATE call SET arguments = 'nonsense' WHERE seq = 1",
    ],
)
def test_whatever_was_done_to_the_record_is_told_and_not_raised(recorded: Agent, statement: str) -> None:
    if statement.startswith("INSERT"):
        sql(recorded, "CREATE TABLE forged AS SELECT * FROM call WHERE seq = 1")
        sql(recorded, "UPDATE forged SET seq = 99")
        sql(recorded, "INSERT INTO call SELECT * FROM forged")
        sql(recorded, "DROP TABLE forged")
    else:
        sql(recorded, "DROP TRIGGER event_is_never_changed")
        sql(recorded, statement)
    assert audit.verify(recorded.store).faults


def test_a_record_that_was_rewritten_between_two_anchors_is_not_anchored_again(recorded: Agent, tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    audit.anchor_in_file(recorded.store, file)
    sql(recorded, "DROP TRIGGER event_is_never_changed")
    sql(recorded, "UPDATE event SET hash = 'forged' WHERE id = (SELECT max(id) FROM event)")
    with pytest.raises(agentguard.UsageError, match="Nothing was anchored"):
        audit.anchor_in_file(recorded.store, file)
    assert len(file.read_text().splitlines()) == 1
    assert not audit.verify(recorded.store, audit.anchors_of(file)).ok


def test_of_two_anchors_of_one_event_the_later_one_does_not_hide_the_first(recorded: Agent, tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    made = audit.anchor_in_file(recorded.store, file)
    file.write_text(f'{{"event": {made["event"]}, "hash": "{"0" * 64}", "at": 1}}\n' + file.read_text())
    assert not audit.verify(recorded.store, audit.anchors_of(file)).ok


def test_a_purge_leaves_no_payload_in_what_the_record_says_about_it(agent: Agent) -> None:
    agent.client.post("notes", json={"title": "one", "body": "Jane Doe, 12 Elm Street"})
    session = agent.session()
    agent.wrapped(session).patch("notes/1", json={"body": "moved away"})
    agent.client.patch("notes/1", json={"body": "John Roe, 14 Oak Street"})
    assert not session.rollback().ok
    audit.purge(agent.store, session.id, "ops")
    agent.store.close()
    content = b"".join(path.read_bytes() for path in agent.ledger.parent.iterdir())
    for payload in (b"Elm Street", b"moved away", b"Oak Street"):
        assert payload not in content, payload


def test_a_record_that_is_being_written_to_agrees(agent: Agent) -> None:
    """Decisions that come in while it is verified are no forgeries."""
    session = agent.session()
    guarded = agent.wrapped(session)
    over, told = threading.Event(), []

    def decide() -> None:
        number = 0
        while not over.is_set():
            number += 1
            name = agent.asks(session, number=number)
            deciding.decide(agent.store, name, approve=number % 2 == 0, by="ann")

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        for _ in range(60):
            told += audit.verify(agent.store).faults
    finally:
        over.set()
        thread.join(30)
    assert told == []
    assert guarded.get("notes").status_code == 200


# Secrets


def test_names_that_a_program_gives_hold_no_secret_at_rest(agent: Agent) -> None:
    secret = "sk_live_1234567890abcdefghijkl"
    session = agent.session()
    guarded = agent.wrapped(session)
    with session.because(f"as {secret} says"):
        guarded.post("notes", json={"title": secret})
    for name in (session.savepoint, session.checkpoint, session.once):
        with pytest.raises(agentguard.UsageError, match="holds a secret"):
            name(f"with {secret}")
    session.checkpoint("used", {"seen": secret})
    name = agent.asks(session, note=f"{secret}")
    deciding.decide(agent.store, name, approve=True, by="ann", why=f"it is {secret}")
    agent.store.close()
    content = b"".join(path.read_bytes() for path in agent.ledger.parent.iterdir())
    assert secret.encode() not in content


# A set-up, and a purge


def test_a_key_that_is_none_is_not_said_to_approve(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentguard.doctor import Grade, examine

    (tmp_path / "agentguard.toml").write_text('[approvals.keys]\nann = "ed25519:AAAA"\n')
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(tmp_path / "agentguard.toml"))
    found = [finding for finding in examine(str(agent.ledger)) if finding.check == "keys"]
    assert [finding.grade for finding in found if "ann" in finding.what] == [Grade.WRONG], found


def test_a_session_that_is_being_taken_back_is_not_purged(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    session = agent.session()
    agent.wrapped(session).post("notes", json={"title": "one"})
    session.complete()
    seen = agent.store.session(session.id)
    agent.box.fault("delay_before", "DELETE", seconds=0.5)
    rolling = threading.Thread(target=lambda: told.append(_told(session.rollback)))
    told: list[Any] = []
    rolling.start()
    while agent.store.session(session.id).state != "rolling_back":
        time.sleep(0.01)
    monkeypatch.setattr(agent.store, "session", lambda name: seen)  # as it was a moment ago
    with pytest.raises(agentguard.UsageError, match="Nothing was purged"):
        audit.purge(agent.store, session.id, "ops")
    monkeypatch.undo()
    rolling.join(30)
    assert told[0].ok, told


def test_an_approval_that_waits_for_its_answer_ends_when_the_session_was_taken_back(agent: Agent) -> None:
    session = agent.session(approver="wait")
    told: list[Any] = []
    asking = threading.Thread(target=lambda: told.append(_told(lambda: agent.wrapped(session).post("purge", json={}))))
    asking.start()
    deadline = time.monotonic() + 10
    while not agent.store.people.approvals(pending=True) and time.monotonic() < deadline:
        time.sleep(0.02)
    begun = time.monotonic()
    assert session.rollback().ok
    took = time.monotonic() - begun
    asking.join(5)
    assert not asking.is_alive(), "it waits on for an answer that nothing comes of"
    assert isinstance(told[0], agentguard.AgentguardError), told
    assert took < 10
    assert agent.purges() == 0


def test_a_signature_covers_what_the_approver_was_shown(agent: Agent, tmp_path: Path) -> None:
    from agentguard.keys import load_key, new_key, sign, signed_by

    public = new_key(tmp_path / "ann.pem")
    session = agent.session()
    row = agent.store.people.approval(agent.asks(session))
    row.decided_by = row.key = "ann"
    row.signature = sign(row, load_key(tmp_path / "ann.pem"))
    assert signed_by(row, {"ann": public}) == "ann"
    row.card = {**row.card, "target": "something harmless"}
    assert signed_by(row, {"ann": public}) is None
