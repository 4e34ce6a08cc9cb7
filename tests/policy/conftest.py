"""A subject as the engine makes it, and connectors that can tell who is written to and how much money moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.gmail import facts as gmail_facts
from agentguard_connectors.slack import facts as slack_facts
from agentguard_connectors.stripe import facts as stripe_facts

from agentguard.calls import Call
from agentguard.policy import Reading, Subject
from agentguard.registry import connector
from tests.boxes import Box, start_boxes


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """The stand-ins that these tests need, in one process beside this one."""
    log = tmp_path_factory.mktemp("sandbox") / "log.jsonl"
    with start_boxes(log, "github", "gmail", "slack", "stripe") as running:
        yield running


@pytest.fixture(autouse=True)
def _readings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the connectors have their readings, and no configuration of this machine count."""
    monkeypatch.setattr(connector("gmail"), "recipients", gmail_facts.recipients, raising=False)
    monkeypatch.setattr(connector("slack"), "recipients", slack_facts.recipients, raising=False)
    monkeypatch.setattr(connector("stripe"), "amount", stripe_facts.amount, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("AGENTGUARD_CONFIG", "AGENTGUARD_ENVIRONMENT", "AGENTGUARD_LEDGER"):
        monkeypatch.delenv(name, raising=False)


def subject(operation: str, arguments: dict[str, Any] | None = None, **more: Any) -> Subject:
    """A call of *operation*, with effect and risk as its connector says them."""
    name, _, rest = operation.partition(".")
    service = connector(name)
    row, given = service.table.by_name[rest], arguments or {}
    effect, risk = service.facts(row, given)
    known = {"effect": effect, "risk": max(risk, service.graver(Call(rest, given))), "agent": "tester", **more}
    return Subject(name, operation, arguments=given, reading=Reading.of(service), **known)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Call]]:
    """Collect the calls that a connector is asked to judge, whole, as the engine has them."""

    def watch(name: str) -> list[Call]:
        calls: list[Call] = []
        before = connector(name).graver

        def graver(call: Call) -> Any:
            calls.append(call)
            return before(call)

        monkeypatch.setattr(connector(name), "graver", graver)
        return calls

    return watch
