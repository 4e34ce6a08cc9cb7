"""Associations, labels, and their definitions."""

from __future__ import annotations

from tests.hubspot.arranging import (
    BILLING,
    COMPENSATED,
    IRREVERSIBLE,
    PRIMARY,
    PRIMARY_FROM_COMPANY,
    UNLABELED,
    Case,
    both,
    linked,
    pair,
)

ASSOCIATIONS = [
    Case("crm.associations.v4.create", linked(BILLING), name="two that were not associated"),
    Case("crm.associations.v4.create", linked(BILLING), prepare=linked(UNLABELED), name="a label more"),
    Case(
        "crm.associations.v4.create",
        linked(PRIMARY, other="202"),
        prepare=both(linked(UNLABELED), linked(UNLABELED, other="202")),
        name="another primary company",
    ),
    Case(
        "crm.associations.v4.create",
        lambda c: c.crm.associations.v4.basic_api.create("companies", "202", "contacts", "101", [PRIMARY_FROM_COMPANY]),
        COMPENSATED,
        (r"links\..*",),
        linked(UNLABELED),
        name="made primary from the company's side",
    ),
    Case(
        "crm.associations.v4.create_default",
        lambda c: c.crm.associations.v4.basic_api.create_default("contacts", "101", "deals", "301"),
    ),
    Case(
        "crm.associations.v4.archive",
        lambda c: c.crm.associations.v4.basic_api.archive("contacts", "101", "companies", "201"),
        prepare=linked(BILLING),
    ),
    Case(
        "crm.associations.v4.batch.create",
        lambda c: c.crm.associations.v4.batch_api.create(
            "contacts", "companies", {"inputs": [pair(types=[BILLING]), pair("103", types=[UNLABELED])]}
        ),
        prepare=linked(UNLABELED),
    ),
    Case(
        "crm.associations.v4.batch.create_default",
        lambda c: c.crm.associations.v4.batch_api.create_default(
            "contacts", "companies", {"inputs": [pair(), pair("103")]}
        ),
        prepare=linked(BILLING),
    ),
    Case(
        "crm.associations.v4.batch.archive",
        lambda c: c.crm.associations.v4.batch_api.archive(
            "contacts", "companies", {"inputs": [{"from": {"id": "101"}, "to": [{"id": "201"}, {"id": "202"}]}]}
        ),
        prepare=both(linked(BILLING), linked(UNLABELED, other="202")),
    ),
    Case(
        "crm.associations.v4.batch.archive_labels",
        lambda c: c.crm.associations.v4.batch_api.archive_labels(
            "contacts", "companies", {"inputs": [pair(types=[BILLING])]}
        ),
        prepare=linked(BILLING),
    ),
    Case(
        "crm.associations.v4.batch.archive_labels",
        lambda c: c.crm.associations.v4.batch_api.archive_labels(
            "contacts", "companies", {"inputs": [pair(types=[UNLABELED])]}
        ),
        prepare=linked(BILLING),
        name="the unlabeled one, which takes all",
    ),
    Case(
        "crm.associations.batch.create",
        lambda c: c.crm.associations.batch_api.create(
            "contacts", "companies", {"inputs": [pair(type="contact_to_company_unlabeled")]}
        ),
    ),
    Case(
        "crm.associations.batch.create",
        lambda c: c.crm.associations.batch_api.create(
            "contacts", "companies", {"inputs": [pair(type="billing_contact")]}
        ),
        prepare=linked(UNLABELED),
        name="a label more",
    ),
    Case(
        "crm.associations.batch.archive",
        lambda c: c.crm.associations.batch_api.archive(
            "contacts", "companies", {"inputs": [pair(type="billing_contact")]}
        ),
        prepare=linked(BILLING),
    ),
    Case(
        "crm.associations.v4.schema.definitions.create",
        lambda c: c.crm.associations.v4.schema.definitions_api.create(
            "contacts", "companies", {"label": "Buyer", "name": "buyer"}
        ),
    ),
    Case(
        "crm.associations.v4.schema.definitions.update",
        lambda c: c.crm.associations.v4.schema.definitions_api.update(
            "contacts", "companies", {"associationTypeId": 35, "label": "Payer"}
        ),
    ),
    Case(
        "crm.associations.v4.schema.definitions.remove",
        lambda c: c.crm.associations.v4.schema.definitions_api.remove("contacts", "companies", 35),
        IRREVERSIBLE,
        (r"labels\..*", r"links\..*"),
        linked(BILLING),
    ),
]
