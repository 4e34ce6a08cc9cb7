"""The hidden comment: where it goes and where not, what a program notices of it, and what it is worth as evidence."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import github
import githubkit
import pytest
import requests
from agentguard_connectors.github import github as connector
from agentguard_connectors.github.hidden import LONGEST, ends_in_code, hidden, mark_of, marking
from agentguard_connectors.github.lost import Sent, Unclear, numbered
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import agentguard
from agentguard import CallState, Outcome
from agentguard.calls import Certainty
from agentguard.wire.http import Headers, Response
from tests.boxes import Box
from tests.github.clients import acting, kit, pygithub, raw
from tests.github.proof import HR, open_pull, sha_of
from tests.github.test_doubt import MADE, Made, issues, lose, outcomes
from tests.proving import differences

AT = {"owner": "acme", "repo": "hr"}
MARK = re.compile(r"(\n\n)?<!-- agentguard:ag-[0-9a-f]{16} -->\Z")
SHOWS = {name: made for name, made in MADE.items() if name != "a reaction"}


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


@pytest.fixture
def bare(github_box: Box) -> Any:
    return pygithub(github_box)


@pytest.fixture
def gh(bare: Any, session: agentguard.Session) -> Any:
    return agentguard.wrap(bare, session)


def last_write(box: Box) -> dict[str, Any]:
    return [request for request in box.requests() if request["verb"] != "GET"][-1]


# On the wire


@pytest.mark.parametrize("made", SHOWS.values(), ids=SHOWS)
def test_a_call_is_sent_as_it_was_made_with_a_mark_at_the_end_of_its_text(
    github_box: Box, session: agentguard.Session, bare: Any, made: Made
) -> None:
    sent = []
    for client in (bare, agentguard.wrap(bare, session)):
        github_box.reset()
        made.prepare(bare)
        made.do(client)
        request = last_write(github_box)
        if "commit_id" in request["body"]:  # it comes from the time at which the service was set up
            assert request["body"].pop("commit_id") == sha_of(bare, "plan")
        sent.append(request)
    plain, marked = sent
    text = marked["body"].pop("body")
    assert MARK.sub("", text) == plain["body"].pop("body", "")
    assert mark_of(text) == session.calls[-1].mark
    assert marked["body"] == plain["body"]
    names = ("accept", "authorization", "content-type", "user-agent")
    assert [marked["headers"].get(name) for name in names] == [plain["headers"].get(name) for name in names]


async def test_githubkit_sends_the_mark_too(github_box: Box, session: agentguard.Session) -> None:
    gh = agentguard.wrap(kit(github_box), session)
    gh.rest.issues.create(**AT, title="Same", body="Grüße")
    await gh.rest.issues.async_create(**AT, title="Same", body="Grüße")
    texts = [one["body"] for one in issues(github_box).values()][1:]
    assert [MARK.sub("", text) for text in texts] == ["Grüße"] * 2
    assert len(set(texts)) == 2


def test_what_is_not_markdown_carries_no_mark(github_box: Box, session: agentguard.Session, gh: Any) -> None:
    repo = acting(gh)
    repo.create_file("a.md", "A message", "text")
    repo.create_label("later", "c0ffee", "One day")
    repo.create_milestone("Second", description="Plans")
    repo.create_variable("SPEED", "slow")
    raw(gh, "POST", "/gists", {"files": {"a.md": {"content": "text"}}, "description": "Words"})
    assert [call.mark for call in session.calls] == [None] * 5
    assert "agentguard" not in str([request["body"] for request in github_box.requests()])


COMMANDS = ("/deploy", " /assign @colleague\n", "@dependabot rebase", "!retest")


@pytest.mark.parametrize("words", [*COMMANDS, "Look:\n```\nprint(1)", "~~~ text\n```", "x" * (LONGEST - 5)])
def test_a_text_that_a_mark_would_show_in_or_break_is_sent_as_it_is(github_box: Box, gh: Any, words: str) -> None:
    acting(gh).get_issue(1).create_comment(words)
    assert last_write(github_box)["body"] == {"body": words}


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("```\ncode\n```", False),
        ("```\ncode\n~~~", True),
        ("````\n```\n", True),
        ("````\n```\n````", False),
        ("    ```\nno fence", False),
        ("``` a `b`\nno fence", False),
        ("~~~ a `b`\ncode", True),
        ("```py\ncode\n``` not the end", True),
        ("words ``` more", False),
    ],
)
def test_a_fence_of_code_is_known_to_be_open(text: str, opened: bool) -> None:
    assert ends_in_code(text) is opened


def test_the_same_mark_is_not_put_twice() -> None:
    once = marking("Words", "ag-01").arguments["body"]
    assert marking(once, "ag-01").arguments == {}
    assert mark_of(marking(once, "ag-02").arguments["body"]) == "ag-02"


# What is there afterwards


def test_a_text_that_the_agent_writes_on_keeps_its_one_mark(
    github_box: Box, session: agentguard.Session, gh: Any
) -> None:
    before = github_box.snapshot()
    comment = acting(gh).get_issue(1).create_comment("One")
    comment.edit(f"Zero\n\n{comment.body}")
    (text,) = [c["body"] for c in github_box.snapshot()["repos"]["acme/hr"]["comments"].values() if "One" in c["body"]]
    assert MARK.sub("", text) == "Zero\n\nOne"
    assert text.count("agentguard") == 1
    assert outcomes(session.rollback()) == [Outcome.RESTORED, Outcome.COMPENSATED]
    assert [path for path in differences(before, github_box.snapshot()) if not path.endswith("events")] == []


def test_a_text_that_the_agent_replaces_is_the_agents(github_box: Box, session: agentguard.Session, gh: Any) -> None:
    issue = acting(gh).create_issue("One", "Words")
    issue.edit(body="Other words")
    assert issues(github_box)["2"]["body"] == "Other words"
    assert outcomes(session.rollback()) == [Outcome.RESTORED, Outcome.COMPENSATED]
    assert MARK.sub("", issues(github_box)["2"]["body"]) == "Words"


def test_what_somebody_wrote_into_a_found_comment_is_not_deleted(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any
) -> None:
    lose(github_box, "drop_after", MADE["a comment"], gh)
    (theirs,) = [one for one in acting(bare).get_issue(1).get_comments() if mark_of(one.body)]
    shift_clock(github_box, "comments", theirs.id)
    theirs.edit(f"{theirs.body.replace('Same', 'Not the same')}")
    assert outcomes(session.rollback()) == [Outcome.CONFLICT]
    assert "Not the same" in str(github_box.snapshot()["repos"]["acme/hr"]["comments"])


def shift_clock(box: Box, kind: str, key: Any) -> None:
    """Let a second pass since something was made: a time of an edit in the same second would not show it."""
    repos = whole(box)
    thing = repos["acme/hr"][kind][str(key)]
    earlier = datetime.fromisoformat(thing["created_at"]) - timedelta(seconds=5)
    thing["created_at"] = thing["updated_at"] = earlier.strftime("%Y-%m-%dT%H:%M:%SZ")
    box.seed(repos=repos)


def whole(box: Box) -> Any:
    """The repositories, with the times and objects that a snapshot leaves out made up."""
    repos = box.snapshot()["repos"]
    hr = repos["acme/hr"] | {"refs": {}, "commits": {}, "updated_at": "2026-01-01T00:00:00Z"}
    numbers = {"last_number": len(hr["issues"]), "last_milestone": 1}
    for kind in ("issues", "milestones", "comments"):
        for thing in hr[kind].values():
            thing |= {"updated_at": thing.get("created_at", "2026-01-01T00:00:00Z"), "closed_at": None}
            thing.setdefault("created_at", "2026-01-01T00:00:00Z")
    return {"acme/hr": hr | numbers}


# What it proves


def test_an_issue_that_the_list_does_not_show_yet_is_found_by_its_number(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any
) -> None:
    github_box.seed(unlisted=[2, 4])
    lose(github_box, "drop_after", MADE["an issue"], gh)
    acting(bare).create_issue("Another")
    lose(github_box, "drop_after", MADE["an issue"], gh)
    assert outcomes(session.rollback()) == [Outcome.COMPENSATED] * 2
    assert [one["state"] for one in issues(github_box).values()] == ["open", "closed", "open", "closed"]


def test_without_the_mark_that_somebody_took_out_it_stays_in_doubt(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any
) -> None:
    lose(github_box, "drop_after", MADE["an issue"], gh)
    repos = whole(github_box)
    repos["acme/hr"]["issues"]["2"] |= {"body": "Clean", "updated_at": "2099-01-01T00:00:00Z"}
    github_box.seed(repos=repos)
    report = session.rollback()
    assert outcomes(report) == [Outcome.IN_DOUBT]
    assert "taken the mark out" in str(report)
    assert issues(github_box)["2"]["state"] == "open"


def test_a_command_that_carries_no_mark_is_found_by_its_words(
    github_box: Box, session: agentguard.Session, gh: Any
) -> None:
    before = github_box.snapshot()["repos"]["acme/hr"]["comments"]
    lose(github_box, "drop_after", Made("/comments$", lambda g: acting(g).get_issue(1).create_comment("/deploy")), gh)
    assert outcomes(session.rollback()) == [Outcome.COMPENSATED]
    assert github_box.snapshot()["repos"]["acme/hr"]["comments"] == before


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_command_that_others_gave_as_well_stays_in_doubt(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, mode: str
) -> None:
    command = Made("/comments$", lambda g: acting(g).get_issue(1).create_comment("/deploy"))
    if mode == "drop_after":
        command.do(bare)
    lose(github_box, mode, command, gh)
    report = session.rollback()
    assert outcomes(report) == [Outcome.IN_DOUBT]
    assert "without a mark" in str(report)


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_a_lost_review_is_known_to_stay_or_not_to_be_there(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, mode: str
) -> None:
    number = open_pull(bare).number
    pull = acting(gh).get_pull(number)
    commit = acting(bare).get_commit(sha_of(bare, "plan"))
    lose(github_box, mode, Made("/reviews$", lambda _gh: pull.create_review(commit, "Well done", "APPROVE")), gh)
    assert outcomes(session.rollback()) == ([] if mode == "drop_before" else [Outcome.IRREVERSIBLE])


def test_an_approval_without_words_gets_none(github_box: Box, bare: Any, gh: Any) -> None:
    pull = acting(gh).get_pull(open_pull(bare).number)
    pull.create_review(event="APPROVE")
    assert last_write(github_box)["body"] == {"event": "APPROVE", "comments": []}


def test_the_installation_of_an_app_which_may_not_ask_who_it_is_finds_its_calls(
    github_box: Box, session: agentguard.Session
) -> None:
    app = pygithub(github_box, "ghs_of_the_installation")
    with pytest.raises(github.GithubException, match="not accessible"):
        assert app.get_user().login
    gh = agentguard.wrap(app, session)
    lose(github_box, "drop_after", MADE["an issue"], gh)
    lose(github_box, "drop_before", MADE["a comment"], gh)
    assert outcomes(session.rollback()) == [Outcome.COMPENSATED]
    assert issues(github_box)["2"]["state"] == "closed"


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_found_call_has_the_answer_that_was_lost(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, made: Made, ledger: Path
) -> None:
    made.prepare(bare)
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as first:
        made.do(agentguard.wrap(bare, first))
    told = first.calls[-1].answer
    github_box.reset()
    made.prepare(bare)
    lose(github_box, "drop_after", made, gh)
    session.settle()
    found = session.calls[-1].answer
    assert session.calls[-1].state is CallState.COMMITTED
    assert found.keys() == told.keys()
    kinds = {name: type(value) for name, value in told.items()}
    assert {name: type(value) for name, value in found.items()} == kinds


def test_a_large_text_is_found_though_the_ledger_keeps_none_of_it(
    github_box: Box, session: agentguard.Session, gh: Any
) -> None:
    large = Made("/issues$", lambda g: acting(g).create_issue("Large", "ä" * 40_000))
    lose(github_box, "drop_after", large, gh)
    lose(github_box, "drop_before", large, gh)
    assert sorted(outcomes(session.rollback())) == [Outcome.COMPENSATED, Outcome.IN_DOUBT]
    assert issues(github_box)["2"]["state"] == "closed"


# What an answer proves


@pytest.mark.parametrize(
    ("status", "headers", "certainty", "waits"),
    [
        (429, {"retry-after": "7"}, Certainty.REFUSED, True),
        (403, {"retry-after": "60"}, Certainty.REFUSED, True),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, Certainty.REFUSED, True),
        (403, {"x-ratelimit-remaining": "12", "x-ratelimit-reset": "9999999999"}, Certainty.REFUSED, False),
        (422, {}, Certainty.REFUSED, False),
        (408, {}, Certainty.UNKNOWN, False),
        (500, {}, Certainty.UNKNOWN, False),
        (502, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, Certainty.UNKNOWN, False),
        (201, {}, Certainty.HAPPENED, False),
    ],
)
def test_a_refusal_says_when_to_come_again(
    status: int, headers: dict[str, str], certainty: Certainty, waits: bool
) -> None:
    operation = connector.table.by_name["issues.create"]
    answer = connector.codec.answer(operation, Response(status, Headers(headers), b"{}"))
    assert answer.certainty is certainty
    assert answer.transient is waits
    assert (answer.retry_after or 0) > 0 if waits else answer.retry_after is None


def test_the_comment_is_one_that_markdown_does_not_render() -> None:
    assert hidden("ag-0123456789abcdef") == "<!-- agentguard:ag-0123456789abcdef -->"


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    class Server(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Keep quiet: that the handshake fails is what is tested."""

    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("sdk", ["PyGithub", "githubkit"])
def test_a_service_whose_certificate_is_not_trusted_was_sent_nothing(
    untrusted: str, session: agentguard.Session, sdk: str
) -> None:
    box = Box("github", untrusted)
    with pytest.raises((requests.RequestException, githubkit.exception.GitHubException)):
        if sdk == "PyGithub":
            raw(agentguard.wrap(pygithub(box), session), "POST", f"{HR}/issues", {"title": "Never"})
        else:
            agentguard.wrap(kit(box), session).rest.issues.create(**AT, title="Never")
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def test_an_issue_that_was_moved_away_is_not_taken_for_one_that_is_not_there() -> None:
    sent = Sent("ag-01", f"Words\n\n{hidden('ag-01')}", "2026-01-01T00:10:00Z")
    steps = numbered("acme", "hr", sent)
    assert next(steps).operation == "issues.listForRepo"
    assert steps.send([]).arguments == {**AT, "issue_number": 1}
    with pytest.raises(Unclear, match="moved"):
        steps.send({"number": 7, "repository_url": "https://api.example/repos/acme/other"})
