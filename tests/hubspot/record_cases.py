"""Records of every type, one by one and in batches."""

from __future__ import annotations

from tests.hubspot.arranging import BILLING, COMPENSATED, IRREVERSIBLE, Case, created, linked

NEW = r"records\.[\w-]+\.9\d+"

RECORDS = [
    Case(
        "crm.objects.create",
        created("contacts", {"email": "Alan@Example.com", "city": "Wilmslow"}),
        COMPENSATED,
        (NEW,),
    ),
    Case("crm.objects.create", created("companies", {"name": "Initech"}), COMPENSATED, (NEW,), name="company"),
    Case("crm.objects.create", created("deals", {"dealname": "New", "amount": "5"}), COMPENSATED, (NEW,), name="deal"),
    Case("crm.objects.create", created("tickets", {"subject": "Broken"}), COMPENSATED, (NEW,), name="ticket"),
    Case(
        "crm.objects.create",
        created(
            "notes",
            {"hs_note_body": "called"},
            associations=[
                {"to": {"id": "101"}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]}
            ],
        ),
        COMPENSATED,
        (NEW,),
        name="note with an association",
    ),
    Case("crm.objects.create", created("tasks", {"hs_task_subject": "call"}), COMPENSATED, (NEW,), name="task"),
    Case("crm.objects.create", created("calls", {"hs_call_title": "intro"}), COMPENSATED, (NEW,), name="call"),
    Case("crm.objects.create", created("emails", {"hs_email_subject": "hi"}), COMPENSATED, (NEW,), name="email"),
    Case(
        "crm.objects.create", created("meetings", {"hs_meeting_title": "kick-off"}), COMPENSATED, (NEW,), name="meeting"
    ),
    Case(
        "crm.objects.create", created("products", {"name": "Chair", "price": "10"}), COMPENSATED, (NEW,), name="product"
    ),
    Case(
        "crm.objects.create",
        lambda c: c.crm.objects.basic_api.create("2-1001", {"properties": {"onboarding_name": "Grace's first week"}}),
        COMPENSATED,
        (NEW,),
        name="custom object",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.contacts.basic_api.update("101", {"properties": {"city": "Paris", "phone": "1"}}),
        name="one property had no value before",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.contacts.basic_api.update(
            "ada@example.com", {"properties": {"email": "NEW@example.com"}}, id_property="email"
        ),
        name="by a unique property which it changes",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.contacts.basic_api.update(
            "101", {"properties": {"lifecyclestage": "customer", "city": "Paris"}}
        ),
        name="a lifecycle stage, which only moves forward",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.contacts.basic_api.update("101", {"properties": {"city": ""}}),
        name="clears a property",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.companies.basic_api.update("201", {"properties": {"numberofemployees": 13}}),
        name="company",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.deals.basic_api.update("301", {"properties": {"dealstage": "closedwon"}}),
        name="deal",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.tickets.basic_api.update("401", {"properties": {"hs_ticket_priority": "HIGH"}}),
        name="ticket",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.objects.notes.basic_api.update("501", {"properties": {"hs_note_body": "new"}}),
        name="note",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.objects.tasks.basic_api.update("511", {"properties": {"hs_task_status": "COMPLETED"}}),
        name="task",
    ),
    Case(
        "crm.objects.update",
        lambda c: c.crm.objects.basic_api.update("2-1001", "601", {"properties": {"badge": "b-2"}}),
        name="custom object",
    ),
    Case(
        "crm.objects.archive",
        lambda c: c.crm.contacts.basic_api.archive("101"),
        COMPENSATED,
        (r"records\.contacts\.101\.archived", r"records\.contacts\.9\d+", r"links\..*"),
        linked(BILLING),
    ),
    Case(
        "crm.objects.archive",
        lambda c: c.crm.deals.basic_api.archive("301"),
        COMPENSATED,
        (r"records\.deals\.301\.archived", r"records\.deals\.9\d+"),
        name="deal",
    ),
    Case(
        "crm.objects.merge",
        lambda c: c.crm.contacts.basic_api.merge({"primaryObjectId": "101", "objectIdToMerge": "103"}),
        IRREVERSIBLE,
        (r"records\.contacts\..*",),
    ),
    Case(
        "crm.objects.gdpr_delete",
        lambda c: c.crm.contacts.basic_api.purge({"objectId": "103"}),
        IRREVERSIBLE,
        (r"records\.contacts\.103",),
    ),
    Case(
        "crm.objects.batch.create",
        lambda c: c.crm.contacts.batch_api.create(
            {"inputs": [{"properties": {"email": f"{n}@example.com"}} for n in "ab"]}
        ),
        COMPENSATED,
        (NEW,),
    ),
    Case(
        "crm.objects.batch.update",
        lambda c: c.crm.contacts.batch_api.update(
            {
                "inputs": [
                    {"id": "101", "properties": {"city": "Paris"}},
                    {"id": "103", "properties": {"email": "L@example.com"}},
                ]
            }
        ),
    ),
    Case(
        "crm.objects.batch.archive",
        lambda c: c.crm.contacts.batch_api.archive({"inputs": [{"id": "101"}, {"id": "103"}]}),
        COMPENSATED,
        (r"records\.contacts\.10[13]\.archived", r"records\.contacts\.9\d+"),
    ),
    Case(
        "crm.objects.batch.upsert",
        lambda c: c.crm.contacts.batch_api.upsert(
            {
                "inputs": [
                    {"id": "ADA@example.com", "idProperty": "email", "properties": {"city": "Paris"}},
                    {"id": "new@example.com", "idProperty": "email", "properties": {"city": "Rome"}},
                    {"id": "g@example.org", "idProperty": "email", "properties": {"city": "Oslo"}},
                ]
            }
        ),
        COMPENSATED,
        (NEW,),
        name="one known, one new, one known by its second address",
    ),
]
