"""The life of a call over HTTP: what is on record when, what is sent how often, and what a lost answer comes to."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

import agentguard
from agentguard import CallState, Outcome
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.notes import notes


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [result.outcome for result in report.outcomes]


def test_a_create_is_deleted_again(box: Box, guarded: httpx.Client, session: agentguard.Session) -> None:
    answer = guarded.post("notes", json={"title": "one"})
    assert (answer.status_code, answer.json()["id"]) == (201, 1)
    report = session.rollback()
    assert outcomes(report) == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_an_update_restores_only_what_it_changed(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one", "body": "first"})
    guarded.patch("notes/1", json={"title": "two"})
    client.patch("notes/1", json={"body": "edited by a person"})
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert box.snapshot()["notes"]["1"] == {"id": 1, "title": "one", "body": "edited by a person"}
    assert [r["body"] for r in box.requests("PATCH")][-1] == {"title": "one"}


def test_what_an_update_cannot_put_back_is_named(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one"})
    guarded.patch("notes/1", json={"title": "two", "colour": "red"})
    report = session.rollback()
    assert (outcomes(report), report.outcomes[0].detail) == ([Outcome.IRREVERSIBLE], "colour cannot be put back")
    assert box.snapshot()["notes"]["1"] == {"id": 1, "title": "one", "body": "", "colour": "red"}


def test_an_update_of_nothing_that_can_be_put_back_has_not_been_undone(
    client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one"})
    guarded.patch("notes/1", json={"colour": "red"})
    report = session.rollback()
    assert (outcomes(report), report.outcomes[0].detail) == ([Outcome.IRREVERSIBLE], "colour cannot be put back")


def test_drift_in_what_it_changed_is_a_conflict_with_both_versions(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one"})
    guarded.patch("notes/1", json={"title": "two"})
    client.patch("notes/1", json={"title": "three"})
    sent = len(box.requests("PATCH"))
    report = session.rollback()
    assert outcomes(report) == [Outcome.CONFLICT]
    assert '"two"' in report.outcomes[0].detail
    assert '"three"' in report.outcomes[0].detail
    assert len(box.requests("PATCH")) == sent
    assert not report.ok


def test_a_delete_is_compensated_and_says_what_remains(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one", "body": "first"})
    guarded.delete("notes/1")
    report = session.rollback()
    assert (outcomes(report), report.outcomes[0].detail) == ([Outcome.COMPENSATED], "the note has a new id")
    assert box.snapshot()["notes"] == {"2": {"id": 2, "title": "one", "body": "first"}}


def test_what_the_session_made_and_deleted_again_is_not_made_a_second_time(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    before = box.snapshot()["notes"]
    guarded.post("notes", json={"title": "one"})
    guarded.patch("notes/1", json={"body": "more"})
    guarded.delete("notes/1")
    report = session.rollback()
    assert outcomes(report) == [Outcome.ALREADY_UNDONE] * 3
    assert "call 1 of this session made it" in report.outcomes[0].detail
    assert box.snapshot()["notes"] == before
    assert outcomes(session.rollback()) == [Outcome.ALREADY_UNDONE] * 3


def test_what_was_there_before_and_was_deleted_is_made_again_beside_what_the_session_made(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "old"})
    guarded.post("notes", json={"title": "new"})
    guarded.delete("notes/1")
    assert outcomes(session.rollback()) == [Outcome.COMPENSATED, Outcome.RESTORED]
    assert [note["title"] for note in box.snapshot()["notes"].values()] == ["old"]


def test_the_intent_is_in_the_ledger_when_the_request_arrives(
    ledger: Path, session: agentguard.Session, client: httpx.Client
) -> None:
    seen: list[Any] = []

    def service(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"title": "old", "body": ""})
        other = SqliteLedger(ledger)
        seen.extend(
            [(c.state, c.snapshots, [u.arguments for u in other.undos(c.session)]) for c in other.calls(session.id)]
        )
        return httpx.Response(200, json={"title": "new", "body": ""})

    router = respx.MockRouter(assert_all_called=False)
    router.route().mock(side_effect=service)
    plain = httpx.Client(base_url="http://notes.test/v1/", transport=httpx.MockTransport(router.handler))
    agentguard.wrap(plain, session, notes).patch("notes/1", json={"title": "new"})
    assert seen == [(CallState.INTENT, [{"title": "old", "body": ""}], [{"id": "1", "title": "old"}])]


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "truncate"])
def test_a_lost_answer_is_in_doubt_and_sent_once(
    box: Box, guarded: httpx.Client, session: agentguard.Session, fault: str
) -> None:
    box.fault(fault)
    with pytest.raises(httpx.TransportError) as caught:
        guarded.post("notes", json={"title": "one"})
    assert "in doubt" in caught.value.__notes__[0]
    assert len(box.requests("POST")) == 1
    assert [c.state for c in session.calls] == [CallState.IN_DOUBT]


def test_a_lost_call_that_is_found_is_taken_back(box: Box, guarded: httpx.Client, session: agentguard.Session) -> None:
    box.fault("drop_after")
    with pytest.raises(httpx.TransportError):
        guarded.post("notes", json={"title": "one"})
    assert len(box.snapshot()["notes"]) == 1
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_a_lost_call_that_is_not_found_stays_in_doubt(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    box.fault("drop_before")
    with pytest.raises(httpx.TransportError):
        guarded.post("notes", json={"title": "one"})
    report = session.rollback()
    assert outcomes(report) == [Outcome.IN_DOUBT]
    assert not report.ok


@pytest.mark.parametrize(
    ("fault", "outcome"), [("drop_after", Outcome.RESTORED), ("drop_before", Outcome.ALREADY_UNDONE)]
)
def test_a_lost_update_is_settled_by_what_is_there_now(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session, fault: str, outcome: Outcome
) -> None:
    client.post("notes", json={"title": "one"})
    before = box.snapshot()
    box.fault(fault, verb="PATCH")
    with pytest.raises(httpx.TransportError):
        guarded.patch("notes/1", json={"title": "two"})
    assert outcomes(session.rollback()) == [outcome]
    assert box.snapshot() == before


def test_a_502_is_in_doubt_and_the_caller_gets_it_as_it_is(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    box.fault("status_after", status=502)
    assert guarded.post("notes", json={"title": "one"}).status_code == 502
    assert [c.state for c in session.calls] == [CallState.IN_DOUBT]


def test_a_refused_call_did_not_happen_and_leaves_nothing_to_undo(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    assert guarded.post("notes", json={}).status_code == 422
    assert [c.state for c in session.calls] == [CallState.NOT_APPLIED]
    assert session.rollback().outcomes == []


def test_no_connection_means_that_it_certainly_did_not_happen(session: agentguard.Session) -> None:
    closed = httpx.Client(base_url="http://127.0.0.1:9/v1/")
    with pytest.raises(httpx.ConnectError):
        agentguard.wrap(closed, session, notes).post("notes", json={"title": "one"})
    assert [c.state for c in session.calls] == [CallState.NOT_APPLIED]


def test_what_is_not_there_gives_the_services_own_404(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    assert guarded.patch("notes/99", json={"title": "x"}).status_code == 404
    assert [c.state for c in session.calls] == [CallState.NOT_APPLIED]


def test_a_snapshot_that_cannot_be_taken_stops_the_call(box: Box, client: httpx.Client, guarded: httpx.Client) -> None:
    client.post("notes", json={"title": "one"})
    box.fault("status_before", verb="GET", status=503)
    with pytest.raises(agentguard.SnapshotFailed, match="Nothing was sent"):
        guarded.patch("notes/1", json={"title": "two"})
    assert box.requests("PATCH") == []


def test_reads_need_no_ledger_and_no_open_session(
    ledger: Path, box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    client.post("notes", json={"title": "one"})
    session.complete()
    session.ledger.close()
    ledger.unlink()
    assert guarded.get("notes/1").json()["title"] == "one"


def test_a_write_without_a_ledger_is_not_sent(box: Box, guarded: httpx.Client, session: agentguard.Session) -> None:
    session.ledger.close()
    with pytest.raises(agentguard.LedgerError):
        guarded.post("notes", json={"title": "one"})
    assert box.requests("POST") == []


def test_a_ledger_that_breaks_after_the_effect_does_not_cost_the_caller_the_answer(
    ledger: Path, session: agentguard.Session, caplog: pytest.LogCaptureFixture
) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        session.ledger.close()
        return httpx.Response(201, json={"id": 1, "title": "one", "body": ""})

    plain = httpx.Client(base_url="http://notes.test/v1/", transport=httpx.MockTransport(service))
    with caplog.at_level(logging.ERROR):
        assert agentguard.wrap(plain, session, notes).post("notes", json={"title": "one"}).status_code == 201
    assert "could not be written to the ledger" in caplog.text
    assert [c.state for c in SqliteLedger(ledger).calls(session.id)] == [CallState.INTENT]


def test_an_answer_that_the_handler_cannot_read_is_recorded_as_a_gap(
    session: agentguard.Session, caplog: pytest.LogCaptureFixture
) -> None:
    plain = httpx.Client(
        base_url="http://notes.test/v1/",
        transport=httpx.MockTransport(lambda _r: httpx.Response(201, json={"no": "id"})),
    )
    assert agentguard.wrap(plain, session, notes).post("notes", json={"title": "one"}).json() == {"no": "id"}
    report = session.rollback()
    assert outcomes(report) == [Outcome.FAILED]
    assert "could not be worked out" in report.outcomes[0].detail


def test_an_unknown_write_is_stopped(box: Box, guarded: httpx.Client, session: agentguard.Session) -> None:
    with pytest.raises(agentguard.ApprovalRequired, match="POST"):
        guarded.post("unlisted", json={})
    assert box.requests("POST") == []
    assert [c.state for c in session.calls] == [CallState.REFUSED]


def test_an_unknown_write_that_was_approved_is_irreversible(box: Box, client: httpx.Client, ledger: Path) -> None:
    s = agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)
    agentguard.wrap(client, s, notes).post("unlisted", json={})
    assert outcomes(s.rollback()) == [Outcome.IRREVERSIBLE]


def test_a_critical_call_is_stopped_before_anything_is_sent(box: Box, guarded: httpx.Client) -> None:
    with pytest.raises(agentguard.ApprovalRequired):
        guarded.post("purge")
    assert box.requests("POST") == []


def test_the_original_client_is_left_as_it_was(box: Box, client: httpx.Client, guarded: httpx.Client) -> None:
    client.post("notes", json={"title": "not recorded"})
    assert guarded is not client
    assert isinstance(guarded, httpx.Client)
    assert len(box.effects()) == 1


def test_an_undo_whose_answer_is_lost_is_settled_by_looking(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    guarded.post("notes", json={"title": "one"})
    box.fault("drop_after", verb="DELETE")
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert len(box.requests("DELETE")) == 1


def test_an_undo_that_fails_can_be_asked_for_again(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    guarded.post("notes", json={"title": "one"})
    box.fault("status_before", verb="DELETE", status=403)
    assert outcomes(session.rollback()) == [Outcome.FAILED]
    assert session.state == "partial"
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert session.state == "rolled_back"


def test_another_process_rolls_back_what_it_finds_in_the_ledger(
    box: Box, guarded: httpx.Client, session: agentguard.Session, ledger: Path
) -> None:
    guarded.post("notes", json={"title": "one"})
    again = agentguard.load(session.id, ledger=ledger)
    with httpx.Client(base_url=f"{box.url}/v1/") as fresh:
        again.use(fresh, notes)
        assert outcomes(again.rollback()) == [Outcome.RESTORED]


def test_an_undo_goes_nowhere_but_where_the_call_went(
    box: Box, guarded: httpx.Client, session: agentguard.Session, ledger: Path
) -> None:
    guarded.post("notes", json={"title": "one"})
    again = agentguard.load(session.id, ledger=ledger)
    with httpx.Client(base_url="http://127.0.0.1:9/other/") as elsewhere:
        again.use(elsewhere, notes)
        report = again.rollback()
    assert outcomes(report) == [Outcome.FAILED]
    assert "there is no notes client for that" in report.outcomes[0].detail
    assert len(box.snapshot()["notes"]) == 1


def test_a_closed_session_takes_no_more_calls(box: Box, guarded: httpx.Client, session: agentguard.Session) -> None:
    session.complete()
    with pytest.raises(agentguard.SessionClosed, match="completed"):
        guarded.post("notes", json={"title": "one"})
    assert box.requests("POST") == []


def test_a_client_of_another_session_is_refused(box: Box, guarded: httpx.Client, ledger: Path) -> None:
    with agentguard.session(agent="b", intent="c", ledger=ledger) as other:
        with pytest.raises(agentguard.WrongSession):
            guarded.post("notes", json={"title": "one"})
        with pytest.raises(agentguard.WrongSession):
            agentguard.wrap(guarded, other)
    assert box.requests("POST") == []


def test_wrapping_twice_gives_the_same_twin(
    client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    assert agentguard.wrap(client, session, notes) is guarded
    assert agentguard.wrap(guarded, session) is guarded


def test_an_unknown_client_is_refused_with_what_is_known(session: agentguard.Session) -> None:
    with pytest.raises(agentguard.UnknownClient, match=r"builtins\.dict.*Nothing was wrapped"):
        agentguard.wrap({}, session)
    with pytest.raises(agentguard.UnknownClient, match=r"takes httpx\.Client"):
        agentguard.wrap({}, session, notes)


def test_an_unknown_connector_is_refused_with_what_is_there(client: httpx.Client, session: agentguard.Session) -> None:
    with pytest.raises(agentguard.UnknownConnector, match="github"):
        agentguard.wrap(client, session, "gihub")


def test_wrap_without_a_session_says_what_it_needs(client: httpx.Client) -> None:
    with pytest.raises(agentguard.UsageError, match="needs a session"):
        agentguard.wrap(client, "onboarding")  # type: ignore[arg-type]  # the mistake that is tested
