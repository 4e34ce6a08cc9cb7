"""Rows out of their tables."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from agentguard.errors import LedgerError
from agentguard.ledger.columns import COLUMNS
from agentguard.ledger.database import Database

Row = TypeVar("Row", bound=msgspec.Struct)


def rows(database: Database, kind: type[Row], query: str, *values: Any) -> list[Row]:
    """The rows of *kind* that *query* (what stands after the name of their table) asks for."""
    columns = COLUMNS[kind]
    sql = f"SELECT {columns.names} FROM {columns.table} {query}"  # noqa: S608 - no value is in the text
    try:
        return [columns.load(row) for row in database.read(lambda db: db.execute(sql, values).fetchall())]
    except ValueError as error:
        raise LedgerError(
            f"the ledger at {database.path} holds a {columns.table} that this version of agentguard cannot read "
            f"({error}). Nothing was sent. Use the version that wrote it, or a newer one."
        ) from error
