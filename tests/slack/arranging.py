"""What is there before a guarded operation of Slack is done."""

from __future__ import annotations

import logging
import time
from typing import Any

from slack_sdk import WebClient

Kept = dict[str, Any]
RANDOM = "C0RANDOM"


def message(client: WebClient, channel: str = RANDOM, **more: Any) -> Kept:
    """A message of the client's own."""
    return {"ts": client.chat_postMessage(channel=channel, text="as it was", **more)["ts"]}


def blocks(text: str) -> list[dict[str, Any]]:
    """A message's blocks."""
    return [{"type": "section", "block_id": "b1", "text": {"type": "mrkdwn", "text": text}}]


def thread(client: WebClient) -> Kept:
    """A reply of the client's own."""
    parent = message(client)["ts"]
    return {"parent": parent, **message(client, thread_ts=parent)}


def pinned(client: WebClient) -> Kept:
    """A message that is pinned."""
    kept = message(client)
    client.pins_add(channel=RANDOM, timestamp=kept["ts"])
    return kept


def reacted(client: WebClient) -> Kept:
    """A message with a reaction of the client's own."""
    kept = message(client)
    client.reactions_add(channel=RANDOM, timestamp=kept["ts"], name="eyes")
    return kept


def bookmark(client: WebClient) -> Kept:
    """A bookmark."""
    made = client.bookmarks_add(channel_id=RANDOM, title="Plan", type="link", link="https://a.example", emoji=":book:")
    return {"id": made["bookmark"]["id"]}


def starred(client: WebClient) -> Kept:
    """A message that is saved for later."""
    kept = message(client)
    client.api_call("stars.add", params={"channel": RANDOM, "timestamp": kept["ts"]})
    return kept


def made_channel(client: WebClient) -> Kept:
    """A channel that the client created."""
    return {"id": client.conversations_create(name="plans")["channel"]["id"]}


def archived(client: WebClient) -> Kept:
    """A channel that is archived."""
    kept = made_channel(client)
    client.conversations_archive(channel=kept["id"])
    return kept


def opened(client: WebClient) -> Kept:
    """A direct message that is open."""
    return {"id": client.conversations_open(users="U0ADA")["channel"]["id"]}


def uploaded(client: WebClient) -> Kept:
    """A file."""
    return {"id": client.files_upload_v2(content="bytes", filename="a.txt", channel=RANDOM)["file"]["id"]}


def public(client: WebClient) -> Kept:
    """A file with a public link."""
    kept = uploaded(client)
    client.files_sharedPublicURL(file=kept["id"])
    return kept


def ticket(client: WebClient) -> Kept:
    """Bytes that were sent and not yet made a file."""
    given = client.files_getUploadURLExternal(filename="a.txt", length=5)
    client._upload_file(
        url=given["upload_url"], data=b"bytes", logger=logging.getLogger("slack_sdk"), timeout=5, proxy=None, ssl=None
    )
    return {"id": given["file_id"]}


def group(client: WebClient) -> Kept:
    """A user group with a member."""
    made = client.usergroups_create(name="On call", handle="oncall", description="Pager", channels=[RANDOM])
    client.usergroups_users_update(usergroup=made["usergroup"]["id"], users=["U0ADA"])
    return {"id": made["usergroup"]["id"]}


def disabled(client: WebClient) -> Kept:
    """A user group that is disabled."""
    kept = group(client)
    client.usergroups_disable(usergroup=kept["id"])
    return kept


def status(client: WebClient) -> Kept:
    """A status and a field of the workspace's own."""
    told = {"status_text": "At lunch", "status_emoji": ":pizza:", "fields": {"Xf01": {"value": "Berlin"}}}
    client.users_profile_set(profile=told)
    return {}


def snoozing(client: WebClient) -> Kept:
    """Notifications that are snoozed."""
    client.dnd_setSnooze(num_minutes=60)
    return {}


def later() -> int:
    """A time to schedule things for."""
    return int(time.time()) + 3600


def scheduled(client: WebClient) -> Kept:
    """A scheduled message."""
    made = client.chat_scheduleMessage(channel=RANDOM, text="soon", post_at=later())
    return {"id": made["scheduled_message_id"]}


def reminder(client: WebClient) -> Kept:
    """A reminder."""
    return {"id": client.reminders_add(text="Water the plants", time=str(later()))["reminder"]["id"]}


def streaming(client: WebClient) -> Kept:
    """A message that is being written, as a reply."""
    parent = message(client)["ts"]
    begun = client.chat_startStream(channel=RANDOM, thread_ts=parent, markdown_text="One, ")
    return {"ts": begun["ts"], "parent": parent}
