"""Every installed connector keeps the contract that a third party's connector is held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.registry import connector, connector_names
from agentguard.testing import contract

CASES = Path(__file__).parents[1] / "connectors" / "cases"


@pytest.mark.parametrize("name", connector_names())
def test_a_connector_keeps_the_contract(name: str) -> None:
    assert contract(connector(name), CASES / name) == []
