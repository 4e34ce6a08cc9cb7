"""Pages: https://developers.notion.com/reference/page. They cannot be deleted, only put into the trash and taken out.

Their properties are restored one by one: what somebody else changed beside them stays.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import unquote

from agentguard.calls import Call, Effect, Handler, Json, Read, Risk, Undo, forward, no_undo, read, undo
from agentguard_connectors.notion import marks, shapes, views
from agentguard_connectors.notion.blocks import PLACE, beyond, from_trash, registered, to_trash
from agentguard_connectors.notion.service import TRASH, notion

NOT_COMPARED = ("columns", "partial", "parent")
EMPTY_HANDED = ("erase_content", "template")
"""Arguments that make an update another operation (`codec.variant_of`), unless they are empty."""


def look_at(page_id: str) -> Read:
    """Read a page."""
    return read("pages.retrieve", page_id=page_id).through("page")


@notion.guards("pages.create", effect=Effect.COMPENSABLE, remains=TRASH)
def create(call: Call, template: Json, mark: str | None) -> Handler:
    """Create a page, or a row of a data source; it is put into the trash."""
    properties = call.arguments.get("properties") or {}
    place = yield from marks.place_for(call.arguments.get("parent"), properties, mark)
    go = forward()
    if place and mark:
        go = go.changing(properties={**properties, place: marks.written(mark)})
    made = yield go
    seen = views.page(made)
    # A template is applied some time after the answer, and changes what the page shows.
    # Who edited it last shows that somebody else wrote into it, which would go to the trash with it.
    left = {"in_trash": False} if template else {n: v for n, v in seen.items() if n not in NOT_COMPARED}
    trash = undo("pages.update", page_id=made["id"], in_trash=True)
    yield trash.on(look_at(made["id"]), left=left, back={"in_trash": True}).leaving(TRASH)


@notion.guards("pages.update", effect=Effect.REVERSIBLE)
def update(call: Call, page_id: str) -> Handler:
    """Edit a page: its properties, icon, cover, lock or place in the trash; the old values come back."""
    look = look_at(page_id)
    before = yield look
    given = call.arguments
    undos: list[Undo] = []
    lost = beyond(call, "page_id", "properties", "icon", "cover", "is_locked", "in_trash", "archived", *EMPTY_HANDED)
    values: dict[str, Json] = {}
    for key, value in (given.get("properties") or {}).items():
        name = named(key, before["columns"])
        if name is not None and name in before["partial"]:
            undos.extend((yield from whole_property(page_id, name, before["columns"][name], value, lost)))
        else:
            values[f"properties.{name or key}"] = as_shown(shapes.shown, value)
    values |= {name: shapes.file(given[name]) for name in ("icon", "cover") if name in given}
    values |= {name: given[name] for name in ("is_locked",) if name in given}
    old = {slot: before[slot] for slot in values if writable(slot, before, lost)}
    if old:
        new = {slot: values[slot] for slot in old}
        way_back = undo("pages.update", page_id=page_id, **as_written(old))
        undos.append(way_back.on(look, left=new, back=old, same_shape=True))
    asked = shapes.to_trash(given)
    if asked and not before["in_trash"]:
        undos.append((yield from from_trash("child_page", page_id, before["parent"])))
    if asked is False and before["in_trash"]:
        undos.insert(0, to_trash("child_page", page_id))
    yield from registered(undos, lost)
    yield forward()


def named(key: str, columns: dict[str, str]) -> str | None:
    """The name of the property that a call names by its name or by its id."""
    if key in columns:
        return key
    return next((name for name, known in columns.items() if unquote(known or "") == unquote(key)), None)


def as_shown(view: Callable[[Json], Json], value: Json) -> Json:
    """What a call writes, as it will be shown; what Notion will refuse stays as it is."""
    try:
        return view(value)
    except (AttributeError, KeyError, TypeError, ValueError):
        return value


def writable(slot: str, before: dict[str, Json], lost: list[str]) -> bool:
    """Whether an old value can be written back; if not, put on record what is lost."""
    name = slot.removeprefix("properties.")
    value = before.get(slot)
    if slot not in before:
        lost.append(f"Notion did not show the former {name}")
    elif slot in ("icon", "cover") and shapes.kept_by_notion(value):
        lost.append(f"the former {name} was a file that Notion keeps, which the API cannot set")
    elif why := shapes.unwritable(value):
        lost.append(f"the former {name} has {why}, which the API cannot write")
    else:
        return True
    return False


def as_written(old: dict[str, Json]) -> dict[str, Json]:
    """Turn slots of the view `page` into the arguments of an update."""
    prefix = "properties."
    properties = {s.removeprefix(prefix): shapes.written(v) for s, v in old.items() if s.startswith(prefix)}
    outside = {slot: value for slot, value in old.items() if not slot.startswith(prefix)}
    return {**({"properties": properties} if properties else {}), **outside}


def whole_property(
    page_id: str, name: str, identifier: str, value: Json, lost: list[str]
) -> Generator[Read, Any, list[Undo]]:
    """Work out the way back for a property with more entries than a page shows: it is read by itself."""
    reading = read("pages.properties.retrieve", page_id=page_id, property_id=unquote(identifier), page_size=100)
    look = reading.through("property_items")
    old = yield look
    if old["more"]:
        lost.append(f"the former {name} has more than 100 entries, which are not all on record")
        return []
    way_back = undo("pages.update", page_id=page_id, properties={name: shapes.written(old["value"])})
    new = as_shown(shapes.shown, value)
    return [way_back.on(look, left={"value": new}, back={"value": old["value"]})]


notion.irreversible(
    "pages.update+erase_content", "Erase the content of a page. Notion: this cannot be reversed using the API."
)
notion.irreversible(
    "pages.update+template", "Apply a template to a page: its content and properties are merged into the page later."
)


@notion.guards("pages.update_markdown", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM)
def update_markdown(page_id: str) -> Handler:
    """Edit the content of a page as Markdown; the old content is written back, in new blocks."""
    look = read("pages.retrieve_markdown", page_id=page_id).through("markdown")
    before = yield look
    if before["complete"]:
        way_back = undo(
            "pages.update_markdown",
            page_id=page_id,
            type="replace_content",
            replace_content={"new_str": before["markdown"]},
        )
        back = {"markdown": before["markdown"]}
        remains = "its blocks may have new ids, and comments on them are gone"
        yield way_back.on(look, left={"markdown": None}, back=back, same_shape=True).leaving(remains)
    else:
        yield no_undo("the page is too long to be read as a whole, so its old content is not on record")
    yield forward()


@notion.guards("pages.move", effect=Effect.REVERSIBLE)
def move(page_id: str, parent: dict[str, Json] | None) -> Handler:
    """Move a page below another page or into a data source; it is moved back."""
    look = look_at(page_id)
    before = yield look
    home = before["parent"]
    new = shapes.parent(parent)
    kind = home["type"]
    if kind in ("page_id", "data_source_id"):
        for values, empty in (yield from left_behind(before, new)):
            refill = undo("pages.update", page_id=page_id, **as_written(values))
            yield refill.on(look, left={"parent": home, **empty}, back=values)
        way_back = undo("pages.move", page_id=page_id, parent=home)
        remains = yield from place_lost(page_id, home)
        seen = way_back.on(look, left={"parent": new}, back={"parent": home}, same_shape=True)
        yield seen.leaving(remains)
    else:
        where = "at the top of the workspace" if kind == "workspace" else f"in a {kind.removesuffix('_id')}"
        yield no_undo(f"the API moves pages below pages and into data sources only, and this one was {where}")
    yield forward()


def left_behind(
    before: dict[str, Json], new: Json
) -> Generator[Read, Any, list[tuple[dict[str, Json], dict[str, Json]]]]:
    """The filled-in properties that a row may not take along, each group with how it looks if it did not.

    What the new home has no column for is gone while the row is there, and nobody can have changed it. What it has one
    for may come back with the row, changed or not; it is written back only where it is empty then.
    """
    own = {slot: v for slot, v in before.items() if slot.startswith("properties.") and next(iter(v)) != "title"}
    filled = {slot: value for slot, value in own.items() if not shapes.empty(value)}
    if before["parent"]["type"] != "data_source_id" or not filled:
        return []
    there: dict[str, Json] = {}
    if isinstance(new, dict) and new["type"] == "data_source_id":
        columns = yield read("data_sources.retrieve", data_source_id=new["data_source_id"]).through("schema").or_none()
        there = {f"properties.{name}": config["type"] for name, config in (columns or {}).items()}
    taken = [slot for slot, value in filled.items() if there.get(slot) == next(iter(value))]
    gone = {slot: value for slot, value in filled.items() if slot not in taken}
    groups = [({slot: filled[slot]}, {slot: shapes.blank(filled[slot])}) for slot in taken]
    return [*groups, (gone, {})] if gone else groups


def place_lost(page_id: str, home: dict[str, Json]) -> Generator[Read, Any, str]:
    """Say that the place among siblings may be lost, unless it has none."""
    if home["type"] != "page_id":
        return ""
    look = read("blocks.children.list", block_id=home["page_id"], page_size=100).through("children")
    siblings = yield look.or_none()
    alone = siblings is not None and not siblings["more"] and list(siblings["after"]) == [shapes.plain_id(page_id)]
    return "" if alone else PLACE.replace("from the trash comes back", "is put when it is moved back")
