"""What can be read from emulate's Slack, as one dictionary."""

from __future__ import annotations

from typing import Any

from slack_sdk import WebClient
from slack_sdk.web.async_client import AsyncWebClient

GENERAL = "C000000001"
TOKEN = "xoxb-stand-in"
KINDS = "public_channel,private_channel,im,mpim"


def connect(url: str) -> WebClient:
    """A synchronous client."""
    return WebClient(token=TOKEN, base_url=f"{url}/api/")


def aconnect(url: str) -> AsyncWebClient:
    """An asynchronous client."""
    return AsyncWebClient(token=TOKEN, base_url=f"{url}/api/")


def world(client: WebClient) -> dict[str, Any]:
    """Every channel with what is in it, every person, every file."""
    channels = client.conversations_list(types=KINDS, limit=1000)["channels"]
    people = client.users_list()["members"]
    scheduled = client.chat_scheduledMessages_list()["scheduled_messages"]
    return {
        "channels": {channel["id"]: inside(client, channel) for channel in channels},
        "people": {
            person["name"]: {**person, "presence": client.users_getPresence(user=person["id"])["presence"]}
            for person in people
        },
        "files": {file["id"]: file for file in client.files_list()["files"]},
        "scheduled": {message["id"]: message for message in scheduled},
    }


def inside(client: WebClient, channel: dict[str, Any]) -> dict[str, Any]:
    """One channel: its settings, its members, its messages from the oldest to the newest, its pins and bookmarks."""
    at = channel["id"]
    messages = client.conversations_history(channel=at, limit=1000)["messages"][::-1]
    threads = {m["ts"]: client.conversations_replies(channel=at, ts=m["ts"])["messages"] for m in messages}
    return {
        **{name: value for name, value in channel.items() if name != "updated"},
        "topic": channel["topic"]["value"],  # who set it last, and when, is what an undo changes
        "purpose": channel["purpose"]["value"],
        "members": sorted(client.conversations_members(channel=at)["members"]),
        "messages": {
            str(n): {**tidy(m), "thread": [tidy(reply) for reply in threads[m["ts"]][1:]]}
            for n, m in enumerate(messages)
        },
        "pins": [pin["message"]["ts"] for pin in client.pins_list(channel=at)["items"]],
        "bookmarks": {
            mark["title"]: {name: value for name, value in mark.items() if name != "date_updated"}
            for mark in client.bookmarks_list(channel_id=at)["bookmarks"]
        },
    }


def tidy(message: dict[str, Any]) -> dict[str, Any]:
    """Leave out what emulate keeps and Slack does not: empty lists, how a text was read, counts of deleted replies."""
    dropped = ("parse", "reply_count", "reply_users")
    return {name: value for name, value in message.items() if name not in dropped and value != []}
