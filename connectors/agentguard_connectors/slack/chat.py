"""chat.*: messages, scheduled messages and streams.

A message is identified by its channel and timestamp. One on its own is read from the channel's history between its own
timestamp and itself; a reply is not in there and is read from its thread
(https://docs.slack.dev/messaging/retrieving-messages).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Handler,
    Json,
    Read,
    Risk,
    Step,
    Undo,
    forward,
    no_undo,
    read,
    undo,
)
from agentguard_connectors.slack.lost import marking
from agentguard_connectors.slack.service import slack
from agentguard_connectors.slack.views import content, messages_in, next_cursor, own_attachments, plain

SEEN = "people may have read it and were notified"
UNSEEN = "the message could not be read before the call"
REPOSTED = "it is posted again: at a new time, without its reactions, replies, pins and files"


def look_at(channel: str, ts: str, thread: str | None = None) -> Read:
    """Read one message."""
    if thread and thread != ts:
        return read("conversations.replies", channel=channel, ts=thread, oldest=ts, latest=ts, inclusive=True, limit=10)
    return read("conversations.history", channel=channel, oldest=ts, latest=ts, inclusive=True, limit=1)


def snapshot(channel: str, ts: str, *, metadata: bool = False) -> Generator[Step, Any, Json]:
    """Take down the message that a call is about, alone or in a thread; None where only a trace of it is left."""
    more = {"include_all_metadata": True} if metadata else {}
    alone = look_at(channel, ts)
    page = yield read(alone.operation, **alone.arguments, **more)
    for message in messages_in(page):
        if message["ts"] == ts:
            return message
    # By its own timestamp a reply is found as well; where there is no such message Slack says so.
    page = yield read("conversations.replies", channel=channel, ts=ts, limit=1, **more)
    for message in messages_in(page):
        if message["ts"] == ts:
            return message
    return None


def deletion(answer: Json, remains: str = SEEN) -> Undo:
    """The undo of a message that was posted."""
    channel, ts = answer["channel"], answer["ts"]
    message = answer.get("message") or {}
    look = look_at(channel, ts, message.get("thread_ts")).through("messages")
    # An edit shows in the text. The mark of one proves less: our own undo of an edit leaves it, too.
    left: dict[str, Json] = {f"{ts}.text": plain(message["text"])} if message.get("text") else {f"{ts}.edited": None}
    way_back = undo("chat.delete", channel=channel, ts=ts)
    return way_back.on(look, left=left, back={f"{ts}.text": ABSENT}).leaving(remains)


@slack.guards("chat.postMessage", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=SEEN)
def post_message(call: Call, mark: str | None) -> Handler:
    """Post a message; it is deleted again."""
    sent = yield marking(call, mark)
    yield deletion(sent)


@slack.guards("chat.meMessage", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=SEEN)
def post_me_message() -> Handler:
    """Post a message in the third person; it is deleted again."""
    sent = yield forward()
    yield deletion(sent)


slack.irreversible(
    "chat.postEphemeral",
    "One person sees it until they reload; no method edits or deletes it.",
    risk=Risk.LOW,
)
slack.irreversible(
    "incoming-webhook",
    "An incoming webhook does not say which message it made, so that nothing can take it back.",
    risk=Risk.MEDIUM,
)


@slack.guards("chat.update", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="the mark that it was edited")
def update_message(call: Call, channel: str, ts: str) -> Handler:
    """Edit a message; its old text, blocks and attachments come back."""
    given = call.arguments
    old = yield from snapshot(channel, ts, metadata="metadata" in given)
    if old is None:
        yield no_undo(UNSEEN)
        yield forward()
        return
    look = look_at(channel, ts, old.get("thread_ts")).through("contents")
    if "metadata" in given:
        look = replace(look, arguments={**look.arguments, "include_all_metadata": True})
    written: dict[str, Json] = {
        "text": old.get("text", ""),
        # Left out, blocks and attachments stay as the call made them; an empty list removes them.
        "blocks": old.get("blocks") or [],
    }
    if own_attachments(old) or given.get("attachments") is not None:
        written["attachments"] = own_attachments(old)
    if "metadata" in given:
        written["metadata"] = old.get("metadata") or {}
    # The text comes back as Slack keeps it, with links marked up; without `parse` it would be marked up again.
    way_back = undo("chat.update", channel=channel, ts=ts, **written, parse="none")
    new = content({name: given[name] for name in given if given[name] is not None})
    left = {f"{ts}.{name}": new[name] for name in ("text", "blocks", "attachments") if given.get(name) is not None}
    before = {name: value for name, value in content(old).items() if name != "metadata"}
    if "metadata" in given:
        before["metadata"] = old.get("metadata") or ABSENT
    back = {f"{ts}.{name}": value for name, value in before.items()}
    marks = {
        "it is marked as edited": not old.get("edited"),
        "its files stay as the call left them": given.get("file_ids") is not None,
        "it stays shown in the channel, beside its thread": bool(given.get("reply_broadcast")),
    }
    remains = "; ".join(words for words, so in marks.items() if so)
    yield way_back.on(look, left=left, back=back, same_shape=True).leaving(remains)
    yield forward()


@slack.guards("chat.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=REPOSTED)
def delete_message(channel: str, ts: str) -> Handler:
    """Delete a message; it is posted again, as a new one."""
    old = yield from snapshot(channel, ts, metadata=True)
    if old is None:
        yield no_undo(UNSEEN)
        yield forward()
        return
    again = {
        "text": old.get("text", ""),
        "blocks": old.get("blocks"),
        "attachments": own_attachments(old) or None,
        "metadata": old.get("metadata"),
    }
    thread = old.get("thread_ts")
    if thread and thread != ts:
        again["thread_ts"] = thread
    given = {name: value for name, value in again.items() if value is not None}
    yield undo("chat.postMessage", channel=channel, **given, parse="none").leaving(REPOSTED)
    yield forward()


@slack.guards("chat.scheduleMessage", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="nothing, before it is posted")
def schedule_message() -> Handler:
    """Schedule a message; it is taken off the schedule, up to a minute before it is posted.

    There is no look: a message that is off the schedule may have been deleted or posted, and no read tells which.
    """
    made = yield forward()
    yield undo(
        "chat.deleteScheduledMessage", channel=made["channel"], scheduled_message_id=made["scheduled_message_id"]
    )


@slack.guards("chat.deleteScheduledMessage", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="a new id, text only")
def unschedule_message(channel: str, scheduled_message_id: str) -> Handler:
    """Take a message off the schedule; its text is scheduled again."""
    cursor = ""
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = yield read("chat.scheduledMessages.list", channel=channel, limit=100, **more)
        found = [one for one in page["scheduled_messages"] if one["id"] == scheduled_message_id]
        cursor = next_cursor(page)
        if found or not cursor:
            break
    for old in found:
        way_back = undo("chat.scheduleMessage", channel=channel, text=old.get("text", ""), post_at=old["post_at"])
        yield way_back.leaving("it is scheduled under a new id, and of its content only the text")
    if not found:
        yield no_undo("it was not among the scheduled messages of this client")
    yield forward()


@slack.guards("chat.startStream", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=SEEN)
def start_stream() -> Handler:
    """Begin a message that is written bit by bit; it is deleted again."""
    begun = yield forward()
    channel, ts = begun["channel"], begun["ts"]
    # By its own timestamp: the answer does not say which thread it is in.
    look = read("conversations.replies", channel=channel, ts=ts, limit=1).through("messages")
    yield undo("chat.delete", channel=channel, ts=ts).on(look, left={}, back=ABSENT).leaving(SEEN)


@slack.guards("chat.appendStream", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="the mark that it was edited")
def append_stream(channel: str, ts: str) -> Handler:
    """Write on in a streamed message; its former text comes back, once it is finished."""
    yield from _streamed(channel, ts)


@slack.guards("chat.stopStream", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="the mark that it was edited")
def stop_stream(channel: str, ts: str) -> Handler:
    """Finish a streamed message; its former text comes back, and it stays finished."""
    yield from _streamed(channel, ts)


def _streamed(channel: str, ts: str) -> Handler:
    old = yield from snapshot(channel, ts)
    look = read("conversations.replies", channel=channel, ts=ts, limit=1).through("messages")
    if old is None:
        yield no_undo(UNSEEN)
        yield forward()
        return
    if old.get("text"):
        way_back = undo(
            "chat.update", channel=channel, ts=ts, text=old["text"], blocks=old.get("blocks") or [], parse="none"
        )
        back: Json = {f"{ts}.text": plain(old["text"])}
    else:
        way_back, back = undo("chat.delete", channel=channel, ts=ts), ABSENT
    yield way_back.on(look, left={}, back=back).leaving("it is marked as edited, and stays finished")
    yield forward()
