"""The JSON cases of GitHub's handlers: what is read, registered and sent, in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentguard_connectors.github import github as connector

from agentguard.testing import contract, load_cases, replay

FOLDER = Path(__file__).parents[2] / "connectors" / "cases" / "github"
CASES = dict(load_cases(FOLDER))


@pytest.mark.parametrize("name", CASES)
def test_a_handler_does_what_its_case_says(name: str) -> None:
    replay(connector, CASES[name])


def test_the_connector_keeps_the_rules() -> None:
    assert contract(connector, FOLDER) == []
