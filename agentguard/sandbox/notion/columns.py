"""Columns of a data source and the values in them: what a request may say, what is kept, and how it is shown.

https://developers.notion.com/reference/property-object, https://developers.notion.com/reference/page-property-values.
A value is kept under the id of its column; an option by its own id. So a renamed column keeps its values, and one that
is removed takes them along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentguard.sandbox.notion.base import Data, invalid, only, typed
from agentguard.sandbox.notion.texts import date, file, rich_text, uuid

EMPTY = (
    "title",
    "rich_text",
    "url",
    "people",
    "files",
    "email",
    "phone_number",
    "date",
    "checkbox",
    "created_time",
    "created_by",
    "last_edited_time",
    "last_edited_by",
)
SETTINGS: dict[str, tuple[str, ...]] = {
    "number": ("format",),
    "formula": ("expression",),
    "select": ("options",),
    "multi_select": ("options",),
    "status": ("options",),
    "relation": ("data_source_id", "type", "single_property", "dual_property"),
    "rollup": ("function", "relation_property_name", "rollup_property_name"),
    "unique_id": ("prefix",),
    **dict.fromkeys(EMPTY, ()),
}
COLORS = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
LIMIT = 25


def column(config: Any, name: str, where: str, new_id: Callable[[], str], old: Data | None = None) -> Data:
    """A column as it is kept. *old* is the one that is edited."""
    only(config, where, "type", "name", "description", *SETTINGS)
    kinds = [kind for kind in config if kind in SETTINGS]
    if len(kinds) != 1 or config.get("type", kinds[0]) != kinds[0]:
        raise invalid(f"body failed validation: {where} should have exactly one type of property.")
    kind = kinds[0]
    if old is not None and "title" in (kind, old["type"]) and kind != old["type"]:
        raise invalid("The type of the title property cannot be changed.")
    given = only(config[kind], f"{where}.{kind}", *SETTINGS[kind])
    inside: Data = dict(given)
    if "options" in SETTINGS[kind]:
        known = {} if old is None or old["type"] != kind else {one["id"]: one for one in old[kind]["options"]}
        inside = {"options": _options(given.get("options", []), known, where, new_id)}
    elif kind == "number":
        inside = {"format": given.get("format", "number")}
    elif kind == "relation":
        inside = {**given, "data_source_id": uuid(given.get("data_source_id"), where)}
        inside.setdefault("type", "single_property")
        inside.setdefault(inside["type"], {})
    described = config.get("description", old and old["description"])
    which = "title" if kind == "title" else (old["id"] if old else new_id()[:4].replace("0", "%3A", 1))
    return {"id": which, "name": name, "description": described, "type": kind, kind: inside}


def _options(given: Any, known: Data, where: str, new_id: Callable[[], str]) -> list[Data]:
    options = []
    for one in typed(given, f"{where}.options", list):
        only(one, f"{where}.options", "id", "name", "color", "description")
        old = known.get(one.get("id", "")) or next((o for o in known.values() if o["name"] == one.get("name")), None)
        if one.get("color", "default") not in COLORS:
            raise invalid(f"body failed validation: {where}.options.color should be one of {', '.join(COLORS)}.")
        if old is not None:
            if one.get("color", old["color"]) != old["color"]:
                raise invalid(f"Cannot update color of select with name: {old['name']}.")
            options.append(old)
        elif "name" in one:
            color = one.get("color", "default")
            options.append({"id": one.get("id") or new_id()[:8], "name": one["name"], "color": color})
        else:
            raise invalid(f"body failed validation: {where}.options.name should be defined, instead was `undefined`.")
    return [{"description": None, **option} for option in options]


def blank(kind: str) -> Any:
    """The value of a property that nobody filled in."""
    if kind in ("title", "rich_text", "people", "files", "relation", "multi_select"):
        return []
    return False if kind == "checkbox" else None


def value(given: Any, config: Data, where: str, uploads: Data, new_id: Callable[[], str]) -> Any:
    """A property's value as it is kept."""
    kind = config["type"]
    if not isinstance(given, dict) or kind not in given or given.get("type", kind) != kind:
        raise invalid(f"{config['name']} is expected to be {kind}.")
    only(given, where, "id", "type", kind)
    inside = given[kind]
    at = f"{where}.{kind}"
    if kind in ("title", "rich_text"):
        return rich_text(inside, at)
    if kind in ("select", "status"):
        return None if inside is None else _chosen(inside, config, at, new_id)
    if kind == "multi_select":
        return [_chosen(one, config, at, new_id) for one in typed(inside, at, list)]
    if kind in ("people", "relation"):
        return [{"id": uuid(only(one, at, "object", required=("id",))["id"], at)} for one in typed(inside, at, list)]
    if kind == "files":
        return [_named_file(one, at, uploads) for one in typed(inside, at, list)]
    if kind == "date":
        return date(inside, at)
    if kind == "checkbox":
        return typed(inside, at, bool)
    if kind == "number":
        return None if inside is None else typed(inside, at, int, float)
    if kind in ("url", "email", "phone_number"):
        return None if inside is None else typed(inside, at, str)
    raise invalid(f"{config['name']} is a {kind} and cannot be set.")


def _chosen(given: Any, config: Data, where: str, new_id: Callable[[], str]) -> str:
    """The id of an option. An unknown name makes a new one, an unknown id does not."""
    only(given, where, "id", "name", "color", "description")
    options = config[config["type"]]["options"]
    for option in options:
        if option["id"] == given.get("id") or ("id" not in given and option["name"] == given.get("name")):
            return str(option["id"])
    if "id" in given or "name" not in given or config["type"] == "status":
        raise invalid(f"{config['name']}: there is no such option.")
    option = {"id": new_id()[:8], "name": given["name"], "color": given.get("color", "default"), "description": None}
    options.append(option)
    return str(option["id"])


def _named_file(given: Any, where: str, uploads: Data) -> Data:
    only(given, where, "type", "name", "external", "file", "file_upload")
    if "file" in given:
        url = only(given["file"], where, "expiry_time", required=("url",))["url"]
        return {"type": "file", "name": given.get("name"), "file": {"url": url, "expiry_time": None}}
    kept = file({name: part for name, part in given.items() if name != "name"}, where, uploads)
    return {"name": given.get("name"), **(kept or {})}


def shown(kept: Any, config: Data, page: Data, *, whole: bool = False) -> Data:
    """A property as a page shows it: no more than 25 people or relations, unless it is read by itself."""
    kind = config["type"]
    outside: Data = {"id": config["id"], "type": kind}
    if kind in ("created_time", "created_by", "last_edited_time", "last_edited_by"):
        return {**outside, kind: page[kind]}
    if kind == "unique_id":
        return {**outside, kind: {"prefix": config[kind].get("prefix"), "number": 1}}
    if kind == "formula":
        return {**outside, kind: {"type": "string", "string": config[kind]["expression"]}}
    if kind == "rollup":
        return {**outside, kind: {"type": "number", "number": 0, "function": config[kind]["function"]}}
    if kind in ("select", "status", "multi_select"):
        options = {one["id"]: {n: one[n] for n in ("id", "name", "color")} for one in config[kind]["options"]}
        if kind == "multi_select":
            return {**outside, kind: [options[one] for one in kept if one in options]}
        return {**outside, kind: options.get(kept)}
    if kind == "people":
        kept = [{"object": "user", **one} for one in kept]
    if kind in ("people", "relation") and not whole:
        more = {"has_more": len(kept) > LIMIT} if kind == "relation" else {}
        return {**outside, kind: kept[:LIMIT], **more}
    return {**outside, kind: kept}
