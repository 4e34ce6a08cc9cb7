"""Whether a call happened that made or changed something other than records, and whose answer was lost.

These things have names that are unique where they stand, and most show when they were created. What is new, has the
name and says the same is taken for the call's; two of them prove nothing. A property that is neither there nor archived
was not created: properties are read by name, at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from agentguard.calls import ABSENT, Call, Finder, Json, Read, read
from agentguard.wire.codec import BODY
from agentguard_connectors.hubspot.base import Unproven, hubspot, is_there, since_then


def the_one(found: Iterable[Json], same: Callable[[Json], bool]) -> Json:
    """The one of *found* that is the *same*; None where there is none, or more of them."""
    matching = [one for one in found if same(one)]
    return matching[0] if len(matching) == 1 else None


# Lists and folders


@hubspot.finds("crm.lists.create")
def list_created(call: Call, since: str) -> Finder:
    """Find the list by its name, which is unique among those of a type of record."""
    given = call.arguments
    found = yield read(
        "crm.lists.get_by_name", objectTypeId=given["objectTypeId"], listName=given["name"].strip(), includeFilters=True
    ).or_none()
    made = (found or {}).get("list") or {}
    same = made.get("processingType") == given["processingType"] and since_then(made, since)
    return {"list": made} if same else None


@hubspot.finds("crm.lists.folders.create")
def folder_created(call: Call, since: str) -> Finder:
    """Find the new folder of this name in the folder that it was to stand in."""
    place = str(call.arguments.get("parentFolderId") or "0")
    tree = yield read("crm.lists.folders.get_all", folderId=place)
    inside = (tree.get("folder") or tree).get("childNodes") or []
    made = the_one(inside, lambda one: one["name"] == call.arguments["name"] and since_then(one, since))
    return {"folder": made} if made else None


@hubspot.finds("crm.lists.folders.remove", authoritative=True)
def folder_removed(call: Call) -> Finder:
    """See whether the folder is there."""
    found = yield read("crm.lists.folders.get_all", folderId=str(call.arguments["folderId"])).or_none()
    return {} if found is None else None


def _members_changed(call: Call, joining: list[Json], leaving: list[Json], snapshots: list[Json]) -> Finder:
    """Compare who is on the list with who was on it before the call."""
    if not snapshots or not is_there(snapshots[0]):
        raise Unproven("the list as it was before the call is not on record")
    state, *seen = snapshots
    records = [str(record) for record in (*joining, *leaving)]
    list_id = str(call.arguments["listId"])
    before = _on_list_before(list_id, records, seen)
    now = set()
    for record in records:
        asked = {"objectTypeId": state["objectTypeId"], "recordId": record}
        on = yield read("crm.lists.memberships.get_lists", **asked).through("lists_of").or_none()
        if list_id in (on or {}):
            now.add(record)
    joined = [str(record) for record in joining if str(record) in now]
    left = [str(record) for record in leaving if str(record) not in now]
    changed = set(joined) - before or set(left) & before
    nothing_to_do = set(map(str, joining)) <= before and not set(map(str, leaving)) & before
    if not changed and not nothing_to_do:
        return None
    return {"recordsIdsAdded": joined, "recordIdsRemoved": left, "recordIdsMissing": []}


def _on_list_before(list_id: str, records: list[str], seen: list[Json]) -> set[str]:
    """Which of *records* the snapshots show on the list: pages of members, or the lists of each record."""
    if any(isinstance(page, dict) and "results" in page for page in seen):
        return {str(one["recordId"]) for page in seen for one in page["results"]}
    if len(seen) != len(records):
        raise Unproven("who was on the list before the call is not on record")
    return {record for record, on in zip(records, seen, strict=True) if list_id in (on or {})}


@hubspot.finds("crm.lists.memberships.add")
def members_added(call: Call, snapshots: list[Json]) -> Finder:
    """See who is on the list that was not before."""
    return (yield from _members_changed(call, call.arguments.get(BODY) or [], [], snapshots))


@hubspot.finds("crm.lists.memberships.remove")
def members_removed(call: Call, snapshots: list[Json]) -> Finder:
    """See who is off the list that was on it before."""
    return (yield from _members_changed(call, [], call.arguments.get(BODY) or [], snapshots))


@hubspot.finds("crm.lists.memberships.add_and_remove")
def members_exchanged(call: Call, snapshots: list[Json]) -> Finder:
    """See who is on the list that was not before, and who is off it."""
    given = call.arguments
    joining, leaving = given.get("recordIdsToAdd") or [], given.get("recordIdsToRemove") or []
    return (yield from _members_changed(call, joining, leaving, snapshots))


# Pipelines


@hubspot.finds("crm.pipelines.create")
def pipeline_created(call: Call, since: str) -> Finder:
    """Find the new pipeline with this label and these stages."""
    answer = yield read("crm.pipelines.get_all", objectType=call.arguments["objectType"])
    stages = {stage["label"] for stage in call.arguments.get("stages") or []}

    def same(one: Json) -> bool:
        labels = {stage["label"] for stage in one.get("stages") or []}
        return one["label"] == call.arguments["label"] and labels == stages and since_then(one, since)

    return the_one(answer["results"], same)


@hubspot.finds("crm.pipelines.stages.create")
def stage_created(call: Call, since: str) -> Finder:
    """Find the new stage with this label in its pipeline."""
    place = {name: call.arguments[name] for name in ("objectType", "pipelineId")}
    answer = yield read("crm.pipelines.stages.get_all", **place)
    return the_one(answer["results"], lambda one: one["label"] == call.arguments["label"] and since_then(one, since))


# Properties


def _defined(object_type: str, given: Json, since: str) -> Generator[Read, Any, Json]:
    """The property of this name, archived or not, if the call made it; None where there is none.

    Raises Unproven where there is one that somebody else may have made.
    """
    place = {"objectType": object_type, "propertyName": given["name"]}
    found = yield read("crm.properties.get_by_name", **place).or_none()
    if found is not None:
        alike = all(found.get(name) == given.get(name) for name in ("label", "type", "fieldType", "groupName"))
        if alike and since_then(found, since):
            return found
        raise Unproven(f"there is a property {given['name']}, and nothing shows that this call made it")
    found = yield read("crm.properties.get_by_name", **place, archived=True).or_none()
    return found if found is not None and since_then(found, since) else None


@hubspot.finds("crm.properties.create", authoritative=True)
def property_created(call: Call, since: str) -> Finder:
    """Read the property by its name, which is unique."""
    return (yield from _defined(call.arguments["objectType"], call.arguments, since))


@hubspot.finds("crm.properties.batch.create", authoritative=True)
def properties_created(call: Call, since: str) -> Finder:
    """Read each of the properties by its name; a batch may succeed in part."""
    made = []
    for given in call.arguments.get("inputs") or []:
        found = yield from _defined(call.arguments["objectType"], given, since)
        if found is not None:
            made.append(found)
    times = [str(one["createdAt"]) for one in made]
    envelope = {"status": "COMPLETE", "results": made}
    return {**envelope, "startedAt": min(times), "completedAt": max(times)} if made else None


@hubspot.finds("crm.properties.groups.create")
def group_created(call: Call, snapshots: list[Json]) -> Finder:
    """Read the group by its name, which was not there before."""
    place = {"objectType": call.arguments["objectType"], "groupName": call.arguments["name"]}
    found = yield read("crm.properties.groups.get_by_name", **place).or_none()
    new = bool(snapshots) and not is_there(snapshots[0])
    same = found is not None and not found.get("archived") and found["label"] == call.arguments["label"]
    return found if new and same else None


# Types of record, and how they can be associated


@hubspot.finds("crm.schemas.create")
def type_created(call: Call, since: str) -> Finder:
    """Find the new type of record by its name, which is unique."""
    answer = yield read("crm.schemas.get_all")
    return the_one(answer["results"], lambda one: one["name"] == call.arguments["name"] and since_then(one, since))


@hubspot.finds("crm.schemas.create_association")
def type_associated(call: Call, since: str) -> Finder:
    """Find the new association among those of the type."""
    given = call.arguments
    answer = yield read("crm.schemas.get_by_id", objectType=given["objectType"])
    names = ("fromObjectTypeId", "toObjectTypeId", "name")

    def same(one: Json) -> bool:
        return all(one.get(name) == given.get(name) for name in names) and since_then(one, since)

    return the_one(answer["associations"], same)


@hubspot.finds("crm.schemas.archive_association", authoritative=True)
def type_dissociated(call: Call) -> Finder:
    """See whether the association is still among those of the type."""
    answer = yield read("crm.schemas.get_by_id", objectType=call.arguments["objectType"])
    number = str(call.arguments["associationIdentifier"])
    return None if any(str(one["id"]) == number for one in answer["associations"]) else {}


@hubspot.finds("crm.associations.v4.schema.definitions.create")
def label_defined(call: Call, snapshots: list[Json]) -> Finder:
    """Find the one label of this text that was not defined before."""
    places = {name: call.arguments[name] for name in ("fromObjectType", "toObjectType")}
    if not snapshots or not isinstance(snapshots[0], dict) or snapshots[0] == ABSENT:
        raise Unproven("which labels were defined before the call is not on record")
    answer = yield read("crm.associations.v4.schema.definitions.get_all", **places)
    known, label = snapshots[0], call.arguments.get("label")
    made = the_one(answer["results"], lambda one: str(one["typeId"]) not in known and one["label"] == label)
    return {"results": [made]} if made else None
