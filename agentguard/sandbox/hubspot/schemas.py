"""Definitions of custom objects."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.hubspot.base import Base, missing, now, refusal, shaped
from agentguard.sandbox.hubspot.seed import definition
from agentguard.sandbox.server import Incoming, Reply, route

SCHEMAS = "/crm-object-schemas/v3/schemas"
OPTIONAL = ["description", "searchableProperties", "primaryDisplayProperty", "secondaryDisplayProperties"]


class Schemas(Base):
    """`/crm-object-schemas/v3/schemas`."""

    def schema(self, call: Incoming) -> dict[str, Any]:
        for found in self.state["schemas"].values():
            if call["objectType"] in (found["objectTypeId"], found["fullyQualifiedName"]) and not found["archived"]:
                return found  # type: ignore[no-any-return]  # the state is JSON
        raise missing(f"Unable to infer object type from: {call['objectType']}")

    @route("GET", SCHEMAS)
    def get_schemas(self, call: Incoming) -> Reply:
        return Reply(200, {"results": [s for s in self.state["schemas"].values() if not s["archived"]]})

    @route("POST", SCHEMAS)
    def create_schema(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["name", "labels", "properties", "requiredProperties", "associatedObjects"], OPTIONAL)
        if any(s["name"] == body["name"] for s in self.state["schemas"].values()):
            raise refusal(400, "VALIDATION_ERROR", f"The object type {body['name']} already exists, perhaps archived")
        number = f"2-{self.new_id()}"
        own = {}
        for item in body["properties"]:
            own[item["name"]] = {**definition(item["name"]), "hubspotDefined": False, **item}
        made = {
            "id": number.removeprefix("2-"),
            "objectTypeId": number,
            "fullyQualifiedName": f"p1_{body['name']}",
            "archived": False,
            "createdAt": now(),
            "updatedAt": now(),
            "associations": [self.ends(number, other, None) for other in body["associatedObjects"]],
            **{name: value for name, value in body.items() if name not in ("properties", "associatedObjects")},
            "properties": list(own.values()),
        }
        self.state["schemas"][number] = made
        self.state["records"][number], self.state["properties"][number] = {}, own
        self.effect("type defined", id=number)
        return Reply(201, made)

    def ends(self, own: str, other: str, name: str | None) -> dict[str, Any]:
        made = {"id": self.new_id(), "fromObjectTypeId": own, "toObjectTypeId": other, "createdAt": now()}
        return {**made, **({"name": name} if name else {})}

    @route("GET", SCHEMAS + "/{objectType}")
    def get_schema(self, call: Incoming) -> Reply:
        return Reply(200, self.schema(call))

    @route("PATCH", SCHEMAS + "/{objectType}")
    def update_schema(self, call: Incoming) -> Reply:
        body = shaped(call.body, (), [*OPTIONAL, "labels", "requiredProperties", "clearDescription", "restorable"])
        found = self.schema(call)
        if body.pop("clearDescription", False):
            found.pop("description", None)
        body.pop("restorable", None)
        found.update(body)
        shown = {name: value for name, value in found.items() if name not in ("associations", "properties")}
        return Reply(200, shown)

    @route("DELETE", SCHEMAS + "/{objectType}")
    def archive_schema(self, call: Incoming) -> Reply:
        found = self.schema(call)
        if any(not record["archived"] for record in self.state["records"][found["objectTypeId"]].values()):
            raise refusal(400, "VALIDATION_ERROR", "there are records of this type; they must be deleted first")
        found["archived"] = True
        return Reply(204)

    @route("POST", SCHEMAS + "/{objectType}/associations")
    def create_schema_association(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["fromObjectTypeId", "toObjectTypeId"], ["name"])
        made = self.ends(body["fromObjectTypeId"], body["toObjectTypeId"], body.get("name"))
        self.schema(call)["associations"].append(made)
        return Reply(201, made)

    @route("DELETE", SCHEMAS + "/{objectType}/associations/{associationIdentifier}")
    def archive_schema_association(self, call: Incoming) -> Reply:
        found = self.schema(call)
        found["associations"] = [a for a in found["associations"] if a["id"] != call["associationIdentifier"]]
        return Reply(204)
