"""Whether a call that wrote records, and whose answer was lost, happened.

A record is known by its mark, if it has one (see marks.py); else by a property of its own whose values are unique, as a
contact's address; else by its values, by when it was created, and that an integration created it. Only the look-up by a
mark in a unique property proves that a record was not created. Where nothing is proved, the finder raises `Unproven`
with what is known: None would say that the call did not happen.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from agentguard.calls import Call, Finder, Json, Read, read
from agentguard_connectors.hubspot.base import Unproven, hubspot, kind_of, moment, plain, since_then
from agentguard_connectors.hubspot.marks import marked_in, numbered
from agentguard_connectors.hubspot.records import CORE

AT_MOST = 60.0
"""Seconds after the intent in which a call creates its record, if it is to be known by its values alone."""
FILTERS = 15
"""How many values a search asks for, of the 18 filters that it takes; all of them are compared."""
LONG = 100
"""From this length on a value is compared only: a search has at most 3000 characters."""


@hubspot.finds("crm.objects.create", authoritative=True, exact=True)
def created(call: Call, since: str, mark: str) -> Finder:
    """Find the record by its mark, or a unique property of its own, or its values."""
    object_type, given = call.arguments["objectType"], call.arguments.get("properties") or {}
    place = marked_in([given], [mark])
    if place is not None:
        answer = yield from by_marks(object_type, place, [mark], sorted(given))
        return _as_given(answer["results"][0], given) if answer else None
    unique = yield from _unique_among(object_type, given)
    if unique is None:
        return (yield from _by_values(object_type, given, since))
    found = yield read(
        "crm.objects.get_by_id",
        objectType=object_type,
        objectId=given[unique],
        idProperty=unique,
        properties=sorted(given),
    ).or_none()
    if found is None:
        raise Unproven(f"there is no record with this {unique}; somebody may have changed or archived it since")
    if not _ours(found, given, since):
        raise Unproven(f"there is a record with this {unique}, and nothing shows that this call made it")
    return found


def by_marks(object_type: str, place: str, texts: list[str], names: list[str]) -> Generator[Read, Any, Json]:
    """The answer to a batch with the records that have one of *texts* in the property *place*; None for none of them.

    Raises Unproven where the property is not unique and not all of them are found.
    """
    defined = yield read("crm.properties.get_by_name", objectType=object_type, propertyName=place).or_none()
    if not (defined or {}).get("hasUniqueValue"):
        filters = [{"propertyName": place, "operator": "IN", "values": texts}]
        answer = yield from _search(object_type, filters, names)
        made = [record for record in answer["results"] if record["properties"].get(place) in texts]
        if {record["properties"][place] for record in made} != set(texts) or len(made) != len(texts):
            raise Unproven(
                f"HubSpot's search does not show the mark, or not yet, which proves nothing: values of {place} are not "
                "unique, so that it cannot be read by"
            )
        return _batch(made)
    asked: dict[str, Json] = {"objectType": object_type, "idProperty": place, "properties": names}
    answer = yield read("crm.objects.batch.read", inputs=[{"id": text} for text in texts], **asked)
    made = list(answer["results"])
    missing = [text for text in texts if text not in {record["properties"].get(place) for record in made}]
    if missing:
        # What somebody has archived since has happened all the same.
        bin_ = yield read("crm.objects.batch.read", inputs=[{"id": text} for text in missing], archived=True, **asked)
        made += bin_["results"]
    return {**answer, "results": made} if made else None


def _search(object_type: str, filters: list[Json], names: list[str]) -> Generator[Read, Any, Json]:
    answer = yield read(
        "crm.objects.search",
        objectType=object_type,
        filterGroups=[{"filters": filters}],
        properties=names,
        limit=100,
    )
    return answer


def _batch(results: list[Json]) -> Json:
    """*results* as the answer to a batch has them."""
    times = [record["createdAt"] for record in results]
    return {"status": "COMPLETE", "results": results, "startedAt": min(times), "completedAt": max(times)}


def _unique_among(object_type: str, given: Mapping[str, Json]) -> Generator[Read, Any, str | None]:
    """The name of a property in *given* whose values are unique."""
    if kind_of(object_type) == "contacts" and plain(given.get("email")):
        return "email"
    defined = yield read("crm.properties.get_all", objectType=object_type)
    return next(
        (p["name"] for p in defined["results"] if p.get("hasUniqueValue") and plain(given.get(p["name"]))), None
    )


def _by_values(object_type: str, given: Mapping[str, Json], since: str) -> Finder:
    """Find the one record that an integration has created since with these values.

    Which integration it was HubSpot does not tell in a way that could be compared; the search lags. So one record is
    believed, and two, or none, prove nothing.
    """
    valued = {name: value for name, value in given.items() if plain(value)}
    if not valued:
        raise Unproven("the new record was given no values to look for, and no mark")
    short = {name: plain(value) for name, value in valued.items() if len(str(value)) < LONG}
    born = "createdate" if kind_of(object_type) in CORE else "hs_createdate"
    filters: list[Json] = [
        {"propertyName": born, "operator": "GTE", "value": str(int(moment(since)) * 1000)},
        {"propertyName": "hs_object_source", "operator": "EQ", "value": "INTEGRATION"},
        *({"propertyName": n, "operator": "EQ", "value": v} for n, v in list(short.items())[:FILTERS]),
    ]
    answer = yield from _search(object_type, filters, sorted({*given, "hs_object_source"}))
    made = [
        r for r in answer["results"] if _ours(r, given, since) and moment(r["createdAt"]) <= moment(since) + AT_MOST
    ]
    if answer.get("total", 0) > len(answer["results"]) or len(made) != 1:
        count = "no record" if not made else f"{len(made)} records"
        raise Unproven(
            f"none of the values that the new record of {object_type} was given is unique, and HubSpot's search, which "
            f"lags, shows {count} with these values that an integration has created since; with a property for marks "
            "this could be told (see the page on HubSpot)"
        )
    return made[0]


@hubspot.finds("crm.objects.batch.create", authoritative=True)
def batch_created(call: Call, since: str, mark: str) -> Finder:
    """Find the records by their marks, each for itself, as a batch may succeed in part; or contacts by address."""
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    properties = [item.get("properties") or {} for item in inputs]
    names = sorted({name for one in properties for name in one})
    texts = numbered(mark, len(inputs))
    place = marked_in(properties, texts)
    if place is not None:
        answer = yield from by_marks(object_type, place, texts, names)
        sent = dict(zip(texts, properties, strict=True))
        made = [_as_given(record, sent[record["properties"][place]]) for record in answer["results"]] if answer else []
        return {**answer, "results": made} if made else None
    given = {str(one.get("email") or "").casefold(): one for one in properties}
    if kind_of(object_type) != "contacts" or len(given) < len(inputs) or "" in given:
        raise Unproven("without marks, only contacts with addresses can be looked up")
    answer = yield read(
        "crm.objects.batch.read",
        objectType=object_type,
        inputs=[{"id": email} for email in given],
        properties=names,
        idProperty="email",
    )
    made = [r for r in answer["results"] if _ours(r, given.get(str(r["properties"]["email"]).casefold(), {}), since)]
    traced = any("objectWriteTraceId" in item for item in inputs)
    if not made or (len(made) < len(inputs) and not traced):
        # Without trace ids a batch is created as a whole or not at all.
        raise Unproven("there are no new contacts with all of these addresses and values")
    return {**answer, "results": made}


@hubspot.finds("crm.objects.batch.upsert")
def upserted(call: Call, since: str, snapshots: list[Json]) -> Finder:
    """Find each record by the property that the call named, and compare it with what was there before.

    A batch may have succeeded in part. What was there before has its undo from the snapshot, whatever became of it.
    """
    object_type, inputs = call.arguments["objectType"], call.arguments.get("inputs") or []
    before = {r["id"]: r["properties"] for s in snapshots if isinstance(s, dict) for r in s.get("results") or []}
    results: list[Json] = []
    changed = missed = False
    for item in inputs:
        by = {"idProperty": item["idProperty"]} if item.get("idProperty") else {}
        given = item.get("properties") or {}
        found = yield read(
            "crm.objects.get_by_id", objectType=object_type, objectId=item["id"], properties=sorted(given), **by
        ).or_none()
        if found is None or not _shows(found, given):
            if found is not None and found["id"] not in before:
                raise Unproven(f"{object_type} {found['id']} was not there before, and has not the values of this call")
            missed = True
            continue
        old = before.get(found["id"])
        changed = changed or old is None or any(plain(old.get(name)) != plain(value) for name, value in given.items())
        results.append({**found, "new": old is None and since_then(found, since)})
    return _batch(results) if results and (changed or not missed) else None


@hubspot.finds("crm.objects.archive", authoritative=True)
def archived(call: Call) -> Finder:
    """See whether the record is archived. Its id is unique, and the API does not restore what is archived."""
    place = {name: call.arguments[name] for name in ("objectType", "objectId")}
    if (yield read("crm.objects.get_by_id", **place).or_none()) is not None:
        return None
    if (yield read("crm.objects.get_by_id", **place, archived=True).or_none()) is not None:
        return {}
    raise Unproven("the record is neither there nor among the archived ones")


@hubspot.finds("crm.objects.batch.archive", authoritative=True)
def batch_archived(call: Call) -> Finder:
    """See whether the records are archived. The undo makes all of them again, so that it has to be all of them."""
    object_type = call.arguments["objectType"]
    ids = list(dict.fromkeys(str(item["id"]) for item in call.arguments.get("inputs") or []))
    asked: dict[str, Json] = {"objectType": object_type, "inputs": [{"id": one} for one in ids], "properties": []}
    there = yield read("crm.objects.batch.read", **asked)
    gone = yield read("crm.objects.batch.read", **asked, archived=True)
    if not there["results"] and gone["results"]:
        return {}
    if there["results"] and not gone["results"]:
        return None
    raise Unproven(f"of {len(ids)} records {len(there['results'])} are there and {len(gone['results'])} archived")


def _as_given(found: Json, given: Mapping[str, Json]) -> Json:
    """A record with the values that it was given, as somebody may have changed it since.

    HubSpot writes values in its own way, as addresses in small letters: one that says the same is kept as it is shown.
    """
    has = found["properties"]
    return {**found, "properties": {n: v if n not in given or _same(v, given[n]) else given[n] for n, v in has.items()}}


def _ours(found: Json, given: Mapping[str, Json], since: str) -> bool:
    return since_then(found, since) and _shows(found, given)


def _shows(found: Json, given: Mapping[str, Json]) -> bool:
    has = found["properties"]
    return all(_same(has.get(name), value) for name, value in given.items())


def _same(shown: Json, given: Json) -> bool:
    return str(plain(shown) or "").casefold() == str(plain(given) or "").casefold()
