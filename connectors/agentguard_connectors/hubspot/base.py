"""The connector itself, before its handlers are registered, and what several of them share.

Values: HubSpot shows a property that has none as null or as an empty string, and is told to clear it with an empty
string (https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide). Views show both as None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agentguard.calls import ABSENT, Answer, Json, read
from agentguard.connector import Account, Connector
from agentguard.errors import AgentguardError
from agentguard_connectors.hubspot.codec import HubSpotCodec
from agentguard_connectors.hubspot.seams import DEFAULT_HOST, HubSpotSeam


class Unproven(AgentguardError):
    """What was looked for shows neither that a call happened nor that it did not."""


IN_THE_BIN = "an archived copy stays in HubSpot's recycling bin for 90 days"


def client(environment: Mapping[str, str]) -> Any:
    """A client for a fresh process."""
    from hubspot import HubSpot  # type: ignore[import-untyped]  # HubSpot ships no types

    url = (environment.get("HUBSPOT_API_URL") or DEFAULT_HOST).rstrip("/")
    return HubSpot(access_token=environment["HUBSPOT_ACCESS_TOKEN"], host=url, base_url=url)


hubspot = Connector(
    "hubspot",
    title="HubSpot",
    table=Path(__file__).with_name("operations.jsonl"),
    seams=[HubSpotSeam()],
    codec=HubSpotCodec(),
    account=Account(("HUBSPOT_ACCESS_TOKEN", "HUBSPOT_API_URL"), client),
)


def owner(answer: Answer) -> str:
    """Read the number of the account that a token is for. Numbers of records are given anew in each account.

    See https://developers.hubspot.com/docs/api-reference/account-account-info-v3/guide.
    """
    return str(answer.value["portalId"]) if answer.status == 200 else ""


hubspot.owner = (read("account_info.details"), owner)

SINGULAR = {
    "0-1": "contacts",
    "contact": "contacts",
    "0-2": "companies",
    "company": "companies",
    "0-3": "deals",
    "deal": "deals",
    "0-5": "tickets",
    "ticket": "tickets",
}
"""Other names of the main types, https://developers.hubspot.com/docs/guides/crm/understanding-the-crm."""


def kind_of(object_type: str) -> str:
    """The usual name of a type of record that can also be given as a number or in the singular."""
    return SINGULAR.get(object_type.lower(), object_type.lower())


def plain(value: Json) -> Json:
    """A property's value as HubSpot shows it, which is text; None where it has none."""
    if value is None or value == "":
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def since_then(made: Mapping[str, Json], since: str) -> bool:
    """Whether something was created since. The intent is noted to the second; what shows no time proves nothing."""
    return bool(made.get("createdAt")) and int(moment(str(made["createdAt"]))) >= int(moment(since))


def moment(text: str) -> float:
    """A time of HubSpot's in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


@hubspot.view
def values(answer: Json) -> Json:
    """The properties of one record, or of all records of a batch, under `id/name`."""
    records = answer.get("results", [answer])
    return {
        f"{record['id']}/{name}": plain(value)
        for record in records
        for name, value in (record.get("properties") or {}).items()
    }


@hubspot.view
def properties_of(answer: Json) -> Json:
    """The properties of a record whose id is not known beforehand."""
    return {name: plain(value) for name, value in (answer.get("properties") or {}).items()}


def picked(thing: Mapping[str, Json], names: Iterable[str]) -> Json:
    """Those of *names* that *thing* has; ABSENT where the thing is archived."""
    if thing.get("archived") or thing.get("deletedAt"):
        return dict(ABSENT)
    return {name: thing[name] for name in names if name in thing}


def is_there(shown: Json) -> bool:
    """Whether a snapshot shows a thing: neither missing nor archived."""
    return shown is not None and shown != ABSENT
