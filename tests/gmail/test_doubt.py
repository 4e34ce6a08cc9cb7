"""A call whose answer was lost: what a rollback says of it is true, and nobody else's work is touched."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.gmail import gmail
from agentguard_connectors.gmail.codec import A_MOMENT
from googleapiclient.errors import HttpError

import agentguard
from agentguard import CallState, Outcome
from agentguard.policy import Policy, Rule
from agentguard.rulings import Verdict
from agentguard.wire.http import Headers, Response
from tests.boxes import Box
from tests.gmail.cases import CASES, Case, drafts, labels, messages, settings
from tests.gmail.test_batch import Answers, batches
from tests.gmail.world import TOKEN, bytes_of, draft, label, mail, put, service_at
from tests.proving import differences

IDS = [f"{case.operation} {case.name}".strip() for case in CASES]
SURE = {
    "users.drafts.delete",
    "users.drafts.send",
    "users.labels.create",
    "users.labels.delete",
    "users.labels.update",
    "users.messages.batchDelete",
    "users.messages.delete",
    "users.settings.filters.create",
    "users.settings.forwardingAddresses.create",
    "users.settings.sendAs.create",
    "users.threads.delete",
}
"""What is known not to have happened when the look shows nothing."""
MARKED = {"users.drafts.create", "users.messages.import", "users.messages.insert", "users.messages.send"}
"""What carries a mark."""


def lose(box: Box, operation: str, mode: str) -> None:
    """Lose the next answer to *operation*."""
    row = gmail.table.by_name[operation]
    path = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in row.path.strip("/").split("/"))
    box.fault(mode, verb=row.verb, path=f"^/{path}$")


def doubtful(box: Box, service: Any, session: agentguard.Session, case: Case, mode: str) -> Any:
    """Do what *case* says and lose its answer; return what was there before."""
    kept = case.prepare(service)
    before = box.snapshot()
    lose(box, case.operation, mode)
    guarded = agentguard.wrap(service, session)
    with pytest.raises(OSError):  # noqa: PT011 - whatever httplib2 makes of a connection that was cut
        case.do(guarded, kept)
    assert session.calls[-1].state is CallState.IN_DOUBT
    return before


def unexpected(case: Case, before: Any, after: Any) -> list[str]:
    changed = differences(before, after)
    return [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in case.residue)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_lost_call_that_happened_is_taken_back(
    case: Case, box: Box, service: Any, session: agentguard.Session
) -> None:
    before = doubtful(box, service, session, case, "drop_after")
    report = session.rollback()
    assert {result.outcome for result in report.outcomes} == {case.outcome}, str(report)
    assert session.calls[-1].state is CallState.COMMITTED
    if report.ok:
        assert unexpected(case, before, box.snapshot()) == [], str(report)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_of_a_lost_call_that_did_not_happen_nothing_is_taken_back(
    case: Case, box: Box, service: Any, session: agentguard.Session
) -> None:
    before = doubtful(box, service, session, case, "drop_before")
    report = session.rollback()
    assert box.snapshot() == before
    if case.operation in SURE:
        assert session.calls[-1].state is CallState.NOT_APPLIED, str(report)
    else:
        found = {result.outcome for result in report.outcomes}
        assert found <= {Outcome.IN_DOUBT, Outcome.ALREADY_UNDONE}, str(report)


@pytest.mark.parametrize("case", [c for c in CASES if c.operation in MARKED], ids=lambda case: case.operation)
def test_what_a_stranger_made_at_the_same_time_is_not_taken_for_ours(
    case: Case, box: Box, service: Any, session: agentguard.Session
) -> None:
    kept = case.prepare(service)
    lose(box, case.operation, "drop_before")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        case.do(agentguard.wrap(service, session), kept)
    case.do(service, kept)
    before = box.snapshot()
    assert {result.outcome for result in session.rollback().outcomes} == {Outcome.IN_DOUBT}
    assert box.snapshot() == before


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_of_two_equal_mails_the_lost_one_is_told_from_the_other(
    mode: str, box: Box, service: Any, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(service, session)
    body = {"raw": mail()}
    messages(guarded).send(userId="me", body=body).execute()
    box.fault(mode)
    with pytest.raises(OSError):  # noqa: PT011 - as above
        messages(guarded).send(userId="me", body=body).execute()
    report = session.rollback()
    happened = mode == "drop_after"
    assert len(box.snapshot()["delivered"]) == 2 * (1 + happened)
    assert [call.state for call in session.calls] == [
        CallState.COMMITTED,
        CallState.COMMITTED if happened else CallState.IN_DOUBT,
    ]
    assert report.ok is happened


def test_the_mark_on_record_is_the_one_that_was_sent(box: Box, service: Any, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(service, session)
    messages(guarded).send(userId="me", body={"raw": mail()}).execute()
    drafts(guarded).create(userId="me", body={"message": {"raw": mail()}}).execute()
    held = sorted(box.snapshot()["messages"].values(), key=lambda message: message["id"])
    for call, message in zip(session.calls, held, strict=True):
        sent = message_from_bytes(bytes_of(message["raw"]))
        assert sent["Message-ID"] == sent["X-Agentguard-Id"] == f"<agentguard.{call.mark}@mail.gmail.com>"


def test_a_held_mail_keeps_its_mark_when_it_is_sent_and_is_found_by_it(box: Box, service: Any, ledger: Path) -> None:
    held = Policy([Rule(name="later", operations="gmail.users.messages.send", then=Verdict.HOLD)])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=held)
    messages(agentguard.wrap(service, session)).send(userId="me", body={"raw": mail()}).execute()
    assert box.snapshot()["delivered"] == []
    box.fault("drop_after")
    with pytest.raises(agentguard.HeldNotSent):
        session.complete()
    assert session.rollback(agreed=True).ok
    first = min(box.snapshot()["messages"].values(), key=lambda message: str(message["id"]))
    assert str(session.calls[0].mark) in message_from_bytes(bytes_of(first["raw"]))["Message-ID"]
    assert len(box.snapshot()["delivered"]) == 2


def test_a_mail_that_the_search_does_not_show_yet_is_found_among_the_newest(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    box.seed(search_lags=True, keeps_message_id=False)
    box.fault("drop_after")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        messages(agentguard.wrap(service, session)).send(userId="me", body={"raw": mail()}).execute()
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.COMPENSATED]


def test_a_message_id_of_the_caller_s_own_that_is_on_two_messages_names_neither(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    raw = mail(Message_ID="<again@example.com>")
    messages(service).send(userId="me", body={"raw": raw}).execute()
    box.fault("drop_after")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        messages(agentguard.wrap(service, session)).send(userId="me", body={"raw": raw}).execute()
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert len(box.snapshot()["delivered"]) == 2


@pytest.mark.parametrize(
    ("given", "change", "expected"),
    [
        ({}, {"color": {"backgroundColor": "#000000", "textColor": "#ffffff"}}, Outcome.CONFLICT),
        ({"labelListVisibility": "labelHide"}, {"labelListVisibility": "labelShow"}, Outcome.IN_DOUBT),
    ],
    ids=["a color", "what the call gave"],
)
def test_a_label_that_somebody_changed_since_is_kept(
    given: Any, change: Any, expected: Outcome, box: Box, service: Any, session: agentguard.Session
) -> None:
    lose(box, "users.labels.create", "drop_after")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        labels(agentguard.wrap(service, session)).create(userId="me", body={"name": "Plans", **given}).execute()
    made = next(key for key, one in box.snapshot()["labels"].items() if one["name"] == "Plans")
    labels(service).patch(userId="me", id=made, body=change).execute()
    before = box.snapshot()
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [expected], str(report)
    assert box.snapshot() == before


def test_a_copy_in_the_mailbox_is_not_taken_for_the_mail_that_was_to_be_sent(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    raw = mail(Message_ID="<copy@example.com>")
    messages(service).insert(userId="me", body={"raw": raw, "labelIds": ["INBOX"]}).execute()
    box.fault("drop_before")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        messages(agentguard.wrap(service, session)).send(userId="me", body={"raw": raw}).execute()
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot()["delivered"] == []


def test_a_draft_that_is_gone_without_a_mail_to_be_found_stays_in_doubt(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    name = draft(service)
    box.seed(search_lags="all")
    box.fault("drop_after")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        drafts(agentguard.wrap(service, session)).send(userId="me", body={"id": name}).execute()
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "the draft is gone" in result.detail
    box.seed(search_lags=False)
    assert session.rollback().ok


# What is known by its name


def lost(box: Box, session: agentguard.Session, mode: str, act: Any) -> None:
    box.fault(mode)
    with pytest.raises(OSError):  # noqa: PT011 - as above
        act()


def test_a_label_or_a_filter_that_was_there_before_is_not_taken_for_ours(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    rule = {"criteria": {"from": "a@example.org"}, "action": {"addLabelIds": ["STARRED"]}}
    label(service, "Own")
    settings(service).filters().create(userId="me", body=rule).execute()
    guarded = agentguard.wrap(service, session)
    before = box.snapshot()
    lost(box, session, "drop_after", labels(guarded).create(userId="me", body={"name": "own"}).execute)
    lost(box, session, "drop_after", settings(guarded).filters().create(userId="me", body=rule).execute)
    assert session.rollback().ok
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED] * 2
    assert box.snapshot() == before


def test_an_address_that_was_there_before_is_not_taken_for_ours(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    body = {"forwardingEmail": "a@example.com"}
    settings(service).forwardingAddresses().create(userId="me", body=body).execute()
    before = box.snapshot()
    guarded = agentguard.wrap(service, session)
    lost(box, session, "drop_before", settings(guarded).forwardingAddresses().create(userId="me", body=body).execute)
    assert session.rollback().ok
    assert box.snapshot() == before


def test_another_label_of_the_same_name_or_another_filter_leaves_the_call_in_doubt(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    guarded = agentguard.wrap(service, session)
    given = {"name": "Own", "labelListVisibility": "labelHide"}
    rule = {"criteria": {"from": "a@example.org"}, "action": {"addLabelIds": ["STARRED"]}}
    lost(box, session, "drop_before", labels(guarded).create(userId="me", body=given).execute)
    lost(box, session, "drop_before", settings(guarded).filters().create(userId="me", body=rule).execute)
    label(service, "Own")
    other = {**rule, "criteria": {"from": "b@example.org"}}
    settings(service).filters().create(userId="me", body=other).execute()
    before = box.snapshot()
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.IN_DOUBT] * 2
    assert box.snapshot() == before


def test_messages_of_which_some_are_gone_leave_the_call_in_doubt(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    first, second = put(service, "INBOX"), put(service, "INBOX", subject="Other")
    guarded = agentguard.wrap(service, session)
    act = messages(guarded).batchDelete(userId="me", body={"ids": [first, second]}).execute
    lost(box, session, "drop_before", act)
    messages(service).delete(userId="me", id=first).execute()
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "1 of the 2 messages" in result.detail


# Batches


def in_batch(guarded: Any, message: str, answers: Answers) -> Any:
    batch = guarded.new_batch_http_request(callback=answers)
    batch.add(labels(guarded).create(userId="me", body={"name": "One"}), request_id="label")
    batch.add(messages(guarded).trash(userId="me", id=message), request_id="trash")
    batch.add(messages(guarded).send(userId="me", body={"raw": mail("Grüße")}), request_id="send")
    batch.add(drafts(guarded).create(userId="me", body={"message": {"raw": mail("Plan")}}), request_id="draft")
    return batch


@pytest.mark.parametrize("done", [0, 1, 2, 3, 4])
def test_a_batch_of_which_only_some_parts_were_done_is_settled_part_by_part(
    done: int, box: Box, service: Any, session: agentguard.Session
) -> None:
    message = put(service, "INBOX")
    box.fault("partial", path="^/batch", first=done, drop=True)
    with pytest.raises(OSError):  # noqa: PT011 - as above
        in_batch(agentguard.wrap(service, session), message, Answers()).execute()
    assert {call.state for call in session.calls} == {CallState.IN_DOUBT}
    session.rollback()
    assert [call.state for call in session.calls] == [
        CallState.COMMITTED if done > 0 else CallState.NOT_APPLIED,
        CallState.COMMITTED if done > 1 else CallState.IN_DOUBT,  # and read back as it was before
        CallState.COMMITTED if done > 2 else CallState.IN_DOUBT,
        CallState.COMMITTED if done > 3 else CallState.IN_DOUBT,
    ]
    state = box.snapshot()
    assert [kept["name"] for kept in state["labels"].values() if kept["type"] == "user"] == []
    assert set(state["messages"][message]["labelIds"]) == {"INBOX"}
    assert len(state["delivered"]) == (2 if done > 2 else 0)
    assert state["drafts"] == {}


def test_parts_that_were_turned_away_certainly_did_not_happen(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    message = put(service, "INBOX")
    before = box.snapshot()
    box.fault("partial", path="^/batch", first=2)
    answers = Answers()
    in_batch(agentguard.wrap(service, session), message, answers).execute()
    assert [call.state for call in session.calls] == [CallState.COMMITTED] * 2 + [CallState.NOT_APPLIED] * 2
    assert isinstance(answers["send"], HttpError)
    assert session.rollback().ok
    assert [path for path in differences(before, box.snapshot()) if "labelIds" not in path] == []


@pytest.fixture
def resumed(service: Any, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin again, as a new process of the same agent does; returns the guarded service."""
    monkeypatch.setattr("agentguard.ledger.sqlite.leases.is_gone", lambda owner: True)

    def begin() -> Any:
        session = agentguard.session(agent="a", intent="i", id="s1", ledger=ledger, on_crash="resume")
        return agentguard.wrap(service, session)

    return begin


def test_a_resumed_batch_gets_its_answers_from_the_record(box: Box, service: Any, resumed: Any) -> None:
    message = put(service, "INBOX")
    first, second = Answers(), Answers()
    in_batch(resumed(), message, first).execute()
    before = box.snapshot()
    in_batch(resumed(), message, second).execute()
    assert second == first
    assert second["send"]["labelIds"] == ["SENT"]
    assert len(batches(box)) == 1
    assert box.snapshot() == before


def test_of_a_resumed_batch_only_what_is_not_on_record_is_sent(box: Box, service: Any, resumed: Any) -> None:
    message = put(service, "INBOX")
    guarded = resumed()
    labels(guarded).create(userId="me", body={"name": "One"}).execute()
    messages(guarded).send(userId="me", body={"raw": mail("Grüße")}).execute()
    answers = Answers()
    in_batch(resumed(), message, answers).execute()
    assert [answers[name]["id"] for name in ("label", "trash")] == ["Label_2", message]
    assert answers["draft"]["id"] == next(iter(box.snapshot()["drafts"]))
    assert answers["send"]["labelIds"] == ["SENT"]
    assert len(box.snapshot()["delivered"]) == 1
    assert len(batches(box)) == 1


def test_a_lost_batch_is_settled_before_its_parts_are_made_again(box: Box, service: Any, resumed: Any) -> None:
    box.fault("drop_after", path="^/batch")
    name = put(service, "INBOX")
    with pytest.raises(OSError):  # noqa: PT011 - as above
        in_batch(resumed(), name, Answers()).execute()
    before = box.snapshot()
    answers = Answers()
    in_batch(resumed(), name, answers).execute()
    assert [answers[part]["id"] for part in ("label", "trash")] == ["Label_2", name]
    assert answers["send"]["labelIds"] == ["SENT"]
    assert answers["draft"]["id"] in before["drafts"]
    assert box.snapshot() == before


def test_an_answer_is_composed_as_google_writes_it(box: Box, service: Any, session: agentguard.Session) -> None:
    bare = Answers()
    guarded = agentguard.wrap(service, session)
    batch = guarded.new_batch_http_request(callback=bare)
    batch.add(labels(guarded).create(userId="me", body={"name": "Taken"}), request_id="1")
    batch.execute()
    seen = batches(box)[0]
    headers = Headers({"content-type": seen["headers"]["content-type"]})
    boundary = re.search('boundary="?([^";]+)', headers["content-type"])
    assert boundary is not None
    part = "--{}\r\nContent-Type: application/http\r\nContent-ID: <a + {}>\r\n\r\nPOST /x HTTP/1.1\r\n\r\n\r\n"
    body = "".join(part.format(boundary[1], n) for n in (1, 2))
    request = agentguard.wire.http.Request("POST", box.url, headers, f"{body}--{boundary[1]}--\r\n".encode())
    responses = [
        Response(200, Headers({"content-type": "application/json"}), '{"name": "Größe"}'.encode()),
        Response(204, Headers(), b""),
    ]
    composed = gmail.codec.compose(request, responses)
    assert composed.status == 200
    assert composed.headers["content-type"].startswith("multipart/mixed; boundary=")
    apart = gmail.codec.separate(request, composed, 2)
    assert [(one.status, one.body) for one in apart if one] == [(r.status, r.body) for r in responses]


# Other processes


AGENT = """
import base64, os, sys
import agentguard
from agentguard_connectors.gmail import gmail
service = gmail.account.client(os.environ)
raw = base64.urlsafe_b64encode(b"To: a@example.org\\nSubject: Hi\\n\\nHi").decode()
with agentguard.session(agent="a", intent="i", ledger=sys.argv[1], approver=lambda _card: True) as session:
    users = agentguard.wrap(service, session).users()
    try:
        users.%s.execute()
    except Exception:
        os._exit(9)
"""


@pytest.mark.parametrize(
    ("call", "mode", "code"),
    [
        ('drafts().create(userId="me", body={"message": {"raw": raw}})', "drop_after", 0),
        ('labels().create(userId="me", body={"name": "Own"})', "drop_after", 0),
        ('labels().create(userId="me", body={"name": "Own"})', "drop_before", 0),
        ('drafts().create(userId="me", body={"message": {"raw": raw}})', "drop_before", 1),
    ],
    ids=["a draft that was made", "a label that was made", "a label that was not", "a draft that was not"],
)
def test_another_process_finds_out_what_became_of_it(call: str, mode: str, code: int, box: Box, tmp_path: Path) -> None:
    own = {"GMAIL_API_URL": box.url, "GMAIL_ACCESS_TOKEN": TOKEN, "AGENTGUARD_LEDGER": str(tmp_path / "ledger.db")}
    environment = {**os.environ, **own}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    before = box.snapshot()
    box.fault(mode)
    died = run("-c", AGENT % call, own["AGENTGUARD_LEDGER"])
    assert died.returncode == 9, died.stderr
    rolled_back = run("-m", "agentguard", "rollback", "last", "--yes")
    assert rolled_back.returncode == code, rolled_back.stdout + rolled_back.stderr
    assert box.snapshot() == before


# Where the failure was


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://nowhere.invalid"], ids=["refused", "no such name"])
def test_a_call_that_reached_nobody_certainly_did_nothing(
    url: str, box: Box, service: Any, session: agentguard.Session
) -> None:
    request = messages(agentguard.wrap(service_at(url), session)).send(userId="me", body={"raw": mail()})
    with pytest.raises(Exception, match=r"refused|Unable to find"):
        request.execute()
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def test_a_call_for_which_no_tls_came_about_certainly_did_nothing(box: Box, session: agentguard.Session) -> None:
    guarded = agentguard.wrap(service_at(box.url.replace("http:", "https:")), session)
    with pytest.raises(OSError, match=r"(?i)ssl"):
        messages(guarded).send(userId="me", body={"raw": mail()}).execute()
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def problem(reason: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"code": 403, "message": message, "errors": [{"reason": reason, "domain": "usageLimits"}]}}


LATER = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize(
    ("status", "headers", "body", "state", "again_in"),
    [
        (429, {"retry-after": "3"}, problem("rateLimitExceeded"), CallState.NOT_APPLIED, 3.0),
        (
            429,
            {},
            problem("userRateLimitExceeded", f"User-rate limit exceeded.  Retry after {LATER}"),
            CallState.NOT_APPLIED,
            3600.0,
        ),
        (429, {}, problem("userRateLimitExceeded", "Retry after 2026-99-99T00:00:00Z"), CallState.NOT_APPLIED, None),
        (403, {}, problem("rateLimitExceeded"), CallState.NOT_APPLIED, A_MOMENT),
        (403, {}, problem("dailyLimitExceeded"), CallState.NOT_APPLIED, None),
        (403, {}, problem("insufficientPermissions"), CallState.NOT_APPLIED, None),
        (500, {}, problem("backendError"), CallState.IN_DOUBT, None),
        (502, {}, {}, CallState.IN_DOUBT, None),
        (503, {"retry-after": "9"}, {}, CallState.IN_DOUBT, 9.0),
    ],
)
def test_what_an_error_proves_and_when_to_come_again(
    status: int,
    headers: dict[str, str],
    body: Any,
    state: CallState,
    again_in: float | None,
    box: Box,
    service: Any,
    session: agentguard.Session,
) -> None:
    box.fault("status_before", status=status, body=body, headers=headers)
    with pytest.raises(HttpError):
        labels(agentguard.wrap(service, session)).create(userId="me", body={"name": "Own"}).execute()
    assert [call.state for call in session.calls] == [state]
    response = Response(status, Headers(headers), json.dumps(body).encode())
    told = gmail.codec.answer(gmail.table.by_name["users.labels.create"], response).retry_after
    assert told == (None if again_in is None else pytest.approx(again_in, abs=600 if again_in == 3600 else 0.01))
