"""One request to the Slack stand-in: who asks, with which arguments, about which workspace.

Slack's methods are functions `(work) -> answer` that register under their vendor name with `method`. All of them take
arguments as JSON, as a form, as multipart or in the query, answer with HTTP 200, and say in `ok` whether it worked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

from agentguard.sandbox.server import Incoming, Refuse

Method = Callable[["Work"], dict[str, Any]]
METHODS: dict[str, Method] = {}
STRUCTURED = ("blocks", "attachments", "metadata", "profile", "files", "unfurls", "chunks")
MESSAGE_FIELDS = ("text", "blocks", "attachments", "metadata", "thread_ts")


def method(*names: str) -> Callable[[Method], Method]:
    """Register the decorated function as the answer to these API methods."""

    def register(function: Method) -> Method:
        METHODS.update(dict.fromkeys(names, function))
        return function

    return register


def fail(error: str, **details: Any) -> Refuse:
    """Slack's way to say no: HTTP 200, `ok` false, an error code."""
    return Refuse(200, {"ok": False, "error": error, **details})


@dataclass
class Work:
    """What one call of an API method works with."""

    state: dict[str, Any]
    method: str
    given: dict[str, Any]
    me: str
    effect: Callable[..., None]
    asked: set[str] = field(default_factory=set)

    @property
    def is_bot(self) -> bool:
        """Whether the token belongs to a bot user."""
        return bool(self.state["users"][self.me]["is_bot"])

    # Arguments

    def get(self, name: str, default: Any = None) -> Any:
        """An optional argument."""
        self.asked.add(name)
        return self.given.get(name, default)

    def need(self, name: str, error: str = "invalid_arguments") -> Any:
        """An argument that the method cannot do without."""
        value = self.get(name)
        if value is None or value == "":
            raise fail(error)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean argument, however it was written."""
        value = self.get(name)
        return default if value is None else str(value).lower() in ("1", "true")

    def names(self, name: str) -> list[str]:
        """A list argument: comma-separated, or a JSON list."""
        value = self.get(name) or []
        return [str(v) for v in value] if isinstance(value, list) else [v.strip() for v in str(value).split(",")]

    # The workspace

    def channel(self, name: str = "channel", *, member: bool = False, archived: bool = False) -> dict[str, Any]:
        """The conversation that the argument *name* points at, by id or by `#name`."""
        wanted = str(self.need(name, "channel_not_found"))
        for channel in self.state["channels"].values():
            if wanted in (channel["id"], "#" + channel["name"], channel["name"]):
                break
        else:
            raise fail("channel_not_found")
        if self.me not in channel["members"] and (channel["is_private"] or channel["is_im"]):
            raise fail("channel_not_found")
        if member and self.me not in channel["members"]:
            raise fail("not_in_channel")
        if channel["is_archived"] and not archived:
            raise fail("is_archived")
        return dict_of(channel)

    def message(self, channel: dict[str, Any], name: str = "ts") -> dict[str, Any]:
        """The message of *channel* that the argument *name* points at."""
        found = channel["messages"].get(str(self.need(name)))
        if found is None or found.get("subtype") == "tombstone":
            raise fail("message_not_found")
        return dict_of(found)

    def user(self, name: str = "user") -> dict[str, Any]:
        """The user that the argument *name* points at; the caller where it is left out."""
        found = self.state["users"].get(self.get(name) or self.me)
        if found is None:
            raise fail("user_not_found")
        return dict_of(found)

    def new_id(self, kind: str) -> str:
        """An identifier that was never used."""
        self.state["counter"] += 1
        return f"{kind}{self.state['counter']:08d}"

    def ts(self) -> str:
        """A message timestamp, unique in the workspace."""
        self.state["last_ts"] = max(time.time(), self.state["last_ts"] + 0.000001)
        return f"{self.state['last_ts']:.6f}"

    def now(self) -> int:
        """The time in seconds; never the same twice, so that every change of a date shows."""
        self.state["last_now"] = max(int(time.time()), self.state["last_now"] + 1)
        return int(self.state["last_now"])

    def notice(self, channel: dict[str, Any], subtype: str, text: str, user: str | None = None, **extra: Any) -> None:
        """Post the system message with which Slack tells a channel what happened to it."""
        ts = self.ts()
        who = user or self.me
        channel["messages"][ts] = {
            "type": "message",
            "subtype": subtype,
            "user": who,
            "text": f"<@{who}> {text}",
            "ts": ts,
            **extra,
        }

    def page(self, items: list[Any], size: int = 100) -> tuple[list[Any], dict[str, Any]]:
        """One page of *items* with Slack's cursor."""
        limit = int(self.get("limit") or size)
        start = int(str(self.get("cursor") or "page-0").removeprefix("page-"))
        more = f"page-{start + limit}" if start + limit < len(items) else ""
        return items[start : start + limit], {"response_metadata": {"next_cursor": more}}


def dict_of(value: Any) -> dict[str, Any]:
    """*value*, which is a dict."""
    assert isinstance(value, dict)
    return value


def arguments(call: Incoming) -> dict[str, Any]:
    """The arguments of a request, wherever they stand; JSON in a form field is decoded."""
    body = call.body if isinstance(call.body, dict) else {}
    if call.headers.get("content-type", "").startswith("multipart/"):
        body = multipart(call)
    given = {**call.query, **body}
    for name in STRUCTURED:
        if isinstance(given.get(name), str) and given[name][:1] in "[{":
            try:
                given[name] = json.loads(given[name])
            except ValueError:
                raise fail(f"invalid_{name}") from None
    return given


def multipart(call: Incoming) -> dict[str, Any]:
    """The fields of a multipart body; files as bytes."""
    head = f"content-type: {call.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + call.raw.lstrip(b"\r\n"), policy=policy.HTTP)
    fields: dict[str, Any] = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = content if part.get_filename() else content.decode()
    return fields
