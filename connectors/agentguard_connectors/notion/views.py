"""What is compared: pure functions from Notion's answers to flat dicts, one key for each thing that a call can change.

They are flat because what somebody else changed beside it must not matter: a page shows `properties.Status` and
`properties.Due`, and a call that set the one is compared by the one. Notion may answer with less than a whole object
(a connection without the right to read content gets ids only), so a key is there only if the answer has it.
"""

from __future__ import annotations

from typing import Any

from agentguard.calls import Json
from agentguard_connectors.notion import shapes
from agentguard_connectors.notion.service import notion


@notion.view
def page(answer: Json) -> Json:
    """A page without its content. `columns` has the ids of its properties, `partial` those not shown completely."""
    properties: dict[str, Any] = answer.get("properties") or {}
    own = {name: value for name, value in properties.items() if shapes.kind_of(value) not in shapes.COMPUTED}
    return {
        **_outside(answer),
        **{f"properties.{name}": shapes.shown(value) for name, value in own.items()},
        "columns": {name: value.get("id") for name, value in own.items()},
        "partial": [name for name, value in own.items() if shapes.truncated(value)],
    }


def _outside(answer: dict[str, Any]) -> dict[str, Json]:
    """What pages and databases have in common."""
    seen: dict[str, Json] = {"in_trash": shapes.trashed(answer), "parent": shapes.parent(answer.get("parent"))}
    seen |= {name: shapes.file(answer[name]) for name in ("icon", "cover") if name in answer}
    editor = (answer.get("last_edited_by") or {}).get("id")
    seen |= {"edited_by": editor} if editor else {}  # shows that somebody wrote into what a call has made
    return seen | {name: answer[name] for name in ("is_locked", "is_inline") if name in answer}


@notion.view
def property_items(answer: Json) -> Json:
    """All entries of one property of a page, if they fit into one answer."""
    if answer.get("object") != "list":
        return {"value": shapes.shown(answer), "more": False}
    kind = answer["property_item"]["type"]
    entries = [one[kind] for one in answer["results"]]
    return {"value": shapes.shown({"type": kind, kind: entries}), "more": answer["has_more"]}


@notion.view
def markdown(answer: Json) -> Json:
    """The content of a page. Where `complete` is False, writing it back would lose some of it."""
    complete = not answer.get("truncated") and not answer.get("unknown_block_ids")
    return {"markdown": answer["markdown"], "complete": complete}


@notion.view
def block(answer: Json) -> Json:
    """A block without its children, each field under `type.field`."""
    kind = answer.get("type", "")
    fields = {f"{kind}.{name}": value for name, value in shapes.content(answer.get(kind)).items()}
    parent = shapes.parent(answer.get("parent"))
    inside = {"has_children": answer["has_children"]} if "has_children" in answer else {}
    return {"type": kind, "in_trash": shapes.trashed(answer), "parent": parent, **inside, **fields}


@notion.view
def children(answer: Json) -> Json:
    """For each block in a list, the one before it."""
    ids = [one["id"] for one in answer["results"]]
    return {"after": dict(zip(ids, [None, *ids], strict=False)), "more": answer["has_more"]}


@notion.view
def database(answer: Json) -> Json:
    """A database: the container, not its columns."""
    texts = {name: shapes.text(answer[name]) for name in ("title", "description") if name in answer}
    return {**_outside(answer), **texts}


@notion.view
def data_source(answer: Json) -> Json:
    """A data source: `column X` for each column by name, and the name of each by its id, which outlives a renaming."""
    schema: dict[str, Any] = answer.get("properties") or {}
    return {
        "title": shapes.text(answer.get("title")),
        "icon": shapes.file(answer.get("icon")),
        "in_trash": shapes.trashed(answer),
        "parent": shapes.parent(answer.get("parent")),
        **{f"column {name}": column(config) for name, config in schema.items()},
        **{f"name of {config['id']}": name for name, config in schema.items() if "id" in config},
        "columns": {name: config.get("id") for name, config in schema.items()},
    }


def column(config: dict[str, Json]) -> dict[str, Json]:
    """What a column is. Ids inside are left out: what is made again has new ones."""
    kind = shapes.kind_of({name: value for name, value in config.items() if name != "description"})
    inside = config.get(kind) or {}
    described = config.get("description")
    if kind in ("select", "multi_select", "status"):
        inside = {"options": [{n: one.get(n) for n in ("name", "color")} for one in inside.get("options") or []]}
    elif kind == "relation":
        inside = {n: shapes.plain_id(inside.get(n)) for n in ("data_source_id", "type")}
    elif kind == "rollup":
        inside = {n: inside.get(n) for n in ("function", "relation_property_name", "rollup_property_name")}
    return {"type": kind, kind: inside, "description": described}


@notion.view
def schema(answer: Json) -> Json:
    """The columns of a data source as Notion shows them."""
    return answer.get("properties") or {}


@notion.view
def comment(answer: Json) -> Json:
    """A comment: what it says and where."""
    seen = {name: answer[name] for name in ("discussion_id",) if name in answer}
    seen["display_name"] = (answer.get("display_name") or {}).get("type")
    seen["attachments"] = len(answer.get("attachments") or [])
    parent = shapes.parent(answer.get("parent"))
    return {**seen, "rich_text": shapes.text(answer.get("rich_text")), "parent": parent}


@notion.view
def threads(answer: Json) -> Json:
    """The comments of each discussion, oldest first; `more` where there are others that the answer does not show."""
    found: dict[str, Json] = {"more": True} if answer.get("has_more") else {}
    for one in answer["results"]:
        found.setdefault(one["discussion_id"], []).append(one["id"])
    return found


@notion.view
def saved_view(answer: Json) -> Json:
    """A view of a database, `configuration.x` for each part of its configuration."""
    names = ("name", "type", "data_source_id", "dashboard_view_id")
    settings = settings_of(answer.get("configuration") or {})
    return {
        "parent": shapes.parent(answer.get("parent")),
        **{name: answer[name] for name in names if name in answer},
        **{name: answer.get(name) or None for name in ("filter", "sorts", "quick_filters") if "name" in answer},
        **{f"configuration.{name}": value for name, value in settings.items() if name != "type"},
    }


def settings_of(value: Json) -> Any:
    """A configuration as it is written: the names of properties beside their ids are only told, never taken."""
    if isinstance(value, list):
        return [settings_of(one) for one in value]
    if isinstance(value, dict):
        return {n: settings_of(v) for n, v in value.items() if not n.endswith("property_name")}
    return value


@notion.view
def cached(answer: Json) -> Json:
    """The cached results of a view's query: only that they are there."""
    return {}
