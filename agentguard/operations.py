"""The operations table of a service: every operation with verb, path, effect and risk, found by name or by path.

A table is a JSON Lines file, one operation a line:

    {"name": "issues.create", "verb": "POST", "path": "/repos/{owner}/{repo}/issues"}
    {"name": "issues.get", "verb": "GET", "path": "/repos/{owner}/{repo}/issues/{issue_number}", "effect": "read"}
    {"name": "payouts.create", "verb": "POST", "path": "/v1/payouts", "effect": "irreversible", "risk": "high"}

`effect` and `risk` of an operation that has a handler stand in the handler's decorator and nowhere else. `{+name}` in a
path takes the rest of the path, slashes included (RFC 6570), and `{name}:verb` a segment that ends so. `query` lists
the arguments of a write that travel in the query string; all others travel in the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from agentguard.calls import Effect, Json, Risk


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of a service's table."""

    name: str
    verb: str
    path: str
    effect: Effect | None = None
    risk: Risk | None = None
    query: tuple[str, ...] = ()
    undo: str = ""
    """For a write without a handler: what is known about taking it back ("none", "expires", "by hand: ...")."""

    @property
    def reads(self) -> bool:
        """Whether the table says that this operation changes nothing."""
        return self.effect is Effect.READ

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path, in their order."""
        return _parameters(self.path)

    def fill(self, arguments: dict[str, Json]) -> tuple[str, dict[str, Json]]:
        """Return the path with *arguments* in it, quoted, and the arguments that are left over."""
        rest = dict(arguments)
        parts = []
        for part in self.path.split("/"):
            if part.startswith("{"):
                name, suffix = _parameter(part)
                if rest.get(name) in (None, ""):
                    raise ValueError(f"{self.name} needs {name!r} for its path {self.path}")
                parts.append(quote(str(rest.pop(name)), safe="/" if part.startswith("{+") else "") + suffix)
            else:
                parts.append(part)
        return "/".join(parts), rest


@dataclass(frozen=True, slots=True)
class Match:
    """An operation that was recognised, and the arguments that stood in its path."""

    operation: Operation
    arguments: dict[str, str]


class OperationTable:
    """The operations of one service, by name and by verb and path."""

    def __init__(self, operations: list[Operation]) -> None:
        self.by_name: dict[str, Operation] = {}
        self._tree: dict[str, _Node] = {}
        for operation in operations:
            if operation.name in self.by_name:
                raise ValueError(f"two operations are called {operation.name}")
            self.by_name[operation.name] = operation
            self._tree.setdefault(operation.verb, _Node()).add(operation)

    @classmethod
    def load(cls, path: Path) -> OperationTable:
        """Read a table from a JSON Lines file."""
        return cls(msgspec.json.Decoder(Operation).decode_lines(path.read_bytes()))

    def match(self, verb: str, path: str) -> Match | None:
        """Find the operation that *verb* and *path* (without query, still quoted) belong to."""
        tree = self._tree.get(verb)
        found = tree.find(path.strip("/").split("/")) if tree else None
        if found is None:
            return None
        operation, values = found
        return Match(operation, dict(zip(operation.parameters, values, strict=True)))


def _parameter(segment: str) -> tuple[str, str]:
    """The name in a segment such as `{id}`, `{+path}` or `{id}:cancel`, and what follows it."""
    name, _, suffix = segment.removeprefix("{").removeprefix("+").partition("}")
    return name, suffix


@lru_cache(maxsize=4096)
def _parameters(path: str) -> tuple[str, ...]:
    return tuple(_parameter(part)[0] for part in path.split("/") if part.startswith("{"))


class _Node:
    """One level of the path tree. A literal segment wins over a parameter, and that over the rest of the path."""

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.suffixed: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: Operation | None = None
        self.operation: Operation | None = None

    def add(self, operation: Operation) -> None:
        node = self
        for segment in operation.path.strip("/").split("/"):
            if segment.startswith("{+"):
                node.rest = operation
                return
            if segment.startswith("{"):
                suffix = _parameter(segment)[1]
                if suffix:
                    node = node.suffixed.setdefault(suffix, _Node())
                    continue
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        if node.operation is not None:
            raise ValueError(f"{operation.name} and {node.operation.name} share {operation.verb} {operation.path}")
        node.operation = operation

    def find(self, segments: list[str], at: int = 0) -> tuple[Operation, list[str]] | None:
        if at == len(segments):
            return (self.operation, []) if self.operation else None
        segment = segments[at]
        literal = self.literals.get(segment)
        found = literal.find(segments, at + 1) if literal else None
        for suffix, node in self.suffixed.items():
            if found is None and segment.endswith(suffix) and segment != suffix:
                deeper = node.find(segments, at + 1)
                found = deeper and (deeper[0], [unquote(segment.removesuffix(suffix)), *deeper[1]])
        if found is None and self.parameter is not None and segment:
            deeper = self.parameter.find(segments, at + 1)
            found = deeper and (deeper[0], [unquote(segment), *deeper[1]])
        if found is None and self.rest is not None:
            found = self.rest, [unquote("/".join(segments[at:]))]
        return found
