"""Batches of CRM records: each member gets an undo of its own, because a batch can succeed in part (status 207).

https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide. An upsert creates some records and updates
others. Which ones existed is read before; that a record was created is believed only where HubSpot says so, too.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import Call, Effect, Handler, Json, Read, Risk, Step, forward, no_undo, read, unchanged
from agentguard_connectors.hubspot.base import IN_THE_BIN, hubspot, moment
from agentguard_connectors.hubspot.marks import numbered, place_for
from agentguard_connectors.hubspot.records import CREATED_AGAIN, creating_again, restoring, taking_back

AT_ONCE = 60.0
"""Seconds. A value that is younger than the record's last change by less may or may not be of the same call."""


@hubspot.guards("crm.objects.batch.create", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=IN_THE_BIN)
def create(call: Call, mark: str | None) -> Handler:
    """Create records; each is archived again."""
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    names = _names(inputs)
    given = [item.get("properties") or {} for item in inputs]
    place = yield from place_for(object_type, given, mark)
    go = forward()
    if place and mark:
        texts = numbered(mark, len(inputs))
        marked = [{**own, place: text} for own, text in zip(given, texts, strict=True)]
        go = go.changing(inputs=[{**item, "properties": own} for item, own in zip(inputs, marked, strict=True)])
    made = yield go
    for record in made["results"]:
        yield taking_back(object_type, record, names)


@hubspot.guards("crm.objects.batch.update", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def update(call: Call) -> Handler:
    """Update records; in each, the properties that were changed get their old values."""
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    before = yield from found_before(object_type, inputs)
    covered = yield from _restoring_known(object_type, inputs, before)
    answer = yield forward()
    for result in answer["results"]:
        if result["id"] not in covered:
            yield from restoring_from_history(object_type, result, _names(inputs))
    if not covered and not answer["results"]:
        yield unchanged("none of the records was found, and none was changed")


@hubspot.guards("crm.objects.batch.archive", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=CREATED_AGAIN)
def archive(call: Call) -> Handler:
    """Archive records; each is created again with its values and associations, and a new id."""
    yield from creating_again(call.arguments["objectType"], [str(item["id"]) for item in call.arguments["inputs"]])
    yield forward()


@hubspot.guards("crm.objects.batch.upsert", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=IN_THE_BIN)
def upsert(call: Call) -> Handler:
    """Create or update records; what was created is archived, what was updated gets its old values."""
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    before = yield from found_before(object_type, inputs)
    known = {record["id"] for record in before.values()}
    covered = yield from _restoring_known(object_type, inputs, before)
    names = _names(inputs)
    answer = yield forward()
    for result in answer["results"]:
        if result["id"] in covered:
            continue
        if result.get("new") and result["id"] not in known:
            yield taking_back(object_type, result, names)
        else:
            yield from restoring_from_history(object_type, result, names)


def _restoring_known(
    object_type: str, inputs: list[Json], before: dict[tuple[str, str], Json]
) -> Generator[Step, Any, set[str]]:
    """Restore the records that were found before; return their ids."""
    covered = set()
    for item in inputs:
        record = before.get(named(item))
        if record is not None:
            covered.add(record["id"])
            yield from restoring(object_type, record["id"], record["properties"], item.get("properties") or {})
    return covered


def _names(inputs: list[Json]) -> list[str]:
    return sorted({name for item in inputs for name in item.get("properties") or {}})


def restoring_from_history(object_type: str, updated: Json, names: list[str]) -> Generator[Step, Any, None]:
    """Restore a record that was found by something else than it was looked up by, such as a second address."""
    record = yield read(
        "crm.objects.get_by_id", objectType=object_type, objectId=updated["id"], propertiesWithHistory=names
    )
    before, given = {}, {}
    certain = True
    for name in names:
        history = (record.get("propertiesWithHistory") or {}).get(name) or []
        age = moment(updated["updatedAt"]) - moment(history[0]["timestamp"]) if history else AT_ONCE
        if age == 0:
            before[name] = history[1]["value"] if len(history) > 1 else None
            given[name] = history[0]["value"]
        certain = certain and (age == 0 or age >= AT_ONCE)
    if given and certain:
        yield from restoring(object_type, updated["id"], before, given)
    else:
        yield no_undo(f"{object_type} {updated['id']} was not found before, and its history does not show what changed")


def named(item: Json) -> tuple[str, str]:
    """By what a member of a batch names its record."""
    return str(item.get("idProperty") or ""), str(item["id"]).casefold()


def found_before(object_type: str, inputs: list[Json]) -> Generator[Read, Any, dict[tuple[str, str], Json]]:
    """Read the records of a batch, with the values of all properties that it is about to change."""
    names = set(_names(inputs))
    found: dict[tuple[str, str], Json] = {}
    for by in dict.fromkeys(str(item.get("idProperty") or "") for item in inputs):
        members = [item for item in inputs if str(item.get("idProperty") or "") == by]
        answer = yield read(
            "crm.objects.batch.read",
            objectType=object_type,
            inputs=[{"id": str(item["id"])} for item in members],
            properties=sorted(names | {by} if by else names),
            **({"idProperty": by} if by else {}),
        )
        for record in answer["results"]:
            value = record["properties"].get(by) if by else record["id"]
            found[by, str(value or "").casefold()] = record
    return found
