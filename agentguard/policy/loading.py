"""Policies from files: TOML with the tables [policy], [unwind], [audit], [approvals] and [recovery], or JSON.

    [[policy.rules]]
    name = "no repository is deleted"
    operations = ["github.repos.delete"]
    then = "refuse"

A JSON file has the same tables, or is an `agentSafety` document (see tools.py). Everything that cannot be meant is
refused with its place: an unknown key, a bad value, a pattern that matches no operation, a key that stands there twice.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agentguard.calls import Json
from agentguard.errors import ConfigError
from agentguard.policy.deciding import Policy
from agentguard.policy.model import PolicyError
from agentguard.policy.parts import part
from agentguard.policy.rules import Limit, Rule
from agentguard.policy.settings import Approvals, Audit, Recovery, Settings, Unwind
from agentguard.policy.tools import from_tools

SETTINGS: dict[str, type[Settings]] = {
    "unwind": Unwind,
    "audit": Audit,
    "approvals": Approvals,
    "recovery": Recovery,
}


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """The table [policy]."""

    rules: list[dict[str, Any]] = []
    limits: list[dict[str, Any]] = []
    currency: str | None = None


def load_policy(given: str | Path | Mapping[str, Json]) -> Policy:
    """Read a policy from a TOML or JSON file, or from what such a file holds. Raises ConfigError with the place.

    Each pattern is checked against the operations of its service.
    """
    if isinstance(given, Mapping):
        return _policy(given, "")
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Nothing was started.") from error
    try:
        content = json.loads(text, object_pairs_hook=_once) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}. Nothing was started. Correct the file.") from error
    return _policy(content, str(path))


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose keys are all different: of two rules of one name, JSON would drop the first without a word."""
    found: dict[str, Json] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r} stands in one object twice")
        found[name] = value
    return found


def _policy(content: Any, source: str) -> Policy:
    try:
        if not isinstance(content, Mapping):
            raise PolicyError(f"a policy is an object, not {type(content).__name__}")
        policy = _from_tools(content, source) if "agentSafety" in content else _from_tables(content, source)
        return policy.check()
    except PolicyError as error:
        told = str(error).removesuffix(" Nothing was started. Correct the policy.").rstrip(".")
        front = f"{source}: " if source else ""
        raise PolicyError(f"{front}{told}. Nothing was started. Correct the policy.", error.at) from error


def _from_tools(content: Mapping[str, Json], source: str) -> Policy:
    others = sorted(content.keys() - {"agentSafety"})
    if others:
        raise PolicyError(f"there is no key {others[0]!r} beside agentSafety")
    found = from_tools(content["agentSafety"])
    rules = [part(rule, Rule, place) for rule, place in found.rules]
    limits = [part(limit, Limit, f"agentSafety.limits[{at}]", found.keys) for at, limit in enumerate(found.limits)]
    settings: dict[str, Any] = {
        name: part(table, SETTINGS[name], f"agentSafety.{name}", found.keys) for name, table in found.settings.items()
    }
    places = [place for _rule, place in found.rules] + [f"agentSafety.limits[{at}]" for at in range(len(limits))]
    return Policy(rules, limits, source=source, places=places, **settings)


def _from_tables(content: Mapping[str, Json], source: str) -> Policy:
    from agentguard.config import _File

    known = [*SETTINGS, "policy", *(name for name in _File.__struct_fields__ if name not in (*SETTINGS, "policy"))]
    unknown = sorted(content.keys() - set(known))
    if unknown:
        raise PolicyError(f"there is no key {unknown[0]!r}; there are {', '.join(sorted(known))}, agentSafety")
    table = part(content.get("policy", {}), _Table, "[policy]")
    rules = [part(rule, Rule, f"[policy] rules[{at}]") for at, rule in enumerate(table.rules)]
    limits = [part(limit, Limit, f"[policy] limits[{at}]") for at, limit in enumerate(table.limits)]
    settings: dict[str, Any] = {
        name: part(content[name], kind, f"[{name}]") for name, kind in SETTINGS.items() if name in content
    }
    places = [f"[policy] rules[{at}]" for at in range(len(rules))]
    places += [f"[policy] limits[{at}]" for at in range(len(limits))]
    try:
        return Policy(rules, limits, table.currency, source=source, places=places, **settings)
    except PolicyError as error:
        raise PolicyError(f"[policy]{f' {error.at}' if error.at else ''}: {error}") from error
