"""Fixtures for the tests of the core: the notes service in a process of its own, and clients for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from tests.boxes import Box
from tests.core.notes import notes


@pytest.fixture(scope="session")
def _notes_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    log = tmp_path_factory.mktemp("notes") / "log.jsonl"
    command = [sys.executable, "-m", "tests.core.notes", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Box("notes", process.stdout.readline().strip())
        process.communicate()


@pytest.fixture
def box(_notes_process: Box) -> Box:
    """The notes service, as new."""
    return _notes_process.reset()


@pytest.fixture
def client(box: Box) -> Iterator[httpx.Client]:
    """A plain client of the notes service."""
    with httpx.Client(base_url=f"{box.url}/v1/") as plain:
        yield plain


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    """A session with nobody to ask."""
    return agentguard.session(agent="tester", intent="keep notes", ledger=ledger)


@pytest.fixture
def guarded(client: httpx.Client, session: agentguard.Session) -> Any:
    """The client, wrapped for the session."""
    return agentguard.wrap(client, session, notes)
