"""conversations.*: making, naming and archiving channels, and direct messages.

Whatever happens to a channel is announced in it, so that hardly anything here can be taken back without a trace.
"""

from __future__ import annotations

from datetime import datetime

from agentguard.calls import Effect, Finder, Handler, Json, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.slack.service import slack
from agentguard_connectors.slack.views import next_cursor

NOTICES = "the channel shows a notice of the change and one of the change back"
BACK_AGAIN = f"{NOTICES}, and members may have to be invited again"
STAYS = "the channel stays, archived, and its name stays taken"
NEVER_READ = "0000000000.000000"


@slack.guards("conversations.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=STAYS)
def create() -> Handler:
    """Create a channel; it is archived, because only an organisation's administrators can delete one."""
    made = yield forward()
    channel = made["channel"]["id"]
    look = read("conversations.info", channel=channel).through("channel")
    way_back = undo("conversations.archive", channel=channel)
    yield way_back.on(look, left={"is_archived": False}, back={"is_archived": True}).leaving(STAYS)


@slack.finds("conversations.create")
def find_channel(name: str, since: str) -> Finder:
    """Look for a channel of this name that this client created since the intent."""
    me = yield read("auth.test")
    cursor = ""
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = yield read("conversations.list", types="public_channel,private_channel", limit=999, **more)
        for channel in page["channels"]:
            ours = channel.get("creator") == me["user_id"]
            if (
                channel["name"] == name
                and ours
                and channel["created"] >= int(datetime.fromisoformat(since).timestamp())
            ):
                return {"ok": True, "channel": channel}
        cursor = next_cursor(page)
        if not cursor:
            return None


@slack.guards("conversations.rename", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=NOTICES)
def rename(channel: str, name: str) -> Handler:
    """Rename a channel; the old name comes back."""
    yield from _write_back("conversations.rename", channel, "name", name)


@slack.guards("conversations.setTopic", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=NOTICES)
def set_topic(channel: str, topic: str) -> Handler:
    """Set a channel's topic; the old one comes back."""
    yield from _write_back("conversations.setTopic", channel, "topic", topic)


@slack.guards("conversations.setPurpose", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=NOTICES)
def set_purpose(channel: str, purpose: str) -> Handler:
    """Set a channel's purpose; the old one comes back."""
    yield from _write_back("conversations.setPurpose", channel, "purpose", purpose)


def _write_back(operation: str, channel: str, name: str, new: Json) -> Handler:
    look = read("conversations.info", channel=channel).through("channel")
    before = yield look
    way_back = undo(operation, channel=channel, **{name: before[name]})
    yield way_back.on(look, left={name: new}, back={name: before[name]}, same_shape=True).leaving(NOTICES)
    yield forward()


@slack.guards("conversations.archive", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=BACK_AGAIN)
def archive(channel: str) -> Handler:
    """Archive a channel; a user token can bring it back, a bot token cannot.

    https://docs.slack.dev/reference/methods/conversations.unarchive says so.
    """
    me = yield read("auth.test")
    if me.get("bot_id"):
        yield no_undo("Slack lets no bot bring a channel back; somebody has to unarchive it by hand")
    else:
        look = read("conversations.info", channel=channel).through("channel")
        way_back = undo("conversations.unarchive", channel=channel)
        yield way_back.on(look, left={"is_archived": True}, back={"is_archived": False}).leaving(BACK_AGAIN)
    yield forward()


@slack.guards("conversations.unarchive", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=NOTICES)
def unarchive(channel: str) -> Handler:
    """Bring an archived channel back; it is archived again."""
    look = read("conversations.info", channel=channel).through("channel")
    way_back = undo("conversations.archive", channel=channel)
    yield way_back.on(look, left={"is_archived": False}, back={"is_archived": True}).leaving(NOTICES)
    yield forward()


@slack.guards("conversations.open", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="an empty direct message")
def open_direct() -> Handler:
    """Open a direct message; it is closed again, if it was not open before."""
    opened = yield forward()
    if opened.get("already_open"):
        yield unchanged("it was open before")
    else:
        way_back = undo("conversations.close", channel=opened["channel"]["id"])
        yield way_back.leaving("it is closed, and stays where people can find it")


@slack.guards("conversations.close", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="its place in the list")
def close_direct(channel: str) -> Handler:
    """Close a direct message; it is opened again, if it was open before."""
    closed = yield forward()
    if closed.get("already_closed"):
        yield unchanged("it was closed before")
    else:
        yield undo("conversations.open", channel=channel).leaving("it is open again, elsewhere in the list perhaps")


@slack.guards("conversations.mark", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def mark(channel: str, ts: str) -> Handler:
    """Move the mark of what this client has read; it is moved back."""
    look = read("conversations.info", channel=channel).through("channel")
    before = yield look
    if "last_read" in before:
        way_back = undo("conversations.mark", channel=channel, ts=before["last_read"] or NEVER_READ)
        yield way_back.on(look, left={"last_read": ts}, back={"last_read": before["last_read"]})
    else:
        yield no_undo("Slack does not show this client what it had read before")
    yield forward()
