"""Stripe's form bodies: nested with brackets (`items[0][price]=price_1`), every value a string."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agentguard.calls import Json

_PART = re.compile(r"\[([^\]]*)\]")


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """Turn decoded pairs into nested JSON. `a[0]` and `a[]` make lists, `a[b]` makes a dict."""
    tree: dict[str, Json] = {}
    for name, value in pairs:
        head, bracket, tail = name.partition("[")
        parts = [head, *_PART.findall(bracket + tail)]
        at = tree
        for part in parts[:-1]:
            key = part or str(len(at))
            if not isinstance(at.get(key), dict):
                at[key] = {}
            at = at[key]
        at[parts[-1] or str(len(at))] = value
    return {name: _lists(value, name) for name, value in tree.items()}


def _lists(value: Json, name: str) -> Json:
    """Turn dicts with the keys 0, 1, 2 … into lists. Metadata stays a dict: its keys are the caller's."""
    if not isinstance(value, dict):
        return value
    if name != "metadata" and all(key.isdecimal() for key in value):
        return [_lists(value[key], name) for key in sorted(value, key=int)]
    return {key: _lists(inner, key) for key, inner in value.items()}


def flatten(arguments: dict[str, Json], prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested JSON into form pairs, the way the SDK does."""
    pairs: list[tuple[str, str]] = []
    for name, value in arguments.items():
        key = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            pairs += flatten(value, key)
        elif isinstance(value, list):
            pairs += flatten({str(at): inner for at, inner in enumerate(value)}, key)
        elif isinstance(value, bool):
            pairs.append((key, "true" if value else "false"))
        elif value is not None:
            pairs.append((key, str(value)))
    return pairs
