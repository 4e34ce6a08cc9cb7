"""Only the HubSpot stand-in runs for these tests; a bare client of it, and a session that approves everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hubspot import HubSpot

import agentguard
from agentguard.sandbox.hubspot import TOKEN
from tests.boxes import Box, start_boxes


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """The HubSpot stand-in, in one process beside this one."""
    with start_boxes(tmp_path_factory.mktemp("sandbox") / "log.jsonl", "hubspot") as running:
        yield running


@pytest.fixture
def hubspot_box(boxes: dict[str, Box]) -> Box:
    """The HubSpot stand-in, as new."""
    return boxes["hubspot"].reset()


@pytest.fixture
def client(hubspot_box: Box) -> HubSpot:
    return HubSpot(access_token=TOKEN, host=hubspot_box.url, base_url=hubspot_box.url)


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)
