"""conversations.*: who is in a channel.

Members are listed page by page. Where a channel has more than one page of them, what is missing on the first proves
nothing, and an undo is sent without looking. Who was a member before an invitation is read from all pages.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Effect, Handler, Json, Read, Risk, Undo, forward, no_undo, read, unchanged, undo
from agentguard_connectors.slack.service import slack
from agentguard_connectors.slack.views import joined

CAME = "the channel shows that they joined and were removed again; they were notified"
WENT = "the channel shows that they were removed and joined again; they were notified"
NOTICES = "the channel shows that this client joined and left"
PAGE = 999
"""As many members as one page holds."""


def everybody(channel: str) -> Read:
    """Read the members of a channel."""
    return read("conversations.members", channel=channel, limit=PAGE).through("members")


def seen(way_back: Undo, look: Read, before: Json, user: str, *, left: Json, back: Json) -> Undo:
    """*way_back* with a look at whether *user* is a member, where that can be seen."""
    if not before["complete"]:
        return way_back
    return way_back.on(look, left={"complete": True, user: left}, back={"complete": True, user: back})


@slack.guards("conversations.invite", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=CAME)
def invite(channel: str, users: Json) -> Handler:
    """Add people to a channel; those who were not in it are removed again."""
    look = everybody(channel)
    before = yield look
    page = before
    while not page["complete"] and page.get("next"):
        page = yield read("conversations.members", channel=channel, limit=PAGE, cursor=page["next"]).through("members")
        before = {**page, **before}
    new = [user for user in joined(users).split(",") if user not in before]
    for user in new:
        way_back = undo("conversations.kick", channel=channel, user=user).leaving(CAME)
        yield seen(way_back, look, before, user, left=True, back=ABSENT)
    if not new:
        yield unchanged("all of them were members before")
    yield forward()


@slack.guards("conversations.kick", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=WENT)
def kick(channel: str, user: str) -> Handler:
    """Remove somebody from a channel; they are invited again."""
    look = everybody(channel)
    before = yield look
    way_back = undo("conversations.invite", channel=channel, users=user).leaving(WENT)
    yield seen(way_back, look, before, user, left=ABSENT, back=True)
    yield forward()


@slack.guards("conversations.join", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=NOTICES)
def join(channel: str) -> Handler:
    """Join a channel; it is left again, unless this client was in it before."""
    look = read("conversations.info", channel=channel).through("channel")
    before = yield look
    if before.get("is_member"):
        yield unchanged("this client was a member before")
    else:
        way_back = undo("conversations.leave", channel=channel)
        yield way_back.on(look, left={"is_member": True}, back={"is_member": False}).leaving(NOTICES)
    yield forward()


@slack.guards("conversations.leave", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=NOTICES)
def leave(channel: str) -> Handler:
    """Leave a channel; a public one is joined again. To a private one somebody has to invite this client."""
    look = read("conversations.info", channel=channel).through("channel")
    before = yield look
    if not before.get("is_member", True):
        yield unchanged("this client was no member before")
    elif before.get("is_private"):
        yield no_undo("into a private channel somebody has to invite this client")
    else:
        way_back = undo("conversations.join", channel=channel)
        yield way_back.on(look, left={"is_member": False}, back={"is_member": True}).leaving(NOTICES)
    yield forward()
