"""What reaches the wire: writes once, refused ones never, reads as the SDK sends them; whatever path a call takes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import github as pygithub_module
import githubkit
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from githubkit.retry import RetryOption

import agentguard
from agentguard import ApprovalDenied, ApprovalRequired, CallState, Outcome
from tests.boxes import Box
from tests.github.clients import acting, kit, pygithub, raw

AT = {"owner": "acme", "repo": "hr"}
FAULTS = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("truncate", {}),
    ("status_before", {"status": 502}),
    ("status_after", {"status": 500}),
    ("status_after", {"status": 503}),
    ("status_before", {"status": 429, "headers": {"retry-after": "0"}}),
    ("status_before", {"status": 403, "headers": {"retry-after": "0"}}),
]
FAULT_IDS = [" ".join(str(part) for part in (mode, details.get("status", "")) if part) for mode, details in FAULTS]
ISSUES = "/repos/acme/hr/issues"


def eager() -> pygithub_module.GithubRetry:
    """PyGithub's own retry, which repeats writes as well, without its pauses."""
    return pygithub_module.GithubRetry(total=3, backoff_factor=0, secondary_rate_wait=0)


def stubborn(_error: Exception, count: int) -> RetryOption:
    """Repeat whatever fails."""
    return RetryOption(count < 3, timedelta(microseconds=1))  # githubkit takes nothing for a minute


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


def sent(box: Box) -> list[str]:
    """The writes that arrived."""
    return [f"{r['verb']} {r['path']}" for r in box.requests() if r["verb"] != "GET"]


def check_state(session: agentguard.Session, details: dict[str, Any]) -> None:
    refused = details.get("status") in (403, 429)
    assert session.calls[0].state is (CallState.NOT_APPLIED if refused else CallState.IN_DOUBT)


@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
def test_a_write_of_pygithub_whose_answer_is_lost_is_sent_once(
    github_box: Box, session: agentguard.Session, mode: str, details: dict[str, Any]
) -> None:
    github_box.fault(mode, path=ISSUES, times=9, **details)
    gh = agentguard.wrap(pygithub(github_box, retry=eager()), session)
    with pytest.raises((pygithub_module.GithubException, requests.RequestException)):
        acting(gh).create_issue("once")
    assert sent(github_box) == [f"POST {ISSUES}"]
    check_state(session, details)


def test_bare_pygithub_would_have_sent_it_again(github_box: Box) -> None:
    github_box.fault("status_after", path=ISSUES, status=502)
    acting(pygithub(github_box, retry=eager())).create_issue("twice")
    assert sent(github_box) == [f"POST {ISSUES}"] * 2


@pytest.mark.parametrize("options", [{}, {"auto_retry": stubborn}], ids=["default", "stubborn"])
@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
def test_a_write_of_githubkit_whose_answer_is_lost_is_sent_once(
    github_box: Box, session: agentguard.Session, mode: str, details: dict[str, Any], options: dict[str, Any]
) -> None:
    github_box.fault(mode, path=ISSUES, times=9, **details)
    gh = agentguard.wrap(kit(github_box, **options), session)
    with pytest.raises(githubkit.exception.GitHubException):
        gh.rest.issues.create(**AT, title="once")
    assert sent(github_box) == [f"POST {ISSUES}"]
    check_state(session, details)


@pytest.mark.parametrize("options", [{}, {"auto_retry": stubborn}], ids=["default", "stubborn"])
@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
async def test_an_asynchronous_write_of_githubkit_whose_answer_is_lost_is_sent_once(
    github_box: Box, session: agentguard.Session, mode: str, details: dict[str, Any], options: dict[str, Any]
) -> None:
    github_box.fault(mode, path=ISSUES, times=9, **details)
    gh = agentguard.wrap(kit(github_box, **options), session)
    with pytest.raises(githubkit.exception.GitHubException):
        await gh.rest.issues.async_create(**AT, title="once")
    assert sent(github_box) == [f"POST {ISSUES}"]
    check_state(session, details)


def test_bare_githubkit_would_have_sent_it_again(github_box: Box) -> None:
    github_box.fault("status_after", path=ISSUES, status=502)
    gh = kit(github_box, auto_retry=stubborn)
    gh.rest.issues.create(**AT, title="twice")
    assert sent(github_box) == [f"POST {ISSUES}"] * 2


def test_reads_are_still_repeated(github_box: Box, session: agentguard.Session) -> None:
    for client in (pygithub(github_box, retry=eager()), kit(github_box, auto_retry=stubborn)):
        github_box.fault("status_before", verb="GET", path="/repos/acme/hr$", status=502)
        gh = agentguard.wrap(client, session)
        if isinstance(gh, githubkit.GitHub):
            assert gh.rest.repos.get(**AT).parsed_data.name == "hr"
        else:
            assert acting(gh).name == "hr"
    assert session.calls == []


# Refused: nothing is sent


@pytest.fixture
def denied(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: False)


WAYS: dict[str, Callable[[Any], object]] = {
    "a method": lambda gh: acting(gh).delete(),
    "a returned object's method": lambda gh: gh.get_user().create_repo("x").delete(),
    "the requester": lambda gh: gh.requester.requestJsonAndCheck("DELETE", "/repos/acme/hr"),
    "an object's requester": lambda gh: acting(gh).requester.requestJson("DELETE", "/repos/acme/hr"),
    "a lazy copy of the client": lambda gh: gh.withLazy(True).get_repo("acme/hr").delete(),
    "a lazy copy of the requester": lambda gh: gh.requester.withLazy(True).requestJson("DELETE", "/repos/acme/hr"),
    "another authentication": lambda gh: gh.requester.withAuth(pygithub_module.Auth.Token("other")).requestJson(
        "DELETE", "/repos/acme/hr"
    ),
    "another version": lambda gh: gh.requester.withApiVersion("2022-11-28").requestJson("DELETE", "/repos/acme/hr"),
    "a client from its arguments": lambda gh: (
        pygithub_module.Github(**gh.requester.kwargs).get_repo("acme/hr").delete()
    ),
    "an unknown path": lambda gh: raw(gh, "POST", "/repos/acme/hr/frobnicate", {"x": 1}),
    "a mutation": lambda gh: gh.requester.graphql_named_mutation("deleteIssue", {"issueId": "I_1"}, "clientMutationId"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_refused_write_of_pygithub_never_leaves(
    github_box: Box, denied: agentguard.Session, way: Callable[[Any], object]
) -> None:
    gh = agentguard.wrap(pygithub(github_box), denied)
    with pytest.raises(ApprovalDenied):
        way(gh)
    assert [line for line in sent(github_box) if line != "POST /user/repos"] == []


KIT_WAYS: dict[str, Callable[[Any], Any]] = {
    "a method": lambda gh: gh.rest.repos.delete(**AT),
    "another version": lambda gh: gh.rest("2026-03-10").repos.delete(**AT),
    "the client itself": lambda gh: gh.request("DELETE", "/repos/acme/hr"),
    "another authentication": lambda gh: gh.with_auth(githubkit.TokenAuthStrategy("x")).request(
        "DELETE", "/repos/acme/hr"
    ),
    "a mutation": lambda gh: gh.graphql('mutation { deleteIssue(input: {issueId: "I_1"}) { clientMutationId } }'),
}


@pytest.mark.parametrize("way", KIT_WAYS.values(), ids=KIT_WAYS)
def test_a_refused_write_of_githubkit_never_leaves(
    github_box: Box, denied: agentguard.Session, way: Callable[[Any], Any]
) -> None:
    gh = agentguard.wrap(kit(github_box, auto_retry=stubborn), denied)
    # githubkit makes an error of its own out of whatever its transport raises.
    with pytest.raises(ApprovalDenied):
        way(gh)
    assert sent(github_box) == []
    assert [call.state for call in denied.calls] == [CallState.REFUSED]


async def test_a_refused_asynchronous_write_never_leaves(github_box: Box, denied: agentguard.Session) -> None:
    async with agentguard.wrap(kit(github_box, auto_retry=stubborn), denied) as gh:
        with pytest.raises(ApprovalDenied):
            await gh.rest.repos.async_delete(**AT)
        with pytest.raises(ApprovalDenied):
            await gh.async_graphql('mutation { deleteIssue(input: {issueId: "I_1"}) { clientMutationId } }')
    assert sent(github_box) == []


def test_without_an_approver_what_is_dangerous_is_not_sent(github_box: Box, ledger: Path) -> None:
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    with pytest.raises(ApprovalRequired, match=r"repos\.delete"):
        acting(agentguard.wrap(pygithub(github_box), session)).delete()
    assert sent(github_box) == []


# GraphQL


def test_a_graphql_query_passes_and_a_mutation_is_on_record(github_box: Box, session: agentguard.Session) -> None:
    gh = agentguard.wrap(pygithub(github_box), session)
    assert gh.requester.graphql_query("query { viewer { login } }", {})[1]["data"]["viewer"]["login"] == "agent"
    assert session.calls == []
    gh.requester.graphql_named_mutation("closeIssue", {"issueId": "I_1"}, "clientMutationId")
    assert [call.operation for call in session.calls] == ["github.graphql.closeIssue"]
    assert session.rollback().outcomes[0].outcome is Outcome.IRREVERSIBLE


@pytest.mark.parametrize(
    "document",
    [
        "mutation { a: closeIssue { x } ",
        "query A { viewer { login } } mutation B { closeIssue { x } }",
        "mutation { ...F } fragment F on Mutation { closeIssue { x } }",
        "subscription { x }",
        7,
    ],
)
def test_a_document_that_is_not_clearly_a_query_needs_approval(
    github_box: Box, denied: agentguard.Session, document: Any
) -> None:
    gh = agentguard.wrap(pygithub(github_box), denied)
    with pytest.raises(ApprovalDenied):
        raw(gh, "POST", "/graphql", {"query": document})
    assert sent(github_box) == []


# The clients


def test_the_original_clients_stay_as_they_were(github_box: Box, session: agentguard.Session) -> None:
    gh, rest = pygithub(github_box), kit(github_box)
    issues = rest.rest.issues
    agentguard.wrap(gh, session)
    agentguard.wrap(rest, session)
    acting(gh).create_label("one", "000000")
    issues.create_label(**AT, name="two")
    with rest:
        rest.rest.issues.create_label(**AT, name="three")
    assert session.calls == []
    assert type(gh) is pygithub_module.Github
    assert type(rest) is githubkit.GitHub


def test_a_githubkit_client_is_guarded_inside_and_outside_of_with(github_box: Box, session: agentguard.Session) -> None:
    entered = kit(github_box)
    with entered:
        gh = agentguard.wrap(entered, session)
        gh.rest.issues.create_label(**AT, name="one")
    with agentguard.wrap(kit(github_box), session) as other:
        other.rest.issues.create_label(**AT, name="two")
        assert isinstance(other, githubkit.GitHub)
    assert [call.operation for call in session.calls] == ["github.issues.createLabel"] * 2
    assert session.rollback().ok


def test_a_cache_and_a_limit_of_one_request_are_no_obstacle(github_box: Box, session: agentguard.Session) -> None:
    throttler = githubkit.throttling.LocalThrottler(1)
    gh = agentguard.wrap(kit(github_box, http_cache=True, throttler=throttler), session)
    gh.rest.issues.update(**AT, issue_number=1, title="New")
    assert session.rollback().outcomes[0].outcome is Outcome.RESTORED
    assert github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]["title"] == "Welcome"


def test_objects_that_calls_return_are_guarded(github_box: Box, session: agentguard.Session) -> None:
    gh = agentguard.wrap(pygithub(github_box), session)
    for issue in acting(gh).get_issues():
        issue.edit(title="From a list")
    acting(gh).get_labels()[0].edit("bug", "000000")
    assert [(call.operation, call.method) for call in session.calls] == [
        ("github.issues.update", "Issue.edit"),
        ("github.issues.updateLabel", "Label.edit"),
    ]


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, kind, plain).decode()


def test_an_app_signs_in_by_itself_and_only_its_calls_are_on_record(
    github_box: Box, session: agentguard.Session, key: str
) -> None:
    app = pygithub_module.Auth.AppAuth(1, key)
    bare = pygithub(github_box, auth=app.get_installation_auth(7))
    gh = agentguard.wrap(bare, session)
    acting(gh).get_issue(1).edit(title="From an app")
    assert [call.operation for call in session.calls] == ["github.issues.update"]
    assert sent(github_box) == ["POST /app/installations/7/access_tokens", f"PATCH {ISSUES}/1"]
    assert session.rollback().ok
    acting(bare).get_issue(1).edit(title="Bare")
    assert len(session.calls) == 1


async def test_an_app_of_githubkit_signs_in_by_itself(github_box: Box, session: agentguard.Session, key: str) -> None:
    app = githubkit.AppInstallationAuthStrategy("1", key, 7)
    gh = agentguard.wrap(githubkit.GitHub(app, base_url=github_box.url), session)
    gh.rest.issues.update(**AT, issue_number=1, title="From an app")
    await gh.rest.issues.async_update(**AT, issue_number=1, body="From an app")
    assert [call.operation for call in session.calls] == ["github.issues.update"] * 2
    assert (await session.arollback()).ok


def test_a_client_for_an_installation_is_guarded(github_box: Box, denied: agentguard.Session, key: str) -> None:
    gh = agentguard.wrap(pygithub(github_box, auth=pygithub_module.Auth.AppAuth(1, key)), denied)
    attributes = {"id": 7, "url": f"{github_box.url}/app/installations/7"}
    installation = pygithub_module.Installation.Installation(gh.requester, {}, attributes)
    with pytest.raises(ApprovalDenied):
        acting(installation.get_github_for_installation()).delete()
    assert [line for line in sent(github_box) if line.startswith("DELETE")] == []


def test_an_upload_arrives_whole(github_box: Box, session: agentguard.Session) -> None:
    gh = agentguard.wrap(pygithub(github_box), session)
    release = acting(gh).create_git_release("v0", "Zero", "", draft=True)
    uploaded = release.upload_asset(__file__, content_type="text/x-python")
    size = Path(__file__).stat().st_size
    assert (uploaded.name, uploaded.size) == ("test_wire.py", size)
    assert [effect["size"] for effect in github_box.effects() if effect["effect"] == "file uploaded"] == [size]
    assert [call.operation for call in session.calls][-1] == "github.repos.uploadReleaseAsset"


def test_connections_to_other_hosts_are_gated(session: agentguard.Session) -> None:
    gh: Any = agentguard.wrap(pygithub_module.Github(auth=pygithub_module.Auth.Token("x" * 20)), session)
    connection = gh.requester._Requester__customConnection("https://uploads.github.com/repos/acme/hr/releases/1/assets")
    kinds = {type(adapter).__name__ for adapter in connection.session.adapters.values()}
    assert kinds == {"GatedAdapter"}


def test_a_connection_that_never_stood_is_certain_not_to_have_changed_anything(
    session: agentguard.Session, ledger: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = Box("github", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(requests.ConnectionError):
            raw(agentguard.wrap(pygithub(nobody), session), "POST", ISSUES, {"title": "x"})
        with pytest.raises(githubkit.exception.RequestError):
            agentguard.wrap(kit(nobody), session).rest.issues.create(**AT, title="x")
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED] * 2


def test_the_token_is_not_in_the_ledger(github_box: Box, session: agentguard.Session, ledger: Path) -> None:
    from tests.github.clients import TOKEN

    gh = agentguard.wrap(pygithub(github_box), session)
    acting(gh).create_issue("Leak", f"my token is {TOKEN}")
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir() if path.is_file())
    assert b"my token is" in stored
    assert TOKEN.encode() not in stored
