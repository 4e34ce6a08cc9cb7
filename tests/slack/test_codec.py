"""What a request is taken for and what an answer proves."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from agentguard_connectors.slack import slack
from agentguard_connectors.slack import views as seen
from agentguard_connectors.slack.seams import form

from agentguard.calls import ABSENT, Certainty, matches
from agentguard.wire.http import Headers, Request, Response

BASES = ("https://slack.com/api/",)
FORM = "application/x-www-form-urlencoded"
BLOCKS = [{"type": "divider"}]


def request(url: str, body: bytes = b"", kind: str = "", verb: str = "POST") -> Request:
    return Request(verb, url, Headers({"content-type": kind} if kind else {}), body)


def decode(url: str, body: bytes = b"", kind: str = "", bases: tuple[str, ...] = BASES) -> tuple[str, Any, bool]:
    decoded = slack.codec.decode(slack.table, request(url, body, kind), bases)
    return decoded.operation.name, decoded.arguments, decoded.known


@pytest.mark.parametrize(
    ("query", "body", "kind"),
    [
        ("", json.dumps({"channel": "C1", "blocks": BLOCKS, "token": "t"}).encode(), "application/json;charset=utf-8"),
        ("", json.dumps({"channel": "C1", "blocks": json.dumps(BLOCKS)}).encode(), "application/json"),
        (
            "",
            urlencode({"channel": "C1", "blocks": json.dumps(BLOCKS), "token": "t"}).encode(),
            FORM,
        ),
        ("?" + urlencode({"channel": "C1", "blocks": json.dumps(BLOCKS), "token": "t"}), b"", ""),
        ("?channel=C1", urlencode({"blocks": json.dumps(BLOCKS)}).encode(), FORM),
    ],
    ids=["json", "json in json", "form", "query", "query and form"],
)
def test_arguments_are_the_same_however_they_travel(query: str, body: bytes, kind: str) -> None:
    name, arguments, known = decode(f"https://slack.com/api/chat.postMessage{query}", body, kind)
    assert (name, arguments, known) == ("chat.postMessage", {"channel": "C1", "blocks": BLOCKS}, True)


def test_a_text_that_looks_like_json_stays_a_text() -> None:
    body = urlencode({"text": '{"a": 1}', "blocks": "no json"}).encode()
    arguments = decode("https://slack.com/api/chat.postMessage", body, FORM)[1]
    assert arguments == {"text": '{"a": 1}', "blocks": "no json"}


def test_a_file_in_a_multipart_body_is_described_and_its_fields_are_kept() -> None:
    body = (
        b'\r\n--xyz\r\nContent-Disposition: form-data; name="channels"\r\n\r\nC1'
        b'\r\n--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nsecret bytes\r\n--xyz--\r\n"
    )
    name, arguments, _known = decode("https://slack.com/api/files.upload", body, "multipart/form-data; boundary=xyz")
    assert name == "files.upload"
    assert arguments["channels"] == "C1"
    assert arguments["file"]["$bytes"] == len(b"secret bytes")
    assert b"secret" not in json.dumps(arguments).encode()


@pytest.mark.parametrize(
    ("url", "name", "known"),
    [
        ("https://files.slack.com/upload/v1/CwABAA", "files.upload.bytes", True),
        ("https://files.slack-gov.com/upload/v1/CwABAA", "files.upload.bytes", True),
        (
            "https://files.slack.com.example/upload/v1/x",
            "POST https://files.slack.com.example/upload/v1/x",
            False,
        ),
        ("https://evil.example/api/users.list", "POST https://evil.example/api/users.list", False),
        ("https://slack.com/api/chat.brandNew", "POST https://slack.com/api/chat.brandNew", False),
        ("https://slack.com/api/users.list/chat.delete", "POST https://slack.com/api/users.list/chat.delete", False),
        ("https://slack.com/elsewhere", "POST https://slack.com/elsewhere", False),
    ],
)
def test_an_address_is_taken_for_what_it_is(url: str, name: str, known: bool) -> None:
    decoded = slack.codec.decode(slack.table, request(url), BASES)
    assert (decoded.operation.name, decoded.known) == (name, known)
    assert known or slack.facts(decoded.operation)[1].value == "high"


def test_the_address_of_a_webhook_is_not_kept() -> None:
    url = "https://hooks.slack.com/services/T1/B1/secret"
    body = json.dumps({"text": "x"}).encode()
    name, arguments, _ = decode(url, body, "application/json", ("https://hooks.slack.com/", url))
    assert (name, arguments) == ("incoming-webhook", {"text": "x"})


def answer(status: int, body: Any, operation: str = "chat.postMessage") -> tuple[Certainty, bool, str | None]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = slack.codec.answer(slack.table.by_name[operation], Response(status, Headers(), raw))
    return said.certainty, said.missing, said.error


@pytest.mark.parametrize(
    ("status", "body", "certainty", "missing"),
    [
        (200, {"ok": True, "ts": "1.2"}, Certainty.HAPPENED, False),
        (200, {"ok": False, "error": "not_in_channel"}, Certainty.REFUSED, False),
        (200, {"ok": False, "error": "ratelimited"}, Certainty.REFUSED, False),
        (200, {"ok": False, "error": "channel_not_found"}, Certainty.REFUSED, True),
        (200, {"ok": False, "error": "message_not_found"}, Certainty.REFUSED, True),
        (200, {"ok": False, "error": "invalid_auth"}, Certainty.REFUSED, False),
        (200, {"ok": False, "error": "team_not_found"}, Certainty.REFUSED, False),
        (200, {"ok": False, "error": "internal_error"}, Certainty.UNKNOWN, False),
        (200, {"ok": False, "error": "fatal_error"}, Certainty.UNKNOWN, False),
        (200, {"ok": False, "error": "service_unavailable"}, Certainty.UNKNOWN, False),
        (200, {"ok": False, "error": "request_timeout"}, Certainty.UNKNOWN, False),
        (200, b"<html>Sign in to the hotel's network</html>", Certainty.UNKNOWN, False),
        (200, {"surprise": 1}, Certainty.UNKNOWN, False),
        (200, b"", Certainty.UNKNOWN, False),
        (302, b"", Certainty.UNKNOWN, False),
        (429, {"ok": False, "error": "ratelimited"}, Certainty.REFUSED, False),
        (408, b"", Certainty.UNKNOWN, False),
        (500, b"", Certainty.UNKNOWN, False),
        (503, {"ok": False, "error": "service_unavailable"}, Certainty.UNKNOWN, False),
    ],
)
def test_an_answer_proves_what_slack_documents(status: int, body: Any, certainty: Certainty, missing: bool) -> None:
    assert answer(status, body)[:2] == (certainty, missing)


def test_a_missing_scope_is_named() -> None:
    said = answer(200, {"ok": False, "error": "missing_scope", "needed": "channels:history"})
    assert said[2] == "missing_scope (needs the scope channels:history)"


def test_the_bytes_of_a_file_and_a_webhook_are_answered_in_plain_text() -> None:
    assert answer(200, b"OK - 12", "files.upload.bytes")[0] is Certainty.HAPPENED
    assert answer(200, b"ok", "incoming-webhook")[0] is Certainty.HAPPENED
    assert answer(400, b"no_text", "incoming-webhook")[0] is Certainty.REFUSED


def test_our_own_requests_keep_empty_texts_and_leave_out_nothing_else() -> None:
    sent = form({"topic": "", "limit": 1, "inclusive": True, "blocks": [], "thread_ts": None})
    assert sent == {"topic": "", "limit": "1", "inclusive": "true", "blocks": "[]"}


def test_previews_of_links_are_no_change() -> None:
    plain = {"ts": "1.2", "text": "<https://a.example>"}
    shown = {**plain, "attachments": [{"id": 1, "from_url": "https://a.example", "title": "A"}]}
    assert seen.contents({"messages": [plain]}) == seen.contents({"messages": [shown]})
    assert seen.messages({"messages": [plain]}) == seen.messages({"messages": [shown]})


def test_what_slack_adds_to_blocks_is_no_change() -> None:
    sent = {"ts": "1.2", "blocks": [{"type": "image", "image_url": "u", "alt_text": "a"}]}
    shown = {"ts": "1.2", "blocks": [{**sent["blocks"][0], "block_id": "x9", "image_width": 3, "fallback": "f"}]}  # type: ignore[dict-item]  # a dict of one's own making
    assert seen.contents({"messages": [sent]}) == seen.contents({"messages": [shown]})


def test_what_stands_for_a_deleted_message_is_none() -> None:
    shown = seen.messages({"messages": [{"ts": "1.2", "subtype": "tombstone", "text": "This message was deleted."}]})
    assert matches({"1.2.text": ABSENT}, shown)


def test_members_on_one_of_several_pages_prove_nothing_about_the_others() -> None:
    page = seen.members({"members": ["U1"], "response_metadata": {"next_cursor": "abc"}})
    assert not matches({"complete": True, "U2": ABSENT}, page)
    assert matches({"complete": True, "U2": ABSENT}, seen.members({"members": ["U1"]}))


def test_the_private_default_channels_of_a_group_are_kept() -> None:
    group = {"id": "S1", "name": "n", "prefs": {"channels": ["C2"], "groups": ["G1"]}, "date_delete": 0}
    assert seen.usergroups({"usergroups": [group]})["S1.channels"] == "C2,G1"
