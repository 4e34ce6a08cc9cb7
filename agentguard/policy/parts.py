"""The parts of a policy from plain JSON, and what is wrong with one in the words and keys that people see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn, TypeVar

import msgspec

from agentguard.calls import Effect, Risk
from agentguard.policy.model import Compensation, PolicyError
from agentguard.policy.rules import AmountAbove, Condition
from agentguard.policy.settings import convert, plainly
from agentguard.rulings import Verdict

T = TypeVar("T")

WORDS: dict[str, type[Enum]] = {
    "effects": Effect,
    "risks": Risk,
    "risk": Risk,
    "then": Verdict,
    "compensation": Compensation,
}
"""Keys that hold one of a few words."""


def whole(thing: T, place: str) -> T:
    """Return *thing*, which was made in Python, as it would be if it stood in a file. Raises ConfigError.

    Python takes what a file could not hold, such as "refuse" for a verdict, which is no verdict yet.
    """
    try:
        plain = msgspec.to_builtins(thing, enc_hook=plainly)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise PolicyError(f"{place}: it holds what is not JSON: {error}") from error
    return part(plain, type(thing), place)


def part(given: Any, kind: type[T], place: str, names: Mapping[str, str] | None = None) -> T:
    """Make a *kind* of what stands at *place*; *names* says what our keys are called there."""
    try:
        return msgspec.convert(given, kind, dec_hook=convert)
    except msgspec.ValidationError as error:
        _explain(error, given, kind, place, names or {})


def _explain(error: msgspec.ValidationError, given: Any, kind: type, place: str, names: Mapping[str, str]) -> NoReturn:
    """Say what msgspec found in words and keys that people see in the file."""
    found = re.fullmatch(r"(.*?)(?: - at `(.+)`)?", str(error), re.DOTALL)
    assert found is not None
    what, path = found[1], (found[2] or "$").removeprefix("$")
    if isinstance(error.__cause__, PolicyError):
        what = str(error.__cause__)
        path += f".{error.__cause__.at}" if error.__cause__.at else ""
    unknown = re.search(r"unknown field `(.+)`", what)
    if unknown:
        keys = _keys(kind, path)
        what = f"there is no key {_named(unknown[1], names)!r}; there are {', '.join(_named(k, names) for k in keys)}"
    last = re.sub(r"\[\d*\.*\]", "", path).rpartition(".")[2]
    if "enum value" in what and last in WORDS:
        what = f"{what.replace('enum value', 'value')}; there are {', '.join(str(word.value) for word in WORDS[last])}"
    missing = re.search(r"missing required field `(.+)`", what)
    if missing:
        what = f"there is no {_named(missing[1], names)}, which is needed"
    path = re.sub(r"\w+", lambda key: _named(key[0], names), path)
    table = re.fullmatch(r"\[\w+\]", place) is not None  # what stands in it is set apart: [unwind] timeout
    where = place + (f" {path.removeprefix('.')}" if table and path else path)
    raise PolicyError(f"{where}: {what}") from error


def _named(key: str, names: Mapping[str, str]) -> str:
    return names.get(key, key)


def _keys(kind: type, path: str) -> list[str]:
    """The keys that may stand where *path* leads to."""
    last = re.sub(r"\[\d*\.*\]", "", path).rpartition(".")[2]
    inner = {"when": Condition, "not": Condition, "any": Condition, "amount_above": AmountAbove}.get(last, kind)
    return [field.encode_name for field in msgspec.structs.fields(inner)]
