"""Any HTTP API: unknown writes ask, declared ones are taken back, and a mistake in a declaration is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from agentguard_connectors.http import Api, Route, declare

import agentguard
from agentguard import CallState, Effect, Outcome
from tests.boxes import Box
from tests.proving import prove

NOTES = """
name = "notes-api"
base = "{base}"

[[routes]]
call = "POST /notes"
undo = "DELETE /notes/{{result.id}}"
look = "GET /notes/{{result.id}}"
find = {{read = "GET /notes", same = ["title"]}}

[[routes]]
call = "PATCH /notes/{{id}}"
restore = "GET /notes/{{id}}"

[[routes]]
call = "DELETE /notes/{{id}}"
summary = "Deleted notes are gone."
risk = "high"

[[routes]]
call = "POST /purge"
effect = "irreversible"
risk = "critical"
"""


@pytest.fixture
def api(box: Box, tmp_path: Path) -> agentguard.Connector:
    path = tmp_path / "notes.toml"
    path.write_text(NOTES.format(base=f"{box.url}/v1"))
    return declare(path)


@pytest.fixture(params=["httpx", "requests"])
def plain(request: pytest.FixtureRequest, box: Box) -> Iterator[Any]:
    if request.param == "httpx":
        with httpx.Client() as client:
            yield client
    else:
        with requests.Session() as client:
            yield client


def test_a_declared_creation_is_taken_back(box: Box, plain: Any, api: agentguard.Connector, ledger: Path) -> None:
    before = box.snapshot()["notes"]
    with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        client = agentguard.wrap(plain, session, api)
        assert client.post(f"{box.url}/v1/notes", json={"title": "one"}).status_code == 201
    report = session.rollback()
    assert [(r.operation, r.outcome) for r in report.outcomes] == [("notes-api.POST /notes", Outcome.RESTORED)]
    assert box.snapshot()["notes"] == before


def test_a_declared_update_is_restored(box: Box, plain: Any, api: agentguard.Connector, ledger: Path) -> None:
    plain.post(f"{box.url}/v1/notes", json={"title": "one", "body": "old"})
    before = box.snapshot()
    with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        agentguard.wrap(plain, session, api).patch(f"{box.url}/v1/notes/1", json={"body": "new"})
    assert session.rollback().ok
    assert box.snapshot() == before
    assert box.requests("PATCH")[-1]["body"] == {"body": "old"}


def test_a_lost_creation_is_found(box: Box, plain: Any, api: agentguard.Connector, ledger: Path) -> None:
    box.fault("drop_after")
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    with pytest.raises((httpx.TransportError, requests.ConnectionError)):
        agentguard.wrap(plain, session, api).post(f"{box.url}/v1/notes", json={"title": "one"})
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
    assert [r.outcome for r in session.rollback().outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_a_lost_creation_is_not_taken_for_something_older(
    box: Box, plain: Any, api: agentguard.Connector, ledger: Path
) -> None:
    plain.post(f"{box.url}/v1/notes", json={"title": "one", "body": "somebody else's"})
    before = box.snapshot()
    box.fault("drop_before")
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    with pytest.raises((httpx.TransportError, requests.ConnectionError)):
        agentguard.wrap(plain, session, api).post(f"{box.url}/v1/notes", json={"title": "one"})
    assert [r.outcome for r in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot() == before


def test_a_lost_creation_is_found_beside_something_older(
    box: Box, plain: Any, api: agentguard.Connector, ledger: Path
) -> None:
    plain.post(f"{box.url}/v1/notes", json={"title": "one", "body": "somebody else's"})
    before = box.snapshot()["notes"]
    box.fault("drop_after")
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    with pytest.raises((httpx.TransportError, requests.ConnectionError)):
        agentguard.wrap(plain, session, api).post(f"{box.url}/v1/notes", json={"title": "one"})
    assert [r.outcome for r in session.rollback().outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == before


def test_a_field_that_cannot_be_read_is_not_said_to_be_restored(
    box: Box, plain: Any, api: agentguard.Connector, ledger: Path
) -> None:
    plain.post(f"{box.url}/v1/notes", json={"title": "one", "body": "old"})
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    agentguard.wrap(plain, session, api).patch(f"{box.url}/v1/notes/1", json={"body": "new", "password": "new one"})
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IRREVERSIBLE
    assert "password cannot be put back" in result.detail
    assert box.snapshot()["notes"]["1"]["body"] == "old"


def test_a_declared_delete_without_an_undo_asks_and_says_so(
    box: Box, plain: Any, api: agentguard.Connector, ledger: Path
) -> None:
    plain.post(f"{box.url}/v1/notes", json={"title": "one"})
    session = agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)
    agentguard.wrap(plain, session, api).delete(f"{box.url}/v1/notes/1")
    (result,) = session.rollback().outcomes
    assert (result.outcome, result.detail) == (Outcome.IRREVERSIBLE, "Deleted notes are gone.")


@pytest.mark.parametrize("path", ["/v1/unlisted", "/elsewhere"])
def test_what_is_not_declared_is_stopped(
    box: Box, plain: Any, api: agentguard.Connector, ledger: Path, path: str
) -> None:
    client = agentguard.wrap(plain, agentguard.session(agent="a", intent="b", ledger=ledger), api)
    with pytest.raises(agentguard.ApprovalRequired, match="Nothing was sent"):
        client.post(f"{box.url}{path}", json={})
    assert box.requests("POST") == []


def test_without_a_declaration_reads_pass_and_writes_ask(box: Box, plain: Any, ledger: Path) -> None:
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    client = agentguard.wrap(plain, session, connector="http")
    assert client.get(f"{box.url}/v1/notes").json() == []
    with pytest.raises(agentguard.ApprovalRequired):
        client.post(f"{box.url}/v1/notes", json={"title": "one"})
    assert box.requests("POST") == []
    assert [call.operation for call in session.calls] == [f"http.POST {box.url}/v1/notes"]


async def test_an_asynchronous_client(box: Box, api: agentguard.Connector, ledger: Path) -> None:
    async with httpx.AsyncClient(base_url=f"{box.url}/v1") as plain:
        async with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
            client = agentguard.wrap(plain, session, api)
            await client.post("/notes", json={"title": "one"})
        assert (await session.arollback()).ok
    assert box.snapshot()["notes"] == {}


def test_a_declaration_in_python(box: Box, ledger: Path) -> None:
    routes = (Route("POST /notes", undo="DELETE /notes/{result.id}", look="GET /notes/{result.id}"),)
    api = declare(Api("notes-py", routes))
    with httpx.Client(base_url=f"{box.url}/v1") as plain:
        prove(
            box,
            ledger,
            plain,
            lambda client: client.post("/notes", json={"title": "one"}),
            operation="notes-py.POST /notes",
            residue=["next"],
            connector=api,
        )
    assert api.guarded["POST /notes"].effect is Effect.REVERSIBLE


MISTAKES: list[tuple[str, str]] = [
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nundoo = "DELETE /a"', r"unknown field `undoo` at routes\[0\]"),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nrisk = "huge"', r"Invalid enum value 'huge' at routes\[0\]\.risk"),
    ('name = "x"', "missing required field `routes`"),
    (
        'name = "x"\n[[routes]]\ncall = "create a"',
        r"routes\[0\] \(create a\): call is 'create a', not a verb and a path",
    ),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nundo = "DELETE /a/{id}"', r"\{id\} in 'DELETE /a/\{id\}' is neither"),
    ('name = "x"\n[[routes]]\ncall = "PATCH /a"\nrestore = "GET /a/{id}"', r"restore needs \{id\}"),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nlook = "GET /a"', "look goes with undo"),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\neffect = "reversible"', "needs undo or restore"),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nundo = "DELETE /a"\nrestore = "GET /a"', "exclude each other"),
    (
        'name = "x"\n[[routes]]\ncall = "POST /a"\nundo = "DELETE /a"\nlook = "DELETE /a"',
        "look is 'DELETE /a', and DELETE is no read",
    ),
    (
        'name = "x"\n[[routes]]\ncall = "POST /a"\nmark = "reference"',
        r"routes\[0\] \(POST /a\): mark is 'reference', not",
    ),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nmark = "body."', r"mark is 'body\.', not body\.NAME or header\.NAME"),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\neffect = "read"\nmark = "body.b"', "what only reads needs no mark"),
    ('name = "x"\n[[routes]]\ncall = "PUT /a"\nrestore = "GET /a"\nmark = "body.b"', "restore and mark exclude"),
    (
        'name = "x"\nidempotency_header = "Key"\n[[routes]]\ncall = "POST /a"\nmark = "header.key"',
        "carries the idempotency key already",
    ),
    (
        'name = "x"\n[[routes]]\ncall = "POST /a"\nfind = {read = "GET /a", mark = "b"}',
        r"routes\[0\] \(POST /a\): find looks for a mark, and the route has no mark",
    ),
    ('name = "x"\n[[routes]]\ncall = "POST /a"\nfind = {read = "GET /a"}', "find needs same, the fields to compare"),
    (
        'name = "x"\n[[routes]]\ncall = "POST /a"\nmark = "body.b"\nfind = {read = "GET /a", query = {b = "{mark}"}}',
        "has to say which field shows the mark",
    ),
    (
        'name = "x"\n[[routes]]\ncall = "POST /a"\nmark = "body.b"\nfind = {read = "GET /a/{mark}", same = ["b"]}',
        "same needs a list",
    ),
    (
        'name = "x"\n[[routes]]\ncall = "POST /a"\nfind = {read = "GET /a", same = ["b"], query = {c = "{d}"}}',
        r"find\.read needs \{d\}",
    ),
    ("name = ", "Invalid value"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "api.toml"
    path.write_text(text)
    with pytest.raises(agentguard.ConfigError, match=said) as caught:
        declare(path)
    assert str(path) in str(caught.value)
    assert "Nothing was declared" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(agentguard.ConfigError, match=r"none\.toml"):
        declare(tmp_path / "none.toml")
