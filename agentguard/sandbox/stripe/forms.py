"""Stripe's parameters: forms nested with brackets, checked and typed by a short specification.

A specification is a line of `name:type`, with `!` for what is required: `name:str! active:bool items:list`.
"""

from __future__ import annotations

import re
from typing import Any

from agentguard.sandbox.server import Refuse, Reply

Data = dict[str, Any]

EMPTY_ADDRESS: Data = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
COMMON = {"expand": "list", "metadata": "hash"}


def refusal(message: str, code: str | None = None, param: str | None = None, status: int = 400, **more: Any) -> Refuse:
    """An error in Stripe's shape."""
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": param, **more}
    return Refuse(status, {"error": {name: value for name, value in error.items() if value is not None}})


class NotBegun(Reply):
    """An answer that was given before an endpoint began to execute."""


def invalid(message: str, code: str | None = None, param: str | None = None, status: int = 400) -> Refuse:
    """An error about the request itself: nothing was begun, so that its idempotency key stays free."""
    refused = refusal(message, code, param, status)
    refused.reply = NotBegun(refused.reply.status, refused.reply.body, refused.reply.headers)
    return refused


def parse(flat: Data | None) -> Data:
    """Nest a flat form: `a[b]` and `a[0]` and `a[]`."""
    result: Data = {}
    for name, value in (flat or {}).items():
        parts = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        target = result
        for part in parts[:-1]:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise invalid(f"Invalid parameter: {name}", param=name)
        target[parts[-1] or str(len(target))] = value
    return {name: _listed(value, name) for name, value in result.items()}


def _listed(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return value
    if name != "metadata" and value and all(key.isdigit() for key in value):
        return [_listed(value[key], "") for key in sorted(value, key=int)]
    return {key: _listed(inner, key) for key, inner in value.items()}


def specification(text: str) -> dict[str, str]:
    """Read a specification."""
    return {**dict(word.split(":") for word in text.split()), **COMMON}


def check(spec: dict[str, str], given: Data, *, partial: bool = False) -> Data:
    """Give *given* its types. Refuses what is unknown, missing or of the wrong type."""
    for name in given:
        if name not in spec:
            raise invalid(f"Received unknown parameter: {name}", "parameter_unknown", name)
    for name, kind in spec.items():
        if kind.endswith("!") and not partial and given.get(name) in (None, ""):
            raise invalid(f"Missing required param: {name}.", "parameter_missing", name)
    return {name: typed(name, value, spec[name].rstrip("!")) for name, value in given.items()}


def typed(name: str, value: Any, kind: str) -> Any:
    """Give one value its type; an empty string empties."""
    if kind == "any":
        return value
    if kind == "hash":
        if value == "" or isinstance(value, dict):
            return value
        raise invalid("Invalid object", None, name)
    if value == "":
        return [] if kind == "list" else None
    if kind == "list":
        if not isinstance(value, list):
            raise invalid("Invalid array", None, name)
        return value
    if isinstance(value, dict | list):
        raise invalid(f"Invalid string: {value}", None, name)
    if kind == "int":
        if not re.fullmatch(r"-?\d+", str(value)):
            raise invalid(f"Invalid integer: {value}", "parameter_invalid_integer", name)
        return int(value)
    if kind == "bool":
        if str(value).lower() not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", None, name)
        return str(value).lower() == "true"
    if kind == "number":
        return float(value)
    return str(value)


def merged(old: Data, changes: Any) -> Data:
    """Metadata after a change: merged by key; an empty value deletes; an empty string deletes all."""
    if changes == "":
        return {}
    result = {**old, **{key: str(value) for key, value in (changes or {}).items()}}
    return {key: value for key, value in result.items() if value != ""}


def address(value: Any) -> Data | None:
    """An address as it is shown: every part, None where there is nothing."""
    if not isinstance(value, dict):
        return None
    return {**EMPTY_ADDRESS, **{part: text or None for part, text in value.items()}}


def person(value: Any) -> Data | None:
    """Shipping or billing details as they are shown."""
    if not isinstance(value, dict):
        return None
    return {**{name: inner or None for name, inner in value.items()}, "address": address(value.get("address"))}
