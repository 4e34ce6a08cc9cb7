"""slack_sdk, synchronous and asynchronous, against emulate, whose authors have never seen this library."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from slack_sdk.errors import SlackApiError

import agentguard
from agentguard import Outcome
from tests.peers import slack_cases as cases
from tests.peers.comparing import Case, acheck, check
from tests.peers.slack_world import aconnect, connect, world
from tests.peers.stand_ins import StandIn

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_a_call_is_taken_back_as_the_report_says(case: Case, emulate_slack: StandIn, ledger: Path) -> None:
    client = connect(emulate_slack.url)
    check(case, client, partial(world, client), ledger)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
async def test_so_is_one_of_the_asynchronous_client(case: Case, emulate_slack: StandIn, ledger: Path) -> None:
    bare = connect(emulate_slack.url)
    await acheck(case, aconnect(emulate_slack.url), bare, partial(world, bare), ledger)


def test_a_message_that_somebody_changed_since_is_left_alone(emulate_slack: StandIn, ledger: Path) -> None:
    client = connect(emulate_slack.url)
    given = cases.found(client)
    session = agentguard.session(agent="prover", intent="edit", ledger=ledger, approver=lambda _card: True)
    with session:
        agentguard.wrap(client, session).chat_update(channel=given.at, ts=given.ts, text="By the agent")
    client.chat_update(channel=given.at, ts=given.ts, text="By a person")
    during = world(client)
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.CONFLICT], str(report)
    assert world(client) == during


def test_a_reaction_that_was_there_already_did_not_happen(emulate_slack: StandIn, ledger: Path) -> None:
    client = connect(emulate_slack.url)
    given = cases.found(client)
    before = world(client)
    session = agentguard.session(agent="prover", intent="react", ledger=ledger, approver=lambda _card: True)
    with session, pytest.raises(SlackApiError, match="already_reacted"):
        agentguard.wrap(client, session).reactions_add(channel=given.at, timestamp=given.ts, name="eyes")
    report = session.rollback()
    assert report.ok, str(report)
    assert world(client) == before
