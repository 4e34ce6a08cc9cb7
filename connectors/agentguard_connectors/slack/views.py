"""What is compared: answers of Slack turned into flat dicts, keyed by the id of the thing and the field.

A read shows a list (a page of history, all user groups) and a view cannot be told which entry is meant; so each field
has a key of its own, `1712345678.000100.text`, and a pattern picks the keys that it is about.
"""

from __future__ import annotations

from agentguard.calls import Json
from agentguard_connectors.slack.service import slack

ADDED_BY_SLACK = frozenset(
    {"block_id", "fallback", "id", "image_bytes", "image_height", "image_width", "is_animated", "thumb_url"}
)
"""Keys that Slack adds to blocks and attachments, some of them after a while."""


@slack.view
def messages(answer: Json) -> Json:
    """The text of each message and when it was last edited, from a page of messages or an answer that holds one."""
    seen: dict[str, Json] = {}
    for message in messages_in(answer):
        ts = message["ts"]
        seen |= {f"{ts}.text": plain(message.get("text", "")), f"{ts}.edited": (message.get("edited") or {}).get("ts")}
    return seen


@slack.view
def contents(answer: Json) -> Json:
    """Text, blocks, attachments and metadata of each message."""
    return {
        f"{message['ts']}.{name}": value for message in messages_in(answer) for name, value in content(message).items()
    }


def plain(text: str) -> str:
    """A text without Slack's escaping (https://docs.slack.dev/messaging/formatting-message-text#escaping).

    A program may send `&` or `&amp;`; Slack shows both as the latter.
    """
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def messages_in(answer: Json) -> list[Json]:
    """The messages of *answer*. What stands for a deleted one that had replies is none."""
    found = answer.get("messages")
    if found is None:
        message = {"ts": answer.get("ts"), **(answer.get("message") or {})}
        found = [message] if message["ts"] else []
    return [message for message in found if message.get("subtype") != "tombstone"]


def content(message: Json) -> dict[str, Json]:
    """What a message says. Previews of links are left out: Slack adds and drops them by itself."""
    return {
        "text": plain(message.get("text", "")),
        "blocks": _plain(message.get("blocks") or []),
        "attachments": _plain(own_attachments(message)),
        **({"metadata": message["metadata"]} if message.get("metadata") else {}),
    }


def own_attachments(message: Json) -> list[Json]:
    """The attachments that were posted, without previews of links."""
    return [one for one in message.get("attachments") or [] if "from_url" not in one and "original_url" not in one]


def _plain(value: Json) -> Json:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if name not in ADDED_BY_SLACK}
    return value


@slack.view
def reactions(answer: Json) -> Json:
    """The reactions that each user has left, as Slack names them, and how many these are."""
    names: dict[str, list[str]] = {}
    item = answer.get(answer.get("type", "message")) or {}
    for reaction in item.get("reactions") or []:
        for user in reaction["users"]:
            names.setdefault(user, []).append(reaction["name"])
    return {user: {"count": len(own), "names": sorted(own)} for user, own in names.items()}


@slack.view
def pins(answer: Json) -> Json:
    """The timestamps of the pinned messages."""
    return {item["message"]["ts"]: True for item in answer["items"] if item.get("type") == "message"}


@slack.view
def bookmarks(answer: Json) -> Json:
    """Title, link and emoji of each bookmark."""
    found = answer["bookmarks"] if "bookmarks" in answer else [answer["bookmark"]]
    return {f"{one['id']}.{name}": one.get(name) or "" for one in found for name in ("title", "link", "emoji")}


@slack.view
def stars(answer: Json) -> Json:
    """What the caller has starred."""
    seen = {}
    for item in answer["items"]:
        thing = item.get("message") or item.get("file") or {}
        parts = (item.get("channel"), thing.get("ts") or thing.get("id"))
        seen["/".join(str(part) for part in parts if part)] = True
    return seen


@slack.view
def channel(answer: Json) -> Json:
    """Name, topic, purpose and standing of a conversation."""
    found = answer.get("channel")
    found = found if isinstance(found, dict) else answer
    names = ("name", "is_archived", "is_member", "is_private", "last_read")
    seen = {name: found[name] for name in names if name in found}
    for name in ("topic", "purpose"):
        if name in found:
            seen[name] = found[name]["value"] if isinstance(found[name], dict) else found[name]
    return seen


@slack.view
def members(answer: Json) -> Json:
    """The members of a conversation, and whether these are all of them."""
    cursor = next_cursor(answer)
    return {"complete": not cursor, **dict.fromkeys(answer["members"], True), **({"next": cursor} if cursor else {})}


def next_cursor(answer: Json) -> str:
    """Where the next page begins; nothing after the last one."""
    return str((answer.get("response_metadata") or {}).get("next_cursor") or "")


@slack.view
def file(answer: Json) -> Json:
    """A file."""
    found = answer["file"]
    return {name: found[name] for name in ("id", "public_url_shared") if name in found}


@slack.view
def usergroups(answer: Json) -> Json:
    """Each user group, its channels and users as the calls take them: joined by commas."""
    seen: dict[str, Json] = {}
    for group in answer["usergroups"] if "usergroups" in answer else [answer["usergroup"]]:
        own = {name: group.get(name) or "" for name in ("name", "handle", "description")}
        own["enabled"] = not group.get("date_delete")
        prefs = group.get("prefs") or {}
        own["channels"] = joined([*(prefs.get("channels") or []), *(prefs.get("groups") or [])])
        if "users" in group:
            own["users"] = joined(group["users"])
        seen |= {f"{group['id']}.{name}": value for name, value in own.items()}
    return seen


def joined(names: Json) -> str:
    """Names as Slack takes them, in an order that can be compared."""
    listed = names if isinstance(names, list) else str(names or "").split(",")
    return ",".join(sorted(name.strip() for name in listed if name.strip()))


@slack.view
def profile(answer: Json) -> Json:
    """The fields of a profile, those that the workspace defined as `fields.ID`."""
    found = answer["profile"]
    custom = {f"fields.{name}": one.get("value", "") for name, one in (found.get("fields") or {}).items()}
    return {**{name: value for name, value in found.items() if name != "fields"}, **custom}


@slack.view
def presence(answer: Json) -> Json:
    """Whether somebody set themselves away by hand. Slack tells only themselves."""
    return {"manual_away": answer["manual_away"]} if "manual_away" in answer else {}


@slack.view
def snooze(answer: Json) -> Json:
    """Whether notifications are snoozed."""
    return {"snooze_enabled": bool(answer.get("snooze_enabled"))}


@slack.view
def reminder(answer: Json) -> Json:
    """A reminder."""
    return {"text": answer["reminder"]["text"]}
