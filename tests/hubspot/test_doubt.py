"""A call whose answer was lost: what a rollback says of it is true of the account."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.hubspot import hubspot
from hubspot import HubSpot

import agentguard
from agentguard import CallState, Outcome
from agentguard.wire.http import Headers, Response
from tests.boxes import Box
from tests.hubspot.arranging import BADGE, Case
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


def make_company(guarded: Any) -> Any:
    return guarded.crm.companies.basic_api.create({"properties": {"name": "Initech", "city": "Austin"}})


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_record_without_anything_unique_is_known_by_its_values_and_when_it_was_created(
    mode: str, hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    report = doubtful(client, ledger, hubspot_box, "crm.objects.create", make_company, mode).rollback()
    if mode == "drop_before":
        assert report.outcomes[0].outcome is Outcome.IN_DOUBT
        assert "unique" in report.outcomes[0].detail
        assert "property for marks" in report.outcomes[0].detail
    else:
        assert report.outcomes[0].outcome is Outcome.COMPENSATED
        assert companies(hubspot_box)["9001"]["archived"] is True


def test_two_records_with_the_same_values_are_no_evidence(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    session = doubtful(client, ledger, hubspot_box, "crm.objects.create", make_company)
    make_company(client)
    report = session.rollback()
    assert report.outcomes[0].outcome is Outcome.IN_DOUBT
    assert "2 records" in report.outcomes[0].detail
    assert [one["archived"] for key, one in companies(hubspot_box).items() if key.startswith("9")] == [False, False]


def test_a_record_that_the_search_does_not_show_yet_stays_in_doubt(
    hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    hubspot_box.seed(search_lag=3600)
    session = doubtful(client, ledger, hubspot_box, "crm.objects.create", make_company)
    assert session.rollback().outcomes[0].outcome is Outcome.IN_DOUBT
    assert companies(hubspot_box)["9001"]["archived"] is False
    hubspot_box.seed(search_lag=0)
    assert session.rollback().outcomes[0].outcome is Outcome.COMPENSATED


def test_what_a_person_entered_at_the_same_time_is_not_taken_for_ours(
    hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    session = doubtful(client, ledger, hubspot_box, "crm.objects.create", make_company, "drop_before")
    theirs = make_company(client).id
    records = hubspot_box.snapshot()["records"]
    records["companies"][theirs] |= {"source": "CRM_UI", "updatedAt": records["companies"][theirs]["createdAt"]}
    hubspot_box.seed(records=dated(records))
    before = hubspot_box.snapshot()
    assert session.rollback().outcomes[0].outcome is Outcome.IN_DOUBT
    assert hubspot_box.snapshot() == before


def dated(records: dict[str, Any]) -> dict[str, Any]:
    """Records as the state keeps them, with the times and traces that a snapshot leaves out."""
    return {
        kind: {key: {"history": {}, "updatedAt": one["createdAt"], **one} for key, one in some.items()}
        for kind, some in records.items()
    }


SETTLED = {
    "crm.objects.archive",
    "crm.objects.batch.archive",
    "crm.lists.create",
    "crm.lists.update_name",
    "crm.lists.folders.create",
    "crm.lists.folders.remove",
    "crm.lists.memberships.add",
    "crm.lists.memberships.remove",
    "crm.lists.memberships.add_and_remove",
    "crm.properties.create",
    "crm.properties.batch.create",
    "crm.properties.groups.create",
    "crm.pipelines.create",
    "crm.pipelines.stages.create",
    "crm.schemas.create",
    "crm.schemas.create_association",
    "crm.schemas.archive_association",
    "crm.associations.v4.schema.definitions.create",
}
"""What is found by its name or seen from its state, and taken back although its answer was lost."""
GONE_FOR_SURE = {
    "crm.objects.archive",
    "crm.objects.batch.archive",
    "crm.lists.folders.remove",
    "crm.properties.create",
    "crm.properties.batch.create",
    "crm.schemas.archive_association",
}
"""What is known not to have happened when the look shows nothing."""
FOUND = [case for case in CASES if case.operation in SETTLED]


@pytest.mark.parametrize("case", FOUND, ids=[f"{case.operation} {case.name}".strip() for case in FOUND])
def test_a_lost_call_that_leaves_a_trace_is_taken_back(
    case: Case, hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    if case.prepare is not None:
        case.prepare(client)
    before = hubspot_box.snapshot()
    report = doubtful(client, ledger, hubspot_box, case.operation, case.do).rollback()
    assert report.ok, str(report)
    assert [one.outcome for one in report.outcomes] == [case.outcome]
    changed = differences(before, hubspot_box.snapshot())
    assert [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in case.residue)] == []


SURE = [case for case in CASES if case.operation in GONE_FOR_SURE]


@pytest.mark.parametrize("case", SURE, ids=[f"{case.operation} {case.name}".strip() for case in SURE])
def test_a_lost_call_that_would_have_left_a_trace_is_known_not_to_have_happened(
    case: Case, hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    if case.prepare is not None:
        case.prepare(client)
    before = hubspot_box.snapshot()
    session = doubtful(client, ledger, hubspot_box, case.operation, case.do, "drop_before")
    assert session.rollback().ok
    assert session.calls[-1].state is CallState.NOT_APPLIED
    assert hubspot_box.snapshot() == before


def test_a_property_that_somebody_archived_since_has_happened(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    def act(guarded: Any) -> None:
        guarded.crm.properties.core_api.create("contacts", BADGE)

    session = doubtful(client, ledger, hubspot_box, "crm.properties.create", act)
    client.crm.properties.core_api.archive("contacts", BADGE["name"])
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]
    assert session.calls[-1].state is CallState.COMMITTED


def test_an_upsert_that_succeeded_in_part_is_taken_back_in_part(
    hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    inputs = [
        {"id": "ada@example.com", "idProperty": "email", "properties": {"city": "Rome"}},
        {"id": "new@example.com", "idProperty": "email", "properties": {"city": "Rome"}},
    ]

    def act(guarded: Any) -> None:
        guarded.crm.contacts.batch_api.upsert({"inputs": inputs})

    session = doubtful(client, ledger, hubspot_box, "crm.objects.batch.upsert", act, "drop_before")
    # What HubSpot did of it before the connection broke: the second one only.
    client.crm.contacts.batch_api.upsert({"inputs": inputs[1:]})
    report = session.rollback()
    assert report.ok, str(report)
    assert contacts(hubspot_box)["101"]["properties"]["city"] == "London"
    assert contacts(hubspot_box)["9001"]["archived"] is True


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


def companies(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.snapshot()["records"]["companies"]
    return found


def contacts(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.snapshot()["records"]["contacts"]
    return found


@pytest.mark.parametrize(
    ("status", "headers", "body", "state", "again_in"),
    [
        (429, {"retry-after": "3"}, {"policyName": "SECONDLY"}, CallState.NOT_APPLIED, 3.0),
        (429, {"x-hubspot-ratelimit-interval-milliseconds": "10000"}, {}, CallState.NOT_APPLIED, 10.0),
        (
            429,
            {"x-hubspot-ratelimit-interval-milliseconds": "10000"},
            {"policyName": "DAILY"},
            CallState.NOT_APPLIED,
            None,
        ),
        (423, {}, {}, CallState.NOT_APPLIED, 2.0),
        (477, {"retry-after": "86400"}, {}, CallState.NOT_APPLIED, 86400.0),
        (502, {}, {}, CallState.IN_DOUBT, None),
        (504, {}, {}, CallState.IN_DOUBT, None),
    ],
)
def test_what_a_refusal_proves_and_when_to_come_again(
    status: int,
    headers: dict[str, str],
    body: Any,
    state: CallState,
    again_in: float | None,
    hubspot_box: Box,
    client: HubSpot,
    ledger: Path,
) -> None:
    hubspot_box.fault("status_before", path="/companies$", status=status, body=body, headers=headers)
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    with pytest.raises(Exception, match=str(status)):
        make_company(agentguard.wrap(client, session))
    assert [call.state for call in session.calls] == [state]
    response = Response(status, Headers(headers), json.dumps(body).encode())
    assert hubspot.codec.answer(hubspot.table.by_name["crm.objects.create"], response).retry_after == again_in


@pytest.mark.parametrize("mode", ["drop_before", "drop_after", "truncate"])
def test_an_answer_that_broke_off_is_in_doubt(mode: str, hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    hubspot_box.fault(mode, path="/companies$")
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    with pytest.raises(Exception, match=r"aborted|broken|IncompleteRead"):
        make_company(agentguard.wrap(client, session))
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://nowhere.invalid"], ids=["refused", "no such name"])
def test_a_call_that_reached_nobody_certainly_did_nothing(host: str, ledger: Path) -> None:
    client = HubSpot(access_token="pat-na1-none", host=host, base_url=host)
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    with pytest.raises(Exception, match=r"NewConnectionError|NameResolutionError"):
        make_company(agentguard.wrap(client, session))
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def test_a_pipeline_that_somebody_changed_since_is_left_to_a_person(
    hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    stages = [{"label": "Open", "displayOrder": 0, "metadata": {"probability": "0.5"}}]

    def act(guarded: Any) -> None:
        guarded.crm.pipelines.pipelines_api.create("deals", {"label": "Renewals", "displayOrder": 1, "stages": stages})

    session = doubtful(client, ledger, hubspot_box, "crm.pipelines.create", act)
    made = next(p for p in client.crm.pipelines.pipelines_api.get_all("deals").results if p.label == "Renewals")
    client.crm.pipelines.pipelines_api.update("deals", made.id, {"displayOrder": 7})
    before = hubspot_box.snapshot()
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.CONFLICT]
    assert hubspot_box.snapshot() == before
