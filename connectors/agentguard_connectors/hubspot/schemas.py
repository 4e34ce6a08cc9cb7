"""Definitions of custom objects and of the types that they can be associated with.

https://developers.hubspot.com/docs/api-reference/crm-custom-objects-v3/guide. HubSpot deletes the definition of a type
only when there are no records of it.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Read, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.hubspot.base import hubspot, picked

FIELDS = (
    "labels",
    "description",
    "requiredProperties",
    "searchableProperties",
    "primaryDisplayProperty",
    "secondaryDisplayProperties",
)
NAME_TAKEN = "the name of the type stays taken until somebody deletes it for good"
NEW_ASSOCIATION = "a new association with a new id; what was associated by the old one is not any more"


@hubspot.view
def object_type(answer: Json) -> Json:
    """What defines a type; ABSENT where it is archived."""
    return picked(answer, ("name", *FIELDS))


@hubspot.view
def associations_of(answer: Json) -> Json:
    """The associations that are defined for a type, by their ids."""
    return {a["id"]: [a["fromObjectTypeId"], a["toObjectTypeId"], a.get("name")] for a in answer["associations"]}


def _schema(kind: Json, view: str = "object_type") -> Read:
    return read("crm.schemas.get_by_id", objectType=kind).through(view)


@hubspot.guards("crm.schemas.create", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=NAME_TAKEN)
def create() -> Handler:
    """Define a type of record; it is archived again, if there are no records of it."""
    made = yield forward()
    kind = made.get("objectTypeId") or made["fullyQualifiedName"]
    way_back = undo("crm.schemas.archive", objectType=kind)
    left = {"name": made["name"], "labels": made["labels"]}
    yield way_back.on(_schema(kind), left=left, back=ABSENT).leaving(NAME_TAKEN)


@hubspot.guards("crm.schemas.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def update(call: Call) -> Handler:
    """Change what defines a type; the fields that were changed come back."""
    kind = call.arguments["objectType"]
    before = yield _schema(kind)
    names = [name for name in FIELDS if name in call.arguments]
    cleared = call.arguments.get("clearDescription") in (True, "true")
    if cleared and "description" not in names:
        names.append("description")
    old = {name: before.get(name) for name in names}
    if old:
        written = {name: value for name, value in old.items() if value is not None}
        if "description" in old and old["description"] is None:
            written["clearDescription"] = True
        new = {name: None if name == "description" and cleared else call.arguments.get(name) for name in old}
        way_back = undo("crm.schemas.update", objectType=kind, **written)
        yield way_back.on(_described(kind), left=new, back=old, same_shape=True)
    if "restorable" in call.arguments:
        yield no_undo("restorable is not shown, and cannot be put back")
    elif not old:
        yield unchanged("the call gave nothing to change")
    yield forward()


@hubspot.view
def described_type(answer: Json) -> Json:
    """What defines a type, with a null for a description that it has not."""
    shown = object_type(answer)
    return shown if shown == ABSENT else {"description": None, **shown}


def _described(kind: Json) -> Read:
    return _schema(kind, "described_type")


hubspot.irreversible(
    "crm.schemas.archive",
    "Delete the definition of a type of record. A new one has another number, and its properties no history.",
)


@hubspot.guards("crm.schemas.create_association", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def associate(call: Call) -> Handler:
    """Let records of a type be associated with those of another; that is removed again."""
    kind = call.arguments["objectType"]
    made = yield forward()
    way_back = undo("crm.schemas.archive_association", objectType=kind, associationIdentifier=made["id"])
    yield way_back.on(_schema(kind, "associations_of"), left={made["id"]: _ends(made)}, back={made["id"]: ABSENT})


@hubspot.guards("crm.schemas.archive_association", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=NEW_ASSOCIATION)
def dissociate(call: Call) -> Handler:
    """Remove an association from the definition of a type; a like one is defined again."""
    kind, number = call.arguments["objectType"], str(call.arguments["associationIdentifier"])
    before = yield _schema(kind, "associations_of")
    if number in before:
        ends = dict(zip(("fromObjectTypeId", "toObjectTypeId", "name"), before[number], strict=True))
        given = {name: value for name, value in ends.items() if value is not None}
        yield undo("crm.schemas.create_association", objectType=kind, **given).leaving(NEW_ASSOCIATION)
    else:
        yield unchanged("there is no such association")
    yield forward()


def _ends(made: Json) -> Json:
    return [made["fromObjectTypeId"], made["toObjectTypeId"], made.get("name")]
