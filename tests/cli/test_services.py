"""An agent's process dies in the middle of its work, and `agentguard rollback` takes it back from another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.boxes import Box
from tests.cli.conftest import Run, one_line
from tests.proving import differences

AGENT = """
import os
import agentguard
from my_clients import github, slack

with agentguard.session(agent="onboarding", intent="Set up Ashu") as session:
    repo = agentguard.wrap(github(), session).get_repo("acme/hr")
    with session.because("Ashu starts on Monday"):
        issue = repo.create_issue("Onboard Ashu")
    issue.add_to_labels("onboarding")
    agentguard.wrap(slack(), session).chat_postMessage(channel="C0GENERAL", text="Ashu starts on Monday!")
    os._exit(9)
"""

CLIENTS = """
import os

def github():
    from github import Auth, Github
    return Github(auth=Auth.Token("a-token"), base_url=os.environ["GITHUB_BOX"], seconds_between_writes=None)

def slack():
    from slack_sdk import WebClient
    return WebClient("xoxb-a-token", base_url=os.environ["SLACK_BOX"])
"""


@pytest.fixture
def places(github_box: Box, slack_box: Box) -> dict[str, str]:
    return {"GITHUB_BOX": github_box.url, "SLACK_BOX": f"{slack_box.url}/api/"}


@pytest.fixture
def agent_dies(folder: Path, run: Run, places: dict[str, str]) -> Callable[[], None]:
    (folder / "my_clients.py").write_text(CLIENTS)

    def agent_dies() -> None:
        died = run("-c", AGENT, **places)
        assert died.returncode == 9, died.stderr

    return agent_dies


def configure(folder: Path, **clients: str) -> None:
    entries = "".join(f'{name} = "{factory}"\n' for name, factory in clients.items())
    (folder / "agentguard.toml").write_text(f'ledger = "ledger.db"\n[clients]\n{entries}')


def test_a_fresh_process_takes_it_back_with_clients_from_factories(
    agentguard: Run,
    agent_dies: Callable[[], None],
    folder: Path,
    places: dict[str, str],
    github_box: Box,
    slack_box: Box,
) -> None:
    before = slack_box.snapshot(), github_box.snapshot()
    agent_dies()
    configure(folder, github="my_clients:github", slack="my_clients:slack")
    rolled_back = agentguard("rollback", "last", "--yes", "--json", **places)
    assert rolled_back.returncode == 0, rolled_back.stderr
    report = json.loads(rolled_back.stdout)
    outcomes = {result["operation"]: result["outcome"] for result in report["outcomes"]}
    assert list(outcomes) == ["slack.chat.postMessage", "github.issues.addLabels", "github.issues.create"]
    assert outcomes["github.issues.create"] == "compensated"
    assert slack_box.snapshot() == before[0]
    issues = github_box.snapshot()["repos"]["acme/hr"]["issues"]
    new = issues.keys() - before[1]["repos"]["acme/hr"]["issues"].keys()
    assert [issues[number]["state"] for number in new] == ["closed"]
    again = agentguard("rollback", "last", "--yes")
    assert again.returncode == 0, "what was taken back needs no client any more"
    assert "ROLLED BACK" in agentguard("show", "last").stdout


def test_the_environment_is_enough(
    agentguard: Run, agent_dies: Callable[[], None], places: dict[str, str], slack_box: Box
) -> None:
    before = slack_box.snapshot()
    agent_dies()
    rolled_back = agentguard(
        "rollback",
        "last",
        "--yes",
        GITHUB_TOKEN="a-token",
        GITHUB_API_URL=places["GITHUB_BOX"],
        SLACK_BOT_TOKEN="xoxb-a-token",
        SLACK_API_URL=places["SLACK_BOX"],
    )
    assert rolled_back.returncode == 0, rolled_back.stderr + rolled_back.stdout
    assert "Taken back: 3 calls" in rolled_back.stdout
    assert slack_box.snapshot() == before


def test_without_a_client_for_one_service_nothing_is_sent_to_any(
    agentguard: Run, agent_dies: Callable[[], None], places: dict[str, str], slack_box: Box, github_box: Box
) -> None:
    agent_dies()
    before = slack_box.snapshot(), github_box.snapshot()
    refused = agentguard("rollback", "last", "--yes", SLACK_BOT_TOKEN="xoxb-a-token", SLACK_API_URL=places["SLACK_BOX"])
    assert refused.returncode == 2
    one_line(refused.stderr, "GITHUB_TOKEN is not set", "[clients]", "Nothing was sent")
    assert (slack_box.snapshot(), github_box.snapshot()) == before


def test_a_client_of_another_place_is_not_used(
    agentguard: Run,
    agent_dies: Callable[[], None],
    folder: Path,
    places: dict[str, str],
    slack_box: Box,
    github_box: Box,
) -> None:
    agent_dies()
    configure(folder, github="my_clients:github", slack="my_clients:slack")
    before = slack_box.snapshot(), github_box.snapshot()
    elsewhere = {**places, "SLACK_BOX": places["GITHUB_BOX"] + "/api/"}
    refused = agentguard("rollback", "last", "--yes", "--json", **elsewhere)
    assert refused.returncode == 1
    outcomes = {result["operation"]: result for result in json.loads(refused.stdout)["outcomes"]}
    assert outcomes["slack.chat.postMessage"]["outcome"] == "failed"
    assert places["SLACK_BOX"] in outcomes["slack.chat.postMessage"]["detail"]
    assert slack_box.snapshot() == before[0]
    changed = differences(before[1], github_box.snapshot())
    assert changed, "the others are taken back all the same"
    assert agentguard("rollback", "last", "--yes", **places).returncode == 0, "and with the right client, this one too"
