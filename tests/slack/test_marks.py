"""The mark in a message's metadata: how it is sent, what it is worth as evidence, and where there is none."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.slack import slack
from agentguard_connectors.slack.lost import mark_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from slack_sdk import WebClient
from slack_sdk.web.async_client import AsyncWebClient

import agentguard
from agentguard import CallState, Outcome
from agentguard.calls import Certainty
from agentguard.wire.http import Headers, Response
from tests.boxes import Box
from tests.slack.arranging import RANDOM, blocks
from tests.slack.cases import BOT, GENERAL, USER

COMPENSATED, IN_DOUBT = Outcome.COMPENSATED, Outcome.IN_DOUBT
THEIRS = {"event_type": "task_created", "event_payload": {"id": "TK-1"}}
Do = Callable[[Any], object]

ELSEWHERE = """
import json, sys
from slack_sdk import WebClient
import agentguard

url, token, session, ledger = sys.argv[1:]
client = WebClient(token, base_url=url)
report = agentguard.load(session, clients={"slack": client}, ledger=ledger).rollback()
print(json.dumps([result.outcome for result in report.outcomes]))
"""


def same(client: Any, **more: Any) -> Any:
    return client.chat_postMessage(**{"channel": GENERAL, "text": "Same & <b>", **more})


def lose(box: Box, mode: str, do: Do, client: Any) -> None:
    box.fault(mode, path=r"/chat\.\w+$")
    with pytest.raises(OSError, match=r".+"):
        do(client)


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [one.outcome for one in report.outcomes]


def posted(box: Box, channel: str = GENERAL) -> list[dict[str, Any]]:
    return list(box.snapshot()["channels"][channel]["messages"].values())


@pytest.fixture
def guarded(client: WebClient, session: agentguard.Session) -> Any:
    return agentguard.wrap(client, session)


@pytest.fixture
def stranger(slack_box: Box) -> WebClient:
    return WebClient(USER, base_url=f"{slack_box.url}/api/")


# How it is sent

WAYS: dict[str, Callable[[Any], Any]] = {
    "as JSON": lambda c: c.chat_postMessage(channel=GENERAL, text="Grüße", blocks=blocks("b"), unfurl_links=False),
    "as a form": lambda c: c.api_call("chat.postMessage", data={"channel": GENERAL, "text": "Grüße & more"}),
    "in the query": lambda c: c.api_call("chat.postMessage", params={"channel": GENERAL, "text": "Grüße"}),
    "with files": lambda c: c.api_call(
        "chat.postMessage", files={"content": io.BytesIO(b"x")}, data={"channel": GENERAL, "text": "Grüße"}
    ),
}


def fields(request: dict[str, Any]) -> dict[str, Any]:
    """The arguments that arrived with a request, wherever they stood."""
    body = request["body"] if isinstance(request["body"], dict) else {}
    given = {**request["query"], **body}
    return {k: json.loads(v) if k == "metadata" and isinstance(v, str) else v for k, v in given.items()}


def compared(box: Box, session: agentguard.Session) -> None:
    """Check that the two requests for a message that arrived differ by our metadata and in nothing else."""
    plain, marked = [fields(r) for r in box.requests() if r["path"].endswith("postMessage")]
    mark = session.calls[-1].mark
    assert marked.pop("metadata") == {"event_type": "agentguard", "event_payload": {"mark": mark}}
    assert marked == plain
    one, other = [{**m, "ts": ""} for m in posted(box)[-2:]]
    assert mark_of(other) == mark
    other.pop("metadata")
    assert one == other


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_message_is_sent_as_it_was_made_with_a_mark_in_its_metadata(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, way: Callable[[Any], Any]
) -> None:
    way(client)
    answer = way(guarded)
    assert answer["ok"]
    compared(slack_box, session)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_so_is_one_of_the_asynchronous_client(
    slack_box: Box, session: agentguard.Session, way: Callable[[Any], Any]
) -> None:
    bare = AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/")
    await way(bare)
    assert (await way(agentguard.wrap(bare, session)))["ok"]
    compared(slack_box, session)


def test_metadata_of_the_callers_own_is_left_alone(slack_box: Box, session: agentguard.Session, guarded: Any) -> None:
    same(guarded, metadata=THEIRS)
    assert posted(slack_box)[-1]["metadata"] == THEIRS
    assert outcomes(session.rollback()) == [COMPENSATED]


# What it proves


def reply(client: Any) -> Any:
    parent = next(m["ts"] for m in client.conversations_history(channel=GENERAL)["messages"] if "parent" in m["text"])
    return same(client, thread_ts=parent)


PLACES: dict[str, Do] = {
    "a channel": same,
    "blocks only": lambda c: c.api_call("chat.postMessage", json={"channel": GENERAL, "blocks": blocks("Same")}),
    "a thread": reply,
    "a channel by its name": lambda c: same(c, channel="#general"),
    "a person": lambda c: same(c, channel="U0ADA"),
}


def arrange(client: WebClient) -> None:
    """A message to answer, and a direct message that is there already."""
    client.chat_postMessage(channel=GENERAL, text="A parent")
    client.chat_postMessage(channel="U0ADA", text="Hello")


@pytest.mark.parametrize("do", PLACES.values(), ids=PLACES)
def test_a_lost_message_is_found_by_its_mark(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, do: Do
) -> None:
    arrange(client)
    before = slack_box.snapshot()
    lose(slack_box, "drop_after", do, guarded)
    assert slack_box.snapshot() != before
    assert outcomes(session.rollback()) == [COMPENSATED]
    assert slack_box.snapshot() == before


@pytest.mark.parametrize("do", PLACES.values(), ids=PLACES)
def test_another_process_finds_it_by_what_is_in_the_ledger(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, do: Do, ledger: Path
) -> None:
    arrange(client)
    before = slack_box.snapshot()
    with session:
        lose(slack_box, "drop_after", do, guarded)
    command = [sys.executable, "-c", ELSEWHERE, f"{slack_box.url}/api/", BOT, session.id, str(ledger)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == [COMPENSATED]
    assert slack_box.snapshot() == before


@pytest.mark.parametrize("name", [name for name in PLACES if name != "blocks only"])
def test_a_message_that_never_arrived_is_known_not_to_have_been_posted(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, name: str
) -> None:
    arrange(client)
    before = slack_box.snapshot()
    lose(slack_box, "drop_before", PLACES[name], guarded)
    report = session.rollback()
    assert (outcomes(report), report.ok) == ([], True), str(report)
    assert session.calls[-1].state is CallState.NOT_APPLIED
    assert slack_box.snapshot() == before


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("name", PLACES)
def test_of_two_equal_messages_each_is_taken_back_once(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, name: str, mode: str
) -> None:
    arrange(client)
    before = slack_box.snapshot()
    PLACES[name](guarded)
    lose(slack_box, mode, PLACES[name], guarded)
    PLACES[name](guarded)
    report = session.rollback()
    # Without a text nothing rules out that the other message of this client's is it, and had lost its mark.
    unclear = name == "blocks only" and mode == "drop_before"
    assert outcomes(report).count(COMPENSATED) == (2 if mode == "drop_before" else 3)
    assert outcomes(report).count(IN_DOUBT) == (1 if unclear else 0)
    assert slack_box.snapshot() == before


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_what_somebody_else_posted_at_the_same_time_is_not_taken_for_ours(
    slack_box: Box, session: agentguard.Session, guarded: Any, stranger: WebClient, mode: str
) -> None:
    same(stranger)
    lose(slack_box, mode, same, guarded)
    same(stranger)
    theirs = [one for one in posted(slack_box) if mark_of(one) is None]
    assert outcomes(session.rollback()) == ([COMPENSATED] if mode == "drop_after" else [])
    assert posted(slack_box) == theirs


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("text", ["Same & <b>", "Another"])
def test_what_another_program_posted_with_the_same_token_is_not_taken_for_ours(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, mode: str, text: str
) -> None:
    same(client, text=text)
    lose(slack_box, mode, same, guarded)
    theirs = [one for one in posted(slack_box) if mark_of(one) is None]
    report = session.rollback()
    # It could be ours all the same, if Slack had not shown us the metadata; so that it does not count as none.
    unclear = [IN_DOUBT] if text == "Same & <b>" else []
    assert outcomes(report) == ([COMPENSATED] if mode == "drop_after" else unclear), str(report)
    assert posted(slack_box) == theirs


def test_metadata_that_slack_does_not_show_leaves_the_call_in_doubt(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    lose(slack_box, "drop_after", same, guarded)
    seen = client.conversations_history(channel=GENERAL, limit=1).data
    slack_box.seed(answers={"conversations.history": seen})
    there = posted(slack_box)
    assert outcomes(session.rollback()) == [IN_DOUBT]
    assert posted(slack_box) == there


def test_a_channel_that_cannot_be_read_leaves_the_call_in_doubt(
    slack_box: Box, session: agentguard.Session, guarded: Any
) -> None:
    lose(slack_box, "drop_after", same, guarded)
    slack_box.seed(answers={"conversations.history": {"ok": False, "error": "missing_scope", "needed": "im:history"}})
    report = session.rollback()
    assert outcomes(report) == [IN_DOUBT]
    assert "im:history" in str(report)


def test_a_lost_message_is_found_behind_many_others(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    lose(slack_box, "drop_after", same, guarded)
    channels = slack_box.snapshot()["channels"]
    (mine,) = [one for one in channels[GENERAL]["messages"].values() if mark_of(one)]
    for n in range(450):
        ts = f"{float(mine['ts']) + n / 1000 + 1:.6f}"
        channels[GENERAL]["messages"][ts] = {"type": "message", "user": "U0ADA", "text": "More", "ts": ts}
    slack_box.seed(channels=channels)
    assert outcomes(session.rollback()) == [COMPENSATED]
    assert len([one for one in posted(slack_box) if one["text"] == "More"]) == 450
    assert mine["ts"] not in [one["ts"] for one in posted(slack_box)]


def test_a_found_message_that_somebody_edited_since_is_not_deleted(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    lose(slack_box, "drop_after", same, guarded)
    client.chat_update(channel=GENERAL, ts=posted(slack_box)[-1]["ts"], text="Not the same")
    assert outcomes(session.rollback()) == [Outcome.CONFLICT]
    assert posted(slack_box)[-1]["text"] == "Not the same"


@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing:UserWarning")
def test_words_that_somebody_wrote_into_a_found_message_that_had_none_are_not_deleted(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    lose(slack_box, "drop_after", lambda c: c.chat_postMessage(channel=GENERAL, blocks=blocks("b")), guarded)
    client.chat_update(channel=GENERAL, ts=posted(slack_box)[-1]["ts"], text="Theirs")
    there = posted(slack_box)
    assert outcomes(session.rollback()) == [Outcome.CONFLICT]
    assert posted(slack_box) == there


def test_an_edit_of_the_agents_keeps_the_mark_and_both_are_taken_back(
    slack_box: Box, session: agentguard.Session, guarded: Any
) -> None:
    before = posted(slack_box)
    lose(slack_box, "drop_after", same, guarded)
    guarded.chat_update(channel=GENERAL, ts=posted(slack_box)[-1]["ts"], text="Later")
    assert mark_of(posted(slack_box)[-1]) == session.calls[0].mark
    assert outcomes(session.rollback()) == [COMPENSATED] * 2
    assert posted(slack_box) == before


def test_a_mark_that_was_replaced_leaves_the_call_in_doubt(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    lose(slack_box, "drop_after", same, guarded)
    client.chat_update(channel=GENERAL, ts=posted(slack_box)[-1]["ts"], text="Other words", metadata=THEIRS)
    there = posted(slack_box)
    assert outcomes(session.rollback()) == [IN_DOUBT]
    assert posted(slack_box) == there


@pytest.mark.parametrize("others", [0, 1])
def test_a_message_with_metadata_of_the_callers_is_found_by_its_words_if_it_is_the_only_one(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any, others: int
) -> None:
    lose(slack_box, "drop_after", lambda c: same(c, metadata=THEIRS), guarded)
    for _again in range(others):
        same(client)
    assert outcomes(session.rollback()) == [IN_DOUBT if others else COMPENSATED]
    assert len([one for one in posted(slack_box) if one["text"].startswith("Same")]) == 2 * others


def test_a_lost_message_has_the_whole_answer_when_it_is_found(
    slack_box: Box, session: agentguard.Session, guarded: Any
) -> None:
    told = same(guarded).data
    lose(slack_box, "drop_after", same, guarded)
    session.settle()
    found = session.calls[-1]
    assert found.state is CallState.COMMITTED
    assert found.answer.keys() == told.keys()
    assert {**found.answer["message"], "ts": "", "metadata": ""} == {**told["message"], "ts": "", "metadata": ""}
    assert found.answer["ok"] is True


# Where no mark can be put


def test_a_lost_schedule_is_found_unless_there_are_two_alike(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    at = int(datetime.now(UTC).timestamp()) + 3600

    def soon(c: Any) -> object:
        return c.chat_scheduleMessage(channel=RANDOM, text="soon", post_at=at)

    lose(slack_box, "drop_after", soon, guarded)
    assert outcomes(session.rollback()) == [COMPENSATED]
    assert slack_box.snapshot()["scheduled"] == {}


def test_of_two_alike_that_are_scheduled_none_is_guessed(
    slack_box: Box, client: WebClient, session: agentguard.Session, guarded: Any
) -> None:
    at = int(datetime.now(UTC).timestamp()) + 3600
    lose(slack_box, "drop_after", lambda c: c.chat_scheduleMessage(channel=RANDOM, text="soon", post_at=at), guarded)
    client.chat_scheduleMessage(channel=RANDOM, text="soon", post_at=at)
    assert outcomes(session.rollback()) == [IN_DOUBT]
    assert len(slack_box.snapshot()["scheduled"]) == 2


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_group_that_somebody_made_in_place_of_a_lost_one_is_left_alone(
    slack_box: Box, session: agentguard.Session, guarded: Any, stranger: WebClient, mode: str
) -> None:
    slack_box.fault(mode, path="usergroups.create")
    with pytest.raises(OSError, match=r".+"):
        guarded.usergroups_create(name="On call", handle="oncall")
    if mode == "drop_before":
        stranger.usergroups_create(name="On call", handle="oncall")
    assert outcomes(session.rollback()) == [IN_DOUBT if mode == "drop_before" else COMPENSATED]
    (group,) = slack_box.snapshot()["usergroups"].values()
    assert bool(group["date_delete"]) is (mode == "drop_after")


# What an answer proves


@pytest.mark.parametrize(
    ("status", "headers", "body", "certainty", "waits"),
    [
        (429, {"retry-after": "30"}, {"ok": False, "error": "ratelimited"}, Certainty.REFUSED, 30.0),
        (200, {"retry-after": "7"}, {"ok": False, "error": "ratelimited"}, Certainty.REFUSED, 7.0),
        (200, {}, {"ok": False, "error": "rate_limited"}, Certainty.REFUSED, 1.0),
        (200, {}, {"ok": False, "error": "no_text"}, Certainty.REFUSED, None),
        (200, {}, {"ok": False, "error": "internal_error"}, Certainty.UNKNOWN, None),
        (503, {}, {"ok": False, "error": "service_unavailable"}, Certainty.UNKNOWN, None),
        (200, {}, {"message": "not Slack"}, Certainty.UNKNOWN, None),
        (200, {}, {"ok": True}, Certainty.HAPPENED, None),
    ],
)
def test_a_refusal_says_when_to_come_again(
    status: int, headers: dict[str, str], body: Any, certainty: Certainty, waits: float | None
) -> None:
    operation = slack.table.by_name["chat.postMessage"]
    answer = slack.codec.answer(operation, Response(status, Headers(headers), json.dumps(body).encode()))
    assert (answer.certainty, answer.retry_after, answer.transient) == (certainty, waits, waits is not None)


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.now(UTC), timedelta(days=1)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    certificate = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    class Server(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Keep quiet: that the handshake fails is what is tested."""

    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_address[1]}/api/"
        server.shutdown()


def test_a_service_whose_certificate_is_not_trusted_was_sent_nothing(
    untrusted: str, session: agentguard.Session
) -> None:
    with pytest.raises(OSError, match=r"(?i)certificate"):
        same(agentguard.wrap(WebClient(BOT, base_url=untrusted, retry_handlers=[]), session))
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


async def test_nor_was_it_by_the_asynchronous_client(untrusted: str, session: agentguard.Session) -> None:
    bare = AsyncWebClient(BOT, base_url=untrusted, retry_handlers=[])
    with pytest.raises(Exception, match=r"(?i)certificate"):
        await same(agentguard.wrap(bare, session))
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
