"""Whether a call whose answer was lost happened: looked up by a property whose values are unique.

A contact's address is unique; of other types, those properties are that were defined so. What has none cannot be
found: HubSpot keeps no mark of ours. The search API is not used, because its index lags behind. That a record is not
there proves nothing either: a request that was cut off may still be at work when a rollback looks.
"""

from __future__ import annotations

from agentguard.calls import Call, Finder, Json, read
from agentguard.errors import AgentguardError
from agentguard_connectors.hubspot.base import hubspot, kind_of, moment, plain


class NotUnique(AgentguardError):
    """There is nothing to look the record up by."""


@hubspot.finds("crm.objects.create")
def created(call: Call, since: str) -> Finder:
    """Find the record by a unique property of its own; created since, and with the values that it was given."""
    object_type, given = call.arguments["objectType"], call.arguments.get("properties") or {}
    unique = "email" if kind_of(object_type) == "contacts" and plain(given.get("email")) else None
    if unique is None:
        defined = yield read("crm.properties.get_all", objectType=object_type)
        names = [p["name"] for p in defined["results"] if p.get("hasUniqueValue") and plain(given.get(p["name"]))]
        if not names:
            raise NotUnique(f"none of the values that the new record of {object_type} was given is unique")
        unique = names[0]
    found = yield read(
        "crm.objects.get_by_id",
        objectType=object_type,
        objectId=given[unique],
        idProperty=unique,
        properties=sorted(given),
    ).or_none()
    if found is None:
        return None
    if not _ours(found, given, since):
        raise NotUnique(f"there is a record with this {unique}, and nothing shows that this call made it")
    return found


@hubspot.finds("crm.objects.batch.create")
def batch_created(call: Call, since: str) -> Finder:
    """Find contacts by their addresses. A batch is created as a whole or not at all."""
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    given = {str(item["properties"].get("email") or "").casefold(): item["properties"] for item in inputs}
    if kind_of(object_type) != "contacts" or len(given) < len(inputs) or "" in given:
        raise NotUnique("only contacts with addresses can be looked up")
    names = sorted({name for properties in given.values() for name in properties})
    answer = yield read(
        "crm.objects.batch.read",
        objectType=object_type,
        inputs=[{"id": email} for email in given],
        properties=names,
        idProperty="email",
    )
    made = [r for r in answer["results"] if _ours(r, given.get(str(r["properties"]["email"]).casefold(), {}), since)]
    return {"results": made} if len(made) == len(inputs) else None


@hubspot.finds("crm.objects.batch.upsert")
def upserted(call: Call, since: str) -> Finder:
    """Find each record by the property that the call named; one that was created since is new."""
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    results: list[Json] = []
    for item in inputs:
        by = {"idProperty": item["idProperty"]} if item.get("idProperty") else {}
        given = item.get("properties") or {}
        found = yield read(
            "crm.objects.get_by_id", objectType=object_type, objectId=item["id"], properties=sorted(given), **by
        ).or_none()
        if found is None or not _shows(found, given):
            return None
        results.append({**found, "new": _since(found, since)})
    return {"results": results}


def _ours(found: Json, given: Json, since: str) -> bool:
    return _since(found, since) and _shows(found, given)


def _shows(found: Json, given: Json) -> bool:
    has = found["properties"]
    return all(str(plain(has.get(n)) or "").casefold() == str(value or "").casefold() for n, value in given.items())


def _since(found: Json, since: str) -> bool:
    """Whether a record was created since. The intent is noted to the second."""
    return int(moment(found["createdAt"])) >= int(moment(since))
