"""Routes that switch something or replace it: what somebody else changed, or a PUT took away, is not run over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from agentguard_connectors.http import Api, Route, declare

import agentguard
from agentguard import Connector, Outcome
from agentguard.sandbox.server import Incoming, Reply, Service, route, serve


class Users(Service):
    """One user, who can be disabled, replaced and removed."""

    name = "users"

    def fresh(self) -> dict[str, Any]:
        return {"user": {"id": 1, "name": "one", "phone": "12", "active": True, "changes": 0}, "gone": False}

    @route("GET", "/users/{id}")
    def get(self, call: Incoming) -> Reply:
        return Reply(404, {}) if self.state["gone"] else Reply(200, self.state["user"])

    @route("PUT", "/users/{id}")
    def put(self, call: Incoming) -> Reply:
        old = self.state["user"]
        self.state["user"] = {**call.body, "id": 1, "active": old["active"], "changes": old["changes"] + 1}
        return Reply(200, self.state["user"])

    @route("POST", "/users/{id}/{state}")
    def switch(self, call: Incoming) -> Reply:
        self.state["user"]["active"] = call["state"] == "enable"
        self.state["user"]["changes"] += 1
        return Reply(204)

    @route("DELETE", "/users/{id}")
    def delete(self, call: Incoming) -> Reply:
        self.state["gone"] = True
        return Reply(204)

    @route("POST", "/users/{id}/again/now")
    def again(self, call: Incoming) -> Reply:
        self.state["gone"] = False
        return Reply(204)


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    service = Users(tmp_path / "log.jsonl")
    server = serve(service)
    yield service
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(users: Users) -> Connector:
    look, ignore = "GET /users/{id}", ("changes",)
    routes = (
        Route("POST /users/{id}/disable", undo="POST /users/{id}/enable", look=look, ignore=ignore),
        Route("PUT /users/{id}", restore=look, ignore=ignore),
        Route("DELETE /users/{id}", undo="POST /users/{id}/again/now", look=look),
        Route("POST /users/{id}/enable", undo="POST /users/{id}/disable", look=look, ignore=("active", "changes")),
    )
    return declare(Api("users", routes, base=users.url))


@pytest.fixture
def client(users: Users) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=users.url) as plain:
        yield plain


def outcome_of(session: agentguard.Session) -> Outcome:
    (result,) = session.rollback().outcomes
    return result.outcome


def test_what_was_switched_is_switched_back(
    users: Users, client: httpx.Client, api: Connector, session: agentguard.Session
) -> None:
    agentguard.wrap(client, session, api).post("/users/1/disable")
    assert outcome_of(session) is Outcome.RESTORED
    assert users.state["user"]["active"] is True


def test_a_switched_thing_that_somebody_changed_since_is_a_conflict(
    users: Users, client: httpx.Client, api: Connector, session: agentguard.Session
) -> None:
    agentguard.wrap(client, session, api).post("/users/1/disable")
    users.state["user"]["name"] = "barred"
    assert outcome_of(session) is Outcome.CONFLICT
    assert users.state["user"]["active"] is False


def test_a_deleted_thing_that_can_be_brought_back_comes_back(
    users: Users, client: httpx.Client, api: Connector, session: agentguard.Session
) -> None:
    before = users.visible()
    agentguard.wrap(client, session, api).delete("/users/1")
    assert outcome_of(session) is Outcome.RESTORED
    assert users.visible() == before


def test_a_look_that_does_not_show_the_switch_proves_nothing(
    users: Users, client: httpx.Client, api: Connector, session: agentguard.Session
) -> None:
    users.state["user"]["active"] = False
    agentguard.wrap(client, session, api).post("/users/1/enable")
    assert outcome_of(session) is Outcome.COMPENSATED
    assert users.state["user"]["active"] is False


def test_what_a_put_left_out_comes_back_too(
    users: Users, client: httpx.Client, api: Connector, session: agentguard.Session
) -> None:
    agentguard.wrap(client, session, api).put("/users/1", json={"name": "two"})
    assert "phone" not in users.state["user"]
    assert outcome_of(session) is Outcome.RESTORED
    assert {n: v for n, v in users.state["user"].items() if n != "changes"} == {
        "id": 1,
        "name": "one",
        "phone": "12",
        "active": True,
    }


def test_a_replaced_thing_that_somebody_changed_since_is_a_conflict(
    users: Users, client: httpx.Client, api: Connector, session: agentguard.Session
) -> None:
    agentguard.wrap(client, session, api).put("/users/1", json={"name": "two"})
    users.state["user"]["email"] = "somebody@example.org"
    users.state["user"]["active"] = False
    assert outcome_of(session) is Outcome.CONFLICT
    assert users.state["user"]["name"] == "two"
