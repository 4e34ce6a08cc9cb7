"""What goes in and out of a stand-in: a request, decoded, and the answer to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


@dataclass
class Incoming:
    """One request, decoded."""

    verb: str
    path: str
    query: dict[str, Any]
    headers: dict[str, str]
    body: Any
    raw: bytes
    parameters: dict[str, str] = field(default_factory=dict)
    target: str = ""
    """Path and query as they were sent; `query` has only the last of a name that repeats."""
    number: int = 0
    """Which request to this stand-in it is, in the order of their arrival."""

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]


@dataclass
class Reply:
    """One answer. `body` is sent as JSON, unless it is bytes or None."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether only the first half of the body goes out before the connection is cut."""


class Refuse(Exception):
    """Raise from a route to answer with an error and leave the state as it was before the request."""

    def __init__(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.reply = Reply(status, body, headers or {})


def decode(raw: bytes, headers: dict[str, str]) -> Any:
    """A body as JSON or flat form; None where it is empty or something else."""
    kind = headers.get("content-type", "").split(";")[0].strip()
    if not raw:
        return None
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    try:
        return json.loads(raw)
    except ValueError:
        return None
