"""Which calls are about the same thing: while the undo of a newer one is open, that of an older one has to wait.

Undone out of order, a thing could be deleted with what a person has since changed inside it. Two calls belong together
when they are about one thing (the same path, or seen by the same look), when the newer one works below a path that the
older one made, or when it was given an id that the older one made. Two things made in one place do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from agentguard.calls import Json
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.operations import Operation

Key: TypeAlias = tuple[str, tuple[str, str], str]
"""Something that ties calls together: what kind of thing, of which service, and its name."""
SYMMETRIC = frozenset({"thing", "look"})
"""Kinds of keys that a call offers whenever it needs them."""
SHORTEST_ID = 6
"""Shorter texts are taken for words and numbers; ids in paths are known by their place."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What one call and its undos are about."""

    call: CallRow
    service: tuple[str, str]
    path: str
    """Where the call went; empty where its service has no paths."""
    things: frozenset[str]
    """The paths of single things among those that it and its undos use."""
    looks: frozenset[str]
    made: frozenset[str]
    """Ids that its undos use and that it was not given: the service made them."""
    given: frozenset[str]

    def hangs_on(self, older: Lineage) -> bool:
        """Whether *older* may only be undone after this call."""
        return not self.needs().isdisjoint(older.offers())

    def offers(self) -> frozenset[Key]:
        """What newer calls may hang on."""
        return frozenset(
            (
                *(("thing", self.service, thing) for thing in self.things),
                *(("look", self.service, look) for look in self.looks),
                *(("id", self.service, made) for made in self.made),
                *(("below", self.service, thing) for thing in self.things_made()),
            )
        )

    def needs(self) -> frozenset[Key]:
        """What this call hangs on, where an older one offers it."""
        return frozenset(
            (
                *(("thing", self.service, thing) for thing in self.things),
                *(("look", self.service, look) for look in self.looks),
                *(("id", self.service, given) for given in self.given),
                *(("below", self.service, above) for path in (self.path, *self.things) for above in _above(path)),
            )
        )

    def things_made(self) -> Iterator[str]:
        """The paths of things that were not there before the call."""
        return (thing for thing in self.things if not _below(self.path, thing))


def lineage(operations: Mapping[str, Operation], call: CallRow, undos: Iterable[UndoRow]) -> Lineage:
    """Work out what *call* is about, from what the ledger has of it."""
    used = [(call.name, call.arguments)]
    looks: set[str] = set()
    ids: set[str] = set()
    for undo in undos:
        used.append((undo.name, undo.arguments))
        if undo.look is not None:
            used.append((undo.look["operation"], undo.look["arguments"]))
            looks.add(json.dumps(undo.look, sort_keys=True))
        ids.update(_texts(undo.look["arguments"] if undo.look is not None else undo.arguments))
    paths = [_path(operations.get(name), arguments) for name, arguments in used]
    things = frozenset(path for path, single in paths if single)
    given = frozenset(_texts(call.arguments))
    return Lineage(
        call,
        (call.connector, call.base.partition("#")[0]),
        paths[0][0],
        things,
        frozenset(looks),
        frozenset(ids) - given,
        given,
    )


def _path(operation: Operation | None, arguments: dict[str, Json]) -> tuple[str, bool]:
    """The path of a call, and whether it is that of a single thing. Without parameters a path says nothing."""
    if operation is None or not operation.parameters:
        return "", False
    try:
        return operation.fill(arguments)[0], operation.path.endswith("}")
    except ValueError:
        return "", False


def _above(path: str) -> Iterator[str]:
    """*path* and every path that it lies below."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _below(path: str, thing: str) -> bool:
    return f"{path}/".startswith(f"{thing}/")


def _texts(value: Json) -> Iterator[str]:
    """Every text in *value* that may be an id."""
    if isinstance(value, str):
        if len(value) >= SHORTEST_ID:
            yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def newer_first(lines: Iterable[Lineage]) -> dict[int, frozenset[int]]:
    """For each call the newer ones that have to be taken back before it, nearest only: they wait for theirs in turn.

    *lines* are given oldest first.
    """
    offering: dict[Key, list[int]] = {}
    before: dict[int, set[int]] = {}
    for line in lines:
        before[line.call.seq] = set()
        for key in line.needs():
            older = offering.get(key, [])
            # Of those that need what they offer the newest waits for this one, and the others for that.
            for seq in older[-1:] if key[0] in SYMMETRIC else older:
                before[seq].add(line.call.seq)
        for key in line.offers():
            offering.setdefault(key, []).append(line.call.seq)
    return {seq: frozenset(newer) for seq, newer in before.items()}
