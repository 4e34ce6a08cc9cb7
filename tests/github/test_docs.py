"""The page about GitHub says what the connector does."""

from __future__ import annotations

from pathlib import Path

from agentguard_connectors.github import github as connector

from agentguard.calls import Effect
from agentguard.connector import Guarded

PAGE = (Path(__file__).parents[2] / "docs" / "connectors" / "github.md").read_text()


def row(guarded: Guarded) -> str:
    """The line of the page's table about one operation."""
    return f"| `{guarded.operation}` | {guarded.summary} | {guarded.risk} | {guarded.remains} |"


def test_every_operation_that_can_be_taken_back_is_on_the_page() -> None:
    guarded = [g for g in connector.guarded.values() if g.effect is not Effect.IRREVERSIBLE]
    assert [g.operation for g in guarded if row(g) not in PAGE] == []


def test_every_operation_that_cannot_is_on_the_page() -> None:
    guarded = [g for g in connector.guarded.values() if g.effect is Effect.IRREVERSIBLE]
    assert [g.operation for g in guarded if f"| `{g.operation}` | {g.summary} | {g.risk} |" not in PAGE] == []
