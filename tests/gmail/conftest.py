"""Only the Gmail stand-in runs for these tests; a bare service of it, built as the real one is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentguard
from tests.boxes import Box, start_boxes
from tests.gmail.world import service_at


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """The Gmail stand-in, in one process beside this one."""
    with start_boxes(tmp_path_factory.mktemp("sandbox") / "log.jsonl", "gmail") as running:
        yield running


@pytest.fixture
def box(boxes: dict[str, Box]) -> Box:
    """The Gmail stand-in, as new."""
    return boxes["gmail"].reset()


@pytest.fixture
def service(box: Box) -> Iterator[Any]:
    """A bare Gmail service."""
    with service_at(box.url) as made:
        yield made


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)
