"""Associations between records, their labels, and the definitions of labels.

https://developers.hubspot.com/docs/api-reference/crm-associations-v4/guide
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Handler,
    Json,
    NoUndo,
    Risk,
    Undo,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard.wire.codec import BODY
from agentguard_connectors.hubspot.base import hubspot
from agentguard_connectors.hubspot.links import (
    Links,
    all_links,
    batch_links,
    gone,
    key_of,
    look_at,
    seen_on,
    spec_of,
    there,
    without,
)

PRIMARY = ("HUBSPOT_DEFINED/1", "HUBSPOT_DEFINED/5", "HUBSPOT_DEFINED/26")
"""A record's primary company, seen from the contact, deal or ticket. There is one at a time: the other loses it."""
PRIMARY_FROM_COMPANY = ("HUBSPOT_DEFINED/2", "HUBSPOT_DEFINED/6", "HUBSPOT_DEFINED/25")
OTHER_PRIMARY = "the company that was the record's primary one before, if there was one, is not made primary again"


def adding(
    kinds: tuple[str, str], record: str, other: str, asked: list[str], known: Links
) -> Generator[Undo | NoUndo, Any, None]:
    """Take back that the types *asked* were put between two records."""
    from_kind, to_kind = kinds
    look = look_at(from_kind, record, to_kind)
    before = known.shown.get(other)
    added = [key for key in asked if key not in (before or {})]
    if before is not None and not added:
        yield unchanged(f"{record} and {other} are associated like this already")
        return
    for key in added:
        holders = [to for to, types in known.shown.items() if key in PRIMARY and key in types and to != other]
        for holder in holders:
            yield seen_on(
                _putting(kinds, record, holder, [key]),
                look,
                known,
                left=without(holder, [key]),
                back=there(holder, [key]),
            )
    if before is None:
        way_back = undo(
            "crm.associations.v4.archive",
            objectType=from_kind,
            objectId=record,
            toObjectType=to_kind,
            toObjectId=other,
        )
        way_back = seen_on(way_back, look, known, left=there(other, asked), back=gone(other))
    else:
        pair = {"from": {"id": record}, "to": {"id": other}, "types": [spec_of(key) for key in added]}
        way_back = undo(
            "crm.associations.v4.batch.archive_labels", fromObjectType=from_kind, toObjectType=to_kind, inputs=[pair]
        )
        back = {**there(other, before), **without(other, added)}
        way_back = seen_on(way_back, look, known, left=there(other, added), back=back)
    yield way_back.leaving(OTHER_PRIMARY) if set(added) & set(PRIMARY_FROM_COMPANY) else way_back


def removing(
    kinds: tuple[str, str], record: str, other: str, known: Links, types: list[str] | None = None
) -> Generator[Undo | NoUndo, Any, None]:
    """Take back that two records lost the association, or only the *types* given."""
    before = known.shown.get(other)
    lost = [key for key in before or {} if types is None or key in types]
    if before is None or not lost:
        yield unchanged(f"{record} and {other} are not associated like this")
        return
    left = gone(other) if types is None else without(other, lost)
    way_back = _putting(kinds, record, other, sorted(before))
    yield seen_on(way_back, look_at(kinds[0], record, kinds[1]), known, left=left, back=there(other, before))


def _putting(kinds: tuple[str, str], record: str, other: str, types: list[str]) -> Undo:
    specs = [spec_of(key) for key in types]
    place = {"objectType": kinds[0], "objectId": record, "toObjectType": kinds[1], "toObjectId": other}
    return undo("crm.associations.v4.create", **place, **{BODY: specs})


def _place(call: Call, prefix: str = "object") -> tuple[tuple[str, str], str, str]:
    given = call.arguments
    kinds = (given[f"{prefix}Type"], given["toObjectType"])
    return kinds, str(given[f"{prefix}Id"]), str(given["toObjectId"])


@hubspot.guards("crm.associations.v4.create", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def create(call: Call) -> Handler:
    """Associate two records with labels; what was not there before is removed."""
    kinds, record, other = _place(call)
    known = yield from all_links(kinds[0], record, kinds[1])
    yield from adding(kinds, record, other, [key_of(spec) for spec in call.arguments.get(BODY) or []], known)
    yield forward()


@hubspot.guards("crm.associations.v4.create_default", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def create_default(call: Call) -> Handler:
    """Associate two records without a label; if they were not associated before, they are taken apart."""
    kinds, record, other = _place(call, "fromObject")
    known = yield from all_links(kinds[0], record, kinds[1])
    yield from adding(kinds, record, other, [], known)
    yield forward()


@hubspot.guards("crm.associations.v4.archive", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def archive(call: Call) -> Handler:
    """Remove all associations between two records; they come back with their labels."""
    kinds, record, other = _place(call)
    known = yield from all_links(kinds[0], record, kinds[1])
    yield from removing(kinds, record, other, known)
    yield forward()


def _batch(call: Call) -> tuple[tuple[str, str], list[Json]]:
    return (call.arguments["fromObjectType"], call.arguments["toObjectType"]), call.arguments.get("inputs") or []


@hubspot.guards("crm.associations.v4.batch.create", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def batch_create(call: Call) -> Handler:
    """Associate many records with labels; what was not there before is removed, pair by pair."""
    kinds, inputs = _batch(call)
    known = yield from batch_links(*kinds, [pair["from"]["id"] for pair in inputs])
    asked: dict[tuple[str, str], list[str]] = {}
    for pair in inputs:
        keys = asked.setdefault((str(pair["from"]["id"]), str(pair["to"]["id"])), [])
        keys.extend(key for key in map(key_of, pair["types"]) if key not in keys)
    for (record, other), keys in asked.items():
        yield from adding(kinds, record, other, keys, known[record])
    yield forward()


@hubspot.guards("crm.associations.v4.batch.create_default", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def batch_create_default(call: Call) -> Handler:
    """Associate many records without a label; those that were not associated before are taken apart."""
    kinds, inputs = _batch(call)
    known = yield from batch_links(*kinds, [pair["from"]["id"] for pair in inputs])
    for record, other in dict.fromkeys((str(pair["from"]["id"]), str(pair["to"]["id"])) for pair in inputs):
        yield from adding(kinds, record, other, [], known[record])
    yield forward()


@hubspot.guards("crm.associations.v4.batch.archive", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def batch_archive(call: Call) -> Handler:
    """Remove all associations between many records; they come back with their labels."""
    kinds, inputs = _batch(call)
    known = yield from batch_links(*kinds, [pair["from"]["id"] for pair in inputs])
    pairs = [(str(pair["from"]["id"]), str(to["id"])) for pair in inputs for to in pair["to"]]
    for record, other in dict.fromkeys(pairs):
        yield from removing(kinds, record, other, known[record])
    yield forward()


@hubspot.guards("crm.associations.v4.batch.archive_labels", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def batch_archive_labels(call: Call) -> Handler:
    """Remove labels between many records; they come back."""
    kinds, inputs = _batch(call)
    known = yield from batch_links(*kinds, [pair["from"]["id"] for pair in inputs])
    lost: dict[tuple[str, str], list[str]] = {}
    for pair in inputs:
        lost.setdefault((str(pair["from"]["id"]), str(pair["to"]["id"])), []).extend(map(key_of, pair["types"]))
    for (record, other), keys in lost.items():
        yield from removing(kinds, record, other, known[record], keys)
    yield forward()


# Version 3, where a type has a name: https://developers.hubspot.com/docs/api-reference/crm-associations-v3/guide


@hubspot.view
def named_links(answer: Json) -> Json:
    """What one record is associated with: the other's id, and `id/name` for each type."""
    found: dict[str, bool] = {}
    for result in answer["results"]:
        if (result.get("paging") or {}).get("next"):
            raise ValueError("more associations than one page shows: not all can be seen at once")
        for to in result["to"]:
            found |= there(str(to["id"]), [to["type"]])
    return found


def _named(call: Call, *, removed: bool) -> Handler:
    kinds, inputs = _batch(call)
    places = {"fromObjectType": kinds[0], "toObjectType": kinds[1]}
    for pair in inputs:
        record, other, name = str(pair["from"]["id"]), str(pair["to"]["id"]), pair["type"]
        look = read("crm.associations.batch.read", **places, inputs=[{"id": record}]).through("named_links")
        shown = yield look
        before = {key: True for key in shown if key == other or key.startswith(f"{other}/")}
        named = f"{other}/{name}"
        again = {**places, "inputs": [{"from": {"id": record}, "to": {"id": other}, "type": name}]}
        if removed and named in before:
            yield undo("crm.associations.batch.create", **again).on(look, left={named: ABSENT}, back=before)
        elif not removed and not before:
            place = {"objectType": kinds[0], "objectId": record, "toObjectType": kinds[1], "toObjectId": other}
            yield undo("crm.associations.v4.archive", **place).on(look, left={named: True}, back=gone(other))
        elif not removed and named not in before:
            back = {**before, named: ABSENT}
            yield undo("crm.associations.batch.archive", **again).on(look, left={named: True}, back=back)
        else:
            yield unchanged(f"{record} and {other} are {'not ' if removed else ''}associated like this already")
    yield forward()


@hubspot.guards("crm.associations.batch.create", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def named_create(call: Call) -> Handler:
    """Associate many records by a type's name; those that were not are taken apart."""
    yield from _named(call, removed=False)


@hubspot.guards("crm.associations.batch.archive", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def named_archive(call: Call) -> Handler:
    """Remove associations of a type; they come back."""
    yield from _named(call, removed=True)


# Definitions of labels: https://developers.hubspot.com/docs/api-reference/crm-associations-schema-v4/guide


@hubspot.view
def labels(answer: Json) -> Json:
    """The labels that are defined between two types of records, by the number of the type."""
    return {str(result["typeId"]): result["label"] for result in answer["results"]}


def _definitions(call: Call) -> dict[str, Json]:
    return {name: call.arguments[name] for name in ("fromObjectType", "toObjectType")}


@hubspot.guards("crm.associations.v4.schema.definitions.create", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def define(call: Call) -> Handler:
    """Define a label; the definition is removed."""
    places = _definitions(call)
    look = read("crm.associations.v4.schema.definitions.get_all", **places).through("labels")
    before = yield look
    made = yield forward()
    after = yield look
    if not after.keys() - before.keys():
        yield no_undo("the new label is not shown among those of these two types")
    for result in made["results"]:
        number = str(result["typeId"])
        if number in after and number not in before:
            way_back = undo("crm.associations.v4.schema.definitions.remove", **places, associationTypeId=number)
            yield way_back.on(look, left={number: result["label"]}, back={number: ABSENT})


@hubspot.guards("crm.associations.v4.schema.definitions.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def rename(call: Call) -> Handler:
    """Rename a label; the old name comes back."""
    places, number = _definitions(call), call.arguments["associationTypeId"]
    look = read("crm.associations.v4.schema.definitions.get_all", **places).through("labels")
    before = yield look
    if str(number) in before:
        old = before[str(number)]
        way_back = undo(
            "crm.associations.v4.schema.definitions.update", **places, associationTypeId=number, label=old
        ).on(look, left={str(number): call.arguments["label"]}, back={str(number): old})
        inverse = "the inverse label keeps its new name" if call.arguments.get("inverseLabel") else ""
        yield way_back.leaving(inverse)
    else:
        yield no_undo("the label is not shown among those of these two types")
    yield forward()


hubspot.irreversible(
    "crm.associations.v4.schema.definitions.remove",
    "Remove a label's definition. Every association that has the label loses it.",
)
