"""Every handler of HubSpot is replayed from JSON cases, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.hubspot import hubspot
from agentguard_connectors.hubspot.batches import restoring_from_history

from agentguard.calls import NoUndo
from agentguard.testing import contract, load_cases, replay
from tests.hubspot.cases import CASES as PROVED

FOLDER = Path(__file__).parents[2] / "connectors" / "cases" / "hubspot"
CASES = list(load_cases(FOLDER))


@pytest.mark.parametrize("case", [case for _name, case in CASES], ids=[name for name, _case in CASES])
def test_the_handler_takes_the_steps_of_the_case(case: dict[str, Any]) -> None:
    replay(hubspot, case)


def test_every_handler_has_a_case() -> None:
    assert {case["operation"] for _name, case in CASES} == hubspot.guarded.keys()


def test_every_handler_is_proved_through_the_sdk() -> None:
    assert {case.operation for case in PROVED} == hubspot.guarded.keys()


def test_the_connector_keeps_the_rules_for_connectors() -> None:
    assert contract(hubspot, FOLDER) == []


@pytest.mark.parametrize("seconds", ["05", "09"])
def test_a_history_that_does_not_show_what_changed_is_no_way_back(seconds: str) -> None:
    names = ["city", "phone"]
    steps = restoring_from_history("contacts", {"id": "7", "updatedAt": "2026-01-05T09:00:10Z"}, names)
    next(steps)
    history = {
        "city": [{"value": "Rome", "timestamp": "2026-01-05T09:00:10Z"}],
        "phone": [{"value": "1", "timestamp": f"2026-01-05T09:00:{seconds}Z"}],
    }
    said = steps.send({"propertiesWithHistory": history})
    assert isinstance(said, NoUndo)
    assert "does not show what changed" in said.reason
