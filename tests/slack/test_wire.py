"""What reaches the wire: writes once, refused ones never, reads as the SDK sends them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk import WebClient
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

import agentguard
from agentguard import ApprovalDenied, ApprovalRequired, CallState, Outcome
from tests.boxes import Box
from tests.slack.arranging import RANDOM
from tests.slack.cases import BOT, GENERAL

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


@pytest.mark.parametrize("handlers", [None, HANDLERS], ids=["default handlers", "more handlers"])
@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
def test_a_write_whose_answer_is_lost_is_sent_once(
    slack_box: Box, session: agentguard.Session, mode: str, details: dict[str, Any], handlers: Any
) -> None:
    slack_box.fault(mode, path="chat.postMessage", times=9, **details)
    bare = WebClient(BOT, base_url=f"{slack_box.url}/api/", retry_handlers=copy.copy(handlers))
    guarded = agentguard.wrap(bare, session)
    with pytest.raises(Exception, match=r".+"):
        guarded.chat_postMessage(channel=GENERAL, text="once")
    assert arrived(slack_box, "chat.postMessage") == ["chat.postMessage"]
    refused = details.get("status") == 429
    assert session.calls[0].state is (CallState.NOT_APPLIED if refused else CallState.IN_DOUBT)


@pytest.mark.parametrize("own_session", [False, True], ids=["no session", "a session of the program's"])
@pytest.mark.parametrize("handlers", [None, ASYNC_HANDLERS], ids=["default handlers", "more handlers"])
@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
async def test_an_asynchronous_write_whose_answer_is_lost_is_sent_once(
    slack_box: Box,
    session: agentguard.Session,
    mode: str,
    details: dict[str, Any],
    handlers: Any,
    own_session: bool,
) -> None:
    slack_box.fault(mode, path="chat.postMessage", times=9, **details)
    async with aiohttp.ClientSession() as http:
        bare = AsyncWebClient(
            BOT,
            base_url=f"{slack_box.url}/api/",
            retry_handlers=copy.copy(handlers),
            session=http if own_session else None,
        )
        guarded = agentguard.wrap(bare, session)
        with pytest.raises(Exception, match=r".+"):
            await guarded.chat_postMessage(channel=GENERAL, text="once")
    assert arrived(slack_box, "chat.postMessage") == ["chat.postMessage"]
    refused = details.get("status") == 429
    assert session.calls[0].state is (CallState.NOT_APPLIED if refused else CallState.IN_DOUBT)


def test_the_bare_sdk_would_have_sent_it_twice(slack_box: Box, client: WebClient) -> None:
    slack_box.fault("drop_after", path="chat.postMessage", times=1)
    client.retry_handlers = [ConnectionErrorRetryHandler(interval_calculator=AT_ONCE)]
    client.chat_postMessage(channel=GENERAL, text="twice")
    assert arrived(slack_box, "chat.postMessage") == ["chat.postMessage"] * 2


def test_a_read_is_still_repeated_by_the_sdk(slack_box: Box, session: agentguard.Session) -> None:
    slack_box.fault("drop_before", path="users.list", times=2)
    bare = WebClient(BOT, base_url=f"{slack_box.url}/api/", retry_handlers=copy.copy(HANDLERS))
    assert agentguard.wrap(bare, session).users_list()["ok"]
    assert arrived(slack_box, "users.list") == ["users.list"] * 3
    assert session.calls == []


async def test_an_asynchronous_read_is_still_repeated_by_the_sdk(slack_box: Box, session: agentguard.Session) -> None:
    slack_box.fault("drop_before", verb="*", path="users.list", times=2)
    bare = AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/", retry_handlers=copy.copy(ASYNC_HANDLERS))
    assert (await agentguard.wrap(bare, session).users_list())["ok"]
    assert arrived(slack_box, "users.list") == ["users.list"] * 3
    assert session.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.conversations_archive(channel=RANDOM),
        lambda c: c.api_call("conversations.archive", json={"channel": RANDOM}),
        lambda c: c.api_call("conversations.archive", params={"channel": RANDOM}),
        lambda c: c.api_call("conversations.archive", data={"channel": RANDOM}),
        lambda c: c.api_call("/conversations.archive", json={"channel": RANDOM}),
        lambda c: c.api_call("conversations.archive?x=/users.list", json={"channel": RANDOM}),
        lambda c: c.api_call("users.list/../conversations.archive", json={"channel": RANDOM}),
        lambda c: c.api_call("conversations.archive/users.list", json={"channel": RANDOM}),
        lambda c: c.api_call("conversations.somethingNew", json={"channel": RANDOM}),
        lambda c: c.api_call("http://127.0.0.1:9/api/users.list", json={"channel": RANDOM}),
        lambda c: c.api_call("auth.revoke", http_verb="GET", params={}),
        lambda c: c.admin_conversations_delete(channel_id=RANDOM),
    ],
)
def test_what_is_refused_never_leaves(
    slack_box: Box, client: WebClient, ledger: Path, call: Callable[[Any], Any]
) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: False) as session:
        guarded = agentguard.wrap(client, session)
        with pytest.raises(ApprovalDenied):
            call(guarded)
    assert set(arrived(slack_box)) <= {"conversations.info", "auth.test"}
    assert [one.state for one in session.calls] == [CallState.REFUSED]


async def test_what_is_refused_never_leaves_the_asynchronous_client(slack_box: Box, ledger: Path) -> None:
    bare = AsyncWebClient(BOT, base_url=f"{slack_box.url}/api/")
    async with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: False) as session:
        guarded = agentguard.wrap(bare, session)
        with pytest.raises(ApprovalDenied):
            await guarded.conversations_archive(channel=RANDOM)
        with pytest.raises(ApprovalDenied):
            await guarded.api_call("auth.revoke", http_verb="GET")
        with pytest.raises(ApprovalDenied):
            await guarded.api_call("http://127.0.0.1:9/users.list", http_verb="GET")
    assert set(arrived(slack_box)) <= {"conversations.info", "auth.test"}


def test_without_anybody_to_ask_a_risky_call_stays_here_and_the_sdk_logs_no_failure(
    slack_box: Box, client: WebClient, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(client, session)
        with caplog.at_level(logging.ERROR), pytest.raises(ApprovalRequired):
            guarded.files_sharedPublicURL(file="F1")
    assert not [record for record in caplog.records if record.name.startswith("slack_sdk")]


def test_a_service_that_is_not_there_leaves_no_doubt(ledger: Path) -> None:
    bare = WebClient(BOT, base_url="http://127.0.0.1:1/api/", retry_handlers=[])
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        with pytest.raises(OSError, match="refused"):
            agentguard.wrap(bare, session).chat_postMessage(channel=GENERAL, text="x")
        assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


async def test_an_asynchronous_service_that_is_not_there_leaves_no_doubt(ledger: Path) -> None:
    bare = AsyncWebClient(BOT, base_url="http://127.0.0.1:1/api/", retry_handlers=[])
    async with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await agentguard.wrap(bare, session).chat_postMessage(channel=GENERAL, text="x")
        assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def test_a_call_whose_answer_was_lost_is_found_and_taken_back(
    slack_box: Box, client: WebClient, session: agentguard.Session
) -> None:
    before = slack_box.snapshot()
    slack_box.fault("drop_after", path="chat.postMessage")
    guarded = agentguard.wrap(client, session)
    with pytest.raises(OSError, match=r".+"):
        guarded.chat_postMessage(channel=GENERAL, text="lost & found")
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert slack_box.snapshot() == before


def test_a_call_that_carries_no_mark_and_is_not_found_stays_in_doubt(
    slack_box: Box, client: WebClient, session: agentguard.Session
) -> None:
    slack_box.fault("drop_before", path="chat.meMessage")
    guarded = agentguard.wrap(client, session)
    with pytest.raises(OSError, match=r".+"):
        guarded.chat_meMessage(channel=GENERAL, text="lost")
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IN_DOUBT]
    assert not report.ok


@pytest.mark.parametrize("error", ["fatal_error", "internal_error"])
def test_an_error_after_which_something_may_have_happened_leaves_the_call_in_doubt(
    slack_box: Box, client: WebClient, session: agentguard.Session, error: str
) -> None:
    slack_box.seed(answers={"chat.postMessage": {"ok": False, "error": error}})
    with pytest.raises(SlackApiError):
        agentguard.wrap(client, session).chat_postMessage(channel=GENERAL, text="x")
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
