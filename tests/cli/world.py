"""A folder as an operator finds it: a ledger in which sessions have come to every kind of end, and its configuration.

The sessions are made in a process of their own, with the real clients over HTTP against the stand-ins, and that process
dies in the middle of the last open one. Whoever reads this ledger is always another process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.notes import notes
from tests.github.clients import pygithub

CONFIG = """
ledger = "ledger.db"

[clients]
notes = "tests.cli.world:notes_client"

[connectors]
notes = "tests.core.notes:notes"

[[policy.rules]]
name = "letters wait"
operations = ["slack.chat.postMessage", "notes.notes.update"]
agents = ["editor"]
then = "hold"

[[policy.rules]]
name = "guests do not purge"
operations = ["notes.notes.purge"]
agents = ["guest"]
then = "refuse"
reason = "Only the keeper of the notes does"
"""
_clients: list[httpx.Client] = []
PLACEHOLDER = "ap-1f2e3d4c5b6a"
"""The request of the examples; the one that waits has another name each time."""


def notes_client() -> httpx.Client:
    """What agentguard.toml names as the factory of clients."""
    _clients.append(httpx.Client(base_url=f"{os.environ['NOTES_URL']}/v1/"))
    return _clients[-1]


def close_clients() -> None:
    """Close what was made; a command leaves that to the end of its process, which a test outlives."""
    while _clients:
        _clients.pop().close()


@dataclass(frozen=True)
class World:
    """One test's copy of the folder."""

    folder: Path
    box: Box
    environment: pytest.MonkeyPatch
    """For what a command is to find in its environment."""

    @property
    def store(self) -> SqliteLedger:
        """Its ledger."""
        return SqliteLedger.at(self.folder / "ledger.db")

    @property
    def request(self) -> str:
        """The request that waits for a person."""
        return self.store.people.approvals(session="books")[0].id

    def configure(self, more: str) -> None:
        """Add to agentguard.toml."""
        (self.folder / "agentguard.toml").write_text(CONFIG + more)

    def writes(self) -> int:
        """How many requests that change something the services have got."""
        return len(self.box.requests("POST", "PATCH", "PUT", "DELETE"))


def prepare(folder: Path, notes_box: Box, github_box: Box) -> dict[str, Any]:
    """Make the folder; return the state in which the notes service is left."""
    (folder / "agentguard.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "tests.cli.world", notes_box.url, github_box.url]
    root = str(Path(__file__).parents[2])
    place = {"AGENTGUARD_CONFIG": str(folder / "agentguard.toml"), "NOTES_URL": notes_box.url}
    made = subprocess.run(command, cwd=root, env=os.environ | place, capture_output=True, text=True)
    assert made.returncode == 9, made.stderr
    return notes_box.snapshot()


def copied(prepared: Path, folder: Path, box: Box, environment: pytest.MonkeyPatch) -> World:
    """A copy of the folder, for one test."""
    shutil.copytree(prepared, folder)
    return World(folder, box, environment)


def work(notes_box: Box, github_box: Box) -> None:
    """Do all that the ledger tells of."""
    plain = notes_client()

    def start(name: str, agent: str, intent: str, **more: Any) -> tuple[agentguard.Session, Any]:
        session = agentguard.session(agent=agent, intent=intent, id=name, **more)
        return session, agentguard.wrap(plain, session, notes)

    session, client = start("done", "keeper", "Write down what was said")
    with session:
        client.post("notes", json={"title": "minutes"})
    session, client = start("mistake", "keeper", "Copy the list", user="uma")
    with suppress(ValueError), session:  # what is raised is on record as the cause
        client.post("notes", json={"title": "list"})
        raise ValueError("the list is of last year")
    session, client = start("colleagues", "keeper", "Correct the agenda")
    with session:
        made = client.post("notes", json={"title": "agenda", "body": "as the agent has it"}).json()
    plain.patch(f"notes/{made['id']}", json={"body": "as a colleague has it"})
    session.rollback(cause="the agenda was right")
    session, _ = start("hr", "onboarding", "Set up Ashu")
    with session:
        agentguard.wrap(pygithub(github_box), session).get_repo("acme/hr").create_issue("Laptop for Ashu")
    session, client = start("books", "cleaner", "Close the books", approver="later", on_crash="resume")
    with suppress(agentguard.ApprovalPending), session.because("They are of last year", 0.8):
        client.post("purge", json={})
    session, client = start("letters", "editor", "Answer the letters", on_crash="resume")
    client.patch("notes/1", json={"body": "answered"})
    session, client = start("outbox", "guest", "Tidy up", on_crash="leave")
    with suppress(agentguard.Refused):  # as the policy says
        client.post("purge", json={})
    session.ledger.people.freeze("outbox", "uma", "it tries what guests must not")
    session, client = start("invoices", "keeper", "Write the invoices", on_crash="leave")
    notes_box.fault("drop_before")
    with suppress(httpx.HTTPError):  # the answer is lost, and with it whether it happened
        client.post("notes", json={"title": "invoice 7"})
    session, client = start("crashed", "keeper", "Write half of it")
    client.post("notes", json={"title": "half"})
    session, client = start("monday", "keeper", "Prepare Monday", user="uma")
    with session:
        with session.because("Ashu starts on Monday", 0.9):
            client.post("notes", json={"title": "welcome"})
        session.checkpoint("written", {"step": 1})
        session.savepoint("half way")
        client.patch("notes/1", json={"body": "Ashu starts on Monday"})


if __name__ == "__main__":
    work(Box("notes", sys.argv[1]), Box("github", sys.argv[2]))
    os._exit(9)
