"""The operations table knows every request that the installed SDKs can make, and nothing in it lacks a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import github as pygithub_module
import githubkit_schemas.latest
import pytest
from agentguard_connectors.github import github as connector

from agentguard.calls import Effect, Risk
from agentguard.operations import Operation
from agentguard.wire.http import Headers, Request

URL_OR_REQUEST = re.compile(
    r'url = \(?\s*(?P<url>f?"/[^"]*"(?:\s+f?"[^"]*")*)|self\._github\.request\(\s*"(?P<verb>[A-Z]+)"'
)
"""A long URL is written as several literals in a row."""
CALLS = re.compile(r":calls?: `(?P<verb>[A-Z]+) (?P<path>/[^\s<`]*)")
PARAMETER = re.compile(r"\{([^}/]*)\}|:(\w+)")
ELSEWHERE = re.compile(r"^/(graphql|enterprises/\{enterprise\}/consumed)|\{self|<")


def githubkit_requests() -> Iterator[tuple[str, str]]:
    """Verb and path of every synchronous method, as its source says them."""
    latest = githubkit_schemas.latest.__file__
    assert latest is not None
    versions = sorted(Path(latest).parents[1].glob("v20*/rest"))
    for source in sorted(versions[-1].glob("*.py")):
        url = ""
        for found in URL_OR_REQUEST.finditer(source.read_text()):
            if found["url"]:
                url = "".join(re.findall(r'"([^"]*)"', found["url"]))
            elif url:
                yield found["verb"], url


def pygithub_requests() -> Iterator[tuple[str, str]]:
    """Verb and path of every method, as its docstring says them."""
    for source in sorted(Path(pygithub_module.__file__).parent.glob("*.py")):
        for found in CALLS.finditer(source.read_text()):
            yield found["verb"], found["path"].rstrip(".,;")


KIT = sorted(set(githubkit_requests()))
PYGITHUB = sorted(set(pygithub_requests()))


MISTAKEN = {
    "POST /repos/{owner}/{repo}/actions/variables/{name}",
    "POST /repos/{owner}/{repo}/environments/{environment_name}/variables/{name}",
}
"""Docstrings of PyGithub that give the path of the GET beside it."""


def unknown(pairs: list[tuple[str, str]]) -> list[str]:
    found = []
    for verb, path in pairs:
        filled = PARAMETER.sub(lambda m: (m[1] or m[2] or "x").strip("+") or "x", path.split("?")[0])
        if not ELSEWHERE.search(path) and connector.table.match(verb, filled) is None:
            found.append(f"{verb} {path}")
    return found


def test_the_sdks_name_as_many_requests_as_they_did() -> None:
    assert len(KIT) >= 1200
    assert len(PYGITHUB) >= 400


def test_every_request_of_githubkit_is_in_the_table() -> None:
    assert unknown(KIT) == []


def test_every_request_of_pygithub_is_in_the_table() -> None:
    assert set(unknown(PYGITHUB)) == MISTAKEN


def has_a_verdict(row: Operation) -> bool:
    if row.name in connector.guarded:
        return row.effect is None and row.risk is None
    if row.verb == "GET":
        return row.reads
    return row.reads or (row.effect is not None and row.risk is not None and bool(row.undo))


def test_every_operation_has_a_verdict() -> None:
    assert [name for name, row in connector.table.by_name.items() if not has_a_verdict(row)] == []


def test_writes_without_a_way_back_ask_first() -> None:
    lenient = {
        row.name
        for row in connector.table.by_name.values()
        if not connector.reads(row.verb, "") and connector.facts(row)[0] is not Effect.READ
        if row.name not in connector.guarded and connector.facts(row)[1] < Risk.HIGH
    }
    assert lenient == {
        "activity.markNotificationsAsRead",
        "activity.markRepoNotificationsAsRead",
        "activity.markThreadAsDone",
        "activity.markThreadAsRead",
        "apps.createInstallationAccessToken",
        "apps.scopeToken",
        "git.createBlob",
        "git.createCommit",
        "git.createTag",
        "git.createTree",
        "oauth.getAccessToken",
    }


def test_posts_that_only_read_are_known() -> None:
    posts = {row.name for row in connector.table.by_name.values() if row.verb == "POST" and row.reads}
    assert posts == {
        "apps.checkToken",
        "markdown.render",
        "markdown.renderRaw",
        "orgs.listAttestationsBulk",
        "repos.generateReleaseNotes",
        "users.listAttestationsBulk",
    }


NEAREST = {
    "issues.create": "issues.create",
    "issues.update": "issues.update",
    "files.create": "repos.createOrUpdateFileContents",
    "files.update": "repos.createOrUpdateFileContents",
    "files.delete": "repos.deleteFile",
    "issueComments.create": "issues.createComment",
    "releases.create": "repos.createRelease",
    "releases.update": "repos.updateRelease",
    "releases.delete": "repos.deleteRelease",
    "pullRequestComments.update": "pulls.updateReviewComment",
    "pullRequests.update, close, reopen": "pulls.update",
    "pullRequests.merge": "pulls.merge",
    "reviews.create": "pulls.createReview",
    "issues.lock": "issues.lock",
    "workflows.enable": "actions.enableWorkflow",
    "workflows.disable": "actions.disableWorkflow",
    "workflows.dispatch": "actions.createWorkflowDispatch",
    "users.invite": "orgs.createInvitation",
}


def test_everything_that_the_nearest_product_registers_is_guarded() -> None:
    assert set(NEAREST.values()) <= connector.guarded.keys()


# The codec

BASES = ("https://api.github.com", "https://uploads.github.com", "https://github.com")


def decode(verb: str, url: str, body: bytes = b"") -> tuple[str, dict[str, object], bool]:
    request = Request(verb, url, Headers({"content-type": "application/json"}), body)
    decoded = connector.codec.decode(connector.table, request, BASES)
    return decoded.operation.name, decoded.arguments, decoded.known


@pytest.mark.parametrize(
    ("verb", "url", "body", "operation", "arguments"),
    [
        (
            "PUT",
            "https://api.github.com/repos/a/b/contents/x%20y/%C3%BC.md",
            b'{"message": "m"}',
            "repos.createOrUpdateFileContents",
            {"owner": "a", "repo": "b", "path": "x y/ü.md", "message": "m"},
        ),
        (
            "POST",
            "https://api.github.com/repos/a/b/issues/1/labels",
            b'["bug"]',
            "issues.addLabels",
            {"owner": "a", "repo": "b", "issue_number": "1", "labels": ["bug"]},
        ),
        (
            "PUT",
            "https://api.github.com/repos/a/b/issues/1/labels",
            b'[{"name": "bug"}]',
            "issues.setLabels",
            {"owner": "a", "repo": "b", "issue_number": "1", "labels": [{"name": "bug"}]},
        ),
        (
            "DELETE",
            "https://api.github.com/repos/a/b/git/refs/heads/x/y",
            b"",
            "git.deleteRef",
            {"owner": "a", "repo": "b", "ref": "heads/x/y"},
        ),
        (
            "POST",
            "https://uploads.github.com/repos/a/b/releases/7/assets?name=x.zip",
            b"",
            "repos.uploadReleaseAsset",
            {"owner": "a", "repo": "b", "release_id": "7", "name": "x.zip"},
        ),
        (
            "POST",
            "https://api.github.com/graphql",
            b'{"query": "mutation { a: closeIssue { x } b: lockLockable { x } }"}',
            "graphql.closeIssue+lockLockable",
            {"query": "mutation { a: closeIssue { x } b: lockLockable { x } }"},
        ),
    ],
)
def test_a_request_is_recognised(
    verb: str, url: str, body: bytes, operation: str, arguments: dict[str, object]
) -> None:
    assert decode(verb, url, body) == (operation, arguments, True)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.github.com/repos/a/b/frobnicate",
        "https://api.github.com.evil.example/repos/a/b/issues",
        "https://api.github.com/repositories/7/issues",
        "http://api.github.com/repos/a/b/issues",
    ],
)
def test_a_request_that_is_not_recognised_is_of_high_risk(url: str) -> None:
    request = Request("POST", url, Headers({}), b"{}")
    decoded = connector.codec.decode(connector.table, request, BASES)
    assert not decoded.known
    assert connector.facts(decoded.operation) == (Effect.IRREVERSIBLE, Risk.HIGH)
