"""A call under faults: what may be lost, what may not, and what the caller is told."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import CallState, Effect, Handler, Outcome, forward, read, undo
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.wire.http import Outgoing
from tests.boxes import Box
from tests.core.notes import HttpxSeam, notes
from tests.core.test_faults_of_rollback import Store, outcomes, things


@pytest.fixture
def store() -> Store:
    return Store()


def test_an_answer_that_cannot_be_understood_reaches_the_caller(
    session: agentguard.Session, caplog: pytest.LogCaptureFixture
) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    plain = httpx.Client(
        base_url="http://things.test/v1/", transport=httpx.MockTransport(lambda _r: httpx.Response(200, content=deep))
    )
    with caplog.at_level(logging.ERROR):
        answer = agentguard.wrap(plain, session, things()).post("things", json={"name": "one"})
    assert answer.content == deep
    assert "cannot be understood" in caplog.text
    assert session.calls[0].state is CallState.IN_DOUBT
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT]


def test_half_a_surrogate_pair_costs_neither_the_call_nor_the_answer_nor_the_undo(
    store: Store, session: agentguard.Session, ledger: Path
) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    headers = {"content-type": "application/json"}
    answer = guarded.post("things", content=rb'{"name": "a half: \ud83d"}', headers=headers)
    assert answer.json()["name"] == "a half: \ud83d"
    assert session.calls[0].state is CallState.COMMITTED
    assert SqliteLedger(ledger).undos(session.id)[0].left == {"name": "a half: \ud83d"}
    assert outcomes(session.rollback()) == [Outcome.RESTORED]


def test_a_form_that_is_not_utf_8_is_described_by_its_size(store: Store, ledger: Path) -> None:
    session = agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)
    store.instead = lambda _request: httpx.Response(200, json={"id": "x", "name": "y"})
    guarded = agentguard.wrap(store.client(), session, things())
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert guarded.post("things", content=b"name=\xff\xfe", headers=headers).status_code == 200
    assert session.calls[0].arguments["$bytes"] == 7


def test_a_large_body_is_not_kept_and_its_undo_is_kept_whole(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one", "body": "old " * 50_000})
    before = box.snapshot()
    guarded.patch("notes/1", json={"body": "new " * 50_000})
    (call,) = session.calls
    assert "$large" in call.arguments["body"]
    assert "$large" in call.snapshots[0]["body"]
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert box.snapshot() == before


def test_a_secret_in_the_path_of_an_unknown_call_is_not_written_down(store: Store, ledger: Path) -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    guarded = agentguard.wrap(store.client(), session, things())
    with pytest.raises(agentguard.ApprovalRequired):
        guarded.post(f"hooks/{token}")
    session.ledger.close()
    assert all(token.encode() not in path.read_bytes() for path in ledger.parent.iterdir())


def test_an_approver_that_fails_is_not_taken_for_a_lost_connection(store: Store, ledger: Path) -> None:
    def approver(card: agentguard.Card) -> bool:
        raise httpx.ConnectError("the pager is down")

    session = agentguard.session(agent="a", intent="b", ledger=ledger, approver=approver)
    with pytest.raises(agentguard.ApprovalRequired, match=r"the pager is down\. Nothing was sent"):
        agentguard.wrap(store.client(), session, things()).post("unlisted")
    assert store.sent == []


def test_an_undo_is_not_repeated_by_an_sdk_that_repeats_what_was_lost(
    store: Store, session: agentguard.Session
) -> None:
    class Insisting(HttpxSeam):
        def issue(self, twin: httpx.Client, out: Outgoing) -> None:
            for _attempt in range(3):
                try:
                    answer = twin.request(out.verb, out.path.lstrip("/"), params=out.query, json=out.body)
                except httpx.TransportError:
                    continue
                if answer.status_code < 500:
                    return

    connector = things()
    connector.seams = (Insisting(),)
    guarded = agentguard.wrap(store.client(), session, connector)
    guarded.post("things", json={"name": "one"})
    guarded.post("things", json={"name": "two"})

    def loses(request: httpx.Request) -> httpx.Response | None:
        if request.method == "DELETE" and request.url.path.endswith("-1"):
            raise httpx.ReadError("gone")
        return httpx.Response(502) if request.method == "DELETE" else None

    store.instead = loses
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT, Outcome.IN_DOUBT]
    assert [verb for verb, _path in store.writes()] == ["POST", "POST", "DELETE", "DELETE"]


def test_a_handler_whose_state_is_not_there_before_the_call_leaves_a_gap_beside_its_undos(
    store: Store, session: agentguard.Session
) -> None:
    connector = things()

    @connector.guards("parts.delete", effect=Effect.REVERSIBLE)
    def delete_part(part: str) -> Handler:
        """Delete a part; the thing it was in is renamed."""
        yield undo("things.update", id="things-1", name="one")
        yield read("parts.get", part=part)
        yield forward()

    client = store.client()
    client.post("things", json={"name": "one"})
    store.instead = lambda request: httpx.Response(204) if request.method == "DELETE" else None
    agentguard.wrap(client, session, connector).delete("parts/parts-9")
    report = session.rollback()
    assert outcomes(report) == [Outcome.FAILED]
    assert "no state to take down" in report.outcomes[0].detail


def test_an_interruption_after_the_effect_is_raised_and_the_effect_is_on_record(
    store: Store, session: agentguard.Session
) -> None:
    connector = things()

    @connector.guards("things.update", effect=Effect.REVERSIBLE)
    def update_thing(id: str) -> Handler:  # noqa: A002 - what the service calls it
        """Update a thing and look at it."""
        yield forward()
        yield read("things.get", id=id)

    def interrupted(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET":
            raise KeyboardInterrupt
        return None

    client = store.client()
    client.post("things", json={"name": "one"})
    store.instead = interrupted
    with pytest.raises(KeyboardInterrupt):
        agentguard.wrap(client, session, connector).patch("things/things-1", json={"name": "two"})
    assert session.calls[0].state is CallState.COMMITTED
    assert "KeyboardInterrupt" in (session.calls[0].error or "")
    assert outcomes(session.rollback()) == [Outcome.FAILED]


def test_an_interruption_of_the_send_leaves_the_call_in_doubt(store: Store, session: agentguard.Session) -> None:
    def interrupted(request: httpx.Request) -> httpx.Response | None:
        raise KeyboardInterrupt

    store.instead = interrupted
    with pytest.raises(KeyboardInterrupt):
        agentguard.wrap(store.client(), session, things()).post("things", json={"name": "one"})
    assert session.calls[0].state is CallState.IN_DOUBT


ROWS: list[str] = []


@agentguard.action("faults.remember", undo=None, effect=Effect.IRREVERSIBLE, reason="It is remembered.")
def remember_and_post(words: str, client: None = None) -> None:
    ROWS.append(words)
    raise agentguard.ApprovalRequired("a call inside of the action was stopped")


def test_an_action_that_was_stopped_half_way_is_in_doubt(ledger: Path) -> None:
    with agentguard.session(agent="a", intent="b", ledger=ledger, on_error="leave") as session:
        with pytest.raises(agentguard.ApprovalRequired):
            remember_and_post("half")
        assert ROWS == ["half"]
        assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


def test_a_session_may_be_left_in_another_context_than_it_was_entered_in(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    for error in (None, ValueError("the agent failed")):
        session = agentguard.session(agent="a", intent="b", ledger=ledger)
        contextvars.copy_context().run(session.__enter__)
        agentguard.wrap(client, session, notes).post("notes", json={"title": "one"})
        session.__exit__(type(error) if error else None, error, None)
        assert session.state == ("rolled_back" if error else "completed")
    assert len(box.snapshot()["notes"]) == 1


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_ends_the_block_early_takes_its_calls_back(
    box: Box, client: httpx.Client, ledger: Path, stop: type[BaseException]
) -> None:
    with pytest.raises(stop) as caught, agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        agentguard.wrap(client, session, notes).post("notes", json={"title": "one"})
        raise stop
    assert box.snapshot()["notes"] == {}
    assert "taken back" in caught.value.__notes__[0]


async def test_a_cancelled_task_takes_its_calls_back(box: Box, client: httpx.Client, ledger: Path) -> None:
    posted = asyncio.Event()

    async def work() -> None:
        async with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
            agentguard.wrap(client, session, notes).post("notes", json={"title": "one"})
            posted.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await posted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert box.snapshot()["notes"] == {}


def test_savepoints_nest_and_can_be_gone_back_to_again(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    session.savepoint("outer")
    guarded.post("notes", json={"title": "1"})
    session.savepoint("inner")
    guarded.post("notes", json={"title": "2"})
    assert outcomes(session.rollback("inner")) == [Outcome.RESTORED]
    guarded.post("notes", json={"title": "3"})
    assert outcomes(session.rollback("inner")) == [Outcome.RESTORED] * 2
    assert [note["title"] for note in box.snapshot()["notes"].values()] == ["1"]
    assert outcomes(session.rollback("outer")) == [Outcome.RESTORED] * 3
    assert outcomes(session.rollback()) == [Outcome.RESTORED] * 3
    assert len(box.requests("DELETE")) == 3


def test_a_savepoint_asks_the_ledger_for_a_number_and_not_for_every_call(
    guarded: httpx.Client, session: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.post("notes", json={"title": "1"})

    def calls(_self: Any, _session: str) -> None:
        pytest.fail("a savepoint reads every call of the session")

    monkeypatch.setattr(SqliteLedger, "calls", calls)
    session.savepoint("here")


def test_a_session_with_an_approver_that_cannot_be_asked_is_not_started(ledger: Path) -> None:
    with pytest.raises(agentguard.UsageError, match="Nothing was started"):
        agentguard.session(agent="a", intent="b", ledger=ledger, approver="slack")  # type: ignore[arg-type]  # the mistake that is tested
    assert SqliteLedger.at(ledger).sessions() == []


def test_a_client_is_not_wrapped_with_two_connectors(
    client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    with pytest.raises(agentguard.UsageError, match=r"wrapped with the connector 'notes' .* already"):
        agentguard.wrap(client, session, things())
    assert agentguard.wrap(client, session) is guarded


def test_a_ledger_that_was_replaced_is_opened_anew_by_the_next_session(ledger: Path) -> None:
    agentguard.session(agent="a", intent="b", ledger=ledger)
    for path in ledger.parent.iterdir():
        path.unlink()
    SqliteLedger(ledger).close()
    again = agentguard.session(agent="a", intent="c", ledger=ledger)
    assert [row.intent for row in SqliteLedger(ledger).sessions()] == [again.intent]


STARTED: list[asyncio.Event] = []


async def never_ends(words: str) -> None:
    STARTED[0].set()
    STARTED.append(asyncio.Event())
    await STARTED[-1].wait()


@agentguard.action("faults.say", undo=never_ends)
async def say(words: str) -> None:
    await asyncio.sleep(0)


async def test_a_rollback_that_is_cancelled_can_be_asked_for_again_and_sends_nothing_twice(ledger: Path) -> None:
    async with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        await say("hello")
    STARTED.append(asyncio.Event())
    task = asyncio.create_task(session.arollback())
    await STARTED[0].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert session.state == "rolling_back"
    assert outcomes(await session.arollback()) == [Outcome.IN_DOUBT]
    assert len(STARTED) == 2
