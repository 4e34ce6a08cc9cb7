"""Associations between records, in versions 4 and 3, and the definitions of labels.

Between two records there is HubSpot's own unlabeled type and any number of labels, each seen from both sides under a
number of its own. A contact, deal or ticket has one primary company. Deleting the unlabeled type deletes all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentguard.sandbox.hubspot.base import Base, batch, listed, member_error, missing, now, refusal, shaped
from agentguard.sandbox.server import Incoming, Reply, route

UNLABELED = {
    ("contacts", "contacts"): 449,
    ("companies", "companies"): 450,
    ("deals", "deals"): 451,
    ("tickets", "tickets"): 452,
    ("contacts", "companies"): 279,
    ("companies", "contacts"): 280,
    ("contacts", "deals"): 4,
    ("deals", "contacts"): 3,
    ("contacts", "tickets"): 15,
    ("tickets", "contacts"): 16,
    ("companies", "deals"): 342,
    ("deals", "companies"): 341,
    ("companies", "tickets"): 340,
    ("tickets", "companies"): 339,
    ("deals", "tickets"): 27,
    ("tickets", "deals"): 28,
}
PRIMARY = {
    ("contacts", "companies"): 1,
    ("companies", "contacts"): 2,
    ("deals", "companies"): 5,
    ("companies", "deals"): 6,
    ("tickets", "companies"): 26,
    ("companies", "tickets"): 25,
}
for _kind, _numbers in {
    "notes": (201, 202, 189, 190, 213, 214, 227, 228),
    "tasks": (203, 204, 191, 192, 215, 216, 229, 230),
    "calls": (193, 194, 181, 182, 205, 206, 219, 220),
    "emails": (197, 198, 185, 186, 209, 210, 223, 224),
    "meetings": (199, 200, 187, 188, 211, 212, 225, 226),
}.items():
    for _at, _core in enumerate(("contacts", "companies", "deals", "tickets")):
        UNLABELED[_core, _kind], UNLABELED[_kind, _core] = _numbers[2 * _at], _numbers[2 * _at + 1]

SINGULAR = {"companies": "company"}
V4 = "/crm/v4/associations/{fromObjectType}/{toObjectType}"
PAIR = "/associations/{toObjectType}/{toObjectId}"


class Associations(Base):
    """`/crm/v4/associations`, `/crm/v3/associations` and what creating records uses of them."""

    def link(self, kinds: tuple[str, str], record: str, other: str) -> list[str]:
        """The types between two records as the first one sees them: a list of the state's own."""
        return self.state["links"].get("/".join((kinds[0], record, kinds[1], other)), [])  # type: ignore[no-any-return]  # JSON

    def associate(self, kind: str, record: str, other: str, types: Any, to_kind: str = "") -> None:
        """Put types between two records that exist, from both sides."""
        keys = [self.key(spec) for spec in types]
        to_kind = to_kind or next((t for t in self.state["records"] if other in self.state["records"][t]), "")
        kinds = (kind, to_kind)
        if kinds not in UNLABELED:
            raise refusal(400, "VALIDATION_ERROR", f"no association is defined between {kind} and {to_kind}")
        for number, side in ((record, kind), (other, to_kind)):
            found = self.state["records"][side].get(number)
            if found is None or found["archived"]:
                raise missing(f"{side} {number} does not exist")
        for key in keys:
            if self.inverse(kinds, key) is None:
                raise refusal(400, "VALIDATION_ERROR", f"the type {key} is not defined between {kind} and {to_kind}")
        own, primary = f"HUBSPOT_DEFINED/{UNLABELED[kinds]}", f"HUBSPOT_DEFINED/{PRIMARY.get(kinds)}"
        if kinds[1] == "companies" and kinds in PRIMARY and not self.holder(kinds, record, primary):
            keys = [*keys, primary]
        if primary in keys:
            self.demote(kinds, record, other, primary)
        for key in dict.fromkeys([own, *keys]):
            self.put(kinds, record, other, key)
        self.effect("associated", pair=[kind, record, to_kind, other], types=keys)

    def holder(self, kinds: tuple[str, str], record: str, key: str) -> str | None:
        return next((other for other, types in self.linked(kinds, record) if key in types), None)

    def demote(self, kinds: tuple[str, str], record: str, other: str, key: str) -> None:
        """Take the primary type from whoever holds it."""
        if kinds[1] != "companies":  # seen from the company: the other record is the one that has a primary one
            kinds, record, other, key = (kinds[1], kinds[0]), other, record, self.inverse(kinds, key) or ""
        former = self.holder(kinds, record, key)
        if former and former != other:
            self.take(kinds, record, former, key)

    def linked(self, kinds: tuple[str, str], record: str) -> Iterator[tuple[str, list[str]]]:
        start = "/".join((kinds[0], record, kinds[1], ""))
        for place, types in self.state["links"].items():
            if place.startswith(start) and types:
                yield place.removeprefix(start), types

    def put(self, kinds: tuple[str, str], record: str, other: str, key: str) -> None:
        back = self.inverse(kinds, key)
        for place, name in (((*kinds, record, other), key), ((kinds[1], kinds[0], other, record), back)):
            types = self.state["links"].setdefault("/".join((place[0], place[2], place[1], place[3])), [])
            if name and name not in types:
                types.append(name)
                types.sort()

    def take(self, kinds: tuple[str, str], record: str, other: str, key: str | None = None) -> None:
        """Take one type, or all, from between two records."""
        all_of_it = key is None or key == f"HUBSPOT_DEFINED/{UNLABELED.get(kinds)}"
        for place, name in (
            ("/".join((kinds[0], record, kinds[1], other)), key),
            ("/".join((kinds[1], other, kinds[0], record)), key and self.inverse(kinds, key)),
        ):
            types = [] if all_of_it else [t for t in self.state["links"].get(place, []) if t != name]
            if types:
                self.state["links"][place] = types
            else:
                self.state["links"].pop(place, None)

    def drop_links(self, kind: str, record: str) -> None:
        for place in list(self.state["links"]):
            parts = place.split("/")
            if (parts[0], parts[1]) == (kind, record) or (parts[2], parts[3]) == (kind, record):
                del self.state["links"][place]

    def key(self, spec: Any) -> str:
        shaped(spec, ["associationCategory", "associationTypeId"], where="types")
        return f"{spec['associationCategory']}/{spec['associationTypeId']}"

    def inverse(self, kinds: tuple[str, str], key: str) -> str | None:
        category, _, number = key.partition("/")
        if category == "USER_DEFINED":
            found = self.state["labels"].get(">".join(kinds), {}).get(number)
            return f"USER_DEFINED/{found['inverse']}" if found else None
        for table in (UNLABELED, PRIMARY):
            if str(table.get(kinds)) == number:
                return f"HUBSPOT_DEFINED/{table[kinds[1], kinds[0]]}"
        return None

    def label(self, kinds: tuple[str, str], key: str) -> str | None:
        category, _, number = key.partition("/")
        if category == "USER_DEFINED":
            return self.state["labels"][">".join(kinds)][number]["label"]  # type: ignore[no-any-return]  # JSON
        return "Primary" if number == str(PRIMARY.get(kinds)) else None

    def kinds(self, call: Incoming, first: str = "fromObjectType") -> tuple[str, str]:
        return self.kind(call, first), self.kind(call, "toObjectType")

    def entries(self, kinds: tuple[str, str], record: str) -> list[dict[str, Any]]:
        return [
            {
                "toObjectId": int(other),
                "associationTypes": [
                    {"category": key.split("/")[0], "typeId": int(key.split("/")[1]), "label": self.label(kinds, key)}
                    for key in types
                ],
            }
            for other, types in sorted(self.linked(kinds, record))
        ]

    # One pair

    @route("GET", "/crm/v4/objects/{objectType}/{objectId}/associations/{toObjectType}")
    def get_links(self, call: Incoming) -> Reply:
        entries = self.entries(self.kinds(call, "objectType"), call["objectId"])
        start, limit = int(call.query.get("after", 0)), int(call.query.get("limit", 500))
        body: dict[str, Any] = {"results": entries[start : start + limit]}
        if start + limit < len(entries):
            body["paging"] = {"next": {"after": str(start + limit)}}
        return Reply(200, body)

    @route("PUT", "/crm/v4/objects/{fromObjectType}/{fromObjectId}/associations/default/{toObjectType}/{toObjectId}")
    def put_default(self, call: Incoming) -> Reply:
        kinds = self.kinds(call)
        self.associate(kinds[0], call["fromObjectId"], call["toObjectId"], [], kinds[1])
        return batch([self.plain_link(kinds, call["fromObjectId"], call["toObjectId"])])

    def plain_link(self, kinds: tuple[str, str], record: str, other: str) -> dict[str, Any]:
        spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": UNLABELED[kinds]}
        return {"from": {"id": record}, "to": {"id": other}, "associationSpec": spec}

    @route("PUT", "/crm/v4/objects/{objectType}/{objectId}" + PAIR)
    def put_link(self, call: Incoming) -> Reply:
        kinds = self.kinds(call, "objectType")
        if not isinstance(call.body, list):
            raise refusal(400, "VALIDATION_ERROR", "Invalid input JSON: an array of types is required")
        self.associate(kinds[0], call["objectId"], call["toObjectId"], call.body, kinds[1])
        return Reply(201, self.labeled(kinds, call["objectId"], call["toObjectId"]))

    def labeled(self, kinds: tuple[str, str], record: str, other: str) -> dict[str, Any]:
        labels = [self.label(kinds, key) for key in self.link(kinds, record, other)]
        return {
            "fromObjectTypeId": kinds[0],
            "fromObjectId": record,
            "toObjectTypeId": kinds[1],
            "toObjectId": other,
            "labels": [label for label in labels if label],
        }

    @route("DELETE", "/crm/v4/objects/{objectType}/{objectId}" + PAIR)
    def delete_link(self, call: Incoming) -> Reply:
        self.take(self.kinds(call, "objectType"), call["objectId"], call["toObjectId"])
        self.effect("taken apart", record=call["objectId"], other=call["toObjectId"])
        return Reply(204)

    # Many pairs

    @route("POST", V4 + "/batch/read")
    def read_links(self, call: Incoming) -> Reply:
        kinds, results, errors = self.kinds(call), [], []
        for item in listed(call.body, 1000):
            record = str(shaped(item, ["id"], ["after"])["id"])
            entries = self.entries(kinds, record)
            if entries:
                results.append({"from": {"id": record}, "to": entries})
            else:
                words = f"No {kinds[1]} is associated with {kinds[0]} {record}."
                errors.append(member_error("OBJECT_NOT_FOUND", words, fromObjectId=[record]))
        return batch(results, errors)

    @route("POST", V4 + "/batch/create")
    def create_links(self, call: Incoming) -> Reply:
        kinds, results = self.kinds(call), []
        for item in listed(call.body, 2000):
            pair = shaped(item, ["from", "to", "types"])
            self.associate(kinds[0], pair["from"]["id"], pair["to"]["id"], pair["types"], kinds[1])
            results.append(self.labeled(kinds, pair["from"]["id"], pair["to"]["id"]))
        return batch(results, status=201)

    @route("POST", V4 + "/batch/associate/default")
    def create_defaults(self, call: Incoming) -> Reply:
        kinds, results = self.kinds(call), []
        for item in listed(call.body, 2000):
            pair = shaped(item, ["from", "to"])
            self.associate(kinds[0], pair["from"]["id"], pair["to"]["id"], [], kinds[1])
            results.append(self.plain_link(kinds, pair["from"]["id"], pair["to"]["id"]))
        return batch(results)

    @route("POST", V4 + "/batch/archive")
    def archive_links(self, call: Incoming) -> Reply:
        kinds = self.kinds(call)
        for item in listed(call.body, 2000):
            pair = shaped(item, ["from", "to"])
            for to in pair["to"]:
                self.take(kinds, pair["from"]["id"], to["id"])
        return Reply(204)

    @route("POST", V4 + "/batch/labels/archive")
    def archive_labels(self, call: Incoming) -> Reply:
        kinds = self.kinds(call)
        for item in listed(call.body, 2000):
            pair = shaped(item, ["from", "to", "types"])
            for spec in pair["types"]:
                self.take(kinds, pair["from"]["id"], pair["to"]["id"], self.key(spec))
        return Reply(204)

    # Definitions of labels

    @route("GET", V4 + "/labels")
    def get_labels(self, call: Incoming) -> Reply:
        return Reply(200, {"results": self.defined(self.kinds(call))})

    def defined(self, kinds: tuple[str, str]) -> list[dict[str, Any]]:
        own = {"category": "HUBSPOT_DEFINED", "typeId": UNLABELED[kinds], "label": None}
        labels = self.state["labels"].get(">".join(kinds), {})
        return [own, *({"category": "USER_DEFINED", "typeId": int(n), "label": x["label"]} for n, x in labels.items())]

    @route("POST", V4 + "/labels")
    def define_label(self, call: Incoming) -> Reply:
        kinds = self.kinds(call)
        body = shaped(call.body, ["label", "name"], ["inverseLabel"])
        number, inverse = self.new_id(), self.new_id()
        for pair, own, other, text in (
            (kinds, number, inverse, body["label"]),
            ((kinds[1], kinds[0]), inverse, number, body.get("inverseLabel") or body["label"]),
        ):
            self.state["labels"].setdefault(">".join(pair), {})[own] = {"label": text, "inverse": other}
        return Reply(200, {"results": [x for x in self.defined(kinds) if str(x["typeId"]) == number]})

    @route("PUT", V4 + "/labels")
    def rename_label(self, call: Incoming) -> Reply:
        body = shaped(call.body, ["associationTypeId", "label"], ["inverseLabel"])
        labels = self.state["labels"].get(">".join(self.kinds(call)), {})
        if str(body["associationTypeId"]) not in labels:
            raise missing()
        labels[str(body["associationTypeId"])]["label"] = body["label"]
        return Reply(204)

    @route("DELETE", V4 + "/labels/{associationTypeId}")
    def remove_label(self, call: Incoming) -> Reply:
        kinds, number = self.kinds(call), call["associationTypeId"]
        removed = self.state["labels"].get(">".join(kinds), {}).pop(number, None)
        if removed:
            key, inverse = f"USER_DEFINED/{number}", f"USER_DEFINED/{removed['inverse']}"
            self.state["labels"][f"{kinds[1]}>{kinds[0]}"].pop(removed["inverse"], None)
            for types in self.state["links"].values():
                types[:] = [t for t in types if t not in (key, inverse)]
        return Reply(204)

    # Version 3: types have names

    def names(self, kinds: tuple[str, str], key: str) -> str:
        words = "_to_".join(SINGULAR.get(kind, kind.rstrip("s")) for kind in kinds)
        if key == f"HUBSPOT_DEFINED/{PRIMARY.get(kinds)}":
            return words
        if key == f"HUBSPOT_DEFINED/{UNLABELED[kinds]}":
            return words + ("_unlabeled" if kinds in PRIMARY else "")
        return str(self.label(kinds, key)).lower().replace(" ", "_")

    def by_name(self, kinds: tuple[str, str], name: str) -> str:
        numbers = [UNLABELED[kinds], *([PRIMARY[kinds]] if kinds in PRIMARY else [])]
        keys = [f"HUBSPOT_DEFINED/{n}" for n in numbers]
        keys += [f"USER_DEFINED/{n}" for n in self.state["labels"].get(">".join(kinds), {})]
        for key in keys:
            if self.names(kinds, key) == name:
                return key
        raise refusal(400, "VALIDATION_ERROR", f"{name} is not a valid association type")

    @route("POST", "/crm/v3/associations/{fromObjectType}/{toObjectType}/batch/read")
    def read_named(self, call: Incoming) -> Reply:
        kinds, results, errors = self.kinds(call), [], []
        for item in listed(call.body, 1000):
            record = str(shaped(item, ["id"])["id"])
            to = [
                {"id": other, "type": self.names(kinds, key)}
                for other, types in sorted(self.linked(kinds, record))
                for key in types
            ]
            if to:
                results.append({"from": {"id": record}, "to": to})
            else:
                errors.append(member_error("OBJECT_NOT_FOUND", f"No associations of {record}", fromObjectId=[record]))
        return batch(results, errors)

    @route("POST", "/crm/v3/associations/{fromObjectType}/{toObjectType}/batch/create")
    def create_named(self, call: Incoming) -> Reply:
        kinds, results = self.kinds(call), []
        for item in listed(call.body, 2000):
            pair = shaped(item, ["from", "to", "type"])
            category, _, number = self.by_name(kinds, pair["type"]).partition("/")
            spec = {"associationCategory": category, "associationTypeId": int(number)}
            self.associate(kinds[0], pair["from"]["id"], pair["to"]["id"], [spec], kinds[1])
            results.append(pair)
        return Reply(201, {"status": "COMPLETE", "results": results, "startedAt": now(), "completedAt": now()})

    @route("POST", "/crm/v3/associations/{fromObjectType}/{toObjectType}/batch/archive")
    def archive_named(self, call: Incoming) -> Reply:
        kinds = self.kinds(call)
        for item in listed(call.body, 2000):
            pair = shaped(item, ["from", "to", "type"])
            self.take(kinds, pair["from"]["id"], pair["to"]["id"], self.by_name(kinds, pair["type"]))
        return Reply(204)
