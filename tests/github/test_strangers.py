"""What is somebody else's, or may be: it is not taken for what a session made, and not destroyed with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentguard
from agentguard import Outcome
from tests.boxes import Box
from tests.github.clients import acting, pygithub, raw
from tests.github.proof import HR, open_pull, sha_of
from tests.proving import differences


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


@pytest.fixture
def gh(github_box: Box, session: agentguard.Session) -> Any:
    return agentguard.wrap(pygithub(github_box), session)


@pytest.fixture
def colleague(github_box: Box) -> Any:
    return pygithub(github_box, "colleague")


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [result.outcome for result in report.outcomes]


START = "2025-01-01T00:00:00Z"


def whole(box: Box) -> Any:
    """The repositories without commits and with the times that a snapshot leaves out."""
    repos = box.snapshot()["repos"]
    repos["acme/hr"] |= {"refs": {}, "commits": {}, "updated_at": START}
    for thing in (*repos["acme/hr"]["issues"].values(), *repos["acme/hr"]["milestones"].values()):
        thing |= {"updated_at": START, "closed_at": None}
    return repos


def invite(gh: Any) -> object:
    return raw(gh, "PUT", f"{HR}/collaborators/outsider", {"permission": "push"})


ALIKE: dict[str, tuple[str, str, Callable[[Any], object]]] = {
    "a milestone": ("POST", "/milestones$", lambda gh: acting(gh).create_milestone("Same")),
    "a pull request": ("POST", "/pulls$", open_pull),
    "a release": ("POST", "/releases$", lambda gh: acting(gh).create_git_release("v1", "Same", "", draft=True)),
    "an invitation": ("PUT", "/collaborators/outsider$", invite),
    "a webhook": ("POST", "/hooks$", lambda gh: acting(gh).create_hook("web", {"url": "https://a.example"}, ["push"])),
    "a repository": ("POST", "/repos$", lambda gh: gh.get_organization("acme").create_repo("same")),
}


@pytest.mark.parametrize(("verb", "path", "do"), ALIKE.values(), ids=ALIKE)
def test_what_somebody_else_made_in_place_of_a_lost_call_is_left_alone(
    github_box: Box,
    session: agentguard.Session,
    gh: Any,
    colleague: Any,
    verb: str,
    path: str,
    do: Callable[[Any], Any],
) -> None:
    acting(pygithub(github_box)).add_to_collaborators("colleague", "admin")
    github_box.fault("drop_before", verb=verb, path=path)
    with pytest.raises(Exception, match=r"(?i)connection"):
        do(gh)
    do(colleague)
    there = github_box.snapshot()
    # What carries a mark is certainly not there, and nothing is left to report.
    assert outcomes(session.rollback()) == ([] if path in ("/pulls$", "/releases$") else [Outcome.IN_DOUBT])
    assert differences(there, github_box.snapshot()) == []


def test_a_label_that_somebody_made_in_place_of_a_lost_one_is_left_alone(
    github_box: Box, session: agentguard.Session, gh: Any, colleague: Any
) -> None:
    github_box.fault("drop_before", path="/labels$")
    with pytest.raises(Exception, match=r"(?i)connection"):
        acting(gh).create_label("same", "000000")
    acting(colleague).create_label("same", "ffffff", "Theirs")
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT]
    assert "same" in github_box.snapshot()["repos"]["acme/hr"]["labels"]


def test_a_milestone_that_others_put_issues_into_stays(
    github_box: Box, session: agentguard.Session, gh: Any, colleague: Any
) -> None:
    made = acting(gh).create_milestone("Mine")
    raw(colleague, "PATCH", f"{HR}/issues/1", {"milestone": made.number})
    assert outcomes(session.rollback()) == [Outcome.CONFLICT]
    assert github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]["milestone"] == made.number


def test_a_milestone_with_only_the_issues_of_the_session_goes(
    github_box: Box, session: agentguard.Session, gh: Any
) -> None:
    before = github_box.snapshot()["repos"]["acme/hr"]["milestones"]
    made = acting(gh).create_milestone("Mine")
    acting(gh).create_issue("In it", milestone=made)
    acting(gh).get_issue(1).edit(milestone=made)
    assert session.rollback().ok
    assert github_box.snapshot()["repos"]["acme/hr"]["milestones"] == before


def test_a_gist_that_others_commented_on_stays(github_box: Box, session: agentguard.Session, gh: Any) -> None:
    made = raw(gh, "POST", "/gists", {"files": {"a.txt": {"content": "text"}}})
    gists = github_box.snapshot()["gists"]
    gists[made["id"]]["comments"] = 1
    github_box.seed(gists=gists)
    assert outcomes(session.rollback()) == [Outcome.CONFLICT]
    assert made["id"] in github_box.snapshot()["gists"]


@pytest.mark.parametrize("before", [False, True], ids=["a new one", "one from before"])
def test_a_reaction_beyond_the_first_page_is_neither_deleted_nor_said_to_be_gone(
    github_box: Box, session: agentguard.Session, gh: Any, before: bool
) -> None:
    crowd = [{"id": 5000 + n, "user": "outsider", "content": "heart", "created_at": START} for n in range(120)]
    mine = [{"id": 6000, "user": "agent", "content": "heart", "created_at": START}] if before else []
    repos = whole(github_box)
    repos["acme/hr"]["issues"]["1"]["reactions"] = crowd + mine
    github_box.seed(repos=repos)
    acting(gh).get_issue(1).create_reaction("heart")
    report = session.rollback()
    assert outcomes(report) == [Outcome.IRREVERSIBLE]
    assert len(github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]["reactions"]) == 121


def test_an_invitation_beyond_the_first_page_is_neither_withdrawn_nor_said_to_be_gone(
    github_box: Box, session: agentguard.Session, gh: Any
) -> None:
    repos = whole(github_box)
    one = {"inviter": "colleague", "permissions": "read", "created_at": START}
    crowd = {str(7000 + n): {**one, "id": 7000 + n, "invitee": "colleague"} for n in range(110)}
    repos["acme/hr"]["invitations"] = {**crowd, "8000": {**one, "id": 8000, "invitee": "outsider"}}
    github_box.seed(repos=repos)
    acting(gh).add_to_collaborators("outsider", "push")
    assert outcomes(session.rollback()) == [Outcome.IRREVERSIBLE]
    assert "8000" in github_box.snapshot()["repos"]["acme/hr"]["invitations"]


@pytest.mark.parametrize("permission", ["push", "admin"])
def test_who_came_through_a_team_is_not_said_to_be_as_before(
    github_box: Box, session: agentguard.Session, gh: Any, permission: str
) -> None:
    repos = whole(github_box)
    repos["acme/hr"]["team_access"]["outsider"] = "write"
    github_box.seed(repos=repos)
    acting(gh).add_to_collaborators("outsider", permission)
    report = session.rollback()
    assert outcomes(report) == [Outcome.IRREVERSIBLE]
    assert "access of their own" in str(report)
    assert github_box.snapshot()["repos"]["acme/hr"]["collaborators"]["outsider"] == "write"


def test_a_comment_on_several_lines_is_posted_on_all_of_them_again(
    github_box: Box, session: agentguard.Session, gh: Any
) -> None:
    bare = pygithub(github_box)
    opened = open_pull(bare)
    place = {"path": "plan.md", "commit_id": sha_of(bare, "plan"), "start_line": 1, "start_side": "RIGHT", "line": 3}
    raw(bare, "POST", f"{HR}/pulls/{opened.number}/comments", {"body": "Why?", "side": "RIGHT", **place})
    acting(gh).get_pull(opened.number).get_review_comments()[0].delete()
    assert outcomes(session.rollback()) == [Outcome.COMPENSATED]
    (again,) = github_box.snapshot()["repos"]["acme/hr"]["review_comments"].values()
    assert {name: again[name] for name in place} == place
