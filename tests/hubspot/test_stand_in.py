"""The stand-in answers as HubSpot does: what it refuses, and how."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import ApiException

from tests.boxes import Box

REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/crm/v3/objects/contacts", {"properties": {}, "shoe": 1}, 400, "VALIDATION_ERROR"),
    ("POST", "/crm/v3/objects/contacts", {}, 400, "VALIDATION_ERROR"),
    ("POST", "/crm/v3/objects/contacts", {"properties": {"email": "no address"}}, 400, "VALIDATION_ERROR"),
    ("POST", "/crm/v3/objects/contacts", {"properties": {"email": "ada@example.com"}}, 409, "CONFLICT"),
    ("POST", "/crm/v3/objects/contacts", {"properties": {"hs_object_id": "1"}}, 400, "VALIDATION_ERROR"),
    ("POST", "/crm/v3/objects/companies", {"properties": {"numberofemployees": "few"}}, 400, "VALIDATION_ERROR"),
    ("PATCH", "/crm/v3/objects/tickets/401", {"properties": {"hs_ticket_priority": "?"}}, 400, "VALIDATION_ERROR"),
    ("PATCH", "/crm/v3/objects/contacts/999", {"properties": {}}, 404, "OBJECT_NOT_FOUND"),
    ("GET", "/crm/v3/objects/contacts/1?idProperty=city", None, 400, "VALIDATION_ERROR"),
    ("GET", "/crm/v3/objects/unicorns", None, 400, "VALIDATION_ERROR"),
    ("PUT", "/crm/v4/objects/contacts/101/associations/companies/999", [], 404, "OBJECT_NOT_FOUND"),
    ("PUT", "/crm/v4/objects/notes/501/associations/tasks/511", [], 400, "VALIDATION_ERROR"),
    ("PUT", "/crm/v4/objects/contacts/101/associations/companies/201", {}, 400, "VALIDATION_ERROR"),
    ("PUT", "/crm/v3/lists/72/memberships/add", ["101"], 400, "VALIDATION_ERROR"),
    ("PUT", "/crm/v3/lists/71/update-list-filters", {"filterBranch": {}}, 400, "VALIDATION_ERROR"),
    ("PATCH", "/crm/v3/pipelines/deals/default", {"archived": False}, 400, "VALIDATION_ERROR"),
    ("POST", "/crm/v3/properties/contacts", {"name": "city"}, 400, "VALIDATION_ERROR"),
    ("PATCH", "/crm/v3/properties/contacts/city", {"name": "town"}, 400, "VALIDATION_ERROR"),
    ("POST", "/crm/v3/objects/contacts/search", {"filter": []}, 400, "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("verb", "path", "body", "status", "category"), REFUSED)
def test_a_wrong_request_is_refused(
    client: HubSpot, hubspot_box: Box, verb: str, path: str, body: Any, status: int, category: str
) -> None:
    before = hubspot_box.snapshot()
    options = {"method": verb, "path": path} | ({} if body is None else {"body": body})
    answer = client.api_request(options)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert error["status"] == "error"
    assert error["category"] == category
    assert error["message"]
    assert error["correlationId"]
    assert hubspot_box.snapshot() == before


def test_without_the_token_nothing_is_answered(hubspot_box: Box) -> None:
    with pytest.raises(ApiException, match="INVALID_AUTHENTICATION"):
        HubSpot(access_token="wrong", host=hubspot_box.url).crm.contacts.basic_api.get_by_id("101")


def test_an_archived_record_is_seen_only_among_the_archived(client: HubSpot) -> None:
    client.crm.contacts.basic_api.archive("101")
    with pytest.raises(ApiException, match="404"):
        client.crm.contacts.basic_api.get_by_id("101")
    assert client.crm.contacts.basic_api.get_by_id("101", archived=True).archived is True
    assert [record.id for record in client.crm.contacts.basic_api.get_page(archived=True).results] == ["101"]


def test_a_batch_that_fails_in_part_is_answered_with_207(client: HubSpot) -> None:
    inputs = {"inputs": [{"id": "101"}, {"id": "999"}], "properties": [], "propertiesWithHistory": []}
    answer, status, _headers = client.crm.contacts.batch_api.read_with_http_info(inputs)
    assert status == 207
    assert [record.id for record in answer.results] == ["101"]
    assert answer.num_errors == 1
    assert answer.errors[0].context == {"ids": ["999"]}


def test_a_lifecycle_stage_does_not_move_backwards(client: HubSpot) -> None:
    def stage(value: str) -> str | None:
        client.crm.contacts.basic_api.update("101", {"properties": {"lifecyclestage": value}})
        found = client.crm.contacts.basic_api.get_by_id("101", properties=["lifecyclestage"])
        text: str | None = found.properties["lifecyclestage"]
        return text

    assert stage("customer") == "customer"
    assert stage("lead") == "customer"
    assert stage("") is None
    assert stage("lead") == "lead"


def test_a_search_finds_by_filters_and_by_text(client: HubSpot) -> None:
    has_city = {"filters": [{"propertyName": "city", "operator": "HAS_PROPERTY"}]}
    found = client.crm.contacts.search_api.do_search({"filterGroups": [has_city], "properties": ["city"]})
    assert {record.properties["city"] for record in found.results} == {"London", "Helsinki"}
    assert client.crm.contacts.search_api.do_search({"query": "grace"}).total == 1
