"""Every guarded operation of HubSpot is done through the real SDK, undone, and compared from the outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.hubspot import hubspot
from hubspot import HubSpot

from agentguard import Outcome, load, wrap
from agentguard.sandbox.hubspot import TOKEN
from tests.boxes import Box
from tests.hubspot.arranging import BILLING, Case, linked
from tests.hubspot.cases import CASES
from tests.proving import prove

IDS = [f"{case.operation} {case.name}".strip() for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_done_is_undone(case: Case, hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    prove(
        hubspot_box,
        ledger,
        client,
        case.do,
        operation=f"hubspot.{case.operation}",
        outcome=case.outcome,
        residue=case.residue,
        prepare=case.prepare,
    )


def test_only_the_properties_that_were_changed_are_written_back(
    hubspot_box: Box, client: HubSpot, session: Any
) -> None:
    wrap(client, session).crm.contacts.basic_api.update("101", {"properties": {"city": "Paris", "phone": "1"}})
    client.crm.contacts.basic_api.update("101", {"properties": {"jobtitle": "Countess"}})
    assert session.rollback().outcomes[0].outcome is Outcome.RESTORED
    assert hubspot_box.requests("PATCH")[-1]["body"] == {"properties": {"city": "London", "phone": ""}}
    has = contacts(hubspot_box)["101"]["properties"]
    assert (has["city"], has["jobtitle"]) == ("London", "Countess")


@pytest.mark.parametrize(
    "act",
    [
        lambda c: c.crm.contacts.basic_api.update("101", {"properties": {"city": "Paris"}}),
        lambda c: c.crm.contacts.batch_api.update({"inputs": [{"id": "101", "properties": {"city": "Paris"}}]}),
        lambda c: c.crm.contacts.batch_api.upsert({"inputs": [{"id": "101", "properties": {"city": "Paris"}}]}),
    ],
    ids=["update", "batch update", "batch upsert"],
)
def test_a_property_that_somebody_else_changed_is_a_conflict(
    act: Any, hubspot_box: Box, client: HubSpot, session: Any
) -> None:
    act(wrap(client, session))
    client.crm.contacts.basic_api.update("101", {"properties": {"city": "Rome"}})
    sent = len(hubspot_box.requests("PATCH"))
    outcome = session.rollback().outcomes[0]
    assert outcome.outcome is Outcome.CONFLICT
    assert "Paris" in outcome.detail
    assert "Rome" in outcome.detail
    assert len(hubspot_box.requests("PATCH")) == sent
    assert contacts(hubspot_box)["101"]["properties"]["city"] == "Rome"


def test_a_new_record_that_somebody_else_edited_is_not_archived(
    hubspot_box: Box, client: HubSpot, session: Any
) -> None:
    made = wrap(client, session).crm.companies.basic_api.create({"properties": {"name": "Initech"}})
    client.crm.companies.basic_api.update(made.id, {"properties": {"name": "Initrode"}})
    assert session.rollback().outcomes[0].outcome is Outcome.CONFLICT
    assert hubspot_box.snapshot()["records"]["companies"][made.id]["archived"] is False


def test_a_record_that_somebody_else_archived_is_undone_already(client: HubSpot, session: Any) -> None:
    made = wrap(client, session).crm.companies.basic_api.create({"properties": {"name": "Initech"}})
    client.crm.companies.basic_api.archive(made.id)
    assert session.rollback().outcomes[0].outcome is Outcome.ALREADY_UNDONE


def test_members_of_a_batch_that_failed_are_left_alone(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    inputs = [
        {"id": "101", "properties": {"city": "Paris"}},
        {"id": "102", "properties": {"city": "Paris", "email": "linus@example.com"}},
    ]
    before = hubspot_box.snapshot()
    answer = wrap(client, session).crm.contacts.batch_api.update({"inputs": inputs})
    assert [result.id for result in answer.results] == ["101"]
    assert session.rollback().outcomes[0].outcome is Outcome.RESTORED
    assert hubspot_box.snapshot() == before
    assert len(hubspot_box.requests("PATCH")) == 1


def test_a_contact_that_was_restored_by_hand_is_not_created_again(
    hubspot_box: Box, client: HubSpot, session: Any
) -> None:
    records = hubspot_box.snapshot()["records"]
    wrap(client, session).crm.contacts.basic_api.archive("103")
    records["contacts"]["103"] |= {"updatedAt": "2026-01-05T09:00:00Z", "history": {}}
    state = {kind: {key: _whole(r) for key, r in of_kind.items()} for kind, of_kind in records.items()}
    hubspot_box.seed(records=state)
    assert session.rollback().outcomes[0].outcome is Outcome.ALREADY_UNDONE
    assert contacts(hubspot_box).keys() == {"101", "102", "103"}


def _whole(record: dict[str, Any]) -> dict[str, Any]:
    return {"updatedAt": "2026-01-05T09:00:00Z", "history": {}, **record}


@pytest.mark.parametrize("kind", ["contacts", "contact", "0-1"])
def test_a_type_has_several_names(kind: str, hubspot_box: Box, client: HubSpot, session: Any) -> None:
    api = wrap(client, session).crm.objects.basic_api
    made = client.crm.contacts.basic_api.create({"properties": {"email": "a+b/c@example.com", "city": "Rome"}})
    linked(BILLING)(client)
    change = {"properties": {"lifecyclestage": "lead", "city": "Oslo"}}
    api.update(kind, "a+b/c@example.com", change, id_property="email")
    api.update(kind, made.id, {"properties": {"lifecyclestage": "customer"}})
    api.archive(kind, "101")
    outcomes = [one.outcome for one in session.rollback().outcomes]
    assert outcomes == [Outcome.COMPENSATED, Outcome.RESTORED, Outcome.RESTORED]
    assert contacts(hubspot_box)[made.id]["properties"] == {"email": "a+b/c@example.com", "city": "Rome"}
    assert contacts(hubspot_box)["9002"]["properties"] == contacts(hubspot_box)["101"]["properties"]
    assert "contacts/9002/companies/201" in hubspot_box.snapshot()["links"]


def test_what_comes_back_has_its_associations(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    linked(BILLING)(client)
    wrap(client, session).crm.contacts.basic_api.archive("101")
    assert hubspot_box.snapshot()["links"] == {}
    assert session.rollback().outcomes[0].outcome is Outcome.COMPENSATED
    types = hubspot_box.snapshot()["links"]["contacts/9001/companies/201"]
    assert types == ["HUBSPOT_DEFINED/1", "HUBSPOT_DEFINED/279", "USER_DEFINED/35"]


def test_associations_of_records_that_are_archived_together_are_named(client: HubSpot, session: Any) -> None:
    client.crm.associations.v4.basic_api.create_default("contacts", "101", "contacts", "103")
    wrap(client, session).crm.contacts.batch_api.archive({"inputs": [{"id": "101"}, {"id": "103"}]})
    outcome = session.rollback().outcomes[0]
    assert outcome.outcome is Outcome.COMPENSATED
    assert "associations with records that were archived together are not brought back" in outcome.detail


def test_associations_that_the_token_may_not_see_are_named(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    hubspot_box.fault("status_before", path="contacts/tickets/batch/read", status=403)
    wrap(client, session).crm.contacts.basic_api.archive("101")
    outcome = session.rollback().outcomes[0]
    assert outcome.outcome is Outcome.COMPENSATED
    assert "associations with tickets are not brought back" in outcome.detail


def test_a_record_with_very_many_associations_is_told_apart(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    whole = hubspot_box.snapshot()["records"]
    state = {kind: {key: _whole(r) for key, r in of_kind.items()} for kind, of_kind in whole.items()}
    for number in range(1000, 1600):
        record = {"id": str(number), "properties": {}, "createdAt": "2026-01-05T09:00:00Z", "archived": False}
        state["companies"][str(number)] = _whole(record)
    links = {f"contacts/101/companies/{number}": ["HUBSPOT_DEFINED/279"] for number in range(1000, 1600)}
    links["contacts/101/companies/1000"].insert(0, "HUBSPOT_DEFINED/1")
    hubspot_box.seed(records=state, links=links)
    guarded = wrap(client, session)
    guarded.crm.associations.v4.basic_api.create("contacts", "101", "companies", "1599", [BILLING])
    guarded.crm.associations.v4.basic_api.create("contacts", "101", "companies", "201", [BILLING])
    outcomes = session.rollback().outcomes
    assert {outcome.outcome for outcome in outcomes} == {Outcome.COMPENSATED}
    assert all("not read back" in outcome.detail for outcome in outcomes)
    assert hubspot_box.snapshot()["links"]["contacts/101/companies/1599"] == ["HUBSPOT_DEFINED/279"]
    assert "contacts/101/companies/201" not in hubspot_box.snapshot()["links"]


@pytest.mark.parametrize("asked", [["101", "102"], [str(n) for n in range(100, 110)]], ids=["few", "more"])
def test_who_was_on_a_list_before_stays_on_it(
    asked: list[str], client: HubSpot, hubspot_box: Box, session: Any
) -> None:
    before = hubspot_box.snapshot()
    wrap(client, session).crm.lists.memberships_api.add("71", asked)
    assert "102" in hubspot_box.snapshot()["lists"]["71"]["members"]
    assert session.rollback().outcomes[0].outcome is Outcome.RESTORED
    assert hubspot_box.snapshot() == before


def test_many_members_of_a_list_are_put_back_at_once(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    lists = hubspot_box.snapshot()["lists"]
    lists["71"] |= {"members": [str(n) for n in range(2000, 2600)], "updatedAt": "", "filtersUpdatedAt": ""}
    lists = {key: {"listVersion": 1, "updatedAt": "", "filtersUpdatedAt": "", **one} for key, one in lists.items()}
    records = hubspot_box.snapshot()["records"]
    state = {kind: {key: _whole(r) for key, r in of_kind.items()} for kind, of_kind in records.items()}
    for number in range(2000, 2600):
        record = {"id": str(number), "properties": {}, "createdAt": "2026-01-05T09:00:00Z", "archived": False}
        state["contacts"][str(number)] = _whole(record)
    hubspot_box.seed(lists=lists, records=state)
    wrap(client, session).crm.lists.memberships_api.remove_all("71")
    assert hubspot_box.snapshot()["lists"]["71"]["members"] == []
    outcome = session.rollback().outcomes[0]
    assert outcome.outcome is Outcome.COMPENSATED
    assert "not read back" in outcome.detail
    assert len(hubspot_box.snapshot()["lists"]["71"]["members"]) == 600


def test_another_process_takes_it_back(hubspot_box: Box, client: HubSpot, session: Any, ledger: Path) -> None:
    before = hubspot_box.snapshot()
    guarded = wrap(client, session)
    guarded.crm.contacts.basic_api.update("101", {"properties": {"city": "Paris", "lifecyclestage": "customer"}})
    guarded.crm.associations.v4.basic_api.create("contacts", "101", "companies", "201", [BILLING])
    guarded.crm.lists.memberships_api.add_and_remove("71", {"recordIdsToAdd": ["103"], "recordIdsToRemove": ["101"]})
    session.complete()
    assert hubspot.account is not None
    fresh = hubspot.account.client({"HUBSPOT_ACCESS_TOKEN": TOKEN, "HUBSPOT_API_URL": f"{hubspot_box.url}/"})
    report = load(session.id, clients={"hubspot": fresh}, ledger=ledger).rollback()
    assert {outcome.outcome for outcome in report.outcomes} == {Outcome.RESTORED}
    assert hubspot_box.snapshot() == before


def test_a_token_of_another_account_takes_nothing_back(
    hubspot_box: Box, client: HubSpot, session: Any, ledger: Path
) -> None:
    made = wrap(client, session).crm.contacts.basic_api.create({"properties": {"email": "new@example.test"}})
    before = hubspot_box.snapshot()
    hubspot_box.fault("status_before", "GET", "/account-info/", status=200, body={"portalId": 1})
    hubspot_box.fault(
        "status_before", "GET", f"/contacts/{made.id}$", status=404, body={"category": "OBJECT_NOT_FOUND"}
    )
    other = HubSpot(access_token=TOKEN, host=hubspot_box.url, base_url=hubspot_box.url)
    report = load(session.id, ledger=ledger, clients={"hubspot": other}).rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.FAILED]
    assert "account 4711" in report.outcomes[0].detail
    assert hubspot_box.snapshot() == before


def test_what_changed_nothing_has_nothing_to_undo(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    linked(BILLING)(client)
    guarded = wrap(client, session)
    linked(BILLING)(guarded)
    guarded.crm.associations.v4.basic_api.create_default("contacts", "101", "companies", "201")
    guarded.crm.associations.v4.basic_api.archive("contacts", "102", "companies", "201")
    guarded.crm.lists.memberships_api.add("71", ["101"])
    guarded.crm.contacts.basic_api.archive("999")
    before = hubspot_box.snapshot()
    assert {outcome.outcome for outcome in session.rollback().outcomes} == {Outcome.ALREADY_UNDONE}
    assert hubspot_box.snapshot() == before


def test_steps_that_build_on_each_other_are_taken_back_in_turn(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    before = hubspot_box.snapshot()
    guarded = wrap(client, session)
    made = guarded.crm.contacts.basic_api.create({"properties": {"email": "new@example.com"}})
    guarded.crm.contacts.basic_api.update(made.id, {"properties": {"city": "Rome", "email": "newer@example.com"}})
    guarded.crm.associations.v4.basic_api.create("contacts", made.id, "companies", "201", [BILLING])
    guarded.crm.lists.memberships_api.add("71", [made.id])
    guarded.crm.contacts.basic_api.update(made.id, {"properties": {"city": "Oslo"}})
    report = session.rollback()
    assert report.ok, str(report)
    after = hubspot_box.snapshot()
    assert after["records"]["contacts"].pop(made.id)["archived"] is True
    assert after == before


def contacts(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.snapshot()["records"]["contacts"]
    return found
