"""Fixtures: a program's folder, an agent that dies in it, and `agentguard` run as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.boxes import Box
from tests.cli.world import World, close_clients, copied, prepare
from tests.core.conftest import _notes_process as _notes_process

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ACTIONS = '''
import json, os, pathlib
import agentguard

STATE = pathlib.Path(os.environ["NOTES"])

def notes():
    return json.loads(STATE.read_text()) if STATE.exists() else {}

def look(name):
    return notes().get(name)

def remove(name):
    STATE.write_text(json.dumps({n: t for n, t in notes().items() if n != name}))

@agentguard.action("notes.add", undo=remove, look=look)
def add(name: str, text: str):
    """Write a note."""
    STATE.write_text(json.dumps({**notes(), name: text}))
    return {"name": name}

@agentguard.action("mail.send", undo=None, effect=agentguard.Effect.IRREVERSIBLE, risk=agentguard.Risk.LOW,
                   reason="Mail cannot be called back.")
def send(to: str):
    """Send a mail."""
'''

AGENT = """
import os
import agentguard, my_actions

with agentguard.session(agent="writer", intent={intent!r}, id={id!r}) as session:
    with session.because("Ashu starts on Monday", 0.9):
        my_actions.add("first", "x")
    session.savepoint("half way")
    my_actions.add("second", "y")
    {last}
    os._exit(9)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program's folder: agentguard.toml, and a module of actions that keep notes in a file."""
    (tmp_path / "my_actions.py").write_text(ACTIONS)
    (tmp_path / "agentguard.toml").write_text('ledger = "ledger.db"\n[actions]\nmodules = ["my_actions"]\n')
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a program in the folder; without a terminal, as a script would."""

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTGUARD", "GITHUB_"))}
        own |= {"NOTES": str(folder / "notes.json"), "COLUMNS": "80", **environment}
        return subprocess.run(
            [sys.executable, *command], cwd=folder, env=own, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    return run


@pytest.fixture
def agentguard(run: Run) -> Run:
    """Run `agentguard ...`."""
    return lambda *arguments, **environment: run("-m", "agentguard", *arguments, **environment)


@pytest.fixture
def agent_dies(run: Run) -> Callable[..., None]:
    """Run an agent that makes two notes and dies before its session ends."""

    def agent_dies(name: str | None = None, intent: str = "Write notes", last: str = "") -> None:
        died = run("-c", AGENT.format(id=name, intent=intent, last=last))
        assert died.returncode == 9, died.stderr

    return agent_dies


def one_line(stderr: str, *parts: str) -> None:
    """Check an error: one line that names the program, without a traceback."""
    assert stderr.startswith("agentguard: ")
    assert stderr.count("\n") == 1, stderr
    for part in parts:
        assert part in stderr


@pytest.fixture(scope="session")
def prepared(
    _notes_process: Box, boxes: dict[str, Box], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The folder in which sessions have come to every kind of end, and what is in the notes service."""
    folder = tmp_path_factory.mktemp("prepared")
    return folder, prepare(folder, _notes_process.reset(), boxes["github"].reset())


@pytest.fixture
def world(
    prepared: tuple[Path, dict[str, Any]], _notes_process: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A copy of that folder, which is the working directory, and the service as it was left."""
    folder, state = prepared
    _notes_process.reset().seed(**state)
    made = copied(folder, tmp_path / "world", _notes_process, monkeypatch)
    for name in [name for name in os.environ if name.startswith(("AGENTGUARD", "GITHUB_"))]:
        if name != "AGENTGUARD_SEND_DEADLINE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NOTES_URL", _notes_process.url)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(made.folder)
    yield made
    close_clients()


@pytest.fixture
def run_here(world: World) -> Run:
    """Run a program in the folder of *world*, as a process of its own."""
    root = str(Path(__file__).parents[2])

    def run_here(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = os.environ | {"PYTHONPATH": root, **environment}
        return subprocess.run(
            [sys.executable, *command], env=own, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    return run_here
