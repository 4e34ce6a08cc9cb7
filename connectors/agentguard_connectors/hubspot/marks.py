"""A mark in the records that a session creates, by which one is known again when the answer was lost.

HubSpot takes no idempotency keys. Where the account has a single-line text property for it, whoever set up agentguard
names it: `[marks] hubspot = "agentguard_mark"` in agentguard.toml, or AGENTGUARD_HUBSPOT_MARK. A property whose values
are unique (`hasUniqueValue`) can be read by (`idProperty`), which shows at once whether there is such a record; others
can only be searched for, and HubSpot's search shows what is new after a while
(https://developers.hubspot.com/docs/api/crm/search).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from agentguard.calls import Json, Read, read
from agentguard_connectors.hubspot.base import hubspot

VARIABLE = "AGENTGUARD_HUBSPOT_MARK"


def configured() -> str | None:
    """The name of the property for marks; None where there is none. Raises ConfigError."""
    from agentguard.config import load_config

    return os.environ.get(VARIABLE) or load_config().marks.get("hubspot") or None


def place_for(
    object_type: str, given: Sequence[Mapping[str, Json]], mark: str | None
) -> Generator[Read, Any, str | None]:
    """The property of new records that takes the mark; None where they go without.

    A type of record need not have the property, and HubSpot would refuse the call. A value of the caller's own wins.
    """
    name = configured() if mark and given else None
    if name is None or any(name in properties for properties in given):
        return None
    look = read("crm.properties.get_by_name", objectType=object_type, propertyName=name).through("writable_text")
    return name if (yield look.or_none().if_allowed()) else None


@hubspot.view
def writable_text(answer: Json) -> Json:
    """Whether a property takes any text."""
    read_only = (answer.get("modificationMetadata") or {}).get("readOnlyValue")
    return answer.get("type") == "string" and not answer.get("archived") and not read_only


def numbered(mark: str, count: int) -> list[str]:
    """A mark for each member of a batch."""
    return [f"{mark}-{at}" for at in range(1, count + 1)]


def marked_in(given: Sequence[Mapping[str, Json]], texts: Sequence[str]) -> str | None:
    """The property in which each of *given* has its own one of *texts*, as it was sent; None where there is none.

    What was sent counts, and not what is configured when the call is looked up.
    """
    if not given or len(given) != len(texts):
        return None
    names = [{name for name, value in one.items() if value == text} for one, text in zip(given, texts, strict=True)]
    return next(iter(sorted(set.intersection(*names))), None)
