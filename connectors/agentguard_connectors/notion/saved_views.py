"""Views of databases: https://developers.notion.com/guides/data-apis/working-with-views."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Read, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.notion import views
from agentguard_connectors.notion.blocks import beyond
from agentguard_connectors.notion.codec import INSIDE
from agentguard_connectors.notion.databases import look_at as look_at_database
from agentguard_connectors.notion.pages import named
from agentguard_connectors.notion.service import TRASH, notion


def look_at(view_id: str, **inside: str) -> Read:
    """Read a view."""
    return read("views.retrieve", view_id=view_id, **inside).through("saved_view")


@notion.guards("views.create", effect=Effect.REVERSIBLE)
def create(create_database: Json) -> Handler:
    """Add a view to a database or dashboard; it is deleted. A linked database made for it goes to the trash."""
    made = yield forward()
    seen = views.saved_view(made)
    database_id = (seen["parent"] or {}).get("database_id", "")
    if create_database:
        # The last view of a database cannot be deleted: https://developers.notion.com/reference/delete-view
        trash = undo("databases.update", database_id=database_id, in_trash=True)
        look = look_at_database(database_id)
        yield trash.on(look, left={"in_trash": False}, back={"in_trash": True}).leaving(f"the linked database: {TRASH}")
    else:
        look = look_at(made["id"], **{INSIDE: database_id})
        yield undo("views.delete", view_id=made["id"]).on(look, left=seen, back=ABSENT)


@notion.guards("views.update", effect=Effect.REVERSIBLE)
def update(call: Call, view_id: str, quick_filters: Json, configuration: dict[str, Json] | None) -> Handler:
    """Edit a view: name, filter, sorts, quick filters, settings; the old ones come back."""
    look = look_at(view_id)
    before = yield look
    old: dict[str, Json] = {n: before.get(n) for n in ("name", "filter", "sorts") if n in call.arguments}
    new: dict[str, Json] = {name: call.arguments[name] for name in old}
    written: dict[str, Json] = dict(old)
    if "quick_filters" in call.arguments:
        former = before.get("quick_filters") or {}
        asked = yield from by_id(quick_filters or {}, before.get("data_source_id"))
        # Unmentioned ones are preserved, null removes one: https://developers.notion.com/reference/update-a-view
        written["quick_filters"] = {key: former.get(key) for key in (former if quick_filters is None else asked)}
        old["quick_filters"] = before.get("quick_filters")
        kept = {} if quick_filters is None else {**former, **asked}
        new["quick_filters"] = {key: value for key, value in kept.items() if value is not None} or None
    if configuration:
        settings = views.settings_of({n: v for n, v in configuration.items() if n != "type"})
        former = {name: before.get(f"configuration.{name}") for name in settings}
        written["configuration"] = {"type": configuration.get("type") or before["type"], **former}
        new |= {f"configuration.{name}": value for name, value in settings.items() if value is not None}
        old |= {slot: before.get(slot, ABSENT) for slot in (f"configuration.{name}" for name in settings)}
    if old:
        way_back = undo("views.update", view_id=view_id, **written)
        yield way_back.on(look, left=new, back=old, same_shape=True)
    else:
        yield unchanged()
    for what in beyond(call, "view_id", "name", "filter", "sorts", "quick_filters", "configuration"):
        yield no_undo(what)
    yield forward()


def by_id(quick_filters: dict[str, Json], data_source_id: Json) -> Generator[Read, Any, dict[str, Json]]:
    """The quick filters of a call by the ids of the properties, as Notion shows them; calls may use names."""
    columns: dict[str, str] = {}
    if quick_filters and data_source_id:
        schema = yield read("data_sources.retrieve", data_source_id=data_source_id).through("schema").or_none()
        columns = {name: config["id"] for name, config in (schema or {}).items()}
    return {columns.get(named(key, columns) or "", key): value for key, value in quick_filters.items()}


@notion.guards("views.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="the view is a new one")
def delete(view_id: str) -> Handler:
    """Delete a view; the same is made again."""
    before = yield look_at(view_id)
    names = ("name", "type", "data_source_id", "filter", "sorts", "quick_filters")
    again = {name: before[name] for name in names if before.get(name)}
    prefix = "configuration."
    settings = {n.removeprefix(prefix): v for n, v in before.items() if n.startswith(prefix)}
    if settings:
        again["configuration"] = {"type": before["type"], **settings}
    dashboard = before.get("dashboard_view_id")
    again |= {"view_id": dashboard} if dashboard else {"database_id": before["parent"]["database_id"]}
    if before["type"] == "dashboard":
        yield no_undo("the widgets of a dashboard go with it, and the API cannot lay out a dashboard")
    else:
        yield undo("views.create", **again).leaving("the view has a new id and address, and stands last")
    yield forward()


notion.creates(
    "views.queries.create",
    undone_by="views.queries.delete",
    key={"query_id": "id"},
    by="views.queries.results",
    view="cached",
    effect=Effect.DRAFT,
    summary="Run the query of a view and keep the results for 15 minutes; they are dropped.",
)
