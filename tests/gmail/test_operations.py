"""Every method of the discovery document that the SDK comes with is in the table, and every case is replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.gmail import gmail
from agentguard_connectors.gmail.codec import sections

from agentguard.calls import Effect
from agentguard.testing import contract
from agentguard.wire.http import Headers, Request
from tests.gmail.world import document, mail

BASE = "https://gmail.googleapis.com"
CASES = Path(__file__).parents[2] / "connectors" / "cases" / "gmail"

LIKE_THE_NEAREST_PRODUCT = {
    "users.messages.send": Effect.COMPENSABLE,  # a reply is one with a threadId
    "users.messages.trash": Effect.REVERSIBLE,
    "users.messages.untrash": Effect.REVERSIBLE,
    "users.messages.modify": Effect.REVERSIBLE,  # marking as read and unread, too
    "users.messages.delete": Effect.COMPENSABLE,
    "users.drafts.create": Effect.REVERSIBLE,
    "users.drafts.delete": Effect.COMPENSABLE,
    "users.labels.create": Effect.REVERSIBLE,
    "users.labels.delete": Effect.COMPENSABLE,
    "users.threads.modify": Effect.REVERSIBLE,
    "users.threads.trash": Effect.REVERSIBLE,
    "users.threads.untrash": Effect.REVERSIBLE,
    "users.threads.delete": Effect.COMPENSABLE,
}


def methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


METHODS = list(methods(json.loads(document())))


@pytest.mark.parametrize("method", METHODS, ids=[m["id"] for m in METHODS])
def test_every_method_is_recognised(method: dict[str, Any]) -> None:
    name = method["id"].removeprefix("gmail.")
    paths = [f"/{method['path']}"]
    if "mediaUpload" in method:
        paths += [protocol["path"] for protocol in method["mediaUpload"]["protocols"].values()]
    for path in paths:
        filled = path
        values = {}
        for parameter in method["parameterOrder"]:
            values[parameter] = f"{parameter}-1@x"
            filled = filled.replace(f"{{{parameter}}}", values[parameter])
        url = f"{BASE}{filled}?alt=json&uploadType=media"
        decoded = gmail.codec.decode(gmail.table, Request(method["httpMethod"], url, Headers()), (BASE,))
        assert decoded.known
        assert decoded.operation.name == name
        assert decoded.arguments == values
        assert decoded.operation.reads == (method["httpMethod"] == "GET")


def test_the_table_has_no_operation_that_the_document_lacks() -> None:
    assert {m["id"].removeprefix("gmail.") for m in METHODS} == set(gmail.table.by_name)


def test_the_connector_keeps_the_contract() -> None:
    assert contract(gmail, CASES) == []


def test_what_others_can_take_back_can_be_taken_back_here() -> None:
    for name, effect in LIKE_THE_NEAREST_PRODUCT.items():
        assert gmail.guarded[name].effect is effect


def test_an_argument_of_the_path_counts_where_the_body_says_it_again() -> None:
    url = f"{BASE}/gmail/v1/users/me/drafts/r1"
    body = json.dumps({"id": "r1", "message": {"raw": mail("Plan")}}).encode()
    request = Request("PUT", url, Headers({"content-type": "application/json"}), body)
    arguments = gmail.codec.decode(gmail.table, request, (BASE,)).arguments
    assert set(arguments) == {"userId", "id", "message", "mail"}
    assert arguments["mail"]["subject"] == "Plan"


def test_what_is_not_gmail_is_an_unknown_write() -> None:
    for url in ("https://evil.example/gmail/v1/users/me/messages/send", f"{BASE}/gmail/v9/x", f"{BASE}/batch/batch"):
        decoded = gmail.codec.decode(gmail.table, Request("POST", url, Headers()), (BASE,))
        assert not decoded.known
        assert gmail.facts(decoded.operation)[0] is Effect.IRREVERSIBLE


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_parts_are_taken_byte_for_byte(end: str) -> None:
    body = f"--b{end}Content-Type: a/b{end}X:{end} y{end}{end}one{end}{end}{end}--b{end}{end}--c{end}--b--{end}"
    assert sections(body.encode(), "b") == [
        ({"content-type": "a/b", "x": "y"}, f"one{end}{end}".encode()),
        ({}, b"--c"),
    ]
