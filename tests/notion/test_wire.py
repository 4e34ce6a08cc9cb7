"""What reaches the wire through a guarded client, and what does not."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import notion_client
import notion_client.api_endpoints
import pytest
from agentguard_connectors.notion import notion as connector
from notion_client import APIResponseError, AsyncClient, Client
from notion_client.errors import HTTPResponseError

import agentguard
from agentguard import ApprovalRequired, CallState, Outcome, UsageError
from tests.boxes import Box
from tests.notion.world import HANDBOOK, PARAGRAPH, TASKS_SOURCE, TEAM, paragraph, text, title

WRITES = ("POST", "PATCH", "DELETE")
OVERLOADED = {"object": "error", "status": 503, "code": "service_unavailable", "message": "Try again later."}
LIMITED = {"object": "error", "status": 429, "code": "rate_limited", "message": "You have been rate limited."}
AT_ONCE = {"retry-after": "0"}


def yes(_card: Any) -> bool:
    return True


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    """A session whose approver agrees to everything."""
    return agentguard.session(agent="wire", intent="Try the wire", ledger=ledger, approver=yes)


@pytest.fixture
def alone(ledger: Path) -> agentguard.Session:
    """A session with nobody to ask."""
    return agentguard.session(agent="wire", intent="Try the wire", ledger=ledger)


def written(box: Box) -> list[tuple[str, str]]:
    """The writes that arrived."""
    return [(r["verb"], r["path"]) for r in box.requests(*WRITES) if not r["path"].endswith(("/search", "/query"))]


def sites() -> list[tuple[str, str, str]]:
    """Every `self.parent.request(` of the SDK: class and method, verb, path with braces."""
    tree = ast.parse(Path(notion_client.api_endpoints.__file__).read_text())
    found = []
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for method in (node for node in cls.body if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(method) if isinstance(node, ast.Call)):
                if ast.unparse(call.func) == "self.parent.request":
                    named = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                    path = named["path"].removeprefix("f").strip("'\"")
                    found.append((f"{cls.name}.{method.name}", named["method"].strip("'\""), path))
    return found


def test_every_request_of_the_sdk_is_an_operation_of_the_table() -> None:
    found = sites()
    assert len(found) == 47
    matched = {name: connector.table.match(verb, f"/v1/{path}") for name, verb, path in found}
    assert [name for name, match in matched.items() if match is None] == []
    assert len({match.operation.name for match in matched.values() if match}) == 47


@pytest.mark.parametrize("name", ["drop_before", "drop_after"])
def test_a_write_whose_connection_breaks_is_sent_once(box: Box, notion: Any, session: Any, name: str) -> None:
    box.fault(name, verb="PATCH", times=9)
    with pytest.raises(httpx.RemoteProtocolError):
        agentguard.wrap(notion, session).pages.update(HANDBOOK, icon={"emoji": "📕"})
    assert written(box) == [("PATCH", f"/v1/pages/{HANDBOOK}")]
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


def test_a_write_answered_with_a_bad_gateway_is_sent_once(box: Box, notion: Any, session: Any) -> None:
    box.fault("status_before", verb="POST", times=9, status=502)
    with pytest.raises(HTTPResponseError):
        agentguard.wrap(notion, session).pages.create(parent={"page_id": TEAM}, properties={"title": title("X")})
    assert written(box) == [("POST", "/v1/pages")]
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


@pytest.mark.parametrize("body", [OVERLOADED, LIMITED], ids=["overloaded", "limited"])
def test_a_write_is_not_repeated_by_the_sdk(box: Box, notion: Any, session: Any, body: dict[str, Any]) -> None:
    box.fault("status_before", verb="DELETE", times=9, status=body["status"], body=body, headers=AT_ONCE)
    with pytest.raises(APIResponseError):
        agentguard.wrap(notion, session).blocks.delete(PARAGRAPH)
    assert written(box) == [("DELETE", f"/v1/blocks/{PARAGRAPH}")]


def test_a_write_of_the_plain_client_is_repeated_as_before(box: Box, notion: Any, session: Any) -> None:
    agentguard.wrap(notion, session)
    box.fault("status_before", verb="DELETE", status=503, body=OVERLOADED, headers=AT_ONCE)
    notion.blocks.delete(PARAGRAPH)
    assert len(written(box)) == 2


@pytest.mark.parametrize(
    ("verb", "path", "ask"),
    [
        ("GET", "users/me", lambda n: n.users.me()),
        ("POST", "search", lambda n: n.search(query="hand")),
        ("POST", "query", lambda n: n.data_sources.query(TASKS_SOURCE)),
    ],
)
def test_a_read_is_repeated_by_the_sdk(
    box: Box, notion: Any, alone: Any, verb: str, path: str, ask: Callable[[Any], Any]
) -> None:
    box.fault("status_before", verb=verb, path=path, status=429, body=LIMITED, headers=AT_ONCE)
    ask(agentguard.wrap(notion, alone))
    assert len(box.requests(verb)) == 2
    assert alone.calls == []


def test_what_is_refused_never_leaves(box: Box, notion: Any, alone: Any) -> None:
    guarded = agentguard.wrap(notion, alone)
    with pytest.raises(ApprovalRequired):
        guarded.pages.update(HANDBOOK, erase_content=True)
    with pytest.raises(ApprovalRequired):
        guarded.data_sources.update(TASKS_SOURCE, properties={"Due": None})
    with pytest.raises(ApprovalRequired):
        guarded.oauth.revoke("id", "secret", token="ntn_x")
    assert written(box) == []
    assert {call.state for call in alone.calls} == {CallState.REFUSED}


HATCHES: dict[str, Callable[[Any], Any]] = {
    "request": lambda n: n.request("blocks/unknown", "PUT", body={"x": 1}),
    "parent": lambda n: n.pages.parent.request("oauth/token", "POST", body={}),
    "nested parent": lambda n: n.blocks.children.parent.request("oauth/revoke", "POST", body={}),
    "httpx client": lambda n: n.client.post("oauth/revoke", json={}),
    "httpx send": lambda n: n.client.send(n.client.build_request("PATCH", "whatever")),
    "absolute address": lambda n: n.client.post(f"{str(n.client.base_url).split('/v1')[0]}/elsewhere/v1/search"),
    "another host": lambda n: n.client.post("http://localhost:9/v1/search"),
}


@pytest.mark.parametrize("hatch", HATCHES.values(), ids=HATCHES)
def test_no_way_around_the_gate(box: Box, notion: Any, alone: Any, hatch: Callable[[Any], Any]) -> None:
    with pytest.raises(ApprovalRequired):
        hatch(agentguard.wrap(notion, alone))
    assert box.requests(*WRITES) == []


@pytest.mark.parametrize("hatch", HATCHES.values(), ids=HATCHES)
async def test_no_way_around_the_gate_for_the_asynchronous_client(
    box: Box, anotion: Any, alone: Any, hatch: Callable[[Any], Any]
) -> None:
    with pytest.raises(ApprovalRequired):
        await hatch(agentguard.wrap(anotion, alone))
    assert box.requests(*WRITES) == []


def test_a_client_opened_by_a_with_block_is_gated(box: Box, notion: Any, session: Any) -> None:
    with agentguard.wrap(notion, session) as opened:
        opened.pages.update(HANDBOOK, icon={"emoji": "📕"})
    assert [call.operation for call in session.calls] == ["notion.pages.update"]
    assert session.rollback().ok
    assert box.snapshot()["pages"][HANDBOOK]["icon"] is None


async def test_an_asynchronous_client_opened_by_a_with_block_is_gated(box: Box, anotion: Any, session: Any) -> None:
    async with agentguard.wrap(anotion, session) as opened:
        await opened.pages.update(HANDBOOK, icon={"emoji": "📕"})
    assert [call.operation for call in session.calls] == ["notion.pages.update"]
    assert (await session.arollback()).ok


def test_an_asynchronous_session_is_taken_back_after_its_event_loop_is_over(box: Box, session: Any) -> None:
    async def work() -> None:
        async with AsyncClient(auth="ntn_agent_token", base_url=box.url) as client:
            guarded = agentguard.wrap(client, session)
            await guarded.pages.update(HANDBOOK, icon={"emoji": "📕"})
            await guarded.blocks.children.append(TEAM, children=[paragraph("One")])

    asyncio.run(work())
    report = session.rollback()
    assert report.ok, str(report)
    assert box.snapshot()["pages"][HANDBOOK]["icon"] is None


def test_an_httpx_client_that_is_put_in_later_is_gated(box: Box, notion: Any, alone: Any) -> None:
    guarded: Any = agentguard.wrap(notion, alone)
    with httpx.Client() as mine:
        guarded.client = mine
        with pytest.raises(ApprovalRequired):
            guarded.request("oauth/revoke", "POST", body={})
    assert box.requests(*WRITES) == []


def test_the_plain_client_stays_as_it_is(box: Box, notion: Any, session: Any) -> None:
    inner, endpoints = notion.client, dict(vars(notion))
    transport = inner._transport
    guarded = agentguard.wrap(notion, session)
    assert isinstance(guarded, Client)
    assert type(guarded.pages) is type(notion.pages)
    notion.pages.update(HANDBOOK, icon={"emoji": "📕"})
    assert session.calls == []
    assert vars(notion) == endpoints
    assert notion.client is inner
    assert inner._transport is transport
    assert notion.blocks.children.parent is notion
    assert guarded.blocks.children.parent is not notion


def test_the_guarded_clients_are_of_the_sdk_s_own_types(box: Box, notion: Any, anotion: Any, session: Any) -> None:
    for client, kind in ((notion, Client), (anotion, AsyncClient)):
        guarded = agentguard.wrap(client, session)
        assert isinstance(guarded, kind)
        assert guarded.__class__.__qualname__ == kind.__qualname__
        assert repr(guarded).startswith(f"<notion_client.client.{kind.__name__} object")


def test_a_write_with_a_token_of_its_own_is_refused(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    with pytest.raises(UsageError, match="token of its own"):
        guarded.pages.update(HANDBOOK, icon={"emoji": "📕"}, auth="ntn_colleague")
    assert guarded.users.me(auth="ntn_colleague")["name"] == "Ada"
    assert written(box) == []


def test_the_token_is_in_no_record(box: Box, notion: Any, session: Any, ledger: Path) -> None:
    agentguard.wrap(notion, session).pages.update(HANDBOOK, properties={"title": title("ntn_agent_token")})
    session.rollback()
    for file in ledger.parent.iterdir():
        assert b"ntn_agent_token" not in file.read_bytes()


def test_methods_are_named_as_the_sdk_names_them(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    guarded.blocks.children.append(TEAM, children=[paragraph("One")])
    guarded.comments.create(parent={"page_id": TEAM}, rich_text=text("Two"))
    assert [call.method for call in session.calls] == ["BlocksChildrenEndpoint.append", "CommentsEndpoint.create"]


def test_an_upload_is_on_record_and_its_bytes_are_not(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    upload = guarded.file_uploads.create(filename="a.txt", content_type="text/plain")
    guarded.file_uploads.send(upload["id"], file=("a.txt", b"the bytes of a file", "text/plain"))
    image = {"image": {"file_upload": {"id": upload["id"]}}}
    guarded.blocks.children.append(TEAM, children=[image])
    assert "the bytes" not in str([call.arguments for call in session.calls])
    report = session.rollback()
    assert report.ok
    assert [one.operation for one in report.outcomes] == ["notion.blocks.children.append"]
    assert report.outcomes[0].outcome is Outcome.COMPENSATED


def test_search_and_queries_need_no_ledger(box: Box, notion: Any, alone: Any) -> None:
    guarded = agentguard.wrap(notion, alone)
    guarded.search(query="team")
    guarded.data_sources.query(TASKS_SOURCE, page_size=2)
    guarded.blocks.meeting_notes.query()
    guarded.request("oauth/introspect", "POST", body={"token": "x"}, auth={"client_id": "a", "client_secret": "b"})
    assert alone.calls == []


def test_errors_of_notion_come_through_as_the_sdk_raises_them(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    with pytest.raises(APIResponseError, match="not a property that exists"):
        guarded.pages.update(HANDBOOK, properties={"Nonsense": {"number": 1}})
    with pytest.raises(APIResponseError) as missing:
        guarded.blocks.update("00000000-0000-4000-8000-000000000000", paragraph={"rich_text": []})
    assert missing.value.code == "object_not_found"
    assert {call.state for call in session.calls} == {CallState.NOT_APPLIED}
    assert re.search(r"validation_error", session.calls[0].error or "")
