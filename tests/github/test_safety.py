"""What a rollback must not do: overwrite others, believe a 404, guess what became of a lost call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.github import github as connector

import agentguard
from agentguard import Outcome
from tests.boxes import Box
from tests.github.clients import TOKEN, acting, kit, pygithub, raw
from tests.proving import differences

HR = "/repos/acme/hr"


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


@pytest.fixture
def colleague(github_box: Box) -> Any:
    return acting(pygithub(github_box, "colleague"))


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [result.outcome for result in report.outcomes]


def writes(box: Box) -> list[str]:
    return [f"{r['verb']} {r['path']}" for r in box.requests() if r["verb"] != "GET"]


Edit = Callable[[Any], object]
DRIFT: dict[str, tuple[Edit, Edit]] = {
    "an issue's title": (
        lambda repo: repo.get_issue(1).edit(title="Mine"),
        lambda repo: repo.get_issue(1).edit(title="Theirs"),
    ),
    "a comment": (
        lambda repo: repo.get_issue(1).get_comment(630).edit("Mine"),
        lambda repo: repo.get_issue(1).get_comment(630).edit("Theirs"),
    ),
    "a new comment": (
        lambda repo: repo.get_issue(1).create_comment("Mine"),
        lambda repo: list(repo.get_issue(1).get_comments())[-1].edit("Theirs"),
    ),
    "a file": (
        lambda repo: repo.update_file("README.md", "m", "Mine", repo.get_contents("README.md").sha),
        lambda repo: repo.update_file("README.md", "m", "Theirs", repo.get_contents("README.md").sha),
    ),
    "a new file": (
        lambda repo: repo.create_file("new.md", "m", "Mine"),
        lambda repo: repo.update_file("new.md", "m", "Theirs", repo.get_contents("new.md").sha),
    ),
    "a deleted file": (
        lambda repo: repo.delete_file("README.md", "m", repo.get_contents("README.md").sha),
        lambda repo: repo.create_file("README.md", "m", "Theirs"),
    ),
    "a branch": (
        lambda repo: repo.create_git_ref("refs/heads/mine", repo.get_git_ref("heads/main").object.sha),
        lambda repo: repo.get_git_ref("heads/mine").edit(repo.get_git_ref("heads/plan").object.sha),
    ),
    "a label's colour": (
        lambda repo: repo.get_label("bug").edit("bug", "111111"),
        lambda repo: repo.get_label("bug").edit("bug", "222222"),
    ),
    "all labels of an issue": (
        lambda repo: repo.get_issue(1).delete_labels(),
        lambda repo: repo.get_issue(1).add_to_labels("bug", "urgent"),
    ),
    "a milestone": (
        lambda repo: repo.get_milestone(1).edit("Mine"),
        lambda repo: repo.get_milestone(1).edit("Theirs"),
    ),
}


@pytest.mark.parametrize(("mine", "theirs"), DRIFT.values(), ids=DRIFT)
def test_what_somebody_changed_since_is_left_alone(
    github_box: Box, session: agentguard.Session, colleague: Any, mine: Edit, theirs: Edit
) -> None:
    mine(acting(agentguard.wrap(pygithub(github_box), session)))
    theirs(colleague)
    there, sent = github_box.snapshot(), writes(github_box)
    report = session.rollback()
    assert outcomes(report) == [Outcome.CONFLICT]
    assert not report.ok
    assert writes(github_box) == sent
    assert differences(there, github_box.snapshot()) == []


def test_what_others_did_to_the_same_issue_stays(github_box: Box, session: agentguard.Session, colleague: Any) -> None:
    issue = acting(agentguard.wrap(pygithub(github_box), session)).get_issue(1)
    issue.edit(title="Mine")
    issue.add_to_labels("urgent")
    colleague.get_issue(1).edit(body="Theirs")
    colleague.get_issue(1).add_to_labels("onboarding")
    assert outcomes(session.rollback()) == [Outcome.RESTORED] * 2
    found = github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]
    assert (found["title"], found["body"], found["labels"]) == ("Welcome", "Theirs", ["bug", "onboarding"])


def test_what_somebody_deleted_is_not_deleted_again(
    github_box: Box, session: agentguard.Session, colleague: Any
) -> None:
    acting(agentguard.wrap(pygithub(github_box), session)).get_issue(1).create_comment("Mine")
    list(colleague.get_issue(1).get_comments())[-1].delete()
    sent = writes(github_box)
    assert outcomes(session.rollback()) == [Outcome.ALREADY_UNDONE]
    assert writes(github_box) == sent


LOST: dict[str, Edit] = {
    "a comment": lambda gh: acting(gh).get_issue(1).create_comment("Mine"),
    "a label": lambda gh: acting(gh).create_label("mine", "000000"),
    "a branch": lambda gh: acting(gh).create_git_ref("refs/heads/x", acting(gh).get_git_ref("heads/main").object.sha),
    "a file": lambda gh: acting(gh).create_file("x.md", "m", "x"),
    "a repository": lambda gh: gh.get_organization("acme").create_repo("x", private=True),
    "an issue": lambda gh: acting(gh).get_issue(1).edit(title="Mine"),
}


@pytest.mark.parametrize("do", LOST.values(), ids=LOST)
def test_a_lost_permission_is_not_taken_for_a_deletion(github_box: Box, session: agentguard.Session, do: Edit) -> None:
    do(agentguard.wrap(pygithub(github_box), session))
    github_box.seed(revoked=["agent"])
    for _again in range(2):
        report = session.rollback()
        assert not outcomes(report)[0].ok
        assert not report.ok
    github_box.seed(revoked=[])
    assert session.rollback().ok


# The answer is lost

CREATED: dict[str, tuple[str, Edit]] = {
    "an issue": ("/issues$", lambda gh: acting(gh).create_issue("Mine", "Body")),
    "a comment": ("/comments$", lambda gh: acting(gh).get_issue(1).create_comment("Mine")),
    "a milestone": ("/milestones$", lambda gh: acting(gh).create_milestone("Mine")),
    "a pull request": ("/pulls$", lambda gh: acting(gh).create_pull(base="main", head="plan", title="Mine")),
    "a release": ("/releases$", lambda gh: acting(gh).create_git_release("v1", "Mine", "", draft=True)),
    "a repository": ("/repos$", lambda gh: gh.get_user().create_repo("mine")),
    "a comment on a commit": (
        "/comments$",
        lambda gh: acting(gh).get_commit(acting(gh).get_git_ref("heads/main").object.sha).create_comment("Mine"),
    ),
    "an invitation": ("/collaborators/outsider$", lambda gh: acting(gh).add_to_collaborators("outsider", "push")),
    "a label": ("/labels$", lambda gh: acting(gh).create_label("mine", "000000")),
    "a branch": (
        "/git/refs$",
        lambda gh: acting(gh).create_git_ref("refs/heads/x", acting(gh).get_git_ref("heads/main").object.sha),
    ),
    "a file": ("/contents/", lambda gh: acting(gh).create_file("x.md", "m", "x")),
}


@pytest.mark.parametrize(("path", "do"), CREATED.values(), ids=CREATED)
def test_a_creation_whose_answer_was_lost_is_found_and_taken_back(
    github_box: Box, session: agentguard.Session, path: str, do: Edit
) -> None:
    gh = agentguard.wrap(pygithub(github_box), session)
    github_box.fault("drop_after", verb="PUT" if "contents" in path or "collaborators" in path else "POST", path=path)
    with pytest.raises(Exception, match=r"(?i)connection"):
        do(gh)
    report = session.rollback()
    assert outcomes(report)[0] in (Outcome.RESTORED, Outcome.COMPENSATED), str(report)


MARKED = ("an issue", "a comment", "a pull request", "a release", "a comment on a commit")
"""What carries a mark: that it is not there is certain, and nothing is left to report."""


@pytest.mark.parametrize("name", CREATED)
def test_a_creation_that_was_lost_on_the_way_is_never_said_to_have_been_taken_back(
    github_box: Box, session: agentguard.Session, name: str
) -> None:
    path, do = CREATED[name]
    gh = agentguard.wrap(pygithub(github_box), session)
    before = github_box.snapshot()
    github_box.fault("drop_before", verb="PUT" if "contents" in path or "collaborators" in path else "POST", path=path)
    with pytest.raises(Exception, match=r"(?i)connection"):
        do(gh)
    sent = writes(github_box)
    told = outcomes(session.rollback())
    assert told == [] if name in MARKED else told in ([Outcome.IN_DOUBT], [Outcome.ALREADY_UNDONE])
    assert writes(github_box) == sent
    assert differences(before, github_box.snapshot()) == []


def test_a_comment_on_a_line_whose_answer_was_lost_is_found(github_box: Box, session: agentguard.Session) -> None:
    acting(pygithub(github_box)).create_pull(base="main", head="plan", title="P")
    before = github_box.snapshot()["repos"]["acme/hr"]["review_comments"]
    repo = acting(agentguard.wrap(pygithub(github_box), session))
    commit = repo.get_commit(repo.get_git_ref("heads/plan").object.sha)
    pull = repo.get_pull(2)
    github_box.fault("drop_after", path="/comments$")
    with pytest.raises(Exception, match=r"(?i)connection"):
        pull.create_review_comment("Mine", commit, "plan.md", line=1)
    assert outcomes(session.rollback()) == [Outcome.COMPENSATED]
    assert github_box.snapshot()["repos"]["acme/hr"]["review_comments"] == before


def test_two_gists_that_say_the_same_leave_it_in_doubt_which_one_it_was(
    github_box: Box, session: agentguard.Session
) -> None:
    same = {"files": {"a.txt": {"content": "text"}}}
    github_box.fault("drop_after", path="/gists$")
    with pytest.raises(Exception, match=r"(?i)connection"):
        raw(agentguard.wrap(pygithub(github_box), session), "POST", "/gists", same)
    raw(pygithub(github_box), "POST", "/gists", same)  # before the call, it could be of an earlier second
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT]
    assert len(github_box.snapshot()["gists"]) == 2


def test_an_update_whose_answer_was_lost_is_recognised_by_what_is_there(
    github_box: Box, session: agentguard.Session
) -> None:
    gh = agentguard.wrap(kit(github_box), session)
    github_box.fault("drop_after", verb="PATCH")
    with pytest.raises(Exception, match=r"(?i)disconnected"):
        gh.rest.issues.update(owner="acme", repo="hr", issue_number=1, title="Mine", labels=["Urgent"])
    assert session.rollback().ok
    found = github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]
    assert (found["title"], found["labels"]) == ("Welcome", ["bug"])


# What an undo must see


def test_an_invitation_that_was_accepted_is_taken_back_as_access(github_box: Box, session: agentguard.Session) -> None:
    acting(agentguard.wrap(pygithub(github_box), session)).add_to_collaborators("outsider", "push")
    state = github_box.snapshot()["repos"]["acme/hr"]
    accept(github_box, "outsider")
    assert session.rollback().ok
    after = github_box.snapshot()["repos"]["acme/hr"]
    assert after["invitations"] == {}
    assert after["collaborators"] == state["collaborators"]


def test_an_invitation_of_somebody_else_stays_open(
    github_box: Box, session: agentguard.Session, colleague: Any
) -> None:
    acting(pygithub(github_box)).add_to_collaborators("outsider", "pull")
    before = github_box.snapshot()
    acting(agentguard.wrap(pygithub(github_box), session)).add_to_collaborators("outsider", "pull")
    assert session.rollback().ok
    assert differences(before, github_box.snapshot()) == []


def accept(box: Box, login: str) -> None:
    """Let *login* accept the invitation, as they would in their browser."""
    invitation = next(iter(box.snapshot()["repos"]["acme/hr"]["invitations"]))
    raw(pygithub(box, login), "PATCH", f"/user/repository_invitations/{invitation}")


def test_a_call_that_changes_nothing_is_not_undone(github_box: Box, session: agentguard.Session) -> None:
    issue = acting(agentguard.wrap(pygithub(github_box), session)).get_issue(1)
    issue.add_to_labels("bug")
    issue.create_reaction("heart")
    issue.create_reaction("heart")
    before = github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]["labels"]
    assert sorted(outcomes(session.rollback())) == sorted([Outcome.ALREADY_UNDONE] * 2 + [Outcome.RESTORED])
    assert github_box.snapshot()["repos"]["acme/hr"]["issues"]["1"]["labels"] == before


def test_a_repository_that_others_began_to_use_is_not_deleted(github_box: Box, session: agentguard.Session) -> None:
    gh = agentguard.wrap(pygithub(github_box), session)
    gh.get_user().create_repo("shared")
    pygithub(github_box, "colleague").get_repo("agent/shared").create_issue("Please keep this")
    assert outcomes(session.rollback()) == [Outcome.CONFLICT]
    assert "agent/shared" in github_box.snapshot()["repos"]


def test_what_cannot_be_taken_back_is_said(github_box: Box, session: agentguard.Session) -> None:
    gh = agentguard.wrap(pygithub(github_box), session)
    pull = acting(gh).create_pull(base="main", head="plan", title="P")
    pull.merge()
    acting(gh).get_workflow("tests.yml").create_dispatch("main")
    report = session.rollback()
    assert not report.ok
    assert Outcome.IRREVERSIBLE in outcomes(report)


def test_a_loaded_session_is_taken_back_with_a_client_made_from_the_environment(github_box: Box, ledger: Path) -> None:
    first = agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)
    gh = agentguard.wrap(pygithub(github_box), first)
    before = github_box.snapshot()["repos"]["acme/hr"]
    acting(gh).get_issue(1).edit(title="Mine", labels=["urgent"])
    made = gh.get_user().create_repo("new", auto_init=True)
    made.create_file("a.md", "m", "text")
    made.create_issue("In the new repository")
    assert connector.account is not None
    client = connector.account.client({"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": github_box.url})
    loaded = agentguard.load(first.id, clients={"github": client}, ledger=ledger)
    report = loaded.rollback(agreed=True)
    assert report.ok, str(report)
    after = github_box.snapshot()["repos"]
    assert list(after) == ["acme/hr"]
    assert after["acme/hr"]["issues"] == before["issues"]
