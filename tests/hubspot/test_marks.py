"""A record with a mark is found by it when the answer was lost, and nothing else is taken for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hubspot import HubSpot
from hubspot.crm.companies import SimplePublicObject

import agentguard
from agentguard import CallState, Outcome
from agentguard.ledger import sqlite
from agentguard.sandbox.hubspot import TOKEN
from tests.boxes import Box
from tests.hubspot.test_doubt import companies, doubtful, make_company

NAME = "agentguard_mark"
DEFINITION = {"name": NAME, "label": "Mark", "type": "string", "fieldType": "text", "groupName": "information"}
CREATE = "crm.objects.create"


@pytest.fixture
def define(hubspot_box: Box, client: HubSpot, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define the property for marks on companies, and name it."""

    def define(*, unique: bool) -> None:
        client.crm.properties.core_api.create("companies", {**DEFINITION, "hasUniqueValue": unique})
        monkeypatch.setenv("AGENTGUARD_HUBSPOT_MARK", NAME)

    return define


def unarchived(box: Box) -> list[str]:
    return [key for key, one in companies(box).items() if not one["archived"]]


def sent(box: Box) -> dict[str, Any]:
    body: dict[str, Any] = next(r for r in box.requests("POST") if r["path"] == "/crm/v3/objects/companies")["body"]
    return body


@pytest.mark.parametrize("unique", [True, False], ids=["unique", "searched for"])
def test_a_record_whose_answer_was_lost_is_found_by_its_mark(
    unique: bool, hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=unique)
    session = doubtful(client, ledger, hubspot_box, CREATE, make_company)
    mark = session.calls[-1].mark
    assert sent(hubspot_box)["properties"] == {"name": "Initech", "city": "Austin", NAME: mark}
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert unarchived(hubspot_box) == ["201", "202"]


def test_a_record_that_was_not_created_is_known_not_to_have_been(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=True)
    before = hubspot_box.snapshot()
    session = doubtful(client, ledger, hubspot_box, CREATE, make_company, "drop_before")
    assert session.rollback().ok
    assert session.calls[-1].state is CallState.NOT_APPLIED
    assert hubspot_box.snapshot() == before


def test_what_the_search_does_not_show_proves_nothing(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=False)
    hubspot_box.seed(search_lag=3600)
    session = doubtful(client, ledger, hubspot_box, CREATE, make_company)
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "not unique" in result.detail
    hubspot_box.seed(search_lag=0)
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert unarchived(hubspot_box) == ["201", "202"]


@pytest.mark.parametrize("unique", [True, False], ids=["unique", "searched for"])
def test_what_a_stranger_made_at_the_same_time_is_left_alone(
    unique: bool, hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=unique)
    session = doubtful(client, ledger, hubspot_box, CREATE, make_company, "drop_before")
    theirs = make_company(client).id
    session.rollback()
    assert session.calls[-1].state is (CallState.NOT_APPLIED if unique else CallState.IN_DOUBT)
    assert unarchived(hubspot_box) == ["201", "202", theirs]


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_of_two_equal_calls_the_lost_one_is_told_from_the_other(
    mode: str, hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=True)
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    guarded = agentguard.wrap(client, session)
    make_company(guarded)
    hubspot_box.fault(mode, path="/companies$")
    with pytest.raises(Exception, match="Connection aborted"):
        make_company(guarded)
    report = session.rollback()
    assert report.ok, str(report)
    happened = mode == "drop_after"
    assert [call.state is CallState.COMMITTED for call in session.calls] == [True, happened]
    assert len(report.outcomes) == 1 + happened
    assert unarchived(hubspot_box) == ["201", "202"]


def test_a_record_that_somebody_archived_since_has_happened(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=True)
    session = doubtful(client, ledger, hubspot_box, CREATE, make_company)
    client.crm.companies.basic_api.archive(next(key for key in unarchived(hubspot_box) if key.startswith("9")))
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]
    assert session.calls[-1].state is CallState.COMMITTED


@pytest.mark.parametrize("unique", [True, False], ids=["unique", "searched for"])
def test_a_record_that_somebody_wrote_into_since_is_left_to_a_person(
    unique: bool, hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=unique)
    session = doubtful(client, ledger, hubspot_box, CREATE, make_company)
    (made,) = (key for key in unarchived(hubspot_box) if key.startswith("9"))
    client.crm.companies.basic_api.update(made, {"properties": {"city": "Theirs"}})
    before = hubspot_box.snapshot()
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.CONFLICT], str(report)
    assert hubspot_box.snapshot() == before


def test_of_a_batch_only_the_record_that_somebody_wrote_into_is_left_to_a_person(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=True)

    def act(guarded: Any) -> None:
        inputs = [{"properties": {"name": name, "city": "Austin"}} for name in ("One", "Two")]
        guarded.crm.companies.batch_api.create({"inputs": inputs})

    session = doubtful(client, ledger, hubspot_box, "crm.objects.batch.create", act)
    first, _second = (key for key in unarchived(hubspot_box) if key.startswith("9"))
    client.crm.companies.basic_api.update(first, {"properties": {"city": "Theirs"}})
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.CONFLICT]
    assert unarchived(hubspot_box) == ["201", "202", first]


def test_a_value_of_the_callers_own_wins(hubspot_box: Box, client: HubSpot, ledger: Path, define: Any) -> None:
    define(unique=True)
    given = {"name": "Initech", NAME: "mine"}
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).crm.companies.basic_api.create({"properties": given})
    assert sent(hubspot_box)["properties"] == given


def test_a_type_without_the_property_goes_without_a_mark(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=True)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).crm.deals.basic_api.create({"properties": {"dealname": "One"}})
    (request,) = [r for r in hubspot_box.requests("POST") if r["path"].endswith("/deals")]
    assert request["body"] == {"properties": {"dealname": "One"}}
    assert session.rollback().ok


def test_a_batch_that_succeeded_in_part_is_taken_back_in_part(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any
) -> None:
    define(unique=True)
    inputs = [
        {"properties": {"name": "One"}, "objectWriteTraceId": "1"},
        {"properties": {"name": "Two", "numberofemployees": "many"}, "objectWriteTraceId": "2"},
        {"properties": {"name": "Three"}, "objectWriteTraceId": "3"},
    ]

    def act(guarded: Any) -> None:
        guarded.crm.companies.batch_api.create({"inputs": inputs})

    session = doubtful(client, ledger, hubspot_box, "crm.objects.batch.create", act)
    assert len(unarchived(hubspot_box)) == 4
    report = session.rollback()
    assert report.ok, str(report)
    assert unarchived(hubspot_box) == ["201", "202"]


def test_the_property_can_stand_in_the_configuration(
    hubspot_box: Box, client: HubSpot, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.crm.properties.core_api.create("companies", {**DEFINITION, "hasUniqueValue": True})
    (tmp_path / "agentguard.toml").write_text(f'[marks]\nhubspot = "{NAME}"\n')
    monkeypatch.chdir(tmp_path)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        make_company(agentguard.wrap(client, session))
    assert sent(hubspot_box)["properties"][NAME] == session.calls[-1].mark


def test_a_resumed_agent_gets_the_record_as_the_sdk_gives_it(
    hubspot_box: Box, client: HubSpot, ledger: Path, define: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(unique=True)
    monkeypatch.setattr(sqlite.leases, "is_gone", lambda owner: True)

    def begin() -> Any:
        session = agentguard.session(agent="a", intent="i", id="s1", ledger=ledger, on_crash="resume")
        return agentguard.wrap(client, session)

    hubspot_box.fault("drop_after", path="/companies$")
    with pytest.raises(Exception, match="Connection aborted"):
        make_company(begin())
    made = make_company(begin())
    assert isinstance(made, SimplePublicObject)
    assert (made.id, made.properties["name"]) == ("9001", "Initech")
    assert len(unarchived(hubspot_box)) == 3


AGENT = """
import os
import agentguard
from hubspot import HubSpot

url = os.environ["HUBSPOT_API_URL"]
client = HubSpot(access_token=os.environ["HUBSPOT_ACCESS_TOKEN"], host=url, base_url=url)
with agentguard.session(agent="a", intent="i", ledger="ledger.db") as session:
    try:
        agentguard.wrap(client, session).crm.companies.basic_api.create({"properties": {"name": "Initech"}})
    except Exception:
        os._exit(9)
"""


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_another_process_finds_it_without_the_setting(
    mode: str, hubspot_box: Box, client: HubSpot, define: Any, tmp_path: Path
) -> None:
    define(unique=True)
    own = {"HUBSPOT_API_URL": hubspot_box.url, "HUBSPOT_ACCESS_TOKEN": TOKEN, "AGENTGUARD_LEDGER": "ledger.db"}
    environment = {**os.environ, **own}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    before = unarchived(hubspot_box)
    hubspot_box.fault(mode, path="/companies$")
    died = run("-c", AGENT)
    assert died.returncode == 9, died.stderr
    del environment["AGENTGUARD_HUBSPOT_MARK"]
    rolled_back = run("-m", "agentguard", "rollback", "last", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stdout + rolled_back.stderr
    assert unarchived(hubspot_box) == before
