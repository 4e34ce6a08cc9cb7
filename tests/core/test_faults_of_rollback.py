"""A rollback under faults: what it may say, what it may send, and what must not stop it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import CallState, Connector, Effect, Finder, Handler, Outcome, Risk, forward, read, undo
from agentguard.calls import ABSENT, Call
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.operations import Operation, OperationTable
from tests.boxes import Box
from tests.core.notes import HttpxSeam


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [result.outcome for result in report.outcomes]


def things(**options: Any) -> Connector:
    """A connector of things with parts, served by whatever transport a test gives."""
    made = Connector(
        "things",
        title="Things",
        table=OperationTable(
            [
                Operation("things.create", "POST", "/things"),
                Operation("things.get", "GET", "/things/{id}", Effect.READ),
                Operation("things.list", "GET", "/things", Effect.READ),
                Operation("things.update", "PATCH", "/things/{id}"),
                Operation("things.delete", "DELETE", "/things/{id}"),
                Operation("parts.create", "POST", "/things/{id}/parts"),
                Operation("parts.get", "GET", "/parts/{part}", Effect.READ),
                Operation("parts.delete", "DELETE", "/parts/{part}"),
            ]
        ),
        seams=[HttpxSeam()],
        **options,
    )

    @made.view
    def thing(body: Any) -> Any:
        return {"name": body["name"]}

    @made.guards("things.create", effect=Effect.REVERSIBLE)
    def create_thing() -> Handler:
        """Make a thing; it is deleted again."""
        new = yield forward()
        look = read("things.get", id=new["id"]).through("thing")
        yield undo("things.delete", id=new["id"]).on(look, left={"name": new["name"]}, back=ABSENT)

    @made.guards("parts.create", effect=Effect.REVERSIBLE)
    def create_part(id: str) -> Handler:  # noqa: A002 - what the service calls it
        """Make a part; it is deleted again."""
        new = yield forward()
        look = read("parts.get", part=new["id"]).through("thing")
        yield undo("parts.delete", part=new["id"]).on(look, left={"name": new["name"]}, back=ABSENT)

    return made


class Store:
    """Keeps what is posted, by path; an answer may be replaced by a test."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.sent: list[tuple[str, str]] = []
        self.instead: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1")
        self.sent.append((request.method, path))
        instead = self.instead(request)
        if instead is not None:
            return instead
        if request.method == "POST":
            kind = path.rpartition("/")[2]
            made = {"id": f"{kind}-{len(self.kept) + 1}", **httpx.Response(200, content=request.content).json()}
            self.kept[f"/{kind}/{made['id']}"] = made
            return httpx.Response(201, content=json.dumps(made))
        if path == "/things":
            return httpx.Response(200, json=list(self.kept.values()))
        if path not in self.kept:
            return httpx.Response(404, json={"message": "not found"})
        if request.method == "DELETE":
            del self.kept[path]
            return httpx.Response(204)
        if request.method == "PATCH":
            self.kept[path].update(httpx.Response(200, content=request.content).json())
        return httpx.Response(200, content=json.dumps(self.kept[path]))

    def client(self, base: str = "http://things.test/v1/") -> httpx.Client:
        return httpx.Client(base_url=base, transport=httpx.MockTransport(self))

    def writes(self) -> list[tuple[str, str]]:
        return [(verb, path) for verb, path in self.sent if verb != "GET"]


@pytest.fixture
def store() -> Store:
    return Store()


def test_an_undo_in_doubt_that_nothing_shows_is_not_sent_again(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one"})
    guarded.delete("notes/1")
    box.fault("drop_after")
    reports = [outcomes(session.rollback()) for _ in range(3)]
    assert reports == [[Outcome.IN_DOUBT]] * 3
    assert len(box.snapshot()["notes"]) == 1
    assert len(box.requests("POST")) == 2


def test_an_undo_that_was_in_doubt_and_is_seen_to_have_worked_is_ours(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    guarded.post("notes", json={"title": "one"})
    box.fault("drop_after", verb="DELETE")
    box.fault("status_before", verb="GET", status=503, times=2)
    session.rollback()
    session.rollback()
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert len(box.requests("DELETE")) == 1


def test_an_undo_that_was_sent_is_never_said_not_to_have_been(store: Store, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    guarded.post("things", json={"name": "one"})

    def deaf_after_the_delete(request: httpx.Request) -> httpx.Response | None:
        deleted = any(verb == "DELETE" for verb, _path in store.sent[:-1])
        return httpx.Response(503) if deleted and request.method == "GET" else None

    store.instead = deaf_after_the_delete
    report = session.rollback()
    assert outcomes(report) == [Outcome.IN_DOUBT]
    assert "not sent" not in report.outcomes[0].detail
    assert "Nothing was sent" not in report.outcomes[0].detail
    assert "accepted" in report.outcomes[0].detail
    store.instead = lambda _request: None
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert [verb for verb, _path in store.writes()] == ["POST", "DELETE"]


def test_a_finder_that_breaks_down_stops_no_other_undo(store: Store, session: agentguard.Session) -> None:
    connector = things()

    @connector.finds("things.create")
    def find_thing(name: str) -> Finder:
        yield read("things.list")
        raise TypeError("the finder has a fault")

    guarded = agentguard.wrap(store.client(), session, connector)
    guarded.post("things", json={"name": "one"})
    store.instead = lambda _request: httpx.Response(502)
    guarded.post("things", json={"name": "two"})
    store.instead = lambda _request: None
    report = session.rollback()
    assert outcomes(report) == [Outcome.IN_DOUBT, Outcome.RESTORED]
    assert "the finder has a fault" in report.outcomes[0].detail


@pytest.mark.parametrize("lost", ["things.list", "witness"])
def test_a_connection_that_breaks_during_a_look_up_stops_no_other_undo(
    store: Store, session: agentguard.Session, lost: str
) -> None:
    connector = things()
    connector.witness = lambda seen: read("things.list") if seen.operation == "things.get" else None

    @connector.finds("things.create")
    def find_thing(name: str) -> Finder:
        yield read("things.list")

    guarded = agentguard.wrap(store.client(), session, connector)
    guarded.post("things", json={"name": "one"})
    guarded.post("things", json={"name": "two"})
    if lost == "witness":
        del store.kept["/things/things-2"]
    else:
        store.instead = lambda _request: httpx.Response(502)
        guarded.post("things", json={"name": "three"})

    def unreachable(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET" and request.url.path == "/v1/things":
            raise httpx.ConnectError("nobody there")
        return None

    store.instead = unreachable
    found = outcomes(session.rollback())
    assert found[0] is (Outcome.FAILED if lost == "witness" else Outcome.IN_DOUBT)
    assert ("DELETE", "/things/things-1") in store.writes()


def test_a_handler_that_breaks_down_while_it_is_rebuilt_stops_no_other_undo(
    store: Store, session: agentguard.Session
) -> None:
    connector = things()

    @connector.guards("things.update", effect=Effect.REVERSIBLE)
    def update_thing(id: str) -> Handler:  # noqa: A002 - what the service calls it
        """Update a thing."""
        before = yield read("things.get", id=id).through("thing")
        yield undo("things.update", id=id, name=before["name"].lower())
        yield forward()

    @connector.finds("things.update")
    def find_update(id: str) -> Finder:  # noqa: A002 - as above
        found = yield read("things.get", id=id)
        return found

    guarded = agentguard.wrap(store.client(), session, connector)
    guarded.post("things", json={"name": "one"})
    guarded.post("things", json={"name": "x" * 100_000})
    store.instead = lambda request: httpx.Response(502) if request.method == "PATCH" else None
    guarded.patch("things/things-2", json={"name": "new"})
    store.instead = lambda _request: None
    found = outcomes(session.rollback())
    assert found[-1] is Outcome.RESTORED
    assert ("DELETE", "/things/things-1") in store.writes()


def test_a_gap_is_told_also_where_some_undos_are_known(
    store: Store, session: agentguard.Session, caplog: pytest.LogCaptureFixture
) -> None:
    connector = things()

    @connector.guards("things.update", effect=Effect.REVERSIBLE)
    def update_thing(id: str) -> Handler:  # noqa: A002 - what the service calls it
        """Update a thing and what hangs on it."""
        look = read("things.get", id=id).through("thing")
        before = yield look
        yield undo("things.update", id=id, **before).on(look, left={"name": "new"}, back=before)
        answer = yield forward()
        yield undo("parts.delete", part=answer["no such thing"])

    client = store.client()
    client.post("things", json={"name": "old"})
    agentguard.wrap(client, session, connector).patch("things/things-1", json={"name": "new"})
    for _ in range(2):
        report = session.rollback()
        assert (outcomes(report), report.ok) == ([Outcome.FAILED], False)
        assert "could not be worked out" in report.outcomes[0].detail
    assert store.kept["/things/things-1"]["name"] == "old"


def test_an_undo_that_stays_open_keeps_what_it_hangs_on_from_being_undone(
    store: Store, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    guarded.post("things", json={"name": "free"})
    guarded.post("things", json={"name": "parent"})
    guarded.post("things/things-2/parts", json={"name": "child"})
    store.kept["/parts/parts-3"]["name"] = "edited by a person"
    report = session.rollback()
    assert outcomes(report) == [Outcome.CONFLICT, Outcome.FAILED, Outcome.RESTORED]
    assert "call 3" in report.outcomes[1].detail
    assert "/things/things-2" in store.kept
    assert "/things/things-1" not in store.kept
    store.kept["/parts/parts-3"]["name"] = "child"
    assert outcomes(session.rollback()) == [Outcome.RESTORED, Outcome.RESTORED, Outcome.RESTORED]
    assert store.kept == {}


def test_an_open_undo_of_one_field_keeps_an_older_one_of_the_same_thing_from_being_sent(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one", "body": "first"})
    client.post("notes", json={"title": "other"})
    guarded.patch("notes/2", json={"title": "another"})
    guarded.patch("notes/1", json={"title": "two"})
    guarded.patch("notes/1", json={"body": "second"})
    client.patch("notes/1", json={"body": "edited by a person"})
    assert outcomes(session.rollback()) == [Outcome.CONFLICT, Outcome.FAILED, Outcome.RESTORED]
    assert box.snapshot()["notes"]["1"] == {"id": 1, "title": "two", "body": "edited by a person"}


def test_what_was_made_in_the_same_place_is_no_reason_to_wait(store: Store, session: agentguard.Session) -> None:
    client = store.client()
    guarded = agentguard.wrap(client, session, things())
    for name in ("one", "two", "three"):
        guarded.post("things", json={"name": name})
    client.patch("things/things-2", json={"name": "edited by a person"})
    assert outcomes(session.rollback()) == [Outcome.RESTORED, Outcome.CONFLICT, Outcome.RESTORED]


def test_what_uses_an_id_that_an_older_call_made_is_undone_before_it(store: Store, session: agentguard.Session) -> None:
    connector = things()

    @connector.guards("things.update", effect=Effect.REVERSIBLE)
    def update_thing(call: Call) -> Handler:
        """Update a thing."""
        id = call.arguments["id"]  # noqa: A001 - what the service calls it
        look = read("things.get", id=id).through("thing")
        before = yield look
        yield undo("things.update", id=id, **before).on(look, left={"name": call.arguments["name"]}, back=before)
        yield forward()

    client = store.client()
    client.post("things", json={"name": "holder"})
    guarded = agentguard.wrap(client, session, connector)
    made = guarded.post("things", json={"name": "member"}).json()["id"]
    guarded.patch("things/things-1", json={"name": "holds it", "members": [{"member": made}]})
    client.patch("things/things-1", json={"name": "edited by a person"})
    assert outcomes(session.rollback()) == [Outcome.CONFLICT, Outcome.FAILED]
    assert f"/things/{made}" in store.kept


def test_a_lost_call_is_not_taken_for_an_equal_one_that_was_answered(store: Store, session: agentguard.Session) -> None:
    connector = things()

    @connector.finds("things.create")
    def find_thing(name: str) -> Finder:
        found = yield read("things.list")
        return next((thing for thing in found if thing["name"] == name), None)

    guarded = agentguard.wrap(store.client(), session, connector)
    guarded.post("things", json={"name": "one"})
    session.savepoint("after the first")
    store.instead = lambda _request: httpx.Response(502)
    guarded.post("things", json={"name": "one"})
    store.instead = lambda _request: None
    assert outcomes(session.rollback("after the first")) == [Outcome.IN_DOUBT]
    assert "/things/things-1" in store.kept


def test_two_threads_that_roll_back_at_once_send_each_undo_once(store: Store, session: agentguard.Session) -> None:
    connector = things()

    @connector.guards("things.delete", effect=Effect.COMPENSABLE)
    def delete_thing(id: str) -> Handler:  # noqa: A002 - what the service calls it
        """Delete a thing; it is made again."""
        old = yield read("things.get", id=id).through("thing")
        yield undo("things.create", **old).leaving("it has a new id")
        yield forward()

    client = store.client()
    guarded = agentguard.wrap(client, session, connector)
    for n in range(3):
        client.post("things", json={"name": f"thing {n}"})
    for thing in list(store.kept.values()):
        guarded.delete(f"things/{thing['id']}")
    store.sent.clear()
    together = threading.Barrier(4)
    reports: list[agentguard.Report] = []

    def work() -> None:
        together.wait()
        reports.append(session.rollback())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcomes(report) for report in reports] == [[Outcome.COMPENSATED] * 3] * 4
    assert len(store.writes()) == 3


def test_two_sessions_objects_of_one_session_do_not_undo_at_once(
    store: Store, session: agentguard.Session, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["agentguard.unwinding"], "IN_FLIGHT_SECONDS", 0.05)
    guarded = agentguard.wrap(store.client(), session, things())
    guarded.post("things", json={"name": "one"})
    again = agentguard.load(session.id, ledger=SqliteLedger(ledger))
    again.use(store.client(), things())
    met: list[str] = []

    def another_process(request: httpx.Request) -> httpx.Response | None:
        if request.method == "DELETE" and not met:
            with pytest.raises(agentguard.UsageError, match="Nothing was done") as caught:
                again.rollback()
            met.append(str(caught.value))
        return None

    store.instead = another_process
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert len(met) == 1
    assert [verb for verb, _path in store.writes()] == ["POST", "DELETE"]
    assert outcomes(again.rollback()) == [Outcome.RESTORED]


def test_a_session_that_another_process_took_back_takes_no_more_calls(
    store: Store, session: agentguard.Session, ledger: Path
) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    with session:
        guarded.post("things", json={"name": "one"})
        other = agentguard.load(session.id, ledger=SqliteLedger(ledger))
        other.use(store.client(), things())
        assert other.rollback().ok
        with pytest.raises(agentguard.SessionClosed, match="Nothing was sent"):
            guarded.post("things", json={"name": "two"})
    assert store.kept == {}
    assert SqliteLedger(ledger).session(session.id).state == "rolled_back"
    assert session.state == "rolled_back"


def test_two_clients_of_one_service_are_not_mixed_up(session: agentguard.Session) -> None:
    connector = things()
    first, second = Store(), Store()
    for name, account in (("one", first), ("two", second)):
        agentguard.wrap(account.client(), session, connector).post("things", json={"name": name})
    assert outcomes(session.rollback()) == [Outcome.RESTORED, Outcome.RESTORED]
    assert (first.kept, second.kept) == ({}, {})


def test_a_call_made_while_a_savepoint_is_gone_back_to_is_left_alone(store: Store, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    session.savepoint("start")
    guarded.post("things", json={"name": "one"})
    later: list[int] = []

    def meanwhile(request: httpx.Request) -> httpx.Response | None:
        if request.method == "DELETE" and not later:
            thread = threading.Thread(
                target=lambda: later.append(guarded.post("things", json={"name": "two"}).status_code)
            )
            thread.start()
            thread.join()
        return None

    store.instead = meanwhile
    assert outcomes(session.rollback("start")) == [Outcome.RESTORED]
    assert later == [201]
    assert [thing["name"] for thing in store.kept.values()] == ["two"]
    assert outcomes(session.rollback("start")) == [Outcome.RESTORED, Outcome.RESTORED]


def test_an_undo_key_changes_only_when_the_service_refused(store: Store, session: agentguard.Session) -> None:
    keys: list[str] = []
    guarded = agentguard.wrap(store.client(), session, things(idempotency_header="Idempotency-Key"))
    guarded.post("things", json={"name": "one"})
    statuses = iter([204, 403, 500])

    def refuses(request: httpx.Request) -> httpx.Response | None:
        if request.method != "DELETE":
            return None
        keys.append(request.headers["idempotency-key"].rpartition("-")[2])
        status = next(statuses, None)
        return None if status is None else httpx.Response(status)

    store.instead = refuses
    found = [outcomes(session.rollback())[0] for _ in range(4)]
    assert found == [Outcome.FAILED, Outcome.FAILED, Outcome.IN_DOUBT, Outcome.RESTORED]
    assert keys == ["0", "0", "1", "1"]


def test_an_undo_that_cannot_be_written_as_a_request_was_not_sent(store: Store, session: agentguard.Session) -> None:
    connector = things()

    @connector.guards("things.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
    def update_thing() -> Handler:
        """Update a thing; its undo lacks the id."""
        yield undo("things.delete", id=None)
        yield forward()

    client = store.client()
    client.post("things", json={"name": "one"})
    agentguard.wrap(client, session, connector).patch("things/things-1", json={"name": "two"})
    report = session.rollback()
    assert outcomes(report) == [Outcome.FAILED]
    assert "was not sent" in report.outcomes[0].detail
    assert session.calls[0].state is CallState.COMMITTED


@pytest.mark.parametrize("lag", [1, 2])
def test_what_cannot_be_seen_yet_is_not_taken_for_undone(
    store: Store, session: agentguard.Session, lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard.undoing.LOOK_AGAIN_AFTER", (0.0, 0.01, 0.01))
    guarded = agentguard.wrap(store.client(), session, things())
    guarded.post("things", json={"name": "one"})
    stale = iter(range(lag))

    def lags(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(404) if request.method == "GET" and next(stale, None) is not None else None

    store.instead = lags
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert store.kept == {}


def test_a_lost_update_that_cannot_be_seen_yet_is_taken_back(
    store: Store, session: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard.undoing.LOOK_AGAIN_AFTER", (0.0, 0.01, 0.01))
    connector = things()
    connector.restores("things.update", by="things.get", view="thing")
    client = store.client()
    client.post("things", json={"name": "old"})
    reads = iter(["before", "stale"])

    def lags(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PATCH" and store.kept["/things/things-1"]["name"] == "old":
            store.kept["/things/things-1"]["name"] = "new"
            return httpx.Response(502)
        stale = request.method == "GET" and next(reads, None) is not None
        return httpx.Response(200, json={"name": "old"}) if stale else None

    store.instead = lags
    agentguard.wrap(client, session, connector).patch("things/things-1", json={"name": "new"})
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert store.kept["/things/things-1"]["name"] == "old"


async def test_two_tasks_that_roll_back_at_once_send_each_undo_once(store: Store, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    guarded.post("things", json={"name": "one"})
    first, second = await asyncio.gather(session.arollback(), session.arollback())
    assert outcomes(first) == outcomes(second) == [Outcome.RESTORED]
    assert [verb for verb, _path in store.writes()] == ["POST", "DELETE"]


def test_an_undo_in_doubt_stays_so_while_it_cannot_be_looked_at(store: Store, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(store.client(), session, things())
    guarded.post("things", json={"name": "one"})
    down: list[bool] = []

    def lost(request: httpx.Request) -> httpx.Response | None:
        if request.method == "DELETE":
            down.append(True)
            store.kept.clear()
            return httpx.Response(502)
        return httpx.Response(503) if down else None

    store.instead = lost
    assert [outcomes(session.rollback()) for _ in range(2)] == [[Outcome.IN_DOUBT]] * 2
    store.instead = lambda _request: None
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
