"""PyGithub against emulate, whose authors have never seen this library."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from github import GithubException

import agentguard
from agentguard import Outcome
from tests.peers import github_cases as cases
from tests.peers import github_given as given
from tests.peers.comparing import Case, acheck, check
from tests.peers.github_world import connect, connect_kit, world
from tests.peers.stand_ins import StandIn

pytestmark = pytest.mark.peer
ALL = [*cases.ISSUES, *cases.CODE, *cases.PULLS, *cases.SETTINGS]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_call_is_taken_back_as_the_report_says(case: Case, emulate_github: StandIn, ledger: Path) -> None:
    client = connect(emulate_github.url)
    check(case, client, partial(world, client), ledger)


@pytest.mark.parametrize("row", cases.KIT, ids=lambda row: row[0])
def test_so_is_one_of_githubkit(row: tuple[Any, ...], emulate_github: StandIn, ledger: Path) -> None:
    operation, namespace, method, arguments, named = row
    bare = connect(emulate_github.url)
    given.issue_and_branch(bare)

    def do(client: Any, _given: object) -> object:
        return getattr(getattr(client.rest, namespace), method)("octo", "site", *arguments, **named)

    check(Case(operation, do), connect_kit(emulate_github.url), partial(world, bare), ledger)


@pytest.mark.parametrize("row", cases.KIT, ids=lambda row: row[0])
async def test_so_is_one_of_githubkit_in_asyncio(row: tuple[Any, ...], emulate_github: StandIn, ledger: Path) -> None:
    operation, namespace, method, arguments, named = row
    bare = connect(emulate_github.url)
    given.issue_and_branch(bare)

    def do(client: Any, _given: object) -> object:
        return getattr(getattr(client.rest, namespace), f"async_{method}")("octo", "site", *arguments, **named)

    await acheck(Case(operation, do), connect_kit(emulate_github.url), bare, partial(world, bare), ledger)


def test_another_process_takes_a_session_back(emulate_github: StandIn, ledger: Path) -> None:
    client = connect(emulate_github.url)
    given.issue(client)
    before = world(client)
    session = agentguard.session(agent="prover", intent="label", ledger=ledger, approver=lambda _card: True)
    with session:
        site = agentguard.wrap(client, session).get_repo("octo/site")
        site.get_issue(1).set_labels("later")
        site.get_milestone(1).edit("1.1", description="Late")
    assert world(client) != before
    again = agentguard.load(session.id, clients={"github": connect_kit(emulate_github.url)}, ledger=ledger)
    report = again.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.RESTORED] * 2, str(report)
    assert world(client) == before


def test_a_day_of_work_is_taken_back_in_reverse_order(emulate_github: StandIn, ledger: Path) -> None:
    client = connect(emulate_github.url)
    given.issue(client)
    before = world(client)
    session = agentguard.session(agent="prover", intent="tidy up", ledger=ledger, approver=lambda _card: True)
    with session:
        site = agentguard.wrap(client, session).get_repo("octo/site")
        issue = site.get_issue(1)
        issue.edit(title="Really broken", state="closed")
        issue.remove_from_labels("bug")
        site.create_label("done", "00ff00")
        issue.add_to_labels("done")
        issue.lock("resolved")
        site.create_milestone("3.0")
        site.replace_topics(["tidy"])
        site.edit(description="Tidy")
    assert world(client) != before
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.RESTORED] * 8, str(report)
    after = world(client)
    assert after["issues"]["1"].pop("state_reason") == "reopened"
    assert before["issues"]["1"].pop("state_reason") is None
    assert after == before


def test_a_comment_that_somebody_changed_since_is_left_alone(emulate_github: StandIn, ledger: Path) -> None:
    client = connect(emulate_github.url)
    given.issue(client)
    session = agentguard.session(agent="prover", intent="edit", ledger=ledger, approver=lambda _card: True)
    with session:
        agentguard.wrap(client, session).get_repo("octo/site").get_issue(1).get_comment(1).edit("By the agent")
    client.get_repo("octo/site").get_issue(1).get_comment(1).edit("By a person")
    during = world(client)
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.CONFLICT], str(report)
    assert world(client) == during


def test_a_write_with_a_stale_sha_did_not_happen(emulate_github: StandIn, ledger: Path) -> None:
    client = connect(emulate_github.url)
    before = world(client)
    session = agentguard.session(agent="prover", intent="write", ledger=ledger, approver=lambda _card: True)
    with session:
        site = agentguard.wrap(client, session).get_repo("octo/site")
        with pytest.raises(GithubException, match="409"):
            site.update_file("README.md", "Rewrite", "other\n", "0" * 40)
    report = session.rollback()
    assert report.ok, str(report)
    assert world(client) == before
