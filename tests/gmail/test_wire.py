"""The gate under google-api-python-client: whatever path leads to the transport, one write is one call, sent once."""

from __future__ import annotations

import base64
import copy
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import google_auth_httplib2
import httplib2
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import Resource, build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest, MediaInMemoryUpload, MediaIoBaseUpload

import agentguard
from agentguard import ApprovalDenied, ApprovalRequired, Blocked, Outcome, UnknownClient
from agentguard.calls import CallState
from tests.boxes import Box
from tests.gmail.cases import drafts, messages
from tests.gmail.test_batch import renewing
from tests.gmail.world import TOKEN, bytes_of, draft, label, mail, put, service_at


@pytest.fixture
def guarded(service: Any, session: agentguard.Session) -> Any:
    return agentguard.wrap(service, session)


def names(session: agentguard.Session) -> list[str]:
    return [call.name.removeprefix("users.") for call in session.calls]


def sent_mail(box: Box) -> list[bytes]:
    """The mails that left, as they were sent."""
    held = box.snapshot()
    return [bytes_of(held["messages"][d["message"]]["raw"]) for d in held["delivered"]]


# Being the same client


def test_the_twin_is_a_resource_and_the_original_is_left_alone(
    box: Box, service: Any, session: agentguard.Session
) -> None:
    before = dict(vars(service))
    guarded = agentguard.wrap(service, session)
    assert isinstance(guarded, Resource)
    assert isinstance(guarded._http, google_auth_httplib2.AuthorizedHttp)
    assert agentguard.wrap(service, session) is guarded
    assert dict(vars(service)) == before
    put(service, "INBOX")
    assert session.calls == []
    with session, guarded as inside:
        messages(inside).send(userId="me", body={"raw": mail()}).execute()
    assert names(session) == ["messages.send"]


def test_a_nested_resource_can_be_wrapped_too(box: Box, service: Any, session: agentguard.Session) -> None:
    with session:
        agentguard.wrap(service.users(), session).labels().create(userId="me", body={"name": "New"}).execute()
    assert names(session) == ["labels.create"]
    assert session.rollback().ok


def test_other_google_apis_are_refused_by_their_name(session: agentguard.Session) -> None:
    other = build_from_document(json.loads(get_static_doc("calendar", "v3")), http=httplib2.Http())
    for connector in ("gmail", None):
        with pytest.raises(UnknownClient, match=r"calendar API \(v3\).*Nothing was wrapped"):
            agentguard.wrap(other, session, connector)


def test_reads_pass_with_their_pages(box: Box, service: Any, guarded: Any, session: agentguard.Session) -> None:
    for number in range(3):
        put(service, "INBOX", subject=f"Mail {number}")
    request = messages(guarded).list(userId="me", maxResults=2)
    seen = []
    while request is not None:
        answer = request.execute()
        seen += answer["messages"]
        request = messages(guarded).list_next(request, answer)
    assert len(seen) == 3
    assert messages(guarded).list(userId="me", q="x" * 3000).execute() == {"resultSizeEstimate": 0}
    assert session.calls == []


# One write, one send


def test_a_write_whose_connection_breaks_is_sent_once(
    box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    box.fault("drop_after")
    with session, pytest.raises(ConnectionError) as raised:
        messages(guarded).send(userId="me", body={"raw": mail()}).execute(num_retries=3)
    assert "in doubt" in "".join(raised.value.__notes__)
    assert len(box.requests("POST")) == 1
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


def test_a_plain_client_would_have_sent_it_twice(box: Box, service: Any) -> None:
    box.fault("drop_after")
    messages(service).send(userId="me", body={"raw": mail()}).execute()
    assert len(box.snapshot()["delivered"]) == 2


def test_a_write_that_is_answered_with_502_is_not_repeated(box: Box, guarded: Any, session: agentguard.Session) -> None:
    box.fault("status_after", times=5)
    with session, pytest.raises(HttpError):
        messages(guarded).send(userId="me", body={"raw": mail()}).execute(num_retries=3)
    assert len(box.requests("POST")) == 1
    assert len(box.snapshot()["delivered"]) == 1


def test_a_read_is_repeated_as_often_as_the_caller_wants(box: Box, service: Any, guarded: Any) -> None:
    name = put(service)
    box.fault("status_before", verb="GET", times=2)
    request = messages(guarded).get(userId="me", id=name)
    request._sleep = lambda _seconds: None
    assert request.execute(num_retries=2)["id"] == name


def test_a_request_made_from_json_is_not_repeated_either(box: Box, guarded: Any, session: agentguard.Session) -> None:
    built = messages(guarded).send(userId="me", body={"raw": mail()})
    request = HttpRequest.from_json(built.to_json(), guarded._http, built.postproc)
    request._sleep = lambda _seconds: None
    box.fault("status_after", times=5)
    with session, pytest.raises(Blocked, match="a second time"):
        request.execute(num_retries=3)
    assert len(box.requests("POST")) == 1
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


def test_a_write_that_never_left_is_not_in_doubt(box: Box, session: agentguard.Session) -> None:
    with service_at("http://127.0.0.1:9") as nowhere, session, pytest.raises(ConnectionRefusedError):
        messages(agentguard.wrap(nowhere, session)).send(userId="me", body={"raw": mail()}).execute()
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def test_a_connection_that_the_server_closed_meanwhile_costs_no_write(session: agentguard.Session) -> None:
    """A server that closes each connection after one answer, without saying so."""

    class Closing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b'{"id": "Label_1", "name": "New", "labelIds": []}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        do_POST = do_GET  # noqa: N815 - likewise

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
            pass

    with HTTPServer(("127.0.0.1", 0), Closing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with service_at(f"http://127.0.0.1:{server.server_address[1]}") as service, session:
            guarded = agentguard.wrap(service, session)
            guarded.users().labels().get(userId="me", id="Label_1").execute()
            guarded.users().labels().create(userId="me", body={"name": "New"}).execute()
        server.shutdown()
    assert [call.state for call in session.calls] == [CallState.COMMITTED]


def test_a_token_that_ran_out_is_renewed_behind_the_gate(box: Box, session: agentguard.Session) -> None:
    with renewing(box) as service, session:
        guarded = agentguard.wrap(service, session)
        service._http.credentials.token = "expired"
        messages(guarded).send(userId="me", body={"raw": mail()}).execute()
    assert [call.state for call in session.calls] == [CallState.COMMITTED]
    assert len(box.snapshot()["delivered"]) == 1


def test_a_refused_call_sends_nothing(box: Box, service: Any, ledger: Path) -> None:
    name = put(service)
    with agentguard.session(agent="a", intent="i", ledger=ledger, on_error="leave") as session:
        guarded = agentguard.wrap(service, session)
        writes = len(box.requests("POST", "DELETE"))
        with pytest.raises(ApprovalRequired):
            messages(guarded).batchDelete(userId="me", body={"ids": [name]}).execute()
        with pytest.raises(ApprovalRequired):
            guarded._http.request(f"{box.url}/gmail/v2/new", "POST", "{}")
    assert len(box.requests("POST", "DELETE")) == writes


def test_the_approver_sees_the_mail_and_not_base64(box: Box, service: Any, ledger: Path) -> None:
    cards = []
    with agentguard.session(
        agent="a", intent="i", ledger=ledger, approver=lambda card: bool(cards.append(card)) or True
    ) as session:
        guarded = agentguard.wrap(service, session)
        name = put(service)
        messages(guarded).batchDelete(userId="me", body={"ids": [name]}).execute()
        sent = messages(guarded).send(userId="me", body={"raw": mail("Hello", "The text")}).execute()
    assert sent["labelIds"] == ["SENT"]
    assert [card.operation for card in cards] == ["gmail.users.messages.batchDelete"]
    shown = session.calls[1].arguments["mail"]
    assert (shown["to"], shown["subject"], shown["text"]) == ("new.hire@example.org", "Hello", "The text")


MANY = ", ".join(f"person{at}@example.org" for at in range(10))


@pytest.mark.parametrize(
    "do",
    [
        lambda s, _: messages(s).send(userId="me", body={"raw": mail(to=MANY)}).execute(),
        lambda s, _: messages(s).send(userId="me", body={"raw": mail(Cc=MANY)}).execute(),
        lambda s, made: s.users().drafts().send(userId="me", body={"id": made}).execute(),
        lambda s, _: messages(s).delete(userId="me", id="18c0ffee99999999").execute(),
        lambda s, _: (
            s.users()
            .settings()
            .filters()
            .create(userId="me", body={"criteria": {"from": "a@b.example"}, "action": {"forward": "x@y.example"}})
            .execute()
        ),
    ],
    ids=["to many", "copies to many", "a draft to many", "deleted for good", "a filter that forwards"],
)
def test_a_person_is_asked_first(box: Box, service: Any, ledger: Path, do: Any) -> None:
    made = draft(service, to=MANY)
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    sent = len(box.requests("POST", "DELETE"))
    with pytest.raises(agentguard.ApprovalRequired, match="high risk"):
        do(agentguard.wrap(service, session), made)
    assert len(box.requests("POST", "DELETE")) == sent


# When the answer was lost


@pytest.mark.parametrize("kept", [True, False])
def test_a_mail_in_doubt_is_found_and_corrected(
    kept: bool, box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    box.seed(keeps_message_id=kept)
    box.fault("drop_after")
    with session, pytest.raises(ConnectionError):
        messages(guarded).send(userId="me", body={"raw": mail()}).execute()
    report = session.rollback()
    assert [o.outcome for o in report.outcomes] == [Outcome.COMPENSATED]
    assert len(box.snapshot()["delivered"]) == 2
    assert b"Correction: please disregard" in sent_mail(box)[1]


def test_a_mail_that_neither_a_search_nor_a_list_shows_stays_in_doubt(
    box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    box.seed(search_lags="all")
    box.fault("drop_after")
    with session, pytest.raises(ConnectionError):
        messages(guarded).send(userId="me", body={"raw": mail()}).execute()
    assert [o.outcome for o in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert len(box.snapshot()["delivered"]) == 1


def test_a_draft_in_doubt_is_found_by_its_id(box: Box, guarded: Any, session: agentguard.Session) -> None:
    box.fault("drop_after")
    with session, pytest.raises(ConnectionError):
        drafts(guarded).create(userId="me", body={"message": {"raw": mail()}}).execute()
    assert [o.outcome for o in session.rollback().outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["drafts"] == {}


@pytest.mark.parametrize(("mode", "outcomes"), [("drop_after", [Outcome.COMPENSATED]), ("drop_before", [])])
def test_a_deletion_in_doubt_is_settled_by_looking(
    mode: str, outcomes: list[Outcome], box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    text = "A long mail. " * 8000  # too large for the ledger's snapshots, not for its undos
    made = messages(service).insert(userId="me", body={"raw": mail(text=text), "labelIds": ["INBOX"]}).execute()
    raw = box.snapshot()["messages"][made["id"]]["raw"]
    box.fault(mode, verb="DELETE")
    with session, pytest.raises(ConnectionError):
        messages(guarded).delete(userId="me", id=made["id"]).execute()
    assert [o.outcome for o in session.rollback().outcomes] == outcomes
    assert [(m["raw"], m["labelIds"]) for m in box.snapshot()["messages"].values()] == [(raw, ["INBOX"])]


LOST: dict[str, tuple[Any, Any, Outcome]] = {
    "drafts.send": (
        draft,
        lambda s, name: drafts(s).send(userId="me", body={"id": name}),
        Outcome.COMPENSATED,
    ),
    "drafts.update": (
        lambda s: draft(s, text="Old"),
        lambda s, name: drafts(s).update(userId="me", id=name, body={"message": {"raw": mail("Plan", "New")}}),
        Outcome.COMPENSATED,
    ),
    "drafts.delete": (
        draft,
        lambda s, name: drafts(s).delete(userId="me", id=name),
        Outcome.COMPENSATED,
    ),
    "labels.delete": (
        lambda s: label(s, "Old"),
        lambda s, name: s.users().labels().delete(userId="me", id=name),
        Outcome.COMPENSATED,
    ),
    "labels.update": (
        lambda s: label(s, "Old"),
        lambda s, name: s.users().labels().update(userId="me", id=name, body={"name": "New"}),
        Outcome.RESTORED,
    ),
    "messages.insert": (
        lambda _s: None,
        lambda s, _: messages(s).insert(userId="me", body={"raw": mail(), "labelIds": ["INBOX"]}),
        Outcome.COMPENSATED,
    ),
    "messages.batchDelete": (
        lambda s: put(s, "INBOX"),
        lambda s, name: messages(s).batchDelete(userId="me", body={"ids": [name]}),
        Outcome.COMPENSATED,
    ),
    "threads.delete": (
        lambda s: put(s, "INBOX"),
        lambda s, name: s.users().threads().delete(userId="me", id=name),
        Outcome.COMPENSATED,
    ),
    "settings.delegates.create": (
        lambda _s: None,
        lambda s, _: s.users().settings().delegates().create(userId="me", body={"delegateEmail": "peer@example.com"}),
        Outcome.COMPENSATED,
    ),
    "settings.updateVacation": (
        lambda _s: None,
        lambda s, _: s.users().settings().updateVacation(userId="me", body={"enableAutoReply": True}),
        Outcome.COMPENSATED,
    ),
}


@pytest.mark.parametrize("operation", LOST)
def test_a_call_whose_answer_was_lost_is_taken_back_if_it_happened(
    operation: str, box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    arrange, build, outcome = LOST[operation]
    kept = arrange(service)
    request = build(guarded, kept)
    box.fault("drop_after", verb=request.method)
    with session, pytest.raises(ConnectionError):
        request.execute()
    assert names(session) == [operation]
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
    assert [o.outcome for o in session.rollback().outcomes] == [outcome]


@pytest.mark.parametrize("operation", LOST)
def test_a_call_that_never_happened_is_not_taken_back(
    operation: str, box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    arrange, build, _outcome = LOST[operation]
    kept = arrange(service)
    before = box.snapshot()
    request = build(guarded, kept)
    box.fault("drop_before", verb=request.method)
    with session, pytest.raises(ConnectionError):
        request.execute()
    assert {o.outcome for o in session.rollback().outcomes} <= {Outcome.IN_DOUBT, Outcome.ALREADY_UNDONE}
    assert box.snapshot() == before


def test_a_call_that_gets_no_token_is_not_in_doubt(box: Box, session: agentguard.Session) -> None:
    class Revoked(Credentials):  # type: ignore[misc] # google-auth comes without types
        def refresh(self, request: Any) -> None:
            raise RefreshError("invalid_grant")

    with service_at(box.url, credentials=Revoked(token="expired")) as service, session, pytest.raises(RefreshError):
        messages(agentguard.wrap(service, session)).send(userId="me", body={"raw": mail()}).execute()
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


@pytest.mark.parametrize("drafted", [False, True])
def test_a_large_mail_comes_back_as_an_upload(
    drafted: bool, box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    raw = mail(text="A very long mail. " * 60_000)
    if drafted:
        drafts(service).create(userId="me", body={"message": {"raw": raw}}).execute()
        (name,) = box.snapshot()["drafts"]
        request = drafts(guarded).delete(userId="me", id=name)
    else:
        made = messages(service).insert(userId="me", body={"raw": raw, "labelIds": ["STARRED"]}).execute()
        request = messages(guarded).delete(userId="me", id=made["id"])
    (before,) = box.snapshot()["messages"].values()
    with session:
        request.execute()
    assert session.rollback().ok
    (after,) = box.snapshot()["messages"].values()
    assert (after["raw"], after["labelIds"]) == (before["raw"], before["labelIds"])
    assert box.requests("POST")[-1]["path"].startswith("/upload/")


def test_a_message_id_of_the_caller_is_left_alone(box: Box, guarded: Any, session: agentguard.Session) -> None:
    given = mail(Message_ID="<mine@example.com>")
    with session:
        messages(guarded).send(userId="me", body={"raw": given}).execute()
    assert b"Message-ID: <mine@example.com>" in sent_mail(box)[0]
    assert b"gentguard" not in sent_mail(box)[0]
    assert session.calls[0].arguments["raw"] == given


# Ways round


def test_no_way_of_making_a_request_goes_round_the_gate(
    box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    name = put(service, "INBOX")
    modify = f"{box.url}/gmail/v1/users/me/messages/{name}/modify"
    body = json.dumps({"addLabelIds": ["STARRED"]})
    json_type = {"content-type": "application/json"}
    own_http = google_auth_httplib2.AuthorizedHttp(Credentials(token=TOKEN))
    with session:
        guarded._http.request(modify, "POST", body, json_type)
        copy.copy(guarded)._http.request(modify, "POST", body, json_type)
        copy.copy(messages(guarded).trash(userId="me", id=name)).execute()
        messages(guarded).untrash(userId="me", id=name).execute(http=own_http)
        guarded._http.request(
            f"{box.url}/gmail/v1/users/me/messages/{name}", "POST", "", {"X-HTTP-Method-Override": "DELETE"}
        )
        override = guarded._http.request(modify, "GET", None, {"x-http-method-override": "POST"})
    assert override[0].status >= 400
    assert names(session) == [
        "messages.modify",
        "messages.modify",
        "messages.trash",
        "messages.untrash",
        "messages.delete",
        "messages.modify",
    ]


def test_a_gated_http_cannot_be_pickled(guarded: Any) -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(guarded._http)


def test_answers_that_are_asked_for_in_part_come_whole(box: Box, guarded: Any, session: agentguard.Session) -> None:
    with session:
        made = guarded.users().labels().create(userId="me", body={"name": "New"}, fields="name").execute()
    assert "id" in made
    assert "fields" not in box.requests("POST")[0]["query"]
    assert session.rollback().ok


# Uploads


def whole_mail() -> bytes:
    return bytes_of(mail("Upload", "Größe " * 200))


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("body", [None, {"labelIds": ["STARRED"]}])
def test_an_uploaded_mail_is_the_same_call(
    resumable: bool, body: Any, box: Box, guarded: Any, session: agentguard.Session
) -> None:
    media = MediaInMemoryUpload(whole_mail(), mimetype="message/rfc822", resumable=resumable)
    with session:
        made = messages(guarded).insert(userId="me", body=body, media_body=media).execute()
    stored = box.snapshot()["messages"][made["id"]]
    assert bytes_of(stored["raw"]).endswith(whole_mail())
    assert stored["labelIds"] == (body or {}).get("labelIds", [])
    assert names(session) == ["messages.insert"]
    assert session.calls[0].arguments["mail"]["subject"] == "Upload"
    assert session.calls[0].arguments.get("labelIds") == (body or {}).get("labelIds")
    assert len(box.requests("POST", "PUT")) == 1
    assert session.rollback().ok


def test_an_upload_in_chunks_is_sent_when_it_is_whole(box: Box, guarded: Any, session: agentguard.Session) -> None:
    media = MediaIoBaseUpload(io.BytesIO(whole_mail()), mimetype="message/rfc822", chunksize=512, resumable=True)
    with session:
        request = messages(guarded).send(userId="me", body={}, media_body=media)
        progress = []
        answer = None
        while answer is None:
            status, answer = request.next_chunk(num_retries=2)
            if status:
                progress.append(status.progress())
                assert box.requests("POST", "PUT") == []
                assert session.calls == []
    assert progress == sorted(progress)
    assert len(progress) > 1
    assert sent_mail(box)[0].endswith(whole_mail())
    assert b"Message-ID: <agentguard." in sent_mail(box)[0]
    assert names(session) == ["messages.send"]
    assert session.rollback().ok


def test_an_uploaded_draft_is_the_same_call(box: Box, service: Any, guarded: Any, session: agentguard.Session) -> None:
    name = draft(service, text="Old")
    media = MediaInMemoryUpload(whole_mail(), mimetype="message/rfc822")
    with session:
        drafts(guarded).update(userId="me", id=name, body={}, media_body=media).execute()
        drafts(guarded).create(userId="me", media_body=media).execute()
    assert names(session) == ["drafts.update", "drafts.create"]
    assert session.rollback().ok
    (left,) = box.snapshot()["drafts"].values()
    assert b"Old" in bytes_of(box.snapshot()["messages"][left["message"]]["raw"])


def test_an_upload_without_an_answer_is_not_sent_again(box: Box, guarded: Any, session: agentguard.Session) -> None:
    media = MediaInMemoryUpload(whole_mail(), mimetype="message/rfc822", resumable=True)
    request = messages(guarded).send(userId="me", body={}, media_body=media)
    box.fault("drop_after")
    with session:
        with pytest.raises(ConnectionError):
            request.next_chunk()
        with pytest.raises(Blocked, match="not sent again"):
            request.next_chunk()
    assert len(box.snapshot()["delivered"]) == 1
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


def test_an_upload_that_was_not_approved_may_be_tried_again(box: Box, service: Any, ledger: Path) -> None:
    answers = iter([False, True])
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: next(answers)) as session:
        guarded = agentguard.wrap(service, session)
        media = MediaInMemoryUpload(b"{}", mimetype="message/rfc822", resumable=True)
        request = messages(guarded).send(userId="me", body={}, media_body=media)
        request.uri = request.uri.replace("/messages/send", "/messages/unknown")
        with pytest.raises(ApprovalDenied):
            request.next_chunk()
        with pytest.raises(HttpError):
            request.next_chunk()
    assert len(box.requests("POST")) == 1


def test_a_caller_that_uses_an_id_again_does_not_find_the_older_mail(
    box: Box, service: Any, guarded: Any, session: agentguard.Session
) -> None:
    put(service, "SENT", headers={"Message_ID": "<again@example.com>"})
    box.fault("drop_before")
    with session, pytest.raises(ConnectionError):
        messages(guarded).send(userId="me", body={"raw": mail(Message_ID="<again@example.com>")}).execute()
    assert [o.outcome for o in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot()["delivered"] == []


# What is written down


def test_no_credential_reaches_the_ledger(
    box: Box, service: Any, guarded: Any, session: agentguard.Session, ledger: Path
) -> None:
    with session:
        label(guarded, f"Label with {TOKEN} in it")
        messages(guarded).send(userId="me", body={"raw": mail(text=f"token {TOKEN}")}).execute()
    session.rollback()
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert TOKEN.encode() not in stored
    assert base64.b64encode(TOKEN.encode())[3:-4] not in stored
