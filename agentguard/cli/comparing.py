"""What is different between two snapshots of a service, named so that a person can find it there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from agentguard.calls import Json

TELLING = "title name email text description path state state_reason status event deleted active".split()  # noqa: SIM905 - a list of words reads better as words
"""What tells people which thing it is and how it stands, in this order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is new, gone or changed."""

    kind: str
    path: str
    detail: str


def differences(before: Json, after: Json, path: str = "") -> list[Difference]:
    """List what differs, each thing once: what is new or gone as a whole, what changed field by field."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in (*before, *(name for name in after if name not in before)):
            where = f"{path}.{name}".strip(".")
            old, new = before.get(name, _empty(after.get(name))), after.get(name, _empty(before.get(name)))
            if old is _NOTHING:
                found.append(Difference("new", where, brief(new)))
            elif new is _NOTHING:
                found.append(Difference("gone", where, brief(old)))
            else:
                found += differences(old, new, where)
        return found
    if before == after:
        return []
    if isinstance(before, list) and isinstance(after, list) and after[: len(before)] == before:
        more = after[len(before) :]
        told = ", ".join(dict.fromkeys(map(brief, more)))
        return [Difference("new", path, told if len(more) == 1 else f"{len(more)} entries: {told}")]
    return [Difference("changed", path, f"{brief(before)} → {brief(after)}")]


_NOTHING = object()


def _empty(other: Json) -> Json:
    """What stands against a collection that only one side has: an empty one, so that its members are told apart."""
    collection = isinstance(other, dict) and other and all(isinstance(item, dict) for item in other.values())
    return {} if collection else _NOTHING


def brief(value: Json) -> str:
    """A value in a few words."""
    if isinstance(value, dict):
        told = {name: value[name] for name in TELLING if isinstance(value.get(name), str | bool)}
        return ", ".join(f"{name} {brief(item)}" for name, item in list(told.items())[:3]) or f"{len(value)} fields"
    if isinstance(value, list):
        return f"{len(value)} entries"
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value):
        return value[:7]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 44 else f"{text[:42]}…"
