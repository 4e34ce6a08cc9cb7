"""Blocks: https://developers.notion.com/reference/block. What is deleted goes to the trash and can come back."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Finder,
    Handler,
    Json,
    Read,
    Risk,
    Undo,
    as_sent,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.notion import shapes, views
from agentguard_connectors.notion.service import TRASH, notion

PLACE = "Notion does not say where among its siblings something from the trash comes back"
WAYS = {
    "child_page": ("pages.update", "pages.retrieve", "page_id", "page"),
    "child_database": ("databases.update", "databases.retrieve", "database_id", "database"),
}
"""A page or database is restored as such, not as a block: https://developers.notion.com/reference/delete-a-block."""
DEFAULTS: dict[str, Json] = {"color": "default", "checked": False, "is_toggleable": False, "caption": []}
"""What the fields of a block are that it was not given."""


def look_at(block_id: str) -> Read:
    """Read a block."""
    return read("blocks.retrieve", block_id=block_id).through("block")


def joined(*remains: str) -> str:
    """Several things that remain, in one line."""
    return "; ".join(dict.fromkeys(filter(None, remains)))


def beyond(call: Call, *known: str) -> list[str]:
    """What a call asks for that its handler knows nothing of; the API may know more than it did."""
    return [f"{name} is not put back" for name in call.arguments if name not in known]


def from_trash(kind: str, identifier: str, parent: Json) -> Generator[Read, Any, Undo]:
    """Work out how something comes back from the trash, to be yielded by the handler of the call that puts it there.

    Its place among its siblings is known to come back only if it is the last of them; then it is looked for there. A
    row of a data source has no place.
    """
    write, retrieve, name, view = WAYS.get(kind, ("blocks.update", "blocks.retrieve", "block_id", "block"))
    restore = undo(write, **{name: identifier}, in_trash=False)
    look = read(retrieve, **{name: identifier}).through(view)
    seen = restore.on(look, left={"in_trash": True}, back={"in_trash": False})
    home = parent or {}
    if "data_source_id" in home or "database_id" in home:
        return seen
    above = home.get("page_id") or home.get("block_id")
    if above is None:
        return seen.leaving(PLACE)
    identifier = shapes.plain_id(identifier)
    beside = read("blocks.children.list", block_id=above, page_size=100).through("children")
    siblings = yield beside.or_none()
    places = siblings["after"] if siblings is not None else {}
    if siblings is None or siblings["more"] or list(places)[-1:] != [identifier]:
        return seen.leaving(PLACE)
    before = places[identifier]
    return restore.on(beside, left={"after": {identifier: ABSENT}}, back={"after": {identifier: before}})


def to_trash(kind: str, identifier: str) -> Undo:
    """How something goes back into the trash that a call took out of it."""
    write, retrieve, name, view = WAYS.get(kind, ("blocks.update", "blocks.retrieve", "block_id", "block"))
    look = read(retrieve, **{name: identifier}).through(view)
    return undo(write, **{name: identifier}, in_trash=True).on(look, left={"in_trash": False}, back={"in_trash": True})


@notion.guards("blocks.children.append", effect=Effect.COMPENSABLE, remains=TRASH)
def append(block_id: str) -> Handler:
    """Add blocks; each is deleted again."""
    answer = yield forward()
    if not answer["results"]:
        yield unchanged("the call named no blocks")
    for made in answer["results"]:
        seen = views.block(made)
        left = {name: value for name, value in seen.items() if name != "parent"}
        delete = undo("blocks.delete", block_id=made["id"])
        yield delete.on(look_at(made["id"]), left=left, back={"in_trash": True}).leaving(TRASH)


@notion.finds("blocks.children.append")
def find_appended(block_id: str, children: list[Json] | None, since: str) -> Finder:
    """Look for the one run of our own new blocks that says the same; two of them prove nothing."""
    me = yield read("users.me")
    wanted = [(one.get("type") or _kind(one), _says(one)) for one in children or []]
    siblings = yield from all_children(block_id)
    new = [ours(one, me, since) and (one["type"], _says(one)) for one in siblings]
    starts = [at for at in range(len(new)) if wanted and new[at : at + len(wanted)] == wanted]
    if len(starts) != 1:
        return None
    made = siblings[starts[0] : starts[0] + len(wanted)]
    return {"results": [_as_given(block, one) for block, one in zip(made, children or [], strict=True)]}


def all_children(block_id: str) -> Generator[Read, Any, list[Json]]:
    """Read the children of a block, page by page."""
    found: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        answer = yield read("blocks.children.list", block_id=block_id, page_size=100, **cursor)
        found += answer["results"]
        if not answer["has_more"]:
            return found
        cursor = {"start_cursor": answer["next_cursor"]}


def ours(made: dict[str, Json], me: dict[str, Json], since: str) -> bool:
    """Whether we made this since then. Notion rounds its times down to the minute."""
    return bool(made["created_by"]["id"] == me["id"]) and made["created_time"][:16] >= since[:16]


def _as_given(found: dict[str, Json], given: dict[str, Json]) -> Json:
    """A block as it was added: what stands in it by now may be somebody else's."""
    kind = _kind(given)
    inside = given.get(kind) or {}
    children = bool(inside.get("children") or given.get("children"))
    return as_sent(found, {"has_children": children, kind: {**DEFAULTS, **inside}})


def _kind(value: dict[str, Json]) -> str:
    return next((name for name in value if name not in ("object", "type", "children")), "")


def _says(value: dict[str, Json]) -> str:
    inside = value.get(value.get("type") or _kind(value)) or {}
    cells = [shapes.words(cell) for cell in inside.get("cells") or []]
    other = [inside.get("url"), inside.get("expression"), (inside.get("external") or {}).get("url")]
    return "\n".join([shapes.words(inside.get("rich_text")), *cells, *filter(None, other)])


@notion.guards("blocks.update", effect=Effect.REVERSIBLE)
def update(call: Call, block_id: str) -> Handler:
    """Edit a block; the old content of the fields that it changes comes back."""
    look = look_at(block_id)
    before = yield look
    kind = before["type"]
    given = call.arguments.get(kind)
    asked = given if isinstance(given, dict) else {}
    fields = shapes.content(asked)
    old, new, lost = {}, {}, beyond(call, "block_id", "type", "in_trash", "archived", kind)
    for name, value in fields.items():
        slot = f"{kind}.{name}"
        if slot not in before or shapes.kept_by_notion(before[slot]) or shapes.unwritable(before[slot]):
            why = shapes.unwritable(before.get(slot)) or "a value that the API does not take"
            lost.append(f"the former {name.replace('_', ' ')} of the block cannot be written back: it has {why}")
        else:
            old[slot], new[slot] = before[slot], value
    undos = []
    if old:
        write = {kind: _written({slot.partition(".")[2]: value for slot, value in old.items()})}
        undos.append(undo("blocks.update", block_id=block_id, **write).on(look, left=new, back=old, same_shape=True))
    asked_for_trash = shapes.to_trash(call.arguments)
    if asked_for_trash and not before["in_trash"]:
        undos.append((yield from from_trash(kind, block_id, before["parent"])))
    if asked_for_trash is False and before["in_trash"]:
        undos.insert(0, to_trash(kind, block_id))
    yield from registered(undos, lost)
    yield forward()


def registered(undos: list[Undo], lost: list[str]) -> Handler:
    """Yield *undos*, and what cannot be put back; say so if there is neither."""
    yield from undos
    for what in dict.fromkeys(lost):
        yield no_undo(what)
    if not undos and not lost:
        yield unchanged()


def _written(fields: dict[str, Json]) -> dict[str, Json]:
    """Turn what `shapes.content` made of a block into what an update takes."""
    sent = {name: value for name, value in fields.items() if name not in ("source", "target")}
    for name in ("source", "target"):
        inside = fields.get(name)
        if isinstance(inside, dict):
            sent |= {inside["type"]: inside[inside["type"]]}
    return sent


@notion.guards("blocks.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=PLACE)
def delete(block_id: str) -> Handler:
    """Put a block, page or database into the trash, with all below it; it is taken out again."""
    before = yield look_at(block_id)
    if before["in_trash"]:
        yield unchanged()
    else:
        yield (yield from from_trash(before["type"], block_id, before["parent"]))
    yield forward()
