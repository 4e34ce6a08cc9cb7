"""conversations.*: who is in a channel."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.slack.conversations import show
from agentguard.sandbox.slack.workspace import Work, fail, method


def group(work: Work) -> dict[str, Any]:
    """The channel of the call, which is not a direct message."""
    channel = work.channel()
    if channel["is_im"] or channel["is_mpim"]:
        raise fail("method_not_supported_for_channel_type")
    return channel


@method("conversations.invite")
def invite(work: Work) -> dict[str, Any]:
    channel = group(work)
    if work.me not in channel["members"]:
        raise fail("not_in_channel")
    users = work.names("users")
    if not users:
        raise fail("no_user")
    errors = [e for user in users if (e := cannot_join(work, channel, user))]
    fine = [user for user in users if not cannot_join(work, channel, user)]
    if errors and not (work.flag("force") and fine):
        raise fail(errors[0]["error"], errors=errors)
    for user in fine:
        channel["members"].append(user)
        work.notice(channel, "channel_join", "has joined the channel", user, inviter=work.me)
    return {"channel": show(work, channel), **({"errors": errors} if errors else {})}


def cannot_join(work: Work, channel: dict[str, Any], user: str) -> dict[str, Any] | None:
    """Why *user* cannot be invited."""
    if user not in work.state["users"]:
        return {"user": user, "ok": False, "error": "user_not_found"}
    if user == work.me:
        return {"user": user, "ok": False, "error": "cant_invite_self"}
    if user in channel["members"]:
        return {"user": user, "ok": False, "error": "already_in_channel"}
    return None


@method("conversations.kick")
def kick(work: Work) -> dict[str, Any]:
    channel = group(work)
    if work.me not in channel["members"]:
        raise fail("not_in_channel")
    user = work.need("user")
    if user == work.me:
        raise fail("cant_kick_self")
    if channel["is_general"]:
        raise fail("cant_kick_from_general")
    if user not in channel["members"]:
        raise fail("not_in_channel")
    channel["members"].remove(user)
    work.notice(channel, "channel_leave", "was removed from the channel", user)
    return {"errors": {}}


@method("conversations.join")
def join(work: Work) -> dict[str, Any]:
    channel = group(work)
    if channel["is_private"]:
        raise fail("method_not_supported_for_channel_type")
    if work.me in channel["members"]:
        warning = {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
        return {"channel": show(work, channel), **warning}
    channel["members"].append(work.me)
    work.notice(channel, "channel_join", "has joined the channel")
    return {"channel": show(work, channel)}


@method("conversations.leave")
def leave(work: Work) -> dict[str, Any]:
    channel = group(work)
    if work.me not in channel["members"]:
        return {"not_in_channel": True}
    if channel["is_general"]:
        raise fail("cant_leave_general")
    channel["members"].remove(work.me)
    work.notice(channel, "channel_leave", "has left the channel")
    return {}
