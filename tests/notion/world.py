"""What stands in the stand-in's workspace, and the shapes that tests write."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.notion.seed import (
    ADA,
    BOARD,
    BOT,
    GRACE,
    HANDBOOK,
    HEADING,
    HOME,
    INSIDE,
    PARAGRAPH,
    REMARK,
    ROWS,
    TABLE,
    TASKS,
    TASKS_SOURCE,
    TEAM,
    THREAD,
    TICK,
    TOGGLE,
    identifier,
)

__all__ = [
    "ADA",
    "BOARD",
    "BOT",
    "GRACE",
    "HANDBOOK",
    "HEADING",
    "HOME",
    "INSIDE",
    "PARAGRAPH",
    "REMARK",
    "ROWS",
    "TABLE",
    "TASKS",
    "TASKS_SOURCE",
    "TEAM",
    "THREAD",
    "TICK",
    "TOGGLE",
    "identifier",
    "paragraph",
    "text",
    "title",
]


def text(words: str) -> list[dict[str, Any]]:
    """The shortest rich text."""
    return [{"text": {"content": words}}]


def title(words: str) -> dict[str, Any]:
    """A title property."""
    return {"title": text(words)}


def paragraph(words: str, **more: Any) -> dict[str, Any]:
    """A paragraph block."""
    return {"paragraph": {"rich_text": text(words), **more}}
