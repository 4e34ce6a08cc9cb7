"""A batch of N calls is N calls in the ledger, sent as one request, each with its own outcome and its own undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

import agentguard
from agentguard import ApprovalDenied, ApprovalRequired, Outcome, UsageError
from agentguard.calls import CallState
from tests.boxes import Box
from tests.gmail.cases import labels, messages
from tests.gmail.world import label, mail, put, service_at
from tests.proving import differences


class Answers(dict[str, Any]):
    """What came of each member, by its id: the answer, or the exception."""

    def __call__(self, name: str, response: Any, exception: Any) -> None:
        self[name] = exception or response


def batches(box: Box) -> list[dict[str, Any]]:
    return [r for r in box.requests("POST") if r["path"].startswith("/batch")]


def members(guarded: Any, message: str, answers: Answers) -> Any:
    """A batch of a read, three writes that work, and two that do not."""
    batch = guarded.new_batch_http_request(callback=answers)
    batch.add(messages(guarded).get(userId="me", id=message), request_id="read")
    batch.add(messages(guarded).trash(userId="me", id=message), request_id="trash")
    batch.add(messages(guarded).trash(userId="me", id="18c0ffee99999999"), request_id="missing")
    batch.add(labels(guarded).create(userId="me", body={"name": "New"}), request_id="label")
    batch.add(labels(guarded).create(userId="me", body={"name": "Taken"}), request_id="taken")
    batch.add(messages(guarded).send(userId="me", body={"raw": mail("Grüße", "Größe")}), request_id="send")
    return batch


def test_each_member_of_a_batch_is_a_call_with_its_own_answer_and_its_own_undo(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    message = put(service, "INBOX", "UNREAD")
    label(service, "Taken")
    before = box.snapshot()
    answers = Answers()
    with session:
        guarded = agentguard.wrap(service, session)
        members(guarded, message, answers).execute()

    assert len(batches(box)) == 1
    assert [(call.name, call.state) for call in session.calls] == [
        ("users.messages.trash", CallState.COMMITTED),
        ("users.messages.trash", CallState.NOT_APPLIED),
        ("users.labels.create", CallState.COMMITTED),
        ("users.labels.create", CallState.NOT_APPLIED),
        ("users.messages.send", CallState.COMMITTED),
    ]
    assert [call.status for call in session.calls] == [200, 404, 200, 409, 200]
    assert session.calls[1].error is not None
    assert "not found" in session.calls[1].error
    assert session.calls[0].snapshots == [{"INBOX": True, "UNREAD": True}]
    assert answers["read"]["id"] == message
    assert answers["trash"]["labelIds"] == ["UNREAD", "TRASH"]
    assert isinstance(answers["missing"], HttpError)
    assert isinstance(answers["taken"], HttpError)
    assert answers["label"]["name"] == "New"
    assert answers["send"]["labelIds"] == ["SENT"]
    assert session.calls[4].arguments["mail"]["message_id"].startswith("<agentguard.")
    assert session.calls[4].arguments["mail"]["subject"] == "Grüße"

    report = session.rollback()
    assert {(o.seq, o.outcome) for o in report.outcomes} == {
        (1, Outcome.RESTORED),
        (3, Outcome.RESTORED),
        (5, Outcome.COMPENSATED),
    }
    left = differences(before, box.snapshot())
    assert all(path == "delivered" or path.startswith("messages.") for path in left)
    assert set(box.snapshot()["messages"][message]["labelIds"]) == {"INBOX", "UNREAD"}


def test_members_that_ask_for_a_part_of_an_answer_get_the_whole(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    before = box.snapshot()
    answers = Answers()
    with session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request(callback=answers)
        batch.add(labels(guarded).create(userId="me", body={"name": "New"}, fields="name"))
        batch.add(labels(guarded).list(userId="me", fields="labels"))
        batch.execute()
    assert "id" in answers["1"]
    assert "labels" in answers["2"]
    assert session.rollback().ok
    assert box.snapshot() == before


def test_a_batch_of_reads_goes_as_it_is(box: Box, service: Any, session: agentguard.Session) -> None:
    message = put(service)
    answers = Answers()
    with session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request(callback=answers)
        batch.add(messages(guarded).get(userId="me", id=message))
        batch.add(labels(guarded).list(userId="me"))
        batch.execute()
    assert set(answers) == {"1", "2"}
    assert session.calls == []


def test_a_refused_member_means_that_nothing_is_sent(box: Box, service: Any, ledger: Path) -> None:
    message = put(service, "INBOX")
    before = box.snapshot()
    with agentguard.session(agent="a", intent="i", ledger=ledger, on_error="leave") as session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request()
        batch.add(messages(guarded).trash(userId="me", id=message))
        batch.add(messages(guarded).batchDelete(userId="me", body={"ids": [message]}))
        batch.add(messages(guarded).send(userId="me", body={"raw": mail()}))
        with pytest.raises(ApprovalRequired):
            batch.execute()
    assert batches(box) == []
    assert box.snapshot() == before
    assert [(call.name, call.state) for call in session.calls] == [
        ("users.messages.trash", CallState.NOT_APPLIED),
        ("users.messages.batchDelete", CallState.REFUSED),
    ]
    assert session.calls[0].error is not None
    assert "another call of the same request was stopped" in session.calls[0].error
    assert session.rollback().outcomes == []


def test_each_member_is_approved_by_itself(box: Box, service: Any, ledger: Path) -> None:
    message = put(service, "INBOX")
    asked = []

    def approver(card: Any) -> bool:
        asked.append(card.operation)
        return "threads" not in card.operation

    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=approver, on_error="leave") as session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request()
        batch.add(messages(guarded).batchDelete(userId="me", body={"ids": [message]}))
        batch.add(guarded.users().threads().delete(userId="me", id=message))
        with pytest.raises(ApprovalDenied):
            batch.execute()
    assert asked == ["gmail.users.messages.batchDelete", "gmail.users.threads.delete"]
    assert batches(box) == []


@pytest.mark.parametrize("mode", ["drop_after", "status_after"])
def test_a_batch_without_an_answer_is_sent_once_and_each_call_is_settled_by_what_is_there(
    mode: str, box: Box, service: Any, session: agentguard.Session
) -> None:
    first, second = put(service, "INBOX"), put(service, "INBOX", subject="Other")
    before = box.snapshot()
    box.fault(mode, path="^/batch")
    with session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request()
        for name in (first, second):
            batch.add(messages(guarded).trash(userId="me", id=name))
        with pytest.raises((HttpError, OSError)) as raised:
            batch.execute()
        assert not isinstance(raised.value, agentguard.AgentguardError)
    assert len(batches(box)) == 1
    assert {call.state for call in session.calls} == {CallState.IN_DOUBT}
    report = session.rollback()
    assert [o.outcome for o in report.outcomes] == [Outcome.RESTORED, Outcome.RESTORED]
    assert {n: set(m["labelIds"]) for n, m in box.snapshot()["messages"].items()} == {
        n: set(m["labelIds"]) for n, m in before["messages"].items()
    }


def test_an_answer_that_is_cut_off_leaves_its_calls_in_doubt(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    message = put(service, "INBOX")
    box.fault("truncate", path="^/batch")
    with session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request()
        batch.add(messages(guarded).trash(userId="me", id=message))
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the SDK makes of half an answer
            batch.execute()
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
    assert session.rollback().ok


def test_a_batch_that_would_leave_for_google_is_stopped(box: Box, service: Any, session: agentguard.Session) -> None:
    message = put(service, "INBOX")
    with session:
        guarded = agentguard.wrap(service, session)
        batch = guarded.new_batch_http_request()
        batch._batch_uri = "https://www.googleapis.com/batch/gmail/v1"
        batch.add(messages(guarded).trash(userId="me", id=message))
        with pytest.raises(UsageError, match="would go to www"):
            batch.execute()
    assert session.calls == []


def test_another_batch_address_at_the_service_is_taken(box: Box, service: Any, session: agentguard.Session) -> None:
    message = put(service, "INBOX")
    with session:
        guarded = agentguard.wrap(service, session)
        batch = BatchHttpRequest(batch_uri=f"{box.url}/batch/gmail/v1")
        batch.add(messages(guarded).trash(userId="me", id=message))
        batch.execute()
        # With an http of its own, too.
        batch = guarded.new_batch_http_request()
        batch.add(messages(guarded).untrash(userId="me", id=message))
        batch.execute(http=service._http)
    assert [call.name for call in session.calls] == ["users.messages.trash", "users.messages.untrash"]


def test_a_member_that_was_turned_away_for_its_token_is_sent_again_as_a_new_call(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    message = put(service, "INBOX")
    with renewing(box) as renewed, session:
        guarded = agentguard.wrap(renewed, session)
        answers = Answers()
        batch = guarded.new_batch_http_request(callback=answers)
        batch.add(messages(guarded).trash(userId="me", id=message))
        renewed._http.credentials.token = "expired"
        batch.execute()
        assert answers["1"]["labelIds"] == ["TRASH"]
        assert [call.state for call in session.calls][-1] is CallState.COMMITTED
        assert session.rollback().ok


def renewing(box: Box) -> Any:
    """A service whose credentials make themselves a good token when asked to."""
    from google.oauth2.credentials import Credentials

    class Renewing(Credentials):  # type: ignore[misc] # google-auth comes without types
        def refresh(self, request: Any) -> None:
            self.token = "ya29.renewed-token-of-the-stand-in"

    return service_at(box.url, credentials=Renewing(token="ya29.first-token-of-the-stand-in"))
