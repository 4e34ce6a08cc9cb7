"""Properties, their groups, pipelines and stages."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.hubspot.base import Base, batch, listed, member_error, missing, now, refusal, shaped
from agentguard.sandbox.hubspot.seed import definition, group, stage
from agentguard.sandbox.server import Incoming, Reply, route

PROPERTIES = "/crm/v3/properties/{objectType}"
PIPELINES = "/crm/v3/pipelines/{objectType}"
CREATED = ["name", "label", "type", "fieldType", "groupName"]
OPTIONAL = [
    "description",
    "options",
    "displayOrder",
    "hidden",
    "formField",
    "hasUniqueValue",
    "calculationFormula",
    "referencedObjectType",
    "externalOptions",
]
UPDATED = [*CREATED[1:], "description", "options", "displayOrder", "hidden", "formField", "calculationFormula"]


class Schema(Base):
    """`/crm/v3/properties` and `/crm/v3/pipelines`."""

    # Groups come first: their paths would be taken for those of a property called "groups".

    @route("GET", PROPERTIES + "/groups")
    def get_groups(self, call: Incoming) -> Reply:
        found = self.state["groups"][self.kind(call)].values()
        return Reply(200, {"results": [g for g in found if not g["archived"]]})

    @route("POST", PROPERTIES + "/groups")
    def create_group(self, call: Incoming) -> Reply:
        kind, body = self.kind(call), shaped(call.body, ["name", "label"], ["displayOrder"])
        known = self.state["groups"][kind].get(body["name"])
        if known and not known["archived"]:
            raise refusal(409, "OBJECT_ALREADY_EXISTS", f"Property group {body['name']} already exists")
        self.state["groups"][kind][body["name"]] = {**group(body["name"]), "displayOrder": -1, **body}
        self.effect("group created", name=body["name"])
        return Reply(201, self.state["groups"][kind][body["name"]])

    def live_group(self, call: Incoming) -> dict[str, Any]:
        found = self.state["groups"][self.kind(call)].get(call["groupName"])
        if found is None or found["archived"]:
            raise missing()
        return found  # type: ignore[no-any-return]  # the state is JSON

    @route("GET", PROPERTIES + "/groups/{groupName}")
    def get_group(self, call: Incoming) -> Reply:
        return Reply(200, self.live_group(call))

    @route("PATCH", PROPERTIES + "/groups/{groupName}")
    def update_group(self, call: Incoming) -> Reply:
        found = self.live_group(call)
        found.update(shaped(call.body, (), ["label", "displayOrder"]))
        return Reply(200, found)

    @route("DELETE", PROPERTIES + "/groups/{groupName}")
    def archive_group(self, call: Incoming) -> Reply:
        found = self.state["groups"][self.kind(call)].get(call["groupName"])
        if found:
            found["archived"] = True
        return Reply(204)

    # Properties

    @route("GET", PROPERTIES)
    def get_properties(self, call: Incoming) -> Reply:
        wanted = call.query.get("archived", "").lower() == "true"
        found = self.state["properties"][self.kind(call)].values()
        return Reply(200, {"results": [d for d in found if d["archived"] is wanted]})

    def define(self, kind: str, given: Any) -> dict[str, Any]:
        body = shaped(given, CREATED, OPTIONAL)
        known = self.state["properties"][kind].get(body["name"])
        if known and not known["archived"]:
            raise refusal(409, "OBJECT_ALREADY_EXISTS", f"A property named '{body['name']}' already exists.")
        if body["groupName"] not in self.state["groups"][kind]:
            raise refusal(400, "VALIDATION_ERROR", f"Property group {body['groupName']} does not exist")
        made = {**definition(body["name"]), "hubspotDefined": False, "createdAt": now(), **body}
        self.state["properties"][kind][body["name"]] = made
        self.effect("property created", type=kind, name=body["name"])
        return made

    def live_property(self, kind: str, name: str) -> dict[str, Any]:
        found = self.state["properties"][kind].get(name)
        if found is None or found["archived"]:
            raise missing(f"Property {name} does not exist")
        return found  # type: ignore[no-any-return]  # the state is JSON

    @route("POST", PROPERTIES)
    def create_property(self, call: Incoming) -> Reply:
        return Reply(201, self.define(self.kind(call), call.body))

    @route("GET", PROPERTIES + "/{propertyName}")
    def get_property(self, call: Incoming) -> Reply:
        kind, name = self.kind(call), call["propertyName"]
        if call.query.get("archived", "").lower() == "true":
            found = self.state["properties"][kind].get(name)
            if found is None or not found["archived"]:
                raise missing(f"Property {name} does not exist")
            return Reply(200, found)
        return Reply(200, self.live_property(kind, name))

    @route("PATCH", PROPERTIES + "/{propertyName}")
    def update_property(self, call: Incoming) -> Reply:
        found = self.live_property(self.kind(call), call["propertyName"])
        body = shaped(call.body, (), UPDATED)
        for option in body.get("options") or []:
            shaped(option, ["label", "value", "hidden"], ["description", "displayOrder"])
        found.update(body)
        return Reply(200, found)

    @route("DELETE", PROPERTIES + "/{propertyName}")
    def archive_property(self, call: Incoming) -> Reply:
        self.to_bin_property(self.kind(call), call["propertyName"])
        return Reply(204)

    def to_bin_property(self, kind: str, name: str) -> None:
        """Archive; for what is not there HubSpot answers the same. The values go with it."""
        found = self.state["properties"][kind].get(name)
        if found:
            found["archived"] = True
            for record in self.state["records"][kind].values():
                record["properties"].pop(name, None)

    @route("POST", PROPERTIES + "/batch/create")
    def create_properties(self, call: Incoming) -> Reply:
        return batch([self.define(self.kind(call), item) for item in listed(call.body)], status=201)

    @route("POST", PROPERTIES + "/batch/read")
    def read_properties(self, call: Incoming) -> Reply:
        kind, body, results, lost = self.kind(call), shaped(call.body, ["inputs", "archived"]), [], []
        for item in body["inputs"]:
            found = self.state["properties"][kind].get(shaped(item, ["name"])["name"])
            if found and found["archived"] is body["archived"]:
                results.append(found)
            else:
                lost.append(item["name"])
        return batch(results, [member_error("OBJECT_NOT_FOUND", "no such property", name=lost)] if lost else None)

    @route("POST", PROPERTIES + "/batch/archive")
    def archive_properties(self, call: Incoming) -> Reply:
        for item in listed(call.body):
            self.to_bin_property(self.kind(call), shaped(item, ["name"])["name"])
        return Reply(204)

    # Pipelines

    def pipelines(self, call: Incoming) -> dict[str, Any]:
        kind = self.kind(call)
        if kind not in self.state["pipelines"]:
            raise refusal(400, "VALIDATION_ERROR", f"{kind} have no pipelines")
        return self.state["pipelines"][kind]  # type: ignore[no-any-return]  # the state is JSON

    def pipeline(self, call: Incoming, *, archived: bool = False) -> dict[str, Any]:
        found = self.pipelines(call).get(call["pipelineId"])
        if found is None or (found["archived"] and not archived):
            raise missing()
        return found  # type: ignore[no-any-return]  # the state is JSON

    def staged(self, given: Any) -> list[dict[str, Any]]:
        made = []
        for item in given:
            body = shaped(item, ["label", "displayOrder"], ["metadata"])
            one = stage(self.new_id(), body["label"], body["displayOrder"], body.get("metadata") or {})
            made.append({**one, **dict.fromkeys(("createdAt", "updatedAt"), now())})
        return made

    @route("GET", PIPELINES)
    def get_pipelines(self, call: Incoming) -> Reply:
        return Reply(200, {"results": [_live(p) for p in self.pipelines(call).values() if not p["archived"]]})

    @route("POST", PIPELINES)
    def create_pipeline(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["label", "displayOrder", "stages"])
        number, moment = self.new_id(), now()
        made = {**body, "id": number, "stages": self.staged(body["stages"]), "archived": False}
        self.pipelines(call)[number] = {**made, "createdAt": moment, "updatedAt": moment}
        self.effect("pipeline created", id=number)
        return Reply(201, self.pipelines(call)[number])

    @route("GET", PIPELINES + "/{pipelineId}")
    def get_pipeline(self, call: Incoming) -> Reply:
        return Reply(200, _live(self.pipeline(call)))

    @route("PATCH", PIPELINES + "/{pipelineId}")
    def update_pipeline(self, call: Incoming) -> Reply:
        body = shaped(call.body, (), ["label", "displayOrder", "archived"])
        found = self.pipeline(call, archived="archived" in body)
        _restored(found, body)
        found.update(body)
        return Reply(200, _live(found))

    @route("PUT", PIPELINES + "/{pipelineId}")
    def replace_pipeline(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["label", "displayOrder", "stages"])
        found = self.pipeline(call)
        found.update({**body, "stages": self.staged(body["stages"])})
        return Reply(200, _live(found))

    @route("DELETE", PIPELINES + "/{pipelineId}")
    def archive_pipeline(self, call: Incoming) -> Reply:
        self.pipeline(call).update({"archived": True, "archivedAt": now()})
        return Reply(204)

    def stage(self, call: Incoming, *, archived: bool = False) -> dict[str, Any]:
        for found in self.pipeline(call)["stages"]:
            if found["id"] == call["stageId"] and (archived or not found["archived"]):
                return found  # type: ignore[no-any-return]  # the state is JSON
        raise missing()

    @route("GET", PIPELINES + "/{pipelineId}/stages")
    def get_stages(self, call: Incoming) -> Reply:
        return Reply(200, {"results": _live(self.pipeline(call))["stages"]})

    @route("POST", PIPELINES + "/{pipelineId}/stages")
    def create_stage(self, call: Incoming) -> Reply:
        made = self.staged([call.body])
        self.pipeline(call)["stages"] += made
        return Reply(201, made[0])

    @route("GET", PIPELINES + "/{pipelineId}/stages/{stageId}")
    def get_stage(self, call: Incoming) -> Reply:
        return Reply(200, self.stage(call))

    @route("PATCH", PIPELINES + "/{pipelineId}/stages/{stageId}")
    def update_stage(self, call: Incoming) -> Reply:
        body = shaped(call.body, (), ["label", "displayOrder", "metadata", "archived"])
        found = self.stage(call, archived="archived" in body)
        _restored(found, body)
        found.update(body)
        return Reply(200, found)

    @route("PUT", PIPELINES + "/{pipelineId}/stages/{stageId}")
    def replace_stage(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["label", "displayOrder"], ["metadata"])
        found = self.stage(call)
        found.update({"metadata": {}, **body})
        return Reply(200, found)

    @route("DELETE", PIPELINES + "/{pipelineId}/stages/{stageId}")
    def archive_stage(self, call: Incoming) -> Reply:
        self.stage(call).update({"archived": True, "archivedAt": now()})
        return Reply(204)


def _live(pipeline: dict[str, Any]) -> dict[str, Any]:
    return {**pipeline, "stages": [s for s in pipeline["stages"] if not s["archived"]]}


def _restored(found: dict[str, Any], body: dict[str, Any]) -> None:
    """`archived` is for restoring only, and refused for anything else."""
    if "archived" in body:
        if body["archived"] is not False or not found["archived"]:
            raise refusal(400, "VALIDATION_ERROR", "archived may only be given to restore what is archived")
        found.pop("archivedAt", None)
