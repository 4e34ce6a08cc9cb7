"""conversations.*: the channels themselves, and reading what is in them."""

from __future__ import annotations

import re
from typing import Any

from agentguard.sandbox.slack.chat import direct
from agentguard.sandbox.slack.seed import channel as new_channel
from agentguard.sandbox.slack.workspace import Work, fail, method

SHOWN = (
    "id",
    "name",
    "is_channel",
    "is_private",
    "is_im",
    "is_mpim",
    "is_general",
    "is_archived",
    "created",
    "creator",
    "topic",
    "purpose",
)


def show(work: Work, channel: dict[str, Any]) -> dict[str, Any]:
    """A conversation as the caller sees it."""
    shown = {name: channel[name] for name in SHOWN} | {"is_member": work.me in channel["members"]}
    if channel["is_im"]:
        others = [m for m in channel["members"] if m != work.me]
        shown |= {"user": others[0] if others else work.me, "is_open": work.me in channel["open_for"]}
    elif channel["is_mpim"]:
        shown["is_open"] = work.me in channel["open_for"]
    if work.me in channel["members"]:
        shown["last_read"] = channel["last_read"].get(work.me, "0000000000.000000")
    return shown


def checked_name(work: Work) -> str:
    """The argument `name`, if it can be a new channel's."""
    name = str(work.need("name", "invalid_name_required"))
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise fail("invalid_name_specials")
    if any(channel["name"] == name for channel in work.state["channels"].values()):
        raise fail("name_taken")
    return name


@method("conversations.create")
def create(work: Work) -> dict[str, Any]:
    private = work.flag("is_private")
    made = new_channel(work.new_id("C"), checked_name(work), [work.me], private=private)
    made |= {"created": work.now(), "creator": work.me}
    work.state["channels"][made["id"]] = made
    work.notice(made, "channel_join", "has joined the channel")
    return {"channel": show(work, made)}


@method("conversations.rename")
def rename(work: Work) -> dict[str, Any]:
    channel = work.channel()
    if channel["is_im"] or channel["is_mpim"]:
        raise fail("method_not_supported_for_channel_type")
    if work.me not in channel["members"]:
        raise fail("not_in_channel")
    if channel["creator"] != work.me and not work.state["users"][work.me]["is_admin"]:
        raise fail("not_authorized")
    old = channel["name"]
    channel["name"] = checked_name(work)
    text = f'has renamed the channel from "{old}" to "{channel["name"]}"'
    work.notice(channel, "channel_name", text, old_name=old, name=channel["name"])
    return {"channel": show(work, channel)}


@method("conversations.setTopic")
def set_topic(work: Work) -> dict[str, Any]:
    return set_text(work, "topic")


@method("conversations.setPurpose")
def set_purpose(work: Work) -> dict[str, Any]:
    return set_text(work, "purpose")


def set_text(work: Work, name: str) -> dict[str, Any]:
    """Set topic or purpose; an empty one is allowed, a missing one is not."""
    channel = work.channel(member=True)
    value = work.get(name)
    if value is None:
        raise fail("invalid_arguments")
    if len(value) > 250:
        raise fail("too_long")
    channel[name] = {"value": value, "creator": work.me, "last_set": work.now()}
    words = f"set the channel {name}: {value}" if value else f"cleared the channel {name}"
    work.notice(channel, f"channel_{name}", words, **{name: value})
    return {name: value, "channel": show(work, channel)}


@method("conversations.archive")
def archive(work: Work) -> dict[str, Any]:
    channel = work.channel(archived=True)
    if channel["is_archived"]:
        raise fail("already_archived")
    if channel["is_general"]:
        raise fail("cant_archive_general")
    if channel["is_im"]:
        raise fail("method_not_supported_for_channel_type")
    if work.me not in channel["members"]:
        raise fail("not_in_channel")
    channel["is_archived"] = True
    work.notice(channel, "channel_archive", "archived the channel", members=list(channel["members"]))
    channel["members"] = []
    return {}


@method("conversations.unarchive")
def unarchive(work: Work) -> dict[str, Any]:
    channel = next((c for c in work.state["channels"].values() if c["id"] == work.need("channel")), None)
    if channel is None:
        raise fail("channel_not_found")
    if not channel["is_archived"]:
        raise fail("not_archived")
    if work.is_bot:
        # "Bot tokens cannot currently be used to unarchive": docs.slack.dev/reference/methods/conversations.unarchive
        raise fail("not_in_channel")
    channel["is_archived"] = False
    archived = [m for m in channel["messages"].values() if m.get("subtype") == "channel_archive"]
    before = archived[-1]["members"] if archived else []
    channel["members"] = before if work.me in before else [*before, work.me]
    work.notice(channel, "channel_unarchive", "un-archived the channel")
    return {}


@method("conversations.open")
def open_direct(work: Work) -> dict[str, Any]:
    work.get("return_im")
    if work.get("channel"):
        channel = work.channel()
        if not (channel["is_im"] or channel["is_mpim"]):
            raise fail("method_not_supported_for_channel_type")
    else:
        users = work.names("users")
        if not users:
            raise fail("users_list_not_supplied")
        if any(user not in work.state["users"] for user in users):
            raise fail("user_not_found")
        known = len(work.state["channels"])
        channel = direct(work, users)
        if len(work.state["channels"]) == known and work.me in channel["open_for"]:
            return {"no_op": True, "already_open": True, "channel": {"id": channel["id"]}}
    already = work.me in channel["open_for"]
    if not already:
        channel["open_for"].append(work.me)
    return {"channel": {"id": channel["id"]}, **({"no_op": True, "already_open": True} if already else {})}


@method("conversations.close")
def close(work: Work) -> dict[str, Any]:
    channel = work.channel()
    if not (channel["is_im"] or channel["is_mpim"]):
        raise fail("method_not_supported_for_channel_type")
    if work.me not in channel["open_for"]:
        return {"no_op": True, "already_closed": True}
    channel["open_for"].remove(work.me)
    return {}


@method("conversations.mark")
def mark(work: Work) -> dict[str, Any]:
    channel = work.channel(member=True)
    channel["last_read"][work.me] = str(work.need("ts", "invalid_timestamp"))
    return {}


@method("conversations.info")
def info(work: Work) -> dict[str, Any]:
    channel = work.channel(archived=True)
    more = {"num_members": len(channel["members"])} if work.flag("include_num_members") else {}
    work.get("include_locale")
    return {"channel": show(work, channel) | more}


@method("conversations.list", "users.conversations")
def list_channels(work: Work) -> dict[str, Any]:
    kinds = work.names("types") or ["public_channel"]
    channels = [c for c in work.state["channels"].values() if kind(c) in kinds]
    if work.method == "users.conversations":
        who = work.get("user") or work.me
        channels = [c for c in channels if who in c["members"]]
    channels = [c for c in channels if not c["is_private"] or work.me in c["members"]]
    if work.flag("exclude_archived"):
        channels = [c for c in channels if not c["is_archived"]]
    page, meta = work.page([show(work, c) for c in channels])
    return {"channels": page, **meta}


def kind(channel: dict[str, Any]) -> str:
    """The type of a conversation, as `types` names it."""
    if channel["is_im"]:
        return "im"
    if channel["is_mpim"]:
        return "mpim"
    return "private_channel" if channel["is_private"] else "public_channel"


@method("conversations.members")
def members(work: Work) -> dict[str, Any]:
    page, meta = work.page(work.channel(archived=True)["members"])
    return {"members": page, **meta}


@method("conversations.history")
def history(work: Work) -> dict[str, Any]:
    channel = readable(work)
    found = [m for m in channel["messages"].values() if m.get("thread_ts", m["ts"]) == m["ts"] and within(work, m)]
    page, meta = work.page(sorted((present(work, channel, m) for m in found), key=ts_of, reverse=True))
    return {"messages": page, "has_more": bool(meta["response_metadata"]["next_cursor"]), "pin_count": 0, **meta}


@method("conversations.replies")
def replies(work: Work) -> dict[str, Any]:
    channel = readable(work)
    ts = str(work.need("ts", "thread_not_found"))
    start = channel["messages"].get(ts)
    if start is None:
        raise fail("thread_not_found")
    thread = [m for m in channel["messages"].values() if m.get("thread_ts") == ts and m["ts"] != ts and within(work, m)]
    page, meta = work.page([present(work, channel, m) for m in [start, *sorted(thread, key=ts_of)]], 1000)
    return {"messages": page, "has_more": bool(meta["response_metadata"]["next_cursor"]), **meta}


def readable(work: Work) -> dict[str, Any]:
    """The channel whose messages are asked for; its members may read it, archived or not."""
    channel = work.channel(archived=True)
    if work.me not in channel["members"] and not channel["is_archived"]:
        raise fail("not_in_channel")
    return channel


def within(work: Work, message: dict[str, Any]) -> bool:
    """Whether *message* lies between `oldest` and `latest`."""
    oldest, latest = float(work.get("oldest") or 0), float(work.get("latest") or 1e12)
    ts = float(message["ts"])
    return oldest <= ts <= latest if work.flag("inclusive") else oldest < ts < latest


def present(work: Work, channel: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """A message as history shows it."""
    shown = {name: value for name, value in message.items() if name != "members"}
    if "metadata" in shown and not work.flag("include_all_metadata"):
        shown["metadata"] = {"event_type": shown["metadata"]["event_type"]}
    answers = [m for m in channel["messages"].values() if m.get("thread_ts") == message["ts"] != m["ts"]]
    if answers:
        shown |= {"thread_ts": message["ts"], "reply_count": len(answers), "latest_reply": max(map(ts_of, answers))}
    if any(pin.get("ts") == message["ts"] for pin in channel["pins"]):
        shown["pinned_to"] = [channel["id"]]
    return shown


def ts_of(message: dict[str, Any]) -> str:
    """The timestamp, to sort by."""
    return str(message["ts"])
