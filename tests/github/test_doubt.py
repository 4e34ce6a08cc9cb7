"""A call whose answer was lost is known by the mark that it carried, from this process or another one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.github.hidden import mark_of

import agentguard
from agentguard import CallState, Outcome
from tests.boxes import Box
from tests.github.clients import TOKEN, acting, pygithub, raw
from tests.github.proof import HISTORY, HR, open_pull, sha_of
from tests.proving import differences

LOST = r"(?i)connection|disconnected"
CLOSED = (HISTORY, r"repos\.acme/hr\.issues\.2")
Do = Callable[[Any], object]

ELSEWHERE = """
import json, sys
import github
import agentguard

url, token, session, ledger = sys.argv[1:]
client = github.Github(base_url=url, auth=github.Auth.Token(token), retry=None)
report = agentguard.load(session, clients={"github": client}, ledger=ledger).rollback(agreed=True)
print(json.dumps([result.outcome for result in report.outcomes]))
"""


@dataclass(frozen=True)
class Made:
    """Something that is made with a mark, and what may remain after it was taken back."""

    path: str
    do: Do
    outcome: Outcome = Outcome.COMPENSATED
    residue: tuple[str, ...] = (HISTORY,)
    prepare: Do = lambda _gh: None


def line_comment(gh: Any) -> object:
    pull = acting(gh).get_pull(2)
    return pull.create_review_comment("Why?", acting(gh).get_commit(sha_of(gh, "plan")), "plan.md", line=1)


def reply(gh: Any) -> object:
    pull = acting(gh).get_pull(2)
    return pull.create_review_comment_reply(pull.get_review_comments()[0].id, "Because")


def pull_with_comment(gh: Any) -> None:
    open_pull(gh)
    line_comment(gh)


MADE = {
    "an issue": Made("/issues$", lambda gh: acting(gh).create_issue("Same", "Words"), residue=CLOSED),
    "an issue without words": Made("/issues$", lambda gh: acting(gh).create_issue("Same"), residue=CLOSED),
    "a comment": Made("/issues/1/comments$", lambda gh: acting(gh).get_issue(1).create_comment("Same")),
    "a pull request": Made("/pulls$", open_pull, residue=CLOSED),
    "a comment on a line": Made("/pulls/2/comments$", line_comment, prepare=open_pull),
    "a reply": Made("/replies$", reply, prepare=pull_with_comment),
    "a comment on a commit": Made(
        r"/commits/\w+/comments$", lambda gh: acting(gh).get_commit(sha_of(gh, "main")).create_comment("Same")
    ),
    "a draft of a release": Made(
        "/releases$", lambda gh: acting(gh).create_git_release("v1", "Same", "Words", draft=True), Outcome.RESTORED
    ),
    "a release": Made("/releases$", lambda gh: acting(gh).create_git_release("v1", "Same", "Words")),
    "a reaction": Made("/reactions$", lambda gh: acting(gh).get_issue(1).create_reaction("heart"), Outcome.RESTORED),
}
TWICE = {name: made for name, made in MADE.items() if name not in ("a pull request", "a release", "a reaction")}


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


@pytest.fixture
def bare(github_box: Box) -> Any:
    return pygithub(github_box)


@pytest.fixture
def gh(bare: Any, session: agentguard.Session) -> Any:
    return agentguard.wrap(bare, session)


def lose(box: Box, mode: str, made: Made, gh: Any) -> None:
    box.fault(mode, path=made.path)
    with pytest.raises(Exception, match=LOST):
        made.do(gh)


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [result.outcome for result in report.outcomes]


def unexpected(before: Any, after: Any, residue: Iterable[str]) -> list[str]:
    changed = differences(before, after)
    return [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in residue)]


def writes(box: Box) -> list[str]:
    return [f"{r['verb']} {r['path']}" for r in box.requests() if r["verb"] != "GET"]


def issues(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.snapshot()["repos"]["acme/hr"]["issues"]
    return found


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_what_a_lost_call_made_is_found_and_taken_back(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, made: Made
) -> None:
    made.prepare(bare)
    before = github_box.snapshot()
    lose(github_box, "drop_after", made, gh)
    assert github_box.snapshot() != before
    report = session.rollback()
    assert set(outcomes(report)) == {made.outcome}, str(report)
    assert unexpected(before, github_box.snapshot(), made.residue) == []


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_another_process_finds_it_by_what_is_in_the_ledger(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, made: Made, ledger: Path
) -> None:
    made.prepare(bare)
    before = github_box.snapshot()
    with session:
        lose(github_box, "drop_after", made, gh)
    command = [sys.executable, "-c", ELSEWHERE, github_box.url, TOKEN, session.id, str(ledger)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert set(json.loads(told.stdout)) == {made.outcome}
    assert unexpected(before, github_box.snapshot(), made.residue) == []


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_call_that_never_arrived_is_known_not_to_have_happened(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, made: Made
) -> None:
    made.prepare(bare)
    before = github_box.snapshot()
    lose(github_box, "drop_before", made, gh)
    sent = writes(github_box)
    report = session.rollback()
    assert (outcomes(report), report.ok) == ([], True), str(report)
    assert session.calls[-1].state is CallState.NOT_APPLIED
    assert writes(github_box) == sent
    assert github_box.snapshot() == before


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("made", TWICE.values(), ids=TWICE)
def test_of_two_equal_calls_each_is_taken_back_once(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, made: Made, mode: str
) -> None:
    made.prepare(bare)
    before = github_box.snapshot()
    made.do(gh)
    lose(github_box, mode, made, gh)
    made.do(gh)
    report = session.rollback()
    assert outcomes(report) == [made.outcome] * (2 if mode == "drop_before" else 3), str(report)
    residue = (*made.residue, r"repos\.acme/hr\.issues\.[34]") if made.residue == CLOSED else made.residue
    assert unexpected(before, github_box.snapshot(), residue) == []
    assert [one["state"] for number, one in issues(github_box).items() if number != "1" and "pull" not in one] == (
        ["closed"] * len(report.outcomes) if made.residue == CLOSED else []
    )


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("who", ["colleague", TOKEN], ids=["somebody else", "another program of the same account"])
@pytest.mark.parametrize("made", TWICE.values(), ids=TWICE)
def test_the_same_made_by_others_at_the_same_time_is_not_taken_for_ours(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, made: Made, who: str, mode: str
) -> None:
    made.prepare(bare)
    other, start = pygithub(github_box, who), len(unmarked(github_box))
    made.do(other)
    lose(github_box, mode, made, gh)
    made.do(other)
    theirs = unmarked(github_box)
    assert len(theirs) == start + 2
    report = session.rollback()
    # A release does not tell when it was edited: one of this account's without a mark might have had ours.
    unclear = made.path == "/releases$" and who == TOKEN and mode == "drop_before"
    expected = [made.outcome] if mode == "drop_after" else [Outcome.IN_DOUBT] if unclear else []
    assert outcomes(report) == expected, str(report)
    assert unmarked(github_box) == theirs


def comment(gh: Any) -> Any:
    return list(acting(gh).get_issue(1).get_comments())[-1]


def release(gh: Any) -> Any:
    return next(iter(acting(gh).get_releases()))


def milestone(gh: Any) -> Any:
    return next(one for one in acting(gh).get_milestones() if one.title == "Mine")


def make_milestone(gh: Any) -> object:
    return acting(gh).create_milestone("Mine")


def make_draft(gh: Any) -> object:
    return acting(gh).create_git_release("v1", "Same", "Words", draft=True)


CHANGED: dict[str, tuple[Do, Do]] = {
    "a comment": (MADE["a comment"].do, lambda gh: comment(gh).edit("Theirs " + comment(gh).body)),
    "the text of a release": (
        make_draft,
        lambda gh: release(gh).update_release("Same", "Theirs " + release(gh).body, draft=True),
    ),
    "the name of a release": (
        make_draft,
        lambda gh: release(gh).update_release("Theirs", release(gh).body, draft=True),
    ),
    "a release that was a draft": (make_draft, lambda gh: release(gh).update_release("Same", release(gh).body)),
    "a file of a release": (
        make_draft,
        lambda gh: raw(gh, "POST", f"/repos/acme/hr/releases/{release(gh).id}/assets?name=notes.txt", "text"),
    ),
    "the description of a milestone": (make_milestone, lambda gh: milestone(gh).edit("Mine", description="Theirs")),
    "an issue in a milestone": (
        make_milestone,
        lambda gh: acting(gh).create_issue("Theirs", milestone=milestone(gh)),
    ),
    "the role of an invitation": (
        lambda gh: acting(gh).add_to_collaborators("outsider", "pull"),
        lambda gh: raw(
            gh, "PATCH", f"{HR}/invitations/{acting(gh).get_pending_invitations()[0].id}", {"permissions": "admin"}
        ),
    ),
    "an issue in a repository": (
        lambda gh: gh.get_user().create_repo("mine"),
        lambda gh: gh.get_repo("agent/mine").create_issue("Theirs"),
    ),
}


@pytest.mark.parametrize(("do", "change"), CHANGED.values(), ids=CHANGED)
def test_what_somebody_wrote_into_what_a_lost_call_made_is_kept(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any, do: Do, change: Do
) -> None:
    for verb in ("POST", "PUT"):  # one of them is the call's
        github_box.fault("drop_after", verb)
    with pytest.raises(Exception, match=LOST):
        do(gh)
    change(bare)
    before = github_box.snapshot()
    report = session.rollback()
    assert outcomes(report) == [Outcome.CONFLICT], str(report)
    assert github_box.snapshot() == before


def test_a_mark_that_somebody_wrote_on_after_is_no_proof_that_nothing_was_made(
    github_box: Box, session: agentguard.Session, bare: Any, gh: Any
) -> None:
    lose(github_box, "drop_after", MADE["a comment"], gh)
    comment(bare).edit(comment(bare).body + " Theirs")  # in the second in which it was made
    before = github_box.snapshot()
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT]
    assert github_box.snapshot() == before


def unmarked(box: Box) -> list[dict[str, Any]]:
    """What is there without a mark of ours, of the kinds that can carry one."""
    repo = box.snapshot()["repos"]["acme/hr"]
    kinds = ("issues", "comments", "review_comments", "commit_comments", "releases")
    return [one for kind in kinds for one in repo[kind].values() if mark_of(one["body"]) is None]
