"""The contract that agentguard's own connectors keep, in one line."""

from pathlib import Path

from agentguard_resend import resend

from agentguard.testing import contract


def test_the_connector_keeps_the_contract() -> None:
    assert contract(resend, Path(__file__).parents[1] / "cases") == []
