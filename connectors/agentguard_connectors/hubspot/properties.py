"""Properties of records and the groups that they are shown in.

https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide. An archived property keeps its name in the
recycling bin; what records had in it is seen again only when it is restored in HubSpot's settings.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Read, Risk, Undo, forward, read, unchanged, undo
from agentguard_connectors.hubspot.base import IN_THE_BIN, hubspot, is_there, picked

FIELDS = (
    "groupName",
    "label",
    "type",
    "fieldType",
    "description",
    "options",
    "displayOrder",
    "hidden",
    "formField",
    "calculationFormula",
)
OPTION = ("label", "value", "description", "displayOrder", "hidden")
VALUES_GONE = "the values that records had in it come back only when it is restored in HubSpot's settings"
NOT_THERE = "there is nothing of this name: HubSpot answers the same, and archives nothing"
CONVERTED = "values that were converted to the new type are not converted back"


@hubspot.view
def definition(answer: Json) -> Json:
    """What defines a property; ABSENT where it is archived."""
    shown = picked(answer, ("name", *FIELDS, "hasUniqueValue", "referencedObjectType"))
    if "options" in shown:
        shown["options"] = [{name: option.get(name) for name in OPTION} for option in shown["options"]]
    return shown


@hubspot.view
def group(answer: Json) -> Json:
    """What defines a group of properties; ABSENT where it is archived."""
    return picked(answer, ("name", "label", "displayOrder"))


def _property(object_type: str, name: str) -> Read:
    look = read("crm.properties.get_by_name", objectType=object_type, propertyName=name)
    return look.through("definition")


def _group(object_type: str, name: str) -> Read:
    return read("crm.properties.groups.get_by_name", objectType=object_type, groupName=name).through("group")


def _archiving(object_type: str, made: Json) -> Undo:
    way_back = undo("crm.properties.archive", objectType=object_type, propertyName=made["name"])
    left = {name: made[name] for name in ("name", "label", "type", "fieldType")}
    return way_back.on(_property(object_type, made["name"]), left=left, back=ABSENT).leaving(IN_THE_BIN)


def _defining(object_type: str, before: Json) -> Undo:
    given = {name: value for name, value in before.items() if value is not None}
    way_back = undo("crm.properties.create", objectType=object_type, **given)
    back = {name: before[name] for name in ("name", "label", "type", "fieldType", "groupName")}
    return way_back.on(_property(object_type, before["name"]), left=ABSENT, back=back).leaving(VALUES_GONE)


@hubspot.guards("crm.properties.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=IN_THE_BIN)
def create(call: Call) -> Handler:
    """Define a property; it is archived again."""
    made = yield forward()
    yield _archiving(call.arguments["objectType"], made)


@hubspot.guards("crm.properties.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def update(call: Call) -> Handler:
    """Change a property's definition; the fields that were changed come back."""
    object_type, name = call.arguments["objectType"], call.arguments["propertyName"]
    look = _property(object_type, name)
    before = yield look
    old = {field: before.get(field) for field in FIELDS if field in call.arguments}
    if old:
        new = {field: _compared(field, call.arguments[field]) for field in old}
        written = {field: value for field, value in old.items() if value is not None}
        way_back = undo("crm.properties.update", objectType=object_type, propertyName=name, **written)
        remains = CONVERTED if old.get("type") != new.get("type") else ""
        yield way_back.on(look, left=new, back=old, same_shape=True).leaving(remains)
    else:
        yield unchanged("the call gave nothing to change")
    yield forward()


def _compared(field: str, value: Json) -> Json:
    return [{name: option.get(name) for name in OPTION} for option in value] if field == "options" else value


@hubspot.guards("crm.properties.archive", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=VALUES_GONE)
def archive(call: Call) -> Handler:
    """Archive a property; it is defined again under the same name."""
    object_type = call.arguments["objectType"]
    before = yield _property(object_type, call.arguments["propertyName"]).or_none()
    if is_there(before):
        yield _defining(object_type, before)
    else:
        yield unchanged(NOT_THERE)
    yield forward()


@hubspot.guards("crm.properties.batch.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=IN_THE_BIN)
def batch_create(call: Call) -> Handler:
    """Define several properties; each is archived again."""
    made = yield forward()
    for result in made["results"]:
        yield _archiving(call.arguments["objectType"], result)


@hubspot.guards("crm.properties.batch.archive", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=VALUES_GONE)
def batch_archive(call: Call) -> Handler:
    """Archive several properties; each is defined again under the same name."""
    object_type = call.arguments["objectType"]
    for item in call.arguments["inputs"]:
        before = yield _property(object_type, item["name"]).or_none()
        if is_there(before):
            yield _defining(object_type, before)
        else:
            yield unchanged(NOT_THERE)
    yield forward()


@hubspot.guards("crm.properties.groups.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=IN_THE_BIN)
def create_group(call: Call) -> Handler:
    """Create a group of properties; it is archived again."""
    object_type = call.arguments["objectType"]
    # Groups show no times: that there was none before is what tells ours from somebody else's when the answer is lost.
    if call.arguments.get("name"):
        yield _group(object_type, call.arguments["name"]).or_none()
    made = yield forward()
    way_back = undo("crm.properties.groups.archive", objectType=object_type, groupName=made["name"])
    look = _group(object_type, made["name"])
    yield way_back.on(look, left={"label": made["label"]}, back=ABSENT).leaving(IN_THE_BIN)


@hubspot.guards("crm.properties.groups.archive", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=IN_THE_BIN)
def archive_group(call: Call) -> Handler:
    """Archive a group of properties; one of the same name is created."""
    object_type = call.arguments["objectType"]
    look = _group(object_type, call.arguments["groupName"])
    before = yield look.or_none()
    if is_there(before):
        way_back = undo("crm.properties.groups.create", objectType=object_type, **before)
        yield way_back.on(look, left=ABSENT, back=before).leaving("a new group of the same name")
    else:
        yield unchanged(NOT_THERE)
    yield forward()


hubspot.restores(
    "crm.properties.groups.update",
    by="crm.properties.groups.get_by_name",
    view="group",
    fields=("label", "displayOrder"),
    summary="Rename or move a group of properties; the old name and place come back.",
)
