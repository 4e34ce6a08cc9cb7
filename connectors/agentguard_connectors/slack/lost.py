"""Looking for what a call made when its answer was lost.

A message carries a mark of ours in its metadata (https://docs.slack.dev/messaging/message-metadata), which is for
programs and is no part of what the message says; Slack gives it out with `include_all_metadata`. That no message
carries the mark proves that none was posted, unless this client has posted something since that may have lost it. What
proves neither raises `Unclear`: a None of an authoritative finder would be believed.
"""

from __future__ import annotations

import re
from datetime import datetime

from agentguard.calls import Call, Finder, Forward, Json, forward, read
from agentguard_connectors.slack.service import slack
from agentguard_connectors.slack.views import messages_in, next_cursor, plain

EVENT = "agentguard"
"""The type of our metadata. An app that subscribes to it by this name is told of each message."""
PAGE = 200
PAGES = 20
"""As many pages as are read."""
SKEW = 300
"""Seconds by which Slack's clock and ours may be apart."""
SOON = 3600
"""Seconds after the intent from which on nothing new can be the call's."""
CONVERSATION = re.compile(r"[CDG][A-Z0-9]{5,}")
PERSON = re.compile(r"[UW][A-Z0-9]{4,}")


class Unclear(LookupError):
    """Nothing shows whether the call happened."""


def marking(call: Call, mark: str | None) -> Forward:
    """Let a message go with *mark* in its metadata; as it is where the caller gave metadata."""
    if mark is None or call.arguments.get("metadata") is not None:
        return forward()
    return forward().changing(metadata={"event_type": EVENT, "event_payload": {"mark": mark}})


def mark_of(message: Json) -> str | None:
    """The mark of a message, or of the arguments of a call that posts one."""
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT:
        return None
    mark = (metadata.get("event_payload") or {}).get("mark")
    return mark if isinstance(mark, str) else None


def seconds(since: str) -> int:
    """A time of an intent as Slack counts."""
    return int(datetime.fromisoformat(since).timestamp())


def conversation(channel: Json) -> Finder:
    """The id of the conversation that a message to *channel* went to, which may be a person or a name."""
    wanted = str(channel)
    if CONVERSATION.fullmatch(wanted):
        return wanted
    person = PERSON.fullmatch(wanted) is not None
    cursor = ""
    for _page in range(PAGES):
        more = {"cursor": cursor} if cursor else {}
        kinds = "im" if person else "public_channel,private_channel"
        page = yield read("users.conversations", types=kinds, limit=PAGE, **more)
        for one in page["channels"]:
            if (one.get("user") if person else one.get("name")) == wanted.removeprefix("#"):
                return one["id"]
        cursor = next_cursor(page)
        if not cursor:
            break
    raise Unclear(f"this client is in no conversation called {wanted}, where the message could be looked for")


def posted(channel: str, thread: str | None, since: str) -> Finder:
    """All messages of a channel, or of a thread in it, that can have been posted by a call of that time."""
    around = seconds(since)
    window = {"oldest": f"{around - SKEW}.000000", "latest": f"{around + SOON}.000000"}
    listing, where = "conversations.history", {"channel": channel, **window}
    if thread:
        first = yield read("conversations.replies", channel=channel, ts=thread, limit=1)
        root = next((one for one in messages_in(first) if one["ts"] == thread), None)
        if root is None:
            raise Unclear("the message that was answered is not there, and the answer cannot be looked for under it")
        listing, where = "conversations.replies", {**where, "ts": root.get("thread_ts") or thread}
    found: dict[str, Json] = {}
    cursor = ""
    for _page in range(PAGES):
        more = {"cursor": cursor} if cursor else {}
        page = yield read(listing, **where, include_all_metadata=True, limit=PAGE, **more)
        # The first message of a thread comes with each page of its answers.
        found |= {one["ts"]: one for one in messages_in(page) if one["ts"] != where.get("ts")}
        cursor = next_cursor(page)
        if not cursor:
            return list(found.values())
    raise Unclear(f"there is more to look through than {PAGES} pages")


def own(found: list[Json]) -> Finder:
    """Those of *found* that this client has posted."""
    me = yield read("auth.test")
    bot = me.get("bot_id")
    return [one for one in found if one.get("user") == me["user_id"] or (bot and one.get("bot_id") == bot)]


def words(text: Json) -> set[str]:
    """What a text says, however Slack writes its links, mentions and control characters."""
    return set(re.findall(r"\w+", plain(text if isinstance(text, str) else "").lower()))


def answer(channel: str, message: Json, text: Json) -> Json:
    """What the lost answer said of *message*. If somebody has edited it since, their words are not the call's."""
    if message.get("edited"):
        message = {**message, "text": text if isinstance(text, str) else ""}
    return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}


@slack.finds("chat.postMessage", authoritative=True, exact=True)
def find_message(call: Call, channel: Json, thread_ts: str | None, mark: str | None, since: str) -> Finder:
    """Look for the message with our mark; without one, for the only one of ours with this text since the intent."""
    given = call.arguments
    text = given.get("text") or given.get("markdown_text")
    where = yield from conversation(channel)
    found = yield from posted(where, thread_ts, since)
    with_mark = [one for one in found if mark is not None and mark_of(one) == mark]
    if len(with_mark) == 1:
        return answer(where, with_mark[0], text)
    if with_mark:
        raise Unclear(f"{len(with_mark)} messages carry its mark, and only one of them can be what it posted")
    bare = [one for one in (yield from own(found)) if mark_of(one) is None]
    if mark is None or mark_of(given) != mark:
        same = [one for one in bare if text and says(one, text) and float(one["ts"]) >= seconds(since)]
        if len(same) == 1:
            return answer(where, same[0], text)
        raise Unclear(f"it was sent without a mark, and {len(same) or 'none'} of this client's messages says the same")
    if any(one.get("edited") or hides_metadata(one) or words(text) <= words(one.get("text")) for one in bare):
        raise Unclear(
            "it is not there by its mark, and a message of this client's since may be it and have lost the mark"
        )
    return None


def says(message: Json, text: Json) -> bool:
    """Whether a message has this text."""
    return plain(message.get("text", "")) == plain(str(text))


def hides_metadata(message: Json) -> bool:
    """Whether Slack tells that a message has metadata of ours and not what is in it."""
    return (message.get("metadata") or {}).get("event_type") == EVENT


# Where no mark can be put


@slack.finds("chat.meMessage", exact=True)
def find_me_message(channel: Json, text: str, since: str) -> Finder:
    """Look for the one message of this client's with this text since the intent."""
    where = yield from conversation(channel)
    mine = yield from own((yield from posted(where, None, since)))
    same = [one for one in mine if says(one, text) and float(one["ts"]) >= seconds(since)]
    return {"ok": True, "channel": where, "ts": same[0]["ts"]} if len(same) == 1 else None


@slack.finds("chat.startStream", exact=True)
def find_stream(channel: Json, thread_ts: str | None, markdown_text: str | None, since: str) -> Finder:
    """Look for the one message of this client's in the thread that begins like this since the intent."""
    if not markdown_text or not thread_ts:
        return None
    where = yield from conversation(channel)
    mine = yield from own((yield from posted(where, thread_ts, since)))
    recent = [one for one in mine if float(one["ts"]) >= seconds(since) and mark_of(one) is None]
    same = [one for one in recent if plain(one.get("text", "")).startswith(plain(markdown_text))]
    return {"ok": True, "channel": where, "ts": same[0]["ts"]} if len(same) == 1 else None


@slack.finds("chat.scheduleMessage", exact=True)
def find_scheduled(channel: Json, text: str | None, post_at: Json, since: str) -> Finder:
    """Look for the one message that was scheduled for this time, in this channel, with this text since the intent.

    The list shows what this client has scheduled, and no metadata of it.
    """
    where = yield from conversation(channel)
    cursor, same = "", []
    for _page in range(PAGES):
        more = {"cursor": cursor} if cursor else {}
        page = yield read("chat.scheduledMessages.list", channel=where, limit=100, **more)
        for one in page["scheduled_messages"]:
            alike = int(one["post_at"]) == int(post_at) and says(one, text or "")
            if alike and one["channel_id"] == where and one["date_created"] >= seconds(since):
                same.append(one)
        cursor = next_cursor(page)
        if not cursor:
            break
    if cursor or len(same) != 1:
        return None
    found = {"scheduled_message_id": same[0]["id"], "post_at": same[0]["post_at"]}
    return {"ok": True, "channel": where, **found, "message": {"text": same[0].get("text", "")}}
