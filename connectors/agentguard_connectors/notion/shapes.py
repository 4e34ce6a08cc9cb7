"""Notion's values in one form, whether they were read or are about to be written, so that both can be compared.

Notion answers with more than it takes: `plain_text`, `href`, the names of mentioned people, addresses that expire. Here
is what remains of a value when all that is left out and the defaults are filled in
(https://developers.notion.com/reference/rich-text, https://developers.notion.com/reference/page-property-values).
"""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import UUID

from agentguard.calls import Json

PLAIN: dict[str, Json] = {
    "bold": False,
    "italic": False,
    "strikethrough": False,
    "underline": False,
    "code": False,
    "color": "default",
}
COMPUTED = frozenset(
    {"formula", "rollup", "created_time", "created_by", "last_edited_time", "last_edited_by", "unique_id", "button"}
)
"""Types of properties that Notion works out by itself; nobody can write them."""
LIMIT = 25
"""A page shows no more than this many references in one property.

https://developers.notion.com/reference/retrieve-a-page#limits
"""


def plain_id(value: Json) -> Json:
    """An id with its dashes, which callers may leave out."""
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        return value


# Text


def text(items: Json) -> list[Json]:
    """Rich text, as it is written."""
    return [_piece(item) for item in items or []]


def _piece(item: dict[str, Json]) -> dict[str, Json]:
    kind = item.get("type") or next((name for name in ("text", "mention", "equation") if name in item), "text")
    annotations = {**PLAIN, **(item.get("annotations") or {})}
    if kind == "text":
        inside = item.get("text") or {}
        link = inside.get("link")
        content = {"content": inside.get("content", ""), "link": {"url": link["url"]} if link else None}
        return {"type": "text", "text": content, "annotations": annotations}
    if kind == "mention":
        return {"type": "mention", "mention": _mention(item["mention"]), "annotations": annotations}
    return {"type": kind, kind: item.get(kind), "annotations": annotations}


def _mention(mention: dict[str, Json]) -> dict[str, Json]:
    kind = mention.get("type") or next(iter(mention))
    inside = mention.get(kind)
    if kind in ("user", "page", "database", "data_source", "custom_emoji") and isinstance(inside, dict):
        return {"type": kind, kind: {"id": plain_id(inside.get("id"))}}
    if kind == "date":
        return {"type": kind, kind: date(inside)}
    return {"type": kind, kind: inside}


def words(items: Json) -> str:
    """What rich text says, for a finder: without its formatting."""
    return "".join(str((item.get("text") or {}).get("content", item.get("plain_text", ""))) for item in items or [])


def date(value: Json) -> Json:
    """A date with all its parts."""
    if not isinstance(value, dict):
        return None
    return {"start": value.get("start"), "end": value.get("end"), "time_zone": value.get("time_zone")}


# Files and icons


def file(value: Json) -> Json:
    """A file, an icon or a cover. The signature in the address of one that Notion keeps is new with every answer."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type") or next((n for n in ("external", "file", "file_upload", "emoji") if n in value), None)
    if kind == "file":
        return {"type": "file", "file": {"url": without_signature(value["file"]["url"])}}
    if kind == "external":
        return {"type": "external", "external": {"url": value["external"]["url"]}}
    if kind == "custom_emoji":
        return {"type": "custom_emoji", "custom_emoji": {"id": plain_id(value["custom_emoji"]["id"])}}
    return {"type": kind, str(kind): value.get(str(kind))}


def without_signature(url: str) -> str:
    """An address up to its query."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}{split.path}"


def _named_file(value: dict[str, Json]) -> Json:
    return {"name": value.get("name"), **file(value)}


# Where things are


def parent(value: Json) -> Json:
    """A parent as it is written: its type and its id."""
    if not isinstance(value, dict):
        return None
    names = ("data_source_id", "page_id", "block_id", "database_id", "workspace", "agent_id")
    kind = value.get("type") or next((name for name in names if name in value), "")
    return {"type": kind, kind: True if kind == "workspace" else plain_id(value.get(kind))}


def trashed(answer: dict[str, Json]) -> bool:
    """Whether something is in the trash: `archived` is the older name of `in_trash`."""
    return bool(answer.get("in_trash", answer.get("archived", False)))


def to_trash(arguments: dict[str, Json]) -> Json:
    """Whether a call asks for the trash (True), for the way out of it (False), or for neither (None)."""
    asked = arguments.get("in_trash")
    return arguments.get("archived") if asked is None else asked


# Properties of a page


def kind_of(value: dict[str, Json]) -> str:
    """The type of a property's value. Calls may leave `type` out; then it is the one other key."""
    names = [name for name in value if name not in ("type", "id", "name", "has_more", "object")]
    return str(value.get("type") or (names[0] if names else ""))


def shown(value: dict[str, Json]) -> Json:
    """The value of a page's property, to be compared: an option by name and id, people and relations by id."""
    kind = kind_of(value)
    inside = value.get(kind)
    if kind in ("title", "rich_text"):
        return {kind: text(inside)}
    if kind in ("select", "status"):
        return {kind: _option(inside) if inside else None}
    if kind == "multi_select":
        options = [_option(one) for one in inside or []]
        by_id = {"ids": [one["id"] for one in options]} if all("id" in one for one in options) else {}
        return {kind: {"names": [one.get("name") for one in options], **by_id}}
    if kind in ("people", "relation"):
        return {kind: [plain_id(one["id"]) for one in inside or []]}
    if kind == "files":
        return {kind: [_named_file(one) for one in inside or []]}
    if kind == "date":
        return {kind: date(inside)}
    return {kind: inside}


def _option(value: dict[str, Json]) -> dict[str, Json]:
    return {name: value[name] for name in ("id", "name") if name in value}


def written(value: dict[str, Json]) -> Json:
    """What `shown` made of a value, as a call takes it. An option goes by its id: its name may be another's by now."""
    (kind, inside) = next(iter(value.items()))
    if kind in ("select", "status") and isinstance(inside, dict):
        return {kind: {"id": inside["id"]} if "id" in inside else inside}
    if kind == "multi_select":
        return {kind: [{"id": one} for one in inside["ids"]] if "ids" in inside else []}
    if kind in ("people", "relation"):
        return {kind: [{"id": one} for one in inside]}
    return {kind: inside}


def truncated(value: dict[str, Json]) -> bool:
    """Whether a page does not show all of a property."""
    kind = kind_of(value)
    inside = value.get(kind)
    if value.get("has_more"):
        return True
    if kind in ("people", "relation"):
        return len(inside or []) >= LIMIT
    return kind in ("title", "rich_text") and sum(piece.get("type") == "mention" for piece in inside or []) >= LIMIT


def blank(value: dict[str, Json]) -> Json:
    """How a property of the same type is shown that nobody has filled in."""
    kind = next(iter(value))
    nothing: Json = {"checkbox": False, "multi_select": {"names": [], "ids": []}}.get(kind)
    return {kind: [] if kind in ("title", "rich_text", "people", "relation", "files") else nothing}


def empty(value: dict[str, Json]) -> bool:
    """Whether nobody has filled a property in."""
    return bool(value == blank(value))


# What the API cannot write back


def unwritable(value: Json) -> str:
    """Name what in an old value the API does not take back, or say nothing.

    A previewed or pasted link inside text is read-only (https://developers.notion.com/reference/rich-text#mention).
    """
    if isinstance(value, list):
        return next((found for found in map(unwritable, value) if found), "")
    if isinstance(value, dict):
        mention = value.get("mention")
        if isinstance(mention, dict) and mention.get("type") in ("link_preview", "link_mention"):
            return "a link preview in its text"
        return next((found for found in map(unwritable, value.values()) if found), "")
    return ""


def kept_by_notion(value: Json) -> bool:
    """Whether an icon, a cover or a media block is a file that Notion keeps, which a call cannot name.

    https://developers.notion.com/reference/file-object: only uploads and external files can be written.
    """
    return isinstance(value, dict) and value.get("type") == "file"


# Blocks


def content(value: Json) -> dict[str, Json]:
    """What a block holds, by field. Children are blocks of their own.

    Where a media block has its bytes from is one field, `source`, and so is the `target` of a link: one kind of them
    takes the place of another.
    """
    value = value or {}
    fields = {name: _field(name, inside) for name, inside in value.items() if name not in ("children", "type", *ONE_OF)}
    if any(name in value for name in SOURCES):
        fields["source"] = file(value)
    if any(name in value for name in TARGETS):
        kind = next(name for name in TARGETS if name in value)
        fields["target"] = {"type": kind, kind: plain_id(value[kind])}
    return fields


SOURCES = ("external", "file", "file_upload")
TARGETS = ("page_id", "database_id", "comment_id")
ONE_OF = SOURCES + TARGETS


def _field(name: str, inside: Json) -> Json:
    if name in ("rich_text", "caption"):
        return text(inside)
    if name == "cells":
        return [text(cell) for cell in inside or []]
    return file(inside) if name == "icon" else inside
