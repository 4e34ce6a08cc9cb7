"""chat.*: posting, editing and deleting messages, scheduled ones included, and streams."""

from __future__ import annotations

import re
from typing import Any

from agentguard.sandbox.slack.seed import channel as new_channel
from agentguard.sandbox.slack.workspace import Work, dict_of, fail, method


def own_blocks(text: str) -> list[dict[str, Any]]:
    """The rich-text block that Slack derives from a text that comes without blocks."""
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "derived", "elements": [section]}]


def escape(text: str) -> str:
    """Write the three control characters as Slack stores them."""
    for raw, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        if entity not in text and not (raw in "<>" and ("<@" in text or "<http" in text or "<!" in text)):
            text = text.replace(raw, entity)
    return text


def destination(work: Work) -> dict[str, Any]:
    """The conversation to post to; a user id means the direct message with that user."""
    wanted = str(work.get("channel") or "")
    if wanted in work.state["users"]:
        return direct(work, [wanted])
    channel = work.channel()
    if work.me not in channel["members"]:
        raise fail("not_in_channel")
    return channel


def direct(work: Work, users: list[str]) -> dict[str, Any]:
    """The direct message with *users*, made when it is not there."""
    members = sorted({work.me, *users})
    for channel in work.state["channels"].values():
        if (channel["is_im"] or channel["is_mpim"]) and sorted(channel["members"]) == members:
            return dict_of(channel)
    several = len(members) > 2
    made = new_channel(work.new_id("G" if several else "D"), "", members, im=not several, mpim=several, private=True)
    work.state["channels"][made["id"]] = made
    return made


def compose(work: Work, channel: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """A message from the arguments of the call; not yet posted."""
    text = escape(str(work.get("text") or work.get("markdown_text") or ""))
    blocks, attachments = work.get("blocks"), work.get("attachments")
    if not text and not blocks and not attachments:
        raise fail("no_text")
    if len(text) > 40_000:
        raise fail("msg_too_long")
    message: dict[str, Any] = {"type": "message", "user": work.me, "text": text, "team": "T0ACME"}
    if work.is_bot:
        message |= {"bot_id": "B0BOT", "app_id": "A0APP"}
    if blocks or (text and not attachments):
        message["blocks"] = blocks or own_blocks(text)
    if attachments:
        message["attachments"] = [{"id": at + 1, **a} for at, a in enumerate(attachments)]
    message |= described(work)
    thread = work.get("thread_ts")
    if thread:
        parent = channel["messages"].get(thread)
        if parent is None or parent.get("subtype") == "tombstone":
            raise fail("thread_not_found")
        message["thread_ts"] = parent.get("thread_ts", thread)
    return message | extra


def described(work: Work) -> dict[str, Any]:
    """The metadata of the call; what is malformed is ignored, as with the real Slack."""
    given = work.get("metadata")
    kind = given.get("event_type") if isinstance(given, dict) else None
    named = isinstance(kind, str) and re.fullmatch(r"[A-Za-z0-9_-]+", kind)
    return {"metadata": given} if named and isinstance(given.get("event_payload"), dict) else {}


def append(work: Work, channel: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """Put *message* into *channel*."""
    message["ts"] = work.ts()
    channel["messages"][message["ts"]] = message
    return message


@method("chat.postMessage")
def post(work: Work) -> dict[str, Any]:
    for ignored in ("unfurl_links", "unfurl_media", "mrkdwn", "parse", "link_names", "username", "icon_emoji"):
        work.get(ignored)
    channel = destination(work)
    message = append(work, channel, compose(work, channel))
    return {"channel": channel["id"], "ts": message["ts"], "message": message}


@method("chat.meMessage")
def me(work: Work) -> dict[str, Any]:
    channel = destination(work)
    message = append(work, channel, compose(work, channel, subtype="me_message"))
    return {"channel": channel["id"], "ts": message["ts"]}


@method("chat.postEphemeral")
def ephemeral(work: Work) -> dict[str, Any]:
    channel = work.channel(member=True)
    if work.need("user") not in channel["members"]:
        raise fail("user_not_in_channel")
    compose(work, channel)
    return {"message_ts": work.ts()}


@method("chat.update")
def update(work: Work) -> dict[str, Any]:
    channel = work.channel()
    message = work.message(channel)
    if message["user"] != work.me or message.get("subtype") not in (None, "me_message"):
        raise fail("cant_update_message")
    for ignored in ("parse", "link_names", "reply_broadcast", "as_user"):
        work.get(ignored)
    text, blocks, attachments = work.get("text"), work.get("blocks"), work.get("attachments")
    if text is None and blocks is None and attachments is None:
        raise fail("no_text")
    derived = [b.get("block_id") for b in message.get("blocks", ())] == ["derived"]
    if text is not None:
        message["text"] = escape(str(text))
    if blocks is not None:
        message["blocks"] = blocks
    elif derived:
        message["blocks"] = own_blocks(message["text"])
    if attachments is not None:
        message["attachments"] = [{"id": at + 1, **a} for at, a in enumerate(attachments)]
    # Left out it stays; an empty one takes it away.
    message |= {"metadata": {}} if work.get("metadata") == {} else described(work)
    for name in ("blocks", "attachments", "metadata"):
        if not message.get(name):
            message.pop(name, None)
    message["edited"] = {"user": work.me, "ts": work.ts()}
    return {"channel": channel["id"], "ts": message["ts"], "text": message["text"], "message": message}


@method("chat.delete")
def delete(work: Work) -> dict[str, Any]:
    channel = work.channel()
    message = work.message(channel)
    work.get("as_user")
    if message["user"] != work.me and work.is_bot:
        raise fail("cant_delete_message")
    ts = message["ts"]
    if any(m.get("thread_ts") == ts for m in channel["messages"].values() if m["ts"] != ts):
        channel["messages"][ts] = {
            "type": "message",
            "subtype": "tombstone",
            "user": "USLACKBOT",
            "text": "This message was deleted.",
            "ts": ts,
            "hidden": True,
            "thread_ts": ts,
        }
    else:
        del channel["messages"][ts]
    channel["pins"] = [pin for pin in channel["pins"] if pin.get("ts") != ts]
    return {"channel": channel["id"], "ts": ts}


@method("chat.getPermalink")
def permalink(work: Work) -> dict[str, Any]:
    channel = work.channel(archived=True)
    ts = work.message(channel, "message_ts")["ts"]
    return {"channel": channel["id"], "permalink": f"https://acme.slack.com/archives/{channel['id']}/p{ts}"}


@method("chat.scheduleMessage")
def schedule(work: Work) -> dict[str, Any]:
    channel = destination(work)
    message = compose(work, channel)
    post_at = int(work.need("post_at", "invalid_time"))
    if post_at <= work.now():
        raise fail("time_in_past")
    identifier = work.new_id("Q")
    kept = {"id": identifier, "channel_id": channel["id"], "post_at": post_at, "date_created": work.now()}
    work.state["scheduled"][identifier] = {**kept, "text": message["text"], "message": message}
    answer = {"channel": channel["id"], "scheduled_message_id": identifier, "post_at": post_at}
    return {**answer, "message": message}


@method("chat.scheduledMessages.list")
def scheduled(work: Work) -> dict[str, Any]:
    wanted, oldest, latest = work.get("channel"), work.get("oldest"), work.get("latest")
    found = [
        {name: value for name, value in s.items() if name != "message"}
        for s in work.state["scheduled"].values()
        if wanted in (None, "", s["channel_id"])
        and (oldest is None or s["post_at"] >= int(oldest))
        and (latest is None or s["post_at"] <= int(latest))
        and s["message"]["user"] == work.me
    ]
    page, meta = work.page(found)
    return {"scheduled_messages": page, **meta}


@method("chat.deleteScheduledMessage")
def unschedule(work: Work) -> dict[str, Any]:
    work.channel()
    identifier = work.need("scheduled_message_id")
    kept = work.state["scheduled"].get(identifier)
    if kept is None or kept["post_at"] <= work.now() + 60:
        raise fail("invalid_scheduled_message_id")
    del work.state["scheduled"][identifier]
    return {}


@method("chat.startStream")
def start_stream(work: Work) -> dict[str, Any]:
    channel = destination(work)
    work.need("thread_ts")
    work.get("recipient_user_id"), work.get("recipient_team_id")
    text = streamed(work)
    message = compose(Work(work.state, work.method, {**work.given, "text": text or "…"}, work.me, work.effect), channel)
    ts = append(work, channel, {**message, "text": text, "streaming": True})["ts"]
    return {"channel": channel["id"], "ts": ts}


def streamed(work: Work) -> str:
    """The text that a call adds to a streamed message."""
    chunks = "".join(chunk.get("text", "") for chunk in work.get("chunks") or [])
    return str(work.get("markdown_text") or "") + chunks


@method("chat.appendStream", "chat.stopStream")
def append_stream(work: Work) -> dict[str, Any]:
    channel = work.channel(member=True)
    message = work.message(channel)
    if not message.get("streaming"):
        raise fail("message_not_in_streaming_state")
    message["text"] += streamed(work)
    if work.method == "chat.stopStream":
        del message["streaming"]
    return {"channel": channel["id"], "ts": message["ts"], "message": message}
