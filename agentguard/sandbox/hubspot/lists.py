"""Lists, their members and their folders."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.hubspot.base import TYPES, Base, missing, now, refusal, shaped
from agentguard.sandbox.server import Incoming, Reply, route

LIST = "/crm/v3/lists/{listId}"
SHOWN = (
    "listId",
    "name",
    "objectTypeId",
    "processingType",
    "processingStatus",
    "listVersion",
    "createdAt",
    "updatedAt",
    "filtersUpdatedAt",
)


class Lists(Base):
    """`/crm/v3/lists`."""

    # Folders come first: their paths would be taken for those of a list called "folders".

    @route("GET", "/crm/v3/lists/folders")
    def get_folder(self, call: Incoming) -> Reply:
        return Reply(200, {"folder": self.folder_tree(self.folder(call.query.get("folderId", "0")))})

    def folder(self, number: str) -> dict[str, Any]:
        found = self.state["folders"].get(str(number))
        if found is None:
            raise missing(f"folder {number} does not exist")
        return found  # type: ignore[no-any-return]  # the state is JSON

    def folder_tree(self, folder: dict[str, Any]) -> dict[str, Any]:
        own = str(folder["id"])
        inside = [f for f in self.state["folders"].values() if str(f["parentFolderId"]) == own]
        lists = [int(x["listId"]) for x in self.state["lists"].values() if x["folder"] == own]
        return {**folder, "childNodes": [self.folder_tree(f) for f in inside], "childLists": lists}

    @route("POST", "/crm/v3/lists/folders")
    def create_folder(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["name"], ["parentFolderId"])
        parent = self.folder(body.get("parentFolderId") or "0")
        number = self.new_id()
        self.state["folders"][number] = {
            "id": int(number),
            "name": body["name"],
            "parentFolderId": parent["id"],
            "createdAt": now(),
        }
        self.effect("folder created", id=number)
        return Reply(201, {"folder": self.folder_tree(self.state["folders"][number])})

    @route("PUT", "/crm/v3/lists/folders/move-list")
    def move_list(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["listId", "newFolderId"])
        found, target = self.live_list(str(body["listId"])), self.folder(str(body["newFolderId"]))
        found["folder"] = str(target["id"])
        return Reply(204)

    @route("DELETE", "/crm/v3/lists/folders/{folderId}")
    def remove_folder(self, call: Incoming) -> Reply:
        tree = self.folder_tree(self.folder(call["folderId"]))
        if tree["childNodes"] or tree["childLists"]:
            raise refusal(400, "VALIDATION_ERROR", "the folder is not empty")
        del self.state["folders"][call["folderId"]]
        return Reply(204)

    @route("PUT", "/crm/v3/lists/folders/{folderId}/rename")
    def rename_folder(self, call: Incoming) -> Reply:
        folder = self.folder(call["folderId"])
        if not call.query.get("newFolderName"):
            raise refusal(400, "VALIDATION_ERROR", "newFolderName is required")
        folder["name"] = call.query["newFolderName"]
        return Reply(200, {"folder": self.folder_tree(folder)})

    @route("PUT", "/crm/v3/lists/folders/{folderId}/move/{newParentFolderId}")
    def move_folder(self, call: Incoming) -> Reply:
        folder, parent = self.folder(call["folderId"]), self.folder(call["newParentFolderId"])
        folder["parentFolderId"] = parent["id"]
        return Reply(200, {"folder": self.folder_tree(folder)})

    # Lists

    def any_list(self, number: str) -> dict[str, Any]:
        found = self.state["lists"].get(number)
        if found is None:
            raise missing(f"List does not exist with ID {number}.")
        return found  # type: ignore[no-any-return]  # the state is JSON

    def live_list(self, number: str) -> dict[str, Any]:
        found = self.any_list(number)
        if found.get("deletedAt"):
            raise missing(f"List does not exist with ID {number}.")
        return found

    def list_shown(self, found: dict[str, Any], filters: bool = False) -> dict[str, Any]:
        more = {"filterBranch": found["filterBranch"]} if filters and "filterBranch" in found else {}
        return {**{name: found[name] for name in SHOWN}, "size": len(found["members"]), **more}

    @route("POST", "/crm/v3/lists")
    def create_list(self, call: Incoming) -> Reply:
        optional = ["filterBranch", "listFolderId", "customProperties"]
        body = shaped(call.body, ["name", "objectTypeId", "processingType"], optional)
        if TYPES.get(body["objectTypeId"], body["objectTypeId"]) not in self.state["records"]:
            raise refusal(400, "VALIDATION_ERROR", f"no such type: {body['objectTypeId']}")
        if body["processingType"] not in ("MANUAL", "DYNAMIC", "SNAPSHOT"):
            raise refusal(400, "VALIDATION_ERROR", f"{body['processingType']} is not a processing type")
        if any(x["name"] == body["name"] and not x.get("deletedAt") for x in self.state["lists"].values()):
            raise refusal(400, "VALIDATION_ERROR", f"a list named {body['name']} exists already")
        number, moment = self.new_id(), now()
        self.state["lists"][number] = {
            **dict.fromkeys(("createdAt", "updatedAt", "filtersUpdatedAt"), moment),
            **{name: body[name] for name in ("name", "objectTypeId", "processingType")},
            "listId": number,
            "processingStatus": "COMPLETE",
            "listVersion": 1,
            "folder": str(body.get("listFolderId") or "0"),
            "members": [],
            **({"filterBranch": body["filterBranch"]} if body.get("filterBranch") else {}),
        }
        self.effect("list created", id=number)
        return Reply(200, {"list": self.list_shown(self.state["lists"][number], True)})

    @route("GET", LIST)
    def get_list(self, call: Incoming) -> Reply:
        shown = self.list_shown(self.live_list(call["listId"]), call.query.get("includeFilters", "").lower() == "true")
        return Reply(200, {"list": shown})

    @route("GET", "/crm/v3/lists/object-type-id/{objectTypeId}/name/{listName}")
    def get_list_by_name(self, call: Incoming) -> Reply:
        kind = TYPES.get(call["objectTypeId"], call["objectTypeId"])
        for found in self.state["lists"].values():
            alike = found["name"] == call["listName"] and TYPES.get(found["objectTypeId"]) == kind
            if alike and not found.get("deletedAt"):
                filters = call.query.get("includeFilters", "").lower() == "true"
                return Reply(200, {"list": self.list_shown(found, filters)})
        raise missing(f"List does not exist with name {call['listName']}.")

    @route("DELETE", LIST)
    def remove_list(self, call: Incoming) -> Reply:
        self.live_list(call["listId"])["deletedAt"] = now()
        self.effect("list deleted", id=call["listId"])
        return Reply(204)

    @route("PUT", LIST + "/restore")
    def restore_list(self, call: Incoming) -> Reply:
        self.any_list(call["listId"]).pop("deletedAt", None)
        return Reply(204)

    @route("PUT", LIST + "/update-list-name")
    def rename_list(self, call: Incoming) -> Reply:
        found = self.live_list(call["listId"])
        if not call.query.get("listName"):
            raise refusal(400, "VALIDATION_ERROR", "listName is required")
        found["name"], found["updatedAt"] = call.query["listName"].strip(), now()
        return Reply(200, {"updatedList": self.list_shown(found)})

    @route("PUT", LIST + "/update-list-filters")
    def filter_list(self, call: Incoming) -> Reply:
        found = self.live_list(call["listId"])
        if found["processingType"] != "DYNAMIC":
            raise refusal(400, "VALIDATION_ERROR", "only DYNAMIC lists have filters")
        found["filterBranch"] = shaped(call.body, ["filterBranch"])["filterBranch"]
        found["filtersUpdatedAt"] = now()
        return Reply(200, {"updatedList": self.list_shown(found, True)})

    # Members

    def manual(self, call: Incoming) -> dict[str, Any]:
        found = self.live_list(call["listId"])
        if found["processingType"] == "DYNAMIC":
            raise refusal(400, "VALIDATION_ERROR", "members of a DYNAMIC list cannot be changed")
        return found

    def change(self, found: dict[str, Any], add: list[str], remove: list[str]) -> dict[str, list[str]]:
        records = self.state["records"][TYPES.get(found["objectTypeId"], found["objectTypeId"])]
        there = [str(r) for r in add if str(r) in records and not records[str(r)]["archived"]]
        joined = [r for r in dict.fromkeys(there) if r not in found["members"]]
        left = [r for r in dict.fromkeys(map(str, remove)) if r in found["members"]]
        found["members"] = sorted(set(found["members"]) - set(left) | set(joined))
        self.effect("members changed", list=found["listId"], joined=joined, left=left)
        lost = [str(r) for r in add if str(r) not in there]
        # Whether HubSpot lists those that were members already is not documented: here it does.
        return {"recordsIdsAdded": there, "recordIdsRemoved": left, "recordIdsMissing": lost}

    def ids(self, call: Incoming) -> list[str]:
        if not isinstance(call.body, list):
            raise refusal(400, "VALIDATION_ERROR", "Invalid input JSON: an array of record ids is required")
        return call.body

    @route("PUT", LIST + "/memberships/add")
    def add_members(self, call: Incoming) -> Reply:
        return Reply(200, self.change(self.manual(call), self.ids(call), []))

    @route("PUT", LIST + "/memberships/remove")
    def remove_members(self, call: Incoming) -> Reply:
        return Reply(200, self.change(self.manual(call), [], self.ids(call)))

    @route("PUT", LIST + "/memberships/add-and-remove")
    def change_members(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["recordIdsToAdd", "recordIdsToRemove"])
        return Reply(200, self.change(self.manual(call), body["recordIdsToAdd"], body["recordIdsToRemove"]))

    @route("PUT", LIST + "/memberships/add-from/{sourceListId}")
    def add_from(self, call: Incoming) -> Reply:
        self.change(self.manual(call), self.live_list(call["sourceListId"])["members"], [])
        return Reply(204)

    @route("DELETE", LIST + "/memberships")
    def empty_list(self, call: Incoming) -> Reply:
        found = self.manual(call)
        self.change(found, [], found["members"])
        return Reply(204)

    @route("GET", LIST + "/memberships")
    def get_members(self, call: Incoming) -> Reply:
        members = self.live_list(call["listId"])["members"]
        start, limit = int(call.query.get("after", 0)), int(call.query.get("limit", 100))
        page = [{"recordId": r, "membershipTimestamp": now()} for r in members[start : start + limit]]
        more = {"paging": {"next": {"after": str(start + limit)}}} if start + limit < len(members) else {}
        return Reply(200, {"results": page, "total": len(members), **more})

    @route("GET", "/crm/v3/lists/records/{objectTypeId}/{recordId}/memberships")
    def get_lists_of(self, call: Incoming) -> Reply:
        kind = TYPES.get(call["objectTypeId"], call["objectTypeId"])
        on = [
            {"listId": x["listId"], "listVersion": 1, "firstAddedTimestamp": now(), "lastAddedTimestamp": now()}
            for x in self.state["lists"].values()
            if call["recordId"] in x["members"] and TYPES.get(x["objectTypeId"]) == kind and not x.get("deletedAt")
        ]
        return Reply(200, {"results": on, "total": len(on)})
