"""Whether a call happened that made or deleted something, and whose answer was lost.

A row with a mark is known by it (see marks.py). Everything else is looked for where it was to stand: by what it says,
by its author, and by time, which Notion rounds down to the minute. One match counts. Two prove nothing, and neither
does none, because queries and searches may lag. Finders for blocks and comments stand beside their handlers.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import Call, Finder, Json, Read, as_sent, read
from agentguard.errors import AgentguardError
from agentguard_connectors.notion import shapes
from agentguard_connectors.notion.blocks import all_children, ours
from agentguard_connectors.notion.marks import marked_in
from agentguard_connectors.notion.service import notion

MOST_VIEWS = 50
"""How many views are read one by one to find a new one among them."""


class Unproven(AgentguardError):
    """What was looked for shows neither that a call happened nor that it did not."""


@notion.finds("pages.create")
def page_created(
    parent: dict[str, Json] | None, properties: dict[str, Json] | None, since: str, mark: str | None
) -> Finder:
    """Find a row by its mark; else the one page of ours that is new there and has the same title."""
    where = shapes.parent(parent) or {"type": "workspace", "workspace": True}
    place = marked_in(properties, mark)
    if place is not None:
        rows = yield from _rows(where, {"property": place, "rich_text": {"equals": mark}})
        return as_made(rows[0]) if len(rows) == 1 else None
    title = next((shapes.words(v["title"]) for v in (properties or {}).values() if "title" in v), "")
    if not title:
        return None
    me = yield read("users.me")
    if where.keys() & {"data_source_id", "database_id"}:
        recent = {"timestamp": "created_time", "created_time": {"on_or_after": f"{since[:16]}:00Z"}}
        rows = yield from _rows(where, recent)
        named = [row for row in rows if ours(row, me, since) and _title(row) == title]
    elif "page_id" in where:
        ids = yield from _children(where["page_id"], "child_page", title, me, since)
        named = [(yield read("pages.retrieve", page_id=ids[0]))] if len(ids) == 1 else []
    else:
        found = yield from _searched(title, "page")
        named = [one for one in found if ours(one, me, since) and _title(one) == title and _at_the_top(one["parent"])]
    return as_made(named[0]) if len(named) == 1 else None


def as_made(found: Json) -> Json:
    """A page or database as it was when it was made: whoever has edited it since was not the call."""
    return {**found, "last_edited_by": found["created_by"]}


def _rows(where: dict[str, Json], condition: Json) -> Generator[Read, Any, list[Json]]:
    """The rows that pass a filter; none where there are more than one answer shows."""
    operation, place = "data_sources.query", {"data_source_id": where.get("data_source_id")}
    if place["data_source_id"] is None:
        database = yield read("databases.retrieve", database_id=where["database_id"])
        if "data_sources" in database:
            place = {"data_source_id": database["data_sources"][0]["id"]}
        else:  # before version 2025-09-03 databases have the rows
            operation, place = "databases.query", {"database_id": where["database_id"]}
    answer = yield read(operation, **place, filter=condition, page_size=100)
    return [] if answer["has_more"] else list(answer["results"])


def _title(row: dict[str, Json]) -> str:
    return next((shapes.words(v["title"]) for v in row["properties"].values() if v["type"] == "title"), "")


def _children(page: str, kind: str, title: str, me: Json, since: str) -> Generator[Read, Any, list[str]]:
    """The ids of our own new pages or databases of this title below a page."""
    below = yield from all_children(page)
    return [one["id"] for one in below if one["type"] == kind and ours(one, me, since) and one[kind]["title"] == title]


def _searched(title: str, kind: str) -> Generator[Read, Any, list[Json]]:
    """What a search for a title shows, the newest first; none where there is more than one answer shows."""
    newest = {"direction": "descending", "timestamp": "last_edited_time"}
    only = {"property": "object", "value": kind}
    answer = yield read("search", query=title, filter=only, sort=newest, page_size=100)
    return [] if answer["has_more"] else list(answer["results"])


def _at_the_top(parent: Json) -> bool:
    return "workspace" in (shapes.parent(parent) or {})


@notion.finds("databases.create")
def database_created(parent: dict[str, Json] | None, title: list[Json] | None, since: str) -> Finder:
    """Find the one database of ours that is new there and has the same title."""
    where, words = shapes.parent(parent) or {}, shapes.words(title)
    if not words:
        return None
    me = yield read("users.me")
    if "page_id" in where:
        ids = yield from _children(where["page_id"], "child_database", words, me, since)
    else:
        found = yield from _searched(words, "data_source")
        new = [one for one in found if ours(one, me, since) and shapes.words(one["title"]) == words]
        ids = [one["parent"]["database_id"] for one in new if _at_the_top(one.get("database_parent"))]
    return as_made((yield read("databases.retrieve", database_id=ids[0]))) if len(ids) == 1 else None


@notion.finds("data_sources.create")
def source_created(call: Call, parent: dict[str, Json] | None, title: list[Json] | None, since: str) -> Finder:
    """Find the one new data source of ours with the same title in the database."""
    me = yield read("users.me")
    database = yield read("databases.retrieve", database_id=(shapes.parent(parent) or {})["database_id"])
    made = []
    for listed in database.get("data_sources") or []:
        if listed["name"] == shapes.words(title):
            source = yield read("data_sources.retrieve", data_source_id=listed["id"])
            if ours(source, me, since):
                made.append(source)
    return as_sent(as_made(made[0]), {"icon": None, **call.arguments}) if len(made) == 1 else None


@notion.finds("views.create")
def view_created(call: Call, since: str) -> Finder:
    """Find the one new view of ours with the same name and type."""
    given = call.arguments
    me = yield read("users.me")
    where = {name: given[name] for name in ("database_id",) if name in given}
    listed = yield read("views.list", **(where or {"data_source_id": given["data_source_id"]}), page_size=MOST_VIEWS)
    made = []
    for one in listed["results"]:
        view = yield read("views.retrieve", view_id=one["id"])
        same = all(view.get(name) == given.get(name) for name in ("name", "type", "data_source_id"))
        if same and ours(view, me, since):
            made.append(view)
    if len(made) != 1 or listed["has_more"]:
        return None
    return as_sent(made[0], {"filter": None, "sorts": None, "quick_filters": None, **given})


@notion.finds("views.delete", authoritative=True)
def view_deleted(view_id: str, snapshots: list[Json]) -> Finder:
    """See whether the view is there. What is not there may be hidden: the database has to be visible."""
    if (yield read("views.retrieve", view_id=view_id).or_none()) is not None:
        return None
    before = snapshots[0]
    database = (before.get("parent") or {}).get("database_id")
    if database is None or (yield read("databases.retrieve", database_id=database).or_none()) is None:
        raise Unproven("neither the view nor its database can be seen")
    return {"object": "view", "id": view_id, "parent": before["parent"], "type": before["type"]}


@notion.finds("comments.delete", authoritative=True)
def comment_deleted(comment_id: str) -> Finder:
    """See whether the comment is there. One that is not may be resolved: Notion shows open discussions only."""
    if (yield read("comments.retrieve", comment_id=comment_id).or_none()) is not None:
        return None
    raise Unproven("the comment cannot be seen: it is deleted, or somebody resolved its discussion")


@notion.finds("pages.update_markdown", authoritative=True)
def markdown_updated(call: Call, page_id: str, snapshots: list[Json]) -> Finder:
    """Compare the content of the page with what it was, and with what the call makes of that."""
    old = snapshots[0]["markdown"]
    seen = yield read("pages.retrieve_markdown", page_id=page_id)
    if seen["markdown"] == old:
        return None
    if seen["markdown"] in _edited(old, call.arguments):
        return seen
    raise Unproven("the content of the page is neither what it was nor what the call makes of it")


def _edited(old: str, given: dict[str, Json]) -> list[str]:
    """How the content may read after the call, as far as Notion writes it as it was given."""
    kind = given.get("type") or ""
    edit = given.get(kind) or {}
    if kind == "replace_content":
        return [edit["new_str"]]
    if kind == "insert_content":
        content = edit["content"]
        return ["\n".join(filter(None, parts)) for parts in ((old, content), (content, old))]
    new = old
    for one in edit.get("content_updates") or []:
        new = new.replace(one["old_str"], one["new_str"])
    return [new]
