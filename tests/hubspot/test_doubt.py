"""A call whose answer was lost: what a rollback says of it is true of the account."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.hubspot import hubspot
from hubspot import HubSpot

import agentguard
from agentguard import CallState, Outcome
from tests.boxes import Box
from tests.hubspot.arranging import Case
from tests.hubspot.cases import CASES
from tests.proving import differences

IDS = [f"{case.operation} {case.name}".strip() for case in CASES]


def lose(box: Box, operation: str, mode: str) -> None:
    """Lose the next answer to *operation*."""
    row = hubspot.table.by_name[operation]
    path = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in row.path.strip("/").split("/"))
    box.fault(mode, verb=row.verb, path=f"^/{path}/?$")


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_said_of_a_lost_call_is_true(
    case: Case, mode: str, hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    if case.prepare is not None:
        case.prepare(client)
    before = hubspot_box.snapshot()
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        guarded = agentguard.wrap(client, session)
        lose(hubspot_box, case.operation, mode)
        with pytest.raises(Exception, match="Connection aborted"):
            case.do(guarded)
    assert session.calls[-1].state is CallState.IN_DOUBT
    report = session.rollback()
    outcomes = [one.outcome for one in report.outcomes]
    changed = differences(before, hubspot_box.snapshot())
    if mode == "drop_before":
        assert changed == []
        assert all(outcome in (Outcome.IN_DOUBT, Outcome.ALREADY_UNDONE) for outcome in outcomes), str(report)
    elif report.ok:
        unexpected = [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in case.residue)]
        assert unexpected == [], str(report)


def doubtful(client: HubSpot, ledger: Path, box: Box, operation: str, act: Any, mode: str = "drop_after") -> Any:
    """Do *act* and lose its answer; return the session."""
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        guarded = agentguard.wrap(client, session)
        lose(box, operation, mode)
        with pytest.raises(Exception, match="Connection aborted"):
            act(guarded)
    return session


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_contact_is_found_by_its_address(mode: str, hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        guarded.crm.contacts.basic_api.create({"properties": {"email": "New@example.com", "city": "Rome"}})

    report = doubtful(client, ledger, hubspot_box, "crm.objects.create", act, mode).rollback()
    expected = Outcome.IN_DOUBT if mode == "drop_before" else Outcome.COMPENSATED
    assert [one.outcome for one in report.outcomes] == [expected]
    assert all(record["archived"] for key, record in contacts(hubspot_box).items() if key.startswith("9"))


def test_a_custom_object_is_found_by_a_unique_property(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        guarded.crm.objects.basic_api.create("2-1001", {"properties": {"badge": "b-9"}})

    report = doubtful(client, ledger, hubspot_box, "crm.objects.create", act).rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.COMPENSATED]


def test_a_record_without_anything_unique_stays_in_doubt(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        guarded.crm.companies.basic_api.create({"properties": {"name": "Initech"}})

    report = doubtful(client, ledger, hubspot_box, "crm.objects.create", act).rollback()
    assert report.outcomes[0].outcome is Outcome.IN_DOUBT
    assert "unique" in report.outcomes[0].detail


def test_a_contact_that_was_there_before_is_not_taken_for_ours(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        guarded.crm.contacts.basic_api.create({"properties": {"email": "ada@example.com"}})

    session = doubtful(client, ledger, hubspot_box, "crm.objects.create", act, "drop_before")
    assert session.rollback().outcomes[0].outcome is Outcome.IN_DOUBT
    assert contacts(hubspot_box)["101"]["archived"] is False


def test_a_batch_of_contacts_is_found_by_their_addresses(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        members = [{"properties": {"email": f"{name}@example.com"}} for name in "abc"]
        guarded.crm.contacts.batch_api.create({"inputs": members})

    report = doubtful(client, ledger, hubspot_box, "crm.objects.batch.create", act).rollback()
    assert report.outcomes[0].outcome is Outcome.COMPENSATED
    assert [key for key, record in contacts(hubspot_box).items() if record["archived"]] == ["9001", "9002", "9003"]


def test_a_lost_upsert_archives_what_it_created_and_restores_what_it_updated(
    hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    def act(guarded: Any) -> None:
        inputs = [
            {"id": "ada@example.com", "idProperty": "email", "properties": {"city": "Rome"}},
            {"id": "new@example.com", "idProperty": "email", "properties": {"city": "Rome"}},
        ]
        guarded.crm.contacts.batch_api.upsert({"inputs": inputs})

    report = doubtful(client, ledger, hubspot_box, "crm.objects.batch.upsert", act).rollback()
    assert report.outcomes[0].outcome is Outcome.COMPENSATED
    assert contacts(hubspot_box)["101"]["properties"]["city"] == "London"
    assert contacts(hubspot_box)["9001"]["archived"] is True


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_lost_update_is_settled_by_looking(mode: str, hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        guarded.crm.contacts.basic_api.update("101", {"properties": {"city": "Rome"}})

    report = doubtful(client, ledger, hubspot_box, "crm.objects.update", act, mode).rollback()
    expected = Outcome.ALREADY_UNDONE if mode == "drop_before" else Outcome.RESTORED
    assert report.outcomes[0].outcome is expected
    assert contacts(hubspot_box)["101"]["properties"]["city"] == "London"


def contacts(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.snapshot()["records"]["contacts"]
    return found
