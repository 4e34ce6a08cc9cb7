"""Fixtures: stand-ins in a process of their own, a ledger in a temporary folder, and a guard on every socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box, start_boxes

# A look that shows nothing is believed when every request must have landed. Here they do at once.
os.environ.setdefault("AGENTGUARD_SEND_DEADLINE", "0.05")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test that opens a connection to anywhere but this machine."""
    connect = socket.socket.connect
    connect_ex = socket.socket.connect_ex

    def checked(self: socket.socket, address: Any) -> None:
        _check(self, address)
        return connect(self, address)

    def checked_ex(self: socket.socket, address: Any) -> int:
        _check(self, address)
        return connect_ex(self, address)

    def _check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            pytest.fail(f"a connection left this machine: {address}")

    monkeypatch.setattr(socket.socket, "connect", checked)
    monkeypatch.setattr(socket.socket, "connect_ex", checked_ex)


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """All stand-ins, in one process beside this one."""
    with start_boxes(tmp_path_factory.mktemp("sandbox") / "log.jsonl") as running:
        yield running


@pytest.fixture
def github_box(boxes: dict[str, Box]) -> Box:
    """The GitHub stand-in, as new."""
    return boxes["github"].reset()


@pytest.fixture
def stripe_box(boxes: dict[str, Box]) -> Box:
    """The Stripe stand-in, as new."""
    return boxes["stripe"].reset()


@pytest.fixture
def slack_box(boxes: dict[str, Box]) -> Box:
    """The Slack stand-in, as new."""
    return boxes["slack"].reset()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    """Where this test's ledger goes. Closed afterwards: each takes four files, and a process may have 1024 open."""
    path = tmp_path / "ledger" / "ledger.db"
    yield path
    if path in SqliteLedger._open:
        SqliteLedger._open[path].close()
