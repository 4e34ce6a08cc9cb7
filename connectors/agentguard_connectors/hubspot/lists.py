"""Lists of records, their members, and the folders that they are in.

https://developers.hubspot.com/docs/api-reference/crm-lists-v3/guide. A deleted list can be restored for 90 days. Only
MANUAL and SNAPSHOT lists have members that can be put in and taken out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Handler,
    Json,
    NoUndo,
    Read,
    Risk,
    Step,
    Undo,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard.wire.codec import BODY
from agentguard_connectors.hubspot.base import hubspot, is_there, picked

ONE_BY_ONE = 100
"""Up to so many members are taken back and looked at one by one."""
MEMBERS = 250
"""The most members that one page shows."""
MANY = f"more than {ONE_BY_ONE} members were changed at once; they were not read back one by one"
DELETED = "the list stays restorable in HubSpot for 90 days"
NEW_FOLDER = "a new folder with a new id"


@hubspot.view
def list_state(answer: Json) -> Json:
    """A list's name, type and filters; ABSENT where it is deleted."""
    shown = answer.get("list") or answer.get("updatedList") or answer
    return picked(shown, ("listId", "name", "objectTypeId", "processingType", "filterBranch", "size"))


@hubspot.view
def lists_of(answer: Json) -> Json:
    """The lists that a record is on."""
    return {str(result["listId"]): True for result in answer["results"]}


def _list(call: Call, **more: Json) -> Read:
    return read("crm.lists.get_by_id", listId=call.arguments["listId"], **more).through("list_state")


@hubspot.guards("crm.lists.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=DELETED)
def create(call: Call) -> Handler:
    """Create a list; it is deleted again."""
    made = (yield forward())["list"]
    look = read("crm.lists.get_by_id", listId=made["listId"]).through("list_state")
    left = {"listId": made["listId"], "name": made["name"]}
    yield undo("crm.lists.remove", listId=made["listId"]).on(look, left=left, back=ABSENT).leaving(DELETED)


@hubspot.guards("crm.lists.remove", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def remove(call: Call) -> Handler:
    """Delete a list; it is restored with its members."""
    before = yield _list(call).or_none()
    if is_there(before):
        back = {"listId": before["listId"], "name": before["name"]}
        yield undo("crm.lists.restore", listId=call.arguments["listId"]).on(_list(call), left=ABSENT, back=back)
    else:
        yield unchanged("there is no such list, or it is deleted already")
    yield forward()


@hubspot.guards("crm.lists.restore", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def restore(call: Call) -> Handler:
    """Restore a deleted list; it is deleted again."""
    before = yield _list(call).or_none()
    if not is_there(before):
        way_back = undo("crm.lists.remove", listId=call.arguments["listId"])
        yield way_back.on(_list(call), left={"listId": str(call.arguments["listId"])}, back=ABSENT)
    else:
        yield unchanged("the list is not deleted")
    yield forward()


@hubspot.guards("crm.lists.update_name", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def rename(call: Call) -> Handler:
    """Rename a list; the old name comes back."""
    before = yield _list(call)
    way_back = undo("crm.lists.update_name", listId=call.arguments["listId"], listName=before["name"])
    # HubSpot trims the name; where the answer is lost, nothing else tells.
    left, back = {"name": str(call.arguments.get("listName") or "").strip()}, {"name": before["name"]}
    yield way_back.on(_list(call), left=left, back=back, same_shape=True)
    yield forward()


@hubspot.guards("crm.lists.update_list_filters", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def filter_again(call: Call) -> Handler:
    """Change what a dynamic list selects; the old filters come back and select again."""
    look = _list(call, includeFilters=True)
    before = yield look
    if before.get("filterBranch") is not None:
        old = {"filterBranch": before["filterBranch"]}
        way_back = undo("crm.lists.update_list_filters", listId=call.arguments["listId"], **old)
        new = {"filterBranch": call.arguments.get("filterBranch")}
        enrolled = call.arguments.get("enrollObjectsInWorkflows") in (True, "true")
        remains = "records that the new filters enrolled in workflows stay enrolled" if enrolled else ""
        yield way_back.on(look, left=new, back=old, same_shape=True).leaving(remains)
    else:
        yield no_undo("the list shows no filters that could be put back")
    yield forward()


# Members


def _moving(list_id: str, object_type: str, records: list[str], *, added: bool) -> Iterator[Undo | NoUndo]:
    """Take back that *records* were put on a list, or taken off it."""
    inverse = "crm.lists.memberships.remove" if added else "crm.lists.memberships.add"
    if not records:
        yield unchanged(f"nobody was {'put on' if added else 'taken off'} the list")
    if len(records) > ONE_BY_ONE:
        yield undo(inverse, listId=list_id, **{BODY: records}).leaving(MANY)
        return
    on, off = {str(list_id): True}, {str(list_id): ABSENT}
    for record in records:
        look = read("crm.lists.memberships.get_lists", objectTypeId=object_type, recordId=record).through("lists_of")
        way_back = undo(inverse, listId=list_id, **{BODY: [record]})
        yield way_back.on(look, left=on if added else off, back=off if added else on)


def _changing(call: Call, joining: list[Json], leaving: list[Json]) -> Handler:
    """Take back what the answer says was changed, as far as a read before shows that it was not so already.

    HubSpot's pages do not say whether the answer also lists those that were on the list before.
    """
    before = yield _list(call)
    place = call.arguments["listId"], before["objectTypeId"]
    there = yield from _on_list(*place, [str(record) for record in (*joining, *leaving)], before.get("size"))
    answer = yield forward()
    # The answer spells one of them like this: https://developers.hubspot.com/docs/api-reference/crm-lists-v3/guide
    named = answer.get("recordsIdsAdded") or answer.get("recordIdsAdded") or []
    joined = [str(record) for record in named if str(record) not in there]
    left = [str(record) for record in answer.get("recordIdsRemoved") or [] if str(record) in there]
    if left or not joined:
        yield from _moving(*place, left, added=False)
    if joined:
        yield from _moving(*place, joined, added=True)


def _on_list(list_id: str, object_type: str, records: list[str], size: int | None) -> Generator[Step, Any, set[str]]:
    """Those of *records* that are on the list: asked for one by one, or all members read, whichever is less."""
    if len(records) > ONE_BY_ONE or (size is not None and size // MEMBERS < len(records) - 1):
        return set((yield from _members(list_id)))
    found = set()
    for record in records:
        look = read("crm.lists.memberships.get_lists", objectTypeId=object_type, recordId=record).through("lists_of")
        if str(list_id) in ((yield look.or_none()) or {}):
            found.add(record)
    return found


@hubspot.guards("crm.lists.memberships.add", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def add(call: Call) -> Handler:
    """Put records on a list; those that were not on it are taken off."""
    yield from _changing(call, call.arguments.get(BODY) or [], [])


@hubspot.guards("crm.lists.memberships.remove", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def take_off(call: Call) -> Handler:
    """Take records off a list; those that were on it are put back."""
    yield from _changing(call, [], call.arguments.get(BODY) or [])


@hubspot.guards("crm.lists.memberships.add_and_remove", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def add_and_remove(call: Call) -> Handler:
    """Put records on a list and take others off; both are taken back."""
    given = call.arguments
    yield from _changing(call, given.get("recordIdsToAdd") or [], given.get("recordIdsToRemove") or [])


def _members(list_id: str) -> Generator[Step, Any, list[str]]:
    found: list[str] = []
    cursor: dict[str, Json] = {}
    while True:
        page = yield read("crm.lists.memberships.get_page", listId=list_id, limit=MEMBERS, **cursor)
        found += [str(result["recordId"]) for result in page["results"]]
        following = (page.get("paging") or {}).get("next")
        if not following:
            return found
        cursor = {"after": following["after"]}


@hubspot.guards("crm.lists.memberships.remove_all", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def empty(call: Call) -> Handler:
    """Take all records off a list; they are put back."""
    before = yield _list(call)
    members = yield from _members(call.arguments["listId"])
    yield from _moving(call.arguments["listId"], before["objectTypeId"], members, added=False)
    yield forward()


@hubspot.guards("crm.lists.memberships.add_all_from_list", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def add_all_from(call: Call) -> Handler:
    """Put the members of one list on another; those that were not on it are taken off."""
    before = yield _list(call)
    here = yield from _members(call.arguments["listId"])
    there = yield from _members(call.arguments["sourceListId"])
    added = [record for record in there if record not in set(here)]
    yield from _moving(call.arguments["listId"], before["objectTypeId"], added, added=True)
    yield forward()


# Folders


@hubspot.view
def folder(answer: Json) -> Json:
    """A folder's name and the one that it is in."""
    shown = answer.get("folder") or answer
    return {name: str(shown[name]) for name in ("id", "name", "parentFolderId") if shown.get(name) is not None}


@hubspot.view
def shelves(answer: Json) -> Json:
    """The folder of each list, from the whole tree."""
    found: dict[str, str] = {}
    waiting = [answer.get("folder") or answer]
    while waiting:
        node = waiting.pop()
        found |= {str(member): str(node["id"]) for member in node.get("childLists") or []}
        waiting += node.get("childNodes") or []
    return found


def _folder(folder_id: Json) -> Read:
    return read("crm.lists.folders.get_all", folderId=str(folder_id)).through("folder")


@hubspot.guards("crm.lists.folders.create", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def create_folder() -> Handler:
    """Create a folder; it is removed again."""
    made = (yield forward())["folder"]
    left = {"name": made["name"]}
    yield undo("crm.lists.folders.remove", folderId=made["id"]).on(_folder(made["id"]), left=left, back=ABSENT)


@hubspot.guards("crm.lists.folders.remove", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=NEW_FOLDER)
def remove_folder(call: Call) -> Handler:
    """Remove a folder; one of the same name is created in the same place."""
    before = yield _folder(call.arguments["folderId"])
    place = {name: before[name] for name in ("name", "parentFolderId") if name in before}
    yield undo("crm.lists.folders.create", **place).leaving(NEW_FOLDER)
    yield forward()


@hubspot.guards("crm.lists.folders.rename", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def rename_folder(call: Call) -> Handler:
    """Rename a folder; the old name comes back."""
    folder_id = call.arguments["folderId"]
    before = yield _folder(folder_id)
    way_back = undo("crm.lists.folders.rename", folderId=folder_id, newFolderName=before["name"])
    left = {"name": call.arguments.get("newFolderName")}
    yield way_back.on(_folder(folder_id), left=left, back={"name": before["name"]}, same_shape=True)
    yield forward()


@hubspot.guards("crm.lists.folders.move", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def move_folder(call: Call) -> Handler:
    """Move a folder; it is moved back."""
    folder_id = call.arguments["folderId"]
    before = yield _folder(folder_id)
    old = before.get("parentFolderId", "0")
    way_back = undo("crm.lists.folders.move", folderId=folder_id, newParentFolderId=old)
    left = {"parentFolderId": str(call.arguments["newParentFolderId"])}
    yield way_back.on(_folder(folder_id), left=left, back={"parentFolderId": old})
    yield forward()


@hubspot.guards("crm.lists.folders.move_list", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def move_list(call: Call) -> Handler:
    """Move a list to another folder; it is moved back."""
    look = read("crm.lists.folders.get_all", folderId="0").through("shelves")
    list_id, new = str(call.arguments["listId"]), str(call.arguments["newFolderId"])
    old = (yield look).get(list_id, "0")
    way_back = undo("crm.lists.folders.move_list", listId=list_id, newFolderId=old)
    yield way_back.on(look, left={list_id: new}, back={list_id: old})
    yield forward()
