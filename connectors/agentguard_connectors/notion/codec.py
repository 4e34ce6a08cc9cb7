"""Notion on the wire: REST with JSON bodies, and three requests whose body makes them something else.

Most updates can be taken back, and three cannot in the same way: `erase_content` and `template` of a page update
(https://developers.notion.com/reference/patch-page: "a destructive action that cannot be reversed using the API"), and
a data source update that removes a column. They are operations of their own here, so that a person is asked. In the
table their verb is written `PATCH +erase_content`; on the wire it is PATCH.
"""

from __future__ import annotations

from dataclasses import replace

from agentguard.calls import Json
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import Decoded, RestCodec
from agentguard.wire.http import Outgoing, Request, Response

INSIDE = "$inside"
"""In a look: the id of the page, block or database that the thing belongs to. Never sent; see `service.witness`."""


class NotionCodec(RestCodec):
    """REST with JSON bodies."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*, by its body too where that decides what it does."""
        decoded = super().decode(table, request, bases)
        variant = variant_of(decoded.operation.name, decoded.arguments)
        return replace(decoded, operation=table.by_name[variant]) if variant else decoded

    def encode(self, operation: Operation, arguments: dict[str, Json]) -> Outgoing:
        """Prepare a request of ours."""
        sent = {name: value for name, value in arguments.items() if name != INSIDE}
        outgoing = super().encode(operation, sent)
        return replace(outgoing, verb=outgoing.verb.partition(" ")[0])

    def error(self, response: Response, value: Json) -> str:
        """Notion's code and message: https://developers.notion.com/reference/status-codes#error-codes."""
        words = super().error(response, value)
        code = value.get("code") if isinstance(value, dict) else None
        return f"{words} ({code})" if code else words


def variant_of(name: str, arguments: dict[str, Json]) -> str | None:
    """The name of the operation that these arguments turn *name* into."""
    if name == "pages.update":
        for part in ("erase_content", "template"):
            if arguments.get(part):
                return f"pages.update+{part}"
    schema = arguments.get("properties")
    if name == "data_sources.update" and isinstance(schema, dict) and None in schema.values():
        return "data_sources.update+drop"
    return None
