"""An agent that is started again: what is on record is not made again, and comes back as the SDK's own object."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import leases, queue
from agentguard.calls import CallState
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.notes import notes


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every owner for dead: each session is made in this process, as if it were another one each time."""
    from agentguard.ledger import sqlite

    monkeypatch.setattr(sqlite.leases, "is_gone", lambda owner: True)


def resumed(ledger: Path, **more: Any) -> agentguard.Session:
    return agentguard.session(agent="tester", intent="keep notes", id="s1", ledger=ledger, on_crash="resume", **more)


def test_calls_on_record_are_not_made_again(box: Box, client: httpx.Client, ledger: Path, gone: None) -> None:
    def script(session: agentguard.Session, bodies: tuple[str, ...]) -> list[httpx.Response]:
        guarded: Any = agentguard.wrap(client, session, notes)
        made = [guarded.post("notes", json={"title": "equal"}) for _ in range(2)]
        return made + [guarded.patch(f"notes/{made[0].json()['id']}", json={"body": body}) for body in bodies]

    first = script(resumed(ledger), ("a", "b"))
    again = resumed(ledger)
    second = script(again, ("a", "b", "c"))
    assert [type(r) for r in second] == [httpx.Response] * 5
    assert [(r.status_code, r.json(), r.headers["content-type"]) for r in second[:4]] == [
        (r.status_code, r.json(), r.headers["content-type"]) for r in first
    ]
    assert len(box.requests("POST", "PATCH")) == 5
    assert len(again.calls) == 5
    assert [e.data["call"] for e in SqliteLedger.at(ledger).events("s1", "repeated")] == [1, 2, 3, 4]
    assert again.rollback().ok
    assert box.snapshot()["notes"] == {}


def test_a_call_whose_answer_was_lost_is_looked_up_before_it_is_made_again(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    box.fault("drop_after")
    first = resumed(ledger)
    guarded: Any = agentguard.wrap(client, first, notes)
    with pytest.raises(httpx.HTTPError):
        guarded.post("notes", json={"title": "lost"})
    again = resumed(ledger)
    guarded = agentguard.wrap(client, again, notes)
    answer = guarded.post("notes", json={"title": "lost"})
    assert answer.json() == {"id": 1, "body": "", "title": "lost"}
    assert len(box.requests("POST")) == 1
    assert again.calls[0].state is CallState.COMMITTED
    assert again.rollback().ok
    assert box.snapshot()["notes"] == {}


def test_a_call_of_which_nothing_is_known_is_not_made_again(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    box.fault("drop_before")
    guarded: Any = agentguard.wrap(client, resumed(ledger), notes)
    with pytest.raises(httpx.HTTPError):
        guarded.post("notes", json={"title": "lost"})
    again = resumed(ledger)
    guarded = agentguard.wrap(client, again, notes)
    for _ in range(2):
        with pytest.raises(agentguard.InDoubt, match="Nothing was sent") as caught:
            guarded.post("notes", json={"title": "lost"})
    assert f"agentguard resolve {again.id}/1" in str(caught.value)
    assert len(box.requests("POST")) == 1
    again.ownership.release()
    assert agentguard.resolve("s1/1", "not_applied", by="ops", note="looked there", ledger=ledger) is None
    last = resumed(ledger)
    guarded = agentguard.wrap(client, last, notes)
    assert guarded.post("notes", json={"title": "lost"}).status_code == 201
    assert len(box.requests("POST")) == 2


@pytest.mark.parametrize("meanwhile", ["a person", "a process"])
def test_a_decision_about_what_has_changed_since_it_was_looked_at_is_not_taken(
    meanwhile: str, box: Box, client: httpx.Client, ledger: Path, gone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.fault("drop_before")
    with pytest.raises(httpx.HTTPError):
        agentguard.wrap(client, resumed(ledger), notes).post("notes", json={"title": "lost"})
    store, find = SqliteLedger.at(ledger), queue.find_item

    def and_then(*given: Any) -> queue.Item:
        item = find(*given)
        monkeypatch.setattr(queue, "find_item", find)
        if meanwhile == "a person":
            agentguard.resolve("s1/1", "applied", by="ada", ledger=ledger)
        else:
            store.claim("s1", leases.new_owner(), leases.now() + 60)
        return item

    monkeypatch.setattr(queue, "find_item", and_then)
    with pytest.raises(agentguard.SessionBusy, match="Nothing was done"):
        agentguard.resolve("s1/1", "not_applied", by="ops", ledger=ledger)
    assert store.call("s1", 1).state is (CallState.COMMITTED if meanwhile == "a person" else CallState.IN_DOUBT)


def test_an_update_whose_answer_was_lost_is_settled_by_the_state(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    client.post("notes", json={"title": "one", "body": "as it was"})
    for mode, sent in (("drop_after", 1), ("drop_before", 2)):
        box.fault(mode, "PATCH")
        session = resumed(ledger)
        guarded: Any = agentguard.wrap(client, session, notes)
        with pytest.raises(httpx.HTTPError):
            guarded.patch("notes/1", json={"body": mode})
        again = resumed(ledger)
        guarded = agentguard.wrap(client, again, notes)
        assert guarded.patch("notes/1", json={"body": mode}).json() == {"id": 1, "title": "one", "body": mode}
        assert len(box.requests("PATCH")) == 1 if mode == "drop_after" else 3, sent
    assert again.rollback().ok
    assert box.snapshot()["notes"]["1"]["body"] == "as it was"


def test_what_a_repeat_did_is_not_taken_for_the_call_that_was_lost(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    client.post("notes", json={"title": "one", "body": "as it was"})
    box.fault("drop_before", "PATCH")
    guarded: Any = agentguard.wrap(client, resumed(ledger), notes)
    with pytest.raises(httpx.HTTPError):
        guarded.patch("notes/1", json={"body": "changed"})
    again = resumed(ledger)
    assert agentguard.wrap(client, again, notes).patch("notes/1", json={"body": "changed"}).status_code == 200
    again.complete()
    assert [call.state for call in again.calls] == [CallState.IN_DOUBT, CallState.COMMITTED]
    assert again.rollback().ok
    assert box.snapshot()["notes"]["1"]["body"] == "as it was"
    assert len(box.requests("PATCH")) == 3


def test_a_named_call_is_made_once_in_any_process(box: Box, client: httpx.Client, ledger: Path, gone: None) -> None:
    for attempt in range(2):
        session = resumed(ledger)
        guarded: Any = agentguard.wrap(client, session, notes)
        for _ in range(2):
            with session.once("invoice-42"):
                made = [guarded.post("notes", json={"title": title}).json()["id"] for title in ("bill", "mail")]
            assert made == [1, 2], attempt
        with session.once("invoice-42"), pytest.raises(agentguard.KeyReused, match="Nothing was sent"):
            guarded.post("notes", json={"title": "another bill"})
    assert len(box.requests("POST")) == 2


def test_a_retry_inside_the_block_is_the_same_call(box: Box, client: httpx.Client, ledger: Path) -> None:
    session = resumed(ledger)
    guarded: Any = agentguard.wrap(client, session, notes)
    box.fault("drop_after")
    with session.once("bill"):
        with pytest.raises(httpx.HTTPError):
            guarded.post("notes", json={"title": "bill"})
        assert guarded.post("notes", json={"title": "bill"}).json()["id"] == 1
        assert guarded.post("notes", json={"title": "mail"}).json()["id"] == 2
    with session.once("bill"):
        assert [guarded.post("notes", json={"title": t}).json()["id"] for t in ("bill", "mail")] == [1, 2]
    assert len(box.requests("POST")) == 2


def test_a_named_call_of_a_refused_request_may_be_made_again(box: Box, client: httpx.Client, ledger: Path) -> None:
    session = resumed(ledger)
    guarded: Any = agentguard.wrap(client, session, notes)
    with session.once("bill"):
        assert guarded.post("notes", json={}).status_code == 422
    with session.once("bill"):
        assert guarded.post("notes", json={"title": "bill"}).status_code == 201
    with pytest.raises(agentguard.UsageError), session.once(""):
        guarded.post("notes", json={"title": "x"})


def test_a_checkpoint_is_handed_to_the_one_who_resumes(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    first = resumed(ledger)
    assert first.checkpointed is None
    guarded: Any = agentguard.wrap(client, first, notes)
    guarded.post("notes", json={"title": "one"})
    first.checkpoint("half way", {"row": 7})
    first.checkpoint("further", {"row": 8, "left": ["x"]})
    box.fault("drop_before")
    with pytest.raises(httpx.HTTPError):
        guarded.post("notes", json={"title": "two"})
    with pytest.raises(agentguard.UsageError, match="not JSON"):
        first.checkpoint("bad", object())
    found = resumed(ledger).checkpointed
    assert found is not None
    assert (found.name, found.state) == ("further", {"row": 8, "left": ["x"]})
    assert [call.arguments["title"] for call in found.done] == ["one"]
    assert [call.arguments["title"] for call in found.pending] == ["two"]


def test_a_session_that_lives_or_is_over_is_not_resumed(client: httpx.Client, ledger: Path) -> None:
    first = resumed(ledger)
    with pytest.raises(agentguard.SessionBusy, match="Nothing was done"):
        resumed(ledger)
    with pytest.raises(agentguard.SessionExists, match="of the agent"):
        agentguard.session(agent="somebody", intent="else", id="s1", ledger=ledger)
    first.complete()
    with pytest.raises(agentguard.SessionClosed, match="cannot be resumed"):
        resumed(ledger)


def test_what_was_taken_back_is_made_anew(box: Box, client: httpx.Client, ledger: Path, gone: None) -> None:
    first = resumed(ledger)
    guarded: Any = agentguard.wrap(client, first, notes)
    first.savepoint("start")
    guarded.post("notes", json={"title": "one"})
    first.rollback(to="start")
    guarded = agentguard.wrap(client, resumed(ledger), notes)
    assert guarded.post("notes", json={"title": "one"}).status_code == 201
    assert len(box.requests("POST")) == 2
    assert len(box.snapshot()["notes"]) == 1


def test_actions_are_not_run_again(ledger: Path, gone: None) -> None:
    ran: list[str] = []

    @agentguard.action("resuming.add", undo=ran.remove, undo_arguments=lambda result, **given: {"value": result["n"]})
    def add(name: str) -> dict[str, str]:
        ran.append(name)
        return {"n": name}

    @agentguard.action("resuming.aadd", undo=None, effect=agentguard.Effect.IRREVERSIBLE, reason="it is said")
    async def aadd(name: str) -> list[str]:
        ran.append(name)
        return [name]

    for _ in range(2):
        with resumed(ledger, on_error="leave").active():
            assert add("one") == {"n": "one"}
            assert asyncio.run(aadd("two")) == ["two"]
    assert ran == ["one", "two"]
