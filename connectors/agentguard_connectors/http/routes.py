"""What a declaration consists of."""

from __future__ import annotations

from typing import Any

import msgspec

from agentguard import ABSENT, Effect, Risk
from agentguard.calls import Json


class Undoing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An undo with a body: `undo = {call = "POST /users/{id}/enable", body = {reason = "undone"}}`."""

    call: str
    body: dict[str, Any] = {}


class Find(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How to look a lost call up: by its mark, or by the fields in which an item of a list equals its arguments.

    In the path of *read* and in the values of *query* `{mark}` is the mark, and `{x}` what the call's path has there.
    """

    read: str
    same: tuple[str, ...] = ()
    items: str = ""
    """Where the list stands in the answer, dots going deeper; by default the answer is the list or the thing itself."""
    authoritative: bool = False
    """Whether not to find it proves that it did not happen: only where the look-up shows all, and at once."""
    mark: str = ""
    """The field in which an item, or the thing itself, shows the mark that the call carried, dots going deeper."""
    query: dict[str, str] = {}
    """Further parameters of *read*."""


class Route(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One route of the API."""

    call: str
    name: str = ""
    summary: str = ""
    effect: Effect | None = None
    risk: Risk | None = None
    undo: str | Undoing | None = None
    restore: str | None = None
    look: str | None = None
    find: Find | None = None
    mark: str = ""
    """Where a text that no other call has is put into it: `body.reference`, `body.meta.reference`, `header.X-Name`."""
    remains: str = ""
    ignore: tuple[str, ...] = ()
    """Fields that the service keeps by itself, such as `updated_at`: neither compared nor written back."""


class Api(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A declared API."""

    name: str
    routes: tuple[Route, ...]
    title: str = ""
    base: str = ""
    idempotency_header: str | None = None


def shown(route: Route, answer: Json) -> Json:
    """What is compared of an answer: all but the fields that the service keeps by itself."""
    if answer is None:
        return ABSENT
    return {n: v for n, v in answer.items() if n not in route.ignore} if isinstance(answer, dict) else answer
