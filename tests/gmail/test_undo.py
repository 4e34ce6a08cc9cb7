"""Every guarded operation of Gmail is done through the real SDK, undone, and compared from the outside."""

from __future__ import annotations

import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.gmail import gmail
from google.oauth2.credentials import Credentials

import agentguard
from agentguard import Outcome
from agentguard.calls import matches
from tests.boxes import Box
from tests.gmail.cases import CASES, Case, messages, settings
from tests.gmail.world import TOKEN, bytes_of, draft, label, mail, put, put_thread, service_at
from tests.proving import prove

IDS = [f"{case.operation} {case.name}".strip() for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_done_is_undone(case: Case, box: Box, service: Any, ledger: Path) -> None:
    kept = case.prepare(service)
    prove(
        box,
        ledger,
        service,
        lambda guarded: case.do(guarded, kept),
        operation=f"gmail.{case.operation}",
        outcome=case.outcome,
        residue=case.residue,
    )


def test_every_guarded_operation_is_proved() -> None:
    assert {case.operation for case in CASES} == set(gmail.guarded)


def undone(service: Any, session: agentguard.Session, do: Any) -> agentguard.Report:
    with session:
        do(agentguard.wrap(service, session))
    return session.rollback()


def contents(box: Box) -> list[tuple[str, frozenset[str], str]]:
    """What each message is, whatever its id."""
    held = box.snapshot()["messages"].values()
    return sorted(((m["raw"], frozenset(m["labelIds"]), m["internalDate"]) for m in held), key=str)


def test_a_correction_goes_to_the_same_people_in_the_same_thread(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    raw = mail("Welcome", to="New Hire <new.hire@example.org>, peer@example.org", Cc="boss@example.org")
    report = undone(service, session, lambda s: messages(s).send(userId="me", body={"raw": raw}).execute())
    assert report.ok
    first, second = sorted(box.snapshot()["messages"].values(), key=lambda m: m["id"])
    assert first["threadId"] == second["threadId"]
    assert set(first["labelIds"]) == {"SENT", "STARRED"}
    sent, correction = (message_from_bytes(bytes_of(m["raw"])) for m in (first, second))
    assert (correction["To"], correction["Cc"]) == (sent["To"], sent["Cc"])
    assert correction["In-Reply-To"] == correction["References"] == sent["Message-ID"]
    assert correction["Subject"] == "Re: Welcome"
    assert "Correction: please disregard" in str(correction.get_payload())
    delivered = box.snapshot()["delivered"]
    assert delivered[0]["to"] == delivered[1]["to"]


def test_a_correction_names_the_id_that_gmail_gave_the_mail(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    box.seed(keeps_message_id=False)
    assert undone(service, session, lambda s: messages(s).send(userId="me", body={"raw": mail()}).execute()).ok
    first, second = sorted(box.snapshot()["messages"].values(), key=lambda m: m["id"])
    given = message_from_bytes(bytes_of(first["raw"]))["Message-ID"]
    assert given.startswith("<CA+")
    assert message_from_bytes(bytes_of(second["raw"]))["In-Reply-To"] == given


def test_deleted_messages_come_back_with_content_labels_and_date(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    own = label(service, "Own")
    thread, names = put_thread(service, ("INBOX", own), ("SENT",), ("UNREAD",))
    single = put(service, "STARRED", subject="Alone")
    before = contents(box)

    def do(guarded: Any) -> None:
        messages(guarded).delete(userId="me", id=names[1]).execute()
        messages(guarded).batchDelete(userId="me", body={"ids": [single, "18c0ffee99999999"]}).execute()
        guarded.users().threads().delete(userId="me", id=thread).execute()

    report = undone(service, session, do)
    assert {o.outcome for o in report.outcomes} == {Outcome.COMPENSATED}
    assert contents(box) == before
    together = [m["threadId"] for m in box.snapshot()["messages"].values() if m["snippet"] == "Hi there"]
    assert len(set(together)) == 2, "one thread, and the message that was alone"


def test_a_draft_that_is_deleted_as_a_message_is_a_draft_again(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    draft(service)
    (name,) = box.snapshot()["messages"]
    assert undone(service, session, lambda s: messages(s).delete(userId="me", id=name).execute()).ok
    assert len(box.snapshot()["drafts"]) == 1


def test_a_draft_that_somebody_changed_is_not_deleted(box: Box, service: Any, session: agentguard.Session) -> None:
    def do(guarded: Any) -> None:
        made = guarded.users().drafts().create(userId="me", body={"message": {"raw": mail("Plan")}}).execute()
        body = {"message": {"raw": mail("Better plan")}}
        service.users().drafts().update(userId="me", id=made["id"], body=body).execute()

    report = undone(service, session, do)
    assert [o.outcome for o in report.outcomes] == [Outcome.CONFLICT]
    assert len(box.snapshot()["drafts"]) == 1
    assert not box.requests("DELETE")


def test_a_draft_update_whose_mail_cannot_be_read_claims_nothing_about_the_draft() -> None:
    steps: Any = gmail.guarded["users.drafts.update"].handler("me", "r1", {"raw": "!"})
    next(steps)
    way_back = steps.send({"id": "r1", "message": {"raw": mail("Old")}})
    theirs = gmail.views["draft"]({"message": {"raw": mail("Theirs")}})
    assert not matches(way_back.left, theirs)


def test_a_label_on_more_messages_than_are_noted_down_says_so(
    box: Box, service: Any, session: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard_connectors.gmail.labels.PAGES", 2)
    monkeypatch.setattr("agentguard_connectors.gmail.labels.PAGE", 2)
    name = label(service, "Big")
    for _ in range(5):
        put(service, name)
    report = undone(service, session, lambda s: s.users().labels().delete(userId="me", id=name).execute())
    (result,) = report.outcomes
    assert result.outcome is Outcome.IRREVERSIBLE
    assert "more than 4 messages had the label" in result.detail


def test_a_label_that_somebody_else_changed_too_is_left_alone_and_others_survive(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    name = put(service, "INBOX")

    def do(guarded: Any) -> None:
        messages(guarded).modify(userId="me", id=name, body={"addLabelIds": ["STARRED"]}).execute()
        messages(guarded).modify(userId="me", id=name, body={"addLabelIds": ["IMPORTANT"]}).execute()
        body = {"addLabelIds": ["UNREAD"], "removeLabelIds": ["STARRED"]}
        messages(service).modify(userId="me", id=name, body=body).execute()

    report = undone(service, session, do)
    assert [o.outcome for o in report.outcomes] == [Outcome.RESTORED, Outcome.ALREADY_UNDONE]
    assert set(box.snapshot()["messages"][name]["labelIds"]) == {"INBOX", "UNREAD"}


def test_a_setting_that_somebody_changed_since_is_a_conflict(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    def do(guarded: Any) -> None:
        settings(guarded).updatePop(userId="me", body={"accessWindow": "allMail"}).execute()
        settings(service).updatePop(userId="me", body={"accessWindow": "fromNowOn"}).execute()

    report = undone(service, session, do)
    assert [o.outcome for o in report.outcomes] == [Outcome.CONFLICT]
    assert "allMail" in report.outcomes[0].detail
    assert "fromNowOn" in report.outcomes[0].detail
    assert box.snapshot()["settings"]["pop"] == {"accessWindow": "fromNowOn"}


def test_a_new_label_that_others_use_is_not_deleted(box: Box, service: Any, session: agentguard.Session) -> None:
    def do(guarded: Any) -> None:
        made = guarded.users().labels().create(userId="me", body={"name": "New"}).execute()
        put(service, made["id"])

    report = undone(service, session, do)
    assert [o.outcome for o in report.outcomes] == [Outcome.CONFLICT]
    assert "Label_1" in box.snapshot()["labels"]


def test_a_deleted_label_is_on_its_messages_again(box: Box, service: Any, session: agentguard.Session) -> None:
    name = label(service, "Projects")
    used = [put(service, "INBOX", name), put(service, name)]
    assert undone(service, session, lambda s: s.users().labels().delete(userId="me", id=name).execute()).ok
    state = box.snapshot()
    (new,) = [item["id"] for item in state["labels"].values() if item["name"] == "Projects"]
    assert all(new in state["messages"][message]["labelIds"] for message in used)


def test_a_call_that_changes_nothing_registers_nothing(box: Box, service: Any, session: agentguard.Session) -> None:
    name = put(service, "INBOX")
    body = {"addLabelIds": ["INBOX"], "removeLabelIds": ["UNREAD"]}
    report = undone(service, session, lambda s: messages(s).modify(userId="me", id=name, body=body).execute())
    assert [o.outcome for o in report.outcomes] == [Outcome.ALREADY_UNDONE]
    assert len(box.requests("POST")) == 2


def test_a_correction_that_could_not_be_prepared_is_not_passed_over(
    box: Box, service: Any, session: agentguard.Session, caplog: pytest.LogCaptureFixture
) -> None:
    box.fault("status_before", verb="GET", path="/messages/")
    report = undone(service, session, lambda s: messages(s).send(userId="me", body={"raw": mail()}).execute())
    assert "its undo could not be registered" in caplog.text
    assert not report.ok
    assert [o.outcome for o in report.outcomes] == [Outcome.FAILED]
    assert "the way back could not be worked out" in report.outcomes[0].detail


def test_a_client_that_may_only_send_can_send_a_correction(box: Box, session: agentguard.Session) -> None:
    with service_at(box.url, credentials=Credentials(token="ya29.send-only-token")) as service:
        report = undone(service, session, lambda s: messages(s).send(userId="me", body={"raw": mail()}).execute())
    assert [o.outcome for o in report.outcomes] == [Outcome.COMPENSATED]
    first, second = sorted(box.snapshot()["messages"].values(), key=lambda m: m["id"])
    assert second["threadId"] == first["threadId"]
    assert first["labelIds"] == ["SENT"]


def test_a_call_whose_former_state_may_not_be_read_is_not_sent(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    name = put(service, "INBOX")
    with service_at(box.url, credentials=Credentials(token="ya29.send-only-token")) as narrow:
        guarded = agentguard.wrap(narrow, session)
        with session, pytest.raises(agentguard.SnapshotFailed, match="insufficient authentication scopes"):
            messages(guarded).trash(userId="me", id=name).execute()
    assert box.snapshot()["messages"][name]["labelIds"] == ["INBOX"]


def test_another_process_takes_the_work_back_with_the_account_in_its_environment(
    box: Box, service: Any, session: agentguard.Session, ledger: Path
) -> None:
    name = put(service, "INBOX")
    thread, names = put_thread(service, ("INBOX",), ("SENT",))
    own = label(service, "Own")
    put(service, own, subject="Labelled")
    before = contents(box)
    with session:
        guarded = agentguard.wrap(service, session)
        messages(guarded).send(userId="me", body={"raw": mail()}).execute()
        messages(guarded).trash(userId="me", id=name).execute()
        messages(guarded).delete(userId="me", id=names[1]).execute()
        guarded.users().threads().modify(userId="me", id=thread, body={"addLabelIds": ["STARRED"]}).execute()
        guarded.users().labels().delete(userId="me", id=own).execute()
    command = [sys.executable, "-m", "agentguard", "rollback", session.id, "--ledger", str(ledger), "--yes"]
    environment = {**os.environ, "GMAIL_ACCESS_TOKEN": TOKEN, "GMAIL_API_URL": box.url}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after = box.snapshot()
    new = next(item["id"] for item in after["labels"].values() if item["name"] == "Own")
    mailed = {d["message"] for d in after["delivered"]}
    left = [
        (m["raw"], frozenset(own if each == new else each for each in m["labelIds"]), m["internalDate"])
        for m in after["messages"].values()
        if m["id"] not in mailed
    ]
    assert sorted(left, key=str) == sorted(before, key=str)
    assert len(mailed) == 2


def test_what_was_made_changed_and_deleted_in_one_session_is_gone_afterwards(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    kept = put(service, "INBOX")
    before = box.snapshot()

    def do(guarded: Any) -> None:
        drafts, labels = guarded.users().drafts(), guarded.users().labels()
        name = drafts.create(userId="me", body={"message": {"raw": mail("Plan", "One")}}).execute()["id"]
        drafts.update(userId="me", id=name, body={"message": {"raw": mail("Plan", "Two")}}).execute()
        drafts.update(userId="me", id=name, body={"message": {"raw": mail("Plan", "Three")}}).execute()
        drafts.delete(userId="me", id=name).execute()
        own = labels.create(userId="me", body={"name": "Own"}).execute()["id"]
        labels.patch(userId="me", id=own, body={"name": "Mine"}).execute()
        messages(guarded).modify(userId="me", id=kept, body={"addLabelIds": [own]}).execute()
        labels.delete(userId="me", id=own).execute()
        rule = {"criteria": {"from": "a@example.org"}, "action": {"addLabelIds": ["STARRED"]}}
        made = settings(guarded).filters().create(userId="me", body=rule).execute()
        settings(guarded).filters().delete(userId="me", id=made["id"]).execute()

    report = undone(service, session, do)
    assert report.ok, str(report)
    assert box.snapshot() == before


def test_a_message_that_was_moved_and_then_deleted_comes_back_to_where_it_was(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    name = put(service, "INBOX", "UNREAD")
    before = contents(box)

    def do(guarded: Any) -> None:
        messages(guarded).modify(userId="me", id=name, body={"removeLabelIds": ["UNREAD"]}).execute()
        messages(guarded).trash(userId="me", id=name).execute()
        messages(guarded).delete(userId="me", id=name).execute()

    assert undone(service, session, do).ok
    assert contents(box) == before
