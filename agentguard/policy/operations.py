"""Names of operations in a policy: whether a pattern matches any, and what the names of tools stand for.

Other programs' policies name tools (`github.delete_repository`). `aliases.json` says which operations of ours each
stands for, and what its arguments have to be for it. A name that is an operation's own is never taken for an alias.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import UNSET, UnsetType

from agentguard.calls import Effect
from agentguard.connector import Connector
from agentguard.errors import UnknownConnector
from agentguard.policy.model import Compensation, PolicyError
from agentguard.policy.patterns import like
from agentguard.policy.rules import Condition, Limit, Rule

OWN = ("action",)
"""Connectors whose operations a program declares while it runs."""


class Alias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the name of a tool stands for."""

    operations: tuple[str, ...]
    when: Condition | UnsetType = UNSET


@cache
def aliases() -> dict[str, Alias]:
    """The table of tool names."""
    content = files("agentguard.policy").joinpath("aliases.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, Alias])


def matching(pattern: str) -> list[tuple[Connector, str]] | None:
    """The operations that *pattern* matches; None where that can be known only later. Raises ConfigError."""
    from agentguard.registry import connector_names

    service = pattern.partition(".")[0]
    if pattern == "*" or service in OWN:
        return None
    if "*" in service:
        named = [_connector(name, pattern) for name in connector_names()]
    else:
        named = [_connector(service, pattern)]
        if not named[0].table.by_name:  # plain HTTP: any request is an operation of it
            return None
    found = [(one, name) for one in named for name in one.table.by_name if like(pattern, f"{one.name}.{name}")]
    if not found:
        raise PolicyError(f"{pattern!r} matches no operation{_meant(pattern, named)}")
    return found


def _connector(name: str, pattern: str) -> Connector:
    from agentguard.registry import connector, connector_names

    try:
        return connector(name)
    except UnknownConnector as error:
        known = ", ".join(connector_names())
        raise PolicyError(
            f"{pattern!r} matches no operation: no connector called {name!r} is installed or named in "
            f"agentguard.toml; installed are {known}"
        ) from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise PolicyError(f"{pattern!r} cannot be checked: the connector {name!r} cannot be loaded: {told}") from error


def _meant(pattern: str, named: list[Connector]) -> str:
    known = [f"{one.name}.{name}" for one in named for name in one.table.by_name]
    near = difflib.get_close_matches(pattern, known, 3, 0.75)
    return f"; near it are {', '.join(near)}" if near else ""


def check(thing: Rule | Limit) -> None:
    """Raise ConfigError where a rule or limit could never be for any write, or promises an undo that there is not."""
    for at, pattern in enumerate(thing.operations):
        try:
            found = matching(pattern)
        except PolicyError as error:
            raise PolicyError(str(error), f"operations[{at}]") from error.__cause__
        if found is None:
            continue
        writes = [(one, name) for one, name in found if one.facts(one.table.by_name[name])[0] is not Effect.READ]
        if not writes:
            raise PolicyError(f"{pattern!r} matches only reads, which are never asked about", f"operations[{at}]")
        if isinstance(thing, Rule):
            _check_undo(thing, pattern, writes)


def _check_undo(rule: Rule, pattern: str, writes: list[tuple[Connector, str]]) -> None:
    if rule.compensation in (UNSET, Compensation.NONE, Compensation.HANDLER):
        return
    if all(name not in one.guarded or one.guarded[name].effect is Effect.IRREVERSIBLE for one, name in writes):
        raise PolicyError(f'it is "{rule.compensation}", and nothing takes {pattern} back; say "none"', "compensation")
