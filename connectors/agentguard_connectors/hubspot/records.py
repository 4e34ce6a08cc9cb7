"""CRM records of every type: contacts, companies, deals, tickets, notes, tasks, custom objects.

https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide. An archived record can be restored in HubSpot's
user interface for 90 days, but not by the API: here it is created again, with a new id.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Handler,
    Json,
    NoUndo,
    Risk,
    Step,
    Undo,
    forward,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.hubspot.base import IN_THE_BIN, hubspot, kind_of, plain
from agentguard_connectors.hubspot.links import spec_of, visible_links
from agentguard_connectors.hubspot.marks import place_for

CORE = ("contacts", "companies", "deals", "tickets")
ENGAGEMENTS = ("notes", "tasks", "calls", "emails", "meetings")
LINKED = {**dict.fromkeys(CORE, (*CORE, *ENGAGEMENTS)), **dict.fromkeys(ENGAGEMENTS, CORE)}
"""The types that a record of a type can be associated with out of the box. Others are not brought back."""

CREATED_AGAIN = (
    "a new record with a new id: history, timeline and list memberships stay with the archived one, "
    "which can be restored in HubSpot for 90 days"
)


@hubspot.guards("crm.objects.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=IN_THE_BIN)
def create(call: Call, mark: str | None) -> Handler:
    """Create a record; it is archived again."""
    object_type, given = call.arguments["objectType"], call.arguments.get("properties") or {}
    place = yield from place_for(object_type, [given], mark)
    made = yield forward().changing(properties={**given, place: mark}) if place else forward()
    yield taking_back(object_type, made, given)


def taking_back(object_type: str, made: Json, given: Iterable[str]) -> Undo:
    """Archive *made*, if the properties that it was given are as they were."""
    names = sorted(set(given) & made["properties"].keys())
    look = read("crm.objects.get_by_id", objectType=object_type, objectId=made["id"], properties=names)
    left = {f"{made['id']}/{name}": plain(made["properties"][name]) for name in names}
    way_back = undo("crm.objects.archive", objectType=object_type, objectId=made["id"])
    return way_back.on(look.through("values"), left=left, back=ABSENT).leaving(IN_THE_BIN)


@hubspot.guards("crm.objects.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def update(call: Call) -> Handler:
    """Update a record; the properties that were changed get their old values."""
    object_type, given = call.arguments["objectType"], call.arguments.get("properties") or {}
    by = {"idProperty": call.arguments["idProperty"]} if call.arguments.get("idProperty") else {}
    before = yield read(
        "crm.objects.get_by_id",
        objectType=object_type,
        objectId=call.arguments["objectId"],
        properties=sorted(given),
        **by,
    )
    yield from restoring(object_type, before["id"], before["properties"], given)
    yield forward()


def restoring(
    object_type: str, record: str, before: Mapping[str, Json], given: Mapping[str, Json]
) -> Generator[Undo | NoUndo, Any, None]:
    """Write back the old values of the properties in *given*, and of no others.

    A lifecycle stage only moves forward: to set an earlier one, it has to be cleared first
    (https://developers.hubspot.com/docs/methods/contacts/update_contact).
    """
    old = {name: plain(before.get(name)) for name in sorted(given)}
    new = {name: plain(value) for name, value in given.items()}
    stage = "lifecyclestage"
    if old.get(stage) and new.get(stage) and old[stage] != new[stage] and kind_of(object_type) in CORE[:2]:
        # The last one that is yielded is the first one that is sent.
        yield _writing(object_type, record, {stage: None}, {stage: old.pop(stage)})
        yield _writing(object_type, record, {stage: new.pop(stage)}, {stage: None}, refreshed=True)
    if old:
        yield _writing(object_type, record, new, old, refreshed=True)
    if not given:
        yield unchanged("the call gave no properties to change")


def _writing(
    object_type: str, record: str, new: Mapping[str, Json], old: Mapping[str, Json], *, refreshed: bool = False
) -> Undo:
    look = read("crm.objects.get_by_id", objectType=object_type, objectId=record, properties=list(old))
    written = {name: "" if value is None else value for name, value in old.items()}
    way_back = undo("crm.objects.update", objectType=object_type, objectId=record, properties=written)
    return way_back.on(
        look.through("values"),
        left={f"{record}/{name}": new[name] for name in old},
        back={f"{record}/{name}": value for name, value in old.items()},
        same_shape=refreshed,
    )


@hubspot.guards("crm.objects.archive", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=CREATED_AGAIN)
def archive(call: Call) -> Handler:
    """Archive a record; it is created again with its values and associations, and a new id."""
    yield from creating_again(call.arguments["objectType"], [call.arguments["objectId"]])
    yield forward()


def creating_again(object_type: str, ids: list[str]) -> Generator[Step, Any, None]:
    """Register the creation of the records *ids* with all values that can be written, and their associations."""
    defined = yield read("crm.properties.get_all", objectType=object_type)
    names = [p["name"] for p in defined["results"] if _writable(p)]
    inputs = [{"id": record} for record in ids]
    found = yield read("crm.objects.batch.read", objectType=object_type, inputs=inputs, properties=names)
    associations: dict[str, list[Json]] = {}
    unseen: list[str] = []
    for other in LINKED.get(kind_of(object_type), ()) if found["results"] else ():
        linked = yield from visible_links(object_type, other, ids)
        if linked is None:
            unseen.append(other)
        for record, links in (linked or {}).items():
            together = set(ids) & links.shown.keys() if other == kind_of(object_type) else set()
            if together:  # archived in the same call: they come back under other ids, too
                unseen.append("records that were archived together")
            associations.setdefault(record, []).extend(
                {"to": {"id": to}, "types": [spec_of(key) for key in sorted(types)]}
                for to, types in links.shown.items()
                if to not in together
            )
    if not found["results"]:
        yield unchanged("there is no such record: HubSpot answers the same, and archives nothing")
    for record in found["results"]:
        has = {name: value for name, value in record["properties"].items() if name in names and plain(value)}
        linked_to = {"associations": associations[record["id"]]} if associations.get(record["id"]) else {}
        way_back = undo("crm.objects.create", objectType=object_type, properties=has, **linked_to)
        if kind_of(object_type) == "contacts" and has.get("email"):
            # Not HubSpot's own, which it may set otherwise, and not more than an address can name.
            seen = sorted(name for name in has if not name.startswith("hs_"))[:50]
            look = read(
                "crm.objects.get_by_id",
                objectType=object_type,
                objectId=has["email"],
                idProperty="email",
                properties=seen,
            )
            back = {name: has[name] for name in seen}
            way_back = way_back.on(look.through("properties_of"), left=ABSENT, back=back)
        lost = f"; associations with {', '.join(dict.fromkeys(unseen))} are not brought back" if unseen else ""
        yield way_back.leaving(CREATED_AGAIN + lost)


def _writable(definition: Json) -> bool:
    metadata = definition.get("modificationMetadata") or {}
    return not (metadata.get("readOnlyValue") or definition.get("calculated") or definition.get("archived"))


hubspot.irreversible(
    "crm.objects.merge",
    "Merge two records. HubSpot has no way to take them apart again.",
    risk=Risk.CRITICAL,
)
hubspot.irreversible(
    "crm.objects.gdpr_delete",
    "Delete a contact and all that is known about it for good, and block its address.",
    risk=Risk.CRITICAL,
)
