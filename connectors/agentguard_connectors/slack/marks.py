"""reactions.*, pins.*, bookmarks.*, stars.*: what is attached to messages, files and channels."""

from __future__ import annotations

from datetime import datetime

from agentguard.calls import ABSENT, Call, Effect, Finder, Handler, Json, Risk, forward, no_undo, read, undo
from agentguard_connectors.slack.service import slack
from agentguard_connectors.slack.views import bookmarks

UNSEEN = "it was not among the channel's bookmarks"
PIN_NOTICE = "the channel shows a notice that a message was pinned"


def target(call: Call) -> dict[str, Json]:
    """The arguments that say what a reaction or star belongs to."""
    names = ("channel", "timestamp", "file", "file_comment")
    return {name: call.arguments[name] for name in names if call.arguments.get(name) is not None}


@slack.guards("reactions.add", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def add_reaction(call: Call, name: str) -> Handler:
    """React to a message or file; the reaction is removed again."""
    yield from _reaction(call, "reactions.remove", name, +1)


@slack.guards("reactions.remove", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def remove_reaction(call: Call, name: str) -> Handler:
    """Remove a reaction of one's own; it is added again, after the others."""
    yield from _reaction(call, "reactions.add", name, -1)


def _reaction(call: Call, inverse: str, name: str, change: int) -> Handler:
    me = (yield read("auth.test"))["user_id"]
    look = read("reactions.get", **target(call), full=True).through("reactions")
    mine = (yield look).get(me, {"count": 0, "names": []})
    # What the call leaves is known by number only, because Slack renames reactions (`thumbsup` becomes `+1`).
    count = mine["count"] + change
    left = {me: {"count": count} if count else ABSENT}
    back = {me: {"names": mine["names"]} if mine["names"] else ABSENT}
    yield undo(inverse, **target(call), name=name).on(look, left=left, back=back)
    yield forward()


@slack.guards("pins.add", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=PIN_NOTICE)
def pin(channel: str, timestamp: str) -> Handler:
    """Pin a message; it is unpinned again."""
    look = read("pins.list", channel=channel).through("pins")
    way_back = undo("pins.remove", channel=channel, timestamp=timestamp)
    yield way_back.on(look, left={timestamp: True}, back={timestamp: ABSENT}).leaving(PIN_NOTICE)
    yield forward()


@slack.guards("pins.remove", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=PIN_NOTICE)
def unpin(channel: str, timestamp: str) -> Handler:
    """Unpin a message; it is pinned again, in this client's name."""
    look = read("pins.list", channel=channel).through("pins")
    way_back = undo("pins.add", channel=channel, timestamp=timestamp)
    remains = f"{PIN_NOTICE}, and the pin is in this client's name"
    yield way_back.on(look, left={timestamp: ABSENT}, back={timestamp: True}).leaving(remains)
    yield forward()


@slack.guards("bookmarks.add", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def add_bookmark(channel_id: str) -> Handler:
    """Add a bookmark to a channel; it is removed again."""
    made = yield forward()
    identifier = made["bookmark"]["id"]
    look = read("bookmarks.list", channel_id=channel_id).through("bookmarks")
    way_back = undo("bookmarks.remove", channel_id=channel_id, bookmark_id=identifier)
    yield way_back.on(look, left=bookmarks(made), back={f"{identifier}.title": ABSENT})


@slack.finds("bookmarks.add")
def find_bookmark(channel_id: str, title: str, link: str, since: str) -> Finder:
    """Look for the one bookmark of ours with this title and link that was made since the intent."""
    me = yield read("auth.test")
    page = yield read("bookmarks.list", channel_id=channel_id)
    oldest = int(datetime.fromisoformat(since).timestamp())
    alike = [one for one in page["bookmarks"] if (one.get("title"), one.get("link")) == (title, link)]
    ours = [one for one in alike if one.get("last_updated_by_user_id") == me["user_id"]]
    found = [one for one in ours if one.get("date_created", 0) >= oldest]
    return {"ok": True, "bookmark": found[0]} if len(found) == 1 else None


@slack.guards("bookmarks.edit", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def edit_bookmark(call: Call, channel_id: str, bookmark_id: str) -> Handler:
    """Edit a bookmark; its old title, link and emoji come back."""
    look = read("bookmarks.list", channel_id=channel_id).through("bookmarks")
    before = yield look
    changed = [name for name in ("title", "link", "emoji") if call.arguments.get(name) is not None]
    if f"{bookmark_id}.title" in before:
        old = {name: before[f"{bookmark_id}.{name}"] for name in changed}
        new = {f"{bookmark_id}.{name}": call.arguments[name] for name in changed}
        way_back = undo("bookmarks.edit", channel_id=channel_id, bookmark_id=bookmark_id, **old)
        back = {f"{bookmark_id}.{name}": value for name, value in old.items()}
        yield way_back.on(look, left=new, back=back, same_shape=True)
    else:
        yield no_undo(UNSEEN)
    yield forward()


@slack.guards("bookmarks.remove", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="a new id, the last place")
def remove_bookmark(channel_id: str, bookmark_id: str) -> Handler:
    """Remove a bookmark; it is added again, as a new one."""
    before = yield read("bookmarks.list", channel_id=channel_id)
    old = next((one for one in before["bookmarks"] if one["id"] == bookmark_id), None)
    if old is None:
        yield no_undo(UNSEEN)
    else:
        names = ("title", "type", "link", "emoji", "entity_id")
        again = {name: old[name] for name in names if old.get(name)}
        yield undo("bookmarks.add", channel_id=channel_id, **again).leaving("it has a new id and stands last")
    yield forward()


@slack.guards("stars.add", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def add_star(call: Call) -> Handler:
    """Save a thing for later; it is taken off the list again."""
    yield from _star(call, "stars.remove", True, ABSENT)


@slack.guards("stars.remove", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def remove_star(call: Call) -> Handler:
    """Take a thing off the list of saved ones; it is saved again, as the newest."""
    yield from _star(call, "stars.add", ABSENT, True)


def _star(call: Call, inverse: str, left: Json, back: Json) -> Handler:
    key = "/".join(str(value) for value in target(call).values())
    look = read("stars.list", limit=999).through("stars")
    yield undo(inverse, **target(call)).on(look, left={key: left}, back={key: back})
    yield forward()
