"""The page about HubSpot says what the connector does."""

from __future__ import annotations

from pathlib import Path

from agentguard_connectors.hubspot import hubspot

from agentguard.calls import Effect

PAGE = (Path(__file__).parents[2] / "docs" / "connectors" / "hubspot.md").read_text()


def test_every_operation_is_on_the_page() -> None:
    for guarded in hubspot.guarded.values():
        line = f"| `{guarded.operation}` | {guarded.summary} | {guarded.risk} |"
        assert line + ("" if guarded.effect is Effect.IRREVERSIBLE else f" {guarded.remains} |") in PAGE


def test_the_figures_on_the_page_are_right() -> None:
    assert f"as {len(hubspot.table.by_name)} operations" in PAGE
