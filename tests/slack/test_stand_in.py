"""The stand-in behaves as Slack documents, as far as undoing depends on it."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from agentguard.sandbox.server import Incoming
from agentguard.sandbox.slack import Slack
from tests.boxes import Box
from tests.slack.arranging import RANDOM, message
from tests.slack.cases import GENERAL, USER


@pytest.fixture
def admin(slack_box: Box) -> WebClient:
    return WebClient(USER, base_url=f"{slack_box.url}/api/")


def refused(call: Any, error: str) -> None:
    with pytest.raises(SlackApiError) as raised:
        call()
    assert raised.value.response["error"] == error
    assert raised.value.response.status_code == 200


def test_a_call_without_a_token_is_not_authenticated(slack_box: Box) -> None:
    refused(lambda: WebClient(base_url=f"{slack_box.url}/api/").users_list(), "not_authed")
    refused(lambda: WebClient("bogus", base_url=f"{slack_box.url}/api/").users_list(), "invalid_auth")


def test_an_unknown_method_is_an_error_inside_of_success(client: WebClient) -> None:
    refused(lambda: client.api_call("chat.somethingNew"), "unknown_method")


def test_a_refused_call_changes_nothing(slack_box: Box, client: WebClient) -> None:
    before = slack_box.snapshot()
    refused(lambda: client.conversations_invite(channel=RANDOM, users="U0GRACE,U0NOBODY"), "user_not_found")
    refused(lambda: client.conversations_create(name="general"), "name_taken")
    refused(lambda: client.conversations_create(name="No Spaces"), "invalid_name_specials")
    refused(lambda: client.chat_postMessage(channel="C0OPEN", text="x"), "not_in_channel")
    refused(lambda: client.chat_update(channel=GENERAL, ts="1750000100.000100", text="x"), "cant_update_message")
    refused(lambda: client.chat_delete(channel=GENERAL, ts="1750000100.000100"), "cant_delete_message")
    refused(lambda: client.conversations_archive(channel=GENERAL), "cant_archive_general")
    refused(lambda: client.users_profile_set(name="title", value="x"), "not_allowed_token_type")
    assert slack_box.snapshot() == before


def test_a_private_channel_is_invisible_to_those_outside(client: WebClient, admin: WebClient) -> None:
    made = admin.conversations_create(name="board", is_private=True)["channel"]["id"]
    refused(lambda: client.conversations_info(channel=made), "channel_not_found")
    refused(lambda: client.chat_postMessage(channel=made, text="x"), "channel_not_found")


def test_an_edit_keeps_the_blocks_that_it_does_not_mention_and_marks_the_message(client: WebClient) -> None:
    blocks = [{"type": "divider"}]
    ts = message(client, blocks=blocks)["ts"]
    edited = client.chat_update(channel=RANDOM, ts=ts, text="new")["message"]
    assert (edited["blocks"], edited["edited"]["user"]) == (blocks, "U0BOT")
    assert "blocks" not in client.chat_update(channel=RANDOM, ts=ts, text="new", blocks=[])["message"]


def test_a_text_is_kept_escaped_and_gets_a_block_of_its_own(client: WebClient) -> None:
    shown = client.chat_postMessage(channel=RANDOM, text="a & b <c>")["message"]
    assert shown["text"] == "a &amp; b &lt;c&gt;"
    assert shown["blocks"][0]["type"] == "rich_text"


def test_history_shows_no_replies_and_a_thread_shows_its_parent_first(client: WebClient) -> None:
    parent = message(client)["ts"]
    reply = message(client, thread_ts=parent)["ts"]
    assert [m["ts"] for m in client.conversations_history(channel=RANDOM)["messages"]] == [parent]
    assert [m["ts"] for m in client.conversations_replies(channel=RANDOM, ts=parent)["messages"]] == [parent, reply]
    assert [m["ts"] for m in client.conversations_replies(channel=RANDOM, ts=reply)["messages"]] == [reply]
    refused(lambda: client.conversations_replies(channel=RANDOM, ts="1.000001"), "thread_not_found")


def test_history_between_a_time_and_itself_is_one_message_when_inclusive(client: WebClient) -> None:
    ts = "1750000100.000100"
    page = client.conversations_history(channel=GENERAL, oldest=ts, latest=ts, inclusive=True)
    assert [m["ts"] for m in page["messages"]] == [ts]
    assert client.conversations_history(channel=GENERAL, oldest=ts, latest=ts)["messages"] == []


def test_a_channel_says_what_happened_to_it(client: WebClient) -> None:
    client.conversations_setTopic(channel=RANDOM, topic="Trains")
    client.conversations_invite(channel=RANDOM, users="U0LINUS")
    client.conversations_kick(channel=RANDOM, user="U0LINUS")
    seen = [m["subtype"] for m in client.conversations_history(channel=RANDOM)["messages"]]
    assert seen == ["channel_leave", "channel_join", "channel_topic"]


def test_pages_are_cut_and_joined_by_cursors(client: WebClient) -> None:
    members = [one for page in client.conversations_members(channel=GENERAL, limit=3) for one in page["members"]]
    assert members == ["U0BOT", "U0ADMIN", "U0ADA", "U0GRACE"]


def test_arguments_that_no_method_looks_at_are_kept_for_tests_to_see() -> None:
    service = Slack()
    body = {"channel": GENERAL, "text": "x", "txet": "y"}
    headers = {"authorization": "Bearer xoxb-1", "content-type": "application/json"}
    reply = service.handle(Incoming("POST", "/api/chat.postMessage", {}, headers, body, b""))
    assert reply.body["ok"]
    assert service.state["ignored_arguments"] == [{"method": "chat.postMessage", "arguments": ["txet"]}]
