"""The Slack connector itself: its table, seams, codec and account. The handlers stand in the modules beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentguard.calls import Read, read
from agentguard.connector import Account, Connector
from agentguard_connectors.slack.codec import SlackCodec
from agentguard_connectors.slack.seams import AsyncWebClientSeam, AsyncWebhookSeam, WebClientSeam, WebhookSeam


class SlackConnector(Connector):
    """A connector whose reads are known by method name: the synchronous client sends everything as POST."""

    def reads(self, verb: str, path: str) -> bool:
        """Whether this API method changes nothing, as the table says: a GET may write here, and a POST may read."""
        operation = self.table.by_name.get(path.rpartition("/")[2])
        return operation is not None and operation.reads


def client(environment: Mapping[str, str]) -> Any:
    """A client for a fresh process."""
    from slack_sdk import WebClient

    url = environment.get("SLACK_API_URL") or WebClient.BASE_URL
    return WebClient(environment["SLACK_BOT_TOKEN"], base_url=f"{url.rstrip('/')}/")


slack = SlackConnector(
    "slack",
    title="Slack",
    table=Path(__file__).with_name("operations.jsonl"),
    seams=[WebClientSeam(), AsyncWebClientSeam(), WebhookSeam(), AsyncWebhookSeam()],
    codec=SlackCodec(),
    account=Account(("SLACK_BOT_TOKEN", "SLACK_API_URL"), client),
)


def _witness(look: Read) -> Read | None:
    """Files and reminders are looked up by their own id, so that the token must at least still be good for anything.

    A message that is looked up by its own timestamp is not there for who was removed from its channel, either.
    """
    if look.operation == "conversations.replies":
        return read("conversations.info", channel=look.arguments["channel"])
    return read("auth.test") if look.operation in ("files.info", "reminders.info") else None


slack.witness = _witness
