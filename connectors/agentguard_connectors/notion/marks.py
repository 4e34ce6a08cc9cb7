"""A mark in the rows that a session creates, by which one is known again when the answer was lost.

Notion takes no idempotency keys. Where a database has a text property for it, whoever set up agentguard names it:
`[marks] notion = "Agentguard"` in agentguard.toml, or AGENTGUARD_NOTION_MARK. Only rows have such properties; a page
below another page has a title and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

from agentguard.calls import Json, Read, read
from agentguard_connectors.notion import shapes
from agentguard_connectors.notion.service import notion

VARIABLE = "AGENTGUARD_NOTION_MARK"


def configured() -> str | None:
    """The name of the property for marks; None where there is none. Raises ConfigError."""
    from agentguard.config import load_config

    return os.environ.get(VARIABLE) or load_config().marks.get("notion") or None


def place_for(parent: Json, properties: dict[str, Json], mark: str | None) -> Generator[Read, Any, str | None]:
    """The property of a new row that takes the mark; None where it goes without.

    A database need not have the property, and Notion would refuse the call. A value of the caller's own wins.
    """
    where = shapes.parent(parent) or {}
    if not mark or not {"data_source_id", "database_id"} & where.keys():
        return None
    name = configured()
    if name is None or name in properties:
        return None
    columns = yield from _columns(where)
    identifier, kind = (columns or {}).get(name, ("", ""))
    return name if kind == "rich_text" and identifier not in properties else None


def _columns(where: dict[str, Json]) -> Generator[Read, Any, Json]:
    """The columns of the data source that a row goes into; of the one that a database has, where that is named."""
    source = where.get("data_source_id")
    if source is None:
        look = read("databases.retrieve", database_id=where["database_id"]).through("sources")
        database = yield look.or_none().if_allowed()
        sources = (database or {}).get("sources", [])
        if len(sources) != 1:  # before version 2025-09-03 a database has the columns itself
            return (database or {}).get("columns")
        source = sources[0]
    columns = read("data_sources.retrieve", data_source_id=source).through("column_types")
    return (yield columns.or_none().if_allowed())


@notion.view
def column_types(answer: Json) -> Json:
    """The id and the type of each column."""
    return {name: [config.get("id"), config.get("type")] for name, config in (answer.get("properties") or {}).items()}


@notion.view
def sources(answer: Json) -> Json:
    """The data sources of a database, and the columns where it has them itself."""
    return {"sources": [one["id"] for one in answer.get("data_sources") or []], "columns": column_types(answer)}


def written(mark: str) -> Json:
    """The value of the property."""
    return {"rich_text": [{"text": {"content": mark}}]}


def marked_in(properties: dict[str, Json] | None, mark: str | None) -> str | None:
    """The property that holds the mark, as it was sent; None where there is none.

    What was sent counts, and not what is configured when the call is looked up.
    """
    if not mark:
        return None
    return next((name for name, value in (properties or {}).items() if value == written(mark)), None)
