"""What is done to emulate's Slack, and what may differ after it was taken back."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from slack_sdk import WebClient

from agentguard import Outcome
from tests.peers.comparing import Case

Given = Any  # a namespace: what was found or made before
LATER = int(time.time()) + 3600  # Slack takes no more than 120 days

BLOCKS = [{"type": "header", "text": {"type": "plain_text", "text": "Deployed & done <now>"}}]


def found(client: WebClient) -> Given:
    """The channel deploys, a message in it with a reaction, and another person."""
    channels = {channel["name"]: channel["id"] for channel in client.conversations_list()["channels"]}
    people = {person["name"]: person["id"] for person in client.users_list()["members"]}
    at = channels["deploys"]
    client.conversations_join(channel=at)
    ts = client.chat_postMessage(channel=at, text="Deploying")["ts"]
    client.reactions_add(channel=at, timestamp=ts, name="eyes")
    return SimpleNamespace(at=at, ts=ts, hubot=people["hubot"], random=channels["random"])


def answered(client: WebClient) -> Given:
    """The same, with a reply to the message, and another message after both."""
    given = found(client)
    given.reply = client.chat_postMessage(channel=given.at, text="Sure?", thread_ts=given.ts)["ts"]
    client.chat_postMessage(channel=given.at, text="Something else")
    return given


def written(client: WebClient) -> Given:
    """The same, with a message made of blocks."""
    given = found(client)
    given.ts = client.chat_postMessage(channel=given.at, text="Plan", blocks=[{"type": "divider"}])["ts"]
    return given


def pinned(client: WebClient) -> Given:
    """The same, with the message pinned."""
    given = found(client)
    client.pins_add(channel=given.at, timestamp=given.ts)
    return given


def bookmarked(client: WebClient) -> Given:
    """The same, with a bookmark."""
    given = found(client)
    made = client.bookmarks_add(channel_id=given.at, title="Runbook", type="link", link="https://example.com/runbook")
    given.bookmark = made["bookmark"]["id"]
    return given


def archived(client: WebClient) -> Given:
    """The same, archived."""
    given = found(client)
    client.conversations_archive(channel=given.at)
    return given


def scheduled(client: WebClient) -> Given:
    """The same, with a message for later."""
    given = found(client)
    made = client.chat_scheduleMessage(channel=given.at, text="Later", post_at=LATER)
    given.scheduled = made["scheduled_message_id"]
    return given


def outside(client: WebClient) -> Given:
    """The same, after leaving the channel."""
    given = found(client)
    given.left = given.at
    client.conversations_leave(channel=given.left)
    return given


def talking(client: WebClient) -> Given:
    """The same, with a direct conversation that is open."""
    given = found(client)
    given.dm = client.conversations_open(users=given.hubot)["channel"]["id"]
    return given


def uploaded(client: WebClient) -> Given:
    """The same, with a file."""
    given = found(client)
    given.file = client.files_upload_v2(channel=given.at, filename="log.txt", content="all well")["file"]["id"]
    return given


MESSAGE = r"channels\.\w+\.messages\.\d+"

CASES = [
    Case(
        "slack.chat.postMessage",
        lambda c, g: c.chat_postMessage(channel=g.at, text="Done"),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.chat.postMessage",
        lambda c, g: c.chat_postMessage(channel=g.at, text="Done", thread_ts=g.ts),
        found,
        outcome=Outcome.COMPENSATED,
        note="in a thread",
    ),
    Case(
        "slack.chat.update",
        lambda c, g: c.chat_update(channel=g.at, ts=g.ts, text="Deployed"),
        found,
        outcome=Outcome.COMPENSATED,
        residue=(MESSAGE + r"\.edited",),
    ),
    Case(
        "slack.chat.update",
        lambda c, g: c.chat_update(channel=g.at, ts=g.reply, text="Yes"),
        answered,
        outcome=Outcome.COMPENSATED,
        residue=(MESSAGE + r"\.thread\.0\.edited",),
        note="in a thread",
    ),
    Case(
        "slack.chat.update",
        lambda c, g: c.chat_update(channel=g.at, ts=g.ts, text="Deployed", blocks=BLOCKS),
        written,
        outcome=Outcome.COMPENSATED,
        residue=(MESSAGE + r"\.edited",),
        note="with blocks",
    ),
    Case(
        "slack.chat.delete",
        lambda c, g: c.chat_delete(channel=g.at, ts=g.reply),
        answered,
        outcome=Outcome.COMPENSATED,
        residue=(MESSAGE + r"\.thread\.0\.ts",),
        note="in a thread",
    ),
    Case(
        "slack.reactions.add",
        lambda c, g: c.reactions_add(channel=g.at, timestamp=g.reply, name="tada"),
        answered,
        note="in a thread",
    ),
    Case(
        "slack.chat.delete",
        lambda c, g: c.chat_delete(channel=g.at, ts=g.ts),
        found,
        outcome=Outcome.COMPENSATED,
        residue=(MESSAGE + ".*",),
    ),
    Case(
        "slack.chat.meMessage",
        lambda c, g: c.chat_meMessage(channel=g.at, text="waves"),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.chat.scheduleMessage",
        lambda c, g: c.chat_scheduleMessage(channel=g.at, text="Later", post_at=LATER),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.chat.deleteScheduledMessage",
        lambda c, g: c.chat_deleteScheduledMessage(channel=g.at, scheduled_message_id=g.scheduled),
        scheduled,
        outcome=Outcome.COMPENSATED,
        residue=(r"scheduled\.\w+",),
    ),
    Case(
        "slack.conversations.create",
        lambda c, _: c.conversations_create(name="incident"),
        outcome=Outcome.COMPENSATED,
        residue=(r"channels\.\w+",),
    ),
    Case(
        "slack.conversations.archive",
        lambda c, g: c.conversations_archive(channel=g.at),
        found,
        residue=(MESSAGE,),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.unarchive",
        lambda c, g: c.conversations_unarchive(channel=g.at),
        archived,
        residue=(MESSAGE,),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.rename",
        lambda c, g: c.conversations_rename(channel=g.at, name="ships"),
        found,
        residue=(MESSAGE,),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.setTopic",
        lambda c, g: c.conversations_setTopic(channel=g.at, topic="New"),
        found,
        residue=(MESSAGE,),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.setPurpose",
        lambda c, g: c.conversations_setPurpose(channel=g.at, purpose="New"),
        found,
        residue=(MESSAGE,),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.invite",
        lambda c, g: c.conversations_invite(channel=g.random, users=g.hubot),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.kick",
        lambda c, g: c.conversations_kick(channel=g.at, user=g.hubot),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.join",
        lambda c, g: c.conversations_join(channel=g.left),
        outside,
        outcome=Outcome.COMPENSATED,
    ),
    Case("slack.conversations.mark", lambda c, g: c.conversations_mark(channel=g.at, ts=g.ts), found),
    Case(
        "slack.conversations.leave",
        lambda c, g: c.conversations_leave(channel=g.at),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.conversations.open",
        lambda c, g: c.conversations_open(users=g.hubot),
        found,
        outcome=Outcome.COMPENSATED,
        residue=(r"channels\.D\w+",),
    ),
    Case(
        "slack.conversations.close",
        lambda c, g: c.conversations_close(channel=g.dm),
        talking,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.pins.add",
        lambda c, g: c.pins_add(channel=g.at, timestamp=g.ts),
        found,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "slack.pins.remove",
        lambda c, g: c.pins_remove(channel=g.at, timestamp=g.ts),
        pinned,
        outcome=Outcome.COMPENSATED,
    ),
    Case("slack.reactions.add", lambda c, g: c.reactions_add(channel=g.at, timestamp=g.ts, name="tada"), found),
    Case("slack.reactions.remove", lambda c, g: c.reactions_remove(channel=g.at, timestamp=g.ts, name="eyes"), found),
    Case(
        "slack.bookmarks.add",
        lambda c, g: c.bookmarks_add(channel_id=g.at, title="New", type="link", link="https://example.com/new"),
        found,
    ),
    Case(
        "slack.bookmarks.edit",
        lambda c, g: c.bookmarks_edit(channel_id=g.at, bookmark_id=g.bookmark, title="Handbook"),
        bookmarked,
    ),
    Case(
        "slack.bookmarks.remove",
        lambda c, g: c.bookmarks_remove(channel_id=g.at, bookmark_id=g.bookmark),
        bookmarked,
        outcome=Outcome.COMPENSATED,
        residue=(r"channels\.\w+\.bookmarks\.Runbook\.(id|date_created)",),
    ),
    Case(
        "slack.files.completeUploadExternal",
        lambda c, g: c.files_upload_v2(channel=g.at, filename="log.txt", content="all well"),
        found,
        outcome=Outcome.COMPENSATED,
        residue=(MESSAGE,),
    ),
    Case(
        "slack.files.delete",
        lambda c, g: c.files_delete(file=g.file),
        uploaded,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"files\.\w+", r"channels\..*"),
    ),
    Case(
        "slack.users.profile.set",
        lambda c, _: c.users_profile_set(profile={"status_text": "Away", "status_emoji": ":zzz:"}),
    ),
    Case("slack.users.setPresence", lambda c, _: c.users_setPresence(presence="away")),
]
