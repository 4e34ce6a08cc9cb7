"""A mark in a call of a declared API: a text that no other call has, in a field of the body or in a header.

Whether a request can take it is seen when it is decoded, where its headers and the form of its body are known. What the
caller has put there wins; the call then goes as it is, and the argument `$unmarked` says why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from agentguard.calls import Call, Forward, Json, forward
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import BODY, Decoded, RestCodec
from agentguard.wire.http import Headers, Request

UNMARKED = "$unmarked"
"""The argument of a call that goes without its mark: why."""
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a call carries its mark: in one header, or in the body under these names."""

    header: str = ""
    path: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """Read `header.NAME` or `body.NAME.NAME`; None where it is neither."""
        place, _, rest = text.partition(".")
        if place == "header" and rest and rest.replace("-", "").isalnum():
            return cls(header=rest.lower())
        names = tuple(rest.split("."))
        return cls(path=names) if place == "body" and all(names) else None

    def why_not(self, request: Request) -> str:
        """Why *request* goes without a mark; empty where it can take one."""
        if self.header:
            return f"the caller gave a {self.header} of its own" if self.header in request.headers else ""
        name = "body." + ".".join(self.path)
        body = _body(request)
        for step in self.path[:-1]:
            body = body.get(step, {}) if isinstance(body, dict) else None
        if not isinstance(body, dict) or (request.content_type == FORM and len(self.path) > 1):
            return f"its body has no place for {name}"
        return f"the caller gave a {name} of its own" if body.get(self.path[-1]) is not None else ""


def _body(request: Request) -> Json:
    """The fields of a body; None where it has none that could be added to."""
    if not request.body:
        return None if request.body is None else {}
    try:
        if request.content_type == FORM:
            return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        return json.loads(request.body)
    except ValueError:
        return None


def carrying(marking: Mark | None, call: Call, mark: str | None) -> Forward:
    """Let *call* go with its mark, where it takes one."""
    if marking is None or not mark or UNMARKED in call.arguments:
        return forward()
    if marking.header:
        return Forward({marking.header: mark})
    if BODY in call.arguments:
        return forward().changing(**{BODY: _put(call.arguments[BODY], marking.path, mark)})
    first, *rest = marking.path
    return forward().changing(**{first: _put(call.arguments.get(first), tuple(rest), mark)})


def _put(value: Json, path: tuple[str, ...], mark: str) -> Json:
    """*value* with the mark under the names of *path*."""
    if not path:
        return mark
    inside: dict[str, Json] = value if isinstance(value, dict) else {}
    return {**inside, path[0]: _put(inside.get(path[0]), path[1:], mark)}


class HttpCodec(RestCodec):
    """REST with JSON or form bodies, and marks in the calls of some operations."""

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        self.marks = marks

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*, and whether it can take its mark."""
        decoded = super().decode(table, request, bases)
        marking = self.marks.get(decoded.operation.name)
        why = marking.why_not(request) if marking else ""
        return replace(decoded, arguments={**decoded.arguments, UNMARKED: why}) if why else decoded

    def rewrite(self, request: Request, operation: Operation, arguments: dict[str, Json]) -> Request:
        """*request* with its mark, in a body of the same form."""
        if request.content_type == FORM:
            kept: list[tuple[str, Any]] = parse_qsl((request.body or b"").decode(), keep_blank_values=True)
            pairs = [*((name, value) for name, value in kept if name not in arguments), *arguments.items()]
            return replace(request, body=urlencode(pairs).encode())
        if not request.body:
            request = replace(request, headers=Headers({**request.headers, "content-type": "application/json"}))
        if BODY in arguments:
            return replace(request, body=json.dumps(arguments[BODY]).encode())
        return super().rewrite(request, operation, arguments)
