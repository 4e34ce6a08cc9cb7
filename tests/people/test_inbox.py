"""Decisions that come from outside the shell: only what is signed, whole, fresh and by the right person counts."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import agentguard
from agentguard import inbox
from agentguard.asking import Terms
from agentguard.inbox import slack_blocks, slack_interaction, webhook, webhook_message
from agentguard.keys import new_key
from agentguard.ledger.rows import ApprovalRow
from tests.people.conftest import Agent

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PEOPLE = {"U0ASHU": "ashu", "U0UMA": "uma"}
UNSIGNED = Terms()


@pytest.fixture
def request_(agent: Agent) -> ApprovalRow:
    """A request that waits."""
    return agent.store.people.approval(agent.asks(agent.session(id="s1")))


def pressed(
    action: str, value: str, *, user: str = "U0ASHU", at: float | None = None, secret: str = SECRET
) -> tuple[bytes, dict[str, str]]:
    """What Slack sends when a button is pressed, as its documentation has it."""
    payload = {"type": "block_actions", "user": {"id": user}, "actions": [{"action_id": action, "value": value}]}
    body = urlencode({"payload": json.dumps(payload)}).encode()
    sent = str(int(time.time() if at is None else at))
    signature = hmac.new(secret.encode(), f"v0:{sent}:".encode() + body, hashlib.sha256).hexdigest()
    return body, {"X-Slack-Request-Timestamp": sent, "X-Slack-Signature": f"v0={signature}"}


def press(agent: Agent, message: tuple[bytes, dict[str, str]], terms: Terms = UNSIGNED) -> ApprovalRow:
    body, headers = message
    return slack_interaction(agent.store, body, headers, SECRET, PEOPLE, terms=terms)


def undecided(agent: Agent, request: ApprovalRow) -> None:
    assert agent.store.people.approval(request.id).state == "pending"
    assert agent.purges() == 0


def test_the_signature_is_that_of_slacks_documentation() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    made = inbox._hmac(b"v0:1531420618:" + body, b"8f742231b10e8888abcd99yyyzzz85a5")
    assert made == "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def test_a_button_approves_and_the_call_goes_once(agent: Agent, request_: ApprovalRow, gone: None) -> None:
    decided = press(agent, pressed("approve", request_.id))
    assert (decided.state, decided.decided_by, decided.signature) == ("approved", "ashu", None)
    session = agent.session(id="s1")
    agent.wrapped(session).post("purge", json={})
    assert agent.purges() == 1


def test_a_button_denies(agent: Agent, request_: ApprovalRow) -> None:
    assert press(agent, pressed("deny", request_.id)).state == "denied"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"secret": "another"}, "not signed with the secret of Slack"),
        ({"at": time.time() - 301}, "within 300 seconds"),
        ({"at": time.time() + 3000}, "within 300 seconds"),
        ({"user": "U0MALLORY"}, "not one of those who may decide"),
        ({"user": "U0UMA"}, "cannot approve their own calls"),
        ({"action": "delete"}, "no press of one of the two buttons"),
    ],
)
def test_a_press_that_does_not_count_decides_nothing(
    agent: Agent, request_: ApprovalRow, wrong: dict[str, Any], told: str
) -> None:
    given: dict[str, Any] = {"action": "approve", **wrong}
    with pytest.raises(agentguard.ApprovalInvalid, match=told) as caught:
        press(agent, pressed(given.pop("action"), request_.id, **given))
    assert "Nothing was decided" in str(caught.value)
    undecided(agent, request_)


def test_an_altered_press_decides_nothing(agent: Agent, request_: ApprovalRow) -> None:
    body, headers = pressed("deny", request_.id)
    for message in (
        (body.replace(b"deny", b"approve"), headers),
        (body, {}),
        (body, {**headers, "X-Slack-Request-Timestamp": str(int(time.time()) + 1)}),
        (body, {**headers, "X-Slack-Signature": "v0=ü"}),
        (body, {**headers, "X-Slack-Signature": headers["X-Slack-Signature"].removeprefix("v0=")}),
    ):
        with pytest.raises(agentguard.ApprovalInvalid, match="not signed with the secret"):
            press(agent, message)
    undecided(agent, request_)


def test_a_press_that_is_sent_again_decides_nothing_more(agent: Agent, request_: ApprovalRow) -> None:
    message = pressed("deny", request_.id)
    press(agent, message)
    with pytest.raises(agentguard.ApprovalInvalid, match="denied already"):
        press(agent, message)


def test_where_signatures_are_asked_for_a_button_does_not_count(
    agent: Agent, request_: ApprovalRow, tmp_path: Path
) -> None:
    terms = Terms(keys={"ashu": new_key(tmp_path / "ashu.pem")})
    with pytest.raises(agentguard.UsageError, match="have to be signed here"):
        press(agent, pressed("approve", request_.id), terms)
    undecided(agent, request_)


def test_an_empty_secret_is_no_secret(agent: Agent, request_: ApprovalRow) -> None:
    body, headers = pressed("approve", request_.id, secret="")
    with pytest.raises(agentguard.UsageError, match="is empty"):
        slack_interaction(agent.store, body, headers, "", PEOPLE, terms=UNSIGNED)
    undecided(agent, request_)


def test_the_blocks_show_the_card_and_two_buttons_for_this_request(request_: ApprovalRow) -> None:
    *sections, actions = slack_blocks(request_)
    text = "\n".join(section["text"]["text"] for section in sections)
    assert "notes.notes.purge" in text
    assert request_.digest in text
    assert all(section["text"]["verbatim"] and len(section["text"]["text"]) <= 3000 for section in sections)
    assert [(b["action_id"], b["value"]) for b in actions["elements"]] == [
        ("approve", request_.id),
        ("deny", request_.id),
    ]


def test_a_card_that_is_too_long_has_no_buttons(request_: ApprovalRow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "SECTIONS", 0)
    (block,) = slack_blocks(request_)
    assert "too long" in block["text"]["text"]


def test_a_webhook_decides(agent: Agent, request_: ApprovalRow) -> None:
    message = webhook_message(request_, approve=True, by="ashu", secret=SECRET, why="they are closed")
    decided = webhook(agent.store, *message, SECRET, terms=UNSIGNED)
    assert (decided.state, decided.decided_by, decided.why) == ("approved", "ashu", "they are closed")
    with pytest.raises(agentguard.ApprovalInvalid, match="approved already"):
        webhook(agent.store, *message, SECRET, terms=UNSIGNED)


def resigned(body: bytes, **change: Any) -> tuple[bytes, dict[str, str]]:
    """A message that somebody who has the secret has altered."""
    altered = json.dumps({**json.loads(body), **change}).encode()
    return altered, {inbox.SIGNATURE: f"sha256={inbox._hmac(altered, SECRET.encode())}"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"at": 0}, "within 300 seconds"),
        ({"at": time.time() + 3000}, "within 300 seconds"),
        ({"at": "now"}, "no decision"),
        ({"decision": "perhaps"}, "no decision"),
        ({"more": 1}, "no decision"),
        ({"by": "cleaner"}, "cannot approve"),
    ],
)
def test_a_webhook_that_is_late_or_malformed_decides_nothing(
    agent: Agent, request_: ApprovalRow, change: dict[str, Any], told: str
) -> None:
    body, _ = webhook_message(request_, approve=True, by="ashu", secret=SECRET)
    with pytest.raises(agentguard.ApprovalInvalid, match=told):
        webhook(agent.store, *resigned(body, **change), SECRET, terms=UNSIGNED)
    undecided(agent, request_)


def test_a_webhook_that_is_forged_or_altered_decides_nothing(agent: Agent, request_: ApprovalRow) -> None:
    body, headers = webhook_message(request_, approve=False, by="ashu", secret=SECRET)
    forged = webhook_message(request_, approve=True, by="ashu", secret="another")
    for message in (forged, (body.replace(b"deny", b"approve"), headers), (body, {})):
        with pytest.raises(agentguard.ApprovalInvalid, match="not signed with the secret of the webhook"):
            webhook(agent.store, *message, SECRET, terms=UNSIGNED)
    undecided(agent, request_)


def test_where_signatures_are_asked_for_only_one_by_the_key_of_who_decides_counts(
    agent: Agent, request_: ApprovalRow, tmp_path: Path, gone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ashu, other = tmp_path / "ashu.pem", tmp_path / "other.pem"
    public = new_key(ashu)
    new_key(other)
    terms = Terms(keys={"ashu": public})
    sent: dict[str, Any] = {"approve": True, "by": "ashu", "secret": SECRET}
    bare = webhook_message(request_, **sent)
    with pytest.raises(agentguard.UsageError, match="have to be signed"):
        webhook(agent.store, *bare, SECRET, terms=terms)
    signed = webhook_message(request_, **sent, key=ashu)
    denial = webhook_message(request_, **{**sent, "approve": False}, key=ashu)
    for message in (
        webhook_message(request_, **sent, key=other),
        resigned(signed[0], by="uma"),
        resigned(signed[0], why="because"),
        resigned(signed[0], at=json.loads(signed[0])["at"] + 1),
        resigned(denial[0], decision="approve"),
    ):
        with pytest.raises(agentguard.ApprovalInvalid, match="signature is not over this decision"):
            webhook(agent.store, *message, SECRET, terms=terms)
    undecided(agent, request_)
    decided = webhook(agent.store, *signed, SECRET, terms=terms)
    assert (decided.state, decided.key) == ("approved", "ashu")
    (tmp_path / "agentguard.toml").write_text(f'[approvals.keys]\nashu = "{public}"\n')
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(tmp_path / "agentguard.toml"))
    agent.wrapped(agent.session(id="s1")).post("purge", json={})
    assert agent.purges() == 1


@pytest.fixture
def server(agent: Agent) -> Iterator[str]:
    """The server of the module's docstring."""

    class Inbox(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), 100_000))
            try:
                slack_interaction(agent.store, body, dict(self.headers), SECRET, PEOPLE, terms=UNSIGNED)
            except agentguard.AgentguardError as error:
                self.send_error(403, explain=str(error))
            else:
                self.send_response(200)
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_over_http_a_press_is_taken_and_a_forged_one_refused(agent: Agent, request_: ApprovalRow, server: str) -> None:
    body, headers = pressed("approve", request_.id, secret="forged")
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(urllib.request.Request(server, body, headers))
    caught.value.close()
    undecided(agent, request_)
    body, headers = pressed("approve", request_.id)
    with urllib.request.urlopen(urllib.request.Request(server, body, headers)) as answer:
        assert answer.status == 200
    assert agent.store.people.approval(request_.id).state == "approved"
