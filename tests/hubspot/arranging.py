"""What a case of HubSpot is made of: an operation, what is there before, the call, and what its undo leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentguard import Outcome

RESTORED, COMPENSATED, IRREVERSIBLE = Outcome.RESTORED, Outcome.COMPENSATED, Outcome.IRREVERSIBLE
BILLING = {"associationCategory": "USER_DEFINED", "associationTypeId": 35}
PRIMARY = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}
PRIMARY_FROM_COMPANY = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 2}
UNLABELED = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}
BRANCH = {
    "filterBranchType": "OR",
    "filterBranchOperator": "OR",
    "filterBranches": [],
    "filters": [{"property": "city"}],
}
BADGE = {"name": "badge_no", "label": "Badge", "type": "string", "fieldType": "text", "groupName": "information"}
STAGES = [{"label": "Open", "displayOrder": 0, "metadata": {"probability": "0.5"}}]

Act = Callable[[Any], object]


@dataclass(frozen=True)
class Case:
    """One operation, done and undone."""

    operation: str
    do: Act
    outcome: Outcome = RESTORED
    residue: tuple[str, ...] = ()
    prepare: Act | None = None
    name: str = ""


def linked(*types: Any, other: str = "201") -> Act:
    return lambda c: c.crm.associations.v4.basic_api.create("contacts", "101", "companies", other, list(types))


def both(*acts: Act) -> Act:
    return lambda client: [act(client) for act in acts]


def pair(record: str = "101", other: str = "201", **more: Any) -> dict[str, Any]:
    return {"from": {"id": record}, "to": {"id": other}, **more}


def created(kind: str, properties: dict[str, str], **more: Any) -> Act:
    """Create a record of *kind* with the API object that the SDK has for it."""
    return lambda c: api(c, kind).basic_api.create({"properties": properties, **more})


def api(client: Any, kind: str) -> Any:
    plain = ("contacts", "companies", "deals", "tickets", "products", "line_items")
    place = client.crm if kind in plain else client.crm.objects
    return getattr(place, kind)
