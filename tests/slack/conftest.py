"""Only the Slack stand-in runs for these tests; a bare client of it, and a session that approves everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

import agentguard
from tests.boxes import Box, start_boxes
from tests.slack.cases import BOT


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """The Slack stand-in, in one process beside this one."""
    with start_boxes(tmp_path_factory.mktemp("sandbox") / "log.jsonl", "slack") as running:
        yield running


@pytest.fixture
def client(slack_box: Box) -> WebClient:
    return WebClient(BOT, base_url=f"{slack_box.url}/api/")


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)
