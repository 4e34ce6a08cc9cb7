"""The Notion connector itself: its table, seams, codec and account. The handlers stand in the modules beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentguard.calls import Read, read
from agentguard.connector import Account, Connector
from agentguard_connectors.notion.codec import INSIDE, NotionCodec
from agentguard_connectors.notion.seams import AsyncClientSeam, ClientSeam

TRASH = "it stays in Notion's trash"
NOTIFIED = "people who follow it were notified"


class NotionConnector(Connector):
    """Notion, where searches and queries are POST."""

    def reads(self, verb: str, path: str) -> bool:
        """Whether this request certainly changes nothing, as the table says."""
        if super().reads(verb, path):
            return True
        match = self.table.match(verb, f"/v1/{path.partition('/v1/')[2]}")
        return match is not None and match.operation.reads


def client(environment: Mapping[str, str]) -> Any:
    """A client for a fresh process."""
    from notion_client import Client

    options = {"auth": environment["NOTION_TOKEN"]}
    if environment.get("NOTION_API_URL"):
        options["base_url"] = environment["NOTION_API_URL"]
    return Client(options)


notion = NotionConnector(
    "notion",
    title="Notion",
    table=Path(__file__).with_name("operations.jsonl"),
    seams=[ClientSeam(), AsyncClientSeam()],
    codec=NotionCodec(),
    account=Account(("NOTION_TOKEN", "NOTION_API_URL"), client),
)


def witness(look: Read) -> Read | None:
    """For something that is not found: what it belongs to must be visible.

    https://developers.notion.com/reference/status-codes: Notion says `object_not_found` also for what has not been
    shared with the connection.
    """
    inside = look.arguments.get(INSIDE)
    if look.operation == "views.queries.results":
        return read("views.retrieve", view_id=look.arguments["view_id"])
    if inside and look.operation == "views.retrieve":
        return read("databases.retrieve", database_id=inside)
    if inside:
        return read("blocks.retrieve", block_id=inside)
    return read("users.me")


notion.witness = witness


def unproven(look: Read) -> str:
    """For a comment that is not found: the API shows open discussions only.

    https://developers.notion.com/docs/working-with-comments: resolved comments cannot be retrieved.
    """
    if not look.operation.startswith("comments."):
        return ""
    return (
        "the comment cannot be seen any more: somebody deleted it, or resolved its discussion, which hides it; Notion "
        "does not say which. Nothing was sent"
    )


notion.unproven = unproven
