"""What a policy may ask of a call to Slack: where it is read, or who is let in."""

from __future__ import annotations

from agentguard.calls import Call, Json
from agentguard.policy.model import Untold

PLACES = ("channel", "channel_id", "channels", "channel_ids")
PEOPLE = ("user", "user_id", "users", "user_ids", "email", "emails")

POSTS = frozenset(
    {
        "chat.meMessage",
        "chat.postEphemeral",
        "chat.postMessage",
        "chat.scheduleMessage",
        "chat.startStream",
        "chat.update",
        "files.completeUploadExternal",
        "files.remote.share",
        "files.upload",
    }
)
"""These are read in a channel, or by the person whose id stands in its place."""
LETS_IN = frozenset(
    {
        "admin.conversations.invite",
        "admin.users.invite",
        "channels.invite",
        "conversations.invite",
        "conversations.inviteShared",
        "conversations.open",
        "groups.invite",
        "mpim.open",
        "im.open",
        "reminders.add",
    }
)
"""These let people into a conversation or a workspace, or remind them."""
UNTOLD = frozenset({"incoming-webhook"})


def recipients(call: Call) -> list[str]:
    """Name the channels and people to whom *call* writes or whom it lets in: ids, channel names, mail addresses.

    Raises Untold for an incoming webhook: its address decides the channel.
    """
    if call.operation in UNTOLD:
        raise Untold("the address of the webhook decides which channel reads it")
    names: tuple[str, ...]
    if call.operation in POSTS:
        names = (*PLACES, "user") if call.operation == "chat.postEphemeral" else PLACES
    elif call.operation in LETS_IN:
        names = PEOPLE
    else:
        return []
    found = [entry for name in names for entry in _listed(call.arguments.get(name))]
    return list(dict.fromkeys(found))


def _listed(value: Json) -> list[str]:
    """The entries of a list, or of a text with commas, as Slack takes both."""
    if value is None:
        return []
    if isinstance(value, list):
        return [entry for one in value for entry in _listed(one)]
    return [entry.strip() for entry in str(value).split(",") if entry.strip()]
