"""Everything a Slack client offers beside plain calls: pages, uploads, streams, webhooks, sessions of one's own."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)
from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

import agentguard
from agentguard import CallState, Outcome
from agentguard.errors import UsageError
from tests.boxes import Box
from tests.slack.arranging import RANDOM
from tests.slack.cases import BOT, GENERAL, USER

AT_ONCE = FixedValueRetryIntervalCalculator(0.0)
HANDLERS = [
    ConnectionErrorRetryHandler(max_retry_count=3, interval_calculator=AT_ONCE),
    ServerErrorRetryHandler(max_retry_count=3, interval_calculator=AT_ONCE),
    RateLimitErrorRetryHandler(max_retry_count=3),
]
ASYNC_HANDLERS = [
    AsyncConnectionErrorRetryHandler(max_retry_count=3, interval_calculator=AT_ONCE),
    AsyncServerErrorRetryHandler(max_retry_count=3, interval_calculator=AT_ONCE),
    AsyncRateLimitErrorRetryHandler(max_retry_count=3),
]
FAULTS = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("truncate", {}),
    ("status_before", {"status": 502}),
    ("status_after", {"status": 500}),
    ("status_after", {"status": 503}),
    ("status_before", {"status": 429, "headers": {"retry-after": "0"}}),
]
FAULT_IDS = [" ".join(str(part) for part in (mode, details.get("status", "")) if part) for mode, details in FAULTS]


def arrived(box: Box, *methods: str) -> list[str]:
    """The methods that were asked for, those named or all."""
    seen = [request["path"].rpartition("/")[2] for request in box.requests()]
    return [name for name in seen if name in methods or not methods]


def test_the_client_that_was_passed_in_stays_as_it_was(
    slack_box: Box, client: WebClient, session: agentguard.Session
) -> None:
    before = {name: copy.copy(value) for name, value in vars(client).items()}
    guarded = agentguard.wrap(client, session)
    guarded.timeout = 7
    guarded.retry_handlers.append(HANDLERS[0])
    guarded.headers["X-Extra"] = "1"
    assert isinstance(guarded, WebClient)
    guarded.chat_postMessage(channel=GENERAL, text="guarded")
    assert vars(client) == before
    client.chat_postMessage(channel=GENERAL, text="bare")
    assert [call.arguments["text"] for call in session.calls] == ["guarded"]


def test_a_subclass_keeps_its_own_methods(slack_box: Box, session: agentguard.Session) -> None:
    class Ours(WebClient):
        def shout(self, text: str) -> Any:
            return self.chat_postMessage(channel=GENERAL, text=text.upper())

    guarded = agentguard.wrap(Ours(BOT, base_url=f"{slack_box.url}/api/"), session)
    assert guarded.shout("hello")["message"]["text"] == "HELLO"
    assert session.calls[0].operation == "slack.chat.postMessage"


def test_pages_of_an_answer_are_fetched_through_the_gate(
    slack_box: Box, client: WebClient, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(client, session)
    first = guarded.users_list(limit=2)
    names = [user["name"] for page in first for user in page["members"]]
    assert names == ["deploybot", "admin", "ada", "grace", "linus"]
    assert first._client is not client
    first._client.chat_postMessage(channel=GENERAL, text="by a way round")
    assert [call.operation for call in session.calls] == ["slack.chat.postMessage"]


async def test_asynchronous_pages_are_fetched_through_the_gate(slack_box: Box, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/"), session)
    names = []
    async for page in await guarded.users_list(limit=2):
        names += [user["name"] for user in page["members"]]
    assert names == ["deploybot", "admin", "ada", "grace", "linus"]
    assert session.calls == []


def test_an_upload_is_three_steps_and_one_undo(slack_box: Box, client: WebClient, session: agentguard.Session) -> None:
    with session:
        guarded = agentguard.wrap(client, session)
        done = guarded.files_upload_v2(
            file_uploads=[{"content": "one", "filename": "1.txt"}, {"content": b"\x00two", "filename": "2.bin"}],
            channel=RANDOM,
        )
    names = ["files.getUploadURLExternal", "files.upload.bytes", "files.completeUploadExternal"]
    assert [call.name for call in session.calls] == [*names[:1] * 2, *names[1:2] * 2, names[2]]
    assert {stored["content"] for stored in slack_box.snapshot()["files"].values()} == {"one", "\x00two"}
    assert session.calls[3].arguments["$bytes"] == 4
    report = session.rollback()
    assert report.ok
    assert slack_box.snapshot()["files"] == {}
    assert len(done["files"]) == 2


async def test_an_asynchronous_upload_is_undone(slack_box: Box, session: agentguard.Session) -> None:
    async with session:
        guarded = agentguard.wrap(AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/"), session)
        await guarded.files_upload_v2(content="one", filename="1.txt", channel=RANDOM)
    assert [stored["content"] for stored in slack_box.snapshot()["files"].values()] == ["one"]
    assert (await session.arollback()).ok
    assert slack_box.snapshot()["files"] == {}


def test_the_bytes_of_a_file_are_sent_once(slack_box: Box, client: WebClient, session: agentguard.Session) -> None:
    slack_box.fault("drop_after", path="/upload/v1/", times=3)
    with pytest.raises(OSError, match=r".+"):
        agentguard.wrap(client, session).files_upload_v2(content="one", filename="1.txt", channel=RANDOM)
    assert len([r for r in slack_box.requests() if r["path"].startswith("/upload/")]) == 1


def test_a_file_in_one_step_is_taken_back(
    slack_box: Box, client: WebClient, session: agentguard.Session, tmp_path: Path
) -> None:
    path = tmp_path / "report.txt"
    path.write_text("Report")
    with session, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK advises files_upload_v2
        agentguard.wrap(client, session).files_upload(file=str(path), channels=RANDOM, title="Report")
    assert session.calls[0].arguments["file"]["$bytes"] == 6
    assert session.calls[0].arguments["channels"] == RANDOM
    assert session.rollback().ok
    assert slack_box.snapshot()["files"] == {}


def test_a_streamed_message_is_taken_back(slack_box: Box, client: WebClient, session: agentguard.Session) -> None:
    parent = client.chat_postMessage(channel=RANDOM, text="Question")["ts"]
    before = slack_box.snapshot()
    with session:
        stream = agentguard.wrap(client, session).chat_stream(channel=RANDOM, thread_ts=parent, buffer_size=1)
        stream.append(markdown_text="One, ")
        stream.append(markdown_text="two, ")
        stream.stop(markdown_text="three.")
    assert "One, two, three." in json.dumps(slack_box.snapshot())
    names = ["chat.startStream", "chat.appendStream", "chat.stopStream"]
    assert [call.name for call in session.calls if call.name in names][:1] == names[:1]
    assert session.rollback().ok
    assert slack_box.snapshot() == before


def test_an_error_of_slack_is_the_sdks_own_exception(
    slack_box: Box, client: WebClient, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(client, session)
    with pytest.raises(SlackApiError) as bare:
        client.chat_postMessage(channel="C0NOWHERE", text="x")
    with pytest.raises(SlackApiError) as ours:
        guarded.chat_postMessage(channel="C0NOWHERE", text="x")
    assert ours.value.response.data == bare.value.response.data
    assert session.calls[0].state is CallState.NOT_APPLIED
    assert session.rollback().outcomes == []


def test_an_answer_is_what_the_bare_sdk_returns(slack_box: Box, client: WebClient, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(client, session)
    ours, bare = (
        c.reactions_add(channel=GENERAL, timestamp="1750000100.000100", name=n)
        for c, n in ((guarded, "a"), (client, "b"))
    )
    assert type(ours) is type(bare)
    assert (ours.data, ours.status_code, ours.api_url) == (bare.data, bare.status_code, bare.api_url)
    assert {name.lower() for name in ours.headers} == {name.lower() for name in bare.headers}


def test_a_token_for_one_call_is_refused_for_writes(
    slack_box: Box, client: WebClient, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(client, session)
    with pytest.raises(UsageError, match="token of its own"):
        guarded.chat_postMessage(token=USER, channel=GENERAL, text="as somebody else")
    with pytest.raises(UsageError, match="token of its own"):
        guarded.api_call("chat.postMessage", data={"token": USER, "channel": GENERAL, "text": "x"})
    assert guarded.auth_test(token=USER)["user_id"] == "U0ADMIN"
    assert arrived(slack_box, "chat.postMessage") == []


async def test_a_session_of_the_programs_own_is_used_and_left_open(slack_box: Box, session: agentguard.Session) -> None:
    async with aiohttp.ClientSession(headers={"X-Program": "ours"}) as http:
        guarded = agentguard.wrap(AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/", session=http), session)
        await guarded.chat_postMessage(channel=GENERAL, text="x")
        assert (await session.arollback()).ok
        assert not http.closed
    assert {request["headers"].get("x-program") for request in slack_box.requests()} == {"ours"}


def test_a_synchronous_rollback_works_when_the_programs_loop_is_gone(
    slack_box: Box, session: agentguard.Session
) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as http:
            bare = AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/", session=http)
            await agentguard.wrap(bare, session).chat_postMessage(channel=GENERAL, text="x")

    asyncio.run(work())
    assert session.rollback().ok


@pytest.fixture
def webhook(slack_box: Box) -> Iterator[str]:
    """An address that takes messages."""
    return f"{slack_box.url}/services/T0ACME/B0BOT/not-a-secret-but-treated-as-one"


def test_an_incoming_webhook_is_sent_once_and_reported_as_irreversible(
    slack_box: Box, session: agentguard.Session, webhook: str, ledger: Path
) -> None:
    guarded = agentguard.wrap(WebhookClient(webhook, retry_handlers=copy.copy(HANDLERS)), session)
    answer = guarded.send(text="deployed", headers={"X-Extra": "1"})
    assert (answer.status_code, answer.body) == (200, "ok")
    slack_box.fault("drop_after", path="/services/", times=3)
    with pytest.raises(OSError, match=r".+"):
        guarded.send(text="deployed again")
    assert len(slack_box.requests()) == 2
    assert slack_box.requests()[0]["headers"]["x-extra"] == "1"
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IN_DOUBT, Outcome.IRREVERSIBLE]
    assert {one.operation for one in report.outcomes} == {"slack.incoming-webhook"}
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert b"not-a-secret-but-treated-as-one" not in stored


async def test_an_asynchronous_webhook_is_guarded_too(
    slack_box: Box, session: agentguard.Session, webhook: str
) -> None:
    guarded = agentguard.wrap(AsyncWebhookClient(webhook), session)
    assert (await guarded.send(text="deployed")).body == "ok"
    assert [call.operation for call in session.calls] == ["slack.incoming-webhook"]
    assert len(slack_box.requests()) == 1


def test_no_token_reaches_the_ledger(
    slack_box: Box, client: WebClient, session: agentguard.Session, ledger: Path
) -> None:
    guarded = agentguard.wrap(client, session)
    guarded.chat_postMessage(channel=GENERAL, text=f"my token is {BOT}")
    session.rollback()
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert BOT.encode() not in stored


def test_clients_that_cannot_be_guarded_are_refused_with_the_reason(session: agentguard.Session) -> None:
    from slack_sdk.audit_logs import AuditLogsClient
    from slack_sdk.scim import SCIMClient
    from slack_sdk.web.legacy_client import LegacyWebClient

    for refused, reason in (
        (LegacyWebClient(BOT), "Wrap slack_sdk.WebClient"),
        (SCIMClient(BOT), "no operation of SCIM"),
        (AuditLogsClient(BOT), "only reads"),
    ):
        with pytest.raises(agentguard.UnknownClient, match=reason):
            agentguard.wrap(refused, session)


def test_threads_share_one_guarded_client(slack_box: Box, client: WebClient, session: agentguard.Session) -> None:
    before = slack_box.snapshot()
    guarded = agentguard.wrap(client, session)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: guarded.chat_postMessage(channel=RANDOM, text=f"number {n}"), range(24)))
    assert len(arrived(slack_box, "chat.postMessage")) == len(session.calls) == 24
    assert session.rollback().ok
    assert slack_box.snapshot() == before


async def test_tasks_share_one_guarded_client(slack_box: Box, session: agentguard.Session) -> None:
    before = slack_box.snapshot()
    guarded = agentguard.wrap(AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/"), session)
    await asyncio.gather(*(guarded.chat_postMessage(channel=RANDOM, text=f"number {n}") for n in range(20)))
    assert len(arrived(slack_box, "chat.postMessage")) == len(session.calls) == 20
    assert (await session.arollback()).ok
    assert slack_box.snapshot() == before


async def test_a_file_of_the_asynchronous_client_in_one_step_is_taken_back(
    slack_box: Box, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/"), session)
    await guarded.api_call(
        "files.upload", files={"file": io.BytesIO(b"Report")}, data={"channels": RANDOM, "filename": "r.txt"}
    )
    assert session.calls[0].arguments == {"$stream": True}
    assert (await session.arollback()).ok
    assert slack_box.snapshot()["files"] == {}
