"""A lost call of a declared API: found by the mark that it carried, and never taken for somebody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from agentguard_connectors.http import Api, Find, Route, declare

import agentguard
from agentguard import CallState, Outcome
from agentguard.connector import Connector
from agentguard.ledger import sqlite
from tests.boxes import Box

TOML = """
name = "orders"
base = "{base}"

[[routes]]
call = "POST /orders"
undo = "POST /orders/{{result.id}}/cancel"
{mark}
"""
BY_FIELD = """
mark = "body.reference"
find = {read = "GET /orders", items = "data", query = {reference = "{mark}"}, mark = "reference", authoritative = true}
"""
BY_PATH = """
mark = "body.reference"
find = {read = "GET /orders/by-reference/{mark}", mark = "reference", authoritative = true}
"""
NESTED = """
mark = "body.meta.reference"
find = {read = "GET /orders", items = "data", mark = "meta.reference", authoritative = true}
"""
BY_HEADER = """
mark = "header.X-Request-Id"
find = {read = "GET /orders", items = "data", mark = "request", authoritative = true}
"""
WAYS = {"a field": BY_FIELD, "a path": BY_PATH, "a nested field": NESTED, "a header": BY_HEADER}


@pytest.fixture(scope="session")
def orders_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    log = tmp_path_factory.mktemp("orders") / "log.jsonl"
    command = [sys.executable, "-m", "tests.http.orders", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Box("orders", process.stdout.readline().strip())
        process.communicate()


@pytest.fixture
def orders(orders_server: Box) -> Box:
    return orders_server.reset()


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def api(request: pytest.FixtureRequest, orders: Box, tmp_path: Path) -> Connector:
    return declared(tmp_path, orders, request.param)


@pytest.fixture
def by_field(orders: Box, tmp_path: Path) -> Connector:
    return declared(tmp_path, orders, BY_FIELD)


def declared(folder: Path, orders: Box, mark: str) -> Connector:
    (folder / "orders.toml").write_text(TOML.format(base=orders.url, mark=mark))
    return declare(folder / "orders.toml")


@pytest.fixture(params=["httpx", "requests"])
def plain(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "httpx":
        with httpx.Client() as client:
            yield client
    else:
        with requests.Session() as client:
            yield client


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)


def order(client: Any, orders: Box, **more: Any) -> Any:
    return client.post(f"{orders.url}/orders", **{"json": {"item": "tea"}, **more})


def lose(client: Any, orders: Box, mode: str, **more: Any) -> None:
    orders.fault(mode, path="/orders$")
    with pytest.raises((httpx.TransportError, requests.RequestException)):
        order(client, orders, **more)


def statuses(orders: Box) -> list[str]:
    return [one["status"] for one in orders.snapshot()["orders"].values()]


def test_a_lost_order_is_found_by_its_mark(
    orders: Box, plain: Any, api: Connector, session: agentguard.Session
) -> None:
    lose(agentguard.wrap(plain, session, api), orders, "drop_after")
    order(plain, orders)  # a stranger's, who says the same
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert statuses(orders) == ["cancelled", "open"]
    assert session.calls[0].mark in json.dumps(orders.snapshot()["orders"]["1"])


def test_an_order_that_was_never_made_is_known_not_to_have_been(
    orders: Box, plain: Any, api: Connector, session: agentguard.Session
) -> None:
    lose(agentguard.wrap(plain, session, api), orders, "drop_before")
    order(plain, orders)
    assert session.rollback().ok
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
    assert statuses(orders) == ["open"]


def test_of_two_equal_orders_the_lost_one_is_told_from_the_other(
    orders: Box, plain: Any, api: Connector, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(plain, session, api)
    order(guarded, orders)
    lose(guarded, orders, "drop_before")
    assert session.rollback().ok
    assert [call.state for call in session.calls] == [CallState.COMMITTED, CallState.NOT_APPLIED]
    assert statuses(orders) == ["cancelled"]


def test_the_request_is_otherwise_the_callers(
    orders: Box, plain: Any, api: Connector, session: agentguard.Session
) -> None:
    order(agentguard.wrap(plain, session, api), orders, headers={"x-mine": "1"})
    request = orders.requests("POST")[0]
    mark = session.calls[0].mark
    body = {name: value for name, value in request["body"].items() if name not in ("reference", "meta")}
    assert body == {"item": "tea"}
    assert request["headers"]["x-mine"] == "1"
    assert json.dumps(request).count(str(mark)) == 1


def test_a_form_takes_a_mark_as_well(orders: Box, plain: Any, by_field: Connector, session: agentguard.Session) -> None:
    more = {"json": None, "data": {"item": "tea & milk"}}
    lose(agentguard.wrap(plain, session, by_field), orders, "drop_after", **more)
    mark = session.calls[0].mark
    assert orders.requests("POST")[0]["body"] == {"item": "tea & milk", "reference": mark}
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]


@pytest.mark.parametrize(
    ("mark", "more"),
    [
        (BY_FIELD, {"json": {"item": "tea", "reference": "mine"}}),
        (BY_HEADER, {"headers": {"X-Request-ID": "mine"}}),
    ],
    ids=["field", "header"],
)
def test_a_value_of_the_callers_own_wins_and_is_no_proof(
    mark: str, more: Any, orders: Box, plain: Any, session: agentguard.Session, tmp_path: Path
) -> None:
    api = declared(tmp_path, orders, mark)
    lose(agentguard.wrap(plain, session, api), orders, "drop_before", **more)
    assert "mine" in json.dumps(orders.requests("POST")[0])
    assert str(session.calls[0].mark) not in json.dumps(orders.requests("POST"))
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "of its own" in result.detail


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_without_its_mark_a_call_is_looked_for_by_what_it_says(
    mode: str, orders: Box, plain: Any, session: agentguard.Session
) -> None:
    find = Find("GET /orders", ("item",), "data", authoritative=True, mark="reference", query={"reference": "{mark}"})
    route = Route("POST /orders", undo="POST /orders/{result.id}/cancel", mark="body.reference", find=find)
    api = declare(Api("orders", (route,), base=orders.url))
    order(plain, orders)
    guarded = agentguard.wrap(plain, session, api)
    lose(guarded, orders, mode, json={"item": "tea", "reference": "mine"})
    expected = Outcome.COMPENSATED if mode == "drop_after" else Outcome.IN_DOUBT
    assert [one.outcome for one in session.rollback().outcomes] == [expected]
    assert statuses(orders) == (["open", "cancelled"] if mode == "drop_after" else ["open"])


def test_a_body_whose_names_collide_with_the_path_takes_a_mark(
    orders: Box, plain: Any, session: agentguard.Session
) -> None:
    find = Find("GET /orders", items="data", mark="reference")
    undo = "POST /orders/{result.id}/cancel"
    api = declare(
        Api(
            "orders",
            (Route("POST /shops/{shop}/orders", undo=undo, mark="body.reference", find=find),),
            base=orders.url,
        )
    )
    orders.fault("drop_after", path="/orders$")
    with pytest.raises((httpx.TransportError, requests.RequestException)):
        agentguard.wrap(plain, session, api).post(f"{orders.url}/shops/1/orders", json={"shop": "one", "item": "tea"})
    sent = orders.requests("POST")[0]["body"]
    assert sent == {"shop": "one", "item": "tea", "reference": session.calls[0].mark}
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]


def test_a_list_is_no_body_for_a_mark(
    orders: Box, plain: Any, by_field: Connector, session: agentguard.Session
) -> None:
    orders.fault("status_before", path="/orders$", status=400)
    order(agentguard.wrap(plain, session, by_field), orders, json=[1, 2])
    assert orders.requests("POST")[0]["body"] == [1, 2]


def test_an_api_that_shows_one_thing_for_every_mark_is_not_believed(
    orders: Box, plain: Any, session: agentguard.Session
) -> None:
    find = Find("GET /orders/{mark}", mark="reference", authoritative=True)
    route = Route("POST /orders", undo="POST /orders/{result.id}/cancel", mark="body.reference", find=find)
    api = declare(Api("orders", (route,), base=orders.url))
    lose(agentguard.wrap(plain, session, api), orders, "drop_before")
    orders.seed(orders={str(session.calls[0].mark): {"id": 7, "status": "open"}})
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "proves nothing" in result.detail
    assert statuses(orders) == ["open"]


def test_an_irreversible_call_carries_a_mark_too(orders: Box, plain: Any, session: agentguard.Session) -> None:
    find = Find("GET /orders/by-reference/{mark}", authoritative=True)
    api = declare(Api("orders", (Route("POST /orders", mark="body.reference", find=find),), base=orders.url))
    guarded = agentguard.wrap(plain, session, api)
    lose(guarded, orders, "drop_before")
    lose(guarded, orders, "drop_after")
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IRREVERSIBLE]
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED, CallState.COMMITTED]


async def test_an_asynchronous_client(orders: Box, by_field: Connector, session: agentguard.Session) -> None:
    async with httpx.AsyncClient() as plain:
        orders.fault("drop_after", path="/orders$")
        with pytest.raises(httpx.TransportError):
            await order(agentguard.wrap(plain, session, by_field), orders)
        assert [one.outcome for one in (await session.arollback()).outcomes] == [Outcome.COMPENSATED]
    assert statuses(orders) == ["cancelled"]


def test_a_resumed_agent_gets_the_order_that_it_made(
    orders: Box, plain: Any, by_field: Connector, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite.leases, "is_gone", lambda owner: True)

    def begin() -> Any:
        session = agentguard.session(agent="a", intent="i", id="s1", ledger=ledger, on_crash="resume")
        return agentguard.wrap(plain, session, by_field)

    lose(begin(), orders, "drop_after")
    assert order(begin(), orders).json()["id"] == 1
    assert statuses(orders) == ["open"]


APIS = """
import os
import httpx
from agentguard_connectors.http import declare

orders = declare("orders.toml")
client = httpx.Client
"""
AGENT = """
import os
import agentguard
from my_apis import client

with agentguard.session(agent="a", intent="i") as session:
    try:
        guarded = agentguard.wrap(client(), session, connector="orders")
        guarded.post(os.environ["ORDERS"] + "/orders", json={"item": "tea"})
    except Exception:
        os._exit(9)
"""


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_another_process_finds_it(mode: str, orders: Box, by_field: Connector, tmp_path: Path) -> None:
    (tmp_path / "my_apis.py").write_text(APIS)
    (tmp_path / "agentguard.toml").write_text(
        'ledger = "ledger.db"\n[connectors]\norders = "my_apis:orders"\n[clients]\norders = "my_apis:client"\n'
    )
    environment = {**os.environ, "ORDERS": orders.url}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    orders.fault(mode, path="/orders$")
    died = run("-c", AGENT)
    assert died.returncode == 9, died.stderr
    rolled_back = run("-m", "agentguard", "rollback", "last", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stdout + rolled_back.stderr
    assert statuses(orders) == (["cancelled"] if mode == "drop_after" else [])


@pytest.mark.parametrize(
    ("status", "state"),
    [(409, CallState.NOT_APPLIED), (429, CallState.NOT_APPLIED), (408, CallState.IN_DOUBT), (503, CallState.IN_DOUBT)],
)
def test_what_a_refusal_proves(
    status: int, state: CallState, orders: Box, plain: Any, by_field: Connector, session: agentguard.Session
) -> None:
    orders.fault("status_before", path="/orders$", status=status, headers={"retry-after": "7"})
    assert order(agentguard.wrap(plain, session, by_field), orders).status_code == status
    assert [call.state for call in session.calls] == [state]


def test_an_answer_that_broke_off_is_in_doubt(
    orders: Box, plain: Any, by_field: Connector, session: agentguard.Session
) -> None:
    lose(agentguard.wrap(plain, session, by_field), orders, "truncate")
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "https://nowhere.invalid"], ids=["refused", "no such name"])
def test_a_call_that_reached_nobody_certainly_did_nothing(base: str, plain: Any, session: agentguard.Session) -> None:
    api = declare(Api("orders", (Route("POST /orders", undo="DELETE /orders/{result.id}"),), base=base))
    with pytest.raises((httpx.TransportError, requests.RequestException)):
        agentguard.wrap(plain, session, api).post(f"{base}/orders", json={"item": "tea"})
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
