"""Databases and data sources: https://developers.notion.com/reference/database. The columns belong to a data source."""

from __future__ import annotations

from typing import Any

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Read, Risk, Undo, forward, read, undo
from agentguard_connectors.notion import shapes, views
from agentguard_connectors.notion.blocks import beyond, from_trash, joined, registered, to_trash
from agentguard_connectors.notion.pages import as_shown, named, place_lost, writable
from agentguard_connectors.notion.service import TRASH, notion


def look_at(database_id: str) -> Read:
    """Read a database."""
    return read("databases.retrieve", database_id=database_id).through("database")


@notion.guards("databases.create", effect=Effect.COMPENSABLE, remains=TRASH)
def create() -> Handler:
    """Create a database with its first data source; it is put into the trash."""
    made = yield forward()
    trash = undo("databases.update", database_id=made["id"], in_trash=True)
    yield trash.on(look_at(made["id"]), left=views.database(made), back={"in_trash": True}).leaving(TRASH)


@notion.guards("databases.update", effect=Effect.REVERSIBLE)
def update(call: Call, database_id: str) -> Handler:
    """Edit a database: title, description, icon, cover, lock, parent, trash; the old values come back."""
    look = look_at(database_id)
    before = yield look
    given = call.arguments
    values: dict[str, Json] = {n: shapes.text(given[n]) for n in ("title", "description") if n in given}
    values |= {name: shapes.file(given[name]) for name in ("icon", "cover") if name in given}
    values |= {name: given[name] for name in ("is_inline", "is_locked") if name in given}
    values |= {"parent": shapes.parent(given["parent"])} if "parent" in given else {}
    lost = beyond(call, "database_id", "in_trash", "archived", *values)
    undos: list[Undo] = []
    old = {slot: before[slot] for slot in values if writable(slot, before, lost)}
    if (old.get("parent") or {}).get("type") not in ("page_id", "workspace", None):
        del old["parent"]
        lost.append("the API moves databases below pages only, and this one was inside of a block")
    # The reference does not say that an icon or cover of a database can be cleared, so that is tried by itself.
    cleared = [slot for slot in ("icon", "cover") if slot in old and old[slot] is None]
    for slots in (cleared[:1], cleared[1:], [slot for slot in old if slot not in cleared]):
        if slots:
            part = {slot: old[slot] for slot in slots}
            way_back = undo("databases.update", database_id=database_id, **part)
            new = {slot: values[slot] for slot in slots}
            place = (yield from place_lost(database_id, old["parent"])) if "parent" in part else ""
            undos.append(way_back.on(look, left=new, back=part, same_shape=True).leaving(place))
    asked = shapes.to_trash(given)
    if asked and not before["in_trash"]:
        undos.append((yield from from_trash("child_database", database_id, before["parent"])))
    if asked is False and before["in_trash"]:
        undos.insert(0, to_trash("child_database", database_id))
    yield from registered(undos, lost)
    yield forward()


def look_at_source(data_source_id: str) -> Read:
    """Read a data source."""
    return read("data_sources.retrieve", data_source_id=data_source_id).through("data_source")


@notion.guards("data_sources.create", effect=Effect.COMPENSABLE, remains=TRASH)
def create_source() -> Handler:
    """Add a data source to a database; it is put into the trash."""
    made = yield forward()
    left = {name: value for name, value in views.data_source(made).items() if name != "columns"}
    trash = undo("data_sources.update", data_source_id=made["id"], in_trash=True)
    yield trash.on(look_at_source(made["id"]), left=left, back={"in_trash": True}).leaving(TRASH)


@notion.guards("data_sources.update", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM)
def update_source(call: Call, data_source_id: str) -> Handler:
    """Edit a data source: title, icon, parent, columns; the old ones come back, new columns go with their values."""
    look = look_at_source(data_source_id)
    answer = yield read("data_sources.retrieve", data_source_id=data_source_id)
    before, columns = views.data_source(answer), answer.get("properties") or {}
    given = call.arguments
    values: dict[str, Json] = {"title": shapes.text(given["title"])} if "title" in given else {}
    values |= {"icon": shapes.file(given["icon"])} if "icon" in given else {}
    values |= {"parent": shapes.parent(given["parent"])} if "parent" in given else {}
    asked = shapes.to_trash(given)
    values |= {"in_trash": asked} if asked is not None else {}
    lost = beyond(call, "data_source_id", "properties", "in_trash", "archived", *values)
    old = {slot: before[slot] for slot in values if writable(slot, before, lost)}
    change = Change({slot: values[slot] for slot in old}, dict(old), dict(old), [])
    for key, config in (given.get("properties") or {}).items():
        if config is None and named(key, before["columns"]) is None:
            lost.append(f"Notion did not show the column {key!r}")
        else:
            change_column(change, key, config, before, columns)
    undos = []
    if change.written:
        way_back = undo("data_sources.update", data_source_id=data_source_id, **change.written)
        seen = way_back.on(look, left=change.left, back=change.back, same_shape=True)
        undos.append(seen.leaving(joined(*change.remains)))
    yield from registered(undos, lost)
    yield forward()


@notion.guards("data_sources.update+drop", effect=Effect.COMPENSABLE, risk=Risk.HIGH)
def drop_columns(call: Call, data_source_id: str) -> Handler:
    """Remove columns from a data source with all their values; the columns are made again, empty."""
    yield from update_source(call, data_source_id)


class Change:
    """How a data source is changed and changed back: patterns, the arguments of the undo, and what remains."""

    def __init__(
        self, left: dict[str, Json], back: dict[str, Json], written: dict[str, Json], remains: list[str]
    ) -> None:
        self.left, self.back, self.written, self.remains = left, back, written, remains

    def column(self, key: str, config: Json) -> None:
        """Have the undo send *config* for the column that is called *key* by then."""
        self.written.setdefault("properties", {})[key] = config


def change_column(change: Change, key: str, config: Json, before: dict[str, Json], columns: dict[str, Any]) -> None:
    """Add to *change* what a call does to one column.

    https://developers.notion.com/reference/update-data-source-properties: null removes, an unknown name adds, `name`
    renames, a type changes; an option that is left out is removed.
    """
    name = named(key, before["columns"])
    if config is None and name is not None:
        kept = before[f"column {name}"]
        change.column(name, rewritten(columns[name]))
        change.left[f"column {name}"], change.back[f"column {name}"] = ABSENT, kept
        what = "its id" if kept["type"] in shapes.COMPUTED else "its values, its id"
        change.remains.append(f"the column {name!r} has lost {what} and its place in views")
    elif name is None:
        made = config.get("name") or key
        change.column(made, None)
        change.left[f"column {made}"], change.back[f"column {made}"] = as_shown(views.column, config), ABSENT
        change.remains.append(f"what was entered into the new column {made!r} goes with it")
    else:
        _edit_column(change, name, config, before, columns[name])


def _edit_column(change: Change, name: str, config: dict[str, Json], before: dict[str, Json], was: Any) -> None:
    new_name = config.get("name") or name
    entry: dict[str, Json] = {}
    if new_name != name:
        entry["name"] = name
        change.left[f"name of {was['id']}"], change.back[f"name of {was['id']}"] = new_name, name
    if set(config) - {"name", "id"}:
        old = before[f"column {name}"]
        new = as_shown(views.column, config)
        entry |= rewritten(was)
        if "description" in config:
            entry["description"] = was.get("description")
        change.left[f"column {new_name}"], change.back[f"column {name}"] = new, old
        if new["type"] and new["type"] != old["type"]:
            change.remains.append(f"values of {name!r} that its change from {old['type']} to {new['type']} dropped")
        elif gone := _options(old) - _options(new) if new["type"] else set():
            change.remains.append(f"the rows of {name!r} that had {', '.join(sorted(gone))} have lost it")
    if entry:
        change.column(new_name, entry)


def _options(column: dict[str, Json]) -> set[str]:
    return {str(one["name"]) for one in (column[column["type"]] or {}).get("options", [])}


def rewritten(config: dict[str, Json]) -> dict[str, Json]:
    """A column as Notion shows it, as a call takes it."""
    kind = config["type"]
    inside = config.get(kind) or {}
    if kind in ("select", "multi_select", "status"):
        names = ("id", "name", "color")
        inside = {"options": [{n: one[n] for n in names if n in one} for one in inside.get("options") or []]}
    elif kind == "relation":
        way = inside.get("type") or "single_property"
        synced = {n: v for n, v in (inside.get(way) or {}).items() if n == "synced_property_name"}
        inside = {"data_source_id": inside["data_source_id"], "type": way, way: synced}
    elif kind == "rollup":
        names = ("function", "relation_property_name", "rollup_property_name")
        inside = {name: inside[name] for name in names}
    described = {"description": config["description"]} if config.get("description") else {}
    return {"type": kind, kind: inside, **described}
