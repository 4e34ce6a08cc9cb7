"""Lists, properties, pipelines and custom objects."""

from __future__ import annotations

from tests.hubspot.arranging import BADGE, BRANCH, COMPENSATED, IRREVERSIBLE, STAGES, Case, both

LISTS = [
    Case(
        "crm.lists.create",
        lambda c: c.crm.lists.lists_api.create({"name": "Guests", "objectTypeId": "0-1", "processingType": "MANUAL"}),
        COMPENSATED,
        (r"lists\.9\d+",),
    ),
    Case("crm.lists.remove", lambda c: c.crm.lists.lists_api.remove("71")),
    Case(
        "crm.lists.restore",
        lambda c: c.crm.lists.lists_api.restore("71"),
        prepare=lambda c: c.crm.lists.lists_api.remove("71"),
    ),
    Case("crm.lists.update_name", lambda c: c.crm.lists.lists_api.update_name("71", list_name=" Readers ")),
    Case(
        "crm.lists.update_list_filters",
        lambda c: c.crm.lists.lists_api.update_list_filters("72", {"filterBranch": BRANCH}),
    ),
    Case("crm.lists.memberships.add", lambda c: c.crm.lists.memberships_api.add("71", ["101", "102", "999"])),
    Case("crm.lists.memberships.remove", lambda c: c.crm.lists.memberships_api.remove("71", ["101", "102"])),
    Case(
        "crm.lists.memberships.add_and_remove",
        lambda c: c.crm.lists.memberships_api.add_and_remove(
            "71", {"recordIdsToAdd": ["102"], "recordIdsToRemove": ["101"]}
        ),
    ),
    Case("crm.lists.memberships.remove_all", lambda c: c.crm.lists.memberships_api.remove_all("71")),
    Case(
        "crm.lists.memberships.add_all_from_list",
        lambda c: c.crm.lists.memberships_api.add_all_from_list("9001", "71"),
        prepare=lambda c: c.crm.lists.lists_api.create(
            {"name": "Guests", "objectTypeId": "0-1", "processingType": "MANUAL"}
        ),
    ),
    Case(
        "crm.lists.folders.create", lambda c: c.crm.lists.folders_api.create({"name": "Fairs", "parentFolderId": "81"})
    ),
    Case(
        "crm.lists.folders.remove",
        lambda c: c.crm.lists.folders_api.remove("81"),
        COMPENSATED,
        (r"folders\.81", r"folders\.9\d+"),
    ),
    Case("crm.lists.folders.rename", lambda c: c.crm.lists.folders_api.rename("81", new_folder_name="Fairs")),
    Case(
        "crm.lists.folders.move",
        lambda c: c.crm.lists.folders_api.move("9001", "81"),
        prepare=lambda c: c.crm.lists.folders_api.create({"name": "Fairs"}),
    ),
    Case(
        "crm.lists.folders.move_list",
        lambda c: c.crm.lists.folders_api.move_list({"listId": "71", "newFolderId": "81"}),
    ),
]

PROPERTIES = [
    Case(
        "crm.properties.create",
        lambda c: c.crm.properties.core_api.create("contacts", BADGE),
        COMPENSATED,
        (r"properties\.contacts\.badge_no",),
    ),
    Case(
        "crm.properties.update",
        lambda c: c.crm.properties.core_api.update("contacts", "city", {"label": "Town", "description": "where"}),
    ),
    Case(
        "crm.properties.update",
        lambda c: c.crm.properties.core_api.update(
            "tickets", "hs_ticket_priority", {"options": [{"label": "Low", "value": "LOW", "hidden": False}]}
        ),
        name="options",
    ),
    Case(
        "crm.properties.archive",
        lambda c: c.crm.properties.core_api.archive("contacts", "badge_no"),
        COMPENSATED,
        (r"records\.contacts\.103\.properties\.badge_no",),
        both(
            lambda c: c.crm.properties.core_api.create("contacts", BADGE),
            lambda c: c.crm.contacts.basic_api.update("103", {"properties": {"badge_no": "7"}}),
        ),
    ),
    Case(
        "crm.properties.batch.create",
        lambda c: c.crm.properties.batch_api.create("contacts", {"inputs": [BADGE]}),
        COMPENSATED,
        (r"properties\.contacts\.badge_no",),
    ),
    Case(
        "crm.properties.batch.archive",
        lambda c: c.crm.properties.batch_api.archive("contacts", {"inputs": [{"name": "badge_no"}]}),
        COMPENSATED,
        (r"records\.contacts\.103\.properties\.badge_no",),
        both(
            lambda c: c.crm.properties.core_api.create("contacts", BADGE),
            lambda c: c.crm.contacts.basic_api.update("103", {"properties": {"badge_no": "7"}}),
        ),
    ),
    Case(
        "crm.properties.groups.create",
        lambda c: c.crm.properties.groups_api.create("contacts", {"name": "hr", "label": "HR"}),
        COMPENSATED,
        (r"groups\.contacts\.hr",),
    ),
    Case(
        "crm.properties.groups.update",
        lambda c: c.crm.properties.groups_api.update("contacts", "information", {"label": "HR"}),
    ),
    Case(
        "crm.properties.groups.archive",
        lambda c: c.crm.properties.groups_api.archive("contacts", "information"),
        COMPENSATED,
    ),
]

PIPELINES = [
    Case(
        "crm.pipelines.create",
        lambda c: c.crm.pipelines.pipelines_api.create(
            "deals", {"label": "Renewals", "displayOrder": 1, "stages": STAGES}
        ),
        COMPENSATED,
        (r"pipelines\.deals\.9\d+",),
    ),
    Case(
        "crm.pipelines.update",
        lambda c: c.crm.pipelines.pipelines_api.update("deals", "default", {"label": "Renewals"}),
    ),
    Case(
        "crm.pipelines.update",
        lambda c: c.crm.pipelines.pipelines_api.update("deals", "default", {"archived": False}),
        prepare=lambda c: c.crm.pipelines.pipelines_api.archive("deals", "default"),
        name="restores it",
    ),
    Case("crm.pipelines.archive", lambda c: c.crm.pipelines.pipelines_api.archive("deals", "default")),
    Case(
        "crm.pipelines.replace",
        lambda c: c.crm.pipelines.pipelines_api.replace(
            "deals", "default", {"label": "Renewals", "displayOrder": 1, "stages": STAGES}
        ),
        COMPENSATED,
        (r"pipelines\.deals\.default\.stages\.\d\.id",),
    ),
    Case(
        "crm.pipelines.stages.create",
        lambda c: c.crm.pipelines.pipeline_stages_api.create("deals", "default", {**STAGES[0], "displayOrder": 2}),
        COMPENSATED,
        (r"pipelines\.deals\.default\.stages",),
    ),
    Case(
        "crm.pipelines.stages.update",
        lambda c: c.crm.pipelines.pipeline_stages_api.update(
            "deals", "default", "closedwon", {"metadata": {"probability": "1.0"}}
        ),
    ),
    Case(
        "crm.pipelines.stages.update",
        lambda c: c.crm.pipelines.pipeline_stages_api.update("deals", "default", "closedwon", {"archived": False}),
        prepare=lambda c: c.crm.pipelines.pipeline_stages_api.archive("deals", "default", "closedwon"),
        name="restores it",
    ),
    Case(
        "crm.pipelines.stages.replace",
        lambda c: c.crm.pipelines.pipeline_stages_api.replace(
            "deals", "default", "closedwon", {"label": "Won", "displayOrder": 5}
        ),
    ),
    Case(
        "crm.pipelines.stages.archive",
        lambda c: c.crm.pipelines.pipeline_stages_api.archive("deals", "default", "closedwon"),
    ),
]

BADGES = {
    "name": "badge",
    "labels": {"singular": "Badge", "plural": "Badges"},
    "properties": [{"name": "number", "label": "Number", "type": "string", "fieldType": "text"}],
    "requiredProperties": ["number"],
    "associatedObjects": ["0-1"],
}

SCHEMAS = [
    Case(
        "crm.schemas.create",
        lambda c: c.crm.schemas.core_api.create(BADGES),
        COMPENSATED,
        (r"schemas\.2-9\d+", r"records\.2-9\d+", r"properties\.2-9\d+"),
    ),
    Case(
        "crm.schemas.update",
        lambda c: c.crm.schemas.core_api.update(
            "2-1001", {"labels": {"singular": "Start", "plural": "Starts"}, "description": "first weeks"}
        ),
    ),
    Case(
        "crm.schemas.update",
        lambda c: c.crm.schemas.core_api.update("2-1001", {"clearDescription": True}),
        prepare=lambda c: c.crm.schemas.core_api.update("2-1001", {"description": "first weeks"}),
        name="clears the description",
    ),
    Case(
        "crm.schemas.archive",
        lambda c: c.crm.schemas.core_api.archive("2-1001"),
        IRREVERSIBLE,
        (r"schemas\.2-1001\.archived",),
        lambda c: c.crm.objects.basic_api.archive("2-1001", "601"),
    ),
    Case(
        "crm.schemas.create_association",
        lambda c: c.crm.schemas.core_api.create_association(
            "2-1001", {"fromObjectTypeId": "2-1001", "toObjectTypeId": "0-2", "name": "where"}
        ),
    ),
    Case(
        "crm.schemas.archive_association",
        lambda c: c.crm.schemas.core_api.archive_association("2-1001", "91"),
        COMPENSATED,
        (r"schemas\.2-1001\.associations\.0\.id",),
    ),
]
