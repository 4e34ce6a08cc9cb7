"""The state to begin with: a small sales team, its records, lists, properties and pipelines."""

from __future__ import annotations

from typing import Any

BEGUN = "2026-01-05T09:00:00.000Z"

FIELDS: dict[str, tuple[str, ...]] = {
    "contacts": (
        "email",
        "firstname",
        "lastname",
        "phone",
        "city",
        "jobtitle",
        "company",
        "hs_additional_emails",
        "lifecyclestage=subscriber,lead,marketingqualifiedlead,salesqualifiedlead,opportunity,customer,evangelist",
    ),
    "companies": ("name", "domain", "city", "industry", "numberofemployees:number", "lifecyclestage=lead,customer"),
    "deals": ("dealname", "amount:number", "dealstage", "pipeline", "closedate"),
    "tickets": ("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority=LOW,MEDIUM,HIGH"),
    "notes": ("hs_note_body", "hs_timestamp"),
    "tasks": ("hs_task_subject", "hs_task_body", "hs_task_status=NOT_STARTED,COMPLETED", "hs_timestamp"),
    "calls": ("hs_call_title", "hs_call_body", "hs_timestamp"),
    "emails": ("hs_email_subject", "hs_email_text", "hs_timestamp"),
    "meetings": ("hs_meeting_title", "hs_meeting_body", "hs_timestamp"),
    "products": ("name", "price:number", "hs_sku"),
    "line_items": ("name", "quantity:number", "price:number"),
    "2-1001": ("onboarding_name", "start_date", "badge!"),
}
"""The properties of each type: `:type`, `=options` of an enumeration, `!` for one whose values are unique."""

RECORDS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "contacts": [
        ("101", {"email": "ada@example.com", "firstname": "Ada", "city": "London", "lifecyclestage": "lead"}),
        ("102", {"email": "grace@example.com", "firstname": "Grace", "hs_additional_emails": "g@example.org"}),
        ("103", {"email": "linus@example.com", "firstname": "Linus", "city": "Helsinki"}),
    ],
    "companies": [
        ("201", {"name": "Acme", "domain": "acme.example", "numberofemployees": "12"}),
        ("202", {"name": "Globex", "domain": "globex.example"}),
    ],
    "deals": [("301", {"dealname": "Big deal", "amount": "1000", "dealstage": "appointmentscheduled"})],
    "tickets": [("401", {"subject": "Help", "hs_pipeline": "0", "hs_pipeline_stage": "1"})],
    "notes": [("501", {"hs_note_body": "first call", "hs_timestamp": BEGUN})],
    "tasks": [("511", {"hs_task_subject": "call back", "hs_task_status": "NOT_STARTED", "hs_timestamp": BEGUN})],
    "2-1001": [("601", {"onboarding_name": "Ada's first week", "badge": "b-1"})],
}


def state() -> dict[str, Any]:
    """A fresh copy of everything."""
    return {
        "next": 9000,
        "records": {kind: {i: record(i, values) for i, values in RECORDS.get(kind, ())} for kind in FIELDS},
        "properties": {kind: definitions(kind) for kind in FIELDS},
        "groups": {kind: {"information": group("information")} for kind in FIELDS},
        "links": {},
        "labels": {
            "contacts>companies": {"35": {"label": "Billing contact", "inverse": "36"}},
            "companies>contacts": {"36": {"label": "Billing contact of", "inverse": "35"}},
        },
        "pipelines": {
            "deals": {"default": pipeline("default", "Sales", ("appointmentscheduled", "closedwon"))},
            "tickets": {"0": pipeline("0", "Support", ("1", "2"))},
        },
        "schemas": {"2-1001": custom_type("2-1001", "onboarding")},
        "lists": {"71": record_list("71", "Newsletter", "MANUAL", ["101"]), "72": record_list("72", "VIP", "DYNAMIC")},
        "folders": {
            "0": {"id": 0, "name": "root", "parentFolderId": None},
            "81": {"id": 81, "name": "Campaigns", "parentFolderId": 0},
        },
    }


def record(number: str, values: dict[str, str]) -> dict[str, Any]:
    history = {name: [{"value": value, "timestamp": BEGUN, "sourceType": "CRM_UI"}] for name, value in values.items()}
    return {
        "id": number,
        "properties": dict(values),
        "createdAt": BEGUN,
        "updatedAt": BEGUN,
        "archived": False,
        "history": history,
    }


def definitions(kind: str) -> dict[str, Any]:
    own = {"hs_object_id": definition("hs_object_id", read_only=True)}
    for text in FIELDS[kind]:
        name, _, options = text.partition("=")
        name, _, type_ = name.rstrip("!").partition(":")
        own[name] = definition(name, type_, options.split(",") if options else [], unique=text.endswith("!"))
    return own


def definition(
    name: str, type_: str = "", options: list[str] | None = None, *, read_only: bool = False, unique: bool = False
) -> dict[str, Any]:
    choices = [
        {"label": option.title(), "value": option, "description": "", "displayOrder": at, "hidden": False}
        for at, option in enumerate(options or [])
    ]
    return {
        "name": name,
        "label": name.replace("_", " ").title(),
        "type": type_ or ("enumeration" if choices else "string"),
        "fieldType": "select" if choices else "text",
        "groupName": "information",
        "description": "",
        "options": choices,
        "displayOrder": -1,
        "hidden": False,
        "formField": True,
        "hasUniqueValue": unique,
        "calculated": False,
        "hubspotDefined": True,
        "archived": False,
        "modificationMetadata": {"archivable": True, "readOnlyDefinition": False, "readOnlyValue": read_only},
    }


def group(name: str) -> dict[str, Any]:
    return {"name": name, "label": name.title(), "displayOrder": 0, "archived": False}


def pipeline(number: str, label: str, stages: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id": number,
        "label": label,
        "displayOrder": 0,
        "archived": False,
        "createdAt": BEGUN,
        "updatedAt": BEGUN,
        "stages": [stage(s, s.title(), at, {"probability": f"{(at + 1) / 10}"}) for at, s in enumerate(stages)],
    }


def stage(number: str, label: str, order: int, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "id": number,
        "label": label,
        "displayOrder": order,
        "metadata": metadata,
        "archived": False,
        "createdAt": BEGUN,
        "updatedAt": BEGUN,
    }


def custom_type(number: str, name: str) -> dict[str, Any]:
    return {
        "id": number.removeprefix("2-"),
        "objectTypeId": number,
        "fullyQualifiedName": f"p1_{name}",
        "name": name,
        "labels": {"singular": name.title(), "plural": f"{name.title()}s"},
        "requiredProperties": [],
        "searchableProperties": ["onboarding_name"],
        "primaryDisplayProperty": "onboarding_name",
        "archived": False,
        "createdAt": BEGUN,
        "updatedAt": BEGUN,
        "associations": [{"id": "91", "fromObjectTypeId": number, "toObjectTypeId": "0-1", "name": "whose"}],
        "properties": [],
    }


def record_list(number: str, name: str, processing: str, members: list[str] | None = None) -> dict[str, Any]:
    filters = {"filterBranchType": "OR", "filterBranchOperator": "OR", "filterBranches": [], "filters": []}
    return {
        "listId": number,
        "name": name,
        "objectTypeId": "0-1",
        "processingType": processing,
        "processingStatus": "COMPLETE",
        "listVersion": 1,
        "createdAt": BEGUN,
        "updatedAt": BEGUN,
        "filtersUpdatedAt": BEGUN,
        "folder": "0",
        "members": members or [],
        **({"filterBranch": filters} if processing == "DYNAMIC" else {}),
    }
