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
    column = ((yield from _columns(where)) or {}).get(name) or {}
    return name if column.get("type") == "rich_text" and column.get("id") not in properties else None


def _columns(where: dict[str, Json]) -> Generator[Read, Any, Json]:
    """The columns of the data source that a row goes into; of the one that a database has, where that is named."""
    source = where.get("data_source_id")
    if source is None:
        database = yield read("databases.retrieve", database_id=where["database_id"]).or_none().if_allowed()
        if database is None or "properties" in database:  # before version 2025-09-03 a database has them itself
            return (database or {}).get("properties")
        sources = database.get("data_sources") or []
        if len(sources) != 1:
            return None
        source = sources[0]["id"]
    columns = yield read("data_sources.retrieve", data_source_id=source).through("schema").or_none().if_allowed()
    return columns


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
