"""`agentSafety` documents: policies by the name of a tool, in camel case.

    {"agentSafety": {"policies": {"github.delete_repository": {"risk": "CRITICAL", "approval": "MANUAL",
                                                              "compensation": "NONE"}},
                     "unwind": {"strategy": "LIFO", "onCompensationFailure": "ALERT_AND_CONTINUE", "timeout": "30s"},
                     "audit": {"captureIntent": true, "captureSnapshot": true, "retention": "90d"}}}

They become rules and settings like any other; a name that the table of tools does not have is a pattern of operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from agentguard.calls import Json
from agentguard.policy.model import PolicyError
from agentguard.policy.operations import aliases, matching

APPROVALS = {"AUTO": "allow", "MANUAL": "ask", "HOLD": "hold", "REFUSE": "refuse"}
RISKS = {word.upper(): word for word in ("low", "medium", "high", "critical")}
COMPENSATIONS = {word.upper(): word for word in ("handler", "none", "snapshot", "correction", "delete")}
FAILURES = {
    "ALERT_AND_CONTINUE": "continue",
    "CONTINUE": "continue",
    "ALERT_AND_STOP": "stop",
    "STOP": "stop",
}

KEYS: dict[str, dict[str, str]] = {
    "unwind": {
        "strategy": "order",
        "onCompensationFailure": "on_failure",
        "timeout": "timeout",
        "concurrency": "concurrency",
    },
    "audit": {"captureIntent": "intent", "captureSnapshot": "snapshots", "retention": "retention"},
    "approvals": {"expires": "expires", "approvers": "approvers", "keys": "keys", "mustDiffer": "must_differ"},
    "recovery": {"lease": "lease", "sendDeadline": "send_deadline"},
}
"""What the keys of the tables are called here, and in ours."""


@dataclass(frozen=True, slots=True)
class Found:
    """What such a document says, in our keys."""

    rules: list[tuple[dict[str, Json], str]]
    """Each with its place."""
    limits: list[Json]
    settings: dict[str, dict[str, Json]]
    keys: dict[str, str]
    """What our keys are called in the document."""


def from_tools(given: Any) -> Found:
    """Read the content of `agentSafety`. Raises ConfigError with the place."""
    tables = _object(given, "agentSafety", ("policies", "limits", *KEYS))
    policies = _object(tables.get("policies", {}), "agentSafety.policies")
    rules = [_rule(name, policy) for name, policy in policies.items()]
    limits = tables.get("limits", [])
    if not isinstance(limits, list):
        raise PolicyError(f"agentSafety.limits: it is a list, not {type(limits).__name__}")
    settings = {name: _settings(name, tables[name]) for name in KEYS if name in tables}
    return Found(rules, limits, settings, {ours: theirs for keys in KEYS.values() for theirs, ours in keys.items()})


def _rule(name: str, given: Any) -> tuple[dict[str, Json], str]:
    place = f'agentSafety.policies["{name}"]'
    policy = _object(given, place, ("risk", "approval", "compensation", "reason"))
    rule: dict[str, Json] = {"name": name, **_meaning(name, place)}
    words = {"risk": ("risk", RISKS), "approval": ("then", APPROVALS), "compensation": ("compensation", COMPENSATIONS)}
    for key, (ours, known) in words.items():
        if key in policy:
            rule[ours] = _word(policy[key], known, f"{place}.{key}")
    if "reason" in policy:
        rule["reason"] = policy["reason"]
    return rule, place


def _meaning(name: str, place: str) -> dict[str, Json]:
    """The operations that *name* is for, and the condition on their arguments."""
    alias = aliases().get(name)
    try:
        matching(name)
    except PolicyError as error:
        if alias is None:
            raise PolicyError(f"{place}: {error}, and no tool is known by that name") from error
        when = {} if alias.when is UNSET else {"when": alias.when}
        return {"operations": list(alias.operations), **_plain(when)}
    return {"operations": [name]}


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _settings(name: str, given: Any) -> dict[str, Json]:
    place = f"agentSafety.{name}"
    table = _object(given, place, tuple(KEYS[name]))
    ours = {KEYS[name][key]: value for key, value in table.items()}
    if "on_failure" in ours:
        ours["on_failure"] = _word(ours["on_failure"], FAILURES, f"{place}.onCompensationFailure")
    return ours


def _object(given: Any, place: str, keys: tuple[str, ...] = ()) -> Mapping[str, Json]:
    if not isinstance(given, Mapping):
        raise PolicyError(f"{place}: it is an object, not {type(given).__name__}")
    unknown = [key for key in given if keys and key not in keys]
    if unknown:
        raise PolicyError(f"{place}: there is no key {unknown[0]!r}; there are {', '.join(keys)}")
    return given


def _word(given: Any, known: Mapping[str, str], place: str) -> str:
    if not isinstance(given, str) or given.upper() not in known:
        raise PolicyError(f"{place}: {given!r} is not known; there are {', '.join(known)}")
    return known[given.upper()]
