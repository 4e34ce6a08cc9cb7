"""Neutral HTTP: what every gate turns its library's requests and responses into."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agentguard.calls import Json

SAFE_VERBS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Verbs that ask for nothing to be changed (RFC 9110, section 9.2.1)."""


class Headers(dict[str, str]):
    """Header fields by lower-case name (RFC 9110, section 5.1: names are case-insensitive)."""

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__({str(name).lower(): _text(value) for name, value in (fields or {}).items()})


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way out. `body` is None where it is a stream that the gate may not consume."""

    verb: str
    url: str
    headers: Headers
    body: bytes | None = b""

    @property
    def path(self) -> str:
        """The path, still quoted, without the query."""
        return path_of(self.url)

    @property
    def query(self) -> dict[str, Json]:
        """The query string; a name that repeats becomes a list."""
        return pairs_to_dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """A response that came back; `native` is the object that the SDK's own code goes on with."""

    status: int
    headers: Headers
    body: bytes
    native: Any = None

    def json(self) -> Json:
        """The body as JSON; None where there is none, text where it is something else."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request of ours (a snapshot, an undo, a look-up), before the SDK adds address, authentication and encoding."""

    verb: str
    path: str
    query: dict[str, Json] = field(default_factory=dict)
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)


def path_of(url: str) -> str:
    """The path of *url*, still quoted, without query and fragment; what `urlsplit` says, sooner for what is usual."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("https", "http") or "[" in url or not (url.isascii() and url.isprintable()):
        return urlsplit(url).path
    rest = rest.partition("#")[0].partition("?")[0]
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else ""


def pairs_to_dict(pairs: list[tuple[str, str]]) -> dict[str, Json]:
    """Turn decoded form or query pairs into a dict; a name that repeats becomes a list."""
    result: dict[str, Json] = {}
    for name, value in pairs:
        if name in result:
            previous = result[name]
            result[name] = [*previous, value] if isinstance(previous, list) else [previous, value]
        else:
            result[name] = value
    return result
