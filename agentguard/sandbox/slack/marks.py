"""reactions.*, pins.*, bookmarks.*, stars.*: what is attached to a message, a file or a channel."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.slack.conversations import present
from agentguard.sandbox.slack.workspace import Work, dict_of, fail, method


def target(work: Work) -> tuple[dict[str, Any], dict[str, Any]]:
    """The thing that a reaction belongs to, and how an answer shows it."""
    if work.get("file"):
        stored = work.state["files"].get(work.get("file"))
        if stored is None:
            raise fail("file_not_found")
        shown = {name: value for name, value in stored.items() if name != "content"}
        return dict_of(stored), {"type": "file", "file": shown}
    if not work.get("channel") or not work.get("timestamp"):
        raise fail("no_item_specified")
    channel = work.channel()
    message = work.message(channel, "timestamp")
    return message, {"type": "message", "channel": channel["id"], "message": present(work, channel, message)}


@method("reactions.add")
def add_reaction(work: Work) -> dict[str, Any]:
    item, _ = target(work)
    name = str(work.need("name", "invalid_name")).strip(":")
    reactions = item.setdefault("reactions", [])
    reaction = next((r for r in reactions if r["name"] == name), None)
    if reaction is None:
        reactions.append(reaction := {"name": name, "users": [], "count": 0})
    if work.me in reaction["users"]:
        raise fail("already_reacted")
    reaction["users"].append(work.me)
    reaction["count"] = len(reaction["users"])
    return {}


@method("reactions.remove")
def remove_reaction(work: Work) -> dict[str, Any]:
    item, _ = target(work)
    name = str(work.need("name", "invalid_name")).strip(":")
    reactions = item.get("reactions", [])
    reaction = next((r for r in reactions if r["name"] == name and work.me in r["users"]), None)
    if reaction is None:
        raise fail("no_reaction")
    reaction["users"].remove(work.me)
    reaction["count"] = len(reaction["users"])
    if not reaction["users"]:
        reactions.remove(reaction)
    if not reactions:
        item.pop("reactions", None)
    return {}


@method("reactions.get")
def get_reactions(work: Work) -> dict[str, Any]:
    work.get("full")
    return target(work)[1]


@method("reactions.list")
def list_reactions(work: Work) -> dict[str, Any]:
    who = work.get("user") or work.me
    found = [
        {"type": "message", "channel": c["id"], "message": m}
        for c in work.state["channels"].values()
        for m in c["messages"].values()
        if any(who in r["users"] for r in m.get("reactions", ()))
    ]
    return {"items": found}


@method("pins.add")
def pin(work: Work) -> dict[str, Any]:
    channel = work.channel(member=True)
    ts = work.message(channel, "timestamp")["ts"]
    if any(p["ts"] == ts for p in channel["pins"]):
        raise fail("already_pinned")
    channel["pins"].append({"ts": ts, "created_by": work.me, "created": work.now()})
    work.notice(channel, "pinned_item", "pinned a message to this channel.")
    return {}


@method("pins.remove")
def unpin(work: Work) -> dict[str, Any]:
    channel = work.channel(member=True)
    ts = work.message(channel, "timestamp")["ts"]
    if not any(p["ts"] == ts for p in channel["pins"]):
        raise fail("no_pin")
    channel["pins"] = [p for p in channel["pins"] if p["ts"] != ts]
    return {}


@method("pins.list")
def list_pins(work: Work) -> dict[str, Any]:
    channel = work.channel(archived=True)
    items = [
        {
            "type": "message",
            "channel": channel["id"],
            "created": p["created"],
            "created_by": p["created_by"],
            "message": present(work, channel, channel["messages"][p["ts"]]),
        }
        for p in channel["pins"]
    ]
    return {"items": items}


@method("bookmarks.add")
def add_bookmark(work: Work) -> dict[str, Any]:
    channel = work.channel("channel_id", member=True)
    if work.need("type") != "link":
        raise fail("invalid_bookmark_type")
    identifier = work.new_id("Bk")
    bookmark = {
        "id": identifier,
        "channel_id": channel["id"],
        "title": work.need("title"),
        "link": work.need("link"),
        "emoji": work.get("emoji") or "",
        "icon_url": None,
        "type": "link",
        "entity_id": work.get("entity_id"),
        "date_created": work.now(),
        "date_updated": 0,
        "rank": "i",
        "last_updated_by_user_id": work.me,
    }
    channel["bookmarks"][identifier] = bookmark
    return {"bookmark": bookmark}


@method("bookmarks.edit")
def edit_bookmark(work: Work) -> dict[str, Any]:
    bookmark = find_bookmark(work)
    for name in ("title", "link", "emoji"):
        if work.get(name) is not None:
            bookmark[name] = work.get(name)
    bookmark |= {"date_updated": work.now(), "last_updated_by_user_id": work.me}
    return {"bookmark": bookmark}


@method("bookmarks.remove")
def remove_bookmark(work: Work) -> dict[str, Any]:
    del work.channel("channel_id")["bookmarks"][find_bookmark(work)["id"]]
    return {}


def find_bookmark(work: Work) -> dict[str, Any]:
    """The bookmark that the call points at."""
    channel = work.channel("channel_id", member=True)
    found = channel["bookmarks"].get(work.need("bookmark_id"))
    if found is None:
        raise fail("not_found")
    return dict_of(found)


@method("bookmarks.list")
def list_bookmarks(work: Work) -> dict[str, Any]:
    return {"bookmarks": list(work.channel("channel_id", member=True, archived=True)["bookmarks"].values())}


def starred(work: Work) -> str:
    """What is to be starred, as a key; fails where it does not exist."""
    if work.get("file"):
        if work.get("file") not in work.state["files"]:
            raise fail("file_not_found")
        return str(work.get("file"))
    channel = work.channel()
    if work.get("timestamp"):
        return f"{channel['id']}/{work.message(channel, 'timestamp')['ts']}"
    return str(channel["id"])


@method("stars.add")
def add_star(work: Work) -> dict[str, Any]:
    mine = work.state["stars"].setdefault(work.me, [])
    key = starred(work)
    if key in mine:
        raise fail("already_starred")
    mine.append(key)
    return {}


@method("stars.remove")
def remove_star(work: Work) -> dict[str, Any]:
    key, mine = starred(work), work.state["stars"].get(work.me, [])
    if key not in mine:
        raise fail("not_starred")
    mine.remove(key)
    if not mine:
        del work.state["stars"][work.me]
    return {}


@method("stars.list")
def list_stars(work: Work) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for key in work.state["stars"].get(work.me, []):
        channel, _, ts = key.partition("/")
        if ts:
            message = work.state["channels"][channel]["messages"][ts]
            items.append({"type": "message", "channel": channel, "message": message})
        elif key in work.state["files"]:
            items.append({"type": "file", "file": {"id": key}})
        else:
            items.append({"type": "channel", "channel": key})
    page, meta = work.page(items)
    return {"items": page, **meta}
