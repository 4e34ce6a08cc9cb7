"""CRM records of every type: single, in batches, merged and deleted for good."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agentguard.sandbox.hubspot.base import Base, batch, listed, member_error, members, missing, now, refusal, shaped
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

STAGES = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist")
SHOWN = {
    "contacts": ("email", "firstname", "lastname"),
    "companies": ("name", "domain"),
    "deals": ("dealname", "amount", "dealstage", "pipeline"),
    "tickets": ("subject", "hs_pipeline", "hs_pipeline_stage"),
}
OBJECTS = "/crm/v3/objects/{objectType}"


class Records(Base):
    """`/crm/v3/objects`."""

    def live(self, kind: str, given: str, by: str | None = None, *, archived: bool = False) -> dict[str, Any]:
        """The record with this id or unique value that is not archived, or that is."""
        for record in self.state["records"][kind].values():
            if by is None or by == "hs_object_id":
                found = record["id"] == given
            else:
                if not self.unique(kind, by):
                    raise refusal(
                        400, "VALIDATION_ERROR", f"Unable to perform read by non-unique {kind} property: {by}"
                    )
                found = record["properties"].get(by) is not None and record["properties"][by] == given.lower()
                found = found or (by == "email" and given.lower() in self.other_addresses(record))
            if found and record["archived"] is archived:
                return record  # type: ignore[no-any-return]  # the state is JSON
        raise missing()

    def other_addresses(self, record: dict[str, Any]) -> list[str]:
        return str(record["properties"].get("hs_additional_emails") or "").lower().split(";")

    def unique(self, kind: str, name: str) -> bool:
        definition = self.state["properties"][kind].get(name)
        return bool(definition and (definition.get("hasUniqueValue") or (kind, name) == ("contacts", "email")))

    def checked(self, kind: str, properties: Any, own: str | None = None) -> dict[str, str]:
        """The values as HubSpot keeps them. Raises what it answers to those that it does not take."""
        if not isinstance(properties, dict):
            raise refusal(400, "VALIDATION_ERROR", "Invalid input JSON: properties must be an object")
        errors, clean = [], {}
        for name, value in properties.items():
            definition = self.state["properties"][kind].get(name)
            if definition is None or definition["archived"]:
                errors.append({"message": f'Property "{name}" does not exist', "code": "PROPERTY_DOESNT_EXIST"})
            elif definition["modificationMetadata"]["readOnlyValue"]:
                errors.append({"message": f'"{name}" is a read only property', "code": "READ_ONLY_VALUE"})
            elif problem := self.problem(definition, value):
                errors.append({"message": f"{name}: {problem}", "code": "INVALID_VALUE"})
            else:
                clean[name] = _normal(definition, value)
        if errors:
            raise refusal(400, "VALIDATION_ERROR", "Property values were not valid", errors=errors)
        for name, value in clean.items():
            if value and self.unique(kind, name):
                for record in self.state["records"][kind].values():
                    if not record["archived"] and record["id"] != own and record["properties"].get(name) == value:
                        word = "Contact" if kind == "contacts" else "Object"
                        raise refusal(409, "CONFLICT", f"{word} already exists. Existing ID: {record['id']}")
        return clean

    def problem(self, definition: dict[str, Any], value: Any) -> str:
        if value is None or value == "":
            return ""
        if not isinstance(value, str | int | float | bool):
            return "a value must be a string"
        options = [option["value"] for option in definition["options"]]
        if definition["type"] == "enumeration" and options and str(value) not in options:
            return f"{value} was not one of the allowed options: {options}"
        if definition["type"] == "number" and not re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
            return f"{value} was not a valid number."
        if definition["name"] == "email" and "@" not in str(value):
            return f"Email address {value} is invalid"
        return ""

    def write(self, kind: str, record: dict[str, Any], clean: dict[str, str]) -> None:
        """Set values, with their history. A lifecycle stage does not move backwards, and HubSpot does not say so."""
        moment = now()
        for name, value in clean.items():
            before = record["properties"].get(name)
            if name == "lifecyclestage" and before in STAGES and value in STAGES:
                value = max(before, value, key=STAGES.index)
            if value:
                record["properties"][name] = value
            else:
                record["properties"].pop(name, None)
            history = record["history"].setdefault(name, [])
            history.insert(0, {"value": value, "timestamp": moment, "sourceType": "INTEGRATION"})
        record["updatedAt"] = moment
        self.effect("record written", type=kind, id=record["id"], properties=sorted(clean))

    def make(self, kind: str, body: Any, extra: tuple[str, ...] = ()) -> dict[str, Any]:
        given = shaped(body, ["properties"], ["associations", *extra])
        clean = self.checked(kind, given["properties"])
        moment = now()
        record = {
            "id": self.new_id(),
            "properties": {},
            "createdAt": moment,
            "updatedAt": moment,
            "archived": False,
            "history": {},
            "source": "INTEGRATION",
        }
        self.state["records"][kind][record["id"]] = record
        self.write(kind, record, clean)
        for entry in given.get("associations") or []:
            link = shaped(entry, ["to", "types"], where="associations")
            self.associate(kind, str(record["id"]), str(link["to"]["id"]), link["types"])
        return record

    def associate(self, kind: str, record: str, other: str, types: Any) -> None:
        """Given by the part that keeps associations."""
        raise NotImplementedError

    def drop_links(self, kind: str, record: str) -> None:
        """Given by the part that keeps associations."""
        raise NotImplementedError

    def shown(self, kind: str, record: dict[str, Any], names: list[str], **more: Any) -> dict[str, Any]:
        """A record as answers show it: the properties that were asked for, null where there is no value."""
        modified = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
        own = {"hs_object_id": record["id"], "createdate": record["createdAt"], modified: record["updatedAt"]}
        own |= {"hs_object_source": record.get("source", "CRM_UI")} if "hs_object_source" in names else {}
        wanted = names or list(SHOWN.get(kind, ()))
        known = [name for name in wanted if name in self.state["properties"][kind]]
        values = {name: record["properties"].get(name) for name in known if name not in own}
        shown = {k: record[k] for k in ("id", "createdAt", "updatedAt", "archived")}
        return {**shown, "properties": {**own, **values}, **more}

    @route("POST", OBJECTS)
    def create_record(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        record = self.make(kind, call.body)
        return Reply(201, self.shown(kind, record, [*record["properties"], *call.body["properties"]]))

    @route("GET", OBJECTS)
    def get_records(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        wanted = call.query.get("archived", "").lower() == "true"
        names = asked(call, "properties")
        found = [r for r in self.state["records"][kind].values() if r["archived"] is wanted]
        return Reply(200, {"results": [self.shown(kind, r, names) for r in found[: int(call.query.get("limit", 10))]]})

    @route("GET", OBJECTS + "/{objectId}")
    def get_record(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        record = self.live(kind, call["objectId"], call.query.get("idProperty"), archived=in_the_bin(call))
        history = asked(call, "propertiesWithHistory")
        more = {"propertiesWithHistory": {n: record["history"].get(n, []) for n in history}} if history else {}
        return Reply(200, self.shown(kind, record, [*asked(call, "properties"), *history], **more))

    @route("PATCH", OBJECTS + "/{objectId}")
    def update_record(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        given = shaped(call.body, ["properties"])["properties"]
        record = self.live(kind, call["objectId"], call.query.get("idProperty"))
        self.write(kind, record, self.checked(kind, given, own=record["id"]))
        return Reply(200, self.shown(kind, record, list(given)))

    @route("DELETE", OBJECTS + "/{objectId}")
    def archive_record(self, call: Incoming) -> Reply:
        self.to_bin(self.kind(call), call["objectId"])
        return Reply(204)

    def to_bin(self, kind: str, record_id: str) -> None:
        """Archive; for what is not there HubSpot answers the same."""
        record = self.state["records"][kind].get(record_id)
        if record is not None and not record["archived"]:
            record["archived"], record["archivedAt"] = True, now()
            self.drop_links(kind, record_id)
            self.effect("record archived", type=kind, id=record_id)

    # Batches

    @route("POST", OBJECTS + "/batch/read")
    def read_batch(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        body = shaped(call.body, ["inputs", "properties"], ["propertiesWithHistory", "idProperty"])
        results, lost = [], []
        for item in members(body["inputs"]):
            given = shaped(item, ["id"])["id"]
            try:
                record = self.live(kind, str(given), body.get("idProperty"), archived=in_the_bin(call))
            except Refuse as refused:
                if refused.reply.status != 404:
                    raise
                lost.append(str(given))
            else:
                results.append(self.shown(kind, record, body["properties"]))
        words = "Could not get some objects, they may be deleted or not exist. Check that ids are valid."
        return batch(results, [member_error("OBJECT_NOT_FOUND", words, ids=lost)] if lost else None)

    @route("POST", OBJECTS + "/batch/create")
    def create_batch(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        made, errors = [], []
        for item in listed(call.body):
            try:
                made.append(self.make(kind, item, ("objectWriteTraceId",)))
            except Refuse as refused:
                if "objectWriteTraceId" not in item:  # without trace ids a batch is made as a whole or not at all
                    raise
                body = refused.reply.body
                trace = {"objectWriteTraceId": [item["objectWriteTraceId"]]}
                errors.append(member_error(body["category"], body["message"], **trace))
        return batch([self.shown(kind, record, list(record["properties"])) for record in made], errors, status=201)

    @route("POST", OBJECTS + "/batch/update")
    def update_batch(self, call: Incoming) -> Reply:
        kind, results, errors = self.kind(call), [], []
        for item in listed(call.body):
            given = shaped(item, ["id", "properties"], ["idProperty", "objectWriteTraceId"])
            try:
                record = self.live(kind, str(given["id"]), given.get("idProperty"))
                self.write(kind, record, self.checked(kind, given["properties"], own=record["id"]))
            except Refuse as refused:
                body = refused.reply.body
                errors.append(member_error(body["category"], body["message"], ids=[str(given["id"])]))
            else:
                results.append(self.shown(kind, record, list(given["properties"])))
        return batch(results, errors)

    @route("POST", OBJECTS + "/batch/upsert")
    def upsert_batch(self, call: Incoming) -> Reply:
        kind, results = self.kind(call), []
        for item in listed(call.body):
            given = shaped(item, ["id", "properties"], ["idProperty", "objectWriteTraceId"])
            by, new = given.get("idProperty"), False
            try:
                record = self.live(kind, str(given["id"]), by)
                self.write(kind, record, self.checked(kind, given["properties"], own=record["id"]))
            except Refuse as refused:
                if refused.reply.status != 404 or by is None:
                    raise
                record, new = self.make(kind, {"properties": {by: given["id"], **given["properties"]}}), True
            results.append(self.shown(kind, record, [*given["properties"], *([by] if by else [])], new=new))
        return batch(results)

    @route("POST", OBJECTS + "/batch/archive")
    def archive_batch(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        for item in listed(call.body):
            self.to_bin(kind, str(shaped(item, ["id"])["id"]))
        return Reply(204)

    # Looking for, merging, deleting for good

    @route("POST", OBJECTS + "/search")
    def search_records(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        body = shaped(call.body, (), ["query", "limit", "after", "sorts", "properties", "filterGroups"])
        # The index lags: a test says by how many seconds.
        lag = float(self.state.get("search_lag", 0.0))
        indexed = [r for r in self.state["records"][kind].values() if seconds_since(r["updatedAt"]) >= lag]
        found = [r for r in indexed if not r["archived"] and _selected(r, body)]
        results = [self.shown(kind, r, body.get("properties") or []) for r in found[: int(body.get("limit") or 10)]]
        return Reply(200, {"total": len(found), "results": results})

    @route("POST", OBJECTS + "/merge")
    def merge_records(self, call: Incoming) -> Reply:
        kind = self.kind(call)
        body = shaped(call.body, ["primaryObjectId", "objectIdToMerge"])
        kept, merged = self.live(kind, body["primaryObjectId"]), self.live(kind, body["objectIdToMerge"])
        self.write(kind, kept, {n: v for n, v in merged["properties"].items() if n not in kept["properties"]})
        del self.state["records"][kind][merged["id"]]
        self.drop_links(kind, merged["id"])
        return Reply(200, self.shown(kind, kept, list(kept["properties"])))

    @route("POST", "/crm/v3/objects/contacts/gdpr-delete")
    def delete_for_good(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["objectId"], ["idProperty"])
        record = self.live("contacts", body["objectId"], body.get("idProperty"))
        del self.state["records"]["contacts"][record["id"]]
        self.drop_links("contacts", record["id"])
        self.effect("contact deleted for good", id=record["id"])
        return Reply(204)


def in_the_bin(call: Incoming) -> bool:
    """Whether archived records are asked for, and no others."""
    return str(call.query.get("archived", "")).lower() == "true"


def seconds_since(when: str | float) -> float:
    """How long ago a time was: one of HubSpot's, or seconds since 1970."""
    moment = datetime.fromisoformat(when).timestamp() if isinstance(when, str) else when
    return datetime.now(UTC).timestamp() - moment


def asked(call: Incoming, name: str) -> list[str]:
    """The names in a query: repeated, or with commas between them."""
    pairs = parse_qsl(urlsplit(call.target).query)
    return [part for key, value in pairs if key == name for part in value.split(",") if part]


def _normal(definition: dict[str, Any], value: Any) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text.lower() if definition["name"] == "email" else text


def _selected(record: dict[str, Any], body: dict[str, Any]) -> bool:
    text = body.get("query")
    if text and not any(str(text).lower() in str(value).lower() for value in record["properties"].values()):
        return False
    groups = body.get("filterGroups") or []
    return not groups or any(all(_passes(record, one) for one in shaped(g, ["filters"])["filters"]) for g in groups)


def _passes(record: dict[str, Any], one: dict[str, Any]) -> bool:
    shaped(one, ["propertyName", "operator"], ["value", "values", "highValue"])
    own = {"hs_object_source": record.get("source", "CRM_UI")}
    own |= dict.fromkeys(("createdate", "hs_createdate"), record["createdAt"])
    value = {**record["properties"], **own}.get(one["propertyName"])
    match one["operator"]:
        case "EQ":
            return bool(value == one["value"])
        case "GTE":
            return value is not None and seconds_since(value) <= seconds_since(float(one["value"]) / 1000)
        case "NEQ":
            return bool(value != one["value"])
        case "HAS_PROPERTY":
            return value is not None
        case "NOT_HAS_PROPERTY":
            return value is None
        case "IN":
            return value in one["values"]
        case "CONTAINS_TOKEN":
            return str(one["value"]).strip("*").lower() in str(value or "").lower()
        case other:
            raise refusal(400, "VALIDATION_ERROR", f"the stand-in knows no operator {other}")
