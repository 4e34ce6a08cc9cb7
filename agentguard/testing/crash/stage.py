"""What the crash tests of a connector are made of: scenarios as data, and the stand-ins that they run against.

A module has a `STAGE`; the runner and its worker process find everything by the module's name:

    STAGE = Stage(
        scenarios={s.name: s for s in (Scenario("mails", ("mail",), send_two_mails),)},
        client=lambda service, url: MailClient(base_url=url),
        stand_ins=lambda folder: ...,
        connectors={"mail": "mailbox.agentguard:mail"},
    )
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from agentguard.connector import Connector
from agentguard.registry import connector as installed
from agentguard.session import Session
from agentguard.testing.stand_ins import Box, start_boxes

Residue = Mapping[str, Callable[[Any], bool]]
"""What may be there after an undo that is reported as fine: where (a regular expression), and in what state."""


@dataclass
class World:
    """What a scenario works with: guarded clients by name, the session, and what was prepared."""

    session: Session
    clients: Mapping[str, Any]
    known: Mapping[str, Any]

    def __getitem__(self, service: str) -> Any:
        return self.clients[service]


@dataclass(frozen=True)
class Scenario:
    """One piece of an agent's work, as data."""

    name: str
    services: tuple[str, ...]
    """The names of its clients. `mail_async` is another client of the stand-in `mail`."""
    act: Callable[[World], object]
    residue: Residue = field(default_factory=dict)
    """What an undo that is reported as fine may leave behind in the snapshots, by `service.path`."""
    prepare: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _clients: {}
    """Runs before, with the plain clients."""
    quick: bool = False
    """Whether it is part of the quick run."""
    takes_back: bool = False
    """Whether *act* itself rolls something back."""
    restarts: bool = False
    """Whether the agent is started again after a crash, resumes its session and does its whole work again."""
    conflicts: str = ""
    """Why something is in conflict although nobody else was there."""
    drift: Mapping[str, Any] = field(default_factory=dict)
    """What somebody else changes before the rollback: seeds by service."""
    settings: Callable[[], Mapping[str, Any]] = dict
    """More arguments of `agentguard.session`."""


@dataclass(frozen=True)
class Stage:
    """Scenarios and what they run against."""

    scenarios: Mapping[str, Scenario]
    client: Callable[[str, str], Any]
    """Makes a plain client, given its name and the URL of its stand-in, with the retries of its SDK's defaults."""
    stand_ins: Callable[[Path], AbstractContextManager[Mapping[str, tuple[Box, Path]]]]
    """Runs the stand-ins, given a folder for their logs: each with its log file, by name."""
    connectors: Mapping[str, str] = field(default_factory=dict)
    """Connectors that no package installs, as `module:attribute` by name."""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    """What stands before the paths of the operations table, for services that have something there."""
    any_verb: frozenset[str] = frozenset()
    """Services whose operations are named by their path alone."""
    actions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """For plain functions: the service and the operation that each of them, or its undo, asks for."""
    plain: Callable[[Mapping[str, Any]], object] = lambda _clients: None
    """Runs in each process, with its plain clients: for plain functions that use them."""
    mistakes: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """Mistakes that can be built into the library for one run, by name: a harness has to notice them."""
    ready: Callable[[], None] = lambda: None
    """Runs once in the worker process: imports that every run needs."""

    def connector(self, name: str) -> Connector:
        """The connector called *name*."""
        where = self.connectors.get(name)
        if where is None:
            return installed(name)
        module, _, attribute = where.partition(":")
        found: Connector = getattr(import_module(module), attribute)
        return found


def service_of(client: str) -> str:
    """The service, and stand-in, that a client goes to."""
    return client.removesuffix("_async")


def load_stage(module: str) -> Stage:
    """The `STAGE` of a module."""
    stage: Stage = import_module(module).STAGE
    return stage


@contextmanager
def of_a_module(folder: Path, name: str, module: str) -> Iterator[Mapping[str, tuple[Box, Path]]]:
    """Run the stand-in called *name*, for `Stage.stand_ins`: a module that calls `agentguard.sandbox.server.run`."""
    log = folder / f"{name}.jsonl"
    log.touch()
    command = [sys.executable, "-m", module, str(log)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the stand-in {name} did not start, and nothing was tested: run python -m {module} LOG")
        try:
            yield {name: (Box(name, url), log)}
        finally:
            process.communicate()


@contextmanager
def of_the_sandbox(folder: Path, *names: str) -> Iterator[Mapping[str, tuple[Box, Path]]]:
    """Run stand-ins of `agentguard.sandbox`, for `Stage.stand_ins`."""
    log = folder / "sandbox.jsonl"
    log.touch()
    with start_boxes(log, *names) as running:
        yield {name: (box, log) for name, box in running.items()}
