"""Fixtures: the notes service, a client of it, and an agent that has to ask before it purges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import leases
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.conftest import _notes_process as _notes_process
from tests.core.conftest import box as box
from tests.core.conftest import client as client
from tests.core.notes import notes


class Agent:
    """An agent at work on notes; purging them is critical, and asks."""

    def __init__(self, box: Box, client: httpx.Client, ledger: Path) -> None:
        self.box, self.client, self.ledger = box, client, ledger

    def session(self, **more: Any) -> agentguard.Session:
        """Start a session, or resume the one of that id."""
        given = {"agent": "cleaner", "intent": "tidy up", "user": "uma", "approver": "later", "on_crash": "resume"}
        return agentguard.session(**{**given, "ledger": self.ledger, **more})

    def wrapped(self, session: agentguard.Session) -> Any:
        """The client, guarded."""
        return agentguard.wrap(self.client, session, notes)

    def asks(self, session: agentguard.Session, **body: Any) -> str:
        """Try to purge; return the name of the request that a person has to decide about."""
        with pytest.raises(agentguard.ApprovalPending, match="Nothing was sent") as caught:
            self.wrapped(session).post("purge", json=body)
        return caught.value.approval

    def purges(self) -> int:
        """How often the service has purged."""
        return sum(effect["effect"] == "purged" for effect in self.box.effects())

    @property
    def store(self) -> SqliteLedger:
        """The ledger."""
        return SqliteLedger.at(self.ledger)


@pytest.fixture
def agent(box: Box, client: httpx.Client, ledger: Path) -> Agent:
    return Agent(box, client, ledger)


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every owner for dead: what resumes a session here stands for another process."""
    monkeypatch.setattr(leases, "is_gone", lambda owner: True)
